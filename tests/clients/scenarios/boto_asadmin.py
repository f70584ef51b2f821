"""Judges with boto 2.49's own `asadmin`, in proxy mode: every command that it has but the one that polls each 20 s, with its output.

Must never reach into boto where the script itself can show it. Reader goes next to `boto3_autoscaling.py`.
"""

import judge
from judge import expect, expect_has, expect_match, script, until

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)

import boto  # noqa: E402  after its configuration stands
import boto.ec2.autoscale  # noqa: E402

A, B = AIM.zones[:2]
GROUP, LAUNCH = AIM.name, AIM.name + "-lc"


def main():
    launches()
    groups()
    grown()
    pictured()
    ended()


def run(what, *arguments):
    ran = script("asadmin", *arguments)
    expect("%s: exit status" % what, (ran.code, ran.err if ran.code else ""), (0, ""))
    return ran.out


def members():
    group = boto.connect_autoscale().get_all_groups(names=[GROUP])[0]
    return sorted(i.instance_id for i in group.instances if i.lifecycle_state == "InService")


def launches():
    out = run("create-lc", "create-lc", LAUNCH, "-i", AIM.image, "-t", "m1.small", "-k", "ops")
    expect_match("it is listed", out, r"(?s).*%-30s %-20s m1.small\n.*" % (LAUNCH, AIM.image))
    expect_has("list-lc", run("list-lc", "list-lc"), LAUNCH)


def groups():
    missing = script("asadmin", "get", "nope")
    expect("one that is not there", missing.code, 1)
    expect_has("in its words", missing.out, "No auto scaling groups by the name of nope found")
    out = run("create", "create", GROUP, "-l", LAUNCH, "-z", A, "-z", B, "-x", "1", "-X", "4", "-C", "2", "-p", "60")
    expect_has("it is listed", out, "%-20s %s" % (GROUP, LAUNCH))
    judge.at_end(lambda: script("asadmin", "delete", GROUP, "-f"))
    until("two are in service", members, lambda ids: len(ids) == 2)
    out = run("get", "get", GROUP)
    for line in ("Minimum size:%18s1" % "", "Maximum size:%18s4" % "", "Desired capacity:%14s2" % ""):
        expect_has("get shows", out, line)
    for instance in members():
        expect_match("and each instance", out, r"(?s).*%-20s %-20s %-20s (%s|%s)\n.*" % (instance, "InService", "Healthy", A, B))


def grown():
    run("update", "update", GROUP, "desired_capacity", "3")
    until("three are in service", members, lambda ids: len(ids) == 3)
    scaling = boto.connect_autoscale()
    group = scaling.get_all_groups(names=[GROUP])[0]
    expect("read back", (group.min_size, group.max_size, group.desired_capacity), (1, 4, 3))
    activities = scaling.get_all_activities(group)
    expect("what it did", {a.status_code for a in activities}, {"Successful"})
    expect("how many times", len(activities), 3)
    scaling.suspend_processes(GROUP, ["Launch"])
    suspended = scaling.get_all_groups(names=[GROUP])[0].suspended_processes
    expect("suspended", [one.process_name for one in suspended], ["Launch"])
    scaling.resume_processes(GROUP)


def pictured():
    out = run("update-image", "update-image", GROUP, LAUNCH + "-2", "-i", AIM.image)
    expect_has("its new configuration", out, LAUNCH + "-2")


def ended():
    run("delete", "delete", GROUP, "-f")
    until("it is gone", lambda: boto.connect_autoscale().get_all_groups(names=[GROUP]), lambda groups: groups == [])
    for name in (LAUNCH, LAUNCH + "-2"):
        run("delete-lc", "delete-lc", name)
    expect("nothing is left", LAUNCH in run("list-lc", "list-lc"), False)


judge.judge(main)
