//! The load: connections that each have one request in flight, at full speed or at a fixed rate.
//!
//! Owns what is counted as an answer and how late it was. At a fixed rate a request's time starts when it was due, not
//! when a connection was free for it: a proxy that stalls is charged for everyone it kept waiting.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

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
}

/// What came of it.
pub struct Report {
    answers: u64,
    errors: u64,
    span: Duration,
    late: Histogram,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share| self.late.quantile(share);
        let Self { answers, errors, span, .. } = self;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        let seconds = span.as_secs_f64();
        write!(
            f,
            r#"{{"answers":{answers},"errors":{errors},"seconds":{seconds},"p50_us":{p50},"p99_us":{p99},"p999_us":{p999}}}"#
        )
    }
}

/// 32 buckets for each power of two of microseconds: within 3 %.
struct Histogram(Vec<u64>);

impl Histogram {
    fn record(&mut self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        let power = 63 - micros.leading_zeros() as u64;
        let sub = if power >= 5 { (micros >> (power - 5)) & 31 } else { (micros << (5 - power)) & 31 };
        self.0[(power * 32 + sub) as usize] += 1;
    }

    fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.0.iter().sum();
        let mut left = (total as f64 * share).ceil() as u64;
        for (index, count) in self.0.iter().enumerate() {
            if *count >= left && *count > 0 {
                let (power, sub) = (index / 32, index % 32);
                return 2f64.powi(power as i32) * (1.0 + sub as f64 / 32.0);
            }
            left -= count;
        }
        0.0
    }
}

struct Conn {
    fd: OwnedFd,
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
    answers: u64,
    errors: u64,
    late: Histogram,
}

pub fn run(plan: &Plan<'_>) -> io::Result<Report> {
    let echo = plan.path.strip_prefix("echo:").map(|n| n.parse().map_err(io::Error::other)).transpose()?;
    let last = if plan.close { "Connection: close\r\n" } else { "" };
    let message = match echo {
        Some(size) => vec![b'e'; size],
        None => format!("GET {} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n{last}\r\n", plan.path)
            .into_bytes(),
    };
    let mut load = Load {
        plan,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        conns: Vec::new(),
        message,
        echo,
        scratch: vec![0; 256 * 1024],
        answers: 0,
        errors: 0,
        late: Histogram(vec![0; 64 * 32]),
    };
    for index in 0..plan.connections {
        let fd = load.connect(index)?;
        let asked = Instant::now();
        load.conns.push(Conn { fd, asked, busy: false, head: Vec::new(), left: None, unsent: 0 });
    }
    load.drive()
}

impl Load<'_> {
    fn connect(&self, index: usize) -> io::Result<OwnedFd> {
        let fd = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        // On loopback this waits for the kernel only.
        rustix::net::connect(&fd, &SocketAddr::from(([127, 0, 0, 1], self.plan.port)))?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &fd, EventData::new_u64(index as u64), flags)?;
        Ok(fd)
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
            self.conns[index].fd = self.connect(index)?;
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
            let got = match rustix::net::recv(&conn.fd, &mut *self.scratch, RecvFlags::empty()) {
                Err(Errno::AGAIN) => return Ok(false),
                Ok((_, got)) if got > 0 => got,
                _ => {
                    // The answer is lost: counted, and the connection replaced.
                    self.errors += 1;
                    self.conns[index].fd = self.connect(index)?;
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
            if got < self.scratch.len() && !flags.intersects(EventFlags::RDHUP) {
                return Ok(false);
            }
        }
    }
}

fn push(conn: &mut Conn, message: &[u8]) {
    if conn.unsent > 0 {
        let from = message.len() - conn.unsent;
        if let Ok(took) = rustix::net::send(&conn.fd, &message[from..], SendFlags::NOSIGNAL) {
            conn.unsent -= took;
        }
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
