//! Auto scaling groups: how many instances there are to be, what they are launched with, and how each member fares.
//!
//! Owns the records' shapes and AWS's words for them. What may follow what is [`crate::world`]'s, what is to be done next
//! [`crate::plan::groups`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{
    ActivityId, AutoScalingGroupName, InstanceId, LaunchConfigurationName, LoadBalancerName, ScalingName, TopicArn,
    ZoneName,
};
use crate::noun::group_notice::{GroupNotice, NotificationType};
use crate::noun::instance_refresh::{InstanceRefresh, RefreshMark};
use crate::noun::launch_template::TemplateSpecification;
use crate::noun::scaling_policy::{ScalingPolicy, ScheduledAction};
use crate::noun::warm_pool::WarmPool;
use crate::refusal::BadScaling;
use crate::scaling::TerminationPolicy;
use crate::scaling::decide::{Behavior, Decision, History, Pace};
use crate::scaling::replacement::Cause;
use crate::time::Timestamp;

/// The tag that members bear, with their group's name.
pub const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// The tag that says after how many seconds without a request a group is emptied.
pub const IDLE_TAG: &str = "evenkeel:idle-to-zero";
/// What it may say.
pub const IDLE_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Tags that say how calmly policies that track targets scale a group, in seconds of at most [`LONGEST_PACE`]: for how long it
/// rests after it went out or in, and for how long it must have been wanted.
pub const PACE_TAGS: [&str; 4] = [
    "evenkeel:scale-out-cooldown",
    "evenkeel:scale-out-stabilization",
    "evenkeel:scale-in-cooldown",
    "evenkeel:scale-in-stabilization",
];
/// See [`PACE_TAGS`].
pub const LONGEST_PACE: u64 = 3600;

/// What members are launched with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaunchSource {
    /// A launch configuration.
    Configuration(LaunchConfigurationName),
    /// A launch template, by its id; of a member, the version that it was launched from.
    Template(TemplateSpecification),
}

/// What a member's health is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthCheckType {
    /// By its instance alone.
    #[default]
    #[serde(rename = "EC2")]
    Ec2,
    /// By its balancers as well.
    #[serde(rename = "ELB")]
    Elb,
}

impl HealthCheckType {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Elb => "ELB",
        }
    }
}

/// What a group does by itself, and may be kept from (AWS, "Suspend and resume processes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    /// Behind balancers, new members go.
    AddToLoadBalancer,
    /// On alarms, policies act.
    AlarmNotification,
    /// Among zones, members are evened out.
    AZRebalance,
    /// Health is checked.
    HealthCheck,
    /// Instances are refreshed.
    InstanceRefresh,
    /// Members are launched.
    Launch,
    /// The unhealthy are replaced.
    ReplaceUnhealthy,
    /// Scheduled actions act.
    ScheduledActions,
    /// Members are ended.
    Terminate,
}

impl Process {
    /// All of them, by name.
    pub const ALL: [Self; 9] = [
        Self::AddToLoadBalancer,
        Self::AlarmNotification,
        Self::AZRebalance,
        Self::HealthCheck,
        Self::InstanceRefresh,
        Self::Launch,
        Self::ReplaceUnhealthy,
        Self::ScheduledActions,
        Self::Terminate,
    ];

    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddToLoadBalancer => "AddToLoadBalancer",
            Self::AlarmNotification => "AlarmNotification",
            Self::AZRebalance => "AZRebalance",
            Self::HealthCheck => "HealthCheck",
            Self::InstanceRefresh => "InstanceRefresh",
            Self::Launch => "Launch",
            Self::ReplaceUnhealthy => "ReplaceUnhealthy",
            Self::ScheduledActions => "ScheduledActions",
            Self::Terminate => "Terminate",
        }
    }

    /// The one that AWS calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.as_str() == name)
    }
}

/// Where a member is in its life (AWS, "Amazon EC2 Auto Scaling instance lifecycle").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleState {
    /// Its instance boots.
    Pending,
    /// It has booted; hooks are waited for.
    PendingWait,
    /// It does its work.
    InService,
    /// It is to end: balancers send it nothing more, its last requests are waited for.
    Terminating,
    /// It has no more requests; hooks are waited for.
    TerminatingWait,
    /// Its instance is being ended.
    TerminatingProceed,
    /// It is to stand by: its last requests are waited for.
    EnteringStandby,
    /// It stands by.
    Standby,
    /// It is to leave the group: its last requests are waited for.
    Detaching,
    /// On its way into the warm pool: its instance boots, or its last requests are waited for.
    WarmedPending,
    /// On its way into the warm pool; hooks are waited for.
    WarmedPendingWait,
    /// On its way into the warm pool; its instance is being stopped.
    WarmedPendingProceed,
    /// In the warm pool; its instance is stopped.
    WarmedStopped,
    /// In the warm pool; its instance runs.
    WarmedRunning,
    /// It is to end, from the warm pool.
    WarmedTerminating,
    /// To end from the warm pool; hooks are waited for.
    WarmedTerminatingWait,
    /// From the warm pool, its instance is being ended.
    WarmedTerminatingProceed,
}

impl LifecycleState {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::InService => "InService",
            Self::Terminating => "Terminating",
            Self::TerminatingWait => "Terminating:Wait",
            Self::TerminatingProceed => "Terminating:Proceed",
            Self::EnteringStandby => "EnteringStandby",
            Self::Standby => "Standby",
            Self::Detaching => "Detaching",
            Self::WarmedPending => "Warmed:Pending",
            Self::WarmedPendingWait => "Warmed:Pending:Wait",
            Self::WarmedPendingProceed => "Warmed:Pending:Proceed",
            Self::WarmedStopped => "Warmed:Stopped",
            Self::WarmedRunning => "Warmed:Running",
            Self::WarmedTerminating => "Warmed:Terminating",
            Self::WarmedTerminatingWait => "Warmed:Terminating:Wait",
            Self::WarmedTerminatingProceed => "Warmed:Terminating:Proceed",
        }
    }

    /// Whether it counts as capacity: it works, or is about to.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::PendingWait | Self::InService)
    }

    /// Whether it is on its way out for good.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Terminating | Self::TerminatingWait | Self::TerminatingProceed) || self.leaves_pool()
    }

    /// Whether it belongs to the warm pool, on its way in and out for good as well.
    #[must_use]
    pub fn is_warmed(self) -> bool {
        self.is_pooled() || self.leaves_pool()
    }

    /// Whether it is in the warm pool, or about to be.
    #[must_use]
    pub fn is_pooled(self) -> bool {
        matches!(self, Self::WarmedPending | Self::WarmedPendingWait | Self::WarmedPendingProceed) || self.rests()
    }

    /// Whether it is ready in the warm pool.
    #[must_use]
    pub fn rests(self) -> bool {
        matches!(self, Self::WarmedStopped | Self::WarmedRunning)
    }

    fn leaves_pool(self) -> bool {
        matches!(self, Self::WarmedTerminating | Self::WarmedTerminatingWait | Self::WarmedTerminatingProceed)
    }
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where it runs.
    pub zone: ZoneName,
    /// What it was launched with; `None` for one that was attached.
    pub source: Option<LaunchSource>,
    /// Where it is in its life.
    pub state: LifecycleState,
    /// Since when.
    pub since: Timestamp,
    /// When it last came into service: its grace and its warm-up begin there. `None` while it rests in the warm pool, as of one
    /// that is new.
    pub in_service: Option<Timestamp>,
    /// What is wrong with it; `None` while it is healthy.
    pub illness: Option<Cause>,
    /// Whether scaling in spares it.
    pub is_protected: bool,
    /// What is under way with it, or was last.
    pub activity: Option<ActivityId>,
    /// Whether it is one more than there are to be, so that another one can go, and is not in service yet.
    #[serde(default)]
    pub balances: bool,
    /// What a refresh has to do with it; after one that was given up, whom it had not seen well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshMark>,
    /// What it waits for, by hook.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waits: BTreeMap<ScalingName, HookWait>,
}

/// A lifecycle action: one hook waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookWait {
    /// Whoever has it may answer: a UUID.
    pub token: String,
    /// When it began.
    pub since: Timestamp,
    /// Until when it is waited for; a heartbeat puts it off.
    pub until: Timestamp,
    /// The answer: whether to go on.
    pub goes_on: Option<bool>,
}

/// What a hook stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transition {
    /// Coming into service.
    Launching,
    /// The end.
    Terminating,
}

impl Transition {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }
}

/// A lifecycle hook: a wait that members make before they go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Before what.
    pub transition: Transition,
    /// How long each heartbeat lasts, in seconds: 30–7,200.
    pub heartbeat: u32,
    /// Whether to go on when nobody has answered.
    pub goes_on: bool,
    /// Told with the action, at most 1,023 characters.
    pub metadata: Option<String>,
    /// The topic that is told of each wait.
    #[serde(default)]
    pub target: Option<TopicArn>,
    /// In whose name, as stated: kept, and of no effect.
    #[serde(default)]
    pub role: Option<String>,
}

impl Hook {
    /// The longest wait in all (AWS: 100 heartbeats, or 48 hours).
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_secs(u64::from(self.heartbeat) * 100).min(Duration::from_secs(48 * 3600))
    }
}

/// A tag of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTag {
    /// Its value.
    pub value: String,
    /// Whether new members get it too.
    pub propagates: bool,
}

/// What a group holds of launches that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// How many in a row.
    pub failures: u32,
    /// When the next is tried.
    pub retry: Timestamp,
    /// When the first of them was.
    pub since: Timestamp,
}

/// One auto scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoScalingGroup {
    /// Its name.
    pub name: AutoScalingGroupName,
    /// A random UUID, part of its ARN.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// What new members are launched with.
    pub launch: LaunchSource,
    /// The fewest members.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// How many there are to be, from `min` to `max`.
    pub desired: u32,
    /// Seconds after a scaling activity in which simple policies do nothing.
    pub cooldown: u32,
    /// Where members go.
    pub zones: Vec<ZoneName>,
    /// Subnets as stated, comma-separated, where zones were named by them.
    pub subnets: Option<String>,
    /// Behind which balancers they go.
    pub balancers: BTreeSet<LoadBalancerName>,
    /// What their health is judged by.
    pub health_check: HealthCheckType,
    /// Seconds in service in which balancers' verdicts do not count.
    pub grace: u32,
    /// Who goes first.
    pub termination: Vec<TerminationPolicy>,
    /// Whether scaling in spares new members.
    pub protects_new: bool,
    /// Seconds after which members are replaced.
    pub max_lifetime: Option<u32>,
    /// Seconds that a new member takes until its metrics count.
    pub warmup: Option<u32>,
    /// What it does not do at present, and why, in AWS's words.
    pub suspended: BTreeMap<Process, String>,
    /// Metrics of the group that were asked for.
    pub metrics: BTreeSet<String>,
    /// Tags by key, at most 50.
    pub tags: BTreeMap<String, GroupTag>,
    /// Its members, on their way in and out as well.
    pub members: BTreeMap<InstanceId, Member>,
    /// What changed `desired` since it was last reached, in sentences; the newest at most five.
    pub why: Vec<String>,
    /// When a scaling activity last ended.
    pub scaled: Option<Timestamp>,
    /// Seconds of rest after the last change of the wish, where the simple policy that made it has its own.
    #[serde(default)]
    pub rest: Option<u32>,
    /// Launches that came to nothing, since one last came to something.
    pub setback: Option<Setback>,
    /// Hooks by name.
    #[serde(default)]
    pub hooks: BTreeMap<ScalingName, Hook>,
    /// Scaling policies by name.
    #[serde(default)]
    pub policies: BTreeMap<ScalingName, ScalingPolicy>,
    /// Scheduled actions by name.
    #[serde(default)]
    pub schedule: BTreeMap<ScalingName, ScheduledAction>,
    /// What policies did before, as far as it counts.
    #[serde(default)]
    pub history: History,
    /// The last decisions of policies that changed the wish, the newest last.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// Its instance refreshes, the newest last.
    #[serde(default)]
    pub refreshes: Vec<InstanceRefresh>,
    /// Topics that are told of its activities, and of which.
    #[serde(default)]
    pub notifications: BTreeMap<TopicArn, BTreeSet<NotificationType>>,
    /// What it keeps ready beside those that count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<WarmPool>,
    /// What is still to be told, the oldest first.
    #[serde(default)]
    pub notices: Vec<GroupNotice>,
    /// The number of the last of them that there was.
    #[serde(default)]
    pub last_notice: u64,
    /// Whether it goes once it has no member any more.
    pub is_going: bool,
}

impl AutoScalingGroup {
    /// Its Amazon Resource Name.
    #[must_use]
    pub fn arn(&self, region: &str, account: &str) -> String {
        let (id, name) = (&self.id, &self.name);
        format!("arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{id}:autoScalingGroupName/{name}")
    }

    /// How many members count as capacity.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let count = self.members.values().filter(|member| member.state.counts()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Its members but for those of the warm pool.
    pub fn active(&self) -> impl Iterator<Item = (&InstanceId, &Member)> {
        self.members.iter().filter(|(_, member)| !member.state.is_warmed())
    }

    /// How many there are to be in its warm pool.
    #[must_use]
    pub fn pool_size(&self) -> u32 {
        self.pool.filter(|_| !self.is_going).map_or(0, |pool| pool.size(self.desired, self.max))
    }

    /// How many are in its warm pool, or on their way into it.
    #[must_use]
    pub fn pooled(&self) -> u32 {
        let count = self.members.values().filter(|member| member.state.is_pooled()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether nobody is in its warm pool, nor on the way in or out.
    #[must_use]
    pub fn has_empty_pool(&self) -> bool {
        !self.members.values().any(|member| member.state.is_warmed())
    }

    /// Whether nothing is left of it: no member, and nothing to be told.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.members.is_empty() && self.notices.is_empty()
    }

    /// Whether it does this by itself at present.
    #[must_use]
    pub fn does(&self, process: Process) -> bool {
        !self.suspended.contains_key(&process)
    }

    /// Whether it launches members when there are to be more.
    #[must_use]
    pub fn grows(&self) -> bool {
        !self.is_going && self.max > 0 && self.does(Process::Launch)
    }

    /// Whether it may change its wish by what comes to its balancers: it may be empty, and does as it is told.
    #[must_use]
    pub fn wakes(&self) -> bool {
        self.min == 0 && self.grows() && self.does(Process::AlarmNotification)
    }

    /// Whether requests at its balancers wait for its members while nobody is in service: it may be empty, and somebody is to
    /// come or will be.
    #[must_use]
    pub fn holds_requests(&self) -> bool {
        self.wakes() || (self.min == 0 && self.desired > 0 && self.grows())
    }

    /// Whether it may be emptied where nobody asks anything of it: all its members are there, and none is about to come or go.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        let settled = self.active().all(|(_, member)| member.state == LifecycleState::InService);
        let all = usize::try_from(self.desired).is_ok_and(|desired| desired == self.active().count());
        let does = |process| self.does(process);
        self.min == 0
            && self.desired > 0
            && !self.is_going
            && !self.balancers.is_empty()
            && settled
            && all
            && does(Process::AlarmNotification)
            && does(Process::Terminate)
    }

    /// After how many seconds without a request it is emptied, if it is.
    #[must_use]
    pub fn idle_after(&self) -> Option<u32> {
        idle_seconds(&self.tags.get(IDLE_TAG)?.value)
    }

    /// How calmly it is scaled by policies that track targets, as its [`PACE_TAGS`] say.
    pub fn behavior(&self) -> Result<Behavior, BadScaling> {
        let [out_cooldown, out_window, in_cooldown, in_window] = PACE_TAGS;
        let seconds = |key: &'static str| match self.tags.get(key) {
            None => Ok(Duration::ZERO),
            Some(tag) => match tag.value.parse::<u64>() {
                Ok(seconds) if seconds <= LONGEST_PACE => Ok(Duration::from_secs(seconds)),
                _ => Err(BadScaling::PaceTag { key, most: LONGEST_PACE }),
            },
        };
        let pace = |cooldown, window| Ok(Pace { cooldown: seconds(cooldown)?, stabilization: seconds(window)? });
        Ok(Behavior { up: pace(out_cooldown, out_window)?, down: pace(in_cooldown, in_window)? })
    }

    /// The hooks before a transition.
    pub fn hooks_before(&self, transition: Transition) -> impl Iterator<Item = (&ScalingName, &Hook)> {
        self.hooks.iter().filter(move |(_, hook)| hook.transition == transition)
    }
}

/// Reads what [`IDLE_TAG`] says.
#[must_use]
pub fn idle_seconds(text: &str) -> Option<u32> {
    text.parse().ok().filter(|seconds| IDLE_SECONDS.contains(seconds))
}
