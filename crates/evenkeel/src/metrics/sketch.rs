//! How values are spread, to 1 %: a sparse DDSketch.
//!
//! Which bin a value is in, and what a bin stands for, are the `sketches-ddsketch` library's; its own store of bins is dense and
//! takes kilobytes, where most spreads here have a dozen bins. Must never hold more than [`MOST_BINS`]. Next:
//! [`super::bucket`].

use std::sync::LazyLock;

use sketches_ddsketch::Config;

/// How far a percentile may be from the value that it stands for, as a part of it.
pub const ACCURACY: f64 = 0.01;

/// Bins of one spread; past it the smallest values share one. 1,024 bins of 2 % span nine orders of magnitude.
pub const MOST_BINS: usize = 1024;

/// Added to the library's keys of positive values, so that keys here are in the order of values: below 0 are negative
/// values, 0 is zero. The smallest double has key -35,400.
const OFFSET: i32 = 40_000;

static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::new(ACCURACY, 2048, f64::MIN_POSITIVE));

/// Counts by bin, in the order of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch(Vec<(i32, f64)>);

/// The bin that a value is in.
fn bin(value: f64) -> i32 {
    let size = value.abs();
    if size < f64::MIN_POSITIVE {
        return 0;
    }
    let key = CONFIG.key(size).saturating_add(OFFSET).max(1);
    if value > 0.0 { key } else { -key }
}

/// What a bin stands for.
fn value(bin: i32) -> f64 {
    match bin {
        0 => 0.0,
        1.. => CONFIG.value(bin - OFFSET),
        _ => -CONFIG.value(-bin - OFFSET),
    }
}

impl Sketch {
    /// Counts a value `count` times.
    pub fn add(&mut self, value: f64, count: f64) {
        let bin = bin(value);
        match self.0.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => {
                self.0.insert(at, (bin, count));
                self.collapse();
            }
        }
    }

    /// Counts all that another has counted.
    pub fn merge(&mut self, other: &Self) {
        let mut merged = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    merged.push((a.0, a.1 + b.1));
                    ours.next();
                    theirs.next();
                }
                (Some(a), Some(b)) if a.0 < b.0 => merged.extend(ours.next()),
                (Some(_), None) => merged.extend(ours.next()),
                (_, Some(_)) => merged.extend(theirs.next()),
                (None, None) => break,
            }
        }
        self.0 = merged;
        self.collapse();
    }

    fn collapse(&mut self) {
        if self.0.len() > MOST_BINS {
            let spare = self.0.len() - MOST_BINS;
            let count: f64 = self.0[..=spare].iter().map(|(_, count)| count).sum();
            self.0.drain(..spare);
            self.0[0].1 = count;
        }
    }

    /// Values and how often each was counted, smallest first.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.iter().map(|(bin, count)| (value(*bin), *count))
    }

    /// Bins and counts, in order.
    pub(super) fn bins(&self) -> &[(i32, f64)] {
        &self.0
    }

    /// A sketch of these bins; `None` where they are not in order, or too many.
    pub(super) fn of(bins: Vec<(i32, f64)>) -> Option<Self> {
        let is_sorted = bins.is_sorted_by(|a, b| a.0 < b.0);
        let is_known = bins.iter().all(|(bin, _)| bin.unsigned_abs() < 2 * OFFSET.unsigned_abs());
        (is_sorted && is_known && bins.len() <= MOST_BINS).then_some(Self(bins))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sketches_ddsketch::DDSketch;

    use super::*;

    fn quantile(sketch: &Sketch, q: f64) -> f64 {
        let total: f64 = sketch.steps().map(|(_, count)| count).sum();
        let mut seen = 0.0;
        for (value, count) in sketch.steps() {
            seen += count;
            if seen > q * (total - 1.0) {
                return value;
            }
        }
        f64::NAN
    }

    proptest! {
        /// The library's own sketch, and the sorted values themselves, are what ours is held to.
        #[test]
        fn quantiles_are_as_the_librarys(values in prop::collection::vec(prop_oneof![0.001f64..1e6, -1e3f64..-0.01, Just(0.0)], 1..300), q in 0.0f64..=1.0) {
            let mut theirs = DDSketch::new(Config::new(ACCURACY, 2048, 1e-9));
            let (mut one, mut other) = (Sketch::default(), Sketch::default());
            for (index, value) in values.iter().enumerate() {
                theirs.add(*value);
                if index % 2 == 0 { &mut one } else { &mut other }.add(*value, 1.0);
            }
            one.merge(&other);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let at = (q * (sorted.len() - 1) as f64).floor() as usize;
            let ours = quantile(&one, q);
            prop_assert!((ours - sorted[at]).abs() <= sorted[at].abs() * ACCURACY * 1.0001, "{ours} for {}", sorted[at]);
            if values.iter().all(|value| *value > 0.0) {
                let told = theirs.quantile(q).unwrap().unwrap();
                prop_assert!((ours - told).abs() <= told * 2.1 * ACCURACY, "{ours}, the library {told}");
            }
        }

        #[test]
        fn bins_keep_the_order_of_values(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert!(a > b || bin(a) <= bin(b));
            prop_assert!(Sketch::of(vec![(bin(a), 1.0)]).is_some());
        }
    }

    #[test]
    fn bins_are_bounded_and_no_count_is_lost() {
        let mut sketch = Sketch::default();
        for power in 0..3000 {
            sketch.add(1.021f64.powi(power), 1.0);
        }
        assert_eq!(sketch.bins().len(), MOST_BINS);
        assert_eq!(sketch.steps().map(|(_, count)| count).sum::<f64>(), 3000.0);
        assert!(quantile(&sketch, 1.0) > 1.021f64.powi(2999) * 0.98, "the largest stay as they are");
    }
}
