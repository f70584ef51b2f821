//! Client and server against each other: encode → verify → decode → render → parse, for every action there is; and
//! errors the same way.

use std::collections::BTreeSet;
use std::fmt::Debug;

use evenkeel_aws::blob::Blob;
use evenkeel_aws::xml::{Items, Members};
use evenkeel_aws::{
    Action, Api, Call, Credentials, Dialect, Error, Time, client, decode, ec2, elb, render, render_error, sigv4, sts,
};

const NOW: Time = Time(1_704_070_923_456);

/// Holds nothing that a field could lose: no absent lists of structures, odd characters in every kind of text.
const TEXT: &str = "a <b> & \"c\" 'd'\r\n\tä € 😀 %2B+ =";

struct Trip {
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Trip {
    fn check<A>(&mut self, input: A, wrap: fn(A) -> Call, output: A::Output)
    where
        A: Action + Clone + Debug + PartialEq,
        A::Output: Debug + PartialEq,
    {
        let name = A::NAME;
        let credentials =
            Credentials { access_key_id: "K".into(), secret_access_key: "S".into(), session_token: Some("t".into()) };
        let request = client::encode(&input, "127.0.0.1:7480", &credentials, "us-east-1", NOW).expect(name);
        let identity = sigv4::verify(&request, |key| (key == "K").then(|| "S".into()), NOW).expect(name);
        assert_eq!((identity.region.as_str(), identity.service.as_str()), ("us-east-1", A::API.signing_name()));

        let decoded = decode(&request).expect(name);
        assert_eq!((decoded.action, decoded.api, decoded.version.as_str()), (name, A::API, A::API.version()));
        assert_eq!(decoded.call, wrap(input), "{name}");

        let response = render::<A>(&output, "req-1", &decoded.version);
        assert_eq!((response.status, response.request_id.as_str()), (200, "req-1"));
        assert_eq!(client::parse::<A>(200, &response.body), Ok(output), "{name}");

        for error in [Error::sender("Some.Code", TEXT.trim()), Error::internal(A::API.dialect()).with_status(503)] {
            let response = render_error(&error, "req-1", A::API.dialect());
            assert_eq!(client::parse::<A>(response.status, &response.body), Err(error), "{name}");
        }
        self.seen.insert((A::API.signing_name(), name));
    }
}

fn text() -> String {
    TEXT.trim().into()
}

fn strings() -> Members<String> {
    vec![text(), "b".into()].into()
}

#[test]
fn every_action_goes_there_and_back() {
    let mut trip = Trip { seen: BTreeSet::new() };
    elb_actions(&mut trip);
    ec2_actions(&mut trip);
    trip.check(
        sts::GetCallerIdentity {},
        |input| Call::Sts(sts::Call::GetCallerIdentity(input)),
        sts::GetCallerIdentityOutput {
            user_id: text(),
            account: "000000000000".into(),
            arn: "arn:aws:iam::0:root".into(),
        },
    );
    for api in Api::ALL {
        for action in api.actions() {
            assert!(trip.seen.contains(&(api.signing_name(), action)), "{action} of {api:?} is not checked");
        }
    }
}

fn elb_actions(trip: &mut Trip) {
    macro_rules! trip {
        ($action:ident { $($input:tt)* } => $output:expr) => {
            trip.check(elb::$action { $($input)* }, |input| Call::Elb(elb::Call::$action(input)), $output)
        };
    }
    let load_balancer_name = text();
    let listener = || elb::Listener {
        protocol: "HTTPS".into(),
        load_balancer_port: 443,
        instance_protocol: Some("HTTP".into()),
        instance_port: -1,
        ssl_certificate_id: Some(text()),
    };
    let instances =
        || Members::from(vec![elb::Instance { instance_id: "i-1".into() }, elb::Instance { instance_id: text() }]);
    let tags = || {
        Members::from(vec![
            elb::Tag { key: text(), value: Some("v".into()) },
            elb::Tag { key: "k".into(), value: None },
        ])
    };
    let health_check = || elb::HealthCheck {
        target: "HTTP:80/".into(),
        interval: 30,
        timeout: 5,
        unhealthy_threshold: 2,
        healthy_threshold: 10,
    };
    let attributes = || elb::LoadBalancerAttributes {
        cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
        access_log: Some(elb::AccessLog {
            enabled: true,
            s3_bucket_name: Some("b".into()),
            emit_interval: Some(60),
            s3_bucket_prefix: Some(text()),
        }),
        connection_draining: Some(elb::ConnectionDraining { enabled: true, timeout: Some(300) }),
        connection_settings: Some(elb::ConnectionSettings { idle_timeout: 60 }),
        additional_attributes: Some(vec![elb::AdditionalAttribute { key: "k".into(), value: text() }].into()),
    };
    trip!(CreateLoadBalancer {
        load_balancer_name: load_balancer_name.clone(),
        listeners: vec![listener(), elb::Listener::default()].into(),
        availability_zones: Some(strings()),
        subnets: Some(Members::default()),
        security_groups: None,
        scheme: Some("internal".into()),
        tags: tags(),
    } => elb::CreateLoadBalancerOutput { dns_name: text() });
    trip!(DeleteLoadBalancer { load_balancer_name: load_balancer_name.clone() } => elb::DeleteLoadBalancerOutput {});
    let full = elb::LoadBalancerDescription {
        load_balancer_name: text(),
        dns_name: text(),
        canonical_hosted_zone_name: Some(text()),
        canonical_hosted_zone_name_id: Some("Z".into()),
        listener_descriptions: vec![
            elb::ListenerDescription { listener: listener(), policy_names: strings() },
            elb::ListenerDescription::default(),
        ]
        .into(),
        policies: elb::Policies {
            app_cookie_stickiness_policies: vec![elb::AppCookieStickinessPolicy {
                policy_name: "p".into(),
                cookie_name: "c".into(),
            }]
            .into(),
            lb_cookie_stickiness_policies: vec![elb::LbCookieStickinessPolicy {
                policy_name: "q".into(),
                cookie_expiration_period: Some(60),
            }]
            .into(),
            other_policies: strings(),
        },
        backend_server_descriptions: vec![elb::BackendServerDescription { instance_port: 80, policy_names: strings() }]
            .into(),
        availability_zones: strings(),
        subnets: strings(),
        vpc_id: Some("vpc-1".into()),
        instances: instances(),
        health_check: health_check(),
        source_security_group: Some(elb::SourceSecurityGroup { owner_alias: "o".into(), group_name: "g".into() }),
        security_groups: strings(),
        created_time: NOW,
        scheme: "internet-facing".into(),
    };
    trip!(DescribeLoadBalancers {
        load_balancer_names: strings(),
        marker: Some(text()),
        page_size: Some(400),
    } => elb::DescribeLoadBalancersOutput {
        load_balancer_descriptions: vec![full, elb::LoadBalancerDescription::default()].into(),
        next_marker: Some(text()),
    });
    trip!(CreateLoadBalancerListeners {
        load_balancer_name: load_balancer_name.clone(),
        listeners: vec![listener()].into(),
    } => elb::CreateLoadBalancerListenersOutput {});
    trip!(DeleteLoadBalancerListeners {
        load_balancer_name: load_balancer_name.clone(),
        load_balancer_ports: vec![80, 443].into(),
    } => elb::DeleteLoadBalancerListenersOutput {});
    trip!(RegisterInstancesWithLoadBalancer {
        load_balancer_name: load_balancer_name.clone(),
        instances: instances(),
    } => elb::RegisterInstancesWithLoadBalancerOutput { instances: instances() });
    trip!(DeregisterInstancesFromLoadBalancer {
        load_balancer_name: load_balancer_name.clone(),
        instances: instances(),
    } => elb::DeregisterInstancesFromLoadBalancerOutput { instances: Members::default() });
    trip!(DescribeInstanceHealth {
        load_balancer_name: load_balancer_name.clone(),
        instances: instances(),
    } => elb::DescribeInstanceHealthOutput {
        instance_states: vec![elb::InstanceState {
            instance_id: "i-1".into(),
            state: "InService".into(),
            reason_code: "N/A".into(),
            description: "N/A".into(),
        }]
        .into(),
    });
    trip!(EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: load_balancer_name.clone(),
        availability_zones: strings(),
    } => elb::EnableAvailabilityZonesForLoadBalancerOutput { availability_zones: strings() });
    trip!(DisableAvailabilityZonesForLoadBalancer {
        load_balancer_name: load_balancer_name.clone(),
        availability_zones: strings(),
    } => elb::DisableAvailabilityZonesForLoadBalancerOutput { availability_zones: strings() });
    trip!(ConfigureHealthCheck {
        load_balancer_name: load_balancer_name.clone(),
        health_check: health_check(),
    } => elb::ConfigureHealthCheckOutput { health_check: health_check() });
    trip!(DescribeLoadBalancerAttributes { load_balancer_name: load_balancer_name.clone() }
        => elb::DescribeLoadBalancerAttributesOutput { load_balancer_attributes: attributes() });
    trip!(ModifyLoadBalancerAttributes {
        load_balancer_name: load_balancer_name.clone(),
        load_balancer_attributes: attributes(),
    } => elb::ModifyLoadBalancerAttributesOutput { load_balancer_name, load_balancer_attributes: attributes() });
    trip!(DescribeTags { load_balancer_names: strings() } => elb::DescribeTagsOutput {
        tag_descriptions: vec![elb::TagDescription { load_balancer_name: text(), tags: tags() }].into(),
    });
    trip!(AddTags { load_balancer_names: strings(), tags: tags() } => elb::AddTagsOutput {});
    trip!(RemoveTags {
        load_balancer_names: strings(),
        tags: vec![elb::TagKeyOnly { key: text() }].into(),
    } => elb::RemoveTagsOutput {});
}

fn ec2_actions(trip: &mut Trip) {
    macro_rules! trip {
        ($action:ident { $($input:tt)* } => $output:expr) => {
            trip.check(ec2::$action { $($input)* }, |input| Call::Ec2(ec2::Call::$action(input)), $output)
        };
    }
    let list = || vec![text(), "b".to_owned()];
    let filters =
        || vec![ec2::Filter { name: text(), values: list() }, ec2::Filter { name: "n".into(), values: vec![] }];
    let tags = || vec![ec2::Tag { key: text(), value: Some("v".into()) }, ec2::Tag { key: "k".into(), value: None }];
    let shown = || Items::from(vec![ec2::TagShown { key: text(), value: text() }, ec2::TagShown::default()]);
    let dry_run = Some(false);
    let max_results = Some(5);
    let next_token = Some(text());
    let groups = || Items::from(vec![ec2::Group { group_id: "sg-1".into(), group_name: "default".into() }]);
    let codes = || Items::from(vec![ec2::ProductCode { product_code: "p".into(), kind: "devpay".into() }]);
    let interface = || ec2::NetworkInterface {
        network_interface_id: "eni-1".into(),
        subnet_id: Some("subnet-1".into()),
        vpc_id: Some("vpc-1".into()),
        availability_zone: Some("us-east-1a".into()),
        description: "ELB test".into(),
        owner_id: "1".into(),
        requester_id: Some("amazon-elb".into()),
        requester_managed: Some(true),
        status: "in-use".into(),
        mac_address: Some("00:00:00:00:00:00".into()),
        private_ip_address: "127.80.0.1".into(),
        private_dns_name: Some(text()),
        source_dest_check: Some(true),
        group_set: groups(),
        attachment: Some(ec2::Attachment {
            attachment_id: Some("a".into()),
            instance_id: Some("i-1".into()),
            instance_owner_id: Some("amazon-elb".into()),
            device_index: Some(1),
            status: "attached".into(),
            attach_time: Some(NOW),
            delete_on_termination: Some(true),
        }),
    };
    let mappings = || {
        vec![ec2::BlockDeviceMapping {
            device_name: Some("/dev/sda1".into()),
            virtual_name: Some("ephemeral0".into()),
            no_device: Some(String::new()),
            ebs: Some(ec2::EbsBlockDevice {
                snapshot_id: Some("snap-1".into()),
                volume_size: Some(8),
                volume_type: Some("gp3".into()),
                delete_on_termination: Some(true),
                iops: Some(1),
                encrypted: Some(false),
            }),
        }]
    };
    let reservation = || ec2::Reservation {
        reservation_id: "r-1".into(),
        owner_id: "1".into(),
        requester_id: Some("x".into()),
        group_set: groups(),
        instances_set: vec![
            ec2::Instance {
                instance_id: "i-1".into(),
                image_id: "ami-1".into(),
                instance_state: ec2::State { code: 16, name: "running".into() },
                reason: text(),
                ami_launch_index: 3,
                product_codes: codes(),
                launch_time: NOW,
                placement: ec2::PlacementShown { availability_zone: "us-east-1a".into(), ..Default::default() },
                monitoring: ec2::Monitoring { state: "disabled".into() },
                subnet_id: Some("subnet-1".into()),
                vpc_id: Some("vpc-1".into()),
                source_dest_check: Some(true),
                group_set: groups(),
                state_reason: Some(ec2::StateReason { code: "Client.InternalError".into(), message: text() }),
                block_device_mapping: vec![ec2::InstanceBlockDevice {
                    device_name: "/dev/sda1".into(),
                    ebs: Some(ec2::EbsInstanceBlockDevice { attach_time: NOW, ..Default::default() }),
                }]
                .into(),
                tag_set: shown(),
                network_interface_set: vec![interface()].into(),
                iam_instance_profile: Some(ec2::IamInstanceProfile { arn: "arn".into(), id: "id".into() }),
                ebs_optimized: true,
                ..Default::default()
            },
            ec2::Instance::default(),
        ]
        .into(),
    };
    let changes = || ec2::StateChanges {
        instances_set: vec![ec2::StateChange {
            instance_id: "i-1".into(),
            current_state: ec2::State { code: 32, name: "shutting-down".into() },
            previous_state: ec2::State { code: 16, name: "running".into() },
        }]
        .into(),
    };
    let specifications = || vec![ec2::TagSpecification { resource_type: "instance".into(), tags: tags() }];

    trip!(RunInstances {
        image_id: Some("ami-1".into()),
        min_count: 1,
        max_count: 2,
        key_name: Some(text()),
        security_groups: list(),
        security_group_ids: list(),
        user_data: Some(Blob((0..=255).collect())),
        instance_type: Some("m1.small".into()),
        placement: Some(ec2::Placement {
            availability_zone: Some("us-east-1a".into()),
            group_name: Some("g".into()),
            tenancy: Some("default".into()),
        }),
        kernel_id: Some("aki".into()),
        ramdisk_id: Some("ari".into()),
        block_device_mappings: mappings(),
        monitoring: Some(ec2::MonitoringEnabled { enabled: true }),
        subnet_id: Some("subnet-1".into()),
        private_ip_address: Some("10.0.0.1".into()),
        disable_api_termination: Some(true),
        disable_api_stop: Some(false),
        instance_initiated_shutdown_behavior: Some("save".into()),
        iam_instance_profile: Some(ec2::IamInstanceProfileSpecification { arn: Some("a".into()), name: None }),
        ebs_optimized: Some(false),
        additional_info: Some(text()),
        client_token: Some(text()),
        tag_specifications: specifications(),
        launch_template: Some(ec2::LaunchTemplateSpecification {
            launch_template_id: Some("lt-1".into()),
            launch_template_name: None,
            version: Some("$Latest".into()),
        }),
        dry_run,
    } => reservation());
    trip!(DescribeInstances {
        instance_ids: list(),
        filters: filters(),
        max_results,
        next_token: next_token.clone(),
        dry_run,
    } => ec2::DescribeInstancesOutput { reservation_set: vec![reservation()].into(), next_token: next_token.clone() });
    let force = Some(true);
    let skip_os_shutdown = Some(true);
    trip!(TerminateInstances { instance_ids: list(), force, skip_os_shutdown, dry_run } => changes());
    trip!(StopInstances { instance_ids: list(), hibernate: Some(false), skip_os_shutdown, force, dry_run } => changes());
    trip!(StartInstances { instance_ids: list(), additional_info: Some(text()), dry_run } => changes());
    trip!(RebootInstances { instance_ids: list(), dry_run } => ec2::Done::default());
    let summary = || ec2::StatusSummary {
        status: "ok".into(),
        details: vec![ec2::StatusDetail {
            name: "reachability".into(),
            status: "passed".into(),
            impaired_since: Some(NOW),
        }]
        .into(),
    };
    trip!(DescribeInstanceStatus {
        instance_ids: list(),
        filters: filters(),
        include_all_instances: Some(true),
        max_results,
        next_token: next_token.clone(),
        dry_run,
    } => ec2::DescribeInstanceStatusOutput {
        instance_status_set: vec![ec2::InstanceStatus {
            instance_id: "i-1".into(),
            availability_zone: "us-east-1a".into(),
            events_set: vec![ec2::Event {
                code: "instance-stop".into(),
                description: text(),
                not_before: NOW,
                not_after: Some(NOW),
            }]
            .into(),
            instance_state: ec2::State { code: 16, name: "running".into() },
            system_status: summary(),
            instance_status: summary(),
        }]
        .into(),
        next_token: next_token.clone(),
    });
    trip!(GetConsoleOutput { instance_id: "i-1".into(), latest: Some(true), dry_run } => ec2::ConsoleOutput {
        instance_id: "i-1".into(),
        timestamp: NOW,
        output: Blob((0..=255).collect()),
    });
    trip!(RegisterImage {
        name: text(),
        image_location: Some("/a".into()),
        description: Some(text()),
        architecture: Some("x86_64".into()),
        kernel_id: Some("aki".into()),
        ramdisk_id: Some("ari".into()),
        root_device_name: Some("/dev/sda1".into()),
        block_device_mappings: mappings(),
        virtualization_type: Some("hvm".into()),
        tag_specifications: specifications(),
        dry_run,
    } => ec2::RegisterImageOutput { image_id: "ami-1".into() });
    trip!(DeregisterImage { image_id: "ami-1".into(), dry_run } => ec2::Done::default());
    trip!(DescribeImages {
        image_ids: list(),
        owners: list(),
        executable_users: list(),
        filters: filters(),
        include_deprecated: Some(true),
        max_results,
        next_token: next_token.clone(),
        dry_run,
    } => ec2::DescribeImagesOutput {
        images_set: vec![
            ec2::Image {
                image_id: "ami-1".into(),
                is_public: true,
                product_codes: codes(),
                platform: Some("windows".into()),
                state_reason: Some(ec2::StateReason::default()),
                description: text(),
                block_device_mapping: vec![ec2::BlockDevice {
                    device_name: "/dev/sda1".into(),
                    virtual_name: Some("v".into()),
                    ebs: Some(ec2::EbsBlockDeviceShown { volume_size: Some(8), ..Default::default() }),
                }]
                .into(),
                tag_set: shown(),
                ..Default::default()
            },
            ec2::Image::default(),
        ]
        .into(),
        next_token: next_token.clone(),
    });
    trip!(DescribeAvailabilityZones {
        zone_names: list(),
        zone_ids: list(),
        filters: filters(),
        all_availability_zones: Some(true),
        dry_run,
    } => ec2::DescribeAvailabilityZonesOutput {
        availability_zone_info: vec![ec2::AvailabilityZone {
            opt_in_status: Some("opt-in-not-required".into()),
            zone_name: "us-east-1a".into(),
            zone_state: "available".into(),
            region_name: "us-east-1".into(),
            zone_id: Some("use1-az1".into()),
            message_set: vec![ec2::ZoneMessage { message: text() }].into(),
            ..Default::default()
        }]
        .into(),
    });
    trip!(DescribeRegions {
        region_names: list(),
        filters: filters(),
        all_regions: Some(false),
        dry_run,
    } => ec2::DescribeRegionsOutput {
        region_info: vec![ec2::Region {
            region_name: "us-east-1".into(),
            region_endpoint: "127.0.0.1:7480".into(),
            opt_in_status: None,
        }]
        .into(),
    });
    trip!(CreateTags { resource_ids: list(), tags: tags(), dry_run } => ec2::Done::default());
    trip!(DeleteTags { resource_ids: list(), tags: tags(), dry_run } => ec2::Done::default());
    trip!(DescribeTags { filters: filters(), max_results, next_token: next_token.clone(), dry_run }
    => ec2::DescribeTagsOutput {
        tag_set: vec![ec2::TagDescription {
            resource_id: "i-1".into(),
            resource_type: "instance".into(),
            key: text(),
            value: text(),
        }]
        .into(),
        next_token: next_token.clone(),
    });
    let permission = || ec2::IpPermission {
        ip_protocol: "tcp".into(),
        from_port: Some(0),
        to_port: Some(65535),
        groups: vec![ec2::UserIdGroupPair { user_id: "1".into(), group_id: "sg-1".into(), group_name: None }].into(),
        ip_ranges: vec![ec2::IpRange { cidr_ip: "0.0.0.0/0".into() }].into(),
    };
    trip!(DescribeSecurityGroups {
        group_ids: list(),
        group_names: list(),
        filters: filters(),
        max_results,
        next_token: next_token.clone(),
        dry_run,
    } => ec2::DescribeSecurityGroupsOutput {
        security_group_info: vec![ec2::SecurityGroup {
            group_id: "sg-1".into(),
            group_description: text(),
            vpc_id: Some("vpc-1".into()),
            ip_permissions: vec![permission(), ec2::IpPermission::default()].into(),
            ip_permissions_egress: vec![permission()].into(),
            tag_set: shown(),
            ..Default::default()
        }]
        .into(),
        next_token: next_token.clone(),
    });
    trip!(DescribeKeyPairs {
        key_names: list(),
        key_pair_ids: list(),
        filters: filters(),
        include_public_key: Some(true),
        dry_run,
    } => ec2::DescribeKeyPairsOutput {
        key_set: vec![ec2::KeyPair {
            key_pair_id: "key-1".into(),
            key_name: text(),
            key_fingerprint: "00:11".into(),
            key_type: Some("rsa".into()),
            create_time: Some(NOW),
        }]
        .into(),
    });
    trip!(DescribeNetworkInterfaces {
        network_interface_ids: list(),
        filters: filters(),
        max_results,
        next_token: next_token.clone(),
        dry_run,
    } => ec2::DescribeNetworkInterfacesOutput {
        network_interface_set: vec![interface(), ec2::NetworkInterface::default()].into(),
        next_token,
    });
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
