//! `evenkeel asg simulate`: what policies would make of a load, given or recorded, in no time.
//!
//! Owns the arguments and what is asked of whom. The group in virtual time is core's (`scaling::simulate`): the same code
//! decides that scales real groups. Next: [`policy`] and [`load`], what is read; [`shown`], what is printed and drawn.

mod load;
mod policy;
mod shown;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use evenkeel_core::noun::scaling_group::PACE_TAGS;
use evenkeel_core::scaling::Bounds;
use evenkeel_core::scaling::decide::{Behavior, Pace, Rule};
use evenkeel_core::scaling::simulate::{Setting, simulate};

use super::super::client::Client;
use super::super::failure::{Outcome, hinted};
use super::super::metric::{dimension, metric};
use super::super::settings::Reach;
use super::super::streams::Streams;
use load::Range;

/// The most periods that are lived through: two months of seconds, or ten years of minutes.
const MOST_PERIODS: u64 = 6_000_000;

/// Arguments of `evenkeel asg simulate`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg simulate --policy target.json --load day.csv --max 20 --capacity 120\n  \
        evenkeel asg simulate --policy target.json --load day.csv --max 20 --boot 40 --svg day.svg --price 0.05\n  \
        evenkeel asg simulate --group web --recorded 24h                  its own policies, what its members had to do\n  \
        evenkeel asg simulate --group web --policy steps.json --recorded 24h --json | jq .instance_hours\n  \
        evenkeel asg simulate --group web --recorded 14d --predictive     would forecasts have been of use?\n\n\
    FILE has policies in AWS's JSON: a TargetTrackingConfiguration, what put-scaling-policy takes, a list of such, or what\n\
    describe-policies answers. Simple and step policies state their alarms as put-metric-alarm does:\n  \
        {\"PolicyName\": \"more\", \"PolicyType\": \"StepScaling\", \"AdjustmentType\": \"ChangeInCapacity\",\n   \
        \"StepAdjustments\": [{\"MetricIntervalLowerBound\": 0, \"ScalingAdjustment\": 2}],\n   \
        \"Alarms\": [{\"AlarmName\": \"busy\", \"ComparisonOperator\": \"GreaterThanThreshold\", \"Threshold\": 80, \"EvaluationPeriods\": 2}]}"
)]
pub struct Simulate {
    /// File with policies, or - for standard input; may be repeated [default: those of the group]
    #[arg(long = "policy", value_name = "FILE", required_unless_present = "group")]
    pub policies: Vec<PathBuf>,
    /// Group whose policies, bounds, cooldown and warm-up are tried, as far as nothing else is stated
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// CSV of `time,value`: the load of all members together, from a time (RFC 3339, or seconds) until the next line's
    #[arg(long, value_name = "CSV", required_unless_present = "recorded", conflicts_with = "recorded")]
    pub load: Option<PathBuf>,
    /// Load as it was measured: so far back (90m, 24h, 7d), or FROM..TO in RFC 3339
    #[arg(long, value_name = "RANGE")]
    pub recorded: Option<Range>,
    /// Metric that was recorded; its sum in each second is the load [default: the policy's, else AWS/EC2/CPUUtilization]
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = metric, requires = "recorded")]
    pub metric: Option<(String, String)>,
    /// A dimension of it; may be repeated [default: AutoScalingGroupName=NAME]
    #[arg(long, value_name = "NAME=VALUE", value_parser = dimension, requires = "recorded")]
    pub on: Vec<(String, String)>,
    /// Statistic of each period that is the load as it is, rather than the sum by the second
    #[arg(long, value_name = "STATISTIC", requires = "recorded")]
    pub stat: Option<String>,
    /// Scale by forecasts, too, each of what was lived through before; compared with the same without [default: the target of a
    /// policy that tracks one, unless a policy forecasts]
    #[arg(long)]
    pub predictive: bool,
    /// Seconds before an hour at which what is foreseen for it is brought about [default: the policy's, else 300]
    #[arg(long, value_name = "SECONDS", requires = "predictive", value_parser = clap::value_parser!(u64).range(..3600))]
    pub ahead: Option<u64>,
    /// The fewest members [default: the group's, else 1]
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// The most members [default: the group's, else 10]
    #[arg(long, value_name = "N")]
    pub max: Option<u32>,
    /// How many to begin with [default: the fewest]
    #[arg(long, value_name = "N")]
    pub start: Option<u32>,
    /// Seconds from a launch until a member is in service
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub boot: u64,
    /// Seconds in service until a member's metrics count [default: the policy's, the group's, else its cooldown]
    #[arg(long, value_name = "SECONDS")]
    pub warmup: Option<u64>,
    /// Seconds that simple policies rest [default: the group's, else 300]
    #[arg(long, value_name = "SECONDS")]
    pub cooldown: Option<u64>,
    /// Seconds of a datapoint, and from one decision to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub period: u64,
    /// Seconds for which fewer members must be wanted before there are fewer [default: the group's, else 15 periods]
    #[arg(long, value_name = "SECONDS")]
    pub stabilize: Option<u64>,
    /// The most load that a member takes; what is beyond it is shed [default: all of it]
    #[arg(long, value_name = "LOAD", value_parser = positive)]
    pub capacity: Option<f64>,
    /// What an instance costs an hour
    #[arg(long, value_name = "AMOUNT", value_parser = positive)]
    pub price: Option<f64>,
    /// List what was decided, and why
    #[arg(long)]
    pub decisions: bool,
    /// Draw load, members and load per member into a file, too
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON: sums, decisions, and the group at the end of each period
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Carries the command out. The daemon is asked only for what is its: a group, or what was measured.
///
/// # Errors
/// Files that cannot be read or make no sense, what the daemon refuses, and those of the client.
pub fn run(
    args: &Simulate,
    connect: &dyn Fn(&Reach) -> anyhow::Result<Client>,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Outcome> {
    let client = if args.group.is_some() || args.recorded.is_some() { Some(connect(&args.reach)?) } else { None };
    let group = match (&args.group, &client) {
        (Some(name), Some(client)) => Some(super::existing(client, name)?),
        _ => None,
    };
    let mut found = Vec::new();
    for path in &args.policies {
        found.extend(policy::read(path).with_context(|| format!("failed to read policies of {}", path.display()))?);
    }
    if let (true, Some(name), Some(client)) = (found.is_empty(), &args.group, &client) {
        found = policy::of_group(client, name).with_context(|| format!("failed to read the policies of `{name}`"))?;
    }
    if found.is_empty() {
        return Err(hinted("there is no policy to try", "state one with `--policy FILE`"));
    }
    if args.predictive {
        foresee(args, &mut found)?;
    }
    let load = match (&args.load, &args.recorded, &client) {
        (Some(path), ..) => {
            load::read(path).with_context(|| format!("failed to read the load of {}", path.display()))?
        }
        (None, Some(range), Some(client)) => {
            let metric = policy::metric(&found);
            load::recorded(args, range, group.as_ref(), metric, client).context("failed to read what was recorded")?
        }
        _ => return Ok(Outcome::Usage),
    };
    let of = |stated: Option<u32>, held: Option<i64>, usual: u32| {
        stated.or_else(|| held.and_then(|n| u32::try_from(n).ok())).unwrap_or(usual)
    };
    let held = group.as_ref();
    let min = of(args.min, held.map(|group| group.min_size), 1);
    let max = of(args.max, held.map(|group| group.max_size), 10.max(min));
    if min > max {
        return Err(hinted(format!("{min} members at least, and {max} at most"), "give `--min` and `--max`"));
    }
    let cooldown = args.cooldown.or_else(|| u64::try_from(held?.default_cooldown).ok()).unwrap_or(300);
    let own = found.iter().find_map(|policy| policy.warmup);
    let usual = held.and_then(|group| group.default_instance_warmup).and_then(|n| u64::try_from(n).ok());
    let warmup = args.warmup.or(own).or(usual).unwrap_or(cooldown);
    let seconds = Duration::from_secs;
    let [out_cooldown, out_window, in_cooldown, in_window] = PACE_TAGS.map(|key| {
        let tag = held.and_then(|group| group.tags.iter().find(|tag| tag.key.as_deref() == Some(key)));
        seconds(tag.and_then(|tag| tag.value.as_deref()?.parse().ok()).unwrap_or(0))
    });
    let behavior = Behavior {
        up: Pace { cooldown: out_cooldown, stabilization: out_window },
        down: Pace { cooldown: in_cooldown, stabilization: args.stabilize.map_or(in_window, seconds) },
    };
    let setting = Setting {
        bounds: Bounds { min, max },
        members: args.start.unwrap_or(min),
        boot: seconds(args.boot),
        warmup: seconds(warmup),
        cooldown: seconds(cooldown),
        behavior,
        period: seconds(args.period),
        most: args.capacity,
    };
    let span = match (load.first(), load.last()) {
        (Some((first, _)), Some((last, _))) => last.since(*first),
        _ => return Err(hinted("there is no load", "was anything measured in that time? `evenkeel metric list` says")),
    };
    if span.as_secs() / args.period > MOST_PERIODS {
        let what = format!("{} s of load in periods of {} s are more than {MOST_PERIODS}", span.as_secs(), args.period);
        return Err(hinted(what, "give a longer `--period`"));
    }
    let tried: Vec<_> = found.into_iter().map(|policy| policy.tried).collect();
    let outcome = simulate(&setting, &tried, &load);
    let (ahead, others): (Vec<_>, Vec<_>) =
        tried.iter().cloned().partition(|tried| matches!(tried.rule, Rule::Predictive { .. }));
    let acts = ahead.iter().any(|tried| matches!(tried.rule, Rule::Predictive { acts: true, .. }));
    let without = acts.then(|| simulate(&setting, &others, &load));
    shown::show(args, &setting, &tried, &outcome, without.as_ref(), streams)?;
    Ok(Outcome::Done)
}

/// Lets policies that forecast scale, and makes one where there is none.
fn foresee(args: &Simulate, found: &mut Vec<policy::Found>) -> anyhow::Result<()> {
    let mut any = false;
    for policy in found.iter_mut() {
        if let Rule::Predictive { acts, buffer, .. } = &mut policy.tried.rule {
            (any, *acts) = (true, true);
            *buffer = args.ahead.map_or(*buffer, Duration::from_secs);
        }
    }
    if !any {
        let way = "add a policy that tracks a target, or one of type PredictiveScaling";
        let made = policy::ahead(found, args.ahead);
        found.push(made.ok_or_else(|| hinted("no policy says what a member is to have to do", way))?);
    }
    Ok(())
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("not a positive number".into()) }
}

#[cfg(test)]
mod tests;
