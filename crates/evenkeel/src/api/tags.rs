//! Tags: on load balancers (ELB's calls), on instances, images, groups and launch templates (EC2's).
//!
//! Owns their form on the wire, and that a key stands once in a call; lengths and numbers are the World's.

use std::collections::BTreeMap;

use evenkeel_aws::xml::{Items, Members};
use evenkeel_aws::{Error, ec2, elb};
use evenkeel_core::change::Change;
use evenkeel_core::refusal::Refusal;

use super::filter::Filters;
use super::page::Page;
use super::{Asked, balancers, refusal, words};

/// Balancers whose tags one call may ask for (AWS).
const MOST_DESCRIBED: usize = 20;

/// Things one EC2 call may tag (AWS).
const MOST_TAGGED: usize = 1000;

pub(super) const FILTERS: &[&str] = &["key", "resource-id", "resource-type", "value"];

pub(super) async fn add_to_balancer(asked: &Asked<'_>, input: elb::AddTags) -> Result<elb::AddTagsOutput, Error> {
    let names = vec![words::balancer(one(&input.load_balancer_names)?)?];
    if input.tags.is_empty() {
        return Err(words::out_of_bounds("[]", "tags", "Member must have length greater than or equal to 1"));
    }
    let tags = of_balancer(input.tags)?;
    asked.elb(Change::TagLoadBalancers { names, tags }).await?;
    Ok(elb::AddTagsOutput {})
}

pub(super) async fn remove_from_balancer(
    asked: &Asked<'_>,
    input: elb::RemoveTags,
) -> Result<elb::RemoveTagsOutput, Error> {
    let names = vec![words::balancer(one(&input.load_balancer_names)?)?];
    let keys = input.tags.into_iter().map(|tag| tag.key).collect();
    asked.elb(Change::UntagLoadBalancers { names, keys }).await?;
    Ok(elb::RemoveTagsOutput {})
}

pub(super) fn describe_of_balancers(
    asked: &Asked<'_>,
    input: &elb::DescribeTags,
) -> Result<elb::DescribeTagsOutput, Error> {
    let names = &input.load_balancer_names;
    if !(1..=MOST_DESCRIBED).contains(&names.len()) {
        let rule = if names.is_empty() { "greater than or equal to 1" } else { "less than or equal to 20" };
        let rule = format!("Member must have length {rule}");
        return Err(words::out_of_bounds(&format!("[{}]", names.join(", ")), "loadBalancerNames", &rule));
    }
    let described = |name: &String| {
        let lb = balancers::existing(asked, name)?;
        let tag = |(key, value): (&String, &String)| elb::Tag { key: key.clone(), value: Some(value.clone()) };
        Ok(elb::TagDescription { load_balancer_name: lb.name.to_string(), tags: lb.tags.iter().map(tag).collect() })
    };
    let tag_descriptions = names.iter().map(described).collect::<Result<Vec<_>, Error>>()?.into();
    Ok(elb::DescribeTagsOutput { tag_descriptions })
}

/// A balancer's tags as a call states them.
pub(super) fn of_balancer(tags: Members<elb::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let tags = tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default()));
    distinct(tags).map_err(|key| Error::sender("DuplicateTagKeys", format!("The tag key '{key}' is stated twice")))
}

pub(super) async fn create(asked: &Asked<'_>, input: ec2::CreateTags) -> Result<ec2::Done, Error> {
    let resources = resources(input.resource_ids)?;
    if input.tags.is_empty() {
        return Err(words::missing("Tag"));
    }
    let tags = of_thing(input.tags)?;
    asked.ec2(Change::CreateTags { resources, tags }, input.dry_run).await?;
    Ok(ec2::Done::default())
}

pub(super) async fn delete(asked: &Asked<'_>, input: ec2::DeleteTags) -> Result<ec2::Done, Error> {
    let resources = resources(input.resource_ids)?;
    if input.tags.iter().any(|tag| tag.key.starts_with("aws:")) {
        return Err(refusal::ec2(Refusal::TagReserved.into()));
    }
    let tags = input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    asked.ec2(Change::DeleteTags { resources, tags }, input.dry_run).await?;
    Ok(ec2::Done::default())
}

pub(super) fn describe(asked: &Asked<'_>, input: &ec2::DescribeTags) -> Result<ec2::DescribeTagsOutput, Error> {
    let filters = Filters::read(&input.filters, FILTERS)?;
    let page = Page::ec2("tags", input.max_results, 5, input.next_token.as_deref())?;
    words::unless_dry_run(input.dry_run)?;
    let instances = asked.world.instances().map(|i| (i.id.as_str(), "instance", &i.tags));
    let images = asked.world.images().map(|i| (i.id.as_str(), "image", &i.tags));
    let groups = asked.world.security_groups().map(|g| (g.id.as_str(), "security-group", &g.tags));
    let templates = asked.world.launch_templates().map(|t| (t.id.as_str(), "launch-template", &t.tags));
    let all = images.chain(instances).chain(templates).chain(groups).flat_map(|(resource_id, resource_type, tags)| {
        tags.iter().map(move |(key, value)| ec2::TagDescription {
            resource_id: resource_id.into(),
            resource_type: resource_type.into(),
            key: key.clone(),
            value: value.clone(),
        })
    });
    let wanted = all.filter(|tag| {
        let values = |name| {
            vec![match name {
                "key" => tag.key.clone(),
                "resource-id" => tag.resource_id.clone(),
                "resource-type" => tag.resource_type.clone(),
                _ => tag.value.clone(),
            }]
        };
        filters.hold(values, &BTreeMap::from([(tag.key.clone(), tag.value.clone())]))
    });
    let (shown, next_token) = page.cut(wanted, |tag| format!("{} {}", tag.resource_id, tag.key));
    Ok(ec2::DescribeTagsOutput { tag_set: shown.into(), next_token })
}

/// Tags of an instance or image as a call states them.
pub(super) fn of_thing(tags: impl IntoIterator<Item = ec2::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let tags = tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default()));
    distinct(tags).map_err(|key| Error::invalid_parameter(format!("Duplicate tag key '{key}' specified.")))
}

/// The tags that a call states for one kind of thing that it makes.
pub(super) fn specified(
    specifications: Vec<ec2::TagSpecification>,
    kind: &'static str,
) -> Result<BTreeMap<String, String>, Error> {
    if let Some(other) = specifications.iter().find(|s| s.resource_type != kind) {
        let text = format!(
            "'{}' is not a valid taggable resource type for this operation: only '{kind}' is",
            words::quoted(&other.resource_type)
        );
        return Err(Error::invalid_parameter(text));
    }
    of_thing(specifications.into_iter().flat_map(|s| s.tags))
}

pub(super) fn shown(tags: &BTreeMap<String, String>) -> Items<ec2::TagShown> {
    tags.iter().map(|(key, value)| ec2::TagShown { key: key.clone(), value: value.clone() }).collect()
}

fn one(names: &Members<String>) -> Result<&str, Error> {
    match &names[..] {
        [name] => Ok(name),
        names => {
            let rule = "Exactly one load balancer must be specified";
            Err(words::out_of_bounds(&format!("[{}]", names.join(", ")), "loadBalancerNames", rule))
        }
    }
}

fn resources(ids: Vec<String>) -> Result<Vec<String>, Error> {
    if ids.is_empty() {
        return Err(words::missing("ResourceId"));
    }
    if ids.len() > MOST_TAGGED {
        return Err(Error::invalid_parameter(format!("At most {MOST_TAGGED} resources may be specified")));
    }
    for id in &ids {
        match id.split_once('-') {
            Some(("i", _)) => drop(words::instance(id)?),
            Some(("ami", _)) => drop(words::image(id)?),
            // Whether there is such a group or launch template is the World's to say.
            Some(("lt" | "sg", _)) => {}
            _ => {
                let text = format!("The ID '{}' is not valid", words::quoted(id));
                return Err(Error::sender("InvalidID", text));
            }
        }
    }
    Ok(ids)
}

/// Keys that stand once each, or the key that does not.
fn distinct(tags: impl Iterator<Item = (String, String)>) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for (key, value) in tags {
        if map.contains_key(&key) {
            return Err(words::quoted(&key));
        }
        map.insert(key, value);
    }
    Ok(map)
}
