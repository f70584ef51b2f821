//! Warm pools of real instances: a group grows by who is ready and shrinks into its pool, whoever is killed meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_aws::autoscaling as wire;

use crate::crash::Dice;
use crate::rig::Rig;
use crate::scaling::{self, PATIENCE, activities, living, members, scale, settled};
use crate::steady::{Steady, let_flow};

/// Requests a second while it grows and shrinks.
const RATE: u32 = 300;
/// How often the daemon is killed.
const KILLS: usize = 20;

fn put(rig: &Rig, prepared: i64, state: &str) {
    rig.call(&wire::PutWarmPool {
        auto_scaling_group_name: "web".into(),
        max_group_prepared_capacity: Some(prepared),
        pool_state: Some(state.into()),
        instance_reuse_policy: Some(wire::InstanceReusePolicy { reuse_on_scale_in: Some(true) }),
        ..wire::PutWarmPool::default()
    })
    .unwrap();
}

fn pooled(rig: &Rig) -> Vec<wire::Instance> {
    let input = wire::DescribeWarmPool { auto_scaling_group_name: "web".into(), ..wire::DescribeWarmPool::default() };
    rig.call(&input).unwrap().instances.0
}

/// Waits until so many are ready in that state, and no others are in the pool; who they are.
fn ready(rig: &mut Rig, count: usize, state: &str) -> BTreeSet<String> {
    rig.wait("the pool to be ready", PATIENCE, |rig| {
        let pooled = pooled(rig);
        let ready = pooled.len() == count && pooled.iter().all(|member| member.lifecycle_state == state);
        ready.then(|| pooled.into_iter().map(|member| member.instance_id).collect())
    })
}

#[test]
fn a_group_grows_by_who_is_ready_and_shrinks_into_its_pool_without_losing_a_request() {
    let mut rig = scaling::started();
    let said = rig.said(&["asg", "pool", "web", "--prepared", "4", "--reuse", "--wait"]);
    assert!(said.ends_with("3 of 3 are ready\n"), "{said}");
    let stopped = ready(&mut rig, 3, "Warmed:Stopped");
    let shown = rig.said(&["asg", "pool", "web"]);
    assert!(shown.contains("prepared   4") && stopped.iter().all(|id| shown.contains(id.as_str())), "{shown}");
    let told = rig.said(&["asg", "explain", "web"]);
    assert!(told.contains("warm pool: 3 of 3 ready (Stopped), those who are too many come back\n"), "{told}");
    for id in &stopped {
        rig.wait_state(id, "stopped");
    }

    let steady = Steady::start(&rig, "web", RATE);
    let_flow(&mut rig, &steady, 100);
    scale(&rig, 4);
    let all: BTreeSet<String> = settled(&mut rig, 4).into_iter().collect();
    assert!(stopped.is_subset(&all), "those who were ready serve: {stopped:?}, {all:?}");
    rig.wait_in_service("web", &all.iter().cloned().collect::<Vec<_>>());
    put(&rig, 4, "Running");
    for _ in 0..3 {
        let_flow(&mut rig, &steady, 200);
        scale(&rig, 1);
        let left: BTreeSet<String> = settled(&mut rig, 1).into_iter().collect();
        let back = ready(&mut rig, 3, "Warmed:Running");
        assert_eq!(back.union(&left).cloned().collect::<BTreeSet<_>>(), all, "they are the same");
        let_flow(&mut rig, &steady, 100);
        scale(&rig, 4);
        assert_eq!(settled(&mut rig, 4).into_iter().collect::<BTreeSet<_>>(), all);
        rig.wait_in_service("web", &all.iter().cloned().collect::<Vec<_>>());
    }
    scale(&rig, 1);
    ready(&mut rig, 3, "Warmed:Running");
    let report = steady.stop();
    assert_eq!(report.lost, Vec::<String>::new(), "of {}", report.sent);
    let launched = activities(&rig).into_iter().filter_map(|activity| activity.description);
    let launched = launched.filter(|told| told.starts_with("Launching a new EC2 instance: ")).count();
    assert_eq!(launched, 1, "nobody was launched for work but the first");

    rig.said(&["asg", "pool", "web", "--delete", "--wait"]);
    assert!(pooled(&rig).is_empty());
    settled(&mut rig, 1);
    scaling::end(&mut rig);
    rig.finish();
}

/// Wherever it is: on its way into the pool, stopped, drawn, on its way back.
#[test]
fn a_daemon_killed_at_twenty_points_of_a_pools_course_loses_and_doubles_nobody() {
    let mut rig = scaling::started();
    let mut dice = Dice(0x9001);
    for round in 0..KILLS {
        put(&rig, i64::try_from(dice.below(6)).unwrap(), if round % 3 == 0 { "Running" } else { "Stopped" });
        scale(&rig, 1 + i64::try_from(dice.below(4)).unwrap());
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        rig.kill_daemon();
        rig.up();
    }
    put(&rig, 4, "Stopped");
    scale(&rig, 2);
    let serving: BTreeSet<String> = settled(&mut rig, 2).into_iter().collect();
    let ready = ready(&mut rig, 2, "Warmed:Stopped");
    let known: BTreeSet<String> = serving.union(&ready).cloned().collect();
    assert_eq!(living(&rig), known, "nobody is lost");
    for activity in activities(&rig) {
        assert_eq!(activity.progress, Some(100), "{activity:?}");
    }
    assert_eq!(members(&rig).len(), 2);
    scaling::end(&mut rig);
    rig.finish();
}
