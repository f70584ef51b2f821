//! Steady load while the fleet changes: the classic replacement, and a death without warning.

use std::time::Duration;

use evenkeel::traffic::{self, Plan, Post, Snapshot, Traffic};

use crate::rig::{Rig, kill9, processes_of_instance};

/// The rate that promises are made for, requests a second.
pub const RATE: u32 = 2_000;

/// Traffic to every node of a balancer in turn.
pub struct Steady {
    traffic: Traffic,
}

/// What came of it.
pub struct Report {
    /// Requests sent.
    pub sent: u64,
    /// Requests lost, in words.
    pub lost: Vec<String>,
}

impl Steady {
    /// Starts GETs.
    pub fn start(rig: &Rig, balancer: &str, rate: u32) -> Self {
        Self::start_plan(rig, balancer, rate, None)
    }

    /// Starts GETs, with POSTs among them.
    pub fn start_plan(rig: &Rig, balancer: &str, rate: u32, post: Option<Post>) -> Self {
        let nodes = rig.nodes(balancer).into_iter().map(|(_, address)| address).collect();
        let plan = Plan { post, ..Plan::new(traffic::addresses(nodes), rate) };
        Self { traffic: Traffic::start(plan).unwrap() }
    }

    /// Starts GETs of another path of the sample application that says which instance it is from.
    pub fn start_on(rig: &Rig, balancer: &str, path: &str, rate: u32) -> Self {
        let nodes = rig.nodes(balancer).into_iter().map(|(_, address)| address).collect();
        let plan = Plan { path: path.into(), ..Plan::new(traffic::addresses(nodes), rate) };
        Self { traffic: Traffic::start(plan).unwrap() }
    }

    /// Where it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.traffic.snapshot()
    }

    /// How long it has been flowing.
    pub fn elapsed(&self) -> Duration {
        self.traffic.elapsed()
    }

    /// Stops it and waits for what is in flight.
    pub fn end(self) -> Snapshot {
        self.traffic.stop()
    }

    /// Stops it; what was lost.
    pub fn stop(self) -> Report {
        let snapshot = self.end();
        Report { sent: snapshot.sent, lost: snapshot.failures.iter().map(|f| format!("{f:?}")).collect() }
    }
}

/// Waits until so many requests more were sent.
pub fn let_flow(rig: &mut Rig, steady: &Steady, requests: u64) {
    let until = steady.snapshot().sent + requests;
    rig.wait("traffic to flow", Duration::from_secs(60), |_| (steady.snapshot().sent >= until).then_some(()));
}

#[test]
fn the_classic_replacement_under_load_loses_nothing() {
    let mut rig = Rig::start_alone();
    let (old, new) = (rig.image("v1", &[]), rig.image("v2", &[]));
    let mut fleet = rig.run(&old, "us-east-1a", 2);
    fleet.extend(rig.run(&old, "us-east-1b", 1));
    rig.balancer("test", &["us-east-1a", "us-east-1b"]);
    rig.add("test", &fleet);
    rig.wait_in_service("test", &fleet);

    let steady = Steady::start(&rig, "test", RATE);
    let_flow(&mut rig, &steady, 2_000);
    let zones = ["us-east-1a", "us-east-1a", "us-east-1b"];
    for (old, zone) in fleet.iter().zip(zones) {
        let fresh = rig.run(&new, zone, 1);
        rig.add("test", &fresh);
        rig.wait_in_service("test", &fresh);
        rig.remove("test", std::slice::from_ref(old));
        rig.terminate(std::slice::from_ref(old));
        rig.wait_state(old, "terminated");
        let_flow(&mut rig, &steady, 1_000);
    }
    let elapsed = steady.elapsed();
    let end = steady.end();
    let rate = end.sent as f64 / elapsed.as_secs_f64();
    println!("{} requests at {rate:.0}/s, {} lost, p99 {:?}", end.sent, end.lost(), end.latencies.quantile(0.99));
    assert_eq!(end.failures, vec![], "{} of {} requests were lost\n{}", end.lost(), end.sent, rig.log());
    assert!(rate > f64::from(RATE) * 0.9, "the load was {rate:.0} requests a second only");
    assert!(end.versions.contains_key("v1") && end.versions.contains_key("v2"), "{:?}", end.versions);
    rig.finish();
}

#[test]
fn killing_an_instance_without_removing_it_first_loses_nothing_either() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 3)]);
    let steady = Steady::start(&rig, "test", 500);
    let_flow(&mut rig, &steady, 300);
    rig.terminate(&ids[..1]);
    rig.wait_state(&ids[0], "terminated");
    let_flow(&mut rig, &steady, 300);
    let health = rig.health("test");
    assert!(health.contains(&(ids[0].clone(), "OutOfService: Instance is in terminated state.".into())), "{health:?}");
    assert_eq!(steady.stop().lost, Vec::<String>::new());
    rig.finish();
}

#[test]
fn an_instance_killed_without_warning_costs_only_what_it_was_answering_and_may_not_be_asked_twice() {
    let mut rig = Rig::start_alone();
    let ids = rig.serving(&[("us-east-1a", 3)]);
    let post = Post { every: 10, path: "/echo".into(), body: b"once only".to_vec() };
    let steady = Steady::start_plan(&rig, "test", RATE, Some(post));
    let_flow(&mut rig, &steady, 3_000);
    let victim = &ids[1];
    let in_flight = steady.snapshot().in_flight();
    let before = steady.elapsed();
    for pid in processes_of_instance(victim) {
        kill9(pid);
    }
    let death = steady.elapsed();
    let why = rig.wait_state(victim, "stopped");
    let seen = steady.elapsed();
    let_flow(&mut rig, &steady, 3_000);
    let end = steady.end();
    let last = end.instances[victim.as_str()].last_sent;
    println!(
        "{} requests, {} lost, {in_flight} in flight at the kill; death reported after {:?} ({why}), last request to it {:?} after",
        end.sent,
        end.lost(),
        seen.saturating_sub(before),
        last.saturating_sub(death),
    );
    for failure in &end.failures {
        assert!(!failure.idempotent, "a GET was lost: {failure:?}\n{}", rig.log());
        assert!(failure.sent <= death + Duration::from_secs(1), "lost long after the death: {failure:?}");
    }
    assert!(end.lost() <= in_flight + 32, "{} were lost, and {in_flight} were in flight", end.lost());
    assert!(last <= death + Duration::from_secs(1));
    assert!(why.contains("Client.InternalError"), "{why}");
    rig.finish();
}
