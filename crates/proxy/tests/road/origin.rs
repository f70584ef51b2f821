//! Small real instances: a thread a connection, behaviour by path.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// An instance inside the test's process.
pub struct Origin {
    pub address: SocketAddr,
    state: Arc<State>,
    listener: TcpListener,
}

#[derive(Default)]
struct State {
    name: String,
    hits: AtomicU64,
    connections: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Origin {
    pub fn start(ip: IpAddr, port: u16) -> Self {
        let listener = TcpListener::bind((ip, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { name: address.to_string(), ..State::default() });
        let (accepting, shared) = (listener.try_clone().unwrap(), Arc::clone(&state));
        thread::spawn(move || serve(&accepting, &shared));
        Self { address, state, listener }
    }

    pub fn hits(&self) -> u64 {
        self.state.hits.load(Ordering::SeqCst)
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.state.streams.lock().unwrap().len()
    }

    /// Refuses connections from now on, and closes those it has.
    pub fn stop(&self) {
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).ok();
        for stream in self.state.streams.lock().unwrap().iter() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Closes the connections it has; new ones are taken.
    pub fn hang_up(&self) {
        for stream in self.state.streams.lock().unwrap().iter() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        stream.set_nodelay(true).ok();
        state.connections.fetch_add(1, Ordering::SeqCst);
        let own = stream.try_clone().unwrap();
        let port = own.peer_addr().ok();
        state.streams.lock().unwrap().push(own);
        let state = Arc::clone(state);
        thread::spawn(move || {
            let _ = talk(stream, &state);
            state.streams.lock().unwrap().retain(|s| s.peer_addr().ok() != port && s.peer_addr().is_ok());
        });
    }
}

fn talk(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let first = head.lines().next().unwrap_or_default().to_owned();
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number: u64 = query.parse().unwrap_or(0);
        if path == "/early" {
            // Answers before it has read the body, and goes on reading.
            state.hits.fetch_add(1, Ordering::SeqCst);
            write!(writer, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            std::io::copy(&mut reader, &mut std::io::sink())?;
            return Ok(());
        }
        if path == "/no-read" {
            // Leaves the body unread for so many milliseconds.
            thread::sleep(Duration::from_millis(number));
        }
        let body = read_body(&head, &mut reader)?;
        state.hits.fetch_add(1, Ordering::SeqCst);
        match path {
            "/echo" | "/no-read" => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                writer.write_all(&body)?;
            }
            "/length" => answer(&mut writer, method, body.len().to_string().as_bytes())?,
            "/big" => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {number}\r\n\r\n")?;
                let block = vec![b'x'; 64 * 1024];
                let mut left = number as usize;
                while left > 0 {
                    let n = left.min(block.len());
                    writer.write_all(&block[..n])?;
                    left -= n;
                }
            }
            "/chunked" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
                writer.write_all(b"5;x=y\r\ndefgh\r\n0\r\nX-Trailer: 1\r\n\r\n")?;
            }
            "/until-close" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")?;
                return Ok(());
            }
            "/slow" => {
                thread::sleep(Duration::from_millis(number));
                answer(&mut writer, method, state.name.as_bytes())?;
            }
            "/head" => answer(&mut writer, method, head.as_bytes())?,
            "/close" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
                return Ok(());
            }
            "/hang-up" => return Ok(()),
            "/truncated" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")?;
                return Ok(());
            }
            "/truncated-chunk" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly")?;
                return Ok(());
            }
            "/garbage" => writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello")?,
            "/two" => writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")?,
            "/interim" => {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")?;
                answer(&mut writer, method, b"final")?;
            }
            "/204" => writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?,
            "/304" => writer.write_all(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n")?,
            "/500" => writer.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")?,
            // Begins a session of the application's.
            "/login" => writer.write_all(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: SID=1; Path=/a_b; HttpOnly\r\nContent-Length: 2\r\n\r\nin",
            )?,
            "/drip" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")?;
                for byte in b"abc" {
                    thread::sleep(Duration::from_millis(number));
                    writer.write_all(&[*byte])?;
                }
            }
            _ => answer(&mut writer, method, state.name.as_bytes())?,
        }
    }
}

fn answer(writer: &mut TcpStream, method: &str, body: &[u8]) -> std::io::Result<()> {
    let mut out = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    if method != "HEAD" {
        out.extend_from_slice(body);
    }
    writer.write_all(&out)
}

fn read_body(head: &str, reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let field = |name: &str| {
        let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_ascii_lowercase())
    };
    let mut body = Vec::new();
    if let Some(length) = field("content-length") {
        body.resize(length.parse().unwrap_or(0), 0);
        reader.read_exact(&mut body)?;
    } else if field("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::ErrorKind::InvalidData)?;
            if size == 0 {
                let mut line = String::from("any");
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line)?;
                }
                break;
            }
            let at = body.len();
            body.resize(at + size, 0);
            reader.read_exact(&mut body[at..])?;
            reader.read_line(&mut String::new())?;
        }
    }
    Ok(body)
}

/// An instance that is a process of its own, so that it can be killed as one.
pub struct ProcessOrigin {
    pub address: SocketAddr,
    child: Child,
}

impl ProcessOrigin {
    pub fn start(ip: IpAddr) -> Self {
        let mut child = again("origin::instance_process")
            .env("ROAD_TEST_ORIGIN", ip.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().split_once("listening=")?.1.parse().ok()).unwrap();
        thread::spawn(move || lines.for_each(drop));
        Self { address, child }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for ProcessOrigin {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This test binary again, running one of its ignored tests as a helper process.
pub fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).stderr(Stdio::null());
    command
}

/// Not a test: the body of [`ProcessOrigin`].
#[test]
#[ignore = "run by other tests as a process of its own"]
fn instance_process() {
    let Ok(ip) = std::env::var("ROAD_TEST_ORIGIN") else { return };
    let origin = Origin::start(ip.parse().unwrap(), 0);
    println!("\nlistening={}", origin.address);
    // Lives as long as the test that started it.
    let parent = rustix::process::getppid();
    while rustix::process::getppid() == parent {
        thread::park_timeout(Duration::from_millis(200));
    }
}
