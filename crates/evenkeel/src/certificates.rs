//! Certificates as they come in: read, held against their key, their chain and the clock, before anybody keeps them.
//!
//! Owns what a good certificate is and the words for what is wrong with one; no word of it repeats a key. Must never keep,
//! seal or show anything. Source: RFC 5280; IAM user guide, "Upload a server certificate"; ACM user guide, "Prerequisites
//! for importing certificates".

use evenkeel_core::noun::Facts;
use evenkeel_core::time::Timestamp;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The most bytes of a certificate, and of its key (IAM: 16,384).
pub const BODY_BYTES: usize = 16 * 1024;
/// The most bytes of a chain (IAM: 2,097,152, which is more than a call may carry here).
pub const CHAIN_BYTES: usize = 512 * 1024;
/// The longest chain that is followed.
const CHAIN_LENGTH: usize = 32;

/// What is wrong with a certificate as it came.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadCertificate {
    /// No certificate, or more than one, or one that nobody should show.
    #[error("the certificate {0}")]
    Body(String),
    /// A chain that does not lead from it.
    #[error("the certificate chain {0}")]
    Chain(String),
    /// No key that could be used.
    #[error("the private key {0}")]
    Key(String),
    /// The key of another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

/// Reads a certificate, its chain (nearest first; `None` or blank for none) and its key, all in PEM, as of `now`.
///
/// # Errors
/// The first thing that is wrong.
pub fn examine(body: &str, chain: Option<&str>, key: &str, now: Timestamp) -> Result<Facts, BadCertificate> {
    let own = only(body)?;
    let leaf = parsed(&own).ok_or_else(|| BadCertificate::Body("is no X.509 certificate".into()))?;
    check_key(&own, key)?;
    let facts = facts(&leaf)?;
    if facts.not_after < now {
        return Err(BadCertificate::Body(format!("expired on {}", leaf.validity().not_after)));
    }
    if facts.not_before > now {
        return Err(BadCertificate::Body(format!("is not valid before {}", leaf.validity().not_before)));
    }
    check_chain(&own, &leaf, chain.unwrap_or_default())?;
    Ok(facts)
}

fn only(body: &str) -> Result<CertificateDer<'static>, BadCertificate> {
    let bad = |why: &str| BadCertificate::Body(why.into());
    if body.len() > BODY_BYTES {
        return Err(BadCertificate::Body(format!("is longer than {BODY_BYTES} bytes")));
    }
    let mut all = CertificateDer::pem_slice_iter(body.as_bytes());
    let first = all.next().ok_or_else(|| bad("is not PEM: there is no `BEGIN CERTIFICATE`"))?;
    let first = first.map_err(|_| bad("is not PEM: what stands between its lines is no base64"))?;
    if all.next().is_some() {
        return Err(bad("is more than one: those that lead from it to its root go into the chain"));
    }
    Ok(first)
}

fn check_key(own: &CertificateDer<'static>, key: &str) -> Result<(), BadCertificate> {
    let bad = |why: &str| Err(BadCertificate::Key(why.into()));
    if key.len() > BODY_BYTES {
        return Err(BadCertificate::Key(format!("is longer than {BODY_BYTES} bytes")));
    }
    // The words are our own: the library's might quote the key.
    let der = match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
        Ok(der) => der,
        Err(PemError::NoItemsFound) if key.contains("ENCRYPTED") => {
            return bad("is encrypted: it must be without a passphrase");
        }
        Err(PemError::NoItemsFound) => return bad("is not PEM: there is no `BEGIN PRIVATE KEY`"),
        Err(_) => return bad("is not PEM"),
    };
    let Ok(signing) = any_supported_type(&der) else {
        return bad(
            "is of a kind that cannot be used: it must be RSA of at least 2,048 bits, ECDSA (P-256, P-384, P-521) or Ed25519",
        );
    };
    match CertifiedKey::new(vec![own.clone()], signing).keys_match() {
        Ok(()) => Ok(()),
        Err(_) => Err(BadCertificate::Mismatch),
    }
}

/// Each certificate of a chain must have signed the one before it.
fn check_chain(own: &CertificateDer<'static>, leaf: &X509Certificate<'_>, chain: &str) -> Result<(), BadCertificate> {
    let bad = |why: String| Err(BadCertificate::Chain(why));
    if chain.trim().is_empty() {
        return Ok(());
    }
    if chain.len() > CHAIN_BYTES {
        return bad(format!("is longer than {CHAIN_BYTES} bytes"));
    }
    let all: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).take(CHAIN_LENGTH + 1).collect();
    let Ok(all) = all else { return bad("is not PEM: what stands between its lines is no base64".into()) };
    if all.is_empty() {
        return bad("is not PEM: there is no `BEGIN CERTIFICATE`".into());
    }
    if all.len() > CHAIN_LENGTH {
        return bad(format!("has more than {CHAIN_LENGTH} certificates"));
    }
    if all.first() == Some(own) {
        return bad("begins with the certificate itself, which belongs into the certificate alone".into());
    }
    let mut below = leaf.clone();
    for (at, der) in all.iter().enumerate() {
        let number = at + 1;
        let Some(issuer) = parsed(der) else { return bad(format!("has no X.509 certificate as number {number}")) };
        if below.issuer() != issuer.subject() {
            return bad(format!(
                "is out of order or lacks one: number {number} is `{}`, and what comes before it was issued by `{}`",
                issuer.subject(),
                below.issuer()
            ));
        }
        if below.verify_signature(Some(issuer.public_key())).is_err() {
            return bad(format!(
                "is of others: number {number}, `{}`, did not sign what comes before it",
                issuer.subject()
            ));
        }
        below = issuer;
    }
    Ok(())
}

fn parsed<'a>(der: &'a CertificateDer<'static>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

fn facts(leaf: &X509Certificate<'_>) -> Result<Facts, BadCertificate> {
    let moment = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned);
    let extension = leaf.subject_alternative_name();
    let extension = extension.map_err(|_| BadCertificate::Body("has alternative names that cannot be read".into()))?;
    let alternative = extension.iter().flat_map(|names| &names.value.general_names).filter_map(general_name);
    let mut names: Vec<String> = Vec::new();
    for name in common.chain(alternative) {
        if !names.iter().any(|held| held.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    Ok(Facts {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        names,
        serial: leaf.raw_serial_as_string(),
        not_before: moment(leaf.validity().not_before.timestamp()),
        not_after: moment(leaf.validity().not_after.timestamp()),
        key_algorithm: key_algorithm(leaf.public_key()),
        signature_algorithm: signature_algorithm(leaf),
    })
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match *octets {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            octets => <[u8; 16]>::try_from(octets).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    }
}

/// As Certificate Manager names keys.
fn key_algorithm(key: &SubjectPublicKeyInfo<'_>) -> String {
    let curve = || key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA_{}", rsa.key_size()),
        Ok(PublicKey::EC(_)) => match curve() {
            Some(curve) if curve == oid::OID_EC_P256 => "EC_prime256v1".into(),
            Some(curve) if curve == oid::OID_NIST_EC_P384 => "EC_secp384r1".into(),
            Some(curve) if curve == oid::OID_NIST_EC_P521 => "EC_secp521r1".into(),
            _ => "EC".into(),
        },
        _ if key.algorithm.algorithm == oid::OID_SIG_ED25519 => "ED25519".into(),
        _ => key.algorithm.algorithm.to_id_string(),
    }
}

fn signature_algorithm(leaf: &X509Certificate<'_>) -> String {
    let known = [
        (oid::OID_PKCS1_SHA256WITHRSA, "SHA256WITHRSA"),
        (oid::OID_PKCS1_SHA384WITHRSA, "SHA384WITHRSA"),
        (oid::OID_PKCS1_SHA512WITHRSA, "SHA512WITHRSA"),
        (oid::OID_SIG_ECDSA_WITH_SHA256, "SHA256WITHECDSA"),
        (oid::OID_SIG_ECDSA_WITH_SHA384, "SHA384WITHECDSA"),
        (oid::OID_SIG_ECDSA_WITH_SHA512, "SHA512WITHECDSA"),
        (oid::OID_SIG_ED25519, "ED25519"),
    ];
    let used = &leaf.signature_algorithm.algorithm;
    known.iter().find(|(id, _)| id == used).map_or_else(|| used.to_id_string(), |(_, name)| (*name).to_owned())
}

/// The body of a public key's PEM: what AWS's PublicKeyPolicyType wants.
#[must_use]
pub fn is_public_key(base64: &str) -> bool {
    use base64::Engine as _;
    let der = base64::prelude::BASE64_STANDARD.decode(base64).unwrap_or_default();
    SubjectPublicKeyInfo::from_der(&der).is_ok_and(|(rest, _)| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _, date_time_ymd,
    };

    use super::*;

    /// 2026-06-01.
    const NOW: Timestamp = Timestamp(1_780_272_000_000);

    fn params(name: &str, ca: bool) -> CertificateParams {
        let mut params =
            CertificateParams::new(vec![name.to_owned(), "www.example.test".into(), "127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params.is_ca = if ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        params
    }

    struct Chain {
        leaf: String,
        key: String,
        middle: String,
        root: String,
    }

    fn chain() -> Chain {
        let [root_key, middle_key, key] = [0; 3].map(|_| KeyPair::generate().unwrap());
        let root = params("root", true).self_signed(&root_key).unwrap();
        let middle =
            params("middle", true).signed_by(&middle_key, &Issuer::new(params("root", true), &root_key)).unwrap();
        let leaf =
            params("example.test", false).signed_by(&key, &Issuer::new(params("middle", true), &middle_key)).unwrap();
        Chain { leaf: leaf.pem(), key: key.serialize_pem(), middle: middle.pem(), root: root.pem() }
    }

    #[test]
    fn a_good_certificate_says_what_it_is() {
        let c = chain();
        let facts = examine(&c.leaf, Some(&format!("{}{}", c.middle, c.root)), &c.key, NOW).unwrap();
        assert_eq!(facts.names, ["example.test", "www.example.test", "127.0.0.1"]);
        assert_eq!(
            (facts.key_algorithm.as_str(), facts.signature_algorithm.as_str()),
            ("EC_prime256v1", "SHA256WITHECDSA")
        );
        assert!(facts.subject.contains("CN=example.test") && facts.issuer.contains("CN=middle"), "{facts:?}");
        assert_eq!((facts.not_before, facts.not_after), (Timestamp(1_767_225_600_000), Timestamp(1_798_761_600_000)));
        assert!(examine(&c.leaf, Some(" \n"), &c.key, NOW).is_ok() && examine(&c.leaf, None, &c.key, NOW).is_ok());
        // Whoever signed itself needs no chain.
        let key = KeyPair::generate().unwrap();
        let alone = params("alone", false).self_signed(&key).unwrap();
        assert!(examine(&alone.pem(), None, &key.serialize_pem(), NOW).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (c, other) = (chain(), chain());
        let check = |body: &str, chain: &str, key: &str, now: Timestamp, words: &str| {
            let bad = examine(body, Some(chain), key, now).unwrap_err().to_string();
            assert!(bad.contains(words) && !bad.contains("PRIVATE KEY-----\n"), "`{bad}` should hold `{words}`");
        };
        check("", "", &c.key, NOW, "there is no `BEGIN CERTIFICATE`");
        check(&c.leaf.replace('M', "!"), "", &c.key, NOW, "no base64");
        check(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "",
            &c.key,
            NOW,
            "no X.509 certificate",
        );
        check(&format!("{}{}", c.leaf, c.middle), "", &c.key, NOW, "more than one");
        check(&"x".repeat(BODY_BYTES + 1), "", &c.key, NOW, "longer than");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        check(&c.leaf, "", "", NOW, "there is no `BEGIN PRIVATE KEY`");
        check(&c.leaf, "", encrypted, NOW, "without a passphrase");
        check(&c.leaf, "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", NOW, "cannot be used");
        check(&c.leaf, "", &other.key, NOW, "does not belong");
        check(&c.leaf, "", &c.key, Timestamp(1_800_000_000_000), "expired on Jan  1 00:00:00 2027");
        check(&c.leaf, "", &c.key, Timestamp(1_700_000_000_000), "is not valid before");
        check(&c.leaf, &c.root, &c.key, NOW, "out of order or lacks one: number 1");
        check(&c.leaf, &format!("{}{}", c.root, c.middle), &c.key, NOW, "out of order");
        check(&c.leaf, &other.middle, &c.key, NOW, "did not sign");
        check(&c.leaf, &c.leaf, &c.key, NOW, "begins with the certificate itself");
        check(&c.leaf, "nonsense", &c.key, NOW, "there is no `BEGIN CERTIFICATE`");
        check(&c.leaf, &c.root.repeat(CHAIN_LENGTH + 1), &c.key, NOW, "more than 32");
    }

    #[test]
    fn public_keys_are_told_from_other_base64() {
        use base64::Engine as _;
        let key = KeyPair::generate().unwrap().subject_public_key_info();
        let text = base64::prelude::BASE64_STANDARD.encode(key);
        assert!(is_public_key(&text));
        assert!(!is_public_key("AAAA") && !is_public_key(&format!("{text}AAAA")) && !is_public_key("no"));
    }
}
