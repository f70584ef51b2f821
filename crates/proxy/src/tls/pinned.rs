//! Instances that are believed by their public key (AWS, "Configure back-end instance authentication").
//!
//! Owns the comparison, and the proof that an instance holds the key that it shows. Must never look at a chain, a name or a
//! time: whoever states keys states all of their belief, unless they state authorities as well.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::der;
use super::{TlsFault, provider};

/// Believes whoever holds one of these keys.
#[derive(Debug)]
pub(super) struct Pinned {
    /// SubjectPublicKeyInfo, DER.
    keys: Vec<Vec<u8>>,
    /// Who else has to believe it.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    /// `keys` as Routes have them; `chain` is asked as well.
    pub(super) fn new(keys: &[Arc<str>], chain: Option<Arc<dyn ServerCertVerifier>>) -> Result<Self, TlsFault> {
        let bad = |at: usize, why| TlsFault::PublicKey { number: at + 1, why };
        let read = |(at, text): (usize, &Arc<str>)| {
            let key = BASE64_STANDARD.decode(text.as_bytes()).map_err(|_| bad(at, "is no base64"))?;
            der::key_parts(&key).ok_or_else(|| bad(at, "is no public key: base64 of a DER SubjectPublicKeyInfo"))?;
            Ok(key)
        };
        Ok(Self { keys: keys.iter().enumerate().map(read).collect::<Result<_, _>>()?, chain, provider: provider() })
    }
}

const UNREADABLE: Error = Error::InvalidCertificate(CertificateError::BadEncoding);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = der::public_key(leaf).ok_or(UNREADABLE)?;
        if !self.keys.iter().any(|known| known == key) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        match &self.chain {
            Some(chain) => chain.verify_server_cert(leaf, others, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    // Not by the library's own function: that reads certificates of version 3 alone, and a key needs no version.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (algorithm, bits) = der::public_key(leaf).and_then(der::key_parts).ok_or(UNREADABLE)?;
        let schemes = self.provider.signature_verification_algorithms.mapping.iter();
        let mut fitting = schemes
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .filter(|known| known.public_key_alg_id().as_ref() == algorithm);
        match fitting.any(|known| known.verify_signature(bits, message, signed.signature()).is_ok()) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(der::public_key(leaf).ok_or(UNREADABLE)?);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
