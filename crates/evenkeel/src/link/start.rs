//! How the road's process begins: in a session of its own, with a log, so that it outlives the daemon that starts it.
//! Must never wait for it: the lock in the data directory says whether it runs.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use evenkeel_proxy::log::Format;

use super::RoadOptions;

/// A log longer than this is begun anew when the road is started.
const LOG_LIMIT: u64 = 8 << 20;

/// Starts the road of a data directory in a session of its own.
///
/// # Errors
/// The system's.
pub fn start(program: &Path, data_dir: &Path, options: &RoadOptions) -> anyhow::Result<()> {
    let log_path = data_dir.join("road.log");
    let long = fs::metadata(&log_path).is_ok_and(|m| m.len() > LOG_LIMIT);
    let log = OpenOptions::new()
        .create(true)
        .append(!long)
        .write(true)
        .truncate(long)
        .open(&log_path)
        .with_context(|| format!("failed to open `{}`", log_path.display()))?;
    let mut command = Command::new(program);
    command.arg("road").arg("--data-dir").arg(data_dir).arg("--workers").arg(options.workers.to_string());
    command.arg("--access-log").arg(options.access_log.map_or("off", Format::as_str));
    if options.trace_ids {
        command.arg("--trace-ids");
    }
    if let Some((endpoint, per_million)) = &options.spans {
        command.arg("--spans-to").arg(endpoint.to_string());
        command.arg("--spans-share").arg((f64::from(*per_million) / 1e6).to_string());
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    crate::sys::spawn::in_new_session(&mut command);
    let mut child = command.spawn().with_context(|| format!("failed to start the road: `{}`", program.display()))?;
    // Somebody has to collect it when it ends while this daemon lives.
    std::thread::Builder::new().name("road's end".into()).spawn(move || child.wait())?;
    Ok(())
}
