//! Settings that make an alarm, and such as do not.

use super::super::{Actions, Comparison, LowSamples, MetricName, MissingData};
use super::*;

pub(crate) fn settings() -> AlarmSettings {
    AlarmSettings {
        description: None,
        actions: Actions::default(),
        watched: Watched::Metric(stat(60)),
        evaluation_periods: 3,
        datapoints_to_alarm: None,
        threshold: 80.0,
        comparison: Comparison::GreaterThanThreshold,
        missing: None,
        low_samples: None,
    }
}

fn stat(period: u32) -> MetricStat {
    let dimensions = vec![("InstanceId".to_owned(), "i-00000001".to_owned())];
    let metric = MetricName { namespace: "AWS/EC2".into(), name: "CPUUtilization".into(), dimensions };
    MetricStat { metric, period, statistic: "Average".into(), unit: None }
}

fn query(id: &str, stat: Option<MetricStat>, expression: Option<&str>, watched: bool) -> Query {
    let expression = expression.map(str::to_owned);
    Query { id: id.into(), stat, expression, label: None, watched: Some(watched), period: None }
}

fn check(change: impl FnOnce(&mut AlarmSettings), wanted: Result<(), &str>) {
    let mut settings = settings();
    change(&mut settings);
    match (settings.validate(), wanted) {
        (Ok(()), Ok(())) => {}
        (Err(bad), Err(text)) if bad.to_string().contains(text) => {}
        (got, wanted) => panic!("{got:?}, wanted {wanted:?}: {settings:?}"),
    }
}

#[test]
fn settings_keep_awss_rules() {
    check(|_| {}, Ok(()));
    check(|s| s.description = Some("d".repeat(1024)), Ok(()));
    check(|s| s.description = Some("d".repeat(1025)), Err("1024"));
    check(|s| s.threshold = f64::NAN, Err("finite"));
    check(|s| s.evaluation_periods = 0, Err("at least 1"));
    check(|s| s.datapoints_to_alarm = Some(3), Ok(()));
    check(|s| s.datapoints_to_alarm = Some(4), Err("DatapointsToAlarm"));
    check(|s| s.datapoints_to_alarm = Some(0), Err("DatapointsToAlarm"));
    check(|s| s.evaluation_periods = 1440, Ok(()));
    check(|s| s.evaluation_periods = 1441, Err("86400"));
    check(|s| (s.watched, s.evaluation_periods) = (Watched::Metric(stat(3600)), 168), Ok(()));
    check(|s| (s.watched, s.evaluation_periods) = (Watched::Metric(stat(3600)), 169), Err("604800"));
    for good in [1, 5, 10, 20, 30, 60, 120, 86_400] {
        check(|s| (s.watched, s.evaluation_periods) = (Watched::Metric(stat(good)), 1), Ok(()));
    }
    for bad in [0, 2, 15, 61, 90, 86_460] {
        check(|s| (s.watched, s.evaluation_periods) = (Watched::Metric(stat(bad)), 1), Err("Period"));
    }
    check(|s| s.actions.ok = vec!["arn:aws:sns:r:1:t".into(); 5], Ok(()));
    check(|s| s.actions.ok = vec!["arn:aws:sns:r:1:t".into(); 6], Err("at most 5"));
    check(|s| s.actions.alarm = vec!["nonsense".into()], Err("Invalid arn syntax"));
    check(|s| s.actions.alarm = vec!["arn:aws:automate:r:ec2:stop".into()], Ok(()));
    let without = MetricStat { metric: MetricName { dimensions: vec![], ..stat(60).metric }, ..stat(60) };
    check(
        |s| (s.watched, s.actions.alarm) = (Watched::Metric(without), vec!["arn:aws:automate:r:ec2:stop".into()]),
        Err("InstanceId"),
    );
    let twice = MetricName { dimensions: vec![("a".into(), "1".into()), ("a".into(), "2".into())], ..stat(60).metric };
    check(|s| s.watched = Watched::Metric(MetricStat { metric: twice, ..stat(60) }), Err("more than once"));
}

#[test]
fn expressions_keep_awss_rules() {
    let math = |queries: Vec<Query>, wanted| check(|s| s.watched = Watched::Math(queries), wanted);
    let (a, b) = (|| query("a", Some(stat(60)), None, false), || query("b", Some(stat(60)), None, false));
    let sum = || query("sum", None, Some("a+b"), true);
    math(vec![a(), b(), sum()], Ok(()));
    math(vec![], Err("1 to 20"));
    math(vec![a(), b()], Err("ReturnData"));
    math(vec![sum(), query("x", None, Some("a"), true)], Err("ReturnData"));
    math(vec![a(), a(), sum()], Err("same Id"));
    math(vec![query("A", Some(stat(60)), None, true)], Err("lower-case"));
    math(vec![a(), query("b", Some(stat(120)), None, false), sum()], Err("same period"));
    math(vec![query("a", None, None, true)], Err("either"));
    math((0..11).map(|n| query(&format!("m{n}"), Some(stat(60)), None, n == 0)).collect(), Err("10 metrics"));
    check(
        |s| {
            (s.watched, s.actions.ok) =
                (Watched::Math(vec![a(), b(), sum()]), vec!["arn:aws:automate:r:ec2:stop".into()])
        },
        Err("metric math"),
    );
}

#[test]
fn rules_follow_from_settings() {
    let mut settings = settings();
    let rule = settings.rule();
    assert_eq!((rule.periods, rule.to_alarm, rule.missing, rule.fewest_samples), (3, 3, MissingData::Missing, None));
    (settings.datapoints_to_alarm, settings.low_samples) = (Some(2), Some(LowSamples::Ignore));
    settings.watched = Watched::Metric(MetricStat { statistic: "p99".into(), ..stat(60) });
    let rule = settings.rule();
    assert_eq!(rule.to_alarm, 2);
    assert!((rule.fewest_samples.unwrap() - 1000.0).abs() < 1e-6, "{rule:?}");
    settings.low_samples = Some(LowSamples::Evaluate);
    assert_eq!(settings.rule().fewest_samples, None);
}
