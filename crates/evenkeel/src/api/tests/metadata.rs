//! The metadata service over real sockets: the tree, sessions, keys that count, and that no instance is told another's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenkeel_aws::sts;

use super::*;
use crate::api::metadata::endpoint;

struct Place<'r> {
    rig: &'r Rig,
    base: String,
}

impl Rig {
    fn place(&self, id: &str) -> Place<'_> {
        let base = endpoint("", &self.seal, &InstanceId::new(id).unwrap()).unwrap();
        Place { rig: self, base }
    }
}

impl Place<'_> {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut text = format!("{method} {}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", self.base);
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        let answer = self.rig.raw(format!("{text}\r\n").as_bytes()).await;
        (answer.status, answer.text().to_owned())
    }

    async fn get(&self, path: &str) -> String {
        let (status, text) = self.ask("GET", path, &[]).await;
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    async fn no(&self, method: &str, path: &str, headers: &[(&str, &str)], status: u16) {
        let (got, text) = self.ask(method, path, headers).await;
        assert_eq!(got, status, "{method} {path} {headers:?}: {text}");
    }
}

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";

#[tokio::test]
async fn an_instance_is_told_of_itself_by_awss_paths() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let user_data = Some(evenkeel_aws::blob::Blob(b"#!/bin/sh\n\xff".to_vec()));
    let launched = rig.ok(ec2::RunInstances { user_data, ..launch(&image, 1) }).await;
    let id = launched.instances_set[0].instance_id.clone();
    let place = rig.place(&id);
    assert_eq!(place.get("").await, "1.0\n2008-02-01\n2016-09-02\nlatest");
    assert_eq!(place.get("latest/").await, "dynamic/\nmeta-data/\nuser-data");
    let top = place.get("latest/meta-data/").await;
    for name in ["ami-id", "iam/", "instance-id", "local-ipv4", "placement/", "services/"] {
        assert!(top.lines().any(|line| line == name), "{name} in {top}");
    }
    let instance = rig.ok(ec2::DescribeInstances::default()).await.reservation_set[0].instances_set[0].clone();
    for (path, value) in [
        ("instance-id", id.clone()),
        ("ami-id", image.clone()),
        ("local-ipv4", instance.private_ip_address),
        ("local-hostname", instance.private_dns_name),
        ("placement/availability-zone", instance.placement.availability_zone),
        ("placement/region", "us-east-1".into()),
    ] {
        assert_eq!(place.get(&format!("latest/meta-data/{path}")).await, value, "{path}");
        assert_eq!(place.get(&format!("2016-09-02/meta-data/{path}/")).await, value, "{path}");
    }
    let document = place.get("latest/dynamic/instance-identity/document").await;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!((document["instanceId"].as_str(), document["accountId"].as_str()), (Some(id.as_str()), Some(ACCOUNT)));
    let raw = format!("GET {}/latest/user-data HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", place.base);
    assert_eq!(rig.raw(raw.as_bytes()).await.body, b"#!/bin/sh\n\xff");
    for path in ["latest/meta-data/nothing", "1066-01-01/meta-data/", "latest/meta-data/instance-id/x"] {
        place.no("GET", path, &[], 404).await;
    }
    place.no("POST", "latest/meta-data/", &[], 405).await;
    let plain = rig.launch(&image, "us-east-1a", 1).await;
    rig.place(&plain[0]).no("GET", "latest/user-data", &[], 404).await;
}

#[tokio::test]
async fn sessions_are_an_instances_own_and_end() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let ids = rig.launch(&image, "us-east-1a", 2).await;
    let (one, two) = (rig.place(&ids[0]), rig.place(&ids[1]));
    let (status, token) = one.ask("PUT", "latest/api/token", &[(TTL, "21600")]).await;
    assert_eq!(status, 200);
    let (status, id) = one.ask("GET", "latest/meta-data/instance-id", &[(TOKEN, &token)]).await;
    assert_eq!((status, id.as_str()), (200, ids[0].as_str()));
    two.no("GET", "latest/meta-data/instance-id", &[(TOKEN, &token)], 401).await;
    one.no("GET", "latest/meta-data/instance-id", &[(TOKEN, "nonsense")], 401).await;
    for ttl in ["0", "21601", "x", "-1"] {
        one.no("PUT", "latest/api/token", &[(TTL, ttl)], 400).await;
    }
    one.no("PUT", "latest/api/token", &[], 400).await;
    one.no("PUT", "latest/api/token", &[(TTL, "60"), ("X-Forwarded-For", "10.0.0.1")], 403).await;
    one.no("PUT", "latest/meta-data/instance-id", &[(TTL, "60")], 405).await;
}

#[tokio::test]
async fn its_keys_count_and_are_nobody_elses() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let ids = rig.launch(&image, "us-east-1a", 1).await;
    let place = rig.place(&ids[0]);
    let folder = "latest/meta-data/iam/security-credentials";
    let role = place.get(&format!("{folder}/")).await;
    let keys: serde_json::Value = serde_json::from_str(&place.get(&format!("{folder}/{role}")).await).unwrap();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let credentials = Credentials {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: Some(text("Token")),
    };
    assert!(text("Expiration").ends_with('Z') && !text("Expiration").contains('.'), "{}", text("Expiration"));
    let who = rig.call_as(&credentials, sts::GetCallerIdentity {}).await.unwrap();
    assert!(who.arn.ends_with(&format!("assumed-role/{role}/{}", ids[0])), "{}", who.arn);
    let guessed = Place { rig: &rig, base: format!("/metadata/{}", ids[0]) };
    guessed.no("GET", folder, &[], 404).await;
    // A place is no key of another kind, nor the other way round.
    let sealed = rig.seal.seal("another thing", ids[0].as_bytes()).unwrap();
    let foreign = Place { rig: &rig, base: format!("/metadata/{}", URL_SAFE_NO_PAD.encode(sealed)) };
    foreign.no("GET", folder, &[], 404).await;
    rig.ok(ec2::TerminateInstances { instance_ids: ids.clone(), ..Default::default() }).await;
    let seen = Seen::Ended { how: "gone".into(), orderly: true, never_started: false, by: EndedBy::Itself };
    rig.report(&ids[0], seen).await;
    place.no("GET", folder, &[], 404).await;
}
