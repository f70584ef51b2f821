//! Launching against a server: what is sent, and what is said while and after waiting.

use clap::Parser;
use evenkeel_aws::{Call, Error, ec2};

use super::*;
use crate::cli::stage::{Ran, Stage, answered, reservation};
use crate::cli::{Cli, Command};

fn args(line: &str) -> Run {
    let Command::Run(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!("{line}") };
    args
}

fn launch(stage: &Stage, line: &str) -> Ran {
    let args = args(line);
    stage.run(|client, streams| run(&args, client, streams))
}

fn in_state(id: &str, state: &str) -> ec2::Reservation {
    let mut reservation = reservation(id, 1, "");
    let instance = &mut reservation.instances_set[0];
    instance.instance_state.name = state.into();
    if state == "terminated" {
        let message = "Client.InternalError: the application exited with status 1".into();
        instance.state_reason = Some(ec2::StateReason { code: "Client.InternalError".into(), message });
    }
    reservation
}

/// Instances are pending for `rounds` questions, then in `states`.
fn stage(rounds: usize, states: [&'static str; 2]) -> Stage {
    let mut asked = 0;
    let ids = ["i-1", "i-2"];
    Stage::new(move |call| match call {
        Call::Ec2(ec2::Call::RunInstances(_)) => {
            let mut launched = in_state(ids[0], "pending");
            launched.instances_set.extend(in_state(ids[1], "pending").instances_set);
            answered::<ec2::RunInstances>(launched)
        }
        Call::Ec2(ec2::Call::DescribeInstances(_)) => {
            asked += 1;
            let now = if asked > rounds { states } else { ["pending"; 2] };
            let reservation_set = ids.iter().zip(now).map(|(id, state)| in_state(id, state)).collect();
            answered::<ec2::DescribeInstances>(ec2::DescribeInstancesOutput { reservation_set, next_token: None })
        }
        Call::Ec2(ec2::Call::GetConsoleOutput(input)) => {
            let lines: String = (1..=30).map(|n| format!("line {n}\n")).collect();
            let output = Blob(lines.into_bytes());
            answered::<GetConsoleOutput>(ec2::ConsoleOutput {
                instance_id: input.instance_id.clone(),
                output,
                ..Default::default()
            })
        }
        other => Err(Error::invalid_action(&format!("{other:?}"))),
    })
}

#[test]
fn everything_asked_for_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("u");
    std::fs::write(&file, b"\0raw\xff").unwrap();
    let line = format!(
        "evenkeel run ami-1 --zone us-east-1b --count 3 --min 2 --type m1.small --key k --tag Name=a=b --tag e= --user-data {}",
        file.display()
    );
    let stage = stage(0, ["running"; 2]);
    let ran = launch(&stage, &line);
    assert_eq!(ran, Ran { outcome: Outcome::Done, out: "i-1\ni-2\n".into(), err: String::new() });
    let calls = stage.calls();
    let [Call::Ec2(ec2::Call::RunInstances(sent))] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((sent.image_id.as_deref(), sent.min_count, sent.max_count), (Some("ami-1"), 2, 3));
    assert_eq!(sent.placement.as_ref().unwrap().availability_zone.as_deref(), Some("us-east-1b"));
    assert_eq!(sent.user_data, Some(Blob(b"\0raw\xff".to_vec())));
    assert_eq!((sent.instance_type.as_deref(), sent.key_name.as_deref()), (Some("m1.small"), Some("k")));
    let tags: Vec<_> = sent.tag_specifications[0].tags.iter().map(|t| (&*t.key, t.value.as_deref())).collect();
    assert_eq!(tags, [("Name", Some("a=b")), ("e", Some(""))]);
}

#[test]
fn user_data_has_ec2_s_limit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("u");
    let check = |size: usize, good: bool| {
        std::fs::write(&file, vec![b'x'; size]).unwrap();
        assert_eq!(user_data(&file).is_ok(), good, "{size}");
    };
    check(16 << 10, true);
    check((16 << 10) + 1, false);
}

#[test]
fn waiting_shows_each_step_once_and_ends_when_all_run() {
    let stage = stage(3, ["running"; 2]);
    let ran = launch(&stage, "evenkeel run ami-1 --count 2 --wait");
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Done, "i-1\ni-2\n"));
    assert_eq!(ran.err, "waiting for 2 instances: 2 pending\nwaiting for 2 instances: 2 running\n");
    assert_eq!(stage.names().len(), 5);
}

#[test]
fn an_instance_that_does_not_come_up_says_why() {
    let ran = launch(&stage(1, ["running", "terminated"]), "evenkeel run ami-1 --count 2 --wait");
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Failed, "i-1\ni-2\n"));
    let why = "error: i-2 is terminated: Client.InternalError: the application exited with status 1\n\
               its console ended with:\n  line 11\n  line 12\n";
    assert!(ran.err.contains(why) && ran.err.ends_with("  line 30\n"), "{}", ran.err);
    assert!(!ran.err.contains("i-1 is"), "{}", ran.err);
}

#[test]
fn waiting_ends_with_its_time() {
    let ran = launch(&stage(usize::MAX, ["running"; 2]), "evenkeel run ami-1 --wait --timeout 0.1");
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.err.contains("error: i-1 is still pending after 0.1 seconds\n"), "{}", ran.err);
}

#[test]
fn an_instance_that_is_gone_is_not_waited_for() {
    let stage = Stage::new(|call| match call {
        Call::Ec2(ec2::Call::RunInstances(_)) => answered::<ec2::RunInstances>(in_state("i-1", "pending")),
        Call::Ec2(ec2::Call::DescribeInstances(input)) if input.instance_ids.is_empty() => {
            answered::<ec2::DescribeInstances>(ec2::DescribeInstancesOutput::default())
        }
        _ => Err(Error::sender("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist")),
    });
    let ran = launch(&stage, "evenkeel run ami-1 --wait");
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.err.ends_with("error: i-1 is gone\n"), "{}", ran.err);
}
