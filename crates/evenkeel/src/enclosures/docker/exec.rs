//! What is done inside a container on the house's behalf: one small act of its init program, its input and its output.
//!
//! Owns how such an act is begun and how its end is learned. Must never be used for what the instance itself runs: that is
//! [`super::stand_in`]'s.

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use evenkeel_init::PROGRAM;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::StreamExt as _;

use super::engine::told;

/// The longest complaint.
const COMPLAINT: usize = 4096;
/// Bytes at a time.
const PIECE: usize = 64 * 1024;
/// How long the engine may take to know how something ended whose output has ended.
const KNOWN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Does one act, as root of the container. What it prints goes to `out`.
///
/// # Errors
/// Completes "failed to …": what the engine or the act itself says.
pub async fn act(
    docker: &Docker,
    container: &str,
    words: &[&str],
    input: Option<tokio::fs::File>,
    out: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
) -> Result<(), String> {
    let say = |why: &dyn std::fmt::Display| format!("{} in the instance: {why}", words.first().unwrap_or(&"act"));
    let options = CreateExecOptions {
        attach_stdin: Some(input.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some([PROGRAM].into_iter().chain(words.iter().copied()).collect()),
        user: Some("0:0"),
        working_dir: Some("/"),
        ..CreateExecOptions::default()
    };
    let made = docker.create_exec(container, options).await.map_err(|e| say(&told(&e)))?;
    let begun =
        docker.start_exec(&made.id, Some(StartExecOptions { output_capacity: Some(PIECE), ..Default::default() }));
    let StartExecResults::Attached { mut output, input: mut to } = begun.await.map_err(|e| say(&told(&e)))? else {
        return Err(say(&"the engine does not attach to it"));
    };
    let give = async {
        if let Some(mut from) = input {
            let mut piece = vec![0; PIECE];
            loop {
                match from.read(&mut piece).await? {
                    0 => break,
                    n => to.write_all(&piece[..n]).await?,
                }
            }
        }
        to.shutdown().await
    };
    let mut complaint = Vec::new();
    let take = async {
        while let Some(piece) = output.next().await {
            match piece.map_err(|e| told(&e))? {
                LogOutput::StdErr { message } => {
                    complaint.extend_from_slice(&message[..message.len().min(COMPLAINT - complaint.len())]);
                }
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    out(&message).map_err(|e| e.to_string())?;
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        Ok::<_, String>(())
    };
    // One that has ended early needs no more of its input, and says why in its complaint.
    let (_, taken) = tokio::join!(give, take);
    taken.map_err(|e| say(&e))?;
    match status(docker, &made.id).await? {
        0 => Ok(()),
        status => {
            let complaint = String::from_utf8_lossy(&complaint);
            Err(if complaint.trim().is_empty() { say(&format!("status {status}")) } else { say(&complaint.trim()) })
        }
    }
}

/// As [`act`], with what it prints, up to a limit of bytes.
///
/// # Errors
/// As [`act`]; or it prints more.
pub async fn answer(docker: &Docker, container: &str, words: &[&str], limit: usize) -> Result<String, String> {
    let mut text = Vec::new();
    let mut keep = |piece: &[u8]| {
        text.extend_from_slice(piece);
        if text.len() > limit { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    };
    act(docker, container, words, None, &mut keep).await?;
    Ok(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned())
}

/// The exit status of something whose output has ended.
///
/// # Errors
/// Completes "failed to …": the engine does not know it, or takes too long.
pub async fn status(docker: &Docker, exec: &str) -> Result<i64, String> {
    let until = Instant::now() + KNOWN;
    loop {
        let about = docker.inspect_exec(exec).await.map_err(|e| format!("learn how it ended: {}", told(&e)))?;
        match (about.running, about.exit_code) {
            (Some(false), Some(status)) => return Ok(status),
            _ if Instant::now() >= until => return Err("learn how it ended: the engine does not know".into()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
