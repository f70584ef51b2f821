//! What a launch states: read from RunInstances and from launch templates, and shown again.
//!
//! Owns both directions. What has no effect here (volumes, network interfaces, options of machines) a template keeps and shows
//! as it was stated, so that clients find nothing to change; what cannot be had (instance profiles) is refused. Next:
//! [`super::launch`] and [`super::launch_templates`].

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::name::GroupId;
use evenkeel_core::noun::launch_template::INSTANCE;
use evenkeel_core::noun::{Instance, LaunchData, ShutdownBehavior};
use evenkeel_core::world::World;
use serde_json::{Map, Value};

use super::subnets::zone_of;
use super::{Asked, groups, tags, vpcs, words};

/// Bytes of user data before base64 (AWS).
const MOST_USER_DATA: usize = 16 * 1024;

/// Characters of a key pair's name (AWS).
const MOST_KEY_NAME: usize = 255;

/// Bytes of what a template records and shows only.
const MOST_RECORDED: usize = 16 * 1024;

/// Kinds of things whose tags a template may state (AWS has some more every year).
const MOST_KINDS: usize = 20;

/// What a call of RunInstances states itself.
pub(super) fn of_call(asked: &Asked<'_>, input: ec2::RunInstances) -> Result<LaunchData, Error> {
    let zone = input.placement.and_then(|p| p.availability_zone).filter(|zone| !zone.is_empty());
    let zone = match input.subnet_id.filter(|id| !id.is_empty()) {
        None => zone,
        Some(subnet) => match zone_of(asked.world.settings(), &subnet) {
            None => return Err(vpcs::no_subnet(&subnet)),
            Some(own) if zone.as_ref().is_some_and(|zone| zone != own.as_str()) => {
                let text = format!("The availability zone of subnet '{subnet}' is {own}");
                return Err(Error::invalid_parameter(text));
            }
            Some(own) => Some(own.to_string()),
        },
    };
    refuse_profile(input.iam_instance_profile.as_ref())?;
    let tags = tags::specified(input.tag_specifications, INSTANCE)?;
    Ok(LaunchData {
        image: text(input.image_id).map(|id| words::image(&id)).transpose()?,
        instance_type: text(input.instance_type).map(instance_type).transpose()?,
        key_name: key_name(input.key_name)?,
        group_names: input.security_groups.into_iter().filter(|name| !name.is_empty()).collect(),
        group_ids: group_ids(&input.security_group_ids)?,
        user_data: input.user_data.map(|data| user_data(&data.0)).transpose()?,
        zone: zone.map(|zone| words::zone(&zone)).transpose()?,
        shutdown: text(input.instance_initiated_shutdown_behavior).map(|text| shutdown(&text)).transpose()?,
        termination_protected: input.disable_api_termination,
        stop_protected: input.disable_api_stop,
        tags: if tags.is_empty() { BTreeMap::new() } else { BTreeMap::from([(INSTANCE.to_owned(), tags)]) },
        recorded: BTreeMap::new(),
    })
}

/// What a launch template states.
pub(super) fn read(asked: &Asked<'_>, mut input: ec2::LaunchTemplateData) -> Result<LaunchData, Error> {
    refuse_profile(input.iam_instance_profile.take().as_ref())?;
    let placement = input.placement.as_mut();
    let zone = placement.and_then(|placement| placement.availability_zone.take()).filter(|zone| !zone.is_empty());
    let zone = zone.map(|zone| words::zone(&zone)).transpose()?;
    if let Some(unknown) = zone.as_ref().filter(|zone| !asked.world.settings().zones.contains(zone)) {
        return Err(Error::invalid_parameter(format!("Invalid availability zone: [{unknown}]")));
    }
    let user_data = input.user_data.take().map(|data| user_data(&data.0)).transpose()?;
    Ok(LaunchData {
        image: text(input.image_id.take()).map(|id| words::image(&id)).transpose()?,
        instance_type: text(input.instance_type.take()).map(instance_type).transpose()?,
        key_name: key_name(input.key_name.take())?,
        group_names: std::mem::take(&mut input.security_groups).into_iter().filter(|name| !name.is_empty()).collect(),
        group_ids: group_ids(&std::mem::take(&mut input.security_group_ids))?,
        user_data: user_data.filter(|data| !data.is_empty()),
        zone,
        shutdown: text(input.instance_initiated_shutdown_behavior.take()).map(|text| shutdown(&text)).transpose()?,
        termination_protected: input.disable_api_termination.take(),
        stop_protected: input.disable_api_stop.take(),
        tags: tags_by_kind(std::mem::take(&mut input.tag_specifications))?,
        recorded: recorded(ec2::LaunchTemplateDataShown::without_effect(input))?,
    })
}

/// What a launch states, as templates show it.
pub(super) fn shown(data: &LaunchData) -> Result<ec2::LaunchTemplateDataShown, Error> {
    let member = |(name, json): (&String, &Arc<str>)| Ok((name.clone(), serde_json::from_str::<Value>(json)?));
    let members =
        data.recorded.iter().map(member).collect::<Result<Map<_, _>, serde_json::Error>>().map_err(unreadable)?;
    let mut shown: ec2::LaunchTemplateDataShown = serde_json::from_value(Value::Object(members)).map_err(unreadable)?;
    if let Some(zone) = &data.zone {
        shown.placement.get_or_insert_default().availability_zone = Some(zone.to_string());
    }
    let tags = |(kind, tags): (&String, &BTreeMap<String, String>)| ec2::TemplateTagsShown {
        resource_type: kind.clone(),
        tag_set: tags::shown(tags),
    };
    let listed = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.into());
    Ok(ec2::LaunchTemplateDataShown {
        image_id: data.image.as_ref().map(ToString::to_string),
        instance_type: data.instance_type.clone(),
        key_name: data.key_name.clone(),
        disable_api_termination: data.termination_protected,
        disable_api_stop: data.stop_protected,
        instance_initiated_shutdown_behavior: data.shutdown.map(|behavior| behavior_name(behavior).to_owned()),
        user_data: data.user_data.clone(),
        tag_specification_set: (!data.tags.is_empty()).then(|| data.tags.iter().map(tags).collect()),
        security_group_id_set: listed(data.group_ids.iter().map(ToString::to_string).collect()),
        security_group_set: listed(data.group_names.clone()),
        ..shown
    })
}

/// What would launch an instance like this one.
pub(super) fn of_instance(instance: &Instance, world: &World) -> LaunchData {
    let group = |name: &String| GroupId::new(groups::id_of(world, name)?).ok();
    let own = instance.tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    let tags: BTreeMap<String, String> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    LaunchData {
        image: Some(instance.image.clone()),
        instance_type: Some(instance.instance_type.clone()),
        key_name: instance.key_name.clone(),
        group_names: Vec::new(),
        group_ids: instance.groups.iter().filter_map(group).collect(),
        user_data: instance.user_data.clone(),
        zone: Some(instance.zone.clone()),
        shutdown: Some(instance.shutdown),
        termination_protected: Some(instance.termination_protected),
        stop_protected: Some(instance.stop_protected),
        tags: if tags.is_empty() { BTreeMap::new() } else { BTreeMap::from([(INSTANCE.to_owned(), tags)]) },
        recorded: BTreeMap::new(),
    }
}

/// A type's name.
pub(super) fn instance_type(text: String) -> Result<String, Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    if text.len() > 64 || !text.bytes().all(good) || !text.contains('.') {
        return Err(words::bad_value("InstanceType", &text, "Write it like m1.small"));
    }
    Ok(text)
}

/// User data as they are kept.
pub(super) fn user_data(raw: &[u8]) -> Result<String, Error> {
    if raw.len() > MOST_USER_DATA {
        return Err(Error::invalid_parameter(format!("User data is limited to {MOST_USER_DATA} bytes")));
    }
    Ok(STANDARD.encode(raw))
}

/// boto 2's `launch_instance` says `save` for keeping the instance's disk, which stopping does.
pub(super) fn shutdown(stated: &str) -> Result<ShutdownBehavior, Error> {
    match stated {
        "" | "stop" | "save" => Ok(ShutdownBehavior::Stop),
        "terminate" => Ok(ShutdownBehavior::Terminate),
        other => Err(words::bad_value("instanceInitiatedShutdownBehavior", other, "It is stop or terminate")),
    }
}

fn behavior_name(behavior: ShutdownBehavior) -> &'static str {
    match behavior {
        ShutdownBehavior::Stop => "stop",
        ShutdownBehavior::Terminate => "terminate",
    }
}

fn refuse_profile(profile: Option<&ec2::IamInstanceProfileSpecification>) -> Result<(), Error> {
    match profile.and_then(|p| p.name.as_ref().or(p.arn.as_ref())).filter(|name| !name.is_empty()) {
        Some(name) => Err(words::bad_value("iamInstanceProfile.name", name, "Invalid IAM Instance Profile name")),
        None => Ok(()),
    }
}

fn text(stated: Option<String>) -> Option<String> {
    stated.filter(|text| !text.is_empty())
}

fn key_name(stated: Option<String>) -> Result<Option<String>, Error> {
    match text(stated) {
        Some(name) if name.chars().count() > MOST_KEY_NAME => {
            Err(words::bad_value("KeyName", &name, &format!("It must be at most {MOST_KEY_NAME} characters")))
        }
        name => Ok(name),
    }
}

fn group_ids(texts: &[String]) -> Result<Vec<GroupId>, Error> {
    texts.iter().filter(|text| !text.is_empty()).map(|text| groups::group_id(text)).collect()
}

/// Tags by the kind of thing that they are for; those of a kind that stands twice come together.
fn tags_by_kind(
    specifications: Vec<ec2::TagSpecification>,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let mut by_kind: BTreeMap<String, Vec<ec2::Tag>> = BTreeMap::new();
    for ec2::TagSpecification { resource_type, tags } in specifications {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=64).contains(&resource_type.len()) || !resource_type.bytes().all(good) {
            let text = format!("'{}' is not a valid taggable resource type.", words::quoted(&resource_type));
            return Err(Error::invalid_parameter(text));
        }
        by_kind.entry(resource_type).or_default().extend(tags);
    }
    if by_kind.len() > MOST_KINDS {
        return Err(Error::invalid_parameter(format!("Tags for at most {MOST_KINDS} resource types may be specified")));
    }
    by_kind.into_iter().map(|(kind, tags)| Ok((kind, tags::of_thing(tags)?))).collect()
}

/// What has no effect, member by member.
fn recorded(shown: ec2::LaunchTemplateDataShown) -> Result<BTreeMap<String, Arc<str>>, Error> {
    let Value::Object(members) = serde_json::to_value(shown).map_err(unreadable)? else {
        return Ok(BTreeMap::new());
    };
    let mut recorded = BTreeMap::new();
    for (name, value) in members {
        if let Some(value) = without_nulls(value) {
            recorded.insert(name, Arc::from(value.to_string()));
        }
    }
    let size: usize = recorded.values().map(|json: &Arc<str>| json.len()).sum();
    if size > MOST_RECORDED {
        let text = format!("The launch template's data are limited to {MOST_RECORDED} bytes beside the user data.");
        return Err(Error::invalid_parameter(text));
    }
    Ok(recorded)
}

/// A value without members that say nothing; `None` where it says nothing itself. A list says something, be it empty.
fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(members) => {
            let members: Map<String, Value> =
                members.into_iter().filter_map(|(name, value)| Some((name, without_nulls(value)?))).collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        Value::Array(list) => Some(Value::Array(list.into_iter().filter_map(without_nulls).collect())),
        value => Some(value),
    }
}

fn unreadable(bad: serde_json::Error) -> Error {
    Error::receiver("InternalError", format!("The launch template's data cannot be read: {bad}"))
}
