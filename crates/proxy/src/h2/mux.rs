//! One HTTP/2 connection, in either role, without I/O.
//!
//! Owns an `h2` connection over bytes in memory, its streams, and every limit on them. Whoever drives it gives it what was
//! received ([`Mux::receive`]), sends what [`Mux::take_out`] gives, rings whom it names ([`Mux::take_rung`]), and asks
//! whether it [is over](Mux::is_over). Text of streams is read and written by [`Mux::read`] and [`Mux::write`]. Must never
//! let memory or work grow with what a peer sends beyond the constants below and those of `watch.rs`. Source: RFC 9113;
//! floods: CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27316.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::{Handshake, SendResponse};
use h2::{Reason, RecvStream, client, server};

use super::outlet::{Outlet, Pipe, Stop};
use super::strand::{Inlet, News, Strand};
use super::text;
use super::watch::Watch;
use super::websocket;
use super::wire::Wire;

/// Streams a client may have open; more are refused (RFC 9113 §5.1.2).
pub const STREAM_LIMIT: usize = 128;
/// Bytes of a body that a peer may send on a stream before they are passed on.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams of a connection together: no more of bodies is ever held for it.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of a header list, 32 more for each field (RFC 9113 §6.5.2).
pub const LIST_LIMIT: u32 = 64 * 1024;
/// Bytes waiting to be sent above which nothing is read and nothing is written.
pub const OUT_LIMIT: usize = 128 * 1024;
/// Bytes one stream may write before others get their turn; `h2` holds no more of a stream whose windows are shut.
const ROUND: usize = 32 * 1024;
/// Streams ended for the peer's mistakes, or refused, in a connection's life (`h2`: `max_local_error_reset_streams`).
pub const MISTAKES: usize = 1024;
/// Streams that the peer ended before anybody looked at them, at once (`h2`: `max_pending_accept_reset_streams`).
pub const UNSEEN_RESETS: usize = 20;
/// Streams that were ended here and whose peer may not know yet, and how long they are remembered.
const FORGOTTEN: (usize, Duration) = (256, Duration::from_secs(10));
/// The highest number of a stream that is opened here, with room below 2^31.
const LAST: u32 = 0x7fff_ff00;

/// Which side the road is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves.
    Server,
    /// It asks, with this as `:scheme`.
    Client {
        /// `http` or `https`.
        scheme: &'static str,
    },
}

/// What became of text that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// So many bytes were taken.
    Took(usize),
    /// None fits now.
    NotReady,
    /// Nobody takes it any more.
    Broken,
}

/// What can be done with a stream now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// There is text to read, or an end to be told.
    pub readable: bool,
    /// Text may be taken.
    pub writable: bool,
    /// It is over before its time.
    pub broken: bool,
}

/// The connection has something to do.
#[derive(Debug, Default)]
struct Stir(AtomicBool);

impl Wake for Stir {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the `h2` connection stands.
#[derive(Debug)]
enum Side {
    /// A client's preface has not come.
    Meeting(Handshake<Wire, Bytes>),
    Serving(server::Connection<Wire, Bytes>),
    Asking(client::Connection<Wire, Bytes>),
    Over,
}

/// A connection.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    side: Side,
    /// Where requests begin, with a client's role.
    ask: Option<SendRequest<Bytes>>,
    wire: Wire,
    watch: Watch,
    stir: Arc<Stir>,
    waker: Waker,
    news: News,
    /// News that was heard: empty but for its room.
    heard: Vec<u32>,
    /// Boxed, because the map moves what is in it.
    strands: BTreeMap<u32, Box<Strand>>,
    opened: VecDeque<u32>,
    rung: Vec<u64>,
    /// Those that had no room at all come before those that had their round.
    starved: Vec<u32>,
    paused: Vec<u32>,
    round: u64,
    /// Bytes that streams have written and that may not have reached the wire.
    queued: usize,
    /// The number of the next stream that is opened here.
    next: u32,
    leaving: bool,
    /// No stream that is opened from now on is looked at.
    ending: bool,
    dead: bool,
    malformed: u64,
}

impl Mux {
    /// A connection at its beginning.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self::allowing(role, STREAM_LIMIT)
    }

    /// As [`Mux::new`], where a client may have so many streams at once: at most [`STREAM_LIMIT`].
    pub fn allowing(role: Role, streams: usize) -> Self {
        let (wire, stir) = (Wire::default(), Arc::<Stir>::default());
        let waker = Waker::from(Arc::clone(&stir));
        let (side, ask) = match role {
            Role::Server => (meet(&wire, streams), None),
            Role::Client { .. } => match ask(&wire, &mut Context::from_waker(&waker)) {
                Some((ask, connection)) => (Side::Asking(connection), Some(ask)),
                None => (Side::Over, None),
            },
        };
        let mut mux = Self {
            role,
            dead: matches!(side, Side::Over),
            side,
            ask,
            wire,
            watch: Watch::new(role),
            stir,
            waker,
            news: News::default(),
            heard: Vec::new(),
            strands: BTreeMap::new(),
            opened: VecDeque::new(),
            rung: Vec::new(),
            starved: Vec::new(),
            paused: Vec::new(),
            round: 1,
            queued: 0,
            next: 1,
            leaving: false,
            ending: false,
            malformed: 0,
        };
        mux.drive();
        mux
    }

    // ---- the connection ----

    /// Takes what was received at `now`, in milliseconds of any clock.
    pub fn receive(&mut self, bytes: &[u8], now: u64) {
        if self.dead {
            return;
        }
        match self.watch.pass(bytes, now) {
            Ok(()) => {
                self.wire.hear(bytes);
                self.drive();
            }
            Err((sound, reason)) => {
                self.wire.hear(&bytes[..sound]);
                self.drive();
                self.fail(reason);
            }
        }
    }

    /// The peer's side of the connection is at its end, or broken.
    pub fn end(&mut self) {
        self.wire.end();
        self.drive();
        self.close();
    }

    /// Takes what is to be sent, in exchange for a buffer that is not needed any more; nothing when there is nothing.
    pub fn take_out(&mut self, spent: Vec<u8>) -> Vec<u8> {
        self.drive();
        self.wire.take(spent)
    }

    /// Bytes that are to be sent, as far as is known before it is driven.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.wire.unsent() + self.queued
    }

    /// Whether nothing may be received: the peer does not read, or makes more work than it lets go.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsent() >= OUT_LIMIT || self.wire.unread() > 0
    }

    /// Whether it wants to be driven, by [`take_out`](Self::take_out).
    #[must_use]
    pub fn is_stirred(&self) -> bool {
        self.stir.0.load(Ordering::Relaxed) || self.wire.unsent() > 0
    }

    /// Whether the peer's settings have come: before, it may be anything.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.watch.greeted
    }

    /// Whether nothing more is to be read, and the connection closed once all is sent: it was ended, or it failed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.dead
    }

    /// Streams that somebody holds.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.strands.len()
    }

    /// No more streams: says so, and serves those that the peer opens before it knows.
    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.leaving, true) {
            return;
        }
        match &mut self.side {
            Side::Serving(connection) => connection.graceful_shutdown(),
            _ => self.leave_now(),
        }
        self.stir.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to [leave](Self::leave).
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// No more streams from here on, whether or not the peer knows; over with the last one.
    pub fn leave_now(&mut self) {
        (self.leaving, self.ending) = (true, true);
        self.stir.0.store(true, Ordering::Relaxed);
    }

    /// What was to be sent has gone, or enough of it.
    pub fn flushed(&mut self) {
        // Whoever had its round has another, whether or not it waited.
        self.round += 1;
        if self.unsent() > OUT_LIMIT / 2 || (self.starved.is_empty() && self.paused.is_empty()) {
            return;
        }
        let waiting: Vec<u32> = self.starved.drain(..).chain(self.paused.drain(..)).collect();
        waiting.into_iter().for_each(|id| self.ring(id));
    }

    /// The next stream that the client opened and that is to be served.
    pub fn next_opened(&mut self) -> Option<u32> {
        self.opened.pop_front()
    }

    /// Appends whom there is news for, each once; ask for it after every call.
    pub fn take_rung(&mut self, out: &mut Vec<u64>) {
        let mut heard = std::mem::take(&mut self.heard);
        std::mem::swap(&mut heard, &mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        for id in heard.drain(..) {
            if let Some(strand) = self.strands.get_mut(&id) {
                strand.pull_heads();
            }
            self.ring(id);
        }
        self.heard = heard;
        out.append(&mut self.rung);
    }

    /// Requests that were found malformed since this was asked last, for the meter.
    pub fn take_malformed(&mut self) -> u64 {
        std::mem::take(&mut self.malformed)
    }

    // ---- a stream ----

    /// Streams that the peer allows.
    #[must_use]
    pub fn room(&self) -> usize {
        self.ask.as_ref().map_or(0, |ask| ask.current_max_send_streams().min(STREAM_LIMIT))
    }

    /// Whether another stream may be opened beside so many that are going to be.
    #[must_use]
    pub fn has_room(&self, promised: usize) -> bool {
        self.is_open() && self.strands.len() + promised < self.room()
    }

    /// Whether streams may be opened at all.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.dead && !self.leaving && !self.watch.leaves && self.next < LAST
    }

    /// Opens a stream for whoever that key stands for. What it says first must be a request.
    pub fn open(&mut self, owner: u64) -> u32 {
        let id = self.next;
        self.next += 2;
        self.strands.insert(id, Box::new(Strand::new(id, owner, Outlet::new(None, false), &self.news)));
        id
    }

    /// Says who serves a stream.
    pub fn adopt(&mut self, id: u32, owner: u64) {
        if let Some(strand) = self.strands.get_mut(&id) {
            strand.owner = owner;
        }
    }

    /// What can be done with a stream now.
    pub fn look(&mut self, id: u32) -> Look {
        let is_server = self.role == Role::Server;
        let Some(strand) = self.strands.get_mut(&id) else {
            return Look { readable: true, writable: false, broken: true };
        };
        strand.rung = false;
        if is_server && strand.gone.is_none() {
            strand.look();
        }
        while !strand.has_news() && strand.gone.is_none() && strand.pull() {}
        let broken = strand.gone.is_some();
        let look =
            Look { readable: broken || strand.has_news() || strand.is_at_end(), writable: !strand.waiting, broken };
        self.note(id);
        look
    }

    /// Whether the peer ended a stream without having looked at it (RFC 9113 §8.7).
    #[must_use]
    pub fn was_refused(&self, id: u32) -> bool {
        self.strands.get(&id).is_some_and(|strand| strand.gone == Some(Reason::REFUSED_STREAM))
    }

    /// Takes text that the peer said; `None` when the stream is broken, `Some(0)` when there is none now.
    pub fn read(&mut self, id: u32, into: &mut [u8]) -> Option<usize> {
        let strand = self.strands.get_mut(&id).filter(|strand| strand.gone.is_none())?;
        let mut count = 0;
        while count < into.len() {
            if !strand.has_news() && !strand.pull() {
                break;
            }
            count += strand.take(&mut into[count..]);
        }
        if strand.gone.is_none() {
            return Some(count);
        }
        self.note(id);
        if count == 0 {
            return None;
        }
        self.ring(id);
        Some(count)
    }

    /// Whether a peer that has switched to another protocol will say nothing more, and all it said was read.
    #[must_use]
    pub fn is_at_end(&self, id: u32) -> bool {
        self.strands.get(&id).is_some_and(|strand| strand.is_at_end())
    }

    /// Whether a stream waits for room on the connection, and not for its own window.
    #[must_use]
    pub fn is_crowded_out(&self, id: u32) -> bool {
        self.strands.get(&id).is_some_and(|strand| strand.waiting && strand.crowded_out)
    }

    /// Says on a stream that has switched to another protocol that nothing more will come.
    pub fn finish_stream(&mut self, id: u32) {
        if let Some(strand) = self.strands.get_mut(&id) {
            strand.outlet.finish();
            self.stir.0.store(true, Ordering::Relaxed);
        }
    }

    /// Writes text, `head` and then `tail`.
    pub fn write(&mut self, id: u32, head: &[u8], tail: &[u8]) -> Wrote {
        let space = OUT_LIMIT.saturating_sub(self.unsent());
        let Some(strand) = self.strands.get_mut(&id).filter(|strand| strand.gone.is_none() && !strand.deaf) else {
            return Wrote::Broken;
        };
        if strand.wrote.0 != self.round {
            strand.wrote = (self.round, 0);
        }
        let room = ROUND.saturating_sub(strand.wrote.1).min(space);
        let scheme = if let Role::Client { scheme } = self.role { scheme } else { "" };
        let mut cx = Context::from_waker(&strand.waker);
        let ask = self.ask.as_ref().map(|ask| (ask, scheme));
        let mut pipe = Pipe { cx: &mut cx, ask, answer: None, room };
        let mut took = 0;
        for bytes in [head, tail] {
            let wrote = if pipe.room > 0 { strand.outlet.write(bytes, &mut pipe) } else { Ok(0) };
            match wrote {
                Ok(used) => took += used,
                Err(Stop::BadText) => {
                    strand.fail(Reason::INTERNAL_ERROR);
                    return Wrote::Broken;
                }
                Err(Stop::Broken) => {
                    strand.deaf = true;
                    if !scheme.is_empty() && matches!(strand.inlet, Inlet::None) && !strand.ended {
                        // The connection takes no requests any more: this one was not sent.
                        strand.lose(Reason::REFUSED_STREAM);
                    }
                    return Wrote::Broken;
                }
            }
            if wrote.is_ok_and(|used| used < bytes.len()) {
                break;
            }
        }
        let spent = room - pipe.room;
        if let Some(answer) = pipe.answer {
            strand.inlet = Inlet::Answer(answer);
            strand.pull_heads();
        }
        strand.wrote.1 += spent;
        self.queued += spent;
        if took < head.len() + tail.len() {
            strand.waiting = true;
            // What waits for its windows alone is woken by them.
            strand.crowded_out = spent == room;
            if strand.crowded_out {
                if strand.wrote.1 < ROUND { self.starved.push(id) } else { self.paused.push(id) }
            }
        }
        if took == 0 && head.len() + tail.len() > 0 { Wrote::NotReady } else { Wrote::Took(took) }
    }

    /// Ends a stream that is to be seen as cut.
    pub fn abort(&mut self, id: u32, reason: Reason) {
        if let Some(strand) = self.strands.get_mut(&id).filter(|strand| !strand.is_over()) {
            strand.fail(reason);
        }
    }

    /// Nobody holds the stream any more: what is not over of it ends (RFC 9113 §8.1 has what a server says then).
    pub fn release(&mut self, id: u32) {
        self.strands.remove(&id);
        self.stir.0.store(true, Ordering::Relaxed);
    }

    // ---- below ----

    /// Lets `h2` do what it can, and takes the streams that the client has opened.
    fn drive(&mut self) {
        // Each turn takes a stream or is caused by the turn before it; neither goes on for long.
        for _ in 0..2 * STREAM_LIMIT {
            if self.ending && self.strands.is_empty() {
                self.finish();
            }
            self.stir.0.store(false, Ordering::Relaxed);
            let cx = &mut Context::from_waker(&self.waker);
            let moved = match &mut self.side {
                Side::Meeting(handshake) => match Pin::new(handshake).poll(cx) {
                    Poll::Pending => false,
                    Poll::Ready(Ok(connection)) => {
                        self.side = Side::Serving(connection);
                        true
                    }
                    Poll::Ready(Err(_)) => return self.close(),
                },
                Side::Serving(connection) => match connection.poll_accept(cx) {
                    Poll::Pending => false,
                    Poll::Ready(Some(Ok((request, answer)))) => {
                        self.on_request(request, answer);
                        true
                    }
                    Poll::Ready(Some(Err(_)) | None) => return self.close(),
                },
                Side::Asking(connection) => match Pin::new(connection).poll(cx) {
                    Poll::Pending => false,
                    Poll::Ready(_) => return self.close(),
                },
                Side::Over => false,
            };
            if !moved && !self.stir.0.load(Ordering::Relaxed) {
                break;
            }
        }
        if self.wire.unsent() < OUT_LIMIT {
            self.queued = 0;
        }
    }

    fn on_request(&mut self, request: http::Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        let id = answer.stream_id().as_u32();
        if self.ending {
            return answer.send_reset(Reason::REFUSED_STREAM);
        }
        let (head, body) = request.into_parts();
        let mut text = Vec::new();
        let key = if text::asks_for_websocket(&head) { websocket::key() } else { None };
        let Ok(framing) = text::request(&head, body.is_end_stream(), key.as_deref(), &mut text) else {
            self.malformed += 1;
            answer.send_reset(Reason::PROTOCOL_ERROR);
            if let Err(reason) = self.watch.mistake() {
                self.fail(reason);
            }
            return;
        };
        let outlet = Outlet::new(Some(answer), head.method == http::Method::HEAD);
        let outlet = if key.is_some() { outlet.for_websocket() } else { outlet };
        let strand = Strand::new(id, 0, outlet, &self.news).asked(text, framing, body);
        self.strands.insert(id, Box::new(strand));
        self.opened.push_back(id);
    }

    /// The last stream is over, and no more are to come.
    fn finish(&mut self) {
        self.ask = None;
        match &mut self.side {
            // What is still to be sent is sent first.
            Side::Serving(connection) if !connection.has_streams() => connection.abrupt_shutdown(Reason::NO_ERROR),
            Side::Meeting(_) => self.close(),
            _ => {}
        }
    }

    /// The connection cannot go on.
    fn fail(&mut self, reason: Reason) {
        if let Side::Serving(connection) = &mut self.side {
            connection.abrupt_shutdown(reason);
            self.stir.0.store(true, Ordering::Relaxed);
        } else {
            self.close();
        }
        self.dead = true;
    }

    /// `h2` has nothing more to do. Its streams hear of it.
    fn close(&mut self) {
        self.dead = true;
        self.ask = None;
        self.side = Side::Over;
        self.queued = 0;
        self.stir.0.store(false, Ordering::Relaxed);
    }

    /// Counts a request that was found malformed after its head.
    fn note(&mut self, id: u32) {
        let Some(strand) = self.strands.get(&id) else { return };
        self.malformed += u64::from(self.role == Role::Server && strand.gone == Some(Reason::PROTOCOL_ERROR));
    }

    fn ring(&mut self, id: u32) {
        let Some(strand) = self.strands.get_mut(&id) else { return };
        strand.waiting = false;
        if strand.owner != 0 && !std::mem::replace(&mut strand.rung, true) {
            self.rung.push(strand.owner);
        }
    }
}

fn meet(wire: &Wire, streams: usize) -> Side {
    let handshake = server::Builder::new()
        .max_concurrent_streams(streams.clamp(1, STREAM_LIMIT) as u32)
        .enable_connect_protocol()
        .max_header_list_size(LIST_LIMIT)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(ROUND)
        .max_concurrent_reset_streams(FORGOTTEN.0)
        .reset_stream_duration(FORGOTTEN.1)
        .max_local_error_reset_streams(Some(MISTAKES))
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .handshake(wire.clone());
    Side::Meeting(handshake)
}

type Asking = (SendRequest<Bytes>, client::Connection<Wire, Bytes>);

fn ask(wire: &Wire, cx: &mut Context<'_>) -> Option<Asking> {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(LIST_LIMIT)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(ROUND)
        .max_concurrent_reset_streams(FORGOTTEN.0)
        .reset_stream_duration(FORGOTTEN.1)
        .max_local_error_reset_streams(Some(MISTAKES));
    // The wire takes everything at once.
    match pin!(builder.handshake(wire.clone())).poll(cx) {
        Poll::Ready(Ok(asking)) => Some(asking),
        _ => None,
    }
}
