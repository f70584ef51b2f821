//! `evenkeel key`, `user` and `policy` with the whole product: a user's key does what its policies allow and no more, switched off
//! it does nothing, exchanged the new one does what the old one did; and root's own, from the data directory on.

use std::process::{Command, Output};

use crate::rig::{PROGRAM, Rig};

/// Runs a command with root's keys from the data directory, or with others.
fn evenkeel(rig: &Rig, line: &str, keys: Option<&Pair>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(line.split(' ')).arg("--data-dir").arg(rig.data_dir()).env_clear();
    if let Some(Pair { id, secret }) = keys {
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    }
    command.output().unwrap()
}

struct Pair {
    id: String,
    secret: String,
}

impl Pair {
    fn of(json: &str) -> Self {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self { id: text("access_key_id"), secret: text("secret_access_key") }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn done(rig: &Rig, line: &str, keys: Option<&Pair>) -> String {
    let output = evenkeel(rig, line, keys);
    assert!(output.status.success(), "{line}: {}\n{}", text(&output.stderr), rig.log());
    text(&output.stdout)
}

fn refused(rig: &Rig, line: &str, keys: Option<&Pair>, why: &str) {
    let output = evenkeel(rig, line, keys);
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains(why), "{line}: {err}");
}

#[test]
fn keys_do_what_policies_allow_until_they_are_exchanged_or_taken_away() {
    let rig = Rig::start();
    rig.balancer("web", &["us-east-1a"]);
    let delete = "lb delete web";
    let action = "elasticloadbalancing:DeleteLoadBalancer";
    let foretold = done(&rig, "key create ada --policy ElasticLoadBalancingReadOnly --dry-run", None);
    let policy = "policy      arn:aws:iam::aws:policy/ElasticLoadBalancingReadOnly";
    assert_eq!(foretold, format!("would create ada:\n+ user        ada\n+ {policy}\n+ access key  (new) Active\n"));
    refused(&rig, "user show ada", None, "hint: `evenkeel user list` shows all users");
    let ada = Pair::of(&done(&rig, "key create ada --policy ElasticLoadBalancingReadOnly --json", None));
    assert!(done(&rig, "lb list", Some(&ada)).contains("web"));
    refused(&rig, delete, Some(&ada), "AccessDenied: ");
    let said = evenkeel(&rig, &format!("key can ada {action} arn:aws:x"), None);
    assert_eq!((said.status.code(), text(&said.stdout)), (Some(1), "no: no policy allows it\n".into()));

    // A policy of her own that allows one balancer, and one for all that forbids.
    let (mine, never) = (rig.file("mine.json"), rig.file("never.json"));
    let document = |effect: &str, resource: &str| {
        format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"{effect}\", \"Action\": \
             \"elasticloadbalancing:*\", \"Resource\": \"{resource}\"}}]}}"
        )
    };
    std::fs::write(&mine, document("Allow", "arn:aws:elasticloadbalancing:*:*:loadbalancer/test-*")).unwrap();
    std::fs::write(&never, document("Deny", "arn:aws:elasticloadbalancing:*:*:loadbalancer/test-2")).unwrap();
    done(&rig, &format!("policy put mine {} --user ada", mine.display()), None);
    let arn = done(&rig, &format!("policy put never {}", never.display()), None);
    done(&rig, "policy attach ada never", None);
    let can = |resource: &str| text(&evenkeel(&rig, &format!("key can ada {action} {resource}"), None).stdout);
    assert_eq!(can("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/test-1"), "yes: mine allows it\n");
    let said = can("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/test-2");
    assert_eq!(said, format!("no: {} denies it\n", arn.trim()));
    refused(&rig, "lb delete test-2", Some(&ada), "AccessDenied: ");
    done(&rig, "lb delete test-1", Some(&ada));
    let shown = done(&rig, "user show ada", None);
    assert!(shown.contains("policy      mine (its own)\n") && shown.contains(arn.trim()), "{shown}");
    assert!(done(&rig, "policy show mine --user ada", None).contains("loadbalancer/test-*"));
    // Put again it is another version; in use it stays.
    std::fs::write(&never, document("Deny", "arn:aws:elasticloadbalancing:*:*:loadbalancer/test-3")).unwrap();
    assert_eq!(done(&rig, &format!("policy put never {}", never.display()), None), arn);
    done(&rig, "lb delete test-2", Some(&ada));
    assert!(done(&rig, "policy show never", None).contains("test-3"));
    refused(&rig, "policy delete never", None, "hint: `evenkeel policy detach");
    // What would be refused is, in the same words.
    refused(&rig, "policy delete never --dry-run", None, "it would be refused: DeleteConflict: Cannot delete a policy");
    let bad = rig.file("bad.json");
    std::fs::write(&bad, "{\"Statement\": 1}").unwrap();
    refused(&rig, &format!("policy put bad {} --dry-run", bad.display()), None, "it would be refused: InvalidInput: ");
    refused(&rig, &format!("policy put bad {}", bad.display()), None, "MalformedPolicyDocument: ");

    done(&rig, &format!("key disable {}", ada.id), None);
    refused(&rig, "lb list", Some(&ada), "InvalidClientTokenId");
    done(&rig, &format!("key enable {}", ada.id), None);
    let next = Pair::of(&done(&rig, "key rotate ada --json", None));
    refused(&rig, "lb list", Some(&ada), "InvalidClientTokenId");
    done(&rig, "lb list", Some(&next));
    refused(&rig, "key rotate", Some(&next), "AccessDenied: ");
    let listed = done(&rig, "key list", None);
    assert!(listed.contains(&next.id) && !listed.contains(&ada.id) && listed.contains("root"), "{listed}");

    // Root's: the next command finds the new one where the old one was.
    let root = Pair { id: rig.credentials.access_key_id.clone(), secret: rig.credentials.secret_access_key.clone() };
    let made = Pair::of(&done(&rig, "key rotate --json", None));
    assert_ne!(made.id, root.id);
    refused(&rig, "lb list", Some(&root), "InvalidClientTokenId");
    done(&rig, "lb list", Some(&made));
    done(&rig, "lb list", None);
    refused(&rig, &format!("key delete {}", made.id), None, "hint: `evenkeel key rotate` exchanges it");

    done(&rig, "user delete ada", None);
    refused(&rig, "lb list", Some(&next), "InvalidClientTokenId");
    done(&rig, "policy delete never", None);
    assert!(!done(&rig, "policy list", None).contains("never"));
    refused(&rig, "user show ada", None, "hint: `evenkeel user list` shows all users");
}
