//! One HTTP/2 connection, in either role, without I/O.
//!
//! Owns frames in, frames out, streams and every limit on them. Whoever drives it gives it what was received
//! ([`Mux::receive`]), sends what is in [`Mux::out`], rings whom it names ([`Mux::take_rung`]), and asks whether it
//! [is over](Mux::is_over). Text of streams is read and written by [`Mux::read`] and [`Mux::write`]. Must never let memory
//! or work grow with what a peer sends beyond the constants below. Source: RFC 9113; floods: CVE-2019-9511 to 9518,
//! CVE-2023-44487, CVE-2024-27316.

use std::collections::{BTreeMap, VecDeque};

use super::frame::{self, HEAD, Head, PAYLOAD_LIMIT, PREFACE, flag, kind, setting};
use super::hpack::{self, Decoder};
use super::outlet::Pipe;
use super::strand::Strand;
use super::text;
use super::{Code, List};

/// Streams a client may have open; more are refused (RFC 9113 §5.1.2).
pub const STREAM_LIMIT: usize = 128;
/// Bytes of a body that a peer may send on a stream before they are passed on.
pub const STREAM_WINDOW: i64 = 256 * 1024;
/// The same for all streams of a connection together: no more of bodies is ever held for it.
pub const CONNECTION_WINDOW: i64 = 1024 * 1024;
/// Bytes of a header block as it comes.
pub const BLOCK_LIMIT: usize = 64 * 1024;
/// Frames of a header block.
pub const BLOCK_FRAMES: u32 = 32;
/// Bytes of frames waiting to be sent above which nothing is read and no body is written.
pub const OUT_LIMIT: usize = 128 * 1024;
/// Bytes one stream may write before others get their turn.
const ROUND: usize = 32 * 1024;
/// Streams ended early, by the peer or for its mistakes: so many at once, and so many a second.
pub const RESETS: (u32, u32) = (200, 20);
/// Frames that move nothing (PING, SETTINGS, PRIORITY, empty ones, those of no known kind): at once, and a second.
pub const IDLE_FRAMES: (u32, u32) = (1000, 200);
/// Streams that were ended here and whose peer may not know yet.
const FORGOTTEN: usize = 256;
/// What a window may grow to (RFC 9113 §6.9.1).
const WINDOW_LIMIT: i64 = 0x7fff_ffff;
/// The mark of the question that goes with the first of two GOAWAY frames.
const LEAVING: [u8; 8] = *b"leaving!";

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

/// What happened since it was asked last, for the meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were malformed.
    pub malformed: u64,
    /// Requests whose head was too long.
    pub too_long: u64,
}

/// Something that may happen so often at once, and so often a second.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    most: u32,
    per_second: u32,
    at: u64,
}

impl Budget {
    fn new((most, per_second): (u32, u32)) -> Self {
        Self { left: most, most, per_second, at: 0 }
    }

    fn pass(&mut self, now: u64) {
        let grown = now.saturating_sub(self.at).saturating_mul(u64::from(self.per_second)) / 1000;
        if grown > 0 {
            self.left = u32::try_from(grown.saturating_add(u64::from(self.left))).unwrap_or(u32::MAX).min(self.most);
            self.at = now;
        }
    }

    fn spend(&mut self) -> Result<(), Code> {
        self.left = self.left.checked_sub(1).ok_or(Code::CALM)?;
        Ok(())
    }
}

/// A header block whose end has not come.
#[derive(Debug)]
struct Block {
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
    frames: u32,
}

/// What the peer's settings say.
#[derive(Clone, Copy, Debug)]
struct Peer {
    window: i64,
    streams: u32,
}

/// A connection.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    /// Frames to be sent.
    pub out: Vec<u8>,
    held: Vec<u8>,
    /// Bytes of the client's preface that have come.
    preface: usize,
    greeted: bool,
    block: Option<Block>,
    list: List,
    decoder: Decoder,
    /// Nothing was compressed yet.
    fresh: bool,
    scratch: Vec<u8>,
    strands: BTreeMap<u32, Strand>,
    live: usize,
    opened: VecDeque<u32>,
    rung: Vec<u64>,
    /// Those that had no room at all come before those that had their round.
    starved: Vec<u32>,
    paused: Vec<u32>,
    round: u64,
    forgotten: VecDeque<u32>,
    /// The last stream the client opened; with a client's role, the next one to open.
    newest: u32,
    peer: Peer,
    send_window: i64,
    recv_window: i64,
    owed: i64,
    resets: Budget,
    idle_frames: Budget,
    /// No stream above it is looked at.
    final_stream: Option<u32>,
    leaving: bool,
    /// The peer has said that it goes.
    peer_leaves: bool,
    /// The connection failed.
    dead: Option<Code>,
    tally: Tally,
}

impl Mux {
    /// A connection at its beginning.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let mut out = Vec::new();
        let mut settings = vec![
            (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW as u32),
            (setting::MAX_HEADER_LIST_SIZE, super::list::LIST_LIMIT as u32),
        ];
        match role {
            Role::Server => settings.push((setting::MAX_CONCURRENT_STREAMS, STREAM_LIMIT as u32)),
            Role::Client { .. } => {
                out.extend_from_slice(PREFACE);
                settings.push((setting::ENABLE_PUSH, 0));
            }
        }
        frame::settings(&settings, &mut out);
        frame::window(0, CONNECTION_WINDOW as u32 - 65_535, &mut out);
        let is_server = role == Role::Server;
        Self {
            role,
            out,
            held: Vec::new(),
            preface: if is_server { 0 } else { PREFACE.len() },
            greeted: false,
            block: None,
            list: List::default(),
            decoder: Decoder::default(),
            fresh: true,
            scratch: Vec::new(),
            strands: BTreeMap::new(),
            live: 0,
            opened: VecDeque::new(),
            rung: Vec::new(),
            starved: Vec::new(),
            paused: Vec::new(),
            round: 1,
            forgotten: VecDeque::new(),
            newest: u32::from(!is_server),
            peer: Peer { window: 65_535, streams: 100 },
            send_window: 65_535,
            recv_window: CONNECTION_WINDOW,
            owed: 0,
            resets: Budget::new(RESETS),
            idle_frames: Budget::new(IDLE_FRAMES),
            final_stream: None,
            leaving: false,
            peer_leaves: false,
            dead: None,
            tally: Tally::default(),
        }
    }

    // ---- the connection ----

    /// Takes what was received at `now`, in milliseconds of any clock.
    pub fn receive(&mut self, bytes: &[u8], now: u64) {
        self.resets.pass(now);
        self.idle_frames.pass(now);
        if self.held.is_empty() {
            let used = self.read_frames(bytes);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(bytes);
            let used = self.read_frames(&all);
            if used < all.len() {
                all.drain(..used);
                self.held = all;
            }
        }
    }

    /// The peer's side of the connection is at its end, or broken.
    pub fn end(&mut self) {
        self.dead.get_or_insert(Code::NO_ERROR);
        self.lose_all(Code::CANCEL);
    }

    /// Whether the peer's settings have come: before, it may be anything.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether nothing more is to be read, and the connection closed once all is sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.dead.is_some() || (self.final_stream.is_some() && self.strands.is_empty())
    }

    /// Whether the connection failed, or its end was received.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// Streams that somebody holds.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.strands.len()
    }

    /// Whether a block of header fields has begun, or a frame.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.block.is_some() || !self.held.is_empty()
    }

    /// No more streams: says so, and serves those that the peer opens before it knows.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) && self.dead.is_none() {
            frame::goaway(WINDOW_LIMIT as u32, Code::NO_ERROR, &mut self.out);
            frame::ping(LEAVING, false, &mut self.out);
        }
    }

    /// Whether it was told to [leave](Self::leave).
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// No more streams from here on, whether or not the peer knows.
    pub fn leave_now(&mut self) {
        if self.final_stream.is_none() && self.dead.is_none() {
            let last = if self.role == Role::Server { self.newest } else { 0 };
            self.leaving = true;
            self.final_stream = Some(last);
            frame::goaway(last, Code::NO_ERROR, &mut self.out);
        }
    }

    /// What was in [`Mux::out`] has gone, or enough of it.
    pub fn flushed(&mut self) {
        if self.out.is_empty() && self.out.capacity() > 4096 {
            self.out = Vec::new();
        }
        if self.out.len() > OUT_LIMIT / 2 || (self.starved.is_empty() && self.paused.is_empty()) {
            return;
        }
        self.round += 1;
        let waiting: Vec<u32> = self.starved.drain(..).chain(self.paused.drain(..)).collect();
        waiting.into_iter().for_each(|id| self.unblock(id));
    }

    /// The next stream that the client opened and that is to be served.
    pub fn next_opened(&mut self) -> Option<u32> {
        loop {
            let id = self.opened.pop_front()?;
            if self.strands.get(&id).is_some_and(|strand| strand.gone.is_none()) {
                return Some(id);
            }
            // It was ended again before anybody looked: nobody needs to.
            self.strands.remove(&id);
        }
    }

    /// Whom there is news for, each once; ask for it after every call.
    pub fn take_rung(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.rung)
    }

    /// What happened, for the meter.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    // ---- a stream ----

    /// Whether another stream may be opened beside so many that are going to be.
    #[must_use]
    pub fn has_room(&self, promised: usize) -> bool {
        self.dead.is_none()
            && !self.peer_leaves
            && !self.leaving
            && self.live + promised < STREAM_LIMIT.min(self.peer.streams as usize)
            && self.newest < WINDOW_LIMIT as u32 - 2
    }

    /// Opens a stream for whoever that key stands for.
    pub fn open(&mut self, owner: u64) -> u32 {
        let id = self.newest;
        self.newest += 2;
        self.live += 1;
        self.strands.insert(id, Strand::new(owner, self.peer.window));
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
        let Some(strand) = self.strands.get_mut(&id) else {
            return Look { readable: true, writable: false, broken: true };
        };
        strand.rung = false;
        let broken = strand.gone.is_some();
        Look { readable: broken || !strand.news().is_empty(), writable: !strand.waiting, broken }
    }

    /// Whether the peer ended a stream without having looked at it (RFC 9113 §8.7).
    #[must_use]
    pub fn was_refused(&self, id: u32) -> bool {
        self.strands.get(&id).is_some_and(|strand| strand.gone == Some(Code::REFUSED))
    }

    /// Takes text that the peer said; `None` when the stream is broken, `Some(0)` when there is none now.
    pub fn read(&mut self, id: u32, into: &mut [u8]) -> Option<usize> {
        let strand = self.strands.get_mut(&id).filter(|strand| strand.gone.is_none())?;
        let count = strand.take(into);
        if strand.news().is_empty() && strand.owed > 0 {
            // Small change is granted together; the peer cannot be waiting for it.
            if strand.ended || i64::from(strand.owed) >= STREAM_WINDOW / 4 {
                let owed = std::mem::take(&mut strand.owed);
                if !strand.ended {
                    strand.recv_window += i64::from(owed);
                    frame::window(id, owed, &mut self.out);
                }
                self.grant(owed);
            }
        }
        Some(count)
    }

    /// Writes text, `head` and then `tail`.
    pub fn write(&mut self, id: u32, head: &[u8], tail: &[u8]) -> Wrote {
        let Some(strand) = self.strands.get_mut(&id).filter(|strand| strand.gone.is_none() && !strand.deaf) else {
            return Wrote::Broken;
        };
        if strand.wrote.0 != self.round {
            strand.wrote = (self.round, 0);
        }
        let mine = ROUND.saturating_sub(strand.wrote.1);
        let space = OUT_LIMIT.saturating_sub(self.out.len());
        let window = self.send_window.min(strand.send_window).max(0) as usize;
        let most = mine.min(space).min(window);
        let mut took = 0;
        let mut room = most;
        if space > 0 {
            for bytes in [head, tail] {
                let mut pipe = Pipe {
                    role: self.role,
                    stream: id,
                    out: &mut self.out,
                    block: &mut self.scratch,
                    fresh: &mut self.fresh,
                    room,
                    to_head: &mut strand.to_head,
                };
                let Ok(used) = strand.outlet.write(bytes, &mut pipe) else {
                    self.fail_stream(id, Code::INTERNAL);
                    return Wrote::Broken;
                };
                room = pipe.room;
                took += used;
                if used < bytes.len() {
                    break;
                }
            }
        }
        let spent = most - room;
        strand.wrote.1 += spent;
        strand.send_window -= spent as i64;
        self.send_window -= spent as i64;
        if took < head.len() + tail.len() {
            strand.waiting = true;
            // What waits for its own window alone is woken by that.
            if strand.send_window > 0 || space == 0 {
                if strand.wrote.1 < ROUND { self.starved.push(id) } else { self.paused.push(id) }
            }
        }
        self.settle(id);
        if took == 0 && head.len() + tail.len() > 0 { Wrote::NotReady } else { Wrote::Took(took) }
    }

    /// Ends a stream that is to be seen as cut.
    pub fn abort(&mut self, id: u32, code: Code) {
        if self.strands.get(&id).is_some_and(|strand| !strand.is_over()) {
            self.fail_stream(id, code);
        }
    }

    /// Nobody holds the stream any more.
    pub fn release(&mut self, id: u32) {
        let Some(strand) = self.strands.get(&id) else { return };
        if !strand.is_over() {
            // A whole answer to half a request: the rest of it is not needed (RFC 9113 §8.1).
            let code = if strand.outlet.is_done() && self.role == Role::Server { Code::NO_ERROR } else { Code::CANCEL };
            self.fail_stream(id, code);
        }
        if let Some(strand) = self.strands.remove(&id) {
            self.grant(strand.owed);
        }
    }

    // ---- frames ----

    fn read_frames(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.dead.is_none() {
            let rest = &bytes[at..];
            if self.preface < PREFACE.len() {
                let count = rest.len().min(PREFACE.len() - self.preface);
                if rest[..count] != PREFACE[self.preface..self.preface + count] {
                    self.fail(Code::PROTOCOL);
                    break;
                }
                self.preface += count;
                at += count;
                if self.preface < PREFACE.len() {
                    return at;
                }
                continue;
            }
            let Some(head) = Head::read(rest) else { return at };
            if head.len > PAYLOAD_LIMIT {
                self.fail(Code::FRAME_SIZE);
                break;
            }
            let Some(payload) = rest.get(HEAD..HEAD + head.len) else { return at };
            at += HEAD + head.len;
            if let Err(code) = self.on_frame(&head, payload) {
                self.fail(code);
            }
        }
        bytes.len()
    }

    fn on_frame(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        if !self.greeted && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Code::PROTOCOL);
        }
        if let Some(block) = &self.block
            && (head.kind != kind::CONTINUATION || head.stream != block.stream)
        {
            return Err(Code::PROTOCOL);
        }
        match head.kind {
            kind::DATA => self.on_data(head, payload),
            kind::HEADERS => self.on_headers(head, payload),
            kind::PRIORITY => {
                self.idle_frames.spend()?;
                match (head.stream, payload.len()) {
                    (0, _) => Err(Code::PROTOCOL),
                    (_, 5) => Ok(()),
                    (id, _) => self.stream_error(id, Code::FRAME_SIZE),
                }
            }
            kind::RST_STREAM => self.on_reset(head, payload),
            kind::SETTINGS => self.on_settings(head, payload),
            kind::PUSH_PROMISE => Err(Code::PROTOCOL),
            kind::PING => {
                let mark = *payload.first_chunk::<8>().filter(|_| payload.len() == 8).ok_or(Code::FRAME_SIZE)?;
                if head.stream != 0 {
                    return Err(Code::PROTOCOL);
                }
                self.idle_frames.spend()?;
                if !head.has(flag::ACK) {
                    frame::ping(mark, true, &mut self.out);
                } else if mark == LEAVING && self.leaving {
                    self.leave_now();
                }
                Ok(())
            }
            kind::GOAWAY => {
                if head.stream != 0 {
                    return Err(Code::PROTOCOL);
                }
                let last =
                    number(payload).filter(|_| payload.len() >= 8).ok_or(Code::FRAME_SIZE)? & WINDOW_LIMIT as u32;
                self.idle_frames.spend()?;
                self.peer_leaves = true;
                if self.role != Role::Server {
                    let lost: Vec<u32> = self.strands.range(last + 1..).map(|(id, _)| *id).collect();
                    lost.into_iter().for_each(|id| self.lose(id, Code::REFUSED));
                }
                Ok(())
            }
            kind::WINDOW_UPDATE => self.on_window(head, payload),
            kind::CONTINUATION => self.on_continuation(head, payload),
            _ => self.idle_frames.spend(),
        }
    }

    fn on_headers(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        if head.stream == 0 {
            return Err(Code::PROTOCOL);
        }
        let mut block = unpadded(head, payload)?;
        if head.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(Code::FRAME_SIZE)?;
        }
        let end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.on_block(head.stream, end, block);
        }
        self.block = Some(Block { stream: head.stream, end, bytes: block.to_vec(), frames: 1 });
        Ok(())
    }

    fn on_continuation(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        let block = self.block.as_mut().ok_or(Code::PROTOCOL)?;
        block.frames += 1;
        if block.frames > BLOCK_FRAMES || block.bytes.len() + payload.len() > BLOCK_LIMIT {
            return Err(Code::CALM);
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS)
            && let Some(block) = self.block.take()
        {
            self.on_block(block.stream, block.end, &block.bytes)?;
        }
        Ok(())
    }

    /// A whole block: every one is decoded, whatever becomes of it.
    fn on_block(&mut self, id: u32, end: bool, block: &[u8]) -> Result<(), Code> {
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        let done = match self.decoder.read(block, &mut list) {
            Err(_) => Err(Code::COMPRESSION),
            Ok(()) if self.strands.contains_key(&id) => self.on_more(id, end, &list),
            Ok(()) if self.role == Role::Server => self.on_request(id, end, &list),
            Ok(()) if id.is_multiple_of(2) || id >= self.newest => Err(Code::PROTOCOL),
            Ok(()) => Ok(()),
        };
        list.trim();
        self.list = list;
        done
    }

    fn on_request(&mut self, id: u32, end: bool, list: &List) -> Result<(), Code> {
        if id.is_multiple_of(2) {
            return Err(Code::PROTOCOL);
        }
        if id <= self.newest {
            return if self.forgotten.contains(&id) { Ok(()) } else { Err(Code::STREAM_CLOSED) };
        }
        self.newest = id;
        if self.final_stream.is_some() {
            return self.stream_error(id, Code::REFUSED);
        }
        if self.live >= STREAM_LIMIT {
            return self.stream_error(id, Code::REFUSED);
        }
        if list.is_too_long() {
            self.tally.too_long += 1;
            self.scratch.clear();
            if std::mem::take(&mut self.fresh) {
                hpack::begin(&mut self.scratch);
            }
            hpack::status(431, &mut self.scratch);
            frame::block(id, &self.scratch, true, &mut self.out);
            return if end { Ok(()) } else { self.stream_error(id, Code::NO_ERROR) };
        }
        let mut strand = Strand::new(0, self.peer.window);
        let Ok(body) = text::request(list, end, strand.inbox()) else {
            self.tally.malformed += 1;
            return self.stream_error(id, Code::PROTOCOL);
        };
        strand.to_head = strand.news().starts_with(b"HEAD ");
        (strand.body, strand.headed, strand.ended) = (body, true, end);
        self.strands.insert(id, strand);
        self.live += 1;
        self.opened.push_back(id);
        Ok(())
    }

    /// Header fields on a stream that is there: trailers, or with a client's role an answer.
    fn on_more(&mut self, id: u32, end: bool, list: &List) -> Result<(), Code> {
        let Some(strand) = self.strands.get_mut(&id) else { return Ok(()) };
        if strand.is_shut() {
            return Ok(());
        }
        if strand.ended {
            return self.stream_error(id, Code::STREAM_CLOSED);
        }
        if !strand.headed {
            let to_head = strand.to_head;
            match text::answer(list, end, to_head, strand.inbox()) {
                Ok((status, body)) if !list.is_too_long() => {
                    (strand.headed, strand.body, strand.ended) = (status >= 200, body, end);
                }
                _ => {
                    // What is no answer must not pass for a lost one: as text it is refused.
                    strand.forget();
                    strand.inbox().extend_from_slice(b"HTTP/2 malformed\r\n\r\n");
                    (strand.headed, strand.ended, strand.deaf) = (true, true, true);
                    frame::reset(id, Code::PROTOCOL, &mut self.out);
                }
            }
        } else {
            let mut lines = Vec::new();
            let sound = end && !list.is_too_long() && text::trailers(list, &mut lines).is_ok();
            if !sound || strand.trailers(&lines).is_err() {
                self.tally.malformed += 1;
                return self.stream_error(id, Code::PROTOCOL);
            }
        }
        self.ring(id);
        self.settle(id);
        Ok(())
    }

    fn on_data(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        if head.stream == 0 {
            return Err(Code::PROTOCOL);
        }
        self.recv_window -= payload.len() as i64;
        if self.recv_window < 0 {
            return Err(Code::FLOW_CONTROL);
        }
        let (id, end) = (head.stream, head.has(flag::END_STREAM));
        let data = unpadded(head, payload)?;
        if data.is_empty() && !end {
            self.idle_frames.spend()?;
        }
        let count = payload.len() as u32;
        let Some(strand) = self.strands.get_mut(&id) else {
            self.grant(count);
            if self.is_idle(id) {
                return Err(Code::PROTOCOL);
            }
            if self.forgotten.contains(&id) {
                return Ok(());
            }
            return self.stream_error(id, Code::STREAM_CLOSED);
        };
        if strand.is_shut() {
            self.grant(count);
            return Ok(());
        }
        strand.owed += count;
        strand.recv_window -= i64::from(count);
        let error = match () {
            () if strand.ended => Some(Code::STREAM_CLOSED),
            () if strand.recv_window < 0 => Some(Code::FLOW_CONTROL),
            () if !strand.headed || strand.data(data, end).is_err() => Some(Code::PROTOCOL),
            () => None,
        };
        if let Some(code) = error {
            self.tally.malformed += u64::from(code == Code::PROTOCOL);
            return self.stream_error(id, code);
        }
        self.ring(id);
        self.settle(id);
        Ok(())
    }

    fn on_reset(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        let code = number(payload).filter(|_| payload.len() == 4).ok_or(Code::FRAME_SIZE)?;
        if head.stream == 0 || self.is_idle(head.stream) {
            return Err(Code::PROTOCOL);
        }
        let id = head.stream;
        if self.role == Role::Server {
            self.resets.spend()?;
        }
        if let Some(strand) = self.strands.get_mut(&id)
            && self.role != Role::Server
            && strand.ended
        {
            strand.deaf = true;
            self.ring(id);
            return Ok(());
        }
        self.lose(id, Code(code));
        Ok(())
    }

    fn on_window(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        let step = number(payload).filter(|_| payload.len() == 4).ok_or(Code::FRAME_SIZE)? & WINDOW_LIMIT as u32;
        let id = head.stream;
        if id == 0 {
            self.send_window += i64::from(step);
            if step == 0 {
                return Err(Code::PROTOCOL);
            }
            if self.send_window > WINDOW_LIMIT {
                return Err(Code::FLOW_CONTROL);
            }
            if self.out.len() < OUT_LIMIT {
                let waiting: Vec<u32> = self.starved.drain(..).chain(self.paused.drain(..)).collect();
                waiting.into_iter().for_each(|id| self.unblock(id));
            }
            return Ok(());
        }
        if self.is_idle(id) {
            return Err(Code::PROTOCOL);
        }
        let Some(strand) = self.strands.get_mut(&id).filter(|strand| strand.gone.is_none()) else { return Ok(()) };
        if step == 0 {
            return self.stream_error(id, Code::PROTOCOL);
        }
        strand.send_window += i64::from(step);
        if strand.send_window > WINDOW_LIMIT {
            return self.stream_error(id, Code::FLOW_CONTROL);
        }
        self.unblock(id);
        Ok(())
    }

    fn on_settings(&mut self, head: &Head, payload: &[u8]) -> Result<(), Code> {
        if head.stream != 0 {
            return Err(Code::PROTOCOL);
        }
        if head.has(flag::ACK) {
            return if payload.is_empty() { self.idle_frames.spend() } else { Err(Code::FRAME_SIZE) };
        }
        let (settings, []) = payload.as_chunks::<6>() else { return Err(Code::FRAME_SIZE) };
        self.idle_frames.spend()?;
        for [n0, n1, v0, v1, v2, v3] in settings {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*n0, *n1]) {
                setting::ENABLE_PUSH if value > u32::from(self.role == Role::Server) => return Err(Code::PROTOCOL),
                setting::MAX_CONCURRENT_STREAMS => self.peer.streams = value,
                setting::INITIAL_WINDOW_SIZE if i64::from(value) > WINDOW_LIMIT => return Err(Code::FLOW_CONTROL),
                setting::INITIAL_WINDOW_SIZE => {
                    let step = i64::from(value) - self.peer.window;
                    self.peer.window = i64::from(value);
                    for strand in self.strands.values_mut() {
                        strand.send_window += step;
                        if strand.send_window > WINDOW_LIMIT {
                            return Err(Code::FLOW_CONTROL);
                        }
                    }
                    let waiting: Vec<u32> = self.strands.iter().filter(|(_, s)| s.waiting).map(|(id, _)| *id).collect();
                    waiting.into_iter().for_each(|id| self.unblock(id));
                }
                setting::MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => return Err(Code::PROTOCOL),
                // Frames never get longer than everybody must take, and the table for compression stays empty.
                _ => {}
            }
        }
        self.greeted = true;
        frame::head(0, kind::SETTINGS, flag::ACK, 0, &mut self.out);
        Ok(())
    }

    // ---- ends ----

    /// Whether that stream was never opened.
    fn is_idle(&self, id: u32) -> bool {
        match self.role {
            Role::Server => id > self.newest || id.is_multiple_of(2),
            Role::Client { .. } => id >= self.newest || id.is_multiple_of(2),
        }
    }

    /// The connection cannot go on.
    fn fail(&mut self, code: Code) {
        let last = if self.role == Role::Server { self.newest } else { 0 };
        frame::goaway(last, code, &mut self.out);
        self.dead = Some(code);
        self.block = None;
        self.lose_all(Code::CANCEL);
    }

    /// The peer made a mistake that costs a stream.
    fn stream_error(&mut self, id: u32, code: Code) -> Result<(), Code> {
        if self.role == Role::Server {
            self.resets.spend()?;
        }
        self.fail_stream(id, code);
        Ok(())
    }

    /// Ends a stream from here.
    fn fail_stream(&mut self, id: u32, code: Code) {
        frame::reset(id, code, &mut self.out);
        if self.forgotten.len() >= FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(id);
        self.lose(id, code);
    }

    /// A stream is over before its time.
    fn lose(&mut self, id: u32, code: Code) {
        let Some(strand) = self.strands.get_mut(&id) else { return };
        strand.gone.get_or_insert(code);
        strand.forget();
        let owed = std::mem::take(&mut strand.owed);
        self.grant(owed);
        self.settle(id);
        self.ring(id);
    }

    fn lose_all(&mut self, code: Code) {
        let all: Vec<u32> = self.strands.keys().copied().collect();
        all.into_iter().for_each(|id| self.lose(id, code));
    }

    /// Counts a stream out once both sides have said everything.
    fn settle(&mut self, id: u32) {
        if let Some(strand) = self.strands.get_mut(&id)
            && (strand.is_over() || strand.is_shut())
            && std::mem::replace(&mut strand.live, false)
        {
            self.live -= 1;
        }
    }

    fn ring(&mut self, id: u32) {
        if let Some(strand) = self.strands.get_mut(&id)
            && strand.owner != 0
            && !std::mem::replace(&mut strand.rung, true)
        {
            self.rung.push(strand.owner);
        }
    }

    fn unblock(&mut self, id: u32) {
        if self.strands.get_mut(&id).is_some_and(|strand| std::mem::replace(&mut strand.waiting, false)) {
            self.ring(id);
        }
    }

    /// Lets the peer send again what was taken from it.
    fn grant(&mut self, bytes: u32) {
        self.owed += i64::from(bytes);
        if self.owed >= CONNECTION_WINDOW / 4 && self.dead.is_none() {
            frame::window(0, self.owed as u32, &mut self.out);
            self.recv_window += std::mem::take(&mut self.owed);
        }
    }
}

fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// What is between the length of the padding and the padding.
fn unpadded<'a>(head: &Head, payload: &'a [u8]) -> Result<&'a [u8], Code> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (pad, rest) = payload.split_first().ok_or(Code::FRAME_SIZE)?;
    rest.len().checked_sub(usize::from(*pad)).map(|len| &rest[..len]).ok_or(Code::PROTOCOL)
}

#[cfg(test)]
mod tests;
