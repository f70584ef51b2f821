//! Certificates, a client and an instance that speak TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Certificate, TlsBack, TlsFront};
use evenkeel_proxy::road::RoadConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::rig::{Rig, address};

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate that signed itself, for these names.
#[derive(Clone)]
pub struct Made {
    pub der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Made {
    pub fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self { der: made.cert.der().clone(), key: made.signing_key.serialize_der() }
    }

    /// As ACME servers want it: with a critical extension that only they know (RFC 8737 §3).
    pub fn proof(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let key = rcgen::KeyPair::generate().unwrap();
        Self { der: params.self_signed(&key).unwrap().der().clone(), key: key.serialize_der() }
    }

    pub fn chain_pem(&self) -> Arc<str> {
        pem("CERTIFICATE", &self.der)
    }

    /// Its public key, as Routes have it.
    pub fn public_key(&self) -> Arc<str> {
        use rcgen::PublicKeyData as _;
        let key = rcgen::KeyPair::try_from(self.key.as_slice()).unwrap();
        base64::engine::general_purpose::STANDARD.encode(key.subject_public_key_info()).into()
    }

    /// The settings of a server that shows this certificate, and signs with the key of `signer`.
    pub fn server_with(&self, signer: &Self, version: &'static rustls::SupportedProtocolVersion) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(signer.key.clone()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(vec![self.der.clone()], key));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown))
    }

    /// The settings of a server that shows it.
    pub fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap()
    }

    pub fn certificate(&self) -> Certificate {
        Certificate { chain_pem: self.chain_pem(), key_pem: pem("PRIVATE KEY", &self.key) }
    }
}

fn pem(label: &str, der: &[u8]) -> Arc<str> {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").into()
}

pub fn front(certificates: &[&Made]) -> Option<TlsFront> {
    let certificates = certificates.iter().map(|made| made.certificate()).collect();
    Some(TlsFront { certificates, ..TlsFront::default() })
}

/// A road whose one listener speaks `protocol` with this certificate, and `behind` to instances.
pub fn rig(protocol: Protocol, behind: Protocol, made: &Made, targets: &[SocketAddr]) -> Rig {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
    let listener = &mut rig.routes.listeners[0];
    (listener.protocol, listener.instance_protocol) = (protocol, behind);
    listener.tls = front(&[made]);
    for at in targets {
        rig.add_target("a", *at);
    }
    rig.publish();
    rig
}

pub fn settings(trusted: &[&Made], versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    settings_by(rustls::crypto::aws_lc_rs::default_provider(), trusted, versions)
}

pub fn settings_by(
    provider: CryptoProvider,
    trusted: &[&Made],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for made in trusted {
        roots.add(made.der.clone()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub fn connect(to: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// One answer with a `Content-Length` or in chunks: its head and body.
pub fn read_answer(stream: &mut impl Read) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some((_, length)) = lower.split_once("content-length: ") {
        body.resize(length.lines().next().unwrap().parse().unwrap(), 0);
        reader.read_exact(&mut body)?;
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let at = body.len();
            body.resize(at + size + 2, 0);
            reader.read_exact(&mut body[at..])?;
            body.truncate(at + size);
            if size == 0 {
                break;
            }
        }
    }
    Ok((head, body))
}

pub fn get(stream: &mut (impl Read + Write), target: &str) -> std::io::Result<(String, Vec<u8>)> {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")?;
    stream.flush()?;
    read_answer(stream)
}

/// An instance that speaks HTTP inside TLS, by path; any other bytes it sends back, with their end.
pub struct TlsOrigin {
    pub at: SocketAddr,
    pub handshakes: Arc<AtomicU64>,
    pub names: Arc<Mutex<Vec<Option<String>>>>,
}

impl TlsOrigin {
    pub fn start(made: &Made, mirror: bool) -> Self {
        Self::start_on(address(), made, mirror)
    }

    pub fn start_on(ip: IpAddr, made: &Made, mirror: bool) -> Self {
        Self::start_with(ip, made.server(), mirror)
    }

    pub fn start_with(ip: IpAddr, config: ServerConfig, mirror: bool) -> Self {
        let config = Arc::new(config);
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let origin = Self { at: listener.local_addr().unwrap(), handshakes: Arc::default(), names: Arc::default() };
        let (handshakes, names) = (Arc::clone(&origin.handshakes), Arc::clone(&origin.names));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, handshakes, names) = (Arc::clone(&config), Arc::clone(&handshakes), Arc::clone(&names));
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    while tls.conn.is_handshaking() {
                        if tls.conn.complete_io(&mut tls.sock).is_err() {
                            return;
                        }
                    }
                    handshakes.fetch_add(1, Ordering::SeqCst);
                    names.lock().unwrap().push(tls.conn.server_name().map(str::to_owned));
                    let _ = if mirror { reflect(&mut tls) } else { serve(&mut tls) };
                });
            }
        });
        origin
    }
}

fn reflect(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut all = Vec::new();
    // An end without `close_notify` is an error here, and then nothing is sent back.
    tls.read_to_end(&mut all)?;
    tls.write_all(&all)?;
    end(tls)
}

fn end(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    tls.conn.send_close_notify();
    tls.flush()?;
    tls.sock.shutdown(Shutdown::Write)
}

fn serve(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if tls.read(&mut byte)? == 0 {
                return end(tls);
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.to_ascii_lowercase();
        let length =
            length.split_once("content-length: ").map_or(0, |(_, l)| l.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        tls.read_exact(&mut body)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        match path.as_str() {
            "/echo" => {
                write!(tls, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                tls.write_all(&body)?;
            }
            "/until-close" => {
                tls.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")?;
                return end(tls);
            }
            "/cut" => {
                tls.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")?;
                tls.flush()?;
                return tls.sock.shutdown(Shutdown::Write);
            }
            _ => write!(tls, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len())?,
        }
        tls.flush()?;
    }
}

/// The instance's settings for verification by this authority.
pub fn believes(made: &Made, name: Option<&str>) -> Option<TlsBack> {
    Some(TlsBack { ca_pem: Some(made.chain_pem()), name: name.map(str::to_owned), ..TlsBack::default() })
}
