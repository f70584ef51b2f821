//! Waiting: cooldowns, warm-up, and who is kept from what until when.
//!
//! Owns how long those take and [`Block`], the reason as a value that can be shown. Must never decide whom a block concerns:
//! that is [`crate::scaling::decide`](mod@crate::scaling::decide). Source: Amazon EC2 Auto Scaling user guide, "Scaling cooldowns" and "Set the default
//! instance warmup".

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::InstanceId;
use crate::time::Timestamp;

/// DefaultCooldown of a group that states none (AWS).
pub const USUAL_COOLDOWN: Duration = Duration::from_secs(300);

/// A group's rest after an activity that a simple policy, or a person who honours it, began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// When the last instance of the activity was launched or gone.
    pub since: Timestamp,
    /// How long it takes.
    pub length: Duration,
}

impl Cooldown {
    /// When it is over.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.since.plus(self.length)
    }

    /// Whether it keeps anybody waiting: up to its end, and not at it.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until()
    }
}

/// How long a group rests after a policy's activity: the policy's own cooldown, else the group's.
#[must_use]
pub fn length(policy: Option<Duration>, group: Duration) -> Duration {
    policy.unwrap_or(group)
}

/// When a cooldown begins: once the last instance of the activity is launched, its hooks done, or gone, its connections
/// drained. `None` while one of them is not, or for no instance at all.
#[must_use]
pub fn begins(ends: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    ends.into_iter().try_fold(None, |last, end| Some(last.max(Some(end?)))).flatten()
}

/// How long a member warms up: what its policy says (EstimatedInstanceWarmup), else what the group says
/// (DefaultInstanceWarmup), else the group's cooldown.
#[must_use]
pub fn warmup(policy: Option<Duration>, group: Option<Duration>, cooldown: Duration) -> Duration {
    policy.or(group).unwrap_or(cooldown)
}

/// A member that does not count yet: its metrics are left out, and nobody is scaled in while it warms up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warming {
    /// Who.
    pub instance: InstanceId,
    /// When it is warm; `None` while it is not in service.
    pub until: Option<Timestamp>,
}

/// Those of the members that still warm up at a time.
#[must_use]
pub fn still_warming(members: &[Warming], now: Timestamp) -> Vec<&Warming> {
    members.iter().filter(|member| member.until.is_none_or(|until| now < until)).collect()
}

/// Why something is not done now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// The policy is switched off.
    Disabled,
    /// A process of the group is suspended.
    Suspended {
        /// Which, as AWS names it.
        process: String,
    },
    /// The group rests.
    Cooldown {
        /// Until when.
        until: Timestamp,
    },
    /// Something is under way.
    Activity {
        /// Its id.
        id: String,
    },
    /// Members warm up.
    Warming {
        /// How many.
        members: u32,
        /// When the last of them is warm; `None` where one is not in service yet.
        until: Option<Timestamp>,
    },
    /// The metric has no value to go by.
    NoData,
    /// The policy never scales in.
    ScaleInDisabled,
    /// Another policy that tracks a target does not want fewer.
    Disagreement {
        /// Which.
        policy: String,
    },
    /// The group went the same way not long ago.
    Pace {
        /// Until when it does not again.
        until: Timestamp,
    },
    /// It has not been wanted for long enough.
    Stabilizing {
        /// When it will have been, if it goes on.
        until: Timestamp,
    },
}

impl Block {
    /// When it is over, where time alone ends it.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Cooldown { until } | Self::Pace { until } | Self::Stabilizing { until } => Some(*until),
            Self::Warming { until, .. } => *until,
            Self::Disabled
            | Self::Suspended { .. }
            | Self::Activity { .. }
            | Self::NoData
            | Self::ScaleInDisabled
            | Self::Disagreement { .. } => None,
        }
    }

    /// The block of members that warm up, if any do.
    #[must_use]
    pub fn of_warming(members: &[Warming], now: Timestamp) -> Option<Self> {
        let warming = still_warming(members, now);
        let until = warming.iter().try_fold(None, |last, member| Some(last.max(Some(member.until?)))).flatten();
        let members = u32::try_from(warming.len()).unwrap_or(u32::MAX);
        (members > 0).then_some(Self::Warming { members, until })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("the policy is disabled"),
            Self::Suspended { process } => write!(f, "process {process} is suspended"),
            Self::Cooldown { .. } => f.write_str("the group is in its cooldown"),
            Self::Activity { id } => write!(f, "scaling activity {id} is in progress and blocks this action"),
            Self::Warming { members: 1, .. } => f.write_str("1 member warms up"),
            Self::Warming { members, .. } => write!(f, "{members} members warm up"),
            Self::NoData => f.write_str("its metric has no data"),
            Self::ScaleInDisabled => f.write_str("the policy never scales in"),
            Self::Disagreement { policy } => write!(f, "policy {policy} is not ready to scale in"),
            Self::Pace { .. } => f.write_str("the group was scaled the same way not long ago"),
            Self::Stabilizing { .. } => f.write_str("it is not wanted for long enough yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: u64) -> Timestamp {
        Timestamp(second * 1000)
    }

    #[test]
    fn a_cooldown_begins_when_the_last_instance_is_done() {
        assert_eq!(begins([Some(at(3)), Some(at(9)), Some(at(5))]), Some(at(9)));
        assert_eq!(begins([Some(at(3)), None]), None);
        assert_eq!(begins([]), None);
        let cooldown = Cooldown { since: at(9), length: length(None, USUAL_COOLDOWN) };
        assert!(cooldown.holds(at(308)) && !cooldown.holds(at(309)));
        let own = Cooldown { since: at(9), length: length(Some(Duration::from_secs(1)), USUAL_COOLDOWN) };
        assert!(!own.holds(at(10)));
    }

    #[test]
    fn warmup_is_the_policys_the_groups_or_the_cooldown() {
        let seconds = Duration::from_secs;
        assert_eq!(warmup(Some(seconds(1)), Some(seconds(2)), seconds(3)), seconds(1));
        assert_eq!(warmup(None, Some(seconds(2)), seconds(3)), seconds(2));
        assert_eq!(warmup(None, Some(seconds(0)), seconds(3)), seconds(0));
        assert_eq!(warmup(None, None, seconds(3)), seconds(3));
    }

    #[test]
    fn members_that_are_warm_block_nobody() {
        let member =
            |until: Option<u64>| Warming { instance: InstanceId::new("i-00000001").unwrap(), until: until.map(at) };
        let check = |members: &[Warming], block| assert_eq!(Block::of_warming(members, at(10)), block);
        check(&[], None);
        check(&[member(Some(10))], None);
        check(
            &[member(Some(11)), member(Some(12)), member(Some(1))],
            Some(Block::Warming { members: 2, until: Some(at(12)) }),
        );
        check(&[member(Some(11)), member(None)], Some(Block::Warming { members: 2, until: None }));
    }
}
