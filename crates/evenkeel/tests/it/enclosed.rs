//! Instances in namespaces: the metadata where EC2 has them and nobody else's, an address that is all their own behind a
//! balancer, and nothing left of those whose agent is killed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::rig::{INSTANCE_PORT, PROGRAM, Rig, kill9, processes_of_instance};

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
