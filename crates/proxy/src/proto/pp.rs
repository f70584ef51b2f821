//! The PROXY protocol, versions 1 and 2: who a connection's client is, said before its first byte.
//!
//! Owns reading and writing that header. Must never believe more than it says, or guess where it is broken: such a
//! connection is closed. Whether a peer may send one at all is decided by who it is ([`crate::io`]).
//! Source: haproxy.org, "The PROXY protocol", versions 1 and 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use evenkeel_core::routes::ProxyProtocol;

/// Bytes a header of version 1 may have, CRLF included.
pub const V1_LIMIT: usize = 107;
/// Bytes a header of version 2 may have, its TLVs included.
pub const V2_LIMIT: usize = 536;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;

/// A connection as its first balancer saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who connected.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
}

/// What reading a header gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It is not complete yet.
    More,
    /// It is complete.
    Read {
        /// Bytes to take away.
        len: usize,
        /// What it says; `None` where the peer speaks for itself (`UNKNOWN`, LOCAL, UNSPEC, a UNIX socket).
        ends: Option<Ends>,
    },
    /// It is none, or broken: the connection must be closed.
    Broken,
}

/// Reads the header at the beginning of `bytes`, which may be given again with more at their end.
#[must_use]
pub fn read(bytes: &[u8]) -> Greeting {
    match bytes.first() {
        None => Greeting::More,
        Some(b'P') => read_v1(bytes),
        Some(b'\r') => read_v2(bytes),
        Some(_) => Greeting::Broken,
    }
}

fn read_v1(bytes: &[u8]) -> Greeting {
    let start = b"PROXY ";
    let known = bytes.len().min(start.len());
    if bytes[..known] != start[..known] {
        return Greeting::Broken;
    }
    let seen = &bytes[..bytes.len().min(V1_LIMIT)];
    // The first CR ends the line, and nothing but LF may follow it; an LF or NUL before it is broken.
    match seen.iter().position(|b| matches!(b, b'\r' | b'\n' | 0)) {
        None if bytes.len() >= V1_LIMIT => Greeting::Broken,
        None => Greeting::More,
        Some(at) if seen[at] != b'\r' => Greeting::Broken,
        Some(at) => match seen.get(at + 1) {
            None if bytes.len() >= V1_LIMIT => Greeting::Broken,
            None => Greeting::More,
            Some(b'\n') => line(&seen[..at]).map_or(Greeting::Broken, |ends| Greeting::Read { len: at + 2, ends }),
            Some(_) => Greeting::Broken,
        },
    }
}

/// A line without its CRLF; `None` when it is broken.
fn line(text: &[u8]) -> Option<Option<Ends>> {
    let text = std::str::from_utf8(text.strip_prefix(b"PROXY ")?).ok()?;
    // Whatever stands behind UNKNOWN is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let mut words = text.split(' ');
    let family = words.next()?;
    let address = |word: Option<&str>| -> Option<IpAddr> {
        match family {
            "TCP4" => Some(IpAddr::V4(word?.parse::<Ipv4Addr>().ok()?)),
            "TCP6" => Some(IpAddr::V6(word?.parse::<Ipv6Addr>().ok()?)),
            _ => None,
        }
    };
    let (from, to) = (address(words.next())?, address(words.next())?);
    let (from_port, to_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    Some(Some(Ends { source: SocketAddr::new(from, from_port), destination: SocketAddr::new(to, to_port) }))
}

/// Decimal, without sign or leading zeros, at most 65535.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn read_v2(bytes: &[u8]) -> Greeting {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Greeting::Broken;
    }
    let Some(fixed) = bytes.get(..V2_FIXED) else { return Greeting::More };
    let (command, family) = (fixed[12], fixed[13]);
    let len = V2_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > V2_LIMIT || !matches!(command, 0x20 | 0x21) {
        return Greeting::Broken;
    }
    // Bytes of addresses; a family beside a stream's is a mismatch on a TCP connection.
    let wanted = match family {
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        // LOCAL must be taken whatever the rest says.
        _ if command == 0x20 => 0,
        _ => return Greeting::Broken,
    };
    let Some(body) = bytes.get(V2_FIXED..len) else { return Greeting::More };
    if command == 0x20 {
        return Greeting::Read { len, ends: None };
    }
    if body.len() < wanted || !tlvs_are_whole(&body[wanted..], family) {
        return Greeting::Broken;
    }
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let ends = match family {
        0x11 => {
            let address = |at: usize| IpAddr::from([body[at], body[at + 1], body[at + 2], body[at + 3]]);
            Some((address(0), port(8), address(4), port(10)))
        }
        0x21 => {
            let address = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&body[at..at + 16]);
                IpAddr::from(octets)
            };
            Some((address(0), port(32), address(16), port(34)))
        }
        _ => None,
    };
    let ends = ends.map(|(from, from_port, to, to_port)| Ends {
        source: SocketAddr::new(from, from_port),
        destination: SocketAddr::new(to, to_port),
    });
    Greeting::Read { len, ends }
}

/// Whether what stands behind the addresses is a list of TLVs that ends where the header does. UNSPEC promises nothing.
fn tlvs_are_whole(mut bytes: &[u8], family: u8) -> bool {
    while family != 0 && !bytes.is_empty() {
        let Some(head) = bytes.get(..3) else { return false };
        let Some(rest) = bytes.get(3 + usize::from(u16::from_be_bytes([head[1], head[2]]))..) else { return false };
        bytes = rest;
    }
    true
}

/// Appends a header. Ends of two families say no more than that there is a client.
pub fn write(version: ProxyProtocol, ends: &Ends, out: &mut Vec<u8>) {
    let (from, to) = (ends.source.ip().to_canonical(), ends.destination.ip().to_canonical());
    let (from_port, to_port) = (ends.source.port(), ends.destination.port());
    match version {
        ProxyProtocol::V1 => {
            let text = match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => format!("PROXY TCP4 {from} {to} {from_port} {to_port}\r\n"),
                (IpAddr::V6(from), IpAddr::V6(to)) => format!("PROXY TCP6 {from} {to} {from_port} {to_port}\r\n"),
                _ => "PROXY UNKNOWN\r\n".to_owned(),
            };
            out.extend_from_slice(text.as_bytes());
        }
        ProxyProtocol::V2 => {
            out.extend_from_slice(SIGNATURE);
            match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    out.extend_from_slice(&[0x21, 0x11, 0, 12]);
                    out.extend_from_slice(&from.octets());
                    out.extend_from_slice(&to.octets());
                }
                (IpAddr::V6(from), IpAddr::V6(to)) => {
                    out.extend_from_slice(&[0x21, 0x21, 0, 36]);
                    out.extend_from_slice(&from.octets());
                    out.extend_from_slice(&to.octets());
                }
                _ => return out.extend_from_slice(&[0x21, 0x00, 0, 0]),
            }
            out.extend_from_slice(&from_port.to_be_bytes());
            out.extend_from_slice(&to_port.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(source: &str, destination: &str) -> Option<Ends> {
        Some(Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
    }

    /// What the whole text gives, having checked that no part of it gives anything but `More` or the same.
    fn whole(text: &[u8]) -> Greeting {
        let out = read(text);
        for len in 0..text.len() {
            let part = read(&text[..len]);
            assert!(part == Greeting::More || part == out, "{} of {}: {part:?}", len, text.escape_ascii());
        }
        out
    }

    #[test]
    fn lines_of_version_1() {
        let good = |text: &str, said: Option<Ends>| {
            assert_eq!(whole(text.as_bytes()), Greeting::Read { len: text.len(), ends: said }, "{text:?}");
        };
        good("PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n", ends("1.2.3.4:1", "5.6.7.8:65535"));
        good("PROXY TCP6 ::1 fd00::2 0 80\r\n", ends("[::1]:0", "[fd00::2]:80"));
        good("PROXY UNKNOWN\r\n", None);
        good("PROXY UNKNOWN whatever it is\r\n", None);
        let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert!(matches!(whole(longest.as_bytes()), Greeting::Read { ends: Some(_), .. }));
        let longest = format!("PROXY UNKNOWN {}\r\n", "a".repeat(V1_LIMIT - 16));
        assert_eq!(whole(longest.as_bytes()), Greeting::Read { len: V1_LIMIT, ends: None });
        for bad in [
            "GET / HTTP/1.1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
            "PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 host 5.6.7.8 1 2\r\n",
            "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY\r\n",
            "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n",
            &format!("PROXY UNKNOWN {}\r\n", "a".repeat(V1_LIMIT - 15)),
        ] {
            assert_eq!(whole(bad.as_bytes()), Greeting::Broken, "{bad:?}");
        }
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend_from_slice(&[command, family]);
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn headers_of_version_2() {
        let four = [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 80];
        let good = |text: Vec<u8>, said: Option<Ends>| {
            assert_eq!(whole(&text), Greeting::Read { len: text.len(), ends: said }, "{}", text.escape_ascii());
        };
        good(v2(0x21, 0x11, &four), ends("1.2.3.4:1", "5.6.7.8:80"));
        good(v2(0x21, 0x11, &[&four[..], &[4, 0, 2, 0, 0]].concat()), ends("1.2.3.4:1", "5.6.7.8:80"));
        good(v2(0x21, 0x31, &[0; 216]), None);
        good(v2(0x20, 0x00, &[]), None);
        good(v2(0x20, 0x11, &four), None);
        good(v2(0x20, 0xff, b"anything"), None);
        good(v2(0x21, 0x00, b"anything"), None);
        good(v2(0x21, 0x00, &[0; V2_LIMIT - V2_FIXED]), None);
        let six = [[0; 15].as_slice(), &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
        good(v2(0x21, 0x21, &six), ends("[::1]:1", "[::2]:2"));
        for bad in [
            v2(0x11, 0x11, &four),
            v2(0x2f, 0x11, &four),
            v2(0x22, 0x11, &four),
            v2(0x21, 0x12, &four),
            v2(0x21, 0x41, &four),
            v2(0x21, 0x11, &four[..11]),
            v2(0x21, 0x21, &four),
            v2(0x21, 0x31, &[0; 215]),
            v2(0x21, 0x11, &[&four[..], &[4, 0, 2, 0]].concat()),
            v2(0x21, 0x00, &[0; V2_LIMIT - V2_FIXED + 1]),
            b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0".to_vec(),
        ] {
            assert_eq!(whole(&bad), Greeting::Broken, "{}", bad.escape_ascii());
        }
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|n| Ipv4Addr::from_bits(n).into()),
            any::<u128>().prop_map(|n| IpAddr::from(Ipv6Addr::from_bits(n)).to_canonical())
        ]
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_parts_agree(text in prop::collection::vec(any::<u8>(), 0..80), v2_body in any::<bool>()) {
            let text = if v2_body { [&SIGNATURE[..], &text].concat() } else { [b"PROXY ", &text[..]].concat() };
            whole(&text);
        }

        #[test]
        fn what_is_written_reads_back(from in any_ip(), to in any_ip(), ports in any::<(u16, u16)>(), old in any::<bool>(), rest in prop::collection::vec(any::<u8>(), 0..20)) {
            let ends = Ends { source: SocketAddr::new(from, ports.0), destination: SocketAddr::new(to, ports.1) };
            let mut wire = Vec::new();
            write(if old { ProxyProtocol::V1 } else { ProxyProtocol::V2 }, &ends, &mut wire);
            let len = wire.len();
            wire.extend_from_slice(&rest);
            let said = (from.is_ipv4() == to.is_ipv4()).then_some(ends);
            prop_assert_eq!(read(&wire), Greeting::Read { len, ends: said });
        }
    }
}
