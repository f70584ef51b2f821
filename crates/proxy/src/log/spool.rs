//! Access logs of balancers that want their own: files that are whole objects, left for whoever takes them to a bucket.
//!
//! Owns the folder: `open` holds what is being written, each file locked by the road that writes it; `done` what is whole.
//! A file's first line says as JSON where it belongs ([`Label`]); what follows is the object, lines in AWS's format. Must
//! never grow beyond [`LIMIT`]: what has no room is not written, and its writer counts it. Called by the log's one thread.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::routes::AccessLogRoute;
use evenkeel_core::time::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// Bytes of all files together.
pub const LIMIT: u64 = 1 << 30;
/// Bytes after which an object is whole before its time; the next one of the same interval follows it.
pub const OBJECT_LIMIT: u64 = 16 << 20;
/// Bytes of one object that are gathered before they are written.
const BLOCK: usize = 64 * 1024;
/// Bytes of a file's first line.
const LABEL_LIMIT: u64 = 4096;
/// How often it is looked what roads that are gone left.
const ADOPT: Duration = Duration::from_secs(60);
/// How often it is measured what lies there: somebody else takes files away.
const MEASURE: Duration = Duration::from_secs(5);

/// What the first line of a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The bucket that the object belongs to.
    pub bucket: String,
    /// Its key.
    pub key: String,
}

/// Where the files are that are whole.
#[must_use]
pub fn done(spool: &Path) -> PathBuf {
    spool.join("done")
}

/// Where a record belongs, when its balancer has a log of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The balancer's name.
    pub balancer: LoadBalancerName,
    /// The address of the node that the client came to.
    pub node: IpAddr,
    /// Where its log goes.
    pub route: AccessLogRoute,
}

/// The folder and the files that are being written.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    open: BTreeMap<(LoadBalancerName, IpAddr), Object>,
    /// Bytes there, as measured last and with what was written since.
    held: u64,
    measured: Option<Instant>,
    adopted: Option<Instant>,
    dice: RandomState,
    made: u64,
}

#[derive(Debug)]
struct Object {
    route: AccessLogRoute,
    end: Timestamp,
    file: File,
    name: String,
    size: u64,
    block: String,
    /// Records in the block.
    records: u64,
}

impl Spool {
    /// Finishes what roads left that are gone.
    pub(crate) fn new(dir: PathBuf) -> Self {
        let dice = RandomState::new();
        let mut spool = Self { dir, open: BTreeMap::new(), held: 0, measured: None, adopted: None, dice, made: 0 };
        spool.adopt();
        spool
    }

    /// Finishes what roads left that are gone, now and then: a road that was replaced may die long after the next one
    /// began. Whoever still writes holds a lock.
    pub(crate) fn adopt(&mut self) {
        if self.adopted.is_some_and(|at| at.elapsed() < ADOPT) {
            return;
        }
        self.adopted = Some(Instant::now());
        for entry in fs::read_dir(self.dir.join("open")).into_iter().flatten().flatten() {
            let locked = File::open(entry.path()).and_then(|file| {
                flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                Ok(file)
            });
            if locked.is_ok()
                && let Err(error) = self.hand_over(&entry.file_name().to_string_lossy())
            {
                eprintln!("road: failed to finish an access log: {error}");
            }
        }
    }

    /// Whether nothing is being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a record; `write` appends its line. Returns how many records were lost by it, and why.
    pub(crate) fn put(
        &mut self,
        delivery: &Delivery,
        now: Timestamp,
        write: impl FnOnce(&mut String),
    ) -> (u64, io::Result<()>) {
        if let Err(error) = self.have_room() {
            return (1, Err(error));
        }
        let key = (delivery.balancer.clone(), delivery.node);
        let is_good =
            |object: &Object| object.route == delivery.route && now < object.end && object.size < OBJECT_LIMIT;
        if !self.open.get(&key).is_some_and(is_good) {
            let (lost, outcome) = self.finish(&key);
            match outcome.and_then(|()| self.begin(delivery, now)) {
                Ok(object) => drop(self.open.insert(key.clone(), object)),
                Err(error) => return (lost + 1, Err(error)),
            }
        }
        let Some(object) = self.open.get_mut(&key) else { return (1, Ok(())) };
        write(&mut object.block);
        object.records += 1;
        if object.block.len() < BLOCK {
            return (0, Ok(()));
        }
        let before = object.size;
        let outcome = object.flush();
        self.held += object.size - before;
        outcome
    }

    /// Writes what was gathered, and finishes what is whole by now. Returns how many records were lost, and why.
    pub(crate) fn settle(&mut self, now: Timestamp) -> (u64, io::Result<()>) {
        let (mut lost, mut trouble) = (0, Ok(()));
        let mut note = |(count, outcome): (u64, io::Result<()>)| {
            lost += count;
            if outcome.is_err() {
                trouble = outcome;
            }
        };
        for object in self.open.values_mut() {
            let before = object.size;
            note(object.flush());
            self.held += object.size - before;
        }
        let over: Vec<_> = self.open.iter().filter(|(_, o)| o.end <= now).map(|(key, _)| key.clone()).collect();
        for key in over {
            note(self.finish(&key));
        }
        (lost, trouble)
    }

    /// Finishes everything, whole or not.
    pub(crate) fn end(&mut self) -> (u64, io::Result<()>) {
        self.settle(Timestamp(u64::MAX))
    }

    fn finish(&mut self, key: &(LoadBalancerName, IpAddr)) -> (u64, io::Result<()>) {
        let Some(mut object) = self.open.remove(key) else { return (0, Ok(())) };
        let (lost, outcome) = object.flush();
        // Best effort: what the disk did not take is not worse than a log that was never written.
        let outcome = outcome.and(object.file.sync_data()).and_then(|()| self.hand_over(&object.name));
        (lost, outcome)
    }

    /// Moves a file to those that are whole; one without a record is removed.
    fn hand_over(&self, name: &str) -> io::Result<()> {
        let from = self.dir.join("open").join(name);
        let file = File::open(&from)?;
        let mut label = Vec::new();
        BufReader::new(&file).take(LABEL_LIMIT).read_until(b'\n', &mut label)?;
        if label.last() != Some(&b'\n') || file.metadata()?.len() == label.len() as u64 {
            return fs::remove_file(from);
        }
        folder(&done(&self.dir))?;
        fs::rename(from, done(&self.dir).join(name))
    }

    fn begin(&mut self, delivery: &Delivery, now: Timestamp) -> io::Result<Object> {
        let dir = self.dir.join("open");
        folder(&dir)?;
        self.made += 1;
        let random = self.dice.hash_one((self.made, now.0, std::process::id()));
        let random: String = (0..8)
            .map(|digit| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(random >> (8 * digit)) as usize % 36]))
            .collect();
        let end = delivery.route.end_of(now);
        let label = Label {
            bucket: delivery.route.bucket.clone(),
            key: delivery.route.key(&delivery.balancer, delivery.node, end, &random),
        };
        // By their names, the oldest are the first.
        let name = format!("{:015}-{}-{random}.log", end.0, delivery.balancer);
        let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(dir.join(&name))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut head = serde_json::to_string(&label)?;
        head.push('\n');
        file.write_all(head.as_bytes())?;
        let route = delivery.route.clone();
        Ok(Object { route, end, file, name, size: head.len() as u64, block: String::new(), records: 0 })
    }

    fn have_room(&mut self) -> io::Result<()> {
        if self.measured.is_none_or(|at| at.elapsed() >= MEASURE) {
            let sizes =
                ["open", "done"].into_iter().flat_map(|part| fs::read_dir(self.dir.join(part)).into_iter().flatten());
            self.held = sizes.flatten().filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum();
            self.measured = Some(Instant::now());
        }
        if self.held < LIMIT {
            Ok(())
        } else {
            Err(io::Error::other(format!("`{}` is full: {LIMIT} bytes", self.dir.display())))
        }
    }
}

impl Object {
    /// Writes what was gathered. Returns how many records were lost, and why.
    fn flush(&mut self) -> (u64, io::Result<()>) {
        let records = std::mem::take(&mut self.records);
        if self.block.is_empty() {
            return (0, Ok(()));
        }
        let outcome = self.file.write_all(self.block.as_bytes());
        self.size += self.block.len() as u64;
        self.block.clear();
        (if outcome.is_ok() { 0 } else { records }, outcome)
    }
}

fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(bucket: &str, node: u8) -> Delivery {
        let route = AccessLogRoute {
            bucket: bucket.into(),
            prefix: "p".into(),
            minutes: 5,
            account: "123456789012".into(),
            region: "us-east-1".into(),
        };
        Delivery { balancer: LoadBalancerName::new("web").unwrap(), node: [10, 0, 0, node].into(), route }
    }

    /// Whole files by name: their labels and what follows.
    fn whole(dir: &Path) -> Vec<(Label, String)> {
        let mut paths: Vec<_> =
            fs::read_dir(done(dir)).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            let (label, lines) = text.split_once('\n').unwrap();
            (serde_json::from_str(label).unwrap(), lines.to_owned())
        };
        paths.into_iter().map(read).collect()
    }

    fn put(spool: &mut Spool, delivery: &Delivery, now: u64, line: &str) {
        let (lost, outcome) = spool.put(delivery, Timestamp(now), |out| out.push_str(line));
        outcome.unwrap();
        assert_eq!(lost, 0);
    }

    #[test]
    fn an_object_holds_the_records_of_one_node_and_interval() {
        let dir = crate::log::writer::tests::folder("spool");
        let mut spool = Spool::new(dir.clone());
        let (one, two, moved) = (delivery("a", 1), delivery("a", 2), delivery("b", 1));
        put(&mut spool, &one, 1_000, "1\n");
        put(&mut spool, &two, 2_000, "2\n");
        put(&mut spool, &one, 299_999, "3\n");
        spool.settle(Timestamp(299_999)).1.unwrap();
        assert_eq!(whole(&dir), []);
        // The interval is over, by the clock or by a record of the next one.
        put(&mut spool, &one, 300_000, "4\n");
        spool.settle(Timestamp(300_001)).1.unwrap();
        let mut found: Vec<_> = whole(&dir).into_iter().map(|(label, lines)| (label.bucket, lines)).collect();
        found.sort();
        assert_eq!(found, [("a".into(), "1\n3\n".into()), ("a".into(), "2\n".to_owned())]);
        // A log that goes elsewhere from now on.
        put(&mut spool, &moved, 300_002, "5\n");
        assert!(!spool.is_idle());
        spool.end().1.unwrap();
        assert!(spool.is_idle());
        let found = whole(&dir);
        assert_eq!(found.len(), 4);
        for (label, _) in &found {
            let (before, at) =
                if label.key.contains("T0005Z") { ("1970/01/01", "T0005Z") } else { ("1970/01/01", "T0010Z") };
            assert!(
                label.key.starts_with(&format!("p/AWSLogs/123456789012/elasticloadbalancing/us-east-1/{before}/")),
                "{label:?}"
            );
            assert!(label.key.contains(at), "{label:?}");
        }
        assert_eq!(fs::read_dir(dir.join("open")).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_a_road_left_is_finished_unless_it_still_writes() {
        let dir = crate::log::writer::tests::folder("left");
        let mut first = Spool::new(dir.clone());
        put(&mut first, &delivery("a", 1), 1_000, "1\n");
        first.settle(Timestamp(1_000)).1.unwrap();
        // Another road begins while the first one goes on, and both have records of the same interval.
        let mut second = Spool::new(dir.clone());
        assert_eq!(whole(&dir), []);
        put(&mut second, &delivery("a", 1), 1_001, "2\n");
        put(&mut first, &delivery("a", 1), 1_002, "3\n");
        first.settle(Timestamp(1_002)).1.unwrap();
        // The first one is killed.
        drop(first);
        let third = Spool::new(dir.clone());
        assert_eq!(whole(&dir).into_iter().map(|(_, lines)| lines).collect::<Vec<_>>(), ["1\n3\n"]);
        second.end().1.unwrap();
        let mut lines: Vec<_> = whole(&dir).into_iter().map(|(_, lines)| lines).collect();
        lines.sort();
        assert_eq!(lines, ["1\n3\n", "2\n"]);
        assert!(third.is_idle());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_full_spool_takes_nothing_more_until_there_is_room() {
        let dir = crate::log::writer::tests::folder("full");
        folder(&done(&dir)).unwrap();
        let filler = File::create(done(&dir).join("filler")).unwrap();
        filler.set_len(LIMIT).unwrap();
        let mut spool = Spool::new(dir.clone());
        let (lost, outcome) = spool.put(&delivery("a", 1), Timestamp(1), |out| out.push_str("1\n"));
        assert_eq!(lost, 1);
        assert!(outcome.unwrap_err().to_string().contains("is full: 1073741824 bytes"));
        fs::remove_file(done(&dir).join("filler")).unwrap();
        spool.measured = None;
        put(&mut spool, &delivery("a", 1), 2, "2\n");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_object_that_is_large_enough_is_whole() {
        let dir = crate::log::writer::tests::folder("large");
        let mut spool = Spool::new(dir.clone());
        let line = format!("{}\n", "x".repeat(1 << 20));
        for _ in 0..17 {
            put(&mut spool, &delivery("a", 1), 5, &line);
        }
        assert_eq!(whole(&dir).len(), 1);
        assert!(whole(&dir)[0].1.len() as u64 <= OBJECT_LIMIT + line.len() as u64);
        fs::remove_dir_all(dir).unwrap();
    }
}
