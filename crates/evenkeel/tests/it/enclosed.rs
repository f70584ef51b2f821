//! Instances in namespaces: the metadata where EC2 has them and nobody else's, an address that is all their own behind a
//! balancer, and nothing left of those whose agent is killed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use evenkeel_aws::{autoscaling, ec2};

use crate::measured::{points, sum};
use crate::rig::{INSTANCE_PORT, PROGRAM, Rig, kill9, processes_of_instance};
use crate::scaling::{ZONES, end, group, settled};
use crate::steady::{Steady, let_flow};

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for the metadata as any program on EC2 does, then once more when it is told to, with what it found of another's.
const ASKS: &str = "\
#!/usr/bin/env python3
import os, time, urllib.error, urllib.request
def ask(path, method='GET', **headers):
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    request = urllib.request.Request('http://169.254.169.254/' + path, method=method, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).read().decode()
    except urllib.error.HTTPError as error:
        return str(error.code)
print('id', ask('latest/meta-data/instance-id'))
token = ask('latest/api/token', 'PUT', X_aws_ec2_metadata_token_ttl_seconds='300')
print('address', ask('latest/meta-data/local-ipv4', X_aws_ec2_metadata_token=token))
print('forwarded', ask('latest/api/token', 'PUT', X_aws_ec2_metadata_token_ttl_seconds='300', X_Forwarded_For='1.2.3.4'))
print('unknown', ask('latest/meta-data/nothing'))
open('token', 'w').write(token)
while not os.path.exists('go'):
    time.sleep(0.02)
other = open('go').read().split()
print('again', ask('latest/meta-data/instance-id'))
if other:
    print('token', ask('latest/meta-data/instance-id', X_aws_ec2_metadata_token=other[0]))
    print('place', ask(other[1] + '/latest/meta-data/instance-id'))
    print('dots', ask('latest/../../' + other[1] + '/latest/meta-data/instance-id'))
    print('folder', os.path.exists(other[2]))
";

/// Whether an instance has a link on the node.
fn has_link(id: &str) -> bool {
    Path::new(&format!("/sys/class/net/ek{}", &id[id.len() - 13..])).exists()
}

#[test]
fn an_instance_finds_its_own_metadata_where_ec2_has_them_and_never_anothers() {
    for mut rig in [Rig::enclosed(), Rig::docker()].into_iter().flatten() {
        let image = rig.image("v1", &[]);
        let ids = [rig.launch_told(&image, ASKS), rig.launch_told(&image, ASKS)];
        for id in &ids {
            rig.wait("the first questions", PATIENCE, |rig| (!rig.inside(id, "token").is_empty()).then_some(()));
        }
        // The daemon that comes next answers elsewhere.
        rig.kill_daemon();
        rig.up();
        let token = rig.inside(&ids[0], "token");
        let spec: serde_json::Value = serde_json::from_str(&rig.instance_file(&ids[0], "spec.json")).unwrap();
        let told = spec["metadata"].as_str().unwrap();
        let place = &told[told.find("metadata/").unwrap()..];
        let others = format!("{token} {place} {}", rig.file(&format!("instances/{}", ids[0])).display());
        rig.write_inside(&ids[0], "go", "");
        rig.write_inside(&ids[1], "go", &others);
        for id in &ids {
            rig.wait_status(id, "ok");
            let console = rig.console(id);
            let address = spec_address(&rig, id);
            for line in [format!("id {id}"), format!("address {address}"), format!("again {id}")] {
                assert!(console.lines().any(|other| other == line), "{line} is not in\n{console}");
            }
            for line in ["forwarded 403", "unknown 404"] {
                assert!(console.lines().any(|other| other == line), "{line} is not in\n{console}");
            }
        }
        let console = rig.console(&ids[1]);
        for line in ["token 401", "place 404", "dots 404", "folder False"] {
            assert!(console.lines().any(|other| other == line), "{line} is not in\n{console}");
        }
        rig.finish();
    }
}

fn spec_address(rig: &Rig, id: &str) -> String {
    let spec: serde_json::Value = serde_json::from_str(&rig.instance_file(id, "spec.json")).unwrap();
    spec["address"].as_str().unwrap().to_owned()
}

#[test]
fn instances_that_bind_every_address_serve_behind_a_balancer_and_leave_nothing() {
    let Some(mut rig) = Rig::enclosed() else { return };
    let image = rig.image_with("wide", &[], |_, manifest| {
        manifest.insert("command".into(), vec!["env", "HOST=0.0.0.0", PROGRAM, "sample-app"].into());
        manifest.insert("restart".into(), "never".into());
    });
    let ids = rig.run(&image, "us-east-1a", 2);
    rig.balancer("test", &["us-east-1a"]);
    rig.add("test", &ids);
    rig.wait_in_service("test", &ids);
    let node = rig.nodes("test")[0].1;
    for id in &ids {
        assert!(has_link(id));
        rig.wait("an answer of each", PATIENCE, |rig| rig.get(node, "/").ok().filter(|(_, body)| body.contains(id)));
        let place = (spec_address(&rig, id).parse::<std::net::IpAddr>().unwrap(), INSTANCE_PORT).into();
        let (status, body) = rig.get(place, "/").unwrap();
        assert!(status == 200 && body.contains(id), "{body}");
    }
    let status: serde_json::Value = serde_json::from_str(&rig.instance_file(&ids[0], "status.json")).unwrap();
    kill9(status["agent"]["pid"].as_i64().unwrap().try_into().unwrap());
    rig.wait("its end", PATIENCE, |rig| (rig.state(&ids[0]).0 != "running").then_some(()));
    assert!(processes_of_instance(&ids[0]).is_empty() && !has_link(&ids[0]), "nothing of it is left");
    let (status, body) = rig.get(node, "/").unwrap();
    assert!(status == 200 && body.contains(&ids[1]), "{body}");
    rig.terminate(&ids[1..]);
    rig.wait_state(&ids[1], "terminated");
    assert!(processes_of_instance(&ids[1]).is_empty() && !has_link(&ids[1]));
    rig.finish();
}

/// Containers are measured as their engine tells it.
#[test]
fn what_passes_an_instances_own_network_is_measured_and_a_group_follows_it() {
    const REQUESTS: u64 = 300;
    for mut rig in [Rig::enclosed(), Rig::docker()].into_iter().flatten() {
        let image = rig.image("web", &[]);
        rig.balancer("web", &ZONES);
        group(&rig, &image, 1);
        let id = settled(&mut rig, 1).remove(0);
        rig.wait_in_service("web", std::slice::from_ref(&id));
        let instance = [("InstanceId", id.as_str())];
        for name in ["NetworkIn", "NetworkOut"] {
            rig.wait(name, PATIENCE, |rig| (!points(rig, "AWS/EC2", name, &instance).is_empty()).then_some(()));
        }
        let steady = Steady::start(&rig, "web", 100);
        let_flow(&mut rig, &steady, REQUESTS);
        // Each request and each answer has some lines of head.
        for (name, least) in [("NetworkIn", 50), ("NetworkOut", 100), ("NetworkPacketsIn", 1), ("NetworkPacketsOut", 1)]
        {
            rig.wait(name, PATIENCE, |rig| {
                (sum(&points(rig, "AWS/EC2", name, &instance)) >= (REQUESTS * least) as f64).then_some(())
            });
        }
        let of = |name: &str| points(&rig, "AWS/EC2", name, &instance);
        assert!(sum(&of("CPUUtilization")) > 0.0);
        assert!(of("MemoryUsed").iter().any(|(_, bytes)| *bytes > 1e6), "{:?}", of("MemoryUsed"));
        assert!(of("MemoryUtilization").iter().all(|(_, percent)| (0.0..=100.0).contains(percent)));
        assert!(!of("DiskWriteBytes").is_empty());
        rig.call(&autoscaling::UpdateAutoScalingGroup {
            auto_scaling_group_name: "web".into(),
            max_size: Some(2),
            ..Default::default()
        })
        .unwrap();
        let predefined = autoscaling::PredefinedMetricSpecification {
            predefined_metric_type: "ASGAverageNetworkOut".into(),
            resource_label: None,
        };
        let put = autoscaling::PutScalingPolicy {
            auto_scaling_group_name: "web".into(),
            policy_name: "sent".into(),
            policy_type: Some("TargetTrackingScaling".into()),
            estimated_instance_warmup: Some(2),
            target_tracking_configuration: Some(autoscaling::TargetTrackingConfiguration {
                predefined_metric_specification: Some(predefined),
                // A minute: a tenth of what the load takes at the least.
                target_value: 60.0 * 100.0 * 100.0 / 10.0,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(rig.call(&put).unwrap().alarms.len(), 2);
        settled(&mut rig, 2);
        steady.stop();
        end(&mut rig);
        rig.finish();
    }
}

#[test]
fn addresses_that_nothing_is_routed_to_are_refused_at_the_start() {
    let Some(rig) = Rig::enclosed() else { return };
    let dir = tempfile::TempDir::new().unwrap();
    let mut up = Command::new(PROGRAM);
    up.args(["up", "--isolation", "namespaces", "--data-dir"]).arg(dir.path());
    let output = up.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("cannot use `--instance-pool 127.81.0.0/16`") && said.contains("10.81.0.0/16"), "{said}");
    rig.finish();
}

/// Puts programs of this machine into a folder, with the libraries that they need, as an image of Docker has them.
fn populate(root: &Path, programs: &[&str]) {
    let copy = |from: &Path| {
        let to = root.join(from.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        // Not as a link, whose target is elsewhere.
        std::fs::copy(std::fs::canonicalize(from).unwrap(), to).unwrap();
    };
    for program in programs {
        let path = std::fs::canonicalize(program).unwrap();
        let to = root.join("usr/bin").join(Path::new(program).file_name().unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&path, &to).unwrap();
        let listed = Command::new("ldd").arg(&path).output().unwrap();
        for word in String::from_utf8_lossy(&listed.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(word));
        }
    }
}

#[test]
fn an_instance_of_a_root_filesystem_has_that_and_nothing_of_the_node() {
    let Some(mut rig) = Rig::enclosed() else { return };
    let secret = rig.data_dir().join("credentials.toml").display().to_string();
    assert!(Path::new(&secret).exists());
    let node = secret.clone();
    let image = rig.image_with("rooted", &[], |dir, manifest| {
        populate(dir, &["/bin/sh", "/usr/bin/id", "/bin/cat", "/bin/ls", "/usr/bin/env", PROGRAM]);
        std::os::unix::fs::symlink("/usr/bin", dir.join("bin")).unwrap();
        // Of those that a hostile image would have, one to be replaced and one to be stepped over.
        std::os::unix::fs::symlink("/etc", dir.join("proc")).unwrap();
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::os::unix::fs::symlink(&node, dir.join("etc/resolv.conf")).unwrap();
        std::fs::create_dir(dir.join("srv")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:1001:1002::/srv:/bin/sh\n").unwrap();
        std::fs::write(dir.join("etc/group"), "logs:x:1003:web\n").unwrap();
        std::fs::write(dir.join("srv/tell"), format!(
            "#!/bin/sh\necho whoami $(id -u) $(id -g) $(id -G)\necho pwd $PWD\necho rights $(cat /proc/self/status | \
             while read k v; do [ $k = CapEff: ] && echo $v; done)\n[ -e {node} ] && echo sees the node\n\
             echo hosts $(cat /etc/hosts)\necho hostname $(cat /etc/hostname)\n[ -c /dev/null ] && echo devices\n\
             [ -d /proc/self ] && echo processes\n(echo x > /usr/bin/evil) 2>/dev/null && echo writes\n\
             echo installed $(cat /etc/installed) $(cat /etc/other)\necho told > /dev/stdout\necho y > /tmp/mine && echo temporary\n\
             exec env HOST=0.0.0.0 evenkeel sample-app\n"
        ))
        .unwrap();
        std::fs::set_permissions(dir.join("srv/tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
        for (key, value) in [("user", "web"), ("working_dir", "/srv")] {
            manifest.insert(key.into(), value.into());
        }
        manifest.insert("rootfs".into(), true.into());
        manifest.insert("command".into(), vec!["./tell"].into());
        manifest.insert("installers".into(), vec!["sh id -u > /etc/installed", "env COLOUR=blue", "user other", "sh id -u other > /etc/other"].into());
    });
    let id = rig.run(&image, "us-east-1a", 1).remove(0);
    rig.balancer("test", &["us-east-1a"]);
    rig.add("test", std::slice::from_ref(&id));
    rig.wait_in_service("test", std::slice::from_ref(&id));
    let console = rig.console(&id);
    let address = spec_address(&rig, &id);
    let name = format!("ip-{}", address.replace('.', "-"));
    for line in [
        "whoami 1001 1002 1002 1003".to_owned(),
        "pwd /srv".to_owned(),
        "rights 0000000000000000".to_owned(),
        format!("hostname {name}"),
        "devices".to_owned(),
        "processes".to_owned(),
        "installed 0 1000".to_owned(),
        "told".to_owned(),
        "temporary".to_owned(),
    ] {
        assert!(console.lines().any(|other| other == line), "{line} is not in\n{console}");
    }
    assert!(console.contains(&format!("{address} {name}.internal {name}")), "{console}");
    assert!(!console.contains("sees the node") && !console.contains("writes"), "{console}");
    let data = rig.data_dir().display().to_string();
    let within = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["exec", &id, "--data-dir", &data, "--"]).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(within(&["sh", "-c", "id -u; echo $COLOUR; ls /"]).lines().take(2).collect::<Vec<_>>(), ["0", "blue"]);
    // What is its own stays, over a stop too; what covered the image's files was never in them.
    within(&["sh", "-c", "echo kept > /srv/kept; echo changed >> /etc/group"]);
    let folder = rig.file(&format!("instances/{id}"));
    if folder.join("work").is_dir() {
        assert!(!folder.join("root/usr").exists(), "what it has not changed is the image's");
    } else {
        eprintln!("\n*** SKIPPED: no overlay on the file system of {} ***\n", folder.display());
    }
    let golden = |rig: &mut Rig, name: &str| {
        let input = ec2::CreateImage { instance_id: id.clone(), name: name.into(), ..Default::default() };
        let golden = rig.call(&input).unwrap().image_id;
        rig.wait("the image to be available", PATIENCE, |rig| {
            let input = ec2::DescribeImages { image_ids: vec![golden.clone()], ..Default::default() };
            let found = rig.call(&input).unwrap().images_set.0.remove(0);
            assert_ne!(found.image_state, "failed", "{found:?}");
            (found.image_state == "available").then_some(())
        });
        let told =
            Command::new(PROGRAM).args(["image", "diff", &image, &golden, "--data-dir", &data]).output().unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    let told = golden(&mut rig, "golden of one that runs");
    let own = ["~ etc/group", "+ etc/installed", "+ etc/other", "~ etc/passwd", "+ srv/kept", "+ tmp", "+ tmp/mine"];
    let mut lines = [own.as_slice(), &["- etc/resolv.conf", "+ mnt", "+ mnt/pyami", "- proc"]].concat();
    lines.sort_by(|a, b| Path::new(&a[2..]).cmp(Path::new(&b[2..])));
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
    rig.call(&ec2::StopInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
    rig.wait_state(&id, "stopped");
    assert!(processes_of_instance(&id).is_empty() && !has_link(&id));
    assert_eq!(golden(&mut rig, "golden of one that is stopped"), told);
    rig.call(&ec2::StartInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
    rig.wait_state(&id, "running");
    rig.wait("the application", PATIENCE, |rig| rig.console(&id).matches("temporary").nth(1).map(drop));
    assert_eq!(within(&["cat", "/srv/kept"]).trim(), "kept");
    rig.terminate(std::slice::from_ref(&id));
    rig.wait_state(&id, "terminated");
    assert!(processes_of_instance(&id).is_empty() && !has_link(&id));
    rig.finish();
}

#[test]
fn nothing_of_a_boot_goes_through_a_link_to_the_node() {
    for mut rig in [Some(Rig::start()), Rig::enclosed()].into_iter().flatten() {
        let outside = rig.file("outside");
        std::fs::create_dir(&outside).unwrap();
        let image = rig.image_with("linked", &[], |_, manifest| {
            manifest.insert("installers".into(), vec![format!("sh ln -s {} out", outside.display())].into());
        });
        let id = rig.launch_told(&image, "#cloud-config\nwrite_files: [{path: out/x, content: hi}]\n");
        rig.wait_status(&id, "impaired");
        let console = rig.console(&id);
        assert!(console.contains("the boot failed to do step 2"), "{console}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        rig.finish();
    }
}
