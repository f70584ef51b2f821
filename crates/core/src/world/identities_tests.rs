//! Limits and ties of users, keys and policies.

use super::*;
use crate::change::Change;
use crate::world::{Limits, Settings};

const NOW: Timestamp = Timestamp(1_000);

fn settings() -> Settings {
    Settings {
        region: "us-east-1".into(),
        zones: vec![],
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/27".parse().unwrap(),
        instance_pool: "127.81.0.0/27".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits::default(),
    }
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn user(text: &str) -> User {
    User {
        name: name(text),
        path: "/".into(),
        id: format!("AIDA{text}"),
        created: NOW,
        tags: BTreeMap::new(),
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
    }
}

fn key(number: u32, of: &str) -> AccessKey {
    AccessKey { id: key_id(number), user: name(of), sealed_secret: "sealed".into(), active: true, created: NOW }
}

fn key_id(number: u32) -> AccessKeyId {
    AccessKeyId::new(format!("AKIA{number:016}")).unwrap()
}

fn arn(text: &str) -> PolicyArn {
    PolicyArn::new(format!("arn:aws:iam::000000000000:policy/{text}")).unwrap()
}

fn policy(text: &str, document: &str) -> ManagedPolicy {
    ManagedPolicy {
        arn: arn(text),
        name: IdentityPolicyName::new(text).unwrap(),
        path: "/".into(),
        id: "ANPA".into(),
        description: String::new(),
        created: NOW,
        updated: NOW,
        versions: BTreeMap::from([(1, PolicyVersion { document: document.into(), created: NOW })]),
        default: 1,
        latest: 1,
        tags: BTreeMap::new(),
    }
}

fn world(changes: impl IntoIterator<Item = Change>) -> World {
    let mut world = World::empty(settings());
    for change in changes {
        world.apply(&change, NOW).unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
    }
    world
}

fn refused(world: &mut World, change: Change, expected: &Refusal) {
    assert_eq!(world.apply(&change, NOW).as_ref(), Err(expected), "{change:?}");
}

#[test]
fn names_differ_in_more_than_case_and_keys_follow_a_rename() {
    let mut world = world([
        Change::CreateUser(user("ann")),
        Change::CreateAccessKey(key(1, "ann")),
        Change::RenameUser { user: name("ann"), to: name("Ann"), path: "/ops/".into() },
    ]);
    assert_eq!(world.access_key(&key_id(1)).unwrap().user, name("Ann"));
    assert_eq!(world.user(&name("Ann")).unwrap().arn("1"), "arn:aws:iam::1:user/ops/Ann");
    refused(&mut world, Change::CreateUser(user("ann")), &Refusal::UserTaken(name("ann")));
    refused(&mut world, Change::DeleteUser { user: name("ann") }, &Refusal::NoSuchUser(name("ann")));
}

#[test]
fn a_user_has_two_keys_at_most_and_goes_only_when_bare() {
    let own = IdentityPolicyName::new("own").unwrap();
    let read = PolicyArn::new("arn:aws:iam::aws:policy/ReadOnlyAccess").unwrap();
    let mut world = world([
        Change::CreateUser(user("ann")),
        Change::CreateUser(user("bob")),
        Change::CreateAccessKey(key(1, "ann")),
        Change::CreateAccessKey(key(2, "ann")),
        Change::PutUserPolicy { user: name("ann"), policy: own.clone(), document: "{}".into() },
        Change::AttachUserPolicy { user: name("ann"), policy: read.clone() },
    ]);
    let quota = Refusal::Quota { what: "AccessKeysPerUser", limit: 2 };
    refused(&mut world, Change::CreateAccessKey(key(3, "ann")), &quota);
    // Another's key is not found, rather than deleted.
    let (bob, ann) = (name("bob"), name("ann"));
    refused(&mut world, Change::DeleteAccessKey { user: bob, key: key_id(1) }, &Refusal::NoSuchAccessKey(key_id(1)));
    let end = || Change::DeleteUser { user: ann.clone() };
    for (step, needed) in [
        (Change::DeleteAccessKey { user: ann.clone(), key: key_id(1) }, "delete access keys"),
        (Change::DeleteAccessKey { user: ann.clone(), key: key_id(2) }, "delete access keys"),
        (Change::DetachUserPolicy { user: ann.clone(), policy: read }, "detach all policies"),
        (Change::DeleteUserPolicy { user: ann.clone(), policy: own }, "delete policies"),
    ] {
        refused(&mut world, end(), &Refusal::StillNeeded(needed));
        world.apply(&step, NOW).unwrap();
    }
    world.apply(&end(), NOW).unwrap();
    assert_eq!(world.users().count(), 1);
}

#[test]
fn a_policy_has_five_versions_at_most_and_goes_only_when_nobody_goes_by_it() {
    let (ann, a) = (name("ann"), arn("a"));
    let mut world = world([Change::CreateUser(user("ann")), Change::CreateManagedPolicy(policy("a", "1"))]);
    let version = |document: &str, as_default| Change::CreatePolicyVersion {
        policy: arn("a"),
        document: document.into(),
        as_default,
    };
    for number in 2..=5 {
        let reply = world.apply(&version(&number.to_string(), number == 3), NOW).unwrap();
        assert_eq!(reply, Reply::PolicyVersion(number));
    }
    refused(&mut world, version("6", false), &Refusal::Quota { what: "VersionsPerPolicy", limit: 5 });
    assert_eq!(world.managed_policy(&a).unwrap().document().unwrap().as_ref(), "3");
    let end = |version| Change::DeletePolicyVersion { policy: arn("a"), version };
    refused(&mut world, end(3), &Refusal::DefaultVersion);
    world.apply(&end(5), NOW).unwrap();
    assert_eq!(world.apply(&version("6", false), NOW).unwrap(), Reply::PolicyVersion(6), "no number comes twice");
    world.apply(&Change::AttachUserPolicy { user: ann.clone(), policy: a.clone() }, NOW).unwrap();
    let texts: Vec<_> = world.policies_of(world.user(&ann).unwrap()).collect();
    assert_eq!(texts, [(a.to_string(), "3")]);
    refused(&mut world, Change::DeleteManagedPolicy { policy: a.clone() }, &Refusal::PolicyAttached);
    world.apply(&Change::DetachUserPolicy { user: ann, policy: a.clone() }, NOW).unwrap();
    refused(&mut world, Change::DeleteManagedPolicy { policy: a.clone() }, &Refusal::StillVersions);
    refused(
        &mut world,
        Change::CreateManagedPolicy(policy("A", "1")),
        &Refusal::ManagedPolicyTaken(IdentityPolicyName::new("A").unwrap()),
    );
}

#[test]
fn white_space_does_not_count_against_a_policys_length() {
    let own = |text: &str| IdentityPolicyName::new(text).unwrap();
    let put = |policy: &str, length: usize| Change::PutUserPolicy {
        user: name("ann"),
        policy: own(policy),
        document: format!("{}\n  \t", "x".repeat(length)).into(),
    };
    let mut world = world([Change::CreateUser(user("ann")), put("a", 1024), put("b", 1024)]);
    let long = Refusal::PolicyTooLong { what: "user", limit: 2048 };
    refused(&mut world, put("c", 1), &long);
    world.apply(&put("b", 1000), NOW).unwrap();
    world.apply(&put("c", 24), NOW).unwrap();
    let big = policy("big", &format!("{} ", "x".repeat(6144)));
    world.apply(&Change::CreateManagedPolicy(big), NOW).unwrap();
    let too_big = policy("bigger", &"x".repeat(6145));
    let long = Refusal::PolicyTooLong { what: "policy", limit: 6144 };
    refused(&mut world, Change::CreateManagedPolicy(too_big), &long);
}

#[test]
fn predefined_policies_are_policies_and_stay_as_they_are() {
    for predefined in crate::rights::PREDEFINED {
        let written: crate::rights::Written = serde_json::from_str(predefined.document).unwrap();
        assert!(crate::rights::Document::read(&written).is_ok(), "{}", predefined.name);
        assert!(PolicyArn::new(predefined.arn()).is_ok());
    }
    let read = PolicyArn::new("arn:aws:iam::aws:policy/ReadOnlyAccess").unwrap();
    let predefined = Refusal::PolicyPredefined(read.clone());
    refused(&mut world([]), Change::DeleteManagedPolicy { policy: read }, &predefined);
    let unknown = PolicyArn::new("arn:aws:iam::aws:policy/Unknown").unwrap();
    let mut world = world([Change::CreateUser(user("ann"))]);
    let attach = Change::AttachUserPolicy { user: name("ann"), policy: unknown.clone() };
    refused(&mut world, attach, &Refusal::NoSuchManagedPolicy(unknown));
}
