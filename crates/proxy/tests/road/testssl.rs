//! What `testssl.sh` says of a TLS listener with the default policy: nothing of severity MEDIUM or above.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_core::noun::tls_policy::Offer;
use serde_json::Value;

use crate::origin::Origin;
use crate::rig::address;
use crate::tls_rig::{Made, rig};

/// A scan sends some thousand hellos, one after the other.
const PATIENCE: Duration = Duration::from_mins(15);

#[test]
fn a_scanner_finds_nothing_of_medium_or_above() {
    let Some(scanner) = ["testssl", "testssl.sh"].into_iter().find(|name| is_there(name)) else {
        eprintln!("SKIPPED: the scan of a TLS listener needs testssl.sh");
        return;
    };
    let origin = Origin::start(address(), 0);
    let mut rig = rig(Protocol::Https, Protocol::Http, &Made::new(&["localhost"]), &[origin.address]);
    let (offer, tls) = (Offer::default(), rig.routes.listeners[0].tls.as_mut().unwrap());
    (tls.oldest, tls.newest, tls.server_order) = (offer.oldest, offer.newest, offer.server_order);
    tls.ciphers = Some(offer.suites().into_iter().map(str::to_owned).collect());
    rig.publish();
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("testssl-{}.json", std::process::id()));
    let at = rig.address();
    // Protocols, ciphers, their order, forward secrecy, what the server says of itself, known vulnerabilities.
    let mut scan = Command::new(scanner)
        .args(["--ip", &at.ip().to_string(), "--warnings", "off", "--color", "0", "--quiet", "--jsonfile"])
        .arg(&report)
        .args(["-p", "-s", "-P", "-f", "-S", "-U", &format!("localhost:{}", at.port())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while scan.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            scan.kill().unwrap();
            panic!("the scan did not end within {PATIENCE:?}");
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    // The certificate is the user's own, and this one is nobody's.
    let of_certificate = |id: &str| id.starts_with("cert");
    let bad: Vec<String> = findings
        .iter()
        .filter(|f| ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&text(f, "severity").as_str()))
        .filter(|f| !of_certificate(&text(f, "id")))
        .map(|f| format!("{}: {} {}", text(f, "severity"), text(f, "id"), text(f, "finding")))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let good = findings.iter().filter(|f| text(f, "severity") == "OK").count();
    assert!(good >= 25, "only {good} findings say that something is as it should be: {findings:#?}");
}

fn is_there(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}
