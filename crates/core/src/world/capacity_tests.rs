//! Launches, starts, attributes and protection against zones that declare what they have.

use std::collections::BTreeMap;

use super::*;
use crate::change::{Change, EndedBy, InstanceAttribute, NewImage, NewInstances, Protection, Reply, Seen};
use crate::lifecycle::Wish;
use crate::name::{ImageId, InstanceId, Port, ReservationId};
use crate::noun::{InstanceStatus, Manifest, ShutdownBehavior};
use crate::time::Timestamp;
use crate::world::{Limits, Settings};

const NOW: Timestamp = Timestamp(1000);

fn zone(letter: &str) -> ZoneName {
    ZoneName::new(format!("us-east-1{letter}")).unwrap()
}

/// A world with an image that needs 600 MiB, and room for two t2.micro in `a`, for one in `b`, for any number in `c` where
/// `open`.
fn world(open: bool) -> World {
    let mut capacity = BTreeMap::from([
        (zone("a"), Capacity { cpu_millis: Some(4000), memory_mib: Some(2048) }),
        (zone("b"), Capacity { cpu_millis: Some(1500), memory_mib: None }),
    ]);
    if !open {
        capacity.insert(zone("c"), Capacity { cpu_millis: Some(1), memory_mib: None });
    }
    let mut world = World::empty(Settings {
        region: "us-east-1".into(),
        zones: ["a", "b", "c"].map(zone).into(),
        capacity,
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/27".parse().unwrap(),
        instance_pool: "127.81.0.0/24".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits { instances: 20, ..Limits::default() },
    });
    let mut manifest = Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap());
    manifest.resources.memory_mib = Some(600);
    let image = NewImage {
        id: ImageId::new("ami-00000001").unwrap(),
        name: "app".into(),
        description: String::new(),
        manifest,
        location: "/app".into(),
        digest: "00".into(),
        size: None,
        tags: BTreeMap::new(),
    };
    world.apply(&Change::RegisterImage(image), NOW).unwrap();
    world
}

/// A launch of `least` to `most` instances; its ids begin at `first`.
fn launch(first: u32, least: u32, most: u32, instance_type: &str, at: Option<&str>) -> Change {
    Change::RunInstances(NewInstances {
        reservation: ReservationId::new(format!("r-{first:08x}")).unwrap(),
        ids: (first..first + most).map(id).collect(),
        min_count: least,
        image: ImageId::new("ami-00000001").unwrap(),
        zone: at.map(zone),
        instance_type: instance_type.into(),
        key_name: None,
        groups: vec![],
        user_data: None,
        client_token: None,
        asked_for: None,
        shutdown: ShutdownBehavior::Stop,
        termination_protected: false,
        stop_protected: false,
        tags: BTreeMap::new(),
    })
}

fn id(n: u32) -> InstanceId {
    InstanceId::new(format!("i-{n:08x}")).unwrap()
}

fn set(n: u32, attribute: InstanceAttribute) -> Change {
    Change::SetInstanceAttribute { instance: id(n), attribute }
}

fn stop(world: &mut World, n: u32) {
    world.apply(&Change::StopInstances { instances: vec![id(n)] }, NOW).unwrap();
    let seen = Seen::Ended { how: "stopped".into(), orderly: true, never_started: false, by: EndedBy::Itself };
    let boot = world.instance(&id(n)).unwrap().boots;
    world.apply(&Change::Report { instance: id(n), boot, seen }, NOW).unwrap();
}

/// Where the instances of a launch are, by zone's letter.
fn placed(world: &World) -> String {
    world.instances().map(|i| i.zone.as_str().chars().last().unwrap()).collect()
}

#[test]
fn a_launch_gets_as_many_as_fit_between_its_least_and_its_most_or_none() {
    let check = |change: Change, want: &str| {
        let mut world = world(false);
        match world.apply(&change, NOW) {
            Ok(_) => assert_eq!(placed(&world), want),
            Err(refusal) => assert_eq!(refusal.to_string(), want),
        }
    };
    check(launch(1, 1, 2, "t2.micro", Some("a")), "aa");
    check(launch(1, 1, 9, "t2.micro", Some("a")), "aa");
    let text =
        "We currently do not have sufficient t2.micro capacity in the Availability Zone you requested (us-east-1b).";
    let hint = "You can currently get t2.micro capacity by not specifying an Availability Zone in your request or choosing us-east-1a.";
    check(launch(1, 2, 2, "t2.micro", Some("b")), &format!("{text} {hint}"));
    check(launch(1, 3, 3, "t2.micro", Some("b")), text);
    check(
        launch(1, 1, 1, "m1.large", None),
        "We currently do not have sufficient m1.large capacity in any Availability Zone.",
    );
    let text =
        "Your requested instance type (x9.huge) is not supported in your requested Availability Zone (us-east-1a).";
    check(launch(1, 1, 1, "x9.huge", Some("a")), text);
    check(
        launch(1, 1, 1, "t2.nano", Some("a")),
        "The instance type 't2.nano' gives 512 MiB of memory, and the image needs 600. Specify an instance type that gives as much, and try again.",
    );
}

#[test]
fn a_launch_anywhere_goes_where_most_of_it_fits_then_where_the_fewest_are() {
    let mut world = world(false);
    for (first, want) in [(1, "a"), (2, "ab"), (3, "aba")] {
        world.apply(&launch(first, 1, 1, "t2.micro", None), NOW).unwrap();
        assert_eq!(placed(&world), want);
    }
    assert!(matches!(
        world.apply(&launch(4, 1, 1, "t2.micro", None), NOW),
        Err(Refusal::NoCapacity { zone: None, .. })
    ));
    let mut world = self::world(true);
    world.apply(&launch(1, 1, 3, "t2.micro", None), NOW).unwrap();
    world.apply(&launch(4, 1, 1, "x9.huge", None), NOW).unwrap();
    assert_eq!(placed(&world), "cccc", "only there do three fit, and only there nothing is counted");
    assert_eq!(world.usage(&zone("c")), Usage::of("t2.micro", 3));
}

#[test]
fn what_is_stopped_makes_room_and_is_started_only_where_there_is_room_again() {
    let mut world = world(false);
    world.apply(&launch(1, 2, 2, "t2.micro", Some("a")), NOW).unwrap();
    stop(&mut world, 1);
    assert_eq!(world.usage(&zone("a")), Usage::of("t2.micro", 1));
    world.apply(&launch(3, 1, 1, "t2.micro", Some("a")), NOW).unwrap();
    let start = Change::StartInstances { instances: vec![id(1), id(1)] };
    let refused = world.apply(&start, NOW).unwrap_err();
    assert!(matches!(refused, Refusal::NoCapacity { zone: Some(_), .. }), "{refused}");
    // Another type is taken however full the zone is, and judged when it is started.
    world.apply(&set(1, InstanceAttribute::Type("m1.large".into())), NOW).unwrap();
    stop(&mut world, 3);
    assert!(world.apply(&start, NOW).is_err());
    world.apply(&set(1, InstanceAttribute::Type("t2.micro".into())), NOW).unwrap();
    world.apply(&start, NOW).unwrap();
    assert_eq!(world.usage(&zone("a")), Usage::of("t2.micro", 2));
    world.apply(&Change::TerminateInstances { instances: vec![id(2)] }, NOW).unwrap();
    assert_eq!(world.usage(&zone("a")), Usage::of("t2.micro", 2), "until it has ended it may run");
}

#[test]
fn together_they_must_fit_when_started_together() {
    let mut world = world(false);
    world.apply(&launch(1, 2, 2, "t2.micro", Some("a")), NOW).unwrap();
    stop(&mut world, 1);
    stop(&mut world, 2);
    world.apply(&launch(3, 1, 1, "t2.micro", Some("a")), NOW).unwrap();
    let both = Change::StartInstances { instances: vec![id(1), id(2)] };
    assert!(matches!(world.apply(&both, NOW), Err(Refusal::NoCapacity { .. })));
    assert_eq!(world.instance(&id(1)).unwrap().state, InstanceState::Stopped);
    world.apply(&Change::StartInstances { instances: vec![id(1), id(3)] }, NOW).unwrap();
}

#[test]
fn what_an_instance_is_given_at_its_start_is_changed_only_while_it_is_stopped() {
    let mut world = world(true);
    world.apply(&launch(1, 1, 1, "t2.micro", Some("a")), NOW).unwrap();
    let given = [InstanceAttribute::Type("m1.small".into()), InstanceAttribute::UserData(Some("aGk=".into()))];
    for attribute in given.clone() {
        assert_eq!(world.apply(&set(1, attribute), NOW), Err(Refusal::NotStopped(id(1))));
    }
    for attribute in [
        InstanceAttribute::TerminationProtected(true),
        InstanceAttribute::StopProtected(true),
        InstanceAttribute::Shutdown(ShutdownBehavior::Terminate),
        InstanceAttribute::SourceDestCheck(false),
        InstanceAttribute::Groups(vec!["web".into()]),
    ] {
        assert_eq!(world.apply(&set(1, attribute.clone()), NOW), Ok(Reply::Done));
        assert_eq!(world.apply(&set(1, attribute), NOW), Ok(Reply::Unchanged));
    }
    world.apply(&set(1, InstanceAttribute::StopProtected(false)), NOW).unwrap();
    stop(&mut world, 1);
    for attribute in given {
        assert_eq!(world.apply(&set(1, attribute), NOW), Ok(Reply::Done));
    }
    let held = world.instance(&id(1)).unwrap();
    assert_eq!((held.instance_type.as_str(), held.user_data.as_deref()), ("m1.small", Some("aGk=")));
    assert!(matches!(
        world.apply(&set(1, InstanceAttribute::Type("t2.nano".into())), NOW),
        Err(Refusal::TypeTooSmall { what: "MiB of memory", needs: 600, gives: 512, .. })
    ));
    assert!(matches!(
        world.apply(&set(1, InstanceAttribute::Type("x9.huge".into())), NOW),
        Err(Refusal::TypeNotOffered { .. })
    ));
    world.apply(&set(1, InstanceAttribute::TerminationProtected(false)), NOW).unwrap();
    world.apply(&Change::TerminateInstances { instances: vec![id(1)] }, NOW).unwrap();
    let late = world.apply(&set(1, InstanceAttribute::TerminationProtected(true)), NOW);
    assert!(matches!(late, Err(Refusal::WrongState { wanted: "modified", .. })));
}

#[test]
fn protection_holds_the_zone_of_the_protected_and_no_other() {
    let mut world = world(true);
    world.apply(&launch(1, 2, 2, "t2.micro", Some("a")), NOW).unwrap();
    world.apply(&launch(3, 1, 1, "t2.micro", Some("b")), NOW).unwrap();
    for n in 1..=3 {
        let seen = Seen::Running { status: InstanceStatus::Ok };
        world.apply(&Change::Report { instance: id(n), boot: 1, seen }, NOW).unwrap();
    }
    world.apply(&set(2, InstanceAttribute::TerminationProtected(true)), NOW).unwrap();
    let state = |world: &World, n| world.instance(&id(n)).unwrap().state;
    let in_one_zone = Change::TerminateInstances { instances: vec![id(1), id(2)] };
    let (instance, wish, by) = (id(2), Wish::Terminate, Protection::Termination);
    let refused = world.apply(&in_one_zone, NOW).unwrap_err();
    assert_eq!(refused, Refusal::Protected { instance: instance.clone(), wish, by });
    assert_eq!(
        refused.to_string(),
        "The instance 'i-00000002' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
    );
    let in_two = Change::TerminateInstances { instances: vec![id(1), id(2), id(3)] };
    for _ in 0..2 {
        let reply = Reply::Protected { instance: instance.clone(), wish, by };
        assert_eq!(world.apply(&in_two, NOW), Ok(reply));
        let states = [1, 2, 3].map(|n| state(&world, n));
        assert_eq!(states, [InstanceState::Running, InstanceState::Running, InstanceState::ShuttingDown]);
    }
    world.apply(&set(2, InstanceAttribute::TerminationProtected(false)), NOW).unwrap();
    world.apply(&set(2, InstanceAttribute::StopProtected(true)), NOW).unwrap();
    for (change, wish) in
        [(Change::StopInstances { instances: vec![id(2)] }, Wish::Stop), (in_one_zone.clone(), Wish::Terminate)]
    {
        let refused = Refusal::Protected { instance: instance.clone(), wish, by: Protection::Stop };
        assert_eq!(world.apply(&change, NOW), Err(refused));
    }
    // What ends by itself is not held.
    let seen = Seen::Ended { how: "it ended".into(), orderly: true, never_started: false, by: EndedBy::Itself };
    world.apply(&Change::Report { instance: id(2), boot: 1, seen }, NOW).unwrap();
    assert_eq!(state(&world, 2), InstanceState::Stopped);
    world.apply(&Change::StopInstances { instances: vec![id(2)] }, NOW).unwrap();
}

#[test]
fn a_token_goes_with_everything_that_was_asked_for() {
    let mut world = world(true);
    let told = |first: u32, digest: Option<&str>| {
        let Change::RunInstances(new) = launch(first, 1, 1, "t2.micro", Some("a")) else { panic!("a launch") };
        let asked_for = digest.map(str::to_owned);
        Change::RunInstances(NewInstances { client_token: Some("t".into()), asked_for, ..new })
    };
    let first = world.apply(&told(1, Some("x")), NOW).unwrap();
    stop(&mut world, 1);
    // The instance is another by now, and the call the same.
    world.apply(&set(1, InstanceAttribute::Type("m1.small".into())), NOW).unwrap();
    assert_eq!(world.apply(&told(2, Some("x")), NOW), Ok(first));
    assert_eq!(world.apply(&told(2, Some("y")), NOW), Err(Refusal::TokenReused("t".into())));
    assert_eq!(world.instances().count(), 1);
}
