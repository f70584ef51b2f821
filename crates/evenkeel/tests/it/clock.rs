//! The wall clock steps while everything runs: requests, idle connections and what drains go on as before.
//!
//! libfaketime stands between the processes and that clock, and leaves the steady one alone. `EVENKEEL_FAKETIME=must` fails
//! where it is missing instead of skipping.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_aws::elb;
use jiff::{SignedDuration, Timestamp};

use crate::draining::{held_pair, pair, set_draining};
use crate::rig::{PROGRAM, Rig};

/// How long it is looked whether something comes of a step: the office's loops and the road's checks go round meanwhile.
const WATCH: Duration = Duration::from_secs(6);

/// What is preloaded, where it is installed.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

fn turn(dial: &Path, hours: i64) {
    let staged = dial.with_extension("new");
    std::fs::write(&staged, format!("{hours:+}h\n")).unwrap();
    std::fs::rename(&staged, dial).unwrap();
}

/// How far from the true time the road's last line is, in hours.
fn told(rig: &Rig) -> Option<i64> {
    let log = std::fs::read_to_string(rig.file("access.log")).ok()?;
    let line: serde_json::Value = serde_json::from_str(log.lines().last()?).ok()?;
    let at: Timestamp = line["time"].as_str()?.parse().ok()?;
    let off = at.duration_since(Timestamp::now()) + SignedDuration::from_mins(30);
    Some(off.as_secs().div_euclid(3600))
}

/// One request on a connection that is kept; nothing where it has ended.
fn ask(stream: &mut TcpStream) -> String {
    let _ = stream.write_all(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let status = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    status
}

/// A change that has the road build the balancer anew, and waits until it goes by it.
fn change(rig: &mut Rig, idle_timeout: i64) {
    let connection_settings = Some(elb::ConnectionSettings { idle_timeout });
    let load_balancer_attributes = elb::LoadBalancerAttributes { connection_settings, ..Default::default() };
    rig.call(&elb::ModifyLoadBalancerAttributes { load_balancer_name: "test".into(), load_balancer_attributes })
        .unwrap();
    rig.wait("the road to go by it", Duration::from_secs(20), |rig| {
        let mut status = std::process::Command::new(PROGRAM);
        status.envs(rig.environment.iter().cloned());
        let told = status.args(["status", "--json", "--data-dir"]).arg(rig.data_dir()).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        (told["road"].as_u64()? >= told["generation"].as_u64()?).then_some(())
    });
}

#[test]
fn a_step_of_the_wall_clock_changes_nothing() {
    let Some(library) = library() else {
        let must = std::env::var("EVENKEEL_FAKETIME").is_ok_and(|wish| wish == "must");
        assert!(!must, "no libfaketime (apt-get install faketime)");
        eprintln!("\n*** SKIPPED: no step of the clock: there is no libfaketime (apt-get install faketime) ***\n");
        return;
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dial = folder.path().join("dial");
    turn(&dial, 0);
    let within = [
        ("LD_PRELOAD", library.as_path()),
        ("FAKETIME_TIMESTAMP_FILE", &dial),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
    ];
    let mut rig = Rig::start_within(within.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    let ids = pair(&mut rig, "http");
    set_draining(&rig, "test", 300);
    let node: SocketAddr = rig.nodes("test")[0].1;
    let mut idle = TcpStream::connect(node).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(ask(&mut idle), "HTTP/1.1 200 OK");
    let requests = held_pair(&mut rig);
    rig.remove("test", &ids[..1]);
    // A step before the road has heard until when one may drain would count.
    change(&mut rig, 100);
    for hours in [48, -48, 0] {
        turn(&dial, hours);
        rig.hours_off = hours;
        rig.wait("the road to tell the new time", Duration::from_secs(20), |rig| {
            assert_eq!(rig.get(node, "/").unwrap().0, 200);
            (told(rig)? == hours).then_some(())
        });
        change(&mut rig, 150 + hours);
        let until = Instant::now() + WATCH;
        while Instant::now() < until {
            assert_eq!(rig.get(node, "/").unwrap().0, 200, "{hours} hours off\n{}", rig.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // Two days of idling, by that clock.
        assert_eq!(ask(&mut idle), "HTTP/1.1 200 OK", "{hours} hours off\n{}", rig.log());
    }
    // One of them has drained through all of it.
    for request in requests {
        assert_eq!(request.release().unwrap(), 200);
    }
    rig.finish();
}
