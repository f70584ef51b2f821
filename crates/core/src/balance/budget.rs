//! How many tries beyond the first a worker may make, so that an outage is not multiplied.
//!
//! Owns the window. Must never decide whether a try is safe: the road's table of faults does; this only says whether it
//! may still be afforded.

use crate::noun::RetryShare;

/// Seconds that count.
const WINDOW: usize = 10;

/// Requests and tries beyond their first, of the last ten seconds, second by second.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    seconds: [(u32, u32); WINDOW],
    at: u64,
}

impl Budget {
    /// A request began.
    pub fn request(&mut self, now_ms: u64) {
        let second = self.turned(now_ms);
        second.0 = second.0.saturating_add(1);
    }

    /// Whether one may be tried again now; if so, that is counted.
    pub fn retry(&mut self, share: RetryShare, now_ms: u64) -> bool {
        self.turned(now_ms);
        let sum = |of: fn(&(u32, u32)) -> u32| self.seconds.iter().map(|second| u64::from(of(second))).sum::<u64>();
        let most = sum(|s| s.0) * u64::from(share.percent) / 100 + u64::from(share.floor) * WINDOW as u64;
        let may = sum(|s| s.1) < most;
        let second = self.turned(now_ms);
        second.1 = second.1.saturating_add(u32::from(may));
        may
    }

    /// The second that it is, with those gone by forgotten.
    fn turned(&mut self, now_ms: u64) -> &mut (u32, u32) {
        let now = now_ms / 1000;
        if now > self.at {
            let gone = usize::try_from(now - self.at).unwrap_or(WINDOW).min(WINDOW);
            for back in 0..gone as u64 {
                self.seconds[((now - back) % WINDOW as u64) as usize] = (0, 0);
            }
            self.at = now;
        }
        &mut self.seconds[(self.at % WINDOW as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_stay_within_a_share_of_late_requests() {
        let share = RetryShare { percent: 20, floor: 0 };
        let mut budget = Budget::default();
        assert!(!budget.retry(share, 0));
        (0..1000).for_each(|ms| budget.request(ms));
        assert_eq!((0..1000).filter(|_| budget.retry(share, 1000)).count(), 200);
        // What was ten seconds ago is forgotten, both requests and tries.
        assert!(!budget.retry(share, 9_999));
        (0..100).for_each(|_| budget.request(10_500));
        assert!(!budget.retry(share, 10_600));
        assert_eq!((0..100).filter(|_| budget.retry(share, 11_000)).count(), 20);
    }

    #[test]
    fn a_floor_lets_the_few_try() {
        let share = RetryShare { percent: 0, floor: 2 };
        let mut budget = Budget::default();
        assert_eq!((0..100).filter(|_| budget.retry(share, 1)).count(), 20);
        assert!(!budget.retry(share, 9_000));
        assert_eq!((0..100).filter(|_| budget.retry(share, 11_000)).count(), 20);
        // A clock far ahead costs no more than the window.
        assert!(budget.retry(share, u64::MAX / 2));
    }
}
