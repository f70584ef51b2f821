//! What is known of some time of a series: count, sum, smallest, largest, and how the values are spread.
//!
//! Two buckets make one ([`Bucket::merge`]), in whatever order and however often they were parted: on that the whole store
//! rests. Must never know when it was. Next: [`super::statistic`], what is read out of it.

use super::sketch::Sketch;

/// Different values that are kept as they are; more become bins.
const EXACT: usize = 8;

/// One or more values.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// How many values. AWS's counts are doubles, and so may be fractions.
    pub count: f64,
    /// Of all values.
    pub sum: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// How they are spread between the two.
    pub spread: Spread,
}

/// How values are spread.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// All are the same.
    Even,
    /// A few different values, sorted, with their counts.
    Few(Vec<(f64, f64)>),
    /// To 1 %.
    Sketch(Sketch),
    /// Nobody told: a statistic set came in.
    Unknown,
}

impl Bucket {
    /// One value.
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self::times(value, 1.0)
    }

    /// A value that was measured `count` times.
    #[must_use]
    pub fn times(value: f64, count: f64) -> Self {
        // Zero has one sign here: else equal values would be told apart.
        let value = value + 0.0;
        Self { count, sum: value * count, min: value, max: value, spread: Spread::Even }
    }

    /// What a statistic set says. Where it is of one value, or all are the same, the spread is known all the same.
    #[must_use]
    pub fn set(count: f64, sum: f64, min: f64, max: f64) -> Self {
        let spread = if min.total_cmp(&max).is_eq() { Spread::Even } else { Spread::Unknown };
        Self { count, sum, min, max, spread }
    }

    /// Several values with their counts; `None` of none.
    #[must_use]
    pub fn of_all(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut all = values.into_iter().map(|(value, count)| Self::times(value, count));
        let mut bucket = all.next()?;
        all.for_each(|next| bucket.merge(&next));
        Some(bucket)
    }

    /// Takes in what another knows.
    pub fn merge(&mut self, other: &Self) {
        let spread = std::mem::replace(&mut self.spread, Spread::Unknown);
        self.spread = spread.merged((self.min, self.count), other);
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Values and how often each was there, smallest first; `None` where that is not known.
    #[must_use]
    pub fn steps(&self) -> Option<Vec<(f64, f64)>> {
        match &self.spread {
            Spread::Even => Some(vec![(self.min, self.count)]),
            Spread::Few(values) => Some(values.clone()),
            Spread::Sketch(sketch) => {
                Some(sketch.steps().map(|(value, count)| (value.clamp(self.min, self.max), count)).collect())
            }
            Spread::Unknown => None,
        }
    }
}

impl Spread {
    /// `even` is the value and count of ours, where all are the same.
    fn merged(self, even: (f64, f64), other: &Bucket) -> Self {
        let theirs = (other.min, other.count);
        match (self, &other.spread) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Even, Self::Even) if even.0.total_cmp(&theirs.0).is_eq() => Self::Even,
            (Self::Even, Self::Even) => few(vec![even], &[theirs]),
            (Self::Even, Self::Few(values)) => few(values.clone(), &[even]),
            (Self::Even, Self::Sketch(sketch)) => {
                let mut sketch = sketch.clone();
                sketch.add(even.0, even.1);
                Self::Sketch(sketch)
            }
            (Self::Few(values), Self::Even) => few(values, &[theirs]),
            (Self::Few(values), Self::Few(more)) => few(values, more),
            (Self::Few(values), Self::Sketch(sketch)) => {
                let mut sketch = sketch.clone();
                values.iter().for_each(|(value, count)| sketch.add(*value, *count));
                Self::Sketch(sketch)
            }
            (Self::Sketch(mut sketch), Self::Even) => {
                sketch.add(theirs.0, theirs.1);
                Self::Sketch(sketch)
            }
            (Self::Sketch(mut sketch), Self::Few(values)) => {
                values.iter().for_each(|(value, count)| sketch.add(*value, *count));
                Self::Sketch(sketch)
            }
            (Self::Sketch(mut sketch), Self::Sketch(more)) => {
                sketch.merge(more);
                Self::Sketch(sketch)
            }
        }
    }
}

fn few(mut values: Vec<(f64, f64)>, more: &[(f64, f64)]) -> Spread {
    for (value, count) in more {
        match values.binary_search_by(|(held, _)| held.total_cmp(value)) {
            Ok(at) => values[at].1 += count,
            Err(at) => values.insert(at, (*value, *count)),
        }
    }
    if values.len() <= EXACT {
        return Spread::Few(values);
    }
    let mut sketch = Sketch::default();
    values.iter().for_each(|(value, count)| sketch.add(*value, *count));
    Spread::Sketch(sketch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(values: &[f64]) -> Vec<(f64, f64)> {
        Bucket::of_all(values.iter().map(|value| (*value, 1.0))).and_then(|bucket| bucket.steps()).unwrap()
    }

    #[test]
    fn few_values_stay_exact_and_many_are_within_their_bounds() {
        assert_eq!(steps(&[3.0, 3.0]), [(3.0, 2.0)]);
        assert_eq!(steps(&[3.0, -1.0, 3.0]), [(-1.0, 1.0), (3.0, 2.0)]);
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        let found = steps(&many);
        assert!(found.iter().all(|(value, _)| (1.0..=100.0).contains(value)));
        assert_eq!(found.iter().map(|(_, count)| count).sum::<f64>(), 100.0);
    }

    #[test]
    fn a_statistic_set_hides_the_spread_but_where_all_are_the_same() {
        assert_eq!(Bucket::set(3.0, 6.0, 1.0, 3.0).steps(), None);
        assert_eq!(Bucket::set(3.0, 6.0, 2.0, 2.0).steps(), Some(vec![(2.0, 3.0)]));
        let mut mixed = Bucket::of(5.0);
        mixed.merge(&Bucket::set(3.0, 6.0, 1.0, 3.0));
        assert_eq!((mixed.steps(), mixed.count, mixed.sum, mixed.min, mixed.max), (None, 4.0, 11.0, 1.0, 5.0));
    }

    #[test]
    fn the_order_of_merging_makes_no_difference() {
        let parts: Vec<Bucket> = (0..40).map(|n| Bucket::times(f64::from(n % 13), f64::from(1 + n % 3))).collect();
        let whole = |parts: &[Bucket]| {
            let mut whole = parts[0].clone();
            parts[1..].iter().for_each(|part| whole.merge(part));
            whole
        };
        let mut halves = whole(&parts[20..]);
        halves.merge(&whole(&parts[..20]));
        assert_eq!(whole(&parts), halves);
        let reversed: Vec<Bucket> = parts.iter().rev().cloned().collect();
        assert_eq!(whole(&parts), whole(&reversed));
    }
}
