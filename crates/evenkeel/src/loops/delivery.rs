//! The loop that takes whole access logs from the road's spool to their buckets.
//!
//! Owns when it is tried again. Must never remove a file before its bucket has it: a daemon that dies in between puts the
//! same object once more, which changes nothing. What is written there, and how much: [`evenkeel_proxy::log::spool`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_aws::Time;
use evenkeel_proxy::log::spool::{self, Label};

use super::{Statuses, now};
use crate::buckets::Buckets;

/// How often it is looked whether there is something.
const LOOK: Duration = Duration::from_secs(1);
/// The first pause of a bucket that failed, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(300);
/// Objects that are put in one run: the status is to be heard of.
const RUN: usize = 100;
/// A file that is longer is none of the road's.
const FILE_LIMIT: u64 = spool::OBJECT_LIMIT * 4;

/// What waits, and until when buckets that failed are left alone.
struct Courier {
    dir: PathBuf,
    buckets: Arc<Buckets>,
    resting: BTreeMap<String, (Instant, Duration, String)>,
}

/// Runs the loop over the spool of a data directory; never returns.
pub async fn run(spool_dir: PathBuf, buckets: Arc<Buckets>, statuses: Statuses) {
    let mut courier = Courier { dir: spool::done(&spool_dir), buckets, resting: BTreeMap::new() };
    loop {
        let ran = tokio::task::spawn_blocking(move || {
            let outcome = courier.go(Instant::now());
            (courier, outcome)
        });
        let outcome = match ran.await {
            Ok((back, outcome)) => {
                courier = back;
                outcome
            }
            // It is this process that ends.
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                statuses.ran("delivery", Err(format!("panicked: {error}")));
                return;
            }
        };
        statuses.ran("delivery", outcome);
        tokio::time::sleep(LOOK).await;
    }
}

impl Courier {
    /// Takes what there is to its buckets, the oldest first. Buckets that fail rest, and the others go on.
    fn go(&mut self, at: Instant) -> Result<Vec<String>, String> {
        let waiting = list(&self.dir).map_err(|error| format!("failed to read `{}`: {error}", self.dir.display()))?;
        let (mut failed, mut put) = (None, 0);
        for path in &waiting {
            if put == RUN {
                break;
            }
            let (label, body) = match read(path) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    // Nobody will ever know where it belongs.
                    let _ = fs::remove_file(path);
                    failed = Some(format!("an access log is lost: `{}`: {error}", path.display()));
                    continue;
                }
            };
            let bucket = label.bucket.clone();
            if self.resting.get(&bucket).is_some_and(|(until, _, _)| *until > at) {
                continue;
            }
            put += 1;
            match self.buckets.put(&bucket, &label.key, body, Time(now().0.try_into().unwrap_or(i64::MAX))) {
                Ok(()) => {
                    self.resting.remove(&bucket);
                    fs::remove_file(path).map_err(|error| format!("failed to remove `{}`: {error}", path.display()))?;
                }
                Err(error) => {
                    let before = self.resting.get(&bucket).map(|(_, pause, _)| *pause);
                    let pause = before.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
                    let why = format!("failed to {error}");
                    failed = Some(why.clone());
                    self.resting.insert(bucket, (at + pause, pause, why));
                }
            }
        }
        self.resting.retain(|_, (until, pause, _)| *until + *pause + LAST_PAUSE > at);
        if let Some(why) = failed {
            return Err(why);
        }
        let left = list(&self.dir).map_or(0, |left| left.len());
        let rest = self.resting.values().map(|(_, _, why)| format!("{why}; {left} access logs wait"));
        Ok(if left > 0 { rest.collect() } else { Vec::new() })
    }
}

/// Files that are whole, the oldest first.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> io::Result<(Label, Vec<u8>)> {
    if fs::metadata(path)?.len() > FILE_LIMIT {
        return Err(io::Error::other("it is too long to be one"));
    }
    let mut bytes = fs::read(path)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| io::Error::other("it has no label"))?;
    let label = serde_json::from_slice(&bytes[..end])?;
    bytes.drain(..=end);
    Ok((label, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::tests::store;

    fn file(dir: &Path, name: &str, bucket: &str, lines: &str) {
        fs::create_dir_all(dir.join("done")).unwrap();
        let label = Label { bucket: bucket.into(), key: format!("k/{name}") };
        let text = format!("{}\n{lines}", serde_json::to_string(&label).unwrap());
        fs::write(dir.join("done").join(name), text).unwrap();
    }

    fn courier(dir: &Path, mappings: &[String]) -> Courier {
        let mappings: Vec<_> = mappings.iter().map(|text| text.parse().unwrap()).collect();
        let buckets = Arc::new(Buckets::new(dir, &mappings, None));
        Courier { dir: spool::done(dir), buckets, resting: BTreeMap::new() }
    }

    #[test]
    fn a_bucket_that_fails_rests_and_gets_everything_later_and_others_do_not_wait() {
        let dir = tempfile::tempdir().unwrap();
        let busy = "HTTP/1.1 503 Slow Down\r\nContent-Length: 32\r\n\r\n<Error><Code>SlowDown</Code></Er";
        let (at, taken) = store(vec![busy, busy]);
        let mut courier = courier(dir.path(), &[format!("far=http://{at}/real")]);
        assert_eq!(courier.go(Instant::now()), Ok(vec![]));
        file(dir.path(), "1", "far", "one\n");
        file(dir.path(), "2", "near", "two\n");
        file(dir.path(), "3", "far", "three\n");
        let begin = Instant::now();
        let wanted = format!("failed to write to bucket `far` at {at}: it said 503 SlowDown");
        assert_eq!(courier.go(begin), Err(wanted.clone()));
        assert_eq!(fs::read_to_string(dir.path().join("buckets/near/k/2")).unwrap(), "two\n");
        // It is left alone, and says why.
        assert_eq!(courier.go(begin), Ok(vec![format!("{wanted}; 2 access logs wait")]));
        assert_eq!(courier.go(begin + FIRST_PAUSE), Err(wanted));
        // The second pause is twice as long.
        assert!(courier.go(begin + FIRST_PAUSE * 2).is_ok());
        assert!(taken.lock().unwrap().is_empty());
        assert_eq!(courier.go(begin + FIRST_PAUSE * 3), Ok(vec![]));
        let taken = taken.lock().unwrap();
        let got: Vec<_> = taken.iter().map(|request| (request.target.as_str(), request.body.as_slice())).collect();
        assert_eq!(got, [("/real/k/1", &b"one\n"[..]), ("/real/k/3", b"three\n")]);
        assert_eq!(list(&courier.dir).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_no_log_is_told_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "2", "near", "two\n");
        fs::write(dir.path().join("done/1"), "junk\nmore\n").unwrap();
        let mut courier = courier(dir.path(), &[]);
        let said = courier.go(Instant::now()).unwrap_err();
        assert!(said.starts_with("an access log is lost: `") && said.contains("done/1"), "{said}");
        assert_eq!(courier.go(Instant::now()), Ok(vec![]));
        assert!(dir.path().join("buckets/near/k/2").exists());
    }
}
