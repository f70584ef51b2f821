//! The certificate that every proxy shows, and what clients make of it.
//!
//! Owns one choice for all: a P-256 key, TLS 1.3 or 1.2 as the proxy prefers, key exchange over X25519 or P-256 and
//! nothing else, and no resumption: each handshake is a full one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// The name in the certificate.
pub const NAME: &str = "bench.example";

/// Writes `cert.pem`, `key.pem`, and `both.pem` for who wants them in one file.
pub fn write(folder: &Path) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(folder.join("cert.pem"), &cert)?;
    std::fs::write(folder.join("key.pem"), &key)?;
    std::fs::write(folder.join("both.pem"), cert + &key)
}

/// A client that believes in that certificate and offers one protocol.
pub fn client(certificate: &Path, protocol: &[u8]) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    roots.add(cert).map_err(io::Error::other)?;
    let kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let versions = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let mut config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

pub fn name() -> io::Result<ServerName<'static>> {
    ServerName::try_from(NAME).map_err(io::Error::other)
}
