//! Simple Notification Service, version 2010-03-31: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules. Next: [`topic`], [`subscription`], [`publish`], [`tag`], and [`crate::dispatch`] for what
//! the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod publish;
pub mod subscription;
pub mod tag;
pub mod topic;

pub use publish::*;
pub use subscription::*;
pub use tag::*;
pub use topic::*;

use serde::{Deserialize, Serialize};

use crate::dispatch::{Api, actions};

actions! {
    Api::Sns;
    ConfirmSubscription => ConfirmSubscriptionOutput,
    CreateTopic => CreateTopicOutput,
    DeleteTopic => Nothing,
    GetSubscriptionAttributes => GetSubscriptionAttributesOutput,
    GetTopicAttributes => GetTopicAttributesOutput,
    ListSubscriptions => ListSubscriptionsOutput,
    ListSubscriptionsByTopic => ListSubscriptionsOutput,
    ListTagsForResource => ListTagsForResourceOutput,
    ListTopics => ListTopicsOutput,
    Publish => PublishOutput,
    SetSubscriptionAttributes => Nothing,
    SetTopicAttributes => Nothing,
    Subscribe => SubscribeOutput,
    TagResource => Nothing,
    Unsubscribe => Nothing,
    UntagResource => Nothing,
}

/// The answer of actions that answer nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}
