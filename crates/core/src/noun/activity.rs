//! Scaling activities: what a group did, when, and why.
//!
//! Owns the record's shape and AWS's words for its status. The sentences of a cause are [`crate::world`]'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{ActivityId, AutoScalingGroupName, InstanceId, ZoneName};
use crate::time::Timestamp;

/// How long an activity stays known (AWS: six weeks).
pub const ACTIVITY_STAYS: Duration = Duration::from_secs(42 * 24 * 3600);
/// How many activities of one group are known: the newest. A group whose launches fail makes one each time.
pub const ACTIVITIES_KEPT: usize = 1_000;
/// The most characters of a cause (AWS).
pub const CAUSE_LENGTH: usize = 1_023;

/// How far an activity has come (AWS, `ScalingActivityStatusCode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivityStatus {
    /// The instance is on its way up, and not behind its balancers yet.
    PreInService,
    /// Under way.
    InProgress,
    /// The instance's last requests are waited for.
    Draining,
    /// A lifecycle hook is waited for.
    MidLifecycleAction,
    /// Done.
    Successful,
    /// Come to nothing.
    Failed,
    /// Called off.
    Cancelled,
}

impl ActivityStatus {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInService => "PreInService",
            Self::InProgress => "InProgress",
            Self::Draining => "WaitingForELBConnectionDraining",
            Self::MidLifecycleAction => "MidLifecycleAction",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Cancelled)
    }

    /// In percent, as AWS has it.
    #[must_use]
    pub fn progress(self) -> u8 {
        match self {
            Self::PreInService => 30,
            Self::InProgress | Self::Draining => 50,
            Self::MidLifecycleAction => 60,
            Self::Successful | Self::Failed | Self::Cancelled => 100,
        }
    }
}

/// One activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Its id.
    pub id: ActivityId,
    /// Of which group; it may be gone.
    pub group: AutoScalingGroupName,
    /// Its UUID: one made later may bear the same name.
    pub group_id: String,
    /// With which instance; `None` where there came to be none.
    pub instance: Option<InstanceId>,
    /// In which zone.
    pub zone: Option<ZoneName>,
    /// What, such as `Launching a new EC2 instance: i-…`.
    pub description: String,
    /// Why, in sentences.
    pub cause: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How far it has come.
    pub status: ActivityStatus,
    /// What there is to say of that.
    pub message: Option<String>,
}
