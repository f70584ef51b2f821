//! Session tickets, and the keys that seal them.
//!
//! Owns the keys of one listener: a new one every six hours, each good for twelve, all workers share them. Rustls has such
//! a ticketer of its own, but its keys cannot leave the process, and a road that takes over from another must open what
//! that one sealed (RFC 8446 §4.6.1, RFC 5077). Must never show a key. Made by [`super::front`].

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};

use super::TlsFault;

/// After this time new tickets are sealed by a new key.
const PERIOD: Duration = Duration::from_hours(6);
/// After this time a key opens no ticket any more; clients are told so.
const LIFE: Duration = Duration::from_hours(12);
/// Bytes of a key's name, which stands before each ticket.
const NAME: usize = 16;
/// Keys taken over at most; two are in use at a time.
const KEYS: usize = 4;

/// One key, as it is handed over from one road to the next. Whoever has it can read what it sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    name: [u8; NAME],
    secret: [u8; 32],
    /// How old it was, in seconds.
    age: u64,
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").field("age", &self.age).finish_non_exhaustive()
    }
}

/// The keys of one listener, the newest last. Never empty.
pub(crate) struct Ticketer(RwLock<Vec<Key>>);

struct Key {
    name: [u8; NAME],
    secret: [u8; 32],
    sealer: RandomizedNonceKey,
    born: Instant,
}

impl Key {
    fn new(name: [u8; NAME], secret: [u8; 32], born: Instant) -> Option<Self> {
        let sealer = RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()?;
        Some(Self { name, secret, sealer, born })
    }

    fn random(now: Instant) -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME], [0; 32]);
        aws_lc_rs::rand::fill(&mut name).ok()?;
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        Self::new(name, secret, now)
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    fn seal(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = message.to_vec();
        let nonce = self.sealer.seal_in_place_append_tag(Aad::from(self.name), &mut sealed).ok()?;
        Some([self.name.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.sealer.open_in_place(nonce, Aad::from(self.name), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

impl Ticketer {
    /// With a key of its own, or those of the road before.
    pub(crate) fn new(inherited: &[TicketKey]) -> Result<Self, TlsFault> {
        let now = Instant::now();
        let born = |key: &TicketKey| now.checked_sub(Duration::from_secs(key.age));
        let inherited = inherited.iter().rev().take(KEYS).rev();
        let mut keys: Vec<Key> = inherited.filter_map(|key| Key::new(key.name, key.secret, born(key)?)).collect();
        if keys.is_empty() {
            keys.push(Key::random(now).ok_or_else(|| TlsFault::Library("there is no randomness".into()))?);
        }
        Ok(Self(RwLock::new(keys)))
    }

    /// For the road that takes over.
    pub(crate) fn keys(&self) -> Vec<TicketKey> {
        let now = Instant::now();
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = keys.iter().filter(|key| key.age(now) < LIFE);
        fresh.map(|key| TicketKey { name: key.name, secret: key.secret, age: key.age(now).as_secs() }).collect()
    }

    fn seal(&self, message: &[u8], now: Instant) -> Option<Vec<u8>> {
        {
            let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = keys.last().filter(|key| key.age(now) < PERIOD) {
                return key.seal(message);
            }
        }
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been here first.
        if keys.last().is_none_or(|key| key.age(now) >= PERIOD) {
            keys.retain(|key| key.age(now) < LIFE);
            keys.push(Key::random(now)?);
        }
        keys.last()?.seal(message)
    }

    fn open(&self, ticket: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_at_checked(NAME)?;
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.name == name && key.age(now) < LIFE)?.open(sealed)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(LIFE.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, Instant::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_change_age_and_are_handed_over() {
        let (ticketer, begin) = (Ticketer::new(&[]).unwrap(), Instant::now());
        let first = ticketer.seal(b"session", begin).unwrap();
        assert_eq!(ticketer.open(&first, begin).as_deref(), Some(b"session".as_slice()));
        for at in 0..first.len() {
            let mut bent = first.clone();
            bent[at] ^= 1;
            assert_eq!(ticketer.open(&bent, begin), None, "bent at {at}");
            assert_eq!(ticketer.open(&first[..at], begin), None, "cut at {at}");
        }
        let second = ticketer.seal(b"later", begin + PERIOD).unwrap();
        assert_ne!(first[..NAME], second[..NAME]);
        assert!(ticketer.open(&first, begin + PERIOD).is_some());
        assert_eq!(ticketer.open(&first, begin + LIFE), None);
        let heir = Ticketer::new(&ticketer.keys()).unwrap();
        for ticket in [&first, &second] {
            assert!(heir.open(ticket, Instant::now()).is_some());
        }
        assert_eq!(Ticketer::new(&[]).unwrap().open(&second, Instant::now()), None);
        assert!(!format!("{:?} {ticketer:?}", ticketer.keys()).contains("secret"));
    }

    #[test]
    fn what_is_handed_over_ages_on() {
        let old = TicketKey { name: [1; NAME], secret: [2; 32], age: PERIOD.as_secs() };
        let heir = Ticketer::new(&[old]).unwrap();
        let ticket = heir.seal(b"session", Instant::now()).unwrap();
        assert_ne!(ticket[..NAME], [1; NAME], "an old key seals nothing new");
        let kept: Vec<u64> = heir.keys().iter().map(|key| key.age).collect();
        assert!(kept.len() == 2 && kept[0] >= PERIOD.as_secs() && kept[1] < 5, "{kept:?}");
    }
}
