//! Launch configurations: what instances of an auto scaling group are launched with. Immutable, as AWS has them.
//!
//! Owns the record's shape. What EC2 knows and Evenkeel does not have (kernels, volumes, spot prices) is the API's to refuse.

use serde::{Deserialize, Serialize};

use crate::name::{ImageId, LaunchConfigurationName};
use crate::time::Timestamp;

/// One launch configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchConfiguration {
    /// Its name.
    pub name: LaunchConfigurationName,
    /// A random UUID, part of its ARN.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// From which image.
    pub image: ImageId,
    /// Of which type.
    pub instance_type: String,
    /// Recorded.
    pub key_name: Option<String>,
    /// Names or ids of security groups, as stated.
    pub groups: Vec<String>,
    /// Base64; at most 16 KiB raw, checked by the caller.
    pub user_data: Option<String>,
    /// Whether instances are watched each minute, rather than every five. Recorded: here it is each second.
    pub detailed_monitoring: bool,
    /// Recorded.
    pub ebs_optimized: bool,
    /// Recorded: private addresses are the only ones here.
    pub public_address: Option<bool>,
}

impl LaunchConfiguration {
    /// Its Amazon Resource Name.
    #[must_use]
    pub fn arn(&self, region: &str, account: &str) -> String {
        let (id, name) = (&self.id, &self.name);
        format!("arn:aws:autoscaling:{region}:{account}:launchConfiguration:{id}:launchConfigurationName/{name}")
    }
}
