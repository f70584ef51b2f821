//! From one road to the next: giving way, taking over, and what is owed to the elders.
//!
//! Owns the moment of the change and who may still change what. Must never let two roads take in changes at once: the old
//! one stops at the first word of the new one, and goes on only when the hand-over failed. The conversation itself:
//! [`crate::link::handover`].

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{Shared, TICK, spawn};
use crate::link::handover::{self, Legacy, Successor};
use crate::link::{FromRoad, ToRoad, difference, elders, frame};
use crate::sys::say;

/// How long the workers of a new road may take to drive by what they were given.
const SETTLING: Duration = Duration::from_secs(10);

impl Shared {
    /// Drives by what another road left, without a word to it yet. Returns the lock, which is not this road's before that.
    pub(super) fn begin(&self, legacy: Legacy) -> anyhow::Result<OwnedFd> {
        let Legacy { routes, verdicts, estate, lock } = legacy;
        let Some(lock) = lock else { bail!("the road that is to be replaced holds no lock") };
        self.road.inherit(estate).context("failed to take over the listeners")?;
        let board = self.road.board();
        // Before anybody is accepted: nobody waits for checks that others have made.
        verdicts.iter().for_each(|(key, verdict)| board.state(key).set_health(verdict.health));
        let routes = Arc::new(routes);
        let mut desk = self.desk();
        let opened = self.secrets.opened(&routes);
        desk.bind_faults = self.road.publish(Arc::clone(&opened));
        self.prober.take_over(opened, verdicts);
        desk.routes = routes;
        drop(desk);
        if !self.road.settled(SETTLING) {
            bail!("the workers did not start within {} s", SETTLING.as_secs());
        }
        Ok(lock)
    }

    /// Takes in those who want to replace this road, one after the other.
    pub(super) fn receive_heirs(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => {
                    say(&format!("road: failed to hear who would replace it: {error}"));
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            match handover::answer(stream, |heir| self.bequeath(heir), || self.give_way()) {
                Ok(heir) => {
                    self.retire(&heir);
                    return;
                }
                Err(kept) => {
                    say(&format!("road: process {} goes on: {kept}", std::process::id()));
                    self.desk().handing = false;
                    self.bell.notify_all();
                }
            }
        }
    }

    /// Everything that the next road needs; from now on nothing changes.
    fn bequeath(&self, heir: &Successor) -> Result<Legacy, String> {
        let mut desk = self.desk();
        if desk.leave.is_some() {
            return Err("it is told to end".into());
        }
        say(&format!("road: process {} with build {} wants to take over", heir.pid, heir.build));
        desk.handing = true;
        let routes = (*desk.routes).clone();
        drop(desk);
        let told = |error: io::Error| error.to_string();
        let estate = self.road.estate().map_err(told)?;
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = lock.as_ref().ok_or("it holds no lock")?.share().map_err(told)?;
        Ok(Legacy { routes, verdicts: self.prober.verdicts(), estate, lock: Some(lock) })
    }

    /// The last moment to keep everything.
    fn give_way(self: &Arc<Self>) -> Result<(), String> {
        if self.desk().leave.is_some() {
            return Err("it is told to end".into());
        }
        let name = elders::socket_name(std::process::id());
        let door = self.place.bind(&name).map_err(|error| format!("failed to bind `{name}`: {error}"))?;
        let shared = Arc::clone(self);
        // Whoever comes before this road has retired is sent away, and comes again.
        spawn("elder", move || shared.receive_offices(&door, true)).map_err(|error| format!("{error:#}"))
    }

    fn retire(&self, heir: &Successor) {
        let mut desk = self.desk();
        (desk.retired, desk.handing) = (true, false);
        desk.office += 1;
        let hurried = desk.leave;
        drop(desk);
        if let Some(lock) = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take() {
            lock.leave();
        }
        self.road.retire(self.options.drain);
        if let Some(drain) = hurried {
            self.road.hurry(drain);
        }
        self.bell.notify_all();
        let drain = self.options.drain.as_secs();
        say(&format!("road: process {} took over; what is in flight has {drain} s", heir.pid));
    }

    /// Looks for roads that were replaced and have not ended.
    pub(super) fn find_elders(self: &Arc<Self>) {
        match elders::find(&self.place) {
            Ok(names) => names.into_iter().for_each(|name| self.attend(name)),
            Err(error) => say(&format!("road: failed to look for roads that were replaced: {error}")),
        }
    }

    /// Keeps an elder up to date and takes in what it reports, until it has ended. One that is dead is forgotten.
    fn attend(self: &Arc<Self>, name: String) {
        if !self.elders.add(&name) {
            return;
        }
        let shared = Arc::clone(self);
        let started = spawn("elder", move || {
            // Right after the change it sends everybody away for a moment.
            while shared.converse(&name).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            shared.elders.remove(&name);
            // Whoever has taken over from this road meanwhile needs it.
            if !shared.desk().retired {
                let _ = std::fs::remove_file(shared.place.dir().join(&name));
            }
            shared.nudge();
        });
        if let Err(error) = started {
            say(&format!("road: {error:#}"));
        }
    }

    /// One connection to an elder; an error where it was not one.
    fn converse(self: &Arc<Self>, name: &str) -> io::Result<()> {
        let mut stream = match self.place.connect_to(name) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(());
            }
            other => other?,
        };
        let FromRoad::Hello { .. } = frame::read(&mut stream)? else {
            return Err(io::Error::other("it does not greet"));
        };
        let (writer, shared, at) = (stream.try_clone()?, Arc::clone(self), name.to_owned());
        spawn("to-elder", move || shared.instruct(writer, &at)).map_err(io::Error::other)?;
        while let Ok(message) = frame::read::<FromRoad>(&mut stream) {
            if let FromRoad::Report(report) = message {
                self.elders.heard(name, report);
                self.nudge();
            }
        }
        Ok(())
    }

    /// Sends an elder what this road drives by, and its own end, until the elder has ended.
    fn instruct(&self, mut to: UnixStream, name: &str) {
        let mut sent = None;
        let mut left = false;
        loop {
            let mut desk = self.desk();
            while sent.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &desk.routes)) && (left || desk.leave.is_none()) {
                if !self.elders.is_there(name) {
                    return;
                }
                desk = self.bell.wait_timeout(desk, TICK).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (routes, leave) = (Arc::clone(&desk.routes), desk.leave.filter(|_| !left));
            drop(desk);
            let mut wrote = frame::write(&mut to, &difference(sent.as_deref(), &routes));
            sent = Some(routes);
            if let Some(drain) = leave {
                left = true;
                let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
                wrote = wrote.and_then(|()| frame::write(&mut to, &ToRoad::Leave { drain_ms }));
            }
            if wrote.is_err() {
                // It has ended, or it does not listen: whoever reads from it finds out.
                drop(to.shutdown(std::net::Shutdown::Both));
                return;
            }
        }
    }

    /// A road that is told to end does so after its elders, who were told the same.
    pub(super) fn outlive_elders(&self, drain: Duration) {
        let until = Instant::now() + drain + TICK;
        while !self.elders.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
