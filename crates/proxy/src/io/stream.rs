//! One end of a connection as the road drives it.
//!
//! Owns the socket and what is known of its readiness (edge-triggered: an event is told once). Must never wait. TLS
//! will be a second variant of [`Transport`]: nothing outside this file knows what bytes look like on the wire.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};

/// What every connection is registered for, once.
pub(super) const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

#[derive(Debug)]
enum Transport {
    Plain(OwnedFd),
}

/// A connection and its readiness.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    /// A read may give something.
    pub(super) readable: bool,
    /// A write may take something.
    pub(super) writable: bool,
    /// The peer has ended its side: reads go on until they give nothing.
    ended: bool,
    /// The connection is broken in both directions.
    pub(super) broken: bool,
}

/// What a read gave.
#[derive(Debug)]
pub(super) enum Read {
    Bytes(usize),
    End,
    NotReady,
    Broken,
}

/// What a write gave.
#[derive(Debug)]
pub(super) enum Write {
    Took(usize),
    NotReady,
    Broken,
}

impl Stream {
    pub(super) fn plain(fd: OwnedFd) -> Self {
        Self { transport: Transport::Plain(fd), readable: false, writable: true, ended: false, broken: false }
    }

    /// Begins to connect; an event tells when that is done.
    pub(super) fn connect(address: SocketAddr) -> Result<Self, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        match rustix::net::connect(&fd, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let mut stream = Self::plain(fd);
        stream.writable = false;
        Ok(stream)
    }

    /// Whether a connection that was begun is made; asked when an event came.
    pub(super) fn connected(&self) -> Result<(), Errno> {
        sockopt::socket_error(self.fd())?
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.transport {
            Transport::Plain(fd) => fd.as_fd(),
        }
    }

    /// Takes note of an event.
    pub(super) fn mark(&mut self, flags: EventFlags) {
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        self.broken |= broken;
        self.ended |= flags.intersects(EventFlags::RDHUP) || broken;
        self.readable |= flags.intersects(EventFlags::IN) || self.ended;
        self.writable |= flags.intersects(EventFlags::OUT) || broken;
    }

    /// Reads what is there. A short read means that there is no more, unless the peer has ended its side.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Read {
        let room = into.len();
        let got = match &self.transport {
            Transport::Plain(fd) => {
                retry_on_intr(|| rustix::net::recv(fd, &mut *into, RecvFlags::empty())).map(|(_, got)| got)
            }
        };
        match got {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            Ok(got) => {
                self.readable = got == room || self.ended;
                Read::Bytes(got)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Read::NotReady
            }
            Err(_) => {
                self.readable = false;
                Read::Broken
            }
        }
    }

    /// Writes what is taken at once.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Write {
        let took = match &self.transport {
            Transport::Plain(fd) => retry_on_intr(|| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)),
        };
        self.wrote(took, bytes.len())
    }

    /// Writes what is taken at once of `head` and then `tail`, as one. `last`: the caller finishes or closes at once
    /// when all is taken, so that the end may go out in the same packet.
    pub(super) fn write_both(&mut self, head: &[u8], tail: &[u8], last: bool) -> Write {
        let flags = if last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let took = match &self.transport {
            Transport::Plain(fd) if head.is_empty() || tail.is_empty() => {
                let bytes = if head.is_empty() { tail } else { head };
                retry_on_intr(|| rustix::net::send(fd, bytes, flags))
            }
            Transport::Plain(fd) => retry_on_intr(|| {
                let parts = [IoSlice::new(head), IoSlice::new(tail)];
                rustix::net::sendmsg(fd, &parts, &mut SendAncillaryBuffer::default(), flags)
            }),
        };
        self.wrote(took, head.len() + tail.len())
    }

    fn wrote(&mut self, took: Result<usize, Errno>, of: usize) -> Write {
        match took {
            Ok(took) => {
                self.writable = took == of;
                Write::Took(took)
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                Write::NotReady
            }
            Err(_) => {
                self.writable = false;
                Write::Broken
            }
        }
    }

    /// Tells the peer that nothing more will come.
    pub(super) fn finish(&self) {
        // A connection that is gone already needs no telling.
        let _ = rustix::net::shutdown(self.fd(), Shutdown::Write);
    }

    /// Makes closing a reset, so that the peer cannot take what it got for everything.
    pub(super) fn abort(&self) {
        let _ = sockopt::set_socket_linger(self.fd(), Some(Duration::ZERO));
    }
}
