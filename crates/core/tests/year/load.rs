//! What groups have to do, and what their policies make of it.
//!
//! Owns the load by day and by week, the alarms over it, judged each minute, and the hours of it that forecasts are made of.

use evenkeel_core::scaling::forecast::{self, Hours, Relation};
use evenkeel_core::world::scaling::TrackingAlarm;

use super::*;

/// The most turns of its wish in an hour: one that followed each wave of noise would make twenty.
const MOST_TURNS: usize = 6;

#[derive(Debug, Default)]
pub(super) struct Loads {
    /// What each member of the tracking group had to do, by minute; the newest last.
    each: VecDeque<f64>,
    surge: Option<Timestamp>,
    /// What all of its members had to do, by the hour, and in the minutes of this one.
    hours: Hours,
    minutes: (u64, Vec<f64>),
}

impl Year {
    /// Whether anybody did anything about it.
    pub(super) fn measure(&mut self) -> bool {
        let load = 1500.0 * self.load();
        let foretold = self.remember(load);
        let tracked = self.track(load);
        let stepped = self.step_by_alarm("up", Side::Above, 80.0) | self.step_by_alarm("down", Side::Below, 40.0);
        foretold | tracked | stepped
    }

    /// What the forecasts' loop does: the hours that are over are read, and four times a day a forecast is made of them.
    fn remember(&mut self, load: f64) -> bool {
        let hour = forecast::hour(self.house.now);
        let (current, minutes) = &mut self.loads.minutes;
        if *current == hour {
            minutes.push(load);
            return false;
        }
        let hours = &mut self.loads.hours;
        if minutes.is_empty() {
            hours.first = hour;
        } else {
            hours.values.push(Some(minutes.iter().sum::<f64>() / minutes.len() as f64));
            *hours = hours.cleaned();
        }
        (*current, *minutes) = (hour, vec![load]);
        if !hour.is_multiple_of(6) {
            return false;
        }
        let load = self.loads.hours.clone();
        let (group, name) = (name("web"), ScalingName::new("ahead").unwrap());
        let configured = self.house.group("web").policies[&name].predictor.as_ref().unwrap().configured;
        let relation = Some(Relation::known(1.0));
        self.may(ScalingChange::Foretell { group, name, configured, load, relation });
        self.tally.forecasts += 1;
        true
    }

    fn load(&mut self) -> f64 {
        let now = self.house.now;
        let phase = (now.0 / 1000 % DAY) as f64 / DAY as f64;
        let by_day = 0.3 + 0.7 * (0.5 - 0.5 * (std::f64::consts::TAU * phase).cos());
        let by_week = if matches!(now.civil().weekday, 0 | 6) { 0.5 } else { 1.0 };
        if self.house.dice.roll().is_multiple_of(5 * DAY / MINUTE) {
            self.loads.surge = Some(now.plus(Duration::from_secs(30 * MINUTE)));
        }
        let surge = if self.loads.surge.is_some_and(|until| now < until) { 1.8 } else { 1.0 };
        let noise = 0.97 + self.house.dice.below(600) as f64 / 10_000.0;
        by_day * by_week * surge * noise
    }

    fn serving(&self, group: &str) -> usize {
        let serves = |member: &&Member| member.state == LifecycleState::InService && member.illness.is_none();
        self.house.world.scaling_group(&name(group)).map_or(0, |group| group.members.values().filter(serves).count())
    }

    /// What the alarms' loop does: alarms are judged by their last minutes, and while one goes off the group looks at its targets.
    fn track(&mut self, load: f64) -> bool {
        let serving = self.serving("web");
        let points = &mut self.loads.each;
        if serving == 0 {
            points.clear();
            return false;
        }
        points.push_back(load / serving as f64);
        if points.len() > 15 {
            points.pop_front();
        }
        let group = Arc::clone(self.house.group("web"));
        let follow = ScalingName::new("follow").unwrap();
        let alarms = self.house.world.tracking_alarms(&group, &follow, &group.policies[&follow]).unwrap();
        let mut reading = None;
        for TrackingAlarm { shape, alarm } in alarms {
            let newest: Vec<f64> = self.loads.each.iter().rev().take(shape.periods as usize).copied().collect();
            let past = |value: &f64| match shape.side {
                Side::Above => *value > shape.threshold,
                Side::Below => *value < shape.threshold,
            };
            let state = match newest.len() == shape.periods as usize {
                false => noun::AlarmState::InsufficientData,
                true if newest.iter().all(past) => noun::AlarmState::Alarm,
                true => noun::AlarmState::Ok,
            };
            if self.house.world.alarm(&alarm.name).unwrap().state != state {
                let change = AlarmChange::SetState { alarm: alarm.name, state, reason: String::new(), data: None };
                self.house.make(Change::Alarm(change));
            }
            if state == noun::AlarmState::Alarm {
                reading = shape.reading(&newest);
            }
        }
        let Some(reading) = reading else { return false };
        let change = ScalingChange::Track { group: name("web"), readings: vec![(follow, reading)] };
        self.may(change);
        let after = self.house.group("web").desired;
        if after == group.desired {
            return false;
        }
        self.tally.decisions += 1;
        self.turned(after > group.desired);
        true
    }

    /// Nobody flaps.
    fn turned(&mut self, up: bool) {
        if self.rising.replace(up).is_none_or(|before| before == up) {
            return;
        }
        let now = self.house.now;
        self.turns.push_back(now);
        self.turns.retain(|at| now.since(*at) < Duration::from_secs(HOUR));
        self.tally.turns += 1;
        self.tally.worst_hour = self.tally.worst_hour.max(self.turns.len());
        assert!(self.turns.len() <= MOST_TURNS, "seed {}: turns at {:?}", self.seed, self.turns);
    }

    fn step_by_alarm(&mut self, policy: &str, side: Side, threshold: f64) -> bool {
        let serving = self.serving("jobs");
        if serving == 0 {
            return false;
        }
        let value = 480.0 * self.load() / serving as f64;
        let past = if side == Side::Above { value > threshold } else { value < threshold };
        if !past {
            return false;
        }
        let signal =
            AlarmSignal { name: policy.into(), state: AlarmState::Alarm, side, threshold, datapoints: vec![value] };
        let before = self.house.group("jobs").desired;
        let (group, name) = (name("jobs"), ScalingName::new(policy).unwrap());
        self.may(ScalingChange::ExecutePolicy { group, name, trigger: Trigger::Alarm(signal) });
        let after = self.house.group("jobs").desired;
        self.tally.decisions += u64::from(after != before);
        after != before
    }
}
