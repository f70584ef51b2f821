//! Load balancer attributes: always described in full, changed in part.
//!
//! A block that a call does not state stays as it is, and is not echoed. Limits are the World's.

use std::time::Duration;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::{AttributesPatch, Change, LogPatch};
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::noun::balancing::{BadSetting, PREFIX};
use evenkeel_core::noun::{DesyncMode, Setting};
use evenkeel_core::routes::AccessLogRoute;

use super::{Asked, balancers, words};

const DESYNC: &str = "elb.http.desyncmitigationmode";

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &elb::DescribeLoadBalancerAttributes,
) -> Result<elb::DescribeLoadBalancerAttributesOutput, Error> {
    let held = &balancers::existing(asked, &input.load_balancer_name)?.attributes;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    // AWS's own is always shown, ours where it was set.
    let ours = held.balancing.stated().into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), value));
    let all = [(DESYNC.to_owned(), desync_name(held.desync).to_owned())].into_iter().chain(ours);
    let additional = all.map(|(key, value)| elb::AdditionalAttribute { key, value }).collect();
    let load_balancer_attributes = elb::LoadBalancerAttributes {
        cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: held.cross_zone }),
        access_log: Some(elb::AccessLog {
            enabled: held.access_log.enabled,
            s3_bucket_name: held.access_log.bucket.clone(),
            emit_interval: Some(held.access_log.interval.into()),
            s3_bucket_prefix: held.access_log.bucket.as_ref().map(|_| held.access_log.prefix.clone()),
        }),
        connection_draining: Some(elb::ConnectionDraining {
            enabled: held.draining,
            timeout: Some(seconds(held.draining_timeout)),
        }),
        connection_settings: Some(elb::ConnectionSettings { idle_timeout: seconds(held.idle_timeout) }),
        additional_attributes: Some(Members(additional)),
    };
    Ok(elb::DescribeLoadBalancerAttributesOutput { load_balancer_attributes })
}

pub(super) async fn modify(
    asked: &Asked<'_>,
    input: elb::ModifyLoadBalancerAttributes,
) -> Result<elb::ModifyLoadBalancerAttributesOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let patch = patch(&input.load_balancer_attributes)?;
    if let Some(log) = patch.access_log.as_ref().filter(|log| log.enabled) {
        check_log(asked, &name, log).await?;
    }
    asked.elb(Change::ModifyAttributes { name, patch }).await?;
    Ok(elb::ModifyLoadBalancerAttributesOutput {
        load_balancer_name: input.load_balancer_name,
        load_balancer_attributes: input.load_balancer_attributes,
    })
}

fn patch(stated: &elb::LoadBalancerAttributes) -> Result<AttributesPatch, Error> {
    // Negative numbers are outside the limits as 0 is: the World refuses it.
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    let mut patch = AttributesPatch {
        cross_zone: stated.cross_zone_load_balancing.as_ref().map(|block| block.enabled),
        draining: stated.connection_draining.as_ref().map(|block| block.enabled),
        draining_timeout: stated.connection_draining.as_ref().and_then(|block| block.timeout).map(seconds),
        idle_timeout: stated.connection_settings.as_ref().map(|block| seconds(block.idle_timeout)),
        desync: None,
        balancing: Vec::new(),
        access_log: stated.access_log.as_ref().map(log_patch),
    };
    for attribute in stated.additional_attributes.iter().flatten() {
        if attribute.key == DESYNC {
            patch.desync = Some(desync(&attribute.value)?);
        } else {
            patch.balancing.push(setting(&attribute.key, &attribute.value)?);
        }
    }
    Ok(patch)
}

/// A log is switched on only where it can be written. What is no bucket or prefix at all is the World's to refuse.
async fn check_log(asked: &Asked<'_>, name: &LoadBalancerName, log: &LogPatch) -> Result<(), Error> {
    let (Some(check), Some(lb)) = (asked.api.log_check.clone(), asked.world.load_balancer(name)) else { return Ok(()) };
    let held = &lb.attributes.access_log;
    let Some(bucket) = log.bucket.clone().or_else(|| held.bucket.clone()) else { return Ok(()) };
    let settings = asked.world.settings();
    let route = AccessLogRoute {
        bucket: bucket.clone(),
        prefix: log.prefix.as_ref().unwrap_or(&held.prefix).trim_end_matches('/').to_owned(),
        minutes: log.interval.unwrap_or(held.interval),
        account: settings.account.clone(),
        region: settings.region.clone(),
    };
    let name = name.clone();
    let checked = tokio::task::spawn_blocking(move || check(&route, &name)).await;
    let why = match checked {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(why)) => why,
        Err(error) => error.to_string(),
    };
    let bucket = words::quoted(&bucket);
    let text = format!("Access Denied for bucket: {bucket}. Please check S3bucket permission: failed to {why}");
    Err(Error::sender("InvalidConfigurationRequest", text).with_status(409))
}

fn log_patch(stated: &elb::AccessLog) -> LogPatch {
    let text = |stated: &Option<String>| stated.clone().filter(|text| !text.is_empty());
    LogPatch {
        enabled: stated.enabled,
        bucket: text(&stated.s3_bucket_name),
        prefix: stated.s3_bucket_prefix.clone(),
        // What does not fit its type is no interval, as 0 is: the World refuses it.
        interval: stated.emit_interval.map(|minutes| u16::try_from(minutes).unwrap_or(0)),
    }
}

/// One of ours: `evenkeel.balance.` and a key.
fn setting(key: &str, value: &str) -> Result<Setting, Error> {
    let parsed = key.strip_prefix(PREFIX).ok_or(BadSetting::Unknown).and_then(|own| Setting::parse(own, value));
    parsed.map_err(|bad| match bad {
        BadSetting::Unknown => {
            let text = format!("The load balancer attribute '{}' does not exist", words::quoted(key));
            Error::sender("LoadBalancerAttributeNotFound", text)
        }
        BadSetting::Rule(rule) => {
            let text = format!("{key} must be {rule}, and is '{}'", words::quoted(value));
            Error::sender("InvalidConfigurationRequest", text).with_status(409)
        }
    })
}

fn desync(value: &str) -> Result<DesyncMode, Error> {
    [DesyncMode::Monitor, DesyncMode::Defensive, DesyncMode::Strictest]
        .into_iter()
        .find(|mode| desync_name(*mode) == value)
        .ok_or_else(|| {
            let value = words::quoted(value);
            let text = format!("{DESYNC} must be monitor, defensive or strictest, and is '{value}'");
            Error::sender("InvalidConfigurationRequest", text).with_status(409)
        })
}

fn desync_name(mode: DesyncMode) -> &'static str {
    match mode {
        DesyncMode::Monitor => "monitor",
        DesyncMode::Defensive => "defensive",
        DesyncMode::Strictest => "strictest",
    }
}
