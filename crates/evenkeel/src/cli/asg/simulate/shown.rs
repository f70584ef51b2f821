//! What came of a simulation: sums, lines of blocks, a picture, JSON.
//!
//! Owns the look of it. Next: [`crate::cli::plot`].

use std::collections::BTreeMap;

use anyhow::Context as _;
use evenkeel_aws::Time;
use evenkeel_core::scaling::decide::{Decision, Rule};
use evenkeel_core::scaling::explain;
use evenkeel_core::scaling::forecast::{self, LEAST};
use evenkeel_core::scaling::simulate::{Moment, Outcome, Setting, Tried};
use evenkeel_core::time::Timestamp;
use serde_json::json;

use super::Simulate;
use crate::cli::plot;
use crate::cli::streams::Streams;
use crate::cli::table::Table;

/// Columns where there is no terminal.
const COLUMNS: usize = 80;
/// What stands before a line of blocks, and after it.
const LABEL: usize = 16;
const BOUNDS: usize = 24;
/// Points of a line in a picture: more are not seen.
const DRAWN: usize = 2_000;

pub(super) fn show(
    args: &Simulate,
    setting: &Setting,
    tried: &[Tried],
    outcome: &Outcome,
    without: Option<&Outcome>,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    if let Some(path) = &args.svg {
        let text = picture(setting, tried, outcome, without)?;
        std::fs::write(path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    let cost = args.price.map(|price| price * outcome.instance_hours);
    if args.json {
        let decision = |decision: &Decision| {
            json!({
                "at": clock(decision.at), "from": decision.from, "to": decision.to, "policy": decision.policy,
                "alarm": decision.alarm, "why": explain::lines(decision),
            })
        };
        let moment = |moment: &Moment| {
            json!({
                "at": clock(moment.at), "load": moment.load, "desired": moment.desired,
                "in_service": moment.in_service, "each": moment.each,
            })
        };
        let document = json!({
            "instance_hours": outcome.instance_hours, "cost": cost, "peak": outcome.peak,
            "offered": outcome.offered, "shed": outcome.shed, "shed_percent": shed(outcome),
            "turns": turns(&outcome.decisions),
            "forecast": forecasts(tried).then(|| json!({
                "accuracy": outcome.accuracy,
                "hours": outcome.foreseen.iter()
                    .map(|(from, load)| json!({ "from": clock(*from), "load": load, "capacity": capacity(tried, *load) }))
                    .collect::<Vec<_>>(),
            })),
            "without_forecast": without.map(|without| json!({
                "instance_hours": without.instance_hours, "cost": args.price.map(|price| price * without.instance_hours),
                "peak": without.peak, "shed": without.shed, "shed_percent": shed(without),
                "turns": turns(&without.decisions),
            })),
            "decisions": outcome.decisions.iter().map(decision).collect::<Vec<_>>(),
            "moments": outcome.moments.iter().map(moment).collect::<Vec<_>>(),
        });
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&document)?)?);
    }
    draw(setting, outcome, streams)?;
    let mut line = |what: &str, text: String| writeln!(streams.out, "{what:<LABEL$}{text}");
    // What is beside a number is what it is where nobody forecasts.
    let beside = |of: &dyn Fn(&Outcome) -> String| {
        without.map(|without| format!("; {} without the forecast", of(without))).unwrap_or_default()
    };
    let hours = |outcome: &Outcome| format!("{:.2}", outcome.instance_hours);
    line("instance-hours", format!("{}{}", hours(outcome), beside(&hours)))?;
    if let (Some(cost), Some(price)) = (cost, args.price) {
        let other = beside(&|without| format!("{:.2}", price * without.instance_hours));
        line("cost", format!("{cost:.2} at {price} an hour{other}"))?;
    }
    line("most members", format!("{}{}", outcome.peak, beside(&|without| without.peak.to_string())))?;
    let takes = match setting.most {
        Some(most) => format!("a member takes {most}"),
        None => "a member takes whatever comes".to_owned(),
    };
    let lost = |outcome: &Outcome| format!("{:.3} %", shed(outcome));
    line("load shed", format!("{}{}; {takes}", lost(outcome), beside(&lost)))?;
    let made = |outcome: &Outcome| format!("{}, {} turns", outcome.decisions.len(), turns(&outcome.decisions));
    line("decisions", format!("{}{}", made(outcome), beside(&made)))?;
    if forecasts(tried) {
        line(
            "forecasts",
            match (&outcome.accuracy, outcome.foreseen.is_empty()) {
                (Some(accuracy), _) => accuracy.to_string(),
                (None, true) => format!("none: {LEAST} hours of load come before the first"),
                (None, false) => "no hour of load came after the first".to_owned(),
            },
        )?;
    }
    if args.decisions {
        writeln!(streams.out)?;
        let mut table = Table::new(["TIME", "FROM", "TO", "POLICY", "WHY"]);
        for decision in &outcome.decisions {
            let by = decision.policy.clone().unwrap_or_default();
            let lines = explain::lines(decision);
            let of = format!("policy {by}");
            let why = lines.iter().skip(1).find_map(|line| line.strip_prefix(&of)).unwrap_or_default();
            let why = why.trim_start_matches([':', ',', ' ']).to_owned();
            table.push([clock(decision.at), decision.from.to_string(), decision.to.to_string(), by, why]);
        }
        table.write(streams)?;
    }
    Ok(())
}

fn forecasts(tried: &[Tried]) -> bool {
    tried.iter().any(|tried| matches!(tried.rule, Rule::Predictive { .. }))
}

/// The capacity that is foreseen for a load: the largest of all policies.
fn capacity(tried: &[Tried], load: f64) -> Option<u32> {
    let of = |tried: &Tried| match tried.rule {
        Rule::Predictive { target, .. } => Some(forecast::capacity(load, target)),
        _ => None,
    };
    tried.iter().filter_map(of).max()
}

/// Load in per cent that nobody took.
fn shed(outcome: &Outcome) -> f64 {
    if outcome.offered > 0.0 { 100.0 * outcome.shed / outcome.offered } else { 0.0 }
}

/// How often the wish turned from more to fewer, or back.
fn turns(decisions: &[Decision]) -> usize {
    let is_up = |decision: &Decision| decision.to > decision.from;
    decisions.iter().zip(decisions.iter().skip(1)).filter(|(before, after)| is_up(before) != is_up(after)).count()
}

fn clock(at: Timestamp) -> String {
    at.iso()
}

fn second(at: Timestamp) -> i64 {
    i64::try_from(at.0 / 1000).unwrap_or(i64::MAX)
}

type Of<'o> = &'o dyn Fn(&Moment) -> Option<f64>;

const LOAD: Of<'_> = &|moment| Some(moment.load);
const DESIRED: Of<'_> = &|moment| Some(f64::from(moment.desired));
const IN_SERVICE: Of<'_> = &|moment| Some(f64::from(moment.in_service));
const EACH: Of<'_> = &|moment| moment.each;

/// Values by the second in which their period began.
fn points(outcome: &Outcome, period: i64, of: Of<'_>) -> BTreeMap<i64, f64> {
    outcome.moments.iter().filter_map(|moment| Some((second(moment.at) - period, of(moment)?))).collect()
}

fn bounds(outcome: &Outcome, period: i64) -> (i64, i64) {
    let first = outcome.moments.first().map_or(0, |moment| second(moment.at) - period);
    (first, outcome.moments.last().map_or(0, |moment| second(moment.at)))
}

fn draw(setting: &Setting, outcome: &Outcome, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let period = i64::try_from(setting.period.as_secs())?;
    let (from, to) = bounds(outcome, period);
    let columns = streams.screen.columns.unwrap_or(COLUMNS).saturating_sub(LABEL + BOUNDS).max(20);
    let moment = |at: i64| Time(at.saturating_mul(1000)).to_string();
    writeln!(streams.out, "{:<LABEL$}{} to {}, by {period} s", "time", &moment(from)[..19], &moment(to)[..19])?;
    for (name, of) in [("load", LOAD), ("members wanted", DESIRED), ("in service", IN_SERVICE), ("load of each", EACH)]
    {
        let points = points(outcome, period, of);
        let (least, most) = plot::bounds(points.values().copied()).unwrap_or_default();
        let blocks = plot::spark(&points, from, to, period, columns);
        writeln!(streams.out, "{name:<LABEL$}{blocks}  {} to {}", short(least), short(most))?;
    }
    Ok(())
}

/// Four digits or so.
fn short(value: f64) -> String {
    let text = if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn picture(setting: &Setting, tried: &[Tried], outcome: &Outcome, without: Option<&Outcome>) -> anyhow::Result<String> {
    let period = i64::try_from(setting.period.as_secs())?;
    let (from, to) = bounds(outcome, period);
    let each = outcome.moments.len().div_ceil(DRAWN).max(1);
    let line_of = |name: &str, outcome: &Outcome, of: Of<'_>| {
        let all: Vec<(i64, f64)> = points(outcome, period, of).into_iter().collect();
        let mean = |part: &[(i64, f64)]| {
            let sum: f64 = part.iter().map(|(_, value)| value).sum();
            (part.first().map_or(0, |(at, _)| *at), sum / part.len() as f64)
        };
        (name.to_owned(), all.chunks(each).map(mean).collect::<BTreeMap<_, _>>())
    };
    let line = |name: &str, of: Of<'_>| line_of(name, outcome, of);
    let foreseen: BTreeMap<u64, f64> =
        outcome.foreseen.iter().map(|(from, load)| (forecast::hour(*from), *load)).collect();
    // A moment is the end of its period.
    let expected = |moment: &Moment| {
        let began = Timestamp(moment.at.0.saturating_sub(u64::try_from(period).unwrap_or(0) * 1000));
        foreseen.get(&forecast::hour(began)).copied()
    };
    let mut load = vec![line("load", LOAD)];
    if !foreseen.is_empty() {
        load.push(line("foreseen", &expected));
    }
    if let Some(most) = setting.most {
        let taken = |moment: &Moment| (second(moment.at) - period, most * f64::from(moment.in_service));
        load.push(("what members take".into(), outcome.moments.iter().step_by(each).map(taken).collect()));
    }
    let mut of_each = vec![line("load of each", EACH)];
    for policy in tried {
        if let Rule::Tracking { target, .. } | Rule::Predictive { target, .. } = policy.rule {
            of_each.push((format!("target of {}", policy.name), BTreeMap::from([(from, target), (to - 1, target)])));
        }
    }
    let mut members = vec![line("members wanted", DESIRED), line("in service", IN_SERVICE)];
    if !foreseen.is_empty() {
        members.push(line("foreseen", &|moment| capacity(tried, expected(moment)?).map(f64::from)));
    }
    if let Some(without) = without {
        members.push(line_of("wanted without", without, DESIRED));
    }
    let panels = [("Load".to_owned(), load), ("Members".to_owned(), members), ("Load of each".to_owned(), of_each)];
    plot::panels(&panels, from, to, period.saturating_mul(i64::try_from(each)?))
}
