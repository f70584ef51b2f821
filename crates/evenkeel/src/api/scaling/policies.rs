//! Scaling policies: kept, shown with their alarms, executed, deleted.
//!
//! Owns how a policy is read. Whether its numbers make sense is the World's to say, what it comes to
//! [`evenkeel_core::scaling`]'s. Next: [`super::targets`], the metrics of policies that track one,
//! [`super::forecasts`], those of policies that scale by a forecast.

use std::time::Duration;

use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::{ScalingChange, Trigger};
use evenkeel_core::name::{AutoScalingGroupName, ScalingName};
use evenkeel_core::noun::scaling_policy::{Tracker, policy_arn};
use evenkeel_core::noun::{AutoScalingGroup, Predictor, ScalingPolicy};
use evenkeel_core::refusal::BadScaling;
use evenkeel_core::scaling::{Adjustment, AdjustmentType, MetricAggregationType, Rule, StepAdjustment};
use evenkeel_core::world::World;

use super::super::page::Page;
use super::super::{Asked, dice, refusal, words};
use super::{at_most, forecasts, group, seconds, shown, targets};
use crate::metrics::watched;

const SIMPLE: &str = "SimpleScaling";
const STEP: &str = "StepScaling";
const TRACKING: &str = "TargetTrackingScaling";
const PREDICTIVE: &str = "PredictiveScaling";

pub(in super::super) async fn put(
    asked: &Asked<'_>,
    input: wire::PutScalingPolicy,
) -> Result<wire::PutScalingPolicyOutput, Error> {
    let (group, name) = (group(&input.auto_scaling_group_name)?, policy_name(&input.policy_name)?);
    let warmup =
        input.estimated_instance_warmup.map(|stated| seconds(stated, "estimatedInstanceWarmup")).transpose()?;
    let (rule, tracker, predictor) = rule(&input)?;
    let enabled = input.enabled != Some(false);
    let policy =
        ScalingPolicy { id: dice::uuid()?, enabled, rule, warmup, tracker, predictor: predictor.map(Box::new) };
    if let Some(held) = asked.world.scaling_group(&group) {
        targets::check(asked, held, policy.tracker.as_ref())?;
        for of in asked.world.tracking_alarms(held, &name, &policy).map_err(|why| refusal::autoscaling(why.into()))? {
            watched::check(&of.alarm.settings.watched).map_err(Error::validation)?;
        }
        let predicted = asked.world.predicted(held, &policy).map_err(|why| refusal::autoscaling(why.into()))?;
        predicted.as_ref().map_or(Ok(()), forecasts::check)?;
        let counts_bytes = policy.predictor.as_ref().and_then(|predictor| predictor.counts_bytes());
        counts_bytes.map_or(Ok(()), |metric| targets::bytes(asked, held, metric))?;
    }
    asked.scale(ScalingChange::PutPolicy { group: group.clone(), name: name.clone(), policy }).await?;
    let world = asked.api.keeper.world();
    let held = world.scaling_group(&group).and_then(|group| Some((group, group.policies.get(&name)?)));
    let (held, policy) = held.ok_or_else(|| no_policy(&input.policy_name))?;
    let arn = arn(&world, held, &name, policy);
    Ok(wire::PutScalingPolicyOutput { alarms: alarms(&world, &arn).into(), policy_arn: Some(arn) })
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeletePolicy,
) -> Result<wire::DeletePolicyOutput, Error> {
    let (group, name) = named(&asked.world, input.auto_scaling_group_name.as_deref(), &input.policy_name)?;
    asked.scale(ScalingChange::DeletePolicy { group, name }).await?;
    Ok(wire::DeletePolicyOutput {})
}

pub(in super::super) async fn execute(
    asked: &Asked<'_>,
    input: &wire::ExecutePolicy,
) -> Result<wire::ExecutePolicyOutput, Error> {
    let (group, name) = named(&asked.world, input.auto_scaling_group_name.as_deref(), &input.policy_name)?;
    let metric = match (input.metric_value, input.breach_threshold) {
        (Some(value), Some(threshold)) if value.is_finite() && threshold.is_finite() => Some((value, threshold)),
        (None, None) => None,
        _ => return Err(Error::validation("MetricValue and BreachThreshold must be specified together, as numbers")),
    };
    let trigger = Trigger::Asked { metric, honor_cooldown: input.honor_cooldown == Some(true) };
    asked.scale(ScalingChange::ExecutePolicy { group, name, trigger }).await?;
    Ok(wire::ExecutePolicyOutput {})
}

pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribePolicies,
) -> Result<wire::DescribePoliciesOutput, Error> {
    at_most(input.policy_names.len(), 50, "policyNames")?;
    let page = Page::autoscaling("policies", input.max_records, input.next_token.as_deref())?;
    let of = shown::given(input.auto_scaling_group_name.clone()).map(|name| group(&name)).transpose()?;
    if let Some(of) = &of {
        super::groups::existing(asked, of)?;
    }
    let all = asked.world.scaling_groups().filter(|group| of.as_ref().is_none_or(|of| group.name == *of));
    let all = all.flat_map(|group| group.policies.iter().map(move |(name, policy)| (group, name, policy)));
    let chosen = all.filter(|(group, name, policy)| {
        let arn = arn(&asked.world, group, name, policy);
        let named = input.policy_names.iter().any(|wanted| wanted == name.as_str() || *wanted == arn);
        let typed = input.policy_types.iter().any(|wanted| wanted == kind(&policy.rule));
        (named || input.policy_names.is_empty()) && (typed || input.policy_types.is_empty())
    });
    let key = |(group, name, _): &(&std::sync::Arc<AutoScalingGroup>, &ScalingName, &ScalingPolicy)| {
        format!("{}\n{name}", group.name)
    };
    let (held, next_token) = page.cut(chosen, key);
    let scaling_policies =
        held.into_iter().map(|(group, name, policy)| shown_policy(&asked.world, group, name, policy));
    Ok(wire::DescribePoliciesOutput { scaling_policies: scaling_policies.collect(), next_token })
}

/// What a policy goes by, as stated. What belongs to another type is refused, as in AWS.
fn rule(input: &wire::PutScalingPolicy) -> Result<(Rule, Option<Tracker>, Option<Predictor>), Error> {
    let stated = input.policy_type.as_deref().filter(|kind| !kind.is_empty());
    let kind = stated.unwrap_or(SIMPLE);
    let not_for = |stated, parameter| not_for(kind, stated, parameter);
    if kind != PREDICTIVE {
        not_for(input.predictive_scaling_configuration.is_some(), "PredictiveScalingConfiguration")?;
    }
    if kind != TRACKING {
        not_for(input.target_tracking_configuration.is_some(), "TargetTrackingConfiguration")?;
    }
    if kind == TRACKING || kind == PREDICTIVE {
        not_for(input.adjustment_type.is_some(), "AdjustmentType")?;
        not_for(input.scaling_adjustment.is_some(), "ScalingAdjustment")?;
        not_for(!input.step_adjustments.is_empty(), "StepAdjustments")?;
        not_for(input.min_adjustment_magnitude.or(input.min_adjustment_step).is_some(), "MinAdjustmentMagnitude")?;
        not_for(input.metric_aggregation_type.is_some(), "MetricAggregationType")?;
        not_for(input.cooldown.is_some(), "Cooldown")?;
    }
    let missing = |what: &str| Error::validation(format!("{what} must be specified for policy type {kind}"));
    match kind {
        TRACKING => {
            let stated = input.target_tracking_configuration.as_ref();
            let stated = stated.ok_or_else(|| missing("TargetTrackingConfiguration"))?;
            let (rule, tracker) = targets::read(stated)?;
            Ok((rule, Some(tracker), None))
        }
        PREDICTIVE => {
            not_for(input.estimated_instance_warmup.is_some(), "EstimatedInstanceWarmup")?;
            let stated = input.predictive_scaling_configuration.as_ref();
            let stated = stated.ok_or_else(|| missing("PredictiveScalingConfiguration"))?;
            let (rule, predictor) = forecasts::read(stated)?;
            Ok((rule, None, Some(predictor)))
        }
        _ => Ok((adjusting(input, kind)?, None, None)),
    }
}

fn not_for(kind: &str, stated: bool, parameter: &str) -> Result<(), Error> {
    match stated {
        true => Err(Error::validation(format!("{parameter} is not supported for policy type {kind}"))),
        false => Ok(()),
    }
}

/// A rule that adjusts: simple, or in steps.
fn adjusting(input: &wire::PutScalingPolicy, kind: &str) -> Result<Rule, Error> {
    let not_for = |stated, parameter| not_for(kind, stated, parameter);
    let stated = input.adjustment_type.as_deref().unwrap_or_default();
    let adjustment = AdjustmentType::named(stated).ok_or_else(|| {
        let known = AdjustmentType::ALL.map(AdjustmentType::as_str).join(", ");
        Error::validation(format!("Invalid AdjustmentType {}: it is one of {known}", words::quoted(stated)))
    })?;
    // MinAdjustmentStep is its name of before 2015.
    let magnitude = input.min_adjustment_magnitude.or(input.min_adjustment_step);
    let min_magnitude = magnitude.map(|stated| super::size(stated, "minAdjustmentMagnitude")).transpose()?;
    if min_magnitude.is_some() && adjustment != AdjustmentType::PercentChangeInCapacity {
        return Err(Error::validation(
            "MinAdjustmentMagnitude is only supported with AdjustmentType PercentChangeInCapacity",
        ));
    }
    match kind {
        SIMPLE => {
            not_for(!input.step_adjustments.is_empty(), "StepAdjustments")?;
            not_for(input.metric_aggregation_type.is_some(), "MetricAggregationType")?;
            not_for(input.estimated_instance_warmup.is_some(), "EstimatedInstanceWarmup")?;
            let amount = input.scaling_adjustment.ok_or_else(|| {
                Error::validation("ScalingAdjustment must be specified for policy type SimpleScaling")
            })?;
            let cooldown = input.cooldown.map(|stated| seconds(stated, "cooldown")).transpose()?;
            Ok(Rule::Simple {
                adjustment: Adjustment { kind: adjustment, amount: int(amount)?, min_magnitude },
                cooldown: cooldown.map(|seconds| Duration::from_secs(seconds.into())),
            })
        }
        STEP => {
            not_for(input.scaling_adjustment.is_some(), "ScalingAdjustment")?;
            not_for(input.cooldown.is_some(), "Cooldown")?;
            let stated = input.metric_aggregation_type.as_deref().unwrap_or("Average");
            let aggregation = MetricAggregationType::named(stated)
                .ok_or_else(|| Error::validation(format!("Invalid MetricAggregationType {}", words::quoted(stated))))?;
            let step = |stated: &wire::StepAdjustment| {
                Ok(StepAdjustment {
                    lower: stated.metric_interval_lower_bound,
                    upper: stated.metric_interval_upper_bound,
                    amount: int(stated.scaling_adjustment)?,
                })
            };
            let steps = input.step_adjustments.iter().map(step).collect::<Result<_, Error>>()?;
            Ok(Rule::Step { kind: adjustment, min_magnitude, aggregation, steps })
        }
        other => Err(Error::validation(format!(
            "Invalid PolicyType {}: it is one of SimpleScaling, StepScaling, TargetTrackingScaling, PredictiveScaling",
            words::quoted(other)
        ))),
    }
}

fn int(amount: i64) -> Result<i32, Error> {
    i32::try_from(amount).map_err(|_| Error::validation("ScalingAdjustment is out of bounds"))
}

fn policy_name(text: &str) -> Result<ScalingName, Error> {
    ScalingName::new(text).map_err(|bad| Error::validation(format!("Policy name {}", bad.rule)))
}

/// A policy by its name in a group, or by its ARN.
pub(super) fn named(world: &World, of: Option<&str>, text: &str) -> Result<(AutoScalingGroupName, ScalingName), Error> {
    if let Some((group, name)) = world.policy_by_arn(text) {
        return Ok((group.clone(), name.clone()));
    }
    if text.starts_with("arn:") {
        return Err(no_policy(text));
    }
    let of = of
        .filter(|of| !of.is_empty())
        .ok_or_else(|| Error::validation("AutoScalingGroupName must be specified where PolicyName is not an ARN"))?;
    Ok((group(of)?, policy_name(text)?))
}

pub(super) fn no_policy(text: &str) -> Error {
    match ScalingName::new(text) {
        Ok(name) => {
            let refusal: evenkeel_core::refusal::Refusal = BadScaling::NoSuchPolicy(name).into();
            refusal::autoscaling(refusal.into())
        }
        Err(_) => Error::validation(format!("No policy found for policy name: {}", words::quoted(text))),
    }
}

pub(super) fn kind(rule: &Rule) -> &'static str {
    match rule {
        Rule::Simple { .. } => SIMPLE,
        Rule::Step { .. } => STEP,
        Rule::Tracking { .. } => TRACKING,
        Rule::Predictive { .. } => PREDICTIVE,
    }
}

pub(super) fn arn(world: &World, group: &AutoScalingGroup, name: &ScalingName, policy: &ScalingPolicy) -> String {
    let settings = world.settings();
    policy_arn(&settings.region, &settings.account, &policy.id, group.name.as_str(), name.as_str())
}

/// The alarms that carry a policy out.
fn alarms(world: &World, arn: &str) -> Vec<wire::Alarm> {
    let settings = world.settings();
    let (region, account) = (&settings.region, &settings.account);
    let of = world.alarms().filter(|alarm| alarm.settings.actions.all().any(|action| action == arn));
    let shown = of.map(|alarm| wire::Alarm {
        alarm_name: Some(alarm.name.to_string()),
        alarm_arn: Some(format!("arn:aws:cloudwatch:{region}:{account}:alarm:{}", alarm.name)),
    });
    shown.collect()
}

fn shown_policy(
    world: &World,
    group: &AutoScalingGroup,
    name: &ScalingName,
    policy: &ScalingPolicy,
) -> wire::ScalingPolicy {
    let arn = arn(world, group, name, policy);
    let common = wire::ScalingPolicy {
        auto_scaling_group_name: Some(group.name.to_string()),
        policy_name: Some(name.to_string()),
        policy_type: Some(kind(&policy.rule).to_owned()),
        estimated_instance_warmup: policy.warmup.map(Into::into),
        alarms: alarms(world, &arn).into(),
        policy_arn: Some(arn),
        enabled: Some(policy.enabled),
        ..wire::ScalingPolicy::default()
    };
    match &policy.rule {
        Rule::Simple { adjustment, cooldown } => wire::ScalingPolicy {
            adjustment_type: Some(adjustment.kind.as_str().to_owned()),
            min_adjustment_magnitude: adjustment.min_magnitude.map(Into::into),
            min_adjustment_step: adjustment.min_magnitude.map(Into::into),
            scaling_adjustment: Some(adjustment.amount.into()),
            cooldown: cooldown.and_then(|cooldown| i64::try_from(cooldown.as_secs()).ok()),
            ..common
        },
        Rule::Step { kind, min_magnitude, aggregation, steps } => wire::ScalingPolicy {
            adjustment_type: Some(kind.as_str().to_owned()),
            min_adjustment_magnitude: min_magnitude.map(Into::into),
            metric_aggregation_type: Some(aggregation.as_str().to_owned()),
            step_adjustments: steps
                .iter()
                .map(|step| wire::StepAdjustment {
                    metric_interval_lower_bound: step.lower,
                    metric_interval_upper_bound: step.upper,
                    scaling_adjustment: step.amount.into(),
                })
                .collect(),
            ..common
        },
        Rule::Tracking { target, disable_scale_in } => wire::ScalingPolicy {
            target_tracking_configuration: policy
                .tracker
                .as_ref()
                .map(|tracker| targets::shown(*target, *disable_scale_in, tracker)),
            ..common
        },
        Rule::Predictive { .. } => {
            wire::ScalingPolicy { predictive_scaling_configuration: forecasts::configuration(policy), ..common }
        }
    }
}
