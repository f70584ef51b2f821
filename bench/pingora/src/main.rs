//! Pingora as a peer: HTTP/1 to two targets in turn, with the same fields as the others write.
//!
//! Owns as little as Pingora asks for. Without TLS, which Pingora would take from OpenSSL or BoringSSL, and without TCP.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::{HttpPeer, Result, Server, http_proxy_service};
use pingora::proxy::{ProxyHttp, Session};
use pingora::server::configuration::ServerConf;

struct Forward {
    port: u16,
    origins: [String; 2],
    turn: AtomicUsize,
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(HttpPeer::new(&self.origins[turn % 2], false, String::new())))
    }

    async fn upstream_request_filter(&self, session: &mut Session, up: &mut RequestHeader, _ctx: &mut ()) -> Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            up.insert_header("X-Forwarded-For", address.ip().to_string())?;
        }
        up.insert_header("X-Forwarded-Proto", "http")?;
        up.insert_header("X-Forwarded-Port", self.port.to_string())
    }
}

fn main() {
    let words: Vec<u16> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [port, origin, threads] = words[..] else {
        eprintln!("usage: bench-pingora PORT ORIGIN_PORT THREADS");
        std::process::exit(2);
    };
    let conf = ServerConf { threads: usize::from(threads), upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let origins = [1, 2].map(|host| format!("127.0.0.{host}:{origin}"));
    let forward = Forward { port, origins, turn: AtomicUsize::new(0) };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), forward);
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
