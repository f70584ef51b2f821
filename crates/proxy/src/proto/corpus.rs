//! The cases that smuggle: input, and whether it is refused or forwarded as exactly which bytes.
//!
//! Owns the table for HTTP/1 heads and request bodies; numbers are the classes of the project's corpus. Every case is
//! also fed byte by byte.

use proptest::prelude::*;

use super::body::{BodyReader, Piece};
use super::emit::{self, Forwarded};
use super::request::{Parsed, RequestHead};
use super::response::ResponseHead;
use super::scan::Scanner;
use super::{Framing, emit::Relay};
use crate::fault::Fault;

const FORWARDED: Forwarded = Forwarded {
    client: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)),
    node: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 8080),
    proto: "http",
    port: 80,
    trace: None,
};
const XF: &str = "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n";

/// What an instance would read of the first request in `wire`, given in steps.
fn forward(wire: &[u8], step: usize) -> Result<Vec<u8>, u16> {
    let mut scanner = Scanner::default();
    let refuse = |fault: Fault| fault.verdict().status;
    let mut seen = 0;
    let head = loop {
        seen = (seen + step).min(wire.len());
        match RequestHead::read(&wire[..seen], &mut scanner) {
            Parsed::Head(head) => break head,
            Parsed::Refused(fault) => return Err(refuse(fault)),
            Parsed::More if seen == wire.len() => return Err(0),
            Parsed::More => {}
        }
    };
    let (mut out, mut trailers) = (Vec::new(), Vec::new());
    emit::request(wire, &head, &FORWARDED, &mut out);
    let mut body = BodyReader::new(head.framing);
    for piece in wire[head.len..].chunks(step) {
        let mut rest = piece;
        loop {
            match body.next(&mut rest).map_err(|_| 400u16)? {
                Piece::Data(data) if head.framing == Framing::Chunked => emit::chunk(data, &mut out),
                Piece::Data(data) => out.extend_from_slice(data),
                Piece::Trailer(lines) => trailers.extend_from_slice(lines),
                Piece::More | Piece::End => break,
            }
        }
    }
    if !body.is_done() {
        return Err(0);
    }
    if head.framing == Framing::Chunked {
        emit::last_chunk(&trailers, &mut out);
    }
    Ok(out)
}

fn refuse(status: u16, wire: impl AsRef<[u8]>) {
    let wire = wire.as_ref();
    for step in [1, 3, wire.len()] {
        let got = forward(wire, step).map(|out| out.escape_ascii().to_string());
        assert_eq!(got, Err(status), "by {step}: {}", wire.escape_ascii());
    }
}

fn pass(wire: &str, line: &str, fields: &str, rest: &str) {
    let wanted = format!("{line} HTTP/1.1\r\n{}{XF}{rest}", fields);
    for step in [wire.len(), 1, 3] {
        let got = forward(wire.as_bytes(), step).map(|out| String::from_utf8_lossy(&out).into_owned());
        if step == wire.len() || !rest.starts_with("Transfer") {
            assert_eq!(got.as_deref(), Ok(&*wanted), "by {step}: {wire:?}");
        } else {
            assert!(got.is_ok_and(|got| got.starts_with(&wanted[..wanted.len() - rest.len()])), "by {step}: {wire:?}");
        }
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn length_and_coding() {
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    // 1–3
    refuse(400, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked));
    refuse(400, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked));
    refuse(400, post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"));
    refuse(400, post("Content-Length: 5, 6\r\n", "hello"));
    refuse(400, post("Content-Length: 5\r\ncontent-length: 5\r\n", "hello"));
    refuse(400, post("Content-Length: 5, 5\r\n", "hello"));
    // 4–6
    for length in [
        "+5",
        "-1",
        "0x5",
        "5 5",
        "1e1",
        "5;a",
        "",
        "\u{ff15}",
        "5,",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        refuse(400, post(&format!("Content-Length: {length}\r\n"), "hello"));
    }
    pass(&post("Content-Length: 0000000005\r\n", "hello"), "POST /", "Host: a\r\n", "Content-Length: 5\r\n\r\nhello");
    pass(&post("Content-Length:\t5 \r\n", "hello"), "POST /", "Host: a\r\n", "Content-Length: 5\r\n\r\nhello");
    // 7–12
    for coding in ["xchunked", "cow", "chunk", "identity", "gzip, chunked", "gzip"] {
        refuse(501, post(&format!("Transfer-Encoding: {coding}\r\n"), chunked));
    }
    for coding in [
        "chunked, identity",
        "chunked, chunked",
        ", chunked",
        "chunked,",
        "",
        "chunked;q=1",
        "\"chunked\"",
        "\x0bchunked",
        "chunked\0",
        "chun ked",
    ] {
        refuse(400, post(&format!("Transfer-Encoding: {coding}\r\n"), chunked));
    }
    refuse(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked));
    refuse(400, post("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", chunked));
    refuse(400, format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"));
    pass(
        &post("Transfer-Encoding: Chunked\r\n", chunked),
        "POST /",
        "Host: a\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    // 13–16
    for field in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Content-Length : 5",
        "X: y\r\n Transfer-Encoding: chunked",
        "X:\r\n\tContent-Length: 5",
        "Transfer-Encod\u{131}ng: chunked",
        "Content-Len\x01gth: 5",
        "Content-Length\0: 5",
        "X: y\r\n chunked",
    ] {
        refuse(400, post(&format!("{field}\r\n"), chunked));
    }
    pass(&post("Content_Length: 5\r\nTransfer_Encoding: chunked\r\n", ""), "POST /", "Host: a\r\n", "\r\n");
    // 17: framing and Host stay, whatever Connection names.
    pass(
        &post("Connection: Content-Length, Host\r\nContent-Length: 5\r\n", "hello"),
        "POST /",
        "Host: a\r\n",
        "Content-Length: 5\r\n\r\nhello",
    );
    // 18, 19
    for method in ["GET", "HEAD", "DELETE"] {
        pass(
            &format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            &format!("{method} /"),
            "Host: a\r\n",
            "Content-Length: 5\r\n\r\nhello",
        );
    }
    pass(&post("", ""), "POST /", "Host: a\r\n", "\r\n");
    // 20: cut bodies never look complete.
    refuse(0, post("Content-Length: 6\r\n", "hello"));
    refuse(0, post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r"));
    // 21–29 stand in body.rs.
    refuse(400, post("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX0\r\n\r\n"));
    pass(
        &post("Transfer-Encoding: chunked\r\n", "5;a=\"b;c\"\r\nhello\r\n0\r\nContent-Length: 7\r\nHost: b\r\n\r\n"),
        "POST /",
        "Host: a\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    // 27
    refuse(431, get(&"a: b\r\n".repeat(2000)));
    refuse(431, get(&format!("a: {}\r\n", "b".repeat(256 * 1024))));
    refuse(400, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)));
}

#[test]
fn where_it_goes() {
    // 30, 31
    refuse(400, "GET / HTTP/1.1\r\n\r\n");
    refuse(400, get("Host: a\r\n"));
    refuse(400, get("Host: b\r\n"));
    for host in ["a b", "a, b", "u@a", "a/b", "a:port", "a:99999", "\u{e9}", "a\0b", "http://a"] {
        refuse(400, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    pass("GET / HTTP/1.0\r\n\r\n", "GET /", "Host: 10.0.0.1\r\n", "\r\n");
    // 32–34
    pass("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y", "Host: b:81\r\n", "\r\n");
    pass("GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /", "Host: b\r\n", "\r\n");
    pass("GET http://b?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?y", "Host: b\r\n", "\r\n");
    pass("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *", "Host: b\r\n", "\r\n");
    pass("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *", "Host: a\r\n", "\r\n");
    for target in [
        "http://u@b/",
        "http:///x",
        "http://:80/",
        "ftp://b/",
        "b:80",
        "*",
        "x",
        "?x",
        "http:/x",
        "/a#b",
        "/\u{e9}",
        "/a\x01",
        "/a\x7f",
        "/a\0",
        "/a\tb",
        "/a b",
    ] {
        refuse(400, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    refuse(400, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    // 35–43
    for line in [
        "GET  / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET /",
        "GET",
        "G(T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1",
        "GET / HTTP/1.1\r",
        "GET /a\rb HTTP/1.1",
        "GET / XTTP/1.1",
    ] {
        refuse(400, format!("{line}\r\nHost: a\r\n\r\n"));
    }
    for line in ["GET / HTTP/2.0", "GET / HTTP/0.9", "PRI * HTTP/2.0"] {
        refuse(505, format!("{line}\r\nHost: a\r\n\r\n"));
    }
    pass("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET /", "Host: a\r\n", "\r\n");
    pass("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get /", "Host: a\r\n", "\r\n");
    refuse(405, format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(128)));
    let longest = "M".repeat(127);
    pass(&format!("{longest} / HTTP/1.1\r\nHost: a\r\n\r\n"), &format!("{longest} /"), "Host: a\r\n", "\r\n");
    for wire in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    ] {
        refuse(400, wire);
    }
    for field in [" a: b", "ab", ": b", "a b: c", "a: \0", "a: b\rc", "a: \x01", "a[]: b"] {
        refuse(400, get(&format!("{field}\r\n")));
    }
    pass(&get("A: \u{e9}\r\n"), "GET /", "Host: a\r\nA: \u{e9}\r\n", "\r\n");
    pass("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /", "Host: a\r\n", "\r\n");
}

#[test]
fn hop_by_hop_and_forwarded() {
    // 44, 45
    pass(
        &get(
            "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: a\r\nX: y\r\n",
        ),
        "GET /",
        "Host: a\r\nTrailer: a\r\nX: y\r\n",
        "\r\n",
    );
    pass(
        &get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"),
        "GET /",
        "Host: a\r\n",
        "\r\n",
    );
    // 46, 47
    pass(
        &get("Connection: Upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Key: x\r\n"),
        "GET /",
        "Host: a\r\nSec-WebSocket-Key: x\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    for ignored in ["Upgrade: websocket\r\n", "Connection: upgrade\r\n", "Connection: upgrade\r\nUpgrade: a b\r\n"] {
        pass(&get(ignored), "GET /", "Host: a\r\n", "\r\n");
    }
    pass("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /", "Host: 10.0.0.1\r\n", "\r\n");
    refuse(400, get("Connection: a b\r\n"));
    refuse(400, get(&format!("Connection: {}\r\n", "a,".repeat(33))));
    // 48, 49
    pass(
        &post("Expect: 100-Continue\r\nContent-Length: 1\r\n", "x"),
        "POST /",
        "Host: a\r\n",
        "Content-Length: 1\r\n\r\nx",
    );
    refuse(417, post("Expect: miracles\r\nContent-Length: 1\r\n", "x"));
    pass(
        "POST / HTTP/1.0\r\nExpect: y\r\nContent-Length: 1\r\n\r\nx",
        "POST /",
        "Host: 10.0.0.1\r\n",
        "Content-Length: 1\r\n\r\nx",
    );
    let wire = get(
        "x-forwarded-for: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nConnection: x-forwarded-for\r\n",
    );
    let got = forward(wire.as_bytes(), wire.len()).unwrap();
    let wanted = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&got), wanted);
}

#[test]
fn answers() {
    let read = |wire: &str, to_head: bool| {
        let whole = ResponseHead::read(wire.as_bytes(), &mut Scanner::default(), to_head);
        let mut scanner = Scanner::default();
        let split = (0..=wire.len())
            .map(|n| ResponseHead::read(&wire.as_bytes()[..n], &mut scanner, to_head))
            .find(|r| !matches!(r, Ok(None)));
        assert_eq!(whole.is_err(), split.is_some_and(|r| r.is_err()), "{wire:?}");
        whole
    };
    // 53, 54, 58
    for bad in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 1000 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
    ] {
        assert!(read(bad, false).is_err(), "{bad:?}");
    }
    let framing = |wire: &str, to_head| read(wire, to_head).unwrap().unwrap().framing;
    assert_eq!(framing("HTTP/1.1 200\r\n\r\n", false), Framing::UntilClose);
    assert_eq!(framing("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", false), Framing::Chunked);
    // 51
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true), Framing::None);
    assert_eq!(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false), Framing::None);
    assert_eq!(framing("HTTP/1.1 204 No Content\r\n\r\n", false), Framing::None);
    let relay = |wire: &str, to_head, minor, close| {
        let head = read(wire, to_head).unwrap().unwrap();
        let mut out = Vec::new();
        emit::response(wire.as_bytes(), &head, &Relay { framing: head.framing, minor, close }, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let wire = "HTTP/1.1 200 Fine\r\nConnection: X-Hop, Content-Length\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nA: b\r\nContent-Length: 07\r\n\r\n";
    assert_eq!(relay(wire, false, 1, false), "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 7\r\n\r\n");
    assert_eq!(
        relay(wire, true, 0, false),
        "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(
        relay("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", false, 1, true),
        "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
        let _ = forward(&wire, step);
        let _ = ResponseHead::read(&wire, &mut Scanner::default(), false);
    }

    #[test]
    fn almost_requests_do_not_depend_on_splits(
        line in "(GET|POST|HEAD) (/[a-z#]{0,3}|\\*|http://a/) HTTP/1\\.[01]",
        fields in prop::collection::vec("(Host|A|Content-Length|Transfer-Encoding|Connection|Expect): ?(a|5|chunked|close| |100-continue)", 0..5),
        end in "(\r\n|\n|\r\n\r\n)", body in "[5hello\r\n0]{0,20}", step in 1usize..9,
    ) {
        let wire = format!("{line}\r\n{}\r\n{end}{body}", fields.join("\r\n"));
        let (whole, split) = (forward(wire.as_bytes(), wire.len()), forward(wire.as_bytes(), step));
        prop_assert_eq!(whole.as_ref().err(), split.as_ref().err(), "{:?}", wire);
    }

    #[test]
    fn what_is_emitted_reads_back_the_same(
        path in "/[a-z0-9/?=&%]{0,40}", host in "[a-z]{1,9}(:[0-9]{1,4})?",
        fields in prop::collection::vec(("[A-Z][a-z]{0,3}-[A-Z][a-z]{1,9}", "[ -~]{0,30}"), 0..10), length in prop::option::of(0usize..50),
    ) {
        let mut wire = format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in &fields { wire += &format!("{name}: {value}\r\n"); }
        if let Some(length) = length { wire += &format!("Content-Length: {length}\r\n"); }
        wire += "\r\n";
        let read = |bytes: &[u8]| match RequestHead::read(bytes, &mut Scanner::default()) {
            Parsed::Head(head) => {
                let of = |span: super::field::Span| span.of(bytes).to_vec();
                Some((of(head.path), of(head.host.unwrap()), head.framing, head.fields.of(super::field::Name::Other).map(|f| (of(f.name), of(f.value))).collect::<Vec<_>>()))
            }
            _ => None,
        };
        let first = read(wire.as_bytes());
        if let Parsed::Head(head) = RequestHead::read(wire.as_bytes(), &mut Scanner::default()) {
            let mut out = Vec::new();
            emit::request(wire.as_bytes(), &head, &FORWARDED, &mut out);
            prop_assert_eq!(first, read(&out));
        }
    }
}
