//! Hashes that are the same on every node, in every process and after every restart.
//!
//! Owns them for consistent hashing. They withstand accident, not attack: who may choose its own key may choose its
//! instance, as with any hash that must be the same everywhere.

/// The hash of some bytes: FNV-1a, mixed so that every bit of it counts.
#[must_use]
pub fn of(bytes: &[u8]) -> u64 {
    mixed(
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)),
    )
}

/// How near a key is to somebody of that hash and weight: weighted rendezvous hashing. Who is nearest of all gets the
/// key, each as many keys as its weight says.
#[must_use]
pub fn nearness(key: u64, id: u64, weight: u32) -> f64 {
    // In (0, 1): 53 bits are what a float holds.
    let even = ((mixed(key ^ id.rotate_left(32)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(weight) / -even.ln()
}

/// SplitMix64's finaliser.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        // Nodes of different versions must agree.
        assert_eq!(of(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(of(b"203.0.113.9"), of(b"203.0.113.9"));
        assert_ne!(of(b"203.0.113.9"), of(b"203.0.113.8"));
    }
}
