//! Step adjustments: which sets of steps make sense, and which step a breach is in.
//!
//! Owns AWS's rules for both, and the texts of its refusals. Must never look a metric up: its values and the threshold are
//! arguments. Source: Amazon EC2 Auto Scaling user guide, "Step adjustments" and "Instance warmup". Next:
//! [`crate::scaling::decide`](mod@crate::scaling::decide).

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scaling::adjustment::{Adjusted, Adjustment, AdjustmentType};

/// The most steps that a policy may have (AWS's quota).
pub const MOST_STEPS: usize = 20;

/// What of the newest datapoints of an alarm counts as its metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricAggregationType {
    /// Their mean.
    #[default]
    Average,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
}

impl MetricAggregationType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Average, Self::Minimum, Self::Maximum];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
        }
    }

    /// The type of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The one value that stands for those; `None` where there is no finite one.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let count = finite().count();
        if count == 0 {
            return None;
        }
        Some(match self {
            Self::Average => finite().sum::<f64>() / count as f64,
            Self::Minimum => finite().fold(f64::INFINITY, f64::min),
            Self::Maximum => finite().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// On which side of its threshold an alarm goes off: decides where the metric is exactly at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Greater than, or equal to, the threshold.
    Above,
    /// Less than, or equal to, the threshold.
    Below,
}

/// One step: what is done while the metric is so far from the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepAdjustment {
    /// From which distance on; `None` for no end to that side.
    pub lower: Option<f64>,
    /// Up to which distance; `None` for no end to that side.
    pub upper: Option<f64>,
    /// By how much, or to how much, according to the policy's adjustment type.
    pub amount: i32,
}

/// Why steps are no policy, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadSteps {
    /// None at all.
    #[error("At least one step adjustment must be specified for policy type StepScaling")]
    Missing,
    /// More than there may be.
    #[error("There can be at most 20 step adjustments per scaling policy")]
    TooMany,
    /// A bound that is no number.
    #[error("The bounds of a StepAdjustment must be numbers from -2^360 to 2^360")]
    NotANumber,
    /// A step for everything.
    #[error("Both lower and upper bounds of a StepAdjustment cannot be left unspecified.")]
    BothNull,
    /// A step of nothing.
    #[error("LowerBound must be less than the UpperBound for StepAdjustment")]
    Empty,
    /// Two steps with no end below.
    #[error("At most one StepAdjustment may have an unspecified lower bound.")]
    TwoNullLower,
    /// Two steps with no end above.
    #[error("At most one StepAdjustment may have an unspecified upper bound.")]
    TwoNullUpper,
    /// Steps below the threshold that end somewhere.
    #[error(
        "There must be a StepAdjustment with an unspecified lower bound (i.e., lower bound is null) when one StepAdjustment has a negative lower bound"
    )]
    NoNullLower,
    /// Steps above the threshold that end somewhere.
    #[error(
        "There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one StepAdjustment has a positive upper bound"
    )]
    NoNullUpper,
    /// Two steps for one distance.
    #[error("StepAdjustment intervals cannot overlap")]
    Overlap,
    /// A distance between steps that is in none.
    #[error("StepAdjustment intervals cannot have gaps between them")]
    Gap,
}

/// The largest number that CloudWatch takes, either way.
const LARGEST: f64 = 2.348_542_582_773_833_3e108;

/// Whether those steps make a policy.
pub fn check(steps: &[StepAdjustment]) -> Result<(), BadSteps> {
    let count = |is: fn(&StepAdjustment) -> bool| steps.iter().filter(|step| is(step)).count();
    let bad = |bound: Option<f64>| bound.is_some_and(|bound| !bound.is_finite() || bound.abs() > LARGEST);
    if steps.is_empty() {
        return Err(BadSteps::Missing);
    }
    if steps.len() > MOST_STEPS {
        return Err(BadSteps::TooMany);
    }
    if steps.iter().any(|step| bad(step.lower) || bad(step.upper)) {
        return Err(BadSteps::NotANumber);
    }
    if count(|step| step.lower.is_none() && step.upper.is_none()) > 0 {
        return Err(BadSteps::BothNull);
    }
    if count(|step| matches!((step.lower, step.upper), (Some(lower), Some(upper)) if lower >= upper)) > 0 {
        return Err(BadSteps::Empty);
    }
    if count(|step| step.lower.is_none()) > 1 {
        return Err(BadSteps::TwoNullLower);
    }
    if count(|step| step.upper.is_none()) > 1 {
        return Err(BadSteps::TwoNullUpper);
    }
    if count(|step| step.lower.is_some_and(|lower| lower < 0.0)) > 0 && count(|step| step.lower.is_none()) == 0 {
        return Err(BadSteps::NoNullLower);
    }
    if count(|step| step.upper.is_some_and(|upper| upper > 0.0)) > 0 && count(|step| step.upper.is_none()) == 0 {
        return Err(BadSteps::NoNullUpper);
    }
    let ends = |step: &StepAdjustment| (step.lower.unwrap_or(f64::NEG_INFINITY), step.upper.unwrap_or(f64::INFINITY));
    let mut ends: Vec<(f64, f64)> = steps.iter().map(ends).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let pairs = || ends.iter().zip(ends.iter().skip(1));
    if pairs().any(|(before, after)| before.1 > after.0) {
        return Err(BadSteps::Overlap);
    }
    if pairs().any(|(before, after)| before.1 < after.0) {
        return Err(BadSteps::Gap);
    }
    Ok(())
}

/// The place of the step that a metric is in: above the threshold a step has its lower end and not its upper one, below it
/// the upper end and not the lower one. `None` where no step is for so much. A metric that is exactly at the threshold is on
/// the alarm's `side` of it, or on the other where no step of that side begins there.
#[must_use]
pub fn choose(steps: &[StepAdjustment], threshold: f64, metric: f64, side: Side) -> Option<usize> {
    if !metric.is_finite() || !threshold.is_finite() {
        return None;
    }
    // Bounds are moved to the threshold, not the metric to the bounds: so neighbours have the same end, rounded or not.
    let on = |side: Side| {
        steps.iter().position(|step| {
            let lower = step.lower.map_or(f64::NEG_INFINITY, |lower| threshold + lower);
            let upper = step.upper.map_or(f64::INFINITY, |upper| threshold + upper);
            match side {
                Side::Above => lower <= metric && metric < upper,
                Side::Below => lower < metric && metric <= upper,
            }
        })
    };
    let other = if side == Side::Above { Side::Below } else { Side::Above };
    match metric.total_cmp(&threshold) {
        std::cmp::Ordering::Greater => on(Side::Above),
        std::cmp::Ordering::Less => on(Side::Below),
        std::cmp::Ordering::Equal => on(side).or_else(|| on(other)),
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stepped {
    /// Which step.
    pub step: StepAdjustment,
    /// How it came out, from the capacity without members that warm up.
    pub adjusted: Adjusted,
    /// The capacity that is wanted, before bounds: on the way up never below the one that is desired already, so that
    /// members that warm up count as added.
    pub wanted: i64,
}

/// Goes by a step: `desired` is the capacity as it is, `warming` how many members of it do not count yet.
#[must_use]
pub fn apply(
    step: StepAdjustment,
    kind: AdjustmentType,
    min_magnitude: Option<u32>,
    desired: u32,
    warming: u32,
) -> Stepped {
    let base = desired.saturating_sub(warming);
    let adjusted = Adjustment { kind, amount: step.amount, min_magnitude }.apply(base);
    let wanted = match kind {
        AdjustmentType::ExactCapacity => adjusted.wanted,
        _ if adjusted.change > 0 => adjusted.wanted.max(i64::from(desired)),
        // On the way down nobody warms up: whoever decides sees to that.
        _ => (i64::from(desired) + adjusted.change).max(0),
    };
    Stepped { step, adjusted, wanted }
}

impl fmt::Display for StepAdjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |bound: Option<f64>, open: &str| bound.map_or(open.to_owned(), |bound| format!("{bound:+}"));
        write!(f, "{} to {}", end(self.lower, "-∞"), end(self.upper, "+∞"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(lower: Option<f64>, upper: Option<f64>, amount: i32) -> StepAdjustment {
        StepAdjustment { lower, upper, amount }
    }

    /// The guide's example: threshold 50, +10 % from 60, +30 % from 70, and the same down.
    fn guides() -> [StepAdjustment; 6] {
        [
            step(Some(0.0), Some(10.0), 0),
            step(Some(10.0), Some(20.0), 10),
            step(Some(20.0), None, 30),
            step(Some(-10.0), Some(0.0), 0),
            step(Some(-20.0), Some(-10.0), -10),
            step(None, Some(-20.0), -30),
        ]
    }

    #[test]
    fn sets_of_steps_that_make_sense_and_those_that_do_not() {
        let check = |steps: &[StepAdjustment], bad: Option<BadSteps>| assert_eq!(super::check(steps).err(), bad);
        check(&guides(), None);
        check(&[step(Some(0.0), None, 1)], None);
        check(&[step(None, Some(0.0), -1)], None);
        check(&[step(Some(5.0), None, 1)], None);
        check(&[], Some(BadSteps::Missing));
        check(&vec![step(Some(0.0), None, 1); 21], Some(BadSteps::TooMany));
        check(&[step(Some(f64::NAN), None, 1)], Some(BadSteps::NotANumber));
        check(&[step(None, Some(f64::INFINITY), 1)], Some(BadSteps::NotANumber));
        check(&[step(None, None, 1)], Some(BadSteps::BothNull));
        check(&[step(Some(1.0), Some(1.0), 1), step(Some(1.0), None, 1)], Some(BadSteps::Empty));
        check(&[step(None, Some(0.0), 1), step(None, Some(1.0), 1)], Some(BadSteps::TwoNullLower));
        check(&[step(Some(0.0), None, 1), step(Some(1.0), None, 1)], Some(BadSteps::TwoNullUpper));
        check(&[step(Some(-1.0), Some(0.0), 1)], Some(BadSteps::NoNullLower));
        check(&[step(Some(1.0), Some(2.0), 1)], Some(BadSteps::NoNullUpper));
        check(&[step(Some(0.0), Some(2.0), 1), step(Some(1.0), None, 1)], Some(BadSteps::Overlap));
        check(&[step(Some(0.0), Some(1.0), 1), step(Some(2.0), None, 1)], Some(BadSteps::Gap));
    }

    #[test]
    fn a_breach_is_in_one_step() {
        let check = |metric: f64, side, amount: Option<i32>| {
            let steps = guides();
            let chosen = choose(&steps, 50.0, metric, side).map(|at| steps[at].amount);
            assert_eq!(chosen, amount, "{metric}");
        };
        check(59.9, Side::Above, Some(0));
        check(60.0, Side::Above, Some(10));
        check(69.9, Side::Above, Some(10));
        check(70.0, Side::Above, Some(30));
        check(1e100, Side::Above, Some(30));
        check(40.0, Side::Below, Some(-10));
        check(40.1, Side::Below, Some(0));
        check(30.0, Side::Below, Some(-30));
        check(-1e100, Side::Below, Some(-30));
        check(f64::NAN, Side::Above, None);
        let both = [step(Some(0.0), None, 1), step(None, Some(0.0), -1)];
        assert_eq!(choose(&both, 50.0, 50.0, Side::Above), Some(0));
        assert_eq!(choose(&both, 50.0, 50.0, Side::Below), Some(1));
        assert_eq!(choose(&both[..1], 50.0, 50.0, Side::Below), Some(0));
        assert_eq!(choose(&both[..1], 50.0, 49.0, Side::Above), None);
        // 0.1 + 0.2 is not 0.3 in these numbers, and yet each metric is in one step.
        let fine = [step(Some(0.0), Some(0.2), 1), step(Some(0.2), None, 2)];
        assert_eq!(choose(&fine, 0.1, 0.1 + 0.2, Side::Above), Some(1));
    }

    #[test]
    fn members_that_warm_up_count_as_added() {
        let check = |amount, desired, warming, wanted| {
            let step = step(Some(0.0), None, amount);
            let stepped = apply(step, AdjustmentType::PercentChangeInCapacity, None, desired, warming);
            assert_eq!(stepped.wanted, wanted, "{stepped:?}");
        };
        check(10, 10, 0, 11);
        check(30, 11, 1, 13);
        check(10, 13, 3, 13);
        check(30, 11, 0, 14);
        check(-10, 14, 0, 13);
    }

    #[test]
    fn datapoints_become_one_value() {
        use MetricAggregationType::*;
        let check = |kind: MetricAggregationType, values: &[f64], one| assert_eq!(kind.of(values), one);
        check(Average, &[1.0, 2.0, 6.0], Some(3.0));
        check(Minimum, &[2.0, 1.0, f64::NAN], Some(1.0));
        check(Maximum, &[2.0, 3.0, f64::INFINITY], Some(3.0));
        check(Maximum, &[-3.0], Some(-3.0));
        check(Average, &[f64::NAN], None);
        check(Average, &[], None);
    }
}
