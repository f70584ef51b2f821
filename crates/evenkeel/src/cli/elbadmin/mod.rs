//! `elbadmin`: boto 2.49's script in its corrected form. Owns its options, commands, order of calls and exit codes.
//!
//! Where the script itself is broken (certificates in `addl`, a load balancer found by a part of its name, a dead
//! import after the zones) this does what the script says it does. Next: [`text`] for what it prints, [`listener`] for
//! what `-l` takes.

pub mod listener;
pub mod text;

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::elb;
use evenkeel_aws::xml::Members;

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::Reach;
use super::streams::Streams;

/// boto's version of the script, and ours of this program.
const VERSION: &str = concat!("0.2 (evenkeel ", env!("CARGO_PKG_VERSION"), ")");

const USAGE: &str = "elbadmin [options] [command]";

const COMMANDS: &str = "\
Commands:
    list|ls                       List all Elastic Load Balancers
    delete    <name>              Delete ELB <name>
    get       <name>              Get all instances associated with <name>
    create    <name>              Create an ELB; -z and -l are required
    add|put   <name> <instances>  Add <instances> in ELB <name>
    remove|rm <name> <instances>  Remove <instances> from ELB <name>
    reap      <name>              Remove terminated instances from ELB <name>
    enable|en <name> <zones>      Enable Zones <zones> for ELB <name>
    disable   <name> <zones>      Disable Zones <zones> for ELB <name>
    addl      <name>              Add listeners (specified by -l) to the ELB
                                      <name>
    rml       <name> <ports>      Remove Listener(s) specified by the port on
                                      the ELB <name>

Examples:
    elbadmin -l 80,80,http -z us-east-1a -z us-east-1b create web
    elbadmin -l 443,80,https,arn:aws:iam::000000000000:server-certificate/web addl web
    elbadmin add web i-0123456789abcdef0
    elbadmin get web";

/// boto's own words, which rustdoc would take for a link.
const LISTENER_HELP: &str = "Specify Listener in,out,proto[,certificate]; may be repeated";

/// Arguments of `elbadmin`. Options may stand before or after the command.
#[derive(Debug, Clone, Default, Args)]
#[command(version = VERSION, override_usage = USAGE, after_help = COMMANDS, infer_long_args = true)]
pub struct Elbadmin {
    /// What to do, in any case: see Commands
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    /// Name of the load balancer, then instances, zones or ports
    #[arg(value_name = "NAME")]
    pub operands: Vec<String>,
    /// Operate on zone; may be repeated
    #[arg(short = 'z', long = "zone", value_name = "ZONE")]
    pub zones: Vec<String>,
    /// Listeners.
    #[arg(short = 'l', long = "listener", value_name = "LISTENER", help = LISTENER_HELP)]
    pub listeners: Vec<String>,
    /// Region to connect to
    #[arg(short = 'r', long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// What it prints when it is given no command.
///
/// # Errors
/// Those of writing.
pub fn help(streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    write!(streams.out, "{}", super::alone("elbadmin").render_help())?;
    Ok(Outcome::Failed)
}

/// Carries out one `elbadmin` command.
///
/// # Errors
/// What the daemon refused, or that it could not be reached. An unknown load balancer is no error, as in boto: a message
/// and exit code 0.
pub fn run(args: &Elbadmin, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let Some(command) = args.command.as_deref() else { return help(streams) };
    if let Some(region) = args.region.as_deref()
        && !client.regions()?.iter().any(|served| served == region)
    {
        writeln!(streams.out, "Invalid region ({region})")?;
        return Ok(Outcome::Failed);
    }
    writeln!(streams.out, "{}", client.endpoint().host())?;
    let mut run = Run { args, client, streams };
    match command.to_lowercase().as_str() {
        "list" | "ls" => run.list(),
        "get" => run.get(args.name("get NAME")?),
        "create" => run.create(),
        "delete" => run.delete(args.name("delete NAME")?),
        "add" | "put" => run.add(args.name("add NAME INSTANCE…")?),
        "rm" | "remove" => run.remove(args.name("rm NAME INSTANCE…")?),
        "reap" => run.reap(args.name("reap NAME")?),
        "en" | "enable" => run.enable(args.name("enable NAME ZONE…")?),
        "disable" => run.disable(args.name("disable NAME ZONE…")?),
        "addl" => run.add_listeners(),
        "rml" => run.remove_listeners(),
        _ => {
            writeln!(streams.err, "hint: `{command}` is no command; `elbadmin --help` shows them all")?;
            Ok(Outcome::Done)
        }
    }
}

impl Elbadmin {
    fn name(&self, usage: &str) -> anyhow::Result<&str> {
        self.operands
            .first()
            .map(String::as_str)
            .ok_or_else(|| hinted("failed to choose a load balancer: its name is missing", format!("elbadmin {usage}")))
    }

    fn rest(&self) -> &[String] {
        self.operands.get(1..).unwrap_or_default()
    }

    fn zones_named(&self, usage: &str) -> anyhow::Result<Members<String>> {
        if self.rest().is_empty() {
            return Err(hinted("failed to choose zones: none is named", format!("elbadmin {usage}")));
        }
        Ok(self.rest().to_vec().into())
    }

    fn parsed_listeners(&self) -> anyhow::Result<Members<elb::Listener>> {
        self.listeners
            .iter()
            .map(|text| {
                listener::parse(text)
                    .map_err(|why| hinted(format!("failed to read listener `{text}`: {why}"), listener::GRAMMAR))
            })
            .collect()
    }
}

/// One run: what was asked, of whom, and where to print.
struct Run<'a, 's> {
    args: &'a Elbadmin,
    client: &'a Client,
    streams: &'a mut Streams<'s>,
}

impl Run<'_, '_> {
    fn list(&mut self) -> anyhow::Result<Outcome> {
        let all = self.client.load_balancers(&[]).context("failed to list load balancers")?;
        write!(self.streams.out, "{}", text::list(&all))?;
        Ok(Outcome::Done)
    }

    fn get(&mut self, name: &str) -> anyhow::Result<Outcome> {
        let Some(balancer) = self.find(name)? else { return Ok(Outcome::Done) };
        let health = self.client.instance_health(name, &[]).with_context(|| failed("ask for the health of", name))?;
        let names = self.instance_names(&health).context("failed to list instances")?;
        write!(self.streams.out, "{}", text::describe(&balancer, &health, &names))?;
        Ok(Outcome::Done)
    }

    fn create(&mut self) -> anyhow::Result<Outcome> {
        if let Some(outcome) = self.demand("-l", self.args.listeners.is_empty(), "create")? {
            return Ok(outcome);
        }
        if let Some(outcome) = self.demand("-z", self.args.zones.is_empty(), "create")? {
            return Ok(outcome);
        }
        let name = self.args.name("-l LISTENER -z ZONE create NAME")?;
        let input = elb::CreateLoadBalancer {
            load_balancer_name: name.to_owned(),
            listeners: self.args.parsed_listeners()?,
            availability_zones: Some(self.args.zones.clone().into()),
            scheme: Some("internet-facing".into()),
            ..Default::default()
        };
        self.client.call(&input).with_context(|| failed("create", name))?;
        self.get(name)
    }

    fn delete(&mut self, name: &str) -> anyhow::Result<Outcome> {
        if self.find(name)?.is_some() {
            let input = elb::DeleteLoadBalancer { load_balancer_name: name.to_owned() };
            self.client.call(&input).with_context(|| failed("delete", name))?;
            writeln!(self.streams.out, "Load Balancer {name} deleted")?;
        }
        Ok(Outcome::Done)
    }

    fn add(&mut self, name: &str) -> anyhow::Result<Outcome> {
        self.change(name, |run| {
            let load_balancer_name = name.to_owned();
            let instances = instances(run.args.rest());
            run.client
                .call(&elb::RegisterInstancesWithLoadBalancer { load_balancer_name, instances })
                .with_context(|| failed("add instances to", name))
                .map(drop)
        })
    }

    fn remove(&mut self, name: &str) -> anyhow::Result<Outcome> {
        self.change(name, |run| run.deregister(name, instances(run.args.rest())))
    }

    /// One call an instance, so that one that is refused does not keep the others.
    fn reap(&mut self, name: &str) -> anyhow::Result<Outcome> {
        self.change(name, |run| {
            let health = run.client.instance_health(name, &[]);
            for state in health.with_context(|| failed("ask for the health of", name))? {
                if state.state == "OutOfService" && state.description == "Instance is in terminated state." {
                    run.deregister(name, instances(&[state.instance_id]))?;
                }
            }
            Ok(())
        })
    }

    fn enable(&mut self, name: &str) -> anyhow::Result<Outcome> {
        let availability_zones = self.args.zones_named("enable NAME ZONE…")?;
        let load_balancer_name = name.to_owned();
        let input = elb::EnableAvailabilityZonesForLoadBalancer { load_balancer_name, availability_zones };
        self.change(name, |run| run.client.call(&input).with_context(|| failed("enable zones for", name)).map(drop))
    }

    fn disable(&mut self, name: &str) -> anyhow::Result<Outcome> {
        let availability_zones = self.args.zones_named("disable NAME ZONE…")?;
        let load_balancer_name = name.to_owned();
        let input = elb::DisableAvailabilityZonesForLoadBalancer { load_balancer_name, availability_zones };
        self.change(name, |run| run.client.call(&input).with_context(|| failed("disable zones for", name)).map(drop))
    }

    fn add_listeners(&mut self) -> anyhow::Result<Outcome> {
        if let Some(outcome) = self.demand("-l", self.args.listeners.is_empty(), "addl")? {
            return Ok(outcome);
        }
        let name = self.args.name("-l LISTENER addl NAME")?;
        let listeners = self.args.parsed_listeners()?;
        let input = elb::CreateLoadBalancerListeners { load_balancer_name: name.to_owned(), listeners };
        self.change(name, |run| run.client.call(&input).with_context(|| failed("add listeners to", name)).map(drop))
    }

    fn remove_listeners(&mut self) -> anyhow::Result<Outcome> {
        let ports = self.args.rest();
        if ports.is_empty() {
            writeln!(self.streams.out, "port required")?;
            return Ok(Outcome::Usage);
        }
        let name = self.args.name("rml NAME PORT…")?;
        let load_balancer_ports = ports
            .iter()
            .map(|port| port.trim().parse::<i64>().with_context(|| format!("failed to read port `{port}`")))
            .collect::<anyhow::Result<_>>()?;
        let input = elb::DeleteLoadBalancerListeners { load_balancer_name: name.to_owned(), load_balancer_ports };
        let call = |run: &mut Self| run.client.call(&input).map(drop);
        self.change(name, |run| call(run).with_context(|| failed("remove listeners from", name)))
    }

    /// Finds the load balancer, changes it, shows it: the way of every command that changes one.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<Outcome> {
        if self.find(name)?.is_none() {
            return Ok(Outcome::Done);
        }
        change(self)?;
        self.get(name)
    }

    fn deregister(&self, name: &str, instances: Members<elb::Instance>) -> anyhow::Result<()> {
        let load_balancer_name = name.to_owned();
        let input = elb::DeregisterInstancesFromLoadBalancer { load_balancer_name, instances };
        self.client.call(&input).with_context(|| failed("remove instances from", name)).map(drop)
    }

    fn find(&mut self, name: &str) -> anyhow::Result<Option<elb::LoadBalancerDescription>> {
        let found = self.client.load_balancer(name).with_context(|| failed("find", name))?;
        if found.is_none() {
            writeln!(self.streams.out, "No load balancer by the name of {name} found")?;
            writeln!(self.streams.err, "hint: `elbadmin list` names all load balancers")?;
        }
        Ok(found)
    }

    /// The `Name` tags of these instances, as far as EC2 knows them.
    fn instance_names(&self, health: &[elb::InstanceState]) -> anyhow::Result<BTreeMap<String, String>> {
        let mut names: BTreeMap<_, _> = health.iter().map(|state| (state.instance_id.clone(), String::new())).collect();
        for reservation in self.client.reservations(Vec::new(), Vec::new())? {
            for instance in reservation.instances_set {
                if let Some(name) = names.get_mut(&instance.instance_id) {
                    let tag = instance.tag_set.into_iter().find(|tag| tag.key == "Name");
                    *name = tag.map(|tag| tag.value).unwrap_or_default();
                }
            }
        }
        Ok(names)
    }

    fn demand(&mut self, option: &str, missing: bool, command: &str) -> anyhow::Result<Option<Outcome>> {
        if missing {
            writeln!(self.streams.out, "{option} option required for command {command}")?;
        }
        Ok(missing.then_some(Outcome::Failed))
    }
}

fn failed(what: &str, name: &str) -> String {
    format!("failed to {what} load balancer `{name}`")
}

fn instances(ids: &[String]) -> Members<elb::Instance> {
    ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
