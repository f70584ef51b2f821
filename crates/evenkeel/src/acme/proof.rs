//! What we show: keys, requests for certificates (RFC 2986), and the certificate that proves a name over TLS (RFC 8737).
//!
//! Must never keep or seal a key: whoever asks does.

use evenkeel_core::noun::KeyType;
use instant_acme::Key;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::Trouble;

/// A certificate and its private key, in PEM.
pub struct Shown {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
}

fn trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble::new("key", error)
}

/// A new private key for a certificate, in PEM. RSA takes its time: not for a thread that must not wait.
///
/// # Errors
/// No dice.
pub fn new_key(kind: KeyType) -> Result<String, Trouble> {
    let key = match kind {
        KeyType::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    Ok(key.map_err(trouble)?.serialize_pem())
}

/// A new private key for an account: ECDSA over P-256, as PKCS #8.
///
/// # Errors
/// No dice.
pub fn new_account_key() -> Result<Vec<u8>, Trouble> {
    let (_, key) = Key::generate_pkcs8().map_err(trouble)?;
    Ok(key.secret_pkcs8_der().to_vec())
}

/// An account's key as the library wants it.
pub(super) fn account_key(pkcs8: &[u8]) -> Result<Key, Trouble> {
    Key::from_pkcs8_der(PrivatePkcs8KeyDer::from(pkcs8)).map_err(trouble)
}

/// The request for a certificate for these names and this key, in DER.
///
/// # Errors
/// A name or key that cannot stand in one.
pub fn signing_request(names: &[String], key_pem: &str) -> Result<Vec<u8>, Trouble> {
    let key = KeyPair::from_pem(key_pem).map_err(|_| Trouble::new("key", "the private key cannot be read"))?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(trouble)?;
    // The names stand in the extension alone: a common name has room for 64 letters, and is read by nobody.
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&key).map_err(trouble)?.der().to_vec())
}

/// The certificate that answers a TLS-ALPN-01 challenge: for that name alone, signed by itself, with the digest of the key
/// authorization in a critical extension (RFC 8737 §3).
///
/// # Errors
/// A name that cannot stand in one.
pub fn of_name(name: &str, key_authorization: &str) -> Result<Shown, Trouble> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key_authorization.as_bytes());
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(trouble)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(trouble)?;
    let certificate = params.self_signed(&key).map_err(trouble)?;
    Ok(Shown { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_for_the_names_and_the_key() {
        for kind in [KeyType::P256, KeyType::Rsa2048] {
            let key = new_key(kind).unwrap();
            let der = signing_request(&["a.test".into(), "b.test".into()], &key).unwrap();
            let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty() && request.verify_signature().is_ok(), "{kind:?}");
            let mut extensions = request.requested_extensions().unwrap();
            assert!(extensions.any(|extension| matches!(
                extension,
                ParsedExtension::SubjectAlternativeName(names) if names.general_names.len() == 2
            )));
        }
        let bad = signing_request(&["a.test".into()], "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert!(!bad.unwrap_err().to_string().contains("AAAA"));
    }

    #[test]
    fn a_proof_over_tls_is_for_one_name_and_critical() {
        let shown = of_name("a.test", "token.thumb").unwrap();
        let (_, pem) = parse_x509_pem(shown.certificate_pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let oid = x509_parser::oid_registry::Oid::from(&[1, 3, 6, 1, 5, 5, 7, 1, 31]).unwrap();
        let extension = certificate.get_extension_unique(&oid).unwrap().unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"token.thumb");
        assert!(extension.critical && extension.value == [&[4, 32], digest.as_ref()].concat());
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
    }
}
