//! `evenkeel boot finish` and `evenkeel boot leave`: the way into service once the application answers, and out of it.
//!
//! Owns the registration with every balancer that `[ELB] name` lists, all of them or none. Must never register an instance
//! whose application does not answer. Next: [`super::report`].

use std::time::{Duration, Instant};

use evenkeel_aws::elb;
use evenkeel_aws::error::Fault;

use super::record::{Record, Step, StepState};
use super::run::{fail, now, put};
use super::say;
use super::site::{Site, patiently};
use crate::cli::client::{Client, told};

/// The section that names balancers.
const ELB: &str = "ELB";
/// Between two looks at the application.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a daemon that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a daemon that is away is waited for on the way out.
const HASTE: Duration = Duration::from_secs(2);

/// Waits for the application and registers the instance. False when it came to nothing, which the record then says.
///
/// # Errors
/// Completes "failed to …": the record cannot be written.
pub fn finish(site: &Site, record: &mut Record) -> Result<bool, String> {
    if record.failure.is_some() || record.is_done {
        return Ok(record.is_done);
    }
    let ready = step(site, record, "the application answers", |site, _| answers(site))?;
    if let Err(why) = ready {
        return fail(site, record, &why);
    }
    for name in site.config.list(ELB, "name") {
        let done = step(site, record, &format!("register with {name}"), |site, record| register(site, record, &name))?;
        if let Err(why) = done {
            leave(site, record);
            return fail(site, record, &why);
        }
    }
    record.is_done = true;
    put(site, record)?;
    Ok(true)
}

/// A step that is made known when it begins.
fn step(
    site: &Site,
    record: &mut Record,
    name: &str,
    work: impl FnOnce(&Site, &mut Record) -> Result<(), String>,
) -> Result<Result<(), String>, String> {
    let found = record.steps.iter().position(|step| step.name == name);
    let index = found.unwrap_or_else(|| {
        record.steps.push(Step::waiting(name));
        record.steps.len() - 1
    });
    let step = &mut record.steps[index];
    if step.state == StepState::Done {
        return Ok(Ok(()));
    }
    step.tries += 1;
    (step.state, step.began) = (StepState::Running, Some(now()));
    put(site, record)?;
    let begun = Instant::now();
    let done = work(site, record);
    let step = &mut record.steps[index];
    step.took_ms = Some(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    step.state = if done.is_ok() { StepState::Done } else { StepState::Failed };
    step.said = done.as_ref().err().cloned();
    put(site, record)?;
    match &done {
        Ok(()) => say(&format!("{name}: done")),
        Err(why) => say(&format!("{name}: failed to {why}")),
    }
    Ok(done)
}

/// Whether the application answers its health path with 200, or takes a connection where it has none.
fn answers(site: &Site) -> Result<(), String> {
    let (manifest, limit) = (&site.spec.manifest, Duration::from_secs(site.spec.manifest.ready_within.into()));
    let place = std::net::SocketAddr::new(site.spec.address, manifest.port.number());
    let until = Instant::now() + limit;
    loop {
        let looked = match &manifest.health {
            None => super::built_in::connects(&place.to_string(), ANSWER),
            Some(path) => super::built_in::answers_200(&format!("http://{place}{path}"), ANSWER),
        };
        match looked {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => {
                let path = manifest.health.as_deref().unwrap_or_default();
                return Err(format!(
                    "find the application well at `{place}{path}` within {} s: {why}",
                    limit.as_secs()
                ));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn register(site: &Site, record: &mut Record, name: &str) -> Result<(), String> {
    let call = elb::RegisterInstancesWithLoadBalancer {
        load_balancer_name: name.to_owned(),
        instances: vec![elb::Instance { instance_id: site.spec.instance.to_string() }].into(),
    };
    // On disk first: one that is killed now knows what it has to undo.
    if !record.registered.iter().any(|other| other == name) {
        record.registered.push(name.to_owned());
        put(site, record)?;
    }
    let mut refusal = None;
    let asked = patiently(PATIENCE, || match site.client()?.call(&call) {
        Err(error) if told(&error).is_some_and(|told| told.fault == Fault::Sender && told.code != "Throttling") => {
            refusal = Some(error);
            Ok(())
        }
        done => done.map(drop),
    });
    let error = match (asked, refusal) {
        (Ok(()), None) => return Ok(()),
        (Err(error), _) | (Ok(()), Some(error)) => error,
    };
    if told(&error).is_some_and(|told| told.code == "LoadBalancerNotFound") {
        record.registered.retain(|other| other != name);
        put(site, record)?;
        return Err(format!("register: no load balancer found: `{name}`"));
    }
    Err(format!("register with `{name}`: {error:#}"))
}

/// Takes the instance out of every balancer it registered itself with, and waits until nothing is in flight on it any more,
/// at most as long as the balancers' draining lasts. A daemon that is away is not waited for: the road finds out by itself.
pub fn leave(site: &Site, record: &mut Record) {
    let Ok(client) = patiently(HASTE, || site.client()) else { return };
    for name in std::mem::take(&mut record.registered) {
        if let Err(error) = leave_one(site, &client, &name) {
            say(&format!("failed to deregister from `{name}`: {error:#}"));
        }
    }
    // What is not written now is tried once more by the next boot, and then found done.
    let _ = put(site, record);
}

fn leave_one(site: &Site, client: &Client, name: &str) -> anyhow::Result<()> {
    let id = site.spec.instance.to_string();
    client.call(&elb::DeregisterInstancesFromLoadBalancer {
        load_balancer_name: name.to_owned(),
        instances: vec![elb::Instance { instance_id: id.clone() }].into(),
    })?;
    let attributes = client
        .call(&elb::DescribeLoadBalancerAttributes { load_balancer_name: name.to_owned() })?
        .load_balancer_attributes;
    let draining = attributes.connection_draining.filter(|draining| draining.enabled);
    let seconds = draining.and_then(|draining| draining.timeout).and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        let states = client.instance_health(name, std::slice::from_ref(&id))?;
        if !states.iter().any(|state| state.state == "InService") {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
