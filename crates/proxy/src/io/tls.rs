//! TLS on a connection: records in and out.
//!
//! Owns the session, and bytes of records that are not complete. Must never keep a buffer for a connection that waits:
//! what is received is decrypted where it lies, in the worker's scratch buffer, and what is sent is encrypted in one
//! that all connections of a thread share. Who is shown and believed: [`crate::tls`]. Called by `stream.rs` alone.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};

use super::stream::{Read, Write};
use crate::challenge::Pending;
use crate::log::record::Secured;
use crate::tls::words::{Mismatch, cipher, protocol};

/// Bytes encrypted and written at once: four full records. No more than that is ever held for a peer that reads slowly.
const BATCH: usize = 64 * 1024;
/// The least room for received bytes: a record of 16 KiB with the most that encryption may add to it (RFC 5246 §6.2.3).
const CIPHER_LEAST: usize = 5 + 16 * 1024 + 2048;
/// What encryption may add to a batch: the library says 22 bytes a record, and says so when it is more.
const OVERHEAD: usize = 1024;
/// Bytes that may wait for a peer that reads slowly: a batch, or a handshake with the longest chains.
const UNSENT_LIMIT: usize = 256 * 1024;
/// Reads in a row that may give no byte of content: an honest peer's handshake takes a few.
const FRUITLESS: usize = 64;
/// Messages still sent when a session fails, the alert last.
const ALERTS: usize = 8;

thread_local! {
    /// Encrypted bytes on their way to the socket at hand.
    static BENCH: RefCell<Bench> = const { RefCell::new(Bench { bytes: Vec::new(), used: 0, joint: Vec::new() }) };
}

/// Bytes that grow to what is needed and are not cleared in between: the first `used` of them count.
struct Bench {
    bytes: Vec<u8>,
    used: usize,
    /// Plain bytes from two places that are to be one record.
    joint: Vec<u8>,
}

impl Bench {
    fn room(&mut self, size: usize) -> &mut [u8] {
        let end = self.used + size;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.used..end]
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// A connection that speaks TLS.
pub(super) struct Tls {
    pub(super) fd: OwnedFd,
    side: Side,
    /// What its first bytes may ask, while that is not known.
    pending: Option<Arc<Pending>>,
    /// They asked a challenge: it is over with its handshake.
    challenged: bool,
    /// Records that are not complete, as the library left them. Empty on a connection that waits.
    held: Vec<u8>,
    /// Plain bytes that came while only the handshake was asked for.
    early: Vec<u8>,
    /// Encrypted bytes that the socket has not taken.
    unsent: Vec<u8>,
    sent: usize,
    /// The peer has said that nothing more will come: an end without that is a truncation.
    peer_finished: bool,
    /// Ours is the first word, and it was said.
    opened: bool,
    finished: bool,
    /// The socket takes nothing more. What the peer said before it closed can still be read: it may be an answer.
    deaf: bool,
    failed: bool,
    why: Option<Mismatch>,
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("fd", &self.fd).field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// The library's two kinds of session, which have no common type.
trait Session {
    type Role;

    fn records<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role>;

    fn state(&self) -> &CommonState;
}

impl Session for UnbufferedServerConnection {
    type Role = ServerConnectionData;

    fn records<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role> {
        self.process_tls_records(bytes)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

impl Session for UnbufferedClientConnection {
    type Role = ClientConnectionData;

    fn records<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role> {
        self.process_tls_records(bytes)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

/// What one look at received bytes gave.
#[derive(Debug, Default)]
struct Turn {
    used: usize,
    plain: usize,
    peer_finished: bool,
    failed: bool,
    why: Option<Mismatch>,
    alerts: usize,
}

/// Where a handshake stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shaking {
    Pending,
    Done,
    Failed,
}

impl Tls {
    pub(super) fn server(fd: OwnedFd, session: UnbufferedServerConnection, pending: Option<Arc<Pending>>) -> Self {
        Self { pending, ..Self::new(fd, Side::Server(session)) }
    }

    pub(super) fn client(fd: OwnedFd, session: UnbufferedClientConnection) -> Self {
        Self::new(fd, Side::Client(session))
    }

    fn new(fd: OwnedFd, side: Side) -> Self {
        Self {
            fd,
            side,
            pending: None,
            challenged: false,
            held: Vec::new(),
            early: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            peer_finished: false,
            opened: false,
            finished: false,
            deaf: false,
            failed: false,
            why: None,
        }
    }

    /// Whether it was there for a challenge alone, and that is answered.
    pub(super) fn is_answered(&self) -> bool {
        self.challenged && !self.is_handshaking()
    }

    /// Looks whether a client's first bytes ask a challenge, and answers in its way if so. False while that cannot be told.
    fn heard(&mut self, bytes: &[u8]) -> bool {
        let Some(pending) = &self.pending else { return true };
        let Some(asked) = pending.of_hello(bytes) else { return false };
        // Only without randomness there is no session: then the usual one will fail as well.
        if let Some(session) = asked.and_then(|config| UnbufferedServerConnection::new(Arc::clone(config)).ok()) {
            self.side = Side::Server(session);
            self.challenged = true;
        }
        self.pending = None;
        true
    }

    /// What both sides did not have in common, where that made the handshake fail.
    pub(super) fn mismatch(&self) -> Option<Mismatch> {
        self.why
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match &self.side {
            Side::Server(session) => session.state().is_handshaking(),
            Side::Client(session) => session.state().is_handshaking(),
        }
    }

    /// What its two ends agreed on, once the handshake has got so far.
    pub(super) fn agreed(&self) -> Option<Secured> {
        let state = match &self.side {
            Side::Server(session) => session.state(),
            Side::Client(session) => session.state(),
        };
        let suite = state.negotiated_cipher_suite()?.suite();
        Some(Secured { cipher: cipher(suite), protocol: protocol(state.protocol_version()?) })
    }

    /// What both sides have agreed to speak (ALPN), once the handshake is complete.
    pub(super) fn spoken(&self) -> Option<&[u8]> {
        match &self.side {
            Side::Server(session) => session.state().alpn_protocol(),
            Side::Client(session) => session.state().alpn_protocol(),
        }
    }

    /// Whether the socket has taken everything that was written.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Bytes that the socket has not taken.
    pub(super) fn holds(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Whether a read gives something though the socket may have nothing.
    pub(super) fn holds_news(&self) -> bool {
        !self.early.is_empty() || self.peer_finished
    }

    /// Goes on with the handshake. What comes after it is kept for [`Tls::read`].
    pub(super) fn shake(&mut self, scratch: &mut [u8], ended: bool, readable: &mut bool) -> Shaking {
        if self.failed {
            return Shaking::Failed;
        }
        if !self.is_handshaking() {
            return Shaking::Done;
        }
        let (plain, cipher) = scratch.split_at_mut(scratch.len() / 2);
        if !self.opened {
            self.opened = true;
            let turn = self.turn(&mut [], plain);
            self.failed |= turn.failed;
        }
        match self.fill(plain, cipher, ended, readable) {
            Read::Bytes(count) => self.early.extend_from_slice(&plain[..count]),
            Read::NotReady => {}
            Read::End | Read::Broken => return Shaking::Failed,
        }
        if self.is_handshaking() {
            return Shaking::Pending;
        }
        *readable |= ended || self.holds_news();
        Shaking::Done
    }

    /// Reads plain bytes into the first half of `into`; the second is for what they are made from.
    pub(super) fn read(&mut self, into: &mut [u8], ended: bool, readable: &mut bool) -> Read {
        let (plain, cipher) = into.split_at_mut(into.len() / 2);
        if !self.early.is_empty() {
            let count = self.early.len().min(plain.len());
            plain[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            if self.early.is_empty() {
                self.early = Vec::new();
            }
            *readable = true;
            return Read::Bytes(count);
        }
        let got = self.fill(plain, cipher, ended, readable);
        *readable |= matches!(got, Read::Bytes(_)) && (ended || self.peer_finished);
        got
    }

    /// Whether the peer has nothing to say. Takes what is said between records: tickets, new keys.
    pub(super) fn is_silent(&mut self, readable: &mut bool) -> bool {
        let mut space = vec![0; 2 * CIPHER_LEAST];
        matches!(self.read(&mut space, false, readable), Read::NotReady)
    }

    /// Receives until there are plain bytes, or nothing more to receive.
    fn fill(&mut self, plain: &mut [u8], cipher: &mut [u8], ended: bool, readable: &mut bool) -> Read {
        for _ in 0..FRUITLESS {
            if self.failed {
                *readable = false;
                return Read::Broken;
            }
            if self.peer_finished {
                *readable = false;
                return Read::End;
            }
            let held = self.held.len();
            // A handshake message that does not fit here is no honest one.
            if held >= cipher.len() {
                self.failed = true;
                continue;
            }
            let room = cipher.len() - held;
            let got = match retry_on_intr(|| {
                rustix::net::recv(&self.fd, &mut cipher[held..], RecvFlags::empty()).map(|(_, got)| got)
            }) {
                // The end of the socket alone is not the end of what the peer has to say.
                Ok(0) => {
                    self.failed = true;
                    continue;
                }
                Ok(got) => got,
                Err(Errno::AGAIN) => {
                    *readable = false;
                    return Read::NotReady;
                }
                Err(_) => {
                    self.failed = true;
                    continue;
                }
            };
            let more = got == room || ended;
            cipher[..held].copy_from_slice(&self.held);
            let bytes = &mut cipher[..held + got];
            let turn = if self.heard(bytes) { self.turn(bytes, plain) } else { Turn::default() };
            self.failed |= turn.failed;
            self.peer_finished |= turn.peer_finished;
            let rest = &bytes[turn.used.min(bytes.len())..];
            if rest.is_empty() {
                self.held = Vec::new();
            } else {
                self.held.clear();
                self.held.extend_from_slice(rest);
            }
            *readable = more;
            if turn.plain > 0 {
                *readable |= self.failed;
                return Read::Bytes(turn.plain);
            }
            if !more && !self.failed && !self.peer_finished {
                return Read::NotReady;
            }
        }
        self.failed = true;
        *readable = false;
        Read::Broken
    }

    /// Goes through what was received, and answers.
    fn turn(&mut self, bytes: &mut [u8], plain: &mut [u8]) -> Turn {
        let mut turn = BENCH.with_borrow_mut(|bench| {
            bench.used = 0;
            let turn = match &mut self.side {
                Side::Server(session) => decrypt(session, bytes, plain, bench),
                Side::Client(session) => decrypt(session, bytes, plain, bench),
            };
            self.queue(bench.filled(), 0);
            turn
        });
        self.why = self.why.or(turn.why);
        // A handshake needs answers. Whoever makes the library answer, and does not read that, is not to fill the memory.
        turn.failed |= (!self.flush() && self.is_handshaking()) || self.unsent.len() > UNSENT_LIMIT;
        turn
    }

    /// Encrypts and writes `head` and then `tail`, in records that span both: all of it, or as much as the socket takes
    /// and one batch more.
    pub(super) fn write(&mut self, head: &[u8], tail: &[u8]) -> Write {
        if self.failed || self.finished || self.deaf || !self.flush() {
            return Write::Broken;
        }
        let (mut took, all) = (0, head.len() + tail.len());
        while self.unsent.is_empty() && took < all {
            let end = all.min(took + BATCH);
            let first = &head[took.min(head.len())..end.min(head.len())];
            let second = &tail[took.saturating_sub(head.len())..end.saturating_sub(head.len())];
            let sealed = BENCH.with_borrow_mut(|bench| {
                bench.used = 0;
                let mut joint = std::mem::take(&mut bench.joint);
                let batch = match (first, second) {
                    (whole, []) | ([], whole) => whole,
                    _ => {
                        joint.clear();
                        joint.extend_from_slice(first);
                        joint.extend_from_slice(second);
                        &joint
                    }
                };
                let held = &mut self.held;
                let sealed = match &mut self.side {
                    Side::Server(session) => encrypt(session, held, Some(batch), bench),
                    Side::Client(session) => encrypt(session, held, Some(batch), bench),
                };
                let sent = self.send(bench.filled());
                bench.joint = joint;
                sent && sealed
            });
            if !sealed {
                self.deaf = true;
                return Write::Broken;
            }
            took = end;
        }
        if took == 0 && all > 0 { Write::NotReady } else { Write::Took(took) }
    }

    /// Says that nothing more will come, once everything before it is sent.
    pub(super) fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.finished = true;
        if !self.failed && !self.deaf && !self.is_handshaking() {
            BENCH.with_borrow_mut(|bench| {
                bench.used = 0;
                match &mut self.side {
                    Side::Server(session) => encrypt(session, &mut self.held, None, bench),
                    Side::Client(session) => encrypt(session, &mut self.held, None, bench),
                };
                self.queue(bench.filled(), 0);
            });
        }
        if self.is_flushed() {
            let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
        } else {
            self.flush();
        }
    }

    /// Writes what the socket takes of what waits; false when it is broken.
    pub(super) fn flush(&mut self) -> bool {
        if self.unsent.is_empty() {
            return true;
        }
        if self.deaf {
            self.unsent = Vec::new();
            return false;
        }
        match retry_on_intr(|| rustix::net::send(&self.fd, &self.unsent[self.sent..], SendFlags::NOSIGNAL)) {
            Ok(count) => self.sent += count,
            Err(Errno::AGAIN) => return true,
            Err(_) => {
                self.unsent = Vec::new();
                self.sent = 0;
                self.deaf = true;
                return false;
            }
        }
        if self.sent >= self.unsent.len() {
            self.unsent = Vec::new();
            self.sent = 0;
            if self.finished {
                let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
            }
        }
        true
    }

    /// Sends from the bench, and keeps what is not taken; false when the socket is broken.
    fn send(&mut self, bench: &[u8]) -> bool {
        if bench.is_empty() {
            return true;
        }
        match retry_on_intr(|| rustix::net::send(&self.fd, bench, SendFlags::NOSIGNAL)) {
            Ok(count) => self.queue(bench, count),
            Err(Errno::AGAIN) => self.queue(bench, 0),
            Err(_) => return false,
        }
        true
    }

    fn queue(&mut self, bench: &[u8], from: usize) {
        self.unsent.extend_from_slice(&bench[from.min(bench.len())..]);
    }
}

/// Goes through the records in `bytes`: plain ones to `plain`, which is at least as long, answers to `out`.
fn decrypt<S: Session>(session: &mut S, bytes: &mut [u8], plain: &mut [u8], out: &mut Bench) -> Turn {
    let mut turn = Turn::default();
    loop {
        let UnbufferedStatus { mut discard, state } = session.records(&mut bytes[turn.used..]);
        let goes_on = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let place = record.ok().and_then(|record| {
                        discard += record.discard;
                        let to = plain.get_mut(turn.plain..turn.plain + record.payload.len())?;
                        to.copy_from_slice(record.payload);
                        Some(record.payload.len())
                    });
                    turn.failed |= place.is_none();
                    turn.plain += place.unwrap_or(0);
                }
                !turn.failed
            }
            Ok(ConnectionState::EncodeTlsData(mut answer)) => encode(&mut answer, out),
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                true
            }
            Ok(ConnectionState::PeerClosed) => {
                turn.peer_finished = true;
                true
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => false,
            Err(error) => {
                turn.why = Mismatch::of(&error);
                turn.failed = true;
                false
            }
            // Early data is never offered.
            Ok(_) => {
                turn.failed = true;
                false
            }
        };
        turn.used = (turn.used + discard).min(bytes.len());
        if !goes_on {
            break;
        }
    }
    // The peer is told why. Not a byte more is looked at: with nothing left to send, the library would read on.
    while turn.failed && session.state().wants_write() {
        match session.records(&mut bytes[turn.used..]).state {
            Ok(ConnectionState::EncodeTlsData(mut alert)) if turn.alerts < ALERTS => {
                encode(&mut alert, out);
            }
            _ => break,
        };
        turn.alerts += 1;
    }
    turn
}

fn encode<R>(answer: &mut EncodeTlsData<'_, R>, out: &mut Bench) -> bool {
    let Err(EncodeError::InsufficientSize(needed)) = answer.encode(&mut []) else { return false };
    let Ok(count) = answer.encode(out.room(needed.required_size)) else { return false };
    out.used += count;
    true
}

/// Encrypts `plain`, or the end where there is none. False when the session cannot.
fn encrypt<S: Session>(session: &mut S, held: &mut [u8], plain: Option<&[u8]>, out: &mut Bench) -> bool {
    loop {
        // Whole records were read before: what is held can only be the part of one.
        match session.records(held).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let mut size = plain.map_or(0, <[u8]>::len) + OVERHEAD;
                for _ in 0..2 {
                    let room = out.room(size);
                    let wrote = match plain {
                        Some(plain) => traffic.encrypt(plain, room),
                        None => traffic.queue_close_notify(room),
                    };
                    match wrote {
                        Ok(count) => {
                            out.used += count;
                            return true;
                        }
                        Err(EncryptError::InsufficientSize(needed)) => size = needed.required_size,
                        Err(EncryptError::EncryptExhausted) => break,
                    }
                }
                return false;
            }
            Ok(ConnectionState::EncodeTlsData(mut answer)) => {
                if !encode(&mut answer, out) {
                    return false;
                }
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            Ok(ConnectionState::PeerClosed) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
