//! The prober's thread: one readiness loop over all checks.
//!
//! Owns the sockets. Must never judge: [`super::talk`] says what an answer means, [`super::rounds`] who is next,
//! [`evenkeel_core::health`] what follows. Reads the clock before and after each sleep, not per check.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenkeel_core::health::{Cause, Health, Transition};
use evenkeel_core::time::Timestamp;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use rustls::ClientConfig;

use super::pins::Pins;
use super::rounds::{Published, Rounds};
use super::talk::{Outcome, Talk};
use super::{Shared, Verdict};
use crate::target::{Board, TargetKey};

/// Events taken in one turn.
const EVENTS: usize = 512;

/// How long to wait before trying again when the machine is out of descriptors, ports or memory.
const SHORTAGE: Duration = Duration::from_millis(100);

/// The event that says something came into the inbox.
const WAKE: u64 = u64::MAX;

/// What the loop needs from outside.
pub struct Parts<F> {
    /// Where health is written.
    pub board: Arc<Board>,
    /// Inbox and verdicts.
    pub shared: Arc<Shared>,
    /// Told of every transition.
    pub tell: F,
    /// How SSL and HTTPS checks speak.
    pub settings: Arc<ClientConfig>,
}

/// The loop's own state.
pub struct Drive<F> {
    parts: Parts<F>,
    epoll: OwnedFd,
    rounds: Rounds<Call>,
    clock: Clock,
    scratch: Vec<u8>,
    serial: u32,
    pins: Pins,
    /// Nothing is started before then, because the machine ran out of something.
    short_until: Timestamp,
}

/// A check on the wire.
struct Call {
    socket: OwnedFd,
    talk: Talk,
    connected: bool,
    /// Tells this check's events from those of the one before in the same slot.
    serial: u32,
}

/// Steady time as a [`Timestamp`]: it starts at the wall clock's and never goes back.
struct Clock {
    start: Instant,
    wall_at_start: Timestamp,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now(), wall_at_start: wall() }
    }

    fn now(&self) -> Timestamp {
        self.wall_at_start.plus(self.start.elapsed())
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl<F: FnMut(TargetKey, Transition)> Drive<F> {
    /// Everything that can fail is done here, before the thread starts.
    pub fn new(parts: Parts<F>) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &parts.shared.wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self {
            parts,
            epoll,
            rounds: Rounds::default(),
            clock: Clock::new(),
            scratch: vec![0; 16 * 1024],
            serial: 0,
            pins: Pins::default(),
            short_until: Timestamp(0),
        })
    }

    /// Turns until stopped.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now = self.clock.now();
            if self.take_inbox(now) {
                return;
            }
            for slot in self.rounds.expire(now) {
                self.time_out(slot, now);
            }
            self.start_some(now);
            let timeout = self.sleep(now);
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Nothing else can go wrong with an epoll of our own; if it does, do not spin.
                Err(_) => std::thread::sleep(SHORTAGE),
            }
            let now = self.clock.now();
            for event in &events {
                if event.data.u64() == WAKE {
                    let _ = rustix::io::read(&self.parts.shared.wake, &mut [0; 8]);
                } else {
                    self.hear(event.data.u64(), event.flags, now);
                }
            }
        }
    }

    /// True when asked to stop.
    fn take_inbox(&mut self, now: Timestamp) -> bool {
        let inbox = std::mem::take(&mut *self.parts.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        self.rounds.expect(inbox.known.iter().map(|(key, verdict)| (key.clone(), verdict.known())));
        let mut known: BTreeMap<_, _> = inbox.known.into_iter().collect();
        // Every snapshot in its order: a target that went and came back in between is a new one.
        for routes in inbox.routes {
            let published = self.rounds.publish(&routes, now);
            self.pins.retain(&routes);
            self.record(published, &mut known);
        }
        for key in inbox.suspects {
            self.rounds.suspect(&key, now);
        }
        inbox.stop
    }

    fn record(&mut self, published: Published, known: &mut BTreeMap<TargetKey, Verdict>) {
        let at = wall();
        let mut verdicts = self.parts.shared.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in published.removed {
            verdicts.remove(&key);
        }
        for key in published.added {
            self.parts.board.state(&key).set_health(Health::Initial);
            verdicts.insert(key, Verdict { health: Health::Initial, since: at, why: None, provisional_until: None });
        }
        for key in published.resumed {
            if let Some(verdict) = known.remove(&key) {
                self.parts.board.state(&key).set_health(verdict.health);
                verdicts.insert(key, verdict);
            }
        }
        drop(verdicts);
        for (key, transition) in published.moved {
            self.parts.board.state(&key).set_health(Health::Initial);
            if let Some(transition) = transition {
                self.tell(key, transition, None);
            }
        }
    }

    fn start_some(&mut self, now: Timestamp) {
        if now < self.short_until {
            return;
        }
        while let Some(slot) = self.rounds.next() {
            let Some(watch) = self.rounds.watch(slot) else { continue };
            self.serial = self.serial.wrapping_add(1);
            let (serial, address) = (self.serial, watch.address);
            let pinned = self.pins.settings(&watch.balancer, address.port());
            let settings = pinned.as_ref().map_or(Ok(&self.parts.settings), |pinned| pinned.as_ref());
            let opened = settings
                .map_err(|fault| Refused::Target(Cause::Handshake { error: fault.to_string() }))
                .and_then(|settings| {
                    let asked = &watch.balancer.health_check.target;
                    Talk::new(asked, address, settings).map_err(Refused::Target)
                })
                .and_then(|talk| self.open(slot, serial, address).map(|socket| (socket, talk)));
            match opened {
                Ok((socket, talk)) => {
                    self.rounds.started(slot, Call { socket, talk, connected: false, serial }, now);
                }
                Err(Refused::Target(cause)) => {
                    self.rounds.skipped(slot, now);
                    self.finish(slot, Err(cause), now);
                }
                Err(Refused::Ports) => self.rounds.skipped(slot, now),
                Err(Refused::Machine) => {
                    // Says nothing about the target.
                    self.rounds.postponed(slot);
                    self.short_until = now.plus(SHORTAGE);
                    return;
                }
            }
        }
    }

    fn open(&self, slot: usize, serial: u32, address: std::net::SocketAddr) -> Result<OwnedFd, Refused> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None).map_err(refused)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(error) => return Err(refused(error)),
        }
        let data = epoll::EventData::new_u64(u64::from(serial) << 32 | slot as u64);
        let wanted = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, data, wanted).map_err(refused)?;
        Ok(socket)
    }

    fn hear(&mut self, data: u64, flags: epoll::EventFlags, now: Timestamp) {
        let (slot, serial) = ((data & 0xffff_ffff) as usize, (data >> 32) as u32);
        let Some(call) = self.rounds.call(slot) else { return };
        // An event of a check that ended in this very turn.
        if call.serial != serial {
            return;
        }
        if let Some(result) = advance(call, flags, &mut self.scratch) {
            self.finish(slot, result, now);
        }
    }

    fn time_out(&mut self, slot: usize, now: Timestamp) {
        let Some(within) = self.rounds.watch(slot).map(|watch| watch.balancer.health_check.timeout) else { return };
        let connected = self.rounds.call(slot).is_some_and(|call| call.connected);
        let cause = if connected { Cause::NoAnswer { within } } else { Cause::NoConnection { within } };
        self.finish(slot, Err(cause), now);
    }

    /// Ends a check and writes down what follows. The socket is closed with a FIN, as a client's would be: a reset
    /// right after the connection shows up as an error in applications, and some end at it. The TIME_WAIT that we keep
    /// costs no port, because ports are counted per target: at an interval of 5 s a target has 12 of 28,000.
    fn finish(&mut self, slot: usize, result: Result<(), Cause>, now: Timestamp) {
        let failure = result.as_ref().err().cloned();
        let transition = self.rounds.finished(slot, result, now);
        let Some(watch) = self.rounds.watch(slot) else { return };
        let state = self.parts.board.state(&watch.key);
        // Written every time: should the road have begun a new record of this target, it learns the verdict here.
        state.set_health(watch.tracker.health());
        if failure.is_none() && !watch.tracker.is_suspect() {
            state.trust();
        }
        let key = watch.key.clone();
        match (transition, failure) {
            (Some(transition), _) => {
                let provisional = watch.tracker.provisional_for(now);
                self.tell(key, transition, provisional);
            }
            // Who waits for a first verdict is helped by what the last check showed.
            (None, Some(cause)) => {
                let mut verdicts = self.parts.shared.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(verdict) = verdicts.get_mut(&key).filter(|verdict| verdict.health != Health::InService) {
                    verdict.why = Some(cause);
                }
            }
            (None, None) => {}
        }
    }

    fn tell(&mut self, key: TargetKey, mut transition: Transition, provisional: Option<Duration>) {
        // The schedule runs on steady time; records carry the wall clock's.
        transition.at = wall();
        let verdict = Verdict {
            health: transition.to,
            since: transition.at,
            why: Some(transition.why.clone()),
            provisional_until: provisional.map(|left| transition.at.plus(left)),
        };
        self.parts.shared.verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), verdict);
        let tell = &mut self.parts.tell;
        // Foreign code: its panic must not end all checking.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(key, transition))).is_err() {
            self.parts.shared.panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn sleep(&self, now: Timestamp) -> Option<Timespec> {
        let short = (self.rounds.has_queue() && self.short_until > now).then_some(self.short_until);
        let at = [self.rounds.wake_at(), short].into_iter().flatten().min()?;
        Timespec::try_from(at.since(now)).ok()
    }
}

/// Why a check did not start.
enum Refused {
    /// The target's fault: a failure.
    Target(Cause),
    /// This machine's, and every other check's too: no result, and a pause.
    Machine,
    /// This machine has no port left for this target: no result, and nobody else's trouble.
    Ports,
}

fn refused(error: Errno) -> Refused {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC => Refused::Machine,
        Errno::ADDRNOTAVAIL | Errno::AGAIN => Refused::Ports,
        other => Refused::Target(cause(other)),
    }
}

fn cause(error: Errno) -> Cause {
    match error {
        Errno::CONNREFUSED => Cause::Refused,
        Errno::CONNRESET | Errno::PIPE => Cause::Reset,
        other => Cause::Network { error: std::io::Error::from(other).to_string() },
    }
}

/// As far as the socket goes without waiting. Bounded: every conversation ends after a bounded number of bytes.
fn advance(call: &mut Call, flags: epoll::EventFlags, scratch: &mut [u8]) -> Outcome {
    use epoll::EventFlags as Flag;
    if !call.connected {
        match sockopt::socket_error(&call.socket) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => return Some(Err(cause(error))),
        }
        if !flags.intersects(Flag::OUT | Flag::ERR | Flag::HUP) {
            return None;
        }
        call.connected = true;
        if let Some(result) = call.talk.connected() {
            return Some(result);
        }
    }
    loop {
        // A target may answer without reading all: what it said counts, so an error in sending ends nothing yet.
        let broken = send_pending(call).is_err();
        match rustix::io::read(&call.socket, &mut *scratch) {
            Ok(0) => return Some(call.talk.closed()),
            Ok(count) => {
                if let Some(result) = call.talk.received(&scratch[..count]) {
                    // The end of a handshake, or TLS's goodbye: sent if there is room.
                    let _ = send_pending(call);
                    return Some(result);
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if broken => return Some(Err(Cause::Reset)),
            Err(Errno::AGAIN) => return None,
            Err(error) => return Some(Err(cause(error))),
        }
    }
}

fn send_pending(call: &mut Call) -> Result<(), Errno> {
    while !call.talk.pending().is_empty() {
        match rustix::net::send(&call.socket, call.talk.pending(), SendFlags::NOSIGNAL) {
            Ok(count) => call.talk.sent(count),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
