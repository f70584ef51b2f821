//! Topics and subscriptions: what notifications are published to, and who is told.
//!
//! Owns the records' shapes (SNS's). Must never hold a confirmation token in the clear: its digest is enough to know it by.
//! What is on its way to subscribers is no intent and not here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{SubscriptionArn, TopicArn};
use crate::time::Timestamp;

/// How long a subscription may wait to be confirmed, and its token counts (AWS: two days).
pub const CONFIRMED_WITHIN: Duration = Duration::from_secs(48 * 3600);

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// What it is published to by.
    pub arn: TopicArn,
    /// The sender's name in e-mails; may be empty.
    pub display_name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Tags by key, at most 50.
    pub tags: BTreeMap<String, String>,
}

/// How a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryProtocol {
    /// POST in the clear.
    Http,
    /// POST in TLS.
    Https,
    /// E-mail, the message as it is.
    Email,
    /// E-mail, the message in SNS's JSON document.
    EmailJson,
}

impl DeliveryProtocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Email, Self::EmailJson];

    /// SNS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Email => "email",
            Self::EmailJson => "email-json",
        }
    }

    /// Whether it is by POST.
    #[must_use]
    pub fn is_post(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name: the topic's and a random id.
    pub arn: SubscriptionArn,
    /// To what.
    pub topic: TopicArn,
    /// How the subscriber is told.
    pub protocol: DeliveryProtocol,
    /// Where: a URL or an address.
    pub endpoint: String,
    /// When it was asked for, last: it waits for its confirmation from then on.
    pub asked: Timestamp,
    /// When the subscriber agreed; `None` while it is waited for.
    pub confirmed: Option<Timestamp>,
    /// Whether the confirmation was signed by somebody who may.
    pub confirmed_by_caller: bool,
    /// SHA-256 of the token that confirms it, in hex.
    pub token_digest: String,
    /// Whether only somebody who may is to end it.
    pub guarded: bool,
    /// Whether the message is sent as it is rather than in SNS's JSON document.
    pub raw: bool,
}
