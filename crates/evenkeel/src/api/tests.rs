//! The API over real sockets: `serve` on port 0, a Keeper over a Store in memory, and the product's own client.
//!
//! Owns the rig; the behaviours are a file each: [`wire`] (bytes, waits, signatures), [`alarms`] (CloudWatch's alarms), [`balancing`] (ELB), [`policies`], [`certificates`],
//! [`computing`] (EC2, STS), [`groups`], [`identities`] (IAM), [`launch_templates`], [`lives`] (attributes, protection, capacity), [`rights`], [`metadata`], [`metrics`] (CloudWatch), [`notices`] (SNS), [`protocols`] (JSON, CBOR, gzip), [`requests`] (certificates of ACME servers), [`guarded`] (signatures of version 2, throttling), [`size`].

mod alarms;
mod balancing;
mod certificates;
mod computing;
mod groups;
mod guarded;
mod identities;
mod launch_templates;
mod lives;
mod metadata;
mod metrics;
mod notices;
mod policies;
mod protocols;
mod requests;
mod rights;
mod size;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenkeel_aws::{Action, Credentials, Error, Request, Time, Versions, client, ec2, elb, sigv4};
use evenkeel_core::change::{Change, EndedBy, Seen};
use evenkeel_core::name::{InstanceId, Port, ZoneName};
use evenkeel_core::noun::image::Size;
use evenkeel_core::noun::{InstanceStatus, Manifest};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Limits as Quotas, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::server::{Limits, is_local, serve_within};
use super::{Api, Guard, Held, Imported, Intake, Keys, Reports, Source, ensure_default};
use crate::keeper::store::memory::MemoryStore;
use crate::keeper::{self, KeeperHandle};
use crate::metrics::Metrics;
use crate::notices::Outbox;
use crate::seal::Seal;

/// An instance that is up, and well.
const WELL: Seen = Seen::Running { status: InstanceStatus::Ok };

/// No wait in these tests is longer.
const DEADLINE: Duration = Duration::from_secs(20);

const ACCOUNT: &str = "000000000000";

struct Rig {
    /// Where root's keys are.
    dir: tempfile::TempDir,
    outbox: Arc<Outbox>,
    metrics: Metrics,
    seal: Arc<Seal>,
    host: String,
    credentials: Credentials,
    keeper: KeeperHandle,
    store: MemoryStore,
    sightings: watch::Sender<Arc<Sightings>>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

fn settings() -> Settings {
    let zone = |name: &str| ZoneName::new(name).unwrap();
    Settings {
        region: "us-east-1".into(),
        zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map(zone).into(),
        capacity: BTreeMap::new(),
        account: ACCOUNT.into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/16".parse().unwrap(),
        instance_pool: "127.81.0.0/16".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Quotas::default(),
    }
}

/// Who holds it holds up imports of `/images/slow`.
static GATE: Mutex<()> = Mutex::new(());

/// Imports of `/images/slow` so far.
static HELD_UP: AtomicUsize = AtomicUsize::new(0);

fn import(source: &Source) -> Result<(Imported, Held), String> {
    let path = source.path.as_path();
    if path == Path::new("/images/slow") {
        HELD_UP.fetch_add(1, Ordering::SeqCst);
        drop(GATE.lock());
        return import(&Source { path: "/images/app".into(), ..Source::default() });
    }
    if path != Path::new("/images/app") {
        return Err(format!("read `{}`: no such file", path.display()));
    }
    let manifest = Manifest::new("app", vec!["./serve".into()], Port::new(8080).unwrap());
    let size = Size { entries: 2, bytes: (1 << 30) + 1 };
    Ok((Imported { digest: "00".repeat(32), manifest, size }, Box::new(())))
}

/// Files of any instance, but for one whose image is named `broken`; held up by the gate as `/images/slow` is.
fn capture(_: &InstanceId, manifest: &Manifest) -> Result<(Imported, Held), String> {
    drop(GATE.lock());
    if manifest.port == Port::new(1).unwrap() {
        return Err("copy `x`: no space left on device".into());
    }
    let size = Size { entries: 1, bytes: 5 };
    Ok((Imported { digest: "11".repeat(32), manifest: manifest.clone(), size }, Box::new(())))
}

/// An instance's log: 70,000 bytes with a tail; none of ids that begin with `i-0`.
fn console(id: &InstanceId) -> io::Result<Vec<u8>> {
    if id.as_str().starts_with("i-0") {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut log = vec![b'.'; 70_000];
    log.extend_from_slice(b"ready\n");
    Ok(log)
}

impl Rig {
    async fn start() -> Self {
        Self::with(Limits::default(), settings()).await
    }

    async fn guarded(guard: Guard) -> Self {
        Self::whole(Limits::default(), settings(), guard).await
    }

    async fn with(limits: Limits, settings: Settings) -> Self {
        Self::whole(limits, settings, Guard::new(Versions::TwoAndFour, 0, 0)).await
    }

    async fn whole(limits: Limits, settings: Settings, guard: Guard) -> Self {
        let store = MemoryStore::default();
        let keeper = keeper::start(settings, store.clone(), clock).unwrap();
        ensure_default(&keeper, clock()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let credentials = keys.credentials();
        let seal = Arc::new(Seal::open(dir.path()).unwrap());
        let (sightings, seen) = watch::channel(Arc::new(Sightings::default()));
        let api = Api::new(
            keeper.clone(),
            seen,
            Arc::new(keys),
            Arc::clone(&seal),
            Arc::new(console),
            Intake {
                import: Box::new(import),
                capture: Box::new(capture),
                collect: Box::new(|dry| Ok(format!("{{\"dry\":{dry}}}").into_bytes())),
            },
            Reports { status: Box::new(|| b"{}".to_vec()), metrics: Box::new(|| b"up 1\n".to_vec()) },
        );
        let outbox = Arc::new(Outbox::open(dir.path()).unwrap());
        let clock = || i64::try_from(clock().0 / 1000).unwrap();
        let metrics = Metrics::start(&dir.path().join("metrics"), metrics::LIMITS, clock).unwrap();
        let api = api.notifying(Arc::clone(&outbox), true).measuring(metrics.clone());
        let api = api.requesting(true).logging_where(Arc::new(|route, balancer| match route.bucket.as_str() {
            "denied" => Err(format!("write `{}` for {balancer}: no", route.test_key())),
            _ => Ok(()),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve_within(Arc::new(api.behind(guard)), listener, stopped, limits));
        Self { dir, outbox, metrics, seal, host, credentials, keeper, store, sightings, stop: Some(stop), served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.host).await.unwrap()
    }

    fn signed<A: Action>(&self, input: &A) -> Request {
        client::encode(input, &self.host, &self.credentials, "us-east-1", now()).unwrap()
    }

    async fn call<A: Action>(&self, input: A) -> Result<A::Output, Error> {
        self.call_as(&self.credentials, input).await
    }

    async fn call_as<A: Action>(&self, credentials: &Credentials, input: A) -> Result<A::Output, Error> {
        let request = client::encode(&input, &self.host, credentials, "us-east-1", now()).unwrap();
        let answer = self.raw(&bytes(&request, true)).await;
        client::parse::<A>(answer.status, &answer.body)
    }

    /// A call that must succeed.
    async fn ok<A: Action>(&self, input: A) -> A::Output {
        self.call(input).await.unwrap_or_else(|error| panic!("{}: {error}", A::NAME))
    }

    /// A call that must fail with this status, code, and text within the message.
    async fn no<A: Action>(&self, input: A, status: u16, code: &str, text: &str) {
        match self.call(input).await {
            Ok(_) => panic!("{} succeeded, and should fail with {code}", A::NAME),
            Err(error) => {
                assert_eq!((error.status, &*error.code), (status, code), "{}: {error}", A::NAME);
                assert!(error.message.contains(text), "{}: `{}` should hold `{text}`", A::NAME, error.message);
            }
        }
    }

    /// Sends bytes, and reads until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn image(&self) -> String {
        let input = ec2::RegisterImage {
            name: "app".into(),
            image_location: Some("/images/app".into()),
            ..ec2::RegisterImage::default()
        };
        self.ok(input).await.image_id
    }

    /// Instances of a new reservation, still pending.
    async fn launch(&self, image: &str, zone: &str, count: i64) -> Vec<String> {
        let input = ec2::RunInstances {
            placement: Some(ec2::Placement { availability_zone: Some(zone.into()), ..ec2::Placement::default() }),
            ..launch(image, count)
        };
        self.ok(input).await.instances_set.iter().map(|i| i.instance_id.clone()).collect()
    }

    async fn report(&self, id: &str, seen: Seen) {
        let instance = InstanceId::new(id).unwrap();
        self.keeper.submit("driver", Change::Report { instance, boot: 1, seen }).await.unwrap();
    }

    async fn balancer(&self, name: &str) -> String {
        self.ok(balancer(name)).await.dns_name
    }

    async fn health(&self, name: &str, ids: &[&str]) -> Vec<(String, String, String)> {
        let input = elb::DescribeInstanceHealth { load_balancer_name: name.into(), instances: targets(ids) };
        let states = self.ok(input).await.instance_states;
        states.into_iter().map(|s| (s.instance_id, s.state, s.description)).collect()
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn read_to_end(stream: &mut TcpStream) -> Answer {
    let mut all = Vec::new();
    // A reset after the answer is an end as well.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut all)).await.expect("the server should close the connection");
    let Some(split) = all.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Answer { status: 0, head: String::new(), body: all };
    };
    let head = String::from_utf8(all[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: all[split + 4..].to_vec() }
}

/// A request as it goes over the wire.
fn bytes(request: &Request, close: bool) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    if close {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", request.body.len()).as_bytes());
    bytes.extend_from_slice(&request.body);
    bytes
}

fn now() -> Time {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Time(i64::try_from(millis).unwrap())
}

fn clock() -> Timestamp {
    Timestamp(u64::try_from(now().0).unwrap())
}

fn listener(port: i64, protocol: &str) -> elb::Listener {
    elb::Listener {
        protocol: protocol.into(),
        load_balancer_port: port,
        instance_port: 8080,
        ..elb::Listener::default()
    }
}

fn balancer(name: &str) -> elb::CreateLoadBalancer {
    elb::CreateLoadBalancer {
        load_balancer_name: name.into(),
        listeners: vec![listener(80, "http")].into(),
        availability_zones: Some(vec!["us-east-1a".to_owned()].into()),
        scheme: Some("internet-facing".into()),
        ..elb::CreateLoadBalancer::default()
    }
}

fn launch(image: &str, count: i64) -> ec2::RunInstances {
    ec2::RunInstances {
        image_id: Some(image.into()),
        min_count: count,
        max_count: count,
        ..ec2::RunInstances::default()
    }
}

fn targets(ids: &[&str]) -> evenkeel_aws::xml::Members<elb::Instance> {
    ids.iter().map(|id| elb::Instance { instance_id: id.to_string() }).collect()
}

fn filter(name: &str, values: &[&str]) -> ec2::Filter {
    ec2::Filter { name: name.into(), values: values.iter().map(ToString::to_string).collect() }
}
