//! The load over HTTP/2: some connections, on each so many streams that have one request in flight each.
//!
//! Owns how a proxy that does not speak it is told from one that fails: [`Failed::NotSpoken`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::count::{Histogram, Report};
use super::load::Plan;
use super::trust;

pub enum Failed {
    /// The proxy did not agree on h2.
    NotSpoken,
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Default)]
struct Tally {
    answers: u64,
    errors: u64,
    late: Histogram,
}

pub fn run(plan: &Plan<'_>, streams: usize) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, drive(plan, streams))
}

async fn drive(plan: &Plan<'_>, streams: usize) -> Result<Report, Failed> {
    let certificate = plan.tls.ok_or_else(|| io::Error::other("HTTP/2 is only driven inside TLS"))?;
    let config = trust::client(certificate, b"h2")?;
    let mut requests = Vec::new();
    for _ in 0..plan.connections {
        let tcp = TcpStream::connect(("127.0.0.1", plan.port)).await?;
        tcp.set_nodelay(true)?;
        // A proxy that knows none of what is offered may also refuse the handshake (RFC 7301 §3.2).
        let connected = TlsConnector::from(config.clone()).connect(trust::name()?, tcp).await;
        let tls = match connected {
            Ok(tls) => tls,
            Err(error) if error.to_string().contains("NoApplicationProtocol") => return Err(Failed::NotSpoken),
            Err(error) => return Err(error.into()),
        };
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Failed::NotSpoken);
        }
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
        let (sender, connection) = builder.handshake(tls).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(connection);
        requests.push(sender);
    }
    let tally = Rc::new(RefCell::new(Tally::default()));
    let uri: http::Uri = format!("https://{}{}", trust::NAME, plan.path).parse().map_err(io::Error::other)?;
    let start = Instant::now();
    let end = start + plan.span;
    let tasks = requests.iter().flat_map(|sender| (0..streams).map(move |_| sender.clone())).map(|sender| {
        let (tally, uri) = (Rc::clone(&tally), uri.clone());
        tokio::task::spawn_local(async move {
            let mut sender = sender;
            while Instant::now() < end {
                let asked = Instant::now();
                let whole = ask(&mut sender, &uri).await;
                let mut tally = tally.borrow_mut();
                match whole {
                    Ok(true) => {
                        tally.answers += 1;
                        tally.late.record(asked.elapsed());
                    }
                    Ok(false) => tally.errors += 1,
                    Err(_) => {
                        tally.errors += 1;
                        return;
                    }
                }
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        // A stream that gets no answer must not keep the others' figures.
        let left = end.saturating_duration_since(Instant::now()) + std::time::Duration::from_secs(2);
        let _ = tokio::time::timeout(left, task).await;
    }
    let span = start.elapsed();
    let Tally { answers, errors, late } = tally.take();
    Ok(Report { answers, errors, span, late })
}

/// Whether the answer was whole and good.
async fn ask(sender: &mut SendRequest<Bytes>, uri: &http::Uri) -> Result<bool, h2::Error> {
    let mut request = http::Request::new(());
    *request.uri_mut() = uri.clone();
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().insert("user-agent", http::HeaderValue::from_static("bench"));
    request.headers_mut().insert("accept", http::HeaderValue::from_static("*/*"));
    poll_fn(|context| sender.poll_ready(context)).await?;
    let (answer, _) = sender.send_request(request, true)?;
    let answer = answer.await?;
    let good = answer.status().is_success();
    let mut body = answer.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
    }
    Ok(good)
}
