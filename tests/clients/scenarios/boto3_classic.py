"""Judges with boto3 that every operation of the Classic API is there, answers as modelled, and *acts* on traffic.

Must never test refusals (`boto3_refusals.py`) nor the walk of an instance (`boto3_walk.py`). Needs EVENKEEL_CERTS besides
(`traffic.py`), where the reader goes next, and EVENKEEL_BUCKETS: the folder that access logs reach, a folder a bucket.
"""

import calendar
import http.client
import json
import os
import re
import socket
import ssl
import time
from pathlib import Path

import judge
from judge import expect, expect_in, expect_match, promise, until
from shapes import Watched
from traffic import CERTS, client_context, cookie_of, der, first_line, get, handshake, logged, outcome, refused, write_witness

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B, C = AIM.zones[:3]
NAME = AIM.name
HTTP, HTTPS, TCP, SSL, TRUST = (AIM.port + n for n in range(5))
BACK = AIM.instance_port
BUCKETS = Path(os.environ["EVENKEEL_BUCKETS"])

# AWS, "Access log entries" of the Classic Load Balancer.
ENTRY = re.compile(
    r"(?P<timestamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (?P<elb>\S+) (?P<client>\S+:\d+) (?P<backend>\S+:\d+|-)"
    r" (?P<request_time>-1|\d+\.\d{6}) (?P<backend_time>-1|\d+\.\d{6}) (?P<response_time>-1|\d+\.\d{6})"
    r" (?P<elb_status>\d{3}|-) (?P<backend_status>\d{1,3}|-) (?P<received>\d+) (?P<sent>\d+)"
    r' "(?P<request>[^"]*)" "(?P<agent>[^"]*)" (?P<cipher>\S+) (?P<protocol>\S+)'
)


def main():
    ec2, elb, iam = boto3.client("ec2"), boto3.client("elb"), boto3.client("iam")
    watched = Watched(elb)
    image = register(ec2)
    ids = launch(ec2, image)
    one, two = upload(iam, "one"), upload(iam, "two")
    node = create(ec2, elb, one, ids)
    lb_cookie(elb, node)
    app_cookie(elb, node)
    certificates(elb, node, one, two)
    negotiation(elb, node)
    proxy_protocol(elb, node)
    authentication(elb, node)
    idle_timeout(elb, node)
    draining(elb, node, ids)
    access_log(ec2, elb, node, ids)
    zones(ec2, elb, ids)
    groups(ec2, elb, node)
    subnets_and_vpc(ec2, elb)
    tags_and_limits(elb)
    policies(elb)
    delete(elb, iam)
    expect("every operation was called", sorted(set(elb.meta.service_model.operation_names) - watched.called), [])
    expect("every answer is as modelled", watched.wrong, [])


# --- instances


def register(ec2):
    image = ec2.register_image(Name=NAME, ImageLocation=write_witness(AIM.home / "witness", BACK))["ImageId"]
    judge.at_end(lambda: ec2.deregister_image(ImageId=image))
    return image


def launch(ec2, image):
    ids = []
    for _ in range(2):
        got = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": A})
        ids.append(got["Instances"][0]["InstanceId"])
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=ids))
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return ids


def health(elb):
    states = elb.describe_instance_health(LoadBalancerName=NAME)["InstanceStates"]
    return {state["InstanceId"]: state["State"] for state in states}


# --- what is made, in order


def upload(iam, which):
    body, key = ((CERTS / (which + end)).read_text() for end in (".crt", ".key"))
    name = "%s-%s" % (NAME, which)
    got = iam.upload_server_certificate(ServerCertificateName=name, CertificateBody=body, PrivateKey=key)
    judge.at_end(lambda: iam.delete_server_certificate(ServerCertificateName=name))
    arn = got["ServerCertificateMetadata"]["Arn"]
    expect_match("certificate's ARN", arn, r"arn:aws:iam::\d{12}:server-certificate/%s" % name)
    held = iam.get_server_certificate(ServerCertificateName=name)["ServerCertificate"]
    expect("certificate's body", held["CertificateBody"].strip(), body.strip())
    return arn


def listener(port, protocol, back, back_port, certificate=None):
    made = {"LoadBalancerPort": port, "Protocol": protocol, "InstanceProtocol": back, "InstancePort": back_port}
    return dict(made, SSLCertificateId=certificate) if certificate else made


def create(ec2, elb, certificate, ids):
    first = [listener(HTTP, "HTTP", "HTTP", BACK), listener(HTTPS, "HTTPS", "HTTP", BACK, certificate)]
    rest = [
        listener(TCP, "TCP", "TCP", BACK + 1),
        listener(SSL, "SSL", "TCP", BACK + 1, certificate),
        listener(TRUST, "HTTPS", "HTTPS", BACK + 2, certificate),
    ]
    got = elb.create_load_balancer(LoadBalancerName=NAME, Listeners=first, AvailabilityZones=[A])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    expect_match("DNS name", got["DNSName"], r"%s-\d{8,10}\..+" % NAME)
    elb.create_load_balancer_listeners(LoadBalancerName=NAME, Listeners=rest)
    check = {"Target": "HTTP:%d/" % BACK, "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}
    expect("health check", elb.configure_health_check(LoadBalancerName=NAME, HealthCheck=check)["HealthCheck"], check)
    got = elb.register_instances_with_load_balancer(LoadBalancerName=NAME, Instances=[{"InstanceId": i} for i in ids])
    expect("registered", sorted(i["InstanceId"] for i in got["Instances"]), sorted(ids))
    until("both are in service", lambda: health(elb), lambda states: set(states.values()) == {"InService"})
    described = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]
    shown = {d["Listener"]["LoadBalancerPort"]: d for d in described["ListenerDescriptions"]}
    expect("secure listeners have the default policy", shown[HTTPS]["PolicyNames"], ["ELBSecurityPolicy-2016-08"])
    expect("and show their certificate", shown[SSL]["Listener"]["SSLCertificateId"], certificate)
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + NAME]}])
    return interfaces["NetworkInterfaces"][0]["PrivateIpAddress"]


def set_policies(elb, port, *names):
    elb.set_load_balancer_policies_of_listener(LoadBalancerName=NAME, LoadBalancerPort=port, PolicyNames=list(names))


def instances_of(node, port, cookie, count=12):
    return {get(node, port, cookie=cookie)[0]["instance"] for _ in range(count)}


def lb_cookie(elb, node):
    expect("without a policy both answer", len(instances_of(node, HTTP, None)), 2)
    elb.create_lb_cookie_stickiness_policy(LoadBalancerName=NAME, PolicyName="minute", CookieExpirationPeriod=60)
    set_policies(elb, HTTP, "minute")
    told, cookies = until("the balancer's cookie is set", lambda: get(node, HTTP), lambda got: cookie_of(got[1], "AWSELB"))
    expect_match("its life", next(c for c in cookies if c.startswith("AWSELB=")), r"AWSELB=[0-9A-F]+;PATH=/;MAX-AGE=60")
    expect("who sends it comes back", instances_of(node, HTTP, cookie_of(cookies, "AWSELB")), {told["instance"]})
    expect("who does not is spread", len(instances_of(node, HTTP, None)), 2)


def app_cookie(elb, node):
    elb.create_app_cookie_stickiness_policy(LoadBalancerName=NAME, PolicyName="app", CookieName="SESSION")
    set_policies(elb, HTTP, "app")
    told, cookies = until("the cookie follows the application's", lambda: get(node, HTTP, "/login"), lambda got: cookie_of(got[1], "AWSELB"))
    both = "%s; %s" % (cookie_of(cookies, "SESSION"), cookie_of(cookies, "AWSELB"))
    expect("who sends both comes back", instances_of(node, HTTP, both), {told["instance"]})
    expect("a page without a session sets none", cookie_of(get(node, HTTP)[1], "AWSELB"), None)
    set_policies(elb, HTTP)


def certificates(elb, node, one, two):
    expect("one is shown", handshake(node, HTTPS, client_context())[0], der("one"))
    told, _ = get(node, HTTPS, context=client_context())
    expect("the instance is told of TLS", dict(told["headers"]).get("x-forwarded-proto"), "https")
    elb.set_load_balancer_listener_ssl_certificate(LoadBalancerName=NAME, LoadBalancerPort=HTTPS, SSLCertificateId=two)
    until("two is shown", lambda: handshake(node, HTTPS, client_context()), lambda got: not refused(got) and got[0] == der("two"))
    expect("the SSL listener still shows one", handshake(node, SSL, client_context())[0], der("one"))


def negotiation(elb, node):
    v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    only_12 = client_context(maximum_version=v12)
    expect("by default TLS 1.2 is spoken", handshake(node, HTTPS, only_12)[1], "TLSv1.2")
    expect("and TLS 1.3", handshake(node, HTTPS, client_context())[1], "TLSv1.3")
    elb.create_load_balancer_policy(
        LoadBalancerName=NAME, PolicyName="new-only", PolicyTypeName="SSLNegotiationPolicyType",
        PolicyAttributes=[
            {"AttributeName": "Protocol-TLSv1.3", "AttributeValue": "true"},
            {"AttributeName": "ECDHE-ECDSA-AES128-GCM-SHA256", "AttributeValue": "true"},
        ],
    )  # fmt: skip
    set_policies(elb, HTTPS, "new-only")
    until("a policy refuses the old client", lambda: handshake(node, HTTPS, only_12), refused)
    expect("and serves the new one", handshake(node, HTTPS, client_context(minimum_version=v13))[1], "TLSv1.3")
    elb.create_load_balancer_policy(
        LoadBalancerName=NAME, PolicyName="one-cipher", PolicyTypeName="SSLNegotiationPolicyType",
        PolicyAttributes=[
            {"AttributeName": "Protocol-TLSv1.2", "AttributeValue": "true"},
            {"AttributeName": "ECDHE-ECDSA-AES256-GCM-SHA384", "AttributeValue": "true"},
        ],
    )  # fmt: skip
    set_policies(elb, HTTPS, "one-cipher")
    other = client_context(maximum_version=v12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    same = client_context(maximum_version=v12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    # The policy before refused both.
    served = lambda got: not refused(got) and got[2] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    until("a policy serves the client of its own cipher", lambda: handshake(node, HTTPS, same), served)
    until("and refuses the one of another", lambda: handshake(node, HTTPS, other), refused)
    until("TLS 1.3 was not asked for", lambda: handshake(node, HTTPS, client_context(minimum_version=v13)), refused)
    set_policies(elb, HTTPS, "ELBSecurityPolicy-2016-08")


def proxy_protocol(elb, node):
    expect("bytes arrive as sent", first_line(node, TCP)[0], "got hello\n")
    elb.create_load_balancer_policy(
        LoadBalancerName=NAME, PolicyName="proxy", PolicyTypeName="ProxyProtocolPolicyType",
        PolicyAttributes=[{"AttributeName": "ProxyProtocol", "AttributeValue": "True"}],
    )  # fmt: skip
    elb.set_load_balancer_policies_for_backend_server(LoadBalancerName=NAME, InstancePort=BACK + 1, PolicyNames=["proxy"])
    for port, context in ((TCP, None), (SSL, client_context())):
        line, me = until("a PROXY header arrives", lambda: first_line(node, port, context), lambda got: "PROXY" in got[0])
        expect("the PROXY header", line.rstrip(), "got PROXY TCP4 %s %s %d %d" % (me[0], node, me[1], port))
    elb.set_load_balancer_policies_for_backend_server(LoadBalancerName=NAME, InstancePort=BACK + 1, PolicyNames=[])
    until("without the policy none does", lambda: first_line(node, TCP)[0], lambda line: line == "got hello\n")


def public_key(elb, which):
    elb.create_load_balancer_policy(
        LoadBalancerName=NAME, PolicyName="key-" + which, PolicyTypeName="PublicKeyPolicyType",
        PolicyAttributes=[{"AttributeName": "PublicKey", "AttributeValue": (CERTS / (which + ".pub")).read_text()}],
    )  # fmt: skip
    elb.create_load_balancer_policy(
        LoadBalancerName=NAME, PolicyName="trust-" + which, PolicyTypeName="BackendServerAuthenticationPolicyType",
        PolicyAttributes=[{"AttributeName": "PublicKeyPolicyName", "AttributeValue": "key-" + which}],
    )  # fmt: skip
    elb.set_load_balancer_policies_for_backend_server(
        LoadBalancerName=NAME, InstancePort=BACK + 2, PolicyNames=["trust-" + which]
    )


def authentication(elb, node):
    def ask():
        return get(node, TRUST, context=client_context())[0]

    until("anybody is believed without a policy", ask, lambda got: isinstance(got, dict))
    public_key(elb, "backend")
    until("who has the key is believed", ask, lambda got: isinstance(got, dict))
    public_key(elb, "two")
    until("a stranger is refused", ask, lambda got: got in (502, 503, 504))
    elb.set_load_balancer_policies_for_backend_server(LoadBalancerName=NAME, InstancePort=BACK + 2, PolicyNames=[])


def idle_timeout(elb, node):
    settings = {"ConnectionSettings": {"IdleTimeout": 1}}
    got = elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes=settings)
    expect("echo of what was sent", got["LoadBalancerAttributes"], settings)
    until("a silent instance is given up", lambda: get(node, HTTP, "/slow?s=5")[0], lambda got: got == 504)
    began = time.monotonic()
    with socket.create_connection((node, TCP), timeout=10) as silent:
        silent.sendall(b"x\n")
        while silent.recv(100):
            pass
    took = time.monotonic() - began
    promise("a silent connection is cut", 0.9 <= took < 6, "1 s after the last byte", "%.1f s" % took)
    elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes={"ConnectionSettings": {"IdleTimeout": 60}})
    held = elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]
    expect("idle timeout", held["ConnectionSettings"]["IdleTimeout"], 60)


def draining(elb, node, ids):
    elb.modify_load_balancer_attributes(
        LoadBalancerName=NAME, LoadBalancerAttributes={"ConnectionDraining": {"Enabled": True, "Timeout": 30}}
    )
    connection = http.client.HTTPConnection(node, HTTP, timeout=20)
    until("the new idle timeout acts", lambda: get(node, HTTP, "/slow?s=2")[0], lambda got: isinstance(got, dict))
    connection.request("GET", "/slow?s=3")
    time.sleep(0.5)  # so that the request is on its way: there is nothing to see of it
    got = elb.deregister_instances_from_load_balancer(LoadBalancerName=NAME, Instances=[{"InstanceId": i} for i in ids])
    expect("none is registered", got["Instances"], [])
    until("new requests find nobody", lambda: get(node, HTTP)[0], lambda got: got == 503)
    answer = connection.getresponse()
    expect("what was in flight is answered", (answer.status, json.loads(answer.read())["path"]), (200, "/slow?s=3"))
    elb.register_instances_with_load_balancer(LoadBalancerName=NAME, Instances=[{"InstanceId": i} for i in ids])
    until("both are back", lambda: health(elb), lambda states: list(states.values()) == ["InService"] * 2)


def entries(bucket):
    """The entries of all objects in a bucket, by the client's address; what is none of AWS's is a broken promise."""
    found = {}
    for path in bucket.rglob("*.log"):
        for line in path.read_text().splitlines():
            entry = ENTRY.fullmatch(line)
            promise("an entry of an access log", entry, ENTRY.pattern, line) if not entry else found.update({entry["client"]: entry})
    return found


def access_log(ec2, elb, node, ids):
    bucket = BUCKETS / NAME

    def log_to(prefix):
        settings = {"AccessLog": {"Enabled": True, "S3BucketName": NAME, "EmitInterval": 60, "S3BucketPrefix": prefix}}
        return elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes=settings)

    got = log_to("first")["LoadBalancerAttributes"]["AccessLog"]
    expect("echo of the access log", (got["S3BucketName"], got["S3BucketPrefix"], got["EmitInterval"]), (NAME, "first", 60))
    (test,) = bucket.rglob("ELBAccessLogTestFile")
    account = test.parent.name
    expect("AWS's test object", str(test.relative_to(bucket)), "first/AWSLogs/%s/ELBAccessLogTestFile" % account)
    sent = {kind: [] for kind in (HTTP, HTTPS, TCP, SSL)}
    prefixes = iter("prefix-%d" % n for n in range(1, 1000))

    def ask():
        for port, made in sent.items():
            made.append(logged(node, port, client_context() if port in (HTTPS, SSL) else None, port in (HTTP, HTTPS)))

    def arrived():
        # The object of one prefix is whole when there is an entry for the next: nobody waits for an hour.
        ask()
        log_to(next(prefixes))
        ask()
        held = entries(bucket)
        return {port: next((one for one in made if one.client in held), None) for port, made in sent.items()}

    found = until("entries of all four kinds of listeners arrive", arrived, lambda got: all(got.values()), every=1)
    held = entries(bucket)
    machines = [r["Instances"][0]["PrivateIpAddress"] for r in ec2.describe_instances(InstanceIds=ids)["Reservations"]]
    for port, one in found.items():
        entry, scheme = held[one.client], {HTTP: "http", HTTPS: "https"}.get(port)
        expect("its balancer", entry["elb"], NAME)
        backs = ["%s:%d" % (machine, BACK if scheme else BACK + 1) for machine in machines]
        expect_in("the instance that answered", entry["backend"], backs)
        statuses = ("200", "200") if scheme else ("-", "-")
        expect("statuses", (entry["elb_status"], entry["backend_status"]), statuses)
        expect("bytes of bodies, both ways", (int(entry["received"]), int(entry["sent"])), (one.sent, one.received))
        request = "GET %s://%s:%d/logged HTTP/1.1" % (scheme, node, port) if scheme else "- - - "
        expect("request and user agent", (entry["request"], entry["agent"]), (request, "judge/1" if scheme else "-"))
        expect("cipher and protocol", (entry["cipher"], entry["protocol"]), one.secured or ("-", "-"))
        times = [float(entry[name]) for name in ("request_time", "backend_time", "response_time")]
        promise("three times", all(0 <= t < 30 for t in times), "seconds", times)
        age = time.time() - calendar.timegm(time.strptime(entry["timestamp"][:19], "%Y-%m-%dT%H:%M:%S"))
        promise("the timestamp is of now", -2 <= age < 120, "at most 120 s ago", "%.0f s ago" % age)
    key = next(path for path in bucket.rglob("*.log")).relative_to(bucket).as_posix()
    day = r"\d{4}/\d\d/\d\d"
    expect_match("an object's key", key, r"[a-z0-9-]+/AWSLogs/{0}/elasticloadbalancing/us-east-1/{1}/{0}_elasticloadbalancing_us-east-1_{2}_\d{{8}}T\d{{4}}Z_{3}_\w+\.log".format(account, day, NAME, re.escape(node)))
    elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes={"AccessLog": {"Enabled": False}})
    held = elb.describe_load_balancer_attributes(LoadBalancerName=NAME)["LoadBalancerAttributes"]
    expect("the log is off", held["AccessLog"]["Enabled"], False)


def zones(ec2, elb, ids):
    got = elb.enable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[B])
    expect("zones", sorted(got["AvailabilityZones"]), [A, B])
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + NAME]}])["NetworkInterfaces"]
    other = next(i["PrivateIpAddress"] for i in interfaces if i["AvailabilityZone"] == B)
    until("a zone without instances has nobody", lambda: outcome(other, HTTP), lambda got: got == 503)
    elb.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes={"CrossZoneLoadBalancing": {"Enabled": True}})
    until("with cross-zone balancing it has all", lambda: outcome(other, HTTP), lambda got: isinstance(got, dict))
    got = elb.disable_availability_zones_for_load_balancer(LoadBalancerName=NAME, AvailabilityZones=[B])
    expect("one zone is left", got["AvailabilityZones"], [A])


def groups(ec2, elb, node):
    group = ec2.create_security_group(GroupName=NAME, Description="who may connect")["GroupId"]
    judge.at_end(lambda: ec2.delete_security_group(GroupId=group))
    rule = {"IpProtocol": "tcp", "FromPort": HTTP, "ToPort": HTTP, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    got = elb.apply_security_groups_to_load_balancer(LoadBalancerName=NAME, SecurityGroups=[group])
    expect("groups", got["SecurityGroups"], [group])
    until("whom no rule admits is kept out", lambda: outcome(node, HTTP), lambda got: isinstance(got, OSError))
    mine = dict(rule, IpRanges=[{"CidrIp": "127.0.0.0/8"}])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[mine])
    until("whom a rule admits is let in", lambda: outcome(node, HTTP), lambda got: isinstance(got, dict))
    promise("on that port alone", refused(handshake(node, HTTPS, client_context())), "refused", "served")
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[mine])
    until("and kept out again without it", lambda: outcome(node, HTTP), lambda got: isinstance(got, OSError))
    elb.apply_security_groups_to_load_balancer(LoadBalancerName=NAME, SecurityGroups=[])
    until("without groups everybody is let in", lambda: outcome(node, HTTP), lambda got: isinstance(got, dict))


def subnets_and_vpc(ec2, elb):
    subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]}
    inside = NAME + "-vpc"
    made = [listener(HTTP, "HTTP", "HTTP", BACK)]
    elb.create_load_balancer(LoadBalancerName=inside, Listeners=made, Subnets=[subnets[A]], Scheme="internal")
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=inside))
    got = elb.attach_load_balancer_to_subnets(LoadBalancerName=inside, Subnets=[subnets[C]])
    expect("subnets", sorted(got["Subnets"]), sorted([subnets[A], subnets[C]]))
    got = elb.detach_load_balancer_from_subnets(LoadBalancerName=inside, Subnets=[subnets[A]])
    expect("one subnet is left", got["Subnets"], [subnets[C]])
    shown = elb.describe_load_balancers(LoadBalancerNames=[inside])["LoadBalancerDescriptions"][0]
    expect("its VPC", shown["VPCId"], ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    expect("its scheme", (shown["Scheme"], shown["AvailabilityZones"]), ("internal", [C]))
    expect_match("its name", shown["DNSName"], r"internal-%s-\d+\..+" % inside)


def tags_and_limits(elb):
    elb.add_tags(LoadBalancerNames=[NAME], Tags=[{"Key": "team", "Value": "web"}, {"Key": "tier", "Value": "1"}])
    elb.remove_tags(LoadBalancerNames=[NAME], Tags=[{"Key": "tier"}])
    got = elb.describe_tags(LoadBalancerNames=[NAME])["TagDescriptions"]
    expect("tags", got, [{"LoadBalancerName": NAME, "Tags": [{"Key": "team", "Value": "web"}]}])
    limits = {limit["Name"]: limit["Max"] for limit in elb.describe_account_limits()["Limits"]}
    names = ["classic-listeners", "classic-load-balancers", "classic-registered-instances"]
    expect("limits", sorted(limits), names)
    promise("limits are numbers", all(value.isdigit() for value in limits.values()), "numbers", limits)


def policies(elb):
    types = {t["PolicyTypeName"] for t in elb.describe_load_balancer_policy_types()["PolicyTypeDescriptions"]}
    expect_in("policy types", "SSLNegotiationPolicyType", types)
    ready_made = [p["PolicyName"] for p in elb.describe_load_balancer_policies()["PolicyDescriptions"]]
    expect_in("ready-made policies", "ELBSecurityPolicy-TLS-1-2-2017-01", ready_made)
    got = elb.describe_load_balancer_policies(LoadBalancerName=NAME, PolicyNames=["one-cipher"])["PolicyDescriptions"][0]
    effective = {a["AttributeName"]: a["AttributeValue"] for a in got["PolicyAttributeDescriptions"]}
    expect("the effective set is shown", effective["Evenkeel-Effective-Ciphers"], "ECDHE-ECDSA-AES256-GCM-SHA384")
    elb.delete_load_balancer_policy(LoadBalancerName=NAME, PolicyName="one-cipher")
    held = [p["PolicyName"] for p in elb.describe_load_balancer_policies(LoadBalancerName=NAME)["PolicyDescriptions"]]
    promise("a policy can be deleted", "one-cipher" not in held, "no `one-cipher`", held)


def delete(elb, iam):
    judge.refused(
        "a certificate in use stays",
        lambda: iam.delete_server_certificate(ServerCertificateName=NAME + "-two"), "DeleteConflict", 409,
    )  # fmt: skip
    elb.delete_load_balancer_listeners(LoadBalancerName=NAME, LoadBalancerPorts=[SSL, TRUST])
    shown = elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"][0]
    left = sorted(d["Listener"]["LoadBalancerPort"] for d in shown["ListenerDescriptions"])
    expect("listeners left", left, [HTTP, HTTPS, TCP])
    elb.delete_load_balancer(LoadBalancerName=NAME)
    judge.refused(
        "what is deleted is gone", lambda: elb.describe_load_balancers(LoadBalancerNames=[NAME]), "LoadBalancerNotFound"
    )


judge.judge(main)
