//! Groups, members and activities as AWS shows them.
//!
//! Owns the words. Must never judge.

use evenkeel_aws::autoscaling as wire;
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::launch_template::{TemplateRef, VersionRef};
use evenkeel_core::noun::warm_pool::WarmPool;
use evenkeel_core::noun::{Activity, ActivityStatus, AutoScalingGroup, LaunchSource, Member};
use evenkeel_core::world::World;
use serde_json::json;

use super::super::{subnets, words};

/// What a caller has stated: empty text is nothing.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn group(world: &World, group: &AutoScalingGroup, with_members: bool) -> wire::AutoScalingGroup {
    let settings = world.settings();
    let (configuration, template) = launched(world, Some(&group.launch));
    let members = group.active().filter(|_| with_members);
    let suspended = group.suspended.iter().map(|(process, why)| wire::SuspendedProcess {
        process_name: Some(process.as_str().to_owned()),
        suspension_reason: Some(why.clone()),
    });
    let metrics = group
        .metrics
        .iter()
        .map(|metric| wire::EnabledMetric { metric: Some(metric.clone()), granularity: Some("1Minute".to_owned()) });
    wire::AutoScalingGroup {
        auto_scaling_group_name: group.name.to_string(),
        auto_scaling_group_arn: Some(group.arn(&settings.region, &settings.account)),
        launch_configuration_name: configuration,
        launch_template: template,
        min_size: group.min.into(),
        max_size: group.max.into(),
        desired_capacity: group.desired.into(),
        default_cooldown: group.cooldown.into(),
        availability_zones: group.zones.iter().map(ToString::to_string).collect(),
        load_balancer_names: group.balancers.iter().map(ToString::to_string).collect(),
        target_group_arns: Vec::new().into(),
        health_check_type: group.health_check.as_str().to_owned(),
        health_check_grace_period: Some(group.grace.into()),
        instances: members.map(|(id, member)| instance(world, id, member)).collect(),
        created_time: words::wire_time(group.created),
        suspended_processes: suspended.collect(),
        vpc_zone_identifier: Some(group.subnets.clone().unwrap_or_default()),
        enabled_metrics: metrics.collect(),
        status: group.is_going.then(|| "Delete in progress".to_owned()),
        tags: group.tags.iter().map(|(key, held)| tag(group, key, held)).collect(),
        termination_policies: group.termination.iter().map(|policy| policy.as_str().to_owned()).collect(),
        new_instances_protected_from_scale_in: Some(group.protects_new),
        service_linked_role_arn: Some(format!(
            "arn:aws:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            settings.account
        )),
        max_instance_lifetime: group.max_lifetime.map(Into::into),
        capacity_rebalance: Some(false),
        default_instance_warmup: group.warmup.map(Into::into),
        warm_pool_configuration: group.pool.as_ref().map(warm_pool),
        warm_pool_size: group.pool.map(|_| group.pooled().into()),
    }
}

pub(super) fn warm_pool(pool: &WarmPool) -> wire::WarmPoolConfiguration {
    wire::WarmPoolConfiguration {
        max_group_prepared_capacity: pool.prepared.map(Into::into),
        min_size: Some(pool.min.into()),
        pool_state: Some(pool.state.as_str().to_owned()),
        status: pool.is_going.then(|| "PendingDelete".to_owned()),
        instance_reuse_policy: pool.reuses.then_some(wire::InstanceReusePolicy { reuse_on_scale_in: Some(true) }),
    }
}

pub(super) fn tag(
    group: &AutoScalingGroup,
    key: &str,
    held: &evenkeel_core::noun::scaling_group::GroupTag,
) -> wire::TagDescription {
    wire::TagDescription {
        resource_id: Some(group.name.to_string()),
        resource_type: Some("auto-scaling-group".to_owned()),
        key: Some(key.to_owned()),
        value: Some(held.value.clone()),
        propagate_at_launch: Some(held.propagates),
    }
}

/// A launch source as AWS shows it: the name of a configuration, or a template with its version.
pub(super) fn launched(
    world: &World,
    source: Option<&LaunchSource>,
) -> (Option<String>, Option<wire::LaunchTemplateSpecification>) {
    let specification = match source {
        None => return (None, None),
        Some(LaunchSource::Configuration(name)) => return (Some(name.to_string()), None),
        Some(LaunchSource::Template(specification)) => specification,
    };
    let held = world.template_named(&specification.template).ok();
    let id = match &specification.template {
        TemplateRef::Id(id) => Some(id.to_string()),
        TemplateRef::Name(_) => None,
    };
    let version = match specification.version {
        VersionRef::Default => "$Default".to_owned(),
        VersionRef::Latest => "$Latest".to_owned(),
        VersionRef::Number(number) => number.to_string(),
    };
    let template = wire::LaunchTemplateSpecification {
        launch_template_id: id.or_else(|| held.map(|held| held.id.to_string())),
        launch_template_name: held.map(|held| held.name.to_string()),
        version: Some(version),
    };
    (None, Some(template))
}

pub(super) fn instance(world: &World, id: &InstanceId, member: &Member) -> wire::Instance {
    let held = world.instance(id);
    let (configuration, template) = launched(world, member.source.as_ref());
    wire::Instance {
        instance_id: id.to_string(),
        instance_type: held.map(|held| held.instance_type.clone()),
        availability_zone: member.zone.to_string(),
        lifecycle_state: member.state.as_str().to_owned(),
        health_status: if member.illness.is_some() { "Unhealthy" } else { "Healthy" }.to_owned(),
        launch_configuration_name: configuration,
        launch_template: template,
        image_id: held.map(|held| held.image.to_string()),
        protected_from_scale_in: member.is_protected,
    }
}

/// A member as DescribeAutoScalingInstances has it, which writes its health in capitals.
pub(super) fn member(
    world: &World,
    group: &AutoScalingGroup,
    id: &InstanceId,
    member: &Member,
) -> wire::AutoScalingInstanceDetails {
    let held = world.instance(id);
    let (configuration, template) = launched(world, member.source.as_ref());
    wire::AutoScalingInstanceDetails {
        instance_id: id.to_string(),
        instance_type: held.map(|held| held.instance_type.clone()),
        auto_scaling_group_name: group.name.to_string(),
        availability_zone: member.zone.to_string(),
        lifecycle_state: member.state.as_str().to_owned(),
        health_status: if member.illness.is_some() { "UNHEALTHY" } else { "HEALTHY" }.to_owned(),
        launch_configuration_name: configuration,
        launch_template: template,
        image_id: held.map(|held| held.image.to_string()),
        protected_from_scale_in: member.is_protected,
    }
}

pub(super) fn activity(world: &World, held: &Activity) -> wire::Activity {
    let settings = world.settings();
    let details = held.zone.as_ref().map(|zone| {
        json!({"Subnet ID": subnets::subnet_id(settings, zone), "Availability Zone": zone.as_str()}).to_string()
    });
    let suffix = match (held.status, &held.message) {
        (ActivityStatus::Draining, _) => " - Waiting For ELB Connection Draining.".to_owned(),
        (ActivityStatus::Failed, Some(why)) => format!(".  Status Reason: {why}"),
        _ => String::new(),
    };
    let (id, name) = (&held.group_id, &held.group);
    let (region, account) = (&settings.region, &settings.account);
    wire::Activity {
        activity_id: held.id.to_string(),
        auto_scaling_group_name: held.group.to_string(),
        description: Some(format!("{}{suffix}", held.description)),
        cause: held.cause.clone(),
        start_time: words::wire_time(held.started),
        end_time: held.ended.map(words::wire_time),
        status_code: held.status.as_str().to_owned(),
        // AWS cuts it there.
        status_message: held.message.as_ref().map(|text| text.chars().take(255).collect()),
        progress: Some(held.status.progress().into()),
        details: Some(details.unwrap_or_else(|| "{}".to_owned())),
        auto_scaling_group_arn: Some(format!(
            "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{id}:autoScalingGroupName/{name}"
        )),
    }
}
