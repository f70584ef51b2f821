//! Challenges of ACME servers, answered by the balancer itself.

use std::io::Read;
use std::sync::Arc;

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::Challenge;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::RoadConfig;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::origin::Origin;
use crate::rig::{Client, Rig, address, eventually};
use crate::tcp::mirror;
use crate::tls_rig::{Made, connect, get, rig, settings};

fn http(token: &str) -> Challenge {
    Challenge::Http { token: token.into(), key_authorization: format!("{token}.thumbprint").into() }
}

fn tls(name: &str, made: &Made) -> Challenge {
    Challenge::Tls { name: name.into(), certificate: made.certificate() }
}

#[test]
fn a_pending_token_is_answered_whatever_becomes_of_instances() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-acme.log", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let log = Some(LogConfig { path: path.clone(), format: Format::Aws, rotate_bytes: 0, keep: 0 });
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, log, ..RoadConfig::default() });
    let asked = "/.well-known/acme-challenge/some-token";
    // A client from before, whose connection stays.
    let mut early = rig.client();
    assert!(early.get(asked).head.starts_with("HTTP/1.1 200") && rig.hits() == [1]);
    rig.routes.challenges = vec![http("some-token"), http("another")];
    rig.publish();
    rig.health(Health::Failing);
    let answer = rig.client().get(asked);
    assert_eq!((answer.status, answer.text().as_str()), (200, "some-token.thumbprint"));
    assert_eq!((answer.field("content-type"), answer.field("connection")), (Some("text/plain"), Some("Close")));
    let answer = early.get(asked);
    assert_eq!((answer.status, answer.text().as_str()), (200, "some-token.thumbprint"));
    assert!(early.is_closed());
    assert_eq!(rig.hits(), [1]);
    // Everything else goes where it always goes.
    let at = rig.address();
    let passes = |request: &str| {
        let mut client = Client::connect(at);
        client.send(request);
        client.read_answer(request.starts_with("HEAD")).unwrap().status
    };
    let others = [
        "GET /.well-known/acme-challenge/some-toke HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /.well-known/acme-challenge/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /.well-known/acme-challenge/some-token?x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /x/.well-known/acme-challenge/some-token HTTP/1.1\r\nHost: h\r\n\r\n",
        "HEAD /.well-known/acme-challenge/some-token HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /.well-known/acme-challenge/some-token HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "GET /.well-known/acme-challenge/some-token HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
    ];
    for request in others {
        assert_eq!(passes(request), 503, "{request}");
    }
    rig.health(Health::InService);
    for request in others {
        assert_eq!(passes(request), 200, "{request}");
    }
    assert_eq!(rig.hits(), [1 + others.len() as u64]);
    rig.routes.challenges = Vec::new();
    rig.publish();
    assert_eq!(rig.client().get("/.well-known/acme-challenge/another").status, 200);
    assert_eq!(rig.hits(), [2 + others.len() as u64]);
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    let answered = " - -1 -1 -1 200 0 0 21 \"GET http://test:80/.well-known/acme-challenge/some-token HTTP/1.1\" ";
    eventually("the answers are logged", || read().matches(answered).count() == 2);
    let _ = std::fs::remove_file(path);
    eventually("nothing is left", || rig.is_empty());
}

/// As an ACME server asks (RFC 8737 §3): what it is shown, and that the connection then ends.
fn shown(rig: &Rig, name: &str, trusted: &Made, version: &'static rustls::SupportedProtocolVersion) -> Option<()> {
    let mut config = settings(&[trusted], &[version]);
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let mut tls = connect(rig.address(), &Arc::new(config), name).ok()?;
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    assert_eq!(tls.conn.peer_certificates().unwrap()[0], trusted.der);
    assert_eq!(tls.read(&mut [0; 1]).unwrap(), 0, "an end in good order");
    Some(())
}

#[test]
fn a_challenge_in_tls_is_shown_its_certificate_and_nothing_else() {
    let (made, answer) = (Made::new(&["a.example"]), Made::new(&["a.example"]));
    let origin = Origin::start(address(), 0);
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    for version in [&TLS12, &TLS13] {
        assert_eq!(shown(&rig, "a.example", &answer, version), None);
    }
    rig.routes.challenges = vec![tls("A.example", &answer), http("token")];
    rig.publish();
    let before = rig.meters();
    for version in [&TLS12, &TLS13] {
        assert_eq!(shown(&rig, "a.example", &answer, version), Some(()));
        assert_eq!(shown(&rig, "b.example", &answer, version), None);
    }
    let at = rig.address();
    let ordinary = |protocols: &[&[u8]]| {
        let mut config: ClientConfig = settings(&[&made], rustls::ALL_VERSIONS);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let mut client = connect(at, &Arc::new(config), "a.example").unwrap();
        get(&mut client, "/.well-known/acme-challenge/token").unwrap()
    };
    let offers: [&[&[u8]]; 3] = [&[], &[b"http/1.1"], &[b"acme-tls/1", b"http/1.1"]];
    for protocols in offers {
        let (head, body) = ordinary(protocols);
        assert!(head.starts_with("HTTP/1.1 200") && body == b"token.thumbprint", "{head}");
    }
    assert_eq!(origin.hits(), 0);
    rig.routes.challenges = Vec::new();
    rig.publish();
    assert_eq!(shown(&rig, "a.example", &answer, &TLS13), None);
    assert_eq!(ordinary(&[]).0.split(' ').nth(1), Some("200"));
    assert_eq!(origin.hits(), 1);
    eventually("what failed is counted", || rig.meters().handshake_errors == before.handshake_errors + 3);
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn tunnels_answer_challenges_too_and_others_keep_their_protocols() {
    let (made, answer, at) = (Made::new(&["a.example"]), Made::new(&["a.example"]), mirror());
    let mut rig = rig(Protocol::Ssl, Protocol::Tcp, &made, &[at]);
    rig.routes.challenges = vec![tls("a.example", &answer)];
    rig.publish();
    for version in [&TLS12, &TLS13] {
        assert_eq!(shown(&rig, "a.example", &answer, version), Some(()));
    }
    // Who offers a protocol to the instance behind is not refused for it.
    let mut config = settings(&[&made], rustls::ALL_VERSIONS);
    config.alpn_protocols = vec![b"imap".to_vec()];
    let client = connect(rig.address(), &Arc::new(config), "a.example").unwrap();
    assert_eq!(client.conn.alpn_protocol(), None);
    drop(client);
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn a_challenge_that_cannot_be_answered_is_told_and_hurts_nobody() {
    let (made, other) = (Made::new(&["a.example"]), Made::new(&["a.example"]));
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[Origin::start(address(), 0).address]);
    let certificate =
        evenkeel_core::routes::Certificate { chain_pem: made.chain_pem(), key_pem: other.certificate().key_pem };
    let bad = Challenge::Tls { name: "b.example".into(), certificate };
    let said = evenkeel_proxy::challenge::check(&bad).unwrap_err().to_string();
    assert_eq!(said, "certificate 1 has a key that does not match its certificate");
    assert!(evenkeel_proxy::challenge::check(&tls("a.example", &other)).is_ok());
    assert!(evenkeel_proxy::challenge::check(&tls("a.example", &Made::proof("a.example"))).is_ok());
    rig.routes.challenges = vec![bad, tls("a.example", &other)];
    let balancers = [(rig.routes.name.clone(), Arc::new(rig.routes.clone()))].into();
    let faults = rig.road.publish(Arc::new(evenkeel_core::routes::Routes { generation: 9, balancers }));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].error.starts_with("the challenge for `b.example` is not answered: certificate 1"), "{faults:?}");
    // Workers take new Routes up a moment later.
    eventually("the good one is answered", || shown(&rig, "a.example", &other, &TLS13).is_some());
    assert_eq!(shown(&rig, "b.example", &other, &TLS13), None);
}
