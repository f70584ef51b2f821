//! An instance in a Docker container, on this node or another.
//!
//! Owns the enclosure: the container is made with the instance and started by the agent; what stands for it here are
//! processes of ours ([`stand_in`]), and what has to be done inside, our own first process there does (`crates/init`). Images
//! are loaded, never pulled. Must never leave a container running without its agent. Read [`container`] for what an engine
//! is asked for, [`files`] and [`doors`] for what goes in and out.

pub mod container;
mod copy;
mod doors;
mod engine;
mod enter;
mod exec;
mod files;
mod image;
pub mod stand_in;
pub mod usage;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

pub use copy::copy;
use doors::Doors;
pub use enter::enter;
use evenkeel_core::name::InstanceId;
pub use files::InContainer;
use serde::{Deserialize, Serialize};
use stand_in::Order;

use super::{Enclosure, Start, metadata, plain, who};
use crate::drivers::folder::{Folder, Spec};
use crate::drivers::{Engine, LaunchSpec};
use crate::sys::spawn;

/// What ends a command at once.
const KILL: &str = "9";

/// Which container an instance has or is about to get.
const FILE: &str = "container.json";

/// Which container, on which engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Where the container is.
    pub engine: Engine,
    /// Whose it is.
    pub instance: InstanceId,
}

impl Held {
    fn of(folder: &Folder) -> Result<Self, String> {
        let held = folder.read(FILE).map_err(|error| format!("read `{FILE}`: {error}"))?;
        held.ok_or_else(|| format!("find the instance's container in `{FILE}`"))
    }

    /// The container of an instance that is in one.
    #[must_use]
    pub fn by(spec: &Spec) -> Option<Self> {
        Some(Self { engine: spec.engine.clone()?, instance: spec.instance.clone() })
    }
}

/// The container of one instance.
pub struct Container {
    held: Held,
    folder: Folder,
    /// What commands that were started here are found by.
    tags: RefCell<BTreeMap<u32, String>>,
    /// What only the agent has, which started the container.
    made: Option<Made>,
}

struct Made {
    holder: i32,
    /// Held open, it keeps the holder from ending the container.
    open: Option<ChildStdin>,
    /// Who answers in it, until this is dropped.
    doors: Option<Doors>,
}

impl Container {
    /// Starts the container of a boot, as its agent.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn open(folder: &Folder, spec: &Spec) -> Result<Self, String> {
        let mut container = Self::find(folder, spec)?;
        let engine = &container.held.engine;
        engine.wait(async |docker| container::start(&docker, engine, spec).await)?;
        let opened = container.hold().and_then(|mut made| {
            made.doors = container.answer(spec)?;
            Ok(made)
        });
        match opened {
            Ok(made) => {
                container.made = Some(made);
                Ok(container)
            }
            Err(why) => {
                container.close();
                Err(why)
            }
        }
    }

    /// Finds the container that the agent has started.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn find(folder: &Folder, spec: &Spec) -> Result<Self, String> {
        let held = Held::by(spec).ok_or_else(|| "find the engine of the instance's container".to_owned())?;
        Ok(Self { held, folder: folder.clone(), tags: RefCell::default(), made: None })
    }

    /// The container's files.
    #[must_use]
    pub fn files(folder: &Folder, spec: &Spec) -> Option<InContainer> {
        let beside = folder.path().to_owned();
        Held::by(spec).map(|held| InContainer::new(held.engine, container::name(&held.instance), beside))
    }

    /// Starts the process that stands for the container.
    fn hold(&self) -> Result<Made, String> {
        let started = || {
            let mut command = self.stand_in("hold")?;
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            spawn::in_new_session(&mut command);
            let mut child = command.spawn()?;
            let holder = i32::try_from(child.id()).map_err(io::Error::other)?;
            Ok(Made { holder, open: child.stdin.take(), doors: None })
        };
        started().map_err(|error: io::Error| format!("hold the instance's container: {error}"))
    }

    /// Opens what answers in it, and returns when it does.
    fn answer(&self, spec: &Spec) -> Result<Option<Doors>, String> {
        // The folder is one of `<data>/instances`.
        let told = spec.metadata.as_deref().zip(self.folder.path().ancestors().nth(2));
        let at = SocketAddr::from((evenkeel_init::METADATA, 80));
        let doors = told.map(|(told, data_dir)| metadata::doors(told, at, data_dir)).unwrap_or_default();
        if doors.is_empty() {
            return Ok(None);
        }
        doors::serve(self.held.engine.clone(), container::name(&self.held.instance), doors).map(Some)
    }

    /// A user of the image and the groups that it is in, by their numbers.
    fn numbers_of(&self, user: &str) -> Result<String, String> {
        let (engine, beside) = (self.held.engine.clone(), self.folder.path().to_owned());
        let files = InContainer::new(engine, container::name(&self.held.instance), beside);
        let who = who::of(&files, user)?;
        let numbers: Vec<String> = [who.uid, who.gid].into_iter().chain(who.groups).map(|id| id.to_string()).collect();
        Ok(numbers.join(","))
    }

    fn stand_in(&self, role: &str) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["enclosure", role, "--dir"]).arg(self.folder.path()).env_clear().current_dir("/");
        Ok(command)
    }
}

impl Enclosure for Container {
    fn start(&self, start: &Start<'_>) -> io::Result<Child> {
        let tag = tag()?;
        let program = start.program.to_string_lossy().into_owned();
        let order = Order {
            words: [program].into_iter().chain(start.args.iter().cloned()).collect(),
            env: start.env.clone(),
            user: start.user.map_or(Ok(String::new()), |user| self.numbers_of(user)).map_err(io::Error::other)?,
            dir: start.dir.to_owned(),
            tag: tag.clone(),
            // Of what the agent ends, its holder tells all that are in the container.
            passes_on: self.made.is_none(),
        };
        let mut child = plain::tied_with(self.stand_in("run")?, Stdio::piped(), start.output, start.doors)?;
        let given = child
            .stdin
            .take()
            .map_or(Err(io::ErrorKind::BrokenPipe.into()), |mut to| to.write_all(&serde_json::to_vec(&order)?));
        if let Err(error) = given {
            // It ends by itself: what it was to run never came. Reaped here, nobody takes its end for the command's.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        self.tags.borrow_mut().insert(child.id(), tag);
        Ok(child)
    }

    fn holder(&self) -> Option<i32> {
        self.made.as_ref().map(|made| made.holder)
    }

    fn clear(&self, leader: i32) {
        let tag = u32::try_from(leader).ok().and_then(|leader| self.tags.borrow_mut().remove(&leader));
        let Some(tag) = tag else { return };
        let container = container::name(&self.held.instance);
        let words = ["signal", KILL, tag.as_str()];
        let cleared = self.held.engine.wait(async |docker| exec::answer(&docker, &container, &words, 0).await);
        if let Err(why) = cleared {
            eprintln!("evenkeel: failed to {why}");
        }
    }

    fn leave(&mut self) {
        let Some(made) = &mut self.made else { return };
        // Who listens in there is one of those that have to be gone.
        made.doors = None;
        if let Some(mut open) = made.open.take() {
            // A holder that has ended needs no word.
            let _ = open.write_all(stand_in::LEAVE);
        }
    }

    fn close(&mut self) {
        self.made = None;
        kill(&self.held);
    }
}

fn kill(held: &Held) {
    if let Err(why) = held.engine.wait(async |docker| container::kill(&docker, &held.instance).await) {
        eprintln!("evenkeel: failed to {why}");
    }
}

/// Makes the container of an instance, with its image's files.
///
/// # Errors
/// Completes "failed to …".
pub fn make(folder: &Folder, engine: &Engine, spec: &LaunchSpec) -> Result<(), String> {
    // Before there is anything, so that whoever removes the instance knows of it.
    let held = Held { engine: engine.clone(), instance: spec.instance.clone() };
    folder.write(FILE, &held, true).map_err(|error| format!("write `{FILE}`: {error}"))?;
    engine.wait(async |docker| container::make(&docker, engine, spec).await)
}

/// Ends what an agent that was killed may have left running.
pub fn sweep(spec: &Spec) {
    if let Some(held) = Held::by(spec) {
        kill(&held);
    }
}

/// Removes the container of an instance that is removed.
///
/// # Errors
/// Completes "failed to …".
pub fn discard(folder: &Folder) -> Result<(), String> {
    let held: Option<Held> = folder.read(FILE).map_err(|error| format!("read `{FILE}`: {error}"))?;
    let Some(held) = held else { return Ok(()) };
    let engine = &held.engine;
    engine.wait(async |docker| container::remove(&docker, engine, &held.instance).await)
}

/// Whether an engine can be used now.
///
/// # Errors
/// Completes "failed to …".
pub fn check(engine: &Engine) -> Result<(), String> {
    engine.wait(async |_| Ok(()))
}

/// Nobody in the container can guess what others are found by.
fn tag() -> io::Result<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
