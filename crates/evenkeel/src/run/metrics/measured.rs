//! What instances and the node used last, and how the metric store fares, as Prometheus reads it.
//!
//! Owns the names. Must never measure: `loops/measures` does, and the store has it.

use super::{Page, escaped};
use crate::metrics::{Counts, Filter, Metric, Range, Reader};

/// How old a value may be that is shown, in seconds.
const FRESH: i64 = 10;
/// The most series of a namespace that are shown.
const MOST: usize = 20_000;

/// Name here, namespace and name in CloudWatch, and what it is.
const GAUGES: [(&str, &str, &str, &str); 16] = [
    ("aws_ec2_cpu_utilization_percent", "AWS/EC2", "CPUUtilization", "Of the processors that the instance may use."),
    ("aws_ec2_load_average_1", "AWS/EC2", "LoadAverage1", "Tasks that run or wait for the disk, damped over a minute."),
    ("aws_ec2_load_average_5", "AWS/EC2", "LoadAverage5", "The same over 5 minutes."),
    ("aws_ec2_load_average_15", "AWS/EC2", "LoadAverage15", "The same over 15 minutes."),
    ("aws_ec2_memory_used_bytes", "AWS/EC2", "MemoryUsed", "Resident memory of the instance's processes."),
    ("aws_ec2_memory_utilization_percent", "AWS/EC2", "MemoryUtilization", "The same of what the instance may use."),
    ("aws_ec2_process_count", "AWS/EC2", "ProcessCount", "Processes of the instance."),
    ("aws_ec2_disk_read_bytes", "AWS/EC2", "DiskReadBytes", "Bytes read from disks in the last second."),
    ("aws_ec2_disk_write_bytes", "AWS/EC2", "DiskWriteBytes", "Bytes written to disks in the last second."),
    ("aws_ec2_network_in_bytes", "AWS/EC2", "NetworkIn", "Bytes received in the last second."),
    ("aws_ec2_network_out_bytes", "AWS/EC2", "NetworkOut", "Bytes sent in the last second."),
    ("aws_ec2_status_check_failed", "AWS/EC2", "StatusCheckFailed", "1 while the instance is impaired."),
    ("evenkeel_node_load_average_1", "Evenkeel/Node", "LoadAverage1", "The node's own, as its kernel has it."),
    ("evenkeel_node_load_average_5", "Evenkeel/Node", "LoadAverage5", "The same over 5 minutes."),
    ("evenkeel_node_load_average_15", "Evenkeel/Node", "LoadAverage15", "The same over 15 minutes."),
    ("evenkeel_node_memory_used_bytes", "Evenkeel/Node", "MemoryUsed", "Memory of the node that is not to be had."),
];

/// The newest value of each instance and of the node.
pub(super) fn of_instances(page: &mut Page, reader: &Reader, now: i64) {
    for (name, namespace, metric, help) in GAUGES {
        let filter = Filter {
            namespace: Some(namespace.into()),
            name: Some(metric.into()),
            within: Some(FRESH),
            ..Filter::default()
        };
        let (found, _) = reader.list(&filter, 0, MOST, now);
        let label = |metric: &Metric| match metric.dimensions() {
            [(name, value)] if name == "InstanceId" => Some(format!("instance=\"{}\"", escaped(value))),
            [(name, value)] if name == "NodeName" => Some(format!("node=\"{}\"", escaped(value))),
            _ => None,
        };
        let range = Range { from: now - FRESH, to: now + 1, period: 1 };
        let values = found.iter().filter_map(|metric| {
            let label = label(metric)?;
            let (series, _) = reader.units(metric).into_iter().next()?;
            let bucket = reader.read(series, range, now).into_values().next_back()?;
            Some((label, bucket.max))
        });
        page.metric(name, "gauge", &format!("{metric}: {help}"), values.collect::<Vec<_>>());
    }
}

/// How the store fares.
pub(super) fn of_store(page: &mut Page, counts: &Counts) {
    for (name, kind, help, value) in [
        ("series", "gauge", "Series in the metric store.", counts.series),
        ("samples_total", "counter", "Samples that were taken in.", counts.samples),
        ("refused_total", "counter", "Samples that were refused: no room for their series.", counts.refused),
        ("overrun_total", "counter", "Samples that were dropped, because too many waited.", counts.overrun),
        ("damaged_total", "counter", "Chunks and blocks that were found broken, and passed over.", counts.damaged),
        ("lost_bytes_total", "counter", "Bytes of journals that could not be read at the start.", counts.lost_bytes),
        ("crowded_out_total", "counter", "Blocks that went before their time, for want of room.", counts.crowded_out),
        ("blocks", "gauge", "Blocks on the disk.", counts.blocks),
        ("block_bytes", "gauge", "Bytes of them.", counts.block_bytes),
        ("memory_bytes", "gauge", "Bytes in memory that wait to become blocks.", counts.memory_bytes),
        ("failing", "gauge", "1 while the store cannot be written.", counts.failing),
    ] {
        page.single(&format!("evenkeel_metrics_{name}"), kind, help, value);
    }
}
