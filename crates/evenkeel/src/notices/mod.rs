//! Notices: what is on its way to the subscribers of topics.
//!
//! Owns the form in which a message waits ([`Notice`]), the outbox where it does so, durably ([`outbox`]), what a subscriber is
//! sent ([`document`]) and the sending by POST ([`post`]) and by e-mail ([`letter`]). Must never decide who is told: a notice names its recipients when it
//! comes. The loop that carries it all out is `loops/notices`.

pub mod document;
pub mod letter;
pub mod outbox;
pub mod post;

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

pub use outbox::{Ended, Job, Outbox, OutboxError};

/// One message, and whom it is for. As it stands in the outbox's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, a UUID.
    pub id: String,
    /// When it was published, in milliseconds since 1970.
    pub at: u64,
    /// What it is.
    pub kind: Kind,
    /// The topic's ARN.
    pub topic: String,
    /// Its subject, if it has one.
    #[serde(default)]
    pub subject: Option<String>,
    /// Its text.
    pub text: String,
    /// Other texts for some protocols, by SNS's words for them.
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    /// Where the API answers, as its caller wrote it: what links begin with.
    pub base: String,
    /// ARNs of subscriptions.
    pub to: Vec<String>,
    /// Whether it may be put in more than once, and is to be taken in one time only.
    #[serde(default)]
    pub once: bool,
}

/// What a notice is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A message that was published.
    Notification,
    /// A question whether somebody wants to be told.
    SubscriptionConfirmation {
        /// What says yes.
        token: String,
    },
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `String.Array`, `Number` or `Binary`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its value; bytes in base64.
    #[serde(rename = "Value")]
    pub value: String,
}

/// The id of a message that follows from what it tells.
#[must_use]
pub fn id_of(told: &str) -> String {
    let digest = digest::digest(&digest::SHA256, told.as_bytes());
    let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // A UUID of version 8: of our own making (RFC 9562, 5.8).
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

impl Notice {
    /// The text for a protocol.
    #[must_use]
    pub fn text_for(&self, protocol: &str) -> &str {
        self.texts.get(protocol).unwrap_or(&self.text)
    }
}
