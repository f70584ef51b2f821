//! What is to be replaced: read from what is behind the balancer, and from the tags that an earlier run left.
//!
//! Owns that a run that was cut short is gone on with, and that nothing is replaced twice. Changes nothing. Next:
//! [`super::pair`].

use std::collections::BTreeMap;

use evenkeel_aws::ec2::{self, Instance};

use super::super::client::Client;
use super::super::failure::hinted;
use super::pair::{Pair, Phase, is_live};
use super::{REPLACES, Replace};

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order in which they are begun.
    pub pairs: Vec<Pair>,
    /// Instances behind the balancer that are left as they are, each with the reason.
    pub left: Vec<(String, String)>,
}

impl Plan {
    /// Looks at what there is.
    ///
    /// # Errors
    /// No such balancer or image, a successor of another image, and those of the client.
    pub fn make(args: &Replace, client: &Client) -> anyhow::Result<Self> {
        let balancers = client.load_balancers(&[])?;
        let Some(own) = balancers.iter().find(|balancer| balancer.load_balancer_name == args.name) else {
            return Err(hinted("there is no such load balancer", "`evenkeel lb list` shows all load balancers"));
        };
        let images = ec2::DescribeImages { image_ids: vec![args.image.clone()], ..Default::default() };
        client.call(&images)?;
        let instances: Vec<Instance> =
            client.reservations(Vec::new(), Vec::new())?.into_iter().flat_map(|r| r.instances_set).collect();
        let by_id: BTreeMap<&str, &Instance> = instances.iter().map(|i| (i.instance_id.as_str(), i)).collect();
        let mut successors: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
        for instance in &instances {
            if let Some(old) = replaces(instance) {
                successors.entry(old).or_default().push(instance);
            }
        }
        let behind = |id: &str| -> Vec<String> {
            let has = |lb: &&evenkeel_aws::elb::LoadBalancerDescription| {
                lb.instances.iter().any(|instance| instance.instance_id == id)
            };
            balancers.iter().filter(has).map(|lb| lb.load_balancer_name.clone()).collect()
        };
        let mut plan = Self::default();
        let mut due = Vec::new();
        // The old ones that an earlier run has taken out already, but not ended.
        for (old, new) in &successors {
            let Some(old) = by_id.get(old).filter(|old| is_live(old)) else { continue };
            let serves = |new: &&&Instance| is_live(new) && behind(&new.instance_id).contains(&args.name);
            if let (true, Some(new)) = (behind(&old.instance_id).is_empty(), new.iter().find(serves)) {
                let new = Some(own_image(args, old, new)?);
                plan.pairs.push(Pair::new((*old).clone(), new, vec![args.name.clone()], 0, Phase::Drains));
            }
        }
        for member in own.instances.iter() {
            let id = &member.instance_id;
            let Some(old) = by_id.get(id.as_str()) else { continue };
            let (live, ended): (Vec<&Instance>, Vec<&Instance>) =
                successors.get(id.as_str()).into_iter().flatten().partition(|new| is_live(new));
            let state = &old.instance_state.name;
            if !matches!(state.as_str(), "running" | "pending") {
                plan.left.push((id.clone(), format!("it is {state}")));
            } else if let Some(new) = live.first() {
                let new = Some(own_image(args, old, new)?);
                plan.pairs.push(Pair::new((*old).clone(), new, behind(id), 0, Phase::Boots));
            } else if old.image_id == args.image && args.launched_before.is_none_or(|time| old.launch_time >= time) {
                plan.left.push((id.clone(), "it is of the image already".into()));
            } else {
                due.push(Pair::new((*old).clone(), None, behind(id), ended.len(), Phase::Due));
            }
        }
        plan.pairs.append(&mut due);
        Ok(plan)
    }
}

fn replaces(instance: &Instance) -> Option<&str> {
    instance.tag_set.iter().find(|tag| tag.key == REPLACES).map(|tag| tag.value.as_str())
}

/// The id of a successor, which must be of the image that is wanted now.
fn own_image(args: &Replace, old: &Instance, new: &Instance) -> anyhow::Result<String> {
    if new.image_id == args.image {
        return Ok(new.instance_id.clone());
    }
    let (old, new, image) = (&old.instance_id, &new.instance_id, &new.image_id);
    Err(hinted(
        format!("{old} is being replaced by {new} of another image, {image}"),
        format!("finish that with `--image {image}`, or end it with `evenkeel terminate {new}`"),
    ))
}
