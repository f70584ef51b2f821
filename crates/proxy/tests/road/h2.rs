//! HTTP/2 clients and instances, over every pair of protocols that allows a thing.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::connections::{Kind, State};
use evenkeel_proxy::fault::Fault;
use http::{HeaderMap, Request};

use crate::h2_rig::{H2Origin, Reply, ask, client, receive, road, run, send_all, until};
use crate::rig::{Rig, eventually};
use crate::tls_rig::{Made, front};

/// A road in front of one HTTP/1 instance.
fn road_to_http1(made: Option<&Made>) -> Rig {
    let mut rig = Rig::new(&["a"]);
    let listener = &mut rig.routes.listeners[0];
    listener.http2 = true;
    if let Some(made) = made {
        listener.protocol = Protocol::Https;
        listener.tls = front(&[made]);
    }
    rig.publish();
    rig
}

#[test]
fn a_connection_and_its_streams_are_shown() {
    let rig = road_to_http1(None);
    run(async {
        let client = client(rig.address(), None).await;
        assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
        let waits = tokio::spawn({
            let client = client.clone();
            async move { ask(&client, "/slow?2000", None).await }
        });
        let look = || rig.road.connections(100, Duration::from_secs(10)).rows;
        let mut seen = Vec::new();
        until("the stream waits for the instance", || {
            seen = look();
            seen.iter().any(|row| row.kind == Kind::Http && row.state == State::Instance)
        })
        .await;
        let shared = seen.iter().find(|row| row.kind == Kind::H2).unwrap();
        let stream = seen.iter().find(|row| row.kind == Kind::Http).unwrap();
        assert_eq!((shared.state, shared.client, shared.at), (State::Open, stream.client, Some(rig.address())));
        assert!(shared.received > stream.received && stream.received > 0 && shared.sent > 0, "{seen:?}");
        assert_eq!(stream.instance, Some(rig.routes.targets[0].instance.to_string()));
        assert_eq!(waits.await.unwrap().unwrap().status, 200);
        until("the stream is over", || look().iter().any(|row| row.kind == Kind::H2 && row.state == State::Idle)).await;
    });
}

#[test]
fn many_requests_share_a_connection() {
    let made = Made::new(&["a.example"]);
    for secure in [None, Some(&made)] {
        let rig = road_to_http1(secure);
        run(async {
            let client = client(rig.address(), secure).await;
            let mut tasks = Vec::new();
            for n in 0..500 {
                let client = client.clone();
                tasks.push(tokio::spawn(async move { ask(&client, &format!("/head?{n}"), None).await }));
            }
            for (n, task) in tasks.into_iter().enumerate() {
                let reply = task.await.unwrap().unwrap();
                let text = reply.text();
                assert!(
                    reply.status == 200 && text.starts_with(&format!("GET /head?{n} HTTP/1.1\r\nHost: a.example\r\n")),
                    "{text}"
                );
                let proto = if secure.is_some() { "https" } else { "http" };
                assert!(text.contains(&format!("X-Forwarded-Proto: {proto}\r\n")), "{text}");
                assert!(!reply.fields.contains_key("connection") && !reply.fields.contains_key("keep-alive"));
            }
        });
        let meters = rig.meters();
        assert_eq!((meters.requests, meters.accepted, meters.from_instance[1]), (500, 1, 500));
        eventually("nothing is left", || rig.is_empty());
    }
}

#[test]
fn bodies_pass_both_ways_over_every_pair() {
    let made = Made::new(&["a.example"]);
    let body = Bytes::from((0..1_048_576u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    for secure in [None, Some(&made)] {
        let rig = road_to_http1(secure);
        run(async {
            let client = client(rig.address(), secure).await;
            let (up, down) =
                tokio::join!(ask(&client, "/echo", Some(body.clone())), ask(&client, "/big?1048576", None));
            assert!(up.unwrap().body == body && down.unwrap().body.len() == 1_048_576);
        });
        eventually("nothing is left", || rig.is_empty());
        for back in [None, Some(&made)] {
            let origin = H2Origin::start(back, 100);
            let rig = road(secure, &[&origin], back.is_some(), 1);
            run(async {
                let client = client(rig.address(), secure).await;
                let echo = |body: &Bytes| {
                    let (client, body) = (client.clone(), body.clone());
                    async move { ask(&client, "/echo", Some(body)).await }
                };
                let (one, two, three, four) =
                    tokio::join!(echo(&body), echo(&body), echo(&body), ask(&client, "/big?1048576", None));
                assert!(one.unwrap().body == body && two.unwrap().body == body && three.unwrap().body == body);
                assert_eq!(four.unwrap().body.len(), 1_048_576);
            });
            if secure.is_none() {
                let mut client = rig.client();
                client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
                // What is echoed must be read before all is sent.
                let mut up = client.stream.try_clone().unwrap();
                let echo = std::thread::scope(|scope| {
                    scope.spawn(|| up.write_all(&body).unwrap());
                    client.read().unwrap()
                });
                assert!(echo.body == body[..]);
                // An answer that began before its request was whole ends the connection.
                assert_eq!((echo.field("connection"), client.is_closed()), (Some("close"), true));
                assert_eq!(rig.client().get("/big?1048576").body.len(), 1_048_576);
            }
            assert_eq!(origin.connections(), 1);
            eventually("nothing is left", || rig.is_empty());
        }
    }
}

#[test]
fn trailers_pass_over_every_pair() {
    let origin = H2Origin::start(None, 100);
    let both = road(None, &[&origin], false, 1);
    let down = road_to_http1(None);
    run(async {
        let client1 = client(down.address(), None).await;
        let reply = ask(&client1, "/chunked", None).await.unwrap();
        assert_eq!((reply.text().as_str(), &reply.trailers.unwrap()["x-trailer"]), ("abcdefgh", &"1".parse().unwrap()));
        let client2 = client(both.address(), None).await;
        let reply = ask(&client2, "/trailers", None).await.unwrap();
        let trailers = reply.trailers.clone().unwrap();
        assert_eq!(
            (reply.text().as_str(), trailers.len(), &trailers["x-trailer"]),
            ("abcdefgh", 1, &"1".parse().unwrap())
        );
        // Up and down again.
        let request = Request::builder().method("POST").uri("http://a.example/echo").body(()).unwrap();
        let (answer, mut up) = client2.clone().ready().await.unwrap().send_request(request, false).unwrap();
        up.send_data("some".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        trailers.insert("authorization", "no".parse().unwrap());
        up.send_trailers(trailers).unwrap();
        let reply = receive(answer).await.unwrap();
        let trailers = reply.trailers.clone().unwrap();
        assert_eq!((reply.text().as_str(), trailers.len(), &trailers["x-sum"]), ("some", 1, &"7".parse().unwrap()));
    });
    let mut http1 = both.client();
    let answer = http1.get("/trailers");
    assert_eq!((answer.text().as_str(), answer.trailers.as_str()), ("abcdefgh", "x-trailer: 1\r\n"));
    http1.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nX-Sum: 7\r\nHost: b\r\n\r\n");
    let answer = http1.read().unwrap();
    assert_eq!((answer.text().as_str(), answer.trailers.as_str()), ("some", "x-sum: 7\r\n"));
    let mut http1 = down.client();
    assert_eq!(http1.get("/chunked").trailers, "X-Trailer: 1\r\n");
}

#[test]
fn answers_without_a_body_keep_their_meaning() {
    let origin = H2Origin::start(None, 100);
    let rig = road(None, &[&origin], false, 1);
    let mut http1 = rig.client();
    http1.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = http1.read_answer(true).unwrap();
    assert!(answer.status == 200 && answer.field("content-length").is_some(), "{answer:?}");
    assert_eq!(http1.get("/204").status, 204);
    assert_eq!(http1.get("/304").field("content-length"), Some("500"));
    let text = http1.get("/head?x").text();
    assert!(text.starts_with("GET http://test/head?x ") && text.contains("\"te\": \"trailers\""), "{text}");
    assert!(text.contains("\"x-forwarded-for\": \"127.0.0.1\"") && !text.contains("connection"), "{text}");
    run(async {
        let client = client(rig.address(), None).await;
        assert_eq!(ask(&client, "/204", None).await.unwrap().status, 204);
        assert_eq!(ask(&client, "/304", None).await.unwrap().fields["content-length"], "500");
        let request = Request::builder().method("HEAD").uri("http://a.example/head").body(()).unwrap();
        let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
        let reply = receive(answer).await.unwrap();
        assert!(reply.status == 200 && reply.body.is_empty() && reply.fields.contains_key("content-length"));
        // An answer before the body is there.
        let reply = ask(&client, "/early", Some(vec![0; 3_000_000].into())).await.unwrap();
        assert_eq!(reply.status, 413);
        assert_eq!(ask(&client, "/", None).await.unwrap().text(), "ok");
    });
    assert_eq!(http1.get("/malformed").status, 502);
    assert_eq!(rig.meters().from_balancer.get(&Fault::BadAnswer), Some(&1));
    eventually("nothing is in flight", || rig.meters().open_streams == 0);
}

#[test]
fn what_was_not_looked_at_is_tried_again_and_nothing_else() {
    for path in ["/refuse-first", "/leave-first"] {
        let first = H2Origin::start(None, 100);
        let origins = [H2Origin::counting(None, 100, first.requests.clone()), first];
        let rig = road(None, &[&origins[0], &origins[1]], false, 1);
        run(async {
            let client = client(rig.address(), None).await;
            for _ in 0..20 {
                assert_eq!(ask(&client, path, Some("body".into())).await.unwrap().status, 200, "{path}");
            }
        });
        let retries = rig.meters().retries;
        assert!(if path == "/refuse-first" { (1..=2).contains(&retries) } else { retries <= 2 }, "{path} {retries}");
    }
    let origin = H2Origin::start(None, 100);
    let rig = road(None, &[&origin], false, 1);
    let mut http1 = rig.client();
    assert_eq!(http1.post("/refuse", b"x").status, 504);
    assert!(rig.meters().retries > 0);
    // What may have been acted on is not.
    let before = origin.requests();
    assert_eq!(http1.post("/hang-up", b"x").status, 504);
    assert_eq!(origin.requests(), before + 1);
    assert_eq!(http1.get("/").text(), "ok");
    // A stream that is over is not kept for another request.
    let kept = rig.road.connections(100, Duration::from_secs(10));
    assert!(kept.rows.iter().all(|row| row.kind != Kind::Pool), "{kept:?}");
    // A connection that has served before may just have idled too long: its instance is asked once more, on a new one.
    let before = origin.requests();
    assert_eq!(http1.get("/hang-up").status, 504);
    assert_eq!(origin.requests(), before + 2);
}

#[test]
fn a_cut_answer_is_seen_as_one() {
    let origin = H2Origin::start(None, 100);
    let both = road(None, &[&origin], false, 1);
    let down = road_to_http1(None);
    run(async {
        for (rig, path) in [(&both, "/cut"), (&down, "/truncated"), (&down, "/truncated-chunk")] {
            let client = client(rig.address(), None).await;
            let error = ask(&client, path, None).await.unwrap_err();
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR), "{path}: {error}");
            assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
        }
    });
    let mut http1 = both.client();
    http1.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(http1.read().is_err());
    for rig in [&both, &down] {
        assert!(rig.meters().from_balancer[&Fault::TruncatedAnswer] >= 1);
        eventually("nothing is left", || rig.meters().open_streams == 0);
    }
}

#[test]
fn a_stream_that_is_not_read_stalls_nobody_else() {
    let origin = H2Origin::start(None, 100);
    for rig in [road(None, &[&origin], false, 1), road_to_http1(None)] {
        run(async {
            let client = client(rig.address(), None).await;
            let request = Request::get("http://a.example/big?10000000").body(()).unwrap();
            let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
            let mut stalled = answer.await.unwrap().into_body();
            let first = stalled.data().await.unwrap().unwrap().len();
            // Its window stays shut; the connection's is kept open by its other streams' share of it.
            for _ in 0..50 {
                assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
            }
            let mut total = first;
            stalled.flow_control().release_capacity(first).unwrap();
            while let Some(data) = stalled.data().await {
                let data = data.unwrap();
                total += data.len();
                stalled.flow_control().release_capacity(data.len()).unwrap();
            }
            assert_eq!(total, 10_000_000);
        });
        eventually("nothing is left", || rig.is_empty());
    }
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    let origin = H2Origin::start(None, 100);
    for rig in [road(None, &[&origin], false, 2), road_to_http1(None)] {
        run(async {
            for reset in [true, false] {
                let mut client = client(rig.address(), None).await;
                let mut held = Vec::new();
                for path in ["/slow?300", "/big?50000000", "/echo"] {
                    let request = Request::post(format!("http://a.example{path}")).body(()).unwrap();
                    client = client.ready().await.unwrap();
                    let (answer, mut up) = client.send_request(request, false).unwrap();
                    send_all(&mut up, vec![1; 10_000].into(), false).await.unwrap();
                    held.push((answer, up));
                }
                until("they are served", || rig.meters().open_streams == 3).await;
                if reset {
                    for (_, up) in &mut held {
                        up.send_reset(h2::Reason::CANCEL);
                    }
                    // The connection is as good as before.
                    assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
                }
                drop(held);
            }
        });
        eventually("nothing is left", || rig.is_empty());
    }
}

#[test]
fn an_instance_that_dies_ends_its_streams() {
    let origin = H2Origin::start(None, 100);
    let rig = road(None, &[&origin], false, 1);
    run(async {
        let client = client(rig.address(), None).await;
        let slow: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { ask(&client, "/slow?5000", Some("x".into())).await })
            })
            .collect();
        until("all are there", || origin.requests() == 10).await;
        assert_eq!(ask(&client, "/hang-up", Some("x".into())).await.unwrap().status, 504);
        for task in slow {
            assert_eq!(task.await.unwrap().unwrap().status, 504);
        }
        assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
    });
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn an_instance_gets_no_more_streams_than_it_allows() {
    let origin = H2Origin::start(None, 3);
    let rig = road(None, &[&origin], false, 1);
    run(async {
        let client = client(rig.address(), None).await;
        let tasks: Vec<_> = (0..60)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { ask(&client, "/slow?20", None).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().text(), "slow");
        }
    });
    assert!(origin.connections() >= 2, "{}", origin.connections());
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn an_instance_that_speaks_only_http1_is_answered_for() {
    let mut rig = Rig::new(&["a"]);
    rig.routes.listeners[0].instance_http = InstanceHttp::Two;
    rig.routes.idle_timeout = Duration::from_secs(2);
    rig.publish();
    let answer = rig.client().get("/");
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn stopping_finishes_what_is_in_flight() {
    let rig = road_to_http1(None);
    let at = rig.address();
    let (started, begun) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        run(async {
            let client = client(at, None).await;
            let slow = {
                let client = client.clone();
                tokio::spawn(async move { ask(&client, "/slow?700", None).await })
            };
            assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
            started.send(()).unwrap();
            let reply: Reply = slow.await.unwrap().unwrap();
            // Nothing more is opened on a connection that goes.
            let refused = tokio::time::timeout(Duration::from_secs(5), async {
                loop {
                    if ask(&client, "/", None).await.is_err() {
                        return;
                    }
                }
            });
            refused.await.unwrap();
            reply.status
        })
    });
    begun.recv().unwrap();
    eventually("both were asked", || rig.hits() == [2]);
    rig.road.stop(Duration::from_secs(5));
    assert_eq!(client.join().unwrap(), 200);
}

#[test]
fn an_idle_connection_is_told_and_closed() {
    let mut rig = road_to_http1(None);
    rig.routes.idle_timeout = Duration::from_secs(1);
    rig.publish();
    run(async {
        let wire = crate::h2_rig::dial(rig.address(), None).await;
        let (client, connection) = h2::client::handshake(wire).await.unwrap();
        let ended = tokio::spawn(connection);
        assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
        // A word to go, and not a cut.
        ended.await.unwrap().unwrap();
        drop(client);
    });
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn half_a_request_is_not_waited_for_without_end() {
    let mut rig = road_to_http1(None);
    rig.routes.idle_timeout = Duration::from_secs(1);
    rig.publish();
    run(async {
        let client = client(rig.address(), None).await;
        let request = Request::post("http://a.example/echo").body(()).unwrap();
        let (answer, _up) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        assert_eq!(receive(answer).await.unwrap().status, 408);
        assert_eq!(ask(&client, "/", None).await.unwrap().status, 200);
    });
    // Nor for half a preface, or half a head.
    let mut half = rig.client();
    half.send("PRI * HTT");
    assert!(half.is_closed() || half.read().is_ok());
    let mut wire = crate::h2_frames::Wire::greeted(&rig);
    wire.send(&[0, 0, 50, 1, 4, 0, 0, 0, 1]);
    while wire.next().is_some_and(|frame| frame.kind != u8::MAX && frame.kind != 7) {}
    wire.stream.flush().unwrap();
    let _ = wire.stream.shutdown(Shutdown::Both);
    eventually("nothing is left", || rig.is_empty());
}
