//! A decision in words, line by line: what was seen, by which rule, with which numbers, what was in the way and for how long.
//!
//! Owns the wording. Must never decide or leave anything out: every line is of something that stands in the record. Next:
//! [`crate::scaling::decide`](mod@crate::scaling::decide), which makes it.

use crate::noun::predictor::Outlook;
use crate::scaling::cooldown::Block;
use crate::scaling::decide::{Considered, Decision, Outcome};
use crate::scaling::forecast::{begins, hour};
use crate::time::Timestamp;

/// The decision first, then each policy's part, then what keeps the group from it, then when it may change.
#[must_use]
pub fn lines(decision: &Decision) -> Vec<String> {
    let mut lines = vec![whole(decision)];
    lines.extend(decision.considered.iter().map(|part| considered(part, decision.at)));
    for block in &decision.blocks {
        let wanted = decision.wanted;
        lines.push(format!("{wanted} is not brought about: {}", with_end(block, decision.at)));
    }
    if let Some(next) = decision.next {
        lines.push(format!("this may change in {}", span(decision.at, next)));
    }
    lines
}

/// What is foreseen for a policy: how that was made, how far off it used to be, and the hours from now on, so many at most.
#[must_use]
pub fn outlook(outlook: &Outlook, target: f64, now: Timestamp, hours: usize) -> Vec<String> {
    let Outlook { made, known, model, accuracy, relation, .. } = outlook;
    let mut lines = vec![format!("forecast at {} of {known} hours of load, by {model}", made.iso())];
    lines.push(match accuracy {
        Some(accuracy) => format!("a day ahead, such forecasts were {accuracy}"),
        None => "there was no day before to try it on".to_owned(),
    });
    let seen = if relation.hours > 0 { format!(", as {} hours showed", relation.hours) } else { String::new() };
    lines.push(format!("at its target of {target}, a member takes {:.2} of the load{seen}", relation.of_each(target)));
    let to_come = outlook.hours().filter(|(at, _)| *at >= hour(now)).take(hours);
    lines.extend(to_come.filter_map(|(at, load)| {
        let capacity = outlook.capacity(at, target)?;
        Some(format!("{}: a load of {load:.2}, a capacity of {capacity}", begins(at).iso()))
    }));
    lines
}

fn whole(decision: &Decision) -> String {
    let Decision { from, to, policy, alarm, clamp, stabilized, .. } = decision;
    let mut text =
        if from == to { format!("desired capacity stays {to}") } else { format!("desired capacity {from} → {to}") };
    if let Some(policy) = policy {
        text.push_str(&format!(" by policy {policy}"));
    }
    if let Some(alarm) = alarm {
        text.push_str(&format!(", triggered by alarm {alarm}"));
    }
    if let Some(clamp) = clamp {
        text.push_str(&format!(", held by {clamp}"));
    }
    if let Some(kept) = stabilized {
        text.push_str(&format!(", {kept} being the nearest that was wanted of late"));
    }
    text
}

fn considered(part: &Considered, at: Timestamp) -> String {
    let Considered { policy, outcome, wanted, clamp, blocks } = part;
    let alarm = |alarm: &Option<String>| alarm.as_ref().map(|name| format!(", alarm {name}")).unwrap_or_default();
    let mut text = match outcome {
        Outcome::Quiet => format!("policy {policy}: nothing is past its threshold"),
        Outcome::NoData => format!("policy {policy}: nobody knows its metric"),
        Outcome::Simple { alarm: by, adjusted } => format!("policy {policy}{}: {adjusted}", alarm(by)),
        Outcome::Step { alarm: by, metric, threshold, stepped } => format!(
            "policy {policy}{}: {metric} is {:+} from {threshold}, in the step {}: {}",
            alarm(by),
            metric - threshold,
            stepped.step,
            stepped.adjusted
        ),
        Outcome::NoStep { alarm: by, metric, threshold } => {
            format!("policy {policy}{}: {metric} is {:+} from {threshold}, in no step", alarm(by), metric - threshold)
        }
        Outcome::Tracking(tracked) => format!("policy {policy}: {tracked}"),
        Outcome::Forecast(foreseen) => format!("policy {policy}: foresees {foreseen}"),
    };
    if let (Some(wanted), Some(clamp)) = (wanted, clamp) {
        text.push_str(&format!(", {wanted} by {clamp}"));
    }
    let blocks: Vec<String> = blocks.iter().map(|block| with_end(block, at)).collect();
    if !blocks.is_empty() {
        text.push_str(&format!("; blocked: {}", blocks.join(", ")));
    }
    text
}

fn with_end(block: &Block, at: Timestamp) -> String {
    match block.until() {
        Some(until) => format!("{block}, for {} more", span(at, until)),
        None => block.to_string(),
    }
}

/// From one moment to a later one, as `90 s` or `1.5 s`.
fn span(from: Timestamp, to: Timestamp) -> String {
    format!("{} s", to.since(from).as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scaling::adjustment::{Adjustment, AdjustmentType, Bounds};
    use crate::scaling::cooldown::Cooldown;
    use crate::scaling::decide::{AlarmSignal, AlarmState, Behavior, History, Policy, Rule, Signal, Situation, decide};
    use crate::scaling::forecast::{Accuracy, Beside, Level, Model, Relation, Season};
    use crate::scaling::step::{MetricAggregationType, Side, StepAdjustment};
    use crate::scaling::tracking::Reading;

    #[test]
    fn a_forecast_says_how_far_off_it_used_to_be() {
        let held = Outlook {
            made: Timestamp(3_600_000 * 1000),
            first: 998,
            load: vec![10.0, 20.0, 120.0, 90.0],
            model: Model { season: Season::Week, level: Level::Recent },
            known: 335,
            accuracy: Some(Accuracy {
                hours: 168,
                error: 0.05,
                bias: 0.01,
                under: 0.25,
                day_before: Some(Beside { hours: 168, error: 0.2, own: 0.05 }),
                week_before: Some(Beside { hours: 168, error: 0.075, own: 0.05 }),
            }),
            relation: Relation { each: 0.5, hours: 48 },
        };
        let expected = [
            "forecast at 1970-02-11T16:00:00Z of 335 hours of load, by the same hour of each week, at the level of the last three days",
            "a day ahead, such forecasts were off by 5.0 % over 168 h, +1.0 % on the whole, too low in 25.0 % of them; as a day before: off by 20.0 %; as a week before: off by 7.5 %",
            "at its target of 25, a member takes 50.00 of the load, as 48 hours showed",
            "1970-02-11T16:00:00Z: a load of 120.00, a capacity of 3",
        ];
        assert_eq!(outlook(&held, 25.0, Timestamp(3_600_000 * 1000 + 5), 1), expected);
    }

    #[test]
    fn a_record_says_what_was_seen_and_what_was_in_the_way() {
        let alarm = |name: &str, value: f64| AlarmSignal {
            name: name.into(),
            state: AlarmState::Alarm,
            side: Side::Above,
            threshold: 50.0,
            datapoints: vec![value],
        };
        let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount: 2, min_magnitude: None };
        let step = StepAdjustment { lower: Some(20.0), upper: None, amount: 30 };
        let policy = |name: &str, rule, signal| Policy { name: name.into(), enabled: true, rule, signal };
        let policies = [
            policy("simple", Rule::Simple { adjustment, cooldown: None }, Signal::Alarms(vec![alarm("high", 60.0)])),
            policy(
                "step",
                Rule::Step {
                    kind: AdjustmentType::PercentChangeInCapacity,
                    min_magnitude: Some(4),
                    aggregation: MetricAggregationType::Average,
                    steps: vec![step],
                },
                Signal::Alarms(vec![alarm("far", 75.0)]),
            ),
            policy(
                "target",
                Rule::Tracking { target: 50.0, disable_scale_in: false },
                Signal::Tracking {
                    reading: Some(Reading { value: 60.0, members: None }),
                    high: AlarmState::Ok,
                    low: AlarmState::Ok,
                },
            ),
        ];
        let situation = Situation {
            now: Timestamp(100_000),
            desired: 10,
            bounds: Bounds { min: 1, max: 12 },
            warm: 10,
            warming: Vec::new(),
            activity: None,
            cooldown: Some(Cooldown { since: Timestamp(90_000), length: Duration::from_secs(30) }),
            suspended: false,
            foreseen: None,
            behavior: Behavior::default(),
            history: History::default(),
        };
        let expected = [
            "desired capacity 10 → 12 by policy step, triggered by alarm far, held by MaxSize",
            "policy simple, alarm high: +2 to 10: 12; blocked: the group is in its cooldown, for 20 s more",
            "policy step, alarm far: 75 is +25 from 50, in the step +20 to +∞: +30 % of 10 is +3.00, in whole instances +3, at least 4 (MinAdjustmentMagnitude): 14, 12 by MaxSize",
            "policy target: nothing is past its threshold",
            "this may change in 20 s",
        ];
        assert_eq!(lines(&decide(&situation, &policies)), expected);
    }
}
