//! What alters alarms.
//!
//! Owns the shapes of these Changes. Must never judge them: that is [`crate::world::alarms`]'s. The first six are callers', the
//! others the loops'.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::AlarmName;
use crate::noun::{AlarmSettings, AlarmState};
use crate::time::Timestamp;

/// One alteration of alarms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AlarmChange {
    /// A new alarm, or other settings for one that is there; the same ones are a success that changes nothing.
    Put(Box<NewAlarm>),
    /// Alarms' end; all or none of a call.
    Delete {
        /// Which.
        alarms: Vec<AlarmName>,
    },
    /// A state by hand, until the alarm is next judged.
    SetState {
        /// Of which.
        alarm: AlarmName,
        /// The state.
        state: AlarmState,
        /// Why, in the caller's words.
        reason: String,
        /// Why, as JSON, checked by the caller.
        data: Option<String>,
    },
    /// Whether alarms do anything; those that are not there are passed over.
    SetActions {
        /// Which.
        alarms: Vec<AlarmName>,
        /// Whether they do from now on.
        enabled: bool,
    },
    /// Tags on an alarm, at most 50.
    Tag {
        /// Which.
        alarm: AlarmName,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off an alarm.
    Untag {
        /// Which.
        alarm: AlarmName,
        /// Keys.
        keys: Vec<String>,
    },
    /// What the datapoints say. Of an alarm that was put anew since it was judged it is no news.
    Enter {
        /// Which.
        alarm: AlarmName,
        /// When the settings that it was judged by were put.
        configured: Timestamp,
        /// The state.
        state: AlarmState,
        /// Why.
        reason: String,
        /// Why, as JSON.
        data: Option<String>,
        /// The datapoints that were judged, the newest first.
        values: Vec<f64>,
    },
    /// An action that is to be done and lies within the World is done.
    Act {
        /// Of which alarm.
        alarm: AlarmName,
        /// Its number.
        pending: u64,
    },
    /// An action that lies outside was done, or could not be.
    Acted {
        /// Of which alarm.
        alarm: AlarmName,
        /// Its number.
        pending: u64,
        /// Why it could not be done.
        error: Option<String>,
    },
    /// A scaling action is done again, because the state lasts.
    Repeat {
        /// Of which alarm.
        alarm: AlarmName,
        /// The state that lasts.
        state: AlarmState,
        /// The policy's ARN.
        policy: String,
        /// The datapoints that were judged, the newest first.
        values: Vec<f64>,
    },
    /// What is told of an alarm and is old goes.
    Forget {
        /// Which.
        alarm: AlarmName,
    },
}

/// What [`AlarmChange::Put`] wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAlarm {
    /// Its name.
    pub name: AlarmName,
    /// What it is to be.
    pub settings: AlarmSettings,
    /// Whether it does anything.
    pub actions_enabled: bool,
    /// At most 50; of an alarm that is there already they stay as they are (AWS).
    pub tags: BTreeMap<String, String>,
}

impl AlarmChange {
    /// Its name, for audit records and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "PutAlarm",
            Self::Delete { .. } => "DeleteAlarms",
            Self::SetState { .. } => "SetAlarmState",
            Self::SetActions { enabled: true, .. } => "EnableAlarmActions",
            Self::SetActions { enabled: false, .. } => "DisableAlarmActions",
            Self::Tag { .. } => "TagAlarm",
            Self::Untag { .. } => "UntagAlarm",
            Self::Enter { .. } => "EnterAlarmState",
            Self::Act { .. } => "ActOnAlarm",
            Self::Acted { .. } => "NoteAlarmAction",
            Self::Repeat { .. } => "RepeatAlarmAction",
            Self::Forget { .. } => "ForgetAlarmHistory",
        }
    }
}
