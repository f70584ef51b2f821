//! The life of a request, top to bottom, without I/O.
//!
//! Owns what one HTTP/1 client connection is doing and what happens next: head, instance, body up, answer down, and what
//! follows each failure. Must never read a clock, a socket or Routes: whoever drives it ([`crate::io`]) asks
//! [`Session::next`], does that, and tells it what came of it. Bytes for the client are appended to `out`; bytes for the
//! instance are held in [`Session::unsent`], for as long as they may have to be sent again.
//!
//! Read in this order: [`Session::client_bytes`] → `begin` → [`Session::lent`] → [`Session::origin_bytes`] →
//! [`Session::given_back`]; failures end in `fail`, by the table in [`crate::fault`].

mod bounds;
mod challenge;
mod choice;
mod exchange;
mod notes;
mod reuse;
mod stick;
mod switch;

use std::ops::Range;
use std::sync::Arc;

use evenkeel_core::noun::{DesyncMode, HashOn};
use evenkeel_core::routes::Stickiness;

pub use bounds::Bounds;
use exchange::{Answer, Exchange, Stage};
use stick::Stick;

use crate::challenge::Pending;
use crate::fault::{Fault, Retry};
use crate::log::Said;
use crate::proto::emit::{self, Forwarded, Relay};
use crate::proto::field::{Field, Name};
use crate::proto::guard::{self, Treatment};
pub use notes::{Carried, Notes, Waits};
pub use reuse::Reuse;
pub use stick::Tag;
pub use switch::Switched;

use crate::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, ResponseHead, Scanner};

/// Bytes of a request's body that are held to be sent again; with more the request is not retried once it was sent.
pub const REPLAY_LIMIT: usize = 64 * 1024;
/// Bytes waiting for the instance above which the client is not read.
pub const UNSENT_LIMIT: usize = 64 * 1024;
/// Tries of one request, the first among them.
pub const ATTEMPTS: u8 = 5;
/// Interim answers (1xx) to one request.
const INTERIM_LIMIT: u8 = 16;
/// Bytes of an answer's body from which on they are passed instead of copied: below, a copy costs less.
const PASS_FROM: usize = 2048;

/// One client's HTTP/1 connection. Between requests it holds no buffer.
#[derive(Debug, Default)]
pub struct Session {
    /// Bytes of the client that are not understood yet: part of a head, or pipelined requests.
    held: Vec<u8>,
    scanner: Scanner,
    exchange: Option<Box<Exchange>>,
    ending: Option<Ending>,
    /// The client will send nothing more.
    eof: bool,
    /// The exchange at hand is the last one.
    last: bool,
    /// A request was refused before it was read to its end: more of it may be on its way.
    unread: bool,
    /// How large heads may be.
    bounds: Bounds,
    /// What becomes of requests that others may read in another way.
    mode: DesyncMode,
    /// What makes its requests go to the same instance.
    stickiness: Option<Stickiness>,
    /// What ACME servers may ask.
    pending: Option<Arc<Pending>>,
    /// What its requests are hashed by.
    hash_on: Option<HashOn>,
    notes: Notes,
    /// Somebody keeps a log.
    watched: bool,
    said: Option<Box<Said>>,
    carried: Carried,
    /// It is a stream of an HTTP/2 connection.
    multiplexed: bool,
    /// Instances are spoken to in a version of HTTP that knows no upgrade.
    plain_hop: bool,
    /// The client's connection has carried a request before.
    seasoned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    Abort,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Move bytes as [`Session::wants_client`], [`Session::unsent`] and [`Session::wants_origin`] say, or wait.
    Wait,
    /// Get a connection to an instance, then call [`Session::lent`], [`Session::not_connected`] or
    /// [`Session::no_target`].
    Borrow,
    /// Let go of the connection, then call [`Session::given_back`].
    GiveBack {
        /// It may serve another request; otherwise it must be closed.
        reuse: bool,
    },
    /// Leave client and instance to each other, as [`Session::switched`] says, once the client was told.
    Tunnel,
    /// Close the client's connection once all bytes are sent.
    Close,
    /// Cut the client's connection, so that what it got cannot pass for complete.
    Abort,
}

impl Session {
    /// From now on, what each request said is kept until [`Session::take_said`], or it is not.
    pub fn watch(&mut self, on: bool) {
        self.watched = on;
    }

    /// What the request that began last said, or the one that was refused.
    pub fn take_said(&mut self) -> Option<Box<Said>> {
        self.said.take()
    }

    /// Bytes of bodies of the exchange at hand, or the last one.
    #[must_use]
    pub fn carried(&self) -> Carried {
        self.carried
    }

    /// What is spoken here is one request of an HTTP/2 connection, as text; the `first` or another.
    pub fn is_one_of_many(&mut self, first: bool) {
        self.last = true;
        self.multiplexed = true;
        self.seasoned = !first;
    }

    /// Keeps what there is of a request that never became an exchange.
    fn keep_unclear(&mut self, bytes: &[u8]) {
        self.carried = Carried::default();
        if self.watched {
            self.said = Said::unclear(bytes).map(Box::new);
        }
    }

    /// Sets what becomes of requests, from the next one on, that others may read in another way.
    pub fn guard_by(&mut self, mode: DesyncMode) {
        self.mode = mode;
    }

    /// Bytes of the client. Call only while [`Session::wants_client`].
    pub fn client_bytes(&mut self, bytes: &[u8], front: &Forwarded, out: &mut Vec<u8>) {
        if self.exchange.is_some() {
            let left = self.feed_request(bytes, out);
            self.held.extend_from_slice(&bytes[bytes.len() - left..]);
        } else if self.held.is_empty() {
            let used = self.read_heads(bytes, front, out);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            self.held.extend_from_slice(bytes);
            self.advance(front, out);
        }
    }

    /// Goes on with bytes that were held back, once an exchange is over.
    pub fn advance(&mut self, front: &Forwarded, out: &mut Vec<u8>) {
        if self.exchange.is_some() || self.ending.is_some() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let used = self.read_heads(&held, front, out);
        if used < held.len() {
            self.held = held;
            self.held.drain(..used);
        }
        if self.eof && self.exchange.is_none() {
            self.ending.get_or_insert(Ending::Close);
        }
    }

    /// Reads a head, and what is there of its body; returns the bytes used.
    fn read_heads(&mut self, bytes: &[u8], front: &Forwarded, out: &mut Vec<u8>) -> usize {
        let left = match RequestHead::read(bytes, &mut self.scanner) {
            Parsed::More if self.overflows(bytes) => self.refuse(bytes, Fault::HeadTooLarge, out),
            Parsed::More => bytes.len(),
            Parsed::Head(mut head) => {
                let body = &bytes[head.len..];
                self.enter(bytes, &mut head, body, front, out)
            }
            Parsed::Refused(fault) => match guard::rescue(bytes, self.mode) {
                Ok(mut rescued) => {
                    let body = &bytes[rescued.used..];
                    rescued.head.finding = rescued.finding;
                    self.enter(&rescued.clean, &mut rescued.head, body, front, out)
                }
                Err(finding) => {
                    self.notes.desync = Some(finding).filter(|finding| !finding.is_compliant());
                    self.refuse(bytes, fault, out)
                }
            },
        };
        bytes.len() - left
    }

    /// Answers what never became an exchange. None of its bytes are left.
    fn refuse(&mut self, bytes: &[u8], fault: Fault, out: &mut Vec<u8>) -> usize {
        self.keep_unclear(bytes);
        self.fail(fault, out);
        0
    }

    /// Takes on a request whose head is understood, unless the mode refuses it; returns the bytes left of `body`.
    fn enter(
        &mut self,
        bytes: &[u8],
        head: &mut RequestHead,
        body: &[u8],
        front: &Forwarded,
        out: &mut Vec<u8>,
    ) -> usize {
        self.scanner = Scanner::default();
        let (mut alone, finding) = (false, head.finding);
        if !finding.is_compliant() {
            self.notes.desync = Some(finding);
            match guard::treat(finding, self.mode) {
                Treatment::Pass => {}
                Treatment::PassAlone => alone = true,
                Treatment::Refuse => return self.refuse(bytes, Fault::BadRequest, out),
            }
        }
        if self.is_oversized(bytes, head) {
            return self.refuse(bytes, Fault::HeadTooLarge, out);
        }
        if let Err(fault) = self.weigh_upgrade(bytes, head) {
            return self.refuse(bytes, fault, out);
        }
        if self.pending.is_some() && self.is_challenge(bytes, head, front, out) {
            return 0;
        }
        self.last |= alone;
        self.begin(bytes, head, alone, front);
        let left = self.feed_request(body, out);
        let waiting = self.exchange.as_ref().is_some_and(|e| !e.body.is_done());
        if head.expects_continue && waiting && self.ending.is_none() {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        left
    }

    fn begin(&mut self, bytes: &[u8], head: &RequestHead, alone: bool, front: &Forwarded) {
        let mut spare = Exchange::spare();
        let mut up = spare.as_mut().map(|spare| std::mem::take(&mut spare.up)).unwrap_or_default();
        up.clear();
        emit::request(bytes, head, front, &mut up);
        self.notes.request = true;
        self.carried = Carried::default();
        if self.watched {
            let said = Said::of(bytes, head, front);
            self.said = Some(Box::new(if self.multiplexed { said.over_http2() } else { said }));
        }
        let exchange = Exchange {
            up,
            sent: 0,
            whole: true,
            accepted: false,
            idempotent: head.is_idempotent,
            refusable: false,
            to_head: head.is_head,
            minor: head.minor,
            persists: head.persists(),
            alone,
            asks: head.upgrades.then(|| self.asks(bytes, &head.fields)),
            body: BodyReader::new(head.framing),
            chunked: head.framing == Framing::Chunked,
            // What `Connection` names must not cross after the body either.
            trailers: (!head.connection.names_fields).then(Vec::new),
            deaf: false,
            attempts: 0,
            failed: None,
            stage: Stage::Borrowing,
            answer: Answer::expected(),
            heard: false,
            key: self.hash_on.as_ref().and_then(|what| choice::key(what, bytes, head)),
            stick: self.stickiness.as_ref().map(|rule| Box::new(Stick::new(rule, bytes, head))),
        };
        self.exchange = Some(match spare {
            Some(mut place) => {
                *place = exchange;
                place
            }
            None => Box::new(exchange),
        });
    }

    /// Takes body bytes; returns how many were left because the body was complete.
    fn feed_request(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(exchange) = &mut self.exchange else { return bytes.len() };
        let mut rest = bytes;
        loop {
            if exchange.body.is_done() {
                return rest.len();
            }
            match exchange.body.next(&mut rest) {
                Ok(Piece::Data(data)) if !exchange.deaf => {
                    self.carried.up += data.len() as u64;
                    if exchange.chunked {
                        emit::chunk(data, &mut exchange.up);
                    } else {
                        exchange.up.extend_from_slice(data);
                    }
                    exchange.forget_sent();
                }
                Ok(Piece::Data(data)) => self.carried.up += data.len() as u64,
                Ok(Piece::Trailer(lines)) => exchange.trailers.iter_mut().for_each(|all| all.extend_from_slice(lines)),
                Ok(Piece::More) => return 0,
                Ok(Piece::End) => {}
                Err(_) => {
                    self.fail(Fault::BadRequest, out);
                    return 0;
                }
            }
            if exchange.chunked && exchange.body.is_done() && !exchange.deaf {
                emit::last_chunk(exchange.trailers.as_deref().unwrap_or_default(), &mut exchange.up);
            }
        }
    }

    /// The client will send nothing more. A whole request is still answered (RFC 9112 §9.6).
    pub fn client_eof(&mut self, out: &mut Vec<u8>) {
        self.eof = true;
        match &self.exchange {
            None => self.ending = Some(Ending::Close),
            Some(exchange) if !exchange.body.is_done() => self.client_gone(out),
            Some(_) => {}
        }
    }

    /// The client's connection is broken: nobody is left to answer.
    pub fn client_gone(&mut self, out: &mut Vec<u8>) {
        if self.exchange.is_some() {
            self.fail(Fault::ClientGone, out);
        } else {
            self.ending = Some(Ending::Close);
        }
    }

    /// What the driver has to do.
    #[must_use]
    pub fn next(&self) -> Next {
        let stage = self.exchange.as_ref().map(|exchange| exchange.stage);
        match (stage, self.ending) {
            (Some(Stage::Leaving { reuse }), _) => Next::GiveBack { reuse },
            (Some(Stage::Retrying), _) => Next::GiveBack { reuse: false },
            (Some(Stage::Switched), _) => Next::Tunnel,
            (_, Some(Ending::Close)) => Next::Close,
            (_, Some(Ending::Abort)) => Next::Abort,
            (Some(Stage::Borrowing), None) => Next::Borrow,
            (Some(Stage::Holding) | None, None) => Next::Wait,
        }
    }

    /// Whether the client may be read.
    #[must_use]
    pub fn wants_client(&self) -> bool {
        self.ending.is_none()
            && self
                .exchange
                .as_ref()
                .is_none_or(|exchange| !exchange.body.is_done() && exchange.up.len() - exchange.sent < UNSENT_LIMIT)
            || self.ending.is_none() && self.may_be_early()
    }

    /// Whether the instance may be read.
    #[must_use]
    pub fn wants_origin(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.stage == Stage::Holding)
    }

    /// Whom it waits for.
    #[must_use]
    pub fn waits(&self) -> Waits {
        match &self.exchange {
            None if self.held.is_empty() => Waits::NextRequest,
            None => Waits::Head,
            Some(exchange) if !exchange.body.is_done() && exchange.sent == exchange.up.len() => Waits::Body,
            Some(_) => Waits::Instance,
        }
    }

    /// Whether an exchange is at hand.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether the client has sent everything that was asked of it, so that closing loses nothing.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.held.is_empty() && self.exchange.is_none() && (self.eof || !self.unread)
    }

    /// A connection to an instance is there.
    pub fn lent(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.stage = Stage::Holding;
            exchange.attempts += 1;
            exchange.sent = 0;
            exchange.accepted = false;
            exchange.heard = false;
            exchange.deaf = false;
        }
    }

    /// Bytes for the instance.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        match &self.exchange {
            Some(exchange) if exchange.stage == Stage::Holding && !exchange.deaf => &exchange.up[exchange.sent..],
            _ => &[],
        }
    }

    /// The kernel took that many of [`Session::unsent`].
    pub fn sent(&mut self, count: usize) {
        if let Some(exchange) = &mut self.exchange {
            exchange.accepted |= count > 0;
            exchange.sent = (exchange.sent + count).min(exchange.up.len());
            exchange.forget_sent();
        }
    }

    /// The instance takes no more bytes. It may have answered before it closed, so it is read to its end.
    pub fn not_sent(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.deaf = true;
        }
    }

    /// Bytes of the instance. Call only while [`Session::wants_origin`]. Returns which of them are for the client as
    /// they are, after `out`: much data is not copied.
    #[must_use]
    pub fn origin_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Range<usize> {
        let Some(exchange) = &mut self.exchange else { return 0..0 };
        if !exchange.accepted {
            // It cannot be an answer to what was not sent: whatever it belongs to, the connection is not to be used.
            self.failed(Fault::ClosedBeforeAnswer, out);
            return 0..0;
        }
        exchange.heard = true;
        let Answer::Head { held, .. } = &mut exchange.answer else { return self.feed_answer(bytes, 0, true, out) };
        if held.is_empty() {
            let (used, passed) = self.read_answers(bytes, true, out);
            if let Some(Exchange { answer: Answer::Head { held, .. }, .. }) = self.exchange.as_deref_mut() {
                held.extend_from_slice(&bytes[used..]);
            }
            passed
        } else {
            let mut all = std::mem::take(held);
            all.extend_from_slice(bytes);
            let (used, _) = self.read_answers(&all, false, out);
            if let Some(Exchange { answer: Answer::Head { held, .. }, .. }) = self.exchange.as_deref_mut() {
                all.drain(..used);
                *held = all;
            }
            0..0
        }
    }

    /// Reads interim heads, then the final one and what is there of its body; returns how many bytes were used, and
    /// which of them are passed (where that `may` be).
    fn read_answers(&mut self, bytes: &[u8], may: bool, out: &mut Vec<u8>) -> (usize, Range<usize>) {
        let mut at = 0;
        loop {
            let Some(exchange) = &mut self.exchange else { return (bytes.len(), 0..0) };
            let Answer::Head { scanner, interim, .. } = &mut exchange.answer else { return (bytes.len(), 0..0) };
            let head = match ResponseHead::read(&bytes[at..], scanner, exchange.to_head) {
                Ok(Some(head)) => head,
                Ok(None) => return (at, 0..0),
                Err(fault) => {
                    self.fail(fault, out);
                    return (bytes.len(), 0..0);
                }
            };
            *scanner = Scanner::default();
            let here = &bytes[at..];
            at += head.len;
            if head.status >= 200 {
                if self.feigns(head.status) {
                    self.fail(Fault::BadAnswer, out);
                    return (bytes.len(), 0..0);
                }
                self.answer_begins(here, &head, out);
                return (bytes.len(), self.feed_answer(bytes, at, may, out));
            }
            if head.status == 101 {
                self.switch(here, &head, &bytes[at..], out);
                return (bytes.len(), 0..0);
            }
            *interim += 1;
            // `100` was already said by the balancer.
            if *interim > INTERIM_LIMIT {
                self.fail(Fault::BadAnswer, out);
                return (bytes.len(), 0..0);
            }
            if head.status != 100 && exchange.minor > 0 {
                emit::response(here, &head, &Relay { framing: Framing::None, minor: 1, close: false }, out);
            }
        }
    }

    fn answer_begins(&mut self, bytes: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
        let early = self.is_early();
        let Some(exchange) = &mut self.exchange else { return };
        // What the instance ends by closing is chunked for those who understand it: a cut is then seen as one.
        let framing = match head.framing {
            Framing::Chunked | Framing::UntilClose if exchange.minor > 0 => Framing::Chunked,
            Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
            other => other,
        };
        self.last |= early || !exchange.persists || !exchange.body.is_done() || framing == Framing::UntilClose;
        let relay = Relay { framing, minor: exchange.minor, close: self.last };
        emit::response(bytes, head, &relay, out);
        if let Some(stick) = &exchange.stick {
            emit::add_fields(out, |out| stick.say(bytes, head, out));
        }
        self.notes.answered = Some(head.status);
        exchange.whole = false;
        exchange.forget_sent();
        // Nobody but the instance knows whether it sends a body where there is none to be: after HEAD, or announced in a
        // 204 or 304. What it sends too late to be seen here would be taken for the next answer.
        let announced = |field: &Field| match field.kind {
            Name::TransferEncoding => true,
            Name::ContentLength => field.value.of(bytes).iter().any(|digit| *digit != b'0'),
            _ => false,
        };
        let ghost = head.framing == Framing::None && (exchange.to_head || head.fields.iter().any(announced));
        let reuse = head.persists() && !exchange.alone && !ghost;
        let trailers = (!head.connection.names_fields).then(Vec::new);
        exchange.answer = Answer::Body { reader: BodyReader::new(head.framing), framing, reuse, trailers };
    }

    /// Takes the answer's body from `bytes[at..]`; returns which of `bytes` are passed.
    fn feed_answer(&mut self, bytes: &[u8], at: usize, may: bool, out: &mut Vec<u8>) -> Range<usize> {
        let Some(exchange) = &mut self.exchange else { return 0..0 };
        let Answer::Body { reader, framing, reuse, trailers } = &mut exchange.answer else { return 0..0 };
        let mut rest = &bytes[at..];
        let mut passed = 0..0;
        loop {
            match reader.next(&mut rest) {
                Ok(Piece::Data(data)) => {
                    self.carried.down += data.len() as u64;
                    match framing {
                        Framing::Chunked => emit::chunk(data, out),
                        // A body of stated length is one piece, and nothing is written after it.
                        Framing::Length(_) if may && data.len() >= PASS_FROM => {
                            let end = bytes.len() - rest.len();
                            passed = end - data.len()..end;
                        }
                        _ => out.extend_from_slice(data),
                    }
                }
                Ok(Piece::Trailer(lines)) => trailers.iter_mut().for_each(|all| all.extend_from_slice(lines)),
                Ok(Piece::More) => return passed,
                Ok(Piece::End) => {
                    // Bytes nobody asked for: what they belong to is unknown, so they reach no one.
                    *reuse &= rest.is_empty();
                    self.answer_ends(out);
                    return passed;
                }
                Err(_) => {
                    self.fail(Fault::BadAnswer, out);
                    return passed;
                }
            }
        }
    }

    fn answer_ends(&mut self, out: &mut Vec<u8>) {
        let Some(exchange) = &mut self.exchange else { return };
        let Answer::Body { framing, reuse, trailers, .. } = &exchange.answer else { return };
        if *framing == Framing::Chunked {
            emit::last_chunk(trailers.as_deref().unwrap_or_default(), out);
        }
        let taken = exchange.body.is_done() && exchange.sent == exchange.up.len() && !exchange.deaf;
        // Who is still sending is read on for a while: closing at once would take the answer away.
        self.unread |= !exchange.body.is_done();
        self.last |= self.unread;
        exchange.stage = Stage::Leaving { reuse: *reuse && taken };
    }

    /// The instance closed the connection, orderly or not. True when it did so without a byte of an answer.
    pub fn origin_closed(&mut self, orderly: bool, out: &mut Vec<u8>) -> bool {
        let Some(exchange) = &mut self.exchange else { return false };
        match &mut exchange.answer {
            Answer::Head { .. } if !exchange.heard => {
                self.failed(Fault::ClosedBeforeAnswer, out);
                return true;
            }
            Answer::Head { .. } => self.fail(Fault::BadAnswer, out),
            Answer::Body { reader, .. } => {
                if orderly && reader.finish() {
                    self.answer_ends(out);
                } else {
                    self.fail(Fault::TruncatedAnswer, out);
                }
            }
        }
        false
    }

    /// No connection could be made to the instance that was chosen.
    pub fn not_connected(&mut self, out: &mut Vec<u8>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.attempts += u8::from(exchange.stage == Stage::Borrowing);
            self.failed(Fault::ConnectFailed, out);
        }
    }

    /// As [`Session::not_connected`], because the instance that was chosen is not to be believed.
    pub fn not_trusted(&mut self, out: &mut Vec<u8>) {
        self.failed(Fault::NotTrusted, out);
    }

    /// Whoever is there can say that it never looked at a request: so any is kept until it is answered.
    pub fn may_be_refused(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.refusable = true;
        }
    }

    /// The instance said that it never looked at the request (RFC 9113 §8.7).
    pub fn not_taken(&mut self, out: &mut Vec<u8>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.accepted &= !exchange.whole;
            self.failed(Fault::ClosedBeforeAnswer, out);
        }
    }

    /// Nobody is there to be chosen, or everybody was tried.
    pub fn no_target(&mut self, out: &mut Vec<u8>) {
        let fault = self.exchange.as_ref().and_then(|exchange| exchange.failed);
        self.fail(fault.unwrap_or(Fault::NoTarget), out);
    }

    /// The deadline of what it [waits for](Session::waits) has passed.
    pub fn timed_out(&mut self, out: &mut Vec<u8>) {
        let begun = self.answer_is_begun();
        match self.waits() {
            Waits::NextRequest => self.ending = Some(Ending::Close),
            Waits::Head => {
                let held = std::mem::take(&mut self.held);
                self.keep_unclear(&held);
                self.held = held;
                self.fail(Fault::RequestTimeout, out);
            }
            Waits::Body => self.fail(Fault::RequestTimeout, out),
            Waits::Instance if begun => self.fail(Fault::TruncatedAnswer, out),
            Waits::Instance => self.fail(Fault::SilentInstance, out),
        }
    }

    /// The client has not read its answer for too long.
    pub fn stalled(&mut self, out: &mut Vec<u8>) {
        self.fail(Fault::ClientStalled, out);
    }

    /// The instance may not be used any longer.
    pub fn cut(&mut self, out: &mut Vec<u8>) {
        if self.exchange.is_some() {
            self.fail(Fault::Cut, out);
        }
    }

    /// No request after this one, or after the one that may be on its way.
    pub fn make_last(&mut self) {
        self.last = true;
    }

    /// No request after this one; between requests the connection is closed at once.
    pub fn wind_down(&mut self) {
        self.make_last();
        if self.exchange.is_none() && self.held.is_empty() {
            self.ending.get_or_insert(Ending::Close);
        }
    }

    /// The connection was let go of: the request is tried again, or the exchange is over.
    pub fn given_back(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        if exchange.stage == Stage::Retrying {
            exchange.stage = Stage::Borrowing;
            exchange.answer = Answer::expected();
            self.notes.retried = true;
            return;
        }
        self.seasoned = true;
        if let Some(over) = self.exchange.take() {
            over.keep();
        }
        if self.last || (self.eof && self.held.is_empty()) {
            self.ending.get_or_insert(Ending::Close);
        }
    }

    /// What happened since the last call.
    pub fn take_notes(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    /// A try failed; the table says whether there may be another.
    fn failed(&mut self, fault: Fault, out: &mut Vec<u8>) {
        let Some(exchange) = &mut self.exchange else { return };
        let harmless = match fault.verdict().retry {
            Retry::Never => false,
            Retry::Always => true,
            Retry::IfHarmless => !exchange.accepted || (exchange.idempotent && exchange.whole),
        };
        exchange.failed = Some(fault);
        if harmless && exchange.attempts < ATTEMPTS && self.ending.is_none() {
            exchange.sent = 0;
            exchange.stage = Stage::Retrying;
        } else {
            self.fail(fault, out);
        }
    }

    /// The exchange fails for good: the client is told where that is still possible, and cut off where it is not.
    fn fail(&mut self, fault: Fault, out: &mut Vec<u8>) {
        let verdict = fault.verdict();
        let begun = self.answer_is_begun();
        let leaving = self.exchange.as_ref().is_some_and(|exchange| matches!(exchange.stage, Stage::Leaving { .. }));
        if leaving || self.ending.is_some() {
            // The outcome stands already; it can only become a cut.
            if verdict.status == 0 {
                self.ending = Some(Ending::Abort);
            }
            return;
        }
        self.notes.fault = Some(fault);
        let whole = self.exchange.as_ref().is_some_and(|exchange| exchange.persists && exchange.body.is_done());
        self.unread |= self.exchange.as_ref().is_none_or(|exchange| !exchange.body.is_done());
        self.last |= verdict.close || !whole || self.is_early();
        if begun || verdict.status == 0 {
            self.ending = Some(Ending::Abort);
        } else {
            emit::own_answer(verdict.status, verdict.reason, self.last, out);
        }
        match &mut self.exchange {
            Some(exchange) => exchange.stage = Stage::Leaving { reuse: false },
            None => {
                self.ending.get_or_insert(Ending::Close);
            }
        }
    }

    /// Whether the client has been told that its request is answered.
    pub(crate) fn answer_is_begun(&self) -> bool {
        self.exchange
            .as_ref()
            .is_some_and(|exchange| matches!(exchange.answer, Answer::Body { .. }) || exchange.stage == Stage::Switched)
    }
}

#[cfg(test)]
mod tests;
