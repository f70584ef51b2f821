//! Seeing what happens: the access log, `evenkeel tail` and `GET /metrics` of a daemon under a little traffic.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::rig::{PROGRAM, Rig, read_answer};

/// The page of metrics, unsigned, from this machine.
fn metrics(rig: &Rig) -> String {
    let mut stream = TcpStream::connect(rig.api).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let (status, body) = read_answer(&mut stream).unwrap();
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap()
}

/// The value of a series whose name and labels these are.
fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let fits = |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
    let mut found = page.lines().filter(fits).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    found.next().unwrap_or(0.0)
}

#[test]
fn every_request_is_logged_followed_and_counted() {
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    assert_eq!(rig.get(node, "/?before").unwrap().0, 200);
    let mut tail = Command::new(PROGRAM)
        .args(["tail", "test", "--json", "--data-dir"])
        .arg(rig.data_dir())
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let out = BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let next = |what: &str| -> serde_json::Value {
        loop {
            let line = told.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|e| panic!("no {what}: {e}"));
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            if record["request"].as_str().is_some_and(|request| request.contains(what)) {
                return record;
            }
        }
    };
    assert_eq!(next("/?before")["status"], 200);
    for n in 0..5 {
        assert_eq!(rig.get(node, &format!("/?live{n}")).unwrap().0, 200);
    }
    let live = next("/?live4");
    assert_eq!((&live["balancer"], &live["zone"]), (&"test".into(), &"us-east-1a".into()));
    assert!(live["instance"].as_str().unwrap().starts_with("i-") && live["cause"].is_null(), "{live}");

    // A balancer without instances answers by itself, and says why.
    rig.balancer("empty", &["us-east-1a"]);
    let empty = rig.nodes("empty")[0].1;
    rig.wait("a listener", Duration::from_secs(10), |rig| rig.get(empty, "/?nobody").ok().filter(|got| got.0 == 503));
    let log = rig.file("access.log");
    let record = rig.wait("its record", Duration::from_secs(10), |_| {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().find(|line| line.contains("/?nobody")).map(str::to_owned)
    });
    assert!(record.contains("\"cause\":\"no instance is registered with empty\""), "{record}");

    let page = rig.wait("the counts", Duration::from_secs(10), |rig| {
        let page = metrics(rig);
        let counted = value(&page, "aws_elb_request_count_total", &["\"test\"", "\"us-east-1a\""]) >= 6.0;
        (counted && value(&page, "aws_elb_httpcode_elb_5xx_total", &["\"empty\"", "\"no_target\""]) >= 1.0)
            .then_some(page)
    });
    assert_eq!(value(&page, "aws_elb_healthy_host_count", &["\"test\"", "\"us-east-1a\""]), 1.0);
    assert_eq!(value(&page, "aws_elb_unhealthy_host_count", &["\"test\"", "\"us-east-1a\""]), 0.0);
    assert!(value(&page, "aws_elb_httpcode_backend_2xx_total", &["\"test\""]) >= 6.0, "{page}");
    assert!(value(&page, "aws_elb_latency_seconds_count", &["\"test\""]) >= 6.0);
    assert_eq!(
        (value(&page, "evenkeel_road_up", &[]), value(&page, "evenkeel_access_log_dropped_total", &[])),
        (1.0, 0.0)
    );
    tail.kill().unwrap();
    tail.wait().unwrap();

    // Whoever is connected shows, also past the daemon; and two readings of a request are counted with their reason.
    let mut client = TcpStream::connect(node).unwrap();
    client.write_all(b"POST /unfinished").unwrap();
    let shown = rig.wait("the connection", Duration::from_secs(10), |rig| {
        let mut look = Command::new(PROGRAM);
        look.args(["connections", "test", "--state", "head", "--json", "--data-dir"]).arg(rig.data_dir());
        let out = look.output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        let line = String::from_utf8(out.stdout).unwrap().lines().next().map(str::to_owned)?;
        Some(serde_json::from_str::<serde_json::Value>(&line).unwrap())
    });
    assert_eq!(shown["client"], client.local_addr().unwrap().to_string());
    assert_eq!((&shown["received"], &shown["kind"], &shown["instance"]), (&16.into(), &"http".into(), &().into()));
    client
        .write_all(b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")
        .unwrap();
    let name = "aws_elb_desync_mitigation_mode_noncompliant_request_count_total";
    rig.wait("the finding", Duration::from_secs(10), |rig| {
        (value(&metrics(rig), name, &["\"test\"", "reason=\"BothTeClPresent\""]) == 1.0).then_some(())
    });
    rig.finish();
}

#[test]
fn spans_go_to_the_collector_that_the_daemon_was_told() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", collector.local_addr().unwrap());
    let mut rig = Rig::start_with(&["--spans-to", &at, "--spans-share", "1.0", "--access-log", "off"]);
    rig.balancer("test", &["us-east-1a"]);
    let node = rig.nodes("test")[0].1;
    rig.wait("an answer", Duration::from_secs(10), |rig| rig.get(node, "/traced").ok());
    let (mut stream, _) = collector.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut reader, mut text) = (BufReader::new(stream.try_clone().unwrap()), String::new());
    while !text.contains("\"/traced\"") {
        let mut bytes = [0; 4096];
        let count = std::io::Read::read(&mut reader, &mut bytes).unwrap();
        assert!(count > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n") && text.contains("\"no_target\""), "{text}");
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    drop((stream, reader));
    rig.wait("the count", Duration::from_secs(10), |rig| {
        (value(&metrics(rig), "evenkeel_spans_sent_total", &[]) >= 1.0).then_some(())
    });
    rig.finish();
}

#[test]
fn a_log_may_be_in_aws_format_or_off() {
    let mut rig = Rig::start_with(&["--access-log", "aws", "--trace-ids"]);
    rig.balancer("test", &["us-east-1a"]);
    let node = rig.nodes("test")[0].1;
    rig.wait("a listener", Duration::from_secs(10), |rig| rig.get(node, "/x").ok());
    let log = rig.file("access.log");
    let line = rig.wait("a line", Duration::from_secs(10), |_| {
        std::fs::read_to_string(&log).unwrap().lines().next().map(str::to_owned)
    });
    let words: Vec<&str> = line.splitn(12, ' ').collect();
    assert_eq!(&words[3..11], ["-", "-1", "-1", "-1", "503", "0", "0", "0"], "{line}");
    assert!(words[11].starts_with("\"GET http://") && words[11].ends_with(" - -"), "{line}");
    rig.finish();
    let mut rig = Rig::start_with(&["--access-log", "off"]);
    rig.balancer("test", &["us-east-1a"]);
    let node = rig.nodes("test")[0].1;
    rig.wait("a listener", Duration::from_secs(10), |rig| rig.get(node, "/x").ok());
    assert!(!rig.file("access.log").exists());
    rig.finish();
}
