//! Heads and chunks as the road writes them.
//!
//! Owns the bytes that go out: every framing field is written by the road itself from what it understood, never copied.
//! Must never emit a field for one hop only (RFC 9110 §7.6.1).

use std::net::{IpAddr, SocketAddr};

use super::body::Framing;
use super::field::{Field, Name};
use super::parent::{self, Passage};
use super::policy;
use super::request::RequestHead;
use super::response::ResponseHead;
use super::trace::{self, Trace};
use super::trailers;
use super::upgrade;

/// What the balancer tells an instance about its client.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded {
    /// The client's address, for `X-Forwarded-For`.
    pub client: IpAddr,
    /// The node's address, for `Host` where an HTTP/1.0 client sent none.
    pub node: SocketAddr,
    /// `http` or `https`.
    pub proto: &'static str,
    /// The listener's port as clients know it.
    pub port: u16,
    /// The ids that `X-Amzn-Trace-Id` and `traceparent` get; `None` to leave those fields alone.
    pub trace: Option<Trace>,
}

/// Appends the request as an instance shall read it.
pub fn request(bytes: &[u8], head: &RequestHead, forwarded: &Forwarded, out: &mut Vec<u8>) {
    out.reserve(head.len + 160);
    out.extend_from_slice(head.method.of(bytes));
    out.push(b' ');
    out.extend_from_slice(head.prefix.as_bytes());
    out.extend_from_slice(head.path.of(bytes));
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    match head.host {
        Some(host) => out.extend_from_slice(host.of(bytes)),
        None => address(forwarded.node.ip(), out),
    }
    out.extend_from_slice(b"\r\n");
    let names = head.connection.names_fields;
    let passage = forwarded.trace.map_or(Passage::Keep, |new| parent::of(bytes, head, new).0);
    let is_ours = |name: &[u8]| forwarded.trace.is_some() && (trace::is_trace(name) || passage.drops(name));
    let is_named = |name: &[u8]| names && policy::is_named(bytes, &head.fields, name);
    let mut lines = Lines::default();
    for field in head.fields.iter().filter(|field| field.kind == Name::Other) {
        let name = field.name.of(bytes);
        if !is_ours(name) && !is_named(name) {
            lines.carry(bytes, field, out);
        }
    }
    lines.write(bytes, out);
    out.extend_from_slice(b"X-Forwarded-For: ");
    for field in head.fields.of(Name::ForwardedFor).filter(|field| !field.value.is_empty()) {
        out.extend_from_slice(field.value.of(bytes));
        out.extend_from_slice(b", ");
    }
    bare_address(forwarded.client, out);
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
    out.extend_from_slice(forwarded.proto.as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
    decimal(u64::from(forwarded.port), out);
    if let Some(id) = forwarded.trace {
        out.extend_from_slice(b"\r\nX-Amzn-Trace-Id: ");
        trace::value(trace::of(bytes, head), id, out);
    }
    if let Passage::Write { parent, .. } = passage {
        out.extend_from_slice(b"\r\ntraceparent: ");
        parent::write(parent, out);
    }
    out.extend_from_slice(b"\r\n");
    if head.upgrades {
        upgrade::write(bytes, &head.fields, out);
    }
    framing(head.framing, out);
    out.extend_from_slice(b"\r\n");
}

/// How a response goes to its client.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// How its body is framed there.
    pub framing: Framing,
    /// The client's minor version.
    pub minor: u8,
    /// Whether the client's connection is closed after it.
    pub close: bool,
}

/// Appends the response as the client shall read it.
pub fn response(bytes: &[u8], head: &ResponseHead, relay: &Relay, out: &mut Vec<u8>) {
    status_line(head.status, head.reason.of(bytes), out);
    let names = head.connection.names_fields;
    let mut lines = Lines::default();
    for field in head.fields.iter() {
        let carried =
            matches!(field.kind, Name::Other | Name::Host | Name::Expect | Name::ForwardedFor | Name::ForwardedHow);
        if carried && !(names && policy::is_named(bytes, &head.fields, field.name.of(bytes))) {
            lines.carry(bytes, field, out);
        }
    }
    lines.write(bytes, out);
    match relay.framing {
        // The length that a GET would have had: HEAD and 304 may say it, 1xx and 204 must not (RFC 9110 §8.6).
        Framing::None if head.status >= 200 && head.status != 204 => {
            if let Ok(Some(length)) = policy::content_length(bytes, &head.fields) {
                framing(Framing::Length(length), out);
            }
        }
        other => framing(other, out),
    }
    if head.status >= 200 {
        connection(relay.minor, relay.close, out);
    } else if head.status == 101 {
        upgrade::write(bytes, &head.fields, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds field lines to the head that `out` ends with.
pub fn add_fields(out: &mut Vec<u8>, lines: impl FnOnce(&mut Vec<u8>)) {
    out.truncate(out.len() - 2);
    lines(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends an answer of the balancer's own, without a body.
pub fn own_answer(status: u16, reason: &str, close: bool, out: &mut Vec<u8>) {
    status_line(status, reason.as_bytes(), out);
    out.extend_from_slice(b"Content-Length: 0\r\nConnection: ");
    out.extend_from_slice(if close { b"Close\r\n\r\n" } else { b"keep-alive\r\n\r\n" });
}

/// Appends the balancer's own answer that something is there, and what; its connection is closed.
pub fn own_text(text: &str, out: &mut Vec<u8>) {
    status_line(200, b"OK", out);
    out.extend_from_slice(b"Content-Type: text/plain\r\nContent-Length: ");
    decimal(text.len() as u64, out);
    out.extend_from_slice(b"\r\nConnection: Close\r\n\r\n");
    out.extend_from_slice(text.as_bytes());
}

/// Appends data as one chunk; nothing for no data, because an empty chunk is the last one.
pub fn chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let digits = (usize::BITS - data.len().leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        let nibble = data.len() >> (digit * 4) & 15;
        out.push(b"0123456789abcdef"[nibble]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body, with those of its trailers that may cross ([`trailers::keep`]).
pub fn last_chunk(lines: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    trailers::keep(lines, out);
    out.extend_from_slice(b"\r\n");
}

fn status_line(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Lines that go on as they came and stand one after the other: they are copied at once.
#[derive(Default)]
struct Lines {
    from: usize,
    to: usize,
}

impl Lines {
    /// Adds the line of a field to those that go on, in the order they came.
    fn carry(&mut self, bytes: &[u8], field: &Field, out: &mut Vec<u8>) {
        let line = field.line(bytes);
        if line.as_ref().is_none_or(|line| line.start != self.to) {
            self.write(bytes, out);
        }
        match line {
            Some(line) if self.from == self.to => *self = Self { from: line.start, to: line.end },
            Some(line) => self.to = line.end,
            None => {
                out.extend_from_slice(field.name.of(bytes));
                out.extend_from_slice(b": ");
                out.extend_from_slice(field.value.of(bytes));
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Appends those that were not appended yet.
    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { from, to } = std::mem::take(self);
        out.extend_from_slice(&bytes[from..to]);
    }
}

fn framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

fn connection(minor: u8, close: bool, out: &mut Vec<u8>) {
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if minor == 0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

pub(crate) fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// An address as `Host` has it.
fn address(ip: IpAddr, out: &mut Vec<u8>) {
    let brackets = ip.is_ipv6();
    if brackets {
        out.push(b'[');
    }
    bare_address(ip, out);
    if brackets {
        out.push(b']');
    }
}

fn bare_address(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                decimal(u64::from(octet), out);
            }
        }
        // Rare enough for a formatter.
        IpAddr::V6(v6) => out.extend_from_slice(v6.to_string().as_bytes()),
    }
}
