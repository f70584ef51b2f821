//! AWS's published vectors, requests as real clients send them, and every way to tamper with one.

use super::*;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW: Time = Time(1_440_938_160_000); // 2015-08-30T12:36:00Z

fn lookup(key: &str) -> Option<String> {
    (key == KEY).then(|| SECRET.to_owned())
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        method: method.into(),
        target: target.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn credentials() -> Credentials {
    Credentials { access_key_id: KEY.into(), secret_access_key: SECRET.into(), session_token: None }
}

/// From "aws-sig-v4-test-suite": key, secret, time and scope are the same in all.
#[test]
fn published_vectors_verify() {
    let check = |name: &str, method: &str, target: &str, more: &[(&str, &str)], body: &str, signature: &str| {
        let mut headers = vec![("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")];
        headers.extend_from_slice(more);
        let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/service/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            names.join(";")
        );
        headers.push(("Authorization", &authorization));
        let identity = verify(&request(method, target, &headers, body), lookup, NOW);
        assert_eq!(
            identity,
            Ok(Identity { access_key_id: KEY.into(), region: "us-east-1".into(), service: "service".into() }),
            "{name}"
        );
    };
    let get = |name: &str, target: &str, signature: &str| check(name, "GET", target, &[], "", signature);
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    get("get-vanilla", "/", vanilla);
    get("get-relative", "/example/..", vanilla);
    get("get-slash", "//", vanilla);
    get("get-slash-dot-slash", "/./", vanilla);
    get(
        "get-vanilla-query-order-key-case",
        "/?Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
    get(
        "get-vanilla-query-unreserved",
        "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\
         abcdefghijklmnopqrstuvwxyz",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    );
    get("get-vanilla-utf8-query", "/?ሴ=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
    get("get-utf8", "/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
    get("get-slashes", "//example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84");
    get("get-space", "/example space/", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741");
    check(
        "get-header-key-duplicate",
        "GET",
        "/",
        &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    );
    check(
        "get-header-value-trim",
        "GET",
        "/",
        &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        "",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    );
    check("post-vanilla", "POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    check(
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        &[("Content-Type", "application/x-www-form-urlencoded")],
        "Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    );
}

/// From "Signing AWS API requests" in the IAM User Guide.
#[test]
fn the_guides_own_example_verifies() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                         SignedHeaders=content-type;host;x-amz-date, \
                         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        ("authorization", authorization),
    ];
    for target in
        ["/?Action=ListUsers&Version=2010-05-08", "http://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers"]
    {
        let identity = verify(&request("GET", target, &headers, ""), lookup, NOW).expect(target);
        assert_eq!(identity.service, "iam");
    }
}

fn signed() -> Request {
    let mut request = request(
        "POST",
        "/?Version=2012-06-01",
        &[("Host", "127.0.0.1:7480"), ("Content-Type", "application/x-www-form-urlencoded")],
        "Action=DescribeLoadBalancers",
    );
    sign(&mut request, &credentials(), "us-east-1", "elasticloadbalancing", NOW);
    request
}

fn header<'a>(request: &'a mut Request, name: &str) -> &'a mut Vec<u8> {
    let (_, value) = request.headers.iter_mut().find(|(header, _)| header == name).expect("the header");
    value
}

fn replace(value: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(value.clone()).expect("text");
    assert!(text.contains(from), "{text}");
    *value = text.replace(from, to).into_bytes();
}

#[test]
fn what_we_sign_verifies_until_anything_is_changed() {
    assert!(verify(&signed(), lookup, NOW).is_ok());
    let check = |what: &str, tamper: fn(&mut Request), wanted: AuthError| {
        let mut request = signed();
        tamper(&mut request);
        assert_eq!(verify(&request, lookup, NOW), Err(wanted), "{what}");
    };
    use AuthError::{Incomplete, Mismatch, Missing, UnknownKey};
    check("method", |r| r.method = "GET".into(), Mismatch);
    check("path", |r| r.target = "/x?Version=2012-06-01".into(), Mismatch);
    check("query", |r| r.target = "/?Version=2012-06-02".into(), Mismatch);
    check("more query", |r| r.target.push_str("&Marker=1"), Mismatch);
    check("body", |r| r.body.push(b'x'), Mismatch);
    check("host", |r| replace(header(r, "Host"), "7480", "7481"), Mismatch);
    check("a second host", |r| r.headers.push(("host".into(), b"x".to_vec())), Mismatch);
    check("content type", |r| replace(header(r, "Content-Type"), "form", "Form"), Mismatch);
    check("time", |r| replace(header(r, "X-Amz-Date"), "123600", "123601"), Mismatch);
    check("a header taken away", |r| r.headers.retain(|(name, _)| name != "Content-Type"), Mismatch);
    check("region", |r| replace(header(r, "Authorization"), "us-east-1", "us-east-2"), Mismatch);
    check("signature", |r| replace(header(r, "Authorization"), "Signature=", "Signature=0"), Mismatch);
    check("fewer headers", |r| replace(header(r, "Authorization"), "content-type;", ""), Mismatch);
    check("key", |r| replace(header(r, "Authorization"), "AKIDEXAMPLE", "AKIDANOTHER"), UnknownKey);
    check("nothing", |r| r.headers.retain(|(name, _)| name != "Authorization"), Missing);
    check(
        "version 2",
        |r| {
            r.headers.retain(|(name, _)| name != "Authorization");
            r.target = "/?AWSAccessKeyId=a&SignatureVersion=2&Signature=x".into();
        },
        Incomplete("Signature version 2 is not supported; sign with version 4.".into()),
    );
    check(
        "algorithm",
        |r| replace(header(r, "Authorization"), "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        Incomplete("Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'".into()),
    );
    check(
        "two authorizations",
        |r| r.headers.push(("authorization".into(), b"x".to_vec())),
        Incomplete("More than one Authorization header.".into()),
    );
    check(
        "no host signed",
        |r| replace(header(r, "Authorization"), ";host;", ";"),
        AuthError::Contradiction("'Host' must be a 'SignedHeader' in the AWS Authorization.".into()),
    );
    check(
        "date of the scope",
        |r| replace(header(r, "Authorization"), "/20150830/", "/20150831/"),
        AuthError::Contradiction(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150831' != \
             '20150830', from '20150830T123600Z'."
                .into(),
        ),
    );
}

#[test]
fn unsigned_headers_may_change() {
    let mut request = signed();
    request.headers.push(("User-Agent".into(), b"\xff anything".to_vec()));
    replace(header(&mut request, "Authorization"), ", ", ",");
    assert!(verify(&request, lookup, NOW).is_ok());
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let at = |seconds: i64| verify(&signed(), lookup, NOW.plus_seconds(seconds)).map(drop);
    assert_eq!(at(MAX_SKEW), Ok(()));
    assert_eq!(at(-MAX_SKEW), Ok(()));
    let old = at(MAX_SKEW + 1).expect_err("too old");
    let text = "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)";
    assert_eq!(old, AuthError::Expired(text.into()));
    let young = at(-MAX_SKEW - 1).expect_err("too young");
    let text =
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)";
    assert_eq!(young, AuthError::Expired(text.into()));
}

#[test]
fn the_date_header_stands_in_for_x_amz_date() {
    let mut request = request("GET", "/", &[("Host", "h"), ("Date", "Sun, 30 Aug 2015 12:36:00 GMT")], "");
    let canonical = canonical::text(&request, &["date".into(), "host".into()], false, &hex(&canonical::sha256(b"")));
    let signature = signature(SECRET, NOW, "20150830", "0", "127", &canonical);
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150830/0/127/aws4_request,SignedHeaders=date;host,Signature={signature}"
    );
    request.headers.push(("Authorization".into(), value.into_bytes()));
    assert!(verify(&request, lookup, NOW).is_ok());
    replace(header(&mut request, "Date"), "12:36:00", "12:36:01");
    assert_eq!(verify(&request, lookup, NOW), Err(AuthError::Mismatch));
}

#[test]
fn a_payload_hash_must_be_true_and_unsigned_only_when_signed() {
    let body_hash = hex(&canonical::sha256(b"body"));
    let with = |stated: &str, listed: bool| {
        let mut request = request("POST", "/", &[("Host", "h"), ("X-Amz-Date", "20150830T123600Z")], "body");
        request.headers.push(("X-Amz-Content-Sha256".into(), stated.into()));
        let mut names = vec!["host".to_owned(), "x-amz-content-sha256".to_owned(), "x-amz-date".to_owned()];
        names.retain(|name| listed || name != "x-amz-content-sha256");
        let canonical = canonical::text(&request, &names, false, stated);
        let signature = signature(SECRET, NOW, "20150830", "r", "s", &canonical);
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20150830/r/s/aws4_request, SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        request.headers.push(("Authorization".into(), value.into_bytes()));
        verify(&request, lookup, NOW).map(drop)
    };
    assert_eq!(with(&body_hash, true), Ok(()));
    assert_eq!(with(&body_hash, false), Ok(()));
    assert_eq!(with("UNSIGNED-PAYLOAD", true), Ok(()));
    assert!(matches!(with("UNSIGNED-PAYLOAD", false), Err(AuthError::Contradiction(_))));
    assert!(matches!(with(&hex(&canonical::sha256(b"other")), true), Err(AuthError::Contradiction(_))));
}

#[test]
fn presigned_urls_live_as_long_as_they_say() {
    let presign = |expires: &str| {
        let target = format!(
            "/?Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}%2F20150830%2Fus-east-1%2Fsts\
             %2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host"
        );
        let mut request = request("GET", &target, &[("Host", "h")], "");
        let canonical = canonical::text(&request, &["host".into()], true, &hex(&canonical::sha256(b"")));
        let signature = signature(SECRET, NOW, "20150830", "us-east-1", "sts", &canonical);
        request.target.push_str(&format!("&X-Amz-Signature={signature}"));
        request
    };
    let request = presign("900");
    assert!(verify(&request, lookup, NOW).is_ok());
    assert!(verify(&request, lookup, NOW.plus_seconds(900)).is_ok());
    assert!(matches!(verify(&request, lookup, NOW.plus_seconds(901)), Err(AuthError::Expired(_))));
    assert!(matches!(verify(&request, lookup, NOW.plus_seconds(-301)), Err(AuthError::Expired(_))));
    let longer = Request { target: request.target.replace("=900", "=901"), ..request };
    assert_eq!(verify(&longer, lookup, NOW), Err(AuthError::Mismatch));
    for expires in ["0", "604801", "-1", "x", ""] {
        assert!(matches!(verify(&presign(expires), lookup, NOW), Err(AuthError::Incomplete(_))), "{expires}");
    }
}

#[test]
fn errors_are_worded_as_each_api_words_them() {
    use crate::{Api, Dialect};
    let check = |error: &AuthError, query: (&str, u16), ec2: (&str, u16)| {
        let wire = |dialect: Dialect| error.to_wire(dialect);
        assert_eq!((wire(Api::Sts.dialect()).code.as_ref(), wire(Api::Sts.dialect()).status), query);
        assert_eq!((wire(Dialect::Ec2).code.as_ref(), wire(Dialect::Ec2).status), ec2);
    };
    let missing = ("MissingAuthenticationToken", 403);
    check(&AuthError::Missing, missing, missing);
    check(&AuthError::UnknownKey, ("InvalidClientTokenId", 403), ("AuthFailure", 401));
    check(&AuthError::Mismatch, ("SignatureDoesNotMatch", 403), ("AuthFailure", 401));
    check(&AuthError::Contradiction("x".into()), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401));
    check(&AuthError::Expired("x".into()), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400));
    let incomplete = ("IncompleteSignature", 400);
    check(&AuthError::Incomplete("x".into()), incomplete, incomplete);
}

#[test]
fn credentials_show_no_secret() {
    assert!(!format!("{:?}", credentials()).contains(SECRET));
}
