"""Judges as an instance: boto3 finds its keys by the metadata service alone, boto 2.49 reads the tree, and with these keys the instance
takes itself in and out of service and can do nothing else.

Must never look into the daemon; what an instance knows is EVENKEEL_METADATA (its `AWS_EC2_METADATA_SERVICE_ENDPOINT`), EVENKEEL_SELF and
EVENKEEL_OTHER, the ids of itself and of another instance, and EVENKEEL_BALANCER.
"""

import os

import judge
from judge import expect, expect_has, promise, refused

PLACE, SELF, OTHER, BALANCER = (os.environ["EVENKEEL_" + name] for name in ("METADATA", "SELF", "OTHER", "BALANCER"))
AIM = judge.enter()
judge.aim_modern(AIM)
# An instance has no keys but what it is told.
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
    os.environ.pop(name, None)
os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = PLACE

import boto3  # noqa: E402  after its surroundings stand
import boto.utils  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402


def main():
    found = boto3.Session().get_credentials()
    expect("where boto3 found keys", found.method, "iam-role")
    who = boto3.client("sts").get_caller_identity()
    promise("who it is", who["Arn"].endswith(":assumed-role/evenkeel-instance/" + SELF), SELF, who["Arn"])
    told = boto.utils.get_instance_metadata(version="latest", url=PLACE, timeout=5, num_retries=1)
    expect("boto 2 reads its id", told["instance-id"], SELF)
    expect("boto 2 reads its zone", told["placement"]["availability-zone"], AIM.zones[0])
    keys = told["iam"]["security-credentials"]["evenkeel-instance"]
    expect("boto 2 reads its keys", sorted(set(keys) & {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}),
           ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"])  # fmt: skip
    elb = boto3.client("elb")
    names = [lb["LoadBalancerName"] for lb in elb.describe_load_balancers()["LoadBalancerDescriptions"]]
    expect_has("it sees the balancer", names, BALANCER)
    registered = elb.register_instances_with_load_balancer(LoadBalancerName=BALANCER, Instances=[{"InstanceId": SELF}])["Instances"]
    expect("it registers itself", registered, [{"InstanceId": SELF}])
    other = [{"InstanceId": OTHER}]
    refused("another", lambda: elb.register_instances_with_load_balancer(LoadBalancerName=BALANCER, Instances=other), "AccessDenied", 403)
    refused("the balancer's end", lambda: elb.delete_load_balancer(LoadBalancerName=BALANCER), "AccessDenied", 403)
    end = lambda: boto3.client("ec2").terminate_instances(InstanceIds=[OTHER])  # noqa: E731
    refused("another's end", end, "UnauthorizedOperation", 403)
    left = elb.deregister_instances_from_load_balancer(LoadBalancerName=BALANCER, Instances=[{"InstanceId": SELF}])["Instances"]
    expect("it deregisters itself", left, [])
    stolen = boto3.client("elb", aws_access_key_id=found.access_key, aws_secret_access_key=found.secret_key)
    try:
        stolen.describe_load_balancers()
    except ClientError as error:
        expect("the keys without their token", error.response["Error"]["Code"], "InvalidClientTokenId")
    else:
        promise("the keys without their token are nobody's", False, "InvalidClientTokenId", "an answer")


judge.judge(main)
