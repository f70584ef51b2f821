//! Time zones by their names in the IANA database, which comes along in the binary: a schedule means the same on every
//! machine, whatever is installed there.
//!
//! Owns the look-up and the offsets. Must never guess: a name that is not in the database is none, and the machine's own zone
//! is never asked. When a recurrence is due by such clocks is [`evenkeel_core::scaling::cron`]'s to say.

use evenkeel_core::scaling::Recurrence;
use evenkeel_core::time::Timestamp;
use jiff::tz::TimeZone;

/// The clocks of a place.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Clocks at UTC, which is where AWS's schedules are that name no zone.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Those of a name such as `Europe/Berlin` or `Etc/GMT+9`, in any case; `None` where there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        // Names are letters, digits, `_`, `+`, `-` and `/`; the longest has 38.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_+-/".contains(&b);
        let good = (1..=64).contains(&name.len()) && name.bytes().all(is_name);
        let zone = good.then(|| jiff::tz::db().get(name).ok())??;
        (!zone.is_unknown()).then_some(Self(zone))
    }

    /// Its name as the database has it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// How many seconds clocks are ahead of UTC, at a moment in seconds since the epoch. Beyond the years that the database
    /// knows of, as at their end.
    #[must_use]
    pub fn offset(&self, moment: i64) -> i32 {
        let bounds = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
        let within = moment.clamp(*bounds.start(), *bounds.end());
        jiff::Timestamp::from_second(within).map_or(0, |moment| self.0.to_offset(moment).seconds())
    }

    /// When a recurrence is due next by these clocks, strictly after a moment; `None` where it never is.
    #[must_use]
    pub fn next(&self, recurrence: &Recurrence, after: Timestamp) -> Option<Timestamp> {
        recurrence.next_after(after, |moment| self.offset(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().unwrap();
        Timestamp(moment.as_millisecond().unsigned_abs())
    }

    #[track_caller]
    fn check(zone: &str, recurrence: &str, after: &str, expected: &[&str]) {
        let (zone, recurrence) = (Zone::named(zone).unwrap(), Recurrence::new(recurrence).unwrap());
        let mut now = millis(after);
        for expected in expected {
            now = zone.next(&recurrence, now).unwrap();
            assert_eq!(now, millis(expected), "{recurrence} in {}, expected {expected}", zone.name());
        }
    }

    #[test]
    fn hours_that_clocks_skip() {
        // Berlin, 26 March 2023: from 02:00 to 03:00 at 01:00 UTC.
        let expected = ["2023-03-25T01:30:00Z", "2023-03-26T01:30:00Z", "2023-03-27T00:30:00Z"];
        check("Europe/Berlin", "30 2 * * *", "2023-03-25T00:00:00Z", &expected);
        let expected = ["2023-03-26T00:30:00Z", "2023-03-26T01:30:00Z", "2023-03-26T02:30:00Z"];
        check("Europe/Berlin", "30 * * * *", "2023-03-26T00:00:00Z", &expected);
        check("Europe/Berlin", "0 9 * * *", "2023-03-25T10:00:00Z", &["2023-03-26T07:00:00Z"]);
        // Lord Howe, 1 October 2023: from 02:00 to 02:30 at 15:30 UTC, half an hour only.
        let expected = ["2023-09-30T15:35:00Z", "2023-09-30T15:40:00Z"];
        check("Australia/Lord_Howe", "5,40 2 * * *", "2023-09-30T15:00:00Z", &["2023-09-30T15:35:00Z"]);
        check("Australia/Lord_Howe", "5,10 2 * * *", "2023-09-30T15:00:00Z", &expected);
        // Apia went without 30 December 2011.
        check("Pacific/Apia", "0 12 * * *", "2011-12-29T21:00:00Z", &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"]);
    }

    #[test]
    fn hours_that_come_twice() {
        // New York, 5 November 2023: from 02:00 back to 01:00 at 06:00 UTC.
        let expected = ["2023-11-04T05:30:00Z", "2023-11-05T05:30:00Z", "2023-11-06T06:30:00Z"];
        check("America/New_York", "30 1 * * *", "2023-11-04T00:00:00Z", &expected);
        let expected = ["2023-11-05T05:30:00Z", "2023-11-05T06:30:00Z", "2023-11-05T07:30:00Z"];
        check("America/New_York", "30 * * * *", "2023-11-05T05:00:00Z", &expected);
        // Dublin, 29 October 2023: its winter is the time that is put back.
        let expected = ["2023-10-28T00:30:00Z", "2023-10-29T00:30:00Z", "2023-10-30T01:30:00Z"];
        check("Europe/Dublin", "30 1 * * *", "2023-10-27T12:00:00Z", &expected);
    }

    #[test]
    fn clocks_that_always_go_alike() {
        check("Etc/GMT+9", "0 0 * * *", "2024-01-01T00:00:00Z", &["2024-01-01T09:00:00Z"]);
        check("Asia/Kolkata", "0 0 * * *", "2024-01-01T00:00:00Z", &["2024-01-01T18:30:00Z"]);
        check("UTC", "0 0 * * *", "2024-01-01T00:00:00Z", &["2024-01-02T00:00:00Z"]);
        let utc = Zone::utc().next(&Recurrence::new("0 0 * * *").unwrap(), millis("2024-01-01T00:00:00Z"));
        assert_eq!(utc, Some(millis("2024-01-02T00:00:00Z")));
        assert_eq!(Zone::named("america/NEW_york").unwrap().name(), "America/New_York");
    }

    #[test]
    fn names_that_are_none_and_moments_beyond_all_years() {
        for name in
            ["", "Europe", "Europe/Atlantis", "Etc/Unknown", "../../etc/passwd", "Europe/Berlin\0", &"a".repeat(65)]
        {
            assert!(Zone::named(name).is_none(), "{name}");
        }
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for moment in [i64::MIN, i64::MAX] {
            assert!(berlin.offset(moment).abs() < 86_400, "{moment}");
        }
        let daily = Recurrence::new("0 0 * * *").unwrap();
        // Beyond the end of time there is nothing to come.
        assert_eq!(berlin.next(&daily, Timestamp(u64::MAX)), None);
    }
}
