//! Requests to an ACME server: one a connection, over HTTPS, with limits on time and size.
//!
//! Owns the bytes, and that what the server refuses comes back as [`Trouble`] with its own words and its `Retry-After`. Must
//! never follow a redirect, speak without TLS, or read more than [`ANSWER_LIMIT`]: whoever answers may be anybody.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use evenkeel_aws::Time;
use http::header::{CONNECTION, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Trouble, clean};

/// How long a connection may take to be made, to each of the server's addresses.
const CONNECT: Duration = Duration::from_secs(5);
/// How long all of an exchange may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer.
pub const ANSWER_LIMIT: usize = 1024 * 1024;

/// The way to a server. Cheap to clone; clones hear the same.
#[derive(Clone)]
pub struct Exchange {
    tls: Arc<ClientConfig>,
    heard: Arc<Mutex<Option<Duration>>>,
}

impl Exchange {
    /// A way to servers that these authorities speak for.
    ///
    /// # Errors
    /// Settings that rustls does not take.
    pub fn new(roots: RootCertStore) -> Result<Self, Trouble> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config
            .map_err(|error| Trouble::new("connection", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(config), heard: Arc::default() })
    }

    /// The `Retry-After` of the last answer, if it had one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Trouble> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let asked = tokio::time::timeout(PATIENCE, self.exchanged(request)).await;
        let (parts, body) = asked.map_err(|_| {
            Trouble::new("connection", format!("`{host}` does not answer within {} s", PATIENCE.as_secs()))
        })??;
        let retry_after = retry_after(&parts.headers, SystemTime::now());
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = retry_after;
        if parts.status.is_success() || wants_another_nonce(parts.status, &body) {
            return Ok(BytesResponse { parts, body: Box::new(body) });
        }
        let mut trouble = refused(parts.status, &body);
        trouble.retry_after = retry_after;
        Err(trouble)
    }

    async fn exchanged(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<(http::response::Parts, Bytes), Trouble> {
        let uri = request.uri().clone();
        let (host, port, authority) = place(&uri)?;
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            Trouble::new("connection", format!("`{authority}` {what}: {error}"))
        };
        let stream = connect(&host, port).await.map_err(|error| broken("cannot be reached", &error))?;
        let name = ServerName::try_from(host).map_err(|error| broken("is no host", &error))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| broken("cannot be spoken to in TLS", &error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken("cannot be spoken to", &error))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|error| broken("has a path that is none", &error))?;
        let host = HeaderValue::try_from(&authority).map_err(|error| broken("is no host", &error))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| broken("hung up", &error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| broken("sends what cannot be read", &error))?;
            Ok((parts, body.to_bytes()))
        };
        // The connection is driven beside the exchange, and ends with it.
        tokio::pin!(answered, connection);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            ended = &mut connection => match ended {
                Err(error) => Err(broken("hung up", &error)),
                Ok(()) => answered.await,
            },
        }
    }
}

impl HttpClient for Exchange {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.clone().ask(request);
        Box::pin(async move { asked.await.map_err(|trouble| Error::Other(Box::new(trouble))) })
    }
}

/// Host, port and both as `Host` has them.
fn place(uri: &Uri) -> Result<(String, u16, String), Trouble> {
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
    let host = host.ok_or_else(|| Trouble::new("answer", format!("`{uri}` is no https URL")))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (port, authority) = match uri.port_u16() {
        Some(port) if port != 443 => (port, format!("{host}:{port}")),
        _ => (443, host.to_owned()),
    };
    Ok((bare, port, authority))
}

async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host((host, port)).await? {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

#[derive(serde::Deserialize)]
struct Document {
    r#type: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    subproblems: Vec<Sub>,
}

#[derive(serde::Deserialize)]
struct Sub {
    detail: Option<String>,
    identifier: Option<Identifier>,
}

#[derive(serde::Deserialize)]
struct Identifier {
    value: Option<String>,
}

/// A nonce that was used up or forgotten is no failure: the library signs anew with the one that came along.
fn wants_another_nonce(status: StatusCode, body: &[u8]) -> bool {
    let kind = || serde_json::from_slice::<Document>(body).ok()?.r#type;
    status == StatusCode::BAD_REQUEST && kind().is_some_and(|kind| kind.ends_with(":badNonce"))
}

fn refused(status: StatusCode, body: &[u8]) -> Trouble {
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return Trouble::new("answer", format!("the server answers with status {}", status.as_u16()));
    };
    let mut trouble = Trouble::of(document.r#type.as_deref(), document.detail.as_deref());
    for sub in document.subproblems.iter().take(8) {
        let name = sub.identifier.as_ref().and_then(|of| of.value.as_deref()).unwrap_or("a name");
        let more = format!("{}; {name}: {}", trouble.problem.detail, sub.detail.as_deref().unwrap_or("no"));
        trouble.problem.detail = clean(&more);
    }
    trouble
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let stated = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = stated.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = u64::try_from(Time::from_http_date(stated)?.0).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_millis(at).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |text: &str, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::try_from(text).unwrap());
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(77));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }

    #[test]
    fn refusals_speak_in_the_servers_words() {
        let document = br#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","status":400,
            "subproblems":[{"type":"x","detail":"is on a list","identifier":{"type":"dns","value":"a.test"}}]}"#;
        let trouble = refused(StatusCode::BAD_REQUEST, document);
        assert_eq!(trouble.to_string(), "no; a.test: is on a list (rejectedIdentifier)");
        assert!(trouble.problem.judged);
        let trouble = refused(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(trouble.to_string(), "the server answers with status 502 (answer)");
        let nonce = br#"{"type":"urn:ietf:params:acme:error:badNonce"}"#;
        assert!(wants_another_nonce(StatusCode::BAD_REQUEST, nonce));
        assert!(!wants_another_nonce(StatusCode::BAD_REQUEST, document));
        assert!(!wants_another_nonce(StatusCode::FORBIDDEN, nonce));
    }

    #[test]
    fn only_https_is_spoken() {
        let check = |uri: &str, expected: Option<(&str, u16, &str)>| {
            let found = place(&uri.parse().unwrap()).ok();
            let found = found.as_ref().map(|(host, port, authority)| (host.as_str(), *port, authority.as_str()));
            assert_eq!(found, expected, "{uri}");
        };
        check("https://acme.test/dir", Some(("acme.test", 443, "acme.test")));
        check("https://acme.test:14000/dir", Some(("acme.test", 14000, "acme.test:14000")));
        check("https://[::1]:14000/dir", Some(("::1", 14000, "[::1]:14000")));
        check("http://acme.test/dir", None);
        check("/dir", None);
    }
}
