//! The thread that waits: for agents to end (pidfd), for their statuses to change (inotify), for deadlines. Owns no
//! decision about a boot's end, which it hands to [`super::hands`]; must never block on anything but its one poll.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use evenkeel_core::name::InstanceId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use super::hands::AgentEnd;
use super::{Job, SeenState, Shared, Slot, State, Watched, watched};
use crate::sys::process;

/// Runs until the driver closes.
pub(super) fn run(shared: &Shared) {
    while !shared.closing.load(Ordering::Acquire) {
        let (agents, deadline) = waited_for(shared);
        let rest = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = rest.and_then(|rest| Timespec::try_from(rest).ok());
        let mut fds = vec![PollFd::new(&shared.wake, PollFlags::IN), PollFd::new(&shared.changes, PollFlags::IN)];
        fds.extend(agents.iter().map(|(.., agent)| PollFd::new(&agent.process, PollFlags::IN)));
        // An error leaves nothing ready, and only an interruption is possible on descriptors that we hold.
        let _ = poll(&mut fds, timeout.as_ref());
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            // Whatever it counted, one look answers it.
            let _ = rustix::io::read(&shared.wake, &mut [0; 8]);
        }
        let changed = ready[1] && read_changes(shared);
        for ((id, boot, agent), _) in agents.iter().zip(&ready[2..]).filter(|(_, ready)| **ready) {
            agent_ended(shared, id, *boot, agent);
        }
        call_time(shared);
        if changed {
            shared.hint();
        }
    }
}

type Agents = Vec<(InstanceId, u32, Arc<Watched>)>;

fn waited_for(shared: &Shared) -> (Agents, Option<Instant>) {
    let slots = shared.slots();
    let of = |(id, slot): (&InstanceId, &Slot)| {
        let watched = slot.agent.iter().chain(&slot.strays);
        watched.map(|agent| (id.clone(), slot.boot, agent.clone())).collect::<Vec<_>>()
    };
    let agents = slots.iter().flat_map(of).collect();
    (agents, slots.values().filter_map(|slot| slot.overdue).min())
}

/// Looks at every status that was written anew. True when one of them changed what is seen.
fn read_changes(shared: &Shared) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&shared.changes, &mut buffer);
    let (mut watches, mut lost) = (Vec::new(), false);
    while let Ok(event) = reader.next() {
        lost |= event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
        if event.file_name().is_some_and(|name| name.to_bytes() == b"status.json") {
            watches.push(event.wd());
        }
    }
    let mut slots = shared.slots();
    let mut changed = false;
    for (id, slot) in slots.iter_mut() {
        if slot.ended() || !(lost || slot.watch.is_some_and(|watch| watches.contains(&watch))) {
            continue;
        }
        let Some(status) = shared.folder_of(id).status().filter(|status| status.boot == slot.boot) else { continue };
        if let State::Running { since, status } = &status.state {
            let state = SeenState::Running { since: *since, status: status.clone() };
            changed |= slot.state != state;
            slot.state = state;
        }
        // Another agent than the one we started may have come first: then it is the one to watch.
        let known = slot.agent.as_ref().map(|agent| &agent.identity);
        if status.agent.as_ref() != known
            && let Some(agent) = status.agent.and_then(watched)
        {
            slot.strays.extend(slot.agent.replace(agent));
            slot.awaits_agent = false;
            // What was asked before it was known. One that cannot be signalled has ended, which the next poll shows.
            let _ = shared.tell(id, slot);
        }
    }
    changed
}

/// Reaps an agent if it is our child, and has its boot settled.
fn agent_ended(shared: &Shared, id: &InstanceId, boot: u32, agent: &Arc<Watched>) {
    let end = match waitid(WaitId::PidFd(agent.process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => AgentEnd::Exited(status),
            (None, Some(signal)) => AgentEnd::Killed(signal),
            (None, None) => AgentEnd::Unseen,
        },
        // Adopted from a driver before us: its end is seen, how it ended is not ours to know.
        _ => AgentEnd::Unseen,
    };
    let mut slots = shared.slots();
    let Some(slot) = slots.get_mut(id) else { return };
    slot.strays.retain(|stray| !Arc::ptr_eq(stray, agent));
    if slot.boot == boot && slot.agent.as_ref().is_some_and(|known| Arc::ptr_eq(known, agent)) {
        slot.agent = None;
        slot.overdue = None;
        shared.give(Job::Settle(id.clone(), boot, end));
    }
}

/// Ends what has had its time: an agent that outlives its stop is killed, one that never came is given up.
fn call_time(shared: &Shared) {
    let now = Instant::now();
    for (id, slot) in shared.slots().iter_mut().filter(|(_, slot)| slot.overdue.is_some_and(|at| at <= now)) {
        slot.overdue = None;
        match &slot.agent {
            // If it cannot be signalled it has ended, and the next poll says so.
            Some(agent) => drop(process::signal(&agent.process, Signal::KILL)),
            None if slot.awaits_agent => {
                slot.awaits_agent = false;
                shared.give(Job::Settle(id.clone(), slot.boot, AgentEnd::Unseen));
            }
            None => {}
        }
    }
}
