//! Policies that scale by a forecast: what is read for one, what is foreseen of it, and how an hour is met before it begins.
//!
//! Owns which metrics a policy's load, scaling metric and capacity are here, when an hour's capacity is brought about, and below what
//! no other policy scales in. The arithmetic is [`crate::scaling::forecast`]'s. Must never read a metric: what was read is an
//! argument.
//!
//! As in AWS, a forecast only ever adds members, at the beginning of an hour or as long before it as the policy says, and holds them
//! until the hour is over; what is too much then is taken away by other policies. Suspending `ScheduledActions` stops it.

use super::cause::{keep, sentence, wish};
use super::policies::KEPT as DECISIONS_KEPT;
use super::{Decision, World, done, put, tracking};
use crate::change::{Reply, ScalingChange};
use crate::name::{AutoScalingGroupName, ScalingName};
use crate::noun::alarm::{MetricName, MetricStat, Query, Watched};
use crate::noun::predictor::{KEPT, LoadMetric, Outlook, PredefinedLoad, PredictedMetrics, Predictor, ScalingMetric};
use crate::noun::scaling_group::{AutoScalingGroup, Process};
use crate::noun::scaling_policy::ScalingPolicy;
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::decide::{self, Behavior, Rule, Situation};
use crate::scaling::forecast::{self, Foreseen, Hours, LEAST, Relation, bounds};
use crate::scaling::tracking::check_target;
use crate::scaling::{Bounds, PredefinedMetricType};
use crate::time::Timestamp;

/// Seconds of an hour. A buffer is shorter than that (AWS).
const HOUR: u32 = 3600;
const MINUTE: u32 = 60;
/// The largest `MaxCapacityBuffer`, in per cent (AWS).
const MOST_BUFFER: u32 = 100;

/// What is read for a policy's forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Its load.
    pub load: Source,
    /// What its metric has to do with that.
    pub relation: Relating,
}

/// How a metric comes to depend on the load.
#[derive(Clone, Debug, PartialEq)]
pub enum Relating {
    /// By what the two mean.
    Known(Relation),
    /// By what was seen.
    Learned {
        /// The metric: of a member, or of all together where there is no capacity.
        metric: Box<Source>,
        /// How many members there were.
        capacity: Option<Box<Source>>,
    },
}

/// Values by the hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// What is read.
    pub watched: Watched,
    /// How it becomes an hour's value.
    pub fold: Fold,
    /// What each value is multiplied by.
    pub scale: f64,
    /// An hour without a value is one of nothing where this has one: of what is only measured while there is any.
    pub zero_with: Option<Watched>,
}

/// How values become those of hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Each is one.
    Hour,
    /// The mean of those minutes that have one. A daemon that was away for half an hour does not halve a sum.
    Minutes,
}

impl Source {
    fn of(watched: Watched) -> Self {
        Self { watched, fold: Fold::Hour, scale: 1.0, zero_with: None }
    }
}

impl World {
    /// What a policy's forecast is made of; `None` of other policies.
    pub fn predicted(&self, group: &AutoScalingGroup, policy: &ScalingPolicy) -> Result<Option<Predicted>, Refusal> {
        let Some(predictor) = &policy.predictor else { return Ok(None) };
        let bad = |why: String| Refusal::from(BadScaling::Policy(why));
        predicted(predictor, group).map(Some).map_err(bad)
    }

    /// Whether a policy that scales by a forecast makes sense.
    pub(super) fn check_predictive(&self, group: &AutoScalingGroup, policy: &ScalingPolicy) -> Result<(), Refusal> {
        let Rule::Predictive { target, buffer, raises, .. } = policy.rule else { return Ok(()) };
        let bad = |why: String| Err(BadScaling::Policy(why).into());
        if let Err(why) = check_target(target) {
            return bad(why.to_string());
        }
        if buffer.as_secs() >= HOUR.into() {
            return bad(format!("SchedulingBufferTime must be less than {HOUR}"));
        }
        if raises.is_some_and(|percent| percent > MOST_BUFFER) {
            return bad(format!("MaxCapacityBuffer must be at most {MOST_BUFFER}"));
        }
        match self.predicted(group, policy)? {
            Some(_) => Ok(()),
            None => bad("a policy that scales by a forecast needs a load metric".to_owned()),
        }
    }

    /// A forecast is made of what a policy's load was like.
    pub(super) fn foretell(
        &self,
        name: &AutoScalingGroupName,
        policy: &ScalingName,
        configured: Timestamp,
        load: &Hours,
        relation: Option<Relation>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let own = group.policies.get_mut(policy).and_then(|policy| policy.predictor.as_mut());
        let Some(predictor) = own.filter(|predictor| predictor.configured == configured) else {
            // It is gone, or another by now: what was read says nothing of it.
            return Ok(Decision::unchanged(Reply::Unchanged));
        };
        match (forecast::forecast(load), relation) {
            (Ok(made), Some(relation)) if relation.each > 0.0 => {
                let before = predictor.outlook.take();
                let kept = |hour: u64| before.as_ref().and_then(|before| before.load(hour));
                // As far back as there was one for each hour.
                let past: Vec<f64> = (1..=KEPT).map_while(|back| kept(made.first.checked_sub(back)?)).collect();
                let first = made.first - past.len() as u64;
                let load = past.into_iter().rev().chain(made.load).collect();
                let forecast::Forecast { model, known, accuracy, .. } = made;
                predictor.outlook = Some(Outlook { made: now, first, load, model, known, accuracy, relation });
                predictor.lack = None;
            }
            (Err(too_little), _) => predictor.lack = Some(too_little.to_string()),
            (Ok(_), _) => {
                predictor.lack = Some(format!(
                    "what its scaling metric has to do with its load is not known: both, and the group's capacity, must be known \
                     for {LEAST} hours"
                ));
            }
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    /// The hours that a group's policies are to meet now: those that have begun, or begin within a policy's buffer.
    pub(crate) fn hours_to_meet(&self, group: &AutoScalingGroup, now: Timestamp) -> Vec<ScalingChange> {
        if group.is_going || !group.does(Process::ScheduledActions) {
            return Vec::new();
        }
        let due = |(name, policy): (&ScalingName, &ScalingPolicy)| {
            let (predictor, _, buffer) = acting(policy)?;
            let hour = forecast::hour(now.plus(buffer));
            let is_new = predictor.met.is_none_or(|met| met < hour) && predictor.outlook.as_ref()?.load(hour).is_some();
            is_new.then(|| ScalingChange::Foresee { group: group.name.clone(), name: name.clone(), hour })
        };
        group.policies.iter().filter_map(due).collect()
    }

    /// An hour's capacity is brought about: what is foreseen, where that is more than there are to be.
    pub(super) fn foresee(
        &self,
        name: &AutoScalingGroupName,
        policy: &ScalingName,
        hour: u64,
        now: Timestamp,
    ) -> Decision {
        let Some(held) = self.scaling_group(name) else { return done(Vec::new()) };
        let of = |change: &ScalingChange| matches!(change, ScalingChange::Foresee { name, hour: due, .. } if name == policy && *due == hour);
        if !self.hours_to_meet(held, now).iter().any(of) {
            return done(Vec::new());
        }
        let mut group = held.as_ref().clone();
        let Some(own) = group.policies.get_mut(policy) else { return done(Vec::new()) };
        let Rule::Predictive { target, raises, .. } = own.rule else { return done(Vec::new()) };
        let Some(predictor) = own.predictor.as_mut() else { return done(Vec::new()) };
        predictor.met = Some(hour);
        let Some(foreseen) = foreseen(predictor, hour, target) else { return done(Vec::new()) };
        let allowed = bounds(Bounds { min: group.min, max: group.max }, foreseen.capacity, raises);
        let situation = Situation { bounds: allowed, ..self.situation(held, self.warmup(held, None), now) };
        let decision = decide::foresee(&situation, policy.as_str(), foreseen);
        // AWS keeps a bound that was raised.
        group.max = allowed.max;
        if decision.to != held.desired {
            let of = foreseen.capacity;
            let what = wish(decision.from, decision.to);
            let begins = foreseen.from.iso();
            let what =
                format!("a predictive scaling policy {policy} forecast a capacity of {of} from {begins} on, {what}");
            keep(&mut group.why, sentence(now, &what));
            (group.desired, group.rest) = (decision.to, None);
            group.history.note(&decision, &Behavior::default());
            group.decisions.push(decision);
            if group.decisions.len() > DECISIONS_KEPT {
                group.decisions.remove(0);
            }
        }
        done(put(held, group).into_iter().collect())
    }

    /// The capacity below which no policy scales a group in now: the largest that is foreseen for this hour, and for the next where it
    /// is being prepared for. `None` where nobody foresees anything.
    #[must_use]
    pub fn foreseen(&self, group: &AutoScalingGroup, now: Timestamp) -> Option<u32> {
        if !group.does(Process::ScheduledActions) {
            return None;
        }
        let of = |policy: &ScalingPolicy| {
            let (predictor, target, buffer) = acting(policy)?;
            let outlook = predictor.outlook.as_ref()?;
            let hours = forecast::hour(now)..=forecast::hour(now.plus(buffer));
            hours.filter_map(|hour| outlook.capacity(hour, target)).max()
        };
        group.policies.values().filter_map(of).max().map(|capacity| capacity.min(group.max))
    }
}

impl ScalingPolicy {
    /// When the next hour is due to be met, by time alone; `None` of policies that meet none.
    #[must_use]
    pub fn next_hour(&self, now: Timestamp) -> Option<Timestamp> {
        let (predictor, _, buffer) = acting(self)?;
        let next = forecast::hour(now.plus(buffer)) + 1;
        predictor.outlook.as_ref()?.load(next)?;
        let before = u64::try_from(buffer.as_millis()).unwrap_or_default();
        Some(Timestamp(forecast::begins(next).0.saturating_sub(before)))
    }
}

/// A policy put in place of another: what was foreseen stays its own as long as its metrics do.
pub(super) fn configure(policy: &mut ScalingPolicy, before: Option<&ScalingPolicy>, now: Timestamp) {
    let Some(predictor) = &mut policy.predictor else { return };
    let same = |before: &&Predictor| before.metrics == predictor.metrics && before.capacity == predictor.capacity;
    match before.and_then(|before| before.predictor.as_deref()).filter(same) {
        // Another target may call for more in this very hour.
        Some(before) => **predictor = Predictor { met: None, ..before.clone() },
        None => (predictor.configured, predictor.outlook, predictor.lack, predictor.met) = (now, None, None, None),
    }
}

/// What a policy forecasts, its target and its buffer, where it scales by it.
fn acting(policy: &ScalingPolicy) -> Option<(&Predictor, f64, std::time::Duration)> {
    match (&policy.rule, &policy.predictor) {
        (Rule::Predictive { target, acts: true, buffer, .. }, Some(predictor)) if policy.enabled => {
            Some((predictor, *target, *buffer))
        }
        _ => None,
    }
}

fn foreseen(predictor: &Predictor, hour: u64, target: f64) -> Option<Foreseen> {
    let outlook = predictor.outlook.as_ref()?;
    let (load, of_each) = (outlook.load(hour)?, outlook.relation.of_each(target));
    Some(Foreseen { from: forecast::begins(hour), load, of_each, capacity: forecast::capacity(load, of_each) })
}

fn predicted(predictor: &Predictor, group: &AutoScalingGroup) -> Result<Predicted, String> {
    let own;
    let (load, scaling) = match &predictor.metrics {
        PredictedMetrics::Pair { pair, label } => {
            own = LoadMetric::Predefined { metric: pair.load(), label: label.clone() };
            (&own, None)
        }
        PredictedMetrics::Each { load, scaling } => (load, Some(scaling)),
    };
    let requests = |label: &Option<String>, scale: f64| {
        let balancer = tracking::balancer(label.as_deref(), group)?;
        let stat = |name: &str, statistic: &str| {
            let on = ("LoadBalancerName", balancer.clone());
            Watched::Metric(stat("AWS/ELB", name, on, statistic, HOUR))
        };
        // Hosts are counted each second as long as there are any, requests only where there are some.
        let zero_with = Some(stat("HealthyHostCount", "SampleCount"));
        Ok::<_, String>(Source { scale, zero_with, ..Source::of(stat("RequestCount", "Sum")) })
    };
    // What each member does is measured each second: sixty of a minute's values are one member's.
    let of_members = |name: &str, statistic: &str, scale: f64| {
        let on = ("AutoScalingGroupName", group.name.to_string());
        let watched = Watched::Metric(stat("AWS/EC2", name, on, statistic, MINUTE));
        Source { fold: Fold::Minutes, scale, ..Source::of(watched) }
    };
    let of_each = |name: &str, scale: f64| {
        let on = ("AutoScalingGroupName", group.name.to_string());
        let watched = Watched::Metric(stat("AWS/EC2", name, on, "Average", HOUR));
        Box::new(Source { scale, ..Source::of(watched) })
    };
    let minutes = f64::from(MINUTE);
    let (load_of, requests_of) = match load {
        LoadMetric::Predefined { metric, label } => match metric {
            PredefinedLoad::AsgTotalCpuUtilization => (of_members("CPUUtilization", "Sum", 1.0 / minutes), None),
            PredefinedLoad::AlbTargetGroupRequestCount => (requests(label, 1.0)?, Some(label)),
            // Sixty minutes of the mean one.
            PredefinedLoad::AsgTotalNetworkIn => (of_members("NetworkIn", "Sum", minutes), None),
            PredefinedLoad::AsgTotalNetworkOut => (of_members("NetworkOut", "Sum", minutes), None),
        },
        LoadMetric::Math(queries) => (Source::of(hourly(queries)), None),
    };
    let capacity = || match &predictor.capacity {
        Some(queries) => Source::of(hourly(queries)),
        None => of_members("CPUUtilization", "SampleCount", 1.0 / minutes),
    };
    // In an hour come sixty times the requests of a minute, and the bytes: targets are meant for minutes.
    let per_minute = 1.0 / minutes;
    let loads = match load {
        LoadMetric::Predefined { metric, .. } => Some(*metric),
        LoadMetric::Math(_) => None,
    };
    let is_cpu = loads == Some(PredefinedLoad::AsgTotalCpuUtilization);
    let relation = match scaling {
        None if is_cpu => Relating::Known(Relation::known(1.0)),
        None => Relating::Known(Relation::known(per_minute)),
        Some(ScalingMetric::Predefined { metric, label }) => match metric {
            PredefinedMetricType::AsgAverageCpuUtilization if is_cpu => Relating::Known(Relation::known(1.0)),
            PredefinedMetricType::AsgAverageCpuUtilization => {
                Relating::Learned { metric: of_each("CPUUtilization", 1.0), capacity: Some(capacity().into()) }
            }
            PredefinedMetricType::AsgAverageNetworkIn if loads == Some(PredefinedLoad::AsgTotalNetworkIn) => {
                Relating::Known(Relation::known(per_minute))
            }
            PredefinedMetricType::AsgAverageNetworkOut if loads == Some(PredefinedLoad::AsgTotalNetworkOut) => {
                Relating::Known(Relation::known(per_minute))
            }
            // Measured each second: so much more in a minute.
            PredefinedMetricType::AsgAverageNetworkIn => {
                Relating::Learned { metric: of_each("NetworkIn", minutes), capacity: Some(capacity().into()) }
            }
            PredefinedMetricType::AsgAverageNetworkOut => {
                Relating::Learned { metric: of_each("NetworkOut", minutes), capacity: Some(capacity().into()) }
            }
            PredefinedMetricType::AlbRequestCountPerTarget if requests_of == Some(label) => {
                Relating::Known(Relation::known(per_minute))
            }
            PredefinedMetricType::AlbRequestCountPerTarget => {
                Relating::Learned { metric: requests(label, per_minute)?.into(), capacity: None }
            }
            PredefinedMetricType::AsgAverageCpuUtilizationHighResolution => {
                return Err(format!("{} is no metric to forecast by", metric.as_str()));
            }
        },
        Some(ScalingMetric::Math(queries)) => {
            Relating::Learned { metric: Source::of(hourly(queries)).into(), capacity: Some(capacity().into()) }
        }
    };
    Ok(Predicted { load: load_of, relation })
}

fn stat(namespace: &str, name: &str, (key, value): (&str, String), statistic: &str, period: u32) -> MetricStat {
    let dimensions = vec![(key.to_owned(), value)];
    let metric = MetricName { namespace: namespace.into(), name: name.into(), dimensions };
    MetricStat { metric, period, statistic: statistic.to_owned(), unit: None }
}

/// Queries of a forecast state no period: theirs is an hour (AWS).
fn hourly(queries: &[Query]) -> Watched {
    let one = |query: &Query| Query {
        stat: query.stat.clone().map(|stat| MetricStat { period: HOUR, ..stat }),
        ..query.clone()
    };
    Watched::Math(queries.iter().map(one).collect())
}
