//! Instances: what is recorded of one, from the call that asked for it until an hour after its end.
//!
//! Owns the record's shape. Must never hold how it really runs (pids, containers): that is the driver's, and
//! [`crate::lifecycle`] says which state may follow which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{ImageId, InstanceId, ReservationId, ZoneName};
use crate::noun::Manifest;
use crate::time::Timestamp;

/// EC2's instance states with EC2's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Asked for, not yet up.
    Pending,
    /// Its application was started.
    Running,
    /// On its way to `Terminated`.
    ShuttingDown,
    /// Gone for good; the record stays for an hour.
    Terminated,
    /// On its way to `Stopped`.
    Stopping,
    /// Not running, may be started again; keeps its address and its folder.
    Stopped,
}

impl InstanceState {
    /// All states, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::ShuttingDown, Self::Terminated, Self::Stopping, Self::Stopped];

    /// EC2's numeric code (the low byte).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Whether it takes up room of its zone: it runs, or is about to, or something of it may still run.
    #[must_use]
    pub fn takes_room(self) -> bool {
        !matches!(self, Self::Stopped | Self::Terminated)
    }

    /// EC2's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// The domain of instances' own names.
pub const HOST_DOMAIN: &str = "internal";

/// The name of an address, as EC2 makes it: `ip-127-81-0-5.internal`.
#[must_use]
pub fn host_name(address: IpAddr) -> String {
    format!("ip-{}.{HOST_DOMAIN}", address.to_string().replace(['.', ':'], "-"))
}

/// How a running instance fares: EC2's instance status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// Its boot is under way.
    Initializing,
    /// Its boot ended well, and its application runs.
    #[default]
    Ok,
    /// Its boot came to nothing, or its application fails.
    Impaired {
        /// Why, in words.
        why: String,
    },
}

impl InstanceStatus {
    /// EC2's word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Ok => "ok",
            Self::Impaired { .. } => "impaired",
        }
    }
}

/// Why an instance is in its state: EC2's `StateReason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// EC2's code, such as `Client.UserInitiatedShutdown`.
    pub code: String,
    /// The code and a sentence for people, such as `Client.InternalError: application exited with status 1`.
    pub message: String,
    /// When it was decided: an instance may take long to follow. Not known of those of earlier versions.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What becomes of an instance that ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownBehavior {
    /// It is stopped and may be started again.
    #[default]
    Stop,
    /// It is terminated.
    Terminate,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The call that made it; instances of one call share it.
    pub reservation: ReservationId,
    /// Its place in the reservation, from 0.
    pub launch_index: u32,
    /// What it was launched from.
    pub image: ImageId,
    /// What it runs: its image's manifest as it was at launch, so that it outlives the image.
    pub manifest: Manifest,
    /// Which files it was given: its image's digest.
    pub digest: String,
    /// Where it runs.
    pub zone: ZoneName,
    /// Its private address, its own from launch until its record goes.
    pub address: IpAddr,
    /// As asked for, such as `m1.small`.
    pub instance_type: String,
    /// Named at launch; recorded, not used.
    pub key_name: Option<String>,
    /// Names of its security groups; recorded.
    pub groups: Vec<String>,
    /// User data as raw bytes in base64, at most 16 KiB raw.
    pub user_data: Option<String>,
    /// Repeating a launch with the same token answers with the first one's instances.
    pub client_token: Option<String>,
    /// A digest of everything that the launch with the token asked for, by which another one with it is told apart. Not known of
    /// those of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_for: Option<String>,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Why, after a change of state that somebody or something caused.
    pub reason: Option<StateReason>,
    /// When it was asked for, or last started.
    pub launched: Timestamp,
    /// When `state` last changed.
    pub changed: Timestamp,
    /// The World's generation of that change: a road that drives by it has heard of it.
    pub changed_in: u64,
    /// How it fares while it runs.
    #[serde(default)]
    pub status: InstanceStatus,
    /// When `status` last changed.
    #[serde(default)]
    pub status_since: Timestamp,
    /// What becomes of it when it ends by itself.
    pub shutdown: ShutdownBehavior,
    /// Whether terminating it through the API is refused.
    pub termination_protected: bool,
    /// Whether stopping it through the API is refused, and so terminating it.
    #[serde(default)]
    pub stop_protected: bool,
    /// Recorded: nothing here looks at where packets of an instance come from.
    #[serde(default = "checked")]
    pub source_dest_check: bool,
    /// Counts starts; a driver compares it with what it runs, so a reboot or a stop and start is never mistaken.
    pub boots: u32,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

fn checked() -> bool {
    true
}

impl Instance {
    /// Its own name.
    #[must_use]
    pub fn host_name(&self) -> String {
        host_name(self.address)
    }
}
