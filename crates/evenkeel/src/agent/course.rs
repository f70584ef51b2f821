//! The course of one boot, as a state machine: what follows from what happened. Owns the order of install, application,
//! finish, mail and leave, the restarts of an application that fails, and the words for how the instance fares; must never start,
//! signal or wait for anything: that is `life.rs`'s, which carries the acts out.

use std::time::Duration;

use evenkeel_core::noun::InstanceStatus;
use evenkeel_core::noun::image::Restart;
use tokio::time::Instant;

use crate::boot::Role;
use crate::drivers::Exit;

/// An application that runs so long after a failure is well again.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// One that ran so long is not held to its failures before.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// The longest wait before an application is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a process of the boot that broke is followed by another.
const BREAKS: u32 = 3;
/// Between the two.
const BREAK_PAUSE: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The boot begins.
    Begun,
    /// The application was started, or why it could not be.
    Started(Result<(), String>),
    /// The application ended.
    Ended(Exit),
    /// A process of the boot ended.
    Played(Role, Played),
    /// A moment that [`Course::due`] named has come.
    Due,
    /// The instance is to stop.
    Asked,
    /// It has taken more than it may, and is to end at once for this reason.
    Outgrown(Exit),
}

/// How a process of the boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Played {
    /// It did what it should.
    Done,
    /// It came to nothing, and why, completing "failed to …".
    Failed(String),
    /// It ended otherwise: killed, most likely.
    Broke(Exit),
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Start a process of the boot.
    Play(Role),
    /// End the one that runs.
    Cut,
    /// Start the application.
    Start,
    /// End what an application that ended has left, so that it can be started again.
    Clear,
    /// End everything: the boot is over for this reason.
    End(Exit),
    /// End everything, in the grace that was asked for; the application's exit is the reason.
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Application {
    Waiting,
    Up(Instant),
    Down(Instant),
    Gone,
}

/// Where a boot stands.
pub(super) struct Course {
    is_due: bool,
    restart: Restart,
    application: Application,
    playing: Option<Role>,
    /// When a broken process is followed by another.
    again: Option<(Role, Instant)>,
    breaks: u32,
    failures: u32,
    outcome: Option<Result<(), String>>,
    trouble: Option<String>,
    closing: Option<Exit>,
    is_closing: bool,
    is_over: bool,
}

impl Course {
    /// `is_due`: whether there is anything to boot but the application.
    pub fn new(is_due: bool, restart: Restart) -> Self {
        Self {
            is_due,
            restart,
            application: Application::Waiting,
            playing: None,
            again: None,
            breaks: 0,
            failures: 0,
            outcome: None,
            trouble: None,
            closing: None,
            is_closing: false,
            is_over: false,
        }
    }

    /// How the instance fares.
    pub fn status(&self) -> InstanceStatus {
        match (&self.outcome, &self.trouble) {
            (Some(Err(why)), _) => InstanceStatus::Impaired { why: format!("failed to {why}") },
            (_, Some(why)) => InstanceStatus::Impaired { why: why.clone() },
            (None, None) => InstanceStatus::Initializing,
            (Some(Ok(())), None) => InstanceStatus::Ok,
        }
    }

    /// Why the boot came to nothing, completing "failed to …".
    pub fn failure(&self) -> Option<&str> {
        self.outcome.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Whether its end has begun.
    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// When something is to be done without anything happening.
    pub fn due(&self) -> Option<Instant> {
        if self.is_closing {
            return None;
        }
        let application = match self.application {
            Application::Down(until) => Some(until),
            Application::Up(since) if self.trouble.is_some() => Some(since + WELL_AFTER),
            _ => None,
        };
        application.into_iter().chain(self.again.map(|(_, at)| at)).min()
    }

    /// What follows. `is_registered`: whether the boot has taken the instance into service.
    pub fn after(&mut self, event: Event, is_registered: bool, now: Instant) -> Vec<Act> {
        match event {
            Event::Begun if self.is_due => self.play(Role::Install),
            Event::Begun => vec![Act::Start],
            Event::Started(Ok(())) => {
                self.application = Application::Up(now);
                if !self.is_due {
                    self.outcome = Some(Ok(()));
                } else if self.outcome.is_none() && self.playing.is_none() && self.again.is_none() {
                    return self.play(Role::Finish);
                }
                Vec::new()
            }
            Event::Started(Err(why)) => self.not_started(why, now),
            Event::Ended(exit) => self.ended(exit, is_registered, now),
            Event::Played(role, how) => self.played(role, how, is_registered, now),
            Event::Due => self.come(now),
            Event::Asked => self.close(None, is_registered),
            Event::Outgrown(exit) => self.outgrown(exit),
        }
    }

    fn play(&mut self, role: Role) -> Vec<Act> {
        self.playing = Some(role);
        vec![Act::Play(role)]
    }

    fn not_started(&mut self, why: String, now: Instant) -> Vec<Act> {
        if self.failures > 0 {
            return self.pause(format!("it could not be started again: failed to {why}"), now);
        }
        if !self.is_due {
            return self.close(Some(Exit::NeverStarted(why)), false);
        }
        self.application = Application::Gone;
        self.outcome = Some(Err(why));
        self.report()
    }

    /// A boot that has ended, well or not, is told of.
    fn report(&mut self) -> Vec<Act> {
        self.breaks = 0;
        self.play(Role::Mail)
    }

    fn ended(&mut self, exit: Exit, is_registered: bool, now: Instant) -> Vec<Act> {
        let ran = match self.application {
            Application::Up(since) => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        };
        self.application = Application::Gone;
        if self.is_closing {
            return Vec::new();
        }
        if exit == Exit::Status(0) || self.restart == Restart::Never {
            return self.close(Some(exit), is_registered);
        }
        if ran >= FORGIVEN_AFTER {
            self.failures = 0;
        }
        let mut acts = vec![Act::Clear];
        acts.extend(self.pause(exit.to_string(), now));
        acts
    }

    fn pause(&mut self, why: String, now: Instant) -> Vec<Act> {
        self.failures += 1;
        let pause = Duration::from_secs(1 << (self.failures - 1).min(6)).min(LONGEST_PAUSE);
        self.application = Application::Down(now + pause);
        let count = if self.failures > 1 { format!(", {} times in a row", self.failures) } else { String::new() };
        self.trouble = Some(format!("{why}{count}; it is started again after {} s", pause.as_secs()));
        Vec::new()
    }

    fn played(&mut self, role: Role, how: Played, is_registered: bool, now: Instant) -> Vec<Act> {
        self.playing = None;
        if self.is_over {
            return Vec::new();
        }
        if self.is_closing {
            return if role == Role::Leave { self.stop() } else { self.leave(is_registered) };
        }
        match (role, how) {
            (Role::Install, Played::Done) => {
                self.breaks = 0;
                return vec![Act::Start];
            }
            (Role::Mail | Role::Leave, Played::Done | Played::Failed(_)) => {}
            (_, Played::Done) => {
                self.outcome = Some(Ok(()));
                return self.report();
            }
            (_, Played::Failed(why)) => {
                self.outcome = Some(Err(why));
                return self.report();
            }
            (Role::Mail | Role::Leave, Played::Broke(_)) if self.breaks >= BREAKS => {}
            (_, Played::Broke(exit)) if self.breaks >= BREAKS => {
                self.outcome = Some(Err(format!(
                    "boot: `{}` was cut short {} times, last: {exit}",
                    role.as_str(),
                    self.breaks + 1
                )));
                return self.report();
            }
            (_, Played::Broke(_)) => {
                self.breaks += 1;
                self.again = Some((role, now + BREAK_PAUSE));
            }
        }
        Vec::new()
    }

    fn come(&mut self, now: Instant) -> Vec<Act> {
        if self.is_closing {
            return Vec::new();
        }
        if let Some((role, _)) = self.again.filter(|(_, at)| *at <= now) {
            self.again = None;
            return self.play(role);
        }
        match self.application {
            Application::Down(until) if until <= now => {
                self.application = Application::Waiting;
                vec![Act::Start]
            }
            Application::Up(since) if since + WELL_AFTER <= now => {
                self.trouble = None;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn close(&mut self, exit: Option<Exit>, is_registered: bool) -> Vec<Act> {
        if self.is_closing {
            return Vec::new();
        }
        self.is_closing = true;
        self.closing = exit;
        match self.playing {
            Some(_) => vec![Act::Cut],
            None => self.leave(is_registered),
        }
    }

    /// It cannot wait until connections have drained: what it does meanwhile is what it is ended for.
    fn outgrown(&mut self, exit: Exit) -> Vec<Act> {
        if self.is_over {
            return Vec::new();
        }
        (self.is_closing, self.is_over) = (true, true);
        vec![Act::End(exit)]
    }

    fn leave(&mut self, is_registered: bool) -> Vec<Act> {
        if is_registered { self.play(Role::Leave) } else { self.stop() }
    }

    fn stop(&mut self) -> Vec<Act> {
        vec![self.closing.take().map_or(Act::Stop, Act::End)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        course: Course,
        now: Instant,
        is_registered: bool,
    }

    impl Story {
        fn new(is_due: bool) -> Self {
            Self { course: Course::new(is_due, Restart::OnFailure), now: Instant::now(), is_registered: false }
        }

        fn check(&mut self, event: Event, acts: &[Act]) {
            let shown = format!("{event:?}");
            assert_eq!(self.course.after(event, self.is_registered, self.now), acts, "after {shown}");
        }

        fn later(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    fn impaired(course: &Course) -> String {
        match course.status() {
            InstanceStatus::Impaired { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_takes_too_much_ends_at_once_whatever_it_is_at() {
        let why = Exit::OverDisk { mib: 5 };
        let mut story = Story::new(false);
        story.check(Event::Begun, &[Act::Start]);
        story.check(Event::Started(Ok(())), &[]);
        story.is_registered = true;
        story.check(Event::Outgrown(why.clone()), &[Act::End(why.clone())]);
        story.check(Event::Outgrown(why.clone()), &[]);
        story.check(Event::Ended(Exit::Signal(15)), &[]);

        let mut story = Story::new(true);
        story.check(Event::Begun, &[Act::Play(Role::Install)]);
        story.check(Event::Outgrown(why.clone()), &[Act::End(why)]);
        story.check(Event::Played(Role::Install, Played::Broke(Exit::Signal(15))), &[]);
        story.check(Event::Asked, &[]);
        assert!(story.course.is_closing() && story.course.due().is_none());
    }

    #[test]
    fn an_instance_with_nothing_to_boot_is_well_once_its_application_runs() {
        let mut story = Story::new(false);
        story.check(Event::Begun, &[Act::Start]);
        assert_eq!(story.course.status(), InstanceStatus::Initializing);
        story.check(Event::Started(Ok(())), &[]);
        assert_eq!(story.course.status(), InstanceStatus::Ok);
        story.check(Event::Asked, &[Act::Stop]);
        story.check(Event::Ended(Exit::Signal(15)), &[]);
        assert!(story.course.is_closing());

        let mut story = Story::new(false);
        story.check(Event::Begun, &[Act::Start]);
        let why = Exit::NeverStarted("find it".into());
        story.check(Event::Started(Err("find it".into())), &[Act::End(why)]);
    }

    #[test]
    fn a_boot_is_install_application_finish_and_leave() {
        let mut story = Story::new(true);
        story.check(Event::Begun, &[Act::Play(Role::Install)]);
        story.check(Event::Played(Role::Install, Played::Done), &[Act::Start]);
        story.check(Event::Started(Ok(())), &[Act::Play(Role::Finish)]);
        assert_eq!(story.course.status(), InstanceStatus::Initializing);
        story.check(Event::Played(Role::Finish, Played::Done), &[Act::Play(Role::Mail)]);
        assert_eq!(story.course.status(), InstanceStatus::Ok);
        story.check(Event::Played(Role::Mail, Played::Broke(Exit::Signal(9))), &[]);
        story.later(1);
        story.check(Event::Due, &[Act::Play(Role::Mail)]);
        story.check(Event::Played(Role::Mail, Played::Done), &[]);
        assert_eq!(story.course.status(), InstanceStatus::Ok);
        story.is_registered = true;
        story.check(Event::Asked, &[Act::Play(Role::Leave)]);
        story.check(Event::Asked, &[]);
        story.check(Event::Played(Role::Leave, Played::Broke(Exit::Signal(9))), &[Act::Stop]);
    }

    #[test]
    fn a_boot_that_fails_leaves_the_instance_impaired_and_starts_nothing() {
        let mut story = Story::new(true);
        story.check(Event::Begun, &[Act::Play(Role::Install)]);
        story.check(Event::Played(Role::Install, Played::Failed("do step 2".into())), &[Act::Play(Role::Mail)]);
        story.check(Event::Played(Role::Mail, Played::Done), &[]);
        assert_eq!(impaired(&story.course), "failed to do step 2");
        assert_eq!(story.course.due(), None);
        story.check(Event::Asked, &[Act::Stop]);
    }

    #[test]
    fn what_is_cut_short_goes_on_a_few_times() {
        let mut story = Story::new(true);
        story.check(Event::Begun, &[Act::Play(Role::Install)]);
        for _ in 0..BREAKS {
            story.check(Event::Played(Role::Install, Played::Broke(Exit::Signal(9))), &[]);
            story.check(Event::Due, &[]);
            story.later(1);
            assert_eq!(story.course.due(), Some(story.now));
            story.check(Event::Due, &[Act::Play(Role::Install)]);
        }
        story.check(Event::Played(Role::Install, Played::Broke(Exit::Signal(9))), &[Act::Play(Role::Mail)]);
        assert!(impaired(&story.course).contains("cut short 4 times"));
    }

    #[test]
    fn a_stop_in_the_midst_of_the_boot_cuts_it_and_undoes_it() {
        let mut story = Story::new(true);
        story.check(Event::Begun, &[Act::Play(Role::Install)]);
        story.check(Event::Asked, &[Act::Cut]);
        story.is_registered = true;
        story.check(Event::Played(Role::Install, Played::Broke(Exit::Signal(9))), &[Act::Play(Role::Leave)]);
        story.check(Event::Played(Role::Leave, Played::Done), &[Act::Stop]);
    }

    #[test]
    fn an_application_that_fails_is_started_again_later_and_later() {
        let mut story = Story::new(false);
        story.check(Event::Begun, &[Act::Start]);
        story.check(Event::Started(Ok(())), &[]);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            story.check(Event::Ended(Exit::Status(1)), &[Act::Clear]);
            assert!(impaired(&story.course).ends_with(&format!("after {pause} s")), "{}", impaired(&story.course));
            story.later(pause);
            assert_eq!(story.course.due(), Some(story.now));
            story.check(Event::Due, &[Act::Start]);
            story.check(Event::Started(Ok(())), &[]);
        }
        assert!(impaired(&story.course).contains("8 times in a row"));
        story.later(10);
        story.check(Event::Due, &[]);
        assert_eq!(story.course.status(), InstanceStatus::Ok);
        story.later(60);
        story.check(Event::Ended(Exit::Signal(11)), &[Act::Clear]);
        assert!(impaired(&story.course).ends_with("after 1 s"), "{}", impaired(&story.course));
    }

    #[test]
    fn an_application_that_ends_in_order_ends_its_instance() {
        let mut story = Story::new(false);
        story.check(Event::Begun, &[Act::Start]);
        story.check(Event::Started(Ok(())), &[]);
        story.check(Event::Ended(Exit::Status(0)), &[Act::End(Exit::Status(0))]);
        let mut story = Story::new(false);
        story.course.restart = Restart::Never;
        story.check(Event::Begun, &[Act::Start]);
        story.check(Event::Started(Ok(())), &[]);
        story.check(Event::Ended(Exit::Status(1)), &[Act::End(Exit::Status(1))]);
    }
}
