//! Security groups, VPC and subnets: rules in both forms, their refusals, and whom a balancer's groups admit.

use super::*;

fn create(name: &str) -> ec2::CreateSecurityGroup {
    ec2::CreateSecurityGroup {
        group_name: Some(name.into()),
        group_description: Some("for tests".into()),
        ..Default::default()
    }
}

fn ranges(protocol: &str, ports: (i64, i64), cidrs: &[&str]) -> ec2::PermissionStated {
    let range = |cidr: &&str| ec2::RangeStated { cidr_ip: (*cidr).into(), description: None };
    ec2::PermissionStated {
        ip_protocol: Some(protocol.into()),
        from_port: Some(ports.0),
        to_port: Some(ports.1),
        ip_ranges: cidrs.iter().map(range).collect(),
        ..Default::default()
    }
}

fn stated(id: &str, ip_permissions: Vec<ec2::PermissionStated>) -> ec2::RulesStated {
    ec2::RulesStated { group_id: Some(id.into()), ip_permissions, ..Default::default() }
}

fn authorize(id: &str, permissions: Vec<ec2::PermissionStated>) -> ec2::AuthorizeSecurityGroupIngress {
    ec2::AuthorizeSecurityGroupIngress(stated(id, permissions))
}

fn revoke(id: &str, permissions: Vec<ec2::PermissionStated>) -> ec2::RevokeSecurityGroupIngress {
    ec2::RevokeSecurityGroupIngress(stated(id, permissions))
}

fn by_id(id: &str) -> ec2::DescribeSecurityGroups {
    ec2::DescribeSecurityGroups { group_ids: vec![id.into()], ..Default::default() }
}

fn delete(id: &str) -> ec2::DeleteSecurityGroup {
    ec2::DeleteSecurityGroup { group_id: Some(id.into()), ..Default::default() }
}

#[tokio::test]
async fn a_group_is_made_ruled_shown_and_deleted() {
    let rig = Rig::start().await;
    let made = rig.ok(create("web")).await;
    let id = made.group_id.as_str();
    assert!(made.done && id.starts_with("sg-"));
    rig.no(create("web"), 400, "InvalidGroup.Duplicate", "'web' already exists").await;
    let given = rig.ok(authorize(id, vec![ranges("tcp", (80, 80), &["10.0.0.0/8", "192.0.2.7"])])).await;
    assert_eq!(given.security_group_rule_set.len(), 2);
    let again = authorize(id, vec![ranges("TCP", (80, 80), &["10.0.0.0/8"])]);
    rig.no(again, 400, "InvalidPermission.Duplicate", "peer: 10.0.0.0/8, TCP, from port: 80").await;
    // The flat form of boto 2, by name.
    let flat = ec2::RulesStated {
        group_name: Some("web".into()),
        ip_protocol: Some("tcp".into()),
        from_port: Some(443),
        to_port: Some(443),
        cidr_ip: Some("0.0.0.0/0".into()),
        ..Default::default()
    };
    rig.ok(ec2::AuthorizeSecurityGroupIngress(flat)).await;
    let v6 = ec2::PermissionStated {
        ipv6_ranges: vec![ec2::Range6Stated { cidr_ipv6: "2001:db8::/32".into(), description: Some("docs".into()) }],
        ..ranges("tcp", (80, 80), &[])
    };
    rig.ok(authorize(id, vec![v6])).await;
    let shown = rig.ok(by_id(id)).await.security_group_info.0.remove(0);
    let first = &shown.ip_permissions[0];
    assert_eq!((first.ip_protocol.as_str(), first.from_port, first.ipv6_ranges.len()), ("tcp", Some(80), 1));
    let cidrs: Vec<&str> = first.ip_ranges.iter().map(|range| range.cidr_ip.as_str()).collect();
    assert_eq!(cidrs, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(shown.ip_permissions[1].from_port, Some(443));
    assert_eq!(shown.ip_permissions_egress[0].ip_ranges[0].cidr_ip, "0.0.0.0/0");
    assert!(shown.vpc_id.is_some_and(|vpc| vpc.starts_with("vpc-")));
    let rules = ec2::DescribeSecurityGroupRules { filters: vec![filter("group-id", &[id])], ..Default::default() };
    let rules = rig.ok(rules).await.security_group_rule_set;
    assert_eq!((rules.len(), rules.iter().filter(|rule| rule.is_egress).count()), (5, 1));

    rig.ok(revoke(id, vec![ranges("tcp", (80, 80), &["10.0.0.0/8"])])).await;
    let gone = revoke(id, vec![ranges("tcp", (80, 80), &["10.0.0.0/8"])]);
    rig.no(gone, 400, "InvalidPermission.NotFound", "does not exist in this security group").await;
    let one = rules.iter().find(|rule| rule.cidr_ipv6.is_some()).unwrap().security_group_rule_id.clone();
    let by_rule = |id: &str, rule: &str| {
        let security_group_rule_ids = vec![rule.into()];
        ec2::RevokeSecurityGroupIngress(ec2::RulesStated { security_group_rule_ids, ..stated(id, vec![]) })
    };
    rig.ok(by_rule(id, &one)).await;
    rig.no(by_rule(id, &one), 400, "InvalidSecurityGroupRuleId.NotFound", &one).await;
    let tag = ec2::Tag { key: "team".into(), value: Some("web".into()) };
    rig.ok(ec2::CreateTags { resource_ids: vec![id.into()], tags: vec![tag], ..Default::default() }).await;
    let tagged = ec2::DescribeSecurityGroups { filters: vec![filter("tag:team", &["w*"])], ..Default::default() };
    assert_eq!(rig.ok(tagged).await.security_group_info.len(), 1);
    rig.ok(delete(id)).await;
    rig.no(delete(id), 400, "InvalidGroup.NotFound", id).await;
    rig.no(by_id(id), 400, "InvalidGroup.NotFound", id).await;
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused() {
    let rig = Rig::start().await;
    let id = rig.ok(create("web")).await.group_id;
    let check = |permission: ec2::PermissionStated, code: &'static str, text: &'static str| {
        let call = authorize(&id, vec![permission]);
        let rig = &rig;
        async move { rig.no(call, 400, code, text).await }
    };
    check(ranges("tcp", (80, 79), &["10.0.0.0/8"]), "InvalidParameterValue", "port range (80:79)").await;
    check(ranges("tcp", (0, 65_536), &["10.0.0.0/8"]), "InvalidParameterValue", "port range").await;
    check(ranges("gopher", (1, 1), &["10.0.0.0/8"]), "InvalidParameterValue", "IP protocol").await;
    check(ranges("tcp", (1, 1), &["10.0.0.0/33"]), "InvalidParameterValue", "CIDR block 10.0.0.0/33").await;
    check(ranges("tcp", (1, 1), &["2001:db8::/32"]), "InvalidParameterValue", "CIDR block").await;
    check(ranges("tcp", (1, 1), &[]), "MissingParameter", "ipPermissions").await;
    let portless = ec2::PermissionStated { from_port: None, ..ranges("tcp", (1, 1), &["10.0.0.0/8"]) };
    check(portless, "InvalidParameterValue", "from and to ports").await;
    let stranger = ec2::PermissionStated {
        groups: vec![ec2::GroupStated { group_id: Some("sg-00000000".into()), ..Default::default() }],
        ..ranges("tcp", (1, 1), &[])
    };
    check(stranger, "InvalidGroup.NotFound", "sg-00000000").await;
    let many: Vec<String> = (0..61).map(|n| format!("10.0.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(ranges("tcp", (1, 1), &many), "RulesPerSecurityGroupLimitExceeded", "60").await;
    rig.no(authorize("nonsense", vec![]), 400, "InvalidGroupId.Malformed", "nonsense").await;
    rig.no(create("sg-mine"), 400, "InvalidParameterValue", "groupName").await;
    rig.no(ec2::CreateSecurityGroup { group_description: None, ..create("x") }, 400, "MissingParameter", "Description")
        .await;
    let elsewhere = ec2::CreateSecurityGroup { vpc_id: Some("vpc-00000000".into()), ..create("x") };
    rig.no(elsewhere, 400, "InvalidVpcID.NotFound", "vpc-00000000").await;
    // Nothing of a refused call was made.
    assert!(rig.ok(by_id(&id)).await.security_group_info[0].ip_permissions.is_empty());
}

#[tokio::test]
async fn a_balancers_groups_say_who_may_connect() {
    let rig = Rig::start().await;
    let web = rig.ok(create("web")).await.group_id;
    let app = rig.ok(create("app")).await.group_id;
    rig.ok(authorize(&web, vec![ranges("tcp", (80, 90), &["10.0.0.0/8"])])).await;
    let members = ec2::PermissionStated {
        groups: vec![ec2::GroupStated { group_name: Some("app".into()), ..Default::default() }],
        ..ranges("-1", (0, 0), &[])
    };
    rig.ok(authorize(&web, vec![members])).await;
    let image = rig.image().await;
    let member = ec2::RunInstances { security_groups: vec!["app".into()], ..super::launch(&image, 1) };
    let member = rig.ok(member).await.instances_set.0.remove(0);
    assert_eq!((member.group_set[0].group_id.as_str(), member.group_set[0].group_name.as_str()), (app.as_str(), "app"));
    rig.ok(elb::CreateLoadBalancer { security_groups: Some(vec![web.clone()].into()), ..balancer("test") }).await;
    let admitted = |groups: &[&str], port: u16| {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let ranges = rig.keeper.world().admitted(&groups, port);
        ranges.map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let private = format!("{}/32", member.private_ip_address);
    assert_eq!(admitted(&[&web], 80), Some(vec!["10.0.0.0/8".to_owned(), private.clone()]));
    assert_eq!(admitted(&[&web], 91), Some(vec![private]));
    assert_eq!(admitted(&[&app], 80), Some(vec![]));
    assert_eq!(admitted(&[], 80), None);
    rig.no(delete(&web), 400, "DependencyViolation", &web).await;
    rig.no(delete(&app), 400, "DependencyViolation", &app).await;
    let default = ec2::DescribeSecurityGroups { group_names: vec!["default".into()], ..Default::default() };
    let default = rig.ok(default).await.security_group_info.0.remove(0).group_id;
    rig.no(delete(&default), 400, "CannotDelete", "\"default\"").await;
    let unknown = elb::ApplySecurityGroupsToLoadBalancer {
        load_balancer_name: "test".into(),
        security_groups: vec!["sg-00000000".to_owned()].into(),
    };
    rig.no(unknown, 400, "InvalidSecurityGroup", "sg-00000000").await;
    let none = elb::ApplySecurityGroupsToLoadBalancer {
        load_balancer_name: "test".into(),
        security_groups: Vec::new().into(),
    };
    assert!(rig.ok(none).await.security_groups.is_empty());
    rig.ok(delete(&web)).await;
}

#[tokio::test]
async fn the_network_is_described() {
    let rig = Rig::start().await;
    let vpc = rig.ok(ec2::DescribeVpcs::default()).await.vpc_set.0.remove(0);
    assert!(vpc.is_default && vpc.cidr_block == "127.81.0.0/16");
    let subnets = rig.ok(ec2::DescribeSubnets::default()).await.subnet_set;
    assert_eq!(subnets.len(), 3);
    let of = |zone: &str| subnets.iter().find(|subnet| subnet.availability_zone == zone).unwrap();
    assert_eq!((of("us-east-1b").availability_zone_id.as_str(), &of("us-east-1b").vpc_id), ("use1-az2", &vpc.vpc_id));
    let by_zone = ec2::DescribeSubnets {
        filters: vec![filter("availability-zone", &["us-east-1c"]), filter("vpc-id", &[&vpc.vpc_id])],
        ..Default::default()
    };
    assert_eq!(rig.ok(by_zone).await.subnet_set[0].subnet_id, of("us-east-1c").subnet_id);
    // A launch into a subnet is one into its zone.
    let image = rig.image().await;
    let inside = |zone: &str, placed: Option<&str>| ec2::RunInstances {
        subnet_id: Some(of(zone).subnet_id.clone()),
        placement: placed.map(|zone| ec2::Placement { availability_zone: Some(zone.into()), ..Default::default() }),
        ..launch(&image, 1)
    };
    let instance = rig.ok(inside("us-east-1c", None)).await.instances_set.0.remove(0);
    assert_eq!(instance.placement.availability_zone, "us-east-1c");
    assert_eq!(
        (instance.subnet_id, instance.vpc_id),
        (Some(of("us-east-1c").subnet_id.clone()), Some(vpc.vpc_id.clone()))
    );
    rig.no(inside("us-east-1c", Some("us-east-1a")), 400, "InvalidParameterValue", "us-east-1c").await;
    let nowhere = ec2::DescribeSubnets { subnet_ids: vec!["subnet-0".into()], ..Default::default() };
    rig.no(nowhere, 400, "InvalidSubnetID.NotFound", "subnet-0").await;
    let attribute = |attribute: &str| ec2::DescribeVpcAttribute {
        vpc_id: vpc.vpc_id.clone(),
        attribute: Some(attribute.into()),
        dry_run: None,
    };
    assert!(rig.ok(attribute("enableDnsSupport")).await.enable_dns_support.unwrap().value);
    rig.no(attribute("colour"), 400, "InvalidParameterValue", "colour").await;
    let platforms = ec2::DescribeAccountAttributes { attribute_names: vec!["default-vpc".into()], dry_run: None };
    let told = rig.ok(platforms).await.account_attribute_set;
    assert_eq!(told[0].attribute_value_set[0].attribute_value, vpc.vpc_id);
}
