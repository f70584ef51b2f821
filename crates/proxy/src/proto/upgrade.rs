//! What `Upgrade` asks for, and what a 101 grants (RFC 9110 §7.8, §15.2.2).
//!
//! Owns which protocols a connection may be turned over to. Must never let a client ask an instance for HTTP itself in
//! another version: requests inside it would pass the road unseen. Bytes behind such a request: [`crate::request`].

use super::field::{Fields, Name};
use super::policy::Connection;
use super::response::ResponseHead;
use super::scan::is_token_byte;

/// Whether a request asks for an upgrade that may cross. `Upgrade` in HTTP/1.0, or that `Connection` does not name, is
/// to be ignored; so is one that breaks the grammar, or leaves nothing but HTTP.
pub fn is_asked(bytes: &[u8], fields: &Fields, connection: &Connection, minor: u8) -> bool {
    connection.upgrade
        && minor > 0
        && protocols(bytes, fields).all(is_sound)
        && protocols(bytes, fields).any(|protocol| !is_http(protocol))
}

/// Appends the two fields, naming what was asked for but HTTP itself.
pub fn write(bytes: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
    write_protocols(bytes, fields, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends what was asked for but HTTP itself, as a list.
pub fn write_protocols(bytes: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    for (count, protocol) in protocols(bytes, fields).filter(|protocol| !is_http(protocol)).enumerate() {
        if count > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(protocol);
    }
}

/// Whether a request asks for that protocol.
pub fn names(bytes: &[u8], fields: &Fields, wanted: &[u8]) -> bool {
    protocols(bytes, fields).any(|protocol| protocol.eq_ignore_ascii_case(wanted))
}

/// Whether a 101 turns the connection over to what was `asked`, as [`write_protocols`] wrote it, and to nothing else.
pub fn is_granted(asked: &[u8], bytes: &[u8], head: &ResponseHead) -> bool {
    let was_asked =
        |protocol: &[u8]| list(asked).any(|wanted| is_sound(protocol) && wanted.eq_ignore_ascii_case(protocol));
    let is_zero = |value: &[u8]| value.iter().all(|digit| *digit == b'0');
    // A body has no place there. Some instances say that they send none.
    let bodiless = head.fields.of(Name::TransferEncoding).next().is_none()
        && head.fields.of(Name::ContentLength).all(|field| is_zero(field.value.of(bytes)));
    head.minor > 0
        && head.connection.upgrade
        && bodiless
        && protocols(bytes, &head.fields).next().is_some()
        && protocols(bytes, &head.fields).all(was_asked)
}

fn protocols<'a>(bytes: &'a [u8], fields: &'a Fields) -> impl Iterator<Item = &'a [u8]> {
    fields.of(Name::Upgrade).flat_map(|field| list(field.value.of(bytes)))
}

fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// A name, and perhaps a version behind a slash.
fn is_sound(protocol: &[u8]) -> bool {
    let token = |part: &[u8]| !part.is_empty() && part.iter().all(|b| is_token_byte(*b));
    match protocol.iter().position(|b| *b == b'/') {
        Some(slash) => token(&protocol[..slash]) && token(&protocol[slash + 1..]),
        None => token(protocol),
    }
}

/// `h2c` and its drafts, and `HTTP` with any version.
fn is_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|b| *b == b'/').next().unwrap_or_default();
    let begins = |with: &[u8]| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    name.eq_ignore_ascii_case(b"http") || begins(b"h2") || begins(b"h3")
}

#[cfg(test)]
mod tests {
    use super::super::scan::Scanner;
    use super::super::{Parsed, RequestHead};
    use super::*;

    fn asked(line: &str, fields: &str) -> String {
        let wire = format!("GET / {line}\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Head(head) = RequestHead::read(wire.as_bytes(), &mut Scanner::default()) else { panic!("{wire}") };
        let mut out = Vec::new();
        if head.upgrades {
            write_protocols(wire.as_bytes(), &head.fields, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_is_asked_for_in_the_right_way_crosses() {
        let check = |fields: &str, out: &str| assert_eq!(asked("HTTP/1.1", fields), out, "{fields:?}");
        check("Connection: upgrade\r\nUpgrade: websocket\r\n", "websocket");
        check("Connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n", "WebSocket");
        check("Connection: upgrade\r\nUpgrade: TLS/1.2, x\r\nUpgrade: , tcp\r\n", "TLS/1.2, x, tcp");
        check("Connection: upgrade\r\nUpgrade: h2c, websocket, H2C-14, HTTP/2.0, h3\r\n", "websocket");
        for nothing in [
            "Upgrade: websocket\r\n",
            "Connection: keep-alive\r\nUpgrade: websocket\r\n",
            "Connection: upgrade\r\n",
            "Connection: upgrade\r\nUpgrade:\r\n",
            "Connection: upgrade\r\nUpgrade: h2c\r\n",
            "Connection: upgrade\r\nUpgrade: web socket\r\n",
            "Connection: upgrade\r\nUpgrade: websocket/\r\n",
            "Connection: upgrade\r\nUpgrade: websocket, a/b/c\r\n",
            "Connection: upgrade\r\nUpgrade: \"websocket\"\r\n",
        ] {
            check(nothing, "");
        }
        assert_eq!(asked("HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n"), "");
    }

    #[test]
    fn only_what_was_asked_for_is_granted() {
        let check = |asked: &str, fields: &str, out: bool| {
            let wire = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
            let head = ResponseHead::read(wire.as_bytes(), &mut Scanner::default(), false).unwrap().unwrap();
            assert_eq!(is_granted(asked.as_bytes(), wire.as_bytes(), &head), out, "{asked:?} {fields:?}");
        };
        check("websocket", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n", true);
        check("a, websocket/13", "Connection: upgrade\r\nUpgrade: websocket/13\r\n", true);
        check("a, b", "Connection: upgrade\r\nUpgrade: b, a\r\nContent-Length: 0\r\n", true);
        check("websocket", "Upgrade: websocket\r\n", false);
        check("websocket", "Connection: upgrade\r\n", false);
        check("websocket", "Connection: upgrade\r\nUpgrade: h2c\r\n", false);
        check("websocket", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false);
        check("websocket", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", false);
        check("websocket", "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", false);
        check("a", "Connection: upgrade\r\nUpgrade: a b\r\n", false);
    }
}
