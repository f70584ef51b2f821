//! Whether a client keeps up with its balancer's least rate, while nobody but it is waited for.
//!
//! Owns what it owes. Must never decide who is waited for, or cut: `client.rs` does, and `h2.rs` for a whole connection. What
//! a client has taken is known only as its system says that it has room again, and that comes in lumps: so of an answer one
//! lump may be owed.

use super::spans::WATCH_MS;

/// What a client's system may hold back before it says that it has room again.
pub(super) const LUMP: u64 = 64 * 1024;

/// A client's pace; nothing is kept of one that is not waited for.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Watch>);

#[derive(Clone, Copy, Debug)]
struct Watch {
    /// In the worker's milliseconds.
    since: u64,
    /// Bytes that it had moved by then.
    moved: u64,
    /// Bytes that it owed by then.
    owes: u64,
}

impl Pace {
    /// Begins to watch when the client `lags`, and ends it when it does not.
    pub(super) fn watch(&mut self, lags: bool, now: u64, moved: u64) {
        match (lags, self.0) {
            (true, None) => self.0 = Some(Watch { since: now, moved, owes: 0 }),
            (false, Some(_)) => self.0 = None,
            _ => {}
        }
    }

    /// When it is to be judged, while it is watched.
    pub(super) fn due(&self) -> Option<u64> {
        self.0.map(|watch| watch.since + WATCH_MS)
    }

    /// Whether it is time to judge, and it owes more than `spare` of the `least` bytes that it has to move in that time;
    /// otherwise it is watched on. What it moves beyond them is not kept for later.
    pub(super) fn is_behind(&mut self, now: u64, moved: u64, least: u64, spare: u64) -> bool {
        let Some(watch) = self.0.filter(|watch| now >= watch.since + WATCH_MS) else { return false };
        let owes = (watch.owes.min(spare) + least).saturating_sub(moved.saturating_sub(watch.moved));
        self.0 = Some(Watch { since: now, moved, owes });
        owes > spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves so many bytes in each span; how many spans it is let.
    fn check(least: u64, spare: u64, moves: &[u64], lasts: usize) {
        let mut pace = Pace::default();
        pace.watch(true, 5, 100);
        let (mut now, mut moved) = (5, 100);
        let judged = moves.iter().position(|moves| {
            (now, moved) = (now + WATCH_MS, moved + moves);
            assert!(!pace.is_behind(now - 1, moved, least, spare), "before its time");
            assert_eq!(pace.due(), Some(now));
            pace.is_behind(now, moved, least, spare)
        });
        assert_eq!(judged.unwrap_or(moves.len()), lasts, "{moves:?}");
    }

    #[test]
    fn each_span_counts_but_for_what_may_be_owed() {
        check(1000, 0, &[999], 0);
        check(1000, 0, &[1000, 1000, 5000, 0], 3);
        // Lumps of 600 at the right rate, and at one below.
        check(200, 600, &[0, 0, 600, 0, 0, 600, 0, 0, 600], 9);
        check(200, 600, &[0, 0, 500, 0, 0, 500, 0, 0, 500, 0, 0, 500], 10);
        check(200, 600, &[0, 0, 0, 0], 3);
        // What was moved early does not help later.
        check(200, 600, &[100_000, 0, 0, 0, 0], 4);
    }

    #[test]
    fn who_is_not_waited_for_owes_nothing() {
        let mut pace = Pace::default();
        assert!(pace.due().is_none() && !pace.is_behind(WATCH_MS, 0, 10, 0));
        pace.watch(true, 0, 0);
        assert!(!pace.is_behind(WATCH_MS, 0, 10, 10));
        pace.watch(false, WATCH_MS, 0);
        pace.watch(true, WATCH_MS + 1, 0);
        assert!(!pace.is_behind(2 * WATCH_MS + 1, 0, 10, 10));
        assert!(pace.is_behind(3 * WATCH_MS + 1, 0, 10, 10));
    }
}
