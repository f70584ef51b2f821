//! Security groups: who may connect to what is in them.
//!
//! Owns how groups and rules are read from calls, in both of EC2's forms, and shown. Balancers' groups act on the road, which
//! lets in only whom they admit; instances' are recorded. Whom a group admits is the World's to say. Source: EC2 API
//! 2016-11-15. Next: [`super::vpcs`].

use std::collections::BTreeMap;

use evenkeel_aws::xml::Items;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::Change;
use evenkeel_core::name::GroupId;
use evenkeel_core::noun::SecurityGroup;
use evenkeel_core::noun::security_group::{DEFAULT, Peer, Reach, Rule};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::routes::AddressRange;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Settings, World};

use super::filter::Filters;
use super::page::Page;
use super::subnets::vpc_id;
use super::{Asked, dice, shown, tags, words};
use crate::keeper::{KeeperHandle, Rejected};

pub(super) const FILTERS: &[&str] = &[
    "description",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "owner-id",
    "vpc-id",
];

pub(super) const RULE_FILTERS: &[&str] = &["group-id", "security-group-rule-id"];

/// Makes AWS's default group where there is none yet: everything from its own members, and everything out.
///
/// # Errors
/// A Store that cannot be written.
pub async fn ensure_default(keeper: &KeeperHandle, now: Timestamp) -> Result<(), Rejected> {
    let world = keeper.world();
    if world.security_groups().any(|group| group.name == DEFAULT) {
        return Ok(());
    }
    let Ok(id) = GroupId::new(shown::default_group_id(world.settings())) else { return Ok(()) };
    let rule = |peer: Peer| {
        let id = shown::derived("sgr-", &format!("{id} {peer}"));
        Rule { id, reach: Reach { protocol: "-1".into(), ports: None, peer }, description: None }
    };
    let everywhere = "0.0.0.0/0".parse().ok().map(|range| rule(Peer::Range(range)));
    let group = SecurityGroup {
        id: id.clone(),
        name: DEFAULT.into(),
        description: "default VPC security group".into(),
        ingress: vec![rule(Peer::Group(id.clone()))],
        egress: everywhere.into_iter().collect(),
        created: now,
        tags: BTreeMap::new(),
    };
    match keeper.submit("start", Change::CreateSecurityGroup(group)).await {
        Ok(_) | Err(Rejected::Refused(_)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

pub(super) async fn create(
    asked: &Asked<'_>,
    input: ec2::CreateSecurityGroup,
) -> Result<ec2::CreateSecurityGroupOutput, Error> {
    let settings = asked.world.settings();
    let name = name(input.group_name)?;
    let description = description(input.group_description.filter(|text| !text.is_empty()), "groupDescription")?;
    let description = description.ok_or_else(|| words::missing("GroupDescription"))?;
    if let Some(vpc) = input.vpc_id.filter(|id| !id.is_empty() && *id != vpc_id(settings)) {
        return Err(no_vpc(&vpc));
    }
    let tags = tags::specified(input.tag_specifications, "security-group")?;
    let id = group_id(&dice::id("sg-")?)?;
    let everywhere = "0.0.0.0/0".parse().map(Peer::Range).map_err(|_| Error::internal(evenkeel_aws::Dialect::Ec2))?;
    let reach = Reach { protocol: "-1".into(), ports: None, peer: everywhere };
    let group = SecurityGroup {
        id: id.clone(),
        name,
        description,
        ingress: Vec::new(),
        egress: vec![Rule { id: dice::id("sgr-")?, reach, description: None }],
        created: asked.now,
        tags: tags.clone(),
    };
    asked.ec2(Change::CreateSecurityGroup(group), input.dry_run).await?;
    Ok(ec2::CreateSecurityGroupOutput {
        done: true,
        security_group_arn: Some(arn(settings, &id)),
        group_id: id.to_string(),
        tag_set: tags::shown(&tags),
    })
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &ec2::DeleteSecurityGroup,
) -> Result<ec2::DeleteSecurityGroupOutput, Error> {
    let group = stated(asked, input.group_id.as_deref(), input.group_name.as_deref())?;
    let group_id = group.to_string();
    asked.ec2(Change::DeleteSecurityGroup { group }, input.dry_run).await?;
    Ok(ec2::DeleteSecurityGroupOutput { done: true, group_id })
}

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeSecurityGroups,
) -> Result<ec2::DescribeSecurityGroupsOutput, Error> {
    let filters = Filters::read(&input.filters, FILTERS)?;
    let page = Page::ec2("groups", input.max_results, 5, input.next_token.as_deref())?;
    let (ids, names) = (&input.group_ids, &input.group_names);
    for id in ids {
        existing(&asked.world, &group_id(id)?)?;
    }
    for name in names {
        named(&asked.world, name)?;
    }
    words::unless_dry_run(input.dry_run)?;
    let settings = asked.world.settings();
    let wanted = asked.world.security_groups().filter(|group| {
        let chosen = (ids.is_empty() && names.is_empty())
            || ids.iter().any(|id| id == group.id.as_str())
            || names.contains(&group.name);
        chosen && filters.hold(|name| values(group, settings, name), &group.tags)
    });
    let (found, next_token) = page.cut(wanted, |group| group.id.to_string());
    let security_group_info = found.into_iter().map(|group| shown_group(group, &asked.world)).collect();
    Ok(ec2::DescribeSecurityGroupsOutput { security_group_info, next_token })
}

pub(super) fn describe_rules(
    asked: &Asked<'_>,
    input: &ec2::DescribeSecurityGroupRules,
) -> Result<ec2::DescribeSecurityGroupRulesOutput, Error> {
    let filters = Filters::read(&input.filters, RULE_FILTERS)?;
    let page = Page::ec2("rules", input.max_results, 5, input.next_token.as_deref())?;
    let ids = &input.security_group_rule_ids;
    let groups = asked.world.security_groups();
    let all: Vec<ec2::SecurityGroupRule> = groups.flat_map(|group| shown_rules(group, &asked.world)).collect();
    if let Some(unknown) = ids.iter().find(|id| !all.iter().any(|rule| rule.security_group_rule_id == **id)) {
        return Err(no_rule(unknown));
    }
    words::unless_dry_run(input.dry_run)?;
    let wanted = all.into_iter().filter(|rule| {
        let values = |name| match name {
            "group-id" => vec![rule.group_id.clone()],
            _ => vec![rule.security_group_rule_id.clone()],
        };
        (ids.is_empty() || ids.contains(&rule.security_group_rule_id)) && filters.hold(values, &BTreeMap::new())
    });
    let (found, next_token) = page.cut(wanted, |rule| format!("{} {}", rule.group_id, rule.security_group_rule_id));
    Ok(ec2::DescribeSecurityGroupRulesOutput { security_group_rule_set: found.into(), next_token })
}

/// `egress`: about connections that the group's members make, rather than take.
pub(super) async fn authorize(
    asked: &Asked<'_>,
    input: ec2::RulesStated,
    egress: bool,
) -> Result<ec2::AuthorizeOutput, Error> {
    let group = stated(asked, input.group_id.as_deref(), input.group_name.as_deref())?;
    let dry_run = input.dry_run;
    let rules = rules(asked, input)?;
    let change = Change::AuthorizeSecurityGroup { group: group.clone(), egress, rules: rules.clone() };
    asked.ec2(change, dry_run).await?;
    let settings = asked.world.settings();
    let shown = rules.iter().map(|rule| shown_rule(rule, &group, egress, settings));
    Ok(ec2::AuthorizeOutput { done: true, security_group_rule_set: shown.collect() })
}

/// As [`authorize`], the other way.
pub(super) async fn revoke(
    asked: &Asked<'_>,
    mut input: ec2::RulesStated,
    egress: bool,
) -> Result<ec2::RevokeOutput, Error> {
    let group = stated(asked, input.group_id.as_deref(), input.group_name.as_deref())?;
    let (dry_run, ids) = (input.dry_run, std::mem::take(&mut input.security_group_rule_ids));
    let gone: Vec<Reach> = if ids.is_empty() {
        rules(asked, input)?.into_iter().map(|rule| rule.reach).collect()
    } else {
        let held = existing(&asked.world, &group)?;
        let held = if egress { &held.egress } else { &held.ingress };
        let find = |id: &String| held.iter().find(|rule| rule.id == *id).map(|rule| rule.reach.clone());
        ids.iter().map(|id| find(id).ok_or_else(|| no_rule(id))).collect::<Result<_, _>>()?
    };
    asked.ec2(Change::RevokeSecurityGroup { group, egress, rules: gone }, dry_run).await?;
    Ok(ec2::RevokeOutput { done: true })
}

/// The groups of a launch, by name: those that are named or numbered, else the default one.
pub(super) fn of_launch(asked: &Asked<'_>, names: Vec<String>, ids: Vec<String>) -> Result<Vec<String>, Error> {
    let mut groups: Vec<String> = Vec::new();
    for name in names.iter().filter(|text| !text.is_empty()) {
        groups.push(named(&asked.world, name)?.name.clone());
    }
    for id in ids.iter().filter(|text| !text.is_empty()) {
        groups.push(existing(&asked.world, &group_id(id)?)?.name.clone());
    }
    groups.sort();
    groups.dedup();
    Ok(if groups.is_empty() { vec![DEFAULT.to_owned()] } else { groups })
}

/// The id of a group that is known by its name; of a group that is gone, none.
pub(super) fn id_of(world: &World, name: &str) -> Option<String> {
    world.security_groups().find(|group| group.name == name).map(|group| group.id.to_string())
}

pub(super) fn group_id(text: &str) -> Result<GroupId, Error> {
    GroupId::new(text).map_err(|_| {
        Error::sender(
            "InvalidGroupId.Malformed",
            format!("Invalid id: \"{}\" (expecting \"sg-...\")", words::quoted(text)),
        )
    })
}

fn existing<'w>(world: &'w World, id: &GroupId) -> Result<&'w SecurityGroup, Error> {
    world.security_group(id).map(AsRef::as_ref).ok_or_else(|| refuse(Refusal::NoSuchGroup(id.clone())))
}

fn named<'w>(world: &'w World, name: &str) -> Result<&'w SecurityGroup, Error> {
    world.security_groups().find(|group| group.name == name).map(AsRef::as_ref).ok_or_else(|| {
        let text = format!("The security group '{}' does not exist", words::quoted(name));
        Error::sender("InvalidGroup.NotFound", text)
    })
}

/// The group that a call is about, by id or by name.
fn stated(asked: &Asked<'_>, id: Option<&str>, name: Option<&str>) -> Result<GroupId, Error> {
    match (id.filter(|text| !text.is_empty()), name.filter(|text| !text.is_empty())) {
        (Some(id), _) => Ok(existing(&asked.world, &group_id(id)?)?.id.clone()),
        (None, Some(name)) => Ok(named(&asked.world, name)?.id.clone()),
        (None, None) => Err(words::missing("GroupId")),
    }
}

fn refuse(refusal: Refusal) -> Error {
    super::refusal::ec2(refusal.into())
}

fn no_rule(id: &str) -> Error {
    let text = format!("The security group rule ID '{}' does not exist", words::quoted(id));
    Error::sender("InvalidSecurityGroupRuleId.NotFound", text)
}

pub(super) fn no_vpc(id: &str) -> Error {
    Error::sender("InvalidVpcID.NotFound", format!("The vpc ID '{}' does not exist", words::quoted(id)))
}

/// Characters of AWS's rule for names and descriptions of groups.
fn well_formed(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(good)
}

fn name(stated: Option<String>) -> Result<String, Error> {
    let name = stated.filter(|name| !name.is_empty()).ok_or_else(|| words::missing("GroupName"))?;
    if name.starts_with("sg-") || !well_formed(&name) {
        let rule = "Character sets beyond ASCII are not supported, at most 255 characters, and not beginning with sg-.";
        return Err(words::bad_value("groupName", &name, rule));
    }
    Ok(name)
}

fn description(stated: Option<String>, parameter: &str) -> Result<Option<String>, Error> {
    match stated {
        Some(text) if !text.is_empty() && !well_formed(&text) => {
            let rule = "Character sets beyond ASCII are not supported, at most 255 characters.";
            Err(words::bad_value(parameter, &text, rule))
        }
        stated => Ok(stated.filter(|text| !text.is_empty())),
    }
}

/// Each range and group of each permission as a rule of its own.
fn rules(asked: &Asked<'_>, input: ec2::RulesStated) -> Result<Vec<Rule>, Error> {
    let mut permissions = input.ip_permissions;
    if permissions.is_empty() {
        let groups = input
            .source_security_group_name
            .filter(|name| !name.is_empty())
            .map(|name| ec2::GroupStated { group_name: Some(name), ..ec2::GroupStated::default() });
        let cidr = input.cidr_ip.filter(|cidr| !cidr.is_empty());
        if groups.is_none() && cidr.is_none() {
            return Err(words::missing("ipPermissions"));
        }
        let ranges = cidr.map(|cidr_ip| ec2::RangeStated { cidr_ip, description: None });
        // By a group alone the first API meant everything that its members send.
        let protocol = input.ip_protocol.or_else(|| groups.as_ref().map(|_| "-1".to_owned()));
        permissions.push(ec2::PermissionStated {
            ip_protocol: protocol,
            from_port: input.from_port,
            to_port: input.to_port,
            groups: groups.into_iter().collect(),
            ip_ranges: ranges.into_iter().collect(),
            ipv6_ranges: Vec::new(),
        });
    }
    let mut rules = Vec::new();
    for permission in permissions {
        let protocol = protocol(permission.ip_protocol.as_deref())?;
        let ports = ports(&protocol, permission.from_port, permission.to_port)?;
        let mut add = |peer: Peer, text: Option<String>| {
            let description = description(text, "description")?;
            let reach = Reach { protocol: protocol.clone(), ports, peer };
            rules.push(Rule { id: dice::id("sgr-")?, reach, description });
            Ok::<(), Error>(())
        };
        for range in permission.ip_ranges {
            add(Peer::Range(cidr(&range.cidr_ip, false)?), range.description)?;
        }
        for range in permission.ipv6_ranges {
            add(Peer::Range(cidr(&range.cidr_ipv6, true)?), range.description)?;
        }
        for group in permission.groups {
            let peer = stated(asked, group.group_id.as_deref(), group.group_name.as_deref())?;
            add(Peer::Group(peer), group.description)?;
        }
    }
    if rules.is_empty() { Err(words::missing("ipPermissions")) } else { Ok(rules) }
}

fn protocol(stated: Option<&str>) -> Result<String, Error> {
    let text = stated.filter(|text| !text.is_empty()).ok_or_else(|| words::missing("ipProtocol"))?;
    let known = match text.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => "-1",
        number if number.parse::<u8>().is_ok() => return Ok(number.to_owned()),
        _ => return Err(words::bad_value("IpProtocol", text, "Unknown IP protocol.")),
    };
    Ok(known.to_owned())
}

fn ports(protocol: &str, from: Option<i64>, to: Option<i64>) -> Result<Option<(i32, i32)>, Error> {
    let highest = if protocol.starts_with("icmp") { 255 } else { 65_535 };
    let within = |port: i64| i32::try_from(port).ok().filter(|port| (-1..=highest).contains(port));
    match (protocol, from, to) {
        ("tcp" | "udp" | "icmp" | "icmpv6", Some(from), Some(to)) => {
            let bad = || Error::invalid_parameter(format!("Invalid TCP/UDP port range ({from}:{to})"));
            let (from, to) = (within(from).ok_or_else(bad)?, within(to).ok_or_else(bad)?);
            if from == -1 && to == -1 {
                return Ok(None);
            }
            let ordered = protocol.starts_with("icmp") || (0 <= from && from <= to);
            if ordered { Ok(Some((from, to))) } else { Err(bad()) }
        }
        ("tcp" | "udp", _, _) => {
            let text = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.";
            Err(Error::invalid_parameter(text))
        }
        // What else there is has no ports, and those that are stated mean nothing (AWS).
        _ => Ok(None),
    }
}

fn cidr(text: &str, v6: bool) -> Result<AddressRange, Error> {
    let bad = || Error::invalid_parameter(format!("CIDR block {} is malformed", words::quoted(text)));
    let range: AddressRange = text.parse().map_err(|_| bad())?;
    if text.contains(':') == v6 { Ok(range) } else { Err(bad()) }
}

fn arn(settings: &Settings, id: &GroupId) -> String {
    format!("arn:aws:ec2:{}:{}:security-group/{id}", settings.region, settings.account)
}

fn shown_group(group: &SecurityGroup, world: &World) -> ec2::SecurityGroup {
    let settings = world.settings();
    ec2::SecurityGroup {
        owner_id: settings.account.clone(),
        group_id: group.id.to_string(),
        group_name: group.name.clone(),
        group_description: group.description.clone(),
        vpc_id: Some(vpc_id(settings)),
        ip_permissions: permissions(&group.ingress, world),
        ip_permissions_egress: permissions(&group.egress, world),
        tag_set: tags::shown(&group.tags),
        security_group_arn: Some(arn(settings, &group.id)),
    }
}

/// Rules of the same protocol and ports together, as EC2 shows them.
fn permissions(rules: &[Rule], world: &World) -> Items<ec2::IpPermission> {
    let mut shown: Vec<ec2::IpPermission> = Vec::new();
    for rule in rules {
        let reach = &rule.reach;
        let (from_port, to_port) = reach.ports.map(|(from, to)| (i64::from(from), i64::from(to))).unzip();
        let same =
            |p: &ec2::IpPermission| p.ip_protocol == reach.protocol && (p.from_port, p.to_port) == (from_port, to_port);
        let at = shown.iter().position(same).unwrap_or(shown.len());
        if at == shown.len() {
            let ip_protocol = reach.protocol.clone();
            shown.push(ec2::IpPermission { ip_protocol, from_port, to_port, ..ec2::IpPermission::default() });
        }
        let permission = &mut shown[at];
        let description = rule.description.clone();
        match &reach.peer {
            Peer::Range(range) if range.to_string().contains(':') => {
                permission.ipv6_ranges.push(ec2::Ipv6Range { cidr_ipv6: range.to_string(), description });
            }
            Peer::Range(range) => permission.ip_ranges.push(ec2::IpRange { cidr_ip: range.to_string(), description }),
            Peer::Group(id) => permission.groups.push(ec2::UserIdGroupPair {
                user_id: world.settings().account.clone(),
                group_id: id.to_string(),
                group_name: world.security_group(id).map(|group| group.name.clone()),
                description,
            }),
        }
    }
    shown.into()
}

fn shown_rules(group: &SecurityGroup, world: &World) -> Vec<ec2::SecurityGroupRule> {
    let of = |rules: &[Rule], egress| -> Vec<ec2::SecurityGroupRule> {
        rules.iter().map(|rule| shown_rule(rule, &group.id, egress, world.settings())).collect()
    };
    let mut all = [of(&group.ingress, false), of(&group.egress, true)].concat();
    all.sort_by(|a, b| a.security_group_rule_id.cmp(&b.security_group_rule_id));
    all
}

fn shown_rule(rule: &Rule, group: &GroupId, is_egress: bool, settings: &Settings) -> ec2::SecurityGroupRule {
    let text = match &rule.reach.peer {
        Peer::Range(range) => Some(range.to_string()),
        Peer::Group(_) => None,
    };
    let (v6, v4): (Option<String>, Option<String>) = match text {
        Some(text) if text.contains(':') => (Some(text), None),
        text => (None, text),
    };
    let referenced = match &rule.reach.peer {
        Peer::Group(id) => Some(id.to_string()),
        Peer::Range(_) => None,
    };
    let ports = rule.reach.ports.unwrap_or((-1, -1));
    ec2::SecurityGroupRule {
        security_group_rule_id: rule.id.clone(),
        group_id: group.to_string(),
        group_owner_id: settings.account.clone(),
        is_egress,
        ip_protocol: rule.reach.protocol.clone(),
        from_port: ports.0.into(),
        to_port: ports.1.into(),
        cidr_ipv4: v4,
        cidr_ipv6: v6,
        referenced_group_info: referenced
            .map(|group_id| ec2::ReferencedSecurityGroup { group_id, user_id: settings.account.clone() }),
        description: rule.description.clone(),
        tag_set: Items::default(),
    }
}

fn values(group: &SecurityGroup, settings: &Settings, name: &'static str) -> Vec<String> {
    let of_rules = |value: &dyn Fn(&Reach) -> Option<String>| -> Vec<String> {
        group.ingress.iter().filter_map(|rule| value(&rule.reach)).collect()
    };
    match name {
        "description" => vec![group.description.clone()],
        "group-id" => vec![group.id.to_string()],
        "group-name" => vec![group.name.clone()],
        "ip-permission.cidr" => of_rules(&|reach| match &reach.peer {
            Peer::Range(range) => Some(range.to_string()),
            Peer::Group(_) => None,
        }),
        "ip-permission.from-port" => of_rules(&|reach| reach.ports.map(|(from, _)| from.to_string())),
        "ip-permission.group-id" => of_rules(&|reach| match &reach.peer {
            Peer::Group(id) => Some(id.to_string()),
            Peer::Range(_) => None,
        }),
        "ip-permission.protocol" => of_rules(&|reach| Some(reach.protocol.clone())),
        "ip-permission.to-port" => of_rules(&|reach| reach.ports.map(|(_, to)| to.to_string())),
        "owner-id" => vec![settings.account.clone()],
        "vpc-id" => vec![vpc_id(settings)],
        _ => Vec::new(),
    }
}
