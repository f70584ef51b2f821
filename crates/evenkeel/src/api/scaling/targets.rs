//! What a policy that tracks a target goes by: how its metric is stated, and shown again.
//!
//! Owns the reading of TargetTrackingConfiguration. Which alarms come of it is the World's to say
//! ([`evenkeel_core::world::World::tracking_alarms`]), whether a statistic or an expression is one
//! [`crate::metrics::watched`]'s.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::noun::AutoScalingGroup;
use evenkeel_core::noun::alarm::{MetricName, MetricStat, Query};
use evenkeel_core::noun::scaling_policy::{TrackedMetric, Tracker};
use evenkeel_core::scaling::{PredefinedMetricType, Rule};

use super::super::{Asked, dice, words};
use crate::metrics::Unit;

/// Statistics of one series (AWS).
const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "SampleCount", "Sum"];
/// Periods that a policy may have (AWS: 10, 30 and 60), in seconds.
const PERIODS: [u32; 5] = [1, 5, 10, 30, 60];
/// The period of a metric that states none.
const MINUTE: u32 = 60;

/// The rule and the metric.
pub(super) fn read(stated: &wire::TargetTrackingConfiguration) -> Result<(Rule, Tracker), Error> {
    let metric = match (&stated.predefined_metric_specification, &stated.customized_metric_specification) {
        (Some(predefined), None) => {
            let named = &predefined.predefined_metric_type;
            let metric = PredefinedMetricType::named(named).ok_or_else(|| {
                let known = PredefinedMetricType::ALL.map(PredefinedMetricType::as_str).join(", ");
                let named = words::quoted(named);
                Error::validation(format!("Invalid PredefinedMetricType {named}: it is one of {known}"))
            })?;
            TrackedMetric::Predefined { metric, label: super::shown::given(predefined.resource_label.clone()) }
        }
        (None, Some(customized)) => own(customized)?,
        _ => {
            let text = "TargetTrackingConfiguration must have exactly one of PredefinedMetricSpecification and \
                        CustomizedMetricSpecification";
            return Err(Error::validation(text));
        }
    };
    let disable_scale_in = stated.disable_scale_in == Some(true);
    let rule = Rule::Tracking { target: stated.target_value, disable_scale_in };
    Ok((rule, Tracker { metric, alarms: [dice::uuid()?, dice::uuid()?] }))
}

/// Refuses what none of the group's members could be measured by.
pub(super) fn check(asked: &Asked<'_>, group: &AutoScalingGroup, tracker: Option<&Tracker>) -> Result<(), Error> {
    match tracker.map(|tracker| &tracker.metric) {
        Some(TrackedMetric::Predefined { metric, .. }) if metric.counts_bytes() => bytes(asked, group, metric.as_str()),
        _ => Ok(()),
    }
}

/// Refuses a metric of bytes where nobody could be measured by it.
pub(super) fn bytes(asked: &Asked<'_>, group: &AutoScalingGroup, metric: &str) -> Result<(), Error> {
    if group.zones.iter().any(|zone| asked.api.linked.contains(zone)) {
        return Ok(());
    }
    let text = "is not measured in the AutoScalingGroup's Availability Zones: instances there have no network links of their own";
    Err(Error::validation(format!("{metric} {text}")))
}

fn own(stated: &wire::CustomizedMetricSpecification) -> Result<TrackedMetric, Error> {
    if !stated.metrics.is_empty() {
        let one = stated.metric_name.is_some() || stated.namespace.is_some() || stated.statistic.is_some();
        if one || stated.unit.is_some() || stated.period.is_some() || !stated.dimensions.is_empty() {
            return Err(Error::validation("Metrics cannot be specified together with a single metric"));
        }
        return Ok(TrackedMetric::Math(stated.metrics.iter().map(query).collect::<Result<_, _>>()?));
    }
    let required = |text: &Option<String>, what: &str| {
        let missing = || Error::validation(format!("{what} must be specified in CustomizedMetricSpecification"));
        text.clone().ok_or_else(missing)
    };
    let statistic = required(&stated.statistic, "Statistic")?;
    if !STATISTICS.contains(&statistic.as_str()) {
        let (quoted, known) = (words::quoted(&statistic), STATISTICS.join(", "));
        return Err(Error::validation(format!("Invalid Statistic {quoted}: it is one of {known}")));
    }
    let metric = MetricName {
        namespace: required(&stated.namespace, "Namespace")?,
        name: required(&stated.metric_name, "MetricName")?,
        dimensions: pairs(&stated.dimensions),
    };
    Ok(TrackedMetric::Series { metric, statistic, unit: unit(&stated.unit)?, period: period(stated.period)? })
}

fn query(stated: &wire::TargetTrackingMetricDataQuery) -> Result<Query, Error> {
    let stat = |stat: &wire::TargetTrackingMetricStat| {
        Ok::<_, Error>(MetricStat {
            metric: MetricName {
                namespace: stat.metric.namespace.clone(),
                name: stat.metric.metric_name.clone(),
                dimensions: pairs(&stat.metric.dimensions),
            },
            period: period(stat.period)?.unwrap_or(MINUTE),
            statistic: stat.stat.clone(),
            unit: unit(&stat.unit)?,
        })
    };
    Ok(Query {
        id: stated.id.clone(),
        stat: stated.metric_stat.as_ref().map(stat).transpose()?,
        expression: super::shown::given(stated.expression.clone()),
        label: stated.label.clone(),
        watched: stated.return_data,
        period: period(stated.period)?,
    })
}

pub(super) fn pairs(stated: &Members<wire::MetricDimension>) -> Vec<(String, String)> {
    stated.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
}

pub(super) fn unit(stated: &Option<String>) -> Result<Option<String>, Error> {
    let Some(text) = super::shown::given(stated.clone()) else { return Ok(None) };
    match text.parse::<Unit>() {
        Ok(_) => Ok(Some(text)),
        Err(()) => Err(Error::validation(format!("Invalid Unit {}", words::quoted(&text)))),
    }
}

fn period(stated: Option<i64>) -> Result<Option<u32>, Error> {
    let Some(seconds) = stated else { return Ok(None) };
    let known = PERIODS.into_iter().find(|period| i64::from(*period) == seconds);
    let known = known.ok_or_else(|| {
        let all = PERIODS.map(|period| period.to_string()).join(", ");
        Error::validation(format!("Invalid Period {seconds}: it is one of {all}"))
    });
    known.map(Some)
}

pub(super) fn dimensions(metric: &MetricName) -> Members<wire::MetricDimension> {
    metric.dimensions.iter().cloned().map(|(name, value)| wire::MetricDimension { name, value }).collect()
}

/// As it was stated.
pub(super) fn shown(target: f64, disable_scale_in: bool, tracker: &Tracker) -> wire::TargetTrackingConfiguration {
    let mut shown = wire::TargetTrackingConfiguration {
        target_value: target,
        disable_scale_in: Some(disable_scale_in),
        ..wire::TargetTrackingConfiguration::default()
    };
    match &tracker.metric {
        TrackedMetric::Predefined { metric, label } => {
            shown.predefined_metric_specification = Some(wire::PredefinedMetricSpecification {
                predefined_metric_type: metric.as_str().to_owned(),
                resource_label: label.clone(),
            });
        }
        TrackedMetric::Series { metric, statistic, unit, period } => {
            shown.customized_metric_specification = Some(wire::CustomizedMetricSpecification {
                metric_name: Some(metric.name.clone()),
                namespace: Some(metric.namespace.clone()),
                dimensions: dimensions(metric),
                statistic: Some(statistic.clone()),
                unit: unit.clone(),
                period: period.map(Into::into),
                metrics: Members::default(),
            });
        }
        TrackedMetric::Math(queries) => {
            let one = |query: &Query| wire::TargetTrackingMetricDataQuery {
                id: query.id.clone(),
                expression: query.expression.clone(),
                metric_stat: query.stat.as_ref().map(|stat| wire::TargetTrackingMetricStat {
                    metric: wire::TargetTrackingMetric {
                        namespace: stat.metric.namespace.clone(),
                        metric_name: stat.metric.name.clone(),
                        dimensions: dimensions(&stat.metric),
                    },
                    stat: stat.statistic.clone(),
                    unit: stat.unit.clone(),
                    period: (stat.period != MINUTE).then(|| stat.period.into()),
                }),
                label: query.label.clone(),
                period: query.period.map(Into::into),
                return_data: query.watched,
            };
            shown.customized_metric_specification = Some(wire::CustomizedMetricSpecification {
                metrics: queries.iter().map(one).collect(),
                ..wire::CustomizedMetricSpecification::default()
            });
        }
    }
    shown
}
