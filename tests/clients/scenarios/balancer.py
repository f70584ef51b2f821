"""Owns how a balancer's state reads in the real clients: the health texts, and elbadmin's status block to the last blank.

Must never run a client or ask the daemon. Reader goes next to `boto_elbadmin.py`.
"""

import judge

IN_SERVICE = ("InService", "N/A", "N/A")
REGISTERING = ("OutOfService", "ELB", "Instance registration is still in progress.")
FAILED = (
    "OutOfService",
    "Instance",
    "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
)
ZONE_OFF = (
    "OutOfService",
    "ELB",
    "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
)
ZONE_LEAVING = ("OutOfService", "ELB", "Disable Availability Zone is currently in progress.")
NOT_REGISTERED = ("OutOfService", "Instance", "Instance is not currently registered with the LoadBalancer.")
STOPPED = ("OutOfService", "Instance", "Instance is in stopped state.")
TERMINATED = ("OutOfService", "Instance", "Instance is in terminated state.")
# What a registered instance may show until the first verdict: its application may not listen yet.
COMING_UP = (REGISTERING, FAILED, IN_SERVICE)


def row(instance, state, width, name):
    return "%-12s %-15s %-*s %s" % (instance, state[0], width, name, state[2])


def expect_status(what, ran, endpoint, balancer, states, names):
    """Judges a whole elbadmin output: the endpoint line, then the status block.

    `balancer` has name, dns, zone_id, target, listeners (in, out, protocol) and zones, in the order shown. `states` maps
    each instance to the states it may be in, `names` to its Name tag; the order of instances is the daemon's own.
    """
    if ran.code != 0:
        return judge.promise("%s: exit status" % what, False, 0, "%d\n%s%s" % (ran.code, ran.out, ran.err))
    width = max([4] + [len(names.get(instance, "")) for instance in states]) + 2
    header = "%-12s %-15s %-*s %s" % ("ID", "STATE", width, "NAME", "DESCRIPTION")
    got = ran.out.split(header + "\n")[-1].splitlines()[:-1] if header + "\n" in ran.out else []
    allowed = {
        instance: [row(instance, state, width, names.get(instance, "")) for state in possible]
        for instance, possible in states.items()
    }
    listed = sorted(line.split(" ")[0] for line in got)
    judge.promise("%s: instances listed" % what, listed == sorted(states), "%s" % sorted(states), "%s\n%s" % (listed, ran.out))
    for line in got:
        instance = line.split(" ")[0]
        judge.promise(
            "%s: state of %s" % (what, instance), line in allowed.get(instance, []), "\n".join(allowed.get(instance, [])), line
        )
    expected = [endpoint, "=" * 80, "Name: %s" % balancer.name, "DNS Name: %s" % balancer.dns]
    expected += ["Canonical hosted zone name: %s" % balancer.dns, "Canonical hosted zone name id: %s" % balancer.zone_id]
    expected += ["", "Health Check: HealthCheck:%s" % balancer.target, ""]
    expected += ["Listeners", "---------", "%-8s %-8s %s" % ("IN", "OUT", "PROTO")]
    expected += ["%-8s %-8s %s" % listener for listener in balancer.listeners]
    expected += ["", "  Zones  ", "---------", *balancer.zones, "", "Instances", "---------", header, *got, ""]
    return judge.expect(what, ran.out, "\n".join(expected) + "\n")


def rows_of(ran):
    """The instances' rows of an elbadmin output, by id: (state, rest of the line)."""
    lines = ran.out.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith("ID  ")), len(lines))
    return {line.split()[0]: (line.split()[1], line) for line in lines[start + 1 :] if line}


def shows(ran, instance, state):
    """Whether elbadmin shows this instance in this state."""
    got = rows_of(ran).get(instance)
    return got is not None and got[0] == state[0] and got[1].endswith(" " + state[2])
