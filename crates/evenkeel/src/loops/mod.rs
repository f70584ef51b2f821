//! The Loops: named background reconcilers, each with a visible status.
//!
//! Owns how a loop runs: it wakes on a hint or a timer, reads intended and seen state, carries out one pure plan, and
//! reports. Must never take input: whatever woke it, it looks at everything. A panic in a run is counted, shows in the
//! status, and the loop goes on. Next: [`instances`], [`groups`], [`road`], [`expiry`], [`delivery`],
//! [`acme`], [`notices`], [`alarms`], [`forecasts`].

pub mod acme;
pub mod alarms;
pub mod certificates;
pub mod delivery;
pub mod expiry;
pub mod forecasts;
pub mod groups;
pub mod instances;
pub mod measures;
pub mod notices;
pub mod road;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

/// How one loop fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Runs since the daemon started.
    pub runs: u64,
    /// Runs that ended in an error or a panic.
    pub failures: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
    /// When it last ran, in milliseconds since 1970.
    pub last_run: u64,
    /// What it has to say for itself now, a line each.
    pub notes: Vec<String>,
}

/// Every loop's status, for `evenkeel status`.
#[derive(Clone, Default)]
pub struct Statuses(Arc<Mutex<BTreeMap<&'static str, Status>>>);

impl Statuses {
    /// All of them by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the outcome of a run.
    pub fn ran(&self, name: &'static str, outcome: Result<Vec<String>, String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = all.entry(name).or_default();
        status.runs += 1;
        status.last_run = now().0;
        match outcome {
            Ok(notes) => status.notes = notes,
            Err(why) => {
                if status.last_failure.as_ref() != Some(&why) {
                    eprintln!("{name}: {why}");
                }
                status.failures += 1;
                status.last_failure = Some(why);
            }
        }
    }
}

/// What was last seen, as the loops that see publish it and everybody else reads it.
pub type SightingsWatch = watch::Receiver<Arc<Sightings>>;

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock in seconds, as metrics have it.
#[must_use]
pub fn seconds() -> i64 {
    i64::try_from(now().0 / 1000).unwrap_or(i64::MAX)
}

/// Runs `run` again and again: when `hint` is given, when the World or the Sightings change, and when the wait it asked
/// for (at most `longest`) is over. Never returns.
pub async fn reconcile<F, R>(
    name: &'static str,
    statuses: Statuses,
    hint: Arc<Notify>,
    mut generations: watch::Receiver<u64>,
    mut sightings: SightingsWatch,
    longest: Duration,
    mut run: F,
) where
    F: FnMut() -> R,
    R: Future<Output = Outcome>,
{
    loop {
        generations.mark_unchanged();
        sightings.mark_unchanged();
        let outcome = catch(run()).await;
        let wait = outcome.as_ref().ok().and_then(|done| done.again).unwrap_or(longest).min(longest);
        let failed = outcome.as_ref().is_ok_and(|done| done.failure.is_some()) || outcome.is_err();
        statuses.ran(name, outcome.and_then(|done| done.failure.map_or(Ok(done.notes), Err)));
        // A loop that fails tries again soon, but never spins.
        let wait = if failed { wait.min(Duration::from_millis(500)) } else { wait };
        tokio::select! {
            () = hint.notified() => {}
            () = tokio::time::sleep(wait) => {}
            changed = generations.changed() => if changed.is_err() { return },
            changed = sightings.changed() => if changed.is_err() { return },
        }
    }
}

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When to run again without being woken; `None` for the longest wait.
    pub again: Option<Duration>,
    /// What to show in the status.
    pub notes: Vec<String>,
    /// What went wrong, if anything did.
    pub failure: Option<String>,
}

async fn catch<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(done)) => std::task::Poll::Ready(Ok(done)),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                std::task::Poll::Ready(Err(format!("panicked: {}", text.unwrap_or_default())))
            }
        }
    })
    .await
}
