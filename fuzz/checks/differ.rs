//! What the road understands, hyper understands the same way: a second reader of the same bytes.
//!
//! Owns the comparison of one request, as its client sent it and as the road writes it for an instance. Must never know
//! of the fuzzer. What hyper refuses is no disagreement: a request smuggled past one of two readers needs both to accept.

use std::cell::RefCell;
use std::future::Future;
use std::io::Error;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use evenkeel_core::noun::DesyncMode;
use evenkeel_proxy::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, Scanner};
use evenkeel_proxy::request::{Next, Session};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::wire::FORWARDED;

/// A request that follows: whoever finds it elsewhere has read another end of the one before.
const NEXT: &[u8] = b"GET /the-next-one HTTP/1.1\r\nHost: next\r\n\r\n";

/// A request as a reader understood it, in escaped text.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    method: String,
    target: String,
    /// Sorted by name; those of one name in their order.
    fields: Vec<(String, String)>,
    body: String,
    /// The body came to its end.
    whole: bool,
}

/// Returns how many comparisons were made: at most one of what the client sent, and one of what an instance is sent.
pub fn request_meaning(data: &[u8]) -> usize {
    as_sent(data) + as_written(data)
}

/// What hyper makes of the client's own bytes, where the road finds nothing wrong with them.
fn as_sent(data: &[u8]) -> usize {
    let Parsed::Head(head) = RequestHead::read(data, &mut Scanner::default()) else { return 0 };
    // An empty line before a request, or an absolute form, is written in another way; `as_written` looks at those.
    let literal =
        head.prefix.is_empty() && data.starts_with(&[head.method.of(data), b" ", head.path.of(data)].concat());
    if !literal || !head.finding.is_compliant() {
        return 0;
    }
    let Some(ours) = meaning(data, &head) else { return 0 };
    let Some(theirs) = hyper_reads(data).into_iter().next() else { return 0 };
    agree(&ours, &theirs, data);
    1
}

/// What hyper, as an instance, makes of what the road sends it.
fn as_written(data: &[u8]) -> usize {
    let mut session = Session::default();
    session.guard_by(match data.len() % 3 {
        0 => DesyncMode::Monitor,
        1 => DesyncMode::Defensive,
        _ => DesyncMode::Strictest,
    });
    session.client_bytes(data, &FORWARDED, &mut Vec::new());
    if session.next() != Next::Borrow {
        return 0;
    }
    session.lent();
    let mut wire = session.unsent().to_vec();
    let Parsed::Head(head) = RequestHead::read(&wire, &mut Scanner::default()) else {
        // A head at its limits can grow beyond them.
        assert!(wire.len() > 60_000 || wire.iter().filter(|byte| **byte == b'\n').count() > 120);
        return 0;
    };
    let Some(ours) = meaning(&wire, &head) else { panic!("the road's own bytes: {}", wire.escape_ascii()) };
    if ours.whole {
        wire.extend_from_slice(NEXT);
    }
    let theirs = hyper_reads(&wire);
    let Some(first) = theirs.first() else { return 0 };
    agree(&ours, first, &wire);
    if let Some(second) = theirs.get(1) {
        assert!(ours.whole && second.target == "/the-next-one", "{second:?}: {}", wire.escape_ascii());
    }
    1
}

fn agree(ours: &Meaning, theirs: &Meaning, bytes: &[u8]) {
    // A body that hyper breaks off is one that it refuses, such as for its number of trailers.
    let refused = ours.whole && !theirs.whole && ours.body.starts_with(&theirs.body);
    assert!(refused || ours == theirs, "{ours:#?}\n{theirs:#?}\n{}", bytes.escape_ascii());
}

/// As the road reads it; nothing where the body's framing is broken.
fn meaning(bytes: &[u8], head: &RequestHead) -> Option<Meaning> {
    let mut reader = BodyReader::new(head.framing);
    let (mut body, mut rest) = (Vec::new(), &bytes[head.len..]);
    let whole = loop {
        match reader.next(&mut rest).ok()? {
            Piece::Data(data) => body.extend_from_slice(data),
            // What follows a body is no part of what is compared.
            Piece::Trailer(_) => {}
            Piece::More => break reader.is_done(),
            Piece::End => break true,
        }
    };
    let fields = head.fields.iter().map(|f| (text(&f.name.of(bytes).to_ascii_lowercase()), text(f.value.of(bytes))));
    Some(Meaning {
        method: text(head.method.of(bytes)),
        target: text(&[head.prefix.as_bytes(), head.path.of(bytes)].concat()),
        fields: sorted(fields),
        body: text(&body),
        whole: whole || head.framing == Framing::None,
    })
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn sorted(fields: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

/// All requests that hyper finds, in order; the last one may be cut off.
fn hyper_reads(bytes: &[u8]) -> Vec<Meaning> {
    let found: Rc<RefCell<Vec<Meaning>>> = Rc::default();
    let seen = Rc::clone(&found);
    let service = service_fn(move |request| note(Rc::clone(&seen), request));
    let mut server = http1::Builder::new();
    server.half_close(true).header_read_timeout(None).max_buf_size(1 << 20);
    let mut connection = pin!(server.serve_connection(Wire(bytes.to_vec(), 0), service));
    let mut context = Context::from_waker(Waker::noop());
    // The wire is never waited for, so each poll moves something on.
    for _ in 0..100_000 {
        if connection.as_mut().poll(&mut context).is_ready() {
            return std::mem::take(&mut found.borrow_mut());
        }
    }
    panic!("hyper does not come to an end of {}", bytes.escape_ascii());
}

async fn note(found: Rc<RefCell<Vec<Meaning>>>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Error> {
    let (head, mut incoming) = request.into_parts();
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    let fields = head.headers.iter().map(|(name, value)| (text(name.as_str().as_bytes()), text(value.as_bytes())));
    found.borrow_mut().push(Meaning {
        method: text(head.method.as_str().as_bytes()),
        target: text(head.uri.to_string().as_bytes()),
        fields: sorted(fields),
        body: text(&body),
        whole,
    });
    Ok(Response::new(Empty::new()))
}

/// Bytes to read, then the end; what is written is lost.
struct Wire(Vec<u8>, usize);

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        let count = (self.0.len() - self.1).min(into.remaining());
        into.put_slice(&self.0[self.1..self.1 + count]);
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }
}
