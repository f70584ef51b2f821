//! The Rig: a whole Evenkeel for one test, driven from outside by the real binary and its API.
//!
//! Owns the processes it starts and ends exactly those, by id. Must never share an address, a port or a folder with
//! another Rig: its pools are claimed by a socket that the kernel frees when this process goes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenkeel::drivers::Isolation;
use evenkeel_aws::client;
use evenkeel_aws::{Action, Credentials, Error, Time, ec2, elb};
use evenkeel_core::name::Port;

use crate::docker;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel");
/// The port that test balancers listen on; their addresses are their own, so the port may be the same everywhere.
pub const PORT: u16 = 8080;
/// Where the sample application listens, on its instance's own address.
pub const INSTANCE_PORT: u16 = 8081;

/// Tests that measure run alone; all others beside each other.
static FLOOR: RwLock<()> = RwLock::new(());

/// For a test that measures without a Rig: no other test runs while this is held.
pub fn floor() -> RwLockWriteGuard<'static, ()> {
    FLOOR.write().unwrap_or_else(PoisonError::into_inner)
}

/// A place on the floor.
enum Place {
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>),
}

/// One Evenkeel.
pub struct Rig {
    /// Its data directory.
    pub dir: tempfile::TempDir,
    /// The daemon.
    pub daemon: Option<Child>,
    /// Its access keys.
    pub credentials: Credentials,
    /// Where its API answers.
    pub api: SocketAddr,
    /// The program that `up` runs.
    pub program: PathBuf,
    extra: Vec<String>,
    /// What it finds in its environment besides.
    pub environment: Vec<(String, PathBuf)>,
    /// How far the daemon's clock is from the true time, in hours.
    pub hours_off: i64,
    pools: [Ipv4Addr; 2],
    /// How much of its block instances' addresses come from.
    prefix: u8,
    /// What keeps instances apart.
    pub isolation: Isolation,
    _claims: Vec<TcpListener>,
    _place: Place,
}

impl Rig {
    /// Starts an Evenkeel with the default settings.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts an Evenkeel for a test that measures, when no other test runs.
    pub fn start_alone() -> Self {
        Self::start_in(Place::Alone(floor()), &[], Vec::new())
    }

    /// Starts an Evenkeel with more arguments for `up`.
    pub fn start_with(extra: &[&str]) -> Self {
        Self::start_in(Place::Shared(FLOOR.read().unwrap_or_else(PoisonError::into_inner)), extra, Vec::new())
    }

    /// Starts an Evenkeel whose instances have namespaces of their own, where that can be done; `EVENKEEL_NAMESPACES=must`
    /// fails where it cannot.
    pub fn enclosed() -> Option<Self> {
        Self::enclosed_by(&["--isolation", "namespaces"], "")
    }

    /// The same, where the configuration file says which zones have namespaces.
    pub fn enclosed_in_part(file: &str) -> Option<Self> {
        Self::enclosed_by(&[], file)
    }

    fn enclosed_by(extra: &[&str], file: &str) -> Option<Self> {
        let place = Place::Shared(FLOOR.read().unwrap_or_else(PoisonError::into_inner));
        let mut rig = Self::prepared(place, extra, Vec::new());
        std::fs::write(rig.file("evenkeel.toml"), file).unwrap();
        // As much its own as the block of loopback that it stands for.
        let [_, second, third, _] = rig.pools[1].octets();
        rig.pools[1] = Ipv4Addr::new(10, second, third, 0);
        rig.isolation = Isolation::Namespaces;
        let pool = format!("{}/24", rig.pools[1]).parse().unwrap();
        if let Err((why, _)) = evenkeel::enclosures::namespaces::can_enclose(&pool) {
            let must = std::env::var("EVENKEEL_NAMESPACES").is_ok_and(|wish| wish == "must");
            assert!(!must, "{why}");
            eprintln!("\n*** SKIPPED: no instances in namespaces: {why} ***\n");
            return None;
        }
        rig.up();
        Some(rig)
    }

    /// Starts an Evenkeel whose instances are Docker containers, where an engine answers at `DOCKER_HOST`;
    /// `EVENKEEL_DOCKER=must` fails where none does.
    pub fn docker() -> Option<Self> {
        if let Err(why) = docker::answers() {
            let must = std::env::var("EVENKEEL_DOCKER").is_ok_and(|wish| wish == "must");
            assert!(!must, "{why}");
            eprintln!("\n*** SKIPPED: no instances in containers: {why} ***\n");
            return None;
        }
        let place = Place::Shared(FLOOR.read().unwrap_or_else(PoisonError::into_inner));
        let mut rig = Self::prepared(place, &["--isolation", "docker"], Vec::new());
        let (block, claims) = claim_two_blocks();
        let [_, second, third, _] = block.octets();
        rig.pools[1] = Ipv4Addr::new(10, second, third, 0);
        rig._claims.extend(claims);
        (rig.prefix, rig.isolation) = (23, Isolation::Docker);
        rig.up();
        Some(rig)
    }

    /// Starts an Evenkeel that finds more in its environment.
    pub fn start_within(environment: Vec<(String, PathBuf)>) -> Self {
        Self::start_in(Place::Shared(FLOOR.read().unwrap_or_else(PoisonError::into_inner)), &[], environment)
    }

    /// Starts an Evenkeel once something else stands ready, which knows its addresses and says with which more arguments.
    pub fn start_after(prepare: impl FnOnce(&Self) -> Vec<String>) -> Self {
        let place = Place::Shared(FLOOR.read().unwrap_or_else(PoisonError::into_inner));
        let mut rig = Self::prepared(place, &[], Vec::new());
        rig.extra = prepare(&rig);
        rig.up();
        rig
    }

    fn start_in(place: Place, extra: &[&str], environment: Vec<(String, PathBuf)>) -> Self {
        let mut rig = Self::prepared(place, extra, environment);
        rig.up();
        rig
    }

    fn prepared(place: Place, extra: &[&str], environment: Vec<(String, PathBuf)>) -> Self {
        let dir = tempfile::Builder::new().prefix("rig-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (node, claim) = claim_block();
        let (instance, other) = claim_block();
        Self {
            dir,
            daemon: None,
            credentials: Credentials {
                access_key_id: String::new(),
                secret_access_key: String::new(),
                session_token: None,
            },
            api: SocketAddr::from(([127, 0, 0, 1], 1)),
            program: PROGRAM.into(),
            extra: extra.iter().map(ToString::to_string).collect(),
            environment,
            hours_off: 0,
            pools: [node, instance],
            prefix: 24,
            isolation: Isolation::None,
            _claims: vec![claim, other],
            _place: place,
        }
    }

    /// Where its name server listens: an address of the nodes' block that no node gets so soon.
    pub fn dns(&self) -> SocketAddr {
        let [a, b, c, _] = self.pools[0].octets();
        SocketAddr::from(([a, b, c, 254], 5354))
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in the data directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command that starts the daemon.
    pub fn up_command(&self) -> Command {
        let [node, instance] = self.pools;
        let mut command = Command::new(&self.program);
        command.arg("up").arg("--data-dir").arg(self.data_dir()).args(["--listen", "127.0.0.1:0"]);
        command.args(["--node-pool", &format!("{node}/24"), "--instance-pool", &format!("{instance}/{}", self.prefix)]);
        command.args(["--dns-listen", &self.dns().to_string()]);
        command.args(["--workers", "2"]).args(&self.extra).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Starts the daemon and waits until its API answers.
    pub fn up(&mut self) {
        drop(std::fs::remove_file(self.file("endpoint")));
        let log = std::fs::File::options().create(true).append(true).open(self.file("daemon.log")).unwrap();
        let mut command = self.up_command();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        let endpoint = self.wait("the daemon to answer", Duration::from_secs(30), |rig| {
            let ended = rig.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", rig.log());
            std::fs::read_to_string(rig.file("endpoint")).ok()
        });
        self.api = endpoint.trim().strip_prefix("http://").unwrap().parse().unwrap();
        let keys = std::fs::read_to_string(self.file("credentials.toml")).unwrap();
        let keys: toml::Table = keys.parse().unwrap();
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        self.credentials.access_key_id = key("access_key_id");
        self.credentials.secret_access_key = key("secret_access_key");
    }

    /// Ends the daemon as a power cut would, and nothing else.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// What the daemon and the road wrote.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.file(name)).unwrap_or_default();
        format!("--- daemon.log\n{}--- road.log\n{}", read("daemon.log"), read("road.log"))
    }

    /// Calls the API.
    pub fn call<A: Action>(&self, input: &A) -> Result<A::Output, Error> {
        let (status, body) = self.ask(input).map_err(|e| Error::told(0, "NoAnswer", e.to_string()))?;
        client::parse::<A>(status, &body)
    }

    /// Calls the API and does not look into the answer.
    pub fn ask<A: Action>(&self, input: &A) -> std::io::Result<(u16, Vec<u8>)> {
        let request =
            client::encode(input, &self.api.to_string(), &self.credentials, "us-east-1", clock(self.hours_off))
                .unwrap();
        post(self.api, &request)
    }

    /// Waits until `look` sees what it looks for; panics with the logs when it does not in time.
    pub fn wait<T>(&mut self, what: &str, limit: Duration, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let until = Instant::now() + limit;
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(Instant::now() < until, "waited {limit:?} in vain for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Registers the sample application as an image; more variables for it may be given.
    pub fn image(&self, version: &str, env: &[(&str, &str)]) -> String {
        self.image_with(version, env, |_, _| {})
    }

    /// As [`Self::image`], with more files in its folder and more keys in its manifest.
    pub fn image_with(
        &self,
        version: &str,
        env: &[(&str, &str)],
        more: impl FnOnce(&Path, &mut toml::Table),
    ) -> String {
        let dir = self.file(&format!("image-{version}"));
        evenkeel::sample::write_image(&dir, &format!("sample-{version}"), version, Path::new(PROGRAM)).unwrap();
        let path = dir.join("image.toml");
        let mut manifest: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        manifest.insert("port".into(), i64::from(INSTANCE_PORT).into());
        let table = manifest.entry("env").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        for (name, value) in env {
            table.insert((*name).into(), (*value).into());
        }
        if self.isolation == Isolation::Docker {
            docker::furnish(&dir, &mut manifest);
        }
        more(&dir, &mut manifest);
        std::fs::write(&path, toml::to_string(&manifest).unwrap()).unwrap();
        self.register(&format!("sample-{version}"), &dir).unwrap()
    }

    /// Registers any folder as an image.
    pub fn register(&self, name: &str, dir: &Path) -> Result<String, Error> {
        let input = ec2::RegisterImage {
            name: name.into(),
            image_location: Some(dir.display().to_string()),
            ..Default::default()
        };
        Ok(self.call(&input)?.image_id)
    }

    /// Launches instances and returns their ids at once.
    pub fn launch(&self, image: &str, zone: &str, count: i64) -> Vec<String> {
        let input = ec2::RunInstances {
            image_id: Some(image.into()),
            min_count: count,
            max_count: count,
            placement: Some(ec2::Placement { availability_zone: Some(zone.into()), ..Default::default() }),
            ..Default::default()
        };
        let reservation = self.call(&input).unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        reservation.instances_set.iter().map(|i| i.instance_id.clone()).collect()
    }

    /// Launches an instance that is told something.
    pub fn launch_told(&self, image: &str, user_data: &str) -> String {
        let input = ec2::RunInstances {
            image_id: Some(image.into()),
            min_count: 1,
            max_count: 1,
            user_data: Some(evenkeel_aws::blob::Blob(user_data.as_bytes().to_vec())),
            ..Default::default()
        };
        let reservation = self.call(&input).unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        reservation.instances_set[0].instance_id.clone()
    }

    /// An instance's own status: `initializing`, `ok` or `impaired`.
    pub fn status(&self, id: &str) -> String {
        let input = ec2::DescribeInstanceStatus { instance_ids: vec![id.into()], ..Default::default() };
        let described = self.call(&input).unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        described.instance_status_set.iter().map(|s| s.instance_status.status.clone()).next().unwrap_or_default()
    }

    /// Waits until an instance's own status is this.
    pub fn wait_status(&mut self, id: &str, wanted: &str) {
        self.wait(&format!("{id} to be {wanted}"), Duration::from_secs(60), |rig| {
            let status = rig.status(id);
            let dead_end = status == "impaired" && wanted != "impaired";
            assert!(!dead_end, "{id} is impaired instead of {wanted}:\n{}", rig.console(id));
            (status == wanted).then_some(())
        });
    }

    /// What an instance printed.
    pub fn console(&self, id: &str) -> String {
        let output = self.call(&ec2::GetConsoleOutput { instance_id: id.into(), ..Default::default() });
        String::from_utf8_lossy(&output.unwrap_or_else(|e| panic!("{e:?}\n{}", self.log())).output.0).into_owned()
    }

    /// A file of an instance, as its own commands see them; empty while it is not there. The instance must run, where it is
    /// in a container.
    pub fn inside(&self, id: &str, name: &str) -> String {
        match self.isolation {
            Isolation::None | Isolation::Namespaces => self.instance_file(id, &format!("root/{name}")),
            Isolation::Docker => docker::within(id, &["cat", name], "").unwrap_or_default(),
        }
    }

    /// Writes a file of an instance that runs, whole.
    pub fn write_inside(&self, id: &str, name: &str, text: &str) {
        match self.isolation {
            Isolation::None | Isolation::Namespaces => {
                let path = self.file(&format!("instances/{id}/root/{name}"));
                std::fs::write(path.with_extension("new"), text).unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            }
            Isolation::Docker => {
                let line = format!("cat > {name}.new && mv {name}.new {name}");
                docker::within(id, &["sh", "-c", &line], text).unwrap();
            }
        }
    }

    /// A file of an instance's folder; empty while it is not there.
    pub fn instance_file(&self, id: &str, name: &str) -> String {
        std::fs::read_to_string(self.file(&format!("instances/{id}/{name}"))).unwrap_or_default()
    }

    /// Launches instances and waits until they run.
    pub fn run(&mut self, image: &str, zone: &str, count: i64) -> Vec<String> {
        let ids = self.launch(image, zone, count);
        for id in &ids {
            self.wait_state(id, "running");
        }
        ids
    }

    /// The balancer `test` over these zones with so many instances of the sample application in each, all in service; its
    /// instances in the order of the zones.
    pub fn serving(&mut self, zones: &[(&str, i64)]) -> Vec<String> {
        let image = self.image("v1", &[]);
        let ids: Vec<String> = zones.iter().flat_map(|(zone, count)| self.run(&image, zone, *count)).collect();
        self.balancer("test", &zones.iter().map(|(zone, _)| *zone).collect::<Vec<_>>());
        self.add("test", &ids);
        self.wait_in_service("test", &ids);
        ids
    }

    /// An instance's state, and why it is so.
    pub fn state(&self, id: &str) -> (String, String) {
        let input = ec2::DescribeInstances { instance_ids: vec![id.into()], ..Default::default() };
        let described = self.call(&input).unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        let instance = &described.reservation_set[0].instances_set[0];
        let reason = instance.state_reason.as_ref().map(|r| r.message.clone()).unwrap_or_default();
        (instance.instance_state.name.clone(), reason)
    }

    /// An instance's private name.
    pub fn private_name(&self, id: &str) -> String {
        let input = ec2::DescribeInstances { instance_ids: vec![id.into()], ..Default::default() };
        self.call(&input).unwrap().reservation_set[0].instances_set[0].private_dns_name.clone()
    }

    /// Waits until an instance is in a state; returns why it is.
    pub fn wait_state(&mut self, id: &str, wanted: &str) -> String {
        self.wait(&format!("{id} to be {wanted}"), Duration::from_secs(30), |rig| {
            let (state, reason) = rig.state(id);
            let dead_end = state == "terminated" && wanted != "terminated";
            assert!(!dead_end, "{id} is terminated ({reason}) instead of {wanted}\n{}", rig.log());
            (state == wanted).then_some(reason)
        })
    }

    /// Makes a balancer for HTTP from [`PORT`] to [`INSTANCE_PORT`], checked every 5 s at `/health`.
    pub fn balancer(&self, name: &str, zones: &[&str]) {
        self.balancer_checked_every(name, zones, 5);
    }

    /// What a command of ours prints, on both streams.
    pub fn said(&self, command: &[&str]) -> String {
        let mut told = Command::new(PROGRAM);
        told.args(command).arg("--data-dir").arg(self.data_dir()).env_remove("AWS_ENDPOINT_URL");
        let output = told.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// As [`Self::balancer`], with another interval in seconds.
    pub fn balancer_checked_every(&self, name: &str, zones: &[&str], interval: i64) {
        self.create(name, zones, "http").unwrap();
        let check = elb::HealthCheck {
            target: format!("HTTP:{INSTANCE_PORT}/health"),
            interval,
            timeout: 2,
            unhealthy_threshold: 2,
            healthy_threshold: 2,
        };
        self.call(&elb::ConfigureHealthCheck { load_balancer_name: name.into(), health_check: check }).unwrap();
    }

    /// Makes a balancer and leaves it as it comes.
    pub fn create(&self, name: &str, zones: &[&str], protocol: &str) -> Result<String, Error> {
        let listener = elb::Listener {
            protocol: protocol.into(),
            load_balancer_port: PORT.into(),
            instance_port: INSTANCE_PORT.into(),
            ..Default::default()
        };
        let created = self.call(&elb::CreateLoadBalancer {
            load_balancer_name: name.into(),
            listeners: vec![listener].into(),
            availability_zones: Some(zones.iter().map(ToString::to_string).collect()),
            ..Default::default()
        })?;
        Ok(created.dns_name)
    }

    /// Registers instances.
    pub fn add(&self, name: &str, ids: &[String]) {
        let instances = ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect();
        self.call(&elb::RegisterInstancesWithLoadBalancer { load_balancer_name: name.into(), instances }).unwrap();
    }

    /// Deregisters instances.
    pub fn remove(&self, name: &str, ids: &[String]) {
        let instances = ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect();
        self.call(&elb::DeregisterInstancesFromLoadBalancer { load_balancer_name: name.into(), instances }).unwrap();
    }

    /// Terminates instances.
    pub fn terminate(&self, ids: &[String]) {
        self.call(&ec2::TerminateInstances { instance_ids: ids.to_vec(), ..Default::default() }).unwrap();
    }

    /// Each registered instance's health as `State: Description`.
    pub fn health(&self, name: &str) -> Vec<(String, String)> {
        let input = elb::DescribeInstanceHealth { load_balancer_name: name.into(), ..Default::default() };
        let described = self.call(&input).unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        let word = |s: &elb::InstanceState| (s.instance_id.clone(), format!("{}: {}", s.state, s.description));
        described.instance_states.iter().map(word).collect()
    }

    /// Waits until all of these are in service.
    pub fn wait_in_service(&mut self, name: &str, ids: &[String]) {
        self.wait(&format!("{ids:?} to be in service"), Duration::from_secs(30), |rig| {
            let health = rig.health(name);
            let serves = |id: &String| health.iter().any(|(i, h)| i == id && h == "InService: N/A");
            ids.iter().all(serves).then_some(())
        });
    }

    /// The balancer's node addresses by zone, as a client of EC2 finds them.
    pub fn nodes(&self, name: &str) -> Vec<(String, SocketAddr)> {
        let filter = ec2::Filter { name: "description".into(), values: vec![format!("ELB {name}")] };
        let input = ec2::DescribeNetworkInterfaces { filters: vec![filter], ..Default::default() };
        let described = self.call(&input).unwrap();
        let mut nodes: Vec<(String, SocketAddr)> = described
            .network_interface_set
            .iter()
            .map(|n| {
                (
                    n.availability_zone.clone().unwrap_or_default(),
                    format!("{}:{PORT}", n.private_ip_address).parse().unwrap(),
                )
            })
            .collect();
        nodes.sort();
        nodes
    }

    /// One GET over a connection of its own: status and body.
    pub fn get(&self, address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        let (status, body) = read_answer(&mut stream)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Ends everything in good order and sees that nothing is left. What `Drop` does at the least, with assertions.
    pub fn finish(mut self) {
        self.end();
        let marked = processes_of(self.data_dir());
        assert!(marked.is_empty(), "processes are left over: {marked:?}");
        if self.isolation == Isolation::Docker {
            docker::clear(self.data_dir(), &format!("{}/{}", self.pools[1], self.prefix));
        }
    }

    fn end(&mut self) {
        if self.daemon.is_none() {
            self.up();
        }
        let described = self.call(&ec2::DescribeInstances::default());
        let ids: Vec<String> = described
            .map(|d| {
                d.reservation_set.iter().flat_map(|r| r.instances_set.iter().map(|i| i.instance_id.clone())).collect()
            })
            .unwrap_or_default();
        if !ids.is_empty() {
            self.terminate(&ids);
            for id in &ids {
                self.wait_state(id, "terminated");
            }
        }
        let down = Command::new(PROGRAM).arg("down").arg("--data-dir").arg(self.data_dir()).output().unwrap();
        assert!(down.status.success(), "down failed: {}", String::from_utf8_lossy(&down.stderr));
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().unwrap();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // After a failed test only processes are ended; the assertion that failed is what should be seen.
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        for pid in processes_of(self.dir.path()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                // It may have ended by itself meanwhile.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Processes whose command line names this data directory: the Rig's own daemon, road and agents.
pub fn processes_of(dir: &Path) -> Vec<i32> {
    let needle = dir.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mine = pid != i32::try_from(std::process::id()).unwrap();
        if mine && String::from_utf8_lossy(&line).contains(&needle) {
            found.push(pid);
        }
    }
    found
}

/// Every process of an instance, by the mark in its environment.
pub fn processes_of_instance(id: &str) -> Vec<i32> {
    let needle = format!("EVENKEEL_INSTANCE_ID={id}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|b| *b == 0).any(|variable| variable == needle.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

/// Kills a process by KILL.
pub fn kill9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn clock(hours_off: i64) -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time(i64::try_from(since.as_millis()).unwrap() + hours_off * 3_600_000)
}

/// Sends a request of the AWS client and reads the answer.
fn post(to: SocketAddr, request: &evenkeel_aws::Request) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body.len()).as_bytes());
    bytes.extend_from_slice(&request.body);
    stream.write_all(&bytes)?;
    read_answer(&mut stream)
}

/// Reads one answer framed by Content-Length or by the connection's end. A cut one is an error.
pub fn read_answer(stream: &mut TcpStream) -> std::io::Result<(u16, Vec<u8>)> {
    let bad = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| bad("no head"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| bad("no status"))?;
    let body = bytes[end + 4..].to_vec();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| length != body.len()) {
        return Err(bad("the body was cut"));
    }
    Ok((status, body))
}

/// A /24 of loopback that no other Rig or demo of this machine has: held by a socket on its last address.
fn claim_block() -> (Ipv4Addr, TcpListener) {
    let seed = std::process::id() ^ clock(0).0 as u32;
    for step in 0..4096u32 {
        let n = seed.wrapping_mul(2_654_435_761).wrapping_add(step.wrapping_mul(40_503)) >> 8;
        // 127.100.0.0 to 127.227.255.0: away from the addresses people use.
        let (second, third) = (100 + (n >> 8) % 128, n & 0xff);
        let [second, third] = [second, third].map(|octet| u8::try_from(octet).unwrap());
        if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, second, third, 255), 61_999)) {
            return (Ipv4Addr::new(127, second, third, 0), claim);
        }
    }
    panic!("no free block of loopback addresses");
}

/// Two free blocks side by side, the first of them even, for a network that is twice as large.
fn claim_two_blocks() -> (Ipv4Addr, [TcpListener; 2]) {
    // Held meanwhile, so that the next look finds others.
    let mut held = Vec::new();
    loop {
        let (block, claim) = claim_block();
        let [_, second, third, _] = block.octets();
        if third % 2 == 0
            && let Ok(other) = TcpListener::bind((Ipv4Addr::new(127, second, third + 1, 255), 61_999))
        {
            return (block, [claim, other]);
        }
        held.push(claim);
    }
}

/// A port as a type, for tests that need one.
pub fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}
