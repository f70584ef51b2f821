//! Until when what is in flight on a draining target may go on.
//!
//! Owns the moments; must never read a clock. Intent names them by the wall clock, because it comes from elsewhere and is
//! kept on disk; from when it arrives they are kept in steady milliseconds, so that a step of the wall clock cuts nothing
//! early and keeps nothing longer. What is cut at such a moment, [`crate::io`] knows.

use evenkeel_core::routes::Phase;
use evenkeel_core::time::Timestamp;

/// Moments at which something is to be cut, with what it is.
#[derive(Debug)]
pub(crate) struct Cuts<T> {
    list: Vec<Cut<T>>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut<T> {
    /// In steady milliseconds.
    at: u64,
    /// The moment that intent named: it tells whether the cut still holds.
    pub(crate) until: Timestamp,
    pub(crate) what: T,
}

impl<T> Default for Cuts<T> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<T> Cuts<T> {
    /// Adds one for `until`, while the wall clock shows `wall` and the steady one `now`.
    pub(crate) fn add(&mut self, until: Timestamp, wall: Timestamp, now: u64, what: T) {
        let left = u64::try_from(until.since(wall).as_millis()).unwrap_or(u64::MAX);
        self.list.push(Cut { at: now.saturating_add(left), until, what });
    }

    /// The next moment, in steady milliseconds.
    pub(crate) fn next(&self) -> Option<u64> {
        self.list.iter().map(|cut| cut.at).min()
    }

    /// Takes out what is to be cut now.
    pub(crate) fn due(&mut self, now: u64) -> Vec<Cut<T>> {
        self.list.extract_if(.., |cut| cut.at <= now).collect()
    }
}

/// Whether a cut planned for `until` still holds: the target may have come back, or been given more time, since.
pub(crate) fn holds(planned: Timestamp, phase: Phase) -> bool {
    matches!(phase, Phase::Draining { until } if until <= planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_come_due_once_and_only_while_draining() {
        let mut cuts = Cuts::default();
        let taken = |cuts: &mut Cuts<char>, now| -> String { cuts.due(now).into_iter().map(|cut| cut.what).collect() };
        cuts.add(Timestamp(1_020), Timestamp(1_000), 0, 'b');
        cuts.add(Timestamp(1_010), Timestamp(1_000), 0, 'a');
        assert_eq!(cuts.next(), Some(10));
        assert_eq!(taken(&mut cuts, 9), "");
        assert_eq!(taken(&mut cuts, 10), "a");
        assert_eq!(taken(&mut cuts, 19), "");
        assert_eq!(taken(&mut cuts, 99), "b");
        assert_eq!(cuts.next(), None);
        assert!(holds(Timestamp(10), Phase::Draining { until: Timestamp(10) }));
        assert!(!holds(Timestamp(10), Phase::Draining { until: Timestamp(11) }));
        assert!(!holds(Timestamp(10), Phase::Serving));
    }

    #[test]
    fn what_has_passed_already_and_what_lies_at_the_end_of_time_is_a_moment_too() {
        let mut cuts = Cuts::default();
        cuts.add(Timestamp(5), Timestamp(1_000), 70, 'a');
        assert_eq!(cuts.next(), Some(70));
        cuts.add(Timestamp(u64::MAX), Timestamp(0), 70, 'b');
        assert_eq!(cuts.due(70).len(), 1);
        assert_eq!(cuts.next(), Some(u64::MAX));
    }
}
