//! What the proxy's file says of TLS: certificates of listeners, and whom to believe among instances.
//!
//! Owns reading the PEM files that it names. Must never judge them ([`evenkeel_proxy::tls`] does), or say what is in
//! one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Certificate, SUITES, TlsBack, TlsFront, TlsVersion, suites};
use evenkeel_proxy::tls::{check_back, check_front};
use serde::Deserialize;
use toml::Spanned;

use super::{Listener, Wrong, wrong};

/// The longest PEM file, in bytes: chains of certificates are a few KiB, bundles of authorities some hundred.
const PEM_LIMIT: u64 = 1 << 20;
/// The most certificates that one listener may have.
const CERTIFICATES_LIMIT: usize = 100;
/// The most public keys by which the instances of one listener may be known.
const PUBLIC_KEYS_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateEntry {
    chain: Spanned<String>,
    key: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceTls {
    verify: Option<bool>,
    ca: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    public_keys: Vec<Spanned<String>>,
}

/// Where files are, and when they are looked at.
pub(super) struct Files<'a> {
    pub(super) folder: &'a Path,
    pub(super) now: SystemTime,
    /// Those that were read.
    pub(super) read: RefCell<BTreeSet<PathBuf>>,
}

impl Files<'_> {
    fn read(&self, path: &Spanned<String>, key: &str) -> Result<Arc<str>, Wrong> {
        let at = self.folder.join(path.get_ref());
        self.read.borrow_mut().insert(at.clone());
        let bad =
            |why: &dyn std::fmt::Display| wrong(path, key, format_args!("`{}` cannot be read: {why}", at.display()));
        let length = std::fs::metadata(&at).map_err(|error| bad(&error))?;
        if !length.is_file() || length.len() > PEM_LIMIT {
            return Err(bad(&format_args!("it must be a file of at most {PEM_LIMIT} bytes")));
        }
        std::fs::read_to_string(&at).map(Arc::from).map_err(|error| bad(&error))
    }
}

pub(super) fn front(
    entry: &Listener,
    protocol: Protocol,
    files: &Files<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<TlsFront>, Wrong> {
    if !protocol.is_secure() {
        let rule = "is for listeners whose `protocol` is `https` or `ssl`";
        let lists = [(entry.certificates.as_ref().map(Spanned::span), "certificates")];
        let ciphers = [(entry.ciphers.as_ref().map(Spanned::span), "ciphers")];
        let words = [
            (&entry.oldest_tls, "oldest_tls"),
            (&entry.newest_tls, "newest_tls"),
            (&entry.cipher_order, "cipher_order"),
        ];
        let words = words.map(|(word, key)| (word.as_ref().map(Spanned::span), key));
        return match lists.into_iter().chain(ciphers).chain(words).find_map(|(at, key)| at.map(|at| (at, key))) {
            Some((at, key)) => Err(Wrong(at, format!("`{key}` {rule}"))),
            None => Ok(None),
        };
    }
    let offer = offer(entry)?;
    let Some(list) = entry.certificates.as_ref().filter(|list| !list.get_ref().is_empty()) else {
        return Err(wrong(&entry.port, "certificates", "is missing: `https` and `ssl` need at least one"));
    };
    if list.get_ref().len() > CERTIFICATES_LIMIT {
        return Err(wrong(list, "certificates", format_args!("has more than {CERTIFICATES_LIMIT}")));
    }
    let mut front = TlsFront { certificates: Vec::new(), ..offer.clone() };
    for certificate in list.get_ref() {
        let CertificateEntry { chain, key } = certificate.get_ref();
        let read = Certificate { chain_pem: files.read(chain, "chain")?, key_pem: files.read(key, "key")? };
        // One by one, so that what is said names the line.
        let one = TlsFront { certificates: vec![read], ..TlsFront::default() };
        let found = check_front(&one, files.now)
            .map_err(|fault| wrong(certificate, "certificates", format_args!("is refused: {fault}")))?;
        warnings.extend(found.into_iter().map(|found| format!("`{}`: {found}", chain.get_ref())));
        front.certificates.extend(one.certificates);
    }
    check_front(&front, files.now).map_err(|fault| match &entry.ciphers {
        Some(at) => wrong(at, "ciphers", format_args!("is refused: {fault}")),
        None => wrong(&entry.port, "newest_tls", format_args!("is refused: {fault}")),
    })?;
    Ok(Some(front))
}

/// What clients are offered, without the certificates.
fn offer(entry: &Listener) -> Result<TlsFront, Wrong> {
    let version = |said: &Option<Spanned<String>>, key, usual| match said {
        None => Ok(usual),
        Some(text) => match text.get_ref().as_str() {
            "1.2" => Ok(TlsVersion::Tls12),
            "1.3" => Ok(TlsVersion::Tls13),
            _ => Err(wrong(text, key, "must be `1.2` or `1.3`")),
        },
    };
    let usual = TlsFront::default();
    let oldest = version(&entry.oldest_tls, "oldest_tls", usual.oldest)?;
    let newest = version(&entry.newest_tls, "newest_tls", usual.newest)?;
    if let Some(at) = entry.newest_tls.as_ref().filter(|_| oldest > newest) {
        return Err(wrong(at, "newest_tls", "is older than `oldest_tls`"));
    }
    let server_order = match &entry.cipher_order {
        None => usual.server_order,
        Some(text) => match text.get_ref().as_str() {
            "listener" => true,
            "client" => false,
            _ => return Err(wrong(text, "cipher_order", "must be `listener` or `client`")),
        },
    };
    // Whoever writes a file by hand wants to hear of a name that means nothing; who maps a policy does not.
    let known = |name: &Spanned<String>| match suites::suite(name.get_ref()) {
        Some(suite) => Ok(suite.name.to_owned()),
        None => {
            let all: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
            Err(wrong(name, "ciphers", format_args!("must be some of {}", all.join(", "))))
        }
    };
    let ciphers = entry.ciphers.as_ref().map(|list| list.get_ref().iter().map(known).collect());
    Ok(TlsFront { certificates: Vec::new(), oldest, newest, ciphers: ciphers.transpose()?, server_order })
}

/// The body of a public key's PEM file.
fn public_key(pem: &str) -> Option<Arc<str>> {
    let (_, after) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = after.split_once("-----END PUBLIC KEY-----")?;
    Some(body.split_ascii_whitespace().collect::<String>().into())
}

pub(super) fn back(entry: &Listener, protocol: Protocol, files: &Files<'_>) -> Result<Option<TlsBack>, Wrong> {
    let Some(at) = &entry.instance_tls else { return Ok(None) };
    if !protocol.is_secure() {
        return Err(wrong(at, "instance_tls", "is for listeners whose `instance_protocol` is `https` or `ssl`"));
    }
    let InstanceTls { verify, ca, name, public_keys } = at.get_ref();
    let ca_pem = match (verify.unwrap_or(ca.is_some()), ca) {
        (true, Some(ca)) => Some(files.read(ca, "ca")?),
        (true, None) => return Err(wrong(at, "instance_tls", "needs `ca`: who signed the instances' certificates")),
        (false, Some(ca)) => return Err(wrong(ca, "ca", "is for `verify = true`")),
        (false, None) => None,
    };
    if let Some(more) = public_keys.get(PUBLIC_KEYS_LIMIT) {
        return Err(wrong(more, "public_keys", format_args!("are more than {PUBLIC_KEYS_LIMIT}")));
    }
    let read = |path: &Spanned<String>| {
        public_key(&files.read(path, "public_keys")?)
            .ok_or_else(|| wrong(path, "public_keys", "must be PEM files with a `BEGIN PUBLIC KEY`"))
    };
    let public_keys = public_keys.iter().map(read).collect::<Result<_, _>>()?;
    let back = TlsBack { ca_pem, name: name.as_ref().map(|name| name.get_ref().clone()), public_keys };
    check_back(&back).map_err(|fault| wrong(at, "instance_tls", format_args!("is refused: {fault}")))?;
    Ok(Some(back))
}
