//! Messages held against such as CloudWatch sent.

use evenkeel_core::name::AlarmName;
use evenkeel_core::noun::alarm::{Actions, Comparison, MetricName, MissingData};
use evenkeel_core::noun::{AlarmSettings, AlarmState};
use evenkeel_core::world::{Limits, Settings};

use super::*;

fn world() -> World {
    World::empty(Settings {
        region: "ap-northeast-2".into(),
        zones: vec![],
        capacity: BTreeMap::new(),
        account: "123456789012".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/24".parse().unwrap(),
        instance_pool: "127.81.0.0/24".parse().unwrap(),
        instance_pools: BTreeMap::new(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits::default(),
    })
}

fn alarm(name: &str) -> Alarm {
    let dimensions = vec![("exe".to_owned(), "httpd".to_owned()), ("InstanceId".to_owned(), "i-1".to_owned())];
    let metric = MetricName { namespace: "CWAgent".into(), name: "procstat_lookup_pid_count".into(), dimensions };
    let topic = "arn:aws:sns:ap-northeast-2:123456789012:jisoo-test".to_owned();
    Alarm {
        name: AlarmName::new(name).unwrap(),
        settings: AlarmSettings {
            description: Some("jisoo-test-cw".into()),
            actions: Actions { alarm: vec![topic], ..Actions::default() },
            watched: Watched::Metric(MetricStat { metric, period: 60, statistic: "Sum".into(), unit: None }),
            evaluation_periods: 1,
            datapoints_to_alarm: Some(1),
            threshold: 0.0,
            comparison: Comparison::LessThanOrEqualToThreshold,
            missing: Some(MissingData::Missing),
            low_samples: None,
        },
        configured: Timestamp(1_656_381_399_773),
        actions_enabled: true,
        state: AlarmState::Alarm,
        reason: String::new(),
        reason_data: None,
        updated: Timestamp(0),
        transitioned: Timestamp(0),
        tags: BTreeMap::new(),
        pending: vec![],
        last_pending: 1,
    }
}

fn pending() -> Pending {
    Pending {
        number: 1,
        action: "arn:aws:sns:ap-northeast-2:123456789012:jisoo-test".into(),
        from: AlarmState::Ok,
        to: AlarmState::Alarm,
        reason: "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (28/06/22 01:55:00)] was less than or equal to the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).".into(),
        at: Timestamp(1_656_381_455_603),
        values: vec![0.0],
    }
}

#[test]
fn the_message_is_cloudwatchs() {
    assert_eq!(
        json(&world(), &alarm("jisoo-test-cw"), &pending()),
        r#"{"AlarmName":"jisoo-test-cw","AlarmDescription":"jisoo-test-cw","AWSAccountId":"123456789012","AlarmConfigurationUpdatedTimestamp":"2022-06-28T01:56:39.773+0000","NewStateValue":"ALARM","NewStateReason":"Threshold Crossed: 1 out of the last 1 datapoints [0.0 (28/06/22 01:55:00)] was less than or equal to the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).","StateChangeTime":"2022-06-28T01:57:35.603+0000","Region":"Asia Pacific (Seoul)","AlarmArn":"arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:jisoo-test-cw","OldStateValue":"OK","OKActions":[],"AlarmActions":["arn:aws:sns:ap-northeast-2:123456789012:jisoo-test"],"InsufficientDataActions":[],"Trigger":{"MetricName":"procstat_lookup_pid_count","Namespace":"CWAgent","StatisticType":"Statistic","Statistic":"SUM","Unit":null,"Dimensions":[{"value":"httpd","name":"exe"},{"value":"i-1","name":"InstanceId"}],"Period":60,"EvaluationPeriods":1,"DatapointsToAlarm":1,"ComparisonOperator":"LessThanOrEqualToThreshold","Threshold":0.0,"TreatMissingData":"missing","EvaluateLowSampleCountPercentile":""}}"#
    );
}

#[test]
fn expressions_are_told_with_what_they_are_over() {
    let mut alarm = alarm("math");
    let Watched::Metric(stat) = alarm.settings.watched.clone() else { unreachable!() };
    let query = |id: &str, stat, expression: Option<&str>| Query {
        id: id.into(),
        stat,
        expression: expression.map(str::to_owned),
        label: None,
        watched: Some(expression.is_some()),
        period: None,
    };
    alarm.settings.watched = Watched::Math(vec![query("m1", Some(stat), None), query("e1", None, Some("m1 * 2"))]);
    (alarm.settings.datapoints_to_alarm, alarm.settings.missing) = (None, None);
    let text = json(&world(), &alarm, &pending());
    let trigger = r#""Trigger":{"Period":60,"EvaluationPeriods":1,"ComparisonOperator":"LessThanOrEqualToThreshold","Threshold":0.0,"TreatMissingData":"","EvaluateLowSampleCountPercentile":"","Metrics":[{"Id":"m1","MetricStat":{"Metric":{"Dimensions":[{"value":"httpd","name":"exe"},{"value":"i-1","name":"InstanceId"}],"MetricName":"procstat_lookup_pid_count","Namespace":"CWAgent"},"Period":60,"Stat":"Sum"},"ReturnData":false},{"Expression":"m1 * 2","Id":"e1","ReturnData":true}]}}"#;
    assert!(text.ends_with(trigger), "{text}");
    assert!(letter(&world(), &alarm, &pending()).contains("- e1:                                  m1 * 2\n"));
}

#[test]
fn the_letter_has_cloudwatchs_lines() {
    let text = letter(&world(), &alarm("jisoo-test-cw"), &pending());
    for line in [
        "You are receiving this email because your Amazon CloudWatch Alarm \"jisoo-test-cw\" in the Asia Pacific (Seoul) region has entered the ALARM state, because \"Threshold Crossed: 1 out of the last 1 datapoints [0.0 (28/06/22 01:55:00)] was less than or equal to the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).\" at \"Tuesday 28 June, 2022 01:57:35 UTC\".",
        "Alarm Details:",
        "- Name:                       jisoo-test-cw",
        "- State Change:               OK -> ALARM",
        "- Timestamp:                  Tuesday 28 June, 2022 01:57:35 UTC",
        "- The alarm is in the ALARM state when the metric is LessThanOrEqualToThreshold 0.0 for at least 1 of the last 1 period(s) of 60 seconds.",
        "- MetricNamespace:                     CWAgent",
        "- Dimensions:                          [exe = httpd] [InstanceId = i-1]",
        "- Unit:                                not specified",
        "- ALARM:              [arn:aws:sns:ap-northeast-2:123456789012:jisoo-test]",
    ] {
        assert!(text.lines().any(|told| told == line), "`{line}` is not in:\n{text}");
    }
}

#[test]
fn subjects_keep_to_snss_length() {
    let check = |name: &str, wanted: &str| assert_eq!(subject(&world(), &alarm(name), &pending()), wanted);
    check("web", "ALARM: \"web\" in Asia Pacific (Seoul)");
    let cut = subject(&world(), &alarm(&"n".repeat(255)), &pending());
    assert_eq!(cut.chars().count(), 100);
    assert!(cut.ends_with("n...\" in Asia Pacific (Seoul)"), "{cut}");
}

#[test]
fn an_id_is_a_uuid_that_follows_from_the_transition() {
    let one = id(&alarm("web"), &pending());
    assert_eq!((one.len(), &one[14..15], &one[19..20]), (36, "8", "8"), "{one}");
    assert_eq!(one, id(&alarm("web"), &pending()));
    assert_ne!(one, id(&alarm("other"), &pending()));
    assert_ne!(one, id(&alarm("web"), &Pending { number: 2, ..pending() }));
}
