//! `evenkeel key`, `user` and `policy` against a server that knows the users it is made with and forgets what it is told.

use clap::Parser as _;
use evenkeel_aws::{Call, Error, Response, Time, sts};

use super::*;
use crate::cli::stage::{Ran, SECRET, Stage, answered};
use crate::cli::{Cli, Command, policy, user};

const ADA: &str = "arn:aws:iam::000000000000:user/ada";

fn metadata(user: &str, id: &str) -> iam::AccessKeyMetadata {
    iam::AccessKeyMetadata {
        user_name: user.into(),
        access_key_id: id.into(),
        status: "Active".into(),
        create_date: Time(0),
    }
}

/// Ada has one key; root has the one that signs. `secret` is what a new key's secret is said to be.
fn answer(call: &iam::Call, secret: &str) -> Result<Response, Error> {
    use iam::Call as C;
    let ada = iam::User { user_name: "ada".into(), arn: ADA.into(), ..Default::default() };
    match call {
        C::ListUsers(_) => {
            answered::<iam::ListUsers>(iam::ListUsersOutput { users: vec![ada].into(), ..Default::default() })
        }
        C::GetUser(_) => answered::<iam::GetUser>(iam::GetUserOutput { user: ada }),
        C::CreateUser(_) => Err(Error::told(409, "EntityAlreadyExists", "User with name ada already exists.")),
        C::DeleteUser(_) => answered::<iam::DeleteUser>(iam::DeleteUserOutput {}),
        C::ListAccessKeys(input) => {
            let held = if input.user_name.is_some() { metadata("ada", "AKADA") } else { metadata("root", "AK") };
            let access_key_metadata = vec![held].into();
            answered::<iam::ListAccessKeys>(iam::ListAccessKeysOutput { access_key_metadata, ..Default::default() })
        }
        C::GetAccessKeyLastUsed(input) => {
            let user_name = (input.access_key_id == "AKADA").then(|| "ada".to_owned());
            let output = iam::GetAccessKeyLastUsedOutput { user_name, ..Default::default() };
            answered::<iam::GetAccessKeyLastUsed>(output)
        }
        C::CreateAccessKey(input) => {
            let access_key = iam::AccessKey {
                user_name: input.user_name.clone().unwrap_or_else(|| "root".into()),
                access_key_id: "AKNEW".into(),
                secret_access_key: secret.into(),
                ..Default::default()
            };
            answered::<iam::CreateAccessKey>(iam::CreateAccessKeyOutput { access_key })
        }
        C::UpdateAccessKey(_) => answered::<iam::UpdateAccessKey>(iam::UpdateAccessKeyOutput {}),
        C::DeleteAccessKey(_) => answered::<iam::DeleteAccessKey>(iam::DeleteAccessKeyOutput {}),
        C::ListPolicies(_) => {
            let policy = iam::Policy { policy_name: "Look".into(), arn: "arn:p/Look".into(), ..Default::default() };
            answered::<iam::ListPolicies>(iam::ListPoliciesOutput {
                policies: vec![policy].into(),
                ..Default::default()
            })
        }
        C::AttachUserPolicy(_) => answered::<iam::AttachUserPolicy>(iam::AttachUserPolicyOutput {}),
        C::DetachUserPolicy(_) => answered::<iam::DetachUserPolicy>(iam::DetachUserPolicyOutput {}),
        C::PutUserPolicy(_) => answered::<iam::PutUserPolicy>(iam::PutUserPolicyOutput {}),
        C::DeleteUserPolicy(_) => answered::<iam::DeleteUserPolicy>(iam::DeleteUserPolicyOutput {}),
        C::ListAttachedUserPolicies(_) => {
            let held = iam::AttachedPolicy { policy_name: "Look".into(), policy_arn: "arn:p/Look".into() };
            let output =
                iam::ListAttachedUserPoliciesOutput { attached_policies: vec![held].into(), ..Default::default() };
            answered::<iam::ListAttachedUserPolicies>(output)
        }
        C::ListUserPolicies(_) => {
            let policy_names = vec!["mine".to_owned()].into();
            answered::<iam::ListUserPolicies>(iam::ListUserPoliciesOutput { policy_names, ..Default::default() })
        }
        C::CreatePolicy(_) => Err(Error::told(409, "EntityAlreadyExists", "A policy called Look already exists.")),
        C::ListPolicyVersions(_) => {
            let version = |n: u64| iam::PolicyVersion {
                version_id: format!("v{n}"),
                is_default_version: n == 2,
                ..Default::default()
            };
            let versions = [12, 11, 10, 9, 2].map(version).to_vec().into();
            answered::<iam::ListPolicyVersions>(iam::ListPolicyVersionsOutput { versions, ..Default::default() })
        }
        C::DeletePolicyVersion(input) => {
            assert_eq!(input.version_id, "v9", "the oldest that is not in force");
            answered::<iam::DeletePolicyVersion>(iam::DeletePolicyVersionOutput {})
        }
        C::GetPolicy(_) => {
            let policy =
                iam::Policy { arn: "arn:p/Look".into(), default_version_id: "v2".into(), ..Default::default() };
            answered::<iam::GetPolicy>(iam::GetPolicyOutput { policy })
        }
        C::GetPolicyVersion(_) => {
            let policy_version =
                iam::PolicyVersion { document: Some("%7B%22a%22%3A1%7D".into()), ..Default::default() };
            answered::<iam::GetPolicyVersion>(iam::GetPolicyVersionOutput { policy_version })
        }
        C::GetUserPolicy(_) => {
            let policy_document = "%7B%22a%22%3A1%7D".into();
            answered::<iam::GetUserPolicy>(iam::GetUserPolicyOutput { policy_document, ..Default::default() })
        }
        C::SimulateCustomPolicy(input) if input.policy_input_list[0].contains("bad") => {
            Err(Error::told(400, "InvalidInput", "PolicyInputList.1: it is bad."))
        }
        C::SimulateCustomPolicy(_) => answered::<iam::SimulateCustomPolicy>(iam::SimulateCustomPolicyOutput::default()),
        C::CreatePolicyVersion(_) => answered::<iam::CreatePolicyVersion>(iam::CreatePolicyVersionOutput::default()),
        C::SimulatePrincipalPolicy(input) => {
            let by = iam::Statement { source_policy_id: "mine".into(), source_policy_type: "user".into() };
            let (decision, matched) = match input.action_names[0].as_str() {
                "s:Yes" => ("allowed", vec![by]),
                "s:Never" => ("explicitDeny", vec![by]),
                _ => ("implicitDeny", Vec::new()),
            };
            let result = iam::EvaluationResult {
                eval_decision: decision.into(),
                matched_statements: matched.into(),
                ..Default::default()
            };
            let output =
                iam::SimulatePrincipalPolicyOutput { evaluation_results: vec![result].into(), ..Default::default() };
            answered::<iam::SimulatePrincipalPolicy>(output)
        }
        other => panic!("{}", other.name()),
    }
}

fn stage(secret: &'static str) -> Stage {
    Stage::new(move |call| match call {
        Call::Iam(call) => answer(call, secret),
        Call::Sts(_) => {
            let arn = "arn:aws:iam::000000000000:root".into();
            answered::<sts::GetCallerIdentity>(sts::GetCallerIdentityOutput { arn, ..Default::default() })
        }
        other => panic!("{}", other.name()),
    })
}

fn ran(stage: &Stage, line: &str) -> Ran {
    let words = std::iter::once("evenkeel").chain(line.split(' '));
    match Cli::try_parse_from(words).expect(line).command {
        Command::Key(args) => stage.run(|client, streams| run(&args, client, streams)),
        Command::User(args) => stage.run(|client, streams| user::run(&args, client, streams)),
        Command::Policy(args) => stage.run(|client, streams| policy::run(&args, client, streams)),
        _ => panic!("{line}"),
    }
}

#[test]
fn a_key_is_made_for_a_user_with_policies_and_told_once() {
    let stage = stage(SECRET);
    let made = ran(&stage, "key create ada --policy Look");
    let out = format!("user               ada\naccess key id      AKNEW\nsecret access key  {SECRET}\n");
    let err = "keep the secret now: it is not shown again\n";
    assert_eq!(made, Ran { outcome: Outcome::Done, out, err: err.into() });
    // Policies are found before anything is made, and a user who is there already is none the worse.
    assert_eq!(stage.names(), ["ListPolicies", "CreateUser", "AttachUserPolicy", "CreateAccessKey"]);
    let json: Value = serde_json::from_str(&ran(&stage, "key create ada --json").out).unwrap();
    assert_eq!((&json["user"], &json["secret_access_key"]), (&json!("ada"), &json!(SECRET)));
    let script = ran(&stage, "key create ada --env").out;
    assert!(script.contains("export AWS_ACCESS_KEY_ID='AKNEW'\n") && script.contains("AWS_ENDPOINT_URL"), "{script}");
    stage.names();
    let absent = ran(&stage, "key create ada --policy Nope");
    assert!(absent.err.contains("there is none of that name\nhint: `evenkeel policy list`"), "{}", absent.err);
    assert_eq!(stage.names(), ["ListPolicies"]);
}

#[test]
fn a_rotation_proves_the_new_key_before_the_old_one_goes() {
    let good = stage(SECRET);
    let rotated = ran(&good, "key rotate");
    assert_eq!(rotated.outcome, Outcome::Done, "{}", rotated.err);
    assert!(rotated.out.contains("access key id      AKNEW\n"), "{}", rotated.out);
    let calls = good.calls();
    let names: Vec<&str> = calls.iter().map(Call::name).collect();
    let expected = [
        "ListAccessKeys",
        "GetCallerIdentity",
        "CreateAccessKey",
        "GetCallerIdentity",
        "UpdateAccessKey",
        "DeleteAccessKey",
    ];
    assert_eq!(names, expected);
    let Some(Call::Iam(iam::Call::DeleteAccessKey(gone))) = calls.last() else { panic!("{calls:?}") };
    assert_eq!(gone.access_key_id, "AK");

    let bad = stage("another");
    let failed = ran(&bad, "key rotate");
    assert!(failed.err.contains("the new one does not work, so the old one stays"), "{}", failed.err);
    assert_eq!((failed.outcome, failed.out), (Outcome::Failed, String::new()));
    let calls = bad.calls();
    let Some(Call::Iam(iam::Call::DeleteAccessKey(gone))) = calls.last() else { panic!("{calls:?}") };
    assert_eq!(gone.access_key_id, "AKNEW");
    let unknown = ran(&bad, "key rotate ada --key AKNOPE");
    assert!(unknown.err.contains("it is not AKNOPE"), "{}", unknown.err);
    // A key that speaks for somebody else is no proof.
    let other = ran(&good, "key rotate ada");
    assert!(other.err.contains("it speaks for arn:aws:iam::000000000000:root"), "{}", other.err);
}

#[test]
fn keys_are_listed_switched_and_deleted_as_their_users() {
    let stage = stage(SECRET);
    let expected = "\
USER  ACCESS KEY  STATUS  CREATED                   LAST USED
ada   AKADA       Active  1970-01-01T00:00:00.000Z  -
root  AK          Active  1970-01-01T00:00:00.000Z  -
";
    assert_eq!(ran(&stage, "key list").out, expected);
    stage.calls();
    for line in ["key disable AKADA", "key enable AKADA", "key delete AK"] {
        assert_eq!(ran(&stage, line).outcome, Outcome::Done, "{line}");
    }
    let changes: Vec<(Option<String>, String)> = stage
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Iam(iam::Call::UpdateAccessKey(input)) => Some((input.user_name, input.status)),
            Call::Iam(iam::Call::DeleteAccessKey(input)) => Some((input.user_name, input.access_key_id)),
            _ => None,
        })
        .collect();
    let ada = || Some("ada".to_owned());
    assert_eq!(changes, [(ada(), "Inactive".into()), (ada(), "Active".into()), (None, "AK".into())]);
}

#[test]
fn what_a_user_may_do_is_told_with_the_policy_that_decides() {
    let stage = stage(SECRET);
    let check = |action: &str, outcome: Outcome, out: &str| {
        let told = ran(&stage, &format!("key can ada {action} arn:x"));
        assert_eq!(told, Ran { outcome, out: out.into(), err: String::new() }, "{action}");
    };
    check("s:Yes", Outcome::Done, "yes: mine allows it\n");
    check("s:No", Outcome::Failed, "no: no policy allows it\n");
    check("s:Never", Outcome::Failed, "no: mine denies it\n");
    let json: Value = serde_json::from_str(&ran(&stage, "key can ada s:No --json").out).unwrap();
    assert_eq!((&json["allowed"], &json["resource"], &json["policy"]), (&json!(false), &json!("*"), &Value::Null));
}

#[test]
fn a_user_goes_with_all_that_is_its_own_and_a_full_policy_makes_room() {
    let stage = stage(SECRET);
    assert_eq!(ran(&stage, "user delete ada").outcome, Outcome::Done);
    let names = stage.names();
    let writes: Vec<&&str> = names.iter().filter(|name| !name.starts_with("List")).collect();
    assert_eq!(writes, [&"DeleteAccessKey", &"DetachUserPolicy", &"DeleteUserPolicy", &"DeleteUser"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("look.json");
    std::fs::write(&file, "{}").unwrap();
    let put = ran(&stage, &format!("policy put Look {}", file.display()));
    assert_eq!((put.outcome, &*put.out), (Outcome::Done, "arn:p/Look\n"));
    let names = stage.names();
    assert_eq!(
        names,
        [
            "CreatePolicy",
            "ListPolicies",
            "GetPolicy",
            "GetPolicyVersion",
            "ListPolicyVersions",
            "DeletePolicyVersion",
            "CreatePolicyVersion"
        ]
    );
    // What says the same needs no other version.
    std::fs::write(&file, "{ \"a\": 1 }").unwrap();
    assert_eq!(ran(&stage, &format!("policy put Look {}", file.display())).out, "arn:p/Look\n");
    assert_eq!(stage.names(), ["CreatePolicy", "ListPolicies", "GetPolicy", "GetPolicyVersion"]);
    for (line, call) in [
        ("policy detach ada Look", "DetachUserPolicy"),
        ("policy detach ada mine", "DeleteUserPolicy"),
        ("policy attach ada Look", "AttachUserPolicy"),
    ] {
        assert_eq!(ran(&stage, line).outcome, Outcome::Done, "{line}");
        assert_eq!(stage.names().last(), Some(&call), "{line}");
    }
    let shown = ran(&stage, "user show ada").out;
    assert!(shown.contains("policy      arn:p/Look\npolicy      mine (its own)\n"), "{shown}");
}

#[test]
fn a_dry_run_prints_the_difference_and_calls_nothing_that_writes() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let (mine, bad) = (file("mine.json", "{ \"a\": 2 }"), file("bad.json", "{ \"bad\": 2 }"));
    let check = |line: &str, outcome: Outcome, out: &str, err: &str| {
        let stage = stage(SECRET);
        assert_eq!(ran(&stage, line), Ran { outcome, out: out.into(), err: err.into() }, "{line}");
        let reads = ["List", "Get", "Simulate"];
        let writes = |name: &&str| !reads.iter().any(|read| name.starts_with(read));
        assert_eq!(stage.names().into_iter().filter(writes).collect::<Vec<_>>(), [""; 0], "{line}");
    };
    let done = |line: &str, out: &str| check(line, Outcome::Done, out, "");
    done("key create ada --policy Look --dry-run", "would change ada:\n+ access key  (new) Active\n");
    let out =
        "would change ada:\n- policy      mine {\"a\":1}\n+ policy      mine {\"a\":2}\n+ access key  (new) Active\n";
    done(&format!("key create ada --policy {mine} --dry-run"), out);
    let out = "would change ada:\n- access key  AKADA Active\n+ access key  AKADA Inactive\n";
    done("key disable AKADA --dry-run", out);
    done("key enable AKADA --dry-run", "nothing would change of ada\n");
    done("key delete AKADA --dry-run", "would change ada:\n- access key  AKADA Active\n");
    let out = "would change root:\n- access key  AK Active\n+ access key  (new) Active\n";
    done("key rotate --dry-run", out);
    let out = "would delete ada:\n- user        ada\n- access key  AKADA Active\n- policy      arn:p/Look\n\
               - policy      mine {\"a\":1}\n";
    done("user delete ada --dry-run", out);
    done("policy attach ada Look --dry-run", "nothing would change of ada\n");
    done(
        "policy detach ada Look mine --dry-run",
        "would change ada:\n- policy  arn:p/Look\n- policy  mine {\"a\":1}\n",
    );
    let out = "would change Look:\n- policy  Look {\"a\":1}\n+ policy  Look {\"a\":2}\n";
    done(&format!("policy put Look {mine} --dry-run"), out);
    done(&format!("policy put Other {mine} --dry-run"), "would create Other:\n+ policy  Other {\"a\":2}\n");
    let err =
        "error: failed to put the policy `Look`: it would be refused: InvalidInput: PolicyInputList.1: it is bad.\n";
    check(&format!("policy put Look {bad} --dry-run"), Outcome::Failed, "", err);
    let err = "error: failed to change the access key AK: it would be refused: DeleteConflict: AK is root's last active \
               access key: make another one first.\nhint: `evenkeel key rotate` exchanges it\n";
    check("key delete AK --dry-run", Outcome::Failed, "", err);
}
