//! Auto Scaling's calls, each with its handler and with what it wants: both exhaustive matches.

use evenkeel_aws::{Response, autoscaling as wire};
use evenkeel_core::name::AutoScalingGroupName;

use super::super::Asked;
use super::super::funnel::Say;
use super::super::wants::{Thing, Want, Wants};
use super::{
    activities, around, configurations, groups, members, notifications, policies, refreshes, schedules, warm_pools,
};

/// The answer to a call.
pub(in super::super) async fn answer(asked: &Asked<'_>, call: wire::Call, say: &Say<'_>) -> Response {
    use wire::Call as C;
    match call {
        C::PutScalingPolicy(i) => say.out::<wire::PutScalingPolicy>(policies::put(asked, i).await),
        C::PutNotificationConfiguration(i) => {
            say.out::<wire::PutNotificationConfiguration>(notifications::put(asked, &i).await)
        }
        C::DeleteNotificationConfiguration(i) => {
            say.out::<wire::DeleteNotificationConfiguration>(notifications::delete(asked, &i).await)
        }
        C::DescribeNotificationConfigurations(i) => {
            say.out::<wire::DescribeNotificationConfigurations>(notifications::describe(asked, &i))
        }
        C::DescribeAutoScalingNotificationTypes(_) => {
            say.out::<wire::DescribeAutoScalingNotificationTypes>(Ok(notifications::types()))
        }
        C::PutWarmPool(i) => say.out::<wire::PutWarmPool>(warm_pools::put(asked, &i).await),
        C::DeleteWarmPool(i) => say.out::<wire::DeleteWarmPool>(warm_pools::delete(asked, &i).await),
        C::DescribeWarmPool(i) => say.out::<wire::DescribeWarmPool>(warm_pools::describe(asked, &i)),
        C::DeletePolicy(i) => say.out::<wire::DeletePolicy>(policies::delete(asked, &i).await),
        C::DescribePolicies(i) => say.out::<wire::DescribePolicies>(policies::describe(asked, &i)),
        C::ExecutePolicy(i) => say.out::<wire::ExecutePolicy>(policies::execute(asked, &i).await),
        C::PutScheduledUpdateGroupAction(i) => {
            say.out::<wire::PutScheduledUpdateGroupAction>(schedules::put(asked, i).await)
        }
        C::DeleteScheduledAction(i) => say.out::<wire::DeleteScheduledAction>(schedules::delete(asked, &i).await),
        C::DescribeScheduledActions(i) => say.out::<wire::DescribeScheduledActions>(schedules::describe(asked, &i)),
        C::BatchPutScheduledUpdateGroupAction(i) => {
            say.out::<wire::BatchPutScheduledUpdateGroupAction>(schedules::put_many(asked, i).await)
        }
        C::BatchDeleteScheduledAction(i) => {
            say.out::<wire::BatchDeleteScheduledAction>(schedules::delete_many(asked, i).await)
        }
        C::AttachInstances(i) => say.out::<wire::AttachInstances>(members::attach(asked, &i).await),
        C::AttachLoadBalancers(i) => say.out::<wire::AttachLoadBalancers>(around::attach_balancers(asked, &i).await),
        C::CancelInstanceRefresh(i) => say.out::<wire::CancelInstanceRefresh>(refreshes::cancel(asked, &i).await),
        C::CompleteLifecycleAction(i) => {
            say.out::<wire::CompleteLifecycleAction>(around::complete_action(asked, &i).await)
        }
        C::CreateAutoScalingGroup(i) => say.out::<wire::CreateAutoScalingGroup>(groups::create(asked, i).await),
        C::CreateLaunchConfiguration(i) => {
            say.out::<wire::CreateLaunchConfiguration>(configurations::create(asked, i).await)
        }
        C::CreateOrUpdateTags(i) => say.out::<wire::CreateOrUpdateTags>(around::put_tags(asked, &i).await),
        C::DeleteAutoScalingGroup(i) => say.out::<wire::DeleteAutoScalingGroup>(groups::delete(asked, &i).await),
        C::DeleteLaunchConfiguration(i) => {
            say.out::<wire::DeleteLaunchConfiguration>(configurations::delete(asked, &i).await)
        }
        C::DeleteLifecycleHook(i) => say.out::<wire::DeleteLifecycleHook>(around::delete_hook(asked, &i).await),
        C::DeleteTags(i) => say.out::<wire::DeleteTags>(around::delete_tags(asked, &i).await),
        C::DescribeAccountLimits(_) => say.out::<wire::DescribeAccountLimits>(Ok(around::limits(asked))),
        C::DescribeAdjustmentTypes(_) => say.out::<wire::DescribeAdjustmentTypes>(Ok(around::adjustment_types())),
        C::DescribeAutoScalingGroups(i) => say.out::<wire::DescribeAutoScalingGroups>(groups::describe(asked, &i)),
        C::DescribeAutoScalingInstances(i) => {
            say.out::<wire::DescribeAutoScalingInstances>(members::describe(asked, &i))
        }
        C::DescribeInstanceRefreshes(i) => say.out::<wire::DescribeInstanceRefreshes>(refreshes::describe(asked, &i)),
        C::DescribeLaunchConfigurations(i) => {
            say.out::<wire::DescribeLaunchConfigurations>(configurations::describe(asked, &i))
        }
        C::DescribeLifecycleHookTypes(_) => say.out::<wire::DescribeLifecycleHookTypes>(Ok(around::hook_types())),
        C::DescribeLifecycleHooks(i) => say.out::<wire::DescribeLifecycleHooks>(around::describe_hooks(asked, &i)),
        C::DescribeLoadBalancers(i) => say.out::<wire::DescribeLoadBalancers>(around::describe_balancers(asked, &i)),
        C::DescribeMetricCollectionTypes(_) => {
            say.out::<wire::DescribeMetricCollectionTypes>(Ok(around::metric_types()))
        }
        C::DescribeScalingActivities(i) => say.out::<wire::DescribeScalingActivities>(activities::describe(asked, &i)),
        C::DescribeScalingProcessTypes(_) => say.out::<wire::DescribeScalingProcessTypes>(Ok(around::process_types())),
        C::DescribeTags(i) => say.out::<wire::DescribeTags>(around::describe_tags(asked, &i)),
        C::DescribeTerminationPolicyTypes(_) => {
            say.out::<wire::DescribeTerminationPolicyTypes>(Ok(around::termination_policy_types()))
        }
        C::DetachInstances(i) => say.out::<wire::DetachInstances>(members::detach(asked, &i).await),
        C::DetachLoadBalancers(i) => say.out::<wire::DetachLoadBalancers>(around::detach_balancers(asked, &i).await),
        C::DisableMetricsCollection(i) => {
            say.out::<wire::DisableMetricsCollection>(groups::disable_metrics(asked, &i).await)
        }
        C::EnableMetricsCollection(i) => {
            say.out::<wire::EnableMetricsCollection>(groups::enable_metrics(asked, &i).await)
        }
        C::EnterStandby(i) => say.out::<wire::EnterStandby>(members::enter_standby(asked, &i).await),
        C::ExitStandby(i) => say.out::<wire::ExitStandby>(members::exit_standby(asked, &i).await),
        C::PutLifecycleHook(i) => say.out::<wire::PutLifecycleHook>(around::put_hook(asked, i).await),
        C::RecordLifecycleActionHeartbeat(i) => {
            say.out::<wire::RecordLifecycleActionHeartbeat>(around::heartbeat(asked, &i).await)
        }
        C::ResumeProcesses(i) => say.out::<wire::ResumeProcesses>(around::resume(asked, &i).await),
        C::RollbackInstanceRefresh(i) => {
            say.out::<wire::RollbackInstanceRefresh>(refreshes::roll_back(asked, &i).await)
        }
        C::SetDesiredCapacity(i) => say.out::<wire::SetDesiredCapacity>(groups::set_desired(asked, &i).await),
        C::SetInstanceHealth(i) => say.out::<wire::SetInstanceHealth>(members::set_health(asked, &i).await),
        C::SetInstanceProtection(i) => say.out::<wire::SetInstanceProtection>(members::set_protection(asked, &i).await),
        C::StartInstanceRefresh(i) => say.out::<wire::StartInstanceRefresh>(refreshes::start(asked, i).await),
        C::SuspendProcesses(i) => say.out::<wire::SuspendProcesses>(around::suspend(asked, &i).await),
        C::TerminateInstanceInAutoScalingGroup(i) => {
            say.out::<wire::TerminateInstanceInAutoScalingGroup>(members::terminate(asked, &i).await)
        }
        C::UpdateAutoScalingGroup(i) => say.out::<wire::UpdateAutoScalingGroup>(groups::update(asked, i).await),
    }
}

impl Wants<'_> {
    /// What a call of Auto Scaling wants.
    pub(in super::super) fn autoscaling(&self, name: &str, call: &wire::Call) -> Vec<Want> {
        use wire::Call as C;
        let on = |thing: Thing| Want::new("autoscaling", name, vec![thing]);
        let group = |name: &str| on(self.scaling_group(name));
        let member = |id: &str| on(self.scaling_group_of(id));
        let want = match call {
            C::PutScalingPolicy(i) => group(&i.auto_scaling_group_name),
            C::PutNotificationConfiguration(i) => group(&i.auto_scaling_group_name),
            C::DeleteNotificationConfiguration(i) => group(&i.auto_scaling_group_name),
            C::PutWarmPool(i) => group(&i.auto_scaling_group_name),
            C::DeleteWarmPool(i) => group(&i.auto_scaling_group_name),
            C::DeletePolicy(i) => self.by_policy(name, i.auto_scaling_group_name.as_deref(), &i.policy_name),
            C::ExecutePolicy(i) => self.by_policy(name, i.auto_scaling_group_name.as_deref(), &i.policy_name),
            C::PutScheduledUpdateGroupAction(i) => group(&i.auto_scaling_group_name),
            C::DeleteScheduledAction(i) => group(&i.auto_scaling_group_name),
            C::BatchPutScheduledUpdateGroupAction(i) => group(&i.auto_scaling_group_name),
            C::BatchDeleteScheduledAction(i) => group(&i.auto_scaling_group_name),
            C::AttachInstances(i) => group(&i.auto_scaling_group_name),
            C::AttachLoadBalancers(i) => group(&i.auto_scaling_group_name),
            C::CancelInstanceRefresh(i) => group(&i.auto_scaling_group_name),
            C::CompleteLifecycleAction(i) => group(&i.auto_scaling_group_name),
            C::CreateAutoScalingGroup(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                return group(&i.auto_scaling_group_name).stating(tags).tagging("autoscaling:CreateOrUpdateTags");
            }
            C::CreateLaunchConfiguration(i) => on(self.launch_configuration(&i.launch_configuration_name)),
            C::CreateOrUpdateTags(i) => {
                let of = |tag: &wire::Tag| tag.resource_id.clone().unwrap_or_default();
                let groups = i.tags.iter().map(|tag| self.scaling_group(&of(tag))).collect();
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                Want::new("autoscaling", name, groups).stating(tags)
            }
            C::DeleteAutoScalingGroup(i) => group(&i.auto_scaling_group_name),
            C::DeleteLaunchConfiguration(i) => on(self.launch_configuration(&i.launch_configuration_name)),
            C::DeleteLifecycleHook(i) => group(&i.auto_scaling_group_name),
            C::DeleteTags(i) => {
                let of = |tag: &wire::Tag| tag.resource_id.clone().unwrap_or_default();
                let groups = i.tags.iter().map(|tag| self.scaling_group(&of(tag))).collect();
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                Want::new("autoscaling", name, groups).stating(tags)
            }
            C::DetachInstances(i) => group(&i.auto_scaling_group_name),
            C::DetachLoadBalancers(i) => group(&i.auto_scaling_group_name),
            C::DisableMetricsCollection(i) => group(&i.auto_scaling_group_name),
            C::EnableMetricsCollection(i) => group(&i.auto_scaling_group_name),
            C::EnterStandby(i) => group(&i.auto_scaling_group_name),
            C::ExitStandby(i) => group(&i.auto_scaling_group_name),
            C::PutLifecycleHook(i) => group(&i.auto_scaling_group_name),
            C::RecordLifecycleActionHeartbeat(i) => group(&i.auto_scaling_group_name),
            C::ResumeProcesses(i) => group(&i.auto_scaling_group_name),
            C::RollbackInstanceRefresh(i) => group(&i.auto_scaling_group_name),
            C::SetDesiredCapacity(i) => group(&i.auto_scaling_group_name),
            C::SetInstanceHealth(i) => member(&i.instance_id),
            C::SetInstanceProtection(i) => group(&i.auto_scaling_group_name),
            C::StartInstanceRefresh(i) => group(&i.auto_scaling_group_name),
            C::SuspendProcesses(i) => group(&i.auto_scaling_group_name),
            C::TerminateInstanceInAutoScalingGroup(i) => member(&i.instance_id),
            C::UpdateAutoScalingGroup(i) => group(&i.auto_scaling_group_name),
            C::DescribeAccountLimits(_)
            | C::DescribeAdjustmentTypes(_)
            | C::DescribeAutoScalingGroups(_)
            | C::DescribeAutoScalingInstances(_)
            | C::DescribeAutoScalingNotificationTypes(_)
            | C::DescribeNotificationConfigurations(_)
            | C::DescribeInstanceRefreshes(_)
            | C::DescribeLaunchConfigurations(_)
            | C::DescribeLifecycleHookTypes(_)
            | C::DescribeLifecycleHooks(_)
            | C::DescribeLoadBalancers(_)
            | C::DescribeMetricCollectionTypes(_)
            | C::DescribeScalingActivities(_)
            | C::DescribeScalingProcessTypes(_)
            | C::DescribePolicies(_)
            | C::DescribeScheduledActions(_)
            | C::DescribeTags(_)
            | C::DescribeTerminationPolicyTypes(_)
            | C::DescribeWarmPool(_) => on(Thing::any()),
        };
        vec![want]
    }

    fn scaling_group(&self, name: &str) -> Thing {
        let settings = self.world.settings();
        let (region, account) = (&settings.region, &settings.account);
        let held = AutoScalingGroupName::new(name).ok().and_then(|name| self.world.scaling_group(&name));
        match held {
            Some(held) => Thing {
                arn: held.arn(region, account),
                tags: held.tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect(),
            },
            None => Thing::new(format!(
                "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{name}"
            )),
        }
    }

    /// A policy is its group's, named or found by its ARN.
    fn by_policy(&self, name: &str, of: Option<&str>, policy: &str) -> Want {
        let found = self.world.policy_by_arn(policy).map(|(group, _)| group.as_str());
        let group = found.or(of.filter(|of| !of.is_empty())).map_or_else(Thing::any, |group| self.scaling_group(group));
        Want::new("autoscaling", name, vec![group])
    }

    fn scaling_group_of(&self, id: &str) -> Thing {
        let held = evenkeel_core::name::InstanceId::new(id).ok().and_then(|id| self.world.membership(&id));
        held.map_or_else(Thing::any, |(group, _)| self.scaling_group(group.name.as_str()))
    }

    fn launch_configuration(&self, name: &str) -> Thing {
        let settings = self.world.settings();
        let held = evenkeel_core::name::LaunchConfigurationName::new(name).ok();
        let held = held.and_then(|name| self.world.launch_configuration(&name));
        let (region, account) = (&settings.region, &settings.account);
        Thing::new(held.map_or_else(
            || format!("arn:aws:autoscaling:{region}:{account}:launchConfiguration:*:launchConfigurationName/{name}"),
            |held| held.arn(region, account),
        ))
    }
}
