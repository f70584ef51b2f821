//! What is measured without anyone asking, and what a killed daemon costs of it.

use std::time::Duration;

use evenkeel_aws::Time;
use evenkeel_aws::cloudwatch::{Dimension, GetMetricStatistics};

use crate::rig::{PROGRAM, Rig, processes_of_instance};

fn seconds() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// The points of a metric over the last ten minutes, by the second: when, and its sum.
pub fn points(rig: &Rig, namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Vec<(i64, f64)> {
    let dimension =
        |(name, value): &(&str, &str)| Dimension { name: Some((*name).into()), value: Some((*value).into()) };
    let now = seconds();
    let input = GetMetricStatistics {
        namespace: Some(namespace.into()),
        metric_name: Some(name.into()),
        dimensions: dimensions.iter().map(dimension).collect(),
        start_time: Some(Time((now - 600) * 1000)),
        end_time: Some(Time((now + 10) * 1000)),
        period: Some(1),
        statistics: vec!["Sum".to_owned()].into(),
        ..GetMetricStatistics::default()
    };
    let found = rig.call(&input).unwrap().datapoints;
    found.iter().map(|point| (point.timestamp.time().0 / 1000, point.sum.unwrap())).collect()
}

pub fn sum(points: &[(i64, f64)]) -> f64 {
    points.iter().map(|(_, value)| value).sum()
}

#[test]
fn requests_and_load_are_measured_and_a_killed_daemon_costs_seconds() {
    const LIMIT: Duration = Duration::from_secs(40);
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    let web = [("LoadBalancerName", "test")];
    // The road is heard of each second; what it counted before that is not known to be new.
    rig.wait("hosts to be counted", LIMIT, |rig| {
        points(rig, "AWS/ELB", "HealthyHostCount", &web).iter().any(|(_, count)| *count == 1.0).then_some(())
    });
    let before = sum(&points(&rig, "AWS/ELB", "RequestCount", &web));
    for _ in 0..50 {
        assert_eq!(rig.get(node, "/").unwrap().0, 200);
    }
    rig.wait("50 requests to be counted", LIMIT, |rig| {
        (sum(&points(rig, "AWS/ELB", "RequestCount", &web)) - before == 50.0).then_some(())
    });
    assert!(sum(&points(&rig, "AWS/ELB", "HTTPCode_Backend_2XX", &web)) >= 50.0);
    let zone = [("LoadBalancerName", "test"), ("AvailabilityZone", "us-east-1a")];
    assert!(sum(&points(&rig, "AWS/ELB", "Latency", &zone)) > 0.0);
    // A busy process of the instance's own: its load is the instance's, and nobody else's.
    let instance = [("InstanceId", ids[0].as_str())];
    rig.wait("its load", LIMIT, |rig| (!points(rig, "AWS/EC2", "LoadAverage1", &instance).is_empty()).then_some(()));
    assert!(!processes_of_instance(&ids[0]).is_empty());
    rig.wait("its processor time", LIMIT, |rig| {
        points(rig, "AWS/EC2", "CPUUtilization", &instance).iter().any(|(_, used)| *used >= 0.0).then_some(())
    });

    let traffic = points(&rig, "AWS/EC2", "NetworkIn", &instance);
    assert!(traffic.is_empty(), "a process of the node has no network of its own: {traffic:?}");

    by_command_line(&rig);
    let at = seconds();
    rig.wait("a second to be there", LIMIT, |rig| {
        points(rig, "AWS/EC2", "LoadAverage1", &instance).iter().any(|(second, _)| *second >= at + 5).then_some(())
    });
    let held = points(&rig, "AWS/EC2", "LoadAverage1", &instance);
    let killed_at = seconds();
    rig.kill_daemon();
    rig.up();
    let kept = points(&rig, "AWS/EC2", "LoadAverage1", &instance);
    let lost: Vec<_> = held.iter().filter(|point| !kept.contains(point)).collect();
    assert!(lost.iter().all(|(second, _)| *second >= killed_at - 10), "killed at {killed_at}, lost {lost:?}");
    assert_eq!(sum(&points(&rig, "AWS/ELB", "RequestCount", &web)) - before, 50.0, "nothing is counted twice");
    rig.finish();
}

/// The same by `evenkeel metric`.
fn by_command_line(rig: &Rig) {
    let done = |words: &[&str]| {
        let mut command = std::process::Command::new(PROGRAM);
        let output =
            command.arg("metric").args(words).arg("--data-dir").arg(rig.data_dir()).env_clear().output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = done(&["list", "--namespace", "AWS/ELB", "--on", "LoadBalancerName=test"]);
    assert!(listed.contains("AWS/ELB/RequestCount"), "{listed}");
    let asked = ["AWS/ELB/RequestCount", "--on", "LoadBalancerName=test", "--stat", "Sum", "--last", "10m"];
    let values: serde_json::Value = serde_json::from_str(&done(&[&["get"], &asked[..], &["--json"]].concat())).unwrap();
    let sum: f64 = values.as_array().unwrap().iter().map(|point| point["value"].as_f64().unwrap()).sum();
    assert!(sum >= 50.0, "{values}");
    let drawn = done(&[&["plot"], &asked[..]].concat());
    assert!(drawn.contains('▁') && drawn.contains("most"), "{drawn}");
    let picture = rig.file("plot.svg");
    done(&[&["plot"], &asked[..], &["--svg", picture.to_str().unwrap()]].concat());
    assert!(std::fs::read_to_string(picture).unwrap().contains("</svg>"));
    done(&["put", "App/Depth", "4", "8", "--on", "Queue=mail", "--unit", "Count", "--by-second"]);
    let read = done(&["get", "App/Depth", "--on", "Queue=mail", "--stat", "Average", "--last", "1m"]);
    assert!(read.lines().last().unwrap().ends_with(" 6"), "{read}");
}

/// What the shipped dashboard and alert rules ask for is on the page.
#[test]
fn the_dashboard_and_the_alerts_name_what_there_is() {
    let rig = Rig::start();
    let (status, page) = rig.get(rig.api, "/metrics").unwrap();
    assert_eq!(status, 200);
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    for file in ["grafana.json", "alerts.yml"] {
        let text = std::fs::read_to_string(docs.join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: std::collections::BTreeSet<_> =
            words.filter(|word| word.starts_with("aws_e") || word.starts_with("evenkeel_")).collect();
        assert!(named.len() > 10, "{named:?}");
        for name in named {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(page.contains(&format!("# TYPE {name} ")), "`{file}` asks for `{name}`, which is not there");
        }
    }
    rig.finish();
}
