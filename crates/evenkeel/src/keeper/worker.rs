//! The Keeper's thread: decide, commit, publish, answer; in batches, because one fsync serves many Changes.
//!
//! Owns the order of those four. Must never publish before the commit. A panic while deciding drops the working World
//! and loads it anew from the Store; a second one ends the process, because a keeper that cannot keep is worse than none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use evenkeel_core::change::Reply;
use evenkeel_core::world::{Settings, World};
use tokio::sync::{mpsc, oneshot, watch};

use super::store::{Batch, Entry, Store, StoreError};
use super::{Clock, Rejected, Request};

/// The most Changes that share one transaction.
const BATCH: usize = 256;

pub(super) struct Worker<S> {
    settings: Settings,
    store: S,
    clock: Clock,
    published: Arc<ArcSwap<World>>,
    announce: watch::Sender<u64>,
    panics: u32,
}

type Answer = (oneshot::Sender<Result<Reply, Rejected>>, Result<Reply, Rejected>);

/// Loads the World and holds it against its invariants.
pub(super) fn load<S: Store>(settings: &Settings, store: &mut S) -> Result<World, StoreError> {
    let loaded = store.load()?;
    let world = World::load(settings.clone(), loaded.generation, loaded.rows);
    let broken = world.broken_invariants();
    if broken.is_empty() { Ok(world) } else { Err(StoreError::Corrupt(broken.join("; "))) }
}

impl<S: Store> Worker<S> {
    pub(super) fn new(
        settings: Settings,
        store: S,
        clock: Clock,
        published: Arc<ArcSwap<World>>,
        announce: watch::Sender<u64>,
    ) -> Self {
        Self { settings, store, clock, published, announce, panics: 0 }
    }

    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut requests = vec![first];
            while requests.len() < BATCH
                && let Ok(next) = inbox.try_recv()
            {
                requests.push(next);
            }
            match catch_unwind(AssertUnwindSafe(|| self.keep(requests))) {
                Ok(answers) => answers.into_iter().for_each(|(to, answer)| {
                    // A caller that went away has its Change all the same: it was committed.
                    drop(to.send(answer));
                }),
                Err(_) => self.recover(),
            }
        }
    }

    /// Decides and commits one batch; the answers that may now be given.
    fn keep(&mut self, requests: Vec<Request>) -> Vec<Answer> {
        let before = self.published.load_full();
        let mut world = before.as_ref().clone();
        let (mut answers, mut entries) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
        for Request { actor, change, answer } in requests {
            let now = (self.clock)();
            let decided = world.decide(&change, now);
            let (result, writes) = match decided {
                Ok(decision) => (Ok(decision.reply), decision.writes),
                Err(refusal) => (Err(refusal), Vec::new()),
            };
            world.absorb(&writes);
            let outcome = match &result {
                Ok(_) => "done".to_owned(),
                Err(refusal) => format!("refused: {refusal}"),
            };
            entries.push(Entry { at: now, actor, change, outcome, generation: world.generation(), writes });
            answers.push((answer, result.map_err(Rejected::Refused)));
        }
        let batch = Batch { generation: world.generation(), entries };
        if let Err(error) = self.store.commit(&batch) {
            eprintln!("keeper: failed to commit {} changes: {error}", batch.entries.len());
            return answers
                .into_iter()
                .map(|(to, result)| (to, result.and_then(|_| Err(Rejected::NotStored(error.to_string())))))
                .collect();
        }
        if world.generation() != before.generation() {
            let generation = world.generation();
            self.published.store(Arc::new(world));
            self.announce.send_replace(generation);
        }
        answers
    }

    /// After a panic: the World is what the Store says. The requests of that batch are answered by their senders'
    /// end being dropped: their callers hear that the keeper went away, which is the truth.
    fn recover(&mut self) {
        self.panics += 1;
        eprintln!("keeper: a panic while deciding (the {}. one)", self.panics);
        if self.panics > 1 {
            std::process::abort();
        }
        match load(&self.settings, &mut self.store) {
            Ok(world) => {
                let generation = world.generation();
                self.published.store(Arc::new(world));
                self.announce.send_replace(generation);
            }
            Err(error) => {
                eprintln!("keeper: failed to load the world again: {error}");
                std::process::abort();
            }
        }
    }
}
