//! How the road's process begins: in a session of its own, with a log, so that it outlives the daemon that starts it.
//! Must never wait for it: the lock in the data directory says whether it runs.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::RoadOptions;
use super::road::Place;

/// How long one road may take to take over from another, all in all.
pub const TAKING_OVER: Duration = Duration::from_secs(60);

/// A log longer than this is begun anew when the road is started.
const LOG_LIMIT: u64 = 8 << 20;

/// Starts the road of a data directory in a session of its own.
///
/// # Errors
/// The system's.
pub fn start(program: &Path, data_dir: &Path, options: &RoadOptions) -> anyhow::Result<()> {
    let mut child = spawn(program, data_dir, &options.arguments(), false)?;
    // Somebody has to collect it when it ends while this daemon lives.
    std::thread::Builder::new().name("road's end".into()).spawn(move || child.wait())?;
    Ok(())
}

/// Starts a road that takes over from the one that runs in a data directory, and waits until it has. `options` are
/// [`RoadOptions::arguments`]. Returns its process id.
///
/// # Errors
/// The system's; a road that ends, because the other one goes on; one that takes longer than [`TAKING_OVER`]: it is ended.
pub fn replace(program: &Path, data_dir: &Path, options: &[String]) -> anyhow::Result<u32> {
    let mut child = spawn(program, data_dir, options, true)?;
    let (pid, lock) = (child.id(), Place::new(data_dir).lock());
    let until = Instant::now() + TAKING_OVER;
    while crate::lock::holder(&lock) != Some(pid) {
        if let Some(status) = child.try_wait()? {
            bail!("failed to replace the road: process {pid} ended ({status}); see `road.log` in the data directory");
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            bail!("failed to replace the road: nothing came of it within {} s", TAKING_OVER.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::Builder::new().name("road's end".into()).spawn(move || child.wait())?;
    Ok(pid)
}

fn spawn(program: &Path, data_dir: &Path, options: &[String], replaces: bool) -> anyhow::Result<Child> {
    let log_path = data_dir.join("road.log");
    // Not while another road writes it.
    let long = !replaces && fs::metadata(&log_path).is_ok_and(|m| m.len() > LOG_LIMIT);
    let log = OpenOptions::new()
        .create(true)
        .append(!long)
        .write(true)
        .truncate(long)
        .open(&log_path)
        .with_context(|| format!("failed to open `{}`", log_path.display()))?;
    let mut command = Command::new(program);
    command.arg("road").arg("--data-dir").arg(data_dir).args(options);
    if replaces {
        command.arg("--replace");
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    crate::sys::spawn::in_new_session(&mut command);
    command.spawn().with_context(|| format!("failed to start the road: `{}`", program.display()))
}
