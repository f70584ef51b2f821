"""Judges the calls of Terraform's `aws_elb` resource, in the order and with the parameters of its provider, as boto3 sends them.

Create, read, change, read, delete, and the look for network interfaces after that; what the provider dereferences without a check
must be there. Must never do what the provider does not. Source: terraform-provider-aws, resource `aws_elb`.
"""

import judge
from judge import expect, expect_has, promise

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B = AIM.zones[:2]
NAME = AIM.name


def main():
    elb, ec2, sts = boto3.client("elb"), boto3.client("ec2"), boto3.client("sts")
    # What the provider asks before anything else.
    account = sts.get_caller_identity()["Account"]
    platforms = ec2.describe_account_attributes(AttributeNames=["supported-platforms"])["AccountAttributes"][0]
    promise("platforms", platforms["AttributeValues"], "some", platforms)
    in_zones(elb, ec2, account)
    in_subnets(elb, ec2, account)


def in_zones(elb, ec2, account):
    made = {"InstancePort": AIM.instance_port, "InstanceProtocol": "HTTP", "LoadBalancerPort": AIM.port, "Protocol": "HTTP"}
    elb.create_load_balancer(
        AvailabilityZones=[A], Listeners=[made], LoadBalancerName=NAME, Tags=[{"Key": "team", "Value": "web"}]
    )
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    settings(elb, cross_zone=True, idle=60, draining=None)
    settings_of_draining(elb, False, 300)
    check = {"HealthyThreshold": 10, "UnhealthyThreshold": 2, "Interval": 30, "Target": "TCP:%d" % AIM.instance_port, "Timeout": 5}
    elb.configure_health_check(LoadBalancerName=NAME, HealthCheck=check)
    shown = read(elb, account, ec2)
    expect("as planned: nothing to change", plan_of(shown), {
        "zones": [A], "listeners": [made], "check": check, "cross_zone": True, "idle": 60, "draining": (False, 300), "tags": {"team": "web"},
    })  # fmt: skip

    # A changed configuration: another listener, draining, tags, a zone.
    extra = dict(made, LoadBalancerPort=AIM.port2)
    elb.create_load_balancer_listeners(LoadBalancerName=NAME, Listeners=[extra])
    elb.delete_load_balancer_listeners(LoadBalancerName=NAME, LoadBalancerPorts=[AIM.port])
    settings(elb, cross_zone=False, idle=30, draining=None)
    settings_of_draining(elb, True, 400)
    elb.enable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[B])
    elb.disable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[A])
    elb.remove_tags(LoadBalancerNames=[NAME], Tags=[{"Key": "team"}])
    elb.add_tags(LoadBalancerNames=[NAME], Tags=[{"Key": "owner", "Value": "me"}])
    expect("as planned after the change", plan_of(read(elb, account, ec2)), {
        "zones": [B], "listeners": [extra], "check": check, "cross_zone": False, "idle": 30, "draining": (True, 400), "tags": {"owner": "me"},
    })  # fmt: skip

    elb.delete_load_balancer(LoadBalancerName=NAME)
    judge.refused(
        "a read after the end says so", lambda: elb.describe_load_balancers(LoadBalancerNames=[NAME]), "LoadBalancerNotFound"
    )
    filters = [
        {"Name": "attachment.instance-owner-id", "Values": ["amazon-elb"]},
        {"Name": "description", "Values": ["ELB " + NAME]},
    ]
    expect("no interface is left", ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"], [])


def in_subnets(elb, ec2, account):
    subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]}
    group = ec2.create_security_group(GroupName=NAME, Description="Managed by Terraform")["GroupId"]
    judge.at_end(lambda: ec2.delete_security_group(GroupId=group))
    made = {"InstancePort": AIM.instance_port, "InstanceProtocol": "HTTP", "LoadBalancerPort": AIM.port, "Protocol": "HTTP"}
    elb.create_load_balancer(
        Listeners=[made], LoadBalancerName=NAME, Scheme="internal", SecurityGroups=[group], Subnets=[subnets[A], subnets[B]]
    )
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    shown = read(elb, account, ec2)[0]
    expect("subnets", sorted(shown["Subnets"]), sorted([subnets[A], subnets[B]]))
    expect("groups", shown["SecurityGroups"], [group])
    elb.detach_load_balancer_from_subnets(LoadBalancerName=NAME, Subnets=[subnets[B]])
    elb.attach_load_balancer_to_subnets(LoadBalancerName=NAME, Subnets=[subnets[B]])
    elb.apply_security_groups_to_load_balancer(LoadBalancerName=NAME, SecurityGroups=[group])
    elb.delete_load_balancer(LoadBalancerName=NAME)


def settings(elb, cross_zone, idle, draining):
    elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes={
        "CrossZoneLoadBalancing": {"Enabled": cross_zone}, "ConnectionSettings": {"IdleTimeout": idle},
        "AccessLog": {"Enabled": False},
        "AdditionalAttributes": [{"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}],
    })  # fmt: skip


def settings_of_draining(elb, enabled, timeout):
    """The timeout may be stated only while draining is on, so the provider states it, then what it was told."""
    elb.modify_load_balancer_attributes(
        LoadBalancerName=NAME, LoadBalancerAttributes={"ConnectionDraining": {"Enabled": True, "Timeout": timeout}}
    )
    elb.modify_load_balancer_attributes(
        LoadBalancerName=NAME, LoadBalancerAttributes={"ConnectionDraining": {"Enabled": enabled}}
    )


def read(elb, account, ec2):
    shown = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]
    attributes = elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]
    tags = elb.describe_tags(LoadBalancerNames=[NAME])["TagDescriptions"][0]["Tags"]
    for name in ("ConnectionDraining", "CrossZoneLoadBalancing", "ConnectionSettings"):
        expect_has("what is read without a check", attributes, name)
    source = shown["SourceSecurityGroup"]
    if "VPCId" in shown:
        # The provider looks the source group up, and fails where it is not found.
        filters = [{"Name": "group-name", "Values": [source["GroupName"]]}, {"Name": "vpc-id", "Values": [shown["VPCId"]]}]
        filters.append({"Name": "owner-id", "Values": [source["OwnerAlias"]]})
        expect("the source group is found", len(ec2.describe_security_groups(Filters=filters)["SecurityGroups"]), 1)
        expect("its owner", source["OwnerAlias"], account)
    return shown, attributes, {tag["Key"]: tag["Value"] for tag in tags}


def plan_of(got):
    shown, attributes, tags = got
    draining = attributes["ConnectionDraining"]
    return {
        "zones": shown["AvailabilityZones"],
        "listeners": [d["Listener"] for d in shown["ListenerDescriptions"]],
        "check": shown["HealthCheck"],
        "cross_zone": attributes["CrossZoneLoadBalancing"]["Enabled"],
        "idle": attributes["ConnectionSettings"]["IdleTimeout"],
        "draining": (draining["Enabled"], draining["Timeout"]),
        "tags": tags,
    }


judge.judge(main)
