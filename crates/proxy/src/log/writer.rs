//! The one thread that writes the log.
//!
//! Owns the files, the spool and every wait for the disk. Must never be waited for by a worker. A disk that refuses costs the
//! records that could not be written: they are counted as dropped, and the next ones are tried again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use evenkeel_core::time::Timestamp;

use super::files::Files;
use super::queue::{self, Desk, Inbox, Line};
use super::spool::Spool;
use super::{Format, LogConfig, Record, aws, json};

/// How long records are gathered: the most that one waits for its way to the disk.
const GATHER: Duration = Duration::from_millis(10);
/// How long a writer with nothing to do sleeps unless it is woken.
const REST: Duration = Duration::from_millis(250);
/// Bytes written at once.
const BLOCK: usize = 64 * 1024;
/// How often it is looked whether somebody took the file away.
const LOOK: Duration = Duration::from_secs(1);

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Log {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// Opens the file, if there is to be one, and starts the writer; returns a line for each worker. `spool` is the folder
    /// for records of balancers that have a log of their own. Errors: a file that cannot be opened, or no thread.
    pub(crate) fn start(
        config: Option<LogConfig>,
        spool: Option<PathBuf>,
        workers: usize,
    ) -> io::Result<(Self, Vec<Line>)> {
        let format = config.as_ref().map_or(Format::Aws, |config| config.format);
        let files = config.map(Files::open).transpose()?;
        let spool = spool.map(Spool::new);
        let desk = Arc::new(Desk::default());
        let (tellers, inboxes) = (0..workers).map(|_| queue::open(&desk)).unzip();
        let writer =
            Writer { desk: Arc::clone(&desk), inboxes, files, spool, format, block: String::new(), told: false };
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || writer.run())?;
        let _ = desk.writer.set(thread.thread().clone());
        Ok((Self { desk, thread: Some(thread) }, tellers))
    }

    /// Records that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, and ends.
    pub(crate) fn end(&mut self) {
        self.desk.ending.store(true, Ordering::Release);
        self.desk.wake();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}

struct Writer {
    desk: Arc<Desk>,
    inboxes: Vec<Inbox>,
    files: Option<Files>,
    spool: Option<Spool>,
    format: Format,
    block: String,
    /// The present trouble was told.
    told: bool,
}

impl Writer {
    fn run(mut self) {
        let mut idle = false;
        let mut look = Instant::now() + LOOK;
        loop {
            // Read before the queues: what was told before the end is written.
            let ending = self.desk.ending.load(Ordering::Acquire);
            let wrote = self.drain();
            if ending {
                let (lost, ended) = self.spool.as_mut().map_or((0, Ok(())), Spool::end);
                return self.trouble(ended, lost);
            }
            if look <= Instant::now() {
                look = Instant::now() + LOOK;
                let looked = self.files.as_mut().map_or(Ok(()), |files| files.reopen_if_gone().map(drop));
                self.trouble(looked, 0);
                self.settle();
            }
            if wrote || !idle {
                idle = !wrote;
                thread::park_timeout(GATHER);
            } else {
                self.desk.asleep.store(true, Ordering::SeqCst);
                if !self.drain() {
                    thread::park_timeout(REST);
                }
                self.desk.asleep.store(false, Ordering::Relaxed);
                idle = false;
            }
        }
    }

    /// Writes what waits; true when there was something.
    fn drain(&mut self) -> bool {
        let mut records = 0;
        let mut any = false;
        let inboxes = std::mem::take(&mut self.inboxes);
        for inbox in &inboxes {
            // At most one queue's worth, so that a busy worker does not keep the others waiting.
            for record in std::iter::from_fn(|| inbox.next()).take(queue::RECORDS) {
                any = true;
                self.deliver(&record);
                if self.files.is_none() {
                    continue;
                }
                records += 1;
                match self.format {
                    Format::Aws => aws::write(&record, &mut self.block),
                    Format::Json => json::write(&record, &mut self.block),
                }
                if self.block.len() >= BLOCK {
                    self.flush(std::mem::take(&mut records));
                }
            }
        }
        self.inboxes = inboxes;
        self.flush(records);
        any
    }

    /// Puts a record into the log of its balancer's own, where that has one.
    fn deliver(&mut self, record: &Record) {
        let (Some(spool), Some(delivery)) = (&mut self.spool, &record.side.delivery) else { return };
        let (lost, outcome) = spool.put(delivery, wall_clock(), |out| aws::write(record, out));
        if lost > 0 || outcome.is_err() {
            self.trouble(outcome, lost);
        }
    }

    /// Has the spool write what it has gathered, and finish what is whole.
    fn settle(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        spool.adopt();
        if spool.is_idle() {
            return;
        }
        let (lost, settled) = spool.settle(wall_clock());
        self.trouble(settled, lost);
    }

    fn flush(&mut self, records: u64) {
        let Some(files) = self.files.as_mut().filter(|_| !self.block.is_empty()) else { return };
        let wrote = files.write(self.block.as_bytes());
        self.block.clear();
        self.trouble(wrote, records);
    }

    /// Tells trouble once, until it is over.
    fn trouble(&mut self, outcome: io::Result<()>, records: u64) {
        match outcome {
            Ok(()) if records > 0 => self.told = false,
            Ok(()) => {}
            Err(error) => {
                self.desk.dropped.fetch_add(records, Ordering::Relaxed);
                if !std::mem::replace(&mut self.told, true) {
                    eprintln!("road: failed to write the access log: {error}; records are dropped and counted");
                }
            }
        }
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(crate) mod tests;
