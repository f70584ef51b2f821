//! User data: what a launch hands to an instance, up to 16 KiB of whatever kind.
//!
//! Owns telling the kinds apart, as boto and cloud-init do: a configuration in boto's format, a script that begins with
//! `#!`, a `#cloud-config`, several of them as MIME parts, each of it gzipped or not. What is none of these is the
//! application's own and no error. Must never unpack more than its limits. Next: [`super::queue`] for what is done about it.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use thiserror::Error;

use super::cloud::{BadCloud, Cloud};
use super::ini::{BadIni, Ini};

/// The most bytes that user data may unpack to: 4 MiB.
pub const MOST_UNPACKED: usize = 4 * 1024 * 1024;
/// The most parts.
const MOST_PARTS: usize = 64;
/// How deep parts may hold parts.
const DEPTH: usize = 4;

/// Why user data cannot be followed.
#[derive(Debug, Error)]
pub enum BadUserData {
    /// Damaged, or more than the limit.
    #[error("unpack the user data: {0}")]
    Gzip(std::io::Error),
    /// More than it may unpack to.
    #[error("unpack the user data: it is more than {MOST_UNPACKED} bytes")]
    TooLarge,
    /// No MIME after all.
    #[error("read the user data as MIME: {0}")]
    Mime(mailparse::MailParseError),
    /// Too many parts, or too deep.
    #[error("read the user data as MIME: more than {MOST_PARTS} parts, or parts in parts in parts")]
    TooManyParts,
    /// A configuration that is none.
    #[error("read {0} as a configuration: {1}")]
    Ini(String, BadIni),
    /// A `#cloud-config` that is none.
    #[error("read {0} as a cloud-config: {1}")]
    Cloud(String, BadCloud),
}

/// A script that user data brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// For people: its file name, or which part it is.
    pub name: String,
    /// The whole of it, `#!` first.
    pub text: Vec<u8>,
}

/// What user data says.
#[derive(Debug, Default)]
pub struct UserData {
    /// All configuration parts, later ones over earlier ones.
    pub config: Ini,
    /// All cloud-configs, in order.
    pub cloud: Vec<Cloud>,
    /// All scripts, in order.
    pub scripts: Vec<Script>,
    unpacked: usize,
    parts: usize,
}

impl UserData {
    /// Reads user data as it was given.
    ///
    /// # Errors
    /// What claims to be of a kind that is followed, and is malformed.
    pub fn read(raw: &[u8]) -> Result<Self, BadUserData> {
        let mut all = Self::default();
        all.take(raw, "the user data", DEPTH)?;
        Ok(all)
    }

    /// Whether there is anything in them that the boot follows.
    #[must_use]
    pub fn says_something(&self) -> bool {
        !(self.config.is_empty() && self.cloud.is_empty() && self.scripts.is_empty())
    }

    fn take(&mut self, raw: &[u8], name: &str, depth: usize) -> Result<(), BadUserData> {
        self.parts += 1;
        let Some(deeper) = depth.checked_sub(1).filter(|_| self.parts <= MOST_PARTS) else {
            return Err(BadUserData::TooManyParts);
        };
        if raw.starts_with(b"\x1f\x8b") {
            let unpacked = self.unpack(raw)?;
            return self.take(&unpacked, name, deeper);
        }
        if raw.starts_with(b"#!") {
            self.scripts.push(Script { name: name.to_owned(), text: raw.to_owned() });
            return Ok(());
        }
        let text = String::from_utf8_lossy(raw);
        let first = text.trim_start().lines().next().unwrap_or_default().trim_end();
        if first == "#cloud-config" {
            let cloud = Cloud::read(&text).map_err(|bad| BadUserData::Cloud(name.to_owned(), bad))?;
            self.cloud.push(cloud);
        } else if is_mime(&text) {
            let mail = mailparse::parse_mail(raw).map_err(BadUserData::Mime)?;
            self.take_parts(&mail, deeper)?;
        } else if Ini::is_meant(&text) {
            let config = Ini::read(&text).map_err(|bad| BadUserData::Ini(name.to_owned(), bad))?;
            self.config.merge(config);
        }
        Ok(())
    }

    fn take_parts(&mut self, mail: &mailparse::ParsedMail<'_>, depth: usize) -> Result<(), BadUserData> {
        if mail.subparts.is_empty() {
            let stated = mail.get_content_disposition().params.get("filename").cloned();
            let name = stated.unwrap_or_else(|| format!("part {} of the user data", self.parts));
            let body = mail.get_body_raw().map_err(BadUserData::Mime)?;
            return self.take(&body, &name, depth);
        }
        let Some(deeper) = depth.checked_sub(1) else { return Err(BadUserData::TooManyParts) };
        mail.subparts.iter().try_for_each(|part| self.take_parts(part, deeper))
    }

    fn unpack(&mut self, raw: &[u8]) -> Result<Vec<u8>, BadUserData> {
        let room = MOST_UNPACKED - self.unpacked;
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(raw).take(room as u64 + 1).read_to_end(&mut unpacked).map_err(BadUserData::Gzip)?;
        if unpacked.len() > room {
            return Err(BadUserData::TooLarge);
        }
        self.unpacked += unpacked.len();
        Ok(unpacked)
    }
}

/// A head of MIME that says it has parts; a script or a configuration never begins so.
fn is_mime(text: &str) -> bool {
    let head = text.split("\n\n").next().unwrap_or_default().split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines();
    let is_header = |line: &str| line.split_once(':').is_some_and(|(name, _)| !name.contains([' ', '=', '[']));
    lines.next().is_some_and(is_header) && head.to_ascii_lowercase().contains("content-type: multipart/")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    /// As boto's `launch_instance -s` and cloud-init's tools make it.
    fn multipart(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut text = "Content-Type: multipart/mixed; boundary=\"==b==\"\nMIME-Version: 1.0\n\n".to_owned();
        for (name, body) in parts {
            text += &format!(
                "--==b==\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"{name}\"\n\n{body}\n"
            );
        }
        (text + "--==b==--\n").into_bytes()
    }

    #[test]
    fn every_kind_is_told_by_its_beginning() {
        let check = |raw: &[u8], config: bool, clouds: usize, scripts: usize| {
            let read = UserData::read(raw).unwrap();
            let got = (!read.config.is_empty(), read.cloud.len(), read.scripts.len());
            assert_eq!(got, (config, clouds, scripts), "{:?}", String::from_utf8_lossy(raw));
            assert_eq!(read.says_something(), config || clouds + scripts > 0);
        };
        let ini = "[Pyami]\nscripts = a.B\n";
        check(b"", false, 0, 0);
        check(ini.as_bytes(), true, 0, 0);
        check(b"#!/bin/sh\ntrue\n", false, 0, 1);
        check(b"#cloud-config\nruncmd: [ls]\n", false, 1, 0);
        check(b"what=mine|not=yours", false, 0, 0);
        check(b"{\"application\": \"own\"}", false, 0, 0);
        check(b"\xff\xfe\x00", false, 0, 0);
        check(&gzipped(ini.as_bytes()), true, 0, 0);
        let parts = multipart(&[("user_data", ini), ("setup.sh", "#!/bin/sh\nls"), ("c", "#cloud-config\n{}")]);
        check(&parts, true, 1, 1);
        check(&gzipped(&parts), true, 1, 1);
        assert_eq!(UserData::read(&parts).unwrap().scripts[0].name, "setup.sh");
    }

    #[test]
    fn what_claims_to_be_something_and_is_not_is_refused() {
        let check = |raw: &[u8], part: &str| {
            let error = UserData::read(raw).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(b"[Pyami]\nnonsense", "line 2");
        check(b"#cloud-config\n: :\n-", "cloud-config");
        check(b"\x1f\x8bnot gzip", "unpack the user data");
        check(&gzipped(&vec![b'x'; MOST_UNPACKED + 1]), "more than");
        let many: Vec<(&str, &str)> = vec![("a", "[a]\nb=c"); MOST_PARTS + 1];
        check(&multipart(&many), "more than 64 parts");
        let mut nested = b"[a]\nb=c".to_vec();
        for _ in 0..8 {
            nested = gzipped(&nested);
        }
        check(&nested, "parts in parts");
    }
}
