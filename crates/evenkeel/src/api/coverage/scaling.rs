//! What is to be known of Auto Scaling's operations and parameters, as [`super::remarks`] has it of the others.

use evenkeel_aws::Api::{self, AutoScaling};

use super::remarks::Absent;
use super::remarks::Served::{self, No, Partly, Yes};

const NO_TARGET_GROUPS: Served = No("Refused: there are classic load balancers.");
const NO_KERNEL: Served = No("Refused: instances run on the node's kernel.");
const NOT_MANAGED: Served = Yes("No group here is managed by another service: it changes nothing.");
const TOPIC: Served = Partly("Topics of SNS; queues are refused.");
const IGNORED: Served = No("Ignored so far.");
const NO_RESERVATIONS: Served = No("Ignored: there are no capacity reservations.");
const NO_MIX: Served = No("Ignored: a group without another launch source is refused.");
const NO_SHIFTS: Served = No("Ignored: there are no zonal shifts.");
const BY_NAME: Served = No("Ignored: name the zones, or their subnets.");
const ONE_MEASURE: Served = No("Ignored: a group counts its instances.");

/// API, operation (`*` for all), parameter or a name above some, and what there is to know.
pub(super) const REMARKS: &[(Api, &str, &str, Served)] = &[
    (AutoScaling, "*", "IncludeManagedResources", NOT_MANAGED),
    (AutoScaling, "*", "MixedInstancesPolicy", NO_MIX),
    (AutoScaling, "*", "AvailabilityZoneIds", BY_NAME),
    (AutoScaling, "*", "PlacementGroup", No("Ignored: there are no placement groups.")),
    (AutoScaling, "*", "CapacityRebalance", No("Ignored: there are no Spot instances.")),
    (AutoScaling, "*", "DeletionProtection", IGNORED),
    (AutoScaling, "*", "ServiceLinkedRoleARN", No("Ignored: a group acts for itself.")),
    (AutoScaling, "*", "Context", No("Ignored: AWS reserves it.")),
    (AutoScaling, "*", "DesiredCapacityType", ONE_MEASURE),
    (AutoScaling, "*", "InstanceMaintenancePolicy", IGNORED),
    (AutoScaling, "*", "AvailabilityZoneDistribution", No("Ignored: it is `balanced-best-effort`.")),
    (AutoScaling, "*", "AvailabilityZoneImpairmentPolicy", NO_SHIFTS),
    (AutoScaling, "*", "SkipZonalShiftValidation", NO_SHIFTS),
    (AutoScaling, "*", "CapacityReservationSpecification", NO_RESERVATIONS),
    (AutoScaling, "*", "InstanceLifecyclePolicy", IGNORED),
    (AutoScaling, "*", "Operator", NOT_MANAGED),
    (
        AutoScaling,
        "CreateAutoScalingGroup",
        "InstanceId",
        No("Refused: CreateLaunchConfiguration takes an instance's id."),
    ),
    (AutoScaling, "CreateAutoScalingGroup", "TargetGroupARNs", NO_TARGET_GROUPS),
    (AutoScaling, "CreateAutoScalingGroup", "TrafficSources", No("Ignored: name load balancers.")),
    (AutoScaling, "CreateAutoScalingGroup", "LifecycleHookSpecificationList.NotificationTargetARN", TOPIC),
    (
        AutoScaling,
        "CreateAutoScalingGroup",
        "LifecycleHookSpecificationList.RoleARN",
        No("Ignored: there are no roles."),
    ),
    (AutoScaling, "*", "NotificationTargetARN", TOPIC),
    (AutoScaling, "*", "RoleARN", No("Ignored: there are no roles.")),
    (AutoScaling, "*", "HealthCheckType", Partly("`EC2` and `ELB`; others are refused.")),
    (AutoScaling, "CreateLaunchConfiguration", "ClassicLinkVPCId", No("Ignored: there is one network.")),
    (AutoScaling, "CreateLaunchConfiguration", "ClassicLinkVPCSecurityGroups", No("Ignored: there is one network.")),
    (AutoScaling, "CreateLaunchConfiguration", "KernelId", NO_KERNEL),
    (AutoScaling, "CreateLaunchConfiguration", "RamdiskId", NO_KERNEL),
    (
        AutoScaling,
        "CreateLaunchConfiguration",
        "BlockDeviceMappings",
        No("Ignored: an instance has a folder of the node's disk, not volumes."),
    ),
    (AutoScaling, "CreateLaunchConfiguration", "SpotPrice", No("Refused: there is no market.")),
    (AutoScaling, "CreateLaunchConfiguration", "IamInstanceProfile", No("Refused: there are no instance profiles.")),
    (AutoScaling, "CreateLaunchConfiguration", "PlacementTenancy", Partly("`default`; others are refused.")),
    (
        AutoScaling,
        "CreateLaunchConfiguration",
        "MetadataOptions",
        No("Ignored: instances may ask for their metadata in both versions."),
    ),
    (AutoScaling, "CreateLaunchConfiguration", "AssociatePublicIpAddress", Yes("Recorded: addresses are private.")),
    (AutoScaling, "CreateLaunchConfiguration", "KeyName", Yes("Recorded.")),
    (
        AutoScaling,
        "PutScalingPolicy",
        "PolicyType",
        Yes("`SimpleScaling`, `StepScaling`, `TargetTrackingScaling` and `PredictiveScaling`."),
    ),
    (
        AutoScaling,
        "PutScalingPolicy",
        "TargetTrackingConfiguration",
        Yes(
            "Judged each second where the metric is measured here and states no period. Bytes are refused where no zone measures them.",
        ),
    ),
    (
        AutoScaling,
        "PutScalingPolicy",
        "PredictiveScalingConfiguration",
        Yes("Forecasts are made here, by medians of hours. Hourly values: `SEARCH` is not known."),
    ),
    (AutoScaling, "GetPredictiveScalingForecast", "StartTime", Yes("What was foreseen is kept for two days after.")),
    (AutoScaling, "TerminateInstanceInAutoScalingGroup", "InstanceIds", No("Ignored: name one instance a call.")),
    (
        AutoScaling,
        "TerminateInstanceInAutoScalingGroup",
        "AutoScalingGroupName",
        No("Ignored: an instance is in one group alone."),
    ),
    (
        AutoScaling,
        "PutWarmPool",
        "PoolState",
        Partly("`Stopped` and `Running`; `Hibernated` is refused: memory is not kept."),
    ),
    (
        AutoScaling,
        "StartInstanceRefresh",
        "Strategy",
        Partly("`Rolling`; `ReplaceRootVolume` is refused: instances have no volumes."),
    ),
    (
        AutoScaling,
        "StartInstanceRefresh",
        "DesiredConfiguration.MixedInstancesPolicy",
        Partly("Its launch template, where nothing is mixed; overrides and distributions are refused."),
    ),
    (AutoScaling, "DescribeScalingActivities", "Filters", No("Ignored: name the group, or the activities.")),
];

const fn absent(operations: &'static str, why: &'static str) -> Absent {
    Absent { api: AutoScaling, operations, why, named: true }
}

/// Operations that are not served, and why.
pub(super) const ABSENT: &[Absent] = &[
    absent("LaunchInstances", "SetDesiredCapacity has a group launch more."),
    absent("*TargetGroups *TrafficSources", "There are classic load balancers."),
    absent("*AccountSetting*", "There are no settings of the account."),
];
