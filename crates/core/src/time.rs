//! Wall-clock time as a value. Owns [`Timestamp`] and its calendar date; must never read a clock: callers say what time it is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A moment on the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Four digits and more.
    pub year: u64,
    /// 1–12.
    pub month: u64,
    /// 1–31.
    pub day: u64,
    /// 0–23.
    pub hour: u64,
    /// 0–59.
    pub minute: u64,
    /// 0–59.
    pub second: u64,
    /// 0–999.
    pub millisecond: u64,
    /// 0–6, from Sunday.
    pub weekday: u64,
}

impl Timestamp {
    /// The moment `span` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As ISO 8601 has it, to the second, in UTC: `2026-11-27T12:34:35Z`.
    #[must_use]
    pub fn iso(self) -> String {
        let at = self.civil();
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year, at.month, at.day, at.hour, at.minute, at.second)
    }

    /// Its date and time of day, in the Gregorian calendar.
    #[must_use]
    pub fn civil(self) -> Civil {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Howard Hinnant's `civil_from_days`: years that begin in March, in eras of 400.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: millis / 3_600_000,
            minute: millis / 60_000 % 60,
            second: millis / 1000 % 60,
            millisecond: millis % 1000,
            weekday: (days + 4) % 7,
        }
    }

    /// `2019-10-02T17:20:27.937+0000`, as CloudWatch writes moments within its texts.
    #[must_use]
    pub fn rfc822(self) -> String {
        let at = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
            at.year, at.month, at.day, at.hour, at.minute, at.second, at.millisecond
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_dates() {
        let check = |seconds: u64, text: &str, weekday: u64| {
            let at = Timestamp(seconds * 1000 + 7);
            assert_eq!(at.rfc822(), format!("{text}.007+0000"));
            assert_eq!(at.iso(), format!("{text}Z"));
            assert_eq!(at.civil().weekday, weekday, "{text}");
        };
        check(0, "1970-01-01T00:00:00", 4);
        check(68_169_599, "1972-02-28T23:59:59", 1);
        check(68_169_600, "1972-02-29T00:00:00", 2);
        check(951_782_400, "2000-02-29T00:00:00", 2);
        check(1_577_836_799, "2019-12-31T23:59:59", 2);
        check(1_698_338_520, "2023-10-26T16:42:00", 4);
        check(4_107_542_400, "2100-03-01T00:00:00", 1);
        check(253_402_300_799, "9999-12-31T23:59:59", 5);
        assert!(Timestamp(u64::MAX).civil().month <= 12);
    }
}
