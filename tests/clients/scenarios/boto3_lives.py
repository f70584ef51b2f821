"""Judges with boto3 what zones have room for, what protects instances, their attributes and types: calls against botocore's model,
errors by AWS's names and texts.

Must never test how instances run. Needs a daemon whose first zone has 2 processors and 3072 MiB, and whose others say nothing.
Reader goes next to `boto3_refusals.py`.
"""

import judge
from judge import expect, expect_has, expect_in, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B, C = AIM.zones[:3]
CALLED = {
    "DescribeInstanceAttribute", "DescribeInstances", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes",
    "ModifyInstanceAttribute", "ResetInstanceAttribute", "RunInstances", "StartInstances", "StopInstances", "TerminateInstances",
}  # fmt: skip
FULL = "InsufficientInstanceCapacity"


def main():
    ec2 = boto3.client("ec2")
    watched = Watched(ec2)
    types(ec2)
    one, two = capacity(ec2)
    attributes(ec2, one)
    protection(ec2, two)
    starts(ec2, one)
    reasons(ec2, two)
    expect("every call was made", CALLED - watched.called, set())
    # EC2's answers bear it beside what the model knows.
    wrong = [what for what in watched.wrong if not what.endswith(": /requestId is not in the model")]
    expect("answers are as modelled", wrong, [])


def run(ec2, kind, least, most=None, zone=A, **more):
    placement = {"AvailabilityZone": zone} if zone else {}
    call = dict(ImageId=AIM.image, InstanceType=kind, MinCount=least, MaxCount=most or least, Placement=placement, **more)
    made = [instance["InstanceId"] for instance in ec2.run_instances(**call)["Instances"]]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=made))
    return made


def state(ec2, one):
    return ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["State"]["Name"]


def types(ec2):
    pages = list(ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 7}))
    known = {info["InstanceType"]: info for page in pages for info in page["InstanceTypes"]}
    promise("types come in pages", len(pages) > 3 and len(known) > 40, "many in pages", (len(pages), len(known)))
    small = known["t2.small"]
    expect("a type", (small["VCpuInfo"]["DefaultVCpus"], small["MemoryInfo"]["SizeInMiB"]), (1, 2048))
    found = ec2.describe_instance_types(Filters=[{"Name": "instance-type", "Values": ["t2.*"]}])["InstanceTypes"]
    promise("by a pattern", {info["InstanceType"][:3] for info in found} == {"t2."}, "t2 alone", found)
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t2.small"]}]
    )
    expect("offerings", sorted(got["Location"] for got in offered["InstanceTypeOfferings"]), [A, B, C])


def capacity(ec2):
    said = "We currently do not have sufficient t2.small capacity in the Availability Zone you requested (%s)." % A
    hint = " You can currently get t2.small capacity by not specifying an Availability Zone in your request or choosing %s, %s."
    refused("two of 2 GiB in 3 GiB", lambda: run(ec2, "t2.small", 2), FULL, 500, said + hint % (B, C))
    refused("a dry run of that", lambda: run(ec2, "t2.small", 2, DryRun=True), FULL, 500)
    refused("one that is larger than the zone", lambda: run(ec2, "m1.large", 1), FULL, 500)
    said = "Your requested instance type (x9.huge) is not supported in your requested Availability Zone (%s)." % A
    got = refused("one whose size is not known", lambda: run(ec2, "x9.huge", 1), "Unsupported", 400)
    expect_has("its message", getattr(got, "message", ""), said)
    made = run(ec2, "t2.micro", 1, 5)
    expect("as many as fit", len(made), 2)
    refused("one more", lambda: run(ec2, "t2.nano", 1), FULL, 500)
    (elsewhere,) = run(ec2, "t2.nano", 1, zone=None)
    got = ec2.describe_instances(InstanceIds=[elsewhere])["Reservations"][0]["Instances"][0]["Placement"]["AvailabilityZone"]
    expect_in("one more anywhere", got, [B, C])
    for one in made:
        until("it runs", lambda one=one: state(ec2, one), lambda got: got == "running")
    return made


def attributes(ec2, one):
    def held(name):
        got = ec2.describe_instance_attribute(InstanceId=one, Attribute=name)
        (key,) = set(got) - {"InstanceId", "ResponseMetadata"}
        return got[key]

    names = (
        "instanceType", "kernel", "ramdisk", "userData", "disableApiTermination", "instanceInitiatedShutdownBehavior",
        "rootDeviceName", "blockDeviceMapping", "productCodes", "sourceDestCheck", "groupSet", "ebsOptimized", "sriovNetSupport",
        "enclaveOptions", "disableApiStop",
    )  # fmt: skip
    told = {name: held(name) for name in names}
    expect("its type", told["instanceType"], {"Value": "t2.micro"})
    expect("nothing of a kernel", told["kernel"], {})
    ec2.modify_instance_attribute(InstanceId=one, SourceDestCheck={"Value": False})
    expect("sourceDestCheck off", held("sourceDestCheck"), {"Value": False})
    ec2.reset_instance_attribute(InstanceId=one, Attribute="sourceDestCheck")
    expect("and on", held("sourceDestCheck"), {"Value": True})
    group = told["groupSet"][0]["GroupId"]
    ec2.modify_instance_attribute(InstanceId=one, Groups=[group])
    expect("its groups", [got["GroupId"] for got in held("groupSet")], [group])
    said = "No attributes specified."
    wrong = "InvalidParameterCombination"
    refused("nothing to modify", lambda: ec2.modify_instance_attribute(InstanceId=one), wrong, 400, said)
    two = dict(DisableApiStop={"Value": True}, SourceDestCheck={"Value": True})
    refused("two at a time", lambda: ec2.modify_instance_attribute(InstanceId=one, **two), wrong)
    said = "The instance '%s' is not in the 'stopped' state." % one
    wrong = "IncorrectInstanceState"
    for what in (dict(InstanceType={"Value": "t2.nano"}), dict(UserData={"Value": b"#!/bin/sh"})):
        refused("%s while it runs" % list(what)[0], lambda w=what: ec2.modify_instance_attribute(InstanceId=one, **w), wrong, 400, said)
    ec2.stop_instances(InstanceIds=[one])
    until("stopped", lambda: state(ec2, one), lambda got: got == "stopped")
    ec2.modify_instance_attribute(InstanceId=one, UserData={"Value": b"#!/bin/sh\nexit 0\n"})
    expect("user data", held("userData"), {"Value": "IyEvYmluL3NoCmV4aXQgMAo="})
    refused(
        "a dry run",
        lambda: ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "t2.nano"}, DryRun=True),
        "DryRunOperation",
        412,
    )


def protection(ec2, two):
    ec2.modify_instance_attribute(InstanceId=two, DisableApiTermination={"Value": True})
    (other,) = run(ec2, "t2.nano", 1, zone=B, DisableApiStop=True)
    (third,) = run(ec2, "t2.nano", 1, zone=C)
    code = "OperationNotPermitted"
    said = "The instance '%s' may not be %s. Modify its '%s' instance attribute and try again."
    refused(
        "terminate of a protected one and another zone's",
        lambda: ec2.terminate_instances(InstanceIds=[two, third]),
        code,
        400,
        said % (two, "terminated", "disableApiTermination"),
    )
    until("the other zone's has ended", lambda: state(ec2, third), lambda got: got == "terminated")
    expect("the protected one has not", state(ec2, two), "running")
    text = said % (other, "stopped", "disableApiStop")
    refused("stop of one that is protected against it", lambda: ec2.stop_instances(InstanceIds=[other]), code, 400, text)
    refused("its end", lambda: ec2.terminate_instances(InstanceIds=[other]), code, 400, said % (other, "terminated", "disableApiStop"))
    ec2.modify_instance_attribute(InstanceId=other, DisableApiStop={"Value": False})
    ec2.modify_instance_attribute(InstanceId=two, Attribute="disableApiTermination", Value="false")
    expect("its end then", ec2.terminate_instances(InstanceIds=[other])["TerminatingInstances"][0]["InstanceId"], other)


def starts(ec2, one):
    (third,) = run(ec2, "t2.micro", 1)
    refused("start in a zone that is full again", lambda: ec2.start_instances(InstanceIds=[one]), FULL, 500)
    ec2.terminate_instances(InstanceIds=[third])
    until("one has ended", lambda: state(ec2, third), lambda got: got == "terminated")
    ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "t2.small"})
    ec2.start_instances(InstanceIds=[one])
    until("the other one runs, and is larger", lambda: state(ec2, one), lambda got: got == "running")


def reasons(ec2, two):
    ec2.terminate_instances(InstanceIds=[two])
    until("ended", lambda: state(ec2, two), lambda got: got == "terminated")
    instance = ec2.describe_instances(InstanceIds=[two])["Reservations"][0]["Instances"][0]
    reason = {"Code": "Client.UserInitiatedShutdown", "Message": "Client.UserInitiatedShutdown: User initiated shutdown"}
    expect("its reason", instance["StateReason"], reason)
    expect_has("its transition", instance["StateTransitionReason"], "User initiated (20")


judge.judge(main)
