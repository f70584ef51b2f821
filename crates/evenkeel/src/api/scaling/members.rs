//! Members: shown, attached, detached, put into standby and back, protected, called ill, ended.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::ScalingChange;
use evenkeel_core::name::ActivityId;

use super::super::page::Page;
use super::super::{Asked, words};
use super::{activity, at_most, group, instance, instances, shown};

/// Instances that are members of no group are passed over, as in AWS.
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeAutoScalingInstances,
) -> Result<wire::DescribeAutoScalingInstancesOutput, Error> {
    let ids = &input.instance_ids;
    at_most(ids.len(), 50, "instanceIds")?;
    let page = Page::autoscaling("members", input.max_records, input.next_token.as_deref())?;
    let mut all: Vec<_> = asked
        .world
        .scaling_groups()
        .flat_map(|group| group.members.iter().map(move |(id, member)| (group, id, member)))
        .filter(|(_, id, _)| ids.is_empty() || ids.iter().any(|wanted| wanted == id.as_str()))
        .collect();
    all.sort_by_key(|(_, id, _)| *id);
    let (held, next_token) = page.cut(all, |(_, id, _)| id.to_string());
    let shown = held.into_iter().map(|(group, id, member)| shown::member(&asked.world, group, id, member));
    Ok(wire::DescribeAutoScalingInstancesOutput { auto_scaling_instances: shown.collect(), next_token })
}

pub(in super::super) async fn attach(
    asked: &Asked<'_>,
    input: &wire::AttachInstances,
) -> Result<wire::AttachInstancesOutput, Error> {
    let (group, instances) = (group(&input.auto_scaling_group_name)?, instances(&input.instance_ids)?);
    asked.scale(ScalingChange::AttachInstances { group, instances }).await?;
    Ok(wire::AttachInstancesOutput {})
}

pub(in super::super) async fn detach(
    asked: &Asked<'_>,
    input: &wire::DetachInstances,
) -> Result<wire::DetachInstancesOutput, Error> {
    let (group, instances) = (group(&input.auto_scaling_group_name)?, instances(&input.instance_ids)?);
    let told = instances.iter().map(|(_, activity)| activity.clone()).collect();
    let decrement = input.should_decrement_desired_capacity;
    asked.scale(ScalingChange::DetachInstances { group, instances, decrement }).await?;
    Ok(wire::DetachInstancesOutput { activities: begun(asked, told) })
}

pub(in super::super) async fn enter_standby(
    asked: &Asked<'_>,
    input: &wire::EnterStandby,
) -> Result<wire::EnterStandbyOutput, Error> {
    let (group, instances) = (group(&input.auto_scaling_group_name)?, instances(&input.instance_ids)?);
    let told = instances.iter().map(|(_, activity)| activity.clone()).collect();
    let decrement = input.should_decrement_desired_capacity;
    asked.scale(ScalingChange::EnterStandby { group, instances, decrement }).await?;
    Ok(wire::EnterStandbyOutput { activities: begun(asked, told) })
}

pub(in super::super) async fn exit_standby(
    asked: &Asked<'_>,
    input: &wire::ExitStandby,
) -> Result<wire::ExitStandbyOutput, Error> {
    let (group, instances) = (group(&input.auto_scaling_group_name)?, instances(&input.instance_ids)?);
    let told = instances.iter().map(|(_, activity)| activity.clone()).collect();
    asked.scale(ScalingChange::ExitStandby { group, instances }).await?;
    Ok(wire::ExitStandbyOutput { activities: begun(asked, told) })
}

pub(in super::super) async fn terminate(
    asked: &Asked<'_>,
    input: &wire::TerminateInstanceInAutoScalingGroup,
) -> Result<wire::TerminateInstanceInAutoScalingGroupOutput, Error> {
    let (instance, activity) = (instance(&input.instance_id)?, activity()?);
    let decrement = input.should_decrement_desired_capacity;
    asked.scale(ScalingChange::TerminateMember { instance, activity: activity.clone(), decrement }).await?;
    let activity = begun(asked, vec![activity]).0.into_iter().next();
    Ok(wire::TerminateInstanceInAutoScalingGroupOutput { activity })
}

pub(in super::super) async fn set_health(
    asked: &Asked<'_>,
    input: &wire::SetInstanceHealth,
) -> Result<wire::SetInstanceHealthOutput, Error> {
    let is_healthy = match input.health_status.as_str() {
        "Healthy" => true,
        "Unhealthy" => false,
        other => {
            let other = words::quoted(other);
            return Err(Error::validation(format!("Invalid HealthStatus {other}: it is Healthy or Unhealthy")));
        }
    };
    let respects_grace = input.should_respect_grace_period != Some(false);
    let instance = instance(&input.instance_id)?;
    asked.scale(ScalingChange::SetHealth { instance, is_healthy, respects_grace }).await?;
    Ok(wire::SetInstanceHealthOutput {})
}

pub(in super::super) async fn set_protection(
    asked: &Asked<'_>,
    input: &wire::SetInstanceProtection,
) -> Result<wire::SetInstanceProtectionOutput, Error> {
    at_most(input.instance_ids.len(), 50, "instanceIds")?;
    let group = group(&input.auto_scaling_group_name)?;
    let instances = input.instance_ids.iter().map(|id| instance(id)).collect::<Result<_, _>>()?;
    let is_protected = input.protected_from_scale_in;
    asked.scale(ScalingChange::SetProtection { group, instances, is_protected }).await?;
    Ok(wire::SetInstanceProtectionOutput {})
}

/// Activities as they stand now; one may be over by then.
fn begun(asked: &Asked<'_>, ids: Vec<ActivityId>) -> Members<wire::Activity> {
    let world = asked.api.keeper.world();
    let held = ids.iter().filter_map(|id| world.activity(id));
    held.map(|held| shown::activity(&world, held)).collect()
}
