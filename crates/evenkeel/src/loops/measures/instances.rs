//! What instances and the node are measured by: AWS/EC2 where AWS has a name, and load averages and memory, which it has not.
//!
//! A load average is what the kernel's is, for the instance alone: the mean of how many of its tasks run or wait for the disk,
//! damped over 1, 5 and 15 minutes. Instances in containers have processes elsewhere, and only status checks here. Must never look
//! into `/proc` itself: [`crate::sys::usage`] does. Next: [`super::balancers`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::{Instance, InstanceState, InstanceStatus, LifecycleState};
use evenkeel_core::world::World;

use super::spread;
use crate::drivers::limits_for;
use crate::metrics::{Bucket, Metric, Range, Reader, Sample, Unit};
use crate::sys::usage::{self, Usage};

const NAMESPACE: &str = "AWS/EC2";
/// Of the node itself.
const NODE: &str = "Evenkeel/Node";
/// Names of load averages, and of the same by processor, with their minutes.
const LOADS: [(&str, &str, f64); 3] = [
    ("LoadAverage1", "LoadAverage1PerCPU", 1.0),
    ("LoadAverage5", "LoadAverage5PerCPU", 5.0),
    ("LoadAverage15", "LoadAverage15PerCPU", 15.0),
];
/// How old a load average may be that an instance's goes on from, in seconds.
const FRESH: i64 = 60;

/// What was seen of each instance a second ago.
#[derive(Debug, Default)]
pub(super) struct Instances(BTreeMap<InstanceId, Held>);

#[derive(Debug)]
struct Held {
    root: i32,
    at: Instant,
    usage: Usage,
    loads: [f64; 3],
}

/// Under which dimensions an instance is measured: by itself first. Under its group's name as long as it does the group's work, so
/// that those who come or go do not speak for it (AWS).
fn dimensions(world: &World, instance: &Instance) -> Vec<Vec<(&'static str, String)>> {
    let mut sets = vec![
        vec![("InstanceId", instance.id.to_string())],
        vec![("ImageId", instance.image.to_string())],
        vec![("InstanceType", instance.instance_type.clone())],
        Vec::new(),
    ];
    let membership = world.membership(&instance.id);
    if let Some((group, _)) = membership.filter(|(_, member)| member.state == LifecycleState::InService) {
        sets.push(vec![("AutoScalingGroupName", group.name.to_string())]);
    }
    sets
}

fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// A damped mean, so long after it was `before`.
fn damped(before: f64, now: f64, after: Duration, minutes: f64) -> f64 {
    let keeps = (-after.as_secs_f64() / (minutes * 60.0)).exp();
    before * keeps + now * (1.0 - keeps)
}

impl Instances {
    /// What instances used in the second up to now. `roots` are the first processes of those whose processes are here.
    pub fn samples(
        &mut self,
        world: &World,
        roots: &[(InstanceId, i32)],
        reader: &Reader,
        at: i64,
        now: Instant,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        for instance in world.instances().filter(|instance| instance.state == InstanceState::Running) {
            checks(world, instance, at, &mut samples);
        }
        let pids: Vec<i32> = roots.iter().map(|(_, pid)| *pid).collect();
        let mut held = BTreeMap::new();
        for ((id, root), usage) in roots.iter().zip(usage::of_trees(&pids)) {
            let Some(instance) = world.instance(id).filter(|_| usage.processes > 0) else { continue };
            let before = self.0.get(id).filter(|held| held.root == *root);
            let span = before.map_or(Duration::ZERO, |held| now.saturating_duration_since(held.at));
            let loads = before.map_or_else(|| last_loads(id, reader, at), |held| held.loads);
            let active = before.map_or(0.0, |held| usage.active_since(&held.usage, span));
            let loads: [f64; 3] = std::array::from_fn(|n| damped(loads[n], active, span, LOADS[n].2));
            of_instance(
                dimensions(world, instance),
                instance,
                before.map(|held| (&held.usage, span)),
                &usage,
                loads,
                at,
                &mut samples,
            );
            held.insert(id.clone(), Held { root: *root, at: now, usage, loads });
        }
        self.0 = held;
        of_node(at, &mut samples);
        samples
    }
}

fn checks(world: &World, instance: &Instance, at: i64, samples: &mut Vec<Sample>) {
    let failed = f64::from(u8::from(matches!(instance.status, InstanceStatus::Impaired { .. })));
    let sets = dimensions(world, instance);
    let put = spread(NAMESPACE, &sets[..1], at);
    // The system is this node: while it can measure, it is well.
    for (name, value) in
        [("StatusCheckFailed", failed), ("StatusCheckFailed_Instance", failed), ("StatusCheckFailed_System", 0.0)]
    {
        samples.extend(put(name, Unit::Count, &Bucket::of(value)));
    }
}

fn of_instance(
    sets: Vec<Vec<(&'static str, String)>>,
    instance: &Instance,
    before: Option<(&Usage, Duration)>,
    usage: &Usage,
    loads: [f64; 3],
    at: i64,
    samples: &mut Vec<Sample>,
) {
    let limits = limits_for(&instance.instance_type);
    let cpus = limits.cpu_millis.map_or_else(processors, |millis| f64::from(millis) / 1000.0);
    let put = spread(NAMESPACE, &sets, at);
    let mut one = |name: &str, unit: Unit, value: f64| samples.extend(put(name, unit, &Bucket::of(value)));
    for ((name, each, _), load) in LOADS.into_iter().zip(loads) {
        one(name, Unit::None, load);
        one(each, Unit::None, load / cpus);
    }
    one("MemoryUsed", Unit::Bytes, usage.memory as f64);
    let memory = limits.memory.or_else(|| usage::machine_memory().map(|(total, _)| total));
    if let Some(memory) = memory.filter(|memory| *memory > 0) {
        one("MemoryUtilization", Unit::Percent, 100.0 * usage.memory as f64 / memory as f64);
    }
    one("ProcessCount", Unit::Count, f64::from(usage.processes));
    let Some((before, span)) = before.filter(|(_, span)| !span.is_zero()) else { return };
    let used = usage.cpu.saturating_sub(before.cpu).as_secs_f64() / span.as_secs_f64();
    one("CPUUtilization", Unit::Percent, (100.0 * used / cpus).min(100.0));
    for (name, before, now) in
        [("DiskReadBytes", before.read, usage.read), ("DiskWriteBytes", before.written, usage.written)]
    {
        if let Some((before, now)) = before.zip(now) {
            one(name, Unit::Bytes, now.saturating_sub(before) as f64);
        }
    }
}

/// What an instance's load averages were when this daemon's predecessor last put them; 0 of one that is new.
fn last_loads(id: &InstanceId, reader: &Reader, at: i64) -> [f64; 3] {
    LOADS.map(|(name, ..)| {
        let metric = Metric::new(NAMESPACE, name, [("InstanceId", id.to_string())]);
        let range = Range { from: at - FRESH, to: at + 1, period: 1 };
        let series = reader.units(&metric).into_iter().next();
        let found = series.and_then(|(series, _)| reader.read(series, range, at).into_values().next_back());
        found.map_or(0.0, |bucket| bucket.max)
    })
}

fn of_node(at: i64, samples: &mut Vec<Sample>) {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let sets = [vec![("NodeName", name)]];
    let put = spread(NODE, &sets, at);
    let mut one = |name: &str, unit: Unit, value: f64| samples.extend(put(name, unit, &Bucket::of(value)));
    if let Some(loads) = usage::machine_load() {
        for ((name, each, _), load) in LOADS.into_iter().zip(loads) {
            one(name, Unit::None, load);
            one(each, Unit::None, load / processors());
        }
    }
    if let Some((total, available)) = usage::machine_memory().filter(|(total, _)| *total > 0) {
        let used = total.saturating_sub(available) as f64;
        one("MemoryUsed", Unit::Bytes, used);
        one("MemoryUtilization", Unit::Percent, 100.0 * used / total as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's own rule: a load of 1 for a minute brings the average of a minute to 63 %.
    #[test]
    fn loads_are_damped_as_the_kernels_are() {
        let after = |seconds: u32, step: u32, minutes: f64| {
            (0..seconds / step).fold(0.0, |load, _| damped(load, 1.0, Duration::from_secs(step.into()), minutes))
        };
        let wanted = 1.0 - (-1.0f64).exp();
        for (seconds, step, minutes) in [(60, 1, 1.0), (60, 5, 1.0), (300, 1, 5.0), (900, 3, 15.0)] {
            let found = after(seconds, step, minutes);
            assert!((found - wanted).abs() < 1e-9, "{found} after {seconds} s by {step} s");
        }
        assert_eq!(damped(3.0, 1.0, Duration::ZERO, 1.0), 3.0, "no time changes nothing");
    }
}
