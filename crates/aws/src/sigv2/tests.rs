//! AWS's published example, requests as boto 2 signed them, and every way to tamper with one.

use super::*;
use crate::{Api, Dialect, Versions, decode, verify};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Time = Time(1_317_655_170_000); // 2011-10-03T15:19:30Z

fn lookup(key: &str) -> Option<String> {
    (key == KEY).then(|| SECRET.to_owned())
}

fn get(host: &str, query: &str) -> Request {
    let headers = vec![("Host".into(), host.into())];
    Request { method: "GET".into(), target: format!("/?{query}"), headers, body: Vec::new() }
}

/// Adds a signature of this version, over the host as stated.
fn signed(mut request: Request, host: &str, method: &str, time: &str) -> Request {
    let stated = format!("AWSAccessKeyId={KEY}&SignatureVersion=2&SignatureMethod={method}&{time}");
    let is_get = request.method == "GET";
    if is_get {
        request.target.push_str(&format!("&{stated}"));
    } else {
        request.body.extend_from_slice(format!("&{stated}").as_bytes());
    }
    let (params, _) = dispatch::parameters(&request);
    let mut pairs: Vec<_> = params.iter().collect();
    pairs.sort_unstable();
    let algorithm = if method == "HmacSHA1" { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY } else { hmac::HMAC_SHA256 };
    let key = hmac::Key::new(algorithm, SECRET.as_bytes());
    let tag = STANDARD.encode(hmac::sign(&key, text(&request, host, &canonical(&pairs)).as_bytes()));
    let tag = percent_encode(tag.as_bytes(), RESERVED).to_string();
    if is_get {
        request.target.push_str(&format!("&Signature={tag}"));
    } else {
        request.body.extend_from_slice(format!("&Signature={tag}").as_bytes());
    }
    request
}

fn post(body: &str) -> Request {
    let headers = vec![
        ("Host".into(), "127.0.0.1:7480".into()),
        ("Content-Type".into(), "application/x-www-form-urlencoded; charset=UTF-8".into()),
    ];
    Request { method: "POST".into(), target: "/".into(), headers, body: body.into() }
}

const STAMP: &str = "Timestamp=2011-10-03T15%3A19%3A30";

fn listed() -> Request {
    let query = "Action=DescribeLoadBalancers&Version=2012-06-01&LoadBalancerNames.member.1=a%20b~%2F";
    signed(get("h:7480", query), "h", "HmacSHA256", STAMP)
}

/// From "Signature Version 2 signing process": an Elastic MapReduce call.
#[test]
fn the_published_example_verifies() {
    let query = format!(
        "Action=DescribeJobFlows&Version=2009-03-31&AWSAccessKeyId={KEY}&SignatureVersion=2&SignatureMethod=HmacSHA256&\
         {STAMP}&Signature=i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf%2FMj6vPxyYIs%3D"
    );
    let request = get("elasticmapreduce.amazonaws.com", &query);
    let identity = verify(&request, Versions::TwoAndFour, lookup, NOW).expect("the example");
    assert_eq!((identity.access_key_id.as_str(), identity.region.as_str()), (KEY, ""));
    let loud = get("ElasticMapReduce.AmazonAWS.com", &query);
    assert!(verify(&loud, Versions::TwoAndFour, lookup, NOW).is_ok());
}

#[test]
fn both_methods_both_verbs_and_both_kinds_of_time_verify() {
    let check = |request: Request| {
        let identity = verify(&request, Versions::TwoAndFour, lookup, NOW).expect(&request.target);
        assert_eq!(identity.access_key_id, KEY);
        assert_eq!(decode(&request).expect("a call").action, "DescribeLoadBalancers");
        assert_eq!(
            verify(&request, Versions::Four, lookup, NOW),
            Err(AuthError::Incomplete("Signature version 2 is not accepted here; sign with version 4.".into()))
        );
        assert_eq!(verify(&request, Versions::TwoAndFour, |_| Some("other".into()), NOW), Err(AuthError::Mismatch));
        assert_eq!(verify(&request, Versions::TwoAndFour, |_| None, NOW), Err(AuthError::UnknownKey));
    };
    let query = "Action=DescribeLoadBalancers&Version=2012-06-01";
    check(listed());
    check(signed(get("h:7480", query), "h:7480", "HmacSHA1", STAMP));
    check(signed(get("h", query), "h", "HmacSHA256", "Timestamp=2011-10-03T15:19:30Z"));
    check(signed(get("h", query), "h", "HmacSHA256", "Timestamp=2011-10-03T15:19:30.000Z&SecurityToken=t"));
    check(signed(get("h", query), "h", "HmacSHA256", "Expires=2011-10-03T15:19:30Z"));
    check(signed(post(query), "127.0.0.1", "HmacSHA256", STAMP));
    check(signed(post(query), "127.0.0.1:7480", "HmacSHA1", STAMP));
    let token = signed(get("h", query), "h", "HmacSHA256", &format!("{STAMP}&SecurityToken=t%2B1"));
    let identity = verify(&token, Versions::TwoAndFour, lookup, NOW).expect("with a token");
    assert_eq!(identity.session_token.as_deref(), Some("t+1"));
}

#[test]
fn anything_changed_is_refused() {
    let check = |what: &str, tamper: fn(&mut Request), wanted: Option<AuthError>| {
        let mut request = listed();
        tamper(&mut request);
        let refused = verify(&request, Versions::TwoAndFour, lookup, NOW).expect_err(what);
        match wanted {
            Some(wanted) => assert_eq!(refused, wanted, "{what}"),
            None => assert!(matches!(refused, AuthError::Incomplete(_)), "{what}: {refused}"),
        }
    };
    let mismatch = || Some(AuthError::Mismatch);
    check("method", |r| r.method = "POST".into(), mismatch());
    check("path", |r| r.target = r.target.replacen("/?", "/x?", 1), mismatch());
    check("a value", |r| r.target = r.target.replace("a%20b", "a%20c"), mismatch());
    check("one more", |r| r.target.push_str("&Marker=1"), mismatch());
    check("one less", |r| r.target = r.target.replace("&Version=2012-06-01", ""), mismatch());
    check("host", |r| r.headers[0].1 = b"other".to_vec(), mismatch());
    check("no host", |r| r.headers.clear(), mismatch());
    check("the signature", |r| r.target = r.target.replace("&Signature=", "&Signature=A"), mismatch());
    check("a form in the body", |r| r.body = b"Marker=1".to_vec(), mismatch());
    check("one twice", |r| r.target.push_str("&Action=DeleteLoadBalancer"), None);
    check("the signature twice", |r| r.target.push_str("&Signature=x"), None);
    check("one of the body twice", |r| r.body = b"Version=2012-06-01".to_vec(), None);
    check("another version", |r| r.target = r.target.replace("SignatureVersion=2", "SignatureVersion=1"), None);
    check("another method", |r| r.target = r.target.replace("HmacSHA256", "HmacMD5"), None);
    check("no method", |r| r.target = r.target.replace("SignatureMethod=HmacSHA256", "x=y"), None);
    check("no time", |r| r.target = r.target.replace("Timestamp=", "x="), None);
    check("two times", |r| r.target.push_str("&Expires=2011-10-03T15:20:00Z"), None);
    check("no key", |r| r.target = r.target.replace("AWSAccessKeyId=", "x="), None);
    check("no signature", |r| r.target = r.target.replace("&Signature=", "&x="), None);
    check("gzip", |r| r.headers.push(("content-encoding".into(), b"gzip".to_vec())), None);
    check("json", |r| r.headers.push(("Content-Type".into(), b"application/x-amz-json-1.1".to_vec())), None);
    check("bytes that are no text", |r| r.target.push_str("&a=%ff"), None);
    check("version 4 as well", |r| r.target.push_str("&X-Amz-Algorithm=AWS4-HMAC-SHA256"), None);
    check("a header as well", |r| r.headers.push(("Authorization".into(), b"AWS4-HMAC-SHA256 x".to_vec())), None);
}

/// The content type is not signed: a body that it hides is then no part of the call, and no part of what was signed.
#[test]
fn a_content_type_that_hides_the_body_hides_the_signature() {
    let mut request = signed(post("Action=DescribeLoadBalancers&Version=2012-06-01"), "127.0.0.1", "HmacSHA256", STAMP);
    request.headers[1].1 = b"text/plain".to_vec();
    assert_eq!(verify(&request, Versions::TwoAndFour, lookup, NOW), Err(AuthError::Missing));
}

#[test]
fn times_are_held_to_15_minutes_and_a_week() {
    let query = "Action=DescribeLoadBalancers&Version=2012-06-01";
    let at = |time: &str, seconds: i64| {
        let request = signed(get("h", query), "h", "HmacSHA256", time);
        verify(&request, Versions::TwoAndFour, lookup, NOW.plus_seconds(seconds)).map(drop)
    };
    for seconds in [0, MAX_SKEW, -MAX_SKEW] {
        assert_eq!(at(STAMP, seconds), Ok(()), "{seconds}");
    }
    for seconds in [MAX_SKEW + 1, -MAX_SKEW - 1] {
        assert!(matches!(at(STAMP, seconds), Err(AuthError::Stale(_))), "{seconds}");
    }
    let until = "Expires=2011-10-03T15:19:30Z";
    assert_eq!(at(until, -3600), Ok(()));
    assert!(matches!(at(until, 1), Err(AuthError::Stale(_))));
    assert_eq!(at(until, -MAX_EXPIRES), Ok(()));
    assert!(matches!(at(until, -MAX_EXPIRES - 1), Err(AuthError::Incomplete(_))));
    for bad in ["Timestamp=now", "Expires=1317655170", "Timestamp="] {
        assert!(matches!(at(bad, 0), Err(AuthError::Incomplete(_))), "{bad}");
    }
    let stale = AuthError::Stale("x".into());
    for dialect in [Api::Elb.dialect(), Dialect::Ec2] {
        assert_eq!((stale.to_wire(dialect).code.as_ref(), stale.to_wire(dialect).status), ("RequestExpired", 400));
    }
}
