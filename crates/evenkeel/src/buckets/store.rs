//! A store that speaks S3's protocol: one PUT a connection, path-style, signed.
//!
//! Owns its address and the exchange. Must never follow a redirect or read more of an answer than says what became of it:
//! whoever answers may be anybody.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use evenkeel_aws::Request;
use evenkeel_aws::Time;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{BucketError, BucketKeys};
use crate::authorities;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long all of an exchange may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are looked at.
const ANSWER_LIMIT: usize = 16 * 1024;
/// What S3 leaves unencoded in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// Where a store is, and which of its buckets is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Store {
    secure: bool,
    host: String,
    port: u16,
    /// What stands before the key: a bucket's name there, and perhaps more.
    base: String,
}

impl FromStr for Store {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("a store must be at http:// or https://".into()),
        };
        let (authority, base) = rest.split_once('/').unwrap_or((rest, ""));
        let base = base.trim_end_matches('/');
        let part = |part: &str| !matches!(part, "" | "." | "..");
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        if base.is_empty() || !base.bytes().all(fits) || !base.split('/').all(part) {
            return Err("a store's address must end in a bucket's name, such as http://HOST:9000/BUCKET".into());
        }
        let uri = authority.parse::<hyper::http::uri::Authority>().ok().filter(|_| !authority.contains('@'));
        let uri = uri.ok_or_else(|| format!("`{authority}` is no host"))?;
        let host = uri.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if host.is_empty() || (uri.as_str() != uri.host() && uri.port_u16().is_none()) {
            return Err(format!("`{authority}` is no host"));
        }
        Ok(Self { secure, host, port, base: base.to_owned() })
    }
}

impl Store {
    /// Puts an object there.
    pub(super) fn put(
        &self,
        bucket: &str,
        key: &str,
        body: Vec<u8>,
        keys: Option<&BucketKeys>,
        now: Time,
    ) -> Result<(), BucketError> {
        let request = self.request(key, body, keys, now);
        let at = self.authority();
        let answer = self.exchange(&request).map_err(|error| BucketError::Unreached {
            bucket: bucket.to_owned(),
            at: at.clone(),
            error,
        })?;
        let (status, said) = read(&answer);
        match status {
            200..=299 => Ok(()),
            _ => Err(BucketError::Refused { bucket: bucket.to_owned(), at, status, said }),
        }
    }

    /// Host and port, as clients write them.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.secure, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    fn request(&self, key: &str, body: Vec<u8>, keys: Option<&BucketKeys>, now: Time) -> Request {
        let path = format!("/{}/{key}", self.base);
        let hash = digest::digest(&digest::SHA256, &body);
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut request = Request {
            method: "PUT".into(),
            // S3 signs the path as it is encoded once, all other services as it is encoded twice: signing the plain one
            // here comes to the same.
            target: path.clone(),
            headers: vec![
                ("Host".into(), self.authority().into_bytes()),
                ("Content-Type".into(), b"text/plain".to_vec()),
                ("X-Amz-Content-Sha256".into(), hash.into_bytes()),
            ],
            body,
        };
        if let Some(keys) = keys {
            evenkeel_aws::sigv4::sign(&mut request, &keys.credentials, &keys.region, "s3", now);
        }
        request.target = utf8_percent_encode(&path, PATH).to_string();
        request
    }

    /// Sends, and gives back the beginning of the answer.
    fn exchange(&self, request: &Request) -> io::Result<Vec<u8>> {
        let until = Instant::now() + PATIENCE;
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) if self.secure => {
                    let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                    let client = ClientConnection::new(settings()?, name).map_err(io::Error::other)?;
                    let mut stream = StreamOwned::new(client, Timed { stream, until });
                    return converse(&mut stream, request);
                }
                Ok(stream) => return converse(&mut Timed { stream, until }, request),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// Whom a store is believed by, read anew each time: it is once in minutes, and they change.
fn settings() -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(authorities::of_the_system()?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A connection each of whose waits ends with the exchange's time.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn converse(stream: &mut (impl Read + Write), request: &Request) -> io::Result<Vec<u8>> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body.len()).as_bytes());
    // Who says no may do so before everything is sent, and close: then it is the answer that counts.
    let sent = stream.write_all(&head).and_then(|()| stream.write_all(&request.body)).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    while answer.len() < ANSWER_LIMIT {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&block[..count]),
            // A store that closes without a last word has said what it had to say.
            Err(_) if read(&answer).0 != 0 => break,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        }
        // A good answer needs no reading to its end.
        if matches!(read(&answer).0, 200..=299) {
            break;
        }
    }
    if read(&answer).0 == 0 {
        return Err(sent.err().unwrap_or_else(|| io::Error::other("it said nothing that is HTTP")));
    }
    Ok(answer)
}

/// The status of an answer (0 where there is none), and the code of S3's error in it.
fn read(answer: &[u8]) -> (u16, String) {
    let text = String::from_utf8_lossy(answer);
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).unwrap_or(0);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let said = code.unwrap_or_default().chars().filter(|c| c.is_ascii_alphanumeric()).take(64).collect();
    (status, said)
}
