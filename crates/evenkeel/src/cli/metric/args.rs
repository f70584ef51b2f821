//! The arguments of `evenkeel metric`, and how metrics, dimensions and times are written.
//!
//! Must never ask the daemon. Next: [`super`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::settings::Reach;

/// Periods that are chosen from where none is stated, in seconds.
const PERIODS: [i64; 8] = [1, 5, 10, 30, 60, 300, 3600, 86_400];

/// So many values at most are shown where no period is stated.
const SHOWN: i64 = 240;

/// Seconds for which values by the second are kept.
const SECONDS_KEPT: i64 = 3 * 3600;

/// Arguments of `evenkeel metric`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel metric list --namespace AWS/ELB\n  evenkeel metric plot AWS/ELB/RequestCount --on LoadBalancerName=web --stat Sum --last 10m\n  evenkeel metric put App/Depth 12 --on Queue=mail"
)]
pub struct Metric {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with metrics.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List metrics that had data within two weeks
    #[command(visible_alias = "ls")]
    List(List),
    /// Print the values of a metric
    Get(Get),
    /// Put values of a metric of your own, measured now
    Put(Put),
    /// Draw the values of a metric, as a line of blocks or as SVG
    Plot(Plot),
}

impl Metric {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Get(args) => &args.asked.reach,
            Action::Put(args) => &args.reach,
            Action::Plot(args) => &args.asked.reach,
        }
    }
}

/// Arguments of `evenkeel metric list`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel metric list\n  evenkeel metric list --namespace AWS/EC2 --on InstanceId=i-0123456789abcdef0\n  evenkeel metric list --recent --json | jq -r '.[].name' | sort -u"
)]
pub struct List {
    /// Only those of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Only those of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only those with this dimension
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub on: Vec<(String, String)>,
    /// Only those that had data within three hours
    #[arg(long)]
    pub recent: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Which values of which metric.
#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// The metric
    #[arg(value_name = "NAMESPACE/NAME", value_parser = metric)]
    pub metric: (String, String),
    /// A dimension of it; all of them must be named
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub on: Vec<(String, String)>,
    /// What of each period: Average, Sum, Minimum, Maximum, SampleCount, p99, tm90 …
    #[arg(long, value_name = "STATISTIC", default_value = "Average")]
    pub stat: String,
    /// Only values of this unit
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// How far back: 90s, 15m, 6h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    pub last: Duration,
    /// Seconds of a period [default: such that there are at most 240]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub period: Option<i64>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel metric get`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel metric get AWS/EC2/LoadAverage1 --on InstanceId=i-0123456789abcdef0\n  evenkeel metric get AWS/ELB/Latency --on LoadBalancerName=web --stat p99 --last 1d --period 300 --json"
)]
pub struct Get {
    /// What is asked for.
    #[command(flatten)]
    pub asked: Asked,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `evenkeel metric put`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel metric put App/Depth 12 --on Queue=mail\n  evenkeel metric put App/Took 0.21 0.35 0.19 --unit Seconds --by-second"
)]
pub struct Put {
    /// The metric
    #[arg(value_name = "NAMESPACE/NAME", value_parser = metric)]
    pub metric: (String, String),
    /// What was measured
    #[arg(value_name = "VALUE", required = true, num_args = 1..=150, allow_negative_numbers = true)]
    pub values: Vec<f64>,
    /// A dimension of the metric
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub on: Vec<(String, String)>,
    /// The unit, such as Seconds, Bytes, Percent or Count/Second
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Keep it by the second for three hours, not only by the minute
    #[arg(long)]
    pub by_second: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel metric plot`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel metric plot AWS/EC2/CPUUtilization --on InstanceId=i-0123456789abcdef0\n  evenkeel metric plot AWS/ELB/Latency --on LoadBalancerName=web --stat p99 --last 1d --svg latency.svg"
)]
pub struct Plot {
    /// What is asked for.
    #[command(flatten)]
    pub asked: Asked,
    /// Write an SVG instead
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// `NAMESPACE/NAME`: the namespace may have slashes of its own.
pub(in crate::cli) fn metric(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok((namespace.into(), name.into())),
        _ => Err("not NAMESPACE/NAME, as in AWS/EC2/CPUUtilization".into()),
    }
}

pub(in crate::cli) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err("not NAME=VALUE, as in InstanceId=i-0123456789abcdef0".into()),
    }
}

/// A number and `s`, `m`, `h` or `d`, from a second to 455 days.
pub(in crate::cli) fn span(text: &str) -> Result<Duration, String> {
    const LONGEST: u64 = 455 * 86_400;
    let wrong = || "not a time such as 90s, 15m, 6h or 7d, up to 455d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// The shortest period of which so long a time has few enough, and that is kept for so long.
pub(super) fn period_for(last: i64) -> i64 {
    let fits = |period: &i64| last / period <= SHOWN && (*period >= 60 || last <= SECONDS_KEPT);
    PERIODS.into_iter().find(fits).unwrap_or(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_dimensions_and_times_are_read() {
        let of = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(metric("AWS/EC2/CPUUtilization"), of("AWS/EC2", "CPUUtilization"));
        assert_eq!(metric("App/Depth"), of("App", "Depth"));
        assert_eq!(pair("a=b=c"), of("a", "b=c"));
        for bad in ["Depth", "/Depth", "App/", ""] {
            assert!(metric(bad).is_err(), "{bad}");
        }
        for bad in ["a", "=b", "a="] {
            assert!(pair(bad).is_err(), "{bad}");
        }
        for (text, seconds) in [("90s", 90), ("15m", 900), ("6h", 21_600), ("455d", 455 * 86_400)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "s", "0s", "1", "1w", "-1s", "456d", "99999999999999999999d", "1é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_period_is_chosen_that_is_kept_and_shows_enough() {
        for (last, period) in
            [(60, 1), (240, 1), (3600, 30), (3 * 3600, 60), (6 * 3600, 300), (86_400, 3600), (20 * 86_400, 86_400)]
        {
            let found = period_for(last);
            assert_eq!(found, period, "{last}");
        }
    }
}
