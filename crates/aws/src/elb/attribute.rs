//! Load balancer attributes: cross-zone balancing, draining, idle timeout, access log.
//!
//! A block that is absent in `ModifyLoadBalancerAttributes` stays as it is. Next: [`super::balancer`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLoadBalancerAttributes {
    pub load_balancer_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLoadBalancerAttributesOutput {
    pub load_balancer_attributes: LoadBalancerAttributes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyLoadBalancerAttributes {
    pub load_balancer_name: String,
    pub load_balancer_attributes: LoadBalancerAttributes,
}

/// Echoes what was sent, not all there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyLoadBalancerAttributesOutput {
    pub load_balancer_name: String,
    pub load_balancer_attributes: LoadBalancerAttributes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadBalancerAttributes {
    pub cross_zone_load_balancing: Option<CrossZoneLoadBalancing>,
    pub access_log: Option<AccessLog>,
    pub connection_draining: Option<ConnectionDraining>,
    pub connection_settings: Option<ConnectionSettings>,
    pub additional_attributes: Option<Members<AdditionalAttribute>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CrossZoneLoadBalancing {
    pub enabled: bool,
}

/// boto 2 sends the text `None` for a field it does not set: read as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessLog {
    pub enabled: bool,
    #[serde(default, deserialize_with = "stated", rename = "S3BucketName")]
    pub s3_bucket_name: Option<String>,
    /// Minutes: 5 or 60.
    #[serde(default, deserialize_with = "stated")]
    pub emit_interval: Option<i64>,
    #[serde(default, deserialize_with = "stated", rename = "S3BucketPrefix")]
    pub s3_bucket_prefix: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionDraining {
    pub enabled: bool,
    /// Seconds, 1 to 3600.
    pub timeout: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionSettings {
    /// Seconds, 1 to 4000.
    pub idle_timeout: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AdditionalAttribute {
    pub key: String,
    pub value: String,
}

fn stated<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr + Deserialize<'de>,
    T::Err: Display,
{
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("None") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(de::Error::custom),
    }
}
