//! The Keeper: the only writer.
//!
//! Owns the working World. One thread takes Changes in order, decides each, commits all that queued up meanwhile in one
//! transaction, and only then publishes the new World and answers. Must never answer what is not on disk, nor publish
//! what could not be stored. Next: [`store`] for where rows live, `evenkeel_core::world` for what is allowed.

pub mod store;
mod worker;

use std::sync::Arc;

use arc_swap::ArcSwap;
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Settings, World};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use store::{Store, StoreError};

/// Changes that may wait for the Keeper at once; further callers wait to be let in.
const QUEUE: usize = 1024;

/// Why a Change did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejected {
    /// The World says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored; nothing of it happened.
    #[error("failed to store the change: {0}")]
    NotStored(String),
    /// The Keeper is gone: the daemon is shutting down.
    #[error("failed to reach the keeper: the daemon is shutting down")]
    Closed,
}

/// What the Keeper is asked: a Change, by whom, and where the answer goes.
struct Request {
    actor: String,
    change: Change,
    answer: oneshot::Sender<Result<Reply, Rejected>>,
}

/// The way to the Keeper: reads the published World, hands in Changes. Cheap to clone.
#[derive(Clone)]
pub struct KeeperHandle {
    requests: mpsc::Sender<Request>,
    world: Arc<ArcSwap<World>>,
    generation: watch::Receiver<u64>,
}

impl KeeperHandle {
    /// The World as last committed. A snapshot: it never changes under its holder.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Hands in a Change and waits until it is on disk or refused. `actor` goes into the audit record: an access key
    /// id, or the name of a loop.
    ///
    /// # Errors
    /// See [`Rejected`]; nothing of a rejected Change has happened.
    pub async fn submit(&self, actor: &str, change: Change) -> Result<Reply, Rejected> {
        let (answer, answered) = oneshot::channel();
        let request = Request { actor: actor.to_owned(), change, answer };
        self.requests.send(request).await.map_err(|_| Rejected::Closed)?;
        answered.await.map_err(|_| Rejected::Closed)?
    }

    /// Becomes ready whenever a new World was published; holds its generation.
    #[must_use]
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generation.clone()
    }
}

/// What tells the Keeper the time.
pub type Clock = fn() -> Timestamp;

/// Loads the World from the Store and starts the Keeper's thread, which ends when every handle is gone.
///
/// # Errors
/// A Store that cannot be read, or whose World breaks its invariants.
pub fn start<S: Store + 'static>(settings: Settings, mut store: S, clock: Clock) -> Result<KeeperHandle, StoreError> {
    let world = worker::load(&settings, &mut store)?;
    let published = Arc::new(ArcSwap::from_pointee(world));
    let (requests, inbox) = mpsc::channel(QUEUE);
    let (announce, generation) = watch::channel(published.load().generation());
    let worker = worker::Worker::new(settings, store, clock, Arc::clone(&published), announce);
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(move || worker.run(inbox))
        .map_err(|e| StoreError::Io(format!("start the keeper's thread: {e}")))?;
    Ok(KeeperHandle { requests, world: published, generation })
}
