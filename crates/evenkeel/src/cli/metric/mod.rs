//! `evenkeel metric`: what is measured: listed, read, put, and drawn.
//!
//! Next: [`args`], how metrics and times are written; [`super::plot`], the pictures.

mod args;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use evenkeel_aws::cloudwatch::{
    Dimension, GetMetricData, ListMetrics, Metric as Stated, MetricDataQuery, MetricDatum, MetricStat, PutMetricData,
};
use evenkeel_aws::time::WholeSeconds;
use evenkeel_aws::{Time, cloudwatch};
use serde_json::{Value, json};

pub use args::{Action, Metric};
use args::{Asked, Get, List, Plot, Put, period_for};
pub(super) use args::{metric, pair as dimension, span};

use super::client::{Client, now};
use super::failure::Outcome;
use super::plot;
use super::streams::Streams;
use super::table::Table;

/// Columns of a line of blocks where there is no terminal.
const COLUMNS: usize = 80;

/// Carries out a command on metrics.
///
/// # Errors
/// Those of the client, and of writing.
pub fn run(args: &Metric, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::List(args) => list(args, client, streams)?,
        Action::Get(args) => get(args, client, streams)?,
        Action::Put(args) => put(args, client)?,
        Action::Plot(args) => plot(args, client, streams)?,
    }
    Ok(Outcome::Done)
}

fn dimensions(pairs: &[(String, String)]) -> Vec<Dimension> {
    let of = |(name, value): &(String, String)| Dimension { name: Some(name.clone()), value: Some(value.clone()) };
    pairs.iter().map(of).collect()
}

fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let filter = |(name, value): &(String, String)| cloudwatch::DimensionFilter {
        name: Some(name.clone()),
        value: Some(value.clone()),
    };
    let mut input = ListMetrics {
        namespace: args.namespace.clone(),
        metric_name: args.name.clone(),
        dimensions: args.on.iter().map(filter).collect(),
        recently_active: args.recent.then(|| "PT3H".to_owned()),
        ..ListMetrics::default()
    };
    let mut found = Vec::new();
    loop {
        let page = client.call(&input).context("failed to list metrics")?;
        found.extend(page.metrics);
        match page.next_token {
            Some(token) if input.next_token.as_ref() != Some(&token) => input.next_token = Some(token),
            _ => break,
        }
    }
    let named = |metric: &Stated| {
        let pairs =
            metric.dimensions.iter().map(|d| (d.name.clone().unwrap_or_default(), d.value.clone().unwrap_or_default()));
        (
            metric.namespace.clone().unwrap_or_default(),
            metric.metric_name.clone().unwrap_or_default(),
            pairs.collect::<Vec<_>>(),
        )
    };
    let mut rows: Vec<_> = found.iter().map(named).collect();
    rows.sort();
    if args.json {
        let shown: Vec<Value> = rows
            .into_iter()
            .map(|(namespace, name, pairs)| {
                let on: BTreeMap<String, String> = pairs.into_iter().collect();
                json!({ "namespace": namespace, "name": name, "dimensions": on })
            })
            .collect();
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    let mut table = Table::new(["METRIC", "DIMENSIONS"]);
    for (namespace, name, pairs) in rows {
        let on: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.push([format!("{namespace}/{name}"), on.join(" ")]);
    }
    Ok(table.write(streams)?)
}

/// What was asked for: values by second, from one second to before another, so far apart.
struct Found {
    points: BTreeMap<i64, f64>,
    from: i64,
    to: i64,
    period: i64,
}

fn read(asked: &Asked, client: &Client) -> anyhow::Result<Found> {
    let to = now().0.div_euclid(1000) + 1;
    let last = i64::try_from(asked.last.as_secs()).unwrap_or(i64::MAX).max(1);
    let period = asked.period.unwrap_or_else(|| period_for(last));
    // Whole periods, as the answer has them.
    let from = (to - last).div_euclid(period) * period;
    let series = Series {
        metric: asked.metric.clone(),
        on: asked.on.clone(),
        stat: asked.stat.clone(),
        unit: asked.unit.clone(),
    };
    let points = values(&series, from, to, period, client)?;
    Ok(Found { points, from, to, period })
}

/// One statistic of one metric.
pub(super) struct Series {
    /// Namespace and name.
    pub metric: (String, String),
    /// Its dimensions.
    pub on: Vec<(String, String)>,
    /// What of each period.
    pub stat: String,
    /// Only values of this unit.
    pub unit: Option<String>,
}

/// Values by second, from one second to before another, so far apart.
pub(super) fn values(
    series: &Series,
    from: i64,
    to: i64,
    period: i64,
    client: &Client,
) -> anyhow::Result<BTreeMap<i64, f64>> {
    let query = MetricDataQuery {
        id: Some("m".into()),
        metric_stat: Some(MetricStat {
            metric: Some(Stated {
                namespace: Some(series.metric.0.clone()),
                metric_name: Some(series.metric.1.clone()),
                dimensions: dimensions(&series.on).into(),
            }),
            period: Some(i32::try_from(period)?),
            stat: Some(series.stat.clone()),
            unit: series.unit.clone(),
        }),
        ..MetricDataQuery::default()
    };
    let mut input = GetMetricData {
        metric_data_queries: vec![query].into(),
        start_time: Some(Time(from * 1000)),
        end_time: Some(Time(to * 1000)),
        ..GetMetricData::default()
    };
    let mut points = BTreeMap::new();
    loop {
        let page =
            client.call(&input).with_context(|| format!("failed to read {}/{}", series.metric.0, series.metric.1))?;
        for result in page.metric_data_results {
            points.extend(result.timestamps.iter().map(|at| at.time().0 / 1000).zip(result.values));
        }
        match page.next_token {
            Some(token) if input.next_token.as_ref() != Some(&token) => input.next_token = Some(token),
            _ => return Ok(points),
        }
    }
}

fn clock(second: i64) -> String {
    WholeSeconds::of(Time(second.saturating_mul(1000))).to_string()
}

fn get(args: &Get, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let found = read(&args.asked, client)?;
    if args.json {
        let shown: Vec<Value> =
            found.points.iter().map(|(second, value)| json!({ "time": clock(*second), "value": value })).collect();
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    let mut table = Table::new(["TIME", "VALUE"]);
    for (second, value) in &found.points {
        table.push([clock(*second), value.to_string()]);
    }
    Ok(table.write(streams)?)
}

fn put(args: &Put, client: &Client) -> anyhow::Result<()> {
    let datum = MetricDatum {
        metric_name: Some(args.metric.1.clone()),
        dimensions: dimensions(&args.on).into(),
        values: args.values.clone().into(),
        unit: args.unit.clone(),
        storage_resolution: args.by_second.then_some(1),
        ..MetricDatum::default()
    };
    let input = PutMetricData {
        namespace: Some(args.metric.0.clone()),
        metric_data: vec![datum].into(),
        ..PutMetricData::default()
    };
    client.call(&input).map(drop).with_context(|| format!("failed to put {}/{}", args.metric.0, args.metric.1))
}

fn plot(args: &Plot, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let found = read(&args.asked, client)?;
    let name = format!("{}/{}", args.asked.metric.0, args.asked.metric.1);
    if let Some(path) = &args.svg {
        let on: Vec<String> = args.asked.on.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let title = format!("{name} {} ({})", on.join(" "), args.asked.stat);
        let text = plot::svg(&title, &[(name, found.points)], found.from, found.to, found.period)?;
        std::fs::write(path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
        return Ok(());
    }
    let Some((least, most)) = plot::bounds(found.points.values().copied()) else {
        bail!("{name} has no data in that time, by these dimensions; `evenkeel metric list` shows what there is");
    };
    let columns = streams.screen.columns.unwrap_or(COLUMNS);
    writeln!(streams.out, "{}", plot::spark(&found.points, found.from, found.to, found.period, columns))?;
    let (count, sum) = (found.points.len(), found.points.values().sum::<f64>());
    let newest = found.points.iter().next_back().map(|(_, value)| *value).unwrap_or_default();
    writeln!(
        streams.out,
        "{}  from {} by {} s: {count} values, least {least}, mean {}, most {most}, last {newest}",
        args.asked.stat,
        clock(found.from),
        found.period,
        sum / count as f64
    )?;
    Ok(())
}
