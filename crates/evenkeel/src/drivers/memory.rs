//! Instances that run nowhere: the driver of simulations and tests. Owns virtual processes whose time, deaths and
//! failures come only from explicit calls, so that a run can be repeated from its seed.
//!
//! Must never start a thread, read a clock or touch a file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::InstanceStatus;
use evenkeel_core::time::Timestamp;

use super::{CONSOLE_LIMIT, Driver, DriverError, Exit, Hint, LaunchSpec, Seen, SeenState};

const TERM: i32 = 15;
const KILL: i32 = 9;

/// The in-memory driver. A launch waits as `Starting` until [`MemoryDriver::advance`] reaches its start delay (zero
/// unless set: then it runs at once).
#[derive(Default)]
pub struct MemoryDriver {
    room: Mutex<Room>,
    hints: Mutex<Vec<Hint>>,
}

#[derive(Default)]
struct Room {
    now: Timestamp,
    virtuals: BTreeMap<InstanceId, Virtual>,
    start_delay: Duration,
    refusals: VecDeque<String>,
    failures: VecDeque<String>,
    stubborn: BTreeSet<InstanceId>,
    calls: Vec<Call>,
}

struct Virtual {
    spec: LaunchSpec,
    state: SeenState,
    starts: Timestamp,
    dies: Option<Timestamp>,
    never: Option<String>,
    console: Vec<u8>,
}

/// One call that changed something, in the order of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A boot was launched.
    Launch(InstanceId, u32),
    /// An orderly end was asked for.
    Stop(InstanceId, Duration),
    /// A KILL was asked for.
    Kill(InstanceId),
    /// What it left was deleted.
    Remove(InstanceId),
}

impl MemoryDriver {
    /// A driver without instances, at this virtual time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { room: Mutex::new(Room { now, ..Room::default() }), hints: Mutex::default() }
    }

    /// Moves virtual time forward: starts and ends whatever is due by then, in the order of its time, then of ids.
    pub fn advance(&self, to: Timestamp) {
        let changed = {
            let mut room = self.room();
            let mut changed = false;
            while let Some((at, id)) = room.next_due(to) {
                room.now = room.now.max(at);
                room.carry_out(&id, at);
                changed = true;
            }
            room.now = room.now.max(to);
            changed
        };
        if changed {
            self.hint();
        }
    }

    /// From now on a launch takes this long from `Starting` to `Running`.
    pub fn set_start_delay(&self, delay: Duration) {
        self.room().start_delay = delay;
    }

    /// The next launch that begins something is refused outright with this reason. Repeated calls queue up.
    pub fn refuse_next_launch(&self, why: impl Into<String>) {
        self.room().refusals.push_back(why.into());
    }

    /// The next launch is accepted, and ends as `NeverStarted` with this reason. Repeated calls queue up.
    pub fn fail_next_launch(&self, why: impl Into<String>) {
        self.room().failures.push_back(why.into());
    }

    /// Whether this instance ignores TERM: then it lives until the grace of its stop has passed.
    pub fn set_ignores_term(&self, instance: &InstanceId, ignores: bool) {
        let mut room = self.room();
        if ignores {
            room.stubborn.insert(instance.clone());
        } else {
            room.stubborn.remove(instance);
        }
    }

    /// The instance ends by itself, now. False when it was not alive.
    pub fn die(&self, instance: &InstanceId, how: Exit) -> bool {
        let died = self.room().end(instance, how);
        if died {
            self.hint();
        }
        died
    }

    /// The instance prints to its console.
    pub fn print(&self, instance: &InstanceId, text: &[u8]) {
        if let Some(v) = self.room().virtuals.get_mut(instance) {
            v.console.extend_from_slice(text);
            let surplus = v.console.len().saturating_sub(CONSOLE_LIMIT);
            v.console.drain(..surplus);
        }
    }

    /// What the newest boot of this instance was launched with.
    #[must_use]
    pub fn spec(&self, instance: &InstanceId) -> Option<LaunchSpec> {
        self.room().virtuals.get(instance).map(|v| v.spec.clone())
    }

    /// The calls that changed something since this was last asked.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.room().calls)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never called with the room locked: a hint may ask the driver what it sees.
    fn hint(&self) {
        let hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for hint in hints {
            hint();
        }
    }
}

impl Room {
    fn next_due(&self, by: Timestamp) -> Option<(Timestamp, InstanceId)> {
        let due = |v: &Virtual| match v.state {
            SeenState::Ended { .. } => None,
            SeenState::Starting => Some(v.dies.map_or(v.starts, |dies| dies.min(v.starts))),
            SeenState::Running { .. } => v.dies,
        };
        self.virtuals.iter().filter_map(|(id, v)| due(v).map(|at| (at, id.clone()))).filter(|(at, _)| *at <= by).min()
    }

    fn carry_out(&mut self, id: &InstanceId, at: Timestamp) {
        let Some(v) = self.virtuals.get_mut(id) else { return };
        if v.dies.is_some_and(|dies| dies <= at) {
            self.end(id, Exit::Signal(KILL));
        } else if let Some(why) = v.never.take() {
            self.end(id, Exit::NeverStarted(why));
        } else {
            v.state = SeenState::Running { since: at, status: InstanceStatus::Ok };
        }
    }

    fn end(&mut self, id: &InstanceId, how: Exit) -> bool {
        match self.virtuals.get_mut(id) {
            Some(v) if !matches!(v.state, SeenState::Ended { .. }) => {
                v.state = SeenState::Ended { how };
                v.dies = None;
                true
            }
            _ => false,
        }
    }

    fn alive(&mut self, id: &InstanceId) -> Option<&mut Virtual> {
        self.virtuals.get_mut(id).filter(|v| !matches!(v.state, SeenState::Ended { .. }))
    }
}

impl Driver for MemoryDriver {
    fn launch(&self, spec: &LaunchSpec) -> Result<(), DriverError> {
        let now = {
            let mut room = self.room();
            let mut console = Vec::new();
            if let Some(old) = room.virtuals.get_mut(&spec.instance) {
                if !super::begins(spec, old.spec.boot, &old.state)? {
                    return Ok(());
                }
                console = std::mem::take(&mut old.console);
            }
            if let Some(why) = room.refusals.pop_front() {
                return Err(DriverError::Refused(why));
            }
            let never = room.failures.pop_front();
            let starts = room.now.plus(room.start_delay);
            let fresh = Virtual { spec: spec.clone(), state: SeenState::Starting, starts, dies: None, never, console };
            room.virtuals.insert(spec.instance.clone(), fresh);
            room.calls.push(Call::Launch(spec.instance.clone(), spec.boot));
            room.now
        };
        self.hint();
        self.advance(now);
        Ok(())
    }

    fn stop(&self, instance: &InstanceId, grace: Duration) -> Result<(), DriverError> {
        {
            let mut room = self.room();
            let deadline = room.now.plus(grace);
            let stubborn = room.stubborn.contains(instance);
            let Some(v) = room.alive(instance) else { return Ok(()) };
            v.dies = Some(v.dies.map_or(deadline, |dies| dies.min(deadline)));
            if matches!(v.state, SeenState::Starting) {
                room.end(instance, Exit::NeverStarted(super::STOPPED_BEFORE_START.into()));
            } else if !stubborn {
                room.end(instance, Exit::Signal(TERM));
            } else if grace.is_zero() {
                room.end(instance, Exit::Signal(KILL));
            }
            room.calls.push(Call::Stop(instance.clone(), grace));
        }
        self.hint();
        Ok(())
    }

    fn kill(&self, instance: &InstanceId) -> Result<(), DriverError> {
        {
            let mut room = self.room();
            if !room.end(instance, Exit::Signal(KILL)) {
                return Ok(());
            }
            room.calls.push(Call::Kill(instance.clone()));
        }
        self.hint();
        Ok(())
    }

    fn remove(&self, instance: &InstanceId) -> Result<(), DriverError> {
        {
            let mut room = self.room();
            if let Some(v) = room.alive(instance) {
                return Err(DriverError::StillRunning { instance: instance.clone(), boot: v.spec.boot });
            }
            if room.virtuals.remove(instance).is_none() {
                return Ok(());
            }
            room.stubborn.remove(instance);
            room.calls.push(Call::Remove(instance.clone()));
        }
        self.hint();
        Ok(())
    }

    fn seen(&self) -> Vec<Seen> {
        let room = self.room();
        let seen =
            |(id, v): (&InstanceId, &Virtual)| Seen { instance: id.clone(), boot: v.spec.boot, state: v.state.clone() };
        room.virtuals.iter().map(seen).collect()
    }

    fn console(&self, instance: &InstanceId) -> io::Result<Vec<u8>> {
        self.room().virtuals.get(instance).map(|v| v.console.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn subscribe(&self, hint: Hint) {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use evenkeel_core::name::{Port, ZoneName};
    use evenkeel_core::noun::Manifest;

    use super::*;

    fn id(n: u32) -> InstanceId {
        InstanceId::new(format!("i-{n:08x}")).unwrap()
    }

    fn spec(n: u32, boot: u32) -> LaunchSpec {
        LaunchSpec {
            instance: id(n),
            boot,
            image_dir: "/image".into(),
            manifest: Manifest::new("app", vec!["./serve".into()], Port::new(8080).unwrap()),
            zone: ZoneName::new("us-east-1a").unwrap(),
            address: [127, 81, 0, 1].into(),
            limits: super::super::Limits::default(),
            user_data: None,
            boots: false,
            metadata: None,
        }
    }

    fn state(driver: &MemoryDriver, n: u32) -> SeenState {
        driver.seen().into_iter().find(|s| s.instance == id(n)).unwrap().state
    }

    fn ended(how: Exit) -> SeenState {
        SeenState::Ended { how }
    }

    #[test]
    fn a_boot_is_started_once_and_later_ones_only_after_its_end() {
        let driver = MemoryDriver::new(Timestamp(5));
        driver.launch(&spec(1, 1)).unwrap();
        driver.launch(&spec(1, 1)).unwrap();
        assert_eq!(state(&driver, 1), SeenState::Running { since: Timestamp(5), status: InstanceStatus::Ok });
        assert!(matches!(driver.launch(&spec(1, 2)), Err(DriverError::StillRunning { boot: 1, .. })));
        assert!(matches!(driver.remove(&id(1)), Err(DriverError::StillRunning { .. })));
        assert!(driver.die(&id(1), Exit::Status(3)));
        assert!(!driver.die(&id(1), Exit::Status(4)));
        driver.launch(&spec(1, 1)).unwrap();
        assert_eq!(state(&driver, 1), ended(Exit::Status(3)), "an ended boot is not run again");
        driver.launch(&spec(1, 2)).unwrap();
        assert!(matches!(driver.launch(&spec(1, 1)), Err(DriverError::Stale { asked: 1, seen: 2, .. })));
        assert_eq!(driver.take_calls(), [Call::Launch(id(1), 1), Call::Launch(id(1), 2)]);
        driver.kill(&id(1)).unwrap();
        driver.remove(&id(1)).unwrap();
        driver.remove(&id(1)).unwrap();
        assert!(driver.seen().is_empty());
    }

    #[test]
    fn delays_and_graces_pass_only_with_virtual_time() {
        let driver = MemoryDriver::new(Timestamp(0));
        driver.set_start_delay(Duration::from_secs(2));
        driver.launch(&spec(1, 1)).unwrap();
        driver.advance(Timestamp(1999));
        assert_eq!(state(&driver, 1), SeenState::Starting);
        driver.advance(Timestamp(9000));
        assert_eq!(state(&driver, 1), SeenState::Running { since: Timestamp(2000), status: InstanceStatus::Ok });
        driver.set_ignores_term(&id(1), true);
        driver.stop(&id(1), Duration::from_secs(10)).unwrap();
        driver.advance(Timestamp(18_999));
        assert!(matches!(state(&driver, 1), SeenState::Running { .. }));
        driver.advance(Timestamp(19_000));
        assert_eq!(state(&driver, 1), ended(Exit::Signal(9)));
    }

    #[test]
    fn scripted_failures_are_met_in_turn() {
        let driver = MemoryDriver::new(Timestamp(0));
        driver.refuse_next_launch("no room");
        driver.fail_next_launch("exec `x`");
        assert!(matches!(driver.launch(&spec(1, 1)), Err(DriverError::Refused(_))));
        assert!(driver.seen().is_empty());
        driver.launch(&spec(1, 1)).unwrap();
        assert_eq!(state(&driver, 1), ended(Exit::NeverStarted("exec `x`".into())));
        driver.launch(&spec(2, 1)).unwrap();
        driver.stop(&id(2), Duration::ZERO).unwrap();
        driver.stop(&id(2), Duration::ZERO).unwrap();
        assert_eq!(state(&driver, 2), ended(Exit::Signal(15)));
    }

    #[test]
    fn every_change_is_hinted_and_a_hint_may_look() {
        let driver = Arc::new(MemoryDriver::new(Timestamp(0)));
        let hints = Arc::new(AtomicUsize::new(0));
        let (count, looked) = (hints.clone(), Arc::downgrade(&driver));
        driver.subscribe(Arc::new(move || {
            let _ = looked.upgrade().map(|d| d.seen());
            count.fetch_add(1, Ordering::Relaxed);
        }));
        driver.launch(&spec(1, 1)).unwrap();
        let after_launch = hints.load(Ordering::Relaxed);
        assert!(after_launch > 0);
        driver.launch(&spec(1, 1)).unwrap();
        assert_eq!(hints.load(Ordering::Relaxed), after_launch);
        driver.die(&id(1), Exit::Unknown);
        assert_eq!(hints.load(Ordering::Relaxed), after_launch + 1);
    }

    #[test]
    fn a_console_keeps_its_end() {
        let driver = MemoryDriver::new(Timestamp(0));
        assert_eq!(driver.console(&id(1)).unwrap_err().kind(), io::ErrorKind::NotFound);
        driver.launch(&spec(1, 1)).unwrap();
        driver.print(&id(1), &vec![b'a'; CONSOLE_LIMIT]);
        driver.print(&id(1), b"end");
        let console = driver.console(&id(1)).unwrap();
        assert_eq!(console.len(), CONSOLE_LIMIT);
        assert!(console.ends_with(b"aend"));
    }
}
