//! Certificates from a real ACME server, through the whole product: proved by the balancers, issued, shown, renewed; and what
//! becomes of them when names lead nowhere, the server is away, or the daemon dies in the middle.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_aws::{acm, elb, iam};
use rcgen::{CertificateParams, KeyPair};

use crate::certificates::ask_for;
use crate::pebble::{self, DOMAIN, Pebble, Settings, TLS_PORT, answer, problem};
use crate::rig::{INSTANCE_PORT, Rig};

/// The balancer `test` as everybody knows it.
fn name() -> String {
    format!("test.{DOMAIN}")
}

fn request(rig: &Rig, names: &[&str], method: Option<&str>) -> String {
    let input = acm::RequestCertificate {
        domain_name: names[0].into(),
        subject_alternative_names: names[1..].iter().map(ToString::to_string).collect(),
        validation_method: method.map(str::to_owned),
        ..Default::default()
    };
    rig.call(&input).unwrap().certificate_arn
}

fn described(rig: &Rig, arn: &str) -> acm::CertificateDetail {
    rig.call(&acm::DescribeCertificate { certificate_arn: arn.into() }).unwrap().certificate
}

fn issued(rig: &mut Rig, arn: &str) -> acm::CertificateDetail {
    rig.wait("the certificate to be issued", Duration::from_secs(60), |rig| {
        let detail = described(rig, arn);
        (detail.status == "ISSUED").then_some(detail)
    })
}

/// The certificate that is there once its serial is not that one any more.
fn another(rig: &mut Rig, arn: &str, serial: Option<&str>) -> acm::CertificateDetail {
    rig.wait("another certificate", Duration::from_secs(120), |rig| {
        let detail = described(rig, arn);
        (detail.serial.as_deref() != serial).then_some(detail)
    })
}

fn renew(rig: &Rig, arn: &str) {
    rig.call(&acm::RenewCertificate { certificate_arn: arn.into() }).unwrap();
}

/// An HTTPS listener of `test` that shows this certificate, and where it is.
fn listen(rig: &Rig, certificate: &str) -> SocketAddr {
    let listener = elb::Listener {
        protocol: "https".into(),
        load_balancer_port: TLS_PORT.into(),
        instance_protocol: Some("http".into()),
        instance_port: INSTANCE_PORT.into(),
        ssl_certificate_id: Some(certificate.into()),
    };
    let input =
        elb::CreateLoadBalancerListeners { load_balancer_name: "test".into(), listeners: vec![listener].into() };
    rig.call(&input).unwrap();
    SocketAddr::new(rig.nodes("test")[0].1.ip(), TLS_PORT)
}

/// Waits until a listener that was just made is served.
fn served(rig: &mut Rig, pebble: &Pebble, at: SocketAddr) -> Vec<u8> {
    let client = pebble.client();
    rig.wait("the listener to show the certificate", Duration::from_secs(10), |_| ask_for(&client, at, &name()).ok())
}

/// Tells clients to end when it goes.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Nothing of a challenge is left, and nothing of a private key was ever written down.
fn assert_clean(rig: &mut Rig) {
    rig.wait("the challenges to be withdrawn", Duration::from_secs(10), |rig| {
        let routes = std::fs::read_to_string(rig.file("routes.json")).unwrap_or_default();
        (!routes.contains("key_authorization") && !routes.contains("\"tls\":{\"name\"")).then_some(())
    });
    for file in ["state.db", "state.db-wal", "routes.json", "daemon.log", "road.log"] {
        let bytes = std::fs::read(rig.file(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"), "a private key is in {file}");
    }
}

#[test]
fn without_a_server_nothing_can_be_requested_and_the_flag_is_named() {
    let rig = Rig::start();
    let input = acm::RequestCertificate { domain_name: name(), ..Default::default() };
    let refused = rig.call(&input).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterException");
    assert!(refused.message.contains("--acme-directory URL"), "{}", refused.message);
    let told = rig.said(&["cert", "request", "www.example.test"]);
    assert!(told.contains("--acme-directory URL") && told.contains("hint: "), "{told}");
    rig.finish();
}

#[test]
fn names_are_proved_over_http_and_renewed_under_load_without_a_failed_handshake() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings { refuses_nonces: 20, ..Default::default() });
    rig.serving(&[("us-east-1a", 2)]);
    let dns = elb::DescribeLoadBalancers::default();
    let own = rig.call(&dns).unwrap().load_balancer_descriptions[0].dns_name.to_lowercase();
    let arn = request(&rig, &[&name(), &own, &format!("dualstack.{own}")], None);
    let pending = described(&rig, &arn);
    let first = pending.domain_validation_options.first().unwrap();
    assert_eq!(first.validation_method.as_deref(), Some("HTTP"), "{pending:?}");
    let mut detail = issued(&mut rig, &arn);
    let names: BTreeSet<&str> = detail.subject_alternative_names.iter().map(String::as_str).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!((detail.kind.as_str(), detail.key_algorithm.as_deref()), ("AMAZON_ISSUED", Some("EC-prime256v1")));
    assert!(detail.domain_validation_options.iter().all(|d| d.validation_status.as_deref() == Some("SUCCESS")));
    assert_clean(&mut rig);
    let node = listen(&rig, &arn);
    served(&mut rig, &pebble, node);

    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let (failed, shown) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let config = pebble.client();
                while !stop.load(Ordering::Relaxed) {
                    match ask_for(&config, node, &name()) {
                        Ok(leaf) => drop(shown.lock().unwrap().insert(leaf)),
                        Err(error) => failed.lock().unwrap().push(error.to_string()),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Whatever becomes of what follows, the clients end.
        let _end = Ending(&stop);
        for renewals in 1..=3 {
            renew(&rig, &arn);
            let serial = detail.serial.clone();
            detail = another(&mut rig, &arn, serial.as_deref());
            // Each one is seen before the next one comes.
            rig.wait("the new one to be shown", Duration::from_secs(10), |_| {
                (shown.lock().unwrap().len() > renewals || !failed.lock().unwrap().is_empty()).then_some(())
            });
        }
    });
    let (asked, shown) = (asked.into_inner(), shown.into_inner().unwrap().len());
    println!("3 renewals under {asked} handshakes, {shown} certificates seen");
    assert_eq!(failed.into_inner().unwrap(), Vec::<String>::new(), "{}", rig.log());
    assert!(shown == 4 && asked > 100, "{shown} certificates, {asked} handshakes");
    let renewal = detail.renewal_summary.unwrap();
    assert_eq!(renewal.renewal_status, "SUCCESS", "{renewal:?}");
    assert_clean(&mut rig);
    rig.finish();
}

#[test]
fn names_are_proved_over_tls_alone() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings::default());
    rig.serving(&[("us-east-1a", 1)]);
    // A listener must be there to be asked: it shows one that signed itself, until it has better.
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name()]).unwrap().self_signed(&key).unwrap();
    let uploaded = iam::UploadServerCertificate {
        server_certificate_name: "own".into(),
        certificate_body: own.pem(),
        private_key: key.serialize_pem(),
        ..Default::default()
    };
    let own = rig.call(&uploaded).unwrap().server_certificate_metadata.arn;
    let node = listen(&rig, &own);
    let input = acm::RequestCertificate {
        domain_name: name(),
        validation_method: Some("TLS_ALPN".into()),
        key_algorithm: Some("RSA_2048".into()),
        idempotency_token: Some("once".into()),
        ..Default::default()
    };
    let arn = rig.call(&input).unwrap().certificate_arn;
    assert_eq!(rig.call(&input).unwrap().certificate_arn, arn, "a token is worth one certificate");
    let detail = issued(&mut rig, &arn);
    assert_eq!(detail.key_algorithm.as_deref(), Some("RSA-2048"));
    let show = elb::SetLoadBalancerListenerSSLCertificate {
        load_balancer_name: "test".into(),
        load_balancer_port: TLS_PORT.into(),
        ssl_certificate_id: arn.clone(),
    };
    rig.call(&show).unwrap();
    served(&mut rig, &pebble, node);
    assert_clean(&mut rig);
    rig.finish();
}

#[test]
fn a_certificate_is_renewed_in_time_by_itself() {
    if !pebble::is_there() {
        return;
    }
    // With a third of 20 s left, or up to a second later.
    let (mut rig, _pebble) = pebble::start(&Settings { holds: 20, remembers: 100, ..Default::default() });
    rig.balancer("test", &["us-east-1a"]);
    let arn = request(&rig, &[&name()], None);
    let first = issued(&mut rig, &arn);
    let second = another(&mut rig, &arn, first.serial.as_deref());
    let (began, renewed) = (first.not_before.unwrap().0, second.not_before.unwrap().0);
    assert!((12_000..=18_000).contains(&(renewed - began)), "renewed after {} ms", renewed - began);
    assert!(renewed < first.not_after.unwrap().0, "there was a moment without a good one");
    rig.finish();
}

#[test]
fn a_name_that_leads_nowhere_fails_with_the_reason_and_is_tried_again() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings::default());
    rig.balancer("test", &["us-east-1a"]);
    let late = format!("late.{DOMAIN}");
    let arn = request(&rig, &[&name(), &late], None);
    let failed = rig.wait("the failure", Duration::from_secs(30), |rig| {
        let detail = described(rig, &arn);
        (detail.status == "FAILED").then_some(detail)
    });
    assert_eq!(failed.failure_reason.as_deref(), Some("DOMAIN_VALIDATION_DENIED"), "{failed:?}");
    let status = |detail: &acm::CertificateDetail, name: &str| {
        let mut of = detail.domain_validation_options.iter().filter(|of| of.domain_name == name);
        of.next().unwrap().validation_status.clone().unwrap()
    };
    assert_eq!(status(&failed, &late), "FAILED");
    let shown = rig.said(&["cert", "show", &arn]);
    assert!(shown.contains("status:    failed") && shown.contains(&format!("failed: `{late}`: ")), "{shown}");
    assert_clean(&mut rig);
    // On a slow day the next try is under way already, and comes to the same.
    rig.wait("the failure and the next try to be told", Duration::from_secs(30), |rig| {
        let told = rig.said(&["status"]);
        (told.contains(&format!("failed: `{late}`: ")) && told.contains("next try at")).then_some(())
    });
    // What was amiss is put right: the next try finds it so, without anyone's doing, and not too soon.
    rig.balancer("late", &["us-east-1a"]);
    issued(&mut rig, &arn);
    let tries = pebble.seen("POST /order-plz");
    let apart: Vec<Duration> = tries.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
    assert!(!apart.is_empty() && apart.iter().all(|waited| *waited >= Duration::from_secs(10)), "{apart:?}");
    rig.finish();
}

#[test]
fn a_server_that_is_away_or_limits_the_rate_is_left_alone_and_asked_again() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings { refuses_nonces: 0, ..Default::default() });
    rig.balancer("test", &["us-east-1a"]);
    pebble.answering(|_| Some(answer("502 Bad Gateway", "", "<html>")));
    let arn = request(&rig, &[&name()], None);
    let away = "is left alone for a while: the server answers with status 502";
    rig.wait("the trouble to be told", Duration::from_secs(10), |rig| {
        rig.said(&["status"]).contains(away).then_some(())
    });
    assert_eq!(described(&rig, &arn).status, "PENDING_VALIDATION");
    // Back again, it wants fewer orders, and says for how long.
    let limit = |what: &str| {
        let text = || problem("429 Too Many Requests", "Retry-After: 13\r\n", "rateLimited", "too many new orders");
        what.starts_with("POST /order-plz").then(text)
    };
    pebble.answering(limit);
    rig.wait("the limit to be told", Duration::from_secs(30), |rig| {
        rig.said(&["status"]).contains("too many new orders (rateLimited), next try at").then_some(())
    });
    assert_eq!(described(&rig, &arn).status, "PENDING_VALIDATION");
    let asked = pebble.seen("GET /dir").len();
    assert!(asked <= 3, "it was asked {asked} times");
    pebble.as_it_is();
    issued(&mut rig, &arn);
    let tries = pebble.seen("POST /order-plz");
    let waited = tries[1].duration_since(tries[0]);
    assert!(tries.len() == 2 && waited >= Duration::from_secs(13), "{} tries, {waited:?} apart", tries.len());
    rig.finish();
}

#[test]
fn a_certificate_for_another_key_or_for_other_names_is_refused() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings::default());
    rig.balancer("test", &["us-east-1a"]);
    let key = KeyPair::generate().unwrap();
    let foreign = CertificateParams::new(vec![name()]).unwrap().self_signed(&key).unwrap().pem();
    pebble.answering(move |what| {
        let headers = "Content-Type: application/pem-certificate-chain\r\n";
        what.starts_with("POST /certZ/").then(|| answer("200 OK", headers, &foreign))
    });
    let arn = request(&rig, &[&name()], None);
    rig.wait("the certificate to be refused", Duration::from_secs(30), |rig| {
        let detail = described(rig, &arn);
        (detail.status == "FAILED" && detail.failure_reason.as_deref() == Some("OTHER")).then_some(())
    });
    let told = rig.said(&["status"]);
    assert!(told.contains("the private key does not belong to the certificate (badCertificate)"), "{told}");
    assert_clean(&mut rig);
    pebble.as_it_is();
    renew(&rig, &arn);
    issued(&mut rig, &arn);
    rig.finish();
}

#[test]
fn a_daemon_that_dies_in_the_middle_goes_on_with_the_same_order_and_account() {
    if !pebble::is_there() {
        return;
    }
    let (mut rig, pebble) = pebble::start(&Settings { refuses_nonces: 0, ..Default::default() });
    rig.balancer("test", &["us-east-1a"]);
    // The order stands still: once before its names are looked at, once before the certificate is asked for.
    for stop in ["POST /chalZ/", "POST /finalize-order/"] {
        let orders = pebble.seen("POST /order-plz").len();
        pebble.answering(move |what| what.starts_with(stop).then(|| answer("503 Busy", "Retry-After: 1\r\n", "")));
        let arn = request(&rig, &[&name()], None);
        rig.wait("the order to come so far", Duration::from_secs(30), |_| {
            (!pebble.seen(stop).is_empty()).then_some(())
        });
        rig.kill_daemon();
        pebble.as_it_is();
        rig.up();
        issued(&mut rig, &arn);
        assert_eq!(pebble.seen("POST /order-plz").len(), orders + 1, "the order was begun anew after {stop}");
        assert_clean(&mut rig);
    }
    // One account, told once whom it may write to; greeted again by each daemon.
    let began = Instant::now();
    assert_eq!(pebble.seen("POST /my-account/").len(), 1, "{began:?}");
    assert_eq!(pebble.seen("POST /sign-me-up").len(), 3);
    rig.finish();
}
