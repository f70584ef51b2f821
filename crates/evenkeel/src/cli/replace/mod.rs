//! `evenkeel replace`: every instance behind a load balancer by a new one: add new, verify, remove old, end old.
//!
//! Owns the order, over the API alone, as anybody could do it by hand. Must never take an old instance out before its
//! successor is in service. What is where stands in tags of the instances, so a run that is cut short is gone on with by the
//! next. Next: [`plan`] for what is to be replaced, [`pair`] for how one is, [`report`] for what is said of it.

mod pair;
mod plan;
mod report;

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::Time;

use super::client::Client;
use super::failure::Outcome;
use super::launch;
use super::settings::Reach;
use super::streams::{Progress, Streams};
use super::wait::{self, parse_seconds};
use pair::{Pair, Phase, Round};
use plan::Plan;
use report::Report;

/// The tag of a new instance that names the one it replaces.
pub const REPLACES: &str = "evenkeel:replaces";

/// Between two rounds: far below what one access key may ask.
const PAUSE: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  evenkeel replace web --image ami-0123456789abcdef0
  evenkeel replace web --image ami-0123456789abcdef0 --parallel 2 --dry-run
  evenkeel replace web --image ami-0123456789abcdef0 --launched-before $(date -u +%FT%TZ)    the same image, booted anew

It stops at the first new instance that does not come into service, and takes away what is not in service by then. The same
command again goes on where the last one ended.";

/// Arguments of `evenkeel replace`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct Replace {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Image of the new instances
    #[arg(long, value_name = "AMI")]
    pub image: String,
    /// How many to replace at once
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub parallel: u8,
    /// Also replace instances that run the image already, if they were launched before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub launched_before: Option<Time>,
    /// How long each new instance may take to be in service, and each old one to end
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// Print what would be replaced, and replace nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

fn parse_time(text: &str) -> Result<Time, String> {
    text.parse().map_err(|_| "not a time like 2026-01-31T12:00:00Z".to_owned())
}

/// Replaces, and says what it did.
///
/// # Errors
/// No such load balancer or image, a replacement by another image that is under way, and those of the client.
pub fn run(args: &Replace, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let failed = || format!("failed to replace the instances of `{}`", args.name);
    let plan = Plan::make(args, client).with_context(failed)?;
    if args.dry_run {
        return report::print_plan(args, &plan, streams);
    }
    let mut work = Work { args, client, pairs: plan.pairs, report: Report::new(args, plan.left) };
    let mut progress = Progress::default();
    let carried = work.carry_out(&mut progress, streams);
    progress.end(streams)?;
    let outcome = work.report.print(&work.pairs, streams)?;
    carried.with_context(|| format!("{}; run it again to go on", failed()))?;
    Ok(outcome)
}

/// One run.
struct Work<'a> {
    args: &'a Replace,
    client: &'a Client,
    pairs: Vec<Pair>,
    report: Report,
}

impl Work<'_> {
    fn carry_out(&mut self, progress: &mut Progress, streams: &mut Streams<'_>) -> anyhow::Result<()> {
        loop {
            let halted = self.pairs.iter().any(|pair| matches!(pair.phase, Phase::Failed(_)));
            if halted {
                self.back_out(progress, streams)?;
            }
            let mut room = usize::from(self.args.parallel).saturating_sub(self.under_way());
            for pair in self.pairs.iter_mut().filter(|pair| !halted && matches!(pair.phase, Phase::Due)) {
                if room == 0 {
                    break;
                }
                pair.start(self.args, self.client);
                room -= 1;
            }
            progress.show(streams, &self.summary())?;
            let is_over = halted || !self.pairs.iter().any(|pair| matches!(pair.phase, Phase::Due | Phase::Failed(_)));
            if is_over && self.under_way() == 0 {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
            let round = Round::ask(self.client, &self.pairs)?;
            for pair in &mut self.pairs {
                pair.advance(self.args, self.client, &round);
            }
        }
    }

    fn under_way(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.is_under_way()).count()
    }

    /// `3 of 8 replaced; i-1 by i-2: boots`.
    fn summary(&self) -> String {
        let done = self.pairs.iter().filter(|pair| matches!(pair.phase, Phase::Done)).count();
        let under_way: Vec<String> = self.pairs.iter().filter(|pair| pair.is_under_way()).map(Pair::summary).collect();
        let under_way = if under_way.is_empty() { String::new() } else { format!("; {}", under_way.join("; ")) };
        format!("{done} of {} replaced{under_way}", self.pairs.len())
    }

    /// Takes away every new instance whose old one is still in its place. Those whose old one is on its way out go on.
    fn back_out(&mut self, progress: &mut Progress, streams: &mut Streams<'_>) -> anyhow::Result<()> {
        let back: Vec<&mut Pair> = self.pairs.iter_mut().filter(|pair| pair.goes_back()).collect();
        let mut going: Vec<(String, Vec<String>)> = Vec::new();
        for pair in back {
            if matches!(pair.phase, Phase::Failed(_)) {
                // What it said last is why; read before it is gone.
                self.report.console = pair.new.as_deref().and_then(|new| launch::console_tail(self.client, new));
            } else {
                pair.phase = Phase::Halted;
            }
            if let Some(new) = pair.new.clone() {
                pair.leave(self.client, &new)?;
                pair.terminate(self.client, &new)?;
                going.push((new, pair.balancers.clone()));
            }
            pair.is_back = true;
        }
        if going.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = going.iter().map(|(new, _)| new.clone()).collect();
        progress.show(streams, &format!("going back: {} to end", ids.join(", ")))?;
        wait::until(self.args.timeout, || {
            let seen = launch::look(self.client, &ids)?;
            Ok(seen.iter().all(|instance| instance.instance_state.name == "terminated").then_some(()))
        })?;
        // A boot that was cut short may have registered it meanwhile.
        for (new, balancers) in going {
            pair::leave_all(self.client, &balancers, &new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
