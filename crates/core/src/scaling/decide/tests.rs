//! What policies come to together, and what keeps them from it.

use super::*;
use crate::name::InstanceId;

const NOW: Timestamp = Timestamp(10_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ago(count: u64) -> Timestamp {
    Timestamp(NOW.0 - count * 1000)
}

fn group(desired: u32, min: u32, max: u32) -> Situation {
    Situation {
        now: NOW,
        desired,
        bounds: Bounds { min, max },
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

fn warming(group: Situation, count: u32, left: Option<u64>) -> Situation {
    let member = |number| Warming {
        instance: InstanceId::new(format!("i-{number:08x}")).unwrap(),
        until: left.map(|left| NOW.plus(seconds(left))),
    };
    Situation { warm: group.desired - count, warming: (0..count).map(member).collect(), ..group }
}

fn alarm(name: &str, side: Side, value: f64) -> AlarmSignal {
    AlarmSignal { name: name.to_owned(), state: AlarmState::Alarm, side, threshold: 50.0, datapoints: vec![value] }
}

fn policy(name: &str, rule: Rule, signal: Signal) -> Policy {
    Policy { name: name.to_owned(), enabled: true, rule, signal }
}

fn simple(name: &str, amount: i32) -> Policy {
    let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount, min_magnitude: None };
    let side = if amount < 0 { Side::Below } else { Side::Above };
    policy(name, Rule::Simple { adjustment, cooldown: None }, Signal::Alarms(vec![alarm("a", side, 0.0)]))
}

fn steps() -> Rule {
    let step = |lower, upper, amount| StepAdjustment { lower, upper, amount };
    Rule::Step {
        kind: AdjustmentType::PercentChangeInCapacity,
        min_magnitude: None,
        aggregation: MetricAggregationType::Average,
        steps: vec![
            step(Some(10.0), Some(20.0), 10),
            step(Some(20.0), None, 30),
            step(Some(-20.0), Some(-10.0), -10),
            step(None, Some(-20.0), -30),
        ],
    }
}

fn stepping(name: &str, value: f64) -> Policy {
    let side = if value < 50.0 { Side::Below } else { Side::Above };
    policy(name, steps(), Signal::Alarms(vec![alarm("a", side, value)]))
}

fn tracking(name: &str, value: Option<f64>) -> Policy {
    let (high, low) = match value {
        None => (AlarmState::InsufficientData, AlarmState::InsufficientData),
        Some(value) if value > 50.0 => (AlarmState::Alarm, AlarmState::Ok),
        Some(value) if value < 45.0 => (AlarmState::Ok, AlarmState::Alarm),
        Some(_) => (AlarmState::Ok, AlarmState::Ok),
    };
    let reading = value.map(|value| Reading { value, members: None });
    policy(name, Rule::Tracking { target: 50.0, disable_scale_in: false }, Signal::Tracking { reading, high, low })
}

fn never_in(policy: Policy) -> Policy {
    Policy { rule: Rule::Tracking { target: 50.0, disable_scale_in: true }, ..policy }
}

#[track_caller]
fn check(situation: &Situation, policies: &[Policy], to: u32, by: Option<&str>) -> Decision {
    let decision = decide(situation, policies);
    assert_eq!((decision.to, decision.policy.as_deref()), (to, by), "{decision:#?}");
    decision
}

#[test]
fn nothing_happens_without_an_alarm() {
    let decision = check(&group(4, 1, 9), &[], 4, None);
    assert_eq!(decision.next, None);
    check(&group(4, 1, 9), &[tracking("t", Some(47.0))], 4, None);
    let quiet = AlarmSignal { state: AlarmState::Ok, ..alarm("a", Side::Above, 99.0) };
    let decision = check(&group(4, 1, 9), &[policy("s", steps(), Signal::Alarms(vec![quiet]))], 4, None);
    assert_eq!(decision.considered[0].outcome, Outcome::Quiet);
    // Bounds hold by themselves.
    assert_eq!(check(&group(4, 5, 9), &[], 5, None).clamp, Some(Clamp::Min));
    assert_eq!(check(&group(4, 0, 3), &[], 3, None).clamp, Some(Clamp::Max));
}

#[test]
fn the_guides_example_of_warming_up() {
    check(&group(10, 10, 20), &[stepping("s", 65.0)], 11, Some("s"));
    check(&warming(group(11, 10, 20), 1, Some(9)), &[stepping("s", 75.0)], 13, Some("s"));
    check(&warming(group(13, 10, 20), 3, Some(9)), &[stepping("s", 65.0)], 13, None);
    check(&group(11, 10, 20), &[stepping("s", 75.0)], 14, Some("s"));
    let clamped = check(&group(18, 10, 20), &[stepping("s", 75.0)], 20, Some("s"));
    assert_eq!(clamped.clamp, Some(Clamp::Max));
    assert_eq!(clamped.alarm.as_deref(), Some("a"));
}

#[test]
fn nobody_is_scaled_in_while_members_warm_up() {
    for low in [stepping("p", 25.0), tracking("p", Some(10.0))] {
        let decision = check(&warming(group(10, 1, 20), 2, Some(9)), std::slice::from_ref(&low), 10, None);
        let until = Some(NOW.plus(seconds(9)));
        assert_eq!(decision.considered[0].blocks, [Block::Warming { members: 2, until }]);
        assert_eq!(decision.next, until);
        let decision = check(&warming(group(10, 1, 20), 2, None), std::slice::from_ref(&low), 10, None);
        assert_eq!(decision.next, None);
        assert_ne!(decide(&group(10, 1, 20), &[low]).to, 10);
    }
    // A simple policy does not mind.
    check(&warming(group(10, 1, 20), 2, Some(9)), &[simple("s", -1)], 9, Some("s"));
}

#[test]
fn only_simple_policies_mind_the_cooldown() {
    let cooldown = Some(Cooldown { since: ago(10), length: seconds(30) });
    let resting = Situation { cooldown, ..group(4, 1, 9) };
    let decision = check(&resting, &[simple("s", 2)], 4, None);
    assert_eq!(decision.considered[0].blocks, [Block::Cooldown { until: NOW.plus(seconds(20)) }]);
    assert_eq!(decision.next, Some(NOW.plus(seconds(20))));
    check(&resting, &[simple("s", 2), stepping("t", 65.0)], 5, Some("t"));
    check(&resting, &[tracking("t", Some(100.0))], 8, Some("t"));
    check(&resting, &[tracking("t", Some(10.0))], 1, Some("t"));
    let busy = Situation { activity: Some("x".into()), ..group(4, 1, 9) };
    check(&busy, &[simple("s", 2)], 4, None);
    check(&busy, &[tracking("t", Some(100.0))], 8, Some("t"));
    let rested = Situation { cooldown: Some(Cooldown { since: ago(30), length: seconds(30) }), ..group(4, 1, 9) };
    check(&rested, &[simple("s", 2)], 6, Some("s"));
}

#[test]
fn several_policies_come_to_the_largest_capacity() {
    check(&group(4, 1, 9), &[simple("a", 1), simple("b", 3), simple("c", -2)], 7, Some("b"));
    check(&group(4, 1, 9), &[simple("a", -1), simple("b", -3)], 3, Some("a"));
    check(&group(4, 1, 9), &[tracking("a", Some(75.0)), tracking("b", Some(100.0))], 8, Some("b"));
    check(&group(4, 1, 9), &[tracking("a", Some(75.0)), tracking("b", Some(10.0))], 6, Some("a"));
    check(&group(8, 1, 9), &[tracking("a", Some(25.0)), tracking("b", Some(12.5))], 4, Some("a"));
    let two = Signal::Alarms(vec![alarm("near", Side::Above, 65.0), alarm("far", Side::Above, 75.0)]);
    let decision = check(&group(10, 1, 20), &[policy("s", steps(), two)], 13, Some("s"));
    assert_eq!(decision.alarm.as_deref(), Some("far"));
}

#[test]
fn targets_scale_in_together_or_not_at_all() {
    let decision = check(&group(8, 1, 9), &[tracking("a", Some(10.0)), tracking("b", Some(47.0))], 8, None);
    assert_eq!(decision.considered[0].blocks, [Block::Disagreement { policy: "b".into() }]);
    check(&group(8, 1, 9), &[tracking("a", Some(10.0)), tracking("b", None)], 8, None);
    check(&group(8, 1, 9), &[tracking("a", Some(10.0)), never_in(tracking("b", Some(47.0)))], 2, Some("a"));
    let off = Policy { enabled: false, ..tracking("b", Some(47.0)) };
    check(&group(8, 1, 9), &[tracking("a", Some(10.0)), off], 2, Some("a"));
    let decision = check(&group(8, 1, 9), &[never_in(tracking("a", Some(10.0)))], 8, None);
    assert_eq!(decision.considered[0].blocks, [Block::ScaleInDisabled]);
    check(&group(2, 1, 9), &[never_in(tracking("a", Some(100.0)))], 4, Some("a"));
}

#[test]
fn what_is_not_known_freezes() {
    let decision = check(&group(4, 1, 9), &[tracking("t", None)], 4, None);
    assert_eq!(decision.considered[0].blocks, [Block::NoData]);
    let nonsense = Signal::Tracking {
        reading: Some(Reading { value: f64::NAN, members: None }),
        high: AlarmState::Alarm,
        low: AlarmState::Alarm,
    };
    check(&group(4, 1, 9), &[policy("t", Rule::Tracking { target: 50.0, disable_scale_in: false }, nonsense)], 4, None);
    let empty = AlarmSignal { datapoints: Vec::new(), ..alarm("a", Side::Above, 0.0) };
    check(&group(4, 1, 9), &[policy("s", steps(), Signal::Alarms(vec![empty]))], 4, None);
    // A breach that no step is for.
    let near = check(&group(10, 1, 20), &[stepping("s", 55.0)], 10, None);
    assert!(matches!(near.considered[0].outcome, Outcome::NoStep { .. }));
}

#[test]
fn what_is_switched_off_does_nothing() {
    let off = Policy { enabled: false, ..simple("s", 2) };
    assert_eq!(check(&group(4, 1, 9), &[off], 4, None).considered[0].blocks, [Block::Disabled]);
    let suspended = Situation { suspended: true, ..group(4, 1, 9) };
    let decision = check(&suspended, &[simple("s", 2)], 4, None);
    assert_eq!(decision.considered[0].blocks, [Block::Suspended { process: "AlarmNotification".into() }]);
}

#[test]
fn a_group_goes_at_its_own_pace() {
    let pace = |cooldown, stabilization| Pace { cooldown: seconds(cooldown), stabilization: seconds(stabilization) };
    let behavior = Behavior { up: pace(10, 0), down: pace(60, 30) };
    let history =
        |up: u64, down: u64| History { last_up: Some(ago(up)), last_down: Some(ago(down)), ..History::default() };
    let paced = |up, down| Situation { behavior, history: history(up, down), ..group(4, 1, 9) };
    let decision = check(&paced(9, 1), &[tracking("t", Some(100.0))], 4, None);
    assert_eq!(decision.blocks, [Block::Pace { until: NOW.plus(seconds(1)) }]);
    assert_eq!((decision.wanted, decision.next), (8, Some(NOW.plus(seconds(1)))));
    check(&paced(10, 1), &[tracking("t", Some(100.0))], 8, Some("t"));
    check(&paced(1, 59), &[tracking("t", Some(10.0))], 4, None);
    check(&paced(1, 60), &[tracking("t", Some(10.0))], 1, Some("t"));
}

#[test]
fn what_is_wanted_long_enough_is_done() {
    let pace = |stabilization| Pace { cooldown: Duration::ZERO, stabilization: seconds(stabilization) };
    let behavior = Behavior { up: pace(5), down: pace(30) };
    let run = |values: &[(u64, f64)], desired: u32| {
        let mut situation = Situation { behavior, ..group(desired, 1, 20) };
        let mut shown = Vec::new();
        for (second, value) in values {
            situation.now = NOW.plus(seconds(*second));
            let decision = decide(&situation, &[tracking("t", Some(*value))]);
            situation.history.note(&decision, &behavior);
            (situation.desired, situation.warm) = (decision.to, decision.to);
            shown.push(decision.to);
        }
        assert!(situation.history.wanted.len() <= 20);
        shown
    };
    // Wanted from the second second on, and done once the window has nothing else in it.
    assert_eq!(run(&[(0, 47.0), (1, 100.0), (3, 100.0), (4, 100.0), (5, 100.0)], 4), [4, 4, 4, 4, 8]);
    assert_eq!(run(&[(0, 47.0), (1, 100.0), (3, 47.0), (5, 100.0), (7, 100.0), (8, 100.0)], 4), [4, 4, 4, 4, 4, 8]);
    // On the way down the most of the last 30 s counts.
    assert_eq!(run(&[(0, 47.0), (10, 25.0), (20, 12.0), (29, 12.0), (30, 12.0), (41, 12.0)], 8), [8, 8, 8, 8, 4, 2]);
}

#[test]
fn a_policy_is_executed_by_name() {
    let situation = Situation { cooldown: Some(Cooldown { since: ago(1), length: seconds(30) }), ..group(10, 1, 12) };
    let run = |policy: &Policy, metric, honor| execute(&situation, policy, metric, honor).map(|d| (d.to, d.clamp));
    assert_eq!(run(&simple("s", 1), None, false), Ok((11, None)));
    assert_eq!(run(&simple("s", 9), None, false), Ok((12, Some(Clamp::Max))));
    let until = NOW.plus(seconds(29));
    assert_eq!(run(&simple("s", 1), None, true), Err(NotExecuted::Blocked(Block::Cooldown { until })));
    assert_eq!(run(&simple("s", 1), Some((1.0, 2.0)), false), Err(NotExecuted::Metric));
    assert_eq!(run(&stepping("s", 0.0), Some((59.0, 45.0)), true), Ok((11, None)));
    assert_eq!(run(&stepping("s", 0.0), Some((25.0, 45.0)), true), Ok((7, None)));
    assert_eq!(run(&stepping("s", 0.0), Some((46.0, 45.0)), true), Err(NotExecuted::NoStep(46.0)));
    assert_eq!(run(&stepping("s", 0.0), None, false), Err(NotExecuted::NoMetric));
    assert_eq!(run(&tracking("t", Some(1.0)), None, false), Err(NotExecuted::Tracks("t".into())));
    let off = Policy { enabled: false, ..simple("s", 2) };
    assert_eq!(run(&off, None, false), Err(NotExecuted::Disabled("s".into())));
}

#[test]
fn a_decision_can_be_kept() {
    let policies = [simple("a", 1), stepping("b", 75.0), tracking("c", Some(80.0)), tracking("d", None)];
    let decision = decide(&warming(group(10, 1, 20), 2, Some(9)), &policies);
    let kept: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
    assert_eq!(kept, decision);
}
