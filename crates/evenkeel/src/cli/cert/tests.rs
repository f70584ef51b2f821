//! Certificates against a server that remembers nothing, and files made on disk.

use std::os::unix::fs::MetadataExt as _;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Action as _, Call, Error, Time, elb};

use super::*;
use crate::cli::stage::{Ran, Stage, answered, balancer};

/// One that is asked for, and not there.
const ASKED: &str = "arn:aws:acm:r:0:certificate/2";
const ARN: &str = "arn:aws:iam::000000000000:server-certificate/www";

fn metadata() -> iam::ServerCertificateMetadata {
    iam::ServerCertificateMetadata {
        server_certificate_name: "www".into(),
        arn: ARN.into(),
        expiration: Time(4_102_444_800_000),
        ..Default::default()
    }
}

/// One certificate of each API; the balancer `web` shows IAM's.
fn stage() -> Stage {
    Stage::new(|call| match call {
        Call::Iam(iam::Call::UploadServerCertificate(_)) => {
            answered::<iam::UploadServerCertificate>(iam::UploadServerCertificateOutput {
                server_certificate_metadata: metadata(),
                ..Default::default()
            })
        }
        Call::Iam(iam::Call::ListServerCertificates(_)) => {
            answered::<iam::ListServerCertificates>(iam::ListServerCertificatesOutput {
                server_certificate_metadata_list: vec![metadata()].into(),
                ..Default::default()
            })
        }
        Call::Iam(iam::Call::GetServerCertificate(_)) => {
            answered::<iam::GetServerCertificate>(iam::GetServerCertificateOutput {
                server_certificate: iam::ServerCertificate {
                    server_certificate_metadata: metadata(),
                    certificate_body: "body\n".into(),
                    certificate_chain: Some("chain\n".into()),
                    ..Default::default()
                },
            })
        }
        Call::Iam(iam::Call::DeleteServerCertificate(_)) => {
            Err(Error::sender("DeleteConflict", "Certificate: x is currently in use by web").with_status(409))
        }
        Call::Acm(acm::Call::ListCertificates(_)) => answered::<acm::ListCertificates>(acm::ListCertificatesOutput {
            certificate_summary_list: vec![
                acm::CertificateSummary {
                    certificate_arn: "arn:aws:acm:r:0:certificate/1".into(),
                    domain_name: Some("a.test".into()),
                    not_after: Some(Time(0)),
                    ..Default::default()
                },
                acm::CertificateSummary {
                    certificate_arn: ASKED.into(),
                    domain_name: Some("asked.test".into()),
                    status: "PENDING_VALIDATION".into(),
                    ..Default::default()
                },
            ]
            .into(),
            ..Default::default()
        }),
        Call::Acm(acm::Call::RequestCertificate(sent)) if sent.domain_name == "no.test" => Err(Error::sender(
            "InvalidParameterException",
            "Certificates cannot be requested: start it with --acme-directory",
        )),
        Call::Acm(acm::Call::RequestCertificate(_)) => {
            answered::<acm::RequestCertificate>(acm::RequestCertificateOutput { certificate_arn: ASKED.into() })
        }
        Call::Acm(acm::Call::RenewCertificate(_)) => answered::<acm::RenewCertificate>(acm::RenewCertificateOutput {}),
        Call::Acm(acm::Call::DescribeCertificate(_)) => {
            answered::<acm::DescribeCertificate>(acm::DescribeCertificateOutput {
                certificate: acm::CertificateDetail {
                    certificate_arn: ASKED.into(),
                    domain_name: Some("www.test".into()),
                    status: "FAILED".into(),
                    ..Default::default()
                },
            })
        }
        Call::Acm(acm::Call::DeleteCertificate(_)) => {
            answered::<acm::DeleteCertificate>(acm::DeleteCertificateOutput {})
        }
        Call::Elb(elb::Call::DescribeLoadBalancers(_)) => {
            let listener = elb::Listener {
                load_balancer_port: 443,
                ssl_certificate_id: Some(ARN.into()),
                ..elb::Listener::default()
            };
            let shown = elb::ListenerDescription { listener, policy_names: Members::default() };
            let web = elb::LoadBalancerDescription { listener_descriptions: vec![shown].into(), ..balancer("web") };
            answered::<elb::DescribeLoadBalancers>(elb::DescribeLoadBalancersOutput {
                load_balancer_descriptions: vec![web].into(),
                next_marker: None,
            })
        }
        other => panic!("{}", other.name()),
    })
}

fn ran(stage: &Stage, action: Action) -> Ran {
    let args = Cert { action };
    stage.run(|client, streams| run(&args, client, streams))
}

#[test]
fn a_certificate_made_here_is_uploaded_with_its_key() {
    let stage = stage();
    let args = SelfSigned {
        names: vec!["www.example.test".into(), "127.0.0.1".into()],
        days: 30,
        upload: Some("www".into()),
        ..SelfSigned::default()
    };
    let ran = ran(&stage, Action::SelfSigned(args));
    assert_eq!((ran.outcome, ran.out), (Outcome::Done, format!("{ARN}\n")));
    let calls = stage.calls();
    let [Call::Iam(iam::Call::UploadServerCertificate(sent))] = calls.as_slice() else { panic!("one upload") };
    assert!(sent.certificate_body.starts_with("-----BEGIN CERTIFICATE-----"), "{}", sent.certificate_body);
    assert!(sent.private_key.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(sent.server_certificate_name, "www");
}

#[test]
fn files_are_made_once_and_their_key_is_the_owners_alone() {
    let (dir, stage) = (tempfile::tempdir().unwrap(), stage());
    let args = || SelfSigned {
        names: vec!["*.example.test".into()],
        days: 365,
        out: dir.path().into(),
        ..SelfSigned::default()
    };
    let made = ran(&stage, Action::SelfSigned(args()));
    let (key, certificate) = (dir.path().join("_.example.test.key"), dir.path().join("_.example.test.crt"));
    assert_eq!(made.out, format!("{}\n{}\n", key.display(), certificate.display()));
    assert_eq!(std::fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    let again = ran(&stage, Action::SelfSigned(args()));
    assert_eq!(again.outcome, Outcome::Failed);
    assert!(again.err.contains("File exists") && again.err.contains("hint: move it away"), "{}", again.err);
    let upload = Upload { name: "www".into(), cert: certificate, key, ..Upload::default() };
    assert_eq!(ran(&stage, Action::Upload(upload)).out, format!("{ARN}\n"));
    let absent = Upload { name: "www".into(), cert: dir.path().join("x"), ..Upload::default() };
    let ran = ran(&stage, Action::Upload(absent));
    assert!(ran.err.contains("failed to read") && ran.err.contains("hint: certificates and keys"), "{}", ran.err);
}

#[test]
fn certificates_of_both_kinds_are_listed_with_who_shows_them() {
    let stage = stage();
    let expected = "\
NAME        EXPIRES               SHOWN BY  ARN
a.test      1970-01-01 (expired)  -         arn:aws:acm:r:0:certificate/1
asked.test  pending validation    -         arn:aws:acm:r:0:certificate/2
www         2100-01-01 (";
    let listed = ran(&stage, Action::List(List::default()));
    // How far 2100 is, is told in days that pass.
    assert_eq!(listed.out.lines().next().map(|line| line.split_whitespace().count()), Some(5), "{}", listed.out);
    let (names, _) = listed.out.split_once(" days)").expect("days");
    let names: String = names.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = expected.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(names.starts_with(&wanted), "{names}");
    assert!(listed.out.trim_end().ends_with(&format!("web:443   {ARN}")), "{}", listed.out);
    let json = ran(&stage, Action::List(List { json: true, ..List::default() }));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json[2]["shown_by"], serde_json::json!(["web:443"]));
    assert_eq!((&json[1]["status"], &json[1]["expires"]), (&"PENDING_VALIDATION".into(), &serde_json::Value::Null));
    assert_eq!(json[2]["status"], "ISSUED");
    let show = |pem| Action::Show(Show { name: ARN.into(), pem, ..Show::default() });
    let shown = ran(&stage, show(false));
    assert!(shown.out.contains("shown by:  web:443\n"), "{}", shown.out);
    assert_eq!(ran(&stage, show(true)).out, "body\nchain\n");
}

#[test]
fn deleting_names_what_stands_in_the_way() {
    let stage = stage();
    let delete = |name: &str| Action::Delete(Delete { names: vec![name.into()], ..Delete::default() });
    let refused = ran(&stage, delete("www"));
    assert_eq!(refused.outcome, Outcome::Failed);
    assert!(refused.err.contains("in use by web") && refused.err.contains("hint: "), "{}", refused.err);
    assert_eq!(ran(&stage, delete("arn:aws:acm:r:0:certificate/1")).outcome, Outcome::Done);
    assert_eq!(stage.names(), [iam::DeleteServerCertificate::NAME, acm::DeleteCertificate::NAME]);
    let attempt = Try { dry_run: true, json: false };
    let foretold = ran(&stage, Action::Delete(Delete { names: vec!["www".into()], attempt, ..Delete::default() }));
    let expected = format!("it would be refused: DeleteConflict: Certificate: {ARN} is currently in use by web\n");
    assert!(foretold.err.contains(&expected), "{}", foretold.err);
    assert!(stage.names().iter().all(|name| !name.starts_with("Delete")));
}

#[test]
fn a_request_says_what_is_asked_for_and_what_stands_in_the_way() {
    let stage = stage();
    let request = |name: &str, wait| requested::Request {
        names: vec![name.into(), "b.test".into()],
        tls_alpn: true,
        rsa: false,
        wait,
        timeout: std::time::Duration::from_secs(60),
        reach: Reach::default(),
    };
    let asked = ran(&stage, Action::Request(request("www.test", false)));
    assert_eq!((asked.outcome, asked.out), (Outcome::Done, format!("{ASKED}\n")));
    let calls = stage.calls();
    let [Call::Acm(acm::Call::RequestCertificate(sent))] = calls.as_slice() else { panic!("one request") };
    assert_eq!(sent.subject_alternative_names.0, ["b.test"]);
    let how = (sent.validation_method.as_deref(), sent.key_algorithm.as_deref());
    assert_eq!(how, (Some("TLS_ALPN"), Some("EC_prime256v1")));
    let waited = ran(&stage, Action::Request(request("www.test", true)));
    assert_eq!((waited.outcome, waited.out.trim()), (Outcome::Failed, ASKED));
    assert!(waited.err.contains("failed to get the certificate") && waited.err.contains("cert show"), "{}", waited.err);
    let refused = ran(&stage, Action::Request(request("no.test", false)));
    assert!(refused.err.contains("--acme-directory") && refused.err.contains("hint: "), "{}", refused.err);
    let renew = requested::Renew {
        arn: ASKED.into(),
        wait: false,
        timeout: std::time::Duration::from_secs(1),
        reach: Reach::default(),
    };
    assert_eq!(ran(&stage, Action::Renew(renew)).outcome, Outcome::Done);
    let show = |pem| Action::Show(Show { name: ASKED.into(), pem, ..Show::default() });
    let shown = ran(&stage, show(false));
    assert!(shown.out.contains("status:    failed\n"), "{}", shown.out);
    assert!(ran(&stage, show(true)).err.contains("is not issued yet"));
}
