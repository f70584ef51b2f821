//! An HTTP/2 connection as its streams see it, and a stream as a client or request holds it.
//!
//! Owns who is rung when there is news: streams and their connection are driven one after the other, never from within
//! each other, so that a panic costs one of them. Must never touch a socket: `h2.rs` moves its bytes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::stream::{Read, Write};
use super::tls::Shaking;
use crate::h2::mux::Wrote;
use crate::h2::{Mux, Reason, Role};
use crate::log::record::{Mismatch, Secured};

/// Keys to be driven before the worker waits again: those of streams first, so that what they write goes out together.
#[derive(Debug, Default)]
pub(super) struct Bells {
    streams: RefCell<Vec<u64>>,
    trunks: RefCell<Vec<u64>>,
}

impl Bells {
    pub(super) fn ring(&self, stream: u64) {
        self.streams.borrow_mut().push(stream);
    }

    /// Whether nobody has news: then the worker may wait.
    pub(super) fn are_still(&self) -> bool {
        self.streams.borrow().is_empty() && self.trunks.borrow().is_empty()
    }

    /// Takes those of streams, or where there is none, those of connections.
    pub(super) fn take(&self) -> Vec<u64> {
        let streams = self.streams.take();
        if streams.is_empty() { self.trunks.take() } else { streams }
    }
}

/// A connection that streams share.
#[derive(Debug)]
pub(super) struct Trunk {
    mux: RefCell<Mux>,
    /// What a client agreed on in TLS.
    secured: Option<Secured>,
    key: Cell<u64>,
    rung: Cell<bool>,
    bells: Rc<Bells>,
    /// Streams that the peer may allow, while it has not said.
    streams: Cell<usize>,
    /// Streams that are given away but not opened yet.
    promised: Cell<usize>,
    /// Who waits for the connection to be made, or for room.
    waiting: RefCell<Vec<u64>>,
    /// Why it could not be made, where that is known.
    pub(super) mismatch: Cell<Option<Mismatch>>,
    /// It has carried a request to its end.
    pub(super) used: Cell<bool>,
}

impl Trunk {
    /// `streams`: how many are allowed at once: a client by us, and by an instance as far as is known.
    pub(super) fn new(role: Role, streams: usize, secured: Option<Secured>, bells: &Rc<Bells>) -> Rc<Self> {
        Rc::new(Self {
            mux: RefCell::new(Mux::allowing(role, streams)),
            secured,
            key: Cell::new(0),
            rung: Cell::new(false),
            bells: Rc::clone(bells),
            streams: Cell::new(streams),
            promised: Cell::new(0),
            waiting: RefCell::default(),
            mismatch: Cell::new(None),
            used: Cell::new(false),
        })
    }

    pub(super) fn name(&self, key: u64) {
        self.key.set(key);
    }

    pub(super) fn key(&self) -> u64 {
        self.key.get()
    }

    /// It is being driven: news from here on ring again.
    pub(super) fn answered(&self) {
        self.rung.set(false);
    }

    /// Does something with the connection, and rings whom that concerns.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Mux) -> T) -> T {
        let mut mux = self.mux.borrow_mut();
        let done = act(&mut mux);
        mux.take_rung(&mut self.bells.streams.borrow_mut());
        done
    }

    /// Has the connection driven soon.
    pub(super) fn wake(&self) {
        if !self.rung.replace(true) {
            self.bells.trunks.borrow_mut().push(self.key.get());
        }
    }

    /// Has everybody look who waits for the connection.
    pub(super) fn ring_waiting(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            self.bells.streams.borrow_mut().append(&mut waiting);
        }
    }

    /// Whether it takes one more stream.
    pub(super) fn has_room(&self) -> bool {
        let mux = self.mux.borrow();
        mux.has_room(self.promised.get()) && (mux.is_greeted() || self.promised.get() < self.streams.get())
    }

    /// Streams that somebody holds, opened or not.
    pub(super) fn streams(&self) -> usize {
        self.mux.borrow().streams() + self.promised.get()
    }
}

/// One stream, as long as somebody holds it.
#[derive(Debug)]
pub(super) struct Strand {
    trunk: Rc<Trunk>,
    /// 0 until it is opened.
    id: u32,
    owner: u64,
    /// The connection took no more when it was to be opened.
    crowded: bool,
    /// How often that happened on other connections before.
    pub(super) hops: u8,
}

impl Strand {
    /// A stream that the client has opened.
    pub(super) fn opened(trunk: &Rc<Trunk>, id: u32, owner: u64) -> Self {
        trunk.with(|mux| mux.adopt(id, owner));
        Self { trunk: Rc::clone(trunk), id, owner, crowded: false, hops: 0 }
    }

    /// A stream that is opened with its first byte: their numbers must grow in the order in which they are used.
    pub(super) fn promised(trunk: &Rc<Trunk>, owner: u64, hops: u8) -> Self {
        trunk.promised.set(trunk.promised.get() + 1);
        trunk.waiting.borrow_mut().push(owner);
        Self { trunk: Rc::clone(trunk), id: 0, owner, crowded: false, hops }
    }

    /// What its client agreed on in TLS.
    pub(super) fn agreed(&self) -> Option<Secured> {
        self.trunk.secured.clone()
    }

    /// What its connection did not have in common with its instance.
    pub(super) fn mismatch(&self) -> Option<Mismatch> {
        self.trunk.mismatch.get()
    }

    /// Where its connection stands.
    pub(super) fn shake(&self) -> Shaking {
        let mux = self.trunk.mux.borrow();
        match () {
            () if mux.is_greeted() => Shaking::Done,
            () if mux.is_over() => Shaking::Failed,
            () => Shaking::Pending,
        }
    }

    /// Whether it can be read and written, and whether it is broken.
    pub(super) fn look(&self) -> (bool, bool, bool) {
        if self.id == 0 {
            let (dead, room) = (self.trunk.mux.borrow().is_over(), !self.trunk.mux.borrow().is_full());
            return (dead, room, dead);
        }
        let look = self.trunk.mux.borrow_mut().look(self.id);
        (look.readable, look.writable, look.broken)
    }

    pub(super) fn read(&self, into: &mut [u8]) -> Read {
        if self.id == 0 {
            return if self.trunk.mux.borrow().is_over() { Read::Broken } else { Read::NotReady };
        }
        let (read, words, end) =
            self.trunk.with(|mux| (mux.read(self.id, into), mux.is_stirred(), mux.is_at_end(self.id)));
        if words {
            self.trunk.wake();
        }
        match read {
            None => Read::Broken,
            Some(0) if end => Read::End,
            Some(0) => Read::NotReady,
            Some(count) => Read::Bytes(count),
        }
    }

    pub(super) fn write(&mut self, head: &[u8], tail: &[u8]) -> Write {
        if self.id == 0 && !self.open() {
            if !self.crowded {
                self.trunk.waiting.borrow_mut().push(self.owner);
            }
            return Write::NotReady;
        }
        let wrote = self.trunk.with(|mux| mux.write(self.id, head, tail));
        self.trunk.wake();
        match wrote {
            Wrote::Took(count) => Write::Took(count),
            Wrote::NotReady => Write::NotReady,
            Wrote::Broken => Write::Broken,
        }
    }

    fn open(&mut self) -> bool {
        let mut mux = self.trunk.mux.borrow_mut();
        if mux.is_full() {
            return false;
        }
        // Others may have been faster than the peer's settings, or its leaving.
        if !mux.has_room(0) {
            self.crowded = true;
            return false;
        }
        self.id = mux.open(self.owner);
        self.trunk.promised.set(self.trunk.promised.get() - 1);
        true
    }

    /// Its request was carried to its end.
    pub(super) fn served(&self) {
        self.trunk.used.set(true);
    }

    /// Whether the peer never looked at it, so that it can be tried elsewhere.
    pub(super) fn was_refused(&self) -> bool {
        self.crowded || (self.id != 0 && self.trunk.mux.borrow().was_refused(self.id))
    }

    /// Where there is no room for it: how many streams the peer allows.
    pub(super) fn crowd(&self) -> Option<usize> {
        self.crowded.then(|| self.trunk.mux.borrow().room())
    }

    /// Whether the peer has ended what is no message, and all of it was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.id != 0 && self.trunk.mux.borrow().is_at_end(self.id)
    }

    /// Has its connection driven, in case that it could go on.
    pub(super) fn press(&self) {
        self.trunk.wake();
    }

    /// Whether it waits for room on its connection, and not for its own window.
    pub(super) fn is_crowded_out(&self) -> bool {
        self.id != 0 && self.trunk.mux.borrow().is_crowded_out(self.id)
    }

    /// Tells the peer that nothing more will come, where what goes is no message, which ends by itself.
    pub(super) fn finish(&self) {
        if self.id != 0 {
            self.trunk.with(|mux| mux.finish_stream(self.id));
            self.trunk.wake();
        }
    }

    /// Has the peer see that it is cut.
    pub(super) fn abort(&self) {
        if self.id != 0 {
            self.trunk.with(|mux| mux.abort(self.id, Reason::INTERNAL_ERROR));
            self.trunk.wake();
        }
    }
}

impl Drop for Strand {
    fn drop(&mut self) {
        if self.id == 0 {
            self.trunk.promised.set(self.trunk.promised.get().saturating_sub(1));
        } else if let Ok(mut mux) = self.trunk.mux.try_borrow_mut() {
            mux.release(self.id);
        }
        self.trunk.wake();
    }
}
