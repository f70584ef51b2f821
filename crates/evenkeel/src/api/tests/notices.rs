//! SNS: topics, subscriptions and their tokens, messages into the outbox; every limit and error.

use std::collections::BTreeMap;
use std::time::Instant;

use evenkeel_aws::sns;
use evenkeel_aws::xml::{Entries, NamedEntries};
use evenkeel_core::world::topics::MOST_SUBSCRIPTIONS;

use super::*;
use crate::notices::{Kind, Notice};

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:news";

fn create(name: &str) -> sns::CreateTopic {
    sns::CreateTopic { name: name.into(), ..Default::default() }
}

fn subscribe(endpoint: &str) -> sns::Subscribe {
    let protocol = endpoint.split(':').next().unwrap_or_default().into();
    sns::Subscribe { topic_arn: TOPIC.into(), protocol, endpoint: Some(endpoint.into()), ..Default::default() }
}

fn publish(message: &str) -> sns::Publish {
    sns::Publish { topic_arn: Some(TOPIC.into()), message: message.into(), ..Default::default() }
}

fn raw(value: &str) -> Entries<String> {
    Entries(BTreeMap::from([("RawMessageDelivery".to_owned(), value.to_owned())]))
}

impl Rig {
    /// Everything that waits to be told, each once.
    fn waiting(&self) -> Vec<Notice> {
        let jobs = self.outbox.take(Instant::now(), 1000);
        jobs.iter().map(|job| self.outbox.read(job).unwrap()).collect()
    }

    /// The token of the one question that waits; it is delivered then.
    fn token(&self) -> String {
        let jobs = self.outbox.take(Instant::now(), 2);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        let notice = self.outbox.read(&jobs[0]).unwrap();
        self.outbox.settle(&jobs[0], crate::notices::Ended::Delivered, Instant::now(), 0);
        let Kind::SubscriptionConfirmation { token } = notice.kind else { panic!("{notice:?}") };
        token
    }

    /// A call without any signature.
    async fn unsigned(&self, query: &str) -> Answer {
        let text = format!("GET /?{query} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.host);
        self.raw(text.as_bytes()).await
    }

    async fn subscriptions(&self) -> Vec<(String, String)> {
        let listed = self.ok(sns::ListSubscriptionsByTopic { topic_arn: TOPIC.into(), next_token: None }).await;
        listed.subscriptions.into_iter().map(|s| (s.endpoint, s.subscription_arn)).collect()
    }
}

#[tokio::test]
async fn topics_are_made_once_shown_changed_and_deleted() {
    let rig = Rig::start().await;
    assert_eq!(rig.ok(create("news")).await.topic_arn, TOPIC);
    assert_eq!(rig.ok(create("news")).await.topic_arn, TOPIC);
    let tagged = |value: &str| sns::CreateTopic {
        tags: vec![sns::Tag { key: "team".into(), value: value.into() }].into(),
        ..create("news")
    };
    rig.no(tagged("a"), 400, "InvalidParameter", "Topic already exists with different tags").await;
    let named = |name: &str, value: &str| sns::SetTopicAttributes {
        topic_arn: TOPIC.into(),
        attribute_name: name.into(),
        attribute_value: Some(value.into()),
    };
    rig.ok(named("DisplayName", "The news")).await;
    rig.no(named("DisplayName", &"x".repeat(101)), 400, "InvalidParameter", "DisplayName").await;
    rig.no(named("Policy", "{}"), 400, "InvalidParameter", "`Policy` is not supported here").await;
    let told = rig.ok(sns::GetTopicAttributes { topic_arn: TOPIC.into() }).await.attributes;
    let wanted =
        [("DisplayName", "The news"), ("Owner", ACCOUNT), ("SubscriptionsConfirmed", "0"), ("TopicArn", TOPIC)];
    for (name, value) in wanted {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{told:?}");
    }
    rig.ok(sns::TagResource {
        resource_arn: TOPIC.into(),
        tags: vec![
            sns::Tag { key: "team".into(), value: "web".into() },
            sns::Tag { key: "cost".into(), value: String::new() },
        ]
        .into(),
    })
    .await;
    rig.ok(sns::UntagResource { resource_arn: TOPIC.into(), tag_keys: vec!["cost".to_owned()].into() }).await;
    let tags = rig.ok(sns::ListTagsForResource { resource_arn: TOPIC.into() }).await.tags;
    assert_eq!(tags.0, [sns::Tag { key: "team".into(), value: "web".into() }]);
    let elsewhere = format!("{TOPIC}s");
    rig.no(sns::ListTagsForResource { resource_arn: elsewhere.clone() }, 404, "ResourceNotFound", "").await;
    rig.no(sns::GetTopicAttributes { topic_arn: elsewhere }, 404, "NotFound", "Topic does not exist").await;
    for bad in ["", "a b", "news.fifo", &"x".repeat(257)] {
        rig.no(create(bad), 400, "InvalidParameter", "Topic Name").await;
    }
    for n in 0..120 {
        rig.ok(create(&format!("t{n:03}"))).await;
    }
    let first = rig.ok(sns::ListTopics::default()).await;
    let second = rig.ok(sns::ListTopics { next_token: first.next_token.clone() }).await;
    assert_eq!((first.topics.len(), second.topics.len(), second.next_token), (100, 21, None));
    rig.ok(subscribe("http://h.test/")).await;
    rig.ok(sns::DeleteTopic { topic_arn: TOPIC.into() }).await;
    rig.ok(sns::DeleteTopic { topic_arn: TOPIC.into() }).await;
    assert_eq!(rig.keeper.world().subscriptions().count(), 0, "they go with it");
}

#[tokio::test]
async fn who_is_to_be_told_must_agree_first() {
    let rig = Rig::start().await;
    rig.ok(create("news")).await;
    assert_eq!(rig.ok(subscribe("http://h.test/a")).await.subscription_arn, "pending confirmation");
    assert_eq!(rig.subscriptions().await, [("http://h.test/a".to_owned(), "PendingConfirmation".to_owned())]);
    let token = rig.token();
    let world = rig.keeper.world();
    let held = world.subscriptions().next().unwrap();
    assert!(!format!("{held:?}").contains(&token), "the token is nowhere but in the question");
    rig.ok(publish("too early")).await;
    assert_eq!(rig.waiting(), []);
    // Asked again, it is another token that counts.
    let asked = sns::Subscribe { return_subscription_arn: Some(true), ..subscribe("http://h.test/a") };
    let arn = rig.ok(asked.clone()).await.subscription_arn;
    assert_eq!(arn, held.arn.as_str());
    let second = rig.token();
    let confirm = |token: &str| format!("Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}");
    for bad in [&token, "", "x"] {
        let answer = rig.unsigned(&confirm(bad)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("Token"), "{}", answer.text());
    }
    // Only who may call can say that only who may call is to end it.
    let guarded = format!("{}&AuthenticateOnUnsubscribe=true", confirm(&second));
    assert_eq!(rig.unsigned(&guarded).await.status, 403);
    for _ in 0..2 {
        let answer = rig.unsigned(&confirm(&second)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&format!("<SubscriptionArn>{arn}</SubscriptionArn>")), "{}", answer.text());
    }
    assert_eq!(rig.subscriptions().await, [("http://h.test/a".to_owned(), arn.clone())]);
    assert_eq!(rig.ok(subscribe("http://h.test/a")).await.subscription_arn, arn, "it is there already");
    let told = rig.ok(sns::GetSubscriptionAttributes { subscription_arn: arn.clone() }).await.attributes;
    assert_eq!(
        (told["PendingConfirmation"].as_str(), told["ConfirmationWasAuthenticated"].as_str()),
        ("false", "false")
    );
    let published = rig.ok(sns::Publish { subject: Some("Hear".into()), ..publish("now") }).await.message_id;
    let waiting = rig.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].id, waiting[0].text.as_str()), (&published, "now"));
    assert_eq!(waiting[0].base, format!("http://{}", rig.host));
    // Nobody needs to sign to end it, unless the subscriber said so.
    assert_eq!(rig.unsigned(&format!("Action=Unsubscribe&SubscriptionArn={arn}")).await.status, 200);
    assert_eq!(rig.subscriptions().await, []);
    rig.ok(subscribe("http://h.test/b")).await;
    let token = loop {
        let found = rig.waiting().into_iter().find_map(|notice| match notice.kind {
            Kind::SubscriptionConfirmation { token } => Some(token),
            Kind::Notification => None,
        });
        if let Some(token) = found {
            break token;
        }
    };
    let guarded = Some("true".to_owned());
    let confirm = sns::ConfirmSubscription { topic_arn: TOPIC.into(), token, authenticate_on_unsubscribe: guarded };
    let arn = rig.ok(confirm).await.subscription_arn;
    assert_eq!(rig.unsigned(&format!("Action=Unsubscribe&SubscriptionArn={arn}")).await.status, 403);
    rig.ok(sns::Unsubscribe { subscription_arn: arn }).await;
    assert_eq!(rig.subscriptions().await, []);
    // Nothing else goes without a signature.
    assert_eq!(rig.unsigned("Action=ListTopics&Version=2010-03-31").await.status, 403);
}

#[tokio::test]
async fn endpoints_attributes_and_messages_keep_their_limits() {
    let rig = Rig::start().await;
    rig.ok(create("news")).await;
    let bad = [
        ("ftp://h.test/", "Protocol"),
        ("http://", "Endpoint"),
        ("http://user:secret@h.test/", "a user name and password cannot stand in it"),
        ("http://h.test/ä", "Endpoint"),
    ];
    for (endpoint, said) in bad {
        rig.no(subscribe(endpoint), 400, "InvalidParameter", said).await;
    }
    let other = sns::Subscribe { protocol: "https".into(), ..subscribe("http://h.test/") };
    rig.no(other, 400, "InvalidParameter", "Endpoint must match the specified protocol").await;
    let mail = sns::Subscribe { protocol: "sms".into(), ..subscribe("http://h.test/") };
    rig.no(mail, 400, "InvalidParameter", "`sms` is not supported here").await;
    for address in ["a@b@c", "@b", "a@", "a", "a@x,b@y", "a@x;b@y", "A <a@x>", "a@x\nb@y"] {
        let mail = sns::Subscribe { protocol: "email".into(), endpoint: Some(address.into()), ..subscribe("") };
        rig.no(mail, 400, "InvalidParameter", "Endpoint").await;
    }
    let raw_mail = sns::Subscribe { protocol: "email-json".into(), endpoint: Some("a@x".into()), ..subscribe("") };
    rig.no(sns::Subscribe { attributes: raw("true"), ..raw_mail }, 400, "InvalidParameter", "raw message").await;
    let filtered = Entries(BTreeMap::from([("FilterPolicy".to_owned(), "{}".to_owned())]));
    let filtered = sns::Subscribe { attributes: filtered, ..subscribe("http://h.test/") };
    rig.no(filtered, 400, "InvalidParameter", "`FilterPolicy` is not supported here").await;
    rig.no(sns::Subscribe { attributes: raw("maybe"), ..subscribe("http://h.test/") }, 400, "InvalidParameter", "")
        .await;
    let asked =
        sns::Subscribe { attributes: raw("true"), return_subscription_arn: Some(true), ..subscribe("http://h.test/") };
    let arn = rig.ok(asked).await.subscription_arn;
    let set = |value: &str| sns::SetSubscriptionAttributes {
        subscription_arn: arn.clone(),
        attribute_name: "RawMessageDelivery".into(),
        attribute_value: Some(value.into()),
    };
    rig.ok(set("false")).await;
    let told = rig.ok(sns::GetSubscriptionAttributes { subscription_arn: arn.clone() }).await.attributes;
    assert_eq!((told["RawMessageDelivery"].as_str(), told["PendingConfirmation"].as_str()), ("false", "true"));
    let gone = sns::GetSubscriptionAttributes { subscription_arn: format!("{TOPIC}:x") };
    rig.no(gone, 404, "NotFound", "Subscription does not exist").await;
    for n in 1..MOST_SUBSCRIPTIONS {
        rig.ok(subscribe(&format!("http://h.test/{n}"))).await;
    }
    rig.no(subscribe("http://h.test/one-too-many"), 403, "SubscriptionLimitExceeded", "").await;

    let told = |message: &str| publish(message);
    rig.no(told(""), 400, "InvalidParameter", "Empty message").await;
    rig.no(told(&"x".repeat(256 * 1024 + 1)), 400, "InvalidParameter", "Message too long").await;
    rig.ok(told(&"x".repeat(256 * 1024))).await;
    for subject in ["", " x", "a\nb", &"x".repeat(101)] {
        rig.no(sns::Publish { subject: Some(subject.into()), ..told("m") }, 400, "InvalidParameter", "Subject").await;
    }
    let json = |text: &str| sns::Publish { message_structure: Some("json".into()), ..told(text) };
    rig.no(json("[]"), 400, "InvalidParameter", "JSON message body failed to parse").await;
    rig.no(json("{\"http\":\"x\"}"), 400, "InvalidParameter", "No default entry").await;
    rig.ok(json("{\"default\":\"d\",\"http\":\"h\",\"sqs\":{}}")).await;
    let attribute = |kind: &str, value: Option<&str>| sns::Publish {
        message_attributes: NamedEntries(BTreeMap::from([(
            "n".to_owned(),
            sns::MessageAttributeValue {
                data_type: kind.into(),
                string_value: value.map(str::to_owned),
                binary_value: None,
            },
        )])),
        ..told("m")
    };
    rig.ok(attribute("Number", Some("1.5"))).await;
    for (kind, value) in [("Number", Some("x")), ("String", None), ("Binary", Some("x")), ("Shape", Some("x"))] {
        rig.no(attribute(kind, value), 400, "InvalidParameter", "Message attribute").await;
    }
    rig.no(sns::Publish { phone_number: Some("1".into()), ..told("m") }, 400, "InvalidParameter", "text messages")
        .await;
    rig.no(sns::Publish { topic_arn: None, ..told("m") }, 400, "InvalidParameter", "TopicArn").await;
    rig.no(sns::Publish { topic_arn: Some(format!("{TOPIC}s")), ..told("m") }, 404, "NotFound", "").await;
}
