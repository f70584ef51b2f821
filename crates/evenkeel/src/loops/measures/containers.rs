//! The loop that asks engines what containers use, every two seconds, and measures them by it as other instances are.
//!
//! Owns the asking and what is put of it: for each second since it was asked before, the mean over that time, so that what
//! is by the second for all others is so for these too. Load averages and counts of processes are not told by an engine. Next:
//! [`super::instances`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::InstanceState;
use evenkeel_core::world::World;

use super::instances::{Before, Look, Size, dimensions, of_instance};
use super::{Crew, again};
use crate::drivers::{Elsewhere, limits_for};
use crate::loops::{Statuses, seconds};
use crate::metrics::Sample;
use crate::sys::usage::Usage;

/// From one round to the next. An engine takes about 3 ms of a processor for each container.
const EVERY: Duration = Duration::from_secs(2);
/// Seconds that a mean is put for at most: over more than these it says nothing of each.
const LONGEST: i64 = 60;

/// What each container had used when it was asked about before.
#[derive(Debug, Default)]
struct Containers(BTreeMap<InstanceId, Held>);

#[derive(Debug)]
struct Held {
    root: i32,
    at: Instant,
    second: i64,
    usage: Usage,
}

/// Runs the loop; never returns.
pub async fn run(crew: Arc<Crew>, statuses: Statuses) {
    again("containers", EVERY, &statuses, move |held: &mut Containers| {
        let (told, failed): (Vec<_>, Vec<_>) = crew.driver.elsewhere().into_iter().partition(Result::is_ok);
        let samples = held.samples(&crew.keeper.world(), told.into_iter().flatten().collect(), seconds());
        if !samples.is_empty() {
            crew.metrics.put(samples);
        }
        let why = failed.into_iter().find_map(Result::err);
        why.map_or(Ok(Vec::new()), |why| Err(format!("failed to {why}")))
    })
    .await;
}

impl Containers {
    fn samples(&mut self, world: &World, seen: Vec<Elsewhere>, second: i64) -> Vec<Sample> {
        let mut samples = Vec::new();
        // One whose engine is away is gone on with when that is back.
        self.0.retain(|id, _| world.instance(id).is_some_and(|instance| instance.state == InstanceState::Running));
        for one in seen {
            let Some(instance) = world.instance(&one.instance) else { continue };
            let Some((since, held)) = self.follow(&one, second) else { continue };
            let before = held.as_ref().map(|held| Before {
                usage: &held.usage,
                span: one.at.saturating_duration_since(held.at),
                seconds: (second - since) as f64,
            });
            let size = Size::of(limits_for(&instance.instance_type), one.cpus.map(f64::from), one.memory);
            let (sets, look) = (dimensions(world, instance), Look { usage: &one.usage, before, loads: None });
            for at in since.max(second - LONGEST) + 1..=second {
                of_instance(&sets, size, look, at, &mut samples);
            }
        }
        samples
    }

    /// Remembers what was seen. After which second it is put, and what was seen before; `None` in the second of the look
    /// before, in which nothing more is put.
    fn follow(&mut self, seen: &Elsewhere, second: i64) -> Option<(i64, Option<Held>)> {
        // One that was started again counts anew, and so do we when the clock was put back.
        let is_same = |held: &&Held| held.root == seen.pid && held.usage.cpu <= seen.usage.cpu && held.second <= second;
        let last = self.0.get(&seen.instance).filter(is_same).map(|held| held.second);
        if last == Some(second) {
            return None;
        }
        let now = Held { root: seen.pid, at: seen.at, second, usage: seen.usage.clone() };
        let before = self.0.insert(seen.instance.clone(), now);
        Some((last.unwrap_or(second - 1), before.filter(|_| last.is_some())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: i32, cpu: u64) -> Elsewhere {
        let (instance, usage) =
            (InstanceId::new("i-00000001").unwrap(), Usage { cpu: Duration::from_secs(cpu), ..Usage::default() });
        Elsewhere { instance, pid, at: Instant::now(), usage, cpus: None, memory: None }
    }

    #[test]
    fn what_is_seen_goes_on_from_what_was_seen_of_the_same_start() {
        let mut containers = Containers::default();
        let mut check = |what: &Elsewhere, second: i64, expected: Option<(i64, Option<u64>)>| {
            let found = containers.follow(what, second);
            let found = found.map(|(since, before)| (since, before.map(|held| held.usage.cpu.as_secs())));
            assert_eq!(found, expected, "{what:?} in second {second}");
        };
        check(&seen(7, 1), 10, Some((9, None)));
        check(&seen(7, 2), 12, Some((10, Some(1))));
        check(&seen(7, 3), 12, None);
        check(&seen(7, 4), 13, Some((12, Some(2))));
        // Started again: by another agent, or unseen.
        check(&seen(8, 9), 15, Some((14, None)));
        check(&seen(8, 5), 17, Some((16, None)));
        // The clock was put back.
        check(&seen(8, 6), 3, Some((2, None)));
        check(&seen(8, 8), 200, Some((3, Some(6))));
    }
}
