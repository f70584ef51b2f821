"""Judges with boto 2.49's own `elbadmin`, in proxy mode: the whole walk, every output to the last blank, every exit status.

Must never reach into boto where the script itself can show it. Reader goes next to `boto_scripts.py`.
"""

from types import SimpleNamespace

import judge
from balancer import COMING_UP, IN_SERVICE, TERMINATED, ZONE_LEAVING, ZONE_OFF, expect_status, shows
from judge import expect, expect_match, expect_run, expect_traceback, script, until

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)
ENDPOINT = "elasticloadbalancing.us-east-1.amazonaws.com"

import boto  # noqa: E402  after its configuration stands
from boto.ec2.elb import HealthCheck  # noqa: E402

A, B, C = AIM.zones[:3]
NAME = AIM.name
FIRST = (str(AIM.port), str(AIM.instance_port), "HTTP")
SECOND = (str(AIM.port2), str(AIM.instance_port), "TCP")
ABSENT = "%s\nNo load balancer by the name of %%s found\n" % ENDPOINT


def main():
    ec2 = boto.connect_ec2()
    elb = boto.connect_elb()
    usage()
    nothing_there(elb)
    web = create(elb)
    one, two, three = launch(ec2)
    names = {three: "front-of-zone-c"}
    add(web, one, two, three, names)
    zones(web, one, two, three, names)
    remove(web, one, two, three, names)
    kill_and_reap(ec2, web, one, two, three, names)
    listeners(web, two, three, names)
    delete(web)


def usage():
    expect_run("--version", script("elbadmin", "--version"), "0.2\n")
    ran = script("elbadmin")
    expect("no command: exit status", ran.code, 1)
    expect_match("no command: help", ran.out, r"(?s)Usage: elbadmin \[options\] \[command\]\n.*")
    expect_run("unknown command", script("elbadmin", "fly"), ENDPOINT + "\n")
    listener = "%d,%d,http" % (AIM.port, AIM.instance_port)
    expect_run(
        "create without -l",
        script("elbadmin", "-z", A, "create", NAME),
        ENDPOINT + "\n-l option required for command create\n",
        1,
    )
    expect_run(
        "create without -z",
        script("elbadmin", "-l", listener, "create", NAME),
        ENDPOINT + "\n-z option required for command create\n",
        1,
    )
    expect_run("addl without -l", script("elbadmin", "addl", NAME), ENDPOINT + "\n-l option required for command addl\n", 1)
    expect_run("rml without a port", script("elbadmin", "rml", NAME), ENDPOINT + "\nport required\n", 2)
    expect_run("an invalid region", script("elbadmin", "-r", "nowhere", "list"), "Invalid region (nowhere)\n", 1)
    expect_traceback("get without a name", script("elbadmin", "get"), ENDPOINT + "\n", "IndexError")


def nothing_there(elb):
    for words in (
        ("get",),
        ("delete",),
        ("add", "i-0123456789abcdef0"),
        ("rm", "i-0123456789abcdef0"),
        ("reap",),
        ("enable", A),
        ("disable", A),
        ("rml", "80"),
    ):
        expect_run("%s of an unknown name" % words[0], script("elbadmin", words[0], NAME, *words[1:]), ABSENT % NAME)
    expect_run("list", script("elbadmin", "list"), listing(elb))


def listing(elb):
    lines = [ENDPOINT, "%-20s %s" % ("Name", "DNS Name"), "-" * 80]
    return "\n".join(lines + ["%-20s %s" % (b.name, b.dns_name) for b in elb.get_all_load_balancers()]) + "\n"


def create(elb):
    judge.at_end(elb.delete_load_balancer, NAME)
    ran = script("elbadmin", "-l", ",".join(FIRST).lower(), "-z", A, "-z", B, "create", NAME)
    made = elb.get_all_load_balancers([NAME])[0]
    expect_match("its DNS name", made.dns_name, r"%s-[0-9]{6,10}\.%s\.elb\..+" % (NAME, AIM.region))
    expect("its canonical hosted zone name", made.canonical_hosted_zone_name, made.dns_name)
    expect_match("its canonical hosted zone id", made.canonical_hosted_zone_name_id, r"Z[A-Z0-9]+")
    expect("its scheme", made.scheme, "internet-facing")
    expect("its default health check", vars_of(made.health_check), ("TCP:%d" % AIM.instance_port, 30, 5, 10, 2))
    web = SimpleNamespace(
        name=NAME,
        dns=made.dns_name,
        zone_id=made.canonical_hosted_zone_name_id,
        target="TCP:%d" % AIM.instance_port,
        listeners=[FIRST],
        zones=[A, B],
    )
    expect_status("create", ran, ENDPOINT, web, {}, {})
    expect_status("get", script("elbadmin", "get", NAME), ENDPOINT, web, {}, {})
    expect_status("GET with a region", script("elbadmin", "GET", NAME, "-r", "us-east-1"), ENDPOINT, web, {}, {})
    expect_run("ls", script("elbadmin", "ls"), listing(elb))
    judge.expect_has("ls lists the new one", listing(elb), "\n%-20s %s\n" % (NAME, made.dns_name))
    # elbadmin itself only tests for a substring: the daemon must not match by prefix.
    expect_run("get of the name's beginning", script("elbadmin", "get", NAME[:-1]), ABSENT % NAME[:-1])
    expect_run("delete of the name's end", script("elbadmin", "delete", NAME[1:]), ABSENT % NAME[1:])

    web.target = "HTTP:%d/" % AIM.instance_port
    check = HealthCheck(interval=5, timeout=2, unhealthy_threshold=2, healthy_threshold=2, target=web.target)
    expect("configure_health_check", vars_of(elb.configure_health_check(NAME, check)), (web.target, 5, 2, 2, 2))
    expect_status("get after the health check changed", script("elbadmin", "get", NAME), ENDPOINT, web, {}, {})
    expect_traceback(
        "create again with another listener",
        script("elbadmin", "-l", ",".join(SECOND), "-z", A, "create", NAME),
        ENDPOINT + "\n",
        "DuplicateLoadBalancerName",
        "Load Balancer named '%s' already exists and it is configured with different parameters." % NAME,
    )
    return web


def vars_of(check):
    return (check.target, check.interval, check.timeout, check.healthy_threshold, check.unhealthy_threshold)


def launch(ec2):
    ids = []
    for zone in (A, B, C):
        ids.append(ec2.run_instances(AIM.image, placement=zone).instances[0].id)
        judge.at_end(ec2.terminate_instances, [ids[-1]])
    ec2.create_tags([ids[2]], {"Name": "front-of-zone-c"})

    def states():
        return [i.state for i in ec2.get_only_instances(ids)]

    until("three instances run", states, lambda got: got == ["running"] * 3)
    return ids


def status(what, ran, web, states, names):
    return expect_status(what, ran, ENDPOINT, web, {i: s if isinstance(s[0], tuple) else (s,) for i, s in states.items()}, names)


def comes(what, instance, state):
    return until(what, lambda: script("elbadmin", "get", NAME), lambda ran: shows(ran, instance, state), every=0.5)


def add(web, one, two, three, names):
    ran = script("elbadmin", "add", NAME, one, two)
    status("add", ran, web, {one: COMING_UP, two: COMING_UP}, {})
    comes("the first comes into service", one, IN_SERVICE)
    ran = comes("the second comes into service", two, IN_SERVICE)
    status("get with both in service", ran, web, {one: IN_SERVICE, two: IN_SERVICE}, {})
    ran = script("elbadmin", "put", NAME, one)
    status("put of one already there", ran, web, {one: IN_SERVICE, two: IN_SERVICE}, {})
    ran = script("elbadmin", "add", NAME, three)
    status("add in a zone that is off", ran, web, {one: IN_SERVICE, two: IN_SERVICE, three: ZONE_OFF}, names)
    unknown = "i-0123456789abcdef0"
    ran = script("elbadmin", "add", NAME, unknown)
    expect_traceback("add of an unknown instance", ran, ENDPOINT + "\n", "InvalidInstance", unknown)


def zones(web, one, two, three, names):
    both = {one: IN_SERVICE, two: IN_SERVICE}
    web.zones = [A, B, C]
    status("enable", script("elbadmin", "enable", NAME, C), web, {**both, three: COMING_UP}, names)
    ran = comes("enabling brings its instance in", three, IN_SERVICE)
    status("get with three zones", ran, web, {**both, three: IN_SERVICE}, names)
    status("en of a zone already on", script("elbadmin", "en", NAME, C), web, {**both, three: IN_SERVICE}, names)
    web.zones = [A, B]
    status("disable", script("elbadmin", "disable", NAME, C), web, {**both, three: (ZONE_OFF, ZONE_LEAVING)}, names)
    ran = comes("disabling takes its instance out", three, ZONE_OFF)
    status("get with two zones", ran, web, {**both, three: ZONE_OFF}, names)
    status("disable of a zone already off", script("elbadmin", "disable", NAME, C), web, {**both, three: ZONE_OFF}, names)
    web.zones = [A]
    status(
        "disable all but one",
        script("elbadmin", "disable", NAME, B),
        web,
        {one: IN_SERVICE, two: (ZONE_OFF, ZONE_LEAVING), three: ZONE_OFF},
        names,
    )
    expect_traceback(
        "disable the last zone", script("elbadmin", "disable", NAME, A), ENDPOINT + "\n", "409", "InvalidConfigurationRequest"
    )
    expect_traceback(
        "enable a zone that does not exist",
        script("elbadmin", "enable", NAME, "us-east-1z"),
        ENDPOINT + "\n",
        "ValidationError",
        "us-east-1z",
    )
    web.zones = [A, B]
    status("enable again", script("elbadmin", "enable", NAME, B), web, {one: IN_SERVICE, two: COMING_UP, three: ZONE_OFF}, names)
    comes("the second is back", two, IN_SERVICE)


def remove(web, one, two, three, names):
    left = {one: IN_SERVICE, three: ZONE_OFF}
    status("rm", script("elbadmin", "rm", NAME, two), web, left, names)
    status("remove of one not registered", script("elbadmin", "remove", NAME, two), web, left, names)
    status("add it again", script("elbadmin", "add", NAME, two), web, {**left, two: COMING_UP}, names)
    ran = comes("it is back", two, IN_SERVICE)
    status("get with it back", ran, web, {**left, two: IN_SERVICE}, names)


def kill_and_reap(ec2, web, one, two, three, names):
    before = {one: IN_SERVICE, two: IN_SERVICE, three: ZONE_OFF}
    status("reap with none terminated", script("elbadmin", "reap", NAME), web, before, names)
    expect_run("kill_instance", script("kill_instance", one), "Stopping instance: %s\n" % one)
    until("it is terminated", lambda: ec2.get_only_instances([one])[0].state, lambda state: state == "terminated")
    ran = comes("elbadmin shows it terminated", one, TERMINATED)
    status("get with one terminated", ran, web, {**before, one: TERMINATED}, names)
    status("reap", script("elbadmin", "reap", NAME), web, {two: IN_SERVICE, three: ZONE_OFF}, names)
    expect_traceback(
        "add of a terminated instance", script("elbadmin", "add", NAME, one), ENDPOINT + "\n", "InvalidInstance", one
    )


def listeners(web, two, three, names):
    there = {two: IN_SERVICE, three: ZONE_OFF}
    web.listeners = sorted([FIRST, SECOND], key=lambda listener: int(listener[0]))
    words = ("addl", NAME, "-l", ",".join(SECOND).lower())
    status("addl", script("elbadmin", *words), web, there, names)
    status("addl of the same", script("elbadmin", *words), web, there, names)
    other = "%s,%d,tcp" % (SECOND[0], AIM.instance_port + 1)
    expect_traceback(
        "addl of another on the same port", script("elbadmin", "addl", NAME, "-l", other), ENDPOINT + "\n", "DuplicateListener"
    )
    web.listeners = [FIRST]
    status("rml", script("elbadmin", "rml", NAME, SECOND[0]), web, there, names)
    status("rml of a port without listener", script("elbadmin", "rml", NAME, SECOND[0]), web, there, names)
    expect_traceback("addl of port 0", script("elbadmin", "addl", NAME, "-l", "0,80,http"), ENDPOINT + "\n", "ValidationError")
    expect_traceback(
        "addl of port 65536", script("elbadmin", "addl", NAME, "-l", "65536,80,http"), ENDPOINT + "\n", "ValidationError"
    )
    status("get after what was refused", script("elbadmin", "get", NAME), web, there, names)


def delete(web):
    expect_run("delete", script("elbadmin", "delete", NAME), "%s\nLoad Balancer %s deleted\n" % (ENDPOINT, NAME))
    expect_run("delete again", script("elbadmin", "delete", NAME), ABSENT % NAME)
    expect_run("get after delete", script("elbadmin", "get", NAME), ABSENT % NAME)
    judge.promise("list after delete", web.dns not in script("elbadmin", "list").out, "no %s" % NAME, web.dns)


judge.judge(main)
