//! IAM's users, access keys and policies: their life, their refusals, and root's own keys.

use evenkeel_aws::iam;

use super::*;

pub const LOOK: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"elasticloadbalancing:Describe*","Resource":"*"}]}"#;

pub fn user(name: &str) -> iam::CreateUser {
    iam::CreateUser { user_name: name.into(), ..Default::default() }
}

pub fn put(user: &str, policy: &str, document: &str) -> iam::PutUserPolicy {
    iam::PutUserPolicy { user_name: user.into(), policy_name: policy.into(), policy_document: document.into() }
}

impl Rig {
    /// A new user with a key.
    pub async fn user(&self, name: &str) -> Credentials {
        self.ok(user(name)).await;
        self.key(Some(name)).await
    }

    pub async fn key(&self, of: Option<&str>) -> Credentials {
        let made = self.ok(iam::CreateAccessKey { user_name: of.map(ToOwned::to_owned) }).await.access_key;
        assert_eq!((made.status.as_str(), made.user_name.as_str()), ("Active", of.unwrap_or("root")));
        Credentials {
            access_key_id: made.access_key_id,
            secret_access_key: made.secret_access_key,
            session_token: None,
        }
    }
}

#[tokio::test]
async fn a_user_is_made_shown_renamed_tagged_and_deleted() {
    let rig = Rig::start().await;
    let tags = vec![iam::Tag { key: "team".into(), value: "web".into() }];
    let made = iam::CreateUser { path: Some("/ops/".into()), tags: tags.clone().into(), ..user("ann") };
    let made = rig.ok(made).await.user;
    assert_eq!((made.arn, made.path), (format!("arn:aws:iam::{ACCOUNT}:user/ops/ann"), "/ops/".into()));
    assert!(made.user_id.starts_with("AIDA") && made.user_id.len() == 21);
    let get = |name: &str| iam::GetUser { user_name: Some(name.into()) };
    assert_eq!(rig.ok(get("ann")).await.user.tags.0, tags);
    rig.no(user("ANN"), 409, "EntityAlreadyExists", "User with name ANN already exists.").await;
    rig.no(user("a b"), 400, "ValidationError", "userName").await;
    rig.no(get("bob"), 404, "NoSuchEntity", "The user with name bob cannot be found.").await;
    let boundary = iam::CreateUser { permissions_boundary: Some("arn:aws:iam::aws:policy/X".into()), ..user("b") };
    rig.no(boundary, 400, "InvalidInput", "boundaries").await;
    rig.ok(user("bob")).await;
    let list = |prefix: Option<&str>, max, marker| iam::ListUsers {
        path_prefix: prefix.map(ToOwned::to_owned),
        max_items: max,
        marker,
    };
    let first = rig.ok(list(None, Some(1), None)).await;
    assert_eq!((first.users[0].user_name.as_str(), first.is_truncated), ("ann", true));
    let rest = rig.ok(list(None, Some(1), first.marker)).await;
    assert_eq!((rest.users[0].user_name.as_str(), rest.is_truncated, rest.marker), ("bob", false, None));
    assert_eq!(rig.ok(list(Some("/ops/"), None, None)).await.users.len(), 1);
    let renamed = iam::UpdateUser { user_name: "ann".into(), new_user_name: Some("anna".into()), new_path: None };
    rig.ok(renamed).await;
    assert_eq!(rig.ok(get("anna")).await.user.user_id, made.user_id);
    let groups = iam::ListGroupsForUser { user_name: "anna".into(), ..Default::default() };
    assert!(rig.ok(groups).await.groups.is_empty());
    let delete = |name: &str| iam::DeleteUser { user_name: name.into() };
    let key = rig.key(Some("anna")).await;
    rig.no(delete("anna"), 409, "DeleteConflict", "must delete access keys first").await;
    let gone = iam::DeleteAccessKey { user_name: Some("anna".into()), access_key_id: key.access_key_id };
    rig.ok(gone).await;
    rig.ok(delete("anna")).await;
    rig.no(delete("anna"), 404, "NoSuchEntity", "anna").await;
}

#[tokio::test]
async fn a_users_secret_is_shown_once_and_sealed_wherever_it_rests() {
    let rig = Rig::start().await;
    let key = rig.user("ann").await;
    let world = rig.keeper.world();
    let rows = serde_json::to_string(&world.rows().collect::<Vec<_>>()).unwrap();
    assert!(rows.contains(&key.access_key_id) && !rows.contains(&key.secret_access_key), "{rows}");
    let who = || evenkeel_aws::sts::GetCallerIdentity {};
    let ann = rig.call_as(&key, who()).await.unwrap();
    assert_eq!(ann.arn, format!("arn:aws:iam::{ACCOUNT}:user/ann"));
    let status = |status: &str| iam::UpdateAccessKey {
        user_name: Some("ann".into()),
        access_key_id: key.access_key_id.clone(),
        status: status.into(),
    };
    rig.no(status("Off"), 400, "ValidationError", "[Active, Inactive]").await;
    rig.ok(status("Inactive")).await;
    assert_eq!(rig.call_as(&key, who()).await.unwrap_err().code, "InvalidClientTokenId");
    rig.ok(status("Active")).await;
    rig.call_as(&key, who()).await.unwrap();
    let used = iam::GetAccessKeyLastUsed { access_key_id: key.access_key_id.clone() };
    let used = rig.ok(used).await;
    assert_eq!((used.user_name.as_deref(), used.access_key_last_used.service_name.as_str()), (Some("ann"), "sts"));
    rig.key(Some("ann")).await;
    let third = iam::CreateAccessKey { user_name: Some("ann".into()) };
    rig.no(third, 409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2").await;
    let of_bob = iam::DeleteAccessKey { user_name: Some("ann".into()), access_key_id: "AKIABOBBOBBOBBOBBOBB".into() };
    rig.no(of_bob, 404, "NoSuchEntity", "AKIABOBBOBBOBBOBBOBB").await;
}

#[tokio::test]
async fn root_rotates_its_keys_and_keeps_one() {
    let rig = Rig::start().await;
    let old = rig.credentials.clone();
    let new = rig.key(None).await;
    let on_disk = || Keys::read(rig.dir.path()).unwrap().credentials();
    assert_eq!(on_disk(), new);
    let list = || iam::ListAccessKeys::default();
    assert_eq!(rig.call_as(&new, list()).await.unwrap().access_key_metadata.len(), 2);
    let quota = "AccessKeysPerUser";
    rig.no(iam::CreateAccessKey::default(), 409, "LimitExceeded", quota).await;
    let delete = |id: &str| iam::DeleteAccessKey { user_name: None, access_key_id: id.into() };
    rig.call_as(&new, delete(&old.access_key_id)).await.unwrap();
    assert_eq!(rig.call(list()).await.unwrap_err().code, "InvalidClientTokenId");
    let last = rig.call_as(&new, delete(&new.access_key_id)).await.unwrap_err();
    assert_eq!((&*last.code, last.status), ("DeleteConflict", 409), "{last}");
    let shown = rig.call_as(&new, list()).await.unwrap().access_key_metadata;
    assert_eq!((shown.len(), shown[0].access_key_id.as_str()), (1, new.access_key_id.as_str()));
    // Nobody but root reaches root's keys, whatever they are allowed.
    let ann = {
        let made = rig.call_as(&new, user("ann")).await.unwrap().user;
        let attach = iam::AttachUserPolicy {
            user_name: made.user_name,
            policy_arn: "arn:aws:iam::aws:policy/AdministratorAccess".into(),
        };
        rig.call_as(&new, attach).await.unwrap();
        let key = iam::CreateAccessKey { user_name: Some("ann".into()) };
        let key = rig.call_as(&new, key).await.unwrap().access_key;
        Credentials { access_key_id: key.access_key_id, secret_access_key: key.secret_access_key, session_token: None }
    };
    let of_root = iam::CreateAccessKey { user_name: Some("root".into()) };
    assert_eq!(rig.call_as(&ann, of_root).await.unwrap_err().code, "NoSuchEntity");
    assert_eq!(rig.call_as(&ann, delete(&new.access_key_id)).await.unwrap_err().code, "NoSuchEntity");
}

#[tokio::test]
async fn policies_are_checked_and_come_back_as_they_were() {
    let rig = Rig::start().await;
    rig.ok(user("ann")).await;
    let no = |document: &'static str| (put("ann", "own", document), 400, "MalformedPolicyDocument");
    for (document, text) in [
        ("{", "Syntax errors in policy."),
        (r#"{"Version":"2012-10-17","Statement":[]}"#, "at least one statement"),
        (r#"{"Statement":[{"Effect":"Allow","Action":"x","Resource":"*"}]}"#, "prefaced by a vendor"),
        (r#"{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"shop"}]}"#, "must be in ARN format"),
    ] {
        let (input, status, code) = no(document);
        rig.no(input, status, code, text).await;
    }
    rig.ok(put("ann", "own", LOOK)).await;
    let get = |policy: &str| iam::GetUserPolicy { user_name: "ann".into(), policy_name: policy.into() };
    let text = rig.ok(get("own")).await.policy_document;
    assert!(text.starts_with("%7B%22Version%22%3A"), "{text}");
    rig.no(get("none"), 404, "NoSuchEntity", "The user policy with name none cannot be found.").await;
    let names = iam::ListUserPolicies { user_name: "ann".into(), ..Default::default() };
    assert_eq!(rig.ok(names).await.policy_names.0, ["own"]);
}

#[tokio::test]
async fn a_managed_policy_lives_through_versions_and_attachments() {
    let rig = Rig::start().await;
    rig.ok(user("ann")).await;
    let create = |name: &str| iam::CreatePolicy {
        policy_name: name.into(),
        path: Some("/web/".into()),
        policy_document: LOOK.into(),
        description: Some("what web may".into()),
        ..Default::default()
    };
    let made = rig.ok(create("look")).await.policy;
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/web/look");
    assert_eq!((made.arn.as_str(), made.default_version_id.as_str(), made.attachment_count), (arn.as_str(), "v1", 0));
    rig.no(create("Look"), 409, "EntityAlreadyExists", "A policy called Look already exists.").await;
    let version = iam::CreatePolicyVersion {
        policy_arn: arn.clone(),
        policy_document: LOOK.replace("Describe", "Set"),
        set_as_default: Some(true),
    };
    assert_eq!(rig.ok(version).await.policy_version.version_id, "v2");
    let versions = iam::ListPolicyVersions { policy_arn: arn.clone(), ..Default::default() };
    let shown = rig.ok(versions).await.versions;
    let shown: Vec<_> = shown.iter().map(|v| (v.version_id.as_str(), v.is_default_version)).collect();
    assert_eq!(shown, [("v2", true), ("v1", false)]);
    let get = |version: &str| iam::GetPolicyVersion { policy_arn: arn.clone(), version_id: version.into() };
    assert!(rig.ok(get("v2")).await.policy_version.document.unwrap().contains("%3ASet%2A"));
    rig.no(get("v9"), 404, "NoSuchEntity", "version v9 does not exist").await;
    let attach = |arn: &str| iam::AttachUserPolicy { user_name: "ann".into(), policy_arn: arn.into() };
    rig.ok(attach(&arn)).await;
    rig.ok(attach("arn:aws:iam::aws:policy/ReadOnlyAccess")).await;
    rig.no(attach("arn:aws:iam::aws:policy/Nothing"), 404, "NoSuchEntity", "was not found").await;
    rig.no(attach("nonsense"), 400, "InvalidInput", "nonsense").await;
    let attached = iam::ListAttachedUserPolicies { user_name: "ann".into(), ..Default::default() };
    let attached = rig.ok(attached).await.attached_policies;
    let names: Vec<_> = attached.iter().map(|p| p.policy_name.as_str()).collect();
    assert_eq!(names, ["look", "ReadOnlyAccess"]);
    let entities = iam::ListEntitiesForPolicy { policy_arn: arn.clone(), ..Default::default() };
    assert_eq!(rig.ok(entities).await.policy_users[0].user_name, "ann");
    let delete = || iam::DeletePolicy { policy_arn: arn.clone() };
    rig.no(delete(), 409, "DeleteConflict", "attached to entities").await;
    let predefined = iam::DeletePolicy { policy_arn: "arn:aws:iam::aws:policy/ReadOnlyAccess".into() };
    rig.no(predefined, 403, "AccessDenied", "predefined").await;
    let detach = || iam::DetachUserPolicy { user_name: "ann".into(), policy_arn: arn.clone() };
    rig.ok(detach()).await;
    rig.no(detach(), 404, "NoSuchEntity", "was not found").await;
    rig.no(delete(), 409, "DeleteConflict", "more than one version").await;
    rig.ok(iam::DeletePolicyVersion { policy_arn: arn.clone(), version_id: "v1".into() }).await;
    rig.ok(delete()).await;
    let list = |scope: &str, attached| iam::ListPolicies {
        scope: Some(scope.into()),
        only_attached: attached,
        ..Default::default()
    };
    assert!(rig.ok(list("Local", None)).await.policies.is_empty());
    let used = rig.ok(list("AWS", Some(true))).await.policies;
    assert_eq!(used.iter().map(|p| p.policy_name.as_str()).collect::<Vec<_>>(), ["ReadOnlyAccess"]);
}

#[tokio::test]
async fn policies_are_tried_out_as_calls_would_be() {
    let rig = Rig::start().await;
    rig.user("ann").await;
    rig.ok(put("ann", "look", LOOK)).await;
    let try_out = |actions: &[&str], more: &[&str]| iam::SimulatePrincipalPolicy {
        policy_source_arn: format!("arn:aws:iam::{ACCOUNT}:user/ann"),
        policy_input_list: more.iter().map(ToString::to_string).collect(),
        action_names: actions.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let (look, delete) = ("elasticloadbalancing:DescribeTags", "elasticloadbalancing:DeleteLoadBalancer");
    let results = rig.ok(try_out(&[look, delete], &[])).await.evaluation_results;
    let decided: Vec<_> = results.iter().map(|r| (r.eval_action_name.as_str(), r.eval_decision.as_str())).collect();
    assert_eq!(decided, [(look, "allowed"), (delete, "implicitDeny")]);
    assert_eq!(results[0].matched_statements[0].source_policy_id, "look");
    let deny = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let results = rig.ok(try_out(&[look], &[deny])).await.evaluation_results;
    assert_eq!(results[0].eval_decision, "explicitDeny");
    rig.no(try_out(&["nonsense"], &[]), 400, "InvalidInput", "service:Action").await;
    rig.no(try_out(&[look], &["{"]), 400, "InvalidInput", "PolicyInputList.1").await;
    let nobody = iam::SimulatePrincipalPolicy { policy_source_arn: "ann".into(), ..try_out(&[look], &[]) };
    rig.no(nobody, 404, "NoSuchEntity", "ARN of a user").await;
    let many: Vec<String> = (0..101).map(|n| format!("a:B{n}")).collect();
    let too_many = iam::SimulatePrincipalPolicy {
        action_names: many.clone().into(),
        resource_arns: many.iter().cloned().collect(),
        ..try_out(&[], &[])
    };
    rig.no(too_many, 400, "InvalidInput", "At most 10000 actions times resources").await;
    let long = format!("a:{}", "x".repeat(127));
    rig.no(try_out(&[&long], &[]), 400, "ValidationError", "actionNames").await;
    let long = iam::SimulatePrincipalPolicy { resource_arns: vec!["r".repeat(2049)].into(), ..try_out(&[look], &[]) };
    rig.no(long, 400, "ValidationError", "resourceArns").await;
    // Pages neither repeat nor hide, whatever their size.
    let mut page = iam::SimulatePrincipalPolicy {
        action_names: vec![look.to_owned(), delete.to_owned()].into(),
        resource_arns: vec!["*".to_owned(), "arn:aws:x".to_owned()].into(),
        max_items: Some(3),
        ..try_out(&[], &[])
    };
    let first = rig.ok(page.clone()).await;
    page.marker = first.marker;
    let rest = rig.ok(page).await;
    assert_eq!((first.evaluation_results.len(), first.is_truncated, rest.is_truncated), (3, true, false));
    let last = &rest.evaluation_results[0];
    assert_eq!((last.eval_action_name.as_str(), last.eval_resource_name.as_str()), (delete, "arn:aws:x"));
    let boundary = iam::SimulateCustomPolicy {
        permissions_boundary_policy_input_list: vec![LOOK.to_owned()].into(),
        ..Default::default()
    };
    rig.no(boundary, 400, "InvalidInput", "boundaries").await;
}
