//! Attributes of instances, one at a time: told, set, set back. An instance's user data are told nowhere else.
//!
//! Whoever asks is told what the instance was told, secrets among it: the right to ask is on the instance itself, as in AWS. What
//! means nothing here (kernels, volumes) is told as nothing, and refused where it is set. Next: [`super::instances`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::blob::Blob;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::{Change, InstanceAttribute};
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::{Instance, ShutdownBehavior};

use super::{Asked, groups, launch_data, shown, words};

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeInstanceAttribute,
) -> Result<ec2::DescribeInstanceAttributeOutput, Error> {
    let id = words::instance(&input.instance_id)?;
    let attribute = input.attribute.as_deref().ok_or_else(|| words::missing("attribute"))?;
    let Some(instance) = asked.world.instance(&id) else { return Err(words::no_instances(vec![id])) };
    let mut output = ec2::DescribeInstanceAttributeOutput { instance_id: id.into(), ..Default::default() };
    let flag = |value: bool| Some(ec2::BooleanValue { value });
    let text = |value: &str| Some(ec2::TextValue { value: Some(value.to_owned()) });
    match attribute {
        "instanceType" => output.instance_type = text(&instance.instance_type),
        "kernel" => output.kernel = Some(ec2::TextValue::default()),
        "ramdisk" => output.ramdisk = Some(ec2::TextValue::default()),
        "userData" => output.user_data = Some(user_data(instance)?),
        "disableApiTermination" => output.disable_api_termination = flag(instance.termination_protected),
        "disableApiStop" => output.disable_api_stop = flag(instance.stop_protected),
        "instanceInitiatedShutdownBehavior" => {
            output.instance_initiated_shutdown_behavior = text(match instance.shutdown {
                ShutdownBehavior::Stop => "stop",
                ShutdownBehavior::Terminate => "terminate",
            });
        }
        "rootDeviceName" => output.root_device_name = text(shown::ROOT_DEVICE),
        "blockDeviceMapping" => output.block_device_mapping = Some(Vec::new().into()),
        "productCodes" => output.product_codes = Some(Vec::new().into()),
        "sourceDestCheck" => output.source_dest_check = flag(instance.source_dest_check),
        "groupSet" => output.group_set = Some(shown::groups_of(instance, &asked.world).into()),
        "ebsOptimized" => output.ebs_optimized = flag(false),
        "sriovNetSupport" => output.sriov_net_support = Some(ec2::TextValue::default()),
        "enclaveOptions" => output.enclave_options = Some(ec2::EnclaveOptions::default()),
        other => return Err(words::bad_value("attribute", other, "Unknown attribute.")),
    }
    words::unless_dry_run(input.dry_run)?;
    Ok(output)
}

/// What a call is to set: an attribute by EC2's name, and what that means for the record. `None`: nothing, as it is so for every
/// instance.
struct Wanted(&'static str, Option<InstanceAttribute>);

pub(super) async fn modify(asked: &Asked<'_>, input: ec2::ModifyInstanceAttribute) -> Result<ec2::Done, Error> {
    let instance = words::instance(&input.instance_id)?;
    let dry_run = input.dry_run;
    let mut wanted = wanted(asked, input)?;
    if wanted.len() > 1 {
        let names: Vec<&str> = wanted.iter().map(|Wanted(name, _)| *name).collect();
        let text = format!("Fields for multiple attribute types specified: {}", names.join(", "));
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    let Some(Wanted(_, attribute)) = wanted.pop() else {
        return Err(Error::sender("InvalidParameterCombination", "No attributes specified."));
    };
    set(asked, instance, attribute, dry_run).await
}

pub(super) async fn reset(asked: &Asked<'_>, input: &ec2::ResetInstanceAttribute) -> Result<ec2::Done, Error> {
    let instance = words::instance(&input.instance_id)?;
    let attribute = match input.attribute.as_deref().ok_or_else(|| words::missing("attribute"))? {
        // Every instance has the node's.
        "kernel" | "ramdisk" => None,
        "sourceDestCheck" => Some(InstanceAttribute::SourceDestCheck(true)),
        other => {
            let why = "It must be kernel, ramdisk or sourceDestCheck.";
            return Err(words::bad_value("attribute", other, why));
        }
    };
    set(asked, instance, attribute, input.dry_run).await
}

async fn set(
    asked: &Asked<'_>,
    instance: InstanceId,
    attribute: Option<InstanceAttribute>,
    dry_run: Option<bool>,
) -> Result<ec2::Done, Error> {
    match attribute {
        Some(attribute) => drop(asked.ec2(Change::SetInstanceAttribute { instance, attribute }, dry_run).await?),
        None if asked.world.instance(&instance).is_none() => return Err(words::no_instances(vec![instance])),
        None => words::unless_dry_run(dry_run)?,
    }
    Ok(ec2::Done::default())
}

/// What a call states, each by a parameter of its own or all in `Attribute` and `Value`.
fn wanted(asked: &Asked<'_>, input: ec2::ModifyInstanceAttribute) -> Result<Vec<Wanted>, Error> {
    use InstanceAttribute as A;
    let input = by_name(input)?;
    let text = |stated: Option<ec2::TextStated>| stated.and_then(|stated| stated.value);
    let flag = |stated: Option<ec2::BooleanStated>| stated.and_then(|stated| stated.value);
    let mut found = Vec::new();
    if let Some(value) = flag(input.disable_api_termination) {
        found.push(Wanted("disableApiTermination", Some(A::TerminationProtected(value))));
    }
    if let Some(value) = flag(input.disable_api_stop) {
        found.push(Wanted("disableApiStop", Some(A::StopProtected(value))));
    }
    if let Some(value) = flag(input.source_dest_check) {
        found.push(Wanted("sourceDestCheck", Some(A::SourceDestCheck(value))));
    }
    if let Some(value) = text(input.instance_initiated_shutdown_behavior) {
        let behavior = launch_data::shutdown(&value)?;
        found.push(Wanted("instanceInitiatedShutdownBehavior", Some(A::Shutdown(behavior))));
    }
    if let Some(Blob(bytes)) = input.user_data.and_then(|stated| stated.value) {
        let text = Some(launch_data::user_data(&bytes)?).filter(|text| !text.is_empty());
        found.push(Wanted("userData", Some(A::UserData(text))));
    }
    if let Some(value) = text(input.instance_type).filter(|text| !text.is_empty()) {
        found.push(Wanted("instanceType", Some(A::Type(launch_data::instance_type(value)?))));
    }
    let ids: Vec<String> = input.group_ids.into_iter().filter(|id| !id.is_empty()).collect();
    if !ids.is_empty() {
        found.push(Wanted("groupSet", Some(A::Groups(groups::of_launch(asked, Vec::new(), ids)?))));
    }
    let unsupported = |text: &str| Err(Error::sender("UnsupportedOperation", text));
    if text(input.kernel).or(text(input.ramdisk)).is_some_and(|id| !id.is_empty()) {
        return unsupported("Instances run on the node's kernel, and cannot be given another one.");
    }
    if !input.block_device_mappings.is_empty() {
        return unsupported("Instances have a folder of the node's disk, not volumes.");
    }
    if text(input.sriov_net_support).is_some_and(|text| !text.is_empty()) {
        return unsupported("Instances have no network adapters of their own.");
    }
    for (name, stated) in [("ebsOptimized", flag(input.ebs_optimized)), ("enaSupport", flag(input.ena_support))] {
        match stated {
            Some(true) => return unsupported("Instances have neither volumes nor network adapters of their own."),
            Some(false) => found.push(Wanted(name, None)),
            None => {}
        }
    }
    Ok(found)
}

/// The same call with what it states by `Attribute` and `Value` in the parameter of that name.
fn by_name(mut input: ec2::ModifyInstanceAttribute) -> Result<ec2::ModifyInstanceAttribute, Error> {
    let Some(name) = input.attribute.take().filter(|name| !name.is_empty()) else { return Ok(input) };
    // Beside a parameter of its own it only says what that is.
    let Some(value) = input.value.take() else { return Ok(input) };
    let text = || Some(ec2::TextStated { value: Some(value.clone()) });
    let flag = || match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Some(ec2::BooleanStated { value: Some(true) })),
        "false" | "0" => Ok(Some(ec2::BooleanStated { value: Some(false) })),
        _ => Err(words::bad_value("value", &value, "It must be true or false.")),
    };
    match name.as_str() {
        "instanceType" => input.instance_type = text(),
        "kernel" => input.kernel = text(),
        "ramdisk" => input.ramdisk = text(),
        "userData" => {
            let value = serde_json::from_value::<Blob>(value.clone().into());
            let bytes = value.map_err(|_| words::bad_value("value", "…", "Invalid BASE64 encoding of user data"))?;
            input.user_data = Some(ec2::BlobStated { value: Some(bytes) });
        }
        "disableApiTermination" => input.disable_api_termination = flag()?,
        "disableApiStop" => input.disable_api_stop = flag()?,
        "instanceInitiatedShutdownBehavior" => input.instance_initiated_shutdown_behavior = text(),
        "sourceDestCheck" => input.source_dest_check = flag()?,
        "ebsOptimized" => input.ebs_optimized = flag()?,
        "enaSupport" => input.ena_support = flag()?,
        "sriovNetSupport" => input.sriov_net_support = text(),
        "groupSet" => input.group_ids = vec![value],
        other => return Err(words::bad_value("attribute", other, "It is no attribute that can be set.")),
    }
    Ok(input)
}

fn user_data(instance: &Instance) -> Result<ec2::BlobValue, Error> {
    let held = instance.user_data.as_ref().map(|text| STANDARD.decode(text)).transpose();
    let held = held.map_err(|_| Error::receiver("InternalError", "The user data are not base64"))?;
    Ok(ec2::BlobValue { value: held.map(Blob) })
}
