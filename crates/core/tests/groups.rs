//! Auto scaling groups in virtual time: the World, both plans and a driver that can be told to fail.
//!
//! Owns the laws of groups: as many members as wanted, zones evened out, nobody lost or told of twice, an empty plan in the
//! end. A failure prints its seed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "groups/predicting.rs"]
mod predicting;
#[path = "groups/refresh.rs"]
mod refresh;
#[path = "groups/warm_pool.rs"]
mod warm_pool;
mod year;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::change::{
    AlarmChange, Answer, Change, EndedBy, GroupPatch, NewGroup, NewImage, NewLoadBalancer, NewMember, ScalingChange,
    Seen, Trigger, Waiting,
};
use evenkeel_core::health::Health;
use evenkeel_core::name::{
    ActivityId, AlarmName, AutoScalingGroupName, ImageId, InstanceId, LaunchConfigurationName, LoadBalancerName, Port,
    ReservationId, ScalingName, TopicArn, ZoneName,
};
use evenkeel_core::noun;
use evenkeel_core::noun::alarm::MetricName;
use evenkeel_core::noun::scaling_group::{GroupTag, HealthCheckType, Hook, IDLE_TAG, Process, Transition};
use evenkeel_core::noun::scaling_policy::{TrackedMetric, Tracker};
use evenkeel_core::noun::{
    Activity, ActivityStatus, AutoScalingGroup, Capacity, InstanceState, InstanceStatus, LaunchConfiguration,
    LaunchSource, LifecycleState, Listener, Manifest, Member, Protocol, Scheme,
};
use evenkeel_core::noun::{GroupTold, NotificationType};
use evenkeel_core::noun::{ScalingPolicy, ScheduledAction};
use evenkeel_core::plan::zero::{Idle, Load, Loads};
use evenkeel_core::plan::{expiry, groups};
use evenkeel_core::refusal::{BadScaling, Refusal};
use evenkeel_core::routes::{compile, follow};
use evenkeel_core::scaling::decide::{AlarmSignal, AlarmState};
use evenkeel_core::scaling::{
    Adjustment, AdjustmentType, MetricAggregationType, PredefinedMetricType, Recurrence, Rule, Side, StepAdjustment,
    TerminationPolicy,
};
use evenkeel_core::sightings::{RoadSeen, Sightings};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Key, Limits, Row, Settings, World, Write};

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// xorshift64*: small, seeded, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % n
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn uuid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

fn zone(text: &str) -> ZoneName {
    ZoneName::new(text).unwrap()
}

fn name(text: &str) -> AutoScalingGroupName {
    AutoScalingGroupName::new(text).unwrap()
}

fn balancer(text: &str) -> LoadBalancerName {
    LoadBalancerName::new(text).unwrap()
}

fn image() -> ImageId {
    ImageId::new("ami-00000001").unwrap()
}

fn configuration(text: &str) -> LaunchConfigurationName {
    LaunchConfigurationName::new(text).unwrap()
}

/// How boots end, and how long they take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boots {
    Well,
    Impaired,
    Never,
}

/// World, clock and a driver.
struct House {
    world: World,
    rows: BTreeMap<Key, Row>,
    sightings: Sightings,
    now: Timestamp,
    dice: Dice,
    boots: Boots,
    boot_time: Duration,
    /// Images whose boots never end well, and how many percent of all others do not.
    bad: BTreeSet<ImageId>,
    unlucky: u64,
    /// Every activity that ever was, to see that none is told twice or lost.
    told: BTreeMap<ActivityId, Activity>,
}

impl House {
    fn new(seed: u64) -> Self {
        let world = World::empty(Settings {
            region: "us-east-1".into(),
            zones: ZONES.map(zone).into(),
            capacity: BTreeMap::new(),
            account: "000000000000".into(),
            dns_domain: "elb.evenkeel.test".into(),
            node_pool: "127.80.0.0/24".parse().unwrap(),
            instance_pool: "127.81.0.0/16".parse().unwrap(),
            instance_pools: BTreeMap::new(),
            lowest_port: 0,
            port_shift: 0,
            limits: Limits::default(),
        });
        let mut house = Self {
            world,
            rows: BTreeMap::new(),
            sightings: Sightings::default(),
            now: Timestamp(1_700_000_000_000),
            dice: Dice(seed.wrapping_mul(7919) | 1),
            boots: Boots::Well,
            boot_time: Duration::from_secs(3),
            bad: BTreeSet::new(),
            unlucky: 0,
            told: BTreeMap::new(),
        };
        house.make(Change::RegisterImage(NewImage {
            id: image(),
            name: "web 1".into(),
            description: String::new(),
            manifest: Manifest::new("web 1", vec!["web".into()], Port::new(80).unwrap()),
            location: "web".into(),
            digest: "00".repeat(32),
            size: None,
            tags: BTreeMap::new(),
        }));
        let new = LaunchConfiguration {
            name: configuration("lc-1"),
            id: house.dice.uuid(),
            created: house.now,
            image: image(),
            instance_type: "m1.small".into(),
            key_name: None,
            groups: vec![],
            user_data: None,
            detailed_monitoring: false,
            ebs_optimized: false,
            public_address: None,
        };
        house.scale(ScalingChange::CreateLaunchConfiguration(new));
        house
    }

    fn group(&self, text: &str) -> &Arc<AutoScalingGroup> {
        self.world.scaling_group(&name(text)).unwrap()
    }

    fn balancer(&mut self, text: &str) {
        let listener = Listener {
            port: Port::new(80).unwrap(),
            protocol: Protocol::Http,
            instance_port: Port::new(80).unwrap(),
            instance_protocol: Protocol::Http,
            certificate: None,
            policies: vec![],
        };
        self.make(Change::CreateLoadBalancer(NewLoadBalancer {
            name: balancer(text),
            dns_number: 7,
            listeners: vec![listener],
            zones: ZONES.map(zone).into(),
            in_vpc: false,
            scheme: Scheme::default(),
            security_groups: vec![],
            tags: BTreeMap::new(),
        }));
    }

    fn wanted(&mut self, text: &str, min: u32, max: u32, desired: u32) -> NewGroup {
        NewGroup {
            name: name(text),
            id: self.dice.uuid(),
            launch: LaunchSource::Configuration(configuration("lc-1")),
            min,
            max,
            desired: Some(desired),
            cooldown: 300,
            zones: ZONES.map(zone).into(),
            subnets: None,
            balancers: BTreeSet::new(),
            health_check: HealthCheckType::Ec2,
            grace: 0,
            termination: vec![TerminationPolicy::Default],
            protects_new: false,
            max_lifetime: None,
            warmup: None,
            tags: BTreeMap::new(),
            hooks: BTreeMap::new(),
        }
    }

    fn ask(&mut self, change: &Change) -> Result<(), Refusal> {
        let decision = self.world.decide(change, self.now)?;
        let mut keys = BTreeSet::new();
        for write in &decision.writes {
            let (key, row) = match write {
                Write::Put(row) => (row.key(), Some(row.clone())),
                Write::Remove(key) => (key.clone(), None),
            };
            assert!(keys.insert(key.clone()), "{change:?} writes {key:?} twice");
            if let Some(Row::Activity(activity)) = &row {
                let before = self.told.insert(activity.id.clone(), activity.clone());
                let was_over = before.is_some_and(|before| before.status.is_over());
                assert!(!was_over, "{activity:?} went on after its end");
            }
            match row {
                Some(row) => drop(self.rows.insert(key, row)),
                None => drop(self.rows.remove(&key)),
            }
        }
        self.world.absorb(&decision.writes);
        Ok(())
    }

    fn make(&mut self, change: Change) {
        self.ask(&change).unwrap_or_else(|e| panic!("{change:?}: {e}"));
    }

    fn scale(&mut self, change: ScalingChange) {
        self.make(Change::Scale(change));
    }

    fn refused(&mut self, change: ScalingChange) -> BadScaling {
        match self.ask(&Change::Scale(change)).unwrap_err() {
            Refusal::Scaling(bad) => bad,
            other => panic!("{other}"),
        }
    }

    fn activity(&mut self) -> ActivityId {
        ActivityId::new(self.dice.uuid()).unwrap()
    }

    fn instance(&mut self) -> InstanceId {
        InstanceId::new(format!("i-{:017x}", self.dice.roll() >> 4)).unwrap()
    }

    /// One pass of the groups' loop.
    fn pass(&mut self) -> usize {
        let mut rolls = Dice(self.dice.roll() | 1);
        let steps = groups::plan(&self.world, &self.sightings, self.now, || rolls.roll() >> 11);
        let count = steps.len();
        for step in steps {
            let change = match step {
                groups::Step::Launch { group, zones, balances, pooled } => ScalingChange::Launch(NewMember {
                    group,
                    instance: self.instance(),
                    reservation: ReservationId::new(format!("r-{:017x}", self.dice.roll() >> 4)).unwrap(),
                    activity: self.activity(),
                    zones,
                    balances,
                    pooled,
                }),
                groups::Step::Draw { group, instance } => {
                    ScalingChange::Draw { group, instance, activity: self.activity() }
                }
                groups::Step::Retire { group, instance, why } => {
                    ScalingChange::Retire { group, instance, activity: self.activity(), why }
                }
                groups::Step::Advance { group, instance, hooks } => {
                    let tokens = (0..hooks).map(|_| self.dice.uuid()).collect();
                    ScalingChange::Advance { group, instance, tokens }
                }
                groups::Step::Act { group, name, due } => {
                    let action = &self.world.scaling_group(&group).unwrap().schedule[&name];
                    let next = action.recurrence.as_ref().and_then(|again| again.next_after(self.now, |_| 0));
                    ScalingChange::Act { group, name, due, next }
                }
                groups::Step::Make(change) => change,
            };
            self.scale(change);
        }
        count
    }

    /// What drivers and the road do in a moment: instances boot and end, connections drain.
    fn driver(&mut self) {
        let mut reports = Vec::new();
        for instance in self.world.instances() {
            let waited = self.now.since(instance.changed) >= self.boot_time;
            let ended = |never_started| Seen::Ended {
                how: "it ended".into(),
                orderly: false,
                never_started,
                by: EndedBy::Itself,
            };
            let fate = u64::from_str_radix(&instance.id.as_str()[12..], 16).unwrap_or(0) % 100;
            let fails = self.bad.contains(&instance.image) || fate < self.unlucky;
            let seen = match (instance.state, if fails { Boots::Impaired } else { self.boots }) {
                (InstanceState::Pending, Boots::Never) if waited => ended(true),
                (InstanceState::Pending, Boots::Impaired) if waited => {
                    Seen::Running { status: InstanceStatus::Impaired { why: "step 2 failed".into() } }
                }
                (InstanceState::Pending, _) if waited => Seen::Running { status: InstanceStatus::Ok },
                (InstanceState::ShuttingDown | InstanceState::Stopping, _) => ended(false),
                _ => continue,
            };
            reports.push(Change::Report { instance: instance.id.clone(), boot: instance.boots, seen });
        }
        for report in reports {
            self.make(report);
        }
        for change in expiry::due(&self.world, &self.sightings, self.now) {
            self.make(change);
        }
    }

    fn sound(&self) {
        assert_eq!(self.world.broken_invariants(), Vec::<String>::new());
    }

    fn step(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.driver();
        for round in 0.. {
            if self.pass() == 0 {
                break;
            }
            assert!(round < 50, "the plan never becomes empty");
        }
        self.sound();
    }

    /// Time passes until nothing is under way.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.step(1);
        }
    }

    fn in_service(&self, text: &str) -> Vec<InstanceId> {
        let members = self.group(text).members.iter();
        members.filter(|(_, m)| m.state == LifecycleState::InService).map(|(id, _)| id.clone()).collect()
    }

    fn by_zone(&self, text: &str) -> Vec<usize> {
        let members = &self.group(text).members;
        ZONES.map(|at| members.values().filter(|member| member.zone == zone(at)).count()).into()
    }

    fn kill(&mut self, id: &InstanceId) {
        let boot = self.world.instance(id).unwrap().boots;
        let seen = Seen::Ended { how: "killed".into(), orderly: false, never_started: false, by: EndedBy::Itself };
        self.make(Change::Report { instance: id.clone(), boot, seen });
    }

    /// Activities, the newest first.
    fn activities(&self) -> Vec<&Activity> {
        let mut all: Vec<&Activity> = self.world.activities().map(AsRef::as_ref).collect();
        all.sort_by_key(|activity| (std::cmp::Reverse(activity.started), activity.id.clone()));
        all
    }
}

#[test]
fn a_group_has_as_many_members_as_wanted_evened_out_among_zones_and_behind_its_balancers() {
    let mut house = House::new(1);
    house.balancer("web");
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("g", 1, 9, 6) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    assert_eq!(house.by_zone("g"), [2, 2, 2]);
    assert_eq!(house.in_service("g").len(), 6);
    let lb = house.world.load_balancer(&balancer("web")).unwrap();
    assert_eq!(lb.instances.len(), 6);
    let is_first = |activity: &&&Activity| activity.cause.ends_with("from 0 to 1.");
    let first = (*house.activities().iter().find(is_first).unwrap()).clone();
    assert_eq!((first.status, first.status.progress()), (ActivityStatus::Successful, 100));
    assert_eq!(
        first.cause,
        "At 2023-11-14T22:13:20Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 6.  \
         At 2023-11-14T22:13:21Z an instance was started in response to a difference between desired and actual capacity, \
         increasing the capacity from 0 to 1."
    );
    assert_eq!(house.activities().len(), 6);

    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 3, honor_cooldown: false });
    house.settle();
    assert_eq!(house.by_zone("g"), [1, 1, 1]);
    let running = house.world.instances().filter(|i| i.state == InstanceState::Running).count();
    assert_eq!(running, 3);
    let last = house.activities()[0].clone();
    assert!(last.description.starts_with("Terminating EC2 instance: i-"), "{last:?}");
    assert!(
        last.cause.contains("explicitly set group desired capacity changing the desired capacity from 6 to 3."),
        "{last:?}"
    );
    assert!(last.cause.ends_with("was selected for termination."), "{last:?}");
}

#[test]
fn the_ill_are_replaced_and_only_they() {
    let mut house = House::new(2);
    house.balancer("web");
    let new = NewGroup {
        balancers: [balancer("web")].into(),
        health_check: HealthCheckType::Elb,
        grace: 30,
        ..house.wanted("g", 0, 9, 4)
    };
    house.scale(ScalingChange::CreateGroup(new));
    house.step(1);
    house.step(5);
    let members = house.in_service("g");
    assert_eq!(members.len(), 4);
    // A balancer's verdict counts once the grace is over.
    let failing = (balancer("web"), members[0].clone());
    let health = Arc::new(BTreeMap::from([(failing, Health::Failing)]));
    house.sightings.road = Some(RoadSeen { health, ..RoadSeen::default() });
    house.step(20);
    assert_eq!(house.in_service("g"), members);
    house.settle();
    let after = house.in_service("g");
    assert_eq!(after.len(), 4);
    assert!(!after.contains(&members[0]) && members[1..].iter().all(|id| after.contains(id)), "{after:?}");
    let causes: Vec<&str> = house.activities().iter().map(|activity| activity.cause.as_str()).collect();
    assert!(
        causes.iter().any(|cause| cause.ends_with("in response to an ELB system health check failure.")),
        "{causes:?}"
    );
    assert!(
        causes.iter().any(|cause| cause.ends_with("in response to an unhealthy instance needing to be replaced.")),
        "{causes:?}"
    );

    // One that does not run is ill at once.
    house.kill(&after[1]);
    house.settle();
    let healed = house.in_service("g");
    assert!(healed.len() == 4 && !healed.contains(&after[1]));
    assert_eq!(house.world.instance(&after[1]).unwrap().state, InstanceState::Terminated);

    // Nor is anyone replaced who need not be.
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ReplaceUnhealthy].into() });
    house.kill(&healed[0]);
    house.settle();
    assert_eq!(house.group("g").members[&healed[0]].illness.map(|i| i.is_immediate()), Some(true));
    house.scale(ScalingChange::Resume { group: name("g"), processes: [Process::ReplaceUnhealthy].into() });
    house.settle();
    assert!(!house.group("g").members.contains_key(&healed[0]));
    assert_eq!(house.in_service("g").len(), 4);
}

#[test]
fn launches_that_come_to_nothing_are_tried_again_later_and_later() {
    for boots in [Boots::Impaired, Boots::Never] {
        let mut house = House::new(3);
        house.boots = boots;
        let new = house.wanted("g", 0, 9, 2);
        house.scale(ScalingChange::CreateGroup(new));
        for _ in 0..600 {
            house.step(1);
        }
        let failed = house.activities();
        assert!(failed.iter().all(|activity| activity.status != ActivityStatus::Successful));
        // Twice at once, then after 1, 2, 4 … 120 s and the time of a boot.
        assert!((8..=16).contains(&failed.len()), "{} tries in ten minutes", failed.len());
        let why = failed.iter().find(|a| a.status == ActivityStatus::Failed).unwrap().message.clone().unwrap();
        let part = if boots == Boots::Impaired { "step 2 failed" } else { "it ended" };
        assert!(why.contains(part), "{why}");
        house.boots = Boots::Well;
        house.settle();
        assert_eq!(house.in_service("g").len(), 2);
        assert_eq!(house.group("g").setback, None);
    }
}

#[test]
fn a_zone_without_room_is_passed_over_and_nobody_is_launched_where_there_is_none() {
    let mut house = House::new(4);
    let capacity = Capacity { cpu_millis: Some(0), memory_mib: None };
    let settings =
        Settings { capacity: BTreeMap::from([(zone(ZONES[0]), capacity)]), ..house.world.settings().clone() };
    house.world = World::load(settings, house.world.generation(), house.world.rows().collect::<Vec<_>>());
    let new = house.wanted("g", 0, 9, 4);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    assert_eq!(house.by_zone("g"), [0, 2, 2]);
    let new = NewGroup { zones: vec![zone(ZONES[0])], ..house.wanted("h", 0, 9, 1) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let failed = house.activities()[0];
    assert_eq!((failed.group.as_str(), failed.status), ("h", ActivityStatus::Failed));
    assert!(failed.instance.is_none() && failed.message.as_ref().unwrap().contains("capacity"), "{failed:?}");
}

#[test]
fn zones_are_evened_out_by_launching_first() {
    let mut house = House::new(5);
    let new = NewGroup { zones: vec![zone(ZONES[0])], ..house.wanted("g", 4, 4, 4) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    assert_eq!(house.by_zone("g"), [4, 0, 0]);
    let zones = Some(vec![zone(ZONES[0]), zone(ZONES[1])]);
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch: GroupPatch { zones, ..GroupPatch::default() } });
    for _ in 0..100 {
        house.step(1);
        let serving = house.in_service("g").len();
        assert!((4..=5).contains(&serving) && house.group("g").capacity() <= 5, "{serving} in service");
    }
    assert_eq!(house.by_zone("g"), [2, 2, 0]);
    // A zone that is the group's no more is left altogether.
    let zones = Some(vec![zone(ZONES[2])]);
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch: GroupPatch { zones, ..GroupPatch::default() } });
    house.settle();
    assert_eq!(house.by_zone("g"), [0, 0, 4]);
}

#[test]
fn members_stand_by_come_back_leave_and_are_ended_by_hand() {
    let mut house = House::new(6);
    house.balancer("web");
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("g", 1, 4, 3) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let members = house.in_service("g");
    let activity = house.activity();
    house.scale(ScalingChange::EnterStandby {
        group: name("g"),
        instances: vec![(members[0].clone(), activity)],
        decrement: true,
    });
    house.settle();
    assert_eq!(house.group("g").members[&members[0]].state, LifecycleState::Standby);
    assert_eq!((house.group("g").desired, house.in_service("g").len()), (2, 2));
    assert!(!house.world.load_balancer(&balancer("web")).unwrap().instances.contains(&members[0]));
    let activity = house.activity();
    house.scale(ScalingChange::ExitStandby { group: name("g"), instances: vec![(members[0].clone(), activity)] });
    house.settle();
    assert_eq!((house.group("g").desired, house.in_service("g").len()), (3, 3));
    assert!(house.world.load_balancer(&balancer("web")).unwrap().instances.contains(&members[0]));

    let activity = house.activity();
    house.scale(ScalingChange::DetachInstances {
        group: name("g"),
        instances: vec![(members[1].clone(), activity)],
        decrement: false,
    });
    house.settle();
    assert!(!house.group("g").members.contains_key(&members[1]));
    assert_eq!(house.in_service("g").len(), 3);
    let left = house.world.instance(&members[1]).unwrap();
    assert!(left.state == InstanceState::Running && left.tags.is_empty(), "{left:?}");

    let activity = house.activity();
    house.scale(ScalingChange::AttachInstances { group: name("g"), instances: vec![(members[1].clone(), activity)] });
    house.settle();
    assert_eq!((house.group("g").desired, house.in_service("g").len()), (4, 4));
    let activity = house.activity();
    let again = ScalingChange::AttachInstances { group: name("g"), instances: vec![(members[1].clone(), activity)] };
    assert!(matches!(house.refused(again), BadScaling::NoRoom { .. }));

    let activity = house.activity();
    let instance = members[1].clone();
    house.scale(ScalingChange::TerminateMember { instance: instance.clone(), activity, decrement: true });
    house.settle();
    assert_eq!((house.group("g").desired, house.in_service("g").len()), (3, 3));
    assert_eq!(house.world.instance(&instance).unwrap().state, InstanceState::Terminated);
}

/// The group's name comes on top of as many tags as an instance may have: a database with it is no broken one.
#[test]
fn a_member_may_have_as_many_tags_as_any_instance() {
    let mut house = House::new(12);
    let tags: BTreeMap<String, GroupTag> =
        (0..50).map(|n| (format!("tag-{n}"), GroupTag { value: "x".into(), propagates: true })).collect();
    let new = NewGroup { tags, ..house.wanted("g", 0, 2, 1) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let member = house.in_service("g")[0].clone();
    assert_eq!(house.world.instance(&member).unwrap().tags.len(), 51);
    house.sound();
    let resources = vec![member.to_string()];
    let again = BTreeMap::from([("tag-1".to_owned(), "y".to_owned())]);
    house.make(Change::CreateTags { resources: resources.clone(), tags: again });
    // What people did not set they cannot take away.
    let of_group = vec![("aws:autoscaling:groupName".to_owned(), None)];
    house.make(Change::DeleteTags { resources: resources.clone(), tags: of_group });
    house.make(Change::DeleteTags { resources, tags: vec![] });
    assert_eq!(house.world.instance(&member).unwrap().tags.len(), 1);
}

#[test]
fn who_is_protected_is_spared() {
    let mut house = House::new(7);
    let new = house.wanted("g", 0, 4, 4);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let spared: Vec<InstanceId> = house.in_service("g").into_iter().take(2).collect();
    let (group, instances) = (name("g"), spared.clone());
    house.scale(ScalingChange::SetProtection { group, instances, is_protected: true });
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 0, honor_cooldown: false });
    house.settle();
    assert_eq!(house.in_service("g"), spared);
    // Its group's end and its own illness spare nobody.
    house.scale(ScalingChange::DeleteGroup { group: name("g"), force: true });
    house.settle();
    assert!(house.world.scaling_group(&name("g")).is_none());
    assert!(house.world.instances().all(|i| i.state == InstanceState::Terminated));
}

#[test]
fn hooks_are_waited_for_answered_and_run_out() {
    let mut house = House::new(8);
    let hook =
        |transition, goes_on| Hook { transition, heartbeat: 60, goes_on, metadata: None, target: None, role: None };
    let (warm, save) = (ScalingName::new("warm").unwrap(), ScalingName::new("save").unwrap());
    let hooks = BTreeMap::from([
        (warm.clone(), hook(Transition::Launching, false)),
        (save.clone(), hook(Transition::Terminating, true)),
    ]);
    let new = NewGroup { hooks, ..house.wanted("g", 0, 2, 1) };
    house.scale(ScalingChange::CreateGroup(new));
    house.step(1);
    house.step(5);
    let (id, member) = house.group("g").members.first_key_value().map(|(id, m)| (id.clone(), m.clone())).unwrap();
    assert_eq!(member.state, LifecycleState::PendingWait);
    let answer = |who, answer| ScalingChange::AnswerHook { group: name("g"), name: warm.clone(), who, answer };
    house.step(50);
    house.scale(answer(Waiting::Token(member.waits[&warm].token.clone()), Answer::Heartbeat));
    house.step(50);
    assert_eq!(house.group("g").members[&id].state, LifecycleState::PendingWait);
    house.scale(answer(Waiting::Instance(id.clone()), Answer::Continue));
    house.step(1);
    assert_eq!(house.group("g").members[&id].state, LifecycleState::InService);
    let late = answer(Waiting::Instance(id.clone()), Answer::Continue);
    assert!(matches!(house.refused(late), BadScaling::NoSuchAction(_)));

    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 0, honor_cooldown: false });
    house.step(1);
    assert_eq!(house.group("g").members[&id].state, LifecycleState::TerminatingWait);
    assert_eq!(house.world.instance(&id).unwrap().state, InstanceState::Running);
    house.step(61);
    house.step(1);
    assert!(house.group("g").members.is_empty());

    // Nobody answers, and the hook says to give up: it is ended, and another tried.
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 1, honor_cooldown: false });
    house.step(1);
    house.step(5);
    house.step(61);
    let failed = house.activities().into_iter().find(|activity| activity.status == ActivityStatus::Failed).unwrap();
    assert!(failed.message.as_ref().unwrap().ends_with("a lifecycle action was abandoned"), "{failed:?}");
    house.scale(ScalingChange::DeleteHook { group: name("g"), name: warm });
    house.settle();
    assert_eq!(house.in_service("g").len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut house = House::new(9);
    let new = house.wanted("g", 1, 3, 2);
    house.scale(ScalingChange::CreateGroup(new.clone()));
    house.settle();
    let rows = house.rows.clone();
    assert!(matches!(house.refused(ScalingChange::CreateGroup(new.clone())), BadScaling::GroupTaken(_)));
    let bad = |of: NewGroup| ScalingChange::CreateGroup(NewGroup { name: name("h"), ..of });
    assert!(matches!(house.refused(bad(NewGroup { min: 4, ..new.clone() })), BadScaling::Sizes(_)));
    assert!(matches!(house.refused(bad(NewGroup { desired: Some(4), ..new.clone() })), BadScaling::Sizes(_)));
    assert!(matches!(house.refused(bad(NewGroup { zones: vec![], ..new.clone() })), BadScaling::NoZones));
    let nowhere = NewGroup { balancers: [balancer("nope")].into(), ..new.clone() };
    assert!(matches!(house.refused(bad(nowhere)), BadScaling::NoSuchBalancer(_)));
    let nothing = NewGroup { launch: LaunchSource::Configuration(configuration("nope")), ..new };
    assert!(matches!(house.refused(bad(nothing)), BadScaling::NoSuchConfiguration(_)));
    let desired = |desired| ScalingChange::SetDesired { group: name("g"), desired, honor_cooldown: false };
    assert!(matches!(house.refused(desired(4)), BadScaling::AboveMax { .. }));
    assert!(matches!(house.refused(desired(0)), BadScaling::BelowMin { .. }));
    let group = name("g");
    let soon = ScalingChange::SetDesired { group, desired: 3, honor_cooldown: true };
    assert!(matches!(house.refused(soon), BadScaling::CoolingDown(_)));
    let delete = ScalingChange::DeleteLaunchConfiguration { name: configuration("lc-1") };
    assert!(matches!(house.refused(delete), BadScaling::ConfigurationInUse(_)));
    let delete = ScalingChange::DeleteGroup { group: name("g"), force: false };
    assert!(matches!(house.refused(delete), BadScaling::HasMembers));
    let member = house.in_service("g")[0].clone();
    let activity = house.activity();
    let instances = vec![(member, activity)];
    let both = ScalingChange::DetachInstances { group: name("g"), instances, decrement: true };
    house.scale(both);
    let member = house.in_service("g")[0].clone();
    let activity = house.activity();
    let least = ScalingChange::TerminateMember { instance: member, activity, decrement: true };
    assert!(matches!(house.refused(least), BadScaling::NoRoom { .. }));
    assert_ne!(house.rows, rows);
}

fn alarm(name: &str, value: f64, threshold: f64) -> AlarmSignal {
    let side = if value < threshold { Side::Below } else { Side::Above };
    AlarmSignal { name: name.into(), state: AlarmState::Alarm, side, threshold, datapoints: vec![value] }
}

#[test]
fn policies_scale_by_steps_and_rest_between_simple_ones() {
    let mut house = House::new(10);
    let new = NewGroup { cooldown: 60, ..house.wanted("g", 1, 20, 10) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let policy =
        |rule| ScalingPolicy { id: "1".into(), enabled: true, rule, warmup: Some(30), tracker: None, predictor: None };
    let (more, fewer) = (ScalingName::new("more").unwrap(), ScalingName::new("fewer").unwrap());
    let step = |lower, upper, amount| StepAdjustment { lower, upper, amount };
    let steps = Rule::Step {
        kind: AdjustmentType::PercentChangeInCapacity,
        min_magnitude: None,
        aggregation: MetricAggregationType::Average,
        steps: vec![step(Some(0.0), Some(20.0), 10), step(Some(20.0), None, 30)],
    };
    let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount: -2, min_magnitude: None };
    let simple = Rule::Simple { adjustment, cooldown: None };
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: more.clone(), policy: policy(steps) });
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: fewer.clone(), policy: policy(simple) });
    let execute =
        |of: &ScalingName, trigger| ScalingChange::ExecutePolicy { group: name("g"), name: of.clone(), trigger };
    // AWS's example: 10 %, and while that one warms up the next step's 30 % of ten, of which one is there already.
    house.scale(execute(&more, Trigger::Alarm(alarm("busy", 60.0, 50.0))));
    assert_eq!(house.group("g").desired, 11);
    house.step(5);
    house.scale(execute(&more, Trigger::Alarm(alarm("busy", 60.0, 50.0))));
    assert_eq!(house.group("g").desired, 11, "the one that comes counts");
    house.scale(execute(&more, Trigger::Alarm(alarm("busy", 75.0, 50.0))));
    assert_eq!(house.group("g").desired, 13);
    // A simple policy rests while anything is under way, and for its cooldown.
    let asked = |honor_cooldown| Trigger::Asked { metric: None, honor_cooldown };
    assert!(matches!(house.refused(execute(&fewer, asked(true))), BadScaling::Blocked(_)));
    house.scale(execute(&fewer, Trigger::Alarm(alarm("idle", 1.0, 20.0))));
    assert_eq!(house.group("g").desired, 13);
    house.settle();
    house.scale(execute(&fewer, Trigger::Alarm(alarm("idle", 1.0, 20.0))));
    assert_eq!(house.group("g").desired, 11);
    house.settle();
    let causes: Vec<&str> = house.activities().iter().map(|activity| activity.cause.as_str()).collect();
    let told =
        "a monitor alarm idle in state ALARM triggered policy fewer changing the desired capacity from 13 to 11.";
    assert!(causes.iter().any(|cause| cause.contains(told)), "{causes:?}");
    // A policy's own cooldown is that of the activity that it began, for whoever comes next.
    let brief = ScalingName::new("brief").unwrap();
    let adjustment = Adjustment { amount: -1, ..adjustment };
    let simple = Rule::Simple { adjustment, cooldown: Some(Duration::from_secs(5)) };
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: brief.clone(), policy: policy(simple) });
    house.scale(execute(&brief, Trigger::Alarm(alarm("idle", 1.0, 20.0))));
    for _ in 0..12 {
        house.step(1);
    }
    house.scale(execute(&fewer, Trigger::Alarm(alarm("idle", 1.0, 20.0))));
    assert_eq!(house.group("g").desired, 8, "11 - 1 - 2");
    for _ in 0..12 {
        house.step(1);
    }
    house.scale(execute(&brief, Trigger::Alarm(alarm("idle", 1.0, 20.0))));
    assert_eq!(house.group("g").desired, 8, "the other's is the group's");
    house.settle();
    house.scale(execute(&more, Trigger::Asked { metric: Some((60.0, 50.0)), honor_cooldown: false }));
    assert_eq!(house.group("g").desired, 9);
    house.settle();
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::AlarmNotification].into() });
    house.scale(execute(&more, Trigger::Alarm(alarm("busy", 75.0, 50.0))));
    assert_eq!((house.group("g").desired, house.group("g").decisions.len()), (9, 6));
    let wrong = Trigger::Asked { metric: None, honor_cooldown: false };
    assert!(matches!(house.refused(execute(&more, wrong)), BadScaling::Policy(_)));
    house.scale(ScalingChange::DeletePolicy { group: name("g"), name: more.clone() });
    assert!(matches!(house.refused(execute(&more, asked(false))), BadScaling::NoSuchPolicy(_)));
}

#[test]
fn targets_are_followed_and_their_alarms_come_and_go_with_them() {
    let mut house = House::new(12);
    let new = NewGroup { cooldown: 0, ..house.wanted("g", 1, 8, 1) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let track = |name: &str, target, alarms: [&str; 2]| ScalingChange::PutPolicy {
        group: AutoScalingGroupName::new("g").unwrap(),
        name: ScalingName::new(name).unwrap(),
        policy: ScalingPolicy {
            id: name.into(),
            enabled: true,
            rule: Rule::Tracking { target, disable_scale_in: false },
            warmup: None,
            tracker: Some(Tracker {
                metric: TrackedMetric::Series {
                    metric: MetricName {
                        namespace: "AWS/EC2".into(),
                        name: "LoadAverage1".into(),
                        dimensions: vec![("AutoScalingGroupName".into(), "g".into())],
                    },
                    statistic: "Average".into(),
                    unit: None,
                    period: None,
                },
                alarms: alarms.map(str::to_owned),
            }),
            predictor: None,
        },
    };
    house.scale(track("load", 2.0, ["1", "2"]));
    house.scale(track("other", 4.0, ["3", "4"]));
    let alarm = |side: &str, n: u32| AlarmName::new(format!("TargetTracking-g-Alarm{side}-{n}")).unwrap();
    let (high, low, other_low) = (alarm("High", 1), alarm("Low", 2), alarm("Low", 4));
    let settings = house.world.alarm(&low).unwrap().settings.clone();
    assert_eq!((settings.threshold, settings.evaluation_periods, settings.watched.period()), (1.8, 15, 1));
    // Put again, they are the same ones.
    house.scale(track("load", 2.0, ["5", "6"]));
    assert_eq!(house.world.alarms().count(), 4);
    let state = |house: &mut House, alarm: &AlarmName, state| {
        let change = AlarmChange::SetState { alarm: alarm.clone(), state, reason: String::new(), data: None };
        house.make(Change::Alarm(change));
    };
    let seen = |house: &mut House, values: &[(&str, f64)]| {
        let readings = values.iter().map(|(name, value)| (ScalingName::new(*name).unwrap(), *value)).collect();
        house.scale(ScalingChange::Track { group: name("g"), readings });
        house.group("g").desired
    };
    assert_eq!(seen(&mut house, &[("load", 9.0)]), 1, "no alarm goes off");
    state(&mut house, &high, noun::AlarmState::Alarm);
    assert_eq!(seen(&mut house, &[]), 1, "nobody knows how far off it is");
    assert_eq!(seen(&mut house, &[("load", 9.0)]), 5, "9 / 2");
    assert_eq!(seen(&mut house, &[("load", 9.0)]), 5, "those that come are on their way");
    while house.in_service("g").len() < 5 {
        house.step(1);
    }
    // Until all that was measured was measured with them, one has it all.
    assert_eq!(seen(&mut house, &[("load", 9.0)]), 5);
    for _ in 0..6 {
        house.step(1);
    }
    assert_eq!(seen(&mut house, &[("load", 2.5)]), 7, "2.5 on 5");
    state(&mut house, &high, noun::AlarmState::Ok);
    house.settle();
    for _ in 0..6 {
        house.step(1);
    }
    // All that track want fewer, or nobody goes; and no fewer than the one that wants most of them.
    state(&mut house, &low, noun::AlarmState::Alarm);
    assert_eq!(seen(&mut house, &[("load", 0.2)]), 7);
    state(&mut house, &other_low, noun::AlarmState::Alarm);
    assert_eq!(seen(&mut house, &[("load", 0.2), ("other", 1.9)]), 4, "1.9 on 7 instead of 4");
    // What is measured now is still of seven.
    assert_eq!(seen(&mut house, &[("load", 0.2), ("other", 1.9)]), 4);
    let causes: Vec<&str> = house.group("g").why.iter().map(String::as_str).collect();
    let told = "alarm TargetTracking-g-AlarmLow-4 in state ALARM triggered policy other changing the desired capacity from 7 to 4.";
    assert!(causes.iter().any(|cause| cause.contains(told)), "{causes:?}");
    // Tags say how calmly; a wrong one is refused, and so is a target of a metric that is not measured.
    let tag = |value: &str| {
        let tag = GroupTag { value: value.into(), propagates: false };
        ScalingChange::TagGroups { tags: vec![(name("g"), "evenkeel:scale-in-stabilization".into(), tag)] }
    };
    house.scale(tag("60"));
    assert_eq!(house.world.alarm(&low).unwrap().settings.evaluation_periods, 60);
    assert!(matches!(house.refused(tag("soon")), BadScaling::PaceTag { .. }));
    let ScalingChange::PutPolicy { group, name: of, mut policy } = track("load", 2.0, ["1", "2"]) else { return };
    let label = Some("app/nobody/1".to_owned());
    policy.tracker.as_mut().unwrap().metric =
        TrackedMetric::Predefined { metric: PredefinedMetricType::AlbRequestCountPerTarget, label };
    assert!(matches!(house.refused(ScalingChange::PutPolicy { group, name: of, policy }), BadScaling::Policy(_)));
    // A policy on a balancer that leaves the group stands in nobody's way: not in that of others, of tags, or of its own end.
    house.balancer("web");
    let balancers = || [balancer("web")].into();
    house.scale(ScalingChange::AttachBalancers { group: name("g"), balancers: balancers() });
    let ScalingChange::PutPolicy { name: of, mut policy, .. } = track("requests", 9.0, ["7", "8"]) else { return };
    policy.tracker.as_mut().unwrap().metric =
        TrackedMetric::Predefined { metric: PredefinedMetricType::AlbRequestCountPerTarget, label: None };
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: of, policy });
    house.scale(ScalingChange::DetachBalancers { group: name("g"), balancers: balancers() });
    house.scale(tag("90"));
    assert_eq!((house.world.alarm(&low).unwrap().settings.evaluation_periods, house.world.alarms().count()), (90, 6));
    let gone = ScalingName::new("other").unwrap();
    house.scale(ScalingChange::DeletePolicy { group: name("g"), name: gone });
    assert_eq!(house.world.alarms().count(), 4);
    let gone = ScalingName::new("requests").unwrap();
    house.scale(ScalingChange::DeletePolicy { group: name("g"), name: gone });
    assert_eq!(house.world.alarms().map(|alarm| &alarm.name).collect::<Vec<_>>(), [&high, &low]);
    house.scale(ScalingChange::DeleteGroup { group: name("g"), force: true });
    house.settle();
    assert_eq!((house.world.scaling_groups().count(), house.world.alarms().count()), (0, 0));
}

/// What a member sends is counted by the second, and its target meant for a minute.
#[test]
fn targets_of_bytes_are_of_a_minute() {
    let mut house = House::new(13);
    let new = house.wanted("g", 1, 8, 1);
    house.scale(ScalingChange::CreateGroup(new));
    let metric = TrackedMetric::Predefined { metric: PredefinedMetricType::AsgAverageNetworkOut, label: None };
    house.scale(ScalingChange::PutPolicy {
        group: name("g"),
        name: ScalingName::new("sent").unwrap(),
        policy: ScalingPolicy {
            id: "sent".into(),
            enabled: true,
            rule: Rule::Tracking { target: 6e6, disable_scale_in: true },
            warmup: None,
            tracker: Some(Tracker { metric, alarms: ["1", "2"].map(str::to_owned) }),
            predictor: None,
        },
    });
    let settings = &house.world.alarms().next().unwrap().settings;
    let noun::alarm::Watched::Math(queries) = &settings.watched else { panic!("{:?}", settings.watched) };
    let stat = queries[0].stat.as_ref().unwrap();
    let read = (stat.metric.name.as_str(), stat.statistic.as_str(), stat.period, settings.threshold);
    assert_eq!(read, ("NetworkOut", "Average", 1, 6e6));
    assert_eq!((queries[1].expression.as_deref(), queries[1].watched), (Some("second * 60"), Some(true)));
}

#[test]
fn topics_are_told_of_what_is_over_once_and_before_the_group_goes() {
    let mut house = House::new(31);
    let topic = |name: &str| TopicArn::new(format!("arn:aws:sns:us-east-1:000000000000:{name}")).unwrap();
    let (ops, other) = (topic("ops"), topic("other"));
    house.make(Change::CreateTopic(noun::Topic {
        arn: ops.clone(),
        display_name: String::new(),
        created: house.now,
        tags: BTreeMap::new(),
    }));
    let put = |topic: &TopicArn, kinds: &[NotificationType]| ScalingChange::PutNotifications {
        group: name("g"),
        topic: topic.clone(),
        kinds: kinds.iter().copied().collect(),
    };
    let new = house.wanted("g", 0, 4, 0);
    house.scale(ScalingChange::CreateGroup(new));
    assert!(matches!(house.refused(put(&other, &NotificationType::ALL)), BadScaling::NoSuchTopic(_)));
    let told = |house: &mut House| -> Vec<GroupTold> {
        let notices = house.group("g").notices.clone();
        for notice in &notices {
            house.scale(ScalingChange::Told { group: name("g"), number: notice.number });
        }
        notices.into_iter().map(|notice| notice.told).collect()
    };
    let events = |told: &[GroupTold]| -> Vec<NotificationType> {
        let event = |told: &GroupTold| match told {
            GroupTold::Activity { event, .. } => Some(*event),
            GroupTold::Test { .. } | GroupTold::Wait { .. } => None,
        };
        told.iter().filter_map(event).collect()
    };
    house.scale(put(&ops, &[NotificationType::Launch, NotificationType::LaunchError, NotificationType::Terminate]));
    assert_eq!(told(&mut house), [GroupTold::Test { hook: None }]);
    let warm = ScalingName::new("warm").unwrap();
    let hook = Hook {
        transition: Transition::Launching,
        heartbeat: 60,
        goes_on: true,
        metadata: Some("m".into()),
        target: Some(ops.clone()),
        role: None,
    };
    let put_hook = |hook: &Hook| ScalingChange::PutHook { group: name("g"), name: warm.clone(), hook: hook.clone() };
    assert!(matches!(
        house.refused(put_hook(&Hook { target: Some(other), ..hook.clone() })),
        BadScaling::NoSuchTopic(_)
    ));
    house.scale(put_hook(&hook));
    house.scale(put_hook(&hook));
    assert_eq!(told(&mut house), [GroupTold::Test { hook: Some(warm.clone()) }], "once for the same topic");
    let desired = |desired| ScalingChange::SetDesired { group: name("g"), desired, honor_cooldown: false };
    house.scale(desired(2));
    house.step(1);
    house.step(5);
    house.step(5);
    let waits = told(&mut house);
    let is_it = |told: &GroupTold| {
        let GroupTold::Wait { instance, hook, token, metadata, .. } = told else { return false };
        let wait = &house.group("g").members[instance].waits[hook];
        *hook == warm && wait.token == *token && metadata.as_deref() == Some("m")
    };
    assert!(waits.len() == 2 && waits.iter().all(is_it), "{waits:?}");
    house.settle();
    assert_eq!(events(&told(&mut house)), [NotificationType::Launch; 2]);
    house.boots = Boots::Impaired;
    house.scale(desired(3));
    house.step(1);
    house.settle();
    let failed = events(&told(&mut house));
    assert!(failed.contains(&NotificationType::LaunchError), "{failed:?}");
    house.boots = Boots::Well;
    house.scale(ScalingChange::DeleteHook { group: name("g"), name: warm });
    house.scale(desired(2));
    house.settle();
    told(&mut house);
    house.scale(ScalingChange::DeleteGroup { group: name("g"), force: true });
    house.settle();
    // It stays until somebody has been told of its end.
    assert!(house.group("g").members.is_empty());
    let last = events(&told(&mut house));
    assert!(last.len() >= 2 && last.iter().all(|event| *event == NotificationType::Terminate), "{last:?}");
    house.settle();
    assert!(house.world.scaling_group(&name("g")).is_none());
}

#[test]
fn what_is_scheduled_is_done_once_each_time_and_only_while_it_may() {
    let mut house = House::new(11);
    let new = house.wanted("g", 1, 4, 1);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let (day, once) = (ScalingName::new("day").unwrap(), ScalingName::new("once").unwrap());
    let action = |next, recurrence: Option<&str>, desired| ScheduledAction {
        id: "1".into(),
        start: None,
        end: None,
        recurrence: recurrence.map(|text| Recurrence::new(text).unwrap()),
        time_zone: None,
        min: None,
        max: None,
        desired: Some(desired),
        next,
    };
    let put =
        |name: &ScalingName, action| ScalingChange::PutSchedule { group: self::name("g"), name: name.clone(), action };
    let hourly = Recurrence::new("0 * * * *").unwrap().next_after(house.now, |_| 0).unwrap();
    house.scale(put(&day, action(hourly, Some("0 * * * *"), 3)));
    assert!(matches!(house.refused(put(&once, action(hourly, None, 2))), BadScaling::SameTime(_)));
    assert!(matches!(house.refused(put(&once, action(Timestamp(1), None, 2))), BadScaling::Sizes(_)));
    let later = hourly.plus(Duration::from_secs(600));
    house.scale(put(&once, ScheduledAction { min: Some(2), max: Some(2), ..action(later, None, 2) }));
    while house.now < hourly {
        house.step(30);
    }
    house.settle();
    assert_eq!(
        (house.in_service("g").len(), house.group("g").schedule[&day].next),
        (3, hourly.plus(Duration::from_secs(3600)))
    );
    while house.now < later {
        house.step(30);
    }
    house.settle();
    let group = house.group("g");
    assert_eq!((group.min, group.max, house.in_service("g").len()), (2, 2, 2));
    assert!(!group.schedule.contains_key(&once), "it is done");
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ScheduledActions].into() });
    let patch = GroupPatch { max: Some(9), ..GroupPatch::default() };
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch });
    for _ in 0..130 {
        house.step(60);
    }
    assert_eq!(house.group("g").desired, 2);
    house.scale(ScalingChange::Resume { group: name("g"), processes: [Process::ScheduledActions].into() });
    for _ in 0..61 {
        house.step(60);
    }
    assert_eq!(house.group("g").desired, 3);
}

#[test]
fn a_member_that_may_not_be_replaced_is_known_as_long_as_it_is_one() {
    let mut house = House::new(12);
    let new = house.wanted("g", 1, 4, 2);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ReplaceUnhealthy].into() });
    let dead = house.in_service("g")[0].clone();
    house.make(Change::TerminateInstances { instances: vec![dead.clone()] });
    house.step(7_200);
    house.settle();
    assert!(house.group("g").members.contains_key(&dead), "nobody may end it");
    assert_eq!(house.world.instance(&dead).map(|instance| instance.state), Some(InstanceState::Terminated));
    assert!(expiry::next_deadline(&house.world).is_none(), "nobody waits for it");
    house.scale(ScalingChange::Resume { group: name("g"), processes: [Process::ReplaceUnhealthy].into() });
    house.settle();
    house.step(7_200);
    assert!(house.world.instance(&dead).is_none());
    assert_eq!(house.in_service("g").len(), 2);
}

#[test]
fn whoever_serves_nobody_yet_goes_first_when_a_group_shrinks() {
    for seed in 1..=20 {
        let mut house = House::new(seed);
        let new = NewGroup { protects_new: seed % 2 == 0, ..house.wanted("g", 1, 9, 2) };
        house.scale(ScalingChange::CreateGroup(new));
        house.settle();
        let served = house.in_service("g");
        house.boots = Boots::Never;
        house.boot_time = Duration::from_secs(600);
        let desired = |desired| ScalingChange::SetDesired { group: name("g"), desired, honor_cooldown: false };
        house.scale(desired(6));
        house.step(1);
        assert_eq!(house.group("g").capacity(), 6);
        house.scale(desired(2));
        house.step(1);
        house.step(1);
        assert_eq!(house.in_service("g"), served, "seed {seed}");
        let left = if seed % 2 == 0 { 6 } else { 2 };
        assert_eq!(house.group("g").capacity(), left, "seed {seed}: those who are spared boot on");
    }
}

#[test]
fn the_ill_who_wait_for_their_turn_go_at_once_when_they_run_no_more() {
    let mut house = House::new(14);
    let new = house.wanted("g", 1, 9, 4);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let (impaired, other) = (house.in_service("g")[0].clone(), house.in_service("g")[1].clone());
    let status = InstanceStatus::Impaired { why: "no answer".into() };
    house.make(Change::Report { instance: impaired.clone(), boot: 1, seen: Seen::Running { status } });
    // One is missing already, and may not be launched: the impaired one waits.
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::Launch].into() });
    house.kill(&other);
    house.step(61);
    assert_eq!(house.group("g").members[&impaired].state, LifecycleState::InService);
    house.kill(&impaired);
    house.step(1);
    house.step(1);
    assert!(!house.group("g").members.contains_key(&impaired));
}

/// Requests wait at those balancers, and nobody is in service.
fn waiting(house: &mut House, at: &[&str]) {
    let called = at.iter().map(|name| balancer(name)).collect();
    house.sightings.road = Some(RoadSeen { called, ..RoadSeen::default() });
}

fn wakes(house: &House) -> bool {
    compile(&house.world).balancers[&balancer("web")].wakes
}

#[test]
fn a_group_that_is_empty_is_woken_by_requests_that_wait_and_says_so() {
    let mut house = House::new(21);
    house.balancer("web");
    house.balancer("other");
    assert!(!wakes(&house));
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("a", 0, 3, 0) };
    house.scale(ScalingChange::CreateGroup(new));
    assert!(wakes(&house) && !compile(&house.world).balancers[&balancer("other")].wakes);
    waiting(&mut house, &["other"]);
    house.settle();
    assert_eq!(house.group("a").desired, 0, "nobody waits for it");
    waiting(&mut house, &["web"]);
    house.settle();
    assert_eq!((house.group("a").desired, house.in_service("a").len()), (1, 1));
    house.settle();
    assert_eq!(house.group("a").desired, 1, "one will do: policies do the rest");
    let activities = house.activities();
    let [activity] = activities[..] else { panic!("{activities:?}") };
    let told = "requests were waiting at load balancer web while the group was empty, changing the desired capacity from 0 to 1.";
    assert!(activity.cause.contains(told), "{}", activity.cause);

    // What suspends it, and what it then comes to: where nobody comes, nobody is to wait.
    let check = |process: Process, desired: u32| {
        let mut house = House::new(22);
        house.balancer("web");
        let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("a", 0, 3, 0) };
        house.scale(ScalingChange::CreateGroup(new));
        house.scale(ScalingChange::Suspend { group: name("a"), processes: [process].into() });
        assert_eq!(wakes(&house), desired == 1, "{process:?}");
        waiting(&mut house, &["web"]);
        house.step(10);
        assert_eq!(house.group("a").desired, desired, "{process:?}");
        let desired = ScalingChange::SetDesired { group: name("a"), desired: 1, honor_cooldown: false };
        house.scale(desired);
        assert_eq!(wakes(&house), process != Process::Launch, "{process:?}");
    };
    check(Process::AlarmNotification, 0);
    check(Process::Launch, 0);
    check(Process::AZRebalance, 1);
    check(Process::Terminate, 1);
}

#[test]
fn of_two_groups_behind_a_balancer_the_second_is_woken_where_the_first_comes_to_nothing() {
    let mut house = House::new(23);
    house.balancer("web");
    for group in ["a", "b"] {
        let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted(group, 0, 3, 0) };
        house.scale(ScalingChange::CreateGroup(new));
    }
    house.boots = Boots::Never;
    waiting(&mut house, &["web"]);
    house.step(1);
    assert_eq!((house.group("a").desired, house.group("b").desired), (1, 0));
    house.step(20);
    assert_eq!((house.group("a").desired, house.group("b").desired), (1, 1));
}

#[test]
fn routes_follow_what_groups_may_do() {
    let mut house = House::new(24);
    house.balancer("web");
    let mut held = (house.world.clone(), compile(&house.world));
    let mut check = |house: &House, expected: bool| {
        let next = follow(&house.world, &held.0, &held.1);
        assert_eq!(next, compile(&house.world));
        assert_eq!(next.balancers[&balancer("web")].wakes, expected);
        held = (house.world.clone(), next);
    };
    check(&house, false);
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("a", 0, 3, 0) };
    house.scale(ScalingChange::CreateGroup(new));
    check(&house, true);
    let patch = |min, max| GroupPatch { min: Some(min), max: Some(max), ..GroupPatch::default() };
    for (patch, expected) in [(patch(1, 3), false), (patch(0, 3), true), (patch(0, 0), false), (patch(0, 1), true)] {
        house.scale(ScalingChange::UpdateGroup { group: name("a"), patch });
        check(&house, expected);
    }
    let balancers = [balancer("web")].into();
    house.scale(ScalingChange::DetachBalancers { group: name("a"), balancers });
    check(&house, false);
}

#[test]
fn a_group_that_nobody_asks_anything_of_is_emptied_when_it_says_so() {
    let tagged = |value: &str| [(IDLE_TAG.to_owned(), GroupTag { value: value.into(), propagates: false })].into();
    let mut house = House::new(25);
    house.balancer("web");
    for bad in ["59", "86401", "", "5m", "-60"] {
        let new = NewGroup { tags: tagged(bad), ..house.wanted("a", 0, 3, 0) };
        let refused = house.refused(ScalingChange::CreateGroup(new));
        assert!(refused.to_string().contains("from 60 to 86400"), "{refused}");
    }
    let new = NewGroup { balancers: [balancer("web")].into(), tags: tagged("60"), ..house.wanted("a", 0, 3, 2) };
    house.scale(ScalingChange::CreateGroup(new));
    let mut idle = Idle::default();
    // What a look at each second comes to: how many it takes until the group is emptied.
    let mut at = 0;
    let mut emptied = |house: &mut House, load: &dyn Fn(u64) -> Option<Load>, most: u64| -> Option<u64> {
        for second in 1..=most {
            at += 1;
            let loads = load(second).map(|load| Loads::from([(balancer("web"), load)]));
            let changes = idle.look(&house.world, loads.as_ref(), Duration::from_secs(at), house.now);
            if !changes.is_empty() {
                changes.into_iter().for_each(|change| house.scale(change));
                return (house.group("a").desired == 0).then_some(second);
            }
        }
        None
    };
    let quiet = |_| Some(Load { requests: 7, in_hand: 0 });
    // Not before all of it is there.
    assert_eq!(emptied(&mut house, &quiet, 200), None);
    house.step(1);
    assert_eq!(emptied(&mut house, &quiet, 200), None, "it boots");
    house.step(5);
    assert_eq!(house.in_service("a").len(), 2);
    for (what, load) in [
        ("requests come", &(|second: u64| Some(Load { requests: 7 + second / 40, in_hand: 0 })) as &dyn Fn(u64) -> _),
        ("one takes its time", &|second| Some(Load { requests: 7, in_hand: u64::from(second % 50 == 49) })),
        ("the road is silent now and then", &|second| (second % 50 != 49).then_some(Load { requests: 7, in_hand: 0 })),
    ] {
        assert_eq!(emptied(&mut house, load, 200), None, "{what}");
    }
    for process in [Process::AlarmNotification, Process::Terminate] {
        house.scale(ScalingChange::Suspend { group: name("a"), processes: [process].into() });
        assert_eq!(emptied(&mut house, &quiet, 200), None, "{process:?}");
        house.scale(ScalingChange::Resume { group: name("a"), processes: [process].into() });
    }
    assert_eq!(emptied(&mut house, &quiet, 200), Some(61), "a minute after it was first seen to be quiet");
    house.settle();
    assert!(house.group("a").members.is_empty());
    let causes: Vec<&str> = house.activities().iter().map(|activity| activity.cause.as_str()).collect();
    let told = "no request had come to load balancer web for 60 seconds, changing the desired capacity from 2 to 0.";
    assert_eq!(causes.iter().filter(|cause| cause.contains(told)).count(), 2, "{causes:?}");
    // Who is woken is there for a minute at least, and a daemon that is started anew counts anew.
    waiting(&mut house, &["web"]);
    house.settle();
    waiting(&mut house, &[]);
    assert_eq!(house.in_service("a").len(), 1);
    assert_eq!(emptied(&mut house, &quiet, 59), None);
    let later = idle.next(&house.world);
    let mut anew = Idle::default();
    assert_eq!(anew.look(&house.world, Some(&Loads::new()), Duration::from_secs(9_000), house.now), []);
    assert_eq!((later, anew.next(&house.world)), (Some(Duration::from_secs(at + 2)), Some(Duration::from_secs(9_060))));
    // What has changed since it was found so counts.
    let patch = GroupPatch { min: Some(1), ..GroupPatch::default() };
    house.scale(ScalingChange::UpdateGroup { group: name("a"), patch });
    house.scale(ScalingChange::Sleep { group: name("a"), idle: 61 });
    assert_eq!(house.group("a").desired, 1);
}

/// A random life of groups: whatever is asked and whatever dies, sizes are kept and nothing is lost.
#[test]
fn whatever_happens_groups_end_where_they_are_meant_to() {
    for seed in 1..=60u64 {
        let mut house = House::new(seed);
        house.balancer("web");
        for group in ["a", "b"] {
            let grown = NewGroup { balancers: [balancer("web")].into(), ..house.wanted(group, 0, 6, 2) };
            house.scale(ScalingChange::CreateGroup(grown));
        }
        for _ in 0..150 {
            happen(&mut house);
            let seconds = 1 + house.dice.below(40) as u64;
            let before: Vec<u32> = house.world.scaling_groups().map(|group| group.capacity()).collect();
            house.step(seconds);
            for (group, before) in house.world.scaling_groups().zip(before) {
                let (most, now) = (group.max + (group.max / 10).max(1), group.capacity());
                // There may be more where the most was made fewer: then there come to be no more.
                assert!(now <= most || now <= before, "seed {seed}: {now} of {}", group.max);
                assert!((group.min..=group.max).contains(&group.desired), "seed {seed}: {group:?}");
            }
            let reloaded =
                World::load(house.world.settings().clone(), house.world.generation(), house.rows.values().cloned());
            assert!(reloaded == house.world, "seed {seed}: rows make another World");
        }
        house.boots = Boots::Well;
        for group in ["a", "b"] {
            let processes = Process::ALL.into();
            house.scale(ScalingChange::Resume { group: name(group), processes });
            let (group, instances) = (name(group), house.in_service(group));
            house.scale(ScalingChange::SetProtection { group, instances, is_protected: false });
        }
        waiting(&mut house, &[]);
        for _ in 0..5 {
            house.settle();
        }
        let mut members = BTreeSet::new();
        for group in house.world.scaling_groups() {
            let serving = house.in_service(group.name.as_str()).len();
            assert_eq!(serving, group.desired as usize, "seed {seed}: {group:#?}");
            let counts = house.by_zone(group.name.as_str());
            let standby = group.members.values().any(|member| member.state == LifecycleState::Standby);
            assert!(
                standby || counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1,
                "seed {seed}: {counts:?}"
            );
            members.extend(group.members.keys().cloned());
        }
        for instance in house.world.instances().filter(|instance| !members.contains(&instance.id)) {
            let left = instance.state == InstanceState::Terminated || instance.tags.is_empty();
            assert!(left, "seed {seed}: nobody knows {instance:?}");
        }
        assert!(
            house.world.activities().all(|activity| activity.status.is_over()),
            "seed {seed}: something is under way"
        );
    }
}

fn happen(house: &mut House) {
    let group = name(if house.dice.chance(50) { "a" } else { "b" });
    let members: Vec<InstanceId> = house.group(group.as_str()).members.keys().cloned().collect();
    let member = (!members.is_empty()).then(|| members[house.dice.below(members.len())].clone());
    let at: &[&str] = if house.dice.chance(20) { &["web"] } else { &[] };
    waiting(house, at);
    let roll = house.dice.below(14);
    let activity = house.activity();
    let change = match (roll, member) {
        (0 | 1, _) => {
            let desired = house.dice.below(8) as u32;
            ScalingChange::SetDesired { group, desired, honor_cooldown: house.dice.chance(20) }
        }
        (2, _) => {
            let min = house.dice.below(4) as u32;
            let patch =
                GroupPatch { min: Some(min), max: Some(min + house.dice.below(6) as u32), ..GroupPatch::default() };
            ScalingChange::UpdateGroup { group, patch }
        }
        (3, _) => {
            let processes = [Process::ALL[house.dice.below(Process::ALL.len())]].into();
            ScalingChange::Suspend { group, processes }
        }
        (4 | 5, _) => ScalingChange::Resume { group, processes: Process::ALL.into() },
        (6, _) => {
            house.boots = [Boots::Well, Boots::Well, Boots::Impaired, Boots::Never][house.dice.below(4)];
            return;
        }
        (7, Some(id)) => {
            if house.world.instance(&id).is_some_and(|i| i.state == InstanceState::Running) {
                house.kill(&id);
            }
            return;
        }
        (8, Some(id)) => {
            drop(house.ask(&Change::TerminateInstances { instances: vec![id] }));
            return;
        }
        (9, Some(instance)) => ScalingChange::TerminateMember { instance, activity, decrement: house.dice.chance(50) },
        (10, Some(id)) => {
            ScalingChange::DetachInstances { group, instances: vec![(id, activity)], decrement: house.dice.chance(50) }
        }
        (11, Some(id)) => {
            ScalingChange::EnterStandby { group, instances: vec![(id, activity)], decrement: house.dice.chance(50) }
        }
        (12, Some(id)) => ScalingChange::ExitStandby { group, instances: vec![(id, activity)] },
        (13, Some(id)) => {
            ScalingChange::SetProtection { group, instances: vec![id], is_protected: house.dice.chance(50) }
        }
        _ => return,
    };
    // Refused is as good as made: nothing of it has happened.
    drop(house.ask(&Change::Scale(change)));
}
