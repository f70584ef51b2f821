//! The scaling act: load rises, a group grows; load falls, it shrinks; no request is lost.
//!
//! Owns the group and its own balancer and traffic, beside those of the other steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use evenkeel_aws::autoscaling as wire;

use super::{Play, ZONES};
use crate::demo::judge::{Scaled, seconds};
use crate::demo::report::count;
use crate::traffic::{Addresses, Plan, Traffic, addresses};

/// The balancer, and the group behind it.
const NAME: &str = "elastic";
/// Requests a second at first.
const CALM: u32 = 100;
/// Requests a second that come on top.
const MORE: u32 = 400;
/// Requests a second that a member is to have: five times the load takes five members.
const EACH: u32 = 110;
/// Members that all of it takes, at least.
const MEMBERS: usize = 4;
/// The most members.
const MOST: i64 = 6;
/// Seconds that a new member takes until its metrics count.
const WARMUP: i64 = 2;
/// How long is looked on where nothing is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// How long the group may take to shrink: it must have been idle for a while, and drains whom it ends.
const SHRINKS: Duration = Duration::from_secs(90);

impl Play<'_> {
    /// All of it.
    pub(super) fn scale(&mut self) -> anyhow::Result<()> {
        self.board
            .step(format!("a group `{NAME}` of 1 to {MOST}, which keeps {EACH} requests a second on each member"));
        self.make_group()?;
        self.until("the group's first member behind the load balancer", |play| {
            let ids: Vec<String> = play.members()?.into_iter().map(|member| member.instance_id).collect();
            let health = play.client()?.instance_health(NAME, &[])?;
            let serves = |id: &String| health.iter().any(|one| one.instance_id == *id && one.state == "InService");
            Ok((!ids.is_empty() && ids.iter().all(serves)).then_some(()))
        })?;
        let nodes = self.nodes_of_group()?;
        let calm = flow(&nodes, CALM)?;
        self.flow(LOOK)?;
        self.board.step(format!("{} requests a second instead of {CALM}", CALM + MORE));
        let (asked, more) = (Instant::now(), flow(&nodes, MORE)?);
        let decided = self.until("the group to want more members", |play| {
            Ok((play.desired()? >= MEMBERS).then(|| asked.elapsed()))
        })?;
        self.board.note(format!("{} later it wants {} members", seconds(decided), self.desired()?));
        let grown = self.until(&format!("{MEMBERS} members in service"), |play| {
            Ok((play.in_service()? >= MEMBERS).then(|| asked.elapsed()))
        })?;
        let peak = self.in_service()?;
        self.board.note(format!("{} later {peak} are in service", seconds(grown)));
        self.flow(LOOK)?;
        self.board.step(format!("{CALM} requests a second again"));
        let (asked, more) = (Instant::now(), more.stop());
        let shrunk = self.until_within(SHRINKS, "the group to shrink to one member", |play| {
            Ok((play.desired()? == 1 && play.members()?.len() == 1).then(|| asked.elapsed()))
        })?;
        self.board.note(format!("{} later one is left", seconds(shrunk)));
        let calm = calm.stop();
        let (sent, lost) = (calm.sent + more.sent, calm.lost() + more.lost());
        self.board.note(format!("{} requests sent, {} lost", count(sent), count(lost)));
        self.figures.failures.extend(calm.failures.into_iter().chain(more.failures));
        self.figures.scaled = Some(Scaled { peak, decided, grown, shrunk, sent, lost });
        self.end_group()
    }

    fn make_group(&self) -> anyhow::Result<()> {
        // There are fewer members than zones at first.
        self.create(NAME, true)?;
        let client = self.client()?;
        client.call(&wire::CreateLaunchConfiguration {
            launch_configuration_name: NAME.into(),
            image_id: self.images.get("v2").cloned(),
            instance_type: Some("m1.small".into()),
            ..Default::default()
        })?;
        client.call(&wire::CreateAutoScalingGroup {
            auto_scaling_group_name: NAME.into(),
            launch_configuration_name: Some(NAME.into()),
            min_size: 1,
            max_size: MOST,
            availability_zones: Some(ZONES.iter().map(ToString::to_string).collect()),
            load_balancer_names: vec![NAME.to_owned()].into(),
            health_check_type: Some("ELB".into()),
            health_check_grace_period: Some(20),
            ..Default::default()
        })?;
        client.call(&wire::PutScalingPolicy {
            auto_scaling_group_name: NAME.into(),
            policy_name: "requests".into(),
            policy_type: Some("TargetTrackingScaling".into()),
            estimated_instance_warmup: Some(WARMUP),
            target_tracking_configuration: Some(wire::TargetTrackingConfiguration {
                predefined_metric_specification: Some(wire::PredefinedMetricSpecification {
                    predefined_metric_type: "ALBRequestCountPerTarget".into(),
                    resource_label: None,
                }),
                // It is meant for a minute, as AWS has it.
                target_value: f64::from(EACH * 60),
                ..Default::default()
            }),
            ..Default::default()
        })?;
        Ok(())
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        self.board.step("end the group");
        let input = wire::DeleteAutoScalingGroup { auto_scaling_group_name: NAME.into(), force_delete: Some(true) };
        self.client()?.call(&input).context("failed to delete the group")?;
        self.until("the group to end", |play| Ok(play.group()?.is_none().then_some(())))
    }

    fn group(&self) -> anyhow::Result<Option<wire::AutoScalingGroup>> {
        let input = wire::DescribeAutoScalingGroups {
            auto_scaling_group_names: vec![NAME.to_owned()].into(),
            ..Default::default()
        };
        Ok(self.client()?.call(&input)?.auto_scaling_groups.0.into_iter().next())
    }

    fn desired(&self) -> anyhow::Result<usize> {
        Ok(self.group()?.and_then(|group| usize::try_from(group.desired_capacity).ok()).unwrap_or_default())
    }

    /// Whose processes are to be gone at the end.
    fn members(&mut self) -> anyhow::Result<Vec<wire::Instance>> {
        let members = self.group()?.map(|group| group.instances.0).unwrap_or_default();
        members.iter().for_each(|member| self.venue.launched(&member.instance_id));
        Ok(members)
    }

    fn in_service(&mut self) -> anyhow::Result<usize> {
        Ok(self.members()?.iter().filter(|member| member.lifecycle_state == "InService").count())
    }

    fn nodes_of_group(&self) -> anyhow::Result<Addresses> {
        let port = self.venue.port;
        let found = self.client()?.interfaces(&format!("ELB {NAME}"))?;
        let at =
            |address: &str| format!("{address}:{port}").parse().with_context(|| format!("failed to read `{address}`"));
        let at = found.iter().map(|interface| at(&interface.private_ip_address)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(addresses(at))
    }
}

fn flow(nodes: &Addresses, rate: u32) -> anyhow::Result<Traffic> {
    let plan = Plan { host: NAME.into(), ..Plan::new(Arc::clone(nodes), rate) };
    Traffic::start(plan).context("failed to start the traffic")
}
