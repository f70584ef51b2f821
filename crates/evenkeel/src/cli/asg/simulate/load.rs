//! Load: from a file, or as it was recorded.
//!
//! Owns how both are read. Must never smooth or fill what is not there: a value holds until the next.

use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use evenkeel_aws::Time;
use evenkeel_aws::autoscaling::AutoScalingGroup;
use evenkeel_core::time::Timestamp;

use super::Simulate;
use super::policy::Measured;
use crate::cli::client::{Client, now};
use crate::cli::failure::hinted;
use crate::cli::metric::{Series, span, values};

/// The longest file that is read, in bytes: some two million lines.
const LONGEST: u64 = 64 << 20;
const DAY: i64 = 86_400;

/// A time that has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// So many seconds, up to now.
    Last(i64),
    /// From one second to before another, of the Unix epoch.
    Between(i64, i64),
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((from, to)) = text.split_once("..") else {
            let seconds = span(text).map_err(|why| format!("{why}, nor FROM..TO"))?.as_secs();
            return Ok(Self::Last(i64::try_from(seconds).map_err(|_| "too long")?));
        };
        let second = |text: &str| text.parse::<Time>().map(|at| at.0.div_euclid(1000)).map_err(|why| why.to_string());
        let (from, to) = (second(from)?, second(to)?);
        if from < to { Ok(Self::Between(from, to)) } else { Err("it ends before it begins".into()) }
    }
}

/// The lines of a CSV, in the order of their times.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        bail!("it is longer than {LONGEST} bytes");
    }
    parse(&text)
}

pub(super) fn parse(text: &str) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let mut points = Vec::new();
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let fields = line.split_once(',').map(|(at, value)| (at.trim().trim_matches('"'), value.trim()));
        let point = fields.and_then(|(at, value)| Some((moment(at)?, value.trim_matches('"').parse::<f64>().ok()?)));
        match point.filter(|(_, value)| value.is_finite() && *value >= 0.0) {
            Some(point) => points.push(point),
            // The first line may say what the others are.
            None if points.is_empty() && fields.is_some_and(|(at, _)| moment(at).is_none()) => {}
            None => bail!("line {number} is not `time,value`, as in 2026-11-27T12:00:00Z,350"),
        }
    }
    points.sort_by_key(|(at, _)| *at);
    if points.is_empty() {
        bail!("it has no line of `time,value`");
    }
    Ok(points)
}

/// RFC 3339, or seconds since the Unix epoch or any other moment.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        return (millis.is_finite() && (0.0..=1e15).contains(&millis)).then(|| Timestamp(millis.round() as u64));
    }
    let at = text.parse::<Time>().ok()?;
    u64::try_from(at.0).ok().map(Timestamp)
}

/// What was measured in a time. Members are measured each second under their group's name, so the sum of a second is what
/// they had to do together.
pub(super) fn recorded(
    args: &Simulate,
    range: &Range,
    group: Option<&AutoScalingGroup>,
    tracked: Option<Measured>,
    client: &Client,
) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let newest = now().0.div_euclid(1000) + 1;
    let (from, to) = match *range {
        Range::Last(seconds) => (newest - seconds, newest),
        Range::Between(from, to) => (from, to.min(newest)),
    };
    let usual = || Measured { metric: ("AWS/EC2".into(), "CPUUtilization".into()), on: Vec::new(), each: 1.0 };
    let stated = args.metric.clone().map(|metric| Measured { metric, ..usual() });
    let Measured { metric, mut on, each } = stated.or(tracked).unwrap_or_else(usual);
    if !args.on.is_empty() {
        on.clone_from(&args.on);
    } else if on.is_empty() {
        let balancer = metric.0 == "AWS/ELB";
        let of = match group {
            Some(group) if !balancer => Some(("AutoScalingGroupName", group.auto_scaling_group_name.clone())),
            Some(group) => group.load_balancer_names.first().map(|name| ("LoadBalancerName", name.clone())),
            None => None,
        };
        let Some((name, value)) = of else {
            let what = format!("nobody says whose {}/{} it is", metric.0, metric.1);
            return Err(hinted(what, "give `--group NAME`, or `--on NAME=VALUE` for each of its dimensions"));
        };
        on.push((name.to_owned(), value));
    }
    // As fine as it is kept: minutes for fifteen days, then five of them, then hours.
    let period = match newest - from {
        age if age <= 3 * 3600 => i64::try_from(args.period)?.min(60),
        age if age <= 15 * DAY => 60,
        age if age <= 63 * DAY => 300,
        _ => 3600,
    };
    let from = from.div_euclid(period) * period;
    let stat = args.stat.clone().unwrap_or_else(|| "Sum".into());
    let series = Series { metric, on, stat, unit: None };
    let found = values(&series, from, to, period, client)?;
    let each = if args.stat.is_none() { each / period as f64 } else { 1.0 };
    let point = |(second, value): (i64, f64)| {
        let at = u64::try_from(second).context("failed to read a time before 1970")?;
        Ok((Timestamp(at * 1000), value * each))
    };
    found.into_iter().map(point).collect()
}
