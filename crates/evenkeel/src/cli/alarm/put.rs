//! `evenkeel alarm put`: the arguments that make an alarm.
//!
//! Owns how they are written: a metric as `NAMESPACE/NAME`, a threshold by what is beyond it. What is good in them is the daemon's to
//! say.

use anyhow::{anyhow, bail};
use clap::{ArgGroup, Args, ValueEnum};
use evenkeel_aws::cloudwatch::{self, MetricDataQuery};

use super::super::settings::Reach;

/// What stands for a datapoint that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "CloudWatch's words")]
pub enum Missing {
    /// Nothing; with none at all nobody knows
    Missing,
    /// Nothing; with none at all the state stays
    Ignore,
    /// One beyond the threshold
    Breaching,
    /// One within it
    NotBreaching,
}

/// Arguments of `evenkeel alarm put`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    group = ArgGroup::new("threshold").required(true).args(["above", "at_least", "below", "at_most"]),
    group = ArgGroup::new("watched").required(true).args(["metric", "math"]),
    after_help = "Examples:\n  evenkeel alarm put busy --metric AWS/EC2/CPUUtilization --on InstanceId=i-0123456789abcdef0 --above 80\n  evenkeel alarm put busy --metric App/Load --above 0.8 --period 10 --for 3 --of 5 --alarm-action arn:aws:sns:us-east-1:000000000000:ops\n  evenkeel alarm put slow --metric App/Latency --stat p99 --at-least 0.5 --few-samples-keep-state\n  evenkeel alarm put stuck --metric App/Beats --stat Sum --below 1 --missing breaching --on InstanceId=i-… --alarm-action arn:aws:automate:us-east-1:ec2:reboot\n  evenkeel alarm put errors --math '100 * errors / all' --with errors=App/Errors:Sum --with all=App/Requests:Sum --above 5"
)]
pub struct Put {
    /// The alarm
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it watches: the metric's namespace and name
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub metric: Option<String>,
    /// A dimension of the metric
    #[arg(long, value_name = "NAME=VALUE")]
    pub on: Vec<String>,
    /// What it watches: an expression over metrics, each named by --with
    #[arg(long, value_name = "EXPRESSION", conflicts_with_all = ["on", "unit"])]
    pub math: Option<String>,
    /// A metric of the expression, by the id that it has there
    #[arg(long, value_name = "ID=NAMESPACE/NAME[:STATISTIC]", requires = "math")]
    pub with: Vec<String>,
    /// Average, Sum, Minimum, Maximum, SampleCount, or an extended one such as p99
    #[arg(long, value_name = "STATISTIC", default_value = "Average")]
    pub stat: String,
    /// Only values of this unit
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Seconds that a datapoint covers: 1, 5, 10, 20, 30 or a multiple of 60
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub period: i32,
    /// Datapoints that must be beyond the threshold
    #[arg(long = "for", value_name = "M", default_value_t = 1)]
    pub datapoints: i32,
    /// Out of how many; as many as --for if it is not given
    #[arg(long, value_name = "N")]
    pub of: Option<i32>,
    /// Beyond the threshold is what is greater
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub above: Option<f64>,
    /// Beyond the threshold is what is as great or greater
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub at_least: Option<f64>,
    /// Beyond the threshold is what is less
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub below: Option<f64>,
    /// Beyond the threshold is what is as little or less
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub at_most: Option<f64>,
    /// What stands for a datapoint that is not there
    #[arg(long, value_enum)]
    pub missing: Option<Missing>,
    /// Keep the state while a percentile has few samples
    #[arg(long)]
    pub few_samples_keep_state: bool,
    /// What it does on the way into ALARM: the ARN of a topic or a scaling policy, or arn:aws:automate:REGION:ec2:stop, terminate, reboot
    /// or recover
    #[arg(long, value_name = "ARN")]
    pub alarm_action: Vec<String>,
    /// What it does on the way into OK
    #[arg(long, value_name = "ARN")]
    pub ok_action: Vec<String>,
    /// What it does on the way into INSUFFICIENT_DATA
    #[arg(long, value_name = "ARN")]
    pub insufficient_data_action: Vec<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Make it with its actions off
    #[arg(long)]
    pub disabled: bool,
    /// A tag, where the alarm is new
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Statistics that need no parameter.
const SIMPLE: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

impl Put {
    /// The call that they make.
    ///
    /// # Errors
    /// One of them that is not written as it should be.
    pub fn input(&self) -> anyhow::Result<cloudwatch::PutMetricAlarm> {
        let (comparison, threshold) = match (self.above, self.at_least, self.below, self.at_most) {
            (Some(value), ..) => ("GreaterThanThreshold", value),
            (_, Some(value), ..) => ("GreaterThanOrEqualToThreshold", value),
            (_, _, Some(value), _) => ("LessThanThreshold", value),
            (.., Some(value)) => ("LessThanOrEqualToThreshold", value),
            _ => bail!("failed to read the threshold: give one of --above, --at-least, --below and --at-most"),
        };
        let periods = self.of.unwrap_or(self.datapoints);
        let mut input = cloudwatch::PutMetricAlarm {
            alarm_name: Some(self.name.clone()),
            alarm_description: self.description.clone(),
            actions_enabled: Some(!self.disabled),
            ok_actions: self.ok_action.clone().into(),
            alarm_actions: self.alarm_action.clone().into(),
            insufficient_data_actions: self.insufficient_data_action.clone().into(),
            evaluation_periods: Some(periods),
            datapoints_to_alarm: Some(self.datapoints),
            threshold: Some(threshold),
            comparison_operator: Some(comparison.to_owned()),
            treat_missing_data: self.missing.map(|missing| missing.word().to_owned()),
            evaluate_low_sample_count_percentile: self.few_samples_keep_state.then(|| "ignore".to_owned()),
            tags: self
                .tag
                .iter()
                .map(|text| pair(text, "--tag"))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .map(tag)
                .collect(),
            ..cloudwatch::PutMetricAlarm::default()
        };
        match (&self.metric, &self.math) {
            (Some(metric), None) => {
                let (namespace, name) = named(metric)?;
                let is_simple = SIMPLE.contains(&self.stat.as_str());
                input.namespace = Some(namespace);
                input.metric_name = Some(name);
                input.statistic = is_simple.then(|| self.stat.clone());
                input.extended_statistic = (!is_simple).then(|| self.stat.clone());
                input.period = Some(self.period);
                input.unit.clone_from(&self.unit);
                for text in &self.on {
                    let (name, value) = pair(text, "--on")?;
                    input.dimensions.push(cloudwatch::Dimension { name: Some(name), value: Some(value) });
                }
            }
            (None, Some(expression)) => {
                let mut queries = self.with.iter().map(|text| self.query(text)).collect::<anyhow::Result<Vec<_>>>()?;
                // A name that is free: ids are the caller's.
                let mut id = "watched".to_owned();
                while queries.iter().any(|query| query.id.as_ref() == Some(&id)) {
                    id.push('_');
                }
                queries.push(MetricDataQuery {
                    id: Some(id),
                    expression: Some(expression.clone()),
                    return_data: Some(true),
                    ..MetricDataQuery::default()
                });
                input.metrics = queries.into();
            }
            _ => bail!("failed to read what is watched: give one of --metric and --math"),
        }
        Ok(input)
    }

    /// `ID=NAMESPACE/NAME[:STATISTIC]`.
    fn query(&self, text: &str) -> anyhow::Result<MetricDataQuery> {
        let (id, rest) = pair(text, "--with")?;
        let (metric, statistic) = rest.rsplit_once(':').unwrap_or((&rest, &self.stat));
        let (namespace, name) = named(metric)?;
        let metric =
            cloudwatch::Metric { namespace: Some(namespace), metric_name: Some(name), dimensions: Vec::new().into() };
        let stat = cloudwatch::MetricStat {
            metric: Some(metric),
            period: Some(self.period),
            stat: Some(statistic.to_owned()),
            unit: None,
        };
        Ok(MetricDataQuery {
            id: Some(id),
            metric_stat: Some(stat),
            return_data: Some(false),
            ..MetricDataQuery::default()
        })
    }
}

impl Missing {
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// `NAMESPACE/NAME`; a namespace may have slashes of its own.
fn named(text: &str) -> anyhow::Result<(String, String)> {
    let (namespace, name) = text
        .rsplit_once('/')
        .ok_or_else(|| anyhow!("failed to read the metric `{text}`: it is written NAMESPACE/NAME"))?;
    Ok((namespace.to_owned(), name.to_owned()))
}

fn pair(text: &str, flag: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').ok_or_else(|| anyhow!("failed to read {flag} `{text}`: it has no `=`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn tag((key, value): (String, String)) -> cloudwatch::Tag {
    cloudwatch::Tag { key, value }
}
