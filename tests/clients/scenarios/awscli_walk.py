"""Judges with the AWS CLI: the same walk as elbadmin's, by command lines a user types, read back as the JSON it prints.

Must never import an AWS library: what counts is the command's output and exit status. Reader goes next to `README.md`.
"""

import json

import judge
from balancer import COMING_UP, IN_SERVICE, TERMINATED, ZONE_LEAVING, ZONE_OFF
from judge import client, expect, expect_has, expect_in, expect_match, expect_run, promise, until

AIM = judge.enter()
judge.aim_modern(AIM)

A, B, C = AIM.zones[:3]
NAME = AIM.name
FIRST = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstanceProtocol": "HTTP", "InstancePort": AIM.instance_port}
SECOND = {"Protocol": "TCP", "LoadBalancerPort": AIM.port2, "InstanceProtocol": "TCP", "InstancePort": AIM.instance_port}
ON = ("--load-balancer-name", NAME)
REFUSED = 255  # every failure of the CLI


def main():
    places()
    types()
    one, two = launch()
    protection(one)
    create()
    add(one, two)
    zones(one, two)
    attributes()
    tags(one)
    remove(one, two)
    listeners()
    terminate(one, two)
    delete()


def aws(*words):
    """Runs `aws`, which must succeed, and returns the JSON printed, None if it printed nothing."""
    ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "--output", "json", *words)
    if ran.code != 0:
        raise judge.Broken(
            "`aws %s`: exit status\n  expected:\n    | 0\n  got:\n    | %d\n%s"
            % (" ".join(map(str, words)), ran.code, judge.shown(ran.err))
        )
    return json.loads(ran.out) if ran.out.strip() else None


def refused(what, code, operation, said, *words):
    ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", *words)
    expect_run(what, ran, "", REFUSED)
    expect_has(
        "%s: the error" % what, ran.err, "An error occurred (%s) when calling the %s operation: %s" % (code, operation, said)
    )


def types():
    query = "InstanceTypes[].[InstanceType,VCpuInfo.DefaultVCpus,MemoryInfo.SizeInMiB]"
    got = aws("ec2", "describe-instance-types", "--instance-types", "t2.micro", "m1.small", "--query", query)
    expect("describe-instance-types", sorted(got), [["m1.small", 1, 1740], ["t2.micro", 1, 1024]])
    two = ("--filters", "Name=vcpu-info.default-vcpus,Values=2", "Name=memory-info.size-in-mib,Values=8192")
    got = aws("ec2", "describe-instance-types", *two, "--query", "InstanceTypes[].InstanceType")
    expect_in("describe-instance-types by size", "m5.large", got)
    everything = aws("ec2", "describe-instance-types", "--query", "length(InstanceTypes)")
    paged = aws("ec2", "describe-instance-types", "--page-size", "10", "--query", "length(InstanceTypes)")
    expect("describe-instance-types in pages", paged, everything)
    said = "The following supplied instance types do not exist: [x9.huge]"
    words = ("ec2", "describe-instance-types", "--instance-types", "x9.huge")
    refused("an unknown type", "InvalidInstanceType", "DescribeInstanceTypes", said, *words)
    words = ("--location-type", "availability-zone", "--filters", "Name=instance-type,Values=t2.micro")
    got = aws("ec2", "describe-instance-type-offerings", *words, "--query", "InstanceTypeOfferings[].Location")
    expect("describe-instance-type-offerings", sorted(got), [A, B, C])


def protection(one):
    def held(name, key):
        return aws("ec2", "describe-instance-attribute", "--instance-id", one, "--attribute", name)[key]["Value"]

    modify = ("ec2", "modify-instance-attribute", "--instance-id", one)
    expect("modify-instance-attribute", aws(*modify, "--disable-api-termination"), None)
    expect("it is set", held("disableApiTermination", "DisableApiTermination"), True)
    said = "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again." % one
    words = ("ec2", "terminate-instances", "--instance-ids", one)
    refused("terminate of a protected one", "OperationNotPermitted", "TerminateInstances", said, *words)
    expect("lifted", aws(*modify, "--no-disable-api-termination"), None)
    expect("by name and value", aws(*modify, "--attribute", "disableApiStop", "--value", "true"), None)
    expect("that is set", held("disableApiStop", "DisableApiStop"), True)
    said = "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again." % one
    refused("stop of a protected one", "OperationNotPermitted", "StopInstances", said, "ec2", "stop-instances", "--instance-ids", one)
    expect("lifted as well", aws(*modify, "--no-disable-api-stop"), None)
    said = "The instance '%s' is not in the 'stopped' state." % one
    words = (*modify, "--instance-type", "Value=m1.large")
    refused("another type of a running one", "IncorrectInstanceState", "ModifyInstanceAttribute", said, *words)


def places():
    got = aws("sts", "get-caller-identity")
    expect("get-caller-identity", sorted(got), ["Account", "Arn", "UserId"])
    expect_match("account", got["Account"], r"\d{12}")
    got = aws("ec2", "describe-availability-zones", "--query", "AvailabilityZones[].ZoneName")
    promise("describe-availability-zones", {A, B, C} <= set(got), AIM.zones, got)
    expect_in("describe-regions", AIM.region, aws("ec2", "describe-regions", "--query", "Regions[].RegionName"))
    expect("describe-images", aws("ec2", "describe-images", "--image-ids", AIM.image)["Images"][0]["State"], "available")


def launch():
    ids = []
    for zone in (A, C):
        got = aws(
            "ec2", "run-instances", "--image-id", AIM.image, "--placement", "AvailabilityZone=%s" % zone, "--count", "1",
            "--tag-specifications", "ResourceType=instance,Tags=[{Key=walk,Value=%s}]" % NAME,
        )  # fmt: skip
        (made,) = got["Instances"]
        expect("its zone", made["Placement"]["AvailabilityZone"], zone)
        expect("its tags", made["Tags"], [{"Key": "walk", "Value": NAME}])
        ids.append(made["InstanceId"])
        judge.at_end(aws, "ec2", "terminate-instances", "--instance-ids", made["InstanceId"])
    expect("wait instance-running", aws("ec2", "wait", "instance-running", "--instance-ids", *ids), None)
    query = "Reservations[].Instances[].[InstanceId,State.Name,Placement.AvailabilityZone]"
    got = aws("ec2", "describe-instances", "--filters", "Name=tag:walk,Values=%s" % NAME, "--query", query)
    expect("describe-instances", got, [[ids[0], "running", A], [ids[1], "running", C]])
    got = aws(
        "ec2",
        "describe-instances",
        "--filters",
        "Name=availability-zone,Values=%s" % C,
        "Name=tag:walk,Values=web-*",
        "--query",
        query,
    )
    expect_in("describe-instances by two filters", [ids[1], "running", C], got)
    ran = client(
        judge.VENV / "bin" / "python",
        judge.VENV / "bin" / "aws",
        "ec2",
        "describe-instances",
        "--instance-ids",
        ids[0],
        "--query",
        "Reservations[0].Instances[0].InstanceId",
        "--output",
        "text",
    )
    expect_run("describe-instances as text", ran, ids[0] + "\n")
    unknown = "i-0123456789abcdef0"
    said = "The instance ID '%s' does not exist" % unknown
    refused(
        "describe an unknown instance",
        "InvalidInstanceID.NotFound",
        "DescribeInstances",
        said,
        "ec2",
        "describe-instances",
        "--instance-ids",
        unknown,
    )
    refused("a dry run", "DryRunOperation", "RunInstances", "", "ec2", "run-instances", "--image-id", AIM.image, "--dry-run")
    return ids


def listener(words):
    return ",".join("%s=%s" % pair for pair in words.items())


def described():
    return aws("elb", "describe-load-balancers", "--load-balancer-names", NAME)["LoadBalancerDescriptions"][0]


def create():
    words = ("elb", "create-load-balancer", *ON, "--listeners", listener(FIRST), "--availability-zones")
    judge.at_end(aws, "elb", "delete-load-balancer", *ON)
    got = aws(*words, A, B)
    expect("create-load-balancer", sorted(got), ["DNSName"])
    expect_match("DNS name", got["DNSName"], r"%s-[0-9]{6,10}\.%s\.elb\..+" % (NAME, AIM.region))
    expect("create-load-balancer again", aws(*words, A, B), got)
    said = "Load Balancer named '%s' already exists and it is configured with different parameters." % NAME
    refused("create with other zones", "DuplicateLoadBalancerName", "CreateLoadBalancer", said, *words, C)
    refused(
        "describe an unknown one",
        "LoadBalancerNotFound",
        "DescribeLoadBalancers",
        "There is no ACTIVE Load Balancer named '%s-not'" % NAME,
        "elb",
        "describe-load-balancers",
        "--load-balancer-names",
        NAME + "-not",
    )
    asked = {
        "Target": "HTTP:%d/" % AIM.instance_port,
        "Interval": 5,
        "Timeout": 2,
        "UnhealthyThreshold": 2,
        "HealthyThreshold": 2,
    }
    got = aws("elb", "configure-health-check", *ON, "--health-check", listener(asked))
    expect("configure-health-check", got, {"HealthCheck": asked})
    now = described()
    expect("zones", sorted(now["AvailabilityZones"]), [A, B])
    expect("listeners", now["ListenerDescriptions"], [{"Listener": FIRST, "PolicyNames": []}])
    expect("health check", now["HealthCheck"], asked)
    expect("scheme and instances", (now["Scheme"], now["Instances"]), ("internet-facing", []))


def health(*ids):
    words = ("--instances", *ids) if ids else ()
    states = aws("elb", "describe-instance-health", *ON, *words)["InstanceStates"]
    return {i["InstanceId"]: (i["State"], i["ReasonCode"], i["Description"]) for i in states}


def add(one, two):
    got = aws("elb", "register-instances-with-load-balancer", *ON, "--instances", one, two)["Instances"]
    expect("register-instances-with-load-balancer", sorted(i["InstanceId"] for i in got), sorted([one, two]))
    expect_in("health right after", health(one)[one], COMING_UP)
    # Asked for at once, so the waiter itself does the waiting.
    expect("wait instance-in-service", aws("elb", "wait", "instance-in-service", *ON, "--instances", one), None)
    expect("wait any-instance-in-service", aws("elb", "wait", "any-instance-in-service", *ON), None)
    expect("health", health(), {one: IN_SERVICE, two: ZONE_OFF})
    said = "Could not find EC2 instance i-0123456789abcdef0."
    refused(
        "register an unknown one",
        "InvalidInstance",
        "RegisterInstancesWithLoadBalancer",
        said,
        "elb",
        "register-instances-with-load-balancer",
        *ON,
        "--instances",
        one,
        "i-0123456789abcdef0",
    )


def zones(one, two):
    got = aws("elb", "enable-availability-zones-for-load-balancer", *ON, "--availability-zones", C)
    expect("enable", sorted(got["AvailabilityZones"]), [A, B, C])
    expect("wait instance-in-service for both", aws("elb", "wait", "instance-in-service", *ON, "--instances", one, two), None)
    expect("health of both", health(), {one: IN_SERVICE, two: IN_SERVICE})
    got = aws("elb", "disable-availability-zones-for-load-balancer", *ON, "--availability-zones", B, C)
    expect("disable", got, {"AvailabilityZones": [A]})
    expect_in("health right after", health(two)[two], [ZONE_OFF, ZONE_LEAVING])
    until("out with its zone", health, lambda got: got == {one: IN_SERVICE, two: ZONE_OFF})
    words = ("elb", "disable-availability-zones-for-load-balancer", *ON, "--availability-zones", A)
    refused("disable the last", "InvalidConfigurationRequest", "DisableAvailabilityZonesForLoadBalancer", "", *words)
    aws("elb", "enable-availability-zones-for-load-balancer", *ON, "--availability-zones", C)
    until("both are back", health, lambda got: got == {one: IN_SERVICE, two: IN_SERVICE})


def attributes():
    wanted = {"ConnectionDraining": {"Enabled": True, "Timeout": 1}, "CrossZoneLoadBalancing": {"Enabled": True}}
    got = aws("elb", "modify-load-balancer-attributes", *ON, "--load-balancer-attributes", json.dumps(wanted))
    expect("modify-load-balancer-attributes", (got["LoadBalancerName"], got["LoadBalancerAttributes"]), (NAME, wanted))
    now = aws("elb", "describe-load-balancer-attributes", *ON)["LoadBalancerAttributes"]
    expect("describe-load-balancer-attributes", {name: now[name] for name in wanted}, wanted)
    expect("the one not touched", now["ConnectionSettings"], {"IdleTimeout": 60})


def tags(one):
    aws("ec2", "create-tags", "--resources", one, "--tags", "Key=Name,Value=front end")
    words = ("ec2", "describe-tags", "--filters", "Name=resource-id,Values=%s" % one, "Name=key,Values=Name")
    expect(
        "describe-tags",
        aws(*words),
        {"Tags": [{"Key": "Name", "ResourceId": one, "ResourceType": "instance", "Value": "front end"}]},
    )
    aws("ec2", "delete-tags", "--resources", one, "--tags", "Key=Name")
    expect("describe-tags after delete-tags", aws(*words), {"Tags": []})
    expect("get-console-output", aws("ec2", "get-console-output", "--instance-id", one)["InstanceId"], one)


def remove(one, two):
    got = aws("elb", "deregister-instances-from-load-balancer", *ON, "--instances", two)
    expect("deregister-instances-from-load-balancer", got, {"Instances": [{"InstanceId": one}]})
    expect("wait instance-deregistered", aws("elb", "wait", "instance-deregistered", *ON, "--instances", two), None)
    until("its draining is over", health, lambda got: got == {one: IN_SERVICE})


def listeners():
    aws("elb", "create-load-balancer-listeners", *ON, "--listeners", listener(SECOND))
    by_port = sorted([FIRST, SECOND], key=lambda words: words["LoadBalancerPort"])
    now = sorted((d["Listener"] for d in described()["ListenerDescriptions"]), key=lambda words: words["LoadBalancerPort"])
    expect("create-load-balancer-listeners", now, by_port)
    aws("elb", "delete-load-balancer-listeners", *ON, "--load-balancer-ports", AIM.port2)
    expect("delete-load-balancer-listeners", [d["Listener"] for d in described()["ListenerDescriptions"]], [FIRST])


def terminate(one, two):
    (stopped,) = aws("ec2", "stop-instances", "--instance-ids", two)["StoppingInstances"]
    expect("stop-instances", (stopped["InstanceId"], stopped["PreviousState"]), (two, {"Code": 16, "Name": "running"}))
    expect("wait instance-stopped", aws("ec2", "wait", "instance-stopped", "--instance-ids", two), None)
    (gone,) = aws("ec2", "terminate-instances", "--instance-ids", one)["TerminatingInstances"]
    expect("terminate-instances", (gone["InstanceId"], gone["PreviousState"]), (one, {"Code": 16, "Name": "running"}))
    expect("wait instance-terminated", aws("ec2", "wait", "instance-terminated", "--instance-ids", one), None)
    until("the balancer sees it", health, lambda got: got == {one: TERMINATED})
    ran = client(
        judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "ec2", "terminate-instances", "--instance-ids", one, two
    )
    expect("terminate one terminated and one stopped", (ran.code, ran.err), (0, ""))


def delete():
    expect("delete-load-balancer", aws("elb", "delete-load-balancer", *ON), None)
    expect("delete-load-balancer again", aws("elb", "delete-load-balancer", *ON), None)
    names = aws("elb", "describe-load-balancers", "--query", "LoadBalancerDescriptions[].LoadBalancerName")
    promise("it is gone", NAME not in names, "no %s" % NAME, names)


judge.judge(main)
