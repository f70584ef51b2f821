//! Metric math: expressions over series, as GetMetricData and alarms have them.
//!
//! AWS's operators, functions and rules ("Using metric math"); what is AWS's and not here (SEARCH, anomaly bands, insight rules) is
//! told by name. Pure: reads no store and no clock. Bounded: an expression is at most [`MOST_CHARACTERS`] long and
//! [`parse::MOST_DEPTH`] deep. Next: [`parse`] (text to expressions), [`eval`] (operators), `functions`.

pub mod eval;
mod functions;
pub mod parse;

use std::collections::BTreeMap;

pub use eval::Scope;
pub use parse::Expression;

/// The longest expression that AWS takes.
pub const MOST_CHARACTERS: usize = 2048;

/// What is wrong with an expression: a sentence that begins where AWS's "Error in expression '…':" ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadExpression(pub String);

/// One series over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What it is called in a legend.
    pub label: String,
    /// Seconds from one point to the next, where none is missing.
    pub period: i64,
    /// Values by second.
    pub points: BTreeMap<i64, f64>,
}

/// What an expression comes down to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A series.
    Line(Line),
    /// An array of series.
    Lines(Vec<Line>),
    /// A text in quotes: only an argument.
    Text(String),
    /// `LINEAR` or `REPEAT`: only an argument.
    Word(&'static str),
}

impl Value {
    /// In AWS's words.
    fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "a scalar",
            Self::Line(_) => "a time series",
            Self::Lines(_) => "an array of time series",
            Self::Text(_) => "a text",
            Self::Word(_) => "a way to fill",
        }
    }
}

#[cfg(test)]
mod tests;
