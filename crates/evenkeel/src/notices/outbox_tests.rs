//! The outbox: order, rests, bounds, and what is there after a crash.

use super::*;
use crate::notices::Kind;

fn notice(n: u64, to: &[&str]) -> Notice {
    Notice {
        id: format!("id-{n}"),
        at: n,
        kind: Kind::Notification,
        topic: "arn:aws:sns:r:1:t".into(),
        subject: None,
        text: format!("text {n}"),
        texts: BTreeMap::new(),
        attributes: BTreeMap::new(),
        base: "http://h".into(),
        to: to.iter().map(ToString::to_string).collect(),
        once: false,
    }
}

#[test]
fn what_is_to_be_taken_in_once_is_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let once = |n: u64| Notice { once: true, id: format!("0f{n}-of-a-uuid"), ..notice(n, &["a"]) };
    let outbox = Outbox::open(dir.path()).unwrap();
    outbox.put(&once(1)).unwrap();
    outbox.put(&once(1)).unwrap();
    outbox.put(&once(2)).unwrap();
    let deliver = |outbox: &Outbox| {
        let mut told = Vec::new();
        loop {
            let jobs = outbox.take(Instant::now(), 9);
            if jobs.is_empty() {
                return told;
            }
            told.extend(texts(outbox, &jobs));
            jobs.iter().for_each(|job| outbox.settle(job, Ended::Delivered, Instant::now(), 10));
        }
    };
    // Killed before anybody was told, and after.
    let outbox = Outbox::open(dir.path()).unwrap();
    outbox.put(&once(1)).unwrap();
    assert_eq!(deliver(&outbox), [pair("a", 1), pair("a", 2)]);
    outbox.put(&once(2)).unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    outbox.put(&once(1)).unwrap();
    outbox.put(&once(2)).unwrap();
    assert_eq!(deliver(&outbox), []);
    assert_eq!(files(&outbox), 2, "what is left of each");
    outbox.forget(&once(1).id);
    outbox.keep_only(&BTreeSet::from([once(2).id]));
    assert_eq!(files(&outbox), 1);
    outbox.put(&once(1)).unwrap();
    outbox.put(&once(2)).unwrap();
    // One that is forgotten while it waits leaves nothing.
    outbox.forget(&once(1).id);
    assert_eq!(deliver(&outbox), [pair("a", 1)]);
    outbox.keep_only(&BTreeSet::new());
    assert_eq!(files(&outbox), 0);
}

fn texts(outbox: &Outbox, jobs: &[Job]) -> Vec<(String, String)> {
    jobs.iter().map(|job| (job.subscription.clone(), outbox.read(job).unwrap().text)).collect()
}

fn pair(to: &str, n: u64) -> (String, String) {
    (to.to_owned(), format!("text {n}"))
}

fn files(outbox: &Outbox) -> usize {
    fs::read_dir(&outbox.dir).unwrap().count()
}

#[test]
fn everybody_is_told_in_order_and_who_fails_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    let begin = Instant::now();
    outbox.put(&notice(1, &["a", "b"])).unwrap();
    outbox.put(&notice(2, &["a", "b"])).unwrap();
    outbox.put(&notice(3, &[])).unwrap();
    let jobs = outbox.take(begin, 9);
    assert_eq!(texts(&outbox, &jobs), [pair("a", 1), pair("b", 1)]);
    assert_eq!(outbox.take(begin, 9), [], "one thing at a time");
    outbox.settle(&jobs[0], Ended::Failed("it says no".into()), begin, 10);
    outbox.settle(&jobs[1], Ended::Delivered, begin, 10);
    let jobs = outbox.take(begin, 9);
    assert_eq!(texts(&outbox, &jobs), [pair("b", 2)], "the other one rests");
    outbox.settle(&jobs[0], Ended::Delivered, begin, 10);
    assert_eq!(outbox.notes(9), ["a: it says no; 2 wait"]);
    // The pauses grow, to their limit.
    let mut at = begin;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(outbox.next_due(), Some(at + Duration::from_secs(pause)));
        assert_eq!(outbox.take(at + Duration::from_millis(999), 9), []);
        at += Duration::from_secs(pause);
        let jobs = outbox.take(at, 9);
        assert_eq!(texts(&outbox, &jobs), [pair("a", 1)]);
        outbox.settle(&jobs[0], Ended::Failed("it says no".into()), at, 10);
    }
    at += LAST_PAUSE;
    for n in 1..=2 {
        let jobs = outbox.take(at, 9);
        assert_eq!(texts(&outbox, &jobs), [pair("a", n)]);
        outbox.settle(&jobs[0], Ended::Delivered, at, 10);
    }
    assert_eq!(outbox.counts(), Counts { delivered: 4, given_up: 0, waiting: 0 });
    assert_eq!((files(&outbox), outbox.next_due()), (0, None));
}

#[test]
fn what_was_taken_in_is_there_after_a_crash_and_what_was_delivered_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    let now = Instant::now();
    outbox.put(&notice(1, &["a", "b"])).unwrap();
    outbox.put(&notice(2, &["a"])).unwrap();
    let jobs = outbox.take(now, 1);
    outbox.settle(&jobs[0], Ended::Delivered, now, 10);
    drop(outbox);
    // Cut off while it was written: nobody was told that it was taken in.
    fs::write(dir.path().join("notices/0000000000009-000001-x.new"), "{\"id\"").unwrap();
    fs::write(dir.path().join("notices/0000000000000-000001-y.json"), "no message").unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    let jobs = outbox.take(now, 9);
    assert_eq!(texts(&outbox, &jobs), [pair("a", 2), pair("b", 1)]);
    for job in &jobs {
        outbox.settle(job, Ended::Unwanted, now, 10);
    }
    assert_eq!(outbox.counts(), Counts::default());
    assert_eq!(files(&outbox), 1, "what is no message is left alone");
}

#[test]
fn a_recipient_is_given_up_for_good_reason_or_when_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    let now = Instant::now();
    for n in 1..=3 {
        outbox.put(&notice(n, &["a"])).unwrap();
    }
    let jobs = outbox.take(now, 9);
    outbox.settle(&jobs[0], Ended::Refused("404".into()), now, 10);
    let jobs = outbox.take(now, 9);
    assert_eq!(texts(&outbox, &jobs), [pair("a", 2)]);
    let late = u64::try_from(KEPT.as_millis()).unwrap() + 2;
    outbox.settle(&jobs[0], Ended::Failed("503".into()), now, late);
    assert_eq!(outbox.take(now, 9), [], "it still rests");
    let jobs = outbox.take(now + FIRST_PAUSE, 9);
    assert_eq!(texts(&outbox, &jobs), [pair("a", 3)]);
    assert_eq!(outbox.counts(), Counts { delivered: 0, given_up: 2, waiting: 1 });
}

#[test]
fn nobody_fills_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    outbox.held().bytes = MOST_BYTES - 100;
    assert!(matches!(outbox.put(&notice(1, &["a"])), Err(OutboxError::Full)));
    outbox.held().bytes = 0;
    // One recipient's line: the oldest goes, but not what is being told.
    for n in 0..2 {
        outbox.put(&notice(n, &["a", "b"])).unwrap();
    }
    let busy = outbox.take(Instant::now(), 1);
    {
        let mut held = outbox.held();
        let line = held.lines.get_mut("a").unwrap();
        line.waiting.extend((0..MOST_WAITING - 2).map(|n| format!("more {n}")));
    }
    outbox.put(&notice(9, &["a"])).unwrap();
    assert_eq!(outbox.counts().given_up, 1);
    assert_eq!(texts(&outbox, &busy), [pair("a", 0)]);
    assert_eq!(outbox.held().lines["a"].waiting.len(), MOST_WAITING);
    assert_eq!(outbox.held().lines["a"].waiting[1], "more 0", "the second was the oldest");
    assert_eq!(outbox.held().lines["b"].waiting.len(), 2, "others keep it");
}

#[test]
fn turns_go_round() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    for n in 1..=2 {
        outbox.put(&notice(n, &["a", "b", "c"])).unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        let jobs = outbox.take(Instant::now(), 1);
        order.push(jobs[0].subscription.clone());
        outbox.settle(&jobs[0], Ended::Delivered, Instant::now(), 10);
    }
    assert_eq!(order, ["a", "b", "c", "a"]);
}
