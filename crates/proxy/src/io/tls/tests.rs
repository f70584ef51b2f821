//! A session over a socket pair, in pieces of any size, with bytes that are spoiled on the way.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use evenkeel_core::routes::{Certificate, TlsBack, TlsFront};
use proptest::prelude::*;
use rustls::{ClientConnection, ServerConnection};

use super::*;
use crate::tls::back::Back;
use crate::tls::front::Front;

fn front() -> &'static Front {
    static FRONT: OnceLock<Front> = OnceLock::new();
    FRONT.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let pem = |label: &str, der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").into()
        };
        let (chain_pem, key_pem) =
            (pem("CERTIFICATE", made.cert.der()), pem("PRIVATE KEY", &made.signing_key.serialize_der()));
        let certificates = vec![Certificate { chain_pem, key_pem }];
        Front::new(&TlsFront { certificates, ..TlsFront::default() }, &[b"http/1.1"], None, &[]).unwrap()
    })
}

fn client(version: &'static rustls::SupportedProtocolVersion) -> ClientConnection {
    let mut config = (*crate::tls::back::for_checks().unwrap()).clone();
    if version == &rustls::version::TLS12 {
        config = rustls::ClientConfig::builder_with_provider(Arc::clone(config.crypto_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(crate::tls::back::trust_everyone())
            .with_no_client_auth();
    }
    ClientConnection::new(Arc::new(config), "a.example".try_into().unwrap()).unwrap()
}

/// What is done to the bytes on the way: sizes of pieces, and places where a byte is spoiled.
#[derive(Debug)]
struct Way {
    pieces: Vec<usize>,
    spoiled: Vec<(usize, u8)>,
}

/// The library's buffered side and ours, until nothing moves. Ours sends back what it gets; returns what came back, and
/// whether ours saw the end in good order.
fn talk(mut ours: Tls, mut theirs: rustls::Connection, mut far: UnixStream, way: &Way) -> (Vec<u8>, bool) {
    let (mut scratch, mut back, mut ended) = (vec![0; 64 * 1024], Vec::new(), false);
    let (mut wire, mut at, mut piece) = (Vec::new(), 0, 0);
    let mut said = 0;
    for _ in 0..40_000 {
        let mut moved = false;
        if !theirs.is_handshaking() && said < 3 {
            theirs.writer().write_all(&[b'a' + said; 3000]).unwrap();
            if said == 1 {
                // Older versions have none.
                let _ = theirs.refresh_traffic_keys();
            }
            said += 1;
            if said == 3 {
                theirs.send_close_notify();
            }
        }
        while theirs.wants_write() {
            let from = wire.len();
            theirs.write_tls(&mut wire).unwrap();
            for (place, byte) in &way.spoiled {
                if (from..wire.len()).contains(place) {
                    wire[*place] = *byte;
                }
            }
        }
        if at < wire.len() {
            let size = way.pieces.get(piece % way.pieces.len().max(1)).copied().unwrap_or(4096).max(1);
            piece += 1;
            let end = wire.len().min(at + size);
            far.write_all(&wire[at..end]).unwrap();
            at = end;
            moved = true;
        }
        let mut readable = true;
        let got = if ours.is_handshaking() {
            match ours.shake(&mut scratch, false, &mut readable) {
                Shaking::Failed => Read::Broken,
                Shaking::Pending | Shaking::Done => Read::NotReady,
            }
        } else {
            ours.read(&mut scratch, false, &mut readable)
        };
        match got {
            Read::Bytes(count) => {
                moved = true;
                let bytes = scratch[..count].to_vec();
                let _ = ours.write(&bytes[..count / 2], &bytes[count / 2..]);
            }
            Read::End => {
                ended = true;
                ours.finish();
            }
            Read::NotReady => {}
            Read::Broken => break,
        }
        assert!(ours.held.len() <= 32 * 1024 && ours.unsent.len() <= UNSENT_LIMIT);
        let mut block = [0; 16 * 1024];
        match far.read(&mut block) {
            Ok(count) => {
                moved |= count > 0;
                let mut bytes = &block[..count];
                while !bytes.is_empty() && theirs.read_tls(&mut bytes).is_ok_and(|count| count > 0) {
                    if theirs.process_new_packets().is_err() {
                        break;
                    }
                    let mut plain = Vec::new();
                    let _ = theirs.reader().read_to_end(&mut plain);
                    back.extend(plain);
                }
            }
            Err(error) => assert!(error.kind() == ErrorKind::WouldBlock, "{error}"),
        }
        if !moved && (ended || at == wire.len() && !theirs.wants_write() && said == 3) {
            break;
        }
    }
    (back, ended)
}

fn pair() -> (OwnedFd, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near.into(), far)
}

fn as_server(version: &'static rustls::SupportedProtocolVersion, way: &Way) -> (Vec<u8>, bool) {
    let (near, far) = pair();
    let session = UnbufferedServerConnection::new(Arc::clone(&front().config)).unwrap();
    talk(Tls::server(near, session, None), client(version).into(), far, way)
}

fn as_client(way: &Way) -> (Vec<u8>, bool) {
    let (near, far) = pair();
    let session = Back::new(&TlsBack::default()).unwrap().session([127, 0, 0, 1].into(), false).unwrap();
    let theirs = ServerConnection::new(Arc::clone(&front().config)).unwrap();
    talk(Tls::client(near, session), theirs.into(), far, way)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_are_understood(pieces in proptest::collection::vec(1..3000usize, 1..20)) {
        let way = Way { pieces, spoiled: Vec::new() };
        let whole = [[b'a'; 3000], [b'b'; 3000], [b'c'; 3000]].concat();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            prop_assert!(as_server(version, &way) == (whole.clone(), true));
        }
        prop_assert!(as_client(&way) == (whole, true));
    }

    #[test]
    fn no_byte_spoiled_on_the_way_panics_or_passes(
        pieces in proptest::collection::vec(1..3000usize, 1..20),
        spoiled in proptest::collection::vec((0..2500usize, any::<u8>()), 1..4),
    ) {
        let way = Way { pieces, spoiled };
        let whole = [[b'a'; 3000], [b'b'; 3000], [b'c'; 3000]].concat();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            prop_assert!(whole.starts_with(&as_server(version, &way).0));
        }
        prop_assert!(whole.starts_with(&as_client(&way).0));
    }
}
