"""Judges with boto3: the same walk as elbadmin's, plus what only a modern client sends (paginators, waiters, ClientToken).

Must never test refusals; those have `boto3_refusals.py`, where the reader goes next.
"""

import datetime

import judge
from balancer import COMING_UP, IN_SERVICE, NOT_REGISTERED, STOPPED, TERMINATED, ZONE_LEAVING, ZONE_OFF
from judge import expect, expect_in, expect_match, promise, until

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B, C = AIM.zones[:3]
NAME, OTHER = AIM.name, AIM.name + "-b"
TARGET = "HTTP:%d/" % AIM.instance_port
FIRST = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstanceProtocol": "HTTP", "InstancePort": AIM.instance_port}
SECOND = {"Protocol": "TCP", "LoadBalancerPort": AIM.port2, "InstanceProtocol": "TCP", "InstancePort": AIM.instance_port}
MINE = [{"Name": "tag:walk", "Values": [NAME]}]
QUICK = {"Delay": 1, "MaxAttempts": 60}


def main():
    ec2, elb, sts = boto3.client("ec2"), boto3.client("elb"), boto3.client("sts")
    account = identity(sts)
    places(ec2, account)
    ids = launch(ec2, account)
    describe(ec2, ids)
    create(elb, account)
    paging(elb)
    health_and_zones(elb, ids)
    attributes(elb)
    power(ec2, elb, ids)
    tags(ec2, ids)
    status_and_console(ec2, ids)
    listeners(elb)
    terminate(ec2, elb, ids)
    delete(elb)


def identity(sts):
    got = sts.get_caller_identity()
    expect_match("account", got["Account"], r"\d{12}")
    expect_match("ARN", got["Arn"], r"arn:aws:(iam|sts)::%s:.+" % got["Account"])
    expect_match("user id", got["UserId"], r".+")
    expect_match("request id", got["ResponseMetadata"].get("RequestId"), r".+")
    return got["Account"]


def places(ec2, account):
    zones = {zone["ZoneName"]: zone for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    promise("zones", {A, B, C} <= set(zones), AIM.zones, list(zones))
    expect("zone A", (zones[A]["State"], zones[A]["RegionName"]), ("available", AIM.region))
    expect_match("zone A's id", zones[A].get("ZoneId"), r".+")
    expect("zones by name", [z["ZoneName"] for z in ec2.describe_availability_zones(ZoneNames=[B])["AvailabilityZones"]], [B])
    expect_in("regions", AIM.region, [region["RegionName"] for region in ec2.describe_regions()["Regions"]])
    image = ec2.describe_images(ImageIds=[AIM.image])["Images"][0]
    expect(
        "image",
        (image["ImageId"], image["State"], image["ImageType"], image["OwnerId"]),
        (AIM.image, "available", "machine", account),
    )
    expect_in("own images", AIM.image, [i["ImageId"] for i in ec2.describe_images(Owners=["self"])["Images"]])
    found = ec2.describe_images(Filters=[{"Name": "name", "Values": [image["Name"]]}])["Images"]
    expect_in("images by name", AIM.image, [i["ImageId"] for i in found])
    expect_in("security groups", "default", [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]])
    expect("key pairs", isinstance(ec2.describe_key_pairs()["KeyPairs"], list), True)


def launch(ec2, account):
    """Two instances a zone, zone C first: six, so that a page of five is not the last one."""
    ids = []
    for zone in (C, A, B):
        ask = {
            "ImageId": AIM.image, "MinCount": 1, "MaxCount": 2, "ClientToken": "%s-%s" % (NAME, zone),
            "Placement": {"AvailabilityZone": zone},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "walk", "Value": NAME}, {"Key": "Name", "Value": zone}]}],
        }  # fmt: skip
        before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        got = ec2.run_instances(**ask)
        new = [i["InstanceId"] for i in got["Instances"]]
        judge.at_end(lambda new=new: ec2.terminate_instances(InstanceIds=new))
        ids += new
        expect_match("reservation", got["ReservationId"], r"r-[0-9a-f]{8,17}")
        expect("owner", got["OwnerId"], account)
        expect("how many", len(new), 2)
        expect("launch indexes", [i["AmiLaunchIndex"] for i in got["Instances"]], [0, 1])
        for i in got["Instances"]:
            expect_match("instance id", i["InstanceId"], r"i-([0-9a-f]{8}|[0-9a-f]{17})")
            expect_in("first state", (i["State"]["Code"] & 255, i["State"]["Name"]), [(0, "pending"), (16, "running")])
            expect("image and zone", (i["ImageId"], i["Placement"]["AvailabilityZone"]), (AIM.image, zone))
            expect("tags", {tag["Key"]: tag["Value"] for tag in i["Tags"]}, {"walk": NAME, "Name": zone})
            promise(
                "launch time",
                abs(i["LaunchTime"] - before) < datetime.timedelta(seconds=30),
                "about %s" % before,
                i["LaunchTime"],
            )
        again = ec2.run_instances(**ask)
        expect("the same ClientToken gives the same instances", [i["InstanceId"] for i in again["Instances"]], new)
        expect("and the same reservation", again["ReservationId"], got["ReservationId"])
    expect("six different ids", len(set(ids)), 6)
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=QUICK)
    return ids


def listed(pages):
    return [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]


def describe(ec2, ids):
    pages = ec2.get_paginator("describe_instances")
    expect("in launch order", listed(pages.paginate(Filters=MINE)), ids)
    chunks = [listed([page]) for page in pages.paginate(Filters=MINE, PaginationConfig={"PageSize": 5})]
    expect("in pages of five", chunks, [ids[:5], ids[5:]])

    def found(*filters):
        return listed([ec2.describe_instances(Filters=MINE + [{"Name": name, "Values": values} for name, values in filters])])

    one = ec2.describe_instances(InstanceIds=ids[:1])["Reservations"][0]["Instances"][0]
    expect("state", one["State"], {"Code": 16, "Name": "running"})
    expect_match("private address", one.get("PrivateIpAddress"), r"\d+\.\d+\.\d+\.\d+")
    expect_match("type", one.get("InstanceType"), r".+\..+")
    expect_match("architecture", one.get("Architecture"), r".+")
    expect("client token", one.get("ClientToken"), "%s-%s" % (NAME, C))
    expect("monitoring", one.get("Monitoring", {}).get("State"), "disabled")
    expect("by zone", found(("availability-zone", [A])), ids[2:4])
    expect("by either of two zones", found(("availability-zone", [A, B])), ids[2:])
    expect("by zone and id", found(("availability-zone", [A, B]), ("instance-id", [ids[0], ids[2]])), [ids[2]])
    expect("by a wild card", found(("availability-zone", [A[:-1] + "*"])), ids)
    expect("by a wild letter", found(("tag:Name", ["?" + A[1:]])), ids[2:4])
    expect("by a wild letter too many", found(("tag:Name", ["?" + A])), [])
    expect("by tag key", found(("tag-key", ["walk"])), ids)
    expect("by another tag key", found(("tag-key", ["wal"])), [])
    expect("by image", found(("image-id", [AIM.image])), ids)
    expect("by private address", found(("private-ip-address", [one["PrivateIpAddress"]])), ids[:1])
    expect("by state", found(("instance-state-name", ["running"])), ids)
    expect("by state code", found(("instance-state-code", ["16"])), ids)
    expect("by group", found(("instance.group-name", ["default"])), ids)
    # A wildcard is the only wild thing: every other letter stands for itself.
    expect("a dot is a dot", found(("tag:Name", [A.replace("-", ".")])), [])


def create(elb, account):
    for name, listener in ((NAME, FIRST), (OTHER, FIRST | {"LoadBalancerPort": AIM.port2})):
        judge.at_end(lambda name=name: elb.delete_load_balancer(LoadBalancerName=name))
        dns = elb.create_load_balancer(LoadBalancerName=name, Listeners=[listener], AvailabilityZones=[A, B])["DNSName"]
        expect_match("DNS name", dns, r"%s-[0-9]{6,10}\.%s\.elb\..+" % (name, AIM.region))
        again = elb.create_load_balancer(LoadBalancerName=name, Listeners=[listener], AvailabilityZones=[B, A])["DNSName"]
        expect("create again", again, dns)
    elb.delete_load_balancer(LoadBalancerName=OTHER)
    got = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"]
    expect("how many by that name", len(got), 1)
    got = got[0]
    expect("name", got["LoadBalancerName"], NAME)
    expect("scheme", got["Scheme"], "internet-facing")
    expect("zones", sorted(got["AvailabilityZones"]), [A, B])
    expect("instances", got["Instances"], [])
    expect("listeners", got["ListenerDescriptions"], [{"Listener": FIRST, "PolicyNames": []}])
    expect("health check by default", got["HealthCheck"], check("TCP:%d" % AIM.instance_port, 30, 5, 2, 10))
    expect(
        "policies", got["Policies"], {"AppCookieStickinessPolicies": [], "LBCookieStickinessPolicies": [], "OtherPolicies": []}
    )
    expect("back-end servers", got["BackendServerDescriptions"], [])
    expect("canonical hosted zone name", got.get("CanonicalHostedZoneName"), got["DNSName"])
    age = datetime.datetime.now(datetime.timezone.utc) - got["CreatedTime"]
    promise("created time", abs(age) < datetime.timedelta(seconds=60), "about now", got["CreatedTime"])
    asked = check(TARGET, 5, 2, 2, 2)
    expect("configure_health_check", elb.configure_health_check(LoadBalancerName=NAME, HealthCheck=asked)["HealthCheck"], asked)
    expect(
        "read back", elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]["HealthCheck"], asked
    )


def check(target, interval, timeout, unhealthy, healthy):
    return {
        "Target": target,
        "Interval": interval,
        "Timeout": timeout,
        "UnhealthyThreshold": unhealthy,
        "HealthyThreshold": healthy,
    }


def paging(elb):
    extra = {"LoadBalancerName": OTHER, "Listeners": [FIRST | {"LoadBalancerPort": AIM.port2}], "AvailabilityZones": [A]}
    elb.create_load_balancer(**extra)
    pages = list(elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1}))
    names = [b["LoadBalancerName"] for page in pages for b in page["LoadBalancerDescriptions"]]
    expect("pages of one", [len(page["LoadBalancerDescriptions"]) for page in pages], [1] * len(names))
    expect("each once", sorted(name for name in names if name in (NAME, OTHER)), [NAME, OTHER])
    expect("no marker on the last", pages[-1].get("NextMarker") or None, None)
    both = elb.describe_load_balancers(LoadBalancerNames=[NAME, OTHER])["LoadBalancerDescriptions"]
    expect("two by name", sorted(b["LoadBalancerName"] for b in both), [NAME, OTHER])
    elb.delete_load_balancer(LoadBalancerName=OTHER)


def health(elb, *ids):
    found = elb.describe_instance_health(LoadBalancerName=NAME, Instances=[{"InstanceId": i} for i in ids])["InstanceStates"]
    return {i["InstanceId"]: (i["State"], i["ReasonCode"], i["Description"]) for i in found}


def members(*ids):
    return [{"InstanceId": i} for i in ids]


def comes(elb, what, wanted):
    until(what, lambda: health(elb), lambda got: got == wanted)


def health_and_zones(elb, ids):
    in_c, in_a, in_b = ids[0], ids[2], ids[4]
    expect("health of none", health(elb), {})
    got = elb.register_instances_with_load_balancer(LoadBalancerName=NAME, Instances=members(in_a, in_b, in_c))["Instances"]
    expect("register answers all", sorted(i["InstanceId"] for i in got), sorted([in_a, in_b, in_c]))
    first = health(elb)
    for instance in (in_a, in_b):
        expect_in("health right after", first.get(instance), COMING_UP)
    elb.get_waiter("any_instance_in_service").wait(LoadBalancerName=NAME, WaiterConfig=QUICK)
    elb.get_waiter("instance_in_service").wait(LoadBalancerName=NAME, Instances=members(in_a, in_b), WaiterConfig=QUICK)
    comes(elb, "two in service, one in a zone that is off", {in_a: IN_SERVICE, in_b: IN_SERVICE, in_c: ZONE_OFF})
    got = elb.enable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[C])["AvailabilityZones"]
    expect("enable", sorted(got), [A, B, C])
    comes(elb, "all three in service", {in_a: IN_SERVICE, in_b: IN_SERVICE, in_c: IN_SERVICE})
    got = elb.disable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[C])["AvailabilityZones"]
    expect("disable", sorted(got), [A, B])
    expect_in("health right after", health(elb)[in_c], [ZONE_OFF, ZONE_LEAVING])
    comes(elb, "out with its zone", {in_a: IN_SERVICE, in_b: IN_SERVICE, in_c: ZONE_OFF})
    got = elb.deregister_instances_from_load_balancer(LoadBalancerName=NAME, Instances=members(in_c))["Instances"]
    expect("deregister answers the rest", sorted(i["InstanceId"] for i in got), sorted([in_a, in_b]))
    elb.get_waiter("instance_deregistered").wait(LoadBalancerName=NAME, Instances=members(in_c), WaiterConfig=QUICK)
    gone = health(elb, in_c)[in_c]
    expect("health of one not registered", (gone[0], gone[2]), (NOT_REGISTERED[0], NOT_REGISTERED[2]))
    listed = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]["Instances"]
    expect("instances listed", sorted(i["InstanceId"] for i in listed), sorted([in_a, in_b]))


def attributes(elb):
    def now():
        return elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]

    def modify(**changed):
        return elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes=changed)

    got = now()
    expect("cross-zone by default", got["CrossZoneLoadBalancing"], {"Enabled": False})
    expect("draining by default", got["ConnectionDraining"], {"Enabled": False, "Timeout": 300})
    expect("idle timeout by default", got["ConnectionSettings"], {"IdleTimeout": 60})
    expect("access log by default", got["AccessLog"]["Enabled"], False)
    desync = {"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}
    expect("desync mitigation by default", got.get("AdditionalAttributes"), [desync])
    echoed = modify(CrossZoneLoadBalancing={"Enabled": True})
    expect("modify names the balancer", echoed.get("LoadBalancerName"), NAME)
    expect("modify echoes only what was sent", echoed["LoadBalancerAttributes"], {"CrossZoneLoadBalancing": {"Enabled": True}})
    modify(ConnectionDraining={"Enabled": True, "Timeout": 7}, ConnectionSettings={"IdleTimeout": 4000})
    after = now()
    expect("cross-zone stands", after["CrossZoneLoadBalancing"], {"Enabled": True})
    expect("draining stands", after["ConnectionDraining"], {"Enabled": True, "Timeout": 7})
    expect("idle timeout stands", after["ConnectionSettings"], {"IdleTimeout": 4000})
    modify(ConnectionDraining={"Enabled": False}, ConnectionSettings={"IdleTimeout": 60})
    expect("draining off keeps its timeout", now()["ConnectionDraining"], {"Enabled": False, "Timeout": 7})
    limit = {"Key": "evenkeel.balance.max_in_flight", "Value": "1000"}
    modify(AdditionalAttributes=[limit])
    expect("a limit for each instance stands beside it", now()["AdditionalAttributes"], [desync, limit])
    modify(AdditionalAttributes=[{**limit, "Value": "0"}])
    expect("without it there is none", now()["AdditionalAttributes"], [desync])


def power(ec2, elb, ids):
    one, other = ids[2], ids[4]

    def pair(changes):
        (change,) = changes
        return (change["InstanceId"], change["PreviousState"]["Name"], change["CurrentState"]["Name"])

    ec2.reboot_instances(InstanceIds=[one])
    expect(
        "a reboot stays running",
        ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["State"]["Name"],
        "running",
    )
    got = pair(ec2.stop_instances(InstanceIds=[one])["StoppingInstances"])
    expect_in("stop", got, [(one, "running", "stopping"), (one, "running", "stopped")])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[one], WaiterConfig=QUICK)
    comes(elb, "the balancer sees it stopped", {one: STOPPED, other: IN_SERVICE})
    expect("stop of a stopped one", pair(ec2.stop_instances(InstanceIds=[one])["StoppingInstances"]), (one, "stopped", "stopped"))
    stopped = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    expect("its state", stopped["State"], {"Code": 80, "Name": "stopped"})
    expect("why", stopped.get("StateReason", {}).get("Code"), "Client.UserInitiatedShutdown")
    expect_match(
        "why, in the old form", stopped.get("StateTransitionReason"), r"User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)"
    )
    got = elb.register_instances_with_load_balancer(LoadBalancerName=NAME, Instances=members(one))["Instances"]
    expect("register of a stopped one", sorted(i["InstanceId"] for i in got), sorted([one, other]))
    got = pair(ec2.start_instances(InstanceIds=[one])["StartingInstances"])
    expect_in("start", got, [(one, "stopped", "pending"), (one, "stopped", "running")])
    ec2.get_waiter("instance_running").wait(InstanceIds=[one], WaiterConfig=QUICK)
    comes(elb, "back in service", {one: IN_SERVICE, other: IN_SERVICE})
    again = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    expect("its private address is kept", again["PrivateIpAddress"], stopped["PrivateIpAddress"])
    expect(
        "start of a running one", pair(ec2.start_instances(InstanceIds=[one])["StartingInstances"]), (one, "running", "running")
    )


def tags(ec2, ids):
    one, two = ids[:2]

    def found(*filters):
        pages = ec2.get_paginator("describe_tags").paginate(
            Filters=[{"Name": name, "Values": values} for name, values in filters]
        )
        return sorted((t["ResourceId"], t["ResourceType"], t["Key"], t["Value"]) for page in pages for t in page["Tags"])

    wide = "naïve + a/b & 100% 'ok' *"
    ec2.create_tags(Resources=[one, two], Tags=[{"Key": "note", "Value": wide}])
    wanted = sorted((i, "instance", "note", wide) for i in (one, two))
    expect("describe_tags", found(("resource-id", [one, two]), ("key", ["note"])), wanted)
    ec2.create_tags(Resources=[one], Tags=[{"Key": "note", "Value": "changed"}])
    expect(
        "describe_tags by value",
        found(("resource-id", [one, two]), ("value", ["chang*"])),
        [(one, "instance", "note", "changed")],
    )
    ec2.delete_tags(Resources=[one, two], Tags=[{"Key": "note", "Value": wide}])
    expect(
        "delete by key and value", found(("resource-id", [one, two]), ("key", ["note"])), [(one, "instance", "note", "changed")]
    )
    ec2.delete_tags(Resources=[one, two], Tags=[{"Key": "note"}])
    expect("delete by key", found(("resource-id", [one, two]), ("key", ["note"])), [])
    ec2.delete_tags(Resources=[one], Tags=[{"Key": "never"}])
    expect("delete of a tag that is not there", found(("resource-id", [one]), ("key", ["never"])), [])
    ec2.create_tags(Resources=[AIM.image], Tags=[{"Key": NAME, "Value": "image"}])
    expect("tags of an image", found(("resource-id", [AIM.image]), ("key", [NAME])), [(AIM.image, "image", NAME, "image")])
    ec2.delete_tags(Resources=[AIM.image], Tags=[{"Key": NAME}])


def status_and_console(ec2, ids):
    one = ids[0]
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[one], WaiterConfig=QUICK)
    (got,) = ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"]
    expect("status", (got["AvailabilityZone"], got["InstanceState"]), (C, {"Code": 16, "Name": "running"}))
    passed = {"Name": "reachability", "Status": "passed"}
    for kind in ("InstanceStatus", "SystemStatus"):
        first = got[kind]["Details"][0]
        expect(kind, (got[kind]["Status"], {"Name": first["Name"], "Status": first["Status"]}), ("ok", passed))
    got = ec2.get_console_output(InstanceId=one)
    expect("console of", got["InstanceId"], one)
    expect("its output is text", isinstance(got.get("Output", ""), str), True)
    promise("its time", isinstance(got.get("Timestamp"), datetime.datetime), "a time", got.get("Timestamp"))


def listeners(elb):
    def now():
        return [
            d["Listener"]
            for d in elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]["ListenerDescriptions"]
        ]

    for what in ("create a listener", "create it again"):
        elb.create_load_balancer_listeners(LoadBalancerName=NAME, Listeners=[SECOND])
        expect(
            what,
            sorted(now(), key=lambda listener: listener["LoadBalancerPort"]),
            sorted([FIRST, SECOND], key=lambda listener: listener["LoadBalancerPort"]),
        )
    for what in ("delete a listener", "delete it again"):
        elb.delete_load_balancer_listeners(LoadBalancerName=NAME, LoadBalancerPorts=[AIM.port2])
        expect(what, now(), [FIRST])


def terminate(ec2, elb, ids):
    one, other = ids[2], ids[4]
    (change,) = ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"]
    expect("terminate: previous state", (change["InstanceId"], change["PreviousState"]), (one, {"Code": 16, "Name": "running"}))
    expect_in("terminate: current state", change["CurrentState"]["Name"], ["shutting-down", "terminated"])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[one], WaiterConfig=QUICK)
    comes(elb, "the balancer sees it terminated", {one: TERMINATED, other: IN_SERVICE})
    (change,) = ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"]
    expect("terminate again", (change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("terminated", "terminated"))
    got = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    expect("terminate all", sorted(i["InstanceId"] for i in got), sorted(ids))
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=QUICK)


def delete(elb):
    elb.delete_load_balancer(LoadBalancerName=NAME)
    names = [b["LoadBalancerName"] for b in elb.describe_load_balancers()["LoadBalancerDescriptions"]]
    promise("it is gone", NAME not in names, "no %s" % NAME, names)
    elb.delete_load_balancer(LoadBalancerName=NAME)


judge.judge(main)
