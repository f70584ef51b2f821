//! Policies tried on the command line: what is read, asked and shown.

use std::path::Path;

use clap::Parser as _;
use evenkeel_aws::{Call, Response, Time, autoscaling, cloudwatch};
use evenkeel_core::scaling::decide::Rule;
use evenkeel_core::time::Timestamp;

use super::super::super::stage::{Ran, Stage, answered};
use super::super::super::{Cli, Command};
use super::*;

const TARGET: &str = r#"{"TargetValue": 100, "CustomizedMetricSpecification": {"Namespace": "App", "MetricName": "Depth",
    "Dimensions": [{"Name": "Queue", "Value": "mail"}]}}"#;

fn ran(stage: &Stage, arguments: &str) -> Ran {
    let words = shell_words::split(&format!("evenkeel asg simulate {arguments}")).unwrap();
    let Command::Asg(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{arguments}") };
    let super::super::Action::Simulate(args) = args.action else { panic!("{arguments}") };
    stage.run(|client, streams| run(&args, &|_| Ok(client.clone()), streams))
}

fn nobody() -> Stage {
    Stage::new(|call| panic!("{call:?}"))
}

fn put(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// An hour of little, an hour of much, an hour of little.
fn hours() -> String {
    let line = |minute: u32| {
        let load = if (60..120).contains(&minute) { 900 } else { 180 };
        format!("2026-11-27T{:02}:{:02}:00Z,{load}\n", minute / 60, minute % 60)
    };
    std::iter::once("time,value\n".to_owned()).chain((0..180).map(line)).collect()
}

#[test]
fn policies_are_read_in_each_of_their_shapes() {
    let check = |text: &str, names: &[&str]| {
        let found = policy::parse(text).unwrap();
        let found: Vec<_> = found.iter().map(|policy| policy.tried.name.as_str()).collect();
        assert_eq!(found, names, "{text}");
    };
    let alarm = r#""Alarms": [{"ComparisonOperator": "LessThanThreshold", "Threshold": 20, "EvaluationPeriods": 3}]"#;
    let simple = format!(
        r#"{{"PolicyName": "fewer", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": -1, "Cooldown": 60, {alarm}}}"#
    );
    let step = format!(
        r#"{{"PolicyName": "more", "PolicyType": "StepScaling", "AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 2,
            "StepAdjustments": [{{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 10}}], "EstimatedInstanceWarmup": 90, {alarm}}}"#
    );
    let put = format!(
        r#"{{"PolicyName": "t", "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {TARGET}}}"#
    );
    check(TARGET, &["policy 1"]);
    check(&put, &["t"]);
    check(&format!("[{simple}, {step}]"), &["fewer", "more"]);
    check(&format!(r#"{{"ScalingPolicies": [{step}, {{"PolicyName": "off", "Enabled": false}}]}}"#), &["more"]);
    let found = policy::parse(&format!("[{step}, {put}]")).unwrap();
    assert_eq!(found[0].warmup, Some(90));
    assert!(matches!(&found[0].tried.rule, Rule::Step { min_magnitude: Some(2), .. }));
    assert_eq!(found[0].tried.alarms[0].periods, 3);
    let depth = policy::metric(&found).unwrap();
    assert_eq!((depth.metric, depth.on), (("App".into(), "Depth".into()), vec![("Queue".into(), "mail".into())]));
    let requests = r#"{"TargetValue": 1, "PredefinedMetricSpecification":
        {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/web/1/targetgroup/2/3"}}"#;
    let requests = policy::metric(&policy::parse(requests).unwrap()).unwrap();
    assert_eq!((requests.metric.1.as_str(), requests.on[0].1.as_str(), requests.each), ("RequestCount", "web", 60.0));

    let bad = |text: &str, why: &str| {
        let error = format!("{:#}", policy::parse(text).unwrap_err());
        assert!(error.contains(why), "{text}: {error}");
    };
    bad("7", "no policy");
    bad("{", "EOF");
    bad("{}", "AdjustmentType");
    bad(r#"{"TargetValue": -1}"#, "TargetValue must be greater than 0");
    bad(r#"{"AdjustmentType": "ChangeInCapacity"}"#, "no ScalingAdjustment");
    bad(r#"{"AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1}"#, "no alarm carries `policy 1` out");
    bad(r#"{"TargetValue": 1, "PredefinedMetricSpecification": {"PredefinedMetricType": "X"}}"#, "no metric X");
}

#[test]
fn load_is_read_line_by_line() {
    let check = |text: &str, points: &[(u64, f64)]| {
        let points: Vec<_> = points.iter().map(|(at, value)| (Timestamp(*at), *value)).collect();
        assert_eq!(load::parse(text).unwrap(), points, "{text}");
    };
    check("0,1\n60,2.5\n", &[(0, 1.0), (60_000, 2.5)]);
    check("time,value\r\n# a remark\n\n60 , 2\r\n0.5,1\r\n", &[(500, 1.0), (60_000, 2.0)]);
    check("\"1970-01-01T00:01:00+00:00\",\"7\"", &[(60_000, 7.0)]);
    for text in ["", "time,value", "0,1\nx,2", "0,1\n1,-1", "0,NaN", "0;1", "0", "-5,1"] {
        assert!(load::parse(text).is_err(), "{text}");
    }
    let range = |text: &str| text.parse::<Range>();
    assert_eq!(range("24h"), Ok(Range::Last(86_400)));
    assert_eq!(range("1970-01-01T00:00:00Z..1970-01-01T01:00:00Z"), Ok(Range::Between(0, 3600)));
    for text in ["", "24", "1970-01-02T00:00:00Z..1970-01-01T00:00:00Z", "x..y", "1h..2h"] {
        assert!(range(text).is_err(), "{text}");
    }
}

#[test]
fn a_load_of_a_file_is_tried_without_a_daemon() {
    let (dir, stage) = (tempfile::tempdir().unwrap(), nobody());
    let (target, csv) = (put(dir.path(), "t.json", TARGET), put(dir.path(), "l.csv", &hours()));
    let svg = dir.path().join("l.svg");
    let common =
        format!("--policy {target} --load {csv} --min 2 --max 12 --boot 60 --warmup 60 --capacity 150 --price 0.5");
    let shown = ran(&stage, &format!("{common} --decisions --svg {}", svg.display()));
    assert_eq!((shown.outcome, shown.err.as_str()), (Outcome::Done, ""), "{}", shown.out);
    for part in [
        "time            2026-11-27T00:00:00 to 2026-11-27T03:00:00, by 60 s",
        "180 to 900",
        "most members    9",
        "load shed",
        "1 turns",
    ] {
        assert!(shown.out.contains(part), "no {part} in {}", shown.out);
    }
    assert!(shown.out.contains("2026-11-27T01:03:00Z  2     9   policy 1"), "{}", shown.out);
    let drawn = std::fs::read_to_string(svg).unwrap();
    for part in ["<svg", "Load of each", "target of policy 1", "what members take", "in service"] {
        assert!(drawn.contains(part), "no {part}");
    }

    let document = ran(&stage, &format!("{common} --json"));
    let value: serde_json::Value = serde_json::from_str(&document.out).unwrap();
    assert_eq!(value["moments"].as_array().unwrap().len(), 180);
    assert_eq!((&value["peak"], &value["turns"]), (&9.into(), &1.into()));
    let hours = value["instance_hours"].as_f64().unwrap();
    assert!((10.0..20.0).contains(&hours) && (value["cost"].as_f64().unwrap() - hours / 2.0).abs() < 1e-9, "{hours}");
    // Four minutes of 600 that two members do not take: three of the alarm and one of the boot.
    assert!((value["shed"].as_f64().unwrap() - 600.0 * 240.0).abs() < 1e-6, "{}", value["shed"]);
    assert!(value["decisions"][0]["why"][0].as_str().unwrap().starts_with("desired capacity 2 → 9"));

    let check = |arguments: &str, why: &str| {
        let failed = ran(&stage, arguments);
        assert_eq!(failed.outcome, Outcome::Failed, "{arguments}");
        assert!(failed.err.contains(why), "{arguments}: {}", failed.err);
    };
    check(&format!("--policy /nowhere --load {csv}"), "failed to read policies of /nowhere");
    check(&format!("--policy {target} --load /nowhere"), "failed to read the load of /nowhere");
    check(&format!("--policy {target} --load {csv} --min 5 --max 2"), "5 members at least, and 2 at most");
    let decade = put(dir.path(), "decade.csv", "0,1\n315360000,1\n");
    check(&format!("--policy {target} --load {decade} --period 1"), "give a longer `--period`");
}

fn answer(call: &Call) -> Result<Response, evenkeel_aws::Error> {
    match call {
        Call::AutoScaling(autoscaling::Call::DescribeAutoScalingGroups(_)) => {
            let group = autoscaling::AutoScalingGroup {
                auto_scaling_group_name: "web".into(),
                min_size: 2,
                max_size: 4,
                default_cooldown: 120,
                ..autoscaling::AutoScalingGroup::default()
            };
            answered::<autoscaling::DescribeAutoScalingGroups>(autoscaling::DescribeAutoScalingGroupsOutput {
                auto_scaling_groups: vec![group].into(),
                next_token: None,
            })
        }
        Call::AutoScaling(autoscaling::Call::DescribePolicies(_)) => {
            let alarm = autoscaling::Alarm { alarm_name: Some("busy".into()), alarm_arn: None };
            let step = autoscaling::StepAdjustment {
                metric_interval_lower_bound: Some(0.0),
                metric_interval_upper_bound: None,
                scaling_adjustment: 1,
            };
            let policy = autoscaling::ScalingPolicy {
                policy_name: Some("more".into()),
                policy_type: Some("StepScaling".into()),
                adjustment_type: Some("ChangeInCapacity".into()),
                step_adjustments: vec![step].into(),
                alarms: vec![alarm].into(),
                ..autoscaling::ScalingPolicy::default()
            };
            answered::<autoscaling::DescribePolicies>(autoscaling::DescribePoliciesOutput {
                scaling_policies: vec![policy].into(),
                next_token: None,
            })
        }
        Call::Cloudwatch(cloudwatch::Call::DescribeAlarms(input)) => {
            assert_eq!(*input.alarm_names, ["busy".to_owned()]);
            let alarm = cloudwatch::MetricAlarm {
                alarm_name: "busy".into(),
                comparison_operator: "GreaterThanThreshold".into(),
                threshold: 50.0,
                evaluation_periods: 2,
                ..cloudwatch::MetricAlarm::default()
            };
            answered::<cloudwatch::DescribeAlarms>(cloudwatch::DescribeAlarmsOutput {
                metric_alarms: vec![alarm].into(),
                ..Default::default()
            })
        }
        Call::Cloudwatch(cloudwatch::Call::GetMetricData(input)) => {
            let from = input.start_time.unwrap().0 / 60_000 * 60_000;
            // Two members of 70 each, each second.
            let result = cloudwatch::MetricDataResult {
                id: "m".into(),
                timestamps: (0..10).map(|n| evenkeel_aws::time::WholeSeconds::of(Time(from + n * 60_000))).collect(),
                values: vec![140.0 * 60.0; 10].into(),
                ..cloudwatch::MetricDataResult::default()
            };
            answered::<cloudwatch::GetMetricData>(cloudwatch::GetMetricDataOutput {
                metric_data_results: vec![result].into(),
                ..Default::default()
            })
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_is_tried_on_what_was_recorded_of_it() {
    let stage = Stage::new(answer);
    let shown = ran(&stage, "--group web --recorded 1h --decisions");
    assert_eq!((shown.outcome, shown.err.as_str()), (Outcome::Done, ""), "{}", shown.out);
    for part in ["140 to 140", "most members    3", "more", "a member takes whatever comes"] {
        assert!(shown.out.contains(part), "no {part} in {}", shown.out);
    }
    let calls = stage.calls();
    let asked = calls.iter().find_map(|call| match call {
        Call::Cloudwatch(cloudwatch::Call::GetMetricData(input)) => Some(input.metric_data_queries[0].clone()),
        _ => None,
    });
    let stat = asked.unwrap().metric_stat.unwrap();
    let metric = stat.metric.unwrap();
    assert_eq!((stat.stat.as_deref(), stat.period), (Some("Sum"), Some(60)));
    assert_eq!(metric.metric_name.as_deref(), Some("CPUUtilization"));
    assert_eq!(metric.dimensions[0].value.as_deref(), Some("web"));
    let nothing = Cli::try_parse_from(["evenkeel", "asg", "simulate", "--group", "web"]);
    assert!(nothing.is_err(), "a load is to be stated");
}

/// Five days by the hour: much from eight to six.
fn days() -> String {
    let line = |hour: u64| {
        let load = if (8..18).contains(&(hour % 24)) { 900 } else { 90 };
        format!("{}\n", Timestamp(1_767_225_600_000 + hour * 3_600_000).iso() + "," + &load.to_string())
    };
    (0..120).map(line).collect()
}

#[test]
fn a_forecast_is_tried_beside_the_same_without_one() {
    let (dir, stage) = (tempfile::tempdir().unwrap(), nobody());
    let (target, csv) = (put(dir.path(), "t.json", TARGET), put(dir.path(), "l.csv", &days()));
    let svg = dir.path().join("l.svg");
    let common = format!("--load {csv} --max 12 --boot 600 --warmup 60 --capacity 150 --period 300 --price 0.5");
    let shown = ran(&stage, &format!("--policy {target} {common} --predictive --ahead 900 --svg {}", svg.display()));
    assert_eq!((shown.outcome, shown.err.as_str()), (Outcome::Done, ""), "{}", shown.out);
    for part in ["without the forecast; a member takes 150", "forecasts       off by 0.0 % over ", "as a day before"] {
        assert!(shown.out.contains(part), "no {part} in {}", shown.out);
    }
    let drawn = std::fs::read_to_string(svg).unwrap();
    for part in ["foreseen", "wanted without", "target of predictive"] {
        assert!(drawn.contains(part), "no {part}");
    }
    let document = ran(&stage, &format!("--policy {target} {common} --predictive --ahead 900 --json"));
    let value: serde_json::Value = serde_json::from_str(&document.out).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    assert!(number(&value["shed"]) < number(&value["without_forecast"]["shed"]) / 2.0, "{value}");
    assert!(number(&value["forecast"]["accuracy"]["error"]) < 0.01, "{}", value["forecast"]["accuracy"]);
    let foreseen = value["forecast"]["hours"].as_array().unwrap();
    assert!(foreseen.iter().any(|hour| hour["capacity"] == 9 && number(&hour["load"]) > 899.0), "{foreseen:?}");

    // A policy of the type, as AWS writes it: it only looks, until it is let.
    let own = r#"{"PolicyName": "ahead", "PolicyType": "PredictiveScaling", "PredictiveScalingConfiguration": {
        "MetricSpecifications": [{"TargetValue": 100, "PredefinedMetricPairSpecification": {"PredefinedMetricType": "ALBRequestCount"}}],
        "SchedulingBufferTime": 600, "MaxCapacityBreachBehavior": "IncreaseMaxCapacity", "MaxCapacityBuffer": 10}}"#;
    let found = policy::parse(own).unwrap();
    let rule = Rule::Predictive { target: 100.0, acts: false, buffer: Duration::from_secs(600), raises: Some(10) };
    assert_eq!(found[0].tried.rule, rule);
    assert_eq!(policy::metric(&found).unwrap().each, 60.0);
    let file = put(dir.path(), "own.json", &format!("[{own}]"));
    let looks = ran(&stage, &format!("--policy {target} --policy {file} {common}"));
    assert!(looks.out.contains("forecasts ") && !looks.out.contains("without the forecast"), "{}", looks.out);
    let acts = ran(&stage, &format!("--policy {target} --policy {file} {common} --predictive --json"));
    let value: serde_json::Value = serde_json::from_str(&acts.out).unwrap();
    let by = |decision: &serde_json::Value| decision["policy"] == "ahead" && decision["to"] == 9;
    assert!(value["decisions"].as_array().unwrap().iter().any(by), "{value}");

    let short = put(dir.path(), "short.csv", &hours());
    let none = ran(&stage, &format!("--policy {target} --load {short} --predictive"));
    assert!(none.out.contains("forecasts       none: 24 hours of load come before the first"), "{}", none.out);
    let step = r#"{"AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1,
        "Alarms": [{"ComparisonOperator": "GreaterThanThreshold", "Threshold": 20}]}"#;
    let step = put(dir.path(), "s.json", step);
    let failed = ran(&stage, &format!("--policy {step} --load {csv} --predictive"));
    assert!(failed.err.contains("no policy says what a member is to have to do"), "{}", failed.err);
    let bad = |text: &str, why: &str| {
        let error = format!("{:#}", policy::parse(text).unwrap_err());
        assert!(error.contains(why), "{text}: {error}");
    };
    bad(r#"{"MetricSpecifications": []}"#, "0 MetricSpecifications");
    bad(r#"{"MetricSpecifications": [{"TargetValue": 1}], "Mode": "Guess"}"#, "no Mode `Guess`");
    bad(r#"{"MetricSpecifications": [{"TargetValue": 1}], "SchedulingBufferTime": 3600}"#, "not less than an hour");
    bad(r#"{"MetricSpecifications": [{"TargetValue": 1}], "MaxCapacityBuffer": 5}"#, "IncreaseMaxCapacity");
}
