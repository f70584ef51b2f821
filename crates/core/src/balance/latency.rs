//! Latency of late: a peak that is forgotten slowly (peak EWMA, as Finagle has it).
//!
//! Owns the arithmetic on one packed number, so that workers can share it without a lock: one that is overwritten by
//! another worker's costs one sample. Must never read a clock.

/// How long a peak counts: after as much again without a sample, half of it is left.
const MEMORY_MS: u64 = 10_000;

/// What is known after one more sample. A worse one counts at once, a better one by and by.
#[must_use]
pub fn sampled(known: u64, micros: u64, now_ms: u64) -> u64 {
    let micros = micros.clamp(1, u64::from(u32::MAX));
    let (peak, at) = unpacked(known);
    let next = if peak == 0 || micros >= peak {
        micros
    } else {
        let age = since(at, now_ms);
        peak - (peak - micros) * age / (MEMORY_MS + age)
    };
    next << 32 | now_ms & 0xffff_ffff
}

/// What counts now, in microseconds; 0 while nothing is known.
#[must_use]
pub fn at(known: u64, now_ms: u64) -> u32 {
    let (peak, at) = unpacked(known);
    if peak == 0 {
        return 0;
    }
    let left = peak * MEMORY_MS / (MEMORY_MS + since(at, now_ms));
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

fn unpacked(known: u64) -> (u64, u64) {
    (known >> 32, known & 0xffff_ffff)
}

/// Milliseconds are kept modulo 2^32, which is 49 days.
fn since(at: u64, now_ms: u64) -> u64 {
    now_ms.wrapping_sub(at) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_fade() {
        assert_eq!(at(0, 5), 0);
        let known = sampled(0, 1000, 5);
        assert_eq!(at(known, 5), 1000);
        let known = sampled(known, 50_000, 6);
        assert_eq!(at(known, 6), 50_000);
        // Half is left after ten seconds without a sample.
        assert_eq!(at(known, 10_006), 25_000);
        // Good samples bring it down by and by: in ten seconds of them by about two thirds.
        let calm = (7..10_007).fold(known, |known, now| sampled(known, 1000, now));
        assert!((15_000..25_000).contains(&at(calm, 10_007)), "{}", at(calm, 10_007));
        assert_eq!(at(sampled(known, u64::MAX, 7), 7), u32::MAX);
        assert_eq!(at(sampled(0, 0, 7), 7), 1);
    }

    #[test]
    fn the_clock_may_go_round() {
        let known = sampled(0, 1000, u64::from(u32::MAX));
        assert_eq!(at(known, u64::from(u32::MAX) + 10_000), 500);
    }
}
