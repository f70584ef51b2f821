//! Who is let in: which versions of signatures count, and how often each access key may call.
//!
//! Owns the token buckets; time is an argument of theirs. Only keys whose signature was verified have one, so nobody can
//! fill memory with names. Must never know what a call does. Next: [`super::funnel`], which asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_aws::{Dialect, Error, Versions};
use evenkeel_core::time::Timestamp;

/// Calls a second that an access key may make in the long run, when nothing else is said.
pub const RATE: u32 = 200;

/// Calls that an access key may make at once, when nothing else is said.
pub const BURST: u32 = 2000;

/// Keys that are remembered; past it those that are as good as new are forgotten.
const KEYS: usize = 1024;

/// Which signatures count, and how often a key may call.
pub struct Guard {
    /// Versions of signatures that are believed.
    pub versions: Versions,
    throttle: Throttle,
    started: Instant,
    last_used: Mutex<HashMap<String, (Timestamp, &'static str)>>,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(Versions::TwoAndFour, RATE, BURST)
    }
}

impl Guard {
    /// A guard that lets each key make `rate` calls a second, and `burst` at once; a rate of 0 lets it make any number.
    #[must_use]
    pub fn new(versions: Versions, rate: u32, burst: u32) -> Self {
        Self { versions, throttle: Throttle::new(rate, burst), started: Instant::now(), last_used: Mutex::default() }
    }

    /// Remembers that a key of a user or of root called a service. Never more keys than there may be: each verified.
    pub(super) fn note(&self, access_key_id: &str, service: &'static str, now: Timestamp) {
        let mut last_used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        match last_used.get_mut(access_key_id) {
            Some(last) => *last = (now, service),
            None => drop(last_used.insert(access_key_id.to_owned(), (now, service))),
        }
    }

    /// When a key was used last since the start, and for which service.
    pub(super) fn last_used(&self, access_key_id: &str) -> Option<(Timestamp, &'static str)> {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).copied()
    }

    /// Forgets when keys were used that are no more.
    pub(super) fn forget(&self, access_key_id: &str) {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).remove(access_key_id);
    }

    /// Counts a call by a key, in whose API's words it is refused.
    ///
    /// # Errors
    /// `Throttling`, or `RequestLimitExceeded` in EC2, when the key called too often.
    pub(super) fn admit(&self, access_key_id: &str, dialect: Dialect) -> Result<(), Error> {
        if self.throttle.take(access_key_id, self.started.elapsed()) {
            return Ok(());
        }
        Err(match dialect {
            Dialect::Ec2 => Error::receiver("RequestLimitExceeded", "Request limit exceeded.").with_status(503),
            Dialect::Query { .. } => Error::sender("Throttling", "Rate exceeded"),
        })
    }
}

/// A token bucket for each key, kept as the time at which it will be full again.
struct Throttle {
    /// Between two tokens; `None` when nothing is limited.
    pace: Option<Duration>,
    /// How long an empty bucket takes to be full.
    depth: Duration,
    full_at: Mutex<HashMap<String, Duration>>,
}

impl Throttle {
    fn new(rate: u32, burst: u32) -> Self {
        let pace = Duration::from_secs(1).checked_div(rate);
        let depth = pace.unwrap_or_default().saturating_mul(burst.max(1));
        Self { pace, depth, full_at: Mutex::default() }
    }

    /// Takes a token out of a key's bucket, if it has one.
    fn take(&self, key: &str, now: Duration) -> bool {
        let Some(pace) = self.pace else { return true };
        // A panic elsewhere cannot leave half a change here: each is one insertion.
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(key).copied().unwrap_or_default().max(now) + pace;
        if full_at - now > self.depth {
            return false;
        }
        if let Some(held) = buckets.get_mut(key) {
            *held = full_at;
            return true;
        }
        if buckets.len() >= KEYS {
            buckets.retain(|_, full_at| *full_at > now);
        }
        buckets.insert(key.to_owned(), full_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn taken(throttle: &Throttle, key: &str, tries: usize, now: Duration) -> usize {
        (0..tries).filter(|_| throttle.take(key, now)).count()
    }

    #[test]
    fn a_key_has_its_burst_then_its_rate() {
        let throttle = Throttle::new(10, 5);
        assert_eq!(taken(&throttle, "a", 20, at(0)), 5);
        assert_eq!(taken(&throttle, "b", 20, at(0)), 5, "another key has a bucket of its own");
        assert_eq!(taken(&throttle, "a", 20, at(99)), 0);
        assert_eq!(taken(&throttle, "a", 20, at(100)), 1);
        assert_eq!(taken(&throttle, "a", 20, at(350)), 2);
        assert_eq!(taken(&throttle, "a", 20, at(3_600_000)), 5, "an hour makes no more than a burst");
        let steady = (0u64..1000).filter(|call| throttle.take("a", at(3_700_000 + call * 50))).count();
        assert_eq!(steady, 500 + 4, "20 a second ask, 10 get it");
    }

    #[test]
    fn a_rate_of_0_limits_nothing_and_a_burst_of_0_is_1() {
        assert_eq!(taken(&Throttle::new(0, 0), "a", 10_000, at(0)), 10_000);
        assert_eq!(taken(&Throttle::new(1, 0), "a", 10, at(0)), 1);
        let never = Throttle::new(u32::MAX, u32::MAX);
        assert_eq!(taken(&never, "a", 100, at(0)), 100);
    }

    #[test]
    fn idle_keys_are_forgotten_and_busy_ones_are_not() {
        let throttle = Throttle::new(1, 2);
        for key in 0..KEYS {
            assert!(throttle.take(&format!("k{key}"), at(0)));
        }
        assert_eq!(taken(&throttle, "k0", 5, at(500)), 1);
        assert!(throttle.take("new", at(1500)));
        let kept = throttle.full_at.lock().unwrap();
        let mut kept: Vec<&str> = kept.keys().map(String::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["k0", "new"]);
    }

    #[test]
    fn each_api_has_its_own_words() {
        let guard = Guard::new(Versions::Four, 1, 1);
        let elb = evenkeel_aws::Api::Elb.dialect();
        assert_eq!(guard.admit("a", elb), Ok(()));
        let refused = guard.admit("a", elb).unwrap_err();
        assert_eq!((&*refused.code, &*refused.message, refused.status), ("Throttling", "Rate exceeded", 400));
        let refused = guard.admit("a", Dialect::Ec2).unwrap_err();
        assert_eq!((&*refused.code, refused.status), ("RequestLimitExceeded", 503));
    }
}
