//! `evenkeel proxy FILE.toml`: the road alone, from a file.
//!
//! Owns the file's grammar and turns it into [`Routes`]. Must never bind or connect. Next: [`crate::cli::proxy`], which
//! runs it.
//!
//! ```toml
//! threads = 2                          # workers; default: one a core
//!
//! [[balancer]]
//! name = "web"                         # 1-32 of A-Z a-z 0-9 -
//! addresses = ["127.0.0.1"]            # where it listens; or [[balancer.node]] zone/address pairs
//! cross_zone = false                   # spread over all zones from every node
//! idle_timeout = 60                    # seconds, 1-4000
//! desync = "defensive"                 # or "monitor", "strictest": requests that others may read in another way
//! # As AWS's ConfigureHealthCheck: interval 5-300 s, timeout 2-60 s and below it, thresholds 2-10.
//! # Default: TCP to the first listener's instance port, 30, 5, 2, 10.
//! health_check = { target = "HTTP:9000/ping", interval = 10, timeout = 2, unhealthy = 2, healthy = 2 }
//!
//! [[balancer.listener]]
//! port = 8000
//! protocol = "http"                    # or "tcp"; default http
//! instance_port = 9000                 # default: the same as `port`
//! accept_proxy_from = ["10.0.0.0/8"]   # whose connections begin with a PROXY header, either version; default nobody
//! send_proxy = "v1"                    # or "v2": sent to targets first; TCP listeners only; default nothing
//!
//! [[balancer.target]]
//! address = "127.0.0.1:9001"           # an IP address; its port replaces `instance_port` and the check's port
//! zone = "a"                           # default: `default`
//! ```
//!
//! A balancer with `addresses` gives each zone that has a live target the same share. One with nodes stands in their
//! zones: a target in a zone without a node is checked but gets nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::name::{InstanceId, LoadBalancerName, Malformed, Port, ZoneName};
use evenkeel_core::noun::{DesyncMode, HealthCheck, HealthTarget, Protocol};
use evenkeel_core::routes::{AddressRange, BalancerRoutes, ListenerRoute, Node, Phase, ProxyProtocol, Routes, Target};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::target::TargetKey;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

/// The most worker threads a file may ask for.
pub const THREADS_LIMIT: usize = 256;

/// The zone of targets that state none.
const DEFAULT_ZONE: &str = "default";

/// A file as read.
#[derive(Clone, Debug)]
pub struct ProxyFile {
    /// Worker threads, when it says.
    pub threads: Option<usize>,
    /// What to drive by.
    pub routes: Routes,
    /// Each target's address as its user wrote it: ids are made up.
    pub names: BTreeMap<TargetKey, String>,
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
    #[serde(default)]
    balancer: Vec<Spanned<Balancer>>,
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
    desync: Option<Spanned<String>>,
    health_check: Option<Spanned<Check>>,
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
    #[serde(default)]
    accept_proxy_from: Vec<Spanned<String>>,
    send_proxy: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetEntry {
    address: Spanned<String>,
    zone: Option<Spanned<String>>,
}

/// A rule broken, and where.
struct Wrong(Range<usize>, String);

fn wrong<T>(at: &Spanned<T>, key: &str, rule: impl std::fmt::Display) -> Wrong {
    Wrong(at.span(), format!("`{key}` {rule}"))
}

/// Reads a file from disk; see [`parse`].
pub fn read(path: &Path, generation: u64) -> Result<ProxyFile, BadFile> {
    parse(&std::fs::read_to_string(path)?, generation)
}

/// Reads a file's text. `generation` numbers the Routes made of it.
pub fn parse(text: &str, generation: u64) -> Result<ProxyFile, BadFile> {
    let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|error| BadFile::Line {
        line: line_of(error.span().map_or(0, |span| span.start)),
        why: error.message().to_owned(),
    })?;
    build(file, generation).map_err(|Wrong(span, why)| BadFile::Line { line: line_of(span.start), why })
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

fn build(file: File, generation: u64) -> Result<ProxyFile, Wrong> {
    // A file that is being written is empty for a moment: a reload then must not take every listener away.
    if file.balancer.is_empty() {
        return Err(Wrong(0..0, "the file needs a `[[balancer]]`".into()));
    }
    let threads = match file.threads {
        Some(threads) => Some(number(&threads, "threads", 1, THREADS_LIMIT as i64)? as usize),
        None => None,
    };
    let mut built = ProxyFile { threads, routes: Routes { generation, ..Routes::default() }, names: BTreeMap::new() };
    let mut bound: BTreeMap<SocketAddr, LoadBalancerName> = BTreeMap::new();
    for entry in file.balancer {
        let span = entry.span();
        let balancer = balancer(entry.into_inner(), &span, &mut bound, &mut built.names)?;
        let name = balancer.name.clone();
        if built.routes.balancers.insert(name.clone(), Arc::new(balancer)).is_some() {
            return Err(Wrong(span, format!("`name` is taken: there is another balancer `{name}`")));
        }
    }
    Ok(built)
}

fn balancer(
    entry: Balancer,
    span: &Range<usize>,
    bound: &mut BTreeMap<SocketAddr, LoadBalancerName>,
    names: &mut BTreeMap<TargetKey, String>,
) -> Result<BalancerRoutes, Wrong> {
    let name = LoadBalancerName::new(entry.name.get_ref()).map_err(|error| wrong(&entry.name, "name", error.rule))?;
    let missing = |what: &str| Wrong(span.clone(), format!("balancer `{name}` {what}"));
    let nodes = nodes(&entry)
        .map_err(|error| error.unwrap_or_else(|| missing("needs `addresses` or a `[[balancer.node]]`")))?;
    let listeners = listeners(&entry.listener)?;
    let first = listeners.first().ok_or_else(|| missing("needs a `[[balancer.listener]]`"))?;
    let health_check = health_check(entry.health_check.as_ref(), first.instance_port)?;
    let idle_timeout = match &entry.idle_timeout {
        Some(seconds) => Duration::from_secs(number(seconds, "idle_timeout", 1, 4000)? as u64),
        None => Duration::from_secs(60),
    };
    let desync = entry.desync.as_ref().map_or(Ok(DesyncMode::default()), desync)?;
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
        if names.insert(key, text.clone()).is_some() {
            return Err(wrong(&written.address, "address", format_args!("`{text}` is there twice")));
        }
        targets.push(target);
    }
    let cross_zone = entry.cross_zone;
    Ok(BalancerRoutes { name, cross_zone, idle_timeout, desync, health_check, nodes, listeners, targets })
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

fn listeners(entries: &[Listener]) -> Result<Vec<ListenerRoute>, Wrong> {
    let mut listeners: Vec<ListenerRoute> = Vec::with_capacity(entries.len());
    for entry in entries {
        let port = self::port(&entry.port, "port")?;
        if listeners.iter().any(|other| other.port == port) {
            return Err(wrong(&entry.port, "port", format_args!("{port} has a listener already")));
        }
        let protocol = match &entry.protocol {
            Some(text) => plain_protocol(text, "protocol")?,
            None => Protocol::Http,
        };
        let instance_protocol = match &entry.instance_protocol {
            Some(text) => {
                let instance = plain_protocol(text, "instance_protocol")?;
                if instance.sees_requests() != protocol.sees_requests() {
                    let rule = format_args!(
                        "must be `{}`, as the listener's protocol",
                        protocol.plain().as_str().to_lowercase()
                    );
                    return Err(wrong(text, "instance_protocol", rule));
                }
                instance
            }
            None => protocol.plain(),
        };
        let instance_port = entry.instance_port.as_ref().map_or(Ok(port), |at| self::port(at, "instance_port"))?;
        let proxy_protocol = match &entry.send_proxy {
            Some(text) if protocol.sees_requests() => {
                return Err(wrong(text, "send_proxy", "needs `protocol = \"tcp\"`: HTTP has X-Forwarded-For"));
            }
            Some(text) => Some(proxy_protocol(text)?),
            None => None,
        };
        let accept_proxy_from = entry.accept_proxy_from.iter().map(range).collect::<Result<_, _>>()?;
        listeners.push(ListenerRoute {
            bind_port: port,
            port,
            protocol,
            instance_port,
            instance_protocol,
            proxy_protocol,
            accept_proxy_from,
        });
    }
    Ok(listeners)
}

fn proxy_protocol(text: &Spanned<String>) -> Result<ProxyProtocol, Wrong> {
    match text.get_ref().as_str() {
        "v1" => Ok(ProxyProtocol::V1),
        "v2" => Ok(ProxyProtocol::V2),
        _ => Err(wrong(text, "send_proxy", "must be `v1` or `v2`")),
    }
}

fn range(text: &Spanned<String>) -> Result<AddressRange, Wrong> {
    text.get_ref().parse().map_err(|error| wrong(text, "accept_proxy_from", error))
}

fn desync(text: &Spanned<String>) -> Result<DesyncMode, Wrong> {
    match text.get_ref().as_str() {
        "monitor" => Ok(DesyncMode::Monitor),
        "defensive" => Ok(DesyncMode::Defensive),
        "strictest" => Ok(DesyncMode::Strictest),
        _ => Err(wrong(text, "desync", "must be `monitor`, `defensive` or `strictest`")),
    }
}

fn plain_protocol(text: &Spanned<String>, key: &str) -> Result<Protocol, Wrong> {
    match Protocol::parse(text.get_ref()) {
        Some(protocol) if !protocol.is_secure() => Ok(protocol),
        Some(_) => Err(wrong(text, key, "must be `http` or `tcp`: a file has no certificates")),
        None => Err(wrong(text, key, "must be `http` or `tcp`")),
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
    Ok(Target { instance, zone, address, port, phase })
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

fn number(at: &Spanned<i64>, key: &str, low: i64, high: i64) -> Result<i64, Wrong> {
    let number = *at.get_ref();
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(wrong(at, key, format_args!("is {number}; it must be from {low} to {high}")))
    }
}

#[cfg(test)]
mod tests;
