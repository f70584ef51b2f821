//! Certificates through the whole product: swapped and renewed under load, kept sealed, served again after a crash.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_aws::blob::Blob;
use evenkeel_aws::{acm, elb, iam};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::rig::{INSTANCE_PORT, PORT, Rig};

struct Pair {
    body: String,
    key: String,
}

fn pair() -> Pair {
    let key = KeyPair::generate().unwrap();
    let body = CertificateParams::new(vec!["www.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    Pair { body: body.pem(), key: key.serialize_pem() }
}

/// Believes every certificate, but not that its holder has the key: that is proved.
#[derive(Debug)]
pub struct Anybody(pub Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client without a memory: every handshake is a full one.
pub fn client() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = config.unwrap().dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = config.with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// One request over a connection of its own; the certificate that was shown.
fn ask(config: &Arc<ClientConfig>, to: SocketAddr) -> std::io::Result<Vec<u8>> {
    ask_for(config, to, "www.example.test")
}

/// The same of a server by another name.
pub fn ask_for(config: &Arc<ClientConfig>, to: SocketAddr, name: &str) -> std::io::Result<Vec<u8>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(b"GET / HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer)?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
    }
    let shown = tls.conn.peer_certificates().and_then(|chain| chain.first());
    shown.map(|leaf| leaf.to_vec()).ok_or_else(|| std::io::Error::other("no certificate"))
}

fn upload(rig: &Rig, name: &str, pair: &Pair) -> String {
    let input = iam::UploadServerCertificate {
        server_certificate_name: name.into(),
        certificate_body: pair.body.clone(),
        private_key: pair.key.clone(),
        ..Default::default()
    };
    rig.call(&input).unwrap().server_certificate_metadata.arn
}

fn import(rig: &Rig, arn: Option<&str>, pair: &Pair) -> String {
    let input = acm::ImportCertificate {
        certificate_arn: arn.map(str::to_owned),
        certificate: Blob(pair.body.clone().into_bytes()),
        private_key: Blob(pair.key.clone().into_bytes()),
        ..Default::default()
    };
    rig.call(&input).unwrap().certificate_arn
}

/// The balancer `test` with one HTTPS listener that shows this certificate, and two instances in service.
fn secure(rig: &mut Rig, certificate: &str) -> SocketAddr {
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 2);
    let listener = elb::Listener {
        protocol: "https".into(),
        load_balancer_port: PORT.into(),
        instance_protocol: Some("http".into()),
        instance_port: INSTANCE_PORT.into(),
        ssl_certificate_id: Some(certificate.into()),
    };
    let input = elb::CreateLoadBalancer {
        load_balancer_name: "test".into(),
        listeners: vec![listener].into(),
        availability_zones: Some(vec!["us-east-1a".to_owned()].into()),
        ..Default::default()
    };
    rig.call(&input).unwrap();
    rig.add("test", &ids);
    rig.wait_in_service("test", &ids);
    rig.nodes("test")[0].1
}

fn show(rig: &Rig, certificate: &str) {
    let input = elb::SetLoadBalancerListenerSSLCertificate {
        load_balancer_name: "test".into(),
        load_balancer_port: PORT.into(),
        ssl_certificate_id: certificate.into(),
    };
    rig.call(&input).unwrap();
}

/// Every file below a folder that holds a text.
fn files_with(dir: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes())) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_certificate_is_swapped_and_renewed_under_load_without_a_failed_handshake() {
    let mut rig = Rig::start();
    let mut renewed = import(&rig, None, &pair());
    let other = upload(&rig, "other", &pair());
    let node = secure(&mut rig, &renewed);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let (failed, shown) = (Mutex::new(Vec::new()), Mutex::new(std::collections::BTreeSet::new()));
    let mut swaps = 0u32;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let config = client();
                while !stop.load(Ordering::Relaxed) {
                    match ask(&config, node) {
                        Ok(leaf) => drop(shown.lock().unwrap().insert(leaf)),
                        Err(error) => failed.lock().unwrap().push(error.to_string()),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            // A renewal keeps the ARN; a swap names another certificate.
            renewed = import(&rig, Some(&renewed), &pair());
            show(&rig, if swaps.is_multiple_of(2) { &other } else { &renewed });
            swaps += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (asked, shown) = (asked.into_inner(), shown.into_inner().unwrap().len());
    println!("{swaps} swaps and renewals under {asked} handshakes, {shown} certificates seen");
    assert_eq!(failed.into_inner().unwrap(), Vec::<String>::new(), "{}", rig.log());
    assert!(swaps >= 10 && asked >= 100 && shown >= 5, "{swaps} swaps, {asked} handshakes, {shown} certificates");
    rig.finish();
}

#[test]
fn private_keys_rest_sealed_and_serve_again_after_a_crash() {
    let mut rig = Rig::start();
    let one = pair();
    let arn = upload(&rig, "one", &one);
    let node = secure(&mut rig, &arn);
    let leaf = ask(&client(), node).unwrap();
    let secret = one.key.lines().nth(1).unwrap();
    assert_eq!(files_with(rig.data_dir(), secret), Vec::<std::path::PathBuf>::new(), "a private key is on disk");
    // Both processes die; the next ones find everything where it was.
    let road = std::fs::read_to_string(rig.file("road.lock")).unwrap();
    rig.kill_daemon();
    crate::rig::kill9(road.trim().parse().unwrap());
    rig.up();
    let again = rig.wait("the listener to serve again", Duration::from_secs(20), |_| ask(&client(), node).ok());
    assert_eq!(again, leaf);
    assert_eq!(files_with(rig.data_dir(), secret), Vec::<std::path::PathBuf>::new(), "a private key is on disk");
    rig.finish();
}

#[test]
fn a_certificate_in_use_that_ends_soon_is_warned_of_until_it_is_renewed() {
    let mut rig = Rig::start();
    let ending = |days: i64| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["soon.example.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        params.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now + days * 86_400).unwrap());
        Pair { body: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    let said = |rig: &Rig| {
        let mut told = std::process::Command::new(crate::rig::PROGRAM);
        told.args(["status", "--data-dir"]).arg(rig.data_dir()).env_remove("AWS_ENDPOINT_URL");
        String::from_utf8_lossy(&told.output().unwrap().stdout).into_owned()
    };
    let arn = import(&rig, None, &ending(6));
    let unused = import(&rig, None, &ending(1));
    secure(&mut rig, &arn);
    let warning = format!("the certificate for `soon.example.test` on test:{PORT} expires within 7 days, at ");
    rig.wait("the warning", Duration::from_secs(10), |rig| said(rig).contains(&warning).then_some(()));
    assert!(rig.log().contains(&warning) && !said(&rig).contains(&unused), "{}", said(&rig));
    import(&rig, Some(&arn), &ending(90));
    rig.wait("no warning", Duration::from_secs(10), |rig| (!said(rig).contains("soon.example.test")).then_some(()));
    assert_eq!(rig.log().matches(&warning).count(), 1, "{}", rig.log());
    rig.finish();
}
