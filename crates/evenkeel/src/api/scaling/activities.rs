//! Scaling activities: what groups did, and why.

use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::noun::Activity;

use super::super::Asked;
use super::super::page::Page;
use super::{at_most, group, shown};

/// The newest first, those under way before all; of groups that are gone only where it is asked for.
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeScalingActivities,
) -> Result<wire::DescribeScalingActivitiesOutput, Error> {
    let ids = &input.activity_ids;
    at_most(ids.len(), 50, "activityIds")?;
    let page = Page::autoscaling("activities", input.max_records, input.next_token.as_deref())?;
    let name = shown::given(input.auto_scaling_group_name.clone()).map(|name| group(&name)).transpose()?;
    let with_gone = input.include_deleted_groups == Some(true);
    if let Some(name) = name.as_ref().filter(|_| !with_gone) {
        super::groups::existing(asked, name)?;
    }
    let lives = |held: &Activity| asked.world.scaling_group(&held.group).is_some_and(|group| group.id == held.group_id);
    let chosen = |held: &&Activity| {
        name.as_ref().is_none_or(|name| held.group == *name)
            && (ids.is_empty() || ids.iter().any(|id| id == held.id.as_str()))
            && (with_gone || lives(held))
    };
    let mut all: Vec<&Activity> = asked.world.activities().map(AsRef::as_ref).filter(chosen).collect();
    all.sort_by_cached_key(|held| place(held));
    let (held, next_token) = page.cut(all, |held| place(held));
    let activities = held.into_iter().map(|held| shown::activity(&asked.world, held)).collect();
    Ok(wire::DescribeScalingActivitiesOutput { activities, next_token })
}

/// Where it stands in the list.
fn place(held: &Activity) -> String {
    let age = u64::MAX - held.started.0;
    format!("{} {age:020} {}", u8::from(held.status.is_over()), held.id)
}
