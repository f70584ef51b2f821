//! What must hold for any bytes on the wire, whoever makes them up: the fuzzer, or a test that replays its corpora.
//!
//! Owns the properties, a function a target. Must never know of the fuzzer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evenkeel_core::noun::DesyncMode;
use evenkeel_core::routes::ProxyProtocol;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::h2::mux::OUT_LIMIT;
use evenkeel_proxy::h2::{Mux, Role};
use evenkeel_proxy::proto::emit::{self, Forwarded, Relay};
use evenkeel_proxy::proto::guard::{self, Tier};
use evenkeel_proxy::proto::pp::{self, Greeting};
use evenkeel_proxy::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, ResponseHead, Scanner};

/// What the road knows of the client and itself.
pub const FORWARDED: Forwarded = Forwarded {
    client: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
    node: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 8080),
    proto: "http",
    port: 80,
    trace: None,
};

/// A target: the name of its corpus, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("request_head", request_head),
    ("chunked_body", chunked_body),
    ("response_head", response_head),
    ("h2_request", h2_request),
    ("proxy_header", proxy_header),
];

/// The same in pieces as whole; what goes on to an instance reads back as what was understood, and is compliant but for
/// a body where none is expected; what a mode rescues is as right as what was right at once.
pub fn request_head(data: &[u8]) {
    let whole = RequestHead::read(data, &mut Scanner::default());
    let mut scanner = Scanner::default();
    let mut seen = 0;
    let split = loop {
        let step = usize::from(data.get(seen).copied().unwrap_or(0) % 7) + 1;
        seen = (seen + step).min(data.len());
        match RequestHead::read(&data[..seen], &mut scanner) {
            Parsed::More if seen < data.len() => {}
            other => break other,
        }
    };
    match (&whole, &split) {
        (Parsed::Head(a), Parsed::Head(b)) => assert_eq!((a.len, a.framing), (b.len, b.framing)),
        (Parsed::Refused(a), Parsed::Refused(b)) => {
            // Which limit is passed first depends on how much is there.
            let sizes = [Fault::HeadTooLarge, Fault::BadRequest];
            assert!(a == b || (sizes.contains(a) && sizes.contains(b)), "{a:?} {b:?}");
        }
        (Parsed::More, Parsed::More) => {}
        other => panic!("whole and split differ: {other:?}"),
    }
    match whole {
        Parsed::Head(head) => reads_back(data, &head),
        Parsed::Refused(_) => {
            for mode in [DesyncMode::Monitor, DesyncMode::Defensive, DesyncMode::Strictest] {
                if let Ok(rescued) = guard::rescue(data, mode) {
                    assert!(mode != DesyncMode::Strictest && rescued.finding.tier < Tier::Severe);
                    assert!(rescued.used <= data.len());
                    reads_back(&rescued.clean, &rescued.head);
                }
            }
        }
        Parsed::More => {}
    }
}

fn reads_back(bytes: &[u8], head: &RequestHead) {
    let mut out = Vec::new();
    emit::request(bytes, head, &FORWARDED, &mut out);
    assert_eq!(out.windows(4).position(|w| w == b"\r\n\r\n"), Some(out.len() - 4));
    // A head at its limits can grow beyond them.
    if out.len() > 60_000 || head.fields.iter().count() > 120 {
        return;
    }
    let Parsed::Head(again) = RequestHead::read(&out, &mut Scanner::default()) else {
        panic!("what was written is refused: {}", out.escape_ascii());
    };
    assert_eq!((again.len, again.framing, again.minor), (out.len(), head.framing, 1));
    assert_eq!(again.method.of(&out), head.method.of(bytes));
    if let Some(host) = head.host {
        assert_eq!(again.host.unwrap().of(&out), host.of(bytes));
    }
    // Of what is not compliant only a body with GET or HEAD is carried on.
    let found = guard::classify(&out);
    assert_eq!(found, again.finding, "{}", out.escape_ascii());
    assert!(found.is_compliant() || head.framing != Framing::None, "{found:?}: {}", out.escape_ascii());
    assert!(found.tier < Tier::Severe);
}

/// The same data and the same end in pieces as whole; written anew it reads back.
pub fn chunked_body(data: &[u8]) {
    let whole = body(data, |_| usize::MAX);
    let split = body(data, |byte| usize::from(byte % 5) + 1);
    match (&whole, &split) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        (Err(()), Err(())) => {}
        other => panic!("whole and split differ: {other:?}"),
    }
    if let Ok((content, used, true)) = whole {
        assert!(used <= data.len());
        let mut wire = Vec::new();
        content.chunks(7).for_each(|piece| emit::chunk(piece, &mut wire));
        emit::last_chunk(&[], &mut wire);
        assert_eq!(body(&wire, |_| usize::MAX), Ok((content, wire.len(), true)));
    }
}

fn body(data: &[u8], step: impl Fn(u8) -> usize) -> Result<(Vec<u8>, usize, bool), ()> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut content, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let len = step(data[at]).min(data.len() - at);
        let mut rest = &data[at..at + len];
        loop {
            match reader.next(&mut rest).map_err(drop)? {
                Piece::Data(piece) => content.extend_from_slice(piece),
                Piece::Trailer(_) => {}
                Piece::More => break,
                Piece::End => return Ok((content, at + len - rest.len(), true)),
            }
        }
        at += len;
    }
    Ok((content, at, reader.is_done()))
}

/// A connection of HTTP/2: each of its streams is one request of HTTP/1 and nothing after it, in one piece or in many; what
/// goes on to an instance reads back; and an answer can be given, or the stream is over.
pub fn h2_request(data: &[u8]) {
    let step = data.last().map_or(1, |byte| usize::from(byte % 50) + 1);
    let whole = h2_streams(data, usize::MAX);
    let split = h2_streams(data, step);
    // A mistake later on takes the streams along that nobody has looked at.
    for (a, b) in split.iter().zip(&whole) {
        let len = a.len().min(b.len()).min(b"GET / HTTP/1.1\r\n".len());
        assert_eq!(a[..len], b[..len]);
    }
}

fn h2_streams(data: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut mux = Mux::new(Role::Server);
    let (mut texts, mut ids) = (Vec::new(), Vec::new());
    for piece in data.chunks(step.min(data.len().max(1))) {
        mux.receive(piece, 1);
        while let Some(id) = mux.next_opened() {
            mux.adopt(id, u64::from(id));
            ids.push(id);
            texts.push(Vec::new());
        }
        for (id, text) in ids.iter().zip(&mut texts) {
            let mut into = [0; 100];
            while let Some(count @ 1..) = mux.read(*id, &mut into) {
                text.extend_from_slice(&into[..count]);
            }
        }
    }
    for (id, text) in ids.iter().zip(&texts) {
        h2_text(text);
        let wrote = mux.write(*id, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok");
        assert!(!matches!(wrote, evenkeel_proxy::h2::mux::Wrote::NotReady) || mux.unsent() >= OUT_LIMIT);
        mux.release(*id);
    }
    assert!(mux.take_out(Vec::new()).len() <= 2 * OUT_LIMIT);
    texts
}

fn h2_text(text: &[u8]) {
    match RequestHead::read(text, &mut Scanner::default()) {
        // It was reset before anybody read it.
        Parsed::More => assert!(text.is_empty(), "half a head: {}", text.escape_ascii()),
        Parsed::Refused(Fault::BadRequest) => {
            let line = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
            assert!(text.starts_with(b"CONNECT ") || line >= 16_384, "{}", text.escape_ascii());
        }
        Parsed::Refused(_) => {}
        Parsed::Head(head) => {
            reads_back(text, &head);
            let (mut reader, mut rest) = (BodyReader::new(head.framing), &text[head.len..]);
            while !rest.is_empty() && !reader.is_done() {
                assert!(reader.next(&mut rest).is_ok(), "a broken body: {}", text.escape_ascii());
            }
            assert!(rest.is_empty(), "more than a request: {}", text.escape_ascii());
        }
    }
}

/// The same in pieces as whole; what goes on to a client reads back with the framing it was given.
pub fn response_head(data: &[u8]) {
    let to_head = data.first().is_some_and(|b| b % 2 == 1);
    let data = data.get(1..).unwrap_or_default();
    let whole = ResponseHead::read(data, &mut Scanner::default(), to_head);
    let mut scanner = Scanner::default();
    let split = (0..=data.len())
        .map(|len| ResponseHead::read(&data[..len], &mut scanner, to_head))
        .find(|read| !matches!(read, Ok(None)));
    match (&whole, &split) {
        (Ok(None), None) | (Err(_), Some(Err(_))) => {}
        (Ok(Some(a)), Some(Ok(Some(b)))) => assert_eq!((a.len, a.status, a.framing), (b.len, b.status, b.framing)),
        other => panic!("whole and split differ: {other:?}"),
    }
    let Ok(Some(head)) = whole else { return };
    let mut out = Vec::new();
    emit::response(data, &head, &Relay { framing: head.framing, minor: 1, close: false }, &mut out);
    assert_eq!(out.windows(4).position(|w| w == b"\r\n\r\n"), Some(out.len() - 4));
    match ResponseHead::read(&out, &mut Scanner::default(), to_head) {
        Ok(Some(again)) => assert_eq!((again.len, again.status, again.framing), (out.len(), head.status, head.framing)),
        other => panic!("what was written is refused: {other:?}: {}", out.escape_ascii()),
    }
}

/// No beginning of a header says anything but what the whole says; what it says can be written and reads back.
pub fn proxy_header(data: &[u8]) {
    let whole = pp::read(data);
    for len in 0..data.len().min(600) {
        let part = pp::read(&data[..len]);
        assert!(part == Greeting::More || part == whole, "{len}: {part:?} and {whole:?}");
    }
    let Greeting::Read { len, ends } = whole else { return };
    assert!(len <= data.len() && len <= pp::V2_LIMIT);
    let Some(ends) = ends else { return };
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut out = Vec::new();
        pp::write(version, &ends, &mut out);
        let Greeting::Read { len, ends: Some(again) } = pp::read(&out) else { return };
        let same =
            |a: SocketAddr, b: SocketAddr| (a.ip().to_canonical(), a.port()) == (b.ip().to_canonical(), b.port());
        assert!(len == out.len() && same(again.source, ends.source) && same(again.destination, ends.destination));
    }
}
