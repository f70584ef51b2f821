//! CloudWatch's alarms over the wire: put, shown in pages, set by hand, their history, tags, rights and errors.

use evenkeel_aws::cloudwatch::{self, MetricDataQuery};
use evenkeel_core::change::AlarmChange;
use evenkeel_core::name::AlarmName;
use evenkeel_core::noun::AlarmState;
use serde_json::Value;

use super::*;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:ops";
const STOP: &str = "arn:aws:automate:us-east-1:ec2:stop";
const INSTANCE: &str = "i-00000001";

fn put(name: &str) -> cloudwatch::PutMetricAlarm {
    cloudwatch::PutMetricAlarm {
        alarm_name: Some(name.into()),
        metric_name: Some("Load".into()),
        namespace: Some("App".into()),
        statistic: Some("Average".into()),
        period: Some(60),
        evaluation_periods: Some(3),
        threshold: Some(80.0),
        comparison_operator: Some("GreaterThanThreshold".into()),
        ..cloudwatch::PutMetricAlarm::default()
    }
}

fn on(name: &str, value: &str) -> cloudwatch::Dimension {
    cloudwatch::Dimension { name: Some(name.into()), value: Some(value.into()) }
}

fn set(name: &str, state: &str) -> cloudwatch::SetAlarmState {
    cloudwatch::SetAlarmState {
        alarm_name: Some(name.into()),
        state_value: Some(state.into()),
        state_reason: Some("by hand".into()),
        state_reason_data: None,
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{name}")
}

impl Rig {
    async fn alarm(&self, name: &str) -> cloudwatch::MetricAlarm {
        let names = vec![name.to_owned()].into();
        let told = self.ok(cloudwatch::DescribeAlarms { alarm_names: names, ..Default::default() }).await;
        assert_eq!(told.metric_alarms.len(), 1, "{told:?}");
        told.metric_alarms.into_iter().next().unwrap()
    }

    async fn shown(&self, input: cloudwatch::DescribeAlarms) -> Vec<String> {
        let told = self.ok(input).await;
        told.metric_alarms.into_iter().map(|alarm| alarm.alarm_name).collect()
    }

    async fn told(&self, name: &str) -> Vec<cloudwatch::AlarmHistoryItem> {
        let input = cloudwatch::DescribeAlarmHistory { alarm_name: Some(name.into()), ..Default::default() };
        self.ok(input).await.alarm_history_items.0
    }
}

#[tokio::test]
async fn an_alarm_is_shown_as_it_was_put() {
    let rig = Rig::start().await;
    let full = cloudwatch::PutMetricAlarm {
        alarm_description: Some("too much".into()),
        ok_actions: vec![TOPIC.to_owned()].into(),
        alarm_actions: vec![TOPIC.to_owned(), STOP.to_owned()].into(),
        statistic: None,
        extended_statistic: Some("p99.9".into()),
        dimensions: vec![on("InstanceId", INSTANCE), on("Zone", "a")].into(),
        unit: Some("Percent".into()),
        datapoints_to_alarm: Some(2),
        treat_missing_data: Some("notBreaching".into()),
        evaluate_low_sample_count_percentile: Some("ignore".into()),
        actions_enabled: Some(false),
        ..put("full")
    };
    rig.ok(full).await;
    let alarm = rig.alarm("full").await;
    let told = (alarm.state_value.as_str(), alarm.state_reason.as_str(), alarm.state_reason_data.as_deref());
    assert_eq!(told, ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", None));
    assert_eq!(alarm.alarm_arn, arn("full"));
    assert_eq!(alarm.alarm_actions.0, [TOPIC, STOP]);
    assert_eq!((alarm.statistic, alarm.extended_statistic.as_deref()), (None, Some("p99.9")));
    assert_eq!(alarm.dimensions.0, [on("InstanceId", INSTANCE), on("Zone", "a")]);
    assert_eq!((alarm.period, alarm.evaluation_periods, alarm.datapoints_to_alarm), (Some(60), 3, Some(2)));
    assert_eq!((alarm.treat_missing_data.as_deref(), alarm.unit.as_deref()), (Some("notBreaching"), Some("Percent")));
    assert!(!alarm.actions_enabled);
    // What was not stated is not shown.
    rig.ok(put("plain")).await;
    let plain = rig.alarm("plain").await;
    assert_eq!((plain.datapoints_to_alarm, plain.treat_missing_data, plain.metrics), (None, None, None));
    assert!(plain.actions_enabled);

    let stat = |name: &str| cloudwatch::MetricStat {
        metric: Some(cloudwatch::Metric {
            namespace: Some("App".into()),
            metric_name: Some(name.into()),
            dimensions: vec![].into(),
        }),
        period: Some(60),
        stat: Some("Sum".into()),
        unit: None,
    };
    let query = |id: &str, stat, expression: Option<&str>| MetricDataQuery {
        id: Some(id.into()),
        metric_stat: stat,
        expression: expression.map(str::to_owned),
        return_data: Some(expression.is_some()),
        ..MetricDataQuery::default()
    };
    let queries = vec![
        query("errors", Some(stat("Errors")), None),
        query("all", Some(stat("Requests")), None),
        query("share", None, Some("errors / all * 100")),
    ];
    let math = cloudwatch::PutMetricAlarm {
        metric_name: None,
        namespace: None,
        statistic: None,
        period: None,
        metrics: queries.clone().into(),
        ..put("math")
    };
    rig.ok(math.clone()).await;
    let shown = rig.alarm("math").await;
    assert_eq!(shown.metrics.unwrap().0, queries);
    assert_eq!((shown.metric_name, shown.period), (None, None));
    let both = cloudwatch::PutMetricAlarm { period: Some(60), ..math.clone() };
    rig.no(both, 400, "ValidationError", "Metrics cannot be specified together").await;
    let deed = cloudwatch::PutMetricAlarm { ok_actions: vec![STOP.to_owned()].into(), ..math };
    rig.no(deed, 400, "ValidationError", "cannot perform EC2 actions").await;
}

#[tokio::test]
async fn alarms_are_found_by_name_prefix_state_action_and_metric_in_pages() {
    let rig = Rig::start().await;
    for n in 0..120 {
        rig.ok(put(&format!("a{n:03}"))).await;
    }
    rig.ok(cloudwatch::PutMetricAlarm { alarm_actions: vec![TOPIC.to_owned()].into(), ..put("b") }).await;
    rig.ok(cloudwatch::PutMetricAlarm { dimensions: vec![on("Zone", "a"), on("Kind", "k")].into(), ..put("c") }).await;
    rig.ok(set("c", "ALARM")).await;
    let all = cloudwatch::DescribeAlarms::default;
    let first = rig.ok(all()).await;
    let second = rig.ok(cloudwatch::DescribeAlarms { next_token: first.next_token.clone(), ..all() }).await;
    assert_eq!((first.metric_alarms.len(), second.metric_alarms.len(), second.next_token), (100, 22, None));
    let few = cloudwatch::DescribeAlarms { max_records: Some(1), alarm_name_prefix: Some("a01".into()), ..all() };
    assert_eq!(rig.shown(few).await, ["a010"]);
    let by = |state: Option<&str>, action: Option<&str>, kinds: &[&str]| cloudwatch::DescribeAlarms {
        state_value: state.map(str::to_owned),
        action_prefix: action.map(str::to_owned),
        alarm_types: kinds.iter().map(ToString::to_string).collect(),
        ..cloudwatch::DescribeAlarms::default()
    };
    assert_eq!(rig.shown(by(Some("ALARM"), None, &[])).await, ["c"]);
    assert_eq!(rig.shown(by(None, Some("arn:aws:sns"), &["MetricAlarm"])).await, ["b"]);
    assert!(rig.shown(by(None, None, &["CompositeAlarm"])).await.is_empty());
    rig.no(by(Some("FINE"), None, &[]), 400, "ValidationError", "[OK, ALARM, INSUFFICIENT_DATA]").await;
    let two = cloudwatch::DescribeAlarms {
        alarm_names: vec!["b".to_owned()].into(),
        alarm_name_prefix: Some("a".into()),
        ..all()
    };
    rig.no(two, 400, "InvalidParameterCombination", "AlarmNames").await;
    let token = cloudwatch::DescribeAlarms { next_token: Some("nonsense".into()), ..all() };
    rig.no(token, 400, "InvalidNextToken", "").await;
    rig.no(cloudwatch::DescribeAlarms { max_records: Some(101), ..all() }, 400, "ValidationError", "maxRecords").await;

    let of =
        |dimensions: Vec<cloudwatch::Dimension>, statistic: Option<&str>, period| cloudwatch::DescribeAlarmsForMetric {
            metric_name: Some("Load".into()),
            namespace: Some("App".into()),
            dimensions: dimensions.into(),
            statistic: statistic.map(str::to_owned),
            period,
            ..cloudwatch::DescribeAlarmsForMetric::default()
        };
    let check = async |input: cloudwatch::DescribeAlarmsForMetric, wanted: usize| {
        assert_eq!(rig.ok(input).await.metric_alarms.len(), wanted);
    };
    check(of(vec![], None, None), 121).await;
    check(of(vec![on("Kind", "k"), on("Zone", "a")], None, None), 1).await;
    check(of(vec![on("Kind", "k")], None, None), 0).await;
    check(of(vec![], Some("Average"), Some(60)), 121).await;
    check(of(vec![], Some("Sum"), None), 0).await;
    check(of(vec![], None, Some(300)), 0).await;
}

#[tokio::test]
async fn states_by_hand_history_and_the_end() {
    let rig = Rig::start().await;
    rig.ok(cloudwatch::PutMetricAlarm { alarm_actions: vec![TOPIC.to_owned()].into(), ..put("cpu") }).await;
    rig.no(set("none", "OK"), 404, "ResourceNotFound", "none").await;
    rig.no(set("cpu", "FINE"), 400, "ValidationError", "stateValue").await;
    let broken = cloudwatch::SetAlarmState { state_reason_data: Some("{half".into()), ..set("cpu", "OK") };
    rig.no(broken, 400, "InvalidFormat", "JSON").await;
    let long = cloudwatch::SetAlarmState { state_reason: Some("r".repeat(1024)), ..set("cpu", "OK") };
    rig.no(long, 400, "ValidationError", "1023").await;
    let data = cloudwatch::SetAlarmState { state_reason_data: Some("{\"a\":1}".into()), ..set("cpu", "ALARM") };
    rig.ok(data).await;
    let alarm = rig.alarm("cpu").await;
    assert_eq!((alarm.state_value.as_str(), alarm.state_reason_data.as_deref()), ("ALARM", Some("{\"a\":1}")));
    rig.ok(cloudwatch::DisableAlarmActions { alarm_names: vec!["cpu".to_owned(), "none".to_owned()].into() }).await;
    assert!(!rig.alarm("cpu").await.actions_enabled);
    rig.ok(cloudwatch::EnableAlarmActions { alarm_names: vec!["cpu".to_owned()].into() }).await;
    let pending = rig.keeper.world().alarm(&AlarmName::new("cpu").unwrap()).unwrap().pending[0].number;
    let error = Some("no room".to_owned());
    let acted = AlarmChange::Acted { alarm: AlarmName::new("cpu").unwrap(), pending, error };
    rig.keeper.submit("alarms", Change::Alarm(acted)).await.unwrap();

    rig.no(
        cloudwatch::DeleteAlarms { alarm_names: vec!["cpu".to_owned(), "x".to_owned()].into() },
        404,
        "ResourceNotFound",
        "'x'",
    )
    .await;
    rig.ok(cloudwatch::DeleteAlarms { alarm_names: vec!["cpu".to_owned()].into() }).await;
    let told = rig.told("cpu").await;
    let summaries: Vec<&str> = told.iter().map(|item| item.history_summary.as_str()).collect();
    let failed = format!("Failed to execute action {TOPIC}");
    let moved = "Alarm updated from INSUFFICIENT_DATA to ALARM";
    let updated = "Alarm \"cpu\" updated";
    assert_eq!(
        summaries,
        ["Alarm \"cpu\" deleted", &failed, updated, updated, moved, "Alarm \"cpu\" created"],
        "the newest first"
    );
    assert!(told.iter().all(|item| item.alarm_type == "MetricAlarm" && item.alarm_name == "cpu"));
    let data = |n: usize| serde_json::from_str::<Value>(&told[n].history_data).unwrap();
    assert_eq!(data(1)["actionState"], "Failed");
    assert_eq!(data(1)["error"], "no room");
    assert_eq!(data(4)["newState"]["stateReasonData"]["a"], 1);
    assert_eq!(data(4)["oldState"]["stateReason"], "Unchecked: Initial alarm creation");
    assert_eq!((&data(5)["type"], &data(5)["createdAlarm"]["metricName"]), (&"Create".into(), &"Load".into()));

    let some = |kind: Option<&str>, order: Option<&str>, most, token| cloudwatch::DescribeAlarmHistory {
        history_item_type: kind.map(str::to_owned),
        scan_by: order.map(str::to_owned),
        max_records: most,
        next_token: token,
        ..cloudwatch::DescribeAlarmHistory::default()
    };
    let first = rig.ok(some(None, Some("TimestampAscending"), Some(4), None)).await;
    let second = rig.ok(some(None, Some("TimestampAscending"), Some(4), first.next_token.clone())).await;
    assert_eq!((first.alarm_history_items.len(), second.alarm_history_items.len()), (4, 2));
    assert_eq!(second.next_token, None);
    assert_eq!(second.alarm_history_items[1].history_summary, "Alarm \"cpu\" deleted");
    let actions = rig.ok(some(Some("Action"), None, None, None)).await.alarm_history_items;
    assert_eq!(actions.len(), 1);
    let later = cloudwatch::DescribeAlarmHistory { start_date: Some(Time(now().0 + 60_000)), ..Default::default() };
    assert!(rig.ok(later).await.alarm_history_items.is_empty());
    rig.no(some(Some("Nonsense"), None, None, None), 400, "ValidationError", "historyItemType").await;
}

#[tokio::test]
async fn the_longest_history_is_json_that_keeps_to_awss_length() {
    let rig = Rig::start().await;
    let arns = |kind: &str| {
        let arn = |n: usize| format!("arn:aws:autoscaling:r:1:scalingPolicy:{n}{kind}:{}", "\u{1}".repeat(900));
        (0..5).map(arn).collect::<Vec<_>>()
    };
    let dimension = |n: usize| on(&format!("{n}{}", "n".repeat(250)), &"\"".repeat(1000));
    let widest = cloudwatch::PutMetricAlarm {
        alarm_description: Some("\u{1}".repeat(1024)),
        ok_actions: arns("o").into(),
        alarm_actions: arns("a").into(),
        insufficient_data_actions: arns("i").into(),
        dimensions: (0..30).map(dimension).collect(),
        ..put(&"\u{2028}".repeat(255))
    };
    let name = widest.alarm_name.clone().unwrap();
    rig.ok(widest).await;
    let enter = |state, reason: &str| {
        let held = rig.keeper.world().alarm(&AlarmName::new(&name).unwrap()).unwrap().clone();
        Change::Alarm(AlarmChange::Enter {
            alarm: held.name.clone(),
            configured: held.configured,
            state,
            reason: reason.to_owned(),
            data: Some(format!("{{\"x\":\"{}\"}}", "x".repeat(3900))),
            values: vec![],
        })
    };
    let change = enter(AlarmState::Ok, &"\u{1}".repeat(1023));
    rig.keeper.submit("alarms", change).await.unwrap();
    let change = enter(AlarmState::Alarm, &"\u{1}".repeat(1023));
    rig.keeper.submit("alarms", change).await.unwrap();
    let told = rig.told(&name).await;
    assert_eq!(told.len(), 3);
    for item in told {
        let (text, summary) = (&item.history_data, &item.history_summary);
        assert!(text.chars().count() <= 4095 && summary.chars().count() <= 255, "{}", text.chars().count());
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

#[tokio::test]
async fn what_makes_no_alarm_is_refused() {
    let rig = Rig::start().await;
    let check = async |change: fn(&mut cloudwatch::PutMetricAlarm), text: &str| {
        let mut input = put("x");
        change(&mut input);
        rig.no(input, 400, "ValidationError", text).await;
    };
    check(|i| i.alarm_name = None, "'alarmName'").await;
    check(|i| i.alarm_name = Some("a\nb".into()), "alarmName").await;
    check(|i| i.metric_name = None, "'metricName'").await;
    check(|i| i.threshold = None, "'threshold'").await;
    check(|i| i.statistic = None, "Exactly one of Statistic").await;
    check(|i| i.extended_statistic = Some("p99".into()), "Exactly one of Statistic").await;
    check(|i| (i.statistic, i.extended_statistic) = (None, Some("p101".into())), "p101").await;
    check(|i| i.statistic = Some("Median".into()), "'statistic'").await;
    check(|i| i.comparison_operator = Some("LessThanLowerThreshold".into()), "'comparisonOperator'").await;
    check(|i| i.period = Some(61), "Period").await;
    check(|i| i.period = Some(-60), "'period'").await;
    check(|i| i.evaluation_periods = Some(1441), "<= 86400").await;
    check(|i| i.datapoints_to_alarm = Some(4), "DatapointsToAlarm").await;
    check(|i| i.treat_missing_data = Some("Breaching".into()), "'treatMissingData'").await;
    check(|i| i.evaluate_low_sample_count_percentile = Some("ignore".into()), "percentiles").await;
    check(|i| i.unit = Some("Furlong".into()), "'unit'").await;
    check(|i| i.alarm_actions = vec!["arn:aws:lambda:r:1:function:f".to_owned()].into(), "actions can be").await;
    check(|i| i.alarm_actions = vec![STOP.to_owned()].into(), "InstanceId").await;
    check(|i| i.threshold_metric_id = Some("ad1".into()), "Anomaly detection").await;
    // boto 2 writes back what it has read.
    rig.ok(cloudwatch::PutMetricAlarm { comparison_operator: Some("<=".into()), ..put("x") }).await;
    assert_eq!(rig.alarm("x").await.comparison_operator, "LessThanOrEqualToThreshold");
}

#[tokio::test]
async fn alarms_have_tags() {
    let rig = Rig::start().await;
    let tag = |key: &str, value: &str| cloudwatch::Tag { key: key.into(), value: value.into() };
    rig.ok(cloudwatch::PutMetricAlarm { tags: vec![tag("team", "web")].into(), ..put("cpu") }).await;
    // AWS: of an alarm that is there already they stay as they are.
    let again = cloudwatch::PutMetricAlarm { tags: vec![tag("team", "db")].into(), threshold: Some(1.0), ..put("cpu") };
    rig.ok(again).await;
    let resource_arn = Some(arn("cpu"));
    let tags = vec![tag("cost", "1"), tag("tier", "2")].into();
    rig.ok(cloudwatch::TagResource { resource_arn: resource_arn.clone(), tags }).await;
    let keys = vec!["tier".to_owned()].into();
    rig.ok(cloudwatch::UntagResource { resource_arn: resource_arn.clone(), tag_keys: keys }).await;
    let told = rig.ok(cloudwatch::ListTagsForResource { resource_arn }).await.tags;
    assert_eq!(told.0, [tag("cost", "1"), tag("team", "web")]);
    let none = || cloudwatch::ListTagsForResource { resource_arn: Some(arn("none")) };
    rig.no(none(), 404, "ResourceNotFoundException", "not found").await;
    let reserved = vec![tag("aws:x", "1")].into();
    let reserved = cloudwatch::TagResource { resource_arn: Some(arn("cpu")), tags: reserved };
    rig.no(reserved, 400, "InvalidParameterValue", "aws:").await;
}
