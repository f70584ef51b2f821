//! Lines against AWS's own examples, hostile words, and the cause of every fault.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::record::{Asked, Mismatch, Queued, Secured, Times};
use super::super::{Kind, Record, Said, Side, cause, json};
use crate::fault::Fault;
use crate::proto::emit::Forwarded;
use crate::proto::{Parsed, RequestHead, Scanner};

fn said(agent: &str) -> Box<Said> {
    let front = Forwarded {
        client: [10, 0, 0, 9].into(),
        node: ([10, 0, 0, 1], 80).into(),
        proto: "http",
        port: 80,
        trace: None,
    };
    said_of(&format!("GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: {agent}\r\n\r\n"), &front)
}

fn said_of(wire: &str, front: &Forwarded) -> Box<Said> {
    let Parsed::Head(head) = RequestHead::read(wire.as_bytes(), &mut Scanner::default()) else { panic!("{wire}") };
    Box::new(Said::of(wire.as_bytes(), &head, front))
}

/// The first example of AWS's page, as a record.
fn record() -> Record {
    let micros = Duration::from_micros;
    Record {
        kind: Kind::Http,
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_431_560_383_945_958),
        total: micros(1200),
        side: Arc::new(Side {
            balancer: "my-loadbalancer".into(),
            zone: Some("us-east-1a".into()),
            own_zone_only: true,
            idle: Duration::from_secs(60),
            has_instances: true,
            queued: Queued { most: 1024, wait: Duration::from_secs(10), limit: 5, boot: None },
            delivery: None,
        }),
        client: ([192, 168, 131, 39], 2817).into(),
        asked: Some(Asked { instance: "i-0a".into(), address: ([10, 0, 0, 1], 80).into() }),
        times: Some(Times { request: micros(73), instance: micros(1048), response: micros(57) }),
        status: 200,
        instance_status: 200,
        received: 0,
        sent: 29,
        said: Some(said("curl/7.38.0")),
        retries: 0,
        fault: None,
        denied: false,
        secured: None,
        mismatch: None,
    }
}

fn line(record: &Record) -> String {
    let mut out = String::new();
    super::write(record, &mut out);
    assert_eq!(out.pop(), Some('\n'));
    assert!(!out.contains('\n'));
    out
}

#[test]
fn lines_are_those_that_aws_shows() {
    let mut r = record();
    assert_eq!(
        line(&r),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" - -"
    );
    r.secured = Some(Secured { cipher: "DHE-RSA-AES128-SHA", protocol: "TLSv1.2" });
    r.times = Some(Times {
        request: Duration::from_micros(86),
        instance: Duration::from_micros(1048),
        response: Duration::from_micros(1337),
    });
    let front = Forwarded {
        client: [10, 0, 0, 9].into(),
        node: ([10, 0, 0, 1], 443).into(),
        proto: "https",
        port: 443,
        trace: None,
    };
    r.said = Some(said_of("GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.38.0\r\n\r\n", &front));
    r.sent = 57;
    assert_eq!(
        line(&r),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086 0.001048 0.001337 200 200 0 57 \"GET https://www.example.com:443/ HTTP/1.1\" \"curl/7.38.0\" DHE-RSA-AES128-SHA TLSv1.2"
    );
    let mut tcp = Record { kind: Kind::Tcp, status: 0, instance_status: 0, said: None, ..record() };
    (tcp.received, tcp.sent) = (82, 305);
    tcp.times = Some(Times {
        request: Duration::from_micros(1069),
        instance: Duration::from_micros(28),
        response: Duration::from_micros(41),
    });
    assert_eq!(
        line(&tcp),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 \"- - - \" \"-\" - -"
    );
    tcp.secured = Some(Secured { cipher: "ECDHE-ECDSA-AES128-GCM-SHA256", protocol: "TLSv1.2" });
    assert!(line(&tcp).ends_with("- - 82 305 \"- - - \" \"-\" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2"));
    // Nobody could be asked.
    let none = Record {
        asked: None,
        times: None,
        status: 503,
        instance_status: 0,
        sent: 0,
        fault: Some(Fault::NoTarget),
        ..record()
    };
    assert_eq!(
        line(&none),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 - -1 -1 -1 503 0 0 0 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" - -"
    );
    // One that closed early counts as not asked.
    let early = Record { times: None, status: 504, instance_status: 0, ..record() };
    assert!(line(&early).contains(" 192.168.131.39:2817 - -1 -1 -1 504 0 "));
    // A client on IPv6, and nothing legible.
    let blank = Record { client: "[::1]:5".parse().unwrap(), said: None, times: None, status: 408, ..record() };
    assert!(line(&blank).contains(" [::1]:5 - -1 -1 -1 408 ") && line(&blank).contains(" \"- - - \" \"-\" - -"));
}

#[test]
fn requests_are_kept_as_they_came() {
    let front = Forwarded {
        client: [10, 0, 0, 9].into(),
        node: ([10, 0, 0, 1], 80).into(),
        proto: "http",
        port: 8080,
        trace: None,
    };
    let request = |wire: &str| String::from_utf8(said_of(wire, &front).request().to_vec()).unwrap();
    assert_eq!(request("GET /a?b=%22 HTTP/1.1\r\nHost: h\r\n\r\n"), "GET http://h:8080/a?b=%22 HTTP/1.1");
    assert_eq!(request("PUT / HTTP/1.1\r\nHost: h:81\r\n\r\n"), "PUT http://h:81/ HTTP/1.1");
    assert_eq!(request("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"), "GET http://[::1]:8080/ HTTP/1.1");
    assert_eq!(request("GET / HTTP/1.1\r\nHost: [::1]:9\r\n\r\n"), "GET http://[::1]:9/ HTTP/1.1");
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n"), "GET http://:8080/ HTTP/1.0");
    assert_eq!(request("GET http://o/x HTTP/1.1\r\nHost: h\r\n\r\n"), "GET http://o:8080/x HTTP/1.1");
    let long = request(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(12_000)));
    assert!(long.len() < 8 * 1024 + 10 && long.ends_with("x HTTP/1.1"));
    let unclear = |bytes: &[u8]| Said::unclear(bytes).map(|said| said.request().to_vec());
    assert_eq!(unclear(b"\r\nGET / HTTQ\r\nA: b"), Some(b"GET / HTTQ".to_vec()));
    assert_eq!((unclear(b""), unclear(b"\r\n\r\n")), (None, None));
    assert_eq!(unclear(&[b'x'; 100_000]).map(|line| line.len()), Some(8 * 1024));
}

#[test]
fn hostile_words_break_no_line() {
    let hostile = "a\" 200 200 \"GET x\\ \t\u{1b}[2J\u{e9}\u{2028}";
    let mut r = Record { said: Some(said(hostile.replace('\u{1b}', "\u{9b}").as_str())), ..record() };
    let got = line(&r);
    assert!(got.ends_with(r#" "a\x22 200 200 \x22GET x\x5c \x09\xc2\x9b[2J\xc3\xa9\xe2\x80\xa8" - -"#), "{got}");
    assert_eq!(got.matches('"').count(), 4);
    let object = object(&r);
    assert_eq!(object["user_agent"], hostile.replace('\u{1b}', "\u{9b}"));
    // Bytes that no text is made of, as a request that was refused may have.
    r.said = Said::unclear(b"GET /\x00\x1b[31m\xff\"\\ HTTP/1.1\r\n").map(Box::new);
    assert!(line(&r).contains(r#" "GET /\x00\x1b[31m\xff\x22\x5c HTTP/1.1" "-" "#));
    let mut text = String::new();
    json::write(&r, &mut text);
    assert!(text.trim_end().bytes().all(|b| b >= 0x20));
    assert_eq!(self::object(&r)["request"], "GET /\u{0}\u{1b}[31m\u{fffd}\"\\ HTTP/1.1");
    // The longest that is kept.
    r.said = Some(said(&"\"".repeat(20_000)));
    assert_eq!(r.said.as_ref().unwrap().agent().len(), 8 * 1024);
}

fn object(record: &Record) -> serde_json::Value {
    let mut text = String::new();
    json::write(record, &mut text);
    assert_eq!(text.matches('\n').count(), 1);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_line_of_json_says_everything() {
    let mut r = record();
    r.retries = 2;
    let wanted = serde_json::json!({
        "time": "2015-05-13T23:39:43.945958Z", "kind": "http", "balancer": "my-loadbalancer", "zone": "us-east-1a",
        "client": "192.168.131.39:2817", "instance": "i-0a", "instance_address": "10.0.0.1:80", "status": 200,
        "instance_status": 200, "request_time": 0.000_073, "instance_time": 0.001_048, "response_time": 0.000_057,
        "total_time": 0.001_2, "received": 0, "sent": 29, "request": "GET http://www.example.com:80/ HTTP/1.1",
        "user_agent": "curl/7.38.0", "trace": null, "retries": 2, "fault": null, "cause": null, "cipher": null,
        "protocol": null
    });
    assert_eq!(object(&r), wanted);
    r.asked = None;
    r.times = None;
    r.fault = Some(Fault::NoTarget);
    r.status = 503;
    r.instance_status = 0;
    let got = object(&r);
    assert_eq!(got["cause"], "no instance in service in us-east-1a");
    assert_eq!((&got["fault"], &got["instance_status"]), (&"no_target".into(), &serde_json::Value::Null));
    assert_eq!(got.as_object().unwrap().len(), wanted.as_object().unwrap().len());
}

#[test]
fn every_fault_has_a_cause_with_its_place() {
    let words = |fault: Fault, change: &dyn Fn(&mut Record)| {
        let mut r = Record { fault: Some(fault), ..record() };
        change(&mut r);
        cause::words(&r)
    };
    let at = "instance i-0a at 10.0.0.1:80, asked from us-east-1a,";
    let wanted = [
        (Fault::BadRequest, "client sent a request that breaks HTTP's grammar or is ambiguous".to_owned()),
        (Fault::MethodTooLong, "client sent a method longer than 127 bytes".to_owned()),
        (Fault::RequestTimeout, "client took too long to send its request".to_owned()),
        (Fault::ExpectationFailed, "client expects something other than 100-continue".to_owned()),
        (Fault::HeadTooLarge, "client sent a head that is too long, or has too many fields".to_owned()),
        (Fault::UnknownCoding, "client sent a transfer coding other than chunked".to_owned()),
        (Fault::UnknownVersion, "client speaks a version of HTTP other than 1".to_owned()),
        (Fault::NoUpgrade, "client asks for a websocket, and instances are spoken to in http/2".to_owned()),
        (Fault::ClientGone, "client left before it was answered".to_owned()),
        (Fault::ClientStalled, "client took nothing of its answer for too long, or less than it has to".to_owned()),
        (Fault::NoTarget, "no instance in service in us-east-1a".to_owned()),
        (
            Fault::QueueFull,
            "queue full: 1024 requests wait already, asked from us-east-1a: every instance in service has 5 in flight"
                .to_owned(),
        ),
        (
            Fault::QueueTimeout,
            "waited in the queue for 10 s, asked from us-east-1a: every instance in service has 5 in flight".to_owned(),
        ),
        (Fault::HandshakeFailed, "client and listener could not agree on tls: nothing in common".to_owned()),
        (Fault::ConnectFailed, format!("{at} could not be connected to")),
        (Fault::NotTrusted, format!("{at} showed a certificate that is not to be believed")),
        (Fault::ClosedBeforeAnswer, format!("{at} closed early, before it answered")),
        (Fault::SilentInstance, format!("{at} said nothing for 60 s")),
        (Fault::BadAnswer, format!("{at} answered what is not valid HTTP")),
        (Fault::TruncatedAnswer, format!("{at} ended before its answer was complete")),
        (Fault::Cut, format!("{at} was cut off: it drained for longer than allowed, or the proxy was stopped")),
    ];
    let mut labels = std::collections::BTreeSet::new();
    for fault in Fault::ALL {
        let (_, wanted) = wanted.iter().find(|(f, _)| *f == fault).unwrap_or_else(|| panic!("{fault:?}"));
        assert_eq!(words(fault, &|_| ()), *wanted);
        assert!(labels.insert(cause::label(fault)));
    }
    let side = |r: &mut Record, f: &dyn Fn(&mut Side)| f(Arc::make_mut(&mut r.side));
    assert_eq!(
        words(Fault::NoTarget, &|r| side(r, &|s| s.own_zone_only = false)),
        "no instance in service in any zone, asked from us-east-1a"
    );
    assert_eq!(
        words(Fault::ConnectFailed, &|r| (r.retries, r.denied) = (1, true)),
        format!("{at} could not be connected to, after 1 other try; not tried again, because too many requests are")
    );
    assert_eq!(words(Fault::NoTarget, &|r| side(r, &|s| s.zone = None)), "no instance in service in any zone");
    assert_eq!(
        words(Fault::NoTarget, &|r| side(r, &|s| s.has_instances = false)),
        "no instance is registered with my-loadbalancer"
    );
    assert_eq!(
        words(Fault::ConnectFailed, &|r| {
            r.retries = 4;
            side(r, &|s| s.zone = None);
        }),
        "instance i-0a at 10.0.0.1:80, could not be connected to, after 4 other tries"
    );
    assert_eq!(
        words(Fault::HandshakeFailed, &|r| r.mismatch = Some(Mismatch::Suite)),
        "client and listener could not agree on tls: the client offers no cipher, group or signature that it has"
    );
    assert!(words(Fault::Cut, &|r| r.asked = None).starts_with("the instance, asked from"));
    assert_eq!(cause::words(&record()), "");
}

#[test]
fn moments_are_right_over_leap_years() {
    let text = |seconds: u64| {
        let mut out = String::new();
        super::text::moment(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), &mut out);
        out
    };
    assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(text(951_782_399), "2000-02-28T23:59:59.000000Z");
    assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000000Z");
    assert_eq!(text(1_709_251_199), "2024-02-29T23:59:59.000000Z");
    assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    assert_eq!(text(1_798_761_599), "2026-12-31T23:59:59.000000Z");
}
