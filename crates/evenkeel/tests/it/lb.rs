//! `evenkeel lb` with the whole product: every command's dry run foretells exactly what the command then does, changes nothing
//! itself, and what it says would be refused is refused with the same code and text.

use std::process::{Command, Output};

use evenkeel_aws::ec2;
use rcgen::KeyPair;

use crate::rig::{INSTANCE_PORT, PORT, PROGRAM, Rig};

fn evenkeel(rig: &Rig, words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).arg("--data-dir").arg(rig.data_dir()).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that is to do what it is told; what it printed.
fn done(rig: &Rig, line: &str) -> String {
    let output = evenkeel(rig, &line.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{line}: {}\n{}", text(&output.stderr), rig.log());
    text(&output.stdout)
}

/// Everything that `lb` knows of a load balancer.
fn shown(rig: &Rig, name: &str) -> String {
    let mut shown = text(&evenkeel(rig, &["lb", "show", name, "--json"]).stdout);
    // How instances fare changes by itself.
    if let Some(at) = shown.find("\"instances\"") {
        let end = at + shown[at..].find("  ],").unwrap_or(shown.len() - at);
        shown.replace_range(at..end, "");
    }
    shown
}

/// A command of one load balancer: its dry run, then it, then its dry run again.
fn change(rig: &Rig, line: &str, idempotent: bool) -> String {
    let name = line.split(' ').find(|word| ["web", "inner"].contains(word)).unwrap();
    let before = shown(rig, name);
    let foretold = done(rig, &format!("lb {line} --dry-run"));
    assert_eq!(shown(rig, name), before, "`{line} --dry-run` changed something");
    let made = done(rig, &format!("lb {line}"));
    let verbs = [("would create", "created"), ("would change", "changed"), ("would delete", "deleted")];
    let foretold = verbs.iter().fold(foretold, |text, (would, did)| text.replace(would, did));
    assert_eq!(foretold, made, "`{line}` is other than foretold");
    assert!(made.starts_with(|c: char| "cd".contains(c)), "`{line}` was to change something: {made}");
    if idempotent {
        assert_eq!(done(rig, &format!("lb {line} --dry-run")), format!("nothing would change of {name}\n"), "{line}");
        assert_eq!(done(rig, &format!("lb {line}")), format!("nothing changed of {name}\n"), "{line}");
    }
    made
}

/// A command that is refused, and whose dry run says so in the same words.
fn refused(rig: &Rig, line: &str, code: &str) {
    let told = |line: &str| {
        let output = evenkeel(rig, &line.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1), "{line}: {}", text(&output.stdout));
        text(&output.stderr)
    };
    let foretold = told(&format!("lb {line} --dry-run"));
    assert!(foretold.contains(&format!("it would be refused: {code}: ")), "{line}: {foretold}");
    assert_eq!(foretold.replace("it would be refused: ", ""), told(&format!("lb {line}")), "{line}");
}

fn subnets(rig: &Rig) -> Vec<String> {
    let mut subnets = rig.call(&ec2::DescribeSubnets::default()).unwrap().subnet_set.0;
    subnets.sort_by(|a, b| a.availability_zone.cmp(&b.availability_zone));
    subnets.into_iter().map(|subnet| subnet.subnet_id).collect()
}

#[test]
fn every_dry_run_foretells_what_its_command_does() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 2);
    let [first, second] = [&ids[0], &ids[1]];
    let (subnets, back) = (subnets(&rig), INSTANCE_PORT);
    for name in ["www", "www-2"] {
        done(&rig, &format!("cert self-signed www.example.test --upload {name}"));
    }
    // Certificates are foretold too, by the daemon's own rules.
    done(&rig, &format!("cert self-signed x.example.test --out {}", rig.data_dir().display()));
    let (crt, key) = (rig.file("x.example.test.crt"), rig.file("x.example.test.key"));
    let upload = |name: &str| format!("cert upload {name} --cert {} --key {}", crt.display(), key.display());
    let foretold = done(&rig, &format!("{} --dry-run", upload("x")));
    assert!(foretold.starts_with("would create x:\n+ certificate  x for x.example.test until 20"), "{foretold}");
    let again = evenkeel(&rig, &format!("{} --dry-run", upload("www")).split(' ').collect::<Vec<_>>());
    assert!(text(&again.stderr).contains("it would be refused: EntityAlreadyExists: "), "{}", text(&again.stderr));
    assert!(done(&rig, "cert delete www --dry-run").starts_with("would delete www:\n- certificate  www until 20"));
    let group = ec2::CreateSecurityGroup {
        group_name: Some("front".into()),
        group_description: Some("front".into()),
        ..Default::default()
    };
    let group = rig.call(&group).unwrap().group_id;
    let key = rig.file("backend.pub");
    std::fs::write(&key, KeyPair::generate().unwrap().public_key_pem()).unwrap();

    let idempotent = |line: &str| change(&rig, line, true);
    let made = idempotent(&format!("create web http:{PORT}={back} --zone us-east-1a --tag env=test"));
    assert!(made.contains(&format!("\n+ listener  HTTP:{PORT}=HTTP:{back}\n")), "{made}");
    idempotent(&format!("check web --target HTTP:{back}/health --interval 5 --timeout 2 --healthy 2"));
    idempotent(&format!("add web {first} {second}"));
    done(&rig, "wait web --timeout 60");
    let (_, node) = rig.nodes("web")[0].clone();
    assert_eq!(rig.get(node, "/").unwrap().0, 200);
    let (subnet, other) = (&subnets[0], &subnets[1]);
    idempotent(&format!("create inner tcp:8090={back} --subnet {subnet} --internal --group {group}"));

    idempotent("zone enable web us-east-1b us-east-1c");
    idempotent("zone disable web us-east-1c");
    idempotent(&format!("subnet attach inner {other}"));
    idempotent(&format!("subnet detach inner {other}"));
    idempotent(&format!("listener add web https:8443={back},www tcp:8090={back}"));
    idempotent("listener cert web 8443 www-2");
    let held = evenkeel(&rig, &["cert", "delete", "www-2", "--dry-run"]);
    assert!(text(&held.stderr).contains("it would be refused: DeleteConflict: "), "{}", text(&held.stderr));
    change(&rig, "policy cookie web sticky --seconds 60", false);
    change(&rig, "policy cookie web session --app SESSION", false);
    change(&rig, "policy create web proxy ProxyProtocol ProxyProtocol=true", false);
    change(&rig, &format!("policy create web key PublicKey PublicKey=@{}", key.display()), false);
    change(&rig, "policy create web trusted BackendServerAuthentication PublicKeyPolicyName=key", false);
    change(
        &rig,
        "policy create web modern SSLNegotiation Protocol-TLSv1.2=true ECDHE-RSA-AES128-GCM-SHA256=true",
        false,
    );
    idempotent(&format!("policy set web {PORT} sticky"));
    idempotent("policy set web 8443 ELBSecurityPolicy-TLS-1-2-2017-01 sticky");
    idempotent(&format!("backend web {back} proxy"));
    idempotent("attr web cross-zone=on draining=30 idle-timeout=20 desync=strictest");
    idempotent("attr web evenkeel.balance.algorithm=least_latency evenkeel.balance.queue_length=5");
    idempotent("attr web evenkeel.balance.queue_length=1024");
    idempotent("attr web access-log=logs/web access-log-interval=5");
    idempotent("attr web draining=off access-log=off");
    idempotent("attr web draining=on");
    idempotent(&format!("groups web {group}"));
    idempotent("tag web owner=ada note=a=b --remove env");

    let words = [
        ("add nope i-0000000a".to_owned(), "LoadBalancerNotFound"),
        ("add web i-0000000a".to_owned(), "InvalidInstance"),
        ("remove web x*".to_owned(), "InvalidInstance"),
        (format!("create web http:{PORT}={back} --zone us-east-1a"), "DuplicateLoadBalancerName"),
        ("create other https:8443=80 --zone us-east-1a".to_owned(), "ValidationError"),
        ("create other http:8443=tcp:80 --zone us-east-1a".to_owned(), "ValidationError"),
        ("create other http:8443=80 --zone nowhere".to_owned(), "ValidationError"),
        ("create other http:8443=80 --subnet subnet-0123456789abcdef0".to_owned(), "SubnetNotFound"),
        ("create other- http:8443=80 --zone us-east-1a".to_owned(), "ValidationError"),
        ("create other http:8443=80 --zone us-east-1a --group sg-00000000".to_owned(), "InvalidSecurityGroup"),
        (format!("listener add web http:{PORT}=9"), "DuplicateListener"),
        (format!("listener add web ssl:8444=ssl:{back},www"), "InvalidConfigurationRequest"),
        (
            "listener add web https:8444=9,arn:aws:iam::000000000000:server-certificate/no".to_owned(),
            "CertificateNotFound",
        ),
        (format!("listener cert web {PORT} www"), "InvalidConfigurationRequest"),
        ("listener cert web 1 www".to_owned(), "ListenerNotFound"),
        ("zone disable web us-east-1a us-east-1b".to_owned(), "InvalidConfigurationRequest"),
        ("zone enable inner us-east-1b".to_owned(), "InvalidConfigurationRequest"),
        (format!("subnet attach web {subnet}"), "InvalidConfigurationRequest"),
        ("policy create web x Nope".to_owned(), "PolicyTypeNotFound"),
        ("policy create web x ProxyProtocol".to_owned(), "InvalidConfigurationRequest"),
        ("policy create web x BackendServerAuthentication PublicKeyPolicyName=no".to_owned(), "PolicyNotFound"),
        ("policy create web ELBSample-X ProxyProtocol ProxyProtocol=true".to_owned(), "ValidationError"),
        ("policy cookie web sticky".to_owned(), "DuplicatePolicyName"),
        (format!("policy set web {PORT} proxy"), "InvalidConfigurationRequest"),
        (format!("policy set web {PORT} sticky session"), "InvalidConfigurationRequest"),
        (format!("policy set web {PORT} no"), "PolicyNotFound"),
        ("policy set web 1 sticky".to_owned(), "ListenerNotFound"),
        ("policy delete web sticky".to_owned(), "InvalidConfigurationRequest"),
        ("policy delete web key".to_owned(), "InvalidConfigurationRequest"),
        ("backend web 1 proxy".to_owned(), "InvalidConfigurationRequest"),
        (format!("backend web {back} trusted"), "InvalidConfigurationRequest"),
        ("attr web idle-timeout=0".to_owned(), "ValidationError"),
        ("attr web draining=3601".to_owned(), "ValidationError"),
        ("attr web desync=lax".to_owned(), "InvalidConfigurationRequest"),
        ("attr web evenkeel.balance.nope=1".to_owned(), "LoadBalancerAttributeNotFound"),
        ("attr web evenkeel.balance.algorithm=nope".to_owned(), "InvalidConfigurationRequest"),
        ("attr inner access-log=on".to_owned(), "InvalidConfigurationRequest"),
        ("check web --interval 5 --timeout 5".to_owned(), "ValidationError"),
        ("check web --target FTP:21".to_owned(), "ValidationError"),
        ("tag web aws:x=1".to_owned(), "ValidationError"),
        ("tag web a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1".to_owned(), "TooManyTags"),
        ("groups web sg-0123456789abcdef0".to_owned(), "InvalidSecurityGroup"),
    ];
    for (line, code) in words {
        refused(&rig, &line, code);
    }

    idempotent("groups web --none");
    idempotent(&format!("backend web {back} --none"));
    idempotent("listener remove web 8090");
    idempotent(&format!("policy set web {PORT} --none"));
    idempotent("policy delete web session proxy trusted key");
    idempotent(&format!("remove web {second}"));
    let listed = done(&rig, "lb list");
    assert!(listed.contains("\nweb    ") && listed.contains("  1 of 1      "), "{listed}");
    let gone = change(&rig, "delete inner", true);
    assert!(gone.starts_with("deleted inner:\n- scheme    internal\n"), "{gone}");
    for line in ["lb policy types ProxyProtocol", "lb policy list", "lb limits", "lb health web", "lb backend web"] {
        done(&rig, line);
    }
    rig.finish();
}
