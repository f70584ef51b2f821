//! No enclosure: commands run among all other processes of the node, at the instance's own address.
//!
//! Owns the start of a command on the node, which processes of the boot need whatever the instance's enclosure is. Must
//! never need a privilege.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::{Enclosure, Start};
use crate::sys::spawn;

/// Processes like any other.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Enclosure for Plain {
    fn start(&self, start: &Start<'_>) -> io::Result<Child> {
        tied(command(start), start.output, start.doors)
    }
}

/// The command, without its outputs and its ties.
pub(super) fn command(start: &Start<'_>) -> Command {
    let mut command = Command::new(start.program);
    command.args(start.args).current_dir(start.dir).env_clear().envs(start.env);
    command
}

/// Starts a command on the node that prints to `output` and is killed when the calling thread ends.
///
/// # Errors
/// What the system says.
pub fn tied(command: Command, output: &OwnedFd, doors: &[File]) -> io::Result<Child> {
    tied_with(command, Stdio::null(), output, doors)
}

/// As [`tied`], with an input.
///
/// # Errors
/// What the system says.
pub fn tied_with(mut command: Command, input: Stdio, output: &OwnedFd, doors: &[File]) -> io::Result<Child> {
    let doors = doors.iter().map(File::try_clone).collect::<io::Result<_>>()?;
    command.stdin(input).stdout(output.try_clone()?).stderr(output.try_clone()?);
    spawn::tied_to_parent(&mut command, doors);
    command.spawn()
}
