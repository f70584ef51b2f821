//! How fast an instance refresh may go: how many members are launched and ended now, when it pauses, when it has failed.
//!
//! Owns these rules. Must never choose whom: [`super::termination`] does. Source: Amazon EC2 Auto Scaling user guide, "How an
//! instance refresh works" and "Add checkpoints to an instance refresh".
//!
//! Beyond AWS: where both shares round to nothing and `MaxHealthyPercentage` is not stated, one is launched before one is ended,
//! so that the group is never below its least share; AWS ends one first. And a refresh fails once a few replacements in a row
//! came to nothing, rather than after an hour of trying.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The least share of a group when not stated, in percent (AWS).
pub const USUAL_LEAST: u32 = 90;
/// How long a refresh may come no further (AWS: an hour).
pub const STALLS_FOR: Duration = Duration::from_secs(3600);
/// How long a refresh may take in all (AWS: 14 days).
pub const LASTS_FOR: Duration = Duration::from_secs(14 * 24 * 3600);
/// Replacements in a row that may come to nothing, in a group of up to thirty.
const FAILURES: u32 = 3;

/// How many members there are while they are replaced, in percent of the desired capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// In service and healthy, at least: 0–100; 90 where not stated.
    pub least: Option<u32>,
    /// In service or on their way, at most: 100–200; 100 where not stated, or one more where that is too few to begin with.
    pub most: Option<u32>,
}

impl Share {
    /// How many are in service and healthy at least.
    #[must_use]
    pub fn least_of(self, desired: u32) -> u32 {
        number((u64::from(desired) * u64::from(self.least.unwrap_or(USUAL_LEAST))).div_ceil(100))
    }

    /// How many are in service or on their way at most.
    #[must_use]
    pub fn most_of(self, desired: u32) -> u32 {
        number(u64::from(desired) * u64::from(self.most.unwrap_or(100)) / 100)
    }
}

/// A group as it is while it is refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// How many members it is to have.
    pub desired: u32,
    /// How many are in service or on their way there.
    pub capacity: u32,
    /// How many are in service and healthy; of the new ones those that were for long enough.
    pub healthy: u32,
    /// Of the healthy, how many are to be replaced.
    pub old: u32,
    /// How many are to be replaced that serve nobody: on their way, or ill.
    pub idle: u32,
    /// How many come: on their way, or not in service for long enough.
    pub coming: u32,
    /// Whether there is room for another one.
    pub has_room: bool,
}

/// What may be done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How many are launched over what there is to be.
    pub launch: u32,
    /// How many are ended that serve nobody.
    pub end_idle: u32,
    /// How many are ended that serve.
    pub end: u32,
}

/// How many may be launched and ended now, so that the shares hold and at most `more` replacements begin. A replacement begins
/// with a launch over what there is to be, or with an end that another one is launched for.
#[must_use]
pub fn allowance(share: Share, fleet: Fleet, more: u32) -> Allowance {
    let Fleet { desired, capacity, .. } = fleet;
    let (least, most) = (share.least_of(desired), share.most_of(desired));
    let (surplus, missing) = (capacity.saturating_sub(desired), desired.saturating_sub(capacity));
    let spare = fleet.healthy.saturating_sub(least);
    // Of those that are over, each has taken the place of an old one.
    let mut begin = (fleet.old + fleet.idle).saturating_sub(surplus).min(more);
    // Where some are missing, those that come for them are new already.
    let may_launch = if missing == 0 && fleet.has_room { most.saturating_sub(capacity) } else { 0 };
    let mut allowed = Allowance { launch: may_launch.min(begin), ..Allowance::default() };
    begin -= allowed.launch;
    allowed.end_idle = fleet.idle.min(surplus.saturating_add(begin));
    begin -= allowed.end_idle.saturating_sub(surplus);
    let over = surplus.saturating_sub(allowed.end_idle);
    allowed.end = spare.min(fleet.old).min(over.saturating_add(begin));
    let nothing = allowed == Allowance::default() && fleet.coming == 0 && surplus == 0 && missing == 0;
    if !nothing || begin == 0 || fleet.old == 0 {
        return allowed;
    }
    // Both shares round to nothing; at least one must come or go, or the group would never change (AWS).
    let keeps = share.least.is_some_and(|least| least >= 100);
    match (keeps || share.most.is_none()) && fleet.has_room {
        true => allowed.launch = 1,
        false if keeps || fleet.healthy < desired => {}
        false => allowed.end = 1,
    }
    allowed
}

/// How many members are new at a checkpoint.
#[must_use]
pub fn at_checkpoint(total: u32, percent: u32) -> u32 {
    number((u64::from(total) * u64::from(percent)).div_ceil(100))
}

/// How many of the checkpoints are reached when so many are new: some may be passed at once (AWS).
#[must_use]
pub fn reached(checkpoints: &[u32], total: u32, updated: u32) -> u32 {
    let reached = checkpoints.iter().take_while(|percent| updated >= at_checkpoint(total, **percent)).count();
    u32::try_from(reached).unwrap_or(u32::MAX)
}

/// Whether so many replacements in a row that came to nothing are enough: three, or a tenth of a large group, since so many are
/// launched at once.
#[must_use]
pub fn has_failed(failures: u32, desired: u32) -> bool {
    failures >= FAILURES.max(desired / 10)
}

/// How many percent are new; 100 only where nobody is left.
#[must_use]
pub fn percent(updated: u32, total: u32, left: u32) -> u8 {
    let whole = if total == 0 { 100 } else { u64::from(updated.min(total)) * 100 / u64::from(total) };
    let most = if left > 0 { 99 } else { 100 };
    u8::try_from(whole.min(most)).unwrap_or(100)
}

fn number(wide: u64) -> u32 {
    u32::try_from(wide).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(least: u32, most: impl Into<Option<u32>>) -> Share {
        Share { least: Some(least), most: most.into() }
    }

    /// Six of which all serve and are old.
    const WHOLE: Fleet = Fleet { desired: 6, capacity: 6, healthy: 6, old: 6, idle: 0, coming: 0, has_room: true };

    /// How many are launched, ended that serve nobody, and ended that serve.
    fn check_allowed(share: Share, fleet: Fleet, more: u32, expected: [u32; 3]) {
        let Allowance { launch, end_idle, end } = allowance(share, fleet, more);
        assert_eq!([launch, end_idle, end], expected, "{share:?} {fleet:?} at most {more}");
    }

    #[test]
    fn shares_say_who_comes_and_goes_first() {
        let check = |share: Share, desired: u32, healthy: u32, old: u32, coming: u32, launch: u32, end: u32| {
            let fleet = Fleet { desired, capacity: healthy + coming, healthy, old, coming, ..WHOLE };
            check_allowed(share, fleet, u32::MAX, [launch, 0, end]);
        };
        // AWS's examples of ten: nine stay, and one at a time is ended first.
        check(share(90, 100), 10, 10, 10, 0, 0, 1);
        check(share(90, 100), 10, 9, 9, 1, 0, 0);
        check(share(90, 100), 10, 9, 9, 0, 0, 0);
        // Launched first, two at a time.
        check(share(100, 120), 10, 10, 10, 0, 2, 0);
        check(share(100, 120), 10, 10, 10, 2, 0, 0);
        check(share(100, 120), 10, 12, 10, 0, 0, 2);
        // Both at once.
        check(share(90, 110), 10, 10, 10, 0, 1, 1);
        check(share(0, 100), 4, 4, 4, 0, 0, 4);
        check(share(0, 200), 4, 4, 4, 0, 4, 0);
        // Six at 90 %: one more comes first, unless it is stated that there are never more.
        check(share(90, None), 6, 6, 6, 0, 1, 0);
        check(share(90, None), 6, 6, 6, 1, 0, 0);
        check(share(90, None), 6, 7, 6, 0, 0, 1);
        check(Share { least: None, most: None }, 6, 6, 6, 0, 1, 0);
        check(share(90, 100), 6, 6, 6, 0, 0, 1);
        check(share(90, 100), 6, 5, 5, 1, 0, 0);
        check(share(100, 100), 6, 6, 6, 0, 1, 0);
        check(share(100, 110), 1, 1, 1, 0, 1, 0);
        check(share(100, 110), 1, 2, 1, 0, 0, 1);
        // The last one's successor is there; nobody is left.
        check(share(50, 200), 2, 3, 1, 0, 0, 1);
        check(share(50, 200), 2, 2, 0, 0, 0, 0);
    }

    #[test]
    fn without_room_one_is_ended_first_unless_all_are_to_stay() {
        let full = Fleet { has_room: false, ..WHOLE };
        check_allowed(share(90, None), full, 9, [0, 0, 1]);
        check_allowed(share(100, 200), full, 9, [0, 0, 0]);
        check_allowed(share(90, None), Fleet { healthy: 5, old: 5, ..full }, 9, [0, 0, 0]);
    }

    #[test]
    fn who_serves_nobody_goes_at_once_and_checkpoints_hold() {
        let half = Fleet { healthy: 3, old: 3, idle: 3, ..WHOLE };
        check_allowed(share(90, None), half, 9, [0, 3, 0]);
        check_allowed(share(90, None), half, 2, [0, 2, 0]);
        check_allowed(share(0, 100), WHOLE, 2, [0, 0, 2]);
        check_allowed(share(90, None), WHOLE, 0, [0, 0, 0]);
        // Those that are over have begun already.
        check_allowed(share(100, 150), Fleet { capacity: 8, healthy: 8, ..WHOLE }, 0, [0, 0, 2]);
    }

    #[test]
    fn checkpoints_are_reached_in_order_and_may_be_passed() {
        let check = |checkpoints: &[u32], total: u32, updated: u32, expected: u32| {
            assert_eq!(reached(checkpoints, total, updated), expected, "{checkpoints:?}: {updated} of {total}");
        };
        check(&[20, 50, 100], 10, 1, 0);
        check(&[20, 50, 100], 10, 2, 1);
        check(&[10, 40, 100], 2, 1, 2);
        check(&[10, 40, 100], 2, 2, 3);
        check(&[50], 0, 0, 1);
    }

    #[test]
    fn three_in_a_row_are_enough_or_a_tenth_of_a_large_group() {
        let check = |failures: u32, desired: u32, expected: bool| {
            assert_eq!(has_failed(failures, desired), expected, "{failures} of {desired}");
        };
        check(2, 6, false);
        check(3, 6, true);
        check(9, 100, false);
        check(10, 100, true);
    }

    #[test]
    fn all_is_done_only_where_nobody_is_left() {
        let check = |updated: u32, total: u32, left: u32, expected: u8| {
            assert_eq!(percent(updated, total, left), expected, "{updated} of {total}, {left} left");
        };
        check(3, 6, 3, 50);
        check(6, 6, 1, 99);
        check(6, 6, 0, 100);
        check(0, 0, 0, 100);
    }

    proptest! {
        /// Whatever is done at once, the shares hold: but for the one that must come or go.
        #[test]
        fn shares_hold_whatever_is_done(
            desired in 1u32..40, least in 0u32..=100, most in prop::option::of(100u32..=200), over in 0u32..10,
            old in 0u32..50, idle in 0u32..5, coming in 0u32..20, more in 0u32..20, has_room: bool,
        ) {
            let share = Share { least: Some(least), most };
            let capacity = desired + over;
            prop_assume!(coming + idle <= capacity);
            let healthy = capacity - coming - idle;
            let old = old.min(healthy);
            let fleet = Fleet { desired, capacity, healthy, old, idle, coming, has_room };
            let allowed = allowance(share, fleet, more);
            prop_assert!(allowed.end <= old && allowed.end_idle <= idle);
            let (floor, roof) = (share.least_of(desired), share.most_of(desired));
            let forced = most.is_none() || least == 100;
            let after = healthy - allowed.end;
            let one_first = !forced || !has_room;
            prop_assert!(
                allowed.end == 0 || after >= floor || (one_first && least < 100 && after + 1 == desired),
                "{allowed:?}"
            );
            let there = capacity + allowed.launch;
            prop_assert!(allowed.launch == 0 || there <= roof || (forced && there == desired + 1), "{allowed:?}");
            // Each launch and each end that is not made up for already begins a replacement.
            let begun = allowed.launch + (allowed.end + allowed.end_idle).saturating_sub(over);
            prop_assert!(begun <= more.min(old + idle), "{allowed:?}");
        }
    }
}
