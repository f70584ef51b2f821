//! `X-Amzn-Trace-Id`: one id for a request on all its ways.
//!
//! Owns the field's grammar as AWS's load balancers keep it (AWS, "Request tracing for your Application Load Balancer"):
//! without a field a `Root=` is made; a `Root=` that came is kept, and a `Self=` put before it in the place of any that
//! came; everything else in the field stays. Must never roll dice: ids come from a seed that it is given.

use super::policy;
use super::request::RequestHead;

const NAME: &[u8] = b"x-amzn-trace-id";

/// What makes one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Seconds since 1970.
    pub seconds: u32,
    /// What no other request has: 96 bits.
    pub unique: [u32; 3],
    /// The road's own span, never 0.
    pub span: u64,
    /// Whether that span is to be recorded, as far as the dice go.
    pub sampled: bool,
}

impl Trace {
    /// The id as W3C's trace id: what follows `1-` in `Root=`, as AWS X-Ray has it.
    #[must_use]
    pub fn id(self) -> u128 {
        let words = [self.seconds, self.unique[0], self.unique[1], self.unique[2]];
        words.into_iter().fold(0, |id, word| id << 32 | u128::from(word))
    }
}

/// A source of ids: the same seed gives the same ids (SplitMix64, whose period is 2⁶⁴).
#[derive(Clone, Debug)]
pub struct Ids {
    salt: u32,
    state: u64,
    per_million: u32,
}

impl Ids {
    /// A source; two with different seeds have nothing in common, as far as dice go.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::sampling(seed, 0)
    }

    /// A source that has so many of a million requests recorded.
    #[must_use]
    pub fn sampling(seed: u64, per_million: u32) -> Self {
        let mut ids = Self { salt: 0, state: seed, per_million };
        ids.salt = (ids.roll() >> 32) as u32;
        ids
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next id, at a second since 1970.
    pub fn next(&mut self, seconds: u32) -> Trace {
        let roll = self.roll();
        let span = self.roll().max(1);
        // Of dice of their own: what is sampled must not show in ids.
        let sampled = self.per_million > 0 && self.roll() % 1_000_000 < u64::from(self.per_million);
        Trace { seconds, unique: [self.salt, (roll >> 32) as u32, roll as u32], span, sampled }
    }
}

/// Whether a field carries the id.
#[must_use]
pub fn is_trace(name: &[u8]) -> bool {
    name.len() == NAME.len() && name.eq_ignore_ascii_case(NAME)
}

/// What the client sent; the first of several, none where it was meant for one hop only.
#[must_use]
pub fn of<'a>(bytes: &'a [u8], head: &RequestHead) -> Option<&'a [u8]> {
    let field = head.fields.iter().find(|field| is_trace(field.name.of(bytes)))?;
    let hop = head.connection.names_fields && policy::is_named(bytes, &head.fields, field.name.of(bytes));
    (!hop).then(|| field.value.of(bytes))
}

/// Appends the field's value for an instance.
pub fn value(sent: Option<&[u8]>, new: Trace, out: &mut Vec<u8>) {
    let parts = || {
        let all = sent.unwrap_or_default().split(|b| *b == b';').map(<[u8]>::trim_ascii);
        all.filter(|part| !part.is_empty() && !starts(part, b"self="))
    };
    out.extend_from_slice(if parts().any(|part| starts(part, b"root=")) { b"Self=1-" } else { b"Root=1-" });
    hex(new.seconds, out);
    out.push(b'-');
    new.unique.into_iter().for_each(|word| hex(word, out));
    for part in parts() {
        out.push(b';');
        out.extend_from_slice(part);
    }
}

fn starts(part: &[u8], with: &[u8]) -> bool {
    part.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn hex(word: u32, out: &mut Vec<u8>) {
    out.extend((0..8).rev().map(|at| b"0123456789abcdef"[(word >> (at * 4) & 15) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_made_or_kept() {
        let unique = [0x1245_6789, 0xabcd_ef01, 0x2345_6789];
        let new = Trace { seconds: 0x6789_1234, unique, span: 1, sampled: false };
        let id = "1-67891234-12456789abcdef0123456789";
        let check = |sent: Option<&str>, wanted: &str| {
            let mut out = Vec::new();
            value(sent.map(str::as_bytes), new, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted.replace("NEW", id), "{sent:?}");
        };
        check(None, "Root=NEW");
        check(Some(""), "Root=NEW");
        check(Some("Root=1-5-a"), "Self=NEW;Root=1-5-a");
        check(Some("Root=1-5-a;CalledFrom=app"), "Self=NEW;Root=1-5-a;CalledFrom=app");
        check(Some("Self=1-4-b; Root=1-5-a ;"), "Self=NEW;Root=1-5-a");
        check(Some("Parent=c;Sampled=1"), "Root=NEW;Parent=c;Sampled=1");
        check(Some("Self=1-4-b"), "Root=NEW");
        check(Some(";;;"), "Root=NEW");
    }

    #[test]
    fn ids_come_from_the_seed_alone_and_do_not_repeat() {
        let (mut a, mut b, mut c) = (Ids::new(1), Ids::new(1), Ids::new(2));
        let mut met = std::collections::BTreeSet::new();
        for second in 0..10_000 {
            let id = a.next(second / 1000);
            assert_eq!(id, b.next(second / 1000));
            assert!(met.insert(id.unique) && met.insert(c.next(second / 1000).unique));
        }
    }
}
