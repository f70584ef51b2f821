//! SNS's Publish: what a message may be, and its way into the outbox.
//!
//! Owns AWS's limits on messages. What it answers for is on disk: [`crate::notices::outbox`]. Must never wait for a subscriber.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::{Error, sns};

use super::topics::{existing, invalid};
use super::{Asked, blocking, dice};
use crate::notices::{Attribute, Kind, Notice, OutboxError};

/// Bytes of a message, its attributes among them (AWS).
const MOST_MESSAGE: usize = 256 * 1024;
/// Characters of a subject (AWS).
const MOST_SUBJECT: usize = 100;

pub(super) async fn publish(asked: &Asked<'_>, input: sns::Publish) -> Result<sns::PublishOutput, Error> {
    if input.phone_number.is_some_and(|number| !number.is_empty()) {
        return Err(invalid("PhoneNumber Reason: text messages are not supported here"));
    }
    if input.message_group_id.is_some() || input.message_deduplication_id.is_some() {
        return Err(invalid("MessageGroupId Reason: there are no FIFO topics here"));
    }
    let stated = input.topic_arn.or(input.target_arn).filter(|arn| !arn.is_empty());
    let stated = stated.ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
    let topic = existing(&asked.world, &stated)?;
    if input.message.is_empty() {
        return Err(invalid("Empty message"));
    }
    let attributes = attributes(&input.message_attributes)?;
    let around: usize = attributes.iter().map(|(name, a)| name.len() + a.kind.len() + a.value.len()).sum();
    if input.message.len() + around > MOST_MESSAGE {
        return Err(invalid("Message too long"));
    }
    let (text, texts) = match input.message_structure.as_deref().unwrap_or_default() {
        "" => (input.message, BTreeMap::new()),
        "json" => structured(&input.message)?,
        _ => return Err(invalid("MessageStructure")),
    };
    let told = asked.world.subscriptions_of(&topic.arn).filter(|held| held.confirmed.is_some());
    let notice = Notice {
        id: dice::request_id(),
        at: asked.now.0,
        kind: Kind::Notification,
        topic: topic.arn.to_string(),
        subject: input.subject.map(subject).transpose()?,
        text,
        texts,
        attributes,
        base: base(asked),
        to: told.map(|held| held.arn.to_string()).collect(),
        once: false,
    };
    let message_id = notice.id.clone();
    take_in(asked, notice).await?;
    Ok(sns::PublishOutput { message_id })
}

/// Puts a notice into the outbox.
pub(super) async fn take_in(asked: &Asked<'_>, notice: Notice) -> Result<(), Error> {
    let Some(outbox) = asked.api.outbox.as_ref().map(Arc::clone) else { return Err(unfinished()) };
    match blocking(move || outbox.put(&notice)).await? {
        Ok(()) => Ok(()),
        Err(error @ OutboxError::Full) => {
            Err(Error::sender("Throttled", format!("Rate exceeded: failed to {error}")).with_status(429))
        }
        Err(error @ OutboxError::Disk { .. }) => {
            eprintln!("api: failed to {error}");
            Err(unfinished())
        }
    }
}

/// What is answered when it is our fault.
pub(super) fn unfinished() -> Error {
    Error::receiver("InternalError", "The message could not be kept for delivery")
}

/// Where the caller reaches us, for links: whoever is told is thought to reach us there too.
pub(super) fn base(asked: &Asked<'_>) -> String {
    format!("http://{}", asked.host)
}

/// AWS: printable, at most 100 characters, and not beginning with a space; it becomes a header.
fn subject(text: String) -> Result<String, Error> {
    let is_good = !text.is_empty()
        && text.chars().count() <= MOST_SUBJECT
        && !text.starts_with(char::is_whitespace)
        && !text.chars().any(char::is_control);
    if is_good { Ok(text) } else { Err(invalid("Subject")) }
}

/// One text for each protocol, and one for the others.
fn structured(message: &str) -> Result<(String, BTreeMap<String, String>), Error> {
    let bad = |why: &str| invalid(&format!("Message Structure - {why}"));
    let texts: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(message).map_err(|_| bad("JSON message body failed to parse"))?;
    // Other values than texts are ignored, as in AWS.
    let text = |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
    let mut texts: BTreeMap<String, String> = texts.into_iter().filter_map(text).collect();
    let default = texts.remove("default").ok_or_else(|| bad("No default entry in JSON message body"))?;
    Ok((default, texts))
}

fn attributes(stated: &BTreeMap<String, sns::MessageAttributeValue>) -> Result<BTreeMap<String, Attribute>, Error> {
    let one = |(name, value): (&String, &sns::MessageAttributeValue)| {
        let bad = |why: &str| Err(invalid(&format!("Message attribute Reason: {why}")));
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !(1..=256).contains(&name.len()) || !name.bytes().all(good) {
            return bad("a name must be 1 to 256 of A-Z a-z 0-9 _ - .");
        }
        let kind = value.data_type.as_str();
        let text = match (kind, &value.string_value, &value.binary_value) {
            ("Binary", None, Some(bytes)) if !bytes.0.is_empty() => STANDARD.encode(&bytes.0),
            ("Number", Some(text), None) if text.parse::<f64>().is_ok_and(f64::is_finite) => text.clone(),
            ("String" | "String.Array", Some(text), None) if !text.is_empty() => text.clone(),
            ("String" | "String.Array" | "Number" | "Binary", ..) => {
                return bad("a value must be there, once, and be of its type");
            }
            _ => return bad("a type must be String, String.Array, Number or Binary"),
        };
        Ok((name.clone(), Attribute { kind: kind.to_owned(), value: text }))
    };
    stated.iter().map(one).collect()
}
