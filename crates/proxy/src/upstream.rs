//! Connections to one target that wait for their next request.
//!
//! Owns the order in which they are lent. Must never hold a socket: keys stand for them, so that this is plain data.
//! Each worker has its own; a connection never changes its worker.

/// Idle connections one worker keeps for one target and port; more are closed.
pub(crate) const SHELF_CAP: usize = 1024;

/// Idle connections, the one used last on top.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    idle: Vec<u64>,
}

impl Shelf {
    /// Takes the one used last: the rest grow old and are closed, so a calm hour needs few connections.
    pub(crate) fn lend(&mut self) -> Option<u64> {
        self.idle.pop()
    }

    /// Puts one back; false when the shelf is full and it must be closed.
    pub(crate) fn put(&mut self, key: u64) -> bool {
        if self.idle.len() >= SHELF_CAP {
            return false;
        }
        self.idle.push(key);
        true
    }

    /// Takes out one that was closed.
    pub(crate) fn remove(&mut self, key: u64) {
        if let Some(at) = self.idle.iter().rposition(|k| *k == key) {
            self.idle.remove(at);
        }
    }

    /// Whether none is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    /// Takes out all.
    pub(crate) fn clear(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.idle)
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
}
