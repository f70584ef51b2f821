//! An instance in namespaces of its own: its network with its address on `eth0`, its own process ids, host name, `/tmp` and
//! `/proc`, the node's files read-only, and of the data directory nothing but its own files. So a program may bind
//! 0.0.0.0:80 as on a machine of its own, and the node reaches it at the instance's address.
//!
//! Owns the making of it by the agent, and what finds it from the instance's folder (`enclosure.json`). Must never leave
//! anything of it on the node: it lives as long as its first process, which lives as long as the agent. It needs root.
//! Next: [`super::first`], that process; [`super::metadata`], what answers in it at 169.254.169.254.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use evenkeel_core::name::InstanceId;
use evenkeel_core::world::Pool;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::metadata::{self, Door};
use super::rooted::Rooted;
use super::{Enclosure, Start, overlay, plain, who};
use crate::drivers::folder::{Folder, Spec};
use crate::sys::namespaces::{self, Session};
use crate::sys::netlink::{LONGEST_NAME, Network, Way};
use crate::sys::process::{self, Identity};

/// What is known of the enclosure of the boot that runs.
const FILE: &str = "enclosure.json";
/// The node's end of every instance's wire. Each instance has a wire of its own, so they may all share it.
const GATE: Ipv4Addr = Ipv4Addr::new(169, 254, 81, 1);
/// Where the metadata are on every EC2 instance.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// What links of instances are called on the node: this, and the end of the instance's id.
const LINK: &str = "ek";
/// The instance's end of the wire.
const INSIDE: &str = "eth0";
/// The longest complaint of the first process.
const COMPLAINT: u64 = 4096;

/// `enclosure.json`.
#[derive(Serialize, Deserialize)]
struct Held {
    first: Identity,
}

/// The namespaces of one instance.
pub struct Namespaces {
    first: OwnedFd,
    folder: Folder,
    /// What only the agent has, which made them.
    made: Option<Made>,
}

struct Made {
    pid: i32,
    link: String,
    address: Ipv4Addr,
    /// Held open, it keeps the first process at its work after all others have ended.
    open: Option<ChildStdin>,
    doors: Vec<AbortHandle>,
}

/// The files of an instance that are its `/`.
#[must_use]
pub fn rooted(folder: &Folder) -> Rooted {
    if overlay::is_used(folder) { Rooted::within(folder.clone(), "/".into()) } else { Rooted::new(folder.root()) }
}

/// What is `/` in the enclosure that the agent has made.
///
/// # Errors
/// What the system says; `NotFound` where there is none.
pub fn top(folder: &Folder) -> io::Result<OwnedFd> {
    let held: Held = folder.read(FILE)?.ok_or(io::ErrorKind::NotFound)?;
    let first = held.first.open()?.ok_or(io::ErrorKind::NotFound)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(format!("/proc/{}/root", held.first.pid), flags, Mode::empty())?;
    // Had it ended before, the pid could have become another's.
    if process::ended_within(&first, Duration::ZERO) { Err(io::ErrorKind::NotFound.into()) } else { Ok(top) }
}

/// Whether instances can be enclosed on this node, with addresses out of this pool. The error says why not and what to do.
///
/// # Errors
/// A privilege that is missing, or addresses that no packet can be routed to.
pub fn can_enclose(pool: &Pool) -> Result<(), (String, &'static str)> {
    if !namespaces::are_permitted() {
        let why = "instances in namespaces need root: this process may not make namespaces and network links";
        return Err((
            why.to_owned(),
            "start `evenkeel up` as root, or leave out `--isolation` and the zones' `driver`",
        ));
    }
    let text = pool.to_string();
    match text.split('/').next().and_then(|network| network.parse().ok()) {
        Some(IpAddr::V4(address)) if is_routable(address) => Ok(()),
        _ => Err((
            format!("instances in namespaces cannot use `--instance-pool {pool}`: nothing is routed to such addresses"),
            "give private IPv4 addresses that this machine uses for nothing else, as `--instance-pool 10.81.0.0/16`",
        )),
    }
}

/// Whether packets are routed to such an address.
#[must_use]
pub fn is_routable(address: Ipv4Addr) -> bool {
    !(address.is_loopback() || address.is_link_local() || address.is_multicast() || address.is_unspecified())
}

impl Namespaces {
    /// Makes the enclosure of a boot, as its agent. What one before has left on the node is removed first.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn open(folder: &Folder, spec: &Spec) -> Result<Self, String> {
        let say = |what: &'static str| move |error: io::Error| format!("enclose the instance: {what}: {error}");
        let IpAddr::V4(address) = spec.address else {
            return Err(format!("enclose the instance: its address `{}` is none of IPv4", spec.address));
        };
        if !is_routable(address) {
            return Err(format!("enclose the instance: nothing is routed to its address `{address}`"));
        }
        let link = link_name(&spec.instance);
        let mut network = Network::open().map_err(say("open the network"))?;
        network.remove(&link).map_err(say("remove an old link"))?;
        let (child, first) = begin(folder).map_err(say("start its first process"))?;
        let mut enclosure = Self { made: None, first, folder: folder.clone() };
        let mut made = Made { pid: pid_of(&child)?, link, address, open: None, doors: Vec::new() };
        let connected = await_first(child).and_then(|open| {
            made.open = Some(open);
            let listeners = enclosure
                .connect(&mut network, &made, address, folder, spec)
                .map_err(|e| format!("connect it: {e}"))?;
            let served = listeners.into_iter().map(|(door, listener)| metadata::serve(door, listener));
            made.doors = served.collect::<io::Result<_>>().map_err(|e| format!("answer in it: {e}"))?;
            let first = Identity::of(made.pid).map_err(|e| format!("find its first process: {e}"))?;
            folder.write(FILE, &Held { first }, false).map_err(|e| format!("write `{FILE}`: {e}"))
        });
        enclosure.made = Some(made);
        match connected {
            Ok(()) => Ok(enclosure),
            Err(why) => {
                enclosure.close();
                Err(format!("enclose the instance: {why}"))
            }
        }
    }

    /// Finds the enclosure that the agent has made.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn find(folder: &Folder) -> Result<Self, String> {
        let held: Option<Held> = folder.read(FILE).map_err(|error| format!("read `{FILE}`: {error}"))?;
        let first = held.map(|held| held.first.open()).transpose();
        let first = first.map_err(|error| format!("find the instance's enclosure: {error}"))?.flatten();
        let first = first.ok_or_else(|| "find the instance's enclosure: it is gone".to_owned())?;
        Ok(Self { first, folder: folder.clone(), made: None })
    }

    /// Starts a command in it with the outputs, the input and the terminal of the caller, in the folder `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn enter(&self, mut command: Command, dir: &Path, doors: Vec<File>) -> io::Result<Child> {
        command.current_dir("/");
        namespaces::start(&mut command, &self.first, dir, doors, Session::Parents, None)
    }

    /// Wires the enclosure to the node, and opens what is to answer in it.
    fn connect(
        &self,
        here: &mut Network,
        made: &Made,
        address: Ipv4Addr,
        folder: &Folder,
        spec: &Spec,
    ) -> io::Result<Vec<(Door, TcpListener)>> {
        let there = File::open(format!("/proc/{}/ns/net", made.pid))?;
        here.wire(&made.link, INSIDE, &there)?;
        let near = here.link(&made.link)?;
        here.address(near, GATE)?;
        here.raise(near)?;
        // Should the link go before anybody has heard of it, connections are refused instead of sent elsewhere.
        here.bar(address)?;
        here.route(near, Way::Here(address)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::Error::other(format!("`{address}` is reached by another link already")),
            _ => error,
        })?;
        // So that instances reach each other. Where it cannot be said, they reach the node alone.
        let _ = fs::write(format!("/proc/sys/net/ipv4/conf/{}/forwarding", made.link), "1");
        // The folder is one of `<data>/instances`.
        let told = spec.metadata.as_deref().zip(folder.path().ancestors().nth(2));
        let doors = |(told, data_dir)| metadata::doors(told, SocketAddr::from((METADATA, 80)), data_dir);
        let doors: Vec<Door> = told.map(doors).unwrap_or_default();
        namespaces::in_network(&self.first, || {
            let mut inside = Network::open()?;
            let (own, wire) = (inside.link("lo")?, inside.link(INSIDE)?);
            inside.raise(own)?;
            inside.address(own, METADATA)?;
            inside.address(wire, address)?;
            inside.raise(wire)?;
            inside.route(wire, Way::Here(GATE))?;
            inside.route(wire, Way::By(GATE))?;
            doors.into_iter().map(|door| TcpListener::bind(door.at).map(|listener| (door, listener))).collect()
        })
    }
}

impl Enclosure for Namespaces {
    fn start(&self, start: &Start<'_>) -> io::Result<Child> {
        let doors = start.doors.iter().map(File::try_clone).collect::<io::Result<_>>()?;
        let mut command = plain::command(start);
        // Which folder it starts in is said again inside, where it may be another.
        command.current_dir("/");
        command.stdin(Stdio::null()).stdout(start.output.try_clone()?).stderr(start.output.try_clone()?);
        let who = start.user.map(|user| who::of(&rooted(&self.folder), user)).transpose();
        let who = who.map_err(|why| io::Error::other(format!("failed to {why}")))?;
        if let Some(who) = &who {
            // So that it may open `/dev/stdout` too, as in containers.
            rustix::fs::fchown(start.output, Some(Uid::from_raw(who.uid)), Some(Gid::from_raw(who.gid)))?;
        }
        namespaces::start(&mut command, &self.first, start.dir, doors, Session::Own, who)
    }

    fn holder(&self) -> Option<i32> {
        self.made.as_ref().map(|made| made.pid)
    }

    fn leave(&mut self) {
        if let Some(made) = &mut self.made {
            made.open = None;
        }
    }

    fn close(&mut self) {
        // One that has ended is no error, and there is no other.
        let _ = process::signal(&self.first, rustix::process::Signal::KILL);
        let Some(made) = self.made.take() else { return };
        made.doors.iter().for_each(AbortHandle::abort);
        clear(&made.link, made.address);
    }
}

/// Removes what an agent that was killed may have left of its instance's enclosure.
pub fn sweep(instance: &InstanceId, address: IpAddr) {
    if let IpAddr::V4(address) = address {
        clear(&link_name(instance), address);
    }
}

fn clear(link: &str, address: Ipv4Addr) {
    let clear = || {
        let mut network = Network::open()?;
        // It goes with its namespace anyway; here it is gone at once.
        network.remove(link)?;
        network.unbar(address)
    };
    if let Err(error) = clear() {
        eprintln!("evenkeel: failed to remove the link `{link}` and the route to `{address}`: {error}");
    }
}

/// What the node's end of an instance's wire is called. The end of an id is what tells ids apart.
#[must_use]
pub fn link_name(instance: &InstanceId) -> String {
    let id = instance.as_str().trim_start_matches("i-");
    let end = id.len().saturating_sub(LONGEST_NAME - LINK.len());
    format!("{LINK}{}", id.get(end..).unwrap_or_default())
}

/// Starts the first process. It is none of the instance's control group, so that an instance that takes too much memory
/// does not lose all of its processes at once.
fn begin(folder: &Folder) -> io::Result<(Child, OwnedFd)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["enclosure", "--dir"]).arg(folder.path()).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = namespaces::first(&mut command, Vec::new())?;
    let first = process::watch(i32::try_from(child.id()).map_err(io::Error::other)?)?;
    Ok((child, first))
}

fn pid_of(child: &Child) -> Result<i32, String> {
    i32::try_from(child.id()).map_err(|_| "enclose the instance: its pid is out of range".to_owned())
}

/// Waits until the first process has everything in place. What it returns keeps it at its work.
fn await_first(mut child: Child) -> Result<ChildStdin, String> {
    let (Some(open), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("hear its first process".to_owned());
    };
    let mut line = String::new();
    let heard = BufReader::new(output.take(COMPLAINT)).read_line(&mut line);
    match (heard, line.trim()) {
        (Ok(_), super::first::READY) => Ok(open),
        (Ok(_), "") => Err("its first process ended at once".to_owned()),
        (Ok(_), why) => Err(why.to_owned()),
        (Err(error), _) => Err(format!("hear its first process: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_named_by_the_end_of_an_id() {
        let check = |id: &str, want: &str| assert_eq!(link_name(&InstanceId::new(id).unwrap()), want);
        check("i-0123456789abcdef0", "ek456789abcdef0");
        check("i-01234567", "ek01234567");
    }

    #[test]
    fn only_addresses_that_packets_are_routed_to_can_be_used() {
        let check = |address: &str, want: bool| assert_eq!(is_routable(address.parse().unwrap()), want, "{address}");
        check("10.81.0.1", true);
        check("192.168.7.9", true);
        check("127.81.0.1", false);
        check("169.254.3.4", false);
        check("0.0.0.0", false);
        check("224.0.0.1", false);
    }
}
