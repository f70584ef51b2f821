//! Looks at the road from outside, past the office: the table of its connections.
//!
//! Owns a socket beside the link's (`look.sock`): one question, one answer, and the connection is over. Must never stop
//! the road: questions are answered one at a time, by a thread of its own, and a slow asker is cut off.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use evenkeel_proxy::connections::Connections;
use evenkeel_proxy::road::Road;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame;
use super::road::Place;
use crate::sys::say;

/// Rows of one worker at most, whatever is asked for.
pub const ROWS_LIMIT: usize = 10_000;
/// How long workers may take to answer, and the asker to ask and to read.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The connections that the road holds.
    Connections {
        /// Rows of one worker at most; [`ROWS_LIMIT`] where it is more.
        limit: usize,
    },
    /// What it was started with, as [`super::RoadOptions::arguments`].
    Options,
}

/// Answers until the process ends.
pub(super) fn answer_all(listener: &UnixListener, road: &impl AsRef<Road>, options: &[String]) {
    for stream in listener.incoming() {
        let answered = stream.and_then(|stream| answer(stream, road.as_ref(), options));
        if let Err(error) = answered
            && !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
            )
        {
            say(&format!("road: failed to answer a look: {error}"));
            // Without descriptors the next one would fail at once, too.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn answer(mut stream: UnixStream, road: &Road, options: &[String]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match frame::read(&mut stream)? {
        Question::Connections { limit } => {
            frame::write(&mut stream, &road.connections(limit.min(ROWS_LIMIT), PATIENCE))
        }
        Question::Options => frame::write(&mut stream, &options),
    }
}

/// What the road that serves here was started with, as [`super::RoadOptions::arguments`].
///
/// # Errors
/// As [`connections`].
pub fn options(place: &Place) -> io::Result<Vec<String>> {
    ask(place, Question::Options)
}

/// The connections of the road that serves here, at most `limit` of each of its workers.
///
/// # Errors
/// The system's: `NotFound` or `ConnectionRefused` when no road runs; `InvalidData` from a road that is not understood.
pub fn connections(place: &Place, limit: usize) -> io::Result<Connections> {
    ask(place, Question::Connections { limit })
}

fn ask<T: DeserializeOwned>(place: &Place, question: Question) -> io::Result<T> {
    let mut stream = place.connect_to("look.sock")?;
    stream.set_read_timeout(Some(3 * PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    frame::write(&mut stream, &question)?;
    frame::read(&mut stream)
}
