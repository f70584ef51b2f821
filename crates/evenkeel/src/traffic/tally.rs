//! What became of the requests: counts, losses in words, who answered, how long it took.
//!
//! Owns the accounting: each request is sent once and ends once, as answered or as lost. Reads no clock: times are
//! since the start of the traffic, and are given. Next: [`super::sender`], which counts; [`Snapshot`], which is read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::answer::Origin;

/// Losses kept in words by each sender; those beyond are only counted.
const KEPT: usize = 1000;
/// Parts that each power of two of microseconds is divided into: latencies are told with 6 % precision.
const PARTS: usize = 16;
/// Latencies from 2^36 µs on, 19 hours, are not told apart.
const BUCKETS: usize = PARTS * 33;

/// How a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// There was no address to send it to.
    NoAddress,
    /// Nobody listens there.
    Refused,
    /// No connection for another reason.
    NoConnection,
    /// The connection was reset, or could not be written to.
    Reset,
    /// The connection ended before the whole answer was there.
    Cut,
    /// Connection and answer took longer than the limit.
    Timeout,
    /// What came back is not an HTTP/1.1 answer by the rules.
    Malformed,
    /// A complete 2xx answer with a body that cannot be this request's.
    WrongBody,
    /// A complete answer with a status that is not 2xx.
    Status(u16),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "no address",
            Self::Refused => "connection refused",
            Self::NoConnection => "no connection",
            Self::Reset => "connection reset",
            Self::Cut => "answer cut short",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed answer",
            Self::WrongBody => "wrong body",
            Self::Status(status) => return write!(f, "status {status}"),
        })
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One request that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How.
    pub loss: Loss,
    /// In words.
    pub why: String,
    /// The address that it was sent to, if there was one.
    pub to: Option<SocketAddr>,
    /// Whether it had a method that may be sent twice.
    pub idempotent: bool,
    /// When it was begun, since the start of the traffic.
    #[serde(serialize_with = "millis", rename = "sent_ms")]
    pub sent: Duration,
    /// When it was lost, since the start of the traffic.
    #[serde(serialize_with = "millis", rename = "lost_ms")]
    pub lost: Duration,
}

/// Writes a duration as milliseconds with three decimals.
///
/// # Errors
/// The serializer's.
pub fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1e3)
}

/// What was seen of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its zone.
    pub zone: String,
    /// Its version.
    pub version: String,
    /// Its answers.
    pub answers: u64,
    /// When the first request that it answered was begun.
    pub first_sent: Duration,
    /// When its first answer was there.
    pub first: Duration,
    /// When the last request that it answered was begun.
    pub last_sent: Duration,
    /// When its last answer was there.
    pub last: Duration,
}

/// Latencies: from when a request was due, so that one that had to wait for its turn counts the wait.
#[derive(Clone, PartialEq, Eq)]
pub struct Latencies {
    buckets: Vec<u64>,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], max: Duration::ZERO }
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:?}, p99 {:?}, max {:?}", self.quantile(0.5), self.quantile(0.99), self.max)
    }
}

impl Latencies {
    /// The latency that a share (0 to 1) of the answered requests did not exceed, to 6 %; zero when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut passed = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            passed += count;
            if *count > 0 && passed >= wanted {
                return upper(at).min(self.max);
            }
        }
        Duration::ZERO
    }

    /// The longest latency since the start.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Those added since an earlier state of the same. Its maximum is the whole time's.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { buckets, max: self.max }
    }

    fn add(&mut self, latency: Duration) {
        self.buckets[bucket(latency)] += 1;
        self.max = self.max.max(latency);
    }

    fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, count)| *sum += count);
        self.max = self.max.max(other.max);
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    let Some(power) = micros.max(1).ilog2().checked_sub(4) else { return micros as usize };
    let part = (micros >> power) as usize - PARTS;
    (PARTS * (power as usize + 1) + part).min(BUCKETS - 1)
}

fn upper(bucket: usize) -> Duration {
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    let micros = if power == 0 { part as u64 + 1 } else { ((PARTS + part + 1) as u64) << (power - 1) };
    Duration::from_micros(micros)
}

/// What has become of the requests so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When this was so, since the start of the traffic.
    pub at: Duration,
    /// Requests begun.
    pub sent: u64,
    /// Requests with a complete 2xx answer.
    pub ok: u64,
    /// Requests lost, by how.
    pub failed: BTreeMap<Loss, u64>,
    /// The first losses in words, by the time they were lost.
    pub failures: Vec<Failure>,
    /// Connections made.
    pub connections: u64,
    /// Answers by zone; answers that do not say who they are from are not in this nor in the next two.
    pub zones: BTreeMap<String, u64>,
    /// Answers by version.
    pub versions: BTreeMap<String, u64>,
    /// What was seen of each instance.
    pub instances: BTreeMap<String, Seen>,
    /// How long answered requests took.
    pub latencies: Latencies,
}

impl Snapshot {
    /// Requests lost, of all kinds.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Requests that have not ended yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.ok + self.lost())
    }
}

/// One sender's part of the accounts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    part: Snapshot,
}

impl Tally {
    pub fn sent(&mut self) {
        self.part.sent += 1;
    }

    pub fn connected(&mut self) {
        self.part.connections += 1;
    }

    /// A request that was due, begun and answered at these times.
    pub fn answered(&mut self, origin: Option<&Origin>, due: Duration, sent: Duration, now: Duration) {
        self.part.ok += 1;
        self.part.latencies.add(now.saturating_sub(due));
        let Some(origin) = origin else { return };
        let instances = &mut self.part.instances;
        if let Some(seen) = instances.get_mut(&origin.instance) {
            seen.answers += 1;
            (seen.last_sent, seen.last) = (seen.last_sent.max(sent), seen.last.max(now));
            return;
        }
        let (zone, version) = (origin.zone.clone(), origin.version.clone());
        let seen = Seen { zone, version, answers: 1, first_sent: sent, first: now, last_sent: sent, last: now };
        instances.insert(origin.instance.clone(), seen);
    }

    pub fn lost(&mut self, failure: Failure) {
        *self.part.failed.entry(failure.loss).or_default() += 1;
        if self.part.failures.len() < KEPT {
            self.part.failures.push(failure);
        }
    }

    /// Adds this part to a whole.
    pub fn add_to(&self, whole: &mut Snapshot) {
        let part = &self.part;
        whole.sent += part.sent;
        whole.ok += part.ok;
        whole.connections += part.connections;
        for (loss, count) in &part.failed {
            *whole.failed.entry(*loss).or_default() += count;
        }
        whole.failures.extend_from_slice(&part.failures);
        whole.latencies.merge(&part.latencies);
        for (id, seen) in &part.instances {
            *whole.zones.entry(seen.zone.clone()).or_default() += seen.answers;
            *whole.versions.entry(seen.version.clone()).or_default() += seen.answers;
            let sum = whole.instances.entry(id.clone()).or_insert_with(|| Seen { answers: 0, ..seen.clone() });
            sum.answers += seen.answers;
            sum.first_sent = sum.first_sent.min(seen.first_sent);
            sum.first = sum.first.min(seen.first);
            sum.last_sent = sum.last_sent.max(seen.last_sent);
            sum.last = sum.last.max(seen.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_within_6_percent() {
        for micros in [0, 1, 15, 16, 17, 31, 32, 1000, 1023, 1024, 65_535, 1_000_000, 3_600_000_000] {
            let upper = upper(bucket(Duration::from_micros(micros))).as_micros() as u64;
            assert!(
                upper > micros && upper as f64 <= (micros as f64 * 1.0626).max(micros as f64 + 1.0),
                "{micros} {upper}"
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        assert!((50..54).contains(&latencies.quantile(0.5).as_millis()));
        assert_eq!(
            (latencies.quantile(1.0), latencies.max()),
            (Duration::from_millis(100), Duration::from_millis(100))
        );
        let before = latencies.clone();
        latencies.add(Duration::from_millis(7));
        assert!((7..8).contains(&latencies.since(&before).quantile(0.5).as_millis()));
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let ms = Duration::from_millis;
        let origin = |id: &str| Origin { instance: id.into(), zone: "a".into(), version: "v1".into() };
        let (mut one, mut two) = (Tally::default(), Tally::default());
        one.sent();
        one.answered(Some(&origin("i-1")), ms(1), ms(2), ms(9));
        two.sent();
        two.answered(Some(&origin("i-1")), ms(3), ms(3), ms(4));
        two.sent();
        let failure =
            Failure { loss: Loss::Status(503), why: "x".into(), to: None, idempotent: true, sent: ms(5), lost: ms(6) };
        two.lost(failure);
        let mut whole = Snapshot::default();
        one.add_to(&mut whole);
        two.add_to(&mut whole);
        assert_eq!((whole.sent, whole.ok, whole.lost(), whole.in_flight()), (3, 2, 1, 0));
        assert_eq!((whole.zones["a"], whole.versions["v1"]), (2, 2));
        let seen = &whole.instances["i-1"];
        assert_eq!((seen.answers, seen.first_sent, seen.first), (2, ms(2), ms(4)));
        assert_eq!((seen.last_sent, seen.last), (ms(3), ms(9)));
        assert_eq!(whole.latencies.max(), ms(8));
    }
}
