//! What came of a load: answers, errors and how late the answers were.
//!
//! Owns the line that `bench/run` reads.

use std::fmt;
use std::time::Duration;

/// What came of it.
pub struct Report {
    pub answers: u64,
    pub errors: u64,
    pub span: Duration,
    pub late: Histogram,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share| self.late.quantile(share);
        let Self { answers, errors, span, .. } = self;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        let seconds = span.as_secs_f64();
        write!(
            f,
            r#"{{"answers":{answers},"errors":{errors},"seconds":{seconds},"p50_us":{p50},"p99_us":{p99},"p999_us":{p999}}}"#
        )
    }
}

/// 32 buckets for each power of two of microseconds: within 3 %.
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; 64 * 32])
    }
}

impl Histogram {
    pub fn record(&mut self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        let power = 63 - micros.leading_zeros() as u64;
        let sub = if power >= 5 { (micros >> (power - 5)) & 31 } else { (micros << (5 - power)) & 31 };
        self.0[(power * 32 + sub) as usize] += 1;
    }

    fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.0.iter().sum();
        let mut left = (total as f64 * share).ceil() as u64;
        for (index, count) in self.0.iter().enumerate() {
            if *count >= left && *count > 0 {
                let (power, sub) = (index / 32, index % 32);
                return 2f64.powi(power as i32) * (1.0 + sub as f64 / 32.0);
            }
            left -= count;
        }
        0.0
    }
}
