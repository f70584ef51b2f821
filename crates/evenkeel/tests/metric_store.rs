//! The store's numbers: an hour of 10,000 series, each with a sample a second, in this much memory and this much time.
//!
//! In a process of its own, so that its memory is the store's alone. Time is an argument of the store's: the hour takes as long
//! as the work does.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use evenkeel::metrics::{Bucket, Limits, Metric, Range, Statistic, Store, Unit};

const SERIES: usize = 10_000;
const HOUR: i64 = 3600;
const START: i64 = 1_700_000_000 / HOUR * HOUR;

/// The most memory that this process may have had, in MiB.
const MEMORY_MIB: u64 = 200;
/// The most that an hour of one series may take to be read.
const QUERY: Duration = Duration::from_millis(10);

/// What this process has, or had at most, in MiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

/// Half of the series count, half measure: those differ from second to second in each of their bits.
fn value(series: usize, second: i64) -> f64 {
    let mixed = (series as u64 ^ (second as u64) << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    if series.is_multiple_of(2) { (mixed % 1000) as f64 } else { 0.1 + (mixed as f64) / (1u64 << 53) as f64 }
}

#[test]
fn an_hour_of_ten_thousand_series_fits_and_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default(), START).unwrap();
    let metric = |n: usize| Metric::new("Load/Test", "Value", [("InstanceId", format!("i-{n:08x}"))]);
    let ids: Vec<_> = (0..SERIES).map(|n| store.number(&metric(n), Unit::None, START).unwrap()).collect();
    let begun = Instant::now();
    for second in START..START + HOUR {
        for (n, id) in ids.iter().enumerate() {
            assert!(store.put_one(*id, second, &Bucket::of(value(n, second))));
        }
        store.tick(second);
        // As much as the store's thread does between two ticks.
        for _ in 0..20 {
            store.step(second).unwrap();
        }
    }
    let (took, now) = (begun.elapsed(), START + HOUR);
    let (most, has) = (memory("VmHWM:"), memory("VmRSS:"));
    let reader = store.reader();
    let mut slowest = Duration::ZERO;
    for n in (0..SERIES).step_by(97) {
        for period in [1, 60] {
            // The best of three: what else this machine does is not what is measured.
            let asked = || {
                let asked = Instant::now();
                (reader.read(ids[n], Range { from: START, to: now, period }, now), asked.elapsed())
            };
            let (found, first) = asked();
            slowest = slowest.max(first.min(asked().1).min(asked().1));
            assert_eq!(found.len() as i64, HOUR / period);
            let (at, bucket) = found.iter().next_back().unwrap();
            let of: Vec<f64> = (*at..now).map(|second| value(n, second)).collect();
            assert_eq!(bucket.count, period as f64);
            assert!((bucket.sum - of.iter().sum::<f64>()).abs() < 1e-6);
            let p90 = Statistic::Percentile(0.9).of(bucket).unwrap();
            let mut sorted = of;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(sorted.len() * 9).div_ceil(10) - 1];
            assert!((p90 - exact).abs() <= exact * 0.011, "{p90} for {exact}");
        }
    }
    let counts = reader.counts();
    let rate = (SERIES as i64 * HOUR) as f64 / took.as_secs_f64();
    println!(
        "{SERIES} series for {HOUR} s: {} MiB on disk, {most} MiB resident at most, {has} MiB at the end; an hour of one is read in {slowest:?} at most; {rate:.0} samples a second",
        counts.block_bytes >> 20
    );
    assert_eq!((counts.refused, counts.damaged, counts.failing), (0, 0, 0));
    assert!(most < MEMORY_MIB, "{most} MiB resident");
    assert!(slowest < QUERY, "an hour of one series took {slowest:?}");
}
