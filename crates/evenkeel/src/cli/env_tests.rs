//! What is printed survives a real shell, and what is written is private.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use evenkeel_aws::Credentials;

use super::*;
use crate::cli::stage::{Canned, Stage};

const NASTY: &str = "a'b\"c $(touch x) `id` \\n\\ %d ; & é\t*~!#";

fn settings(secret: &str) -> Settings {
    Settings {
        endpoint: "http://127.0.0.1:7480".parse().unwrap(),
        credentials: Credentials { access_key_id: "AK".into(), secret_access_key: secret.into(), session_token: None },
        region: "eu-west-1".into(),
    }
}

#[test]
fn a_shell_reads_back_exactly_what_was_meant() {
    let script = script(&settings(NASTY), Some(NASTY), Shell::Sh);
    let program = "eval \"$SCRIPT\"; printf '%s|' \"$AWS_ENDPOINT_URL\" \"$AWS_ACCESS_KEY_ID\" \"$AWS_SECRET_ACCESS_KEY\" \
                   \"$AWS_DEFAULT_REGION\" \"$AWS_REGION\" \"$AWS_EC2_METADATA_DISABLED\" \"$BOTO_CONFIG\" \
                   \"${AWS_SESSION_TOKEN-gone}\"";
    let output = Command::new("sh")
        .args(["-c", program])
        .env("SCRIPT", &script)
        .env("AWS_SESSION_TOKEN", "of another account")
        .output()
        .unwrap();
    let expected = format!("http://127.0.0.1:7480|AK|{NASTY}|eu-west-1|eu-west-1|true|{NASTY}|gone|");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn fish_has_its_own_words_and_quotes() {
    let script = script(&settings(r"a'b\c"), None, Shell::Fish);
    assert!(script.contains("set -gx AWS_SECRET_ACCESS_KEY 'a\\'b\\\\c'\n"), "{script}");
    assert!(!script.contains("BOTO_CONFIG") && script.contains("set -e AWS_SESSION_TOKEN\n"), "{script}");
}

#[test]
fn a_boto_cfg_is_private_and_replaces_only_its_own_kind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("boto.cfg");
    write_privately(&file, &boto_cfg(&settings("50%"))).unwrap();
    write_privately(&file, &boto_cfg(&settings("60%"))).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    for line in ["aws_secret_access_key = 60%%", "is_secure = False", "proxy = 127.0.0.1", "proxy_port = 7480"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    fs::write(&file, "[Credentials]\n").unwrap();
    let error = write_privately(&file, "x").unwrap_err();
    assert!(error.to_string().contains("was not written by evenkeel"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[Credentials]\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn the_region_is_the_daemon_s_and_the_file_is_named_in_full() {
    let stage = Stage::of(Canned::default());
    let dir = tempfile::tempdir().unwrap();
    let args = Env {
        boto_config: Some(dir.path().join("b.cfg")),
        reach: Reach {
            endpoint_url: Some(format!("http://{}", stage.address)),
            access_key_id: Some("AK".into()),
            secret_access_key: Some("secret/with+signs".into()),
            data_dir: None,
        },
        ..Env::default()
    };
    let ran = stage.run(|_, streams| run(&args, streams));
    assert_eq!((ran.outcome, &*ran.err), (Outcome::Done, ""));
    assert!(ran.out.contains("export AWS_REGION='eu-west-1'\n"), "{}", ran.out);
    assert!(ran.out.contains(&format!("export BOTO_CONFIG='{}/b.cfg'\n", dir.path().display())), "{}", ran.out);
}
