//! What is planned, read off what there is. That it is carried out, `tests/it/replace.rs` shows.

use clap::Parser;
use evenkeel_aws::{Call, Error, ec2, elb};

use super::*;
use crate::cli::stage::{Ran, Stage, answered, balancer, reservation};
use crate::cli::{Cli, Command};

fn planned(line: &str, instances: &[(&str, &str, &str, &str)]) -> Ran {
    let mut web = balancer("web");
    web.instances = ["i-1", "i-2", "i-3"]
        .map(|id| elb::Instance { instance_id: id.to_owned() })
        .into_iter()
        .collect::<Vec<_>>()
        .into();
    let mut other = balancer("other");
    other.instances = vec![elb::Instance { instance_id: "i-1".into() }].into();
    let reservations: Vec<ec2::Reservation> = instances
        .iter()
        .enumerate()
        .map(|(at, (id, image, state, replaces))| {
            let mut made = reservation(id, i64::try_from(at).unwrap() + 100, "web");
            let instance = &mut made.instances_set[0];
            instance.image_id = (*image).into();
            instance.instance_state.name = (*state).into();
            if !replaces.is_empty() {
                instance.tag_set.push(ec2::TagShown { key: REPLACES.into(), value: (*replaces).into() });
            }
            if instance.instance_id == "i-9" {
                web.instances.push(elb::Instance { instance_id: "i-9".into() });
            }
            made
        })
        .collect();
    let stage = Stage::new(move |call| match call {
        Call::Elb(elb::Call::DescribeLoadBalancers(_)) => {
            answered::<elb::DescribeLoadBalancers>(elb::DescribeLoadBalancersOutput {
                load_balancer_descriptions: vec![web.clone(), other.clone()].into(),
                next_marker: None,
            })
        }
        Call::Ec2(ec2::Call::DescribeImages(_)) => answered::<ec2::DescribeImages>(Default::default()),
        Call::Ec2(ec2::Call::DescribeInstances(_)) => {
            let reservation_set = reservations.clone().into();
            answered::<ec2::DescribeInstances>(ec2::DescribeInstancesOutput { reservation_set, next_token: None })
        }
        other => Err(Error::invalid_action(other.name())),
    });
    let line = format!("evenkeel replace --dry-run {line}");
    let Command::Replace(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!("{line}") };
    stage.run(|client, streams| run(&args, client, streams))
}

#[track_caller]
fn check(line: &str, instances: &[(&str, &str, &str, &str)], out: &str, err: &str) {
    let ran = planned(line, instances);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (out, err));
}

#[test]
fn what_is_of_the_image_already_or_does_not_run_is_left() {
    let there = [("i-1", "ami-1", "running", ""), ("i-2", "ami-2", "running", ""), ("i-3", "ami-1", "stopped", "")];
    check(
        "web --image ami-2",
        &there,
        "i-1 of ami-1 in us-east-1a would be replaced by a new one of ami-2\n",
        "i-2 would be left: it is of the image already\ni-3 would be left: it is stopped\n",
    );
    // Launched 101 s after the epoch.
    check(
        "web --image ami-2 --launched-before 1970-01-01T00:01:42Z",
        &there,
        "i-1 of ami-1 in us-east-1a would be replaced by a new one of ami-2\n\
         i-2 of ami-2 in us-east-1a would be replaced by a new one of ami-2\n",
        "i-3 would be left: it is stopped\n",
    );
    let ran = planned("web --image ami-2 --json", &there);
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["would_replace"][0]["load_balancers"], serde_json::json!(["web", "other"]));
}

#[test]
fn a_run_that_was_cut_short_is_gone_on_with() {
    // Of i-1 the successor boots; i-9 serves for i-8, which is out already; what was to replace i-2 is gone.
    let there = [
        ("i-1", "ami-1", "running", ""),
        ("i-2", "ami-1", "running", ""),
        ("i-3", "ami-2", "running", "i-0"),
        ("i-4", "ami-2", "pending", "i-1"),
        ("i-5", "ami-2", "terminated", "i-2"),
        ("i-8", "ami-1", "running", ""),
        ("i-9", "ami-2", "running", "i-8"),
    ];
    check(
        "web --image ami-2",
        &there,
        "i-8 of ami-1 in us-east-1a would be replaced by i-9\n\
         i-1 of ami-1 in us-east-1a would be replaced by i-4\n\
         i-2 of ami-1 in us-east-1a would be replaced by a new one of ami-2\n",
        "i-3 would be left: it is of the image already\ni-9 would be left: it is of the image already\n",
    );
    let ran = planned("web --image ami-3", &there);
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.err.contains("i-8 is being replaced by i-9 of another image, ami-2\nhint: finish"), "{}", ran.err);
}

#[test]
fn a_balancer_that_is_not_there_is_named() {
    let ran = planned("wob --image ami-2", &[]);
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(
        ran.err.contains("failed to replace the instances of `wob`: there is no such load balancer"),
        "{}",
        ran.err
    );
}
