//! TLS towards clients: which certificate is shown, and how sessions are resumed.
//!
//! Owns the server side's settings. Must never hold a connection, and must never name a key in an error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_core::routes::{Certificate, KeyKind, Suite, TlsFront, TlsVersion};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ConfigBuilder, Error, InconsistentKeys, ServerConfig, SignatureAlgorithm, SupportedProtocolVersion, WantsVerifier,
};

use super::der::{self, Facts};
use super::sessions::Sessions;
use super::tickets::{TicketKey, Ticketer};
use super::words::cipher;
use super::{TlsFault, library, provider};

/// How a listener speaks TLS. Connections that live keep the one they began with.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) config: Arc<ServerConfig>,
    ticketer: Arc<Ticketer>,
}

impl Front {
    /// Settings that offer these protocols (ALPN), the most wanted first. Tickets and sessions of `before`, the listener's settings until now,
    /// stay good, so that a new certificate does not cost every client a full handshake. Other listeners' tickets are
    /// never good: a session of one balancer must not open another. Without settings until now, tickets that the
    /// `inherited` keys of the same listener sealed in another process stay good.
    pub(crate) fn new(
        front: &TlsFront,
        spoken: &[&[u8]],
        before: Option<&Self>,
        inherited: &[TicketKey],
    ) -> Result<Self, TlsFault> {
        let identities = identities(front)?;
        let offer = suites(front, &identities)?;
        let resolver = Arc::new(Choice::new(identities)?);
        let mut config = offer.builder()?.with_no_client_auth().with_cert_resolver(resolver);
        config.ignore_client_order = front.server_order;
        let ticketer = match before {
            Some(before) => Arc::clone(&before.ticketer),
            None => Arc::new(Ticketer::new(inherited)?),
        };
        config.ticketer = Arc::clone(&ticketer) as Arc<dyn ProducesTickets>;
        config.alpn_protocols = spoken.iter().map(|name| name.to_vec()).collect();
        config.session_storage = match before {
            Some(before) => Arc::clone(&before.config.session_storage),
            None => Arc::new(Sessions::default()),
        };
        Ok(Self { config: Arc::new(config), ticketer })
    }

    /// The keys of its tickets, for the road that takes over.
    pub(crate) fn ticket_keys(&self) -> Vec<TicketKey> {
        self.ticketer.keys()
    }
}

/// Settings that show this certificate to everybody, speak that protocol (ALPN) alone, and keep nothing of a client.
pub(crate) fn showing(certificate: &Certificate, protocol: &[u8]) -> Result<Arc<ServerConfig>, TlsFault> {
    let shown = SingleCertAndKey::from(proof(certificate)?);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A certificate with its key, and what it says of itself.
#[derive(Debug)]
pub(super) struct Identity {
    key: Arc<CertifiedKey>,
    facts: Facts,
}

impl Identity {
    fn kind(&self) -> KeyKind {
        match self.key.key.algorithm() {
            SignatureAlgorithm::RSA => KeyKind::Rsa,
            _ => KeyKind::Ecdsa,
        }
    }

    /// What its user should know, though it is served.
    pub(super) fn warning(&self, number: usize, now: SystemTime) -> Option<String> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        if self.facts.not_after.is_some_and(|end| end < now) {
            return Some(format!("certificate {number} has expired"));
        }
        if self.facts.not_before.is_some_and(|begin| begin > now) {
            return Some(format!("certificate {number} is not yet valid"));
        }
        None
    }
}

/// What a listener's clients may agree on.
pub(super) struct Offer {
    provider: Arc<CryptoProvider>,
    /// Only those that have a suite: whoever speaks both is not to fail on a version without one.
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Offer {
    fn builder(self) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsFault> {
        ServerConfig::builder_with_provider(self.provider).with_protocol_versions(&self.versions).map_err(library)
    }
}

/// What is offered by these settings. At least one suite must fit a certificate.
pub(super) fn suites(front: &TlsFront, identities: &[Identity]) -> Result<Offer, TlsFault> {
    let offered: Vec<&Suite> = front.suites().collect();
    let newest = if front.newest == TlsVersion::Tls12 { "TLS 1.2" } else { "TLS 1.3" };
    if front.oldest > front.newest {
        return Err(TlsFault::Suites(format!("the oldest version of TLS is newer than the newest, which is {newest}")));
    }
    if offered.is_empty() {
        let what = "none of the listed ciphers is one that can be served in the versions of TLS that are spoken";
        return Err(TlsFault::Suites(what.into()));
    }
    if !offered.iter().any(|suite| identities.iter().any(|identity| suite.fits(identity.kind()))) {
        let kind = if offered.iter().all(|suite| suite.key == Some(KeyKind::Rsa)) { "RSA" } else { "ECDSA" };
        return Err(TlsFault::Suites(format!(
            "the listed ciphers are for certificates with an {kind} key, and there is none"
        )));
    }
    let all = provider();
    let found = |suite: &&Suite| all.cipher_suites.iter().find(|known| cipher(known.suite()) == suite.name).copied();
    let cipher_suites = offered.iter().filter_map(found).collect();
    let versions = [TlsVersion::Tls13, TlsVersion::Tls12];
    let spoken = versions.into_iter().filter(|version| offered.iter().any(|suite| suite.version == *version));
    let versions = spoken.map(super::version).collect();
    Ok(Offer { provider: Arc::new(CryptoProvider { cipher_suites, ..CryptoProvider::clone(&all) }), versions })
}

/// Reads all certificates, in their order.
pub(super) fn identities(front: &TlsFront) -> Result<Vec<Identity>, TlsFault> {
    if front.certificates.is_empty() {
        return Err(TlsFault::NoCertificate);
    }
    front.certificates.iter().enumerate().map(|(at, certificate)| identity(at + 1, certificate)).collect()
}

/// A certificate that proves a name. The library believes none with an extension that it does not know and must not pass over,
/// as this one's is (RFC 8737 §3): so whether the key is its own is looked at here.
fn proof(certificate: &Certificate) -> Result<CertifiedKey, TlsFault> {
    let (chain, key, _) = read(1, certificate)?;
    let bad_key = |why: &str| TlsFault::Key { number: 1, why: why.to_owned() };
    let signing = provider().key_provider.load_private_key(key).map_err(|_| bad_key(UNKNOWN_KIND))?;
    let own = chain.first().and_then(|leaf| der::public_key(leaf));
    if signing.public_key().as_deref() != own {
        return Err(bad_key(MISMATCH));
    }
    Ok(CertifiedKey::new(chain, signing))
}

fn identity(number: usize, certificate: &Certificate) -> Result<Identity, TlsFault> {
    let (chain, key, facts) = read(number, certificate)?;
    let bad_key = |why: &str| TlsFault::Key { number, why: why.to_owned() };
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => bad_key(MISMATCH),
        Error::InvalidCertificate(why) => {
            TlsFault::Chain { number, why: format!("begins with a certificate that is refused: {why:?}") }
        }
        _ => bad_key(UNKNOWN_KIND),
    })?;
    Ok(Identity { key: Arc::new(key), facts })
}

const MISMATCH: &str = "does not match its certificate";
const UNKNOWN_KIND: &str = "is of a kind that is not known: it must be RSA, ECDSA or Ed25519";

/// A chain, its key, and what its first certificate says.
type Read = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, Facts);

fn read(number: usize, certificate: &Certificate) -> Result<Read, TlsFault> {
    let bad_chain = |why: String| TlsFault::Chain { number, why };
    let bad_key = |why: &str| TlsFault::Key { number, why: why.to_owned() };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| bad_chain(format!("is no PEM: {error}")))?;
    let Some(leaf) = chain.first() else { return Err(bad_chain("is empty: there is no `BEGIN CERTIFICATE`".into())) };
    let facts = der::facts(leaf).ok_or_else(|| bad_chain("begins with what is no X.509 certificate".into()))?;
    // The words of these errors are our own: the library's might quote the key.
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).map_err(|error| match error {
        PemError::NoItemsFound if certificate.key_pem.contains("ENCRYPTED") => {
            bad_key("is encrypted: it must be without a passphrase")
        }
        PemError::NoItemsFound => bad_key("is missing: there is no `BEGIN PRIVATE KEY`"),
        _ => bad_key("is no PEM"),
    })?;
    Ok((chain, key, facts))
}

/// Which certificate is shown to whom.
#[derive(Debug)]
struct Choice {
    first: Arc<CertifiedKey>,
    exact: BTreeMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`: it stands for one label (RFC 9525 §6.3).
    wildcard: BTreeMap<Box<str>, Arc<CertifiedKey>>,
}

impl Choice {
    fn new(identities: Vec<Identity>) -> Result<Self, TlsFault> {
        let first = identities.first().map(|identity| Arc::clone(&identity.key)).ok_or(TlsFault::NoCertificate)?;
        let (mut exact, mut wildcard) = (BTreeMap::new(), BTreeMap::new());
        for Identity { key, facts } in identities {
            for name in facts.names {
                let name = name.to_ascii_lowercase();
                let (table, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                table.entry(name.into()).or_insert_with(|| Arc::clone(&key));
            }
        }
        Ok(Self { first, exact, wildcard })
    }

    fn of(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let named = |name: &str| {
            // The library has checked its form and lowered its case; this holds wherever it comes from.
            let name = name.to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(name.as_str()).or_else(|| self.wildcard.get(parent?))
        };
        name.and_then(named).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.of(hello.server_name())))
    }
}
