//! What an OCI image says of itself, as a manifest. Owns what is followed of a configuration and what is not; must never read
//! or write a file. Source: OCI image-spec 1.1, config.md; Docker's image specification 1.2 for what OCI leaves out.

use std::collections::BTreeMap;

use evenkeel_core::name::Port;
use evenkeel_core::noun::Manifest;
use evenkeel_core::noun::image::{RESERVED_ENV, valid_name};
use serde::Deserialize;

use crate::images::ImageError;
use crate::images::archive::ENDINGS;

/// The search path of containers whose image names none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most paths that hold state.
const MOST_STATE: usize = 64;
/// The most characters of a description and of a version.
const MOST_DESCRIPTION: usize = 255;
const MOST_VERSION: usize = 128;

/// The document.
#[derive(Deserialize)]
pub(in crate::images) struct Image {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    config: Option<Config>,
    #[serde(default)]
    pub(super) rootfs: Option<Rootfs>,
}

/// The sums of its layers, uncompressed.
#[derive(Deserialize)]
pub(super) struct Rootfs {
    #[serde(default)]
    pub(super) diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
    healthcheck: Option<serde_json::Value>,
}

/// What an image says, in our words.
pub(super) struct Said {
    /// What it runs.
    pub(super) manifest: Manifest,
    /// Folders that there must be.
    pub(super) volumes: Vec<String>,
    /// What is not followed, for people.
    pub(super) notes: Vec<String>,
}

/// Makes a manifest of a configuration. Its name and version are those of the reference, or of the file.
pub(super) fn said(image: &Image, reference: Option<&str>, file: &str, port: Option<Port>) -> Result<Said, ImageError> {
    let none = Config::default();
    let config = image.config.as_ref().unwrap_or(&none);
    let mut notes = Vec::new();
    let words = config.entrypoint.iter().chain(&config.cmd).flatten();
    // What a shell in there fills in is not ours to.
    let command: Vec<String> = words.map(|word| word.replace("${", "$${")).collect();
    if command.is_empty() {
        return Err(ImageError::Oci("find what to run: the image has neither Entrypoint nor Cmd".to_owned()));
    }
    let (env, own_port) = environment(config, &mut notes);
    let port = port.or_else(|| exposed(config, &mut notes)).or(own_port).ok_or(ImageError::NoPort)?;

    let (repository, tag) = reference.map(parted).unwrap_or_default();
    let mut manifest = Manifest::new(&name(repository, file), command, port);
    let label = |name: &str| {
        let labels = config.labels.as_ref()?;
        labels.get(&format!("org.opencontainers.image.{name}")).filter(|text| !text.is_empty())
    };
    let tag = tag.filter(|tag| !tag.is_empty());
    let version = tag.filter(|tag| *tag != "latest").or_else(|| label("version").map(String::as_str)).or(tag);
    manifest.version = version.map(|text| text.chars().take(MOST_VERSION).collect());
    manifest.description = label("description").map(|text| plain(text)).unwrap_or_default();
    manifest.env = env;
    manifest.rootfs = true;
    manifest.user = config.user.clone().filter(|user| !matches!(user.as_str(), "" | "root" | "0" | "0:0"));
    manifest.working_dir = match config.working_dir.as_deref().map(clean) {
        None => None,
        Some(Some(path)) => Some(format!("/{path}")).filter(|path| path != "/"),
        Some(None) => {
            notes.push("WorkingDir, which leads out of the image".to_owned());
            None
        }
    };
    let volumes = config.volumes.iter().flatten().filter_map(|(path, _)| clean(path));
    let mut volumes: Vec<String> = volumes.filter(|path| !path.is_empty()).collect();
    if volumes.len() > MOST_STATE {
        notes.push(format!("{} of its Volumes: an image names {MOST_STATE} at most", volumes.len() - MOST_STATE));
        volumes.truncate(MOST_STATE);
    }
    manifest.state.clone_from(&volumes);
    if config.healthcheck.is_some() {
        notes.push(
            "Healthcheck: health checks are the load balancer's, and `health` in image.toml is for the boot".into(),
        );
    }
    let stop = config.stop_signal.as_deref().unwrap_or_default().trim_start_matches("SIG");
    if !matches!(stop, "" | "TERM" | "15") {
        notes.push(format!("StopSignal {}: instances are ended by TERM", plain(stop)));
    }
    manifest.validate().map_err(|bad| ImageError::Oci(format!("read the image's configuration: {bad}")))?;
    Ok(Said { manifest, volumes, notes })
}

/// Its variables that a process can have, and the port that one of them says.
fn environment(config: &Config, notes: &mut Vec<String>) -> (BTreeMap<String, String>, Option<Port>) {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    let mut own_port = None;
    for (name, value) in config.env.iter().flatten().filter_map(|line| line.split_once('=')) {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let good = first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !value.contains('\0');
        if name == "PORT" {
            own_port = value.parse().ok().and_then(|port| Port::new(port).ok());
        } else if RESERVED_ENV.contains(&name) {
            notes.push(format!("Env {name}, which every instance is given"));
        } else if good {
            env.insert(name.to_owned(), value.to_owned());
        } else {
            notes.push(format!("Env {}, which no shell could name", plain(name)));
        }
    }
    (env, own_port)
}

/// The lowest TCP port that it exposes.
fn exposed(config: &Config, notes: &mut Vec<String>) -> Option<Port> {
    let number = |text: &String| match text.split_once('/') {
        None => text.parse().ok(),
        Some((number, "tcp")) => number.parse().ok(),
        Some(_) => None,
    };
    let ports = config.exposed_ports.iter().flatten().filter_map(|(text, _)| number(text));
    let mut ports: Vec<Port> = ports.filter_map(|number| Port::new(number).ok()).collect();
    ports.sort_unstable_by_key(|port| port.number());
    let (first, others) = ports.split_first()?;
    if !others.is_empty() {
        let others: Vec<String> = others.iter().take(10).map(ToString::to_string).collect();
        notes.push(format!("ExposedPorts {}: its port is {first}, unless another is given", others.join(", ")));
    }
    Some(*first)
}

/// Repository and tag of a reference: `ghcr.io/some/app:1.2@sha256:…` is `ghcr.io/some/app` and `1.2`. What has neither `/`
/// nor `:` is a tag alone, as OCI layouts have it.
fn parted(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |at| at + 1);
    match name[last..].rfind(':') {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        None if last == 0 => ("", Some(name)),
        None => (name, None),
    }
}

/// The first of these that a name may be: the repository's last part, all of it, the file's.
fn name(repository: &str, file: &str) -> String {
    let last = repository.rsplit('/').next().unwrap_or_default();
    let stem = ENDINGS.into_iter().find_map(|(end, _)| file.strip_suffix(end)).unwrap_or(file);
    let named = [last, repository, stem].into_iter().find(|name| valid_name(name).is_ok());
    named.unwrap_or("image").to_owned()
}

/// A path below the root, without what says nothing; `None` where it goes up.
fn clean(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Text for people on one line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_a_name_and_a_version() {
        let check = |reference, want| assert_eq!(parted(reference), want, "{reference}");
        check("app:1.2", ("app", Some("1.2")));
        check("ghcr.io/some/app:1.2@sha256:00", ("ghcr.io/some/app", Some("1.2")));
        check("localhost:5000/app", ("localhost:5000/app", None));
        check("latest", ("", Some("latest")));
        let check = |repository, file, want| assert_eq!(name(repository, file), want);
        check("ghcr.io/some/app", "x.tar", "app");
        check("library/go", "x.tar", "library/go");
        check("go", "golang.tar.gz", "golang");
        check("", "x.tar", "image");
    }

    #[test]
    fn what_a_configuration_says_becomes_a_manifest() {
        let image = |config: serde_json::Value| -> Image {
            serde_json::from_value(serde_json::json!({ "os": "linux", "config": config })).unwrap()
        };
        let full = image(serde_json::json!({
            "User": "app:app", "ExposedPorts": { "9000/tcp": {}, "53/udp": {}, "8080/tcp": {} },
            "Env": ["LANG=C", "PORT=1", "HOST=x", "my.key=1"], "Entrypoint": ["/run"], "Cmd": ["${HOME}", "-v"],
            "Volumes": { "/var/lib/db/": {}, "/": {} }, "WorkingDir": "srv/./app",
            "Labels": { "org.opencontainers.image.version": "7", "org.opencontainers.image.description": "an\nexample" },
            "StopSignal": "SIGQUIT", "Healthcheck": { "Test": ["NONE"] },
        }));
        let said = said(&full, Some("docker.io/library/example:latest"), "x.tar", None).unwrap();
        let m = said.manifest;
        assert_eq!((m.name.as_str(), m.version.as_deref(), m.port.number()), ("example", Some("7"), 8080));
        assert_eq!(m.command, ["/run", "$${HOME}", "-v"]);
        assert_eq!(m.env, BTreeMap::from([("LANG".into(), "C".into()), ("PATH".into(), PATH.into())]));
        assert_eq!((m.user.as_deref(), m.working_dir.as_deref()), (Some("app:app"), Some("/srv/app")));
        assert_eq!((m.state, m.description.as_str(), m.rootfs), (vec!["var/lib/db".to_owned()], "anexample", true));
        for part in ["ExposedPorts 9000", "Env HOST", "Env my.key", "Healthcheck", "StopSignal QUIT"] {
            assert!(said.notes.iter().any(|note| note.starts_with(part)), "{part}: {:?}", said.notes);
        }
        assert_eq!(said.notes.len(), 5, "{:?}", said.notes);
    }

    #[test]
    fn a_port_is_what_was_asked_for_or_what_the_image_says() {
        let check = |config: serde_json::Value, asked: Option<u16>, want: Option<u16>| {
            let image: Image = serde_json::from_value(serde_json::json!({ "config": config })).unwrap();
            let asked = asked.map(|port| Port::new(port).unwrap());
            let port = said(&image, None, "app.tar", asked).map(|said| said.manifest.port.number());
            assert_eq!(port.ok(), want);
        };
        let exposed = serde_json::json!({ "Cmd": ["a"], "ExposedPorts": { "80": {} }, "Env": ["PORT=81"] });
        check(exposed.clone(), None, Some(80));
        check(exposed, Some(82), Some(82));
        check(serde_json::json!({ "Cmd": ["a"], "Env": ["PORT=81"] }), None, Some(81));
        check(serde_json::json!({ "Cmd": ["a"], "Env": ["PORT=x"] }), None, None);
        check(serde_json::json!({ "Cmd": null, "Entrypoint": [] }), Some(80), None);
    }
}
