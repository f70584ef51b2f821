//! Auto Scaling's calls: launch configurations, groups, members, activities (AWS, Auto Scaling API 2011-01-01).
//!
//! Owns how names, numbers and ids of these calls are read, in AWS's words where they are no good. What may be is the World's to
//! say. Next: [`groups`], [`members`], [`notifications`], [`configurations`], [`policies`], [`schedules`], [`refreshes`], [`warm_pools`], [`activities`], [`shown`]; [`explain`], why a group is as it is; [`around`] has what stands around a group:
//! balancers, processes, hooks, tags. Which call is whose: [`calls`].

pub(super) mod activities;
pub(super) mod around;
pub(super) mod calls;
pub(super) mod configurations;
pub(super) mod explain;
pub(super) mod groups;
pub(super) mod members;
pub(super) mod notifications;
pub(super) mod policies;
pub(super) mod refreshes;
pub(super) mod schedules;
mod shown;
mod targets;
pub(super) mod warm_pools;

use evenkeel_aws::Error;
use evenkeel_core::change::{Change, Reply, ScalingChange};
use evenkeel_core::name::{
    ActivityId, AutoScalingGroupName, InstanceId, LaunchConfigurationName, LoadBalancerName, ScalingName,
};

use super::{Asked, dice, refusal, words};

/// The longest time that AWS takes anywhere here: 100 days, in seconds.
const LONGEST: u32 = 8_640_000;

impl Asked<'_> {
    /// Submits for an Auto Scaling call.
    async fn scale(&self, change: ScalingChange) -> Result<Reply, Error> {
        self.submit(Change::Scale(change)).await.map_err(refusal::autoscaling)
    }
}

fn group(text: &str) -> Result<AutoScalingGroupName, Error> {
    AutoScalingGroupName::new(text).map_err(|bad| Error::validation(format!("AutoScalingGroup name {}", bad.rule)))
}

fn configuration(text: &str) -> Result<LaunchConfigurationName, Error> {
    LaunchConfigurationName::new(text)
        .map_err(|bad| Error::validation(format!("Launch configuration name {}", bad.rule)))
}

fn hook(text: &str) -> Result<ScalingName, Error> {
    ScalingName::new(text).map_err(|bad| Error::validation(format!("Lifecycle hook name {}", bad.rule)))
}

fn balancer(text: &str) -> Result<LoadBalancerName, Error> {
    LoadBalancerName::new(text).map_err(|_| {
        let text = words::quoted(text);
        Error::validation(format!(
            "Provided Load Balancers may not be valid. Please ensure they exist and try again. ({text})"
        ))
    })
}

fn instance(text: &str) -> Result<InstanceId, Error> {
    InstanceId::new(text).map_err(|_| {
        let text = words::quoted(text);
        Error::validation(format!("Instance Id not found - No managed instance found for instance ID: {text}"))
    })
}

/// Instances of a call, each once, with an activity for each. At most 20 of them (AWS).
fn instances(texts: &[String]) -> Result<Vec<(InstanceId, ActivityId)>, Error> {
    at_most(texts.len(), 20, "instanceIds")?;
    let mut ids: Vec<(InstanceId, ActivityId)> = Vec::with_capacity(texts.len());
    for text in texts {
        let id = instance(text)?;
        if !ids.iter().any(|(known, _)| *known == id) {
            ids.push((id, activity()?));
        }
    }
    Ok(ids)
}

fn activity() -> Result<ActivityId, Error> {
    ActivityId::new(dice::uuid()?).map_err(|bad| Error::receiver("InternalFailure", bad.to_string()))
}

fn at_most(count: usize, most: usize, place: &str) -> Result<(), Error> {
    if count <= most {
        return Ok(());
    }
    let rule = format!("Member must have length less than or equal to {most}");
    Err(words::out_of_bounds(&count.to_string(), place, &rule))
}

/// A number from 0 to `most`; `place` names it as AWS does.
fn number(value: i64, most: u32, place: &str) -> Result<u32, Error> {
    u32::try_from(value).ok().filter(|value| *value <= most).ok_or_else(|| {
        let rule =
            if value < 0 { "greater than or equal to 0".to_owned() } else { format!("less than or equal to {most}") };
        words::out_of_bounds(&value.to_string(), place, &format!("Member must have value {rule}"))
    })
}

fn size(value: i64, place: &str) -> Result<u32, Error> {
    number(value, i32::MAX.unsigned_abs(), place)
}

fn seconds(value: i64, place: &str) -> Result<u32, Error> {
    number(value, LONGEST, place)
}
