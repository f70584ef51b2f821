//! What can be wrong with parameters and documents, and how each dialect words it.
//!
//! Repeats no more of what a peer sent than the limits below. Next: [`crate::error`].

use std::fmt;

use serde::{de, ser};

use crate::error::{Dialect, Error as WireError};

/// Most characters of a value, and of a name or text, that an error repeats.
const MAX_VALUE: usize = 64;
const MAX_TEXT: usize = 256;

/// A parameter that is missing or cannot be read, named as it stands on the wire (`Listeners.member.1.Protocol`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    parameter: String,
    /// Whether `parameter` is the full name yet: serde reports a missing field by its last part only.
    full: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Missing,
    Invalid { value: Option<String>, wanted: String },
    Malformed(String),
}

impl Error {
    pub(crate) fn missing(parameter: &str) -> Self {
        Self { kind: Kind::Missing, parameter: parameter.into(), full: true }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self { kind: Kind::Malformed(text.into()), parameter: String::new(), full: true }
    }

    /// A value of another type than the parameter's, in a document that has types.
    pub(crate) fn unfit(parameter: &str, wanted: &str) -> Self {
        Self::malformed(match parameter {
            "" => format!("The body {wanted}."),
            _ => format!("The value at '{}' {wanted}.", cut(&member_path(parameter), MAX_TEXT)),
        })
    }

    pub(super) fn invalid(parameter: &str, value: Option<&str>, wanted: &str) -> Self {
        let value = value.map(|value| cut(value, MAX_VALUE));
        Self { kind: Kind::Invalid { value, wanted: wanted.into() }, parameter: parameter.into(), full: true }
    }

    /// Completes the name of the parameter with where it was found.
    pub(crate) fn below(mut self, path: &str) -> Self {
        if !self.full {
            self.full = true;
            self.parameter = match (path.is_empty(), self.parameter.is_empty()) {
                (true, _) => self.parameter,
                (false, true) => path.into(),
                (false, false) => format!("{path}.{}", self.parameter),
            };
        }
        self
    }

    /// Notes what stood there, for errors that serde raised without it.
    pub(crate) fn with_value(mut self, found: Option<&str>) -> Self {
        if let Kind::Invalid { value: value @ None, .. } = &mut self.kind {
            *value = found.map(|found| cut(found, MAX_VALUE));
        }
        self
    }

    /// The error as the dialect words it: `ValidationError` in query APIs, `MissingParameter` and
    /// `InvalidParameterValue` in EC2, `MalformedQueryString` in both for what is no list of parameters at all.
    pub fn to_wire(&self, dialect: Dialect) -> WireError {
        let parameter = cut(&self.parameter, MAX_TEXT);
        let (code, text) = match (&self.kind, dialect) {
            (Kind::Malformed(text), _) => ("MalformedQueryString", text.clone()),
            (Kind::Missing, Dialect::Ec2) => {
                ("MissingParameter", format!("The request must contain the parameter {parameter}"))
            }
            (Kind::Missing, Dialect::Query { .. }) => (
                "ValidationError",
                format!(
                    "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be \
                     null",
                    member_path(&parameter)
                ),
            ),
            (Kind::Invalid { value, wanted }, Dialect::Ec2) => (
                "InvalidParameterValue",
                format!(
                    "Value ({}) for parameter {parameter} is invalid. {wanted}",
                    value.as_deref().unwrap_or_default(),
                ),
            ),
            (Kind::Invalid { value, wanted }, Dialect::Query { .. }) => (
                "ValidationError",
                format!(
                    "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: {wanted}",
                    value.as_deref().unwrap_or_default(),
                    member_path(&parameter)
                ),
            ),
        };
        WireError::sender(code, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Missing => write!(f, "parameter `{}` is missing", self.parameter),
            Kind::Invalid { value, wanted } => {
                write!(f, "parameter `{}` is `{}`: {wanted}", self.parameter, value.as_deref().unwrap_or_default())
            }
            Kind::Malformed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self {
            kind: Kind::Invalid { value: None, wanted: cut(&text.to_string(), MAX_TEXT) },
            parameter: String::new(),
            full: false,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: Kind::Missing, parameter: field.into(), full: false }
    }
}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        de::Error::custom(text)
    }
}

/// AWS's own way to name a place: `listeners.1.member.instancePort`.
fn member_path(parameter: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source = parameter.split('.').peekable();
    while let Some(part) = source.next() {
        if part == "member"
            && let Some(index) = source.next_if(|next| next.bytes().all(|b| b.is_ascii_digit()))
        {
            parts.push(index.into());
        }
        let mut letters = part.chars();
        parts.push(
            letters
                .next()
                .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str()),
        );
    }
    parts.join(".")
}

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
