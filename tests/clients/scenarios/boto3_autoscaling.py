"""Judges with boto3 that groups are Auto Scaling's: every call that is served, in order and against botocore's model, with its effect on real
instances behind a real balancer.

Must never test how a group decides; the daemon's own tests do. Reader goes next to `boto_asadmin.py`.
"""

import datetime
import re

import judge
from judge import expect, expect_has, expect_match, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B, C = AIM.zones[:3]
GROUP, LAUNCH, BALANCER = AIM.name, AIM.name + "-lc", AIM.name
CALLED = {
    "AttachInstances", "AttachLoadBalancers", "CompleteLifecycleAction", "CreateAutoScalingGroup", "CreateLaunchConfiguration",
    "CreateOrUpdateTags", "DeleteAutoScalingGroup", "DeleteLaunchConfiguration", "DeleteLifecycleHook", "DeleteTags",
    "DescribeAccountLimits", "DescribeAdjustmentTypes", "DescribeAutoScalingGroups", "DescribeAutoScalingInstances",
    "DescribeLaunchConfigurations", "DescribeLifecycleHookTypes", "DescribeLifecycleHooks", "DescribeLoadBalancers",
    "DescribeMetricCollectionTypes", "DescribeScalingActivities", "DescribeScalingProcessTypes", "DescribeTags",
    "DescribeTerminationPolicyTypes", "DetachInstances", "DetachLoadBalancers", "DisableMetricsCollection",
    "EnableMetricsCollection", "EnterStandby", "ExitStandby", "PutLifecycleHook", "RecordLifecycleActionHeartbeat",
    "ResumeProcesses", "SetDesiredCapacity", "SetInstanceHealth", "SetInstanceProtection", "SuspendProcesses",
    "TerminateInstanceInAutoScalingGroup", "UpdateAutoScalingGroup",
    "BatchDeleteScheduledAction", "BatchPutScheduledUpdateGroupAction", "DeletePolicy", "DeleteScheduledAction", "DescribePolicies",
    "DescribeScheduledActions", "ExecutePolicy", "PutScalingPolicy", "DeleteNotificationConfiguration",
    "DescribeAutoScalingNotificationTypes", "DescribeNotificationConfigurations", "PutNotificationConfiguration", "PutScheduledUpdateGroupAction",
}  # fmt: skip


def main():
    scaling, elb, ec2 = boto3.client("autoscaling"), boto3.client("elb"), boto3.client("ec2")
    watched = Watched(scaling)
    listener = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
    elb.create_load_balancer(LoadBalancerName=BALANCER, Listeners=[listener], AvailabilityZones=[A, B, C])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=BALANCER))
    words(scaling)
    configurations(scaling)
    created(scaling, elb, ec2)
    changed(scaling, ec2)
    members(scaling, elb, ec2)
    hooks(scaling)
    balancers(scaling, elb)
    policies(scaling)
    notifications(scaling)
    schedules(scaling)
    templates(scaling, ec2)
    ended(scaling, ec2)
    expect("every answer is as modelled", watched.wrong, [])
    expect("every call was made", CALLED - watched.called, set())


def group(scaling):
    return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]


def in_service(scaling):
    return sorted(i["InstanceId"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "InService")


def serving(scaling, count):
    return until("%d are in service" % count, lambda: in_service(scaling), lambda ids: len(ids) == count)


def words(scaling):
    expect_has("termination policies", scaling.describe_termination_policy_types()["TerminationPolicyTypes"], "OldestInstance")
    kinds = [one["AdjustmentType"] for one in scaling.describe_adjustment_types()["AdjustmentTypes"]]
    expect("adjustment types", kinds, ["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"])
    expect("processes", len(scaling.describe_scaling_process_types()["Processes"]), 9)
    expect("hook types", len(scaling.describe_lifecycle_hook_types()["LifecycleHookTypes"]), 2)
    expect_has("metrics", str(scaling.describe_metric_collection_types()["Metrics"]), "GroupInServiceInstances")
    expect("limits", scaling.describe_account_limits()["MaxNumberOfAutoScalingGroups"], 500)


def configurations(scaling):
    new = dict(LaunchConfigurationName=LAUNCH, ImageId=AIM.image, InstanceType="m1.small")
    scaling.create_launch_configuration(UserData="greeting=hello", KeyName="ops", **new)
    held = scaling.describe_launch_configurations(LaunchConfigurationNames=[LAUNCH])["LaunchConfigurations"][0]
    expect("its image, type and key", (held["ImageId"], held["InstanceType"], held["KeyName"]), (AIM.image, "m1.small", "ops"))
    expect("its user data, as botocore encodes them", held["UserData"], "Z3JlZXRpbmc9aGVsbG8=")
    expect_match(
        "its ARN",
        held["LaunchConfigurationARN"],
        r"arn:aws:autoscaling:us-east-1:\d{12}:launchConfiguration:[0-9a-f-]{36}:launchConfigurationName/" + LAUNCH,
    )
    refused("the name twice", lambda: scaling.create_launch_configuration(**new), "AlreadyExists")
    nowhere = dict(new, LaunchConfigurationName=LAUNCH + "-2", ImageId="ami-00000000")
    refused("an image that is not there", lambda: scaling.create_launch_configuration(**nowhere), "ValidationError")
    gone = refused(
        "an end of one that is not there", lambda: scaling.delete_launch_configuration(LaunchConfigurationName="nope"), "ValidationError"
    )
    expect_has("in AWS's words", gone.message, "Launch configuration name not found")


def created(scaling, elb, ec2):
    new = dict(AutoScalingGroupName=GROUP, MinSize=1, MaxSize=4, AvailabilityZones=[A, B, C])
    refused("without a launch source", lambda: scaling.create_auto_scaling_group(**new), "ValidationError")
    new["LaunchConfigurationName"] = LAUNCH
    refused("with more than the most", lambda: scaling.create_auto_scaling_group(**dict(new, DesiredCapacity=9)), "ValidationError")
    tags = [{"Key": "Name", "Value": "web", "PropagateAtLaunch": True}, {"Key": "own", "Value": "x", "PropagateAtLaunch": False}]
    scaling.create_auto_scaling_group(
        DesiredCapacity=3, LoadBalancerNames=[BALANCER], HealthCheckType="ELB", HealthCheckGracePeriod=120, Tags=tags, **new
    )
    judge.at_end(lambda: scaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True))
    refused("the name twice", lambda: scaling.create_auto_scaling_group(**new), "AlreadyExists")
    refused("its configuration's end", lambda: scaling.delete_launch_configuration(LaunchConfigurationName=LAUNCH), "ResourceInUse")
    ids = serving(scaling, 3)
    shown = group(scaling)
    expect("one in each zone", sorted(i["AvailabilityZone"] for i in shown["Instances"]), [A, B, C])
    expect("all are healthy", {i["HealthStatus"] for i in shown["Instances"]}, {"Healthy"})
    expect("by which configuration", {i["LaunchConfigurationName"] for i in shown["Instances"]}, {LAUNCH})
    expect("how many", (shown["MinSize"], shown["MaxSize"], shown["DesiredCapacity"], shown["DefaultCooldown"]), (1, 4, 3, 300))
    expect("judged by", (shown["HealthCheckType"], shown["HealthCheckGracePeriod"]), ("ELB", 120))
    behind = elb.describe_load_balancers(LoadBalancerNames=[BALANCER])["LoadBalancerDescriptions"][0]["Instances"]
    expect("all are behind the balancer", sorted(i["InstanceId"] for i in behind), ids)
    until(
        "and in service there",
        lambda: {s["State"] for s in elb.describe_instance_health(LoadBalancerName=BALANCER)["InstanceStates"]},
        lambda states: states == {"InService"},
    )
    one = ec2.describe_instances(InstanceIds=ids[:1])["Reservations"][0]["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    expect("what a member is tagged", tags, {"Name": "web", "aws:autoscaling:groupName": GROUP})
    activities = scaling.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    expect("what is told of", [(a["StatusCode"], a["Progress"]) for a in activities], [("Successful", 100)] * 3)
    expect_match(
        "and why",
        activities[0]["Cause"],
        r"At \S+Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 3\.  At \S+Z an instance was "
        r"started in response to a difference between desired and actual capacity, increasing the capacity from \d to \d\.",
    )
    pages = scaling.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=GROUP, PaginationConfig={"PageSize": 1})
    expect("page by page", [a["ActivityId"] for page in pages for a in page["Activities"]], [a["ActivityId"] for a in activities])


def changed(scaling, ec2):
    refused("too many", lambda: scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=5), "ValidationError")
    refused(
        "in its cooldown",
        lambda: scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2, HonorCooldown=True),
        "ScalingActivityInProgress",
    )
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    serving(scaling, 2)
    until("the third is gone", lambda: len(group(scaling)["Instances"]), lambda count: count == 2)
    scaling.update_auto_scaling_group(
        AutoScalingGroupName=GROUP, MinSize=0, DefaultCooldown=5, TerminationPolicies=["OldestInstance", "Default"], MaxInstanceLifetime=86400
    )
    shown = group(scaling)
    expect("its policies", shown["TerminationPolicies"], ["OldestInstance", "Default"])
    expect("its cooldown and life", (shown["DefaultCooldown"], shown["MaxInstanceLifetime"]), (5, 86400))
    refused("an empty name", lambda: scaling.update_auto_scaling_group(AutoScalingGroupName="nope", MinSize=0), "ValidationError")
    scaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch", "AlarmNotification"])
    suspended = [one["ProcessName"] for one in group(scaling)["SuspendedProcesses"]]
    expect("suspended", suspended, ["AlarmNotification", "Launch"])
    scaling.resume_processes(AutoScalingGroupName=GROUP)
    expect("resumed", group(scaling)["SuspendedProcesses"], [])
    scaling.enable_metrics_collection(AutoScalingGroupName=GROUP, Granularity="1Minute", Metrics=["GroupMinSize"])
    expect("metrics", [one["Metric"] for one in group(scaling)["EnabledMetrics"]], ["GroupMinSize"])
    scaling.disable_metrics_collection(AutoScalingGroupName=GROUP)
    expect("no metrics", group(scaling)["EnabledMetrics"], [])
    tag = {"ResourceId": GROUP, "ResourceType": "auto-scaling-group", "Key": "own"}
    scaling.create_or_update_tags(Tags=[dict(tag, Value="y", PropagateAtLaunch=True)])
    found = scaling.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": [GROUP]}, {"Name": "key", "Values": ["own"]}])["Tags"]
    expect("its tag", [(one["Value"], one["PropagateAtLaunch"]) for one in found], [("y", True)])
    by_tag = scaling.describe_auto_scaling_groups(Filters=[{"Name": "tag:own", "Values": ["y"]}])["AutoScalingGroups"]
    expect("found by its tag", [one["AutoScalingGroupName"] for one in by_tag], [GROUP])
    scaling.delete_tags(Tags=[tag])
    expect("its tag is gone", [one["Key"] for one in group(scaling)["Tags"]], ["Name"])


def members(scaling, elb, ec2):
    one, two = in_service(scaling)
    scaling.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[one], ProtectedFromScaleIn=True)
    shown = scaling.describe_auto_scaling_instances(InstanceIds=[one])["AutoScalingInstances"][0]
    expect("a member by itself", (shown["AutoScalingGroupName"], shown["HealthStatus"]), (GROUP, "HEALTHY"))
    promise("it is protected", shown["ProtectedFromScaleIn"], True, shown)
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    until("the other one goes", lambda: [i["InstanceId"] for i in group(scaling)["Instances"]], lambda ids: ids == [one])
    until(
        "and is terminated",
        lambda: ec2.describe_instances(InstanceIds=[two])["Reservations"][0]["Instances"][0]["State"]["Name"],
        lambda state: state == "terminated",
    )

    told = scaling.enter_standby(AutoScalingGroupName=GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)["Activities"]
    expect_has("what is told of", told[0]["Description"], "Moving EC2 instance to Standby: " + one)
    until("it stands by", lambda: group(scaling)["Instances"][0]["LifecycleState"], lambda state: state == "Standby")
    expect("nobody is wanted", group(scaling)["DesiredCapacity"], 0)
    scaling.exit_standby(AutoScalingGroupName=GROUP, InstanceIds=[one])
    serving(scaling, 1)

    told = scaling.detach_instances(AutoScalingGroupName=GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)["Activities"]
    expect_has("what is told of", told[0]["Description"], "Detaching EC2 instance: " + one)
    until("it has left", lambda: group(scaling)["Instances"], lambda instances: instances == [])
    state = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["State"]["Name"]
    expect("and runs on", state, "running")
    scaling.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[one])
    expect("it is back", (in_service(scaling), group(scaling)["DesiredCapacity"]), ([one], 1))
    refused("it twice", lambda: scaling.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[one]), "ValidationError")

    scaling.set_instance_health(InstanceId=one, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    until("another is in its place", lambda: in_service(scaling), lambda ids: len(ids) == 1 and ids != [one])
    other = in_service(scaling)[0]
    told = scaling.terminate_instance_in_auto_scaling_group(InstanceId=other, ShouldDecrementDesiredCapacity=False)["Activity"]
    expect_has("what is told of", told["Description"], "Terminating EC2 instance: " + other)
    until("another is in its place", lambda: in_service(scaling), lambda ids: len(ids) == 1 and ids != [other])
    refused(
        "an end of nobody",
        lambda: scaling.terminate_instance_in_auto_scaling_group(InstanceId="i-00000000", ShouldDecrementDesiredCapacity=False),
        "ValidationError",
    )


def hooks(scaling):
    hook = dict(AutoScalingGroupName=GROUP, LifecycleHookName="warm")
    refused("without a transition", lambda: scaling.put_lifecycle_hook(**hook), "ValidationError")
    scaling.put_lifecycle_hook(LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING", HeartbeatTimeout=60, **hook)
    held = scaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"][0]
    expect("a hook", (held["HeartbeatTimeout"], held["GlobalTimeout"], held["DefaultResult"]), (60, 6000, "ABANDON"))
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    waiting = until(
        "one waits",
        lambda: [i["InstanceId"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "Pending:Wait"],
        lambda ids: len(ids) == 1,
    )[0]
    scaling.record_lifecycle_action_heartbeat(InstanceId=waiting, **hook)
    scaling.complete_lifecycle_action(InstanceId=waiting, LifecycleActionResult="CONTINUE", **hook)
    expect_has("it goes on", serving(scaling, 2), waiting)
    refused(
        "an answer to nobody",
        lambda: scaling.complete_lifecycle_action(InstanceId=waiting, LifecycleActionResult="CONTINUE", **hook),
        "ValidationError",
    )
    scaling.delete_lifecycle_hook(**hook)
    expect("no hook", scaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"], [])


def balancers(scaling, elb):
    until(
        "how its balancer is",
        lambda: scaling.describe_load_balancers(AutoScalingGroupName=GROUP)["LoadBalancers"],
        lambda held: held == [{"LoadBalancerName": BALANCER, "State": "InService"}],
    )
    scaling.detach_load_balancers(AutoScalingGroupName=GROUP, LoadBalancerNames=[BALANCER])
    behind = elb.describe_load_balancers(LoadBalancerNames=[BALANCER])["LoadBalancerDescriptions"][0]["Instances"]
    expect("nobody is behind it", behind, [])
    scaling.attach_load_balancers(AutoScalingGroupName=GROUP, LoadBalancerNames=[BALANCER])
    behind = elb.describe_load_balancers(LoadBalancerNames=[BALANCER])["LoadBalancerDescriptions"][0]["Instances"]
    expect("all are behind it", sorted(one["InstanceId"] for one in behind), in_service(scaling))
    refused(
        "one that is not there",
        lambda: scaling.attach_load_balancers(AutoScalingGroupName=GROUP, LoadBalancerNames=["nope"]),
        "ValidationError",
    )


def policies(scaling):
    policy = dict(AutoScalingGroupName=GROUP, PolicyName="more")
    refused("without a type of adjustment", lambda: scaling.put_scaling_policy(ScalingAdjustment=1, **policy), "ValidationError")
    change = dict(AdjustmentType="ChangeInCapacity", **policy)
    gap = [{"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 1, "ScalingAdjustment": 1}]
    refused(
        "steps that end", lambda: scaling.put_scaling_policy(PolicyType="StepScaling", StepAdjustments=gap, **change), "ValidationError"
    )
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 50, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 50, "ScalingAdjustment": 2},
    ]
    arn = scaling.put_scaling_policy(PolicyType="StepScaling", StepAdjustments=steps, EstimatedInstanceWarmup=0, **change)["PolicyARN"]
    expect_match("its ARN", arn, r"arn:aws:autoscaling:us-east-1:\d{12}:scalingPolicy:[0-9a-f-]{36}:autoScalingGroupName/%s:policyName/more" % GROUP)
    fewer = dict(AutoScalingGroupName=GROUP, PolicyName="fewer")
    scaling.put_scaling_policy(AdjustmentType="ExactCapacity", ScalingAdjustment=1, Cooldown=1, **fewer)
    held = scaling.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"]
    expect("two policies", [(one["PolicyName"], one["PolicyType"]) for one in held], [("fewer", "SimpleScaling"), ("more", "StepScaling")])
    expect("its steps", held[1]["StepAdjustments"], steps)
    refused("a step policy without a metric", lambda: scaling.execute_policy(**policy), "ValidationError")
    scaling.execute_policy(PolicyName=arn, MetricValue=60, BreachThreshold=50)
    serving(scaling, 3)
    scaling.execute_policy(**fewer)
    serving(scaling, 1)
    by_alarm(scaling, arn)
    targets(scaling)
    scaling.delete_policy(PolicyName=arn)
    scaling.delete_policy(**fewer)
    expect("no policy", scaling.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"], [])
    refused("it twice", lambda: scaling.delete_policy(**policy), "ValidationError")


def notifications(scaling):
    """Topics that are told, shown in pages, taken off; what is told, the daemon's own tests look at."""
    sns = boto3.client("sns")
    topics = [sns.create_topic(Name="%s-%s" % (GROUP, name))["TopicArn"] for name in ("one", "two")]
    judge.at_end(lambda: [sns.delete_topic(TopicArn=topic) for topic in topics])
    kinds = scaling.describe_auto_scaling_notification_types()["AutoScalingNotificationTypes"]
    expect_has("the types", kinds, "autoscaling:EC2_INSTANCE_LAUNCH_ERROR")

    def put(topic, *kinds):
        return scaling.put_notification_configuration(AutoScalingGroupName=GROUP, TopicARN=topic, NotificationTypes=list(kinds))

    refused("a topic that is not there", lambda: put(topics[0] + "-gone", kinds[0]), "ValidationError")
    refused("a queue", lambda: put("arn:aws:sqs:us-east-1:000000000000:q", kinds[0]), "ValidationError")
    refused("a type that is none", lambda: put(topics[0], "autoscaling:MOOD"), "ValidationError")
    put(topics[0], *kinds[:3])
    put(topics[1], kinds[0])
    put(topics[0], *kinds[:2])
    pages = scaling.get_paginator("describe_notification_configurations")
    shown = pages.paginate(AutoScalingGroupNames=[GROUP], PaginationConfig={"PageSize": 2}).build_full_result()
    told = sorted((one["TopicARN"], one["NotificationType"]) for one in shown["NotificationConfigurations"])
    expect("in place of what was there", told, sorted([(topics[0], kinds[0]), (topics[0], kinds[1]), (topics[1], kinds[0])]))
    for topic in topics:
        scaling.delete_notification_configuration(AutoScalingGroupName=GROUP, TopicARN=topic)
    refused(
        "it twice",
        lambda: scaling.delete_notification_configuration(AutoScalingGroupName=GROUP, TopicARN=topics[0]),
        "ValidationError",
    )
    hook = dict(AutoScalingGroupName=GROUP, LifecycleHookName="told", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING")
    role = "arn:aws:iam::000000000000:role/told"
    scaling.put_lifecycle_hook(NotificationTargetARN=topics[0], RoleARN=role, **hook)
    (held,) = scaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP, LifecycleHookNames=["told"])["LifecycleHooks"]
    expect("whom a hook tells", (held["NotificationTargetARN"], held["RoleARN"]), (topics[0], role))
    scaling.put_lifecycle_hook(NotificationTargetARN="", **hook)
    (held,) = scaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP, LifecycleHookNames=["told"])["LifecycleHooks"]
    expect("and then nobody", "NotificationTargetARN" in held, False)
    scaling.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="told")


def targets(scaling):
    """A metric kept at a target, and the alarms that come and go with the policy."""
    watch = boto3.client("cloudwatch")
    policy = dict(AutoScalingGroupName=GROUP, PolicyName="target", PolicyType="TargetTrackingScaling")
    metric = dict(Namespace="Jobs", MetricName="Waiting", Dimensions=[{"Name": "Queue", "Value": "one"}], Statistic="Average")

    def put(**of):
        return scaling.put_scaling_policy(TargetTrackingConfiguration=dict(TargetValue=10.0, **of), **policy)

    refused("no metric", lambda: put(), "ValidationError")
    refused("no target", lambda: scaling.put_scaling_policy(**policy), "ValidationError")
    refused("no statistic", lambda: put(CustomizedMetricSpecification=dict(metric, Statistic="Most")), "ValidationError")
    refused("no such metric", lambda: put(PredefinedMetricSpecification={"PredefinedMetricType": "ASGMood"}), "ValidationError")
    unmeasured = {"PredefinedMetricType": "ASGAverageNetworkIn"}
    why = re.compile("ASGAverageNetworkIn is not measured in the AutoScalingGroup's Availability Zones: .*")
    refused("a metric that is not measured", lambda: put(PredefinedMetricSpecification=unmeasured), "ValidationError", message=why)
    refused("no period", lambda: put(CustomizedMetricSpecification=dict(metric, Period=7)), "ValidationError")
    made = put(CustomizedMetricSpecification=metric, DisableScaleIn=True)
    shown = scaling.describe_policies(PolicyNames=["target"])["ScalingPolicies"][0]
    wanted = {"TargetValue": 10.0, "DisableScaleIn": True, "CustomizedMetricSpecification": metric}
    expect("what was stated", shown["TargetTrackingConfiguration"], wanted)
    expect("its one alarm", len(made["Alarms"]), 1)
    queries = [
        {"Id": "jobs", "MetricStat": {"Metric": {k: metric[k] for k in ("Namespace", "MetricName")}, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "each", "Expression": "jobs / 2", "ReturnData": True},
    ]
    put(CustomizedMetricSpecification={"Metrics": queries})
    shown = scaling.describe_policies(PolicyNames=["target"])["ScalingPolicies"][0]
    expect("its expression", shown["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]["Metrics"], queries)
    made = put(PredefinedMetricSpecification={"PredefinedMetricType": "ASGAverageCPUUtilization"})["Alarms"]
    expect_match("the high alarm", made[0]["AlarmName"], r"TargetTracking-%s-AlarmHigh-[0-9a-f-]{36}" % GROUP)
    alarms = watch.describe_alarms(AlarmNames=[one["AlarmName"] for one in made])["MetricAlarms"]
    told = [(one["ComparisonOperator"], one["Threshold"], one["EvaluationPeriods"], one["Period"]) for one in alarms]
    expect("as AWS makes them, by the second", told, [("GreaterThanThreshold", 10.0, 3, 1), ("LessThanThreshold", 9.0, 15, 1)])
    refused("what only its alarms do", lambda: scaling.execute_policy(AutoScalingGroupName=GROUP, PolicyName="target"), "ValidationError")
    tag = dict(ResourceId=GROUP, ResourceType="auto-scaling-group", Key="evenkeel:scale-in-stabilization", PropagateAtLaunch=False)
    refused("a pace that is none", lambda: scaling.create_or_update_tags(Tags=[dict(tag, Value="soon")]), "ValidationError")
    scaling.create_or_update_tags(Tags=[dict(tag, Value="120")])
    low = watch.describe_alarms(AlarmNames=[made[1]["AlarmName"]])["MetricAlarms"][0]
    expect("two minutes below before anybody goes", low["EvaluationPeriods"], 120)
    scaling.delete_tags(Tags=[dict(tag)])
    scaling.delete_policy(AutoScalingGroupName=GROUP, PolicyName="target")
    expect("its alarms are gone", watch.describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"], [])


def by_alarm(scaling, arn):
    """A metric of anybody's, an alarm on it, and the policy that it triggers."""
    watch = boto3.client("cloudwatch")
    metric = {"Namespace": "Jobs", "MetricName": "Waiting"}
    watch.put_metric_alarm(
        AlarmName=GROUP, AlarmActions=[arn], Statistic="Maximum", Period=10, EvaluationPeriods=1, Threshold=10,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", **metric
    )  # fmt: skip
    judge.at_end(lambda: watch.delete_alarms(AlarmNames=[GROUP]))
    shown = scaling.describe_policies(PolicyNames=["more"])["ScalingPolicies"][0]
    expect("its alarm", [one["AlarmName"] for one in shown["Alarms"]], [GROUP])

    def put():
        watch.put_metric_data(Namespace="Jobs", MetricData=[{"MetricName": "Waiting", "Value": 15, "StorageResolution": 1}])
        return in_service(scaling)

    until("an alarm goes off, and the group grows", put, lambda ids: len(ids) >= 2, seconds=60, every=1)
    causes = [one["Cause"] for one in scaling.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]]
    told = "a monitor alarm %s in state ALARM triggered policy more changing the desired capacity from 1 to 2." % GROUP
    promise("and says why", any(told in cause for cause in causes), told, causes[:4])


def schedules(scaling):
    action = dict(AutoScalingGroupName=GROUP, ScheduledActionName="night")
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    put = scaling.put_scheduled_update_group_action
    refused("in the past", lambda: put(StartTime=past, DesiredCapacity=1, **action), "ValidationError")
    refused("nothing to do", lambda: put(Recurrence="0 22 * * *", **action), "ValidationError")
    refused("no such place", lambda: put(Recurrence="0 22 * * *", TimeZone="Mars/Base", DesiredCapacity=1, **action), "ValidationError")
    put(Recurrence="0 22 * * *", TimeZone="Europe/Berlin", DesiredCapacity=1, **action)
    held = scaling.describe_scheduled_actions(AutoScalingGroupName=GROUP)["ScheduledUpdateGroupActions"][0]
    expect("as stated", (held["Recurrence"], held["TimeZone"], held["DesiredCapacity"]), ("0 22 * * *", "Europe/Berlin", 1))
    expect("by the clocks there", held["StartTime"].astimezone(datetime.timezone.utc).hour in (20, 21), True)
    now = datetime.datetime.now(datetime.timezone.utc)
    many = [
        {"ScheduledActionName": "soon", "StartTime": now + datetime.timedelta(seconds=3), "DesiredCapacity": 3},
        {"ScheduledActionName": "bad", "StartTime": past, "DesiredCapacity": 1},
    ]
    failed = scaling.batch_put_scheduled_update_group_action(AutoScalingGroupName=GROUP, ScheduledUpdateGroupActions=many)
    failed = failed["FailedScheduledUpdateGroupActions"]
    expect("one of two is refused", [(one["ScheduledActionName"], one["ErrorCode"]) for one in failed], [("bad", "ValidationError")])
    names = lambda: [one["ScheduledActionName"] for one in scaling.describe_scheduled_actions(AutoScalingGroupName=GROUP)["ScheduledUpdateGroupActions"]]
    until("it is done, and is no more", names, lambda left: left == ["night"])
    serving(scaling, 3)
    failed = scaling.batch_delete_scheduled_action(AutoScalingGroupName=GROUP, ScheduledActionNames=["nope"])["FailedScheduledActions"]
    expect("one that is not there", [one["ScheduledActionName"] for one in failed], ["nope"])
    scaling.delete_scheduled_action(**action)
    expect("none is left", scaling.describe_scheduled_actions(AutoScalingGroupName=GROUP)["ScheduledUpdateGroupActions"], [])


def templates(scaling, ec2):
    data = {"ImageId": AIM.image, "InstanceType": "m1.small", "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "by", "Value": "lt"}]}]}
    made = ec2.create_launch_template(LaunchTemplateName=AIM.name, LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]
    judge.at_end(lambda: ec2.delete_launch_template(LaunchTemplateId=made))
    update = dict(AutoScalingGroupName=GROUP)
    nowhere = {"LaunchTemplateName": "nope", "Version": "$Latest"}
    refused("one that is not there", lambda: scaling.update_auto_scaling_group(LaunchTemplate=nowhere, **update), "ValidationError")
    scaling.update_auto_scaling_group(LaunchTemplate={"LaunchTemplateName": AIM.name, "Version": "$Latest"}, **update)
    shown = group(scaling)
    expect("its template", shown["LaunchTemplate"], {"LaunchTemplateId": made, "LaunchTemplateName": AIM.name, "Version": "$Latest"})
    expect("and no configuration", "LaunchConfigurationName" in shown, False)
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    ids = serving(scaling, 4)
    versions = {i["InstanceId"]: i.get("LaunchTemplate", {}).get("Version") for i in group(scaling)["Instances"]}
    newest = [id for id in ids if versions[id] == "1"]
    expect("one of them by the template's version", len(newest), 1)
    one = ec2.describe_instances(InstanceIds=newest)["Reservations"][0]["Instances"][0]
    expect_has("with the template's tags", [(tag["Key"], tag["Value"]) for tag in one["Tags"]], ("by", "lt"))
    scaling.update_auto_scaling_group(LaunchConfigurationName=LAUNCH, TerminationPolicies=["OldestLaunchTemplate"], **update)
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=3)
    expect("who was launched by another template goes first", newest[0] in serving(scaling, 3), False)


def ended(scaling, ec2):
    ids = in_service(scaling)
    delete = dict(AutoScalingGroupName=GROUP)
    refused("with members", lambda: scaling.delete_auto_scaling_group(**delete), "ResourceInUse")
    scaling.delete_auto_scaling_group(ForceDelete=True, **delete)
    until("it is gone", lambda: scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"], lambda g: g == [])
    held = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    expect("and its members", {i["State"]["Name"] for r in held for i in r["Instances"]}, {"terminated"})
    refused("what it did", lambda: scaling.describe_scaling_activities(AutoScalingGroupName=GROUP), "ValidationError")
    told = scaling.describe_scaling_activities(AutoScalingGroupName=GROUP, IncludeDeletedGroups=True)["Activities"]
    promise("it is known all the same", len(told) > 8, "more than 8", len(told))
    scaling.delete_launch_configuration(LaunchConfigurationName=LAUNCH)
    expect("no configuration", scaling.describe_launch_configurations(LaunchConfigurationNames=[LAUNCH])["LaunchConfigurations"], [])


judge.judge(main)
