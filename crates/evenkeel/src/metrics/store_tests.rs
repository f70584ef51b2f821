//! The store as a whole: held to a plain list of samples, in virtual time, through restarts, crashes and broken files.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::block::{KEPT, STEPS};
use super::*;

const START: i64 = 1_700_000_000 / 3600 * 3600;

fn metric(n: usize) -> Metric {
    Metric::new("test", "metric", [("n", n.to_string())])
}

fn opened(dir: &Path, now: i64) -> Store {
    Store::open(dir, Limits::default(), now).unwrap()
}

/// What the store is held to.
#[derive(Default)]
struct Model(Vec<(usize, i64, Bucket)>);

impl Model {
    fn read(&self, series: usize, range: Range, tier: usize, now: i64) -> BTreeMap<i64, Bucket> {
        let mut found: BTreeMap<i64, Bucket> = BTreeMap::new();
        let oldest = (now - KEPT[tier]).div_euclid(STEPS[tier]) * STEPS[tier];
        for (of, at, bucket) in &self.0 {
            if *of == series && (range.from..range.to).contains(at) && *at >= oldest {
                let start = at - (at - range.from) % range.period;
                found.entry(start).and_modify(|held| held.merge(bucket)).or_insert_with(|| bucket.clone());
            }
        }
        found
    }
}

fn id(store: &Store, series: usize) -> Option<catalog::SeriesId> {
    store.reader().units(&metric(series)).first().map(|(id, _)| *id)
}

/// Sums of doubles depend on their order: these are compared to what is left of them.
fn compare(found: &BTreeMap<i64, Bucket>, wanted: &BTreeMap<i64, Bucket>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (at, bucket) in found {
        let model = &wanted[at];
        assert_eq!((bucket.count, bucket.min, bucket.max), (model.count, model.min, model.max), "at {at}");
        assert!(
            (bucket.sum - model.sum).abs() <= model.sum.abs() * 1e-9 + 1e-9,
            "at {at}: {} {}",
            bucket.sum,
            model.sum
        );
        assert_eq!(bucket.steps(), model.steps(), "at {at}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put { series: usize, ago: i64, bucket: Bucket },
    Pass(i64),
    Work,
    Restart,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let value = (-50i32..5000).prop_map(|value| f64::from(value) / 4.0);
    let bucket = prop_oneof![
        6 => value.clone().prop_map(Bucket::of),
        1 => (value.clone(), 1u8..9).prop_map(|(value, count)| Bucket::times(value, count.into())),
        1 => prop::collection::vec((value.clone(), 1u8..4), 1..20)
            .prop_map(|all| Bucket::of_all(all.into_iter().map(|(value, count)| (value, count.into()))).unwrap()),
        1 => (value.clone(), value).prop_map(|(a, b)| Bucket::set(3.0, a + b, a.min(b), a.max(b))),
    ];
    let ago = prop_oneof![6 => 0i64..3, 2 => -100i64..400, 1 => 0i64..14 * 86_400];
    prop_oneof![
        30 => (0usize..3, ago, bucket).prop_map(|(series, ago, bucket)| Step::Put { series, ago, bucket }),
        15 => prop_oneof![8 => 1i64..20, 3 => 60i64..900, 1 => 3600i64..40_000].prop_map(Step::Pass),
        4 => Just(Step::Work),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever comes in when, and however often the process ends: what is read is what the samples say.
    #[test]
    fn the_store_is_the_sum_of_its_samples(steps in prop::collection::vec(step(), 1..400)) {
        let dir = tempfile::tempdir().unwrap();
        let mut now = START;
        let mut store = opened(dir.path(), now);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Put { series, ago, bucket } => {
                    let sample = Sample { metric: metric(series), unit: Unit::Count, at: now - ago, bucket: bucket.clone() };
                    prop_assert_eq!(store.put(&[sample], now), 0);
                    model.0.push((series, now - ago, bucket));
                }
                Step::Pass(seconds) => {
                    now += seconds;
                    store.tick(now);
                }
                Step::Work => { let _ = store.step(now).unwrap(); }
                Step::Restart => {
                    store.close().unwrap();
                    store = opened(dir.path(), now);
                }
                // What was flushed survives the end of the process, whatever was going on.
                Step::Kill => {
                    store.flush().unwrap();
                    drop(store);
                    store = opened(dir.path(), now);
                }
            }
        }
        for settled in [false, true] {
            if settled {
                store.settle(now).unwrap();
            }
            for series in 0..3 {
                let Some(id) = id(&store, series) else { continue };
                for (tier, step) in STEPS.into_iter().enumerate() {
                    for (periods, span) in [(1, 2000), (7, 20_000)] {
                        let period = step * periods;
                        let range = Range { from: (now - span * step).div_euclid(3600) * 3600, to: now + 3600, period };
                        let tier_read = (0..4).rev().find(|t| period % STEPS[*t] == 0).unwrap();
                        prop_assert_eq!(tier_read, tier);
                        compare(&store.reader().read(id, range, now), &model.read(series, range, tier, now));
                    }
                }
            }
        }
        let counts = store.reader().counts();
        prop_assert_eq!((counts.damaged, counts.lost_bytes, counts.refused, counts.failing), (0, 0, 0, 0));
    }
}

/// Puts 1, 2, 3 … of one series, a second each, and lets the store work after each.
fn fill(store: &mut Store, from: i64, seconds: i64) {
    for second in 0..seconds {
        let now = from + second;
        let sample = Sample { metric: metric(0), unit: Unit::Count, at: now, bucket: Bucket::of((second + 1) as f64) };
        assert_eq!(store.put(&[sample], now), 0);
        store.tick(now);
        while store.step(now).unwrap() {}
    }
}

fn counted(store: &Store, from: i64, to: i64, period: i64, now: i64) -> f64 {
    let range = Range { from, to, period };
    let id = id(store, 0).unwrap();
    store.reader().read(id, range, now).values().map(|bucket| bucket.count).sum()
}

#[test]
fn each_resolution_is_kept_for_its_time_and_small_blocks_become_large_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    let mut now = START;
    // Ten days, a sample each 5 minutes: 2,880 cuts.
    while now < START + 10 * 86_400 {
        let sample = Sample { metric: metric(0), unit: Unit::Count, at: now, bucket: Bucket::of(1.0) };
        store.put(&[sample], now);
        store.tick(now);
        while store.step(now).unwrap() {}
        now += 300;
    }
    assert_eq!(counted(&store, START, now, 1, now), 36.0);
    assert_eq!(counted(&store, START, now, 60, now), 2880.0);
    assert_eq!(counted(&store, START, now, 300, now), 2880.0);
    assert_eq!(counted(&store, START, now, 3600, now), 2880.0);
    let blocks = store.reader().counts().blocks;
    assert!(blocks < 40 + 3 * 48, "{blocks} blocks of 2,880 cuts");
    // Nothing comes in any more: everything goes in its time.
    for (after, period, left) in [
        (4 * 3600, 1, 0.0),
        (16 * 86_400, 60, 0.0),
        (16 * 86_400, 300, 2880.0),
        (64 * 86_400, 300, 0.0),
        (450 * 86_400, 3600, 0.0),
    ] {
        let later = now + after;
        store.tick(later);
        let found = counted(&store, START, now, period, later);
        if left == 0.0 && period == 3600 {
            assert!(found > 0.0 && found < 2880.0, "{found}");
        } else {
            assert_eq!(found, left, "period {period} after {after} s");
        }
    }
    store.tick(now + 456 * 86_400);
    let counts = store.reader().counts();
    assert_eq!((counts.blocks, counts.block_bytes), (0, 0));
    let files = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("block"));
    assert_eq!(files.count(), 0);
}

#[test]
fn what_was_not_yet_written_is_all_that_a_kill_costs() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    fill(&mut store, START, 700);
    let now = START + 700;
    for second in 0..9 {
        let sample = Sample { metric: metric(0), unit: Unit::Count, at: now + second, bucket: Bucket::of(1.0) };
        store.put(&[sample], now + second);
    }
    drop(store);
    let store = opened(dir.path(), now + 10);
    assert_eq!(counted(&store, START, now + 10, 1, now + 10), 700.0);
}

#[test]
fn a_torn_journal_costs_its_end_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    fill(&mut store, START, 100);
    drop(store);
    let journal = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let journal = journal.filter(|path| path.to_string_lossy().contains("journal-")).max().unwrap();
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    let store = opened(dir.path(), START + 100);
    assert_eq!(counted(&store, START, START + 100, 1, START + 100), 99.0);
    assert!(store.reader().counts().lost_bytes > 0);
}

#[test]
fn a_broken_block_costs_itself_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    fill(&mut store, START, 1500);
    let now = START + 1500;
    store.close().unwrap();
    let mut blocks: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("t0-"))
        .collect();
    blocks.sort();
    assert!(blocks.len() >= 4, "{blocks:?}");
    // One in its data, one in its foot.
    let broken = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = if at == 0 { bytes.len() - 20 } else { at };
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    broken(&blocks[0], 30);
    broken(&blocks[1], 0);
    let mut store = opened(dir.path(), now);
    let left = counted(&store, START, now, 1, now);
    assert!(left > 800.0 && left < 1000.0, "two blocks of five minutes are lost of 1,500 s: {left}");
    assert!(store.reader().counts().damaged >= 2);
    assert_eq!(counted(&store, START, now, 60, now), 1500.0, "other resolutions have blocks of their own");
    // It goes on.
    fill(&mut store, now, 400);
    assert!(counted(&store, START, now + 400, 1, now + 400) >= left + 400.0);
}

#[test]
fn work_that_was_broken_off_neither_loses_nor_doubles() {
    for cut_short_after in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let mut store = opened(dir.path(), START);
        for series in 0..250 {
            for second in 0..5 {
                let sample =
                    Sample { metric: metric(series), unit: Unit::Count, at: START + second, bucket: Bucket::of(1.0) };
                store.put(&[sample], START);
            }
        }
        store.tick(START + 301);
        for _ in 0..cut_short_after {
            let _ = store.step(START + 301).unwrap();
        }
        drop(store);
        // Twice: the second finds what the first made of it.
        for _ in 0..2 {
            let store = opened(dir.path(), START + 302);
            for period in [1, 60, 300, 3600] {
                let range = Range { from: START, to: START + 3600, period };
                for series in [0, 99, 249] {
                    let found = store.reader().read(id(&store, series).unwrap(), range, START + 302);
                    let count: f64 = found.values().map(|bucket| bucket.count).sum();
                    assert_eq!(count, 5.0, "series {series}, period {period}, after {cut_short_after} steps");
                }
            }
        }
    }
}

#[test]
fn series_disk_and_memory_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { series: 2, disk: 20_000, memory: 4096 };
    let mut store = Store::open(dir.path(), limits, START).unwrap();
    let sample = |series: usize, at: i64| Sample {
        metric: metric(series),
        unit: Unit::Count,
        at,
        bucket: Bucket::of(at as f64 * 0.1),
    };
    assert_eq!(store.put(&[sample(0, START), sample(1, START), sample(2, START), sample(0, START + 1)], START), 1);
    assert_eq!(store.reader().counts().refused, 1);
    for second in 0..20_000 {
        let now = START + second;
        store.put(&[sample(0, now), sample(1, now)], now);
        store.tick(now);
        while store.step(now).unwrap() {}
        let counts = store.reader().counts();
        assert!(counts.memory_bytes < 3 * 4096, "{} bytes in memory", counts.memory_bytes);
        assert!(counts.block_bytes < 40_000, "{} bytes of blocks", counts.block_bytes);
    }
    let counts = store.reader().counts();
    assert!(counts.crowded_out > 0, "{counts:?}");
    assert_eq!(counts.refused, 1, "nothing else was");
}

#[test]
fn metrics_are_listed_once_in_pages_while_they_have_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    for n in 0..7 {
        for unit in [Unit::Count, Unit::Bytes] {
            let at = if n == 3 { START - 4 * 3600 } else { START };
            store.put(&[Sample { metric: metric(n), unit, at, bucket: Bucket::of(1.0) }], START);
        }
    }
    let listed = |store: &Store, filter: &Filter, now: i64| {
        let (mut after, mut names) = (0, Vec::new());
        loop {
            let (page, next) = store.reader().list(filter, after, 2, now);
            assert!(page.len() <= 2);
            names.extend(page.iter().map(|metric| metric.dimensions()[0].1.clone()));
            match next {
                Some(next) => after = next,
                None => return names.join(" "),
            }
        }
    };
    assert_eq!(listed(&store, &Filter::default(), START), "0 1 2 3 4 5 6");
    let recent = Filter { within: Some(3 * 3600), ..Filter::default() };
    assert_eq!(listed(&store, &recent, START), "0 1 2 4 5 6");
    let one = Filter { dimensions: vec![("n".into(), Some("5".into()))], ..Filter::default() };
    assert_eq!(listed(&store, &one, START), "5");
    assert_eq!(listed(&store, &Filter { namespace: Some("other".into()), ..Filter::default() }, START), "");
    assert_eq!(listed(&store, &Filter::default(), START + 14 * 86_400), "");
    // After a restart it is known as well, to the minute, though all are in blocks.
    store.settle(START + 1000).unwrap();
    drop(store);
    let store = opened(dir.path(), START + 1000);
    assert_eq!(listed(&store, &recent, START + 1000), "0 1 2 4 5 6");
}

#[test]
fn a_disk_that_fails_costs_no_more_than_memory_allows() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(dir.path(), START);
    fill(&mut store, START, 10);
    // Nothing new can be made in a folder that is gone; what is open can still be written.
    std::fs::rename(dir.path(), dir.path().with_extension("away")).unwrap();
    for second in 10..700 {
        let now = START + second;
        let sample = Sample { metric: metric(0), unit: Unit::Count, at: now, bucket: Bucket::of(1.0) };
        assert_eq!(store.put(&[sample], now), 0);
        store.tick(now);
        let _ = store.step(now);
    }
    assert_eq!(store.reader().counts().failing, 1);
    assert_eq!(counted(&store, START, START + 700, 1, START + 700), 700.0, "and it is read on");
    std::fs::rename(dir.path().with_extension("away"), dir.path()).unwrap();
    store.tick(START + 700);
    store.settle(START + 700).unwrap();
    assert_eq!(store.reader().counts().failing, 0);
    drop(store);
    let store = opened(dir.path(), START + 700);
    assert_eq!(counted(&store, START, START + 700, 1, START + 700), 700.0);
}
