//! Health as a state machine: results of checks in; verdicts, and when to check next, out.
//!
//! Owns the thresholds, AWS's rule that one success is enough for a newly registered instance, and our quicker pace for
//! targets that start up or are suspect. Must never make a check or read a clock: the caller says what time it is, on a
//! clock that never goes back. Who makes checks: the road's `probe`. Who words verdicts: `sightings`.
//!
//! Beyond AWS (`aws-semantics` §1.4, §1.5):
//! * A newly registered target is checked at once, then after 100 ms, doubling up to the interval, until its first
//!   success. It stays [`Health::Initial`] until it has failed for `unhealthy_threshold` × interval, the time AWS would
//!   have taken to judge it.
//! * A suspect (the road saw a connection to it refused or reset) is checked at once and then at the same quick pace.
//!   The first success of a check started after the suspicion clears it. Failures count towards the threshold as any
//!   do, and two refused or reset connections in a row settle it without waiting for the threshold: nobody listens.
//! * A verdict by suspicion is provisional: if a check passes before AWS's own thresholds could have taken the target
//!   out (`unhealthy_threshold` × interval after the suspicion), that one success brings it back. So a process that
//!   restarts in a second is away for that second, not for `healthy_threshold` × interval.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::noun::HealthCheck;
use crate::time::Timestamp;

/// The first gap of the quick pace, and the least time between the starts of two checks of one target.
pub const QUICK: Duration = Duration::from_millis(100);

/// Refused or reset connections in a row that settle a suspicion.
const SETTLED_BY: u32 = 2;

/// What the road last concluded about one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// No verdict yet: registration is still in progress.
    #[default]
    Initial,
    /// May be sent requests.
    InService,
    /// Failed as many checks in a row as its balancer allows.
    Failing,
    /// Succeeds again, but not yet as often in a row as its balancer demands.
    Recovering,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initial => "initial",
            Self::InService => "in service",
            Self::Failing => "failing",
            Self::Recovering => "recovering",
        })
    }
}

/// Why a check failed, or why a verdict changed. Its text completes "web i-… is failing: …".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// So many checks in a row passed.
    Passed {
        /// How many.
        in_a_row: u32,
    },
    /// Nobody listens on the port.
    Refused,
    /// The target reset the connection before it had answered.
    Reset,
    /// The target closed the connection before it had answered.
    Closed,
    /// No connection within the timeout.
    NoConnection {
        /// The timeout.
        within: Duration,
    },
    /// A connection, but no complete answer within the timeout.
    NoAnswer {
        /// The timeout.
        within: Duration,
    },
    /// An answer, but not 200.
    Status {
        /// The status.
        status: u16,
    },
    /// An answer that is not HTTP as the road accepts it.
    Garbled {
        /// The rule it breaks.
        rule: String,
    },
    /// The answer's head is longer than the road accepts.
    TooLong {
        /// The limit in bytes.
        limit: u32,
    },
    /// The TLS handshake failed.
    Handshake {
        /// What TLS says, at most 128 characters.
        error: String,
    },
    /// The system could not connect for a reason of the network's.
    Network {
        /// What the system says.
        error: String,
    },
    /// The target stands at another address than the one that was judged.
    Moved,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { in_a_row: 1 } => f.write_str("passed a check"),
            Self::Passed { in_a_row } => write!(f, "passed {in_a_row} checks in a row"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::Closed => f.write_str("connection closed without an answer"),
            Self::NoConnection { within } => write!(f, "no connection within {} s", within.as_secs_f64()),
            Self::NoAnswer { within } => write!(f, "no answer within {} s", within.as_secs_f64()),
            Self::Status { status } => write!(f, "status {status}, 200 wanted"),
            Self::Garbled { rule } => write!(f, "answer is not HTTP: {rule}"),
            Self::TooLong { limit } => write!(f, "answer's head is longer than {limit} bytes"),
            Self::Handshake { error } => write!(f, "TLS handshake failed: {error}"),
            Self::Network { error } => write!(f, "cannot connect: {error}"),
            Self::Moved => f.write_str("its address changed"),
        }
    }
}

impl Cause {
    /// Whether the target's machine itself said that nobody serves there: the road's own grounds for suspicion.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused | Self::Reset)
    }
}

/// One change of a verdict, as a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The verdict before.
    pub from: Health,
    /// The verdict from now on.
    pub to: Health,
    /// What the last check showed.
    pub why: Cause,
    /// When.
    pub at: Timestamp,
}

/// What is known of a target that is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The verdict.
    pub health: Health,
    /// Since when.
    pub since: Timestamp,
    /// Until when one success undoes it.
    pub provisional_until: Option<Timestamp>,
}

/// The numbers of a health check that verdicts need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// Failures in a row that take a target out.
    pub unhealthy: u32,
    /// Successes in a row that bring it back.
    pub healthy: u32,
}

impl From<&HealthCheck> for Rules {
    fn from(check: &HealthCheck) -> Self {
        Self { interval: check.interval, unhealthy: check.unhealthy_threshold, healthy: check.healthy_threshold }
    }
}

impl Rules {
    /// The soonest AWS's thresholds alone could take out a target that is dead.
    fn patience(&self) -> Duration {
        self.interval.saturating_mul(self.unhealthy)
    }
}

/// How soon after the start of one check the next one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// After this gap, which doubles up to the interval.
    Quick(Duration),
    /// After half of the interval or more, once, so that targets that came together are not checked together for ever.
    Spread,
    /// After the interval.
    Steady,
}

/// What is known of one target, and when to ask it again.
#[derive(Clone, Debug)]
pub struct Tracker {
    rules: Rules,
    /// This target's place in the interval, as a share of 65,536.
    place: u16,
    health: Health,
    since: Timestamp,
    /// When it was registered, or when what it is asked last changed: Initial's patience counts from here.
    asked_since: Timestamp,
    passed: u32,
    failed: u32,
    refused: u32,
    pace: Pace,
    last_start: Option<Timestamp>,
    due: Timestamp,
    suspect_since: Option<Timestamp>,
    /// Until then one success undoes a verdict by suspicion.
    provisional_until: Option<Timestamp>,
}

impl Tracker {
    /// A newly registered target, due at once. `place` is any number, evenly spread over targets: it says where in the
    /// interval this one is checked.
    #[must_use]
    pub fn new(rules: Rules, place: u16, now: Timestamp) -> Self {
        Self {
            rules,
            place,
            health: Health::Initial,
            since: now,
            asked_since: now,
            passed: 0,
            failed: 0,
            refused: 0,
            pace: Pace::Quick(QUICK),
            last_start: None,
            due: now,
            suspect_since: None,
            provisional_until: None,
        }
    }

    /// A target that another road has judged, and that this one takes over with its verdict: due within the interval, so
    /// that targets taken over together are not checked together. One without a verdict is as new.
    #[must_use]
    pub fn resumed(rules: Rules, place: u16, known: Known, now: Timestamp) -> Self {
        let new = Self::new(rules, place, now);
        if known.health == Health::Initial {
            return Self { since: known.since, ..new };
        }
        let due = now.plus(rules.interval * u32::from(place) / u32::from(u16::MAX));
        let Known { health, since, provisional_until } = known;
        Self { health, since, provisional_until, pace: Pace::Steady, due, ..new }
    }

    /// The verdict.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health
    }

    /// When the verdict last changed.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether a suspicion waits for a good check.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.suspect_since.is_some()
    }

    /// How much longer one success is enough to undo the verdict, because suspicion alone made it: a decision that is
    /// hard to take back, such as to replace the instance, should wait so long. `None` for a verdict by the thresholds.
    #[must_use]
    pub fn provisional_for(&self, now: Timestamp) -> Option<Duration> {
        let left = self.provisional_until?.since(now);
        (self.health == Health::Failing && !left.is_zero()).then_some(left)
    }

    /// When the next check is to start. A caller whose last check still runs starts the next one after its end.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// A check starts now. The next one is counted from here, however long this one takes.
    pub fn started(&mut self, now: Timestamp) {
        self.last_start = Some(now);
        let gap = match self.pace {
            Pace::Quick(gap) => {
                let next = gap.saturating_mul(2);
                // A hundred targets that died together are not asked together for ever either.
                self.pace = if next < self.rules.interval { Pace::Quick(next) } else { Pace::Spread };
                gap.min(self.rules.interval)
            }
            Pace::Spread => {
                self.pace = Pace::Steady;
                self.spread()
            }
            Pace::Steady => self.rules.interval,
        };
        self.due = now.plus(gap);
    }

    /// The check that was started last has a result.
    pub fn finished(&mut self, result: Result<(), Cause>, now: Timestamp) -> Option<Transition> {
        match result {
            Ok(()) => self.pass(now),
            Err(cause) => self.fail(cause, now),
        }
    }

    /// The road saw a connection refused or reset: ask at once, unless a check started within the last 100 ms.
    /// Only a target in service can be suspect; others are asked as often as they need already.
    pub fn suspect(&mut self, now: Timestamp) {
        if self.health == Health::InService && self.suspect_since.is_none() {
            self.suspect_since = Some(now);
            self.refused = 0;
            self.hurry(now);
        }
    }

    /// What is asked, or its numbers, changed: the verdict stays, counts begin anew, and the target is asked at once;
    /// then at the interval, so that a mistyped path does not empty a balancer quicker than AWS would.
    pub fn configure(&mut self, rules: Rules, now: Timestamp) {
        self.rules = rules;
        self.asked_since = now;
        (self.passed, self.failed, self.refused) = (0, 0, 0);
        self.provisional_until = None;
        self.hurry(now);
        if self.health != Health::Initial && self.suspect_since.is_none() {
            self.pace = Pace::Spread;
        }
    }

    /// The target stands somewhere else: everything known of it is void.
    pub fn moved(&mut self, now: Timestamp) -> Option<Transition> {
        let before = self.health;
        let since = self.since;
        *self = Self::new(self.rules, self.place, now);
        (self.health, self.since) = (before, since);
        (before != Health::Initial).then(|| self.turn(Health::Initial, Cause::Moved, now))
    }

    fn pass(&mut self, now: Timestamp) -> Option<Transition> {
        self.passed = self.passed.saturating_add(1);
        (self.failed, self.refused) = (0, 0);
        let started_before = |moment: Timestamp| self.last_start.is_none_or(|start| start < moment);
        if self.suspect_since.is_some_and(started_before) {
            // It connected before the road was refused: it says nothing about what happened since.
            return None;
        }
        self.suspect_since = None;
        if matches!(self.pace, Pace::Quick(_)) {
            // `started` had set the next check at the quick pace, in case this one fails.
            self.pace = Pace::Steady;
            self.due = self.last_start.unwrap_or(now).plus(self.spread()).max(now);
        }
        let provisional = self.provisional_until.take().is_some_and(|until| now < until);
        let to = match self.health {
            Health::InService => return None,
            Health::Initial => Health::InService,
            Health::Failing if provisional => Health::InService,
            Health::Failing | Health::Recovering if self.passed >= self.rules.healthy => Health::InService,
            Health::Failing => Health::Recovering,
            Health::Recovering => return None,
        };
        Some(self.turn(to, Cause::Passed { in_a_row: self.passed }, now))
    }

    fn fail(&mut self, cause: Cause, now: Timestamp) -> Option<Transition> {
        self.passed = 0;
        self.failed = self.failed.saturating_add(1);
        self.refused = if cause.is_refusal() { self.refused.saturating_add(1) } else { 0 };
        let enough = self.failed >= self.rules.unhealthy;
        match self.health {
            Health::Initial if enough && now.since(self.asked_since) >= self.rules.patience() => {}
            Health::InService if enough => {}
            Health::InService if self.suspect_since.is_some() && self.refused >= SETTLED_BY => {}
            Health::Recovering => {}
            Health::Initial | Health::InService | Health::Failing => return None,
        }
        self.provisional_until = self.suspect_since.take().map(|suspected| suspected.plus(self.rules.patience()));
        Some(self.turn(Health::Failing, cause, now))
    }

    fn turn(&mut self, to: Health, why: Cause, at: Timestamp) -> Transition {
        let from = std::mem::replace(&mut self.health, to);
        self.since = at;
        Transition { from, to, why, at }
    }

    /// Due now, and at the quick pace until a check passes.
    fn hurry(&mut self, now: Timestamp) {
        self.pace = Pace::Quick(QUICK);
        self.due = self.last_start.map_or(now, |start| start.plus(QUICK).max(now));
    }

    /// Between half of the interval and the whole, by this target's place.
    fn spread(&self) -> Duration {
        let half = self.rules.interval / 2;
        half + half * u32::from(self.place) / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests;
