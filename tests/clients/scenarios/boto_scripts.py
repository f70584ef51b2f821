"""Judges with boto 2.49's own `list_instances` and `kill_instance`, in proxy mode.

Must never assume the daemon has no other instances: rows are picked by id. Reader goes next to `boto_direct.py`.
"""

import datetime

import judge
from judge import expect, expect_has, expect_run, expect_traceback, promise, script, until

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)

import boto  # noqa: E402  after its configuration stands

WIDTHS = {
    "ID": 15, "Zone": 15, "Groups": 30, "Hostname": 50, "PrivateHostname": 50, "State": 15, "Image": 15, "Type": 15,
    "IP": 16, "PrivateIP": 16, "Key": 25, "T:Name": 30,
}  # fmt: skip
A, B, C = AIM.zones[:3]
TAG = "of " + AIM.name


def main():
    ec2 = boto.connect_ec2()
    ids = launch(ec2)
    usage(ids)
    default_columns(ec2, ids)
    every_column(ec2, ids)
    filters(ids)
    kill(ec2, ids)


def launch(ec2):
    """One reservation after another, against the order of the zones, so that only sorting by launch time fits."""
    ids = []
    for zone in (C, A, B):
        reservation = ec2.run_instances(AIM.image, placement=zone)
        ids.append(reservation.instances[0].id)
        judge.at_end(ec2.terminate_instances, [ids[-1]])

        # Launch times may have whole seconds only: the next one must be later than this one.
        def another_second(launched=reservation.instances[0].launch_time):
            return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") > launched[:19]

        until("a second has passed", another_second, bool, seconds=5)
    ec2.create_tags([ids[1]], {"Name": TAG})
    until("three instances run", lambda: [i.state for i in ec2.get_only_instances(ids)], lambda got: got == ["running"] * 3)
    return ids


def usage(ids):
    expect_run("list_instances in an unknown region", script("list_instances", "-r", "nowhere"), "Region nowhere not found.\n", 1)
    expect_run(
        "kill_instance in an unknown region", script("kill_instance", "-r", "nowhere", ids[0]), "Region nowhere not found.\n", 1
    )
    ran = script("kill_instance")
    expect("kill_instance without ids: exit status", ran.code, 1)
    expect_has("kill_instance without ids: help", ran.out, "Usage: kill_instance [-r] id [id ...]\n")
    expect_traceback("list_instances with an unknown column", script("list_instances", "-H", "ID,Nose"), "", "KeyError")


def columns(names):
    return "".join("%%-%ds" % WIDTHS[name] for name in names)


def expect_table(what, ran, names, rows):
    """Header, dashes to the full width, then our rows among the others, in this order."""
    header = columns(names) % names
    expect("%s: exit status" % what, (ran.code, ran.err), (0, ""))
    lines = ran.out.splitlines()
    expect("%s: header" % what, lines[:2], [header, "-" * len(header)])
    wanted = [columns(names) % row for row in rows]
    ids = [row[0] for row in rows]
    expect(what, [line for line in lines[2:] if any(line.startswith(i) for i in ids)], wanted)


def instances(ec2, ids):
    found = {i.id: i for i in ec2.get_only_instances(ids)}
    return [found[i] for i in ids]


def default_columns(ec2, ids):
    ran = script("list_instances")
    rows = [(i.id, i.placement, "default", i.public_dns_name) for i in instances(ec2, ids)]
    expect("their zones", [row[1] for row in rows], [C, A, B])
    expect_table("list_instances, newest last", ran, ("ID", "Zone", "Groups", "Hostname"), rows)


def every_column(ec2, ids):
    names = ("ID", "Zone", "Groups", "Hostname", "PrivateHostname", "State", "Image", "Type", "IP", "PrivateIP", "Key")
    rows = []
    for i in instances(ec2, ids):
        expect("image of %s" % i.id, i.image_id, AIM.image)
        judge.expect_match("private address of %s" % i.id, i.private_ip_address, r"\d+\.\d+\.\d+\.\d+")
        row = (i.id, i.placement, "default", i.public_dns_name, i.private_dns_name, i.state, i.image_id, i.instance_type)
        rows.append(row + (i.ip_address, i.private_ip_address, i.key_name))
    private = [row[9] for row in rows]
    promise("each has its own private address", len(set(private)) == 3, "three addresses", private)
    expect_table("every column", script("list_instances", "-H", ",".join(names)), names, rows)
    # With -t every column must be a text: an element left out is None there, and a TypeError.
    ran = script("list_instances", "-t", "-H", ",".join(names))
    expect("-t: exit status", (ran.code, ran.err), (0, ""))
    expect("-t", [line.split("\t") for line in ran.out.splitlines() if line.split("\t")[0] in ids], [list(row) for row in rows])
    names = ("ID", "State", "T:Name")
    tagged = [(i, "running", TAG if i == ids[1] else "") for i in ids]
    expect_table("a tag's column", script("list_instances", "-H", ",".join(names)), names, tagged)


def filters(ids):
    def listed(text):
        ran = script("list_instances", "-t", "-H", "ID", "-f", text)
        expect("-f %s: exit status" % text, (ran.code, ran.err), (0, ""))
        return [line for line in ran.out.splitlines() if line in ids]

    expect("by state", listed("instance-state-name=running"), ids)
    expect("by state, with an underscore", listed("instance_state_name=running"), ids)
    expect("by another state", listed("instance-state-name=stopped"), [])
    expect("by zone", listed("availability-zone=%s" % A), [ids[1]])
    expect("by a wildcard", listed("availability-zone=%s*" % A[:-1]), ids)
    expect("by one wild letter", listed("availability-zone=%s?" % A[:-1]), ids)
    expect("by tag", listed("tag:Name=%s" % TAG), [ids[1]])
    expect("by tag, part of it", listed("tag:Name=%s" % TAG[:-1]), [])
    expect("by id", listed("instance-id=%s" % ids[2]), [ids[2]])
    expect("by zone and image", listed("availability-zone=%s,image-id=%s" % (C, AIM.image)), [ids[0]])
    expect_traceback(
        "by a filter that does not exist", script("list_instances", "-t", "-f", "nose=long"), "", "InvalidParameterValue", "nose"
    )


def kill(ec2, ids):
    expect_run(
        "kill_instance of two",
        script("kill_instance", ids[0], ids[2]),
        "Stopping instance: %s\nStopping instance: %s\n" % (ids[0], ids[2]),
    )
    done = ["terminated", "running", "terminated"]
    until("those two are terminated", lambda: [i.state for i in instances(ec2, ids)], lambda got: got == done)
    names = ("ID", "State")
    expect_table("terminated ones stay listed", script("list_instances", "-H", "ID,State"), names, list(zip(ids, done)))
    expect_run("kill_instance of a terminated one", script("kill_instance", ids[0]), "Stopping instance: %s\n" % ids[0])
    unknown = "i-0123456789abcdef0"
    ran = script("kill_instance", unknown, ids[1])
    said = "The instance ID '%s' does not exist" % unknown
    expect_traceback(
        "kill_instance of an unknown one", ran, "Stopping instance: %s\n" % unknown, "InvalidInstanceID.NotFound", said
    )
    ran = script("kill_instance", "nonsense")
    expect_traceback("kill_instance of nonsense", ran, "Stopping instance: nonsense\n", "InvalidInstanceID.Malformed")
    expect("the third still runs", ec2.get_only_instances([ids[1]])[0].state, "running")


judge.judge(main)
