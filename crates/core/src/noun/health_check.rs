//! Health checks as configured. Owns the target's grammar (`HTTP:80/ping`) and the numbers' limits; must never
//! judge results: that is [`crate::health`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::Port;
use crate::noun::Protocol;

/// What a check speaks to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckProtocol {
    /// A connection is made and closed.
    Tcp,
    /// A TLS handshake is completed; the certificate is not verified.
    Ssl,
    /// `GET path` must answer 200.
    Http,
    /// `GET path` inside TLS must answer 200; the certificate is not verified.
    Https,
}

/// Where and how an instance is asked whether it is well: AWS's `HTTP:80/ping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthTarget {
    /// What is spoken.
    pub protocol: CheckProtocol,
    /// The port on the instance.
    pub port: Port,
    /// The path of an HTTP or HTTPS check, beginning with `/`, at most 1,024 characters; empty for TCP and SSL.
    pub path: String,
}

/// A load balancer's health check. Limits: interval 5–300 s, timeout 2–60 s and below the interval, thresholds 2–10
/// (AWS, ConfigureHealthCheck).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub target: HealthTarget,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Failures in a row that take an instance out of service.
    pub unhealthy_threshold: u32,
    /// Successes in a row that bring it back.
    pub healthy_threshold: u32,
}

/// Why a health check is refused; the texts are AWS's where they were seen live.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadHealthCheck {
    /// Not `PROTO:PORT…`.
    #[error("HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL")]
    Protocol,
    /// The port is not a number from 1 to 65535.
    #[error("HealthCheck Target port must be from 1 to 65535")]
    Port,
    /// An HTTP or HTTPS target without a path.
    #[error(
        "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash. e.g. HTTP:80/ping/this/path"
    )]
    Path,
    /// A path with a space, a control character or more than 1,024 characters.
    #[error("HealthCheck Target path must be at most 1024 visible ASCII characters")]
    PathText,
    /// Something after the port of a TCP or SSL target.
    #[error("HealthCheck TCP and SSL Targets must specify a port only. e.g. TCP:5000")]
    Trailing,
    /// Timeout at or above the interval.
    #[error("HealthCheck timeout must be less than interval")]
    TimeoutNotBelowInterval,
    /// A number outside its range.
    #[error("HealthCheck {what} must be from {low} to {high}")]
    Range {
        /// Which number.
        what: &'static str,
        /// The lowest allowed.
        low: u64,
        /// The highest allowed.
        high: u64,
    },
}

impl HealthTarget {
    /// Reads `TCP:port`, `SSL:port`, `HTTP:port/path` or `HTTPS:port/path`; the word may be in any case.
    pub fn parse(text: &str) -> Result<Self, BadHealthCheck> {
        let (word, rest) = text.split_once(':').ok_or(BadHealthCheck::Protocol)?;
        let protocol = match Protocol::parse(word).ok_or(BadHealthCheck::Protocol)? {
            Protocol::Tcp => CheckProtocol::Tcp,
            Protocol::Ssl => CheckProtocol::Ssl,
            Protocol::Http => CheckProtocol::Http,
            Protocol::Https => CheckProtocol::Https,
        };
        let wants_path = matches!(protocol, CheckProtocol::Http | CheckProtocol::Https);
        let slash = rest.find('/').unwrap_or(rest.len());
        let (port, path) = rest.split_at(slash);
        if wants_path && path.is_empty() {
            return Err(BadHealthCheck::Path);
        }
        if !wants_path && !path.is_empty() {
            return Err(BadHealthCheck::Trailing);
        }
        if path.len() > 1024 || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadHealthCheck::PathText);
        }
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(if wants_path { BadHealthCheck::Path } else { BadHealthCheck::Port });
        }
        let port = port.parse().ok().and_then(|n| Port::new(n).ok()).ok_or(BadHealthCheck::Port)?;
        Ok(Self { protocol, port, path: path.to_owned() })
    }
}

impl fmt::Display for HealthTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.protocol {
            CheckProtocol::Tcp => "TCP",
            CheckProtocol::Ssl => "SSL",
            CheckProtocol::Http => "HTTP",
            CheckProtocol::Https => "HTTPS",
        };
        write!(f, "{word}:{}{}", self.port, self.path)
    }
}

impl HealthCheck {
    /// What a new load balancer checks: TCP to `port` every 30 s, timeout 5 s, out after 2, back after 10.
    #[must_use]
    pub fn default_for(port: Port) -> Self {
        Self {
            target: HealthTarget { protocol: CheckProtocol::Tcp, port, path: String::new() },
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_threshold: 2,
            healthy_threshold: 10,
        }
    }

    /// Holds the numbers against their limits.
    pub fn validate(&self) -> Result<(), BadHealthCheck> {
        let within = |what, value: u64, low, high| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(BadHealthCheck::Range { what, low, high }) }
        };
        within("interval", self.interval.as_secs(), 5, 300)?;
        within("timeout", self.timeout.as_secs(), 2, 60)?;
        within("unhealthy threshold", self.unhealthy_threshold.into(), 2, 10)?;
        within("healthy threshold", self.healthy_threshold.into(), 2, 10)?;
        if self.timeout >= self.interval {
            return Err(BadHealthCheck::TimeoutNotBelowInterval);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        let check = |text: &str, out: Result<&str, BadHealthCheck>| {
            assert_eq!(HealthTarget::parse(text).map(|t| t.to_string()), out.map(str::to_owned), "{text}");
        };
        check("TCP:80", Ok("TCP:80"));
        check("http:8080/", Ok("HTTP:8080/"));
        check("HTTPS:443/a?b=c:d", Ok("HTTPS:443/a?b=c:d"));
        check("HTTP:80", Err(BadHealthCheck::Path));
        check("HTTP:/x", Err(BadHealthCheck::Path));
        check("HTTP:80ping", Err(BadHealthCheck::Path));
        check("TCP:80/", Err(BadHealthCheck::Trailing));
        check("TCP:0", Err(BadHealthCheck::Port));
        check("TCP:65536", Err(BadHealthCheck::Port));
        check("TCP:+80", Err(BadHealthCheck::Port));
        check("UDP:80", Err(BadHealthCheck::Protocol));
        check("", Err(BadHealthCheck::Protocol));
        check("HTTP:80/a b", Err(BadHealthCheck::PathText));
        check("HTTP:80/a\r\nX: y", Err(BadHealthCheck::PathText));
    }

    #[test]
    fn numbers_have_limits() {
        let with = |interval, timeout, out, back| HealthCheck {
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
            unhealthy_threshold: out,
            healthy_threshold: back,
            ..HealthCheck::default_for(Port::new(80).unwrap())
        };
        assert_eq!(with(30, 5, 2, 10).validate(), Ok(()));
        assert_eq!(with(5, 5, 2, 10).validate(), Err(BadHealthCheck::TimeoutNotBelowInterval));
        assert!(with(4, 2, 2, 10).validate().is_err());
        assert!(with(301, 2, 2, 10).validate().is_err());
        assert!(with(30, 1, 2, 10).validate().is_err());
        assert!(with(30, 5, 1, 10).validate().is_err());
        assert!(with(30, 5, 2, 11).validate().is_err());
    }
}
