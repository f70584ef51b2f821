//! SNS's topics: made, shown, named, tagged, deleted.
//!
//! Owns their form on the wire, and what of SNS's names and errors other handlers of SNS read as well. Attributes that change
//! nothing here are refused rather than kept. Next: [`super::subscriptions`], [`super::publish`]. Source: SNS API 2010-03-31.

use std::collections::BTreeMap;

use evenkeel_aws::xml::{Entries, Members};
use evenkeel_aws::{Error, sns};
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::name::TopicArn;
use evenkeel_core::noun::Topic;
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::World;
use serde_json::json;

use super::page::Page;
use super::{Asked, refusal, words};

/// Characters of a display name (AWS).
const MOST_DISPLAY_NAME: usize = 100;

pub(super) async fn create(asked: &Asked<'_>, input: sns::CreateTopic) -> Result<sns::CreateTopicOutput, Error> {
    if input.data_protection_policy.is_some_and(|policy| !policy.is_empty()) {
        return Err(invalid("DataProtectionPolicy Reason: data protection policies are not supported here"));
    }
    let mut display_name = String::new();
    for (name, value) in &input.attributes.0 {
        display_name = attribute(name, value)?;
    }
    let settings = asked.world.settings();
    let text = format!("arn:aws:sns:{}:{}:{}", settings.region, settings.account, input.name);
    let arn = TopicArn::new(text).map_err(|_| invalid("Topic Name"))?;
    let topic = Topic { arn: arn.clone(), display_name, created: asked.now, tags: tags(&input.tags)? };
    asked.sns(Change::CreateTopic(topic)).await?;
    Ok(sns::CreateTopicOutput { topic_arn: arn.to_string() })
}

/// A topic that is not there is deleted already, as in AWS.
pub(super) async fn delete(asked: &Asked<'_>, input: &sns::DeleteTopic) -> Result<sns::Nothing, Error> {
    let topic = arn(&input.topic_arn)?;
    asked.sns(Change::DeleteTopic { topic }).await?;
    Ok(sns::Nothing {})
}

pub(super) fn list(asked: &Asked<'_>, input: &sns::ListTopics) -> Result<sns::ListTopicsOutput, Error> {
    let page = Page::sns("topics", input.next_token.as_deref())?;
    let all = asked.world.topics().map(|topic| sns::Topic { topic_arn: topic.arn.to_string() });
    let (topics, next_token) = page.cut(all, |topic| topic.topic_arn.clone());
    Ok(sns::ListTopicsOutput { topics: topics.into(), next_token })
}

pub(super) fn get(asked: &Asked<'_>, input: &sns::GetTopicAttributes) -> Result<sns::GetTopicAttributesOutput, Error> {
    let topic = existing(&asked.world, &input.topic_arn)?;
    let account = &asked.world.settings().account;
    let (confirmed, pending): (Vec<_>, Vec<_>) =
        asked.world.subscriptions_of(&topic.arn).partition(|held| held.confirmed.is_some());
    // What is so in any case: who has a policy that allows it may, and nobody else.
    let policy = json!({
        "Version": "2008-10-17", "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID", "Effect": "Allow", "Principal": {"AWS": "*"},
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:DeleteTopic", "SNS:Subscribe",
                "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": topic.arn.as_str(), "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
        }],
    });
    let attributes = [
        ("TopicArn", topic.arn.to_string()),
        ("Owner", account.clone()),
        ("DisplayName", topic.display_name.clone()),
        ("Policy", policy.to_string()),
        ("SubscriptionsConfirmed", confirmed.len().to_string()),
        ("SubscriptionsPending", pending.len().to_string()),
        ("SubscriptionsDeleted", "0".to_owned()),
    ];
    Ok(sns::GetTopicAttributesOutput { attributes: entries(attributes) })
}

pub(super) async fn set(asked: &Asked<'_>, input: &sns::SetTopicAttributes) -> Result<sns::Nothing, Error> {
    let topic = arn(&input.topic_arn)?;
    let display_name = attribute(&input.attribute_name, input.attribute_value.as_deref().unwrap_or_default())?;
    asked.sns(Change::NameTopic { topic, display_name }).await?;
    Ok(sns::Nothing {})
}

pub(super) async fn tag(asked: &Asked<'_>, input: &sns::TagResource) -> Result<sns::Nothing, Error> {
    let topic = resource(&asked.world, &input.resource_arn)?.arn.clone();
    asked.sns(Change::TagTopic { topic, tags: tags(&input.tags)? }).await?;
    Ok(sns::Nothing {})
}

pub(super) async fn untag(asked: &Asked<'_>, input: &sns::UntagResource) -> Result<sns::Nothing, Error> {
    let topic = resource(&asked.world, &input.resource_arn)?.arn.clone();
    asked.sns(Change::UntagTopic { topic, keys: input.tag_keys.to_vec() }).await?;
    Ok(sns::Nothing {})
}

pub(super) fn list_tags(
    asked: &Asked<'_>,
    input: &sns::ListTagsForResource,
) -> Result<sns::ListTagsForResourceOutput, Error> {
    let held = resource(&asked.world, &input.resource_arn)?;
    let tags = held.tags.iter().map(|(key, value)| sns::Tag { key: key.clone(), value: value.clone() });
    Ok(sns::ListTagsForResourceOutput { tags: tags.collect() })
}

/// The one attribute that can be set.
fn attribute(name: &str, value: &str) -> Result<String, Error> {
    match name {
        "DisplayName" if value.chars().count() > MOST_DISPLAY_NAME || value.chars().any(char::is_control) => {
            Err(invalid("DisplayName"))
        }
        "DisplayName" => Ok(value.to_owned()),
        other => Err(unsupported(other)),
    }
}

/// An attribute that means nothing here.
pub(super) fn unsupported(name: &str) -> Error {
    invalid(&format!("AttributeName Reason: `{}` is not supported here", words::quoted(name)))
}

/// SNS's error for what cannot be meant.
pub(super) fn invalid(what: &str) -> Error {
    Error::sender("InvalidParameter", format!("Invalid parameter: {what}"))
}

/// An ARN of a topic, whether or not there is one.
pub(super) fn arn(text: &str) -> Result<TopicArn, Error> {
    TopicArn::new(text).map_err(|_| invalid("TopicArn"))
}

/// A topic that is to exist.
pub(super) fn existing<'w>(world: &'w World, text: &str) -> Result<&'w Topic, Error> {
    let held = world.topic(&arn(text)?).map(AsRef::as_ref);
    held.ok_or_else(|| refusal::sns(Refusal::NoSuchTopic.into()))
}

/// A topic that is to exist, as the calls about tags word it.
fn resource<'w>(world: &'w World, text: &str) -> Result<&'w Topic, Error> {
    let held = world.topic(&arn(text)?).map(AsRef::as_ref);
    held.ok_or_else(|| Error::sender("ResourceNotFound", "Resource does not exist").with_status(404))
}

/// Attributes as they are shown.
pub(super) fn entries<const N: usize>(attributes: [(&str, String); N]) -> Entries<String> {
    Entries(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn tags(stated: &Members<sns::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for tag in stated {
        if tags.insert(tag.key.clone(), tag.value.clone()).is_some() {
            return Err(invalid("Tags Reason: a key is there twice"));
        }
    }
    Ok(tags)
}

impl Asked<'_> {
    /// Submits for a call of SNS.
    pub(super) async fn sns(&self, change: Change) -> Result<Reply, Error> {
        self.submit(change).await.map_err(refusal::sns)
    }
}
