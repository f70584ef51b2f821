//! Instance refreshes: started, shown, called off, rolled back.
//!
//! Owns how preferences are read, and the words for what is waited for and what is held up. What follows what is the World's to say.

use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::{NewRefresh, ScalingChange};
use evenkeel_core::name::{AlarmName, AutoScalingGroupName};
use evenkeel_core::noun::instance_refresh::{ProtectedMembers, REFRESH_STAYS, StandbyMembers};
use evenkeel_core::noun::scaling_group::Process;
use evenkeel_core::noun::{
    AutoScalingGroup, InstanceRefresh, LaunchSource, LifecycleState, RefreshMark, RefreshPreferences, RefreshStatus,
};
use evenkeel_core::refusal::{BadScaling, Refusal};
use evenkeel_core::scaling::refresh::{Share, USUAL_LEAST};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::scaling::{progress, tally};

use super::super::page::Page;
use super::super::{Asked, dice, refusal, words};
use super::{at_most, group, number, seconds, shown};

/// Seconds of pause at a checkpoint when not stated (AWS).
const USUAL_DELAY: i64 = 3_600;
/// The longest pause, and the longest watch in the end, in seconds (AWS: two days).
const LONGEST_PAUSE: u32 = 172_800;

pub(in super::super) async fn start(
    asked: &Asked<'_>,
    input: wire::StartInstanceRefresh,
) -> Result<wire::StartInstanceRefreshOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    super::groups::existing(asked, &group)?;
    if input.strategy.as_deref().is_some_and(|stated| !stated.is_empty() && stated != "Rolling") {
        return Err(Error::validation("Strategy must be Rolling: instances here have no volumes to replace"));
    }
    let desired = input.desired_configuration.map(|stated| desired(asked, stated)).transpose()?;
    let preferences = preferences(input.preferences.unwrap_or_default())?;
    let id = dice::uuid()?;
    asked.scale(ScalingChange::StartRefresh(NewRefresh { group, id: id.clone(), desired, preferences })).await?;
    Ok(wire::StartInstanceRefreshOutput { instance_refresh_id: Some(id) })
}

pub(in super::super) async fn cancel(
    asked: &Asked<'_>,
    input: &wire::CancelInstanceRefresh,
) -> Result<wire::CancelInstanceRefreshOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let id = active(asked, &group)?;
    let waits = input.wait_for_transitioning_instances != Some(false);
    asked.scale(ScalingChange::CancelRefresh { group, waits }).await?;
    Ok(wire::CancelInstanceRefreshOutput { instance_refresh_id: Some(id) })
}

pub(in super::super) async fn roll_back(
    asked: &Asked<'_>,
    input: &wire::RollbackInstanceRefresh,
) -> Result<wire::RollbackInstanceRefreshOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let id = active(asked, &group)?;
    asked.scale(ScalingChange::RollBackRefresh { group }).await?;
    Ok(wire::RollbackInstanceRefreshOutput { instance_refresh_id: Some(id) })
}

/// The newest first.
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeInstanceRefreshes,
) -> Result<wire::DescribeInstanceRefreshesOutput, Error> {
    let ids = &input.instance_refresh_ids;
    at_most(ids.len(), 50, "instanceRefreshIds")?;
    let page = Page::autoscaling("refreshes", input.max_records, input.next_token.as_deref())?;
    let group = super::groups::existing(asked, &group(&input.auto_scaling_group_name)?)?;
    let chosen = |refresh: &&InstanceRefresh| {
        let is_known = refresh.ended.is_none_or(|at| asked.now.since(at) < REFRESH_STAYS);
        is_known && (ids.is_empty() || ids.contains(&refresh.id))
    };
    let all = group.refreshes.iter().rev().filter(chosen);
    let key = |refresh: &&InstanceRefresh| format!("{:020} {}", u64::MAX - refresh.started.0, refresh.id);
    let (held, next_token) = page.cut(all, key);
    let instance_refreshes = held.into_iter().map(|refresh| described(asked, group, refresh)).collect();
    Ok(wire::DescribeInstanceRefreshesOutput { instance_refreshes, next_token })
}

/// The id of the refresh that is under way.
fn active(asked: &Asked<'_>, name: &AutoScalingGroupName) -> Result<String, Error> {
    let none = || {
        let refusal: Refusal = BadScaling::NoRefresh(name.clone()).into();
        refusal::autoscaling(refusal.into())
    };
    super::groups::existing(asked, name)?.refresh().map(|refresh| refresh.id.clone()).ok_or_else(none)
}

fn desired(asked: &Asked<'_>, stated: wire::DesiredConfiguration) -> Result<LaunchSource, Error> {
    let mixed = stated.mixed_instances_policy;
    let mixes = mixed.as_ref().is_some_and(|policy| {
        policy.instances_distribution.is_some()
            || policy.launch_template.as_ref().is_some_and(|held| !held.overrides.is_empty())
    });
    if mixes {
        return Err(Error::validation(
            "MixedInstancesPolicy is not supported here but for its launch template: a group has instances of one kind",
        ));
    }
    let mixed = mixed.and_then(|policy| policy.launch_template?.launch_template_specification);
    let template = match (stated.launch_template, mixed) {
        (Some(_), Some(_)) => None,
        (one, other) => one.or(other),
    };
    let missing =
        || Error::validation("DesiredConfiguration must contain either a LaunchTemplate or a MixedInstancesPolicy");
    super::groups::source(asked, None, template.as_ref())?.ok_or_else(missing)
}

fn preferences(stated: wire::RefreshPreferences) -> Result<RefreshPreferences, Error> {
    let percent = |stated: Option<i64>, most, place| stated.map(|value| number(value, most, place)).transpose();
    let checkpoints: Vec<u32> = stated
        .checkpoint_percentages
        .iter()
        .flat_map(|all| all.iter())
        .map(|value| number(*value, 100, "checkpointPercentages"))
        .collect::<Result<_, _>>()?;
    if checkpoints.is_empty() && stated.checkpoint_delay.is_some() {
        return Err(Error::validation("If you specify CheckpointDelay, you must also specify CheckpointPercentages"));
    }
    let alarms = stated.alarm_specification.iter().flat_map(|held| held.alarms.iter());
    let alarm = |name: &String| {
        AlarmName::new(name).map_err(|bad| Error::validation(format!("AlarmSpecification: alarm name {}", bad.rule)))
    };
    Ok(RefreshPreferences {
        share: Share {
            least: percent(stated.min_healthy_percentage, 100, "minHealthyPercentage")?,
            most: percent(stated.max_healthy_percentage, 200, "maxHealthyPercentage")?,
        },
        warmup: stated.instance_warmup.map(|stated| seconds(stated, "instanceWarmup")).transpose()?,
        checkpoints,
        checkpoint_delay: number(stated.checkpoint_delay.unwrap_or(USUAL_DELAY), LONGEST_PAUSE, "checkpointDelay")?,
        skips_matching: stated.skip_matching == Some(true),
        rolls_back: stated.auto_rollback == Some(true),
        protected: word(stated.scale_in_protected_instances, &ProtectedMembers::ALL, ProtectedMembers::as_str)?,
        standby: word(stated.standby_instances, &StandbyMembers::ALL, StandbyMembers::as_str)?,
        alarms: alarms.map(alarm).collect::<Result<_, _>>()?,
        bake: number(stated.bake_time.unwrap_or(0), LONGEST_PAUSE, "bakeTime")?,
    })
}

fn word<T: Copy + Default>(stated: Option<String>, all: &[T], of: fn(T) -> &'static str) -> Result<T, Error> {
    let Some(text) = shown::given(stated) else { return Ok(T::default()) };
    all.iter().copied().find(|known| of(*known) == text).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|known| of(*known)).collect();
        Error::validation(format!("{} must be one of {}", words::quoted(&text), known.join(", ")))
    })
}

fn described(asked: &Asked<'_>, group: &AutoScalingGroup, refresh: &InstanceRefresh) -> wire::InstanceRefresh {
    let of = &refresh.preferences;
    let (percent, left) = progress(group, refresh);
    let details = |percent: u8, left: u32| wire::InstanceRefreshProgressDetails {
        live_pool_progress: Some(wire::InstanceRefreshLivePoolProgress {
            percentage_complete: Some(percent.into()),
            instances_to_update: Some(left.into()),
        }),
    };
    let template = |source| shown::launched(&asked.world, Some(source)).1;
    let alarms = || wire::AlarmSpecification { alarms: of.alarms.iter().map(ToString::to_string).collect() };
    let reason = if refresh.status.is_over() { refresh.reason.clone() } else { waits_for(group, refresh, asked.now) };
    wire::InstanceRefresh {
        instance_refresh_id: Some(refresh.id.clone()),
        auto_scaling_group_name: Some(group.name.to_string()),
        status: Some(refresh.status.as_str().to_owned()),
        status_reason: reason,
        start_time: Some(words::wire_time(refresh.started)),
        end_time: refresh.ended.map(words::wire_time),
        percentage_complete: Some(percent.into()),
        instances_to_update: Some(left.into()),
        progress_details: Some(details(percent, left)),
        preferences: Some(wire::RefreshPreferences {
            min_healthy_percentage: Some(of.share.least.unwrap_or(USUAL_LEAST).into()),
            instance_warmup: of.warmup.map(Into::into),
            checkpoint_percentages: (!of.checkpoints.is_empty())
                .then(|| of.checkpoints.iter().map(|percent| i64::from(*percent)).collect()),
            checkpoint_delay: (!of.checkpoints.is_empty()).then(|| of.checkpoint_delay.into()),
            skip_matching: Some(of.skips_matching),
            auto_rollback: Some(of.rolls_back),
            scale_in_protected_instances: Some(of.protected.as_str().to_owned()),
            standby_instances: Some(of.standby.as_str().to_owned()),
            alarm_specification: (!of.alarms.is_empty()).then(alarms),
            max_healthy_percentage: of.share.most.map(Into::into),
            bake_time: (of.bake > 0).then(|| of.bake.into()),
        }),
        desired_configuration: refresh.desired.as_ref().map(|source| wire::DesiredConfiguration {
            launch_template: template(source),
            mixed_instances_policy: None,
        }),
        rollback_details: refresh.rollback.as_ref().map(|rollback| wire::RollbackDetails {
            rollback_reason: Some(rollback.reason.clone()),
            rollback_start_time: Some(words::wire_time(rollback.started)),
            percentage_complete_on_rollback: Some(rollback.percent.into()),
            instances_to_update_on_rollback: Some(rollback.left.into()),
            progress_details_on_rollback: Some(details(rollback.percent, rollback.left)),
        }),
        strategy: Some("Rolling".to_owned()),
    }
}

/// What a refresh that is under way waits for, in AWS's words where it has any.
pub(super) fn waits_for(group: &AutoScalingGroup, refresh: &InstanceRefresh, now: Timestamp) -> Option<String> {
    if refresh.status == RefreshStatus::Cancelling {
        return refresh.reason.clone();
    }
    let off = [Process::InstanceRefresh, Process::Launch, Process::Terminate].into_iter().find(|p| !group.does(*p));
    if let Some(process) = off {
        return Some(format!("Waiting for the process {} to be resumed.", process.as_str()));
    }
    if let Some(until) = refresh.until.filter(|until| now < *until) {
        let what = match refresh.status {
            RefreshStatus::Baking => "Baking".to_owned(),
            _ => format!("Waiting at checkpoint {}", refresh.checkpoint),
        };
        return Some(format!("{what} until {}.", until.iso()));
    }
    let warmup = group.refresh_warmup(refresh);
    let new = group.members.iter().filter(|(_, member)| member.refresh == Some(RefreshMark::New));
    let wait = new.into_iter().find_map(|(id, member)| match (member.state, member.in_service) {
        (LifecycleState::InService, Some(since)) if now < since.plus(warmup) => {
            Some(format!("Waiting for instances to warm up before continuing. For example: {id} is warming up."))
        }
        (LifecycleState::InService, _) => Some(format!(
            "Waiting for remaining instances to be available. For example: {id} is not in service at its load balancers."
        )),
        (state, _) if state.counts() => {
            let state = state.as_str();
            Some(format!("Waiting for remaining instances to be available. For example: {id} is {state}."))
        }
        _ => None,
    });
    let wait = wait.or_else(|| {
        let id = tally(group, refresh).awaited.first()?.clone();
        Some(format!(
            "Waiting for instances that are protected from scale in, or in Standby. For example: {id} cannot be replaced."
        ))
    });
    let failed = refresh
        .failure
        .as_ref()
        .map(|last| format!("{} replacements in a row came to nothing; the last: {last}.", refresh.failures));
    let told: Vec<String> = wait.into_iter().chain(failed).collect();
    (!told.is_empty()).then(|| told.join(" ").chars().take(1_023).collect())
}

/// What a refresh that is under way keeps others from.
pub(super) fn holds_up(group: &AutoScalingGroup, refresh: &InstanceRefresh) -> Vec<String> {
    let least = refresh.preferences.share.least_of(group.desired);
    let mut held = vec!["no other refresh can be started".to_owned()];
    if refresh.desired.is_some() {
        held.push("what the group launches with cannot be changed".to_owned());
    }
    if refresh.status.replaces() {
        held.push("zones are not evened out, and nobody is replaced for age".to_owned());
    }
    held.push(format!("scaling in ends the old first, and leaves {least} in service and healthy"));
    held
}
