//! Whom servers that we turn to are believed by: the authorities of the system, or those of a file.
//!
//! Must never believe anybody else.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Where a system keeps whom it believes; the first that is there.
const FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The system's authorities, or those of `SSL_CERT_FILE`.
///
/// # Errors
/// No such file, or one that cannot be read.
pub fn of_the_system() -> io::Result<RootCertStore> {
    read(&file_of_the_system()?)
}

/// The certificates of the system's authorities, or of those of `SSL_CERT_FILE`, as they are.
///
/// # Errors
/// No such file, or one that cannot be read.
pub fn certificates_of_the_system() -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = contents(&file_of_the_system()?)?;
    Ok(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect())
}

fn file_of_the_system() -> io::Result<PathBuf> {
    let stated = std::env::var("SSL_CERT_FILE").ok();
    let path = stated.or_else(|| FILES.iter().find(|path| Path::new(path).exists()).map(ToString::to_string));
    let path = path.ok_or_else(|| io::Error::other("no authorities to believe it by: set SSL_CERT_FILE"))?;
    Ok(path.into())
}

/// The authorities of a file in PEM.
///
/// # Errors
/// A file that cannot be read, or that has none.
pub fn of_file(path: &Path) -> io::Result<RootCertStore> {
    let roots = read(path)?;
    if roots.is_empty() {
        return Err(io::Error::other(format!("`{}` has no certificate of an authority in PEM", path.display())));
    }
    Ok(roots)
}

fn read(path: &Path) -> io::Result<RootCertStore> {
    let pem = contents(path)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    Ok(roots)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roots.pem");
        assert_eq!(of_file(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "nobody").unwrap();
        assert!(of_file(&path).unwrap_err().to_string().contains("has no certificate"));
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::new(vec!["root.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(&path, root.pem()).unwrap();
        assert_eq!(of_file(&path).unwrap().len(), 1);
    }
}
