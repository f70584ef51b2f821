//! Ground to play on: blocks of loopback addresses that nobody else uses, and ports that are free on them.
//!
//! Owns the claims; must never bind an address below a block's last one for longer than a look. A block is held by a
//! socket on its last address, which the kernel frees with this process, however it ends.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// Where claims are made: the same for every program that claims blocks.
pub const CLAIM_PORT: u16 = 61_999;
/// How many blocks are tried.
const TRIES: usize = 1000;

/// A /24 of loopback addresses.
#[derive(Debug)]
pub struct Block {
    net: Ipv4Addr,
    _claim: TcpListener,
}

impl Block {
    /// A random one between 127.100.0.0 and 127.227.255.0, away from the addresses people use; `None` if all that were
    /// tried are taken.
    #[must_use]
    pub fn claim() -> Option<Self> {
        let used = listened_on();
        (0..TRIES).find_map(|_| {
            let dice = RandomState::new().build_hasher().finish().to_le_bytes();
            let net = Ipv4Addr::new(127, 100 + dice[0] % 128, dice[1], 0);
            if used.iter().any(|address| address.octets()[..3] == net.octets()[..3]) {
                return None;
            }
            let claim = TcpListener::bind((last(net), CLAIM_PORT)).ok()?;
            Some(Self { net, _claim: claim })
        })
    }

    /// Whether a port can be bound on it.
    #[must_use]
    pub fn is_free(&self, port: u16) -> bool {
        TcpListener::bind((last(self.net), port)).is_ok()
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/24", self.net)
    }
}

fn last(net: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = net.octets();
    Ipv4Addr::new(a, b, c, 255)
}

/// Loopback addresses that somebody listens on: a demo that was kept holds no claim any more.
fn listened_on() -> Vec<Ipv4Addr> {
    // Without the table the claim alone has to do.
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().skip(1).filter_map(local_address).filter(|address| address.is_loopback()).collect()
}

/// The local address of a line of `/proc/net/tcp`: the number in network order, printed as this machine reads it.
fn local_address(line: &str) -> Option<Ipv4Addr> {
    let hex = line.split_whitespace().nth(1)?.split(':').next()?;
    Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_claimed_once_and_its_addresses_are_seen_in_use() {
        let (one, two) = (Block::claim().unwrap(), Block::claim().unwrap());
        assert_ne!(one.net, two.net);
        assert!(TcpListener::bind((last(one.net), CLAIM_PORT)).is_err());
        let [a, b, c, _] = one.net.octets();
        let held = TcpListener::bind((Ipv4Addr::new(a, b, c, 7), 0)).unwrap();
        assert!(listened_on().contains(&Ipv4Addr::new(a, b, c, 7)));
        assert!(!one.is_free(CLAIM_PORT));
        assert!(one.is_free(held.local_addr().unwrap().port()));
        assert_eq!(one.to_string(), format!("{a}.{b}.{c}.0/24"));
    }
}
