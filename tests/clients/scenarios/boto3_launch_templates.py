"""Judges launch templates with boto3 and the AWS CLI: made, versioned, launched from, taken away.

Must never test what Ansible makes of them; that is `ansible_ec2_launch_template.py`, where the reader goes next.
"""

import base64
import json

import judge
from judge import client, expect, expect_in, expect_match, refused, until

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B = AIM.zones[:2]
NAME = AIM.name
USER_DATA = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()
FIRST = {
    "ImageId": AIM.image, "InstanceType": "t2.micro", "KeyName": "mine", "UserData": USER_DATA, "SecurityGroups": ["default"],
    "Placement": {"AvailabilityZone": B}, "Monitoring": {"Enabled": True}, "DisableApiTermination": False,
    "InstanceInitiatedShutdownBehavior": "terminate",
    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True}}],
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    "CreditSpecification": {"CpuCredits": "standard"},
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": NAME}]}],
}  # fmt: skip


def main():
    ec2 = boto3.client("ec2")
    template = create(ec2)
    versions(ec2, template)
    launches(ec2, template)
    refusals(ec2, template)
    by_command(template)
    delete(ec2, template)


def create(ec2):
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "web"}]}]
    ask = {
        "LaunchTemplateName": NAME, "VersionDescription": "first", "LaunchTemplateData": FIRST, "TagSpecifications": tags,
        "ClientToken": NAME,
    }  # fmt: skip
    made = ec2.create_launch_template(**ask)
    expect("no warning", made.get("Warning"), None)
    made = made["LaunchTemplate"]
    judge.at_end(lambda: remove(ec2))
    expect_match("its id", made["LaunchTemplateId"], r"lt-[0-9a-f]{17}")
    expect_match("who made it", made["CreatedBy"], r"arn:aws:iam::\d{12}:root")
    expect("its versions", (made["DefaultVersionNumber"], made["LatestVersionNumber"]), (1, 1))
    expect("its tags", made["Tags"], [{"Key": "team", "Value": "web"}])
    again = ec2.create_launch_template(**ask)["LaunchTemplate"]
    expect("the same token gives the same template", again["LaunchTemplateId"], made["LaunchTemplateId"])
    found = ec2.describe_launch_templates(Filters=[{"Name": "tag:team", "Values": ["web"]}])["LaunchTemplates"]
    expect("found by tag", [t["LaunchTemplateName"] for t in found], [NAME])
    return made["LaunchTemplateId"]


def versions(ec2, template):
    shown = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["1"])["LaunchTemplateVersions"][0]
    expect("the data as they were stated", shown["LaunchTemplateData"], FIRST)
    expect("the description", shown["VersionDescription"], "first")
    expect("the default version", shown["DefaultVersion"], True)
    second = ec2.create_launch_template_version(
        LaunchTemplateName=NAME, SourceVersion="1", LaunchTemplateData={"InstanceType": "m1.small"}
    )["LaunchTemplateVersion"]
    expect("the second version", second["VersionNumber"], 2)
    expect("has the first's data under its own", second["LaunchTemplateData"], dict(FIRST, InstanceType="m1.small"))
    third = ec2.create_launch_template_version(LaunchTemplateName=NAME, LaunchTemplateData={"InstanceType": "m1.large"})
    expect("the third has its own", third["LaunchTemplateVersion"]["LaunchTemplateData"], {"InstanceType": "m1.large"})
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateId=template, PaginationConfig={"PageSize": 1}
    )
    numbers = [v["VersionNumber"] for page in pages for v in page["LaunchTemplateVersions"]]
    expect("in pages, the newest first", numbers, [3, 2, 1])
    latest = ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
    expect_in("the latest of all templates", (template, 3), [(v["LaunchTemplateId"], v["VersionNumber"]) for v in latest])
    between = ec2.describe_launch_template_versions(LaunchTemplateId=template, MinVersion="2", MaxVersion="3")
    expect("between two", [v["VersionNumber"] for v in between["LaunchTemplateVersions"]], [3, 2])
    changed = ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]
    expect("the default version", changed["DefaultVersionNumber"], 2)


def launch(ec2, **ask):
    got = ec2.run_instances(MinCount=1, MaxCount=1, **ask)["Instances"][0]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=[got["InstanceId"]]))
    return got


def launches(ec2, template):
    one = launch(ec2, LaunchTemplate={"LaunchTemplateId": template})
    expect("by the default version", (one["InstanceType"], one["KeyName"]), ("m1.small", "mine"))
    expect("in its zone", one["Placement"]["AvailabilityZone"], B)
    expect("with its tags", one["Tags"], [{"Key": "from", "Value": NAME}])
    held = ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")
    expect("with its user data", held["UserData"]["Value"], USER_DATA)
    other = launch(
        ec2, LaunchTemplate={"LaunchTemplateName": NAME, "Version": "1"}, Placement={"AvailabilityZone": A},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "own", "Value": "yes"}]}],
    )  # fmt: skip
    expect("what the call states counts", (other["Placement"]["AvailabilityZone"], other["InstanceType"]), (A, "t2.micro"))
    expect("its tags too", other["Tags"], [{"Key": "own", "Value": "yes"}])
    like = ec2.get_launch_template_data(InstanceId=one["InstanceId"])["LaunchTemplateData"]
    expect("the like of it", (like["ImageId"], like["InstanceType"], like["UserData"]), (AIM.image, "m1.small", USER_DATA))
    made = ec2.create_launch_template(LaunchTemplateName=NAME + "-like", LaunchTemplateData=like)["LaunchTemplate"]
    judge.at_end(lambda: ec2.delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"]))
    third = launch(ec2, LaunchTemplate={"LaunchTemplateId": made["LaunchTemplateId"]})
    running = lambda: [  # noqa: E731
        i["State"]["Name"]
        for r in ec2.describe_instances(InstanceIds=[one["InstanceId"], third["InstanceId"]])["Reservations"]
        for i in r["Instances"]
    ]
    until("they run", running, lambda states: states == ["running", "running"])


def refusals(ec2, template):
    data = {"InstanceType": "m1.small"}
    refused(
        "a name that is taken",
        lambda: ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data),
        "InvalidLaunchTemplateName.AlreadyExistsException",
        message="Launch template name already in use.",
    )
    refused(
        "a name that is none",
        lambda: ec2.create_launch_template(LaunchTemplateName="no name", LaunchTemplateData=data),
        "InvalidLaunchTemplateName.MalformedException",
    )
    refused(
        "an unknown id",
        lambda: ec2.describe_launch_template_versions(LaunchTemplateId="lt-00000000000000000"),
        "InvalidLaunchTemplateId.NotFound",
        message="The specified launch template, with template ID lt-00000000000000000, does not exist.",
    )
    refused(
        "an unknown name",
        lambda: ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "nobody"}),
        "InvalidLaunchTemplateName.NotFoundException",
        message="The specified launch template, with template name nobody, does not exist.",
    )
    refused(
        "an unknown version",
        lambda: ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="9"),
        "InvalidLaunchTemplateId.VersionNotFound",
        message="Could not find the specified version 9 for the launch template with ID %s." % template,
    )
    odd = ec2.create_launch_template(LaunchTemplateName=NAME + "-odd", LaunchTemplateData={"ImageId": "ami-12345678"})
    judge.at_end(lambda: ec2.delete_launch_template(LaunchTemplateName=NAME + "-odd"))
    expect("a warning", [e["Code"] for e in odd["Warning"]["Errors"]], ["InvalidAMIID.NotFound"])


def by_command(template):
    def aws(*words):
        ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "--output", "json", "ec2", *words)
        expect("`aws ec2 %s`: exit status" % words[0], (ran.code, ran.err.strip()), (0, ""))
        return json.loads(ran.out) if ran.out.strip() else None

    data = json.dumps({"InstanceType": "t2.micro", "ImageId": AIM.image})
    made = aws("create-launch-template", "--launch-template-name", NAME + "-cli", "--launch-template-data", data)
    expect("create-launch-template", made["LaunchTemplate"]["LatestVersionNumber"], 1)
    words = ("--launch-template-name", NAME + "-cli", "--source-version", "1", "--launch-template-data", '{"KeyName":"k"}')
    made = aws("create-launch-template-version", *words)["LaunchTemplateVersion"]
    expect("create-launch-template-version", made["LaunchTemplateData"], dict(json.loads(data), KeyName="k"))
    query = ("--query", "LaunchTemplateVersions[].VersionNumber")
    shown = aws("describe-launch-template-versions", "--launch-template-name", NAME + "-cli", "--versions", "$Latest", *query)
    expect("describe-launch-template-versions", shown, [2])
    words = ("--launch-template-id", template, "--versions", "3")
    gone = aws("delete-launch-template-versions", *words)["SuccessfullyDeletedLaunchTemplateVersions"]
    expect("delete-launch-template-versions", [v["VersionNumber"] for v in gone], [3])
    words = ("--launch-template", "LaunchTemplateName=%s-cli,Version=2" % NAME, "--dry-run")
    ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "ec2", "run-instances", *words)
    expect_in("run-instances --dry-run", "DryRunOperation", ran.err)
    aws("delete-launch-template", "--launch-template-name", NAME + "-cli")


def delete(ec2, template):
    told = ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "9"])
    gone = [v["VersionNumber"] for v in told["SuccessfullyDeletedLaunchTemplateVersions"]]
    kept = {v["VersionNumber"]: v["ResponseError"]["Code"] for v in told["UnsuccessfullyDeletedLaunchTemplateVersions"]}
    expect("deleted versions", gone, [1])
    expect("others", kept, {2: "unexpectedError", 9: "launchTemplateVersionDoesNotExist"})
    new = ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "m1.small"})
    expect("numbers are not given twice", new["LaunchTemplateVersion"]["VersionNumber"], 4)
    expect("deleted", ec2.delete_launch_template(LaunchTemplateId=template)["LaunchTemplate"]["LaunchTemplateId"], template)
    left = [t["LaunchTemplateId"] for t in ec2.describe_launch_templates()["LaunchTemplates"]]
    expect("it is gone", template in left, False)


def remove(ec2):
    """What a scenario that broke off has left."""
    for left in ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": [NAME]}])["LaunchTemplates"]:
        ec2.delete_launch_template(LaunchTemplateId=left["LaunchTemplateId"])


judge.judge(main)
