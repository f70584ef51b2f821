//! Who is ended when a group shrinks: AWS's exact order.
//!
//! Owns that choice and the record of how it came about. Must never end anybody, nor decide how many. Source: Amazon EC2 Auto
//! Scaling user guide, "Configure termination policies". Balance among zones comes first, whatever the policies say; members
//! that are protected from scaling in are never chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{InstanceId, ZoneName};
use crate::time::Timestamp;

/// What instances are billed by.
const HOUR: Duration = Duration::from_secs(3600);

/// One rule of a group's list; each narrows whom the ones before it leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminationPolicy {
    /// The oldest launch configuration, else the oldest launch template, then the next billing hour.
    Default,
    /// Whoever is spread worst among instance types. Groups of one type have nobody such, so it narrows nothing.
    AllocationStrategy,
    /// Members on the oldest launch template: first those of another than the group's, then those of its oldest version.
    OldestLaunchTemplate,
    /// Members on the oldest launch configuration.
    OldestLaunchConfiguration,
    /// Whoever begins another hour first.
    ClosestToNextInstanceHour,
    /// Whoever was launched last.
    NewestInstance,
    /// Whoever was launched first.
    OldestInstance,
}

impl TerminationPolicy {
    /// All of them, in the order of DescribeTerminationPolicyTypes.
    pub const ALL: [Self; 7] = [
        Self::AllocationStrategy,
        Self::ClosestToNextInstanceHour,
        Self::Default,
        Self::NewestInstance,
        Self::OldestInstance,
        Self::OldestLaunchConfiguration,
        Self::OldestLaunchTemplate,
    ];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::AllocationStrategy => "AllocationStrategy",
            Self::OldestLaunchTemplate => "OldestLaunchTemplate",
            Self::OldestLaunchConfiguration => "OldestLaunchConfiguration",
            Self::ClosestToNextInstanceHour => "ClosestToNextInstanceHour",
            Self::NewestInstance => "NewestInstance",
            Self::OldestInstance => "OldestInstance",
        }
    }

    /// The policy of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }
}

/// Why a list of policies makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPolicies {
    /// No policy of that name.
    #[error("{0} is not a valid termination policy")]
    Unknown(String),
    /// `Default` leaves nothing to narrow.
    #[error("Default must be the last termination policy in the list")]
    DefaultNotLast,
    /// One of them twice.
    #[error("Termination policy {0} is specified more than once")]
    Twice(&'static str),
}

/// Reads a list of policies. None at all means `Default`.
pub fn read<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Vec<TerminationPolicy>, BadPolicies> {
    let mut policies = Vec::new();
    for name in names {
        let cut = || name.chars().take(64).collect();
        let policy = TerminationPolicy::named(name).ok_or_else(|| BadPolicies::Unknown(cut()))?;
        if policies.contains(&policy) {
            return Err(BadPolicies::Twice(policy.as_str()));
        }
        if policies.contains(&TerminationPolicy::Default) {
            return Err(BadPolicies::DefaultNotLast);
        }
        policies.push(policy);
    }
    Ok(if policies.is_empty() { vec![TerminationPolicy::Default] } else { policies })
}

/// What a member was launched from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A launch configuration, made at a time.
    LaunchConfiguration {
        /// When it was made.
        created: Timestamp,
    },
    /// A version of a launch template.
    LaunchTemplate {
        /// Whether the template is the one that the group launches from now.
        current: bool,
        /// Its version.
        version: u64,
    },
    /// Neither: it was attached.
    Other,
}

/// A member that might be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Who.
    pub id: InstanceId,
    /// Where.
    pub zone: ZoneName,
    /// Since when.
    pub launched: Timestamp,
    /// Whether it is protected from scaling in. It counts for its zone all the same.
    pub protected: bool,
    /// What it was launched from.
    pub source: Source,
}

/// By what some were left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Narrowing {
    /// They are in a zone that is not the group's any more.
    StrayZone,
    /// They are in a zone with the most members.
    FullestZone,
    /// They are on a launch configuration, and others on templates.
    OnLaunchConfiguration,
    /// They are on the oldest launch configuration.
    OldestLaunchConfiguration,
    /// They are on another template than the group's.
    OtherLaunchTemplate,
    /// They are on the oldest version of the template.
    OldestLaunchTemplateVersion,
    /// They begin another hour first.
    NextInstanceHour,
    /// They were launched first.
    Oldest,
    /// They were launched last.
    Newest,
    /// The dice say so.
    Chance,
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StrayZone => "in a zone that is not the group's",
            Self::FullestZone => "in a zone with the most members",
            Self::OnLaunchConfiguration => "on a launch configuration rather than a template",
            Self::OldestLaunchConfiguration => "on the oldest launch configuration",
            Self::OtherLaunchTemplate => "on another launch template than the group's",
            Self::OldestLaunchTemplateVersion => "on the oldest version of the launch template",
            Self::NextInstanceHour => "closest to the next instance hour",
            Self::Oldest => "launched first",
            Self::Newest => "launched last",
            Self::Chance => "by chance",
        })
    }
}

/// Who is ended, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Who.
    pub instance: InstanceId,
    /// What left how many over, in order; rules that left everybody are not in it.
    pub steps: Vec<(Narrowing, u32)>,
}

/// Who is ended next of the `members`, where `zones` are the group's; `None` where everybody is protected. The dice (`roll`)
/// say between those whom nothing tells apart.
#[must_use]
pub fn choose(
    members: &[Candidate],
    zones: &[ZoneName],
    policies: &[TerminationPolicy],
    now: Timestamp,
    roll: u64,
) -> Option<Chosen> {
    let mut left = Left { members: members.iter().filter(|m| !m.protected).collect(), steps: Vec::new() };
    left.narrow(Narrowing::StrayZone, |m| !zones.contains(&m.zone));
    let mut counts: BTreeMap<&ZoneName, u32> = BTreeMap::new();
    for member in members {
        *counts.entry(&member.zone).or_default() += 1;
    }
    left.least(Narrowing::FullestZone, |m| std::cmp::Reverse(counts.get(&m.zone).copied().unwrap_or(0)));
    for policy in policies {
        left.apply(*policy, now);
    }
    let count = left.members.len();
    let place = usize::try_from(roll % (count.max(1) as u64)).unwrap_or(0);
    let chosen = left.members.get(place)?.id.clone();
    left.narrow(Narrowing::Chance, |m| m.id == chosen);
    Some(Chosen { instance: chosen, steps: left.steps })
}

/// Who is ended next, so many of them, one after the other: each time the zones are counted anew. Fewer where the others are
/// protected.
#[must_use]
pub fn choose_many(
    members: &[Candidate],
    zones: &[ZoneName],
    policies: &[TerminationPolicy],
    count: u32,
    now: Timestamp,
    mut dice: impl FnMut() -> u64,
) -> Vec<Chosen> {
    let mut left = members.to_vec();
    let mut chosen = Vec::new();
    for _ in 0..count {
        let Some(next) = choose(&left, zones, policies, now, dice()) else { break };
        left.retain(|member| member.id != next.instance);
        chosen.push(next);
    }
    chosen
}

/// Those who are left.
struct Left<'m> {
    members: Vec<&'m Candidate>,
    steps: Vec<(Narrowing, u32)>,
}

impl Left<'_> {
    fn apply(&mut self, policy: TerminationPolicy, now: Timestamp) {
        match policy {
            TerminationPolicy::Default => {
                self.narrow(Narrowing::OnLaunchConfiguration, |m| configuration(m).is_some());
                self.oldest_configuration();
                self.oldest_template();
                self.next_hour(now);
            }
            TerminationPolicy::AllocationStrategy => {}
            TerminationPolicy::OldestLaunchTemplate => self.oldest_template(),
            TerminationPolicy::OldestLaunchConfiguration => self.oldest_configuration(),
            TerminationPolicy::ClosestToNextInstanceHour => self.next_hour(now),
            TerminationPolicy::NewestInstance => {
                self.least(Narrowing::Newest, |m| std::cmp::Reverse(m.launched));
            }
            TerminationPolicy::OldestInstance => self.least(Narrowing::Oldest, |m| m.launched),
        }
    }

    fn oldest_configuration(&mut self) {
        let oldest = self.members.iter().filter_map(|m| configuration(m)).min();
        self.narrow(Narrowing::OldestLaunchConfiguration, |m| oldest.is_some() && configuration(m) == oldest);
    }

    fn oldest_template(&mut self) {
        let version = |m: &Candidate| match m.source {
            Source::LaunchTemplate { current: true, version } => Some(version),
            _ => None,
        };
        let others = |m: &Candidate| matches!(m.source, Source::LaunchTemplate { current: false, .. });
        if self.members.iter().any(|m| others(m)) {
            return self.narrow(Narrowing::OtherLaunchTemplate, others);
        }
        let oldest = self.members.iter().filter_map(|m| version(m)).min();
        self.narrow(Narrowing::OldestLaunchTemplateVersion, |m| oldest.is_some() && version(m) == oldest);
    }

    fn next_hour(&mut self, now: Timestamp) {
        let hour = HOUR.as_millis();
        self.least(Narrowing::NextInstanceHour, |m| hour - now.since(m.launched).as_millis() % hour);
    }

    /// Leaves those for whom something holds, where it holds for anybody.
    fn narrow(&mut self, by: Narrowing, holds: impl Fn(&Candidate) -> bool) {
        let before = self.members.len();
        if self.members.iter().any(|m| holds(m)) {
            self.members.retain(|m| holds(m));
        }
        if self.members.len() < before {
            self.steps.push((by, u32::try_from(self.members.len()).unwrap_or(u32::MAX)));
        }
    }

    /// Leaves those with the least of something.
    fn least<K: Ord>(&mut self, by: Narrowing, key: impl Fn(&Candidate) -> K) {
        if let Some(least) = self.members.iter().map(|m| key(m)).min() {
            self.narrow(by, |m| key(m) == least);
        }
    }
}

fn configuration(member: &Candidate) -> Option<Timestamp> {
    match member.source {
        Source::LaunchConfiguration { created } => Some(created),
        Source::LaunchTemplate { .. } | Source::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const NOW: Timestamp = Timestamp(1000 * MINUTE);

    fn zone(name: &str) -> ZoneName {
        ZoneName::new(name).unwrap()
    }

    /// A member on the launch configuration made at 0, launched some minutes ago.
    fn member(number: u32, in_zone: &str, minutes: u64) -> Candidate {
        Candidate {
            id: InstanceId::new(format!("i-{number:08x}")).unwrap(),
            zone: zone(in_zone),
            launched: Timestamp(NOW.0 - minutes * MINUTE),
            protected: false,
            source: Source::LaunchConfiguration { created: Timestamp(0) },
        }
    }

    fn on(source: Source, member: Candidate) -> Candidate {
        Candidate { source, ..member }
    }

    fn configuration(created: u64) -> Source {
        Source::LaunchConfiguration { created: Timestamp(created) }
    }

    fn template(current: bool, version: u64) -> Source {
        Source::LaunchTemplate { current, version }
    }

    #[track_caller]
    fn check(members: &[Candidate], policies: &[TerminationPolicy], expected: &[u32]) {
        let zones = [zone("a"), zone("b")];
        // Every roll of the dice: who can be chosen at all.
        let mut found: Vec<u32> = (0..12)
            .filter_map(|roll| choose(members, &zones, policies, NOW, roll))
            .map(|chosen| u32::from_str_radix(chosen.instance.as_str().trim_start_matches("i-"), 16).unwrap())
            .collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, expected);
    }

    #[test]
    fn zones_come_first() {
        use TerminationPolicy::*;
        let members = [member(1, "a", 90), member(2, "b", 10), member(3, "b", 20)];
        check(&members, &[OldestInstance], &[3]);
        check(&members, &[NewestInstance], &[2]);
        // Zones with equally many are one.
        let equal = [member(1, "a", 90), member(2, "b", 10)];
        check(&equal, &[OldestInstance], &[1]);
        // A zone in which everybody is protected gives nobody, and yet it counts.
        let protect = |member: Candidate| Candidate { protected: true, ..member };
        let guarded = [member(1, "a", 90), protect(member(2, "b", 10)), protect(member(3, "b", 20))];
        check(&guarded, &[OldestInstance], &[1]);
        check(&guarded[1..], &[OldestInstance], &[]);
        // One is protected: its zone is the fullest all the same.
        let one = [member(1, "a", 90), protect(member(2, "b", 10)), member(3, "b", 20)];
        check(&one, &[OldestInstance], &[3]);
        // A zone that is not the group's any more gives first.
        let stray = [member(1, "c", 10), member(2, "b", 10), member(3, "b", 20)];
        check(&stray, &[OldestInstance], &[1]);
    }

    #[test]
    fn the_default_order() {
        use TerminationPolicy::Default;
        let old = [
            on(configuration(5), member(1, "a", 59)),
            on(configuration(3), member(2, "a", 10)),
            on(configuration(3), member(3, "a", 20)),
        ];
        check(&old, &[Default], &[3]);
        let mixed = [on(template(false, 1), member(1, "a", 59)), on(configuration(9), member(2, "a", 1))];
        check(&mixed, &[Default], &[2]);
        let templates = [on(template(true, 1), member(1, "a", 59)), on(template(false, 7), member(2, "a", 1))];
        check(&templates, &[Default], &[2]);
        let versions = [on(template(true, 2), member(1, "a", 59)), on(template(true, 1), member(2, "a", 1))];
        check(&versions, &[Default], &[2]);
        // 65 minutes are 5 of the second hour.
        let hours = [member(1, "a", 65), member(2, "a", 58), member(3, "a", 118), member(4, "a", 60)];
        check(&hours, &[Default], &[2, 3]);
        check(&[member(1, "a", 5), member(2, "b", 5)], &[Default], &[1, 2]);
        check(&[], &[Default], &[]);
    }

    #[test]
    fn a_list_narrows_in_order() {
        use TerminationPolicy::*;
        let members = [
            on(configuration(3), member(1, "a", 30)),
            on(configuration(3), member(2, "a", 50)),
            on(configuration(5), member(3, "a", 70)),
        ];
        check(&members, &[OldestLaunchConfiguration, NewestInstance], &[1]);
        check(&members, &[OldestLaunchConfiguration, ClosestToNextInstanceHour], &[2]);
        check(&members, &[OldestInstance], &[3]);
        check(&members, &[AllocationStrategy, OldestLaunchTemplate, OldestInstance], &[3]);
        check(&members, &[AllocationStrategy], &[1, 2, 3]);
        let attached = [on(Source::Other, member(1, "a", 30)), on(template(true, 4), member(2, "a", 30))];
        check(&attached, &[OldestLaunchTemplate], &[2]);
        check(&attached, &[OldestLaunchConfiguration], &[1, 2]);
    }

    #[test]
    fn the_record_says_what_left_whom() {
        let members = [member(1, "a", 90), member(2, "b", 10), member(3, "b", 20), member(4, "b", 20)];
        let chosen = choose(&members, &[zone("a"), zone("b")], &[TerminationPolicy::OldestInstance], NOW, 1).unwrap();
        assert_eq!(chosen.instance.as_str(), "i-00000004");
        let expected = [(Narrowing::FullestZone, 3), (Narrowing::Oldest, 2), (Narrowing::Chance, 1)];
        assert_eq!(chosen.steps, expected);
    }

    #[test]
    fn several_leave_the_zones_balanced() {
        let members: Vec<Candidate> =
            (1..=6).map(|n| member(n, if n <= 4 { "a" } else { "b" }, u64::from(n))).collect();
        let chosen = choose_many(&members, &[zone("a"), zone("b")], &[TerminationPolicy::OldestInstance], 4, NOW, || 0);
        let ids: Vec<&str> = chosen.iter().map(|c| c.instance.as_str()).collect();
        assert_eq!(ids, ["i-00000004", "i-00000003", "i-00000006", "i-00000002"]);
    }

    #[test]
    fn lists_that_make_sense_and_those_that_do_not() {
        use TerminationPolicy::*;
        let check = |names: &[&str], expected: Result<Vec<TerminationPolicy>, BadPolicies>| {
            assert_eq!(read(names.iter().copied()), expected);
        };
        check(&[], Ok(vec![Default]));
        check(&["OldestInstance", "Default"], Ok(vec![OldestInstance, Default]));
        check(&["Default", "OldestInstance"], Err(BadPolicies::DefaultNotLast));
        check(&["OldestInstance", "OldestInstance"], Err(BadPolicies::Twice("OldestInstance")));
        check(&["oldestinstance"], Err(BadPolicies::Unknown("oldestinstance".into())));
    }
}
