//! What would come of a change: the load balancer after it, or why the daemon would refuse.
//!
//! Asks only what describes; says what the daemon would say, by the same rules of `evenkeel_core::noun` and with the same codes
//! and texts. What only the daemon can know (free addresses, ports that need a privilege, a bucket that cannot be written) is
//! told when it is done. Next: [`super::state`] for what is there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{ec2, elb};
use evenkeel_core::name::{InstanceId, LoadBalancerName, PolicyName, Port};
use evenkeel_core::noun::balancing::{BadSetting, PREFIX};
use evenkeel_core::noun::load_balancer::MOST_GROUPS;
use evenkeel_core::noun::{Balancing, HealthCheck, HealthTarget, Policy, PolicyType, Protocol, Setting, tls_policy};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::policies::MOST_POLICIES;
use evenkeel_core::world::tags::PER_LOAD_BALANCER;

use super::change::Change;
use super::state::{DESYNC, State, default_attributes};
use crate::cli::cert::found;
use crate::cli::client::Client;
use crate::cli::failure::refused;

type Foreseen<T> = anyhow::Result<T>;

/// Who foresees, and asks for what is around a load balancer.
pub struct Foresight<'c> {
    client: &'c Client,
}

fn no_balancer<T>(name: &str) -> Foreseen<T> {
    refused("LoadBalancerNotFound", format_args!("There is no ACTIVE Load Balancer named '{name}'"))
}

fn unwanted<T>(why: impl Display) -> Foreseen<T> {
    refused("InvalidConfigurationRequest", why)
}

impl<'c> Foresight<'c> {
    pub fn new(client: &'c Client) -> Self {
        Self { client }
    }

    /// The load balancer after a change of what is there.
    ///
    /// # Errors
    /// Why it would be refused, and those of the client.
    pub fn after(&self, name: &str, before: Option<State>, change: &Change) -> Foreseen<Option<State>> {
        match change {
            Change::Create(input) => return self.created(before, input).map(Some),
            Change::Delete(_) => return Ok(None),
            _ => {}
        }
        let Some(mut state) = before else { return no_balancer(name) };
        let held = &mut state.described;
        match change {
            Change::Create(_) | Change::Delete(_) => {}
            Change::AddTags(input) => tagged(&mut state.tags, &input.tags)?,
            Change::RemoveTags(input) => state.tags.retain(|key, _| !input.tags.iter().any(|tag| tag.key == *key)),
            Change::ApplyGroups(input) => {
                self.groups(&input.security_groups)?;
                held.security_groups = input.security_groups.clone();
            }
            Change::ConfigureHealthCheck(input) => held.health_check = health_check(&input.health_check)?,
            Change::ModifyAttributes(input) => modified(&mut state.attributes, &input.load_balancer_attributes)?,
            Change::Register(input) => self.registered(held, &input.instances)?,
            Change::Deregister(input) => self.deregistered(held, &input.instances)?,
            Change::EnableZones(input) => {
                in_its_network(&state, false)?;
                self.zones(&input.availability_zones)?;
                join(&mut state.described.availability_zones, &input.availability_zones);
            }
            Change::DisableZones(input) => {
                in_its_network(&state, false)?;
                self.zones(&input.availability_zones)?;
                leave(&mut state.described, &input.availability_zones)?;
            }
            Change::AttachSubnets(input) => {
                in_its_network(&state, true)?;
                let zones = self.zones_of(&input.subnets)?;
                join(&mut state.described.availability_zones, &zones);
                join(&mut state.described.subnets, &input.subnets);
            }
            Change::DetachSubnets(input) => {
                in_its_network(&state, true)?;
                let zones = self.zones_of(&input.subnets)?;
                leave(&mut state.described, &zones)?;
                state.described.subnets.retain(|subnet| !input.subnets.contains(subnet));
            }
            Change::CreateListeners(input) => self.listening(&mut state, &input.listeners)?,
            Change::DeleteListeners(input) => {
                let goes = |shown: &elb::ListenerDescription| {
                    input.load_balancer_ports.contains(&shown.listener.load_balancer_port)
                };
                held.listener_descriptions.retain(|shown| !goes(shown));
                let listeners = held.listener_descriptions.clone();
                let is_spoken_to = |port: i64| listeners.iter().any(|shown| shown.listener.instance_port == port);
                held.backend_server_descriptions.retain(|shown| is_spoken_to(shown.instance_port));
            }
            Change::SetCertificate(input) => {
                let arn = input.ssl_certificate_id.clone();
                let listener = &mut listener_of(held, input.load_balancer_port)?.listener;
                if let Some(front) = Protocol::parse(&listener.protocol).filter(|front| !front.is_secure()) {
                    return unwanted(Refusal::CertificateNotWanted(front));
                }
                self.certificate(&arn)?;
                listener.ssl_certificate_id = Some(arn);
            }
            Change::CreatePolicy(input) => {
                let Some(kind) = PolicyType::parse(&input.policy_type_name) else {
                    let text = format!("Policy type not found: '{}'", input.policy_type_name);
                    return refused("PolicyTypeNotFound", text);
                };
                let stated = input.policy_attributes.iter();
                let stated = stated.map(|a| (a.attribute_name.clone(), a.attribute_value.clone())).collect();
                with_policy(&mut state, &input.policy_name, kind, stated)?;
            }
            Change::CreateLbCookie(input) => {
                let seconds = input.cookie_expiration_period.map(|seconds| seconds.to_string());
                let stated = seconds.map(|seconds| ("CookieExpirationPeriod".to_owned(), seconds));
                let stated = stated.into_iter().collect();
                with_policy(&mut state, &input.policy_name, PolicyType::LbCookieStickiness, stated)?;
            }
            Change::CreateAppCookie(input) => {
                let stated = vec![("CookieName".to_owned(), input.cookie_name.clone())];
                with_policy(&mut state, &input.policy_name, PolicyType::AppCookieStickiness, stated)?;
            }
            Change::DeletePolicy(input) => {
                if let Some(user) = user_of(&state, &input.policy_name) {
                    let policy = &input.policy_name;
                    return unwanted(format_args!(
                        "You cannot delete policy '{policy}' because it is in use by {user}"
                    ));
                }
                state.policies.remove(&input.policy_name);
            }
            Change::SetListenerPolicies(input) => {
                set_on_listener(&mut state, input.load_balancer_port, &input.policy_names)?;
            }
            Change::SetBackendPolicies(input) => {
                set_on_backend(&mut state, input.instance_port, &input.policy_names)?;
            }
        }
        Ok(Some(state))
    }

    fn created(&self, before: Option<State>, input: &elb::CreateLoadBalancer) -> Foreseen<State> {
        let name = LoadBalancerName::new(&input.load_balancer_name);
        let name = match name {
            Ok(name) => name,
            Err(bad) => return refused("ValidationError", format_args!("LoadBalancer name {}", bad.rule)),
        };
        let mut tags = BTreeMap::new();
        tagged(&mut tags, &input.tags)?;
        let subnets = input.subnets.clone().unwrap_or_default();
        let mut zones = Members::default();
        if subnets.is_empty() {
            let stated = input.availability_zones.clone().unwrap_or_default();
            self.zones(&stated)?;
            join(&mut zones, &stated);
        } else {
            join(&mut zones, &self.zones_of(&subnets)?);
        }
        let scheme = input.scheme.clone().unwrap_or_else(|| "internet-facing".into());
        let mut new = State { attributes: default_attributes(), tags, ..State::default() };
        new.described = elb::LoadBalancerDescription {
            load_balancer_name: name.to_string(),
            availability_zones: zones,
            scheme,
            security_groups: input.security_groups.clone().unwrap_or_default(),
            ..elb::LoadBalancerDescription::default()
        };
        join(&mut new.described.subnets, &subnets);
        self.listening(&mut new, &input.listeners)?;
        if let Some(held) = before {
            return same_or_taken(held, &new, name);
        }
        self.groups(&new.described.security_groups)?;
        let first = input.listeners.first().and_then(|first| port(first.instance_port).ok());
        new.described.health_check = first.map(|port| shown(&HealthCheck::default_for(port))).unwrap_or_default();
        let limit = self.limit("classic-load-balancers")?;
        if self.client.load_balancers(&[])?.len() >= limit {
            return refused("TooManyLoadBalancers", Refusal::TooManyLoadBalancers { limit });
        }
        Ok(new)
    }

    /// New listeners join those there are, held against every rule.
    fn listening(&self, state: &mut State, new: &Members<elb::Listener>) -> Foreseen<()> {
        let name = state.described.load_balancer_name.clone();
        let listeners = &mut state.described.listener_descriptions;
        if new.is_empty() {
            return refused("ValidationError", Refusal::NoListeners);
        }
        for stated in new {
            let listener = self.listener(stated)?;
            let port = listener.load_balancer_port;
            match listeners.iter().find(|held| held.listener.load_balancer_port == port) {
                Some(held) if held.listener == listener => {}
                Some(_) => {
                    return refused(
                        "DuplicateListener",
                        format_args!(
                            "A listener already exists for {name} with LoadBalancerPort {port}, but with a different \
                             InstancePort, Protocol, or SSLCertificateId"
                        ),
                    );
                }
                None => listeners.push(elb::ListenerDescription { listener, policy_names: Members::default() }),
            }
        }
        let limit = self.limit("classic-listeners")?;
        if listeners.len() > limit {
            return unwanted(Refusal::TooManyListeners { limit });
        }
        let is_secure =
            |held: &elb::ListenerDescription| pair(&held.listener).is_some_and(|(_, back)| back.is_secure());
        for held in listeners.iter() {
            let back = held.listener.instance_port;
            let mut others = listeners.iter().filter(|other| other.listener.instance_port == back);
            if others.any(|other| is_secure(other) != is_secure(held)) {
                return unwanted(Refusal::InstancePortConflict { port: port(back)? });
            }
        }
        give_default_policies(state);
        Ok(())
    }

    /// A listener as it will be shown, if it may be.
    fn listener(&self, stated: &elb::Listener) -> Foreseen<elb::Listener> {
        port(stated.load_balancer_port)?;
        port(stated.instance_port)?;
        let protocol = |text: &str| match Protocol::parse(text) {
            Some(protocol) => Ok(protocol),
            None => refused("ValidationError", format_args!("`{text}` is not one of HTTP, HTTPS, TCP, SSL")),
        };
        let front = protocol(&stated.protocol)?;
        let back = stated.instance_protocol.as_deref().map_or_else(|| Ok(front.plain()), protocol)?;
        if front.sees_requests() != back.sees_requests() {
            return refused("ValidationError", Refusal::LayerMismatch { front, back });
        }
        match &stated.ssl_certificate_id {
            None if front.is_secure() => return refused("ValidationError", Refusal::CertificateNeeded),
            Some(_) if !front.is_secure() => return unwanted(Refusal::CertificateNotWanted(front)),
            Some(arn) => self.certificate(arn)?,
            None => {}
        }
        let (protocol, instance_protocol) = (front.to_string(), Some(back.to_string()));
        Ok(elb::Listener { protocol, instance_protocol, ..stated.clone() })
    }

    fn certificate(&self, arn: &str) -> Foreseen<()> {
        if found::arns(self.client)?.iter().any(|held| held == arn) {
            return Ok(());
        }
        refused("CertificateNotFound", format_args!("Server Certificate not found for the key: {arn}"))
    }

    fn groups(&self, groups: &Members<String>) -> Foreseen<()> {
        if groups.len() > MOST_GROUPS {
            return unwanted(format_args!("A load balancer may have at most {MOST_GROUPS} security groups"));
        }
        if groups.is_empty() {
            return Ok(());
        }
        let filters = vec![ec2::Filter { name: "group-id".into(), values: groups.0.clone() }];
        let held =
            self.client.call(&ec2::DescribeSecurityGroups { filters, ..Default::default() })?.security_group_info;
        match groups.iter().find(|id| !held.iter().any(|group| group.group_id == **id)) {
            Some(id) => refused("InvalidSecurityGroup", format_args!("The security group '{id}' does not exist")),
            None => Ok(()),
        }
    }

    fn zones(&self, zones: &Members<String>) -> Foreseen<()> {
        let held = self.client.call(&ec2::DescribeAvailabilityZones::default())?.availability_zone_info;
        match zones.iter().find(|zone| !held.iter().any(|held| held.zone_name == **zone)) {
            Some(zone) => refused("ValidationError", format_args!("Invalid availability zone: {zone}")),
            None => Ok(()),
        }
    }

    fn zones_of(&self, subnets: &Members<String>) -> Foreseen<Members<String>> {
        let held = self.client.call(&ec2::DescribeSubnets::default())?.subnet_set;
        let zone = |id: &String| match held.iter().find(|subnet| subnet.subnet_id == *id) {
            Some(subnet) => Ok(subnet.availability_zone.clone()),
            None => refused("SubnetNotFound", format_args!("The subnet ID '{id}' does not exist")),
        };
        subnets.iter().map(zone).collect()
    }

    fn registered(&self, held: &mut elb::LoadBalancerDescription, new: &Members<elb::Instance>) -> Foreseen<()> {
        let known = self.states(new)?;
        for elb::Instance { instance_id: id } in new {
            let Some(state) = known.get(id) else { return no_instance(id) };
            let is_registered = held.instances.iter().any(|instance| instance.instance_id == *id);
            if matches!(state.as_str(), "shutting-down" | "terminated") && !is_registered {
                let text = format!("Instance {id} is in terminated state and cannot be registered.");
                return refused("InvalidInstance", text);
            }
            if !is_registered {
                held.instances.push(elb::Instance { instance_id: id.clone() });
            }
        }
        held.instances.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
        let limit = self.limit("classic-registered-instances")?;
        if held.instances.len() > limit {
            return unwanted(Refusal::TooManyRegistered { limit });
        }
        Ok(())
    }

    fn deregistered(&self, held: &mut elb::LoadBalancerDescription, gone: &Members<elb::Instance>) -> Foreseen<()> {
        let known = self.states(gone)?;
        let is_unknown = |instance: &&elb::Instance| {
            !known.contains_key(&instance.instance_id) && !held.instances.contains(*instance)
        };
        if let Some(unknown) = gone.iter().find(is_unknown) {
            return no_instance(&unknown.instance_id);
        }
        held.instances.retain(|instance| !gone.contains(instance));
        Ok(())
    }

    /// States of those of the instances that exist.
    fn states(&self, instances: &Members<elb::Instance>) -> Foreseen<BTreeMap<String, String>> {
        // What is no id names nothing, and `*` would be a wildcard.
        let ids = instances.iter().map(|instance| &instance.instance_id);
        let ids: Vec<String> = ids.filter(|id| InstanceId::new(id).is_ok()).cloned().collect();
        let mut known = BTreeMap::new();
        for some in ids.chunks(200) {
            let filter = ec2::Filter { name: "instance-id".into(), values: some.to_vec() };
            for reservation in self.client.reservations(vec![filter], Vec::new())? {
                let states = reservation.instances_set.into_iter().map(|i| (i.instance_id, i.instance_state.name));
                known.extend(states);
            }
        }
        Ok(known)
    }

    fn limit(&self, name: &str) -> Foreseen<usize> {
        let limits = self.client.call(&elb::DescribeAccountLimits::default())?.limits;
        let found = limits.iter().find(|limit| limit.name == name).and_then(|limit| limit.max.parse().ok());
        Ok(found.unwrap_or(usize::MAX))
    }
}

fn no_instance<T>(id: &str) -> Foreseen<T> {
    refused("InvalidInstance", format_args!("Could not find EC2 instance {id}."))
}

/// Creating what exists: the same settings are a success, other ones are not.
fn same_or_taken(held: State, new: &State, name: LoadBalancerName) -> Foreseen<State> {
    let listeners = |state: &State| {
        let specs = state.described.listener_descriptions.iter().map(|shown| super::state::spec(&shown.listener));
        specs.collect::<std::collections::BTreeSet<_>>()
    };
    let settings = |state: &State| {
        let elb::LoadBalancerDescription { availability_zones, subnets, security_groups, scheme, .. } =
            state.described.clone();
        (availability_zones, subnets, security_groups, scheme)
    };
    let is_same = listeners(&held) == listeners(new) && settings(&held) == settings(new);
    if is_same && held.tags == new.tags {
        return Ok(held);
    }
    refused("DuplicateLoadBalancerName", Refusal::LoadBalancerTaken { name, only_tags: is_same })
}

/// Secure listeners without any policy get AWS's default for what they offer.
fn give_default_policies(state: &mut State) {
    let default = tls_policy::DEFAULT;
    let Some(policy) = Policy::predefined(default) else { return };
    let is_bare = |shown: &&mut elb::ListenerDescription| {
        shown.policy_names.is_empty() && pair(&shown.listener).is_some_and(|(front, _)| front.is_secure())
    };
    for shown in state.described.listener_descriptions.iter_mut().filter(is_bare) {
        shown.policy_names.push(default.to_owned());
        state.policies.entry(default.to_owned()).or_insert_with(|| described(default, &policy));
    }
}

fn described(name: &str, policy: &Policy) -> elb::PolicyDescription {
    let attribute = |(attribute_name, attribute_value)| elb::PolicyAttribute { attribute_name, attribute_value };
    elb::PolicyDescription {
        policy_name: name.to_owned(),
        policy_type_name: policy.kind.as_str().to_owned(),
        policy_attribute_descriptions: policy.described().into_iter().map(attribute).collect(),
    }
}

fn with_policy(state: &mut State, name: &str, kind: PolicyType, stated: Vec<(String, String)>) -> Foreseen<()> {
    let balancer = &state.described.load_balancer_name;
    if let Err(bad) = PolicyName::new(name) {
        return refused("ValidationError", format_args!("PolicyName {}", bad.rule));
    }
    if tls_policy::is_reserved(name) {
        return refused("ValidationError", Refusal::PolicyNameReserved);
    }
    if state.policies.contains_key(name) {
        let text = format!("Policy with name '{name}' already exists for load balancer '{balancer}'");
        return refused("DuplicatePolicyName", text);
    }
    let policy = match Policy::new(kind, &stated) {
        Ok(policy) => policy,
        Err(bad) => return unwanted(bad),
    };
    for key in policy.public_key_policies() {
        match state.policies.get(key.as_str()) {
            None => return no_policy(balancer, key.as_str()),
            Some(other) if other.policy_type_name != PolicyType::PublicKey.as_str() => {
                return unwanted(Refusal::PolicyMisplaced { policy: key, why: "it is no PublicKeyPolicyType" });
            }
            Some(_) => {}
        }
    }
    if state.policies.len() >= MOST_POLICIES {
        return refused("TooManyPolicies", Refusal::TooManyPolicies { limit: MOST_POLICIES });
    }
    state.policies.insert(name.to_owned(), described(name, &policy));
    Ok(())
}

fn no_policy<T>(balancer: &str, policy: &str) -> Foreseen<T> {
    let text = format!("There is no policy with name '{policy}' for load balancer '{balancer}'");
    refused("PolicyNotFound", text)
}

/// Policies of these names with their types, each once: the balancer's own, and predefined ones that it does not have yet.
fn policies_of(state: &State, names: &Members<String>) -> Foreseen<Vec<(String, PolicyType)>> {
    let mut found: Vec<(String, PolicyType)> = Vec::new();
    for name in names.iter() {
        let own = state.policies.get(name).and_then(|policy| PolicyType::parse(&policy.policy_type_name));
        let kind = own.or_else(|| Policy::predefined(name).map(|policy| policy.kind));
        match kind {
            None => return no_policy(&state.described.load_balancer_name, name),
            Some(kind) if !found.iter().any(|(held, _)| held == name) => found.push((name.clone(), kind)),
            Some(_) => {}
        }
    }
    Ok(found)
}

fn misplaced<T>(policy: &str, why: &'static str) -> Foreseen<T> {
    unwanted(format_args!("policy '{policy}' cannot be set here: {why}"))
}

fn set_on_listener(state: &mut State, at: i64, names: &Members<String>) -> Foreseen<()> {
    let front = pair(&listener_of(&mut state.described, at)?.listener).map_or(Protocol::Tcp, |(front, _)| front);
    let found = policies_of(state, names)?;
    for (name, kind) in &found {
        if let Err(why) = kind.fits_listener(front) {
            return misplaced(name, why);
        }
    }
    let sticky = [PolicyType::AppCookieStickiness, PolicyType::LbCookieStickiness];
    let rules: [(&[PolicyType], &str); 2] = [
        (&sticky, "a listener has at most one stickiness policy"),
        (&[PolicyType::SslNegotiation], "a listener has at most one SSL negotiation policy"),
    ];
    for (kinds, why) in rules {
        if let Some((second, _)) = found.iter().filter(|(_, kind)| kinds.contains(kind)).nth(1) {
            return misplaced(second, why);
        }
    }
    for (name, _) in &found {
        if let (false, Some(policy)) = (state.policies.contains_key(name), Policy::predefined(name)) {
            state.policies.insert(name.clone(), described(name, &policy));
        }
    }
    listener_of(&mut state.described, at)?.policy_names = found.into_iter().map(|(name, _)| name).collect();
    Ok(())
}

fn set_on_backend(state: &mut State, at: i64, names: &Members<String>) -> Foreseen<()> {
    let listeners = state.described.listener_descriptions.iter().map(|shown| &shown.listener);
    let pairs: Vec<_> = listeners.filter(|listener| listener.instance_port == at).filter_map(pair).collect();
    if pairs.is_empty() {
        let name = &state.described.load_balancer_name;
        return unwanted(format_args!("no listener of load balancer '{name}' has the instance port {at}"));
    }
    let found = policies_of(state, names)?;
    for (name, kind) in &found {
        if let Err(why) = kind.fits_instance_port(&pairs) {
            return misplaced(name, why);
        }
    }
    let backends = &mut state.described.backend_server_descriptions;
    backends.retain(|shown| shown.instance_port != at);
    if !found.is_empty() {
        let policy_names = found.into_iter().map(|(name, _)| name).collect();
        backends.push(elb::BackendServerDescription { instance_port: at, policy_names });
        backends.sort_by_key(|shown| shown.instance_port);
    }
    Ok(())
}

/// What goes by a policy, in words.
fn user_of(state: &State, policy: &str) -> Option<String> {
    let is_in = |names: &Members<String>| names.iter().any(|name| name == policy);
    let mut listeners = state.described.listener_descriptions.iter();
    let mut backends = state.described.backend_server_descriptions.iter();
    let names_it = |other: &&elb::PolicyDescription| {
        let mut attributes = other.policy_attribute_descriptions.iter();
        attributes.any(|a| a.attribute_name == "PublicKeyPolicyName" && a.attribute_value == policy)
    };
    let listener = listeners.find(|shown| is_in(&shown.policy_names));
    let backend = backends.find(|shown| is_in(&shown.policy_names));
    listener
        .map(|shown| format!("the listener on port {}", shown.listener.load_balancer_port))
        .or_else(|| backend.map(|shown| format!("the instance port {}", shown.instance_port)))
        .or_else(|| state.policies.values().find(names_it).map(|other| format!("the policy '{}'", other.policy_name)))
}

fn listener_of(held: &mut elb::LoadBalancerDescription, at: i64) -> Foreseen<&mut elb::ListenerDescription> {
    let name = held.load_balancer_name.clone();
    match held.listener_descriptions.iter_mut().find(|shown| shown.listener.load_balancer_port == at) {
        Some(found) => Ok(found),
        None => {
            let text = format!("There is no listener on port {at} of load balancer '{name}'");
            refused("ListenerNotFound", text)
        }
    }
}

/// What a listener speaks to clients and to instances.
fn pair(listener: &elb::Listener) -> Option<(Protocol, Protocol)> {
    let front = Protocol::parse(&listener.protocol)?;
    let back = listener.instance_protocol.as_deref().and_then(Protocol::parse);
    Some((front, back.unwrap_or_else(|| front.plain())))
}

fn port(number: i64) -> Foreseen<Port> {
    match u16::try_from(number).ok().and_then(|number| Port::new(number).ok()) {
        Some(port) => Ok(port),
        None => refused("ValidationError", format_args!("port {number} is not from 1 to 65535")),
    }
}

fn in_its_network(state: &State, by_subnet: bool) -> Foreseen<()> {
    if state.is_in_vpc() == by_subnet {
        return Ok(());
    }
    let name = &state.described.load_balancer_name;
    let what =
        if by_subnet { "availability zones: enable and disable those" } else { "subnets: attach and detach those" };
    unwanted(format_args!("load balancer '{name}' was made for {what}"))
}

fn join(held: &mut Members<String>, more: &Members<String>) {
    held.extend(more.iter().cloned());
    held.sort();
    held.dedup();
}

fn leave(held: &mut elb::LoadBalancerDescription, zones: &Members<String>) -> Foreseen<()> {
    held.availability_zones.retain(|zone| !zones.contains(zone));
    if held.availability_zones.is_empty() { unwanted(Refusal::LastZone) } else { Ok(()) }
}

fn tagged(held: &mut BTreeMap<String, String>, tags: &Members<elb::Tag>) -> Foreseen<()> {
    for tag in tags {
        let (key, value) = (&tag.key, tag.value.clone().unwrap_or_default());
        if !(1..=128).contains(&key.chars().count()) {
            return refused("ValidationError", Refusal::TagLength { what: "key", low: 1, high: 128 });
        }
        if value.chars().count() > 256 {
            return refused("ValidationError", Refusal::TagLength { what: "value", low: 0, high: 256 });
        }
        if key.starts_with("aws:") {
            return refused("ValidationError", Refusal::TagReserved);
        }
        held.insert(key.clone(), value);
    }
    if held.len() > PER_LOAD_BALANCER {
        return refused("TooManyTags", Refusal::TooManyTags { limit: PER_LOAD_BALANCER });
    }
    Ok(())
}

fn health_check(stated: &elb::HealthCheck) -> Foreseen<elb::HealthCheck> {
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let check = HealthTarget::parse(&stated.target).map(|target| HealthCheck {
        target,
        interval: seconds(stated.interval),
        timeout: seconds(stated.timeout),
        unhealthy_threshold: count(stated.unhealthy_threshold),
        healthy_threshold: count(stated.healthy_threshold),
    });
    match check.and_then(|check| check.validate().map(|()| check)) {
        Ok(check) => Ok(shown(&check)),
        Err(bad) => refused("ValidationError", bad),
    }
}

fn shown(check: &HealthCheck) -> elb::HealthCheck {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    elb::HealthCheck {
        target: check.target.to_string(),
        interval: seconds(check.interval),
        timeout: seconds(check.timeout),
        unhealthy_threshold: check.unhealthy_threshold.into(),
        healthy_threshold: check.healthy_threshold.into(),
    }
}

/// Blocks that are stated take the place of what is held; of an absent field what is held stays.
fn modified(held: &mut elb::LoadBalancerAttributes, stated: &elb::LoadBalancerAttributes) -> Foreseen<()> {
    let within = |what, value: i64, high: i64| {
        if (1..=high).contains(&value) {
            return Ok(());
        }
        let high = u64::try_from(high).unwrap_or_default();
        refused("ValidationError", Refusal::OutOfRange { what, low: 1, high })
    };
    if let Some(block) = &stated.cross_zone_load_balancing {
        held.cross_zone_load_balancing = Some(block.clone());
    }
    if let Some(block) = &stated.connection_draining {
        if let Some(timeout) = block.timeout {
            within("ConnectionDraining.Timeout", timeout, 3600)?;
        }
        let timeout = block.timeout.or_else(|| held.connection_draining.as_ref().and_then(|held| held.timeout));
        held.connection_draining = Some(elb::ConnectionDraining { enabled: block.enabled, timeout });
    }
    if let Some(block) = &stated.connection_settings {
        within("ConnectionSettings.IdleTimeout", block.idle_timeout, 4000)?;
        held.connection_settings = Some(block.clone());
    }
    if let Some(log) = &stated.access_log {
        held.access_log = Some(logged(held.access_log.clone().unwrap_or_default(), log)?);
    }
    for attribute in stated.additional_attributes.iter().flatten() {
        set_additional(held.additional_attributes.get_or_insert_default(), attribute)?;
    }
    Ok(())
}

fn logged(held: elb::AccessLog, stated: &elb::AccessLog) -> Foreseen<elb::AccessLog> {
    let log = elb::AccessLog {
        enabled: stated.enabled,
        s3_bucket_name: stated.s3_bucket_name.clone().filter(|bucket| !bucket.is_empty()).or(held.s3_bucket_name),
        emit_interval: stated.emit_interval.or(held.emit_interval),
        s3_bucket_prefix: stated.s3_bucket_prefix.clone().or(held.s3_bucket_prefix),
    };
    if log.enabled && log.s3_bucket_name.is_none() {
        return unwanted("AccessLog.S3BucketName is needed while AccessLog.Enabled is true");
    }
    if !matches!(log.emit_interval, None | Some(5 | 60)) {
        return unwanted("AccessLog.EmitInterval must be 5 or 60 minutes");
    }
    Ok(log)
}

/// AWS's own key is always there; of ours those that are not as they come.
fn set_additional(held: &mut Members<elb::AdditionalAttribute>, stated: &elb::AdditionalAttribute) -> Foreseen<()> {
    let elb::AdditionalAttribute { key, value } = stated;
    if key == DESYNC {
        if !matches!(value.as_str(), "monitor" | "defensive" | "strictest") {
            return unwanted(format_args!("{DESYNC} must be monitor, defensive or strictest, and is '{value}'"));
        }
        held.retain(|attribute| attribute.key != DESYNC);
        held.insert(0, stated.clone());
        return Ok(());
    }
    let own = |key: &str, value: &str| {
        let parsed = key.strip_prefix(PREFIX).ok_or(BadSetting::Unknown).and_then(|own| Setting::parse(own, value));
        match parsed {
            Ok(setting) => Ok(setting),
            Err(BadSetting::Unknown) => {
                let text = format!("The load balancer attribute '{key}' does not exist");
                refused("LoadBalancerAttributeNotFound", text)
            }
            Err(BadSetting::Rule(rule)) => unwanted(format_args!("{key} must be {rule}, and is '{value}'")),
        }
    };
    let mut balancing = Balancing::default();
    for attribute in held.iter().filter(|attribute| attribute.key != DESYNC) {
        balancing.set(&own(&attribute.key, &attribute.value)?);
    }
    balancing.set(&own(key, value)?);
    held.retain(|attribute| attribute.key == DESYNC);
    let stated = balancing.stated().into_iter();
    held.extend(stated.map(|(key, value)| elb::AdditionalAttribute { key: format!("{PREFIX}{key}"), value }));
    Ok(())
}
