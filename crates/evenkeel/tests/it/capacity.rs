//! The configuration file: zones that are full, how their instances run, what a file that is wrong ends with; and protection as
//! the command line tells of it.

use std::process::{Command, Output};
use std::time::Duration;

use evenkeel_aws::{Error, ec2};

use crate::rig::{PROGRAM, Rig};

/// Room for two `t2.micro` in the first zone.
const TWO: &str = "[zone.us-east-1a]\ncpus = 2\nmemory_mib = 4096\n";

fn with_file(text: &str) -> Rig {
    Rig::start_after(|rig| {
        std::fs::write(rig.file("evenkeel.toml"), text).unwrap();
        Vec::new()
    })
}

fn launch(rig: &Rig, image: &str, count: i64) -> Result<Vec<String>, Error> {
    let input = ec2::RunInstances {
        image_id: Some(image.into()),
        min_count: count,
        max_count: count,
        instance_type: Some("t2.micro".into()),
        placement: Some(ec2::Placement { availability_zone: Some("us-east-1a".into()), ..Default::default() }),
        ..Default::default()
    };
    let reservation = rig.call(&input)?;
    Ok(reservation.instances_set.iter().map(|i| i.instance_id.clone()).collect())
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    let error = result.unwrap_err();
    (error.status, error.code.into_owned())
}

fn run(rig: &Rig, words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).arg("--data-dir").arg(rig.data_dir()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_full_zone_takes_no_more_until_one_is_stopped_and_says_what_it_has() {
    let mut rig = with_file(TWO);
    let image = rig.image("v1", &[]);
    let full = (500, "InsufficientInstanceCapacity".to_owned());
    assert_eq!(code(launch(&rig, &image, 3)), full);
    let ids = launch(&rig, &image, 2).unwrap();
    for id in &ids {
        rig.wait_state(id, "running");
    }
    assert_eq!(code(launch(&rig, &image, 1)), full);
    let said = text(&run(&rig, &["status"]).stdout);
    assert!(said.contains("zone       us-east-1a: 2 instances, 2 of 2 processors, 2048 of 4096 MiB"), "{said}");
    assert!(said.contains("zone       us-east-1b: 0 instances, 0 processors, 0 MiB"), "{said}");

    let page = rig.get(rig.api, "/metrics").unwrap().1;
    for line in [
        "evenkeel_zone_declared_cpus{availability_zone=\"us-east-1a\"} 2",
        "evenkeel_zone_used_memory_bytes{availability_zone=\"us-east-1a\"} 2147483648",
        "evenkeel_zone_used_cpus{availability_zone=\"us-east-1b\"} 0",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }

    rig.call(&ec2::StopInstances { instance_ids: ids[..1].to_vec(), ..Default::default() }).unwrap();
    rig.wait_state(&ids[0], "stopped");
    let third = launch(&rig, &image, 1).unwrap();
    let start = ec2::StartInstances { instance_ids: ids[..1].to_vec(), ..Default::default() };
    assert_eq!(code(rig.call(&start)), full);
    rig.terminate(&third);
    rig.wait_state(&third[0], "terminated");
    rig.call(&start).unwrap();
    rig.wait_state(&ids[0], "running");

    // A declaration that has become smaller than what runs ends nothing, and adds nothing.
    rig.kill_daemon();
    std::fs::write(rig.file("evenkeel.toml"), "[zone.us-east-1a]\ncpus = 0.5\n").unwrap();
    rig.up();
    for id in &ids {
        assert_eq!(rig.state(id).0, "running");
    }
    assert_eq!(code(launch(&rig, &image, 1)), full);
    let said = text(&run(&rig, &["status"]).stdout);
    assert!(said.contains("us-east-1a: 2 instances, 2 of 0.5 processors, 2048 MiB"), "{said}");
    rig.finish();
}

#[test]
fn what_a_type_or_user_data_is_changed_to_is_what_the_next_start_brings() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 1);
    rig.call(&ec2::StopInstances { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    rig.wait_state(&ids[0], "stopped");
    let modify = |input: ec2::ModifyInstanceAttribute| {
        rig.call(&ec2::ModifyInstanceAttribute { instance_id: ids[0].clone(), ..input }).unwrap();
    };
    let instance_type = Some(ec2::TextStated { value: Some("t2.small".into()) });
    modify(ec2::ModifyInstanceAttribute { instance_type, ..Default::default() });
    let value = Some(evenkeel_aws::blob::Blob(b"#!/bin/sh\necho told anew\n".to_vec()));
    modify(ec2::ModifyInstanceAttribute { user_data: Some(ec2::BlobStated { value }), ..Default::default() });
    rig.call(&ec2::StartInstances { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    rig.wait_status(&ids[0], "ok");
    assert!(rig.console(&ids[0]).contains("told anew"), "{}", rig.console(&ids[0]));
    let spec: serde_json::Value = serde_json::from_str(&rig.instance_file(&ids[0], "spec.json")).unwrap();
    assert_eq!(spec["limits"]["memory"], 2048_u64 << 20);
    rig.finish();
}

#[test]
fn the_tools_say_what_protects_an_instance() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 1);
    let protect = |value: bool| ec2::ModifyInstanceAttribute {
        instance_id: ids[0].clone(),
        disable_api_termination: Some(ec2::BooleanStated { value: Some(value) }),
        ..Default::default()
    };
    rig.call(&protect(true)).unwrap();
    for words in [["kill_instance", &ids[0]], ["terminate", &ids[0]]] {
        let refused = run(&rig, &words);
        let said = text(&refused.stderr);
        assert!(!refused.status.success(), "{words:?}");
        let why = format!("The instance '{}' may not be terminated. Modify its 'disableApiTermination'", ids[0]);
        assert!(said.contains("OperationNotPermitted") && said.contains(&why), "{said}");
    }
    let refused = run(&rig, &["down", "--instances"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("disableApiTermination"));
    assert_eq!(rig.state(&ids[0]).0, "running");
    rig.call(&protect(false)).unwrap();
    assert!(run(&rig, &["kill_instance", &ids[0]]).status.success());
    assert_eq!(rig.wait_state(&ids[0], "terminated"), "Client.UserInitiatedShutdown: User initiated shutdown");
    rig.finish();
}

#[test]
fn a_file_that_is_wrong_ends_the_start_with_its_line_and_what_is_allowed() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("zones.toml");
    let up = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut up = Command::new(PROGRAM);
        up.args(["up", "--listen", "127.0.0.1:0", "--dns-listen", "off", "--data-dir"]).arg(dir.path().join("state"));
        let output = up.arg("--config").arg(&file).output().unwrap();
        assert!(!output.status.success(), "{text}");
        self::text(&output.stderr)
    };
    let check = |file: &str, wants: &[&str]| {
        let said = up(file);
        assert!(said.contains("zones.toml") && wants.iter().all(|want| said.contains(want)), "{said}");
    };
    check("[zone.mars-1a]\n", &["line 1", "`zone.mars-1a`", "us-east-1a, us-east-1b, us-east-1c"]);
    check("\n[zone.us-east-1a]\ncpus = -2\n", &["line 3", "`zone.us-east-1a.cpus` is -2", "from 0.001"]);
    check("[zone.us-east-1a]\nram = 2\n", &["line 2", "`ram`", "`memory_mib`"]);
    check("[zone.us-east-1a]\ndriver = \"vm\"\n", &["line 2", "`vm`", "`process`"]);
    std::fs::remove_file(&file).unwrap();
    let mut up = Command::new(PROGRAM);
    up.args(["up", "--data-dir"]).arg(dir.path().join("state")).arg("--config").arg(&file);
    let output = up.output().unwrap();
    assert!(!output.status.success() && self::text(&output.stderr).contains("zones.toml"));
}

#[test]
fn a_zones_driver_is_what_its_instances_run_with() {
    // The second zone has namespaces, which none of these instances is in.
    let Some(mut rig) = Rig::enclosed_in_part("[zone.us-east-1b]\ndriver = \"namespaces\"\n") else { return };
    let image = rig.image("v1", &[]);
    let ids = [rig.launch(&image, "us-east-1a", 1), rig.launch(&image, "us-east-1b", 1)].concat();
    rig.wait_status(&ids[1], "ok");
    let isolation = |rig: &Rig, id: &str| {
        let spec: serde_json::Value = serde_json::from_str(&rig.instance_file(id, "spec.json")).unwrap();
        spec["isolation"].as_str().unwrap().to_owned()
    };
    rig.wait("the first one's spec", Duration::from_secs(30), |rig| {
        (!rig.instance_file(&ids[0], "spec.json").is_empty()).then_some(())
    });
    assert_eq!([isolation(&rig, &ids[0]), isolation(&rig, &ids[1])], ["none", "namespaces"]);
    rig.finish();
}
