//! Bytes, waits and signatures: what a peer may send, and that it costs no more than its own connection.

use evenkeel_aws::sts::GetCallerIdentity;

use super::*;

const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> Limits {
    Limits { idle: SHORT, head: SHORT, body: SHORT, ..Limits::default() }
}

/// An ELB call by GET, as boto 2 makes it, to a host of its choice.
fn boto_get(rig: &Rig, target: &str, host: &str, scope: (&str, &str)) -> Request {
    let mut request = Request {
        method: "GET".into(),
        target: target.into(),
        headers: vec![("Host".into(), host.as_bytes().to_vec())],
        body: Vec::new(),
    };
    sigv4::sign(&mut request, &rig.credentials, scope.0, scope.1, now());
    request
}

#[tokio::test]
async fn anyone_may_ask_whether_it_is_up() {
    let rig = Rig::start().await;
    let answer = rig.raw(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
}

#[tokio::test]
async fn only_key_holders_may_ask_how_it_fares() {
    let rig = Rig::start().await;
    let signed = boto_get(&rig, "/status", &rig.host, ("us-east-1", "evenkeel"));
    let answer = rig.raw(&bytes(&signed, true)).await;
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    assert_eq!(rig.raw(b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.status, 403);
}

#[tokio::test]
async fn only_key_holders_may_have_unused_images_go() {
    let rig = Rig::start().await;
    for (path, said) in [("/images/collect", "{\"dry\":false}"), ("/images/collect?dry-run", "{\"dry\":true}")] {
        let mut request = boto_get(&rig, path, &rig.host, ("us-east-1", "evenkeel"));
        assert_ne!(rig.raw(&bytes(&request, true)).await.status, 200, "a page is read, and nothing goes by reading");
        request.method = "POST".into();
        request.headers.retain(|(name, _)| name.eq_ignore_ascii_case("host"));
        sigv4::sign(&mut request, &rig.credentials, "us-east-1", "evenkeel", now());
        let answer = rig.raw(&bytes(&request, true)).await;
        assert_eq!((answer.status, answer.text()), (200, said));
    }
    let nobody = b"POST /images/collect HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(rig.raw(nobody).await.status, 403);
}

#[tokio::test]
async fn whoever_is_on_this_machine_may_read_what_was_measured() {
    let rig = Rig::start().await;
    let answer = rig.raw(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "up 1\n"));
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", answer.head);
    let post = rig.raw(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(post.status, 403);
    for (peer, local) in [("127.0.0.1", true), ("127.81.0.4", true), ("::1", true), ("::ffff:127.0.0.1", true)] {
        assert_eq!(is_local(peer.parse().unwrap()), local, "{peer}");
    }
    for peer in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"] {
        assert!(!is_local(peer.parse().unwrap()), "{peer}");
    }
}

#[tokio::test]
async fn every_answer_carries_its_request_id_twice() {
    let rig = Rig::start().await;
    let answer = rig.raw(&bytes(&rig.signed(&GetCallerIdentity {}), true)).await;
    assert_eq!(answer.status, 200);
    let id = answer.head.split("x-amzn-requestid: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(answer.text().contains(&format!("<RequestId>{id}</RequestId>")), "{}", answer.text());
    assert!(answer.head.contains("content-type: text/xml;charset=utf-8"), "{}", answer.head);
    let error = rig.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let id = error.head.split("x-amzn-requestid: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(error.text().contains(id), "{}", error.text());
}

#[tokio::test]
async fn absolute_targets_foreign_hosts_and_boto_scopes_are_served() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let aws = "elasticloadbalancing.us-east-1.amazonaws.com";
    let query = "?Action=DescribeLoadBalancers&Version=2012-06-01";
    let scope = ("us-east-1", "elasticloadbalancing");
    for (target, host, scope) in [
        (format!("http://{aws}/{query}"), aws, scope),
        (format!("/{query}"), "127.0.0.1", ("0", "127")),
        (format!("/{query}"), "localhost:7480", ("localhost", "localhost")),
    ] {
        let answer = rig.raw(&bytes(&boto_get(&rig, &target, host, scope), true)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("<LoadBalancerName>web</LoadBalancerName>"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_request_line_of_60_kib_is_served() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let ids: String = (1..).map(|n| format!("&Instances.member.{n}.InstanceId=i-{n:017x}")).take(1000).collect();
    let target = format!(
        "/?Action=DescribeInstanceHealth&Version=2012-06-01&LoadBalancerName=web{ids}&Pad={}",
        "x".repeat(4000)
    );
    assert!(target.len() > 55_000, "{}", target.len());
    let answer =
        rig.raw(&bytes(&boto_get(&rig, &target, &rig.host, ("us-east-1", "elasticloadbalancing")), true)).await;
    assert!(answer.text().contains("Could not find EC2 instance i-00000000000000001."), "{}", answer.text());
    let endless = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(300_000));
    assert!(matches!(rig.raw(endless.as_bytes()).await.status, 0 | 414 | 431));
}

#[tokio::test]
async fn bad_signatures_are_refused_in_the_callers_dialect() {
    let rig = Rig::start().await;
    let check = async |request: Request, status: u16, code: &str| {
        let answer = rig.raw(&bytes(&request, true)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{code}: {}", answer.text());
    };
    let elb = || rig.signed(&elb::DescribeLoadBalancers::default());
    let ec2 = || rig.signed(&ec2::DescribeInstances::default());
    let unsigned = |mut request: Request| {
        request.headers.retain(|(name, _)| name != "Authorization");
        request
    };
    let changed = |mut request: Request| {
        request.body.extend_from_slice(b"&More=1");
        request
    };
    let signed_by = |input: &elb::DescribeLoadBalancers, id: &str, secret: &str, at: Time| {
        let other = Credentials { access_key_id: id.into(), secret_access_key: secret.into(), session_token: None };
        client::encode(input, &rig.host, &other, "us-east-1", at).unwrap()
    };
    let input = elb::DescribeLoadBalancers::default();
    let own = rig.credentials.clone();
    check(unsigned(elb()), 403, "MissingAuthenticationToken").await;
    check(unsigned(ec2()), 403, "MissingAuthenticationToken").await;
    check(changed(elb()), 403, "SignatureDoesNotMatch").await;
    check(changed(ec2()), 401, "AuthFailure").await;
    check(signed_by(&input, "AKIAAAAAAAAAAAAAAAAA", &own.secret_access_key, now()), 403, "InvalidClientTokenId").await;
    check(signed_by(&input, &own.access_key_id, "wrong", now()), 403, "SignatureDoesNotMatch").await;
    let late = now().plus_seconds(-310);
    check(signed_by(&input, &own.access_key_id, &own.secret_access_key, late), 403, "SignatureDoesNotMatch").await;
    let early = now().plus_seconds(-290);
    assert_eq!(
        rig.raw(&bytes(&signed_by(&input, &own.access_key_id, &own.secret_access_key, early), true)).await.status,
        200
    );
}

#[tokio::test]
async fn unknown_actions_and_verbs_are_named() {
    let rig = Rig::start().await;
    let scope = ("us-east-1", "elasticloadbalancing");
    let get = |action: &str| boto_get(&rig, &format!("/?Action={action}&Version=2012-06-01"), &rig.host, scope);
    let answer = rig.raw(&bytes(&get("Levitate"), true)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("<Code>InvalidAction</Code>"), "{}", answer.text());
    for verb in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = rig.raw(format!("{verb} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{verb}: {}", answer.status);
        assert!(answer.text().contains("UnsupportedHttpVerb"), "{verb}: {}", answer.text());
    }
    let answer = rig.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!((400..500).contains(&answer.status));
}

#[tokio::test]
async fn what_is_no_http_costs_only_its_connection() {
    let rig = Rig::with(impatient(), settings()).await;
    for junk in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nA B\r\n\r\n",
    ] {
        let answer = rig.raw(junk).await;
        assert!(matches!(answer.status, 0 | 400), "{}", answer.status);
    }
    rig.ok(GetCallerIdentity {}).await;
}

#[tokio::test]
async fn half_a_request_is_waited_for_only_so_long() {
    let rig = Rig::with(impatient(), settings()).await;
    // No head, half a head: closed, perhaps after a word.
    assert!(matches!(rig.raw(b"").await.status, 0 | 408));
    assert!(matches!(rig.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-").await.status, 0 | 400 | 408));
    // Half a body: told, in the caller's dialect as far as it is known.
    let half =
        b"POST /?Version=2016-11-15&Action=DescribeInstances HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nFilter";
    let answer = rig.raw(half).await;
    assert_eq!(answer.status, 408);
    assert!(answer.text().contains("<Response><Errors><Error><Code>RequestTimeout</Code>"), "{}", answer.text());
    // One that goes away in the midst of its body.
    let mut stream = rig.connect().await;
    stream.write_all(half).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(matches!(answer.status, 0 | 400 | 408), "{}", answer.status);
    rig.ok(GetCallerIdentity {}).await;
}

#[tokio::test]
async fn bodies_are_bounded() {
    let rig = Rig::start().await;
    let body = |length: usize| {
        let mut body = b"Version=2016-11-15&Action=DescribeInstances&Pad=".to_vec();
        body.resize(length, b'x');
        let mut request = Request {
            method: "POST".into(),
            target: "/".into(),
            headers: vec![("Host".into(), rig.host.clone().into_bytes())],
            body,
        };
        sigv4::sign(&mut request, &rig.credentials, "us-east-1", "ec2", now());
        bytes(&request, true)
    };
    let limit = crate::api::funnel::BODY_BYTES;
    assert_eq!(rig.raw(&body(limit)).await.status, 200);
    for length in [limit + 1, 3 * limit] {
        let answer = rig.raw(&body(length)).await;
        assert_eq!(answer.status, 413);
        assert!(answer.text().contains("<Response><Errors><Error><Code>RequestEntityTooLarge</Code>"));
    }
    let lie =
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nFFFFFFFFFFFFFFFFF\r\n";
    assert!(matches!(rig.raw(lie).await.status, 0 | 400));
    rig.ok(GetCallerIdentity {}).await;
}

#[tokio::test]
async fn connections_are_kept_and_closed_at_shutdown() {
    let mut rig = Rig::start().await;
    let mut stream = rig.connect().await;
    let request = bytes(&rig.signed(&GetCallerIdentity {}), false);
    for _ in 0..3 {
        stream.write_all(&request).await.unwrap();
        let mut some = vec![0; 16 * 1024];
        let n = timeout(DEADLINE, stream.read(&mut some)).await.unwrap().unwrap();
        assert!(some[..n].starts_with(b"HTTP/1.1 200"));
    }
    rig.stop.take().unwrap().send(()).unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    timeout(DEADLINE, &mut rig.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(&rig.host).await.is_err());
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_has_happened() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    rig.store.arm(crate::keeper::store::memory::Fault::Full);
    rig.no(balancer("web"), 503, "ServiceUnavailable", "disk is full").await;
    rig.no(launch(&image, 1), 503, "Unavailable", "disk is full").await;
    rig.store.revive();
    assert!(rig.ok(elb::DescribeLoadBalancers::default()).await.load_balancer_descriptions.is_empty());
    rig.balancer("web").await;
}

#[tokio::test]
async fn a_head_once_begun_must_end_soon_and_an_idle_connection_may_stay() {
    let rig = Rig::with(Limits { idle: 2 * DEADLINE, head: SHORT, ..Limits::default() }, settings()).await;
    let mut idle = rig.connect().await;
    let request = bytes(&rig.signed(&GetCallerIdentity {}), false);
    let mut some = vec![0; 16 * 1024];
    for _ in 0..2 {
        idle.write_all(&request).await.unwrap();
        let n = timeout(DEADLINE, idle.read(&mut some)).await.unwrap().unwrap();
        assert!(some[..n].starts_with(b"HTTP/1.1 200"));
        // Meanwhile one that began later is cut off.
        let mut slow = rig.connect().await;
        slow.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-").await.unwrap();
        assert!(matches!(read_to_end(&mut slow).await.status, 0 | 400 | 408));
    }
    // The second request of a connection is held to it as well.
    idle.write_all(b"POST / HTTP/1.1\r\nHost").await.unwrap();
    assert!(matches!(read_to_end(&mut idle).await.status, 0 | 400 | 408));
}

fn slow_image() -> ec2::RegisterImage {
    ec2::RegisterImage { name: "slow".into(), image_location: Some("/images/slow".into()), ..Default::default() }
}

/// One test, because both hold the one gate.
#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the gate is what holds the import up; nobody awaits it")]
async fn slow_calls_are_answered_in_time_and_finished_at_shutdown() {
    let gate = GATE.lock().unwrap();
    let rig = Rig::with(Limits { answer: SHORT, ..Limits::default() }, settings()).await;
    rig.no(slow_image(), 503, "ServiceUnavailable", "It may still take effect.").await;
    assert!(rig.ok(ec2::DescribeImages::default()).await.images_set.is_empty());
    let mut generations = rig.keeper.generations();
    let before = *generations.borrow_and_update();
    drop(gate);
    timeout(DEADLINE, generations.wait_for(|generation| *generation > before)).await.unwrap().unwrap();
    assert_eq!(rig.ok(ec2::DescribeImages::default()).await.images_set[0].name, "slow");

    let gate = GATE.lock().unwrap();
    let mut rig = Rig::start().await;
    let mut stream = rig.connect().await;
    stream.write_all(&bytes(&rig.signed(&slow_image()), false)).await.unwrap();
    let under_way = async {
        while HELD_UP.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, under_way).await.unwrap();
    rig.stop.take().unwrap().send(()).unwrap();
    while TcpStream::connect(&rig.host).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(gate);
    let answer = read_to_end(&mut stream).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    timeout(DEADLINE, &mut rig.served).await.unwrap().unwrap();
}

/// Seeded: a failure names the round that it came from.
#[tokio::test]
async fn requests_with_bytes_knocked_over_never_bring_it_down() {
    let rig = Rig::with(impatient(), settings()).await;
    let image = rig.image().await;
    let whole = [
        bytes(&rig.signed(&balancer("web")), true),
        bytes(&rig.signed(&launch(&image, 1)), true),
        bytes(&boto_get(&rig, "http://a/?Action=DescribeTags&Version=2012-06-01", "a", ("0", "127")), true),
    ];
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..150 {
        let mut request = whole[round % whole.len()].clone();
        for _ in 0..=round % 4 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let at = usize::try_from(dice >> 8).unwrap() % request.len();
            request[at] = dice.to_le_bytes()[0];
        }
        let answer = rig.raw(&request).await;
        assert!(answer.status < 500, "round {round}: {}", answer.text());
    }
    rig.ok(GetCallerIdentity {}).await;
}
