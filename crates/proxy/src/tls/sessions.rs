//! Sessions of TLS 1.2 clients that resume by id (RFC 5246 §7.3) because they know no tickets.
//!
//! Owns how many are kept and for how long. Must never be asked for the others: tickets cost the road no memory, so they
//! come first, and TLS 1.3 has nothing else. Made by [`super::front`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// Sessions that one listener keeps, twice: as many again may be left from the period before. About 200 bytes each.
const KEPT: usize = 1024;
/// After this time new sessions go to a new store; after twice as long the old ones are forgotten, as are tickets.
const PERIOD: Duration = Duration::from_hours(6);

/// A listener's sessions, shared by all workers. Nothing is allocated before a client needs it.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Stores>);

#[derive(Debug, Default)]
struct Stores {
    new: Option<(Instant, Arc<ServerSessionMemoryCache>)>,
    old: Option<(Instant, Arc<ServerSessionMemoryCache>)>,
}

impl Stores {
    /// Forgets what is too old.
    fn age(&mut self, now: Instant) {
        let is_past = |since: Instant, span| now.saturating_duration_since(since) >= span;
        if self.new.as_ref().is_some_and(|(since, _)| is_past(*since, PERIOD)) {
            self.old = self.new.take();
        }
        self.old.take_if(|(since, _)| is_past(*since, 2 * PERIOD));
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ServerSessionMemoryCache>> {
        self.new.iter().chain(&self.old).map(|(_, store)| store)
    }

    fn put(&mut self, id: Vec<u8>, session: Vec<u8>, now: Instant) -> bool {
        self.age(now);
        let (_, store) = self.new.get_or_insert_with(|| (now, ServerSessionMemoryCache::new(KEPT)));
        store.put(id, session)
    }

    fn find(&mut self, id: &[u8], now: Instant) -> Option<Vec<u8>> {
        self.age(now);
        self.all().find_map(|store| store.get(id))
    }
}

impl Sessions {
    fn stores(&self) -> MutexGuard<'_, Stores> {
        // A store that a panic left half done is at worst a session short.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        self.stores().put(id, session, Instant::now())
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.stores().find(id, Instant::now())
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.stores().all().find_map(|store| store.take(id))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded_in_number_and_in_time() {
        let (mut stores, begin) = (Stores::default(), Instant::now());
        for number in 0..3 * KEPT {
            assert!(stores.put(number.to_le_bytes().to_vec(), vec![1], begin));
        }
        let kept = |stores: &mut Stores, at| {
            (0..3 * KEPT).filter(|number| stores.find(&number.to_le_bytes(), at).is_some()).count()
        };
        let at_first = kept(&mut stores, begin);
        assert!((KEPT..=2 * KEPT).contains(&at_first), "{at_first}");
        assert_eq!(kept(&mut stores, begin + PERIOD), at_first);
        stores.put(b"late".to_vec(), vec![2], begin + PERIOD);
        assert_eq!(kept(&mut stores, begin + 2 * PERIOD), 0);
        assert_eq!(stores.find(b"late", begin + 2 * PERIOD), Some(vec![2]));
        assert_eq!(stores.find(b"late", begin + 3 * PERIOD), None);
    }
}
