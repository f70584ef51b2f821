//! What the road holds in memory, in a process where nothing else runs: idle clients, slow readers, slow instances, bodies
//! without end.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

mod crowd;
mod endless;
#[path = "../road/h2_rig.rs"]
mod h2_rig;
#[path = "../road/origin.rs"]
mod origin;
mod pairs;
#[path = "../road/rig.rs"]
mod rig;
#[path = "../road/tls_rig.rs"]
mod tls_rig;

use std::io::{Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::rig::{Rig, eventually};

/// One at a time: each measures the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's resident memory in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_slow_reader_slows_its_instance_and_holds_no_memory() {
    let _alone = alone();
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let before = resident();
    client.send("GET /big?100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut block = vec![0; 64 * 1024];
    let mut total = client.stream.read(&mut block).unwrap();
    // Nobody reads: the road's count of bytes sent comes to rest, far below the whole.
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(Duration::from_millis(100));
        let now = rig.meters().bytes_out;
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < 60_000_000, "{last}");
    assert!(resident() < before + 40_000, "{} KiB before, {} KiB now", before, resident());
    while total < 100_000_000 {
        let n = client.stream.read(&mut block).unwrap();
        assert!(n > 0, "cut after {total}");
        total += n;
    }
}

#[test]
fn an_instance_that_does_not_read_slows_its_client() {
    let _alone = alone();
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let size = 50_000_000;
    client.send(format!("POST /no-read?600 HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"));
    let mut writer = client.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let block = vec![b'z'; 50_000];
        for _ in 0..size / block.len() {
            writer.write_all(&block).unwrap();
        }
    });
    let before = resident();
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(Duration::from_millis(100));
        let now = rig.meters().bytes_in;
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < size as u64 && resident() < before + 60_000, "{last} bytes, {} KiB", resident());
    assert_eq!(client.read().unwrap().body.len(), size);
    sender.join().unwrap();
}
