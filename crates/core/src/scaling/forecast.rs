//! Forecasts: from the hours of a load so far to its next two days, how far off such forecasts were, and the capacity that they take.
//!
//! Owns the models and how one is chosen: each is tried on the days that have been, with nothing but what was known before, and the
//! one that was nearest is taken. A load that comes back each day or each week, grows or shrinks, has a day that was like no other, or
//! hours that nobody measured, is what they are made for; everything else they get wrong, and [`Accuracy`] says by how much. Must
//! never know where a load comes from, or what time it is: hours are counted in UTC from the Unix epoch, so no clock is ever set back.
//! Next: [`accuracy`], the counting of errors.
//!
//! AWS says what goes in (24 hours at least, 14 days at most) and comes out (hourly, for 48 hours; user guide, "How predictive scaling
//! works"), and nothing of what is in between.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scaling::adjustment::Bounds;
use crate::time::Timestamp;

pub mod accuracy;

pub use accuracy::{Accuracy, Beside, Tally};

/// Hours of load that a forecast takes at least (AWS: 24).
pub const LEAST: usize = 24;
/// Hours of load that are looked at, the newest (AWS: 14 days).
pub const MOST: usize = 14 * DAY;
/// Hours that are forecast (AWS: 48).
pub const AHEAD: usize = 48;
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
const MILLIS: u64 = 3_600_000;
/// Days that models are tried on, each once: a whole week.
const TRIED: usize = 7;
/// How much worse a weekly model may be than a daily one, on the days that both were tried on, where the daily one was clearly worse
/// ([`ODD`]) on days for which there was no week before: of those, the week alone can say that they come back.
const HUNCH: f64 = 1.25;
/// See [`HUNCH`].
const ODD: f64 = 1.5;
/// The share of another model's error that a more complicated one must stay below.
const BETTER: f64 = 0.95;
/// How many of the newest days say what the level is, where it has no trend.
const RECENT: usize = 3;
/// Hours of a day that must be known, for the day to say anything of the level.
const HALF: usize = DAY / 2;
/// Rounds in which trend and profile are told apart.
const ROUNDS: usize = 3;
/// The largest load: AWS's largest value of a metric.
const LARGEST: f64 = 2.348_542_582_773_833e108;
/// Differences below this share are rounding errors of the arithmetic, not load.
const NOISE: f64 = 1e-9;

/// The number of the hour that a moment is in, from the Unix epoch.
#[must_use]
pub fn hour(at: Timestamp) -> u64 {
    at.0 / MILLIS
}

/// When an hour begins.
#[must_use]
pub fn begins(hour: u64) -> Timestamp {
    Timestamp(hour.saturating_mul(MILLIS))
}

/// A load by the hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hours {
    /// The number of the first hour, from the Unix epoch.
    pub first: u64,
    /// The load of each hour from then on; `None` where nobody knows.
    pub values: Vec<Option<f64>>,
}

impl Hours {
    /// The hour after the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.values.len() as u64)
    }

    /// The load of an hour.
    #[must_use]
    pub fn at(&self, hour: u64) -> Option<f64> {
        let place = usize::try_from(hour.checked_sub(self.first)?).ok()?;
        self.values.get(place).copied().flatten()
    }

    /// How many hours are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// The newest two weeks, with what is no number taken for unknown, and less than nothing for nothing.
    #[must_use]
    pub fn cleaned(&self) -> Self {
        let skipped = self.values.len().saturating_sub(MOST);
        let clean = |value: &Option<f64>| value.filter(|value| value.is_finite()).map(|v| v.clamp(0.0, LARGEST));
        let values = self.values.iter().skip(skipped).map(clean).collect();
        Self { first: self.first.saturating_add(skipped as u64), values }
    }
}

/// What comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Season {
    /// Each day is like the others: the median of the same hour of all days.
    Day,
    /// Each day of the week is like those before: the median of the same hour of the week.
    Week,
}

/// How high it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it has been all along.
    Steady,
    /// As in the last days: the median of three.
    Recent,
    /// On the line through all days (Theil and Sen's, which a few odd days do not bend).
    Trend,
}

/// A way to forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// What comes back.
    pub season: Season,
    /// How high.
    pub level: Level,
}

impl Model {
    /// All of them, the plainest first.
    pub const ALL: [Self; 6] = [
        Self { season: Season::Day, level: Level::Steady },
        Self { season: Season::Day, level: Level::Recent },
        Self { season: Season::Day, level: Level::Trend },
        Self { season: Season::Week, level: Level::Steady },
        Self { season: Season::Week, level: Level::Recent },
        Self { season: Season::Week, level: Level::Trend },
    ];

    /// Whether it can be made of so many hours.
    fn is_for(self, hours: usize) -> bool {
        self.season == Season::Day || hours >= WEEK
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.season {
            Season::Day => "the same hour of each day",
            Season::Week => "the same hour of each week",
        })?;
        f.write_str(match self.level {
            Level::Steady => "",
            Level::Recent => ", at the level of the last three days",
            Level::Trend => ", along its trend",
        })
    }
}

/// Too little is known for a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{LEAST} hours of load are needed for a forecast, and {hours} are known")]
pub struct TooLittle {
    /// Hours that are known.
    pub hours: usize,
}

/// A load to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The number of its first hour, the one after the last that was looked at.
    pub first: u64,
    /// [`AHEAD`] hours from then on; never below nothing, always numbers.
    pub load: Vec<f64>,
    /// How it was made.
    pub model: Model,
    /// How many hours were known.
    pub known: usize,
    /// How far off such forecasts were on the last days, a day ahead; `None` where there was no day to try, or no load in it.
    pub accuracy: Option<Accuracy>,
}

/// The next two days of a load.
///
/// # Errors
/// Less than a day of it is known.
pub fn forecast(history: &Hours) -> Result<Forecast, TooLittle> {
    let history = history.cleaned();
    let known = history.known();
    if known < LEAST {
        return Err(TooLittle { hours: known });
    }
    let trials = Trials::of(&history);
    let model = trials.best(0, history.values.len());
    let load = predicted(&history, model, AHEAD);
    Ok(Forecast { first: history.end(), load, model, known, accuracy: trials.accuracy(&history) })
}

/// Forecasts of days that have been, each made of the time before it.
struct Trials {
    /// Place of a day's first hour, from the oldest day on, and what each model said of it.
    days: Vec<(usize, Vec<Option<Vec<f64>>>)>,
    /// The load of each day, and how far off each model was in all.
    off: Vec<(f64, Vec<Option<f64>>)>,
}

impl Trials {
    fn of(history: &Hours) -> Self {
        let mut trials = Self { days: Vec::new(), off: Vec::new() };
        for back in (1..=TRIED).rev() {
            let Some(origin) = history.values.len().checked_sub(back * DAY) else { continue };
            let (before, day) = history.values.split_at(origin);
            let day = day.get(..DAY).unwrap_or(day);
            let before = Hours { first: history.first, values: before.to_vec() };
            if before.known() < LEAST || day.iter().all(Option::is_none) {
                continue;
            }
            let said: Vec<Option<Vec<f64>>> = Model::ALL
                .into_iter()
                .map(|model| model.is_for(origin).then(|| predicted(&before, model, DAY)))
                .collect();
            let off = |said: &Option<Vec<f64>>| {
                let pairs = said.as_ref()?.iter().zip(day).filter_map(|(said, was)| Some((*said, (*was)?)));
                Some(pairs.map(|(said, was)| (said - was).abs()).sum::<f64>())
            };
            trials.off.push((day.iter().flatten().sum(), said.iter().map(off).collect()));
            trials.days.push((origin, said));
        }
        trials
    }

    /// The model that was nearest on all days but so many of the newest; of so many hours. A more complicated one must have been
    /// clearly better than a plainer one, on the days that both were tried on.
    fn best(&self, but: usize, hours: usize) -> Model {
        let days = self.off.get(..self.off.len().saturating_sub(but)).unwrap_or_default();
        let mut best = 0;
        for (place, model) in Model::ALL.iter().enumerate().skip(1) {
            let (mut load, mut own, mut others) = (0.0, 0.0, 0.0);
            let (mut load_alone, mut alone) = (0.0, 0.0);
            for (of, off) in days {
                let of_model = |place: usize| off.get(place).copied().flatten();
                match (of_model(place), of_model(best)) {
                    (Some(a), Some(b)) => (load, own, others) = (load + of, own + a, others + b),
                    (None, Some(b)) => (load_alone, alone) = (load_alone + of, alone + b),
                    _ => {}
                }
            }
            let is_clear = own < others * BETTER && others > load * NOISE;
            let was_odd = load > 0.0 && alone * load > others * load_alone * ODD && alone > load_alone * NOISE;
            if model.is_for(hours) && (is_clear || (was_odd && own <= others * HUNCH + load * NOISE)) {
                best = place;
            }
        }
        Model::ALL.get(best).copied().unwrap_or(Model::ALL[0])
    }

    /// How far off it would have been to forecast each day by what was best on the days before it: the choice is judged, too.
    fn accuracy(&self, history: &Hours) -> Option<Accuracy> {
        let mut tally = Tally::default();
        for (number, (origin, said)) in self.days.iter().enumerate() {
            let model = self.best(self.days.len() - number, *origin);
            let place = Model::ALL.iter().position(|known| *known == model)?;
            let Some(Some(said)) = said.get(place) else { continue };
            for (ahead, said) in said.iter().enumerate() {
                tally.note(history, history.first + (origin + ahead) as u64, *said);
            }
        }
        tally.accuracy()
    }
}

/// So many hours from the end of a load on, by a model.
fn predicted(history: &Hours, model: Model, ahead: usize) -> Vec<f64> {
    let mut profile = Profile::of(history, model.season);
    let mut found = levels(history, &profile);
    let line = match model.level {
        Level::Steady => Line { value: 1.0, slope: 0.0 },
        Level::Recent => {
            let newest = found.iter().take(RECENT).map(|(_, level)| *level);
            Line { value: median(&mut newest.collect::<Vec<_>>()).unwrap_or(1.0), slope: 0.0 }
        }
        Level::Trend => {
            // The trend bends the profile that it is measured by: each round straightens it.
            let apart = if model.season == Season::Week { 7.0 } else { 1.0 };
            let mut line = Line::through(&found, apart);
            for _ in 0..ROUNDS {
                profile = Profile::of(&line.taken_from(history), model.season);
                found = levels(history, &profile);
                line = Line::through(&found, apart);
            }
            line
        }
    };
    // A trend is not believed to take it beyond twice of what it ever was.
    let most = 2.0 * found.iter().map(|(_, level)| *level).fold(1.0, f64::max);
    let at = |place: usize| {
        let level = line.at((place as f64 + 0.5) / DAY as f64).clamp(0.0, most);
        let load = profile.at(history.end() + place as u64) * level;
        if load.is_finite() { load.clamp(0.0, LARGEST) } else { LARGEST }
    };
    (0..ahead).map(at).collect()
}

/// A level that changes by as much each day.
#[derive(Clone, Copy)]
struct Line {
    value: f64,
    slope: f64,
}

impl Line {
    /// Theil and Sen's: its slope is the median of all slopes between two points, here those whole multiples of so many days apart.
    fn through(points: &[(f64, f64)], apart: f64) -> Self {
        let mut slopes = Vec::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let others = points.iter().skip(place + 1).filter(|(other, _)| (x - other) % apart == 0.0);
            slopes.extend(others.map(|(other, value)| (value - y) / (other - x)));
        }
        let slope = median(&mut slopes).filter(|slope| slope.is_finite()).unwrap_or(0.0);
        let mut rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
        Self { value: median(&mut rests).unwrap_or(1.0), slope }
    }

    /// The level so many days from the end.
    fn at(&self, days: f64) -> f64 {
        self.value + self.slope * days
    }

    /// A load at the level of its end all along. Where the line is next to nothing, it says nothing.
    fn taken_from(&self, history: &Hours) -> Hours {
        let end = history.values.len();
        let level = |place: usize| self.at((place as f64 + 0.5 - end as f64) / DAY as f64) / self.value;
        let one = |(place, value): (usize, &Option<f64>)| {
            let level = level(place);
            value.map(|value| if level > 0.1 { (value / level).min(LARGEST) } else { value })
        };
        Hours { first: history.first, values: history.values.iter().enumerate().map(one).collect() }
    }
}

/// A usual day or week.
struct Profile {
    /// 24 hours, or 168.
    slots: Vec<f64>,
}

impl Profile {
    fn of(history: &Hours, season: Season) -> Self {
        let mut days = medians(history, DAY, |_, _| None);
        fill(&mut days);
        let days: Vec<f64> = days.into_iter().map(|slot| slot.unwrap_or_default()).collect();
        if season == Season::Day {
            return Self { slots: days };
        }
        let usual = |slot: usize| days.get(slot % DAY).copied().unwrap_or_default();
        // Of two that have little to do with each other, the one that is nearer to other days.
        let odd = |slot: usize, values: &[f64]| match values {
            [low, high] if *high > 2.0 * *low => {
                let nearer = (high - usual(slot)).abs() < (low - usual(slot)).abs();
                Some(if nearer { *high } else { *low })
            }
            _ => None,
        };
        let weeks = medians(history, WEEK, odd);
        Self { slots: weeks.into_iter().enumerate().map(|(slot, held)| held.unwrap_or_else(|| usual(slot))).collect() }
    }

    fn at(&self, hour: u64) -> f64 {
        let slot = hour.checked_rem(self.slots.len() as u64).and_then(|slot| usize::try_from(slot).ok());
        slot.and_then(|slot| self.slots.get(slot)).copied().unwrap_or_default()
    }
}

/// The median of each slot of a season, unless something else is said of its values, which are in order.
fn medians(history: &Hours, length: usize, other: impl Fn(usize, &[f64]) -> Option<f64>) -> Vec<Option<f64>> {
    let mut slots: Vec<Vec<f64>> = vec![Vec::new(); length];
    for (place, value) in history.values.iter().enumerate() {
        let slot = usize::try_from((history.first + place as u64) % length as u64).unwrap_or_default();
        if let (Some(slot), Some(value)) = (slots.get_mut(slot), value) {
            slot.push(*value);
        }
    }
    let one = |(slot, values): (usize, &mut Vec<f64>)| {
        let median = median(values);
        other(slot, values).or(median)
    };
    slots.iter_mut().enumerate().map(one).collect()
}

/// Hours of a day that nobody knows lie on the line between their neighbours, round the clock.
fn fill(slots: &mut [Option<f64>]) {
    let held = slots.to_vec();
    let count = held.len();
    let neighbour = |from: usize, step: usize| {
        (1..count).find_map(|far| held.get((from + far * step) % count).copied().flatten().map(|value| (far, value)))
    };
    for (place, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
        if let (Some((after, right)), Some((before, left))) = (neighbour(place, 1), neighbour(place, count - 1)) {
            let share = before as f64 / (before + after) as f64;
            *slot = Some(left + (right - left) * share);
        }
    }
}

/// How high each day was against the profile, with how many days ago its middle is (below nothing); the newest first.
fn levels(history: &Hours, profile: &Profile) -> Vec<(f64, f64)> {
    let mut levels = Vec::new();
    let end = history.values.len();
    for back in 1..=end / DAY {
        let from = end - back * DAY;
        let (mut known, mut was, mut usual) = (0, 0.0, 0.0);
        for place in from..from + DAY {
            if let Some(value) = history.values.get(place).copied().flatten() {
                known += 1;
                was += value;
                usual += profile.at(history.first + place as u64);
            }
        }
        if known >= HALF && usual > 0.0 {
            levels.push((0.5 - back as f64, was / usual));
        }
    }
    levels
}

/// The middle value, or the mean of the two in the middle; puts them in order.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some(upper / 2.0 + values.get(middle.checked_sub(1)?)? / 2.0) }
}

/// What a metric to be kept at a target has to do with the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The metric, where each member has one of the load.
    pub each: f64,
    /// In how many hours that was seen; none where it is so by what the metrics mean.
    pub hours: usize,
}

impl Relation {
    /// One of two metrics that say the same of all members and of each.
    #[must_use]
    pub fn known(each: f64) -> Self {
        Self { each, hours: 0 }
    }

    /// What was seen: the median over all hours in which load, metric and capacity are known and not nothing, where there are
    /// enough ([`LEAST`]). Without a capacity, the metric is that of all members together.
    #[must_use]
    pub fn seen(load: &Hours, metric: &Hours, capacity: Option<&Hours>) -> Option<Self> {
        let positive = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0);
        let each = |hour: u64| {
            let members = capacity.map_or(Some(1.0), |capacity| positive(capacity.at(hour)))?;
            positive(Some(positive(metric.at(hour))? * members / positive(load.at(hour))?))
        };
        let mut all: Vec<f64> = (load.first..load.end()).filter_map(each).collect();
        (all.len() >= LEAST).then(|| median(&mut all)).flatten().map(|each| Self { each, hours: all.len() })
    }

    /// The load of a member at which its metric is at the target.
    #[must_use]
    pub fn of_each(&self, target: f64) -> f64 {
        target / self.each
    }
}

/// How many members take a load, each of them so much: never fewer than that takes, and none for none.
#[must_use]
pub fn capacity(load: f64, of_each: f64) -> u32 {
    let whole = (load / of_each * (1.0 - NOISE)).ceil();
    // No group is larger, and what is no number is nothing.
    if whole.is_nan() || whole <= 0.0 { 0 } else { whole.min(f64::from(u32::MAX)) as u32 }
}

/// What an hour takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foreseen {
    /// When the hour begins.
    pub from: Timestamp,
    /// The load that is foreseen.
    pub load: f64,
    /// The load of a member at the target.
    pub of_each: f64,
    /// How many members that makes, before bounds.
    pub capacity: u32,
}

impl std::fmt::Display for Foreseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, load, of_each, capacity } = self;
        write!(f, "a load of {load:.2} from {} on, {of_each:.2} each: {capacity}", from.iso())
    }
}

/// The bounds of a group for a forecast. `buffer` is stated where the most may be raised: the forecast and so many per cent more
/// (AWS: a buffer of 10 % makes 55 of a forecast of 50). A group keeps a bound that was raised, until somebody lowers it (AWS).
#[must_use]
pub fn bounds(held: Bounds, forecast: u32, buffer: Option<u32>) -> Bounds {
    let Some(percent) = buffer else { return held };
    let with_buffer = (u64::from(forecast) * (100 + u64::from(percent))).div_ceil(100);
    // AWS's largest group.
    let raised = u32::try_from(with_buffer).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs());
    Bounds { max: held.max.max(raised), ..held }
}

#[cfg(test)]
mod tests;
