//! Points in time as AWS writes them.
//!
//! Never reads a clock: now is always an argument. Next: [`crate::sigv4`], the only part that compares times.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since the Unix epoch, UTC.
///
/// Written `YYYY-MM-DDTHH:MM:SS.mmmZ`, the one form that boto 2, boto3 and the AWS CLI all read. Read with or without
/// a fraction (digits past milliseconds are dropped), with `Z`, an offset, or nothing at all, which means UTC as boto 2
/// sends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// The name under which a time goes into and out of a [`crate::document::Document`], as milliseconds.
pub(crate) const MILLIS: &str = "Time";

/// The text is not a time that AWS would accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ISO 8601 time like 2024-01-01T00:00:00Z")]
pub struct BadTime(String);

impl Time {
    /// `YYYYMMDDTHHMMSSZ`, the form of `x-amz-date`.
    pub fn basic(self) -> String {
        let t = self.civil();
        format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second())
    }

    /// Reads `YYYYMMDDTHHMMSSZ`, and nothing else.
    pub fn from_basic(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 16 || b[8] != b'T' || b[15] != b'Z' {
            return None;
        }
        let number = |from: usize, to: usize| {
            b[from..to]
                .iter()
                .try_fold(0i16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
        };
        let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
        let time = DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, small(13)?, 0).ok()?;
        Some(Self(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
    }

    /// Reads the value of an HTTP `Date` header (RFC 9110 §5.6.7, the preferred form and RFC 2822's relatives).
    pub fn from_http_date(text: &str) -> Option<Self> {
        let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Self(zoned.timestamp().as_millisecond()))
    }

    /// Moved by `seconds`, forward or back; stops at the ends of `i64`.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    fn civil(self) -> DateTime {
        // jiff ends at the year 9999; a time past it is written as the last one there is.
        let limit = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        TimeZone::UTC.to_datetime(Timestamp::from_millisecond(self.0).unwrap_or(limit))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = || BadTime(text.chars().take(64).collect());
        // The date must be there in full: jiff alone would accept a bare time.
        if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad());
        }
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Self(timestamp.as_millisecond()));
        }
        let civil: DateTime = text.parse().map_err(|_| bad())?;
        let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| bad())?;
        Ok(Self(zoned.timestamp().as_millisecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct(MILLIS, &self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(de::Error::custom);
        }
        struct Millis;
        impl de::Visitor<'_> for Millis {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_i64<E>(self, millis: i64) -> Result<Time, E> {
                Ok(Time(millis))
            }
        }
        deserializer.deserialize_newtype_struct(MILLIS, Millis)
    }
}

/// A time without a fraction, written `YYYY-MM-DDTHH:MM:SSZ`: the only form in which boto 2 reads the times of data points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WholeSeconds(Time);

impl WholeSeconds {
    /// The second in which a time is.
    pub fn of(time: Time) -> Self {
        Self(Time(time.0.saturating_sub(time.0.rem_euclid(1000))))
    }

    /// The time at which the second begins.
    pub fn time(self) -> Time {
        self.0
    }
}

impl fmt::Display for WholeSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.civil();
        let (date, clock) = ((t.year(), t.month(), t.day()), (t.hour(), t.minute(), t.second()));
        write!(f, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2)
    }
}

impl Serialize for WholeSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for WholeSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Time::deserialize(deserializer).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let check = |text: &str, millis: i64| assert_eq!(text.parse(), Ok(Time(millis)), "{text}");
        check("1970-01-01T00:00:00Z", 0);
        check("2024-01-01T01:02:03.456000Z", 1_704_070_923_456);
        check("2024-01-01T01:02:03", 1_704_070_923_000);
        check("2024-01-01T01:02:03.456789", 1_704_070_923_456);
        check("2024-01-01T02:02:03+01:00", 1_704_070_923_000);
        for bad in ["", "now", "2024-13-01T00:00:00Z", "01:02:03", "9999999999999"] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn writes_milliseconds_and_z() {
        assert_eq!(Time(1_704_070_923_456).to_string(), "2024-01-01T01:02:03.456Z");
        assert_eq!(Time(1_704_070_923_456).basic(), "20240101T010203Z");
        assert_eq!(Time::from_basic("20240101T010203Z"), Some(Time(1_704_070_923_000)));
        assert_eq!(Time::from_basic("20241301T010203Z"), None);
        assert_eq!(Time::from_basic("2024010ÄT10203Z"), None);
        assert_eq!(Time::from_http_date("Mon, 01 Jan 2024 01:02:03 GMT"), Some(Time(1_704_070_923_000)));
    }

    #[test]
    fn whole_seconds_have_no_fraction() {
        let second = WholeSeconds::of(Time(1_704_070_923_999));
        assert_eq!((second.to_string().as_str(), second.time()), ("2024-01-01T01:02:03Z", Time(1_704_070_923_000)));
        assert_eq!(WholeSeconds::of(Time(-1)).to_string(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for millis in [i64::MIN, i64::MAX, -1] {
            assert!(Time(millis).to_string().ends_with('Z'));
            assert!(WholeSeconds::of(Time(millis)).to_string().ends_with('Z'));
        }
    }
}
