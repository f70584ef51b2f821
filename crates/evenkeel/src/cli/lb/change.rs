//! One change of a load balancer: the call that makes it.
//!
//! Holds nothing but calls as the API has them, so that what is foreseen and what is done start from the same words. Next:
//! [`super::foresee`] for what comes of one, [`super`] for who makes them of what was typed.

use anyhow::Context;
use evenkeel_aws::elb;

use super::foresee::Foresight;
use super::state::State;
use crate::cli::client::Client;
use crate::cli::difference::{Difference, Verb};
use crate::cli::identity;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    AddTags(elb::AddTags),
    ApplyGroups(elb::ApplySecurityGroupsToLoadBalancer),
    AttachSubnets(elb::AttachLoadBalancerToSubnets),
    ConfigureHealthCheck(elb::ConfigureHealthCheck),
    Create(elb::CreateLoadBalancer),
    CreateAppCookie(elb::CreateAppCookieStickinessPolicy),
    CreateLbCookie(elb::CreateLBCookieStickinessPolicy),
    CreateListeners(elb::CreateLoadBalancerListeners),
    CreatePolicy(elb::CreateLoadBalancerPolicy),
    Delete(elb::DeleteLoadBalancer),
    DeleteListeners(elb::DeleteLoadBalancerListeners),
    DeletePolicy(elb::DeleteLoadBalancerPolicy),
    Deregister(elb::DeregisterInstancesFromLoadBalancer),
    DetachSubnets(elb::DetachLoadBalancerFromSubnets),
    DisableZones(elb::DisableAvailabilityZonesForLoadBalancer),
    EnableZones(elb::EnableAvailabilityZonesForLoadBalancer),
    ModifyAttributes(elb::ModifyLoadBalancerAttributes),
    Register(elb::RegisterInstancesWithLoadBalancer),
    RemoveTags(elb::RemoveTags),
    SetBackendPolicies(elb::SetLoadBalancerPoliciesForBackendServer),
    SetCertificate(elb::SetLoadBalancerListenerSSLCertificate),
    SetListenerPolicies(elb::SetLoadBalancerPoliciesOfListener),
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Delete(_) => "delete",
            _ => "change",
        }
    }

    fn call(&self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::AddTags(input) => client.call(input).map(drop),
            Self::ApplyGroups(input) => client.call(input).map(drop),
            Self::AttachSubnets(input) => client.call(input).map(drop),
            Self::ConfigureHealthCheck(input) => client.call(input).map(drop),
            Self::Create(input) => client.call(input).map(drop),
            Self::CreateAppCookie(input) => client.call(input).map(drop),
            Self::CreateLbCookie(input) => client.call(input).map(drop),
            Self::CreateListeners(input) => client.call(input).map(drop),
            Self::CreatePolicy(input) => client.call(input).map(drop),
            Self::Delete(input) => client.call(input).map(drop),
            Self::DeleteListeners(input) => client.call(input).map(drop),
            Self::DeletePolicy(input) => client.call(input).map(drop),
            Self::Deregister(input) => client.call(input).map(drop),
            Self::DetachSubnets(input) => client.call(input).map(drop),
            Self::DisableZones(input) => client.call(input).map(drop),
            Self::EnableZones(input) => client.call(input).map(drop),
            Self::ModifyAttributes(input) => client.call(input).map(drop),
            Self::Register(input) => client.call(input).map(drop),
            Self::RemoveTags(input) => client.call(input).map(drop),
            Self::SetBackendPolicies(input) => client.call(input).map(drop),
            Self::SetCertificate(input) => client.call(input).map(drop),
            Self::SetListenerPolicies(input) => client.call(input).map(drop),
        }
    }
}

/// Makes changes of one load balancer, in order, and says what became other; of a dry run, what would. Who may change it and not
/// look at it changes it all the same.
///
/// # Errors
/// What the daemon refuses, or would; and those of the client. What was done before a refused one stays done.
pub fn make(name: &str, changes: &[Change], dry_run: bool, client: &Client) -> anyhow::Result<Difference> {
    let failed = |change: &Change| format!("failed to {} load balancer `{name}`", change.verb());
    let before = match State::read(client, name) {
        Err(error) if !dry_run && identity::is_denied(&error) => {
            for change in changes {
                change.call(client).with_context(|| failed(change))?;
            }
            return Ok(Difference::unseen(name));
        }
        read => read?,
    };
    let after = if dry_run {
        let foresight = Foresight::new(client);
        let mut state = before.clone();
        for change in changes {
            state = foresight.after(name, state, change).with_context(|| failed(change))?;
        }
        state
    } else {
        for change in changes {
            change.call(client).with_context(|| failed(change))?;
        }
        State::read(client, name)?
    };
    Ok(between(name, before.as_ref(), after.as_ref()))
}

/// Between a load balancer before and after; `None` where there is none.
fn between(name: &str, before: Option<&State>, after: Option<&State>) -> Difference {
    match (before, after) {
        (None, Some(after)) => Difference::new(name, Verb::Create, &[], &after.lines_of_its_own()),
        (Some(before), None) => Difference::new(name, Verb::Delete, &before.lines_of_its_own(), &[]),
        (before, after) => {
            let lines = |state: Option<&State>| state.map(State::lines).unwrap_or_default();
            Difference::new(name, Verb::Change, &lines(before), &lines(after))
        }
    }
}
