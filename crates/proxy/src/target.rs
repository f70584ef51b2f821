//! What the road remembers of a target from one snapshot of Routes to the next.
//!
//! Owns [`TargetState`] (health, suspicion, requests in flight) and the [`Board`] that keeps one per balancer and
//! instance. Must never decide: probes write verdicts here, workers read them, and [`crate`] reports them. Who waits for
//! a target to be free: [`crate::surge`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_core::balance::eject::Ejected;
use evenkeel_core::balance::{Standing, eject, latency};
use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName};

use crate::load::{CLOSED, EJECTED, Load, SUSPECT, UNWELL};
use crate::surge::{Hatch, Surge};

/// Connections that are made at a time to a target that has just booted, for those who waited for it. Whoever has waited comes at
/// once, and the queue in which a program has its connections wait is as short as five in some languages: what does not fit in
/// there is not refused but lost, and tried again by the kernel a second later.
const OPENING: u32 = 4;

/// A target is one instance behind one balancer; the same instance behind two balancers is two targets.
pub type TargetKey = (LoadBalancerName, InstanceId);

/// One target's live state. Every field is independent; relaxed order is enough, because no other memory hangs on them,
/// but for the load: see [`Surge::has_line`].
#[derive(Debug)]
pub struct TargetState {
    health: AtomicU8,
    load: Load,
    /// When it came in service, in the road's milliseconds.
    serves_since: AtomicU64,
    latency: AtomicU64,
    /// Failures in a row, where they are counted.
    failures: AtomicU32,
    /// Changed by one who holds [`Surge::ejecting`].
    ejected: Mutex<Ejected>,
    ejected_until: AtomicU64,
    /// Places that were handed out to those who waited for it to boot, and whose connections are being made.
    opening: AtomicU32,
    surge: Arc<Surge>,
}

impl TargetState {
    fn new(surge: Arc<Surge>) -> Self {
        Self {
            health: AtomicU8::new(0),
            load: surge.loads.take(),
            serves_since: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            ejected: Mutex::default(),
            ejected_until: AtomicU64::new(0),
            opening: AtomicU32::new(0),
            surge,
        }
    }

    /// The last verdict.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            1 => Health::InService,
            2 => Health::Failing,
            3 => Health::Recovering,
            _ => Health::Initial,
        }
    }

    /// Records a verdict. Only the prober does.
    pub fn set_health(self: &Arc<Self>, health: Health) {
        let code = match health {
            Health::Initial => 0,
            Health::InService => 1,
            Health::Failing => 2,
            Health::Recovering => 3,
        };
        let serves = health == Health::InService;
        let turns = serves != (self.health() == Health::InService);
        if turns && serves {
            self.serves_since.store(self.surge.now_ms(), Ordering::Relaxed);
        }
        self.health.store(code, Ordering::Relaxed);
        self.because(UNWELL, health != Health::InService);
        self.changed();
        if turns {
            self.surge.stir();
        }
    }

    /// Whether a connection to it was refused or reset since its last good check: it is passed over while others serve.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.load.look().1 & SUSPECT != 0
    }

    /// Marks it suspect; true for the first to do so, who then asks for a check at once.
    pub fn suspect(&self) -> bool {
        self.load.raise(SUSPECT) & SUSPECT == 0
    }

    /// A good check clears suspicion.
    pub fn trust(self: &Arc<Self>) {
        if self.load.lower(SUSPECT) & SUSPECT != 0 {
            self.changed();
            self.surge.stir();
        }
    }

    /// Whether intent allows new requests. Only who publishes Routes says so.
    pub(crate) fn set_open(&self, open: bool) {
        self.because(CLOSED, !open);
    }

    fn because(&self, reason: u32, holds: bool) {
        if holds {
            self.load.raise(reason)
        } else {
            self.load.lower(reason)
        };
    }

    /// It may serve those who wait, or no more.
    fn changed(self: &Arc<Self>) {
        if self.takes_requests() {
            self.surge.offer(self);
        } else {
            self.surge.look_again();
        }
    }

    /// Whether intent and health allow new requests.
    pub(crate) fn takes_requests(&self) -> bool {
        self.load.reasons() & (CLOSED | UNWELL) == 0
    }

    /// Whether it gets something new only where nobody else does.
    pub(crate) fn is_passed_over(&self) -> bool {
        self.is_suspect() || self.is_ejected()
    }

    /// What a choice looks at.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// What may be sent to it, for reasons that were read off its load. Intent is not asked: a worker goes by the Routes that
    /// it has, where who replaces this one may not stand yet.
    pub(crate) fn standing(&self, reasons: u32) -> Standing {
        match reasons & !CLOSED {
            0 => Standing::Live,
            reasons if reasons & UNWELL != 0 => Standing::Out,
            _ if self.is_passed_over() => Standing::Suspect,
            _ => Standing::Live,
        }
    }

    /// Whether it failed too many requests in a row, and its time is not up.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        if self.load.look().1 & EJECTED == 0 {
            return false;
        }
        let out = self.surge.now_ms() < self.ejected_until.load(Ordering::Relaxed);
        if !out {
            self.load.lower(EJECTED);
        }
        out
    }

    /// It served a request: failures before it count no more.
    pub(crate) fn served(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// It failed one: so many in a row now.
    pub(crate) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Passes it over for a while, in the road's milliseconds.
    pub(crate) fn eject(&self, base: Duration) -> Ejected {
        let mut held = self.ejected.lock().unwrap_or_else(PoisonError::into_inner);
        *held = eject::next(*held, base, self.surge.now_ms());
        self.ejected_until.store(held.until, Ordering::Relaxed);
        self.load.raise(EJECTED);
        self.failures.store(0, Ordering::Relaxed);
        *held
    }

    /// Its time is up, unless it was passed over anew: who waits may have it.
    pub(crate) fn come_back(self: &Arc<Self>) {
        if !self.is_ejected() {
            self.changed();
        }
    }

    /// Whether it may be sent new requests without reserve.
    pub(crate) fn is_live(&self) -> bool {
        self.takes_requests() && !self.is_passed_over()
    }

    /// How long it has been in service at that moment, in milliseconds.
    pub(crate) fn serves_for(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.serves_since.load(Ordering::Relaxed))
    }

    /// Its latency of late in microseconds; 0 while nothing is known.
    pub(crate) fn latency(&self, now_ms: u64) -> u32 {
        latency::at(self.latency.load(Ordering::Relaxed), now_ms)
    }

    /// It answered after so long. A sample that another worker overwrites is no loss.
    pub(crate) fn answered(&self, micros: u64, now_ms: u64) {
        let known = self.latency.load(Ordering::Relaxed);
        self.latency.store(latency::sampled(known, micros, now_ms), Ordering::Relaxed);
    }

    /// Requests or connections now in flight on it, over all workers.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.load.look().0
    }
}

impl Drop for TargetState {
    fn drop(&mut self) {
        self.surge.loads.give_back(&self.load);
    }
}

/// One more in flight on a target, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Engaged {
    state: Arc<TargetState>,
    /// It is one of those that are being connected.
    opens: bool,
}

impl Engaged {
    /// `None` where that would exceed the limit; 0 for none. Exact over all workers.
    pub(crate) fn within(state: &Arc<TargetState>, limit: u32) -> Option<Self> {
        state.load.begin(limit).then(|| Self { state: Arc::clone(state), opens: false })
    }

    /// The same for one who waited for the target to boot: no more than [`OPENING`] of them are connected at a time.
    pub(crate) fn opening(state: &Arc<TargetState>, limit: u32) -> Option<Self> {
        let one_more = |opening| (opening < OPENING).then_some(opening + 1);
        state.opening.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        if !state.load.begin(limit) {
            state.opening.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(Self { state: Arc::clone(state), opens: true })
    }

    /// It has its connection: the next may be made.
    pub(crate) fn opened(&mut self) {
        if std::mem::take(&mut self.opens) {
            self.state.opening.fetch_sub(1, Ordering::SeqCst);
            self.state.surge.offer(&self.state);
        }
    }

    pub(crate) fn state(&self) -> &Arc<TargetState> {
        &self.state
    }
}

impl Drop for Engaged {
    fn drop(&mut self) {
        if self.opens {
            self.state.opening.fetch_sub(1, Ordering::SeqCst);
        }
        self.state.load.end();
        self.state.surge.offer(&self.state);
    }
}

/// All targets' states by key. Locked only when Routes change or a report is made, never per request.
#[derive(Debug)]
pub struct Board {
    states: Mutex<BTreeMap<TargetKey, Arc<TargetState>>>,
    surges: Mutex<BTreeMap<LoadBalancerName, Arc<Surge>>>,
    started: Instant,
    hatches: Arc<[Arc<Hatch>]>,
    calls: Option<Sender<()>>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new(Vec::new(), None)
    }
}

impl Board {
    /// A board whose workers are called through these. `calls` is told when somebody begins to wait for an instance that is not
    /// there yet.
    pub(crate) fn new(hatches: Vec<Arc<Hatch>>, calls: Option<Sender<()>>) -> Self {
        let (states, surges) = (Mutex::default(), Mutex::default());
        Self { states, surges, started: Instant::now(), hatches: hatches.into(), calls }
    }

    /// When the road was started: its clock's zero.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The state of a target, made on first sight.
    #[must_use]
    pub fn state(&self, key: &TargetKey) -> Arc<TargetState> {
        let surge = self.surge(&key.0);
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(states.entry(key.clone()).or_insert_with(|| Arc::new(TargetState::new(surge))))
    }

    /// Those who wait for targets of a balancer.
    pub(crate) fn surge(&self, balancer: &LoadBalancerName) -> Arc<Surge> {
        let mut surges = self.surges.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Surge::new(self.started, Arc::clone(&self.hatches), self.calls.clone()));
        Arc::clone(surges.entry(balancer.clone()).or_insert_with(new))
    }

    /// Every target and its state.
    #[must_use]
    pub fn all(&self) -> Vec<(TargetKey, Arc<TargetState>)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|(key, state)| (key.clone(), Arc::clone(state))).collect()
    }

    /// Forgets one target; whoever still has requests in flight on it holds its state a little longer.
    pub fn forget(&self, key: &TargetKey) {
        let forgotten = self.states.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(state) = forgotten {
            state.set_open(false);
        }
    }

    /// Forgets who waits behind a balancer that is gone: they are told that nobody is left.
    pub(crate) fn forget_balancer(&self, balancer: &LoadBalancerName) {
        let surge = self.surges.lock().unwrap_or_else(PoisonError::into_inner).remove(balancer);
        if let Some(surge) = surge {
            surge.set_wakes(false);
            surge.look_again();
        }
    }

    /// Forgets targets that `keep` does not name, once nothing is in flight on them.
    pub fn retain(&self, keep: impl Fn(&TargetKey) -> bool) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|key, state| keep(key) || state.outstanding() > 0);
    }
}
