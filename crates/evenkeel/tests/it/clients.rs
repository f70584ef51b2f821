//! The real clients as judges: boto 2.49's own scripts, boto3 and the AWS CLI, unmodified, against a daemon.
//!
//! Owns nothing but how they are run; what they demand stands in `tests/clients/scenarios`. The first run makes a virtual
//! environment under `target/` from PyPI.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::pebble;
use crate::rig::{INSTANCE_PORT, PORT, Rig, processes_of_instance};

/// Where they and their scenarios are.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").canonicalize().unwrap()
}

/// The Python that has the clients.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("clients");
        let made = Command::new("python3").arg(clients().join("prepare.py")).arg(target).output();
        let made = made.expect("python3 is needed for the tests with real clients");
        assert!(made.status.success(), "the clients could not be prepared:\n{}", both(&made));
        String::from_utf8(made.stdout).unwrap().lines().last().unwrap().to_owned()
    })
}

fn both(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A folder with certificates, their keys and public keys, each signed by itself.
fn certificates(rig: &Rig) -> PathBuf {
    let dir = rig.file("certificates");
    std::fs::create_dir(&dir).unwrap();
    for name in ["one", "two", "backend"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![format!("{name}.example.test")]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{name}.example.test"));
        let body = params.self_signed(&key).unwrap();
        let write = |end: &str, text: String| std::fs::write(dir.join(format!("{name}.{end}")), text).unwrap();
        write("crt", body.pem());
        write("key", key.serialize_pem());
        write("pub", key.public_key_pem());
    }
    dir
}

/// The lists that `docs/coverage.md` is held against are what botocore's models say.
#[test]
fn models() {
    let checked = Command::new(python()).arg(clients().join("models.py")).arg("--check").output().unwrap();
    assert!(checked.status.success(), "run tests/clients/models.py with {}:\n{}", python(), both(&checked));
    let skipped = String::from_utf8_lossy(&checked.stdout);
    assert!(skipped.is_empty() || skipped.starts_with("SKIPPED"), "{skipped}");
    eprint!("{skipped}");
}

fn judge(scenario: &str) {
    let rig = Rig::start();
    let image = rig.image("v1", &[]);
    judge_by(rig, scenario, &image, &[]);
}

/// The same against a daemon that has something already, of which the scenario is told.
fn judge_by(rig: Rig, scenario: &str, image: &str, told: &[(&str, &str)]) {
    let output = Command::new(python())
        .arg(clients().join("scenarios").join(format!("{scenario}.py")))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", rig.data_dir())
        .env("EVENKEEL_ENDPOINT", format!("http://{}", rig.api))
        .env("EVENKEEL_IMAGE", image)
        .env("EVENKEEL_PORT", PORT.to_string())
        .env("EVENKEEL_PORT2", (PORT + 10).to_string())
        .env("EVENKEEL_INSTANCE_PORT", INSTANCE_PORT.to_string())
        .env("EVENKEEL_ZONES", "us-east-1a,us-east-1b,us-east-1c")
        .env("EVENKEEL_KEEP_GOING", "1")
        .env("EVENKEEL_CERTS", certificates(&rig))
        .env("EVENKEEL_BUCKETS", rig.file("buckets"))
        .env("AWS_ACCESS_KEY_ID", &rig.credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &rig.credentials.secret_access_key)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .envs(told.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "`{scenario}` is not content:\n{}\n{}", both(&output), rig.log());
    rig.finish();
}

#[test]
fn boto_elbadmin() {
    judge("boto_elbadmin");
}

#[test]
fn boto_scripts() {
    judge("boto_scripts");
}

#[test]
fn boto_direct() {
    judge("boto_direct");
}

#[test]
fn boto3_walk() {
    judge("boto3_walk");
}

#[test]
fn boto3_classic() {
    judge("boto3_classic");
}

#[test]
fn ansible_elb() {
    judge("ansible_elb");
}

#[test]
fn boto3_launch_templates() {
    judge("boto3_launch_templates");
}

#[test]
fn ansible_ec2_launch_template() {
    judge("ansible_ec2_launch_template");
}

#[test]
fn boto_classic() {
    judge("boto_classic");
}

#[test]
fn terraform_aws_elb() {
    judge("terraform_aws_elb");
}

#[test]
fn boto3_autoscaling() {
    judge("boto3_autoscaling");
}

#[test]
fn boto3_warm_pool() {
    judge("boto3_warm_pool");
}

#[test]
fn boto3_refresh() {
    judge("boto3_refresh");
}

#[test]
fn ansible_autoscaling() {
    judge("ansible_autoscaling");
}

#[test]
fn boto_asadmin() {
    judge("boto_asadmin");
}

#[test]
fn boto3_refusals() {
    judge("boto3_refusals");
}

#[test]
fn boto3_lives() {
    let rig = Rig::start_after(|rig| {
        std::fs::write(rig.file("evenkeel.toml"), "[zone.us-east-1a]\ncpus = 2\nmemory_mib = 3072\n").unwrap();
        Vec::new()
    });
    let image = rig.image("v1", &[]);
    judge_by(rig, "boto3_lives", &image, &[]);
}

#[test]
fn boto3_acm() {
    if !pebble::is_there() {
        return judge("boto3_acm");
    }
    let (rig, server) = pebble::start(&pebble::Settings::default());
    let image = rig.image("v1", &[]);
    judge_by(rig, "boto3_acm", &image, &[("EVENKEEL_ACME_DOMAIN", pebble::DOMAIN)]);
    drop(server);
}

#[test]
fn boto3_iam() {
    judge("boto3_iam");
}

#[test]
fn boto3_sns() {
    judge("boto3_sns");
}

#[test]
fn boto3_alarms() {
    judge("boto3_alarms");
}

#[test]
fn boto3_cloudwatch() {
    judge("boto3_cloudwatch");
}

#[test]
fn boto3_metadata() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    rig.balancer("web", &["us-east-1a"]);
    let ids = rig.run(&image, "us-east-1a", 2);
    let of_process = |pid: &i32| std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environment: Vec<u8> = processes_of_instance(&ids[0]).iter().flat_map(of_process).collect();
    let environment = String::from_utf8(environment).unwrap();
    let mut places = environment.split('\0').filter_map(|e| e.strip_prefix("AWS_EC2_METADATA_SERVICE_ENDPOINT="));
    let place = places.next().expect("the application should be told where its metadata is").to_owned();
    // The built-in tools find their keys there as well: one line of a start script puts an instance into service.
    let tool = |command: &str, id: &str| {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        tool.args(["elbadmin", command, "web", id]).env_clear().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &place);
        tool.output().unwrap()
    };
    let added = tool("add", &ids[0]);
    assert!(added.status.success(), "{}", both(&added));
    assert_eq!(rig.health("web").into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids[..1]);
    let refused = tool("add", &ids[1]);
    assert!(!refused.status.success() && both(&refused).contains("is not authorized"), "{}", both(&refused));
    assert!(!both(&refused).contains(place.rsplit('/').next().unwrap()), "{}", both(&refused));
    let removed = tool("remove", &ids[0]);
    assert!(removed.status.success(), "{}", both(&removed));
    let told = [
        ("EVENKEEL_METADATA", place.as_str()),
        ("EVENKEEL_SELF", ids[0].as_str()),
        ("EVENKEEL_OTHER", ids[1].as_str()),
        ("EVENKEEL_BALANCER", "web"),
    ];
    judge_by(rig, "boto3_metadata", &image, &told);
}

#[test]
fn boto3_protocols() {
    judge("boto3_protocols");
}

#[test]
fn signatures() {
    judge("signatures");
}

#[test]
fn awscli_walk() {
    judge("awscli_walk");
}

#[test]
fn awscli_scaling() {
    judge("awscli_scaling");
}
