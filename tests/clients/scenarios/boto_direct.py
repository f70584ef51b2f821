"""Judges with boto 2.49 in direct mode, where the signature's scope is `0/127`: the scripts, then boto's own calls.

Must never repeat the walk of `boto_elbadmin.py`: only what the mode changes and what the scripts cannot show. Reader goes
next to `boto3_walk.py`.
"""

import datetime

import judge
from balancer import COMING_UP, IN_SERVICE, NOT_REGISTERED
from judge import expect, expect_has, expect_in, expect_match, expect_run, promise, refused, script, until

AIM = judge.enter()
judge.aim_boto_directly(AIM, [AIM.region, "local"])

import boto  # noqa: E402  after its configuration stands
import boto.ec2  # noqa: E402
import boto.ec2.elb  # noqa: E402
from boto.ec2.elb import HealthCheck  # noqa: E402
from boto.ec2.elb.attributes import ConnectionSettingAttribute  # noqa: E402

A, B, C = AIM.zones[:3]
NAME = AIM.name
UNKNOWN = "i-0123456789abcdef0"


def main():
    elb = boto.connect_elb()
    ec2 = boto.connect_ec2()
    expect("boto dials the daemon itself", (elb.host, elb.port, ec2.host, ec2.port), (AIM.host, AIM.api_port) * 2)
    places(ec2)
    scripts(elb)
    health_check(elb)
    attributes(elb)
    one = launch(ec2)
    instance_health(elb, one)
    status(ec2, one)
    tags(ec2, one)
    console(ec2, one)
    instance_attributes(ec2, one)
    power(ec2, one)
    errors(elb, ec2)


def places(ec2):
    zones = ec2.get_all_zones()
    promise("get_all_zones", {A, B, C} <= {zone.name for zone in zones}, AIM.zones, zones)
    expect("their states", {zone.state for zone in zones}, {"available"})
    expect("their region", {zone.region_name for zone in zones}, {AIM.region})
    expect_in("get_all_regions", AIM.region, [region.name for region in ec2.get_all_regions()])
    images = ec2.get_all_images([AIM.image])
    expect("get_all_images", [(image.id, image.state, image.type) for image in images], [(AIM.image, "available", "machine")])
    expect_in("get_all_security_groups", "default", [group.name for group in ec2.get_all_security_groups()])
    expect("get_all_key_pairs", isinstance(ec2.get_all_key_pairs(), list), True)


def scripts(elb):
    ran = script("elbadmin", "-l", "%d,%d,http" % (AIM.port, AIM.instance_port), "-z", A, "-z", B, "create", NAME)
    judge.at_end(elb.delete_load_balancer, NAME)
    expect("elbadmin create: exit status", (ran.code, ran.err), (0, ""))
    expect("elbadmin create: first line", ran.out.splitlines()[0], AIM.host)
    expect_has("elbadmin create: the balancer", ran.out, "\nName: %s\n" % NAME)
    for region in (AIM.region, "local"):
        expect_run("elbadmin -r %s get" % region, script("elbadmin", "-r", region, "get", NAME), ran.out)
        listed = script("list_instances", "-r", region)
        expect("list_instances -r %s" % region, (listed.code, listed.err), (0, ""))
    absent = "%s\nNo load balancer by the name of %s found\n" % (AIM.host, NAME[:-1])
    expect_run("elbadmin get of the name's beginning", script("elbadmin", "get", NAME[:-1]), absent)
    ran = script("kill_instance", "-r", "local", UNKNOWN)
    expect("kill_instance of an unknown one: exit status", (ran.code, ran.out), (1, "Stopping instance: %s\n" % UNKNOWN))
    expect_has("kill_instance of an unknown one: the error", ran.err, "InvalidInstanceID.NotFound")


def health_check(elb):
    def seen(check):
        return (check.target, check.interval, check.timeout, check.unhealthy_threshold, check.healthy_threshold)

    wanted = ("HTTP:%d/" % AIM.instance_port, 5, 2, 2, 2)
    check = HealthCheck(target=wanted[0], interval=5, timeout=2, unhealthy_threshold=2, healthy_threshold=2)
    expect("configure_health_check", seen(elb.configure_health_check(NAME, check)), wanted)
    expect("read back", seen(elb.get_all_load_balancers([NAME])[0].health_check), wanted)


def attributes(elb):
    def now():
        got = elb.get_all_lb_attributes(NAME)
        return (
            got.cross_zone_load_balancing.enabled,
            (got.connection_draining.enabled, got.connection_draining.timeout),
            got.connecting_settings.idle_timeout,
            got.access_log.enabled,
        )

    expect("attributes by default", now(), (False, (False, 300), 60, False))
    expect("cross-zone on", elb.modify_lb_attribute(NAME, "crossZoneLoadBalancing", True), True)
    expect("only that changed", now(), (True, (False, 300), 60, False))
    draining = elb.get_all_lb_attributes(NAME).connection_draining
    draining.enabled, draining.timeout = True, 45
    expect("draining on", elb.modify_lb_attribute(NAME, "connectionDraining", draining), True)
    settings = ConnectionSettingAttribute(elb)
    settings.idle_timeout = 17
    expect("idle timeout", elb.modify_lb_attribute(NAME, "connectingSettings", settings), True)
    expect("all three stand", now(), (True, (True, 45), 17, False))
    expect("get_lb_attribute", elb.get_lb_attribute(NAME, "crossZoneLoadBalancing"), True)
    expect("cross-zone off", elb.modify_lb_attribute(NAME, "crossZoneLoadBalancing", False), True)
    expect("and off again", now()[0], False)
    settings.idle_timeout = 0
    refused("idle timeout 0", lambda: elb.modify_lb_attribute(NAME, "connectingSettings", settings), "ValidationError")
    settings.idle_timeout = 4001
    refused("idle timeout 4001", lambda: elb.modify_lb_attribute(NAME, "connectingSettings", settings), "ValidationError")
    expect("refused changes changed nothing", now()[2], 17)


def launch(ec2):
    one = ec2.run_instances(AIM.image, placement=A, instance_type="m1.small").instances[0].id
    judge.at_end(ec2.terminate_instances, [one])
    until("it runs", lambda: ec2.get_only_instances([one])[0].state, lambda state: state == "running")
    return one


def instance_health(elb, one):
    def health(ids=None):
        return [(h.instance_id, (h.state, h.reason_code, h.description)) for h in elb.describe_instance_health(NAME, ids)]

    expect("health of none", health(), [])
    (instance, state), *more = health([one])
    expect(
        "health by id, never registered", (instance, state[0], state[2], more), (one, NOT_REGISTERED[0], NOT_REGISTERED[2], [])
    )
    registered = elb.register_instances(NAME, [one])
    expect("register_instances", [i.id for i in registered], [one])
    expect_in("health right after", health()[0], [(one, state) for state in COMING_UP])
    until("in service", health, lambda got: got == [(one, IN_SERVICE)])
    expect("health by id", health([one]), [(one, IN_SERVICE)])
    refused("health of an unknown id", lambda: health([UNKNOWN]), "InvalidInstance")
    refused(
        "register of an unknown id",
        lambda: elb.register_instances(NAME, [UNKNOWN]),
        "InvalidInstance",
        400,
        "Could not find EC2 instance %s." % UNKNOWN,
    )
    expect("enable_availability_zones", sorted(elb.enable_availability_zones(NAME, [C])), [A, B, C])
    expect("disable_availability_zones", sorted(elb.disable_availability_zones(NAME, [C])), [A, B])
    expect("deregister_instances", elb.deregister_instances(NAME, [one]), [])
    # With draining on it may show for a moment that requests in flight are waited for.
    until("health after it", health, lambda got: got == [])


def status(ec2, one):
    def got(**options):
        return [s for s in ec2.get_all_instance_status([one], **options)]

    def fine(found):
        return len(found) == 1 and found[0].system_status.status == "ok" and found[0].instance_status.status == "ok"

    found = until("get_all_instance_status", got, fine, seconds=90)[0]
    expect("its state", (found.id, found.zone, found.state_name, found.state_code & 255), (one, A, "running", 16))
    expect("its details", dict(found.instance_status.details), {"reachability": "passed"})
    expect("its events", found.events, None if found.events is None else [])


def tags(ec2, one):
    wanted = {"Name": "front", "note": "naïve + a/b & 100% 'ok' *", "empty": ""}
    expect("create_tags", ec2.create_tags([one], wanted), True)
    expect("on the instance", dict(ec2.get_only_instances([one])[0].tags), wanted)
    found = {tag.name: (tag.res_type, tag.value) for tag in ec2.get_all_tags({"resource-id": one})}
    expect("get_all_tags", found, {name: ("instance", value) for name, value in wanted.items()})
    expect("create_tags again", ec2.create_tags([one], {"Name": "back"}), True)
    expect("delete_tags by name", ec2.delete_tags([one], ["note"]), True)
    expect("delete_tags by another value", ec2.delete_tags([one], {"Name": "front"}), True)
    expect("left", dict(ec2.get_only_instances([one])[0].tags), {"Name": "back", "empty": ""})
    expect("delete_tags by its value", ec2.delete_tags([one], {"Name": "back"}), True)
    expect("left then", dict(ec2.get_only_instances([one])[0].tags), {"empty": ""})


def console(ec2, one):
    got = ec2.get_console_output(one)
    expect("console of", got.instance_id, one)
    expect_match("its time", got.timestamp, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    text = got.output.decode() if isinstance(got.output, bytes) else got.output
    expect("its output is text", isinstance(text, str), True)
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(got.timestamp[:19] + "+00:00")
    promise("its time is of today", abs(age.total_seconds()) < 3600, "within the hour", got.timestamp)


def instance_attributes(ec2, one):
    (instance,) = ec2.get_only_instances([one])

    def held(name):
        return instance.get_attribute(name)[name]

    expect("get_attribute of each", [held(name) for name in ("instanceType", "sourceDestCheck")], ["m1.small", True])
    expect("modify_attribute", instance.modify_attribute("disableApiTermination", True), True)
    expect("it is set", held("disableApiTermination"), True)
    text = "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again." % one
    refused("terminate_instances of a protected one", lambda: ec2.terminate_instances([one]), "OperationNotPermitted", 400, text)
    ran = script("kill_instance", "-r", "local", one)
    expect("kill_instance of a protected one: exit status", (ran.code, ran.out), (1, "Stopping instance: %s\n" % one))
    expect_has("kill_instance of a protected one: the error", ran.err, "OperationNotPermitted")
    expect("modify_attribute back", instance.modify_attribute("disableApiTermination", False), True)
    expect("it is lifted", held("disableApiTermination"), False)
    expect("shutdown behaviour", instance.modify_attribute("instanceInitiatedShutdownBehavior", "terminate"), True)
    expect("it is told", held("instanceInitiatedShutdownBehavior"), "terminate")
    expect("and back", instance.modify_attribute("instanceInitiatedShutdownBehavior", "stop"), True)
    expect("sourceDestCheck off", instance.modify_attribute("sourceDestCheck", False), True)
    expect("it is off", held("sourceDestCheck"), False)
    expect("reset_attribute", instance.reset_attribute("sourceDestCheck"), True)
    expect("it is on", held("sourceDestCheck"), True)
    (group,) = ec2.get_all_security_groups(["default"])
    expect("groupSet", instance.modify_attribute("groupSet", [group]), True)
    expect("its groups", [got.id for got in held("groupSet")], [group.id])
    text = "The instance '%s' is not in the 'stopped' state." % one
    for name, value in (("instanceType", "m1.large"), ("userData", "aGVsbG8=")):
        refused(
            "%s of a running one" % name, lambda n=name, v=value: instance.modify_attribute(n, v), "IncorrectInstanceState", 400, text
        )


def power(ec2, one):
    def state():
        return ec2.get_only_instances([one])[0].state

    address = ec2.get_only_instances([one])[0].private_ip_address
    # The one EC2 call that boto 2 sends as GET.
    expect("reboot_instances", ec2.reboot_instances([one]), True)
    expect("still running", state(), "running")
    expect_in("stop_instances", ec2.stop_instances([one])[0].state, ["stopping", "stopped"])
    until("stopped", state, lambda got: got == "stopped")
    (stopped,) = ec2.get_only_instances([one])
    expect("why", stopped.state_reason["code"], "Client.UserInitiatedShutdown")
    expect_match("since when", stopped.reason, r"User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)")
    expect("another type", stopped.modify_attribute("instanceType", "m1.medium"), True)
    expect("other user data", stopped.modify_attribute("userData", "aGVsbG8="), True)
    expect("they are told", [stopped.get_attribute(name)[name] for name in ("instanceType", "userData")], ["m1.medium", "aGVsbG8="])
    expect("user data of nothing", stopped.modify_attribute("userData", ""), True)
    expect("no status without include_all", ec2.get_all_instance_status([one]), [])
    expect(
        "with include_all", [s.state_name for s in ec2.get_all_instance_status([one], include_all_instances=True)], ["stopped"]
    )
    expect_in("start_instances", ec2.start_instances([one])[0].state, ["pending", "running"])
    until("running again", state, lambda got: got == "running")
    expect("its private address is kept", ec2.get_only_instances([one])[0].private_ip_address, address)
    expect_in("terminate_instances", ec2.terminate_instances([one])[0].state, ["shutting-down", "terminated"])
    until("terminated", state, lambda got: got == "terminated")
    refused("start of a terminated one", lambda: ec2.start_instances([one]), "IncorrectInstanceState")


def errors(elb, ec2):
    missing = "There is no ACTIVE Load Balancer named '%s'" % NAME[:-1]
    got = refused("an unknown balancer", lambda: elb.get_all_load_balancers([NAME[:-1]]), "LoadBalancerNotFound", 400, missing)
    expect_match("its request id", getattr(got, "request_id", None), r".+")
    got = refused(
        "an unknown instance",
        lambda: ec2.get_all_reservations([UNKNOWN]),
        "InvalidInstanceID.NotFound",
        400,
        "The instance ID '%s' does not exist" % UNKNOWN,
    )
    expect_match("its request id", getattr(got, "request_id", None), r".+")
    refused("an unknown image", lambda: ec2.run_instances("ami-0123456789abcdef0"), "InvalidAMIID.NotFound")
    refused("an unknown action", lambda: elb.get_status("Fly", {}), "InvalidAction")
    refused("an unknown EC2 action", lambda: ec2.get_status("Fly", {}, verb="POST"), "InvalidAction")
    wrong = boto.ec2.elb.ELBConnection(AIM.key, AIM.secret + "x", is_secure=False, port=AIM.api_port, region=elb.region)
    refused("a wrong secret", wrong.get_all_load_balancers, "SignatureDoesNotMatch", 403)
    wrong = boto.ec2.elb.ELBConnection("AKIANOBODYKNOWSTHIS0", AIM.secret, is_secure=False, port=AIM.api_port, region=elb.region)
    refused("an unknown key", wrong.get_all_load_balancers, "InvalidClientTokenId", 403)
    expect("delete_load_balancer", elb.delete_load_balancer(NAME), True)
    expect("delete_load_balancer of a missing one", elb.delete_load_balancer(NAME), True)


judge.judge(main)
