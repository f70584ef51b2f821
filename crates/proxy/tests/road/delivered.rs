//! Access logs of balancers that have their own: whole objects in the spool, with AWS's lines.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::AccessLogRoute;
use evenkeel_proxy::log::spool::{Label, done};
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::RoadConfig;
use rustls::version::{TLS12, TLS13};

use crate::origin::Origin;
use crate::rig::{Client, Rig, address, eventually};
use crate::tls_rig::{Made, connect, front, get, settings};

struct Spooled {
    rig: Rig,
    dir: PathBuf,
}

impl Spooled {
    fn new(name: &str, protocol: Protocol) -> Self {
        let dir = std::env::temp_dir().join(format!("evenkeel-road-{}-{name}-spool", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let config = RoadConfig { workers: 2, spool: Some(dir.clone()), ..RoadConfig::default() };
        Self { rig: Rig::with(&["a"], protocol, config), dir }
    }

    fn log_to(&mut self, bucket: Option<&str>) {
        self.rig.routes.access_log = bucket.map(|bucket| AccessLogRoute {
            bucket: bucket.into(),
            prefix: "p".into(),
            minutes: 60,
            account: "123456789012".into(),
            region: "us-east-1".into(),
        });
        self.rig.publish();
    }

    /// Stops the road, which finishes what it has, and gives back what lies there: where it belongs, and its lines.
    fn end(self) -> Vec<(Label, Vec<String>)> {
        self.rig.road.stop(Duration::from_secs(5));
        assert_eq!(self.rig.road.meters().log_dropped, 0);
        let found = objects(&self.dir);
        std::fs::remove_dir_all(self.dir).unwrap();
        found
    }
}

fn objects(dir: &Path) -> Vec<(Label, Vec<String>)> {
    let mut paths: Vec<_> =
        std::fs::read_dir(done(dir)).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        (serde_json::from_str(lines.next().unwrap()).unwrap(), lines.map(str::to_owned).collect())
    };
    paths.into_iter().map(read).collect()
}

/// What does not differ from run to run: everything but the time, the client's port and the three times.
fn fields(line: &str) -> String {
    let (head, quoted) = line.split_at(line.find('"').unwrap());
    let words: Vec<&str> = head.trim_end().split(' ').collect();
    let timed = words[4..7].iter().all(|time| *time != "-1");
    assert!(words[0].ends_with('Z') && words[0].contains('T'), "{line}");
    format!("{} {} {timed} {} {quoted}", words[1], words[3], words[7..].join(" "))
}

#[test]
fn requests_leave_lines_with_the_right_fields_and_errors_too() {
    let mut spooled = Spooled::new("http", Protocol::Http);
    let mut early = spooled.rig.client();
    assert_eq!(early.get("/before").status, 200);
    spooled.log_to(Some("logs"));
    // A connection from before is logged from its next request on.
    assert_eq!(early.get("/").status, 200);
    let mut client = spooled.rig.client();
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nUser-Agent: probe \"1\"\r\nContent-Length: 4\r\n\r\nfour");
    assert_eq!(client.read().unwrap().text(), "four");
    assert_eq!(client.get("/garbage").status, 502);
    let mut client = spooled.rig.client();
    client.send("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 400);
    let (origin, node) = (spooled.rig.origins[0].address, spooled.rig.routes.nodes[0].address);
    spooled.log_to(None);
    assert_eq!(early.get("/after").status, 200);
    let found = spooled.end();
    assert_eq!(found.len(), 1);
    let (label, lines) = &found[0];
    assert_eq!(label.bucket, "logs");
    let begins = "p/AWSLogs/123456789012/elasticloadbalancing/us-east-1/20";
    assert!(label.key.starts_with(begins) && label.key.contains(&format!("00Z_{node}_")), "{label:?}");
    let mut got: Vec<String> = lines.iter().map(|line| fields(line)).collect();
    let mut wanted = [
        format!("test {origin} true 200 200 0 2 \"GET http://test:80/ HTTP/1.1\" \"-\" - -"),
        format!("test {origin} true 200 200 4 4 \"POST http://h:80/echo HTTP/1.1\" \"probe \\x221\\x22\" - -"),
        "test - false 502 0 0 0 \"GET http://test:80/garbage HTTP/1.1\" \"-\" - -".to_owned(),
        "test - false 400 0 0 0 \"GET / HTTP/1.1\" \"-\" - -".to_owned(),
    ];
    got.sort();
    wanted.sort();
    // How long the sample's own answer is, is its matter.
    let body = |line: &String| line.contains("GET http://test:80/ ");
    let (own, rest): (Vec<_>, Vec<_>) = got.into_iter().partition(body);
    assert_eq!(rest, wanted.iter().filter(|line| !body(line)).cloned().collect::<Vec<_>>());
    assert!(own.len() == 1 && own[0].starts_with(&format!("test {origin} true 200 200 0 ")), "{own:?}");
}

#[test]
fn connections_leave_a_line_each() {
    let mut spooled = Spooled::new("tcp", Protocol::Tcp);
    let at = crate::tcp::mirror();
    spooled.rig.routes.targets.clear();
    spooled.rig.add_target("a", at);
    spooled.log_to(Some("logs"));
    let mut client = Client::connect(spooled.rig.address());
    client.send("both ways");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"both ways");
    let found = spooled.end();
    let lines: Vec<_> = found[0].1.iter().map(|line| fields(line)).collect();
    assert_eq!(lines, [format!("test {at} true - - 9 9 \"- - - \" \"-\" - -")]);
}

#[test]
fn tls_is_named_and_so_is_a_handshake_that_failed() {
    let (made, origin) = (Made::new(&["a.example"]), Origin::start(address(), 0));
    let mut spooled = Spooled::new("https", Protocol::Http);
    spooled.rig.routes.listeners[0].protocol = Protocol::Https;
    spooled.rig.routes.listeners[0].tls = front(&[&made]);
    spooled.rig.routes.targets.clear();
    spooled.rig.add_target("a", origin.address);
    spooled.log_to(Some("logs"));
    let to = spooled.rig.address();
    let mut tls = connect(to, &Arc::new(settings(&[&made], &[&TLS13])), "a.example").unwrap();
    get(&mut tls, "/204").unwrap_or_default();
    spooled.rig.routes.listeners[0].tls.as_mut().unwrap().oldest = evenkeel_core::routes::TlsVersion::Tls13;
    spooled.rig.publish();
    assert!(connect(to, &Arc::new(settings(&[&made], &[&TLS12])), "a.example").is_err());
    eventually("it is counted", || spooled.rig.meters().handshake_errors == 1);
    drop(tls);
    let lines: Vec<_> = spooled.end()[0].1.iter().map(|line| fields(line)).collect();
    let suite = "TLS_AES_128_GCM_SHA256 TLSv1.3";
    assert_eq!(lines.len(), 2, "{lines:?}");
    let request = "\"GET https://test:80/204 HTTP/1.1\" \"-\"";
    assert!(lines[0].starts_with(&format!("test {} true 204 204 0 0 {request} {suite}", origin.address)), "{lines:?}");
    assert_eq!(lines[1], "test - false - - 0 0 \"- - - \" \"-\" - -");
}

#[test]
fn a_log_of_everything_goes_on_beside_it() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-beside.log", std::process::id()));
    let dir = path.with_extension("spool");
    let _ = (std::fs::remove_file(&path), std::fs::remove_dir_all(&dir));
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let config = RoadConfig { workers: 1, log, spool: Some(dir.clone()), ..RoadConfig::default() };
    let mut spooled = Spooled { rig: Rig::with(&["a"], Protocol::Http, config), dir };
    let mut client = spooled.rig.client();
    client.get("/1");
    spooled.log_to(Some("one"));
    client.get("/2");
    spooled.log_to(Some("two"));
    client.get("/3");
    let _ = client.stream.write_all(b"");
    drop(client);
    let mut found: Vec<_> = spooled.end().into_iter().map(|(label, lines)| (label.bucket, lines.len())).collect();
    found.sort();
    assert_eq!(found, [("one".to_owned(), 1), ("two".to_owned(), 1)]);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    let _ = std::fs::remove_file(path);
}
