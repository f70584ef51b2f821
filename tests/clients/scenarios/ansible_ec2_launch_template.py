"""Judges Ansible's `amazon.aws.ec2_launch_template`: it makes, changes and deletes a template, and finds nothing to do a second time.

Must never call the API itself but to see what was made. Reader goes next to `boto3_launch_templates.py`.
"""

import json
import os
import sys

import judge
from judge import VENV, client, expect, expect_match, promise, say

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

NAME = AIM.name
MODULE = "amazon.aws.ec2_launch_template"


def main():
    if not (VENV / "collections").is_dir():
        say("SKIPPED: Ansible needs Python 3.11 or newer, and this is %s" % sys.version.split()[0])
        return
    os.environ.update(
        ANSIBLE_COLLECTIONS_PATH=str(VENV / "collections"),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        ANSIBLE_HOME=str(AIM.home / "ansible"),
        ANSIBLE_NOCOLOR="1",
    )
    ec2 = boto3.client("ec2")
    group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    wanted = {
        "template_name": NAME, "image_id": AIM.image, "instance_type": "m1.small", "key_name": "mine", "security_group_ids": [group],
        "ebs_optimized": False, "disable_api_termination": False, "monitoring": {"enabled": True},
        "block_device_mappings": [{"device_name": "/dev/sda1", "ebs": {"volume_size": 20, "encrypted": False}}],
        "metadata_options": {"http_tokens": "required"}, "placement": {"availability_zone": AIM.zones[0]},
        "tag_specifications": [{"resource_type": "instance", "tags": {"from": "ansible"}}], "tags": {"team": "web"},
    }  # fmt: skip
    judge.at_end(lambda: remove(ec2))
    twice("create", wanted)
    shown = ec2.describe_launch_templates(LaunchTemplateNames=[NAME])["LaunchTemplates"][0]
    expect("versions", (shown["DefaultVersionNumber"], shown["LatestVersionNumber"]), (1, 1))
    expect("tags", shown["Tags"], [{"Key": "team", "Value": "web"}])
    twice("change", dict(wanted, instance_type="t2.micro", version_description="smaller", tags={"owner": "me"}))
    shown = ec2.describe_launch_templates(LaunchTemplateNames=[NAME])["LaunchTemplates"][0]
    expect("versions after the change", (shown["DefaultVersionNumber"], shown["LatestVersionNumber"]), (2, 2))
    expect("tags after the change", shown["Tags"], [{"Key": "owner", "Value": "me"}])
    one = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": NAME})["Instances"][0]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=[one["InstanceId"]]))
    expect("launched from it", (one["InstanceType"], one["Tags"]), ("t2.micro", [{"Key": "from", "Value": "ansible"}]))
    play("delete a version", {"template_name": NAME, "state": "absent", "versions_to_delete": [1]}, 1)
    left = ec2.describe_launch_template_versions(LaunchTemplateName=NAME)["LaunchTemplateVersions"]
    expect("the other one is left", [v["VersionNumber"] for v in left], [2])
    twice("delete", {"template_name": NAME, "state": "absent"})
    gone = [t["LaunchTemplateName"] for t in ec2.describe_launch_templates()["LaunchTemplates"]]
    promise("it is gone", NAME not in gone, "no %s" % NAME, gone)


def play(what, arguments, changed):
    """One task on this machine; whether it changed anything must be as promised."""
    tasks = [{"name": what, MODULE: dict(arguments, region=AIM.region)}]
    book = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    book[0]["vars"] = {"ansible_python_interpreter": sys.executable}
    path = AIM.home / "play.json"
    path.write_text(json.dumps(book))
    ran = client(VENV / "bin" / "ansible-playbook", path)
    if ran.code != 0:
        promise("%s: exit status" % what, False, 0, ran)
    expect_match("%s: recap" % what, ran.out.strip().splitlines()[-1], r"localhost\s+: ok=1\s+changed=%d\s.*failed=0.*" % changed)


def twice(what, arguments):
    play(what, arguments, 1)
    play(what + ", again", arguments, 0)


def remove(ec2):
    """What a scenario that broke off has left."""
    for left in ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": [NAME]}])["LaunchTemplates"]:
        ec2.delete_launch_template(LaunchTemplateId=left["LaunchTemplateId"])


judge.judge(main)
