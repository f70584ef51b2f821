//! Delivery by POST: one exchange, of which only the status is looked at.
//!
//! Whoever answers may be anybody: no redirect is followed, nothing of a body is read, and all of it ends with its time. TLS servers
//! are believed by the system's authorities. Next: [`super::outbox`], which says when it is tried again.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Ended;
use crate::authorities;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long all of an exchange may take (AWS: 15 s).
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer's head that are taken in.
const HEAD_LIMIT: usize = 16 << 10;

/// Sends a body, and says what came of it. As in AWS, a client's error but 408 and 429 is for good.
#[must_use]
pub fn post(url: &str, headers: &[(&'static str, String)], body: &str) -> Ended {
    let mut request = client(url).post(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    match request.send(body) {
        Ok(response) => match response.status().as_u16() {
            200..=299 => Ended::Delivered,
            status @ (408 | 429) => Ended::Failed(format!("it answers {status}")),
            status @ 400..=499 => Ended::Refused(format!("it answers {status}")),
            status => Ended::Failed(format!("it answers {status}")),
        },
        Err(error) => Ended::Failed(error.to_string()),
    }
}

/// A client of its own for each exchange: nothing is kept open for the next.
fn client(url: &str) -> ureq::Agent {
    let mut tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    if url.starts_with("https:") {
        // Without authorities a TLS server is believed by nobody.
        let roots = authorities::certificates_of_the_system().unwrap_or_default();
        let roots: Vec<Certificate<'static>> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .timeout_connect(Some(CONNECT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEAD_LIMIT)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent("Amazon Simple Notification Service Agent")
        .tls_config(tls.build())
        .build()
        .new_agent()
}
