//! `SIGUSR2`: the proxy gives way to a new process of the program that stands in its file now.
//!
//! Owns the new process's start and both ends of the change. Must never stop serving before the new one does: the
//! conversation ([`crate::link::handover`]) says who goes on. They talk over the new one's standard input, so that no file
//! has to be agreed on.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use super::Proxy;
use crate::link::handover::{self, Claim, Legacy};

/// The hidden flag of a process that is started to take over.
pub(super) const TAKE_OVER: &str = "--take-over";

/// How this process was started, to be done again.
pub(super) struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Origin {
    /// Noted at the start: a program that was replaced since has another file, but the same path.
    pub(super) fn of_this() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("failed to find this program's own file")?;
        let arguments = std::env::args_os().skip(1).filter(|argument| argument != TAKE_OVER).collect();
        Ok(Self { program, arguments })
    }

    /// Starts a process that is to take over.
    pub(super) fn start(&self) -> anyhow::Result<Successor> {
        let (stream, theirs) = UnixStream::pair().context("failed to make a socket")?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(TAKE_OVER).stdin(Stdio::from(OwnedFd::from(theirs)));
        let program: &Path = &self.program;
        let child = command.spawn().with_context(|| format!("failed to start `{}`", program.display()))?;
        Ok(Successor { child, stream })
    }
}

/// A new process that is about to take over.
pub(super) struct Successor {
    child: Child,
    stream: UnixStream,
}

impl Successor {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves, or for the reason why it does not; then it is ended.
    pub(super) fn see(mut self, legacy: Legacy) -> anyhow::Result<()> {
        let given = handover::answer(self.stream, |_| Ok(legacy), || Ok(()));
        if let Err(kept) = given {
            // It may have ended by itself: its own words say why.
            let _ = self.child.kill();
            self.child.wait().context("failed to see it end")?;
            bail!("{kept}");
        }
        Ok(())
    }
}

/// The other end: asks the process that started this one.
pub(super) fn take_over() -> anyhow::Result<(Claim, Legacy)> {
    let stream = std::io::stdin().as_fd().try_clone_to_owned().context("failed to open standard input")?;
    handover::ask(UnixStream::from(stream)).context("failed to take over")
}

impl Proxy {
    /// What a new process needs.
    pub(super) fn legacy(&self) -> anyhow::Result<Legacy> {
        let estate = self.road().estate().context("failed to share the listeners")?;
        Ok(Legacy { verdicts: self.prober().verdicts(), estate, ..Legacy::default() })
    }
}

/// Tells the supervisor, if there is one that wants to know, which process it looks after (sd_notify(3)).
pub(super) fn notify() {
    let Some(to) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match to.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(OsStr::new(&to)),
    };
    let said = format!("MAINPID={}\nREADY=1", std::process::id());
    // A supervisor that does not listen misses nothing that it could not see.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(said.as_bytes(), &address));
}
