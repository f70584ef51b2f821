//! The script: the steps of the main job, top to bottom, each through the API.
//!
//! Owns what is done and measured; what the measures mean is [`super::judge`]'s. Next: [`calls`] for how, [`scaling`] for the group, [`sums`] for
//! what came of it.

mod calls;
mod scaling;
mod sums;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_aws::{ec2, elb};

use super::Pace;
use super::board::Board;
use super::judge::{Disabled, Figures, Registered, Restart, seconds};
use super::report::count;
use super::venue::Venue;
use crate::cli::client::Client;
use crate::traffic::{Addresses, Plan, Traffic, addresses};
use calls::unless;
use sums::Marks;

/// The balancer.
const NAME: &str = "test";
/// Its zones.
const ZONES: [&str; 2] = ["us-east-1a", "us-east-1b"];
/// How often clients ask where the balancer is, as resolvers do.
const RESOLVE: Duration = Duration::from_millis(500);

/// A play in progress.
pub(super) struct Play<'a> {
    venue: Venue,
    pace: Pace,
    board: &'a Board,
    interrupted: &'a AtomicBool,
    client: Option<Client>,
    nodes: Addresses,
    resolved: Instant,
    figures: Figures,
    images: BTreeMap<&'static str, String>,
    /// Instances behind the balancer, with their zones, in the order they were added.
    serving: Vec<(String, &'static str)>,
    marks: Marks,
}

impl<'a> Play<'a> {
    pub fn new(venue: Venue, pace: Pace, board: &'a Board, interrupted: &'a AtomicBool) -> Self {
        Self {
            venue,
            pace,
            board,
            interrupted,
            client: None,
            nodes: addresses(Vec::new()),
            resolved: Instant::now(),
            figures: Figures { rate: pace.rate, ..Figures::default() },
            images: BTreeMap::new(),
            serving: Vec::new(),
            marks: Marks::default(),
        }
    }

    /// All of it, or up to what failed.
    pub fn run(&mut self) -> anyhow::Result<()> {
        self.open()?;
        self.launch_first()?;
        self.board.step(format!("send {} requests a second", self.pace.rate));
        self.send()?;
        self.look_on()?;
        for number in 1..=self.pace.replaced {
            self.replace(number)?;
        }
        self.kill()?;
        self.disable_and_enable()?;
        self.restart()?;
        if self.pace.scales {
            self.scale()?;
        }
        self.board.step("look on once more");
        self.look_on()
    }

    /// Ends the traffic and adds everything up.
    pub fn finish(mut self) -> (Venue, Figures) {
        if let Some(end) = self.board.stop_traffic() {
            self.add_up(&end);
        }
        (self.venue, self.figures)
    }

    fn open(&mut self) -> anyhow::Result<()> {
        self.board.step("start a daemon on throw-away state");
        let interrupted = self.interrupted;
        self.client = Some(self.venue.up(|| unless(interrupted))?);
        self.board.note(format!("it answers at {}", self.client()?.endpoint()));
        self.board.step("register the sample application as image v1 and v2");
        for version in ["v1", "v2"] {
            let input = ec2::RegisterImage {
                name: format!("sample-{version}"),
                image_location: Some(text(&self.venue.image(version)?)?),
                ..Default::default()
            };
            let image = self.client()?.call(&input).context("failed to register the image")?.image_id;
            self.images.insert(version, image);
        }
        self.board.step(format!("create the load balancer `{NAME}` over two zones"));
        let dns_name = self.create(NAME, false)?;
        self.board.note(format!("its name is {dns_name}"));
        Ok(())
    }

    /// A load balancer over both zones; with `cross_zone` each zone's node sends to the other's instances too.
    fn create(&self, name: &str, cross_zone: bool) -> anyhow::Result<String> {
        let (client, load_balancer_name) = (self.client()?, name.to_owned());
        let listener = elb::Listener {
            protocol: "HTTP".into(),
            load_balancer_port: self.venue.port.into(),
            instance_port: self.venue.instance_port.into(),
            ..Default::default()
        };
        let created = client.call(&elb::CreateLoadBalancer {
            load_balancer_name: load_balancer_name.clone(),
            listeners: vec![listener].into(),
            availability_zones: Some(ZONES.iter().map(ToString::to_string).collect()),
            ..Default::default()
        })?;
        let health_check = elb::HealthCheck {
            target: format!("HTTP:{}/health", self.venue.instance_port),
            interval: 5,
            timeout: 2,
            unhealthy_threshold: 2,
            healthy_threshold: 2,
        };
        client.call(&elb::ConfigureHealthCheck { load_balancer_name: load_balancer_name.clone(), health_check })?;
        let load_balancer_attributes = elb::LoadBalancerAttributes {
            connection_draining: Some(elb::ConnectionDraining { enabled: true, timeout: Some(30) }),
            cross_zone_load_balancing: cross_zone.then_some(elb::CrossZoneLoadBalancing { enabled: true }),
            ..Default::default()
        };
        client.call(&elb::ModifyLoadBalancerAttributes { load_balancer_name, load_balancer_attributes })?;
        Ok(created.dns_name)
    }

    fn launch_first(&mut self) -> anyhow::Result<()> {
        self.board.step(format!("launch {} instances of v1 in each zone", self.pace.each));
        let mut ids = Vec::new();
        for zone in ZONES {
            for id in self.launch("v1", zone, self.pace.each)? {
                ids.push((id, zone));
            }
        }
        // Replaced in turns, now in one zone, now in the other.
        let each = ids.len() / ZONES.len();
        self.serving = (0..each).flat_map(|n| [ids[n].clone(), ids[each + n].clone()]).collect();
        let all: Vec<String> = self.serving.iter().map(|(id, _)| id.clone()).collect();
        self.wait_running(&all)?;
        self.board.step("put them behind the load balancer");
        self.register(&all)?;
        self.wait_in_service(&all)
    }

    /// Traffic from now on.
    fn send(&mut self) -> anyhow::Result<()> {
        self.resolve()?;
        let nodes = self.nodes.load().len();
        if nodes != ZONES.len() {
            bail!("failed to find the load balancer's addresses: {nodes} of {}", ZONES.len());
        }
        let plan = Plan { host: NAME.into(), ..Plan::new(Arc::clone(&self.nodes), self.pace.rate) };
        self.board.traffic(Traffic::start(plan).context("failed to start the traffic")?);
        Ok(())
    }

    /// The classic replacement: launch new, wait until it is up, add, remove old, kill old.
    fn replace(&mut self, number: usize) -> anyhow::Result<()> {
        let (old, zone) = self.serving.first().cloned().context("there is no instance to replace")?;
        self.board.step(format!("replace {old} by v2 ({number} of {})", self.pace.replaced));
        let new = self.launch("v2", zone, 1)?;
        self.wait_running(&new)?;
        let asked = self.board.clock();
        self.register(&new)?;
        for id in &new {
            let what = format!("a first request on {id}");
            let seen = self.until(&what, |play| Ok(play.seen(id)))?;
            let first_request = seen.first_sent.saturating_sub(asked);
            self.board.note(format!("{id} got its first request {} after it was added", seconds(first_request)));
            self.figures.registered.push(Registered { instance: id.clone(), zone: zone.into(), first_request });
        }
        self.wait_in_service(&new)?;
        let instances = vec![elb::Instance { instance_id: old.clone() }].into();
        let input = elb::DeregisterInstancesFromLoadBalancer { load_balancer_name: NAME.into(), instances };
        self.client()?.call(&input).with_context(|| format!("failed to remove {old}"))?;
        self.board.instance(&old, "drains");
        self.until(&format!("{old} to be drained"), |play| {
            let health = play.client()?.instance_health(NAME, std::slice::from_ref(&old))?;
            let gone = |state: &elb::InstanceState| state.description.contains("not currently registered");
            Ok(health.iter().all(gone).then_some(()))
        })?;
        self.terminate(&old)?;
        self.serving.remove(0);
        self.serving.extend(new.into_iter().map(|id| (id, zone)));
        self.flow(self.pace.breath)
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let (id, zone) = self.serving.last().cloned().context("there is no instance to kill")?;
        self.board.step(format!("kill {id} without warning"));
        let from = self.board.clock();
        let processes = self.venue.kill_instance(&id)?;
        self.marks.dead = self.board.clock();
        // Until the next step begins, which is set then.
        self.marks.kill = Some((from, Duration::MAX));
        self.marks.killed = Some((id.clone(), zone, processes));
        self.serving.pop();
        self.board.instance(&id, "killed");
        self.until(&format!("the API to say that {id} does not run"), |play| {
            let found = play.client()?.reservations(Vec::new(), vec![id.clone()])?;
            let runs = |one: &ec2::Instance| matches!(one.instance_state.name.as_str(), "pending" | "running");
            Ok((!found.iter().flat_map(|r| r.instances_set.iter()).any(runs)).then_some(()))
        })?;
        self.marks.noticed = self.board.clock().saturating_sub(self.marks.dead);
        self.board.note(format!("the API said so {} later", seconds(self.marks.noticed)));
        // A loss later than a second after must have the time to be seen.
        self.flow(self.pace.look.max(Duration::from_millis(1500)))?;
        self.marks.kill = Some((from, self.board.clock()));
        Ok(())
    }

    fn disable_and_enable(&mut self) -> anyhow::Result<()> {
        let zone = ZONES[0];
        self.board.step(format!("disable {zone}"));
        let zones = || vec![zone.to_owned()].into();
        self.marks.disabled = self.board.snapshot();
        let load_balancer_name = || NAME.to_owned();
        self.client()?.call(&elb::DisableAvailabilityZonesForLoadBalancer {
            load_balancer_name: load_balancer_name(),
            availability_zones: zones(),
        })?;
        let answered = self.board.clock();
        self.look_on()?;
        let last = self.last_sent_in(zone);
        self.board.step(format!("enable {zone}"));
        let (asked, before) = (self.board.clock(), self.answers_of(zone));
        self.client()?.call(&elb::EnableAvailabilityZonesForLoadBalancer {
            load_balancer_name: load_balancer_name(),
            availability_zones: zones(),
        })?;
        self.until(&format!("requests in {zone}"), |play| {
            play.resolve()?;
            Ok((play.answers_of(zone) > before).then_some(()))
        })?;
        let back = self.board.clock().saturating_sub(asked);
        let last_request = last.saturating_sub(answered);
        self.figures.disabled = Some(Disabled { zone: zone.into(), last_request, back });
        // Connections are made anew while the zone comes back; its share counts from when it is.
        self.flow(RESOLVE)?;
        self.marks.back = self.board.snapshot();
        self.look_on()
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.board.step("kill the daemon, and start it again");
        let ids: Vec<String> = self.serving.iter().map(|(id, _)| id.clone()).collect();
        let before = self.pids();
        let answered = self.answered();
        let killed = Instant::now();
        self.venue.kill_daemon()?;
        self.client = None;
        self.flow(self.pace.look.min(Duration::from_secs(1)))?;
        let interrupted = self.interrupted;
        let client = self.venue.up(|| unless(interrupted))?;
        let (away, answered) = (killed.elapsed(), self.answered() - answered);
        self.client = Some(client);
        self.board.note(format!("{} requests were answered while it was gone", count(answered)));
        // What is not adopted in time is for the judge to say, not a reason to stop.
        let waited = self.wait_in_service(&ids);
        unless(self.interrupted)?;
        if let Err(error) = waited {
            self.board.note(format!("{error:#}"));
        }
        let health = self.client()?.instance_health(NAME, &ids)?;
        let serves = |id: &String| health.iter().any(|state| state.instance_id == *id && state.state == "InService");
        let after = self.pids();
        let same = |id: &&String| serves(id) && before.get(*id) == after.get(*id);
        let adopted = ids.iter().filter(same).count();
        self.figures.restart = Some(Restart { away, answered, before: ids.len(), adopted });
        Ok(())
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    Ok(path.to_str().with_context(|| format!("`{}` is not UTF-8", path.display()))?.to_owned())
}
