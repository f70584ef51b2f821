//! Conditions: when a statement holds.
//!
//! Owns AWS's operators, their `…IfExists` and set forms, and what an absent key means to each. Several values of a key are
//! alternatives; several keys and operators must all hold. Must never let a value that cannot be read count as equal.

use std::net::IpAddr;

use super::Context;
use super::document::BadPolicy;
use super::moment;
use super::pattern::{Pattern, Signs};
use crate::routes::AddressRange;

/// One operator on one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    key: String,
    quantifier: Quantifier,
    /// Whether an absent key is enough.
    if_exists: bool,
    /// Whether it holds when no value matches, rather than when one does.
    negated: bool,
    test: Test,
}

/// How the request's values of a key are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// As if there were one; of several, one must match.
    Plain,
    /// `ForAnyValue:`.
    Any,
    /// `ForAllValues:`.
    All,
}

/// What a value is held against: one of these must match.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Text {
        patterns: Vec<Pattern>,
        any_case: bool,
    },
    Arn(Vec<Pattern>),
    Number(Order, Vec<f64>),
    Date(Order, Vec<i64>),
    Bool(Vec<bool>),
    Address(Vec<AddressRange>),
    /// Whether the key is absent.
    Null(Vec<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Reads `operator: { key: values }`.
    ///
    /// # Errors
    ///
    /// An operator that does not exist, a key without its vendor, no value, or one that is not of the operator's type.
    pub fn read(operator: &str, key: &str, values: &[String], variables: bool) -> Result<Self, BadPolicy> {
        let unknown = || BadPolicy::Operator(operator.to_owned());
        let (quantifier, name) = match operator.split_once(':') {
            None => (Quantifier::Plain, operator),
            Some((word, name)) if word.eq_ignore_ascii_case("ForAnyValue") => (Quantifier::Any, name),
            Some((word, name)) if word.eq_ignore_ascii_case("ForAllValues") => (Quantifier::All, name),
            Some(_) => return Err(unknown()),
        };
        let name = name.to_ascii_lowercase();
        let (name, if_exists) = name.strip_suffix("ifexists").map_or((name.as_str(), false), |name| (name, true));
        if !key.split_once(':').is_some_and(|(vendor, rest)| !vendor.is_empty() && !rest.is_empty()) {
            return Err(BadPolicy::Vendor);
        }
        if values.is_empty() {
            return Err(BadPolicy::NoValue(key.to_owned()));
        }
        let (test, negated) = Test::read(name, key, values, variables)?.ok_or_else(unknown)?;
        if matches!(test, Test::Null(_)) && (if_exists || quantifier != Quantifier::Plain) {
            return Err(unknown());
        }
        Ok(Self { key: key.to_ascii_lowercase(), quantifier, if_exists, negated, test })
    }

    /// Whether it holds for a request.
    #[must_use]
    pub fn holds(&self, context: &Context) -> bool {
        let values = context.values(&self.key).filter(|values| !values.is_empty());
        if let Test::Null(absent) = &self.test {
            return absent.contains(&values.is_none());
        }
        let Some(values) = values else {
            return self.if_exists
                || match self.quantifier {
                    Quantifier::Plain => self.negated,
                    Quantifier::Any => false,
                    Quantifier::All => true,
                };
        };
        let mut each = values.iter().map(|value| self.test.matches(value, context) != self.negated);
        match self.quantifier {
            Quantifier::Plain if self.negated => each.all(|held| held),
            Quantifier::Plain | Quantifier::Any => each.any(|held| held),
            Quantifier::All => each.all(|held| held),
        }
    }

    /// Whether it would hold only because a variable in it has no value.
    #[must_use]
    pub fn is_open(&self, context: &Context) -> bool {
        let (Test::Text { patterns, .. } | Test::Arn(patterns)) = &self.test else { return false };
        self.negated && patterns.iter().any(|pattern| pattern.filled(context).is_none())
    }
}

impl Test {
    /// The test of an operator's name in small letters, and whether it is negated; `None` if there is no such operator.
    fn read(name: &str, key: &str, values: &[String], variables: bool) -> Result<Option<(Self, bool)>, BadPolicy> {
        let (positive, negated) = affirmed(name);
        let bad = |value: &str| BadPolicy::Value { key: key.to_owned(), value: value.to_owned() };
        let patterns = |wildcards: bool| -> Result<Vec<Pattern>, BadPolicy> {
            values.iter().map(|value| Pattern::read(value, Signs { wildcards, variables })).collect()
        };
        let test = match positive.as_str() {
            "stringequals" => Self::Text { patterns: patterns(false)?, any_case: false },
            "stringequalsignorecase" => Self::Text { patterns: patterns(false)?, any_case: true },
            "stringlike" => Self::Text { patterns: patterns(true)?, any_case: false },
            "arnequals" | "arnlike" => Self::Arn(patterns(true)?),
            "ipaddress" => Self::Address(each(values, |value| value.parse().ok(), bad)?),
            "bool" if !negated => Self::Bool(each(values, boolean, bad)?),
            "null" if !negated => Self::Null(each(values, boolean, bad)?),
            other => {
                let ordered = |family| {
                    let order = other.strip_prefix(family).and_then(order);
                    order.filter(|order| !negated || *order == Order::Equal)
                };
                if let Some(order) = ordered("numeric") {
                    Self::Number(order, each(values, number, bad)?)
                } else if let Some(order) = ordered("date") {
                    Self::Date(order, each(values, moment::read, bad)?)
                } else {
                    return Ok(None);
                }
            }
        };
        Ok(Some((test, negated)))
    }

    /// Whether one of the policy's values matches.
    fn matches(&self, value: &str, context: &Context) -> bool {
        match self {
            Self::Text { patterns, any_case } => patterns
                .iter()
                .filter_map(|p| p.filled(context))
                .any(|filled| if *any_case { filled.matches_any_case(value) } else { filled.matches(value) }),
            Self::Arn(patterns) => {
                patterns.iter().filter_map(|p| p.filled(context)).any(|filled| filled.matches_arn(value))
            }
            Self::Number(order, of) => number(value).is_some_and(|value| of.iter().any(|of| order.holds(&value, of))),
            Self::Date(order, of) => {
                moment::read(value).is_some_and(|value| of.iter().any(|of| order.holds(&value, of)))
            }
            Self::Bool(of) => boolean(value).is_some_and(|value| of.contains(&value)),
            Self::Address(of) => {
                value.parse::<IpAddr>().is_ok_and(|address| of.iter().any(|range| range.contains(address)))
            }
            Self::Null(_) => false,
        }
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

/// An operator's name without its "not", and whether it had one.
fn affirmed(name: &str) -> (String, bool) {
    if name == "notipaddress" {
        return ("ipaddress".to_owned(), true);
    }
    for family in ["string", "arn", "numeric", "date"] {
        if let Some(rest) = name.strip_prefix(family).and_then(|rest| rest.strip_prefix("not")) {
            return (format!("{family}{rest}"), true);
        }
    }
    (name.to_owned(), false)
}

fn order(name: &str) -> Option<Order> {
    Some(match name {
        "equals" => Order::Equal,
        "lessthan" => Order::Less,
        "lessthanequals" => Order::LessOrEqual,
        "greaterthan" => Order::Greater,
        "greaterthanequals" => Order::GreaterOrEqual,
        _ => return None,
    })
}

fn each<T>(
    values: &[String],
    read: impl Fn(&str) -> Option<T>,
    bad: impl Fn(&str) -> BadPolicy,
) -> Result<Vec<T>, BadPolicy> {
    values.iter().map(|value| read(value).ok_or_else(|| bad(value))).collect()
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
