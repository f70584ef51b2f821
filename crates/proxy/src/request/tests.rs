//! Requests lived without sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

const FRONT: Forwarded = Forwarded {
    client: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
    node: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80),
    proto: "http",
    port: 80,
    trace: None,
};
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A session, what its client was sent, and what the instance at hand was.
#[derive(Default)]
struct Life {
    session: Session,
    out: Vec<u8>,
    up: Vec<u8>,
}

impl Life {
    fn client(&mut self, bytes: &str) -> &mut Self {
        self.session.client_bytes(bytes.as_bytes(), &FRONT, &mut self.out);
        self
    }

    /// A connection is there and takes everything.
    fn lend(&mut self) -> &mut Self {
        assert_eq!(self.session.next(), Next::Borrow);
        self.up.clear();
        self.session.lent();
        self.push()
    }

    fn push(&mut self) -> &mut Self {
        self.up.extend_from_slice(self.session.unsent());
        let count = self.session.unsent().len();
        self.session.sent(count);
        self
    }

    fn origin(&mut self, bytes: &str) -> &mut Self {
        let passed = self.session.origin_bytes(bytes.as_bytes(), &mut self.out);
        self.out.extend_from_slice(&bytes.as_bytes()[passed]);
        self
    }

    fn closed(&mut self, orderly: bool) -> &mut Self {
        self.session.origin_closed(orderly, &mut self.out);
        self
    }

    fn back(&mut self, reuse: bool) -> &mut Self {
        assert_eq!(self.session.next(), Next::GiveBack { reuse });
        self.session.given_back();
        self.session.advance(&FRONT, &mut self.out);
        self
    }

    fn said(&mut self, wanted: &str) -> &mut Self {
        assert_eq!(String::from_utf8_lossy(&std::mem::take(&mut self.out)), wanted);
        self
    }

    fn fault(&mut self, fault: Fault) -> &mut Self {
        assert_eq!(self.session.take_notes().fault, Some(fault));
        self
    }

    fn then(&mut self, next: Next) -> &mut Self {
        assert_eq!(self.session.next(), next);
        self
    }
}

fn get() -> &'static str {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
}

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

fn answer(line: &str, close: bool) -> String {
    let word = if close { "Close" } else { "keep-alive" };
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: {word}\r\n\r\n")
}

#[test]
fn two_requests_share_a_connection_and_nothing_is_held_between() {
    let mut life = Life::default();
    for _ in 0..2 {
        life.client(get()).lend().origin(OK).said(OK).back(true).then(Next::Wait);
        assert_eq!(life.session.waits(), Waits::NextRequest);
        assert_eq!(life.session.held.capacity(), 0);
    }
    let notes = life.session.take_notes();
    assert_eq!((notes.request, notes.answered, notes.fault), (true, Some(200), None));
}

#[test]
fn modes_pass_close_or_refuse() {
    let odd = "GET / HTTP/1.2\r\nHost: a\r\n\r\n";
    let body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    let bare = "GET / HTTP/1.1\nHost: a\n\n";
    let closing = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let life = |mode: DesyncMode, wire: &str| {
        let mut life = Life::default();
        life.session.guard_by(mode);
        life.client(wire);
        let desync = life.session.notes.desync.map(|finding| finding.tier);
        (life, desync)
    };
    use guard::Tier::{Acceptable, Ambiguous};
    for (mode, wire, tier, alone) in [
        (DesyncMode::Monitor, odd, Acceptable, false),
        (DesyncMode::Defensive, odd, Acceptable, false),
        (DesyncMode::Monitor, bare, Acceptable, false),
        (DesyncMode::Defensive, bare, Acceptable, false),
        (DesyncMode::Monitor, body, Ambiguous, false),
        (DesyncMode::Defensive, body, Ambiguous, true),
    ] {
        let (mut life, found) = life(mode, wire);
        assert_eq!(found, Some(tier), "{wire:?}");
        life.lend().origin(OK).said(if alone { &closing } else { OK }).back(!alone);
        life.then(if alone { Next::Close } else { Next::Wait });
        assert!(life.up.starts_with(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: "));
    }
    for wire in [odd, body, bare] {
        let (mut life, found) = life(DesyncMode::Strictest, wire);
        assert!(found.is_some());
        life.said(&answer("400 BAD_REQUEST", true)).then(Next::Close);
    }
    assert_eq!(life(DesyncMode::Strictest, get()).1, None);
    // Byte by byte it is the same.
    let mut life = Life::default();
    for byte in bare.chars() {
        life.client(&byte.to_string());
    }
    life.lend().origin(OK).said(OK).back(true);
}

#[test]
fn a_connection_that_may_hold_a_body_for_nobody_is_not_used_again() {
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let check = |wire: &str, answer: &str, reuse: bool| {
        let mut life = Life::default();
        life.client(wire).lend().origin(answer).back(reuse).then(Next::Wait);
    };
    check(head, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false);
    check(head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
    check(get(), "HTTP/1.1 204 No\r\n\r\n", true);
    check(get(), "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", true);
    check(get(), "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", false);
    check(get(), "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", false);
    check(get(), "HTTP/1.1 304 Not\r\nETag: x\r\n\r\n", true);
    check(get(), "HTTP/1.1 304 Not\r\nContent-Length: 2\r\n\r\n", false);
    check(get(), "HTTP/1.1 304 Not\r\n\r\nx", false);
}

#[test]
fn what_comes_before_a_request_was_sent_is_no_answer_to_it() {
    let mut life = Life::default();
    life.client(&post(0)).then(Next::Borrow).session.lent();
    life.origin(OK).said("").back(false);
    life.lend().origin(OK).said(OK).back(true);
}

#[test]
fn pipelined_requests_wait_for_their_turn() {
    let mut life = Life::default();
    life.client(&format!("{}{}{}", get(), get(), &get()[..7])).lend();
    assert!(!life.session.wants_client());
    life.origin(OK).said(OK).back(true).lend().origin(OK).said(OK).back(true).then(Next::Wait);
    assert_eq!(life.session.waits(), Waits::Head);
    life.client(&get()[7..]).then(Next::Borrow);
}

#[test]
fn an_idempotent_request_is_sent_again_whole_and_another_is_not() {
    let mut life = Life::default();
    life.client("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab").lend();
    life.client("c").push();
    let first = life.up.clone();
    life.closed(false).back(false).then(Next::Borrow);
    assert!(life.session.take_notes().retried);
    life.lend();
    assert_eq!(life.up, first);
    life.client("d").push().origin(OK).said(OK).back(true).then(Next::Wait);

    let mut life = Life::default();
    life.client(&post(2)).client("ab").lend().closed(true);
    life.said(&answer("504 GATEWAY_TIMEOUT", false)).fault(Fault::ClosedBeforeAnswer).back(false).then(Next::Wait);
}

#[test]
fn what_the_kernel_did_not_take_may_always_be_sent_again() {
    let mut life = Life::default();
    life.client(&post(2)).client("ab");
    life.session.lent();
    life.session.not_sent();
    life.closed(true).back(false).lend();
    assert!(life.up.ends_with(b"\r\n\r\nab"));
}

#[test]
fn only_what_may_be_sent_twice_goes_on_any_connection() {
    let check = |seasoned: bool, wire: &str, reuse: Reuse| {
        let mut life = Life::default();
        if seasoned {
            life.client(get()).lend().origin(OK).back(true);
        }
        life.client(wire).then(Next::Borrow);
        assert_eq!(life.session.reuse(), reuse, "{wire:?}");
    };
    let put = |length: usize| post(length).replace("POST", "PUT");
    for seasoned in [false, true] {
        check(seasoned, get(), Reuse::Freely);
        check(seasoned, &(put(2) + "ab"), Reuse::Freely);
        // The rest of it may be more than is held.
        check(seasoned, &(put(2) + "a"), Reuse::Checked);
    }
    check(false, &(post(2) + "ab"), Reuse::Unused);
    check(true, &(post(2) + "ab"), Reuse::Checked);
    for (first, reuse) in [(true, Reuse::Unused), (false, Reuse::Checked)] {
        let mut life = Life::default();
        life.session.is_one_of_many(first);
        life.client(&post(0));
        assert_eq!(life.session.reuse(), reuse);
    }
}

#[test]
fn a_body_too_long_to_be_held_is_not_sent_again() {
    let mut life = Life::default();
    life.client(&format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 400_000)).lend();
    let block = "x".repeat(50_000);
    for _ in 0..8 {
        assert!(life.session.wants_client());
        life.client(&block).push();
    }
    life.closed(false).fault(Fault::ClosedBeforeAnswer);
    assert!(life.out.starts_with(b"HTTP/1.1 504"));
}

#[test]
fn tries_are_bounded_and_the_last_failure_is_told() {
    let mut life = Life::default();
    life.client(get());
    for _ in 0..ATTEMPTS - 1 {
        life.then(Next::Borrow);
        life.session.lent();
        life.session.not_connected(&mut life.out);
        life.said("").back(false);
    }
    life.then(Next::Borrow);
    life.session.not_connected(&mut life.out);
    let busy = "503 Service Unavailable: Back-end server is at capacity";
    life.said(&answer(busy, false)).fault(Fault::ConnectFailed).back(false).then(Next::Wait);
    // Everybody was tried: the failure that was seen is told, not that nobody is there.
    life.client(get()).lend().closed(false).back(false).then(Next::Borrow);
    life.session.no_target(&mut life.out);
    life.said(&answer("504 GATEWAY_TIMEOUT", false)).fault(Fault::ClosedBeforeAnswer);
}

#[test]
fn nobody_in_service_is_said_and_an_unread_body_closes() {
    let mut life = Life::default();
    life.client(&post(5)).then(Next::Borrow);
    life.session.no_target(&mut life.out);
    let busy = "503 Service Unavailable: Back-end server is at capacity";
    life.said(&answer(busy, true)).fault(Fault::NoTarget).back(false).then(Next::Close);
}

#[test]
fn deadlines_tell_who_was_late() {
    let late = |life: &mut Life| life.session.timed_out(&mut life.out);
    let mut life = Life::default();
    late(&mut life);
    life.said("").then(Next::Close);
    let mut life = Life::default();
    late(life.client("GET / HT"));
    life.said(&answer("408 REQUEST_TIMEOUT", true)).fault(Fault::RequestTimeout).then(Next::Close);
    let mut life = Life::default();
    late(life.client(&post(5)).lend());
    life.said(&answer("408 REQUEST_TIMEOUT", true)).fault(Fault::RequestTimeout).back(false).then(Next::Close);
    let mut life = Life::default();
    late(life.client(get()).lend());
    life.said(&answer("504 GATEWAY_TIMEOUT", false)).fault(Fault::SilentInstance).back(false).then(Next::Wait);
    let mut life = Life::default();
    late(life.client(get()).lend().origin("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"));
    life.fault(Fault::TruncatedAnswer).back(false).then(Next::Abort);
}

#[test]
fn truncated_answers_never_look_complete() {
    for begun in ["Content-Length: 9\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n3\r\nab"] {
        let mut life = Life::default();
        life.client(get()).lend().origin(&format!("HTTP/1.1 200 OK\r\n{begun}")).closed(true);
        assert!(!life.out.ends_with(b"0\r\n\r\n"));
        life.fault(Fault::TruncatedAnswer).back(false).then(Next::Abort);
    }
    let until_close = "HTTP/1.1 200 OK\r\n\r\nab";
    let mut life = Life::default();
    life.client(get()).lend().origin(until_close).closed(false);
    life.said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").back(false).then(Next::Abort);
    let mut life = Life::default();
    life.client(get()).lend().origin(until_close).closed(true);
    life.said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n").back(false).then(Next::Wait);
    // Part of a head is no answer at all.
    let mut life = Life::default();
    life.client(get()).lend().origin("HTTP/1.1 200").closed(true);
    life.said(&answer("502 BAD_GATEWAY", true)).fault(Fault::BadAnswer).back(false).then(Next::Close);
}

#[test]
fn interim_answers_pass_and_upgrades_do_not() {
    let mut life = Life::default();
    life.client(get()).lend().origin("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTT");
    life.said("HTTP/1.1 103 Hints\r\nA: b\r\n\r\n").origin(&OK[3..]).said(OK).back(true);
    life.client(get()).lend().origin("HTTP/1.1 101 Switching Protocols\r\n\r\nevil");
    life.said(&answer("502 BAD_GATEWAY", true)).fault(Fault::BadAnswer).back(false).then(Next::Close);
    let mut life = Life::default();
    life.client(get()).lend();
    for _ in 0..20 {
        life.origin("HTTP/1.1 102 Processing\r\n\r\n");
    }
    life.fault(Fault::BadAnswer);
}

const SWITCH: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn an_upgrade_that_is_granted_leaves_both_to_each_other() {
    let mut life = Life::default();
    life.client(SWITCH).client("early").lend();
    // Nothing goes on to the instance before it has answered, and nothing more is read.
    assert!(String::from_utf8_lossy(&life.up).ends_with("Connection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"));
    assert!(life.session.unsent().is_empty() && !life.session.wants_client());
    life.origin("HTTP/1.1 103 Hints\r\n\r\n").said("HTTP/1.1 103 Hints\r\n\r\n");
    life.origin(&SWITCHED[..40]).said("");
    life.origin(&format!("{}hello", &SWITCHED[40..]));
    life.said(&format!("{SWITCHED}hello")).then(Next::Tunnel);
    assert!(!life.session.wants_client() && !life.session.wants_origin());
    assert_eq!(life.session.take_notes().answered, Some(101));
    assert_eq!(life.session.carried(), Carried { up: 0, down: 5 });
    assert_eq!(life.session.switched(), Switched { early: b"early".to_vec(), ended: false });

    let mut life = Life::default();
    life.client(SWITCH).lend();
    assert!(life.session.wants_client());
    life.session.client_eof(&mut Vec::new());
    assert!(!life.session.wants_client());
    life.origin(SWITCHED).then(Next::Tunnel);
    assert_eq!(life.session.switched(), Switched { early: Vec::new(), ended: true });
    // Its client may be gone before it is told.
    let mut life = Life::default();
    life.client(SWITCH).lend().origin(SWITCHED).session.client_gone(&mut Vec::new());
    life.back(false).then(Next::Abort);
}

#[test]
fn a_body_goes_before_an_upgrade() {
    let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n";
    let asked = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut life = Life::default();
    life.client(&asked).client("body").lend().origin(SWITCHED).said(SWITCHED).then(Next::Tunnel);
    assert!(life.up.ends_with(b"Content-Length: 4\r\n\r\nbody"));
    // Who switches before it has the whole of it reads the rest as something else.
    let mut life = Life::default();
    life.client(&asked).client("bo").lend().origin(SWITCHED).fault(Fault::BadAnswer).back(false).then(Next::Close);
    // What has a second reading is never carried on with one.
    for mode in [DesyncMode::Monitor, DesyncMode::Defensive] {
        let mut life = Life::default();
        life.session.guard_by(mode);
        life.client(&asked.replace("POST", "GET")).client("body").lend();
        assert!(!String::from_utf8_lossy(&life.up).contains("pgrade"), "{mode:?}");
        life.origin(SWITCHED).fault(Fault::BadAnswer);
    }
}

#[test]
fn an_upgrade_that_is_declined_is_an_answer_and_what_came_early_is_nothing() {
    let mut life = Life::default();
    life.client(SWITCH).lend().origin(OK).said(OK).back(true).then(Next::Wait);
    life.client(get()).lend().origin(OK).said(OK).back(true).then(Next::Wait);
    let closing = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut life = Life::default();
    life.client(&format!("{SWITCH}{}", get())).lend().origin(OK).said(&closing).back(true).then(Next::Close);
    assert!(!life.session.is_drained());
    let mut life = Life::default();
    life.client(SWITCH).client(get()).lend().closed(true).back(false).then(Next::Borrow);
    life.session.no_target(&mut life.out);
    life.said(&answer("504 GATEWAY_TIMEOUT", true)).back(false).then(Next::Close);
}

#[test]
fn only_what_was_asked_for_is_switched_to() {
    for bad in [
        SWITCHED.replace("websocket", "h2c"),
        SWITCHED.replace("HTTP/1.1", "HTTP/1.0"),
        SWITCHED.replace("Connection: upgrade\r\n", ""),
        SWITCHED.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let mut life = Life::default();
        life.client(SWITCH).lend().origin(&bad).said(&answer("502 BAD_GATEWAY", true)).fault(Fault::BadAnswer);
    }
    let mut life = Life::default();
    life.session.carry_upgrades(false);
    life.client(SWITCH).said(&answer("501 NOT_IMPLEMENTED", true)).fault(Fault::NoUpgrade).then(Next::Close);
    let mut life = Life::default();
    life.session.carry_upgrades(false);
    life.client(&SWITCH.replace("WebSocket", "TLS/1.2")).lend().origin(OK).said(OK).back(true).then(Next::Wait);
    assert!(!String::from_utf8_lossy(&life.up).contains("pgrade"));
}

#[test]
fn an_early_answer_ends_the_connection_and_nothing_is_read_as_a_request() {
    let mut life = Life::default();
    life.client(&post(100)).lend().origin("HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n");
    life.said("HTTP/1.1 413 Big\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").back(false).then(Next::Close);
    assert!(!life.session.wants_client());
    // More is on its way: who closes at once on it takes the answer back.
    assert!(!life.session.is_drained());
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let mut life = Life::default();
    life.client(get()).lend().session.client_gone(&mut Vec::new());
    life.fault(Fault::ClientGone).back(false).then(Next::Abort);
    let mut life = Life::default();
    life.client(&post(9)).lend().session.client_eof(&mut Vec::new());
    life.fault(Fault::ClientGone).back(false).then(Next::Abort);
}

#[test]
fn winding_down_finishes_what_is_at_hand() {
    let mut life = Life::default();
    life.session.wind_down();
    life.then(Next::Close);
    let mut life = Life::default();
    life.client(get()).lend().session.wind_down();
    life.origin(OK)
        .said("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .back(true)
        .then(Next::Close);
}

#[derive(Clone, Debug)]
enum Happening {
    Client(usize),
    Junk(Vec<u8>),
    Sent(usize),
    Origin(usize),
    OriginJunk(Vec<u8>),
    Closed(bool),
    Eof,
    Gone,
    Late,
    Refused,
    Nobody,
    Cut,
    WindDown,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0usize..200).prop_map(Happening::Client),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Happening::Junk),
        6 => (0usize..300).prop_map(Happening::Sent),
        8 => (0usize..200).prop_map(Happening::Origin),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Happening::OriginJunk),
        2 => any::<bool>().prop_map(Happening::Closed),
        1 => Just(Happening::Eof),
        1 => Just(Happening::Gone),
        1 => Just(Happening::Late),
        1 => Just(Happening::Refused),
        1 => Just(Happening::Nobody),
        1 => Just(Happening::Cut),
        1 => Just(Happening::WindDown),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no panic, bounded buffers, no more answers than requests, and an end that
    /// stays one.
    #[test]
    fn any_life_is_sane(events in prop::collection::vec(happening(), 0..120)) {
        let wire = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\nPUT /c HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabcGET /d HTTP/1.1\r\nHost: d\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".repeat(40);
        let replies = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 101 Ok\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".repeat(40);
        let (mut at, mut reply_at) = (0, 0);
        let (mut session, mut requests, mut answers, mut ended) = (Session::default(), 0usize, 0usize, false);
        for event in events {
            let mut out = Vec::new();
            let holding = session.wants_origin();
            let next = session.next();
            match event {
                Happening::Client(n) if session.wants_client() => {
                    let end = (at + n).min(wire.len());
                    session.client_bytes(&wire.as_bytes()[at..end], &FRONT, &mut out);
                    at = end;
                }
                Happening::Junk(bytes) if session.wants_client() => session.client_bytes(&bytes, &FRONT, &mut out),
                Happening::Sent(n) => session.sent(n.min(session.unsent().len())),
                Happening::Origin(n) if holding => {
                    let end = (reply_at + n).min(replies.len());
                    let bytes = &replies.as_bytes()[reply_at..end];
                    let passed = session.origin_bytes(bytes, &mut out);
                    out.extend_from_slice(&bytes[passed]);
                    reply_at = end;
                }
                Happening::OriginJunk(bytes) if holding => {
                    let passed = session.origin_bytes(&bytes, &mut out);
                    out.extend_from_slice(&bytes[passed]);
                }
                Happening::Closed(orderly) if holding => { session.origin_closed(orderly, &mut out); }
                Happening::Eof if session.wants_client() => session.client_eof(&mut out),
                Happening::Gone => session.client_gone(&mut out),
                Happening::Late => session.timed_out(&mut out),
                Happening::Refused if next == Next::Borrow || holding => session.not_connected(&mut out),
                Happening::Nobody if next == Next::Borrow => session.no_target(&mut out),
                Happening::Cut => session.cut(&mut out),
                Happening::WindDown => session.wind_down(),
                _ => {}
            }
            let notes = session.take_notes();
            requests += usize::from(notes.request);
            for _ in 0..3 {
                match session.next() {
                    Next::Borrow => session.lent(),
                    Next::GiveBack { .. } => {
                        session.given_back();
                        session.advance(&FRONT, &mut out);
                        requests += usize::from(session.take_notes().request);
                    }
                    _ => {}
                }
            }
            answers += out.windows(9).filter(|w| w.starts_with(b"HTTP/1.1 ")).count();
            answers -= out.windows(12).filter(|w| w.starts_with(b"HTTP/1.1 1")).count();
            prop_assert!(answers <= requests + 1, "{answers} answers to {requests} requests");
            prop_assert!(session.unsent().len() <= UNSENT_LIMIT + 1000 && session.held.len() <= wire.len());
            let over = matches!(session.next(), Next::Close | Next::Abort);
            prop_assert!(over || !ended, "it came back to life");
            if session.next() == Next::Tunnel {
                break;
            }
            ended = over;
        }
    }
}
