//! What the subscribers of a group's topics read: Auto Scaling's JSON.
//!
//! Owns it, field by field as AWS has them. A message's id follows from what it tells, so that the same message has the same one
//! whoever writes it. Source: Auto Scaling user guide, "Amazon SNS notification messages" and "Lifecycle hook notifications".

use std::collections::BTreeMap;

use evenkeel_core::noun::group_notice::PoolPassage;
use evenkeel_core::noun::scaling_group::Transition;
use evenkeel_core::noun::{AutoScalingGroup, GroupNotice, GroupTold, NotificationType};
use evenkeel_core::world::World;
use serde_json::{Value, json};

use crate::notices::{Kind, Notice, id_of};

/// Who says so.
const SERVICE: &str = "AWS Auto Scaling";

/// The id of the message of a notice: the same for the same notice of the same group.
#[must_use]
pub fn id(group: &AutoScalingGroup, notice: &GroupNotice) -> String {
    id_of(&format!("{}\n{}\n{}", group.id, notice.number, notice.at.0))
}

/// What the subscribers of a topic are told; `None` where what it tells of is known no more.
#[must_use]
pub fn notice(world: &World, group: &AutoScalingGroup, notice: &GroupNotice, base: &str) -> Option<Notice> {
    let id = id(group, notice);
    let (subject, text) = match &notice.told {
        GroupTold::Test { hook } => {
            let mut text = about(world, group, notice, &id);
            text["Event"] = json!(NotificationType::Test.as_str());
            if let Some(hook) = hook {
                text["LifecycleHookName"] = json!(hook.as_str());
            }
            (format!("Auto Scaling: test notification for group \"{}\"", group.name), text)
        }
        GroupTold::Activity { event, activity } => {
            let activity = world.activity(activity)?;
            let mut text = about(world, group, notice, &id);
            let time = |at: evenkeel_core::time::Timestamp| json!(at.iso());
            text["Event"] = json!(event.as_str());
            text["ActivityId"] = json!(activity.id.as_str());
            text["Description"] = json!(activity.description);
            text["Cause"] = json!(activity.cause);
            text["StartTime"] = time(activity.started);
            text["EndTime"] = time(activity.ended.unwrap_or(notice.at));
            // Of what went well AWS says that it is under way, half done, when it is over.
            let well = activity.status == evenkeel_core::noun::ActivityStatus::Successful;
            text["StatusCode"] = json!(if well { "InProgress" } else { activity.status.as_str() });
            text["Progress"] = json!(if well { 50 } else { 100 });
            text["StatusMessage"] = json!(activity.message.as_deref().unwrap_or_default());
            text["EC2InstanceId"] = json!(activity.instance.as_ref().map_or("", |id| id.as_str()));
            let zone = activity.zone.as_ref().map_or("", |zone| zone.as_str());
            text["Details"] = json!({ "Availability Zone": zone });
            let what = match event {
                NotificationType::Launch => "launch",
                NotificationType::LaunchError => "failed launch",
                NotificationType::Terminate => "termination",
                NotificationType::TerminateError => "failed termination",
                NotificationType::Test => "test notification",
            };
            (format!("Auto Scaling: {what} for group \"{}\"", group.name), text)
        }
        GroupTold::Wait { instance, hook, transition, token, metadata, pool } => {
            let mut text = about(world, group, notice, &id);
            let (from, to) = match (transition, pool) {
                (Transition::Launching, None) => ("EC2", "AutoScalingGroup"),
                (Transition::Launching, Some(PoolPassage::In)) => ("EC2", "WarmPool"),
                (Transition::Launching, Some(PoolPassage::Out)) => ("WarmPool", "AutoScalingGroup"),
                (Transition::Terminating, None) => ("AutoScalingGroup", "EC2"),
                (Transition::Terminating, Some(PoolPassage::In)) => ("AutoScalingGroup", "WarmPool"),
                (Transition::Terminating, Some(PoolPassage::Out)) => ("WarmPool", "EC2"),
            };
            text["LifecycleHookName"] = json!(hook.as_str());
            text["LifecycleTransition"] = json!(transition.as_str());
            text["LifecycleActionToken"] = json!(token);
            text["EC2InstanceId"] = json!(instance.as_str());
            (text["Origin"], text["Destination"]) = (json!(from), json!(to));
            if let Some(metadata) = metadata {
                text["NotificationMetadata"] = json!(metadata);
            }
            (
                format!("Auto Scaling: Lifecycle action '{}' for instance {instance} in progress.", word(*transition)),
                text,
            )
        }
    };
    let told = world.subscriptions_of(&notice.topic).filter(|held| held.confirmed.is_some());
    Some(Notice {
        id,
        at: notice.at.0,
        kind: Kind::Notification,
        topic: notice.topic.to_string(),
        subject: Some(subject.chars().take(MOST_SUBJECT).collect()),
        text: text.to_string(),
        texts: BTreeMap::new(),
        attributes: BTreeMap::new(),
        base: base.to_owned(),
        to: told.map(|held| held.arn.to_string()).collect(),
        once: true,
    })
}

/// Characters of a subject (AWS).
const MOST_SUBJECT: usize = 100;

fn word(transition: Transition) -> &'static str {
    match transition {
        Transition::Launching => "LAUNCHING",
        Transition::Terminating => "TERMINATING",
    }
}

/// What every message has.
fn about(world: &World, group: &AutoScalingGroup, notice: &GroupNotice, id: &str) -> Value {
    let place = world.settings();
    json!({
        "Service": SERVICE,
        "Time": notice.at.iso(),
        "RequestId": id,
        "AccountId": place.account,
        "AutoScalingGroupName": group.name.as_str(),
        "AutoScalingGroupARN": group.arn(&place.region, &place.account),
    })
}
