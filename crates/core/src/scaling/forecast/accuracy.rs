//! How far off forecasts were.
//!
//! Owns the counting: by how much in all, to which side, how often too low; and how far off it would have been to say that it will be
//! as it was a day or a week before, which whoever forecasts has to beat. Must never forecast.

use serde::{Deserialize, Serialize};

use super::Hours;

const DAY: u64 = 24;
const WEEK: u64 = 7 * DAY;
/// Differences below this share are rounding errors of the arithmetic, not load.
const NOISE: f64 = 1e-9;

/// How far off forecasts were. Shares are of the load that there was: 0.1 is 10 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Over how many hours.
    pub hours: u32,
    /// The weighted mean absolute percentage error: all that was missing or too much, by the load.
    pub error: f64,
    /// What was too much, less what was missing, by the load: above nothing, forecasts are too high on the whole.
    pub bias: f64,
    /// The share of hours whose load was above what was forecast.
    pub under: f64,
    /// Saying that it will be as a day before, over those hours where that was known.
    pub day_before: Option<Beside>,
    /// Saying that it will be as a week before.
    pub week_before: Option<Beside>,
}

/// A plainer forecast, over the hours for which there was one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// How many.
    pub hours: u32,
    /// Its error.
    pub error: f64,
    /// The error of the forecast that it stands beside, over the same hours.
    pub own: f64,
}

/// Sums over hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    hours: u32,
    load: f64,
    off: f64,
    too_much: f64,
    under: u32,
}

impl Sums {
    fn note(&mut self, said: f64, was: f64) {
        self.hours += 1;
        self.load += was;
        self.off += (said - was).abs();
        self.too_much += said - was;
        self.under += u32::from(said < was * (1.0 - NOISE));
    }

    fn error(&self) -> Option<f64> {
        (self.load > 0.0).then(|| self.off / self.load)
    }
}

/// Forecasts held against what came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    own: Sums,
    /// As so long before, and the forecast in the same hours.
    day: [Sums; 2],
    week: [Sums; 2],
}

impl Tally {
    /// What was said of an hour. One that nobody knows says nothing.
    pub fn note(&mut self, loads: &Hours, hour: u64, said: f64) {
        let Some(was) = loads.at(hour) else { return };
        self.own.note(said, was);
        let before = |hours: u64| loads.at(hour.checked_sub(hours)?);
        if let Some(before) = before(DAY) {
            self.day[0].note(before, was);
            self.day[1].note(said, was);
        }
        if let Some(before) = before(WEEK) {
            self.week[0].note(before, was);
            self.week[1].note(said, was);
        }
    }

    /// What comes of it; `None` where no hour had a load: nothing is a share of nothing.
    #[must_use]
    pub fn accuracy(&self) -> Option<Accuracy> {
        let Sums { hours, load, too_much, under, .. } = self.own;
        let beside =
            |[plain, own]: &[Sums; 2]| Some(Beside { hours: plain.hours, error: plain.error()?, own: own.error()? });
        Some(Accuracy {
            hours,
            error: self.own.error()?,
            bias: too_much / load,
            under: f64::from(under) / f64::from(hours),
            day_before: beside(&self.day),
            week_before: beside(&self.week),
        })
    }
}

impl std::fmt::Display for Accuracy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let Self { hours, error, bias, under, day_before, week_before } = self;
        let bias = format!("{:+.1} %", bias * 100.0);
        write!(
            f,
            "off by {} over {hours} h, {bias} on the whole, too low in {} of them",
            percent(*error),
            percent(*under)
        )?;
        for (before, beside) in [("a day", day_before), ("a week", week_before)] {
            let Some(Beside { hours: of, error, own }) = beside else { continue };
            write!(f, "; as {before} before: off by {}", percent(*error))?;
            if of != hours {
                write!(f, " over {of} h, where it was {}", percent(*own))?;
            }
        }
        Ok(())
    }
}
