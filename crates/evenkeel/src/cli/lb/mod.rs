//! `evenkeel lb`: load balancers, all 29 calls of the Classic API, for people.
//!
//! Makes of what was typed the calls that change something, and prints the difference that they made; with `--dry-run` the one
//! that they would make, having called nothing that writes. Next: [`args`] for the words, [`change`] for the calls, [`foresee`]
//! for what a dry run knows, [`shown`] for what is only shown.

pub mod args;
mod change;
mod foresee;
mod shown;
mod state;
mod words;

use evenkeel_aws::elb;
use evenkeel_aws::xml::Members;
use serde_json::json;

use super::cert::found;
use super::client::Client;
use super::difference::Difference;
use super::failure::Outcome;
use super::streams::Streams;
use args::{Action, How, Lb, ListenerAction, PolicyAction, SubnetAction, ZoneAction};
use change::Change;

/// Carries out a command.
///
/// # Errors
/// What cannot be read of what was typed, what the daemon refuses or would refuse, and those of the client.
pub fn run(args: &Lb, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let mut to = To { client, streams };
    match &args.action {
        Action::List(args) => shown::list(args, client, to.streams)?,
        Action::Show(args) => shown::show(args, client, to.streams)?,
        Action::Create(args) => to.create(args)?,
        Action::Delete(args) => to.delete(args)?,
        Action::Add(args) => {
            let input = elb::RegisterInstancesWithLoadBalancer {
                load_balancer_name: args.name.clone(),
                instances: instances(&args.ids),
            };
            to.change(&args.name, &[Change::Register(input)], &args.how)?;
        }
        Action::Remove(args) => {
            let input = elb::DeregisterInstancesFromLoadBalancer {
                load_balancer_name: args.name.clone(),
                instances: instances(&args.ids),
            };
            to.change(&args.name, &[Change::Deregister(input)], &args.how)?;
        }
        Action::Health(args) => shown::health(args, client, to.streams)?,
        Action::Check(args) => to.check(args)?,
        Action::Listener(args) => to.listener(&args.action)?,
        Action::Zone(args) => match &args.action {
            ZoneAction::Enable(args) => to.places(args, |load_balancer_name, availability_zones| {
                Change::EnableZones(elb::EnableAvailabilityZonesForLoadBalancer {
                    load_balancer_name,
                    availability_zones,
                })
            })?,
            ZoneAction::Disable(args) => to.places(args, |load_balancer_name, availability_zones| {
                Change::DisableZones(elb::DisableAvailabilityZonesForLoadBalancer {
                    load_balancer_name,
                    availability_zones,
                })
            })?,
        },
        Action::Subnet(args) => match &args.action {
            SubnetAction::Attach(args) => to.places(args, |load_balancer_name, subnets| {
                Change::AttachSubnets(elb::AttachLoadBalancerToSubnets { load_balancer_name, subnets })
            })?,
            SubnetAction::Detach(args) => to.places(args, |load_balancer_name, subnets| {
                Change::DetachSubnets(elb::DetachLoadBalancerFromSubnets { load_balancer_name, subnets })
            })?,
        },
        Action::Attr(args) => to.attr(args)?,
        Action::Policy(args) => to.policy(&args.action)?,
        Action::Backend(args) => to.backend(args)?,
        Action::Groups(args) => to.groups(args)?,
        Action::Tag(args) => to.tag(args)?,
        Action::Limits(args) => shown::limits(args, client, to.streams)?,
    }
    Ok(Outcome::Done)
}

fn instances(ids: &[String]) -> Members<elb::Instance> {
    ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect()
}

/// Whom to ask, and where to print.
struct To<'c, 's, 'w> {
    client: &'c Client,
    streams: &'s mut Streams<'w>,
}

impl To<'_, '_, '_> {
    /// Makes changes of one load balancer and prints the difference.
    fn change(&mut self, name: &str, changes: &[Change], how: &How) -> anyhow::Result<()> {
        let made = change::make(name, changes, how.dry_run, self.client)?;
        made.print(how.dry_run, how.json, self.streams)
    }

    fn create(&mut self, args: &args::Create) -> anyhow::Result<()> {
        let some = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec().into());
        let input = elb::CreateLoadBalancer {
            load_balancer_name: args.name.clone(),
            listeners: self.listeners(&args.listeners)?,
            availability_zones: some(&args.zones),
            subnets: some(&args.subnets),
            security_groups: some(&args.groups),
            scheme: Some(if args.internal { "internal" } else { "internet-facing" }.into()),
            tags: words::tags(&args.tags)?,
        };
        self.change(&args.name, &[Change::Create(input)], &args.how)
    }

    fn delete(&mut self, args: &args::Delete) -> anyhow::Result<()> {
        let one = |name: &String| {
            let input = elb::DeleteLoadBalancer { load_balancer_name: name.clone() };
            change::make(name, &[Change::Delete(input)], args.how.dry_run, self.client)
        };
        let made = args.names.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
        Difference::print_all(&made, args.how.dry_run, args.how.json, self.streams)
    }

    fn check(&mut self, args: &args::Check) -> anyhow::Result<()> {
        let args::Check { name, target, interval, timeout, unhealthy, healthy, how } = args;
        let held = shown::existing(self.client, name, "find")?.described.health_check;
        if target.is_none() && [interval, timeout, unhealthy, healthy].iter().all(|stated| stated.is_none()) {
            return match how.json {
                true => shown::json(&state::check_json(&held), self.streams),
                false => Ok(writeln!(self.streams.out, "{}", state::check(&held))?),
            };
        }
        let health_check = elb::HealthCheck {
            target: target.clone().unwrap_or(held.target),
            interval: interval.unwrap_or(held.interval),
            timeout: timeout.unwrap_or(held.timeout),
            unhealthy_threshold: unhealthy.unwrap_or(held.unhealthy_threshold),
            healthy_threshold: healthy.unwrap_or(held.healthy_threshold),
        };
        let input = elb::ConfigureHealthCheck { load_balancer_name: name.clone(), health_check };
        self.change(name, &[Change::ConfigureHealthCheck(input)], how)
    }

    fn listener(&mut self, action: &ListenerAction) -> anyhow::Result<()> {
        match action {
            ListenerAction::Add(args) => {
                let input = elb::CreateLoadBalancerListeners {
                    load_balancer_name: args.name.clone(),
                    listeners: self.listeners(&args.listeners)?,
                };
                self.change(&args.name, &[Change::CreateListeners(input)], &args.how)
            }
            ListenerAction::Remove(args) => {
                let input = elb::DeleteLoadBalancerListeners {
                    load_balancer_name: args.name.clone(),
                    load_balancer_ports: args.ports.iter().map(|port| i64::from(*port)).collect(),
                };
                self.change(&args.name, &[Change::DeleteListeners(input)], &args.how)
            }
            ListenerAction::Cert(args) => {
                let input = elb::SetLoadBalancerListenerSSLCertificate {
                    load_balancer_name: args.name.clone(),
                    load_balancer_port: args.port.into(),
                    ssl_certificate_id: found::arn(self.client, &args.certificate)?,
                };
                self.change(&args.name, &[Change::SetCertificate(input)], &args.how)
            }
        }
    }

    /// Listeners with the ARNs of certificates that may have been named.
    fn listeners(&self, texts: &[String]) -> anyhow::Result<Members<elb::Listener>> {
        let one = |text: &String| {
            let listener = words::listener(text)?;
            let arn = listener.ssl_certificate_id.as_deref().map(|name| found::arn(self.client, name));
            Ok(elb::Listener { ssl_certificate_id: arn.transpose()?, ..listener })
        };
        texts.iter().map(one).collect()
    }

    fn places(
        &mut self,
        args: &args::Places,
        change: impl FnOnce(String, Members<String>) -> Change,
    ) -> anyhow::Result<()> {
        let change = change(args.name.clone(), args.places.clone().into());
        self.change(&args.name, &[change], &args.how)
    }

    fn attr(&mut self, args: &args::Attr) -> anyhow::Result<()> {
        let load_balancer_name = args.name.clone();
        if args.settings.is_empty() {
            let settings = state::settings(&shown::existing(self.client, &args.name, "find")?.attributes);
            return self.pairs(settings, &args.how);
        }
        let load_balancer_attributes = words::attributes(&args.settings)?;
        let input = elb::ModifyLoadBalancerAttributes { load_balancer_name, load_balancer_attributes };
        self.change(&args.name, &[Change::ModifyAttributes(input)], &args.how)
    }

    fn policy(&mut self, action: &PolicyAction) -> anyhow::Result<()> {
        match action {
            PolicyAction::Types(args) => shown::policy_types(args, self.client, self.streams),
            PolicyAction::List(args) => shown::policies(args, self.client, self.streams),
            PolicyAction::Create(args) => {
                let input = elb::CreateLoadBalancerPolicy {
                    load_balancer_name: args.name.clone(),
                    policy_name: args.policy.clone(),
                    policy_type_name: words::policy_type(&args.kind),
                    policy_attributes: words::policy_attributes(&args.attributes)?,
                };
                self.change(&args.name, &[Change::CreatePolicy(input)], &args.how)
            }
            PolicyAction::Cookie(args) => {
                let (load_balancer_name, policy_name) = (args.name.clone(), args.policy.clone());
                let change = match args.app.clone() {
                    Some(cookie_name) => Change::CreateAppCookie(elb::CreateAppCookieStickinessPolicy {
                        load_balancer_name,
                        policy_name,
                        cookie_name,
                    }),
                    None => Change::CreateLbCookie(elb::CreateLBCookieStickinessPolicy {
                        load_balancer_name,
                        policy_name,
                        cookie_expiration_period: args.seconds,
                    }),
                };
                self.change(&args.name, &[change], &args.how)
            }
            PolicyAction::Set(args) => {
                let input = elb::SetLoadBalancerPoliciesOfListener {
                    load_balancer_name: args.name.clone(),
                    load_balancer_port: args.port.into(),
                    policy_names: args.policies.clone().into(),
                };
                self.change(&args.name, &[Change::SetListenerPolicies(input)], &args.how)
            }
            PolicyAction::Delete(args) => {
                let one = |policy: &String| {
                    Change::DeletePolicy(elb::DeleteLoadBalancerPolicy {
                        load_balancer_name: args.name.clone(),
                        policy_name: policy.clone(),
                    })
                };
                self.change(&args.name, &args.policies.iter().map(one).collect::<Vec<_>>(), &args.how)
            }
        }
    }

    fn backend(&mut self, args: &args::Backend) -> anyhow::Result<()> {
        let set = args.port.filter(|_| args.none || !args.policies.is_empty());
        let Some(port) = set else {
            let described = shown::existing(self.client, &args.name, "find")?.described;
            let backends = described.backend_server_descriptions.into_iter();
            let wanted = backends.filter(|shown| args.port.is_none_or(|port| shown.instance_port == i64::from(port)));
            if args.how.json {
                let shown = wanted.map(|shown| (shown.instance_port.to_string(), json!(*shown.policy_names)));
                return shown::json(&shown.collect(), self.streams);
            }
            for shown in wanted {
                writeln!(self.streams.out, "{} {}", shown.instance_port, shown.policy_names.join(" "))?;
            }
            return Ok(());
        };
        let input = elb::SetLoadBalancerPoliciesForBackendServer {
            load_balancer_name: args.name.clone(),
            instance_port: port.into(),
            policy_names: args.policies.clone().into(),
        };
        self.change(&args.name, &[Change::SetBackendPolicies(input)], &args.how)
    }

    fn groups(&mut self, args: &args::Groups) -> anyhow::Result<()> {
        if args.groups.is_empty() && !args.none {
            let groups = shown::existing(self.client, &args.name, "find")?.described.security_groups;
            if args.how.json {
                return shown::json(&json!(*groups), self.streams);
            }
            for group in groups {
                writeln!(self.streams.out, "{group}")?;
            }
            return Ok(());
        }
        let input = elb::ApplySecurityGroupsToLoadBalancer {
            load_balancer_name: args.name.clone(),
            security_groups: args.groups.clone().into(),
        };
        self.change(&args.name, &[Change::ApplyGroups(input)], &args.how)
    }

    fn tag(&mut self, args: &args::Tag) -> anyhow::Result<()> {
        let load_balancer_names: Members<String> = vec![args.name.clone()].into();
        if args.tags.is_empty() && args.removed.is_empty() {
            let tags = shown::existing(self.client, &args.name, "find")?.tags;
            return self.pairs(tags.into_iter().collect(), &args.how);
        }
        let mut changes = Vec::new();
        // Removed first: there is room for at most ten.
        if !args.removed.is_empty() {
            let tags = args.removed.iter().map(|key| elb::TagKeyOnly { key: key.clone() }).collect();
            let load_balancer_names = load_balancer_names.clone();
            changes.push(Change::RemoveTags(elb::RemoveTags { load_balancer_names, tags }));
        }
        if !args.tags.is_empty() {
            let tags = words::tags(&args.tags)?;
            changes.push(Change::AddTags(elb::AddTags { load_balancer_names, tags }));
        }
        self.change(&args.name, &changes, &args.how)
    }

    /// `key=value`, one a line.
    fn pairs(&mut self, pairs: Vec<(String, String)>, how: &How) -> anyhow::Result<()> {
        if how.json {
            return shown::json(&pairs.into_iter().map(|(key, value)| (key, json!(value))).collect(), self.streams);
        }
        for (key, value) in pairs {
            writeln!(self.streams.out, "{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
