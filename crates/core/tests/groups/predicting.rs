//! Groups that scale by a forecast, in virtual time: hours are met before they begin, and held until they are over.

use evenkeel_core::noun::alarm::{MetricStat, Query, Watched};
use evenkeel_core::noun::predictor::{
    KEPT, LoadMetric, PredefinedLoad, PredefinedPair, PredictedMetrics, Predictor, ScalingMetric,
};
use evenkeel_core::scaling::forecast::{self, AHEAD, Hours, Relation};
use evenkeel_core::world::scaling::{Fold, Relating};

use super::*;

fn policy_name() -> ScalingName {
    ScalingName::new("ahead").unwrap()
}

fn pair(pair: PredefinedPair) -> PredictedMetrics {
    PredictedMetrics::Pair { pair, label: None }
}

fn policy(metrics: PredictedMetrics, rule: Rule) -> ScalingPolicy {
    let predictor =
        Predictor { metrics, capacity: None, configured: Timestamp(0), outlook: None, lack: None, met: None };
    ScalingPolicy {
        id: "p".into(),
        enabled: true,
        rule,
        warmup: None,
        tracker: None,
        predictor: Some(Box::new(predictor)),
    }
}

fn rule(acts: bool, raises: Option<u32>) -> Rule {
    Rule::Predictive { target: 50.0, acts, buffer: Duration::from_secs(300), raises }
}

fn put(house: &mut House, policy: ScalingPolicy) {
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: policy_name(), policy });
}

fn predictor(house: &House) -> &Predictor {
    house.group("g").policies[&policy_name()].predictor.as_ref().unwrap()
}

/// Two weeks in which the load of 60 becomes 380 at noon, for six hours.
fn load(now: Timestamp) -> Hours {
    let end = forecast::hour(now);
    let of = |hour: u64| Some(if (12..18).contains(&(hour % 24)) { 380.0 } else { 60.0 });
    Hours { first: end - 336, values: (end - 336..end).map(of).collect() }
}

fn told(house: &House, load: Hours, relation: Option<Relation>) -> ScalingChange {
    let configured = predictor(house).configured;
    ScalingChange::Foretell { group: name("g"), name: policy_name(), configured, load, relation }
}

fn tell(house: &mut House) {
    let change = told(house, load(house.now), Some(Relation::known(1.0)));
    house.scale(change);
}

/// Lives on until so many seconds before or after the next noon.
fn to_noon(house: &mut House, before: u64, after: u64) {
    let noon = house.now.0.saturating_sub(43_200_000).div_ceil(86_400_000) * 86_400_000 + 43_200_000;
    house.now = Timestamp(noon - before * 1000 + after * 1000);
    house.step(0);
}

fn house(min: u32, max: u32) -> House {
    let mut house = House::new(31);
    let new = NewGroup { cooldown: 0, ..house.wanted("g", min, max, min) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    house
}

#[test]
fn an_hour_is_met_before_it_begins_and_held_until_it_is_over() {
    let mut house = house(1, 10);
    put(&mut house, policy(pair(PredefinedPair::AsgCpuUtilization), rule(true, None)));
    house.settle();
    assert_eq!(house.group("g").desired, 1, "nothing is foreseen yet");
    tell(&mut house);
    house.step(0);
    assert_eq!(house.group("g").desired, 2, "the hour that has begun is met at once: 60 / 50");
    to_noon(&mut house, 301, 0);
    assert_eq!(house.group("g").desired, 2);
    let due = groups::next_deadline(&house.world, house.now).unwrap();
    assert_eq!(due, house.now.plus(Duration::from_secs(1)), "the loop knows when to wake");
    house.step(1);
    assert_eq!(house.group("g").desired, 8, "380 / 50, five minutes before noon");
    let why = house.activities()[0].cause.clone();
    assert!(why.contains("T11:55:00Z a predictive scaling policy ahead forecast a capacity of 8 from "), "{why}");
    assert!(why.contains("T12:00:00Z on, changing the desired capacity from 2 to 8."), "{why}");
    let decision = house.group("g").decisions.last().unwrap().clone();
    let lines = evenkeel_core::scaling::explain::lines(&decision);
    assert!(lines[0].starts_with("desired capacity 2 → 8 by policy ahead"), "{lines:?}");
    assert!(lines[1].contains("foresees a load of 380.00 from "), "{lines:?}");
    house.settle();
    assert_eq!(house.in_service("g").len(), 8);

    // Others take away what is above it, and nothing else.
    let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount: -5, min_magnitude: None };
    let fewer = ScalingPolicy {
        rule: Rule::Simple { adjustment, cooldown: None },
        predictor: None,
        ..policy(pair(PredefinedPair::AsgCpuUtilization), rule(true, None))
    };
    let fewer_name = ScalingName::new("fewer").unwrap();
    house.scale(ScalingChange::PutPolicy { group: name("g"), name: fewer_name.clone(), policy: fewer });
    let execute = ScalingChange::ExecutePolicy {
        group: name("g"),
        name: fewer_name,
        trigger: Trigger::Asked { metric: None, honor_cooldown: false },
    };
    house.scale(execute.clone());
    assert_eq!(house.group("g").desired, 8);
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 10, honor_cooldown: false });
    house.scale(execute.clone());
    let group = house.group("g");
    assert_eq!(group.desired, 8);
    let lines = evenkeel_core::scaling::explain::lines(group.decisions.last().unwrap());
    assert!(lines[0].contains("held by the forecast"), "{lines:?}");
    // Somebody's own word counts, and is not taken back within the hour.
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 4, honor_cooldown: false });
    house.settle();
    house.scale(execute.clone());
    assert_eq!(house.group("g").desired, 4, "nor made worse by a policy");
    to_noon(&mut house, 0, 3600 - 300);
    assert_eq!(house.group("g").desired, 8, "the next hour is met, of the day after");
    // Five hours later it is over: the others may do as they like.
    house.now = house.now.plus(Duration::from_secs(5 * 3600 + 299));
    house.step(0);
    house.scale(execute.clone());
    assert_eq!(house.group("g").desired, 8);
    house.step(1);
    assert_eq!(house.group("g").desired, 8, "nobody is taken away by a forecast");
    house.scale(execute);
    assert_eq!(house.group("g").desired, 3);
    assert_eq!(house.world.foreseen(house.group("g"), house.now), Some(2));
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ScheduledActions].into() });
    assert_eq!(house.world.foreseen(house.group("g"), house.now), None);
}

#[test]
fn nothing_is_met_that_is_not_to_be() {
    let mut house = house(1, 10);
    let metrics = || pair(PredefinedPair::AsgCpuUtilization);
    put(&mut house, policy(metrics(), rule(false, None)));
    tell(&mut house);
    to_noon(&mut house, 100, 0);
    assert_eq!((house.group("g").desired, house.world.foreseen(house.group("g"), house.now)), (1, None));
    // What was foreseen stays with a policy whose metrics do, so that it can be looked at before it counts.
    put(&mut house, ScalingPolicy { enabled: false, ..policy(metrics(), rule(true, None)) });
    assert!(predictor(&house).outlook.is_some());
    house.step(1);
    assert_eq!(house.group("g").desired, 1);
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ScheduledActions].into() });
    put(&mut house, policy(metrics(), rule(true, None)));
    house.step(1);
    assert_eq!(house.group("g").desired, 1);
    house.scale(ScalingChange::Resume { group: name("g"), processes: [Process::ScheduledActions].into() });
    house.step(1);
    assert_eq!(house.group("g").desired, 8, "the hour is not over");
    // Of other metrics, nothing is known, and what was read of the old ones is nothing to it.
    let stale = told(&house, load(house.now), Some(Relation::known(1.0)));
    house.now = house.now.plus(Duration::from_secs(1));
    let other = PredictedMetrics::Each {
        load: LoadMetric::Math(vec![]),
        scaling: ScalingMetric::Predefined { metric: PredefinedMetricType::AsgAverageCpuUtilization, label: None },
    };
    put(&mut house, policy(other, rule(true, None)));
    assert!(predictor(&house).outlook.is_none());
    house.scale(stale);
    assert!(predictor(&house).outlook.is_none());
    // Nor is anything foreseen of too little.
    let few = Hours { values: vec![Some(1.0); 23], ..load(house.now) };
    let change = told(&house, few, Some(Relation::known(1.0)));
    house.scale(change);
    let lack = predictor(&house).lack.clone().unwrap();
    assert_eq!(lack, "24 hours of load are needed for a forecast, and 23 are known");
    let change = told(&house, load(house.now), None);
    house.scale(change);
    let lack = predictor(&house).lack.clone().unwrap();
    assert!(lack.starts_with("what its scaling metric has to do with its load is not known"), "{lack}");
    assert!(predictor(&house).is_due(house.now));
    tell(&mut house);
    assert!(predictor(&house).lack.is_none() && !predictor(&house).is_due(house.now));
    let bad = |house: &mut House, policy: ScalingPolicy, why: &str| {
        let change = ScalingChange::PutPolicy { group: name("g"), name: policy_name(), policy };
        let told = house.refused(change).to_string();
        assert!(told.contains(why), "{told}");
    };
    bad(&mut house, policy(metrics(), rule(true, Some(101))), "MaxCapacityBuffer must be at most 100");
    let long = Rule::Predictive { target: 50.0, acts: true, buffer: Duration::from_secs(3600), raises: None };
    bad(&mut house, policy(metrics(), long), "SchedulingBufferTime must be less than 3600");
    let nought = Rule::Predictive { target: 0.0, acts: true, buffer: Duration::ZERO, raises: None };
    bad(&mut house, policy(metrics(), nought), "TargetValue");
    bad(&mut house, policy(pair(PredefinedPair::AlbRequestCount), rule(true, None)), "ResourceLabel");
    bad(&mut house, ScalingPolicy { predictor: None, ..policy(metrics(), rule(true, None)) }, "needs a load metric");
}

#[test]
fn the_most_is_honoured_or_raised() {
    let check = |raises: Option<u32>, max: u32, wanted: (u32, u32)| {
        let mut house = house(1, max);
        put(&mut house, policy(pair(PredefinedPair::AsgCpuUtilization), rule(true, raises)));
        tell(&mut house);
        to_noon(&mut house, 200, 0);
        let group = house.group("g");
        assert_eq!((group.desired, group.max), wanted);
        assert!(house.world.foreseen(group, house.now).unwrap() <= group.max);
    };
    check(None, 5, (5, 5));
    check(Some(0), 5, (8, 8));
    check(Some(25), 5, (8, 10));
    check(Some(25), 9, (8, 10));
    check(Some(25), 12, (8, 12));
}

#[test]
fn forecasts_are_kept_for_two_days_after_and_counted_until_they_run_out() {
    let mut house = house(1, 10);
    put(&mut house, policy(pair(PredefinedPair::AsgCpuUtilization), rule(true, None)));
    tell(&mut house);
    for _ in 0..20 {
        house.now = house.now.plus(Duration::from_secs(6 * 3600));
        assert!(predictor(&house).is_due(house.now));
        tell(&mut house);
        house.step(0);
    }
    let outlook = predictor(&house).outlook.clone().unwrap();
    assert_eq!(outlook.load.len(), AHEAD + usize::try_from(KEPT).unwrap());
    assert_eq!(outlook.first + KEPT, forecast::hour(house.now));
    assert!(outlook.hours().all(|(hour, load)| load == if (12..18).contains(&(hour % 24)) { 380.0 } else { 60.0 }));
    // Nobody reads the load any more: after two days nothing is foreseen.
    house.now = house.now.plus(Duration::from_secs(48 * 3600));
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 1, honor_cooldown: false });
    house.step(0);
    assert_eq!(house.world.foreseen(house.group("g"), house.now), None);
    assert_eq!(house.group("g").desired, 1);
    // What went before a gap is let go of.
    house.now = house.now.plus(Duration::from_secs(5 * 3600));
    tell(&mut house);
    assert_eq!(predictor(&house).outlook.as_ref().unwrap().load.len(), AHEAD);
}

#[test]
fn a_group_that_somebody_is_expected_at_does_not_empty_itself() {
    let mut house = House::new(32);
    house.balancer("web");
    let tag = GroupTag { value: "60".into(), propagates: false };
    let new = NewGroup {
        balancers: [balancer("web")].into(),
        tags: [(IDLE_TAG.to_owned(), tag)].into(),
        ..house.wanted("g", 0, 10, 1)
    };
    house.scale(ScalingChange::CreateGroup(new));
    put(&mut house, policy(pair(PredefinedPair::AsgCpuUtilization), rule(true, None)));
    tell(&mut house);
    house.settle();
    assert_eq!(house.in_service("g").len(), 2);
    let emptied = |house: &House| {
        let mut idle = Idle::default();
        let mut look = |seconds| idle.look(&house.world, Some(&Loads::new()), Duration::from_secs(seconds), house.now);
        look(0);
        look(100)
    };
    assert_eq!(emptied(&house), []);
    let sleep = ScalingChange::Sleep { group: name("g"), idle: 100 };
    house.scale(sleep.clone());
    assert_eq!(house.group("g").desired, 2);
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::ScheduledActions].into() });
    assert_eq!(emptied(&house), std::slice::from_ref(&sleep));
    house.scale(sleep);
    assert_eq!(house.group("g").desired, 0);
}

#[test]
fn metrics_are_read_in_units_that_go_together() {
    let mut house = house(1, 10);
    house.balancer("web");
    house.scale(ScalingChange::AttachBalancers { group: name("g"), balancers: [balancer("web")].into() });
    house.settle();
    let predicted = |house: &House, metrics: PredictedMetrics| {
        let policy = policy(metrics, rule(true, None));
        house.world.predicted(house.group("g"), &policy).unwrap().unwrap()
    };
    let metric = |watched: &Watched| match watched {
        Watched::Metric(stat) => (stat.metric.name.clone(), stat.statistic.clone(), stat.period),
        Watched::Math(_) => panic!("{watched:?}"),
    };
    let cpu = predicted(&house, pair(PredefinedPair::AsgCpuUtilization));
    assert_eq!(metric(&cpu.load.watched), ("CPUUtilization".into(), "Sum".into(), 60));
    assert_eq!((cpu.load.fold, cpu.load.scale * 60.0), (Fold::Minutes, 1.0));
    assert_eq!(cpu.relation, Relating::Known(Relation::known(1.0)));
    let requests = predicted(&house, pair(PredefinedPair::AlbRequestCount));
    assert_eq!(metric(&requests.load.watched), ("RequestCount".into(), "Sum".into(), 3600));
    assert_eq!(metric(requests.load.zero_with.as_ref().unwrap()).0, "HealthyHostCount");
    assert_eq!(requests.relation, Relating::Known(Relation::known(1.0 / 60.0)));
    let each = |load, metric| PredictedMetrics::Each {
        load: LoadMetric::Predefined { metric: load, label: None },
        scaling: ScalingMetric::Predefined { metric, label: None },
    };
    let bytes = predicted(&house, pair(PredefinedPair::AsgNetworkOut));
    assert_eq!(metric(&bytes.load.watched), ("NetworkOut".into(), "Sum".into(), 60));
    assert_eq!((bytes.load.scale, bytes.relation), (60.0, Relating::Known(Relation::known(1.0 / 60.0))));
    let mixed = each(PredefinedLoad::AlbTargetGroupRequestCount, PredefinedMetricType::AsgAverageCpuUtilization);
    match predicted(&house, mixed).relation {
        Relating::Learned { metric: of, capacity: Some(capacity) } => {
            assert_eq!(metric(&of.watched), ("CPUUtilization".into(), "Average".into(), 3600));
            assert_eq!(metric(&capacity.watched).1, "SampleCount");
        }
        other => panic!("{other:?}"),
    }
    let same = each(PredefinedLoad::AlbTargetGroupRequestCount, PredefinedMetricType::AlbRequestCountPerTarget);
    assert_eq!(predicted(&house, same).relation, Relating::Known(Relation::known(1.0 / 60.0)));
    let metric = MetricName { namespace: "App".into(), name: "Jobs".into(), dimensions: vec![] };
    let stat = MetricStat { metric, period: 60, statistic: "Sum".into(), unit: None };
    let query =
        Query { id: "load".into(), stat: Some(stat), expression: None, label: None, watched: Some(true), period: None };
    let own = PredictedMetrics::Each {
        load: LoadMetric::Math(vec![query.clone()]),
        scaling: ScalingMetric::Math(vec![query]),
    };
    let own = predicted(&house, own);
    assert_eq!(own.load.watched.period(), 3600);
    assert!(matches!(own.relation, Relating::Learned { capacity: Some(_), .. }));
}
