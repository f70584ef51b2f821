//! The decision: what capacity a group is to have now, by all its policies together.
//!
//! Owns how policies, cooldowns, warm-up and bounds come to one capacity, and the record of it, which is what `explain` shows.
//! Must never read a metric or evaluate an alarm: both are in [`Situation`]. The loop and the simulator call the same
//! [`decide`]; [`execute`] is for one policy that somebody asks for by name.
//!
//! AWS's rules: several policies at once come to the largest capacity; tracked targets scale in only if all of them that may
//! are ready to; no policy but a simple one minds the cooldown; nobody is scaled in by steps or targets while members warm
//! up. Ours, where asked for: a pace and a stabilisation window for each way ([`Behavior`]).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scaling::adjustment::{Adjusted, Adjustment, AdjustmentType, Bounds, Clamp};
use crate::scaling::cooldown::{Block, Cooldown, Warming};
use crate::scaling::forecast::Foreseen;
use crate::scaling::step::{self, MetricAggregationType, Side, StepAdjustment, Stepped};
use crate::scaling::tracking::{self, Reading, Tracked};
use crate::time::Timestamp;

/// What a policy goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// One adjustment, then a rest.
    Simple {
        /// Which.
        adjustment: Adjustment,
        /// How long the rest is; `None` for the group's.
        cooldown: Option<Duration>,
    },
    /// An adjustment by how far the metric is from its threshold.
    Step {
        /// How the steps' amounts are meant.
        kind: AdjustmentType,
        /// The fewest instances by which a percentage changes the capacity.
        min_magnitude: Option<u32>,
        /// What of an alarm's datapoints counts.
        aggregation: MetricAggregationType,
        /// Checked by [`step::check`].
        steps: Vec<StepAdjustment>,
    },
    /// A metric kept at a value.
    Tracking {
        /// The value; checked by [`tracking::check_target`].
        target: f64,
        /// Whether it never scales in.
        disable_scale_in: bool,
    },
    /// A load that is foreseen, and met before it is there. It never scales in.
    Predictive {
        /// What its metric is to be; checked by [`tracking::check_target`].
        target: f64,
        /// Whether it scales, or only forecasts.
        acts: bool,
        /// How long before an hour begins its capacity is brought about.
        buffer: Duration,
        /// Where the most members may be raised: to the forecast and so many per cent more.
        raises: Option<u32>,
    },
}

/// How an alarm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// It goes off.
    Alarm,
    /// Nobody knows.
    #[default]
    InsufficientData,
}

/// An alarm that has a policy as its action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmSignal {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: AlarmState,
    /// On which side of the threshold it goes off.
    pub side: Side,
    /// The threshold.
    pub threshold: f64,
    /// Its newest datapoints that were evaluated; steps aggregate them.
    pub datapoints: Vec<f64>,
}

/// What is known of a policy's metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Signal {
    /// Of a simple or step policy.
    Alarms(Vec<AlarmSignal>),
    /// Of one that tracks a target.
    Tracking {
        /// The metric's newest value.
        reading: Option<Reading>,
        /// The high alarm.
        high: AlarmState,
        /// The low alarm; of no meaning where the policy never scales in.
        low: AlarmState,
    },
}

/// A policy and its metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whether it counts.
    pub enabled: bool,
    /// What it goes by.
    pub rule: Rule,
    /// What is known of its metric.
    pub signal: Signal,
}

/// How fast a group goes one way, beyond what AWS has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// How long it rests after it went that way.
    pub cooldown: Duration,
    /// For how long it must have been wanted. On the way up the least that was wanted in that time counts, on the way down the
    /// most.
    pub stabilization: Duration,
}

/// How fast a group goes either way; by default at once, as AWS has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behavior {
    /// Up.
    pub up: Pace,
    /// Down.
    pub down: Pace,
}

impl Behavior {
    /// How long what was wanted must be remembered.
    #[must_use]
    pub fn memory(&self) -> Duration {
        self.up.stabilization.max(self.down.stabilization)
    }
}

/// What a group did and wanted before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When it last went up.
    pub last_up: Option<Timestamp>,
    /// When it last went down.
    pub last_down: Option<Timestamp>,
    /// When each capacity was last wanted ([`Decision::wanted`]).
    pub wanted: BTreeMap<u32, Timestamp>,
}

impl History {
    /// Remembers a decision, and forgets what no window reaches any more.
    pub fn note(&mut self, decision: &Decision, behavior: &Behavior) {
        match decision.to.cmp(&decision.from) {
            std::cmp::Ordering::Greater => self.last_up = Some(decision.at),
            std::cmp::Ordering::Less => self.last_down = Some(decision.at),
            std::cmp::Ordering::Equal => {}
        }
        let memory = behavior.memory();
        self.wanted.retain(|_, at| decision.at.since(*at) <= memory);
        if !memory.is_zero() {
            self.wanted.insert(decision.wanted, decision.at);
        }
    }
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// When.
    pub now: Timestamp,
    /// How many members it is to have.
    pub desired: u32,
    /// The fewest and the most that it may have.
    pub bounds: Bounds,
    /// Members in service that are warm: those whom its metrics are about.
    pub warm: u32,
    /// Members that are not.
    pub warming: Vec<Warming>,
    /// What is under way, if anything is: simple policies wait for its end.
    pub activity: Option<String>,
    /// The rest after the last activity that calls for one.
    pub cooldown: Option<Cooldown>,
    /// Whether the process `AlarmNotification` is suspended.
    pub suspended: bool,
    /// What is foreseen to be needed now: no policy scales in below that.
    #[serde(default)]
    pub foreseen: Option<u32>,
    /// How fast it goes.
    pub behavior: Behavior,
    /// What it did.
    pub history: History,
}

/// How a policy came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing is past its threshold.
    Quiet,
    /// Nobody knows whether anything is.
    NoData,
    /// A simple policy's adjustment.
    Simple {
        /// Whose alarm it was; `None` where somebody asked.
        alarm: Option<String>,
        /// How it came out.
        adjusted: Adjusted,
    },
    /// A step.
    Step {
        /// Whose alarm it was; `None` where somebody asked.
        alarm: Option<String>,
        /// The aggregated metric.
        metric: f64,
        /// The threshold.
        threshold: f64,
        /// How it came out.
        stepped: Stepped,
    },
    /// No step is for so much.
    NoStep {
        /// Whose alarm it was.
        alarm: Option<String>,
        /// The aggregated metric.
        metric: f64,
        /// The threshold.
        threshold: f64,
    },
    /// A target.
    Tracking(Tracked),
    /// A load that is foreseen.
    Forecast(Foreseen),
}

/// One policy's part in a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// Which.
    pub policy: String,
    /// How it came out.
    pub outcome: Outcome,
    /// The capacity that it wants, within bounds; `None` where it has no say.
    pub wanted: Option<u32>,
    /// The bound that was in the way.
    pub clamp: Option<Clamp>,
    /// What keeps it from counting.
    pub blocks: Vec<Block>,
}

/// What is to be, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// How many members were desired.
    pub from: u32,
    /// How many are from now on.
    pub to: u32,
    /// What the policies come to, before the group's pace: what [`History`] remembers.
    pub wanted: u32,
    /// Whose word it is; `None` where nothing changes, or only the bounds call for it.
    pub policy: Option<String>,
    /// Its alarm, where one triggered it.
    pub alarm: Option<String>,
    /// The bound that was in the way.
    pub clamp: Option<Clamp>,
    /// The least or most that was wanted within the stabilisation window, where that counted instead.
    pub stabilized: Option<u32>,
    /// Each policy's part, in order.
    pub considered: Vec<Considered>,
    /// What keeps the group from what the policies come to.
    pub blocks: Vec<Block>,
    /// When time alone may change the decision.
    pub next: Option<Timestamp>,
}

/// Why a policy was not executed, in AWS's words.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NotExecuted {
    /// Nobody but its alarms executes it.
    #[error("Policy {0} is of type TargetTrackingScaling, which cannot be executed")]
    Tracks(String),
    /// Nobody but the clock executes it.
    #[error("Policy {0} is of type PredictiveScaling, which cannot be executed")]
    Predicts(String),
    /// It is switched off.
    #[error("Policy {0} is disabled")]
    Disabled(String),
    /// It does not say how far the metric is from what.
    #[error("MetricValue and BreachThreshold must be specified for policy type StepScaling")]
    NoMetric,
    /// It says so where it does not matter.
    #[error("MetricValue and BreachThreshold are not supported for policy type SimpleScaling")]
    Metric,
    /// No step is for so much.
    #[error("No adjustment step found for a metric value of {0}")]
    NoStep(f64),
    /// The group rests.
    #[error("{0}")]
    Blocked(Block),
}

/// The capacity that a group is to have now.
#[must_use]
pub fn decide(situation: &Situation, policies: &[Policy]) -> Decision {
    let considered: Vec<Considered> =
        policies.iter().flat_map(|policy| consider(situation, policies, policy)).collect();
    settle(situation, considered)
}

/// What a policy comes to that somebody asks for by name. `metric` is a value and the threshold it is to be compared with;
/// `honor_cooldown` makes a simple policy wait as its alarm would have to.
pub fn execute(
    situation: &Situation,
    policy: &Policy,
    metric: Option<(f64, f64)>,
    honor_cooldown: bool,
) -> Result<Decision, NotExecuted> {
    if !policy.enabled {
        return Err(NotExecuted::Disabled(policy.name.clone()));
    }
    let outcome = match (&policy.rule, metric) {
        (Rule::Tracking { .. }, _) => return Err(NotExecuted::Tracks(policy.name.clone())),
        (Rule::Predictive { .. }, _) => return Err(NotExecuted::Predicts(policy.name.clone())),
        (Rule::Simple { .. }, Some(_)) => return Err(NotExecuted::Metric),
        (Rule::Step { .. }, None) => return Err(NotExecuted::NoMetric),
        (Rule::Simple { adjustment, .. }, None) => {
            let block = honor_cooldown.then(|| resting(situation).into_iter().next()).flatten();
            if let Some(block) = block {
                return Err(NotExecuted::Blocked(block));
            }
            Outcome::Simple { alarm: None, adjusted: adjustment.apply(situation.desired) }
        }
        (Rule::Step { kind, min_magnitude, steps, .. }, Some((metric, threshold))) => {
            let side = if metric < threshold { Side::Below } else { Side::Above };
            match stepped(situation, *kind, *min_magnitude, steps, threshold, metric, side) {
                Some(stepped) => Outcome::Step { alarm: None, metric, threshold, stepped },
                None => return Err(NotExecuted::NoStep(metric)),
            }
        }
    };
    let unhurried = Situation { behavior: Behavior::default(), ..situation.clone() };
    Ok(settle(&unhurried, vec![weigh(situation, &policy.name, outcome, Vec::new())]))
}

/// The capacity that is foreseen for an hour, where it is more than is there: at once, whatever the group's pace.
#[must_use]
pub fn foresee(situation: &Situation, policy: &str, foreseen: Foreseen) -> Decision {
    let unhurried = Situation { behavior: Behavior::default(), ..situation.clone() };
    settle(&unhurried, vec![weigh(situation, policy, Outcome::Forecast(foreseen), Vec::new())])
}

/// A policy's part: one for each of its alarms that goes off, or one that says why there is none.
fn consider(situation: &Situation, policies: &[Policy], policy: &Policy) -> Vec<Considered> {
    let mut blocks = Vec::new();
    if !policy.enabled {
        blocks.push(Block::Disabled);
    }
    if situation.suspended {
        blocks.push(Block::Suspended { process: "AlarmNotification".to_owned() });
    }
    match (&policy.rule, &policy.signal) {
        (Rule::Tracking { target, disable_scale_in }, Signal::Tracking { reading, high, low }) => {
            let outcome = tracked(situation, *target, *reading, *high, *low);
            // Who never scales in does not keep others from it either: that as many are to stay is no say.
            if *disable_scale_in
                && matches!(outcome, Outcome::Tracking(tracked) if tracked.wanted <= i64::from(situation.desired))
            {
                blocks.push(Block::ScaleInDisabled);
            } else if matches!(outcome, Outcome::Tracking(tracked) if tracked.wanted < i64::from(situation.desired)) {
                let others = policies.iter().filter(|other| other.name != policy.name);
                let against = others.filter(|other| is_against_fewer(other));
                blocks.extend(against.map(|other| Block::Disagreement { policy: other.name.clone() }));
                blocks.extend(Block::of_warming(&situation.warming, situation.now));
            }
            vec![weigh(situation, &policy.name, outcome, blocks)]
        }
        (Rule::Simple { .. } | Rule::Step { .. }, Signal::Alarms(alarms)) => {
            let going_off: Vec<&AlarmSignal> = alarms.iter().filter(|a| a.state == AlarmState::Alarm).collect();
            if going_off.is_empty() {
                let known = alarms.iter().all(|alarm| alarm.state == AlarmState::Ok);
                let outcome = if known { Outcome::Quiet } else { Outcome::NoData };
                return vec![weigh(situation, &policy.name, outcome, blocks)];
            }
            going_off.into_iter().map(|alarm| triggered(situation, policy, alarm, blocks.clone())).collect()
        }
        // Signals of another kind say nothing of it.
        _ => vec![weigh(situation, &policy.name, Outcome::NoData, blocks)],
    }
}

fn triggered(situation: &Situation, policy: &Policy, alarm: &AlarmSignal, mut blocks: Vec<Block>) -> Considered {
    let name = Some(alarm.name.clone());
    let threshold = alarm.threshold;
    let outcome = match &policy.rule {
        Rule::Simple { adjustment, .. } => {
            blocks.extend(resting(situation));
            Outcome::Simple { alarm: name, adjusted: adjustment.apply(situation.desired) }
        }
        Rule::Step { kind, min_magnitude, aggregation, steps } => match aggregation.of(&alarm.datapoints) {
            None => Outcome::NoData,
            Some(metric) => match stepped(situation, *kind, *min_magnitude, steps, threshold, metric, alarm.side) {
                None => Outcome::NoStep { alarm: name, metric, threshold },
                Some(stepped) => {
                    if stepped.wanted < i64::from(situation.desired) {
                        blocks.extend(Block::of_warming(&situation.warming, situation.now));
                    }
                    Outcome::Step { alarm: name, metric, threshold, stepped }
                }
            },
        },
        Rule::Tracking { .. } | Rule::Predictive { .. } => Outcome::NoData,
    };
    weigh(situation, &policy.name, outcome, blocks)
}

fn stepped(
    situation: &Situation,
    kind: AdjustmentType,
    min_magnitude: Option<u32>,
    steps: &[StepAdjustment],
    threshold: f64,
    metric: f64,
    side: Side,
) -> Option<Stepped> {
    let chosen = step::choose(steps, threshold, metric, side)?;
    let warming = situation.desired.saturating_sub(situation.warm);
    Some(step::apply(*steps.get(chosen)?, kind, min_magnitude, situation.desired, warming))
}

fn tracked(situation: &Situation, target: f64, reading: Option<Reading>, high: AlarmState, low: AlarmState) -> Outcome {
    let reading = reading.filter(|reading| reading.value.is_finite());
    let (desired, warm) = (situation.desired, situation.warm.min(situation.desired));
    match (high, low, reading) {
        (AlarmState::Alarm, _, Some(reading)) => Outcome::Tracking(tracking::out(reading, target, desired, warm)),
        (_, AlarmState::Alarm, Some(reading)) => Outcome::Tracking(tracking::within(reading, target, desired, warm)),
        (AlarmState::Alarm, ..) | (_, AlarmState::Alarm, _) | (AlarmState::InsufficientData, ..) => Outcome::NoData,
        (AlarmState::Ok, ..) => Outcome::Quiet,
    }
}

/// Whether a policy that tracks a target, and may scale in, is not ready to.
fn is_against_fewer(policy: &Policy) -> bool {
    let Rule::Tracking { disable_scale_in: false, .. } = policy.rule else { return false };
    let ready = |low: &AlarmState, high: &AlarmState| *low == AlarmState::Alarm && *high != AlarmState::Alarm;
    let agrees = matches!(&policy.signal, Signal::Tracking { low, high, reading: Some(_) } if ready(low, high));
    policy.enabled && !agrees
}

/// What keeps a simple policy waiting.
fn resting(situation: &Situation) -> Vec<Block> {
    let activity = situation.activity.as_ref().map(|id| Block::Activity { id: id.clone() });
    let cooldown = situation.cooldown.as_ref().filter(|cooldown| cooldown.holds(situation.now));
    activity.into_iter().chain(cooldown.map(|cooldown| Block::Cooldown { until: cooldown.until() })).collect()
}

fn weigh(situation: &Situation, policy: &str, outcome: Outcome, mut blocks: Vec<Block>) -> Considered {
    let wanted = match &outcome {
        Outcome::Quiet | Outcome::NoStep { .. } => None,
        Outcome::NoData => {
            blocks.push(Block::NoData);
            None
        }
        Outcome::Simple { adjusted, .. } => Some(adjusted.wanted),
        Outcome::Step { stepped, .. } => Some(stepped.wanted),
        Outcome::Tracking(tracked) => Some(tracked.wanted),
        Outcome::Forecast(foreseen) => Some(i64::from(foreseen.capacity.max(situation.desired))),
    };
    // What somebody set below the forecast is not raised by those who would scale in.
    let least = situation.foreseen.map_or(0, |foreseen| foreseen.min(situation.desired));
    let (wanted, clamp) = match wanted.map(|wanted| situation.bounds.clamp(wanted)) {
        Some((wanted, _)) if wanted < least => (Some(least), Some(Clamp::Forecast)),
        Some((wanted, clamp)) => (Some(wanted), clamp),
        None => (None, None),
    };
    Considered { policy: policy.to_owned(), outcome, wanted, clamp, blocks }
}

/// What the policies come to, and what the group's pace leaves of it.
fn settle(situation: &Situation, considered: Vec<Considered>) -> Decision {
    let (at, from) = (situation.now, situation.desired);
    let (standing, bound) = situation.bounds.clamp(i64::from(from));
    // Among equals the first counts.
    let free = considered.iter().filter(|c| c.blocks.is_empty() && c.wanted.is_some());
    let chosen = free.rev().max_by_key(|c| c.wanted);
    let wanted = chosen.and_then(|c| c.wanted).unwrap_or(standing);
    let mut blocks = Vec::new();
    let mut to = wanted;
    let mut stabilized = None;
    if wanted != standing {
        let up = wanted > standing;
        let (pace, last) = if up {
            (situation.behavior.up, situation.history.last_up)
        } else {
            (situation.behavior.down, situation.history.last_down)
        };
        let (kept, until) = stabilize(situation, pace.stabilization, wanted, standing, up);
        if kept != wanted {
            stabilized = Some(kept);
            blocks.push(Block::Stabilizing { until });
            to = kept;
        }
        let rested = last.map(|last| last.plus(pace.cooldown)).filter(|until| at < *until);
        if let Some(until) = rested {
            blocks.push(Block::Pace { until });
            to = standing;
        }
    }
    let all = considered.iter().flat_map(|c| &c.blocks).chain(&blocks);
    let next = all.filter_map(Block::until).filter(|until| *until > at).min();
    let changes = to != standing;
    let alarm = chosen.and_then(|c| match &c.outcome {
        Outcome::Simple { alarm, .. } | Outcome::Step { alarm, .. } => alarm.clone(),
        _ => None,
    });
    Decision {
        at,
        from,
        to,
        wanted,
        policy: chosen.filter(|_| changes).map(|c| c.policy.clone()),
        alarm: alarm.filter(|_| changes),
        clamp: chosen.map_or(bound, |c| c.clamp),
        stabilized,
        considered,
        blocks,
        next,
    }
}

/// The least (on the way up) or most (on the way down) that was wanted within a window, never past where the group is, and
/// when the first that holds it back leaves the window.
fn stabilize(situation: &Situation, window: Duration, wanted: u32, standing: u32, up: bool) -> (u32, Timestamp) {
    let recent = situation.history.wanted.iter().filter(|(_, at)| situation.now.since(**at) < window);
    let holds_back = |value: u32| if up { value < wanted } else { value > wanted };
    let mut kept = wanted;
    let mut until = situation.now;
    for (value, at) in recent.filter(|(value, _)| holds_back(**value)) {
        kept = if up { kept.min(*value).max(standing) } else { kept.max(*value).min(standing) };
        until = until.max(at.plus(window));
    }
    (kept, until)
}

#[cfg(test)]
mod tests;
