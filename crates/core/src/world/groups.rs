//! What may happen to security groups, and whom they admit.
//!
//! Owns names, duplicates and uses of groups, and [`World::admitted`], by which the road lets clients in. Source: EC2 API,
//! "AuthorizeSecurityGroupIngress"; VPC user guide, "Security groups".

use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::Reply;
use crate::name::GroupId;
use crate::noun::security_group::{DEFAULT, MOST_RULES, Peer, Reach, Rule};
use crate::noun::{Instance, SecurityGroup};
use crate::refusal::Refusal;
use crate::routes::AddressRange;

/// The most groups there may be (AWS: 2,500 a region).
pub const MOST_GROUPS: usize = 2500;

impl World {
    pub(super) fn create_security_group(&self, new: &SecurityGroup) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        if self.security_groups().any(|held| held.name == new.name) {
            return Err(Refusal::GroupTaken(new.name.clone()));
        }
        if self.security_group(&new.id).is_some() {
            return Err(Refusal::IdTaken(new.id.to_string()));
        }
        let limit = MOST_GROUPS;
        if self.security_groups().count() >= limit {
            return Err(Refusal::TooManyGroups { limit });
        }
        Ok(put(new.clone()))
    }

    pub(super) fn delete_security_group(&self, id: &GroupId) -> Result<Decision, Refusal> {
        let held = self.existing_group(id)?;
        if held.name == DEFAULT {
            return Err(Refusal::DefaultGroup(id.clone()));
        }
        let shown = self.load_balancers().any(|lb| lb.security_groups.iter().any(|group| group == id.as_str()));
        let joined = self.members(held).next().is_some();
        let others = self.security_groups().filter(|other| other.id != *id);
        let named = others.flat_map(|other| other.ingress.iter().chain(&other.egress));
        if shown || joined || named.into_iter().any(|rule| rule.reach.peer == Peer::Group(id.clone())) {
            return Err(Refusal::GroupInUse(id.clone()));
        }
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::SecurityGroup(id.clone()))] })
    }

    pub(super) fn authorize(&self, id: &GroupId, egress: bool, rules: &[Rule]) -> Result<Decision, Refusal> {
        let mut group = self.existing_group(id)?.as_ref().clone();
        let held = if egress { &mut group.egress } else { &mut group.ingress };
        for rule in rules {
            if held.iter().any(|other| other.reach == rule.reach) {
                return Err(Refusal::RuleTaken(rule.reach.clone()));
            }
            if let Peer::Group(peer) = &rule.reach.peer {
                self.existing_group(peer)?;
            }
            held.push(rule.clone());
        }
        let limit = MOST_RULES;
        if held.len() > limit {
            return Err(Refusal::TooManyRules { limit });
        }
        Ok(put(group))
    }

    pub(super) fn revoke(&self, id: &GroupId, egress: bool, gone: &[Reach]) -> Result<Decision, Refusal> {
        let mut group = self.existing_group(id)?.as_ref().clone();
        let held = if egress { &mut group.egress } else { &mut group.ingress };
        for reach in gone {
            if !held.iter().any(|rule| rule.reach == *reach) {
                return Err(Refusal::NoSuchRule);
            }
        }
        held.retain(|rule| !gone.contains(&rule.reach));
        Ok(put(group))
    }

    /// Whose addresses these groups admit to a port: each range once. `None` for everybody's, which no group at all means.
    #[must_use]
    pub fn admitted(&self, groups: &[String], port: u16) -> Option<Vec<AddressRange>> {
        if groups.is_empty() {
            return None;
        }
        let groups = groups.iter().filter_map(|id| self.security_group(&GroupId::new(id).ok()?));
        let rules = groups.flat_map(|group| &group.ingress).filter(|rule| rule.reach.admits_tcp(port));
        let mut ranges: Vec<AddressRange> = rules.flat_map(|rule| self.addresses(&rule.reach.peer)).collect();
        ranges.sort_unstable();
        ranges.dedup();
        Some(ranges)
    }

    fn addresses(&self, peer: &Peer) -> Vec<AddressRange> {
        match peer {
            Peer::Range(range) => vec![*range],
            Peer::Group(id) => {
                let members = self.security_group(id).into_iter().flat_map(|group| self.members(group));
                members.filter_map(|instance| instance.address.to_string().parse().ok()).collect()
            }
        }
    }

    /// Instances in a group that are not terminated.
    fn members<'a>(&'a self, group: &'a SecurityGroup) -> impl Iterator<Item = &'a Arc<Instance>> {
        self.living().filter(|i| i.groups.contains(&group.name))
    }

    /// The group, or why there is none.
    pub(super) fn existing_group(&self, id: &GroupId) -> Result<&Arc<SecurityGroup>, Refusal> {
        self.security_group(id).ok_or_else(|| Refusal::NoSuchGroup(id.clone()))
    }

    /// Whether a balancer may have these groups.
    pub(super) fn known_groups(&self, groups: &[String]) -> Result<(), Refusal> {
        for text in groups {
            match GroupId::new(text) {
                Ok(id) => drop(self.existing_group(&id)?),
                Err(_) => return Err(Refusal::NoSuchResource(text.clone())),
            }
        }
        Ok(())
    }
}

fn put(group: SecurityGroup) -> Decision {
    Decision { reply: Reply::Done, writes: vec![Write::Put(Row::SecurityGroup(group))] }
}
