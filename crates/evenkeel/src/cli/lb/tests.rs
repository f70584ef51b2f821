//! `evenkeel lb` against a server that describes one load balancer and forgets what it is told to change.

use clap::Parser as _;
use evenkeel_aws::{Call, Error, Response, ec2, iam};

use super::*;
use crate::cli::stage::{Ran, Stage, answered, balancer, health};
use crate::cli::streams::Screen;
use crate::cli::{Cli, Command};

const ARN: &str = "arn:aws:iam::000000000000:server-certificate/www";

fn web() -> elb::LoadBalancerDescription {
    let listener = |spec: &str| elb::ListenerDescription {
        listener: elb::Listener {
            instance_protocol: Some("HTTP".into()),
            ..words::listener(spec).expect("a listener")
        },
        policy_names: Members::default(),
    };
    elb::LoadBalancerDescription {
        listener_descriptions: vec![listener("HTTP:80=8080")].into(),
        availability_zones: vec!["us-east-1a".to_owned()].into(),
        instances: instances(&["i-0000000a".to_owned()]),
        health_check: elb::HealthCheck {
            target: "TCP:8080".into(),
            interval: 30,
            timeout: 5,
            unhealthy_threshold: 2,
            healthy_threshold: 10,
        },
        scheme: "internet-facing".into(),
        ..balancer("web")
    }
}

fn answer(call: &Call) -> Result<Response, Error> {
    match call {
        Call::Elb(call) => answer_elb(call),
        Call::Ec2(ec2::Call::DescribeAvailabilityZones(_)) => {
            let zone = |name: &str| ec2::AvailabilityZone { zone_name: name.into(), ..Default::default() };
            let availability_zone_info = vec![zone("us-east-1a"), zone("us-east-1b")].into();
            answered::<ec2::DescribeAvailabilityZones>(ec2::DescribeAvailabilityZonesOutput { availability_zone_info })
        }
        Call::Ec2(ec2::Call::DescribeInstances(input)) => {
            let is_asked_for = |id: &&str| input.filters[0].values.iter().any(|value| value == id);
            let known = ["i-0000000a", "i-0000000b"].into_iter().filter(is_asked_for);
            let reservation_set = known.map(|id| crate::cli::stage::reservation(id, 0, "")).collect();
            answered::<ec2::DescribeInstances>(ec2::DescribeInstancesOutput { reservation_set, next_token: None })
        }
        Call::Ec2(ec2::Call::DescribeNetworkInterfaces(_)) => {
            let node = ec2::NetworkInterface {
                description: "ELB web".into(),
                availability_zone: Some("us-east-1a".into()),
                private_ip_address: "127.80.0.1".into(),
                ..Default::default()
            };
            let network_interface_set = vec![node].into();
            let output = ec2::DescribeNetworkInterfacesOutput { network_interface_set, next_token: None };
            answered::<ec2::DescribeNetworkInterfaces>(output)
        }
        Call::Iam(iam::Call::GetServerCertificate(_)) => {
            let mut output = iam::GetServerCertificateOutput::default();
            output.server_certificate.server_certificate_metadata.arn = ARN.into();
            answered::<iam::GetServerCertificate>(output)
        }
        other => panic!("{}", other.name()),
    }
}

fn answer_elb(call: &elb::Call) -> Result<Response, Error> {
    use elb::Call as C;
    let is_web = |name: &str| match name {
        "web" => Ok(()),
        _ => Err(Error::sender("LoadBalancerNotFound", format!("There is no ACTIVE Load Balancer named '{name}'"))),
    };
    match call {
        C::DescribeLoadBalancers(input) => {
            input.load_balancer_names.iter().try_for_each(|name| is_web(name))?;
            answered::<elb::DescribeLoadBalancers>(elb::DescribeLoadBalancersOutput {
                load_balancer_descriptions: vec![web()].into(),
                next_marker: None,
            })
        }
        C::DescribeLoadBalancerAttributes(_) => {
            let load_balancer_attributes = state::default_attributes();
            let output = elb::DescribeLoadBalancerAttributesOutput { load_balancer_attributes };
            answered::<elb::DescribeLoadBalancerAttributes>(output)
        }
        C::DescribeTags(_) => answered::<elb::DescribeTags>(elb::DescribeTagsOutput::default()),
        C::DescribeLoadBalancerPolicies(_) => {
            answered::<elb::DescribeLoadBalancerPolicies>(elb::DescribeLoadBalancerPoliciesOutput::default())
        }
        C::DescribeAccountLimits(_) => {
            let limits = ["classic-listeners", "classic-load-balancers", "classic-registered-instances"];
            let limits = limits.map(|name| elb::Limit { name: name.into(), max: "2".into() });
            let output = elb::DescribeAccountLimitsOutput { limits: limits.to_vec().into(), next_marker: None };
            answered::<elb::DescribeAccountLimits>(output)
        }
        C::DescribeInstanceHealth(input) => {
            is_web(&input.load_balancer_name)?;
            let states =
                vec![health("i-0000000a", "OutOfService", "It is slow."), health("i-0000000b", "InService", "N/A")];
            let output = elb::DescribeInstanceHealthOutput { instance_states: states.into() };
            answered::<elb::DescribeInstanceHealth>(output)
        }
        C::RegisterInstancesWithLoadBalancer(_) => {
            answered::<elb::RegisterInstancesWithLoadBalancer>(Default::default())
        }
        C::DeleteLoadBalancer(_) => answered::<elb::DeleteLoadBalancer>(elb::DeleteLoadBalancerOutput {}),
        C::CreateLoadBalancerListeners(_) => {
            answered::<elb::CreateLoadBalancerListeners>(elb::CreateLoadBalancerListenersOutput {})
        }
        C::RemoveTags(_) => answered::<elb::RemoveTags>(elb::RemoveTagsOutput {}),
        C::AddTags(_) => answered::<elb::AddTags>(elb::AddTagsOutput {}),
        other => panic!("{}", other.name()),
    }
}

fn lb(stage: &Stage, line: &str) -> Ran {
    let words = ["evenkeel", "lb"].into_iter().chain(line.split(' '));
    let Command::Lb(args) = Cli::try_parse_from(words).expect(line).command else { panic!("{line}") };
    stage.run(|client, streams| run(&args, client, streams))
}

fn check(line: &str, outcome: Outcome, out: &str, err: &str) {
    let stage = Stage::new(answer);
    assert_eq!(lb(&stage, line), Ran { outcome, out: out.into(), err: err.into() }, "{line}");
    if line.contains("--dry-run") {
        let writing =
            |name: &&str| !name.starts_with("Describe") && !name.starts_with("List") && !name.starts_with("Get");
        assert_eq!(stage.names().into_iter().filter(writing).collect::<Vec<_>>(), [""; 0], "{line}");
    }
}

#[test]
fn a_dry_run_prints_the_difference_and_calls_nothing_that_writes() {
    let done = |line: &str, out: &str| check(line, Outcome::Done, out, "");
    done("add web i-0000000b --dry-run", "would change web:\n+ instance  i-0000000b\n");
    done("add web i-0000000a i-0000000b --dry-run", "would change web:\n+ instance  i-0000000b\n");
    done("remove web i-0000000b --dry-run", "nothing would change of web\n");
    done("zone enable web us-east-1b --dry-run", "would change web:\n+ zone  us-east-1b\n");
    let out = "would change web:\n- attribute  draining=off\n+ attribute  draining=20\n- attribute  idle-timeout=60\n\
               + attribute  idle-timeout=7\n";
    done("attr web draining=20 idle-timeout=7 --dry-run", out);
    let out = "would change web:\n- check  TCP:8080 every 30 s, within 5 s, out after 2, in after 10\n\
               + check  HTTP:8080/ every 30 s, within 5 s, out after 2, in after 2\n";
    done("check web -t HTTP:8080/ --healthy 2 --dry-run", out);
    let out = "would create new:\n+ scheme    internet-facing\n+ zone      us-east-1a\n+ listener  TCP:25=TCP:2525\n\
               + check     TCP:2525 every 30 s, within 5 s, out after 2, in after 10\n+ tag       a=b=c\n";
    done("create new tcp:25=2525 -z us-east-1a --tag a=b=c --dry-run", out);
    let out = "would delete web:\n- scheme    internet-facing\n- zone      us-east-1a\n- listener  HTTP:80=HTTP:8080\n\
               - check     TCP:8080 every 30 s, within 5 s, out after 2, in after 10\n- instance  i-0000000a\n\
               nothing would change of gone\n";
    done("delete web gone --dry-run", out);
    done("create web http:80=8080 --zone us-east-1a --dry-run", "nothing would change of web\n");
    let json = "{\n  \"added\": [\n    {\n      \"text\": \"us-east-1b\",\n      \"what\": \"zone\"\n    }\n  ],\n  \
                \"changed\": true,\n  \"dry_run\": true,\n  \"name\": \"web\",\n  \"removed\": []\n}\n";
    done("zone enable web us-east-1b --dry-run --json", json);
}

#[test]
fn a_dry_run_says_what_would_be_refused_with_a_hint() {
    let refused = |line: &str, err: &str| check(line, Outcome::Failed, "", err);
    refused(
        "add web i-0000000c --dry-run",
        "error: failed to change load balancer `web`: it would be refused: InvalidInstance: Could not find EC2 instance \
         i-0000000c.\nhint: `list_instances` shows all instances\n",
    );
    refused(
        "zone disable web us-east-1a --dry-run",
        "error: failed to change load balancer `web`: it would be refused: InvalidConfigurationRequest: a load balancer \
         must keep at least one availability zone\n",
    );
    refused(
        "listener add web http:81=81 http:82=82 --dry-run",
        "error: failed to change load balancer `web`: it would be refused: InvalidConfigurationRequest: a load balancer \
         may have at most 2 listeners\n",
    );
    refused(
        "tag gone a=b --dry-run",
        "error: failed to change load balancer `gone`: it would be refused: LoadBalancerNotFound: There is no ACTIVE Load \
         Balancer named 'gone'\nhint: `evenkeel lb list` shows all load balancers\n",
    );
}

#[test]
fn a_change_is_the_call_that_was_typed_and_its_difference_is_what_became_other() {
    let stage = Stage::new(answer);
    // This server forgets what it is told.
    let ran = lb(&stage, "listener add web https:443=https:8443,www");
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Done, "nothing changed of web\n"));
    let calls = stage.calls();
    let sent = calls.iter().find_map(|call| match call {
        Call::Elb(elb::Call::CreateLoadBalancerListeners(input)) => Some(&input.listeners[0]),
        _ => None,
    });
    let sent = sent.expect("listeners were sent");
    assert_eq!((&*sent.protocol, sent.load_balancer_port, sent.instance_port), ("HTTPS", 443, 8443));
    assert_eq!((sent.instance_protocol.as_deref(), sent.ssl_certificate_id.as_deref()), (Some("HTTPS"), Some(ARN)));
    lb(&stage, "tag web a=1 --remove b");
    let names = stage.names();
    let writes: Vec<&&str> = names.iter().filter(|name| !name.starts_with("Describe")).collect();
    assert_eq!(writes, [&"RemoveTags", &"AddTags"]);
}

#[test]
fn what_there_is_is_shown_in_tables_and_in_json() {
    let done = |line: &str, out: &str| check(line, Outcome::Done, out, "");
    done(
        "list",
        "NAME  LISTENERS  ZONES       IN SERVICE  DNS NAME\nweb   HTTP:80    us-east-1a  0 of 1      web-1.elb.example\n",
    );
    let out = "\
name       web
dns        web-1.elb.example
created    1970-01-01T00:00:00.000Z
scheme     internet-facing
zone       us-east-1a 127.80.0.1
listener   HTTP:80=HTTP:8080
check      TCP:8080 every 30 s, within 5 s, out after 2, in after 10
attribute  cross-zone=off
attribute  draining=off
attribute  idle-timeout=60
attribute  access-log=off
attribute  desync=defensive
instance   i-0000000a OutOfService: It is slow.
instance   i-0000000b InService
";
    done("show web", out);
    done("check web", "TCP:8080 every 30 s, within 5 s, out after 2, in after 10\n");
    done("attr web", "cross-zone=off\ndraining=off\nidle-timeout=60\naccess-log=off\ndesync=defensive\n");
    done("health web --json", &{
        let state = |id: &str, state: &str, text: &str| {
            format!(
                "  {{\n    \"description\": \"{text}\",\n    \"instance\": \"{id}\",\n    \"reason\": \"N/A\",\n    \
                 \"state\": \"{state}\"\n  }}"
            )
        };
        let states = [state("i-0000000a", "OutOfService", "It is slow."), state("i-0000000b", "InService", "N/A")];
        format!("[\n{}\n]\n", states.join(",\n"))
    });
    let stage = Stage::new(answer);
    let shown: serde_json::Value = serde_json::from_str(&lb(&stage, "show web --json").out).unwrap();
    assert_eq!(shown["nodes"]["us-east-1a"], "127.80.0.1");
    assert_eq!(shown["listeners"][0]["instance_port"], 8080);
    assert_eq!(shown["attributes"]["idle-timeout"], "60");
    let absent = lb(&stage, "show gone");
    let expected = "error: failed to show load balancer `gone`: there is none of that name\nhint: `evenkeel lb list` names \
                    all load balancers\n";
    assert_eq!((absent.outcome, &*absent.err), (Outcome::Failed, expected));
}

#[test]
fn a_terminal_gets_colours_and_tables_that_fit() {
    let mut stage = Stage::new(answer);
    stage.screen = Screen { columns: Some(50), colour: true };
    let ran = lb(&stage, "attr web idle-timeout=7 --dry-run");
    let expected =
        "would change web:\n\x1b[31m- attribute  idle-timeout=60\x1b[0m\n\x1b[32m+ attribute  idle-timeout=7\x1b[0m\n";
    assert_eq!(ran.out, expected);
    let listed = lb(&stage, "list").out;
    assert!(listed.lines().all(|line| line.chars().count() <= 50) && listed.contains('…'), "{listed}");
}

#[test]
fn who_may_change_and_not_look_changes_all_the_same() {
    let mut seen = 0;
    let stage = Stage::new(move |call| match call {
        Call::Elb(elb::Call::DescribeLoadBalancers(_)) => {
            seen += 1;
            assert!(seen <= 2, "asked again");
            let text =
                "User: u is not authorized to perform: elasticloadbalancing:DescribeLoadBalancers on resource: *";
            Err(Error::sender("AccessDenied", text).with_status(403))
        }
        call => answer(call),
    });
    let ran = lb(&stage, "add web i-0000000b");
    let expected = "done; what became other of web is not yours to see\n";
    assert_eq!((ran.outcome, &*ran.out), (Outcome::Done, expected));
    assert_eq!(stage.names(), ["DescribeLoadBalancers", "RegisterInstancesWithLoadBalancer"]);
    let dry = lb(&stage, "add web i-0000000b --dry-run");
    assert!(dry.err.contains("AccessDenied") && dry.err.contains("hint: `evenkeel key can"), "{}", dry.err);
}
