//! What a crash of the daemon may cost: nothing that was acknowledged, no instance, no request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::drivers::{Driver, MemoryDriver, SeenState};
use evenkeel::keeper::store::memory::{Fault, MemoryStore};
use evenkeel::keeper::{self, Rejected};
use evenkeel::loops::{Statuses, instances};
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::{Change, NewImage, NewInstances, NewLoadBalancer};
use evenkeel_core::name::{ImageId, InstanceId, LoadBalancerName, ReservationId, ZoneName};
use evenkeel_core::noun::{Listener, Manifest, Protocol, Scheme, ShutdownBehavior};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Limits, Settings, World};

use crate::rig::{Rig, port, processes_of_instance};
use crate::steady::Steady;

/// How many writes the daemon is killed in the midst of.
const WRITES: usize = 200;

/// What became of one write.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Acknowledged,
    Unknown,
}

/// A launch of nothing, as plain as one can be.
pub fn plain_launch() -> NewInstances {
    NewInstances {
        reservation: ReservationId::new("r-00000001").unwrap(),
        ids: Vec::new(),
        min_count: 1,
        image: ImageId::new("ami-00000001").unwrap(),
        zone: None,
        instance_type: "m1.small".into(),
        key_name: None,
        groups: vec![],
        user_data: None,
        client_token: None,
        shutdown: ShutdownBehavior::Stop,
        termination_protected: false,
        stop_protected: false,
        asked_for: None,
        tags: BTreeMap::new(),
    }
}

#[test]
fn a_daemon_killed_in_the_midst_of_200_writes_loses_nothing_it_acknowledged() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 2), ("us-east-1b", 2)]);
    let processes = || ids.iter().map(|id| (id.clone(), processes_of_instance(id))).collect::<BTreeMap<_, _>>();
    let before = processes();
    let traffic = Steady::start(&rig, "test", 300);

    let answered = AtomicUsize::new(0);
    let fates = std::thread::scope(|scope| {
        let (rig, answered, ids) = (&rig, &answered, &ids);
        let writers: Vec<_> = (0..4).map(|w| scope.spawn(move || write(rig, w, ids, answered))).collect();
        // The kill comes when about half are answered, wherever each writer then is.
        let pid = rig.daemon.as_ref().unwrap().id();
        while answered.load(Ordering::Relaxed) < WRITES / 2 {
            std::thread::yield_now();
        }
        crate::rig::kill9(i32::try_from(pid).unwrap());
        writers.into_iter().flat_map(|w| w.join().unwrap()).collect::<BTreeMap<_, _>>()
    });
    rig.kill_daemon();
    let acknowledged = fates.values().filter(|fate| **fate == Fate::Acknowledged).count();
    assert!((WRITES / 2..WRITES).contains(&acknowledged), "{acknowledged} writes were answered before the kill");

    rig.up();
    let described = rig.call(&elb::DescribeLoadBalancers::default()).unwrap();
    let found: BTreeMap<String, BTreeSet<String>> = described
        .load_balancer_descriptions
        .iter()
        .map(|lb| (lb.load_balancer_name.clone(), lb.instances.iter().map(|i| i.instance_id.clone()).collect()))
        .collect();
    let all: BTreeSet<String> = ids.iter().cloned().collect();
    for ((name, registration), fate) in &fates {
        let there = found.get(name);
        let whole = if *registration { there.is_some_and(|i| *i == all) } else { there.is_some() };
        let absent = if *registration { there.is_none_or(BTreeSet::is_empty) } else { there.is_none() };
        match fate {
            Fate::Acknowledged => assert!(whole, "`{name}` was acknowledged and is lost"),
            Fate::Unknown => assert!(whole || absent, "`{name}` is half there: {there:?}"),
        }
    }
    assert_eq!(processes(), before, "instances were not left as they were");
    for id in &ids {
        assert_eq!(rig.state(id).0, "running");
    }
    rig.wait_in_service("test", &ids);
    rig.wait("traffic before, through and after", Duration::from_secs(20), |_| {
        (traffic.snapshot().sent > 500).then_some(())
    });
    let report = traffic.stop();
    assert_eq!(report.lost, Vec::<String>::new(), "of {} requests", report.sent);
    rig.finish();
}

/// Creates balancers and registers all instances with each, until the daemon is gone.
fn write(rig: &Rig, writer: usize, ids: &[String], answered: &AtomicUsize) -> BTreeMap<(String, bool), Fate> {
    let mut fates = BTreeMap::new();
    for n in 0..WRITES / 8 {
        let name = format!("lb-{writer}-{n}");
        let created = rig.create(&name, &["us-east-1c"], "tcp").map(drop);
        if note(&mut fates, (name.clone(), false), created, answered) {
            return fates;
        }
        let instances = ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect();
        let register = elb::RegisterInstancesWithLoadBalancer { load_balancer_name: name.clone(), instances };
        if note(&mut fates, (name, true), rig.call(&register).map(drop), answered) {
            return fates;
        }
    }
    fates
}

/// Notes a write's fate; true when the daemon is gone.
fn note(
    fates: &mut BTreeMap<(String, bool), Fate>,
    what: (String, bool),
    answer: Result<(), Error>,
    answered: &AtomicUsize,
) -> bool {
    match answer {
        Ok(()) => {
            answered.fetch_add(1, Ordering::Relaxed);
            fates.insert(what, Fate::Acknowledged);
            false
        }
        Err(error) => {
            assert!(error.status == 0 || error.status == 503, "{what:?} was refused: {error:?}");
            fates.insert(what, Fate::Unknown);
            true
        }
    }
}

/// xorshift64*, as in core's simulator.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        (self.roll() >> 33) % n
    }
}

pub fn settings() -> Settings {
    Settings {
        region: "us-east-1".into(),
        zones: ["us-east-1a", "us-east-1b"].map(|z| ZoneName::new(z).unwrap()).into(),
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/24".parse().unwrap(),
        instance_pool: "127.81.0.0/24".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits::default(),
    }
}

pub fn frozen() -> Timestamp {
    Timestamp(1_000)
}

pub fn image() -> Change {
    Change::RegisterImage(NewImage {
        id: ImageId::new("ami-00000001").unwrap(),
        name: "app".into(),
        description: String::new(),
        manifest: Manifest { stop_grace: 1, ..Manifest::new("app", vec!["serve".into()], port(80)) },
        location: String::new(),
        digest: "d".into(),
        size: None,
        tags: BTreeMap::new(),
    })
}

fn change(dice: &mut Dice, world: &World) -> Change {
    let name = LoadBalancerName::new(format!("lb-{}", dice.below(6))).unwrap();
    let known: Vec<InstanceId> = world.instances().map(|i| i.id.clone()).collect();
    let some: Vec<InstanceId> = known.iter().filter(|_| dice.below(2) == 0).cloned().collect();
    let zone = ZoneName::new(["us-east-1a", "us-east-1b"][dice.below(2) as usize]).unwrap();
    match dice.below(8) {
        0 => Change::CreateLoadBalancer(NewLoadBalancer {
            name,
            scheme: Scheme::InternetFacing,
            listeners: vec![Listener {
                port: port(80),
                protocol: Protocol::Http,
                instance_port: port(80),
                instance_protocol: Protocol::Http,
                certificate: None,
                policies: vec![],
            }],
            zones: vec![zone],
            in_vpc: false,
            security_groups: vec![],
            tags: BTreeMap::new(),
            dns_number: dice.below(1 << 30) as u32,
        }),
        1 => Change::DeleteLoadBalancer { name },
        2 | 3 => Change::RegisterInstances { name, instances: some },
        4 => Change::DeregisterInstances { name, instances: some },
        5 => Change::EnableZones { name, zones: vec![zone], by_subnet: false },
        6 => Change::TerminateInstances { instances: some.into_iter().take(1).collect() },
        _ => Change::RunInstances(NewInstances {
            reservation: ReservationId::new(format!("r-{:017x}", dice.roll())).unwrap(),
            ids: (0..2).map(|_| InstanceId::new(format!("i-{:017x}", dice.roll())).unwrap()).collect(),
            zone: Some(zone),
            ..plain_launch()
        }),
    }
}

#[test]
fn at_50_random_points_a_crash_leaves_the_acknowledged_whole_and_the_rest_whole_or_absent() {
    for seed in 1..=50u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let store = MemoryStore::default();
        let driver = Arc::new(MemoryDriver::new(frozen()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut shadow = World::empty(settings());
        for life in 0..3 {
            runtime.block_on(async {
                let keeper = keeper::start(settings(), store.clone(), frozen).unwrap();
                if life == 0 {
                    keeper.submit("sim", image()).await.unwrap();
                    shadow.apply(&image(), frozen()).unwrap();
                }
                assert_eq!(
                    *keeper.world(),
                    shadow,
                    "seed {seed}, life {life}: what was acknowledged is not what is there"
                );
                let crash_at = 5 + dice.below(60);
                for n in 0.. {
                    let change = change(&mut dice, &shadow);
                    let fault = if dice.below(2) == 0 { Fault::BeforeCommit } else { Fault::AfterCommit };
                    if n == crash_at {
                        store.arm(fault);
                    }
                    let answer = keeper.submit("sim", change.clone()).await;
                    match answer {
                        Ok(_) => drop(shadow.apply(&change, frozen()).unwrap()),
                        Err(Rejected::Refused(_)) if n != crash_at => {}
                        Err(_) => {
                            assert_eq!(n, crash_at);
                            assert_ne!(*keeper.world(), World::empty(settings()));
                            assert_eq!(*keeper.world(), shadow, "seed {seed}: what was not stored was published");
                            if fault == Fault::AfterCommit {
                                // Nobody heard of it, but it is whole.
                                drop(shadow.apply(&change, frozen()));
                            }
                            break;
                        }
                    }
                }
            });
            store.revive();
            settle(&runtime, &store, &driver, &mut shadow, seed);
        }
    }
}

/// A daemon's life without a crash: the instances loop makes what runs what should run, and restarts nobody.
fn settle(
    runtime: &tokio::runtime::Runtime,
    store: &MemoryStore,
    driver: &Arc<MemoryDriver>,
    shadow: &mut World,
    seed: u64,
) {
    runtime.block_on(async {
        let running = || {
            let seen = driver.seen().into_iter();
            let running = seen.filter(|s| matches!(s.state, SeenState::Running { .. }));
            running.map(|s| (s.instance, s.boot)).collect::<BTreeMap<_, _>>()
        };
        let before = running();
        let keeper = keeper::start(settings(), store.clone(), frozen).unwrap();
        assert_eq!(*keeper.world(), *shadow, "seed {seed}: the state after the crash is neither before nor after");
        let (_sightings, seen) = tokio::sync::watch::channel(Arc::new(Sightings::default()));
        let crew = instances::Crew {
            keeper: keeper.clone(),
            driver: Arc::clone(driver) as Arc<dyn Driver>,
            image_path: Arc::new(|_| "/".into()),
            metadata: Arc::new(|_| Ok("http://127.0.0.1:1/metadata/x".into())),
            sightings: seen,
        };
        let work = tokio::spawn(instances::run(crew, Statuses::default()));
        let settled = |world: &World| {
            use evenkeel_core::noun::InstanceState as S;
            world.instances().all(|i| matches!(i.state, S::Running | S::Terminated | S::Stopped))
        };
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !settled(&keeper.world()) && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(settled(&keeper.world()), "seed {seed}: instances do not become what they should be");
        work.abort();
        let (world, after) = (keeper.world(), running());
        let wanted = world.instances().filter(|i| i.state == evenkeel_core::noun::InstanceState::Running);
        let wanted: BTreeMap<_, _> = wanted.map(|i| (i.id.clone(), i.boots)).collect();
        assert_eq!(after, wanted, "seed {seed}: what runs is not what should run");
        for (id, boot) in before {
            let stays = wanted.get(&id).is_none_or(|now| *now == boot);
            assert!(stays, "seed {seed}: {id} was started anew by a restart of the daemon");
        }
        *shadow = world.as_ref().clone();
    });
}
