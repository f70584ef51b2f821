//! What an instance does again and again: which of it is due.
//!
//! Owns when; starting is `life.rs`'s. One entry never runs twice at a time: where it still runs, a turn is left out. Source:
//! crontab(5); times are UTC.

use std::time::Duration;

use evenkeel_core::time::Timestamp;

use crate::boot::cron::Entry;
use crate::drivers::Exit;

/// The longest wait between two looks at the clock, which may be set.
const LOOKS_AFTER: Duration = Duration::from_secs(60);

/// The entries of one boot.
pub struct Crontab(Vec<Job>);

struct Job {
    entry: Entry,
    next: Option<Timestamp>,
    running: Option<i32>,
}

impl Crontab {
    /// Entries, of which none is due yet.
    pub fn new(entries: Vec<Entry>, now: Timestamp) -> Self {
        let job = |entry: Entry| Job { next: next(&entry, now), entry, running: None };
        Self(entries.into_iter().map(job).collect())
    }

    /// How long until the clock is to be looked at; `None` where there is nothing to wait for.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let next = self.0.iter().filter_map(|job| job.next).min()?;
        Some(next.since(now).min(LOOKS_AFTER))
    }

    /// The places and commands of those that are due. A turn that was missed is made up for once.
    pub fn due(&mut self, now: Timestamp) -> Vec<(usize, Vec<String>)> {
        let mut due = Vec::new();
        for (place, job) in self.0.iter_mut().enumerate() {
            if job.next.is_none_or(|next| now < next) {
                continue;
            }
            job.next = next(&job.entry, now);
            if job.running.is_none() {
                due.push((place, job.entry.command.clone()));
            }
        }
        due
    }

    /// Notes that one runs, or what to say where it could not be started.
    pub fn started(&mut self, place: usize, started: Result<i32, String>) -> Option<String> {
        let job = self.0.get_mut(place)?;
        match started {
            Ok(pid) => {
                job.running = Some(pid);
                None
            }
            Err(why) => Some(format!("cron: `{}` failed to {why}", job.entry.name)),
        }
    }

    /// Notes an end: what there is to say of it, where the process is one of these.
    pub fn ended(&mut self, pid: i32, exit: &Exit) -> Option<Option<String>> {
        let job = self.0.iter_mut().find(|job| job.running == Some(pid))?;
        job.running = None;
        let name = &job.entry.name;
        Some(match exit {
            Exit::Status(0) => None,
            Exit::Status(status) => Some(format!("cron: `{name}` exited with status {status}")),
            Exit::Signal(signal) => Some(format!("cron: `{name}` was ended by signal {signal}")),
            other => Some(format!("cron: `{name}`: {other}")),
        })
    }
}

fn next(entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    entry.schedule.next_after(now, |_| 0)
}

#[cfg(test)]
mod tests {
    use evenkeel_core::scaling::Recurrence;

    use super::*;

    fn entry(name: &str, schedule: &str) -> Entry {
        let schedule = Recurrence::new(schedule).unwrap();
        Entry { name: name.into(), schedule, command: vec![name.into()], once: false }
    }

    fn minute(n: u64) -> Timestamp {
        Timestamp(n * 60_000)
    }

    #[test]
    fn each_comes_in_its_turn_and_never_twice_at_a_time() {
        let mut crontab = Crontab::new(vec![entry("often", "* * * * *"), entry("seldom", "*/5 * * * *")], minute(1));
        let due = |crontab: &mut Crontab, at: Timestamp| -> Vec<usize> {
            crontab.due(at).into_iter().map(|(place, _)| place).collect()
        };
        assert_eq!(crontab.wait(Timestamp(90_000)), Some(Duration::from_secs(30)));
        assert_eq!(due(&mut crontab, Timestamp(119_999)), [] as [usize; 0]);
        assert_eq!(due(&mut crontab, minute(2)), [0]);
        assert_eq!(crontab.started(0, Ok(7)), None);
        assert_eq!(due(&mut crontab, minute(3)), [] as [usize; 0], "it still runs");
        assert_eq!(due(&mut crontab, minute(5)), [1]);
        assert_eq!(crontab.started(1, Err("find it".into())).unwrap(), "cron: `seldom` failed to find it");
        assert_eq!(crontab.ended(7, &Exit::Status(1)).unwrap().unwrap(), "cron: `often` exited with status 1");
        assert_eq!(crontab.ended(7, &Exit::Status(0)), None);
        // The clock was put forward by an hour: once is enough.
        assert_eq!(due(&mut crontab, minute(66)), [0, 1]);
        assert_eq!(due(&mut crontab, minute(66)), [] as [usize; 0]);
    }
}
