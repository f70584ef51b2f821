//! DescribeInstanceAttribute: what EC2 tells of an instance one attribute at a time; its user data are told nowhere else.
//!
//! Whoever asks is told what the instance was told, secrets among it: the right to ask is on the instance itself, as in AWS.
//! Next: [`super::instances`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::blob::Blob;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::noun::{Instance, ShutdownBehavior};

use super::{Asked, shown, words};

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
        "disableApiStop" => output.disable_api_stop = flag(false),
        "instanceInitiatedShutdownBehavior" => {
            output.instance_initiated_shutdown_behavior = text(match instance.shutdown {
                ShutdownBehavior::Stop => "stop",
                ShutdownBehavior::Terminate => "terminate",
            });
        }
        "rootDeviceName" => output.root_device_name = text(shown::ROOT_DEVICE),
        "blockDeviceMapping" => output.block_device_mapping = Some(Vec::new().into()),
        "productCodes" => output.product_codes = Some(Vec::new().into()),
        "sourceDestCheck" => output.source_dest_check = flag(true),
        "groupSet" => output.group_set = Some(shown::groups_of(instance, &asked.world).into()),
        "ebsOptimized" => output.ebs_optimized = flag(false),
        other => return Err(words::bad_value("attribute", other, "Unknown attribute.")),
    }
    words::unless_dry_run(input.dry_run)?;
    Ok(output)
}

fn user_data(instance: &Instance) -> Result<ec2::BlobValue, Error> {
    let held = instance.user_data.as_ref().map(|text| STANDARD.decode(text)).transpose();
    let held = held.map_err(|_| Error::receiver("InternalError", "The user data are not base64"))?;
    Ok(ec2::BlobValue { value: held.map(Blob) })
}
