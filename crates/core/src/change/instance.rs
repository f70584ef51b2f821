//! What Changes of instances carry: a launch, an attribute, what was seen, what stands against it.
//!
//! Owns these shapes. Must never judge them: that is [`crate::world`]'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{ImageId, InstanceId, ReservationId, ZoneName};
use crate::noun::{InstanceStatus, ShutdownBehavior};

/// What [`super::Change::RunInstances`] wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewInstances {
    /// The reservation's id; random.
    pub reservation: ReservationId,
    /// As many fresh ids as are wanted at most; random.
    pub ids: Vec<InstanceId>,
    /// The fewest that are acceptable, from 1.
    pub min_count: u32,
    /// From which image.
    pub image: ImageId,
    /// Where; `None` lets the World choose the zone with the fewest instances.
    pub zone: Option<ZoneName>,
    /// Recorded; drivers derive limits from it.
    pub instance_type: String,
    /// Recorded.
    pub key_name: Option<String>,
    /// Recorded.
    pub groups: Vec<String>,
    /// Base64; at most 16 KiB raw, checked by the caller.
    pub user_data: Option<String>,
    /// For idempotence, at most 64 characters.
    pub client_token: Option<String>,
    /// What becomes of them when they end by themselves.
    pub shutdown: ShutdownBehavior,
    /// Whether terminating them is refused.
    pub termination_protected: bool,
    /// Whether stopping them is refused, and so terminating them.
    #[serde(default)]
    pub stop_protected: bool,
    /// With a token: a digest of everything that is asked for.
    #[serde(default)]
    pub asked_for: Option<String>,
    /// Tags for each instance.
    pub tags: BTreeMap<String, String>,
}

/// What [`super::Change::SetInstanceAttribute`] sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceAttribute {
    /// Whether terminating it through the API is refused.
    TerminationProtected(bool),
    /// Whether stopping it through the API is refused, and so terminating it.
    StopProtected(bool),
    /// What becomes of it when it ends by itself.
    Shutdown(ShutdownBehavior),
    /// Base64, at most 16 KiB raw, checked by the caller; only while it is stopped.
    UserData(Option<String>),
    /// Its type; only while it is stopped.
    Type(String),
    /// Names of its security groups, checked by the caller.
    Groups(Vec<String>),
    /// Recorded.
    SourceDestCheck(bool),
}

/// What a driver saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// The instance is up.
    Running {
        /// How it fares.
        #[serde(default)]
        status: InstanceStatus,
    },
    /// The instance ended.
    Ended {
        /// How, in words: `application exited with status 1`.
        how: String,
        /// Whether it ended in good order (status 0), rather than by failure.
        orderly: bool,
        /// Whether it never ran at all.
        never_started: bool,
        /// By whose doing.
        #[serde(default)]
        by: EndedBy,
    },
}

/// By whose doing an instance ended that nobody told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// Its own: its application, or what it was told.
    #[default]
    Itself,
    /// The node's: it could not be launched, or ended unseen.
    Node,
    /// The node's, which has no room for it.
    WantOfRoom,
}

/// What protects an instance from the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// Against its end.
    Termination,
    /// Against being stopped, and its end.
    Stop,
}

impl Protection {
    /// EC2's attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Termination => "disableApiTermination",
            Self::Stop => "disableApiStop",
        }
    }
}
