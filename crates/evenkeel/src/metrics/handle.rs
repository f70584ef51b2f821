//! The store's thread, and the handle by which everybody else has it.
//!
//! One thread writes; samples wait for it in a bounded line. Reading goes past it. Must never keep a caller waiting: what does not
//! fit into the line is dropped and counted, or refused. Next: [`super::store`].

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::read::Reader;
use super::store::{Limits, Sample, Store};

/// Batches that may wait for the thread.
const LINE: usize = 256;

/// Seconds since the epoch, as the store is told them.
pub type Clock = fn() -> i64;

/// What the thread is asked for.
enum Message {
    Put(Vec<Sample>, Option<oneshot::Sender<usize>>),
    Stop,
}

/// A running store.
#[derive(Clone, Debug)]
pub struct Metrics {
    line: SyncSender<Message>,
    reader: Reader,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Too much waits to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many samples wait to be written")]
pub struct Overrun;

impl Metrics {
    /// Opens the store in a folder and starts its thread.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn start(dir: &Path, limits: Limits, clock: Clock) -> io::Result<Self> {
        let store = Store::open(dir, limits, clock())?;
        let reader = store.reader();
        let (line, asked) = sync_channel(LINE);
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(move || run(store, &asked, clock))?;
        Ok(Self { line, reader, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Hands samples over. Where too many wait they are dropped, and counted.
    pub fn put(&self, samples: Vec<Sample>) {
        let count = samples.len();
        if self.line.try_send(Message::Put(samples, None)).is_err() {
            self.reader.overran(count);
        }
    }

    /// Hands samples over and waits until they can be read. Returns how many were refused for want of room.
    ///
    /// # Errors
    /// Too many wait; none of these were taken.
    pub async fn put_and_wait(&self, samples: Vec<Sample>) -> Result<usize, Overrun> {
        let (tell, told) = oneshot::channel();
        let count = samples.len();
        if self.line.try_send(Message::Put(samples, Some(tell))).is_err() {
            self.reader.overran(count);
            return Err(Overrun);
        }
        told.await.map_err(|_| Overrun)
    }

    /// The reading side.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Writes down what waits, and ends the thread; what is put later is dropped. Blocks.
    pub fn stop(&self) {
        let _ = self.line.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            eprintln!("metrics: the store's thread panicked");
        }
    }
}

fn run(mut store: Store, asked: &Receiver<Message>, clock: Clock) {
    const TICK: Duration = Duration::from_secs(1);
    let mut next = Instant::now() + TICK;
    let mut has_work = true;
    loop {
        let left = if has_work { Duration::ZERO } else { next.saturating_duration_since(Instant::now()) };
        match asked.recv_timeout(left) {
            Ok(Message::Put(samples, tell)) => {
                let refused = store.put(&samples, clock());
                if let Some(tell) = tell {
                    // Who does not wait any more is not told.
                    let _ = tell.send(refused);
                }
                if store.is_urgent() {
                    let written = store.flush();
                    store.tell(written);
                }
            }
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if Instant::now() < next => match store.step(clock()) {
                Ok(more) => has_work = more,
                Err(error) => {
                    store.tell(Err(error));
                    has_work = false;
                }
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= next {
            store.tick(clock());
            next = Instant::now() + TICK;
            has_work = true;
        }
    }
    if let Err(error) = store.close() {
        eprintln!("metrics: failed to write down what waited: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Bucket, Metric, Range, Unit};

    fn clock() -> i64 {
        1000
    }

    fn sample(at: i64) -> Sample {
        Sample { metric: Metric::new("n", "m", [("a", "1")]), unit: Unit::Count, at, bucket: Bucket::of(2.0) }
    }

    fn sum(metrics: &Metrics) -> f64 {
        let reader = metrics.reader();
        let (series, _) = reader.units(&sample(0).metric)[0];
        let range = Range { from: 900, to: 1100, period: 1 };
        reader.read(series, range, 1000).values().map(|bucket| bucket.sum).sum()
    }

    #[tokio::test]
    async fn what_was_put_is_read_and_outlives_the_thread() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::start(dir.path(), Limits::default(), clock).unwrap();
        assert_eq!(metrics.put_and_wait(vec![sample(950), sample(951)]).await, Ok(0));
        assert_eq!(sum(&metrics), 4.0);
        metrics.put(vec![sample(952)]);
        let stopping = metrics.clone();
        tokio::task::spawn_blocking(move || stopping.stop()).await.unwrap();
        // Nobody is there any more to take it, or to keep us waiting.
        metrics.put(vec![sample(953)]);
        assert_eq!(metrics.put_and_wait(vec![sample(954)]).await, Err(Overrun));
        assert_eq!(metrics.reader().counts().overrun, 2);
        let again = Metrics::start(dir.path(), Limits::default(), clock).unwrap();
        assert_eq!(sum(&again), 6.0);
    }
}
