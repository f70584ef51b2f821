//! Who is let in: signatures of version 2, and how often a key may call, over real sockets.

use evenkeel_aws::Versions;

use super::*;
use crate::api::Guard;

/// As boto signed before 2014; made here by hand, so that one thing at a time can be wrong.
fn old(rig: &Rig, action: &str, when: &str, secret: &str) -> Vec<u8> {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    let key = &rig.credentials.access_key_id;
    let when = when.replace(':', "%3A");
    let query = format!(
        "AWSAccessKeyId={key}&Action={action}&SignatureMethod=HmacSHA256&SignatureVersion=2&Timestamp={when}&\
         Version=2012-06-01"
    );
    let host = rig.host.rsplit_once(':').unwrap().0;
    let text = format!("GET\n{host}\n/\n{query}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    let tag = base64::engine::general_purpose::STANDARD.encode(tag);
    let tag = percent_encoding::utf8_percent_encode(&tag, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("GET /?{query}&Signature={tag} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.host).into_bytes()
}

#[tokio::test]
async fn clients_of_the_books_time_are_served_unless_that_is_off() {
    let check = async |rig: &Rig, request: Vec<u8>, status: u16, code: &str| {
        let answer = rig.raw(&request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(code), "{}", answer.text());
    };
    let rig = Rig::start().await;
    let secret = rig.credentials.secret_access_key.clone();
    let at = |seconds: i64| now().plus_seconds(seconds).to_string();
    check(&rig, old(&rig, "DescribeLoadBalancers", &at(0), &secret), 200, "<LoadBalancerDescriptions/>").await;
    check(&rig, old(&rig, "DescribeLoadBalancers", &at(0), "wrong"), 403, "<Code>SignatureDoesNotMatch</Code>").await;
    check(&rig, old(&rig, "DescribeLoadBalancers", &at(-910), &secret), 400, "<Code>RequestExpired</Code>").await;
    let rig = Rig::guarded(Guard::new(Versions::Four, 0, 0)).await;
    let secret = rig.credentials.secret_access_key.clone();
    let request = old(&rig, "DescribeLoadBalancers", &at(0), &secret);
    check(&rig, request, 400, "<Code>IncompleteSignature</Code>").await;
    rig.ok(elb::DescribeLoadBalancers::default()).await;
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_so_in_each_apis_words() {
    let rig = Rig::guarded(Guard::new(Versions::Four, 1, 3)).await;
    let mut refused = 0;
    for _ in 0..20 {
        if let Err(error) = rig.call(elb::DescribeLoadBalancers::default()).await {
            assert_eq!((&*error.code, &*error.message, error.status), ("Throttling", "Rate exceeded", 400));
            refused += 1;
        }
    }
    assert!(refused > 0, "20 calls at once, where 3 are allowed");
    let mut ec2 = Vec::new();
    for _ in 0..20 {
        ec2.extend(rig.call(ec2::DescribeRegions::default()).await.err());
    }
    assert!(ec2.iter().all(|error| &*error.code == "RequestLimitExceeded" && error.status == 503), "{ec2:?}");
    assert!(!ec2.is_empty());
    // How it fares may always be asked, and strangers learn nothing of anybody's bucket.
    assert_eq!(rig.raw(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.status, 200);
    let stranger = rig.raw(b"GET /?Action=DescribeTags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(stranger.status, 403);
}
