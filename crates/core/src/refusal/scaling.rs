//! Reasons to say no to a Change of auto scaling.
//!
//! Owns the reasons and AWS's texts for them. Codes are the house's. Source: Auto Scaling API 2011-01-01, and texts seen live.

use thiserror::Error;

use crate::name::{
    ActivityId, AutoScalingGroupName, ImageId, InstanceId, LaunchConfigurationName, LoadBalancerName, ScalingName,
    TopicArn, ZoneName,
};
use crate::noun::scaling_group::LifecycleState;
use crate::scaling::cooldown::Block;

/// Why a Change of auto scaling was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadScaling {
    /// No group of that name.
    #[error("AutoScalingGroup name not found - AutoScalingGroup {0} not found")]
    NoSuchGroup(AutoScalingGroupName),
    /// A group of that name exists.
    #[error("AutoScalingGroup by this name already exists - A group with the name {0} already exists")]
    GroupTaken(AutoScalingGroupName),
    /// The group is on its way out.
    #[error("AutoScalingGroup {0} is pending delete.")]
    GroupGoes(AutoScalingGroupName),
    /// The group has no warm pool.
    #[error("No warm pool found for AutoScalingGroup {0}")]
    NoSuchPool(AutoScalingGroupName),
    /// The group's warm pool is on its way out.
    #[error("The warm pool of AutoScalingGroup {0} is pending delete.")]
    PoolGoes(AutoScalingGroupName),
    /// No launch configuration of that name.
    #[error("Launch configuration name not found - A launch configuration with the name: {0} does not exist")]
    NoSuchConfiguration(LaunchConfigurationName),
    /// A launch configuration of that name exists.
    #[error(
        "Launch Configuration by this name already exists - A launch configuration already exists with the name {0}"
    )]
    ConfigurationTaken(LaunchConfigurationName),
    /// A group launches with it.
    #[error("Cannot delete launch configuration {0} because it is attached to an AutoScalingGroup")]
    ConfigurationInUse(LaunchConfigurationName),
    /// Launched with an image that is not there.
    #[error("The image id '[{0}]' does not exist")]
    NoSuchImage(ImageId),
    /// Behind a balancer that is not there.
    #[error("Provided Load Balancers may not be valid. Please ensure they exist and try again. ({0})")]
    NoSuchBalancer(LoadBalancerName),
    /// Fewer or more than there may be.
    #[error("{0}")]
    Sizes(&'static str),
    /// More than the most.
    #[error("New SetDesiredCapacity value {wanted} is above max value {max} for the AutoScalingGroup.")]
    AboveMax {
        /// What was asked for.
        wanted: u32,
        /// The most.
        max: u32,
    },
    /// Fewer than the fewest.
    #[error("New SetDesiredCapacity value {wanted} is below min value {min} for the AutoScalingGroup.")]
    BelowMin {
        /// What was asked for.
        wanted: u32,
        /// The fewest.
        min: u32,
    },
    /// A cooldown lasts.
    #[error("Scaling activity {0} is in progress and blocks this action")]
    InProgress(ActivityId),
    /// The time after the last activity is not over.
    #[error("the cooldown of AutoScalingGroup {0} lasts, and blocks this action")]
    CoolingDown(AutoScalingGroupName),
    /// The group has members.
    #[error(
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."
    )]
    HasMembers,
    /// A group without a zone.
    #[error("At least one Availability Zone or VPC Subnet is required.")]
    NoZones,
    /// A zone named twice.
    #[error("Availability Zone {0} is named more than once")]
    ZoneTwice(ZoneName),
    /// Not a member.
    #[error("The instance {instance} is not part of Auto Scaling group {group}.")]
    NotMember {
        /// Which.
        instance: InstanceId,
        /// Of which group.
        group: AutoScalingGroupName,
    },
    /// A member of no group.
    #[error("Instance Id not found - No managed instance found for instance ID: {0}")]
    NoMember(InstanceId),
    /// A member of another group already.
    #[error("Instance {instance} is already part of AutoScalingGroup: {group}")]
    MemberElsewhere {
        /// Which.
        instance: InstanceId,
        /// Of which group.
        group: AutoScalingGroupName,
    },
    /// Not in a state for that.
    #[error("The instance {instance} is in {}, and cannot be {wanted}.", .state.as_str())]
    WrongState {
        /// Which.
        instance: InstanceId,
        /// Where it is in its life.
        state: LifecycleState,
        /// What was asked.
        wanted: &'static str,
    },
    /// An instance that does not run.
    #[error("Instance {0} is not in a state to be attached: it must be running.")]
    NotRunning(InstanceId),
    /// An instance elsewhere.
    #[error("Instance {instance} is in {zone}, which is not one of the AutoScalingGroup's zones.")]
    ElsewhereZone {
        /// Which.
        instance: InstanceId,
        /// Where.
        zone: ZoneName,
    },
    /// There would be more than the most.
    #[error(
        "AutoScalingGroup {group} has min-size={min}, max-size={max}, and desired-size={desired}. To {what} {count} more instance(s), please update the AutoScalingGroup sizes appropriately."
    )]
    NoRoom {
        /// Which.
        group: AutoScalingGroupName,
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
        /// How many there are to be.
        desired: u32,
        /// What was asked.
        what: &'static str,
        /// How many more or fewer.
        count: u32,
    },
    /// A topic that is not there.
    #[error("Unable to publish test message to notification target {0}: it does not exist")]
    NoSuchTopic(TopicArn),
    /// A topic that the group does not tell of anything.
    #[error("No notification configuration found for topic {0}")]
    NoSuchNotifications(TopicArn),
    /// A tag that is to say how calmly a group is scaled.
    #[error("The value of tag {key} must be a whole number of seconds of at most {most}")]
    PaceTag {
        /// Which tag.
        key: &'static str,
        /// The most seconds.
        most: u64,
    },
    /// No hook of that name.
    #[error("No Lifecycle Hook found with hook name: {hook} for AutoScalingGroup {group}")]
    NoSuchHook {
        /// Which.
        hook: ScalingName,
        /// Of which group.
        group: AutoScalingGroupName,
    },
    /// No policy of that name.
    #[error("No policy found for policy name: {0}")]
    NoSuchPolicy(ScalingName),
    /// A policy that makes no sense, or cannot be executed so.
    #[error("{0}")]
    Policy(String),
    /// A policy that has to wait.
    #[error("{0}")]
    Blocked(Block),
    /// No scheduled action of that name.
    #[error("Scheduled action name not found - No scheduled action found for name: {0}")]
    NoSuchSchedule(ScalingName),
    /// Another one acts then.
    #[error("The scheduled action {0} is to take place at the same time")]
    SameTime(ScalingName),
    /// All members are being replaced already.
    #[error("An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")]
    RefreshInProgress,
    /// They are not.
    #[error("No in progress or pending Instance Refresh found for Auto Scaling group {0}")]
    NoRefresh(AutoScalingGroupName),
    /// There is no way back.
    #[error("the instance refresh cannot be rolled back: {0}")]
    Irreversible(&'static str),
    /// A refresh decides what is launched.
    #[error(
        "An active instance refresh with a desired configuration exists. All configuration options derived from the desired configuration are not available for update while the instance refresh is active."
    )]
    RefreshHolds,
    /// A refresh that makes no sense.
    #[error("{0}")]
    Refresh(String),
    /// Nobody waits for it.
    #[error("No active Lifecycle Action found with {0}")]
    NoSuchAction(String),
    /// More than there may be.
    #[error("You've reached the limit of {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The quota.
        limit: usize,
    },
}
