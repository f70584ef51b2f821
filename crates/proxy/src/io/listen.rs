//! Listening sockets.
//!
//! Owns how one is bound and how connections are taken from it. Must never choose what is served on it.
//!
//! One socket a listener, shared by all workers (`EPOLLEXCLUSIVE`), and a connection is handed over to the worker with
//! the fewest. Not `SO_REUSEPORT`: with it a second daemon of the same user would bind the same port without an error
//! and take half the clients; closing one worker's socket resets the connections queued on it; a hash spreads 64
//! long-lived connections over two workers up to 12 % unevenly, which hand-over does not.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections the kernel may queue before they are accepted; it lowers this to `net.core.somaxconn`.
pub(super) const BACKLOG: i32 = 4096;

/// A bound and listening socket. It is closed with its last holder.
#[derive(Debug)]
pub(crate) struct Bound {
    /// None where it was left to another process.
    pub(crate) fd: Option<OwnedFd>,
    pub(crate) address: SocketAddr,
}

/// Binds and listens.
pub(crate) fn bind(address: SocketAddr) -> Result<Bound, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    // Small answers must not wait for acknowledgements of earlier ones; what is accepted takes it over.
    let _ = sockopt::set_tcp_nodelay(&fd, true);
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(Bound { fd: Some(fd), address })
}

/// What a try to accept gave.
pub(crate) enum Accepted {
    Client(OwnedFd, SocketAddr),
    Nobody,
    /// No descriptor or memory to be had: pause.
    Exhausted,
}

/// Takes one connection.
pub(crate) fn accept(bound: &Bound) -> Accepted {
    let Some(listener) = &bound.fd else { return Accepted::Nobody };
    match rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok((fd, peer)) => {
            let unknown = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).unwrap_or(unknown);
            Accepted::Client(fd, peer)
        }
        Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Accepted::Exhausted,
        // Everything else is the fate of one connection, or nobody there: the listener itself stays good.
        Err(_) => Accepted::Nobody,
    }
}
