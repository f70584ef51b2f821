//! Instances: describing, terminating, stopping, starting, rebooting (AWS, EC2 API).
//!
//! Next: [`super::launch`] for how they come to be, [`super::shown`] for how they look.

use std::collections::BTreeSet;

use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::{Change, Reply, Transition};
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::Instance;
use evenkeel_core::refusal::Refusal;

use super::filter::Filters;
use super::page::Page;
use super::{Asked, refusal, shown, words};

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeInstances,
) -> Result<ec2::DescribeInstancesOutput, Error> {
    if input.max_results.is_some() && !input.instance_ids.is_empty() {
        let text = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    let page = Page::ec2("instances", input.max_results, 5, input.next_token.as_deref())?;
    let filters = Filters::read(&input.filters, shown::FILTERS)?;
    let ids = wanted(asked, &input.instance_ids)?;
    words::unless_dry_run(input.dry_run)?;
    let found = shown::in_launch_order(&asked.world).into_iter().filter(|(_, instance)| {
        ids.as_ref().is_none_or(|ids| ids.contains(&instance.id)) && shown::fits(&filters, instance, &asked.world)
    });
    let (page, next_token) = page.cut(found, |(place, _)| place.clone());
    let instances: Vec<&Instance> = page.into_iter().map(|(_, instance)| instance).collect();
    Ok(ec2::DescribeInstancesOutput {
        reservation_set: shown::reservations(&instances, &asked.world).into(),
        next_token,
    })
}

pub(super) async fn terminate(asked: &Asked<'_>, input: &ec2::TerminateInstances) -> Result<ec2::StateChanges, Error> {
    let instances = named(&input.instance_ids)?;
    asked.ec2(Change::TerminateInstances { instances }, input.dry_run).await.and_then(changes)
}

pub(super) async fn stop(asked: &Asked<'_>, input: &ec2::StopInstances) -> Result<ec2::StateChanges, Error> {
    if input.hibernate == Some(true) {
        return Err(Error::sender("UnsupportedHibernationConfiguration", "Instances cannot hibernate here."));
    }
    let instances = named(&input.instance_ids)?;
    asked.ec2(Change::StopInstances { instances }, input.dry_run).await.and_then(changes)
}

pub(super) async fn start(asked: &Asked<'_>, input: &ec2::StartInstances) -> Result<ec2::StateChanges, Error> {
    let instances = named(&input.instance_ids)?;
    asked.ec2(Change::StartInstances { instances }, input.dry_run).await.and_then(changes)
}

pub(super) async fn reboot(asked: &Asked<'_>, input: &ec2::RebootInstances) -> Result<ec2::Done, Error> {
    let instances = named(&input.instance_ids)?;
    asked.ec2(Change::RebootInstances { instances }, input.dry_run).await?;
    Ok(ec2::Done::default())
}

/// The instances that a Describe call names: `None` for all. An unknown one fails the call.
pub(super) fn wanted(asked: &Asked<'_>, texts: &[String]) -> Result<Option<BTreeSet<InstanceId>>, Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let ids: BTreeSet<InstanceId> = words::instances(texts)?.into_iter().collect();
    let unknown: Vec<InstanceId> = ids.iter().filter(|id| asked.world.instance(id).is_none()).cloned().collect();
    if unknown.is_empty() { Ok(Some(ids)) } else { Err(words::no_instances(unknown)) }
}

fn named(texts: &[String]) -> Result<Vec<InstanceId>, Error> {
    if texts.is_empty() { Err(words::missing("InstanceId")) } else { words::instances(texts) }
}

/// The states before and after; where protection held some, the call has failed, whatever it did to others (AWS).
fn changes(reply: Reply) -> Result<ec2::StateChanges, Error> {
    let transitions = match reply {
        Reply::Transitions(transitions) => transitions,
        Reply::Protected { instance, wish, by } => {
            return Err(refusal::ec2(Refusal::Protected { instance, wish, by }.into()));
        }
        _ => Vec::new(),
    };
    let change = |t: Transition| ec2::StateChange {
        instance_id: t.instance.into(),
        current_state: shown::state(t.to),
        previous_state: shown::state(t.from),
    };
    Ok(ec2::StateChanges { instances_set: transitions.into_iter().map(change).collect() })
}
