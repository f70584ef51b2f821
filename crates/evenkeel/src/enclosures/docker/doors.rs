//! What answers inside a container: the metadata at 169.254.169.254 and the API where it is on the node, over one stream
//! with our init program, which listens there. So it works on any engine, near or far, and needs no privilege here.
//!
//! Owns the connections on this side. Must never let one connection of an instance hold up its others for long, nor outlive
//! the enclosure. Next: [`crate::enclosures::metadata`], which answers.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use evenkeel_init::frames::{Frame, Frames, MOST};
use evenkeel_init::{CONNECTIONS, PROGRAM};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;

use super::engine::told;
use crate::drivers::Engine;
use crate::enclosures::metadata::{self, Door};

/// How long one who answers may take to read what was asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// After the stream has ended in some way: somebody in there may have killed the other end.
const REST: Duration = Duration::from_millis(500);
/// How long listening may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// Frames on their way in; each is at most [`MOST`] bytes.
const QUEUE: usize = 16;
/// Bytes at a time.
const PIECE: usize = 64 * 1024;

/// Somebody who answers, until this is dropped.
#[derive(Debug)]
pub struct Doors {
    _open: oneshot::Sender<()>,
}

/// Answers at these doors of a container, on a thread of its own; returns when it does.
///
/// # Errors
/// Completes "failed to …": nobody can listen there.
pub fn serve(engine: Engine, container: String, doors: Vec<Door>) -> Result<Doors, String> {
    let say = |why: &dyn std::fmt::Display| format!("answer in the instance: {why}");
    let (open, closed) = oneshot::channel();
    let (tell, heard) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| say(&e))?;
    let answer = move || {
        runtime.block_on(async {
            tokio::select! {
                () = answer(&engine, &container, &doors, tell) => {}
                _ = closed => {}
            }
        });
    };
    std::thread::Builder::new().name("doors".into()).spawn(answer).map_err(|e| say(&e))?;
    heard.recv_timeout(BEGIN).map_err(|e| say(&e))?.map(|()| Doors { _open: open })
}

/// One stream after the other, as long as the first began well.
async fn answer(engine: &Engine, container: &str, doors: &[Door], tell: Sender<Result<(), String>>) {
    let mut tell = Some(tell);
    loop {
        let ended = match engine.connect().await {
            Ok(docker) => hold(&docker, container, doors, &mut tell).await,
            Err(why) => Err(why),
        };
        if let Some((tell, why)) = tell.take().zip(ended.err()) {
            // Whoever waited for it has gone.
            let _ = tell.send(Err(why));
            return;
        }
        sleep(REST).await;
    }
}

/// One stream, from its beginning to its end.
async fn hold(
    docker: &Docker,
    container: &str,
    doors: &[Door],
    tell: &mut Option<Sender<Result<(), String>>>,
) -> Result<(), String> {
    let say = |error: bollard::errors::Error| format!("answer in the instance: {}", told(&error));
    let addresses: Vec<String> = doors.iter().map(|door| door.at.to_string()).collect();
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some([PROGRAM, "doors"].into_iter().chain(addresses.iter().map(String::as_str)).collect()),
        user: Some("0:0"),
        working_dir: Some("/"),
        ..CreateExecOptions::default()
    };
    let made = docker.create_exec(container, options).await.map_err(say)?;
    let options = StartExecOptions { output_capacity: Some(PIECE), ..StartExecOptions::default() };
    let begun = docker.start_exec(&made.id, Some(options)).await.map_err(say)?;
    let StartExecResults::Attached { mut output, mut input } = begun else {
        return Err("answer in the instance: the engine does not attach to it".into());
    };
    let (to_peers, mut from_us) = mpsc::channel::<Frame>(QUEUE);
    let mut hall = Hall { doors, near: HashMap::new(), answering: JoinSet::new(), to_peers };
    let mut frames = Frames::default();
    loop {
        tokio::select! {
            frame = from_us.recv() => {
                let Some(frame) = frame else { return Ok(()) };
                if let Frame::Gone { connection } = &frame {
                    hall.near.remove(connection);
                }
                let sent = async { input.write_all(&frame.encoded()).await?; input.flush().await };
                sent.await.map_err(|error| format!("answer in the instance: {error}"))?;
            }
            piece = output.next() => match piece {
                None => return Err("answer in the instance: who listens there has ended".into()),
                Some(Err(error)) => return Err(say(error)),
                Some(Ok(LogOutput::StdErr { message })) => {
                    return Err(format!("answer in the instance: {}", String::from_utf8_lossy(&message).trim()));
                }
                Some(Ok(piece)) => {
                    frames.push(&piece.into_bytes());
                    loop {
                        match frames.next_frame() {
                            Ok(Some(frame)) => {
                                if let Some(tell) = tell.take() {
                                    // The first frame says that it listens. Whoever waited for it has gone.
                                    let _ = tell.send(Ok(()));
                                }
                                hall.hear(frame).await;
                            }
                            Ok(None) => break,
                            Err(_) => return Err("answer in the instance: what came is no frame".into()),
                        }
                    }
                }
            },
            Some(_) = hall.answering.join_next() => {}
        }
    }
}

/// The connections of one stream.
struct Hall<'a> {
    doors: &'a [Door],
    /// Where bytes of each go.
    near: HashMap<u32, WriteHalf<DuplexStream>>,
    answering: JoinSet<()>,
    to_peers: mpsc::Sender<Frame>,
}

impl Hall<'_> {
    async fn hear(&mut self, frame: Frame) {
        match frame {
            Frame::Open { connection, door } => {
                let Some(door) = self.doors.get(usize::from(door)) else { return };
                // Ours there keeps to the limit; root of the instance may speak in its place. Each has two tasks.
                if self.near.len() >= CONNECTIONS || self.answering.len() >= 2 * CONNECTIONS {
                    return;
                }
                let (ours, theirs) = tokio::io::duplex(PIECE);
                let (from, to) = tokio::io::split(ours);
                self.near.insert(connection, to);
                self.answering.spawn(metadata::pass(door.clone(), theirs));
                self.answering.spawn(carry(from, connection, self.to_peers.clone()));
            }
            Frame::Bytes { connection, bytes } => {
                let Some(to) = self.near.get_mut(&connection) else { return };
                if !matches!(timeout(PATIENCE, to.write_all(&bytes)).await, Ok(Ok(()))) {
                    // Who answers has ended, which the other direction tells, or is stuck.
                    self.near.remove(&connection);
                }
            }
            Frame::End { connection } => {
                if let Some(mut to) = self.near.remove(&connection) {
                    // One that has ended is no error.
                    let _ = to.shutdown().await;
                }
            }
            Frame::Gone { connection } => drop(self.near.remove(&connection)),
        }
    }
}

/// From who answers to the peer inside.
async fn carry(mut from: ReadHalf<DuplexStream>, connection: u32, to: mpsc::Sender<Frame>) {
    let mut piece = vec![0; MOST];
    loop {
        let frame = match from.read(&mut piece).await {
            Ok(n) if n > 0 => Frame::Bytes { connection, bytes: piece[..n].to_vec() },
            _ => Frame::End { connection },
        };
        let more = matches!(frame, Frame::Bytes { .. });
        if to.send(frame).await.is_err() || !more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_opens_connections_without_end_gets_no_more_than_the_limit() {
        let at = "169.254.169.254:80".parse().unwrap();
        let doors = metadata::doors("http://127.0.0.1:1/metadata/abc", at, std::path::Path::new("/"));
        let (to_peers, _from_us) = mpsc::channel(QUEUE);
        let mut hall = Hall { doors: &doors, near: HashMap::new(), answering: JoinSet::new(), to_peers };
        for connection in 1..5000 {
            hall.hear(Frame::Open { connection, door: 0 }).await;
            // Said to be over at once, while who answers it is still there.
            if connection % 2 == 0 {
                hall.hear(Frame::Gone { connection }).await;
            }
        }
        assert!(!hall.near.is_empty() && hall.near.len() <= CONNECTIONS, "{}", hall.near.len());
        assert!(hall.answering.len() <= 2 * CONNECTIONS, "{}", hall.answering.len());
    }
}
