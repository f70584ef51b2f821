//! Warm pools: filled, drawn from, come back to, kept whole, and gone.

use evenkeel_core::change::AttributesPatch;
use evenkeel_core::change::NewRefresh;
use evenkeel_core::noun::group_notice::PoolPassage;
use evenkeel_core::noun::warm_pool::{PoolState, WarmPool};
use evenkeel_core::sightings::instance_health;

use super::*;

impl House {
    fn pool(&mut self, text: &str, pool: WarmPool) {
        self.scale(ScalingChange::PutPool { group: name(text), pool });
    }

    fn set(&mut self, text: &str, desired: u32) {
        self.scale(ScalingChange::SetDesired { group: name(text), desired, honor_cooldown: false });
    }

    fn in_state(&self, text: &str, state: LifecycleState) -> Vec<InstanceId> {
        let members = self.group(text).members.iter();
        members.filter(|(_, member)| member.state == state).map(|(id, _)| id.clone()).collect()
    }

    fn told(&self, part: &str) -> Vec<&Activity> {
        self.activities().into_iter().filter(|activity| activity.description.starts_with(part)).collect()
    }
}

fn stopped() -> WarmPool {
    WarmPool { prepared: Some(5), ..WarmPool::default() }
}

#[test]
fn a_pool_is_filled_drawn_from_and_filled_again() {
    let mut house = House::new(11);
    house.balancer("web");
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("g", 1, 9, 2) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house.pool("g", stopped());
    house.settle();
    let ready = house.in_state("g", LifecycleState::WarmedStopped);
    assert_eq!((ready.len(), house.in_service("g").len(), house.group("g").capacity()), (3, 2, 2));
    assert!(ready.iter().all(|id| house.world.instance(id).unwrap().state == InstanceState::Stopped));
    assert_eq!(house.by_zone("g").iter().max(), Some(&2), "evened out with those who work");
    let into = house.told("Launching a new EC2 instance into warm pool: i-");
    assert_eq!(into.len(), 3);
    assert!(into.iter().any(|activity| activity.cause.ends_with("increasing the warm pool capacity from 2 to 3.")));

    house.set("g", 4);
    house.settle();
    assert_eq!(house.in_service("g").len(), 4);
    assert_eq!(house.in_state("g", LifecycleState::WarmedStopped).len(), 1);
    let drawn: Vec<_> = house.in_service("g").into_iter().filter(|id| ready.contains(id)).collect();
    assert_eq!(drawn.len(), 2, "nobody was launched");
    assert_eq!(house.world.instance(&drawn[0]).unwrap().boots, 2);
    let lb = house.world.load_balancer(&balancer("web")).unwrap();
    assert!(lb.instances.len() == 4 && drawn.iter().all(|id| lb.instances.contains(id)));
    let from = house.told("Launching a new EC2 instance from warm pool: i-");
    assert_eq!((from.len(), from[0].status), (2, ActivityStatus::Successful));
    assert!(from.iter().any(|activity| activity.cause.ends_with("increasing the capacity from 3 to 4.")));

    // Beyond what is prepared the rest is launched.
    house.set("g", 7);
    house.settle();
    assert_eq!((house.in_service("g").len(), house.group("g").pooled()), (7, 0));
    // Down again, and those who go are ended: the pool is filled with new ones.
    house.set("g", 2);
    house.settle();
    assert_eq!((house.in_service("g").len(), house.in_state("g", LifecycleState::WarmedStopped).len()), (2, 3));
    let living = house.world.instances().filter(|instance| instance.state != InstanceState::Terminated).count();
    assert_eq!(living, 5);
    assert!(house.world.activities().all(|activity| activity.status.is_over()));
}

#[test]
fn those_who_go_come_back_where_the_pool_takes_them() {
    let mut house = House::new(12);
    let new = house.wanted("g", 1, 4, 4);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house.pool("g", WarmPool { reuses: true, state: PoolState::Running, ..WarmPool::default() });
    let before = house.in_service("g");
    house.set("g", 1);
    house.settle();
    let ready = house.in_state("g", LifecycleState::WarmedRunning);
    assert_eq!(ready.len(), 3);
    assert!(ready.iter().all(|id| before.contains(id)), "they are the same");
    assert_eq!(house.told("Returning EC2 instance to warm pool: i-").len(), 3);
    assert!(house.told("Terminating").is_empty());
    // Straight into service: they run.
    house.set("g", 4);
    house.step(1);
    assert_eq!(house.in_service("g"), before);
    // Who is ill does not come back.
    house.pool("g", WarmPool { reuses: true, ..WarmPool::default() });
    house.kill(&before[0]);
    house.set("g", 3);
    house.settle();
    assert!(!house.group("g").members.contains_key(&before[0]));
    assert_eq!((house.in_service("g").len(), house.group("g").pooled()), (3, 1));
}

#[test]
fn hooks_are_waited_for_on_the_way_in_and_out() {
    let mut house = House::new(13);
    let arn = TopicArn::new("arn:aws:sns:us-east-1:000000000000:ops").unwrap();
    house.make(Change::CreateTopic(noun::Topic {
        arn: arn.clone(),
        display_name: String::new(),
        created: house.now,
        tags: BTreeMap::new(),
    }));
    let target = Some(arn);
    let hook = |transition| Hook {
        transition,
        heartbeat: 60,
        goes_on: true,
        metadata: None,
        target: target.clone(),
        role: None,
    };
    let hooks = BTreeMap::from([
        (ScalingName::new("up").unwrap(), hook(Transition::Launching)),
        (ScalingName::new("down").unwrap(), hook(Transition::Terminating)),
    ]);
    let new = NewGroup { hooks, ..house.wanted("g", 0, 2, 0) };
    house.scale(ScalingChange::CreateGroup(new));
    house.pool("g", WarmPool { prepared: Some(1), reuses: true, ..WarmPool::default() });
    let mut met = Vec::new();
    let watch = |house: &mut House, met: &mut Vec<&'static str>| {
        for _ in 0..200 {
            house.step(1);
            let states: Vec<&'static str> =
                house.group("g").members.values().map(|member| member.state.as_str()).collect();
            let state = states.first().copied().unwrap_or("none");
            if met.last() != Some(&state) {
                met.push(state);
            }
        }
    };
    watch(&mut house, &mut met);
    let pending = ["Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed", "Warmed:Stopped"];
    let in_pool: Vec<_> = pending.into_iter().filter(|state| *state != "Warmed:Pending:Proceed").collect();
    met.retain(|state| *state != "Warmed:Pending:Proceed");
    assert_eq!(met, in_pool);
    met.clear();
    house.set("g", 1);
    watch(&mut house, &mut met);
    assert_eq!(met, ["Pending", "Pending:Wait", "InService"]);
    met.clear();
    house.set("g", 0);
    watch(&mut house, &mut met);
    met.retain(|state| !matches!(*state, "Warmed:Pending:Proceed" | "Warmed:Pending"));
    assert_eq!(met, ["Warmed:Pending:Wait", "Warmed:Stopped"]);
    met.clear();
    house.scale(ScalingChange::DeletePool { group: name("g"), force: false });
    assert_eq!(
        house.refused(ScalingChange::PutPool { group: name("g"), pool: stopped() }),
        BadScaling::PoolGoes(name("g"))
    );
    watch(&mut house, &mut met);
    assert_eq!(met, ["Warmed:Terminating:Wait", "none"]);
    assert_eq!(house.group("g").pool, None);
    let told: Vec<_> = house.group("g").notices.iter().map(|notice| notice.told.clone()).collect();
    let waits = told.into_iter().filter_map(|told| match told {
        GroupTold::Wait { transition, pool, .. } => Some((transition, pool)),
        _ => None,
    });
    let (up, down) = (Transition::Launching, Transition::Terminating);
    let (into, out) = (Some(PoolPassage::In), Some(PoolPassage::Out));
    assert_eq!(waits.collect::<Vec<_>>(), [(up, into), (up, out), (down, into), (down, out)]);
    assert_eq!(
        house.refused(ScalingChange::DeletePool { group: name("g"), force: false }),
        BadScaling::NoSuchPool(name("g"))
    );
}

#[test]
fn a_pool_heals_and_follows_what_the_group_is() {
    let mut house = House::new(14);
    let new = house.wanted("g", 0, 4, 0);
    house.scale(ScalingChange::CreateGroup(new));
    house.pool("g", WarmPool { state: PoolState::Running, ..WarmPool::default() });
    house.settle();
    let ready = house.in_state("g", LifecycleState::WarmedRunning);
    assert_eq!(ready.len(), 4);
    // Ended by hand, crashed, impaired, called ill: each is replaced, and the group has no setback for it.
    house.make(Change::TerminateInstances { instances: vec![ready[0].clone()] });
    house.scale(ScalingChange::SetHealth { instance: ready[1].clone(), is_healthy: false, respects_grace: false });
    let boot = house.world.instance(&ready[2]).unwrap().boots;
    let seen = Seen::Running { status: InstanceStatus::Impaired { why: "its application exits".into() } };
    house.make(Change::Report { instance: ready[2].clone(), boot, seen });
    house.settle();
    let healed = house.in_state("g", LifecycleState::WarmedRunning);
    assert_eq!(healed.len(), 4, "{:?}", house.group("g").members);
    assert!(ready[..3].iter().all(|id| !healed.contains(id)) && healed.contains(&ready[3]));
    // Another way to rest.
    house.pool("g", WarmPool::default());
    house.settle();
    assert_eq!(house.in_state("g", LifecycleState::WarmedStopped), healed);
    // Started by hand, one is stopped again.
    house.make(Change::StartInstances { instances: vec![healed[0].clone()] });
    house.settle();
    assert_eq!(house.in_state("g", LifecycleState::WarmedStopped), healed);
    // Fewer zones.
    let zones = Some(vec![zone(ZONES[0])]);
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch: GroupPatch { zones, ..GroupPatch::default() } });
    house.settle();
    assert_eq!(house.by_zone("g"), [4, 0, 0]);
    // A smaller pool.
    house.pool("g", WarmPool { prepared: Some(0), min: 1, ..WarmPool::default() });
    house.settle();
    assert_eq!(house.group("g").pooled(), 1);
    // The group's end is the pool's.
    assert_eq!(house.refused(ScalingChange::DeleteGroup { group: name("g"), force: false }), BadScaling::HasMembers);
    house.scale(ScalingChange::DeleteGroup { group: name("g"), force: true });
    house.settle();
    assert!(house.world.scaling_group(&name("g")).is_none());
    assert!(house.world.instances().all(|instance| instance.state == InstanceState::Terminated));
}

#[test]
fn a_pool_whose_boots_fail_does_not_keep_the_group_from_those_who_are_ready() {
    let mut house = House::new(15);
    let new = house.wanted("g", 1, 4, 1);
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house.pool("g", WarmPool { prepared: Some(2), ..WarmPool::default() });
    house.settle();
    house.boots = Boots::Never;
    house.pool("g", WarmPool::default());
    for _ in 0..120 {
        house.step(1);
    }
    assert!(house.group("g").setback.is_some());
    let failed = house.told("Launching a new EC2 instance into warm pool").len();
    assert!((5..=14).contains(&failed), "{failed} tries in two minutes");
    house.boots = Boots::Well;
    house.set("g", 2);
    house.step(1);
    house.step(4);
    assert_eq!(house.in_service("g").len(), 2, "who is ready waits for nobody");
    house.settle();
    assert_eq!((house.in_service("g").len(), house.group("g").pooled()), (2, 2));
}

#[test]
fn a_refresh_replaces_who_is_ready_as_well_and_launches_nobody_for_the_pool_meanwhile() {
    let mut house = House::new(16);
    let new = house.wanted("g", 0, 4, 2);
    house.scale(ScalingChange::CreateGroup(new));
    house.pool("g", WarmPool::default());
    house.settle();
    let before: Vec<InstanceId> = house.group("g").members.keys().cloned().collect();
    assert_eq!(before.len(), 4);
    let preferences = super::refresh::preferences();
    let refresh = NewRefresh { group: name("g"), id: house.dice.uuid(), desired: None, preferences };
    house.scale(ScalingChange::StartRefresh(refresh));
    house.step(1);
    house.step(1);
    assert_eq!(house.group("g").pooled(), 0);
    for _ in 0..5 {
        house.settle();
    }
    let group = house.group("g");
    assert!(group.members.keys().all(|id| !before.contains(id)), "{:?}", group.members);
    assert_eq!((house.in_service("g").len(), group.pooled()), (2, 2));
}

/// Whoever is on its way back when the pool has no room for it any more still answers its last requests.
#[test]
fn who_drains_is_drained_whatever_becomes_of_the_pool() {
    let mut house = House::new(18);
    house.balancer("web");
    let patch = AttributesPatch { draining: Some(true), ..AttributesPatch::default() };
    house.make(Change::ModifyAttributes { name: balancer("web"), patch });
    let new = NewGroup { balancers: [balancer("web")].into(), ..house.wanted("g", 0, 2, 2) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house.pool("g", WarmPool { prepared: Some(2), reuses: true, ..WarmPool::default() });
    house.set("g", 1);
    house.step(1);
    let back = house.in_state("g", LifecycleState::WarmedPending);
    assert_eq!(back.len(), 1);
    house.scale(ScalingChange::DeletePool { group: name("g"), force: true });
    house.step(1);
    assert_eq!(house.in_state("g", LifecycleState::WarmedTerminating), back);
    assert_eq!(house.world.instance(&back[0]).unwrap().state, InstanceState::Running);
    house.settle();
    house.settle();
    assert!(!house.group("g").members.contains_key(&back[0]));
    assert_eq!((house.in_service("g").len(), house.group("g").pooled()), (1, 0));
}

#[test]
fn where_there_is_no_room_to_start_nobody_is_drawn() {
    let mut house = House::new(19);
    let new = house.wanted("g", 0, 9, 0);
    house.scale(ScalingChange::CreateGroup(new));
    house.pool("g", WarmPool { prepared: Some(3), ..WarmPool::default() });
    house.settle();
    let ready = house.in_state("g", LifecycleState::WarmedStopped);
    assert_eq!(house.by_zone("g"), [1, 1, 1]);
    let full = BTreeMap::from([(zone(ZONES[0]), Capacity { cpu_millis: Some(0), memory_mib: None })]);
    let settings = Settings { capacity: full, ..house.world.settings().clone() };
    house.world = World::load(settings, house.world.generation(), house.world.rows().collect::<Vec<_>>());
    house.set("g", 3);
    house.settle();
    let serving = house.in_service("g");
    assert_eq!(serving.iter().filter(|id| ready.contains(id)).count(), 2, "{:?}", house.group("g").members);
    // The third was launched elsewhere, and the pool has no use for one more.
    assert_eq!((serving.len(), house.by_zone("g")[0], house.group("g").pooled()), (3, 0, 0));
    assert!(house.group("g").setback.is_none());
}

/// One that registers itself with a balancer while it is made ready gets no request until it works.
#[test]
fn who_is_ready_is_no_target() {
    let mut house = House::new(17);
    house.balancer("own");
    let new = house.wanted("g", 0, 2, 0);
    house.scale(ScalingChange::CreateGroup(new));
    house.pool("g", WarmPool { prepared: Some(1), state: PoolState::Running, ..WarmPool::default() });
    house.settle();
    let ready = house.in_state("g", LifecycleState::WarmedRunning);
    house.make(Change::RegisterInstances { name: balancer("own"), instances: ready.clone() });
    let targets = |world: &World| compile(world).balancers[&balancer("own")].targets.len();
    let before = house.world.clone();
    assert_eq!(targets(&before), 0);
    let lb = before.load_balancer(&balancer("own")).unwrap();
    let health = instance_health(&before, &house.sightings, lb, &ready[0]);
    assert_eq!(health.description, "Instance is in the warm pool of its Auto Scaling group.");
    house.set("g", 1);
    house.settle();
    assert_eq!(house.in_service("g"), ready);
    assert_eq!(targets(&house.world), 1);
    assert_eq!(follow(&house.world, &before, &compile(&before)), compile(&house.world));
}
