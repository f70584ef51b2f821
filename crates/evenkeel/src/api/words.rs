//! Names, ports and ids as callers write them, read or refused in AWS's words.
//!
//! Owns the errors of values that are wrong in themselves; whether the named thing exists is the World's to say. Next:
//! [`super::refusal`].

use evenkeel_aws::{Error, Time};
use evenkeel_core::name::{ImageId, InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::time::Timestamp;

use super::refusal;

/// A point in time as the wire writes it.
pub(super) fn wire_time(at: Timestamp) -> Time {
    Time(i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// Text from a caller as it is repeated in an error: at most 128 characters.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(128).collect()
}

/// The name of a balancer that is to exist. One that breaks the rules of names cannot: it is not found.
pub(super) fn balancer(text: &str) -> Result<LoadBalancerName, Error> {
    LoadBalancerName::new(text).map_err(|_| {
        Error::sender("LoadBalancerNotFound", format!("There is no ACTIVE Load Balancer named '{}'", quoted(text)))
    })
}

/// The name of a balancer to be made.
pub(super) fn new_balancer(text: &str) -> Result<LoadBalancerName, Error> {
    LoadBalancerName::new(text).map_err(|bad| Error::validation(format!("LoadBalancer name {}", bad.rule)))
}

/// Zones of an ELB call.
pub(super) fn balancer_zones(texts: &[String]) -> Result<Vec<ZoneName>, Error> {
    let read = |text: &String| {
        ZoneName::new(text).map_err(|_| Error::validation(format!("Invalid availability zone: {}", quoted(text))))
    };
    texts.iter().map(read).collect()
}

/// Instances of an ELB call. A malformed id names nothing, as an unknown one does.
pub(super) fn targets<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<InstanceId>, Error> {
    texts.into_iter().map(|text| InstanceId::new(text).map_err(|_| no_target(text))).collect()
}

/// `InvalidInstance`, naming the instance.
pub(super) fn no_target(id: &str) -> Error {
    Error::sender("InvalidInstance", format!("Could not find EC2 instance {}.", quoted(id)))
}

/// A port of an ELB call; `place` names it as AWS does (`listeners.1.member.instancePort`).
pub(super) fn port(number: i64, place: &str) -> Result<Port, Error> {
    let port = u16::try_from(number).ok().and_then(|n| Port::new(n).ok());
    port.ok_or_else(|| {
        let rule = if number < 1 { "greater than or equal to 1" } else { "less than or equal to 65535" };
        out_of_bounds(&number.to_string(), place, &format!("Member must have value {rule}"))
    })
}

/// The query APIs' error for a value outside its bounds.
pub(super) fn out_of_bounds(value: &str, place: &str, rule: &str) -> Error {
    let value = quoted(value);
    Error::validation(format!(
        "1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {rule}"
    ))
}

/// Instances of an EC2 call.
pub(super) fn instances(texts: &[String]) -> Result<Vec<InstanceId>, Error> {
    texts.iter().map(|text| instance(text)).collect()
}

/// An instance of an EC2 call.
pub(super) fn instance(text: &str) -> Result<InstanceId, Error> {
    InstanceId::new(text).map_err(|_| malformed("InvalidInstanceID.Malformed", text))
}

/// An image.
pub(super) fn image(text: &str) -> Result<ImageId, Error> {
    ImageId::new(text).map_err(|_| malformed("InvalidAMIID.Malformed", text))
}

/// A zone of an EC2 call.
pub(super) fn zone(text: &str) -> Result<ZoneName, Error> {
    ZoneName::new(text).map_err(|_| Error::invalid_parameter(format!("Invalid availability zone: [{}]", quoted(text))))
}

/// EC2's error for a parameter whose value is no good, and why.
pub(super) fn bad_value(parameter: &str, value: &str, why: &str) -> Error {
    let value = quoted(value);
    Error::invalid_parameter(format!("Value ({value}) for parameter {parameter} is invalid. {why}"))
}

/// EC2's error for a parameter that must be there.
pub(super) fn missing(parameter: &str) -> Error {
    Error::sender("MissingParameter", format!("The request must contain the parameter {parameter}"))
}

/// What `DryRun` answers where the call would have been accepted.
pub(super) fn dry_run() -> Error {
    Error::sender("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").with_status(412)
}

/// Ends a Describe call with `DryRun`, which by then is known to be well-formed.
pub(super) fn unless_dry_run(asked: Option<bool>) -> Result<(), Error> {
    if asked == Some(true) { Err(dry_run()) } else { Ok(()) }
}

/// EC2's error for instances that do not exist.
pub(super) fn no_instances(ids: Vec<InstanceId>) -> Error {
    refusal::ec2(Refusal::NoSuchInstances(ids).into())
}

fn malformed(code: &'static str, text: &str) -> Error {
    Error::sender(code, format!("Invalid id: \"{}\"", quoted(text)))
}
