//! The way of sampled records from the workers to the exporter.
//!
//! Owns its bounds: [`RECORDS`] and [`BYTES`] over all workers. Must never make a worker wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::log::Record;

/// Records that wait.
pub(crate) const RECORDS: usize = 2048;
/// Bytes that they hold.
pub(crate) const BYTES: usize = 4 << 20;

/// What became of spans.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub(crate) sent: AtomicU64,
    /// No room, or a collector that did not take them.
    pub(crate) dropped: AtomicU64,
}

/// A worker's end.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    queue: SyncSender<Box<Record>>,
    held: Arc<AtomicUsize>,
    fate: Arc<Fate>,
}

impl Spans {
    /// Hands a record over, or drops it.
    pub(crate) fn tell(&self, record: Box<Record>) {
        let weight = record.weight();
        let held = self.held.fetch_add(weight, Ordering::Relaxed);
        if held + weight > BYTES || self.queue.try_send(record).is_err() {
            self.held.fetch_sub(weight, Ordering::Relaxed);
            self.fate.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The exporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Receiver<Box<Record>>,
    held: Arc<AtomicUsize>,
}

impl Inbox {
    /// The next record, within so long.
    pub(crate) fn next(&self, patience: Duration) -> Result<Box<Record>, RecvTimeoutError> {
        let record = self.queue.recv_timeout(patience)?;
        self.held.fetch_sub(record.weight(), Ordering::Relaxed);
        Ok(record)
    }
}

/// A queue.
pub(crate) fn open(fate: &Arc<Fate>) -> (Spans, Inbox) {
    let (sender, receiver) = sync_channel(RECORDS);
    let held = Arc::default();
    (Spans { queue: sender, held: Arc::clone(&held), fate: Arc::clone(fate) }, Inbox { queue: receiver, held })
}
