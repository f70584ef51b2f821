"""Judges with boto3 and boto 2.49 that users, access keys and policies are AWS's, and that they hold: a user with few rights gets as far
as its policies say, in every API, and no further.

Must never test the policy language beyond what is seen from a client; the daemon's own tests do. Reader goes next to `boto3_acm.py`.
"""

import json
import time

import judge
from judge import expect, expect_match, promise, refused
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand
from botocore.exceptions import ClientError  # noqa: E402

A = AIM.zones[0]
NAME, PORT = AIM.name, AIM.port
READ_ONLY = "arn:aws:iam::aws:policy/ElasticLoadBalancingReadOnly"
PATH = "/walk/"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resource="*", **more):
    return dict({"Effect": "Allow", "Action": actions, "Resource": resource}, **more)


def main():
    iam, elb = boto3.client("iam"), boto3.client("elb")
    watched = Watched(iam)
    who_is_root(iam)
    user = made(iam)
    key = keyed(iam, user)
    limited(iam, elb, user, key)
    shared(iam, elb, user, key)
    tried_out(iam, user)
    itself(iam, user, key)
    in_boto2(key)
    switched(iam, user, key)
    ended(iam, user, key)
    expect("every answer is as modelled", watched.wrong, [])
    expect("calls that are served and were not made", sorted(SERVED - watched.called), [])


SERVED = set(
    "CreateUser GetUser ListUsers UpdateUser DeleteUser TagUser UntagUser ListUserTags ListGroupsForUser CreateAccessKey ListAccessKeys "
    "UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy "
    "AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies CreatePolicy GetPolicy ListPolicies DeletePolicy CreatePolicyVersion "
    "GetPolicyVersion ListPolicyVersions SetDefaultPolicyVersion DeletePolicyVersion TagPolicy UntagPolicy ListPolicyTags "
    "ListEntitiesForPolicy SimulatePrincipalPolicy SimulateCustomPolicy".split()
)


def client(service, key):
    return boto3.client(service, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


def who_is_root(iam):
    got = boto3.client("sts").get_caller_identity()
    expect_match("root's ARN", got["Arn"], r"arn:aws:iam::\d{12}:root")
    expect("root as a user", iam.get_user()["User"]["Arn"], got["Arn"])


def made(iam):
    name = NAME + "-ann"
    got = iam.create_user(UserName=name, Path=PATH, Tags=[{"Key": "team", "Value": "web"}])["User"]
    judge.at_end(lambda: removed(iam, name) if name in names(iam) else None)
    expect_match("a user's ARN", got["Arn"], r"arn:aws:iam::\d{12}:user%s%s" % (PATH, name))
    expect_match("a user's id", got["UserId"], r"AIDA[A-Z0-9]{17}")
    refused("the name is taken", lambda: iam.create_user(UserName=name.upper()), "EntityAlreadyExists", 409)
    iam.update_user(UserName=name, NewUserName=name + "a")
    iam.update_user(UserName=name + "a", NewUserName=name)
    iam.tag_user(UserName=name, Tags=[{"Key": "cost", "Value": "1"}])
    iam.untag_user(UserName=name, TagKeys=["team"])
    expect("tags", iam.list_user_tags(UserName=name)["Tags"], [{"Key": "cost", "Value": "1"}])
    expect("the same user", iam.get_user(UserName=name)["User"]["UserId"], got["UserId"])
    expect("groups", iam.list_groups_for_user(UserName=name)["Groups"], [])
    refused("nobody", lambda: iam.get_user(UserName="nobody"), "NoSuchEntity", 404, "The user with name nobody cannot be found.")
    return name


def names(iam):
    pages = iam.get_paginator("list_users").paginate(PathPrefix=PATH, PaginationConfig={"PageSize": 1})
    return [user["UserName"] for page in pages for user in page["Users"]]


def keyed(iam, user):
    key = iam.create_access_key(UserName=user)["AccessKey"]
    expect_match("an access key", key["AccessKeyId"], r"AKIA[A-Z2-7]{16}")
    expect("status", key["Status"], "Active")
    other = iam.create_access_key(UserName=user)["AccessKey"]
    refused("a third key", lambda: iam.create_access_key(UserName=user), "LimitExceeded", 409)
    iam.delete_access_key(UserName=user, AccessKeyId=other["AccessKeyId"])
    listed = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    expect("the keys", [one["AccessKeyId"] for one in listed], [key["AccessKeyId"]])
    expect("never used", iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"], "N/A")
    return key


def denied(what, call, action, code="AccessDenied", status=403):
    try:
        call()
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        expect(what, got, (code, status))
        promise(what + ": the action is named", action in str(error), action, str(error))
    else:
        promise(what, False, code, "it was done")


def limited(iam, elb, user, key):
    theirs, ec2, acm = client("elb", key), client("ec2", key), client("acm", key)
    expect("who it is", client("sts", key).get_caller_identity()["Arn"], iam.get_user(UserName=user)["User"]["Arn"])
    denied("no policy", lambda: theirs.describe_load_balancers(), "elasticloadbalancing:DescribeLoadBalancers")
    denied("in EC2", lambda: ec2.describe_instances(), "ec2:DescribeInstances", "UnauthorizedOperation")
    denied("in ACM", lambda: acm.list_certificates(), "acm:ListCertificates", "AccessDeniedException", 400)
    denied("in IAM", lambda: client("iam", key).list_users(), "iam:ListUsers")
    listeners = [{"Protocol": "HTTP", "LoadBalancerPort": PORT, "InstancePort": PORT}]
    own = "arn:aws:elasticloadbalancing:*:*:loadbalancer/" + NAME
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=policy(allow("elasticloadbalancing:*", own)))
    expect("the policy as it was", iam.get_user_policy(UserName=user, PolicyName="own")["PolicyDocument"],
           json.loads(policy(allow("elasticloadbalancing:*", own))))  # fmt: skip
    expect("its own policies", iam.list_user_policies(UserName=user)["PolicyNames"], ["own"])
    theirs.create_load_balancer(LoadBalancerName=NAME, Listeners=listeners, AvailabilityZones=[A])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=NAME))
    other = NAME + "-other"
    denied("another's balancer", lambda: theirs.delete_load_balancer(LoadBalancerName=other), "elasticloadbalancing:DeleteLoadBalancer")
    create = lambda: theirs.create_load_balancer(LoadBalancerName=other, Listeners=listeners, AvailabilityZones=[A])  # noqa: E731
    denied("another balancer", create, "elasticloadbalancing:CreateLoadBalancer")
    bad = lambda: iam.put_user_policy(UserName=user, PolicyName="bad", PolicyDocument='{"Statement": [{}]}')  # noqa: E731
    refused("no policy", bad, "MalformedPolicyDocument")
    iam.delete_user_policy(UserName=user, PolicyName="own")
    denied("without it", lambda: theirs.delete_load_balancer(LoadBalancerName=NAME), "elasticloadbalancing:DeleteLoadBalancer")


def shared(iam, elb, user, key):
    theirs = client("elb", key)
    iam.attach_user_policy(UserName=user, PolicyArn=READ_ONLY)
    expect("it may look", [lb["LoadBalancerName"] for lb in theirs.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"]],
           [NAME])  # fmt: skip
    denied("and only look", lambda: theirs.delete_load_balancer(LoadBalancerName=NAME), "elasticloadbalancing:DeleteLoadBalancer")
    made = iam.create_policy(PolicyName=NAME + "-delete", Path=PATH, PolicyDocument=policy(allow("elasticloadbalancing:Delete*")))["Policy"]
    arn = made["Arn"]
    judge.at_end(lambda: ended_policy(iam, user, arn))
    expect("it is nobody's yet", (made["DefaultVersionId"], made["AttachmentCount"]), ("v1", 0))
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["c"])
    expect("its tags", iam.list_policy_tags(PolicyArn=arn)["Tags"], [{"Key": "a", "Value": "b"}])
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    attached = [one["PolicyArn"] for one in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]]
    expect("what it goes by", sorted(attached), sorted([arn, READ_ONLY]))
    expect("who goes by it", [one["UserName"] for one in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]], [user])
    expect("it counts", iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"], 1)
    local = [one["Arn"] for one in iam.list_policies(Scope="Local", PathPrefix=PATH)["Policies"]]
    expect("it is listed", local, [arn])
    theirs.delete_load_balancer(LoadBalancerName=NAME)
    nothing = policy({"Effect": "Deny", "Action": "elasticloadbalancing:*", "Resource": "*"})
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=nothing, SetAsDefault=True)["PolicyVersion"]
    expect("the second version", (second["VersionId"], second["IsDefaultVersion"]), ("v2", True))
    denied("a denial beats what another policy allows", lambda: theirs.describe_load_balancers(), "explicit deny")
    expect("as it was", iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"], json.loads(nothing))
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    theirs.describe_load_balancers()
    refused("the default version", lambda: iam.delete_policy_version(PolicyArn=arn, VersionId="v1"), "DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    expect("versions", [one["VersionId"] for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]], ["v1"])
    refused("it is attached", lambda: iam.delete_policy(PolicyArn=arn), "DeleteConflict", 409)
    ended_policy(iam, user, arn)


def ended_policy(iam, user, arn):
    if arn not in [one["Arn"] for one in iam.list_policies(Scope="Local")["Policies"]]:
        return
    if user in names(iam):
        iam.detach_user_policy(UserName=user, PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)


def tried_out(iam, user):
    arn = iam.get_user(UserName=user)["User"]["Arn"]
    actions = ["elasticloadbalancing:DescribeTags", "elasticloadbalancing:DeleteLoadBalancer"]
    got = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions)["EvaluationResults"]
    expect("tried out", [(one["EvalActionName"], one["EvalDecision"]) for one in got], list(zip(actions, ["allowed", "implicitDeny"])))
    got = iam.simulate_custom_policy(PolicyInputList=[policy(allow("*"))], ActionNames=actions[1:])["EvaluationResults"]
    expect("a text tried out", [one["EvalDecision"] for one in got], ["allowed"])


def itself(iam, user, key):
    own = policy(allow(["iam:*AccessKey*", "iam:GetUser"], "arn:aws:iam::*:user/*/${aws:username}"))
    iam.put_user_policy(UserName=user, PolicyName="itself", PolicyDocument=own)
    theirs = client("iam", key)
    expect("itself", theirs.get_user()["User"]["UserName"], user)
    second = theirs.create_access_key()["AccessKey"]
    client("sts", second).get_caller_identity()
    theirs.delete_access_key(AccessKeyId=second["AccessKeyId"])
    denied("more rights", lambda: theirs.put_user_policy(UserName=user, PolicyName="x", PolicyDocument=own), "iam:PutUserPolicy")
    denied("another's keys", lambda: theirs.list_access_keys(UserName="root"), "iam:ListAccessKeys")


def in_boto2(key):
    """What its own error class makes of a denial."""
    import boto.ec2.elb
    import boto.exception
    from boto.regioninfo import RegionInfo

    host, port = AIM.endpoint.split("//")[1].split(":")
    region = RegionInfo(name=AIM.region, endpoint=host)
    connection = boto.ec2.elb.ELBConnection(key["AccessKeyId"], key["SecretAccessKey"], is_secure=False, port=int(port), region=region)
    expect("boto 2 may look", isinstance(connection.get_all_load_balancers(), list), True)
    try:
        connection.delete_load_balancer(NAME)
    except boto.exception.BotoServerError as error:
        expect("boto 2 is told", (error.status, error.error_code), (403, "AccessDenied"))
    else:
        promise("boto 2 is denied", False, "AccessDenied", "it was done")


def switched(iam, user, key):
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    expect("whose it is", used["UserName"], user)
    age = time.time() - used["AccessKeyLastUsed"]["LastUsedDate"].timestamp()
    promise("it was used just now", -60 < age < 600, "a minute or so", age)
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("it counts no more", lambda: client("sts", key).get_caller_identity(), "InvalidClientTokenId", 403)
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Active")
    client("sts", key).get_caller_identity()


def ended(iam, user, key):
    refused("it has keys", lambda: iam.delete_user(UserName=user), "DeleteConflict", 409)
    removed(iam, user)
    refused("its key is nobody's", lambda: client("sts", key).get_caller_identity(), "InvalidClientTokenId", 403)


def removed(iam, user):
    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    for name in iam.list_user_policies(UserName=user)["PolicyNames"]:
        iam.delete_user_policy(UserName=user, PolicyName=name)
    for one in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=user, PolicyArn=one["PolicyArn"])
    iam.delete_user(UserName=user)


judge.judge(main)
