//! The link between the office and the road: two processes, one socket, so that the road outlives the office.
//!
//! Owns the messages ([`ToRoad`], [`FromRoad`]) and their framing ([`frame`]). The road's end is [`road`]; the office's
//! end is `loops/road`; [`look`] is for who only looks, [`handover`] for the road's next process. Must never carry anything but intent down and sightings up.

pub mod build;
mod elders;
pub mod frame;
pub mod handover;
pub mod look;
pub mod road;
mod secrets;
pub mod start;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName, ZoneName};
use evenkeel_core::routes::{BalancerRoutes, Routes};
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, cause};
use evenkeel_proxy::meter;
use evenkeel_proxy::proto::guard::Reason;
use evenkeel_proxy::spans::Endpoint;
use serde::{Deserialize, Serialize};

/// The version of this link. Both ends are one binary; they differ only while one is being replaced.
pub const VERSION: u32 = 1;

/// What the office tells the road.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToRoad {
    /// The next Routes, as a difference to those sent before on this connection.
    Publish {
        /// Their generation.
        generation: u64,
        /// Whether `changed` is everything there is.
        whole: bool,
        /// Balancers that are new or altered.
        changed: Vec<Arc<BalancerRoutes>>,
        /// Balancers that are gone.
        removed: Vec<LoadBalancerName>,
    },
    /// Drain for at most so long and end.
    Leave {
        /// Milliseconds.
        drain_ms: u64,
    },
}

/// What the road tells the office.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromRoad {
    /// The first words on a connection.
    Hello {
        /// [`VERSION`] of the road's binary.
        version: u32,
        /// The road's process id.
        pid: u32,
        /// Its [`build::id`]; empty from roads that do not know theirs.
        #[serde(default)]
        build: String,
        /// What it was started with, as [`RoadOptions::arguments`].
        #[serde(default)]
        options: Vec<String>,
    },
    /// What was seen since the last report.
    Report(Report),
    /// Another process has taken over: it answers where this one did.
    Moved,
}

/// One report of the road.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The generation that every worker drives by.
    pub applied: u64,
    /// Verdicts that changed since the last report on this connection, `None` for targets that are gone; the first
    /// report holds all.
    pub health: Vec<(LoadBalancerName, InstanceId, Option<Health>)>,
    /// Requests and connections in flight on targets that get nothing new any more; those not listed have none.
    pub departing: Vec<(LoadBalancerName, InstanceId, u32)>,
    /// Listeners that are not served, in words. Always all of them.
    pub bind_faults: Vec<String>,
    /// Targets that are passed over now for failing requests, and how. Always all of them.
    #[serde(default)]
    pub passed_over: Vec<(LoadBalancerName, InstanceId, String)>,
    /// Balancers at which requests wait for instances that are yet to come. Always all of them.
    #[serde(default)]
    pub called: Vec<LoadBalancerName>,
    /// Counts since the road started, at most one a second; empty in between.
    pub counts: Vec<Count>,
    /// The same by balancer and zone.
    #[serde(default)]
    pub nodes: Vec<NodeCount>,
    /// The same of the road itself; `None` in between.
    #[serde(default)]
    pub road: Option<RoadCount>,
}

/// What the road counted on one node of one balancer, since the road started; as [`meter::NodeMeters`] has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCount {
    /// The balancer.
    pub balancer: String,
    /// The node's zone; empty for none.
    pub zone: String,
    /// Requests understood, or TCP connections made to an instance.
    pub requests: u64,
    /// Answers of instances by class: index 0 is 1xx.
    pub from_instance: [u64; 5],
    /// Failures by cause; those that have none are left out.
    pub from_balancer: Vec<CauseCount>,
    /// Requests that were not compliant, by AWS's reason; its name stands in `cause`, and there is no status.
    #[serde(default)]
    pub desync: Vec<CauseCount>,
    /// Connections to instances that could not be made.
    pub connect_errors: u64,
    /// Requests tried again.
    pub retries: u64,
    /// Requests that were not tried again because too many were.
    #[serde(default)]
    pub denied: u64,
    /// Instances that were passed over for failing requests.
    #[serde(default)]
    pub ejections: u64,
    /// Requests that wait for an instance to be free.
    #[serde(default)]
    pub surge_queue: u64,
    /// The most that did at a time, in this minute or the one before.
    #[serde(default)]
    pub surge_queue_max: u64,
    /// Connections that an instance ended in the midst of an exchange.
    pub resets: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Client connections open now.
    pub open_clients: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Client connections from addresses that may not connect.
    #[serde(default)]
    pub turned_away: u64,
    /// Client connections that ended before their TLS handshake was complete.
    #[serde(default)]
    pub handshake_errors: u64,
    /// Latencies by step; see [`meter::step_end`].
    pub latency: Vec<u64>,
    /// All of them together, in microseconds.
    pub latency_us: u64,
}

/// Failures of one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseCount {
    /// The fault's label.
    pub cause: String,
    /// The status of the balancer's own answer; 0 for none.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// What the road counted of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoadCount {
    /// Records of the access log that were dropped.
    pub log_dropped: u64,
    /// Spans that the collector took.
    #[serde(default)]
    pub spans_sent: u64,
    /// Spans that were dropped.
    #[serde(default)]
    pub spans_dropped: u64,
    /// Panics that were contained.
    pub panics: u64,
    /// Times that accepting was paused.
    pub accept_pauses: u64,
}

impl NodeCount {
    /// As one node's meters have it.
    #[must_use]
    pub fn of(balancer: &LoadBalancerName, zone: Option<&ZoneName>, node: &meter::NodeMeters) -> Self {
        let cause = |(fault, count): (&Fault, &u64)| CauseCount {
            cause: cause::label(*fault).to_owned(),
            status: fault.verdict().status,
            count: *count,
        };
        let reason =
            |(reason, count): (&Reason, &u64)| CauseCount { cause: format!("{reason:?}"), status: 0, count: *count };
        Self {
            balancer: balancer.to_string(),
            zone: zone.map(ToString::to_string).unwrap_or_default(),
            requests: node.requests,
            from_instance: node.from_instance,
            from_balancer: node.from_balancer.iter().map(cause).collect(),
            desync: node.desync_reasons.iter().map(reason).collect(),
            connect_errors: node.connect_errors,
            retries: node.retries,
            denied: node.denied,
            ejections: node.ejections,
            surge_queue: node.surge_queue,
            surge_queue_max: node.surge_queue_max,
            resets: node.resets,
            bytes_in: node.bytes_in,
            bytes_out: node.bytes_out,
            open_clients: node.open_clients,
            accepted: node.accepted,
            turned_away: node.turned_away,
            handshake_errors: node.handshake_errors,
            latency: node.latency.to_vec(),
            latency_us: u64::try_from(node.latency_sum.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// What a road is started with; it keeps it for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoadOptions {
    /// Worker threads; 0 for one a core.
    pub workers: usize,
    /// How the access log is written, if it is.
    pub access_log: Option<Format>,
    /// Whether requests get `X-Amzn-Trace-Id` and `traceparent`.
    pub trace_ids: bool,
    /// Where spans go, and how many of a million requests have one.
    pub spans: Option<(Endpoint, u32)>,
    /// How long requests and connections may go on once another process has taken over.
    pub drain: Duration,
}

/// What [`RoadOptions::drain`] is where nobody says.
pub const DRAIN: Duration = Duration::from_secs(300);

impl Default for RoadOptions {
    fn default() -> Self {
        Self { workers: 0, access_log: None, trace_ids: false, spans: None, drain: DRAIN }
    }
}

impl RoadOptions {
    /// As arguments of the command that runs a road.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut all = vec!["--workers".into(), self.workers.to_string()];
        all.extend(["--access-log".into(), self.access_log.map_or("off", Format::as_str).to_owned()]);
        if self.trace_ids {
            all.push("--trace-ids".into());
        }
        if let Some((endpoint, per_million)) = &self.spans {
            all.extend(["--spans-to".into(), endpoint.to_string()]);
            all.extend(["--spans-share".into(), (f64::from(*per_million) / 1e6).to_string()]);
        }
        all.extend(["--drain".into(), self.drain.as_secs().to_string()]);
        all
    }
}

/// What the road counted for one target of one balancer, since the road started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The balancer.
    pub balancer: String,
    /// The instance; empty for what the balancer answered itself.
    pub instance: String,
    /// Requests, or TCP connections, sent to it.
    pub requests: u64,
    /// Of its answers, those with a 5xx status.
    pub errors: u64,
    /// Connections that could not be made.
    pub connect_errors: u64,
    /// Requests, or TCP connections, in flight on it now.
    #[serde(default)]
    pub in_flight: u32,
}

/// The message that leads from one snapshot to the next.
#[must_use]
pub fn difference(before: Option<&Routes>, after: &Routes) -> ToRoad {
    let held = |name: &LoadBalancerName| before.and_then(|routes| routes.balancers.get(name));
    let altered = |(name, balancer): &(&LoadBalancerName, &Arc<BalancerRoutes>)| {
        held(name).is_none_or(|old| !Arc::ptr_eq(old, balancer) && old != *balancer)
    };
    let changed = after.balancers.iter().filter(altered).map(|(_, balancer)| Arc::clone(balancer)).collect();
    let gone = |name: &&LoadBalancerName| !after.balancers.contains_key(*name);
    let removed = before.map(|b| b.balancers.keys().filter(gone).cloned().collect()).unwrap_or_default();
    ToRoad::Publish { generation: after.generation, whole: before.is_none(), changed, removed }
}

/// Carries a published difference out on the Routes held.
#[must_use]
pub fn apply(
    held: &Routes,
    generation: u64,
    whole: bool,
    changed: Vec<Arc<BalancerRoutes>>,
    removed: &[LoadBalancerName],
) -> Routes {
    let mut balancers = if whole { Default::default() } else { held.balancers.clone() };
    for name in removed {
        balancers.remove(name);
    }
    for balancer in changed {
        // One that came over the wire the same as before stays shared, so that the road rebuilds nothing for it.
        let same = held.balancers.get(&balancer.name).filter(|old| ***old == *balancer).cloned();
        balancers.insert(balancer.name.clone(), same.unwrap_or(balancer));
    }
    Routes { generation, balancers }
}
