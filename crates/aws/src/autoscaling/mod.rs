//! Auto Scaling, version 2011-01-01: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules. Next: [`group`], [`instance`], [`launch_configuration`], [`activity`], and
//! [`crate::dispatch`] for what the table makes.

pub mod activity;
pub mod balancer;
pub mod group;
pub mod hook;
pub mod instance;
pub mod launch_configuration;
pub mod limit;
pub mod notification;
pub mod policy;
pub mod process;
pub mod refresh;
pub mod schedule;
pub mod tag;
pub mod target;
pub mod warm_pool;

pub use activity::*;
pub use balancer::*;
pub use group::*;
pub use hook::*;
pub use instance::*;
pub use launch_configuration::*;
pub use limit::*;
pub use notification::*;
pub use policy::*;
pub use process::*;
pub use refresh::*;
pub use schedule::*;
pub use tag::*;
pub use target::*;
pub use warm_pool::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::AutoScaling;
    AttachInstances => AttachInstancesOutput,
    AttachLoadBalancers => AttachLoadBalancersOutput,
    BatchDeleteScheduledAction => BatchDeleteScheduledActionOutput,
    BatchPutScheduledUpdateGroupAction => BatchPutScheduledUpdateGroupActionOutput,
    CancelInstanceRefresh => CancelInstanceRefreshOutput,
    CompleteLifecycleAction => CompleteLifecycleActionOutput,
    CreateAutoScalingGroup => CreateAutoScalingGroupOutput,
    CreateLaunchConfiguration => CreateLaunchConfigurationOutput,
    CreateOrUpdateTags => CreateOrUpdateTagsOutput,
    DeleteAutoScalingGroup => DeleteAutoScalingGroupOutput,
    DeleteLaunchConfiguration => DeleteLaunchConfigurationOutput,
    DeleteLifecycleHook => DeleteLifecycleHookOutput,
    DeleteNotificationConfiguration => DeleteNotificationConfigurationOutput,
    DeletePolicy => DeletePolicyOutput,
    DeleteScheduledAction => DeleteScheduledActionOutput,
    DeleteTags => DeleteTagsOutput,
    DeleteWarmPool => DeleteWarmPoolOutput,
    DescribeAccountLimits => DescribeAccountLimitsOutput,
    DescribeAdjustmentTypes => DescribeAdjustmentTypesOutput,
    DescribeAutoScalingGroups => DescribeAutoScalingGroupsOutput,
    DescribeAutoScalingInstances => DescribeAutoScalingInstancesOutput,
    DescribeAutoScalingNotificationTypes => DescribeAutoScalingNotificationTypesOutput,
    DescribeInstanceRefreshes => DescribeInstanceRefreshesOutput,
    DescribeLaunchConfigurations => DescribeLaunchConfigurationsOutput,
    DescribeLifecycleHooks => DescribeLifecycleHooksOutput,
    DescribeLifecycleHookTypes => DescribeLifecycleHookTypesOutput,
    DescribeLoadBalancers => DescribeLoadBalancersOutput,
    DescribeMetricCollectionTypes => DescribeMetricCollectionTypesOutput,
    DescribeNotificationConfigurations => DescribeNotificationConfigurationsOutput,
    DescribePolicies => DescribePoliciesOutput,
    DescribeScalingActivities => DescribeScalingActivitiesOutput,
    DescribeScalingProcessTypes => DescribeScalingProcessTypesOutput,
    DescribeScheduledActions => DescribeScheduledActionsOutput,
    DescribeTags => DescribeTagsOutput,
    DescribeTerminationPolicyTypes => DescribeTerminationPolicyTypesOutput,
    DescribeWarmPool => DescribeWarmPoolOutput,
    DetachInstances => DetachInstancesOutput,
    DetachLoadBalancers => DetachLoadBalancersOutput,
    DisableMetricsCollection => DisableMetricsCollectionOutput,
    EnableMetricsCollection => EnableMetricsCollectionOutput,
    EnterStandby => EnterStandbyOutput,
    ExecutePolicy => ExecutePolicyOutput,
    ExitStandby => ExitStandbyOutput,
    PutLifecycleHook => PutLifecycleHookOutput,
    PutNotificationConfiguration => PutNotificationConfigurationOutput,
    PutScalingPolicy => PutScalingPolicyOutput,
    PutScheduledUpdateGroupAction => PutScheduledUpdateGroupActionOutput,
    PutWarmPool => PutWarmPoolOutput,
    RecordLifecycleActionHeartbeat => RecordLifecycleActionHeartbeatOutput,
    ResumeProcesses => ResumeProcessesOutput,
    RollbackInstanceRefresh => RollbackInstanceRefreshOutput,
    SetDesiredCapacity => SetDesiredCapacityOutput,
    SetInstanceHealth => SetInstanceHealthOutput,
    SetInstanceProtection => SetInstanceProtectionOutput,
    StartInstanceRefresh => StartInstanceRefreshOutput,
    SuspendProcesses => SuspendProcessesOutput,
    TerminateInstanceInAutoScalingGroup => TerminateInstanceInAutoScalingGroupOutput,
    UpdateAutoScalingGroup => UpdateAutoScalingGroupOutput,
}
