//! What stands around a group: its balancers, processes, hooks and tags, and the words and limits that there are.

use std::collections::BTreeSet;

use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::{Answer, ScalingChange, Waiting};
use evenkeel_core::noun::LifecycleState;
use evenkeel_core::noun::scaling_group::Process;
use evenkeel_core::scaling::{AdjustmentType, TerminationPolicy};

use super::super::filter::Pattern;
use super::super::page::Page;
use super::super::{Asked, words};
use super::groups::{METRICS, existing, new_hook, tag};
use super::{at_most, balancer, group, hook, instance, shown};

pub(in super::super) async fn attach_balancers(
    asked: &Asked<'_>,
    input: &wire::AttachLoadBalancers,
) -> Result<wire::AttachLoadBalancersOutput, Error> {
    let (group, balancers) = (group(&input.auto_scaling_group_name)?, balancers(&input.load_balancer_names)?);
    asked.scale(ScalingChange::AttachBalancers { group, balancers }).await?;
    Ok(wire::AttachLoadBalancersOutput {})
}

pub(in super::super) async fn detach_balancers(
    asked: &Asked<'_>,
    input: &wire::DetachLoadBalancers,
) -> Result<wire::DetachLoadBalancersOutput, Error> {
    let (group, balancers) = (group(&input.auto_scaling_group_name)?, balancers(&input.load_balancer_names)?);
    asked.scale(ScalingChange::DetachBalancers { group, balancers }).await?;
    Ok(wire::DetachLoadBalancersOutput {})
}

fn balancers(names: &[String]) -> Result<BTreeSet<evenkeel_core::name::LoadBalancerName>, Error> {
    at_most(names.len(), 10, "loadBalancerNames")?;
    names.iter().map(|name| balancer(name)).collect()
}

/// A balancer's state says how far a group's members are behind it: `Adding` until all are, `InService` once one is healthy.
pub(in super::super) fn describe_balancers(
    asked: &Asked<'_>,
    input: &wire::DescribeLoadBalancers,
) -> Result<wire::DescribeLoadBalancersOutput, Error> {
    let group = existing(asked, &group(&input.auto_scaling_group_name)?)?;
    let page = Page::autoscaling("balancers", input.max_records, input.next_token.as_deref())?;
    let (names, next_token) = page.cut(&group.balancers, |name| name.to_string());
    let sightings = asked.api.sightings.borrow().clone();
    let state = |name: &&evenkeel_core::name::LoadBalancerName| {
        let serving = || group.members.iter().filter(|(_, m)| m.state == LifecycleState::InService).map(|(id, _)| id);
        let Some(lb) = asked.world.load_balancer(name) else { return "Removed" };
        if serving().any(|id| !lb.instances.contains(id)) {
            return "Adding";
        }
        let is_well = |id| {
            let key = ((*name).clone(), id);
            let road = sightings.road.as_ref();
            road.is_some_and(|road| road.health.get(&key) == Some(&evenkeel_core::health::Health::InService))
        };
        if serving().cloned().any(is_well) { "InService" } else { "Added" }
    };
    let load_balancers = names
        .iter()
        .map(|name| wire::LoadBalancerState {
            load_balancer_name: Some(name.to_string()),
            state: Some(state(name).to_owned()),
        })
        .collect();
    Ok(wire::DescribeLoadBalancersOutput { load_balancers, next_token })
}

pub(in super::super) async fn suspend(
    asked: &Asked<'_>,
    input: &wire::SuspendProcesses,
) -> Result<wire::SuspendProcessesOutput, Error> {
    let (group, processes) = (group(&input.auto_scaling_group_name)?, processes(&input.scaling_processes)?);
    asked.scale(ScalingChange::Suspend { group, processes }).await?;
    Ok(wire::SuspendProcessesOutput {})
}

pub(in super::super) async fn resume(
    asked: &Asked<'_>,
    input: &wire::ResumeProcesses,
) -> Result<wire::ResumeProcessesOutput, Error> {
    let (group, processes) = (group(&input.auto_scaling_group_name)?, processes(&input.scaling_processes)?);
    asked.scale(ScalingChange::Resume { group, processes }).await?;
    Ok(wire::ResumeProcessesOutput {})
}

/// All of them when none is stated (AWS).
fn processes(stated: &[String]) -> Result<BTreeSet<Process>, Error> {
    if stated.is_empty() {
        return Ok(Process::ALL.into());
    }
    let named = |name: &String| {
        Process::named(name).ok_or_else(|| {
            let known = Process::ALL.map(Process::as_str).join(", ");
            Error::validation(format!("{} is not a known scaling process: there are {known}", words::quoted(name)))
        })
    };
    stated.iter().map(named).collect()
}

pub(in super::super) fn process_types() -> wire::DescribeScalingProcessTypesOutput {
    let named = |process: Process| wire::ProcessType { process_name: process.as_str().to_owned() };
    wire::DescribeScalingProcessTypesOutput { processes: Process::ALL.map(named).into_iter().collect() }
}

pub(in super::super) async fn put_hook(
    asked: &Asked<'_>,
    input: wire::PutLifecycleHook,
) -> Result<wire::PutLifecycleHookOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    // One that is there keeps what is not stated anew.
    let held = asked.world.scaling_group(&group);
    let held = held.and_then(|group| group.hooks.get(&hook(&input.lifecycle_hook_name).ok()?));
    let result = held.map(|held| if held.goes_on { "CONTINUE" } else { "ABANDON" }.to_owned());
    let transition = input.lifecycle_transition.or_else(|| held.map(|held| held.transition.as_str().to_owned()));
    let (name, hook) = new_hook(
        &input.lifecycle_hook_name,
        transition.as_deref(),
        input.heartbeat_timeout.or_else(|| held.map(|held| held.heartbeat.into())),
        input.default_result.or(result).as_deref(),
        input.notification_metadata.or_else(|| held.and_then(|held| held.metadata.clone())),
        input
            .notification_target_arn
            .or_else(|| held.and_then(|held| held.target.as_ref().map(ToString::to_string)))
            .as_deref(),
        input.role_arn.or_else(|| held.and_then(|held| held.role.clone())),
    )?;
    asked.scale(ScalingChange::PutHook { group, name, hook }).await?;
    Ok(wire::PutLifecycleHookOutput {})
}

pub(in super::super) async fn delete_hook(
    asked: &Asked<'_>,
    input: &wire::DeleteLifecycleHook,
) -> Result<wire::DeleteLifecycleHookOutput, Error> {
    let (group, name) = (group(&input.auto_scaling_group_name)?, hook(&input.lifecycle_hook_name)?);
    asked.scale(ScalingChange::DeleteHook { group, name }).await?;
    Ok(wire::DeleteLifecycleHookOutput {})
}

pub(in super::super) fn describe_hooks(
    asked: &Asked<'_>,
    input: &wire::DescribeLifecycleHooks,
) -> Result<wire::DescribeLifecycleHooksOutput, Error> {
    at_most(input.lifecycle_hook_names.len(), 50, "lifecycleHookNames")?;
    let group = existing(asked, &group(&input.auto_scaling_group_name)?)?;
    let names = &input.lifecycle_hook_names;
    let chosen = group.hooks.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name.as_str()));
    let lifecycle_hooks = chosen
        .map(|(name, hook)| wire::LifecycleHook {
            lifecycle_hook_name: Some(name.to_string()),
            auto_scaling_group_name: Some(group.name.to_string()),
            lifecycle_transition: Some(hook.transition.as_str().to_owned()),
            notification_target_arn: hook.target.as_ref().map(ToString::to_string),
            role_arn: hook.role.clone(),
            notification_metadata: hook.metadata.clone(),
            heartbeat_timeout: Some(hook.heartbeat.into()),
            global_timeout: i64::try_from(hook.longest().as_secs()).ok(),
            default_result: Some(if hook.goes_on { "CONTINUE" } else { "ABANDON" }.to_owned()),
        })
        .collect();
    Ok(wire::DescribeLifecycleHooksOutput { lifecycle_hooks })
}

pub(in super::super) fn hook_types() -> wire::DescribeLifecycleHookTypesOutput {
    use evenkeel_core::noun::scaling_group::Transition as T;
    let lifecycle_hook_types = [T::Launching, T::Terminating].map(|t| t.as_str().to_owned()).into_iter().collect();
    wire::DescribeLifecycleHookTypesOutput { lifecycle_hook_types }
}

pub(in super::super) async fn complete_action(
    asked: &Asked<'_>,
    input: &wire::CompleteLifecycleAction,
) -> Result<wire::CompleteLifecycleActionOutput, Error> {
    let answer = match input.lifecycle_action_result.as_str() {
        "CONTINUE" => Answer::Continue,
        "ABANDON" => Answer::Abandon,
        other => {
            let text = format!("Invalid Lifecycle Action Result {}: it is CONTINUE or ABANDON", words::quoted(other));
            return Err(Error::validation(text));
        }
    };
    let (group, name) = (group(&input.auto_scaling_group_name)?, hook(&input.lifecycle_hook_name)?);
    let who = waiting(input.lifecycle_action_token.as_deref(), input.instance_id.as_deref())?;
    asked.scale(ScalingChange::AnswerHook { group, name, who, answer }).await?;
    Ok(wire::CompleteLifecycleActionOutput {})
}

pub(in super::super) async fn heartbeat(
    asked: &Asked<'_>,
    input: &wire::RecordLifecycleActionHeartbeat,
) -> Result<wire::RecordLifecycleActionHeartbeatOutput, Error> {
    let (group, name) = (group(&input.auto_scaling_group_name)?, hook(&input.lifecycle_hook_name)?);
    let who = waiting(input.lifecycle_action_token.as_deref(), input.instance_id.as_deref())?;
    asked.scale(ScalingChange::AnswerHook { group, name, who, answer: Answer::Heartbeat }).await?;
    Ok(wire::RecordLifecycleActionHeartbeatOutput {})
}

fn waiting(token: Option<&str>, id: Option<&str>) -> Result<Waiting, Error> {
    match (token.filter(|text| !text.is_empty()), id.filter(|text| !text.is_empty())) {
        (Some(token), _) => Ok(Waiting::Token(token.to_owned())),
        (None, Some(id)) => Ok(Waiting::Instance(instance(id)?)),
        (None, None) => Err(Error::validation("Either LifecycleActionToken or InstanceId must be provided")),
    }
}

pub(in super::super) async fn put_tags(
    asked: &Asked<'_>,
    input: &wire::CreateOrUpdateTags,
) -> Result<wire::CreateOrUpdateTagsOutput, Error> {
    let read = |stated: &wire::Tag| Ok((of_group(stated)?, stated.key.clone(), tag(stated)));
    let tags = input.tags.iter().map(read).collect::<Result<_, Error>>()?;
    asked.scale(ScalingChange::TagGroups { tags }).await?;
    Ok(wire::CreateOrUpdateTagsOutput {})
}

pub(in super::super) async fn delete_tags(
    asked: &Asked<'_>,
    input: &wire::DeleteTags,
) -> Result<wire::DeleteTagsOutput, Error> {
    let tags = input.tags.iter().map(|stated| Ok((of_group(stated)?, stated.key.clone())));
    asked.scale(ScalingChange::UntagGroups { tags: tags.collect::<Result<_, Error>>()? }).await?;
    Ok(wire::DeleteTagsOutput {})
}

fn of_group(stated: &wire::Tag) -> Result<evenkeel_core::name::AutoScalingGroupName, Error> {
    if stated.resource_type.as_deref().is_some_and(|kind| !kind.is_empty() && kind != "auto-scaling-group") {
        return Err(Error::validation("The ResourceType of a tag must be auto-scaling-group"));
    }
    group(stated.resource_id.as_deref().unwrap_or_default())
}

pub(in super::super) fn describe_tags(
    asked: &Asked<'_>,
    input: &wire::DescribeTags,
) -> Result<wire::DescribeTagsOutput, Error> {
    let page = Page::autoscaling("tags", input.max_records, input.next_token.as_deref())?;
    let mut filters: Vec<(&str, Vec<Pattern>)> = Vec::new();
    for filter in &input.filters {
        let name = filter.name.as_deref().unwrap_or_default();
        if !["auto-scaling-group", "key", "value", "propagate-at-launch"].contains(&name) {
            return Err(Error::validation(format!("Filter type {} is not valid", words::quoted(name))));
        }
        filters.push((name, filter.values.iter().map(|value| Pattern::read(value)).collect()));
    }
    let fits = |shown: &wire::TagDescription| {
        filters.iter().all(|(name, patterns)| {
            let text = match *name {
                "auto-scaling-group" => shown.resource_id.clone(),
                "key" => shown.key.clone(),
                "value" => shown.value.clone(),
                _ => shown.propagate_at_launch.map(|yes| yes.to_string()),
            };
            patterns.iter().any(|pattern| pattern.fits(text.as_deref().unwrap_or_default()))
        })
    };
    let all = asked
        .world
        .scaling_groups()
        .flat_map(|group| group.tags.iter().map(|(key, held)| shown::tag(group, key, held)))
        .filter(fits);
    let key = |shown: &wire::TagDescription| {
        format!("{}\n{}", shown.resource_id.as_deref().unwrap_or_default(), shown.key.as_deref().unwrap_or_default())
    };
    let (tags, next_token) = page.cut(all, key);
    Ok(wire::DescribeTagsOutput { tags: tags.into(), next_token })
}

pub(in super::super) fn limits(asked: &Asked<'_>) -> wire::DescribeAccountLimitsOutput {
    let count = |n: usize| i64::try_from(n).ok();
    wire::DescribeAccountLimitsOutput {
        max_number_of_auto_scaling_groups: Some(500),
        max_number_of_launch_configurations: Some(200),
        number_of_auto_scaling_groups: count(asked.world.scaling_groups().count()),
        number_of_launch_configurations: count(asked.world.launch_configurations().count()),
    }
}

pub(in super::super) fn adjustment_types() -> wire::DescribeAdjustmentTypesOutput {
    let shown = |kind: AdjustmentType| wire::AdjustmentType { adjustment_type: Some(kind.as_str().to_owned()) };
    wire::DescribeAdjustmentTypesOutput { adjustment_types: AdjustmentType::ALL.map(shown).into_iter().collect() }
}

pub(in super::super) fn termination_policy_types() -> wire::DescribeTerminationPolicyTypesOutput {
    let all = TerminationPolicy::ALL.map(|policy| policy.as_str().to_owned());
    wire::DescribeTerminationPolicyTypesOutput { termination_policy_types: all.into_iter().collect() }
}

pub(in super::super) fn metric_types() -> wire::DescribeMetricCollectionTypesOutput {
    let shown = |name: &str| wire::MetricCollectionType { metric: Some(name.to_owned()) };
    wire::DescribeMetricCollectionTypesOutput {
        metrics: METRICS.iter().map(|name| shown(name)).collect(),
        granularities: vec![wire::MetricGranularityType { granularity: Some("1Minute".to_owned()) }].into(),
    }
}
