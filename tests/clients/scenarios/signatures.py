"""Judges the wire itself: signatures made here by hand, so that one thing at a time can be wrong, and both error envelopes.

Must never import an AWS library: a signer that shares the clients' code would share their faults. Reader goes next to
`awscli_walk.py`.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import re
import socket
import time
from types import SimpleNamespace
from urllib.parse import quote

import judge
from judge import expect, expect_in, expect_match, promise

AIM = judge.enter()
ELB, EC2, STS = "2012-06-01", "2016-11-15", "2011-06-15"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
LIST = {"Action": "DescribeLoadBalancers", "Version": ELB}


def main():
    granted()
    scopes_and_hosts()
    refused_signatures()
    injected()
    presigned()
    version_2()
    clocks()
    unknown_actions()
    envelopes()
    bounds()


def encode(parameters):
    return "&".join("%s=%s" % (quote(str(k), safe="-_.~"), quote(str(v), safe="-_.~")) for k, v in sorted(parameters.items()))


def chain(secret, *words):
    key = ("AWS4" + secret).encode()
    for word in words:
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key


def signed(method, parameters, *, host=None, scope=None, key=None, secret=None, late=datetime.timedelta(0), comma=", "):
    """One signed request as (method, target, headers, body): the parts a test then bends."""
    host = host or "%s:%d" % (AIM.host, AIM.api_port)
    now = datetime.datetime.now(datetime.timezone.utc) - late
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    region, service = scope or (AIM.region, "elasticloadbalancing")
    query, body = (encode(parameters), "") if method == "GET" else ("", encode(parameters))
    headers = {"host": host, "x-amz-date": stamp}
    if method == "POST":
        headers["content-type"] = FORM
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [method, "/", query, *("%s:%s" % (name, headers[name]) for name in sorted(headers)), "", names]
        + [hashlib.sha256(body.encode()).hexdigest()]
    )
    scope_text = "/".join([stamp[:8], region, service, "aws4_request"])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope_text, hashlib.sha256(canonical.encode()).hexdigest()])
    signing = chain(secret or AIM.secret, stamp[:8], region, service, "aws4_request")
    signature = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
    fields = ("Credential=%s/%s" % (key or AIM.key, scope_text), "SignedHeaders=" + names, "Signature=" + signature)
    headers["Authorization"] = "AWS4-HMAC-SHA256 " + comma.join(fields)
    return method, "/" + ("?" + query if query else ""), headers, body


def send(method, target, headers, body):
    connection = http.client.HTTPConnection(AIM.host, AIM.api_port, timeout=20)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    code = re.search(r"<Code>([^<]*)</Code>", text)
    return SimpleNamespace(status=answer.status, code=code and code.group(1), text=text, headers=dict(answer.getheaders()))


def ask(method, parameters, **how):
    return send(*signed(method, parameters, **how))


def expect_granted(what, answer, element="DescribeLoadBalancersResult"):
    seen = "HTTP %d\n%s" % (answer.status, answer.text)
    promise(what, answer.status == 200 and "<%s" % element in answer.text, "HTTP 200 with <%s>" % element, seen)


def expect_refused(what, answer, status, code):
    codes = code if isinstance(code, tuple) else (code,)
    seen = "HTTP %d, %s\n%s" % (answer.status, answer.code, answer.text)
    promise(what, answer.status == status and answer.code in codes, "HTTP %d, %s" % (status, " or ".join(codes)), seen)


def granted():
    for method in ("GET", "POST"):
        expect_granted("a signed %s" % method, ask(method, LIST))
        expect_granted(
            "a signed %s to STS" % method,
            ask(method, {"Action": "GetCallerIdentity", "Version": STS}, scope=(AIM.region, "sts")),
            "Account",
        )
        for version in (EC2, "2014-10-01", "2010-08-31"):
            answer = ask(method, {"Action": "DescribeInstances", "Version": version}, scope=(AIM.region, "ec2"))
            expect_granted("a signed %s to EC2 of %s" % (method, version), answer, "DescribeInstancesResponse")
            judge.expect_has("its namespace is of that version", answer.text, "http://ec2.amazonaws.com/doc/%s/" % version)
    expect_granted("boto 2's commas, without a space", ask("GET", LIST, comma=","))
    expect_granted("names and values that need escapes", ask("GET", LIST | {"Odd name/": "a+b c&d=é*'%~"}))


def scopes_and_hosts():
    for scope in (("127", "0"), ("localhost", "localhost"), ("us-east-1", "ec2"), ("moon-1", "lunch")):
        expect_granted("the scope %s/%s" % (scope[1], scope[0]), ask("GET", LIST, scope=scope))
    for host in ("elasticloadbalancing.us-east-1.amazonaws.com", "ec2.us-east-1.amazonaws.com", "example.test:1234"):
        expect_granted("the host %s" % host, ask("POST", LIST, host=host))
        method, target, headers, body = signed("GET", LIST, host=host)
        expect_granted("the same in absolute form", send(method, "http://%s%s" % (host, target), headers, body))


def refused_signatures():
    other = "AKIANOBODYKNOWSTHIS0"
    for method in ("GET", "POST"):
        expect_refused("%s: a wrong secret" % method, ask(method, LIST, secret=AIM.secret + "x"), 403, "SignatureDoesNotMatch")
        expect_refused("%s: an unknown key" % method, ask(method, LIST, key=other), 403, "InvalidClientTokenId")
        method, target, headers, body = signed(method, LIST)
        del headers["Authorization"]
        expect_refused("%s: no signature" % method, send(method, target, headers, body), 403, "MissingAuthenticationToken")
    # EC2 has words of its own for the first two.
    describe = {"Action": "DescribeInstances", "Version": EC2}
    answer = ask("POST", describe, secret=AIM.secret + "x", scope=(AIM.region, "ec2"))
    expect_in("EC2: a wrong secret", (answer.status, answer.code), [(403, "SignatureDoesNotMatch"), (401, "AuthFailure")])
    answer = ask("POST", describe, key=other, scope=(AIM.region, "ec2"))
    expect_in("EC2: an unknown key", (answer.status, answer.code), [(403, "InvalidClientTokenId"), (401, "AuthFailure")])

    method, target, headers, body = signed("POST", LIST)
    tampered = body.replace("DescribeLoadBalancers", "DeleteLoadBalancer") + "&LoadBalancerName=x"
    expect_refused("a body changed after signing", send(method, target, headers, tampered), 403, "SignatureDoesNotMatch")
    expect_refused("a query added after signing", send(method, target + "?Marker=x", headers, body), 403, "SignatureDoesNotMatch")
    expect_refused(
        "a host changed after signing",
        send(method, target, headers | {"host": "example.test"}, body),
        403,
        "SignatureDoesNotMatch",
    )
    method, target, headers, body = signed("GET", LIST)
    expect_refused(
        "a parameter added after signing", send(method, target + "&PageSize=1", headers, body), 403, "SignatureDoesNotMatch"
    )
    good = headers["Authorization"]
    for what, value in (
        ("no Signature field", good.split(", Signature")[0]),
        ("no SignedHeaders field", re.sub(r"SignedHeaders=[^,]*, ", "", good)),
        ("no Credential field", re.sub(r"Credential=[^,]*, ", "", good)),
        ("a scope of two words", re.sub(r"Credential=[^,]*", "Credential=%s/20260101" % AIM.key, good)),
        ("nothing but the algorithm", "AWS4-HMAC-SHA256"),
    ):
        answer = send(method, target, headers | {"Authorization": value}, body)
        expect_refused("an Authorization with %s" % what, answer, 400, "IncompleteSignature")
    answer = send(method, target, headers | {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}, body)
    expect_in(
        "an Authorization of another kind",
        (answer.status, answer.code),
        [(400, "IncompleteSignature"), (403, "MissingAuthenticationToken")],
    )
    answer = send(method, target, {name: value for name, value in headers.items() if name != "x-amz-date"}, body)
    expect_in("no date", (answer.status, answer.code), [(400, "IncompleteSignature"), (403, "SignatureDoesNotMatch")])


def injected():
    """Headers that decide what a request means, put there by somebody on the way: not signed, so not believed."""
    for name, value in (
        ("X-Amz-Target", "ElasticLoadBalancing_v7.DeleteLoadBalancer"), ("x-amz-anything", "1"),
        ("Content-Encoding", "gzip"), ("smithy-protocol", "rpc-v2-cbor"),
    ):  # fmt: skip
        method, target, headers, body = signed("POST", LIST)
        answer = send(method, target, headers | {name: value}, body)
        told = answer.code or re.search(r"#(\w+?Exception)", answer.text).group(1)
        expect_in("%s, not signed" % name, (answer.status, told), [(403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException")])
    method, target, headers, body = signed("GET", LIST)
    good = headers["Authorization"]
    for what, value in (
        ("two keys", good.replace("Credential=", "Credential=AKIANOBODY/20260101/a/b/aws4_request, Credential=")),
        ("two signatures", good + ", Signature=" + "0" * 64),
    ):
        answer = send(method, target, headers | {"Authorization": value}, body)
        expect_refused("an Authorization with %s" % what, answer, 400, "IncompleteSignature")
    answer = send(method, target + "&X-Amz-Algorithm=AWS4-HMAC-SHA256", headers, body)
    expect_refused("a signature in the header and one in the query", answer, 400, "IncompleteSignature")
    day = re.search(r"/(\d{8})/", good).group(1)
    for what, old, new in (
        ("day", "/%s/" % day, "/20200101/"), ("region", "/%s/" % AIM.region, "/moon-1/"), ("service", "/elasticloadbalancing/", "/ec2/"),
    ):  # fmt: skip
        foreign = send(method, target, headers | {"Authorization": good.replace(old, new)}, body)
        expect_refused("a scope with another %s than it was signed for" % what, foreign, 403, "SignatureDoesNotMatch")
    foreign = good.replace("/aws4_request", "/aws5_request")
    expect_refused("a foreign terminator", send(method, target, headers | {"Authorization": foreign}, body), 403, "SignatureDoesNotMatch")


def presign(parameters, seconds, late=datetime.timedelta(0)):
    """The target of a presigned GET."""
    stamp = (datetime.datetime.now(datetime.timezone.utc) - late).strftime("%Y%m%dT%H%M%SZ")
    scope = "/".join([stamp[:8], AIM.region, "elasticloadbalancing", "aws4_request"])
    query = encode(parameters | {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "%s/%s" % (AIM.key, scope), "X-Amz-Date": stamp,
        "X-Amz-Expires": seconds, "X-Amz-SignedHeaders": "host",
    })  # fmt: skip
    host = "%s:%d" % (AIM.host, AIM.api_port)
    canonical = "\n".join(["GET", "/", query, "host:" + host, "", "host", hashlib.sha256(b"").hexdigest()])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = chain(AIM.secret, stamp[:8], AIM.region, "elasticloadbalancing", "aws4_request")
    return "/?%s&X-Amz-Signature=%s" % (query, hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()), {"host": host}


def presigned():
    target, headers = presign(LIST, 600)
    get = lambda target: send("GET", target, headers, "")
    expect_granted("a presigned URL", get(target))
    expect_granted("and once more within its life, as in AWS", get(target))
    expect_refused("with a parameter added", get(target + "&PageSize=1"), 403, "SignatureDoesNotMatch")
    expect_refused("with another action", get(target.replace("DescribeLoad", "DeleteLoad")), 403, "SignatureDoesNotMatch")
    expect_refused("with a longer life", get(target.replace("Expires=600", "Expires=601")), 403, "SignatureDoesNotMatch")
    expect_refused("with two signatures", get(target + "&X-Amz-Signature=" + "0" * 64), 400, "IncompleteSignature")
    expect_refused("for longer than a week", get(presign(LIST, 604801)[0]), 400, "IncompleteSignature")
    late = datetime.timedelta(seconds=120)
    expect_granted("two minutes into ten", get(presign(LIST, 600, late)[0]))
    expect_refused("replayed after its life", get(presign(LIST, 100, late)[0]), 403, "SignatureDoesNotMatch")


def version_2():
    """As boto signed before 2014: over the parameters, the host without its port."""

    def old(method, parameters, *, digest="sha256", secret=None, late=datetime.timedelta(0), host=AIM.host):
        stamp = (datetime.datetime.now(datetime.timezone.utc) - late).strftime("%Y-%m-%dT%H:%M:%S")
        stated = {"AWSAccessKeyId": AIM.key, "SignatureVersion": "2", "SignatureMethod": "Hmac" + digest.upper(), "Timestamp": stamp}
        query = encode(parameters | stated)
        text = "\n".join([method, host, "/", query])
        tag = base64.b64encode(hmac.new((secret or AIM.secret).encode(), text.encode(), digest).digest()).decode()
        whole = "%s&Signature=%s" % (query, quote(tag, safe=""))
        headers = {"host": "%s:%d" % (AIM.host, AIM.api_port)}
        return (method, "/?" + whole, headers, "") if method == "GET" else (method, "/", headers | {"content-type": FORM}, whole)

    for method in ("GET", "POST"):
        for digest in ("sha1", "sha256"):
            expect_granted("version 2: %s with %s" % (method, digest), send(*old(method, LIST, digest=digest)))
        expect_granted("version 2: %s over the port as well" % method, send(*old(method, LIST, host="%s:%d" % (AIM.host, AIM.api_port))))
        expect_refused("version 2: %s with a wrong secret" % method, send(*old(method, LIST, secret="x")), 403, "SignatureDoesNotMatch")
        hour = datetime.timedelta(hours=1)
        expect_refused("version 2: %s of an hour ago" % method, send(*old(method, LIST, late=hour)), 400, "RequestExpired")
    describe = {"Action": "DescribeInstances", "Version": "2011-01-01"}
    expect_granted("version 2: EC2", send(*old("GET", describe)), "DescribeInstancesResponse")
    method, target, headers, body = old("GET", LIST)
    expect_refused("version 2: a parameter added", send(method, target + "&PageSize=1", headers, body), 403, "SignatureDoesNotMatch")
    expect_refused("version 2: a parameter twice", send(method, target + "&Action=x", headers, body), 400, "IncompleteSignature")


def clocks():
    minute = datetime.timedelta(minutes=1)
    for late in (4 * minute, -4 * minute):
        expect_granted("a clock %s from ours" % late, ask("GET", LIST, late=late))
    for late in (6 * minute, -6 * minute, datetime.timedelta(days=1), datetime.timedelta(days=-400)):
        answer = ask("GET", LIST, late=late)
        expect_in(
            "a clock %s from ours" % late, (answer.status, answer.code), [(400, "RequestExpired"), (403, "SignatureDoesNotMatch")]
        )


def unknown_actions():
    for method in ("GET", "POST"):
        for version, service in ((ELB, "elasticloadbalancing"), (EC2, "ec2"), (STS, "sts")):
            answer = ask(method, {"Action": "Fly", "Version": version}, scope=(AIM.region, service))
            expect_refused("%s of an unknown action of %s" % (method, service), answer, 400, "InvalidAction")
        answer = ask(method, {"Version": ELB})
        expect_refused("%s without an action" % method, answer, 400, "MissingAction")
    answer = ask("POST", {"Action": "DescribeLoadBalancers", "Version": ELB, "SomethingNew": "1"})
    expect_granted("a parameter nobody knows", answer)
    expect_refused("an action in the wrong case", ask("POST", LIST | {"Action": "describeloadbalancers"}), 400, "InvalidAction")


def envelopes():
    answer = ask("GET", {"Action": "DescribeLoadBalancers", "Version": ELB, "LoadBalancerNames.member.1": "<nobody> & co"})
    shape = r"(?s)(<\?xml[^>]*\?>\s*)?<ErrorResponse( xmlns=\"[^\"]+\")?>\s*<Error>\s*<Type>Sender</Type>\s*<Code>LoadBalancerNotFound</Code>\s*"
    shape += r"<Message>[^<]+</Message>\s*</Error>\s*<RequestId>[^<]+</RequestId>\s*</ErrorResponse>\s*"
    expect_match("ELB's error envelope", answer.text, shape)
    judge.expect_has("what was asked is escaped", answer.text, "&lt;nobody&gt; &amp; co")
    expect_match("an error is XML", type_of(answer), r"(text|application)/xml.*")
    ask_ec2 = {"Action": "DescribeInstances", "Version": EC2, "InstanceId.1": "i-0123456789abcdef0"}
    shape = r"(?s)(<\?xml[^>]*\?>\s*)?<Response( xmlns=\"[^\"]+\")?>\s*<Errors>\s*<Error>\s*<Code>InvalidInstanceID.NotFound</Code>\s*<Message>[^<]+</Message>\s*"
    shape += r"</Error>\s*</Errors>\s*<RequestID>[^<]+</RequestID>\s*</Response>\s*"
    expect_match("EC2's error envelope", ask("POST", ask_ec2, scope=(AIM.region, "ec2")).text, shape)
    answer = ask("POST", {"Action": "DeleteLoadBalancer", "Version": ELB, "LoadBalancerName": AIM.name + "-not"})
    shape = r"(?s)(<\?xml[^>]*\?>\s*)?<DeleteLoadBalancerResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/\">\s*"
    shape += r"<DeleteLoadBalancerResult\s*(/>|>\s*</DeleteLoadBalancerResult>)\s*"
    shape += r"<ResponseMetadata>\s*<RequestId>[^<]+</RequestId>\s*</ResponseMetadata>\s*</DeleteLoadBalancerResponse>\s*"
    expect_match("ELB's envelope of an empty result", answer.text, shape)
    expect("its status", answer.status, 200)
    expect_match("a result is XML", type_of(answer), r"(text|application)/xml.*")
    # boto 2's SAX reader sees nothing behind a prefix.
    promise("no prefixed element", not re.search(r"</?\w+:", answer.text), "plain element names", answer.text)


def type_of(answer):
    return next((value for name, value in answer.headers.items() if name.lower() == "content-type"), None)


def bounds():
    """What no client sends: each must be answered or cut off soon, and leave the daemon answering others."""
    # boto 2 sends everything by GET: hundreds of instances make a request line of tens of KiB.
    long = signed("GET", LIST | {"LoadBalancerNames.member.%d" % n: "balancer-%023d" % n for n in range(1, 1000)})
    answer = send(*long)
    expect_in(
        "a request line of %d KiB is read" % (len(long[1]) >> 10),
        (answer.status, answer.code),
        [(400, "LoadBalancerNotFound"), (400, "ValidationError")],
    )
    for what, head in (
        (
            "a body of 100 GB announced",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100000000000\r\n\r\n" % FORM,
        ),
        ("two different lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        ("a length that is no number", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        ("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
        ("a header without end", "GET / HTTP/1.1\r\nHost: x\r\nX: %s" % ("y" * (2 << 20))),
    ):
        status = raw(head.encode("latin-1"))
        promise(
            "%s: refused or cut off" % what, status is None or 400 <= status < 500, "a 4xx or the end of the connection", status
        )
        expect_granted("others are served after it", ask("GET", LIST))


def raw(text, seconds=20):
    """The status answered to these bytes; None if the connection was cut; 0 if neither came in time."""
    deadline = time.monotonic() + seconds
    with socket.create_connection((AIM.host, AIM.api_port), timeout=seconds) as connection:
        got = b""
        try:
            connection.sendall(text)
        except (ConnectionError, socket.timeout):
            pass  # an answer may be there all the same
        try:
            while b"\r\n" not in got:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                more = connection.recv(4096)
                if not more:
                    return None
                got += more
        except ConnectionError:
            return None
        except socket.timeout:
            return 0
    status = re.match(rb"HTTP/1\.[01] (\d{3})", got)
    return int(status.group(1)) if status else -1


judge.judge(main)
