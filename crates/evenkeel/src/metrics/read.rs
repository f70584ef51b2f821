//! The reading side of the store: buckets of a series over time, and which series there are.
//!
//! Any number at once, beside the writer: each takes what there is at one moment, and reads blocks without a lock. Calls may
//! block on the disk. Must never write. Next: [`super::statistic`], what is read out of buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::{Damage, KEPT, STEPS};
use super::bucket::Bucket;
use super::catalog::{IDLE, Series, SeriesId};
use super::codec;
use super::identity::{Metric, Unit};
use super::store::Shared;
use super::tally::Counts;

/// Who reads.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Shared>);

/// What is read: from one second to before another, in periods that begin at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first second.
    pub from: i64,
    /// The second after the last.
    pub to: i64,
    /// Seconds of a period, at least 1.
    pub period: i64,
}

impl Range {
    /// The coarsest tier whose steps fit into periods as they lie.
    fn tier(&self) -> usize {
        let fits = |step: i64| self.period % step == 0 && self.from % step == 0;
        (0..STEPS.len()).rev().find(|tier| fits(STEPS[*tier])).unwrap_or(0)
    }

    /// The beginning of the period that a second is in; `None` outside.
    fn period_of(&self, second: i64) -> Option<i64> {
        let is_in = (self.from..self.to).contains(&second);
        is_in.then(|| second - (second - self.from).rem_euclid(self.period.max(1)))
    }
}

/// Which metrics are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With these dimensions, among others; without a value, with any.
    pub dimensions: Vec<(String, Option<String>)>,
    /// That had data so many seconds ago, at most.
    pub within: Option<i64>,
}

impl Filter {
    fn fits(&self, metric: &Metric) -> bool {
        let has = |(name, value): &(String, Option<String>)| {
            metric.dimensions().iter().any(|(n, v)| n == name && value.as_ref().is_none_or(|value| value == v))
        };
        self.namespace.as_ref().is_none_or(|namespace| *namespace == metric.namespace)
            && self.name.as_ref().is_none_or(|name| *name == metric.name)
            && self.dimensions.iter().all(has)
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The series of a metric, one for each unit that it has data in; those with the newest data first.
    #[must_use]
    pub fn units(&self, metric: &Metric) -> Vec<(SeriesId, Unit)> {
        self.0.state(|state| {
            let ids = state.catalog.find(metric).iter();
            let mut found: Vec<_> =
                ids.filter_map(|id| state.catalog.get(*id).map(|series| (*id, series.unit, series.last))).collect();
            found.sort_by_key(|(id, _, last)| (std::cmp::Reverse(*last), *id));
            found.into_iter().map(|(id, unit, _)| (id, unit)).collect()
        })
    }

    /// The buckets of a series by the second in which each period begins, oldest first; periods without data are left out.
    /// `now` says what is too old for the resolution that the period and the beginning ask for.
    #[must_use]
    pub fn read(&self, series: SeriesId, range: Range, now: i64) -> BTreeMap<i64, Bucket> {
        let tier = range.tier();
        let (fresh, frozen, blocks) =
            self.0.state(|state| (state.head.of(series), state.frozen.clone(), Arc::clone(&state.blocks)));
        let oldest = range.from.max((now - KEPT[tier]).div_euclid(STEPS[tier]) * STEPS[tier]);
        let mut found: BTreeMap<i64, Bucket> = BTreeMap::new();
        let mut take = |second: i64, bucket: Bucket| {
            let Some(start) = range.period_of(second).filter(|_| second >= oldest) else { return };
            match found.entry(start) {
                std::collections::btree_map::Entry::Occupied(mut held) => held.get_mut().merge(&bucket),
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(bucket)),
            }
        };
        for block in &blocks[tier] {
            let (first, last) = (block.span.0 * STEPS[tier], (block.span.1 + 1) * STEPS[tier]);
            if last <= oldest || first >= range.to {
                continue;
            }
            match block.chunk_of(series) {
                Ok(None) => {}
                Ok(Some(chunk)) => codec::all(&chunk).for_each(|(slot, bucket)| take(slot * STEPS[tier], bucket)),
                Err(Damage::Io(error)) => self.0.tally.damaged(&format!("`{}`: {error}", block.path.display())),
                Err(damage) => self.0.tally.damaged(&format!("`{}`: {damage}", block.path.display())),
            }
        }
        let frozen = frozen.map(|head| head.of(series)).unwrap_or_default();
        frozen.into_iter().chain(fresh).for_each(|(second, bucket)| take(second, bucket));
        found
    }

    /// Metrics, each once whatever its units, that had data within two weeks; in the order of the numbers of their series,
    /// from after one on. Returns up to `most`, and the number to go on after where there are more.
    #[must_use]
    pub fn list(
        &self,
        filter: &Filter,
        after: SeriesId,
        most: usize,
        now: i64,
    ) -> (Vec<Arc<Metric>>, Option<SeriesId>) {
        let within = filter.within.unwrap_or(IDLE).min(IDLE);
        let is_shown = |series: &Series| series.last > now - within;
        self.0.state(|state| {
            let mut found: Vec<(SeriesId, Arc<Metric>)> = Vec::new();
            for (id, series) in state.catalog.after(after) {
                if !is_shown(series) || !filter.fits(&series.metric) {
                    continue;
                }
                // The first of its units that is shown stands for all.
                let others = state.catalog.find(&series.metric).iter().filter(|other| **other < id);
                if others.filter_map(|other| state.catalog.get(*other)).any(is_shown) {
                    continue;
                }
                if found.len() == most {
                    return (found.iter().map(|(_, m)| Arc::clone(m)).collect(), found.last().map(|(id, _)| *id));
                }
                found.push((id, Arc::clone(&series.metric)));
            }
            (found.into_iter().map(|(_, metric)| metric).collect(), None)
        })
    }

    /// How the store fares.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.tally.counts()
    }

    pub(super) fn overran(&self, samples: usize) {
        self.0.tally.overran(samples);
    }
}
