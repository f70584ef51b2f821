"""Judges with boto3 that a warm pool is Auto Scaling's: filled, drawn from through hooks, come back to, replaced by a refresh, taken off;
every answer against botocore's model.

Must never measure load or kill a daemon; the daemon's own tests do. Reader goes next to `boto3_autoscaling.py`.
"""

import judge
from judge import expect, expect_has, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

NAME = AIM.name
OF = {"AutoScalingGroupName": NAME}
CALLED = {"PutWarmPool", "DescribeWarmPool", "DeleteWarmPool"}


def main():
    scaling, ec2 = boto3.client("autoscaling"), boto3.client("ec2")
    watched = Watched(scaling)
    made(scaling)
    refusals(scaling)
    filled(scaling, ec2)
    drawn(scaling, ec2)
    hooked(scaling)
    shown(scaling, ec2)
    refreshed(scaling)
    taken_off(scaling, ec2)
    expect("every answer is as modelled", watched.wrong, [])
    expect("every call was made", CALLED - watched.called, set())


def group(scaling):
    return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]


def in_service(scaling):
    return sorted(i["InstanceId"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "InService")


def serving(scaling, count):
    return until("%d are in service" % count, lambda: in_service(scaling), lambda ids: len(ids) == count)


def pooled(scaling):
    return {i["InstanceId"]: i["LifecycleState"] for i in scaling.describe_warm_pool(**OF)["Instances"]}


def ready(scaling, count, state="Warmed:Stopped"):
    held = until(
        "%d are %s" % (count, state), lambda: pooled(scaling), lambda held: len(held) == count and set(held.values()) <= {state}, seconds=60
    )
    return sorted(held)


def scale(scaling, count):
    scaling.set_desired_capacity(DesiredCapacity=count, **OF)


def made(scaling):
    scaling.create_launch_configuration(LaunchConfigurationName=NAME, ImageId=AIM.image, InstanceType="m1.small")
    judge.at_end(lambda: scaling.delete_launch_configuration(LaunchConfigurationName=NAME))
    scaling.create_auto_scaling_group(
        MinSize=0, MaxSize=4, DesiredCapacity=1, AvailabilityZones=AIM.zones[:2], LaunchConfigurationName=NAME, **OF
    )
    judge.at_end(ended, scaling)
    serving(scaling, 1)


def ended(scaling):
    scaling.delete_auto_scaling_group(ForceDelete=True, **OF)
    named = lambda: scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
    until("the group is gone", named, lambda found: found == [], seconds=60)


def refusals(scaling):
    held = scaling.describe_warm_pool(**OF)
    expect("none at first", ("WarmPoolConfiguration" in held, held["Instances"]), (False, []))
    expect("nor in its group", "WarmPoolConfiguration" in group(scaling), False)
    nobody = {"AutoScalingGroupName": NAME + "-nobody"}
    refused("a group that is not there", lambda: scaling.put_warm_pool(**nobody), "ValidationError")
    refused("nor shown", lambda: scaling.describe_warm_pool(**nobody), "ValidationError")
    told = refused("none to take off", lambda: scaling.delete_warm_pool(**OF), "ValidationError")
    expect_has("and says so", told.message, "No warm pool found")
    refused("a state that is none", lambda: scaling.put_warm_pool(PoolState="Frozen", **OF), "ValidationError")
    refused("memory that is kept", lambda: scaling.put_warm_pool(PoolState="Hibernated", **OF), "ValidationError")
    refused("more than any", lambda: scaling.put_warm_pool(MinSize=10_001, **OF), "ValidationError")


def filled(scaling, ec2):
    scaling.put_warm_pool(MaxGroupPreparedCapacity=3, MinSize=1, InstanceReusePolicy={"ReuseOnScaleIn": True}, **OF)
    ids = ready(scaling, 2)
    configuration = scaling.describe_warm_pool(**OF)["WarmPoolConfiguration"]
    stated = {"MaxGroupPreparedCapacity": 3, "MinSize": 1, "PoolState": "Stopped", "InstanceReusePolicy": {"ReuseOnScaleIn": True}}
    expect("as stated", configuration, stated)
    expect("its group has it too", (group(scaling)["WarmPoolConfiguration"], group(scaling)["WarmPoolSize"]), (stated, 2))
    expect("and counts those alone who work", len(group(scaling)["Instances"]), 1)
    listed = scaling.describe_auto_scaling_instances(InstanceIds=ids)["AutoScalingInstances"]
    expect("its members are known", {one["LifecycleState"] for one in listed}, {"Warmed:Stopped"})
    states = [i["State"]["Name"] for r in ec2.describe_instances(InstanceIds=ids)["Reservations"] for i in r["Instances"]]
    expect("their instances are stopped", states, ["stopped", "stopped"])
    page = scaling.describe_warm_pool(MaxRecords=1, **OF)
    rest = scaling.describe_warm_pool(MaxRecords=1, NextToken=page["NextToken"], **OF)
    expect("page by page", sorted(i["InstanceId"] for i in page["Instances"] + rest["Instances"]), ids)


def drawn(scaling, ec2):
    before = ready(scaling, 2)
    scale(scaling, 3)
    serves = serving(scaling, 3)
    promise("those who were ready serve", set(before) <= set(serves), before, serves)
    told = [one["Description"] for one in scaling.describe_scaling_activities(**OF)["Activities"]]
    for one in before:
        expect_has("its way in", told, "Launching a new EC2 instance into warm pool: " + one)
        expect_has("and out", told, "Launching a new EC2 instance from warm pool: " + one)
    ready(scaling, 1)
    scale(scaling, 1)
    (left,) = serving(scaling, 1)
    # Of four two are to be ready: whoever was too many is gone.
    back = ready(scaling, 2)
    promise("some of them came back", set(back) & set(serves), serves, back)
    refused("one that is ready does not stand by", lambda: scaling.enter_standby(
        InstanceIds=back[:1], ShouldDecrementDesiredCapacity=False, **OF), "ValidationError")  # fmt: skip
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=back[0], ShouldDecrementDesiredCapacity=False)
    until("another in its place", lambda: pooled(scaling), lambda held: back[0] not in held and len(held) == 2)
    expect("who works is the same", in_service(scaling), [left])
    ready(scaling, 2)


def hooked(scaling):
    hook = dict(LifecycleHookName="warm", **OF)
    scaling.put_lifecycle_hook(LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING", HeartbeatTimeout=300, **hook)
    scaling.put_warm_pool(MaxGroupPreparedCapacity=4, InstanceReusePolicy={"ReuseOnScaleIn": True}, **OF)
    waits = lambda state: [one for one, is_in in pooled(scaling).items() if is_in == state]
    (one,) = until("it waits on its way in", lambda: waits("Warmed:Pending:Wait"), lambda ids: len(ids) == 1)
    scaling.complete_lifecycle_action(InstanceId=one, LifecycleActionResult="CONTINUE", **hook)
    ready(scaling, 3)
    scale(scaling, 2)
    held = lambda: [i["InstanceId"] for i in group(scaling)["Instances"] if i["LifecycleState"] == "Pending:Wait"]
    (one,) = until("and on its way out", held, lambda ids: len(ids) == 1)
    scaling.complete_lifecycle_action(InstanceId=one, LifecycleActionResult="CONTINUE", **hook)
    serving(scaling, 2)
    scaling.delete_lifecycle_hook(**hook)


def shown(scaling, ec2):
    scaling.put_warm_pool(MaxGroupPreparedCapacity=4, PoolState="Running", **OF)
    expect("no reuse any more", "InstanceReusePolicy" in scaling.describe_warm_pool(**OF)["WarmPoolConfiguration"], False)
    scaling.put_warm_pool(MaxGroupPreparedCapacity=4, PoolState="Stopped", **OF)
    # Started by hand, one is stopped again.
    one = ready(scaling, 2)[0]
    ec2.start_instances(InstanceIds=[one])
    ready(scaling, 2)


def refreshed(scaling):
    before = set(pooled(scaling)) | set(in_service(scaling))
    scaling.start_instance_refresh(Preferences={"MinHealthyPercentage": 100, "InstanceWarmup": 0}, **OF)
    last = lambda: scaling.describe_instance_refreshes(**OF)["InstanceRefreshes"][0]["Status"]
    until("it is over", last, lambda status: status == "Successful", seconds=60)
    after = set(ready(scaling, 2)) | set(in_service(scaling))
    expect("all are others", before & after, set())


def taken_off(scaling, ec2):
    ids = ready(scaling, 2)
    scaling.delete_warm_pool(**OF)
    until("its members go", lambda: pooled(scaling), lambda held: held == {}, seconds=60)
    until("and so does it", lambda: "WarmPoolConfiguration" in scaling.describe_warm_pool(**OF), lambda there: not there)
    states = [i["State"]["Name"] for r in ec2.describe_instances(InstanceIds=ids)["Reservations"] for i in r["Instances"]]
    expect("their instances are ended", states, ["terminated", "terminated"])
    expect("who works goes on", len(in_service(scaling)), 2)


judge.judge(main)
