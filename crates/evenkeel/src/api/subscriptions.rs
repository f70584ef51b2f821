//! SNS's subscriptions: asked for, confirmed, shown, changed, ended.
//!
//! Owns which endpoints can be subscribed, and that whoever is to be told is asked first: by a token that is nowhere but in the
//! question. Confirming and ending need no signature where the subscriber has not asked for that ([`unsigned`]), as in AWS: who has
//! the link may. Next: [`super::publish`].

use aws_lc_rs::digest;
use evenkeel_aws::{Call, Error, sns};
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::name::SubscriptionArn;
use evenkeel_core::noun::{DeliveryProtocol, Subscription};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::World;

use super::page::Page;
use super::topics::{arn, entries, existing, invalid, unsupported};
use super::{Api, Asked, dice, publish, refusal, words};
use crate::notices::{Kind, Notice};

/// Characters of an e-mail address (RFC 5321, 4.5.3.1).
const MOST_ADDRESS: usize = 320;
/// Characters of an endpoint.
const MOST_ENDPOINT: usize = 2048;

/// What is shown instead of an ARN until a subscriber has agreed: in the answer to Subscribe, and in lists.
const PENDING: (&str, &str) = ("pending confirmation", "PendingConfirmation");

pub(super) async fn subscribe(asked: &Asked<'_>, input: sns::Subscribe) -> Result<sns::SubscribeOutput, Error> {
    let topic = existing(&asked.world, &input.topic_arn)?.arn.clone();
    let protocol = protocol(asked, &input.protocol)?;
    let endpoint = input.endpoint.filter(|text| !text.is_empty()).ok_or_else(|| invalid("Endpoint"))?;
    check(protocol, &endpoint)?;
    let mut raw = false;
    for (name, value) in &input.attributes.0 {
        raw = raw_delivery(name, value)?;
    }
    if raw && !protocol.is_post() {
        return Err(refusal::sns(Refusal::NoRawDelivery.into()));
    }
    let token = dice::token()?;
    let make = || {
        let text = format!("{topic}:{}", dice::request_id());
        Ok(Change::Subscribe(Subscription {
            arn: SubscriptionArn::new(text).map_err(|_| invalid("TopicArn"))?,
            topic: topic.clone(),
            protocol,
            endpoint: endpoint.clone(),
            asked: asked.now,
            confirmed: None,
            confirmed_by_caller: false,
            token_digest: digest_of(&token),
            guarded: false,
            raw,
        }))
    };
    let reply = asked.rolled(make).await?.map_err(refusal::sns)?;
    let Reply::Subscription { arn, confirmed } = reply else { return Err(publish::unfinished()) };
    if !confirmed {
        let question = Notice {
            id: dice::request_id(),
            at: asked.now.0,
            kind: Kind::SubscriptionConfirmation { token },
            topic: topic.to_string(),
            subject: None,
            text: String::new(),
            texts: Default::default(),
            attributes: Default::default(),
            base: publish::base(asked),
            to: vec![arn.to_string()],
            once: false,
        };
        publish::take_in(asked, question).await?;
    }
    let is_shown = confirmed || input.return_subscription_arn == Some(true);
    Ok(sns::SubscribeOutput { subscription_arn: if is_shown { arn.to_string() } else { PENDING.0.to_owned() } })
}

pub(super) async fn confirm(
    asked: &Asked<'_>,
    input: &sns::ConfirmSubscription,
) -> Result<sns::ConfirmSubscriptionOutput, Error> {
    confirmed(asked.sns(confirmation(input, true)?).await?)
}

pub(super) async fn unsubscribe(asked: &Asked<'_>, input: &sns::Unsubscribe) -> Result<sns::Nothing, Error> {
    let subscription = subscription_arn(&input.subscription_arn)?;
    asked.sns(Change::Unsubscribe { subscription }).await?;
    Ok(sns::Nothing {})
}

/// What an unsigned call is answered with, if it is one of the two that may be; the one place where nobody says who asks.
pub(super) async fn unsigned(api: &Api, world: &World, call: Call) -> Option<Result<Agreed, Error>> {
    let submit = async |change| api.keeper.submit("nobody", change).await.map_err(refusal::sns);
    Some(match call {
        Call::Sns(sns::Call::ConfirmSubscription(input)) => match confirmation(&input, false) {
            // Only who may call can say that only who may call is to end it.
            Ok(Change::ConfirmSubscription { guarded: true, .. }) => return None,
            Ok(change) => submit(change).await.and_then(confirmed).map(Agreed::Yes),
            Err(error) => Err(error),
        },
        Call::Sns(sns::Call::Unsubscribe(input)) => match subscription_arn(&input.subscription_arn) {
            Ok(subscription) => {
                if world.subscription(&subscription).is_some_and(|held| held.guarded) {
                    return None;
                }
                submit(Change::Unsubscribe { subscription }).await.map(|_| Agreed::No(sns::Nothing {}))
            }
            Err(error) => Err(error),
        },
        _ => return None,
    })
}

/// What an unsigned call comes to.
pub(super) enum Agreed {
    /// The subscriber wants to be told.
    Yes(sns::ConfirmSubscriptionOutput),
    /// The subscriber does not.
    No(sns::Nothing),
}

fn confirmation(input: &sns::ConfirmSubscription, by_caller: bool) -> Result<Change, Error> {
    let guarded = match input.authenticate_on_unsubscribe.as_deref().unwrap_or_default() {
        "" | "false" => false,
        "true" => true,
        _ => return Err(invalid("AuthenticateOnUnsubscribe")),
    };
    let topic = arn(&input.topic_arn)?;
    Ok(Change::ConfirmSubscription { topic, token_digest: digest_of(&input.token), guarded, by_caller })
}

fn confirmed(reply: Reply) -> Result<sns::ConfirmSubscriptionOutput, Error> {
    match reply {
        Reply::Subscription { arn, .. } => Ok(sns::ConfirmSubscriptionOutput { subscription_arn: arn.to_string() }),
        _ => Err(publish::unfinished()),
    }
}

pub(super) fn list(asked: &Asked<'_>, input: &sns::ListSubscriptions) -> Result<sns::ListSubscriptionsOutput, Error> {
    let page = Page::sns("subscriptions", input.next_token.as_deref())?;
    Ok(listed(asked, page, asked.world.subscriptions().map(AsRef::as_ref)))
}

pub(super) fn list_by_topic(
    asked: &Asked<'_>,
    input: &sns::ListSubscriptionsByTopic,
) -> Result<sns::ListSubscriptionsOutput, Error> {
    let topic = existing(&asked.world, &input.topic_arn)?;
    let page = Page::sns("topic-subscriptions", input.next_token.as_deref())?;
    Ok(listed(asked, page, asked.world.subscriptions_of(&topic.arn).map(AsRef::as_ref)))
}

fn listed<'w>(
    asked: &Asked<'_>,
    page: Page,
    all: impl Iterator<Item = &'w Subscription>,
) -> sns::ListSubscriptionsOutput {
    let owner = &asked.world.settings().account;
    let (page, next_token) = page.cut(all, |held| held.arn.to_string());
    let shown = |held: &Subscription| sns::Subscription {
        subscription_arn: if held.confirmed.is_some() { held.arn.to_string() } else { PENDING.1.to_owned() },
        owner: owner.clone(),
        protocol: held.protocol.as_str().to_owned(),
        endpoint: held.endpoint.clone(),
        topic_arn: held.topic.to_string(),
    };
    sns::ListSubscriptionsOutput { subscriptions: page.into_iter().map(shown).collect(), next_token }
}

pub(super) fn get(
    asked: &Asked<'_>,
    input: &sns::GetSubscriptionAttributes,
) -> Result<sns::GetSubscriptionAttributesOutput, Error> {
    let arn = subscription_arn(&input.subscription_arn)?;
    let held = asked.world.subscription(&arn).ok_or_else(|| refusal::sns(Refusal::NoSuchSubscription.into()))?;
    let attributes = [
        ("SubscriptionArn", held.arn.to_string()),
        ("TopicArn", held.topic.to_string()),
        ("Owner", asked.world.settings().account.clone()),
        ("Protocol", held.protocol.as_str().to_owned()),
        ("Endpoint", held.endpoint.clone()),
        ("PendingConfirmation", held.confirmed.is_none().to_string()),
        ("ConfirmationWasAuthenticated", held.confirmed_by_caller.to_string()),
        ("RawMessageDelivery", held.raw.to_string()),
    ];
    Ok(sns::GetSubscriptionAttributesOutput { attributes: entries(attributes) })
}

pub(super) async fn set(asked: &Asked<'_>, input: &sns::SetSubscriptionAttributes) -> Result<sns::Nothing, Error> {
    let subscription = subscription_arn(&input.subscription_arn)?;
    let raw = raw_delivery(&input.attribute_name, input.attribute_value.as_deref().unwrap_or_default())?;
    asked.sns(Change::SetRawDelivery { subscription, raw }).await?;
    Ok(sns::Nothing {})
}

/// The one attribute that can be set.
fn raw_delivery(name: &str, value: &str) -> Result<bool, Error> {
    match (name, value.to_ascii_lowercase().as_str()) {
        ("RawMessageDelivery", "true") => Ok(true),
        ("RawMessageDelivery", "false") => Ok(false),
        ("RawMessageDelivery", _) => {
            Err(invalid("Attributes Reason: RawMessageDelivery: Invalid value. Must be true or false."))
        }
        (other, _) => Err(unsupported(other)),
    }
}

fn protocol(asked: &Asked<'_>, text: &str) -> Result<DeliveryProtocol, Error> {
    let found = DeliveryProtocol::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or_else(|| {
        let text = words::quoted(text);
        invalid(&format!("Protocol Reason: `{text}` is not supported here: http, https, email and email-json are"))
    })?;
    if found.is_post() || asked.api.mails {
        return Ok(found);
    }
    Err(invalid("Protocol Reason: there is no mail server here: `evenkeel up --smtp-config` names one"))
}

/// Whether an endpoint can be told anything at all.
fn check(protocol: DeliveryProtocol, endpoint: &str) -> Result<(), Error> {
    let bad = |why: &str| Err(invalid(&format!("Endpoint Reason: {why}")));
    if endpoint.len() > MOST_ENDPOINT || !endpoint.bytes().all(|b| b.is_ascii_graphic()) {
        return bad("it must be at most 2048 visible ASCII characters");
    }
    if !protocol.is_post() {
        // One address, and nothing that could be read as more.
        let is_one =
            endpoint.len() <= MOST_ADDRESS && !endpoint.contains([',', ';', '<', '>', '"', '(', ')', ':', '\\']);
        let has_both = endpoint
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
        return if is_one && has_both { Ok(()) } else { bad("it is no e-mail address") };
    }
    let scheme = format!("{}://", protocol.as_str());
    if !endpoint.starts_with(&scheme) {
        return bad("Endpoint must match the specified protocol");
    }
    match endpoint.parse::<hyper::Uri>().ok().as_ref().and_then(hyper::Uri::authority) {
        // Who has to say who they are to be told does not belong into lists.
        Some(authority) if authority.as_str().contains('@') => bad("a user name and password cannot stand in it"),
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => bad("it is no URL"),
    }
}

fn subscription_arn(text: &str) -> Result<SubscriptionArn, Error> {
    SubscriptionArn::new(text).map_err(|_| invalid("SubscriptionArn"))
}

fn digest_of(token: &str) -> String {
    dice::hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}
