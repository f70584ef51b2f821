//! Policy documents: what may be written, and which requests a statement is about.
//!
//! Owns the two forms: [`Written`], as serde reads it from JSON, and [`Document`], checked. What is wrong with one is said in
//! AWS's words where AWS has them ("MalformedPolicyDocument"). Must never take what it does not understand: a field, an
//! operator or a version that is not known refuses the whole document.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::condition::Condition;
use super::pattern::{Pattern, Signs};
use super::{Context, Request};

/// A document as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Written {
    version: Option<String>,
    id: Option<String>,
    statement: OneOrMore<WrittenStatement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WrittenStatement {
    sid: Option<String>,
    effect: Option<String>,
    action: Option<OneOrMore<Scalar>>,
    not_action: Option<OneOrMore<Scalar>>,
    resource: Option<OneOrMore<Scalar>>,
    not_resource: Option<OneOrMore<Scalar>>,
    principal: Option<IgnoredAny>,
    not_principal: Option<IgnoredAny>,
    #[serde(default)]
    condition: Entries<Entries<OneOrMore<Scalar>>>,
}

/// A checked document of an identity: a user's, or one that can be attached to users.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    statements: Vec<Statement>,
}

/// One checked statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    sid: Option<String>,
    effect: Effect,
    actions: Listed,
    resources: Listed,
    conditions: Vec<Condition>,
}

/// What a statement does with requests that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They may go on, unless another statement denies them.
    Allow,
    /// They may not, whatever other statements say.
    Deny,
}

/// `Action` or `Resource`, or with `except` their `Not…` forms.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    patterns: Vec<Pattern>,
    except: bool,
}

/// What is wrong with a document. The texts are AWS's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadPolicy {
    #[error("Policy document must be version 2012-10-17 or greater.")]
    Version,
    #[error("Policy document must contain at least one statement.")]
    NoStatement,
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    SameSid,
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    Sid,
    #[error("Policy statement must contain an effect, Allow or Deny.")]
    Effect,
    #[error("Policy statement must contain actions.")]
    NoActions,
    #[error("Policy statement must contain resources.")]
    NoResources,
    #[error("Policy statement must not contain both {0} and Not{0}.")]
    Both(&'static str),
    #[error("Policy document should not specify a principal.")]
    Principal,
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    Vendor,
    #[error("Actions/Condition can contain only one colon.")]
    Colons,
    #[error("Vendor {0} is not valid")]
    BadVendor(String),
    #[error("Action {0} is not valid.")]
    Action(String),
    #[error("Resource {0} must be in ARN format or \"*\".")]
    Resource(String),
    #[error("Invalid Condition type : {0}.")]
    Operator(String),
    #[error("Condition key {0} has no value.")]
    NoValue(String),
    #[error("Condition key {key} cannot be compared with {value}.")]
    Value { key: String, value: String },
    #[error("Policy variable is not valid in {0}.")]
    Variable(String),
}

impl BadPolicy {
    pub(super) fn variable(text: &str) -> Self {
        Self::Variable(text.to_owned())
    }
}

impl Document {
    /// Checks a document.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub fn read(written: &Written) -> Result<Self, BadPolicy> {
        // AWS keeps the id and does nothing with it; so does the document's text here.
        let _ = &written.id;
        let variables = match written.version.as_deref() {
            None | Some("2008-10-17") => false,
            Some("2012-10-17") => true,
            Some(_) => return Err(BadPolicy::Version),
        };
        if written.statement.0.is_empty() {
            return Err(BadPolicy::NoStatement);
        }
        let mut sids = BTreeSet::new();
        if !written.statement.0.iter().filter_map(|s| s.sid.as_ref()).filter(|s| !s.is_empty()).all(|s| sids.insert(s))
        {
            return Err(BadPolicy::SameSid);
        }
        let statements = written.statement.0.iter().map(|statement| Statement::read(statement, variables));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Its statements, in order; at least one.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

impl Statement {
    fn read(written: &WrittenStatement, variables: bool) -> Result<Self, BadPolicy> {
        if written.principal.is_some() || written.not_principal.is_some() {
            return Err(BadPolicy::Principal);
        }
        let sid = written.sid.clone().filter(|sid| !sid.is_empty());
        if sid.as_ref().is_some_and(|sid| !sid.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return Err(BadPolicy::Sid);
        }
        let effect = match written.effect.as_deref() {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(BadPolicy::Effect),
        };
        let actions = Listed::read(&written.action, &written.not_action, "Action", BadPolicy::NoActions, action)?;
        let resources =
            Listed::read(&written.resource, &written.not_resource, "Resource", BadPolicy::NoResources, |text| {
                resource(text, variables)
            })?;
        let mut conditions = Vec::new();
        for (operator, keys) in &written.condition.0 {
            for (key, values) in &keys.0 {
                let values: Vec<String> = values.0.iter().map(|value| value.0.clone()).collect();
                conditions.push(Condition::read(operator, key, &values, variables)?);
            }
        }
        Ok(Self { sid, effect, actions, resources, conditions })
    }

    /// Its `Sid`.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Its `Effect`.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether a request is one that it speaks of.
    #[must_use]
    pub fn applies(&self, request: Request<'_>) -> bool {
        let context = request.context;
        let action = |pattern: &Pattern| pattern.filled(context).is_some_and(|p| p.matches_any_case(request.action));
        let resource = |pattern: &Pattern| pattern.matches(request.resource, context);
        // What an exception with an open variable leaves out is not known: it is no ground to allow the rest.
        let is_open = || {
            self.resources.except && self.resources.is_open(context)
                || self.conditions.iter().any(|condition| condition.is_open(context))
        };
        self.actions.includes(action)
            && self.resources.includes(resource)
            && self.conditions.iter().all(|condition| condition.holds(context))
            && !(self.effect == Effect::Allow && is_open())
    }
}

impl Listed {
    fn read(
        these: &Option<OneOrMore<Scalar>>,
        except: &Option<OneOrMore<Scalar>>,
        what: &'static str,
        none: BadPolicy,
        read: impl Fn(&str) -> Result<Pattern, BadPolicy>,
    ) -> Result<Self, BadPolicy> {
        let (texts, except) = match (these, except) {
            (Some(_), Some(_)) => return Err(BadPolicy::Both(what)),
            (Some(texts), None) => (texts, false),
            (None, Some(texts)) => (texts, true),
            (None, None) => return Err(none),
        };
        if texts.0.is_empty() {
            return Err(none);
        }
        let patterns = texts.0.iter().map(|text| read(&text.0)).collect::<Result<_, _>>()?;
        Ok(Self { patterns, except })
    }

    fn includes(&self, matches: impl Fn(&Pattern) -> bool) -> bool {
        self.patterns.iter().any(matches) != self.except
    }

    fn is_open(&self, context: &Context) -> bool {
        self.patterns.iter().any(|pattern| pattern.filled(context).is_none())
    }
}

/// `*`, or `vendor:Name` with wildcards in the name.
fn action(text: &str) -> Result<Pattern, BadPolicy> {
    if text != "*" {
        let (vendor, name) = text.split_once(':').ok_or(BadPolicy::Vendor)?;
        if name.contains(':') {
            return Err(BadPolicy::Colons);
        }
        if vendor.is_empty() || !vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(BadPolicy::BadVendor(vendor.to_owned()));
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?-_".contains(&b)) {
            return Err(BadPolicy::Action(text.to_owned()));
        }
    }
    Pattern::read(text, Signs { wildcards: true, variables: false })
}

/// `*`, or an ARN of six parts; fewer if it ends in a star, which may stand for the rest.
fn resource(text: &str, variables: bool) -> Result<Pattern, BadPolicy> {
    let is_arn = text.starts_with("arn:") && (text.splitn(6, ':').count() == 6 || text.ends_with('*'));
    if text != "*" && !is_arn {
        return Err(BadPolicy::Resource(text.to_owned()));
    }
    Pattern::read(text, Signs { wildcards: true, variables })
}

/// A value alone, or a list of values.
#[derive(Clone, Debug)]
struct OneOrMore<T>(Vec<T>);

/// An object's entries, in order. A key that is there twice is an error: one of the two would be lost.
#[derive(Clone, Debug)]
struct Entries<T>(Vec<(String, T)>);

/// A text; numbers and booleans are taken for theirs.
#[derive(Clone, Debug)]
struct Scalar(String);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrMoreVisitor(PhantomData))
    }
}

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(one) = seq.next_element()? {
            found.push(one);
        }
        Ok(OneOrMore(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMore(vec![one]))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(serde::de::IntoDeserializer::into_deserializer(text)).map(|one| OneOrMore(vec![one]))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, T>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(format_args!("`{key}` is there twice")));
            }
            found.push((key, value));
        }
        Ok(Entries(found))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }
}
