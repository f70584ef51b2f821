"""Judges with boto3 and the AWS CLI that an instance refresh is Auto Scaling's: begun, paused, rolled back, called off, given up, and what
is refused meanwhile; every answer against botocore's model.

Must never measure load or kill a daemon; the daemon's own tests do. Reader goes next to `boto3_autoscaling.py`.
"""

import json
from contextlib import contextmanager

import judge
from judge import client, expect, expect_has, expect_match, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B, C = AIM.zones[:3]
NAME = AIM.name
OF = {"AutoScalingGroupName": NAME}
FAST = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 0}
OVER = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}
CALLED = {"StartInstanceRefresh", "DescribeInstanceRefreshes", "CancelInstanceRefresh", "RollbackInstanceRefresh"}


def main():
    scaling, ec2, watch = boto3.client("autoscaling"), boto3.client("ec2"), boto3.client("cloudwatch")
    watched = Watched(scaling)
    refusals(scaling, template(scaling, ec2))
    replaced(scaling, ec2)
    rolled_back(scaling)
    paused(scaling)
    called_off(scaling)
    alarmed(scaling, watch)
    listed(scaling)
    expect("every answer is as modelled", watched.wrong, [])
    expect("every call was made", CALLED - watched.called, set())


def template(scaling, ec2):
    """Two versions that are well, a third that never is, and a group of two by the first."""
    data = {"ImageId": AIM.image, "InstanceType": "m1.small"}
    made = ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]
    judge.at_end(lambda: ec2.delete_launch_template(LaunchTemplateId=made))
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "version", "Value": "2"}]}]
    for more in ({"TagSpecifications": tags}, {"UserData": "IyEvYmluL3NoCmV4aXQgMQo="}):
        ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=dict(data, **more))
    refused("nobody's", lambda: scaling.describe_instance_refreshes(**OF), "ValidationError")
    scaling.create_auto_scaling_group(
        MinSize=1, MaxSize=4, DesiredCapacity=2, AvailabilityZones=[A, B, C], LaunchTemplate=version("1"), **OF
    )
    judge.at_end(lambda: scaling.delete_auto_scaling_group(ForceDelete=True, **OF))
    until("two are in service", lambda: in_service(scaling), lambda ids: len(ids) == 2)
    return made


def version(number):
    return {"LaunchTemplateName": NAME, "Version": number}


def group(scaling):
    return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]


def in_service(scaling):
    return sorted(i["InstanceId"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "InService")


def versions(scaling):
    return sorted(i["LaunchTemplate"]["Version"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "InService")


def start(scaling, number=None, **preferences):
    more = {"DesiredConfiguration": {"LaunchTemplate": version(number)}} if number else {}
    return scaling.start_instance_refresh(Preferences=dict(FAST, **preferences), **more, **OF)["InstanceRefreshId"]


@contextmanager
def held_up(scaling):
    """Meanwhile a refresh gets no further: what is asked of it finds it under way, however slow the asking is."""
    scaling.suspend_processes(ScalingProcesses=["InstanceRefresh"], **OF)
    yield
    scaling.resume_processes(ScalingProcesses=["InstanceRefresh"], **OF)


def last(scaling):
    return scaling.describe_instance_refreshes(**OF)["InstanceRefreshes"][0]


def over(scaling, status, id):
    held = until("the refresh is over", lambda: last(scaling), lambda held: held["Status"] in OVER, seconds=60)
    expect("how it ended", (held["Status"], held["InstanceRefreshId"]), (status, id))
    promise("and when", held["EndTime"] >= held["StartTime"], "not before it began", held)
    return held


def refusals(scaling, made):
    refused(
        "nothing to call off",
        lambda: scaling.cancel_instance_refresh(**OF),
        "ActiveInstanceRefreshNotFound",
        message="No in progress or pending Instance Refresh found for Auto Scaling group " + NAME,
    )
    refused("nothing to roll back", lambda: scaling.rollback_instance_refresh(**OF), "ActiveInstanceRefreshNotFound")
    expect("nothing to see", scaling.describe_instance_refreshes(**OF)["InstanceRefreshes"], [])
    nobody = {"AutoScalingGroupName": NAME + "-nobody"}
    refused("a group that is not there", lambda: scaling.start_instance_refresh(**nobody), "ValidationError")

    def bad(what, preferences=None, desired=None, **more):
        if preferences is not None:
            more["Preferences"] = preferences
        if desired is not None:
            more["DesiredConfiguration"] = desired
        refused(what, lambda: scaling.start_instance_refresh(**more, **OF), "ValidationError")

    mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": version("2"), "Overrides": [{"InstanceType": "m1.large"}]}}
    bad("the most without the least", {"MaxHealthyPercentage": 150})
    bad("shares too far apart", {"MinHealthyPercentage": 0, "MaxHealthyPercentage": 150})
    bad("more than all", {"MinHealthyPercentage": 101})
    bad("more than twice as many", {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 201})
    bad("a pause without a checkpoint", {"CheckpointDelay": 10})
    bad("checkpoints out of order", {"CheckpointPercentages": [50, 20]})
    bad("the same checkpoint twice", {"CheckpointPercentages": [50, 50]})
    bad("an alarm that is not there", {"AlarmSpecification": {"Alarms": [NAME + "-nobody"]}})
    bad("a word that is none", {"StandbyInstances": "Keep"})
    bad("a way back without another configuration", {"AutoRollback": True})
    bad("volumes", Strategy="ReplaceRootVolume")
    bad("a template that is not there", desired={"LaunchTemplate": {"LaunchTemplateName": "nope"}})
    bad("a mixture", desired={"MixedInstancesPolicy": mixed})
    scaling.update_auto_scaling_group(LaunchTemplate=version("$Default"), **OF)
    bad("a way back to $Default", {"AutoRollback": True}, {"LaunchTemplate": version("2")})
    scaling.update_auto_scaling_group(LaunchTemplate={"LaunchTemplateId": made, "Version": "1"}, **OF)
    expect("nothing has begun", scaling.describe_instance_refreshes(**OF)["InstanceRefreshes"], [])


def replaced(scaling, ec2):
    before = in_service(scaling)
    with held_up(scaling):
        id = start(scaling, "2", SkipMatching=True, AutoRollback=True, ScaleInProtectedInstances="Refresh", StandbyInstances="Ignore")
        expect_match("its id", id, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        refused(
            "another one",
            lambda: start(scaling),
            "InstanceRefreshInProgress",
            message="An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
        told = refused(
            "another template meanwhile", lambda: scaling.update_auto_scaling_group(LaunchTemplate=version("1"), **OF), "ValidationError"
        )
        expect_has("in AWS's words", told.message, "An active instance refresh with a desired configuration exists.")
        scaling.update_auto_scaling_group(DefaultCooldown=200, **OF)
    held = over(scaling, "Successful", id)
    expect("all of it", (held["PercentageComplete"], held["InstancesToUpdate"], held["Strategy"]), (100, 0, "Rolling"))
    expect("as asked", held["DesiredConfiguration"]["LaunchTemplate"]["Version"], "2")
    asked = dict(FAST, SkipMatching=True, AutoRollback=True, ScaleInProtectedInstances="Refresh", StandbyInstances="Ignore")
    expect("and how", held["Preferences"], asked)
    expect("its progress", held["ProgressDetails"], {"LivePoolProgress": {"PercentageComplete": 100, "InstancesToUpdate": 0}})
    expect("no way back", "RollbackDetails" in held, False)
    until("two are in service", lambda: in_service(scaling), lambda ids: len(ids) == 2)
    after = in_service(scaling)
    expect("others than before", set(before) & set(after), set())
    expect("by the second version", (versions(scaling), group(scaling)["LaunchTemplate"]["Version"]), (["2", "2"], "2"))
    one = ec2.describe_instances(InstanceIds=after[:1])["Reservations"][0]["Instances"][0]
    expect_has("with its tags", [(tag["Key"], tag["Value"]) for tag in one["Tags"]], ("version", "2"))
    causes = [one["Cause"] for one in scaling.describe_scaling_activities(**OF)["Activities"]]
    told = "an instance was launched in response to an instance refresh."
    promise("and says why", any(told in cause for cause in causes), told, causes[:4])
    id = start(scaling, "2", SkipMatching=True)
    over(scaling, "Successful", id)
    expect("who matches already stays", in_service(scaling), after)
    with held_up(scaling):
        id = start(scaling)
        expect("no other configuration", "DesiredConfiguration" in last(scaling), False)
        refused("no way back without one", lambda: scaling.rollback_instance_refresh(**OF), "IrreversibleInstanceRefresh")
    over(scaling, "Successful", id)


def rolled_back(scaling):
    """By itself from what is never well, and by hand."""
    before = in_service(scaling)
    id = start(scaling, "3", AutoRollback=True)
    held = over(scaling, "RollbackSuccessful", id)
    details = held["RollbackDetails"]
    expect_has("why", details["RollbackReason"], " replacements in a row came to nothing")
    expect("from where", (details["PercentageCompleteOnRollback"], details["InstancesToUpdateOnRollback"]), (0, 2))
    promise("and when", held["StartTime"] <= details["RollbackStartTime"] <= held["EndTime"], "in between", details)
    expect("nobody else serves", in_service(scaling), before)
    id = start(scaling, "3")
    held = over(scaling, "Failed", id)
    expect_has("without a way back it fails", held["StatusReason"], " replacements in a row came to nothing")
    expect("and the group is as it was", (group(scaling)["LaunchTemplate"]["Version"], versions(scaling)), ("2", ["2", "2"]))


def paused(scaling):
    id = start(scaling, "1", CheckpointPercentages=[50, 100], CheckpointDelay=3600, MaxHealthyPercentage=150)
    held = until(
        "it pauses at its checkpoint",
        lambda: last(scaling),
        lambda held: "checkpoint" in held.get("StatusReason", ""),
        seconds=60,
    )
    expect("half of it", (held["Status"], held["PercentageComplete"], held["InstancesToUpdate"]), ("InProgress", 50, 1))
    expect("its preferences", (held["Preferences"]["CheckpointPercentages"], held["Preferences"]["CheckpointDelay"]), ([50, 100], 3600))
    expect("both serve", versions(scaling), ["1", "2"])
    expect("the rollback of which", scaling.rollback_instance_refresh(**OF)["InstanceRefreshId"], id)
    refused("twice", lambda: scaling.rollback_instance_refresh(**OF), "ActiveInstanceRefreshNotFound")
    held = over(scaling, "RollbackSuccessful", id)
    expect_has("by hand", held["RollbackDetails"]["RollbackReason"], "user request")
    expect("from half", held["RollbackDetails"]["PercentageCompleteOnRollback"], 50)
    expect("back to nothing", held["PercentageComplete"], 0)
    until("all are as before", lambda: versions(scaling), lambda found: found == ["2", "2"])


def called_off(scaling):
    id = start(scaling, InstanceWarmup=3600)
    until("a new one warms up", lambda: last(scaling).get("StatusReason", ""), lambda reason: "warm" in reason, seconds=60)
    expect("the end of which", scaling.cancel_instance_refresh(**OF)["InstanceRefreshId"], id)
    held = over(scaling, "Cancelled", id)
    expect_has("by whom", held["StatusReason"], "Cancelled due to user request")
    until("two are left", lambda: in_service(scaling), lambda ids: len(ids) == 2)
    id = start(scaling, InstanceWarmup=3600)
    scaling.cancel_instance_refresh(WaitForTransitioningInstances=False, **OF)
    over(scaling, "Cancelled", id)
    until("two are left", lambda: [i["InstanceId"] for i in group(scaling)["Instances"]], lambda ids: len(ids) == 2)


def alarmed(scaling, watch):
    watch.put_metric_alarm(
        AlarmName=NAME, Namespace="Jobs", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    judge.at_end(lambda: watch.delete_alarms(AlarmNames=[NAME]))
    id = start(scaling, "1", AlarmSpecification={"Alarms": [NAME]}, BakeTime=600)
    until("all are replaced, and watched", lambda: last(scaling)["Status"], lambda status: status == "Baking", seconds=60)
    expect("not sure yet", group(scaling)["LaunchTemplate"]["Version"], "2")
    watch.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="by hand")
    held = over(scaling, "Failed", id)
    expect_has("why", held["StatusReason"], "the alarm %s is in the ALARM state" % NAME)
    expect("its preferences", (held["Preferences"]["AlarmSpecification"], held["Preferences"]["BakeTime"]), ({"Alarms": [NAME]}, 600))


def listed(scaling):
    whole = [one["InstanceRefreshId"] for one in scaling.describe_instance_refreshes(**OF)["InstanceRefreshes"]]
    pages, token = [], {}
    while True:
        page = scaling.describe_instance_refreshes(MaxRecords=2, **token, **OF)
        pages.extend(one["InstanceRefreshId"] for one in page["InstanceRefreshes"])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    expect("in pages as well", pages, whole)
    found = scaling.describe_instance_refreshes(InstanceRefreshIds=whole[-1:], **OF)["InstanceRefreshes"]
    expect("by id", [one["InstanceRefreshId"] for one in found], whole[-1:])
    refused("another's token", lambda: scaling.describe_instance_refreshes(NextToken="nonsense", **OF), "InvalidNextToken")

    def aws(*words):
        ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "--output", "json", "autoscaling", *words)
        expect("`aws autoscaling %s`: exit status" % words[0], (ran.code, ran.err.strip()), (0, ""))
        return json.loads(ran.out)

    named = ("--auto-scaling-group-name", NAME)
    preferences = json.dumps(dict(FAST, SkipMatching=False))
    id = aws("start-instance-refresh", *named, "--preferences", preferences)["InstanceRefreshId"]
    over(scaling, "Successful", id)
    query = ("--query", "InstanceRefreshes[0].[InstanceRefreshId,Status]")
    expect("describe-instance-refreshes", aws("describe-instance-refreshes", *named, *query), [id, "Successful"])


judge.judge(main)
