//! Links, addresses and routes of the calling thread's network (rtnetlink(7)), of version 4. Owns the encoding of the few
//! requests that Evenkeel makes; must never know what a link is for.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// The longest name of a link: IFNAMSIZ without its end.
pub const LONGEST_NAME: usize = 15;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const RTN_UNREACHABLE: u8 = 7;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;

/// How much a bar gives way to routes: any other one comes first.
const BAR_PRIORITY: u32 = 0x7fff_ffff;

/// Which way a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To one address, which is on the link itself.
    Here(Ipv4Addr),
    /// To everything else, by this neighbour.
    By(Ipv4Addr),
}

/// The network that the thread which opened it was in.
#[derive(Debug)]
pub struct Network {
    socket: OwnedFd,
    number: u32,
}

impl Network {
    /// Opens the calling thread's network.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        let kind = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
        // The protocol of routes is number 0, which is what none stands for.
        let socket = socket_with(kind.0, kind.1, kind.2, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, number: 0 })
    }

    /// The number of a link.
    ///
    /// # Errors
    /// `NotFound` (ENODEV) where there is none of this name.
    pub fn link(&self, name: &str) -> io::Result<u32> {
        match rustix::net::netdevice::name_to_index(&self.socket, name) {
            Err(Errno::NODEV) => Err(io::ErrorKind::NotFound.into()),
            found => Ok(found?),
        }
    }

    /// Makes two links that are the ends of one wire: `near` here, `far` in the network of another namespace, given by its
    /// `/proc/<pid>/ns/net`.
    ///
    /// # Errors
    /// What the system says; `AlreadyExists` where there is a link of that name.
    pub fn wire(&mut self, near: &str, far: &str, elsewhere: impl AsFd) -> io::Result<()> {
        let mut body = link_body(0, 0, 0);
        text(&mut body, IFLA_IFNAME, near);
        nest(&mut body, IFLA_LINKINFO, |body| {
            attribute(body, IFLA_INFO_KIND, b"veth");
            nest(body, IFLA_INFO_DATA, |body| {
                nest(body, VETH_INFO_PEER, |body| {
                    body.extend(link_body(0, 0, 0));
                    text(body, IFLA_IFNAME, far);
                    attribute(body, IFLA_NET_NS_FD, &elsewhere.as_fd().as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body)
    }

    /// Takes a link into use.
    ///
    /// # Errors
    /// What the system says.
    pub fn raise(&mut self, link: u32) -> io::Result<()> {
        self.ask(RTM_NEWLINK, 0, &link_body(link, IFF_UP, IFF_UP))
    }

    /// Removes a link by its name, and with it the other end of its wire. True if it was there.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&mut self, name: &str) -> io::Result<bool> {
        let link = match self.link(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        match self.ask(RTM_DELLINK, 0, &link_body(link, 0, 0)) {
            // It went by itself meanwhile.
            Err(e) if e.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Gives a link an address of its own, without a network around it.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&mut self, link: u32, address: Ipv4Addr) -> io::Result<()> {
        let mut body = vec![AF_INET, 32, 0, RT_SCOPE_UNIVERSE];
        body.extend(link.to_ne_bytes());
        attribute(&mut body, IFA_LOCAL, &address.octets());
        attribute(&mut body, IFA_ADDRESS, &address.octets());
        self.ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body)
    }

    /// Leads packets out through a link.
    ///
    /// # Errors
    /// What the system says; `AlreadyExists` where there is such a route by another link.
    pub fn route(&mut self, link: u32, way: Way) -> io::Result<()> {
        let (bits, scope) = match way {
            Way::Here(_) => (32, RT_SCOPE_LINK),
            Way::By(_) => (0, RT_SCOPE_UNIVERSE),
        };
        let mut body = vec![AF_INET, bits, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST];
        body.extend(0u32.to_ne_bytes());
        match way {
            Way::Here(address) => attribute(&mut body, RTA_DST, &address.octets()),
            Way::By(neighbour) => attribute(&mut body, RTA_GATEWAY, &neighbour.octets()),
        }
        attribute(&mut body, RTA_OIF, &link.to_ne_bytes());
        self.ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body)
    }

    /// Bars the way to an address for as long as no route leads there, so that it is refused at once instead of being looked
    /// for elsewhere. One that is there is no error.
    ///
    /// # Errors
    /// What the system says.
    pub fn bar(&mut self, address: Ipv4Addr) -> io::Result<()> {
        match self.ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &bar_body(address)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    /// Takes the bar away. One that is not there is no error.
    ///
    /// # Errors
    /// What the system says.
    pub fn unbar(&mut self, address: Ipv4Addr) -> io::Result<()> {
        match self.ask(RTM_DELROUTE, 0, &bar_body(address)) {
            Err(e) if e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
            done => done,
        }
    }

    /// Sends one request and waits for its answer, which the kernel gives before the call returns.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.number += 1;
        let message = request(kind, flags, self.number, body);
        sendto(&self.socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0; 4096];
        loop {
            let (got, _) = recv(&self.socket, &mut answer, RecvFlags::empty())?;
            if let Some(errno) = answered(&answer[..got], self.number) {
                return if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) };
            }
        }
    }
}

/// A whole message: its length, kind, flags, number, sender, and what it says.
fn request(kind: u16, flags: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend(number.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    message
}

/// The error number (0 for none) in the answer to a request; `None` for a message about anything else.
fn answered(message: &[u8], number: u32) -> Option<i32> {
    let word = |at: usize| message.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let to = u32::from_ne_bytes(word(8)?);
    let errno = i32::from_ne_bytes(word(16)?);
    (kind == NLMSG_ERROR && to == number).then(|| errno.saturating_neg())
}

fn bar_body(address: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![AF_INET, 32, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNREACHABLE];
    body.extend(0u32.to_ne_bytes());
    attribute(&mut body, RTA_DST, &address.octets());
    attribute(&mut body, RTA_PRIORITY, &BAR_PRIORITY.to_ne_bytes());
    body
}

fn link_body(link: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(link.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

fn text(body: &mut Vec<u8>, kind: u16, text: &str) {
    attribute(body, kind, &[text.as_bytes(), b"\0"].concat());
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    nest(body, kind, |body| body.extend_from_slice(value));
}

/// An attribute of attributes. Each begins at a multiple of 4, and its length is without what fills it up.
fn nest(body: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = body.len();
    body.extend(0u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    fill(body);
    let length = u16::try_from(body.len() - at).unwrap_or(u16::MAX);
    body[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_filled_up_and_nested() {
        let mut body = Vec::new();
        nest(&mut body, 18, |body| {
            text(body, 3, "abcd");
            attribute(body, 4, &[7]);
        });
        let want = |n: u16| n.to_ne_bytes();
        let parts = [&want(24)[..], &want(18), &want(9), &want(3), b"abcd\0\0\0\0", &want(5), &want(4), &[7, 0, 0, 0]];
        // The last one's filling belongs to the outer one too.
        assert_eq!(body, parts.concat());
    }

    #[test]
    fn answers_are_told_from_other_messages() {
        let message = |kind: u16, number: u32, errno: i32| {
            let mut message = request(kind, 0, number, &errno.to_ne_bytes());
            message.extend([0; 16]);
            message
        };
        let check = |message: &[u8], want| assert_eq!(answered(message, 7), want);
        check(&message(NLMSG_ERROR, 7, 0), Some(0));
        check(&message(NLMSG_ERROR, 7, -17), Some(17));
        check(&message(NLMSG_ERROR, 6, -17), None);
        check(&message(RTM_NEWLINK, 7, 0), None);
        check(&message(NLMSG_ERROR, 7, 0)[..18], None);
        check(b"", None);
    }

    #[test]
    fn the_links_of_this_network_are_found() {
        let mut network = Network::open().unwrap();
        assert!(network.link("lo").unwrap() > 0);
        assert_eq!(network.link("nosuchlink").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!network.remove("nosuchlink").unwrap());
    }
}
