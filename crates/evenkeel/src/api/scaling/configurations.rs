//! Launch configurations: made, shown, deleted.
//!
//! Owns their form on the wire. What EC2 has and Evenkeel does not (kernels, spot prices, instance profiles) is refused rather
//! than ignored; block devices are accepted and have no effect, as in a launch. Next: [`super::groups`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::ScalingChange;
use evenkeel_core::name::ImageId;
use evenkeel_core::noun::LaunchConfiguration;

use super::super::page::Page;
use super::super::{Asked, dice, groups as security_groups, launch_data, words};
use super::shown::given;
use super::{at_most, configuration, instance};

pub(in super::super) async fn create(
    asked: &Asked<'_>,
    input: wire::CreateLaunchConfiguration,
) -> Result<wire::CreateLaunchConfigurationOutput, Error> {
    refuse_what_is_not_here(&input)?;
    let name = configuration(&input.launch_configuration_name)?;
    // What is not stated is as with this instance.
    let like = match input.instance_id.as_deref().filter(|id| !id.is_empty()) {
        None => None,
        Some(text) => {
            let id = instance(text)?;
            let missing = || Error::validation(format!("The instance ID '{id}' does not exist"));
            Some(asked.world.instance(&id).ok_or_else(missing)?)
        }
    };
    let image = match given(input.image_id) {
        Some(text) => {
            ImageId::new(&text).map_err(|_| Error::validation(format!("Invalid id: \"{}\"", words::quoted(&text))))?
        }
        None => like.map(|like| like.image.clone()).ok_or_else(|| required("ImageId"))?,
    };
    let instance_type = match given(input.instance_type) {
        Some(text) => launch_data::instance_type(text).map_err(as_validation)?,
        None => like.map(|like| like.instance_type.clone()).ok_or_else(|| required("InstanceType"))?,
    };
    let stated: Vec<String> = input.security_groups.0.into_iter().filter(|text| !text.is_empty()).collect();
    let groups = match (stated.is_empty(), like) {
        (true, Some(like)) => like.groups.clone(),
        (true, None) => Vec::new(),
        (false, _) => {
            let (ids, names) = stated.iter().cloned().partition(|text| text.starts_with("sg-"));
            security_groups::of_launch(asked, names, ids).map_err(as_validation)?;
            stated
        }
    };
    let user_data = match given(input.user_data) {
        Some(text) => Some(user_data(&text)?),
        None => like.and_then(|like| like.user_data.clone()),
    };
    let key_name = given(input.key_name).or_else(|| like.and_then(|like| like.key_name.clone()));
    if key_name.as_ref().is_some_and(|key| key.chars().count() > 255) {
        return Err(Error::validation("KeyName must be at most 255 characters"));
    }
    let new = LaunchConfiguration {
        name,
        id: dice::uuid()?,
        created: asked.now,
        image,
        instance_type,
        key_name,
        groups,
        user_data,
        detailed_monitoring: input.instance_monitoring.and_then(|of| of.enabled).unwrap_or(true),
        ebs_optimized: input.ebs_optimized == Some(true),
        public_address: input.associate_public_ip_address,
    };
    asked.scale(ScalingChange::CreateLaunchConfiguration(new)).await?;
    Ok(wire::CreateLaunchConfigurationOutput {})
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeleteLaunchConfiguration,
) -> Result<wire::DeleteLaunchConfigurationOutput, Error> {
    let name = configuration(&input.launch_configuration_name)?;
    asked.scale(ScalingChange::DeleteLaunchConfiguration { name }).await?;
    Ok(wire::DeleteLaunchConfigurationOutput {})
}

/// Names that are not there are passed over, as in AWS.
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeLaunchConfigurations,
) -> Result<wire::DescribeLaunchConfigurationsOutput, Error> {
    let names = &input.launch_configuration_names;
    at_most(names.len(), 50, "launchConfigurationNames")?;
    let page = Page::autoscaling("configurations", input.max_records, input.next_token.as_deref())?;
    let chosen = |held: &&LaunchConfiguration| names.is_empty() || names.iter().any(|name| name == held.name.as_str());
    let all = asked.world.launch_configurations().map(AsRef::as_ref).filter(chosen);
    let (held, next_token) = page.cut(all, |held| held.name.to_string());
    let launch_configurations = held.into_iter().map(|held| shown(asked, held)).collect();
    Ok(wire::DescribeLaunchConfigurationsOutput { launch_configurations, next_token })
}

fn shown(asked: &Asked<'_>, held: &LaunchConfiguration) -> wire::LaunchConfiguration {
    let settings = asked.world.settings();
    wire::LaunchConfiguration {
        launch_configuration_name: held.name.to_string(),
        launch_configuration_arn: Some(held.arn(&settings.region, &settings.account)),
        image_id: held.image.to_string(),
        key_name: Some(held.key_name.clone().unwrap_or_default()),
        security_groups: held.groups.clone().into(),
        user_data: Some(held.user_data.clone().unwrap_or_default()),
        instance_type: held.instance_type.clone(),
        block_device_mappings: Vec::new().into(),
        instance_monitoring: Some(wire::InstanceMonitoring { enabled: Some(held.detailed_monitoring) }),
        created_time: words::wire_time(held.created),
        ebs_optimized: Some(held.ebs_optimized),
        associate_public_ip_address: held.public_address,
    }
}

fn refuse_what_is_not_here(input: &wire::CreateLaunchConfiguration) -> Result<(), Error> {
    let stated = [
        (&input.kernel_id, "KernelId"),
        (&input.ramdisk_id, "RamdiskId"),
        (&input.spot_price, "SpotPrice"),
        (&input.iam_instance_profile, "IamInstanceProfile"),
    ];
    for (value, name) in stated {
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            return Err(Error::validation(format!("{name} is not supported here")));
        }
    }
    match input.placement_tenancy.as_deref() {
        None | Some("" | "default") => Ok(()),
        Some(other) => {
            let other = words::quoted(other);
            Err(Error::validation(format!("PlacementTenancy {other} is not supported here: only default is")))
        }
    }
}

/// Base64 of at most as much as a launch takes.
fn user_data(text: &str) -> Result<String, Error> {
    let compact: String = text.split_whitespace().collect();
    let raw = STANDARD.decode(compact).map_err(|_| Error::validation("Invalid BASE64 encoding of user data"))?;
    launch_data::user_data(&raw).map_err(as_validation)
}

fn required(parameter: &str) -> Error {
    Error::validation(format!(
        "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters: {parameter} is missing"
    ))
}

/// What EC2 would say, under the code that Auto Scaling has for it.
fn as_validation(error: Error) -> Error {
    Error::validation(error.message)
}
