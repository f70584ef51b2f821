"""Judges Ansible's `amazon.aws.autoscaling_group`: it creates, changes and deletes a group, and finds nothing to do a second time;
`autoscaling_instance_refresh` and its `_info`: they begin a refresh, show it, call it off, and have one done.

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
REFRESH = "amazon.aws.autoscaling_instance_refresh"
SHOW = "amazon.aws.autoscaling_instance_refresh_info"


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
    refresh(scaling)
    twice("delete", {"name": NAME, "state": "absent", "wait_timeout": 60})
    gone = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
    promise("it is gone", gone == [], "no group", gone)


def refresh(scaling):
    """The modules never say that anything was changed but in check mode, where whatever is known of counts as under way. Where one is
    under way a start is tried again for minutes."""
    before = {i["InstanceId"] for i in scaling.describe_auto_scaling_instances()["AutoScalingInstances"]}
    slow = {"min_healthy_percentage": 90, "max_healthy_percentage": 150, "instance_warmup": 600, "skip_matching": False}
    play(
        "begin, show, call off",
        [
            task("would begin", REFRESH, state="started", check_mode=True, that=["is changed"]),
            task("none", SHOW, that=[".instance_refreshes == []", ".next_token == ''"]),
            task("none to call off", REFRESH, state="cancelled", fails="ActiveInstanceRefreshNotFound"),
            task(
                "begin",
                REFRESH,
                state="started",
                preferences=slow,
                that=[
                    ".instance_refreshes.status in ['Pending', 'InProgress']",
                    ".instance_refreshes.auto_scaling_group_name == '%s'" % NAME,
                    ".instance_refreshes.preferences.instance_warmup == 600",
                    ".instance_refreshes.preferences.max_healthy_percentage == 150",
                    ".instance_refreshes.percentage_complete == 0",
                    ".instance_refreshes.instances_to_update == 3",
                ],
            ),
            task("would not begin another", REFRESH, state="started", check_mode=True, that=["is not changed"]),
            task("show", SHOW, until=".instance_refreshes[0].status == 'InProgress'"),
            task(
                "show it alone",
                SHOW,
                ids=["{{ seen_begin.instance_refreshes.instance_refresh_id }}"],
                max_records=1,
                that=[
                    ".instance_refreshes | length == 1",
                    ".instance_refreshes[0].instance_refresh_id == seen_begin.instance_refreshes.instance_refresh_id",
                    ".instance_refreshes[0].strategy == 'Rolling'",
                ],
            ),
            task("call off", REFRESH, state="cancelled", that=[".instance_refreshes.status in ['Cancelling', 'Cancelled']"]),
            task("would not call off again", REFRESH, state="cancelled", check_mode=True, that=["is not changed"]),
            task("nothing to call off", REFRESH, state="cancelled", fails="ActiveInstanceRefreshNotFound"),
            task("called off", SHOW, until=".instance_refreshes[0].status == 'Cancelled'"),
        ],
    )
    quick = {"min_healthy_percentage": 100, "max_healthy_percentage": 200, "instance_warmup": 0}
    play(
        "refresh",
        [
            task("begin another", REFRESH, state="started", preferences=quick),
            task("done", SHOW, until=".instance_refreshes[0].status == 'Successful'"),
            task("both", SHOW, that=[".instance_refreshes | map(attribute='status') | list == ['Successful', 'Cancelled']"]),
            task("all of three", SHOW, that=[".instance_refreshes[0].percentage_complete == 100"]),
            task("match already", REFRESH, state="started", preferences={"skip_matching": True}),
            task("nobody is replaced", SHOW, until=".instance_refreshes[0].status == 'Successful'"),
        ],
    )
    after = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]["Instances"]
    expect("three others are in service", [i["LifecycleState"] for i in after], ["InService"] * 3)
    expect("none of before is left", before & {i["InstanceId"] for i in after}, set())
    play("nobody's", [task("nobody's", SHOW, name=NAME + "x", fails="ValidationError")])


def seen(what):
    return "seen_" + what.replace(" ", "_").replace("'", "")


def task(what, module, that=(), until=None, fails=None, check_mode=False, **arguments):
    """A task, and what is to be so of its result: each of `that`, after `until` has come true, or the error that it fails with."""
    known = seen(what)
    if fails:
        that = ["is failed", ".msg is search('.%s.')" % fails]
    made = {"name": what, module: dict({"name": NAME, "region": AIM.region}, **arguments), "register": known}
    made.update({"check_mode": True} if check_mode else {}, **({"ignore_errors": True} if fails else {}))
    made.update({"until": known + until, "retries": 120, "delay": 0.5} if until else {})
    kept = {"name": what + ", seen", "ansible.builtin.assert": {"that": [known + (t if t[0] == "." else " " + t) for t in that]}}
    return [made, kept] if that else [made]


def play(what, tasks, changed=None):
    """Tasks on this machine, all of which go well; how many change anything must be as promised."""
    book = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": sum(tasks, [])}]
    book[0]["vars"] = {"ansible_python_interpreter": sys.executable}
    path = AIM.home / "play.json"
    path.write_text(json.dumps(book))
    ran = client(VENV / "bin" / "ansible-playbook", path)
    promise("%s: exit status" % what, ran.code == 0, 0, ran)
    if changed is not None:
        expect_match("%s: recap" % what, ran.out.strip().splitlines()[-1], r"localhost\s+: ok=1\s+changed=%d\s.*failed=0.*" % changed)


def twice(what, arguments):
    play(what, [task(what, MODULE, **arguments)], 1)
    play(what + ", again", [task(what, MODULE, **arguments)], 0)


judge.judge(main)
