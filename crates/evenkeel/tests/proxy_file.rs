//! `evenkeel proxy FILE.toml`, through the library's front door: real sockets, real signals.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel::cli::proxy::{Args, Proxy, run};
use evenkeel::config::proxy_file;
use evenkeel_core::health::Health;
use rustix::process::{Signal, getpid, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// Free now; nobody else in this test takes it.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An application that answers every request with its name, until it is killed.
struct Application {
    address: SocketAddr,
    listener: TcpListener,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Application {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (accepting, known) = (listener.try_clone().unwrap(), Arc::clone(&clients));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                known.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || answer(stream, name));
            }
        });
        Self { address, listener, clients }
    }

    /// As a killed process leaves its sockets: nobody listens, connections are closed.
    fn kill(&self) {
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap();
        for client in self.clients.lock().unwrap().drain(..) {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        let mut any = false;
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            any = true;
        }
        if !any {
            return;
        }
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    }
}

fn file(listeners: &[u16], targets: &[SocketAddr]) -> String {
    let mut text = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n".to_owned();
    text.push_str("health_check = { target = \"HTTP:1/ping\", interval = 5, timeout = 2 }\n");
    for port in listeners {
        text.push_str(&format!("[[balancer.listener]]\nport = {port}\n"));
    }
    for target in targets {
        text.push_str(&format!("[[balancer.target]]\naddress = \"{target}\"\n"));
    }
    text
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The status line and body of one request; empty when nobody listens.
fn get(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return String::new() };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_file_is_driven_by_reloaded_and_drained() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let said = |text: &str| SAID.lock().unwrap().iter().any(|line| line.contains(text));
    let (first, second) = (Application::start("first").address, Application::start("second").address);
    let port = free_port();
    let parse = |targets: &[SocketAddr], generation| proxy_file::parse(&file(&[port], targets), generation).unwrap();
    let say = |line: &str| SAID.lock().unwrap().push(line.to_owned());
    let mut proxy = Proxy::start(parse(&[first], 1), 1, Duration::ZERO, say).unwrap();
    assert!(said(&format!("web listens on http://127.0.0.1:{port}")));
    wait_until("the first application serves", || get(port).ends_with("first").then_some(()));
    assert!(said(&format!("web {first}: in service, was initial: passed a check")));

    proxy.reload(parse(&[second], 2));
    wait_until("the second application serves", || get(port).ends_with("second").then_some(()));
    // The first one drains for no time at all, and is then let go of.
    assert!(proxy.swept_at().is_some());
    proxy.sweep();
    assert_eq!((proxy.swept_at(), proxy.generation()), (None, 3));
    let serving = |proxy: &Proxy| {
        let verdicts = proxy.prober().verdicts();
        (verdicts.len() == 1 && verdicts[0].1.health == Health::InService).then_some(())
    };
    wait_until("only the second is checked", || serving(&proxy));

    let other = free_port();
    proxy.reload(proxy_file::parse(&file(&[other], &[second]), 4).unwrap());
    assert!(said(&format!("web no longer listens on http://127.0.0.1:{port}")));
    wait_until("the old port is let go", || (!listens(port)).then_some(()));
    wait_until("the new port serves", || get(other).ends_with("second").then_some(()));
    proxy.stop();
}

#[test]
fn a_dead_application_costs_no_request_and_is_out_within_a_second() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let said = |text: &str| SAID.lock().unwrap().iter().any(|line| line.contains(text));
    let (one, two, port) = (Application::start("one"), Application::start("two"), free_port());
    let text = file(&[port], &[one.address, two.address]).replace("interval = 5", "interval = 300, unhealthy = 10");
    let say = |line: &str| SAID.lock().unwrap().push(line.to_owned());
    let proxy = Proxy::start(proxy_file::parse(&text, 1).unwrap(), 1, Duration::ZERO, say).unwrap();
    for app in [&one, &two] {
        wait_until("both serve", || said(&format!("web {}: in service", app.address)).then_some(()));
    }
    one.kill();
    let died = Instant::now();
    let out = format!("web {}: failing, was in service: connection refused", one.address);
    while !said(&out) {
        let answer = get(port);
        assert!(answer.ends_with("two") || answer.ends_with("one"), "a request was lost: {answer:?}");
        assert!(died.elapsed() < PATIENCE, "never taken out: {:?}", SAID.lock().unwrap());
    }
    assert!(died.elapsed() < Duration::from_secs(1), "taken out after {:?}", died.elapsed());
    proxy.stop();
}

#[test]
fn a_port_that_is_taken_stops_the_start_and_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let file = proxy_file::parse(&file(&[port], &[]), 1).unwrap();
    let error = Proxy::start(file, 1, Duration::ZERO, |_| ()).err().expect("a taken port").to_string();
    assert!(error.starts_with(&format!("failed to listen on 127.0.0.1:{port} for `web`: ")), "{error}");
}

#[test]
fn check_only_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let args = Args { file: path.clone(), check: true, threads: None, drain: 0, take_over: false };
    let error = format!("{:#}", run(args.clone()).unwrap_err());
    assert!(error.contains("proxy.toml: No such file"), "{error}");
    std::fs::write(&path, format!("threads = 1000\n{}", file(&[free_port()], &[]))).unwrap();
    let error = format!("{:#}", run(args.clone()).unwrap_err());
    assert!(error.ends_with("proxy.toml: line 1: `threads` is 1000; it must be from 1 to 256"), "{error}");
    std::fs::write(&path, file(&[free_port()], &[])).unwrap();
    run(args).unwrap();
}

#[test]
fn signals_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("proxy.toml");
    let (one, two) = (free_port(), free_port());
    std::fs::write(&path, file(&[one], &[])).unwrap();
    let args = Args { file: path.clone(), check: false, threads: Some(1), drain: 0, take_over: false };
    let running = std::thread::spawn(move || run(args));
    wait_until("the first listener", || listens(one).then_some(()));

    std::fs::write(&path, file(&[one, two], &[])).unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    wait_until("the second listener", || listens(two).then_some(()));

    // Without a signal: written in place, and put in its place as editors do; a bad one changes nothing.
    let three = free_port();
    std::fs::write(&path, file(&[one, two, three], &[])).unwrap();
    wait_until("the third listener", || listens(three).then_some(()));
    std::fs::write(&path, "[[balancer]]\nname = 1").unwrap();
    let beside = folder.path().join("proxy.toml.new");
    std::fs::write(&beside, file(&[one, two], &[])).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    wait_until("the third listener is gone", || (!listens(three)).then_some(()));

    std::fs::write(&path, "nonsense").unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    std::fs::write(&path, "nonsense = 1").unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    assert!(listens(one) && listens(two) && !running.is_finished(), "a bad file changes nothing");

    kill_process(getpid(), Signal::TERM).unwrap();
    running.join().unwrap().unwrap();
    assert!(!listens(one) && !listens(two));
}

type Certificate = rustls::pki_types::CertificateDer<'static>;

/// A connection to a listener that shows exactly this certificate, once it is used.
fn secure(port: u16, shown: &Certificate) -> Option<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(shown.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
    let conn = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(rustls::StreamOwned::new(conn, stream))
}

/// One answer from there.
fn get_secure(port: u16, shown: &Certificate) -> String {
    let Some(mut tls) = secure(port, shown) else { return String::new() };
    let mut answer = String::new();
    let _ = tls.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    let _ = tls.read_to_string(&mut answer);
    answer
}

/// Writes a new certificate and its key, one after the other, and says what is to be shown from then on.
fn renew(folder: &std::path::Path) -> Certificate {
    use base64::Engine;
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let write = |name: &str, label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let text = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        std::fs::write(folder.join(name), text).unwrap();
    };
    write("web.pem", "CERTIFICATE", made.cert.der());
    write("web.key", "PRIVATE KEY", &made.signing_key.serialize_der());
    made.cert.der().clone()
}

/// A file whose one listener shows what [`renew`] wrote.
fn secure_file(port: u16, application: SocketAddr) -> String {
    let secure =
        format!("port = {port}\nprotocol = \"https\"\ncertificates = [{{ chain = \"web.pem\", key = \"web.key\" }}]\n");
    file(&[port], &[application]).replace(&format!("port = {port}\n"), &secure)
}

#[test]
fn a_new_certificate_is_taken_up_without_a_signal_and_who_is_connected_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let (application, port) = (Application::start("app").address, free_port());
    std::fs::write(&path, secure_file(port, application)).unwrap();
    let first = renew(folder.path());
    // A process of its own: signals to this one end whoever runs in it.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("proxy").arg(&path).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut proxy = command.spawn().unwrap();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let (lines, hears) = (BufReader::new(proxy.stderr.take().unwrap()).lines(), Arc::clone(&said));
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| hears.lock().unwrap().push(line)));
    wait_until("it serves", || get_secure(port, &first).ends_with("app").then_some(()));
    let mut held = secure(port, &first).unwrap();
    let mut ask = || {
        held.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"app") {
            let mut part = [0; 1024];
            let count = held.read(&mut part).unwrap();
            assert_ne!(count, 0, "closed after {}", answer.escape_ascii());
            answer.extend_from_slice(&part[..count]);
        }
    };
    ask();
    for _ in 0..3 {
        let next = renew(folder.path());
        wait_until("it shows the new one", || get_secure(port, &next).ends_with("app").then_some(()));
        assert_eq!(get_secure(port, &first), "", "the old one is shown no more");
        // The same connection, from before all of them.
        ask();
    }
    let named = || said.lock().unwrap().iter().any(|line| line.contains(&format!("web: certificates of port {port}")));
    wait_until("it says what changed", || named().then_some(()));
    proxy.kill().unwrap();
    proxy.wait().unwrap();
}

#[test]
fn a_reload_shows_the_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let (application, port) = (Application::start("app").address, free_port());
    std::fs::write(&path, secure_file(port, application)).unwrap();
    let first = renew(folder.path());
    let args = Args { file: path.clone(), check: true, threads: None, drain: 0, take_over: false };
    run(args).unwrap();
    let mut proxy = Proxy::start(proxy_file::read(&path, 1).unwrap(), 1, Duration::ZERO, |_| ()).unwrap();
    wait_until("it serves", || get_secure(port, &first).ends_with("app").then_some(()));
    let second = renew(folder.path());
    proxy.reload(proxy_file::read(&path, 2).unwrap());
    wait_until("it shows the new one", || get_secure(port, &second).ends_with("app").then_some(()));
    assert_eq!(get_secure(port, &first), "");
    std::fs::remove_file(folder.path().join("web.key")).unwrap();
    let error = proxy_file::read(&path, 3).unwrap_err().to_string();
    assert!(error.contains("web.key` cannot be read"), "{error}");
    proxy.stop();
}
