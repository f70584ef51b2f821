//! Policies that scale by a forecast: how their metrics are stated and shown again, and what is foreseen for them.
//!
//! Owns the reading of PredictiveScalingConfiguration, and GetPredictiveScalingForecast. What is measured for each metric is the
//! World's to say ([`evenkeel_core::world::World::predicted`]), whether a statistic or an expression is one
//! [`crate::metrics::watched`]'s.

use std::time::Duration;

use evenkeel_aws::{Error, Time, autoscaling as wire};
use evenkeel_core::noun::ScalingPolicy;
use evenkeel_core::noun::alarm::{MetricName, MetricStat, Query, Watched};
use evenkeel_core::noun::predictor::{
    LoadMetric, PredefinedLoad, PredefinedPair, PredictedMetrics, Predictor, ScalingMetric,
};
use evenkeel_core::scaling::forecast::begins;
use evenkeel_core::scaling::{PredefinedMetricType, Rule};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::scaling::{Predicted, Relating};

use super::super::{Asked, words};
use super::{group, number, policies, shown, targets};
use crate::metrics::watched;

const ACTS: &str = "ForecastAndScale";
const LOOKS: &str = "ForecastOnly";
const HONORS: &str = "HonorMaxCapacity";
const RAISES: &str = "IncreaseMaxCapacity";
/// Seconds before an hour at which its capacity is brought about, where it is not stated (AWS).
const USUAL_BUFFER: i64 = 300;
/// Queries of a metric (AWS).
const MOST_QUERIES: usize = 10;
/// The longest time that a forecast is shown of (AWS: 30 days), in milliseconds.
const LONGEST: i64 = 30 * 86_400_000;
/// The period of metrics in queries, which state none; the World makes hours of it.
const MINUTE: u32 = 60;
/// Scaling metrics that AWS has for forecasts: none of high resolution.
const SCALING: [PredefinedMetricType; 4] = [
    PredefinedMetricType::AsgAverageCpuUtilization,
    PredefinedMetricType::AsgAverageNetworkIn,
    PredefinedMetricType::AsgAverageNetworkOut,
    PredefinedMetricType::AlbRequestCountPerTarget,
];

/// The rule and the metrics.
pub(super) fn read(stated: &wire::PredictiveScalingConfiguration) -> Result<(Rule, Predictor), Error> {
    let [specification] = stated.metric_specifications.as_slice() else {
        return Err(Error::validation("PredictiveScalingConfiguration must have exactly one MetricSpecification"));
    };
    let acts = match stated.mode.as_deref() {
        None | Some("" | LOOKS) => false,
        Some(ACTS) => true,
        Some(other) => return Err(unknown("Mode", other, &[ACTS, LOOKS])),
    };
    let raises = match (stated.max_capacity_breach_behavior.as_deref(), stated.max_capacity_buffer) {
        (None | Some("" | HONORS), None) => None,
        (Some(RAISES), Some(percent)) => {
            Some(number(percent, 100, "predictiveScalingConfiguration.maxCapacityBuffer")?)
        }
        (Some(RAISES), None) => {
            return Err(Error::validation("MaxCapacityBuffer must be specified with IncreaseMaxCapacity"));
        }
        (None | Some("" | HONORS), Some(_)) => {
            return Err(Error::validation("MaxCapacityBuffer can only be specified with IncreaseMaxCapacity"));
        }
        (Some(other), _) => return Err(unknown("MaxCapacityBreachBehavior", other, &[HONORS, RAISES])),
    };
    let buffer = stated.scheduling_buffer_time.unwrap_or(USUAL_BUFFER);
    let buffer = number(buffer, 3599, "predictiveScalingConfiguration.schedulingBufferTime")?;
    let rule = Rule::Predictive {
        target: specification.target_value,
        acts,
        buffer: Duration::from_secs(buffer.into()),
        raises,
    };
    let capacity = specification.customized_capacity_metric_specification.as_ref().map(queries).transpose()?;
    let metrics = metrics(specification)?;
    if capacity.is_some() && !matches!(&metrics, PredictedMetrics::Each { scaling: ScalingMetric::Math(_), .. }) {
        let text =
            "CustomizedCapacityMetricSpecification can only be specified with CustomizedScalingMetricSpecification";
        return Err(Error::validation(text));
    }
    let configured = Timestamp(0);
    Ok((rule, Predictor { metrics, capacity, configured, outlook: None, lack: None, met: None }))
}

fn metrics(stated: &wire::PredictiveScalingMetricSpecification) -> Result<PredictedMetrics, Error> {
    let label = |stated: &wire::PredictiveScalingPredefinedMetric| shown::given(stated.resource_label.clone());
    let load = match (&stated.predefined_load_metric_specification, &stated.customized_load_metric_specification) {
        (Some(predefined), None) => {
            let named = &predefined.predefined_metric_type;
            let known = PredefinedLoad::ALL.map(PredefinedLoad::as_str);
            let metric = PredefinedLoad::named(named).ok_or_else(|| unknown("PredefinedMetricType", named, &known))?;
            Some(LoadMetric::Predefined { metric, label: label(predefined) })
        }
        (None, Some(customized)) => Some(LoadMetric::Math(queries(customized)?)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Error::validation("A MetricSpecification has one load metric")),
    };
    let scaling =
        match (&stated.predefined_scaling_metric_specification, &stated.customized_scaling_metric_specification) {
            (Some(predefined), None) => {
                let named = &predefined.predefined_metric_type;
                let known = SCALING.map(PredefinedMetricType::as_str);
                let metric = PredefinedMetricType::named(named).filter(|metric| SCALING.contains(metric));
                let metric = metric.ok_or_else(|| unknown("PredefinedMetricType", named, &known))?;
                Some(ScalingMetric::Predefined { metric, label: label(predefined) })
            }
            (None, Some(customized)) => Some(ScalingMetric::Math(queries(customized)?)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(Error::validation("A MetricSpecification has one scaling metric")),
        };
    match (&stated.predefined_metric_pair_specification, load, scaling) {
        (Some(pair), None, None) => {
            let named = &pair.predefined_metric_type;
            let known = PredefinedPair::ALL.map(PredefinedPair::as_str);
            let kind = PredefinedPair::named(named).ok_or_else(|| unknown("PredefinedMetricType", named, &known))?;
            Ok(PredictedMetrics::Pair { pair: kind, label: label(pair) })
        }
        (None, Some(load), Some(scaling)) => Ok(PredictedMetrics::Each { load, scaling }),
        _ => {
            let text = "A MetricSpecification must have either a PredefinedMetricPairSpecification, or a load metric and a \
                        scaling metric";
            Err(Error::validation(text))
        }
    }
}

fn unknown(what: &str, stated: &str, known: &[&str]) -> Error {
    Error::validation(format!("Invalid {what} {}: it is one of {}", words::quoted(stated), known.join(", ")))
}

fn queries(stated: &wire::PredictiveScalingCustomizedMetric) -> Result<Vec<Query>, Error> {
    let count = stated.metric_data_queries.len();
    if !(1..=MOST_QUERIES).contains(&count) {
        return Err(Error::validation(format!("MetricDataQueries must have 1 to {MOST_QUERIES} members, not {count}")));
    }
    let one = |stated: &wire::MetricDataQuery| {
        let stat = |stat: &wire::MetricStat| {
            Ok::<_, Error>(MetricStat {
                metric: MetricName {
                    namespace: stat.metric.namespace.clone(),
                    name: stat.metric.metric_name.clone(),
                    dimensions: targets::pairs(&stat.metric.dimensions),
                },
                period: MINUTE,
                statistic: stat.stat.clone(),
                unit: targets::unit(&stat.unit)?,
            })
        };
        Ok(Query {
            id: stated.id.clone(),
            stat: stated.metric_stat.as_ref().map(stat).transpose()?,
            expression: shown::given(stated.expression.clone()),
            label: stated.label.clone(),
            watched: stated.return_data,
            period: None,
        })
    };
    let queries = stated.metric_data_queries.iter().map(one).collect::<Result<Vec<_>, Error>>()?;
    match queries.iter().filter(|query| query.watched != Some(false)).count() {
        1 => Ok(queries),
        _ => Err(Error::validation("Exactly one of MetricDataQueries must have ReturnData set to true")),
    }
}

/// Whether all that a forecast is made of can be read.
pub(super) fn check(of: &Predicted) -> Result<(), Error> {
    let learned: Vec<&Watched> = match &of.relation {
        Relating::Known(_) => Vec::new(),
        Relating::Learned { metric, capacity } => {
            std::iter::once(metric).chain(capacity).map(|source| &source.as_ref().watched).collect()
        }
    };
    let mut all = std::iter::once(&of.load.watched).chain(learned);
    all.try_for_each(watched::check).map_err(Error::validation)
}

/// As it was stated, with what AWS adds.
pub(super) fn configuration(policy: &ScalingPolicy) -> Option<wire::PredictiveScalingConfiguration> {
    let Rule::Predictive { acts, buffer, raises, .. } = policy.rule else { return None };
    Some(wire::PredictiveScalingConfiguration {
        metric_specifications: specification(policy).into_iter().collect(),
        mode: Some(if acts { ACTS } else { LOOKS }.to_owned()),
        scheduling_buffer_time: i64::try_from(buffer.as_secs()).ok(),
        max_capacity_breach_behavior: Some(if raises.is_some() { RAISES } else { HONORS }.to_owned()),
        max_capacity_buffer: raises.map(Into::into),
    })
}

fn specification(policy: &ScalingPolicy) -> Option<wire::PredictiveScalingMetricSpecification> {
    let (Rule::Predictive { target, .. }, Some(predictor)) = (&policy.rule, &policy.predictor) else { return None };
    let predefined = |kind: &str, label: &Option<String>| {
        Some(wire::PredictiveScalingPredefinedMetric {
            predefined_metric_type: kind.to_owned(),
            resource_label: label.clone(),
        })
    };
    let mut shown = wire::PredictiveScalingMetricSpecification {
        target_value: *target,
        customized_capacity_metric_specification: predictor.capacity.as_deref().map(shown_queries),
        ..wire::PredictiveScalingMetricSpecification::default()
    };
    match &predictor.metrics {
        PredictedMetrics::Pair { pair, label } => {
            shown.predefined_metric_pair_specification = predefined(pair.as_str(), label);
        }
        PredictedMetrics::Each { load, scaling } => {
            match load {
                LoadMetric::Predefined { metric, label } => {
                    shown.predefined_load_metric_specification = predefined(metric.as_str(), label);
                }
                LoadMetric::Math(queries) => {
                    shown.customized_load_metric_specification = Some(shown_queries(queries));
                }
            }
            match scaling {
                ScalingMetric::Predefined { metric, label } => {
                    shown.predefined_scaling_metric_specification = predefined(metric.as_str(), label);
                }
                ScalingMetric::Math(queries) => {
                    shown.customized_scaling_metric_specification = Some(shown_queries(queries));
                }
            }
        }
    }
    Some(shown)
}

fn shown_queries(queries: &[Query]) -> wire::PredictiveScalingCustomizedMetric {
    let one = |query: &Query| wire::MetricDataQuery {
        id: query.id.clone(),
        expression: query.expression.clone(),
        metric_stat: query.stat.as_ref().map(|stat| wire::MetricStat {
            metric: wire::Metric {
                namespace: stat.metric.namespace.clone(),
                metric_name: stat.metric.name.clone(),
                dimensions: targets::dimensions(&stat.metric),
            },
            stat: stat.statistic.clone(),
            unit: stat.unit.clone(),
        }),
        label: query.label.clone(),
        return_data: query.watched,
    };
    wire::PredictiveScalingCustomizedMetric { metric_data_queries: queries.iter().map(one).collect() }
}

/// What is foreseen for a policy, of the hours that begin in a time.
pub(in super::super) fn forecast(
    asked: &Asked<'_>,
    input: &wire::GetPredictiveScalingForecast,
) -> Result<wire::GetPredictiveScalingForecastOutput, Error> {
    let of = group(&input.auto_scaling_group_name)?;
    super::groups::existing(asked, &of)?;
    let (of, name) = policies::named(&asked.world, Some(of.as_str()), &input.policy_name)?;
    let policy = asked.world.scaling_group(&of).and_then(|group| group.policies.get(&name));
    let policy = policy.ok_or_else(|| policies::no_policy(&input.policy_name))?;
    let (Rule::Predictive { target, .. }, Some(predictor)) = (&policy.rule, &policy.predictor) else {
        return Err(Error::validation(format!("Policy {name} is not of type PredictiveScaling")));
    };
    let (from, to) = (input.start_time, input.end_time);
    if from >= to {
        return Err(Error::validation("EndTime must be after StartTime"));
    }
    if to.0.saturating_sub(from.0) > LONGEST {
        return Err(Error::validation("The time between StartTime and EndTime must be at most 30 days"));
    }
    let outlook = predictor.outlook.as_ref().ok_or_else(|| {
        let why = predictor.lack.as_deref().unwrap_or("it is being made");
        Error::validation(format!("There is no forecast for policy {name} yet: {why}"))
    })?;
    let time = |at: Timestamp| Time(i64::try_from(at.0).unwrap_or(i64::MAX));
    let chosen: Vec<(Time, u64, f64)> = outlook
        .hours()
        .map(|(hour, load)| (time(begins(hour)), hour, load))
        .filter(|(at, ..)| (from..to).contains(at))
        .collect();
    let timestamps = || chosen.iter().map(|(at, ..)| *at).collect();
    let capacity = |(_, hour, _): &(Time, u64, f64)| outlook.capacity(*hour, *target).map_or(0.0, f64::from);
    Ok(wire::GetPredictiveScalingForecastOutput {
        load_forecast: vec![wire::LoadForecast {
            timestamps: timestamps(),
            values: chosen.iter().map(|(.., load)| *load).collect(),
            metric_specification: specification(policy).unwrap_or_default(),
        }]
        .into(),
        capacity_forecast: wire::CapacityForecast {
            timestamps: timestamps(),
            values: chosen.iter().map(capacity).collect(),
        },
        update_time: time(outlook.made),
    })
}
