"""Judges the JSON 1.0, JSON 1.1 and CBOR codecs with botocore's own: the Classic API by its model, whose protocol is stated otherwise.

Must never judge what a call does; the query protocol's scenarios do (`boto3_walk.py`, where the reader goes next).
"""

import datetime
import gzip
import json

import judge
from judge import expect, promise, refused

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand
import botocore  # noqa: E402
from botocore.config import Config  # noqa: E402

NAME = AIM.name
SHAPE = "ElasticLoadBalancing_v7"
FORMS = {
    "elb-json-1-0": {"protocol": "json", "jsonVersion": "1.0", "targetPrefix": SHAPE},
    "elb-json-1-1": {"protocol": "json", "jsonVersion": "1.1", "targetPrefix": SHAPE},
    "elb-cbor": {"protocol": "smithy-rpc-v2-cbor", "targetPrefix": SHAPE},
}
KINDS = {"json": "application/x-amz-json-", "smithy-rpc-v2-cbor": "application/cbor"}


def main():
    for service, metadata in FORMS.items():
        model(service, metadata)
    # Paths are looked through once, so this comes after the models are there.
    boto3.setup_default_session()
    loader = boto3.DEFAULT_SESSION._session.get_component("data_loader")
    loader.search_paths.insert(0, str(AIM.home / "models"))
    query = boto3.client("elb")
    for service, metadata in FORMS.items():
        client = boto3.client(service, config=Config(parameter_validation=False))
        client.meta.events.register("after-call.*.*", lambda http_response, metadata=metadata, **_: kind(http_response, metadata))
        walk(service, client, query)
        refusals(service, client, query)
    compressed(query)


def model(service, metadata):
    """A copy of the Classic API's model that says it is spoken in another protocol."""
    into = AIM.home / "models" / service / "2012-06-01"
    into.mkdir(parents=True)
    data = botocore.session.get_session().get_component("data_loader").BUILTIN_DATA_PATH
    for file in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        path = "%s/elb/2012-06-01/%s.json" % (data, file)
        try:
            text = gzip.open(path + ".gz").read()
        except FileNotFoundError:
            text = open(path, "rb").read()
        content = json.loads(text)
        if file == "service-2":
            content["metadata"].update(metadata, protocols=[metadata["protocol"]])
        (into / (file + ".json")).write_text(json.dumps(content))


def kind(response, metadata):
    got = response.headers.get("content-type", "")
    wanted = KINDS[metadata["protocol"]] + metadata.get("jsonVersion", "")
    if got != wanted:
        promise("answered in the caller's protocol", False, wanted, got)
    if metadata["protocol"] != "json" and response.headers.get("smithy-protocol") != "rpc-v2-cbor":
        promise("answered with smithy-protocol", False, "rpc-v2-cbor", response.headers.get("smithy-protocol"))


def bare(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def walk(service, client, query):
    say = lambda what: "%s: %s" % (service, what)
    listener = {"Protocol": "tcp", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
    made = client.create_load_balancer(
        LoadBalancerName=NAME, Listeners=[listener], AvailabilityZones=AIM.zones[:2], Tags=[{"Key": "ä", "Value": "€ 😀"}, {"Key": "b"}]
    )
    judge.at_end(lambda: query.delete_load_balancer(LoadBalancerName=NAME))
    named = {"LoadBalancerNames": [NAME]}
    got, same = client.describe_load_balancers(**named), query.describe_load_balancers(**named)
    expect(say("described as in the query protocol"), bare(got), bare(same))
    shown = got["LoadBalancerDescriptions"][0]
    expect(say("its name"), shown["DNSName"], made["DNSName"])
    promise(say("a time is a time"), isinstance(shown["CreatedTime"], datetime.datetime), "a datetime", shown["CreatedTime"])
    promise(say("a request id"), bool(got["ResponseMetadata"].get("RequestId")), "one", got["ResponseMetadata"])
    check = {"Target": "TCP:%d" % AIM.instance_port, "Interval": 6, "Timeout": 5, "UnhealthyThreshold": 2, "HealthyThreshold": 3}
    expect(say("a health check"), client.configure_health_check(LoadBalancerName=NAME, HealthCheck=check)["HealthCheck"], check)
    expect(say("tags"), bare(client.describe_tags(**named)), bare(query.describe_tags(**named)))
    wanted = {"AccessLog": {"Enabled": False}, "ConnectionSettings": {"IdleTimeout": 33}, "CrossZoneLoadBalancing": {"Enabled": True}}
    client.modify_load_balancer_attributes(LoadBalancerName=NAME, LoadBalancerAttributes=wanted)
    got = client.describe_load_balancer_attributes(LoadBalancerName=NAME)
    expect(say("attributes"), bare(got), bare(query.describe_load_balancer_attributes(LoadBalancerName=NAME)))
    expect(say("a number"), got["LoadBalancerAttributes"]["ConnectionSettings"]["IdleTimeout"], 33)
    client.create_load_balancer_policy(LoadBalancerName=NAME, PolicyName="p", PolicyTypeName="ProxyProtocolPolicyType",
        PolicyAttributes=[{"AttributeName": "ProxyProtocol", "AttributeValue": "true"}])  # fmt: skip
    client.set_load_balancer_policies_for_backend_server(LoadBalancerName=NAME, InstancePort=AIM.instance_port, PolicyNames=["p"])
    got = client.describe_load_balancer_policies(LoadBalancerName=NAME)
    expect(say("policies"), bare(got), bare(query.describe_load_balancer_policies(LoadBalancerName=NAME)))
    client.set_load_balancer_policies_for_backend_server(LoadBalancerName=NAME, InstancePort=AIM.instance_port, PolicyNames=[])
    backends = query.describe_load_balancers(**named)["LoadBalancerDescriptions"][0]["BackendServerDescriptions"]
    expect(say("an empty list empties"), [backend for backend in backends if backend["PolicyNames"]], [])
    pages = client.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    names = [lb["LoadBalancerName"] for page in pages for lb in page["LoadBalancerDescriptions"]]
    promise(say("pages"), NAME in names, "%s among them" % NAME, names)
    client.delete_load_balancer(LoadBalancerName=NAME)
    client.delete_load_balancer(LoadBalancerName=NAME)


def refusals(service, client, query):
    say = lambda what: "%s: %s" % (service, what)
    gone = lambda who: who.describe_load_balancers(LoadBalancerNames=["gone"])
    got = refused(say("what is not there"), lambda: gone(client), "LoadBalancerNotFound")
    same = refused("query: what is not there", lambda: gone(query), "LoadBalancerNotFound")
    expect(say("in the same words"), got.message, same.message)
    refused(say("a field that must be there"), lambda: client.delete_load_balancer(), "ValidationError")
    conflict = lambda: client.create_load_balancer(LoadBalancerName="x", Listeners=[], AvailabilityZones=["nowhere"])
    refused(say("a bad value"), conflict, "ValidationError")
    stranger = boto3.client(service, aws_access_key_id=AIM.key, aws_secret_access_key="wrong", config=Config(parameter_validation=False))
    refused(say("another's secret"), lambda: gone(stranger), "SignatureDoesNotMatch")


def compressed(query):
    """botocore compresses what is long enough, where a model says that it may; here every request does."""

    def squeeze(request, **_):
        request.data = gzip.compress(request.body if isinstance(request.body, bytes) else request.body.encode())
        request.headers["Content-Encoding"] = "gzip"
        del request.headers["Content-Length"]

    client = boto3.client("elb")
    client.meta.events.register_first("before-sign.*.*", squeeze)
    expect("in gzip", bare(client.describe_load_balancers()), bare(query.describe_load_balancers()))


judge.judge(main)
