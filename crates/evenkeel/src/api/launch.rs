//! RunInstances: what a launch may ask for, and what it cannot have here.
//!
//! Owns counts, tokens and the answer. What the call states is read by [`super::launch_data`]; what that comes to over a launch
//! template and what is usual is the World's to say. Next: [`super::instances`].

use aws_lc_rs::digest;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::{Change, NewInstances, Reply};
use evenkeel_core::name::{InstanceId, ReservationId};
use evenkeel_core::noun::{Instance, InstanceState};
use evenkeel_core::refusal::Refusal;

use super::dice::hex;
use super::{Asked, dice, launch_data, launch_templates, refusal, shown, words};

/// Characters of a client token (AWS).
const MOST_TOKEN: usize = 64;

pub(super) async fn run(asked: &Asked<'_>, mut input: ec2::RunInstances) -> Result<ec2::Reservation, Error> {
    if input.private_ip_address.as_ref().is_some_and(|address| !address.is_empty()) {
        let text = "A private address cannot be chosen here: every instance gets one from the pool.";
        return Err(Error::sender("UnsupportedOperation", text));
    }
    let (least, most) = counts(asked, input.min_count, input.max_count)?;
    let (dry_run, client_token) = (input.dry_run, client_token(input.client_token.take())?);
    let template = input.launch_template.take().map(|stated| launch_templates::specification(&stated)).transpose()?;
    let stated = launch_data::of_call(asked, input)?;
    let launch = asked.world.launch_parameters(stated, template.as_ref());
    let launch = launch.map_err(|refusal| refusal::ec2(refusal.into()))?;
    let new = NewInstances { client_token, ..launch.instances(reservation()?, Vec::new(), least) };
    let asked_for = new.client_token.as_ref().map(|_| digest(&new, most)).transpose()?;
    let new = NewInstances { asked_for, ..new };
    let roll = || {
        let ids = (0..most).map(|_| instance_id()).collect::<Result<_, _>>()?;
        Ok(Change::RunInstances(NewInstances { reservation: reservation()?, ids, ..new.clone() }))
    };
    let reply = asked.ec2_rolled(dry_run, roll).await?;
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

fn client_token(stated: Option<String>) -> Result<Option<String>, Error> {
    match stated.filter(|token| !token.is_empty()) {
        Some(token) if token.chars().count() > MOST_TOKEN => {
            Err(words::bad_value("clientToken", &token, &format!("It must be at most {MOST_TOKEN} characters")))
        }
        token => Ok(token),
    }
}

fn reservation() -> Result<ReservationId, Error> {
    ReservationId::new(dice::id("r-")?).map_err(|bad| Error::receiver("InternalError", bad.to_string()))
}

fn instance_id() -> Result<InstanceId, Error> {
    InstanceId::new(dice::id("i-")?).map_err(|bad| Error::receiver("InternalError", bad.to_string()))
}
