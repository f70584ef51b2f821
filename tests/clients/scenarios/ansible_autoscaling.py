"""Judges Ansible's `amazon.aws.autoscaling_group`: it creates, changes and deletes a group, and finds nothing to do a second time.

Must never call the API itself but to make what a group needs and to see what was made.
"""

import json
import os
import sys

import judge
from judge import VENV, client, expect, expect_match, promise, say

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B = AIM.zones[:2]
NAME = AIM.name
MODULE = "amazon.aws.autoscaling_group"


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
    scaling, elb = boto3.client("autoscaling"), boto3.client("elb")
    listener = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
    elb.create_load_balancer(LoadBalancerName=NAME, Listeners=[listener], AvailabilityZones=[A, B])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    scaling.create_launch_configuration(LaunchConfigurationName=NAME, ImageId=AIM.image, InstanceType="m1.small")
    judge.at_end(lambda: scaling.delete_launch_configuration(LaunchConfigurationName=NAME))
    judge.at_end(lambda: scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True))
    wanted = {
        "name": NAME, "state": "present", "launch_config_name": NAME, "load_balancers": [NAME], "availability_zones": [A, B],
        "min_size": 1, "max_size": 3, "desired_capacity": 2, "health_check_type": "ELB", "health_check_period": 60,
        "default_cooldown": 30, "wait_for_instances": True, "wait_timeout": 60, "replace_all_instances": False,
        "tags": [{"Name": "web", "propagate_at_launch": True}],
    }  # fmt: skip
    twice("create", wanted)
    shown = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
    expect("two are in service", [i["LifecycleState"] for i in shown["Instances"]], ["InService"] * 2)
    twice("change", dict(wanted, desired_capacity=3, health_check_period=90, tags=[{"Name": "api", "propagate_at_launch": False}]))
    shown = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
    expect("three are in service", [i["LifecycleState"] for i in shown["Instances"]], ["InService"] * 3)
    expect("its grace", shown["HealthCheckGracePeriod"], 90)
    expect("its tags", [(tag["Key"], tag["Value"], tag["PropagateAtLaunch"]) for tag in shown["Tags"]], [("Name", "api", False)])
    twice("delete", {"name": NAME, "state": "absent", "wait_timeout": 60})
    gone = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
    promise("it is gone", gone == [], "no group", gone)


def play(what, arguments, changed):
    """One task on this machine; whether it changed anything must be as promised."""
    arguments = dict(arguments, region=AIM.region)
    tasks = [{"name": what, MODULE: arguments}]
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


judge.judge(main)
