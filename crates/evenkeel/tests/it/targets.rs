//! Groups that keep a metric at a target: load rises, members come; load falls, they go; no request is lost.

use std::time::{Duration, Instant};

use evenkeel_aws::{Time, autoscaling as wire, cloudwatch};

use crate::rig::Rig;
use crate::scaling::{PATIENCE, activities, end, started};
use crate::steady::{Steady, let_flow};

/// From the first value above the target until there are to be more.
const FOLLOWS: Duration = Duration::from_secs(15);

fn shown(rig: &Rig) -> wire::AutoScalingGroup {
    rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap().auto_scaling_groups.0.remove(0)
}

fn track(rig: &Rig, configuration: wire::TargetTrackingConfiguration) -> wire::PutScalingPolicyOutput {
    rig.call(&wire::PutScalingPolicy {
        auto_scaling_group_name: "web".into(),
        policy_name: "target".into(),
        policy_type: Some("TargetTrackingScaling".into()),
        estimated_instance_warmup: Some(2),
        target_tracking_configuration: Some(configuration),
        ..wire::PutScalingPolicy::default()
    })
    .unwrap()
}

/// Waits until there are to be so many, or more, and how long it took.
fn wanted(rig: &mut Rig, count: i64) -> Duration {
    let began = Instant::now();
    rig.wait("there to be more", PATIENCE, |rig| (shown(rig).desired_capacity >= count).then_some(()));
    began.elapsed()
}

/// Waits until so many are in service, and lets a load go on that they take a share of: nothing of it is lost.
fn shared(rig: &mut Rig, count: usize, more: Steady, requests: u64) {
    rig.wait("members in service", PATIENCE, |rig| {
        let serving = |member: &&wire::Instance| member.lifecycle_state == "InService";
        (shown(rig).instances.iter().filter(serving).count() >= count).then_some(())
    });
    let_flow(rig, &more, requests);
    kept(more);
}

/// Ends a load: nothing of it was lost.
fn kept(load: Steady) {
    let report = load.stop();
    assert_eq!(report.lost, Vec::<String>::new(), "of {}", report.sent);
}

/// Waits until the fewest are there again.
fn back(rig: &mut Rig) {
    rig.wait("the group to shrink again", Duration::from_secs(120), |rig| {
        let group = shown(rig);
        (group.desired_capacity == 1 && group.instances.len() == 1).then_some(())
    });
}

#[test]
fn a_group_follows_the_requests_of_its_balancer_up_and_down_without_losing_one() {
    let mut rig = started();
    let put = track(
        &rig,
        wire::TargetTrackingConfiguration {
            predefined_metric_specification: Some(wire::PredefinedMetricSpecification {
                predefined_metric_type: "ALBRequestCountPerTarget".into(),
                resource_label: None,
            }),
            // A minute, as AWS has it: 110 a second.
            target_value: 6_600.0,
            ..wire::TargetTrackingConfiguration::default()
        },
    );
    assert_eq!(put.alarms.len(), 2);
    let steady = Steady::start(&rig, "web", 100);
    let_flow(&mut rig, &steady, 500);
    assert_eq!(shown(&rig).desired_capacity, 1, "a load within the target changes nothing");
    let more = Steady::start(&rig, "web", 400);
    let took = wanted(&mut rig, 4);
    println!("five times the load was followed after {took:?}");
    assert!(took <= FOLLOWS, "five times the load was followed after {took:?}");
    shared(&mut rig, 4, more, 1_000);
    back(&mut rig);
    let_flow(&mut rig, &steady, 200);
    kept(steady);
    let causes: Vec<String> = activities(&rig).into_iter().map(|activity| activity.cause).collect();
    for side in ["AlarmHigh", "AlarmLow"] {
        let told = |cause: &&String| cause.contains(&format!("alarm TargetTracking-web-{side}-"));
        let cause = causes.iter().find(told).unwrap_or_else(|| panic!("no {side} in {causes:?}"));
        assert!(cause.contains("in state ALARM triggered policy target changing the desired capacity"), "{cause}");
    }
    let told = rig.said(&["asg", "explain", "web"]);
    for part in ["policy target (TargetTrackingScaling)", "AlarmHigh", "desired capacity stays 1", "by policy target"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    end(&mut rig);
    let left = rig.call(&cloudwatch::DescribeAlarms::default()).unwrap();
    assert!(left.metric_alarms.is_empty(), "{left:?}");
    rig.finish();
}

#[test]
fn a_group_follows_its_load_average_up_and_down_without_losing_a_request() {
    let mut rig = started();
    // Each request takes a processor for 25 ms: four a second come to a tenth.
    let busy = |rig: &Rig, rate| Steady::start_on(rig, "web", "/busy?ms=25", rate);
    let steady = busy(&rig, 4);
    let target = 0.2;
    track(
        &rig,
        wire::TargetTrackingConfiguration {
            customized_metric_specification: Some(wire::CustomizedMetricSpecification {
                namespace: Some("AWS/EC2".into()),
                metric_name: Some("LoadAverage1".into()),
                dimensions: vec![wire::MetricDimension { name: "AutoScalingGroupName".into(), value: "web".into() }]
                    .into(),
                statistic: Some("Average".into()),
                ..wire::CustomizedMetricSpecification::default()
            }),
            target_value: target,
            ..wire::TargetTrackingConfiguration::default()
        },
    );
    // Neighbours that take processors may bring it above the target before its own load does.
    let mut breach = Breach { target, since: None };
    let until = steady.snapshot().sent + 20;
    let early = rig.wait("traffic to flow", PATIENCE, |rig| {
        let took = breach.followed(rig);
        (took.is_some() || steady.snapshot().sent >= until).then_some(took)
    });
    let more = busy(&rig, 16);
    let took =
        early.unwrap_or_else(|| rig.wait("the load average to be followed", PATIENCE, |rig| breach.followed(rig)));
    println!("the load average was followed after {took:?}");
    assert!(took <= FOLLOWS, "the load average was followed after {took:?}");
    shared(&mut rig, 2, more, 50);
    kept(steady);
    back(&mut rig);
    end(&mut rig);
    rig.finish();
}

/// Since when a group's load average has been above its target. Near the target it goes up and down.
struct Breach {
    target: f64,
    since: Option<Instant>,
}

impl Breach {
    /// Looks; how long it took until there were to be more members, once there are.
    fn followed(&mut self, rig: &Rig) -> Option<Duration> {
        let is_followed = shown(rig).desired_capacity >= 2;
        match newest(rig)? > self.target {
            true => drop(self.since.get_or_insert_with(Instant::now)),
            false if !is_followed => self.since = None,
            false => {}
        }
        self.since.filter(|_| is_followed).map(|since| since.elapsed())
    }
}

/// The group's newest load average.
fn newest(rig: &Rig) -> Option<f64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(since.as_secs()).unwrap();
    let input = cloudwatch::GetMetricStatistics {
        namespace: Some("AWS/EC2".into()),
        metric_name: Some("LoadAverage1".into()),
        dimensions: vec![cloudwatch::Dimension {
            name: Some("AutoScalingGroupName".into()),
            value: Some("web".into()),
        }]
        .into(),
        start_time: Some(Time((now - 5) * 1000)),
        end_time: Some(Time((now + 1) * 1000)),
        period: Some(1),
        statistics: vec!["Average".to_owned()].into(),
        ..cloudwatch::GetMetricStatistics::default()
    };
    let points = rig.call(&input).unwrap().datapoints.0;
    points.into_iter().max_by_key(|point| point.timestamp)?.average
}
