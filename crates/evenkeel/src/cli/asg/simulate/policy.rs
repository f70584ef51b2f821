//! Policies as AWS writes them in JSON, and as a group has them.
//!
//! Owns what is understood of them. Must never try them.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use evenkeel_aws::{autoscaling as wire, cloudwatch};
use evenkeel_core::scaling::decide::Rule;
use evenkeel_core::scaling::simulate::{Alarm, Tried};
use evenkeel_core::scaling::step::{self, Side, StepAdjustment};
use evenkeel_core::scaling::{Adjustment, AdjustmentType, MetricAggregationType, PredefinedMetricType, tracking};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::client::{Client, pages};
use crate::cli::failure::hinted;

/// Seconds before an hour at which its capacity is brought about, where it is not stated (AWS).
const USUAL_BUFFER: u64 = 300;
/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// A policy to be tried, and what it says besides.
#[derive(Debug)]
pub(super) struct Found {
    pub tried: Tried,
    /// Seconds until a new member counts.
    pub warmup: Option<u64>,
    /// What it tracks: namespace, name, dimensions.
    pub metric: Option<Measured>,
}

/// A metric whose sum in each second is what all members have to do together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Namespace and name.
    pub metric: (String, String),
    /// Its dimensions; none for those of the group.
    pub on: Vec<(String, String)>,
    /// What one of a second stands for: targets of requests are meant for AWS's minutes.
    pub each: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Stated {
    policy_name: Option<String>,
    policy_type: Option<String>,
    enabled: Option<bool>,
    adjustment_type: Option<String>,
    scaling_adjustment: Option<i32>,
    min_adjustment_magnitude: Option<u32>,
    min_adjustment_step: Option<u32>,
    cooldown: Option<u64>,
    metric_aggregation_type: Option<String>,
    step_adjustments: Vec<Step>,
    estimated_instance_warmup: Option<u64>,
    target_tracking_configuration: Option<Target>,
    predictive_scaling_configuration: Option<Predictive>,
    alarms: Vec<StatedAlarm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    metric_interval_lower_bound: Option<f64>,
    metric_interval_upper_bound: Option<f64>,
    scaling_adjustment: i32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    target_value: f64,
    #[serde(default)]
    disable_scale_in: bool,
    predefined_metric_specification: Option<Predefined>,
    customized_metric_specification: Option<Customized>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Predictive {
    metric_specifications: Vec<Specification>,
    mode: Option<String>,
    scheduling_buffer_time: Option<u64>,
    max_capacity_breach_behavior: Option<String>,
    max_capacity_buffer: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Specification {
    target_value: f64,
    predefined_metric_pair_specification: Option<Predefined>,
    predefined_load_metric_specification: Option<Predefined>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Predefined {
    predefined_metric_type: String,
    resource_label: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Customized {
    namespace: Option<String>,
    metric_name: Option<String>,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Dimension {
    name: String,
    value: String,
}

impl From<wire::TargetTrackingConfiguration> for Target {
    fn from(held: wire::TargetTrackingConfiguration) -> Self {
        let predefined = |held: wire::PredefinedMetricSpecification| Predefined {
            predefined_metric_type: held.predefined_metric_type,
            resource_label: held.resource_label,
        };
        let dimension = |held: &wire::MetricDimension| Dimension { name: held.name.clone(), value: held.value.clone() };
        let customized = |held: wire::CustomizedMetricSpecification| Customized {
            dimensions: held.dimensions.iter().map(dimension).collect(),
            namespace: held.namespace,
            metric_name: held.metric_name,
        };
        Self {
            target_value: held.target_value,
            disable_scale_in: held.disable_scale_in == Some(true),
            predefined_metric_specification: held.predefined_metric_specification.map(predefined),
            customized_metric_specification: held.customized_metric_specification.map(customized),
        }
    }
}

impl From<wire::PredictiveScalingConfiguration> for Predictive {
    fn from(held: wire::PredictiveScalingConfiguration) -> Self {
        let predefined = |held: &wire::PredictiveScalingPredefinedMetric| Predefined {
            predefined_metric_type: held.predefined_metric_type.clone(),
            resource_label: held.resource_label.clone(),
        };
        let specification = |held: &wire::PredictiveScalingMetricSpecification| Specification {
            target_value: held.target_value,
            predefined_metric_pair_specification: held.predefined_metric_pair_specification.as_ref().map(predefined),
            predefined_load_metric_specification: held.predefined_load_metric_specification.as_ref().map(predefined),
        };
        Self {
            metric_specifications: held.metric_specifications.iter().map(specification).collect(),
            mode: held.mode,
            scheduling_buffer_time: held.scheduling_buffer_time.and_then(|seconds| u64::try_from(seconds).ok()),
            max_capacity_breach_behavior: held.max_capacity_breach_behavior,
            max_capacity_buffer: held.max_capacity_buffer.and_then(|percent| u32::try_from(percent).ok()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct StatedAlarm {
    alarm_name: Option<String>,
    comparison_operator: Option<String>,
    threshold: Option<f64>,
    evaluation_periods: Option<u32>,
}

/// The policies of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Found>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    }
    parse(&text)
}

pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Found>> {
    let value: Value = serde_json::from_str(text)?;
    let all = match value {
        Value::Array(all) => all,
        Value::Object(mut fields) => match fields.remove("ScalingPolicies") {
            Some(Value::Array(all)) => all,
            _ => vec![Value::Object(fields)],
        },
        _ => bail!("it is no policy, nor a list of them"),
    };
    let mut found: Vec<Found> = Vec::new();
    for (place, value) in all.into_iter().enumerate() {
        let stated = if value.get("TargetValue").is_some() {
            // A TargetTrackingConfiguration by itself, as put-scaling-policy takes it from a file.
            Stated { target_tracking_configuration: Some(serde_json::from_value(value)?), ..Stated::default() }
        } else if value.get("MetricSpecifications").is_some() {
            // A PredictiveScalingConfiguration by itself.
            Stated { predictive_scaling_configuration: Some(serde_json::from_value(value)?), ..Stated::default() }
        } else {
            serde_json::from_value(value)?
        };
        if stated.enabled != Some(false) {
            found.push(understood(stated, place + 1)?);
        }
    }
    Ok(found)
}

/// The policies of a group, with the alarms that carry them out.
pub(super) fn of_group(client: &Client, name: &str) -> anyhow::Result<Vec<Found>> {
    let mut input =
        wire::DescribePolicies { auto_scaling_group_name: Some(name.to_owned()), ..wire::DescribePolicies::default() };
    let policies: Vec<wire::ScalingPolicy> = pages(|token| {
        input.next_token = token;
        let page = client.call(&input)?;
        Ok((page.scaling_policies.0, page.next_token))
    })?;
    let mut found = Vec::new();
    for (place, policy) in policies.into_iter().filter(|policy| policy.enabled != Some(false)).enumerate() {
        let own = matches!(policy.policy_type.as_deref(), Some("TargetTrackingScaling" | "PredictiveScaling"));
        let alarms = if own { Vec::new() } else { alarms(client, &policy)? };
        let step = |step: &wire::StepAdjustment| {
            let amount = i32::try_from(step.scaling_adjustment).context("failed to read a step")?;
            let (lower, upper) = (step.metric_interval_lower_bound, step.metric_interval_upper_bound);
            Ok(Step {
                metric_interval_lower_bound: lower,
                metric_interval_upper_bound: upper,
                scaling_adjustment: amount,
            })
        };
        let stated = Stated {
            step_adjustments: policy.step_adjustments.iter().map(step).collect::<anyhow::Result<_>>()?,
            policy_name: policy.policy_name,
            policy_type: policy.policy_type,
            enabled: None,
            adjustment_type: policy.adjustment_type,
            scaling_adjustment: policy.scaling_adjustment.map(i32::try_from).transpose()?,
            min_adjustment_magnitude: policy.min_adjustment_magnitude.map(u32::try_from).transpose()?,
            min_adjustment_step: policy.min_adjustment_step.map(u32::try_from).transpose()?,
            cooldown: policy.cooldown.map(u64::try_from).transpose()?,
            metric_aggregation_type: policy.metric_aggregation_type,
            estimated_instance_warmup: policy.estimated_instance_warmup.map(u64::try_from).transpose()?,
            target_tracking_configuration: policy.target_tracking_configuration.map(Target::from),
            predictive_scaling_configuration: policy.predictive_scaling_configuration.map(Predictive::from),
            alarms,
        };
        found.push(understood(stated, place + 1)?);
    }
    Ok(found)
}

fn alarms(client: &Client, policy: &wire::ScalingPolicy) -> anyhow::Result<Vec<StatedAlarm>> {
    let names: Vec<String> = policy.alarms.iter().filter_map(|alarm| alarm.alarm_name.clone()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let output = client.call(&cloudwatch::DescribeAlarms { alarm_names: names.into(), ..Default::default() })?;
    let of = |alarm: cloudwatch::MetricAlarm| StatedAlarm {
        alarm_name: Some(alarm.alarm_name),
        comparison_operator: Some(alarm.comparison_operator),
        threshold: Some(alarm.threshold),
        evaluation_periods: u32::try_from(alarm.evaluation_periods).ok(),
    };
    Ok(output.metric_alarms.0.into_iter().map(of).collect())
}

/// What the first policy that tracks a target tracks.
pub(super) fn metric(found: &[Found]) -> Option<Measured> {
    found.iter().find_map(|policy| policy.metric.clone())
}

fn understood(stated: Stated, place: usize) -> anyhow::Result<Found> {
    let name = stated.policy_name.clone().unwrap_or_else(|| format!("policy {place}"));
    let warmup = stated.estimated_instance_warmup;
    if let Some(target) = &stated.target_tracking_configuration {
        tracking::check_target(target.target_value).with_context(|| format!("failed to read `{name}`"))?;
        let rule = Rule::Tracking { target: target.target_value, disable_scale_in: target.disable_scale_in };
        let metric = tracked(target).with_context(|| format!("failed to read `{name}`"))?;
        return Ok(Found { tried: Tried { name, rule, alarms: Vec::new() }, warmup, metric });
    }
    if let Some(predictive) = &stated.predictive_scaling_configuration {
        let (rule, metric) = predicted(predictive).with_context(|| format!("failed to read `{name}`"))?;
        return Ok(Found { tried: Tried { name, rule, alarms: Vec::new() }, warmup, metric });
    }
    let rule = rule(&stated).with_context(|| format!("failed to read `{name}`"))?;
    let alarms: Vec<Alarm> = stated.alarms.iter().enumerate().map(alarm).collect::<anyhow::Result<_>>()?;
    if alarms.is_empty() {
        let way = "state `Alarms` beside it, as in `evenkeel asg simulate --help`";
        return Err(hinted(format!("no alarm carries `{name}` out"), way));
    }
    Ok(Found { tried: Tried { name, rule, alarms }, warmup, metric: None })
}

fn predicted(stated: &Predictive) -> anyhow::Result<(Rule, Option<Measured>)> {
    let [specification] = stated.metric_specifications.as_slice() else {
        bail!("it has {} MetricSpecifications, and not one", stated.metric_specifications.len());
    };
    tracking::check_target(specification.target_value)?;
    let raises = match (stated.max_capacity_breach_behavior.as_deref(), stated.max_capacity_buffer) {
        (Some("IncreaseMaxCapacity"), Some(percent)) if percent <= 100 => Some(percent),
        (Some("IncreaseMaxCapacity"), _) => bail!("it has no MaxCapacityBuffer of 0 to 100"),
        (None | Some("HonorMaxCapacity"), None) => None,
        _ => bail!("MaxCapacityBuffer goes with a MaxCapacityBreachBehavior of IncreaseMaxCapacity"),
    };
    let acts = match stated.mode.as_deref() {
        Some("ForecastAndScale") => true,
        None | Some("ForecastOnly") => false,
        Some(other) => bail!("there is no Mode `{other}`"),
    };
    let buffer = Duration::from_secs(stated.scheduling_buffer_time.unwrap_or(USUAL_BUFFER));
    if buffer >= Duration::from_secs(3600) {
        bail!("its SchedulingBufferTime is not less than an hour");
    }
    let pair = specification.predefined_metric_pair_specification.as_ref();
    let load = specification.predefined_load_metric_specification.as_ref().or(pair);
    let metric = match load.map(|load| (load.predefined_metric_type.as_str(), load.resource_label.as_deref())) {
        Some(("ASGCPUUtilization" | "ASGTotalCPUUtilization", _)) => {
            Some(Measured { metric: ("AWS/EC2".into(), "CPUUtilization".into()), on: Vec::new(), each: 1.0 })
        }
        Some(("ASGNetworkIn" | "ASGTotalNetworkIn", _)) => {
            Some(Measured { metric: ("AWS/EC2".into(), "NetworkIn".into()), on: Vec::new(), each: 60.0 })
        }
        Some(("ASGNetworkOut" | "ASGTotalNetworkOut", _)) => {
            Some(Measured { metric: ("AWS/EC2".into(), "NetworkOut".into()), on: Vec::new(), each: 60.0 })
        }
        Some(("ALBRequestCount" | "ALBTargetGroupRequestCount", label)) => Some(requests(label)),
        _ => None,
    };
    Ok((Rule::Predictive { target: specification.target_value, acts, buffer, raises }, metric))
}

/// Requests of a balancer, by its label.
fn requests(label: Option<&str>) -> Measured {
    let label = label.unwrap_or_default();
    let balancer = label.strip_prefix("app/").map_or(label, |rest| rest.split('/').next().unwrap_or_default());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let on = if balancer.is_empty() { Vec::new() } else { vec![pair("LoadBalancerName", balancer)] };
    Measured { metric: pair("AWS/ELB", "RequestCount"), on, each: 60.0 }
}

/// A policy that scales by a forecast at the target of one that tracks it.
pub(super) fn ahead(found: &[Found], buffer: Option<u64>) -> Option<Found> {
    let target = found.iter().find_map(|policy| match policy.tried.rule {
        Rule::Tracking { target, .. } => Some(target),
        _ => None,
    })?;
    let buffer = Duration::from_secs(buffer.unwrap_or(USUAL_BUFFER));
    let rule = Rule::Predictive { target, acts: true, buffer, raises: None };
    let tried = Tried { name: "predictive".into(), rule, alarms: Vec::new() };
    Some(Found { tried, warmup: None, metric: None })
}

fn tracked(target: &Target) -> anyhow::Result<Option<Measured>> {
    let pair = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
    if let Some(predefined) = &target.predefined_metric_specification {
        let name = &predefined.predefined_metric_type;
        let Some(known) = PredefinedMetricType::named(name) else { bail!("there is no metric {name}") };
        if known == PredefinedMetricType::AlbRequestCountPerTarget {
            return Ok(Some(requests(predefined.resource_label.as_deref())));
        }
        let (namespace, name, _) = known.metric();
        let each = if known.counts_bytes() { 60.0 } else { 1.0 };
        return Ok(Some(Measured { metric: pair(namespace, name), on: Vec::new(), each }));
    }
    Ok(target.customized_metric_specification.as_ref().and_then(|stated| {
        let on = stated.dimensions.iter().map(|d| (d.name.clone(), d.value.clone())).collect();
        Some(Measured { metric: (stated.namespace.clone()?, stated.metric_name.clone()?), on, each: 1.0 })
    }))
}

fn rule(stated: &Stated) -> anyhow::Result<Rule> {
    let kind = stated.adjustment_type.as_deref().unwrap_or_default();
    let Some(kind) = AdjustmentType::named(kind) else {
        let known = AdjustmentType::ALL.map(AdjustmentType::as_str).join(", ");
        bail!("its AdjustmentType is `{kind}`, and not one of {known}");
    };
    let min_magnitude = stated.min_adjustment_magnitude.or(stated.min_adjustment_step);
    let is_step = stated.policy_type.as_deref() == Some("StepScaling") || !stated.step_adjustments.is_empty();
    if is_step {
        let steps: Vec<StepAdjustment> = stated
            .step_adjustments
            .iter()
            .map(|step| StepAdjustment {
                lower: step.metric_interval_lower_bound,
                upper: step.metric_interval_upper_bound,
                amount: step.scaling_adjustment,
            })
            .collect();
        step::check(&steps)?;
        let stated = stated.metric_aggregation_type.as_deref().unwrap_or("Average");
        let Some(aggregation) = MetricAggregationType::named(stated) else {
            bail!("there is no MetricAggregationType `{stated}`");
        };
        return Ok(Rule::Step { kind, min_magnitude, aggregation, steps });
    }
    let Some(amount) = stated.scaling_adjustment else { bail!("it has no ScalingAdjustment") };
    let adjustment = Adjustment { kind, amount, min_magnitude };
    adjustment.check()?;
    Ok(Rule::Simple { adjustment, cooldown: stated.cooldown.map(Duration::from_secs) })
}

fn alarm((place, stated): (usize, &StatedAlarm)) -> anyhow::Result<Alarm> {
    let name = stated.alarm_name.clone().unwrap_or_else(|| format!("alarm {}", place + 1));
    let side = match stated.comparison_operator.as_deref() {
        Some("GreaterThanThreshold" | "GreaterThanOrEqualToThreshold") => Side::Above,
        Some("LessThanThreshold" | "LessThanOrEqualToThreshold") => Side::Below,
        other => bail!("the ComparisonOperator of alarm `{name}` is `{}`", other.unwrap_or_default()),
    };
    let Some(threshold) = stated.threshold.filter(|threshold| threshold.is_finite()) else {
        bail!("alarm `{name}` has no Threshold");
    };
    Ok(Alarm { name, side, threshold, periods: stated.evaluation_periods.unwrap_or(1).max(1) })
}
