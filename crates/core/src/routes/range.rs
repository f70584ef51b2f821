//! Ranges of addresses: whom a listener believes, and whom it lets in.
//!
//! Owns the text form (`10.0.0.0/8`, `::1`) and what lies within one or many. Must never resolve a name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// All addresses that share their first bits with one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    address: IpAddr,
    bits: u8,
}

/// A text that is no range of addresses. Completes "failed to …: `text` …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an IP address, or one with a prefix length of at most 32 (IPv4) or 128 (IPv6), such as `10.0.0.0/8`")]
pub struct BadRange;

impl AddressRange {
    /// Whether an address lies within; an IPv4 address that is written as IPv6 (`::ffff:…`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let shares = |a: u128, b: u128, width: u32| {
            let shift = width - u32::from(self.bits);
            a.checked_shr(shift) == b.checked_shr(shift)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => shares(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => shares(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// Many ranges, for a quick look whether one of them holds an address: at most one step for each doubling of their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// First and last addresses, in order, none touching another; IPv4 and IPv6 apart.
    four: Box<[(u32, u32)]>,
    six: Box<[(u128, u128)]>,
}

impl AddressSet {
    /// Of these ranges, in any order.
    #[must_use]
    pub fn new(ranges: &[AddressRange]) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for range in ranges {
            let host = |width: u32| u128::MAX.checked_shr(128 - width + u32::from(range.bits)).unwrap_or(0);
            match range.address {
                IpAddr::V4(address) => {
                    let host = host(32) as u32;
                    four.push((address.to_bits() & !host, address.to_bits() | host));
                }
                IpAddr::V6(address) => six.push((address.to_bits() & !host(128), address.to_bits() | host(128))),
            }
        }
        Self { four: joined(four), six: joined(six) }
    }

    /// Whether one of the ranges [contains](AddressRange::contains) the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.four, address.to_bits()),
            IpAddr::V6(address) => holds(&self.six, address.to_bits()),
        }
    }
}

fn joined<T: Ord + Copy>(mut spans: Vec<(T, T)>) -> Box<[(T, T)]> {
    spans.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        match joined.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined.into()
}

fn holds<T: Ord>(spans: &[(T, T)], address: T) -> bool {
    let after = spans.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|at| spans.get(at)).is_some_and(|(_, last)| address <= *last)
}

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| BadRange)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| BadRange)?
            }
            Some(_) => return Err(BadRange),
        };
        if bits > most { Err(BadRange) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few addresses and short prefixes, so that ranges touch, cover and miss each other.
        #[test]
        fn a_set_holds_what_one_of_its_ranges_does(
            ranges in prop::collection::vec((any::<bool>(), 0u8..=255, 0u8..=255, 0u8..=32), 0..12),
            asked: (bool, u8, u8),
        ) {
            let address = |six: bool, high: u8, low: u8| -> IpAddr {
                if six { [u16::from(high) << 8, 0, 0, 0, 0, 0, 0, low.into()].into() } else { [high, 0, 0, low].into() }
            };
            let range = |&(six, high, low, bits): &(bool, u8, u8, u8)| -> AddressRange {
                let bits = if six { u32::from(bits) * 4 } else { bits.into() };
                format!("{}/{bits}", address(six, high, low)).parse().unwrap()
            };
            let ranges: Vec<AddressRange> = ranges.iter().map(range).collect();
            let set = AddressSet::new(&ranges);
            let asked = [address(asked.0, asked.1, asked.2)];
            for address in asked.into_iter().chain(ranges.iter().map(|range| range.address)) {
                prop_assert_eq!(set.contains(address), ranges.iter().any(|range| range.contains(address)), "{}", address);
            }
        }
    }

    #[test]
    fn sets_hold_the_edges_of_their_ranges() {
        let set = |texts: &[&str]| AddressSet::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>());
        let check = |set: &AddressSet, address: &str, within: bool| {
            assert_eq!(set.contains(address.parse().unwrap()), within, "{address} {set:?}");
        };
        let some = set(&["10.0.0.7/24", "10.0.1.0/24", "192.168.1.1", "fd00::/8", "10.0.0.0/28"]);
        for (address, within) in [
            ("10.0.0.0", true),
            ("10.0.1.255", true),
            ("10.0.2.0", false),
            ("9.255.255.255", false),
            ("192.168.1.1", true),
            ("192.168.1.0", false),
            ("::ffff:10.0.0.1", true),
            ("fdff::1", true),
            ("fe00::", false),
        ] {
            check(&some, address, within);
        }
        check(&set(&["0.0.0.0/0"]), "255.255.255.255", true);
        check(&set(&["0.0.0.0/0"]), "::1", false);
        check(&set(&["::/0"]), "ffff::", true);
        check(&set(&[]), "10.0.0.1", false);
    }

    #[test]
    fn ranges_hold_what_shares_their_prefix() {
        let check = |range: &str, address: &str, within: bool| {
            let range: AddressRange = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), within, "{range} {address}");
            assert_eq!(range.to_string().parse::<AddressRange>(), Ok(range));
        };
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "::1", true);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "fe80::1", false);
        check("fd00::1", "fd00::2", false);
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "10.0.0.0/8/8", "10.0.0.0/0008"] {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadRange), "{bad}");
        }
    }
}
