//! What was measured on the road.
//!
//! Owns the counters of each worker and their sum on reading. Must never take a lock per request: a worker holds the
//! blocks it writes, and is their only writer. Who reads: [`crate::road::Road::meters`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::name::{InstanceId, LoadBalancerName, ZoneName};
use evenkeel_core::routes::BalancerRoutes;

use crate::fault::Fault;
use crate::proto::guard::{Finding, Reason};

/// Latency buckets: 16 for each power of two of microseconds, so a bucket's bounds are within 6.25 % of its values;
/// the last one holds everything from 36 minutes up.
pub const LATENCY_BUCKETS: usize = 16 * 28;

/// Steps of a node's latencies, for metrics: the first is up to 64 µs, each next one twice as far, the last one holds
/// everything from 67 s up.
pub const LATENCY_STEPS: usize = 22;

/// The most that falls into a step; `None` for the last one, which has no end.
#[must_use]
pub fn step_end(step: usize) -> Option<Duration> {
    (step + 1 < LATENCY_STEPS).then(|| Duration::from_micros(64 << step))
}

/// The step that a latency in microseconds falls into.
fn step_of(micros: u64) -> usize {
    let beyond = micros.saturating_sub(1) >> 6;
    ((u64::BITS - beyond.leading_zeros()) as usize).min(LATENCY_STEPS - 1)
}

/// A count with one writer: a plain load and store, which costs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One worker's counts for one node (zone) of a balancer.
#[derive(Debug, Default)]
pub(crate) struct NodeBlock {
    pub(crate) requests: Counter,
    pub(crate) desync: Counter,
    desync_reasons: [Counter; Reason::COUNT],
    pub(crate) from_instance: [Counter; 5],
    pub(crate) from_balancer: [Counter; Fault::COUNT],
    pub(crate) connect_errors: Counter,
    pub(crate) retries: Counter,
    pub(crate) denied: Counter,
    pub(crate) ejections: Counter,
    pub(crate) resets: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) open_clients: Counter,
    pub(crate) open_streams: Counter,
    pub(crate) accepted: Counter,
    pub(crate) handshake_errors: Counter,
    pub(crate) turned_away: Counter,
    latency: [Counter; LATENCY_STEPS],
    latency_us: Counter,
}

impl NodeBlock {
    /// A request was not compliant.
    pub(crate) fn desynced(&self, finding: Finding) {
        self.desync.add(1);
        if let Some(count) = self.desync_reasons.get(finding.reason.index()) {
            count.add(1);
        }
    }

    /// An instance's answer began, or a connection to it was made, after so long.
    pub(crate) fn record(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        if let Some(step) = self.latency.get(step_of(micros)) {
            step.add(1);
        }
        self.latency_us.add(micros);
    }
}

/// One worker's counts for one target.
#[derive(Debug, Default)]
pub(crate) struct TargetBlock {
    pub(crate) requests: Counter,
    pub(crate) answers: [Counter; 5],
    pub(crate) connect_errors: Counter,
    pub(crate) resets: Counter,
    pub(crate) connects: Counter,
    pub(crate) ejections: Counter,
}

/// One worker's latencies for one balancer.
#[derive(Debug)]
pub(crate) struct LatencyBlock(Box<[Counter]>);

impl Default for LatencyBlock {
    fn default() -> Self {
        Self((0..LATENCY_BUCKETS).map(|_| Counter::default()).collect())
    }
}

impl LatencyBlock {
    pub(crate) fn record(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.0.get(bucket_of(micros)) {
            bucket.add(1);
        }
    }
}

/// The bucket that a latency in microseconds falls into.
fn bucket_of(micros: u64) -> usize {
    if micros < 16 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = 63 - micros.leading_zeros();
    let sub = (micros >> (power - 4)) & 15;
    let index = u64::from(power - 3) * 16 + sub;
    usize::try_from(index).unwrap_or(LATENCY_BUCKETS).min(LATENCY_BUCKETS - 1)
}

/// The lowest latency that falls into a bucket.
fn bucket_floor(bucket: usize) -> Duration {
    let (group, sub) = (bucket / 16, (bucket % 16) as u64);
    let micros = if group == 0 { sub } else { (16 + sub) << (group - 1) };
    Duration::from_micros(micros)
}

/// The blocks of one balancer in one worker.
#[derive(Debug, Default)]
struct Pages {
    nodes: BTreeMap<Option<ZoneName>, Arc<NodeBlock>>,
    targets: BTreeMap<InstanceId, Arc<TargetBlock>>,
    latency: Arc<LatencyBlock>,
}

/// All blocks of one worker. Locked when Routes change and when a report is made.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<BTreeMap<LoadBalancerName, Pages>>,
}

impl Book {
    pub(crate) fn node(&self, balancer: &LoadBalancerName, zone: &Option<ZoneName>) -> Arc<NodeBlock> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pages.entry(balancer.clone()).or_default().nodes.entry(zone.clone()).or_default())
    }

    pub(crate) fn target(&self, balancer: &LoadBalancerName, instance: &InstanceId) -> Arc<TargetBlock> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pages.entry(balancer.clone()).or_default().targets.entry(instance.clone()).or_default())
    }

    pub(crate) fn latency(&self, balancer: &LoadBalancerName) -> Arc<LatencyBlock> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&pages.entry(balancer.clone()).or_default().latency)
    }

    /// Forgets what of this balancer is not in these Routes of it any more (`None`: the balancer itself), once nothing
    /// counts on it. False while something still does.
    pub(crate) fn settle(&self, balancer: &LoadBalancerName, routes: Option<&BalancerRoutes>) -> bool {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(page) = pages.get_mut(balancer) else { return true };
        let known: BTreeSet<&InstanceId> =
            routes.iter().flat_map(|routes| routes.targets.iter().map(|target| &target.instance)).collect();
        page.targets.retain(|id, block| known.contains(id) || Arc::strong_count(block) > 1);
        if routes.is_some() {
            return page.targets.len() <= known.len();
        }
        let counting = page.nodes.values().any(|block| Arc::strong_count(block) > 1)
            || !page.targets.is_empty()
            || Arc::strong_count(&page.latency) > 1;
        if !counting {
            pages.remove(balancer);
        }
        !counting
    }

    fn add_to(&self, meters: &mut Meters) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, page) in pages.iter() {
            let sum = meters.balancers.entry(name.clone()).or_default();
            for (zone, block) in &page.nodes {
                sum.nodes.entry(zone.clone()).or_default().add(block);
            }
            for (id, block) in &page.targets {
                sum.targets.entry(id.clone()).or_default().add(block);
            }
            for (total, bucket) in sum.latency.counts.iter_mut().zip(page.latency.0.iter()) {
                *total += bucket.value();
            }
        }
    }
}

/// Sums over all workers since the road was started; counts only grow, except `open_clients`.
pub(crate) fn sum<'a>(books: impl Iterator<Item = &'a Book>) -> Meters {
    let mut meters = Meters::default();
    books.for_each(|book| book.add_to(&mut meters));
    meters
}

/// Everything the road has counted, summed over its workers at the moment of reading.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// By balancer; one that left Routes is kept while connections still count on it.
    pub balancers: BTreeMap<LoadBalancerName, BalancerMeters>,
    /// Panics that were contained, each at the cost of one connection.
    pub panics: u64,
    /// Times that accepting was paused for want of file descriptors or by the cap on connections.
    pub accept_pauses: u64,
    /// Records of the access log for which there was no room, or that the disk refused.
    pub log_dropped: u64,
    /// Spans that the collector took.
    pub spans_sent: u64,
    /// Spans for which there was no room, or that the collector did not take.
    pub spans_dropped: u64,
}

/// One balancer's counts.
#[derive(Clone, Debug, Default)]
pub struct BalancerMeters {
    /// By the zone of the node that clients came to; `None` for a node of no zone.
    pub nodes: BTreeMap<Option<ZoneName>, NodeMeters>,
    /// By instance.
    pub targets: BTreeMap<InstanceId, TargetMeters>,
    /// From the last byte of a request's head to the first of its response (HTTP), or the time to connect (TCP).
    pub latency: Latency,
}

impl BalancerMeters {
    /// All nodes' counts together.
    #[must_use]
    pub fn total(&self) -> NodeMeters {
        self.nodes.values().fold(NodeMeters::default(), |mut total, node| {
            total.merge(node);
            total
        })
    }
}

/// What one node counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMeters {
    /// Requests that were understood (HTTP), or connections made to an instance (TCP).
    pub requests: u64,
    /// Requests that were not compliant, carried on or refused: DesyncMitigationMode_NonCompliant_Request_Count.
    pub desync: u64,
    /// The same by reason; those that never came up are left out.
    pub desync_reasons: BTreeMap<Reason, u64>,
    /// Answers relayed from instances, by class: index 0 is 1xx, 4 is 5xx and anything above.
    pub from_instance: [u64; 5],
    /// Failures by cause, whether they ended in an answer of the balancer's own or in a cut connection.
    pub from_balancer: BTreeMap<Fault, u64>,
    /// Connections to instances that could not be made, retried ones among them.
    pub connect_errors: u64,
    /// Requests tried again on another instance or connection.
    pub retries: u64,
    /// Requests that were not tried again, though that was safe, because too many were.
    pub denied: u64,
    /// Instances that were passed over for failing requests.
    pub ejections: u64,
    /// Requests and connections that wait now for an instance to be free: SurgeQueueLength.
    pub surge_queue: u64,
    /// The most that did so at a time on one address, in this minute or the one before it.
    pub surge_queue_max: u64,
    /// Connections that an instance reset or closed in the midst of an exchange.
    pub resets: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Client connections open now.
    pub open_clients: u64,
    /// Streams of HTTP/2 clients open now.
    pub open_streams: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Latencies by step; see [`step_end`].
    pub latency: [u64; LATENCY_STEPS],
    /// All of them together.
    pub latency_sum: Duration,
    /// Client connections that ended before their TLS handshake was complete.
    pub handshake_errors: u64,
    /// Client connections from addresses that may not connect.
    pub turned_away: u64,
}

impl NodeMeters {
    fn add(&mut self, block: &NodeBlock) {
        self.requests += block.requests.value();
        self.desync += block.desync.value();
        for (reason, count) in Reason::ALL.iter().zip(&block.desync_reasons) {
            if count.value() > 0 {
                *self.desync_reasons.entry(*reason).or_default() += count.value();
            }
        }
        for (total, count) in self.from_instance.iter_mut().zip(&block.from_instance) {
            *total += count.value();
        }
        for (fault, count) in Fault::ALL.iter().zip(&block.from_balancer) {
            if count.value() > 0 {
                *self.from_balancer.entry(*fault).or_default() += count.value();
            }
        }
        self.connect_errors += block.connect_errors.value();
        self.retries += block.retries.value();
        self.denied += block.denied.value();
        self.ejections += block.ejections.value();
        self.resets += block.resets.value();
        self.bytes_in += block.bytes_in.value();
        self.bytes_out += block.bytes_out.value();
        self.open_clients += block.open_clients.value();
        self.open_streams += block.open_streams.value();
        self.accepted += block.accepted.value();
        for (total, count) in self.latency.iter_mut().zip(&block.latency) {
            *total += count.value();
        }
        let sum = Duration::from_micros(block.latency_us.value());
        self.latency_sum = self.latency_sum.saturating_add(sum);
        self.handshake_errors += block.handshake_errors.value();
        self.turned_away += block.turned_away.value();
    }

    /// Requests and connections for which the surge queue had no room: SpilloverCount.
    #[must_use]
    pub fn spillover(&self) -> u64 {
        self.from_balancer.get(&Fault::QueueFull).copied().unwrap_or(0)
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.desync += other.desync;
        for (reason, count) in &other.desync_reasons {
            *self.desync_reasons.entry(*reason).or_default() += count;
        }
        for (total, count) in self.from_instance.iter_mut().zip(&other.from_instance) {
            *total += count;
        }
        for (fault, count) in &other.from_balancer {
            *self.from_balancer.entry(*fault).or_default() += count;
        }
        self.connect_errors += other.connect_errors;
        self.retries += other.retries;
        self.denied += other.denied;
        self.ejections += other.ejections;
        self.surge_queue += other.surge_queue;
        self.surge_queue_max = self.surge_queue_max.max(other.surge_queue_max);
        self.resets += other.resets;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.open_clients += other.open_clients;
        self.open_streams += other.open_streams;
        self.accepted += other.accepted;
        for (total, count) in self.latency.iter_mut().zip(&other.latency) {
            *total += count;
        }
        self.latency_sum = self.latency_sum.saturating_add(other.latency_sum);
        self.handshake_errors += other.handshake_errors;
        self.turned_away += other.turned_away;
    }
}

/// What one target counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetMeters {
    /// Requests or connections given to it, retries among them.
    pub requests: u64,
    /// Its answers by class: index 0 is 1xx, 4 is 5xx and anything above.
    pub answers: [u64; 5],
    /// Connections to it that could not be made.
    pub connect_errors: u64,
    /// Connections it reset or closed in the midst of an exchange.
    pub resets: u64,
    /// Connections made to it.
    pub connects: u64,
    /// Times it was passed over for failing requests.
    pub ejections: u64,
}

impl TargetMeters {
    fn add(&mut self, block: &TargetBlock) {
        self.requests += block.requests.value();
        for (total, count) in self.answers.iter_mut().zip(&block.answers) {
            *total += count.value();
        }
        self.connect_errors += block.connect_errors.value();
        self.resets += block.resets.value();
        self.connects += block.connects.value();
        self.ejections += block.ejections.value();
    }
}

/// A histogram of latencies in log-linear buckets.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; LATENCY_BUCKETS] }
    }
}

impl Latency {
    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The latency that `share` (0 to 1) of all stay at or below, to within a bucket (6.25 %); zero when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let total = self.count();
        let mut left = ((total as f64) * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            if *count >= left {
                return bucket_floor(bucket);
            }
            left -= count;
        }
        Duration::ZERO
    }

    /// Buckets that are not empty, as the lowest latency of each and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| (bucket_floor(bucket), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_narrow() {
        let mut last = 0;
        for micros in (0..100_000).chain((100_000..3_000_000_000).step_by(9_999_991)) {
            let bucket = bucket_of(micros);
            assert!(bucket >= last && bucket < LATENCY_BUCKETS, "{micros} µs in {bucket} after {last}");
            last = bucket;
            let floor = u64::try_from(bucket_floor(bucket).as_micros()).unwrap();
            assert!(floor <= micros, "{micros} µs below its bucket's floor {floor}");
            assert!(bucket == LATENCY_BUCKETS - 1 || micros - floor <= micros / 16, "{micros} µs far from {floor}");
        }
        assert_eq!(bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn a_step_ends_where_the_next_begins() {
        for step in 0..LATENCY_STEPS - 1 {
            let end = u64::try_from(step_end(step).unwrap().as_micros()).unwrap();
            assert_eq!((step_of(end), step_of(end + 1)), (step, step + 1));
        }
        assert_eq!((step_of(0), step_of(u64::MAX), step_end(LATENCY_STEPS - 1)), (0, LATENCY_STEPS - 1, None));
    }

    #[test]
    fn quantiles_come_from_the_sum_of_workers() {
        let (a, b) = (Book::default(), Book::default());
        let name = LoadBalancerName::new("test").unwrap();
        for n in 0..100 {
            let book = if n % 2 == 0 { &a } else { &b };
            book.latency(&name).record(Duration::from_millis(n));
            book.node(&name, &None).requests.add(1);
        }
        let meters = sum([&a, &b].into_iter());
        let balancer = &meters.balancers[&name];
        assert_eq!((balancer.latency.count(), balancer.total().requests), (100, 100));
        let median = balancer.latency.quantile(0.5);
        assert!(median >= Duration::from_millis(45) && median <= Duration::from_millis(50), "{median:?}");
    }

    #[test]
    fn a_balancer_that_left_is_forgotten_only_when_nobody_counts_on_it() {
        let book = Book::default();
        let name = LoadBalancerName::new("test").unwrap();
        let held = book.node(&name, &None);
        assert!(!book.settle(&name, None));
        assert!(sum([&book].into_iter()).balancers.contains_key(&name));
        drop(held);
        assert!(book.settle(&name, None) && book.settle(&name, None));
        assert!(sum([&book].into_iter()).balancers.is_empty());
    }
}
