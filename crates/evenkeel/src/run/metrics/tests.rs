//! The page against a strict reader of the text format.

use std::collections::BTreeSet;

use super::*;
use crate::link::CauseCount;
use crate::metrics::{Bucket, Limits, Metric, Sample, Store, Unit};

/// Name and labels to value, and name to kind. Panics on whatever Prometheus's own parser would refuse, and on what it
/// forgives: a metric in two places, a value before its head, a sample twice.
pub(crate) fn read(page: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut values, mut kinds) = (BTreeMap::new(), BTreeMap::<String, String>::new());
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && helped.insert(name.to_owned()), "{line}");
            current = name.to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name == current && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))));
        assert!(is_name(name), "{line}");
        let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let of = plain.filter(|plain| kinds.get(*plain).is_some_and(|kind| kind == "histogram")).unwrap_or(name);
        assert_eq!(of, current, "{line}");
        read_labels(labels, &is_name);
        assert!(values.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    (values, kinds)
}

fn read_labels(mut rest: &str, is_name: &dyn Fn(&str) -> bool) {
    let mut met = BTreeSet::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{rest}"));
        assert!(is_name(name) && met.insert(name), "{rest}");
        let mut escape = false;
        let end = after.char_indices().find_map(|(at, c)| {
            let ends = c == '"' && !escape;
            assert!(!escape || matches!(c, '"' | '\\' | 'n'), "{rest}");
            escape = c == '\\' && !escape;
            ends.then_some(at)
        });
        rest = &after[end.unwrap_or_else(|| panic!("{rest}")) + 1..];
        rest = rest.strip_prefix(',').unwrap_or_else(|| {
            assert!(rest.is_empty(), "{rest}");
            rest
        });
    }
}

fn node(balancer: &str, zone: &str) -> NodeCount {
    let mut latency = vec![0; meter::LATENCY_STEPS];
    (latency[0], latency[3], latency[meter::LATENCY_STEPS - 1]) = (5, 2, 1);
    let cause = |cause: &str, status, count| CauseCount { cause: cause.into(), status, count };
    NodeCount {
        balancer: balancer.into(),
        zone: zone.into(),
        requests: 10,
        from_instance: [0, 4, 3, 2, 1],
        from_balancer: vec![
            cause("no_target", 503, 7),
            cause("bad_request", 400, 2),
            cause("client_gone", 0, 1),
            cause("queue_full", 503, 5),
        ],
        denied: 2,
        turned_away: 12,
        handshake_errors: 8,
        surge_queue: 3,
        surge_queue_max: 9,
        desync: vec![cause("BothTeClPresent", 0, 6)],
        open_clients: 3,
        latency,
        latency_us: 1_500_000,
        ..NodeCount::default()
    }
}

#[test]
fn the_page_is_what_prometheus_reads() {
    let mut page = Page::default();
    of_nodes(&mut page, &[node("web", "us-east-1a"), node("web", "us-east-1b"), node("odd", "a\"b\\c\nd")]);
    of_road(&mut page, &RoadCount { log_dropped: 4, spans_sent: 9, spans_dropped: 3, panics: 0, accept_pauses: 1 });
    let (values, kinds) = read(&page.0);
    let at = "load_balancer=\"web\",availability_zone=\"us-east-1b\"";
    let value = |name: &str, more: &str| values[&format!("{name}{{{at}{more}}}")];
    assert_eq!(value("aws_elb_request_count_total", ""), 10.0);
    assert_eq!(value("aws_elb_httpcode_backend_2xx_total", ""), 4.0);
    assert_eq!(value("aws_elb_httpcode_backend_5xx_total", ""), 1.0);
    assert_eq!(value("aws_elb_httpcode_elb_5xx_total", ",cause=\"no_target\""), 7.0);
    assert_eq!(value("aws_elb_httpcode_elb_4xx_total", ",cause=\"bad_request\""), 2.0);
    assert_eq!(value("evenkeel_cut_total", ",cause=\"client_gone\""), 1.0);
    let desync = "aws_elb_desync_mitigation_mode_noncompliant_request_count_total";
    assert_eq!(value(desync, ",reason=\"BothTeClPresent\""), 6.0);
    assert_eq!((value("aws_elb_spillover_count_total", ""), value("evenkeel_retries_denied_total", "")), (5.0, 2.0));
    let queue = "aws_elb_surge_queue_length";
    assert_eq!((value(queue, ""), value(&format!("{queue}_max"), "")), (3.0, 9.0));
    assert_eq!((values["evenkeel_spans_sent_total"], values["evenkeel_spans_dropped_total"]), (9.0, 3.0));
    assert_eq!(value("evenkeel_open_connections", ""), 3.0);
    let others = (value("evenkeel_turned_away_total", ""), value("evenkeel_tls_handshake_errors_total", ""));
    assert_eq!(others, (12.0, 8.0));
    assert_eq!(value("aws_elb_latency_seconds_bucket", ",le=\"0.000064\""), 5.0);
    assert_eq!(value("aws_elb_latency_seconds_bucket", ",le=\"0.000512\""), 7.0);
    assert_eq!(value("aws_elb_latency_seconds_bucket", ",le=\"+Inf\""), 8.0);
    assert_eq!(value("aws_elb_latency_seconds_count", ""), 8.0);
    assert_eq!(value("aws_elb_latency_seconds_sum", ""), 1.5);
    assert_eq!((values["evenkeel_access_log_dropped_total"], values["evenkeel_accept_pauses_total"]), (4.0, 1.0));
    assert_eq!(kinds["aws_elb_latency_seconds"], "histogram");
    // What instances used last.
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default(), 100).unwrap();
    let sample = |at: i64, dimension: (&str, &str), value: f64| Sample {
        metric: Metric::new("AWS/EC2", "LoadAverage1", [dimension]),
        unit: Unit::None,
        at,
        bucket: Bucket::of(value),
    };
    let one = ("InstanceId", "i-1");
    store.put(&[sample(98, one, 3.0), sample(99, one, 0.5), sample(99, ("ImageId", "ami-1"), 9.0)], 100);
    let mut page = Page::default();
    measured::of_instances(&mut page, &store.reader(), 100);
    measured::of_store(&mut page, &store.reader().counts());
    let (values, _) = read(&page.0);
    assert_eq!(values["aws_ec2_load_average_1{instance=\"i-1\"}"], 0.5);
    assert_eq!((values["evenkeel_metrics_series"], values["evenkeel_metrics_samples_total"]), (2.0, 3.0));
    assert_eq!(values.keys().filter(|name| name.starts_with("aws_ec2")).count(), 1, "{values:?}");
    // Nothing measured yet is a page as well.
    let mut page = Page::default();
    of_nodes(&mut page, &[]);
    read(&page.0);
}
