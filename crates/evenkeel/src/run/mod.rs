//! The wiring: who is started, in which order, and who is told about whom. The only room that knows everyone.
//!
//! Owns the daemon's life ([`up`]), its end ([`down`]) and its data directory ([`house`]). Must never hold a rule of the domain.

pub mod down;
pub mod house;
pub mod metrics;
pub mod status;
pub mod up;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::api::guard::{BURST as API_BURST, RATE as API_RATE};
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::Capacity;
use evenkeel_core::world::{Limits, Pool, Settings};
use evenkeel_proxy::log::Format;
use evenkeel_proxy::spans::Endpoint;

use crate::acme::Server;
use crate::buckets::{BucketKeys, Mapping};
use crate::drivers::Isolations;

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// The region's name.
    pub region: String,
    /// The zones; empty for the region's a, b and c.
    pub zones: Vec<ZoneName>,
    /// What zones have for their instances.
    pub capacity: BTreeMap<ZoneName, Capacity>,
    /// The account id, 12 digits.
    pub account: String,
    /// What balancers' DNS names end in.
    pub dns_domain: String,
    /// Where the name server listens, if it is to.
    pub dns_listen: Option<SocketAddr>,
    /// A domain of the user's own, under which each balancer answers to its name besides.
    pub own_domain: Option<String>,
    /// Where balancers' node addresses come from.
    pub node_pool: Pool,
    /// Where instances' addresses come from.
    pub instance_pool: Pool,
    /// What keeps instances apart, zone by zone.
    pub isolation: Isolations,
    /// Where those in zones with a pool of their own come from.
    pub instance_pools: BTreeMap<ZoneName, Pool>,
    /// Added to ports that this process may not bind; 0 refuses them instead.
    pub port_shift: u16,
    /// The road's worker threads; 0 for one a core.
    pub workers: usize,
    /// How the road writes its access log, if it does.
    pub access_log: Option<Format>,
    /// Whether requests get `X-Amzn-Trace-Id` and `traceparent`.
    pub trace_ids: bool,
    /// Where spans go, and how many of a million requests have one.
    pub spans: Option<(Endpoint, u32)>,
    /// Buckets that are not folders of the data directory.
    pub log_buckets: Vec<Mapping>,
    /// What requests to stores are signed with.
    pub bucket_keys: Option<BucketKeys>,
    /// The file that names the server for e-mail, if there is one.
    pub smtp_config: Option<PathBuf>,
    /// How long a road that was replaced may finish what it has in flight.
    pub road_drain: Duration,
    /// Whether signatures of version 2 are believed, besides those of version 4.
    pub sigv2: bool,
    /// Calls of the API that an access key may make in a second, and at once; a rate of 0 does not limit them.
    pub api_rate: (u32, u32),
    /// The server that requested certificates come from; without one none can be requested.
    pub acme: Option<Server>,
    /// The program whose `road` and `agent` sub-commands are started; the running one by default.
    pub program: Option<PathBuf>,
}

impl Options {
    /// The World's settings, with what this process may bind.
    ///
    /// # Errors
    /// A zone name that the region's name cannot make.
    pub fn settings(&self, lowest_port: u16) -> anyhow::Result<Settings> {
        let mut zones = self.zones.clone();
        if zones.is_empty() {
            zones = ["a", "b", "c"]
                .map(|letter| ZoneName::new(format!("{}{letter}", self.region)))
                .into_iter()
                .collect::<Result<_, _>>()?;
        }
        Ok(Settings {
            region: self.region.clone(),
            zones,
            capacity: self.capacity.clone(),
            account: self.account.clone(),
            dns_domain: self.dns_domain.clone(),
            node_pool: self.node_pool,
            instance_pool: self.instance_pool,
            instance_pools: self.instance_pools.clone(),
            lowest_port,
            port_shift: self.port_shift,
            limits: Limits::default(),
        })
    }
}
