//! The writer and its queues: nothing is lost in silence, nothing waits.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::super::{Kind, Record, Said, Side};
use super::*;

/// A folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("evenkeel-log-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn record(side: &Arc<Side>, port: u16, words: usize) -> Box<Record> {
    Box::new(Record {
        kind: Kind::Http,
        at: SystemTime::now(),
        total: Duration::ZERO,
        side: Arc::clone(side),
        client: ([127, 0, 0, 1], port).into(),
        asked: None,
        times: None,
        status: 503,
        instance_status: 0,
        received: 0,
        sent: 0,
        said: Said::unclear(&vec![b'x'; words]).map(Box::new),
        retries: 0,
        fault: None,
        denied: false,
        secured: None,
        mismatch: None,
    })
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let (desk, side) = (Arc::new(Desk::default()), Arc::new(Side::default()));
    // Nobody reads.
    let (teller, inbox) = queue::open(&desk);
    let (done, ended) = std::sync::mpsc::channel();
    let (telling, of) = (teller.clone(), Arc::clone(&side));
    thread::spawn(move || {
        for _ in 0..queue::RECORDS + 1000 {
            telling.tell(record(&of, 1, 1));
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("telling waited");
    assert_eq!(desk.dropped.load(Ordering::Relaxed), 1000);
    let waiting = std::iter::from_fn(|| inbox.next()).count();
    assert_eq!(waiting, queue::RECORDS);
    // There is room again, but not for more bytes than allowed.
    for _ in 0..queue::RECORDS {
        teller.tell(record(&side, 1, 8 * 1024));
    }
    let waiting = std::iter::from_fn(|| inbox.next()).count();
    assert!(waiting > 900 && waiting <= queue::BYTES / (8 * 1024), "{waiting}");
    assert_eq!(desk.dropped.load(Ordering::Relaxed), 1000 + (queue::RECORDS - waiting) as u64);
}

#[test]
fn every_worker_is_heard_in_order_and_the_end_writes_what_waits() {
    let dir = folder("order");
    let config = LogConfig { path: dir.join("access.log"), format: Format::Aws, rotate_bytes: 0, keep: 0 };
    let (mut log, tellers) = Log::start(Some(config.clone()), None, 3).unwrap();
    let side = Arc::new(Side { balancer: "b".into(), ..Side::default() });
    // A first record comes through without an end.
    tellers[0].tell(record(&side, 9, 1));
    eventually("a record is written", || fs::read_to_string(&config.path).is_ok_and(|text| text.ends_with('\n')));
    let threads: Vec<_> = (0u16..)
        .zip(tellers)
        .map(|(worker, teller)| {
            let side = Arc::clone(&side);
            thread::spawn(move || (0..1000).for_each(|n| teller.tell(record(&side, worker * 1000 + n, 10))))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    log.end();
    assert_eq!(log.dropped(), 0);
    let text = fs::read_to_string(&config.path).unwrap();
    let ports: Vec<u16> =
        text.lines().skip(1).map(|line| line.split([':', ' ']).nth(5).unwrap().parse().unwrap()).collect();
    assert_eq!(ports.len(), 3000);
    for worker in 0..3 {
        let own: Vec<u16> = ports.iter().copied().filter(|port| port / 1000 == worker).collect();
        assert_eq!(own, (worker * 1000..worker * 1000 + 1000).collect::<Vec<_>>());
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_disk_that_refuses_costs_records_and_is_counted() {
    let config = LogConfig { path: "/dev/full".into(), format: Format::Json, rotate_bytes: 0, keep: 0 };
    let (mut log, tellers) = Log::start(Some(config), None, 1).unwrap();
    let side = Arc::new(Side::default());
    for n in 0..100 {
        tellers[0].tell(record(&side, n, 1));
    }
    eventually("all are counted", || log.dropped() == 100);
    log.end();
    let nowhere = LogConfig { path: "/nonexistent/x".into(), format: Format::Json, rotate_bytes: 0, keep: 0 };
    assert_eq!(Log::start(Some(nowhere), None, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
}
