//! Connections to one target that wait for their next request.
//!
//! Owns the order in which they are lent. Must never hold a socket: keys stand for them, so that this is plain data.
//! Each worker has its own; a connection never changes its worker.

/// Idle connections one worker keeps for one target and port; more are closed.
pub(crate) const SHELF_CAP: usize = 1024;

/// Idle connections, the one used last on top, and apart from them those that were made ahead and have carried nothing.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    idle: Vec<u64>,
    unused: Vec<u64>,
}

impl Shelf {
    /// Takes the one used last: the rest grow old and are closed, so a calm hour needs few connections. Those that have
    /// carried nothing are left to whom nothing else will do, while there are others.
    pub(crate) fn lend(&mut self) -> Option<u64> {
        self.idle.pop().or_else(|| self.lend_unused())
    }

    /// Takes the youngest that has carried nothing.
    pub(crate) fn lend_unused(&mut self) -> Option<u64> {
        self.unused.pop()
    }

    /// Puts one back; false when the shelf is full and it must be closed.
    pub(crate) fn put(&mut self, key: u64) -> bool {
        if self.room() == 0 {
            return false;
        }
        self.idle.push(key);
        true
    }

    /// Puts one there that has carried nothing; false as above.
    pub(crate) fn put_unused(&mut self, key: u64) -> bool {
        if self.room() == 0 {
            return false;
        }
        self.unused.push(key);
        true
    }

    /// How many have carried nothing.
    pub(crate) fn unused(&self) -> usize {
        self.unused.len()
    }

    /// The oldest of them.
    pub(crate) fn oldest_unused(&self) -> Option<u64> {
        self.unused.first().copied()
    }

    /// How many more there may be.
    pub(crate) fn room(&self) -> usize {
        SHELF_CAP.saturating_sub(self.idle.len() + self.unused.len())
    }

    /// Takes out one that was closed.
    pub(crate) fn remove(&mut self, key: u64) {
        for kept in [&mut self.idle, &mut self.unused] {
            if let Some(at) = kept.iter().rposition(|k| *k == key) {
                kept.remove(at);
            }
        }
    }

    /// Whether none is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.unused.is_empty()
    }

    /// Takes out all.
    pub(crate) fn clear(&mut self) -> Vec<u64> {
        let mut keys = std::mem::take(&mut self.idle);
        keys.append(&mut self.unused);
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_put_back_is_lent_first_and_the_shelf_is_bounded() {
        let mut shelf = Shelf::default();
        for key in 0..SHELF_CAP as u64 {
            assert!(shelf.put(key));
        }
        assert!(!shelf.put(999));
        shelf.remove(SHELF_CAP as u64 - 1);
        shelf.remove(12345);
        assert_eq!(shelf.lend(), Some(SHELF_CAP as u64 - 2));
        assert_eq!(shelf.clear().len(), SHELF_CAP - 2);
        assert_eq!(shelf.lend(), None);
    }

    #[test]
    fn what_has_carried_nothing_is_kept_for_whom_nothing_else_will_do() {
        let mut shelf = Shelf::default();
        assert!(shelf.put_unused(1) && shelf.put_unused(2) && shelf.put(3) && shelf.put_unused(4));
        assert_eq!((shelf.unused(), shelf.oldest_unused()), (3, Some(1)));
        assert_eq!((shelf.lend(), shelf.lend(), shelf.lend_unused()), (Some(3), Some(4), Some(2)));
        shelf.remove(1);
        assert!(shelf.is_empty() && shelf.lend_unused().is_none());
        // Together they are bounded.
        assert!((1..=SHELF_CAP as u64).all(|key| shelf.put(key)));
        assert!(!shelf.put_unused(0));
        assert_eq!(shelf.lend(), Some(SHELF_CAP as u64));
        assert!(shelf.put_unused(0) && !shelf.put(0));
        assert_eq!(shelf.clear().len(), SHELF_CAP);
    }
}
