//! Address pools. Owns the grammar (`127.80.0.0/16`) and the choice of the next free address; must never bind one.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A block of IPv4 addresses. Addresses whose last octet is 0 or 255 are never given out: people take them for
/// networks and broadcasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    first: u32,
    prefix: u8,
}

impl Pool {
    /// Whether the pool holds an address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.to_bits().wrapping_sub(self.first) < self.size(),
            IpAddr::V6(_) => false,
        }
    }

    /// The next free address: the one after the highest in use, so that an address just given back rests as long as
    /// the pool allows; then, at the pool's end, the lowest free one. `None` when all are in use.
    pub(super) fn next(&self, used: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        let usable = |bits: &u32| !matches!(bits & 0xff, 0 | 0xff);
        let all = self.first..=self.first + (self.size() - 1);
        let highest = used.iter().rev().find_map(|a| match a {
            IpAddr::V4(v4) if self.contains(*a) => Some(v4.to_bits()),
            _ => None,
        });
        let after = highest.map_or(self.first, |bits| bits.saturating_add(1));
        let address = |bits: u32| IpAddr::V4(Ipv4Addr::from_bits(bits));
        (after..=*all.end())
            .find(usable)
            .map(address)
            .or_else(|| all.filter(usable).map(address).find(|a| !used.contains(a)))
    }

    fn size(&self) -> u32 {
        1 << (32 - u32::from(self.prefix))
    }
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not an address pool: write it like `127.80.0.0/16`, with a prefix of 8 to 30");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if !(8..=30).contains(&prefix) {
            return Err(bad());
        }
        let pool = Self { first: address.to_bits(), prefix };
        if !pool.first.is_multiple_of(pool.size()) {
            return Err(format!("the address in `{text}` has bits beyond its prefix"));
        }
        Ok(pool)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_read_strictly() {
        let check = |text: &str, good: bool| assert_eq!(text.parse::<Pool>().is_ok(), good, "{text}");
        check("127.80.0.0/16", true);
        check("10.0.0.0/8", true);
        check("127.80.0.1/16", false);
        check("127.80.0.0", false);
        check("127.80.0.0/31", false);
        check("127.80.0.0/7", false);
        check("::1/64", false);
    }

    #[test]
    fn every_usable_address_is_given_once_and_then_none() {
        let pool: Pool = "127.80.0.0/29".parse().unwrap();
        let mut used = BTreeSet::new();
        while let Some(address) = pool.next(&used) {
            assert!(pool.contains(address) && used.insert(address));
        }
        assert_eq!(used.len(), 7);
        let freed: IpAddr = "127.80.0.3".parse().unwrap();
        used.remove(&freed);
        assert_eq!(pool.next(&used), Some(freed));
    }

    #[test]
    fn an_address_given_back_rests() {
        let pool: Pool = "127.80.0.0/24".parse().unwrap();
        let used = BTreeSet::from(["127.80.0.5".parse().unwrap()]);
        assert_eq!(pool.next(&used), Some("127.80.0.6".parse().unwrap()));
    }
}
