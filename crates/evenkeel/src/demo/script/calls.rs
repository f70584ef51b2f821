//! What the script is made of: calls, waits and looks, each with a limit.
//!
//! Owns how the balancer's addresses are followed: as a resolver does, now and then, keeping what is known while the
//! daemon is away. Must never wait without an eye on whoever wants the demo to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_aws::{ec2, elb};

use super::{NAME, Play, RESOLVE};
use crate::cli::client::Client;
use crate::demo::venue;
use crate::traffic::Seen;

/// How long anything that is waited for may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

impl Play<'_> {
    pub(super) fn launch(&mut self, version: &str, zone: &str, number: i64) -> anyhow::Result<Vec<String>> {
        let input = ec2::RunInstances {
            image_id: self.images.get(version).cloned(),
            min_count: number,
            max_count: number,
            placement: Some(ec2::Placement { availability_zone: Some(zone.into()), ..Default::default() }),
            ..Default::default()
        };
        let reservation = self.client()?.call(&input).context("failed to launch instances")?;
        let ids: Vec<String> = reservation.instances_set.iter().map(|one| one.instance_id.clone()).collect();
        for id in &ids {
            self.venue.launched(id);
            self.board.instance(id, "launched");
        }
        Ok(ids)
    }

    pub(super) fn register(&self, ids: &[String]) -> anyhow::Result<()> {
        let instances = ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect();
        let input = elb::RegisterInstancesWithLoadBalancer { load_balancer_name: NAME.into(), instances };
        self.client()?.call(&input).with_context(|| format!("failed to add {}", ids.join(", ")))?;
        ids.iter().for_each(|id| self.board.instance(id, "added"));
        Ok(())
    }

    pub(super) fn terminate(&self, id: &str) -> anyhow::Result<()> {
        let input = ec2::TerminateInstances { instance_ids: vec![id.to_owned()], ..Default::default() };
        self.client()?.call(&input).with_context(|| format!("failed to terminate {id}"))?;
        self.board.instance(id, "terminated");
        Ok(())
    }

    pub(super) fn wait_running(&mut self, ids: &[String]) -> anyhow::Result<()> {
        self.until(&format!("{} to run", ids.join(", ")), |play| {
            let found = play.client()?.reservations(Vec::new(), ids.to_vec())?;
            let instances: Vec<&ec2::Instance> = found.iter().flat_map(|r| r.instances_set.iter()).collect();
            if let Some(dead) = instances.iter().find(|one| one.instance_state.name == "terminated") {
                bail!("failed to launch {}: {}", dead.instance_id, dead.reason);
            }
            let run = instances.iter().all(|one| one.instance_state.name == "running");
            Ok((run && instances.len() == ids.len()).then_some(()))
        })
    }

    pub(super) fn wait_in_service(&mut self, ids: &[String]) -> anyhow::Result<()> {
        self.until(&format!("{} to be in service", ids.join(", ")), |play| {
            let health = play.client()?.instance_health(NAME, ids)?;
            Ok(health.iter().all(|state| state.state == "InService").then_some(()))
        })?;
        ids.iter().for_each(|id| self.board.instance(id, "in service"));
        Ok(())
    }

    /// Looks on while traffic flows.
    pub(super) fn look_on(&mut self) -> anyhow::Result<()> {
        self.flow(self.pace.look)
    }

    pub(super) fn flow(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.tick()?;
            std::thread::sleep(left.min(LOOK));
        }
        Ok(())
    }

    pub(super) fn until<T>(
        &mut self,
        what: &str,
        look: impl FnMut(&mut Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        self.until_within(LIMIT, what, look)
    }

    pub(super) fn until_within<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut(&mut Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + limit;
        loop {
            self.tick()?;
            if let Some(seen) = look(self)? {
                return Ok(seen);
            }
            if Instant::now() > until {
                bail!("waited {} s in vain for {what}", limit.as_secs());
            }
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn tick(&mut self) -> anyhow::Result<()> {
        unless(self.interrupted)?;
        if self.resolved.elapsed() >= RESOLVE && self.client.is_some() {
            self.resolve()?;
        }
        Ok(())
    }

    /// Asks where the balancer is. While the daemon is away clients keep what they know.
    pub(super) fn resolve(&mut self) -> anyhow::Result<()> {
        let port = self.venue.port;
        let found = self.client()?.interfaces(&format!("ELB {NAME}"))?;
        let mut at = Vec::new();
        for interface in found {
            let address = &interface.private_ip_address;
            at.push(format!("{address}:{port}").parse().with_context(|| format!("failed to read `{address}`"))?);
        }
        if !at.is_empty() && **self.nodes.load() != at {
            self.nodes.store(Arc::new(at));
        }
        self.resolved = Instant::now();
        Ok(())
    }

    pub(super) fn client(&self) -> anyhow::Result<&Client> {
        self.client.as_ref().context("the daemon is not up")
    }

    pub(super) fn seen(&self, id: &str) -> Option<Seen> {
        self.board.snapshot()?.instances.remove(id)
    }

    pub(super) fn answered(&self) -> u64 {
        self.board.snapshot().map_or(0, |now| now.ok)
    }

    pub(super) fn answers_of(&self, zone: &str) -> u64 {
        self.board.snapshot().and_then(|now| now.zones.get(zone).copied()).unwrap_or_default()
    }

    pub(super) fn last_sent_in(&self, zone: &str) -> Duration {
        let now = self.board.snapshot().unwrap_or_default();
        now.instances.values().filter(|seen| seen.zone == zone).map(|seen| seen.last_sent).max().unwrap_or_default()
    }

    /// The processes that each instance runs in.
    pub(super) fn pids(&self) -> BTreeMap<String, Vec<i32>> {
        self.serving.iter().map(|(id, _)| (id.clone(), venue::pids(id))).collect()
    }
}

/// Goes on, unless somebody wants it to end.
pub(super) fn unless(interrupted: &AtomicBool) -> anyhow::Result<()> {
    if interrupted.load(Ordering::Relaxed) {
        bail!("it was interrupted");
    }
    Ok(())
}
