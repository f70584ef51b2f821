//! TLS towards instances: whom to believe.
//!
//! Owns the client side's settings, for traffic and for checks. Must never hold a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_core::routes::TlsBack;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::pinned::Pinned;
use super::{TlsFault, library, provider};

/// Sessions kept to be resumed, over all instances of a listener.
const SESSIONS: usize = 1024;

/// How a listener's instances are spoken to.
#[derive(Debug)]
pub(crate) struct Back {
    config: Arc<ClientConfig>,
    /// The same, for instances that are spoken to in HTTP/2 and must agree to it.
    http2: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    /// Never 0. Settings of the same number are the same: a pooled connection serves only requests that would trust it.
    pub(crate) number: u64,
}

impl Back {
    pub(crate) fn new(back: &TlsBack) -> Result<Self, TlsFault> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let chain: Option<Arc<dyn ServerCertVerifier>> = match &back.ca_pem {
            None => None,
            Some(pem) => {
                let bad = |why: String| TlsFault::Authorities(why);
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.map_err(|error| bad(format!("are no PEM: {error}")))?;
                    roots.add(certificate).map_err(|error| bad(format!("cannot be read: {error}")))?;
                }
                if roots.is_empty() {
                    return Err(bad("are none: there is no `BEGIN CERTIFICATE`".into()));
                }
                let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                Some(chain.map_err(|error| bad(format!("are refused: {error}")))?)
            }
        };
        let verifier = match chain {
            chain if !back.public_keys.is_empty() => Arc::new(Pinned::new(&back.public_keys, chain)?),
            Some(chain) => chain,
            None => Arc::new(TrustEveryone { provider: provider() }),
        };
        let name = match &back.name {
            None => None,
            Some(name) => {
                Some(ServerName::try_from(name.clone()).map_err(|_| TlsFault::Name(name.chars().take(64).collect()))?)
            }
        };
        let mut config = settings(verifier).map_err(library)?;
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let mut http2 = config.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            http2: Arc::new(http2),
            name,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// A connection to the instance at this address, before its first byte.
    pub(crate) fn session(&self, address: IpAddr, http2: bool) -> Result<UnbufferedClientConnection, Error> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.into()));
        UnbufferedClientConnection::new(Arc::clone(if http2 { &self.http2 } else { &self.config }), name)
    }
}

/// The settings that every SSL and HTTPS check shares. Sessions are never resumed: a check is to see that a full
/// handshake works, and must keep nothing of a target.
pub(crate) fn for_checks() -> Result<Arc<ClientConfig>, Error> {
    checking(Arc::new(TrustEveryone { provider: provider() }))
}

/// The same, for targets that must have one of these public keys.
pub(crate) fn for_checks_of(public_keys: &[Arc<str>]) -> Result<Arc<ClientConfig>, TlsFault> {
    checking(Arc::new(Pinned::new(public_keys, None)?)).map_err(library)
}

fn checking(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, Error> {
    let mut config = settings(verifier)?;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) fn trust_everyone() -> Arc<dyn ServerCertVerifier> {
    Arc::new(TrustEveryone { provider: provider() })
}

fn settings(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Accepts any certificate and any signature. For traffic: Classic Load Balancers verify nothing unless a back-end
/// authentication policy names a key, and instances behind them have self-signed or expired certificates without a name
/// that one could be checked against; what is won is that nobody on the way can read along. For checks: they ask whether
/// the instance can complete a handshake, not who it is.
#[derive(Debug)]
struct TrustEveryone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustEveryone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
