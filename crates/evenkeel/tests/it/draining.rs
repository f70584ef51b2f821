//! Deregistration: what is in flight finishes, shows as in progress with draining on, and is cut only at its timeout.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use evenkeel_aws::elb;

use crate::rig::Rig;

pub fn set_draining(rig: &Rig, name: &str, timeout: i64) {
    let draining = elb::ConnectionDraining { enabled: true, timeout: Some(timeout) };
    let attributes = elb::LoadBalancerAttributes { connection_draining: Some(draining), ..Default::default() };
    let input =
        elb::ModifyLoadBalancerAttributes { load_balancer_name: name.into(), load_balancer_attributes: attributes };
    rig.call(&input).unwrap();
}

/// A balancer with two instances in service.
pub fn pair(rig: &mut Rig, protocol: &str) -> Vec<String> {
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 2);
    if protocol == "http" {
        rig.balancer("test", &["us-east-1a"]);
    } else {
        rig.create("test", &["us-east-1a"], protocol).unwrap();
    }
    rig.add("test", &ids);
    rig.wait_in_service("test", &ids);
    ids
}

/// A request whose body is not all sent yet, so that it is in flight for exactly as long as the test wants it to be.
pub struct Held(TcpStream);

impl Held {
    pub fn send(rig: &Rig) -> Self {
        let mut stream = TcpStream::connect(rig.nodes("test")[0].1).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1";
        stream.write_all(head.as_bytes()).unwrap();
        Self(stream)
    }

    /// Sends the rest and returns the status.
    pub fn release(mut self) -> std::io::Result<u16> {
        self.0.write_all(b"2")?;
        self.answer()
    }

    fn answer(&mut self) -> std::io::Result<u16> {
        crate::rig::read_answer(&mut self.0).map(|(status, _)| status)
    }
}

/// One request in flight at each of two instances. The second is sent when the first is seen: two workers that choose at
/// the same moment may choose the same instance.
pub fn held_pair(rig: &mut Rig) -> [Held; 2] {
    let first = Held::send(rig);
    until_busy(rig, 1);
    let second = Held::send(rig);
    until_busy(rig, 2);
    [first, second]
}

/// Waits until `wanted` instances have a request in flight.
fn until_busy(rig: &mut Rig, wanted: usize) {
    rig.wait("requests in flight at that many instances", Duration::from_secs(20), |rig| {
        let status = std::process::Command::new(crate::rig::PROGRAM)
            .args(["status", "--json", "--data-dir"])
            .arg(rig.data_dir())
            .env_remove("AWS_ENDPOINT_URL")
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        let counts = report["counts"].as_array().unwrap();
        let busy = counts.iter().filter(|c| c["requests"].as_u64().unwrap_or(0) > 0).count();
        (busy >= wanted).then_some(())
    });
}

#[test]
fn with_draining_on_it_shows_until_the_last_request_has_ended() {
    let mut rig = Rig::start();
    let ids = pair(&mut rig, "http");
    set_draining(&rig, "test", 60);
    let requests = held_pair(&mut rig);
    rig.remove("test", &ids[..1]);
    let health = rig.health("test");
    let progress = "InService: Instance deregistration currently in progress.";
    assert!(health.contains(&(ids[0].clone(), progress.into())), "{health:?}");
    for request in requests {
        assert_eq!(request.release().unwrap(), 200);
    }
    rig.wait("the deregistration to end", Duration::from_secs(5), |rig| {
        (!rig.health("test").iter().any(|(id, _)| *id == ids[0])).then_some(())
    });
    rig.finish();
}

#[test]
fn draining_cuts_what_is_left_at_its_timeout() {
    let mut rig = Rig::start();
    let ids = pair(&mut rig, "http");
    set_draining(&rig, "test", 2);
    let requests = held_pair(&mut rig);
    let begin = Instant::now();
    rig.remove("test", &ids);
    for mut request in requests {
        let answer = request.answer();
        assert!(!answer.as_ref().is_ok_and(|status| *status == 200), "a request outlived the draining timeout");
    }
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    rig.wait("the deregistration to end", Duration::from_secs(5), |rig| rig.health("test").is_empty().then_some(()));
    rig.finish();
}

#[test]
fn without_draining_requests_in_flight_finish_all_the_same() {
    let mut rig = Rig::start();
    let ids = pair(&mut rig, "http");
    let requests = held_pair(&mut rig);
    rig.remove("test", &ids);
    assert!(rig.health("test").is_empty());
    for request in requests {
        assert_eq!(request.release().unwrap(), 200);
    }
    rig.finish();
}

#[test]
fn tcp_connections_go_round_robin_and_outlive_deregistration() {
    let mut rig = Rig::start();
    let ids = pair(&mut rig, "tcp");
    let node = rig.nodes("test")[0].1;
    let ask = |stream: &mut TcpStream| -> String {
        write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let mut byte = [0u8; 1];
        while !answer.ends_with(b"}\n") && !answer.ends_with(b"}") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection was cut");
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    };
    let mut streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(node).unwrap()).collect();
    let answers: Vec<String> = streams.iter_mut().map(ask).collect();
    let to = |id: &String| answers.iter().filter(|answer| answer.contains(id.as_str())).count();
    // Each of the two workers takes turns by itself, so each may be one apart.
    assert!((9..=11).contains(&to(&ids[0])), "{} and {}: {answers:?}", to(&ids[0]), to(&ids[1]));
    rig.remove("test", &ids[..1]);
    rig.wait("new connections to go elsewhere", Duration::from_secs(5), |rig| {
        let bodies = (0..4).map(|_| rig.get(node, "/").unwrap().1);
        bodies.into_iter().all(|body| body.contains(&ids[1])).then_some(())
    });
    for stream in &mut streams {
        ask(stream);
    }
    rig.finish();
}
