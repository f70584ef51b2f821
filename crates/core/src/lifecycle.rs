//! The life of an instance: which state may follow which, and why.
//!
//! Owns EC2's state machine (AWS, "Instance lifecycle"). Must never know how instances really run. Who asks: the World.

use crate::change::Seen;
use crate::noun::{InstanceState, ShutdownBehavior, StateReason};

/// What somebody asks of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The state that follows from what a driver saw, with the reason where there is one. The same state: no news.
#[must_use]
pub fn observed(state: InstanceState, seen: &Seen, shutdown: ShutdownBehavior) -> (InstanceState, Option<StateReason>) {
    use InstanceState as S;
    match (state, seen) {
        (S::Pending, Seen::Running { .. }) => (S::Running, None),
        (S::ShuttingDown, Seen::Ended { .. }) => (S::Terminated, None),
        (S::Stopping, Seen::Ended { .. }) => (S::Stopped, None),
        (S::Pending | S::Running, Seen::Ended { how, orderly, never_started }) => {
            let code = if *orderly { "Client.InstanceInitiatedShutdown" } else { "Client.InternalError" };
            let reason = StateReason { code: code.to_owned(), message: format!("{code}: {how}") };
            // An instance that never ran has nothing worth keeping for a second start.
            let terminates = *never_started || shutdown == ShutdownBehavior::Terminate;
            (if terminates { S::Terminated } else { S::Stopped }, Some(reason))
        }
        (_, _) => (state, None),
    }
}

/// The reason recorded when a user ends or stops an instance.
#[must_use]
pub fn user_initiated() -> StateReason {
    StateReason {
        code: "Client.UserInitiatedShutdown".to_owned(),
        message: "Client.UserInitiatedShutdown: User initiated shutdown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noun::InstanceStatus;

    #[test]
    fn terminated_is_final() {
        for wish in [Wish::Stop, Wish::Start, Wish::Reboot] {
            assert_eq!(wished(InstanceState::Terminated, wish), None);
        }
        let ended = Seen::Ended { how: String::new(), orderly: true, never_started: false };
        for seen in [Seen::Running { status: InstanceStatus::Ok }, ended] {
            let (state, reason) = observed(InstanceState::Terminated, &seen, ShutdownBehavior::Stop);
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
    fn a_running_instance_that_ends_follows_its_shutdown_behaviour() {
        let ended = |orderly, never_started| Seen::Ended { how: "it ended".into(), orderly, never_started };
        let check = |seen: Seen, shutdown, want, code: &str| {
            let (state, reason) = observed(InstanceState::Running, &seen, shutdown);
            assert_eq!((state, reason.unwrap().code.as_str()), (want, code));
        };
        check(ended(true, false), ShutdownBehavior::Stop, InstanceState::Stopped, "Client.InstanceInitiatedShutdown");
        check(ended(false, false), ShutdownBehavior::Stop, InstanceState::Stopped, "Client.InternalError");
        check(ended(false, false), ShutdownBehavior::Terminate, InstanceState::Terminated, "Client.InternalError");
        check(ended(false, true), ShutdownBehavior::Stop, InstanceState::Terminated, "Client.InternalError");
    }
}
