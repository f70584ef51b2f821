//! What policies would make of a load: a group in virtual time, by the same [`decide`] that scales real ones.
//!
//! Owns the model around it: members that take a while to boot, load that is shared equally by those in service, alarms that go
//! off after so many periods in a row. Must never stand for more than that: health, zones and failed launches are not in it.
//! Metrics of policies are the load of one member. What is drawn of it, and printed, is the house's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::InstanceId;
use crate::scaling::adjustment::Bounds;
use crate::scaling::cooldown::{self, Cooldown, Warming};
use crate::scaling::decide::{
    AlarmSignal, AlarmState, Behavior, Decision, History, Pace, Policy, Rule, Signal, Situation, decide, foresee,
};
use crate::scaling::forecast::{self, Accuracy, Foreseen, Hours, Tally};
use crate::scaling::step::Side;
use crate::scaling::tracking::{self, AlarmShape, Reading};
use crate::time::Timestamp;

/// The most periods that an alarm looks back (AWS: a day of minutes).
const MOST_PERIODS: u32 = 1440;

/// Hours until there is a newer forecast, as a World's.
const NEWER_AFTER: u64 = 6;

/// An alarm of a simulated policy: on the mean load of a member in each period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// On which side of the threshold it goes off; at it, it does not.
    pub side: Side,
    /// The threshold.
    pub threshold: f64,
    /// How many periods in a row must be past it, from 1.
    pub periods: u32,
}

/// A policy to be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// What it goes by.
    pub rule: Rule,
    /// Its alarms; one that tracks a target has its own two, one that forecasts none.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
}

/// The group and the time that it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The fewest and the most members.
    pub bounds: Bounds,
    /// How many there are at first.
    pub members: u32,
    /// From a launch until the member is in service.
    pub boot: Duration,
    /// From then until it is warm.
    pub warmup: Duration,
    /// The group's cooldown.
    pub cooldown: Duration,
    /// How fast the group goes.
    #[serde(default)]
    pub behavior: Behavior,
    /// How long a datapoint is, and how often is decided; at least a second.
    pub period: Duration,
    /// The most load that a member takes; what is beyond it is shed. `None`: all of it.
    #[serde(default)]
    pub most: Option<f64>,
}

/// A group at the end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The load of all in the period.
    pub load: f64,
    /// How many members were to be there.
    pub desired: u32,
    /// How many were in service.
    pub in_service: u32,
    /// The load of each; `None` where nobody was there.
    pub each: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The course of it, a moment a period.
    pub moments: Vec<Moment>,
    /// The decisions that changed something, in order.
    pub decisions: Vec<Decision>,
    /// Hours of all members together, from their launch on.
    pub instance_hours: f64,
    /// Load times seconds that nobody took.
    pub shed: f64,
    /// Load times seconds in all.
    pub offered: f64,
    /// The most members that were to be there.
    pub peak: u32,
    /// What was foreseen of each hour by the last forecast before it: its beginning, and the load.
    #[serde(default)]
    pub foreseen: Vec<(Timestamp, f64)>,
    /// How far off that was.
    #[serde(default)]
    pub accuracy: Option<Accuracy>,
}

/// One member.
struct Member {
    id: InstanceId,
    ready: Timestamp,
    warm: Timestamp,
}

/// A group's course under a load, which holds from each of its points (in order) until the next, and from the last one for a
/// period. Time begins and ends with it.
#[must_use]
pub fn simulate(setting: &Setting, policies: &[Tried], load: &[(Timestamp, f64)]) -> Outcome {
    let period = setting.period.max(Duration::from_secs(1));
    let (Some((start, _)), Some((last, _))) = (load.first(), load.last()) else { return Outcome::default() };
    let mut group = Group::new(setting, *start);
    let mut seer = Seer::new(*start, policies);
    let mut outcome = Outcome { peak: group.desired, ..Outcome::default() };
    let mut points = load.iter().copied().peekable();
    let mut current = 0.0_f64;
    let mut now = *start;
    while now <= *last {
        while let Some((_, value)) = points.next_if(|(at, _)| *at <= now) {
            current = if value.is_finite() { value.max(0.0) } else { 0.0 };
        }
        now = now.plus(period);
        let moment = group.live(current, period, now, setting.most, &mut outcome);
        group.remember(moment.each);
        seer.note(current, period, now);
        for due in seer.due(policies, now) {
            let decision = group.foresee(due, policies, now);
            group.made(decision, policies, &mut outcome);
        }
        group.foreseen = seer.floor(policies, now);
        let decision = group.decide(policies, now);
        group.made(decision, policies, &mut outcome);
        outcome.moments.push(moment);
    }
    outcome.foreseen = seer.said.iter().map(|(hour, load)| (forecast::begins(*hour), *load)).collect();
    outcome.accuracy = seer.accuracy();
    outcome
}

/// Who forecasts: of the hours that have been lived through, and nothing else.
struct Seer {
    forecasts: bool,
    hours: Hours,
    /// Load times seconds of the hour that is lived through, and its seconds.
    current: (f64, f64),
    /// What the last forecast before each hour said of it.
    said: BTreeMap<u64, f64>,
    /// The hour of the last forecast.
    made: Option<u64>,
    /// The last hour that each policy met.
    met: BTreeMap<String, u64>,
}

/// An hour that a policy is to meet.
struct Due {
    policy: String,
    foreseen: Foreseen,
    raises: Option<u32>,
}

impl Seer {
    fn new(start: Timestamp, policies: &[Tried]) -> Self {
        let forecasts = policies.iter().any(|tried| matches!(tried.rule, Rule::Predictive { .. }));
        let hours = Hours { first: forecast::hour(start), values: Vec::new() };
        Self { forecasts, hours, current: (0.0, 0.0), said: BTreeMap::new(), made: None, met: BTreeMap::new() }
    }

    /// A period of load, which ends now. Periods that go from one hour to the next are the first one's.
    fn note(&mut self, load: f64, period: Duration, now: Timestamp) {
        if !self.forecasts {
            return;
        }
        let seconds = period.as_secs_f64();
        self.current.0 += load * seconds;
        self.current.1 += seconds;
        let hour = forecast::hour(now);
        if hour == self.hours.end() {
            return;
        }
        while self.hours.end() < hour {
            let (sum, seconds) = std::mem::take(&mut self.current);
            // Of an hour of which less than half was seen, nothing is said.
            self.hours.values.push((seconds >= 1800.0).then(|| sum / seconds));
        }
        let is_due = self.made.is_none_or(|made| hour >= made + NEWER_AFTER);
        if is_due && let Ok(forecast) = forecast::forecast(&self.hours) {
            self.made = Some(hour);
            self.said.extend((forecast.first..).zip(forecast.load));
        }
    }

    fn acting(policies: &[Tried]) -> impl Iterator<Item = (&str, f64, Duration, Option<u32>)> {
        policies.iter().filter_map(|tried| match tried.rule {
            Rule::Predictive { target, acts: true, buffer, raises } => {
                Some((tried.name.as_str(), target, buffer, raises))
            }
            _ => None,
        })
    }

    fn due(&mut self, policies: &[Tried], now: Timestamp) -> Vec<Due> {
        let mut all = Vec::new();
        for (policy, target, buffer, raises) in Self::acting(policies) {
            let hour = forecast::hour(now.plus(buffer));
            let Some(load) = self.said.get(&hour).copied() else { continue };
            if self.met.get(policy).is_none_or(|met| *met < hour) {
                self.met.insert(policy.to_owned(), hour);
                let (from, capacity) = (forecast::begins(hour), forecast::capacity(load, target));
                let foreseen = Foreseen { from, load, of_each: target, capacity };
                all.push(Due { policy: policy.to_owned(), foreseen, raises });
            }
        }
        all
    }

    /// Below what nobody scales in.
    fn floor(&self, policies: &[Tried], now: Timestamp) -> Option<u32> {
        let of = |(_, target, buffer, _): (&str, f64, Duration, Option<u32>)| {
            let loads = self.said.range(forecast::hour(now)..=forecast::hour(now.plus(buffer)));
            loads.map(|(_, load)| forecast::capacity(*load, target)).max()
        };
        Self::acting(policies).filter_map(of).max()
    }

    fn accuracy(&self) -> Option<Accuracy> {
        let mut tally = Tally::default();
        self.said.iter().for_each(|(hour, load)| tally.note(&self.hours, *hour, *load));
        tally.accuracy()
    }
}

struct Group<'s> {
    setting: &'s Setting,
    start: Timestamp,
    desired: u32,
    members: VecDeque<Member>,
    launched: u64,
    /// Datapoints, the newest last.
    points: VecDeque<Option<f64>>,
    cooldown: Option<Cooldown>,
    history: History,
    bounds: Bounds,
    foreseen: Option<u32>,
}

impl<'s> Group<'s> {
    fn new(setting: &'s Setting, start: Timestamp) -> Self {
        let (desired, _) = setting.bounds.clamp(i64::from(setting.members));
        let mut group = Self {
            setting,
            start,
            desired,
            members: VecDeque::new(),
            launched: 0,
            points: VecDeque::new(),
            cooldown: None,
            history: History::default(),
            bounds: setting.bounds,
            foreseen: None,
        };
        for _ in 0..desired {
            group.launch(start, start);
        }
        group
    }

    fn launch(&mut self, ready: Timestamp, warm: Timestamp) {
        self.launched += 1;
        // Ids have 17 digits, and nobody launches as many.
        if let Ok(id) = InstanceId::new(format!("i-{:017x}", self.launched)) {
            self.members.push_back(Member { id, ready, warm });
        }
    }

    /// A period of service, which ends now.
    fn live(&self, load: f64, period: Duration, now: Timestamp, most: Option<f64>, outcome: &mut Outcome) -> Moment {
        let in_service = self.members.iter().filter(|member| member.ready < now).count();
        let seconds = period.as_secs_f64();
        let takes = most.map_or(if in_service == 0 { 0.0 } else { load }, |most| most.max(0.0) * in_service as f64);
        outcome.offered += load * seconds;
        outcome.shed += (load - takes).max(0.0) * seconds;
        outcome.instance_hours += self.members.len() as f64 * seconds / 3600.0;
        let in_service = u32::try_from(in_service).unwrap_or(u32::MAX);
        let each = (in_service > 0).then(|| load / f64::from(in_service));
        Moment { at: now, load, desired: self.desired, in_service, each }
    }

    fn remember(&mut self, each: Option<f64>) {
        if self.points.len() >= MOST_PERIODS as usize {
            self.points.pop_front();
        }
        self.points.push_back(each);
    }

    fn decide(&self, policies: &[Tried], now: Timestamp) -> Decision {
        let dynamic = policies.iter().filter(|tried| !matches!(tried.rule, Rule::Predictive { .. }));
        let judged: Vec<Policy> = dynamic.map(|tried| self.policy(tried)).collect();
        decide(&self.situation(policies, now), &judged)
    }

    fn foresee(&mut self, due: Due, policies: &[Tried], now: Timestamp) -> Decision {
        self.bounds = forecast::bounds(self.bounds, due.foreseen.capacity, due.raises);
        foresee(&self.situation(policies, now), &due.policy, due.foreseen)
    }

    fn made(&mut self, decision: Decision, policies: &[Tried], outcome: &mut Outcome) {
        if decision.to != decision.from {
            self.scale(&decision, policies);
            outcome.peak = outcome.peak.max(decision.to);
            outcome.decisions.push(decision);
        }
    }

    fn situation(&self, policies: &[Tried], now: Timestamp) -> Situation {
        // As a World's groups: whoever has come counts once all that targets go by was measured with it, and after somebody has
        // gone, nobody else goes before something was measured without.
        let targets = policies.iter().filter_map(|tried| match tried.rule {
            Rule::Tracking { target, disable_scale_in } => Some(self.shapes(target, disable_scale_in)),
            _ => None,
        });
        let high = targets.flatten().filter(|shape| shape.side == Side::Above).map(|shape| shape.window()).max();
        let settles = high.unwrap_or_default();
        let Behavior { up, down } = self.setting.behavior;
        let behavior = match high {
            None => self.setting.behavior,
            Some(_) => Behavior {
                up: Pace { cooldown: up.cooldown, ..Pace::default() },
                down: Pace { cooldown: down.cooldown.max(self.setting.period * 2), ..Pace::default() },
            },
        };
        let until = |member: &Member| {
            // Those who were there from the start have been measured all along.
            if member.ready < member.warm || member.ready > self.start {
                member.warm.plus(settles)
            } else {
                member.warm
            }
        };
        let warming: Vec<Warming> = self
            .members
            .iter()
            .filter(|member| until(member) > now)
            .map(|member| Warming { instance: member.id.clone(), until: Some(until(member)) })
            .collect();
        let warm = self.members.len().saturating_sub(warming.len());
        // Whoever is to be ready is still being launched: simple policies wait for it.
        let activity = self.members.iter().any(|member| member.ready > now).then(|| "launch".to_owned());
        Situation {
            now,
            desired: self.desired,
            bounds: self.bounds,
            warm: u32::try_from(warm).unwrap_or(u32::MAX),
            warming,
            activity,
            cooldown: self.cooldown.clone(),
            suspended: false,
            foreseen: self.foreseen,
            behavior,
            history: self.history.clone(),
        }
    }

    fn policy(&self, tried: &Tried) -> Policy {
        let signal = match &tried.rule {
            Rule::Tracking { target, disable_scale_in } => {
                let shapes = self.shapes(*target, *disable_scale_in);
                let state = |side: Side| {
                    let shape = shapes.iter().find(|shape| shape.side == side);
                    shape.map_or(AlarmState::Ok, |shape| self.state(side, shape.threshold, shape.periods))
                };
                let (high, low) = (state(Side::Above), state(Side::Below));
                let side = if high == AlarmState::Alarm { Side::Above } else { Side::Below };
                let reading = shapes.iter().find(|shape| shape.side == side).and_then(|shape| {
                    let judged: Vec<f64> =
                        self.points.iter().rev().take(shape.periods as usize).filter_map(|point| *point).collect();
                    Some(Reading { value: shape.reading(&judged)?, members: None })
                });
                Signal::Tracking { reading, high, low }
            }
            Rule::Simple { .. } | Rule::Step { .. } | Rule::Predictive { .. } => {
                Signal::Alarms(tried.alarms.iter().map(|alarm| self.signal(alarm)).collect())
            }
        };
        Policy { name: tried.name.clone(), enabled: true, rule: tried.rule.clone(), signal }
    }

    fn shapes(&self, target: f64, disable_scale_in: bool) -> Vec<AlarmShape> {
        tracking::alarms("", target, disable_scale_in, self.setting.period, &self.setting.behavior, ["", ""])
    }

    fn signal(&self, alarm: &Alarm) -> AlarmSignal {
        AlarmSignal {
            name: alarm.name.clone(),
            state: self.state(alarm.side, alarm.threshold, alarm.periods),
            side: alarm.side,
            threshold: alarm.threshold,
            datapoints: self.points.back().copied().flatten().into_iter().collect(),
        }
    }

    /// How an alarm is that takes so many periods in a row.
    fn state(&self, side: Side, threshold: f64, periods: u32) -> AlarmState {
        let periods = periods.clamp(1, MOST_PERIODS) as usize;
        let newest: Vec<f64> = self.points.iter().rev().take(periods).filter_map(|point| *point).collect();
        if newest.len() < periods {
            return AlarmState::InsufficientData;
        }
        let past = |value: &f64| match side {
            Side::Above => *value > threshold,
            Side::Below => *value < threshold,
        };
        if newest.iter().all(past) { AlarmState::Alarm } else { AlarmState::Ok }
    }

    /// Makes it so: who comes boots and warms up, who goes is who has been there longest.
    fn scale(&mut self, decision: &Decision, policies: &[Tried]) {
        let now = decision.at;
        let ready = now.plus(self.setting.boot);
        self.desired = decision.to;
        while self.members.len() < decision.to as usize {
            self.launch(ready, ready.plus(self.setting.warmup));
        }
        while self.members.len() > decision.to as usize {
            self.members.pop_front();
        }
        let own = policies.iter().find(|tried| Some(&tried.name) == decision.policy.as_ref()).map(|tried| &tried.rule);
        if let Some(Rule::Simple { cooldown, .. }) = own {
            let since = if decision.to > decision.from { ready } else { now };
            self.cooldown = Some(Cooldown { since, length: cooldown::length(*cooldown, self.setting.cooldown) });
        }
        self.history.note(decision, &self.setting.behavior);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::adjustment::{Adjustment, AdjustmentType};

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn setting(period: Duration) -> Setting {
        Setting {
            bounds: Bounds { min: 1, max: 20 },
            members: 2,
            boot: Duration::from_secs(5),
            warmup: Duration::from_secs(10),
            cooldown: Duration::from_secs(60),
            behavior: Behavior::default(),
            period,
            most: Some(120.0),
        }
    }

    fn tracking(target: f64) -> Tried {
        Tried { name: "t".into(), rule: Rule::Tracking { target, disable_scale_in: false }, alarms: vec![] }
    }

    /// A load that holds for so many periods each.
    fn series(period: Duration, loads: &[(u32, f64)]) -> Vec<(Timestamp, f64)> {
        let mut at = Timestamp(0);
        let mut points = Vec::new();
        for (periods, load) in loads {
            for _ in 0..*periods {
                points.push((at, *load));
                at = at.plus(period);
            }
        }
        points
    }

    fn steps(outcome: &Outcome) -> Vec<(u64, u32)> {
        outcome.decisions.iter().map(|decision| (decision.at.0 / 1000, decision.to)).collect()
    }

    #[test]
    fn capacity_follows_load_up_and_down() {
        let load = series(SECOND, &[(60, 100.0), (120, 500.0), (240, 100.0)]);
        let outcome = simulate(&setting(SECOND), &[tracking(50.0)], &load);
        // Three seconds of the high load make the alarm, then ten members at once.
        assert_eq!(steps(&outcome)[0], (63, 10));
        let last = outcome.moments.last().unwrap();
        assert_eq!((last.desired, last.in_service, last.each), (2, 2, Some(50.0)));
        assert_eq!(outcome.peak, 10);
        // Two members take 240 of 500 for the three seconds of the alarm and five of the boot.
        assert!((outcome.shed - 260.0 * 8.0).abs() < 1e-6, "{}", outcome.shed);
        assert!((outcome.offered - 100.0 * 300.0 - 500.0 * 120.0).abs() < 1e-6, "{}", outcome.offered);
        assert!(outcome.decisions.len() <= 4, "{:?}", steps(&outcome));
    }

    #[test]
    fn a_steady_load_is_left_alone() {
        for members in 1..=20 {
            let outcome =
                simulate(&Setting { members, ..setting(SECOND) }, &[tracking(50.0)], &series(SECOND, &[(600, 470.0)]));
            let last = outcome.moments.last().unwrap();
            assert!((10..=20).contains(&last.desired), "{members}: {:?}", steps(&outcome));
            let since = outcome.decisions.last().map_or(0, |decision| decision.at.0 / 1000);
            assert!(since < 300, "{members} members never rest: {:?}", steps(&outcome));
        }
    }

    #[test]
    fn a_simple_policy_rests_in_between() {
        let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount: 1, min_magnitude: None };
        let alarm = Alarm { name: "high".into(), side: Side::Above, threshold: 50.0, periods: 2 };
        let simple = Tried { name: "s".into(), rule: Rule::Simple { adjustment, cooldown: None }, alarms: vec![alarm] };
        let outcome = simulate(&setting(SECOND), &[simple], &series(SECOND, &[(200, 1000.0)]));
        // Two periods; then five seconds of the boot and sixty of the rest each time.
        assert_eq!(steps(&outcome), [(2, 3), (67, 4), (132, 5), (197, 6)]);
    }

    #[test]
    fn hours_are_counted_from_the_launch_on() {
        let quiet =
            Tried { name: "q".into(), rule: Rule::Tracking { target: 1e6, disable_scale_in: true }, alarms: vec![] };
        let outcome = simulate(&setting(MINUTE), &[quiet], &series(MINUTE, &[(120, 1.0)]));
        assert!((outcome.instance_hours - 4.0).abs() < 1e-9, "{}", outcome.instance_hours);
        assert_eq!(simulate(&setting(MINUTE), &[], &[]), Outcome::default());
        let odd = simulate(&setting(Duration::ZERO), &[tracking(50.0)], &[(Timestamp(0), f64::NAN)]);
        assert_eq!(odd.moments.len(), 1);
    }

    /// Nothing much at night, and from eight to six as much as there can be, from one minute to the next.
    fn office(days: u32) -> Vec<(Timestamp, f64)> {
        let of = |minute: u32| if (8..18).contains(&(minute / 60 % 24)) { 900.0 } else { 90.0 };
        (0..days * 1440).map(|minute| (Timestamp(u64::from(minute) * 60_000), of(minute))).collect()
    }

    #[test]
    fn what_is_foreseen_is_there_before_the_load_is() {
        let slow = Setting { boot: Duration::from_secs(600), ..setting(MINUTE) };
        let ahead = |acts: bool, seconds: u64, raises: Option<u32>| {
            let rule = Rule::Predictive { target: 50.0, acts, buffer: Duration::from_secs(seconds), raises };
            Tried { name: "ahead".into(), rule, alarms: vec![] }
        };
        let load = office(8);
        let without = simulate(&slow, &[tracking(50.0)], &load);
        let with = simulate(&slow, &[tracking(50.0), ahead(true, 1200, None)], &load);
        let shed_in = |outcome: &Outcome, days: std::ops::Range<u64>| {
            let of = |moment: &&Moment| days.contains(&(moment.at.0.saturating_sub(1) / 86_400_000));
            let lost = |moment: &Moment| (moment.load - 120.0 * f64::from(moment.in_service)).max(0.0);
            outcome.moments.iter().filter(of).map(lost).sum::<f64>()
        };
        assert!(shed_in(&with, 0..1) > 0.0, "of the first day nobody knows anything");
        assert!((shed_in(&with, 0..1) - shed_in(&without, 0..1)).abs() < 1e-6);
        assert!(shed_in(&without, 2..8) > 0.0);
        assert!(shed_in(&with, 2..8) < 1e-6, "{} and {}", with.shed, without.shed);
        assert!(
            with.instance_hours < without.instance_hours * 1.1,
            "{} and {}",
            with.instance_hours,
            without.instance_hours
        );
        let accuracy = with.accuracy.unwrap();
        assert!(accuracy.error < 0.01 && accuracy.hours > 140, "{accuracy}");
        let up = with.decisions.iter().find(|decision| decision.policy.as_deref() == Some("ahead")).unwrap();
        assert_eq!((up.at.0 / 60_000 % 1440, up.to), (8 * 60 - 20, 18), "twenty minutes before eight");
        // Who only looks changes nothing.
        let looks = simulate(&slow, &[tracking(50.0), ahead(false, 1200, None)], &load);
        assert_eq!((looks.decisions, looks.shed), (without.decisions.clone(), without.shed));
        assert!(!looks.foreseen.is_empty() && without.foreseen.is_empty());
        // The most is kept, or raised.
        let few = Setting { bounds: Bounds { min: 1, max: 10 }, ..slow };
        let check = |raises: Option<u32>, peak: u32| {
            assert_eq!(simulate(&few, &[ahead(true, 300, raises)], &load).peak, peak);
        };
        check(None, 10);
        check(Some(0), 18);
    }

    #[test]
    fn nobody_scales_in_below_what_is_foreseen_for_the_hour() {
        // As every day but the last, on which nobody comes.
        let mut load = office(5);
        load.iter_mut().skip(4 * 1440).for_each(|(_, value)| *value = 10.0);
        let rule = Rule::Predictive { target: 50.0, acts: true, buffer: Duration::from_secs(300), raises: None };
        let ahead = Tried { name: "ahead".into(), rule, alarms: vec![] };
        let outcome = simulate(&setting(MINUTE), &[tracking(50.0), ahead], &load);
        let foreseen: BTreeMap<u64, f64> =
            outcome.foreseen.iter().map(|(from, load)| (forecast::hour(*from), *load)).collect();
        for moment in outcome.moments.iter().filter(|moment| moment.at.0 % 3_600_000 > 60_000) {
            if let Some(load) = foreseen.get(&forecast::hour(moment.at)) {
                assert!(moment.desired >= forecast::capacity(*load, 50.0).clamp(1, 20), "{moment:?} for {load}");
            }
        }
    }

    #[test]
    fn a_year_of_days_and_weeks_stays_within_bounds_and_does_not_flap() {
        let year = 365 * 24 * 60;
        let load: Vec<(Timestamp, f64)> = (0..year)
            .map(|minute| {
                let day = (f64::from(minute) / 1440.0 * std::f64::consts::TAU).sin();
                let week = if minute / 1440 % 7 < 5 { 1.0 } else { 0.4 };
                (Timestamp(u64::from(minute as u32) * 60_000), (500.0 + 400.0 * day) * week)
            })
            .collect();
        let outcome = simulate(&setting(MINUTE), &[tracking(50.0)], &load);
        assert!(outcome.moments.iter().all(|moment| (1..=20).contains(&moment.desired)));
        // Up and down once a day, in at most the twenty steps that there are each way.
        assert!(outcome.decisions.len() < 365 * 40, "{}", outcome.decisions.len());
        let turns =
            outcome.decisions.windows(2).filter(|pair| (pair[0].to > pair[0].from) != (pair[1].to > pair[1].from));
        assert!(turns.count() <= 365 * 3);
        assert!(outcome.shed < outcome.offered / 1000.0, "{} of {}", outcome.shed, outcome.offered);
    }
}
