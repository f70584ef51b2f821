//! The end of a demo in words, or as one JSON document. Owns the wording; must never judge.

use std::io::{self, Write};

use serde::Serialize;

use super::End;
use super::judge::{Figures, Verdict, seconds};

/// Prints the report for people.
///
/// # Errors
/// Those of writing.
pub fn print(end: &End, out: &mut dyn Write) -> io::Result<()> {
    let figures = &end.figures;
    writeln!(out)?;
    if figures.sent > 0 {
        let (p50, p99, max) = (seconds(figures.p50), seconds(figures.p99), seconds(figures.max));
        let (sent, time) = (count(figures.sent), seconds(figures.duration));
        writeln!(out, "requests sent            {sent} in {time}; p50 {p50}, p99 {p99}, max {max}")?;
        let (planned, killed) = (count(figures.lost_planned), count(figures.lost_unplanned));
        writeln!(out, "requests lost            {planned} in planned steps, {killed} by the kill")?;
        for (loss, number) in &figures.losses {
            writeln!(out, "                         {} by {loss}", count(*number))?;
        }
        let all: u64 = figures.zones.values().sum();
        let shares = figures.zones.iter().map(|(zone, answers)| format!("{zone} {}", percent(*answers, all)));
        writeln!(out, "share per zone           {}", shares.collect::<Vec<_>>().join(", "))?;
    }
    if !figures.registered.is_empty() {
        let times: Vec<String> = figures.registered.iter().map(|one| seconds(one.first_request)).collect();
        writeln!(out, "register, first request  {}", times.join(", "))?;
    }
    if let Some(kill) = &figures.kill {
        let (last, noticed) = (seconds(kill.last_request), seconds(kill.noticed));
        writeln!(out, "death, last request      {last}; noticed after {noticed}")?;
    }
    if let Some(disabled) = &figures.disabled {
        let (last, back) = (seconds(disabled.last_request), seconds(disabled.back));
        writeln!(out, "disable, last request    {last}; enable, first request {back}")?;
    }
    if let Some(restart) = &figures.restart {
        let (away, answered) = (seconds(restart.away), count(restart.answered));
        writeln!(out, "daemon gone              {away}; {answered} requests answered meanwhile")?;
    }
    if let Some(scaled) = &figures.scaled {
        let (grown, shrunk) = (seconds(scaled.grown), seconds(scaled.shrunk));
        writeln!(
            out,
            "group 1 → {} → 1         {grown} up, {shrunk} down; {} requests",
            scaled.peak,
            count(scaled.sent)
        )?;
    }
    writeln!(out)?;
    for Verdict { promise, kept, seen } in &end.verdicts {
        writeln!(out, "{}  {promise}: {seen}", if *kept { "kept  " } else { "BROKEN" })?;
    }
    for failure in figures.failures.iter().take(5) {
        writeln!(out, "        at {}: {}", seconds(failure.lost), failure.why)?;
    }
    if let Some(dir) = &end.kept {
        let dir = quoted(&dir.display().to_string());
        writeln!(out, "\nIt is left running. To talk to it:")?;
        writeln!(out, "  eval \"$(evenkeel env --data-dir {dir})\"")?;
        for command in ["elbadmin get test", "list_instances", "addresses test"] {
            writeln!(out, "  evenkeel {command} --data-dir {dir}")?;
        }
        writeln!(out, "To end it:\n  evenkeel down --instances --data-dir {dir} && rm -r {dir}")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    #[serde(flatten)]
    figures: &'a Figures,
    promises: &'a [Verdict],
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<String>,
}

/// Prints everything as one JSON document.
///
/// # Errors
/// Those of writing.
pub fn print_json(end: &End, out: &mut dyn Write) -> anyhow::Result<()> {
    let data_dir = end.kept.as_ref().map(|dir| dir.display().to_string());
    let document = Document { ok: end.is_good(), figures: &end.figures, promises: &end.verdicts, data_dir };
    writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    Ok(())
}

/// A count with its thousands apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A part of all, in percent.
#[must_use]
pub fn percent(part: u64, all: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / all.max(1) as f64)
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn numbers_and_words_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((percent(1, 3), percent(0, 0)), ("33.3 %".into(), "0.0 %".into()));
        assert_eq!((quoted("/tmp/x-1"), quoted("/a b'c")), ("/tmp/x-1".into(), r"'/a b'\''c'".into()));
    }

    #[test]
    fn a_report_says_what_broke_and_how_to_talk_to_what_is_kept() {
        let figures = Figures { sent: 12_000, lost_planned: 3, ..Figures::default() };
        let end = End::of(figures, Some(PathBuf::from("/tmp/x")));
        let mut out = Vec::new();
        print(&end, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for words in ["12,000", "BROKEN  no request is lost in planned steps: 3 lost", "env --data-dir /tmp/x"] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        let mut out = Vec::new();
        print_json(&end, &mut out).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&read["ok"], &read["sent"], &read["data_dir"]), (&false.into(), &12_000.into(), &"/tmp/x".into()));
        assert_eq!(read["promises"][0]["kept"], false);
    }
}
