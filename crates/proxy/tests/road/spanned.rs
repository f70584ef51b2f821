//! Spans: what a collector gets, and what becomes of those that it does not take.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;
use evenkeel_proxy::spans::SpansConfig;
use serde_json::Value;

use crate::rig::{Client, Rig, eventually};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn config(collector: &TcpListener, per_million: u32) -> RoadConfig {
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap()).parse().unwrap();
    let spans = Some(SpansConfig { endpoint, per_million, service: "road-test".into() });
    RoadConfig { workers: 1, spans, ..RoadConfig::default() }
}

/// One export: its head and its body.
fn export(stream: &mut TcpStream, status: &str) -> (String, Value) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut reader, mut head) = (BufReader::new(stream.try_clone().unwrap()), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

/// A collector that says this to everyone, and hands on the spans.
fn collect(collector: TcpListener, status: &'static str) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            let (head, body) = export(&mut stream.unwrap(), status);
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
            let all = &body["resourceSpans"][0];
            let service = &all["resource"]["attributes"][0];
            assert_eq!(
                (&service["key"], &service["value"]["stringValue"]),
                (&"service.name".into(), &"road-test".into())
            );
            for span in all["scopeSpans"][0]["spans"].as_array().unwrap() {
                if tell.send(span.clone()).is_err() {
                    return;
                }
            }
        }
    });
    told
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == key).unwrap_or_else(|| panic!("no {key} in {span}"));
    found["value"].as_object().unwrap().values().next().unwrap()
}

/// The fields that reached the instance.
fn reached(client: &mut Client, extra: &str) -> Vec<(String, String)> {
    client.send(format!("GET /head?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: probe\r\n{extra}\r\n"));
    let text = client.read().unwrap().text();
    let fields = text.lines().filter_map(|line| line.split_once(": "));
    fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_collector_gets_what_the_instance_was_told() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = Rig::with(&["a"], Protocol::Http, config(&collector, 1_000_000));
    let spans = collect(collector, "200 OK");
    let next = || spans.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut client = rig.client();

    let fields = reached(&mut client, "tracestate: orphan=1\r\n");
    let parent: Vec<_> = field(&fields, "traceparent").unwrap().split('-').map(str::to_owned).collect();
    assert_eq!((parent.len(), parent[3].as_str(), field(&fields, "tracestate")), (4, "01", None));
    let root = field(&fields, "x-amzn-trace-id").unwrap().strip_prefix("Root=1-").unwrap().replace('-', "");
    assert_eq!(root, parent[1], "both fields name one trace");
    let span = next();
    assert_eq!((&span["traceId"], &span["spanId"]), (&parent[1].as_str().into(), &parent[2].as_str().into()));
    assert!(span["parentSpanId"].is_null() && span["status"].is_null(), "{span}");
    assert_eq!((&span["name"], &span["kind"]), (&"GET".into(), &2.into()));
    assert_eq!(attribute(&span, "url.path"), "/head");
    assert_eq!(attribute(&span, "url.query"), "q=1");
    assert_eq!(attribute(&span, "user_agent.original"), "probe");
    assert_eq!(attribute(&span, "http.response.status_code"), "200");
    assert_eq!(attribute(&span, "evenkeel.instance"), &rig.routes.targets[0].instance.to_string());
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    assert!(start <= end && end <= now && now - start < 60_000_000_000, "{start} {end} {now}");

    let fields = reached(&mut client, &format!("traceparent: {PARENT}\r\ntracestate: a=b\r\n"));
    let span = next();
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&PARENT[3..35].into(), &PARENT[36..52].into()));
    let expected = format!("00-{}-{}-01", &PARENT[3..35], span["spanId"].as_str().unwrap());
    assert_eq!(field(&fields, "traceparent"), Some(expected.as_str()));
    assert_eq!(field(&fields, "tracestate"), Some("a=b"));

    // Who declines has no span, and what failed says why.
    let declined = PARENT.replace("-01", "-00");
    let fields = reached(&mut client, &format!("traceparent: {declined}\r\n"));
    assert_eq!(field(&fields, "traceparent"), Some(declined.as_str()));
    rig.health(Health::Failing);
    assert_eq!(client.get("/gone").status, 503);
    let span = next();
    assert_eq!((attribute(&span, "url.path"), &span["status"]["code"]), (&"/gone".into(), &2.into()));
    assert_eq!(
        (attribute(&span, "error.type"), &span["status"]["message"]),
        (&"no_target".into(), &"no instance in service in any zone".into())
    );
    eventually("they are counted", || rig.road.meters().spans_sent == 3);
    assert_eq!(rig.road.meters().spans_dropped, 0);
}

#[test]
fn what_a_collector_refuses_or_leaves_lying_is_dropped_and_counted() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = Rig::with(&["a"], Protocol::Http, config(&collector, 1_000_000));
    let mut client = rig.client();
    // It takes the connection and then says nothing: requests go on, and what there is no room for is dropped.
    for _ in 0..4000 {
        assert_eq!(client.get("/").status, 200);
    }
    eventually("the queue overflows", || rig.road.meters().spans_dropped > 0);
    let spans = collect(collector, "503 Busy");
    assert!(spans.recv_timeout(Duration::from_secs(10)).is_ok());
    eventually("all are counted", || {
        let meters = rig.road.meters();
        meters.spans_sent == 0 && meters.spans_dropped == 4000
    });
    let began = std::time::Instant::now();
    rig.road.stop(Duration::from_secs(1));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn few_are_sampled_where_few_are_wanted_and_the_last_ones_are_sent() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = Rig::with(&["a"], Protocol::Http, config(&collector, 100_000));
    let spans = collect(collector, "200 OK");
    let mut client = rig.client();
    let sampled = (0..2000).filter(|_| {
        let fields = reached(&mut client, "");
        field(&fields, "traceparent").unwrap().ends_with("-01")
    });
    let sampled = sampled.count();
    // Seven standard deviations.
    assert!((100..300).contains(&sampled), "{sampled} of 2000 at one in ten");
    rig.road.stop(Duration::from_secs(5));
    assert_eq!(rig.road.meters().spans_sent, sampled as u64);
    assert!((0..sampled).all(|_| spans.recv_timeout(Duration::from_secs(10)).is_ok()));
}
