//! `evenkeel replace`: a whole fleet under load, a new image that is never well, and a run that is cut short.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use evenkeel_aws::ec2;

use crate::rig::{PROGRAM, Rig, kill9};
use crate::steady::{RATE, Steady, let_flow};

const PATIENCE: Duration = Duration::from_secs(60);

fn command(rig: &Rig, image: &str, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["replace", "test", "--image", image, "--data-dir"]).arg(rig.data_dir()).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// All instances that are not terminated: id, zone, image and the one it replaces.
fn there(rig: &Rig) -> Vec<(String, String, String, String)> {
    let described = rig.call(&ec2::DescribeInstances::default()).unwrap();
    let mut all: Vec<_> = described
        .reservation_set
        .iter()
        .flat_map(|r| r.instances_set.iter())
        .filter(|i| i.instance_state.name != "terminated")
        .map(|i| {
            let replaces = i.tag_set.iter().find(|tag| tag.key == "evenkeel:replaces");
            let replaces = replaces.map(|tag| tag.value.clone()).unwrap_or_default();
            (i.instance_id.clone(), i.placement.availability_zone.clone(), i.image_id.clone(), replaces)
        })
        .collect();
    all.sort();
    all
}

/// So many instances in both zones, each of which registers itself with `test` at its boot.
fn fleet(rig: &mut Rig, image: &str, count: usize) -> Vec<String> {
    rig.balancer("test", &["us-east-1a", "us-east-1b"]);
    let launched = (0..count).map(|n| {
        let zone = ["us-east-1a", "us-east-1b"][n % 2];
        let name = ec2::Tag { key: "Name".into(), value: Some(format!("web {n}")) };
        let input = ec2::RunInstances {
            image_id: Some(image.into()),
            min_count: 1,
            max_count: 1,
            instance_type: Some("t2.micro".into()),
            key_name: Some("mine".into()),
            user_data: Some(evenkeel_aws::blob::Blob(b"[ELB]\nname = test\n".to_vec())),
            placement: Some(ec2::Placement { availability_zone: Some(zone.into()), ..Default::default() }),
            tag_specifications: vec![ec2::TagSpecification { resource_type: "instance".into(), tags: vec![name] }],
            ..Default::default()
        };
        rig.call(&input).unwrap().instances_set[0].instance_id.clone()
    });
    let ids: Vec<String> = launched.collect();
    for id in &ids {
        rig.wait_status(id, "ok");
    }
    rig.wait_in_service("test", &ids);
    ids
}

fn well(rig: &Rig, version: &str) -> String {
    rig.image_with(version, &[], |_, manifest| {
        manifest.insert("health".into(), "/health".into());
    })
}

#[test]
fn a_fleet_of_eight_is_replaced_under_load_and_loses_nothing() {
    let mut rig = Rig::start_alone();
    let (old, new) = (well(&rig, "v1"), well(&rig, "v2"));
    let fleet = fleet(&mut rig, &old, 8);
    let steady = Steady::start(&rig, "test", RATE);
    let_flow(&mut rig, &steady, 1_000);
    let dry = command(&rig, &new, &["--dry-run"]).output().unwrap();
    assert_eq!(ended(&dry).1.lines().count(), 8, "{:?}", ended(&dry));
    let (code, out, err) = ended(&command(&rig, &new, &["--parallel", "2"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}\n{}", rig.log());
    assert_eq!(out.lines().count(), 8, "{out}{err}");
    let_flow(&mut rig, &steady, 500);
    let elapsed = steady.elapsed();
    let end = steady.end();
    let rate = end.sent as f64 / elapsed.as_secs_f64();
    println!("{} requests at {rate:.0}/s in {elapsed:?}, {} lost\n{out}", end.sent, end.lost());
    assert_eq!(end.failures, vec![], "{} of {} requests were lost\n{}", end.lost(), end.sent, rig.log());
    assert!(end.versions.contains_key("v1") && end.versions.contains_key("v2"), "{:?}", end.versions);
    let now = there(&rig);
    assert_eq!(now.len(), 8, "{now:?}");
    assert_eq!(now.iter().filter(|(_, zone, ..)| zone == "us-east-1a").count(), 4, "{now:?}");
    assert!(now.iter().all(|(_, _, image, replaces)| *image == new && fleet.contains(replaces)), "{now:?}");
    let health = rig.health("test");
    assert!(health.len() == 8 && health.iter().all(|(_, h)| h == "InService: N/A"), "{health:?}");
    let described = rig.call(&ec2::DescribeInstances::default()).unwrap();
    let live = described.reservation_set.iter().flat_map(|r| r.instances_set.iter()).filter(|i| i.image_id == new);
    for instance in live {
        assert_eq!((instance.instance_type.as_str(), instance.key_name.as_str()), ("t2.micro", "mine"));
        assert!(instance.tag_set.iter().any(|tag| tag.value.starts_with("web ")), "{instance:?}");
    }
    // Done is done.
    let (code, out, err) = ended(&command(&rig, &new, &[]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    rig.finish();
}

#[test]
fn a_new_image_that_is_never_well_stops_it_at_the_first_and_costs_nothing() {
    let mut rig = Rig::start();
    let old = well(&rig, "v1");
    let ill = rig.image_with("v2", &[], |_, manifest| {
        manifest.insert("health".into(), "/nowhere".into());
        manifest.insert("ready_within".into(), 1.into());
    });
    let fleet = fleet(&mut rig, &old, 3);
    let before = there(&rig);
    let steady = Steady::start(&rig, "test", 200);
    let (code, out, err) = ended(&command(&rig, &ill, &[]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    for said in
        ["failed to replace i-", "is impaired", "within 1 s: it answers 404", "3 of 3 old instances are in their place"]
    {
        assert!(err.contains(said), "`{said}` is not in\n{err}");
    }
    assert_eq!(there(&rig), before, "old capacity is as it was, and nothing is left of the new");
    // One that answers its own health path, but not the balancer's.
    let unseen = rig.image_with("v3", &[], |_, manifest| {
        manifest.insert("port".into(), 9_999.into());
    });
    let (code, out, err) = ended(&command(&rig, &unseen, &["--timeout", "3", "--json"]).output().unwrap());
    assert_eq!(code, Some(1), "{out}{err}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    let states: Vec<&str> =
        said["instances"].as_array().unwrap().iter().map(|i| i["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "not begun", "not begun"], "{out}");
    assert!(said["instances"][0]["why"].as_str().unwrap().contains("is not in service after 3 seconds"), "{out}");
    assert_eq!(there(&rig), before);
    rig.wait_in_service("test", &fleet);
    assert_eq!(rig.health("test").len(), 3);
    assert_eq!(steady.stop().lost, Vec::<String>::new());
    rig.finish();
}

#[test]
fn a_run_that_is_killed_is_gone_on_with_by_the_next() {
    let mut rig = Rig::start();
    let (old, new) = (well(&rig, "v1"), well(&rig, "v2"));
    let fleet = fleet(&mut rig, &old, 3);
    let kill = |mut run: Child| {
        kill9(i32::try_from(run.id()).unwrap());
        run.wait().unwrap();
    };
    // Killed while the first successor boots, and again when the first old one is out of the balancer.
    let run = command(&rig, &new, &[]).spawn().unwrap();
    rig.wait("a successor", PATIENCE, |rig| (there(rig).len() == 4).then_some(()));
    kill(run);
    let run = command(&rig, &new, &[]).spawn().unwrap();
    rig.wait("an old one to be out", PATIENCE, |rig| {
        let health = rig.health("test");
        fleet.iter().any(|id| !health.iter().any(|(member, _)| member == id)).then_some(())
    });
    kill(run);
    let (code, out, err) = ended(&command(&rig, &new, &["-n", "3"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}\n{}", rig.log());
    let now = there(&rig);
    let mut replaced: Vec<String> = now.iter().map(|(.., replaces)| replaces.clone()).collect();
    replaced.sort();
    let mut wanted = fleet.clone();
    wanted.sort();
    assert_eq!(replaced, wanted, "each once: {now:?}\n{out}{err}");
    assert!(now.iter().all(|(_, _, image, _)| *image == new), "{now:?}");
    // The same image, booted anew.
    let (code, out, err) =
        ended(&command(&rig, &new, &["-n", "3", "--launched-before", "2100-01-01T00:00:00Z"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out.lines().count(), 3, "{out}{err}");
    assert!(there(&rig).iter().all(|(id, ..)| !now.iter().any(|(other, ..)| other == id)));
    rig.finish();
}
