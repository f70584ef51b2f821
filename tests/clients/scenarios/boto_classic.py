"""Judges with boto 2.49 that every method of `boto.ec2.elb` works as written, and that what it sets acts on traffic.

Must never repeat what boto3 shows of the same policies in depth (`boto3_classic.py`): one effect for each. Proxy mode, so that
boto's IAM is reached as well. Needs EVENKEEL_CERTS besides (`traffic.py`).
"""

import functools

import judge
from judge import expect, expect_match, promise, until
from traffic import CERTS, client_context, cookie_of, der, first_line, get, handshake, outcome, refused, write_witness

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)

import boto  # noqa: E402  after its configuration stands
import boto.vpc  # noqa: E402
from boto.ec2.elb import ELBConnection, HealthCheck  # noqa: E402
from boto.ec2.elb.loadbalancer import LoadBalancer  # noqa: E402

A, B, C = AIM.zones[:3]
NAME = AIM.name
HTTP, HTTPS, TCP, TRUST, EXTRA = (AIM.port + n for n in range(5))
BACK = AIM.instance_port


def main():
    called = {kind: watch(kind) for kind in (ELBConnection, LoadBalancer)}
    elb, ec2, iam, vpc = boto.connect_elb(), boto.connect_ec2(), boto.connect_iam(), boto.vpc.VPCConnection()
    image = ec2.register_image(NAME, image_location=write_witness(AIM.home / "witness", BACK))
    judge.at_end(lambda: ec2.deregister_image(image))
    ids = launch(ec2, image)
    one, two = upload(iam, "one"), upload(iam, "two")
    lb = create(elb, one, ids)
    node = ec2.get_all_network_interfaces(filters={"description": "ELB " + NAME})[0].private_ip_address
    until("both are in service", lambda: {s.state for s in lb.get_instance_health()}, lambda states: states == {"InService"})
    stickiness(elb, lb, node)
    tls(elb, lb, node, two)
    backends(elb, lb, node)
    attributes(elb, lb, node)
    zones(elb, lb)
    listeners(elb, lb, node)
    groups(ec2, elb, lb, node)
    subnets(vpc, elb)
    instances(elb, lb, ids)
    end(elb, iam, lb)
    for kind, names in called.items():
        expect("every method of %s was called" % kind.__name__, sorted(names), [])


def watch(kind):
    """Names of a class's own methods; each goes when it is called."""
    own = {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}
    own -= {"build_list_params", "startElement", "endElement"}
    waiting = set(own)

    def watched(name, method):
        @functools.wraps(method)
        def call(*arguments, **named):
            waiting.discard(name)
            return method(*arguments, **named)

        return call

    for name in own:
        setattr(kind, name, watched(name, getattr(kind, name)))
    return waiting


def launch(ec2, image):
    made = ec2.run_instances(image, min_count=2, max_count=2, placement=A)
    ids = [instance.id for instance in made.instances]
    judge.at_end(lambda: ec2.terminate_instances(ids))
    until(
        "both run",
        lambda: {i.state for r in ec2.get_all_instances(ids) for i in r.instances}, lambda states: states == {"running"},
    )  # fmt: skip
    return ids


def upload(iam, which):
    body, key = ((CERTS / (which + end)).read_text() for end in (".crt", ".key"))
    name = "%s-%s" % (NAME, which)
    got = iam.upload_server_cert(name, body, key)
    judge.at_end(lambda: iam.delete_server_cert(name))
    arn = got.upload_server_certificate_response.upload_server_certificate_result.server_certificate_metadata.arn
    expect_match("certificate's ARN", arn, r"arn:aws:iam::\d{12}:server-certificate/%s" % name)
    names = [m.server_certificate_name for m in iam.list_server_certs().list_server_certificates_response
             .list_server_certificates_result.server_certificate_metadata_list]  # fmt: skip
    promise("it is listed", name in names, name, names)
    return arn


def create(elb, certificate, ids):
    made = [(HTTP, BACK, "HTTP"), (HTTPS, BACK, "HTTPS", certificate), (TCP, BACK + 1, "TCP")]
    lb = elb.create_load_balancer(NAME, [A], made)
    judge.at_end(lambda: elb.delete_load_balancer(NAME))
    full = [(TRUST, BACK + 2, "HTTPS", "HTTPS", certificate)]
    expect("complex listeners", elb.create_load_balancer_listeners(NAME, complex_listeners=full), True)
    check = HealthCheck(interval=5, target="HTTP:%d/" % BACK, timeout=2, healthy_threshold=2, unhealthy_threshold=2)
    expect("health check", lb.configure_health_check(check).target, check.target)
    lb.register_instances(ids)
    expect("registered", sorted(i.id for i in lb.instances), sorted(ids))
    shown = elb.get_all_load_balancers([NAME])[0]
    expect("listeners", sorted(l.load_balancer_port for l in shown.listeners), [HTTP, HTTPS, TCP, TRUST])
    secure = next(l for l in shown.listeners if l.load_balancer_port == HTTPS)
    expect("certificate and policy", (secure.ssl_certificate_id, secure.policy_names), (certificate, ["ELBSecurityPolicy-2016-08"]))
    return shown


def stickiness(elb, lb, node):
    expect("cookie policy", lb.create_cookie_stickiness_policy(60, "minute"), True)
    expect("application's cookie policy", lb.create_app_cookie_stickiness_policy("SESSION", "app"), True)
    expect("set", lb.set_policies_of_listener(HTTP, "minute"), True)
    got = until("the cookie is set", lambda: get(node, HTTP), lambda got: cookie_of(got[1], "AWSELB"))
    cookie = cookie_of(got[1], "AWSELB")
    expect("who sends it comes back", {get(node, HTTP, cookie=cookie)[0]["instance"] for _ in range(10)}, {got[0]["instance"]})
    shown = elb.get_all_load_balancers([NAME])[0].policies
    expect("life", [(p.policy_name, p.cookie_expiration_period) for p in shown.lb_cookie_stickiness_policies], [("minute", "60")])
    expect("cookie", [(p.policy_name, p.cookie_name) for p in shown.app_cookie_stickiness_policies], [("app", "SESSION")])
    lb.set_policies_of_listener(HTTP, "app")
    until("the application's cookie is followed", lambda: get(node, HTTP, "/login"), lambda got: cookie_of(got[1], "AWSELB"))
    expect("none any more", elb.set_lb_policies_of_listener(NAME, HTTP, []), True)
    expect("deleted", (lb.delete_policy("app"), elb.delete_lb_policy(NAME, "minute")), (True, True))


def tls(elb, lb, node, two):
    expect("certificate set", lb.set_listener_SSL_certificate(HTTPS, two), True)
    until("two is shown", lambda: handshake(node, HTTPS, client_context()), lambda got: not refused(got) and got[0] == der("two"))
    wanted = {"Protocol-TLSv1.2": True, "ECDHE-ECDSA-AES256-GCM-SHA384": True}
    expect("policy", elb.create_lb_policy(NAME, "strict", "SSLNegotiationPolicyType", wanted), True)
    lb.set_policies_of_listener(HTTPS, ["strict"])
    until(
        "what is not listed is refused",
        lambda: handshake(node, HTTPS, client_context(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")), refused,
    )  # fmt: skip
    expect("what is listed is served", handshake(node, HTTPS, client_context())[2], "ECDHE-ECDSA-AES256-GCM-SHA384")


def backends(elb, lb, node):
    expect("PROXY policy", lb.create_lb_policy("proxy", "ProxyProtocolPolicyType", {"ProxyProtocol": True}), True)
    expect("set", lb.set_policies_of_backend_server(BACK + 1, "proxy"), True)
    line, me = until("a PROXY header arrives", lambda: first_line(node, TCP), lambda got: "PROXY" in got[0])
    expect("the PROXY header", line.rstrip(), "got PROXY TCP4 %s %s %d %d" % (me[0], node, me[1], TCP))
    shown = elb.get_all_load_balancers([NAME])[0]
    expect("it is shown", [(b.instance_port, [p.policy_name for p in b.policies]) for b in shown.backends], [(BACK + 1, ["proxy"])])
    expect("and taken away", elb.set_lb_policies_of_backend_server(NAME, BACK + 1, []), True)
    until("none arrives", lambda: first_line(node, TCP)[0], lambda line: line == "got hello\n")
    key = (CERTS / "two.pub").read_text()
    lb.create_lb_policy("key", "PublicKeyPolicyType", {"PublicKey": key})
    lb.create_lb_policy("trust", "BackendServerAuthenticationPolicyType", {"PublicKeyPolicyName": "key"})
    lb.set_policies_of_backend_server(BACK + 2, "trust")
    until("a stranger is refused", lambda: get(node, TRUST, context=client_context())[0], lambda got: got in (502, 503, 504))


def attributes(elb, lb, node):
    held = elb.get_all_lb_attributes(NAME)
    expect("idle timeout", held.connecting_settings.idle_timeout, 60)
    held.connecting_settings.idle_timeout = 1
    expect("modified", elb.modify_lb_attribute(NAME, "connectingSettings", held.connecting_settings), True)
    until("a silent instance is given up", lambda: get(node, HTTP, "/slow?s=4")[0], lambda got: got == 504)
    held.connection_draining.enabled, held.connection_draining.timeout = True, 20
    elb.modify_lb_attribute(NAME, "connectionDraining", held.connection_draining)
    held.connecting_settings.idle_timeout = 60
    elb.modify_lb_attribute(NAME, "connectingSettings", held.connecting_settings)
    expect("cross-zone", (lb.is_cross_zone_load_balancing(force=True), lb.enable_cross_zone_load_balancing()), (False, True))
    expect("is on", elb.get_lb_attribute(NAME, "crossZoneLoadBalancing"), True)
    expect("and off again", (lb.disable_cross_zone_load_balancing(), lb.get_attributes(force=True).cross_zone_load_balancing.enabled), (True, False))
    draining = elb.get_lb_attribute(NAME, "connectionDraining")
    expect("draining", (draining.enabled, draining.timeout), (True, 20))


def zones(elb, lb):
    lb.enable_zones([B])
    expect("zones", sorted(lb.availability_zones), [A, B])
    lb.disable_zones([B])
    expect("one is left", lb.availability_zones, [A])
    expect("enabled", sorted(elb.enable_availability_zones(NAME, [C])), [A, C])
    expect("disabled", elb.disable_availability_zones(NAME, [C]), [A])


def listeners(elb, lb, node):
    lb.create_listener(EXTRA, BACK, "http")
    until("a new listener serves", lambda: outcome(node, EXTRA), lambda got: isinstance(got, dict))
    lb.delete_listener(EXTRA)
    until("and serves no more", lambda: outcome(node, EXTRA), lambda got: isinstance(got, OSError))
    expect("plain listeners", lb.create_listeners([(EXTRA, BACK, "HTTP")]), True)
    expect("are deleted", lb.delete_listeners([EXTRA]), True)


def groups(ec2, elb, lb, node):
    group = ec2.create_security_group(NAME, "who may connect")
    judge.at_end(group.delete)
    expect("rule", group.authorize("tcp", HTTP, HTTP, "192.0.2.0/24"), True)
    lb.apply_security_groups([group.id])
    until("whom no rule admits is kept out", lambda: outcome(node, HTTP), lambda got: isinstance(got, OSError))
    expect("old form", ec2.authorize_security_group(group_id=group.id, ip_protocol="tcp", from_port=HTTP, to_port=HTTP, cidr_ip="127.0.0.0/8"), True)
    until("whom a rule admits is let in", lambda: outcome(node, HTTP), lambda got: isinstance(got, dict))
    held = ec2.get_all_security_groups(group_ids=[group.id])[0]
    shown = [(r.ip_protocol, r.from_port, [g.cidr_ip for g in r.grants]) for r in held.rules]
    expect("rules", shown, [("tcp", str(HTTP), ["192.0.2.0/24", "127.0.0.0/8"])])
    expect("revoked", group.revoke("tcp", HTTP, HTTP, "192.0.2.0/24"), True)
    # boto 2 cannot state that there shall be none.
    ec2.authorize_security_group(group_id=group.id, ip_protocol="tcp", from_port=0, to_port=65535, cidr_ip="127.0.0.0/8")
    elb.apply_security_groups_to_lb(NAME, [group.id])
    expect("groups", elb.get_all_load_balancers([NAME])[0].security_groups, [group.id])


def subnets(vpc, elb):
    held = {s.availability_zone: s.id for s in vpc.get_all_subnets()}
    inside = NAME + "-vpc"
    lb = elb.create_load_balancer(inside, None, [(HTTP, BACK, "HTTP")], subnets=[held[A]], scheme="internal")
    judge.at_end(lambda: elb.delete_load_balancer(inside))
    lb.attach_subnets([held[B]])
    elb.attach_lb_to_subnets(inside, [held[C]])
    lb.detach_subnets([held[A]])
    elb.detach_lb_from_subnets(inside, [held[B]])
    shown = elb.get_all_load_balancers([inside])[0]
    expect("subnets", (shown.subnets, shown.availability_zones, shown.scheme), ([held[C]], [C], "internal"))
    expect("VPC", shown.vpc_id, vpc.get_all_vpcs()[0].id)


def instances(elb, lb, ids):
    first = ids[:1]
    expect("one is deregistered", [i.id for i in elb.deregister_instances(NAME, first)], ids[1:])
    state = elb.describe_instance_health(NAME, first)[0]
    promise("it drains, or is gone", "egist" in state.description, "words of registration", state.description)
    expect("it is back", sorted(i.id for i in elb.register_instances(NAME, first)), sorted(ids))
    lb.deregister_instances(ids)
    check = HealthCheck(interval=6, target="TCP:%d" % BACK, timeout=3, healthy_threshold=3, unhealthy_threshold=3)
    expect("another health check", elb.configure_health_check(NAME, check).interval, 6)


def end(elb, iam, lb):
    expect("application's cookie", elb.create_app_cookie_stickiness_policy("S", NAME, "again"), True)
    expect("balancer's cookie", elb.create_lb_cookie_stickiness_policy(None, NAME, "session"), True)
    arn = iam.get_server_certificate(NAME + "-one").get_server_certificate_response.get_server_certificate_result
    arn = arn.server_certificate.server_certificate_metadata.arn
    expect("certificate set", elb.set_lb_listener_SSL_certificate(NAME, HTTPS, arn), True)
    expect("listeners deleted", elb.delete_load_balancer_listeners(NAME, [TRUST]), True)
    lb.delete()
    promise("deleted", NAME not in [b.name for b in elb.get_all_load_balancers()], "it is gone", "it is there")
    expect("twice", elb.delete_load_balancer(NAME), True)


judge.judge(main)
