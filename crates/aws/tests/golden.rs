//! Documents to the letter, as boto 2, boto3 and the AWS CLI need them.

use evenkeel_aws::{Api, Dialect, Error, Time, ec2, elb, render, render_error, sts};

fn check(body: Vec<u8>, wanted: &str) {
    let body = String::from_utf8(body).expect("UTF-8");
    // The golden text is indented for reading; the document is not.
    let wanted: String = wanted.lines().map(str::trim).collect();
    let wanted = wanted.replacen("?>", "?>\n", 1);
    assert_eq!(body, wanted);
}

#[test]
fn describe_load_balancers() {
    let output = elb::DescribeLoadBalancersOutput {
        load_balancer_descriptions: vec![elb::LoadBalancerDescription {
            load_balancer_name: "test".into(),
            dns_name: "test-68924542.us-east-1.elb.evenkeel.test".into(),
            canonical_hosted_zone_name: Some("test-68924542.us-east-1.elb.evenkeel.test".into()),
            canonical_hosted_zone_name_id: Some("Z35SXDOTRQ7X7K".into()),
            listener_descriptions: vec![elb::ListenerDescription {
                listener: elb::Listener {
                    protocol: "HTTP".into(),
                    load_balancer_port: 80,
                    instance_protocol: Some("HTTP".into()),
                    instance_port: 80,
                    ssl_certificate_id: None,
                },
                policy_names: Default::default(),
            }]
            .into(),
            availability_zones: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()].into(),
            instances: vec![elb::Instance { instance_id: "i-2308974".into() }].into(),
            health_check: elb::HealthCheck {
                target: "TCP:80".into(),
                interval: 30,
                timeout: 5,
                unhealthy_threshold: 2,
                healthy_threshold: 10,
            },
            created_time: Time(1_704_070_923_456),
            scheme: "internet-facing".into(),
            ..Default::default()
        }]
        .into(),
        next_marker: None,
    };
    let response = render::<elb::DescribeLoadBalancers>(
        &output,
        "83c88b9d-12b7-11e3-8b82-87b12EXAMPLE",
        Api::Elb.dialect(),
        "2012-06-01",
    );
    assert_eq!((response.status, response.content_type), (200, "text/xml;charset=UTF-8"));
    check(
        response.body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <DescribeLoadBalancersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/">
          <DescribeLoadBalancersResult>
            <LoadBalancerDescriptions>
              <member>
                <LoadBalancerName>test</LoadBalancerName>
                <DNSName>test-68924542.us-east-1.elb.evenkeel.test</DNSName>
                <CanonicalHostedZoneName>test-68924542.us-east-1.elb.evenkeel.test</CanonicalHostedZoneName>
                <CanonicalHostedZoneNameID>Z35SXDOTRQ7X7K</CanonicalHostedZoneNameID>
                <ListenerDescriptions>
                  <member>
                    <Listener>
                      <Protocol>HTTP</Protocol>
                      <LoadBalancerPort>80</LoadBalancerPort>
                      <InstanceProtocol>HTTP</InstanceProtocol>
                      <InstancePort>80</InstancePort>
                    </Listener>
                    <PolicyNames/>
                  </member>
                </ListenerDescriptions>
                <Policies>
                  <AppCookieStickinessPolicies/>
                  <LBCookieStickinessPolicies/>
                  <OtherPolicies/>
                </Policies>
                <BackendServerDescriptions/>
                <AvailabilityZones>
                  <member>us-east-1a</member>
                  <member>us-east-1b</member>
                </AvailabilityZones>
                <Subnets/>
                <Instances>
                  <member>
                    <InstanceId>i-2308974</InstanceId>
                  </member>
                </Instances>
                <HealthCheck>
                  <Target>TCP:80</Target>
                  <Interval>30</Interval>
                  <Timeout>5</Timeout>
                  <UnhealthyThreshold>2</UnhealthyThreshold>
                  <HealthyThreshold>10</HealthyThreshold>
                </HealthCheck>
                <SecurityGroups/>
                <CreatedTime>2024-01-01T01:02:03.456Z</CreatedTime>
                <Scheme>internet-facing</Scheme>
              </member>
            </LoadBalancerDescriptions>
          </DescribeLoadBalancersResult>
          <ResponseMetadata>
            <RequestId>83c88b9d-12b7-11e3-8b82-87b12EXAMPLE</RequestId>
          </ResponseMetadata>
        </DescribeLoadBalancersResponse>"#,
    );
}

#[test]
fn describe_instances() {
    let output = ec2::DescribeInstancesOutput {
        reservation_set: vec![ec2::Reservation {
            reservation_id: "r-1".into(),
            owner_id: "000000000000".into(),
            requester_id: None,
            group_set: vec![ec2::Group { group_id: "sg-1".into(), group_name: "default".into() }].into(),
            instances_set: vec![ec2::Instance {
                instance_id: "i-2308974".into(),
                image_id: "ami-1".into(),
                instance_state: ec2::State { code: 16, name: "running".into() },
                private_dns_name: "ip-127-81-0-1.evenkeel.internal".into(),
                instance_type: "m1.small".into(),
                launch_time: Time(1_704_070_923_000),
                placement: ec2::PlacementShown {
                    availability_zone: "us-east-1a".into(),
                    group_name: String::new(),
                    tenancy: "default".into(),
                },
                monitoring: ec2::Monitoring { state: "disabled".into() },
                private_ip_address: "127.81.0.1".into(),
                architecture: "x86_64".into(),
                root_device_type: "ebs".into(),
                root_device_name: "/dev/sda1".into(),
                virtualization_type: "hvm".into(),
                tag_set: vec![ec2::TagShown { key: "Name".into(), value: "<web> & \u{1}more".into() }].into(),
                hypervisor: "xen".into(),
                ..Default::default()
            }]
            .into(),
        }]
        .into(),
        next_token: None,
    };
    let response =
        render::<ec2::DescribeInstances>(&output, "fdcdcab1-ae5c-489e-9c33-4637c5dda355", Dialect::Ec2, "2014-10-01");
    check(
        response.body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2014-10-01/">
          <requestId>fdcdcab1-ae5c-489e-9c33-4637c5dda355</requestId>
          <reservationSet>
            <item>
              <reservationId>r-1</reservationId>
              <ownerId>000000000000</ownerId>
              <groupSet>
                <item>
                  <groupId>sg-1</groupId>
                  <groupName>default</groupName>
                </item>
              </groupSet>
              <instancesSet>
                <item>
                  <instanceId>i-2308974</instanceId>
                  <imageId>ami-1</imageId>
                  <instanceState>
                    <code>16</code>
                    <name>running</name>
                  </instanceState>
                  <privateDnsName>ip-127-81-0-1.evenkeel.internal</privateDnsName>
                  <dnsName/>
                  <reason/>
                  <keyName/>
                  <amiLaunchIndex>0</amiLaunchIndex>
                  <productCodes/>
                  <instanceType>m1.small</instanceType>
                  <launchTime>2024-01-01T01:02:03.000Z</launchTime>
                  <placement>
                    <availabilityZone>us-east-1a</availabilityZone>
                    <groupName/>
                    <tenancy>default</tenancy>
                  </placement>
                  <monitoring>
                    <state>disabled</state>
                  </monitoring>
                  <privateIpAddress>127.81.0.1</privateIpAddress>
                  <ipAddress/>
                  <groupSet/>
                  <architecture>x86_64</architecture>
                  <rootDeviceType>ebs</rootDeviceType>
                  <rootDeviceName>/dev/sda1</rootDeviceName>
                  <blockDeviceMapping/>
                  <virtualizationType>hvm</virtualizationType>
                  <clientToken/>
                  <tagSet>
                    <item>
                      <key>Name</key>
                      <value>&lt;web&gt; &amp; �more</value>
                    </item>
                  </tagSet>
                  <hypervisor>xen</hypervisor>
                  <networkInterfaceSet/>
                  <ebsOptimized>false</ebsOptimized>
                </item>
              </instancesSet>
            </item>
          </reservationSet>
        </DescribeInstancesResponse>"#,
    );
}

#[test]
fn void_answers_still_have_their_result() {
    check(
        render::<elb::DeleteLoadBalancer>(&elb::DeleteLoadBalancerOutput {}, "r", Api::Elb.dialect(), "2012-06-01")
            .body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <DeleteLoadBalancerResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/">
          <DeleteLoadBalancerResult/>
          <ResponseMetadata>
            <RequestId>r</RequestId>
          </ResponseMetadata>
        </DeleteLoadBalancerResponse>"#,
    );
    check(
        render::<ec2::RebootInstances>(&ec2::Done::default(), "r", Dialect::Ec2, "2016-11-15").body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <RebootInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
          <requestId>r</requestId>
          <return>true</return>
        </RebootInstancesResponse>"#,
    );
    let output = sts::GetCallerIdentityOutput { user_id: "A".into(), account: "0".into(), arn: "a".into() };
    check(
        render::<sts::GetCallerIdentity>(&output, "r", Api::Sts.dialect(), "2011-06-15").body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <GetCallerIdentityResult>
            <UserId>A</UserId>
            <Account>0</Account>
            <Arn>a</Arn>
          </GetCallerIdentityResult>
          <ResponseMetadata>
            <RequestId>r</RequestId>
          </ResponseMetadata>
        </GetCallerIdentityResponse>"#,
    );
}

#[test]
fn errors_of_both_dialects() {
    let missing = Error::sender("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '<x>'");
    let response = render_error(&missing, "r", Api::Elb.dialect());
    assert_eq!(response.status, 400);
    check(
        response.body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/">
          <Error>
            <Type>Sender</Type>
            <Code>LoadBalancerNotFound</Code>
            <Message>There is no ACTIVE Load Balancer named '&lt;x&gt;'</Message>
          </Error>
          <RequestId>r</RequestId>
        </ErrorResponse>"#,
    );
    let unknown = Error::sender("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist");
    check(
        render_error(&unknown, "r", Dialect::Ec2).body,
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Errors>
            <Error>
              <Code>InvalidInstanceID.NotFound</Code>
              <Message>The instance ID 'i-1' does not exist</Message>
            </Error>
          </Errors>
          <RequestID>r</RequestID>
        </Response>"#,
    );
}
