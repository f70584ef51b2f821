//! One HTTP/1.1 exchange with the daemon over a connection of its own: what [`super::client`] needs and no more.
//!
//! Knows nothing of AWS. Must never send a request twice: only connecting is tried again. Speaks plain HTTP; follows no
//! redirect. Next: [`super::client`].

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use evenkeel_aws::Request;

/// Bound on a whole exchange.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Bound on the body of an answer, in bytes.
pub const MAX_BODY: usize = 64 << 20;
/// Bound on status line and headers together, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Connecting is tried this often, so that a daemon that is just restarting is not taken for a missing one.
const CONNECTS: u32 = 3;
const CONNECT_PAUSE: Duration = Duration::from_millis(150);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an exchange failed. What the system said is the source, not part of the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("no connection to {endpoint}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or its 30 seconds were over.
    #[error("the exchange with {endpoint} broke")]
    Broken {
        /// With whom.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// The answer is larger than 64 MiB, or its head than 64 KiB.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// What came back is not HTTP/1.
    #[error("the answer is not HTTP/1: {0}")]
    NotHttp(&'static str),
}

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The host without its port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Value of the `Host` header: without the port where it is HTTP's own.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<_> = (host, self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("`{text}` is no endpoint: {why}; write it like `http://127.0.0.1:7480`");
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(bad("the command line speaks plain http only"));
            }
            _ => return Err(bad("it does not begin with `http://`")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) || authority.contains(char::is_whitespace) {
            return Err(bad("only a host and a port may follow `http://`"));
        }
        let (host, port) = match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => {
                let port = authority[colon + 1..].parse().ok().filter(|port| *port > 0);
                (&authority[..colon], port.ok_or_else(|| bad("the port is not a number from 1 to 65535"))?)
            }
            _ => (authority, 80),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = match bare {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '[', ']']) && host.is_ascii(),
        };
        if !good {
            return Err(bad("the host is missing or malformed"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Sends a request that has its `Host`, and reads the whole answer: status and body.
///
/// # Errors
/// [`Error`]; within 30 seconds in any case.
pub fn exchange(endpoint: &Endpoint, request: &Request) -> Result<(u16, Vec<u8>), Error> {
    let deadline = Instant::now() + TIMEOUT;
    let stream =
        connect(endpoint, deadline).map_err(|source| Error::Connect { endpoint: endpoint.to_string(), source })?;
    let mut timed = Timed { stream, deadline };
    let broken = |source| match limit_in(&source) {
        Some(error) => error,
        None => Error::Broken { endpoint: endpoint.to_string(), source },
    };
    timed.write_all(&framed(request)).map_err(broken)?;
    read_answer(&mut BufReader::new(timed)).map_err(broken)
}

fn connect(endpoint: &Endpoint, deadline: Instant) -> io::Result<TcpStream> {
    let addresses = endpoint.addresses()?;
    let mut last = io::Error::from(ErrorKind::NotFound);
    for attempt in 0..CONNECTS {
        if attempt > 0 {
            std::thread::sleep(CONNECT_PAUSE);
        }
        for address in &addresses {
            match TcpStream::connect_timeout(address, CONNECT_TIMEOUT.min(left(deadline)?)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn framed(request: &Request) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body.len()).as_bytes());
    bytes.extend_from_slice(&request.body);
    bytes
}

/// A stream all of whose waits together end at one point in time.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(out_of_time()) } else { Ok(left) }
}

fn out_of_time() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no whole answer within 30 seconds")
}

fn told_as_timeout(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { out_of_time() } else { error }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer).map_err(told_as_timeout)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes).map_err(told_as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// [`Error::TooLarge`] and [`Error::NotHttp`] on their way through `io::Error`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Limit {
    #[error("too large")]
    TooLarge(usize),
    #[error("not http")]
    NotHttp(&'static str),
}

fn limit_in(error: &io::Error) -> Option<Error> {
    match error.get_ref()?.downcast_ref::<Limit>()? {
        Limit::TooLarge(bytes) => Some(Error::TooLarge(*bytes)),
        Limit::NotHttp(why) => Some(Error::NotHttp(why)),
    }
}

fn not_http(why: &'static str) -> io::Error {
    io::Error::other(Limit::NotHttp(why))
}

fn read_answer(from: &mut impl BufRead) -> io::Result<(u16, Vec<u8>)> {
    loop {
        let mut head_left = MAX_HEAD;
        let status_line = line(from, &mut head_left)?;
        let status = status_of(&status_line).ok_or_else(|| not_http("no status line"))?;
        let mut length = None;
        let mut chunked = false;
        loop {
            let header = line(from, &mut head_left)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').ok_or_else(|| not_http("a header without a colon"))?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let stated = value.parse::<usize>().map_err(|_| not_http("a malformed Content-Length"))?;
                if length.is_some_and(|other| other != stated) {
                    return Err(not_http("two different Content-Lengths"));
                }
                length = Some(stated);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(not_http("an unknown Transfer-Encoding"));
                }
                chunked = true;
            }
        }
        if (100..200).contains(&status) {
            continue;
        }
        let body = match (chunked, length) {
            (true, _) => read_chunks(from)?,
            (false, Some(length)) => read_exactly(from, length, Vec::new())?,
            (false, None) => {
                let mut body = Vec::new();
                from.take(MAX_BODY as u64 + 1).read_to_end(&mut body)?;
                if body.len() > MAX_BODY {
                    return Err(io::Error::other(Limit::TooLarge(MAX_BODY)));
                }
                body
            }
        };
        return Ok((status, body));
    }
}

fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
    let digits = rest.get(..3)?;
    let ended = rest.len() == 3 || rest.as_bytes()[3] == b' ';
    (ended && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size_line = line(from, &mut 1024)?;
        let size = size_line.split(';').next().unwrap_or_default().trim();
        let digits = (1..=8).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = usize::from_str_radix(size, 16).ok().filter(|_| digits);
        let size = size.ok_or_else(|| not_http("a malformed chunk size"))?;
        if size == 0 {
            let mut trailers_left = MAX_HEAD;
            while !line(from, &mut trailers_left)?.is_empty() {}
            return Ok(body);
        }
        body = read_exactly(from, size, body)?;
        if !line(from, &mut 2)?.is_empty() {
            return Err(not_http("a chunk longer than its size"));
        }
    }
}

/// Adds `length` bytes to `body`; memory grows with what arrives, not with what is promised.
fn read_exactly(from: &mut impl BufRead, length: usize, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    if body.len().saturating_add(length) > MAX_BODY {
        return Err(io::Error::other(Limit::TooLarge(MAX_BODY)));
    }
    let read = from.take(length as u64).read_to_end(&mut body)?;
    if read < length {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it ended in the midst of the answer"));
    }
    Ok(body)
}

/// One line without its end; takes its bytes off `left`.
fn line(from: &mut impl BufRead, left: &mut usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = from.take(*left as u64).read_until(b'\n', &mut bytes)?;
    *left -= read;
    if bytes.pop() != Some(b'\n') {
        return Err(if *left == 0 {
            io::Error::other(Limit::TooLarge(MAX_HEAD))
        } else {
            io::Error::new(ErrorKind::UnexpectedEof, "it ended before the answer")
        });
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| not_http("a head that is not text"))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
