//! The origin: answers every GET at once, from memory, and echoes on the port above; also after `GET /ws`, which it takes
//! for a WebSocket's beginning.
//!
//! Owns a listener on each of 127.0.0.1 to 127.0.0.100, and one for echoes on the first two. Must do as little as an instance can: one read and one write
//! a request. It trusts its peer (a proxy under test): a request ends with an empty line and has no body.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// The key is the example's of RFC 6455 §1.3, which is what clients here send.
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Peer {
    fd: OwnedFd,
    echo: bool,
    /// Bytes that were not taken yet: which answer, and how far; or echoes.
    owed: Vec<u8>,
    sent: usize,
    /// Bytes seen since the last empty line's beginning.
    tail: Vec<u8>,
}

enum Slot {
    Listener { fd: OwnedFd, echo: bool },
    Peer(Peer),
}

/// Serves until it is ended.
pub fn run(port: u16) -> io::Result<()> {
    let answers = [("/128 ", 128), ("/10k ", 10 << 10), ("/1m ", 1 << 20)].map(|(path, size)| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n")
                .into_bytes();
        answer.resize(answer.len() + size, b'x');
        (path.as_bytes(), answer)
    });
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut slots: Vec<Option<Slot>> = Vec::new();
    let plain = (1..=100).map(|host| (host, port, false));
    let echoes = (1..=2).map(|host| (host, port + 1, true));
    for (host, port, echo) in plain.chain(echoes) {
        let fd = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &SocketAddr::from(([127, 0, 0, host], port)))?;
        rustix::net::listen(&fd, 4096)?;
        epoll::add(&epoll, &fd, EventData::new_u64(slots.len() as u64), EventFlags::IN)?;
        slots.push(Some(Slot::Listener { fd, echo }));
    }
    let mut free = Vec::new();
    let mut scratch = vec![0u8; 64 * 1024];
    let mut events: Vec<Event> = Vec::with_capacity(512);
    loop {
        events.clear();
        let _ = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None);
        for event in &events {
            let index = event.data.u64() as usize;
            match slots.get_mut(index) {
                Some(Some(Slot::Listener { fd, echo })) => {
                    let echo = *echo;
                    let Ok(fd) = rustix::net::accept_with(&*fd, SocketFlags::NONBLOCK) else { continue };
                    let _ = sockopt::set_tcp_nodelay(&fd, true);
                    let at = free.pop().unwrap_or(slots.len());
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                    if epoll::add(&epoll, &fd, EventData::new_u64(at as u64), flags).is_err() {
                        continue;
                    }
                    let peer = Peer { fd, echo, owed: Vec::new(), sent: 0, tail: Vec::new() };
                    if at == slots.len() {
                        slots.push(None);
                    }
                    slots[at] = Some(Slot::Peer(peer));
                }
                Some(slot @ Some(Slot::Peer(_))) => {
                    let Some(Slot::Peer(peer)) = slot else { continue };
                    if !serve(peer, event.flags, &answers, &mut scratch) {
                        *slot = None;
                        free.push(index);
                    }
                }
                _ => {}
            }
        }
    }
}

/// False when the connection is over.
fn serve(peer: &mut Peer, flags: EventFlags, answers: &[(&[u8], Vec<u8>)], scratch: &mut [u8]) -> bool {
    if !push(peer, None) {
        return false;
    }
    if !flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
        return true;
    }
    loop {
        let got = match rustix::net::recv(&peer.fd, &mut *scratch, RecvFlags::empty()) {
            Ok((_, 0)) => return false,
            Ok((_, got)) => got,
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        };
        if peer.echo {
            if !push(peer, Some(&scratch[..got])) {
                return false;
            }
        } else {
            let bytes = &scratch[..got];
            let whole = peer.tail.is_empty() && bytes.ends_with(b"\r\n\r\n");
            let joined: Vec<u8>;
            let mut rest = if whole {
                bytes
            } else {
                joined = [&peer.tail, bytes].concat();
                peer.tail.clear();
                &joined
            };
            while let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
                let (head, after) = rest.split_at(end + 4);
                let path = head.strip_prefix(b"GET ").unwrap_or_default();
                if path.starts_with(b"/ws ") {
                    peer.echo = true;
                    if !push(peer, Some(SWITCHED)) || !push(peer, Some(after)) {
                        return false;
                    }
                    rest = &[];
                    break;
                }
                let Some((_, answer)) = answers.iter().find(|(p, _)| path.starts_with(p)) else { return false };
                if !push(peer, Some(answer)) {
                    return false;
                }
                rest = after;
            }
            peer.tail.extend_from_slice(rest);
        }
        if got < scratch.len() && !flags.intersects(EventFlags::RDHUP) {
            return true;
        }
    }
}

/// Sends what is owed, then `more`.
fn push(peer: &mut Peer, more: Option<&[u8]>) -> bool {
    let owing = !peer.owed.is_empty();
    if owing {
        match rustix::net::send(&peer.fd, &peer.owed[peer.sent..], SendFlags::NOSIGNAL) {
            Ok(took) => peer.sent += took,
            Err(Errno::AGAIN) => {}
            Err(_) => return false,
        }
        if peer.sent == peer.owed.len() {
            peer.owed.clear();
            peer.sent = 0;
        }
    }
    let Some(more) = more else { return true };
    let mut took = 0;
    if peer.owed.is_empty() {
        match rustix::net::send(&peer.fd, more, SendFlags::NOSIGNAL) {
            Ok(count) => took = count,
            Err(Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    peer.owed.extend_from_slice(&more[took..]);
    true
}
