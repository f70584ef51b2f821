//! Where an instance's commands run: its application, and each of its installers.
//!
//! Owns the [`Enclosure`] trait: how a command is started among the others of its instance. Who starts it stays its parent,
//! waits for it and signals it. Must never decide what is run, nor when: that is the agent's and the boot's. Read [`plain`]
//! first: processes among all others of the node.

pub mod plain;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;

use plain::Plain;

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
}

/// The enclosure of an instance, for whoever starts a command in it.
#[must_use]
pub fn find() -> Box<dyn Enclosure> {
    Box::new(Plain)
}
