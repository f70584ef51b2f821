//! What the road does in user space for a request, piece by piece, to be counted by callgrind.
//!
//! Owns the pieces and their input. Run as `instructions NAME`; it does the piece [`ROUNDS`] times inside [`measured`],
//! which is where collecting is switched on. Without a name it prints all of them. TLS is left out: it rolls dice, and valgrind need not
//! know every instruction that a crypto library uses. Who runs it: `tests/instructions`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evenkeel_core::balance::{Candidate, Rota, Rule, Scope, Standing, choose};
use evenkeel_core::noun::DesyncMode;
use evenkeel_proxy::h2::mux::Wrote;
use evenkeel_proxy::h2::{Mux, Role};
use evenkeel_proxy::proto::emit::{self, Forwarded, Relay};
use evenkeel_proxy::proto::guard;
use evenkeel_proxy::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, ResponseHead, Scanner};
use evenkeel_proxy::request::{Next, Session};

/// How often a piece is done.
const ROUNDS: u32 = 1000;

const REQUEST: &[u8] = b"GET /articles/2024/a-road?page=2&sort=new HTTP/1.1\r\nHost: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Connection: keep-alive\r\nReferer: https://www.example.com/articles\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: application\r\n\
    Content-Type: text/html; charset=utf-8\r\nCache-Control: private, max-age=0\r\nVary: Accept-Encoding\r\n\
    Content-Length: 5\r\n\r\nhello";
const CHUNKED: &[u8] = b"10\r\n0123456789abcdef\r\n8;name=value\r\n01234567\r\n400\r\n";
const AMBIGUOUS: &[u8] = b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\
    User-Agent: test\r\nAccept: */*\r\n\r\n";

/// A request as the road writes it for an instance, and an answer as it writes it for a client.
const WRITTEN: &[u8] = b"GET /articles/2024/a-road?page=2&sort=new HTTP/1.1\r\nHost: www.example.com\r\n\
    user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\naccept: */*\r\n\
    cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nX-Forwarded-For: 203.0.113.9\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n\r\n";
const RELAYED: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: application\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello";

const FRONT: Forwarded = Forwarded {
    client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    node: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 8080),
    proto: "http",
    port: 80,
    trace: None,
};

type Part = (&'static str, fn());
const PIECES: [Part; 9] = [
    ("request-head", request_head),
    ("response-head", response_head),
    ("chunked-body", chunked_body),
    ("guard", guarded),
    ("choose-2", || chosen(2)),
    ("choose-100", || chosen(100)),
    ("exchange", exchange),
    ("h2-serve", h2_serve),
    ("h2-ask", h2_ask),
];

fn main() {
    match std::env::args().nth(1) {
        None => PIECES.iter().for_each(|(name, _)| println!("{name}")),
        Some(wanted) => PIECES.iter().find(|(name, _)| *name == wanted).expect("a piece of that name").1(),
    }
}

/// Collecting is on in here.
#[inline(never)]
fn measured(piece: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        piece();
    }
}

/// A request's head is read and written for an instance.
fn request_head() {
    let mut out = Vec::with_capacity(2048);
    measured(&mut || {
        out.clear();
        let Parsed::Head(head) = RequestHead::read(black_box(REQUEST), &mut Scanner::default()) else { panic!() };
        emit::request(REQUEST, &head, &FRONT, &mut out);
        black_box(&out);
    });
}

/// An answer's head is read and written for a client.
fn response_head() {
    let mut out = Vec::with_capacity(2048);
    let relay = Relay { framing: Framing::Length(5), minor: 1, close: false };
    measured(&mut || {
        out.clear();
        let head = ResponseHead::read(black_box(ANSWER), &mut Scanner::default(), false).unwrap().unwrap();
        emit::response(ANSWER, &head, &relay, &mut out);
        black_box(&out);
    });
}

/// A body of three chunks is read.
fn chunked_body() {
    let mut bytes = CHUNKED.to_vec();
    bytes.resize(bytes.len() + 0x400, b'x');
    bytes.extend_from_slice(b"\r\n0\r\nTrailer: a\r\n\r\n");
    measured(&mut || {
        let mut reader = BodyReader::new(Framing::Chunked);
        let mut rest = black_box(bytes.as_slice());
        while !reader.is_done() {
            assert!(!matches!(black_box(reader.next(&mut rest).unwrap()), Piece::More));
        }
    });
}

/// A request that others may read in another way is refused at first, classified, and written anew.
fn guarded() {
    measured(&mut || {
        let head = RequestHead::read(black_box(AMBIGUOUS), &mut Scanner::default());
        assert!(!matches!(head, Parsed::More));
        black_box(guard::rescue(AMBIGUOUS, DesyncMode::Defensive).is_ok());
    });
}

/// One instance is chosen of so many in two zones.
fn chosen(count: usize) {
    let mut rota = Rota::new(count, 2);
    let mut candidates: Vec<Candidate> =
        (0..count).map(|at| Candidate { zone: at % 2, load: (at * 7 % 5) as u32, standing: Standing::Live }).collect();
    measured(&mut || {
        let at = choose(&mut rota, Scope::Everyone, Rule::FewestOutstanding, black_box(&candidates), |_| false);
        candidates[at.unwrap()].load ^= 1;
    });
}

/// A kept-alive request and its answer, from the first byte to the last, as a worker drives them.
fn exchange() {
    let (mut session, mut out) = (Session::default(), Vec::with_capacity(4096));
    measured(&mut || {
        out.clear();
        session.client_bytes(black_box(REQUEST), &FRONT, &mut out);
        assert_eq!(session.next(), Next::Borrow);
        session.lent();
        session.sent(session.unsent().len());
        black_box(session.origin_bytes(black_box(ANSWER), &mut out));
        assert_eq!(session.next(), Next::GiveBack { reuse: true });
        session.given_back();
        black_box(session.take_notes());
    });
}

/// A stream that a client opened becomes text, and the answer's text becomes frames.
fn h2_serve() {
    let (asked, _) = recorded();
    let mut asked = asked.iter();
    let (mut server, mut out) = (Mux::new(Role::Server), Vec::new());
    server.receive(asked.next().unwrap(), 1);
    out = server.take_out(out);
    measured(&mut || {
        out.clear();
        server.receive(black_box(asked.next().unwrap()), 1);
        serve(&mut server);
        out = server.take_out(std::mem::take(&mut out));
        black_box(&out);
    });
}

/// Text becomes a stream to an instance, and the frames of its answer become text.
fn h2_ask() {
    let (_, answered) = recorded();
    let mut answered = answered.iter();
    let (mut client, mut out) = (Mux::new(Role::Client { scheme: "http" }), Vec::new());
    out = client.take_out(out);
    client.receive(answered.next().unwrap(), 1);
    measured(&mut || {
        out.clear();
        let id = ask(&mut client);
        out = client.take_out(std::mem::take(&mut out));
        client.receive(black_box(answered.next().unwrap()), 1);
        hear(&mut client, id);
        black_box(&out);
    });
}

/// What two ends say to each other: the first words, and then a request and an answer for each round.
fn recorded() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut client, mut server) = (Mux::new(Role::Client { scheme: "http" }), Mux::new(Role::Server));
    let (mut asked, mut answered) = (vec![client.take_out(Vec::new())], Vec::new());
    server.receive(&asked[0], 1);
    answered.push(server.take_out(Vec::new()));
    client.receive(&answered[0], 1);
    for _ in 0..ROUNDS {
        let id = ask(&mut client);
        let said = client.take_out(Vec::new());
        server.receive(&said, 1);
        asked.push(said);
        serve(&mut server);
        let said = server.take_out(Vec::new());
        client.receive(&said, 1);
        answered.push(said);
        hear(&mut client, id);
    }
    (asked, answered)
}

fn ask(client: &mut Mux) -> u32 {
    let id = client.open(1);
    assert_eq!(client.write(id, WRITTEN, &[]), Wrote::Took(WRITTEN.len()));
    id
}

fn serve(server: &mut Mux) {
    let id = server.next_opened().unwrap();
    server.adopt(id, 1);
    read(server, id, b"\r\n\r\n");
    assert_eq!(server.write(id, RELAYED, &[]), Wrote::Took(RELAYED.len()));
    server.release(id);
}

fn hear(client: &mut Mux, id: u32) {
    read(client, id, b"hello");
    client.release(id);
}

fn read(mux: &mut Mux, id: u32, end: &[u8]) {
    let (mut bytes, mut rung) = ([0; 4096], Vec::with_capacity(4));
    mux.take_rung(&mut rung);
    black_box(rung);
    assert!(mux.look(id).readable);
    let mut count = 0;
    while !bytes[..count].ends_with(end) {
        count += mux.read(id, &mut bytes[count..]).filter(|count| *count > 0).unwrap();
    }
}
