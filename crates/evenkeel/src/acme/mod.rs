//! The tongue of ACME servers (RFC 8555): an account there, orders, and the challenges they come with.
//!
//! Owns what a daemon is told of its server ([`Server`]) and what can go wrong there ([`Trouble`]). Must never decide when to
//! ask, nor keep anything: that is `loops/acme`'s. Next: [`session`] for one order from beginning to end, [`exchange`] for
//! the bytes, [`proof`] for keys and what the server asks of us.

pub mod exchange;
pub mod proof;
pub mod session;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_core::noun::Problem;

/// What the types of ACME's problems begin with (RFC 8555 §6.7).
const KIND: &str = "urn:ietf:params:acme:error:";
/// The most bytes of a server's words that are kept.
const WORDS: usize = 1024;

/// The server that certificates are asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its directory: an `https` URL.
    pub directory: String,
    /// Whom it may write to: URLs such as `mailto:ops@example.com`.
    pub contact: Vec<String>,
    /// Whom it is believed by, in PEM; the system's authorities if none is stated.
    pub roots: Option<PathBuf>,
}

/// What went wrong with a server. Completes "failed to …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it was.
    pub problem: Problem,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// Trouble on the way: no judgement.
    #[must_use]
    pub fn new(kind: &str, detail: impl fmt::Display) -> Self {
        let problem = Problem { kind: kind.to_owned(), detail: clean(&detail.to_string()), name: None, judged: false };
        Self { problem, retry_after: None }
    }

    /// A judgement on what was asked for.
    #[must_use]
    pub fn judged(kind: &str, detail: impl fmt::Display, name: Option<String>) -> Self {
        let mut trouble = Self::new(kind, detail);
        (trouble.problem.judged, trouble.problem.name) = (true, name);
        trouble
    }

    /// What a server's problem document says; a judgement where its type is about names or what was asked for.
    #[must_use]
    pub fn of(kind: Option<&str>, detail: Option<&str>) -> Self {
        let kind = clean(kind.map_or("unknown", |kind| kind.strip_prefix(KIND).unwrap_or(kind)));
        let mut trouble = Self::new(&kind, detail.unwrap_or("the server does not say why"));
        trouble.problem.judged =
            matches!(kind.as_str(), "rejectedIdentifier" | "unsupportedIdentifier" | "caa" | "badCSR" | "badPublicKey");
        trouble
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.problem.detail, self.problem.kind)
    }
}

impl std::error::Error for Trouble {}

impl From<instant_acme::Error> for Trouble {
    fn from(error: instant_acme::Error) -> Self {
        use instant_acme::Error as E;
        match error {
            E::Api(problem) => Self::of_problem(&problem),
            E::Other(other) => match other.downcast::<Self>() {
                Ok(trouble) => *trouble,
                Err(other) => Self::new("answer", other),
            },
            E::Json(error) => Self::new("answer", format!("the server's answer cannot be read: {error}")),
            other => Self::new("answer", other),
        }
    }
}

impl Trouble {
    fn of_problem(problem: &instant_acme::Problem) -> Self {
        let mut trouble = Self::of(problem.r#type.as_deref(), problem.detail.as_deref());
        for sub in problem.subproblems.iter().take(8) {
            let more = format!("{}; {sub}", trouble.problem.detail);
            trouble.problem.detail = clean(&more);
        }
        trouble
    }
}

/// A server's words on one line, without control characters, and no longer than anybody reads.
fn clean(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = text.len().min(WORDS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_told_by_kind_and_kept_short() {
        let check = |kind: Option<&str>, detail: &str, said: &str, judged: bool| {
            let trouble = Trouble::of(kind, Some(detail));
            assert_eq!((trouble.to_string().as_str(), trouble.problem.judged), (said, judged));
        };
        check(Some("urn:ietf:params:acme:error:caa"), "CAA forbids\r\nit", "CAA forbids  it (caa)", true);
        check(Some("urn:ietf:params:acme:error:rateLimited"), "too many", "too many (rateLimited)", false);
        check(Some("about:blank"), "no", "no (about:blank)", false);
        check(None, "no", "no (unknown)", false);
        assert_eq!(Trouble::of(None, Some(&"ä".repeat(9000))).problem.detail.len(), WORDS);
        let wrapped = instant_acme::Error::Other(Box::new(Trouble::new("connection", "refused")));
        assert_eq!(Trouble::from(wrapped), Trouble::new("connection", "refused"));
    }
}
