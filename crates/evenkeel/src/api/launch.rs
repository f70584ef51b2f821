//! RunInstances: what a launch may ask for, and what it cannot have here.
//!
//! Owns EC2's defaults and the reading of every parameter. What Evenkeel does not have (launch templates, instance
//! profiles) is refused rather than ignored; block devices and monitoring are accepted and have no effect. Next:
//! [`super::instances`].

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::{Change, NewInstances, Reply};
use evenkeel_core::name::{InstanceId, ReservationId};
use evenkeel_core::noun::{Instance, InstanceState, ShutdownBehavior};
use evenkeel_core::refusal::Refusal;

use super::dice::hex;
use super::subnets::zone_of;
use super::{Asked, dice, groups, refusal, shown, tags, vpcs, words};

/// AWS's default, which book-era tools also send unasked.
const DEFAULT_TYPE: &str = "m1.small";

/// Bytes of user data before base64 (AWS).
const MOST_USER_DATA: usize = 16 * 1024;

/// Characters of a client token (AWS).
const MOST_TOKEN: usize = 64;

/// Characters of a key pair's name (AWS).
const MOST_KEY_NAME: usize = 255;

pub(super) async fn run(asked: &Asked<'_>, input: ec2::RunInstances) -> Result<ec2::Reservation, Error> {
    refuse_what_is_not_here(&input)?;
    let (least, most) = counts(asked, input.min_count, input.max_count)?;
    let text = input.image_id.as_deref().filter(|id| !id.is_empty()).ok_or_else(|| words::missing("ImageId"))?;
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
    let new = NewInstances {
        reservation: reservation()?,
        ids: Vec::new(),
        min_count: least,
        image: words::image(text)?,
        zone: zone.map(|zone| words::zone(&zone)).transpose()?,
        instance_type: instance_type(input.instance_type)?,
        key_name: key_name(input.key_name)?,
        groups: groups::of_launch(asked, input.security_groups, input.security_group_ids)?,
        user_data: input.user_data.map(|data| user_data(&data.0)).transpose()?.filter(|data| !data.is_empty()),
        client_token: client_token(input.client_token)?,
        shutdown: shutdown(input.instance_initiated_shutdown_behavior.as_deref())?,
        termination_protected: input.disable_api_termination == Some(true),
        stop_protected: input.disable_api_stop == Some(true),
        asked_for: None,
        tags: tags::specified(input.tag_specifications, "instance")?,
    };
    let asked_for = new.client_token.as_ref().map(|_| digest(&new, most)).transpose()?;
    let new = NewInstances { asked_for, ..new };
    let roll = || {
        let ids = (0..most).map(|_| instance_id()).collect::<Result<_, _>>()?;
        Ok(Change::RunInstances(NewInstances { reservation: reservation()?, ids, ..new.clone() }))
    };
    let reply = asked.ec2_rolled(input.dry_run, roll).await?;
    made(asked, reply)
}

/// A digest of all that a launch asks for, by which two with one token are told apart.
fn digest(new: &NewInstances, most: usize) -> Result<String, Error> {
    let how = (new.shutdown, new.termination_protected, new.stop_protected);
    let what = (new.min_count, most, &new.image, &new.zone, &new.instance_type, &new.key_name, &new.groups);
    let bytes = serde_json::to_vec(&(what, &new.user_data, how, &new.tags));
    let bytes = bytes.map_err(|bad| Error::receiver("InternalError", bad.to_string()))?;
    Ok(hex(digest::digest(&digest::SHA256, &bytes).as_ref()))
}

/// The reservation as it stands after the launch, or as the first call with the same token left it.
fn made(asked: &Asked<'_>, reply: Reply) -> Result<ec2::Reservation, Error> {
    let world = asked.api.keeper.world();
    let mut instances: Vec<&Instance> = match &reply {
        Reply::Reservation(id) => world.instances().filter(|i| i.reservation == *id).map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    instances.sort_by_key(|i| i.launch_index);
    let reservations = shown::reservations(&instances, &world);
    reservations
        .into_iter()
        .next()
        .ok_or_else(|| Error::receiver("InternalError", "The reservation's instances are gone already"))
}

fn refuse_what_is_not_here(input: &ec2::RunInstances) -> Result<(), Error> {
    let unsupported = |text: &str| Err(Error::sender("UnsupportedOperation", text));
    if input.launch_template.is_some() {
        return unsupported("Launch templates are not supported here.");
    }
    if input.private_ip_address.as_ref().is_some_and(|address| !address.is_empty()) {
        return unsupported("A private address cannot be chosen here: every instance gets one from the pool.");
    }
    let profile = input.iam_instance_profile.as_ref();
    if let Some(name) = profile.and_then(|p| p.name.as_ref().or(p.arn.as_ref())).filter(|name| !name.is_empty()) {
        return Err(words::bad_value("iamInstanceProfile.name", name, "Invalid IAM Instance Profile name"));
    }
    Ok(())
}

/// The fewest and the most instances. No more than the node's limit are rolled for, however many are asked for.
fn counts(asked: &Asked<'_>, least: i64, most: i64) -> Result<(u32, usize), Error> {
    let positive = "Expecting a value greater than or equal to 1.";
    if least < 1 {
        return Err(words::bad_value("minCount", &least.to_string(), positive));
    }
    if most < 1 {
        return Err(words::bad_value("maxCount", &most.to_string(), positive));
    }
    if most < least {
        let text = format!("The parameter minCount ({least}) may not be greater than the parameter maxCount ({most}).");
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    let limit = asked.world.settings().limits.instances;
    let (wanted, most) = (usize::try_from(least).unwrap_or(usize::MAX), usize::try_from(most).unwrap_or(usize::MAX));
    match u32::try_from(least) {
        Ok(least) if wanted <= limit => Ok((least, most.min(limit))),
        _ => {
            let running = asked.world.instances().filter(|i| i.state != InstanceState::Terminated).count();
            Err(refusal::ec2(Refusal::InstanceLimit { wanted, running, limit }.into()))
        }
    }
}

pub(super) fn instance_type(stated: Option<String>) -> Result<String, Error> {
    let Some(text) = stated.filter(|text| !text.is_empty()) else { return Ok(DEFAULT_TYPE.to_owned()) };
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    if text.len() > 64 || !text.bytes().all(good) || !text.contains('.') {
        return Err(words::bad_value("InstanceType", &text, "Write it like m1.small"));
    }
    Ok(text)
}

fn key_name(stated: Option<String>) -> Result<Option<String>, Error> {
    match stated.filter(|name| !name.is_empty()) {
        Some(name) if name.chars().count() > MOST_KEY_NAME => {
            Err(words::bad_value("KeyName", &name, &format!("It must be at most {MOST_KEY_NAME} characters")))
        }
        name => Ok(name),
    }
}

pub(super) fn user_data(raw: &[u8]) -> Result<String, Error> {
    if raw.len() > MOST_USER_DATA {
        return Err(Error::invalid_parameter(format!("User data is limited to {MOST_USER_DATA} bytes")));
    }
    Ok(STANDARD.encode(raw))
}

fn client_token(stated: Option<String>) -> Result<Option<String>, Error> {
    match stated.filter(|token| !token.is_empty()) {
        Some(token) if token.chars().count() > MOST_TOKEN => {
            Err(words::bad_value("clientToken", &token, &format!("It must be at most {MOST_TOKEN} characters")))
        }
        token => Ok(token),
    }
}

/// boto 2's `launch_instance` says `save` for keeping the instance's disk, which stopping does.
pub(super) fn shutdown(stated: Option<&str>) -> Result<ShutdownBehavior, Error> {
    match stated {
        None | Some("" | "stop" | "save") => Ok(ShutdownBehavior::Stop),
        Some("terminate") => Ok(ShutdownBehavior::Terminate),
        Some(other) => Err(words::bad_value("instanceInitiatedShutdownBehavior", other, "It is stop or terminate")),
    }
}

fn reservation() -> Result<ReservationId, Error> {
    ReservationId::new(dice::id("r-")?).map_err(|bad| Error::receiver("InternalError", bad.to_string()))
}

fn instance_id() -> Result<InstanceId, Error> {
    InstanceId::new(dice::id("i-")?).map_err(|bad| Error::receiver("InternalError", bad.to_string()))
}
