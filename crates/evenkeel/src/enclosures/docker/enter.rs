//! A command in a container for somebody at a terminal, or in a pipe: `evenkeel exec`.
//!
//! Owns both directions of bytes, the terminal's mode and its size. Must never leave a terminal in another mode than it had.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;

use super::engine::told;
use super::exec::status;
use super::{Held, container};
use crate::drivers::folder::Spec;

/// Bytes at a time.
const PIECE: usize = 64 * 1024;

/// Runs a command in an instance's container with the input and outputs of the caller. Returns its exit status.
///
/// # Errors
/// Completes "failed to …".
pub fn enter(spec: &Spec, words: Vec<String>, env: &BTreeMap<String, String>, dir: &Path) -> Result<i32, String> {
    let held = Held::by(spec).ok_or_else(|| "find the engine of the instance's container".to_owned())?;
    let env = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let dir = dir.to_string_lossy().into_owned();
    let ended = held.engine.wait(async |docker| {
        let is_terminal = isatty(io::stdin()) && isatty(io::stdout());
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(is_terminal),
            cmd: Some(words),
            env: Some(env),
            working_dir: Some(dir),
            ..CreateExecOptions::default()
        };
        let name = container::name(&held.instance);
        let made = docker.create_exec(&name, options).await.map_err(|error| format!("run it: {}", told(&error)))?;
        let mode =
            if is_terminal { Some(Raw::set().map_err(|error| format!("set the terminal: {error}"))?) } else { None };
        let ended = carry(&docker, &made.id, is_terminal).await;
        drop(mode);
        ended
    });
    ended.and_then(|status| i32::try_from(status).map_err(|_| "learn how it ended: its status is out of range".into()))
}

async fn carry(docker: &Docker, exec: &str, is_terminal: bool) -> Result<i64, String> {
    let say = |error: io::Error| format!("run it: {error}");
    let options = StartExecOptions { tty: is_terminal, output_capacity: Some(PIECE), ..StartExecOptions::default() };
    let begun = docker.start_exec(exec, Some(options)).await.map_err(|error| format!("run it: {}", told(&error)))?;
    let StartExecResults::Attached { mut output, input } = begun else {
        return Err("run it: the engine does not attach to it".into());
    };
    let mut typed = typed();
    let given = async {
        let mut input = input;
        while let Some(piece) = typed.recv().await {
            // One that reads no more has ended, which its output tells.
            let _ = input.write_all(&piece).await;
            let _ = input.flush().await;
        }
        let _ = input.shutdown().await;
    };
    let mut given = std::pin::pin!(given);
    let mut resized = signal(SignalKind::window_change()).map_err(say)?;
    if is_terminal {
        resize(docker, exec).await;
    }
    let mut is_given = false;
    loop {
        tokio::select! {
            piece = output.next() => match piece {
                None => break,
                Some(Err(error)) => return Err(format!("run it: {}", told(&error))),
                Some(Ok(LogOutput::StdErr { message })) => io::stderr().write_all(&message).map_err(say)?,
                Some(Ok(piece)) => {
                    let mut out = io::stdout();
                    out.write_all(&piece.into_bytes()).and_then(|()| out.flush()).map_err(say)?;
                }
            },
            _ = resized.recv(), if is_terminal => resize(docker, exec).await,
            () = &mut given, if !is_given => is_given = true,
        }
    }
    status(docker, exec).await
}

/// Our input, read by a thread that is not waited for: a read of a terminal cannot be given up.
fn typed() -> tokio::sync::mpsc::Receiver<Vec<u8>> {
    let (to, from) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(n @ 1..) = io::stdin().read(&mut piece) {
            if to.blocking_send(piece[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    from
}

async fn resize(docker: &Docker, exec: &str) {
    if let Ok(size) = tcgetwinsize(io::stdout()) {
        // A command that has ended meanwhile has no size.
        let _ = docker.resize_exec(exec, ResizeExecOptions { height: size.ws_row, width: size.ws_col }).await;
    }
}

/// The terminal without a mode of its own, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
