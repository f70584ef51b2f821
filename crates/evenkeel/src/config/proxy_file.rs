//! `evenkeel proxy FILE.toml`: the road alone, from a file.
//!
//! Owns the file's grammar and turns it, with the certificates that it names, into [`Routes`]. Must never bind or
//! connect, or say what is in a key. Next: [`crate::cli::proxy`], which
//! runs it.
//!
//! ```toml
//! threads = 2                          # workers; default: one a core
//! max_connections = 10000              # of clients, 1-10000000; default: what the limit on open files permits
//! trace_ids = false                    # give each request an X-Amzn-Trace-Id, and a traceparent where it has none
//!
//! [log]                                # the access log; none without this
//! path = "/var/log/evenkeel.log"       # relative to where the proxy is started
//! format = "json"                      # or "aws"; default json
//! rotate_mb = 64                       # MiB of a file, 1-1048576; default 64
//! keep = 4                             # older files, `.1` the newest, 0-1000; default 4
//!
//! [spans]                              # OpenTelemetry spans of some requests; none without this
//! endpoint = "http://127.0.0.1:4318"   # a collector that takes OTLP over HTTP; default path /v1/traces
//! share = 0.01                         # of requests, 0.0-1.0; default 0.01
//! service = "edge"                     # service.name; default `evenkeel`
//!
//! [[balancer]]
//! name = "web"                         # 1-32 of A-Z a-z 0-9 -
//! addresses = ["127.0.0.1"]            # where it listens; or [[balancer.node]] zone/address pairs
//! cross_zone = false                   # spread over all zones from every node
//! idle_timeout = 60                    # seconds, 1-4000
//! # Seconds, 0.1-4000, each instead of the idle timeout; what each is: docs/files.md. All of them may be left out.
//! timeouts = { handshake = 10, head = 10, body = 30, keep_alive = 60, connect = 2, response = 30, tunnel = 300, pool = 50, least_rate = 100 }
//! # How much there may be at once; default: the most.
//! limits = { streams = 128, max_header_bytes = 65535, max_header_fields = 128 }
//! desync = "defensive"                 # or "monitor", "strictest": requests that others may read in another way
//! # As AWS's ConfigureHealthCheck: interval 5-300 s, timeout 2-60 s and below it, thresholds 2-10.
//! # Default: TCP to the first listener's instance port, 30, 5, 2, 10.
//! health_check = { target = "HTTP:9000/ping", interval = 10, timeout = 2, unhealthy = 2, healthy = 2 }
//!
//! [balancer.balance]                   # how targets are chosen; `docs/concepts.md`, "The choice of an instance"
//! algorithm = "aws"                    # or round_robin, least_outstanding, power_of_two, least_latency, consistent_hash
//! hash_on = "client_address"           # or "header:NAME", "cookie:NAME", for consistent_hash
//! slow_start = 0                       # seconds until a target that came in service gets its full share, 0-900
//! max_in_flight = 0                    # requests or connections on one target at a time, 0-1000000; default 0, no limit
//! queue_length = 1024                  # requests that wait on one node while all targets are at it, 0-65536
//! queue_wait = 10                      # seconds that each waits at most, 1-600
//! boot_wait = 60                       # the same where nobody is in service and an auto scaling group brings somebody, 1-600
//! preconnect = 0                       # connections that each worker keeps ready to each target, 0-64; default 0, none
//! eject_after = 0                      # failures in a row after which a target is passed over, 0-1000; default 0, never
//! eject_for = 10                       # seconds the first time, 1-3600
//! eject_share = 50                     # percent of a zone's live targets that may be passed over at once, 1-100
//! eject_on_5xx = false                 # whether a target's 5xx count as failures
//! retry_share = 20                     # tries beyond the first, in percent of the requests of the last 10 s, 0-100
//! retry_floor = 10                     # so many a second more, in each worker, 0-10000
//!
//! [[balancer.listener]]
//! port = 8000
//! protocol = "http"                    # or "https", "tcp", "ssl"; default http
//! instance_port = 9000                 # default: the same as `port`
//! http2 = false                        # with prior knowledge; default false, and true where `protocol` is "https" (ALPN)
//! instance_http = "1.1"                # or "2"; default 1.1
//! stickiness = { expires = 3600 }      # seconds; {} until the browser closes; or { application_cookie = "SID" }
//! allow_from = ["10.0.0.0/8", "::1"]   # who may connect, by the address of the connection; default everybody
//! accept_proxy_from = ["10.0.0.0/8"]   # whose connections begin with a PROXY header, either version; default nobody
//! send_proxy = "v1"                    # or "v2": sent to targets first; TCP listeners only; default nothing
//!
//! [[balancer.listener]]
//! port = 8443
//! protocol = "https"
//! # PEM files, beside this one where their paths are relative. The first that has the name that a client asks for is
//! # shown; the first of all where none has it.
//! certificates = [{ chain = "web.pem", key = "web.key" }]
//! oldest_tls = "1.2"                   # or "1.3"; default 1.2
//! newest_tls = "1.3"                   # or "1.2"; default 1.3
//! ciphers = ["TLS_AES_128_GCM_SHA256"] # by OpenSSL's names, the most wanted first; default: all that there are
//! cipher_order = "listener"            # or "client": whose order decides; default listener
//! instance_protocol = "https"          # default: `http` behind https, `tcp` behind ssl
//! # Default: instances are believed whatever certificate they have. With `verify`, one that `ca` signed for `name`
//! # (default: for the instance's address); `name` alone is only asked for (SNI). With `public_keys` (PEM files), one that
//! # has one of these keys; both hold where both are stated.
//! instance_tls = { verify = true, ca = "ca.pem", name = "app.internal", public_keys = ["app.pub"] }
//!
//! [[balancer.target]]
//! address = "127.0.0.1:9001"           # an IP address; its port replaces `instance_port` and the check's port
//! zone = "a"                           # default: `default`
//! weight = 1                           # its share beside others', 0-256; 0: only clients that stick to it already
//! ```
//!
//! A balancer with `addresses` gives each zone that has a live target the same share. One with nodes stands in their
//! zones: a target in a zone without a node is checked but gets nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_core::name::{InstanceId, LoadBalancerName, Malformed, Port, ZoneName};
use evenkeel_core::noun::balancing::WEIGHT_LIMIT;
use evenkeel_core::noun::{DesyncMode, HealthCheck, HealthTarget, Protocol};
use evenkeel_core::routes::{
    AddressRange, BalancerRoutes, Limits, ListenerRoute, Node, Phase, ProxyProtocol, Routes, Target, Timeouts,
};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::spans::SpansConfig;
use evenkeel_proxy::target::TargetKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::Spanned;

use spans::SpansEntry;
use sticky::StickinessEntry;
use timeouts::{LimitsEntry, TimeoutsEntry};
use tls::{CertificateEntry, Files, InstanceTls};

/// The most worker threads a file may ask for.
pub const THREADS_LIMIT: usize = 256;

/// The most client connections a file may ask for.
const CONNECTIONS_LIMIT: i64 = 10_000_000;

/// The most ranges of addresses from which one listener may be connected to.
const ALLOWED_LIMIT: usize = 10_000;

/// The zone of targets that state none.
const DEFAULT_ZONE: &str = "default";

/// A file as read.
#[derive(Clone, Debug)]
pub struct ProxyFile {
    /// Worker threads, when it says.
    pub threads: Option<usize>,
    /// Client connections over all workers, when it says.
    pub max_connections: Option<usize>,
    /// The access log, when it wants one.
    pub log: Option<LogConfig>,
    /// Whether requests get `X-Amzn-Trace-Id` and `traceparent`.
    pub trace_ids: bool,
    /// Spans, when it wants some.
    pub spans: Option<SpansConfig>,
    /// What to drive by.
    pub routes: Routes,
    /// Each target's address as its user wrote it: ids are made up.
    pub names: BTreeMap<TargetKey, String>,
    /// The files that it names, and that were read with it.
    pub files: BTreeSet<PathBuf>,
    /// What is served, but should be looked at: certificates that have expired.
    pub warnings: Vec<String>,
}

/// What is wrong with a file. Completes "failed to read FILE: …".
#[derive(Debug, Error)]
pub enum BadFile {
    /// It could not be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It says something that cannot be.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The key in backticks, and the rule that it breaks.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    threads: Option<Spanned<i64>>,
    max_connections: Option<Spanned<i64>>,
    #[serde(default)]
    trace_ids: bool,
    log: Option<LogEntry>,
    spans: Option<SpansEntry>,
    #[serde(default)]
    balancer: Vec<Spanned<Balancer>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogEntry {
    path: Spanned<String>,
    format: Option<Spanned<String>>,
    rotate_mb: Option<Spanned<i64>>,
    keep: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balancer {
    name: Spanned<String>,
    addresses: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    node: Vec<NodeEntry>,
    #[serde(default)]
    cross_zone: bool,
    idle_timeout: Option<Spanned<i64>>,
    timeouts: Option<TimeoutsEntry>,
    limits: Option<LimitsEntry>,
    desync: Option<Spanned<String>>,
    health_check: Option<Spanned<Check>>,
    #[serde(default)]
    balance: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default)]
    listener: Vec<Listener>,
    #[serde(default)]
    target: Vec<TargetEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    zone: Spanned<String>,
    address: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    target: Option<Spanned<String>>,
    interval: Option<Spanned<i64>>,
    timeout: Option<Spanned<i64>>,
    unhealthy: Option<Spanned<i64>>,
    healthy: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    port: Spanned<i64>,
    protocol: Option<Spanned<String>>,
    instance_port: Option<Spanned<i64>>,
    instance_protocol: Option<Spanned<String>>,
    certificates: Option<Spanned<Vec<Spanned<CertificateEntry>>>>,
    oldest_tls: Option<Spanned<String>>,
    newest_tls: Option<Spanned<String>>,
    ciphers: Option<Spanned<Vec<Spanned<String>>>>,
    cipher_order: Option<Spanned<String>>,
    allow_from: Option<Spanned<Vec<Spanned<String>>>>,
    instance_tls: Option<Spanned<InstanceTls>>,
    #[serde(default)]
    accept_proxy_from: Vec<Spanned<String>>,
    send_proxy: Option<Spanned<String>>,
    stickiness: Option<Spanned<StickinessEntry>>,
    http2: Option<Spanned<bool>>,
    instance_http: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetEntry {
    address: Spanned<String>,
    zone: Option<Spanned<String>>,
    weight: Option<Spanned<i64>>,
}

/// A rule broken, and where.
pub(super) struct Wrong(pub(super) Range<usize>, pub(super) String);

pub(super) fn wrong<T>(at: &Spanned<T>, key: &str, rule: impl std::fmt::Display) -> Wrong {
    Wrong(at.span(), format!("`{key}` {rule}"))
}

/// Reads a file from disk; see [`parse_in`]. Certificates are read anew each time.
pub fn read(path: &Path, generation: u64) -> Result<ProxyFile, BadFile> {
    parse_in(&std::fs::read_to_string(path)?, path.parent().unwrap_or(Path::new("")), generation)
}

/// Reads a file's text that names no other files, or only by whole paths.
pub fn parse(text: &str, generation: u64) -> Result<ProxyFile, BadFile> {
    parse_in(text, Path::new(""), generation)
}

/// Reads a file's text. `folder` is where relative paths in it begin; `generation` numbers the Routes made of it.
pub fn parse_in(text: &str, folder: &Path, generation: u64) -> Result<ProxyFile, BadFile> {
    built(text, |file| build(file, folder, generation))
}

/// What is made of a file's text; what is wrong with it is named by its line.
pub(super) fn built<F: DeserializeOwned, T>(
    text: &str,
    build: impl FnOnce(F) -> Result<T, Wrong>,
) -> Result<T, BadFile> {
    let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1;
    let file: F = toml::from_str(text).map_err(|error| BadFile::Line {
        line: line_of(error.span().map_or(0, |span| span.start)),
        why: error.message().to_owned(),
    })?;
    build(file).map_err(|Wrong(span, why)| BadFile::Line { line: line_of(span.start), why })
}

/// Keeps what `before` had and `after` has no more, so that what is in flight there may finish until then: targets that
/// left a balancer which stays. Nothing new is sent to them.
pub fn let_drain(before: &Routes, after: &mut Routes, until: Timestamp) {
    for (name, new) in &mut after.balancers {
        let Some(old) = before.balancers.get(name) else { continue };
        let stay: BTreeSet<_> = new.targets.iter().map(|target| target.instance.clone()).collect();
        let gone: Vec<_> = old.targets.iter().filter(|target| !stay.contains(&target.instance)).cloned().collect();
        for mut target in gone {
            if !matches!(target.phase, Phase::Draining { .. }) {
                target.phase = Phase::Draining { until };
            }
            Arc::make_mut(new).targets.push(target);
        }
        // The same as before: share it, so that nobody compares it again.
        if **new == **old {
            *new = Arc::clone(old);
        }
    }
}

fn build(file: File, folder: &Path, generation: u64) -> Result<ProxyFile, Wrong> {
    // A file that is being written is empty for a moment: a reload then must not take every listener away.
    if file.balancer.is_empty() {
        return Err(Wrong(0..0, "the file needs a `[[balancer]]`".into()));
    }
    let threads = match file.threads {
        Some(threads) => Some(number(&threads, "threads", 1, THREADS_LIMIT as i64)? as usize),
        None => None,
    };
    let max_connections = match file.max_connections {
        Some(most) => Some(number(&most, "max_connections", 1, CONNECTIONS_LIMIT)? as usize),
        None => None,
    };
    let mut built = ProxyFile {
        threads,
        max_connections,
        log: file.log.as_ref().map(log).transpose()?,
        trace_ids: file.trace_ids,
        spans: file.spans.as_ref().map(spans::spans).transpose()?,
        routes: Routes { generation, ..Routes::default() },
        names: BTreeMap::new(),
        files: BTreeSet::new(),
        warnings: Vec::new(),
    };
    let files = Files { folder, now: SystemTime::now(), read: RefCell::default() };
    let mut bound: BTreeMap<SocketAddr, LoadBalancerName> = BTreeMap::new();
    for entry in file.balancer {
        let span = entry.span();
        let balancer = balancer(entry.into_inner(), &span, &files, &mut bound, &mut built)?;
        let name = balancer.name.clone();
        if built.routes.balancers.insert(name.clone(), Arc::new(balancer)).is_some() {
            return Err(Wrong(span, format!("`name` is taken: there is another balancer `{name}`")));
        }
    }
    built.files = files.read.into_inner();
    Ok(built)
}

fn log(entry: &LogEntry) -> Result<LogConfig, Wrong> {
    if entry.path.get_ref().is_empty() {
        return Err(wrong(&entry.path, "log.path", "is empty"));
    }
    let format = match &entry.format {
        Some(text) => {
            Format::parse(text.get_ref()).ok_or_else(|| wrong(text, "log.format", "must be `json` or `aws`"))?
        }
        None => Format::Json,
    };
    let mib = entry.rotate_mb.as_ref().map_or(Ok(64), |at| number(at, "log.rotate_mb", 1, 1 << 20))?;
    let keep = entry.keep.as_ref().map_or(Ok(4), |at| number(at, "log.keep", 0, 1000))?;
    Ok(LogConfig { path: entry.path.get_ref().into(), format, rotate_bytes: (mib as u64) << 20, keep: keep as u32 })
}

fn balancer(
    entry: Balancer,
    span: &Range<usize>,
    files: &Files<'_>,
    bound: &mut BTreeMap<SocketAddr, LoadBalancerName>,
    built: &mut ProxyFile,
) -> Result<BalancerRoutes, Wrong> {
    let name = LoadBalancerName::new(entry.name.get_ref()).map_err(|error| wrong(&entry.name, "name", error.rule))?;
    let missing = |what: &str| Wrong(span.clone(), format!("balancer `{name}` {what}"));
    let nodes = nodes(&entry)
        .map_err(|error| error.unwrap_or_else(|| missing("needs `addresses` or a `[[balancer.node]]`")))?;
    let listeners = listeners(&entry.listener, files, &mut built.warnings)?;
    let first = listeners.first().ok_or_else(|| missing("needs a `[[balancer.listener]]`"))?;
    let health_check = health_check(entry.health_check.as_ref(), first.instance_port)?;
    let idle_timeout = match &entry.idle_timeout {
        Some(seconds) => Duration::from_secs(number(seconds, "idle_timeout", 1, 4000)? as u64),
        None => Duration::from_secs(60),
    };
    let timeouts = entry.timeouts.as_ref().map_or(Ok(Timeouts::default()), timeouts::timeouts)?;
    let limits = entry.limits.as_ref().map_or(Ok(Limits::default()), timeouts::limits)?;
    let desync = entry.desync.as_ref().map_or(Ok(DesyncMode::default()), desync)?;
    let balancing = balance::balancing(&entry.balance)?;
    for node in &nodes {
        for listener in &listeners {
            let address = SocketAddr::new(node.address, listener.bind_port.number());
            if let Some(other) = bound.insert(address, name.clone()) {
                return Err(missing(&format!("listens on {address}, and so does `{other}`")));
            }
        }
    }
    let zoned = entry.addresses.is_none();
    let mut targets: Vec<Target> = Vec::with_capacity(entry.target.len());
    for written in &entry.target {
        let target = target(&name, written, zoned, &nodes)?;
        let text = written.address.get_ref();
        let reached =
            |l: &ListenerRoute| SocketAddr::new(target.address, target.port.unwrap_or(l.instance_port).number());
        if listeners.iter().any(|listener| bound.get(&reached(listener)) == Some(&name)) {
            let rule = format_args!("`{text}` is `{name}` itself: it would call itself for ever");
            return Err(wrong(&written.address, "address", rule));
        }
        let key = (name.clone(), target.instance.clone());
        if built.names.insert(key, text.clone()).is_some() {
            return Err(wrong(&written.address, "address", format_args!("`{text}` is there twice")));
        }
        targets.push(target);
    }
    let cross_zone = entry.cross_zone;
    Ok(BalancerRoutes {
        name,
        cross_zone,
        idle_timeout,
        timeouts,
        limits,
        desync,
        balancing,
        health_check,
        nodes,
        listeners,
        targets,
        challenges: Vec::new(),
        access_log: None,
        wakes: false,
    })
}

/// `Err(None)` when there are none.
fn nodes(entry: &Balancer) -> Result<Vec<Node>, Option<Wrong>> {
    let mut nodes = Vec::new();
    match &entry.addresses {
        Some(addresses) if !entry.node.is_empty() => {
            return Err(Some(wrong(addresses, "addresses", "and `[[balancer.node]]` exclude each other")));
        }
        Some(addresses) => {
            for address in addresses.get_ref() {
                nodes.push((Node { zone: None, address: ip(address, "addresses")? }, address));
            }
        }
        None => {
            for node in &entry.node {
                let zone = Some(zone(&node.zone)?);
                nodes.push((Node { zone, address: ip(&node.address, "address")? }, &node.address));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (node, at) in &nodes {
        if !seen.insert(node.address) {
            return Err(Some(wrong(at, "address", format_args!("`{}` is there twice", node.address))));
        }
    }
    if nodes.is_empty() { Err(None) } else { Ok(nodes.into_iter().map(|(node, _)| node).collect()) }
}

fn listeners(entries: &[Listener], files: &Files<'_>, warnings: &mut Vec<String>) -> Result<Vec<ListenerRoute>, Wrong> {
    let mut listeners: Vec<ListenerRoute> = Vec::with_capacity(entries.len());
    for entry in entries {
        let port = self::port(&entry.port, "port")?;
        if listeners.iter().any(|other| other.port == port) {
            return Err(wrong(&entry.port, "port", format_args!("{port} has a listener already")));
        }
        let protocol = match &entry.protocol {
            Some(text) => self::protocol(text, "protocol")?,
            None => Protocol::Http,
        };
        let instance_protocol = match &entry.instance_protocol {
            Some(text) => {
                let instance = self::protocol(text, "instance_protocol")?;
                if instance.sees_requests() != protocol.sees_requests() {
                    let both = if protocol.sees_requests() { "`http` or `https`" } else { "`tcp` or `ssl`" };
                    let rule = format_args!("must be {both}, as the listener's protocol");
                    return Err(wrong(text, "instance_protocol", rule));
                }
                instance
            }
            None => protocol.plain(),
        };
        let instance_port = entry.instance_port.as_ref().map_or(Ok(port), |at| self::port(at, "instance_port"))?;
        let tls = tls::front(entry, protocol, files, warnings)?;
        let instance_tls = tls::back(entry, instance_protocol, files)?;
        let proxy_protocol = match &entry.send_proxy {
            Some(text) if protocol.sees_requests() => {
                return Err(wrong(text, "send_proxy", "needs `protocol = \"tcp\"`: HTTP has X-Forwarded-For"));
            }
            Some(text) => Some(proxy_protocol(text)?),
            None => None,
        };
        let accept_proxy_from =
            entry.accept_proxy_from.iter().map(|text| range(text, "accept_proxy_from")).collect::<Result<_, _>>()?;
        let allowed_from = entry.allow_from.as_ref().map(allowed).transpose()?;
        let stickiness = entry.stickiness.as_ref().map(|at| sticky::stickiness(at, protocol)).transpose()?;
        listeners.push(ListenerRoute {
            bind_port: port,
            port,
            protocol,
            instance_port,
            instance_protocol,
            tls,
            instance_tls,
            proxy_protocol,
            accept_proxy_from,
            allowed_from,
            stickiness,
            http2: versions::http2(entry.http2.as_ref(), protocol)?,
            instance_http: versions::instance_http(entry.instance_http.as_ref(), protocol)?,
        });
    }
    Ok(listeners)
}

fn protocol(text: &Spanned<String>, key: &str) -> Result<Protocol, Wrong> {
    Protocol::parse(text.get_ref()).ok_or_else(|| wrong(text, key, "must be `http`, `https`, `tcp` or `ssl`"))
}

fn proxy_protocol(text: &Spanned<String>) -> Result<ProxyProtocol, Wrong> {
    match text.get_ref().as_str() {
        "v1" => Ok(ProxyProtocol::V1),
        "v2" => Ok(ProxyProtocol::V2),
        _ => Err(wrong(text, "send_proxy", "must be `v1` or `v2`")),
    }
}

fn range(text: &Spanned<String>, key: &str) -> Result<AddressRange, Wrong> {
    text.get_ref().parse().map_err(|error| wrong(text, key, error))
}

fn allowed(list: &Spanned<Vec<Spanned<String>>>) -> Result<Arc<[AddressRange]>, Wrong> {
    if list.get_ref().len() > ALLOWED_LIMIT {
        return Err(wrong(list, "allow_from", format_args!("has more than {ALLOWED_LIMIT} ranges")));
    }
    list.get_ref().iter().map(|text| range(text, "allow_from")).collect()
}

fn desync(text: &Spanned<String>) -> Result<DesyncMode, Wrong> {
    match text.get_ref().as_str() {
        "monitor" => Ok(DesyncMode::Monitor),
        "defensive" => Ok(DesyncMode::Defensive),
        "strictest" => Ok(DesyncMode::Strictest),
        _ => Err(wrong(text, "desync", "must be `monitor`, `defensive` or `strictest`")),
    }
}

fn health_check(entry: Option<&Spanned<Check>>, port: Port) -> Result<HealthCheck, Wrong> {
    let mut check = HealthCheck::default_for(port);
    let Some(spanned) = entry else { return Ok(check) };
    let entry = spanned.get_ref();
    if let Some(text) = &entry.target {
        check.target = HealthTarget::parse(text.get_ref())
            .map_err(|error| wrong(text, "health_check.target", format_args!("is refused: {error}")))?;
    }
    if let Some(at) = &entry.interval {
        check.interval = Duration::from_secs(number(at, "health_check.interval", 5, 300)? as u64);
    }
    if let Some(at) = &entry.timeout {
        check.timeout = Duration::from_secs(number(at, "health_check.timeout", 2, 60)? as u64);
    }
    if let Some(at) = &entry.unhealthy {
        check.unhealthy_threshold = number(at, "health_check.unhealthy", 2, 10)? as u32;
    }
    if let Some(at) = &entry.healthy {
        check.healthy_threshold = number(at, "health_check.healthy", 2, 10)? as u32;
    }
    check.validate().map_err(|error| wrong(spanned, "health_check", format_args!("is refused: {error}")))?;
    Ok(check)
}

fn target(name: &LoadBalancerName, entry: &TargetEntry, zoned: bool, nodes: &[Node]) -> Result<Target, Wrong> {
    let text = entry.address.get_ref();
    let parsed =
        text.parse::<SocketAddr>().map(|a| (a.ip(), Some(a.port()))).or_else(|_| text.parse().map(|ip| (ip, None)));
    let rule = "must be an IP address, with or without a port, such as `10.0.0.1:8080` or `[fd00::1]:8080`";
    let (address, port) = parsed.map_err(|_| wrong(&entry.address, "address", rule))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(wrong(&entry.address, "address", "must be one machine's address"));
    }
    let port = port
        .map(Port::new)
        .transpose()
        .map_err(|error| wrong(&entry.address, "address", format_args!("has a port that {}", error.rule)))?;
    let zone = match &entry.zone {
        Some(text) => zone(text)?,
        None if zoned => return Err(wrong(&entry.address, "zone", "is missing: this balancer's nodes have zones")),
        None => ZoneName::new(DEFAULT_ZONE).map_err(|error: Malformed| wrong(&entry.address, "zone", error.rule))?,
    };
    let serves = !zoned || nodes.iter().any(|node| node.zone.as_ref() == Some(&zone));
    let phase = if serves { Phase::Serving } else { Phase::ZoneDisabled };
    let written = port.map_or(address.to_string(), |port| SocketAddr::new(address, port.number()).to_string());
    let instance = instance_id(name, &written).map_err(|error| wrong(&entry.address, "address", error.rule))?;
    let weight = match &entry.weight {
        Some(at) => number(at, "weight", 0, WEIGHT_LIMIT.into())? as u16,
        None => Target::WEIGHT,
    };
    Ok(Target { instance, zone, address, port, weight, phase })
}

/// The same id for the same address behind the same balancer, over reloads and restarts: FNV-1a of both, 68 of its 128
/// bits. [`balancer`] refuses two targets of one id.
fn instance_id(name: &LoadBalancerName, address: &str) -> Result<InstanceId, Malformed> {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = name.as_str().bytes().chain([0]).chain(address.bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    InstanceId::new(format!("i-{:017x}", hash >> 60))
}

fn zone(text: &Spanned<String>) -> Result<ZoneName, Wrong> {
    ZoneName::new(text.get_ref()).map_err(|error| wrong(text, "zone", error.rule))
}

fn ip(text: &Spanned<String>, key: &str) -> Result<IpAddr, Wrong> {
    text.get_ref().parse().map_err(|_| wrong(text, key, "must be an IP address without a port"))
}

fn port(at: &Spanned<i64>, key: &str) -> Result<Port, Wrong> {
    let number = number(at, key, 1, 65_535)?;
    u16::try_from(number).ok().and_then(|n| Port::new(n).ok()).ok_or_else(|| wrong(at, key, "must be from 1 to 65535"))
}

pub(super) fn number(at: &Spanned<i64>, key: &str, low: i64, high: i64) -> Result<i64, Wrong> {
    let number = *at.get_ref();
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(wrong(at, key, format_args!("is {number}; it must be from {low} to {high}")))
    }
}

mod balance;
mod spans;
mod sticky;
mod timeouts;
mod tls;
mod versions;

#[cfg(test)]
mod tests;
