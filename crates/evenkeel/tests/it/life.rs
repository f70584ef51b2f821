//! Lives: of instances that are stopped, started, rebooted or end by themselves, and of a road that is killed.

use std::time::{Duration, Instant};

use evenkeel_aws::ec2;

use crate::rig::{PROGRAM, Rig, kill9, processes_of, processes_of_instance};
use crate::steady::Steady;

/// The private address of an instance.
fn address(rig: &Rig, id: &str) -> String {
    let input = ec2::DescribeInstances { instance_ids: vec![id.into()], ..Default::default() };
    rig.call(&input).unwrap().reservation_set[0].instances_set[0].private_ip_address.clone()
}

#[test]
fn a_stopped_instance_starts_again_at_its_address_and_serves_without_being_registered_anew() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1)]);
    let home = address(&rig, &ids[0]);

    rig.call(&ec2::StopInstances { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    let why = rig.wait_state(&ids[0], "stopped");
    assert_eq!(why, "Client.UserInitiatedShutdown: User initiated shutdown");
    assert_eq!(processes_of_instance(&ids[0]), Vec::<i32>::new());
    assert_eq!(rig.health("test")[0].1, "OutOfService: Instance is in stopped state.");
    assert_eq!(rig.get(rig.nodes("test")[0].1, "/").unwrap().0, 503);

    rig.call(&ec2::StartInstances { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    rig.wait_state(&ids[0], "running");
    assert_eq!(address(&rig, &ids[0]), home);
    rig.wait_in_service("test", &ids);
    assert_eq!(rig.get(rig.nodes("test")[0].1, "/").unwrap().0, 200);
    rig.finish();
}

#[test]
fn a_reboot_changes_the_processes_and_nothing_else() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 1);
    let before = processes_of_instance(&ids[0]);
    rig.call(&ec2::RebootInstances { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    rig.wait("new processes", Duration::from_secs(20), |rig| {
        assert_eq!(rig.state(&ids[0]).0, "running");
        let now = processes_of_instance(&ids[0]);
        (!now.is_empty() && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    rig.finish();
}

#[test]
fn an_instance_that_ends_while_the_daemon_is_down_is_found_so_by_the_next_one() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 2);
    rig.kill_daemon();
    for pid in processes_of_instance(&ids[0]) {
        kill9(pid);
    }
    let survivors = processes_of_instance(&ids[1]);
    rig.up();
    let why = rig.wait_state(&ids[0], "stopped");
    assert!(why.starts_with("Client.InternalError"), "{why}");
    assert_eq!(rig.state(&ids[1]).0, "running");
    assert_eq!(processes_of_instance(&ids[1]), survivors);
    rig.finish();
}

#[test]
fn an_application_that_ends_by_itself_follows_its_shutdown_behaviour() {
    let mut rig = Rig::start();
    let image = rig.image("brief", &[("EXIT_AFTER_MS", "300")]);
    let stops = rig.launch(&image, "us-east-1a", 1).remove(0);
    let input = ec2::RunInstances {
        image_id: Some(image),
        min_count: 1,
        max_count: 1,
        instance_initiated_shutdown_behavior: Some("terminate".into()),
        ..Default::default()
    };
    let ends = rig.call(&input).unwrap().instances_set[0].instance_id.clone();
    assert!(rig.wait_state(&stops, "stopped").starts_with("Client."));
    assert!(rig.wait_state(&ends, "terminated").starts_with("Client."));
    rig.finish();
}

#[test]
fn down_without_instances_leaves_them_running_and_up_takes_them_on() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    let processes = processes_of_instance(&ids[0]);
    let down = std::process::Command::new(PROGRAM).args(["down", "--data-dir"]).arg(rig.data_dir()).output().unwrap();
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    rig.daemon.take().unwrap().wait().unwrap();
    assert!(rig.get(node, "/").is_err(), "the road still answers");
    assert_eq!(processes_of_instance(&ids[0]), processes);
    rig.up();
    rig.wait_in_service("test", &ids);
    assert_eq!(rig.get(node, "/").unwrap().0, 200);
    assert_eq!(processes_of_instance(&ids[0]), processes);
    rig.finish();
}

#[test]
fn a_road_that_is_killed_is_back_within_seconds_with_the_last_routes() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 2)]);
    let node = rig.nodes("test")[0].1;
    let road = std::fs::read_to_string(rig.file("road.lock")).unwrap().parse().unwrap();
    let begin = Instant::now();
    kill9(road);
    rig.wait("the road to serve again", Duration::from_secs(10), |rig| {
        rig.get(node, "/").is_ok_and(|(status, _)| status == 200).then_some(())
    });
    println!("served again {:?} after the road was killed", begin.elapsed());
    rig.wait_in_service("test", &ids);
    rig.finish();
}

#[test]
fn the_road_goes_on_without_the_office_and_still_takes_out_the_dead() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 3)]);
    let steady = Steady::start(&rig, "test", 300);
    rig.kill_daemon();
    for pid in processes_of_instance(&ids[0]) {
        kill9(pid);
    }
    let sent = steady.snapshot().sent;
    rig.wait("traffic without an office", Duration::from_secs(20), |_| {
        (steady.snapshot().sent > sent + 600).then_some(())
    });
    assert_eq!(steady.stop().lost, Vec::<String>::new());
    assert!(!processes_of(rig.data_dir()).is_empty());
    rig.up();
    rig.finish();
}
