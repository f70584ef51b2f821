//! The sums: what the traffic's accounts say, cut at the points in time that the script marked.
//!
//! Owns which losses count as the kill's and which answers count for the zones' shares. What they are worth is
//! [`crate::demo::judge`]'s.

use std::time::Duration;

use super::Play;
use crate::demo::judge::Kill;
use crate::traffic::{Failure, Snapshot};

/// Losses told in words.
const TOLD: usize = 20;

/// Points in the traffic's time that its accounts are cut at.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// From just before the kill to the next step.
    pub kill: Option<(Duration, Duration)>,
    /// When the instance was dead.
    pub dead: Duration,
    pub killed: Option<(String, &'static str, usize)>,
    pub noticed: Duration,
    /// Just before a zone was disabled, and when it was back.
    pub disabled: Option<Snapshot>,
    pub back: Option<Snapshot>,
}

impl Play<'_> {
    pub(super) fn add_up(&mut self, end: &Snapshot) {
        let figures = &mut self.figures;
        (figures.duration, figures.sent, figures.answered) = (end.at, end.sent, end.ok);
        (figures.losses, figures.versions) = (end.failed.clone(), end.versions.clone());
        figures.failures.extend(end.failures.iter().take(TOLD).cloned());
        (figures.p50, figures.p99) = (end.latencies.quantile(0.5), end.latencies.quantile(0.99));
        figures.max = end.latencies.max();
        let by_kill = |failure: &&Failure| {
            self.marks.kill.is_some_and(|(from, until)| failure.lost >= from && failure.lost < until)
        };
        let killed: Vec<&Failure> = end.failures.iter().filter(by_kill).collect();
        figures.lost_unplanned = killed.len() as u64;
        // Those that there was no room to tell in words count as planned: nobody can say better.
        figures.lost_planned = end.lost() - figures.lost_unplanned;
        figures.zones = end.zones.clone();
        if let Some(disabled) = &self.marks.disabled {
            let back = self.marks.back.as_ref().unwrap_or(end);
            for (zone, answers) in &mut figures.zones {
                let at = |snapshot: &Snapshot| snapshot.zones.get(zone).copied().unwrap_or_default();
                *answers -= at(back) - at(disabled);
            }
        }
        let Some((instance, zone, processes)) = self.marks.killed.clone() else { return };
        let dead = self.marks.dead;
        let late = killed.iter().filter(|failure| failure.lost > dead + Duration::from_secs(1)).count();
        let lost = killed.iter().map(|failure| failure.lost).max().unwrap_or_default();
        let answered = end.instances.get(&instance).map(|seen| seen.last_sent).unwrap_or_default();
        figures.kill = Some(Kill {
            instance,
            zone: zone.into(),
            processes,
            lost_idempotent: killed.iter().filter(|failure| failure.idempotent).count() as u64,
            lost_late: late as u64,
            noticed: self.marks.noticed,
            last_request: lost.max(answered).saturating_sub(dead),
        });
    }
}
