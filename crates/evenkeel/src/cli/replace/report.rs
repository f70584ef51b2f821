//! What a replacement says of itself: lines for people, one object of JSON for programs.
//!
//! Next: [`super`].

use serde_json::{Value, json};

use super::super::failure::Outcome;
use super::super::streams::Streams;
use super::Replace;
use super::pair::{Pair, Phase};
use super::plan::Plan;

/// What is said at the end.
pub struct Report {
    balancer: String,
    image: String,
    is_json: bool,
    left: Vec<(String, String)>,
    /// The end of the console of the one that failed.
    pub console: Option<String>,
}

impl Report {
    /// Of a run that is about to begin.
    pub fn new(args: &Replace, left: Vec<(String, String)>) -> Self {
        Self { balancer: args.name.clone(), image: args.image.clone(), is_json: args.json, left, console: None }
    }

    /// Prints it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn print(&self, pairs: &[Pair], streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
        let failed = pairs.iter().any(|pair| matches!(pair.phase, Phase::Failed(_)));
        let outcome = if failed { Outcome::Failed } else { Outcome::Done };
        if self.is_json {
            serde_json::to_writer_pretty(&mut *streams.out, &self.json(pairs))?;
            writeln!(streams.out)?;
            return Ok(outcome);
        }
        for (id, why) in &self.left {
            writeln!(streams.err, "{id} is left: {why}")?;
        }
        for pair in pairs {
            let (old, new) = (&pair.old.instance_id, pair.new.as_deref().unwrap_or_default());
            let zone = &pair.old.placement.availability_zone;
            match &pair.phase {
                Phase::Done => {
                    let took = pair.took.unwrap_or_default().as_secs_f64();
                    writeln!(streams.out, "{old} -> {new} {zone} {took:.1} s")?;
                }
                Phase::Failed(why) => {
                    writeln!(streams.err, "error: failed to replace {old}: {why}")?;
                    if let Some(console) = &self.console {
                        writeln!(streams.err, "its console ended with:\n{console}")?;
                    }
                }
                Phase::Due | Phase::Boots | Phase::Enters | Phase::Drains | Phase::Ends | Phase::Halted => {}
            }
        }
        if failed {
            let back: Vec<&str> = pairs.iter().filter_map(taken_away).collect();
            let back = if back.is_empty() { String::new() } else { format!("; ended again: {}", back.join(", ")) };
            let in_place = pairs.iter().filter(|pair| !pair.is_out).count();
            writeln!(streams.err, "stopped: {in_place} of {} old instances are in their place{back}", pairs.len())?;
        }
        Ok(outcome)
    }

    fn json(&self, pairs: &[Pair]) -> Value {
        let one = |pair: &Pair| {
            let (state, why) = match &pair.phase {
                Phase::Done => ("replaced", None),
                Phase::Failed(why) => ("failed", Some(why.as_str())),
                Phase::Due => ("not begun", None),
                Phase::Halted => ("halted", None),
                Phase::Boots | Phase::Enters | Phase::Drains | Phase::Ends => ("under way", None),
            };
            let seconds = pair.took.map(|took| (took.as_secs_f64() * 1000.0).round() / 1000.0);
            json!({
                "old": pair.old.instance_id, "new": pair.new, "zone": pair.old.placement.availability_zone,
                "state": state, "why": why, "seconds": seconds, "new_ended_again": taken_away(pair).is_some(),
            })
        };
        json!({
            "load_balancer": self.balancer, "image": self.image,
            "instances": pairs.iter().map(one).collect::<Vec<_>>(), "left": left(&self.left), "console": self.console,
        })
    }
}

/// Prints what would be done.
///
/// # Errors
/// Those of writing.
pub fn print_plan(args: &Replace, plan: &Plan, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    if args.json {
        let one = |pair: &Pair| {
            let old = &pair.old;
            json!({ "old": old.instance_id, "old_image": old.image_id, "new": pair.new, "zone": old.placement.availability_zone,
                    "load_balancers": pair.balancers })
        };
        let pairs: Vec<Value> = plan.pairs.iter().map(one).collect();
        let all = json!({ "load_balancer": args.name, "image": args.image, "would_replace": pairs, "left": left(&plan.left) });
        serde_json::to_writer_pretty(&mut *streams.out, &all)?;
        writeln!(streams.out)?;
        return Ok(Outcome::Done);
    }
    for (id, why) in &plan.left {
        writeln!(streams.err, "{id} would be left: {why}")?;
    }
    for Pair { old, new, .. } in &plan.pairs {
        let by = new.as_deref().map_or_else(|| format!("a new one of {}", args.image), str::to_owned);
        let zone = &old.placement.availability_zone;
        writeln!(streams.out, "{} of {} in {zone} would be replaced by {by}", old.instance_id, old.image_id)?;
    }
    Ok(Outcome::Done)
}

/// The new instance that was ended again.
fn taken_away(pair: &Pair) -> Option<&str> {
    pair.new.as_deref().filter(|_| pair.is_back)
}

fn left(left: &[(String, String)]) -> Vec<Value> {
    left.iter().map(|(id, why)| json!({ "instance": id, "why": why })).collect()
}
