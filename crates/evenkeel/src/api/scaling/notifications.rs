//! Topics that groups tell of their activities: named, shown, taken off.
//!
//! Owns AWS's words for what is told of. When it is told is the World's, the messages' texts are the loop's
//! ([`crate::loops::groups`]).

use std::collections::BTreeSet;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::ScalingChange;
use evenkeel_core::name::TopicArn;
use evenkeel_core::noun::NotificationType;

use super::super::page::Page;
use super::super::{Asked, words};
use super::{at_most, group};

pub(in super::super) async fn put(
    asked: &Asked<'_>,
    input: &wire::PutNotificationConfiguration,
) -> Result<wire::PutNotificationConfigurationOutput, Error> {
    let (group, topic) = (group(&input.auto_scaling_group_name)?, topic(&input.topic_arn)?);
    let kinds = kinds(&input.notification_types)?;
    if kinds.is_empty() {
        return Err(Error::validation("NotificationTypes must name at least one"));
    }
    asked.scale(ScalingChange::PutNotifications { group, topic, kinds }).await?;
    Ok(wire::PutNotificationConfigurationOutput {})
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeleteNotificationConfiguration,
) -> Result<wire::DeleteNotificationConfigurationOutput, Error> {
    let (group, topic) = (group(&input.auto_scaling_group_name)?, topic(&input.topic_arn)?);
    asked.scale(ScalingChange::DeleteNotifications { group, topic }).await?;
    Ok(wire::DeleteNotificationConfigurationOutput {})
}

pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeNotificationConfigurations,
) -> Result<wire::DescribeNotificationConfigurationsOutput, Error> {
    at_most(input.auto_scaling_group_names.len(), 1_600, "autoScalingGroupNames")?;
    let page = Page::autoscaling("notifications", input.max_records, input.next_token.as_deref())?;
    let names = &input.auto_scaling_group_names;
    let chosen = asked
        .world
        .scaling_groups()
        .filter(|group| names.is_empty() || names.iter().any(|name| name == group.name.as_str()))
        .flat_map(|group| group.notifications.iter().map(move |(topic, kinds)| (group, topic, kinds)))
        .flat_map(|(group, topic, kinds)| kinds.iter().map(move |kind| (group, topic, *kind)));
    let (held, next_token) =
        page.cut(chosen, |(group, topic, kind)| format!("{}\n{topic}\n{}", group.name, kind.as_str()));
    let shown = |(group, topic, kind): (
        &std::sync::Arc<evenkeel_core::noun::AutoScalingGroup>,
        &TopicArn,
        NotificationType,
    )| {
        wire::NotificationConfiguration {
            auto_scaling_group_name: Some(group.name.to_string()),
            topic_arn: Some(topic.to_string()),
            notification_type: Some(kind.as_str().to_owned()),
        }
    };
    Ok(wire::DescribeNotificationConfigurationsOutput {
        notification_configurations: held.into_iter().map(shown).collect(),
        next_token,
    })
}

pub(in super::super) fn types() -> wire::DescribeAutoScalingNotificationTypesOutput {
    let types = NotificationType::ALL.map(|kind| kind.as_str().to_owned());
    wire::DescribeAutoScalingNotificationTypesOutput { auto_scaling_notification_types: types.into_iter().collect() }
}

fn kinds(stated: &Members<String>) -> Result<BTreeSet<NotificationType>, Error> {
    let named = |name: &String| {
        NotificationType::named(name).ok_or_else(|| {
            let known = NotificationType::ALL.map(NotificationType::as_str).join(", ");
            Error::validation(format!("{} is not a valid Notification Type: there are {known}", words::quoted(name)))
        })
    };
    stated.iter().map(named).collect()
}

/// A topic as stated: other targets of AWS's are not here.
pub(super) fn topic(text: &str) -> Result<TopicArn, Error> {
    TopicArn::new(text).map_err(|_| {
        Error::validation(format!(
            "Invalid notification target {}: it must be the ARN of an SNS topic",
            words::quoted(text)
        ))
    })
}
