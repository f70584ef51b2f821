//! Alarms as people have them: values that become states, states that become messages and deeds, and a daemon that is killed anywhere.

use evenkeel_aws::cloudwatch;
use evenkeel_aws::ec2;

use crate::notices::{PATIENCE, Subscriber, subscribed, topic};
use crate::rig::Rig;

fn put(name: &str) -> cloudwatch::PutMetricAlarm {
    cloudwatch::PutMetricAlarm {
        alarm_name: Some(name.into()),
        metric_name: Some("Load".into()),
        namespace: Some("App".into()),
        statistic: Some("Maximum".into()),
        period: Some(10),
        evaluation_periods: Some(1),
        threshold: Some(1.0),
        comparison_operator: Some("GreaterThanThreshold".into()),
        ..cloudwatch::PutMetricAlarm::default()
    }
}

/// What the loop does not judge: nothing is put into its metric, and then its state stays.
fn by_hand(name: &str) -> cloudwatch::PutMetricAlarm {
    cloudwatch::PutMetricAlarm { treat_missing_data: Some("ignore".into()), ..put(name) }
}

fn set(rig: &Rig, name: &str, state: &str, reason: &str) {
    let input = cloudwatch::SetAlarmState {
        alarm_name: Some(name.into()),
        state_value: Some(state.into()),
        state_reason: Some(reason.into()),
        state_reason_data: None,
    };
    rig.call(&input).unwrap();
}

fn alarm(rig: &Rig, name: &str) -> cloudwatch::MetricAlarm {
    let names = vec![name.to_owned()].into();
    let told = rig.call(&cloudwatch::DescribeAlarms { alarm_names: names, ..Default::default() }).unwrap();
    told.metric_alarms.into_iter().next().unwrap()
}

/// Summaries of one kind, the oldest first.
fn history(rig: &Rig, name: &str, kind: &str) -> Vec<String> {
    let input = cloudwatch::DescribeAlarmHistory {
        alarm_name: Some(name.into()),
        history_item_type: Some(kind.into()),
        scan_by: Some("TimestampAscending".into()),
        ..cloudwatch::DescribeAlarmHistory::default()
    };
    rig.call(&input).unwrap().alarm_history_items.into_iter().map(|item| item.history_summary).collect()
}

/// The states that a subscriber was told of with their reasons, each once: a message that a killed daemon was sending may come
/// again, from the outbox.
fn told(to: &Subscriber) -> Vec<(String, String)> {
    let mut ids = std::collections::BTreeSet::new();
    let fresh = to.got().into_iter().filter(|got| got.head.contains("x-amz-sns-message-type: Notification"));
    let fresh = fresh.filter(|got| ids.insert(got.json()["MessageId"].to_string()));
    let text = |got: crate::notices::Got| {
        let message: serde_json::Value = serde_json::from_str(got.json()["Message"].as_str().unwrap()).unwrap();
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        (text("NewStateValue"), text("NewStateReason"))
    };
    fresh.map(text).collect()
}

#[test]
fn a_metric_becomes_states_and_messages() {
    let mut rig = Rig::start();
    let topic = topic(&rig);
    let to = Subscriber::start(200);
    subscribed(&mut rig, &topic, &to, false);
    let all = || vec![topic.clone()].into();
    let input = cloudwatch::PutMetricAlarm {
        ok_actions: all(),
        alarm_actions: all(),
        datapoints_to_alarm: Some(1),
        ..put("load")
    };
    rig.call(&input).unwrap();
    assert_eq!(alarm(&rig, "load").state_value, "INSUFFICIENT_DATA");
    for (value, state) in [(0.5, "OK"), (2.0, "ALARM"), (0.25, "OK")] {
        rig.wait(&format!("{state} of {value}"), PATIENCE, |rig| {
            let datum = cloudwatch::MetricDatum {
                metric_name: Some("Load".into()),
                value: Some(value),
                storage_resolution: Some(1),
                ..cloudwatch::MetricDatum::default()
            };
            let input = cloudwatch::PutMetricData {
                namespace: Some("App".into()),
                metric_data: vec![datum].into(),
                ..cloudwatch::PutMetricData::default()
            };
            rig.call(&input).unwrap();
            (alarm(rig, "load").state_value == state).then_some(())
        });
    }
    rig.wait("all to be told", PATIENCE, |_| (told(&to).len() >= 3).then_some(()));
    let states: Vec<String> = told(&to).into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["OK", "ALARM", "OK"], "in order, each once");
    let (_, reason) = told(&to).remove(1);
    assert!(reason.starts_with("Threshold Crossed: 1 out of the last 1 datapoints [2.0 ("), "{reason}");
    assert!(reason.ends_with("was greater than the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."));
    let moved =
        ["INSUFFICIENT_DATA to OK", "OK to ALARM", "ALARM to OK"].map(|way| format!("Alarm updated from {way}"));
    assert_eq!(history(&rig, "load", "StateUpdate"), moved);
    rig.finish();
}

#[test]
fn each_transition_is_told_of_once_by_a_daemon_that_is_killed_again_and_again() {
    let mut rig = Rig::start();
    let topic = topic(&rig);
    let to = Subscriber::start(200);
    subscribed(&mut rig, &topic, &to, false);
    let all = || vec![topic.clone()].into();
    let input = cloudwatch::PutMetricAlarm { ok_actions: all(), alarm_actions: all(), ..by_hand("by-hand") };
    rig.call(&input).unwrap();
    let mut wanted = Vec::new();
    for n in 0..8 {
        let state = if n % 2 == 0 { "ALARM" } else { "OK" };
        set(&rig, "by-hand", state, &format!("transition {n}"));
        wanted.push((state.to_owned(), format!("transition {n}")));
        // At once, or when the loop has had some time for it.
        if n % 4 > 1 {
            rig.wait("it to be told", PATIENCE, |_| (told(&to).len() > n).then_some(()));
        }
        rig.kill_daemon();
        rig.up();
    }
    rig.wait("all to be told", PATIENCE, |_| (told(&to).len() >= wanted.len()).then_some(()));
    assert_eq!(told(&to), wanted);
    let done = format!("Successfully executed action {topic}");
    rig.wait("all to be in the history", PATIENCE, |rig| {
        (history(rig, "by-hand", "Action").len() >= wanted.len()).then_some(())
    });
    assert_eq!(history(&rig, "by-hand", "Action"), vec![done; wanted.len()]);
    rig.finish();
}

#[test]
fn an_alarm_stops_starts_anew_and_ends_its_instance_once() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let id = rig.run(&image, "us-east-1a", 1).remove(0);
    let input = |deed: &str| cloudwatch::PutMetricAlarm {
        dimensions: vec![cloudwatch::Dimension { name: Some("InstanceId".into()), value: Some(id.clone()) }].into(),
        alarm_actions: vec![format!("arn:aws:automate:us-east-1:ec2:{deed}")].into(),
        ..by_hand(deed)
    };
    let state = |rig: &Rig| {
        let input = ec2::DescribeInstances { instance_ids: vec![id.clone()], ..Default::default() };
        rig.call(&input).unwrap().reservation_set[0].instances_set[0].instance_state.name.clone()
    };
    rig.call(&input("stop")).unwrap();
    set(&rig, "stop", "ALARM", "enough");
    rig.kill_daemon();
    rig.up();
    rig.wait("it to be stopped", PATIENCE, |rig| (state(rig) == "stopped").then_some(()));
    let done = |rig: &Rig, deed: &str| {
        assert_eq!(
            history(rig, deed, "Action"),
            [format!("Successfully executed action arn:aws:automate:us-east-1:ec2:{deed}")]
        );
    };
    done(&rig, "stop");
    // Once: it may be started again while the alarm lasts.
    rig.call(&ec2::StartInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
    rig.wait("it to run", PATIENCE, |rig| (state(rig) == "running").then_some(()));
    let before = crate::rig::processes_of_instance(&id);
    rig.call(&input("reboot")).unwrap();
    set(&rig, "reboot", "ALARM", "anew");
    rig.wait("other processes", PATIENCE, |_| {
        let now = crate::rig::processes_of_instance(&id);
        (!now.is_empty() && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    done(&rig, "reboot");
    assert_eq!((state(&rig).as_str(), alarm(&rig, "stop").state_value.as_str()), ("running", "ALARM"));
    rig.call(&input("terminate")).unwrap();
    set(&rig, "terminate", "ALARM", "the end");
    rig.wait("its end", PATIENCE, |rig| (state(rig) == "terminated").then_some(()));
    done(&rig, "terminate");
    // Of one that is gone nothing can be stopped, and that is said.
    set(&rig, "stop", "OK", "over");
    set(&rig, "stop", "ALARM", "again");
    rig.wait("the failure", PATIENCE, |rig| (history(rig, "stop", "Action").len() == 2).then_some(()));
    assert!(history(&rig, "stop", "Action")[1].starts_with("Failed to execute action"));
    rig.finish();
}
