//! What the daemon and its road measured, as Prometheus reads it: `GET /metrics`.
//!
//! Owns the metrics' names, which follow AWS's (`RequestCount`, `HTTPCode_ELB_5XX` …) where AWS has one, and the text
//! format (Prometheus, "Exposition formats", 0.0.4). Must never measure: the road counts, `loops/road` brings it here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::cause;
use evenkeel_proxy::meter;

use super::status::{Reporter, ZoneReport, zones};
use crate::link::{NodeCount, RoadCount};
use crate::loops::measures::balancers::hosts;

mod measured;

/// Bytes.
const MIB: f64 = 1_048_576.0;

/// Labels of a value, as written between braces.
type Labels = String;

/// One page in the making: each metric's head once, then its values.
#[derive(Default)]
struct Page(String);

impl Page {
    fn metric<V: std::fmt::Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
}

/// A label's value: what a backslash, a quote or a line's end would break is escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn place(balancer: &str, zone: &str) -> Labels {
    format!("load_balancer=\"{}\",availability_zone=\"{}\"", escaped(balancer), escaped(zone))
}

impl Reporter {
    /// The page as of now; the road's counts are at most about a second old.
    #[must_use]
    pub fn metrics(&self) -> String {
        let (nodes, road) = self.counts.nodes();
        let seen = Arc::clone(&self.sightings.borrow());
        let mut page = Page::default();
        of_nodes(&mut page, &nodes);
        self.hosts(&mut page);
        measured::of_instances(&mut page, self.measured.reader(), crate::loops::seconds());
        measured::of_store(&mut page, &self.measured.reader().counts());
        of_zones(&mut page, &zones(&self.keeper.world()));
        of_road(&mut page, &road);
        let applied = seen.road.as_ref().map(|road| road.applied);
        page.single("evenkeel_road_up", "gauge", "Whether the road answers.", u64::from(applied.is_some()));
        page.single("evenkeel_road_generation", "gauge", "The Routes that the road drives by.", applied.unwrap_or(0));
        let queries = self.dns.all().map(|(outcome, count)| (format!("outcome=\"{outcome}\""), count));
        page.metric("evenkeel_dns_total", "counter", "What the name server counted.", queries);
        let notices = self.outbox.counts();
        let help = "Messages that subscribers took.";
        page.single("evenkeel_notices_delivered_total", "counter", help, notices.delivered);
        let help = "Messages that subscribers did not get: refused, too many, or an hour old.";
        page.single("evenkeel_notices_given_up_total", "counter", help, notices.given_up);
        let waiting = u64::try_from(notices.waiting).unwrap_or(u64::MAX);
        page.single("evenkeel_notices_waiting", "gauge", "Messages that wait for a subscriber.", waiting);
        page.single("evenkeel_generation", "gauge", "The newest state.", self.keeper.world().generation());
        page.0
    }

    /// Registered instances by verdict and zone.
    fn hosts(&self, page: &mut Page) {
        let counts = hosts(&self.keeper.world(), &self.sightings.borrow());
        let of = |which: usize| counts.iter().map(move |((name, zone), count)| (place(name, zone), count[which]));
        page.metric("aws_elb_healthy_host_count", "gauge", "HealthyHostCount: instances in service.", of(0));
        page.metric("aws_elb_unhealthy_host_count", "gauge", "UnHealthyHostCount: instances out of service.", of(1));
        let targets = self.counts.last();
        let busy = targets.iter().filter(|target| !target.instance.is_empty()).map(|target| {
            let labels =
                format!("load_balancer=\"{}\",instance=\"{}\"", escaped(&target.balancer), escaped(&target.instance));
            (labels, target.in_flight)
        });
        let help = "InFlightRequests: requests and connections in flight on an instance.";
        page.metric("aws_elb_in_flight_requests", "gauge", help, busy);
    }
}

/// What zones are declared to have, where they are, and what their instances may use.
fn of_zones(page: &mut Page, zones: &BTreeMap<String, ZoneReport>) {
    let at = |zone: &String| format!("availability_zone=\"{}\"", escaped(zone));
    let used = |value: fn(&ZoneReport) -> f64| zones.iter().map(move |(zone, report)| (at(zone), value(report)));
    let declared = |value: fn(&ZoneReport) -> Option<f64>| {
        zones.iter().filter_map(move |(zone, report)| Some((at(zone), value(report)?)))
    };
    let help = "Processors that the zone is declared to have for instances.";
    let name = "evenkeel_zone_declared_cpus";
    page.metric(name, "gauge", help, declared(|z| z.declared_cpu_millis.map(|millis| millis as f64 / 1000.0)));
    let help = "Processors that instances may use which are neither stopped nor terminated.";
    page.metric("evenkeel_zone_used_cpus", "gauge", help, used(|z| z.used_cpu_millis as f64 / 1000.0));
    let help = "Memory that the zone is declared to have for instances.";
    let name = "evenkeel_zone_declared_memory_bytes";
    page.metric(name, "gauge", help, declared(|z| z.declared_memory_mib.map(|mib| mib as f64 * MIB)));
    let help = "Memory that instances may use which are neither stopped nor terminated.";
    page.metric("evenkeel_zone_used_memory_bytes", "gauge", help, used(|z| z.used_memory_mib as f64 * MIB));
}

fn of_nodes(page: &mut Page, nodes: &[NodeCount]) {
    let each = |value: fn(&NodeCount) -> u64| {
        nodes.iter().map(move |node| (place(&node.balancer, &node.zone), value(node))).collect::<Vec<_>>()
    };
    let help = "RequestCount: requests understood, or TCP connections made to an instance.";
    page.metric("aws_elb_request_count_total", "counter", help, each(|n| n.requests));
    latencies(page, nodes);
    for (class, name) in ["2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
        let values = nodes.iter().map(|n| (place(&n.balancer, &n.zone), n.from_instance[class + 1]));
        let help = format!("HTTPCode_Backend_{}: answers of instances.", name.to_uppercase());
        page.metric(&format!("aws_elb_httpcode_backend_{name}_total"), "counter", &help, values);
    }
    for (class, name) in [(4, "4xx"), (5, "5xx")] {
        let help = format!("HTTPCode_ELB_{}: answers of the balancer's own, by cause.", name.to_uppercase());
        page.metric(&format!("aws_elb_httpcode_elb_{name}_total"), "counter", &help, causes(nodes, class));
    }
    let help = "DesyncMitigationMode_NonCompliant_Request_Count: requests that others may read in another way, by AWS's reason.";
    let reasons = nodes.iter().flat_map(|n| {
        let at = place(&n.balancer, &n.zone);
        n.desync.iter().map(move |found| (format!("{at},reason=\"{}\"", escaped(&found.cause)), found.count))
    });
    let name = "aws_elb_desync_mitigation_mode_noncompliant_request_count_total";
    page.metric(name, "counter", help, reasons);
    let help = "Requests and connections that ended without an answer, by cause.";
    page.metric("evenkeel_cut_total", "counter", help, causes(nodes, 0));
    let help = "BackendConnectionErrors: connections to instances that could not be made.";
    page.metric("aws_elb_backend_connection_errors_total", "counter", help, each(|n| n.connect_errors));
    let help = "Requests tried again on another instance or connection.";
    page.metric("evenkeel_retries_total", "counter", help, each(|n| n.retries));
    let help = "Requests not tried again, though that was safe, because too many were.";
    page.metric("evenkeel_retries_denied_total", "counter", help, each(|n| n.denied));
    let help = "Instances that were passed over for a while because they failed requests.";
    page.metric("evenkeel_ejections_total", "counter", help, each(|n| n.ejections));
    let help = "SpilloverCount: requests and connections for which the surge queue had no room.";
    page.metric("aws_elb_spillover_count_total", "counter", help, each(spillover));
    let help = "SurgeQueueLength: requests and connections that wait for an instance to be free.";
    page.metric("aws_elb_surge_queue_length", "gauge", help, each(|n| n.surge_queue));
    let help = "SurgeQueueLength, its maximum: on one address, in this minute or the one before it.";
    page.metric("aws_elb_surge_queue_length_max", "gauge", help, each(|n| n.surge_queue_max));
    let help = "Connections that an instance reset or closed in the midst of an exchange.";
    page.metric("evenkeel_backend_resets_total", "counter", help, each(|n| n.resets));
    page.metric("evenkeel_received_bytes_total", "counter", "Bytes from clients.", each(|n| n.bytes_in));
    page.metric("evenkeel_sent_bytes_total", "counter", "Bytes to clients.", each(|n| n.bytes_out));
    page.metric("evenkeel_open_connections", "gauge", "Client connections open now.", each(|n| n.open_clients));
    page.metric("evenkeel_connections_total", "counter", "Client connections accepted.", each(|n| n.accepted));
    let help = "Connections from addresses that may not connect.";
    page.metric("evenkeel_turned_away_total", "counter", help, each(|n| n.turned_away));
    let help = "Client connections that ended before their TLS handshake was complete.";
    page.metric("evenkeel_tls_handshake_errors_total", "counter", help, each(|n| n.handshake_errors));
}

fn spillover(node: &NodeCount) -> u64 {
    let full = cause::label(Fault::QueueFull);
    node.from_balancer.iter().filter(|cause| cause.cause == full).map(|cause| cause.count).sum()
}

/// Failures by cause whose answer is of a class; 0 for those without an answer.
fn causes(nodes: &[NodeCount], class: u16) -> Vec<(Labels, u64)> {
    let of = |node: &NodeCount| {
        let at = place(&node.balancer, &node.zone);
        let fitting = node.from_balancer.iter().filter(move |cause| cause.status / 100 == class);
        fitting.map(|c| (format!("{at},cause=\"{}\"", escaped(&c.cause)), c.count)).collect::<Vec<_>>()
    };
    nodes.iter().flat_map(of).collect()
}

fn latencies(page: &mut Page, nodes: &[NodeCount]) {
    let name = "aws_elb_latency_seconds";
    let none: [(Labels, u64); 0] = [];
    let help = "Latency: from a request's head to the first of its answer; TCP: the time to connect.";
    page.metric(name, "histogram", help, none);
    for node in nodes {
        let at = place(&node.balancer, &node.zone);
        let mut sum = 0;
        for (step, count) in node.latency.iter().enumerate() {
            sum += count;
            let end = meter::step_end(step).map_or("+Inf".to_owned(), |end| format!("{}", end.as_secs_f64()));
            let _ = writeln!(page.0, "{name}_bucket{{{at},le=\"{end}\"}} {sum}");
        }
        let seconds = node.latency_us as f64 / 1e6;
        let _ = writeln!(page.0, "{name}_sum{{{at}}} {seconds}\n{name}_count{{{at}}} {sum}");
    }
}

fn of_road(page: &mut Page, road: &RoadCount) {
    let help = "Access log records that were dropped: no room, or a disk that refused.";
    page.single("evenkeel_access_log_dropped_total", "counter", help, road.log_dropped);
    page.single("evenkeel_spans_sent_total", "counter", "Spans that the collector took.", road.spans_sent);
    let help = "Spans that were dropped: no room, or a collector that did not take them.";
    page.single("evenkeel_spans_dropped_total", "counter", help, road.spans_dropped);
    let help = "Panics that were contained, each at the cost of one connection.";
    page.single("evenkeel_panics_total", "counter", help, road.panics);
    let help = "Times that accepting was paused for want of file descriptors or by the cap on connections.";
    page.single("evenkeel_accept_pauses_total", "counter", help, road.accept_pauses);
}

#[cfg(test)]
mod tests;
