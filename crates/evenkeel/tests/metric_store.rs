//! The store's numbers: an hour of 10,000 series, each with a sample a second, in this much memory and this much time.
//!
//! In a process of its own, so that its memory is the store's alone. Time is an argument of the store's: the hour takes as long
//! as the work does.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel::metrics::{Bucket, Limits, Metric, Metrics, Range, Sample, Statistic, Store, Unit};

const SERIES: usize = 10_000;
const HOUR: i64 = 3600;
const START: i64 = 1_700_000_000 / HOUR * HOUR;

/// The most memory that this process may have had, in MiB.
const MEMORY_MIB: u64 = 200;
/// The most that an hour of one series may take to be read; three times as long where the store is built plainly.
const QUERY: Duration = Duration::from_millis(if cfg!(debug_assertions) { 30 } else { 10 });

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

/// The most seconds of samples that a kill may cost.
const LOST: i64 = 10;
/// Where the store of the processes below is.
const DIR: &str = "EVENKEEL_TEST_METRICS";

fn clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn of(n: usize) -> Metric {
    Metric::new("Load/Test", "Value", [("InstanceId", format!("i-{n:08x}"))])
}

/// Puts a sample into each series each second, and says which second that was, until it is killed.
#[test]
#[ignore = "run by another test as a process of its own"]
fn writer() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = Metrics::start(dir.as_ref(), Limits::default(), clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut at = clock();
    loop {
        let sample = |n| Sample { metric: of(n), unit: Unit::None, at, bucket: Bucket::of(value(n, at)) };
        assert_eq!(runtime.block_on(store.put_and_wait((0..SERIES).map(sample).collect())), Ok(0));
        println!("put {at}");
        at += 1;
        // A second late is as good: what counts is how much is lost of what was put.
        while clock() < at {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Says from which second to which each series has a sample for each.
#[test]
#[ignore = "run by another test as a process of its own"]
fn reader() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut store = Store::open(dir.as_ref(), Limits::default(), clock()).unwrap();
    let now = clock();
    let (mut first, mut last) = (i64::MIN, i64::MAX);
    for n in 0..SERIES {
        let id = store.number(&of(n), Unit::None, now).unwrap();
        let range = Range { from: now / 60 * 60 - 600, to: now / 60 * 60 + 60, period: 1 };
        let found: Vec<i64> = store.reader().read(id, range, now).into_keys().collect();
        let (begins, ends) = (*found.first().unwrap(), *found.last().unwrap());
        assert_eq!(found, (begins..=ends).collect::<Vec<_>>(), "a second is missing in {n}");
        (first, last) = (first.max(begins), last.min(ends));
    }
    assert_eq!(store.reader().counts().damaged, 0);
    println!("has {first} {last}");
}

#[test]
fn a_kill_costs_ten_thousand_series_at_most_ten_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let process = |name: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([name, "--exact", "--ignored", "--nocapture"]).env(DIR, dir.path()).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let lines = |child: &mut Child| BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut writer = process("writer");
    let put: Vec<i64> = lines(&mut writer)
        .filter_map(|line| line.split_once("put ").and_then(|(_, second)| second.parse().ok()))
        .take(13)
        .collect();
    writer.kill().unwrap();
    writer.wait().unwrap();
    let mut reader = process("reader");
    // All of it is read: who cannot print fails.
    let told: Vec<String> = lines(&mut reader).collect();
    let has = told.iter().find_map(|line| line.split_once("has ").map(|(_, told)| told)).unwrap();
    assert!(reader.wait().unwrap().success());
    let (first, last) =
        has.split_once(' ').map(|(a, b)| (a.parse::<i64>().unwrap(), b.parse::<i64>().unwrap())).unwrap();
    println!("killed after {} seconds, the last {} are lost", put.len(), put[put.len() - 1] - last);
    assert_eq!(first, put[0]);
    assert!(put[put.len() - 1] - last <= LOST, "put until {}, has until {last}", put[put.len() - 1]);
    assert!(last > put[0], "nothing but the first second is there");
}
