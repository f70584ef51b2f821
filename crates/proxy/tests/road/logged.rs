//! The access log as a road writes it, and trace ids.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::RoadConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::rig::{Rig, eventually, zone};
use crate::tls_rig::{Made, connect, front, get, settings};
use crate::upgrade::Switcher;

struct Logged {
    rig: Rig,
    path: PathBuf,
}

impl Logged {
    fn new(name: &str, zones: &[&str], protocol: Protocol) -> Self {
        let path = std::env::temp_dir().join(format!("evenkeel-road-{}-{name}.log", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
        let rig = Rig::with(zones, protocol, RoadConfig { workers: 1, log, ..RoadConfig::default() });
        Self { rig, path }
    }

    /// So many records, once they are written; never more.
    fn records(&self, count: usize) -> Vec<Value> {
        let read = || std::fs::read_to_string(&self.path).unwrap_or_default();
        eventually("the records are written", || read().lines().count() >= count);
        let lines: Vec<Value> = read().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    fn last(&self, count: usize) -> Value {
        self.records(count).pop().unwrap()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn each_request_leaves_one_record() {
    let logged = Logged::new("requests", &["a"], Protocol::Http);
    let mut client = logged.rig.client();
    client.send("GET /slow?30 HTTP/1.1\r\nHost: h\r\nUser-Agent: probe \"1\"\r\nX-Amzn-Trace-Id: Root=1-5-a\r\n\r\n");
    client.read().unwrap();
    let r = logged.last(1);
    assert_eq!((&r["status"], &r["instance_status"], &r["kind"]), (&200.into(), &200.into(), &"http".into()));
    assert_eq!(r["request"], "GET http://h:80/slow?30 HTTP/1.1");
    assert_eq!((&r["user_agent"], &r["trace"]), (&"probe \"1\"".into(), &"Root=1-5-a".into()));
    assert_eq!(r["client"], client.stream.local_addr().unwrap().to_string());
    assert_eq!(r["instance_address"], logged.rig.origins[0].address.to_string());
    assert_eq!(r["instance"], "i-00000001");
    let time = |key: &str| r[key].as_f64().unwrap();
    assert!(time("instance_time") >= 0.029 && time("instance_time") < 5.0, "{r}");
    assert!(time("request_time") < 0.029 && time("response_time") < 0.029, "{r}");
    assert!(time("total_time") >= time("instance_time") + time("request_time"), "{r}");
    // Bodies are counted without their framing, on one connection and pipelined.
    client.send("POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /204 HTTP/1.1\r\nHost: h\r\n\r\n");
    client.read().unwrap();
    client.read().unwrap();
    let r = logged.records(3);
    assert_eq!((&r[1]["received"], &r[1]["sent"]), (&5.into(), &8.into()));
    assert_eq!((&r[2]["received"], &r[2]["sent"], &r[2]["status"]), (&0.into(), &0.into(), &204.into()));
    assert!(r.iter().all(|r| r["cause"].is_null() && r["retries"] == 0));
    assert_eq!(logged.rig.road.meters().log_dropped, 0);
}

#[test]
fn what_the_balancer_answers_has_a_cause() {
    let mut logged = Logged::new("causes", &["a"], Protocol::Http);
    logged.rig.routes.idle_timeout = Duration::from_secs(1);
    logged.rig.publish();
    let check = |count: usize, status: u16, fault: &str, cause: &str| {
        let r = logged.last(count);
        let status = if status == 0 { Value::Null } else { status.into() };
        assert_eq!((&r["fault"], &r["status"]), (&fault.into(), &status), "{r}");
        assert!(r["cause"].as_str().unwrap().contains(cause), "{r}");
        assert!(r["request_time"].is_null() || status == 200, "{r}");
        r
    };
    let mut client = logged.rig.client();
    assert_eq!(client.post("/hang-up", b"x").status, 504);
    check(1, 504, "closed_before_answer", "instance i-00000001 at 127.");
    assert_eq!(client.get("/garbage").status, 502);
    check(2, 502, "bad_answer", "not valid HTTP");
    let mut client = logged.rig.client();
    assert_eq!(client.get("/slow?3000").status, 504);
    check(3, 504, "silent_instance", "said nothing for 1 s");
    let mut client = logged.rig.client();
    client.send("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 400);
    let r = check(4, 400, "bad_request", "ambiguous");
    assert_eq!((&r["request"], &r["instance"]), (&"GET / HTTP/1.1".into(), &Value::Null));
    let mut client = logged.rig.client();
    client.send("GET /half HTT");
    assert_eq!(client.read().unwrap().status, 408);
    assert_eq!(check(5, 408, "request_timeout", "client took too long")["request"], "GET /half HTT");
    let mut client = logged.rig.client();
    client.send("GET /truncated HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.read().is_err());
    assert_eq!(check(6, 200, "truncated_answer", "ended before its answer was complete")["sent"], 9);
    let mut client = logged.rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
    eventually("the instance is asked", || logged.rig.origins[0].open() > 0);
    drop(client);
    assert_eq!(check(7, 0, "client_gone", "client left")["received"], 4);
    logged.rig.health(Health::Failing);
    assert_eq!(logged.rig.client().get("/").status, 503);
    check(8, 503, "no_target", "no instance in service in any zone");
    // Counted and logged are the same.
    let counted: u64 = logged.rig.meters().from_balancer.values().sum();
    assert_eq!(counted, 8);
    assert_eq!(logged.rig.meters().from_balancer[&Fault::NoTarget], 1);
}

#[test]
fn a_request_that_was_tried_twice_says_so() {
    let mut logged = Logged::new("retries", &["a"], Protocol::Http);
    let dead = std::net::SocketAddr::new(crate::rig::address(), 9);
    logged.rig.add_target("a", dead);
    logged.rig.publish();
    for _ in 0..2 {
        assert_eq!(logged.rig.client().get("/").status, 200);
    }
    let retries: Vec<_> = logged.records(2).iter().map(|r| r["retries"].as_u64().unwrap()).collect();
    assert_eq!(retries.iter().sum::<u64>(), 1);
    assert!(logged.records(2).iter().all(|r| r["instance"] == "i-00000001" && r["cause"].is_null()));
}

#[test]
fn a_zone_names_itself_and_a_tcp_connection_leaves_one_record() {
    let mut logged = Logged::new("tcp", &["a"], Protocol::Tcp);
    logged.rig.routes.nodes[0].zone = Some(zone("a"));
    logged.rig.publish();
    let mut client = logged.rig.client();
    assert_eq!(client.get("/").status, 200);
    drop(client);
    let r = logged.last(1);
    assert_eq!((&r["kind"], &r["status"], &r["zone"]), (&"tcp".into(), &Value::Null, &"us-east-1a".into()));
    assert_eq!(r["received"], "GET / HTTP/1.1\r\nHost: test\r\n\r\n".len());
    assert!(r["sent"].as_u64().unwrap() > 30 && r["request_time"].is_f64() && r["request"].is_null(), "{r}");
    logged.rig.health(Health::Failing);
    assert!(logged.rig.client().is_closed());
    let r = logged.last(2);
    assert_eq!(r["cause"], "no instance in service in us-east-1a");
    assert!(r["request_time"].is_null());
}

#[test]
fn an_upgrade_leaves_one_record_at_its_end() {
    let mut logged = Logged::new("upgrade", &[], Protocol::Http);
    let switcher = Switcher::start(None);
    logged.rig.add_target("a", switcher.at);
    logged.rig.publish();
    let ask = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut client = logged.rig.client();
    // What is said before the 101 counts as well.
    client.send(format!("{ask}hello"));
    assert_eq!(client.read().unwrap().status, 101);
    assert_eq!(client.read_bytes(5), b"hello");
    client.send([b'x'; 1000]);
    assert_eq!(client.read_bytes(1000), [b'x'; 1000]);
    assert_eq!(std::fs::read_to_string(&logged.path).unwrap(), "");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.is_closed());
    let r = logged.last(1);
    assert_eq!((&r["kind"], &r["status"], &r["instance_status"]), (&"http".into(), &101.into(), &101.into()), "{r}");
    assert_eq!((&r["received"], &r["sent"], &r["cause"]), (&1005.into(), &1005.into(), &Value::Null), "{r}");
    assert_eq!((&r["request"], &r["instance"]), (&"GET http://h:80/echo HTTP/1.1".into(), &"i-00000001".into()));
    // One that is cut says why.
    let mut client = logged.rig.client();
    client.send(ask);
    assert_eq!(client.read().unwrap().status, 101);
    client.send("hello");
    assert_eq!(client.read_bytes(5), b"hello");
    logged.rig.road.stop(Duration::ZERO);
    let r = logged.last(2);
    assert_eq!((&r["status"], &r["fault"], &r["received"]), (&101.into(), &"cut".into(), &5.into()), "{r}");
}

#[test]
fn stopping_writes_what_waits() {
    let logged = Logged::new("stop", &["a"], Protocol::Http);
    let mut client = logged.rig.client();
    for _ in 0..100 {
        client.get("/");
    }
    drop(client);
    logged.rig.road.stop(Duration::from_secs(5));
    let text = std::fs::read_to_string(&logged.path).unwrap();
    assert_eq!(text.lines().count(), 100);
}

#[test]
fn what_tls_agreed_on_is_logged() {
    for (protocol, version, name) in
        [(Protocol::Https, &TLS12, "TLSv1.2"), (Protocol::Https, &TLS13, "TLSv1.3"), (Protocol::Ssl, &TLS13, "TLSv1.3")]
    {
        let made = Made::new(&["a.example"]);
        let mut logged = Logged::new(&format!("tls{name}{protocol}"), &["a"], Protocol::Http);
        let listener = &mut logged.rig.routes.listeners[0];
        (listener.protocol, listener.tls) = (protocol, front(&[&made]));
        listener.instance_protocol = if protocol == Protocol::Ssl { Protocol::Tcp } else { Protocol::Http };
        logged.rig.publish();
        let config = Arc::new(settings(&[&made], &[version]));
        let mut client = connect(logged.rig.address(), &config, "a.example").unwrap();
        get(&mut client, "/head").unwrap();
        let suite = format!("{:?}", client.conn.negotiated_cipher_suite().unwrap().suite());
        client.conn.send_close_notify();
        client.flush().unwrap();
        drop(client);
        let r = logged.last(1);
        assert_eq!((&r["protocol"], &r["status"].is_null()), (&name.into(), &(protocol == Protocol::Ssl)), "{r}");
        let words = |text: &str| text.replace("WITH_", "").replace("AES_", "AES").replace("TLS13_", "TLS_");
        let expected = match name {
            "TLSv1.3" => suite.replace("TLS13_", "TLS_"),
            _ => words(&suite).trim_start_matches("TLS_").replace('_', "-"),
        };
        assert_eq!(r["cipher"], expected, "{r}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_said_at_the_start() {
    let log = Some(LogConfig { path: "/nonexistent/log".into(), format: Format::Aws, rotate_bytes: 0, keep: 0 });
    let error = evenkeel_proxy::road::Road::start(RoadConfig { workers: 1, log, ..RoadConfig::default() }).unwrap_err();
    assert!(error.to_string().contains("access log `/nonexistent/log`"), "{error}");
}

#[test]
fn trace_ids_are_made_kept_and_different() {
    let config = RoadConfig { workers: 1, trace_ids: true, ..RoadConfig::default() };
    let rig = Rig::with(&["a"], Protocol::Http, config);
    let mut client = rig.client();
    let mut seen = |extra: &str| {
        client.send(format!("GET /head HTTP/1.1\r\nHost: h\r\n{extra}\r\n"));
        let head = client.read().unwrap().text();
        let mut found: Vec<_> = head.lines().filter(|l| l.to_lowercase().starts_with("x-amzn-trace-id: ")).collect();
        assert_eq!(found.len(), 1, "{head}");
        let parent = head.lines().find(|l| l.starts_with("traceparent")).map(str::to_owned);
        (found.pop().unwrap()["x-amzn-trace-id: ".len()..].to_owned(), parent)
    };
    let ((first, made), second) = (seen(""), seen("").0);
    // Both fields name one trace, which nobody records.
    let made = made.unwrap();
    let same = format!("traceparent: 00-{}-", first.replace("Root=1-", "").replace('-', ""));
    assert!(made.starts_with(&same) && made.ends_with("-00"), "{first} {made}");
    let is_id = |text: &str| {
        let parts: Vec<_> = text.split('-').collect();
        parts.len() == 3 && parts[1].len() == 8 && parts[2].len() == 24
    };
    assert!(first.starts_with("Root=1-") && is_id(&first) && is_id(&second) && first != second, "{first} {second}");
    let second = u64::from_str_radix(&first[7..15], 16).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now - second < 60);
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (kept, passed) = seen(&format!("x-amzn-trace-id: Root=1-5-a;Foo=b\r\n{parent}\r\nX-Amzn-Trace-Id: second\r\n"));
    assert!(kept.starts_with("Self=1-") && kept.ends_with(";Root=1-5-a;Foo=b"), "{kept}");
    assert_eq!(passed.as_deref(), Some(parent));
}
