"""Judges with boto3 that certificates of Certificate Manager live as AWS's do: every call in AWS JSON, answers as modelled, errors
by ACM's names, and listeners that show them.

Must never test what a good certificate is beyond one example each; the daemon's own tests do. Needs EVENKEEL_CERTS besides (see
`boto3_classic.py`, where the reader goes next).
"""

import datetime
import json
import os
import ssl
import time
from pathlib import Path

import judge
from judge import expect, expect_match, promise, refused, until

DOMAIN = os.environ.get("EVENKEEL_ACME_DOMAIN")
CERTS = Path(os.environ.get("EVENKEEL_CERTS") or "/nowhere")
AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A = AIM.zones[0]
NAME, PORT = AIM.name, AIM.port
GONE = "arn:aws:acm:%s:000000000000:certificate/12345678-1234-1234-1234-123456789012" % AIM.region


def main():
    acm, elb, ec2 = boto3.client("acm"), boto3.client("elb"), boto3.client("ec2")
    watched = Watched(acm)
    arn = imported(acm)
    described(acm, arn)
    listed(acm, arn)
    tags(acm, arn)
    in_use(acm, elb, ec2, arn)
    refusals(acm, arn)
    if DOMAIN:
        requested(acm, elb)
    else:
        refused("a request without a server", lambda: acm.request_certificate(DomainName="a.example.test"), "InvalidParameterException")
    acm.delete_certificate(CertificateArn=arn)
    refused("it is gone", lambda: acm.describe_certificate(CertificateArn=arn), "ResourceNotFoundException")
    expect("every answer is as modelled", watched.wrong, [])


class Watched:
    """Notes what of a client's answers in JSON is not in botocore's model, or of another type."""

    TYPES = {"string": str, "boolean": bool, "integer": int, "long": int, "timestamp": (int, float)}

    def __init__(self, client):
        self.wrong = []
        client.meta.events.register("after-call.*.*", self.look)

    def look(self, model, http_response, **_):
        if http_response.status_code == 200 and model.output_shape is not None:
            self.compare(json.loads(http_response.content), model.output_shape, model.name)

    def compare(self, value, shape, path):
        if shape.type_name == "structure":
            for name in shape.required_members:
                if name not in value:
                    self.wrong.append("%s.%s is required and absent" % (path, name))
            for name, inside in value.items():
                if name not in shape.members:
                    self.wrong.append("%s.%s is not in the model" % (path, name))
                else:
                    self.compare(inside, shape.members[name], "%s.%s" % (path, name))
        elif shape.type_name == "list":
            for inside in value:
                self.compare(inside, shape.member, path)
        elif not isinstance(value, self.TYPES[shape.type_name]):
            self.wrong.append("%s should be a %s, and is %r" % (path, shape.type_name, value))


def pem(name):
    return {"Certificate": (CERTS / (name + ".crt")).read_bytes(), "PrivateKey": (CERTS / (name + ".key")).read_bytes()}


def imported(acm):
    got = acm.import_certificate(Tags=[{"Key": "team", "Value": "web"}, {"Key": "walk"}], **pem("one"))
    judge.at_end(lambda: acm.delete_certificate(CertificateArn=got["CertificateArn"]) if exists(acm, got["CertificateArn"]) else None)
    expect_match("ARN", got["CertificateArn"], r"arn:aws:acm:%s:\d{12}:certificate/[0-9a-f-]{36}" % AIM.region)
    return got["CertificateArn"]


def exists(acm, arn):
    return any(shown["CertificateArn"] == arn for page in acm.get_paginator("list_certificates").paginate() for shown in page["CertificateSummaryList"])


def described(acm, arn):
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    plain = {key: got.get(key) for key in ("CertificateArn", "DomainName", "SubjectAlternativeNames", "Status", "Type", "InUseBy")}
    expect("what it is", plain, {
        "CertificateArn": arn, "DomainName": "one.example.test", "SubjectAlternativeNames": ["one.example.test"],
        "Status": "ISSUED", "Type": "IMPORTED", "InUseBy": [],
    })  # fmt: skip
    expect("key", (got["KeyAlgorithm"], got["RenewalEligibility"]), ("EC-prime256v1", "INELIGIBLE"))
    now = datetime.datetime.now(datetime.timezone.utc)
    promise("it holds now", got["NotBefore"] < now < got["NotAfter"], "NotBefore < now < NotAfter", (got["NotBefore"], got["NotAfter"]))
    promise("it came just now", abs((now - got["ImportedAt"]).total_seconds()) < 120, "within two minutes of %s" % now, got["ImportedAt"])
    expect_match("serial", got["Serial"], r"([0-9a-f]{2}:)*[0-9a-f]{2}")
    held = acm.get_certificate(CertificateArn=arn)
    expect("the certificate itself", held["Certificate"].strip(), pem("one")["Certificate"].decode().strip())
    expect("no chain", "CertificateChain" in held, False)


def listed(acm, arn):
    other = acm.import_certificate(**pem("two"))["CertificateArn"]
    arns = lambda **how: [s["CertificateArn"] for s in acm.list_certificates(**how)["CertificateSummaryList"] if s["CertificateArn"] in (arn, other)]
    expect("both", sorted(arns()), sorted([arn, other]))
    expect("the oldest first", arns(SortBy="CREATED_AT", SortOrder="ASCENDING"), [arn, other])
    expect("the newest first", arns(SortBy="CREATED_AT", SortOrder="DESCENDING"), [other, arn])
    expect("by key", sorted(arns(Includes={"keyTypes": ["EC_prime256v1"]})), sorted([arn, other]))
    expect("by another key", arns(Includes={"keyTypes": ["RSA_2048"]}), [])
    expect("by status", arns(CertificateStatuses=["EXPIRED"]), [])
    pages = list(acm.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": 1}))
    found = [s["CertificateArn"] for page in pages for s in page["CertificateSummaryList"]]
    promise("pages of one", sorted(a for a in found if a in (arn, other)) == sorted([arn, other]), [arn, other], found)
    acm.delete_certificate(CertificateArn=other)


def tags(acm, arn):
    shown = lambda: {tag["Key"]: tag.get("Value") for tag in acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]}
    expect("tags of the import", shown(), {"team": "web", "walk": ""})
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "team", "Value": "edge"}, {"Key": "n", "Value": "1"}])
    expect("tags added", shown(), {"team": "edge", "walk": "", "n": "1"})
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "walk"}, {"Key": "n", "Value": "another"}])
    expect("tags removed, by value where it is stated", shown(), {"team": "edge", "n": "1"})


def shown_by(node):
    """The certificate that a listener shows, in PEM without blanks."""
    return "".join(ssl.get_server_certificate((node, PORT), timeout=5).split())


def in_use(acm, elb, ec2, arn):
    listener = {"Protocol": "HTTPS", "LoadBalancerPort": PORT, "InstancePort": AIM.instance_port, "SSLCertificateId": arn}
    elb.create_load_balancer(LoadBalancerName=NAME, Listeners=[listener], AvailabilityZones=[A])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    used = acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]
    expect("who uses it", [user.rsplit(":", 1)[-1] for user in used], ["loadbalancer/" + NAME])
    refused("deleted while in use", lambda: acm.delete_certificate(CertificateArn=arn), "ResourceInUseException")
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + NAME]}])["NetworkInterfaces"]
    node = interfaces[0]["PrivateIpAddress"]
    plain = lambda name: "".join(pem(name)["Certificate"].decode().split())

    def look():
        try:
            return shown_by(node)
        except OSError:
            time.sleep(0.1)
            return None

    until("the listener shows it", look, lambda got: got == plain("one"))
    acm.import_certificate(CertificateArn=arn, **pem("two"))
    until("imported anew, the listener shows the new one", look, lambda got: got == plain("two"))
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    expect("imported anew", (got["DomainName"], got["ImportedAt"] > got["CreatedAt"]), ("two.example.test", True))
    elb.delete_load_balancer(LoadBalancerName=NAME)


def refusals(acm, arn):
    mixed = dict(pem("one"), PrivateKey=pem("two")["PrivateKey"])
    refused("another's key", lambda: acm.import_certificate(**mixed), "ValidationException")
    junk = dict(pem("one"), Certificate=b"nonsense")
    refused("no certificate", lambda: acm.import_certificate(**junk), "ValidationException")
    chained = dict(pem("one"), CertificateChain=pem("two")["Certificate"])
    refused("a stranger's chain", lambda: acm.import_certificate(**chained), "ValidationException")
    tagged = dict(pem("two"), CertificateArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    refused("tags on an import anew", lambda: acm.import_certificate(**tagged), "ValidationException")
    refused("anew what is not there", lambda: acm.import_certificate(CertificateArn=GONE, **pem("one")), "ResourceNotFoundException")
    for call in (acm.describe_certificate, acm.get_certificate, acm.delete_certificate, acm.list_tags_for_certificate):
        refused("what is not there", lambda: call(CertificateArn=GONE), "ResourceNotFoundException", message="Could not find certificate %s." % GONE)
    refused("no ARN", lambda: acm.describe_certificate(CertificateArn="x" * 20), "ValidationException")
    other = "arn:aws:acm:%s:000000000000:authority/x" % AIM.region
    refused("no certificate's ARN", lambda: acm.describe_certificate(CertificateArn=other), "InvalidArnException")
    many = [{"Key": "k%d" % n, "Value": "v"} for n in range(50)]
    refused("too many tags", lambda: acm.add_tags_to_certificate(CertificateArn=arn, Tags=many), "TooManyTagsException")
    aws = [{"Key": "aws:x", "Value": "v"}]
    refused("a tag of AWS's", lambda: acm.add_tags_to_certificate(CertificateArn=arn, Tags=aws), "InvalidTagException")
    refused("an order without a field", lambda: acm.list_certificates(SortOrder="ASCENDING"), "InvalidArgsException")


def requested(acm, elb):
    listener = {"Protocol": "HTTP", "LoadBalancerPort": PORT, "InstancePort": AIM.instance_port}
    elb.create_load_balancer(LoadBalancerName=NAME, Listeners=[listener], AvailabilityZones=[A])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    name = "%s.%s" % (NAME.lower(), DOMAIN)
    how = dict(DomainName=name, ValidationMethod="HTTP", IdempotencyToken="walk", Tags=[{"Key": "team", "Value": "web"}])
    arn = acm.request_certificate(**how)["CertificateArn"]
    judge.at_end(lambda: acm.delete_certificate(CertificateArn=arn) if exists(acm, arn) else None)
    expect("the same token, the same request", acm.request_certificate(**how)["CertificateArn"], arn)
    acm.get_waiter("certificate_validated").wait(CertificateArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    plain = {key: got.get(key) for key in ("DomainName", "SubjectAlternativeNames", "Status", "Type", "KeyAlgorithm", "RenewalEligibility")}
    expect("what came of the request", plain, {
        "DomainName": name, "SubjectAlternativeNames": [name], "Status": "ISSUED", "Type": "AMAZON_ISSUED",
        "KeyAlgorithm": "EC-prime256v1", "RenewalEligibility": "ELIGIBLE",
    })  # fmt: skip
    promise("when it was issued", "ImportedAt" not in got and got["IssuedAt"] >= got["CreatedAt"], "IssuedAt", got)
    proved = [{"DomainName": name, "ValidationStatus": "SUCCESS", "ValidationMethod": "HTTP"}]
    expect("how it was proved", got["DomainValidationOptions"], proved)
    promise("with its chain", acm.get_certificate(CertificateArn=arn)["CertificateChain"].startswith("-----BEGIN"), "a chain", None)
    acm.renew_certificate(CertificateArn=arn)
    renewed = until("it is renewed", lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"], lambda now: now["Serial"] != got["Serial"])
    expect("the renewal", renewed["RenewalSummary"]["RenewalStatus"], "SUCCESS")
    refused("by mail", lambda: acm.request_certificate(DomainName=name, ValidationMethod="EMAIL"), "InvalidParameterException")
    refused("all names", lambda: acm.request_certificate(DomainName="*." + name), "InvalidParameterException")
    refused("renewed what is not there", lambda: acm.renew_certificate(CertificateArn=GONE), "ResourceNotFoundException")
    elb.delete_load_balancer(LoadBalancerName=NAME)
    acm.delete_certificate(CertificateArn=arn)


judge.judge(main)
