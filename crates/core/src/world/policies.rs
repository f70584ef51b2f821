//! What may happen to a balancer's policies: made, taken away, given to listeners and to ports of instances.
//!
//! Owns how many there may be, and what goes by them (AWS, "CreateLoadBalancerPolicy", "SetLoadBalancerPoliciesOfListener",
//! "SetLoadBalancerPoliciesForBackendServer"). What a policy must state and where its type belongs is
//! [`crate::noun::policy`]'s.

use std::collections::BTreeMap;

use super::balancers::rewrite;
use super::{Decision, World};
use crate::change::Reply;
use crate::name::{LoadBalancerName, PolicyName, Port};
use crate::noun::{Listener, LoadBalancer, Policy, PolicyType, Protocol, tls_policy};
use crate::refusal::Refusal;

/// The most policies a balancer may have.
pub const MOST_POLICIES: usize = 100;

impl World {
    pub(super) fn create_policy(
        &self,
        name: &LoadBalancerName,
        policy: &PolicyName,
        kind: PolicyType,
        attributes: &[(String, String)],
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        if tls_policy::is_reserved(policy.as_str()) {
            return Err(Refusal::PolicyNameReserved);
        }
        if held.policies.contains_key(policy) {
            return Err(Refusal::PolicyTaken { name: name.clone(), policy: policy.clone() });
        }
        let new = Policy::new(kind, attributes)?;
        for key in new.public_key_policies() {
            match held.policies.get(&key) {
                None => return Err(Refusal::NoSuchPolicy { name: name.clone(), policy: key }),
                Some(other) if other.kind != PolicyType::PublicKey => {
                    return Err(Refusal::PolicyMisplaced { policy: key, why: "it is no PublicKeyPolicyType" });
                }
                Some(_) => {}
            }
        }
        let limit = MOST_POLICIES;
        if held.policies.len() >= limit {
            return Err(Refusal::TooManyPolicies { limit });
        }
        Ok(rewrite(held, Reply::Done, |lb| drop(lb.policies.insert(policy.clone(), new))))
    }

    pub(super) fn delete_policy(&self, name: &LoadBalancerName, policy: &PolicyName) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        if let Some(user) = user_of(held, policy) {
            return Err(Refusal::PolicyInUse { policy: policy.clone(), user });
        }
        Ok(rewrite(held, Reply::Done, |lb| drop(lb.policies.remove(policy))))
    }

    pub(super) fn set_listener_policies(
        &self,
        name: &LoadBalancerName,
        port: Port,
        policies: &[PolicyName],
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        let listener = held.listeners.iter().find(|l| l.port == port);
        let listener = listener.ok_or_else(|| Refusal::NoSuchListener { name: name.clone(), port })?;
        let policies = once_each(policies);
        let found = found(held, &policies)?;
        for (policy, kind) in &found {
            kind.kind
                .fits_listener(listener.protocol)
                .map_err(|why| Refusal::PolicyMisplaced { policy: (*policy).clone(), why })?;
        }
        let sticky = |kind| matches!(kind, PolicyType::AppCookieStickiness | PolicyType::LbCookieStickiness);
        let one_of = |wanted: &dyn Fn(PolicyType) -> bool, why| {
            let mut those = found.iter().filter(|(_, policy)| wanted(policy.kind)).map(|(name, _)| *name);
            match (those.next(), those.next()) {
                (Some(_), Some(second)) => Err(Refusal::PolicyMisplaced { policy: second.clone(), why }),
                _ => Ok(()),
            }
        };
        one_of(&sticky, "a listener has at most one stickiness policy")?;
        one_of(&|kind| kind == PolicyType::SslNegotiation, "a listener has at most one SSL negotiation policy")?;
        let predefined: BTreeMap<PolicyName, Policy> = found
            .iter()
            .filter(|(policy, _)| !held.policies.contains_key(*policy))
            .map(|(name, policy)| ((*name).clone(), policy.clone()))
            .collect();
        Ok(rewrite(held, Reply::Done, |lb| {
            lb.policies.extend(predefined);
            for listener in lb.listeners.iter_mut().filter(|l| l.port == port) {
                listener.policies.clone_from(&policies);
            }
        }))
    }

    pub(super) fn set_backend_policies(
        &self,
        name: &LoadBalancerName,
        port: Port,
        policies: &[PolicyName],
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        let listeners: Vec<&Listener> = held.listeners.iter().filter(|l| l.instance_port == port).collect();
        if listeners.is_empty() {
            return Err(Refusal::NoSuchInstancePort { name: name.clone(), port });
        }
        let policies = once_each(policies);
        let pairs: Vec<(Protocol, Protocol)> = listeners.iter().map(|l| (l.protocol, l.instance_protocol)).collect();
        for (policy, kind) in found(held, &policies)? {
            kind.kind
                .fits_instance_port(&pairs)
                .map_err(|why| Refusal::PolicyMisplaced { policy: policy.clone(), why })?;
        }
        Ok(rewrite(held, Reply::Done, |lb| {
            if policies.is_empty() {
                lb.backend_policies.remove(&port);
            } else {
                lb.backend_policies.insert(port, policies);
            }
        }))
    }
}

fn once_each(policies: &[PolicyName]) -> Vec<PolicyName> {
    let mut once: Vec<PolicyName> = Vec::with_capacity(policies.len());
    for policy in policies {
        if !once.contains(policy) {
            once.push(policy.clone());
        }
    }
    once
}

/// Each policy by its name: the balancer's own, or a predefined one that it does not have yet.
fn found<'a>(lb: &LoadBalancer, names: &'a [PolicyName]) -> Result<Vec<(&'a PolicyName, Policy)>, Refusal> {
    let one = |name: &'a PolicyName| {
        let own = lb.policies.get(name).cloned();
        let policy = own.or_else(|| Policy::predefined(name.as_str()));
        policy
            .map(|policy| (name, policy))
            .ok_or_else(|| Refusal::NoSuchPolicy { name: lb.name.clone(), policy: name.clone() })
    };
    names.iter().map(one).collect()
}

/// What goes by a policy, in words.
fn user_of(lb: &LoadBalancer, policy: &PolicyName) -> Option<String> {
    let listener = lb.listeners.iter().find(|l| l.policies.contains(policy));
    let port = lb.backend_policies.iter().find(|(_, policies)| policies.contains(policy));
    let other = lb.policies.iter().find(|(_, other)| other.public_key_policies().any(|key| key == *policy));
    listener
        .map(|l| format!("the listener on port {}", l.port))
        .or_else(|| port.map(|(port, _)| format!("the instance port {port}")))
        .or_else(|| other.map(|(name, _)| format!("the policy '{name}'")))
}
