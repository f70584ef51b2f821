//! One instance and its successor: from the launch of the new one to the end of the old one.
//!
//! Owns the phases and what each waits for. What goes wrong with one pair is that pair's failure, and no error. Next:
//! [`super`], which drives them.

use std::time::{Duration, Instant};

use evenkeel_aws::blob::Blob;
use evenkeel_aws::ec2::{self, Instance};
use evenkeel_aws::elb;

use super::super::client::{Client, told};
use super::super::launch;
use super::{REPLACES, Replace};

/// The longest that connections are waited for: the longest draining timeout there is, and some.
const DRAIN_LIMIT: Duration = Duration::from_secs(3600 + 60);

/// Where a pair is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been done yet.
    Due,
    /// The new one boots, until its own status is `ok`.
    Boots,
    /// The new one is registered everywhere, and not yet in service everywhere.
    Enters,
    /// The old one is deregistered; what is in flight on it is waited for.
    Drains,
    /// The old one ends.
    Ends,
    /// The new one serves, the old one is gone.
    Done,
    /// It went wrong, and why.
    Failed(String),
    /// It was stopped as another failed.
    Halted,
}

/// An instance and its successor.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What is replaced, as it was when the run began.
    pub old: Instance,
    /// What replaces it, once it is launched.
    pub new: Option<String>,
    /// All load balancers that the old one is behind.
    pub balancers: Vec<String>,
    /// Earlier successors that came to nothing and are still remembered.
    pub tries: usize,
    /// Where it is.
    pub phase: Phase,
    /// Whether the old one is out of its place, so that the new one must stay.
    pub is_out: bool,
    /// Whether the new one, if there is any, was taken away again.
    pub is_back: bool,
    /// When this run began with it.
    pub begun: Option<Instant>,
    /// How long it took in all, once it is done.
    pub took: Option<Duration>,
    since: Instant,
}

/// What is seen of all pairs at once.
pub struct Round {
    instances: Vec<Instance>,
    statuses: Vec<ec2::InstanceStatus>,
}

impl Round {
    /// Asks about the instances of pairs that are under way.
    ///
    /// # Errors
    /// Those of the client.
    pub fn ask(client: &Client, pairs: &[Pair]) -> anyhow::Result<Self> {
        let under_way = || pairs.iter().filter(|pair| pair.is_under_way());
        let new: Vec<String> = under_way().filter_map(|pair| pair.new.clone()).collect();
        let mut all = new.clone();
        all.extend(under_way().map(|pair| pair.old.instance_id.clone()));
        let instances = if all.is_empty() { Vec::new() } else { launch::look(client, &all)? };
        let there: Vec<String> =
            new.into_iter().filter(|id| launch::find(&instances, id).is_some_and(is_live)).collect();
        let input = ec2::DescribeInstanceStatus {
            instance_ids: there.clone(),
            include_all_instances: Some(true),
            ..Default::default()
        };
        let statuses = if there.is_empty() { Vec::new() } else { client.call(&input)?.instance_status_set.0 };
        Ok(Self { instances, statuses })
    }

    fn status(&self, id: &str) -> &str {
        let found = self.statuses.iter().find(|status| status.instance_id == id);
        found.map_or("unknown", |status| &status.instance_status.status)
    }
}

/// Whether it may still do something.
pub fn is_live(instance: &Instance) -> bool {
    instance.instance_state.name != "terminated"
}

impl Pair {
    /// A pair in a phase.
    pub fn new(old: Instance, new: Option<String>, balancers: Vec<String>, tries: usize, phase: Phase) -> Self {
        let (now, is_out) = (Instant::now(), phase == Phase::Drains);
        let begun = (phase != Phase::Due).then_some(now);
        Self { old, new, balancers, tries, phase, is_out, is_back: false, begun, took: None, since: now }
    }

    /// Whether it is between its beginning and its end.
    pub fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Boots | Phase::Enters | Phase::Drains | Phase::Ends)
    }

    /// Whether its new instance is to be taken away when the run halts: the old one has not been touched.
    pub fn goes_back(&self) -> bool {
        let is_begun = matches!(self.phase, Phase::Boots | Phase::Enters | Phase::Failed(_));
        is_begun && !self.is_out && !self.is_back
    }

    /// `i-1 by i-2: boots`.
    pub fn summary(&self) -> String {
        let phase = match self.phase {
            Phase::Boots => "boots",
            Phase::Enters => "comes into service",
            Phase::Drains => "old one drains",
            Phase::Ends => "old one ends",
            Phase::Due | Phase::Done | Phase::Failed(_) | Phase::Halted => "rests",
        };
        format!("{} by {}: {phase}", self.old.instance_id, self.new.as_deref().unwrap_or("none"))
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Launches the new one.
    pub fn start(&mut self, args: &Replace, client: &Client) {
        self.begun = Some(Instant::now());
        match self.launch(args, client) {
            Ok(id) => {
                self.new = Some(id);
                self.enter(Phase::Boots);
            }
            Err(error) => self.phase = Phase::Failed(format!("no successor was launched: {error:#}")),
        }
    }

    fn launch(&self, args: &Replace, client: &Client) -> anyhow::Result<String> {
        let old = &self.old;
        let attribute = |name: &str| {
            let instance_id = old.instance_id.clone();
            client.call(&ec2::DescribeInstanceAttribute { instance_id, attribute: Some(name.into()), dry_run: None })
        };
        let is_held = |held: Option<ec2::BooleanValue>| held.is_some_and(|held| held.value);
        if is_held(attribute("disableApiTermination")?.disable_api_termination)
            || is_held(attribute("disableApiStop")?.disable_api_stop)
        {
            anyhow::bail!("{} is protected from termination, so it could not be ended afterwards", old.instance_id);
        }
        let user_data = attribute("userData")?.user_data.and_then(|held| held.value);
        let shutdown = attribute("instanceInitiatedShutdownBehavior")?.instance_initiated_shutdown_behavior;
        let own = |key: &str| key == REPLACES || key.starts_with("aws:");
        let mut tags: Vec<ec2::Tag> = old
            .tag_set
            .iter()
            .filter(|tag| !own(&tag.key))
            .map(|tag| ec2::Tag { key: tag.key.clone(), value: Some(tag.value.clone()) })
            .collect();
        tags.push(ec2::Tag { key: REPLACES.into(), value: Some(old.instance_id.clone()) });
        let input = ec2::RunInstances {
            image_id: Some(args.image.clone()),
            min_count: 1,
            max_count: 1,
            key_name: Some(old.key_name.clone()).filter(|name| !name.is_empty()),
            security_group_ids: old.group_set.iter().map(|group| group.group_id.clone()).collect(),
            user_data: user_data.filter(|Blob(bytes)| !bytes.is_empty()),
            instance_type: Some(old.instance_type.clone()),
            placement: Some(ec2::Placement {
                availability_zone: Some(old.placement.availability_zone.clone()),
                ..Default::default()
            }),
            instance_initiated_shutdown_behavior: shutdown.and_then(|held| held.value),
            // Two runs at a time launch one, not two.
            client_token: Some(format!("replace-{}-{}", old.instance_id, self.tries)),
            tag_specifications: vec![ec2::TagSpecification { resource_type: "instance".into(), tags }],
            ..Default::default()
        };
        let launched = client.call(&input)?.instances_set.0;
        let first = launched.into_iter().next().map(|instance| instance.instance_id);
        first.ok_or_else(|| anyhow::anyhow!("the daemon launched none"))
    }

    /// Looks whether it can go on, and goes on.
    pub fn advance(&mut self, args: &Replace, client: &Client, round: &Round) {
        let Some(new) = self.new.clone() else { return };
        let gone_on = match self.phase {
            Phase::Boots => self.boots(args, client, round, &new),
            Phase::Enters => self.enters(args, client, round, &new),
            Phase::Drains => self.drains(client),
            Phase::Ends => self.ends(args, round),
            Phase::Due | Phase::Done | Phase::Failed(_) | Phase::Halted => return,
        };
        if let Err(error) = gone_on {
            self.phase = Phase::Failed(format!("{error:#}"));
        }
    }

    fn boots(&mut self, args: &Replace, client: &Client, round: &Round, new: &str) -> anyhow::Result<()> {
        self.is_still_well(args, client, round, new)?;
        if round.status(new) != "ok" {
            return self.not_too_late(args, || format!("its status is `{}`", round.status(new)));
        }
        // Its own boot may have done so, where its user data name the balancer.
        for name in &self.balancers {
            if !is_behind(client, name, new)? {
                client.call(&elb::RegisterInstancesWithLoadBalancer {
                    load_balancer_name: name.clone(),
                    instances: vec![elb::Instance { instance_id: new.to_owned() }].into(),
                })?;
            }
        }
        // Its time goes on from the launch.
        self.phase = Phase::Enters;
        Ok(())
    }

    fn enters(&mut self, args: &Replace, client: &Client, round: &Round, new: &str) -> anyhow::Result<()> {
        self.is_still_well(args, client, round, new)?;
        for name in &self.balancers {
            let states = client.instance_health(name, &[new.to_owned()])?;
            if let Some(state) = states.iter().find(|s| s.state != "InService" || s.description != "N/A") {
                return self.not_too_late(args, || format!("`{name}` says {}: {}", state.state, state.description));
            }
        }
        let old = self.old.instance_id.clone();
        self.is_out = true;
        self.enter(Phase::Drains);
        self.leave(client, &old)
    }

    fn drains(&mut self, client: &Client) -> anyhow::Result<()> {
        let old = self.old.instance_id.clone();
        for name in &self.balancers {
            let states = match client.instance_health(name, std::slice::from_ref(&old)) {
                Err(error) if told(&error).is_some_and(|error| error.code == "InvalidInstance") => Vec::new(),
                states => states?,
            };
            if states.iter().any(|state| state.state == "InService") {
                if self.since.elapsed() > DRAIN_LIMIT {
                    anyhow::bail!("{old} is still not drained after {} seconds", DRAIN_LIMIT.as_secs());
                }
                return Ok(());
            }
        }
        self.enter(Phase::Ends);
        self.terminate(client, &old)
    }

    fn ends(&mut self, args: &Replace, round: &Round) -> anyhow::Result<()> {
        let old = &self.old.instance_id;
        if launch::find(&round.instances, old).is_none_or(|found| !is_live(found)) {
            self.took = self.begun.map(|begun| begun.elapsed());
            self.phase = Phase::Done;
        } else if self.since.elapsed() > args.timeout {
            anyhow::bail!("{old} is still there {} seconds after it was told to end", args.timeout.as_secs_f64());
        }
        Ok(())
    }

    /// A new one that has ended, or whose boot came to nothing, is not waited for.
    fn is_still_well(&self, args: &Replace, client: &Client, round: &Round, new: &str) -> anyhow::Result<()> {
        let found = launch::find(&round.instances, new);
        if found.is_none_or(|found| !matches!(found.instance_state.name.as_str(), "pending" | "running")) {
            anyhow::bail!("{}", launch::why_not(new, found, args.timeout));
        }
        if round.status(new) == "impaired" {
            let tail = launch::console_tail(client, new).unwrap_or_default();
            let said = tail.lines().rev().find_map(|line| Some(line[line.find("the boot failed to")?..].to_owned()));
            anyhow::bail!("{new} is impaired{}", said.map(|said| format!(": {said}")).unwrap_or_default());
        }
        Ok(())
    }

    fn not_too_late(&self, args: &Replace, what: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.since.elapsed() <= args.timeout {
            return Ok(());
        }
        let new = self.new.as_deref().unwrap_or_default();
        anyhow::bail!("{new} is not in service after {} seconds: {}", args.timeout.as_secs_f64(), what())
    }

    /// Takes an instance out of every balancer of the pair.
    ///
    /// # Errors
    /// Those of the client.
    pub fn leave(&self, client: &Client, id: &str) -> anyhow::Result<()> {
        leave_all(client, &self.balancers, id)
    }

    /// Ends an instance.
    ///
    /// # Errors
    /// Those of the client, but that it is gone already.
    pub fn terminate(&self, client: &Client, id: &str) -> anyhow::Result<()> {
        match client.call(&ec2::TerminateInstances { instance_ids: vec![id.to_owned()], ..Default::default() }) {
            Err(error) if told(&error).is_some_and(|error| error.code == "InvalidInstanceID.NotFound") => Ok(()),
            ended => ended.map(drop),
        }
    }
}

/// Takes an instance out of balancers that it is behind.
///
/// # Errors
/// Those of the client.
pub fn leave_all(client: &Client, balancers: &[String], id: &str) -> anyhow::Result<()> {
    for name in balancers {
        if is_behind(client, name, id)? {
            client.call(&elb::DeregisterInstancesFromLoadBalancer {
                load_balancer_name: name.clone(),
                instances: vec![elb::Instance { instance_id: id.to_owned() }].into(),
            })?;
        }
    }
    Ok(())
}

/// Whether an instance is registered with a balancer; no balancer has none.
fn is_behind(client: &Client, name: &str, id: &str) -> anyhow::Result<bool> {
    let found = client.load_balancer(name)?;
    Ok(found.is_some_and(|balancer| balancer.instances.iter().any(|instance| instance.instance_id == id)))
}
