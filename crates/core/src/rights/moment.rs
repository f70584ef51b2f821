//! Moments as policies write them: ISO 8601 in one of the forms of the W3C's note, or seconds since the epoch.
//!
//! Owns that reading. Must never guess: a text that is no moment is none.

/// Milliseconds since the Unix epoch, before it or after.
#[must_use]
pub fn read(text: &str) -> Option<i64> {
    if !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: i64 = text.parse().ok()?;
        // A year alone is four digits, and no one means the first three hours of 1970 by it.
        return if text.len() == 4 { Some(days(seconds, 1, 1)? * DAY) } else { Some(seconds * 1000) };
    }
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    if parts.next().is_some() || (time.is_some() && date.len() != 10) {
        return None;
    }
    let midnight = days(year, month, day)? * DAY;
    time.map_or(Some(midnight), |time| Some(midnight + clock(time)?))
}

const DAY: i64 = 86_400_000;

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…`, and `Z` or `±hh:mm` behind it: milliseconds since midnight in UTC.
fn clock(text: &str) -> Option<i64> {
    let (time, offset) = match text.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let sign = match offset.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            (time, sign * minutes(offset.get(1..)?)?)
        }
    };
    let (whole, fraction) = time.split_once('.').map_or((time, None), |(whole, fraction)| (whole, Some(fraction)));
    let (until_minutes, seconds) = match whole.len() {
        5 if fraction.is_none() => (whole, 0),
        8 => (whole.get(..5)?, digits(whole.get(5..)?.strip_prefix(':')?, 2).filter(|seconds| *seconds < 60)?),
        _ => return None,
    };
    let thousandths = match fraction {
        None => 0,
        Some(f) if (1..=9).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{f:0<3}").get(..3)?.parse().ok()?
        }
        Some(_) => return None,
    };
    Some((minutes(until_minutes)? - offset) * 60_000 + seconds * 1000 + thousandths)
}

fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // The year begins in March here, so that a leap day is its last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(before + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn moments_in_every_form() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(read(text), expected, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("0", Some(0));
        check("1356998400", Some(1_356_998_400_000));
        check("2013", Some(1_356_998_400_000));
        check("2013-01", Some(1_356_998_400_000));
        check("2013-01-01", Some(1_356_998_400_000));
        check("2013-01-01T01:30+01:30", Some(1_356_998_400_000));
        check("2012-12-31T23:00:00.25-01:00", Some(1_356_998_400_250));
        check("2024-02-29T12:00:00Z", Some(1_709_208_000_000));
        check("1969-12-31T23:59:59.999Z", Some(-1));
        for bad in [
            "",
            "x",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-1-1",
            "2024-01T00:00Z",
            "2024-01-01T24:00Z",
            "2024-01-01T00:00",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T0é:00Z",
            "1234567890123",
            "2024-01-01-01",
            "+024-01-01",
            "2024-01-01T00:00.5Z",
        ] {
            check(bad, None);
        }
    }
}
