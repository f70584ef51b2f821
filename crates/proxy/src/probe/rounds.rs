//! Who is checked when: every target of the Routes with its tracker, its timer and its place in the queue.
//!
//! Owns the schedule and the caps on checks at once. Must never touch a socket or a clock: `C` is whatever a check under
//! way is to [`super::drive`], which calls this in the order publish, [`Rounds::expire`], [`Rounds::next`],
//! [`Rounds::started`], [`Rounds::finished`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::health::{Cause, Known, Rules, Tracker, Transition};
use evenkeel_core::name::{InstanceId, LoadBalancerName};
use evenkeel_core::routes::{BalancerRoutes, Routes, Target};
use evenkeel_core::time::Timestamp;
use slab::Slab;

use crate::target::TargetKey;

/// Checks that may be young at once: 5,000 new targets are connected to in waves, not in one burst of SYNs.
pub const YOUNG_LIMIT: usize = 256;

/// How long a check is young. One that waits longer makes no work; its target is slow or gone, and must not keep others
/// waiting for its timeout.
pub const YOUNG: Duration = Duration::from_millis(250);

/// Checks under way at once, each of them a descriptor.
pub const LIMIT: usize = 4096;

/// One target and the check that it may be in.
pub struct Watch<C> {
    /// Which target.
    pub key: TargetKey,
    /// Where it is asked.
    pub address: SocketAddr,
    /// The balancer it stands behind, for what is asked.
    pub balancer: Arc<BalancerRoutes>,
    /// What is known of it.
    pub tracker: Tracker,
    state: State<C>,
    timer: Option<Timestamp>,
}

enum State<C> {
    /// Its timer says when it is due.
    Waiting,
    /// Due, in the queue.
    Queued,
    /// Being checked.
    Running { call: C, young: bool, started: Timestamp },
}

/// What a publication changed.
#[derive(Debug, Default)]
pub struct Published {
    /// Targets that are new, and so without a verdict.
    pub added: Vec<TargetKey>,
    /// Targets that are new here, and whose verdict is known.
    pub resumed: Vec<TargetKey>,
    /// Targets that stand somewhere else, and the loss of their verdict if they had one.
    pub moved: Vec<(TargetKey, Option<Transition>)>,
    /// Targets that are gone.
    pub removed: Vec<TargetKey>,
}

struct Group {
    routes: Arc<BalancerRoutes>,
    slots: HashMap<InstanceId, usize>,
}

/// All targets.
pub struct Rounds<C> {
    watches: Slab<Watch<C>>,
    groups: BTreeMap<LoadBalancerName, Group>,
    timers: BTreeSet<(Timestamp, usize)>,
    queue: VecDeque<usize>,
    young: usize,
    running: usize,
    /// Verdicts of the road before, until the first Routes.
    known: HashMap<TargetKey, Known>,
}

impl<C> Default for Rounds<C> {
    fn default() -> Self {
        Self {
            watches: Slab::new(),
            groups: BTreeMap::new(),
            timers: BTreeSet::new(),
            queue: VecDeque::new(),
            young: 0,
            running: 0,
            known: HashMap::new(),
        }
    }
}

impl<C> Rounds<C> {
    /// Verdicts that targets of the next Routes have already.
    pub fn expect(&mut self, known: impl IntoIterator<Item = (TargetKey, Known)>) {
        self.known.extend(known);
    }

    /// Takes the targets of these Routes. A balancer that is shared with the Routes before costs one comparison.
    pub fn publish(&mut self, routes: &Routes, now: Timestamp) -> Published {
        let mut published = Published::default();
        let gone: Vec<_> = self.groups.keys().filter(|name| !routes.balancers.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(group) = self.groups.remove(&name) {
                published.removed.extend(group.slots.into_values().filter_map(|slot| self.forget(slot)));
            }
        }
        for (name, balancer) in &routes.balancers {
            if !self.groups.get(name).is_some_and(|group| Arc::ptr_eq(&group.routes, balancer)) {
                self.publish_one(name, balancer, now, &mut published);
            }
        }
        self.known = HashMap::new();
        published
    }

    /// The road suspects this target. Unknown targets are ignored: they may be gone since.
    pub fn suspect(&mut self, key: &TargetKey, now: Timestamp) {
        let Some(&slot) = self.groups.get(&key.0).and_then(|group| group.slots.get(&key.1)) else { return };
        let Some(watch) = self.watches.get_mut(slot) else { return };
        watch.tracker.suspect(now);
        if matches!(watch.state, State::Waiting) && watch.tracker.due() <= now {
            // Before the others: clients wait for this one.
            watch.state = State::Queued;
            self.set_timer(slot, None);
            self.queue.push_front(slot);
        } else {
            self.reschedule(slot);
        }
    }

    /// When something is due next, if anything is watched.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Moves who is due into the queue. Returns the checks whose time is up; each must be given to
    /// [`Rounds::finished`].
    pub fn expire(&mut self, now: Timestamp) -> Vec<usize> {
        let mut late = Vec::new();
        while let Some(&(at, slot)) = self.timers.first() {
            if at > now {
                break;
            }
            self.set_timer(slot, None);
            let Some(watch) = self.watches.get_mut(slot) else { continue };
            match &mut watch.state {
                State::Waiting => {
                    watch.state = State::Queued;
                    self.queue.push_back(slot);
                }
                State::Queued => {}
                State::Running { young, .. } if *young => {
                    *young = false;
                    self.young -= 1;
                    self.reschedule(slot);
                }
                State::Running { .. } => late.push(slot),
            }
        }
        late
    }

    /// The next target to check, if the caps allow one more. It must be started or postponed.
    pub fn next(&mut self) -> Option<usize> {
        if self.young >= YOUNG_LIMIT || self.running >= LIMIT {
            return None;
        }
        self.queue.pop_front()
    }

    /// Whether somebody is due whom only a cap or a shortage keeps waiting.
    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// A check could not be started for a reason of this machine's: it is the first to be tried again.
    pub fn postponed(&mut self, slot: usize) {
        self.queue.push_front(slot);
    }

    /// A check started.
    pub fn started(&mut self, slot: usize, call: C, now: Timestamp) {
        let Some(watch) = self.watches.get_mut(slot) else { return };
        watch.tracker.started(now);
        watch.state = State::Running { call, young: true, started: now };
        self.young += 1;
        self.running += 1;
        self.reschedule(slot);
    }

    /// A check ended before it began: it counts as started. If it has a result, [`Rounds::finished`] is to be called.
    pub fn skipped(&mut self, slot: usize, now: Timestamp) {
        let Some(watch) = self.watches.get_mut(slot) else { return };
        watch.tracker.started(now);
        watch.state = State::Waiting;
        self.reschedule(slot);
    }

    /// The target in a slot.
    pub fn watch(&self, slot: usize) -> Option<&Watch<C>> {
        self.watches.get(slot)
    }

    /// The check under way in a slot, if any.
    pub fn call(&mut self, slot: usize) -> Option<&mut C> {
        match &mut self.watches.get_mut(slot)?.state {
            State::Running { call, .. } => Some(call),
            State::Waiting | State::Queued => None,
        }
    }

    /// The check in a slot has a result; what it held is dropped.
    pub fn finished(&mut self, slot: usize, result: Result<(), Cause>, now: Timestamp) -> Option<Transition> {
        self.end_call(slot);
        let transition = self.watches.get_mut(slot)?.tracker.finished(result, now);
        self.reschedule(slot);
        transition
    }

    fn publish_one(
        &mut self,
        name: &LoadBalancerName,
        balancer: &Arc<BalancerRoutes>,
        now: Timestamp,
        published: &mut Published,
    ) {
        let before = self.groups.remove(name);
        let asked_before = before.as_ref().map(|group| &group.routes.health_check);
        let check_changed = asked_before.is_some_and(|check| *check != balancer.health_check);
        let mut old = before.map(|group| group.slots).unwrap_or_default();
        let mut slots = HashMap::with_capacity(balancer.targets.len());
        for target in &balancer.targets {
            if slots.contains_key(&target.instance) {
                continue;
            }
            let address = asked_at(target, balancer);
            let slot = match old.remove(&target.instance) {
                Some(slot) => {
                    self.keep(slot, address, balancer, check_changed, now, published);
                    slot
                }
                None => {
                    let key = (name.clone(), target.instance.clone());
                    let (rules, place) = (Rules::from(&balancer.health_check), place(&key));
                    let known = self.known.remove(&key);
                    let (list, tracker) = match known {
                        Some(known) => (&mut published.resumed, Tracker::resumed(rules, place, known, now)),
                        None => (&mut published.added, Tracker::new(rules, place, now)),
                    };
                    list.push(key.clone());
                    let state = if known.is_some() { State::Waiting } else { State::Queued };
                    let watch = Watch { key, address, balancer: Arc::clone(balancer), tracker, state, timer: None };
                    let slot = self.watches.insert(watch);
                    if known.is_some() {
                        self.reschedule(slot);
                    } else {
                        self.queue.push_back(slot);
                    }
                    slot
                }
            };
            slots.insert(target.instance.clone(), slot);
        }
        published.removed.extend(old.into_values().filter_map(|slot| self.forget(slot)));
        self.groups.insert(name.clone(), Group { routes: Arc::clone(balancer), slots });
    }

    fn keep(
        &mut self,
        slot: usize,
        address: SocketAddr,
        balancer: &Arc<BalancerRoutes>,
        check_changed: bool,
        now: Timestamp,
        published: &mut Published,
    ) {
        let Some(watch) = self.watches.get_mut(slot) else { return };
        watch.balancer = Arc::clone(balancer);
        // A health check on another port is another question to the same target; the target itself did not move.
        let moved = watch.address.ip() != address.ip() || (watch.address != address && !check_changed);
        watch.address = address;
        if check_changed {
            watch.tracker.configure(Rules::from(&balancer.health_check), now);
        }
        if moved {
            let transition = watch.tracker.moved(now);
            published.moved.push((watch.key.clone(), transition));
        }
        if check_changed || moved {
            // What was asked before says nothing about what is asked now.
            self.end_call(slot);
            self.reschedule(slot);
        }
    }

    fn forget(&mut self, slot: usize) -> Option<TargetKey> {
        self.end_call(slot);
        self.set_timer(slot, None);
        let watch = self.watches.try_remove(slot)?;
        if matches!(watch.state, State::Queued) {
            // The slot may be given to another target, which must not be found in the queue twice.
            self.queue.retain(|&queued| queued != slot);
        }
        Some(watch.key)
    }

    fn end_call(&mut self, slot: usize) {
        let Some(watch) = self.watches.get_mut(slot) else { return };
        if let State::Running { young, .. } = watch.state {
            self.running -= 1;
            self.young -= usize::from(young);
            watch.state = State::Waiting;
        }
    }

    fn reschedule(&mut self, slot: usize) {
        let at = self.watches.get(slot).and_then(|watch| match &watch.state {
            State::Waiting => Some(watch.tracker.due()),
            State::Queued => None,
            State::Running { young, started, .. } => {
                let timeout = watch.balancer.health_check.timeout;
                Some(started.plus(if *young { timeout.min(YOUNG) } else { timeout }))
            }
        });
        self.set_timer(slot, at);
    }

    fn set_timer(&mut self, slot: usize, at: Option<Timestamp>) {
        let Some(watch) = self.watches.get_mut(slot) else { return };
        if let Some(before) = std::mem::replace(&mut watch.timer, at) {
            self.timers.remove(&(before, slot));
        }
        if let Some(at) = at {
            self.timers.insert((at, slot));
        }
    }
}

fn asked_at(target: &Target, balancer: &BalancerRoutes) -> SocketAddr {
    let port = target.port.unwrap_or(balancer.health_check.target.port);
    SocketAddr::new(target.address, port.number())
}

/// Any even spread will do; the same target keeps its place over restarts.
fn place(key: &TargetKey) -> u16 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() >> 48) as u16
}

#[cfg(test)]
mod tests;
