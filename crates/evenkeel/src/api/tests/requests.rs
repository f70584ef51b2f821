//! Requested certificates: what may be asked for, and how each state of a request is told.

use evenkeel_aws::acm;
use evenkeel_core::name::CertificateArn;
use evenkeel_core::noun::{Facts, Material, Order, Problem};

use super::*;

fn request(name: &str) -> acm::RequestCertificate {
    acm::RequestCertificate { domain_name: name.into(), ..Default::default() }
}

async fn described(rig: &Rig, arn: &str) -> acm::CertificateDetail {
    rig.ok(acm::DescribeCertificate { certificate_arn: arn.into() }).await.certificate
}

fn order() -> Order {
    Order {
        directory: "https://acme.test/dir".into(),
        url: "https://acme.test/order/1".into(),
        begun: now_timestamp(),
        sealed_key: "sealed".into(),
        challenges: Vec::new(),
    }
}

fn now_timestamp() -> Timestamp {
    Timestamp(u64::try_from(now().0).unwrap())
}

fn material() -> Material {
    let (day, now) = (86_400_000, now_timestamp().0);
    let facts = Facts {
        names: vec!["a.test".into(), "b.test".into()],
        not_before: Timestamp(now - day),
        not_after: Timestamp(now + 80 * day),
        key_algorithm: "EC_prime256v1".into(),
        ..Default::default()
    };
    Material { body_pem: "body\n".into(), chain_pem: "".into(), sealed_key: "sealed".into(), facts }
}

#[tokio::test]
async fn each_state_of_a_request_is_told_as_certificate_manager_tells_it() {
    let rig = Rig::start().await;
    let input = acm::RequestCertificate {
        subject_alternative_names: vec!["B.test".to_owned(), "a.test".to_owned()].into(),
        idempotency_token: Some("once_1".into()),
        tags: vec![acm::Tag { key: "team".into(), value: Some("web".into()) }].into(),
        ..request("A.test")
    };
    let arn = rig.ok(input.clone()).await.certificate_arn;
    assert_eq!(rig.ok(input.clone()).await.certificate_arn, arn);
    let other = acm::RequestCertificate { key_algorithm: Some("RSA_2048".into()), ..input };
    assert_ne!(rig.ok(other).await.certificate_arn, arn);
    let certificate = CertificateArn::new(&arn).unwrap();
    let submit = async |change| drop(rig.keeper.submit("acme", change).await.unwrap());
    let statuses = |detail: &acm::CertificateDetail| {
        let each = detail.domain_validation_options.iter();
        each.map(|of| format!("{} {}", of.domain_name, of.validation_status.as_deref().unwrap())).collect::<Vec<_>>()
    };

    let detail = described(&rig, &arn).await;
    assert_eq!((detail.status.as_str(), detail.kind.as_str()), ("PENDING_VALIDATION", "AMAZON_ISSUED"));
    assert_eq!(statuses(&detail), ["a.test PENDING_VALIDATION", "b.test PENDING_VALIDATION"]);
    assert_eq!(
        (detail.domain_name.as_deref(), detail.key_algorithm.as_deref()),
        (Some("a.test"), Some("EC-prime256v1"))
    );
    assert_eq!((detail.issued_at, detail.imported_at, detail.failure_reason), (None, None, None));
    let get = || acm::GetCertificate { certificate_arn: arn.clone() };
    rig.no(get(), 400, "RequestInProgressException", "not issued yet").await;

    submit(Change::OrderCertificate { certificate: certificate.clone(), order: order() }).await;
    let problem = |kind: &str, judged| Problem {
        kind: kind.into(),
        detail: "connection refused".into(),
        name: Some("b.test".into()),
        judged,
    };
    let fail = |kind: &str, judged| Change::FailCertificate {
        certificate: certificate.clone(),
        problem: problem(kind, judged),
        retry_after: None,
    };
    submit(fail("rateLimited", false)).await;
    assert_eq!(described(&rig, &arn).await.status, "PENDING_VALIDATION");
    let reasons = [
        ("connection", "DOMAIN_VALIDATION_DENIED"),
        ("caa", "CAA_ERROR"),
        ("rejectedIdentifier", "DOMAIN_NOT_ALLOWED"),
        ("badCertificate", "OTHER"),
    ];
    for (kind, reason) in reasons {
        submit(fail(kind, true)).await;
        let detail = described(&rig, &arn).await;
        assert_eq!((detail.status.as_str(), detail.failure_reason.as_deref()), ("FAILED", Some(reason)));
        assert_eq!(statuses(&detail), ["a.test PENDING_VALIDATION", "b.test FAILED"]);
    }
    let failed = acm::ListCertificates { certificate_statuses: vec!["FAILED".to_owned()].into(), ..Default::default() };
    assert_eq!(rig.ok(failed).await.certificate_summary_list.len(), 1);

    rig.ok(acm::RenewCertificate { certificate_arn: arn.clone() }).await;
    assert_eq!(described(&rig, &arn).await.status, "PENDING_VALIDATION");
    let issued = || Change::ReplaceCertificate { certificate: certificate.clone(), material: material() };
    submit(issued()).await;
    let detail = described(&rig, &arn).await;
    assert_eq!((detail.status.as_str(), detail.renewal_eligibility.as_str()), ("ISSUED", "ELIGIBLE"));
    assert_eq!(statuses(&detail), ["a.test SUCCESS", "b.test SUCCESS"]);
    assert!(detail.issued_at.is_some() && detail.imported_at.is_none() && detail.renewal_summary.is_none());
    assert_eq!(rig.ok(get()).await.certificate, "body\n");

    let renewal = async || {
        let summary = described(&rig, &arn).await.renewal_summary.unwrap();
        (summary.renewal_status, summary.renewal_status_reason)
    };
    rig.ok(acm::RenewCertificate { certificate_arn: arn.clone() }).await;
    assert_eq!(renewal().await, ("PENDING_AUTO_RENEWAL".into(), None));
    submit(fail("dns", true)).await;
    assert_eq!(renewal().await, ("FAILED".into(), Some("DOMAIN_VALIDATION_DENIED".into())));
    submit(fail("serverInternal", false)).await;
    assert_eq!(renewal().await, ("PENDING_AUTO_RENEWAL".into(), None));
    submit(issued()).await;
    assert_eq!(renewal().await, ("SUCCESS".into(), None));
    // What was asked for stands in rows that load again as they were.
    let rows: Vec<_> = rig.keeper.world().rows().collect();
    let text = serde_json::to_string(&rows).unwrap();
    assert_eq!(serde_json::from_str::<Vec<evenkeel_core::world::Row>>(&text).unwrap(), rows);
}

#[tokio::test]
async fn what_cannot_be_got_is_refused_with_the_reason() {
    let rig = Rig::start().await;
    let own = "InvalidParameterException";
    for name in ["a", "a_b.test", "-a.test", "a..test", "1.2.3.44", "a.t", ".test", ""] {
        rig.no(request(name), 400, "ValidationError", "domainName").await;
    }
    rig.no(request("*.a.test"), 400, own, "through DNS only").await;
    for method in ["DNS", "EMAIL", "x"] {
        let input = acm::RequestCertificate { validation_method: Some(method.into()), ..request("a.test") };
        rig.no(input, 400, own, method).await;
    }
    let keyed = acm::RequestCertificate { key_algorithm: Some("RSA_4096".into()), ..request("a.test") };
    rig.no(keyed, 400, own, "EC_prime256v1 or RSA_2048").await;
    let private = acm::RequestCertificate { certificate_authority_arn: Some("arn".into()), ..request("a.test") };
    rig.no(private, 400, own, "CertificateAuthorityArn").await;
    let mail = acm::DomainValidationOption { domain_name: "a.test".into(), validation_domain: "a.test".into() };
    let mailed = acm::RequestCertificate { domain_validation_options: vec![mail].into(), ..request("a.test") };
    rig.no(mailed, 400, "InvalidDomainValidationOptionsException", "mail").await;
    let many: Vec<String> = (0..100).map(|n| format!("{n}.a.test")).collect();
    let many = acm::RequestCertificate { subject_alternative_names: many.into(), ..request("a.test") };
    rig.no(many, 400, "LimitExceededException", "at most 100").await;
    for token in ["", "a b", &"a".repeat(33)] {
        let input = acm::RequestCertificate { idempotency_token: Some(token.into()), ..request("a.test") };
        rig.no(input, 400, "ValidationError", "idempotencyToken").await;
    }
    let gone = format!("arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1");
    rig.no(acm::RenewCertificate { certificate_arn: gone }, 400, "ResourceNotFoundException", "Could not find").await;
    assert_eq!(rig.keeper.world().certificates().count(), 0);
}
