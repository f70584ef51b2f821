//! What the road remembers of a target from one snapshot of Routes to the next.
//!
//! Owns [`TargetState`] (health, suspicion, requests in flight) and the [`Board`] that keeps one per balancer and
//! instance. Must never decide: probes write verdicts here, workers read them, and [`crate`] reports them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName};

/// A target is one instance behind one balancer; the same instance behind two balancers is two targets.
pub type TargetKey = (LoadBalancerName, InstanceId);

/// One target's live state. Every field is independent; relaxed order is enough, because no other memory hangs on them.
#[derive(Debug, Default)]
pub struct TargetState {
    health: AtomicU8,
    suspect: AtomicBool,
    outstanding: AtomicU32,
}

impl TargetState {
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
    pub fn set_health(&self, health: Health) {
        let code = match health {
            Health::Initial => 0,
            Health::InService => 1,
            Health::Failing => 2,
            Health::Recovering => 3,
        };
        self.health.store(code, Ordering::Relaxed);
    }

    /// Whether a connection to it was refused or reset since its last good check: it is passed over while others serve.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Marks it suspect; true for the first to do so, who then asks for a check at once.
    pub fn suspect(&self) -> bool {
        !self.suspect.swap(true, Ordering::Relaxed)
    }

    /// A good check clears suspicion.
    pub fn trust(&self) {
        self.suspect.store(false, Ordering::Relaxed);
    }

    /// Requests or connections now in flight on it, over all workers.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// One more in flight.
    pub fn begin(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    /// One less in flight.
    pub fn end(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All targets' states by key. Locked only when Routes change or a report is made, never per request.
#[derive(Debug, Default)]
pub struct Board {
    states: Mutex<BTreeMap<TargetKey, Arc<TargetState>>>,
}

impl Board {
    /// The state of a target, made on first sight.
    #[must_use]
    pub fn state(&self, key: &TargetKey) -> Arc<TargetState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(states.entry(key.clone()).or_default())
    }

    /// Every target and its state.
    #[must_use]
    pub fn all(&self) -> Vec<(TargetKey, Arc<TargetState>)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|(key, state)| (key.clone(), Arc::clone(state))).collect()
    }

    /// Forgets one target; whoever still has requests in flight on it holds its state a little longer.
    pub fn forget(&self, key: &TargetKey) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Forgets targets that `keep` does not name, once nothing is in flight on them.
    pub fn retain(&self, keep: impl Fn(&TargetKey) -> bool) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|key, state| keep(key) || state.outstanding() > 0);
    }
}
