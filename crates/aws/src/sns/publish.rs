//! Publish: a message to everybody who subscribed to a topic.
//!
//! Next: [`super::tag`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::xml::NamedEntries;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Publish {
    pub topic_arn: Option<String>,
    /// The same as `TopicArn`, or an endpoint of a phone's.
    pub target_arn: Option<String>,
    pub phone_number: Option<String>,
    pub message: String,
    pub subject: Option<String>,
    /// `json`: the message is an object of one text for each protocol.
    pub message_structure: Option<String>,
    #[serde(default)]
    pub message_attributes: NamedEntries<MessageAttributeValue>,
    pub message_deduplication_id: Option<String>,
    pub message_group_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttributeValue {
    /// `String`, `String.Array`, `Number` or `Binary`.
    pub data_type: String,
    pub string_value: Option<String>,
    pub binary_value: Option<Blob>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PublishOutput {
    pub message_id: String,
}
