//! What a choice looks at of each target, side by side in memory.
//!
//! Owns one word a target: how many requests or connections are in flight on it, and the reasons why it might not be chosen.
//! Sixteen words share a cache line, so that a choice among a hundred targets reads seven lines that other workers write to,
//! and not a hundred. Must never decide: what the reasons mean, [`crate::target`] knows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Intent allows no new requests.
pub(crate) const CLOSED: u32 = 1 << 31;
/// The last verdict does not.
pub(crate) const UNWELL: u32 = 1 << 30;
/// A connection to it failed; until its next good check.
pub(crate) const SUSPECT: u32 = 1 << 29;
/// It failed too many requests in a row; until its time is up.
pub(crate) const EJECTED: u32 = 1 << 28;
/// What is in flight: the rest of the word, more than a process has descriptors and streams for.
const IN_FLIGHT: u32 = EJECTED - 1;

/// Words in a cache line.
const WORDS: usize = 16;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU32; WORDS]);

/// The lines of one balancer's targets.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// Each with a bit for every word that is taken.
    lines: Mutex<Vec<(Arc<Line>, u16)>>,
}

impl Loads {
    /// A word of its own for a target that takes nothing yet. It is to be given back.
    pub(crate) fn take(&self) -> Load {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (line, taken) = match lines.iter().position(|(_, taken)| *taken != u16::MAX) {
            Some(at) => &mut lines[at],
            None => lines.push_mut(Default::default()),
        };
        let at = taken.trailing_ones() as usize;
        *taken |= 1 << at;
        line.0[at].store(CLOSED | UNWELL, Ordering::SeqCst);
        Load { line: Arc::clone(line), at }
    }

    /// Nobody looks at it any more.
    pub(crate) fn give_back(&self, load: &Load) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = lines.iter().position(|(line, _)| Arc::ptr_eq(line, &load.line)) {
            lines[at].1 &= !(1 << load.at);
            if lines[at].1 == 0 {
                lines.swap_remove(at);
            }
        }
    }
}

/// One target's word.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    line: Arc<Line>,
    at: usize,
}

impl Load {
    fn word(&self) -> &AtomicU32 {
        &self.line.0[self.at % WORDS]
    }

    /// What is in flight, and the reasons, as one look.
    pub(crate) fn look(&self) -> (u32, u32) {
        // Nothing else hangs on them, but for who waits: then `reasons` is asked.
        let word = self.word().load(Ordering::Relaxed);
        (word & IN_FLIGHT, word & !IN_FLIGHT)
    }

    /// The reasons why it might not be chosen. Sequentially consistent: see [`crate::surge::Surge::has_line`].
    pub(crate) fn reasons(&self) -> u32 {
        self.word().load(Ordering::SeqCst) & !IN_FLIGHT
    }

    /// One reason more; what there were before.
    pub(crate) fn raise(&self, reason: u32) -> u32 {
        self.word().fetch_or(reason & !IN_FLIGHT, Ordering::SeqCst)
    }

    /// One reason less; what there were before.
    pub(crate) fn lower(&self, reason: u32) -> u32 {
        self.word().fetch_and(!reason | IN_FLIGHT, Ordering::SeqCst)
    }

    /// One more in flight, where that keeps within the limit; 0 for none. Exact over all workers.
    pub(crate) fn begin(&self, limit: u32) -> bool {
        if limit == 0 {
            self.word().fetch_add(1, Ordering::SeqCst);
            return true;
        }
        let one_more = |word: u32| (word & IN_FLIGHT < limit).then_some(word + 1);
        self.word().fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// One of them is over.
    pub(crate) fn end(&self) {
        self.word().fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_their_targets_own_and_are_used_again() {
        let loads = Loads::default();
        let held: Vec<Load> = (0..40).map(|_| loads.take()).collect();
        for (n, load) in held.iter().enumerate() {
            (0..n).for_each(|_| assert!(load.begin(0)));
        }
        assert!(held.iter().enumerate().all(|(n, load)| load.look() == (n as u32, CLOSED | UNWELL)));
        let lines = || loads.lines.lock().unwrap().len();
        assert_eq!(lines(), 3);
        held[3].raise(EJECTED);
        loads.give_back(&held[3]);
        let new = loads.take();
        assert_eq!((new.look(), new.at, lines()), ((0, CLOSED | UNWELL), 3, 3));
        held.iter().for_each(|load| loads.give_back(load));
        assert_eq!(lines(), 0);
    }

    #[test]
    fn reasons_and_what_is_in_flight_do_not_meet() {
        let load = Loads::default().take();
        assert_eq!(load.lower(CLOSED) & UNWELL, UNWELL);
        assert_eq!(load.lower(UNWELL), UNWELL);
        assert!(load.begin(2) && load.begin(2) && !load.begin(2));
        assert_eq!(load.raise(SUSPECT) & SUSPECT, 0);
        assert_eq!(load.raise(SUSPECT) & SUSPECT, SUSPECT);
        assert_eq!((load.look(), load.reasons()), ((2, SUSPECT), SUSPECT));
        load.end();
        assert!(load.begin(2));
        load.lower(SUSPECT);
        load.end();
        load.end();
        assert_eq!(load.look(), (0, 0));
    }
}
