//! What auto scaling groups tell topics.
//!
//! Owns the shapes, AWS's words for the events, and how much may wait. When something is told is [`crate::world`]'s to say; the
//! messages' texts are the house's. Source: Auto Scaling user guide, "Amazon SNS notifications" and "Lifecycle hook notifications".

use serde::{Deserialize, Serialize};

use crate::name::{ActivityId, InstanceId, ScalingName, TopicArn};
use crate::noun::scaling_group::Transition;
use crate::time::Timestamp;

/// What a group keeps to be told at most: past it the oldest goes.
pub const MOST_NOTICES: usize = 200;

/// What a group tells of (AWS, `NotificationType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotificationType {
    /// A member came into service.
    Launch,
    /// A launch came to nothing.
    LaunchError,
    /// A member ended.
    Terminate,
    /// An end came to nothing.
    TerminateError,
    /// That it will.
    Test,
}

impl NotificationType {
    /// All of them, in AWS's order.
    pub const ALL: [Self; 5] = [Self::Launch, Self::LaunchError, Self::Terminate, Self::TerminateError, Self::Test];

    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launch => "autoscaling:EC2_INSTANCE_LAUNCH",
            Self::LaunchError => "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
            Self::Terminate => "autoscaling:EC2_INSTANCE_TERMINATE",
            Self::TerminateError => "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
            Self::Test => "autoscaling:TEST_NOTIFICATION",
        }
    }

    /// The one that AWS calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One thing to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupNotice {
    /// Its number: no two of a group have the same one.
    pub number: u64,
    /// Whom.
    pub topic: TopicArn,
    /// When it came about.
    pub at: Timestamp,
    /// What.
    pub told: GroupTold,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupTold {
    /// That it will be told; of a hook where one is named.
    Test {
        /// The hook.
        hook: Option<ScalingName>,
    },
    /// An activity that is over.
    Activity {
        /// What became of it.
        event: NotificationType,
        /// Which.
        activity: ActivityId,
    },
    /// A member that waits for a hook.
    Wait {
        /// Which member.
        instance: InstanceId,
        /// For which hook.
        hook: ScalingName,
        /// Before what.
        transition: Transition,
        /// Whoever has it may answer.
        token: String,
        /// The hook's words.
        metadata: Option<String>,
        /// Whether it is on its way into the warm pool, or out of it; of neither a member that has nothing to do with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<PoolPassage>,
    },
}

/// On which side of a member's way the warm pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolPassage {
    /// It goes there.
    In,
    /// It comes from there.
    Out,
}
