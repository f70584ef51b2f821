//! From a capacity and a policy's adjustment to the capacity that is wanted.
//!
//! Owns the arithmetic of the three adjustment types with its steps written down, so that they can be shown. Must never know
//! which policy asks, or whether it may now. Source: Amazon EC2 Auto Scaling user guide, "Step and simple scaling policies",
//! "Scaling adjustment types". Next: [`crate::scaling::step`].

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How an adjustment is meant: AWS's three types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdjustmentType {
    /// So many more, or fewer.
    ChangeInCapacity,
    /// So many.
    ExactCapacity,
    /// So many per cent more, or fewer.
    PercentChangeInCapacity,
}

impl AdjustmentType {
    /// All of them, in AWS's order.
    pub const ALL: [Self; 3] = [Self::ChangeInCapacity, Self::ExactCapacity, Self::PercentChangeInCapacity];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangeInCapacity => "ChangeInCapacity",
            Self::ExactCapacity => "ExactCapacity",
            Self::PercentChangeInCapacity => "PercentChangeInCapacity",
        }
    }

    /// The type of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for AdjustmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an adjustment makes no sense, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadAdjustment {
    /// Fewer than none.
    #[error("You must specify a non-negative value for ScalingAdjustment when AdjustmentType is ExactCapacity")]
    NegativeExact,
    /// A least change where the change is stated.
    #[error(
        "MinAdjustmentMagnitude is not supported by the specified adjustment type. MinAdjustmentMagnitude is only supported with PercentChangeInCapacity"
    )]
    MagnitudeMisplaced,
    /// A least change of nothing.
    #[error("MinAdjustmentMagnitude must be at least 1")]
    MagnitudeTooSmall,
}

/// The fewest and the most members that a group may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// MinSize.
    pub min: u32,
    /// MaxSize; never below `min`.
    pub max: u32,
}

impl Bounds {
    /// The nearest capacity that is allowed, and which bound it is, if one was in the way.
    #[must_use]
    pub fn clamp(self, capacity: i64) -> (u32, Option<Clamp>) {
        let (min, max) = (i64::from(self.min), i64::from(self.max));
        // The highest first: where the bounds are crossed, the lowest counts.
        if capacity < min || max < min {
            (self.min, Some(Clamp::Min))
        } else if capacity > max {
            (self.max, Some(Clamp::Max))
        } else {
            (u32::try_from(capacity).unwrap_or(self.max), None)
        }
    }
}

/// Which bound was in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clamp {
    /// MinSize.
    Min,
    /// MaxSize.
    Max,
    /// What a policy foresaw for the hour.
    Forecast,
}

impl fmt::Display for Clamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Min => "MinSize",
            Self::Max => "MaxSize",
            Self::Forecast => "the forecast",
        })
    }
}

/// What a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// How `amount` is meant.
    pub kind: AdjustmentType,
    /// Instances or per cent, according to `kind`.
    pub amount: i32,
    /// The fewest instances by which a percentage changes the capacity.
    pub min_magnitude: Option<u32>,
}

/// How an adjustment came out, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// What was asked for.
    pub adjustment: Adjustment,
    /// The capacity that it was reckoned from.
    pub base: u32,
    /// The change as it comes out of the arithmetic, such as 3.3 for 30 % of 11.
    pub exact: f64,
    /// The change in whole instances.
    pub rounded: i64,
    /// The change after MinAdjustmentMagnitude.
    pub change: i64,
    /// The capacity that is wanted, before bounds: never below 0.
    pub wanted: i64,
}

impl Adjustment {
    /// Whether it makes sense.
    pub fn check(self) -> Result<(), BadAdjustment> {
        match (self.kind, self.min_magnitude) {
            (AdjustmentType::ExactCapacity, _) if self.amount < 0 => Err(BadAdjustment::NegativeExact),
            (AdjustmentType::PercentChangeInCapacity, Some(0)) => Err(BadAdjustment::MagnitudeTooSmall),
            (AdjustmentType::PercentChangeInCapacity, _) | (_, None) => Ok(()),
            (_, Some(_)) => Err(BadAdjustment::MagnitudeMisplaced),
        }
    }

    /// The capacity that it makes of another one. A percentage above 1 instance is rounded towards nothing, one below to a
    /// whole instance: 12.7 is 12, 0.6 is 1, −0.6 is −1, −6.7 is −6.
    ///
    /// A percentage of nothing is nothing, yet MinAdjustmentMagnitude holds for it, so that an empty group can grow by one.
    #[must_use]
    pub fn apply(self, base: u32) -> Adjusted {
        let (from, amount) = (i64::from(base), i64::from(self.amount));
        let (exact, rounded, change) = match self.kind {
            AdjustmentType::ChangeInCapacity => (amount as f64, amount, amount),
            AdjustmentType::ExactCapacity => ((amount - from) as f64, amount - from, amount - from),
            AdjustmentType::PercentChangeInCapacity => {
                let hundredths = from * amount;
                let whole = hundredths / 100;
                let rounded = if whole == 0 { hundredths.signum() } else { whole };
                let least = i64::from(self.min_magnitude.unwrap_or(0)) * amount.signum();
                let change = if rounded.abs() < least.abs() { least } else { rounded };
                (hundredths as f64 / 100.0, rounded, change)
            }
        };
        Adjusted { adjustment: self, base, exact, rounded, change, wanted: (from + change).max(0) }
    }
}

impl fmt::Display for Adjusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Adjustment { kind, amount, min_magnitude } = self.adjustment;
        match kind {
            AdjustmentType::ChangeInCapacity => write!(f, "{amount:+} to {}", self.base)?,
            AdjustmentType::ExactCapacity => write!(f, "exactly {amount} instead of {}", self.base)?,
            AdjustmentType::PercentChangeInCapacity => {
                write!(
                    f,
                    "{amount:+} % of {} is {:+.2}, in whole instances {:+}",
                    self.base, self.exact, self.rounded
                )?;
                if self.change != self.rounded {
                    write!(f, ", at least {} (MinAdjustmentMagnitude)", min_magnitude.unwrap_or(0))?;
                }
            }
        }
        write!(f, ": {}", self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_own_numbers() {
        let check = |kind, base, amount, min_magnitude, wanted| {
            let adjusted = Adjustment { kind, amount, min_magnitude }.apply(base);
            assert_eq!(adjusted.wanted, wanted, "{adjusted}");
        };
        use AdjustmentType::*;
        check(ChangeInCapacity, 3, 5, None, 8);
        check(ChangeInCapacity, 3, -5, None, 0);
        check(ExactCapacity, 3, 5, None, 5);
        check(PercentChangeInCapacity, 10, 10, None, 11);
        check(PercentChangeInCapacity, 11, 30, None, 14);
        check(PercentChangeInCapacity, 4, 25, Some(2), 6);
        check(PercentChangeInCapacity, 127, 10, None, 139);
        check(PercentChangeInCapacity, 67, -10, None, 61);
        check(PercentChangeInCapacity, 6, 10, None, 7);
        check(PercentChangeInCapacity, 6, -10, None, 5);
        check(PercentChangeInCapacity, 4, -25, Some(3), 1);
        check(PercentChangeInCapacity, 0, 50, None, 0);
        check(PercentChangeInCapacity, 0, 50, Some(2), 2);
        check(PercentChangeInCapacity, 10, 0, Some(2), 10);
        check(PercentChangeInCapacity, u32::MAX, i32::MAX, None, i64::from(u32::MAX) + 92_233_720_304_123_248);
    }

    #[test]
    fn bounds_hold_and_say_so() {
        let bounds = Bounds { min: 2, max: 5 };
        assert_eq!(bounds.clamp(1), (2, Some(Clamp::Min)));
        assert_eq!(bounds.clamp(2), (2, None));
        assert_eq!(bounds.clamp(5), (5, None));
        assert_eq!(bounds.clamp(i64::MAX), (5, Some(Clamp::Max)));
        assert_eq!(bounds.clamp(i64::MIN), (2, Some(Clamp::Min)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |kind, amount, min_magnitude, bad| {
            assert_eq!(
                Adjustment { kind, amount, min_magnitude }.check().err(),
                bad,
                "{kind} {amount} {min_magnitude:?}"
            );
        };
        use AdjustmentType::*;
        check(ExactCapacity, 0, None, None);
        check(ExactCapacity, -1, None, Some(BadAdjustment::NegativeExact));
        check(ChangeInCapacity, -1, None, None);
        check(ChangeInCapacity, 1, Some(1), Some(BadAdjustment::MagnitudeMisplaced));
        check(PercentChangeInCapacity, 1, Some(0), Some(BadAdjustment::MagnitudeTooSmall));
        check(PercentChangeInCapacity, 1, Some(1), None);
    }
}
