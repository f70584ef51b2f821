//! Requests as boto 2.49 and botocore 1.44 put them on the wire (`captured/`, recorded from a loopback socket, user agents
//! shortened): each must verify with its own signature, and decode to what the caller meant.

use std::fs;
use std::path::Path;

use evenkeel_aws::blob::Blob;
use evenkeel_aws::xml::Members;
use evenkeel_aws::{Api, Call, Dialect, Request, Time, decode, ec2, elb, sigv4, sts};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn captured(name: &str) -> Request {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured").join(format!("{name}.http"));
    let bytes = fs::read(&path).expect(name);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a blank line");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
    let mut lines = head.split("\r\n");
    let mut first = lines.next().expect("a request line").split(' ');
    Request {
        method: first.next().expect("a method").into(),
        target: first.next().expect("a target").into(),
        headers: lines
            .map(|line| line.split_once(": ").expect("a header"))
            .map(|(name, value)| (name.into(), value.as_bytes().to_vec()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured");
    fs::read_dir(folder)
        .expect("the captured requests")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".http")?.to_owned()))
        .collect()
}

fn sent_at(request: &Request) -> Time {
    let (_, query) = request.path_and_query();
    let text = request
        .header("x-amz-date")
        .or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Date=")))
        .expect("a date");
    Time::from_basic(text).expect("a date in basic form")
}

#[test]
fn every_signature_verifies_and_none_with_another_secret() {
    let names = names();
    assert!(names.len() > 30, "captured requests are missing: {names:?}");
    for name in names {
        let request = captured(&name);
        let now = sent_at(&request);
        let verify = |secret: &str| sigv4::verify(&request, |key| (key == KEY).then(|| secret.into()), now);
        let identity = verify(SECRET).expect(&name);
        assert_eq!(identity.access_key_id, KEY, "{name}");
        assert_eq!(verify("another"), Err(sigv4::AuthError::Mismatch), "{name}");
        match name.as_str() {
            "boto2-elb-create" => {
                assert_eq!((identity.region.as_str(), identity.service.as_str()), ("0", "127"));
            }
            "boto2-elb-describe-localhost" => {
                assert_eq!((identity.region.as_str(), identity.service.as_str()), ("localhost", "localhost"));
            }
            "boto2-elb-describe-proxy" => {
                assert_eq!(
                    (identity.region.as_str(), identity.service.as_str()),
                    ("us-east-1", "elasticloadbalancing")
                );
            }
            _ => {}
        }
    }
}

#[test]
fn elb_requests_mean_what_the_caller_meant() {
    let check = |name: &str, call: elb::Call| {
        let decoded = decode(&captured(name)).expect(name);
        assert_eq!((decoded.action, decoded.api, decoded.version.as_str()), (call.name(), Api::Elb, "2012-06-01"));
        assert_eq!(decoded.call, Call::Elb(call), "{name}");
    };
    let test = || String::from("test");
    let strings = |texts: &[&str]| texts.iter().map(|text| String::from(*text)).collect::<Members<_>>();
    let listener = |protocol: &str, port, instance_port| elb::Listener {
        protocol: protocol.into(),
        load_balancer_port: port,
        instance_port,
        ..Default::default()
    };
    let instances = |ids: &[&str]| ids.iter().map(|id| elb::Instance { instance_id: (*id).into() }).collect();
    let attributes = |load_balancer_attributes| {
        elb::Call::ModifyLoadBalancerAttributes(elb::ModifyLoadBalancerAttributes {
            load_balancer_name: test(),
            load_balancer_attributes,
        })
    };

    check(
        "boto2-elb-create",
        elb::Call::CreateLoadBalancer(elb::CreateLoadBalancer {
            load_balancer_name: test(),
            listeners: vec![
                listener("http", 80, 80),
                elb::Listener {
                    ssl_certificate_id: Some("arn:aws:iam::1:server-certificate/a+b/c".into()),
                    ..listener("https", 443, 8443)
                },
            ]
            .into(),
            availability_zones: Some(strings(&["us-east-1a", "us-east-1b"])),
            scheme: Some("internet-facing".into()),
            ..Default::default()
        }),
    );
    check(
        "botocore-elb-create",
        elb::Call::CreateLoadBalancer(elb::CreateLoadBalancer {
            load_balancer_name: test(),
            listeners: vec![elb::Listener { instance_protocol: Some("HTTP".into()), ..listener("HTTP", 80, 8080) }]
                .into(),
            availability_zones: Some(strings(&["us-east-1a"])),
            tags: vec![elb::Tag { key: "a".into(), value: Some("b c".into()) }].into(),
            ..Default::default()
        }),
    );
    let by_name = || {
        elb::Call::DescribeLoadBalancers(elb::DescribeLoadBalancers {
            load_balancer_names: strings(&["test"]),
            ..Default::default()
        })
    };
    check("boto2-elb-describe-localhost", by_name());
    check("boto2-elb-describe-proxy", by_name());
    check("botocore-elb-empty-list", elb::Call::DescribeLoadBalancers(elb::DescribeLoadBalancers::default()));
    check(
        "boto2-elb-register",
        elb::Call::RegisterInstancesWithLoadBalancer(elb::RegisterInstancesWithLoadBalancer {
            load_balancer_name: test(),
            instances: instances(&["i-1", "i-2"]),
        }),
    );
    check(
        "boto2-elb-policy",
        elb::Call::CreateLoadBalancerPolicy(elb::CreateLoadBalancerPolicy {
            load_balancer_name: test(),
            policy_name: "p".into(),
            policy_type_name: "ProxyProtocolPolicyType".into(),
            policy_attributes: vec![elb::PolicyAttribute {
                attribute_name: "ProxyProtocol".into(),
                attribute_value: "True".into(),
            }]
            .into(),
        }),
    );
    check(
        "boto2-elb-health-check",
        elb::Call::ConfigureHealthCheck(elb::ConfigureHealthCheck {
            load_balancer_name: test(),
            health_check: elb::HealthCheck {
                target: "HTTP:80/ä b?c=d&e".into(),
                interval: 10,
                timeout: 5,
                unhealthy_threshold: 2,
                healthy_threshold: 3,
            },
        }),
    );
    check(
        "boto2-elb-health",
        elb::Call::DescribeInstanceHealth(elb::DescribeInstanceHealth {
            load_balancer_name: test(),
            ..Default::default()
        }),
    );
    check(
        "boto2-elb-delete-listeners",
        elb::Call::DeleteLoadBalancerListeners(elb::DeleteLoadBalancerListeners {
            load_balancer_name: test(),
            load_balancer_ports: vec![80, 443].into(),
        }),
    );
    check(
        "boto2-elb-cross-zone",
        attributes(elb::LoadBalancerAttributes {
            cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
            ..Default::default()
        }),
    );
    check(
        "boto2-elb-draining",
        attributes(elb::LoadBalancerAttributes {
            connection_draining: Some(elb::ConnectionDraining { enabled: true, timeout: Some(60) }),
            ..Default::default()
        }),
    );
    check(
        "boto2-elb-access-log",
        attributes(elb::LoadBalancerAttributes { access_log: Some(elb::AccessLog::default()), ..Default::default() }),
    );
    check(
        "botocore-elb-attributes",
        attributes(elb::LoadBalancerAttributes {
            cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
            access_log: None,
            connection_draining: Some(elb::ConnectionDraining { enabled: true, timeout: Some(30) }),
            connection_settings: Some(elb::ConnectionSettings { idle_timeout: 10 }),
            additional_attributes: Some(
                vec![elb::AdditionalAttribute {
                    key: "elb.http.desyncmitigationmode".into(),
                    value: "strictest".into(),
                }]
                .into(),
            ),
        }),
    );
}

#[test]
fn ec2_and_sts_requests_mean_what_the_caller_meant() {
    let check = |name: &str, call: ec2::Call| {
        let decoded = decode(&captured(name)).expect(name);
        let version = if name.starts_with("boto2") { "2014-10-01" } else { "2016-11-15" };
        assert_eq!((decoded.action, decoded.api, decoded.version.as_str()), (call.name(), Api::Ec2, version));
        assert_eq!(decoded.call, Call::Ec2(call), "{name}");
    };
    check("botocore-ec2-vpcs", ec2::Call::DescribeVpcs(ec2::DescribeVpcs::default()));
    let filter = |name: &str, values: &[&str]| ec2::Filter {
        name: name.into(),
        values: values.iter().map(|value| String::from(*value)).collect(),
    };
    let one = || vec![String::from("i-1")];
    let tag = |key: &str, value: &str| ec2::Tag { key: key.into(), value: Some(value.into()) };
    let zone = || Some(ec2::Placement { availability_zone: Some("us-east-1a".into()), ..Default::default() });

    check(
        "boto2-ec2-run",
        ec2::Call::RunInstances(ec2::RunInstances {
            image_id: Some("ami-1".into()),
            min_count: 1,
            max_count: 2,
            key_name: Some("k".into()),
            security_groups: vec!["default".into(), "web".into()],
            user_data: Some(Blob("[Boto]\n% + / = ä".into())),
            instance_type: Some("m1.small".into()),
            placement: zone(),
            instance_initiated_shutdown_behavior: Some("save".into()),
            iam_instance_profile: Some(ec2::IamInstanceProfileSpecification { arn: None, name: Some("role".into()) }),
            ..Default::default()
        }),
    );
    check(
        "botocore-ec2-run",
        ec2::Call::RunInstances(ec2::RunInstances {
            image_id: Some("ami-1".into()),
            min_count: 1,
            max_count: 1,
            security_group_ids: vec!["sg-1".into()],
            user_data: Some(Blob("hello".into())),
            placement: zone(),
            block_device_mappings: vec![ec2::BlockDeviceMapping {
                device_name: Some("/dev/sda1".into()),
                ebs: Some(ec2::EbsBlockDevice { volume_size: Some(8), ..Default::default() }),
                ..Default::default()
            }],
            client_token: Some("20b35ab5-1ea4-4678-89d6-26ad26d9dff6".into()),
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: "instance".into(),
                tags: vec![tag("Name", "n")],
            }],
            dry_run: Some(true),
            ..Default::default()
        }),
    );
    check(
        "boto2-ec2-describe",
        ec2::Call::DescribeInstances(ec2::DescribeInstances {
            filters: vec![filter("tag:Name", &["ä*"]), filter("instance-state-name", &["running", "pending"])],
            ..Default::default()
        }),
    );
    check(
        "botocore-ec2-describe",
        ec2::Call::DescribeInstances(ec2::DescribeInstances {
            filters: vec![filter("tag:Name", &["a", "b"])],
            max_results: Some(5),
            ..Default::default()
        }),
    );
    check(
        "boto2-ec2-terminate",
        ec2::Call::TerminateInstances(ec2::TerminateInstances { instance_ids: one(), ..Default::default() }),
    );
    check("boto2-ec2-reboot", ec2::Call::RebootInstances(ec2::RebootInstances { instance_ids: one(), dry_run: None }));
    check(
        "boto2-ec2-tags",
        ec2::Call::CreateTags(ec2::CreateTags {
            resource_ids: vec!["i-1".into(), "i-2".into()],
            tags: vec![tag("Name", "web *'~"), tag("x", "")],
            dry_run: None,
        }),
    );
    check(
        "botocore-ec2-delete-tags",
        ec2::Call::DeleteTags(ec2::DeleteTags {
            resource_ids: one(),
            tags: vec![ec2::Tag { key: "a".into(), value: None }],
            dry_run: None,
        }),
    );
    check(
        "boto2-ec2-image",
        ec2::Call::RegisterImage(ec2::RegisterImage {
            name: "v1".into(),
            image_location: Some("/tmp/x".into()),
            description: Some("the first".into()),
            architecture: Some("x86_64".into()),
            root_device_name: Some("/dev/sda1".into()),
            ..Default::default()
        }),
    );
    check(
        "boto2-ec2-console",
        ec2::Call::GetConsoleOutput(ec2::GetConsoleOutput { instance_id: "i-1".into(), ..Default::default() }),
    );
    check(
        "boto2-ec2-status",
        ec2::Call::DescribeInstanceStatus(ec2::DescribeInstanceStatus {
            include_all_instances: Some(true),
            ..Default::default()
        }),
    );
    check(
        "botocore-ec2-eni",
        ec2::Call::DescribeNetworkInterfaces(ec2::DescribeNetworkInterfaces {
            filters: vec![filter("attachment.instance-owner-id", &["amazon-elb"])],
            ..Default::default()
        }),
    );
    for name in ["botocore-sts", "botocore-sts-presigned"] {
        let decoded = decode(&captured(name)).expect(name);
        assert_eq!(decoded.call, Call::Sts(sts::Call::GetCallerIdentity(sts::GetCallerIdentity {})), "{name}");
    }
}

#[test]
fn requests_that_cannot_be_served_are_refused_in_their_own_dialect() {
    let check = |name: &str, dialect: Dialect, code: &str, message: &str| {
        let rejected = decode(&captured(name)).expect_err(name);
        assert_eq!(rejected.form, dialect.into(), "{name}");
        assert_eq!((rejected.error.code.as_ref(), rejected.error.message.as_str()), (code, message), "{name}");
        assert_eq!(rejected.error.status, 400);
    };
    check(
        "botocore-elb-missing",
        Api::Elb.dialect(),
        "ValidationError",
        "1 validation error detected: Value null at 'listeners.1.member.instancePort' failed to satisfy constraint: \
         Member must not be null",
    );
    check(
        "boto2-elb-register-none",
        Api::Elb.dialect(),
        "ValidationError",
        "1 validation error detected: Value null at 'instances' failed to satisfy constraint: Member must not be null",
    );
}
