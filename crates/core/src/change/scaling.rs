//! Changes of auto scaling: launch configurations, groups, and their members.
//!
//! Owns these shapes. What a caller asks stands above; what the groups' loop does by plan below. Must never judge them: that
//! is [`crate::world`]'s.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::{
    ActivityId, AutoScalingGroupName, InstanceId, LaunchConfigurationName, LoadBalancerName, ReservationId,
    ScalingName, TopicArn, ZoneName,
};
use crate::noun::group_notice::NotificationType;
use crate::noun::instance_refresh::RefreshPreferences;
use crate::noun::launch_configuration::LaunchConfiguration;
use crate::noun::scaling_group::{GroupTag, HealthCheckType, Hook, LaunchSource, Process};
use crate::noun::scaling_policy::{ScalingPolicy, ScheduledAction};
use crate::noun::warm_pool::WarmPool;
use crate::scaling::TerminationPolicy;
use crate::scaling::decide::AlarmSignal;
use crate::scaling::replacement::Cause;
use crate::time::Timestamp;

/// One alteration of what auto scaling intends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ScalingChange {
    /// A new launch configuration.
    CreateLaunchConfiguration(LaunchConfiguration),
    /// Its end, unless a group launches with it.
    DeleteLaunchConfiguration {
        /// Which.
        name: LaunchConfigurationName,
    },
    /// A new group.
    CreateGroup(NewGroup),
    /// Other settings of a group.
    UpdateGroup {
        /// Which.
        group: AutoScalingGroupName,
        /// What is different from now on.
        patch: GroupPatch,
    },
    /// A group's end: at once where it has no members, and else, if it is forced, once they have ended.
    DeleteGroup {
        /// Which.
        group: AutoScalingGroupName,
        /// Whether its members are ended.
        force: bool,
    },
    /// How many members there are to be.
    SetDesired {
        /// Of which group.
        group: AutoScalingGroupName,
        /// How many.
        desired: u32,
        /// Whether it is refused while a cooldown lasts.
        honor_cooldown: bool,
    },
    /// Balancers that members go behind from now on, and those that are in service at once.
    AttachBalancers {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        balancers: BTreeSet<LoadBalancerName>,
    },
    /// Balancers that members go behind no more.
    DetachBalancers {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        balancers: BTreeSet<LoadBalancerName>,
    },
    /// What a group shall not do by itself.
    Suspend {
        /// Which group.
        group: AutoScalingGroupName,
        /// Which processes.
        processes: BTreeSet<Process>,
    },
    /// What it may do again.
    Resume {
        /// Which group.
        group: AutoScalingGroupName,
        /// Which processes.
        processes: BTreeSet<Process>,
    },
    /// Which of a group's metrics are collected.
    SetMetrics {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Their names, in place of those there were.
        metrics: BTreeSet<String>,
    },
    /// Tags of groups, by group and key.
    TagGroups {
        /// Which.
        tags: Vec<(AutoScalingGroupName, String, GroupTag)>,
    },
    /// Fewer tags of groups.
    UntagGroups {
        /// Which, by group and key.
        tags: Vec<(AutoScalingGroupName, String)>,
    },
    /// Whether scaling in spares members.
    SetProtection {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which members.
        instances: Vec<InstanceId>,
        /// Whether it does.
        is_protected: bool,
    },
    /// Somebody's word on a member's health.
    SetHealth {
        /// Which member.
        instance: InstanceId,
        /// Whether it is well.
        is_healthy: bool,
        /// Whether the word does not count in its grace.
        respects_grace: bool,
    },
    /// Running instances that become members.
    AttachInstances {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which, each with the activity that tells of it.
        instances: Vec<(InstanceId, ActivityId)>,
    },
    /// Members that leave the group and run on.
    DetachInstances {
        /// Which group.
        group: AutoScalingGroupName,
        /// Which, each with the activity that tells of it.
        instances: Vec<(InstanceId, ActivityId)>,
        /// Whether there are to be as many fewer, rather than others in their place.
        decrement: bool,
    },
    /// Members that stand by.
    EnterStandby {
        /// Which group.
        group: AutoScalingGroupName,
        /// Which, each with the activity that tells of it.
        instances: Vec<(InstanceId, ActivityId)>,
        /// Whether there are to be as many fewer, rather than others in their place.
        decrement: bool,
    },
    /// Members that stood by and come back.
    ExitStandby {
        /// Which group.
        group: AutoScalingGroupName,
        /// Which, each with the activity that tells of it.
        instances: Vec<(InstanceId, ActivityId)>,
    },
    /// A member's end, as somebody asked for.
    TerminateMember {
        /// Which.
        instance: InstanceId,
        /// The activity that tells of it.
        activity: ActivityId,
        /// Whether there is to be one fewer, rather than another in its place.
        decrement: bool,
    },
    /// Of what a group tells a topic, in place of what it told it.
    PutNotifications {
        /// Which group.
        group: AutoScalingGroupName,
        /// Whom.
        topic: TopicArn,
        /// Of what.
        kinds: BTreeSet<NotificationType>,
    },
    /// A topic that is told nothing any more.
    DeleteNotifications {
        /// By which group.
        group: AutoScalingGroupName,
        /// Which.
        topic: TopicArn,
    },
    /// By plan: what a group had to tell is on its way.
    Told {
        /// Which group.
        group: AutoScalingGroupName,
        /// The number of what it had to tell.
        number: u64,
    },
    /// A hook, in place of the one of that name.
    PutHook {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
        /// What it is.
        hook: Hook,
    },
    /// A hook's end; those who wait for it go on.
    DeleteHook {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
    },
    /// An answer to a member that waits for a hook.
    AnswerHook {
        /// Of which group.
        group: AutoScalingGroupName,
        /// For which hook.
        name: ScalingName,
        /// Which member.
        who: Waiting,
        /// What it is to do.
        answer: Answer,
    },
    /// A scaling policy, in place of the one of that name.
    PutPolicy {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
        /// What it is.
        policy: ScalingPolicy,
    },
    /// A scaling policy's end.
    DeletePolicy {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
    },
    /// A scaling policy is to do what it says.
    ExecutePolicy {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
        /// By whose word.
        trigger: Trigger,
    },
    /// By what the alarms of policies that track targets were judged by: as many members as these call for.
    Track {
        /// Of which group.
        group: AutoScalingGroupName,
        /// The readings of those policies that have one.
        readings: Vec<(ScalingName, f64)>,
    },
    /// A scheduled action, in place of the one of that name.
    PutSchedule {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
        /// What it is.
        action: ScheduledAction,
    },
    /// A scheduled action's end.
    DeleteSchedule {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
    },
    /// All members are to be replaced.
    StartRefresh(NewRefresh),
    /// No member is to be replaced any more.
    CancelRefresh {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Whether what is under way is waited for.
        waits: bool,
    },
    /// Those that replaced others are to be replaced by what was there before.
    RollBackRefresh {
        /// Of which group.
        group: AutoScalingGroupName,
    },
    /// By plan: a refresh comes further.
    MoveRefresh {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        id: String,
        /// How.
        step: RefreshStep,
    },
    /// By plan: a scheduled action's time has come.
    Act {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Its name.
        name: ScalingName,
        /// The time that has come.
        due: Timestamp,
        /// When its time comes again.
        next: Option<Timestamp>,
    },
    /// By plan: requests wait for a group that is empty.
    Wake {
        /// For which group.
        group: AutoScalingGroupName,
        /// At which balancer.
        balancer: LoadBalancerName,
    },
    /// A warm pool is made, or made another (PutWarmPool).
    PutPool {
        /// Of which group.
        group: AutoScalingGroupName,
        /// What it is to be; not going.
        pool: WarmPool,
    },
    /// A warm pool is to go, with all in it (DeleteWarmPool).
    DeletePool {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Whether no hook is waited for, and the pool is no more at once.
        force: bool,
    },
    /// By plan: nobody has asked anything of a group for as long as it says.
    Sleep {
        /// Which group.
        group: AutoScalingGroupName,
        /// How many seconds that was.
        idle: u32,
    },
    /// By plan: another member.
    Launch(NewMember),
    /// By plan: a member of the warm pool takes up its work.
    Draw {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// The activity that tells of it.
        activity: ActivityId,
    },
    /// By plan: a member's end begins.
    Retire {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// The activity that tells of it.
        activity: ActivityId,
        /// Why.
        why: Retirement,
    },
    /// By plan: a member takes its next step, where it is due.
    Advance {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// UUIDs for the hooks that it may come to wait for.
        tokens: Vec<String>,
    },
    /// By plan: a member was found ill.
    MarkIll {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// What is wrong.
        illness: Cause,
    },
    /// By plan: nobody is in a warm pool any more that was to go.
    EndPool {
        /// Of which group.
        group: AutoScalingGroupName,
    },
    /// By plan: a group that was to go has no members any more.
    EndGroup {
        /// Which.
        group: AutoScalingGroupName,
    },
    /// By plan: activities that are older than anyone asks for.
    ForgetActivities {
        /// Which.
        activities: Vec<ActivityId>,
    },
}

impl ScalingChange {
    /// The Change's name, for audit records and messages: AWS's where it has one.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateLaunchConfiguration(_) => "CreateLaunchConfiguration",
            Self::DeleteLaunchConfiguration { .. } => "DeleteLaunchConfiguration",
            Self::CreateGroup(_) => "CreateAutoScalingGroup",
            Self::UpdateGroup { .. } => "UpdateAutoScalingGroup",
            Self::DeleteGroup { .. } => "DeleteAutoScalingGroup",
            Self::SetDesired { .. } => "SetDesiredCapacity",
            Self::AttachBalancers { .. } => "AttachLoadBalancers",
            Self::DetachBalancers { .. } => "DetachLoadBalancers",
            Self::Suspend { .. } => "SuspendProcesses",
            Self::Resume { .. } => "ResumeProcesses",
            Self::SetMetrics { .. } => "SetMetricsCollection",
            Self::TagGroups { .. } => "CreateOrUpdateGroupTags",
            Self::UntagGroups { .. } => "DeleteGroupTags",
            Self::SetProtection { .. } => "SetInstanceProtection",
            Self::SetHealth { .. } => "SetInstanceHealth",
            Self::AttachInstances { .. } => "AttachInstances",
            Self::DetachInstances { .. } => "DetachInstances",
            Self::EnterStandby { .. } => "EnterStandby",
            Self::ExitStandby { .. } => "ExitStandby",
            Self::TerminateMember { .. } => "TerminateInstanceInAutoScalingGroup",
            Self::PutNotifications { .. } => "PutNotificationConfiguration",
            Self::DeleteNotifications { .. } => "DeleteNotificationConfiguration",
            Self::Told { .. } => "TellOfGroup",
            Self::PutHook { .. } => "PutLifecycleHook",
            Self::DeleteHook { .. } => "DeleteLifecycleHook",
            Self::AnswerHook { .. } => "AnswerLifecycleAction",
            Self::PutPolicy { .. } => "PutScalingPolicy",
            Self::DeletePolicy { .. } => "DeleteScalingPolicy",
            Self::ExecutePolicy { .. } => "ExecutePolicy",
            Self::Track { .. } => "TrackTargets",
            Self::PutSchedule { .. } => "PutScheduledUpdateGroupAction",
            Self::DeleteSchedule { .. } => "DeleteScheduledAction",
            Self::StartRefresh(_) => "StartInstanceRefresh",
            Self::CancelRefresh { .. } => "CancelInstanceRefresh",
            Self::RollBackRefresh { .. } => "RollbackInstanceRefresh",
            Self::MoveRefresh { .. } => "MoveInstanceRefresh",
            Self::Act { .. } => "ActAsScheduled",
            Self::Wake { .. } => "WakeAutoScalingGroup",
            Self::Sleep { .. } => "EmptyAutoScalingGroup",
            Self::PutPool { .. } => "PutWarmPool",
            Self::DeletePool { .. } => "DeleteWarmPool",
            Self::Launch(_) => "LaunchMember",
            Self::Draw { .. } => "DrawMember",
            Self::Retire { .. } => "RetireMember",
            Self::Advance { .. } => "AdvanceMember",
            Self::MarkIll { .. } => "MarkMemberIll",
            Self::EndPool { .. } => "EndWarmPool",
            Self::EndGroup { .. } => "EndAutoScalingGroup",
            Self::ForgetActivities { .. } => "ForgetScalingActivities",
        }
    }
}

/// By whose word a scaling policy is executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trigger {
    /// Somebody's.
    Asked {
        /// The metric, and the threshold that it is to be compared with; for step policies.
        metric: Option<(f64, f64)>,
        /// Whether it waits as an alarm would have to.
        honor_cooldown: bool,
    },
    /// An alarm's, which goes off.
    Alarm(AlarmSignal),
}

/// A member that waits for a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// By the token of its action.
    Token(String),
    /// By its instance.
    Instance(InstanceId),
}

/// What a member that waits is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To go on.
    Continue,
    /// To give up.
    Abandon,
    /// To wait for another heartbeat.
    Heartbeat,
}

/// Why a member ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retirement {
    /// There are more than there are to be.
    ScaleIn,
    /// It is ill.
    Ill,
    /// Its zone has more members than another, or is not the group's any more.
    Balance,
    /// It has lived as long as members may.
    Lifetime,
    /// Another one takes its place, because all are replaced.
    Refresh,
    /// The warm pool does not need it, or cannot use it.
    Pool,
    /// Its group goes.
    GroupGoes,
}

/// How a refresh comes further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshStep {
    /// It begins.
    Begin,
    /// New members were seen well for long enough.
    Update {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// It pauses at a checkpoint.
    Pause {
        /// How many of them are behind it then.
        reached: u32,
    },
    /// It comes to nothing.
    Fail {
        /// Why.
        why: String,
    },
    /// What it does at present is done.
    Finish,
}

/// What [`ScalingChange::StartRefresh`] wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRefresh {
    /// Of which group.
    pub group: AutoScalingGroupName,
    /// A random UUID.
    pub id: String,
    /// What members are launched with; `None` for what the group has.
    pub desired: Option<LaunchSource>,
    /// How.
    pub preferences: RefreshPreferences,
}

/// What [`ScalingChange::CreateGroup`] wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGroup {
    /// Its name.
    pub name: AutoScalingGroupName,
    /// A random UUID.
    pub id: String,
    /// What members are launched with.
    pub launch: LaunchSource,
    /// The fewest members.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// How many there are to be; `min` when not stated.
    pub desired: Option<u32>,
    /// Seconds of cooldown.
    pub cooldown: u32,
    /// Where members go.
    pub zones: Vec<ZoneName>,
    /// Subnets as stated.
    pub subnets: Option<String>,
    /// Behind which balancers.
    pub balancers: BTreeSet<LoadBalancerName>,
    /// What health is judged by.
    pub health_check: HealthCheckType,
    /// Seconds of grace.
    pub grace: u32,
    /// Who goes first.
    pub termination: Vec<TerminationPolicy>,
    /// Whether scaling in spares new members.
    pub protects_new: bool,
    /// Seconds after which members are replaced.
    pub max_lifetime: Option<u32>,
    /// Seconds that a new member takes until its metrics count.
    pub warmup: Option<u32>,
    /// Tags by key.
    pub tags: BTreeMap<String, GroupTag>,
    /// Hooks by name.
    pub hooks: BTreeMap<ScalingName, Hook>,
}

/// What [`ScalingChange::UpdateGroup`] sets; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPatch {
    /// What new members are launched with.
    pub launch: Option<LaunchSource>,
    /// The fewest members.
    pub min: Option<u32>,
    /// The most.
    pub max: Option<u32>,
    /// How many there are to be.
    pub desired: Option<u32>,
    /// Seconds of cooldown.
    pub cooldown: Option<u32>,
    /// Where members go.
    pub zones: Option<Vec<ZoneName>>,
    /// Subnets as stated, where zones were named by them.
    pub subnets: Option<String>,
    /// What health is judged by.
    pub health_check: Option<HealthCheckType>,
    /// Seconds of grace.
    pub grace: Option<u32>,
    /// Who goes first.
    pub termination: Option<Vec<TerminationPolicy>>,
    /// Whether scaling in spares new members.
    pub protects_new: Option<bool>,
    /// Seconds after which members are replaced; 0 for never.
    pub max_lifetime: Option<u32>,
    /// Seconds that a new member takes until its metrics count; `Some(None)` for none stated.
    pub warmup: Option<Option<u32>>,
}

/// What [`ScalingChange::Launch`] wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMember {
    /// In which group.
    pub group: AutoScalingGroupName,
    /// A fresh id.
    pub instance: InstanceId,
    /// A fresh id.
    pub reservation: ReservationId,
    /// The activity that tells of it.
    pub activity: ActivityId,
    /// Where: the first of these that has room.
    pub zones: Vec<ZoneName>,
    /// Whether it is one more than there are to be, so that another zone can do with one fewer, or another member go.
    pub balances: bool,
    /// Whether it goes into the warm pool.
    pub pooled: bool,
}
