//! The rules of scaling against a second writing of what AWS documents: tables, counting and trying everything, slow and
//! plain, so that one mistake is not made twice.
//!
//! Owns that model. Must never call the code that it judges to make its own answer.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use evenkeel_core::name::{InstanceId, ZoneName};
use evenkeel_core::scaling::adjustment::{Adjustment, AdjustmentType, Bounds};
use evenkeel_core::scaling::cooldown::Cooldown;
use evenkeel_core::scaling::cron::Recurrence;
use evenkeel_core::scaling::decide::{
    AlarmSignal, AlarmState, Behavior, History, Policy, Rule, Signal, Situation, decide,
};
use evenkeel_core::scaling::step::{self, Side, StepAdjustment};
use evenkeel_core::scaling::termination::{self, Candidate, Source, TerminationPolicy};
use evenkeel_core::scaling::tracking::Reading;
use evenkeel_core::scaling::zones::{self, Distribution, ZoneCount};
use evenkeel_core::time::Timestamp;
use proptest::prelude::*;

// ---- percentages -------------------------------------------------------------------------------------------------------

/// "Values greater than 1 are rounded down. Values between 0 and 1 are rounded to 1. Values between 0 and -1 are rounded to
/// -1. Values less than -1 are rounded up." And: at least MinAdjustmentMagnitude. Counted out, not divided.
fn percent_by_counting(base: u32, percent: i32, magnitude: Option<u32>) -> i64 {
    let hundredths = u64::from(base) * u64::from(percent.unsigned_abs());
    let mut whole = 0_u64;
    while (whole + 1) * 100 <= hundredths {
        whole += 1;
    }
    if whole == 0 && hundredths > 0 {
        whole = 1;
    }
    while percent != 0 && whole < u64::from(magnitude.unwrap_or(0)) {
        whole += 1;
    }
    let whole = i64::try_from(whole).unwrap();
    if percent < 0 { -whole } else { whole }
}

proptest! {
    #[test]
    fn percentages_are_rounded_as_documented(
        base in 0_u32..300, percent in -150_i32..400, magnitude in prop::option::of(1_u32..12), min in 0_u32..20, room in 0_u32..300,
    ) {
        let kind = AdjustmentType::PercentChangeInCapacity;
        let adjusted = Adjustment { kind, amount: percent, min_magnitude: magnitude }.apply(base);
        let change = percent_by_counting(base, percent, magnitude);
        prop_assert_eq!(adjusted.change, change);
        prop_assert_eq!(adjusted.wanted, (i64::from(base) + change).max(0));
        // Bounds: of all the capacities that are allowed, the nearest.
        let (capacity, _) = Bounds { min, max: min + room }.clamp(adjusted.wanted);
        let nearest = (min..=min + room).min_by_key(|c| (i64::from(*c) - adjusted.wanted).abs()).unwrap();
        prop_assert_eq!(capacity, nearest);
    }
}

// ---- steps -------------------------------------------------------------------------------------------------------------

/// Bounds in quarters, so that they are exact; none for no end.
type Quarters = (Option<i32>, Option<i32>);

fn as_step((lower, upper): Quarters) -> StepAdjustment {
    let bound = |quarters: Option<i32>| quarters.map(|quarters| f64::from(quarters) / 4.0);
    StepAdjustment { lower: bound(lower), upper: bound(upper), amount: 1 }
}

/// Whether a point between two quarters (given in eighths, odd) is in a step.
fn covers(step: Quarters, eighths: i32) -> bool {
    step.0.is_none_or(|lower| lower * 2 < eighths) && step.1.is_none_or(|upper| eighths < upper * 2)
}

/// The documented rules, by trying every point between bounds.
fn makes_sense(steps: &[Quarters]) -> bool {
    let points = || (-61..=61).filter(|point| point % 2 != 0);
    let counts: Vec<usize> = points().map(|p| steps.iter().filter(|s| covers(**s, p)).count()).collect();
    let first = counts.iter().position(|count| *count > 0);
    let last = counts.iter().rposition(|count| *count > 0);
    let (Some(first), Some(last)) = (first, last) else { return false };
    let no_overlap = counts.iter().all(|count| *count <= 1);
    let no_gap = counts[first..=last].iter().all(|count| *count >= 1);
    let none_empty = steps.iter().all(|step| points().any(|point| covers(*step, point)));
    let none_for_all = !steps.contains(&(None, None));
    let open_below = steps.iter().filter(|step| step.0.is_none()).count();
    let open_above = steps.iter().filter(|step| step.1.is_none()).count();
    let below_needs_open = !steps.iter().any(|step| step.0.is_some_and(|lower| lower < 0)) || open_below == 1;
    let above_needs_open = !steps.iter().any(|step| step.1.is_some_and(|upper| upper > 0)) || open_above == 1;
    no_overlap && no_gap && none_empty && none_for_all && below_needs_open && above_needs_open
}

fn any_bound() -> impl Strategy<Value = Option<i32>> {
    prop_oneof![1 => Just(None), 4 => (-24_i32..=24).prop_map(Some)]
}

/// Steps that touch each other, and, with some luck, one of them spoilt.
fn nearly_good() -> impl Strategy<Value = Vec<Quarters>> {
    let cuts = prop::collection::btree_set(-24_i32..=24, 1..6);
    (cuts, any::<[bool; 3]>(), prop::option::of((0_usize..6, any_bound(), any::<bool>()))).prop_map(
        |(cuts, ends, spoilt)| {
            let cuts: Vec<i32> = cuts.into_iter().collect();
            let mut steps: Vec<Quarters> = cuts.windows(2).map(|pair| (Some(pair[0]), Some(pair[1]))).collect();
            if ends[0] {
                steps.push((None, cuts.first().copied()));
            }
            if ends[1] {
                steps.push((cuts.last().copied(), None));
            }
            if ends[2] {
                steps.reverse();
            }
            if let Some((at, bound, upper)) = spoilt
                && let Some(step) = steps.get_mut(at)
            {
                if upper { step.1 = bound } else { step.0 = bound }
            }
            steps
        },
    )
}

/// Steps that touch each other, open where they must be and, with some luck, where they need not.
fn good() -> impl Strategy<Value = Vec<Quarters>> {
    (prop::collection::btree_set(-24_i32..=24, 1..6), any::<[bool; 3]>()).prop_map(|(cuts, ends)| {
        let cuts: Vec<i32> = cuts.into_iter().collect();
        let (first, last) = (cuts[0], cuts[cuts.len() - 1]);
        let mut steps: Vec<Quarters> = cuts.windows(2).map(|pair| (Some(pair[0]), Some(pair[1]))).collect();
        if ends[0] || first < 0 {
            steps.push((None, Some(first)));
        }
        if ends[1] || last > 0 || steps.is_empty() {
            steps.push((Some(last), None));
        }
        if ends[2] {
            steps.reverse();
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sets_of_steps_are_taken_and_refused_as_documented(
        steps in prop_oneof![nearly_good(), prop::collection::vec((any_bound(), any_bound()), 0..5)],
    ) {
        let stated: Vec<StepAdjustment> = steps.iter().copied().map(as_step).collect();
        prop_assert_eq!(step::check(&stated).is_ok(), makes_sense(&steps), "{:?}", step::check(&stated));
    }

    #[test]
    fn a_breach_is_in_the_step_that_is_documented(
        steps in good(), metric in -130_i32..=130, threshold in -20_i32..=20, low_alarm in any::<bool>(),
    ) {
        prop_assert!(makes_sense(&steps));
        let stated: Vec<StepAdjustment> = steps.iter().copied().map(as_step).collect();
        let side = if low_alarm { Side::Below } else { Side::Above };
        let chosen = step::choose(&stated, f64::from(threshold), f64::from(metric) / 4.0, side);
        // In quarters: "above the threshold the lower bound is inclusive and the upper exclusive, below it the reverse".
        let distance = metric - threshold * 4;
        let is_in = |step: &Quarters, above: bool| {
            let from = step.0.is_none_or(|lower| if above { distance >= lower } else { distance > lower });
            let to = step.1.is_none_or(|upper| if above { distance < upper } else { distance <= upper });
            from && to
        };
        let all = |above: bool| -> Vec<usize> { (0..steps.len()).filter(|at| is_in(&steps[*at], above)).collect() };
        let expected = match distance.signum() {
            1 => all(true),
            -1 => all(false),
            _ if all(!low_alarm).is_empty() => all(low_alarm),
            _ => all(!low_alarm),
        };
        prop_assert!(expected.len() <= 1, "no two steps are for one metric");
        prop_assert_eq!(chosen, expected.first().copied());
    }

    #[test]
    fn what_warms_up_counts_as_added_and_keeps_others_from_going(
        desired in 0_u32..60, not_warm in 0_u32..60, amount in -100_i32..200,
    ) {
        let warm = desired.saturating_sub(not_warm);
        let step = StepAdjustment { lower: Some(0.0), upper: None, amount };
        let stepped = step::apply(step, AdjustmentType::PercentChangeInCapacity, None, desired, desired - warm);
        let change = percent_by_counting(warm, amount, None);
        let (desired, warm) = (i64::from(desired), i64::from(warm));
        let expected = if change > 0 { desired.max(warm + change) } else { (desired + change).max(0) };
        prop_assert_eq!(stepped.wanted, expected);
    }
}

// ---- cooldowns ---------------------------------------------------------------------------------------------------------

fn situation(now: u64, desired: u32, bounds: Bounds) -> Situation {
    Situation {
        now: Timestamp(now * 1000),
        desired,
        bounds,
        warm: desired,
        warming: Vec::new(),
        activity: None,
        cooldown: None,
        suspended: false,
        foreseen: None,
        behavior: Behavior::default(),
        history: History::default(),
    }
}

fn simple(name: &str, amount: i32, cooldown: Option<Duration>, goes_off: bool) -> Policy {
    let side = if amount < 0 { Side::Below } else { Side::Above };
    let state = if goes_off { AlarmState::Alarm } else { AlarmState::Ok };
    let alarm = AlarmSignal { name: name.to_owned(), state, side, threshold: 1.0, datapoints: Vec::new() };
    let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount, min_magnitude: None };
    Policy {
        name: name.to_owned(),
        enabled: true,
        rule: Rule::Simple { adjustment, cooldown },
        signal: Signal::Alarms(vec![alarm]),
    }
}

proptest! {
    /// Second by second: two policies, each with its alarm; an activity takes a while, the rest begins at its end. The model
    /// marks seconds in a calendar.
    #[test]
    fn simple_policies_rest_between_activities(
        alarms in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.3)), 120),
        takes in 0_u64..8, group in 0_u64..20, own in prop::option::of(0_u64..20),
    ) {
        let bounds = Bounds { min: 0, max: 8 };
        let (group, own) = (Duration::from_secs(group), own.map(Duration::from_secs));
        let (mut desired, mut activity, mut cooldown) = (4, None::<(u64, Duration)>, None::<Cooldown>);
        let mut model = 4_i64;
        let mut closed = [false; 200];
        for (second, (up, down)) in alarms.iter().enumerate() {
            let now = second as u64;
            if let Some((_, length)) = activity.filter(|(end, _)| *end <= now) {
                cooldown = Some(Cooldown { since: Timestamp(now * 1000), length });
                activity = None;
            }
            let group_now = Situation {
                activity: activity.map(|_| "one".to_owned()),
                cooldown: cooldown.clone(),
                ..situation(now, desired, bounds)
            };
            let policies = [simple("up", 2, own, *up), simple("down", -1, None, *down)];
            let decision = decide(&group_now, &policies);
            if decision.to != desired {
                let length = match decision.policy.as_deref() {
                    Some("up") => own.unwrap_or(group),
                    _ => group,
                };
                activity = Some((now + takes, length));
                desired = decision.to;
            }
            // The model.
            let wanted = if *up { (model + 2).min(8) } else if *down { (model - 1).max(0) } else { model };
            if !closed[second] && wanted != model {
                let rest = if wanted > model { own.unwrap_or(group) } else { group };
                let end = second + 1 + usize::try_from(takes.max(1) - 1 + rest.as_secs()).unwrap();
                // An activity that takes no time ends when it is next looked at, and so does not keep its second closed.
                for shut in &mut closed[second + 1..end.min(200)] {
                    *shut = true;
                }
                model = wanted;
            }
            prop_assert_eq!(i64::from(desired), model, "second {}", second);
        }
    }
}

// ---- targets -----------------------------------------------------------------------------------------------------------

proptest! {
    /// Of all capacities, the least at which the load leaves each member at its target or below; all policies together.
    #[test]
    fn targets_come_to_the_least_capacity_that_suffices(
        readings in prop::collection::vec((1_u32..200, any::<bool>()), 1..4), desired in 1_u32..40, max in 40_u32..120,
    ) {
        let target = 50_u32;
        let policy = |(at, (value, never_in)): (usize, &(u32, bool))| {
            let state = |is: bool| if is { AlarmState::Alarm } else { AlarmState::Ok };
            Policy {
                name: format!("p{at}"),
                enabled: true,
                rule: Rule::Tracking { target: f64::from(target), disable_scale_in: *never_in },
                signal: Signal::Tracking {
                    reading: Some(Reading { value: f64::from(*value), members: None }),
                    high: state(*value > target),
                    low: state(*value < target * 9 / 10),
                },
            }
        };
        let policies: Vec<Policy> = readings.iter().enumerate().map(policy).collect();
        let decision = decide(&situation(0, desired, Bounds { min: 1, max }), &policies);
        let suffices = |value: u32| (0..=max * 10).find(|c| desired * value <= c * target).unwrap();
        let highest = readings.iter().map(|(value, _)| *value).max().unwrap();
        let may_in = readings.iter().filter(|(_, never_in)| !never_in);
        let all_low = may_in.clone().count() > 0 && may_in.clone().all(|(value, _)| *value < 45);
        let expected = if highest > target {
            suffices(highest).max(desired + 1).min(max)
        } else if all_low {
            may_in.map(|(value, _)| suffices(*value)).max().unwrap().max(1)
        } else {
            desired
        };
        prop_assert_eq!(decision.to, expected, "{:?}", decision);
        // What is left carries the load.
        if decision.to < desired {
            prop_assert!(readings.iter().filter(|(_, n)| !n).all(|(value, _)| desired * value <= decision.to * target));
        }
    }
}

// ---- termination -------------------------------------------------------------------------------------------------------

/// What a policy says of a member as numbers: the least goes first.
fn rank(policy: TerminationPolicy, member: &Candidate, now: u64) -> Vec<u64> {
    let last = u64::MAX;
    let configuration = match member.source {
        Source::LaunchConfiguration { created } => created.0,
        _ => last,
    };
    let template = match member.source {
        Source::LaunchTemplate { current: false, .. } => 0,
        Source::LaunchTemplate { current: true, version } => version,
        _ => last,
    };
    let mut to_hour = member.launched.0;
    while to_hour <= now {
        to_hour += 3_600_000;
    }
    let hour = to_hour - now;
    match policy {
        TerminationPolicy::Default => vec![configuration, template, hour],
        TerminationPolicy::AllocationStrategy => vec![],
        TerminationPolicy::OldestLaunchTemplate => vec![template],
        TerminationPolicy::OldestLaunchConfiguration => vec![configuration],
        TerminationPolicy::ClosestToNextInstanceHour => vec![hour],
        TerminationPolicy::NewestInstance => vec![last - member.launched.0],
        TerminationPolicy::OldestInstance => vec![member.launched.0],
    }
}

fn any_member() -> impl Strategy<Value = (usize, u64, bool, Source)> {
    let source = prop_oneof![
        (1_u64..3).prop_map(|created| Source::LaunchConfiguration { created: Timestamp(created) }),
        (any::<bool>(), 1_u64..4).prop_map(|(current, version)| Source::LaunchTemplate { current, version }),
        Just(Source::Other),
    ];
    (0_usize..4, 0_u64..5, prop::bool::weighted(0.2), source)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn who_goes_first_is_as_tabled(
        members in prop::collection::vec(any_member(), 0..9),
        policies in prop::sample::subsequence(TerminationPolicy::ALL.to_vec(), 0..5).prop_shuffle(),
    ) {
        let now = 20_000_000;
        let zone = |at: usize| ZoneName::new(["a", "b", "c", "stray"][at]).unwrap();
        let all: Vec<Candidate> = members.iter().enumerate().map(|(at, (in_zone, age, protected, source))| Candidate {
            id: InstanceId::new(format!("i-{at:08x}")).unwrap(),
            zone: zone(*in_zone),
            launched: Timestamp(now - age * 1_500_000),
            protected: *protected,
            source: source.clone(),
        }).collect();
        // The table: strays first, then the fullest zone, then the list in order.
        let row = |member: &Candidate| {
            let in_zone = all.iter().filter(|other| other.zone == member.zone).count() as u64;
            let mut row = vec![u64::from(member.zone.as_str() != "stray"), 100 - in_zone];
            row.extend(policies.iter().flat_map(|policy| rank(*policy, member, now)));
            row
        };
        let free = || all.iter().filter(|member| !member.protected);
        let first = free().map(row).min();
        let expected: BTreeSet<&InstanceId> = free().filter(|m| Some(row(m)) == first).map(|m| &m.id).collect();
        let zones: Vec<ZoneName> = (0..3).map(zone).collect();
        let choose = |roll| termination::choose(&all, &zones, &policies, Timestamp(now), roll);
        let rolled: Vec<InstanceId> = (0..8 * 9 * 5 * 7).filter_map(choose).map(|chosen| chosen.instance).collect();
        prop_assert_eq!(rolled.iter().collect::<BTreeSet<_>>(), expected);
    }
}

// ---- zones -------------------------------------------------------------------------------------------------------------

/// The fewest moves of one member from one zone to another that balance the counts, by trying all of them.
fn fewest_moves(start: &[u32], enabled: &[bool]) -> usize {
    let balanced = |counts: &[u32]| {
        let zones = || counts.iter().zip(enabled);
        let open: Vec<u32> = zones().filter(|(_, enabled)| **enabled).map(|(count, _)| *count).collect();
        zones().all(|(count, enabled)| *enabled || *count == 0)
            && open.iter().max().unwrap_or(&0) - open.iter().min().unwrap_or(&0) <= 1
    };
    let mut seen = BTreeMap::from([(start.to_vec(), 0)]);
    let mut line = VecDeque::from([start.to_vec()]);
    while let Some(counts) = line.pop_front() {
        let moves = seen[&counts];
        if balanced(&counts) {
            return moves;
        }
        for from in 0..counts.len() {
            for to in 0..counts.len() {
                let mut next = counts.clone();
                if from != to && enabled[to] && next[from] > 0 {
                    next[from] -= 1;
                    next[to] += 1;
                    if !seen.contains_key(&next) {
                        seen.insert(next.clone(), moves + 1);
                        line.push_back(next);
                    }
                }
            }
        }
    }
    0
}

fn counts_of(counts: &[u32], enabled: &[bool]) -> Vec<ZoneCount> {
    let zone = |(at, (members, enabled)): (usize, (&u32, &bool))| ZoneCount {
        zone: ZoneName::new(format!("z-{at}")).unwrap(),
        members: *members,
        enabled: *enabled,
        failing: false,
    };
    counts.iter().zip(enabled).enumerate().map(zone).collect()
}

proptest! {
    #[test]
    fn zones_are_balanced_in_the_fewest_moves_and_within_the_margin(
        zones in prop::collection::vec((0_u32..6, prop::bool::weighted(0.8)), 1..4), room in 0_u32..12,
    ) {
        let mut counts: Vec<u32> = zones.iter().map(|(members, _)| *members).collect();
        let enabled: Vec<bool> = zones.iter().map(|(_, enabled)| *enabled).collect();
        prop_assume!(enabled.contains(&true));
        let desired: u32 = counts.iter().sum();
        let max = desired + room;
        let most = max + if max >= 20 { max / 10 } else { 1 };
        let needed = fewest_moves(&counts, &enabled);
        let mut made = 0;
        // Rounds: launch first, and once all are in service, end as many, each where the most are.
        for _ in 0..100 {
            let moves = zones::rebalance(&counts_of(&counts, &enabled), desired, max);
            if moves.is_empty() {
                break;
            }
            let place = |name: &ZoneName| name.as_str().trim_start_matches("z-").parse::<usize>().unwrap();
            for step in &moves {
                counts[place(&step.to)] += 1;
            }
            let total: u32 = counts.iter().sum();
            prop_assert!(total <= most, "{} of at most {}", total, most);
            // Asked again while they are under way, there is nothing more to do that would not be done anyway.
            prop_assert!(zones::rebalance(&counts_of(&counts, &enabled), desired, max).len() + moves.len() + made <= needed);
            for step in &moves {
                counts[place(&step.from)] -= 1;
            }
            made += moves.len();
        }
        prop_assert_eq!(made, needed);
        prop_assert_eq!(counts.iter().sum::<u32>(), desired);
        prop_assert_eq!(fewest_moves(&counts, &enabled), 0);
    }

    #[test]
    fn launches_leave_zones_as_even_as_can_be(
        counts in prop::collection::vec(0_u32..6, 1..5), launches in 0_u32..12, seed in any::<u64>(),
    ) {
        let enabled = vec![true; counts.len()];
        let mut seed = seed;
        let dice = || { seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); seed >> 33 };
        let zones = zones::spread(&counts_of(&counts, &enabled), launches, Distribution::BalancedBestEffort, dice);
        prop_assert_eq!(zones.len(), launches as usize);
        let mut after = counts.clone();
        for zone in &zones {
            after[zone.as_str().trim_start_matches("z-").parse::<usize>().unwrap()] += 1;
        }
        // Poured in like water: no zone that was given one has more than another and one.
        let lowest = *after.iter().min().unwrap();
        for (before, now) in counts.iter().zip(&after) {
            prop_assert!(now == before || *now <= lowest + 1, "{:?} became {:?}", counts, after);
        }
    }
}

// ---- recurrences -------------------------------------------------------------------------------------------------------

/// Days and months by walking the calendar from 1970 on.
fn date(mut day: u64) -> (u64, u64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if day < length {
                return (month, day + 1);
            }
            day -= length;
        }
        year += 1;
    }
}

/// Clocks that are an hour ahead for 99 of each 199 hours, so that they are put forward and back at every hour of the day, and
/// never twice within two days.
fn shifting(seconds: i64) -> i32 {
    if (0..99).contains(&seconds.div_euclid(3600).rem_euclid(199)) { 3600 } else { 0 }
}

fn still(_: i64) -> i32 {
    7200
}

proptest! {
    #[test]
    fn the_next_time_is_the_first_minute_that_fits(
        minutes in prop::collection::btree_set(0_u64..60, 1..4), hours in prop::option::of(prop::collection::btree_set(0_u64..24, 1..4)),
        days in prop::option::of(prop::collection::btree_set(1_u64..29, 1..4)), weekdays in prop::option::of(prop::collection::btree_set(0_u64..7, 1..3)),
        start in 1_700_000_000_u64..1_710_000_000, shifts in any::<bool>(),
    ) {
        let list = |set: &BTreeSet<u64>| set.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let field = |set: &Option<BTreeSet<u64>>| set.as_ref().map_or("*".to_owned(), list);
        let text = format!("{} {} {} * {}", list(&minutes), field(&hours), field(&days), field(&weekdays));
        let offset = if shifts { shifting } else { still };
        let found = Recurrence::new(&text).unwrap().next_after(Timestamp(start * 1000), offset).map(|at| at.0 / 1000);
        let fits = |shown: u64| {
            let (minute, hour, day) = (shown / 60 % 60, shown / 3600 % 24, shown / 86_400);
            let on_day = |set: &Option<BTreeSet<u64>>, number: u64| set.as_ref().is_none_or(|set| set.contains(&number));
            let (in_month, in_week) = (on_day(&days, date(day).1), on_day(&weekdays, (day + 4) % 7));
            let day_fits = if days.is_some() && weekdays.is_some() { in_month || in_week } else { in_month && in_week };
            minutes.contains(&minute) && on_day(&hours, hour) && day_fits
        };
        let shown = |moment: u64| moment + u64::try_from(offset(moment as i64)).unwrap();
        // What clocks show has been shown before only where they were put back, up to an hour before.
        let again = |moment: u64| (1..=60).any(|back| shown(moment - back * 60) == shown(moment));
        // What clocks skip is due as long after midnight as ever: an hour later on clocks that were put forward.
        let put_forward = |moment: u64| shown(moment) == shown(moment - 60) + 3660;
        let skipped = |moment: u64| {
            (0..60).any(|back| put_forward(moment - back * 60)) && fits(shown(moment) - 3600)
        };
        let is_due = |moment: u64| {
            let plainly = fits(shown(moment)) && (hours.is_none() || !again(moment));
            plainly || (hours.is_some() && skipped(moment))
        };
        let first = start / 60 * 60 + 60;
        let expected = (0..60 * 24 * 32).map(|minute| first + minute * 60).find(|moment| is_due(*moment));
        prop_assert_eq!(found, expected, "{}", text);
    }
}
