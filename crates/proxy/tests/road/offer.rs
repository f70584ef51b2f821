//! What TLS is offered, which instances are believed by their key, and who may connect at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::noun::{HealthTarget, Protocol};
use evenkeel_core::routes::{AddressRange, Routes, TlsBack, TlsVersion};
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::probe::Prober;
use evenkeel_proxy::road::RoadConfig;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use crate::origin::Origin;
use crate::rig::{Client, Rig, address, eventually};
use crate::tls_rig::{Made, TlsOrigin, connect, front, get, rig, settings, settings_by};

/// A client that offers these suites of the library's, by the names that logs have, in this order.
fn offering(made: &Made, names: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let position = |suite: &rustls::SupportedCipherSuite| {
        let name = format!("{:?}", suite.suite());
        names.iter().position(|wanted| *wanted == name)
    };
    provider.cipher_suites.retain(|suite| position(suite).is_some());
    provider.cipher_suites.sort_by_key(|suite| position(suite));
    Arc::new(settings_by(provider, &[made], versions))
}

const SMALL: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
const LARGE: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";

#[test]
fn a_listener_offers_what_it_lists_in_the_order_that_is_to_decide() {
    let (made, origin) = (Made::new(&["a.example"]), Origin::start(address(), 0));
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    let mut offer = |ciphers: Option<&[&str]>, oldest, newest, server_order| {
        let tls = rig.routes.listeners[0].tls.as_mut().unwrap();
        tls.ciphers = ciphers.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        (tls.oldest, tls.newest, tls.server_order) = (oldest, newest, server_order);
        rig.publish();
        rig.address()
    };
    let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
    let agreed = |to, client: &Arc<ClientConfig>| {
        let tls = connect(to, client, "a.example").ok()?;
        Some(format!("{:?}", tls.conn.negotiated_cipher_suite().unwrap().suite()))
    };
    let (up, down) = (offering(&made, &[SMALL, LARGE], &[&TLS12]), offering(&made, &[LARGE, SMALL], &[&TLS12]));
    let (small, large) = (Some(SMALL.to_owned()), Some(LARGE.to_owned()));
    let at = offer(None, old, new, true);
    assert_eq!((agreed(at, &up), agreed(at, &down)), (small.clone(), small.clone()));
    let at = offer(Some(&["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]), old, new, true);
    assert_eq!((agreed(at, &up), agreed(at, &down)), (large.clone(), large.clone()));
    // Who speaks both versions gets the one that has a cipher.
    let both = Arc::new(settings(&[&made], &[&TLS12, &TLS13]));
    assert_eq!(agreed(at, &both), large);
    let at = offer(None, old, new, false);
    assert_eq!((agreed(at, &up), agreed(at, &down)), (small, large));
    let at = offer(None, old, old, true);
    assert_eq!(agreed(at, &both).as_deref(), Some(SMALL));
    assert_eq!(agreed(at, &Arc::new(settings(&[&made], &[&TLS13]))), None);
    let at = offer(Some(&["TLS_AES_256_GCM_SHA384"]), old, new, true);
    assert_eq!(agreed(at, &both).as_deref(), Some("TLS13_AES_256_GCM_SHA384"));
    assert_eq!((agreed(at, &up), agreed(at, &down)), (None, None));
}

#[test]
fn a_handshake_with_nothing_in_common_is_answered_counted_and_logged_with_its_cause() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-offer.log", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let made = Made::new(&["a.example"]);
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, log, ..RoadConfig::default() });
    rig.routes.listeners[0].tls = front(&[&made]);
    let mut expected = 0;
    let mut check = |protocol: Protocol, cipher: &str, client: &Arc<ClientConfig>, cause: &str| {
        let listener = &mut rig.routes.listeners[0];
        (listener.protocol, listener.instance_protocol) = (protocol, protocol.plain());
        listener.tls.as_mut().unwrap().ciphers = Some(vec![cipher.to_owned()]);
        rig.publish();
        let refused = connect(rig.address(), client, "a.example").unwrap_err().to_string();
        assert!(refused.contains("HandshakeFailure") || refused.contains("ProtocolVersion"), "{refused}");
        expected += 1;
        let count = || rig.meters().from_balancer.get(&Fault::HandshakeFailed).copied();
        eventually("it is counted", || count() == Some(expected) && rig.meters().handshake_errors == expected);
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        eventually("it is logged", || read().lines().count() as u64 == expected);
        let last = read().lines().last().unwrap().to_owned();
        assert!(last.contains("\"fault\":\"handshake_failed\"") && last.contains(cause), "{last}");
    };
    let old = offering(&made, &[LARGE], &[&TLS12]);
    let cipher = "the client offers no cipher, group or signature that it has";
    check(Protocol::Https, "ECDHE-ECDSA-AES128-GCM-SHA256", &old, cipher);
    check(Protocol::Ssl, "ECDHE-ECDSA-AES128-GCM-SHA256", &old, cipher);
    let version = "the client offers no version that it speaks";
    check(Protocol::Https, "TLS_AES_128_GCM_SHA256", &old, version);
    check(Protocol::Ssl, "TLS_AES_128_GCM_SHA256", &old, version);
    let _ = std::fs::remove_file(path);
}

fn pinned(made: &Made) -> Option<TlsBack> {
    Some(TlsBack { public_keys: vec![made.public_key()], ..TlsBack::default() })
}

#[test]
fn an_instance_is_believed_by_its_key_alone() {
    let (made, known, strange) = (Made::new(&["a.example"]), Made::new(&["whoever"]), Made::new(&["whoever"]));
    let origin = TlsOrigin::start(&known, false);
    let mut rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
    let both = Arc::new(settings(&[&made], rustls::ALL_VERSIONS));
    let mut client = connect(rig.address(), &both, "a.example").unwrap();
    let mut answers = |rig: &mut Rig, back: Option<TlsBack>| {
        rig.routes.listeners[0].instance_tls = back;
        rig.publish();
        get(&mut client, "/").unwrap().0.lines().next().unwrap().to_owned()
    };
    assert_eq!(answers(&mut rig, pinned(&known)), "HTTP/1.1 200 OK");
    assert_eq!(rig.meters().connect_errors, 0);
    let refused = "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity";
    assert_eq!(answers(&mut rig, pinned(&strange)), refused);
    let meters = rig.meters();
    assert!(meters.connect_errors >= 1, "{meters:?}");
    assert_eq!(meters.from_balancer.get(&Fault::NotTrusted), Some(&1), "{meters:?}");
    // One of several is enough; and an authority that is stated as well has to agree.
    let several = TlsBack { public_keys: vec![strange.public_key(), known.public_key()], ..TlsBack::default() };
    assert_eq!(answers(&mut rig, Some(several.clone())), "HTTP/1.1 200 OK");
    let both_ways = |ca: &Made| TlsBack {
        ca_pem: Some(ca.chain_pem()),
        name: Some("whoever".into()),
        public_keys: several.public_keys.clone(),
    };
    assert_eq!(answers(&mut rig, Some(both_ways(&known))), "HTTP/1.1 200 OK");
    assert_eq!(answers(&mut rig, Some(both_ways(&strange))), refused);
    assert!(origin.handshakes.load(Ordering::SeqCst) >= 3);
}

/// Whoever shows a certificate has to prove that its key is his, in each version.
#[test]
fn a_certificate_without_its_key_is_not_believed() {
    let (made, known, strange) = (Made::new(&["a.example"]), Made::new(&["whoever"]), Made::new(&["whoever"]));
    for version in [&TLS12, &TLS13] {
        let honest = TlsOrigin::start_with(address(), known.server_with(&known, version), false);
        let thief = TlsOrigin::start_with(address(), known.server_with(&strange, version), false);
        let both = Arc::new(settings(&[&made], rustls::ALL_VERSIONS));
        for (origin, wanted) in [(honest, "200"), (thief, "503")] {
            let mut rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
            rig.routes.listeners[0].instance_tls = pinned(&known);
            rig.publish();
            let mut client = connect(rig.address(), &both, "a.example").unwrap();
            let (head, _) = get(&mut client, "/").unwrap();
            assert_eq!(head.split(' ').nth(1), Some(wanted), "{version:?}");
        }
    }
}

#[test]
fn tunnels_go_to_instances_of_a_known_key_and_checks_ask_for_it() {
    let (made, known, strange) = (Made::new(&["a.example"]), Made::new(&["whoever"]), Made::new(&["whoever"]));
    let origin = TlsOrigin::start(&known, true);
    let mut rig = rig(Protocol::Tcp, Protocol::Ssl, &made, &[origin.at]);
    rig.routes.health_check.target = HealthTarget::parse("SSL:443").unwrap();
    rig.routes.health_check.interval = Duration::from_secs(5);
    let prober = Prober::start(rig.road.board(), |_, _| {}).unwrap();
    let mut check = |back: Option<TlsBack>, serves: bool| {
        rig.routes.listeners[0].instance_tls = back;
        rig.publish();
        let mut client = Client::connect(rig.address());
        client.send("both ways");
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        let _ = client.stream.read_to_end(&mut all);
        assert_eq!(all == b"both ways", serves);
        let mut target = rig.routes.clone();
        target.targets[0].instance = crate::rig::instance(if serves { 77 } else { 78 });
        let key = (target.name.clone(), target.targets[0].instance.clone());
        let balancers = [(target.name.clone(), Arc::new(target))].into();
        prober.publish(Arc::new(Routes { generation: 1, balancers }));
        eventually("a verdict", || {
            prober.verdicts().iter().any(|(of, verdict)| {
                let failed =
                    verdict.why.as_ref().is_some_and(|why| why.to_string().to_lowercase().contains("certificate"));
                *of == key && if serves { verdict.health == Health::InService } else { failed }
            })
        });
    };
    check(pinned(&known), true);
    check(pinned(&strange), false);
}

fn ranges(list: &[&str]) -> Option<Arc<[AddressRange]>> {
    Some(list.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn only_who_is_let_in_may_connect() {
    let mut rig = Rig::new(&["a"]);
    let mut before = rig.client();
    assert_eq!(before.get("/").status, 200);
    let turned_away = |rig: &Rig| {
        let count = rig.meters().turned_away;
        // It may be connected by the kernel, but is closed before a byte is read, or an answer given.
        if let Ok(mut stream) = TcpStream::connect(rig.address()) {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert_eq!(answer, b"");
        }
        eventually("it is counted", || rig.meters().turned_away == count + 1);
    };
    for list in [&["10.0.0.0/8", "::/0"][..], &[]] {
        rig.routes.listeners[0].allowed_from = ranges(list);
        rig.publish();
        turned_away(&rig);
    }
    // What stands goes on.
    assert_eq!(before.get("/").status, 200);
    rig.routes.listeners[0].allowed_from = ranges(&["10.0.0.0/8", "127.0.0.0/8"]);
    rig.publish();
    assert_eq!(rig.client().get("/").status, 200);
    // Whom a PROXY header names is another matter.
    rig.routes.listeners[0].accept_proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    rig.publish();
    let mut client = rig.client();
    client.send("PROXY TCP4 192.0.2.1 10.0.0.1 1 80\r\n");
    let answer = client.get("/head");
    assert!(answer.text().contains("X-Forwarded-For: 192.0.2.1\r\n"), "{}", answer.text());
    rig.routes.listeners[0].allowed_from = ranges(&["192.0.2.0/24"]);
    rig.publish();
    turned_away(&rig);
    let meters = rig.meters();
    assert_eq!((meters.turned_away, meters.from_balancer.len()), (3, 0), "{meters:?}");
    drop((before, client));
    eventually("nothing is left", || rig.is_empty());
}
