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
use evenkeel_core::routes::{Certificate, TlsBack, TlsFront, TlsVersion};
use evenkeel_proxy::tls::{check_back, check_front};
use serde::Deserialize;
use toml::Spanned;

use super::{Listener, Wrong, wrong};

/// The longest PEM file, in bytes: chains of certificates are a few KiB, bundles of authorities some hundred.
const PEM_LIMIT: u64 = 1 << 20;
/// The most certificates that one listener may have.
const CERTIFICATES_LIMIT: usize = 100;

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
        return match (&entry.certificates, &entry.oldest_tls) {
            (Some(at), _) => Err(wrong(at, "certificates", rule)),
            (None, Some(at)) => Err(wrong(at, "oldest_tls", rule)),
            (None, None) => Ok(None),
        };
    }
    let oldest = match &entry.oldest_tls {
        None => TlsVersion::default(),
        Some(text) => match text.get_ref().as_str() {
            "1.2" => TlsVersion::Tls12,
            "1.3" => TlsVersion::Tls13,
            _ => return Err(wrong(text, "oldest_tls", "must be `1.2` or `1.3`")),
        },
    };
    let Some(list) = entry.certificates.as_ref().filter(|list| !list.get_ref().is_empty()) else {
        return Err(wrong(&entry.port, "certificates", "is missing: `https` and `ssl` need at least one"));
    };
    if list.get_ref().len() > CERTIFICATES_LIMIT {
        return Err(wrong(list, "certificates", format_args!("has more than {CERTIFICATES_LIMIT}")));
    }
    let mut front = TlsFront { certificates: Vec::new(), oldest };
    for certificate in list.get_ref() {
        let CertificateEntry { chain, key } = certificate.get_ref();
        let read = Certificate { chain_pem: files.read(chain, "chain")?, key_pem: files.read(key, "key")? };
        // One by one, so that what is said names the line.
        let one = TlsFront { certificates: vec![read], oldest };
        let found = check_front(&one, files.now)
            .map_err(|fault| wrong(certificate, "certificates", format_args!("is refused: {fault}")))?;
        warnings.extend(found.into_iter().map(|found| format!("`{}`: {found}", chain.get_ref())));
        front.certificates.extend(one.certificates);
    }
    Ok(Some(front))
}

pub(super) fn back(entry: &Listener, protocol: Protocol, files: &Files<'_>) -> Result<Option<TlsBack>, Wrong> {
    let Some(at) = &entry.instance_tls else { return Ok(None) };
    if !protocol.is_secure() {
        return Err(wrong(at, "instance_tls", "is for listeners whose `instance_protocol` is `https` or `ssl`"));
    }
    let InstanceTls { verify, ca, name } = at.get_ref();
    let ca_pem = match (verify.unwrap_or(ca.is_some()), ca) {
        (true, Some(ca)) => Some(files.read(ca, "ca")?),
        (true, None) => return Err(wrong(at, "instance_tls", "needs `ca`: who signed the instances' certificates")),
        (false, Some(ca)) => return Err(wrong(ca, "ca", "is for `verify = true`")),
        (false, None) => None,
    };
    let back = TlsBack { ca_pem, name: name.as_ref().map(|name| name.get_ref().clone()) };
    check_back(&back).map_err(|fault| wrong(at, "instance_tls", format_args!("is refused: {fault}")))?;
    Ok(Some(back))
}
