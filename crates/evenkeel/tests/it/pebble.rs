//! A real ACME server for one test: Let's Encrypt's Pebble, and before it a gate that sees every request and may answer one
//! in its place.
//!
//! Owns Pebble's process and ends it. Names lead to balancers through the Rig's own name server, as `NAME.acme.test`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::client;
use crate::rig::{PORT, Rig};

/// Where balancers listen for TLS, and Pebble looks for proofs over TLS.
pub const TLS_PORT: u16 = 8443;
/// The domain that balancers' names stand under.
pub const DOMAIN: &str = "acme.test";

/// What is answered in the server's place: by method and path, a whole HTTP answer.
type Rule = Box<dyn FnMut(&str) -> Option<String> + Send>;

/// What the gate has seen, and what it does.
#[derive(Default)]
struct Gate {
    rule: Option<Rule>,
    seen: Vec<(Instant, String)>,
}

/// A server for one Rig.
pub struct Pebble {
    child: Child,
    management: SocketAddr,
    gate: Arc<Mutex<Gate>>,
    _dir: tempfile::TempDir,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it is there; that it is missing is said.
pub fn is_there() -> bool {
    if std::env::split_paths(&std::env::var("PATH").unwrap_or_default()).any(|dir| dir.join("pebble").is_file()) {
        return true;
    }
    assert!(std::env::var("EVENKEEL_ACME").is_err(), "EVENKEEL_ACME=must, and `pebble` is missing");
    eprintln!("SKIPPED: this needs `pebble` (Debian: pebble), Let's Encrypt's ACME server for tests");
    false
}

/// What a Pebble is to be like.
pub struct Settings {
    /// Seconds that its certificates hold.
    pub holds: u64,
    /// Percent of good nonces that it refuses.
    pub refuses_nonces: u8,
    /// Percent of proofs that it remembers from another time.
    pub remembers: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self { holds: 90 * 86_400, refuses_nonces: 5, remembers: 0 }
    }
}

/// A Rig that gets its certificates from a Pebble of its own.
pub fn start(settings: &Settings) -> (Rig, Pebble) {
    let mut pebble = None;
    let rig = Rig::start_after(|rig| {
        let (started, mut arguments) = Pebble::start(rig, settings);
        arguments.extend(["--dns-alias", DOMAIN, "--acme-contact", "mailto:ops@acme.test"].map(str::to_owned));
        pebble = Some(started);
        arguments
    });
    (rig, pebble.unwrap())
}

fn identity(ip: IpAddr) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![ip.to_string()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

impl Pebble {
    /// Starts one, and says how the daemon is told of it.
    fn start(rig: &Rig, settings: &Settings) -> (Self, Vec<String>) {
        let ip = rig.dns().ip();
        let (behind, management) = (SocketAddr::new(ip, 14_000), SocketAddr::new(ip, 15_000));
        // Outside of the data directory, in which no key may lie.
        let dir = tempfile::Builder::new().prefix("pebble-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (certificate, key) = identity(ip);
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let config = serde_json::json!({ "pebble": {
            "listenAddress": behind.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": file("server.pem", &certificate),
            "privateKey": file("server.key", &key),
            "httpPort": PORT,
            "tlsPort": TLS_PORT,
            "certificateValidityPeriod": settings.holds,
        }});
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("pebble")
            .arg("-config")
            .arg(file("config.json", &config.to_string()))
            .args(["-dnsserver", &rig.dns().to_string(), "-strict", "true"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", settings.refuses_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", settings.remembers.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let gate = Arc::new(Mutex::new(Gate::default()));
        let (directory, root) = open_gate(ip, behind, &gate);
        let root = file("gate.pem", &root).display().to_string();
        let pebble = Self { child, management, gate, _dir: dir };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(behind).is_err() {
            assert!(Instant::now() < until, "pebble does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let arguments = ["--acme-directory", &directory, "--acme-agree-tos", "--acme-root", &root];
        (pebble, arguments.map(str::to_owned).into())
    }

    /// From now on this is asked first what to answer, by method and path.
    pub fn answering(&self, rule: impl FnMut(&str) -> Option<String> + Send + 'static) {
        self.gate.lock().unwrap().rule = Some(Box::new(rule));
    }

    /// From now on the server answers alone.
    pub fn as_it_is(&self) {
        self.gate.lock().unwrap().rule = None;
    }

    /// When requests came whose method and path begin so.
    pub fn seen(&self, what: &str) -> Vec<Instant> {
        let gate = self.gate.lock().unwrap();
        gate.seen.iter().filter(|(_, seen)| seen.starts_with(what)).map(|(at, _)| *at).collect()
    }

    /// A client that believes nobody but this server's root.
    pub fn client(&self) -> Arc<ClientConfig> {
        let answer =
            exchange(self.management, b"GET /roots/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let text = String::from_utf8(answer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(text.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }
}

/// Stands before a server: its URL, and whom it is believed by.
fn open_gate(ip: IpAddr, behind: SocketAddr, gate: &Arc<Mutex<Gate>>) -> (String, String) {
    let (certificate, key) = identity(ip);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, gate) = (Arc::clone(&config), Arc::clone(&gate));
            // Whoever asks may hang up at any time: that is its affair.
            std::thread::spawn(move || pass(stream, &config, behind, &gate).ok());
        }
    });
    (format!("https://{at}/dir"), certificate)
}

fn pass(stream: TcpStream, config: &Arc<ServerConfig>, behind: SocketAddr, gate: &Mutex<Gate>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut block = [0; 4096];
    let head = loop {
        match tls.read(&mut block)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&block[..count]),
        }
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&request[..end]).into_owned();
        }
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while request.len() < head.len() + 4 + length.unwrap_or(0) {
        match tls.read(&mut block)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&block[..count]),
        }
    }
    let what = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    let instead = {
        let mut gate = gate.lock().unwrap();
        gate.seen.push((Instant::now(), what.clone()));
        gate.rule.as_mut().and_then(|rule| rule(&what))
    };
    let answer = match instead {
        Some(answer) => answer.into_bytes(),
        None => exchange(behind, &request)?,
    };
    tls.write_all(&answer)?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Asks in TLS, whoever answers, and reads to the end.
fn exchange(at: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let connection = ClientConnection::new(client(), ServerName::from(at.ip())).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect_timeout(&at, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(request)?;
    let mut answer = Vec::new();
    match tls.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

/// A whole answer that refuses, in ACME's words.
pub fn problem(status: &str, headers: &str, kind: &str, detail: &str) -> String {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"{detail}"}}"#);
    answer(status, &format!("Content-Type: application/problem+json\r\n{headers}"), &body)
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
