//! `evenkeel.toml`: what the daemon is told of its zones.
//!
//! Owns the file's grammar and the words for what is wrong in it. Must never make or ask anything of what it names. Next:
//! [`crate::cli::house`], which reads it before the daemon starts.
//!
//! ```toml
//! [zone.us-east-1a]
//! cpus = 3.5                           # for all instances, 0.001-100000; default: as many as are asked for
//! memory_mib = 8192                    # 1-1073741824; default: as much as is asked for
//! driver = "process"                   # or "namespaces", "docker"; default: as `--isolation` says
//! instance_pool = "10.82.0.0/16"       # private addresses of its instances; default: as `--instance-pool` says
//!
//! [zone.us-east-1b]
//! driver = "docker"
//! host = "tcp://10.0.0.5:2376"         # default: as `--docker-host` says
//! certs = "/etc/evenkeel/docker"       # folder with ca.pem, cert.pem, key.pem, for TLS
//! instance_pool = "10.83.0.0/16"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::Capacity;
use evenkeel_core::world::Pool;
use serde::Deserialize;
use toml::Spanned;

use super::proxy_file::{BadFile, Wrong, built, number, wrong};

/// The most processors that a zone may be said to have.
const MOST_CPUS: f64 = 100_000.0;

/// The most MiB of memory that a zone may be said to have: 1 PiB.
const MOST_MIB: i64 = 1 << 30;

/// What the file is called in the data directory.
pub const NAME: &str = "evenkeel.toml";

/// A file as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonFile {
    /// The zones that it speaks of.
    pub zones: BTreeMap<ZoneName, ZoneEntry>,
}

/// What it says of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneEntry {
    /// What the zone has for its instances.
    pub capacity: Capacity,
    /// How instances run there, where it says.
    pub driver: Option<ZoneDriver>,
    /// Where its instances' addresses come from, where it says.
    pub instance_pool: Option<Pool>,
}

/// How the instances of a zone run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneDriver {
    /// As processes among all others of this machine.
    Process,
    /// As processes of this machine in namespaces of their own.
    Namespaces,
    /// As Docker containers.
    Docker {
        /// Where the engine listens, where it says.
        host: Option<String>,
        /// The folder of certificates for it.
        certs: Option<PathBuf>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    zone: BTreeMap<Spanned<String>, Zone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Zone {
    cpus: Option<Spanned<toml::Value>>,
    memory_mib: Option<Spanned<i64>>,
    driver: Option<Spanned<String>>,
    host: Option<Spanned<String>>,
    certs: Option<Spanned<PathBuf>>,
    instance_pool: Option<Spanned<String>>,
}

/// Reads a file. `zones` are those that there are.
///
/// # Errors
/// A file that cannot be read, or says what cannot be: the text says where.
pub fn read(path: &Path, zones: &[ZoneName]) -> Result<DaemonFile, BadFile> {
    parse(&std::fs::read_to_string(path)?, zones)
}

/// Reads a file's text; see [`read`].
///
/// # Errors
/// What it says that cannot be, and on which line.
pub fn parse(text: &str, zones: &[ZoneName]) -> Result<DaemonFile, BadFile> {
    built(text, |file: File| {
        let mut read = DaemonFile::default();
        for (name, entry) in &file.zone {
            let zone = known(name, zones)?;
            let key = |part: &str| format!("zone.{zone}.{part}");
            let mut driver = entry.driver.as_ref().map(|text| driver(text, &key("driver"))).transpose()?;
            if let Some(ZoneDriver::Docker { host, certs }) = &mut driver {
                *host = entry.host.as_ref().map(|text| engine(text, &key("host"))).transpose()?;
                *certs = entry.certs.as_ref().map(|path| path.get_ref().clone());
            } else if let Some(text) = &entry.host {
                return Err(wrong(text, &key("host"), format_args!("is for `driver = \"docker\"` alone")));
            } else if let Some(path) = &entry.certs {
                return Err(wrong(path, &key("certs"), format_args!("is for `driver = \"docker\"` alone")));
            }
            let pool = |text: &Spanned<String>| {
                let read = text.get_ref().parse::<Pool>();
                read.map_err(|why| wrong(text, &key("instance_pool"), format_args!("cannot be used: {why}")))
            };
            let instance_pool = entry.instance_pool.as_ref().map(pool).transpose()?;
            let memory = |stated: &Spanned<i64>| number(stated, &key("memory_mib"), 1, MOST_MIB);
            let capacity = Capacity {
                cpu_millis: entry.cpus.as_ref().map(|stated| cpus(stated, &key("cpus"))).transpose()?,
                memory_mib: entry.memory_mib.as_ref().map(memory).transpose()?.map(i64::unsigned_abs),
            };
            read.zones.insert(zone.clone(), ZoneEntry { capacity, driver, instance_pool });
        }
        Ok(read)
    })
}

fn known<'z>(name: &Spanned<String>, zones: &'z [ZoneName]) -> Result<&'z ZoneName, Wrong> {
    zones.iter().find(|zone| zone.as_str() == name.get_ref()).ok_or_else(|| {
        let there = zones.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(", ");
        wrong(name, &format!("zone.{}", name.get_ref()), format_args!("is no zone here; the zones are {there}"))
    })
}

/// Processors, whole or not, in thousandths.
fn cpus(stated: &Spanned<toml::Value>, key: &str) -> Result<u64, Wrong> {
    let value = stated.get_ref();
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    match number {
        Some(cpus) if (0.001..=MOST_CPUS).contains(&cpus) => Ok((cpus * 1000.0).round() as u64),
        _ => Err(wrong(stated, key, format_args!("is {value}; it must be a number from 0.001 to {MOST_CPUS}"))),
    }
}

fn driver(text: &Spanned<String>, key: &str) -> Result<ZoneDriver, Wrong> {
    match text.get_ref().as_str() {
        "process" => Ok(ZoneDriver::Process),
        "namespaces" => Ok(ZoneDriver::Namespaces),
        "docker" => Ok(ZoneDriver::Docker { host: None, certs: None }),
        other => Err(wrong(text, key, format_args!("is `{other}`; it must be `process`, `namespaces` or `docker`"))),
    }
}

fn engine(text: &Spanned<String>, key: &str) -> Result<String, Wrong> {
    let known = ["unix://", "tcp://", "http://", "https://"];
    match known.iter().any(|scheme| text.get_ref().starts_with(scheme)) {
        true => Ok(text.get_ref().clone()),
        false => Err(wrong(text, key, format_args!("is `{}`; it must begin with unix:// or tcp://", text.get_ref()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Vec<ZoneName> {
        ["us-east-1a", "us-east-1b"].map(|name| ZoneName::new(name).unwrap()).into()
    }

    #[test]
    fn a_file_says_what_zones_are() {
        let text =
            "[zone.us-east-1a]\ncpus = 3.5\nmemory_mib = 8192\ndriver = \"namespaces\"\n[zone.us-east-1b]\ncpus = 2\n";
        let file = parse(text, &zones()).unwrap();
        let entry = |name: &str| file.zones[&ZoneName::new(name).unwrap()].clone();
        assert_eq!(entry("us-east-1a").driver, Some(ZoneDriver::Namespaces));
        assert_eq!(entry("us-east-1a").capacity, Capacity { cpu_millis: Some(3500), memory_mib: Some(8192) });
        let entry = entry("us-east-1b");
        assert_eq!((entry.driver, entry.capacity), (None, Capacity { cpu_millis: Some(2000), memory_mib: None }));
        assert_eq!(parse("", &zones()).unwrap(), DaemonFile::default());
        let text = "[zone.us-east-1b]\ndriver = \"docker\"\nhost = \"tcp://10.0.0.5:2376\"\ncerts = \"/certs\"\n\
                    instance_pool = \"10.83.0.0/16\"\n";
        let entry = parse(text, &zones()).unwrap().zones[&zones()[1]].clone();
        let docker = ZoneDriver::Docker { host: Some("tcp://10.0.0.5:2376".into()), certs: Some("/certs".into()) };
        assert_eq!((entry.driver, entry.instance_pool), (Some(docker), "10.83.0.0/16".parse().ok()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_is_allowed() {
        let check = |text: &str, wants: &[&str]| {
            let error = parse(text, &zones()).unwrap_err().to_string();
            assert!(wants.iter().all(|want| error.contains(want)), "{error}");
        };
        check("\n[zone.us-east-1z]\n", &["line 2", "`zone.us-east-1z`", "us-east-1a, us-east-1b"]);
        check("[zones.us-east-1a]\n", &["line 1", "zones", "expected `zone`"]);
        check("[zone.us-east-1a]\nhosts = \"x\"\n", &["line 2", "unknown field `hosts`", "`driver`"]);
        check(
            "[zone.us-east-1a]\nhost = \"unix:///x\"\n",
            &["line 2", "`zone.us-east-1a.host`", "`driver = \"docker\"`"],
        );
        let docker = "[zone.us-east-1a]\ndriver = \"docker\"\n";
        check(&format!("{docker}host = \"/x\"\n"), &["line 3", "unix:// or tcp://"]);
        check(&format!("{docker}instance_pool = \"10.0.0.1/16\"\n"), &["line 3", "beyond its prefix"]);
        let driver = "[zone.us-east-1a]\n\ndriver = \"dokcer\"\n";
        check(driver, &["line 3", "`zone.us-east-1a.driver` is `dokcer`", "`process`, `namespaces` or `docker`"]);
        for bad in ["0", "-1", "nan", "inf", "1e9", "\"2\"", "true"] {
            let text = format!("[zone.us-east-1a]\ncpus = {bad}\n");
            check(&text, &["line 2", "`zone.us-east-1a.cpus` is ", "from 0.001 to 100000"]);
        }
        let memory = "[zone.us-east-1a]\nmemory_mib = 0\n";
        check(memory, &["line 2", "`zone.us-east-1a.memory_mib` is 0", "from 1 to 1073741824"]);
        check("[zone.us-east-1a]\ndriver = 1\n", &["line 2", "expected a string"]);
        check("[zone.us-east-1a]\n[zone.us-east-1a]\n", &["line 2", "duplicate key"]);
    }
}
