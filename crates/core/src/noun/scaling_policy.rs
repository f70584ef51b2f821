//! Scaling policies and scheduled actions: what changes how many members a group is to have.
//!
//! Owns the records' shapes. What a policy comes to is [`crate::scaling::decide`](mod@crate::scaling::decide)'s.

use serde::{Deserialize, Serialize};

use crate::scaling::Recurrence;
use crate::scaling::decide::Rule;
use crate::time::Timestamp;

/// A scaling policy of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// A random UUID, part of its ARN.
    pub id: String,
    /// Whether it counts.
    pub enabled: bool,
    /// What it goes by.
    pub rule: Rule,
    /// Seconds until a new member's metrics count, where the policy has its own.
    pub warmup: Option<u32>,
}

/// A scheduled action of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledAction {
    /// A random UUID, part of its ARN.
    pub id: String,
    /// When it first may act; the moment itself where it does not recur.
    pub start: Option<Timestamp>,
    /// When it acts no more.
    pub end: Option<Timestamp>,
    /// When again.
    pub recurrence: Option<Recurrence>,
    /// By whose clocks; UTC when not stated.
    pub time_zone: Option<String>,
    /// The fewest members from then on.
    pub min: Option<u32>,
    /// The most members from then on.
    pub max: Option<u32>,
    /// How many there are to be from then on.
    pub desired: Option<u32>,
    /// When it acts next.
    pub next: Timestamp,
}

/// A policy's Amazon Resource Name.
#[must_use]
pub fn policy_arn(region: &str, account: &str, id: &str, group: &str, policy: &str) -> String {
    format!(
        "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:autoScalingGroupName/{group}:policyName/{policy}"
    )
}

/// A scheduled action's Amazon Resource Name.
#[must_use]
pub fn action_arn(region: &str, account: &str, id: &str, group: &str, action: &str) -> String {
    format!(
        "arn:aws:autoscaling:{region}:{account}:scheduledUpdateGroupAction:{id}:autoScalingGroupName/{group}:scheduledActionName/{action}"
    )
}
