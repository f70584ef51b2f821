//! Statistics: what number a bucket comes down to.
//!
//! AWS's names and meanings ("CloudWatch statistics definitions"). Percentiles of a few different values are one of them, those of
//! many are within 1 % of one. Must never be asked for what a bucket does not know: then there is no number.

use std::fmt;
use std::str::FromStr;

use super::bucket::Bucket;

/// A statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many values.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// The smallest value that this part of all values, 0 to 1, does not exceed.
    Percentile(f64),
    /// Something of the values between two bounds.
    Within(Of, Bound, Bound),
}

/// What is told of values between bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Their mean: `tm`, `IQM`.
    Mean,
    /// The mean of all, where those outside count as the bound that they are beyond: `wm`.
    Winsorized,
    /// Which part of all they are, in percent: `PR`.
    Rank,
    /// How many they are: `tc`.
    Count,
    /// Their sum: `ts`.
    Sum,
}

/// Where values are cut off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not at all.
    Open,
    /// At a part of all values, 0 to 1.
    Part(f64),
    /// At a value: a lower bound is itself outside, an upper one inside.
    Value(f64),
}

/// The text names no statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no statistic: there are SampleCount, Average, Sum, Minimum, Maximum, IQM, p0 to p100, and tm, wm, tc, ts and PR as in tm99, TM(10%:90%) and PR(:300)"
)]
pub struct BadStatistic(String);

impl FromStr for Statistic {
    type Err = BadStatistic;

    fn from_str(text: &str) -> Result<Self, BadStatistic> {
        let simple = match text {
            "SampleCount" => Some(Self::SampleCount),
            "Average" => Some(Self::Average),
            "Sum" => Some(Self::Sum),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            _ => None,
        };
        simple.or_else(|| extended(text)).ok_or_else(|| BadStatistic(text.chars().take(64).collect()))
    }
}

fn extended(text: &str) -> Option<Statistic> {
    if !text.is_ascii() || text.len() > 100 {
        return None;
    }
    if text.eq_ignore_ascii_case("iqm") {
        return Some(Statistic::Within(Of::Mean, Bound::Part(0.25), Bound::Part(0.75)));
    }
    if let Some(part) = text.strip_prefix(['p', 'P']).and_then(part) {
        return Some(Statistic::Percentile(part));
    }
    let (name, rest) = text.split_at_checked(2)?;
    let of = match name.to_ascii_lowercase().as_str() {
        "tm" => Of::Mean,
        "wm" => Of::Winsorized,
        "pr" => Of::Rank,
        "tc" => Of::Count,
        "ts" => Of::Sum,
        _ => return None,
    };
    let Some(bounds) = rest.strip_prefix('(') else {
        // `tm99` is short for `TM(0%:99%)`; of ranks there is no short form.
        return part(rest)
            .filter(|_| of != Of::Rank)
            .map(|part| Statistic::Within(of, Bound::Part(0.0), Bound::Part(part)));
    };
    let (low, high) = bounds.strip_suffix(')')?.split_once(':')?;
    let (low, high) = (bound(low)?, bound(high)?);
    let is_fit = match (low, high) {
        (Bound::Open, Bound::Open) => false,
        (Bound::Part(low), Bound::Part(high)) => low < high && of != Of::Rank,
        (Bound::Value(low), Bound::Value(high)) => low < high,
        (Bound::Part(_), Bound::Open) | (Bound::Open, Bound::Part(_)) => of != Of::Rank,
        (Bound::Value(_), Bound::Open) | (Bound::Open, Bound::Value(_)) => true,
        _ => false,
    };
    is_fit.then_some(Statistic::Within(of, low, high))
}

/// A number of percent, 0 to 100, as a part.
fn part(text: &str) -> Option<f64> {
    number(text).filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| percent / 100.0)
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    text.parse().ok().filter(|_| is_plain && !text.is_empty())
}

fn bound(text: &str) -> Option<Bound> {
    match text.trim() {
        "" => Some(Bound::Open),
        text => match text.strip_suffix('%') {
            Some(percent) => part(percent).map(Bound::Part),
            None => number(text).map(Bound::Value),
        },
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleCount => f.write_str("SampleCount"),
            Self::Average => f.write_str("Average"),
            Self::Sum => f.write_str("Sum"),
            Self::Minimum => f.write_str("Minimum"),
            Self::Maximum => f.write_str("Maximum"),
            Self::Percentile(part) => write!(f, "p{}", percent(*part)),
            Self::Within(of, low, high) => {
                let name = match of {
                    Of::Mean => "TM",
                    Of::Winsorized => "WM",
                    Of::Rank => "PR",
                    Of::Count => "TC",
                    Of::Sum => "TS",
                };
                write!(f, "{name}({low}:{high})")
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => Ok(()),
            Self::Part(part) => write!(f, "{}%", percent(*part)),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

/// Without what dividing by 100 left of it.
fn percent(part: f64) -> f64 {
    (part * 1e12).round() / 1e10
}

impl Statistic {
    /// The number that a bucket comes down to; `None` where it does not know how its values are spread, or there are none.
    #[must_use]
    pub fn of(&self, bucket: &Bucket) -> Option<f64> {
        match *self {
            Self::SampleCount => Some(bucket.count),
            Self::Sum => Some(bucket.sum),
            Self::Minimum => Some(bucket.min),
            Self::Maximum => Some(bucket.max),
            _ if bucket.count <= 0.0 => None,
            Self::Average => Some(bucket.sum / bucket.count),
            Self::Percentile(part) => bucket.steps().and_then(|steps| percentile(&steps, part)),
            Self::Within(of, low, high) => bucket.steps().and_then(|steps| within(&steps, of, low, high)),
        }
    }

    /// Whether it needs to be known how values are spread.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Within(..))
    }
}

fn total(steps: &[(f64, f64)]) -> f64 {
    steps.iter().map(|(_, count)| count).sum()
}

/// The nearest rank.
fn percentile(steps: &[(f64, f64)], part: f64) -> Option<f64> {
    // What adding and multiplying fractions loses must not reach the next value.
    let wanted = part * total(steps) - 1e-9;
    let mut seen = 0.0;
    let reached = steps.iter().find(|(_, count)| {
        seen += count;
        seen >= wanted
    });
    reached.or(steps.last()).map(|(value, _)| *value)
}

fn within(steps: &[(f64, f64)], of: Of, low: Bound, high: Bound) -> Option<f64> {
    let total = total(steps);
    let (mut count, mut sum, mut below, mut above, mut seen) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (value, each) in steps {
        let (begin, end) = (seen, seen + each);
        seen = end;
        let under = match low {
            Bound::Open => 0.0,
            Bound::Part(part) => (part * total - begin).clamp(0.0, *each),
            Bound::Value(bound) if *value <= bound => *each,
            Bound::Value(_) => 0.0,
        };
        let over = match high {
            Bound::Open => 0.0,
            Bound::Part(part) => (end - part * total).clamp(0.0, each - under),
            Bound::Value(bound) if *value > bound => each - under,
            Bound::Value(_) => 0.0,
        };
        let inside = each - under - over;
        count += inside;
        sum += inside * value;
        below += under;
        above += over;
    }
    let bound_of = |bound: Bound| match bound {
        Bound::Open => Some(0.0),
        Bound::Part(part) => percentile(steps, part),
        Bound::Value(value) => Some(value),
    };
    match of {
        Of::Count => Some(count),
        Of::Sum => Some(sum),
        Of::Rank => (total > 0.0).then(|| 100.0 * count / total),
        Of::Mean => (count > 0.0).then(|| sum / count),
        Of::Winsorized => {
            let all = sum + below * bound_of(low)? + above * bound_of(high)?;
            (total > 0.0).then(|| all / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statistic: &str, values: &[f64]) -> Option<f64> {
        let bucket = Bucket::of_all(values.iter().map(|value| (*value, 1.0))).unwrap();
        statistic.parse::<Statistic>().unwrap().of(&bucket)
    }

    #[test]
    fn each_statistic_is_as_aws_defines_it() {
        let check = |statistic: &str, values: &[f64], wanted: f64| {
            let found = of(statistic, values).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{statistic} of {values:?}: {found}, not {wanted}");
        };
        let four = [1.0, 2.0, 3.0, 10.0];
        for (statistic, wanted) in
            [("SampleCount", 4.0), ("Average", 4.0), ("Sum", 16.0), ("Minimum", 1.0), ("Maximum", 10.0)]
        {
            check(statistic, &four, wanted);
        }
        for (statistic, wanted) in
            [("p0", 1.0), ("p25", 1.0), ("p50", 2.0), ("p50.1", 3.0), ("p75", 3.0), ("p99", 10.0), ("p100", 10.0)]
        {
            check(statistic, &four, wanted);
        }
        check("tm75", &four, 2.0);
        check("TM(25%:75%)", &four, 2.5);
        check("IQM", &four, 2.5);
        check("TM(1:3)", &four, 2.5);
        check("TM(:3)", &four, 2.0);
        check("TM(2:)", &four, 6.5);
        check("wm75", &four, (1.0 + 2.0 + 3.0 + 3.0) / 4.0);
        check("WM(1:5)", &four, (1.0 + 2.0 + 3.0 + 5.0) / 4.0);
        check("PR(:3)", &four, 75.0);
        check("PR(1:3)", &four, 50.0);
        check("tc50", &four, 2.0);
        check("TC(2:20)", &four, 2.0);
        check("ts50", &four, 3.0);
        check("TS(25%:)", &four, 15.0);
        // A part of a value that many have counts in part.
        check("tc90", &[5.0; 10], 9.0);
        assert_eq!(of("TM(20:30)", &four), None, "the mean of nothing");
    }

    #[test]
    fn many_values_are_told_to_a_hundredth() {
        let values: Vec<f64> = (1..=1000).map(f64::from).collect();
        for (statistic, wanted) in
            [("p50", 500.0), ("p99", 990.0), ("p99.9", 999.0), ("tm90", 450.5), ("PR(:300)", 30.0)]
        {
            let found = of(statistic, &values).unwrap();
            assert!((found - wanted).abs() <= wanted * 0.021, "{statistic}: {found}, not {wanted}");
        }
        assert_eq!(of("Sum", &values), Some(500_500.0), "sums are exact");
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        let set = Bucket::set(3.0, 6.0, 1.0, 3.0);
        assert_eq!("p50".parse::<Statistic>().unwrap().of(&set), None);
        assert_eq!("Average".parse::<Statistic>().unwrap().of(&set), Some(2.0));
        assert_eq!(Statistic::Average.of(&Bucket::set(0.0, 0.0, 0.0, 0.0)), None);
    }

    #[test]
    fn names_are_read_and_written() {
        for (text, written) in [
            ("p99.9", "p99.9"),
            ("tm99", "TM(0%:99%)"),
            ("WM(10%:90%)", "WM(10%:90%)"),
            ("PR(:300)", "PR(:300)"),
            ("TS(-5:1.5)", "TS(-5:1.5)"),
            ("Sum", "Sum"),
        ] {
            assert_eq!(text.parse::<Statistic>().map(|statistic| statistic.to_string()).as_deref(), Ok(written));
        }
        for bad in [
            "",
            "p",
            "p101",
            "p-1",
            "pNaN",
            "average",
            "tm",
            "tm(1:2",
            "TM(:)",
            "TM(2:1)",
            "PR(1%:2%)",
            "pr50",
            "TM(1%:5)",
            "x99",
            "p1e1",
            "é9",
            "tmé",
        ] {
            assert!(bad.parse::<Statistic>().is_err(), "{bad}");
        }
    }
}
