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
pub mod process;
pub mod tag;

pub use activity::*;
pub use balancer::*;
pub use group::*;
pub use hook::*;
pub use instance::*;
pub use launch_configuration::*;
pub use limit::*;
pub use process::*;
pub use tag::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::AutoScaling;
    AttachInstances => AttachInstancesOutput,
    AttachLoadBalancers => AttachLoadBalancersOutput,
    CompleteLifecycleAction => CompleteLifecycleActionOutput,
    CreateAutoScalingGroup => CreateAutoScalingGroupOutput,
    CreateLaunchConfiguration => CreateLaunchConfigurationOutput,
    CreateOrUpdateTags => CreateOrUpdateTagsOutput,
    DeleteAutoScalingGroup => DeleteAutoScalingGroupOutput,
    DeleteLaunchConfiguration => DeleteLaunchConfigurationOutput,
    DeleteLifecycleHook => DeleteLifecycleHookOutput,
    DeleteTags => DeleteTagsOutput,
    DescribeAccountLimits => DescribeAccountLimitsOutput,
    DescribeAdjustmentTypes => DescribeAdjustmentTypesOutput,
    DescribeAutoScalingGroups => DescribeAutoScalingGroupsOutput,
    DescribeAutoScalingInstances => DescribeAutoScalingInstancesOutput,
    DescribeLaunchConfigurations => DescribeLaunchConfigurationsOutput,
    DescribeLifecycleHookTypes => DescribeLifecycleHookTypesOutput,
    DescribeLifecycleHooks => DescribeLifecycleHooksOutput,
    DescribeLoadBalancers => DescribeLoadBalancersOutput,
    DescribeMetricCollectionTypes => DescribeMetricCollectionTypesOutput,
    DescribeScalingActivities => DescribeScalingActivitiesOutput,
    DescribeScalingProcessTypes => DescribeScalingProcessTypesOutput,
    DescribeTags => DescribeTagsOutput,
    DescribeTerminationPolicyTypes => DescribeTerminationPolicyTypesOutput,
    DetachInstances => DetachInstancesOutput,
    DetachLoadBalancers => DetachLoadBalancersOutput,
    DisableMetricsCollection => DisableMetricsCollectionOutput,
    EnableMetricsCollection => EnableMetricsCollectionOutput,
    EnterStandby => EnterStandbyOutput,
    ExitStandby => ExitStandbyOutput,
    PutLifecycleHook => PutLifecycleHookOutput,
    RecordLifecycleActionHeartbeat => RecordLifecycleActionHeartbeatOutput,
    ResumeProcesses => ResumeProcessesOutput,
    SetDesiredCapacity => SetDesiredCapacityOutput,
    SetInstanceHealth => SetInstanceHealthOutput,
    SetInstanceProtection => SetInstanceProtectionOutput,
    SuspendProcesses => SuspendProcessesOutput,
    TerminateInstanceInAutoScalingGroup => TerminateInstanceInAutoScalingGroupOutput,
    UpdateAutoScalingGroup => UpdateAutoScalingGroupOutput,
}
