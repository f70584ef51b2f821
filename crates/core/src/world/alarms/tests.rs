//! What becomes of alarms, step by step.

use super::*;
use crate::change::{Change, NewImage, NewInstances, Seen};
use crate::name::{ImageId, InstanceId, Port, ReservationId};
use crate::noun::alarm::history::HistoryKind;
use crate::noun::alarm::{Actions, Comparison, MetricName, MetricStat, Watched};
use crate::noun::{AlarmSettings, InstanceState, InstanceStatus, Manifest, ShutdownBehavior};
use crate::world::Settings;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:ops";
const INSTANCE: &str = "i-00000001";

fn world() -> World {
    World::empty(Settings {
        region: "us-east-1".into(),
        zones: vec!["us-east-1a".parse().unwrap()],
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/24".parse().unwrap(),
        instance_pool: "127.81.0.0/24".parse().unwrap(),
        instance_pools: BTreeMap::new(),
        lowest_port: 0,
        port_shift: 0,
        limits: Default::default(),
    })
}

fn name(text: &str) -> AlarmName {
    AlarmName::new(text).unwrap()
}

fn settings(actions: Actions) -> AlarmSettings {
    let dimensions = vec![("InstanceId".to_owned(), INSTANCE.to_owned())];
    let metric = MetricName { namespace: "AWS/EC2".into(), name: "CPUUtilization".into(), dimensions };
    AlarmSettings {
        description: None,
        actions,
        watched: Watched::Metric(MetricStat { metric, period: 60, statistic: "Average".into(), unit: None }),
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 80.0,
        comparison: Comparison::GreaterThanThreshold,
        missing: None,
        low_samples: None,
    }
}

fn put(named: &str, actions: Actions) -> Change {
    let settings = settings(actions);
    let new = NewAlarm { name: name(named), settings, actions_enabled: true, tags: BTreeMap::new() };
    Change::Alarm(AlarmChange::Put(Box::new(new)))
}

fn on_alarm(arn: &str) -> Actions {
    Actions { alarm: vec![arn.to_owned()], ..Actions::default() }
}

/// Applies, and holds the invariants.
fn apply(world: &mut World, change: &Change, at: u64) -> Reply {
    let reply = world.apply(change, Timestamp(at)).unwrap();
    assert_eq!(world.broken_invariants(), Vec::<String>::new());
    reply
}

fn enter(world: &World, named: &str, state: AlarmState) -> Change {
    Change::Alarm(AlarmChange::Enter {
        alarm: name(named),
        configured: world.alarm(&name(named)).unwrap().configured,
        state,
        reason: format!("it is {}", state.as_str()),
        data: Some("{}".into()),
        values: vec![90.0; 30],
    })
}

fn told(world: &World, named: &str) -> Vec<String> {
    world.alarm_history(&name(named)).map(|item| item.summary.clone()).collect()
}

fn act(named: &str, pending: u64) -> Change {
    Change::Alarm(AlarmChange::Act { alarm: name(named), pending })
}

#[test]
fn a_state_its_actions_and_its_history_are_written_together_and_once() {
    let mut world = world();
    apply(&mut world, &put("cpu", on_alarm(TOPIC)), 1);
    let alarm = world.alarm(&name("cpu")).unwrap();
    assert_eq!((alarm.state, alarm.reason.as_str()), (AlarmState::InsufficientData, UNCHECKED));
    // The same again is no news.
    assert_eq!(apply(&mut world, &put("cpu", on_alarm(TOPIC)), 2), Reply::Unchanged);

    let change = enter(&world, "cpu", AlarmState::Alarm);
    let decision = world.decide(&change, Timestamp(5)).unwrap();
    assert_eq!(decision.writes.len(), 2, "the alarm with what is to be done, and what is told: {:?}", decision.writes);
    apply(&mut world, &change, 5);
    let alarm = world.alarm(&name("cpu")).unwrap();
    assert_eq!((alarm.state, alarm.transitioned, alarm.updated), (AlarmState::Alarm, Timestamp(5), Timestamp(5)));
    let [pending] = &alarm.pending[..] else { panic!("{alarm:?}") };
    assert_eq!((pending.from, pending.to), (AlarmState::InsufficientData, AlarmState::Alarm));
    assert_eq!((pending.number, pending.values.len()), (1, MOST_VALUES));
    assert_eq!(world.pending_actions().count(), 1);
    // The same state is no news, whoever was killed in between.
    assert_eq!(apply(&mut world, &change, 6), Reply::Unchanged);

    let acted = Change::Alarm(AlarmChange::Acted { alarm: name("cpu"), pending: 1, error: None });
    assert_eq!(apply(&mut world, &acted, 7), Reply::Done);
    assert_eq!(apply(&mut world, &acted, 8), Reply::Unchanged);
    assert_eq!(world.pending_actions().count(), 0);
    let executed = format!("Successfully executed action {TOPIC}");
    let moved = "Alarm updated from INSUFFICIENT_DATA to ALARM";
    assert_eq!(told(&world, "cpu"), ["Alarm \"cpu\" created", moved, &executed]);
    let kinds: Vec<HistoryKind> = world.alarm_history(&name("cpu")).map(|item| item.kind()).collect();
    assert_eq!(kinds, HistoryKind::ALL);

    // What is told outlives the alarm.
    apply(&mut world, &Change::Alarm(AlarmChange::Delete { alarms: vec![name("cpu")] }), 9);
    assert_eq!(told(&world, "cpu").last().unwrap(), "Alarm \"cpu\" deleted");
    let gone = Change::Alarm(AlarmChange::Delete { alarms: vec![name("cpu"), name("other")] });
    let refusal = world.apply(&gone, Timestamp(10)).unwrap_err();
    assert_eq!(refusal.to_string(), "The alarms 'cpu, other' do not exist");
}

#[test]
fn disabled_actions_and_states_by_hand() {
    let mut world = world();
    apply(&mut world, &put("cpu", on_alarm(TOPIC)), 1);
    let off = Change::Alarm(AlarmChange::SetActions { alarms: vec![name("cpu"), name("none")], enabled: false });
    apply(&mut world, &off, 2);
    let by_hand = |state| {
        Change::Alarm(AlarmChange::SetState { alarm: name("cpu"), state, reason: "by hand".into(), data: None })
    };
    apply(&mut world, &by_hand(AlarmState::Alarm), 3);
    assert!(world.alarm(&name("cpu")).unwrap().pending.is_empty());
    // The same state by hand is another reason, and no other state.
    apply(&mut world, &by_hand(AlarmState::Alarm), 4);
    let alarm = world.alarm(&name("cpu")).unwrap();
    assert_eq!((alarm.updated, alarm.transitioned), (Timestamp(4), Timestamp(3)));
    let on = Change::Alarm(AlarmChange::SetActions { alarms: vec![name("cpu")], enabled: true });
    apply(&mut world, &on, 5);
    apply(&mut world, &by_hand(AlarmState::Ok), 6);
    apply(&mut world, &by_hand(AlarmState::Alarm), 7);
    assert_eq!(world.alarm(&name("cpu")).unwrap().pending.len(), 1);
}

#[test]
fn what_was_judged_by_other_settings_is_no_news() {
    let mut world = world();
    apply(&mut world, &put("cpu", Actions::default()), 1);
    let stale = enter(&world, "cpu", AlarmState::Ok);
    apply(&mut world, &put("cpu", on_alarm(TOPIC)), 1);
    assert_eq!(apply(&mut world, &stale, 2), Reply::Unchanged);
    let change = enter(&world, "cpu", AlarmState::Ok);
    apply(&mut world, &change, 3);
    // Another metric: nothing is known of it yet.
    let mut other = settings(Actions::default());
    let Watched::Metric(stat) = &mut other.watched else { unreachable!() };
    stat.metric.name = "LoadAverage1".into();
    let new = NewAlarm { name: name("cpu"), settings: other, actions_enabled: true, tags: BTreeMap::new() };
    apply(&mut world, &Change::Alarm(AlarmChange::Put(Box::new(new))), 4);
    let alarm = world.alarm(&name("cpu")).unwrap();
    assert_eq!((alarm.state, alarm.reason.as_str()), (AlarmState::InsufficientData, UNCHECKED));
    assert!(alarm.pending.is_empty());
}

/// A world with one instance that runs.
fn with_instance() -> World {
    let mut world = world();
    let image = ImageId::new("ami-00000001").unwrap();
    let manifest = Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap());
    let new = NewImage {
        id: image.clone(),
        name: "app".into(),
        description: String::new(),
        manifest,
        location: "/app".into(),
        digest: "00".into(),
        size: None,
        tags: BTreeMap::new(),
    };
    apply(&mut world, &Change::RegisterImage(new), 1);
    let new = NewInstances {
        reservation: ReservationId::new("r-00000001").unwrap(),
        ids: vec![InstanceId::new(INSTANCE).unwrap()],
        min_count: 1,
        image,
        zone: None,
        instance_type: "m1.small".into(),
        key_name: None,
        groups: vec![],
        user_data: None,
        client_token: None,
        shutdown: ShutdownBehavior::Stop,
        termination_protected: false,
        stop_protected: false,
        asked_for: None,
        tags: BTreeMap::new(),
    };
    apply(&mut world, &Change::RunInstances(new), 1);
    let (instance, seen) = (InstanceId::new(INSTANCE).unwrap(), Seen::Running { status: InstanceStatus::Ok });
    apply(&mut world, &Change::Report { instance, boot: 1, seen }, 1);
    world
}

#[test]
fn actions_on_instances_are_done_in_the_decision_that_takes_them_off_the_list() {
    let check = |deed: &str, wanted: InstanceState, boots: u32| {
        let mut world = with_instance();
        apply(&mut world, &put("cpu", on_alarm(&format!("arn:aws:automate:us-east-1:ec2:{deed}"))), 2);
        let change = enter(&world, "cpu", AlarmState::Alarm);
        apply(&mut world, &change, 3);
        assert_eq!(apply(&mut world, &act("cpu", 1), 4), Reply::Done);
        let instance = world.instance(&InstanceId::new(INSTANCE).unwrap()).unwrap();
        assert_eq!((instance.state, instance.boots), (wanted, boots), "{deed}");
        assert_eq!(apply(&mut world, &act("cpu", 1), 5), Reply::Unchanged);
        assert_eq!(world.instance(&InstanceId::new(INSTANCE).unwrap()).unwrap().boots, boots, "{deed} twice");
        assert!(told(&world, "cpu").last().unwrap().starts_with("Successfully executed action"), "{deed}");
    };
    check("stop", InstanceState::Stopping, 1);
    check("terminate", InstanceState::ShuttingDown, 1);
    check("reboot", InstanceState::Running, 2);
    check("recover", InstanceState::Running, 2);
}

#[test]
fn what_cannot_be_done_is_said_in_the_history() {
    let policy = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:u:autoScalingGroupName/web:policyName/up";
    let check = |arn: &str, why: &str| {
        let mut world = world();
        apply(&mut world, &put("cpu", on_alarm(arn)), 2);
        let change = enter(&world, "cpu", AlarmState::Alarm);
        apply(&mut world, &change, 3);
        apply(&mut world, &act("cpu", 1), 4);
        let last = world.alarm_history(&name("cpu")).next_back().unwrap();
        assert_eq!(last.summary, format!("Failed to execute action {arn}"));
        let Told::Acted { error: Some(error), state: AlarmState::Alarm, entered: Timestamp(3), .. } = &last.told else {
            panic!("{last:?}")
        };
        assert!(error.contains(why), "{error}");
        assert_eq!(world.pending_actions().count(), 0);
    };
    check("arn:aws:automate:us-east-1:ec2:stop", "The instance ID 'i-00000001' does not exist");
    check("arn:aws:automate:us-east-1:ec2:recover", "does not exist");
    check(policy, "No policy found");
}

#[test]
fn history_is_bounded_in_time_and_number() {
    let mut world = world();
    apply(&mut world, &put("cpu", Actions::default()), 1);
    for n in 0..2 * past::MOST_ITEMS as u64 {
        let state = if n % 2 == 0 { AlarmState::Ok } else { AlarmState::Alarm };
        let change = enter(&world, "cpu", state);
        apply(&mut world, &change, 2 + n);
    }
    assert_eq!(world.alarm_history(&name("cpu")).count(), past::MOST_ITEMS);
    assert!(told(&world, "cpu").iter().all(|summary| summary.starts_with("Alarm updated from")));
    let last = 1 + 2 * past::MOST_ITEMS as u64;
    let kept = past::KEPT.as_millis() as u64;
    let due = |world: &World, now: u64| crate::plan::expiry::due(world, &Default::default(), Timestamp(now));
    let oldest = world.alarm_history(&name("cpu")).next().unwrap().at.0;
    assert_eq!(due(&world, oldest + kept - 1), []);
    let forget = Change::Alarm(AlarmChange::Forget { alarm: name("cpu") });
    assert_eq!(due(&world, oldest + kept), std::slice::from_ref(&forget));
    assert_eq!(crate::plan::expiry::next_deadline(&world), Some(Timestamp(oldest + kept)));
    apply(&mut world, &forget, oldest + kept);
    assert_eq!(world.alarm_history(&name("cpu")).count(), past::MOST_ITEMS - 1);
    apply(&mut world, &forget, last + kept);
    assert_eq!(world.alarm_history(&name("cpu")).count(), 0);
    assert_eq!(world.alarm_histories().count(), 0);
}

#[test]
fn what_waits_to_be_done_is_bounded() {
    let mut world = world();
    let actions = Actions { ok: vec![TOPIC.into()], ..on_alarm(TOPIC) };
    apply(&mut world, &put("cpu", actions), 1);
    for n in 0..=MOST_PENDING as u64 {
        let state = if n % 2 == 0 { AlarmState::Ok } else { AlarmState::Alarm };
        let change = enter(&world, "cpu", state);
        apply(&mut world, &change, 2 + n);
    }
    let alarm = world.alarm(&name("cpu")).unwrap();
    assert_eq!((alarm.pending.len(), alarm.pending[0].number), (MOST_PENDING, 2));
    let failed = told(&world, "cpu").into_iter().filter(|summary| summary.starts_with("Failed")).count();
    assert_eq!(failed, 1);
}

#[test]
fn rows_of_alarms_load_to_an_equal_world() {
    let mut world = world();
    apply(&mut world, &put("cpu", on_alarm(TOPIC)), 1);
    let change = enter(&world, "cpu", AlarmState::Alarm);
    apply(&mut world, &change, 2);
    let rows = world.rows().map(|row| serde_json::from_str::<Row>(&serde_json::to_string(&row).unwrap()).unwrap());
    let loaded = World::load(world.settings().clone(), world.generation(), rows.collect::<Vec<_>>());
    assert_eq!(loaded, world);
}
