//! IAM's server certificates: their life, their refusals, and that no key leaves the seal.

use evenkeel_aws::iam;
use evenkeel_core::name::CertificateArn;
use rcgen::{CertificateParams, KeyPair};

use super::*;

struct Pair {
    body: String,
    key: String,
}

fn pair(name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let body = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    Pair { body, key: key.serialize_pem() }
}

fn upload(name: &str, pair: &Pair) -> iam::UploadServerCertificate {
    iam::UploadServerCertificate {
        server_certificate_name: name.into(),
        certificate_body: pair.body.clone(),
        private_key: pair.key.clone(),
        ..Default::default()
    }
}

fn get(name: &str) -> iam::GetServerCertificate {
    iam::GetServerCertificate { server_certificate_name: name.into() }
}

fn delete(name: &str) -> iam::DeleteServerCertificate {
    iam::DeleteServerCertificate { server_certificate_name: name.into() }
}

#[tokio::test]
async fn a_certificate_is_uploaded_shown_renamed_and_deleted() {
    let rig = Rig::start().await;
    let one = pair("one.example.test");
    let tags = vec![iam::Tag { key: "team".into(), value: "web".into() }];
    let uploaded =
        iam::UploadServerCertificate { path: Some("/web/".into()), tags: tags.clone().into(), ..upload("one", &one) };
    let uploaded = rig.ok(uploaded).await;
    let metadata = &uploaded.server_certificate_metadata;
    let arn = format!("arn:aws:iam::{ACCOUNT}:server-certificate/web/one");
    assert_eq!((metadata.arn.as_str(), metadata.path.as_str(), &uploaded.tags.0), (arn.as_str(), "/web/", &tags));
    assert!(metadata.server_certificate_id.starts_with("ASCA") && metadata.server_certificate_id.len() == 21);
    let held = rig.ok(get("ONE")).await.server_certificate;
    assert_eq!((held.certificate_body.trim(), held.certificate_chain), (one.body.trim(), None));
    assert_eq!(&held.server_certificate_metadata, metadata);
    // The key is sealed wherever it rests, and nowhere else.
    let key = one.key.lines().nth(1).unwrap();
    let world = rig.keeper.world();
    let rows = serde_json::to_string(&world.rows().collect::<Vec<_>>()).unwrap();
    assert!(!rows.contains(key) && rows.contains("sealed:1:"), "{rows}");

    rig.no(upload("One", &one), 409, "EntityAlreadyExists", "One already exists").await;
    let renamed = iam::UpdateServerCertificate {
        server_certificate_name: "one".into(),
        new_path: Some("/".into()),
        new_server_certificate_name: Some("uno".into()),
    };
    // Listeners follow a certificate to its new name.
    let listener = elb::Listener { ssl_certificate_id: Some(arn.clone()), ..listener(443, "https") };
    rig.ok(elb::CreateLoadBalancer { listeners: vec![listener].into(), ..balancer("web") }).await;
    rig.ok(renamed.clone()).await;
    rig.no(renamed, 404, "NoSuchEntity", "The Server Certificate with name one cannot be found.").await;
    let lb = rig.ok(elb::DescribeLoadBalancers::default()).await.load_balancer_descriptions.remove(0);
    let new_arn = format!("arn:aws:iam::{ACCOUNT}:server-certificate/uno");
    assert_eq!(lb.listener_descriptions[0].listener.ssl_certificate_id, Some(new_arn.clone()));
    rig.no(delete("uno"), 409, "DeleteConflict", "is currently in use by web").await;
    rig.ok(elb::DeleteLoadBalancer { load_balancer_name: "web".into() }).await;
    rig.ok(delete("uno")).await;
    rig.no(get("uno"), 404, "NoSuchEntity", "uno").await;
    assert!(rig.keeper.world().certificate(&CertificateArn::new(new_arn).unwrap()).is_none());
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_in_iams_words() {
    let rig = Rig::start().await;
    let (one, two) = (pair("one.example.test"), pair("two.example.test"));
    let mixed = Pair { body: one.body.clone(), key: two.key.clone() };
    rig.no(upload("x", &mixed), 400, "KeyPairMismatch", "does not belong to the certificate.").await;
    let nothing = Pair { body: "nonsense".into(), key: one.key.clone() };
    rig.no(upload("x", &nothing), 400, "MalformedCertificate", "BEGIN CERTIFICATE").await;
    let chained = iam::UploadServerCertificate { certificate_chain: Some(two.body.clone()), ..upload("x", &one) };
    rig.no(chained, 400, "MalformedCertificate", "did not sign").await;
    rig.no(upload("a b", &one), 400, "ValidationError", "serverCertificateName").await;
    let pathless = iam::UploadServerCertificate { path: Some("web".into()), ..upload("x", &one) };
    rig.no(pathless, 400, "ValidationError", "path").await;
    let tag = |key: &str| iam::Tag { key: key.into(), value: String::new() };
    let twice = iam::UploadServerCertificate { tags: vec![tag("a"), tag("a")].into(), ..upload("x", &one) };
    rig.no(twice, 400, "InvalidInput", "'a'").await;
    rig.no(get("x"), 404, "NoSuchEntity", "x").await;
    rig.no(delete("x"), 404, "NoSuchEntity", "x").await;
}

#[tokio::test]
async fn certificates_are_listed_in_pages_by_path_and_tagged() {
    let rig = Rig::start().await;
    let one = pair("one.example.test");
    for (name, path) in [("c", "/x/"), ("a", "/"), ("b", "/x/y/")] {
        rig.ok(iam::UploadServerCertificate { path: Some(path.into()), ..upload(name, &one) }).await;
    }
    let list = |prefix: Option<&str>, max, marker| iam::ListServerCertificates {
        path_prefix: prefix.map(str::to_owned),
        max_items: max,
        marker,
    };
    let named = |output: &iam::ListServerCertificatesOutput| {
        let all = output.server_certificate_metadata_list.iter();
        all.map(|shown| shown.server_certificate_name.clone()).collect::<Vec<_>>().join("")
    };
    let first = rig.ok(list(None, Some(2), None)).await;
    assert_eq!((named(&first).as_str(), first.is_truncated), ("ab", true));
    let last = rig.ok(list(None, None, first.marker)).await;
    assert_eq!((named(&last).as_str(), last.is_truncated, last.marker), ("c", false, None));
    assert_eq!(named(&rig.ok(list(Some("/x/"), None, None)).await), "bc");
    rig.no(list(None, Some(0), None), 400, "ValidationError", "maxItems").await;
    let tags = vec![iam::Tag { key: "k".into(), value: "v".into() }];
    rig.ok(iam::TagServerCertificate { server_certificate_name: "a".into(), tags: tags.clone().into() }).await;
    let held = || iam::ListServerCertificateTags { server_certificate_name: "a".into(), ..Default::default() };
    assert_eq!(rig.ok(held()).await.tags.0, tags);
    let gone =
        iam::UntagServerCertificate { server_certificate_name: "a".into(), tag_keys: vec!["k".to_owned()].into() };
    rig.ok(gone).await;
    assert!(rig.ok(held()).await.tags.is_empty());
}
