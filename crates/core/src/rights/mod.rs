//! Rights: whether AWS's JSON policies let someone do something.
//!
//! Owns the judgement: an explicit deny wins, then an allow, and what no statement speaks of is denied. [`document`] says what
//! a policy may look like, [`condition`] when a statement holds, [`pattern`] what `*`, `?` and `${…}` stand for. Must never
//! know who asks: whoever judges brings the policies and the [`Request`]. Nothing here reads JSON text: a document comes
//! through serde.

pub mod condition;
pub mod document;
pub mod moment;
pub mod pattern;
pub mod predefined;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use document::{BadPolicy, Document, Effect, Written};
pub use predefined::{PREDEFINED, Predefined, predefined};

/// The most characters of a managed policy, white space not counted (AWS: 6,144).
pub const MANAGED_CHARACTERS: usize = 6_144;
/// The most characters of all inline policies of a user together, white space not counted (AWS: 2,048).
pub const INLINE_CHARACTERS: usize = 2_048;

/// How many characters of a policy's text count against its limit: white space does not, as in AWS.
#[must_use]
pub fn counted_characters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// What is known of a request besides its action and resource: condition keys, without regard to case, and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Another value of a key, such as `aws:SourceIp`.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
    }

    /// The values of a key; `None` if the request says nothing of it.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

/// One thing that someone wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `elasticloadbalancing:DeleteLoadBalancer`; case does not matter.
    pub action: &'a str,
    /// The ARN of what it is done to; `*` for actions that AWS knows no resource for.
    pub resource: &'a str,
    /// What conditions and variables may ask about.
    pub context: &'a Context,
}

/// The statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    /// Which of the policies judged by, counted from 0.
    pub policy: usize,
    /// Which of its statements, counted from 0.
    pub statement: usize,
    /// That statement's `Sid`, if it has one.
    pub sid: Option<String>,
}

/// What a set of policies says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed(Decider),
    /// A statement denies it, whatever others allow.
    ExplicitlyDenied(Decider),
    /// No statement speaks of it, so it is denied.
    ImplicitlyDenied,
}

impl Verdict {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Judges a request by all policies that are about whoever asks. The first statement that decides is named.
#[must_use]
pub fn judge<'p>(policies: impl IntoIterator<Item = &'p Document>, request: Request<'_>) -> Verdict {
    let mut allowed = None;
    for (policy, document) in policies.into_iter().enumerate() {
        for (statement, said) in document.statements().iter().enumerate() {
            if said.effect() == Effect::Allow && allowed.is_some() || !said.applies(request) {
                continue;
            }
            let decider = Decider { policy, statement, sid: said.sid().map(ToOwned::to_owned) };
            match said.effect() {
                Effect::Deny => return Verdict::ExplicitlyDenied(decider),
                Effect::Allow => allowed = Some(decider),
            }
        }
    }
    allowed.map_or(Verdict::ImplicitlyDenied, Verdict::Allowed)
}
