//! The way of records from a worker to the writer.
//!
//! Owns its bounds: [`RECORDS`] and [`BYTES`] a worker. Must never make a worker wait: a full queue drops the record
//! and counts it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;

use super::Record;

/// Records that wait of one worker.
pub(crate) const RECORDS: usize = 8192;
/// Bytes that they hold.
pub(crate) const BYTES: usize = 8 << 20;

/// What all queues of a log share.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) dropped: AtomicU64,
    /// The writer sleeps until it is woken.
    pub(crate) asleep: AtomicBool,
    pub(crate) ending: AtomicBool,
    pub(crate) writer: OnceLock<Thread>,
}

impl Desk {
    pub(crate) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// A worker's end.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    queue: SyncSender<Box<Record>>,
    held: Arc<AtomicUsize>,
    desk: Arc<Desk>,
}

impl Line {
    /// Hands a record over, or drops it.
    pub(crate) fn tell(&self, record: Box<Record>) {
        let weight = record.weight();
        if self.held.load(Ordering::Relaxed) + weight > BYTES {
            return self.desk.drop_one();
        }
        self.held.fetch_add(weight, Ordering::Relaxed);
        if self.queue.try_send(record).is_err() {
            self.held.fetch_sub(weight, Ordering::Relaxed);
            return self.desk.drop_one();
        }
        // A writer that falls asleep just now looks again before long.
        if self.desk.asleep.load(Ordering::Relaxed) && self.desk.asleep.swap(false, Ordering::Relaxed) {
            self.desk.wake();
        }
    }
}

/// The writer's end of one worker's queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Receiver<Box<Record>>,
    held: Arc<AtomicUsize>,
}

impl Inbox {
    /// The next record that waits.
    pub(crate) fn next(&self) -> Option<Box<Record>> {
        let record = self.queue.try_recv().ok()?;
        self.held.fetch_sub(record.weight(), Ordering::Relaxed);
        Some(record)
    }
}

/// A queue.
pub(crate) fn open(desk: &Arc<Desk>) -> (Line, Inbox) {
    let (sender, receiver) = sync_channel(RECORDS);
    let held = Arc::default();
    (Line { queue: sender, held: Arc::clone(&held), desk: Arc::clone(desk) }, Inbox { queue: receiver, held })
}
