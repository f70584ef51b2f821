//! A year of groups in virtual time: load by day and by week, followed and foreseen, crashes, zones lost and full, boots that fail, calls at random.
//!
//! Owns what must hold all along: sizes are kept, serving never shrinks below the wish by choice, nobody flaps, every instance is
//! accounted for, and a plan that was carried out leaves an empty one until the next deadline that it names. Time goes from event to
//! event. A failure prints its seed; `EVENKEEL_YEARS` is how many are lived through.

mod calls;
mod load;
mod weather;

use std::collections::VecDeque;

use evenkeel_core::change::AttributesPatch;
use evenkeel_core::noun::ActivityStatus;
use evenkeel_core::plan::{Condition, Sight, Step, instances};

use self::weather::Weather;
use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The groups: one that tracks a target and scales by a forecast, one that goes by steps, one by the clock, one that comes and goes.
const GROUPS: [&str; 4] = ["web", "jobs", "night", "brief"];

/// What happens by itself.
#[derive(Debug)]
enum Event {
    /// Load is measured, alarms are judged.
    Minute,
    /// Somebody calls the API.
    Call,
    /// A boot comes to its end.
    Booted(InstanceId, u32),
    /// Its process ends, as it was told to.
    Stopped(InstanceId, u32),
    /// It ends by itself.
    Crashed(InstanceId, u32),
    /// It is impaired, or well again.
    Ails(InstanceId, bool),
    /// A balancer finds it failing, or well again.
    Fails(InstanceId, bool),
    /// Its last requests are answered.
    Drained(LoadBalancerName, InstanceId),
    /// Somebody answers a hook.
    Answered(AutoScalingGroupName, ScalingName, String, Answer),
    /// Other weather: zones, boots, the road.
    Turn(weather::Turn),
}

/// What came of it all: a history in which little happened proves little.
#[derive(Debug, Default)]
struct Tally {
    events: u64,
    settled: u64,
    launched: u64,
    crashed: u64,
    zones_lost: u64,
    refused: u64,
    calls: u64,
    reloads: u64,
    failed: BTreeMap<String, u64>,
    decisions: u64,
    forecasts: u64,
    turns: u64,
    worst_hour: usize,
}

struct Year {
    seed: u64,
    house: House,
    events: BTreeMap<(Timestamp, u64), Event>,
    number: u64,
    /// What the driver sees.
    seen: BTreeMap<InstanceId, Sight>,
    /// Whom it was told to stop.
    ending: BTreeSet<InstanceId>,
    /// Instances that are nobody's: detached ones.
    free: BTreeSet<InstanceId>,
    /// Tokens whose answers are on their way.
    asked: BTreeSet<String>,
    weather: Weather,
    loads: load::Loads,
    /// Turns of the tracking group's wish, the newest last.
    turns: VecDeque<Timestamp>,
    rising: Option<bool>,
    /// The generation of which the invariants were last held.
    judged: u64,
    tally: Tally,
}

impl Year {
    fn new(seed: u64) -> Self {
        let mut house = House::new(seed);
        house.balancer("web");
        let patch = AttributesPatch { draining: Some(true), ..AttributesPatch::default() };
        house.make(Change::ModifyAttributes { name: balancer("web"), patch });
        house.sightings.road = Some(RoadSeen::default());
        let mut year = Self {
            seed,
            house,
            events: BTreeMap::new(),
            number: 0,
            seen: BTreeMap::new(),
            ending: BTreeSet::new(),
            free: BTreeSet::new(),
            asked: BTreeSet::new(),
            weather: Weather::default(),
            loads: load::Loads::default(),
            turns: VecDeque::new(),
            rising: None,
            judged: 0,
            tally: Tally::default(),
        };
        for group in GROUPS {
            year.found(group);
        }
        year.after(MINUTE, Event::Minute);
        year.after(HOUR, Event::Call);
        year.forecast();
        year
    }

    /// Something happens so many seconds from now.
    fn after(&mut self, seconds: u64, event: Event) {
        self.number += 1;
        let at = self.house.now.plus(Duration::from_secs(seconds));
        self.events.insert((at, self.number), event);
    }

    /// A time of which this is the mean.
    fn about(&mut self, seconds: u64) -> u64 {
        1 + self.house.dice.roll() % (2 * seconds)
    }

    /// Lives through so many days.
    fn live(&mut self, days: u64) {
        let end = self.house.now.plus(Duration::from_secs(days * DAY));
        let mut next_look = self.settle();
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let at = event.into_iter().chain(next_look).min().unwrap();
            if at > end {
                self.house.now = end;
                return;
            }
            let due = next_look.is_some_and(|look| look <= at);
            self.house.now = at;
            let mut happened = due;
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= at) {
                let event = entry.remove();
                self.tally.events += 1;
                happened |= self.happen(event);
            }
            if happened {
                next_look = self.settle();
            } else if self.house.dice.chance(1) {
                // Nothing falls due but at a time that was named.
                self.hears();
                let rolls = &mut self.house.dice;
                let mut plan =
                    groups::plan(&self.house.world, &self.house.sightings, self.house.now, || rolls.roll() >> 11);
                // When old records go is nobody's concern.
                plan.retain(|step| !matches!(step, groups::Step::Make(ScalingChange::ForgetActivities { .. })));
                assert_eq!(plan, [], "seed {}: due at {}, and nobody named the time", self.seed, self.house.now.iso());
            }
        }
    }

    /// Whether anything is to be looked at for it.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Minute => {
                self.after(MINUTE, Event::Minute);
                return self.measure();
            }
            Event::Call => {
                let next = self.about(30 * MINUTE);
                self.after(next, Event::Call);
                self.tally.calls += 1;
                self.call();
            }
            Event::Booted(id, boot) => self.booted(&id, boot),
            Event::Stopped(id, boot) => self.ends(&id, boot, EndedBy::Itself, true),
            Event::Crashed(id, boot) => {
                self.tally.crashed += u64::from(self.seen.contains_key(&id));
                self.ends(&id, boot, EndedBy::Itself, false);
            }
            Event::Ails(id, ails) => {
                if let Some(Sight { condition: Condition::Running(status), .. }) = self.seen.get_mut(&id) {
                    let why = "its application does not answer".to_owned();
                    *status = if ails { InstanceStatus::Impaired { why } } else { InstanceStatus::Ok };
                }
            }
            Event::Fails(id, fails) => {
                let health = if fails { Health::Failing } else { Health::InService };
                let road = self.house.sightings.road.get_or_insert_default();
                let mut verdicts = road.health.as_ref().clone();
                verdicts.retain(|(_, id), _| self.house.world.instance(id).is_some());
                verdicts.insert((balancer("web"), id), health);
                road.health = Arc::new(verdicts);
            }
            Event::Drained(balancer, id) => {
                if let Some(road) = &mut self.house.sightings.road {
                    road.outstanding.remove(&(balancer, id));
                }
            }
            Event::Answered(group, name, token, answer) => {
                self.asked.remove(&token);
                let who = Waiting::Token(token);
                self.may(ScalingChange::AnswerHook { group, name, who, answer });
            }
            Event::Turn(turn) => self.turn(turn),
        }
        true
    }

    /// A call, refused or not.
    fn may(&mut self, change: ScalingChange) {
        if self.house.ask(&Change::Scale(change)).is_err() {
            self.tally.refused += 1;
        }
    }

    fn booted(&mut self, id: &InstanceId, boot: u32) {
        let Some(sight) = self.seen.get_mut(id).filter(|sight| sight.boot == boot) else { return };
        if sight.condition != Condition::Starting {
            return;
        }
        let roll = if self.weather.boots_fail { 97 } else { self.house.dice.below(100) };
        sight.condition = match roll {
            0..95 => Condition::Running(InstanceStatus::Ok),
            95..98 => Condition::Running(InstanceStatus::Impaired { why: "installer `web` failed".into() }),
            _ => ended(EndedBy::Itself, false, true),
        };
        if roll < 95 {
            let (falls, ails, fails) = (self.about(10 * DAY), self.about(20 * DAY), self.about(20 * DAY));
            self.after(falls, Event::Crashed(id.clone(), boot));
            self.after(ails, Event::Ails(id.clone(), true));
            let lasts = self.about(2 * MINUTE);
            self.after(ails + lasts, Event::Ails(id.clone(), false));
            self.after(fails, Event::Fails(id.clone(), true));
            self.after(fails + lasts, Event::Fails(id.clone(), false));
        }
    }

    fn ends(&mut self, id: &InstanceId, boot: u32, by: EndedBy, orderly: bool) {
        if let Some(sight) = self.seen.get_mut(id).filter(|sight| sight.boot == boot)
            && !matches!(sight.condition, Condition::Ended { .. })
        {
            sight.condition = ended(by, orderly, false);
            self.ending.remove(id);
        }
    }

    /// The road has heard of everything, where it is there.
    fn hears(&mut self) {
        if let Some(road) = &mut self.house.sightings.road {
            road.applied = self.house.world.generation();
        }
    }

    /// Everything that is to be done is done; says when there is more.
    fn settle(&mut self) -> Option<Timestamp> {
        self.tally.settled += 1;
        for round in 0.. {
            let mut count = self.lets_go() + self.drive();
            self.hears();
            let before: Vec<Arc<AutoScalingGroup>> = self.house.world.scaling_groups().cloned().collect();
            count += self.house.pass();
            for group in before {
                self.judge_pass(&group);
            }
            if count == 0 {
                break;
            }
            assert!(round < 50, "seed {}: the plan never becomes empty at {}", self.seed, self.house.now.iso());
        }
        self.await_answers();
        self.judge();
        let now = self.house.now;
        let world = &self.house.world;
        let others = [expiry::next_deadline(world), instances::next_deadline(world)];
        let others = others.into_iter().flatten().filter(|at| *at > now);
        groups::next_deadline(world, now).into_iter().chain(others).min()
    }

    /// What goes with time, and with its last request.
    fn lets_go(&mut self) -> usize {
        let mut busy = Vec::new();
        for lb in self.house.world.load_balancers() {
            busy.extend(lb.draining.keys().map(|id| (lb.name.clone(), id.clone())));
        }
        for key in busy {
            let Some(road) = &mut self.house.sightings.road else { break };
            // Whether something is in flight is known as soon as it drains.
            if !self.weather.drains.insert(key.clone()) || !self.house.dice.chance(50) {
                continue;
            }
            road.outstanding.insert(key.clone(), 1);
            let lasts = self.about(MINUTE);
            self.after(lasts, Event::Drained(key.0, key.1));
        }
        self.hears();
        let due = expiry::due(&self.house.world, &self.house.sightings, self.house.now);
        let count = due.len();
        for change in due {
            self.house.make(change);
        }
        let world = &self.house.world;
        self.weather
            .drains
            .retain(|(name, id)| world.load_balancer(name).is_some_and(|lb| lb.draining.contains_key(id)));
        count
    }

    /// A pass of the instances' loop.
    fn drive(&mut self) -> usize {
        self.hears();
        let steps = instances::plan(&self.house.world, &self.house.sightings, &self.seen, self.house.now);
        let mut count = steps.len();
        for step in steps {
            match step {
                Step::Launch(id) => {
                    let boot = self.house.world.instance(&id).unwrap().boots;
                    self.seen.insert(id.clone(), Sight { boot, condition: Condition::Starting });
                    let takes = 10 + self.about(40);
                    self.after(takes, Event::Booted(id, boot));
                    self.tally.launched += 1;
                }
                Step::Stop(id) if !self.ending.insert(id.clone()) => count -= 1,
                Step::Stop(id) => {
                    let boot = self.seen[&id].boot;
                    let takes = self.about(4);
                    self.after(takes, Event::Stopped(id, boot));
                }
                Step::Report { instance, boot, seen } => {
                    self.house.make(Change::Report { instance, boot, seen });
                }
                Step::Remove(id) => drop(self.seen.remove(&id)),
            }
        }
        count
    }

    /// Whoever answers hooks has heard of those that began: sooner, later, or too late.
    fn await_answers(&mut self) {
        let mut begun = Vec::new();
        for group in self.house.world.scaling_groups() {
            for member in group.members.values() {
                let open = member.waits.iter().filter(|(_, wait)| !self.asked.contains(&wait.token));
                begun.extend(open.map(|(name, wait)| (group.name.clone(), name.clone(), wait.token.clone())));
            }
        }
        for (group, name, token) in begun {
            self.asked.insert(token.clone());
            let late = self.house.dice.chance(5);
            let takes = self.about(if late { HOUR } else { MINUTE });
            let answer = match self.house.dice.below(30) {
                0 => Answer::Abandon,
                1..4 => Answer::Heartbeat,
                _ => Answer::Continue,
            };
            self.after(takes, Event::Answered(group, name, token, answer));
        }
    }

    /// Who was told to go because there were too many served beside enough others.
    fn judge_pass(&self, before: &AutoScalingGroup) {
        let Some(group) = self.house.world.scaling_group(&before.name) else { return };
        let serves = |member: &Member| member.state == LifecycleState::InService && member.illness.is_none();
        let chosen = |id: &InstanceId| {
            let member = group.members.get(id).filter(|member| member.state == LifecycleState::Terminating);
            let activity = member.and_then(|member| self.house.world.activity(member.activity.as_ref()?));
            activity.is_some_and(|held| held.cause.contains("was selected for termination"))
        };
        if before.members.iter().any(|(id, member)| serves(member) && chosen(id)) {
            let left = group.members.values().filter(|member| serves(member)).count();
            let (seed, wish) = (self.seed, group.desired);
            assert!(
                left >= wish as usize,
                "seed {seed}: {left} are left of {wish}: {} {}",
                shown(before),
                shown(group)
            );
        }
        // The tenth above the most is for balance, and what was more before comes to be no more.
        let (most, now) = (group.max + (group.max / 10).max(1), group.capacity());
        let seed = self.seed;
        assert!(now <= most || now <= before.capacity(), "seed {seed}: {now} of {}: {}", group.max, shown(group));
    }

    /// What holds whenever there is nothing to do.
    fn judge(&mut self) {
        let (seed, now, world) = (self.seed, self.house.now, &self.house.world);
        let at = now.iso();
        // Held of this very World already, where nothing was written since.
        if self.judged < world.generation() {
            assert_eq!(world.broken_invariants(), Vec::<String>::new(), "seed {seed}, {at}");
            self.judged = world.generation();
        }
        for group in world.scaling_groups().filter(|group| !group.is_going) {
            let (have, wish) = (group.capacity(), group.desired);
            let waits = group.setback.as_ref().is_some_and(|setback| setback.retry > now);
            let may_lack = waits || !group.does(Process::Launch);
            assert!(have >= wish || may_lack, "seed {seed}, {at}: {have} of {wish}: {}", shown(group));
            let balancing = group.members.values().any(|member| member.balances && member.state.counts());
            let spared = group.members.values().any(|member| member.is_protected);
            let may_exceed = balancing || spared || !group.does(Process::Terminate);
            assert!(have <= wish || may_exceed, "seed {seed}, {at}: {have} of {wish}: {}", shown(group));
            let cares = [Process::HealthCheck, Process::ReplaceUnhealthy, Process::Terminate];
            let (ready, size) = (group.pooled(), group.pool_size());
            let is_refreshed = group.refresh().is_some_and(|refresh| refresh.status.replaces());
            let may_lack = may_lack || is_refreshed || have < wish;
            assert!(ready >= size || may_lack, "seed {seed}, {at}: {ready} of {size} ready: {}", shown(group));
            let may_exceed = !group.does(Process::Terminate) || have != wish;
            assert!(ready <= size || may_exceed, "seed {seed}, {at}: {ready} of {size} ready: {}", shown(group));
            for (id, member) in &group.members {
                let runs = world.instance(id).is_some_and(|instance| instance.state == InstanceState::Running);
                let stays =
                    member.state == LifecycleState::InService && cares.iter().all(|process| group.does(*process));
                assert!(runs || !stays, "seed {seed}, {at}: {id} does not run and serves: {}", shown(group));
            }
        }
        for instance in world.instances() {
            let is_known = world.membership(&instance.id).is_some() || self.free.contains(&instance.id);
            assert!(
                is_known || instance.state == InstanceState::Terminated,
                "seed {seed}, {at}: nobody knows {instance:#?}"
            );
            let sight = self.seen.get(&instance.id).map(|sight| &sight.condition);
            let lives = sight.is_some_and(|condition| !matches!(condition, Condition::Ended { .. }));
            let may_live = match instance.state {
                InstanceState::Running => lives,
                InstanceState::Pending => lives,
                InstanceState::Stopped | InstanceState::Terminated => !lives,
                InstanceState::ShuttingDown | InstanceState::Stopping => true,
            };
            assert!(may_live, "seed {seed}, {at}: {sight:?} is seen of {instance:#?}");
        }
        for (id, sight) in &self.seen {
            let lives = !matches!(sight.condition, Condition::Ended { .. });
            assert!(!lives || world.instance(id).is_some(), "seed {seed}, {at}: {id} runs and nobody knows");
        }
    }

    /// The database makes the same World.
    fn reload(&mut self, capacity: Option<BTreeMap<ZoneName, Capacity>>) {
        self.tally.reloads += 1;
        let world = &self.house.world;
        let rows = || self.house.rows.values().cloned();
        let Some(capacity) = capacity else {
            let loaded = World::load(world.settings().clone(), world.generation(), rows());
            assert!(loaded == *world, "seed {}: rows make another World", self.seed);
            return;
        };
        let settings = Settings { capacity, ..world.settings().clone() };
        self.house.world = World::load(settings, world.generation(), rows());
    }

    /// Three days of peace, and then everything is as it is to be.
    fn come_to_rest(&mut self) {
        self.events.retain(|_, event| {
            let of_course = matches!(event, Event::Booted(..) | Event::Stopped(..) | Event::Drained(..));
            of_course || matches!(event, Event::Answered(..) | Event::Ails(_, false) | Event::Fails(_, false))
        });
        self.weather = Weather::default();
        self.house.sightings.road.get_or_insert_default().health = Default::default();
        self.reload(Some(BTreeMap::new()));
        let names: Vec<_> = self.house.world.scaling_groups().map(|group| group.name.clone()).collect();
        for group in names {
            self.may(ScalingChange::Resume { group: group.clone(), processes: Process::ALL.into() });
            let instances = self.house.in_service(group.as_str());
            self.may(ScalingChange::SetProtection { group, instances, is_protected: false });
        }
        for _ in 0..3 {
            self.live(1);
            self.events.retain(|_, event| !matches!(event, Event::Crashed(..) | Event::Ails(..) | Event::Fails(..)));
        }
        let (seed, world) = (self.seed, &self.house.world);
        let mut members = BTreeSet::new();
        for group in world.scaling_groups() {
            let serving = self.house.in_service(group.name.as_str()).len();
            assert_eq!(serving, group.desired as usize, "seed {seed}: {}", shown(group));
            assert_eq!(group.pooled(), group.pool_size(), "seed {seed}: {}", shown(group));
            let rests = |member: &Member| member.state.is_warmed() && !member.state.rests();
            assert!(!group.members.values().any(rests), "seed {seed}: {}", shown(group));
            let stands_by = group.members.values().any(|member| member.state == LifecycleState::Standby);
            let counts: Vec<usize> = group.zones.iter().map(|zone| in_zone(group, zone)).collect();
            let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
            assert!(stands_by || spread <= 1, "seed {seed}: {counts:?} in {}", group.name);
            members.extend(group.members.keys().cloned());
        }
        let living = world.instances().filter(|instance| instance.state != InstanceState::Terminated);
        let strays: Vec<_> = living.filter(|i| !members.contains(&i.id) && !self.free.contains(&i.id)).collect();
        assert!(strays.is_empty(), "seed {seed}: nobody knows {strays:#?}");
        assert!(world.activities().all(|activity| activity.status.is_over()), "seed {seed}: something is under way");
    }
}

impl Drop for Year {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}, {}: {:#?}", self.seed, self.house.now.iso(), self.tally);
        }
    }
}

fn in_zone(group: &AutoScalingGroup, zone: &ZoneName) -> usize {
    group.members.values().filter(|member| member.state.counts() && member.zone == *zone).count()
}

fn shown(group: &AutoScalingGroup) -> String {
    let AutoScalingGroup { name, min, max, desired, setback, zones, .. } = group;
    let suspended: Vec<_> = group.suspended.keys().collect();
    let mut text = format!("{name} {min}..{max}, {desired}, not {suspended:?}, {setback:?}, {zones:?}");
    for (id, member) in &group.members {
        let Member { zone, state, since, illness, is_protected, balances, .. } = member;
        let since = since.iso();
        text.push_str(&format!("\n  {id} {zone} {state:?} {since} {illness:?} {is_protected} {balances}"));
    }
    text
}

fn ended(by: EndedBy, orderly: bool, never_started: bool) -> Condition {
    Condition::Ended { how: "it ended".into(), orderly, never_started, by }
}

/// For how long this thread has worked: what others do at the same time is not its fault.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// A year and more of it where `EVENKEEL_YEARS` says so.
#[test]
fn a_year_passes_in_less_than_a_minute() {
    let years: u64 = std::env::var("EVENKEEL_YEARS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in 1..=years {
        let begun = worked();
        let mut year = Year::new(seed);
        for _ in 0..73 {
            year.live(5);
            year.reload(None);
        }
        year.come_to_rest();
        let took = worked() - begun;
        for activity in year.house.told.values().filter(|activity| activity.status == ActivityStatus::Failed) {
            let why = activity.message.clone().unwrap_or_default();
            *year.tally.failed.entry(why.split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        println!("seed {seed}: {took:?} {:#?}", year.tally);
        let Tally { launched, crashed, zones_lost, calls, refused, decisions, forecasts, .. } = year.tally;
        assert!(launched > 3_000 && crashed > 100 && zones_lost > 10, "seed {seed}: little happened");
        assert!(calls > 5_000 && refused > 100 && decisions > 1_000, "seed {seed}: little happened");
        let ahead = ScalingName::new("ahead").unwrap();
        let outlook = year.house.group("web").policies[&ahead].predictor.as_ref().unwrap().outlook.clone().unwrap();
        let off = outlook.accuracy.unwrap().error;
        // Surges cannot be foreseen.
        assert!(forecasts > 1_400 && off < 0.1, "seed {seed}: {forecasts} forecasts, off by {off}");
        assert!(took < Duration::from_secs(60), "seed {seed}: the year took {took:?}");
    }
}
