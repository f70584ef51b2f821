//! Whatever a peer sends: no panic, and no reading of what is not there.

use evenkeel_aws::document::Document;
use evenkeel_aws::encoding;
use evenkeel_aws::query::{self, Params};
use evenkeel_aws::{Api, Dialect, Request, Time, client, decode, ec2, elb, form, sigv4, sts, xml};
use proptest::prelude::*;

fn request() -> impl Strategy<Value = Request> {
    let header = (
        prop_oneof![
            "(?i)authorization|host|x-amz-date|date|content-type|x-amz-content-sha256|x-amz-target|smithy-protocol",
            "[ -~]{0,12}"
        ],
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "AWS4-HMAC-SHA256 ((Credential=[a/0-9]{0,20}|SignedHeaders=[a-z;-]{0,20}|Signature=[0-9a-f]{0,70})[, ]{0,2}){0,4}"
                .prop_map(String::into_bytes),
            "AWS4-HMAC-SHA256 Credential=A/20150830/0/127/aws4_request,SignedHeaders=host,Signature=00"
                .prop_map(String::into_bytes),
            "20150830T123600Z|application/x-www-form-urlencoded|application/x-amz-json-1.[01]|rpc-v2-cbor|\\PC{0,9}(\\.[A-Za-z]{0,9})?".prop_map(String::into_bytes),
        ],
    );
    let text = prop_oneof!["\\PC{0,80}", parameters()];
    (
        "GET|POST|P[A-Z]{0,5}",
        prop_oneof!["\\PC{0,80}", parameters().prop_map(|query| format!("/?{query}")), parameters()],
        proptest::collection::vec(header, 0..6),
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), text.prop_map(String::into_bytes)],
    )
        .prop_map(|(method, target, headers, body)| Request { method, target, headers, body })
}

/// Parameters that come near to being right.
fn parameters() -> impl Strategy<Value = String> {
    let actions: Vec<&str> = Api::ALL.iter().flat_map(|api| api.actions()).copied().collect();
    let name = "(Action|Version|X-Amz-[A-Z][a-z]+|(Listeners|Instances|Filter|Tag|HealthCheck|LoadBalancerName|MinCount|Placement)\
                (\\.(member|[0-9]{1,12}|Value|Key|Target|Interval|[A-Z][a-z]{1,4})){0,20})";
    let pair = prop_oneof![
        (name, "[ -~]{0,10}|[0-9]{0,22}|%[0-9a-fA-F]{0,2}").prop_map(|(name, value)| format!("{name}={value}")),
        proptest::sample::select(actions).prop_map(|action| format!("Action={action}")),
        Just("Version=2012-06-01".to_owned()),
    ];
    proptest::collection::vec(pair, 0..12).prop_map(|pairs| pairs.join("&"))
}

/// Documents of what both codecs carry: JSON has neither bytes nor times of its own.
fn document() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Document::Bool),
        any::<i64>().prop_map(Document::Int),
        (-1e9..1e9).prop_filter("whole numbers are integers", |n: &f64| n.fract() != 0.0).prop_map(Document::Float),
        any::<String>().prop_map(Document::Text),
    ];
    let inside = leaf.prop_recursive(6, 60, 6, |inside| {
        prop_oneof![
            proptest::collection::vec(inside.clone(), 0..6).prop_map(Document::List),
            proptest::collection::btree_map("\\PC{0,6}".prop_map(Into::into), inside, 0..6).prop_map(Document::Map),
        ]
    });
    proptest::collection::btree_map("\\PC{0,6}".prop_map(Into::into), inside, 0..6).prop_map(Document::Map)
}

proptest! {
    #[test]
    fn any_request_is_decoded_or_refused(request in request()) {
        if let Err(rejected) = decode(&request) {
            prop_assert!(!rejected.error.code.is_empty());
            prop_assert_eq!(rejected.form, form(&request));
            let told = xml::error(&rejected.error, "id", rejected.form.dialect());
            let (code, _) = xml::read_error(&told).expect("an error document that can be read");
            prop_assert_eq!(code, rejected.error.code);
        }
    }

    #[test]
    fn no_request_made_up_is_believed(request in request(), now in any::<i64>()) {
        let lookup = |_: &str| Some("secret".to_owned());
        prop_assert!(sigv4::verify(&request, lookup, Time(now)).is_err());
        prop_assert!(sigv4::verify(&request, lookup, Time(1_440_938_160_000)).is_err());
    }

    #[test]
    fn any_bytes_are_parameters_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut params = Params::default();
        if params.read(&bytes).is_ok() && let Ok(tree) = params.tree() {
            let _ = tree.to::<elb::CreateLoadBalancer>();
            let _ = tree.to::<ec2::RunInstances>();
        }
    }

    #[test]
    fn any_bytes_are_a_document_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for document in [Document::from_json(&bytes), Document::from_cbor(&bytes)].into_iter().flatten() {
            let _ = document.to::<elb::CreateLoadBalancer>();
            let _ = document.to::<ec2::RunInstances>();
        }
    }

    #[test]
    fn documents_survive_both_codecs(document in document()) {
        prop_assert_eq!(&Document::from_json(&document.to_json()), &Ok(document.clone()));
        prop_assert_eq!(&Document::from_cbor(&document.to_cbor()), &Ok(document));
    }

    #[test]
    fn any_body_is_inflated_within_the_limit_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        magic in any::<bool>(),
        limit in 0usize..1000,
    ) {
        if magic {
            bytes.splice(0..0, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        }
        let headers = vec![("Content-Encoding".into(), b"gzip".to_vec())];
        let mut request = Request { headers, body: bytes, ..Request::default() };
        if encoding::inflate(&mut request, limit).is_ok() {
            prop_assert!(request.body.len() <= limit);
        }
    }

    #[test]
    fn parameters_survive_their_encoding(pairs in proptest::collection::vec((".{1,20}", ".{0,20}"), 0..20)) {
        let mut params = Params::default();
        for (name, value) in &pairs {
            params.push(name, value);
        }
        let mut read = Params::default();
        read.read(params.encode().as_bytes()).expect("what was encoded");
        prop_assert_eq!(read, params);
    }

    #[test]
    fn any_answer_is_read_or_refused(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = client::parse::<elb::DescribeLoadBalancers>(status, &body);
        let _ = client::parse::<ec2::DescribeInstances>(status, &body);
    }

    #[test]
    fn a_broken_answer_is_read_or_refused(cut in 0usize..900, junk in "[<>/a-zA-Z&; ]{0,12}", at in 0usize..900) {
        let output = sts::GetCallerIdentityOutput { user_id: "u".into(), account: "1".into(), arn: "arn".into() };
        let mut document =
            xml::answer("GetCallerIdentity", &output, "id", Api::Sts.dialect(), "2011-06-15").expect("a document");
        document.truncate(cut.min(document.len()));
        document.insert_str(at.min(document.len()), &junk);
        let _ = client::parse::<sts::GetCallerIdentity>(200, document.as_bytes());
        let _ = client::parse::<sts::GetCallerIdentity>(400, document.as_bytes());
    }

    /// Also: what XML cannot carry is replaced, the rest arrives as it was.
    #[test]
    fn any_text_survives_xml(text in prop_oneof![any::<String>(), "[ \t\r\n]{0,3}[ -~]{0,3}[ \t\r\n]{0,3}"]) {
        let output = sts::GetCallerIdentityOutput { user_id: text.clone(), ..Default::default() };
        let document = xml::answer("GetCallerIdentity", &output, "id", Api::Sts.dialect(), "").expect("a document");
        let read: sts::GetCallerIdentityOutput =
            xml::read_answer("GetCallerIdentity", &document, Api::Sts.dialect()).expect("what was written");
        let carried: String = text
            .chars()
            .map(|c| match c {
                '\t' | '\n' | '\r' => c,
                '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
                c if c < ' ' => '\u{fffd}',
                c => c,
            })
            .collect();
        prop_assert_eq!(read.user_id, carried);
    }

    #[test]
    fn inputs_survive_the_query_protocol(
        name in any::<String>(),
        ports in proptest::collection::vec((any::<i64>(), any::<i64>(), proptest::option::of(any::<String>())), 0..5),
        zones in proptest::option::of(proptest::collection::vec(any::<String>(), 0..5)),
        filters in proptest::collection::vec((any::<String>(), proptest::collection::vec(any::<String>(), 0..4)), 0..4),
        dry in proptest::option::of(any::<bool>()),
    ) {
        let input = elb::CreateLoadBalancer {
            load_balancer_name: name.clone(),
            listeners: ports
                .into_iter()
                .map(|(load_balancer_port, instance_port, ssl_certificate_id)| elb::Listener {
                    protocol: "tcp".into(),
                    load_balancer_port,
                    instance_port,
                    instance_protocol: None,
                    ssl_certificate_id,
                })
                .collect(),
            availability_zones: zones.map(Into::into),
            ..Default::default()
        };
        let params = query::to_params(&input).expect("parameters");
        prop_assert_eq!(params.tree().expect("a tree").to(), Ok(input));

        let input = ec2::DescribeInstances {
            filters: filters.into_iter().map(|(name, values)| ec2::Filter { name, values }).collect(),
            next_token: Some(name),
            dry_run: dry,
            ..Default::default()
        };
        let params = query::to_params(&input).expect("parameters");
        prop_assert_eq!(params.tree().expect("a tree").to(), Ok(input));
    }
}

#[test]
fn the_bounds_hold() {
    let get = |query: String| {
        let target = format!("/?Version=2014-10-01&Action=DescribeInstances&{query}");
        decode(&Request { method: "GET".into(), target, ..Request::default() })
    };
    let ids = |count: usize| (1..=count).map(|n| format!("InstanceId.{n}=i-{n}&")).collect::<String>();
    assert!(get(ids(query::MAX_PARAMS - 2)).is_ok());
    let many = get(ids(query::MAX_PARAMS)).expect_err("too many");
    assert_eq!((many.error.code.as_ref(), many.form), ("MalformedQueryString", Dialect::Ec2.into()));

    let deep = get(format!("A{}=1", ".1".repeat(query::MAX_DEPTH))).expect_err("too deep");
    assert_eq!(deep.error.code, "InvalidParameterValue");
    assert!(get(format!("A{}=1", ".1".repeat(query::MAX_DEPTH - 1))).is_ok());

    assert!(get("InstanceId.4294967295=i-1".into()).is_ok(), "a gap costs nothing");
    for index in ["0", "4294967296", "-1", "x"] {
        assert_eq!(get(format!("InstanceId.{index}=i-1")).expect_err(index).error.code, "InvalidParameterValue");
    }
}

#[test]
fn errors_repeat_little_of_what_was_sent() {
    let long = "9".repeat(100_000);
    let zeros = "0".repeat(100_000);
    let version = "Version=2012-06-01&LoadBalancerName=x";
    let attributes = "LoadBalancerAttributes.AccessLog.Enabled=true&LoadBalancerAttributes.AccessLog.EmitInterval";
    for query in [
        format!("Action={long}"),
        format!("{version}&Action=CreateLoadBalancerListeners&Listeners.member.1.InstancePort={long}"),
        format!("{version}&Action=CreateLoadBalancerListeners&Listeners.member.{zeros}1.InstancePort=1"),
        format!("{version}&Action=CreateLoadBalancerListeners&Listeners.member.{long}.InstancePort=1"),
        format!("{version}&Action=ModifyLoadBalancerAttributes&{attributes}={long}"),
        format!("Action=DescribeInstances&InstanceId={long}"),
        format!("Action=DescribeInstances&DryRun={long}"),
        format!("Action=DescribeInstances&{long}{}=1", ".1".repeat(20)),
        format!("Action=RunInstances&MinCount=1&MaxCount=1&UserData=!{long}"),
    ] {
        let request = Request { method: "GET".into(), target: format!("/?{query}"), ..Request::default() };
        let error = decode(&request).expect_err("a refusal").error;
        assert!(error.message.len() < 800, "{} characters for {}", error.message.len(), &query[..60]);
    }
}
