//! CloudWatch's data calls: what is put is what is read, in each protocol, and what AWS refuses is refused.

use evenkeel_aws::cloudwatch::*;
use evenkeel_aws::time::WholeSeconds;

use super::*;
use crate::metrics::{Bucket, Limits, Metric, Sample, Unit};

/// Few series, so that their end can be reached.
pub(super) const LIMITS: Limits = Limits { series: 1200, disk: 1 << 20, memory: 1 << 20 };

/// A minute that is over, in seconds.
fn minute() -> i64 {
    now().0 / 60_000 * 60 - 120
}

fn at(second: i64) -> Option<Time> {
    Some(Time(second * 1000))
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension { name: Some(name.into()), value: Some(value.into()) }
}

fn datum(name: &str, value: f64, second: i64) -> MetricDatum {
    MetricDatum {
        metric_name: Some(name.into()),
        dimensions: vec![dimension("Host", "a")].into(),
        timestamp: at(second),
        value: Some(value),
        storage_resolution: Some(1),
        ..MetricDatum::default()
    }
}

fn put(data: Vec<MetricDatum>) -> PutMetricData {
    PutMetricData { namespace: Some("App".into()), metric_data: data.into(), ..PutMetricData::default() }
}

fn statistics(name: &str, from: i64, to: i64, period: i32) -> GetMetricStatistics {
    GetMetricStatistics {
        namespace: Some("App".into()),
        metric_name: Some(name.into()),
        dimensions: vec![dimension("Host", "a")].into(),
        start_time: at(from),
        end_time: at(to),
        period: Some(period),
        statistics: ["SampleCount", "Average", "Sum", "Minimum", "Maximum"].map(str::to_owned).to_vec().into(),
        ..GetMetricStatistics::default()
    }
}

fn query(id: &str, name: &str, period: i32, stat: &str) -> MetricDataQuery {
    let metric = evenkeel_aws::cloudwatch::Metric {
        namespace: Some("App".into()),
        metric_name: Some(name.into()),
        dimensions: vec![dimension("Host", "a")].into(),
    };
    let stat = MetricStat { metric: Some(metric), period: Some(period), stat: Some(stat.into()), unit: None };
    MetricDataQuery { id: Some(id.into()), metric_stat: Some(stat), ..MetricDataQuery::default() }
}

fn expression(id: &str, text: &str) -> MetricDataQuery {
    MetricDataQuery { id: Some(id.into()), expression: Some(text.into()), ..MetricDataQuery::default() }
}

fn data(queries: Vec<MetricDataQuery>, from: i64, to: i64) -> GetMetricData {
    GetMetricData {
        metric_data_queries: queries.into(),
        start_time: at(from),
        end_time: at(to),
        scan_by: Some("TimestampAscending".into()),
        ..GetMetricData::default()
    }
}

#[tokio::test]
async fn what_is_put_is_read_at_once_in_each_of_its_forms() {
    let rig = Rig::start().await;
    let from = minute();
    let set = StatisticSet { sample_count: Some(2.0), sum: Some(30.0), minimum: Some(10.0), maximum: Some(20.0) };
    let several = MetricDatum {
        value: None,
        values: vec![1.0, 2.0, 3.0].into(),
        counts: vec![2.0, 1.0, 1.0].into(),
        unit: Some("Seconds".into()),
        ..datum("Several", 0.0, from)
    };
    let of_set = MetricDatum { value: None, statistic_values: Some(set), ..datum("Set", 0.0, from) };
    rig.ok(put(vec![
        datum("One", 1.0, from),
        datum("One", 3.0, from + 59),
        datum("One", 5.0, from + 60),
        several,
        of_set,
    ]))
    .await;

    let found = rig.ok(statistics("One", from, from + 120, 60)).await;
    assert_eq!(found.label, "One");
    let point = |second: i64, count: f64, sum: f64, least: f64, most: f64, unit: &str| Datapoint {
        timestamp: WholeSeconds::of(Time(second * 1000)),
        sample_count: Some(count),
        average: Some(sum / count),
        sum: Some(sum),
        minimum: Some(least),
        maximum: Some(most),
        unit: Some(unit.into()),
        extended_statistics: None,
    };
    let wanted = [point(from, 2.0, 4.0, 1.0, 3.0, "None"), point(from + 60, 1.0, 5.0, 5.0, 5.0, "None")];
    assert_eq!(found.datapoints.0, wanted);
    // By the second as well, since that is how they were put.
    assert_eq!(rig.ok(statistics("One", from, from + 120, 1)).await.datapoints.len(), 3);
    // Another set of dimensions is another metric.
    let none = GetMetricStatistics { dimensions: Vec::new().into(), ..statistics("One", from, from + 120, 60) };
    assert!(rig.ok(none).await.datapoints.is_empty());

    let extended = |name: &str| GetMetricStatistics {
        statistics: Vec::new().into(),
        extended_statistics: ["p50", "p100", "tm50", "PR(:2)"].map(str::to_owned).to_vec().into(),
        ..statistics(name, from, from + 60, 60)
    };
    let found = rig.ok(extended("Several")).await.datapoints;
    let values = found[0].extended_statistics.clone().unwrap();
    assert_eq!((values["p50"], values["p100"], values["tm50"], values["PR(:2)"]), (1.0, 3.0, 1.0, 75.0));
    assert_eq!(found[0].unit.as_deref(), Some("Seconds"));
    assert!(rig.ok(extended("Set")).await.datapoints.is_empty(), "how a statistic set is spread is not known");
    assert_eq!(rig.ok(statistics("Set", from, from + 60, 60)).await.datapoints[0].average, Some(15.0));
    let other_unit = GetMetricStatistics { unit: Some("Bytes".into()), ..statistics("Several", from, from + 60, 60) };
    assert!(rig.ok(other_unit).await.datapoints.is_empty());
}

#[tokio::test]
async fn standard_data_are_a_point_a_minute() {
    let rig = Rig::start().await;
    let from = minute();
    let standard = |second: i64| MetricDatum { storage_resolution: None, ..datum("One", 1.0, second) };
    rig.ok(put(vec![standard(from + 1), standard(from + 30)])).await;
    let found = rig.ok(statistics("One", from, from + 60, 1)).await.datapoints;
    assert_eq!((found.len(), found[0].sum, found[0].timestamp.time()), (1, Some(2.0), Time(from * 1000)));
    // Without a time: now.
    rig.ok(put(vec![MetricDatum { timestamp: None, ..datum("Now", 1.0, 0) }])).await;
    let second = now().0 / 1000;
    assert_eq!(rig.ok(statistics("Now", second - 60, second + 60, 60)).await.datapoints.len(), 1);
}

#[tokio::test]
async fn data_that_aws_refuses_are_refused_with_all_that_came_with_them() {
    let rig = Rig::start().await;
    let from = minute();
    let good = || datum("Good", 1.0, from);
    let no = async |datum: MetricDatum, code: &str, text: &str| {
        rig.no(put(vec![good(), datum]), 400, code, text).await;
    };
    let (value, combination) = ("InvalidParameterValue", "InvalidParameterCombination");
    no(datum("M", f64::NAN, from), value, "The value NaN for parameter MetricData.member.2.Value is invalid.").await;
    no(datum("M", f64::INFINITY, from), value, "MetricData.member.2.Value").await;
    no(datum("M", 2f64.powi(361), from), value, "MetricData.member.2.Value").await;
    no(datum("M", 1.0, from - 15 * 86_400), value, "no more than two weeks in the past").await;
    no(datum("M", 1.0, from + 3 * 3600), value, "no more than two hours in the future").await;
    no(datum("", 1.0, from), value, "MetricData.member.2.MetricName must not be empty").await;
    no(datum(&"x".repeat(256), 1.0, from), value, "MetricName").await;
    no(
        MetricDatum { metric_name: None, ..good() },
        "MissingParameter",
        "The parameter MetricData.member.2.MetricName is required.",
    )
    .await;
    no(MetricDatum { unit: Some("Furlongs".into()), ..good() }, value, "Unit").await;
    no(MetricDatum { storage_resolution: Some(5), ..good() }, value, "StorageResolution").await;
    no(MetricDatum { value: None, ..good() }, combination, "At least one of the parameters").await;
    no(MetricDatum { values: vec![1.0].into(), ..good() }, combination, "mutually exclusive").await;
    let values = |count: usize, counts: usize| MetricDatum {
        value: None,
        values: vec![1.0; count].into(),
        counts: vec![1.0; counts].into(),
        ..good()
    };
    no(values(151, 0), value, "MetricData.member.2.Values must not have a size greater than 150").await;
    no(values(3, 2), combination, "must have the same size").await;
    let set = StatisticSet { sample_count: Some(1.0), sum: Some(1.0), minimum: Some(2.0), maximum: None };
    let of = |set: StatisticSet| MetricDatum { value: None, statistic_values: Some(set), ..good() };
    no(of(set.clone()), "MissingParameter", "MetricData.member.2.StatisticValues.Maximum is required").await;
    no(of(StatisticSet { maximum: Some(1.0), ..set }), value, "Minimum").await;
    let many = (0..31).map(|n| dimension(&n.to_string(), "v")).collect::<Vec<_>>();
    no(MetricDatum { dimensions: many.into(), ..good() }, value, "Dimensions must not have a size greater than 30")
        .await;
    for (name, text) in [(":x", "Dimensions.member.1.Name"), ("", "must not be empty"), ("ä", "Name")] {
        no(MetricDatum { dimensions: vec![dimension(name, "v")].into(), ..good() }, value, text).await;
    }
    let twice = vec![dimension("a", "1"), dimension("a", "2")];
    no(MetricDatum { dimensions: twice.into(), ..good() }, value, "more than once").await;
    rig.no(put(vec![good(); 1001]), 400, value, "MetricData must not have a size greater than 1000").await;
    rig.no(put(Vec::new()), 400, "MissingParameter", "MetricData").await;
    let into = |namespace: Option<&str>| PutMetricData { namespace: namespace.map(Into::into), ..put(vec![good()]) };
    rig.no(into(Some("AWS/ELB")), 400, value, "Namespace").await;
    rig.no(into(Some(":x")), 400, value, "Namespace").await;
    rig.no(into(None), 400, "MissingParameter", "The parameter Namespace is required.").await;
    assert!(rig.ok(ListMetrics::default()).await.metrics.is_empty(), "none of it was taken in");
    // All that fit are taken; one series too many is told.
    let many =
        |from: usize, count: usize| put((from..from + count).map(|n| datum(&format!("m{n}"), 1.0, minute())).collect());
    rig.ok(many(0, 1000)).await;
    rig.ok(many(1000, 200)).await;
    rig.no(many(1200, 1), 400, "LimitExceeded", "no room for more metrics").await;
    rig.ok(many(0, 1)).await;
}

#[tokio::test]
async fn metrics_are_listed_by_what_is_known_of_them() {
    let rig = Rig::start().await;
    let put_many = |from: usize, count: usize| {
        put((from..from + count).map(|n| datum(&format!("m{n:04}"), 1.0, minute())).collect())
    };
    rig.ok(put_many(0, 700)).await;
    rig.ok(put_many(700, 401)).await;
    let mut seen = Vec::new();
    let mut input = ListMetrics { namespace: Some("App".into()), ..ListMetrics::default() };
    for size in [500, 500, 101] {
        let page = rig.ok(input.clone()).await;
        assert_eq!(page.metrics.len(), size);
        seen.extend(page.metrics.into_iter().map(|metric| metric.metric_name.unwrap()));
        input.next_token = page.next_token;
    }
    assert_eq!(input.next_token, None);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1101);

    let filtered = |name: &str, value: Option<&str>| ListMetrics {
        metric_name: Some("m0001".into()),
        dimensions: vec![DimensionFilter { name: Some(name.into()), value: value.map(Into::into) }].into(),
        ..ListMetrics::default()
    };
    assert_eq!(rig.ok(filtered("Host", Some("a"))).await.metrics[0].dimensions[0], dimension("Host", "a"));
    assert_eq!(rig.ok(filtered("Host", None)).await.metrics.len(), 1);
    assert!(rig.ok(filtered("Host", Some("b"))).await.metrics.is_empty());
    assert!(rig.ok(filtered("Other", None)).await.metrics.is_empty());
    let old = PutMetricData { namespace: Some("Old".into()), ..put(vec![datum("m", 1.0, minute() - 4 * 3600)]) };
    rig.ok(old).await;
    let listed = |recently: Option<&str>| ListMetrics {
        namespace: Some("Old".into()),
        recently_active: recently.map(Into::into),
        ..ListMetrics::default()
    };
    assert_eq!(rig.ok(listed(None)).await.metrics.len(), 1);
    assert!(rig.ok(listed(Some("PT3H"))).await.metrics.is_empty());
    rig.no(listed(Some("PT4H")), 400, "InvalidParameterValue", "RecentlyActive").await;
    let linked = ListMetrics { include_linked_accounts: Some(true), ..listed(None) };
    assert_eq!(rig.ok(linked).await.owning_accounts.map(|owners| owners.0), Some(vec![ACCOUNT.to_owned()]));
    let foreign = ListMetrics { owning_account: Some("111111111111".into()), ..listed(None) };
    assert!(rig.ok(foreign).await.metrics.is_empty());
    let token = ListMetrics { next_token: Some("x".into()), ..ListMetrics::default() };
    rig.no(token, 400, "InvalidParameterValue", "NextToken").await;
}

#[tokio::test]
async fn statistics_are_bounded_as_awss_are() {
    let rig = Rig::start().await;
    let from = minute();
    let no = async |input: GetMetricStatistics, code: &str, text: &str| rig.no(input, 400, code, text).await;
    let (value, combination) = ("InvalidParameterValue", "InvalidParameterCombination");
    no(
        statistics("m", from, from + 1441 * 60, 60),
        combination,
        "You have requested up to 1441 datapoints, which exceeds the limit of 1440.",
    )
    .await;
    rig.ok(statistics("m", from, from + 1440 * 60, 60)).await;
    no(statistics("m", from, from, 60), value, "StartTime must be less than").await;
    for period in [0, -60, 7, 61, 86_460] {
        no(statistics("m", from, from + 60, period), value, "Period").await;
    }
    let none = GetMetricStatistics { statistics: Vec::new().into(), ..statistics("m", from, from + 60, 60) };
    no(none, combination, "At least one of the parameters Statistics and ExtendedStatistics must be specified.").await;
    let wrong = |name: &str| GetMetricStatistics {
        statistics: vec![name.to_owned()].into(),
        ..statistics("m", from, from + 60, 60)
    };
    no(wrong("Median"), value, "Statistics").await;
    no(wrong("p99"), value, "Statistics").await;
    let extended =
        GetMetricStatistics { extended_statistics: vec!["p101".into()].into(), ..statistics("m", from, from + 60, 60) };
    no(extended, value, "ExtendedStatistics").await;
    no(
        GetMetricStatistics { start_time: None, ..statistics("m", from, from + 60, 60) },
        "MissingParameter",
        "StartTime",
    )
    .await;
}

#[tokio::test]
async fn several_metrics_and_expressions_are_asked_at_once_in_pages() {
    let rig = Rig::start().await;
    let from = minute() - 600;
    let points =
        (0..10).flat_map(|n| [datum("Requests", 100.0, from + n * 60), datum("Errors", n as f64, from + n * 60)]);
    rig.ok(put(points.collect())).await;
    let queries = || {
        let hidden = |query: MetricDataQuery| MetricDataQuery { return_data: Some(false), ..query };
        vec![
            hidden(query("errors", "Errors", 60, "Sum")),
            MetricDataQuery { label: Some("rate".into()), ..expression("e1", "100 * errors / requests") },
            hidden(query("requests", "Requests", 60, "Sum")),
            query("top", "Errors", 300, "Maximum"),
        ]
    };
    let found = rig.ok(data(queries(), from, from + 600)).await;
    let results = &found.metric_data_results;
    assert_eq!(
        results.iter().map(|r| (r.id.as_str(), r.label.as_str())).collect::<Vec<_>>(),
        [("e1", "rate"), ("top", "Errors")]
    );
    assert_eq!(results[0].values.0, (0..10).map(f64::from).collect::<Vec<_>>());
    assert_eq!(results[0].timestamps[1], WholeSeconds::of(Time((from + 60) * 1000)));
    assert_eq!(
        (results[1].values.iter().copied().fold(0.0, f64::max), results[1].status_code.as_str()),
        (9.0, "Complete")
    );
    let newest_first = GetMetricData { scan_by: None, ..data(queries(), from, from + 600) };
    assert_eq!(rig.ok(newest_first.clone()).await.metric_data_results[0].values[0], 9.0);

    // Pages hold each point once, in order.
    let mut input = GetMetricData { max_datapoints: Some(4), ..newest_first.clone() };
    let (mut values, mut pages) = (Vec::new(), 0);
    loop {
        let page = rig.ok(input.clone()).await;
        assert!(page.metric_data_results.iter().map(|r| r.values.len()).sum::<usize>() <= 4);
        values.extend(page.metric_data_results.iter().flat_map(|r| r.values.0.clone()));
        pages += 1;
        match page.next_token {
            Some(token) => input.next_token = Some(token),
            None => break,
        }
    }
    let whole = rig.ok(newest_first).await.metric_data_results.0;
    assert_eq!(values, whole.iter().flat_map(|r| r.values.0.clone()).collect::<Vec<_>>());
    assert!(pages >= 3, "{pages} pages");
    let array =
        rig.ok(data(vec![query("m1", "Errors", 60, "Sum"), expression("e", "METRICS() * 2")], from, from + 600)).await;
    assert_eq!(array.metric_data_results[1].values[9], 18.0);

    let no = async |queries: Vec<MetricDataQuery>, text: &str| {
        rig.no(data(queries, from, from + 600), 400, "ValidationError", text).await;
    };
    no(vec![expression("e1", "e1 + 1")], "refers to itself").await;
    no(vec![expression("e1", "gone")], "Error in expression 'e1': Unknown id 'gone'").await;
    no(vec![expression("e1", "1 +")], "Unexpected end").await;
    no(vec![expression("e1", "1 + 1")], "must be a time series").await;
    no(vec![expression("e1", "SEARCH('x', 'Sum')")], "SEARCH is not supported").await;
    no(vec![expression("E1", "1")], "pattern").await;
    no(vec![expression("a", "1"), expression("a", "1")], "not unique").await;
    no(vec![query("m", "Errors", 60, "Median")], "Stat").await;
    no(vec![MetricDataQuery { expression: Some("1".into()), ..query("m", "Errors", 60, "Sum") }], "mutually exclusive")
        .await;
    no(vec![MetricDataQuery { id: Some("a".into()), ..MetricDataQuery::default() }], "must be specified").await;
    no((0..501).map(|n| query(&format!("m{n}"), "Errors", 60, "Sum")).collect(), "greater than 500").await;
    let long = data(vec![query("m", "Errors", 1, "Sum")], from - 14 * 86_400, from);
    rig.no(long, 400, "ValidationError", "exceeds the limit").await;
    let token = GetMetricData { next_token: Some("x".into()), ..data(queries(), from, from + 600) };
    rig.no(token, 400, "InvalidNextToken", "").await;
}

#[tokio::test]
async fn two_units_are_two_series_and_one_metric() {
    let rig = Rig::start().await;
    let from = minute();
    let of = |unit: &str, value: f64| MetricDatum { unit: Some(unit.into()), ..datum("Size", value, from) };
    rig.ok(put(vec![of("Bytes", 10.0), of("Bytes", 20.0), of("Count", 1.0)])).await;
    let found = rig.ok(statistics("Size", from, from + 60, 60)).await.datapoints;
    let mut found: Vec<_> = found.iter().map(|point| (point.unit.clone().unwrap(), point.sum)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, [("Bytes".into(), Some(30.0)), ("Count".into(), Some(1.0))]);
    assert_eq!(rig.ok(ListMetrics::default()).await.metrics.len(), 1);
    // What others in the house put is read alike.
    let metric = Metric::new("AWS/ELB", "Latency", [("LoadBalancerName", "web")]);
    let sample = Sample { metric, unit: Unit::Seconds, at: from, bucket: Bucket::of(0.25) };
    assert_eq!(rig.metrics.put_and_wait(vec![sample]).await, Ok(0));
    let listed = rig.ok(ListMetrics { namespace: Some("AWS/ELB".into()), ..ListMetrics::default() }).await;
    assert_eq!(listed.metrics[0].metric_name.as_deref(), Some("Latency"));
}
