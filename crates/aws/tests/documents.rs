//! Calls in AWS JSON and RPC v2 CBOR, to the letter: which call a request is, and how answers and errors look.

use evenkeel_aws::document::Document;
use evenkeel_aws::sigv4::AuthError;
use evenkeel_aws::{
    Api, Call, Error, Form, JsonVersion, Request, action_name, decode, elb, encoding, form, render, render_error, sts,
};

fn json(version: &str, target: &str, body: &str) -> Request {
    Request {
        method: "POST".into(),
        target: "/".into(),
        headers: vec![
            ("Host".into(), "h".into()),
            ("Content-Type".into(), format!("application/x-amz-json-{version}").into()),
            ("X-Amz-Target".into(), target.into()),
        ],
        body: body.into(),
    }
}

fn cbor(path: &str, body: &[u8]) -> Request {
    Request {
        method: "POST".into(),
        target: path.into(),
        headers: vec![
            ("Smithy-Protocol".into(), "rpc-v2-cbor".into()),
            ("Content-Type".into(), "application/cbor".into()),
        ],
        body: body.into(),
    }
}

#[test]
fn calls_are_named_by_target_and_by_path() {
    let delete = || {
        let load_balancer_name = "x".into();
        Call::Elb(elb::Call::DeleteLoadBalancer(elb::DeleteLoadBalancer { load_balancer_name }))
    };
    let who = || Call::Sts(sts::Call::GetCallerIdentity(sts::GetCallerIdentity {}));
    let check = |request: Request, wanted: Call, wanted_form: Form| {
        let decoded = decode(&request).expect(&request.target);
        assert_eq!((decoded.call, decoded.form), (wanted, wanted_form));
        assert_eq!(action_name(&request).as_deref(), Some(decoded.action));
    };
    let body = r#"{"LoadBalancerName":"x","Unknown":[1]}"#;
    let elb = |version| Form::Json { version, api: Some(Api::Elb) };
    check(json("1.0", "ElasticLoadBalancing_v7.DeleteLoadBalancer", body), delete(), elb(JsonVersion::V1_0));
    check(json("1.1", "ElasticLoadBalancing_v7.DeleteLoadBalancer", body), delete(), elb(JsonVersion::V1_1));
    let charset = |mut request: Request| {
        request.headers[1].1.extend_from_slice(b"; charset=utf-8");
        request
    };
    check(charset(json("1.1", "ElasticLoadBalancing_v7.DeleteLoadBalancer", body)), delete(), elb(JsonVersion::V1_1));
    let sts = Form::Json { version: JsonVersion::V1_1, api: Some(Api::Sts) };
    check(json("1.1", "AWSSecurityTokenServiceV20110615.GetCallerIdentity", ""), who(), sts);
    let path = "/service/ElasticLoadBalancing_v7/operation/DeleteLoadBalancer";
    let body = b"\xa1\x70LoadBalancerName\x61x";
    check(cbor(path, body), delete(), Form::Cbor { api: Some(Api::Elb) });
    check(cbor(&format!("http://h/some/prefix{path}?x=y"), body), delete(), Form::Cbor { api: Some(Api::Elb) });
    let path = "/service/AWSSecurityTokenServiceV20110615/operation/GetCallerIdentity";
    check(cbor(path, b""), who(), Form::Cbor { api: Some(Api::Sts) });
}

#[test]
fn what_is_no_call_is_refused_in_the_same_form() {
    let check = |request: Request, code: &str, api: Option<Api>| {
        let rejected = decode(&request).expect_err(&request.target);
        assert_eq!(rejected.error.code, code, "{request:?}");
        let wanted = match form(&request) {
            Form::Json { version, .. } => Form::Json { version, api },
            _ => Form::Cbor { api },
        };
        assert_eq!((rejected.form, form(&request)), (wanted, wanted));
    };
    let elb = Some(Api::Elb);
    check(json("1.1", "ElasticLoadBalancing_v7.Levitate", "{}"), "InvalidAction", elb);
    check(json("1.1", "ElasticLoadBalancing_v7.", "{}"), "InvalidAction", elb);
    check(json("1.1", "DeleteLoadBalancer", "{}"), "InvalidAction", None);
    check(json("1.1", "", "{}"), "InvalidAction", None);
    check(json("1.1", "AmazonEC2.DescribeInstances", "{}"), "InvalidAction", None);
    check(json("1.1", "ElasticLoadBalancing_v7.GetCallerIdentity", "{}"), "InvalidAction", elb);
    check(json("1.1", "ElasticLoadBalancing_v7.DeleteLoadBalancer", "{"), "MalformedQueryString", elb);
    check(json("1.1", "ElasticLoadBalancing_v7.DeleteLoadBalancer", "{}"), "ValidationError", elb);
    let put = Request { method: "GET".into(), ..json("1.1", "ElasticLoadBalancing_v7.DescribeLoadBalancers", "") };
    check(put, "UnsupportedHttpVerb", elb);
    check(cbor("/service/ElasticLoadBalancing_v7/operation/Levitate", b"\xa0"), "InvalidAction", elb);
    check(cbor("/operation/DeleteLoadBalancer", b"\xa0"), "InvalidAction", None);
    check(cbor("/", b""), "InvalidAction", None);
    check(cbor("/service/ElasticLoadBalancing_v7/operation/DeleteLoadBalancer", b"\xa1"), "MalformedQueryString", elb);
    check(cbor("/service/ElasticLoadBalancing_v7/operation/DeleteLoadBalancer", b""), "ValidationError", elb);
}

#[test]
fn answers_are_plain() {
    let output = elb::DescribeLoadBalancerAttributesOutput {
        load_balancer_attributes: elb::LoadBalancerAttributes {
            cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
            additional_attributes: Some(vec![elb::AdditionalAttribute { key: "k".into(), value: "v".into() }].into()),
            ..Default::default()
        },
    };
    let form = Form::Json { version: JsonVersion::V1_0, api: Some(Api::Elb) };
    let response = render::<elb::DescribeLoadBalancerAttributes>(&output, "r", form, "");
    assert_eq!((response.status, response.content_type), (200, "application/x-amz-json-1.0"));
    let wanted = r#"{"LoadBalancerAttributes":{"AdditionalAttributes":[{"Key":"k","Value":"v"}],"CrossZoneLoadBalancing":{"Enabled":true}}}"#;
    assert_eq!(String::from_utf8(response.body).expect("text"), wanted);
    let form = Form::Cbor { api: Some(Api::Elb) };
    let empty = render::<elb::DeleteLoadBalancer>(&elb::DeleteLoadBalancerOutput {}, "r", form, "");
    assert_eq!((empty.status, empty.content_type, empty.body.as_slice()), (200, "application/cbor", &b"\xa0"[..]));
}

#[test]
fn errors_name_their_shape_and_keep_the_querys_code() {
    let check = |error: &Error, api: Option<Api>, status: u16, shape: &str, query: Option<&str>| {
        let json = render_error(error, "r", Form::Json { version: JsonVersion::V1_1, api });
        let cbor = render_error(error, "r", Form::Cbor { api });
        for (response, document) in [(&json, Document::from_json(&json.body)), (&cbor, Document::from_cbor(&cbor.body))]
        {
            assert_eq!(response.status, status, "{shape}");
            let told = response.headers.iter().find(|(name, _)| *name == "x-amzn-query-error");
            assert_eq!(told.map(|(_, value)| value.as_str()), query, "{shape}");
            let Ok(Document::Map(fields)) = document else { panic!("no document: {response:?}") };
            assert_eq!(fields["__type"], Document::Text(shape.into()));
            assert_eq!(fields["message"], Document::Text(error.message.clone()));
        }
    };
    let gone = Error::sender("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'x'");
    let shape = "com.amazonaws.elasticloadbalancing#LoadBalancerNotFound";
    check(&gone, Some(Api::Elb), 400, shape, Some("LoadBalancerNotFound;Sender"));
    let full = Error::sender("InvalidConfigurationRequest", "x").with_status(409);
    let shape = "com.amazonaws.elasticloadbalancing#InvalidConfigurationRequest";
    check(&full, Some(Api::Elb), 409, shape, Some("InvalidConfigurationRequest;Sender"));
    let auth = |error: AuthError| error.to_wire(Api::Elb.dialect());
    let (elb, coral) = (Some(Api::Elb), "com.amazon.coral.service#");
    let shape = |name: &str| format!("{coral}{name}");
    check(&auth(AuthError::Mismatch), None, 400, &shape("InvalidSignatureException"), None);
    let query = Some("SignatureDoesNotMatch;Sender");
    check(&auth(AuthError::Mismatch), elb, 400, &shape("InvalidSignatureException"), query);
    check(&auth(AuthError::UnknownKey), None, 400, &shape("UnrecognizedClientException"), None);
    check(&auth(AuthError::Missing), None, 400, &shape("MissingAuthenticationTokenException"), None);
    check(&Error::validation("x"), elb, 400, &shape("ValidationException"), Some("ValidationError;Sender"));
    check(&Error::invalid_action("x"), None, 400, &shape("UnknownOperationException"), None);
    let internal = Error::internal(Api::Elb.dialect());
    let shape = "com.amazonaws.elasticloadbalancing#InternalFailure";
    check(&internal, elb, 500, shape, Some("InternalFailure;Receiver"));
}

/// What `gzip` makes of `Action=x`, twice over: two members are one body.
const GZIPPED: [u8; 28] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x73, 0x4c, 0x2e, 0xc9, 0xcc, 0xcf, 0xb3, 0xad, 0, 0, 0x46, 0xa1, 0xe0, 0x2b,
    8, 0, 0, 0,
];

#[test]
fn bodies_in_gzip_are_inflated_to_a_limit() {
    let request = |encodings: &[&str], body: &[u8]| Request {
        headers: encodings.iter().map(|value| ("Content-Encoding".to_owned(), value.as_bytes().to_vec())).collect(),
        body: body.into(),
        ..Request::default()
    };
    let check = |encodings: &[&str], body: &[u8], limit: usize, wanted: Result<&[u8], (&str, u16)>| {
        let mut request = request(encodings, body);
        let inflated = encoding::inflate(&mut request, limit);
        let found = match &inflated {
            Ok(()) => Ok(request.body.as_slice()),
            Err(error) => Err((error.code.as_ref(), error.status)),
        };
        assert_eq!(found, wanted, "{encodings:?}");
    };
    check(&[], b"Action=x", 1, Ok(b"Action=x"));
    check(&["identity"], b"Action=x", 8, Ok(b"Action=x"));
    check(&["gzip"], &GZIPPED, 8, Ok(b"Action=x"));
    check(&["GZIP"], &[GZIPPED, GZIPPED].concat(), 16, Ok(b"Action=xAction=x"));
    check(&["gzip"], &GZIPPED, 7, Err(("RequestEntityTooLarge", 413)));
    check(&["gzip"], b"Action=x", 100, Err(("MalformedQueryString", 400)));
    check(&["gzip"], &GZIPPED[..20], 100, Err(("MalformedQueryString", 400)));
    check(&["br"], b"Action=x", 100, Err(("UnsupportedMediaType", 415)));
    check(&["gzip", "gzip"], &GZIPPED, 100, Err(("UnsupportedMediaType", 415)));
    check(&["gzip, gzip"], &GZIPPED, 100, Err(("UnsupportedMediaType", 415)));
}

#[test]
fn cloudwatchs_errors_have_its_shapes_and_its_old_codes() {
    let check = |code: &'static str, shape: &str, status: u16| {
        let error = Error::sender(code, "why").with_status(status);
        let form = Form::Json { version: JsonVersion::V1_0, api: Some(Api::Cloudwatch) };
        let told = render_error(&error, "r", form);
        let wanted = format!(r#"{{"__type":"com.amazonaws.cloudwatch#{shape}","message":"why"}}"#);
        assert_eq!((told.status, String::from_utf8(told.body)), (status, Ok(wanted)));
        assert_eq!(told.headers, [("x-amzn-query-error", format!("{code};Sender"))]);
    };
    check("InvalidParameterValue", "InvalidParameterValueException", 400);
    check("MissingParameter", "MissingRequiredParameterException", 400);
    check("InvalidNextToken", "InvalidNextToken", 400);
    check("ResourceNotFound", "ResourceNotFound", 404);
    // Another API's keep their name.
    let error = Error::sender("InvalidParameterValue", "why");
    let told = render_error(&error, "r", Form::Json { version: JsonVersion::V1_1, api: Some(Api::Sns) });
    let body = String::from_utf8(told.body).expect("text");
    assert!(body.contains("com.amazonaws.sns#InvalidParameterValue\""), "{body}");
}
