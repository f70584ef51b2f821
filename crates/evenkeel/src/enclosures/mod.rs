//! Where an instance's commands run: its application, and each of its installers.
//!
//! Owns the [`Enclosure`] trait: how a command is started among the others of its instance. Who starts it stays its parent,
//! waits for it and signals it. Must never decide what is run, nor when: that is the agent's and the boot's. Read [`mod@files`]
//! for what commands see; [`plain`] for processes among all others of the node; then [`namespaces`] and [`docker`].

pub mod docker;
pub mod files;
pub mod first;
pub mod metadata;
pub mod namespaces;
pub mod overlay;
pub mod plain;
mod root;
pub mod rooted;
pub mod who;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};

use docker::Container;
use files::{Files, OnNode};
use namespaces::Namespaces;
use plain::Plain;
use rooted::Rooted;

use crate::drivers::Isolation;
use crate::drivers::folder::{Folder, Spec};

/// A command to start.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The program's file.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Its whole environment.
    pub env: &'a BTreeMap<String, String>,
    /// Whom it runs as, in a root filesystem: a user and perhaps a group of that, by name or number; else whom it is started by.
    pub user: Option<&'a str>,
    /// Where it starts.
    pub dir: &'a Path,
    /// Where it prints to, on both of its outputs.
    pub output: &'a OwnedFd,
    /// The `cgroup.procs` of the groups that it joins, open for writing; empty where it stays in those of the caller.
    pub doors: &'a [File],
}

/// Where the commands of one instance run.
pub trait Enclosure {
    /// Starts a command: a child of the calling process, leader of a session of its own, killed when the calling thread ends.
    ///
    /// # Errors
    /// What the system says; `NotFound` also for the interpreter of a program that is there.
    fn start(&self, command: &Start<'_>) -> io::Result<Child>;

    /// The child of the agent that holds it, where it has one: once that one has ended, nothing in it is left.
    fn holder(&self) -> Option<i32> {
        None
    }

    /// Kills what is left of a command that it started and that has ended, or had its time, as far as the node cannot see it.
    fn clear(&self, _leader: i32) {}

    /// Nothing more will be started in it. Its holder ends as soon as nobody else is left in it.
    fn leave(&mut self) {}

    /// Ends it, with everything in it.
    fn close(&mut self) {}
}

/// Makes the enclosure of a boot, as its agent.
///
/// # Errors
/// Completes "failed to …".
pub fn open(folder: &Folder, spec: &Spec) -> Result<Box<dyn Enclosure>, String> {
    Ok(match spec.isolation {
        Isolation::None => Box::new(Plain),
        Isolation::Namespaces => Box::new(Namespaces::open(folder, spec)?),
        Isolation::Docker => Box::new(Container::open(folder, spec)?),
    })
}

/// The files of an instance, as its own commands see them.
#[must_use]
pub fn files(folder: &Folder, spec: &Spec) -> Box<dyn Files> {
    match spec.isolation {
        Isolation::Namespaces if spec.manifest.rootfs => Box::new(namespaces::rooted(folder)),
        // As the kernel shows them to the instance: a link that it makes meanwhile leads nowhere else.
        Isolation::Namespaces => Box::new(Rooted::within(folder.clone(), folder.root())),
        Isolation::None => Box::new(OnNode::new(folder.root())),
        Isolation::Docker => match Container::files(folder, spec) {
            Some(files) => Box::new(files),
            // An agent that is never given a container finds nothing there, and says so.
            None => Box::new(OnNode::new(folder.root())),
        },
    }
}

/// Finds the enclosure that the agent has made, to start a command in it.
///
/// # Errors
/// Completes "failed to …": it is gone.
pub fn find(folder: &Folder, spec: &Spec) -> Result<Box<dyn Enclosure>, String> {
    Ok(match spec.isolation {
        Isolation::None => Box::new(Plain),
        Isolation::Namespaces => Box::new(Namespaces::find(folder)?),
        Isolation::Docker => Box::new(Container::find(folder, spec)?),
    })
}

/// Removes what an agent that was killed may have left of an enclosure, none of whose processes is left.
pub fn sweep(spec: &Spec) {
    match spec.isolation {
        Isolation::None => {}
        Isolation::Namespaces => namespaces::sweep(&spec.instance, spec.address),
        Isolation::Docker => docker::sweep(spec),
    }
}

/// Removes what an instance that is removed has outside its folder.
///
/// # Errors
/// Completes "failed to …": it is still there.
pub fn discard(folder: &Folder) -> Result<(), String> {
    docker::discard(folder)
}

/// `evenkeel enclosure …`: the processes that an enclosure is made of. Exit status 2 for wrong arguments.
pub fn main(args: &[String]) -> ExitCode {
    match args {
        [dir, folder] if dir == "--dir" => first::main(PathBuf::from(folder)),
        [role, dir, folder] if matches!(role.as_str(), "run" | "hold") && dir == "--dir" => {
            docker::stand_in::main(role, PathBuf::from(folder))
        }
        _ => {
            eprintln!("usage: evenkeel enclosure [run|hold] --dir FOLDER (started by evenkeel itself)");
            ExitCode::from(2)
        }
    }
}
