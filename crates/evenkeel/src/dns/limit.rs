//! The limit on answers: a name server that answers everybody at any rate is a weapon for whoever lies about his address.
//!
//! Owns who has had how many answers of late, in a fixed number of budgets, at the same cost whatever comes. Time is an argument. Source:
//! "DNS Response Rate Limiting" (Vixie, Schryver 2012).

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

/// Answers a second that one network may have over UDP.
pub const RATE: u32 = 500;
/// Answers that it may have at once.
pub const BURST: u32 = 1000;
/// Budgets there are. Networks that fall on the same one share it; which do, nobody can foresee.
const BUDGETS: usize = 16_384;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes.
    Go,
    /// Its asker is sent to TCP instead, where nobody can lie about his address.
    Slip,
    /// Nothing goes.
    Drop,
}

#[derive(Clone)]
struct Budget {
    left: f64,
    at: f64,
    over: u32,
}

/// Who has had how many.
pub struct Limiter {
    budgets: Vec<Budget>,
    hash: RandomState,
}

impl Default for Limiter {
    fn default() -> Self {
        let full = Budget { left: f64::from(BURST), at: 0.0, over: 0 };
        Self { budgets: vec![full; BUDGETS], hash: RandomState::new() }
    }
}

impl Limiter {
    /// Judges one answer to `client` at `now`, in seconds of a clock that never goes back. This machine itself is not limited.
    pub fn judge(&mut self, client: IpAddr, now: f64) -> Verdict {
        let client = client.to_canonical();
        if client.is_loopback() {
            return Verdict::Go;
        }
        let place = usize::try_from(self.hash.hash_one(network(client)) % BUDGETS as u64).unwrap_or(0);
        let budget = &mut self.budgets[place];
        budget.left = ((now - budget.at).max(0.0).mul_add(f64::from(RATE), budget.left)).min(f64::from(BURST));
        budget.at = budget.at.max(now);
        if budget.left >= 1.0 {
            budget.left -= 1.0;
            return Verdict::Go;
        }
        budget.over = budget.over.wrapping_add(1);
        if budget.over.is_multiple_of(2) { Verdict::Slip } else { Verdict::Drop }
    }
}

/// The network of an address: those who lie about addresses have more than one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !(u128::MAX >> 56)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_burst_then_its_rate_and_others_are_not_touched() {
        let mut limiter = Limiter::default();
        let [one, same, other]: [IpAddr; 3] = ["192.0.2.1", "192.0.2.200", "198.51.100.1"].map(|a| a.parse().unwrap());
        for n in 0..BURST {
            assert_eq!(limiter.judge(if n % 2 == 0 { one } else { same }, 0.0), Verdict::Go, "{n}");
        }
        assert_eq!(limiter.judge(one, 0.0), Verdict::Drop);
        assert_eq!(limiter.judge(same, 0.0), Verdict::Slip);
        assert_eq!(limiter.judge(other, 0.0), Verdict::Go);
        let after = (0..RATE * 2).filter(|_| limiter.judge(one, 1.0) == Verdict::Go).count();
        assert_eq!(after, RATE as usize);
        // A clock that seems to go back gives nothing away.
        assert_ne!(limiter.judge(one, 0.5), Verdict::Go);
        for _ in 0..BURST * 2 {
            assert_eq!(limiter.judge("127.0.0.1".parse().unwrap(), 1.0), Verdict::Go);
        }
    }

    #[test]
    fn a_flood_of_forged_networks_gives_nobody_a_new_budget() {
        let mut limiter = Limiter::default();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        while limiter.judge(one, 0.0) == Verdict::Go {}
        for n in 0..100_000u32 {
            limiter.judge(IpAddr::V4((0x0a00_0000 + n * 256).into()), 0.0);
        }
        assert_ne!(limiter.judge(one, 0.0), Verdict::Go);
    }
}
