//! Auto scaling groups of real instances behind a balancer, under steady load, whoever is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_aws::{Time, autoscaling as wire, cloudwatch, elb};

use crate::crash::Dice;
use crate::notices::{self, Subscriber};
use crate::rig::{Rig, kill9, processes_of_instance};
use crate::steady::{Steady, let_flow};

pub const ZONES: [&str; 2] = ["us-east-1a", "us-east-1b"];
/// Requests a second while groups grow and shrink.
const RATE: u32 = 300;
/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Hooks, and what they stand before.
const HOOKS: [(&str, &str); 2] =
    [("warm", "autoscaling:EC2_INSTANCE_LAUNCHING"), ("save", "autoscaling:EC2_INSTANCE_TERMINATING")];
/// How often the daemon is killed.
const KILLS: usize = 30;

/// A group `web` behind the balancer `web`, of at most six.
pub fn group(rig: &Rig, image: &str, desired: i64) {
    rig.call(&wire::CreateLaunchConfiguration {
        launch_configuration_name: "web-1".into(),
        image_id: Some(image.into()),
        instance_type: Some("m1.small".into()),
        ..wire::CreateLaunchConfiguration::default()
    })
    .unwrap();
    rig.call(&wire::CreateAutoScalingGroup {
        auto_scaling_group_name: "web".into(),
        launch_configuration_name: Some("web-1".into()),
        min_size: 1,
        max_size: 6,
        desired_capacity: Some(desired),
        availability_zones: Some(ZONES.map(str::to_owned).into_iter().collect()),
        load_balancer_names: vec!["web".to_owned()].into(),
        health_check_type: Some("ELB".into()),
        health_check_grace_period: Some(20),
        ..wire::CreateAutoScalingGroup::default()
    })
    .unwrap();
}

/// A daemon with a group of one, in service behind a balancer.
pub fn started() -> Rig {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    // With fewer members than zones, each zone's node sends to the others' members too.
    rig.call(&elb::ModifyLoadBalancerAttributes {
        load_balancer_name: "web".into(),
        load_balancer_attributes: elb::LoadBalancerAttributes {
            cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
            ..elb::LoadBalancerAttributes::default()
        },
    })
    .unwrap();
    group(&rig, &image, 1);
    let first = settled(&mut rig, 1);
    rig.wait_in_service("web", &first);
    rig
}

/// Says how many members there are to be.
pub fn scale(rig: &Rig, desired: i64) {
    rig.call(&wire::SetDesiredCapacity {
        auto_scaling_group_name: "web".into(),
        desired_capacity: desired,
        honor_cooldown: None,
    })
    .unwrap();
}

/// Whoever is in a group.
pub fn members(rig: &Rig) -> Vec<wire::Instance> {
    let shown = rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap();
    shown.auto_scaling_groups.0.into_iter().flat_map(|group| group.instances.0).collect()
}

/// Waits until a group has so many members in service, and no others; who they are.
pub fn settled(rig: &mut Rig, count: usize) -> Vec<String> {
    rig.wait("the group to have as many as it is to have", PATIENCE, |rig| {
        let members = members(rig);
        let settled = members.len() == count && members.iter().all(|member| member.lifecycle_state == "InService");
        settled.then(|| members.into_iter().map(|member| member.instance_id).collect())
    })
}

/// What the group did.
pub fn activities(rig: &Rig) -> Vec<wire::Activity> {
    let input = wire::DescribeScalingActivities {
        auto_scaling_group_name: Some("web".into()),
        ..wire::DescribeScalingActivities::default()
    };
    rig.call(&input).unwrap().activities.0
}

/// Ends a group with all its members: else it would replace those that are ended with the rig.
pub fn end(rig: &mut Rig) {
    let (auto_scaling_group_name, force_delete) = ("web".to_owned(), Some(true));
    rig.call(&wire::DeleteAutoScalingGroup { auto_scaling_group_name, force_delete }).unwrap();
    rig.wait("the group to end", PATIENCE, |rig| {
        let left = rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap().auto_scaling_groups.0;
        left.is_empty().then_some(())
    });
}

#[test]
fn a_group_grows_shrinks_and_heals_under_load_without_losing_a_request() {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    group(&rig, &image, 2);
    let first = settled(&mut rig, 2);
    rig.wait_in_service("web", &first);
    let steady = Steady::start(&rig, "web", RATE);
    let_flow(&mut rig, &steady, 50);
    scale(&rig, 6);
    let all = settled(&mut rig, 6);
    rig.wait_in_service("web", &all);
    let_flow(&mut rig, &steady, 100);
    let zones = members(&rig).iter().filter(|member| member.availability_zone == ZONES[0]).count();
    assert_eq!(zones, 3, "zones are evened out");
    scale(&rig, 2);
    let left = settled(&mut rig, 2);
    rig.wait_in_service("web", &left);
    let_flow(&mut rig, &steady, 100);
    let report = steady.stop();
    assert_eq!(report.lost, Vec::<String>::new(), "of {}", report.sent);

    // One that dies is followed by another.
    processes_of_instance(&left[0]).iter().for_each(|pid| kill9(*pid));
    rig.call(&evenkeel_aws::ec2::TerminateInstances { instance_ids: vec![left[0].clone()], ..Default::default() })
        .unwrap();
    rig.wait("another in its place", PATIENCE, |rig| {
        let now: Vec<String> = members(rig).into_iter().map(|member| member.instance_id).collect();
        (now.len() == 2 && !now.contains(&left[0])).then_some(())
    });
    let healed = settled(&mut rig, 2);
    let causes: Vec<String> = activities(&rig).into_iter().map(|activity| activity.cause).collect();
    let told = "in response to an EC2 health check indicating it has been terminated or stopped.";
    assert!(causes.iter().any(|cause| cause.ends_with(told)), "{causes:?}");
    rig.wait_in_service("web", &healed);
    end(&mut rig);
    rig.finish();
}

#[test]
fn a_daemon_killed_at_thirty_points_of_growth_and_shrinkage_loses_and_doubles_nothing() {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    group(&rig, &image, 1);
    settled(&mut rig, 1);
    let mut dice = Dice(0x5CA1E);
    for _ in 0..KILLS {
        scale(&rig, 1 + i64::try_from(dice.below(4)).unwrap());
        // Wherever it then is: before the first step, in the midst of launches, of drains, of ends.
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        rig.kill_daemon();
        rig.up();
    }
    scale(&rig, 3);
    let serving: BTreeSet<String> = settled(&mut rig, 3).into_iter().collect();
    accounted(&rig, &serving);
    end(&mut rig);
    rig.finish();
}

/// The same with hooks before service and before the end, which somebody answers whom no daemon's death concerns.
#[test]
fn a_daemon_killed_at_thirty_points_of_hooks_waits_on_and_is_answered_once() {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    group(&rig, &image, 1);
    settled(&mut rig, 1);
    for (name, transition) in HOOKS {
        rig.call(&wire::PutLifecycleHook {
            auto_scaling_group_name: "web".into(),
            lifecycle_hook_name: name.into(),
            lifecycle_transition: Some(transition.into()),
            heartbeat_timeout: Some(600),
            ..wire::PutLifecycleHook::default()
        })
        .unwrap();
    }
    let (mut dice, mut answered) = (Dice(0x400C5), BTreeSet::new());
    for _ in 0..KILLS {
        scale(&rig, 1 + i64::try_from(dice.below(4)).unwrap());
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        answer(&rig, &mut answered);
        // Wherever it then is: before the wait, in it, after the answer.
        std::thread::sleep(Duration::from_millis(dice.below(100)));
        rig.kill_daemon();
        rig.up();
    }
    scale(&rig, 3);
    let serving: BTreeSet<String> = rig.wait("the group to have as many as it is to have", PATIENCE, |rig| {
        answer(rig, &mut answered);
        let members = members(rig);
        let settled = members.len() == 3 && members.iter().all(|member| member.lifecycle_state == "InService");
        settled.then(|| members.into_iter().map(|member| member.instance_id).collect())
    });
    for (name, _) in HOOKS {
        assert!(answered.iter().any(|(hook, _)| *hook == name), "nobody waited for `{name}`");
    }
    accounted(&rig, &serving);
    end(&mut rig);
    rig.finish();
}

/// Tells all who wait for a hook to go on; an answer is taken once.
fn answer(rig: &Rig, answered: &mut BTreeSet<(&'static str, String)>) {
    for member in members(rig) {
        let hook = match member.lifecycle_state.as_str() {
            "Pending:Wait" => "warm",
            "Terminating:Wait" => "save",
            _ => continue,
        };
        let told = rig.call(&wire::CompleteLifecycleAction {
            auto_scaling_group_name: "web".into(),
            lifecycle_hook_name: hook.into(),
            instance_id: Some(member.instance_id.clone()),
            lifecycle_action_result: "CONTINUE".into(),
            ..wire::CompleteLifecycleAction::default()
        });
        match told {
            Ok(_) => assert!(answered.insert((hook, member.instance_id.clone())), "{hook} was answered twice"),
            // It went on since it was looked at.
            Err(error) => assert_eq!(error.code, "ValidationError", "{error:?}"),
        }
    }
}

/// What a topic's subscriber was told by a group, of that event.
fn events(told: &Subscriber, event: &str) -> Vec<serde_json::Value> {
    let texts = told.texts().into_iter().map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
    texts.filter(|text| text["Event"] == event || text["LifecycleTransition"] == event).collect()
}

#[test]
fn subscribers_are_told_of_activities_and_hooks_once_whoever_is_killed() {
    let mut rig = Rig::start();
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    let (topic, told) = (notices::topic(&rig), Subscriber::start(200));
    notices::subscribed(&mut rig, &topic, &told, false);
    group(&rig, &image, 1);
    settled(&mut rig, 1);
    let kinds = ["LAUNCH", "LAUNCH_ERROR", "TERMINATE"].map(|kind| format!("autoscaling:EC2_INSTANCE_{kind}"));
    rig.call(&wire::PutNotificationConfiguration {
        auto_scaling_group_name: "web".into(),
        topic_arn: topic.clone(),
        notification_types: kinds.to_vec().into(),
    })
    .unwrap();
    rig.call(&wire::PutLifecycleHook {
        auto_scaling_group_name: "web".into(),
        lifecycle_hook_name: "warm".into(),
        lifecycle_transition: Some(HOOKS[0].1.into()),
        heartbeat_timeout: Some(600),
        notification_target_arn: Some(topic),
        notification_metadata: Some("warm it".into()),
        ..wire::PutLifecycleHook::default()
    })
    .unwrap();
    rig.wait("both tests", PATIENCE, |_| (events(&told, "autoscaling:TEST_NOTIFICATION").len() == 2).then_some(()));
    scale(&rig, 2);
    rig.kill_daemon();
    rig.up();
    let wait = rig.wait("the hook to be told of", PATIENCE, |_| events(&told, HOOKS[0].1).pop());
    assert_eq!((&wait["NotificationMetadata"], &wait["Destination"]), (&"warm it".into(), &"AutoScalingGroup".into()));
    // Whoever is told answers, from anywhere.
    rig.call(&wire::CompleteLifecycleAction {
        auto_scaling_group_name: "web".into(),
        lifecycle_hook_name: "warm".into(),
        lifecycle_action_token: wait["LifecycleActionToken"].as_str().map(ToOwned::to_owned),
        lifecycle_action_result: "CONTINUE".into(),
        ..wire::CompleteLifecycleAction::default()
    })
    .unwrap();
    rig.kill_daemon();
    rig.up();
    settled(&mut rig, 2);
    let launched = rig.wait("the launch to be told of", PATIENCE, |_| events(&told, &kinds[0]).pop());
    assert_eq!(
        (&launched["EC2InstanceId"], &launched["AutoScalingGroupName"]),
        (&wait["EC2InstanceId"], &"web".into())
    );
    assert!(launched["Cause"].as_str().unwrap().contains("increasing the capacity from 1 to 2."), "{launched}");
    scale(&rig, 1);
    rig.kill_daemon();
    rig.up();
    settled(&mut rig, 1);
    rig.wait("the end to be told of", PATIENCE, |_| events(&told, &kinds[2]).pop());
    end(&mut rig);
    rig.wait("the last end to be told of", PATIENCE, |_| (events(&told, &kinds[2]).len() == 2).then_some(()));
    let counts = [HOOKS[0].1, &kinds[0], &kinds[1], &kinds[2]].map(|event| events(&told, event).len());
    assert_eq!(counts, [1, 1, 0, 2], "each is told of once");
    rig.finish();
}

/// Instances that have not ended.
pub fn living(rig: &Rig) -> BTreeSet<String> {
    let instances = rig.call(&evenkeel_aws::ec2::DescribeInstances::default()).unwrap();
    let all = instances.reservation_set.0.into_iter().flat_map(|reservation| reservation.instances_set.0);
    all.filter(|instance| instance.instance_state.name != "terminated").map(|instance| instance.instance_id).collect()
}

/// Nobody runs but those who serve, each launch and each end was told of once, and all of it is over.
pub fn accounted(rig: &Rig, serving: &BTreeSet<String>) {
    assert_eq!(living(rig), *serving, "nobody runs whom the group does not know");
    let (mut launched, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for activity in activities(rig) {
        assert_eq!(activity.progress, Some(100), "{activity:?}");
        if activity.status_code == "Failed" {
            // One that came to nothing is told of once.
            continue;
        }
        let description = activity.description.unwrap_or_default();
        let (what, instance) = description.split_once(": ").unwrap();
        let told = if what.starts_with("Launching") { &mut launched } else { &mut ended };
        assert!(told.insert(instance.to_owned()), "{description} is told twice");
    }
    let left: BTreeSet<String> = launched.difference(&ended).cloned().collect();
    assert_eq!(left, *serving, "what was told comes to what there is");
}

/// The point of it all: nobody does anything but work, and the group grows by its load average, and shrinks again.
#[test]
fn a_group_grows_by_its_load_average_and_shrinks_without_it() {
    let mut rig = Rig::start();
    let image = rig.image_with("busy", &[], |dir, manifest| {
        // Busy for as long as nobody has said that it is enough.
        let text = "while [ ! -e enough ]; do :; done; exec sleep 1000";
        std::fs::write(dir.join("work.sh"), text).unwrap();
        manifest.insert("command".into(), vec!["sh", "work.sh"].into());
    });
    rig.balancer("web", &ZONES);
    group(&rig, &image, 1);
    rig.call(&wire::DetachLoadBalancers {
        auto_scaling_group_name: "web".into(),
        load_balancer_names: vec!["web".to_owned()].into(),
    })
    .unwrap();
    rig.call(&wire::EnableMetricsCollection {
        auto_scaling_group_name: "web".into(),
        metrics: vec!["GroupInServiceInstances".to_owned()].into(),
        granularity: "1Minute".into(),
    })
    .unwrap();
    settled(&mut rig, 1);
    policy(&rig, "more", 1, "GreaterThanThreshold", 0.15);
    let two = settled_by_itself(&mut rig, 2);
    // The policy is not in the way of what follows.
    rig.call(&wire::SuspendProcesses {
        auto_scaling_group_name: "web".into(),
        scaling_processes: vec!["AlarmNotification".to_owned()].into(),
    })
    .unwrap();
    let causes: Vec<String> = activities(&rig).into_iter().map(|activity| activity.cause).collect();
    let told = "a monitor alarm more in state ALARM triggered policy more changing the desired capacity from 1 to 2.";
    assert!(causes.iter().any(|cause| cause.contains(told)), "{causes:?}");
    let counted = cloudwatch::GetMetricStatistics {
        namespace: Some("AWS/AutoScaling".into()),
        metric_name: Some("GroupInServiceInstances".into()),
        dimensions: vec![dimension()].into(),
        start_time: Some(Time((now() - 300) * 1000)),
        end_time: Some(Time((now() + 60) * 1000)),
        period: Some(1),
        statistics: vec!["Maximum".to_owned()].into(),
        ..cloudwatch::GetMetricStatistics::default()
    };
    rig.wait("the group to be counted", PATIENCE, |rig| {
        let points = rig.call(&counted).unwrap().datapoints;
        points.iter().any(|point| point.maximum == Some(2.0)).then_some(())
    });
    for id in &two {
        rig.write_inside(id, "enough", "");
    }
    policy(&rig, "fewer", -1, "LessThanThreshold", 5.0);
    rig.call(&wire::ResumeProcesses {
        auto_scaling_group_name: "web".into(),
        scaling_processes: vec!["AlarmNotification".to_owned()].into(),
    })
    .unwrap();
    rig.call(&cloudwatch::DeleteAlarms { alarm_names: vec!["more".to_owned()].into() }).unwrap();
    settled_by_itself(&mut rig, 1);
    end(&mut rig);
    rig.finish();
}

fn settled_by_itself(rig: &mut Rig, count: usize) -> Vec<String> {
    rig.wait("the group to change by itself", Duration::from_secs(120), |rig| {
        let members = members(rig);
        let settled = members.len() == count && members.iter().all(|member| member.lifecycle_state == "InService");
        settled.then(|| members.into_iter().map(|member| member.instance_id).collect())
    })
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn dimension() -> cloudwatch::Dimension {
    cloudwatch::Dimension { name: Some("AutoScalingGroupName".into()), value: Some("web".into()) }
}

/// A step policy, and the alarm on the group's load average that carries it out.
fn policy(rig: &Rig, name: &str, adjustment: i64, comparison: &str, threshold: f64) {
    let step = wire::StepAdjustment { scaling_adjustment: adjustment, ..wire::StepAdjustment::default() };
    let step = match adjustment > 0 {
        true => wire::StepAdjustment { metric_interval_lower_bound: Some(0.0), ..step },
        false => wire::StepAdjustment { metric_interval_upper_bound: Some(0.0), ..step },
    };
    let put = rig.call(&wire::PutScalingPolicy {
        auto_scaling_group_name: "web".into(),
        policy_name: name.into(),
        policy_type: Some("StepScaling".into()),
        adjustment_type: Some("ChangeInCapacity".into()),
        estimated_instance_warmup: Some(10),
        step_adjustments: vec![step].into(),
        ..wire::PutScalingPolicy::default()
    });
    rig.call(&cloudwatch::PutMetricAlarm {
        alarm_name: Some(name.into()),
        namespace: Some("AWS/EC2".into()),
        metric_name: Some("LoadAverage1".into()),
        dimensions: vec![dimension()].into(),
        statistic: Some("Average".into()),
        period: Some(10),
        evaluation_periods: Some(1),
        threshold: Some(threshold),
        comparison_operator: Some(comparison.into()),
        alarm_actions: vec![put.unwrap().policy_arn.unwrap()].into(),
        ..cloudwatch::PutMetricAlarm::default()
    })
    .unwrap();
}
