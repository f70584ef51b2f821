//! The sample application's server: HTTP/1.1 with keep-alive, and an orderly end. Owns its answers; must never buffer a
//! body above its limit.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PORT, millis, text};

/// The most of a body that `/echo` takes: 8 MiB.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// The longest that `/slow` waits.
const SLOW_LIMIT: u64 = 60_000;
/// How long requests in flight have once the end was asked for.
const FINISH_LIMIT: Duration = Duration::from_millis(900);

type Answer = Response<Full<Bytes>>;

struct App {
    identity: Bytes,
    health: StatusCode,
    health_delay: Option<Duration>,
}

/// Serves until `closing` turns true; then takes no more connections, answers what is in flight with `Connection: close`, and
/// returns within [`FINISH_LIMIT`].
pub(super) async fn serve(mut closing: watch::Receiver<bool>) -> io::Result<()> {
    let address = address()?;
    let listener =
        TcpListener::bind(address).await.map_err(|e| io::Error::other(format!("listen on {address}: {e}")))?;
    println!("sample-app: listens on {address}");
    let app = Arc::new(App::from_env());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, app.clone(), closing.clone()))),
                // Out of descriptors, most likely: those in use will be given back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = asked(&mut closing) => break,
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off.
    let _ = tokio::time::timeout(FINISH_LIMIT, finished).await;
    Ok(())
}

/// Waits until the end is asked for; a sender that is gone asks too.
pub(super) async fn asked(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

fn address() -> io::Result<SocketAddr> {
    let host = text("HOST").map_or(Ok(IpAddr::from(Ipv4Addr::LOCALHOST)), |host| host.parse());
    let port = text("PORT").map_or(Ok(PORT), |port| port.parse());
    let bad = |what: &str| io::Error::other(format!("read `{what}` from the environment"));
    Ok(SocketAddr::new(host.map_err(|_| bad("HOST"))?, port.map_err(|_| bad("PORT"))?))
}

async fn connection(stream: TcpStream, app: Arc<App>, mut closing: watch::Receiver<bool>) {
    // Without it a small answer may wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(app.answer(request).await) }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        // What a client does to its own connection concerns nobody else.
        _ = connection.as_mut() => {}
        () = asked(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

impl App {
    fn from_env() -> Self {
        let word = |name| text(name).unwrap_or_default();
        let identity = serde_json::json!({
            "instance": word("EVENKEEL_INSTANCE_ID"),
            "zone": word("EVENKEEL_ZONE"),
            "version": word("VERSION"),
        });
        let health = text("HEALTH_STATUS").and_then(|status| status.parse().ok()).unwrap_or(StatusCode::OK);
        Self { identity: Bytes::from(format!("{identity}\n")), health, health_delay: millis("HEALTH_DELAY_MS") }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let read = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/" if read => json(self.identity.clone()),
            "/health" if read => {
                if let Some(delay) = self.health_delay {
                    tokio::time::sleep(delay).await;
                }
                plain(self.health, "")
            }
            "/slow" if read => match delay(request.uri().query()) {
                Some(ms) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    json(self.identity.clone())
                }
                None => plain(StatusCode::BAD_REQUEST, "`ms` must be from 0 to 60000\n"),
            },
            "/busy" if read => match delay(request.uri().query()) {
                Some(ms) => match tokio::task::spawn_blocking(move || work(Duration::from_millis(ms))).await {
                    Ok(()) => json(self.identity.clone()),
                    Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the work was not done\n"),
                },
                None => plain(StatusCode::BAD_REQUEST, "`ms` must be from 0 to 60000\n"),
            },
            "/echo" if request.method() == Method::POST => echo(request).await,
            "/env" if read => {
                let env: std::collections::BTreeMap<String, String> = std::env::vars_os()
                    .map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned()))
                    .collect();
                json(Bytes::from(serde_json::json!(env).to_string()))
            }
            "/" | "/health" | "/slow" | "/busy" | "/env" => not_allowed("GET, HEAD"),
            "/echo" => not_allowed("POST"),
            _ => plain(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

/// Keeps a processor busy.
fn work(time: Duration) {
    let began = std::time::Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn delay(query: Option<&str>) -> Option<u64> {
    let ms = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("ms="));
    ms.unwrap_or("0").parse().ok().filter(|ms| *ms <= SLOW_LIMIT)
}

async fn echo(request: Request<Incoming>) -> Answer {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => {
            let mut answer = Response::new(Full::new(body.to_bytes()));
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            plain(StatusCode::PAYLOAD_TOO_LARGE, "a body may have 8 MiB\n")
        }
        Err(_) => plain(StatusCode::BAD_REQUEST, "the body is cut short\n"),
    }
}

fn json(body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}
