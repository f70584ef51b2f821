//! Target tracking: the two alarms that belong to a policy, and the capacity at which its metric would be at its target.
//!
//! Owns those shapes and that arithmetic. Must never evaluate an alarm: its state is an argument of
//! [`crate::scaling::decide`](mod@crate::scaling::decide), which also says what several policies come to together. Source: Amazon EC2 Auto Scaling user
//! guide, "Target tracking scaling policies"; the alarms' numbers are those that AWS makes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scaling::decide::Behavior;
use crate::scaling::step::Side;

/// The low alarm goes off below this share of the target, so that a group at its target does not go up and down.
const LOW_SHARE: f64 = 0.9;
/// How many periods in a row the high alarm takes, at least.
const HIGH_PERIODS: u32 = 3;
/// How many periods in a row the low alarm takes, at least.
const LOW_PERIODS: u32 = 15;
/// The longest that an alarm looks back.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The period of a metric that states none.
pub const USUAL_PERIOD: Duration = Duration::from_secs(60);
/// Differences below this share are rounding errors of the arithmetic, not load.
const NOISE: f64 = 1e-9;

/// Metrics that a policy may name without describing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredefinedMetricType {
    /// The group's mean CPU utilization.
    #[serde(rename = "ASGAverageCPUUtilization")]
    AsgAverageCpuUtilization,
    /// The same every 10 s.
    #[serde(rename = "ASGAverageCPUUtilizationHighResolution")]
    AsgAverageCpuUtilizationHighResolution,
    /// Bytes that a member received, on average.
    #[serde(rename = "ASGAverageNetworkIn")]
    AsgAverageNetworkIn,
    /// Bytes that a member sent, on average.
    #[serde(rename = "ASGAverageNetworkOut")]
    AsgAverageNetworkOut,
    /// Requests of a target group for each of its targets.
    #[serde(rename = "ALBRequestCountPerTarget")]
    AlbRequestCountPerTarget,
}

impl PredefinedMetricType {
    /// All of them, in AWS's order.
    pub const ALL: [Self; 5] = [
        Self::AsgAverageCpuUtilization,
        Self::AsgAverageCpuUtilizationHighResolution,
        Self::AsgAverageNetworkIn,
        Self::AsgAverageNetworkOut,
        Self::AlbRequestCountPerTarget,
    ];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsgAverageCpuUtilization => "ASGAverageCPUUtilization",
            Self::AsgAverageCpuUtilizationHighResolution => "ASGAverageCPUUtilizationHighResolution",
            Self::AsgAverageNetworkIn => "ASGAverageNetworkIn",
            Self::AsgAverageNetworkOut => "ASGAverageNetworkOut",
            Self::AlbRequestCountPerTarget => "ALBRequestCountPerTarget",
        }
    }

    /// The metric of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its namespace, its name there and the statistic.
    #[must_use]
    pub fn metric(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::AsgAverageCpuUtilization | Self::AsgAverageCpuUtilizationHighResolution => {
                ("AWS/EC2", "CPUUtilization", "Average")
            }
            Self::AsgAverageNetworkIn => ("AWS/EC2", "NetworkIn", "Average"),
            Self::AsgAverageNetworkOut => ("AWS/EC2", "NetworkOut", "Average"),
            Self::AlbRequestCountPerTarget => ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
        }
    }

    /// Whether it counts what each member receives or sends.
    #[must_use]
    pub fn counts_bytes(self) -> bool {
        matches!(self, Self::AsgAverageNetworkIn | Self::AsgAverageNetworkOut)
    }

    /// How long one of its datapoints is.
    #[must_use]
    pub fn period(self) -> Duration {
        match self {
            Self::AsgAverageCpuUtilizationHighResolution => Duration::from_secs(10),
            _ => USUAL_PERIOD,
        }
    }
}

/// Why a number is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("TargetValue must be greater than 0 and at most 2^360")]
pub struct BadTarget;

/// Whether a number can be a target.
pub fn check_target(target: f64) -> Result<(), BadTarget> {
    let good = target.is_finite() && (f64::MIN_POSITIVE..=2.0_f64.powi(360)).contains(&target);
    if good { Ok(()) } else { Err(BadTarget) }
}

/// One of the alarms that come and go with a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmShape {
    /// Its name: `TargetTracking-GROUP-AlarmHigh-ID` or `…-AlarmLow-ID`.
    pub name: String,
    /// Whether it goes off above its threshold, or below it: never at it.
    pub side: Side,
    /// Its threshold.
    pub threshold: f64,
    /// How long one of its datapoints is.
    pub period: Duration,
    /// How many in a row must be past the threshold.
    pub periods: u32,
}

/// The alarms of a policy: the high one and, unless the policy never scales in, the low one. `ids` are random, one for each.
/// Where it must have been wanted for longer ([`Behavior`]'s windows), they take as many more periods.
#[must_use]
pub fn alarms(
    group: &str,
    target: f64,
    disable_scale_in: bool,
    period: Duration,
    behavior: &Behavior,
    ids: [&str; 2],
) -> Vec<AlarmShape> {
    let [high, low] = ids;
    let period = period.max(Duration::from_secs(1));
    let periods = |usual: u32, window: Duration| {
        let window = window.min(LONGEST).as_secs().div_ceil(period.as_secs());
        usual.max(u32::try_from(window).unwrap_or(usual))
    };
    let high = AlarmShape {
        name: format!("TargetTracking-{group}-AlarmHigh-{high}"),
        side: Side::Above,
        threshold: target,
        period,
        periods: periods(HIGH_PERIODS, behavior.up.stabilization),
    };
    let low = AlarmShape {
        name: format!("TargetTracking-{group}-AlarmLow-{low}"),
        side: Side::Below,
        threshold: target * LOW_SHARE,
        period,
        periods: periods(LOW_PERIODS, behavior.down.stabilization),
    };
    if disable_scale_in { vec![high] } else { vec![high, low] }
}

impl AlarmShape {
    /// How far it looks back.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.period * self.periods
    }

    /// What of the datapoints that it was judged by counts: above the target their mean, so that one of them does not bring
    /// about more than there is need of; below it the largest, so that what is taken away was not needed at any time.
    #[must_use]
    pub fn reading(&self, datapoints: &[f64]) -> Option<f64> {
        let finite = datapoints.iter().copied().filter(|value| value.is_finite());
        match self.side {
            Side::Above => {
                let (count, sum) = finite.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
                (count > 0).then(|| sum / f64::from(count))
            }
            Side::Below => finite.reduce(f64::max),
        }
    }
}

/// A metric's newest value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The value.
    pub value: f64,
    /// Over how many members it was taken, where that is known: load is what they had together, and after a change of the
    /// group the metric speaks of the old one for a while. Without it, those that are warm now.
    pub members: Option<u32>,
}

/// How a policy's capacity came out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracked {
    /// What was read.
    pub value: f64,
    /// Over how many members.
    pub members: u32,
    /// What it should be.
    pub target: f64,
    /// The capacity at which it would be, such as 7.2.
    pub exact: f64,
    /// The capacity that is wanted, before bounds.
    pub wanted: i64,
}

/// The capacity that brings a metric above its target back to it, for `desired` members: at least one more than those who
/// have it now, and never fewer than are desired already, since those that warm up count as added.
#[must_use]
pub fn out(reading: Reading, target: f64, desired: u32, warm: u32) -> Tracked {
    let tracked = proportional(reading, target, warm);
    let more = i64::from(tracked.members.min(desired)) + 1;
    Tracked { wanted: tracked.wanted.max(more).max(i64::from(desired)), ..tracked }
}

/// The least capacity at which a metric below its target stays at it or below: what is taken away is rounded down, so that
/// scaling in is never followed by scaling out for the same load. Never more than are desired.
#[must_use]
pub fn within(reading: Reading, target: f64, desired: u32, warm: u32) -> Tracked {
    let tracked = proportional(reading, target, warm);
    Tracked { wanted: tracked.wanted.min(i64::from(desired)), ..tracked }
}

fn proportional(reading: Reading, target: f64, warm: u32) -> Tracked {
    let members = reading.members.unwrap_or(warm);
    let exact = (f64::from(members) * reading.value / target).max(0.0);
    let whole = (exact * (1.0 - NOISE)).ceil();
    // No group is larger, and what is no number is nothing.
    let wanted = if whole.is_nan() { 0 } else { whole.min(f64::from(u32::MAX)) as i64 };
    Tracked { value: reading.value, members, target, exact, wanted }
}

impl std::fmt::Display for Tracked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { value, members, target, exact, wanted } = self;
        write!(f, "{value} on {members} instead of {target} takes {exact:.2}: {wanted}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::decide::Pace;

    #[test]
    fn a_policy_has_two_alarms_or_one() {
        let both = alarms("web", 50.0, false, USUAL_PERIOD, &Behavior::default(), ["a", "b"]);
        let shown: Vec<_> = both.iter().map(|a| (a.name.as_str(), a.side, a.threshold, a.periods)).collect();
        let expected = [
            ("TargetTracking-web-AlarmHigh-a", Side::Above, 50.0, 3),
            ("TargetTracking-web-AlarmLow-b", Side::Below, 45.0, 15),
        ];
        assert_eq!(shown, expected);
        assert!(both.iter().all(|alarm| alarm.period == Duration::from_secs(60)));
        let one = alarms("web", 50.0, true, Duration::from_secs(10), &Behavior::default(), ["a", "b"]);
        assert_eq!(one.iter().map(|a| a.side).collect::<Vec<_>>(), [Side::Above]);
        let pace = |seconds| Pace { stabilization: Duration::from_secs(seconds), ..Pace::default() };
        let calm = Behavior { up: pace(25), down: pace(3600) };
        let both = alarms("web", 50.0, false, Duration::from_secs(10), &calm, ["a", "b"]);
        assert_eq!(both.iter().map(|a| (a.periods, a.window().as_secs())).collect::<Vec<_>>(), [(3, 30), (360, 3600)]);
        assert_eq!(both[0].reading(&[60.0, 70.0, f64::NAN, 80.0]), Some(70.0));
        assert_eq!(both[1].reading(&[10.0, 40.0, 20.0]), Some(40.0));
        assert_eq!((both[0].reading(&[]), both[1].reading(&[])), (None, None));
    }

    #[test]
    fn capacity_follows_the_metric_up() {
        let check = |value, members, desired, warm, wanted| {
            let tracked = out(Reading { value, members }, 50.0, desired, warm);
            assert_eq!(tracked.wanted, wanted, "{tracked}");
        };
        check(80.0, None, 10, 10, 16);
        check(50.1, None, 10, 10, 11);
        check(250.0, None, 1, 1, 5);
        // Four of fourteen warm up: what they will take is not asked for twice.
        check(80.0, None, 14, 10, 16);
        check(60.0, None, 14, 10, 14);
        check(60.0, None, 0, 0, 1);
        check(1e300, None, 10, 10, i64::from(u32::MAX));
        // A metric that speaks of five members although there are ten.
        check(80.0, Some(5), 10, 10, 10);
    }

    #[test]
    fn capacity_follows_the_metric_down_and_no_further() {
        let check = |value, members, desired, wanted| {
            let tracked = within(Reading { value, members }, 50.0, desired, desired);
            assert_eq!(tracked.wanted, wanted, "{tracked}");
        };
        check(44.0, None, 10, 9);
        check(40.0, None, 10, 8);
        check(40.1, None, 10, 9);
        check(0.0, None, 10, 0);
        check(-1.0, None, 10, 0);
        check(f64::NAN, None, 10, 0);
        check(60.0, None, 10, 10);
        // The metric is still that of six members, after three of them were taken away.
        check(20.0, Some(6), 3, 3);
        let fine = within(Reading { value: 0.1, members: None }, 0.3, 3, 3);
        assert_eq!(fine.wanted, 1, "{fine}");
    }

    #[test]
    fn targets_are_positive_numbers() {
        let check = |target: f64, good: bool| assert_eq!(check_target(target).is_ok(), good, "{target}");
        check(0.001, true);
        check(0.0, false);
        check(-1.0, false);
        check(f64::NAN, false);
        check(f64::INFINITY, false);
        check(1e200, false);
    }
}
