//! Settings: what is refused, with what words, and which certificate is chosen.

use base64::Engine;
use evenkeel_core::routes::Certificate;
use rcgen::{CertificateParams, KeyPair};

use super::*;

fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (pem("CERTIFICATE", made.cert.der()), pem("PRIVATE KEY", made.signing_key.serialized_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn front(pairs: &[(&str, &str)]) -> TlsFront {
    let certificate = |(chain, key): &(&str, &str)| Certificate { chain_pem: (*chain).into(), key_pem: (*key).into() };
    TlsFront { certificates: pairs.iter().map(certificate).collect(), ..TlsFront::default() }
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    check_front(&front(pairs), SystemTime::now()).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_said_without_the_key() {
    let (chain, key) = made(&["a.example"]);
    let (_, other) = made(&["b.example"]);
    let good = (chain.as_str(), key.as_str());
    assert_eq!(check_front(&front(&[good]), SystemTime::now()), Ok(vec![]));
    assert_eq!(refusal(&[]), "TLS listeners need a certificate");
    assert_eq!(refusal(&[good, (&chain, &other)]), "certificate 2 has a key that does not match its certificate");
    assert_eq!(
        refusal(&[(&chain, &chain)]),
        "certificate 1 has a key that is missing: there is no `BEGIN PRIVATE KEY`"
    );
    assert_eq!(refusal(&[(&key, &key)]), "certificate 1 has a chain that is empty: there is no `BEGIN CERTIFICATE`");
    assert!(refusal(&[(&chain.replace("CERTIFICATE", "CERTIFICATE REQUEST"), &key)]).contains("is empty"));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(refusal(&[(&chain, &encrypted)]).ends_with("is encrypted: it must be without a passphrase"));
    let broken = chain.replace("\nMII", "\nMIX");
    assert!(
        refusal(&[(&broken, &key)]).starts_with("certificate 1 has a chain that begins with"),
        "{}",
        refusal(&[(&broken, &key)])
    );
    let cut = &key[..key.len() / 2];
    let said = refusal(&[(&chain, cut)]);
    assert!(said.ends_with("is no PEM") && !said.contains(&key[40..60]), "{said}");
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    let chain = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
    let front = front(&[(&chain, &pem("PRIVATE KEY", key.serialized_der()))]);
    assert_eq!(check_front(&front, SystemTime::now()), Ok(vec!["certificate 1 has expired".to_owned()]));
}

#[test]
fn what_clients_may_agree_on_is_judged() {
    let (chain, key) = made(&["a.example"]);
    let check = |ciphers: &[&str], oldest, newest, wanted: Result<(), &str>| {
        let ciphers = Some(ciphers.iter().map(|name| (*name).to_owned()).collect());
        let front = TlsFront { oldest, newest, ciphers, ..front(&[(&chain, &key)]) };
        let got = check_front(&front, SystemTime::now()).map(drop).map_err(|fault| fault.to_string());
        assert_eq!(got, wanted.map_err(str::to_owned), "{:?}", front.ciphers);
    };
    let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
    check(&["ECDHE-ECDSA-AES128-GCM-SHA256", "AES128-SHA"], old, new, Ok(()));
    check(&["TLS_AES_128_GCM_SHA256"], old, new, Ok(()));
    let none = "none of the listed ciphers is one that can be served in the versions of TLS that are spoken";
    check(&["AES128-SHA", "x"], old, new, Err(none));
    check(&["TLS_AES_128_GCM_SHA256"], old, old, Err(none));
    check(&["ECDHE-ECDSA-AES128-GCM-SHA256"], new, new, Err(none));
    let kind = "the listed ciphers are for certificates with an RSA key, and there is none";
    check(&["ECDHE-RSA-AES128-GCM-SHA256"], old, new, Err(kind));
    let order = "the oldest version of TLS is newer than the newest, which is TLS 1.2";
    check(&["TLS_AES_128_GCM_SHA256"], new, old, Err(order));
}

#[test]
fn public_keys_are_judged() {
    use rcgen::PublicKeyData as _;
    let key = KeyPair::generate().unwrap().subject_public_key_info();
    let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let check = |keys: &[String]| {
        let public_keys = keys.iter().map(|key| key.as_str().into()).collect();
        check_back(&TlsBack { public_keys, ..TlsBack::default() }).map_err(|fault| fault.to_string())
    };
    assert_eq!(check(&[text(&key), text(&key)]), Ok(()));
    let no = "public key 2 for instances is no public key: base64 of a DER SubjectPublicKeyInfo";
    assert_eq!(check(&[text(&key), text(&key[1..])]).unwrap_err(), no);
    assert_eq!(check(&["!".to_owned()]).unwrap_err(), "public key 1 for instances is no base64");
}

#[test]
fn authorities_and_names_are_judged() {
    let (chain, key) = made(&["a.example"]);
    let check = |ca: &str, name: Option<&str>| {
        check_back(&TlsBack { ca_pem: Some(ca.into()), name: name.map(str::to_owned), ..TlsBack::default() })
            .map_err(|fault| fault.to_string())
    };
    assert_eq!(check(&chain, Some("a.example")), Ok(()));
    assert_eq!(check(&chain, None), Ok(()));
    assert!(check(&key, None).unwrap_err().starts_with("the authorities for instances are none"));
    assert_eq!(check(&chain, Some("a b")).unwrap_err(), "`a b` is no name that an instance could have");
    assert_eq!(check_back(&TlsBack::default()), Ok(()));
}
