//! What may happen to launch configurations and auto scaling groups (AWS, Auto Scaling API 2011-01-01).
//!
//! Owns which file judges which Change, and what the files share. [`groups`] judges what people ask of groups, [`members`] what
//! they ask of members, [`course`] what the plan does with these, [`refresh`] how all of them are replaced; [`policies`],
//! [`tracking`], [`schedules`] and [`zero`] what changes how many there are to be, [`notices`] whom it tells, [`warm_pool`] who is
//! kept ready. Must never choose whom to launch or end: that is
//! [`crate::plan::groups`]'s.

mod cause;
mod course;
mod groups;
mod hooks;
mod index;
mod invariants;
mod members;
mod notices;
mod policies;
mod refresh;
mod schedules;
mod tracking;
mod warm_pool;
mod zero;

use std::sync::Arc;

pub use course::{IMPAIRED_FOR, Next};
pub(super) use index::{Members, Told};
pub use refresh::{Place, Tally, place, progress, tally};
pub use tracking::TrackingAlarm;

use super::{Decision, Key, Row, World, Write};
use crate::change::{Reply, ScalingChange};
use crate::name::{ActivityId, AutoScalingGroupName, LaunchConfigurationName};
use crate::noun::activity::{Activity, ActivityStatus};
use crate::noun::launch_configuration::LaunchConfiguration;
use crate::noun::scaling_group::{AutoScalingGroup, LaunchSource};
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;

/// Launch configurations (AWS: 200).
const MOST_CONFIGURATIONS: usize = 200;

impl World {
    pub(super) fn scale(&self, change: &ScalingChange, now: Timestamp) -> Result<Decision, Refusal> {
        let mut decision = self.scaled(change, now)?;
        self.tell_of(&mut decision, now);
        Ok(decision)
    }

    fn scaled(&self, change: &ScalingChange, now: Timestamp) -> Result<Decision, Refusal> {
        use ScalingChange as S;
        match change {
            S::CreateLaunchConfiguration(new) => self.create_launch_configuration(new),
            S::DeleteLaunchConfiguration { name } => self.delete_launch_configuration(name),
            S::CreateGroup(new) => self.create_group(new, now),
            S::UpdateGroup { group, patch } => self.update_group(group, patch, now),
            S::DeleteGroup { group, force } => self.delete_group(group, *force, now),
            S::SetDesired { group, desired, honor_cooldown } => self.set_desired(group, *desired, *honor_cooldown, now),
            S::AttachBalancers { group, balancers } => self.attach_balancers(group, balancers),
            S::DetachBalancers { group, balancers } => self.detach_balancers(group, balancers, now),
            S::Suspend { group, processes } => self.suspend(group, processes, now),
            S::Resume { group, processes } => self.resume(group, processes, now),
            S::SetMetrics { group, metrics } => self.set_metrics(group, metrics),
            S::TagGroups { tags } => self.tag_groups(tags, now),
            S::UntagGroups { tags } => self.untag_groups(tags, now),
            S::SetProtection { group, instances, is_protected } => {
                self.set_member_protection(group, instances, *is_protected)
            }
            S::SetHealth { instance, is_healthy, respects_grace } => {
                self.set_health(instance, *is_healthy, *respects_grace, now)
            }
            S::AttachInstances { group, instances } => self.attach_instances(group, instances, now),
            S::DetachInstances { group, instances, decrement } => {
                self.detach_instances(group, instances, *decrement, now)
            }
            S::EnterStandby { group, instances, decrement } => self.enter_standby(group, instances, *decrement, now),
            S::ExitStandby { group, instances } => self.exit_standby(group, instances, now),
            S::TerminateMember { instance, activity, decrement } => {
                self.terminate_member(instance, activity, *decrement, now)
            }
            S::PutHook { group, name, hook } => self.put_hook(group, name, hook, now),
            S::PutNotifications { group, topic, kinds } => self.put_notifications(group, topic, kinds, now),
            S::DeleteNotifications { group, topic } => self.delete_notifications(group, topic),
            S::Told { group, number } => Ok(self.was_told(group, *number)),
            S::DeleteHook { group, name } => self.delete_hook(group, name),
            S::AnswerHook { group, name, who, answer } => self.answer_hook(group, name, who, *answer, now),
            S::PutPolicy { group, name, policy } => self.put_policy(group, name, policy, now),
            S::DeletePolicy { group, name } => self.delete_policy_of_group(group, name, now),
            S::ExecutePolicy { group, name, trigger } => self.execute_policy(group, name, trigger, now),
            S::Track { group, readings } => self.scale_to_targets(group, readings, now),
            S::PutSchedule { group, name, action } => self.put_schedule(group, name, action, now),
            S::DeleteSchedule { group, name } => self.delete_schedule(group, name),
            S::StartRefresh(new) => self.start_refresh(new, now),
            S::CancelRefresh { group, waits } => self.cancel_refresh(group, *waits, now),
            S::RollBackRefresh { group } => self.roll_back_refresh(group, now),
            S::MoveRefresh { group, id, step } => Ok(self.move_refresh(group, id, step, now)),
            S::Act { group, name, due, next } => Ok(self.act(group, name, *due, *next, now)),
            S::Wake { group, balancer } => Ok(self.wake(group, balancer, now)),
            S::Sleep { group, idle } => Ok(self.sleep(group, *idle, now)),
            S::PutPool { group, pool } => self.put_pool(group, pool),
            S::DeletePool { group, force } => self.delete_pool(group, *force, now),
            S::EndPool { group } => Ok(self.end_pool(group)),
            S::Draw { group, instance, activity } => Ok(self.draw(group, instance, activity, now)),
            S::Launch(new) => Ok(self.launch_member(new, now)),
            S::Retire { group, instance, activity, why } => Ok(self.retire(group, instance, activity, *why, now)),
            S::Advance { group, instance, tokens } => Ok(self.advance(group, instance, tokens, now)),
            S::MarkIll { group, instance, illness } => Ok(self.mark_ill(group, instance, *illness)),
            S::EndGroup { group } => self.end_group(group, now),
            S::ForgetActivities { activities } => Ok(self.forget_activities(activities)),
        }
    }

    fn create_launch_configuration(&self, new: &LaunchConfiguration) -> Result<Decision, Refusal> {
        if self.launch_configuration(&new.name).is_some() {
            return Err(BadScaling::ConfigurationTaken(new.name.clone()).into());
        }
        if self.launch_configurations().count() >= MOST_CONFIGURATIONS {
            return Err(BadScaling::TooMany { what: "launch configurations", limit: MOST_CONFIGURATIONS }.into());
        }
        if self.image(&new.image).is_none() {
            return Err(BadScaling::NoSuchImage(new.image.clone()).into());
        }
        Ok(done(vec![Write::Put(Row::LaunchConfiguration(new.clone()))]))
    }

    fn delete_launch_configuration(&self, name: &LaunchConfigurationName) -> Result<Decision, Refusal> {
        if self.launch_configuration(name).is_none() {
            return Err(BadScaling::NoSuchConfiguration(name.clone()).into());
        }
        let source = LaunchSource::Configuration(name.clone());
        if self.scaling_groups().any(|group| group.launch == source) {
            return Err(BadScaling::ConfigurationInUse(name.clone()).into());
        }
        Ok(done(vec![Write::Remove(Key::LaunchConfiguration(name.clone()))]))
    }

    fn forget_activities(&self, ids: &[ActivityId]) -> Decision {
        let known = ids.iter().filter(|id| self.activity(id).is_some_and(|held| held.status.is_over()));
        done(known.map(|id| Write::Remove(Key::Activity(id.clone()))).collect())
    }

    fn group(&self, name: &AutoScalingGroupName) -> Result<&Arc<AutoScalingGroup>, BadScaling> {
        self.scaling_group(name).ok_or_else(|| BadScaling::NoSuchGroup(name.clone()))
    }

    /// A group that is not on its way out.
    fn staying_group(&self, name: &AutoScalingGroupName) -> Result<&Arc<AutoScalingGroup>, BadScaling> {
        let group = self.group(name)?;
        if group.is_going { Err(BadScaling::GroupGoes(name.clone())) } else { Ok(group) }
    }

    /// A group's activities that are under way; what becomes of its warm pool keeps nobody waiting.
    fn under_way<'w>(&'w self, group: &'w AutoScalingGroup) -> impl Iterator<Item = &'w Arc<Activity>> + 'w {
        let latest = group.active().filter_map(|(_, member)| self.activity(member.activity.as_ref()?));
        latest.filter(|activity| !activity.status.is_over())
    }

    /// The row of an activity that has come further.
    fn moved_on(
        &self,
        id: Option<&ActivityId>,
        status: ActivityStatus,
        message: Option<String>,
        now: Timestamp,
    ) -> Option<Write> {
        let held = self.activity(id?)?;
        let mut activity = held.as_ref().clone();
        activity.status = status;
        if status.is_over() {
            activity.ended = Some(now);
        }
        activity.message = message.or(activity.message);
        (activity != **held).then_some(Write::Put(Row::Activity(activity)))
    }
}

/// A group's new row, where it is another.
fn put(held: &Arc<AutoScalingGroup>, group: AutoScalingGroup) -> Option<Write> {
    (group != **held).then_some(Write::Put(Row::AutoScalingGroup(group)))
}

fn done(writes: Vec<Write>) -> Decision {
    let reply = if writes.is_empty() { Reply::Unchanged } else { Reply::Done };
    Decision { reply, writes }
}
