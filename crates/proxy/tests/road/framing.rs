//! The corpus of malformed and ambiguous messages, over real sockets: for each the exact bytes that reached an instance
//! or a client, or that none did, and that whoever comes next gets his own answer.
//!
//! The cases are in `framing/requests.txt` and `framing/answers.txt`; what their lines mean stands there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use evenkeel_core::noun::{DesyncMode, Protocol};
use evenkeel_proxy::proto::guard::Reason;
use evenkeel_proxy::road::RoadConfig;
use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::request_analyzer::HttpRequestData;

use crate::rig::{Client, Rig, address, eventually};

/// An instance that writes down all it reads, a text a connection, and answers every request that looks complete: one
/// to `/nonce/…` with its own path, any other with what `answer` holds.
pub struct Recorder {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    answer: Arc<Mutex<Vec<u8>>>,
}

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind((address(), 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let answer = Arc::new(Mutex::new(PLAIN.to_vec()));
        let (write_down, say) = (Arc::clone(&seen), Arc::clone(&answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&write_down), Arc::clone(&say));
                let index = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(Vec::new());
                    seen.len() - 1
                };
                thread::spawn(move || record(stream, index, &seen, &answer));
            }
        });
        Self { address: at, seen, answer }
    }

    /// All that came so far and was not for a nonce, connections in their order.
    pub fn taken(&self) -> Vec<u8> {
        self.seen.lock().unwrap().concat()
    }

    pub fn forget(&self) {
        self.seen.lock().unwrap().iter_mut().for_each(Vec::clear);
    }
}

fn record(mut stream: TcpStream, index: usize, seen: &Mutex<Vec<Vec<u8>>>, answer: &Mutex<Vec<u8>>) {
    let mut held = Vec::new();
    let mut block = [0; 64 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut block) {
        held.extend_from_slice(&block[..count]);
        while let Some(len) = complete(&held) {
            let request: Vec<u8> = held.drain(..len).collect();
            let out = match request.strip_prefix(b"GET /nonce/") {
                Some(rest) => {
                    let nonce: Vec<u8> = rest.iter().copied().take_while(|b| *b != b' ').collect();
                    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", nonce.len()).as_bytes(), &nonce].concat()
                }
                None => {
                    seen.lock().unwrap()[index].extend_from_slice(&request);
                    answer.lock().unwrap().clone()
                }
            };
            if stream.write_all(&out).is_err() {
                return;
            }
            // An answer that ends with its connection.
            if request.starts_with(b"GET /until-close ") {
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
    }
    // What is held now never became a request: a case in which bytes may reach an instance says so, and that they must not
    // be more than that. Written down, they would turn up in a later case.
}

/// The length of the first request in `bytes`, once it is whole. It reads what the road writes, which is always right.
fn complete(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if let Some(length) = text.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        return Some(head + length.parse::<usize>().unwrap()).filter(|len| bytes.len() >= *len);
    }
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        let last = head + bytes[head - 2..].windows(5).position(|w| w == b"\r\n0\r\n")? + 1;
        return bytes[last..].windows(4).position(|w| w == b"\r\n\r\n").map(|at| last + at + 4);
    }
    Some(head)
}

/// A block of a corpus: its title and its lines, each a word and a text.
struct Case {
    title: String,
    lines: Vec<(String, Vec<u8>)>,
}

impl Case {
    fn of(&self, word: &str) -> Option<&[u8]> {
        self.lines.iter().find(|(w, _)| w == word).map(|(_, text)| &**text)
    }

    fn text(&self, word: &str) -> Option<String> {
        self.of(word).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

fn cases(corpus: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("= ") {
            Some(title) => cases.push(Case { title: title.to_owned(), lines: Vec::new() }),
            None => {
                let (word, text) = line.split_once(' ').unwrap_or((line, ""));
                cases.last_mut().unwrap().lines.push((word.to_owned(), unescape(text)));
            }
        }
    }
    cases
}

/// `\r \n \t \\ \xHH`, `\{N:text}` for N times that text.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match code {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b's' => out.push(b' '),
            b'x' => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            b'{' => {
                let (count, after) = rest.split_once(':').unwrap();
                let (what, after) = after.split_once('}').unwrap();
                out.extend(unescape(what).repeat(count.parse().unwrap()));
                rest = after;
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

struct Stage {
    rig: Rig,
    recorder: Recorder,
    nonce: u64,
}

impl Stage {
    fn new(mode: DesyncMode) -> Self {
        // One worker, so that what a client was told is behind everything the road did before.
        let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
        let recorder = Recorder::start();
        rig.add_target("a", recorder.address);
        rig.routes.desync = mode;
        rig.publish();
        Self { rig, recorder, nonce: 0 }
    }

    /// Requests given to the instance so far.
    fn given(&self) -> u64 {
        self.rig.road.meters().balancers[&self.rig.routes.name].targets.values().map(|t| t.requests).sum()
    }

    fn clean_client(&mut self, title: &str) {
        self.nonce += 1;
        let answer = self.rig.client().get(&format!("/nonce/{}", self.nonce));
        assert_eq!((answer.status, answer.text()), (200, self.nonce.to_string()), "after: {title}");
    }
}

/// Sends, ends the sending side, and reads until the road closes.
fn exchange(stage: &Stage, wire: &[u8]) -> Vec<u8> {
    let client = stage.rig.client();
    let mut stream = client.stream.try_clone().unwrap();
    // The road may have refused before all was sent.
    let _ = stream.write_all(wire);
    let mut got = Vec::new();
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut got);
    got
}

fn statuses(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let lines = text.split("\r\n").filter_map(|line| line.split("HTTP/1.1 ").nth(1));
    let all: Vec<_> = lines.map(|rest| rest.get(..3).unwrap_or(rest).to_owned()).collect();
    if all.is_empty() { "cut".into() } else { all.join(" ") }
}

fn run_requests(mode: DesyncMode, word: &str) -> (usize, String) {
    let mut stage = Stage::new(mode);
    let client_ip = stage.rig.client().stream.local_addr().unwrap().ip();
    let forwarded = format!("X-Forwarded-For: {client_ip}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n");
    let (mut failures, mut count, mut noncompliant) = (String::new(), 0, 0);
    for case in cases(include_str!("framing/requests.txt")) {
        // What a mode does beside the default stands behind its name.
        let Some(expected) = case.text(word).or_else(|| case.text("says")) else { continue };
        count += 1;
        let before = stage.given();
        let answer = exchange(&stage, case.of("send").unwrap());
        let said = statuses(&answer);
        let reach = match case.of(&format!("{word}-reach")).or_else(|| case.of("reach")) {
            Some(reach) if expected.starts_with("200") => {
                let node = stage.rig.address().ip().to_string();
                let text = String::from_utf8_lossy(reach).replace("$F", &forwarded).replace("$N", &node);
                // Bytes above ASCII must come through as they are.
                if reach.is_ascii() { text.into_bytes() } else { replace(reach, b"$F", forwarded.as_bytes()) }
            }
            _ => Vec::new(),
        };
        if reach.is_empty() {
            // The road's own count: it was not given to anybody, so nothing can come later.
            if case.of("incomplete").is_none() && stage.given() != before {
                failures += &format!("{}: was given to an instance\n", case.title);
            }
        } else {
            let until = std::time::Instant::now() + Duration::from_secs(5);
            while stage.recorder.taken() != reach && std::time::Instant::now() < until {
                thread::park_timeout(Duration::from_millis(1));
            }
            if stage.recorder.taken() != reach {
                failures += &format!(
                    "{}: reached\n  {}\nnot\n  {}\n",
                    case.title,
                    stage.recorder.taken().escape_ascii(),
                    reach.escape_ascii()
                );
            }
        }
        if said != expected {
            failures += &format!("{}: said {said}, not {expected}\n", case.title);
        }
        stage.clean_client(&case.title);
        if reach.is_empty() && !stage.recorder.taken().is_empty() {
            failures += &format!("{}: reached {}\n", case.title, stage.recorder.taken().escape_ascii());
        }
        stage.recorder.forget();
        let counted = stage.rig.meters().desync;
        let is_compliant = match (case.of("counted"), case.of("uncounted")) {
            (None, None) => oracle_passes(case.of("send").unwrap()),
            (counted, _) => counted.is_none(),
        };
        if (counted == noncompliant) != is_compliant {
            failures += &format!("{}: counted {} as not compliant\n", case.title, counted - noncompliant);
        }
        noncompliant = counted;
    }
    let reasons = stage.rig.meters().desync_reasons;
    assert_eq!(reasons.values().sum::<u64>(), noncompliant, "each has a reason: {reasons:?}");
    assert!(!reasons.contains_key(&Reason::Compliant) && reasons[&Reason::BothTeClPresent] > 0, "{reasons:?}");
    (count, failures)
}

#[test]
fn requests_reach_an_instance_clean_or_not_at_all() {
    let (count, failures) = run_requests(DesyncMode::Defensive, "defensive");
    assert!(failures.is_empty(), "of {count}:\n{failures}");
    assert!(count >= 150, "{count}");
}

#[test]
fn monitor_forwards_only_what_it_understands() {
    let (count, failures) = run_requests(DesyncMode::Monitor, "monitor");
    assert!(failures.is_empty(), "of {count}:\n{failures}");
}

#[test]
fn strictest_refuses_all_that_is_not_compliant() {
    let (count, failures) = run_requests(DesyncMode::Strictest, "strictest");
    assert!(failures.is_empty(), "of {count}:\n{failures}");
}

#[test]
fn answers_reach_a_client_clean_or_not_at_all() {
    let mut stage = Stage::new(DesyncMode::Defensive);
    let (mut failures, mut count) = (String::new(), 0);
    let mut titles = BTreeMap::new();
    for case in cases(include_str!("framing/answers.txt")) {
        count += 1;
        assert!(titles.insert(case.title.clone(), ()).is_none(), "twice: {}", case.title);
        *stage.recorder.answer.lock().unwrap() = case.of("answer").unwrap().to_vec();
        let asked = case.of("ask").map_or(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), <[u8]>::to_vec);
        let mut client = stage.rig.client();
        client.send(&asked);
        let got = match case.of("get") {
            // Cut: the road must close, and what came before must not look complete.
            Some(wanted) => {
                let mut got = vec![0; wanted.len()];
                match client.stream.read_exact(&mut got) {
                    Ok(()) => got,
                    Err(_) => b"(less)".to_vec(),
                }
            }
            None => Vec::new(),
        };
        if got != case.of("get").unwrap() {
            failures +=
                &format!("{}: got\n  {}\nnot\n  {}\n", case.title, got.escape_ascii(), case.text("get").unwrap());
        }
        if case.of("then").is_some_and(|then| then == b"close") {
            let closed = client.is_closed();
            if !closed {
                failures += &format!("{}: not closed\n", case.title);
            }
        } else {
            // The same client goes on, and so does the next.
            stage.nonce += 1;
            let answer = client.get(&format!("/nonce/{}", stage.nonce));
            if answer.text() != stage.nonce.to_string() {
                failures += &format!("{}: its client then got {answer:?}\n", case.title);
            }
        }
        stage.clean_client(&case.title);
    }
    assert!(failures.is_empty(), "of {count}:\n{failures}");
    assert!(count >= 45, "{count}");
}

#[test]
fn a_body_behind_an_answer_without_one_poisons_nobody() {
    let mut stage = Stage::new(DesyncMode::Defensive);
    // The instance sends the head and, later, a body that is an answer of its own: it must meet no request.
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (late, ready) = std::sync::mpsc::channel::<TcpStream>();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let late = late.clone();
            thread::spawn(move || {
                let mut held = Vec::new();
                let mut block = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut block) {
                    held.extend_from_slice(&block[..count]);
                    while let Some(len) = complete(&held) {
                        let request: Vec<u8> = held.drain(..len).collect();
                        if request.starts_with(b"HEAD") {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
                            late.send(stream.try_clone().unwrap()).unwrap();
                        } else {
                            let _ = stream.write_all(PLAIN);
                        }
                    }
                }
            });
        }
    });
    stage.rig.routes.targets.clear();
    stage.rig.add_target("a", at);
    stage.rig.publish();
    for _ in 0..20 {
        let mut client = stage.rig.client();
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.read_answer(true).unwrap().status, 200);
        let mut poisoned = ready.recv_timeout(Duration::from_secs(5)).unwrap();
        // The next request is on its way before the body comes.
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let _ = poisoned.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        assert_eq!(client.read().unwrap().text(), "ok");
    }
    eventually("clients are gone", || stage.rig.meters().open_clients == 0);
}

#[test]
fn what_is_ambiguous_has_its_connections_to_itself() {
    let stage = Stage::new(DesyncMode::Defensive);
    let mut client = stage.rig.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    assert!(client.is_closed());
    assert_eq!(stage.given(), 1);
    // The instance's connection was closed, too: the next request comes on a new one.
    assert_eq!(Client::connect(stage.rig.address()).get("/nonce/1").text(), "1");
    assert_eq!(stage.recorder.seen.lock().unwrap().len(), 2);
}

/// Whether AWS's own classification finds nothing in the first head.
fn oracle_passes(wire: &[u8]) -> bool {
    let end = |mark: &[u8]| wire.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len());
    let end = end(b"\r\n\r\n").or_else(|| end(b"\n\n")).unwrap_or(wire.len());
    matches!(HttpRequestData::analyze_raw_request(&wire[..end]).tier, RequestSafetyTier::Compliant)
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = text.windows(from.len()).position(|w| w == from).unwrap();
    [&text[..at], to, &text[at + from.len()..]].concat()
}
