//! Processes of the node that stand for what is in a container: `evenkeel enclosure run`, for a command that runs there, and
//! `evenkeel enclosure hold`, for the container itself. So who starts something stays its parent, waits for it, reads what
//! it prints and signals it, as everywhere else.
//!
//! Owns both. Must never outlive what it stands for, nor the agent.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use evenkeel_init::{ENDED, PROGRAM};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::{Stream, StreamExt as _};

use super::engine::told;
use super::exec::{answer, status};
use super::{Held, container};
use crate::drivers::Engine;
use crate::drivers::folder::Folder;

/// What a command is ended with in order.
const TERM: &str = "15";
/// Exit status of a command that could not be started, as shells have it.
const CANNOT_START: u8 = 126;
/// The most that is printed at a time.
const PIECE: usize = 64 * 1024;
/// How long after a command's end more of its output is waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// While an engine is away.
const REST: Duration = Duration::from_secs(1);

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Whom it runs as: a user, its group and further groups by their numbers, separated by commas; empty for root.
    pub user: String,
    /// All its variables.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub dir: PathBuf,
    /// What it and its descendants are found by.
    pub tag: String,
    /// Whether a TERM is passed on to them; where it is not, whoever sends it sees to that.
    pub passes_on: bool,
}

/// `evenkeel enclosure run|hold --dir FOLDER`. Exit status of `run` is the command's.
pub fn main(role: &str, folder: PathBuf) -> ExitCode {
    let done = Held::of(&Folder::new(folder)).and_then(|held| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("start a runtime: {error}"))?;
        match role {
            "run" => runtime.block_on(run(&held.engine, &container::name(&held.instance))),
            _ => runtime.block_on(hold(&held)).map(|()| ExitCode::SUCCESS),
        }
    });
    done.unwrap_or_else(|why| {
        // Where the command's output would be.
        let _ = io::stdout().write_all(format!("evenkeel: failed to {why}\n").as_bytes());
        ExitCode::from(CANNOT_START)
    })
}

async fn run(engine: &Engine, container: &str) -> Result<ExitCode, String> {
    let mut term = signal(SignalKind::terminate()).map_err(|error| format!("hear signals: {error}"))?;
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).map_err(|error| format!("read what to run: {error}"))?;
    let order: Order = serde_json::from_slice(&text).map_err(|error| format!("read what to run: {error}"))?;
    let docker = engine.connect().await?;
    let say = |error: bollard::errors::Error| format!("run `{}`: {}", order.words.concat(), told(&error));
    let env = order.env.iter().map(|(name, value)| format!("{name}={value}"));
    let options = CreateExecOptions {
        // Its keeper there ends it when this ends.
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(
            [PROGRAM, "run", &order.tag, &order.user]
                .map(str::to_owned)
                .into_iter()
                .chain(order.words.clone())
                .collect(),
        ),
        env: Some(env.collect()),
        working_dir: Some(order.dir.to_string_lossy().into_owned()),
        ..CreateExecOptions::default()
    };
    let made = docker.create_exec(container, options).await.map_err(say)?;
    let options = StartExecOptions { output_capacity: Some(PIECE), ..StartExecOptions::default() };
    let begun = docker.start_exec(&made.id, Some(options)).await.map_err(say)?;
    let StartExecResults::Attached { mut output, input: _input } = begun else {
        return Err("run a command: the engine does not attach to it".into());
    };
    loop {
        tokio::select! {
            piece = output.next() => match piece {
                Some(Ok(LogOutput::StdErr { message })) => match ended(&message) {
                    Some(status) => {
                        drain(&mut output).await;
                        return Ok(ExitCode::from(status));
                    }
                    // It could not be started, and this is why.
                    None => print(&message),
                },
                Some(Ok(piece)) => print(&piece.into_bytes()),
                // The stream broke: what the command does, and how it ends, is still known.
                Some(Err(_)) | None => break,
            },
            _ = term.recv() => if order.passes_on {
                // Should it not arrive, the time that is granted ends, and the container with it.
                let _ = answer(&docker, container, &["signal", TERM, &order.tag], 0).await;
            },
        }
    }
    let ended = outlast(&docker, container, &made.id, &order, &mut term).await?;
    Ok(ExitCode::from(u8::try_from(ended).unwrap_or(u8::MAX)))
}

fn print(bytes: &[u8]) {
    let mut out = io::stdout();
    // Who reads it no more has ended, and us with it.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// How a command ended, from what its keeper says.
fn ended(said: &[u8]) -> Option<u8> {
    std::str::from_utf8(said).ok()?.strip_prefix(ENDED)?.trim_end().parse().ok()
}

/// What a command printed last may come after the word of its end. What it left running may go on printing, unheard.
async fn drain(output: &mut (impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin)) {
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(LAST_WORDS, output.next()).await {
        print(&piece.into_bytes());
    }
}

/// Waits for the end of a command whose output has ended before: the engine's stream broke.
async fn outlast(
    docker: &Docker,
    container: &str,
    exec: &str,
    order: &Order,
    term: &mut tokio::signal::unix::Signal,
) -> Result<i64, String> {
    loop {
        tokio::select! {
            ended = status(docker, exec) => match ended {
                Ok(ended) => return Ok(ended),
                Err(why) if docker.inspect_exec(exec).await.is_err() => return Err(why),
                Err(_) => {}
            },
            _ = term.recv() => if order.passes_on {
                // As above.
                let _ = answer(docker, container, &["signal", TERM, &order.tag], 0).await;
            },
        }
    }
}

/// What the agent says to let the container end once nobody is left in it.
pub const LEAVE: &[u8] = b"leave\n";

/// Lives as long as the container. It is told to leave by a line of its input, passes TERM on to everybody in the container,
/// and kills it when its input ends without a word, since the agent has then ended.
async fn hold(held: &Held) -> Result<(), String> {
    let mut term = signal(SignalKind::terminate()).map_err(|error| format!("hear signals: {error}"))?;
    let (said, mut words) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let mut text = [0; LEAVE.len()];
        let leaves = io::stdin().read_exact(&mut text).is_ok() && text == *LEAVE;
        // Its receiver ends with this process.
        let _ = said.blocking_send(leaves);
    });
    let container = container::name(&held.instance);
    let mut is_open = true;
    loop {
        let Ok(docker) = held.engine.connect().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let mut ended = std::pin::pin!(container::ended(&docker, &held.instance));
        loop {
            tokio::select! {
                ended = &mut ended => match ended {
                    Ok(()) => return Ok(()),
                    Err(_) => break,
                },
                _ = term.recv() => {
                    // Should it not arrive, the time that is granted ends, and the container with it.
                    let _ = answer(&docker, &container, &["signal", TERM], 0).await;
                }
                leaves = words.recv(), if is_open => {
                    is_open = false;
                    if leaves == Some(true) {
                        // One that has ended already is no error, and there is no other.
                        let _ = answer(&docker, &container, &["leave"], 0).await;
                    } else {
                        return container::kill(&docker, &held.instance).await;
                    }
                }
            }
        }
        tokio::time::sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_command_is_told_from_complaints() {
        let check = |said: &str, want: Option<u8>| assert_eq!(ended(said.as_bytes()), want, "{said}");
        check("exit 0\n", Some(0));
        check("exit 137\n", Some(137));
        check("exit 300\n", None);
        check("evenkeel: failed to run `x`: its interpreter or loader was not found\n", None);
    }
}
