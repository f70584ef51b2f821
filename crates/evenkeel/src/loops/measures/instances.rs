//! What instances and the node are measured by: AWS/EC2 where AWS has a name, and load averages and memory, which it has not.
//!
//! A load average is what the kernel's is, for the instance alone: the mean of how many of its tasks run or wait for the disk,
//! damped over 1, 5 and 15 minutes. What instances in containers use is
//! seen by [`super::containers`]; here they have status checks. Must never look
//! into `/proc` itself: [`crate::sys::usage`] does. Next: [`super::containers`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::{Instance, InstanceState, InstanceStatus, LifecycleState};
use evenkeel_core::world::World;

use super::spread;
use crate::drivers::{Limits, Root, limits_for};
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
pub(super) fn dimensions(world: &World, instance: &Instance) -> Vec<Vec<(&'static str, String)>> {
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
    pub fn samples(&mut self, world: &World, roots: &[Root], reader: &Reader, at: i64, now: Instant) -> Vec<Sample> {
        let mut samples = Vec::new();
        for instance in world.instances().filter(|instance| instance.state == InstanceState::Running) {
            checks(world, instance, at, &mut samples);
        }
        let pids: Vec<i32> = roots.iter().map(|root| root.pid).collect();
        let links = if roots.iter().any(|root| root.link.is_some()) { usage::links() } else { BTreeMap::new() };
        let mut held = BTreeMap::new();
        for (Root { instance: id, pid, link }, mut usage) in roots.iter().zip(usage::of_trees(&pids)) {
            let Some(instance) = world.instance(id).filter(|_| usage.processes > 0) else { continue };
            usage.traffic = link.as_ref().and_then(|link| links.get(link)).map(|traffic| traffic.from_afar());
            let before = self.0.get(id).filter(|held| held.root == *pid);
            let span = before.map_or(Duration::ZERO, |held| now.saturating_duration_since(held.at));
            let loads = before.map_or_else(|| last_loads(id, reader, at), |held| held.loads);
            let active = before.map_or(0.0, |held| usage.active_since(&held.usage, span));
            let loads: [f64; 3] = std::array::from_fn(|n| damped(loads[n], active, span, LOADS[n].2));
            let size = Size::of(limits_for(&instance.instance_type), None, None);
            let before = before.map(|held| Before { usage: &held.usage, span, seconds: 1.0 });
            let look = Look { usage: &usage, before, loads: Some(loads) };
            of_instance(&dimensions(world, instance), size, look, at, &mut samples);
            held.insert(id.clone(), Held { root: *pid, at: now, usage, loads });
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

/// What an instance may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    cpus: f64,
    memory: Option<u64>,
}

impl Size {
    /// As its type has it, or else the machine that it runs on: this one, where it is not another's.
    pub fn of(limits: Limits, cpus: Option<f64>, memory: Option<u64>) -> Self {
        let stated = limits.cpu_millis.map(|millis| f64::from(millis) / 1000.0);
        let here = || usage::machine_memory().map(|(total, _)| total);
        Self {
            cpus: stated.or(cpus).unwrap_or_else(processors),
            memory: limits.memory.or(memory).or_else(here).filter(|memory| *memory > 0),
        }
    }
}

/// What an instance was seen to use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'l> {
    /// Up to now.
    pub usage: &'l Usage,
    /// Up to the look before.
    pub before: Option<Before<'l>>,
    /// Its load averages, where they can be known.
    pub loads: Option<[f64; 3]>,
}

/// What it was seen to use before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'l> {
    /// Up to then.
    pub usage: &'l Usage,
    /// How long ago that was.
    pub span: Duration,
    /// In how many seconds what was counted since is put, in equal parts.
    pub seconds: f64,
}

/// What is put of a look in one second.
pub(super) fn of_instance(
    sets: &[Vec<(&'static str, String)>],
    size: Size,
    look: Look<'_>,
    at: i64,
    samples: &mut Vec<Sample>,
) {
    let (Size { cpus, memory }, Look { usage, before, loads }) = (size, look);
    let put = spread(NAMESPACE, sets, at);
    let mut one = |name: &str, unit: Unit, value: f64| samples.extend(put(name, unit, &Bucket::of(value)));
    for ((name, each, _), load) in LOADS.into_iter().zip(loads.into_iter().flatten()) {
        one(name, Unit::None, load);
        one(each, Unit::None, load / cpus);
    }
    one("MemoryUsed", Unit::Bytes, usage.memory as f64);
    if let Some(memory) = memory {
        one("MemoryUtilization", Unit::Percent, 100.0 * usage.memory as f64 / memory as f64);
    }
    if usage.processes > 0 {
        one("ProcessCount", Unit::Count, f64::from(usage.processes));
    }
    let Some(Before { usage: before, span, seconds }) = before.filter(|before| !before.span.is_zero()) else { return };
    let used = usage.cpu.saturating_sub(before.cpu).as_secs_f64() / span.as_secs_f64();
    one("CPUUtilization", Unit::Percent, (100.0 * used / cpus).min(100.0));
    for ((name, unit, before), (.., now)) in counts(before).into_iter().zip(counts(usage)) {
        if let Some((before, now)) = before.zip(now) {
            one(name, unit, now.saturating_sub(before) as f64 / seconds);
        }
    }
}

/// What is counted up from an instance's start.
fn counts(usage: &Usage) -> [(&'static str, Unit, Option<u64>); 6] {
    let traffic = usage.traffic;
    [
        ("DiskReadBytes", Unit::Bytes, usage.read),
        ("DiskWriteBytes", Unit::Bytes, usage.written),
        ("NetworkIn", Unit::Bytes, traffic.map(|traffic| traffic.bytes_in)),
        ("NetworkOut", Unit::Bytes, traffic.map(|traffic| traffic.bytes_out)),
        ("NetworkPacketsIn", Unit::Count, traffic.map(|traffic| traffic.packets_in)),
        ("NetworkPacketsOut", Unit::Count, traffic.map(|traffic| traffic.packets_out)),
    ]
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
    use crate::sys::usage::Traffic;

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

    #[test]
    fn what_is_counted_up_is_put_in_equal_parts() {
        let traffic = |n| Some(Traffic { bytes_in: 100 * n, bytes_out: 10 * n, packets_in: n, packets_out: 2 * n });
        let usage = |n: u64| Usage { cpu: Duration::from_secs(n), traffic: traffic(n), memory: 50, ..Usage::default() };
        let (before, now) = (usage(1), usage(4));
        let before = Before { usage: &before, span: Duration::from_secs(2), seconds: 2.0 };
        let limits = Limits { cpu_millis: Some(2000), memory: Some(100) };
        let mut samples = Vec::new();
        let look = Look { usage: &now, before: Some(before), loads: None };
        of_instance(&[Vec::new()], Size::of(limits, Some(8.0), Some(800)), look, 5, &mut samples);
        let found = samples.iter().map(|sample| (sample.metric.name.as_str(), sample.bucket.sum)).collect::<Vec<_>>();
        let expected = [
            ("MemoryUsed", 50.0),
            ("MemoryUtilization", 50.0),
            ("CPUUtilization", 75.0),
            ("NetworkIn", 150.0),
            ("NetworkOut", 15.0),
            ("NetworkPacketsIn", 1.5),
            ("NetworkPacketsOut", 3.0),
        ];
        assert_eq!(found, expected);
        // Where its type says nothing, the machine that it runs on does.
        let size = Size::of(Limits::default(), Some(8.0), Some(800));
        assert_eq!((size.cpus, size.memory), (8.0, Some(800)));
    }
}
