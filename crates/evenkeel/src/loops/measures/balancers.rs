//! What balancers are measured by: AWS/ELB, with its names, units and dimensions.
//!
//! Source: "CloudWatch metrics for your Classic Load Balancer". The road counts since it started; what is put is what came to it
//! in a second. What did not happen is not put, as AWS does. Must never count: that is the road's. Next: [`super::instances`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use evenkeel_core::sightings::{Sightings, instance_health};
use evenkeel_core::world::World;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::cause;
use evenkeel_proxy::meter;

use super::spread;
use crate::link::{Count, NodeCount};
use crate::metrics::{Bucket, Sample, Unit};

const NAMESPACE: &str = "AWS/ELB";

/// Registered instances in service and not, by balancer and zone.
pub type Hosts = BTreeMap<(String, String), [u64; 2]>;

/// Counts registered instances by verdict, balancer and zone.
#[must_use]
pub fn hosts(world: &World, seen: &Sightings) -> Hosts {
    let mut hosts = Hosts::new();
    for balancer in world.load_balancers() {
        for id in &balancer.instances {
            let zone = world.instance(id).map(|instance| instance.zone.to_string()).unwrap_or_default();
            let serves = instance_health(world, seen, balancer, id).state == "InService";
            hosts.entry((balancer.name.to_string(), zone)).or_default()[usize::from(!serves)] += 1;
        }
    }
    hosts
}

/// What was counted a second ago.
#[derive(Debug, Default)]
pub(super) struct Balancers {
    /// Whether a road was heard before: what the first one has counted so far may be old.
    is_under_way: bool,
    nodes: BTreeMap<(String, String), NodeCount>,
}

/// What came to a count since it was `before`. A road that was started anew counts from 0.
fn since(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn dimensions(balancer: &str, zone: &str) -> Vec<Vec<(&'static str, String)>> {
    let (lb, az) = (("LoadBalancerName", balancer.to_owned()), ("AvailabilityZone", zone.to_owned()));
    match zone {
        "" => vec![vec![lb], Vec::new()],
        _ => vec![vec![lb.clone(), az.clone()], vec![lb], vec![az], Vec::new()],
    }
}

impl Balancers {
    /// What happened in the second up to now. `nodes` are what the road counted, if it was heard yet.
    pub fn samples(&mut self, nodes: Option<&[NodeCount]>, targets: &[Count], hosts: &Hosts, at: i64) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
        for node in nodes.unwrap_or_default() {
            let none = NodeCount::default();
            let before = match self.nodes.get(&(node.balancer.clone(), node.zone.clone())) {
                Some(before) => before,
                None if self.is_under_way => &none,
                None => node,
            };
            *requests.entry(&node.balancer).or_default() += since(before.requests, node.requests);
            of_node(before, node, at, &mut samples);
        }
        if let Some(nodes) = nodes {
            self.is_under_way = true;
            let key = |node: &NodeCount| (node.balancer.clone(), node.zone.clone());
            self.nodes = nodes.iter().map(|node| (key(node), node.clone())).collect();
        }
        of_hosts(hosts, &requests, at, &mut samples);
        of_targets(targets, hosts, at, &mut samples);
        samples
    }
}

fn of_node(before: &NodeCount, node: &NodeCount, at: i64, samples: &mut Vec<Sample>) {
    let sets = dimensions(&node.balancer, &node.zone);
    let put = spread(NAMESPACE, &sets, at);
    let mut count = |name: &str, unit: Unit, value: u64| {
        if value > 0 {
            samples.extend(put(name, unit, &Bucket::of(value as f64)));
        }
    };
    count("RequestCount", Unit::Count, since(before.requests, node.requests));
    for (class, name) in ["2XX", "3XX", "4XX", "5XX"].into_iter().enumerate() {
        let value = since(before.from_instance[class + 1], node.from_instance[class + 1]);
        count(&format!("HTTPCode_Backend_{name}"), Unit::Count, value);
    }
    let own = |node: &NodeCount, class: u16| {
        node.from_balancer.iter().filter(|c| c.status / 100 == class).map(|c| c.count).sum::<u64>()
    };
    count("HTTPCode_ELB_4XX", Unit::Count, since(own(before, 4), own(node, 4)));
    count("HTTPCode_ELB_5XX", Unit::Count, since(own(before, 5), own(node, 5)));
    count("BackendConnectionErrors", Unit::Count, since(before.connect_errors, node.connect_errors));
    let spilled = |node: &NodeCount| {
        let full = cause::label(Fault::QueueFull);
        node.from_balancer.iter().filter(|c| c.cause == full).map(|c| c.count).sum::<u64>()
    };
    count("SpilloverCount", Unit::Count, since(spilled(before), spilled(node)));
    let strange = |node: &NodeCount| node.desync.iter().map(|reason| reason.count).sum::<u64>();
    count("DesyncMitigationMode_NonCompliant_Request_Count", Unit::Count, since(strange(before), strange(node)));
    // What waits now; where more did in between, that. The road's own maximum is of up to two minutes.
    let is_new = node.surge_queue_max > before.surge_queue_max;
    count("SurgeQueueLength", Unit::Count, if is_new { node.surge_queue_max } else { node.surge_queue });
    let (fresh, bytes) = (
        since(before.accepted, node.accepted),
        since(before.bytes_in, node.bytes_in) + since(before.bytes_out, node.bytes_out),
    );
    count("EstimatedALBActiveConnectionCount", Unit::Count, node.open_clients);
    count("EstimatedALBNewConnectionCount", Unit::Count, fresh);
    count("EstimatedProcessedBytes", Unit::Bytes, bytes);
    let units = capacity_units(fresh, node.open_clients, bytes);
    if units > 0.0 {
        samples.extend(put("EstimatedALBConsumedLCUs", Unit::Count, &Bucket::of(units)));
    }
    if let Some(latency) = latency(before, node) {
        samples.extend(put("Latency", Unit::Seconds, &latency));
    }
}

/// Capacity units of an Application Load Balancer: the most used of 25 new connections a second, 3,000 active ones, and 1 GB an
/// hour. Source: "Elastic Load Balancing pricing".
fn capacity_units(fresh: u64, open: u64, bytes: u64) -> f64 {
    const BYTES_A_SECOND: f64 = 1e9 / 3600.0;
    (fresh as f64 / 25.0).max(open as f64 / 3000.0).max(bytes as f64 / BYTES_A_SECOND)
}

/// The latencies of a second. The road counts them in steps, each twice as wide as the one before, and sums them up exactly:
/// values within their steps are chosen so that their sum is that.
fn latency(before: &NodeCount, node: &NodeCount) -> Option<Bucket> {
    // Steps that were not there before counted nothing.
    let step_before = |step: usize| before.latency.get(step).copied().unwrap_or(0);
    let counts: Vec<u64> =
        node.latency.iter().enumerate().map(|(step, count)| since(step_before(step), *count)).collect();
    let middle = |step: usize| {
        let end = meter::step_end(step).or_else(|| meter::step_end(step.checked_sub(1)?)).unwrap_or_default();
        end.as_secs_f64() * 0.75
    };
    let guessed: f64 = counts.iter().enumerate().map(|(step, count)| middle(step) * *count as f64).sum();
    if guessed <= 0.0 {
        return None;
    }
    let exact = since(before.latency_us, node.latency_us) as f64 / 1e6;
    let scale = (exact / guessed).clamp(0.01, 2.0);
    let values = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    Bucket::of_all(values.map(|(step, count)| (middle(step) * scale, *count as f64)))
}

/// Hosts are counted whole under each set of dimensions: those of a balancer, of a zone, and all.
fn of_hosts(hosts: &Hosts, requests: &BTreeMap<&str, u64>, at: i64, samples: &mut Vec<Sample>) {
    type Set = Vec<(&'static str, String)>;
    let mut sums: BTreeMap<Set, [u64; 2]> = BTreeMap::new();
    for ((balancer, zone), counts) in hosts {
        for set in dimensions(balancer, zone) {
            let sum = sums.entry(set).or_default();
            (sum[0], sum[1]) = (sum[0] + counts[0], sum[1] + counts[1]);
        }
    }
    for (set, [healthy, unhealthy]) in sums {
        let put_in = [set];
        let put = spread(NAMESPACE, &put_in, at);
        samples.extend(put("HealthyHostCount", Unit::Count, &Bucket::of(healthy as f64)));
        samples.extend(put("UnHealthyHostCount", Unit::Count, &Bucket::of(unhealthy as f64)));
        // Requests by instance, for rules that hold them to a number: AWS has it of Application Load Balancers.
        if let [(name, balancer)] = put_in[0].as_slice()
            && *name == "LoadBalancerName"
            && let Some(count) = requests.get(balancer.as_str())
        {
            // None are a value too: whoever holds them to a number takes away what has nothing to do.
            let each = *count as f64 / healthy.max(1) as f64;
            samples.extend(put("RequestCountPerTarget", Unit::Count, &Bucket::of(each)));
        }
    }
}

/// What is in flight, on each instance and in all. Ours: AWS does not tell.
fn of_targets(targets: &[Count], hosts: &Hosts, at: i64, samples: &mut Vec<Sample>) {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for target in targets.iter().filter(|target| !target.instance.is_empty()) {
        match sums.entry(&target.balancer) {
            Entry::Occupied(mut sum) => *sum.get_mut() += u64::from(target.in_flight),
            Entry::Vacant(sum) => drop(sum.insert(u64::from(target.in_flight))),
        }
        let set = vec![("LoadBalancerName", target.balancer.clone()), ("InstanceId", target.instance.clone())];
        let put = Bucket::of(f64::from(target.in_flight));
        samples.extend(spread(NAMESPACE, &[set], at)("InFlightRequests", Unit::Count, &put));
    }
    for (balancer, in_flight) in sums {
        let sets = [vec![("LoadBalancerName", balancer.to_owned())]];
        let put = spread(NAMESPACE, &sets, at);
        samples.extend(put("InFlightRequests", Unit::Count, &Bucket::of(in_flight as f64)));
        let healthy: u64 = hosts.iter().filter(|((name, _), _)| name == balancer).map(|(_, counts)| counts[0]).sum();
        let each = in_flight as f64 / healthy.max(1) as f64;
        samples.extend(put("InFlightRequestsPerTarget", Unit::Count, &Bucket::of(each)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metric, Statistic};

    fn node(zone: &str) -> NodeCount {
        NodeCount {
            balancer: "web".into(),
            zone: zone.into(),
            latency: vec![0; meter::LATENCY_STEPS],
            ..NodeCount::default()
        }
    }

    fn find<'s>(samples: &'s [Sample], name: &str, dimensions: &[(&str, &str)]) -> Vec<&'s Sample> {
        let metric = Metric::new(NAMESPACE, name, dimensions.iter().map(|(n, v)| (*n, *v)));
        samples.iter().filter(|sample| sample.metric == metric).collect()
    }

    #[test]
    fn what_came_in_a_second_is_put_under_all_dimensions_and_what_did_not_is_not() {
        let mut balancers = Balancers::default();
        let mut held = NodeCount { requests: 1000, ..node("a") };
        let samples = balancers.samples(Some(std::slice::from_ref(&held)), &[], &Hosts::new(), 1);
        assert!(samples.is_empty(), "what was counted before us is old: {samples:?}");
        held.requests += 5;
        held.from_instance[1] += 4;
        held.bytes_out += 100;
        let other = NodeCount { requests: 2, ..node("b") };
        let samples = balancers.samples(Some(&[held.clone(), other]), &[], &Hosts::new(), 2);
        for (dimensions, sums) in [
            (&[("LoadBalancerName", "web"), ("AvailabilityZone", "a")][..], &[5.0][..]),
            (&[("LoadBalancerName", "web")], &[5.0, 2.0]),
            (&[("AvailabilityZone", "b")], &[2.0]),
            (&[], &[5.0, 2.0]),
        ] {
            let found = find(&samples, "RequestCount", dimensions);
            assert_eq!(found.iter().map(|s| s.bucket.sum).collect::<Vec<_>>(), sums, "{dimensions:?}");
            assert!(found.iter().all(|sample| sample.unit == Unit::Count && sample.at == 2));
        }
        assert_eq!(find(&samples, "HTTPCode_Backend_2XX", &[])[0].bucket.sum, 4.0);
        assert_eq!(find(&samples, "EstimatedProcessedBytes", &[])[0].unit, Unit::Bytes);
        assert!(find(&samples, "HTTPCode_Backend_5XX", &[]).is_empty());
        // A road that was started anew counts from the beginning.
        let anew = NodeCount { requests: 3, ..node("a") };
        let samples = balancers.samples(Some(&[anew]), &[], &Hosts::new(), 3);
        assert_eq!(find(&samples, "RequestCount", &[])[0].bucket.sum, 3.0);
        // A road that is not heard changes nothing, and what a road begins to count after it was heard is new.
        assert!(balancers.samples(None, &[], &Hosts::new(), 4).is_empty());
        let mut balancers = Balancers::default();
        assert!(balancers.samples(Some(&[]), &[], &Hosts::new(), 1).is_empty());
        let samples = balancers.samples(Some(&[NodeCount { requests: 7, ..node("a") }]), &[], &Hosts::new(), 2);
        assert_eq!(find(&samples, "RequestCount", &[])[0].bucket.sum, 7.0);
    }

    #[test]
    fn latencies_have_their_exact_sum_and_stay_near_their_steps() {
        let mut after = node("a");
        // 3 of about 1 ms, one of about 100 ms.
        (after.latency[4], after.latency[11], after.latency_us) = (3, 1, 103_000);
        let bucket = latency(&node("a"), &after).unwrap();
        assert_eq!(bucket.count, 4.0);
        assert!((bucket.sum - 0.103).abs() < 1e-9, "{bucket:?}");
        let median = Statistic::Percentile(0.5).of(&bucket).unwrap();
        assert!((0.0005..0.002).contains(&median), "{median}");
        (after.latency[11], after.latency_us) = (0, 3_000);
        let bucket = latency(&node("a"), &after).unwrap();
        assert!((bucket.max - 0.001).abs() < 1e-9, "what is alike is exact: {bucket:?}");
        assert_eq!(latency(&after, &after), None);
    }

    #[test]
    fn hosts_and_what_is_in_flight_are_counted_by_balancer() {
        let hosts: Hosts = [
            (("web".into(), "a".into()), [2, 1]),
            (("web".into(), "b".into()), [1, 0]),
            (("x".into(), "a".into()), [0, 1]),
        ]
        .into();
        let target = |instance: &str, in_flight: u32| Count {
            balancer: "web".into(),
            instance: instance.into(),
            in_flight,
            ..Count::default()
        };
        let mut balancers = Balancers::default();
        let busy = [target("", 0), target("i-1", 4), target("i-2", 2)];
        balancers.samples(Some(&[node("a")]), &[], &hosts, 1);
        let samples = balancers.samples(Some(&[NodeCount { requests: 9, ..node("a") }]), &busy, &hosts, 2);
        let sum = |name: &str, dimensions: &[(&str, &str)]| find(&samples, name, dimensions)[0].bucket.sum;
        let web = [("LoadBalancerName", "web")];
        assert_eq!((sum("HealthyHostCount", &web), sum("UnHealthyHostCount", &web)), (3.0, 1.0));
        assert_eq!(sum("UnHealthyHostCount", &[("AvailabilityZone", "a")]), 2.0);
        assert_eq!(sum("HealthyHostCount", &[]), 3.0);
        assert_eq!(sum("RequestCountPerTarget", &web), 3.0);
        assert_eq!((sum("InFlightRequests", &web), sum("InFlightRequestsPerTarget", &web)), (6.0, 2.0));
        assert_eq!(sum("InFlightRequests", &[("LoadBalancerName", "web"), ("InstanceId", "i-1")]), 4.0);
    }
}
