//! Who is passed over for failing requests, and for how long.
//!
//! Owns the arithmetic; must never count or read a clock. Failures are counted where they happen, on the road.

use std::time::Duration;

/// The most times an ejection grows.
const LONGEST: u32 = 10;

/// An instance's last ejection, in milliseconds of any clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ejected {
    /// When it began.
    pub at: u64,
    /// When it is over.
    pub until: u64,
    /// How often it was ejected in a row.
    pub times: u32,
}

/// The next ejection: longer than the one before, unless the instance has served well for as long as it was out.
#[must_use]
pub fn next(before: Ejected, base: Duration, now: u64) -> Ejected {
    let again = before.times > 0 && now < before.until.saturating_add(before.until.saturating_sub(before.at));
    let times = if again { (before.times + 1).min(LONGEST) } else { 1 };
    let span = u64::try_from(base.as_millis()).unwrap_or(u64::MAX).saturating_mul(times.into());
    Ejected { at: now, until: now.saturating_add(span), times }
}

/// Whether one more of `live` instances of a zone may be out, when `out` of them are: at most `share` percent, one at
/// least, and never the last one.
#[must_use]
pub fn may(live: u32, out: u32, share: u8) -> bool {
    let most = (u64::from(live) * u64::from(share) / 100).max(1).min(u64::from(live.saturating_sub(1)));
    u64::from(out) < most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ejection_grows_until_the_instance_has_served_well() {
        let base = Duration::from_secs(10);
        let first = next(Ejected::default(), base, 1000);
        assert_eq!((first.until, first.times), (11_000, 1));
        let second = next(first, base, 12_000);
        assert_eq!((second.until, second.times), (32_000, 2));
        // Out for 20 s, well for 20 s: forgiven.
        assert_eq!(next(second, base, 51_999).times, 3);
        assert_eq!(next(second, base, 52_000).times, 1);
        let many = (0..50).fold(first, |ejected, _| next(ejected, base, ejected.until));
        assert_eq!((many.times, many.until - many.at), (10, 100_000));
    }

    #[test]
    fn the_last_one_is_never_out() {
        assert!(!may(0, 0, 100) && !may(1, 0, 100));
        assert!(may(2, 0, 1) && !may(2, 1, 100));
        assert!(may(10, 4, 50) && !may(10, 5, 50));
        for live in 0..40 {
            for share in 1..=100 {
                let out = (0..live).take_while(|out| may(live, *out, share)).count() as u32;
                assert!(live == 0 || out < live);
                assert!(u64::from(out) <= (u64::from(live) * u64::from(share) / 100).max(1));
            }
        }
    }
}
