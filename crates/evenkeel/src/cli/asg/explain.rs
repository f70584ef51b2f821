//! `evenkeel asg explain`: why a group has as many members as it has.
//!
//! Owns the words around what the daemon says of it. Must never judge: every number and every reason is the daemon's.

use std::io;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::super::client::Client;
use super::super::settings::Reach;
use super::super::streams::Streams;

/// Arguments of `evenkeel asg explain`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg explain web\n  evenkeel asg explain web -n 1\n  \
        evenkeel asg explain web --json | jq .now.decision")]
pub struct Explain {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many of the decisions before, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub count: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

pub(super) fn run(args: &Explain, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = || format!("failed to ask why `{}` is as it is", args.name);
    let told = client.explain(&args.name).with_context(failed)?;
    let told: Value = serde_json::from_slice(&told).with_context(failed)?;
    if args.json {
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&told)?)?;
    } else {
        show(&told, args.count, streams)?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list<'v>(of: &'v Value, key: &str) -> &'v [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn show(told: &Value, count: usize, streams: &mut Streams<'_>) -> io::Result<()> {
    let of = |key: &str| told.get(key).map(text).unwrap_or_default();
    let out = &mut *streams.out;
    let (group, desired, serving) = (of("group"), of("desired"), of("in_service"));
    writeln!(out, "{group}: {serving} in service, {desired} desired, {} to {}", of("min"), of("max"))?;
    for (process, why) in told.get("suspended").and_then(Value::as_object).into_iter().flatten() {
        writeln!(out, "  {process} is suspended: {}", text(why))?;
    }
    if let Some(setback) = told.get("setback").filter(|setback| setback.is_object()) {
        let of = |key: &str| setback.get(key).map(text).unwrap_or_default();
        writeln!(
            out,
            "  {} launches failed since {}; the next is tried at {}",
            of("failures"),
            of("since"),
            of("retry")
        )?;
    }
    for why in list(told, "why") {
        writeln!(out, "  {}", text(why))?;
    }
    if let Some(pool) = told.get("pool").filter(|pool| pool.is_object()) {
        let of = |key: &str| pool.get(key).map(text).unwrap_or_default();
        let is = |key: &str| pool.get(key) == Some(&Value::Bool(true));
        let more = if is("goes") { ", being taken off" } else { "" };
        let back = if is("reuses") { ", those who are too many come back" } else { "" };
        writeln!(out, "  warm pool: {} of {} ready ({}){back}{more}", of("ready"), of("size"), of("state"))?;
    }
    if let Some(refresh) = told.get("refresh").filter(|refresh| refresh.is_object()) {
        show_refresh(refresh, out)?;
    }
    for wait in list(told, "waits") {
        let of = |key: &str| wait.get(key).map(text).unwrap_or_default();
        let (instance, state, hook) = (of("instance"), of("state"), of("hook"));
        let (since, until, default) = (of("since"), of("until"), of("default"));
        writeln!(out, "  {instance} is {state} since {since}, waiting for hook {hook} until {until}, then {default}")?;
    }
    for action in list(told, "schedule") {
        let of = |key: &str| action.get(key).map(text).unwrap_or_default();
        let (min, max, desired) = (of("min"), of("max"), of("desired"));
        writeln!(out, "  scheduled action {} at {}: min {min}, max {max}, desired {desired}", of("name"), of("next"))?;
    }
    for policy in list(told, "policies") {
        let of = |key: &str| policy.get(key).map(text).unwrap_or_default();
        let disabled = if policy.get("enabled") == Some(&Value::Bool(false)) { ", disabled" } else { "" };
        writeln!(out, "\npolicy {} ({}{disabled})", of("name"), of("type"))?;
        if let Some(reading) = policy.get("reading").filter(|reading| !reading.is_null()) {
            writeln!(out, "  reads {reading}")?;
        }
        for alarm in list(policy, "alarms") {
            let of = |key: &str| alarm.get(key).map(text).unwrap_or_default();
            writeln!(out, "  alarm {} ({}): {} since {}", of("name"), of("rule"), of("state"), of("since"))?;
            writeln!(out, "    {}", of("reason"))?;
        }
        if let Some(forecast) = policy.get("forecast").filter(|forecast| forecast.is_object()) {
            for line in list(forecast, "lines") {
                writeln!(out, "  {}", text(line))?;
            }
            let made = forecast.get("made").is_some_and(Value::is_string);
            match forecast.get("lack").and_then(Value::as_str) {
                Some(lack) => writeln!(out, "  no{} forecast: {lack}", if made { " newer" } else { "" })?,
                None if !made => writeln!(out, "  no forecast yet")?,
                None => {}
            }
        }
    }
    if let Some(foreseen) = told.get("foreseen").filter(|foreseen| !foreseen.is_null()) {
        writeln!(out, "\nforeseen for now: {foreseen}, below which no policy scales in")?;
    }
    for unread in list(told, "unread") {
        writeln!(out, "  not read: {}", text(unread))?;
    }
    if let Some(now) = told.get("now").filter(|now| now.is_object()) {
        writeln!(out, "\nnow")?;
        for line in list(now, "lines") {
            writeln!(out, "  {}", text(line))?;
        }
    }
    let decisions = list(told, "decisions");
    for decision in decisions.iter().skip(decisions.len().saturating_sub(count)) {
        writeln!(out, "\n{}", decision.get("at").map(text).unwrap_or_default())?;
        for line in list(decision, "lines") {
            writeln!(out, "  {}", text(line))?;
        }
    }
    Ok(())
}

fn show_refresh(refresh: &Value, out: &mut dyn io::Write) -> io::Result<()> {
    let of = |key: &str| refresh.get(key).map(text).unwrap_or_default();
    let (id, status, since) = (of("id"), of("status"), of("since"));
    writeln!(out, "  refresh {id} is {status}: {} % complete, {} left, begun {since}", of("percent"), of("left"))?;
    for key in ["rollback", "waits_for"] {
        if let Some(why) = refresh.get(key).and_then(Value::as_str) {
            writeln!(out, "    {why}")?;
        }
    }
    let checkpoints = list(refresh, "checkpoints").iter().map(|checkpoint| {
        let reached = checkpoint.get("reached") == Some(&Value::Bool(true));
        let percent = checkpoint.get("percent").map(text).unwrap_or_default();
        format!("{percent} %{}", if reached { " (reached)" } else { "" })
    });
    let checkpoints: Vec<String> = checkpoints.collect();
    if !checkpoints.is_empty() {
        writeln!(out, "    checkpoints: {}", checkpoints.join(", "))?;
    }
    for held in list(refresh, "holds_up") {
        writeln!(out, "    meanwhile {}", text(held))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refresh_is_shown_with_all_that_is_known_of_it() {
        let check = |refresh: Value, expected: &str| {
            let mut out = Vec::new();
            show_refresh(&refresh, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        let mut refresh = json!({
            "id": "1", "status": "InProgress", "since": "then", "percent": 50, "left": 2, "rollback": null, "waits_for": null,
            "checkpoints": [], "holds_up": [],
        });
        check(refresh.clone(), "  refresh 1 is InProgress: 50 % complete, 2 left, begun then\n");
        refresh["rollback"] = "It failed.".into();
        refresh["waits_for"] = "Waiting.".into();
        refresh["checkpoints"] = json!([{ "percent": 50, "reached": true }, { "percent": 100, "reached": false }]);
        refresh["holds_up"] = json!(["nobody sings", "nobody dances"]);
        let expected = "  refresh 1 is InProgress: 50 % complete, 2 left, begun then\n    It failed.\n    Waiting.\n    \
                        checkpoints: 50 % (reached), 100 %\n    meanwhile nobody sings\n    meanwhile nobody dances\n";
        check(refresh, expected);
    }
}
