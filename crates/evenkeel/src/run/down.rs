//! The daemon's end from outside: TERM to the daemon, then the road drains and ends.
//!
//! Instances are not this room's: `evenkeel down --instances` terminates them through the API first, as anybody would.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::house::lock_path;
use crate::link::road::Place;
use crate::loops::road;

/// What was found and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether a daemon ran.
    pub daemon: bool,
    /// Whether a road ran.
    pub road: bool,
}

/// Ends the daemon and the road of a data directory, and waits until they are gone. The road gets `drain` to finish
/// what is in flight.
///
/// # Errors
/// Processes that do not end, or that may not be ended by us.
pub fn down(data_dir: &Path, drain: Duration) -> anyhow::Result<Ended> {
    let daemon = end_daemon(data_dir)?;
    let road = road::leave(data_dir, drain).context("failed to tell the road to leave")?;
    if road {
        let lock = Place::new(data_dir).lock();
        let told = crate::lock::holder(&lock);
        let tell_again = || -> anyhow::Result<()> {
            // It was replaced just then: the next one does not know yet.
            if crate::lock::holder(&lock) != told {
                road::leave(data_dir, drain).context("failed to tell the road to leave")?;
            }
            Ok(())
        };
        wait_until_free(&lock, drain + Duration::from_secs(10), tell_again).context("failed to see the road end")?;
    }
    Ok(Ended { daemon, road })
}

fn end_daemon(data_dir: &Path) -> anyhow::Result<bool> {
    let lock = lock_path(data_dir);
    if !crate::lock::is_held(&lock)? {
        return Ok(false);
    }
    let pid = crate::lock::holder(&lock).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let Some(pid) = pid else { bail!("`{}` does not say which process holds it", lock.display()) };
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => bail!("failed to end the daemon (process {}): {error}", pid.as_raw_nonzero()),
    }
    wait_until_free(&lock, Duration::from_secs(30), || Ok(())).context("failed to see the daemon end")?;
    Ok(true)
}

/// Waits for a lock's holder to go, by waiting for the lock itself.
fn wait_until_free(lock: &Path, limit: Duration, meanwhile: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let until = Instant::now() + limit;
    while crate::lock::is_held(lock)? {
        if Instant::now() > until {
            bail!("it still holds `{}` after {} s", lock.display(), limit.as_secs());
        }
        meanwhile()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
