//! What policies that scale by a forecast read: two weeks of their load by the hour, and what their metric has to do with it.
//!
//! Owns how values become those of hours. Must never forecast: that is [`evenkeel_core::scaling::forecast`]'s.

use evenkeel_core::alarm::{Datapoint, Window};
use evenkeel_core::scaling::forecast::{self, Hours, MOST, Relation};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::scaling::{Fold, Predicted, Relating, Source};

use super::readings::Values;

const HOUR: u32 = 3600;
const MINUTE: u32 = 60;
const MINUTES: usize = 60;
/// Minutes that an hour's mean is taken over, at least: of fewer, nothing is said of the hour.
const ENOUGH: usize = 15;

/// The load of the last two weeks up to the hour that is not over, and its relation to the metric at the target, where that is known;
/// blocking.
///
/// # Errors
/// What cannot be read, in words.
pub fn history(values: &Values, of: &Predicted, at: Timestamp) -> Result<(Hours, Option<Relation>), String> {
    let load = hours(values, &of.load, at)?;
    let relation = match &of.relation {
        Relating::Known(relation) => Some(*relation),
        Relating::Learned { metric, capacity } => {
            let metric = hours(values, metric, at)?;
            let capacity = capacity.as_ref().map(|capacity| hours(values, capacity, at)).transpose()?;
            Relation::seen(&load, &metric, capacity.as_ref())
        }
    };
    Ok((load, relation))
}

fn hours(values: &Values, source: &Source, at: Timestamp) -> Result<Hours, String> {
    let end = forecast::hour(at);
    let first = end.saturating_sub(MOST as u64);
    let count = usize::try_from(end - first).unwrap_or(MOST);
    let by_hour = Window { start: forecast::begins(first), period: HOUR, buckets: count };
    let mut hours: Vec<Option<f64>> = match source.fold {
        Fold::Hour => values(&source.watched, &by_hour)?.into_iter().map(|point| point.map(|p| p.value)).collect(),
        Fold::Minutes => {
            let minutes = Window { period: MINUTE, buckets: count * MINUTES, ..by_hour };
            values(&source.watched, &minutes)?.chunks(MINUTES).map(mean).collect()
        }
    };
    hours.iter_mut().flatten().for_each(|value| *value *= source.scale);
    if let Some(with) = &source.zero_with {
        let known = values(with, &by_hour)?;
        for (hour, _) in hours.iter_mut().zip(known).filter(|(hour, known)| hour.is_none() && known.is_some()) {
            *hour = Some(0.0);
        }
    }
    Ok(Hours { first, values: hours })
}

fn mean(minutes: &[Option<Datapoint>]) -> Option<f64> {
    let known = minutes.iter().flatten();
    let (count, sum) = known.fold((0, 0.0), |(count, sum), point| (count + 1, sum + point.value));
    (count >= ENOUGH).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use evenkeel_core::noun::alarm::{MetricName, MetricStat, Watched};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn watched(name: &str, period: u32) -> Watched {
        let metric = MetricName { namespace: "n".into(), name: name.into(), dimensions: vec![] };
        Watched::Metric(MetricStat { metric, period, statistic: "Sum".into(), unit: None })
    }

    fn source(name: &str, fold: Fold, scale: f64, zero_with: Option<Watched>) -> Source {
        Source { watched: watched(name, if fold == Fold::Hour { HOUR } else { MINUTE }), fold, scale, zero_with }
    }

    /// `load` is its hour's number in the window, but nothing in hours 3 and 4; `alive` is not in hour 4; `minutes` has a sum of
    /// 60 in each minute, but only every sixth in hour 5 and every third in hour 6.
    fn value(name: &str, bucket: usize) -> Option<f64> {
        match (name, bucket) {
            ("load", 3 | 4) | ("alive", 4) => None,
            ("load", hour) => Some(hour as f64),
            ("minutes", minute) => match minute / 60 {
                5 => (minute % 6 == 0).then_some(60.0),
                6 => (minute % 3 == 0).then_some(60.0),
                _ => Some(60.0),
            },
            _ => Some(1.0),
        }
    }

    fn read(of: &Watched, window: &Window) -> Result<Vec<Option<Datapoint>>, String> {
        let Watched::Metric(stat) = of else { return Err("unread".into()) };
        assert_eq!(stat.period, window.period);
        assert_eq!(window.end(), forecast::begins(forecast::hour(NOW)), "the hour that is not over is not read");
        let point = |bucket| {
            let value = value(&stat.metric.name, bucket)?;
            Some(Datapoint { at: window.begins(bucket), value, samples: None })
        };
        Ok((0..window.buckets).map(point).collect())
    }

    #[test]
    fn values_become_those_of_hours() {
        let read_it = |source: &Source| hours(&read, source, NOW).unwrap();
        let load = read_it(&source("load", Fold::Hour, 2.0, Some(watched("alive", HOUR))));
        assert_eq!((load.end(), load.values.len()), (forecast::hour(NOW), MOST));
        assert_eq!(load.values[..6], [Some(0.0), Some(2.0), Some(4.0), Some(0.0), None, Some(10.0)]);
        let minutes = read_it(&source("minutes", Fold::Minutes, 1.0 / 60.0, None));
        assert_eq!(minutes.values[4..8], [Some(1.0), None, Some(1.0), Some(1.0)]);
        let learned = |name: &str, capacity: Option<Source>| Predicted {
            load: source("load", Fold::Hour, 1.0, None),
            relation: Relating::Learned {
                metric: source(name, Fold::Hour, 0.5, None).into(),
                capacity: capacity.map(Box::new),
            },
        };
        let (_, relation) = history(&read, &learned("load", None), NOW).unwrap();
        assert_eq!(relation, Some(Relation { each: 0.5, hours: MOST - 3 }));
        let members = source("minutes", Fold::Minutes, 1.0 / 30.0, None);
        let (_, relation) = history(&read, &learned("load", Some(members)), NOW).unwrap();
        assert_eq!(relation, Some(Relation { each: 1.0, hours: MOST - 4 }));
        let mut unread = learned("load", None);
        unread.load.watched = Watched::Math(vec![]);
        assert_eq!(history(&read, &unread, NOW).unwrap_err(), "unread");
    }
}
