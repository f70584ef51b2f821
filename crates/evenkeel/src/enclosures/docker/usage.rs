//! What containers use, as their engine tells it.
//!
//! Owns how it is asked and read. An engine counts on from a container's start, as the kernel does; what its tasks wait for it
//! does not tell. Must never hold up who asks for longer than [`PATIENCE`]. Old engines (20.10) answer at the end of a second.

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerBlkioStats, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptions;
use evenkeel_core::name::InstanceId;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use super::container;
use super::engine::{answered, told};
use crate::drivers::Engine;
use crate::sys::usage::{Traffic, Usage};

/// How many are asked about at once: each answer takes an engine about 3 ms of a processor.
const AT_ONCE: usize = 16;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one container uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// When it was told.
    pub at: Instant,
    /// What it has used since its start. Of its tasks there is nothing.
    pub usage: Usage,
    /// Processors that its machine has.
    pub cpus: Option<u32>,
    /// Bytes of memory that it may use.
    pub memory: Option<u64>,
}

/// What the containers of these instances use, or why it is not known: completes "failed to …". Those that do not run are left out.
#[must_use]
pub fn of(engine: &Engine, instances: &[InstanceId]) -> Vec<Result<(InstanceId, Used), String>> {
    let told = engine.wait(async |docker| {
        let mut all = Vec::with_capacity(instances.len());
        for some in instances.chunks(AT_ONCE) {
            let mut asked = JoinSet::new();
            for instance in some {
                let (docker, instance) = (docker.clone(), instance.clone());
                asked.spawn(async move {
                    let used = one(&docker, &instance).await;
                    used.map(|used| Some((instance, used?))).transpose()
                });
            }
            all.extend(asked.join_all().await.into_iter().flatten());
        }
        Ok(all)
    });
    told.unwrap_or_else(|why| vec![Err(why)])
}

async fn one(docker: &Docker, instance: &InstanceId) -> Result<Option<Used>, String> {
    let say = |why: &str| format!("ask what the container of `{instance}` uses: {why}");
    let name = container::name(instance);
    let mut answers = std::pin::pin!(docker.stats(&name, Some(StatsOptions { stream: false, one_shot: true })));
    match tokio::time::timeout(PATIENCE, answers.next()).await {
        Ok(Some(Ok(stats))) => Ok(read(&stats, Instant::now())),
        // It is not there any more, or not yet.
        Ok(Some(Err(error))) if answered(&error, 404) || answered(&error, 409) => Ok(None),
        Ok(Some(Err(error))) => Err(say(&told(&error))),
        Ok(None) => Err(say("the engine has hung up")),
        Err(_) => Err(say(&format!("it does not answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Of a container that does not run an engine tells zeros.
fn read(stats: &ContainerStatsResponse, at: Instant) -> Option<Used> {
    let cpu = stats.cpu_stats.as_ref()?;
    let nanoseconds = cpu.cpu_usage.as_ref()?.total_usage.filter(|used| *used > 0)?;
    let memory = stats.memory_stats.as_ref()?;
    let (read, written) = stats.blkio_stats.as_ref().map_or((None, None), disk);
    let traffic = stats.networks.as_ref().map(|networks| {
        networks.values().fold(Traffic::default(), |sum, one| Traffic {
            bytes_in: sum.bytes_in.saturating_add(one.rx_bytes.unwrap_or(0)),
            bytes_out: sum.bytes_out.saturating_add(one.tx_bytes.unwrap_or(0)),
            packets_in: sum.packets_in.saturating_add(one.rx_packets.unwrap_or(0)),
            packets_out: sum.packets_out.saturating_add(one.tx_packets.unwrap_or(0)),
        })
    });
    let usage = Usage {
        cpu: Duration::from_nanos(nanoseconds),
        memory: resident(memory),
        read,
        written,
        traffic,
        ..Usage::default()
    };
    let positive = |number: Option<u64>| number.filter(|number| *number > 0);
    Some(Used { at, usage, cpus: cpu.online_cpus.filter(|cpus| *cpus > 0), memory: positive(memory.limit) })
}

/// Without what of files is in memory and can go at any time, as `docker stats` has it.
fn resident(memory: &ContainerMemoryStats) -> u64 {
    let stated = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name).copied());
    // Control groups of version 1 and of version 2.
    let idle = stated("total_inactive_file").or_else(|| stated("inactive_file")).unwrap_or(0);
    memory.usage.unwrap_or(0).saturating_sub(idle)
}

/// Bytes read and written, over all disks.
fn disk(stats: &ContainerBlkioStats) -> (Option<u64>, Option<u64>) {
    let sum = |wanted: &str| {
        let all = stats.io_service_bytes_recursive.as_ref()?;
        let of = all.iter().filter(|entry| entry.op.as_ref().is_some_and(|op| op.eq_ignore_ascii_case(wanted)));
        Some(of.filter_map(|entry| entry.value).fold(0, u64::saturating_add))
    };
    (sum("read"), sum("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(text: &str) -> ContainerStatsResponse {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let check = |text: &str, expected: Usage, limits: (Option<u32>, Option<u64>)| {
            let at = Instant::now();
            let (cpus, memory) = limits;
            assert_eq!(read(&stats(text), at), Some(Used { at, usage: expected, cpus, memory }));
        };
        let first = r#"{
            "cpu_stats": { "cpu_usage": { "total_usage": 1500000000 }, "online_cpus": 2 },
            "memory_stats": { "usage": 5000, "limit": 8192, "stats": { "total_inactive_file": 1000, "inactive_file": 7 } },
            "blkio_stats": { "io_service_bytes_recursive": [
                { "major": 8, "minor": 0, "op": "Read", "value": 10 }, { "major": 8, "minor": 0, "op": "Write", "value": 20 },
                { "major": 9, "minor": 0, "op": "Read", "value": 1 }, { "major": 8, "minor": 0, "op": "Total", "value": 31 }
            ] },
            "networks": {
                "eth0": { "rx_bytes": 100, "rx_packets": 2, "tx_bytes": 300, "tx_packets": 4 },
                "eth1": { "rx_bytes": 1, "rx_packets": 1, "tx_bytes": 1, "tx_packets": 1 }
            }
        }"#;
        let traffic = Traffic { bytes_in: 101, bytes_out: 301, packets_in: 3, packets_out: 5 };
        let cpu = Duration::from_millis(1500);
        let usage =
            Usage { cpu, memory: 4000, read: Some(11), written: Some(20), traffic: Some(traffic), ..Usage::default() };
        check(first, usage, (Some(2), Some(8192)));
        let second = r#"{
            "cpu_stats": { "cpu_usage": { "total_usage": 1500000000 } },
            "memory_stats": { "usage": 5000, "stats": { "inactive_file": 6000 } },
            "blkio_stats": { "io_service_bytes_recursive": null }
        }"#;
        check(second, Usage { cpu, ..Usage::default() }, (None, None));
    }

    #[test]
    fn of_a_container_that_does_not_run_nothing_is_known() {
        let zeros = r#"{ "cpu_stats": { "cpu_usage": { "total_usage": 0 } }, "memory_stats": {} }"#;
        for text in [zeros, "{}"] {
            assert_eq!(read(&stats(text), Instant::now()), None, "{text}");
        }
    }
}
