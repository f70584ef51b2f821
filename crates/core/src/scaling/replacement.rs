//! How many unhealthy members may be replaced now.
//!
//! Owns that allowance. Must never judge health: who is unhealthy, and by whose word, are arguments. Source: Amazon EC2 Auto
//! Scaling user guide, "Health checks for instances in an Auto Scaling group" and "Instance maintenance policies".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::InstanceId;

/// By whose word a member is unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// It does not run: stopping, stopped, shutting down, terminated.
    NotRunning,
    /// Somebody said so (SetInstanceHealth).
    SetByUser,
    /// Its status is impaired.
    StatusCheck,
    /// A balancer finds it out of service.
    Balancer,
}

impl Cause {
    /// Whether nothing is gained by waiting: it serves nobody, or somebody wants it gone.
    #[must_use]
    pub fn is_immediate(self) -> bool {
        matches!(self, Self::NotRunning | Self::SetByUser)
    }
}

/// A member to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unhealthy {
    /// Who.
    pub instance: InstanceId,
    /// Why.
    pub cause: Cause,
}

/// A group's healthy percentages: an instance maintenance policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The least share of the desired capacity that is in service and healthy, 0–100 %.
    pub min_healthy: u32,
    /// The largest share of it that is there at all, 100–200 %.
    pub max_healthy: u32,
}

/// How a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How many members it is to have.
    pub desired: u32,
    /// Members in service, healthy and warm.
    pub healthy: u32,
    /// Members that come: launched, or not warm yet.
    pub coming: u32,
    /// Members that are being ended because they are unhealthy.
    pub going: u32,
}

/// Why one is not replaced yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// As many as may be at once are being replaced.
    Others {
        /// How many may be.
        at_once: u32,
    },
    /// More than a tenth of the desired capacity is missing: those that come are to be in service and warm first.
    Capacity {
        /// How many are missing.
        missing: u32,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others { at_once } => write!(f, "{at_once} at once are replaced"),
            Self::Capacity { missing } => write!(f, "{missing} members are missing, and are waited for"),
        }
    }
}

/// Who is replaced now, and who waits for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Who is ended now, to be followed by another one.
    pub now: Vec<InstanceId>,
    /// Who waits.
    pub waiting: Vec<(InstanceId, Wait)>,
}

/// A tenth of the desired capacity, and at least one: so many that still run are replaced at once.
#[must_use]
pub fn at_once(desired: u32) -> u32 {
    (desired / 10).max(1)
}

/// Whom to end now of the unhealthy, each to be followed by another one. Those that do not run, or are to go by somebody's
/// word, at once. Of the others a tenth of the desired capacity at a time, and none while more than that is missing; where
/// nobody is healthy, one at a time, since then it is more likely that the check is wrong than that all are. The order of
/// `unhealthy` is kept; those that are being ended already are not among them.
#[must_use]
pub fn replace(unhealthy: &[Unhealthy], group: Standing) -> Replaced {
    let mut replaced = Replaced::default();
    let immediate = || unhealthy.iter().filter(|member| member.cause.is_immediate());
    replaced.now.extend(immediate().map(|member| member.instance.clone()));
    let others: Vec<&Unhealthy> = unhealthy.iter().filter(|member| !member.cause.is_immediate()).collect();
    let at_once = if group.healthy == 0 { 1 } else { at_once(group.desired) };
    // Members that still run serve somebody, well or not; the others are missing until somebody came for them.
    let running = u32::try_from(others.len()).unwrap_or(u32::MAX);
    let missing = group.desired.saturating_sub(group.healthy.saturating_add(running));
    // Whoever goes, or is gone and not followed yet, is a replacement under way.
    let mut room = at_once.saturating_sub(missing.max(group.going));
    for member in others {
        if room > 0 {
            room -= 1;
            replaced.now.push(member.instance.clone());
        } else if missing > at_once {
            replaced.waiting.push((member.instance.clone(), Wait::Capacity { missing }));
        } else {
            replaced.waiting.push((member.instance.clone(), Wait::Others { at_once }));
        }
    }
    replaced
}

/// What may be done at once under a maintenance policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// How many members may be launched before any is ended.
    pub launch: u32,
    /// How many members in service may be ended.
    pub end: u32,
}

/// How many may be launched and ended to replace members under a maintenance policy: with 100 % at least and more than that
/// at most, others are launched first. Where both shares round to nothing, one at a time is ended, or the group would never
/// change (AWS); with 100 % at least, one is launched instead.
#[must_use]
pub fn allowance(policy: Maintenance, group: Standing) -> Allowance {
    let share = |percent: u32| u64::from(group.desired) * u64::from(percent);
    let number = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
    let least = number(share(policy.min_healthy).div_ceil(100));
    let most = number(share(policy.max_healthy) / 100);
    let there = group.healthy.saturating_add(group.coming);
    let launch = most.saturating_sub(there);
    let end = group.healthy.saturating_sub(least);
    let idle = launch == 0 && end == 0 && group.coming == 0 && group.going == 0 && group.healthy > 0;
    match (idle, policy.min_healthy >= 100) {
        (false, _) => Allowance { launch, end },
        (true, true) => Allowance { launch: 1, end },
        (true, false) => Allowance { launch, end: 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhealthy(causes: &[Cause]) -> Vec<Unhealthy> {
        let member = |(number, cause): (usize, &Cause)| Unhealthy {
            instance: InstanceId::new(format!("i-{number:08x}")).unwrap(),
            cause: *cause,
        };
        causes.iter().enumerate().map(member).collect()
    }

    #[test]
    fn a_tenth_at_a_time_and_at_least_one() {
        let check = |desired, healthy, coming, going, causes: &[Cause], now: usize, wait: Option<Wait>| {
            let replaced = replace(&unhealthy(causes), Standing { desired, healthy, coming, going });
            assert_eq!(replaced.now.len(), now, "{replaced:?}");
            assert_eq!(replaced.waiting.last().map(|(_, wait)| *wait), wait, "{replaced:?}");
            assert_eq!(replaced.now.len() + replaced.waiting.len(), causes.len());
        };
        use Cause::*;
        check(4, 4, 0, 0, &[], 0, None);
        check(4, 2, 0, 0, &[Balancer, Balancer], 1, Some(Wait::Others { at_once: 1 }));
        check(20, 15, 0, 0, &[Balancer; 5], 2, Some(Wait::Others { at_once: 2 }));
        // One goes already, or is gone and another one comes.
        check(20, 15, 0, 1, &[Balancer; 4], 1, Some(Wait::Others { at_once: 2 }));
        check(20, 15, 1, 0, &[StatusCheck; 4], 1, Some(Wait::Others { at_once: 2 }));
        check(20, 15, 2, 0, &[StatusCheck; 3], 0, Some(Wait::Others { at_once: 2 }));
        check(20, 12, 3, 0, &[StatusCheck; 5], 0, Some(Wait::Capacity { missing: 3 }));
        // Those that do not run are replaced whatever else is.
        check(20, 12, 3, 0, &[NotRunning, SetByUser, NotRunning], 3, None);
        check(20, 0, 0, 0, &[Balancer; 20], 1, Some(Wait::Others { at_once: 1 }));
        check(3, 1, 0, 0, &[NotRunning, Balancer], 1, Some(Wait::Others { at_once: 1 }));
    }

    #[test]
    fn a_maintenance_policy_says_who_comes_and_goes_first() {
        let check = |min_healthy, max_healthy, group: (u32, u32, u32, u32), launch, end| {
            let (desired, healthy, coming, going) = group;
            let allowed =
                allowance(Maintenance { min_healthy, max_healthy }, Standing { desired, healthy, coming, going });
            assert_eq!(allowed, Allowance { launch, end });
        };
        check(100, 120, (10, 10, 0, 0), 2, 0);
        check(100, 120, (10, 10, 2, 0), 0, 0);
        check(100, 120, (10, 12, 0, 0), 0, 2);
        check(90, 100, (10, 10, 0, 0), 0, 1);
        check(90, 100, (10, 9, 1, 0), 0, 0);
        check(80, 120, (10, 10, 0, 0), 2, 2);
        check(100, 110, (4, 4, 0, 0), 1, 0);
        check(90, 100, (4, 4, 0, 0), 0, 1);
        check(90, 100, (4, 3, 1, 0), 0, 0);
        check(0, 100, (4, 4, 0, 0), 0, 4);
    }
}
