//! What instances of a type may use. Owns the table from EC2's instance types to processors and memory; must never
//! enforce anything: that is [`crate::sys::cgroup`]'s.

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

/// Type, thousandths of a processor, MiB of memory: EC2's published vCPUs and memory; the first generation's by its
/// compute units, one unit a vCPU (AWS, "Previous Generation Instances").
const TABLE: [(&str, u32, u64); 29] = [
    ("t1.micro", 1000, 627),
    ("m1.small", 1000, 1740),
    ("m1.medium", 1000, 3840),
    ("m1.large", 2000, 7680),
    ("m1.xlarge", 4000, 15360),
    ("c1.medium", 2000, 1740),
    ("c1.xlarge", 8000, 7168),
    ("m3.medium", 1000, 3840),
    ("m3.large", 2000, 7680),
    ("t2.nano", 1000, 512),
    ("t2.micro", 1000, 1024),
    ("t2.small", 1000, 2048),
    ("t2.medium", 2000, 4096),
    ("t2.large", 2000, 8192),
    ("t3.nano", 2000, 512),
    ("t3.micro", 2000, 1024),
    ("t3.small", 2000, 2048),
    ("t3.medium", 2000, 4096),
    ("t3.large", 2000, 8192),
    ("t4g.nano", 2000, 512),
    ("t4g.micro", 2000, 1024),
    ("t4g.small", 2000, 2048),
    ("t4g.medium", 2000, 4096),
    ("m5.large", 2000, 8192),
    ("m5.xlarge", 4000, 16384),
    ("c5.large", 2000, 4096),
    ("c5.xlarge", 4000, 8192),
    ("r5.large", 2000, 16384),
    ("r5.xlarge", 4000, 32768),
];

/// What an instance of this type may use. A type not in the table has no limits.
#[must_use]
pub fn limits_for(instance_type: &str) -> Limits {
    TABLE
        .iter()
        .find(|(name, ..)| *name == instance_type)
        .map_or(Limits::default(), |&(_, cpu, mib)| Limits { cpu_millis: Some(cpu), memory: Some(mib * MIB) })
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
