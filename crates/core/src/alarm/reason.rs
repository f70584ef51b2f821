//! Why an alarm is in its state, in AWS's words and as AWS's data.
//!
//! Owns the texts of `StateReason` and the fields of `StateReasonData`, their limits among them. An alarm that states M is told of
//! "out of the last N", one that does not is not, as in AWS. Must never judge: [`super::judge`](mod@super::judge) has. Sources: CloudWatch's own
//! notifications and histories, as people publish them.

use serde::Serialize;

use super::judge::{Datapoint, Finding, Rule};
use super::window::Window;
use crate::noun::alarm::{AlarmState, MissingData};
use crate::time::Timestamp;

/// Why a new alarm is in the state that it begins with.
pub const UNCHECKED: &str = "Unchecked: Initial alarm creation";
/// Characters of a reason (AWS).
pub const MOST_REASON: usize = 1023;
/// Characters of a reason's data (AWS).
pub const MOST_DATA: usize = 4000;
/// From so many datapoints on only the newest are listed, and this many of them.
const LISTED: usize = 5;
/// Entries of each list in a reason's data: 140 bytes in both at most, so that it keeps to [`MOST_DATA`].
const MOST_ENTRIES: usize = 25;

/// Why an alarm goes into `state`, for people. `stated`: whether the alarm says what M is.
#[must_use]
pub fn text(rule: &Rule, finding: &Finding, state: AlarmState, stated: bool) -> String {
    if state == AlarmState::InsufficientData {
        return format!("Insufficient Data: {} {} unknown.", count(finding.lacking), was(finding.lacking));
    }
    let is_alarm = state == AlarmState::Alarm;
    let told: Vec<&Datapoint> =
        finding.judged.iter().filter(|p| rule.comparison.holds(p.value, rule.threshold) == is_alarm).collect();
    let treated = match (finding.lacking, rule.missing) {
        (0, _) | (_, MissingData::Missing | MissingData::Ignore) => None,
        (n, missing) => {
            let as_what = if missing == MissingData::Breaching { "Breaching" } else { "NonBreaching" };
            Some(format!("{} {} treated as [{as_what}]", missing_ones(n), was(n)))
        }
    };
    let mut text = "Threshold Crossed: ".to_owned();
    // What was not of this kind is told of only by number.
    if told.is_empty() {
        let received = match finding.judged.len() {
            0 => "no datapoints were".to_owned(),
            n => format!("{} {}", count(n), was(n)),
        };
        text += &format!("{received} received for {} {}", rule.periods, plural("period", rule.periods));
        if let Some(treated) = treated {
            text += &format!(" and {treated}");
        }
        return text + ".";
    }
    let list: Vec<String> = told.iter().take(LISTED).map(|point| shown(point)).collect();
    let (list, is_long) = (list.join(", "), told.len() >= LISTED);
    text +=
        &if stated { format!("{} out of the last {} datapoints", told.len(), rule.periods) } else { count(told.len()) };
    if !is_long {
        text += &format!(" [{list}]");
    }
    let not = if is_alarm { "" } else { "not " };
    let than = rule.comparison.words();
    text += &format!(" {} {not}{than} the threshold ({})", was(told.len()), double(rule.threshold));
    if let Some(treated) = treated {
        text += &format!(" and {treated}");
    }
    if is_long {
        let did = if is_alarm { "crossed" } else { "did not cross" };
        text += &format!(". The most recent datapoints which {did} the threshold: [{list}]");
    }
    if stated {
        let (least, way) =
            if is_alarm { (rule.to_alarm, "OK -> ALARM") } else { (rule.periods - rule.to_alarm + 1, "ALARM -> OK") };
        text += &format!(" (minimum {} for {way} transition)", count(least));
    }
    text + "."
}

fn plural(word: &str, n: usize) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

fn count(n: usize) -> String {
    format!("{n} {}", plural("datapoint", n))
}

fn missing_ones(n: usize) -> String {
    format!("{n} {}", plural("missing datapoint", n))
}

fn was(n: usize) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// `21.5 (26/10/23 16:42:00)`.
fn shown(point: &Datapoint) -> String {
    let at = point.at.civil();
    let (day, time) = ((at.day, at.month, at.year % 100), (at.hour, at.minute, at.second));
    let day = format!("{:02}/{:02}/{:02}", day.0, day.1, day.2);
    format!("{} ({day} {:02}:{:02}:{:02})", double(point.value), time.0, time.1, time.2)
}

/// A number as CloudWatch writes it in texts, which is how Java does: `81.0`, `1.5E7`.
#[must_use]
pub fn double(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// `StateReasonData`, its fields in AWS's order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonData {
    version: &'static str,
    query_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    period: u32,
    recent_datapoints: Vec<f64>,
    threshold: f64,
    evaluated_datapoints: Vec<Evaluated>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluated {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
}

/// The data of a finding. `statistic` and `unit` as the alarm states them; of lists the newest [`MOST_ENTRIES`] entries.
#[must_use]
pub fn data(
    rule: &Rule,
    finding: &Finding,
    window: &Window,
    statistic: Option<&str>,
    unit: Option<&str>,
    now: Timestamp,
) -> ReasonData {
    let judged = &finding.judged;
    let real = judged.iter().map(|p| (p.at, Some(*p)));
    // Those that stand for the missing: the newest periods without a datapoint.
    let gaps = (0..window.buckets).rev().map(|bucket| window.begins(bucket));
    let gaps = gaps.filter(|at| judged.iter().all(|p| p.at != *at)).take(finding.lacking).map(|at| (at, None));
    let mut evaluated: Vec<(Timestamp, Option<Datapoint>)> = real.chain(gaps).collect();
    evaluated.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let evaluated = evaluated.into_iter().take(MOST_ENTRIES).map(|(at, point)| Evaluated {
        timestamp: at.rfc822(),
        sample_count: point.and_then(|p| p.samples),
        value: point.map(|p| p.value),
    });
    ReasonData {
        version: "1.0",
        query_date: now.rfc822(),
        start_date: judged.last().map(|p| p.at.rfc822()),
        unit: unit.map(str::to_owned),
        statistic: statistic.map(str::to_owned),
        period: window.period,
        recent_datapoints: judged.iter().take(MOST_ENTRIES).rev().map(|p| p.value).collect(),
        threshold: rule.threshold,
        evaluated_datapoints: evaluated.collect(),
    }
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
