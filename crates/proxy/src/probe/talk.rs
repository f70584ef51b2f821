//! One check as a conversation: bytes in, bytes out, a verdict at the end. Without I/O, so that tests need no sockets.
//!
//! Owns what is said in each protocol. Must never wait or count time: the timeout is [`super::drive`]'s.
//! Next: [`super::answer`], which judges HTTP, and [`crate::tls::back`].

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use evenkeel_core::health::Cause;
use evenkeel_core::noun::{CheckProtocol, HealthTarget};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::answer::Answer;

/// The most a target may send in one check, in bytes: a TLS handshake with long certificate chains and a long head.
const RECEIVE_LIMIT: usize = 256 * 1024;

/// `Some` once the check has a result.
pub type Outcome = Option<Result<(), Cause>>;

/// A check under way.
pub struct Talk {
    mode: Mode,
    out: Vec<u8>,
    sent: usize,
    received: usize,
}

enum Mode {
    Tcp,
    Http { request: Vec<u8>, answer: Answer },
    Tls { tls: Box<ClientConnection>, then: Option<(Vec<u8>, Answer)> },
}

impl Talk {
    /// A check of `address`, which stands for `target` there (its port may differ).
    pub fn new(target: &HealthTarget, address: SocketAddr, settings: &Arc<ClientConfig>) -> Result<Self, Cause> {
        let ask = || (request(&target.path, address), Answer::default());
        let mode = match target.protocol {
            CheckProtocol::Tcp => Mode::Tcp,
            CheckProtocol::Http => {
                let (request, answer) = ask();
                Mode::Http { request, answer }
            }
            CheckProtocol::Ssl => Mode::Tls { tls: handshake(address, settings)?, then: None },
            CheckProtocol::Https => Mode::Tls { tls: handshake(address, settings)?, then: Some(ask()) },
        };
        Ok(Self { mode, out: Vec::new(), sent: 0, received: 0 })
    }

    /// The connection stands.
    pub fn connected(&mut self) -> Outcome {
        match &mut self.mode {
            Mode::Tcp => return Some(Ok(())),
            Mode::Http { request, .. } => self.out = std::mem::take(request),
            Mode::Tls { tls, .. } => write_out(tls, &mut self.out),
        }
        None
    }

    /// What is to be sent.
    pub fn pending(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// So many bytes of it were.
    pub fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.out.len());
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Bytes came.
    pub fn received(&mut self, bytes: &[u8]) -> Outcome {
        self.received += bytes.len();
        let outcome = match &mut self.mode {
            Mode::Tcp => return Some(Ok(())),
            Mode::Http { answer, .. } => answer.take(bytes),
            Mode::Tls { tls, then } => {
                let outcome = decrypt(tls, then, bytes);
                if outcome.is_some() {
                    tls.send_close_notify();
                }
                write_out(tls, &mut self.out);
                outcome
            }
        };
        if outcome.is_none() && self.received > RECEIVE_LIMIT {
            return Some(Err(Cause::TooLong { limit: RECEIVE_LIMIT as u32 }));
        }
        outcome
    }

    /// The target has nothing more to say.
    pub fn closed(&mut self) -> Result<(), Cause> {
        match &self.mode {
            Mode::Tcp => Ok(()),
            Mode::Http { .. } | Mode::Tls { .. } => Err(Cause::Closed),
        }
    }
}

/// What AWS's checker was seen to send; servers' logs and filters know it.
fn request(path: &str, address: SocketAddr) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nUser-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
    )
    .into_bytes()
}

fn handshake(address: SocketAddr, settings: &Arc<ClientConfig>) -> Result<Box<ClientConnection>, Cause> {
    let name = ServerName::IpAddress(address.ip().into());
    ClientConnection::new(Arc::clone(settings), name).map(Box::new).map_err(failed)
}

fn decrypt(tls: &mut ClientConnection, then: &mut Option<(Vec<u8>, Answer)>, mut bytes: &[u8]) -> Outcome {
    while !bytes.is_empty() {
        // From a slice this takes what rustls has room for; what it decrypts is read below before it takes more.
        match tls.read_tls(&mut bytes) {
            Ok(0) => return Some(Err(Cause::Closed)),
            Ok(_) => {}
            Err(error) => return Some(Err(Cause::Handshake { error: cut(&error.to_string()) })),
        }
        let state = match tls.process_new_packets() {
            Ok(state) => state,
            Err(error) => return Some(Err(failed(error))),
        };
        if tls.is_handshaking() {
            continue;
        }
        let Some((request, answer)) = then else { return Some(Ok(())) };
        if !request.is_empty() {
            let request = std::mem::take(request);
            if let Err(error) = tls.writer().write_all(&request) {
                return Some(Err(Cause::Handshake { error: cut(&error.to_string()) }));
            }
        }
        let mut left = state.plaintext_bytes_to_read();
        let mut plain = [0; 4096];
        while left > 0 {
            match tls.reader().read(&mut plain) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    left = left.saturating_sub(count);
                    if let Some(outcome) = answer.take(&plain[..count]) {
                        return Some(outcome);
                    }
                }
            }
        }
    }
    None
}

fn write_out(tls: &mut ClientConnection, out: &mut Vec<u8>) {
    while tls.wants_write() {
        // A Vec takes everything; an error would show as an answer that never comes.
        if tls.write_tls(out).is_err() {
            break;
        }
    }
}

fn failed(error: rustls::Error) -> Cause {
    Cause::Handshake { error: cut(&error.to_string()) }
}

/// Some of TLS's errors quote the peer; a record must stay short.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tls::back::for_checks as settings;

    fn talk(target: &str, address: &str) -> Talk {
        Talk::new(&HealthTarget::parse(target).unwrap(), address.parse().unwrap(), &settings().unwrap()).unwrap()
    }

    #[test]
    fn http_says_exactly_what_awss_checker_says() {
        let check = |address: &str, host: &str| {
            let mut talk = talk("HTTP:80/ping?deep=1", address);
            assert_eq!(talk.connected(), None);
            let wanted = format!(
                "GET /ping?deep=1 HTTP/1.1\r\nhost: {host}\r\nUser-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
            );
            assert_eq!(String::from_utf8_lossy(talk.pending()), wanted);
        };
        check("10.1.2.3:8080", "10.1.2.3:8080");
        check("[fd00::1]:80", "[fd00::1]:80");
    }

    #[test]
    fn what_is_sent_in_pieces_is_sent_once() {
        let mut talk = talk("HTTP:80/", "127.0.0.1:80");
        talk.connected();
        let mut sent = Vec::new();
        while !talk.pending().is_empty() {
            let piece = talk.pending()[..talk.pending().len().min(7)].to_vec();
            talk.sent(piece.len());
            sent.extend(piece);
        }
        assert_eq!(sent, request("/", "127.0.0.1:80".parse().unwrap()));
    }

    #[test]
    fn tcp_asks_for_a_connection_only() {
        let mut talk = talk("TCP:80", "127.0.0.1:80");
        assert_eq!(talk.connected(), Some(Ok(())));
        assert!(talk.pending().is_empty());
    }

    proptest! {
        #[test]
        fn nothing_a_target_sends_panics(pieces: Vec<Vec<u8>>, record: bool) {
            for check in ["TCP:1", "HTTP:1/", "SSL:1", "HTTPS:1/"] {
                let mut talk = talk(check, "127.0.0.1:1");
                let mut outcome = talk.connected();
                for piece in &pieces {
                    // A plausible record's head lets the bytes get further.
                    let piece = if record { [&[22, 3, 3, 0, piece.len() as u8], piece.as_slice()].concat() } else { piece.clone() };
                    if outcome.is_none() {
                        outcome = talk.received(&piece);
                    }
                }
                if check != "TCP:1" {
                    prop_assert!(outcome != Some(Ok(())));
                    prop_assert!(talk.closed().is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_not_tls_fails_at_once_and_quotes_little() {
        let mut talk = talk("SSL:443", "127.0.0.1:443");
        assert_eq!(talk.connected(), None);
        assert_eq!(talk.pending()[0], 22, "a handshake record");
        let outcome = talk.received(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(matches!(outcome, Some(Err(Cause::Handshake { .. }))), "{outcome:?}");
        assert!(cut(&"x\n".repeat(500)).len() == 128);
    }
}
