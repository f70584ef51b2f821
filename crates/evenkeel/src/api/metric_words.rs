//! How CloudWatch words what is wrong with a parameter, and what its calls have in common: names, dimensions, units.
//!
//! Codes and texts are those seen of AWS. Must never read or write metrics. Next: [`super::metric_data`], [`super::metric_put`].

use evenkeel_aws::{Error, cloudwatch};

use crate::metrics::{Metric, Unit};

/// The most dimensions of a metric.
const DIMENSIONS: usize = 30;

/// `InvalidParameterValue`.
pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error::invalid_parameter(text)
}

/// The value of a parameter is none that it may have.
pub(super) fn invalid_value(value: &str, parameter: &str) -> Error {
    let value: String = value.chars().take(256).collect();
    invalid(format!("The value {value} for parameter {parameter} is invalid."))
}

/// `InvalidParameterCombination`.
pub(super) fn combination(text: impl Into<String>) -> Error {
    Error::sender("InvalidParameterCombination", text)
}

/// The value of a parameter that must be there.
pub(super) fn required<'a, T>(value: &'a Option<T>, parameter: &str) -> Result<&'a T, Error> {
    let text = || format!("The parameter {parameter} is required.");
    value.as_ref().ok_or_else(|| Error::sender("MissingParameter", text()))
}

/// A list that may not be longer.
pub(super) fn at_most(length: usize, most: usize, parameter: &str) -> Result<(), Error> {
    if length <= most {
        return Ok(());
    }
    Err(invalid(format!("The collection {parameter} must not have a size greater than {most}.")))
}

/// A text that must be there, of 1 to `most` characters.
pub(super) fn text<'a>(value: &'a Option<String>, most: usize, parameter: &str) -> Result<&'a str, Error> {
    let value = required(value, parameter)?;
    if value.trim().is_empty() {
        return Err(invalid(format!("The parameter {parameter} must not be empty.")));
    }
    if value.chars().count() > most {
        return Err(invalid(format!("The parameter {parameter} must be shorter than {} characters.", most + 1)));
    }
    Ok(value)
}

/// A namespace; it does not begin with a colon.
pub(super) fn namespace<'a>(value: &'a Option<String>, parameter: &str) -> Result<&'a str, Error> {
    let name = text(value, 255, parameter)?;
    if name.starts_with(':') { Err(invalid_value(name, parameter)) } else { Ok(name) }
}

/// A unit; `None` where none is stated.
pub(super) fn unit(value: Option<&str>, parameter: &str) -> Result<Option<Unit>, Error> {
    value.map(|text| text.parse().map_err(|()| invalid_value(text, parameter))).transpose()
}

/// A metric of a namespace and a name that were looked at, and dimensions that were not.
pub(super) fn metric(
    namespace: &str,
    name: &str,
    dimensions: &[cloudwatch::Dimension],
    parameter: &str,
) -> Result<Metric, Error> {
    at_most(dimensions.len(), DIMENSIONS, parameter)?;
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(dimensions.len());
    for (index, dimension) in dimensions.iter().enumerate() {
        let at = |part: &str| format!("{parameter}.member.{}.{part}", index + 1);
        let name = text(&dimension.name, 255, &at("Name"))?;
        let value = text(&dimension.value, 1024, &at("Value"))?;
        if name.starts_with(':') || !name.is_ascii() {
            return Err(invalid_value(name, &at("Name")));
        }
        if !value.is_ascii() {
            return Err(invalid_value(value, &at("Value")));
        }
        if pairs.iter().any(|(held, _)| *held == name) {
            return Err(invalid(format!("The dimension {name} is in {parameter} more than once.")));
        }
        pairs.push((name, value));
    }
    Ok(Metric::new(namespace, name, pairs))
}

/// The metric that another call names by a structure.
pub(super) fn of_structure(stated: &cloudwatch::Metric, parameter: &str) -> Result<Metric, Error> {
    let at = |part: &str| format!("{parameter}.{part}");
    let namespace = namespace(&stated.namespace, &at("Namespace"))?;
    let name = text(&stated.metric_name, 255, &at("MetricName"))?;
    metric(namespace, name, &stated.dimensions, &at("Dimensions"))
}

/// A period: 1, 5, 10, 20, 30 or a multiple of 60, up to a day.
pub(super) fn period(seconds: i32, parameter: &str) -> Result<i64, Error> {
    let is_period = matches!(seconds, 1 | 5 | 10 | 20 | 30) || (seconds > 0 && seconds % 60 == 0);
    if !is_period {
        return Err(invalid(format!(
            "The parameter {parameter} must be 1, 5, 10, 20, 30 or a multiple of 60, and is {seconds}."
        )));
    }
    if seconds > 86_400 {
        return Err(invalid(format!("The parameter {parameter} must be at most 86400, and is {seconds}.")));
    }
    Ok(i64::from(seconds))
}
