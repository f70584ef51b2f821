//! As much of a ClientHello (RFC 8446 §4.1.2) as tells whether an ACME server asks a challenge in it.
//!
//! Owns that one look, which is only taken while a challenge is pending. Must never judge a handshake: the library does, and
//! gets every byte that was looked at.

use evenkeel_core::routes::CHALLENGE_PROTOCOL;

/// What the first bytes of a client are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It cannot be told yet.
    More,
    /// A client that speaks nothing but the challenge's protocol, and asks for this name, in lower case.
    Asks(String),
    /// Anything else.
    Other,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const HOST_NAME: u8 = 0;
/// Bytes of a record's content (RFC 8446 §5.1).
const RECORD_LIMIT: usize = 16 * 1024;

/// Looks at a client's first bytes, from the first one on. A hello that is spread over several records is none of an ACME
/// server's.
pub(crate) fn listen(bytes: &[u8]) -> Heard {
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE) {
        return Heard::Other;
    }
    let Some((head, rest)) = bytes.split_at_checked(5) else { return Heard::More };
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    if length > RECORD_LIMIT {
        return Heard::Other;
    }
    match rest.get(..length) {
        None => Heard::More,
        Some(record) => asks(record).map_or(Heard::Other, Heard::Asks),
    }
}

/// The name that is asked for in a challenge's hello; `None` where it is another one, or none.
fn asks(record: &[u8]) -> Option<String> {
    let mut hello = Reader(record);
    if hello.byte()? != CLIENT_HELLO {
        return None;
    }
    let mut hello = Reader(hello.list(3)?);
    // Version, random.
    hello.take(2 + 32)?;
    // Session id, suites, compression.
    for width in [1, 2, 1] {
        hello.list(width)?;
    }
    let mut extensions = Reader(hello.list(2)?);
    let (mut name, mut speaks) = (None, false);
    while !extensions.0.is_empty() {
        let (kind, content) = (extensions.short()?, extensions.list(2)?);
        match kind {
            SERVER_NAME => {
                let mut list = Reader(Reader(content).list(2)?);
                let is_host = list.byte()? == HOST_NAME;
                let host = list.list(2)?;
                name = std::str::from_utf8(host).ok().filter(|_| is_host && list.0.is_empty());
            }
            ALPN => {
                let mut list = Reader(Reader(content).list(2)?);
                speaks = list.list(1)? == CHALLENGE_PROTOCOL && list.0.is_empty();
            }
            _ => {}
        }
    }
    name.filter(|_| speaks).map(str::to_ascii_lowercase)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Bytes whose number stands before them, in so many bytes.
    fn list(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.take(width)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection};

    use super::*;
    use crate::tls::back::trust_everyone;
    use crate::tls::provider;

    /// What the library says first.
    fn hello(name: &str, protocols: &[&[u8]]) -> Vec<u8> {
        let verifier: Arc<dyn ServerCertVerifier> = trust_everyone();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn only_who_speaks_nothing_else_is_asking() {
        let check = |name: &str, protocols: &[&[u8]], wanted: Heard| {
            let bytes = hello(name, protocols);
            assert_eq!(listen(&bytes), wanted, "{name}");
            for cut in 0..bytes.len() {
                assert_eq!(listen(&bytes[..cut]), Heard::More, "{cut}");
            }
        };
        check("a.example", &[CHALLENGE_PROTOCOL], Heard::Asks("a.example".into()));
        check("A.Example", &[CHALLENGE_PROTOCOL], Heard::Asks("a.example".into()));
        check("a.example", &[CHALLENGE_PROTOCOL, b"http/1.1"], Heard::Other);
        check("a.example", &[b"h2"], Heard::Other);
        check("a.example", &[], Heard::Other);
        // An address is not asked for by name.
        check("127.0.0.1", &[CHALLENGE_PROTOCOL], Heard::Other);
        assert_eq!(listen(b"GET /"), Heard::Other);
        assert_eq!(listen(&[22, 3, 1, 0xff, 0xff]), Heard::Other);
        assert_eq!(listen(&[22, 3, 1, 0, 0]), Heard::Other);
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_says_panics(bytes: Vec<u8>, at: u16, byte: u8) {
            listen(&bytes);
            let mut spoiled = hello("a.example", &[CHALLENGE_PROTOCOL]);
            let at = usize::from(at) % spoiled.len();
            spoiled[at] = byte;
            listen(&spoiled);
            listen(&[&[22, 3, 1, (bytes.len() >> 8) as u8, bytes.len() as u8], bytes.as_slice()].concat());
        }
    }
}
