//! The life of an instance: which state may follow which, and why.
//!
//! Owns EC2's state machine (AWS, "Instance lifecycle") and its codes of reasons (AWS, `StateReason`). Must never know how
//! instances really run. Who asks: the World.

use serde::{Deserialize, Serialize};

use crate::change::{EndedBy, Seen};
use crate::noun::{InstanceState, ShutdownBehavior, StateReason};
use crate::time::Timestamp;

/// What somebody asks of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// End it for good.
    Terminate,
    /// Stop it.
    Stop,
    /// Start it again.
    Start,
    /// Start it anew without stopping it.
    Reboot,
}

impl Wish {
    /// What it is then.
    #[must_use]
    pub fn fulfilled(self) -> &'static str {
        match self {
            Self::Terminate => "terminated",
            Self::Stop => "stopped",
            Self::Start => "started",
            Self::Reboot => "rebooted",
        }
    }
}

/// The state that a wish leads to; `None` where the state does not allow the wish. The same state: nothing to do.
#[must_use]
pub fn wished(state: InstanceState, wish: Wish) -> Option<InstanceState> {
    use InstanceState as S;
    match (wish, state) {
        (Wish::Terminate, S::Terminated) => Some(S::Terminated),
        // Nothing runs any more that would have to shut down first.
        (Wish::Terminate, S::Stopped) => Some(S::Terminated),
        (Wish::Terminate, _) => Some(S::ShuttingDown),
        (Wish::Stop, S::Running | S::Pending | S::Stopping) => Some(S::Stopping),
        (Wish::Stop, S::Stopped) => Some(S::Stopped),
        (Wish::Start, S::Stopped) => Some(S::Pending),
        (Wish::Start, S::Pending | S::Running) => Some(state),
        (Wish::Reboot, S::Running | S::Pending) => Some(state),
        (Wish::Stop | Wish::Start | Wish::Reboot, _) => None,
    }
}

/// The state that follows from what a driver saw of a start, which is the `boots`th of an instance, with the reason where there
/// is one. The same state: no news.
#[must_use]
pub fn observed(
    state: InstanceState,
    seen: &Seen,
    shutdown: ShutdownBehavior,
    boots: u32,
    now: Timestamp,
) -> (InstanceState, Option<StateReason>) {
    use InstanceState as S;
    match (state, seen) {
        (S::Pending, Seen::Running { .. }) => (S::Running, None),
        (S::ShuttingDown, Seen::Ended { .. }) => (S::Terminated, None),
        (S::Stopping, Seen::Ended { .. }) => (S::Stopped, None),
        (S::Pending | S::Running, Seen::Ended { how, orderly, never_started, by }) => {
            let code = match by {
                EndedBy::WantOfRoom => "Server.InsufficientInstanceCapacity",
                EndedBy::Node => "Server.InternalError",
                EndedBy::Itself if *orderly => "Client.InstanceInitiatedShutdown",
                EndedBy::Itself => "Client.InternalError",
            };
            let reason = StateReason { code: code.to_owned(), message: format!("{code}: {how}"), at: Some(now) };
            let to = match never_started {
                // One that never ran has nothing worth keeping for a second start; one that did before has its files.
                true if boots <= 1 => S::Terminated,
                true => S::Stopped,
                false if shutdown == ShutdownBehavior::Terminate => S::Terminated,
                false => S::Stopped,
            };
            (to, Some(reason))
        }
        (_, _) => (state, None),
    }
}

/// The reason recorded when a user ends or stops an instance.
#[must_use]
pub fn user_initiated(now: Timestamp) -> StateReason {
    StateReason {
        code: "Client.UserInitiatedShutdown".to_owned(),
        message: "Client.UserInitiatedShutdown: User initiated shutdown".to_owned(),
        at: Some(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noun::InstanceStatus;

    const NOW: Timestamp = Timestamp(7);

    fn ended(orderly: bool, never_started: bool, by: EndedBy) -> Seen {
        Seen::Ended { how: "it ended".into(), orderly, never_started, by }
    }

    #[test]
    fn terminated_is_final() {
        for wish in [Wish::Stop, Wish::Start, Wish::Reboot] {
            assert_eq!(wished(InstanceState::Terminated, wish), None);
        }
        for seen in [Seen::Running { status: InstanceStatus::Ok }, ended(true, false, EndedBy::Itself)] {
            let (state, reason) = observed(InstanceState::Terminated, &seen, ShutdownBehavior::Stop, 1, NOW);
            assert_eq!((state, reason), (InstanceState::Terminated, None));
        }
    }

    #[test]
    fn terminating_is_allowed_in_any_state() {
        for state in InstanceState::ALL {
            assert!(wished(state, Wish::Terminate).is_some(), "{state:?}");
        }
    }

    #[test]
    fn an_instance_that_ends_by_itself_follows_its_shutdown_behaviour_and_says_why() {
        use InstanceState::{Stopped, Terminated};
        use ShutdownBehavior::{Stop, Terminate};
        let check = |seen: Seen, shutdown, boots, want, code: &str| {
            for state in [InstanceState::Pending, InstanceState::Running] {
                let (state, reason) = observed(state, &seen, shutdown, boots, NOW);
                let reason = reason.unwrap();
                assert_eq!((state, reason.code.as_str(), reason.at), (want, code, Some(NOW)));
                assert_eq!(reason.message, format!("{code}: it ended"));
            }
        };
        let (itself, node, room) = (EndedBy::Itself, EndedBy::Node, EndedBy::WantOfRoom);
        check(ended(true, false, itself), Stop, 1, Stopped, "Client.InstanceInitiatedShutdown");
        check(ended(true, false, itself), Terminate, 1, Terminated, "Client.InstanceInitiatedShutdown");
        check(ended(false, false, itself), Stop, 1, Stopped, "Client.InternalError");
        check(ended(false, false, itself), Terminate, 1, Terminated, "Client.InternalError");
        check(ended(false, false, node), Stop, 1, Stopped, "Server.InternalError");
        check(ended(false, true, itself), Stop, 1, Terminated, "Client.InternalError");
        check(ended(false, true, node), Stop, 1, Terminated, "Server.InternalError");
        check(ended(false, true, room), Stop, 1, Terminated, "Server.InsufficientInstanceCapacity");
        // What a later start finds, it has had before.
        check(ended(false, true, room), Terminate, 2, Stopped, "Server.InsufficientInstanceCapacity");
        check(ended(false, true, itself), Stop, 3, Stopped, "Client.InternalError");
    }

    #[test]
    fn what_a_user_asked_for_keeps_the_users_reason() {
        for state in [InstanceState::Stopping, InstanceState::ShuttingDown] {
            let (_, reason) = observed(state, &ended(false, false, EndedBy::Node), ShutdownBehavior::Stop, 1, NOW);
            assert_eq!(reason, None);
        }
    }
}
