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

/// From "aws-signing-test-suite", in the header and in the query string, where that is published.
#[test]
fn published_vectors_verify_and_other_secrets_do_not() {
    let mut verified = 0;
    for line in include_str!("../../tests/sigv4_suite.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, method, target, more, body, token, how, in_header, in_query] = columns[..] else {
            panic!("nine columns: {line}")
        };
        let own = |text: &str| text.replace("\\n", "\n");
        let mut headers = vec![("Host".to_owned(), "example.amazonaws.com".to_owned())];
        let pairs = more.split('|').filter_map(|header| header.split_once(':'));
        headers.extend(pairs.map(|(name, value)| (name.to_owned(), own(value))));
        let scope = format!("{KEY}/20150830/us-east-1/service/aws4_request");
        let listed = |headers: &[(String, String)]| {
            let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            names.sort();
            names.dedup();
            names.retain(|name| how != "late-token" || name != "x-amz-security-token");
            names.join(";")
        };

        let signed = listed(&headers);
        let mark = if target.contains('?') { '&' } else { '?' };
        let encode = |text: &str| percent_encoding::percent_encode(text.as_bytes(), crate::query::RESERVED).to_string();
        let mut presigned = format!(
            "{target}{mark}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date=20150830T123600Z&\
             X-Amz-SignedHeaders={}&X-Amz-Expires=3600&X-Amz-Signature={in_query}",
            encode(&scope),
            encode(&signed)
        );
        if !token.is_empty() {
            presigned.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
        }
        let plain: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let presigned = request(method, &presigned, &plain, body);

        let mut headers = headers.clone();
        headers.push(("X-Amz-Date".into(), "20150830T123600Z".into()));
        if !token.is_empty() {
            headers.push(("X-Amz-Security-Token".into(), token.into()));
        }
        if how == "body" {
            headers.push(("x-amz-content-sha256".into(), hex(&canonical::sha256(body.as_bytes()))));
        }
        let signed = listed(&headers);
        let authorization = format!("{ALGORITHM} Credential={scope}, SignedHeaders={signed}, Signature={in_header}");
        headers.push(("Authorization".into(), authorization));
        let plain: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headed = request(method, target, &plain, body);

        for (place, request) in [("header", headed), ("query", presigned)] {
            let found = verify(&request, lookup, NOW);
            // Paths are normalized here, as for every service but S3; a token in the query string is always signed.
            let is_other = how == "unnormalized" && !name.contains("space") || how == "late-token" && place == "query";
            if is_other {
                assert_eq!(found, Err(AuthError::Mismatch), "{name}, {place}");
                continue;
            }
            let identity = found.unwrap_or_else(|error| panic!("{name}, {place}: {error}"));
            assert_eq!((identity.region.as_str(), identity.service.as_str()), ("us-east-1", "service"));
            assert_eq!(identity.session_token.as_deref().unwrap_or_default(), token, "{name}, {place}");
            assert_eq!(verify(&request, |_| Some("x".into()), NOW), Err(AuthError::Mismatch), "{name}, {place}");
            verified += 1;
        }
    }
    assert_eq!(verified, 63, "of 38 vectors in two places, 12 and 1 are for others");
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
        "algorithm",
        |r| replace(header(r, "Authorization"), "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        Incomplete("Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'".into()),
    );
    check(
        "two authorizations",
        |r| r.headers.push(("authorization".into(), b"x".to_vec())),
        Incomplete("More than one Authorization header.".into()),
    );
    let twice = |field: &str| Incomplete(format!("Authorization header has '{field}' more than once."));
    check("two keys", |r| replace(header(r, "Authorization"), "Cred", "Credential=x, Cred"), twice("Credential"));
    check("two signatures", |r| header(r, "Authorization").extend_from_slice(b", Signature=0"), twice("Signature"));
    let signed_headers = |r: &mut Request| replace(header(r, "Authorization"), "Sig", "SignedHeaders=host, Sig");
    check("two lists of headers", signed_headers, twice("SignedHeaders"));
    check(
        "two dates",
        |r| r.headers.push(("x-amz-date".into(), b"20150830T123600Z".to_vec())),
        Incomplete("More than one X-Amz-Date header.".into()),
    );
    let unsigned = |name: &str| {
        AuthError::Contradiction(format!("There were headers present in the request which were not signed: {name}"))
    };
    let target = |r: &mut Request| r.headers.push(("X-Amz-Target".into(), b"A.B".to_vec()));
    check("an unsigned target", target, unsigned("x-amz-target"));
    let encoding = |r: &mut Request| r.headers.push(("Content-Encoding".into(), b"gzip".to_vec()));
    check("an unsigned encoding", encoding, unsigned("content-encoding"));
    let protocol = |r: &mut Request| r.headers.push(("Smithy-Protocol".into(), b"rpc-v2-cbor".to_vec()));
    check("an unsigned protocol", protocol, unsigned("smithy-protocol"));
    let date = |r: &mut Request| replace(header(r, "Authorization"), ";x-amz-date", "");
    check("an unsigned date", date, unsigned("x-amz-date"));
    check(
        "terminator",
        |r| replace(header(r, "Authorization"), "aws4_request", "aws5_request"),
        AuthError::Contradiction("Credential should be scoped with a valid terminator: 'aws4_request'.".into()),
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
    let longer = Request { target: request.target.replace("=900", "=901"), ..request.clone() };
    assert_eq!(verify(&longer, lookup, NOW), Err(AuthError::Mismatch));
    let altered = |from: &str, to: &str| Request { target: request.target.replace(from, to), ..request.clone() };
    let changed = altered("GetCallerIdentity", "DeleteLoadBalancer");
    assert_eq!(verify(&changed, lookup, NOW), Err(AuthError::Mismatch));
    assert_eq!(verify(&altered("%2Fsts%2F", "%2Felb%2F"), lookup, NOW), Err(AuthError::Mismatch));
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let twice = altered("/?", &format!("/?X-Amz-{name}=x&"));
        assert!(matches!(verify(&twice, lookup, NOW), Err(AuthError::Incomplete(_))), "{name}");
    }
    let headed = Request { headers: [request.headers.clone(), signed().headers].concat(), ..request.clone() };
    assert!(matches!(crate::verify(&headed, crate::Versions::Four, lookup, NOW), Err(AuthError::Incomplete(_))));
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
