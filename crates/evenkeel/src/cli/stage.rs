//! For tests: a server on a free port that checks signatures, decodes calls and renders answers with the real codec,
//! and the streams of a command run against it.
//!
//! Holds what it answers as plain described structs; it has no rules of its own. Next: the tests of each command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use evenkeel_aws::dispatch::Action;
use evenkeel_aws::{Call, Credentials, Error, Request, Response, ec2, elb, render, render_error, sigv4};

use super::client::{Client, now};
use super::failure::{Outcome, report};
use super::settings::Settings;
use super::streams::{Screen, Streams};

/// The secret of the two access keys that a stage knows: `AK`, with which its client signs, and `AKNEW`.
pub const SECRET: &str = "secret/with+signs";

/// A running server, and every call it was asked.
pub struct Stage {
    pub client: Client,
    pub address: SocketAddr,
    /// What commands are shown on.
    pub screen: Screen,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a command printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub outcome: Outcome,
    pub out: String,
    pub err: String,
}

impl Stage {
    pub fn new(mut answer: impl FnMut(&Call) -> Result<Response, Error> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&calls), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let response = respond(&read(&stream), &seen, &mut answer);
                let head = format!("HTTP/1.1 {} X\r\nTransfer-Encoding: chunked\r\n\r\n", response.status);
                let (first, second) = response.body.split_at(response.body.len() / 2);
                let mut bytes = head.into_bytes();
                for chunk in [first, second] {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
                stream.write_all(&bytes).unwrap();
            }
        });
        let credentials =
            Credentials { access_key_id: "AK".into(), secret_access_key: SECRET.into(), session_token: None };
        let endpoint = format!("http://{address}").parse().unwrap();
        let client = Client::new(Settings { endpoint, credentials, region: "us-east-1".into() });
        Self { client, address, screen: Screen::default(), calls, stop, thread: Some(thread) }
    }

    /// A server of one canned state.
    pub fn of(mut state: Canned) -> Self {
        Self::new(move |call| state.answer(call))
    }

    /// The calls since the last time, in order.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Names of the calls since the last time.
    pub fn names(&self) -> Vec<&'static str> {
        self.calls().iter().map(Call::name).collect()
    }

    /// Runs a command on captured streams.
    pub fn run(&self, command: impl FnOnce(&Client, &mut Streams<'_>) -> anyhow::Result<Outcome>) -> Ran {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams = Streams { out: &mut out, err: &mut err, live: false, screen: self.screen };
        let outcome = match command(&self.client, &mut streams) {
            Ok(outcome) => outcome,
            Err(error) => report(&error, streams.err),
        };
        Ran { outcome, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut request = Request { method, target, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let length: usize = request.header("content-length").unwrap().parse().unwrap();
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).unwrap();
    request
}

fn respond(
    request: &Request,
    calls: &Mutex<Vec<Call>>,
    answer: &mut impl FnMut(&Call) -> Result<Response, Error>,
) -> Response {
    let form = evenkeel_aws::form(request);
    if let Err(error) = sigv4::verify(request, |key| ["AK", "AKNEW"].contains(&key).then(|| SECRET.to_owned()), now()) {
        return render_error(&Error::sender("SignatureDoesNotMatch", error.to_string()), "r", form);
    }
    let decoded = match evenkeel_aws::decode(request) {
        Ok(decoded) => decoded,
        Err(rejected) => return render_error(&rejected.error, "r", rejected.form),
    };
    calls.lock().unwrap().push(decoded.call.clone());
    answer(&decoded.call).unwrap_or_else(|error| render_error(&error, "r", form))
}

/// The answer to an `A`.
pub fn answered<A: Action>(output: A::Output) -> Result<Response, Error> {
    Ok(render::<A>(&output, "r", A::API.dialect(), A::API.version()))
}

/// What a server with nothing but a memory would answer.
#[derive(Default)]
pub struct Canned {
    pub balancers: Vec<elb::LoadBalancerDescription>,
    pub health: Vec<elb::InstanceState>,
    pub reservations: Vec<ec2::Reservation>,
    pub interfaces: Vec<ec2::NetworkInterface>,
}

/// So many entries on a page, so that every listing has pages.
const PAGE: usize = 2;

fn page<T: Clone>(all: &[T], token: Option<&String>) -> (Vec<T>, Option<String>) {
    let start: usize = token.map_or(0, |token| token.parse().unwrap());
    let end = (start + PAGE).min(all.len());
    (all[start..end].to_vec(), (end < all.len()).then(|| end.to_string()))
}

impl Canned {
    pub fn answer(&mut self, call: &Call) -> Result<Response, Error> {
        match call {
            Call::Elb(call) => self.answer_elb(call),
            Call::Ec2(call) => self.answer_ec2(call),
            Call::Acm(_) | Call::AutoScaling(_) | Call::Cloudwatch(_) | Call::Iam(_) | Call::Sts(_) | Call::Sns(_) => {
                Err(Error::invalid_action(call.name()))
            }
        }
    }

    fn named(&mut self, name: &str) -> Result<&mut elb::LoadBalancerDescription, Error> {
        let text = format!("There is no ACTIVE Load Balancer named '{name}'");
        let found = self.balancers.iter_mut().find(|balancer| balancer.load_balancer_name == name);
        found.ok_or_else(|| Error::sender("LoadBalancerNotFound", text))
    }

    fn answer_elb(&mut self, call: &elb::Call) -> Result<Response, Error> {
        match call {
            elb::Call::DescribeLoadBalancers(input) if input.load_balancer_names.is_empty() => {
                let (found, next_marker) = page(&self.balancers, input.marker.as_ref());
                answered::<elb::DescribeLoadBalancers>(elb::DescribeLoadBalancersOutput {
                    load_balancer_descriptions: found.into(),
                    next_marker,
                })
            }
            elb::Call::DescribeLoadBalancers(input) => {
                let found = self.named(&input.load_balancer_names[0])?.clone();
                answered::<elb::DescribeLoadBalancers>(elb::DescribeLoadBalancersOutput {
                    load_balancer_descriptions: vec![found].into(),
                    next_marker: None,
                })
            }
            elb::Call::CreateLoadBalancer(input) => {
                self.balancers.push(elb::LoadBalancerDescription {
                    load_balancer_name: input.load_balancer_name.clone(),
                    dns_name: format!("{}-1.elb.example", input.load_balancer_name),
                    availability_zones: input.availability_zones.clone().unwrap_or_default(),
                    health_check: elb::HealthCheck { target: "TCP:80".into(), ..Default::default() },
                    ..Default::default()
                });
                answered::<elb::CreateLoadBalancer>(elb::CreateLoadBalancerOutput::default())
            }
            elb::Call::DeleteLoadBalancer(input) => {
                self.balancers.retain(|balancer| balancer.load_balancer_name != input.load_balancer_name);
                answered::<elb::DeleteLoadBalancer>(elb::DeleteLoadBalancerOutput {})
            }
            elb::Call::DescribeInstanceHealth(input) => {
                self.named(&input.load_balancer_name)?;
                answered::<elb::DescribeInstanceHealth>(elb::DescribeInstanceHealthOutput {
                    instance_states: self.health.clone().into(),
                })
            }
            elb::Call::RegisterInstancesWithLoadBalancer(input) => {
                if let Some(bad) = input.instances.iter().find(|instance| instance.instance_id == "i-bad") {
                    let text = format!("Could not find EC2 instance {}.", bad.instance_id);
                    return Err(Error::sender("InvalidInstance", text));
                }
                answered::<elb::RegisterInstancesWithLoadBalancer>(Default::default())
            }
            elb::Call::DeregisterInstancesFromLoadBalancer(input) => {
                self.health.retain(|state| !input.instances.iter().any(|i| i.instance_id == state.instance_id));
                answered::<elb::DeregisterInstancesFromLoadBalancer>(Default::default())
            }
            elb::Call::EnableAvailabilityZonesForLoadBalancer(input) => {
                let more = input.availability_zones.clone();
                self.named(&input.load_balancer_name)?.availability_zones.extend(more);
                answered::<elb::EnableAvailabilityZonesForLoadBalancer>(Default::default())
            }
            elb::Call::DisableAvailabilityZonesForLoadBalancer(input) => {
                let zones = &mut self.named(&input.load_balancer_name)?.availability_zones;
                zones.retain(|zone| !input.availability_zones.contains(zone));
                answered::<elb::DisableAvailabilityZonesForLoadBalancer>(Default::default())
            }
            elb::Call::CreateLoadBalancerListeners(_) => {
                answered::<elb::CreateLoadBalancerListeners>(elb::CreateLoadBalancerListenersOutput {})
            }
            elb::Call::DeleteLoadBalancerListeners(_) => {
                answered::<elb::DeleteLoadBalancerListeners>(elb::DeleteLoadBalancerListenersOutput {})
            }
            other => Err(Error::invalid_action(other.name())),
        }
    }

    fn answer_ec2(&mut self, call: &ec2::Call) -> Result<Response, Error> {
        match call {
            ec2::Call::DescribeInstances(input) => {
                let (found, next_token) = page(&self.reservations, input.next_token.as_ref());
                let reservation_set = found.into();
                answered::<ec2::DescribeInstances>(ec2::DescribeInstancesOutput { reservation_set, next_token })
            }
            ec2::Call::DescribeNetworkInterfaces(input) => {
                let (found, next_token) = page(&self.interfaces, input.next_token.as_ref());
                let network_interface_set = found.into();
                let output = ec2::DescribeNetworkInterfacesOutput { network_interface_set, next_token };
                answered::<ec2::DescribeNetworkInterfaces>(output)
            }
            ec2::Call::DescribeRegions(_) => {
                let region = ec2::Region { region_name: "eu-west-1".into(), ..Default::default() };
                let output = ec2::DescribeRegionsOutput { region_info: vec![region].into() };
                answered::<ec2::DescribeRegions>(output)
            }
            ec2::Call::TerminateInstances(input) => {
                if input.instance_ids.iter().any(|id| id == "i-bad") {
                    let text = "The instance ID 'i-bad' does not exist";
                    return Err(Error::sender("InvalidInstanceID.NotFound", text));
                }
                let change = |id: &String| ec2::StateChange {
                    instance_id: id.clone(),
                    current_state: ec2::State { code: 32, name: "shutting-down".into() },
                    previous_state: ec2::State { code: 16, name: "running".into() },
                };
                let instances_set = input.instance_ids.iter().map(change).collect();
                answered::<ec2::TerminateInstances>(ec2::StateChanges { instances_set })
            }
            other => Err(Error::invalid_action(other.name())),
        }
    }
}

/// A load balancer with a name.
pub fn balancer(name: &str) -> elb::LoadBalancerDescription {
    elb::LoadBalancerDescription {
        load_balancer_name: name.into(),
        dns_name: format!("{name}-1.elb.example"),
        health_check: elb::HealthCheck { target: "HTTP:80/".into(), ..Default::default() },
        availability_zones: vec!["us-east-1a".to_owned()].into(),
        ..Default::default()
    }
}

/// The health of an instance.
pub fn health(id: &str, state: &str, description: &str) -> elb::InstanceState {
    elb::InstanceState {
        instance_id: id.into(),
        state: state.into(),
        reason_code: "N/A".into(),
        description: description.into(),
    }
}

/// A reservation of one instance, launched so many seconds after the epoch.
pub fn reservation(id: &str, launched: i64, name: &str) -> ec2::Reservation {
    let group = ec2::Group { group_id: "sg-1".into(), group_name: "default".into() };
    let instance = ec2::Instance {
        instance_id: id.into(),
        launch_time: evenkeel_aws::Time(launched * 1000),
        dns_name: format!("{id}.example"),
        placement: ec2::PlacementShown { availability_zone: "us-east-1a".into(), ..Default::default() },
        instance_state: ec2::State { code: 16, name: "running".into() },
        tag_set: vec![ec2::TagShown { key: "Name".into(), value: name.into() }].into(),
        ..Default::default()
    };
    ec2::Reservation { group_set: vec![group].into(), instances_set: vec![instance].into(), ..Default::default() }
}
