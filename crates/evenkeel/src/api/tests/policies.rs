//! Policies, certificates on listeners, subnets and limits: each call, each refusal, and the Routes that come of it.

use std::time::Duration;

use evenkeel_aws::xml::Members;
use evenkeel_core::name::{CertificateArn, LoadBalancerName, Port};
use evenkeel_core::noun::{Certificate, CertificateOrigin, Facts, Material};
use evenkeel_core::routes::{ListenerRoute, ProxyProtocol, Stickiness, compile};

use super::*;

const WEB: &str = "web";

fn names(names: &[&str]) -> Members<String> {
    names.iter().map(ToString::to_string).collect()
}

fn policy(name: &str, kind: &str, attributes: &[(&str, &str)]) -> elb::CreateLoadBalancerPolicy {
    let one = |(name, value): &(&str, &str)| elb::PolicyAttribute {
        attribute_name: (*name).into(),
        attribute_value: (*value).into(),
    };
    elb::CreateLoadBalancerPolicy {
        load_balancer_name: WEB.into(),
        policy_name: name.into(),
        policy_type_name: kind.into(),
        policy_attributes: attributes.iter().map(one).collect(),
    }
}

fn on_listener(port: i64, policies: &[&str]) -> elb::SetLoadBalancerPoliciesOfListener {
    elb::SetLoadBalancerPoliciesOfListener {
        load_balancer_name: WEB.into(),
        load_balancer_port: port,
        policy_names: names(policies),
    }
}

fn on_instances(port: i64, policies: &[&str]) -> elb::SetLoadBalancerPoliciesForBackendServer {
    elb::SetLoadBalancerPoliciesForBackendServer {
        load_balancer_name: WEB.into(),
        instance_port: port,
        policy_names: names(policies),
    }
}

fn delete(name: &str) -> elb::DeleteLoadBalancerPolicy {
    elb::DeleteLoadBalancerPolicy { load_balancer_name: WEB.into(), policy_name: name.into() }
}

fn arn(id: &str) -> String {
    format!("arn:aws:acm:us-east-1:{ACCOUNT}:certificate/{id}")
}

/// A listener with its own instance port: 100 above.
fn front(port: i64, protocol: &str, back: &str) -> elb::Listener {
    elb::Listener {
        instance_protocol: Some(back.into()),
        instance_port: port + 100,
        ssl_certificate_id: matches!(protocol, "HTTPS" | "SSL").then(|| arn("one")),
        ..listener(port, protocol)
    }
}

impl Rig {
    async fn certificate(&self, id: &str) {
        let text = |what: &str| format!("{what} {id}").as_str().into();
        let material =
            Material { body_pem: text("body"), chain_pem: "".into(), sealed_key: text("key"), facts: Facts::default() };
        let certificate = Certificate {
            arn: CertificateArn::new(arn(id)).unwrap(),
            origin: CertificateOrigin::Imported,
            material: Some(material),
            created: clock(),
            imported: clock(),
            tags: BTreeMap::new(),
        };
        self.keeper.submit("test", Change::CreateCertificate(certificate)).await.unwrap();
    }

    /// A balancer with a listener of each kind: HTTP 80, HTTPS 443, TCP 25, SSL 993 and HTTPS 8443 to HTTPS.
    async fn every_kind(&self) {
        self.certificate("one").await;
        let listeners = vec![
            front(80, "HTTP", "HTTP"),
            front(443, "HTTPS", "HTTP"),
            front(25, "TCP", "TCP"),
            front(993, "SSL", "TCP"),
            front(8443, "HTTPS", "HTTPS"),
        ];
        self.ok(elb::CreateLoadBalancer { listeners: listeners.into(), ..balancer(WEB) }).await;
    }

    async fn web(&self) -> elb::LoadBalancerDescription {
        let input = elb::DescribeLoadBalancers { load_balancer_names: names(&[WEB]), ..Default::default() };
        self.ok(input).await.load_balancer_descriptions.remove(0)
    }

    fn route(&self, port: u16) -> ListenerRoute {
        let routes = compile(&self.keeper.world());
        let web = &routes.balancers[&LoadBalancerName::new(WEB).unwrap()];
        web.listeners.iter().find(|l| l.port == Port::new(port).unwrap()).unwrap().clone()
    }
}

#[tokio::test]
async fn stickiness_is_made_set_and_taken_away() {
    let rig = Rig::start().await;
    rig.every_kind().await;
    let lb_cookie = |name: &str, seconds| elb::CreateLBCookieStickinessPolicy {
        load_balancer_name: WEB.into(),
        policy_name: name.into(),
        cookie_expiration_period: seconds,
    };
    rig.ok(lb_cookie("minute", Some(60))).await;
    rig.ok(lb_cookie("session", None)).await;
    let app_cookie = |name: &str, cookie: &str| elb::CreateAppCookieStickinessPolicy {
        load_balancer_name: WEB.into(),
        policy_name: name.into(),
        cookie_name: cookie.into(),
    };
    rig.ok(app_cookie("app", "JSESSIONID")).await;
    rig.no(app_cookie("app", "OTHER"), 400, "DuplicatePolicyName", "app").await;
    rig.no(app_cookie("bad", "a;b"), 409, "InvalidConfigurationRequest", "name of a cookie").await;
    rig.no(lb_cookie("bad", Some(-1)), 409, "InvalidConfigurationRequest", "CookieExpirationPeriod").await;
    rig.no(lb_cookie("a_b", None), 400, "ValidationError", "PolicyName").await;

    rig.ok(on_listener(80, &["minute"])).await;
    assert_eq!(rig.route(80).stickiness, Some(Stickiness::Duration(Some(Duration::from_secs(60)))));
    rig.no(on_listener(80, &["minute", "app"]), 409, "InvalidConfigurationRequest", "at most one stickiness").await;
    rig.no(on_listener(25, &["minute"]), 409, "InvalidConfigurationRequest", "HTTP and HTTPS listeners only").await;
    rig.no(on_listener(81, &["minute"]), 400, "ListenerNotFound", "port 81").await;
    rig.no(on_listener(80, &["nope"]), 400, "PolicyNotFound", "nope").await;
    rig.no(on_instances(180, &["minute"]), 409, "InvalidConfigurationRequest", "for listeners").await;
    rig.no(delete("minute"), 409, "InvalidConfigurationRequest", "the listener on port 80").await;
    let shown = rig.web().await;
    assert_eq!(shown.listener_descriptions[0].policy_names, names(&["minute"]));
    let policies = &shown.policies;
    let periods: Vec<_> = policies.lb_cookie_stickiness_policies.iter().map(|p| p.cookie_expiration_period).collect();
    assert_eq!(periods, [Some(60), None]);
    assert_eq!(policies.app_cookie_stickiness_policies[0].cookie_name, "JSESSIONID");
    // Listeners whose certificate needs an offer have the default one.
    assert_eq!(policies.other_policies, names(&["ELBSecurityPolicy-2016-08"]));

    rig.ok(on_listener(443, &["app", "ELBSecurityPolicy-2016-08"])).await;
    assert_eq!(rig.route(443).stickiness, Some(Stickiness::Application("JSESSIONID".into())));
    rig.ok(on_listener(80, &[])).await;
    assert_eq!(rig.route(80).stickiness, None);
    rig.ok(delete("minute")).await;
    rig.ok(delete("minute")).await;
    rig.ok(delete("a_b")).await;
    let other = elb::DeleteLoadBalancerPolicy { load_balancer_name: "other".into(), policy_name: "x".into() };
    rig.no(other, 400, "LoadBalancerNotFound", "other").await;
}

#[tokio::test]
async fn what_is_offered_in_tls_is_set_and_described() {
    let rig = Rig::start().await;
    rig.every_kind().await;
    let kind = "SSLNegotiationPolicyType";
    let strict = [("Protocol-TLSv1.2", "True"), ("ECDHE-RSA-AES256-GCM-SHA384", "true")];
    rig.ok(policy("strict", kind, &strict)).await;
    rig.ok(policy("old", kind, &[("Reference-Security-Policy", "ELBSecurityPolicy-TLS-1-2-2017-01")])).await;
    rig.no(policy("x", kind, &[("RC4-SHA", "true")]), 409, "InvalidConfigurationRequest", "at least one protocol")
        .await;
    rig.no(policy("x", "NopePolicyType", &[]), 400, "PolicyTypeNotFound", "NopePolicyType").await;
    rig.no(policy("ELBSecurityPolicy-mine", kind, &strict), 400, "ValidationError", "reserved").await;
    rig.ok(on_listener(443, &["strict"])).await;
    rig.no(on_listener(443, &["strict", "old"]), 409, "InvalidConfigurationRequest", "at most one SSL").await;
    rig.no(on_listener(80, &["strict"]), 409, "InvalidConfigurationRequest", "HTTPS and SSL listeners only").await;
    // A predefined one need not be made first.
    rig.ok(on_listener(993, &["ELBSecurityPolicy-2015-05"])).await;
    let web =
        elb::DescribeLoadBalancerPolicies { load_balancer_name: Some(WEB.into()), policy_names: names(&["strict"]) };
    let shown = rig.ok(web).await.policy_descriptions.remove(0);
    let value = |name: &str| {
        let found = shown.policy_attribute_descriptions.iter().find(|a| a.attribute_name == name);
        found.map(|a| a.attribute_value.as_str())
    };
    assert_eq!(value("Protocol-TLSv1.2"), Some("true"));
    assert_eq!(value("Protocol-TLSv1"), Some("false"));
    assert_eq!(value("Evenkeel-Effective-Ciphers"), Some("ECDHE-RSA-AES256-GCM-SHA384"));
    let all = rig.ok(elb::DescribeLoadBalancerPolicies::default()).await.policy_descriptions;
    assert!(all.len() >= 9 && all.iter().any(|p| p.policy_name == "ELBSecurityPolicy-2016-08"));
    let all = elb::DescribeLoadBalancerPolicies { load_balancer_name: Some(WEB.into()), ..Default::default() };
    let held: Vec<String> = rig.ok(all).await.policy_descriptions.into_iter().map(|p| p.policy_name).collect();
    assert_eq!(held, ["ELBSecurityPolicy-2015-05", "ELBSecurityPolicy-2016-08", "old", "strict"]);
    let unknown = |lb: Option<&str>| elb::DescribeLoadBalancerPolicies {
        load_balancer_name: lb.map(str::to_owned),
        policy_names: names(&["nope"]),
    };
    rig.no(unknown(None), 400, "PolicyNotFound", "nope").await;
    rig.no(unknown(Some(WEB)), 400, "PolicyNotFound", "nope").await;
    rig.no(unknown(Some("other")), 400, "LoadBalancerNotFound", "other").await;
}

#[tokio::test]
async fn instances_are_told_of_clients_and_authenticated_by_policies() {
    let rig = Rig::start().await;
    rig.every_kind().await;
    rig.ok(policy("proxy", "ProxyProtocolPolicyType", &[("ProxyProtocol", "True")])).await;
    rig.ok(on_instances(125, &["proxy"])).await;
    assert_eq!(rig.route(25).proxy_protocol, Some(ProxyProtocol::V1));
    assert_eq!(rig.route(993).proxy_protocol, None);
    rig.no(on_instances(180, &["proxy"]), 409, "InvalidConfigurationRequest", "TCP and SSL listeners only").await;
    rig.no(on_instances(1, &["proxy"]), 409, "InvalidConfigurationRequest", "instance port 1").await;
    rig.no(on_listener(25, &["proxy"]), 409, "InvalidConfigurationRequest", "for instances").await;

    let public_key = rcgen::KeyPair::generate().unwrap().public_key_pem();
    rig.ok(policy("key", "PublicKeyPolicyType", &[("PublicKey", &public_key)])).await;
    let junk = policy("junk", "PublicKeyPolicyType", &[("PublicKey", &"A".repeat(40))]);
    rig.no(junk, 409, "InvalidConfigurationRequest", "cannot be read").await;
    let trusted = "BackendServerAuthenticationPolicyType";
    rig.no(policy("x", trusted, &[("PublicKeyPolicyName", "nope")]), 400, "PolicyNotFound", "nope").await;
    rig.no(policy("x", trusted, &[("PublicKeyPolicyName", "proxy")]), 409, "InvalidConfigurationRequest", "proxy")
        .await;
    rig.ok(policy("trusted", trusted, &[("PublicKeyPolicyName", "key")])).await;
    rig.no(on_instances(180, &["trusted"]), 409, "InvalidConfigurationRequest", "HTTPS or SSL only").await;
    rig.no(on_instances(8543, &["key"]), 409, "InvalidConfigurationRequest", "goes into").await;
    rig.no(on_listener(443, &["key"]), 409, "InvalidConfigurationRequest", "goes into").await;
    rig.ok(on_instances(8543, &["trusted"])).await;
    assert!(rig.route(443).instance_tls.is_none() && rig.route(8443).instance_tls.is_some());
    rig.no(delete("key"), 409, "InvalidConfigurationRequest", "the policy 'trusted'").await;
    rig.no(delete("trusted"), 409, "InvalidConfigurationRequest", "the instance port 8543").await;
    let ports = rig.web().await.backend_server_descriptions;
    let ports: Vec<_> = ports.iter().map(|p| (p.instance_port, p.policy_names.join(","))).collect();
    assert_eq!(ports, [(125, "proxy".to_owned()), (8543, "trusted".to_owned())]);
    // The port's policies go with its last listener.
    let gone =
        elb::DeleteLoadBalancerListeners { load_balancer_name: WEB.into(), load_balancer_ports: vec![8443].into() };
    rig.ok(gone).await;
    assert_eq!(rig.web().await.backend_server_descriptions.len(), 1);
    rig.ok(on_instances(125, &[])).await;
    assert_eq!((rig.web().await.backend_server_descriptions.len(), rig.route(25).proxy_protocol), (0, None));
}

#[tokio::test]
async fn policy_types_are_tabled_as_aws_does() {
    let rig = Rig::start().await;
    let all = rig.ok(elb::DescribeLoadBalancerPolicyTypes::default()).await.policy_type_descriptions;
    let told: Vec<String> = all
        .iter()
        .filter(|kind| kind.policy_type_name != "SSLNegotiationPolicyType")
        .flat_map(|kind| {
            let row = |a: &elb::PolicyAttributeTypeDescription| {
                format!("{} {} {} {}", kind.policy_type_name, a.attribute_name, a.attribute_type, a.cardinality)
            };
            kind.policy_attribute_type_descriptions.iter().map(row).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        told,
        [
            "AppCookieStickinessPolicyType CookieName String ONE",
            "BackendServerAuthenticationPolicyType PublicKeyPolicyName String ONE_OR_MORE",
            "LBCookieStickinessPolicyType CookieExpirationPeriod Long ZERO_OR_ONE",
            "ProxyProtocolPolicyType ProxyProtocol Boolean ONE",
            "PublicKeyPolicyType PublicKey String ONE",
        ]
    );
    let some = |kinds: &[&str]| elb::DescribeLoadBalancerPolicyTypes { policy_type_names: names(kinds) };
    let tls = rig.ok(some(&["SSLNegotiationPolicyType"])).await.policy_type_descriptions.remove(0);
    assert!(tls.policy_attribute_type_descriptions.len() > 90);
    rig.no(some(&["Nope"]), 400, "PolicyTypeNotFound", "Nope").await;
}

#[tokio::test]
async fn certificates_are_shown_swapped_and_kept_while_in_use() {
    let rig = Rig::start().await;
    rig.every_kind().await;
    rig.certificate("two").await;
    let set = |port, id: &str| elb::SetLoadBalancerListenerSSLCertificate {
        load_balancer_name: WEB.into(),
        load_balancer_port: port,
        ssl_certificate_id: id.into(),
    };
    rig.ok(set(443, &arn("two"))).await;
    let shown = rig.web().await.listener_descriptions.0;
    let of = |port| shown.iter().find(|l| l.listener.load_balancer_port == port).unwrap();
    assert_eq!(of(443).listener.ssl_certificate_id, Some(arn("two")));
    assert_eq!((of(443).listener.instance_protocol.as_deref(), of(993).policy_names.len()), (Some("HTTP"), 1));
    let tls = rig.route(443).tls.unwrap();
    assert_eq!((&*tls.certificates[0].chain_pem, &*tls.certificates[0].key_pem), ("body two", "key two"));
    rig.no(set(443, &arn("nope")), 400, "CertificateNotFound", "nope").await;
    rig.no(set(443, "nonsense"), 400, "CertificateNotFound", "nonsense").await;
    rig.no(set(80, &arn("two")), 409, "InvalidConfigurationRequest", "HTTPS and SSL listeners only").await;
    rig.no(set(81, &arn("two")), 400, "ListenerNotFound", "port 81").await;
    let certificate = CertificateArn::new(arn("two")).unwrap();
    let refused = rig.keeper.submit("test", Change::DeleteCertificate { certificate }).await.unwrap_err();
    assert!(refused.to_string().contains("currently in use by web"), "{refused}");
    // A listener is what it is whatever policies it was given since.
    let same = elb::CreateLoadBalancerListeners {
        load_balancer_name: WEB.into(),
        listeners: vec![elb::Listener { ssl_certificate_id: Some(arn("two")), ..front(443, "HTTPS", "HTTP") }].into(),
    };
    rig.ok(on_listener(443, &[])).await;
    rig.ok(same).await;
    let plain = elb::Listener { ssl_certificate_id: Some(arn("two")), ..front(81, "HTTP", "HTTP") };
    let plain = elb::CreateLoadBalancerListeners { load_balancer_name: WEB.into(), listeners: vec![plain].into() };
    rig.no(plain, 409, "InvalidConfigurationRequest", "HTTPS and SSL listeners only").await;
}

#[tokio::test]
async fn subnets_are_zones_by_another_name() {
    let rig = Rig::start().await;
    let settings = settings();
    let subnet = |zone: usize| super::super::subnets::subnet_id(&settings, &settings.zones[zone]);
    let with = |subnets: Vec<String>| elb::CreateLoadBalancer {
        availability_zones: None,
        subnets: Some(subnets.into()),
        ..balancer(WEB)
    };
    let twice = with(vec![subnet(0), subnet(0)]);
    rig.no(twice, 409, "InvalidConfigurationRequest", "multiple subnets in the same AZ").await;
    rig.ok(with(vec![subnet(0)])).await;
    let attach = |subnets: Vec<String>| elb::AttachLoadBalancerToSubnets {
        load_balancer_name: WEB.into(),
        subnets: subnets.into(),
    };
    let detach = |subnets: Vec<String>| elb::DetachLoadBalancerFromSubnets {
        load_balancer_name: WEB.into(),
        subnets: subnets.into(),
    };
    assert_eq!(rig.ok(attach(vec![subnet(1)])).await.subnets.0, [subnet(0), subnet(1)]);
    let lb = rig.web().await;
    assert_eq!(lb.subnets.0, [subnet(0), subnet(1)]);
    assert_eq!(lb.availability_zones, names(&["us-east-1a", "us-east-1b"]));
    assert!(lb.vpc_id.is_some_and(|id| id.starts_with("vpc-")));
    assert_eq!(lb.source_security_group.unwrap().owner_alias, ACCOUNT);
    assert_eq!(rig.ok(detach(vec![subnet(0)])).await.subnets.0, [subnet(1)]);
    rig.no(detach(vec![subnet(1)]), 409, "InvalidConfigurationRequest", "at least one").await;
    rig.no(attach(vec!["subnet-0".into()]), 400, "SubnetNotFound", "subnet-0").await;
    let zones = elb::EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: WEB.into(),
        availability_zones: names(&["us-east-1c"]),
    };
    rig.no(zones, 409, "InvalidConfigurationRequest", "made for subnets").await;
    rig.balancer("zonal").await;
    let zonal =
        elb::AttachLoadBalancerToSubnets { load_balancer_name: "zonal".into(), subnets: vec![subnet(1)].into() };
    rig.no(zonal, 409, "InvalidConfigurationRequest", "made for availability zones").await;
}

#[tokio::test]
async fn limits_and_groups_are_told() {
    let rig = Rig::start().await;
    rig.balancer(WEB).await;
    let all = rig.ok(elb::DescribeAccountLimits::default()).await.limits;
    let all: Vec<_> = all.iter().map(|limit| (limit.name.as_str(), limit.max.as_str())).collect();
    let wanted =
        [("classic-listeners", "100"), ("classic-load-balancers", "500"), ("classic-registered-instances", "1000")];
    assert_eq!(all, wanted);
    let first = rig.ok(elb::DescribeAccountLimits { page_size: Some(2), marker: None }).await;
    let rest = elb::DescribeAccountLimits { page_size: None, marker: first.next_marker };
    assert_eq!((first.limits.len(), rig.ok(rest).await.limits.len()), (2, 1));
}

#[tokio::test]
async fn access_logs_are_set_in_part() {
    let rig = Rig::start().await;
    rig.balancer(WEB).await;
    let log = |enabled, bucket: Option<&str>, prefix: Option<&str>, interval| elb::ModifyLoadBalancerAttributes {
        load_balancer_name: WEB.into(),
        load_balancer_attributes: elb::LoadBalancerAttributes {
            access_log: Some(elb::AccessLog {
                enabled,
                s3_bucket_name: bucket.map(str::to_owned),
                emit_interval: interval,
                s3_bucket_prefix: prefix.map(str::to_owned),
            }),
            ..Default::default()
        },
    };
    rig.no(log(true, None, None, None), 409, "InvalidConfigurationRequest", "S3BucketName").await;
    rig.no(log(true, Some("logs"), None, Some(7)), 409, "InvalidConfigurationRequest", "5 or 60").await;
    for bad in ["AWSLogs", "a/AWSLogs/b", "/a", "a//b", "../a"] {
        rig.no(log(true, Some("logs"), Some(bad), None), 409, "InvalidConfigurationRequest", "S3BucketPrefix").await;
    }
    rig.ok(log(true, Some("logs"), Some("web/"), Some(5))).await;
    let denied = "Access Denied for bucket: denied. Please check S3bucket permission: failed to write \
                  `web/AWSLogs/000000000000/ELBAccessLogTestFile` for web: no";
    rig.no(log(true, Some("denied"), None, None), 409, "InvalidConfigurationRequest", denied).await;
    rig.ok(log(false, None, None, None)).await;
    let held = elb::DescribeLoadBalancerAttributes { load_balancer_name: WEB.into() };
    let held = rig.ok(held).await.load_balancer_attributes.access_log.unwrap();
    assert_eq!((held.enabled, held.s3_bucket_name.as_deref()), (false, Some("logs")));
    assert_eq!((held.emit_interval, held.s3_bucket_prefix.as_deref()), (Some(5), Some("web/")));
}
