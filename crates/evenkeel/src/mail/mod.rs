//! Mail over SMTP: whom to, through which server, and when a delivery that failed is tried again.
//!
//! Owns the settings, which are boto's `[Notification]` keys, and one delivery. Must never show a password, send it over a
//! connection that was to be encrypted and is not, or wait longer than its limits. It blocks: callers give it a process or a
//! thread of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls as SmtpTls, TlsParameters};
use lettre::{Address, SmtpTransport, Transport as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

use crate::authorities;

/// How long connecting and each command may take (RFC 5321, 4.5.3.2 has minutes; a relay of one's own answers at once).
const PATIENCE: Duration = Duration::from_secs(30);
/// The most recipients of one mail (RFC 5321, 4.5.3.1.8: every server takes a hundred).
const MOST_RECIPIENTS: usize = 100;

/// What is wrong with settings. Completes "failed to …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSettings {
    /// No address.
    #[error("read `{0}`: `{1}` is no address")]
    Address(&'static str, String),
    /// More than [`MOST_RECIPIENTS`].
    #[error("read `smtp_to`: it has more than {MOST_RECIPIENTS} addresses")]
    TooMany,
    /// No port.
    #[error("read `smtp_port`: `{0}` is no port")]
    Port(String),
    /// Neither yes, nor no, nor `implicit`.
    #[error("read `smtp_tls`: `{0}` is neither true, nor false, nor implicit")]
    Tls(String),
    /// A user without a password.
    #[error("read `smtp_user`: there is no `smtp_pass` with it")]
    NoPassword,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    None,
    /// Before anything of worth is said (RFC 3207); a server that cannot is not spoken to.
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
}

/// Whom to and through which server.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    host: String,
    port: u16,
    tls: Tls,
    authorities: Option<PathBuf>,
    login: Option<(String, String)>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        write!(f, "{}:{} {:?} as {user:?} from {} to {:?}", self.host, self.port, self.tls, self.from, self.to)
    }
}

impl Settings {
    /// Reads boto's keys: `smtp_host` (default `localhost`), `smtp_port` (25; 465 with TLS from the first byte), `smtp_tls`
    /// (true: STARTTLS; `implicit`, the default at port 465), `smtp_user` with `smtp_pass`, `smtp_from` (default `boto`), and
    /// `smtp_to`, of which every address gets the mail; beside them `smtp_ca_file`, a file of authorities in PEM that the
    /// server is believed by. `None` without recipients.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(keys: &BTreeMap<String, String>) -> Result<Option<Self>, BadSettings> {
        let key = |name: &str| keys.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let Some(to) = key("smtp_to") else { return Ok(None) };
        let to: Vec<&str> = to.split([',', ';', '\n']).map(str::trim).filter(|word| !word.is_empty()).collect();
        let to = to.into_iter().map(|word| mailbox("smtp_to", word)).collect::<Result<Vec<_>, _>>()?;
        if to.len() > MOST_RECIPIENTS {
            return Err(BadSettings::TooMany);
        }
        let number = |text: &str| text.parse().ok().filter(|port| *port > 0);
        let port = key("smtp_port").map(|text| number(text).ok_or_else(|| BadSettings::Port(text.to_owned())));
        let port: Option<u16> = port.transpose()?;
        let tls = match key("smtp_tls").map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "1" | "starttls") => Tls::StartTls,
            Some("implicit" | "smtps" | "ssl") => Tls::Implicit,
            Some("false" | "no" | "off" | "0") => Tls::None,
            Some(other) => return Err(BadSettings::Tls(other.to_owned())),
            None if port == Some(465) => Tls::Implicit,
            None => Tls::None,
        };
        let login = match (key("smtp_user"), key("smtp_pass")) {
            (None, _) => None,
            (Some(_), None) => return Err(BadSettings::NoPassword),
            (Some(user), Some(pass)) => Some((user.to_owned(), pass.to_owned())),
        };
        Ok(Some(Self {
            host: key("smtp_host").unwrap_or("localhost").to_owned(),
            port: port.unwrap_or(if tls == Tls::Implicit { 465 } else { 25 }),
            tls,
            authorities: key("smtp_ca_file").map(PathBuf::from),
            login,
            from: mailbox("smtp_from", key("smtp_from").unwrap_or("boto"))?,
            to,
        }))
    }
}

/// `user@host`, `Name <user@host>`, or a user of the mail server's own host.
fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, BadSettings> {
    let bad = || BadSettings::Address(key, text.chars().take(320).collect());
    if text.contains('@') {
        return text.parse().map_err(|_| bad());
    }
    Address::new(text, "localhost").map(|address| Mailbox::new(None, address)).map_err(|_| bad())
}

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its Message-ID without the angle brackets; the same for every try, so that a repeated delivery can be told.
    pub id: String,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// Why a mail was not delivered. Completes "failed to …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It will not.
    #[error("{0}")]
    Permanent(String),
}

/// Delivers a mail to all its recipients, or to none. Takes up to a few times 30 s.
///
/// # Errors
/// Whether it is of use to try again, and why it failed.
pub fn send(settings: &Settings, message: &Message) -> Result<(), SendError> {
    let mail = written(settings, message)?;
    let server = format!("{}:{}", settings.host, settings.port);
    let permanent = |why: String| SendError::Permanent(format!("send mail through `{server}`: {why}"));
    let mut transport =
        SmtpTransport::builder_dangerous(settings.host.clone()).port(settings.port).timeout(Some(PATIENCE));
    if settings.tls != Tls::None {
        let parameters = believed(settings).map_err(permanent)?;
        transport = transport.tls(match settings.tls {
            Tls::Implicit => SmtpTls::Wrapper(parameters),
            _ => SmtpTls::Required(parameters),
        });
    }
    if let Some((user, pass)) = &settings.login {
        transport = transport.credentials(Credentials::new(user.clone(), pass.clone()));
    }
    match transport.build().send(&mail) {
        Ok(_) => Ok(()),
        Err(error) => {
            let mut why = error.to_string();
            // What the system or the server said is the source.
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                why = format!("{why}: {cause}");
                source = cause.source();
            }
            Err(match error.is_permanent() {
                true => permanent(why),
                false => SendError::Temporary(format!("send mail through `{server}`: {why}")),
            })
        }
    }
}

fn written(settings: &Settings, message: &Message) -> Result<lettre::Message, SendError> {
    let bad = |error: &dyn fmt::Display| SendError::Permanent(format!("write the mail: {error}"));
    let mut mail = lettre::Message::builder()
        .from(settings.from.clone())
        .reply_to(settings.from.clone())
        .message_id(Some(format!("<{}>", message.id)))
        .subject(message.subject.replace(['\r', '\n'], " "))
        .date_now();
    for to in &settings.to {
        mail = mail.to(to.clone());
    }
    // Nobody is to answer it by a notice of absence (RFC 3834, 5).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail = mail.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
    mail.multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone())).map_err(|e| bad(&e))
}

/// Whom the server is believed by.
fn believed(settings: &Settings) -> Result<TlsParameters, String> {
    let roots = match &settings.authorities {
        None => authorities::certificates_of_the_system().map_err(|error| error.to_string())?,
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect()
        }
    };
    let mut tls = TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::None);
    for root in roots {
        // One that cannot be read speaks for nobody.
        if let Ok(root) = Certificate::from_der(root.to_vec()) {
            tls = tls.add_root_certificate(root);
        }
    }
    tls.build_rustls().map_err(|error| error.to_string())
}

/// How long to wait before a delivery is tried for the `tries`-th time again; `None` when it is to be given up, after a day.
#[must_use]
pub fn pause(tries: u32) -> Option<Duration> {
    const MINUTE: u64 = 60;
    let steps = [5, 30, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE];
    let hours = 24;
    let tries = tries as usize;
    match steps.get(tries.saturating_sub(1)) {
        Some(seconds) => Some(Duration::from_secs(*seconds)),
        None if tries <= steps.len() + hours => Some(Duration::from_secs(60 * MINUTE)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn botos_keys_are_read() {
        let check = |pairs: &[(&str, &str)], port: u16, tls: Tls, to: &[&str]| {
            let read = Settings::read(&keys(pairs)).unwrap().unwrap();
            let got: Vec<String> = read.to.iter().map(ToString::to_string).collect();
            assert_eq!((read.port, read.tls, got.iter().map(String::as_str).collect()), (port, tls, to.to_vec()));
        };
        check(&[("smtp_to", "a@x")], 25, Tls::None, &["a@x"]);
        check(&[("smtp_to", "a@x, B <b@y>"), ("smtp_tls", "True")], 25, Tls::StartTls, &["a@x", "B <b@y>"]);
        check(&[("smtp_to", "root"), ("smtp_port", "465")], 465, Tls::Implicit, &["root@localhost"]);
        check(&[("smtp_to", "a@x"), ("smtp_tls", "implicit"), ("smtp_port", "2465")], 2465, Tls::Implicit, &["a@x"]);
        assert_eq!(Settings::read(&keys(&[("smtp_host", "mail")])), Ok(None));
        let login = [("smtp_to", "a@x"), ("smtp_user", "me"), ("smtp_pass", "hush")];
        let read = Settings::read(&keys(&login)).unwrap().unwrap();
        assert!(!format!("{read:?}").contains("hush") && format!("{read:?}").contains("me"));
    }

    #[test]
    fn what_is_malformed_is_named() {
        let check = |key: &str, value: &str, part: &str| {
            let mut pairs = keys(&[("smtp_to", "a@x")]);
            pairs.insert(key.into(), value.into());
            let error = Settings::read(&pairs).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("smtp_to", "a@", "no address");
        check("smtp_to", &"a@x,".repeat(101), "more than 100");
        check("smtp_from", "a b", "`smtp_from`");
        check("smtp_port", "0", "no port");
        check("smtp_tls", "maybe", "neither");
        check("smtp_user", "me", "smtp_pass");
    }

    #[test]
    fn a_delivery_is_tried_for_a_day() {
        let pauses: Vec<Duration> = (1..).map_while(pause).collect();
        let whole: Duration = pauses.iter().sum();
        assert!(pauses.is_sorted());
        assert!((Duration::from_secs(24 * 3600)..Duration::from_secs(25 * 3600)).contains(&whole), "{whole:?}");
    }

    #[test]
    fn nothing_that_is_said_begins_another_header() {
        let settings = Settings::read(&keys(&[("smtp_to", "a@x")])).unwrap().unwrap();
        let message =
            Message { id: "1@x".into(), subject: "a\r\nBcc: b@y".into(), text: "t".into(), html: "<p>t".into() };
        let mail = String::from_utf8(written(&settings, &message).unwrap().formatted()).unwrap();
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
        for line in
            ["Message-ID: <1@x>", "Reply-To: boto@localhost", "From: boto@localhost", "Auto-Submitted: auto-generated"]
        {
            assert!(mail.lines().any(|other| other == line), "{line} is not in\n{mail}");
        }
    }
}
