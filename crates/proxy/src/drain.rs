//! Until when what is in flight on a draining target may go on.
//!
//! Owns the moments; must never read a clock. What is cut at such a moment, [`crate::io`] knows.

use evenkeel_core::routes::Phase;
use evenkeel_core::time::Timestamp;

/// Moments at which something is to be cut, with what it is.
#[derive(Debug)]
pub(crate) struct Cuts<T> {
    list: Vec<(Timestamp, T)>,
}

impl<T> Default for Cuts<T> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<T> Cuts<T> {
    /// Adds one.
    pub(crate) fn add(&mut self, at: Timestamp, what: T) {
        self.list.push((at, what));
    }

    /// The next moment.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.list.iter().map(|(at, _)| *at).min()
    }

    /// Takes out what is to be cut now.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<(Timestamp, T)> {
        self.list.extract_if(.., |(at, _)| *at <= now).collect()
    }
}

/// Whether a cut planned for `at` still holds: the target may have come back, or been given more time, since.
pub(crate) fn holds(at: Timestamp, phase: Phase) -> bool {
    matches!(phase, Phase::Draining { until } if until <= at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_come_due_once_and_only_while_draining() {
        let mut cuts = Cuts::default();
        cuts.add(Timestamp(20), 'b');
        cuts.add(Timestamp(10), 'a');
        assert_eq!(cuts.next(), Some(Timestamp(10)));
        assert_eq!(cuts.due(Timestamp(10)), [(Timestamp(10), 'a')]);
        assert_eq!(cuts.due(Timestamp(19)), []);
        assert_eq!(cuts.due(Timestamp(99)), [(Timestamp(20), 'b')]);
        assert_eq!(cuts.next(), None);
        assert!(holds(Timestamp(10), Phase::Draining { until: Timestamp(10) }));
        assert!(!holds(Timestamp(10), Phase::Draining { until: Timestamp(11) }));
        assert!(!holds(Timestamp(10), Phase::Serving));
    }
}
