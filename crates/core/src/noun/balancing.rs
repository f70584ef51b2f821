//! How a balancer chooses among its instances, and what becomes of requests when none is free.
//!
//! Owns the settings, their defaults and their rules; one vocabulary for the proxy's file (`[balancer.balance]`) and for
//! AWS's AdditionalAttributes, where `evenkeel.balance.` stands before each key. Must never choose: [`crate::balance`] does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What stands before each key where AWS's attributes are listed.
pub const PREFIX: &str = "evenkeel.balance.";

/// The most that a target's weight may be. A weight of 0 leaves a target to the clients that stick to it already.
pub const WEIGHT_LIMIT: u16 = 256;

/// The most connections that a worker may be asked to keep ready for an instance.
pub const PRECONNECT_LIMIT: u32 = 64;

/// How instances within reach are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// As AWS does: HTTP goes to the fewest outstanding requests, TCP round robin.
    #[default]
    Aws,
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest in flight for its weight.
    LeastOutstanding,
    /// The less loaded of two that dice pick.
    PowerOfTwo,
    /// The least latency of late times what is in flight.
    LeastLatency,
    /// The same instance for the same client, header or cookie.
    ConsistentHash,
}

impl Algorithm {
    /// All, in the order in which people are told of them.
    pub const ALL: [Self; 6] = [
        Self::Aws,
        Self::RoundRobin,
        Self::LeastOutstanding,
        Self::PowerOfTwo,
        Self::LeastLatency,
        Self::ConsistentHash,
    ];

    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::RoundRobin => "round_robin",
            Self::LeastOutstanding => "least_outstanding",
            Self::PowerOfTwo => "power_of_two",
            Self::LeastLatency => "least_latency",
            Self::ConsistentHash => "consistent_hash",
        }
    }
}

/// What [`Algorithm::ConsistentHash`] hashes. A request that lacks it goes by its client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// The client's address, without its port.
    #[default]
    ClientAddress,
    /// The first header field of this name.
    Header(Arc<str>),
    /// The first cookie of this name.
    Cookie(Arc<str>),
}

impl fmt::Display for HashOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientAddress => f.write_str("client_address"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

/// When an instance that fails requests is passed over, beside what health checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ejection {
    /// Failures in a row; 0 for never, which is what AWS does.
    pub after: u32,
    /// How long the first time; each further time that much longer, up to ten times, until it has served well for as long.
    pub base: Duration,
    /// The share of a zone's live instances, in percent, that may be out at once. The last one never is.
    pub share: u8,
    /// Whether an instance's own 5xx count as failures.
    pub on_5xx: bool,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { after: 0, base: Duration::from_secs(10), share: 50, on_5xx: false }
    }
}

/// How many tries beyond the first a worker makes for a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryShare {
    /// Of the requests of the last ten seconds, in percent.
    pub percent: u8,
    /// A second, on top of the share.
    pub floor: u32,
}

impl Default for RetryShare {
    fn default() -> Self {
        Self { percent: 20, floor: 10 }
    }
}

/// All of it. Serializable with defaults, so that rows and Routes of before these settings still load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Balancing {
    /// How instances are told apart.
    pub algorithm: Algorithm,
    /// What a hash is made of.
    pub hash_on: HashOn,
    /// How long an instance that came in service takes to get its full share; zero for at once.
    pub slow_start: Duration,
    /// Requests or connections in flight on one instance at most, over all workers; 0 for no limit.
    pub max_in_flight: u32,
    /// Requests that wait on one node for an instance to be free, at most; AWS's surge queue.
    pub queue_length: u32,
    /// How long each of them waits at most.
    pub queue_wait: Duration,
    /// How long each waits at most for an instance to boot, where an auto scaling group may be empty and nobody is in service.
    pub boot_wait: Duration,
    /// Connections that each worker keeps ready to each instance, made before anybody asks; 0 for none.
    pub preconnect: u32,
    /// When an instance that fails requests is passed over.
    pub ejection: Ejection,
    /// How many tries beyond the first there may be.
    pub retries: RetryShare,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            hash_on: HashOn::default(),
            slow_start: Duration::ZERO,
            max_in_flight: 0,
            queue_length: 1024,
            queue_wait: Duration::from_secs(10),
            boot_wait: Duration::from_secs(60),
            preconnect: 0,
            ejection: Ejection::default(),
            retries: RetryShare::default(),
        }
    }
}

/// One value of [`Balancing`], to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// `algorithm`.
    Algorithm(Algorithm),
    /// `hash_on`.
    HashOn(HashOn),
    /// `slow_start`.
    SlowStart(Duration),
    /// `max_in_flight`.
    MaxInFlight(u32),
    /// `queue_length`.
    QueueLength(u32),
    /// `queue_wait`.
    QueueWait(Duration),
    /// `boot_wait`.
    BootWait(Duration),
    /// `preconnect`.
    Preconnect(u32),
    /// `eject_after`.
    EjectAfter(u32),
    /// `eject_for`.
    EjectFor(Duration),
    /// `eject_share`.
    EjectShare(u8),
    /// `eject_on_5xx`.
    EjectOn5xx(bool),
    /// `retry_share`.
    RetryShare(u8),
    /// `retry_floor`.
    RetryFloor(u32),
}

/// Why a value cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSetting {
    /// There is no such key.
    #[error("is no key of balancing")]
    Unknown,
    /// The value breaks the key's rule.
    #[error("must be {0}")]
    Rule(String),
}

impl Setting {
    /// Reads a key, without [`PREFIX`], and its value as people write them.
    pub fn parse(key: &str, value: &str) -> Result<Self, BadSetting> {
        let number = |low: u32, high: u32| {
            let read = value.parse().ok().filter(|number| (low..=high).contains(number));
            read.ok_or_else(|| BadSetting::Rule(format!("a whole number from {low} to {high}")))
        };
        let seconds = |low, high| {
            let read = number(low, high).map(|seconds| Duration::from_secs(seconds.into()));
            read.map_err(|_| BadSetting::Rule(format!("seconds, a whole number from {low} to {high}")))
        };
        let percent = |low| {
            let read = number(low, 100).ok().and_then(|percent| u8::try_from(percent).ok());
            read.ok_or_else(|| BadSetting::Rule(format!("percent, a whole number from {low} to 100")))
        };
        Ok(match key {
            "algorithm" => Self::Algorithm(algorithm(value)?),
            "hash_on" => Self::HashOn(hash_on(value)?),
            "slow_start" => Self::SlowStart(seconds(0, 900)?),
            "max_in_flight" => Self::MaxInFlight(number(0, 1_000_000)?),
            "queue_length" => Self::QueueLength(number(0, 65_536)?),
            "queue_wait" => Self::QueueWait(seconds(1, 600)?),
            "boot_wait" => Self::BootWait(seconds(1, 600)?),
            "preconnect" => Self::Preconnect(number(0, PRECONNECT_LIMIT)?),
            "eject_after" => Self::EjectAfter(number(0, 1000)?),
            "eject_for" => Self::EjectFor(seconds(1, 3600)?),
            "eject_share" => Self::EjectShare(percent(1)?),
            "eject_on_5xx" => {
                Self::EjectOn5xx(value.parse().map_err(|_| BadSetting::Rule("true or false".to_owned()))?)
            }
            "retry_share" => Self::RetryShare(percent(0)?),
            "retry_floor" => Self::RetryFloor(number(0, 10_000)?),
            _ => return Err(BadSetting::Unknown),
        })
    }
}

fn algorithm(value: &str) -> Result<Algorithm, BadSetting> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == value);
    known.ok_or_else(|| BadSetting::Rule(Algorithm::ALL.map(Algorithm::name).join(", ")))
}

fn hash_on(value: &str) -> Result<HashOn, BadSetting> {
    // RFC 9110 §5.1 and RFC 6265 §4.1.1: both names are tokens.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fits = |name: &&str| !name.is_empty() && name.len() <= 255 && name.bytes().all(is_token);
    match value.split_once(':') {
        None if value == "client_address" => Some(HashOn::ClientAddress),
        Some(("header", name)) => Some(name).filter(fits).map(|name| HashOn::Header(name.into())),
        Some(("cookie", name)) => Some(name).filter(fits).map(|name| HashOn::Cookie(name.into())),
        _ => None,
    }
    .ok_or_else(|| BadSetting::Rule("client_address, header:NAME or cookie:NAME".to_owned()))
}

impl Balancing {
    /// Sets one value.
    pub fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::Algorithm(algorithm) => self.algorithm = *algorithm,
            Setting::HashOn(what) => self.hash_on = what.clone(),
            Setting::SlowStart(span) => self.slow_start = *span,
            Setting::MaxInFlight(most) => self.max_in_flight = *most,
            Setting::QueueLength(most) => self.queue_length = *most,
            Setting::QueueWait(span) => self.queue_wait = *span,
            Setting::BootWait(span) => self.boot_wait = *span,
            Setting::Preconnect(connections) => self.preconnect = *connections,
            Setting::EjectAfter(failures) => self.ejection.after = *failures,
            Setting::EjectFor(span) => self.ejection.base = *span,
            Setting::EjectShare(percent) => self.ejection.share = *percent,
            Setting::EjectOn5xx(counts) => self.ejection.on_5xx = *counts,
            Setting::RetryShare(percent) => self.retries.percent = *percent,
            Setting::RetryFloor(tries) => self.retries.floor = *tries,
        }
    }

    /// Every key, without [`PREFIX`], and its value as people write it.
    #[must_use]
    pub fn all(&self) -> [(&'static str, String); 14] {
        let seconds = |span: Duration| span.as_secs().to_string();
        [
            ("algorithm", self.algorithm.name().to_owned()),
            ("hash_on", self.hash_on.to_string()),
            ("slow_start", seconds(self.slow_start)),
            ("max_in_flight", self.max_in_flight.to_string()),
            ("queue_length", self.queue_length.to_string()),
            ("queue_wait", seconds(self.queue_wait)),
            ("boot_wait", seconds(self.boot_wait)),
            ("preconnect", self.preconnect.to_string()),
            ("eject_after", self.ejection.after.to_string()),
            ("eject_for", seconds(self.ejection.base)),
            ("eject_share", self.ejection.share.to_string()),
            ("eject_on_5xx", self.ejection.on_5xx.to_string()),
            ("retry_share", self.retries.percent.to_string()),
            ("retry_floor", self.retries.floor.to_string()),
        ]
    }

    /// The keys whose values differ from the default's.
    #[must_use]
    pub fn stated(&self) -> Vec<(&'static str, String)> {
        self.all()
            .into_iter()
            .zip(Self::default().all())
            .filter(|(own, usual)| own != usual)
            .map(|(own, _)| own)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let texts = [
            ("algorithm", "least_latency"),
            ("hash_on", "cookie:SID"),
            ("slow_start", "30"),
            ("max_in_flight", "100"),
            ("queue_length", "0"),
            ("queue_wait", "5"),
            ("boot_wait", "120"),
            ("preconnect", "4"),
            ("eject_after", "5"),
            ("eject_for", "20"),
            ("eject_share", "10"),
            ("eject_on_5xx", "true"),
            ("retry_share", "0"),
            ("retry_floor", "3"),
        ];
        let mut balancing = Balancing::default();
        assert_eq!(balancing.stated(), []);
        for (key, value) in texts {
            balancing.set(&Setting::parse(key, value).unwrap());
        }
        assert_eq!(balancing.all().map(|(key, value)| (key, value)), texts.map(|(k, v)| (k, v.to_owned())));
        assert_eq!(balancing.stated().len(), texts.len());
        for (key, value) in Balancing::default().all() {
            balancing.set(&Setting::parse(key, &value).unwrap());
        }
        assert_eq!(balancing, Balancing::default());
        let read: Balancing = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Balancing::default());
    }

    #[test]
    fn what_breaks_a_rule_is_told_which() {
        let rule = |key: &str, value: &str| Setting::parse(key, value).unwrap_err().to_string();
        assert_eq!(rule("slow_start", "901"), "must be seconds, a whole number from 0 to 900");
        assert_eq!(rule("eject_share", "0"), "must be percent, a whole number from 1 to 100");
        assert_eq!(rule("preconnect", "65"), "must be a whole number from 0 to 64");
        assert_eq!(rule("max_in_flight", "-1"), "must be a whole number from 0 to 1000000");
        assert_eq!(rule("hash_on", "header:a b"), "must be client_address, header:NAME or cookie:NAME");
        assert!(rule("algorithm", "fastest").ends_with("power_of_two, least_latency, consistent_hash"));
        assert_eq!(Setting::parse("queue", "1"), Err(BadSetting::Unknown));
    }
}
