//! Spans: some requests as OpenTelemetry knows them, sent to a collector by OTLP over HTTP.
//!
//! Owns where they go and how many there are. Must never touch the way of a request: workers hand records over through a
//! bounded queue ([`queue`]), and one thread ([`export`]) does the rest; what a slow collector does not take is dropped
//! and counted. What a span says: [`otlp`]. Which requests have one: [`crate::proto::parent`].

pub(crate) mod export;
pub mod otlp;
pub(crate) mod queue;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The port of OTLP over HTTP (OpenTelemetry, "OTLP Exporter Configuration").
const PORT: u16 = 4318;
/// Its path for spans.
const PATH: &str = "/v1/traces";

/// Where spans go and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpansConfig {
    /// The collector.
    pub endpoint: Endpoint,
    /// How many of a million requests have a span.
    pub per_million: u32,
    /// What the road is called: `service.name`.
    pub service: String,
}

/// A collector: `http://HOST[:PORT][/PATH]`, by default port 4318 and `/v1/traces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// With the slash it begins with.
    pub path: String,
}

/// No endpoint. Completes "failed to read ENDPOINT: it …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be `http://HOST[:PORT][/PATH]`; for TLS put a collector beside the proxy")]
pub struct BadEndpoint;

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let rest = text.strip_prefix("http://").ok_or(BadEndpoint)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[').map(|inner| inner.split_once(']')) {
            Some(None) => return Err(BadEndpoint),
            Some(Some((host, after))) => (host, after.strip_prefix(':').or(after.is_empty().then_some(""))),
            None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or(BadEndpoint)? {
            "" => PORT,
            port => port.parse().map_err(|_| BadEndpoint)?,
        };
        let is_clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || port == 0 || !is_clean(host) || !is_clean(path) || host.contains(['@', '?', '#']) {
            return Err(BadEndpoint);
        }
        let path = if path.len() < 2 { PATH } else { path };
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}{path}")
        } else {
            write!(f, "http://{host}:{port}{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        let check = |text: &str, whole: &str| {
            let read: Endpoint = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(read.to_string(), whole);
            assert_eq!(whole.parse(), Ok(read));
        };
        check("http://collector", "http://collector:4318/v1/traces");
        check("http://127.0.0.1:80/", "http://127.0.0.1:80/v1/traces");
        check("http://[::1]:99/a/b", "http://[::1]:99/a/b");
        check("http://[::1]", "http://[::1]:4318/v1/traces");
        for bad in [
            "collector",
            "https://a",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:b",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
            "http://a/\r\n",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(BadEndpoint), "{bad}");
        }
    }
}
