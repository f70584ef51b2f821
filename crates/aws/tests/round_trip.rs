//! Client and server against each other: encode → verify → decode → render → parse, for every action there is, in every
//! protocol that it has; and errors the same way.

mod specimen;

use evenkeel_aws::document::Document;
use evenkeel_aws::query::{self, Params};
use evenkeel_aws::{
    Action, Api, Credentials, Dialect, EachAction, Error, Form, JsonVersion, Request, Time, client, decode,
    each_action, ec2, elb, form, render, render_error, sigv4,
};
use specimen::{Specimen, TEXT};

const NOW: Time = Time(1_704_070_923_456);

/// What a value holds, to compare two of one type.
fn held<T: serde::Serialize>(value: &T) -> Document {
    Document::of(value).expect("a document")
}

struct Trip {
    seen: usize,
}

impl EachAction for Trip {
    fn see<A: Action>(&mut self) {
        for specimen in [Specimen::Full, Specimen::Bare] {
            let (input, output) = (specimen.of::<A>(), specimen.of::<A::Output>());
            by_query(&input, &output);
            by_documents(&input, &output);
        }
        for error in [Error::sender("Some.Code", TEXT.trim()), Error::internal(A::API.dialect()).with_status(503)] {
            let response = render_error(&error, "req-1", A::API.dialect());
            assert_eq!(client::parse::<A>(response.status, &response.body).err(), Some(error), "{}", A::NAME);
        }
        self.seen += 1;
    }
}

fn by_query<A: Action>(input: &A, output: &A::Output) {
    let name = A::NAME;
    let credentials =
        Credentials { access_key_id: "K".into(), secret_access_key: "S".into(), session_token: Some("t".into()) };
    let request = client::encode(input, "127.0.0.1:7480", &credentials, "us-east-1", NOW).expect(name);
    let identity = sigv4::verify(&request, |key| (key == "K").then(|| "S".into()), NOW).expect(name);
    assert_eq!((identity.region.as_str(), identity.service.as_str()), ("us-east-1", A::API.signing_name()));

    let decoded = decode(&request).expect(name);
    assert_eq!((decoded.action, decoded.api, decoded.version.as_str()), (name, A::API, A::API.version()));
    assert_eq!(decoded.form, A::API.dialect().into());
    let mut params = Params::default();
    params.read(&request.body).expect(name);
    let read: A = params.tree().expect(name).to().expect(name);
    assert_eq!(held(&read), held(input), "{name}");
    assert_eq!(query::to_params(&read), query::to_params(input), "{name}");

    let response = render::<A>(output, "req-1", decoded.form, &decoded.version);
    assert_eq!((response.status, response.request_id.as_str()), (200, "req-1"));
    let parsed = client::parse::<A>(200, &response.body).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(held(&parsed), held(output), "{name}");
}

/// The same in AWS JSON and CBOR, for the APIs that have them.
fn by_documents<A: Action>(input: &A, output: &A::Output) {
    let Some(shape) = A::API.shape() else { return };
    let document = held(input);
    let json = |version: JsonVersion| Request {
        method: "POST".into(),
        target: "/".into(),
        headers: vec![
            ("Content-Type".into(), version.content_type().into()),
            ("X-Amz-Target".into(), format!("{shape}.{}", A::NAME).into()),
        ],
        body: document.to_json(),
    };
    let cbor = Request {
        method: "POST".into(),
        target: format!("/service/{shape}/operation/{}", A::NAME),
        headers: vec![("smithy-protocol".into(), "rpc-v2-cbor".into())],
        body: document.to_cbor(),
    };
    for request in [json(JsonVersion::V1_0), json(JsonVersion::V1_1), cbor] {
        let decoded = decode(&request).unwrap_or_else(|rejected| panic!("{}: {rejected}", A::NAME));
        assert_eq!((decoded.action, decoded.api), (A::NAME, A::API));
        assert_eq!(decoded.form, form(&request));
        let response = render::<A>(output, "req-1", decoded.form, &decoded.version);
        let read: fn(&[u8]) -> Result<Document, query::Error> = match decoded.form {
            Form::Json { version, .. } => {
                assert_eq!(response.content_type, version.content_type());
                Document::from_json
            }
            _ => {
                assert_eq!(response.content_type, "application/cbor");
                assert_eq!(response.headers, [("smithy-protocol", "rpc-v2-cbor".to_owned())]);
                Document::from_cbor
            }
        };
        let again: A = read(&request.body).and_then(|document| document.to()).expect(A::NAME);
        assert_eq!(held(&again), document, "{}", A::NAME);
        let answer: A::Output = read(&response.body).and_then(|document| document.to()).expect(A::NAME);
        assert_eq!(held(&answer), held(output), "{}", A::NAME);
    }
}

#[test]
fn every_action_goes_there_and_back() {
    let mut trip = Trip { seen: 0 };
    each_action(&mut trip);
    assert_eq!(trip.seen, Api::ALL.iter().map(|api| api.actions().len()).sum::<usize>());
}

#[test]
fn answers_that_are_none_are_told_apart() {
    let check = |status: u16, body: &str, code: &str| {
        let error = client::parse::<elb::DeleteLoadBalancer>(status, body.as_bytes()).expect_err(body);
        assert_eq!((error.code.as_ref(), error.status), (code, status), "{body}");
    };
    check(200, "", "UnreadableResponse");
    check(200, "<html>", "UnreadableResponse");
    check(200, "<DeleteLoadBalancerResponse/>", "UnreadableResponse");
    check(502, "<html><body>Bad Gateway</body></html>", "UnreadableResponse");
    check(400, "<Response><Errors><Error><Code>A</Code></Error></Errors></Response>", "A");
    let dialect = Dialect::Ec2;
    let told = render_error(&Error::internal(dialect), "r", dialect);
    assert_eq!(client::parse::<ec2::RunInstances>(500, &told.body), Err(Error::internal(dialect)));
}
