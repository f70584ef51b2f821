//! One end of a connection as the road drives it.
//!
//! Owns the socket and what is known of its readiness (edge-triggered: an event is told once). Must never wait.
//! Nothing outside this file and `tls.rs` knows what bytes look like on the wire.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

use super::tls::{Shaking, Tls};
use super::trunk::Strand;
use crate::challenge::Pending;
use crate::log::record::{Mismatch, Secured};

/// What every connection is registered for, once.
pub(super) const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

#[derive(Debug)]
enum Transport {
    Plain(OwnedFd),
    Tls(Box<Tls>),
    /// A stream of an HTTP/2 connection, which speaks HTTP/1 text here.
    Strand(Box<Strand>),
}

/// A connection and its readiness.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    /// Events tell of it. Until then nothing is known that a call did not say.
    pub(super) registered: bool,
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
        Self::over(Transport::Plain(fd))
    }

    /// The same connection, whose client is to speak TLS from here on; reading goes on with the handshake.
    /// `pending` are the challenges that its first bytes may ask.
    pub(super) fn secured(self, session: UnbufferedServerConnection, pending: Option<Arc<Pending>>) -> Self {
        let transport = match self.transport {
            Transport::Plain(fd) => Transport::Tls(Box::new(Tls::server(fd, session, pending))),
            other => other,
        };
        Self { transport, ..self }
    }

    /// A stream of an HTTP/2 connection.
    pub(super) fn strand(strand: Strand) -> Self {
        Self::over(Transport::Strand(Box::new(strand)))
    }

    /// Whether it is a stream of an HTTP/2 connection, which carries one request.
    pub(super) fn is_strand(&self) -> bool {
        matches!(self.transport, Transport::Strand(_))
    }

    /// Whether it speaks TLS.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Whether the peer said that it never looked at the request.
    pub(super) fn was_refused(&self) -> bool {
        matches!(&self.transport, Transport::Strand(strand) if strand.was_refused())
    }

    /// Where the connection had no room for a stream that was to be opened: how many its peer allows, and how often that
    /// happened before.
    pub(super) fn crowd(&self) -> Option<(usize, u8)> {
        let Transport::Strand(strand) = &self.transport else { return None };
        strand.crowd().map(|allowed| (allowed, strand.hops))
    }

    /// Looks what a stream of an HTTP/2 connection can do now: no event tells.
    pub(super) fn look(&mut self) {
        if let Transport::Strand(strand) = &self.transport {
            (self.readable, self.writable, self.broken) = strand.look();
        }
    }

    /// What both sides have agreed to speak inside TLS.
    pub(super) fn spoken(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Tls(tls) => tls.spoken(),
            _ => None,
        }
    }

    fn over(transport: Transport) -> Self {
        let registered = matches!(transport, Transport::Strand(_));
        Self { transport, registered, readable: false, writable: true, ended: false, broken: false }
    }

    /// Begins to connect; an event tells when that is done. With a session, the handshake comes after it.
    pub(super) fn connect(address: SocketAddr, session: Option<UnbufferedClientConnection>) -> Result<Self, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        match rustix::net::connect(&fd, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let mut stream = match session {
            Some(session) => Self::over(Transport::Tls(Box::new(Tls::client(fd, session)))),
            None => Self::plain(fd),
        };
        stream.writable = false;
        Ok(stream)
    }

    /// Whether a connection that was begun is made; asked when an event came.
    pub(super) fn connected(&self) -> Result<(), Errno> {
        self.fd().map_or(Ok(Ok(())), sockopt::socket_error)?
    }

    /// The socket, where it has one of its own.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.transport {
            Transport::Plain(fd) => Some(fd.as_fd()),
            Transport::Tls(tls) => Some(tls.fd.as_fd()),
            Transport::Strand(_) => None,
        }
    }

    /// The socket, where what goes over it is what is said.
    pub(super) fn bare(&self) -> Option<BorrowedFd<'_>> {
        match &self.transport {
            Transport::Plain(fd) => Some(fd.as_fd()),
            _ => None,
        }
    }

    /// Goes on with the handshake, where there is one.
    pub(super) fn shake(&mut self, scratch: &mut [u8]) -> Shaking {
        match &mut self.transport {
            Transport::Plain(_) => Shaking::Done,
            Transport::Strand(strand) => strand.shake(),
            Transport::Tls(tls) => {
                let shaking = tls.shake(scratch, self.ended, &mut self.readable);
                self.writable &= tls.is_flushed();
                shaking
            }
        }
    }

    /// Whether its handshake is not complete.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(&self.transport, Transport::Tls(tls) if tls.is_handshaking())
    }

    /// Whether the kernel has taken everything that was written.
    pub(super) fn is_flushed(&self) -> bool {
        match &self.transport {
            Transport::Plain(_) | Transport::Strand(_) => true,
            Transport::Tls(tls) => tls.is_flushed(),
        }
    }

    /// Whether its client was there for a challenge alone (TLS-ALPN-01), and that is answered.
    pub(super) fn is_answered(&self) -> bool {
        matches!(&self.transport, Transport::Tls(tls) if tls.is_answered())
    }

    /// What the two ends did not have in common, where a handshake failed for that.
    pub(super) fn mismatch(&self) -> Option<Mismatch> {
        match &self.transport {
            Transport::Tls(tls) => tls.mismatch(),
            Transport::Strand(strand) => strand.mismatch(),
            Transport::Plain(_) => None,
        }
    }

    /// What its two ends agreed on, once a handshake has got so far.
    pub(super) fn agreed(&self) -> Option<Secured> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => tls.agreed(),
            Transport::Strand(strand) => strand.agreed(),
        }
    }

    /// Whether the peer has said that it will send nothing more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the peer has said that it will send nothing more and left nothing to be read, as far as that can be known.
    pub(super) fn has_left(&self) -> bool {
        let peek = |fd| retry_on_intr(|| rustix::net::recv(fd, &mut [0], RecvFlags::PEEK));
        self.ended && !self.is_secure() && self.fd().is_some_and(|fd| matches!(peek(fd), Ok((_, 0))))
    }

    /// Takes note of an event. True when something went that had waited here.
    pub(super) fn mark(&mut self, flags: EventFlags) -> bool {
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        self.broken |= broken;
        self.ended |= flags.intersects(EventFlags::RDHUP) || broken;
        self.readable |= flags.intersects(EventFlags::IN) || self.ended;
        self.writable |= flags.intersects(EventFlags::OUT) || broken;
        self.writable && self.go_on()
    }

    /// Asks the socket itself whether it takes more, where the last event said that it does not. True when something went
    /// that had waited here.
    pub(super) fn press(&mut self) -> bool {
        if let Transport::Strand(strand) = &self.transport {
            strand.press();
            return false;
        }
        self.writable = true;
        self.go_on()
    }

    /// Sends what waits here.
    fn go_on(&mut self) -> bool {
        let Transport::Tls(tls) = &mut self.transport else { return false };
        if tls.is_flushed() {
            return false;
        }
        let before = tls.holds();
        // What it does to a broken one shows at the next read or write.
        tls.flush();
        self.writable = tls.is_flushed();
        tls.holds() < before
    }

    /// Bytes that were taken and wait here for the socket.
    pub(super) fn holds(&self) -> u64 {
        match &self.transport {
            Transport::Plain(_) | Transport::Strand(_) => 0,
            Transport::Tls(tls) => tls.holds() as u64,
        }
    }

    /// Whether it is a stream that waits for its connection, and not for its own peer to take more of it.
    pub(super) fn is_crowded_out(&self) -> bool {
        matches!(&self.transport, Transport::Strand(strand) if strand.is_crowded_out())
    }

    /// Reads what is there. A short read means that there is no more, unless the peer has ended its side.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Read {
        let room = into.len();
        let got = match &mut self.transport {
            Transport::Plain(fd) => {
                retry_on_intr(|| rustix::net::recv(&*fd, &mut *into, RecvFlags::empty())).map(|(_, got)| got)
            }
            Transport::Tls(tls) => {
                let read = tls.read(into, self.ended, &mut self.readable);
                self.writable &= tls.is_flushed();
                return read;
            }
            Transport::Strand(strand) => {
                let read = strand.read(into);
                // Its end may be behind these bytes, and nobody rings for that.
                self.readable = matches!(read, Read::Bytes(count) if count == room) || strand.is_at_end();
                return read;
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
        let took = match &mut self.transport {
            Transport::Strand(_) => return self.write_both(bytes, &[], false),
            Transport::Plain(fd) => retry_on_intr(|| rustix::net::send(&*fd, bytes, SendFlags::NOSIGNAL)),
            Transport::Tls(tls) => {
                let wrote = tls.write(bytes, &[]);
                self.writable = tls.is_flushed() && !matches!(wrote, Write::Broken);
                return wrote;
            }
        };
        self.wrote(took, bytes.len())
    }

    /// Writes what is taken at once of `head` and then `tail`, as one. `last`: the caller finishes or closes at once
    /// when all is taken, so that the end may go out in the same packet.
    pub(super) fn write_both(&mut self, head: &[u8], tail: &[u8], last: bool) -> Write {
        let flags = if last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let took = match &mut self.transport {
            Transport::Tls(tls) => {
                let wrote = tls.write(head, tail);
                self.writable = tls.is_flushed() && !matches!(wrote, Write::Broken);
                return wrote;
            }
            Transport::Strand(strand) => {
                let wrote = strand.write(head, tail);
                self.writable = matches!(wrote, Write::Took(count) if count == head.len() + tail.len());
                return wrote;
            }
            Transport::Plain(fd) if head.is_empty() || tail.is_empty() => {
                let bytes = if head.is_empty() { tail } else { head };
                retry_on_intr(|| rustix::net::send(&*fd, bytes, flags))
            }
            Transport::Plain(fd) => retry_on_intr(|| {
                let parts = [IoSlice::new(head), IoSlice::new(tail)];
                rustix::net::sendmsg(&*fd, &parts, &mut SendAncillaryBuffer::default(), flags)
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

    /// Whether the peer has said nothing, and has not ended, since it was read last. What it says is lost.
    pub(super) fn is_silent(&mut self) -> bool {
        match &mut self.transport {
            // It is over with its request.
            Transport::Strand(_) => false,
            _ if !self.readable => true,
            Transport::Plain(_) => matches!(self.read(&mut [0]), Read::NotReady),
            Transport::Tls(tls) => tls.is_silent(&mut self.readable),
        }
    }

    /// The same, asked of the socket itself: an event that would tell may still be on its way.
    pub(super) fn is_quiet(&mut self) -> bool {
        let Some(fd) = self.fd() else { return false };
        match retry_on_intr(|| rustix::net::recv(fd, &mut [0], RecvFlags::PEEK)) {
            Err(Errno::AGAIN) => true,
            // In TLS it may be a ticket.
            Ok((_, 1..)) if self.is_secure() => {
                self.readable = true;
                self.is_silent()
            }
            _ => false,
        }
    }

    /// Whether nothing of what it said is left to be read, as far as is known; who is not registered is asked.
    pub(super) fn has_rest(&mut self) -> bool {
        if self.registered { !self.readable } else { self.is_quiet() }
    }

    /// Tells the peer that nothing more will come.
    pub(super) fn finish(&mut self) {
        match &mut self.transport {
            // A connection that is gone already needs no telling.
            Transport::Plain(fd) => drop(rustix::net::shutdown(&*fd, Shutdown::Write)),
            Transport::Tls(tls) => tls.finish(),
            Transport::Strand(strand) => strand.finish(),
        }
    }

    /// Before an orderly close: TLS tells the peer that nothing is missing; plain bytes have no words for it.
    pub(super) fn part(&mut self) {
        match &mut self.transport {
            Transport::Tls(tls) => tls.finish(),
            // A stream whose request is over: its connection has shown that it works.
            Transport::Strand(strand) => strand.served(),
            Transport::Plain(_) => {}
        }
    }

    /// Makes closing a reset, so that the peer cannot take what it got for everything.
    pub(super) fn abort(&self) {
        match (&self.transport, self.fd()) {
            (Transport::Strand(strand), _) => strand.abort(),
            (_, Some(fd)) => drop(sockopt::set_socket_linger(fd, Some(Duration::ZERO))),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// A connection as the road has it, and its peer's side.
    pub(in crate::io) fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        (Stream::plain(ours.into()), listener.accept().unwrap().0)
    }

    #[test]
    fn a_socket_is_quiet_until_its_peer_speaks_or_ends_though_no_event_told() {
        let check = |act: &dyn Fn(&mut TcpStream)| {
            let (mut stream, mut peer) = pair();
            assert!(stream.is_silent() && stream.is_quiet() && stream.is_quiet());
            act(&mut peer);
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while stream.is_quiet() {
                assert!(std::time::Instant::now() < until, "still quiet");
                std::thread::yield_now();
            }
            // What no event has told is not known.
            assert!(stream.is_silent());
        };
        check(&|peer| peer.write_all(b"x").unwrap());
        check(&|peer| peer.shutdown(Shutdown::Write).unwrap());
        check(&|peer| peer.shutdown(Shutdown::Both).unwrap());
    }
}
