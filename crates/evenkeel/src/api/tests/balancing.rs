//! Elastic Load Balancing: the life of a balancer as tools walk it, and every error row of AWS's behaviour.

use std::collections::BTreeMap as Map;

use evenkeel_aws::xml::Members;
use evenkeel_core::health::Health;
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::noun::Algorithm;
use evenkeel_core::routes::compile;
use evenkeel_core::sightings::RoadSeen;

use super::*;

fn described(name: &str) -> elb::DescribeLoadBalancers {
    elb::DescribeLoadBalancers { load_balancer_names: names(&[name]), ..elb::DescribeLoadBalancers::default() }
}

fn names(names: &[&str]) -> Members<String> {
    names.iter().map(ToString::to_string).collect()
}

fn register(name: &str, ids: &[&str]) -> elb::RegisterInstancesWithLoadBalancer {
    elb::RegisterInstancesWithLoadBalancer { load_balancer_name: name.into(), instances: targets(ids) }
}

fn deregister(name: &str, ids: &[&str]) -> elb::DeregisterInstancesFromLoadBalancer {
    elb::DeregisterInstancesFromLoadBalancer { load_balancer_name: name.into(), instances: targets(ids) }
}

fn check_of(target: &str, interval: i64, timeout: i64, thresholds: (i64, i64)) -> elb::ConfigureHealthCheck {
    elb::ConfigureHealthCheck {
        load_balancer_name: "web".into(),
        health_check: elb::HealthCheck {
            target: target.into(),
            interval,
            timeout,
            unhealthy_threshold: thresholds.0,
            healthy_threshold: thresholds.1,
        },
    }
}

fn modify(attributes: elb::LoadBalancerAttributes) -> elb::ModifyLoadBalancerAttributes {
    elb::ModifyLoadBalancerAttributes { load_balancer_name: "web".into(), load_balancer_attributes: attributes }
}

fn tag(key: &str, value: &str) -> elb::Tag {
    elb::Tag { key: key.into(), value: Some(value.into()) }
}

#[tokio::test]
async fn a_new_balancer_has_awss_defaults() {
    let rig = Rig::start().await;
    let dns_name = rig.balancer("web").await;
    let rest = dns_name.strip_prefix("web-").and_then(|rest| rest.strip_suffix(".us-east-1.elb.evenkeel.test"));
    assert!(rest.is_some_and(|digits| (8..=10).contains(&digits.len())), "{dns_name}");
    let output = rig.ok(described("web")).await;
    let lb = &output.load_balancer_descriptions[0];
    assert_eq!((output.next_marker, lb.dns_name.as_str()), (None, dns_name.as_str()));
    assert_eq!(lb.canonical_hosted_zone_name.as_ref(), Some(&dns_name));
    assert_eq!(lb.canonical_hosted_zone_name_id.as_deref(), Some("Z35SXDOTRQ7X7K"));
    let front = &lb.listener_descriptions[0].listener;
    assert_eq!((front.protocol.as_str(), front.instance_protocol.as_deref()), ("HTTP", Some("HTTP")));
    let check = &lb.health_check;
    assert_eq!(check.target, "TCP:8080");
    assert_eq!((check.interval, check.timeout, check.unhealthy_threshold, check.healthy_threshold), (30, 5, 2, 10));
    assert_eq!((lb.scheme.as_str(), &lb.vpc_id), ("internet-facing", &None));
    assert_eq!(lb.source_security_group.as_ref().unwrap().group_name, "amazon-elb-sg");
    assert!((now().0 - lb.created_time.0).abs() < 20_000);
    // The same again is a success, with the same name.
    assert_eq!(rig.balancer("web").await, dns_name);
    let internal = elb::CreateLoadBalancer { scheme: Some("internal".into()), ..balancer("in") };
    assert!(rig.ok(internal).await.dns_name.starts_with("internal-in-"));
    let lb = rig.ok(described("in")).await.load_balancer_descriptions.remove(0);
    assert_eq!((lb.scheme.as_str(), lb.canonical_hosted_zone_name), ("internal", None));
}

#[tokio::test]
async fn the_document_has_the_elements_that_old_tools_need() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let text = rig.raw(&bytes(&rig.signed(&described("web")), true)).await;
    let text = text.text().replace('\n', "");
    for element in [
        "<DescribeLoadBalancersResult>",
        "<ListenerDescriptions><member><Listener><Protocol>HTTP</Protocol>",
        "<Target>TCP:8080</Target>",
        "<AvailabilityZones><member>us-east-1a</member></AvailabilityZones>",
        "<OwnerAlias>amazon-elb</OwnerAlias>",
    ] {
        assert!(text.contains(element), "{element} in {text}");
    }
    assert!(!text.contains("NextMarker") && !text.contains("Tags"), "{text}");
    let empty = rig.raw(&bytes(&rig.signed(&elb::DeleteLoadBalancer { load_balancer_name: "web".into() }), true)).await;
    assert!(empty.text().contains("DeleteLoadBalancerResult"), "{}", empty.text());
}

#[tokio::test]
async fn creating_is_refused_in_awss_words() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let with = |change: fn(&mut elb::CreateLoadBalancer)| {
        let mut input = balancer("new");
        change(&mut input);
        input
    };
    let named = |name: &str| balancer(name);
    rig.no(named(&"a".repeat(33)), 400, "ValidationError", "LoadBalancer name cannot be longer than 32 characters")
        .await;
    rig.no(named("a_b"), 400, "ValidationError", "LoadBalancer name may contain only characters").await;
    rig.no(named("-a"), 400, "ValidationError", "LoadBalancer name must not begin or end with").await;
    rig.no(with(|i| i.load_balancer_name = String::new()), 400, "ValidationError", "").await;
    let other = elb::CreateLoadBalancer { listeners: vec![listener(81, "http")].into(), ..balancer("web") };
    rig.no(other, 400, "DuplicateLoadBalancerName", "already exists and it is configured with different parameters.")
        .await;
    let tagged = elb::CreateLoadBalancer { tags: vec![tag("a", "b")].into(), ..balancer("web") };
    rig.no(tagged, 400, "DuplicateLoadBalancerName", "different tags.").await;
    rig.no(
        with(|i| i.subnets = Some(names(&["subnet-1"]))),
        400,
        "ValidationError",
        "Only one of SubnetIds or AvailabilityZones may be specified",
    )
    .await;
    rig.no(
        with(|i| (i.availability_zones, i.subnets) = (None, Some(names(&["subnet-1"])))),
        400,
        "SubnetNotFound",
        "subnet-1",
    )
    .await;
    rig.no(
        with(|i| i.availability_zones = None),
        400,
        "ValidationError",
        "Either AvailabilityZones or SubnetIds must be specified",
    )
    .await;
    rig.no(with(|i| i.availability_zones = Some(names(&["us-east-1z"]))), 400, "ValidationError", "us-east-1z").await;
    rig.no(with(|i| i.availability_zones = Some(names(&["Not a zone"]))), 400, "ValidationError", "Not a zone").await;
    rig.no(
        with(|i| i.listeners = vec![listener(443, "HTTPS")].into()),
        400,
        "ValidationError",
        "Secure Listeners need to specify a SSLCertificateId",
    )
    .await;
    let certified = |i: &mut elb::CreateLoadBalancer| {
        i.listeners = vec![elb::Listener { ssl_certificate_id: Some("arn:x".into()), ..listener(443, "ssl") }].into();
    };
    rig.no(with(certified), 400, "CertificateNotFound", "Server Certificate not found for the key: arn:x").await;
    rig.no(with(|i| i.scheme = Some("sideways".into())), 400, "InvalidScheme", "sideways").await;
    rig.no(with(|i| i.security_groups = Some(names(&["mine"]))), 400, "InvalidSecurityGroup", "mine").await;
    rig.no(with(|i| i.security_groups = Some(names(&["sg-12345678"; 6]))), 409, "InvalidConfigurationRequest", "5")
        .await;
    rig.no(
        with(|i| i.listeners = vec![listener(80, "gopher")].into()),
        400,
        "ValidationError",
        "listeners.1.member.protocol",
    )
    .await;
    rig.no(
        with(|i| i.listeners = vec![listener(0, "tcp")].into()),
        400,
        "ValidationError",
        "listeners.1.member.loadBalancerPort",
    )
    .await;
    rig.no(
        with(|i| i.listeners = vec![listener(65_536, "tcp")].into()),
        400,
        "ValidationError",
        "less than or equal to 65535",
    )
    .await;
    rig.no(with(|i| i.listeners = vec![listener(-1, "tcp")].into()), 400, "ValidationError", "'-1'").await;
    let mixed = |i: &mut elb::CreateLoadBalancer| {
        i.listeners = vec![elb::Listener { instance_protocol: Some("http".into()), ..listener(80, "tcp") }].into();
    };
    rig.no(with(mixed), 400, "ValidationError", "cannot be paired").await;
    rig.no(with(|i| i.tags = vec![tag("a", "1"), tag("a", "2")].into()), 400, "DuplicateTagKeys", "'a'").await;
    let eleven: Vec<elb::Tag> = (0..11).map(|n| tag(&n.to_string(), "")).collect();
    rig.no(elb::CreateLoadBalancer { tags: eleven.into(), ..balancer("new") }, 400, "TooManyTags", "10").await;
    rig.no(with(|i| i.tags = vec![tag("aws:x", "1")].into()), 400, "ValidationError", "reserved").await;
    assert_eq!(rig.ok(elb::DescribeLoadBalancers::default()).await.load_balancer_descriptions.len(), 1);
    let grouped = elb::CreateLoadBalancer { security_groups: Some(names(&["sg-12345678"])), ..balancer("grouped") };
    rig.no(grouped, 400, "InvalidSecurityGroup", "sg-12345678").await;
}

#[tokio::test]
async fn quotas_and_privileges_are_named() {
    let mut settings = settings();
    (settings.limits.load_balancers, settings.limits.listeners, settings.lowest_port) = (1, 1, 1024);
    let rig = Rig::with(Limits::default(), settings).await;
    rig.no(balancer("web"), 409, "InvalidConfigurationRequest", "port 80 needs a privilege").await;
    let high = |name: &str, ports: &[i64]| {
        let listeners: Vec<elb::Listener> = ports.iter().map(|port| listener(*port, "http")).collect();
        elb::CreateLoadBalancer { listeners: listeners.into(), ..balancer(name) }
    };
    rig.no(high("web", &[8080, 8081]), 409, "InvalidConfigurationRequest", "at most 1 listeners").await;
    rig.ok(high("web", &[8080])).await;
    rig.no(high("two", &[8080]), 400, "TooManyLoadBalancers", "1").await;
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let rig = Rig::start().await;
    let gone = "There is no ACTIVE Load Balancer named";
    rig.no(described("gone"), 400, "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'gone'").await;
    rig.no(described("not a name"), 400, "LoadBalancerNotFound", gone).await;
    rig.no(register("gone", &["i-12345678"]), 400, "LoadBalancerNotFound", gone).await;
    rig.no(
        elb::DescribeInstanceHealth { load_balancer_name: "gone".into(), ..Default::default() },
        400,
        "LoadBalancerNotFound",
        gone,
    )
    .await;
    rig.no(
        elb::DescribeLoadBalancerAttributes { load_balancer_name: "gone".into() },
        400,
        "LoadBalancerNotFound",
        gone,
    )
    .await;
    rig.no(elb::DescribeTags { load_balancer_names: names(&["gone"]) }, 400, "LoadBalancerNotFound", gone).await;
    // Deleting it is a success.
    for name in ["gone", "not a name", ""] {
        rig.ok(elb::DeleteLoadBalancer { load_balancer_name: name.into() }).await;
    }
    // Names are exact: `we` is not `web`.
    rig.balancer("web").await;
    rig.no(described("we"), 400, "LoadBalancerNotFound", gone).await;
    rig.no(described("WEB"), 400, "LoadBalancerNotFound", gone).await;
}

#[tokio::test]
async fn listeners_come_and_go() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let create = |listeners: Vec<elb::Listener>| elb::CreateLoadBalancerListeners {
        load_balancer_name: "web".into(),
        listeners: listeners.into(),
    };
    rig.ok(create(vec![listener(80, "HTTP"), listener(9000, "tcp")])).await;
    let text = "A listener already exists for web with LoadBalancerPort 80, but with a different InstancePort, Protocol, or SSLCertificateId";
    rig.no(create(vec![elb::Listener { instance_port: 81, ..listener(80, "http") }]), 400, "DuplicateListener", text)
        .await;
    rig.no(create(Vec::new()), 400, "ValidationError", "").await;
    let delete = |ports: Vec<i64>| elb::DeleteLoadBalancerListeners {
        load_balancer_name: "web".into(),
        load_balancer_ports: ports.into(),
    };
    rig.ok(delete(vec![80, 4242])).await;
    rig.no(delete(vec![70_000]), 400, "ValidationError", "loadBalancerPorts.1.member").await;
    let lb = rig.ok(described("web")).await.load_balancer_descriptions.remove(0);
    let ports: Vec<i64> = lb.listener_descriptions.iter().map(|d| d.listener.load_balancer_port).collect();
    assert_eq!(ports, [9000]);
}

#[tokio::test]
async fn zones_are_enabled_and_disabled_but_one() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let enable = |zone: &str| elb::EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "web".into(),
        availability_zones: names(&[zone]),
    };
    let disable = |zone: &str| elb::DisableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "web".into(),
        availability_zones: names(&[zone]),
    };
    let both = names(&["us-east-1a", "us-east-1c"]);
    assert_eq!(rig.ok(enable("us-east-1c")).await.availability_zones, both);
    assert_eq!(rig.ok(enable("us-east-1c")).await.availability_zones, both);
    assert_eq!(rig.ok(disable("us-east-1b")).await.availability_zones, both);
    assert_eq!(rig.ok(disable("us-east-1a")).await.availability_zones, names(&["us-east-1c"]));
    rig.no(disable("us-east-1c"), 409, "InvalidConfigurationRequest", "at least one").await;
    rig.no(enable("us-east-1z"), 400, "ValidationError", "us-east-1z").await;
    rig.no(enable("Zone!"), 400, "ValidationError", "Zone!").await;
}

#[tokio::test]
async fn instances_are_registered_all_or_none() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let image = rig.image().await;
    let ids = rig.launch(&image, "us-east-1a", 2).await;
    let (one, two) = (ids[0].as_str(), ids[1].as_str());
    let unknown = "i-00000000000000001";
    rig.no(
        register("web", &[one, unknown]),
        400,
        "InvalidInstance",
        "Could not find EC2 instance i-00000000000000001.",
    )
    .await;
    rig.no(register("web", &["nonsense"]), 400, "InvalidInstance", "Could not find EC2 instance nonsense.").await;
    assert!(rig.ok(described("web")).await.load_balancer_descriptions[0].instances.is_empty());
    assert_eq!(rig.ok(register("web", &[one, one])).await.instances, targets(&[one]));
    assert_eq!(rig.ok(register("web", &[two])).await.instances.len(), 2);
    rig.no(deregister("web", &[unknown]), 400, "InvalidInstance", unknown).await;
    assert_eq!(rig.ok(deregister("web", &[one])).await.instances, targets(&[two]));
    assert_eq!(rig.ok(deregister("web", &[one])).await.instances, targets(&[two]));
    rig.ok(ec2::TerminateInstances { instance_ids: vec![one.into()], ..Default::default() }).await;
    rig.no(register("web", &[one]), 400, "InvalidInstance", "cannot be registered").await;
}

#[tokio::test]
async fn health_is_told_in_awss_sentences() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let image = rig.image().await;
    let here = rig.launch(&image, "us-east-1a", 3).await;
    let there = rig.launch(&image, "us-east-1b", 1).await;
    let [one, two, three] = [&here[0], &here[1], &here[2]];
    rig.ok(register("web", &[one, two, &there[0]])).await;
    for id in [one, two, &there[0]] {
        rig.report(id, WELL).await;
    }
    let key = |id: &str| (LoadBalancerName::new("web").unwrap(), InstanceId::new(id).unwrap());
    let health = Map::from([(key(one), Health::InService), (key(two), Health::Failing)]);
    rig.sightings
        .send_replace(Arc::new(Sightings { road: Some(RoadSeen { health: Arc::new(health), ..RoadSeen::default() }) }));
    let told = |id: &str, state: &str, text: &str| (id.to_owned(), state.to_owned(), text.to_owned());
    let failed = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.";
    let elsewhere =
        "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.";
    let not_registered = "Instance is not currently registered with the LoadBalancer.";
    // As asked for, each once.
    assert_eq!(
        rig.health("web", &[two, three, one, two]).await,
        [told(two, "OutOfService", failed), told(three, "OutOfService", not_registered), told(one, "InService", "N/A")]
    );
    let all = rig.health("web", &[]).await;
    assert_eq!(all.len(), 3);
    assert!(all.contains(&told(&there[0], "OutOfService", elsewhere)));
    let input = |id: &str| elb::DescribeInstanceHealth { load_balancer_name: "web".into(), instances: targets(&[id]) };
    rig.no(input("i-00000000000000001"), 400, "InvalidInstance", "i-00000000000000001").await;
    rig.no(input("nonsense"), 400, "InvalidInstance", "nonsense").await;
    // Draining ones are still told of.
    let draining = elb::ConnectionDraining { enabled: true, timeout: Some(60) };
    rig.ok(modify(elb::LoadBalancerAttributes { connection_draining: Some(draining), ..Default::default() })).await;
    rig.ok(deregister("web", &[one])).await;
    let all = rig.health("web", &[]).await;
    assert_eq!(all.last(), Some(&told(one, "InService", "Instance deregistration currently in progress.")));
    // `elbadmin reap` depends on this sentence.
    rig.ok(ec2::TerminateInstances { instance_ids: vec![two.clone()], ..Default::default() }).await;
    assert_eq!(rig.health("web", &[two]).await, [told(two, "OutOfService", "Instance is in terminated state.")]);
}

#[tokio::test]
async fn health_checks_keep_awss_limits() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let output = rig.ok(check_of("http:80/ping", 10, 2, (3, 4))).await.health_check;
    assert_eq!((output.target.as_str(), output.interval, output.healthy_threshold), ("HTTP:80/ping", 10, 4));
    let bad = [
        (
            check_of("HTTP:80", 10, 2, (2, 2)),
            "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash. e.g. HTTP:80/ping/this/path",
        ),
        (check_of("FTP:21", 10, 2, (2, 2)), "HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL"),
        (check_of("TCP:80", 10, 10, (2, 2)), "HealthCheck timeout must be less than interval"),
        (check_of("TCP:0", 10, 2, (2, 2)), "port"),
        (check_of("TCP:80", -5, 2, (2, 2)), "HealthCheck"),
        (check_of("TCP:80", i64::MAX, 2, (2, 2)), "HealthCheck"),
        (check_of("TCP:80", 10, 2, (i64::MAX, 2)), "HealthCheck"),
        (check_of("TCP:80", 10, 2, (2, -1)), "HealthCheck"),
    ];
    for (input, text) in bad {
        rig.no(input, 400, "ValidationError", text).await;
    }
}

#[tokio::test]
async fn attributes_are_described_in_full_and_changed_in_part() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let describe = || elb::DescribeLoadBalancerAttributes { load_balancer_name: "web".into() };
    let fresh = rig.ok(describe()).await.load_balancer_attributes;
    assert!(!fresh.cross_zone_load_balancing.unwrap().enabled);
    assert_eq!(fresh.connection_draining, Some(elb::ConnectionDraining { enabled: false, timeout: Some(300) }));
    assert_eq!(fresh.connection_settings.unwrap().idle_timeout, 60);
    assert!(!fresh.access_log.unwrap().enabled);
    assert_eq!(fresh.additional_attributes.unwrap()[0].value, "defensive");
    let nothing = elb::LoadBalancerAttributes::default;
    let cross = elb::LoadBalancerAttributes {
        cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
        ..nothing()
    };
    let echo = rig.ok(modify(cross.clone())).await;
    assert_eq!((echo.load_balancer_name.as_str(), echo.load_balancer_attributes), ("web", cross));
    let draining = |enabled, timeout| elb::LoadBalancerAttributes {
        connection_draining: Some(elb::ConnectionDraining { enabled, timeout }),
        ..nothing()
    };
    rig.ok(modify(draining(true, Some(10)))).await;
    rig.ok(modify(draining(false, None))).await;
    let log = |enabled| elb::LoadBalancerAttributes {
        access_log: Some(elb::AccessLog { enabled, ..elb::AccessLog::default() }),
        ..nothing()
    };
    rig.ok(modify(log(false))).await;
    rig.ok(modify(nothing())).await;
    let held = rig.ok(describe()).await.load_balancer_attributes;
    assert!(held.cross_zone_load_balancing.unwrap().enabled);
    assert_eq!(held.connection_draining, Some(elb::ConnectionDraining { enabled: false, timeout: Some(10) }));
    let idle = |idle_timeout| elb::LoadBalancerAttributes {
        connection_settings: Some(elb::ConnectionSettings { idle_timeout }),
        ..nothing()
    };
    let additional = |key: &str, value: &str| elb::LoadBalancerAttributes {
        additional_attributes: Some(vec![elb::AdditionalAttribute { key: key.into(), value: value.into() }].into()),
        ..nothing()
    };
    rig.ok(modify(additional("elb.http.desyncmitigationmode", "strictest"))).await;
    rig.no(modify(log(true)), 409, "InvalidConfigurationRequest", "S3BucketName is needed").await;
    // boto 2 states a timeout beside disabled draining.
    rig.ok(modify(draining(false, Some(5)))).await;
    rig.no(modify(draining(true, Some(3601))), 400, "ValidationError", "from 1 to 3600").await;
    rig.no(modify(idle(0)), 400, "ValidationError", "from 1 to 4000").await;
    rig.no(modify(idle(-7)), 400, "ValidationError", "from 1 to 4000").await;
    rig.ok(modify(idle(4000))).await;
    rig.no(modify(additional("elb.http.desyncmitigationmode", "lax")), 409, "InvalidConfigurationRequest", "'lax'")
        .await;
    rig.no(modify(additional("elb.other", "x")), 400, "LoadBalancerAttributeNotFound", "elb.other").await;
}

#[tokio::test]
async fn the_choice_of_an_instance_is_set_by_attributes() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let describe = || elb::DescribeLoadBalancerAttributes { load_balancer_name: "web".into() };
    let set = |pairs: &[(&str, &str)]| {
        let one = |(key, value): &(&str, &str)| elb::AdditionalAttribute { key: (*key).into(), value: (*value).into() };
        let additional_attributes = Some(pairs.iter().map(one).collect());
        modify(elb::LoadBalancerAttributes { additional_attributes, ..Default::default() })
    };
    let held = || async {
        let all = rig.ok(describe()).await.load_balancer_attributes.additional_attributes.unwrap();
        all.0.into_iter().skip(1).map(|pair| (pair.key, pair.value)).collect::<Vec<_>>()
    };
    let wanted = [
        ("evenkeel.balance.algorithm", "least_latency"),
        ("evenkeel.balance.slow_start", "30"),
        ("evenkeel.balance.max_in_flight", "100"),
        ("evenkeel.balance.preconnect", "4"),
    ];
    rig.ok(set(&wanted)).await;
    let texts = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Vec<_>>();
    assert_eq!(held().await, texts(&wanted));
    // What is set is in the next Routes, and stays where it is not stated.
    rig.ok(set(&[("evenkeel.balance.algorithm", "aws"), ("elb.http.desyncmitigationmode", "monitor")])).await;
    assert_eq!(held().await, texts(&wanted[1..]));
    let routes = compile(&rig.keeper.world());
    let balancing = &routes.balancers[&LoadBalancerName::new("web").unwrap()].balancing;
    assert_eq!((balancing.algorithm, balancing.max_in_flight, balancing.preconnect), (Algorithm::Aws, 100, 4));
    let refused = set(&[("evenkeel.balance.queue_wait", "5"), ("evenkeel.balance.queue_length", "65537")]);
    let text = "evenkeel.balance.queue_length must be a whole number from 0 to 65536, and is '65537'";
    rig.no(refused, 409, "InvalidConfigurationRequest", text).await;
    let text = "evenkeel.balance.preconnect must be a whole number from 0 to 64, and is '65'";
    rig.no(set(&[("evenkeel.balance.preconnect", "65")]), 409, "InvalidConfigurationRequest", text).await;
    rig.no(set(&[("evenkeel.balance.depth", "1")]), 400, "LoadBalancerAttributeNotFound", "evenkeel.balance.depth")
        .await;
    rig.no(set(&[("evenkeel.algorithm", "aws")]), 400, "LoadBalancerAttributeNotFound", "evenkeel.algorithm").await;
    // Nothing of a refused call was made.
    assert_eq!(held().await, texts(&wanted[1..]));
}

#[tokio::test]
async fn tags_keep_awss_limits() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let add = |on: &[&str], tags: Vec<elb::Tag>| elb::AddTags { load_balancer_names: names(on), tags: tags.into() };
    rig.ok(add(&["web"], vec![tag("Name", "front"), tag("x", "")])).await;
    let remove = elb::RemoveTags {
        load_balancer_names: names(&["web"]),
        tags: vec![elb::TagKeyOnly { key: "x".into() }, elb::TagKeyOnly { key: "absent".into() }].into(),
    };
    rig.ok(remove).await;
    let told = rig.ok(elb::DescribeTags { load_balancer_names: names(&["web"]) }).await.tag_descriptions;
    assert_eq!((told[0].load_balancer_name.as_str(), &told[0].tags.0), ("web", &vec![tag("Name", "front")]));
    rig.no(add(&["web", "api"], vec![tag("a", "b")]), 400, "ValidationError", "Exactly one").await;
    rig.no(add(&["web"], vec![tag("a", "1"), tag("a", "1")]), 400, "DuplicateTagKeys", "'a'").await;
    rig.no(add(&["web"], vec![tag(&"k".repeat(129), "")]), 400, "ValidationError", "128").await;
    rig.no(add(&["web"], (0..10).map(|n| tag(&n.to_string(), "")).collect()), 400, "TooManyTags", "10").await;
    let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
    rig.no(elb::DescribeTags { load_balancer_names: many.into() }, 400, "ValidationError", "20").await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let rig = Rig::start().await;
    for name in ["e", "b", "d", "a", "c"] {
        rig.balancer(name).await;
    }
    let (mut met, mut marker) = (Vec::new(), None);
    loop {
        let input = elb::DescribeLoadBalancers { page_size: Some(2), marker, ..Default::default() };
        let output = rig.ok(input).await;
        met.extend(output.load_balancer_descriptions.into_iter().map(|lb| lb.load_balancer_name));
        marker = output.next_marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(met, ["a", "b", "c", "d", "e"]);
    let sized = |size| elb::DescribeLoadBalancers { page_size: Some(size), ..Default::default() };
    rig.no(sized(0), 400, "ValidationError", "pageSize").await;
    rig.no(sized(401), 400, "ValidationError", "400").await;
    let forged = elb::DescribeLoadBalancers { marker: Some("forged".into()), ..Default::default() };
    rig.no(forged, 400, "ValidationError", "Marker").await;
}
