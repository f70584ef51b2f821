//! What a worker drives, by key.
//!
//! Owns keys: a place and how often it was given away, so that an event for a connection that is gone is known as
//! stale. Must never look into what it holds.

use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use super::client::Client;
use super::greet::Greeter;
use super::h2::Bundle;
use super::listen::Bound;
use super::origin::Origin;
use super::pipe::Tunnel;
use super::view::GateView;

/// What a key stands for.
pub(super) enum Slot {
    /// Its content is being driven right now.
    Busy,
    Listener(Arc<Bound>, Rc<GateView>),
    /// A connection that has yet to say whom it speaks for.
    Greeter(Box<Greeter>),
    Client(Box<Client>),
    Tunnel(Box<Tunnel>),
    /// An HTTP/2 connection, to a client or an instance.
    Bundle(Box<Bundle>),
    /// A connection to an instance that waits for its next request.
    Idle(Box<Origin>),
    /// A connection to an instance that is being made before anybody asks.
    Ahead(Box<Origin>),
    /// A connection to an instance that the named client or tunnel holds.
    Lent(u64),
}

struct Entry {
    generation: u32,
    /// The wheel's tick that counts for it; 0 for none.
    armed: u64,
    slot: Slot,
}

/// All slots of a worker.
#[derive(Default)]
pub(super) struct Slots {
    slab: Slab<Entry>,
    generation: u32,
}

impl Slots {
    /// A new key.
    pub(super) fn add(&mut self, slot: Slot) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        let index = self.slab.insert(Entry { generation: self.generation, armed: 0, slot });
        u64::from(self.generation) << 32 | index as u64 & 0xffff_ffff
    }

    fn entry(&mut self, key: u64) -> Option<&mut Entry> {
        let index = usize::try_from(key & 0xffff_ffff).ok()?;
        self.slab.get_mut(index).filter(|entry| u64::from(entry.generation) == key >> 32)
    }

    pub(super) fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        self.entry(key).map(|entry| &mut entry.slot)
    }

    /// Takes the content out, leaving [`Slot::Busy`].
    pub(super) fn take(&mut self, key: u64) -> Option<Slot> {
        self.slot(key).map(|slot| std::mem::replace(slot, Slot::Busy))
    }

    pub(super) fn put(&mut self, key: u64, content: Slot) {
        if let Some(slot) = self.slot(key) {
            *slot = content;
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Slot> {
        self.entry(key)?;
        let index = usize::try_from(key & 0xffff_ffff).ok()?;
        self.slab.try_remove(index).map(|entry| entry.slot)
    }

    pub(super) fn armed(&mut self, key: u64) -> Option<&mut u64> {
        self.entry(key).map(|entry| &mut entry.armed)
    }

    /// Everything there is.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slab.iter().map(|(_, entry)| &entry.slot)
    }

    /// All keys whose content fits.
    pub(super) fn keys(&self, fits: impl Fn(&Slot) -> bool) -> Vec<u64> {
        let fitting = self.slab.iter().filter(|(_, entry)| fits(&entry.slot));
        fitting.map(|(index, entry)| u64::from(entry.generation) << 32 | index as u64 & 0xffff_ffff).collect()
    }
}
