//! What came in since the last cut: buckets of one second, packed, by series.
//!
//! Costs about as many bytes as it would on the disk. Must never be larger than the store lets it. Next: [`super::jobs`], which
//! makes blocks of it.

use std::collections::HashMap;

use super::bucket::Bucket;
use super::catalog::SeriesId;
use super::codec::{self, Slot, State};

/// What a series costs here beside its packed buckets.
const PEN: usize = 160;

/// The buckets of all series.
#[derive(Debug, Default)]
pub(super) struct Head {
    pens: HashMap<SeriesId, Pen>,
    bytes: usize,
}

/// Those of one: the newest is still open.
#[derive(Clone, Debug)]
struct Pen {
    packed: Vec<u8>,
    state: State,
    open: (Slot, Bucket),
}

impl Head {
    /// Takes a bucket in. One of the second that came in last is merged with it; others are merged when they are read.
    pub fn put(&mut self, series: SeriesId, second: Slot, bucket: &Bucket) {
        let Some(pen) = self.pens.get_mut(&series) else {
            let pen = Pen { packed: Vec::new(), state: State::default(), open: (second, bucket.clone()) };
            self.pens.insert(series, pen);
            self.bytes += PEN;
            return;
        };
        if pen.open.0 == second {
            pen.open.1.merge(bucket);
            return;
        }
        let before = pen.packed.capacity();
        codec::put(&mut pen.packed, &mut pen.state, pen.open.0, &pen.open.1);
        pen.open = (second, bucket.clone());
        self.bytes += pen.packed.capacity() - before;
    }

    /// The buckets of a series, as they came in.
    pub fn of(&self, series: SeriesId) -> Vec<(Slot, Bucket)> {
        let Some(pen) = self.pens.get(&series) else { return Vec::new() };
        codec::all(&pen.packed).chain([pen.open.clone()]).collect()
    }

    /// All series, in order.
    pub fn series(&self) -> Vec<SeriesId> {
        let mut ids: Vec<_> = self.pens.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub fn is_empty(&self) -> bool {
        self.pens.is_empty()
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Brings buckets in order, makes one of those of the same step, and steps longer.
pub(super) fn rolled(buckets: &[(Slot, Bucket)], by: i64) -> Vec<(Slot, Bucket)> {
    let mut out: Vec<(Slot, Bucket)> = Vec::with_capacity(buckets.len().div_ceil(by.unsigned_abs() as usize));
    let mut is_sorted = true;
    for (slot, bucket) in buckets {
        let slot = slot.div_euclid(by);
        match out.last_mut() {
            Some((last, held)) if *last == slot => held.merge(bucket),
            last => {
                is_sorted &= last.is_none_or(|(last, _)| *last < slot);
                out.push((slot, bucket.clone()));
            }
        }
    }
    if !is_sorted {
        out.sort_by_key(|(slot, _)| *slot);
        out.dedup_by(|next, held| {
            let same = next.0 == held.0;
            if same {
                held.1.merge(&next.1);
            }
            same
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_rolled_up_in_whatever_order_they_came() {
        let of = |slots: &[i64]| slots.iter().map(|slot| (*slot, Bucket::of(*slot as f64))).collect::<Vec<_>>();
        let sums = |buckets: &[(i64, Bucket)]| buckets.iter().map(|(s, b)| (*s, b.count, b.sum)).collect::<Vec<_>>();
        assert_eq!(sums(&rolled(&of(&[61, 2, -1, 60, 1, 2]), 60)), [(-1, 1.0, -1.0), (0, 3.0, 5.0), (1, 2.0, 121.0)]);
        assert_eq!(sums(&rolled(&of(&[1, 2, 3]), 1)), [(1, 1.0, 1.0), (2, 1.0, 2.0), (3, 1.0, 3.0)]);
        assert!(rolled(&[], 60).is_empty());
    }

    #[test]
    fn a_head_gives_back_what_it_was_given() {
        let mut head = Head::default();
        for second in [5, 5, 6, 3] {
            head.put(7, second, &Bucket::of(second as f64));
        }
        let found = rolled(&head.of(7), 1);
        assert_eq!(found.iter().map(|(s, b)| (*s, b.count)).collect::<Vec<_>>(), [(3, 1.0), (5, 2.0), (6, 1.0)]);
        assert!(head.of(8).is_empty());
        assert_eq!(head.series(), [7]);
        assert!(head.bytes() >= PEN);
    }
}
