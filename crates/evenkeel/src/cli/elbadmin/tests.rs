//! Every command against a server: the calls in boto's order, the output, the exit code.

use clap::FromArgMatches;
use evenkeel_aws::Call;

use super::*;
use crate::cli::stage::{Canned, Ran, Stage, balancer, health, reservation};

fn stage() -> Stage {
    Stage::of(Canned {
        balancers: ["web", "web-2", "api"].map(balancer).into(),
        health: vec![
            health("i-1", "InService", "N/A"),
            health("i-2", "OutOfService", "Instance is in terminated state."),
            health("i-3", "OutOfService", "Instance is in terminated state"),
            health("i-4", "OutOfService", "Instance is in terminated state."),
        ],
        reservations: vec![
            reservation("i-0", 1, "other"),
            reservation("i-1", 2, "first one"),
            reservation("i-3", 3, "x"),
        ],
        interfaces: Vec::new(),
    })
}

fn parse(line: &str) -> Elbadmin {
    let matches = crate::cli::alone("elbadmin").try_get_matches_from(line.split(' ')).unwrap();
    Elbadmin::from_arg_matches(&matches).unwrap()
}

fn elbadmin(stage: &Stage, line: &str) -> Ran {
    let args = parse(line);
    stage.run(|client, streams| run(&args, client, streams))
}

const FIND: &str = "DescribeLoadBalancers";
/// What `get` asks; instances come in two pages.
const GET: [&str; 4] = [FIND, "DescribeInstanceHealth", "DescribeInstances", "DescribeInstances"];

#[track_caller]
fn check(line: &str, first: &[&str]) -> (Ran, Vec<Call>) {
    let stage = stage();
    let ran = elbadmin(&stage, line);
    assert_eq!(ran.outcome, Outcome::Done, "{ran:?}");
    assert_eq!(ran.err, "");
    let host = ran.out.lines().next();
    assert_eq!(host, Some("127.0.0.1"));
    let calls = stage.calls();
    let names: Vec<_> = calls.iter().map(Call::name).collect();
    let expected: Vec<_> = first.iter().chain(&GET).copied().collect();
    assert_eq!(names, expected, "{line}");
    (ran, calls)
}

#[test]
fn get_shows_the_balancer_its_instances_and_their_names() {
    let (ran, _) = check("elbadmin get web", &[]);
    let expected = "\
127.0.0.1
================================================================================
Name: web
DNS Name: web-1.elb.example

Health Check: HealthCheck:HTTP:80/

Listeners
---------
IN       OUT      PROTO

\x20 Zones  \n\
---------
us-east-1a

Instances
---------
ID           STATE           NAME        DESCRIPTION
i-1          InService       first one   N/A
i-2          OutOfService                Instance is in terminated state.
i-3          OutOfService    x           Instance is in terminated state
i-4          OutOfService                Instance is in terminated state.

";
    assert_eq!(ran.out, expected);
}

#[test]
fn list_follows_pages() {
    for line in ["elbadmin list", "elbadmin LS"] {
        let stage = stage();
        let ran = elbadmin(&stage, line);
        assert_eq!(stage.names(), [FIND, FIND]);
        let dashes = "-".repeat(80);
        let expected = format!(
            "127.0.0.1\nName                 DNS Name\n{dashes}\nweb                  web-1.elb.example\n\
             web-2                web-2-1.elb.example\napi                  api-1.elb.example\n"
        );
        assert_eq!(ran, Ran { outcome: Outcome::Done, out: expected, err: String::new() });
    }
}

#[test]
fn create_states_listeners_zones_and_scheme() {
    let (ran, calls) = check(
        "elbadmin -l 80,8080,http create new --zone us-east-1a -z us-east-1b -l 443,80,https,arn:x",
        &["CreateLoadBalancer"],
    );
    let Call::Elb(elb::Call::CreateLoadBalancer(input)) = &calls[0] else { panic!("{calls:?}") };
    assert_eq!(input.scheme.as_deref(), Some("internet-facing"));
    assert_eq!(input.availability_zones.as_deref(), Some(&vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()]));
    let listeners: Vec<_> =
        input.listeners.iter().map(|l| (l.load_balancer_port, l.instance_port, &*l.protocol)).collect();
    assert_eq!(listeners, [(80, 8080, "http"), (443, 80, "https")]);
    assert_eq!(input.listeners[1].ssl_certificate_id.as_deref(), Some("arn:x"));
    assert!(ran.out.contains("\nName: new\nDNS Name: new-1.elb.example\n"), "{}", ran.out);
}

#[test]
fn instances_are_added_and_removed_in_one_call() {
    for line in ["elbadmin add web i-8 i-9", "elbadmin PUT web i-8 i-9"] {
        let (_, calls) = check(line, &[FIND, "RegisterInstancesWithLoadBalancer"]);
        let Call::Elb(elb::Call::RegisterInstancesWithLoadBalancer(input)) = &calls[1] else { panic!("{calls:?}") };
        assert_eq!((&*input.load_balancer_name, &input.instances), ("web", &instances(&["i-8".into(), "i-9".into()])));
    }
    for line in ["elbadmin rm web i-1 i-2", "elbadmin remove web i-1 i-2"] {
        let (ran, _) = check(line, &[FIND, "DeregisterInstancesFromLoadBalancer"]);
        assert!(!ran.out.contains("i-1 ") && ran.out.contains("i-3 "), "{}", ran.out);
    }
}

#[test]
fn reap_takes_exactly_the_terminated_ones_one_call_each() {
    let away = "DeregisterInstancesFromLoadBalancer";
    let (ran, _) = check("elbadmin reap web", &[FIND, "DescribeInstanceHealth", away, away]);
    for (id, there) in [("i-1", true), ("i-2", false), ("i-3", true), ("i-4", false)] {
        assert_eq!(ran.out.contains(&format!("{id} ")), there, "{id} in {}", ran.out);
    }
}

#[test]
fn zones_are_enabled_and_disabled_by_any_number() {
    for line in ["elbadmin enable web us-east-1b us-east-1c", "elbadmin en web us-east-1b us-east-1c"] {
        let (ran, _) = check(line, &[FIND, "EnableAvailabilityZonesForLoadBalancer"]);
        assert!(ran.out.contains("\nus-east-1a\nus-east-1b\nus-east-1c\n"), "{}", ran.out);
    }
    let (ran, _) = check("elbadmin disable web us-east-1a", &[FIND, "DisableAvailabilityZonesForLoadBalancer"]);
    assert!(!ran.out.contains("us-east-1a"), "{}", ran.out);
}

#[test]
fn listeners_are_added_with_certificates_and_removed_by_port() {
    let line = "elbadmin addl web -l 443,80,SSL,arn:x --listener 25,25,tcp";
    let (_, calls) = check(line, &[FIND, "CreateLoadBalancerListeners"]);
    let Call::Elb(elb::Call::CreateLoadBalancerListeners(input)) = &calls[1] else { panic!("{calls:?}") };
    assert_eq!(input.listeners[0].ssl_certificate_id.as_deref(), Some("arn:x"));
    assert_eq!(input.listeners.len(), 2);
    let (_, calls) = check("elbadmin rml web 80 443", &[FIND, "DeleteLoadBalancerListeners"]);
    let Call::Elb(elb::Call::DeleteLoadBalancerListeners(input)) = &calls[1] else { panic!("{calls:?}") };
    assert_eq!(input.load_balancer_ports.0, [80, 443]);
}

#[test]
fn delete_says_so() {
    let stage = stage();
    let ran = elbadmin(&stage, "elbadmin delete web");
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Done, "127.0.0.1\nLoad Balancer web deleted\n"));
    assert_eq!(stage.names(), [FIND, "DeleteLoadBalancer"]);
}

#[test]
fn an_unknown_name_is_a_message_and_no_failure_and_nothing_is_changed() {
    for command in ["get", "delete", "add", "rm", "reap", "enable", "disable", "rml", "-l 1,1,tcp addl"] {
        let stage = stage();
        let ran = elbadmin(&stage, &format!("elbadmin {command} we 1"));
        assert_eq!(ran.outcome, Outcome::Done);
        assert_eq!(ran.out, "127.0.0.1\nNo load balancer by the name of we found\n", "{command}");
        assert_eq!(stage.names(), [FIND], "{command}");
    }
}

#[test]
fn messages_and_exit_codes_are_boto_s() {
    let check = |line: &str, outcome, out: &str, err: &str| {
        let stage = stage();
        let ran = elbadmin(&stage, line);
        assert_eq!((ran.outcome, &*ran.out), (outcome, out), "{line}");
        assert!(ran.err.contains(err), "{line}: {}", ran.err);
        let asked = stage.names();
        assert!(asked.is_empty() || asked == ["DescribeRegions"], "{line}: {asked:?}");
    };
    let host = "127.0.0.1\n";
    check("elbadmin create x", Outcome::Failed, "127.0.0.1\n-l option required for command create\n", "");
    check("elbadmin create x -l 1,1,tcp", Outcome::Failed, "127.0.0.1\n-z option required for command create\n", "");
    check("elbadmin addl x", Outcome::Failed, "127.0.0.1\n-l option required for command addl\n", "");
    check("elbadmin rml web", Outcome::Usage, "127.0.0.1\nport required\n", "");
    check("elbadmin get", Outcome::Failed, host, "hint: elbadmin get NAME\n");
    check("elbadmin enable web", Outcome::Failed, host, "hint: elbadmin enable NAME ZONE…\n");
    check("elbadmin frobnicate", Outcome::Done, host, "hint: `frobnicate` is no command");
    check("elbadmin rml web http", Outcome::Failed, host, "error: failed to read port `http`: ");
    check("elbadmin -l 80 -z a create x", Outcome::Failed, host, "error: failed to read listener `80`: ");
    check("elbadmin -r nowhere list", Outcome::Failed, "Invalid region (nowhere)\n", "");
}

#[test]
fn a_region_is_one_that_the_daemon_serves() {
    let stage = stage();
    let ran = elbadmin(&stage, "elbadmin -r eu-west-1 get web");
    assert!(ran.outcome == Outcome::Done && ran.out.starts_with("127.0.0.1\n====="), "{ran:?}");
}

#[test]
fn no_command_is_help_and_a_failure() {
    let stage = stage();
    let ran = elbadmin(&stage, "elbadmin");
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(
        ran.out.contains("Usage: elbadmin [options] [command]") && ran.out.contains("reap      <name>"),
        "{}",
        ran.out
    );
    assert!(stage.names().is_empty());
}

#[test]
fn a_refusal_is_told_with_its_hint() {
    let stage = stage();
    let ran = elbadmin(&stage, "elbadmin add web i-bad");
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Failed, "127.0.0.1\n"));
    let expected = "error: failed to add instances to load balancer `web`: InvalidInstance: Could not find EC2 instance i-bad.\n\
                    hint: `list_instances` shows all instances\n";
    assert_eq!(ran.err, expected);
}
