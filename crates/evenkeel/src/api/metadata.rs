//! The instance metadata service: what an instance is told of itself, its keys among it.
//!
//! Owns AWS's tree of paths, of both versions (with and without a session token). An instance is known by the place that it was
//! given at its start, `/metadata/…/`, which nobody can guess and which names it, sealed: so no instance is answered with
//! another's. Must never answer for an instance that is gone. Source: EC2 User Guide, "Instance metadata categories" and "Use the
//! Instance Metadata Service".

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use evenkeel_aws::{Request, Response};
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::warm_pool::PoolState;
use evenkeel_core::noun::{AutoScalingGroup, Instance, InstanceState, LifecycleState};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use serde::{Deserialize, Serialize};

use super::Api;
use super::caller::{INSTANCE_ROLE, instance_keys};
use super::words::wire_time;
use crate::seal::{self, Seal, SealError};

/// What its paths begin with.
const PREFIX: &str = "/metadata/";

/// The longest life of a session token (AWS: 6 hours).
const LONGEST_SESSION: u64 = 21_600;

/// Versions of the tree, all alike.
const VERSIONS: [&str; 4] = ["1.0", "2008-02-01", "2016-09-02", "latest"];

/// Where an instance finds its metadata: what `AWS_EC2_METADATA_SERVICE_ENDPOINT` is to be, given the API's own address.
///
/// # Errors
/// No dice.
pub fn endpoint(api: &str, seal: &Seal, instance: &InstanceId) -> Result<String, SealError> {
    let sealed = seal.seal(seal::METADATA, instance.as_str().as_bytes())?;
    Ok(format!("{api}{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
}

/// What a session token holds.
#[derive(Serialize, Deserialize)]
struct Session {
    instance: InstanceId,
    expires: Timestamp,
}

/// Whether a request is for this service.
pub(super) fn is_asked(request: &Request) -> bool {
    request.path_and_query().0.starts_with(PREFIX)
}

/// The answer to a request for this service.
pub(super) fn answer(api: &Api, request: &Request, id: &str, now: Timestamp) -> Response {
    let world = api.keeper.world();
    let Some((instance, path)) = found(&api.seal, &world, request.path_and_query().0) else {
        return said(404, "404 - Not Found", id);
    };
    match request.method.as_str() {
        "PUT" if path == "latest/api/token" => session(&api.seal, instance, request, id, now),
        "GET" => {
            if let Some(token) = request.header("x-aws-ec2-metadata-token")
                && !is_valid(&api.seal, instance, token, now)
            {
                return said(401, "401 - Unauthorized", id);
            }
            match content(&api.seal, &world, instance, path, now) {
                Ok(Some(body)) => Response { body, ..said(200, "", id) },
                Ok(None) => said(404, "404 - Not Found", id),
                Err(error) => {
                    eprintln!("api: the keys of {} could not be made: failed to {error}", instance.id);
                    said(500, "500 - Internal Server Error", id)
                }
            }
        }
        _ => said(405, "405 - Method Not Allowed", id),
    }
}

/// The living instance that a path names, and what it asks for.
fn found<'w, 'p>(seal: &Seal, world: &'w World, path: &'p str) -> Option<(&'w Instance, &'p str)> {
    let (place, path) = path.strip_prefix(PREFIX)?.split_once('/').unwrap_or((path.strip_prefix(PREFIX)?, ""));
    let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(place).ok()?).ok()?;
    let id = String::from_utf8(seal.unseal(seal::METADATA, &sealed).ok()?).ok()?;
    let instance = world.instance(&InstanceId::new(id).ok()?)?;
    (instance.state != InstanceState::Terminated).then_some((instance.as_ref(), path))
}

/// A session token of version 2.
fn session(seal: &Seal, instance: &Instance, request: &Request, id: &str, now: Timestamp) -> Response {
    // As AWS: whoever forwards requests for others shall not be talked into this one.
    if request.header("x-forwarded-for").is_some() {
        return said(403, "403 - Forbidden", id);
    }
    let stated = request.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|text| text.parse().ok());
    let Some(seconds) = stated.filter(|seconds| (1..=LONGEST_SESSION).contains(seconds)) else {
        return said(400, "400 - Bad Request", id);
    };
    let session = Session { instance: instance.id.clone(), expires: now.plus(Duration::from_secs(seconds)) };
    let text = serde_json::to_vec(&session).unwrap_or_default();
    match seal.seal(seal::METADATA_SESSION, &text) {
        Ok(sealed) => Response {
            headers: vec![("x-aws-ec2-metadata-token-ttl-seconds", seconds.to_string())],
            ..said(200, &URL_SAFE_NO_PAD.encode(sealed), id)
        },
        Err(_) => said(500, "500 - Internal Server Error", id),
    }
}

fn is_valid(seal: &Seal, instance: &Instance, token: &str, now: Timestamp) -> bool {
    let read = || -> Option<Session> {
        let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        serde_json::from_slice(&seal.unseal(seal::METADATA_SESSION, &sealed).ok()?).ok()
    };
    read().is_some_and(|session| session.instance == instance.id && session.expires > now)
}

/// A value, or the names in a folder; `None` for what is not there.
///
/// # Errors
/// Why an instance's keys could not be made.
fn content(
    seal: &Seal,
    world: &World,
    instance: &Instance,
    path: &str,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, String> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(Some(VERSIONS.join("\n").into_bytes()));
    }
    let (version, path) = path.split_once('/').unwrap_or((path, ""));
    if !VERSIONS.contains(&version) {
        return Ok(None);
    }
    if path == format!("meta-data/iam/security-credentials/{INSTANCE_ROLE}") {
        return credentials(seal, &instance.id, now).map(Some);
    }
    let tree = tree(world, instance);
    if let Some(value) = tree.get(path) {
        return Ok(Some(value.clone()));
    }
    let inside = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names: Vec<String> = Vec::new();
    for rest in tree.keys().filter_map(|key| key.strip_prefix(&inside)) {
        let name = match rest.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => rest.to_owned(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    Ok((!names.is_empty()).then(|| names.join("\n").into_bytes()))
}

/// Fresh keys, as the SDKs read them.
fn credentials(seal: &Seal, instance: &InstanceId, now: Timestamp) -> Result<Vec<u8>, String> {
    let keys = instance_keys(seal, instance, now)?;
    let document = serde_json::json!({
        "Code": "Success",
        "LastUpdated": whole(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": keys.credentials.access_key_id,
        "SecretAccessKey": keys.credentials.secret_access_key,
        "Token": keys.credentials.session_token,
        "Expiration": whole(keys.expires),
    });
    serde_json::to_vec_pretty(&document).map_err(|error| format!("write them: {error}"))
}

/// Every value, by its path below the version; credentials stand for their name only.
fn tree(world: &World, i: &Instance) -> BTreeMap<String, Vec<u8>> {
    let settings = world.settings();
    let (account, region, address) = (&settings.account, &settings.region, i.address.to_string());
    let name = i.host_name();
    let info = serde_json::json!({
        "Code": "Success",
        "LastUpdated": whole(i.launched),
        "InstanceProfileArn": format!("arn:aws:iam::{account}:instance-profile/{INSTANCE_ROLE}"),
        "InstanceProfileId": "AIPAEVENKEELINSTANCE",
    });
    let document = serde_json::json!({
        "accountId": account,
        "architecture": std::env::consts::ARCH,
        "availabilityZone": i.zone.as_str(),
        "imageId": i.image.as_str(),
        "instanceId": i.id.as_str(),
        "instanceType": i.instance_type,
        "pendingTime": whole(i.launched),
        "privateIp": address,
        "region": region,
        "version": "2017-09-30",
    });
    let credentials = format!("iam/security-credentials/{INSTANCE_ROLE}");
    let texts = [
        ("ami-id", i.image.to_string()),
        ("ami-launch-index", i.launch_index.to_string()),
        ("ami-manifest-path", "(unknown)".to_owned()),
        ("hostname", name.clone()),
        ("iam/info", format!("{info:#}")),
        (credentials.as_str(), String::new()),
        ("instance-action", "none".to_owned()),
        ("instance-id", i.id.to_string()),
        ("instance-life-cycle", "on-demand".to_owned()),
        ("instance-type", i.instance_type.clone()),
        ("local-hostname", name.clone()),
        ("local-ipv4", address.clone()),
        ("placement/availability-zone", i.zone.to_string()),
        ("placement/region", region.clone()),
        ("profile", "default-hvm".to_owned()),
        ("public-hostname", name),
        ("public-ipv4", address),
        ("reservation-id", i.reservation.to_string()),
        ("security-groups", i.groups.join("\n")),
        ("services/domain", "amazonaws.com".to_owned()),
        ("services/partition", "aws".to_owned()),
    ];
    let mut tree: BTreeMap<String, Vec<u8>> =
        texts.into_iter().map(|(path, text)| (format!("meta-data/{path}"), text.into_bytes())).collect();
    if let Some((group, member)) = world.membership(&i.id) {
        let target = target(group, member.state);
        tree.insert("meta-data/autoscaling/target-lifecycle-state".to_owned(), target.into());
    }
    tree.insert("dynamic/instance-identity/document".to_owned(), format!("{document:#}").into_bytes());
    if let Some(raw) = i.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok()) {
        tree.insert("user-data".to_owned(), raw);
    }
    tree
}

/// Where its group is taking a member (AWS, "Retrieve the target lifecycle state").
fn target(group: &AutoScalingGroup, state: LifecycleState) -> &'static str {
    use LifecycleState as L;
    match state {
        L::Pending | L::PendingWait | L::InService => "InService",
        L::Terminating | L::TerminatingWait | L::TerminatingProceed => "Terminated",
        L::EnteringStandby | L::Standby => "Standby",
        L::Detaching => "Detached",
        L::WarmedTerminating | L::WarmedTerminatingWait | L::WarmedTerminatingProceed => "Warmed:Terminated",
        L::WarmedPending | L::WarmedPendingWait => match group.pool.map(|pool| pool.state) {
            Some(PoolState::Running) => L::WarmedRunning.as_str(),
            _ => L::WarmedStopped.as_str(),
        },
        L::WarmedPendingProceed | L::WarmedStopped => L::WarmedStopped.as_str(),
        L::WarmedRunning => L::WarmedRunning.as_str(),
    }
}

/// A time in whole seconds: some clients read no other.
fn whole(at: Timestamp) -> String {
    let text = wire_time(Timestamp(at.0 / 1000 * 1000)).to_string();
    text.replace(".000Z", "Z")
}

fn said(status: u16, text: &str, id: &str) -> Response {
    Response {
        status,
        content_type: "text/plain",
        headers: Vec::new(),
        request_id: id.to_owned(),
        body: text.as_bytes().to_owned(),
    }
}
