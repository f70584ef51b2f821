//! When an alarm is judged, and on which periods.
//!
//! Owns the evaluation range and its alignment. AWS slides the windows of periods of a minute and more by the minute; shorter ones
//! are slid by the second here, because that is how finely values are kept. Must never read a clock.

use crate::time::Timestamp;

/// Periods of the evaluation range beyond N: what may stand in for those that are missing. AWS's example has 5 for N = 3.
pub const SPARE: usize = 2;
/// Milliseconds that values are given to come in after the period they belong to.
pub const LAG: u64 = 1000;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// The periods of an evaluation range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the oldest begins.
    pub start: Timestamp,
    /// The length of each, in seconds.
    pub period: u32,
    /// How many.
    pub buckets: usize,
}

impl Window {
    /// The range of an alarm of `periods` periods of so many seconds, at `now`.
    #[must_use]
    pub fn at(now: Timestamp, period: u32, periods: usize) -> Self {
        let step = if period < 60 { SECOND } else { MINUTE };
        let end = now.0.saturating_sub(LAG) / step * step;
        let buckets = periods + SPARE;
        let length = u64::from(period) * SECOND * buckets as u64;
        Self { start: Timestamp(end.saturating_sub(length)), period, buckets }
    }

    /// When the period of that number, counted from 0, begins.
    #[must_use]
    pub fn begins(&self, bucket: usize) -> Timestamp {
        Timestamp(self.start.0 + u64::from(self.period) * SECOND * bucket as u64)
    }

    /// When the newest ends; it is not part of it.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.begins(self.buckets)
    }
}

/// Counts the moments at which an alarm of such a period is judged: each second where its period is shorter than a minute, else
/// each 10 s.
#[must_use]
pub fn turn(now: Timestamp, period: u32) -> u64 {
    let every = if period < 60 { SECOND } else { 10 * SECOND };
    now.0.saturating_sub(LAG) / every
}

/// Counts the moments at which an alarm's scaling actions are carried out again while its state lasts: each period of at least
/// 10 s and at most a minute (AWS: each minute).
#[must_use]
pub fn repeat(now: Timestamp, period: u32) -> u64 {
    now.0.saturating_sub(LAG) / (u64::from(period.clamp(10, 60)) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_with_the_last_minute_or_second_that_is_over() {
        let check = |now: u64, period: u32, periods: usize, start: u64, end: u64| {
            let window = Window::at(Timestamp(now), period, periods);
            assert_eq!((window.start.0, window.end().0), (start, end), "{now} {period} {periods}");
            assert_eq!(window.buckets, periods + SPARE);
        };
        check(600_999, 60, 3, 240_000, 540_000);
        check(601_000, 60, 3, 300_000, 600_000);
        check(659_000, 60, 1, 420_000, 600_000);
        // Five minutes slide by the minute.
        check(1_261_000, 300, 1, 360_000, 1_260_000);
        check(1_321_000, 300, 1, 420_000, 1_320_000);
        check(601_400, 10, 2, 560_000, 600_000);
        check(602_400, 10, 2, 561_000, 601_000);
        check(10, 60, 1, 0, 180_000);
    }

    #[test]
    fn turns_come_each_second_below_a_minute_and_each_ten_from_it() {
        let check = |period: u32, from: u64, to: u64, turns: u64| {
            assert_eq!(turn(Timestamp(to), period) - turn(Timestamp(from), period), turns, "{period}");
        };
        check(10, 101_000, 111_000, 10);
        check(59, 101_000, 111_000, 10);
        check(60, 101_000, 110_999, 0);
        check(60, 101_000, 111_000, 1);
        check(3600, 101_000, 161_000, 6);
        assert_eq!(repeat(Timestamp(61_000), 300) - repeat(Timestamp(1000), 300), 1);
        assert_eq!(repeat(Timestamp(61_000), 1) - repeat(Timestamp(1000), 1), 6);
    }
}
