//! Groups: made, shown, sized, changed, deleted.
//!
//! Owns how a group's settings are read. Next: [`super::members`], [`super::shown`].

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::{GroupPatch, NewGroup, ScalingChange};
use evenkeel_core::name::{AutoScalingGroupName, ScalingName, ZoneName};
use evenkeel_core::noun::launch_template::{TemplateRef, TemplateSpecification};
use evenkeel_core::noun::scaling_group::{GroupTag, HealthCheckType, Hook};
use evenkeel_core::noun::{AutoScalingGroup, LaunchSource};
use evenkeel_core::refusal::BadScaling;
use evenkeel_core::scaling::TerminationPolicy;
use evenkeel_core::scaling::termination;

use super::super::filter::Filters;
use super::super::page::Page;
use super::super::{Asked, dice, launch_templates, refusal, subnets, words};
use super::{balancer, configuration, group, hook, seconds, shown, size};

/// What a hook's heartbeat is when not stated, in seconds (AWS).
const USUAL_HEARTBEAT: i64 = 3_600;
/// What a cooldown is when not stated, in seconds (AWS).
const USUAL_COOLDOWN: i64 = 300;

/// Metrics that a group can be asked for.
pub(in super::super) const METRICS: [&str; 16] = [
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "WarmPoolMinSize",
    "WarmPoolDesiredCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
];

pub(in super::super) async fn create(
    asked: &Asked<'_>,
    input: wire::CreateAutoScalingGroup,
) -> Result<wire::CreateAutoScalingGroupOutput, Error> {
    if shown::given(input.instance_id).is_some() {
        return Err(Error::validation(
            "InstanceId is not supported here: make a launch configuration of the instance (CreateLaunchConfiguration takes its id), and a group with it",
        ));
    }
    if !input.target_group_arns.is_empty() {
        return Err(Error::validation("Target groups are not supported here: there are classic load balancers"));
    }
    let name = group(&input.auto_scaling_group_name)?;
    let launch = source(asked, input.launch_configuration_name, input.launch_template.as_ref())?;
    let launch = launch.ok_or_else(|| {
        Error::validation(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        )
    })?;
    let zones = zones(asked, input.availability_zones, input.vpc_zone_identifier.as_deref())?.unwrap_or_default();
    let balancers: BTreeSet<_> =
        input.load_balancer_names.iter().map(|name| balancer(name)).collect::<Result<_, _>>()?;
    let mut tags = BTreeMap::new();
    for tag in input.tags {
        if tag.resource_id.as_ref().is_some_and(|of| !of.is_empty() && *of != input.auto_scaling_group_name) {
            return Err(Error::validation("A tag's ResourceId must be the name of the group that is made"));
        }
        if tags.insert(tag.key.clone(), self::tag(&tag)).is_some() {
            return Err(Error::validation(format!("The tag {} is given twice", words::quoted(&tag.key))));
        }
    }
    let mut hooks = BTreeMap::new();
    for stated in input.lifecycle_hook_specification_list {
        let (name, hook) = new_hook(
            &stated.lifecycle_hook_name,
            Some(&stated.lifecycle_transition),
            stated.heartbeat_timeout,
            stated.default_result.as_deref(),
            stated.notification_metadata,
            stated.notification_target_arn.as_deref(),
            stated.role_arn.clone(),
        )?;
        hooks.insert(name, hook);
    }
    let new = NewGroup {
        name,
        id: dice::uuid()?,
        launch,
        min: size(input.min_size, "minSize")?,
        max: size(input.max_size, "maxSize")?,
        desired: input.desired_capacity.map(|wanted| size(wanted, "desiredCapacity")).transpose()?,
        cooldown: seconds(input.default_cooldown.unwrap_or(USUAL_COOLDOWN), "defaultCooldown")?,
        zones,
        subnets: shown::given(input.vpc_zone_identifier),
        balancers,
        health_check: health_check(input.health_check_type.as_deref())?.unwrap_or_default(),
        grace: seconds(input.health_check_grace_period.unwrap_or(0), "healthCheckGracePeriod")?,
        termination: policies(input.termination_policies)?.unwrap_or_else(|| vec![TerminationPolicy::Default]),
        protects_new: input.new_instances_protected_from_scale_in == Some(true),
        max_lifetime: lifetime(input.max_instance_lifetime)?.filter(|life| *life > 0),
        warmup: warmup(input.default_instance_warmup)?.flatten(),
        tags,
        hooks,
    };
    asked.scale(ScalingChange::CreateGroup(new)).await?;
    Ok(wire::CreateAutoScalingGroupOutput {})
}

pub(in super::super) async fn update(
    asked: &Asked<'_>,
    input: wire::UpdateAutoScalingGroup,
) -> Result<wire::UpdateAutoScalingGroupOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let zones = zones(asked, input.availability_zones, input.vpc_zone_identifier.as_deref())?;
    let patch = GroupPatch {
        launch: source(asked, input.launch_configuration_name, input.launch_template.as_ref())?,
        min: input.min_size.map(|wanted| size(wanted, "minSize")).transpose()?,
        max: input.max_size.map(|wanted| size(wanted, "maxSize")).transpose()?,
        desired: input.desired_capacity.map(|wanted| size(wanted, "desiredCapacity")).transpose()?,
        cooldown: input.default_cooldown.map(|stated| seconds(stated, "defaultCooldown")).transpose()?,
        subnets: shown::given(input.vpc_zone_identifier).filter(|_| zones.is_some()),
        zones,
        health_check: health_check(input.health_check_type.as_deref())?,
        grace: input.health_check_grace_period.map(|stated| seconds(stated, "healthCheckGracePeriod")).transpose()?,
        termination: policies(input.termination_policies)?,
        protects_new: input.new_instances_protected_from_scale_in,
        max_lifetime: lifetime(input.max_instance_lifetime)?,
        warmup: warmup(input.default_instance_warmup)?,
    };
    asked.scale(ScalingChange::UpdateGroup { group, patch }).await?;
    Ok(wire::UpdateAutoScalingGroupOutput {})
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeleteAutoScalingGroup,
) -> Result<wire::DeleteAutoScalingGroupOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    asked.scale(ScalingChange::DeleteGroup { group, force: input.force_delete == Some(true) }).await?;
    Ok(wire::DeleteAutoScalingGroupOutput {})
}

pub(in super::super) async fn set_desired(
    asked: &Asked<'_>,
    input: &wire::SetDesiredCapacity,
) -> Result<wire::SetDesiredCapacityOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let desired = size(input.desired_capacity, "desiredCapacity")?;
    let honor_cooldown = input.honor_cooldown == Some(true);
    asked.scale(ScalingChange::SetDesired { group, desired, honor_cooldown }).await?;
    Ok(wire::SetDesiredCapacityOutput {})
}

/// Names that are not there are passed over, as in AWS.
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeAutoScalingGroups,
) -> Result<wire::DescribeAutoScalingGroupsOutput, Error> {
    let names = &input.auto_scaling_group_names;
    let page = Page::autoscaling("groups", input.max_records, input.next_token.as_deref())?;
    let filters: Vec<evenkeel_aws::ec2::Filter> = input
        .filters
        .iter()
        .map(|filter| evenkeel_aws::ec2::Filter {
            name: filter.name.clone().unwrap_or_default(),
            values: filter.values.to_vec(),
        })
        .collect();
    let filters = Filters::read(&filters, &[]).map_err(|error| Error::validation(error.message))?;
    let chosen = |group: &&AutoScalingGroup| {
        let tags = group.tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
        let named = names.is_empty() || names.iter().any(|name| name == group.name.as_str());
        named && filters.hold(|_| Vec::new(), &tags)
    };
    let all = asked.world.scaling_groups().map(AsRef::as_ref).filter(chosen);
    let (groups, next_token) = page.cut(all, |group| group.name.to_string());
    let with_members = input.include_instances != Some(false);
    let auto_scaling_groups = groups.into_iter().map(|group| shown::group(&asked.world, group, with_members)).collect();
    Ok(wire::DescribeAutoScalingGroupsOutput { auto_scaling_groups, next_token })
}

pub(in super::super) async fn enable_metrics(
    asked: &Asked<'_>,
    input: &wire::EnableMetricsCollection,
) -> Result<wire::EnableMetricsCollectionOutput, Error> {
    if input.granularity != "1Minute" {
        return Err(Error::validation("Granularity must be 1Minute"));
    }
    let stated = metrics(&input.metrics)?;
    set_metrics(asked, &input.auto_scaling_group_name, |held| held.extend(stated)).await?;
    Ok(wire::EnableMetricsCollectionOutput {})
}

pub(in super::super) async fn disable_metrics(
    asked: &Asked<'_>,
    input: &wire::DisableMetricsCollection,
) -> Result<wire::DisableMetricsCollectionOutput, Error> {
    let stated = metrics(&input.metrics)?;
    set_metrics(asked, &input.auto_scaling_group_name, |held| held.retain(|name| !stated.contains(name))).await?;
    Ok(wire::DisableMetricsCollectionOutput {})
}

async fn set_metrics(asked: &Asked<'_>, name: &str, change: impl FnOnce(&mut BTreeSet<String>)) -> Result<(), Error> {
    let group = existing(asked, &group(name)?)?;
    let mut metrics = group.metrics.clone();
    change(&mut metrics);
    asked.scale(ScalingChange::SetMetrics { group: group.name.clone(), metrics }).await.map(|_| ())
}

/// All of them when none is stated.
fn metrics(stated: &[String]) -> Result<BTreeSet<String>, Error> {
    if stated.is_empty() {
        return Ok(METRICS.iter().map(|name| (*name).to_owned()).collect());
    }
    let known = |name: &String| match METRICS.contains(&name.as_str()) {
        true => Ok(name.clone()),
        false => Err(Error::validation(format!("{} is not a metric of groups here", words::quoted(name)))),
    };
    stated.iter().map(known).collect()
}

/// A group that is to be there.
pub(super) fn existing<'a>(
    asked: &'a Asked<'_>,
    name: &AutoScalingGroupName,
) -> Result<&'a std::sync::Arc<AutoScalingGroup>, Error> {
    let missing = || {
        let refusal: evenkeel_core::refusal::Refusal = BadScaling::NoSuchGroup(name.clone()).into();
        refusal::autoscaling(refusal.into())
    };
    asked.world.scaling_group(name).ok_or_else(missing)
}

/// A launch configuration, or a template: by its id from then on, whatever it was named by.
pub(super) fn source(
    asked: &Asked<'_>,
    configured: Option<String>,
    template: Option<&wire::LaunchTemplateSpecification>,
) -> Result<Option<LaunchSource>, Error> {
    let name = shown::given(configured).map(|name| configuration(&name)).transpose()?;
    let Some(stated) = template else { return Ok(name.map(LaunchSource::Configuration)) };
    if name.is_some() {
        return Err(Error::validation(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ));
    }
    let stated = evenkeel_aws::ec2::LaunchTemplateSpecification {
        launch_template_id: stated.launch_template_id.clone(),
        launch_template_name: stated.launch_template_name.clone(),
        version: stated.version.clone(),
    };
    let read = launch_templates::specification(&stated).map_err(|error| Error::validation(error.message))?;
    let held = asked.world.template_named(&read.template);
    let held = held.map_err(|refusal| refusal::autoscaling(refusal.into()))?;
    let template = TemplateRef::Id(held.id.clone());
    Ok(Some(LaunchSource::Template(TemplateSpecification { template, ..read })))
}

/// Zones, stated as such or as their subnets. Where both are, they must be the same.
fn zones(
    asked: &Asked<'_>,
    stated: Option<Members<String>>,
    subnets: Option<&str>,
) -> Result<Option<Vec<ZoneName>>, Error> {
    let bad = |text: &str| Error::validation(format!("Invalid availability zones: [{}]", words::quoted(text)));
    let stated: Vec<ZoneName> = stated
        .iter()
        .flat_map(|zones| zones.iter())
        .filter(|text| !text.is_empty())
        .map(|text| ZoneName::new(text).map_err(|_| bad(text)))
        .collect::<Result<_, _>>()?;
    let mut by_subnet = Vec::new();
    for subnet in subnets.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let zone = subnets::zone_of(asked.world.settings(), subnet)
            .ok_or_else(|| Error::validation(format!("The subnet ID '{}' does not exist", words::quoted(subnet))))?;
        by_subnet.push(zone.clone());
    }
    if !stated.is_empty() && !by_subnet.is_empty() {
        let same = |a: &[ZoneName], b: &[ZoneName]| a.iter().all(|zone| b.contains(zone));
        if !same(&stated, &by_subnet) || !same(&by_subnet, &stated) {
            return Err(Error::validation(
                "The availability zones of the specified subnets and the Auto Scaling group do not match",
            ));
        }
    }
    let zones = if by_subnet.is_empty() { stated } else { by_subnet };
    Ok((!zones.is_empty()).then_some(zones))
}

/// `EC2`, `ELB`, or both as AWS has them since 2021: `EC2,ELB`.
fn health_check(stated: Option<&str>) -> Result<Option<HealthCheckType>, Error> {
    let Some(text) = stated.filter(|text| !text.is_empty()) else { return Ok(None) };
    let mut found = HealthCheckType::Ec2;
    for word in text.split(',').map(str::trim) {
        match word {
            "EC2" => {}
            "ELB" => found = HealthCheckType::Elb,
            _ => {
                let text = words::quoted(text);
                return Err(Error::validation(format!("Invalid HealthCheckType {text}: EC2 and ELB are known here")));
            }
        }
    }
    Ok(Some(found))
}

fn policies(stated: Option<Members<String>>) -> Result<Option<Vec<TerminationPolicy>>, Error> {
    let Some(stated) = stated else { return Ok(None) };
    let read = termination::read(stated.iter().map(String::as_str));
    read.map(Some).map_err(|bad| Error::validation(bad.to_string()))
}

fn lifetime(stated: Option<i64>) -> Result<Option<u32>, Error> {
    stated.map(|life| super::number(life, 31_536_000, "maxInstanceLifetime")).transpose()
}

/// -1 takes back what was stated (AWS).
fn warmup(stated: Option<i64>) -> Result<Option<Option<u32>>, Error> {
    match stated {
        None => Ok(None),
        Some(-1) => Ok(Some(None)),
        Some(stated) => Ok(Some(Some(seconds(stated, "defaultInstanceWarmup")?))),
    }
}

/// A tag as stated; it goes to members unless it says otherwise (AWS's default).
pub(super) fn tag(stated: &wire::Tag) -> GroupTag {
    GroupTag { value: stated.value.clone().unwrap_or_default(), propagates: stated.propagate_at_launch.unwrap_or(true) }
}

/// A hook as stated.
pub(super) fn new_hook(
    name: &str,
    transition: Option<&str>,
    heartbeat: Option<i64>,
    result: Option<&str>,
    metadata: Option<String>,
    target: Option<&str>,
    role: Option<String>,
) -> Result<(ScalingName, Hook), Error> {
    use evenkeel_core::noun::scaling_group::Transition as T;
    // An empty one takes it away (AWS).
    let target = target.filter(|target| !target.is_empty()).map(super::notifications::topic).transpose()?;
    let role = role.filter(|role| !role.is_empty() && target.is_some());
    let transition = match transition {
        Some("autoscaling:EC2_INSTANCE_LAUNCHING") => T::Launching,
        Some("autoscaling:EC2_INSTANCE_TERMINATING") => T::Terminating,
        stated => {
            let stated = words::quoted(stated.unwrap_or_default());
            return Err(Error::validation(format!("Invalid Lifecycle Transition: {stated}")));
        }
    };
    let goes_on = match result {
        None | Some("" | "ABANDON") => false,
        Some("CONTINUE") => true,
        Some(other) => {
            let text = format!("Invalid DefaultResult {}: it is CONTINUE or ABANDON", words::quoted(other));
            return Err(Error::validation(text));
        }
    };
    let metadata = metadata.filter(|text| !text.is_empty());
    if metadata.as_ref().is_some_and(|text| text.chars().count() > 1_023) {
        return Err(Error::validation("NotificationMetadata must be at most 1023 characters"));
    }
    let heartbeat = seconds(heartbeat.unwrap_or(USUAL_HEARTBEAT), "heartbeatTimeout")?;
    Ok((hook(name)?, Hook { transition, heartbeat, goes_on, metadata, target, role }))
}
