//! Instance refreshes: all members of a group replaced, one after the other, by what it launches with from then on.
//!
//! Owns the record's shape and AWS's words for how far it has come. How many may be replaced at once is
//! [`crate::scaling::refresh`]'s, what follows what [`crate::world`]'s, what is done next [`crate::plan::groups`]'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::AlarmName;
use crate::noun::scaling_group::{AutoScalingGroup, LaunchSource};
use crate::scaling::refresh::Share;
use crate::time::Timestamp;

/// How many refreshes of one group are known: the newest.
pub const REFRESHES_KEPT: usize = 20;
/// How long one that is over stays known (AWS: six weeks).
pub const REFRESH_STAYS: Duration = Duration::from_secs(42 * 24 * 3600);
/// The most alarms that one heeds (AWS).
pub const MOST_ALARMS: usize = 10;

/// How far a refresh has come (AWS, `InstanceRefreshStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshStatus {
    /// Asked for.
    Pending,
    /// Members are being replaced.
    InProgress,
    /// All are replaced, and are watched for a time.
    Baking,
    /// Done.
    Successful,
    /// Given up.
    Failed,
    /// Nobody is replaced any more; what is under way is waited for.
    Cancelling,
    /// Called off.
    Cancelled,
    /// Those that replaced others are replaced by what was there before.
    RollbackInProgress,
    /// As it was before.
    RollbackSuccessful,
    /// The way back was given up.
    RollbackFailed,
}

impl RefreshStatus {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Baking => "Baking",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::RollbackInProgress => "RollbackInProgress",
            Self::RollbackSuccessful => "RollbackSuccessful",
            Self::RollbackFailed => "RollbackFailed",
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_over(self) -> bool {
        use RefreshStatus as S;
        matches!(self, S::Successful | S::Failed | S::Cancelled | S::RollbackSuccessful | S::RollbackFailed)
    }

    /// Whether members are replaced.
    #[must_use]
    pub fn replaces(self) -> bool {
        matches!(self, Self::InProgress | Self::RollbackInProgress)
    }
}

/// What becomes of members that are protected from scaling in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtectedMembers {
    /// They are replaced.
    Refresh,
    /// They stay as they are.
    Ignore,
    /// It is waited, for an hour, until they are protected no more.
    #[default]
    Wait,
}

impl ProtectedMembers {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refresh, Self::Ignore, Self::Wait];

    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "Refresh",
            Self::Ignore => "Ignore",
            Self::Wait => "Wait",
        }
    }
}

/// What becomes of members that stand by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandbyMembers {
    /// They are ended.
    Terminate,
    /// They stay as they are.
    Ignore,
    /// It is waited, for an hour, until they are back in service.
    #[default]
    Wait,
}

impl StandbyMembers {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Terminate, Self::Ignore, Self::Wait];

    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "Terminate",
            Self::Ignore => "Ignore",
            Self::Wait => "Wait",
        }
    }
}

/// How members are to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshPreferences {
    /// How many are there at least, and at most.
    pub share: Share,
    /// Seconds in service until a new member counts; the group's warm-up, or else its grace, where not stated.
    pub warmup: Option<u32>,
    /// Shares of the group, in percent, at which it is paused.
    pub checkpoints: Vec<u32>,
    /// Seconds that such a pause lasts.
    pub checkpoint_delay: u32,
    /// Whether members stay that are launched with the same already.
    pub skips_matching: bool,
    /// Whether it goes back by itself where it fails.
    pub rolls_back: bool,
    /// What becomes of the protected.
    pub protected: ProtectedMembers,
    /// What becomes of those that stand by.
    pub standby: StandbyMembers,
    /// Alarms of which none may be in ALARM.
    pub alarms: Vec<AlarmName>,
    /// Seconds that it is watched when all are replaced.
    pub bake: u32,
}

/// The way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// Since when.
    pub started: Timestamp,
    /// How many percent were replaced then.
    pub percent: u8,
    /// How many were not replaced then: they stay.
    pub left: u32,
    /// How many are to be replaced on the way back.
    pub deployed: u32,
}

/// One instance refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRefresh {
    /// A random UUID.
    pub id: String,
    /// How far it has come.
    pub status: RefreshStatus,
    /// Why that is so, where there is more to say.
    pub reason: Option<String>,
    /// When it was asked for.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// What members are launched with, and the group from then on; `None` for what the group has.
    pub desired: Option<LaunchSource>,
    /// How.
    pub preferences: RefreshPreferences,
    /// When it last came further: an hour without fails it.
    pub progressed: Timestamp,
    /// Replacements that came to nothing, since one last came to something.
    pub failures: u32,
    /// What the last of them died of.
    pub failure: Option<String>,
    /// How many checkpoints are behind it.
    pub checkpoint: u32,
    /// Until when it is paused at the last of them, or watched.
    pub until: Option<Timestamp>,
    /// Whether what is under way is waited for where it is called off.
    pub waits: bool,
    /// How many percent were replaced when it was over.
    pub percent: u8,
    /// How many were still to be replaced when it was over.
    pub left: u32,
    /// The way back, where there is one.
    pub rollback: Option<Rollback>,
}

/// What a refresh has to do with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshMark {
    /// It is to be replaced.
    Old,
    /// It was launched since, and was not seen well for long enough.
    New,
    /// It replaces another.
    Updated,
}

impl AutoScalingGroup {
    /// The refresh that is under way.
    #[must_use]
    pub fn refresh(&self) -> Option<&InstanceRefresh> {
        self.refreshes.last().filter(|refresh| !refresh.status.is_over())
    }

    /// The same, to be changed.
    pub fn refresh_mut(&mut self) -> Option<&mut InstanceRefresh> {
        self.refreshes.last_mut().filter(|refresh| !refresh.status.is_over())
    }

    /// What the next member is launched with: the group's own, unless a refresh is bringing something else.
    #[must_use]
    pub fn launching(&self) -> &LaunchSource {
        let brings =
            |refresh: &&InstanceRefresh| matches!(refresh.status, RefreshStatus::InProgress | RefreshStatus::Baking);
        self.refresh().filter(brings).and_then(|refresh| refresh.desired.as_ref()).unwrap_or(&self.launch)
    }

    /// How long a new member is in service until a refresh counts it (AWS: the warm-up, or else the grace).
    #[must_use]
    pub fn refresh_warmup(&self, refresh: &InstanceRefresh) -> Duration {
        let seconds = refresh.preferences.warmup.or(self.warmup).unwrap_or(self.grace);
        Duration::from_secs(seconds.into())
    }
}
