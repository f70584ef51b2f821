//! What a subscriber is sent: SNS's JSON document, or the message as it is, and the headers around it.
//!
//! Documents are not signed: `Signature` and what belongs to it are not there. Source: SNS Developer Guide, "HTTP/HTTPS
//! notification JSON format". Next: [`super::post`].

use std::collections::BTreeMap;

use evenkeel_aws::Time;
use evenkeel_core::noun::Subscription;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{Attribute, Kind, Notice};

/// What may stand in a query as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// SNS's document, its fields in SNS's order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    topic_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    message: &'a str,
    #[serde(rename = "SubscribeURL", skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<String>,
    timestamp: String,
    #[serde(rename = "UnsubscribeURL", skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: &'a BTreeMap<String, Attribute>,
}

/// The document of a notice for a subscription.
#[must_use]
pub fn json(notice: &Notice, to: &Subscription) -> String {
    let at = Time(i64::try_from(notice.at).unwrap_or(i64::MAX)).to_string();
    let none = BTreeMap::new();
    let mut document = Document {
        kind: kind(notice),
        message_id: &notice.id,
        token: None,
        topic_arn: &notice.topic,
        subject: notice.subject.as_deref(),
        message: notice.text_for(to.protocol.as_str()),
        subscribe_url: None,
        timestamp: at,
        unsubscribe_url: None,
        message_attributes: &notice.attributes,
    };
    let asked;
    match &notice.kind {
        Kind::Notification => document.unsubscribe_url = Some(unsubscribe_url(notice, to)),
        Kind::SubscriptionConfirmation { token } => {
            asked = question(notice);
            document.token = Some(token);
            document.message = &asked;
            document.subscribe_url = Some(subscribe_url(notice, token));
            document.message_attributes = &none;
        }
    }
    // Texts and maps of texts always have a form in JSON.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// What a notice is, in SNS's words.
#[must_use]
pub fn kind(notice: &Notice) -> &'static str {
    match notice.kind {
        Kind::Notification => "Notification",
        Kind::SubscriptionConfirmation { .. } => "SubscriptionConfirmation",
    }
}

/// What a subscriber is asked.
#[must_use]
pub fn question(notice: &Notice) -> String {
    format!(
        "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in this message.",
        notice.topic
    )
}

/// Where a subscriber says yes.
#[must_use]
pub fn subscribe_url(notice: &Notice, token: &str) -> String {
    let (topic, token) = (utf8_percent_encode(&notice.topic, QUERY), utf8_percent_encode(token, QUERY));
    format!("{}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}", notice.base)
}

/// Where a subscriber says no.
#[must_use]
pub fn unsubscribe_url(notice: &Notice, to: &Subscription) -> String {
    let arn = utf8_percent_encode(to.arn.as_str(), QUERY);
    format!("{}/?Action=Unsubscribe&SubscriptionArn={arn}", notice.base)
}

/// Headers and body of a POST.
#[must_use]
pub fn request(notice: &Notice, to: &Subscription) -> (Vec<(&'static str, String)>, String) {
    let is_raw = to.raw && notice.kind == Kind::Notification;
    let mut headers = vec![
        ("content-type", "text/plain; charset=UTF-8".to_owned()),
        ("x-amz-sns-message-type", kind(notice).to_owned()),
        ("x-amz-sns-message-id", notice.id.clone()),
        ("x-amz-sns-topic-arn", notice.topic.clone()),
    ];
    if notice.kind == Kind::Notification {
        headers.push(("x-amz-sns-subscription-arn", to.arn.to_string()));
    }
    if is_raw {
        headers.push(("x-amz-sns-rawdelivery", "true".to_owned()));
    }
    let body = if is_raw { notice.text_for(to.protocol.as_str()).to_owned() } else { json(notice, to) };
    (headers, body)
}
