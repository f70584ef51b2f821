//! Warm pools: members that a group keeps ready beside those that count (AWS, "Decrease latency using warm pools").
//!
//! Owns the record's shape and how large a pool is to be. Who goes into one and comes out of it is [`crate::plan::groups`]'s.

use serde::{Deserialize, Serialize};

/// How members rest in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolState {
    /// Their instances are stopped: they cost their files, and start again when they are needed.
    #[default]
    Stopped,
    /// They run, and serve nobody.
    Running,
}

impl PoolState {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }
}

/// A group's warm pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmPool {
    /// How many members there are to be, with those that the group is to have; its most where not stated.
    pub prepared: Option<u32>,
    /// The fewest in the pool.
    pub min: u32,
    /// How they rest.
    pub state: PoolState,
    /// Whether those that scaling in ends come back into it.
    pub reuses: bool,
    /// Whether it goes once nobody is in it any more.
    pub is_going: bool,
}

impl WarmPool {
    /// How many there are to be in it, where the group is to have so many of at most so many.
    #[must_use]
    pub fn size(&self, desired: u32, max: u32) -> u32 {
        if self.is_going {
            return 0;
        }
        self.prepared.unwrap_or(max).saturating_sub(desired).max(self.min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of AWS's guide.
    #[test]
    fn a_pool_is_what_is_prepared_and_not_in_use_and_never_less_than_its_least() {
        let pool = WarmPool::default();
        assert_eq!((pool.size(6, 10), pool.size(10, 10), pool.size(11, 10)), (4, 0, 0));
        let stated = WarmPool { prepared: Some(8), ..pool };
        assert_eq!((stated.size(6, 10), stated.size(9, 10)), (2, 0));
        let least = WarmPool { min: 3, ..stated };
        assert_eq!((least.size(0, 10), least.size(6, 10), least.size(10, 10)), (8, 3, 3));
        assert_eq!(WarmPool { is_going: true, ..least }.size(0, 10), 0);
    }
}
