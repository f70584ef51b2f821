//! Recurrences of scheduled actions: five fields as cron(8) has them, and when they are due next.
//!
//! Owns the language and the calendar arithmetic, daylight saving time included. Must never know a time zone: its offset from
//! UTC at a moment is a function that is handed in (the house has the database). Source: crontab(5) of Vixie cron, which
//! Amazon EC2 Auto Scaling refers to.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::Timestamp;

/// The longest that a recurrence may be, in bytes (AWS).
const LONGEST: usize = 255;
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// How far ahead a day is looked for: 29 February on a given weekday comes within 40 years.
const HORIZON: i64 = 41 * 366;
/// Clocks are never put forward or back by more than this.
const SHIFT: i64 = 3 * 3600;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Why a text is no recurrence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Given recurrence string:{text} is invalid: {why}")]
pub struct BadRecurrence {
    /// The text, cut to 64 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// When something happens again and again. Kept as the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recurrence {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both fields of days are restricted, and so one that fits is enough.
    either_day: bool,
    /// It is not bound to hours of the day, and so follows time as it passes where clocks are put forward or back.
    every_hour: bool,
}

impl Recurrence {
    /// Reads `MINUTE HOUR DAY-OF-MONTH MONTH DAY-OF-WEEK`: `*`, numbers, names of months and weekdays, ranges, lists, and
    /// steps of `*` and of ranges. Sunday is 0 or 7.
    pub fn new(text: &str) -> Result<Self, BadRecurrence> {
        let bad = |why| BadRecurrence { text: text.chars().take(64).collect(), why };
        if text.len() > LONGEST {
            return Err(bad("it is longer than 255 characters"));
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(bad("it must have five fields: minute, hour, day of month, month, day of week"));
        };
        let weekday = field(weekdays, 0, 7, &WEEKDAYS).map_err(bad)?;
        Ok(Self {
            text: fields.join(" "),
            minutes: field(minutes, 0, 59, &[]).map_err(bad)?,
            hours: field(hours, 0, 23, &[]).map_err(bad)?,
            days: field(days, 1, 31, &[]).map_err(bad)?,
            months: field(months, 1, 12, &MONTHS).map_err(bad)?,
            // Sunday has two numbers.
            weekdays: (weekday | (weekday >> 7)) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
            every_hour: hours == "*",
        })
    }

    /// The recurrence as it is written, with single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it is due next, strictly after a moment, by clocks that are `offset` seconds ahead of UTC at a moment in seconds
    /// since the epoch. `None` where it never is, such as on 30 February.
    ///
    /// What is due at an hour that clocks skip happens as long after midnight as ever, so on clocks that were put forward it
    /// is seen that much later; what is due at an hour that comes twice happens once, the first time. What is due every hour
    /// follows time as it passes (Vixie cron).
    pub fn next_after(&self, moment: Timestamp, offset: impl Fn(i64) -> i32) -> Option<Timestamp> {
        let after = i64::try_from(moment.0 / 1000).ok()?;
        let offset = |moment: i64| i64::from(offset(moment));
        let local = after.saturating_add(offset(after));
        let mut found: Option<(i64, i64)> = None;
        let mut from = local - SHIFT;
        // What clocks show and time that passes can be in another order around a shift, and not beyond it.
        while let Some(shown) = self.next_shown(from, local.saturating_add(HORIZON * DAY)) {
            if found.is_some_and(|(first, _)| shown > first.saturating_add(SHIFT)) {
                break;
            }
            let due = self.moments(shown, &offset).into_iter().flatten().filter(|due| *due > after).min();
            found = match (found, due) {
                (Some((first, earliest)), Some(due)) => Some((first, earliest.min(due))),
                (None, Some(due)) => Some((shown, due)),
                (found, None) => found,
            };
            from = shown;
        }
        let (_, due) = found?;
        u64::try_from(due).ok().and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp)
    }

    /// The moments, in seconds since the epoch, at which it is due because clocks show this: one, mostly.
    fn moments(&self, shown: i64, offset: &impl Fn(i64) -> i64) -> [Option<i64>; 2] {
        // A day before and a day after: between them clocks are shifted once at most.
        let (before, after) = (offset(shown - DAY), offset(shown + DAY));
        let shows = |moment: i64| (moment + offset(moment) == shown).then_some(moment);
        match (shows(shown - before), shows(shown - after)) {
            (Some(first), Some(second)) if first != second => {
                [Some(first.min(second)), self.every_hour.then_some(first.max(second))]
            }
            (Some(moment), _) | (None, Some(moment)) => [Some(moment), None],
            (None, None) => [(!self.every_hour).then_some(shown - before), None],
        }
    }

    /// The next time that clocks show after another one, in seconds since the epoch as if it were UTC; not beyond `end`.
    fn next_shown(&self, after: i64, end: i64) -> Option<i64> {
        let start = (after.div_euclid(MINUTE) + 1) * MINUTE;
        let mut day = start.div_euclid(DAY);
        let mut minute = start.rem_euclid(DAY) / MINUTE;
        while day * DAY <= end {
            if self.has_day(day) {
                let fits = |m: &i64| holds(self.hours, m / 60) && holds(self.minutes, m % 60);
                if let Some(found) = (minute..24 * 60).find(fits) {
                    return Some(day * DAY + found * MINUTE);
                }
            }
            day += 1;
            minute = 0;
        }
        None
    }

    fn has_day(&self, day: i64) -> bool {
        let (month, in_month) = calendar(day);
        // 1 January 1970 was a Thursday.
        let weekday = holds(self.weekdays, (day + 4).rem_euclid(7));
        let in_month = holds(self.days, in_month);
        holds(self.months, month) && if self.either_day { weekday || in_month } else { weekday && in_month }
    }
}

impl TryFrom<String> for Recurrence {
    type Error = BadRecurrence;
    fn try_from(text: String) -> Result<Self, BadRecurrence> {
        Self::new(&text)
    }
}

impl From<Recurrence> for String {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.text
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn holds(set: u64, number: i64) -> bool {
    (0..64).contains(&number) && set & (1 << number) != 0
}

/// The numbers of a field, as bits.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, &'static str> {
    let number = |text: &str| -> Result<u32, &'static str> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            // Months begin at 1, and so do their names.
            Some(at) => u32::try_from(at).ok().map(|at| at + low.min(1)),
            None if !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            None => None,
        };
        let number = number.ok_or("a field has something that is neither a number nor a name")?;
        if (low..=high).contains(&number) { Ok(number) } else { Err("a number is out of its field's range") }
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step.is_some() => return Err("a step goes with `*` or a range"),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return Err("a range ends before it begins");
        }
        let step = match step {
            None => 1,
            Some(text) if !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().map_err(|_| "a step is no number")?
            }
            Some(_) => return Err("a step is no number"),
        };
        if step == 0 {
            return Err("a step must be at least 1");
        }
        for number in (first..=last).step_by(step) {
            set |= 1_u64 << number;
        }
    }
    Ok(set)
}

/// The month and the day in it of a day since 1970-01-01.
fn calendar(day: i64) -> (i64, i64) {
    // Years begin in March here, so that a leap day is the last one: 400 of them are 146,097 days.
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let in_month = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, in_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since the epoch of a text such as `2024-02-29T12:00`.
    fn at(text: &str) -> u64 {
        let moment = crate::rights::moment::read(&format!("{text}:00Z")).unwrap();
        u64::try_from(moment / 1000).unwrap()
    }

    fn utc(_: i64) -> i32 {
        0
    }

    #[track_caller]
    fn due(recurrence: &str, after: &str, offset: impl Fn(i64) -> i32, expected: Option<&str>) {
        let next = Recurrence::new(recurrence).unwrap().next_after(Timestamp(at(after) * 1000), offset);
        assert_eq!(next.map(|next| next.0 / 1000), expected.map(at), "{recurrence} after {after}");
    }

    #[test]
    fn fields_say_when() {
        let check = |recurrence: &str, after: &str, expected: &str| due(recurrence, after, utc, Some(expected));
        check("* * * * *", "2024-02-28T23:59", "2024-02-29T00:00");
        check("0 9 * * *", "2024-01-01T08:59", "2024-01-01T09:00");
        check("0 9 * * *", "2024-01-01T09:00", "2024-01-02T09:00");
        check("30 0 1 1,6,12 *", "2024-01-01T00:30", "2024-06-01T00:30");
        check("0 0 29 2 *", "2024-02-29T00:00", "2028-02-29T00:00");
        check("0 0 29 2 *", "2096-02-29T00:00", "2104-02-29T00:00");
        check("*/15 * * * *", "2024-01-01T00:31", "2024-01-01T00:45");
        check("5-59/20 8-10 * * *", "2024-01-01T10:45", "2024-01-02T08:05");
        check("0 12 * * MON-FRI", "2024-03-01T12:00", "2024-03-04T12:00");
        check("0 12 * * 7", "2024-03-01T12:00", "2024-03-03T12:00");
        check("0 12 * * 5-7", "2024-03-02T12:00", "2024-03-03T12:00");
        check("0 12 * jan,Dec *", "2024-02-01T00:00", "2024-12-01T12:00");
        // Both days restricted: either will do. 2024-03-13 is a Wednesday, the 15th a Friday.
        check("0 0 13 * 5", "2024-03-12T00:00", "2024-03-13T00:00");
        check("0 0 13 * 5", "2024-03-13T00:00", "2024-03-15T00:00");
        // A step of all of them does not restrict: both must fit.
        check("0 0 */2 * 5", "2024-03-02T00:00", "2024-03-15T00:00");
        check("  0\t0 1  1 * ", "2024-03-02T00:00", "2025-01-01T00:00");
        due("0 0 30 2 *", "2024-01-01T00:00", utc, None);
        due("0 0 31 4,6,9,11 *", "2024-01-01T00:00", utc, None);
    }

    /// Clocks as in New York in 2024: put forward at 02:00 on 10 March, back at 02:00 on 3 November.
    fn new_york(moment: i64) -> i32 {
        let summer = at("2024-03-10T07:00") as i64..at("2024-11-03T06:00") as i64;
        if summer.contains(&moment) { -4 * 3600 } else { -5 * 3600 }
    }

    #[test]
    fn clocks_that_are_put_forward_and_back() {
        let check = |recurrence: &str, after: &str, expected: &str| due(recurrence, after, new_york, Some(expected));
        check("0 9 * * *", "2024-03-09T14:00", "2024-03-10T13:00");
        check("0 9 * * *", "2024-11-02T13:00", "2024-11-03T14:00");
        // 02:30 is skipped: it is 03:30 on clocks that were put forward, and once.
        check("30 2 * * *", "2024-03-09T07:30", "2024-03-10T07:30");
        check("30 2 * * *", "2024-03-10T07:30", "2024-03-11T06:30");
        // 01:30 comes twice, and only the first one counts.
        check("30 1 * * *", "2024-11-02T05:30", "2024-11-03T05:30");
        check("30 1 * * *", "2024-11-03T05:30", "2024-11-04T06:30");
        // What is due every hour is due every hour.
        check("30 * * * *", "2024-03-10T06:30", "2024-03-10T07:30");
        check("30 * * * *", "2024-11-03T05:30", "2024-11-03T06:30");
        check("30 * * * *", "2024-11-03T06:30", "2024-11-03T07:30");
        check("0,30 2,3 * * *", "2024-03-10T06:59", "2024-03-10T07:00");
        check("0,30 2,3 * * *", "2024-03-10T07:00", "2024-03-10T07:30");
        check("0,30 2,3 * * *", "2024-03-10T07:30", "2024-03-11T06:00");
    }

    #[test]
    fn texts_that_are_none() {
        let check = |text: &str| assert!(Recurrence::new(text).is_err(), "{text}");
        for text in [
            "",
            "*",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 0 *",
            "* * * 13 *",
            "* * * * 8",
            "5/2 * * * *",
            "*/0 * * * *",
            "*/ * * * *",
            "5-1 * * * *",
            "1-2-3 * * * *",
            "a * * * *",
            "* * * foo *",
            "* * * * sunday",
            "-1 * * * *",
            "1, * * * *",
            "+1 * * * *",
            "* * mon * *",
            "@daily",
            "* * * * fri-mon",
            "99999999999999999999 * * * *",
            "*/é * * * *",
        ] {
            check(text);
        }
        check(&format!("{} * * * *", ["1"; 200].join(",")));
        let kept: Recurrence = serde_json::from_str("\"0  9 * * mon\"").unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), "\"0 9 * * mon\"");
        assert!(serde_json::from_str::<Recurrence>("\"x\"").is_err());
    }
}
