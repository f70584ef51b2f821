//! Options of the daemon's own commands: `up`, `down`, `status`.
//!
//! Owns the flags, their environment variables and their defaults; what they do is decided where everything is wired.
//! Next: [`super::settings`] for how other commands find the daemon that these start.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use evenkeel_proxy::log::Format;
use evenkeel_proxy::spans::Endpoint;

use crate::buckets::Mapping;
use crate::drivers::Isolation;

use super::acme::AcmeServer;
use super::settings::{DEFAULT_REGION, Reach, data_dir, process_environment};

const UP_EXAMPLES: &str = "\
Examples:
  evenkeel up
  evenkeel up --data-dir ./state --listen 127.0.0.1:0
  evenkeel up --port-shift 8000                     a listener on port 80 is then reached on port 8080
  evenkeel up --config /etc/evenkeel.toml           what the zones are: docs/files.md

Stop it with Ctrl-C or `evenkeel down`. Instances go on running, and the next `evenkeel up` finds them again.";

/// Arguments of `evenkeel up`.
#[derive(Debug, Clone, Args)]
#[command(after_help = UP_EXAMPLES)]
pub struct Up {
    /// Where state is kept [default: $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR", env = "EVENKEEL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// What the zones are, in TOML [default: `evenkeel.toml` of the data directory, where it is]
    #[arg(long, value_name = "FILE", env = "EVENKEEL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address of the APIs; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", env = "EVENKEEL_LISTEN", default_value = "127.0.0.1:7480")]
    pub listen: SocketAddr,
    /// Name of the region
    #[arg(long, value_name = "REGION", env = "EVENKEEL_REGION", default_value = DEFAULT_REGION)]
    pub region: String,
    /// Availability zones, separated by commas [default: the region's a, b and c]
    #[arg(long, value_name = "ZONES", env = "EVENKEEL_ZONES", value_delimiter = ',')]
    pub zones: Vec<String>,
    /// Account id that ARNs and owners show: 12 digits
    #[arg(long, value_name = "ID", env = "EVENKEEL_ACCOUNT", default_value = "000000000000", value_parser = account)]
    pub account: String,
    /// Addresses for the nodes of load balancers
    #[arg(long, value_name = "CIDR", env = "EVENKEEL_NODE_POOL", default_value = "127.80.0.0/16")]
    pub node_pool: String,
    /// Private addresses for instances
    #[arg(long, value_name = "CIDR", env = "EVENKEEL_INSTANCE_POOL", default_value = "127.81.0.0/16")]
    pub instance_pool: String,
    /// What keeps instances apart that are first started from now on, in zones whose `driver` the configuration file does
    /// not name. `namespaces` needs root, and both it and `docker` an `--instance-pool` of addresses that packets are routed
    /// to, as 10.81.0.0/16
    #[arg(long, value_name = "HOW", env = "EVENKEEL_ISOLATION", value_enum, default_value_t = Isolation::None)]
    pub isolation: Isolation,
    /// The Docker Engine that runs instances under `--isolation docker`: unix://PATH or tcp://HOST:PORT
    #[arg(long, value_name = "URL", env = "DOCKER_HOST", default_value = "unix:///var/run/docker.sock")]
    pub docker_host: String,
    /// Folder with ca.pem, cert.pem and key.pem, for a Docker Engine that is spoken to over TLS
    #[arg(long, value_name = "DIR", env = "DOCKER_CERT_PATH")]
    pub docker_certs: Option<PathBuf>,
    /// Add this to listener ports that need a privilege this process lacks (ports below 1024 as a rule); 0 refuses them
    #[arg(long, value_name = "N", env = "EVENKEEL_PORT_SHIFT", default_value_t = 0)]
    pub port_shift: u16,
    /// Threads that carry traffic [default: one a core]
    #[arg(long, value_name = "N", env = "EVENKEEL_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Record of each request, in `access.log` of the data directory; taken up when the load balancers' process starts
    #[arg(long, value_name = "FORMAT", env = "EVENKEEL_ACCESS_LOG", value_enum, default_value_t = AccessLog::Json)]
    pub access_log: AccessLog,
    /// What a bucket for load balancers' access logs is, where it is no folder of the data directory; may be repeated.
    /// `NAME=http(s)://HOST[:PORT]/BUCKET` is a store that speaks S3's protocol
    #[arg(long, value_name = "NAME=DIR|URL")]
    pub log_bucket: Vec<Mapping>,
    /// Keys that requests to such stores are signed with: TOML with `access_key_id`, `secret_access_key` and perhaps
    /// `region`, mode 0600 [default: $EVENKEEL_BUCKET_ACCESS_KEY_ID and $EVENKEEL_BUCKET_SECRET_ACCESS_KEY]
    #[arg(long, value_name = "FILE", env = "EVENKEEL_LOG_BUCKET_KEYS")]
    pub log_bucket_keys: Option<PathBuf>,
    /// Server for e-mail to subscribers of topics: a file whose `[Notification]` has smtp_host, smtp_port, smtp_tls, smtp_user,
    /// smtp_pass, smtp_from and smtp_ca_file, as in boto's configuration [default: e-mail cannot be subscribed]
    #[arg(long, value_name = "FILE", env = "EVENKEEL_SMTP_CONFIG")]
    pub smtp_config: Option<PathBuf>,
    /// Give each request to an instance an X-Amzn-Trace-Id, and a traceparent where it has none; taken up when the load
    /// balancers' process starts
    #[arg(long, env = "EVENKEEL_TRACE_IDS")]
    pub trace_ids: bool,
    /// Send OpenTelemetry spans to this collector (OTLP over HTTP, `http://HOST[:4318][/v1/traces]`), which also turns
    /// trace ids on; taken up when the load balancers' process starts
    #[arg(long, value_name = "URL", env = "EVENKEEL_SPANS_TO")]
    pub spans_to: Option<Endpoint>,
    /// The share of requests that have a span
    #[arg(long, value_name = "0.0-1.0", env = "EVENKEEL_SPANS_SHARE", default_value = "0.01", value_parser = share)]
    pub spans_share: u32,
    /// Seconds that requests and connections may go on in the load balancers' old process once a new one has taken over;
    /// taken up when the load balancers' process starts
    #[arg(long, value_name = "SECONDS", env = "EVENKEEL_ROAD_DRAIN", default_value_t = crate::link::DRAIN.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub road_drain: u64,
    /// Refuse signatures of version 2, which clients of before 2014 make
    #[arg(long, env = "EVENKEEL_NO_SIGV2")]
    pub no_sigv2: bool,
    /// Calls that an access key may make in a second, in the long run; 0 does not limit them
    #[arg(long, value_name = "N", env = "EVENKEEL_API_RATE", default_value_t = crate::run::API_RATE)]
    pub api_rate: u32,
    /// Calls that an access key may make at once
    #[arg(long, value_name = "N", env = "EVENKEEL_API_BURST", default_value_t = crate::run::API_BURST,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub api_burst: u32,
    /// Domain under which load balancers have their names
    #[arg(long, value_name = "DOMAIN", env = "EVENKEEL_DNS_DOMAIN", default_value = "elb.evenkeel.test",
        value_parser = domain)]
    pub dns_domain: String,
    /// Address of the name server that answers for them, on UDP and TCP; `off` for none
    #[arg(long, value_name = "ADDRESS", env = "EVENKEEL_DNS_LISTEN", default_value = "127.0.0.1:5354")]
    pub dns_listen: DnsListen,
    /// Domain of your own under which each load balancer is found by its name as well: `web` as web.DOMAIN
    #[arg(long, value_name = "DOMAIN", env = "EVENKEEL_DNS_ALIAS", value_parser = domain)]
    pub dns_alias: Option<String>,
    /// Where requested certificates come from.
    #[command(flatten)]
    pub acme: AcmeServer,
}

/// Where the name server listens; nowhere for `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsListen(pub Option<SocketAddr>);

impl std::str::FromStr for DnsListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            address => address.parse().map(|at| Self(Some(at))).map_err(|_| "it must be ADDRESS:PORT, or `off`".into()),
        }
    }
}

/// A domain name: labels of 1 to 63 letters, digits and hyphens (RFC 1123 §2.1), at most 200 characters.
fn domain(text: &str) -> Result<String, String> {
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() <= 200 && name.split('.').all(good) {
        return Ok(name.to_ascii_lowercase());
    }
    Err("it must be a domain name, such as example.com".into())
}

/// A share of requests, in a million.
pub(super) fn share(text: &str) -> Result<u32, String> {
    let share = text.parse().ok().and_then(crate::config::per_million);
    share.ok_or_else(|| "it must be a number from 0.0 to 1.0".to_owned())
}

/// How the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessLog {
    /// Not at all
    Off,
    /// One JSON object a line, with the cause of each error
    Json,
    /// The line of AWS's access logs
    Aws,
}

impl AccessLog {
    /// The format, if there is to be a log.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        match self {
            Self::Off => None,
            Self::Json => Some(Format::Json),
            Self::Aws => Some(Format::Aws),
        }
    }
}

impl Up {
    /// The data directory; `None` if nothing tells where it should be.
    pub fn data_dir(&self) -> Option<PathBuf> {
        data_dir(self.data_dir.as_deref(), &process_environment)
    }

    /// The zones: those stated, else the region's a, b and c.
    pub fn zones(&self) -> Vec<String> {
        if self.zones.is_empty() {
            return ["a", "b", "c"].map(|letter| format!("{}{letter}", self.region)).into();
        }
        self.zones.clone()
    }
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("an account id has 12 digits".into())
}

/// Arguments of `evenkeel down`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel down                  instances go on running\n  evenkeel down --instances      and these end, too"
)]
pub struct Down {
    /// Terminate all instances first
    #[arg(long)]
    pub instances: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel status\n  evenkeel status --json")]
pub struct Status {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    enum Daemon {
        Up(Box<Up>),
        Down(Down),
        Status(Status),
    }

    #[test]
    fn flags_are_sound_and_defaults_as_promised() {
        Daemon::command().debug_assert();
        let Ok(Daemon::Up(up)) = Daemon::try_parse_from(["x", "up", "--region", "eu-west-1"]) else { panic!("no up") };
        assert_eq!(up.zones(), ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
        assert_eq!(up.listen, "127.0.0.1:7480".parse().unwrap());
        let Ok(Daemon::Up(up)) = Daemon::try_parse_from(["x", "up", "--zones", "a,b"]) else { panic!("no up") };
        assert_eq!(up.zones(), ["a", "b"]);
        assert_eq!(up.access_log.format(), Some(Format::Json));
        assert_eq!(up.dns_listen.0, Some("127.0.0.1:5354".parse().unwrap()));
        let Ok(Daemon::Up(up)) = Daemon::try_parse_from(["x", "up", "--access-log", "off"]) else { panic!("no up") };
        assert_eq!((up.access_log.format(), up.trace_ids, up.spans_to, up.spans_share), (None, false, None, 10_000));
        assert_eq!((up.no_sigv2, up.api_rate, up.api_burst), (false, 200, 2000));
        for bad in [
            ["--api-burst", "0"],
            ["--account", "1"],
            ["--port-shift", "70000"],
            ["--workers", "0"],
            ["--listen", "7480"],
            ["--access-log", "yes"],
            ["--dns-listen", "5354"],
            ["--dns-domain", "a..b"],
            ["--dns-alias", "-a.test"],
            ["--log-bucket", "logs"],
            ["--log-bucket", "logs=http://host"],
        ] {
            assert!(Daemon::try_parse_from(["x", "up", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
        assert!(matches!(Daemon::try_parse_from(["x", "down", "--instances"]), Ok(Daemon::Down(d)) if d.instances));
        assert!(matches!(Daemon::try_parse_from(["x", "status", "--json"]), Ok(Daemon::Status(s)) if s.json));
    }
}
