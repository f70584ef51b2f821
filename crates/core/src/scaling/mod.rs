//! The rules of scaling: plain functions on plain data, so that the loop, the simulator and tests go by the same ones.
//!
//! Owns what Amazon EC2 Auto Scaling documents (how a policy's adjustment becomes a capacity, who is ended first, which zone
//! is launched in, when one waits) and what goes beyond it ([`decide`](mod@decide)'s separate cooldowns and stabilisation windows). Must
//! never know a World, a metric's name or how an instance is launched: numbers, ids, the time and dice are arguments.
//! Read [`decide`](mod@decide) first, which [`explain`] puts in words; it uses [`adjustment`], [`step`], [`tracking`] and [`cooldown`]. Who comes and goes is said by
//! [`zones`], [`termination`] and [`replacement`], how fast all are replaced by [`refresh`]; when a scheduled action is due by [`cron`]; what load will come by [`forecast`];
//! what policies would make of one by [`simulate`].

pub mod adjustment;
pub mod cooldown;
pub mod cron;
pub mod decide;
pub mod explain;
pub mod forecast;
pub mod refresh;
pub mod replacement;
pub mod simulate;
pub mod step;
pub mod termination;
pub mod tracking;
pub mod zones;

pub use adjustment::{Adjusted, Adjustment, AdjustmentType, Bounds, Clamp};
pub use cooldown::{Block, Cooldown, Warming};
pub use cron::Recurrence;
pub use decide::{Behavior, Decision, Policy, Rule, Signal, Situation, decide};
pub use step::{BadSteps, MetricAggregationType, Side, StepAdjustment};
pub use termination::{Candidate, Source, TerminationPolicy};
pub use tracking::{AlarmShape, PredefinedMetricType, Reading};
pub use zones::{Distribution, ZoneCount};
