//! The seeded simulator: random Changes against the World, its rows and its plan.
//!
//! Owns the laws that hold for every history: invariants after each Change, rows that reload to an equal World, a
//! refused Change that changes nothing, a plan carried out that leaves an empty plan. A failure prints its seed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::change::{
    AlarmChange, AttributesPatch, Captured, Change, EndedBy, InstanceAttribute, NewAlarm, NewCapture, NewImage,
    NewInstances, NewLoadBalancer, NewTemplateVersion, Seen, TemplateChange,
};
use evenkeel_core::name::{
    AccessKeyId, AlarmName, CertificateArn, IdentityPolicyName, ImageId, InstanceId, LaunchTemplateId,
    LaunchTemplateName, LaunchTemplateVersionId, LoadBalancerName, PolicyArn, PolicyName, Port, ReservationId,
    SubscriptionArn, TopicArn, UserName, ZoneName,
};
use evenkeel_core::noun::alarm::{Actions, AlarmSettings, AlarmState, Comparison, MetricName, MetricStat, Watched};
use evenkeel_core::noun::image::Size;
use evenkeel_core::noun::launch_template::{TemplateRef, TemplateSpecification, VersionRef};
use evenkeel_core::noun::{
    AccessKey, AcmeAccount, Capacity, Certificate, CertificateOrigin, DeliveryProtocol, DesyncMode, Facts, HealthCheck,
    HealthTarget, InstanceState, InstanceStatus, KeyType, LaunchData, LaunchTemplate, LaunchTemplateVersion, Listener,
    ManagedPolicy, Manifest, Material, Order, PolicyType, PolicyVersion, Problem, Proof, Protocol, Requested, Scheme,
    Setting, ShutdownBehavior, Subscription, Topic, User,
};
use evenkeel_core::plan::{Condition, Sight, Step, expiry, instances};
use evenkeel_core::routes::{Challenge, Phase, Routes, compile, follow};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Key, Limits, Row, Settings, World, Write};

/// xorshift64*: the dice of the simulator. Small, seeded, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % n
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

fn settings() -> Settings {
    Settings {
        region: "us-east-1".into(),
        zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map(zone).into(),
        capacity: BTreeMap::from([
            (zone("us-east-1a"), Capacity { cpu_millis: Some(3000), memory_mib: Some(6000) }),
            (zone("us-east-1b"), Capacity { cpu_millis: None, memory_mib: Some(4000) }),
        ]),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/27".parse().unwrap(),
        instance_pool: "127.81.0.0/27".parse().unwrap(),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits { load_balancers: 5, listeners: 4, registered: 6, instances: 10 },
    }
}

fn zone(text: &str) -> ZoneName {
    ZoneName::new(text).unwrap()
}

/// Random Changes, most of them sensible, some of them not.
struct Author {
    dice: Dice,
}

impl Author {
    fn name(&mut self) -> LoadBalancerName {
        LoadBalancerName::new(self.dice.pick(&["web", "api", "mail", "db", "cache", "extra", "more"])).unwrap()
    }
    fn zones(&mut self) -> Vec<ZoneName> {
        let all = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1z"];
        (0..self.dice.below(3))
            .map(|_| {
                let among = if self.dice.chance(5) { 4 } else { 3 };
                zone(all[self.dice.below(among)])
            })
            .collect()
    }
    fn listeners(&mut self) -> Vec<Listener> {
        let protocols = [Protocol::Http, Protocol::Http, Protocol::Tcp, Protocol::Ssl];
        (0..self.dice.below(3))
            .map(|_| {
                let protocol = self.dice.pick(&protocols);
                let back = if self.dice.chance(95) { protocol.plain() } else { self.dice.pick(&protocols) };
                let port = |dice: &mut Dice| Port::new(80 + dice.below(5) as u16).unwrap();
                Listener {
                    port: port(&mut self.dice),
                    protocol,
                    instance_port: port(&mut self.dice),
                    instance_protocol: back,
                    certificate: (protocol.is_secure() || self.dice.chance(2))
                        .then(|| self.certificate())
                        .filter(|_| self.dice.chance(95)),
                    policies: vec![],
                }
            })
            .collect()
    }
    fn certificate(&mut self) -> CertificateArn {
        CertificateArn::new(format!("arn:aws:acm:us-east-1:000000000000:certificate/{}", self.dice.below(4))).unwrap()
    }
    fn policy(&mut self) -> PolicyName {
        let names = ["a", "b", "c", "d", "ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-TLS-1-2-2017-01"];
        PolicyName::new(self.dice.pick(&names)).unwrap()
    }
    fn policies(&mut self) -> Vec<PolicyName> {
        (0..self.dice.below(3)).map(|_| self.policy()).collect()
    }
    fn port(&mut self) -> Port {
        Port::new(80 + self.dice.below(5) as u16).unwrap()
    }
    fn material(&mut self) -> Material {
        let text = |text: String| text.as_str().into();
        Material {
            body_pem: text(format!("body {}", self.dice.below(9))),
            chain_pem: "".into(),
            sealed_key: text(format!("key {}", self.dice.below(9))),
            facts: Facts::default(),
        }
    }

    /// What is done to listeners, policies and certificates.
    fn negotiate(&mut self) -> Change {
        let (name, port, policy, certificate) = (self.name(), self.port(), self.policy(), self.certificate());
        let kinds: [(PolicyType, &[(&str, &str)]); 6] = [
            (PolicyType::AppCookieStickiness, &[("CookieName", "S")]),
            (PolicyType::LbCookieStickiness, &[("CookieExpirationPeriod", "60")]),
            (PolicyType::ProxyProtocol, &[("ProxyProtocol", "true")]),
            (PolicyType::PublicKey, &[("PublicKey", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAAAA")]),
            (PolicyType::BackendServerAuthentication, &[("PublicKeyPolicyName", "a")]),
            (PolicyType::SslNegotiation, &[("Protocol-TLSv1.2", "true"), ("ECDHE-RSA-AES128-GCM-SHA256", "true")]),
        ];
        if self.dice.chance(15) {
            return self.ask_for(certificate);
        }
        match self.dice.below(9) {
            0 | 1 => {
                let (kind, stated) = self.dice.pick(&kinds);
                let attributes = stated.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                Change::CreatePolicy { name, policy, kind, attributes }
            }
            2 => Change::DeletePolicy { name, policy },
            3 => Change::SetListenerPolicies { name, port, policies: self.policies() },
            4 => Change::SetBackendPolicies { name, instance_port: port, policies: self.policies() },
            5 => Change::SetListenerCertificate { name, port, certificate },
            6 => Change::CreateCertificate(Certificate {
                arn: certificate,
                origin: if self.dice.chance(30) {
                    CertificateOrigin::Imported
                } else if self.dice.chance(50) {
                    let names = vec!["a.example.test".into()];
                    let mut requested = Requested::new(names, KeyType::P256, Proof::Http, Timestamp(1));
                    requested.token = self.dice.chance(50).then(|| "token".into());
                    CertificateOrigin::Requested(Box::new(requested))
                } else {
                    let name = self.dice.pick(&["cert", "Cert", "other"]).into();
                    CertificateOrigin::Uploaded { name, path: "/".into(), id: "ASCA".into() }
                },
                material: self.dice.chance(80).then(|| self.material()),
                created: Timestamp(1),
                imported: Timestamp(1),
                tags: self.tags(),
            }),
            7 => Change::ReplaceCertificate { certificate, material: self.material() },
            _ if self.dice.chance(50) => Change::DeleteCertificate { certificate },
            _ => Change::RenameCertificate {
                certificate,
                to: self.certificate(),
                name: self.dice.pick(&["cert", "new"]).into(),
                path: "/".into(),
            },
        }
    }

    /// What becomes of certificates that are asked for.
    fn ask_for(&mut self, certificate: CertificateArn) -> Change {
        let url = "https://acme.test/".to_owned();
        match self.dice.below(4) {
            0 => Change::RenewCertificate { certificate },
            1 => Change::FailCertificate {
                certificate,
                problem: Problem { kind: "dns".into(), detail: "no".into(), name: None, judged: self.dice.chance(50) },
                retry_after: self.dice.chance(20).then(|| Duration::from_secs(self.dice.roll() >> 40)),
            },
            2 if self.dice.chance(20) => Change::SetAcmeAccount(AcmeAccount {
                directory: url,
                sealed_key: "sealed".into(),
                contact: vec![self.dice.pick(&["mailto:a", "mailto:b"]).into()],
            }),
            _ => {
                let challenges = (0..self.dice.below(60))
                    .map(|n| Challenge::Http { token: format!("t{n}"), key_authorization: "t.x".into() });
                let challenges = challenges.collect();
                let (begun, sealed_key) = (Timestamp(1), "sealed".into());
                let order = Order { directory: url.clone(), url, begun, sealed_key, challenges };
                Change::OrderCertificate { certificate, order }
            }
        }
    }

    fn user(&mut self) -> UserName {
        UserName::new(self.dice.pick(&["ann", "Ann", "bob"])).unwrap()
    }
    fn managed(&mut self) -> PolicyArn {
        let name = self.dice.pick(&["aws:policy/ReadOnlyAccess", "1:policy/a", "1:policy/b", "1:policy/c"]);
        PolicyArn::new(format!("arn:aws:iam::{name}")).unwrap()
    }

    /// What is done to users, access keys and their policies.
    fn identify(&mut self) -> Change {
        let (user, policy) = (self.user(), self.managed());
        let key = AccessKeyId::new(format!("AKIA000000000000{:04}", self.dice.below(6))).unwrap();
        let own = IdentityPolicyName::new(self.dice.pick(&["own", "other"])).unwrap();
        let document: Arc<str> = "{}".repeat(1 + self.dice.below(600)).into();
        let version = 1 + self.dice.below(7) as u32;
        match self.dice.below(17) {
            0 | 1 => Change::CreateUser(User {
                name: user,
                path: "/".into(),
                id: "AIDA".into(),
                created: Timestamp(1),
                tags: self.tags(),
                inline: BTreeMap::new(),
                attached: BTreeSet::new(),
            }),
            2 => Change::RenameUser { user, to: self.user(), path: "/ops/".into() },
            3 => Change::DeleteUser { user },
            4 => Change::PutUserPolicy { user, policy: own, document },
            5 | 6 => Change::DeleteUserPolicy { user, policy: own },
            7 => Change::AttachUserPolicy { user, policy },
            8 => Change::DetachUserPolicy { user, policy },
            9 => Change::CreateAccessKey(AccessKey {
                id: key,
                user,
                sealed_secret: "sealed".into(),
                active: true,
                created: Timestamp(1),
            }),
            10 => Change::SetAccessKeyActive { user, key, active: self.dice.chance(50) },
            11 => Change::DeleteAccessKey { user, key },
            12 => Change::CreateManagedPolicy(ManagedPolicy {
                name: IdentityPolicyName::new(policy.as_str().rsplit('/').next().unwrap()).unwrap(),
                arn: policy,
                path: "/".into(),
                id: "ANPA".into(),
                description: String::new(),
                created: Timestamp(1),
                updated: Timestamp(1),
                versions: BTreeMap::from([(1, PolicyVersion { document, created: Timestamp(1) })]),
                default: 1,
                latest: 1,
                tags: self.tags(),
            }),
            13 => Change::CreatePolicyVersion { policy, document, as_default: self.dice.chance(50) },
            14 => Change::SetDefaultPolicyVersion { policy, version },
            15 => Change::DeletePolicyVersion { policy, version },
            _ => Change::DeleteManagedPolicy { policy },
        }
    }

    /// What is done to topics and subscriptions.
    fn notify(&mut self) -> Change {
        let topic = TopicArn::new(format!("arn:aws:sns:r:1:{}", self.dice.pick(&["a", "b", "c"]))).unwrap();
        let subscription = SubscriptionArn::new(format!("{topic}:{}", self.dice.below(6))).unwrap();
        let token_digest = self.dice.pick(&["x", "y", "z"]).to_owned();
        let protocol = self.dice.pick(&DeliveryProtocol::ALL);
        match self.dice.below(12) {
            0 | 1 => {
                let display_name = self.dice.pick(&["", "A"]).to_owned();
                Change::CreateTopic(Topic { arn: topic, display_name, created: Timestamp(1), tags: self.tags() })
            }
            2 if self.dice.chance(30) => Change::DeleteTopic { topic },
            2 => Change::NameTopic { topic, display_name: "B".into() },
            3 => Change::TagTopic { topic, tags: self.tags() },
            4 => Change::UntagTopic { topic, keys: vec!["Name".into()] },
            5..=7 => Change::Subscribe(Subscription {
                arn: subscription,
                topic,
                protocol,
                endpoint: self.dice.pick(&["http://a", "http://b", "c"]).to_owned(),
                asked: Timestamp(1),
                confirmed: None,
                confirmed_by_caller: false,
                token_digest,
                guarded: false,
                raw: protocol.is_post() && self.dice.chance(50),
            }),
            8 | 9 => {
                let (guarded, by_caller) = (self.dice.chance(20), self.dice.chance(50));
                Change::ConfirmSubscription { topic, token_digest, guarded, by_caller }
            }
            10 => Change::Unsubscribe { subscription },
            _ => Change::SetRawDelivery { subscription, raw: self.dice.chance(50) },
        }
    }

    fn alarm_settings(&mut self, world: &World) -> AlarmSettings {
        let instance = world.instances().map(|i| i.id.to_string()).nth(self.dice.below(9));
        let dimensions = instance.map(|id| ("InstanceId".to_owned(), id)).into_iter().collect();
        let metric =
            MetricName { namespace: "App".into(), name: self.dice.pick(&["Load", "Depth"]).into(), dimensions };
        let arns = [
            "arn:aws:sns:r:1:a",
            "arn:aws:automate:r:ec2:stop",
            "arn:aws:automate:r:ec2:terminate",
            "arn:aws:automate:r:ec2:reboot",
            "arn:aws:autoscaling:r:1:scalingPolicy:u:autoScalingGroupName/g:policyName/p",
            "nonsense",
        ];
        let mut some = || -> Vec<String> {
            let among = if self.dice.chance(3) { 6 } else { 5 };
            (0..self.dice.below(3)).map(|_| arns[self.dice.below(among)].to_owned()).collect()
        };
        let actions = Actions { ok: some(), alarm: some(), insufficient_data: some() };
        let period = self.dice.pick(&[1, 10, 60, 300, 61]);
        AlarmSettings {
            description: None,
            actions,
            watched: Watched::Metric(MetricStat { metric, period, statistic: "Average".into(), unit: None }),
            evaluation_periods: self.dice.below(4) as u32,
            datapoints_to_alarm: self.dice.chance(30).then_some(1),
            threshold: 1.0,
            comparison: self.dice.pick(&Comparison::ALL),
            missing: None,
            low_samples: None,
        }
    }

    /// What is done to alarms, and what they do.
    fn alarm(&mut self, world: &World) -> Change {
        let alarm = AlarmName::new(self.dice.pick(&["a", "b", "c", "d"])).unwrap();
        let state = self.dice.pick(&AlarmState::ALL);
        let held = world.alarm(&alarm);
        let pending = held.and_then(|held| held.pending.first()).map_or(1, |pending| pending.number);
        Change::Alarm(match self.dice.below(12) {
            0..=2 => AlarmChange::Put(Box::new(NewAlarm {
                name: alarm,
                settings: self.alarm_settings(world),
                actions_enabled: self.dice.chance(80),
                tags: self.tags(),
            })),
            3 => AlarmChange::Delete { alarms: vec![alarm] },
            4 => AlarmChange::SetState { alarm, state, reason: "by hand".into(), data: None },
            5 => AlarmChange::SetActions { alarms: vec![alarm], enabled: self.dice.chance(70) },
            6 if self.dice.chance(50) => AlarmChange::Tag { alarm, tags: self.tags() },
            6 => AlarmChange::Untag { alarm, keys: vec!["Name".into()] },
            7 | 8 => AlarmChange::Enter {
                alarm,
                configured: held.map_or(Timestamp(1), |held| held.configured),
                state,
                reason: "it is so".into(),
                data: None,
                values: vec![1.0],
            },
            9 => AlarmChange::Act { alarm, pending },
            10 => AlarmChange::Acted { alarm, pending, error: self.dice.chance(20).then(|| "no room".into()) },
            _ if self.dice.chance(50) => AlarmChange::Forget { alarm },
            _ => AlarmChange::Repeat { alarm, state, policy: "p".into(), values: vec![1.0] },
        })
    }

    fn launch_data(&mut self, world: &World) -> LaunchData {
        let images: Vec<ImageId> = world.images().map(|i| i.id.clone()).collect();
        LaunchData {
            image: (!images.is_empty() && self.dice.chance(70)).then(|| self.dice.pick(&images)),
            instance_type: self.dice.chance(70).then(|| self.instance_type()),
            zone: self.dice.chance(20).then(|| self.zones().pop()).flatten(),
            stop_protected: self.dice.chance(5).then_some(true),
            tags: BTreeMap::from([("instance".to_owned(), self.tags())]),
            ..LaunchData::default()
        }
    }

    /// What is done to launch templates, and launches from them.
    fn template(&mut self, world: &World) -> Change {
        let name = LaunchTemplateName::new(self.dice.pick(&["web", "api", "batch"])).unwrap();
        let template = TemplateRef::Name(name.clone());
        let fresh = LaunchTemplateId::new(format!("lt-{:08x}", self.dice.below(40))).unwrap();
        let known = world.template_named(&template).map_or(fresh.clone(), |held| held.id.clone());
        let version = match self.dice.below(4) {
            0 => VersionRef::Default,
            1 => VersionRef::Latest,
            _ => VersionRef::Number(1 + self.dice.below(6) as u32),
        };
        let client_token = self.dice.chance(20).then(|| self.dice.pick(&["x", "y"]).to_owned());
        let asked_for = client_token.as_ref().map(|_| self.dice.pick(&["1", "2"]).to_owned());
        let data = self.launch_data(world);
        let created_by = "me".to_owned();
        let change = match self.dice.below(12) {
            0 | 1 => {
                let version = LaunchTemplateVersion {
                    id: LaunchTemplateVersionId::of(&fresh, 1).unwrap(),
                    description: None,
                    created: Timestamp(1),
                    created_by: created_by.clone(),
                    client_token: None,
                    asked_for,
                    data,
                };
                let tags = self.tags();
                let created = Timestamp(1);
                let template = LaunchTemplate {
                    id: fresh,
                    name,
                    created,
                    created_by,
                    default: 1,
                    numbered: 1,
                    client_token,
                    tags,
                };
                TemplateChange::Create { template, version: Box::new(version) }
            }
            2..=5 => TemplateChange::CreateVersion(Box::new(NewTemplateVersion {
                template,
                source: self.dice.chance(50).then_some(version),
                description: None,
                created_by,
                client_token,
                asked_for,
                data,
            })),
            6 => TemplateChange::SetDefault { template, version },
            7 if self.dice.chance(50) => TemplateChange::Delete { template: known },
            7 | 8 => {
                let versions = (0..self.dice.below(4)).map(|_| self.dice.below(7) as u32).collect();
                TemplateChange::DeleteVersions { template: known, versions }
            }
            9 => return Change::CreateTags { resources: vec![known.to_string()], tags: self.tags() },
            _ => {
                let from = TemplateSpecification { template, version };
                let Ok(launch) = world.launch_parameters(data, Some(&from)) else {
                    return Change::LaunchTemplate(TemplateChange::Delete { template: fresh });
                };
                let reservation = ReservationId::new(format!("r-{:017x}", self.dice.roll())).unwrap();
                let ids = vec![self.fresh_instance()];
                return Change::RunInstances(launch.instances(reservation, ids, 1));
            }
        };
        Change::LaunchTemplate(change)
    }

    fn known_or_not(&mut self, world: &World) -> Vec<InstanceId> {
        let known: Vec<InstanceId> = world.instances().map(|i| i.id.clone()).collect();
        (0..self.dice.below(4))
            .map(
                |_| {
                    if known.is_empty() || self.dice.chance(3) { self.fresh_instance() } else { self.dice.pick(&known) }
                },
            )
            .collect()
    }
    fn fresh_instance(&mut self) -> InstanceId {
        InstanceId::new(format!("i-{:017x}", self.dice.roll())).unwrap()
    }
    fn instance_type(&mut self) -> String {
        self.dice.pick(&["m1.small", "m1.small", "t2.micro", "m1.large", "x9.huge"]).to_owned()
    }
    fn attribute(&mut self) -> InstanceAttribute {
        match self.dice.below(9) {
            // Mostly lifted, or soon nothing could be ended.
            0 | 1 => InstanceAttribute::TerminationProtected(self.dice.chance(20)),
            2 | 3 => InstanceAttribute::StopProtected(self.dice.chance(20)),
            4 => InstanceAttribute::Shutdown(self.dice.pick(&[ShutdownBehavior::Stop, ShutdownBehavior::Terminate])),
            5 => InstanceAttribute::UserData(self.dice.chance(50).then(|| "aGk=".into())),
            6 | 7 => InstanceAttribute::Type(self.instance_type()),
            _ => InstanceAttribute::SourceDestCheck(self.dice.chance(50)),
        }
    }
    fn tags(&mut self) -> BTreeMap<String, String> {
        (0..self.dice.below(3))
            .map(|_| (self.dice.pick(&["Name", "owner", "aws:x", "tier"]).to_string(), "v".to_owned()))
            .collect()
    }

    fn write(&mut self, world: &World) -> Change {
        let name = self.name();
        let ids = self.known_or_not(world);
        let images: Vec<ImageId> = world.images().map(|i| i.id.clone()).collect();
        if self.dice.chance(25) {
            return self.negotiate();
        }
        if self.dice.chance(20) {
            return self.identify();
        }
        if self.dice.chance(10) {
            return self.notify();
        }
        if self.dice.chance(10) {
            return if self.dice.chance(50) { self.alarm(world) } else { self.template(world) };
        }
        match self.dice.below(23) {
            0 | 1 => Change::CreateLoadBalancer(NewLoadBalancer {
                name,
                scheme: self.dice.pick(&[Scheme::InternetFacing, Scheme::Internal]),
                listeners: self.listeners(),
                zones: self.zones(),
                in_vpc: self.dice.chance(10),
                security_groups: vec![],
                tags: self.tags(),
                dns_number: self.dice.below(1000) as u32,
            }),
            2 => Change::DeleteLoadBalancer { name },
            3 => Change::CreateListeners { name, listeners: self.listeners() },
            4 => Change::DeleteListeners { name, ports: vec![Port::new(80 + self.dice.below(5) as u16).unwrap()] },
            5..=7 => Change::RegisterInstances { name, instances: ids },
            8 => Change::DeregisterInstances { name, instances: ids },
            9 => Change::EnableZones { name, zones: self.zones(), by_subnet: self.dice.chance(10) },
            10 => Change::DisableZones { name, zones: self.zones(), by_subnet: self.dice.chance(10) },
            11 => Change::ConfigureHealthCheck {
                name,
                health_check: HealthCheck {
                    target: HealthTarget::parse("HTTP:80/").unwrap(),
                    interval: Duration::from_secs(self.dice.below(320) as u64),
                    timeout: Duration::from_secs(self.dice.below(10) as u64),
                    unhealthy_threshold: 2,
                    healthy_threshold: self.dice.below(12) as u32,
                },
            },
            12 => Change::ModifyAttributes {
                name,
                patch: AttributesPatch {
                    cross_zone: Some(self.dice.chance(50)),
                    draining: self.dice.chance(80).then(|| self.dice.chance(70)),
                    draining_timeout: self.dice.chance(30).then(|| Duration::from_secs(self.dice.below(4000) as u64)),
                    idle_timeout: None,
                    desync: Some(DesyncMode::Strictest),
                    balancing: vec![Setting::MaxInFlight(self.dice.below(9) as u32), Setting::EjectOn5xx(true)],
                    access_log: None,
                },
            },
            13 | 14 => Change::RunInstances(NewInstances {
                reservation: ReservationId::new(format!("r-{:017x}", self.dice.roll())).unwrap(),
                ids: (0..1 + self.dice.below(3)).map(|_| self.fresh_instance()).collect(),
                min_count: 1 + self.dice.below(2) as u32,
                image: if images.is_empty() || self.dice.chance(3) {
                    ImageId::new("ami-00000000").unwrap()
                } else {
                    self.dice.pick(&images)
                },
                zone: self.zones().pop(),
                instance_type: self.instance_type(),
                key_name: None,
                groups: vec![],
                user_data: None,
                client_token: self.dice.chance(20).then(|| self.dice.pick(&["x", "y", "z"]).to_owned()),
                shutdown: self.dice.pick(&[ShutdownBehavior::Stop, ShutdownBehavior::Terminate]),
                termination_protected: self.dice.chance(5),
                stop_protected: self.dice.chance(5),
                asked_for: self.dice.chance(50).then(|| self.dice.pick(&["1", "2"]).to_owned()),
                tags: self.tags(),
            }),
            15 => Change::TerminateInstances { instances: ids },
            16 => Change::StopInstances { instances: ids },
            17 => Change::StartInstances { instances: ids },
            18 if self.dice.chance(70) && !ids.is_empty() => {
                Change::SetInstanceAttribute { instance: self.dice.pick(&ids), attribute: self.attribute() }
            }
            18 => Change::RebootInstances { instances: ids },
            19 => Change::RegisterImage(NewImage {
                id: ImageId::new(format!("ami-{:017x}", self.dice.roll())).unwrap(),
                name: self.dice.pick(&["app one", "app two", "app three"]).to_owned(),
                description: String::new(),
                manifest: Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap()),
                location: "/app".into(),
                digest: "00".into(),
                size: None,
                tags: self.tags(),
            }),
            20 if self.dice.chance(30) && !ids.is_empty() => Change::CreateImage(NewCapture {
                id: ImageId::new(format!("ami-{:017x}", self.dice.roll())).unwrap(),
                name: self.dice.pick(&["app two", "app four"]).to_owned(),
                description: String::new(),
                instance: self.dice.pick(&ids),
                tags: self.tags(),
            }),
            20 if self.dice.chance(40) && !images.is_empty() => Change::SettleImage {
                image: self.dice.pick(&images),
                outcome: if self.dice.chance(70) {
                    Ok(Captured { digest: "11".into(), size: Size { entries: 1, bytes: 1 } })
                } else {
                    Err("no space left".into())
                },
            },
            20 if self.dice.chance(20) && !images.is_empty() => {
                Change::DeregisterImage { image: self.dice.pick(&images) }
            }
            21 => Change::CreateTags { resources: ids.iter().map(ToString::to_string).collect(), tags: self.tags() },
            _ => match ids.first() {
                Some(id) => Change::Report {
                    instance: id.clone(),
                    boot: world.instance(id).map_or(1, |i| i.boots),
                    seen: if self.dice.chance(70) {
                        Seen::Running { status: status(self.dice.below(4)) }
                    } else {
                        Seen::Ended {
                            how: "it ended".into(),
                            orderly: self.dice.chance(50),
                            never_started: false,
                            by: EndedBy::Itself,
                        }
                    },
                },
                None => Change::DeleteTags { resources: vec![], tags: vec![] },
            },
        }
    }
}

/// Rows as a Store would hold them.
#[derive(Default)]
struct Table(BTreeMap<Key, String>);

impl Table {
    fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Put(row) => drop(self.0.insert(row.key(), serde_json::to_string(row).unwrap())),
                Write::Remove(key) => drop(self.0.remove(key)),
            }
        }
    }
    fn reload(&self, generation: u64) -> World {
        World::load(settings(), generation, self.0.values().map(|text| serde_json::from_str::<Row>(text).unwrap()))
    }
}

#[test]
fn invariants_hold_after_each_of_100_000_random_changes_and_rows_reload_to_an_equal_world() {
    let mut author = Author { dice: Dice(0x5eed_2026) };
    let mut world = World::empty(settings());
    let mut table = Table::default();
    let mut now = Timestamp(1_000_000);
    let (mut accepted, mut refused) = (0u32, 0u32);
    for n in 0..100_000 {
        now = now.plus(Duration::from_millis(author.dice.below(20_000) as u64));
        let due = expiry::due(&world, &Sightings::default(), now);
        let change = due.into_iter().next().unwrap_or_else(|| author.write(&world));
        let before = world.clone();
        match world.decide(&change, now) {
            Ok(decision) => {
                table.write(&decision.writes);
                world.absorb(&decision.writes);
                assert_eq!(world.generation() > before.generation(), !decision.writes.is_empty());
                accepted += 1;
            }
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                assert_eq!(world, before, "a refused Change changed something: {change:?}");
                refused += 1;
            }
        }
        assert_eq!(world.broken_invariants(), Vec::<String>::new(), "after Change {n}: {change:?}");
        // No invariant of every World: a declaration may become smaller than what is in use. Under one it holds.
        for zone in &world.settings().zones {
            let usage = world.usage(zone);
            assert!(world.capacity(zone).holds(usage), "{zone} is used beyond its capacity, {usage:?}: {change:?}");
        }
        if n % 500 == 0 {
            assert_eq!(
                table.reload(world.generation()),
                world,
                "rows do not reload to an equal World after Change {n}"
            );
        }
    }
    assert_eq!(table.reload(world.generation()), world);
    assert!(accepted > 20_000 && refused > 5_000, "a lopsided history proves little: {accepted} and {refused}");
}

#[test]
fn the_same_change_twice_is_answered_alike_and_writes_once_where_aws_is_idempotent() {
    let mut author = Author { dice: Dice(77) };
    let mut world = World::empty(settings());
    let now = Timestamp(5);
    for _ in 0..5_000 {
        let change = author.write(&world);
        if world.apply(&change, now).is_err() {
            continue;
        }
        let idempotent = matches!(
            change,
            Change::DeleteLoadBalancer { .. }
                | Change::CreateListeners { .. }
                | Change::DeleteListeners { .. }
                | Change::RegisterInstances { .. }
                | Change::EnableZones { .. }
                | Change::ConfigureHealthCheck { .. }
                | Change::ModifyAttributes { .. }
                | Change::TerminateInstances { .. }
                | Change::StopInstances { .. }
                | Change::CreateTags { .. }
        );
        if idempotent {
            let again = world.decide(&change, now).unwrap_or_else(|e| panic!("{change:?} twice: {e}"));
            assert_eq!(again.writes, vec![], "{change:?} wrote twice");
        }
    }
}

#[test]
fn a_plan_carried_out_leaves_an_empty_plan() {
    for seed in 1..=200u64 {
        let mut author = Author { dice: Dice(seed * 7919) };
        let mut world = World::empty(settings());
        let mut seen: BTreeMap<InstanceId, Sight> = BTreeMap::new();
        let mut now = Timestamp(1);
        for _ in 0..300 {
            now = now.plus(Duration::from_millis(author.dice.below(400) as u64));
            let change = author.write(&world);
            if !matches!(change, Change::Report { .. }) {
                drop(world.apply(&change, now));
            }
            // Now and then an instance dies by itself, or a driver forgets everything of one.
            if author.dice.chance(10)
                && let Some(id) = seen.keys().nth(author.dice.below(seen.len().max(1))).cloned()
            {
                let ended = Condition::Ended {
                    how: "killed".into(),
                    orderly: false,
                    never_started: false,
                    by: EndedBy::Itself,
                };
                if author.dice.chance(80) {
                    seen.get_mut(&id).unwrap().condition = ended;
                } else {
                    seen.remove(&id);
                }
            }
            if author.dice.chance(30) {
                carry_out(&mut world, &mut seen, &mut author.dice, now);
            }
        }
        for _ in 0..20 {
            now = now.plus(instances::STOP_WAITS);
            carry_out(&mut world, &mut seen, &mut author.dice, now);
        }
        let left = instances::plan(&world, &Sightings::default(), &seen, now);
        assert_eq!(left, vec![], "seed {seed}: a plan is left");
        for instance in world.instances() {
            let runs =
                seen.get(&instance.id).is_some_and(|s| s.condition == Condition::Running(instance.status.clone()));
            assert_eq!(runs, instance.state == InstanceState::Running, "seed {seed}: {instance:?}");
        }
    }
}

/// How an instance may fare.
fn status(dice: usize) -> InstanceStatus {
    match dice {
        0 => InstanceStatus::Initializing,
        1 => InstanceStatus::Impaired { why: "it fails".into() },
        _ => InstanceStatus::Ok,
    }
}

fn carry_out(world: &mut World, seen: &mut BTreeMap<InstanceId, Sight>, dice: &mut Dice, now: Timestamp) {
    for step in instances::plan(world, &Sightings::default(), seen, now) {
        match step {
            Step::Launch(id) => {
                let boot = world.instance(&id).unwrap().boots;
                let condition = match dice.below(4) {
                    0 => Condition::Starting,
                    n => Condition::Running(status(n)),
                };
                seen.insert(id, Sight { boot, condition });
            }
            Step::Stop(id) => {
                let how = "stopped".to_owned();
                seen.get_mut(&id).unwrap().condition =
                    Condition::Ended { how, orderly: true, never_started: false, by: EndedBy::Itself };
            }
            Step::Report { instance, boot, seen } => drop(world.apply(&Change::Report { instance, boot, seen }, now)),
            Step::Remove(id) => drop(seen.remove(&id)),
        }
    }
    for sight in seen.values_mut().filter(|s| s.condition == Condition::Starting) {
        sight.condition = Condition::Running(status(dice.below(4)));
    }
}

#[test]
fn routes_hold_what_may_be_sent_requests_and_share_what_did_not_change() {
    let mut author = Author { dice: Dice(4242) };
    let mut world = World::empty(settings());
    let mut routes = Routes::default();
    for n in 0..20_000u64 {
        let change = author.write(&world);
        let before = world.clone();
        drop(world.apply(&change, Timestamp(n)));
        let next = follow(&world, &before, &routes);
        assert_eq!(next.generation, world.generation());
        assert!(next == compile(&world), "{change:?}");
        for (name, balancer) in &next.balancers {
            let lb = world.load_balancer(name).unwrap();
            assert_eq!(balancer.desync, lb.attributes.desync);
            for target in &balancer.targets {
                let instance = world.instance(&target.instance).unwrap();
                assert_eq!(instance.state, InstanceState::Running);
                let serving = lb.instances.contains(&instance.id) && lb.zones.contains_key(&instance.zone);
                assert_eq!(target.phase == Phase::Serving, serving, "{change:?}");
            }
            if let Some(same) = routes.balancers.get(name).filter(|same| ***same == **balancer) {
                assert!(std::sync::Arc::ptr_eq(same, balancer));
            }
        }
        routes = next;
    }
}
