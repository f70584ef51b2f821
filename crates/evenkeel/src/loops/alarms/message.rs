//! What an alarm's subscribers read: CloudWatch's JSON, and its letter.
//!
//! Owns both, field by field and line by line as CloudWatch has them, but for the link to AWS's console. A message's id follows from
//! what it tells, so that the same message has the same one whoever writes it. Source: messages that CloudWatch sent.

use std::collections::BTreeMap;

use evenkeel_core::alarm::reason::double;
use evenkeel_core::name::TopicArn;
use evenkeel_core::noun::alarm::{MetricStat, Pending, Query, Watched};
use evenkeel_core::noun::{Alarm, DeliveryProtocol};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use serde::Serialize;

use crate::notices::{Kind, Notice, id_of};

/// Characters of a subject (AWS).
const MOST_SUBJECT: usize = 100;

/// CloudWatch's message, its fields in CloudWatch's order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    alarm_name: &'a str,
    alarm_description: Option<&'a str>,
    #[serde(rename = "AWSAccountId")]
    aws_account_id: &'a str,
    alarm_configuration_updated_timestamp: String,
    new_state_value: &'static str,
    new_state_reason: &'a str,
    state_change_time: String,
    region: &'a str,
    alarm_arn: String,
    old_state_value: &'static str,
    #[serde(rename = "OKActions")]
    ok_actions: &'a [String],
    alarm_actions: &'a [String],
    insufficient_data_actions: &'a [String],
    trigger: Trigger<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Trigger<'a> {
    #[serde(flatten)]
    metric: Option<Metric<'a>>,
    period: u32,
    evaluation_periods: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<u32>,
    comparison_operator: &'static str,
    threshold: f64,
    treat_missing_data: &'static str,
    evaluate_low_sample_count_percentile: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Watching<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric<'a> {
    metric_name: &'a str,
    namespace: &'a str,
    statistic_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<&'a str>,
    unit: Option<&'a str>,
    dimensions: Vec<Dimension<'a>>,
}

#[derive(Serialize)]
struct Dimension<'a> {
    value: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Watching<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_stat: Option<Stat<'a>>,
    return_data: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat<'a> {
    metric: Named<'a>,
    period: u32,
    stat: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named<'a> {
    dimensions: Vec<Dimension<'a>>,
    metric_name: &'a str,
    namespace: &'a str,
}

/// The id of the message of an action: the same for the same transition of the same alarm.
#[must_use]
pub fn id(alarm: &Alarm, pending: &Pending) -> String {
    let Pending { number, at, action, .. } = pending;
    id_of(&format!("{}\n{number}\n{}\n{action}", alarm.name, at.0))
}

/// What the subscribers of a topic are told about a transition.
#[must_use]
pub fn notice(world: &World, alarm: &Alarm, pending: &Pending, topic: &TopicArn, base: &str) -> Notice {
    let told = world.subscriptions_of(topic).filter(|held| held.confirmed.is_some());
    Notice {
        id: id(alarm, pending),
        at: pending.at.0,
        kind: Kind::Notification,
        topic: topic.to_string(),
        subject: Some(subject(world, alarm, pending)),
        text: json(world, alarm, pending),
        texts: BTreeMap::from([(DeliveryProtocol::Email.as_str().to_owned(), letter(world, alarm, pending))]),
        attributes: BTreeMap::new(),
        base: base.to_owned(),
        to: told.map(|held| held.arn.to_string()).collect(),
        once: true,
    }
}

/// `ALARM: "NAME" in US East (N. Virginia)`; a name that is too long for it is cut.
fn subject(world: &World, alarm: &Alarm, pending: &Pending) -> String {
    let around = |name: &str| format!("{}: \"{name}\" in {}", pending.to.as_str(), region(&world.settings().region));
    let (name, whole) = (alarm.name.as_str(), around(alarm.name.as_str()));
    if whole.chars().count() <= MOST_SUBJECT {
        return whole;
    }
    let room = MOST_SUBJECT.saturating_sub(around("...").chars().count());
    let cut: String = name.chars().take(room).collect();
    around(&format!("{cut}...")).chars().take(MOST_SUBJECT).collect()
}

fn json(world: &World, alarm: &Alarm, pending: &Pending) -> String {
    let (settings, place) = (&alarm.settings, world.settings());
    let message = Message {
        alarm_name: alarm.name.as_str(),
        alarm_description: settings.description.as_deref(),
        aws_account_id: &place.account,
        alarm_configuration_updated_timestamp: alarm.configured.rfc822(),
        new_state_value: pending.to.as_str(),
        new_state_reason: &pending.reason,
        state_change_time: pending.at.rfc822(),
        region: region(&place.region),
        alarm_arn: alarm.arn(&place.region, &place.account),
        old_state_value: pending.from.as_str(),
        ok_actions: &settings.actions.ok,
        alarm_actions: &settings.actions.alarm,
        insufficient_data_actions: &settings.actions.insufficient_data,
        trigger: Trigger {
            metric: match &settings.watched {
                Watched::Metric(stat) => Some(metric(stat)),
                Watched::Math(_) => None,
            },
            period: settings.watched.period(),
            evaluation_periods: settings.evaluation_periods,
            datapoints_to_alarm: settings.datapoints_to_alarm,
            comparison_operator: settings.comparison.as_str(),
            threshold: settings.threshold,
            treat_missing_data: settings.missing.map_or("", |missing| missing.as_str()),
            evaluate_low_sample_count_percentile: settings.low_samples.map_or("", |low| low.as_str()),
            metrics: match &settings.watched {
                Watched::Metric(_) => Vec::new(),
                Watched::Math(queries) => queries.iter().map(watching).collect(),
            },
        },
    };
    // Texts and finite numbers always have a form in JSON.
    serde_json::to_string(&message).unwrap_or_default()
}

fn metric(stat: &MetricStat) -> Metric<'_> {
    let simple = match stat.statistic.as_str() {
        "SampleCount" => Some("SAMPLE_COUNT"),
        "Average" => Some("AVERAGE"),
        "Sum" => Some("SUM"),
        "Minimum" => Some("MINIMUM"),
        "Maximum" => Some("MAXIMUM"),
        _ => None,
    };
    Metric {
        metric_name: &stat.metric.name,
        namespace: &stat.metric.namespace,
        statistic_type: if simple.is_some() { "Statistic" } else { "ExtendedStatistic" },
        statistic: simple,
        extended_statistic: simple.is_none().then_some(stat.statistic.as_str()),
        unit: stat.unit.as_deref(),
        dimensions: dimensions(stat),
    }
}

fn dimensions(stat: &MetricStat) -> Vec<Dimension<'_>> {
    stat.metric.dimensions.iter().map(|(name, value)| Dimension { value, name }).collect()
}

fn watching(query: &Query) -> Watching<'_> {
    Watching {
        expression: query.expression.as_deref(),
        id: &query.id,
        label: query.label.as_deref(),
        metric_stat: query.stat.as_ref().map(named),
        return_data: query.watched.unwrap_or(true),
    }
}

fn named(stat: &MetricStat) -> Stat<'_> {
    Stat {
        metric: Named {
            dimensions: dimensions(stat),
            metric_name: &stat.metric.name,
            namespace: &stat.metric.namespace,
        },
        period: stat.period,
        stat: &stat.statistic,
        unit: stat.unit.as_deref(),
    }
}

/// What is read by those who are told by e-mail.
fn letter(world: &World, alarm: &Alarm, pending: &Pending) -> String {
    let (settings, place) = (&alarm.settings, world.settings());
    let (name, to, reason, at) = (&alarm.name, pending.to.as_str(), &pending.reason, long_time(pending.at));
    let region = region(&place.region);
    let mut text = format!(
        "You are receiving this email because your Amazon CloudWatch Alarm \"{name}\" in the {region} region has entered the {to} state, because \"{reason}\" at \"{at}\".\n"
    );
    text += &part(
        "Alarm Details",
        &[
            ("Name", name.to_string()),
            ("Description", settings.description.clone().unwrap_or_default()),
            ("State Change", format!("{} -> {to}", pending.from.as_str())),
            ("Reason for State Change", reason.clone()),
            ("Timestamp", at),
            ("AWS Account", place.account.clone()),
            ("Alarm Arn", alarm.arn(&place.region, &place.account)),
        ],
        28,
    );
    let (period, periods) = (settings.watched.period(), settings.evaluation_periods);
    let long = match settings.datapoints_to_alarm {
        Some(m) => format!("at least {m} of the last {periods} period(s) of {period} seconds"),
        None => format!("{} seconds", u64::from(period) * u64::from(periods)),
    };
    let (comparison, threshold) = (settings.comparison.as_str(), double(settings.threshold));
    text += &format!(
        "\nThreshold:\n- The alarm is in the ALARM state when the metric is {comparison} {threshold} for {long}.\n"
    );
    let missing = settings.missing.unwrap_or_default().as_str().to_owned();
    match &settings.watched {
        Watched::Metric(stat) => {
            let pairs: Vec<String> =
                stat.metric.dimensions.iter().map(|(name, value)| format!("[{name} = {value}]")).collect();
            text += &part(
                "Monitored Metric",
                &[
                    ("MetricNamespace", stat.metric.namespace.clone()),
                    ("MetricName", stat.metric.name.clone()),
                    ("Dimensions", pairs.join(" ")),
                    ("Period", format!("{period} seconds")),
                    ("Statistic", stat.statistic.clone()),
                    ("Unit", stat.unit.clone().unwrap_or_else(|| "not specified".into())),
                    ("TreatMissingData", missing),
                ],
                37,
            );
        }
        Watched::Math(queries) => {
            let lines: Vec<(&str, String)> = queries.iter().map(|query| (query.id.as_str(), said(query))).collect();
            text += &part("Monitored Metrics", &lines, 37);
            text += &part("Missing Data", &[("TreatMissingData", missing)], 37);
        }
    }
    let list = |arns: &[String]| arns.iter().map(|arn| format!("[{arn}]")).collect::<Vec<_>>().join(" ");
    text += &part(
        "State Change Actions",
        &[
            ("OK", list(&settings.actions.ok)),
            ("ALARM", list(&settings.actions.alarm)),
            ("INSUFFICIENT_DATA", list(&settings.actions.insufficient_data)),
        ],
        20,
    );
    text
}

fn part(title: &str, lines: &[(&str, String)], width: usize) -> String {
    let line = |(what, value): &(&str, String)| format!("- {:<width$}{value}\n", format!("{what}:"));
    let lines: String = lines.iter().map(line).collect();
    format!("\n{title}:\n{lines}")
}

fn said(query: &Query) -> String {
    match (&query.expression, &query.stat) {
        (Some(expression), _) => expression.clone(),
        (None, Some(stat)) => format!("{} {} {}", stat.metric.namespace, stat.metric.name, stat.statistic),
        (None, None) => String::new(),
    }
}

/// `Wednesday 15 September, 2021 18:32:31 UTC`.
fn long_time(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let at = at.civil();
    let pick = |names: &[&'static str], n: u64| usize::try_from(n).ok().and_then(|n| names.get(n)).copied();
    let (day, month) = (pick(&DAYS, at.weekday).unwrap_or_default(), pick(&MONTHS, at.month - 1).unwrap_or_default());
    format!("{day} {:02} {month}, {} {:02}:{:02}:{:02} UTC", at.day, at.year, at.hour, at.minute, at.second)
}

/// A region's name for people; its own where AWS has none.
fn region(name: &str) -> &str {
    const NAMES: [(&str, &str); 22] = [
        ("us-east-1", "US East (N. Virginia)"),
        ("us-east-2", "US East (Ohio)"),
        ("us-west-1", "US West (N. California)"),
        ("us-west-2", "US West (Oregon)"),
        ("af-south-1", "Africa (Cape Town)"),
        ("ap-east-1", "Asia Pacific (Hong Kong)"),
        ("ap-south-1", "Asia Pacific (Mumbai)"),
        ("ap-northeast-1", "Asia Pacific (Tokyo)"),
        ("ap-northeast-2", "Asia Pacific (Seoul)"),
        ("ap-northeast-3", "Asia Pacific (Osaka)"),
        ("ap-southeast-1", "Asia Pacific (Singapore)"),
        ("ap-southeast-2", "Asia Pacific (Sydney)"),
        ("ca-central-1", "Canada (Central)"),
        ("eu-central-1", "EU (Frankfurt)"),
        ("eu-west-1", "EU (Ireland)"),
        ("eu-west-2", "EU (London)"),
        ("eu-west-3", "EU (Paris)"),
        ("eu-north-1", "EU (Stockholm)"),
        ("eu-south-1", "EU (Milan)"),
        ("me-south-1", "Middle East (Bahrain)"),
        ("me-central-1", "Middle East (UAE)"),
        ("sa-east-1", "South America (Sao Paulo)"),
    ];
    NAMES.iter().find(|(code, _)| *code == name).map_or(name, |(_, text)| text)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
