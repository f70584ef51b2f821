//! Routes: the immutable, numbered snapshot that the road drives by.
//!
//! Owns its shape. Must never hold what changes between two Changes (health, open connections): the road keeps that
//! beside it, by name, so that a new snapshot costs no pool, count or verdict. Where it comes from: [`compile()`].

mod access_log;
mod challenge;
pub mod compile;
mod limits;
pub mod range;
mod sticky;
pub mod suites;
mod timeouts;
mod tls;

pub use access_log::AccessLogRoute;
pub use challenge::{CHALLENGE_PATH, CHALLENGE_PROTOCOL, Challenge};
pub use compile::{compile, follow};
pub use limits::Limits;
pub use range::{AddressRange, AddressSet};
pub use sticky::Stickiness;
pub use suites::{KeyKind, SUITES, Suite};
pub use timeouts::Timeouts;
pub use tls::{Certificate, TlsBack, TlsFront, TlsVersion};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{InstanceId, LoadBalancerName, Port, ZoneName};
use crate::noun::{Balancing, DesyncMode, HealthCheck, Protocol};
use crate::time::Timestamp;

/// Everything the road needs to know of intent. Serializable: each node keeps its last good one on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Grows with every Change that was committed; the road reports the one it drives by.
    pub generation: u64,
    /// Every load balancer by name; unchanged ones are shared with the snapshot before.
    pub balancers: BTreeMap<LoadBalancerName, Arc<BalancerRoutes>>,
}

/// One load balancer as the road sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerRoutes {
    /// Its name.
    pub name: LoadBalancerName,
    /// Whether every node spreads over the instances of all enabled zones.
    pub cross_zone: bool,
    /// How long a connection, client's or instance's, may carry nothing.
    pub idle_timeout: Duration,
    /// What may take less, or more.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How much there may be at once.
    #[serde(default)]
    pub limits: Limits,
    /// What becomes of requests that others may read in another way.
    #[serde(default)]
    pub desync: DesyncMode,
    /// How instances are chosen, and what becomes of requests when none is free.
    #[serde(default)]
    pub balancing: Balancing,
    /// What each target is asked, and how often.
    pub health_check: HealthCheck,
    /// Where it listens: one address per enabled zone.
    pub nodes: Vec<Node>,
    /// What it listens for, the same on each node.
    pub listeners: Vec<ListenerRoute>,
    /// Every registered instance with an address, whether or not it may be sent requests now.
    pub targets: Vec<Target>,
    /// What ACME servers may ask it now, with the answers.
    #[serde(default)]
    pub challenges: Vec<Challenge>,
    /// Where its own access log goes, if it has one.
    #[serde(default)]
    pub access_log: Option<AccessLogRoute>,
    /// Whether instances come when requests wait, because a group behind it that may be empty brings them: where nobody is in
    /// service, requests wait for [`Balancing::boot_wait`] instead of being refused.
    #[serde(default)]
    pub wakes: bool,
}

/// One address of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// The zone it stands in: without cross-zone balancing it sends to that zone's instances only. `None` for a node
    /// of no zone (`evenkeel proxy FILE`), which gives each zone that has a live instance the same share.
    pub zone: Option<ZoneName>,
    /// The address it listens on.
    pub address: IpAddr,
}

/// One port of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRoute {
    /// The port that is bound: the listener's own, or a shifted one where privileged ports are not permitted.
    pub bind_port: Port,
    /// The port clients were told, for `X-Forwarded-Port`.
    pub port: Port,
    /// What clients speak.
    pub protocol: Protocol,
    /// The port on each instance.
    pub instance_port: Port,
    /// What instances are spoken to.
    pub instance_protocol: Protocol,
    /// Certificates, where clients speak HTTPS or SSL.
    #[serde(default)]
    pub tls: Option<TlsFront>,
    /// Whom to believe, where instances are spoken to in HTTPS or SSL. `None` as [`TlsBack::default`].
    #[serde(default)]
    pub instance_tls: Option<TlsBack>,
    /// The header that tells an instance who its client is, before the first byte of a TCP connection; none for HTTP.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whose connections begin with such a header (either version). It is believed, and no connection from there goes
    /// without; from everywhere else it is not understood at all.
    #[serde(default)]
    pub accept_proxy_from: Vec<AddressRange>,
    /// Who may connect, by the address that the connection comes from (a PROXY header changes nothing); everybody where
    /// nothing is stated, nobody where none is listed. Others are cut off before a byte of theirs is read. A change is for
    /// new connections: those that stand go on, as AWS's security groups have it.
    #[serde(default)]
    pub allowed_from: Option<Arc<[AddressRange]>>,
    /// Whether clients may speak HTTP/2: by ALPN where they speak HTTPS, with prior knowledge where HTTP.
    #[serde(default)]
    pub http2: bool,
    /// The version of HTTP that instances are spoken to.
    #[serde(default)]
    pub instance_http: InstanceHttp,
    /// What makes a client come back to the same instance, where clients speak HTTP or HTTPS.
    #[serde(default)]
    pub stickiness: Option<Stickiness>,
}

impl ListenerRoute {
    /// Whether clients may speak HTTP/2.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        self.protocol.sees_requests() && self.http2
    }
}

/// A version of HTTP, as instances are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceHttp {
    /// HTTP/1.1, one request at a time on a connection.
    #[default]
    #[serde(rename = "1")]
    One,
    /// HTTP/2, by prior knowledge or ALPN: many requests on a connection.
    #[serde(rename = "2")]
    Two,
}

/// A version of the PROXY protocol (haproxy.org, "The PROXY protocol", versions 1 and 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text, as AWS's `ProxyProtocol` policy sends it.
    V1,
    /// Binary.
    V2,
}

/// One instance behind one load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Its zone.
    pub zone: ZoneName,
    /// Its private address.
    pub address: IpAddr,
    /// A port that replaces the listeners' instance ports and the health check's (`evenkeel proxy FILE`, where
    /// several targets may share an address). `None` otherwise.
    pub port: Option<Port>,
    /// Its share beside the others', up to [`WEIGHT_LIMIT`](crate::noun::balancing::WEIGHT_LIMIT). With 0 it gets only
    /// requests of clients that stick to it.
    #[serde(default = "Target::usual_weight")]
    pub weight: u16,
    /// What may be sent to it.
    pub phase: Phase,
}

impl Target {
    /// The weight of targets whose weight nobody stated.
    pub const WEIGHT: u16 = 1;

    fn usual_weight() -> u16 {
        Self::WEIGHT
    }
}

/// What intent allows a target to be sent; its health decides the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// New requests, when it is healthy.
    Serving,
    /// Checked, but nothing is sent to it: its zone is not enabled.
    ZoneDisabled,
    /// No new requests; what is in flight may finish until then, and is cut there.
    Draining {
        /// When what is still in flight is cut.
        until: Timestamp,
    },
}
