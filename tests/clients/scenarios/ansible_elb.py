"""Judges Ansible's `amazon.aws.elb_classic_lb`: it creates, changes and deletes a balancer, and finds nothing to do a second time.

Must never call the API itself but to see what was made. Needs EVENKEEL_CERTS besides (`traffic.py`).
"""

import json
import os
import sys

import judge
from judge import VENV, client, expect, expect_match, promise, say
from traffic import CERTS

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B = AIM.zones[:2]
NAME = AIM.name
MODULE = "amazon.aws.elb_classic_lb"


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
    elb, ec2, iam = boto3.client("elb"), boto3.client("ec2"), boto3.client("iam")
    in_zones(elb, iam)
    in_subnets(elb, ec2)


def play(what, arguments, changed):
    """One task on this machine; whether it changed anything must be as promised."""
    arguments = dict(arguments, region=AIM.region)
    tasks = [{"name": what, MODULE: arguments}]
    book = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    book[0]["vars"] = {"ansible_python_interpreter": sys.executable}
    path = AIM.home / "play.json"
    path.write_text(json.dumps(book))
    ran = client(VENV / "bin" / "ansible-playbook", path)
    if ran.code != 0:
        promise("%s: exit status" % what, False, 0, ran)
    expect_match("%s: recap" % what, ran.out.strip().splitlines()[-1], r"localhost\s+: ok=1\s+changed=%d\s.*failed=0.*" % changed)


def twice(what, arguments):
    play(what, arguments, 1)
    play(what + ", again", arguments, 0)


def in_zones(elb, iam):
    body, key = ((CERTS / ("one" + end)).read_text() for end in (".crt", ".key"))
    arn = iam.upload_server_certificate(ServerCertificateName=NAME, CertificateBody=body, PrivateKey=key)
    arn = arn["ServerCertificateMetadata"]["Arn"]
    judge.at_end(lambda: iam.delete_server_certificate(ServerCertificateName=NAME))
    http = {"protocol": "http", "load_balancer_port": AIM.port, "instance_port": AIM.instance_port}
    https = dict(http, protocol="https", load_balancer_port=AIM.port2, instance_protocol="http", ssl_certificate_id=arn)
    wanted = {
        "name": NAME, "state": "present", "zones": [A], "listeners": [http, https],
        "health_check": {
            "ping_protocol": "http", "ping_port": AIM.instance_port, "ping_path": "/",
            "response_timeout": 5, "interval": 30, "unhealthy_threshold": 2, "healthy_threshold": 10,
        },
        "connection_draining_timeout": 60, "idle_timeout": 90, "cross_az_load_balancing": True, "tags": {"team": "web"},
        "stickiness": {"type": "loadbalancer", "enabled": True, "expiration": 300},
    }  # fmt: skip
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    twice("create", wanted)
    shown = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]
    expect("two listeners", len(shown["ListenerDescriptions"]), 2)
    periods = [p["CookieExpirationPeriod"] for p in shown["Policies"]["LBCookieStickinessPolicies"]]
    expect("stickiness", periods, [300])
    changed = dict(
        wanted, zones=[B], purge_zones=True, listeners=[http], purge_listeners=True, idle_timeout=30, cross_az_load_balancing=False,
        stickiness={"type": "application", "enabled": True, "cookie": "SESSION"}, tags={"owner": "me"}, purge_tags=True,
    )  # fmt: skip
    twice("change", changed)
    shown = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]
    expect("zones", shown["AvailabilityZones"], [B])
    expect("one listener", [d["Listener"]["LoadBalancerPort"] for d in shown["ListenerDescriptions"]], [AIM.port])
    expect("cookie", [p["CookieName"] for p in shown["Policies"]["AppCookieStickinessPolicies"]], ["SESSION"])
    attributes = elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]
    expect("idle timeout", attributes["ConnectionSettings"]["IdleTimeout"], 30)
    expect("tags", elb.describe_tags(LoadBalancerNames=[NAME])["TagDescriptions"][0]["Tags"], [{"Key": "owner", "Value": "me"}])
    twice("delete", {"name": NAME, "state": "absent"})
    gone = [lb["LoadBalancerName"] for lb in elb.describe_load_balancers()["LoadBalancerDescriptions"]]
    promise("it is gone", NAME not in gone, "no %s" % NAME, gone)


def in_subnets(elb, ec2):
    subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]}
    group = ec2.create_security_group(GroupName=NAME, Description="for Ansible")["GroupId"]
    judge.at_end(lambda: ec2.delete_security_group(GroupId=group))
    inside = NAME + "-vpc"
    tcp = {"protocol": "tcp", "load_balancer_port": AIM.port, "instance_port": AIM.instance_port, "proxy_protocol": True}
    wanted = {
        "name": inside, "state": "present", "subnets": [subnets[A], subnets[B]], "scheme": "internal",
        "security_group_names": [NAME], "listeners": [tcp],
    }  # fmt: skip
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=inside))
    twice("create in subnets", wanted)
    shown = elb.describe_load_balancers(LoadBalancerNames=[inside])["LoadBalancerDescriptions"][0]
    expect("groups", shown["SecurityGroups"], [group])
    expect("instances are told of clients", [b["InstancePort"] for b in shown["BackendServerDescriptions"]], [AIM.instance_port])
    twice("change subnets", dict(wanted, subnets=[subnets[B]], purge_subnets=True))
    twice("delete in subnets", {"name": inside, "state": "absent"})


judge.judge(main)
