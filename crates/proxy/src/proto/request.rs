//! A request's head.
//!
//! Owns the request line and what the head as a whole means. Must never see a body: [`super::body`] reads that by
//! the framing found here. Every refusal is a [`Fault`]; where each case goes is the table in `corpus.rs`.

use super::body::Framing;
use super::field::{BadField, Fields, Name, Span};
use super::guard::{self, Finding};
use super::policy::{self, Connection};
use super::scan::{Scan, Scanner, find, is_token_byte};
use super::upgrade;
use crate::fault::Fault;

/// Bytes a method may have (AWS, "Troubleshoot a Classic Load Balancer: HTTP 405").
pub const METHOD_LIMIT: usize = 127;

/// What a client wants, as spans of the bytes it was read from.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Bytes to take away, an empty line before the head included.
    pub len: usize,
    /// The method.
    pub method: Span,
    /// The path and query, or nothing for an absolute form without them.
    pub path: Span,
    /// What stands before `path` when it is carried on: `/` where an absolute form has none, `*` for OPTIONS.
    pub prefix: &'static str,
    /// Where the request is addressed; `None` in HTTP/1.0 without `Host`.
    pub host: Option<Span>,
    /// The minor version: 0, or 1 for that and everything above.
    pub minor: u8,
    /// All fields.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// What `Connection` says.
    pub connection: Connection,
    /// `Expect: 100-continue` was sent.
    pub expects_continue: bool,
    /// It asks for another protocol on the same connection, and that is carried on.
    pub upgrades: bool,
    /// HEAD: the answer has no body.
    pub is_head: bool,
    /// How far it is from having a single reading; whoever carries it on asks [`guard::treat`] first.
    pub finding: Finding,
    /// Sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub is_idempotent: bool,
}

/// What reading a request gave.
#[derive(Debug)]
pub enum Parsed {
    /// Its head is not complete yet.
    More,
    /// A head.
    Head(RequestHead),
    /// It is refused.
    Refused(Fault),
}

impl RequestHead {
    /// Reads the head at the beginning of `bytes`, which must begin with what `scanner` was given before.
    pub fn read(bytes: &[u8], scanner: &mut Scanner) -> Parsed {
        match scanner.search(bytes, true) {
            Scan::More => Parsed::More,
            Scan::Broken | Scan::LineTooLong => Parsed::Refused(Fault::BadRequest),
            Scan::TooLong => Parsed::Refused(Fault::HeadTooLarge),
            Scan::Head { start, end } => match read(bytes, start, end) {
                Ok(head) => Parsed::Head(head),
                Err(fault) => Parsed::Refused(fault),
            },
        }
    }

    /// Whether the client's connection may carry another request (RFC 9112 §9.3).
    #[must_use]
    pub fn persists(&self) -> bool {
        !self.connection.close && (self.minor > 0 || self.connection.keep_alive)
    }
}

fn read(bytes: &[u8], start: usize, end: usize) -> Result<RequestHead, Fault> {
    let bad = Fault::BadRequest;
    // Spans count from the first byte of `bytes`; a tolerated empty line pushes the end two bytes further at most.
    if end > usize::from(u16::MAX) {
        return Err(Fault::HeadTooLarge);
    }
    let line_len = find(&bytes[start..end], b'\r').ok_or(bad)?;
    let line = &bytes[start..start + line_len];
    if bytes[start + line_len + 1] != b'\n' {
        return Err(bad);
    }
    let method_len = line.iter().position(|b| !is_token_byte(*b)).ok_or(bad)?;
    if method_len == 0 || line[method_len] != b' ' {
        return Err(bad);
    }
    let rest = &line[method_len + 1..];
    let target_len = rest.iter().position(|b| *b == b' ').ok_or(bad)?;
    let (target, version) = (&rest[..target_len], &rest[target_len + 1..]);
    let minor = minor_version(version)?;
    let method = &line[..method_len];
    if method.len() > METHOD_LIMIT {
        return Err(Fault::MethodTooLong);
    }
    if method == b"CONNECT" || target.is_empty() || !target.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#') {
        return Err(bad);
    }
    let at = start + method_len + 1;
    let aim = aim(target, method == b"OPTIONS").ok_or(bad)?;
    let fields = Fields::read(bytes, start + line_len + 2, end).map_err(|fault| match fault {
        BadField::Grammar => bad,
        BadField::TooMany => Fault::HeadTooLarge,
    })?;
    let named = fields.of(Name::Host).next().map(|field| field.value);
    if fields.of(Name::Host).count() > 1
        || (named.is_none() && minor > 0)
        || named.is_some_and(|host| !policy::is_host(host.of(bytes)))
    {
        return Err(bad);
    }
    let framing = policy::request_framing(bytes, &fields, minor)?;
    let connection = policy::connection(bytes, &fields).map_err(|_| bad)?;
    let mut expects_continue = false;
    // An HTTP/1.0 client cannot expect anything (RFC 9110 §10.1.1).
    for field in fields.of(Name::Expect).filter(|_| minor > 0) {
        if !field.value.of(bytes).eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::ExpectationFailed);
        }
        expects_continue = true;
    }
    let finding = if fields.of(Name::LookAlike).next().is_some() {
        guard::classify(&bytes[start..end])
    } else {
        guard::of_strict(method, version.last() > Some(&b'1'), framing)
    };
    let idempotent: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"];
    Ok(RequestHead {
        len: end,
        method: Span::new(start, start + method_len),
        path: Span::new(at + aim.path, at + target_len),
        prefix: aim.prefix,
        host: aim.authority.map(|(from, to)| Span::new(at + from, at + to)).or(named),
        minor,
        framing,
        connection,
        expects_continue,
        finding,
        upgrades: upgrade::is_asked(bytes, &fields, &connection, minor),
        is_head: method == b"HEAD",
        is_idempotent: idempotent.contains(&method),
        fields,
    })
}

/// `HTTP/1.0` is 0, `HTTP/1.1` and above is 1; another well-formed major version is known not to be spoken.
fn minor_version(text: &[u8]) -> Result<u8, Fault> {
    match text {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => Ok((minor - b'0').min(1)),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Fault::UnknownVersion),
        _ => Err(Fault::BadRequest),
    }
}

struct Aim {
    path: usize,
    prefix: &'static str,
    authority: Option<(usize, usize)>,
}

/// Origin form, absolute form, or `*` for OPTIONS; the authority form belongs to CONNECT, which is not served.
fn aim(target: &[u8], is_options: bool) -> Option<Aim> {
    if target[0] == b'/' {
        return Some(Aim { path: 0, prefix: "", authority: None });
    }
    if target == b"*" {
        return is_options.then_some(Aim { path: 0, prefix: "", authority: None });
    }
    let scheme = target.windows(3).position(|w| w == b"://")?;
    if !target[..scheme].eq_ignore_ascii_case(b"http") && !target[..scheme].eq_ignore_ascii_case(b"https") {
        return None;
    }
    let from = scheme + 3;
    let to = target[from..].iter().position(|b| matches!(b, b'/' | b'?')).map_or(target.len(), |at| from + at);
    if from == to || target[from] == b':' || !policy::is_host(&target[from..to]) {
        return None;
    }
    let prefix = match target.get(to) {
        Some(b'/') => "",
        None if is_options => "*",
        _ => "/",
    };
    Some(Aim { path: to, prefix, authority: Some((from, to)) })
}
