//! What an instance may use, in the units that are enforced. Owns the way there from a type; the table of types is core's, which
//! counts by it what a zone has room for. Must never enforce anything: that is [`crate::sys::cgroup`]'s.

use evenkeel_core::noun::InstanceType;
use serde::{Deserialize, Serialize};

/// What one instance may use. Nothing set means no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u64>,
}

const MIB: u64 = 1024 * 1024;

/// What an instance of this type may use. A type not in the table has no limits.
#[must_use]
pub fn limits_for(instance_type: &str) -> Limits {
    InstanceType::named(instance_type).map_or(Limits::default(), |known| Limits {
        cpu_millis: Some(known.cpu_millis),
        memory: Some(u64::from(known.memory_mib) * MIB),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_have_limits_and_unknown_ones_none() {
        assert_eq!(limits_for("m1.small"), Limits { cpu_millis: Some(1000), memory: Some(1740 * MIB) });
        assert_eq!(limits_for("t2.micro").memory, Some(1024 * MIB));
        assert_eq!(limits_for("x9.huge"), Limits::default());
    }
}
