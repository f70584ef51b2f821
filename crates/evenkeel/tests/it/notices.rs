//! SNS as subscribers see it: questions, messages, what becomes of those who do not answer, and a daemon that is killed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_aws::sns;
use evenkeel_aws::xml::Entries;

use crate::rig::Rig;
use crate::smtp::Smtp;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a subscriber was sent.
#[derive(Clone, Debug)]
pub struct Got {
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// A subscriber that answers with one status, or with 0: never.
pub struct Subscriber {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    status: Arc<AtomicU16>,
}

impl Subscriber {
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (got, status) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU16::new(status)));
        let (seen, says) = (Arc::clone(&got), Arc::clone(&status));
        // It ends with the process: nobody waits for it.
        std::thread::spawn(move || {
            let mut never = Vec::new();
            for stream in listener.incoming().flatten() {
                let status = says.load(Ordering::SeqCst);
                if status == 0 {
                    never.push(stream);
                } else if let Some(got) = answer(stream, status) {
                    seen.lock().unwrap().push(got);
                }
            }
        });
        Self { address, got, status }
    }

    fn url(&self) -> String {
        format!("http://{}/told?by=evenkeel", self.address)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Messages by their text, without questions.
    pub fn texts(&self) -> Vec<String> {
        let all = self.got();
        let told = all.iter().filter(|got| got.head.contains("x-amz-sns-message-type: Notification"));
        let text = |got: &Got| match got.head.contains("x-amz-sns-rawdelivery: true") {
            true => got.body.clone(),
            false => got.json()["Message"].as_str().unwrap().to_owned(),
        };
        told.map(text).collect()
    }
}

fn answer(mut stream: TcpStream, status: u16) -> Option<Got> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                // The head's names in small letters, so that they can be looked for.
                let lines = head.lines().map(|line| match line.split_once(": ") {
                    Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
                    None => line.to_owned(),
                });
                let head = lines.collect::<Vec<_>>().join("\n");
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
                return Some(Got { head, body: body.to_owned() });
            }
        }
        match stream.read(&mut block).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&block[..count]),
        }
    }
}

pub fn topic(rig: &Rig) -> String {
    rig.call(&sns::CreateTopic { name: "news".into(), ..Default::default() }).unwrap().topic_arn
}

/// Subscribes and has the subscriber say yes by the link it was sent; the subscription's ARN.
pub fn subscribed(rig: &mut Rig, topic: &str, to: &Subscriber, raw: bool) -> String {
    let mut attributes = Entries::default();
    if raw {
        attributes.insert("RawMessageDelivery".into(), "true".into());
    }
    let input = sns::Subscribe {
        topic_arn: topic.into(),
        protocol: "http".into(),
        endpoint: Some(to.url()),
        attributes,
        return_subscription_arn: Some(true),
    };
    let arn = rig.call(&input).unwrap().subscription_arn;
    let asked = rig.wait("the question", PATIENCE, |_| {
        to.got().into_iter().find(|got| got.head.contains("x-amz-sns-message-type: SubscriptionConfirmation"))
    });
    let question = asked.json();
    assert_eq!(
        (question["Type"].as_str(), question["TopicArn"].as_str()),
        (Some("SubscriptionConfirmation"), Some(topic))
    );
    let url = question["SubscribeURL"].as_str().unwrap();
    assert!(url.contains(question["Token"].as_str().unwrap()));
    let path = url.strip_prefix(&format!("http://{}", rig.api)).unwrap();
    let (status, body) = rig.get(rig.api, path).unwrap();
    assert!(status == 200 && body.contains(&arn), "{status} {body}");
    arn
}

fn publish(rig: &Rig, topic: &str, message: &str) -> String {
    let input = sns::Publish { topic_arn: Some(topic.into()), message: message.into(), ..Default::default() };
    rig.call(&input).unwrap().message_id
}

#[test]
fn subscribers_agree_are_told_and_leave_by_their_links() {
    let mut rig = Rig::start();
    let topic = topic(&rig);
    let (plain, raw) = (Subscriber::start(200), Subscriber::start(204));
    let arn = subscribed(&mut rig, &topic, &plain, false);
    subscribed(&mut rig, &topic, &raw, true);
    let mut attributes = evenkeel_aws::xml::NamedEntries::default();
    let value =
        sns::MessageAttributeValue { data_type: "Number".into(), string_value: Some("7".into()), binary_value: None };
    attributes.insert("level".into(), value);
    let input = sns::Publish {
        topic_arn: Some(topic.clone()),
        subject: Some("An instance".into()),
        message: "{\"default\": \"for all\", \"http\": \"for you \\u00e4\"}".into(),
        message_structure: Some("json".into()),
        message_attributes: attributes,
        ..Default::default()
    };
    let id = rig.call(&input).unwrap().message_id;
    rig.wait("both to be told", PATIENCE, |_| (plain.texts().len() == 1 && raw.texts().len() == 1).then_some(()));
    assert_eq!((plain.texts(), raw.texts()), (vec!["for you ä".to_owned()], vec!["for you ä".to_owned()]));
    let told = plain.got().pop().unwrap();
    assert!(told.head.starts_with("POST /told?by=evenkeel HTTP/1.1"), "{}", told.head);
    for line in [
        "content-type: text/plain; charset=UTF-8".to_owned(),
        format!("x-amz-sns-message-id: {id}"),
        format!("x-amz-sns-topic-arn: {topic}"),
        format!("x-amz-sns-subscription-arn: {arn}"),
        "user-agent: Amazon Simple Notification Service Agent".to_owned(),
    ] {
        assert!(told.head.contains(&line), "`{line}` is not in\n{}", told.head);
    }
    let document = told.json();
    let texts = ["Type", "MessageId", "TopicArn", "Subject"].map(|name| document[name].as_str().unwrap_or_default());
    assert_eq!(texts, ["Notification", &id, &topic, "An instance"]);
    assert_eq!(document["MessageAttributes"]["level"], serde_json::json!({"Type": "Number", "Value": "7"}));
    // Out again by the link.
    let url = document["UnsubscribeURL"].as_str().unwrap();
    let (status, _) = rig.get(rig.api, url.strip_prefix(&format!("http://{}", rig.api)).unwrap()).unwrap();
    assert_eq!(status, 200);
    publish(&rig, &topic, "to one");
    rig.wait("the other to be told", PATIENCE, |_| (raw.texts().len() == 2).then_some(()));
    assert_eq!(plain.texts().len(), 1);
    rig.finish();
}

#[test]
fn who_does_not_answer_holds_up_nobody_and_is_tried_again() {
    let mut rig = Rig::start();
    let topic = topic(&rig);
    let (good, silent, busy, gone) =
        (Subscriber::start(200), Subscriber::start(200), Subscriber::start(200), Subscriber::start(200));
    for to in [&good, &silent, &busy, &gone] {
        subscribed(&mut rig, &topic, to, false);
    }
    for (to, status) in [(&silent, 0), (&busy, 503), (&gone, 404)] {
        to.status.store(status, Ordering::SeqCst);
    }
    let begun = Instant::now();
    let wanted: Vec<String> = (0..100).map(|n| format!("message {n}")).collect();
    for message in &wanted {
        publish(&rig, &topic, message);
    }
    rig.wait("the good one to have all", PATIENCE, |_| (good.texts().len() >= 100).then_some(()));
    println!("100 messages to 4 subscribers, 3 of them bad: the good one had all after {:?}", begun.elapsed());
    assert_eq!(good.texts(), wanted, "in order, each once");
    // It is there again: tried again, in order. What was refused for good is not.
    rig.wait("the busy one to be tried", PATIENCE, |_| (!busy.texts().is_empty()).then_some(()));
    let tried = busy.texts();
    assert!(tried.iter().all(|text| text == "message 0"), "{tried:?}");
    busy.status.store(200, Ordering::SeqCst);
    rig.wait("the busy one to have all", PATIENCE, |_| {
        busy.texts().last().filter(|text| *text == "message 99").cloned()
    });
    let mut had = busy.texts();
    had.dedup();
    assert_eq!(had, wanted);
    rig.wait("the one that is gone to be given up", PATIENCE, |_| (gone.texts().len() >= 100).then_some(()));
    assert_eq!(gone.texts(), wanted, "each was tried once");
    rig.finish();
}

#[test]
fn what_was_published_survives_a_daemon_that_is_killed() {
    let mut rig = Rig::start();
    let topic = topic(&rig);
    let to = Subscriber::start(200);
    subscribed(&mut rig, &topic, &to, false);
    to.status.store(503, Ordering::SeqCst);
    let mut published = Vec::new();
    for round in 0..3 {
        for n in 0..10 {
            let message = format!("message {round} {n}");
            publish(&rig, &topic, &message);
            published.push(message);
        }
        rig.kill_daemon();
        if round == 1 {
            to.status.store(200, Ordering::SeqCst);
        }
        rig.up();
    }
    rig.wait("everything to be told", PATIENCE, |_| {
        let told = to.texts();
        published.iter().all(|message| told.contains(message)).then_some(())
    });
    let left = || std::fs::read_dir(rig.file("notices")).unwrap().count();
    let until = Instant::now() + PATIENCE;
    while left() > 0 {
        assert!(Instant::now() < until, "{} files are left", left());
        std::thread::sleep(Duration::from_millis(20));
    }
    rig.finish();
}

#[test]
fn subscribers_by_mail_agree_are_told_and_leave_by_their_links() {
    let server = Smtp::start("starttls");
    let settings = server.notification("true", "nobody@evenkeel.test");
    let mut rig = Rig::start_after(|rig| {
        let path = rig.file("smtp.cfg");
        std::fs::write(&path, &settings).unwrap();
        vec!["--smtp-config".into(), path.display().to_string()]
    });
    let topic = topic(&rig);
    let named = sns::SetTopicAttributes {
        topic_arn: topic.clone(),
        attribute_name: "DisplayName".into(),
        attribute_value: Some("The, <news>".into()),
    };
    rig.call(&named).unwrap();
    let input = sns::Subscribe {
        topic_arn: topic.clone(),
        protocol: "email".into(),
        endpoint: Some("ann@evenkeel.test".into()),
        ..Default::default()
    };
    rig.call(&input).unwrap();
    rig.wait("the question", PATIENCE, |_| (server.mails().len() == 1).then_some(()));
    let question = server.mails().remove(0);
    assert_eq!((question.to, question.tls), (vec!["ann@evenkeel.test".to_owned()], true));
    assert!(question.text.contains("From: \"The news\" <ops@evenkeel.test>"), "{}", question.text);
    follow(&rig, &question.text, "Action=ConfirmSubscription");
    // A server that is busy is tried again.
    server.refuse(Some("451 later"));
    publish(&rig, &topic, "all is <well>");
    rig.wait("a refusal", PATIENCE, |_| (server.refused() > 0).then_some(()));
    server.refuse(None);
    rig.wait("the message", PATIENCE, |_| (server.mails().len() == 2).then_some(()));
    let told = server.mails().remove(1);
    let text = unfolded(&told.text);
    for part in ["Subject: AWS Notification Message", "all is <well>", "all is &lt;well&gt;"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    follow(&rig, &told.text, "Action=Unsubscribe");
    let left = rig.call(&sns::ListSubscriptions::default()).unwrap().subscriptions;
    assert_eq!(left.0, Vec::new());
    assert!(!rig.log().contains("hush-hush"));
    rig.finish();
}

/// A mail's text without what quoted-printable (RFC 2045) did to it.
fn unfolded(text: &str) -> String {
    text.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}

/// Opens the link in a mail that does something.
fn follow(rig: &Rig, mail: &str, what: &str) {
    let text = unfolded(mail);
    let start = format!("http://{}", rig.api);
    let link = text.split_whitespace().find_map(|word| word.strip_prefix(&start).filter(|path| path.contains(what)));
    let link = link.unwrap_or_else(|| panic!("no link for {what} in\n{text}"));
    let (status, body) = rig.get(rig.api, link).unwrap();
    assert_eq!(status, 200, "{body}");
}
