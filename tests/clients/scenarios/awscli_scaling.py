"""Judges with the AWS CLI: every operation of Auto Scaling and CloudWatch that is served, by command lines a user types.

What each comes to in detail is judged with boto3; here counts that the CLI can say it, and reads what it is told. Must never import
an AWS library. Reader goes next to `boto3_autoscaling.py`.
"""

import json
import time
from pathlib import Path

import judge
from judge import client, expect, expect_has, expect_in, promise, until

AIM = judge.enter()
judge.aim_modern(AIM)

A, B = AIM.zones[:2]
GROUP = AIM.name
IN_GROUP = ("--auto-scaling-group-name", GROUP)
MADE = set()
PAGE = Path(__file__).resolve().parents[3] / "docs" / "coverage.md"


def aws(service, operation, *words):
    """Runs `aws`, which must succeed, and returns the JSON printed, None if it printed nothing."""
    MADE.add((service, operation))
    ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "--output", "json", service, operation, *words)
    if ran.code != 0:
        raise judge.Broken("`aws %s %s %s`: %d\n%s" % (service, operation, " ".join(map(str, words)), ran.code, judge.shown(ran.err)))
    return json.loads(ran.out) if ran.out.strip() else None


def scaling(operation, *words):
    return aws("autoscaling", operation, *words)


def watch(operation, *words):
    return aws("cloudwatch", operation, *words)


def main():
    metrics()
    alarms()
    words()
    group()
    members()
    hooks()
    policies()
    schedules()
    balancers()
    notifications()
    refreshes()
    warm_pool()
    end()
    expect("every operation that is served was asked for", sorted(served_operations() - MADE), [])


def served_operations():
    """What `docs/coverage.md` names as served, as the CLI spells it."""
    sections = {"Auto Scaling": "autoscaling", "CloudWatch": "cloudwatch"}
    found, service = set(), None
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            service = next((cli for title, cli in sections.items() if line[3:].startswith(title)), None)
        elif service and line.startswith("| **"):
            operation, served = line.split("|")[1].strip(" *"), line.split("|")[2].strip()
            if served != "no":
                found.add((service, spelt(operation)))
    promise("operations are found", len(found) > 60, "more than 60", len(found))
    return found


def spelt(operation):
    return "".join(("-" if c.isupper() and at else "") + c.lower() for at, c in enumerate(operation))


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def metrics():
    datum = ("--namespace", "Jobs", "--metric-name", "Waiting")
    watch("put-metric-data", *datum, "--value", "7", "--dimensions", "Queue=one", "--storage-resolution", "1")
    listed = until(
        "it is listed", lambda: watch("list-metrics", "--namespace", "Jobs")["Metrics"], lambda found: len(found) == 1
    )
    expect("list-metrics", listed[0]["Dimensions"], [{"Name": "Queue", "Value": "one"}])
    span = ("--start-time", ago(600), "--end-time", ago(-60))
    got = watch(
        "get-metric-statistics", *datum, "--dimensions", "Name=Queue,Value=one", *span, "--period", "60", "--statistics", "Maximum"
    )
    expect("get-metric-statistics", [point["Maximum"] for point in got["Datapoints"]], [7.0])
    stat = {"Metric": {"Namespace": "Jobs", "MetricName": "Waiting", "Dimensions": [{"Name": "Queue", "Value": "one"}]}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "m", "MetricStat": stat, "ReturnData": False}, {"Id": "twice", "Expression": "m * 2"}]
    got = watch("get-metric-data", "--metric-data-queries", json.dumps(queries), *span)
    expect("get-metric-data", [result["Values"] for result in got["MetricDataResults"]], [[14.0]])


def alarms():
    settings = ("--namespace", "Jobs", "--metric-name", "Waiting", "--dimensions", "Name=Queue,Value=one", "--statistic", "Maximum")
    rule = ("--period", "60", "--evaluation-periods", "1", "--threshold", "100", "--comparison-operator", "GreaterThanThreshold")
    watch("put-metric-alarm", "--alarm-name", GROUP, *settings, *rule, "--no-actions-enabled", "--tags", "Key=a,Value=b")
    arn = watch("describe-alarms", "--alarm-names", GROUP)["MetricAlarms"][0]["AlarmArn"]
    of = watch("describe-alarms-for-metric", *settings[:6])["MetricAlarms"]
    expect("describe-alarms-for-metric", [alarm["AlarmName"] for alarm in of], [GROUP])
    watch("enable-alarm-actions", "--alarm-names", GROUP)
    watch("disable-alarm-actions", "--alarm-names", GROUP)
    watch("set-alarm-state", "--alarm-name", GROUP, "--state-value", "ALARM", "--state-reason", "by hand")
    history = watch("describe-alarm-history", "--alarm-name", GROUP)["AlarmHistoryItems"]
    promise("describe-alarm-history", len(history) >= 3, "at least 3 items", len(history))
    watch("tag-resource", "--resource-arn", arn, "--tags", "Key=c,Value=d")
    watch("untag-resource", "--resource-arn", arn, "--tag-keys", "a")
    expect("list-tags-for-resource", watch("list-tags-for-resource", "--resource-arn", arn)["Tags"], [{"Key": "c", "Value": "d"}])
    watch("delete-alarms", "--alarm-names", GROUP)


def words():
    for operation, key in (
        ("describe-account-limits", "MaxNumberOfAutoScalingGroups"), ("describe-adjustment-types", "AdjustmentTypes"),
        ("describe-auto-scaling-notification-types", "AutoScalingNotificationTypes"), ("describe-lifecycle-hook-types", "LifecycleHookTypes"),
        ("describe-metric-collection-types", "Metrics"), ("describe-scaling-process-types", "Processes"),
        ("describe-termination-policy-types", "TerminationPolicyTypes"),
    ):  # fmt: skip
        if ("autoscaling", operation) in served_operations():
            promise(operation, scaling(operation)[key], key, "nothing")


def shown():
    return scaling("describe-auto-scaling-groups", "--auto-scaling-group-names", GROUP)["AutoScalingGroups"][0]


def in_service():
    return sorted(i["InstanceId"] for i in shown()["Instances"] if i["LifecycleState"] == "InService")


def serving(count):
    return until("%d in service" % count, in_service, lambda ids: len(ids) == count)


def group():
    scaling("create-launch-configuration", "--launch-configuration-name", GROUP, "--image-id", AIM.image, "--instance-type", "m1.small")
    judge.at_end(aws, "autoscaling", "delete-launch-configuration", "--launch-configuration-name", GROUP)
    got = scaling("describe-launch-configurations", "--launch-configuration-names", GROUP)["LaunchConfigurations"]
    expect("describe-launch-configurations", got[0]["ImageId"], AIM.image)
    scaling(
        "create-auto-scaling-group", *IN_GROUP, "--launch-configuration-name", GROUP, "--min-size", "1", "--max-size", "4",
        "--availability-zones", A, B, "--tags", "Key=team,Value=blue,PropagateAtLaunch=true",
    )  # fmt: skip
    judge.at_end(ended)
    serving(1)
    scaling("update-auto-scaling-group", *IN_GROUP, "--max-size", "5", "--default-cooldown", "0")
    expect("update-auto-scaling-group", shown()["MaxSize"], 5)
    scaling("set-desired-capacity", *IN_GROUP, "--desired-capacity", "2")
    serving(2)
    tag = "ResourceId=%s,ResourceType=auto-scaling-group,Key=team" % GROUP
    scaling("create-or-update-tags", "--tags", tag + ",Value=red,PropagateAtLaunch=false")
    of = ("--filters", "Name=auto-scaling-group,Values=%s" % GROUP)
    expect("describe-tags", [tag["Value"] for tag in scaling("describe-tags", *of)["Tags"]], ["red"])
    scaling("delete-tags", "--tags", tag)
    scaling("enable-metrics-collection", *IN_GROUP, "--granularity", "1Minute", "--metrics", "GroupInServiceInstances")
    scaling("disable-metrics-collection", *IN_GROUP)
    scaling("suspend-processes", *IN_GROUP, "--scaling-processes", "AZRebalance")
    expect("suspend-processes", [one["ProcessName"] for one in shown()["SuspendedProcesses"]], ["AZRebalance"])
    scaling("resume-processes", *IN_GROUP)
    promise("describe-scaling-activities", len(scaling("describe-scaling-activities", *IN_GROUP)["Activities"]) >= 2, 2, "fewer")


def members():
    one, two = in_service()
    scaling("set-instance-protection", *IN_GROUP, "--instance-ids", one, "--protected-from-scale-in")
    scaling("set-instance-protection", *IN_GROUP, "--instance-ids", one, "--no-protected-from-scale-in")
    scaling("set-instance-health", "--instance-id", one, "--health-status", "Healthy")
    scaling("enter-standby", *IN_GROUP, "--instance-ids", one, "--should-decrement-desired-capacity")
    states = lambda: [i["LifecycleState"] for i in scaling("describe-auto-scaling-instances", "--instance-ids", one)["AutoScalingInstances"]]
    until("it stands by", states, lambda found: found == ["Standby"])
    scaling("exit-standby", *IN_GROUP, "--instance-ids", one)
    serving(2)
    scaling("detach-instances", *IN_GROUP, "--instance-ids", two, "--should-decrement-desired-capacity")
    serving(1)
    scaling("attach-instances", *IN_GROUP, "--instance-ids", two)
    serving(2)
    scaling("terminate-instance-in-auto-scaling-group", "--instance-id", two, "--should-decrement-desired-capacity")
    serving(1)


def hooks():
    hook = ("--lifecycle-hook-name", "warm", *IN_GROUP)
    scaling("put-lifecycle-hook", *hook, "--lifecycle-transition", "autoscaling:EC2_INSTANCE_LAUNCHING", "--heartbeat-timeout", "300")
    expect("describe-lifecycle-hooks", len(scaling("describe-lifecycle-hooks", *IN_GROUP)["LifecycleHooks"]), 1)
    scaling("set-desired-capacity", *IN_GROUP, "--desired-capacity", "2")
    waiting = lambda: [i["InstanceId"] for i in shown()["Instances"] if i["LifecycleState"] == "Pending:Wait"]
    (one,) = until("it waits", waiting, lambda ids: len(ids) == 1)
    scaling("record-lifecycle-action-heartbeat", *hook, "--instance-id", one)
    scaling("complete-lifecycle-action", *hook, "--instance-id", one, "--lifecycle-action-result", "CONTINUE")
    serving(2)
    scaling("delete-lifecycle-hook", *hook)


def policies():
    more = ("--policy-name", "more", *IN_GROUP)
    scaling("put-scaling-policy", *more, "--adjustment-type", "ExactCapacity", "--scaling-adjustment", "1")
    scaling("execute-policy", *more)
    serving(1)
    target = {"TargetValue": 50, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}
    scaling(
        "put-scaling-policy", *IN_GROUP, "--policy-name", "cpu", "--policy-type", "TargetTrackingScaling",
        "--target-tracking-configuration", json.dumps(target),
    )  # fmt: skip
    got = scaling("describe-policies", *IN_GROUP, "--policy-types", "TargetTrackingScaling")["ScalingPolicies"]
    expect("describe-policies", (got[0]["TargetTrackingConfiguration"]["TargetValue"], len(got[0]["Alarms"])), (50.0, 2))
    for name in ("more", "cpu"):
        scaling("delete-policy", *IN_GROUP, "--policy-name", name)


def schedules():
    one = ("--scheduled-action-name", "night", *IN_GROUP)
    scaling("put-scheduled-update-group-action", *one, "--recurrence", "0 22 * * *", "--desired-capacity", "1", "--time-zone", "Europe/Berlin")
    action = {"ScheduledActionName": "day", "Recurrence": "0 6 * * *", "DesiredCapacity": 2}
    scaling("batch-put-scheduled-update-group-action", *IN_GROUP, "--scheduled-update-group-actions", json.dumps([action]))
    got = scaling("describe-scheduled-actions", *IN_GROUP)["ScheduledUpdateGroupActions"]
    expect("describe-scheduled-actions", sorted(one["ScheduledActionName"] for one in got), ["day", "night"])
    scaling("delete-scheduled-action", *one)
    scaling("batch-delete-scheduled-action", *IN_GROUP, "--scheduled-action-names", "day")


def balancers():
    listener = "Protocol=HTTP,LoadBalancerPort=%s,InstanceProtocol=HTTP,InstancePort=%s" % (AIM.port, AIM.instance_port)
    aws("elb", "create-load-balancer", "--load-balancer-name", GROUP, "--listeners", listener, "--availability-zones", A, B)
    judge.at_end(aws, "elb", "delete-load-balancer", "--load-balancer-name", GROUP)
    scaling("attach-load-balancers", *IN_GROUP, "--load-balancer-names", GROUP)
    got = scaling("describe-load-balancers", *IN_GROUP)["LoadBalancers"]
    expect("describe-load-balancers", [one["LoadBalancerName"] for one in got], [GROUP])
    scaling("detach-load-balancers", *IN_GROUP, "--load-balancer-names", GROUP)


def notifications():
    topic = aws("sns", "create-topic", "--name", GROUP)["TopicArn"]
    judge.at_end(aws, "sns", "delete-topic", "--topic-arn", topic)
    kinds = scaling("describe-auto-scaling-notification-types")["AutoScalingNotificationTypes"]
    expect("describe-auto-scaling-notification-types", len(kinds), 5)
    scaling("put-notification-configuration", *IN_GROUP, "--topic-arn", topic, "--notification-types", *kinds[:2])
    shown = lambda: scaling("describe-notification-configurations", "--auto-scaling-group-names", GROUP)["NotificationConfigurations"]
    expect("describe-notification-configurations", [(one["TopicARN"], one["NotificationType"]) for one in shown()], [(topic, k) for k in kinds[:2]])
    scaling("delete-notification-configuration", *IN_GROUP, "--topic-arn", topic)
    expect("nobody is told", shown(), [])


def refreshes():
    data = json.dumps({"ImageId": AIM.image, "InstanceType": "m1.small"})
    aws("ec2", "create-launch-template", "--launch-template-name", GROUP, "--launch-template-data", data)
    judge.at_end(aws, "ec2", "delete-launch-template", "--launch-template-name", GROUP)
    last = lambda: scaling("describe-instance-refreshes", *IN_GROUP)["InstanceRefreshes"][0]["Status"]
    desired = json.dumps({"LaunchTemplate": {"LaunchTemplateName": GROUP, "Version": "1"}})
    slow = ("--preferences", json.dumps({"InstanceWarmup": 600}))
    scaling("start-instance-refresh", *IN_GROUP, "--strategy", "Rolling", "--desired-configuration", desired, *slow)
    scaling("rollback-instance-refresh", *IN_GROUP)
    until("it is rolled back", last, lambda status: status == "RollbackSuccessful")
    scaling("start-instance-refresh", *IN_GROUP, *slow)
    scaling("cancel-instance-refresh", *IN_GROUP, "--no-wait-for-transitioning-instances")
    expect("cancel-instance-refresh", last(), "Cancelled")


def warm_pool():
    reuse = json.dumps({"ReuseOnScaleIn": True})
    scaling("put-warm-pool", *IN_GROUP, "--min-size", "1", "--max-group-prepared-capacity", "0", "--instance-reuse-policy", reuse)
    states = lambda: [i["LifecycleState"] for i in scaling("describe-warm-pool", *IN_GROUP)["Instances"]]
    until("one is ready", states, lambda found: found == ["Warmed:Stopped"])
    expect("describe-auto-scaling-groups", (shown()["WarmPoolSize"], shown()["WarmPoolConfiguration"]["MinSize"]), (1, 1))
    scaling("delete-warm-pool", *IN_GROUP, "--force-delete")
    until("none is left", states, lambda found: found == [])


def ended():
    client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "autoscaling", "delete-auto-scaling-group", *IN_GROUP, "--force-delete")
    until("the group is gone", lambda: scaling("describe-auto-scaling-groups")["AutoScalingGroups"], lambda found: found == [])


def end():
    scaling("delete-auto-scaling-group", *IN_GROUP, "--force-delete")
    until("the group is gone", lambda: scaling("describe-auto-scaling-groups")["AutoScalingGroups"], lambda found: found == [])
    MADE.add(("autoscaling", "delete-launch-configuration"))  # at the end


judge.judge(main)
