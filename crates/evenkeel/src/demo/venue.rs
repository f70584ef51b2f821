//! The venue: a real daemon on throw-away state, and the certainty that nothing of it stays.
//!
//! Owns the daemon's process and its folder, and ends exactly what it started: by lock, by id and by the mark that every
//! process of an instance carries. Must never touch another daemon's state. Next: [`super::ground`] for its addresses,
//! [`super::script`] for what is played on it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use evenkeel_aws::{autoscaling as wire, ec2};
use tempfile::TempDir;

use super::ground::Block;
use crate::cli::client::Client;
use crate::cli::failure::hinted;
use crate::cli::settings::{Reach, Settings};
use crate::sample;
use crate::sys::{process, spawn};

/// The region that the demo plays in.
pub const REGION: &str = "us-east-1";
/// How long the daemon may take to answer after it was started.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long instances may take to end.
const END_LIMIT: Duration = Duration::from_secs(20);
/// The variable that every process of an instance carries.
const MARK: &str = "EVENKEEL_INSTANCE_ID";
/// How long processes that were told to end may take until they count as left behind.
const GRACE: Duration = Duration::from_secs(3);

/// A daemon and what belongs to it.
pub struct Venue {
    /// Holds the data directory unless one was named, and the images' folders.
    folder: Option<TempDir>,
    data_dir: PathBuf,
    program: PathBuf,
    daemon: Option<Child>,
    listen: SocketAddr,
    nodes: Block,
    instances: Block,
    /// The port of the balancer's listener.
    pub port: u16,
    /// The port of the sample application.
    pub instance_port: u16,
    /// Every instance ever launched here.
    launched: BTreeSet<String>,
}

impl Venue {
    /// Finds addresses and makes folders; starts nothing yet.
    ///
    /// # Errors
    /// A named data directory that is not empty; no free addresses; the system's.
    pub fn prepare(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("evenkeel-demo-").tempdir();
        let folder = folder.context("failed to make a throw-away folder")?;
        if let Some(dir) = data_dir
            && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
        {
            let what = format!("`{}` is not empty, and the demo ends with removing it", dir.display());
            return Err(hinted(what, "name a directory that is empty or does not exist"));
        }
        let data_dir = data_dir.map_or_else(|| Ok(folder.path().join("data")), std::path::absolute)?;
        fs::create_dir_all(&data_dir).with_context(|| format!("failed to make `{}`", data_dir.display()))?;
        let block = || Block::claim().ok_or_else(|| anyhow!("failed to find a free block of loopback addresses"));
        let (nodes, instances) = (block()?, block()?);
        // One that needs a privilege we do not have is not free either.
        let port = [80, 8080, 8180, 18_080].into_iter().find(|port| nodes.is_free(*port));
        let instance_port = [sample::PORT, 8081, 8181, 18_081].into_iter().find(|port| instances.is_free(*port));
        let (Some(port), Some(instance_port)) = (port, instance_port) else {
            bail!("failed to find a free port: something listens on 80, 8080, 8180 and 18080 of all addresses");
        };
        Ok(Self {
            data_dir: data_dir.canonicalize()?,
            folder: Some(folder),
            program: std::env::current_exe().context("failed to find this program's own file")?,
            daemon: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            nodes,
            instances,
            port,
            instance_port,
            launched: BTreeSet::new(),
        })
    }

    /// Starts the daemon and waits until it answers. The second time it listens where it did the first time.
    ///
    /// # Errors
    /// A daemon that ends or does not answer in time, with the end of its log.
    pub fn up(&mut self, mut tick: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Client> {
        let announced = self.data_dir.join("endpoint");
        // What the one before announced is not this one's word.
        let _ = fs::remove_file(&announced);
        let log_path = self.data_dir.join("daemon.log");
        let log = File::options().create(true).append(true).open(&log_path).context("failed to open `daemon.log`")?;
        let mut command = self.command("up");
        command.args(["--dns-listen", "off"]);
        command.args(["--listen", &self.listen.to_string()]);
        command.args(["--region", REGION, "--node-pool", &self.nodes.to_string()]);
        command.args(["--instance-pool", &self.instances.to_string()]).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // The terminal's Ctrl-C is for the demo, which then ends the daemon in good order.
        spawn::in_new_session(&mut command);
        self.daemon = Some(command.spawn().context("failed to start the daemon")?);
        let until = Instant::now() + START_LIMIT;
        loop {
            tick()?;
            let ended = self.daemon.as_mut().map(Child::try_wait).transpose()?.flatten();
            let log = || fs::read_to_string(&log_path).unwrap_or_default();
            if let Some(status) = ended {
                self.daemon = None;
                bail!("failed to start the daemon: it ended with {status} and said: {}", tail(&log()));
            }
            if announced.exists()
                && let Ok(client) = self.client()
                && client.regions().is_ok()
            {
                self.listen = SocketAddr::from(([127, 0, 0, 1], client.endpoint().port()));
                return Ok(client);
            }
            if Instant::now() > until {
                bail!("failed to reach the daemon within {} s; it said: {}", START_LIMIT.as_secs(), tail(&log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One of our own commands, for our own daemon.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        // The user's settings are for the user's daemon.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EVENKEEL_")) {
            command.env_remove(name);
        }
        command.arg(name).arg("--data-dir").arg(&self.data_dir);
        command
    }

    /// Whether the daemon runs.
    pub fn is_up(&self) -> bool {
        self.daemon.is_some()
    }

    /// An ordinary client of the daemon.
    ///
    /// # Errors
    /// Endpoint or keys that are not there.
    pub fn client(&self) -> anyhow::Result<Client> {
        let reach = Reach { data_dir: Some(self.data_dir.clone()), ..Reach::default() };
        Ok(Client::new(Settings::resolve(&reach, Some(REGION), &|_| None)?))
    }

    /// Writes the sample application's image and says where it is.
    ///
    /// # Errors
    /// The system's.
    pub fn image(&self, version: &str) -> anyhow::Result<PathBuf> {
        let Some(folder) = &self.folder else { bail!("failed to write an image: the venue is gone") };
        let dir = folder.path().join(version);
        let failed = || format!("failed to write the image `{}`", dir.display());
        sample::write_image(&dir, &format!("sample-{version}"), version, &self.program).with_context(failed)?;
        let path = dir.join("image.toml");
        let mut manifest: toml::Table = fs::read_to_string(&path)?.parse().with_context(failed)?;
        manifest.insert("port".into(), i64::from(self.instance_port).into());
        fs::write(&path, toml::to_string(&manifest)?).with_context(failed)?;
        Ok(dir)
    }

    /// Remembers an instance, whose processes are to be gone at the end.
    pub fn launched(&mut self, id: &str) {
        self.launched.insert(id.to_owned());
    }

    /// Kills the daemon, as a crash would, and nothing else.
    ///
    /// # Errors
    /// The system's.
    pub fn kill_daemon(&mut self) -> anyhow::Result<()> {
        let Some(mut daemon) = self.daemon.take() else { bail!("failed to kill the daemon: it does not run") };
        daemon.kill().context("failed to kill the daemon")?;
        daemon.wait()?;
        Ok(())
    }

    /// Kills all processes of an instance without warning; says how many there were.
    ///
    /// # Errors
    /// Nothing to kill, or something that does not die.
    pub fn kill_instance(&self, id: &str) -> anyhow::Result<usize> {
        let count = processes(id).len();
        if count == 0 {
            bail!("failed to find a process of {id}");
        }
        if !process::sweep(|| processes(id), END_LIMIT) {
            bail!("failed to kill {id}: some of its processes withstand");
        }
        Ok(count)
    }

    /// Ends everything in good order and removes the folders; says how many processes had to be killed for it.
    ///
    /// # Errors
    /// What did not end in good order; everything has ended all the same.
    pub fn end(mut self) -> anyhow::Result<usize> {
        let orderly = self.end_in_order();
        let left = self.leftovers(GRACE);
        self.clear();
        orderly.map(|()| left)
    }

    /// Leaves everything running, and says where.
    pub fn keep(mut self) -> PathBuf {
        self.daemon = None;
        if let Some(folder) = self.folder.take_if(|folder| self.data_dir.starts_with(folder.path())) {
            let _ = folder.keep();
        }
        std::mem::take(&mut self.data_dir)
    }

    fn end_in_order(&mut self) -> anyhow::Result<()> {
        if !self.launched.is_empty() {
            let client = match self.daemon {
                Some(_) => self.client()?,
                None => self.up(|| Ok(()))?,
            };
            // A group would launch others in place of those that are ended.
            for group in client.call(&wire::DescribeAutoScalingGroups::default())?.auto_scaling_groups.0 {
                let auto_scaling_group_name = group.auto_scaling_group_name;
                client.call(&wire::DeleteAutoScalingGroup { auto_scaling_group_name, force_delete: Some(true) })?;
            }
            let living = living(&client)?;
            if !living.is_empty() {
                client.call(&ec2::TerminateInstances { instance_ids: living, ..Default::default() })?;
            }
            let until = Instant::now() + END_LIMIT;
            while !self::living(&client)?.is_empty() {
                if Instant::now() > until {
                    bail!("failed to see all instances end within {} s", END_LIMIT.as_secs());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let down = self.command("down").stdin(Stdio::null()).output().context("failed to run `evenkeel down`")?;
        if !down.status.success() {
            bail!("failed to end the daemon: {}", tail(&String::from_utf8_lossy(&down.stderr)));
        }
        // One that had not begun to serve when it was told to end is killed with what is left.
        let until = Instant::now() + GRACE;
        while let Some(daemon) = &mut self.daemon
            && Instant::now() < until
        {
            match daemon.try_wait()? {
                Some(_) => self.daemon = None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok(())
    }

    /// How many of our processes live on although they have had `grace` to go.
    fn leftovers(&self, grace: Duration) -> usize {
        let until = Instant::now() + grace;
        loop {
            let left = self.everything().len();
            if left == 0 || Instant::now() > until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills what is left, and removes the folders.
    fn clear(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // It may have ended by itself.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        process::sweep(|| self.everything(), END_LIMIT);
        if !self.data_dir.as_os_str().is_empty()
            && let Err(error) = fs::remove_dir_all(&self.data_dir)
        {
            eprintln!("demo: failed to remove `{}`: {error}", self.data_dir.display());
        }
        // Reported above if it failed: the data directory is all that is large.
        drop(self.folder.take().map(TempDir::close));
        self.data_dir = PathBuf::new();
    }

    /// Our processes: this program with our data directory among its arguments, and our instances'.
    fn everything(&self) -> Vec<OwnedFd> {
        let mut found: Vec<OwnedFd> = self.launched.iter().flat_map(|id| processes(id)).collect();
        for (pid, path) in numbered() {
            if self.is_ours(&path)
                && let Ok(Some(process)) = process::Identity::of(pid).and_then(|identity| identity.open())
            {
                found.push(process);
            }
        }
        found
    }

    fn is_ours(&self, process: &Path) -> bool {
        let Ok(program) = fs::read_link(process.join("exe")) else { return false };
        // A program that was built anew meanwhile shows as deleted.
        let same = |a: &Path, b: &Path| {
            let name = |path: &Path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
            name(a) == name(b)
        };
        if self.data_dir.as_os_str().is_empty() || !same(&program, &self.program) {
            return false;
        }
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let mut arguments =
            line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned());
        // The demo itself may have been told the same directory.
        arguments.nth(1).is_some_and(|command| command != "demo")
            && arguments.any(|argument| Path::new(&argument).starts_with(&self.data_dir))
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        if !self.data_dir.as_os_str().is_empty() {
            self.clear();
        }
    }
}

/// The processes of an instance.
pub fn processes(id: &str) -> Vec<OwnedFd> {
    process::together(None, &[], &format!("{MARK}={id}"))
}

/// The process ids of an instance, sorted.
pub fn pids(id: &str) -> Vec<i32> {
    let mark = format!("{MARK}={id}");
    let mut pids: Vec<i32> = numbered().filter(|(_, path)| carries(path, &mark)).map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    pids
}

fn carries(process: &Path, mark: &str) -> bool {
    let environ = fs::read(process.join("environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

/// All processes and their places in `/proc`.
fn numbered() -> impl Iterator<Item = (i32, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// Instances that have not ended.
///
/// # Errors
/// The client's.
pub fn living(client: &Client) -> anyhow::Result<Vec<String>> {
    let all = client.reservations(Vec::new(), Vec::new())?;
    let instances = all.iter().flat_map(|reservation| reservation.instances_set.iter());
    let lives = instances.filter(|instance| instance.instance_state.name != "terminated");
    Ok(lives.map(|instance| instance.instance_id.clone()).collect())
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
