//! Groups that scale to zero: requests that come while nobody is there wait for who is brought, whoever is killed meanwhile.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use evenkeel_aws::autoscaling as wire;

use crate::rig::{Rig, read_answer};

const ZONES: [&str; 2] = ["us-east-1a", "us-east-1b"];
/// Requests that come at once.
const CROWD: usize = 200;
/// How long anything may take on a busy machine. Requests wait for as long by themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// A group without a member behind the balancer `web`, emptied again after a minute without a request.
fn empty_group(rig: &mut Rig) {
    let image = rig.image("web", &[]);
    rig.balancer("web", &ZONES);
    rig.call(&wire::CreateLaunchConfiguration {
        launch_configuration_name: "web-1".into(),
        image_id: Some(image),
        instance_type: Some("m1.small".into()),
        ..wire::CreateLaunchConfiguration::default()
    })
    .unwrap();
    let tag = wire::Tag { key: "evenkeel:idle-to-zero".into(), value: Some("60".into()), ..wire::Tag::default() };
    rig.call(&wire::CreateAutoScalingGroup {
        auto_scaling_group_name: "web".into(),
        launch_configuration_name: Some("web-1".into()),
        min_size: 0,
        max_size: 2,
        desired_capacity: Some(0),
        availability_zones: Some(ZONES.map(str::to_owned).into_iter().collect()),
        load_balancer_names: vec!["web".to_owned()].into(),
        tags: vec![tag].into(),
        ..wire::CreateAutoScalingGroup::default()
    })
    .unwrap();
    // What the road drives by is kept on disk only then.
    rig.wait("the road to know that requests are to wait", PATIENCE, |rig| {
        std::fs::read_to_string(rig.file("routes.json")).is_ok_and(|kept| kept.contains("\"wakes\":true")).then_some(())
    });
}

/// The wish, and the members' states.
fn group(rig: &Rig) -> (i64, Vec<String>) {
    let shown = rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap();
    let group = shown.auto_scaling_groups.0.into_iter().next().unwrap();
    (group.desired_capacity, group.instances.0.into_iter().map(|member| member.lifecycle_state).collect())
}

fn causes(rig: &Rig) -> Vec<String> {
    let input = wire::DescribeScalingActivities::default();
    rig.call(&input).unwrap().activities.0.into_iter().map(|activity| activity.cause).collect()
}

/// Requests that were sent and are not yet answered.
struct Crowd {
    began: Instant,
    clients: Vec<TcpStream>,
}

impl Crowd {
    /// Sends them to all nodes in turn.
    fn send(nodes: &[SocketAddr]) -> Self {
        let mut clients: Vec<TcpStream> =
            (0..CROWD).map(|n| TcpStream::connect(nodes[n % nodes.len()]).unwrap()).collect();
        let began = Instant::now();
        for client in &mut clients {
            client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        }
        Self { began, clients }
    }

    /// Waits for every answer, each of which must be a good one; how long it took.
    fn answered(self, rig: &Rig) -> Duration {
        for (n, mut client) in self.clients.into_iter().enumerate() {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let answer = read_answer(&mut client).map(|(status, _)| status);
            assert!(matches!(answer, Ok(200)), "request {n} of {CROWD}: {answer:?}\n{}", rig.log());
        }
        self.began.elapsed()
    }
}

fn nodes(rig: &Rig) -> Vec<SocketAddr> {
    rig.nodes("web").into_iter().map(|(_, address)| address).collect()
}

#[test]
fn two_hundred_requests_to_an_empty_group_are_all_answered_and_it_empties_again() {
    let mut rig = Rig::start();
    empty_group(&mut rig);
    let nodes = nodes(&rig);
    for round in 1..=2 {
        assert_eq!(group(&rig), (0, vec![]));
        let took = Crowd::send(&nodes).answered(&rig);
        println!("{CROWD} requests to an empty group: all answered {took:?} after they were sent");
        assert_eq!(group(&rig), (1, vec!["InService".to_owned()]));
        let woken =
            causes(&rig).iter().filter(|cause| cause.contains("requests were waiting at load balancer web")).count();
        assert_eq!(woken, round, "{:?}", causes(&rig));
        if round == 2 {
            break;
        }
        let quiet = Instant::now();
        rig.wait("the group to be emptied", Duration::from_secs(120), |rig| (group(rig) == (0, vec![])).then_some(()));
        let after = quiet.elapsed();
        assert!(after >= Duration::from_secs(58), "emptied after {after:?}");
        let told = "no request had come to load balancer web for 6";
        assert!(causes(&rig).iter().any(|cause| cause.contains(told)), "{:?}", causes(&rig));
    }
    end(rig);
}

#[test]
fn a_daemon_that_is_killed_while_requests_wait_loses_none_of_them() {
    let mut rig = Rig::start();
    empty_group(&mut rig);
    let nodes = nodes(&rig);
    // The road knows that somebody will come, and the next daemon hears from it for whom.
    rig.kill_daemon();
    let crowd = Crowd::send(&nodes);
    rig.up();
    // Wherever it is with the one whom it brings.
    rig.wait("a member", PATIENCE, |rig| (!group(rig).1.is_empty()).then_some(()));
    rig.kill_daemon();
    rig.up();
    let took = crowd.answered(&rig);
    println!("{CROWD} requests while the daemon was down twice: all answered {took:?} after they were sent");
    assert_eq!(group(&rig), (1, vec!["InService".to_owned()]), "one was enough");
    end(rig);
}

fn end(mut rig: Rig) {
    let (auto_scaling_group_name, force_delete) = ("web".to_owned(), Some(true));
    rig.call(&wire::DeleteAutoScalingGroup { auto_scaling_group_name, force_delete }).unwrap();
    rig.wait("the group to end", PATIENCE, |rig| {
        rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap().auto_scaling_groups.0.is_empty().then_some(())
    });
    rig.finish();
}
