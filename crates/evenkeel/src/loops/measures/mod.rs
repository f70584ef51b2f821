//! The loop that measures every second, without anyone asking: balancers, instances, groups, the node; into the metric store.
//!
//! Owns the second. Must never decide anything by what it measures: that is for those who read. Next: [`balancers`],
//! [`instances`], [`groups`], for names, units and dimensions; [`containers`], a loop of its own, since engines take their time.

pub mod balancers;
pub mod containers;
mod groups;
mod instances;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::road::Counts;
use super::{SightingsWatch, Statuses, seconds};
use crate::drivers::Driver;
use crate::keeper::KeeperHandle;
use crate::metrics::{Bucket, Metric, Metrics, Sample, Unit};

/// From one look to the next.
const SECOND: Duration = Duration::from_secs(1);

/// What the loop looks at, and where it puts what it saw.
pub struct Crew {
    /// Intent.
    pub keeper: KeeperHandle,
    /// What was seen.
    pub sightings: SightingsWatch,
    /// What the road counts.
    pub counts: Counts,
    /// Who runs instances.
    pub driver: Arc<dyn Driver>,
    /// The store.
    pub metrics: Metrics,
}

/// What is remembered from one second to the next.
#[derive(Default)]
struct Memory {
    balancers: balancers::Balancers,
    instances: instances::Instances,
}

/// Runs the loop; never returns.
pub async fn run(crew: Arc<Crew>, statuses: Statuses) {
    again("measures", SECOND, &statuses, move |memory| {
        look(&crew, memory);
        Ok(Vec::new())
    })
    .await;
}

/// Looks again and again, on a thread that may wait, with what is remembered from one look to the next; never returns.
async fn again<M: Default + Send + 'static>(
    name: &'static str,
    every: Duration,
    statuses: &Statuses,
    look: impl Fn(&mut M) -> Result<Vec<String>, String> + Send + Sync + 'static,
) {
    let look = Arc::new(look);
    let mut memory = M::default();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let (look, mut held) = (Arc::clone(&look), std::mem::take(&mut memory));
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = look(&mut held);
            (held, outcome)
        });
        match looked.await {
            Ok((back, outcome)) => {
                memory = back;
                statuses.ran(name, outcome);
            }
            // It is this process that ends.
            Err(error) if error.is_cancelled() => return,
            // What was remembered is gone: the next look is a first one.
            Err(error) => statuses.ran(name, Err(format!("panicked: {error}"))),
        }
    }
}

/// Looking at processes reads files.
fn look(crew: &Crew, memory: &mut Memory) {
    let (at, now) = (seconds(), Instant::now());
    let (world, seen) = (crew.keeper.world(), Arc::clone(&crew.sightings.borrow()));
    let nodes = crew.counts.are_heard().then(|| crew.counts.nodes().0);
    let hosts = balancers::hosts(&world, &seen);
    let mut samples = memory.balancers.samples(nodes.as_deref(), &crew.counts.last(), &hosts, at);
    samples.extend(memory.instances.samples(&world, &crew.driver.roots(), crew.metrics.reader(), at, now));
    samples.extend(groups::samples(&world, at));
    if !samples.is_empty() {
        crew.metrics.put(samples);
    }
}

/// The same measure under several sets of dimensions.
fn spread<'a>(
    namespace: &'a str,
    sets: &'a [Vec<(&'static str, String)>],
    at: i64,
) -> impl Fn(&str, Unit, &Bucket) -> Vec<Sample> + 'a {
    move |name, unit, bucket| {
        let of = |set: &Vec<(&'static str, String)>| {
            let metric = Metric::new(namespace, name, set.iter().map(|(name, value)| (*name, value.clone())));
            Sample { metric, unit, at, bucket: bucket.clone() }
        };
        sets.iter().map(of).collect()
    }
}
