//! Groups and what they did, as tables and JSON.

use std::io;

use evenkeel_aws::autoscaling as wire;
use serde_json::{Value, json};

use crate::cli::streams::Streams;
use crate::cli::table::Table;

pub(super) fn list(groups: &[wire::AutoScalingGroup], as_json: bool, streams: &mut Streams<'_>) -> io::Result<()> {
    if as_json {
        let all: Vec<Value> = groups.iter().map(document).collect();
        return writeln!(streams.out, "{}", serde_json::to_string_pretty(&all)?);
    }
    let mut table =
        Table::new(["GROUP", "IN SERVICE", "DESIRED", "MIN", "MAX", "LAUNCHES WITH", "LOAD BALANCERS", "ZONES"]);
    for group in groups {
        table.push([
            group.auto_scaling_group_name.clone(),
            serving(group).to_string(),
            group.desired_capacity.to_string(),
            group.min_size.to_string(),
            group.max_size.to_string(),
            group.launch_configuration_name.clone().unwrap_or_default(),
            group.load_balancer_names.join(" "),
            group.availability_zones.join(" "),
        ]);
    }
    table.write(streams)
}

pub(super) fn group(group: &wire::AutoScalingGroup, as_json: bool, streams: &mut Streams<'_>) -> io::Result<()> {
    if as_json {
        return writeln!(streams.out, "{}", serde_json::to_string_pretty(&document(group))?);
    }
    let mut line = |what: &str, text: &str| writeln!(streams.out, "{what:<14}  {text}");
    line("group", &group.auto_scaling_group_name)?;
    if let Some(status) = &group.status {
        line("status", status)?;
    }
    let (min, max) = (group.min_size, group.max_size);
    line("members", &format!("{} in service, {} desired, {min} to {max}", serving(group), group.desired_capacity))?;
    if let Some(pool) = &group.warm_pool_configuration {
        let state = pool.pool_state.as_deref().unwrap_or("Stopped");
        line("warm pool", &format!("{}, {state}", group.warm_pool_size.unwrap_or_default()))?;
    }
    line("launches with", group.launch_configuration_name.as_deref().unwrap_or("-"))?;
    line("zones", &group.availability_zones.join(" "))?;
    for balancer in &group.load_balancer_names {
        line("load balancer", balancer)?;
    }
    let grace = group.health_check_grace_period.unwrap_or_default();
    line("health", &format!("by {}, grace {grace} s", group.health_check_type))?;
    line("ends first", &group.termination_policies.join(", "))?;
    for process in &group.suspended_processes {
        let why = process.suspension_reason.as_deref().unwrap_or_default();
        line("suspended", &format!("{} ({why})", process.process_name.as_deref().unwrap_or_default()))?;
    }
    for tag in &group.tags {
        let value = tag.value.as_deref().unwrap_or_default();
        line("tag", &format!("{}={value}", tag.key.as_deref().unwrap_or_default()))?;
    }
    if group.instances.is_empty() {
        return Ok(());
    }
    writeln!(streams.out)?;
    let mut table = Table::new(["INSTANCE", "STATE", "HEALTH", "ZONE", "LAUNCHED WITH", "PROTECTED"]);
    for member in &group.instances {
        table.push([
            member.instance_id.clone(),
            member.lifecycle_state.clone(),
            member.health_status.clone(),
            member.availability_zone.clone(),
            member.launch_configuration_name.clone().unwrap_or_default(),
            if member.protected_from_scale_in { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.write(streams)
}

pub(super) fn activities(all: &[wire::Activity], as_json: bool, streams: &mut Streams<'_>) -> io::Result<()> {
    for activity in all {
        let description = activity.description.as_deref().unwrap_or_default();
        if as_json {
            let told = json!({
                "id": activity.activity_id, "began": activity.start_time.to_string(),
                "ended": activity.end_time.map(|time| time.to_string()), "status": activity.status_code,
                "description": description, "cause": activity.cause,
            });
            writeln!(streams.out, "{told}")?;
            continue;
        }
        writeln!(streams.out, "{}  {:<12}  {description}", activity.start_time, activity.status_code)?;
        for sentence in activity.cause.split("  ").filter(|sentence| !sentence.is_empty()) {
            writeln!(streams.out, "    {sentence}")?;
        }
    }
    Ok(())
}

fn serving(group: &wire::AutoScalingGroup) -> usize {
    group.instances.iter().filter(|member| member.lifecycle_state == "InService").count()
}

fn document(group: &wire::AutoScalingGroup) -> Value {
    let member = |member: &wire::Instance| {
        json!({
            "id": member.instance_id, "state": member.lifecycle_state, "health": member.health_status,
            "zone": member.availability_zone, "launched_with": member.launch_configuration_name,
            "protected": member.protected_from_scale_in,
        })
    };
    let tags: serde_json::Map<String, Value> =
        group.tags.iter().map(|tag| (tag.key.clone().unwrap_or_default(), json!(tag.value))).collect();
    let suspended: Vec<&Option<String>> =
        group.suspended_processes.iter().map(|process| &process.process_name).collect();
    json!({
        "name": group.auto_scaling_group_name, "arn": group.auto_scaling_group_arn,
        "min": group.min_size, "max": group.max_size, "desired": group.desired_capacity,
        "launches_with": group.launch_configuration_name, "zones": group.availability_zones.0,
        "load_balancers": group.load_balancer_names.0, "health": group.health_check_type,
        "grace": group.health_check_grace_period, "suspended": suspended, "tags": tags,
        "members": group.instances.iter().map(member).collect::<Vec<_>>(),
    })
}
