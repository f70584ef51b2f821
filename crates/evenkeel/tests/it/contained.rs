//! Instances in containers, besides what holds of every kind of enclosure: what is hostile, what is left, images of them, and
//! root filesystems with a user of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_aws::ec2;

use crate::docker;
use crate::rig::{PROGRAM, Rig, kill9, processes_of_instance};

const PATIENCE: Duration = Duration::from_secs(60);

fn available(rig: &mut Rig, image: &str) {
    rig.wait("the image to be available", PATIENCE, |rig| {
        let input = ec2::DescribeImages { image_ids: vec![image.to_owned()], ..Default::default() };
        let found = rig.call(&input).unwrap().images_set.0.remove(0);
        assert_ne!(found.image_state, "failed", "{found:?}");
        (found.image_state == "available").then_some(())
    });
}

#[test]
fn whatever_runs_in_a_container_ends_with_it_and_its_neighbour_is_unharmed() {
    let Some(mut rig) = Rig::docker() else { return };
    let image = rig.image("v1", &[]);
    let neighbour = rig.run(&image, "us-east-1a", 1).remove(0);
    rig.balancer("test", &["us-east-1a"]);
    rig.add("test", std::slice::from_ref(&neighbour));
    rig.wait_in_service("test", std::slice::from_ref(&neighbour));
    let node = rig.nodes("test")[0].1;
    // It forks, each of its children leads a session of its own, none of them hears TERM, and all print.
    let line = "trap '' TERM; for n in 1 2 3 4 5; do setsid sh -c 'trap \"\" TERM; yes $EVENKEEL_ZONE & yes no & wait' & done; \
                while :; do sleep 1; done";
    let wild = rig.image_with("wild", &[], |_, manifest| {
        manifest.insert("command".into(), vec!["sh", "-c", line].into());
        manifest.insert("stop_grace".into(), 1.into());
    });
    let wild = rig.run(&wild, "us-east-1a", 1).remove(0);
    rig.wait("its children", PATIENCE, |_| (processes_of_instance(&wild).len() >= 16).then_some(()));
    rig.wait("its noise", PATIENCE, |rig| (rig.console(&wild).len() >= 60_000).then_some(()));
    assert_eq!(rig.get(node, "/").unwrap().0, 200);
    let stopping = std::time::Instant::now();
    rig.call(&ec2::StopInstances { instance_ids: vec![wild.clone()], ..Default::default() }).unwrap();
    rig.wait_state(&wild, "stopped");
    assert!(stopping.elapsed() < Duration::from_secs(25), "its grace is 1 s: {:?}", stopping.elapsed());
    assert!(processes_of_instance(&wild).is_empty() && !docker::runs(&wild));
    let kept = std::fs::metadata(rig.file(&format!("instances/{wild}/console.log"))).unwrap().len();
    assert!(kept <= 2 << 20, "{kept} bytes of console are kept");
    // Nor does one go on whose agent is killed.
    let lost = rig.run(&image, "us-east-1a", 1).remove(0);
    let status: serde_json::Value = serde_json::from_str(&rig.instance_file(&lost, "status.json")).unwrap();
    kill9(status["agent"]["pid"].as_i64().unwrap().try_into().unwrap());
    rig.wait("its end", PATIENCE, |rig| (rig.state(&lost).0 != "running").then_some(()));
    assert!(processes_of_instance(&lost).is_empty() && !docker::runs(&lost));
    let (status, body) = rig.get(node, "/").unwrap();
    assert!(status == 200 && body.contains(&neighbour), "{body}");
    rig.finish();
}

#[test]
fn an_instance_that_eats_its_memory_is_ended_alone() {
    let Some(mut rig) = Rig::docker() else { return };
    if !docker::limits_memory() {
        let must = std::env::var("EVENKEEL_MEMORY").is_ok_and(|wish| wish == "must");
        assert!(!must, "the engine holds nobody to a limit of memory");
        eprintln!("\n*** SKIPPED: the engine holds nobody to a limit of memory ***\n");
        return rig.finish();
    }
    let neighbour = rig.image("v1", &[]);
    let neighbour = rig.run(&neighbour, "us-east-1a", 1).remove(0);
    let hungry = rig.image_with("hungry", &[], |_, manifest| {
        let line = "eaten = []\nwhile True: eaten.append(b'x' * (1 << 20))";
        manifest.insert("command".into(), vec!["python3", "-c", line].into());
        manifest.insert("restart".into(), "never".into());
    });
    let input = ec2::RunInstances {
        image_id: Some(hungry),
        min_count: 1,
        max_count: 1,
        instance_type: Some("t2.nano".into()),
        ..Default::default()
    };
    let hungry = rig.call(&input).unwrap().instances_set[0].instance_id.clone();
    rig.wait("its end", PATIENCE, |rig| (rig.state(&hungry).0 == "stopped").then_some(()));
    assert!(rig.console(&hungry).contains("status 137"), "{}", rig.console(&hungry));
    assert!(processes_of_instance(&hungry).is_empty() && !docker::runs(&hungry));
    assert_eq!(rig.state(&neighbour).0, "running");
    assert!(!processes_of_instance(&neighbour).is_empty());
    rig.finish();
}

#[test]
fn an_image_of_a_container_has_what_was_made_in_it() {
    let Some(mut rig) = Rig::docker() else { return };
    let image = rig.image_with("v1", &[], |_, manifest| {
        manifest.insert("state".into(), vec!["data"].into());
    });
    let id = rig.run(&image, "us-east-1a", 1).remove(0);
    docker::within(
        &id,
        &["sh", "-c", "mkdir data; echo mine > data/row; echo by hand > installed; echo x > tmp/y"],
        "",
    )
    .unwrap();
    let input = ec2::CreateImage { instance_id: id.clone(), name: "golden".into(), ..Default::default() };
    let golden = rig.call(&input).unwrap().image_id;
    available(&mut rig, &golden);
    let data = rig.data_dir().display().to_string();
    let told = Command::new(PROGRAM).args(["image", "diff", &image, &golden, "--data-dir", &data]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("+ installed") && !told.contains("data") && !told.contains("evenkeel"), "{told}");
    let second = rig.run(&golden, "us-east-1a", 1).remove(0);
    assert_eq!(rig.inside(&second, "installed"), "by hand\n");
    assert_eq!(rig.inside(&second, "data/row"), "");
    rig.finish();
}

#[test]
fn a_root_filesystem_runs_as_its_user_where_it_says_and_can_be_entered() {
    let Some(mut rig) = Rig::docker() else { return };
    let image = rig.image_with("root", &[], |dir, manifest| {
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::create_dir_all(dir.join("srv")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n").unwrap();
        std::fs::write(dir.join("etc/group"), "logs:x:50:web\n").unwrap();
        let program = |path: &str, text: &str| {
            std::fs::write(dir.join(path), text).unwrap();
            let may_run = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(dir.join(path), may_run).unwrap();
        };
        program("srv/serve", "#!/bin/sh\nid; pwd\nexec evenkeel sample-app\n");
        program("bin/apk", "#!/bin/sh\necho \"$@\" >> /installed\n");
        manifest.insert("rootfs".into(), true.into());
        manifest.insert("user".into(), "web".into());
        manifest.insert("working_dir".into(), "/srv".into());
        manifest.insert("command".into(), vec!["./serve"].into());
        manifest.insert("health".into(), "/health".into());
    });
    let id = rig.launch_told(&image, "#cloud-config\npackages: [one, two]\n");
    rig.wait_status(&id, "ok");
    assert_eq!(rig.inside(&id, "installed"), "add --no-cache one two\n");
    let console = rig.console(&id);
    assert!(
        console.contains("uid=33(web) gid=34") && console.contains("50(logs)") && console.contains("\n/srv\n"),
        "{console}"
    );
    let mut entered = Command::new(PROGRAM)
        .args([
            "exec",
            &id,
            "--",
            "sh",
            "-c",
            "read line; echo \"$line from $EVENKEEL_INSTANCE_ID\"; echo no >&2; exit 7",
        ])
        .env("EVENKEEL_DATA_DIR", rig.data_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut entered.stdin.take().unwrap(), b"hello\n").unwrap();
    let entered = entered.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(entered.stdout).unwrap(), format!("hello from {id}\n"));
    assert_eq!((entered.status.code(), entered.stderr.as_slice()), (Some(7), b"no\n".as_slice()));
    rig.finish();
}
