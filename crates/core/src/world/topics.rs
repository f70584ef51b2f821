//! What may happen to topics and subscriptions.
//!
//! Owns their limits, that a topic's subscriptions go with it, that nobody is told who did not agree, and that an endpoint is
//! subscribed to a topic once. Source: SNS API 2010-03-31.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::Reply;
use crate::name::{SubscriptionArn, TopicArn};
use crate::noun::topic::CONFIRMED_WITHIN;
use crate::noun::{Subscription, Topic};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most topics (AWS: 100,000).
pub const MOST_TOPICS: usize = 1000;
/// The most subscriptions of a topic, those that wait for their confirmation among them (AWS: 12,500,000).
pub const MOST_SUBSCRIPTIONS: usize = 100;

impl World {
    pub(super) fn create_topic(&self, new: &Topic) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        match self.topic(&new.arn) {
            Some(held) if held.tags != new.tags && !new.tags.is_empty() => Err(Refusal::TopicDiffers("tags")),
            Some(held) if held.display_name != new.display_name && !new.display_name.is_empty() => {
                Err(Refusal::TopicDiffers("attributes"))
            }
            Some(_) => Ok(Decision::unchanged(Reply::Unchanged)),
            None if self.topics.len() >= MOST_TOPICS => Err(Refusal::TooManyTopics { limit: MOST_TOPICS }),
            None => Ok(put(Row::Topic(new.clone()))),
        }
    }

    pub(super) fn delete_topic(&self, arn: &TopicArn) -> Decision {
        if self.topic(arn).is_none() {
            return Decision::unchanged(Reply::Unchanged);
        }
        let mut writes = vec![Write::Remove(Key::Topic(arn.clone()))];
        writes.extend(self.subscriptions_of(arn).map(|held| Write::Remove(Key::Subscription(held.arn.clone()))));
        Decision { reply: Reply::Done, writes }
    }

    pub(super) fn name_topic(&self, arn: &TopicArn, display_name: &str) -> Result<Decision, Refusal> {
        self.change_topic(arn, |topic| {
            display_name.clone_into(&mut topic.display_name);
            Ok(())
        })
    }

    pub(super) fn tag_topic(&self, arn: &TopicArn, new: &BTreeMap<String, String>) -> Result<Decision, Refusal> {
        tags::check(new, tags::PER_RESOURCE)?;
        self.change_topic(arn, |topic| {
            topic.tags.extend(new.clone());
            tags::check(&topic.tags, tags::PER_RESOURCE)
        })
    }

    pub(super) fn untag_topic(&self, arn: &TopicArn, keys: &[String]) -> Result<Decision, Refusal> {
        self.change_topic(arn, |topic| {
            topic.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    /// One that is there already is answered with; one that waits is asked again, by its new token.
    pub(super) fn subscribe(&self, new: &Subscription) -> Result<Decision, Refusal> {
        self.existing_topic(&new.topic)?;
        let same = |held: &&Arc<Subscription>| held.protocol == new.protocol && held.endpoint == new.endpoint;
        if let Some(held) = self.subscriptions_of(&new.topic).find(same) {
            let reply = Reply::Subscription { arn: held.arn.clone(), confirmed: held.confirmed.is_some() };
            if held.confirmed.is_some() {
                let differs = new.raw && !held.raw;
                return if differs { Err(Refusal::SubscriptionDiffers) } else { Ok(Decision::unchanged(reply)) };
            }
            let asked = Subscription { arn: held.arn.clone(), ..new.clone() };
            return Ok(Decision { reply, writes: vec![Write::Put(Row::Subscription(asked))] });
        }
        if self.subscription(&new.arn).is_some() {
            return Err(Refusal::IdTaken(new.arn.to_string()));
        }
        if self.subscriptions_of(&new.topic).count() >= MOST_SUBSCRIPTIONS {
            return Err(Refusal::TooManySubscriptions { limit: MOST_SUBSCRIPTIONS });
        }
        let reply = Reply::Subscription { arn: new.arn.clone(), confirmed: false };
        Ok(Decision { reply, writes: vec![Write::Put(Row::Subscription(new.clone()))] })
    }

    pub(super) fn confirm_subscription(
        &self,
        topic: &TopicArn,
        token_digest: &str,
        guarded: bool,
        by_caller: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.existing_topic(topic)?;
        let held = self.subscriptions_of(topic).find(|held| held.token_digest == token_digest);
        let held = held.ok_or(Refusal::BadToken)?;
        let reply = Reply::Subscription { arn: held.arn.clone(), confirmed: true };
        if held.confirmed.is_some() {
            return Ok(Decision::unchanged(reply));
        }
        if now.since(held.asked) >= CONFIRMED_WITHIN {
            return Err(Refusal::BadToken);
        }
        let confirmed =
            Subscription { confirmed: Some(now), confirmed_by_caller: by_caller, guarded, ..held.as_ref().clone() };
        Ok(Decision { reply, writes: vec![Write::Put(Row::Subscription(confirmed))] })
    }

    pub(super) fn unsubscribe(&self, arn: &SubscriptionArn) -> Decision {
        match self.subscription(arn) {
            None => Decision::unchanged(Reply::Unchanged),
            Some(held) => {
                Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::Subscription(held.arn.clone()))] }
            }
        }
    }

    pub(super) fn set_raw_delivery(&self, arn: &SubscriptionArn, raw: bool) -> Result<Decision, Refusal> {
        let held = self.subscription(arn).ok_or(Refusal::NoSuchSubscription)?;
        if raw && !held.protocol.is_post() {
            return Err(Refusal::NoRawDelivery);
        }
        if held.raw == raw {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(put(Row::Subscription(Subscription { raw, ..held.as_ref().clone() })))
    }

    fn existing_topic(&self, arn: &TopicArn) -> Result<&Arc<Topic>, Refusal> {
        self.topic(arn).ok_or(Refusal::NoSuchTopic)
    }

    fn change_topic(
        &self,
        arn: &TopicArn,
        change: impl FnOnce(&mut Topic) -> Result<(), Refusal>,
    ) -> Result<Decision, Refusal> {
        let held = self.existing_topic(arn)?;
        let mut topic = held.as_ref().clone();
        change(&mut topic)?;
        if topic == **held {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(put(Row::Topic(topic)))
    }

    /// Broken invariants of topics and subscriptions, in words.
    pub(super) fn broken_topics(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut endpoints = std::collections::BTreeSet::new();
        for held in self.subscriptions() {
            if self.topic(&held.topic).is_none() {
                broken.push(format!("{} is to a topic that does not exist", held.arn));
            }
            if !endpoints.insert((&held.topic, held.protocol, &held.endpoint)) {
                broken.push(format!("{} is not the only one of its endpoint", held.arn));
            }
            if held.raw && !held.protocol.is_post() {
                broken.push(format!("{} is raw, and no POST", held.arn));
            }
        }
        for topic in self.topics() {
            if self.subscriptions_of(&topic.arn).count() > MOST_SUBSCRIPTIONS {
                broken.push(format!("{} has too many subscriptions", topic.arn));
            }
            if topic.tags.len() > tags::PER_RESOURCE {
                broken.push(format!("{} has too many tags", topic.arn));
            }
        }
        broken
    }
}

fn put(row: Row) -> Decision {
    Decision { reply: Reply::Done, writes: vec![Write::Put(row)] }
}
