//! Where an instance's commands run: its application, and each of its installers.
//!
//! Owns the [`Enclosure`] trait: how a command is started among the others of its instance. Who starts it stays its parent,
//! waits for it and signals it. Must never decide what is run, nor when: that is the agent's and the boot's. Read [`plain`]
//! first: processes among all others of the node; then [`namespaces`].

pub mod first;
pub mod metadata;
pub mod namespaces;
pub mod plain;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use namespaces::Namespaces;
use plain::Plain;

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
    /// Where it starts.
    pub dir: &'a Path,
    /// What it reads; nothing without one.
    pub input: Option<&'a OwnedFd>,
    /// Where it prints to.
    pub output: &'a OwnedFd,
    /// Where it complains; with the rest without one.
    pub errors: Option<&'a OwnedFd>,
    /// The `cgroup.procs` of the groups that it joins, open for writing; empty where it stays in those of the caller.
    pub doors: &'a [File],
}

impl Start<'_> {
    /// Gives a command its ends.
    fn wire(&self, command: &mut Command) -> io::Result<()> {
        let input = self.input.map(OwnedFd::try_clone).transpose()?;
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        command.stdout(self.output.try_clone()?).stderr(self.errors.unwrap_or(self.output).try_clone()?);
        Ok(())
    }
}

/// Where the commands of one instance run.
pub trait Enclosure {
    /// Starts a command: a child of the calling process, killed when the calling thread ends. It leads a session of its own,
    /// unless it is given an input inside namespaces: then it stays in the caller's, with its terminal.
    ///
    /// # Errors
    /// What the system says; `NotFound` also for the interpreter of a program that is there.
    fn start(&self, command: &Start<'_>) -> io::Result<Child>;

    /// The child of the agent that holds it, where it has one: once that one has ended, nothing in it is left.
    fn holder(&self) -> Option<i32> {
        None
    }

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
    })
}

/// Finds the enclosure that the agent has made, to start a command in it.
///
/// # Errors
/// Completes "failed to …": it is gone.
pub fn find(folder: &Folder, spec: &Spec) -> Result<Box<dyn Enclosure>, String> {
    Ok(match spec.isolation {
        Isolation::None => Box::new(Plain),
        Isolation::Namespaces => Box::new(Namespaces::find(folder)?),
    })
}

/// Removes what an agent that was killed may have left of an enclosure, none of whose processes is left.
pub fn sweep(spec: &Spec) {
    match spec.isolation {
        Isolation::None => {}
        Isolation::Namespaces => namespaces::sweep(&spec.instance, spec.address),
    }
}
