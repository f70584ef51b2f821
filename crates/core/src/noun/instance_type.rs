//! Instance types: how much of a node an instance of each may use, and how much a zone has for all of its instances.
//!
//! Owns the table and the arithmetic. Must never hold what is in use: that follows from the instances, in [`crate::world`];
//! nor enforce a limit: that is the house's.

use serde::{Deserialize, Serialize};

/// How much an instance of a type may use: its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// EC2's name.
    pub name: &'static str,
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// MiB.
    pub memory_mib: u32,
}

/// EC2's published vCPUs and memory; the first generation's by its compute units, one unit a vCPU (AWS, "Previous
/// Generation Instances"). In the order of names.
static TABLE: &[InstanceType] = &[
    of("c1.medium", 2, 1740),
    of("c1.xlarge", 8, 7168),
    of("c3.large", 2, 3840),
    of("c3.xlarge", 4, 7680),
    of("c4.large", 2, 3840),
    of("c4.xlarge", 4, 7680),
    of("c5.2xlarge", 8, 16384),
    of("c5.4xlarge", 16, 32768),
    of("c5.large", 2, 4096),
    of("c5.xlarge", 4, 8192),
    of("c6i.2xlarge", 8, 16384),
    of("c6i.large", 2, 4096),
    of("c6i.xlarge", 4, 8192),
    of("c7i.2xlarge", 8, 16384),
    of("c7i.large", 2, 4096),
    of("c7i.xlarge", 4, 8192),
    of("m1.large", 2, 7680),
    of("m1.medium", 1, 3840),
    of("m1.small", 1, 1740),
    of("m1.xlarge", 4, 15360),
    of("m3.large", 2, 7680),
    of("m3.medium", 1, 3840),
    of("m3.xlarge", 4, 15360),
    of("m4.large", 2, 8192),
    of("m4.xlarge", 4, 16384),
    of("m5.2xlarge", 8, 32768),
    of("m5.4xlarge", 16, 65536),
    of("m5.large", 2, 8192),
    of("m5.xlarge", 4, 16384),
    of("m6i.2xlarge", 8, 32768),
    of("m6i.large", 2, 8192),
    of("m6i.xlarge", 4, 16384),
    of("m7i.2xlarge", 8, 32768),
    of("m7i.large", 2, 8192),
    of("m7i.xlarge", 4, 16384),
    of("r5.2xlarge", 8, 65536),
    of("r5.4xlarge", 16, 131_072),
    of("r5.large", 2, 16384),
    of("r5.xlarge", 4, 32768),
    of("r6i.large", 2, 16384),
    of("r6i.xlarge", 4, 32768),
    of("t1.micro", 1, 627),
    of("t2.2xlarge", 8, 32768),
    of("t2.large", 2, 8192),
    of("t2.medium", 2, 4096),
    of("t2.micro", 1, 1024),
    of("t2.nano", 1, 512),
    of("t2.small", 1, 2048),
    of("t2.xlarge", 4, 16384),
    of("t3.2xlarge", 8, 32768),
    of("t3.large", 2, 8192),
    of("t3.medium", 2, 4096),
    of("t3.micro", 2, 1024),
    of("t3.nano", 2, 512),
    of("t3.small", 2, 2048),
    of("t3.xlarge", 4, 16384),
    of("t3a.medium", 2, 4096),
    of("t3a.micro", 2, 1024),
    of("t3a.nano", 2, 512),
    of("t3a.small", 2, 2048),
    of("t4g.medium", 2, 4096),
    of("t4g.micro", 2, 1024),
    of("t4g.nano", 2, 512),
    of("t4g.small", 2, 2048),
];

const fn of(name: &'static str, cpus: u32, memory_mib: u32) -> InstanceType {
    InstanceType { name, cpu_millis: cpus * 1000, memory_mib }
}

impl InstanceType {
    /// All that are known, in the order of names.
    #[must_use]
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// The one of this name. Instances of a type that is not known have no limits.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|known| known.name == name)
    }

    /// Whether AWS counts it as one of a generation before.
    #[must_use]
    pub fn is_previous(&self) -> bool {
        let family = self.name.split('.').next().unwrap_or_default();
        matches!(family, "c1" | "c3" | "m1" | "m3" | "t1")
    }
}

/// How much a zone has for its instances, as its configuration declares it; what is not declared is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_millis: Option<u64>,
    /// MiB.
    pub memory_mib: Option<u64>,
}

/// How much instances may use: the sum of their limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// MiB.
    pub memory_mib: u64,
}

impl Usage {
    /// What so many instances of a type may use; nothing where the type has no limits.
    #[must_use]
    pub fn of(instance_type: &str, count: u64) -> Self {
        InstanceType::named(instance_type).map_or(Self::default(), |known| Self {
            cpu_millis: u64::from(known.cpu_millis).saturating_mul(count),
            memory_mib: u64::from(known.memory_mib).saturating_mul(count),
        })
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }
}

impl Capacity {
    /// Whether nothing is declared.
    #[must_use]
    pub fn is_undeclared(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this much fits.
    #[must_use]
    pub fn holds(&self, usage: Usage) -> bool {
        self.cpu_millis.is_none_or(|most| usage.cpu_millis <= most)
            && self.memory_mib.is_none_or(|most| usage.memory_mib <= most)
    }

    /// How many more of a type fit beside what is used.
    #[must_use]
    pub fn room(&self, used: Usage, of: &InstanceType) -> u64 {
        let fit = |most: Option<u64>, used: u64, each: u32| {
            most.map_or(u64::MAX, |most| most.saturating_sub(used) / u64::from(each.max(1)))
        };
        fit(self.cpu_millis, used.cpu_millis, of.cpu_millis).min(fit(self.memory_mib, used.memory_mib, of.memory_mib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_what_aws_publishes() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        let check = |name: &str, cpu: u32, memory: u32| {
            let known = InstanceType::named(name).unwrap();
            assert_eq!((known.cpu_millis, known.memory_mib), (cpu, memory), "{name}");
        };
        check("m1.small", 1000, 1740);
        check("t2.micro", 1000, 1024);
        check("r5.4xlarge", 16_000, 131_072);
        assert_eq!(InstanceType::named("x9.huge"), None);
    }

    #[test]
    fn the_scarcer_of_the_two_decides_how_many_fit() {
        let check = |cpu_millis, memory_mib, used: Usage, want: u64| {
            let capacity = Capacity { cpu_millis, memory_mib };
            let micro = InstanceType::named("t2.micro").unwrap();
            assert_eq!(capacity.room(used, micro), want);
            assert!(want == u64::MAX || capacity.holds(used.plus(Usage::of("t2.micro", want))));
            assert!(want == u64::MAX || !capacity.holds(used.plus(Usage::of("t2.micro", want + 1))));
        };
        check(Some(4000), Some(2048), Usage::default(), 2);
        check(Some(4000), Some(8192), Usage::default(), 4);
        check(Some(4000), None, Usage::of("m1.large", 1), 2);
        check(Some(500), None, Usage::default(), 0);
        check(None, None, Usage::of("m1.large", 1), u64::MAX);
        // More than is declared is in use after a declaration has become smaller.
        let capacity = Capacity { cpu_millis: Some(1000), memory_mib: None };
        assert_eq!(capacity.room(Usage::of("m1.xlarge", 1), InstanceType::named("t2.micro").unwrap()), 0);
    }
}
