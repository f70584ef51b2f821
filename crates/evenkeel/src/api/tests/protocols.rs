//! The same calls in every protocol, over real sockets: what is asked in JSON or CBOR is answered in it, well or ill, and
//! bodies may come in gzip.

use evenkeel_aws::document::Document;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const SHAPE: &str = "ElasticLoadBalancing_v7";

/// A signed call of ELB, in AWS JSON or CBOR.
fn called<A: Action>(rig: &Rig, input: &A, is_cbor: bool) -> Request {
    let document = Document::of(input).unwrap();
    let (target, body, headers) = if is_cbor {
        let headers =
            vec![("smithy-protocol", "rpc-v2-cbor".to_owned()), ("Content-Type", "application/cbor".to_owned())];
        (format!("/service/{SHAPE}/operation/{}", A::NAME), document.to_cbor(), headers)
    } else {
        let headers = vec![
            ("X-Amz-Target", format!("{SHAPE}.{}", A::NAME)),
            ("Content-Type", "application/x-amz-json-1.1".to_owned()),
        ];
        ("/".to_owned(), document.to_json(), headers)
    };
    let mut request =
        Request { method: "POST".into(), target, headers: vec![("Host".into(), rig.host.clone().into_bytes())], body };
    request.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())));
    sigv4::sign(&mut request, &rig.credentials, "us-east-1", "elasticloadbalancing", now());
    request
}

fn read(answer: &Answer, is_cbor: bool) -> Document {
    let kind = if is_cbor { "application/cbor" } else { "application/x-amz-json-1.1" };
    assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
    assert_eq!(answer.head.contains("smithy-protocol: rpc-v2-cbor"), is_cbor, "{}", answer.head);
    let document = if is_cbor { Document::from_cbor(&answer.body) } else { Document::from_json(&answer.body) };
    document.unwrap()
}

#[tokio::test]
async fn what_is_asked_in_json_or_cbor_is_answered_in_it() {
    let rig = Rig::start().await;
    for (name, is_cbor) in [("json", false), ("cbor", true)] {
        let answer = rig.raw(&bytes(&called(&rig, &balancer(name), is_cbor), true)).await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        let made: elb::CreateLoadBalancerOutput = read(&answer, is_cbor).to().unwrap();
        let input = elb::DescribeLoadBalancers {
            load_balancer_names: vec![name.to_owned()].into(),
            ..elb::DescribeLoadBalancers::default()
        };
        let answer = rig.raw(&bytes(&called(&rig, &input, is_cbor), true)).await;
        let found: elb::DescribeLoadBalancersOutput = read(&answer, is_cbor).to().unwrap();
        assert_eq!(found, rig.ok(input).await, "as in the query protocol");
        assert_eq!(found.load_balancer_descriptions[0].dns_name, made.dns_name);
    }
}

#[tokio::test]
async fn errors_come_in_the_callers_protocol() {
    let rig = Rig::start().await;
    let check = async |request: &Request, status: u16, shape: &str, query: Option<&str>, is_cbor: bool| {
        let answer = rig.raw(&bytes(request, true)).await;
        let Document::Map(fields) = read(&answer, is_cbor) else { panic!("no structure") };
        assert_eq!((answer.status, &fields["__type"]), (status, &Document::Text(shape.into())), "{}", answer.head);
        match query {
            Some(query) => assert!(answer.head.contains(&format!("x-amzn-query-error: {query}")), "{}", answer.head),
            None => assert!(!answer.head.contains("x-amzn-query-error"), "{}", answer.head),
        }
        assert!(answer.head.contains("x-amzn-requestid: "), "{}", answer.head);
    };
    for is_cbor in [false, true] {
        let gone = elb::DescribeLoadBalancerAttributes { load_balancer_name: "gone".into() };
        let mut request = called(&rig, &gone, is_cbor);
        let shape = "com.amazonaws.elasticloadbalancing#LoadBalancerNotFound";
        check(&request, 400, shape, Some("loadbalancernotfound;sender"), is_cbor).await;
        request.body.push(b' ');
        let shape = "com.amazon.coral.service#InvalidSignatureException";
        check(&request, 400, shape, Some("signaturedoesnotmatch;sender"), is_cbor).await;
        request.headers.retain(|(name, _)| name != "Authorization");
        let shape = "com.amazon.coral.service#MissingAuthenticationTokenException";
        check(&request, 400, shape, Some("missingauthenticationtoken;sender"), is_cbor).await;
        let mut broken = called(&rig, &gone, is_cbor);
        broken.body = b"{".to_vec();
        sigv4::sign(&mut broken, &rig.credentials, "us-east-1", "elasticloadbalancing", now());
        let shape = "com.amazon.coral.service#SerializationException";
        check(&broken, 400, shape, Some("malformedquerystring;sender"), is_cbor).await;
    }
    let mut other = called(&rig, &elb::DescribeLoadBalancers::default(), false);
    other.headers.iter_mut().find(|(name, _)| name == "X-Amz-Target").unwrap().1 = b"Nobody.DoesThis".to_vec();
    sigv4::sign(&mut other, &rig.credentials, "us-east-1", "nobody", now());
    check(&other, 400, "com.amazon.coral.service#UnknownOperationException", None, false).await;
}

#[tokio::test]
async fn bodies_may_come_in_gzip_within_the_same_bound() {
    let rig = Rig::start().await;
    let zipped = |body: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut out, body).unwrap();
        let mut request = Request {
            method: "POST".into(),
            target: "/".into(),
            headers: vec![
                ("Host".into(), rig.host.clone().into_bytes()),
                ("Content-Encoding".into(), b"gzip".to_vec()),
                ("Content-Type".into(), b"application/x-www-form-urlencoded".to_vec()),
            ],
            body: out.finish().unwrap(),
        };
        sigv4::sign(&mut request, &rig.credentials, "us-east-1", "sts", now());
        request
    };
    let padded = |length: usize| {
        let mut body = b"Version=2011-06-15&Action=GetCallerIdentity&Pad=".to_vec();
        body.resize(length, b'x');
        body
    };
    let limit = crate::api::funnel::BODY_BYTES;
    let answer = rig.raw(&bytes(&zipped(&padded(limit)), true)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("<GetCallerIdentityResult>"), "{}", answer.text());
    let answer = rig.raw(&bytes(&zipped(&padded(limit + 1)), true)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    // A bomb: a thousand times its own size.
    let answer = rig.raw(&bytes(&zipped(&vec![b'x'; 64 * 1024 * 1024]), true)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    let mut broken = zipped(b"Version=2011-06-15&Action=GetCallerIdentity");
    broken.body.truncate(20);
    sigv4::sign(&mut broken, &rig.credentials, "us-east-1", "sts", now());
    let answer = rig.raw(&bytes(&broken, true)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("MalformedQueryString"), "{}", answer.text());
}
