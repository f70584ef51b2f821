//! Groups that scale by a forecast: two weeks of load that were, hours to come that are met ahead of it.

use evenkeel_aws::{Time, autoscaling as wire, cloudwatch};

use crate::rig::Rig;
use crate::scaling::{PATIENCE, ZONES, activities, end, group, settled};

const HOUR: i64 = 3_600_000;
/// As far back as values are taken: two weeks, less what the test takes.
const HOURS: i64 = 14 * 24 - 1;
/// What a member is to have to do, and what a job is to it.
const TARGET: f64 = 50.0;
const OF_A_JOB: f64 = 0.1;

/// Jobs in an hour: 900, which take two members at the target, and six hours a day 1,900, which take four.
fn jobs(hour: i64, busy: i64) -> f64 {
    if (hour - busy).rem_euclid(24) < 6 { 1_900.0 } else { 900.0 }
}

/// Two weeks of it, of a group that had three members.
fn remember(rig: &Rig, now: i64, busy: i64) {
    for (name, of) in [("Jobs", 1.0), ("Work", OF_A_JOB / 3.0), ("Members", 0.0)] {
        let datum = |back: i64| {
            let hour = now - back;
            cloudwatch::MetricDatum {
                metric_name: Some(name.into()),
                value: Some(if of == 0.0 { 3.0 } else { jobs(hour, busy) * of }),
                timestamp: Some(Time(hour * HOUR)),
                ..cloudwatch::MetricDatum::default()
            }
        };
        let metric_data = (1..=HOURS).map(datum).collect::<Vec<_>>().into();
        let input = cloudwatch::PutMetricData {
            namespace: Some("Shop".into()),
            metric_data,
            ..cloudwatch::PutMetricData::default()
        };
        rig.call(&input).unwrap();
    }
}

fn queries(name: &str, stat: &str) -> Option<wire::PredictiveScalingCustomizedMetric> {
    let metric = wire::Metric { namespace: "Shop".into(), metric_name: name.into(), ..wire::Metric::default() };
    let query = wire::MetricDataQuery {
        id: "one".into(),
        metric_stat: Some(wire::MetricStat { metric, stat: stat.into(), unit: None }),
        return_data: Some(true),
        ..wire::MetricDataQuery::default()
    };
    Some(wire::PredictiveScalingCustomizedMetric { metric_data_queries: vec![query].into() })
}

fn put(rig: &Rig, mode: &str) {
    let specification = wire::PredictiveScalingMetricSpecification {
        target_value: TARGET,
        customized_load_metric_specification: queries("Jobs", "Sum"),
        customized_scaling_metric_specification: queries("Work", "Average"),
        customized_capacity_metric_specification: queries("Members", "Average"),
        ..wire::PredictiveScalingMetricSpecification::default()
    };
    rig.call(&wire::PutScalingPolicy {
        auto_scaling_group_name: "web".into(),
        policy_name: "ahead".into(),
        policy_type: Some("PredictiveScaling".into()),
        predictive_scaling_configuration: Some(wire::PredictiveScalingConfiguration {
            metric_specifications: vec![specification].into(),
            mode: Some(mode.into()),
            ..wire::PredictiveScalingConfiguration::default()
        }),
        ..wire::PutScalingPolicy::default()
    })
    .unwrap();
}

fn desired(rig: &Rig) -> i64 {
    rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap().auto_scaling_groups.0.remove(0).desired_capacity
}

#[test]
fn hours_to_come_are_met_by_what_two_weeks_were_like() {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    group(&rig, &image, 1);
    settled(&mut rig, 1);
    put(&rig, "ForecastOnly");
    let lacks = |rig: &Rig| rig.said(&["asg", "explain", "web"]);
    rig.wait("a word on why there is no forecast", PATIENCE, |rig| {
        lacks(rig).contains("no forecast: 24 hours of load are needed for a forecast, and 0 are known").then_some(())
    });
    // The busy hours begin with the one that is, so that it does not matter when this is run, nor whether it ends meanwhile.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(since.as_millis()).unwrap().div_euclid(HOUR);
    remember(&rig, now, now);
    // Of a policy that is new, the load is read at once.
    rig.call(&wire::DeletePolicy { auto_scaling_group_name: Some("web".into()), policy_name: "ahead".into() }).unwrap();
    put(&rig, "ForecastOnly");
    let ask = wire::GetPredictiveScalingForecast {
        auto_scaling_group_name: "web".into(),
        policy_name: "ahead".into(),
        start_time: Time(now * HOUR),
        end_time: Time((now + 72) * HOUR),
    };
    let forecast = rig.wait("a forecast", PATIENCE, |rig| rig.call(&ask).ok());
    let load = &forecast.load_forecast[0];
    assert!(load.values.len() >= 47, "{load:?}");
    assert_eq!(load.timestamps, forecast.capacity_forecast.timestamps);
    for ((at, load), capacity) in
        load.timestamps.iter().zip(load.values.iter()).zip(forecast.capacity_forecast.values.iter())
    {
        let wanted = jobs(at.0 / HOUR, now);
        assert!((load - wanted).abs() < 1e-6, "{load} instead of {wanted}");
        let takes = if wanted > 1_000.0 { 4.0 } else { 2.0 };
        assert!((capacity - takes).abs() < 1e-9, "{capacity} for {load}");
    }
    assert_eq!(desired(&rig), 1, "who only forecasts does not scale");
    put(&rig, "ForecastAndScale");
    rig.wait("the hour to be met", PATIENCE, |rig| (desired(rig) == 4).then_some(()));
    settled(&mut rig, 4);
    let causes: Vec<String> = activities(&rig).into_iter().map(|activity| activity.cause).collect();
    let told = "a predictive scaling policy ahead forecast a capacity of 4 from ";
    assert!(causes.iter().any(|cause| cause.contains(told) && cause.contains("from 1 to 4")), "{causes:?}");
    // Nobody but somebody takes them away within the hour.
    let fewer = wire::PutScalingPolicy {
        auto_scaling_group_name: "web".into(),
        policy_name: "fewer".into(),
        adjustment_type: Some("ExactCapacity".into()),
        scaling_adjustment: Some(1),
        ..wire::PutScalingPolicy::default()
    };
    rig.call(&fewer).unwrap();
    let execute = wire::ExecutePolicy {
        auto_scaling_group_name: Some("web".into()),
        policy_name: "fewer".into(),
        ..wire::ExecutePolicy::default()
    };
    rig.call(&execute).unwrap();
    assert_eq!(desired(&rig), 4);
    let told = rig.said(&["asg", "explain", "web"]);
    for part in [
        "policy ahead (PredictiveScaling)",
        "hours of load, by the same hour of each day",
        "a day ahead, such forecasts were off by 0.0 % over 168 h",
        "at its target of 50, a member takes 500.00 of the load, as 33",
        "a load of 1900.00, a capacity of 4",
        "foreseen for now: 4, below which no policy scales in",
        "desired capacity 1 → 4 by policy ahead",
    ] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    // What was foreseen outlives the daemon.
    rig.kill_daemon();
    rig.up();
    assert_eq!(rig.call(&ask).unwrap(), forecast);
    end(&mut rig);
    rig.finish();
}
