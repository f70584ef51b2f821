//! What HTTP promises, over every pair of what clients speak and what instances are spoken to: HTTP/1.0 and HTTP/1.1, plain
//! and in TLS, HTTP/2 by prior knowledge and in TLS. Upgrades are elsewhere.

mod stage;
mod talk;

use bytes::Bytes;
use evenkeel_proxy::fault::Fault;

use self::stage::{Front, Stage, over_every_pair, pattern};
use self::talk::{Client, Size};
use crate::h2_rig::until;

const LARGE: usize = 3_000_000;

fn patterned(length: usize) -> Bytes {
    (0..length).map(pattern).collect()
}

#[test]
fn events_arrive_one_by_one_as_they_are_sent() {
    over_every_pair(async |stage: &Stage| {
        for path in ["/events", "/events?until-close"] {
            let mut client = stage.client().await;
            client.ask(("GET", path), Size::None, &[("Accept", "text/event-stream")]).await.unwrap();
            let head = client.ear.head(false).await.unwrap();
            assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
            for n in 0..5 {
                // The next one is not sent before this one is here: whoever waits for more waits forever.
                stage.go(1);
                let mut event = Vec::new();
                while !event.ends_with(b"\n\n") {
                    event.extend_from_slice(&client.ear.piece().await.unwrap().expect("an event"));
                }
                assert_eq!(event, format!("data: {n}\n\n").as_bytes());
            }
            assert_eq!(client.ear.piece().await.unwrap(), None);
        }
    });
}

#[test]
fn a_large_upload_waits_for_its_100_and_arrives_whole() {
    over_every_pair(async |stage: &Stage| {
        let body = patterned(LARGE);
        for size in [Size::Length(LARGE), stage.open(LARGE)] {
            let mut client = stage.client().await;
            let expects: &[_] = if stage.front.is_old() { &[] } else { &[("Expect", "100-continue")] };
            client.ask(("POST", "/take"), size, expects).await.unwrap();
            if !stage.front.is_old() {
                // Not a byte of the body is sent before.
                assert_eq!(client.ear.head(false).await.unwrap().status, 100);
            }
            for part in body.chunks(100_000) {
                client.mouth.say(part).await.unwrap();
            }
            client.mouth.end(&[]).await.unwrap();
            let (head, text) = client.answer(false).await.unwrap();
            // The balancer has said it, so the instance is not asked again.
            assert_eq!((head.status, text.as_str()), (200, "3000000 true None"));
        }
    });
}

#[test]
fn an_early_answer_is_delivered_and_the_rest_is_no_request() {
    over_every_pair(async |stage: &Stage| {
        // Whoever takes a part of this for a request would send it on.
        let body = Bytes::from("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n".repeat(LARGE / 31));
        for how in ["413-reads", "200-reads", "413-leaves", "200-leaves", "413-waits"] {
            for size in [Size::Length(body.len()), stage.open(body.len())] {
                let mut client = stage.client().await;
                let path = format!("/early?{how}");
                client.ask(("POST", &path), size, &[]).await.unwrap();
                let Client { mouth, ear, .. } = &mut client;
                let sending = async {
                    for part in body.chunks(100_000) {
                        // Nobody has to take it.
                        if mouth.say(part).await.is_err() {
                            return;
                        }
                    }
                    let _ = mouth.end(&[]).await;
                };
                let hearing = async {
                    let head = ear.head(false).await.unwrap_or_else(|error| panic!("{how} {size:?}: {error}"));
                    assert_eq!(head.status.to_string(), how[..3], "{how} {size:?}");
                    assert_eq!(ear.rest().await.unwrap(), b"early", "{how} {size:?}");
                    stage.go(usize::from(how.ends_with("waits")));
                };
                // An answer may end what is being sent; what is sent may not end the answer.
                let both = async { tokio::join!(sending, hearing) };
                let limit = std::time::Duration::from_secs(10);
                tokio::time::timeout(limit, both).await.unwrap_or_else(|_| panic!("{how} {size:?}: stuck"));
                drop(client);
                let mut client = stage.client().await;
                assert_eq!(client.get("/").await.unwrap().0.status, 200);
            }
        }
        let wrong: Vec<_> = stage.scene.seen().into_iter().filter(|line| line.contains("evil")).collect();
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(stage.rig.meters().from_balancer.get(&Fault::ClosedBeforeAnswer), None);
    });
}

#[test]
fn either_side_may_end_its_half() {
    over_every_pair(async |stage: &Stage| {
        // In HTTP/2 a stream's half ends with its last frame: that is what all other tests here do.
        if !stage.front.is_http2() {
            let mut client = stage.client().await;
            client.ask(("POST", "/take"), Size::Length(5), &[]).await.unwrap();
            client.mouth.say([0, 1, 2, 3, 4]).await.unwrap();
            client.mouth.finish().await.unwrap();
            assert_eq!(client.answer(false).await.unwrap().1, "5 true None");
            // Half a request is none.
            let mut client = stage.client().await;
            client.ask(("POST", "/hold"), Size::Length(5), &[]).await.unwrap();
            client.mouth.say([0, 1]).await.unwrap();
            client.mouth.finish().await.unwrap();
            assert!(client.answer(false).await.is_err());
            // It may have been seen to be none before anybody was asked.
            until("the instance does not take it for whole", || {
                let seen = stage.scene.seen();
                seen.iter().all(|line| line != "POST /hold") || seen.iter().any(|line| line == "cut short")
            })
            .await;
        }
        let mut client = stage.client().await;
        let (head, text) = client.get("/half-close").await.unwrap();
        assert_eq!((head.status, text.as_str()), (200, "all of it"));
        if !stage.back.is_http2() {
            until("the instance hears the other half end", || stage.scene.has("after the end: true")).await;
        }
    });
}

#[test]
fn trailers_cross_where_there_is_a_place_for_them() {
    over_every_pair(async |stage: &Stage| {
        let mut client = stage.client().await;
        client.ask(("POST", "/mirror"), stage.open(20), &[]).await.unwrap();
        client.mouth.say("this has ").await.unwrap();
        client.mouth.say("more to it.").await.unwrap();
        client.mouth.end(&[("X-Sum", "7"), ("Host", "evil"), ("X-More", "a b")]).await.unwrap();
        let (_, text) = client.answer(false).await.unwrap();
        assert_eq!(text, "this has more to it.");
        let said: Vec<_> = client.ear.trailers().iter().map(|(n, value)| (n.as_str(), value.as_str())).collect();
        // What frames or routes a message may not come after it.
        let wanted: &[_] = if stage.front.is_old() { &[] } else { &[("x-sum", "7"), ("x-more", "a b")] };
        assert_eq!(said, wanted);
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_right() {
    over_every_pair(async |stage: &Stage| {
        let mut client = stage.client().await;
        for _ in 0..3 {
            client.ask(("HEAD", "/"), Size::None, &[]).await.unwrap();
            let (head, text) = client.answer(true).await.unwrap();
            assert_eq!((head.status, head.field("content-length"), text.as_str()), (200, Some("2"), ""));
            for status in [204, 304] {
                let (head, text) = client.get(&format!("/status?{status}")).await.unwrap();
                assert_eq!((head.status, text.as_str()), (status, ""));
            }
            let (head, text) = client.get("/").await.unwrap();
            assert_eq!((head.status, head.field("content-length")), (200, Some(text.len().to_string().as_str())));
        }
        assert_eq!(stage.rig.meters().accepted, 1);
    });
}

#[test]
fn a_head_of_64_kib_is_refused_and_one_below_passes() {
    over_every_pair(async |stage: &Stage| {
        let value = "v".repeat(8000);
        for (count, status) in [(7, 200), (9, 431)] {
            let names: Vec<String> = (0..count).map(|n| format!("X-Long-{n}")).collect();
            let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
            let mut client = stage.client().await;
            client.ask(("GET", "/long"), Size::None, &fields).await.unwrap();
            assert_eq!(client.answer(false).await.unwrap().0.status, status, "{count} fields");
        }
        assert_eq!(stage.scene.seen(), ["GET /long"]);
    });
}

#[test]
fn an_instance_sees_that_its_client_left() {
    over_every_pair(async |stage: &Stage| {
        let gone = |count: usize| stage.scene.seen().iter().filter(|line| *line == "gone").count() == count;
        // In the midst of its request.
        let mut client = stage.client().await;
        client.ask(("POST", "/hold"), Size::Length(1000), &[]).await.unwrap();
        client.mouth.say("some").await.unwrap();
        until("the instance was asked", || stage.scene.has("POST /hold")).await;
        client.vanish();
        until("it is seen", || stage.scene.has("cut short")).await;
        until("it is over", || gone(1)).await;
        // While it waits for the answer.
        let mut client = stage.client().await;
        client.ask(("POST", "/hold"), Size::Length(4), &[]).await.unwrap();
        client.mouth.say("some").await.unwrap();
        client.mouth.end(&[]).await.unwrap();
        until("the instance has it all", || stage.scene.has("whole: 4")).await;
        client.vanish();
        until("it is seen", || gone(2)).await;
    });
}

#[test]
fn a_client_sees_that_its_instance_left() {
    over_every_pair(async |stage: &Stage| {
        for how in ["length-reset", "length-close", "open-reset", "open-close", "close-reset"] {
            // Closing is how a stream of no said length ends in HTTP/2.
            if stage.back.is_http2() && how == "open-close" {
                continue;
            }
            let mut client = stage.client().await;
            client.ask(("GET", &format!("/cut?{how}")), Size::None, &[]).await.unwrap();
            assert_eq!(client.ear.head(false).await.unwrap().status, 200);
            let mut part = Vec::new();
            while part.len() < 9 {
                part.extend_from_slice(&client.ear.piece().await.unwrap().unwrap());
            }
            assert_eq!(part, b"only this");
            stage.go(1);
            let rest = client.ear.rest().await;
            assert!(rest.is_err(), "{how}: {} more bytes, and an end", rest.unwrap().len());
            // Clients of HTTP/2 go on.
            if stage.front.is_http2() {
                assert_eq!(client.get("/").await.unwrap().0.status, 200);
            }
        }
        assert!(stage.rig.meters().from_balancer[&Fault::TruncatedAnswer] >= 4);
    });
}

#[test]
fn what_is_asked_of_each_pair_is_asked_in_its_own_words() {
    over_every_pair(async |stage: &Stage| {
        let mut client = stage.client().await;
        assert_eq!(client.get("/").await.unwrap().0.status, 200);
        let rows = stage.rig.road.connections(10, std::time::Duration::from_secs(5)).rows;
        let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
        let is_two = kinds.contains(&evenkeel_proxy::connections::Kind::H2);
        assert_eq!(is_two, matches!(stage.front, Front::H2c | Front::H2), "{rows:?}");
    });
}
