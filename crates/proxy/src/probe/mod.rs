//! Health checks: one thread asks every target of the Routes how it is, and writes the verdicts on the [`Board`].
//!
//! Owns its thread and what is known of each target. Must never touch a client's bytes, nor decide what a verdict means
//! for a request: workers read the Board. Thresholds and pace: [`evenkeel_core::health`]. Next: `drive`, the loop;
//! `rounds`, who is checked when; `talk`, what is said.
//!
//! Every registered target is checked whatever its phase, from the moment it is published: where its zone is not
//! enabled or it is draining, people still want to see how it is. A failure of this machine (no descriptor, no port)
//! says nothing about a target and is tried again 100 ms later.

mod answer;
mod drive;
mod pins;
mod rounds;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use evenkeel_core::health::{Cause, Health, Known, Transition};
use evenkeel_core::routes::Routes;
use evenkeel_core::time::Timestamp;
use rustix::event::EventfdFlags;
use serde::{Deserialize, Serialize};

use crate::target::{Board, TargetKey};

/// Suspicions that may wait at once; more are dropped, and their targets are checked at their usual time.
const SUSPECTS_LIMIT: usize = 10_000;

/// Snapshots that may wait at once. The oldest is dropped for a newer one: only a thread that `on_transition` holds up
/// falls so far behind.
const ROUTES_LIMIT: usize = 1_024;

/// What is known of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The verdict.
    pub health: Health,
    /// Since when, by the wall clock.
    pub since: Timestamp,
    /// What led to it; for a target that is not in service, what its last failed check showed. `None` before the
    /// first result.
    pub why: Option<Cause>,
    /// For a target that suspicion alone took out: until then one good check brings it back, and whoever would replace
    /// its instance should wait.
    pub provisional_until: Option<Timestamp>,
}

impl Verdict {
    fn known(&self) -> Known {
        Known { health: self.health, since: self.since, provisional_until: self.provisional_until }
    }
}

/// What the thread and its owner share.
struct Shared {
    inbox: Mutex<Inbox>,
    verdicts: Mutex<BTreeMap<TargetKey, Verdict>>,
    panics: AtomicU64,
    wake: OwnedFd,
}

#[derive(Default)]
struct Inbox {
    routes: VecDeque<Arc<Routes>>,
    suspects: BTreeSet<TargetKey>,
    known: Vec<(TargetKey, Verdict)>,
    stop: bool,
}

/// The running prober. Dropping it stops it.
pub struct Prober {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Starts the thread; it watches nothing before the first [`Prober::publish`]. `on_transition` is called on that
    /// thread and should be quick. Errors: the system's, for want of a descriptor or a thread.
    pub fn start(
        board: Arc<Board>,
        on_transition: impl FnMut(TargetKey, Transition) + Send + 'static,
    ) -> io::Result<Self> {
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared =
            Arc::new(Shared { inbox: Mutex::default(), verdicts: Mutex::default(), panics: AtomicU64::new(0), wake });
        let settings = crate::tls::back::for_checks().map_err(io::Error::other)?;
        let parts = drive::Parts { board, shared: Arc::clone(&shared), tell: on_transition, settings };
        let drive = drive::Drive::new(parts)?;
        let thread = std::thread::Builder::new().name("prober".into()).spawn(move || drive.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Checks the targets of these Routes from now on. Call it after [`crate::road::Road::publish`] with the same Routes
    /// in the same order: a target that comes back after it was gone is a new one to both.
    pub fn publish(&self, routes: Arc<Routes>) {
        self.post(|inbox| {
            if inbox.routes.len() >= ROUTES_LIMIT {
                inbox.routes.pop_front();
            }
            inbox.routes.push_back(routes);
        });
    }

    /// As the first [`Prober::publish`], with the verdicts that another road has reached on targets of these Routes: those
    /// are trusted, and asked again within their interval.
    pub fn take_over(&self, routes: Arc<Routes>, known: Vec<(TargetKey, Verdict)>) {
        self.post(|inbox| {
            inbox.known = known;
            inbox.routes.push_back(routes);
        });
    }

    /// Asks for a check at once: the road saw a connection refused or reset. A target that is not in service is asked
    /// as often as it needs already.
    pub fn check_now(&self, key: TargetKey) {
        self.post(|inbox| {
            if inbox.suspects.len() < SUSPECTS_LIMIT {
                inbox.suspects.insert(key);
            }
        });
    }

    /// Every target of the Routes last taken in, and what is known of it.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(TargetKey, Verdict)> {
        let verdicts = self.shared.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.iter().map(|(key, verdict)| (key.clone(), verdict.clone())).collect()
    }

    /// How often `on_transition` panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Ends the thread and waits for it: it never waits for a target.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.post(|inbox| inbox.stop = true);
            let _ = thread.join();
        }
    }

    fn post(&self, put: impl FnOnce(&mut Inbox)) {
        put(&mut self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        // Full only when the thread has not looked for 2^64 posts.
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
