//! The figures of a demo, and what they say about the promises.
//!
//! Owns the limits. Pure: judges figures, takes none. Next: [`super::report`], which prints both.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::traffic::{Failure, Loss, millis};

/// From registering an instance to the first request on it, at most.
const REGISTER_LIMIT: Duration = Duration::from_secs(2);
/// From an instance's death to the last request lost by it, at most.
const DEATH_LIMIT: Duration = Duration::from_secs(1);
/// From disabling a zone to the last request there, at most.
const DISABLE_LIMIT: Duration = Duration::from_millis(100);
/// How far a zone's share may be from an equal one, in percent of all.
const SHARE_LIMIT: f64 = 2.0;
/// What part of the requests that were due must have been sent for the rest to mean anything.
const PACE_LIMIT: f64 = 0.95;
/// From a load's rise until a group wants as many members as it takes, at most.
const FOLLOW_LIMIT: Duration = Duration::from_secs(15);

/// All that was counted and timed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Requests a second that were due.
    pub rate: u32,
    /// How long traffic flowed.
    #[serde(serialize_with = "millis", rename = "duration_ms")]
    pub duration: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Requests with a complete 2xx answer.
    pub answered: u64,
    /// Requests lost in planned steps.
    pub lost_planned: u64,
    /// Requests lost from the kill to the next step.
    pub lost_unplanned: u64,
    /// All losses by how.
    pub losses: BTreeMap<Loss, u64>,
    /// The first losses in words.
    pub failures: Vec<Failure>,
    /// Half of the requests took no longer.
    #[serde(serialize_with = "millis", rename = "p50_ms")]
    pub p50: Duration,
    /// Ninety-nine of a hundred requests took no longer.
    #[serde(serialize_with = "millis", rename = "p99_ms")]
    pub p99: Duration,
    /// The longest that a request took.
    #[serde(serialize_with = "millis", rename = "max_ms")]
    pub max: Duration,
    /// Answers by zone while both zones were enabled.
    pub zones: BTreeMap<String, u64>,
    /// Answers by version of the application.
    pub versions: BTreeMap<String, u64>,
    /// The instances that were added under load.
    pub registered: Vec<Registered>,
    /// The instance that was killed.
    pub kill: Option<Kill>,
    /// The zone that was disabled.
    pub disabled: Option<Disabled>,
    /// The daemon's restart.
    pub restart: Option<Restart>,
    /// The group that was scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled: Option<Scaled>,
    /// The steps and how long they took.
    pub steps: Vec<Step>,
    /// Processes that had to be killed at the end; `None` if the demo was kept.
    pub left_over: Option<usize>,
    /// Why the demo did not run to its end.
    pub stopped: Option<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it did.
    pub name: String,
    /// How long it took.
    #[serde(serialize_with = "millis", rename = "took_ms")]
    pub took: Duration,
}

/// An instance that was added under load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registered {
    /// The instance.
    pub instance: String,
    /// Its zone.
    pub zone: String,
    /// From asking for its registration to the first request on it.
    #[serde(serialize_with = "millis", rename = "first_request_ms")]
    pub first_request: Duration,
}

/// An instance that was killed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kill {
    /// The instance.
    pub instance: String,
    /// Its zone.
    pub zone: String,
    /// Processes killed.
    pub processes: usize,
    /// Requests lost whose method may be sent twice.
    pub lost_idempotent: u64,
    /// Requests lost later than a second after its death.
    pub lost_late: u64,
    /// From its death until the API said so.
    #[serde(serialize_with = "millis", rename = "noticed_ms")]
    pub noticed: Duration,
    /// From its death to the last request that it answered or that was lost; zero if none was later.
    #[serde(serialize_with = "millis", rename = "last_request_ms")]
    pub last_request: Duration,
}

/// A zone that was disabled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disabled {
    /// The zone.
    pub zone: String,
    /// From the answer to the call to the last request there; zero if none was later.
    #[serde(serialize_with = "millis", rename = "last_request_ms")]
    pub last_request: Duration,
    /// From asking to enable it again to the first request there.
    #[serde(serialize_with = "millis", rename = "back_ms")]
    pub back: Duration,
}

/// The daemon's death and return.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restart {
    /// From its death until it answered again.
    #[serde(serialize_with = "millis", rename = "away_ms")]
    pub away: Duration,
    /// Requests answered meanwhile.
    pub answered: u64,
    /// Instances that ran before.
    pub before: usize,
    /// Those of them that ran on, in the same processes, and were in service again.
    pub adopted: usize,
}

/// A group that grew with its load and shrank again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaled {
    /// Members in service at most.
    pub peak: usize,
    /// From the load's rise until the group wanted as many as it took.
    #[serde(serialize_with = "millis", rename = "decided_ms")]
    pub decided: Duration,
    /// From the load's rise until they were in service.
    #[serde(serialize_with = "millis", rename = "grown_ms")]
    pub grown: Duration,
    /// From the load's fall until one was left.
    #[serde(serialize_with = "millis", rename = "shrunk_ms")]
    pub shrunk: Duration,
    /// Requests sent to it.
    pub sent: u64,
    /// Those of them that were lost.
    pub lost: u64,
}

/// A promise and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was promised.
    pub promise: String,
    /// Whether it was kept.
    pub kept: bool,
    /// What was seen.
    pub seen: String,
}

/// What the figures say about each promise; about steps that were not reached they say nothing, but that the demo
/// stopped.
#[must_use]
pub fn judge(figures: &Figures) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut say = |promise: String, kept: bool, seen: String| verdicts.push(Verdict { promise, kept, seen });
    let lost = figures.lost_planned;
    say("no request is lost in planned steps".into(), lost == 0, format!("{lost} lost"));
    if let Some(kill) = &figures.kill {
        let seen = format!("{} lost", kill.lost_idempotent);
        let promise = "no request that may be sent twice is lost by a kill".into();
        say(promise, kill.lost_idempotent == 0, seen);
        let kept = kill.lost_late == 0 && kill.last_request <= DEATH_LIMIT;
        let seen = format!("{} lost later, the last after {}", kill.lost_late, seconds(kill.last_request));
        say(format!("none is lost later than {} after the kill", seconds(DEATH_LIMIT)), kept, seen);
    }
    let all: u64 = figures.zones.values().sum();
    if all > 0 {
        let equal = 100.0 / figures.zones.len() as f64;
        let shares = figures.zones.iter().map(|(zone, count)| (zone, *count as f64 * 100.0 / all as f64));
        let kept = figures.zones.len() == 2 && shares.clone().all(|(_, share)| (share - equal).abs() <= SHARE_LIMIT);
        let seen: Vec<String> = shares.map(|(zone, share)| format!("{zone} {share:.1} %")).collect();
        say(format!("two zones get 50 % ± {SHARE_LIMIT} each"), kept, seen.join(", "));
    }
    if let Some(slowest) = figures.registered.iter().max_by_key(|one| one.first_request) {
        let seen = format!("at most {}, on {}", seconds(slowest.first_request), slowest.instance);
        let promise = format!("a registered instance gets its first request within {}", seconds(REGISTER_LIMIT));
        say(promise, slowest.first_request <= REGISTER_LIMIT, seen);
    }
    if let Some(disabled) = &figures.disabled {
        let kept = disabled.last_request <= DISABLE_LIMIT;
        let seen = format!("the last after {}", seconds(disabled.last_request));
        say(format!("a disabled zone gets nothing after {}", seconds(DISABLE_LIMIT)), kept, seen);
    }
    if let Some(restart) = &figures.restart {
        let seen = format!("{} answered in {}", restart.answered, seconds(restart.away));
        say("traffic flows while the daemon is gone".into(), restart.answered > 0, seen);
        let seen = format!("{} of {}", restart.adopted, restart.before);
        say("the next daemon adopts all instances".into(), restart.adopted == restart.before, seen);
    }
    if let Some(scaled) = &figures.scaled {
        let seen = format!(
            "after {}, with {} in service after {}",
            seconds(scaled.decided),
            scaled.peak,
            seconds(scaled.grown)
        );
        let promise = format!("a group answers five times the load within {}", seconds(FOLLOW_LIMIT));
        say(promise, scaled.decided <= FOLLOW_LIMIT, seen);
        let seen = format!("{} of {} lost", scaled.lost, scaled.sent);
        say("no request is lost while a group grows and shrinks".into(), scaled.lost == 0, seen);
    }
    if figures.sent > 0 {
        let due = f64::from(figures.rate) * figures.duration.as_secs_f64();
        let seen = format!("{} of {due:.0} sent", figures.sent);
        say(format!("{} requests a second are sent", figures.rate), figures.sent as f64 >= due * PACE_LIMIT, seen);
    }
    if let Some(left) = figures.left_over {
        say("nothing is left behind".into(), left == 0, format!("{left} processes"));
    }
    if let Some(why) = &figures.stopped {
        say("the demo runs to its end".into(), false, why.clone());
    }
    verdicts
}

/// A duration as people read it.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        s if s == 0.0 || s >= 1.0 => format!("{s:.1} s"),
        s if s >= 0.01 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn good() -> Figures {
        Figures {
            rate: 1000,
            duration: MS(10_000),
            sent: 10_000,
            answered: 10_000,
            zones: BTreeMap::from([("a".into(), 5_000), ("b".into(), 5_000)]),
            registered: vec![Registered { instance: "i-1".into(), zone: "a".into(), first_request: MS(150) }],
            kill: Some(Kill {
                instance: "i-2".into(),
                zone: "a".into(),
                processes: 1,
                lost_idempotent: 0,
                lost_late: 0,
                noticed: MS(5),
                last_request: MS(0),
            }),
            disabled: Some(Disabled { zone: "b".into(), last_request: MS(20), back: MS(30) }),
            restart: Some(Restart { away: MS(1000), answered: 1000, before: 3, adopted: 3 }),
            scaled: Some(Scaled {
                peak: 5,
                decided: MS(5000),
                grown: MS(7000),
                shrunk: MS(30_000),
                sent: 9000,
                lost: 0,
            }),
            left_over: Some(0),
            ..Figures::default()
        }
    }

    /// Changes the good figures in one way: exactly one promise is broken, and says so in these words.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Figures), promise: &str, seen: &str) {
        let mut figures = good();
        change(&mut figures);
        let broken: Vec<Verdict> = judge(&figures).into_iter().filter(|verdict| !verdict.kept).collect();
        let words: Vec<_> = broken.iter().map(|v| (v.promise.as_str(), v.seen.as_str())).collect();
        assert_eq!(words, [(promise, seen)]);
    }

    #[test]
    fn good_figures_keep_every_promise() {
        let verdicts = judge(&good());
        assert_eq!(verdicts.len(), 12);
        assert!(verdicts.iter().all(|verdict| verdict.kept), "{verdicts:?}");
        // At the very limits, too.
        let mut figures = good();
        figures.zones = BTreeMap::from([("a".into(), 4_800), ("b".into(), 5_200)]);
        figures.registered[0].first_request = MS(2000);
        figures.disabled.as_mut().unwrap().last_request = MS(100);
        figures.kill.as_mut().unwrap().last_request = MS(1000);
        figures.sent = 9_500;
        assert!(judge(&figures).iter().all(|verdict| verdict.kept));
    }

    #[test]
    fn each_broken_promise_is_named_with_what_was_seen() {
        check(|f| f.lost_planned = 1, "no request is lost in planned steps", "1 lost");
        let kill = |change: fn(&mut Kill)| move |f: &mut Figures| change(f.kill.as_mut().unwrap());
        check(kill(|k| k.lost_idempotent = 2), "no request that may be sent twice is lost by a kill", "2 lost");
        let late = "none is lost later than 1.0 s after the kill";
        check(kill(|k| k.lost_late = 3), late, "3 lost later, the last after 0.0 s");
        check(kill(|k| k.last_request = MS(1001)), late, "0 lost later, the last after 1.0 s");
        let shares = "two zones get 50 % ± 2 each";
        check(|f| *f.zones.get_mut("a").unwrap() = 4_600, shares, "a 47.9 %, b 52.1 %");
        check(|f| f.zones.retain(|zone, _| zone == "b"), shares, "b 100.0 %");
        let late = Registered { instance: "i-3".into(), zone: "b".into(), first_request: MS(2500) };
        let promise = "a registered instance gets its first request within 2.0 s";
        check(|f| f.registered.push(late), promise, "at most 2.5 s, on i-3");
        let promise = "a disabled zone gets nothing after 100 ms";
        check(|f| f.disabled.as_mut().unwrap().last_request = MS(101), promise, "the last after 101 ms");
        let restart = |change: fn(&mut Restart)| move |f: &mut Figures| change(f.restart.as_mut().unwrap());
        let promise = "traffic flows while the daemon is gone";
        check(restart(|r| r.answered = 0), promise, "0 answered in 1.0 s");
        check(restart(|r| r.adopted = 2), "the next daemon adopts all instances", "2 of 3");
        let scaled = |change: fn(&mut Scaled)| move |f: &mut Figures| change(f.scaled.as_mut().unwrap());
        let promise = "a group answers five times the load within 15.0 s";
        check(scaled(|s| s.decided = MS(15_100)), promise, "after 15.1 s, with 5 in service after 7.0 s");
        let promise = "no request is lost while a group grows and shrinks";
        check(scaled(|s| s.lost = 1), promise, "1 of 9000 lost");
        check(|f| f.sent = 9_400, "1000 requests a second are sent", "9400 of 10000 sent");
        check(|f| f.left_over = Some(2), "nothing is left behind", "2 processes");
        check(|f| f.stopped = Some("x".into()), "the demo runs to its end", "x");
    }

    #[test]
    fn what_was_not_reached_is_not_judged() {
        let verdicts = judge(&Figures { stopped: Some("failed to start".into()), ..Figures::default() });
        let broken: Vec<_> = verdicts.iter().filter(|verdict| !verdict.kept).map(|v| v.seen.as_str()).collect();
        assert_eq!((verdicts.len(), broken), (2, vec!["failed to start"]));
    }
}
