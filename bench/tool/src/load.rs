//! The load: connections that each have one request in flight, at full speed or at a fixed rate.
//!
//! Owns what is counted as an answer and how late it was. At a fixed rate a request's time starts when it was due, not
//! when a connection was free for it: a proxy that stalls is charged for everyone it kept waiting.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustls::client::ClientConfig;

use super::count::{Histogram, Report};
use super::trust;
use super::wire::{Got, Wire};

/// What to do.
pub struct Plan<'a> {
    pub port: u16,
    /// The path to ask for, or `echo:BYTES`.
    pub path: &'a str,
    pub connections: usize,
    pub span: Duration,
    /// A connection per request.
    pub close: bool,
    /// Requests a second over all connections.
    pub rate: Option<f64>,
    /// Inside TLS, whose certificate is this one.
    pub tls: Option<&'a Path>,
}

struct Conn {
    wire: Wire,
    asked: Instant,
    busy: bool,
    head: Vec<u8>,
    /// Bytes of the answer still to come, once its head was read.
    left: Option<usize>,
    unsent: usize,
}

struct Load<'a> {
    plan: &'a Plan<'a>,
    epoll: OwnedFd,
    conns: Vec<Conn>,
    message: Vec<u8>,
    echo: Option<usize>,
    scratch: Vec<u8>,
    sealed: Vec<u8>,
    tls: Option<Arc<ClientConfig>>,
    answers: u64,
    errors: u64,
    late: Histogram,
}

pub fn run(plan: &Plan<'_>) -> io::Result<Report> {
    let echo = plan.path.strip_prefix("echo:").map(|n| n.parse().map_err(io::Error::other)).transpose()?;
    let last = if plan.close { "Connection: close\r\n" } else { "" };
    let message = match echo {
        Some(size) => vec![b'e'; size],
        None => format!(
            "GET {} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n{last}\r\n",
            plan.path
        )
        .into_bytes(),
    };
    let mut load = Load {
        plan,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        conns: Vec::new(),
        message,
        echo,
        scratch: vec![0; 256 * 1024],
        sealed: Vec::new(),
        tls: plan.tls.map(|certificate| trust::client(certificate, b"http/1.1")).transpose()?,
        answers: 0,
        errors: 0,
        late: Histogram::default(),
    };
    for index in 0..plan.connections {
        let wire = load.connect(index)?;
        let asked = Instant::now();
        load.conns.push(Conn { wire, asked, busy: false, head: Vec::new(), left: None, unsent: 0 });
    }
    load.drive()
}

impl Load<'_> {
    fn connect(&self, index: usize) -> io::Result<Wire> {
        let wire = Wire::connect(self.plan.port, self.tls.as_ref())?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &wire.fd, EventData::new_u64(index as u64), flags)?;
        Ok(wire)
    }

    fn drive(mut self) -> io::Result<Report> {
        let start = Instant::now();
        let end = start + self.plan.span;
        let mut free: VecDeque<usize> = (0..self.conns.len()).collect();
        let mut due = 0u64;
        let mut events: Vec<Event> = Vec::with_capacity(512);
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let mut wait = end - now;
            while let Some(index) = free.front().copied() {
                let asked = match self.plan.rate {
                    None => now,
                    Some(rate) => {
                        let at = start + Duration::from_secs_f64(due as f64 / rate);
                        if at > now {
                            wait = wait.min(at - now);
                            break;
                        }
                        at
                    }
                };
                due += 1;
                free.pop_front();
                self.ask(index, asked)?;
            }
            events.clear();
            let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
            let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait));
            let now = Instant::now();
            for event in &events {
                let index = event.data.u64() as usize;
                if self.hear(index, event.flags)? {
                    self.late.record(now - self.conns[index].asked);
                    self.answers += 1;
                    if self.plan.rate.is_some() {
                        free.push_back(index);
                    } else {
                        self.ask(index, now)?;
                    }
                }
            }
        }
        Ok(Report { answers: self.answers, errors: self.errors, span: start.elapsed(), late: self.late })
    }

    fn ask(&mut self, index: usize, asked: Instant) -> io::Result<()> {
        if self.plan.close && self.conns[index].left.is_some() {
            self.conns[index].wire = self.connect(index)?;
        }
        let conn = &mut self.conns[index];
        (conn.asked, conn.busy, conn.left, conn.unsent) = (asked, true, self.echo, self.message.len());
        conn.head.clear();
        push(conn, &self.message);
        Ok(())
    }

    /// True when the answer is complete.
    fn hear(&mut self, index: usize, flags: EventFlags) -> io::Result<bool> {
        let conn = &mut self.conns[index];
        if !conn.busy {
            return Ok(false);
        }
        push(conn, &self.message);
        if !flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            return Ok(false);
        }
        loop {
            let got = match conn.wire.recv(&mut self.scratch, &mut self.sealed) {
                Got::Nothing => return Ok(false),
                Got::Bytes(got) => got,
                Got::End => {
                    // The answer is lost: counted, and the connection replaced.
                    self.errors += 1;
                    self.conns[index].wire = self.connect(index)?;
                    self.ask(index, Instant::now())?;
                    return Ok(false);
                }
            };
            let mut body = got;
            if conn.left.is_none() {
                conn.head.extend_from_slice(&self.scratch[..got]);
                let Some((len, status, length)) = head(&conn.head) else { continue };
                self.errors += u64::from(status != b'2');
                conn.left = Some(length);
                body = conn.head.len() - len;
            }
            let left = conn.left.unwrap_or(0).saturating_sub(body);
            conn.left = Some(left);
            if left == 0 {
                conn.busy = false;
                return Ok(true);
            }
            if got < self.scratch.len() && !conn.wire.is_sealed() && !flags.intersects(EventFlags::RDHUP) {
                return Ok(false);
            }
        }
    }
}

fn push(conn: &mut Conn, message: &[u8]) {
    if conn.unsent > 0 {
        let from = message.len() - conn.unsent;
        conn.unsent -= conn.wire.send(&message[from..]);
    } else {
        conn.wire.flush();
    }
}

/// The head's length, the status' first digit and the body's length, once the head is complete.
fn head(bytes: &[u8]) -> Option<(usize, u8, usize)> {
    let len = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let name = b"\r\ncontent-length: ";
    let at = bytes[..len].windows(name.len()).position(|w| w.eq_ignore_ascii_case(name))? + name.len();
    let digits = bytes[at..len].iter().take_while(|b| b.is_ascii_digit());
    let length = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some((len, bytes[9], length))
}
