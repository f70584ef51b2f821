//! What expressions come down to: names, operators, arrays.
//!
//! A point is there where all that it is made of are there; what is no number (a division by zero) is no point. Next:
//! `functions`.

use std::collections::BTreeMap;

use super::parse::{Expression, Operator};
use super::{BadExpression, Line, Value, functions};

/// The most series in an array, and in all that an expression makes on its way.
pub(super) const MOST_LINES: usize = 500;

/// What an expression may refer to.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Other queries' values by their ids.
    pub named: &'a BTreeMap<String, Value>,
    /// The metrics among them, in the order of the request: what `METRICS()` is.
    pub metrics: &'a [String],
    /// The first second.
    pub from: i64,
    /// The second after the last.
    pub to: i64,
    /// Seconds between points of series that are made of nothing.
    pub period: i64,
}

impl Expression {
    /// What it comes down to.
    ///
    /// # Errors
    /// Names that nobody has, functions that there are not, and arguments of the wrong kind.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, BadExpression> {
        match self {
            Self::Number(number) => Ok(Value::Scalar(*number)),
            Self::Text(text) => Ok(Value::Text(text.clone())),
            Self::Name(name) => match (scope.named.get(name), name.as_str()) {
                (Some(value), _) => Ok(value.clone()),
                (None, "LINEAR") => Ok(Value::Word("LINEAR")),
                (None, "REPEAT") => Ok(Value::Word("REPEAT")),
                (None, _) => Err(BadExpression(format!("Unknown id '{name}'"))),
            },
            Self::Negated(inside) => each(inside.eval(scope)?, "-", |value| -value),
            Self::Binary(operator, left, right) => binary(*operator, left.eval(scope)?, right.eval(scope)?),
            Self::Array(elements) => {
                let mut lines = Vec::new();
                for element in elements {
                    match element.eval(scope)? {
                        Value::Line(line) => lines.push(line),
                        Value::Lines(more) => lines.extend(more),
                        other => {
                            return Err(BadExpression(format!("An array holds time series, not {}", other.kind())));
                        }
                    }
                }
                bounded(lines).map(Value::Lines)
            }
            Self::Call(name, arguments) => {
                let arguments = arguments.iter().map(|each| each.eval(scope)).collect::<Result<_, _>>()?;
                functions::call(name, arguments, scope)
            }
        }
    }
}

pub(super) fn bounded(lines: Vec<Line>) -> Result<Vec<Line>, BadExpression> {
    match lines.len() {
        0..=MOST_LINES => Ok(lines),
        _ => Err(BadExpression(format!("An array has more than {MOST_LINES} time series"))),
    }
}

/// Something of every value.
pub(super) fn each(value: Value, what: &str, with: impl Fn(f64) -> f64) -> Result<Value, BadExpression> {
    let of_line = |mut line: Line| {
        line.points.values_mut().for_each(|value| *value = with(*value));
        tidied(line)
    };
    match value {
        Value::Scalar(value) => Ok(Value::Scalar(with(value))),
        Value::Line(line) => Ok(Value::Line(of_line(line))),
        Value::Lines(lines) => Ok(Value::Lines(lines.into_iter().map(of_line).collect())),
        other => Err(BadExpression(format!("{what} cannot be of {}", other.kind()))),
    }
}

/// Without points that are no numbers.
pub(super) fn tidied(mut line: Line) -> Line {
    line.points.retain(|_, value| value.is_finite());
    line
}

fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |is: bool| f64::from(u8::from(is));
    match operator {
        Operator::Or => truth(left != 0.0 || right != 0.0),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Equal => truth(left == right),
        Operator::Unequal => truth(left != right),
        Operator::AtMost => truth(left <= right),
        Operator::AtLeast => truth(left >= right),
        Operator::Less => truth(left < right),
        Operator::Greater => truth(left > right),
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Over => left / right,
        Operator::Power => left.powf(right),
    }
}

fn binary(operator: Operator, left: Value, right: Value) -> Result<Value, BadExpression> {
    let both = |left: &Line, right: &Line| {
        let points = left
            .points
            .iter()
            .filter_map(|(at, value)| right.points.get(at).map(|other| (*at, apply(operator, *value, *other))));
        let points = points.collect();
        tidied(Line { label: left.label.clone(), period: left.period.max(right.period), points })
    };
    match (left, right) {
        (Value::Scalar(left), right) => each(right, "An operator", |value| apply(operator, left, value)),
        (left, Value::Scalar(right)) => each(left, "An operator", |value| apply(operator, value, right)),
        (Value::Line(left), Value::Line(right)) => Ok(Value::Line(both(&left, &right))),
        (Value::Lines(left), Value::Line(right)) => {
            Ok(Value::Lines(left.iter().map(|left| both(left, &right)).collect()))
        }
        (Value::Line(left), Value::Lines(right)) => {
            Ok(Value::Lines(right.iter().map(|right| both(&left, right)).collect()))
        }
        (Value::Lines(left), Value::Lines(right)) if left.len() == right.len() => {
            Ok(Value::Lines(left.iter().zip(&right).map(|(left, right)| both(left, right)).collect()))
        }
        (Value::Lines(_), Value::Lines(_)) => {
            Err(BadExpression("Two arrays have different numbers of time series".into()))
        }
        (left, right) => {
            let wrong = if matches!(left, Value::Text(_) | Value::Word(_)) { left } else { right };
            Err(BadExpression(format!("An operator cannot be of {}", wrong.kind())))
        }
    }
}
