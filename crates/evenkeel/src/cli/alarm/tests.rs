//! Alarms on the command line: what is asked, and how answers look.

use clap::Parser as _;
use evenkeel_aws::{Call, Response, Time};

use super::super::stage::{Ran, Stage, answered};
use super::super::{Cli, Command};
use super::*;

fn told() -> cloudwatch::MetricAlarm {
    cloudwatch::MetricAlarm {
        alarm_name: "busy".into(),
        alarm_arn: "arn:aws:cloudwatch:us-east-1:000000000000:alarm:busy".into(),
        actions_enabled: true,
        alarm_actions: vec!["arn:aws:sns:us-east-1:000000000000:ops".to_owned()].into(),
        state_value: "ALARM".into(),
        state_reason: "Threshold Crossed: it is so.".into(),
        state_reason_data: Some("{\"version\":\"1.0\"}".into()),
        metric_name: Some("Load".into()),
        namespace: Some("App".into()),
        statistic: Some("Average".into()),
        dimensions: vec![cloudwatch::Dimension { name: Some("Zone".into()), value: Some("a".into()) }].into(),
        period: Some(10),
        evaluation_periods: 5,
        datapoints_to_alarm: Some(3),
        threshold: 0.8,
        comparison_operator: "GreaterThanThreshold".into(),
        state_transitioned_timestamp: Time(1_698_338_520_000),
        ..cloudwatch::MetricAlarm::default()
    }
}

fn answer(call: &Call) -> Result<Response, evenkeel_aws::Error> {
    let Call::Cloudwatch(call) = call else { panic!("{call:?}") };
    match call {
        cloudwatch::Call::DescribeAlarms(input) => {
            let is_it = input.alarm_names.is_empty() || input.alarm_names.iter().any(|name| name == "busy");
            let metric_alarms = is_it.then(told).into_iter().collect();
            answered::<cloudwatch::DescribeAlarms>(cloudwatch::DescribeAlarmsOutput {
                metric_alarms,
                ..Default::default()
            })
        }
        cloudwatch::Call::DescribeAlarmHistory(input) => {
            let item = cloudwatch::AlarmHistoryItem {
                alarm_name: "busy".into(),
                alarm_type: "MetricAlarm".into(),
                timestamp: Time(1_698_338_520_000),
                history_item_type: "StateUpdate".into(),
                history_summary: "Alarm updated from OK to ALARM".into(),
                history_data: "{\"newState\":{\"stateReason\":\"it is so\"}}".into(),
            };
            // Two pages.
            let next_token = input.next_token.is_none().then(|| "more".to_owned());
            let output = cloudwatch::DescribeAlarmHistoryOutput { alarm_history_items: vec![item].into(), next_token };
            answered::<cloudwatch::DescribeAlarmHistory>(output)
        }
        cloudwatch::Call::PutMetricAlarm(_) => answered::<cloudwatch::PutMetricAlarm>(cloudwatch::Nothing {}),
        cloudwatch::Call::DeleteAlarms(_) => answered::<cloudwatch::DeleteAlarms>(cloudwatch::Nothing {}),
        cloudwatch::Call::SetAlarmState(_) => answered::<cloudwatch::SetAlarmState>(cloudwatch::Nothing {}),
        cloudwatch::Call::EnableAlarmActions(_) => answered::<cloudwatch::EnableAlarmActions>(cloudwatch::Nothing {}),
        cloudwatch::Call::DisableAlarmActions(_) => answered::<cloudwatch::DisableAlarmActions>(cloudwatch::Nothing {}),
        other => panic!("{other:?}"),
    }
}

fn ran(stage: &Stage, arguments: &str) -> Ran {
    let words = shell_words::split(&format!("evenkeel alarm {arguments}")).unwrap();
    let Command::Alarm(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{arguments}") };
    stage.run(|client, streams| run(&args, client, streams))
}

fn asked(stage: &Stage) -> cloudwatch::Call {
    let Some(Call::Cloudwatch(call)) = stage.calls().pop() else { panic!("nothing was asked") };
    call
}

#[test]
fn alarms_are_listed_and_shown() {
    let stage = Stage::new(answer);
    let listed = ran(&stage, "list --state alarm --prefix b");
    assert_eq!(
        listed.out,
        "\
ALARM  STATE  SINCE                     ACTIONS  WATCHES
busy   ALARM  2023-10-26T16:42:00.000Z  on       Average of App/Load > 0.8, 3 of 5 × 10 s
"
    );
    let cloudwatch::Call::DescribeAlarms(input) = asked(&stage) else { panic!() };
    assert_eq!((input.state_value.as_deref(), input.alarm_name_prefix.as_deref()), (Some("ALARM"), Some("b")));
    let shown = ran(&stage, "show busy");
    for line in [
        "state         ALARM since 2023-10-26T16:42:00.000Z",
        "because       Threshold Crossed: it is so.",
        "on            Zone=a",
        "into ALARM    arn:aws:sns:us-east-1:000000000000:ops",
    ] {
        assert!(shown.out.lines().any(|told| told == line), "`{line}` is not in:\n{}", shown.out);
    }
    let json: serde_json::Value = serde_json::from_str(&ran(&stage, "list --json").out).unwrap();
    assert_eq!((&json[0]["for"], &json[0]["of"], &json[0]["dimensions"]["Zone"]), (&3.into(), &5.into(), &"a".into()));
    assert_eq!(json[0]["reason_data"]["version"], "1.0");
    let none = ran(&stage, "show none");
    assert_eq!(none.outcome, Outcome::Failed);
    assert!(none.err.contains("The alarm 'none' does not exist"), "{}", none.err);
}

#[test]
fn histories_are_followed_to_their_limit() {
    let stage = Stage::new(answer);
    let shown = ran(&stage, "history busy --kind state");
    let row = "2023-10-26T16:42:00.000Z  busy   Alarm updated from OK to ALARM  it is so";
    assert_eq!(shown.out.lines().skip(1).collect::<Vec<_>>(), [row, row]);
    let json: serde_json::Value = serde_json::from_str(&ran(&stage, "history --limit 1 --json").out).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["kind"]), (1, &"StateUpdate".into()));
}

#[test]
fn arguments_make_an_alarm() {
    let stage = Stage::new(answer);
    let put = |arguments: &str| {
        let ran = ran(&stage, arguments);
        assert_eq!(ran.outcome, Outcome::Done, "{}", ran.err);
        let cloudwatch::Call::PutMetricAlarm(input) = asked(&stage) else { panic!() };
        input
    };
    let input =
        put("put busy --metric AWS/EC2/CPUUtilization --on InstanceId=i-1 --at-least -1.5 --period 10 --for 3 --of 5 \
         --missing not-breaching --alarm-action arn:aws:sns:r:1:t --tag team=web --disabled --unit Percent");
    assert_eq!((input.namespace.as_deref(), input.metric_name.as_deref()), (Some("AWS/EC2"), Some("CPUUtilization")));
    assert_eq!((input.datapoints_to_alarm, input.evaluation_periods, input.period), (Some(3), Some(5), Some(10)));
    assert_eq!(
        (input.threshold, input.comparison_operator.as_deref()),
        (Some(-1.5), Some("GreaterThanOrEqualToThreshold"))
    );
    assert_eq!((input.treat_missing_data.as_deref(), input.actions_enabled), (Some("notBreaching"), Some(false)));
    assert_eq!((input.statistic.as_deref(), input.extended_statistic), (Some("Average"), None));
    assert_eq!(input.tags.0, [cloudwatch::Tag { key: "team".into(), value: "web".into() }]);
    let input = put("put slow --metric App/Latency --stat p99 --above 0.5 --few-samples-keep-state");
    assert_eq!((input.statistic, input.extended_statistic.as_deref()), (None, Some("p99")));
    assert_eq!(input.evaluate_low_sample_count_percentile.as_deref(), Some("ignore"));
    let input = put(
        "put errors --math '100 * errors / all' --with errors=App/Errors:Sum --with all=App/Requests:Sum --below 5",
    );
    let ids: Vec<_> = input.metrics.iter().map(|query| (query.id.as_deref().unwrap(), query.return_data)).collect();
    assert_eq!(ids, [("errors", Some(false)), ("all", Some(false)), ("watched", Some(true))]);
    assert_eq!((input.period, input.metric_name), (None, None));
    for bad in [
        "put x --metric App/Load",
        "put x --above 1",
        "put x --metric App/Load --above 1 --below 2",
        "put x --metric App/Load --math a --above 1",
        "set-state busy FINE",
    ] {
        let words = shell_words::split(&format!("evenkeel alarm {bad}")).unwrap();
        assert!(Cli::try_parse_from(words).is_err(), "{bad}");
    }
    let odd = ran(&stage, "put x --metric Load --above 1");
    assert!(odd.err.contains("it is written NAMESPACE/NAME"), "{}", odd.err);
}

#[test]
fn the_others_are_one_call_each() {
    let stage = Stage::new(answer);
    let check = |arguments: &str, name: &str| {
        assert_eq!(ran(&stage, arguments).outcome, Outcome::Done, "{arguments}");
        assert_eq!(stage.names(), [name], "{arguments}");
    };
    check("delete a b", "DeleteAlarms");
    check("enable a", "EnableAlarmActions");
    check("disable a", "DisableAlarmActions");
    check("set-state a ok --reason fine", "SetAlarmState");
}
