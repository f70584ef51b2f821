"""Judges with boto3 what the daemon must refuse, by which code, HTTP status and text, and that a refusal changes nothing.

Must never test what is granted, except where the same call must be granted twice. Texts are compared where they were seen
live on AWS; elsewhere the code and status alone. Reader goes next to `signatures.py`.
"""

import re

import judge
from balancer import NOT_REGISTERED
from judge import expect, expect_has, refused, until

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand
from botocore.config import Config  # noqa: E402

A, B, C = AIM.zones[:3]
NAME, MISSING = AIM.name, AIM.name + "-not"
LISTENER = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
UNKNOWN = "i-0123456789abcdef0"
QUICK = {"Delay": 1, "MaxAttempts": 60}
# botocore checks ranges itself unless told not to; here the daemon is asked.
UNCHECKED = Config(parameter_validation=False)


def main():
    elb, ec2 = boto3.client("elb", config=UNCHECKED), boto3.client("ec2", config=UNCHECKED)
    create(elb)
    missing_balancer(elb)
    listeners(elb)
    health_checks(elb)
    attributes(elb)
    zones(elb)
    one, two = launch(ec2)
    members(elb, ec2, one, two)
    run_instances(ec2)
    instances(ec2, one, two)
    tags(ec2, one)
    images(ec2)
    groups_and_keys(ec2)


def create(elb):
    def make(name=NAME, listeners=(LISTENER,), zones=(A, B), **more):
        return elb.create_load_balancer(LoadBalancerName=name, Listeners=list(listeners), AvailabilityZones=list(zones), **more)

    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    dns = make()["DNSName"]
    expect("create again with the same settings", make()["DNSName"], dns)
    expect(
        "create again with its defaults stated",
        make(listeners=[LISTENER | {"Protocol": "http", "InstanceProtocol": "HTTP"}], Scheme="internet-facing")["DNSName"],
        dns,
    )
    said = "Load Balancer named '%s' already exists and it is configured with different parameters." % NAME
    code = "DuplicateLoadBalancerName"
    refused(
        "create again with another port", lambda: make(listeners=[LISTENER | {"LoadBalancerPort": AIM.port2}]), code, 400, said
    )
    refused("create again with other zones", lambda: make(zones=[C]), code, 400, said)
    refused("create again with another scheme", lambda: make(Scheme="internal"), code, 400, said)

    wrong = "ValidationError"
    said = "Only one of SubnetIds or AvailabilityZones may be specified"
    refused("zones and subnets", lambda: make(MISSING, Subnets=["subnet-01234567"]), wrong, 400, said)
    refused("neither zones nor subnets", lambda: elb.create_load_balancer(LoadBalancerName=MISSING, Listeners=[LISTENER]), wrong)
    refused("a name of 33 letters", lambda: make("x" * 33), wrong, 400, "LoadBalancer name cannot be longer than 32 characters")
    for name in ("-web", "web-", "we_b", "we.b", "wéb", "we b"):
        refused("the name %r" % name, lambda name=name: make(name), wrong)
    refused("an empty name", lambda: make(""), (wrong, "MissingParameter"))
    refused(
        "no name at all",
        lambda: elb.create_load_balancer(Listeners=[LISTENER], AvailabilityZones=[A]),
        (wrong, "MissingParameter"),
    )
    refused("no listeners", lambda: make(MISSING, []), wrong)
    got = refused("an unknown zone", lambda: make(MISSING, zones=["us-east-1z"]), wrong)
    expect_has("its message", getattr(got, "message", ""), "us-east-1z")
    refused("a scheme that does not exist", lambda: make(MISSING, Scheme="sideways"), "InvalidScheme")
    https = {"Protocol": "HTTPS", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
    refused(
        "HTTPS without a certificate",
        lambda: make(MISSING, [https]),
        wrong,
        400,
        "Secure Listeners need to specify a SSLCertificateId",
    )
    refused(
        "SSL without a certificate",
        lambda: make(MISSING, [https | {"Protocol": "SSL"}]),
        wrong,
        400,
        "Secure Listeners need to specify a SSLCertificateId",
    )
    arn = "arn:aws:iam::000000000000:server-certificate/nobody"
    refused(
        "an unknown certificate",
        lambda: make(MISSING, [https | {"SSLCertificateId": arn}]),
        "CertificateNotFound",
        400,
        "Server Certificate not found for the key: %s" % arn,
    )
    for what, change in (
        ("listener port 0", {"LoadBalancerPort": 0}),
        ("listener port 65536", {"LoadBalancerPort": 65536}),
        ("listener port -1", {"LoadBalancerPort": -1}),
        ("instance port 0", {"InstancePort": 0}),
        ("instance port 65536", {"InstancePort": 65536}),
        ("instance port 2^64", {"InstancePort": 2**64}),
    ):
        refused(what, lambda change=change: make(MISSING, [LISTENER | change]), wrong)
    refused("an unknown protocol", lambda: make(MISSING, [LISTENER | {"Protocol": "FTP"}]), (wrong, "UnsupportedProtocol"))
    mixed = LISTENER | {"InstanceProtocol": "TCP"}
    refused("HTTP in front of TCP", lambda: make(MISSING, [mixed]), (wrong, "InvalidConfigurationRequest"), (400, 409))
    refused("nothing was made", lambda: elb.describe_load_balancers(LoadBalancerNames=[MISSING]), "LoadBalancerNotFound")
    elb.delete_load_balancer(LoadBalancerName=MISSING)
    refused("page size 0", lambda: elb.describe_load_balancers(PageSize=0), wrong)
    refused("page size 401", lambda: elb.describe_load_balancers(PageSize=401), wrong)


def missing_balancer(elb):
    some = [{"InstanceId": UNKNOWN}]
    check = {"Target": "TCP:80", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}
    said = "There is no ACTIVE Load Balancer named '%s'" % MISSING
    for action, parameters in {
        "create_load_balancer_listeners": {"Listeners": [LISTENER]},
        "delete_load_balancer_listeners": {"LoadBalancerPorts": [80]},
        "register_instances_with_load_balancer": {"Instances": some},
        "deregister_instances_from_load_balancer": {"Instances": some},
        "describe_instance_health": {},
        "enable_availability_zones_for_load_balancer": {"AvailabilityZones": [A]},
        "disable_availability_zones_for_load_balancer": {"AvailabilityZones": [A]},
        "configure_health_check": {"HealthCheck": check},
        "describe_load_balancer_attributes": {},
        "modify_load_balancer_attributes": {"LoadBalancerAttributes": {"CrossZoneLoadBalancing": {"Enabled": True}}},
    }.items():
        call = getattr(elb, action)
        refused(
            "%s of a missing balancer" % action,
            lambda: call(LoadBalancerName=MISSING, **parameters),
            "LoadBalancerNotFound",
            400,
            said,
        )
    for names in ([MISSING], [NAME, MISSING]):
        refused(
            "describe %s" % names, lambda: elb.describe_load_balancers(LoadBalancerNames=names), "LoadBalancerNotFound", 400, said
        )
    elb.delete_load_balancer(LoadBalancerName=MISSING)


def listeners(elb):
    def add(**change):
        return elb.create_load_balancer_listeners(LoadBalancerName=NAME, Listeners=[LISTENER | change])

    def ports():
        (got,) = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"]
        return [d["Listener"]["LoadBalancerPort"] for d in got["ListenerDescriptions"]]

    add()
    refused("another instance port on a taken port", lambda: add(InstancePort=AIM.instance_port + 1), "DuplicateListener")
    refused("another protocol on a taken port", lambda: add(Protocol="TCP"), "DuplicateListener")
    refused("a port out of range", lambda: add(LoadBalancerPort=65536), "ValidationError")
    refused("a secure one without a certificate", lambda: add(Protocol="HTTPS", LoadBalancerPort=AIM.port2), "ValidationError")

    def good_and_bad():
        good = LISTENER | {"LoadBalancerPort": AIM.port2}
        return elb.create_load_balancer_listeners(LoadBalancerName=NAME, Listeners=[good, LISTENER | {"Protocol": "TCP"}])

    refused("a good one and a bad one", good_and_bad, "DuplicateListener")
    expect("the good one was not made", ports(), [AIM.port])
    elb.delete_load_balancer_listeners(LoadBalancerName=NAME, LoadBalancerPorts=[AIM.port2])
    expect("delete of an absent port", ports(), [AIM.port])


def health_checks(elb):
    def set_to(**change):
        good = {
            "Target": "HTTP:%d/" % AIM.instance_port,
            "Interval": 5,
            "Timeout": 2,
            "UnhealthyThreshold": 2,
            "HealthyThreshold": 2,
        }
        return elb.configure_health_check(LoadBalancerName=NAME, HealthCheck=good | change)["HealthCheck"]

    before = set_to()
    said = "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash. e.g. HTTP:80/ping/this/path"
    refused("an HTTP target without a path", lambda: set_to(Target="HTTP:80"), "ValidationError", 400, said)
    for target in ("FTP:80", "TCP", "TCP:", "TCP:0", "TCP:65536", "TCP:http", "HTTP:80ping", "", "HTTP:80/" + "x" * 1024):
        refused("the target %.20r" % target, lambda target=target: set_to(Target=target), "ValidationError")
    refused("a timeout equal to the interval", lambda: set_to(Interval=5, Timeout=5), "ValidationError")
    for field, values in {
        "Interval": (4, 301),
        "Timeout": (1, 61),
        "UnhealthyThreshold": (1, 11),
        "HealthyThreshold": (1, 11),
    }.items():
        for value in values:
            refused("%s %d" % (field, value), lambda: set_to(**({"Interval": 300} | {field: value})), "ValidationError")
    (now,) = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"]
    expect("refused checks changed nothing", now["HealthCheck"], before)


def attributes(elb):
    def modify(**changed):
        return elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes=changed)

    def now():
        return elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]

    before = now()
    for timeout in (0, 3601):
        refused(
            "draining timeout %d" % timeout,
            lambda: modify(ConnectionDraining={"Enabled": True, "Timeout": timeout}),
            "ValidationError",
        )
    for timeout in (0, 4001):
        refused("idle timeout %d" % timeout, lambda: modify(ConnectionSettings={"IdleTimeout": timeout}), "ValidationError")
    both = {"CrossZoneLoadBalancing": {"Enabled": True}, "ConnectionSettings": {"IdleTimeout": 0}}
    refused("a good attribute and a bad one", lambda: modify(**both), "ValidationError")
    expect("refused attributes changed nothing", now(), before)


def zones(elb):
    def enable(*zones):
        return sorted(
            elb.enable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=list(zones))[
                "AvailabilityZones"
            ]
        )

    def disable(*zones):
        return sorted(
            elb.disable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=list(zones))[
                "AvailabilityZones"
            ]
        )

    expect("enable what is on", enable(A, B), [A, B])
    expect("disable what is off", disable(C), [A, B])
    refused("disable every zone", lambda: disable(A, B), "InvalidConfigurationRequest", 409)
    got = refused("enable an unknown zone", lambda: enable(C, "us-east-1z"), "ValidationError")
    expect_has("its message", getattr(got, "message", ""), "us-east-1z")
    expect("the good one of the two stayed off", enable(A), [A, B])


def launch(ec2):
    got = ec2.run_instances(ImageId=AIM.image, MinCount=2, MaxCount=2, Placement={"AvailabilityZone": A})
    ids = [i["InstanceId"] for i in got["Instances"]]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=ids))
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=QUICK)
    return ids


def members(elb, ec2, one, two):
    def instances(*ids):
        return {"LoadBalancerName": NAME, "Instances": [{"InstanceId": i} for i in ids]}

    def register(*ids):
        return sorted(i["InstanceId"] for i in elb.register_instances_with_load_balancer(**instances(*ids))["Instances"])

    def deregister(*ids):
        return sorted(i["InstanceId"] for i in elb.deregister_instances_from_load_balancer(**instances(*ids))["Instances"])

    def health(*ids):
        return elb.describe_instance_health(**instances(*ids))["InstanceStates"]

    said = "Could not find EC2 instance %s." % UNKNOWN
    refused("register an unknown instance", lambda: register(UNKNOWN), "InvalidInstance", 400, said)
    refused("register a known and an unknown one", lambda: register(one, UNKNOWN), "InvalidInstance", 400, said)
    expect("nothing was registered", health(), [])
    refused("register nonsense", lambda: register("nonsense"), "InvalidInstance")
    expect("register one twice in a call", register(one, one), [one])
    expect("register it again", register(one), [one])
    expect("deregister a known one that is not registered", deregister(two), [one])
    got = refused("health of an unknown instance", lambda: health(UNKNOWN), "InvalidInstance")
    expect_has("its message", getattr(got, "message", ""), UNKNOWN)
    got = health(two)[0]
    expect(
        "health of one never registered",
        (got["InstanceId"], got["State"], got["Description"]),
        (two, NOT_REGISTERED[0], NOT_REGISTERED[2]),
    )
    ec2.terminate_instances(InstanceIds=[two])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[two], WaiterConfig=QUICK)
    refused("register a terminated instance", lambda: register(two), "InvalidInstance")
    expect("deregister the last", deregister(one), [])
    until("its health is gone", health, lambda got: got == [])


def run_instances(ec2):
    def run(**change):
        return ec2.run_instances(
            **({"ImageId": AIM.image, "MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": A}} | change)
        )

    def count():
        return sum(
            len(r["Instances"]) for page in ec2.get_paginator("describe_instances").paginate() for r in page["Reservations"]
        )

    before = count()
    refused("an unknown image", lambda: run(ImageId="ami-0123456789abcdef0"), "InvalidAMIID.NotFound")
    refused("a malformed image", lambda: run(ImageId="nonsense"), "InvalidAMIID.Malformed")
    refused("no image", lambda: ec2.run_instances(MinCount=1, MaxCount=1), "MissingParameter")
    refused("MinCount over MaxCount", lambda: run(MinCount=2), ("InvalidParameterValue", "InvalidParameterCombination"))
    refused("MinCount 0", lambda: run(MinCount=0), "InvalidParameterValue")
    refused("an unknown zone", lambda: run(Placement={"AvailabilityZone": "us-east-1z"}), "InvalidParameterValue")
    refused("an unknown security group", lambda: run(SecurityGroups=[MISSING]), "InvalidGroup.NotFound")
    refused("user data over 16 KiB", lambda: run(UserData="x" * (16 * 1024 + 1)), "InvalidParameterValue")
    refused("a dry run", lambda: run(DryRun=True), "DryRunOperation", 412)
    refused(
        "far too many",
        lambda: run(MinCount=1_000_000, MaxCount=1_000_000),
        ("InstanceLimitExceeded", "InsufficientInstanceCapacity", "InvalidParameterValue"),
    )
    token = {"ClientToken": MISSING}
    (made,) = run(**token)["Instances"]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=[made["InstanceId"]]))
    refused("a ClientToken with other parameters", lambda: run(**token, InstanceType="m1.large"), "IdempotentParameterMismatch")
    expect("one instance was made by all this", count(), before + 1)


def instances(ec2, one, two):
    """`two` is terminated."""
    said = "The instance ID '%s' does not exist" % UNKNOWN
    calls = (
        ec2.describe_instances,
        ec2.terminate_instances,
        ec2.stop_instances,
        ec2.start_instances,
        ec2.reboot_instances,
        ec2.describe_instance_status,
    )
    for call in calls:
        name = call.__name__
        refused("%s of an unknown instance" % name, lambda: call(InstanceIds=[UNKNOWN]), "InvalidInstanceID.NotFound", 400, said)
        refused(
            "%s of a known and an unknown one" % name,
            lambda: call(InstanceIds=[one, UNKNOWN]),
            "InvalidInstanceID.NotFound",
            400,
            said,
        )
        refused("%s of nonsense" % name, lambda: call(InstanceIds=["nonsense"]), "InvalidInstanceID.Malformed")
    refused(
        "get_console_output of an unknown instance",
        lambda: ec2.get_console_output(InstanceId=UNKNOWN),
        "InvalidInstanceID.NotFound",
        400,
        said,
    )
    for call in calls[1:5]:
        refused("%s, dry" % call.__name__, lambda: call(InstanceIds=[one], DryRun=True), "DryRunOperation", 412)
    (state,) = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"]
    expect("all this left it running", state["State"]["Name"], "running")
    refused("start of a terminated instance", lambda: ec2.start_instances(InstanceIds=[two]), "IncorrectInstanceState")
    refused("stop of a terminated instance", lambda: ec2.stop_instances(InstanceIds=[two]), "IncorrectInstanceState")
    ec2.terminate_instances(InstanceIds=[two])
    refused(
        "MaxResults beside ids", lambda: ec2.describe_instances(InstanceIds=[one], MaxResults=5), "InvalidParameterCombination"
    )
    refused(
        "a token that is not ours",
        lambda: ec2.describe_instances(MaxResults=5, NextToken="nonsense"),
        ("InvalidNextToken", "InvalidParameterValue"),
    )
    refused(
        "an unknown filter",
        lambda: ec2.describe_instances(Filters=[{"Name": "nose", "Values": ["long"]}]),
        "InvalidParameterValue",
        400,
        re.compile(".*nose.*"),
    )


def tags(ec2, one):
    def create(*resources, **pairs):
        return ec2.create_tags(Resources=list(resources), Tags=[{"Key": key, "Value": value} for key, value in pairs.items()])

    refused("tags of an unknown instance", lambda: create(UNKNOWN, a="b"), "InvalidInstanceID.NotFound")
    refused("tags of a known and an unknown one", lambda: create(one, UNKNOWN, a="b"), "InvalidInstanceID.NotFound")
    refused("a reserved key", lambda: create(one, **{"aws:mine": "x"}), "InvalidParameterValue")
    refused("a key of 129 letters", lambda: create(one, **{"k" * 129: "x"}), "InvalidParameterValue")
    refused("a value of 257 letters", lambda: create(one, key="v" * 257), "InvalidParameterValue")
    refused("51 tags", lambda: create(one, **{"key%d" % n: "x" for n in range(51)}), "TagLimitExceeded")
    refused("tags without a resource", lambda: ec2.create_tags(Tags=[{"Key": "a", "Value": "b"}]), "MissingParameter")
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [one]}])["Tags"]
    expect("no tag was made by all this", found, [])


def images(ec2):
    unknown = "ami-0123456789abcdef0"
    refused("describe an unknown image", lambda: ec2.describe_images(ImageIds=[unknown]), "InvalidAMIID.NotFound")
    refused("describe a malformed image", lambda: ec2.describe_images(ImageIds=["nonsense"]), "InvalidAMIID.Malformed")
    refused("deregister an unknown image", lambda: ec2.deregister_image(ImageId=unknown), "InvalidAMIID.NotFound")
    refused("register without a name", lambda: ec2.register_image(ImageLocation="/nowhere"), "MissingParameter")
    got = refused(
        "register a folder that is not there",
        lambda: ec2.register_image(Name=MISSING, ImageLocation="/nowhere/at-all"),
        ("InvalidParameterValue", "InvalidManifest"),
    )
    expect_has("its message", getattr(got, "message", ""), "/nowhere/at-all")
    (there,) = ec2.describe_images(ImageIds=[AIM.image])["Images"]
    refused(
        "register under a name that is taken",
        lambda: ec2.register_image(Name=there["Name"], ImageLocation="/nowhere"),
        ("InvalidAMIName.Duplicate", "InvalidParameterValue", "InvalidManifest"),
    )
    expect("the image is untouched", ec2.describe_images(ImageIds=[AIM.image])["Images"], [there])


def groups_and_keys(ec2):
    refused("an unknown group by name", lambda: ec2.describe_security_groups(GroupNames=[MISSING]), "InvalidGroup.NotFound")
    refused(
        "an unknown group by id", lambda: ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"]), "InvalidGroup.NotFound"
    )
    refused("an unknown key pair", lambda: ec2.describe_key_pairs(KeyNames=[MISSING]), "InvalidKeyPair.NotFound")
    refused("an unknown zone", lambda: ec2.describe_availability_zones(ZoneNames=["us-east-1z"]), "InvalidParameterValue")
    refused("an unknown region", lambda: ec2.describe_regions(RegionNames=["nowhere-1"]), "InvalidParameterValue")


judge.judge(main)
