"""Owns what every scenario needs: where the daemon is, how the real clients are run against it, what a broken promise is.

Must never know one API action or what any client prints; that is the scenarios' part. Reader goes next to
`boto_elbadmin.py`, the walk that all others vary.

Environment read: EVENKEEL_ENDPOINT, EVENKEEL_IMAGE, EVENKEEL_ZONES, EVENKEEL_PORT, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION (required); EVENKEEL_INSTANCE_PORT (default EVENKEEL_PORT: where the image's
application listens and answers 200 to GET /), EVENKEEL_PORT2 (default EVENKEEL_PORT + 1: a second listener port),
EVENKEEL_KEEP_GOING=1 (report every broken promise, not only the first).

Exit status: 0 all kept, 1 a promise is broken, 2 the scenario could not be run as asked.
"""

import atexit
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

VENV = Path(sys.prefix)
SCRIPT_LIMIT = 150  # seconds a client may take: an AWS CLI waiter polls every 15 s
REQUIRED = (
    "EVENKEEL_ENDPOINT", "EVENKEEL_IMAGE", "EVENKEEL_ZONES", "EVENKEEL_PORT",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
)  # fmt: skip
# What a developer's shell could put between a client and the daemon under judgement.
LEAKS = re.compile(r"^(AWS_|BOTO_|EC2_)|_proxy$", re.IGNORECASE)

broken = []
undo = []
spoken_last = []


class Broken(Exception):
    """A promise that was not kept; the text shows expected and got."""


# --- promises


def say(text):
    print(text, flush=True)


def shown(value):
    if isinstance(value, SimpleNamespace) and hasattr(value, "out"):
        value = "exit status %d\n%s%s" % (value.code, value.out, value.err)
    text = value if isinstance(value, str) else repr(value)
    return "\n".join("    | " + line for line in text.splitlines() or [""])


def promise(what, kept, expected, got):
    if kept:
        say("ok      %s" % what)
        return True
    text = "%s\n  expected:\n%s\n  got:\n%s" % (what, shown(expected), shown(got))
    if not os.environ.get("EVENKEEL_KEEP_GOING"):
        raise Broken(text)
    broken.append(what)
    say("BROKEN  %s" % text)
    return False


def expect(what, got, expected):
    return promise(what, got == expected, expected, got)


def expect_match(what, got, pattern):
    return promise(what, isinstance(got, str) and re.fullmatch(pattern, got), "a text like %s" % pattern, got)


def expect_in(what, got, allowed):
    return promise(what, got in allowed, "one of %r" % (allowed,), got)


def expect_has(what, whole, part):
    return promise(what, part in whole, "something that has %r" % (part,), whole)


def until(what, poll, good, seconds=40, every=0.2):
    """Polls until `good(value)`; returns that value. A value that never turns good is a broken promise."""
    deadline = time.monotonic() + seconds
    while True:
        value = poll()
        if good(value):
            say("ok      %s" % what)
            return value
        if time.monotonic() > deadline:
            promise("%s within %d s" % (what, seconds), False, "the state named; the last one seen is shown", value)
            return value
        time.sleep(every)


def refused(what, call, code, status=400, message=None):
    """`call` must be answered with this error. `code` and `status` may be tuples of what is allowed; `message` is a text or a pattern."""
    codes = code if isinstance(code, tuple) else (code,)
    statuses = status if isinstance(status, tuple) else (status,)
    try:
        value = call()
    except Exception as error:
        got = service_error(error)
        if got is None:
            raise
    else:
        return promise(what, False, "refused with %s, HTTP %s" % (" or ".join(codes), status), value)
    wanted = "%s, HTTP %s%s" % (
        " or ".join(codes),
        status,
        "" if message is None else ", message: %s" % getattr(message, "pattern", message),
    )
    fits = got.code in codes and got.status in statuses
    if message is not None:
        fits = fits and (message.fullmatch(got.message) if hasattr(message, "fullmatch") else message == got.message)
    promise(what, fits, wanted, "%s, HTTP %s, message: %s" % (got.code, got.status, got.message))
    return got


def service_error(error):
    """Code, status and message of a boto or botocore error; None for any other exception."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return SimpleNamespace(
            code=response["Error"].get("Code"),
            message=response["Error"].get("Message"),
            status=response["ResponseMetadata"]["HTTPStatusCode"],
            request_id=response["ResponseMetadata"].get("RequestId"),
        )
    if hasattr(error, "error_code") and hasattr(error, "status"):
        return SimpleNamespace(
            code=error.error_code, message=error.error_message, status=error.status, request_id=error.request_id
        )
    return None


def at_end(call, *arguments):
    """Runs `call` when the scenario ends, however it ends; last asked for runs first."""
    undo.append((call, arguments))


def judge(scenario):
    """Runs the scenario and leaves the process with its verdict."""
    verdict = 0
    try:
        scenario()
    except Broken as why:
        say("BROKEN  %s" % why)
        verdict = 1
    except Exception:
        traceback.print_exc(file=sys.stdout)
        say("BROKEN  a client failed where nothing should have been refused")
        verdict = 1
    while undo:
        call, arguments = undo.pop()
        try:
            call(*arguments)
        except Exception as why:
            say("note    cleaning up failed: %s" % why)
    if broken:
        say("BROKEN  %d promises:\n%s" % (len(broken), "\n".join("  - " + what for what in broken)))
        verdict = 1
    sys.exit(verdict)


# --- the daemon, and the clients' surroundings


def enter():
    """Reads the environment, then cleans it, so that no file or variable of the user's reaches a client."""
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        say("cannot judge: not set: %s" % ", ".join(missing))
        sys.exit(2)
    url = urlsplit(os.environ["EVENKEEL_ENDPOINT"])
    if url.scheme != "http" or not url.hostname or not url.port:
        say("cannot judge: EVENKEEL_ENDPOINT must look like http://127.0.0.1:7480")
        sys.exit(2)
    port = int(os.environ["EVENKEEL_PORT"])
    zones = sorted(zone for zone in os.environ["EVENKEEL_ZONES"].split(",") if zone)
    if len(zones) < 3:
        say("cannot judge: EVENKEEL_ZONES must name three zones")
        sys.exit(2)
    home = Path(tempfile.mkdtemp(prefix="evenkeel-client-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    aim = SimpleNamespace(
        endpoint=os.environ["EVENKEEL_ENDPOINT"].rstrip("/"),
        host=url.hostname,
        api_port=url.port,
        key=os.environ["AWS_ACCESS_KEY_ID"],
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_DEFAULT_REGION"],
        image=os.environ["EVENKEEL_IMAGE"],
        zones=zones,
        port=port,
        port2=int(os.environ.get("EVENKEEL_PORT2") or port + 1),
        instance_port=int(os.environ.get("EVENKEEL_INSTANCE_PORT") or port),
        home=home,
        # Names are this run's own, so that a scenario can also be aimed at a daemon that has other balancers.
        name="web-%d" % os.getpid(),
    )
    for name in [name for name in os.environ if LEAKS.search(name)]:
        del os.environ[name]
    os.environ.update(
        HOME=str(home),
        LC_ALL="C.UTF-8",
        PYTHONWARNINGS="ignore",
        AWS_ACCESS_KEY_ID=aim.key,
        AWS_SECRET_ACCESS_KEY=aim.secret,
        AWS_DEFAULT_REGION=aim.region,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_MAX_ATTEMPTS="1",
        AWS_CONFIG_FILE=str(home / "no-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(home / "no-credentials"),
    )
    return aim


def aim_boto_by_proxy(aim):
    """boto 2 in proxy mode: it dials the daemon and asks it for AWS's own host names. Call before `import boto`."""
    return boto_config(aim, "", "proxy = %s\nproxy_port = %d\n" % (aim.host, aim.api_port))


def aim_boto_directly(aim, regions):
    """boto 2 in direct mode: the daemon is every service's host, under each of these region names. Call before `import boto`."""
    endpoints = aim.home / "endpoints.json"
    hosts = {region: aim.host for region in regions}
    endpoints.write_text(json.dumps({"ec2": hosts, "elasticloadbalancing": hosts}))
    os.environ["BOTO_ENDPOINTS"] = str(endpoints)
    named = "".join("%s_region_endpoint = %s\n%s_region_name = %s\n" % (svc, aim.host, svc, aim.region) for svc in ("elb", "ec2"))
    return boto_config(aim, "[Credentials]\ns3_port = %d\n" % aim.api_port, named)


def boto_config(aim, credentials, boto):
    path = aim.home / "boto.cfg"
    # Default retries turn every 5xx into a wait of minutes.
    path.write_text("%s[Boto]\nis_secure = False\nnum_retries = 0\n%s" % (credentials, boto))
    os.environ["BOTO_CONFIG"] = str(path)
    return path


def aim_modern(aim):
    """boto3 and the AWS CLI, the way `evenkeel env` aims them."""
    os.environ["AWS_ENDPOINT_URL"] = aim.endpoint


def script(name, *arguments):
    """Runs one of boto's scripts: the lib2to3 copy where the stock one is Python 2."""
    converted = VENV / "converted" / name
    return client(sys.executable, converted if converted.exists() else VENV / "bin" / name, *arguments)


def client(*command):
    words = [str(word) for word in command]
    spoken = words[1:] if words[0] == sys.executable else words
    line = "run     %s" % " ".join(Path(word).name if word.startswith(str(VENV)) else word for word in spoken)
    if spoken_last[-1:] != [line]:  # a poll says once what it polls
        say(line)
    spoken_last[:] = [line]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", errors="replace", timeout=SCRIPT_LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Broken("%s ended within %d s" % (" ".join(words), SCRIPT_LIMIT)) from None
    return SimpleNamespace(out=done.stdout, err=done.stderr, code=done.returncode, words=words)


def expect_run(what, ran, out, code=0):
    """Exit status and the whole of stdout."""
    if ran.code != code:
        return promise("%s: exit status" % what, False, code, "%d\n%s%s" % (ran.code, ran.out, ran.err))
    return expect(what, ran.out, out)


def expect_traceback(what, ran, out, *parts):
    """A service error as boto's scripts show it: stdout as far as it came, exit 1, the code in a traceback on stderr."""
    expect_run(what, ran, out, 1)
    for part in parts:
        # boto prints the XML as it came, where a daemon is free to write &apos; for an apostrophe.
        expect_has("%s: the error" % what, html.unescape(ran.err), part)
