//! System calls of a road for each of many requests in a row on a connection that is kept alive, as `strace -c` sees them.
//!
//! `EVENKEEL_STRACE=must` fails where strace is missing or may not trace, instead of skipping.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

#[path = "../road/origin.rs"]
mod origin;
#[path = "../road/rig.rs"]
mod rig;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::origin::{Origin, again};
use crate::rig::{Client, Rig, address, eventually};

const REQUESTS: u64 = 2_000;

/// Not a test: a road, in front of an instance elsewhere.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn road_process() {
    let Ok(instance) = std::env::var("ROAD_TEST_INSTANCE") else { return };
    let config = RoadConfig { workers: 1, ..RoadConfig::default() };
    let mut rig = Rig::with(&[], Protocol::Http, config);
    rig.add_target("a", instance.parse().unwrap());
    rig.publish();
    println!("\nat={}", rig.address());
    // Until whoever started it has gone.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Traces a process from here on; in error why it cannot.
fn trace(process: u32, to: &std::path::Path) -> Result<Child, String> {
    let mut command = Command::new("strace");
    command.args(["-c", "-f", "-p", &process.to_string(), "-o"]).arg(to).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|why| format!("there is no strace (apt-get install strace): {why}"))?;
    let attached = || {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default()).all(
            |status| status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0")),
        )
    };
    let mut ended = None;
    eventually("all threads are traced, or none may be", || {
        ended = child.try_wait().unwrap();
        ended.is_some() || attached()
    });
    match ended {
        None => Ok(child),
        Some(_) => {
            let said = child.wait_with_output().unwrap();
            Err(format!("strace may not trace: {}", String::from_utf8_lossy(&said.stderr).trim()))
        }
    }
}

/// How often each call was made.
fn counts(table: &str) -> BTreeMap<String, u64> {
    // % time, seconds, usecs/call, calls, errors where there were any, name.
    let rows = table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (calls, name) = (words.get(3)?.parse().ok()?, words.last()?);
        (*name != "total").then(|| ((*name).to_owned(), calls))
    });
    rows.collect()
}

#[test]
fn a_request_on_a_connection_that_is_kept_alive_takes_six_calls() {
    let origin = Origin::start(address(), 0);
    let mut road = again("road_process")
        .env("ROAD_TEST_INSTANCE", origin.address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(road.stdout.take().unwrap()).lines();
    let at: SocketAddr = lines.find_map(|line| line.unwrap().strip_prefix("at=")?.parse().ok()).unwrap();
    let mut client = Client::connect(at);
    // The connection to the instance is made before.
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    let file = std::env::temp_dir().join(format!("evenkeel-strace-{}", std::process::id()));
    match trace(road.id(), &file) {
        Err(why) => {
            assert_ne!(std::env::var("EVENKEEL_STRACE").as_deref(), Ok("must"), "calls cannot be counted: {why}");
            eprintln!("\n*** SKIPPED: system calls are not counted: {why} ***\n");
        }
        Ok(mut strace) => {
            (0..REQUESTS).for_each(|_| assert_eq!(client.get("/").status, 200));
            let id = rustix::process::Pid::from_child(&strace);
            rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
            strace.wait().unwrap();
            let counted = counts(&std::fs::read_to_string(&file).unwrap());
            std::fs::remove_file(&file).unwrap();
            let each = counted.values().sum::<u64>() as f64 / REQUESTS as f64;
            println!("{each:.3} calls a request: {counted:?}");
            // A wait that is cut short by the tracing or by a timer may add a few.
            assert!((5.9..=6.05).contains(&each), "{each} calls a request: {counted:?}");
            for name in ["recvfrom", "sendto"] {
                assert_eq!(counted[name], 2 * REQUESTS, "{counted:?}");
            }
        }
    }
    drop((client, road.stdin.take()));
    let _ = road.wait().unwrap();
}
