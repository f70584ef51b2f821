//! Pieces that both kinds of line are made of: times, seconds, and text that a peer chose.
//!
//! Owns escaping. Must never let a byte through that could end a line or a quoted field.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Appends a moment as `2015-05-13T23:39:43.945958Z`; one before 1970 as 1970.
pub fn moment(at: SystemTime, out: &mut String) {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    // Writing to a String cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
}

/// The Gregorian date of a day counted from 1970-01-01: years begin in March, so that the leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_march_0 = days + 719_468;
    let (era, day_of_era) = (from_march_0 / 146_097, from_march_0 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Appends seconds with six decimals.
pub fn seconds(span: Duration, out: &mut String) {
    let _ = write!(out, "{}.{:06}", span.as_secs(), span.subsec_micros());
}

/// Appends text between quotes of an AWS line: quotes and backslashes, and all but printable ASCII, as `\xHH`.
pub fn quoted(bytes: &[u8], out: &mut String) {
    if let Some(plain) = plain(bytes) {
        return out.push_str(plain);
    }
    for byte in bytes {
        if is_plain(byte) {
            out.push(char::from(*byte));
        } else {
            hex(*byte, out);
        }
    }
}

/// Printable ASCII that needs no escape anywhere.
fn is_plain(byte: &u8) -> bool {
    matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\')
}

/// The bytes as text where all of them are plain, which is nearly always.
fn plain(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().all(is_plain) { std::str::from_utf8(bytes).ok() } else { None }
}

fn hex(byte: u8, out: &mut String) {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    out.push_str("\\x");
    out.push(digit(byte >> 4));
    out.push(digit(byte));
}

/// Appends a JSON string with its quotes; what is not UTF-8 is replaced by U+FFFD, and what a terminal could take for an
/// order is escaped.
pub fn json(bytes: &[u8], out: &mut String) {
    out.push('"');
    if let Some(plain) = plain(bytes) {
        out.push_str(plain);
        return out.push('"');
    }
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
