//! The control plane at size: 100 balancers with 50 instances each, all with health; 1,000 with 100 each, on their way to
//! the road.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evenkeel::link::{ToRoad, apply, difference};
use evenkeel_aws::elb;
use evenkeel_core::change::{Change, NewImage, NewInstances, NewLoadBalancer};
use evenkeel_core::name::{ImageId, InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::{InstanceState, Listener, Manifest, Protocol, Scheme};
use evenkeel_core::routes::{compile, follow};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Limits, Row, Settings, World, Write};

use crate::crash::plain_launch;
use crate::rig::Rig;

#[test]
fn a_hundred_balancers_of_fifty_instances_are_described_and_changed_in_time() {
    let mut rig = Rig::start_alone();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 50);
    for n in 0..100 {
        let name = format!("lb-{n}");
        rig.balancer_checked_every(&name, &["us-east-1a"], 30);
        rig.add(&name, &ids);
    }
    for n in 0..100 {
        rig.wait_in_service(&format!("lb-{n}"), &ids);
    }

    let described = rig.call(&elb::DescribeLoadBalancers::default()).unwrap().load_balancer_descriptions;
    assert_eq!(described.len(), 100);
    assert!(described.iter().all(|lb| lb.instances.len() == 50));
    let time = |rig: &Rig| {
        let begin = Instant::now();
        let (status, _) = rig.ask(&elb::DescribeLoadBalancers::default()).unwrap();
        assert_eq!(status, 200);
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..11).map(|_| time(&rig)).collect();
    times.sort();
    println!("DescribeLoadBalancers of 100 × 50: median {:?}, slowest {:?}", times[5], times[10]);
    assert!(times[5] < Duration::from_millis(50), "{times:?}");

    // Registering in the midst of it: from the answer of the API to the first request that gets through.
    rig.balancer("fresh", &["us-east-1a"]);
    let node = rig.nodes("fresh")[0].1;
    let mut reached = Vec::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (busy, done) = (&rig, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                time(busy);
            }
        });
        for id in &ids[..9] {
            rig.add("fresh", std::slice::from_ref(id));
            let begin = Instant::now();
            while rig.get(node, "/").unwrap().0 != 200 {
                assert!(begin.elapsed() < Duration::from_secs(5), "the road never heard of it\n{}", rig.log());
            }
            reached.push(begin.elapsed());
            rig.remove("fresh", std::slice::from_ref(id));
            while rig.get(node, "/").unwrap().0 == 200 {
                assert!(begin.elapsed() < Duration::from_secs(5), "the road never heard of its going");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    reached.sort();
    println!("from register to the first request: median {:?}, slowest {:?}", reached[4], reached[8]);
    assert!(reached[4] < Duration::from_millis(100), "{reached:?}");
    rig.finish();
}

/// A World of that many balancers, each with `each` of 10,000 running instances.
fn world(balancers: u32, each: u32) -> World {
    let zone = ZoneName::new("us-east-1a").unwrap();
    let settings = Settings {
        region: "us-east-1".into(),
        zones: vec![zone.clone()],
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/16".parse().unwrap(),
        instance_pool: "127.81.0.0/16".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits { load_balancers: 2_000, listeners: 100, registered: 1_000, instances: 20_000 },
    };
    let mut seed = World::empty(settings.clone());
    let port = Port::new(80).unwrap();
    let listener = Listener {
        port,
        protocol: Protocol::Http,
        instance_port: port,
        instance_protocol: Protocol::Http,
        certificate: None,
        policies: vec![],
    };
    let image = ImageId::new("ami-00000001").unwrap();
    let manifest = Manifest::new("app", vec!["./serve".into()], port);
    let changes = [
        Change::RegisterImage(NewImage {
            id: image.clone(),
            name: "app".into(),
            description: String::new(),
            manifest,
            location: "/app".into(),
            digest: "00".into(),
            size: None,
            tags: BTreeMap::new(),
        }),
        Change::RunInstances(NewInstances {
            ids: vec![InstanceId::new("i-00000001").unwrap()],
            image,
            zone: Some(zone.clone()),
            ..plain_launch()
        }),
        Change::CreateLoadBalancer(NewLoadBalancer {
            name: LoadBalancerName::new("seed").unwrap(),
            scheme: Scheme::InternetFacing,
            listeners: vec![listener],
            zones: vec![zone],
            in_vpc: false,
            security_groups: vec![],
            tags: BTreeMap::new(),
            dns_number: 1,
        }),
    ];
    for change in &changes {
        seed.apply(change, Timestamp(1)).unwrap();
    }
    let id = |n: u32| InstanceId::new(format!("i-{n:08x}")).unwrap();
    let mut rows = Vec::new();
    for row in seed.rows() {
        match row {
            Row::Instance(one) => rows.extend((0..10_000).map(|n| {
                let mut instance = one.clone();
                (instance.id, instance.state) = (id(n), InstanceState::Running);
                Row::Instance(instance)
            })),
            Row::LoadBalancer(one) => rows.extend((0..balancers).map(|n| {
                let mut balancer = one.clone();
                balancer.name = LoadBalancerName::new(format!("lb-{n}")).unwrap();
                balancer.instances = (0..each).map(|m| id((n * 7 + m * 97) % 10_000)).collect();
                Row::LoadBalancer(balancer)
            })),
            other => rows.push(other),
        }
    }
    World::load(settings, 1, rows)
}

#[test]
fn routes_of_a_thousand_balancers_are_compiled_and_their_difference_found_in_time() {
    let mut world = world(1_000, 100);
    let mut sent = compile(&world);
    let mut held = sent.clone();
    assert_eq!(
        (sent.balancers.len(), sent.balancers.values().map(|lb| lb.targets.len()).sum::<usize>()),
        (1_000, 100_000)
    );
    let (mut times, mut bytes) = (Vec::new(), 0);
    for n in 0..11 {
        let name = LoadBalancerName::new(format!("lb-{}", n * 90)).unwrap();
        let mut balancer = (**world.load_balancer(&name).unwrap()).clone();
        balancer.instances.pop_first();
        let before = world.clone();
        world.absorb(&[Write::Put(Row::LoadBalancer(balancer))]);
        let began = Instant::now();
        let routes = follow(&world, &before, &sent);
        let compiled = began.elapsed();
        let message = difference(Some(&sent), &routes);
        let found = began.elapsed();
        bytes = serde_json::to_vec(&message).unwrap().len();
        let ToRoad::Publish { generation, whole, changed, removed } = message else { panic!("no difference") };
        assert_eq!((changed.len(), removed.len()), (1, 0));
        let began = Instant::now();
        held = apply(&held, generation, whole, changed, &removed);
        times.push((compiled, found - compiled, began.elapsed()));
        sent = routes;
    }
    assert!(held == sent);
    times.sort();
    let (compiled, found, applied) = times[5];
    println!(
        "one change: compiled in {compiled:?}, its difference of {bytes} bytes in {found:?}, applied in {applied:?}"
    );
    assert!(compiled + found + applied < Duration::from_millis(50), "{times:?}");
    assert!(bytes < 40_000, "{bytes} bytes for a change of one balancer");
}
