//! Tags on instances, images, launch templates and load balancers. Owns AWS's limits on keys, values and their number.

use std::collections::BTreeMap;

use super::{Decision, Row, World, Write};
use crate::change::Reply;
use crate::name::{GroupId, ImageId, InstanceId, LaunchTemplateId, LoadBalancerName};
use crate::refusal::Refusal;

/// Tags on a load balancer (AWS: 10).
pub const PER_LOAD_BALANCER: usize = 10;
/// Tags on an instance or image (AWS: 50).
pub(super) const PER_RESOURCE: usize = 50;

/// Holds tags against AWS's limits: keys 1–128 characters and not `aws:…`, values 0–256.
pub(super) fn check(tags: &BTreeMap<String, String>, limit: usize) -> Result<(), Refusal> {
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(Refusal::TagLength { what: "key", low: 1, high: 128 });
        }
        if value.chars().count() > 256 {
            return Err(Refusal::TagLength { what: "value", low: 0, high: 256 });
        }
        if key.starts_with("aws:") {
            return Err(Refusal::TagReserved);
        }
    }
    if tags.len() > limit { Err(Refusal::TooManyTags { limit }) } else { Ok(()) }
}

/// How many tags count against the limit: those of AWS itself, such as a group's name on its members, do not.
pub(super) fn own(tags: &BTreeMap<String, String>) -> usize {
    tags.keys().filter(|key| !key.starts_with("aws:")).count()
}

impl World {
    pub(super) fn create_tags(
        &self,
        resources: &[String],
        tags: &BTreeMap<String, String>,
    ) -> Result<Decision, Refusal> {
        check(tags, PER_RESOURCE)?;
        self.change_tags(resources, |held| {
            held.extend(tags.clone());
            if own(held) > PER_RESOURCE { Err(Refusal::TooManyTags { limit: PER_RESOURCE }) } else { Ok(()) }
        })
    }

    pub(super) fn delete_tags(
        &self,
        resources: &[String],
        tags: &[(String, Option<String>)],
    ) -> Result<Decision, Refusal> {
        self.change_tags(resources, |held| {
            let goes = |key: &String, value: &String| {
                // What people did not set they cannot take away, nor do they mean it by "all tags".
                let is_own = !key.starts_with("aws:");
                let named = || tags.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|v| v == value));
                is_own && (tags.is_empty() || named())
            };
            held.retain(|key, value| !goes(key, value));
            Ok(())
        })
    }

    pub(super) fn tag_load_balancers(
        &self,
        names: &[LoadBalancerName],
        tags: &BTreeMap<String, String>,
    ) -> Result<Decision, Refusal> {
        check(tags, PER_LOAD_BALANCER)?;
        self.change_balancer_tags(names, |held| {
            held.extend(tags.clone());
            let limit = PER_LOAD_BALANCER;
            if held.len() > limit { Err(Refusal::TooManyTags { limit }) } else { Ok(()) }
        })
    }

    pub(super) fn untag_load_balancers(
        &self,
        names: &[LoadBalancerName],
        keys: &[String],
    ) -> Result<Decision, Refusal> {
        self.change_balancer_tags(names, |held| {
            held.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    fn change_tags(
        &self,
        resources: &[String],
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
    ) -> Result<Decision, Refusal> {
        let mut resources: Vec<&String> = resources.iter().collect();
        resources.sort();
        resources.dedup();
        let mut writes = Vec::new();
        for id in resources {
            let unknown = || Refusal::NoSuchResource(id.clone());
            if let Some(held) = InstanceId::new(id).ok().and_then(|id| self.instance(&id)) {
                let mut instance = held.as_ref().clone();
                change(&mut instance.tags)?;
                if instance != **held {
                    writes.push(Write::Put(Row::Instance(instance)));
                }
            } else if let Some(held) = GroupId::new(id).ok().and_then(|id| self.security_group(&id)) {
                let mut group = held.as_ref().clone();
                change(&mut group.tags)?;
                if group != **held {
                    writes.push(Write::Put(Row::SecurityGroup(group)));
                }
            } else if let Some(held) = LaunchTemplateId::new(id).ok().and_then(|id| self.launch_template(&id)) {
                let mut template = held.as_ref().clone();
                change(&mut template.tags)?;
                if template != **held {
                    writes.push(Write::Put(Row::LaunchTemplate(template)));
                }
            } else {
                let held = ImageId::new(id).ok().and_then(|id| self.image(&id)).ok_or_else(unknown)?;
                let mut image = held.as_ref().clone();
                change(&mut image.tags)?;
                if image != **held {
                    writes.push(Write::Put(Row::Image(image)));
                }
            }
        }
        Ok(Decision { reply: Reply::Done, writes })
    }

    fn change_balancer_tags(
        &self,
        names: &[LoadBalancerName],
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
    ) -> Result<Decision, Refusal> {
        let mut names: Vec<&LoadBalancerName> = names.iter().collect();
        names.sort();
        names.dedup();
        let mut writes = Vec::new();
        for name in names {
            let held = self.existing(name)?;
            let mut lb = held.as_ref().clone();
            change(&mut lb.tags)?;
            if lb != **held {
                writes.push(Write::Put(Row::LoadBalancer(lb)));
            }
        }
        Ok(Decision { reply: Reply::Done, writes })
    }
}
