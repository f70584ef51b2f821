//! Addresses and waiting against a server.

use evenkeel_aws::{Call, ec2, elb};

use super::*;
use crate::cli::stage::{Canned, Stage, answered, balancer, health};

fn node(zone: &str, address: &str, description: &str) -> ec2::NetworkInterface {
    ec2::NetworkInterface {
        availability_zone: Some(zone.into()),
        private_ip_address: address.into(),
        description: description.into(),
        ..Default::default()
    }
}

#[test]
fn each_node_is_a_zone_and_an_address() {
    let stage = Stage::of(Canned {
        balancers: vec![balancer("web"), balancer("empty")],
        interfaces: vec![
            node("us-east-1b", "127.80.0.2", "ELB web"),
            node("us-east-1a", "127.80.0.1", "ELB web"),
            node("us-east-1a", "127.80.0.3", "ELB web2"),
        ],
        ..Canned::default()
    });
    let check = |name: &str, outcome, out: &str, err: &str| {
        let args = Addresses { name: name.into(), ..Addresses::default() };
        let ran = stage.run(|client, streams| addresses(&args, client, streams));
        assert_eq!((ran.outcome, &*ran.out), (outcome, out), "{name}");
        assert!(ran.err.starts_with(err), "{name}: {}", ran.err);
    };
    check("web", Outcome::Done, "us-east-1a 127.80.0.1\nus-east-1b 127.80.0.2\n", "");
    check(
        "we*",
        Outcome::Failed,
        "",
        "error: failed to ask for the addresses of `we*`: there is no such load balancer\nhint: ",
    );
    check("empty", Outcome::Done, "", "");
}

#[test]
fn waiting_ends_when_all_are_in_service_and_not_before_there_is_one() {
    let mut asked = 0;
    let stage = Stage::new(move |call| {
        let Call::Elb(elb::Call::DescribeInstanceHealth(_)) = call else { panic!("{call:?}") };
        asked += 1;
        let starting = || health("i-2", "OutOfService", "Instance registration is still in progress.");
        let states = match asked {
            1 => vec![],
            2 | 3 => vec![health("i-1", "InService", "N/A"), starting()],
            _ => vec![health("i-1", "InService", "N/A"), health("i-2", "InService", "N/A")],
        };
        let output = elb::DescribeInstanceHealthOutput { instance_states: states.into() };
        answered::<elb::DescribeInstanceHealth>(output)
    });
    let args = Wait { name: "web".into(), timeout: Duration::from_secs(60), ..Wait::default() };
    let ran = stage.run(|client, streams| wait(&args, client, streams));
    assert_eq!(ran.outcome, Outcome::Done);
    let expected = "0 of 0 in service\n\
                    1 of 2 in service; i-2: Instance registration is still in progress.\n\
                    2 of 2 in service\n";
    assert_eq!(ran.err, expected);
}

#[test]
fn waiting_that_ends_with_its_time_names_the_late() {
    let state = Canned {
        balancers: vec![balancer("web")],
        health: vec![health("i-1", "InService", "N/A"), health("i-2", "OutOfService", "It fails.")],
        ..Canned::default()
    };
    let stage = Stage::of(state);
    let args = Wait { name: "web".into(), ids: vec!["i-2".into()], timeout: Duration::ZERO, ..Wait::default() };
    let ran = stage.run(|client, streams| wait(&args, client, streams));
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.err.ends_with("error: i-2 is still OutOfService after 0 seconds: It fails.\n"), "{}", ran.err);
    let args = Wait { name: "none".into(), ..Wait::default() };
    let ran = stage.run(|client, streams| wait(&args, client, streams));
    assert!(ran.err.contains("LoadBalancerNotFound") && ran.err.contains("hint: "), "{}", ran.err);
}
