//! Certificates that sign themselves: made here, for trying out, and written to files that only their owner reads.
//!
//! Must never overwrite a file. Next: [`super`], which may upload one instead.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

use super::SelfSigned;
use crate::cli::failure::{Outcome, hinted};
use crate::cli::streams::Streams;

/// A certificate and its key, in PEM.
pub struct Made {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Makes a certificate for these names and addresses, valid since yesterday (clocks differ) and for `days` days.
///
/// # Errors
/// A name that cannot stand in a certificate.
pub fn make(names: &[String], days: u16) -> anyhow::Result<Made> {
    let first = names.first().context("failed to make a certificate: it is for no name")?;
    let named = || format!("failed to make a certificate for {}", names.join(", "));
    let mut params = CertificateParams::new(names.to_vec()).with_context(named)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, first.as_str());
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let date = |days: i32| -> anyhow::Result<_> {
        let date = today.checked_add(days.days()).with_context(named)?;
        Ok(date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    params.not_before = date(-1)?;
    params.not_after = date(i32::from(days))?;
    let key = KeyPair::generate().with_context(named)?;
    let certificate = params.self_signed(&key).with_context(named)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Makes one and writes it to two files, whose names are printed.
///
/// # Errors
/// Those of [`make`], and files that are there already or cannot be written.
pub fn write(args: &SelfSigned, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let made = make(&args.names, args.days)?;
    // `*.example.test` is a name, and no file's.
    let stem = args.names[0].replace(['*', '/', ':'], "_");
    for (end, mode, text) in [("key", 0o600, &made.key), ("crt", 0o644, &made.certificate)] {
        let path = args.out.join(format!("{stem}.{end}"));
        create(&path, mode, text)?;
        writeln!(streams.out, "{}", path.display())?;
    }
    Ok(Outcome::Done)
}

fn create(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let failed = |error: std::io::Error| {
        let what = format!("failed to write {}: {error}", path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => hinted(what, "move it away, or name another folder with `--out`"),
            _ => anyhow::anyhow!(what),
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
