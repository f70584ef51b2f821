//! What `evenkeel lb` shows: lists, one load balancer, health, policies and their types, limits.
//!
//! Only asks. Next: [`super::state`] for the words of one load balancer.

use anyhow::Context;
use evenkeel_aws::elb;
use serde_json::{Value, json};

use super::args::{Health, Limits, List, PolicyList, PolicyTypes, Show};
use super::state::{self, State};
use super::words;
use crate::cli::client::Client;
use crate::cli::failure::hinted;
use crate::cli::streams::Streams;
use crate::cli::table::Table;

/// Prints JSON as people read it.
///
/// # Errors
/// Those of writing.
pub fn json(value: &Value, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(value)?)?)
}

/// Load balancers, one a row.
pub(super) fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let all = client.load_balancers(&names).context("failed to list load balancers")?;
    let mut table = Table::new(["NAME", "LISTENERS", "ZONES", "IN SERVICE", "DNS NAME"]);
    let mut shown = Vec::new();
    for one in &all {
        let name = &one.load_balancer_name;
        // One without instances need not be asked for their health.
        let health = if one.instances.is_empty() {
            Vec::new()
        } else {
            client.instance_health(name, &[]).with_context(|| format!("failed to ask for the health of `{name}`"))?
        };
        let registered = one.instances.len();
        let is_good = |state: &&elb::InstanceState| {
            state.state == "InService" && one.instances.iter().any(|held| held.instance_id == state.instance_id)
        };
        let in_service = health.iter().filter(is_good).count();
        let listeners = one.listener_descriptions.iter().map(|shown| &shown.listener);
        let listeners: Vec<String> = listeners.map(|l| format!("{}:{}", l.protocol, l.load_balancer_port)).collect();
        shown.push(json!({
            "name": name,
            "dns_name": one.dns_name,
            "scheme": one.scheme,
            "listeners": listeners,
            "zones": *one.availability_zones,
            "instances": registered,
            "in_service": in_service,
        }));
        table.push([
            name.clone(),
            listeners.join(" "),
            one.availability_zones.join(" "),
            format!("{in_service} of {registered}"),
            one.dns_name.clone(),
        ]);
    }
    if args.look.json { json(&Value::Array(shown), streams) } else { Ok(table.write(streams)?) }
}

/// One load balancer: what it is, where its nodes are, how its instances fare.
pub(super) fn show(args: &Show, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let name = &args.name;
    let state = existing(client, name, "show")?;
    let failed = || format!("failed to show load balancer `{name}`");
    let nodes = client.interfaces(&format!("ELB {name}")).with_context(failed)?;
    let health = client.instance_health(name, &[]).with_context(failed)?;
    let address = |zone: &str| {
        let node = nodes.iter().find(|node| node.availability_zone.as_deref() == Some(zone));
        node.map(|node| node.private_ip_address.clone()).unwrap_or_default()
    };
    if args.look.json {
        let mut shown = state.json();
        let zones = state.described.availability_zones.iter();
        shown["nodes"] = zones.map(|zone| (zone.clone(), json!(address(zone)))).collect();
        shown["instances"] = health.iter().map(state_json).collect();
        return json(&shown, streams);
    }
    let described = &state.described;
    let mut rows = vec![
        ("name", name.clone()),
        ("dns", described.dns_name.clone()),
        ("created", described.created_time.to_string()),
    ];
    for line in state.lines() {
        let text = match line.what {
            "zone" => format!("{} {}", line.text, address(&line.text)),
            // Told below, with those that are draining.
            "instance" => continue,
            _ => line.text,
        };
        rows.push((line.what, text));
    }
    for state in &health {
        let because = if state.state == "InService" { String::new() } else { format!(": {}", state.description) };
        rows.push(("instance", format!("{} {}{because}", state.instance_id, state.state)));
    }
    for (what, text) in rows {
        writeln!(streams.out, "{what:<9}  {}", text.trim_end())?;
    }
    Ok(())
}

/// How instances fare.
pub(super) fn health(args: &Health, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = || format!("failed to ask for the health of `{}`", args.name);
    let health = client.instance_health(&args.name, &args.ids).with_context(failed)?;
    if args.look.json {
        return json(&health.iter().map(state_json).collect(), streams);
    }
    let mut table = Table::new(["INSTANCE", "STATE", "REASON", "DESCRIPTION"]);
    for elb::InstanceState { instance_id, state, reason_code, description } in health {
        table.push([instance_id, state, reason_code, description]);
    }
    Ok(table.write(streams)?)
}

fn state_json(state: &elb::InstanceState) -> Value {
    json!({
        "instance": state.instance_id,
        "state": state.state,
        "reason": state.reason_code,
        "description": state.description,
    })
}

/// Policies of a load balancer, or those that everybody has.
pub(super) fn policies(args: &PolicyList, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let input = elb::DescribeLoadBalancerPolicies {
        load_balancer_name: args.name.clone(),
        policy_names: args.policies.clone().into(),
    };
    let policies = client.call(&input).context("failed to list policies")?.policy_descriptions;
    if args.look.json {
        let shown = policies.iter().map(|policy| (policy.policy_name.clone(), state::policy_json(policy)));
        return json(&shown.collect(), streams);
    }
    let mut table = Table::new(["POLICY", "TYPE", "SAYS"]);
    for policy in &policies {
        table.push([policy.policy_name.clone(), policy.policy_type_name.clone(), state::summary(policy)]);
    }
    Ok(table.write(streams)?)
}

/// Types of policies: an attribute a row.
pub(super) fn policy_types(args: &PolicyTypes, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let policy_type_names = args.types.iter().map(|name| words::policy_type(name)).collect();
    let input = elb::DescribeLoadBalancerPolicyTypes { policy_type_names };
    let types = client.call(&input).context("failed to show types of policies")?.policy_type_descriptions;
    if args.look.json {
        let attribute = |a: &elb::PolicyAttributeTypeDescription| json!({ "name": a.attribute_name, "type": a.attribute_type, "cardinality": a.cardinality });
        let shown = types.iter().map(|kind| {
            let attributes: Vec<Value> = kind.policy_attribute_type_descriptions.iter().map(attribute).collect();
            json!({ "type": kind.policy_type_name, "description": kind.description, "attributes": attributes })
        });
        return json(&shown.collect(), streams);
    }
    let mut table = Table::new(["TYPE", "ATTRIBUTE", "IS", "HOW OFTEN"]);
    for kind in types {
        for a in kind.policy_attribute_type_descriptions {
            table.push([kind.policy_type_name.clone(), a.attribute_name, a.attribute_type, a.cardinality]);
        }
    }
    Ok(table.write(streams)?)
}

/// What an account may have at most.
pub(super) fn limits(args: &Limits, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let limits = client.call(&elb::DescribeAccountLimits::default()).context("failed to ask for limits")?.limits;
    if args.look.json {
        let number = |max: &str| max.parse::<u64>().map_or_else(|_| json!(max), |max| json!(max));
        return json(&limits.iter().map(|limit| (limit.name.clone(), number(&limit.max))).collect(), streams);
    }
    let mut table = Table::new(["LIMIT", "AT MOST"]);
    for elb::Limit { name, max } in limits {
        table.push([name, max]);
    }
    Ok(table.write(streams)?)
}

/// A load balancer that is to be there.
pub(super) fn existing(client: &Client, name: &str, what: &str) -> anyhow::Result<State> {
    State::read(client, name)?.ok_or_else(|| {
        let text = format!("failed to {what} load balancer `{name}`: there is none of that name");
        hinted(text, "`evenkeel lb list` names all load balancers")
    })
}
