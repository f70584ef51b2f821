//! One sender: takes the next request that is due, sends it, and sees what becomes of it.
//!
//! Owns connections and the one rule of replacing them: only one that the server closed between two requests, before
//! anything of the next was written, is replaced in silence. Must never send a request twice.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

use super::Course;
use super::answer::{self, Answer, Origin};
use super::tally::{Failure, Loss, Tally};

/// Bodies remembered by each sender.
const KNOWN: usize = 16;

/// A lost request: how, and in words.
type Lost = (Loss, String);

/// Sends until the traffic ends.
pub(super) fn run(course: &Course, tally: &Mutex<Tally>) {
    let mut sender = Sender { course, tally, idle: HashMap::new(), known: Vec::new() };
    while let Some((number, due)) = next(course) {
        sender.send(number, due);
    }
}

/// Waits for the next request that nobody else took; `None` when the traffic ended before it was due.
fn next(course: &Course) -> Option<(u64, Duration)> {
    let number = course.next.fetch_add(1, Ordering::Relaxed);
    let due = Duration::from_secs_f64(number as f64 / f64::from(course.plan.rate.max(1)));
    loop {
        if course.ended.load(Ordering::Acquire) {
            return None;
        }
        let Some(wait) = due.checked_sub(course.began.elapsed()).filter(|wait| !wait.is_zero()) else {
            return Some((number, due));
        };
        // Whoever ends the traffic wakes us.
        std::thread::park_timeout(wait);
    }
}

struct Sender<'a> {
    course: &'a Course,
    tally: &'a Mutex<Tally>,
    /// One idle connection an address, so that each address gets its exact share of the requests.
    idle: HashMap<SocketAddr, Connection>,
    /// Bodies that came before and who they were from: reading the same few over and over would cost more than
    /// sending.
    known: Vec<(Vec<u8>, Origin)>,
}

struct Connection {
    stream: TcpStream,
    /// Requests sent on it.
    used: u32,
    buffer: Vec<u8>,
}

/// What is asked, and what its answer must be.
struct Ask<'a> {
    bytes: &'a [u8],
    /// The body that must come back.
    echo: Option<&'a [u8]>,
}

impl Sender<'_> {
    fn send(&mut self, number: u64, due: Duration) {
        let plan = &self.course.plan;
        let post = plan.post.as_ref().filter(|post| number.is_multiple_of(u64::from(post.every.max(1))));
        let ask = match post {
            Some(post) => Ask { bytes: &self.course.post, echo: Some(&post.body) },
            None => Ask { bytes: &self.course.get, echo: None },
        };
        let addresses = plan.addresses.load();
        let to = addresses.get((number % addresses.len().max(1) as u64) as usize).copied();
        self.idle.retain(|address, _| addresses.contains(address));
        self.count(Tally::sent);
        let began = self.course.began.elapsed();
        let end = match to {
            Some(to) => self.exchange(to, &ask),
            None => Err((Loss::NoAddress, "there is no address to send to".to_owned())),
        };
        let now = self.course.began.elapsed();
        let end = end.and_then(|answer| self.judge(&ask, answer));
        self.count(|tally| match end {
            Ok(origin) => tally.answered(origin.map(|at| &self.known[at].1), due, began, now),
            Err((loss, why)) => {
                tally.lost(Failure { loss, why, to, idempotent: ask.echo.is_none(), sent: began, lost: now });
            }
        });
    }

    fn exchange(&mut self, to: SocketAddr, ask: &Ask<'_>) -> Result<Answer, Lost> {
        let plan = &self.course.plan;
        let deadline = Instant::now() + plan.timeout;
        let mut connection = match self.idle.remove(&to) {
            Some(idle) if !closed_cleanly(&idle.stream) => idle,
            _ => {
                let connection = connect(to, plan.timeout)?;
                self.count(Tally::connected);
                connection
            }
        };
        let stream = &mut connection.stream;
        stream.write_all(ask.bytes).map_err(|error| broken("was written", &error, plan.timeout))?;
        let answer = read(stream, &mut connection.buffer, deadline, plan.timeout)?;
        connection.used += 1;
        if !answer.close && plan.requests_per_connection.is_none_or(|most| connection.used < most) {
            self.idle.insert(to, connection);
        }
        Ok(answer)
    }

    /// Who answered, as a place in `known`, or why the request is lost all the same.
    fn judge(&mut self, ask: &Ask<'_>, answer: Answer) -> Result<Option<usize>, Lost> {
        if !(200..300).contains(&answer.status) {
            return Err((Loss::Status(answer.status), format!("the answer's status is {}", answer.status)));
        }
        if let Some(echo) = ask.echo {
            if answer.body != echo {
                return Err((Loss::WrongBody, "the body that came back is not the one that was sent".into()));
            }
            return Ok(None);
        }
        if let Some(at) = self.known.iter().position(|(body, _)| *body == answer.body) {
            return Ok(Some(at));
        }
        match answer.origin() {
            None if self.course.plan.identity => {
                Err((Loss::WrongBody, "the answer does not say which instance it is from".into()))
            }
            None => Ok(None),
            Some(origin) => {
                if self.known.len() == KNOWN {
                    self.known.remove(0);
                }
                self.known.push((answer.body, origin));
                Ok(Some(self.known.len() - 1))
            }
        }
    }

    fn count(&self, with: impl FnOnce(&mut Tally)) {
        with(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn connect(to: SocketAddr, timeout: Duration) -> Result<Connection, Lost> {
    let opened = TcpStream::connect_timeout(&to, timeout).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Connection { stream, used: 0, buffer: Vec::with_capacity(1024) })
    });
    opened.map_err(|error| {
        let loss = match error.kind() {
            ErrorKind::ConnectionRefused => Loss::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Loss::Timeout,
            _ => Loss::NoConnection,
        };
        (loss, format!("no connection: {error}"))
    })
}

/// Whether the server ended an idle connection in order. One that it reset, or wrote to unasked, is not replaced: the
/// request sent on it is lost, and says why.
fn closed_cleanly(stream: &TcpStream) -> bool {
    matches!(recv(stream, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((0, _)))
}

fn broken(when: &str, error: &io::Error, timeout: Duration) -> Lost {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => (Loss::Timeout, format!("no answer within {timeout:?}")),
        _ => (Loss::Reset, format!("the connection broke while it {when}: {error}")),
    }
}

fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, deadline: Instant, timeout: Duration) -> Result<Answer, Lost> {
    buffer.clear();
    let mut shortened = false;
    let mut chunk = [0; 4096];
    loop {
        let count = match stream.read(&mut chunk) {
            Ok(0) => {
                return Err((Loss::Cut, format!("the connection ended after {} bytes of the answer", buffer.len())));
            }
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(&format!("had read {} bytes", buffer.len()), &error, timeout)),
        };
        buffer.extend_from_slice(&chunk[..count]);
        match answer::parse(buffer) {
            Ok(Some(answer)) => {
                if shortened {
                    stream.set_read_timeout(Some(timeout)).map_err(|e| broken("was kept", &e, timeout))?;
                }
                return Ok(answer);
            }
            Ok(None) => {}
            Err(why) => return Err((Loss::Malformed, format!("the answer is malformed: {why}"))),
        }
        // The rest may take what is left of the time, not all of it again.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err((Loss::Timeout, format!("{} bytes, but no whole answer, within {timeout:?}", buffer.len())));
        }
        stream.set_read_timeout(Some(left)).map_err(|e| broken("was read", &e, timeout))?;
        shortened = true;
    }
}
