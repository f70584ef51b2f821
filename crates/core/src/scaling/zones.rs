//! Balance among zones: where a member is launched, and who is moved.
//!
//! Owns both choices, from counts. Must never launch or end anybody. Who is ended when a zone has too many is said by
//! [`crate::scaling::termination`]. Source: Amazon EC2 Auto Scaling user guide, "Availability Zone distribution" and
//! "Rebalancing activities".

use serde::{Deserialize, Serialize};

use crate::name::ZoneName;

/// What is done where a zone has no room: AWS's CapacityDistributionStrategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Another zone is tried.
    #[default]
    BalancedBestEffort,
    /// The same zone is tried again and again.
    BalancedOnly,
}

impl Distribution {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::BalancedBestEffort, Self::BalancedOnly];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BalancedBestEffort => "balanced-best-effort",
            Self::BalancedOnly => "balanced-only",
        }
    }

    /// The strategy of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == name)
    }
}

/// A zone and how many members it has, those on their way to service included, those on their way out not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneCount {
    /// Its name.
    pub zone: ZoneName,
    /// How many.
    pub members: u32,
    /// Whether the group may be in it.
    pub enabled: bool,
    /// Whether a launch in it failed of late, so that it is to be left alone for now.
    pub failing: bool,
}

/// Where the next member is launched: the enabled zone with the fewest; among equals the dice (`roll`) say. A zone that fails
/// is passed over while another does not, unless the group is to be balanced only. `None` without an enabled zone.
#[must_use]
pub fn next(zones: &[ZoneCount], distribution: Distribution, roll: u64) -> Option<&ZoneCount> {
    let enabled = || zones.iter().filter(|zone| zone.enabled);
    let avoids = distribution == Distribution::BalancedBestEffort && enabled().any(|zone| !zone.failing);
    let open = || enabled().filter(move |zone| !avoids || !zone.failing);
    let fewest = open().map(|zone| zone.members).min()?;
    let equals: Vec<&ZoneCount> = open().filter(|zone| zone.members == fewest).collect();
    let place = usize::try_from(roll % equals.len() as u64).unwrap_or(0);
    equals.get(place).copied()
}

/// Where so many members are launched, one after the other.
#[must_use]
pub fn spread(
    zones: &[ZoneCount],
    launches: u32,
    distribution: Distribution,
    mut dice: impl FnMut() -> u64,
) -> Vec<ZoneName> {
    let mut counts = zones.to_vec();
    let mut chosen = Vec::new();
    for _ in 0..launches {
        let Some(zone) = next(&counts, distribution, dice()).map(|zone| zone.zone.clone()) else { break };
        for count in counts.iter_mut().filter(|count| count.zone == zone) {
            count.members += 1;
        }
        chosen.push(zone);
    }
    chosen
}

/// By how many a group may be above its MaxSize while members are moved: a tenth of it, and at least one.
#[must_use]
pub fn margin(max: u32) -> u32 {
    (max / 10).max(1)
}

/// A member too many in one zone, for whom another is launched first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Where one is to be ended, once the new one is in service.
    pub from: ZoneName,
    /// Where one is to be launched now.
    pub to: ZoneName,
}

/// The moves that balance a group: launch first, end after. Whoever is in a zone that is not enabled any more is moved; among
/// enabled zones that do not fail, no two differ by more than one in the end. While all of the moves are under way the group
/// is not above MaxSize and its [`margin`]; what does not fit waits for a later call. Who is launched for a move that began
/// earlier counts as a member, so asking again changes nothing.
#[must_use]
pub fn rebalance(zones: &[ZoneCount], desired: u32, max: u32) -> Vec<Move> {
    let total: u32 = zones.iter().fold(0, |sum, zone| sum.saturating_add(zone.members));
    // Members beyond those desired are moves under way: they are ended where there are too many, and need no more launches.
    let under_way = total.saturating_sub(desired);
    let mut room = max.saturating_add(margin(max)).saturating_sub(total);
    let mut counts = zones.to_vec();
    for _ in 0..under_way {
        let Some(over) = fullest(&counts) else { break };
        if let Some(zone) = counts.get_mut(over) {
            zone.members -= 1;
        }
    }
    let mut moves = Vec::new();
    while room > 0 {
        let Some(over) = fullest(&counts) else { break };
        let Some(under) = emptiest(&counts) else { break };
        let (Some(from), Some(to)) = (counts.get(over), counts.get(under)) else { break };
        if from.enabled && from.members <= to.members + 1 {
            break;
        }
        moves.push(Move { from: from.zone.clone(), to: to.zone.clone() });
        if let Some(zone) = counts.get_mut(over) {
            zone.members -= 1;
        }
        if let Some(zone) = counts.get_mut(under) {
            zone.members += 1;
        }
        room -= 1;
    }
    moves
}

/// How many members may be ended now because there are more than desired: never one before another is in service for it.
#[must_use]
pub fn surplus(desired: u32, in_service: u32, total: u32) -> u32 {
    total.saturating_sub(desired).min(in_service.saturating_sub(desired))
}

/// The place of the zone that gives first: one that is not enabled and has somebody, else the one with the most.
fn fullest(zones: &[ZoneCount]) -> Option<usize> {
    let occupied = zones.iter().enumerate().filter(|(_, zone)| zone.members > 0);
    occupied.max_by_key(|(at, zone)| (!zone.enabled, zone.members, std::cmp::Reverse(*at))).map(|(at, _)| at)
}

/// The place of the zone that takes first: the enabled one that does not fail with the fewest.
fn emptiest(zones: &[ZoneCount]) -> Option<usize> {
    let open = zones.iter().enumerate().filter(|(_, zone)| zone.enabled && !zone.failing);
    open.min_by_key(|(at, zone)| (zone.members, *at)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(counts: &[(u32, bool, bool)]) -> Vec<ZoneCount> {
        let zone = |(at, (members, enabled, failing)): (usize, &(u32, bool, bool))| ZoneCount {
            zone: ZoneName::new(format!("z-{at}")).unwrap(),
            members: *members,
            enabled: *enabled,
            failing: *failing,
        };
        counts.iter().enumerate().map(zone).collect()
    }

    fn open(counts: &[u32]) -> Vec<ZoneCount> {
        zones(&counts.iter().map(|members| (*members, true, false)).collect::<Vec<_>>())
    }

    #[test]
    fn the_emptiest_zone_is_launched_in() {
        let check = |zones: &[ZoneCount], distribution, roll, expected: Option<&str>| {
            assert_eq!(next(zones, distribution, roll).map(|zone| zone.zone.as_str()), expected);
        };
        use Distribution::*;
        check(&open(&[2, 1, 2]), BalancedBestEffort, 7, Some("z-1"));
        check(&open(&[1, 2, 1]), BalancedBestEffort, 0, Some("z-0"));
        check(&open(&[1, 2, 1]), BalancedBestEffort, 1, Some("z-2"));
        check(&zones(&[(0, false, false), (3, true, false)]), BalancedBestEffort, 0, Some("z-1"));
        let failing = zones(&[(0, true, true), (3, true, false)]);
        check(&failing, BalancedBestEffort, 0, Some("z-1"));
        check(&failing, BalancedOnly, 0, Some("z-0"));
        check(&zones(&[(0, true, true), (3, true, true)]), BalancedBestEffort, 0, Some("z-0"));
        check(&zones(&[(0, false, false)]), BalancedBestEffort, 0, None);
        check(&[], BalancedOnly, 0, None);
        let spread = spread(&open(&[0, 2, 0]), 5, BalancedBestEffort, || 0);
        let names: Vec<&str> = spread.iter().map(ZoneName::as_str).collect();
        assert_eq!(names, ["z-0", "z-2", "z-0", "z-2", "z-0"]);
    }

    #[test]
    fn a_group_is_balanced_by_launching_first() {
        let check = |zones: &[ZoneCount], desired, max, expected: &[(&str, &str)]| {
            let moves = rebalance(zones, desired, max);
            let shown: Vec<_> = moves.iter().map(|m| (m.from.as_str(), m.to.as_str())).collect();
            assert_eq!(shown, expected, "{zones:?}");
        };
        check(&open(&[2, 1]), 3, 3, &[]);
        check(&open(&[3, 1]), 4, 4, &[("z-0", "z-1")]);
        // Four are to move, and MaxSize and its margin leave room for one at a time.
        check(&open(&[8, 0]), 8, 8, &[("z-0", "z-1")]);
        check(&open(&[8, 0]), 8, 30, &[("z-0", "z-1"); 4]);
        check(&open(&[20, 0]), 20, 20, &[("z-0", "z-1"); 2]);
        // The one launched before counts: it is not launched again.
        check(&open(&[8, 1]), 8, 8, &[]);
        check(&open(&[3, 2]), 4, 4, &[]);
        // A zone that is not the group's any more.
        check(&zones(&[(2, false, false), (2, true, false)]), 4, 10, &[("z-0", "z-1"), ("z-0", "z-1")]);
        check(&zones(&[(3, true, false), (0, true, true)]), 3, 3, &[]);
        check(&zones(&[(3, false, false)]), 3, 3, &[]);
    }

    #[test]
    fn the_old_one_goes_when_the_new_one_is_there() {
        assert_eq!(margin(4), 1);
        assert_eq!(margin(20), 2);
        assert_eq!(surplus(4, 4, 5), 0);
        assert_eq!(surplus(4, 5, 5), 1);
        assert_eq!(surplus(4, 5, 7), 1);
        assert_eq!(surplus(4, 3, 3), 0);
    }
}
