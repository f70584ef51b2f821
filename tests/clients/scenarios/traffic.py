"""Owns what a client of a balancer does and sees: requests, handshakes, lines; and the instance that tells what reached it.

Must never speak to the daemon's API. Environment read: EVENKEEL_CERTS, a folder with one, two and backend, each as .crt, .key and
.pub in PEM; `backend` is what the witness shows.
"""

import http.client
import json
import os
import shutil
import socket
import ssl
import sys
from pathlib import Path
from types import SimpleNamespace

CERTS = Path(os.environ.get("EVENKEEL_CERTS") or "/nowhere")


def write_witness(folder, port):
    """Writes the image of an instance that tells what reaches it; `port` is the first of its three."""
    folder.mkdir()
    shutil.copy(Path(__file__).parent.parent / "witness" / "witness.py", folder)
    for name in ("backend.crt", "backend.key"):
        shutil.copy(CERTS / name, folder)
    command = json.dumps([sys.executable, "witness.py"])
    (folder / "image.toml").write_text('name = "witness"\ncommand = %s\nport = %d\n' % (command, port))
    return str(folder)


def get(node, port, path="/", cookie=None, context=None):
    """One request over a connection of its own: what the witness says, and the cookies that were set."""
    make = http.client.HTTPSConnection if context else http.client.HTTPConnection
    options = {"context": context} if context else {}
    connection = make(node, port, timeout=10, **options)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        body = answer.read()
        cookies = answer.headers.get_all("Set-Cookie") or []
        return (json.loads(body) if answer.status == 200 else answer.status), cookies
    finally:
        connection.close()


def client_context(**limits):
    """A TLS client that believes anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in limits.items():
        context.set_ciphers(value) if name == "ciphers" else setattr(context, name, value)
    return context


def handshake(node, port, context):
    """The certificate, version and cipher of a handshake; the error where there is none."""
    try:
        with socket.create_connection((node, port), timeout=10) as plain:
            with context.wrap_socket(plain) as secure:
                return secure.getpeercert(binary_form=True), secure.version(), secure.cipher()[0]
    except (ssl.SSLError, ConnectionError) as error:
        return error


def refused(outcome):
    return isinstance(outcome, Exception)


def der(name):
    return ssl.PEM_cert_to_DER_cert((CERTS / (name + ".crt")).read_text())


def first_line(node, port, context=None):
    with socket.create_connection((node, port), timeout=10) as plain:
        me = plain.getsockname()
        connection = context.wrap_socket(plain) if context else plain
        connection.sendall(b"hello\n")
        return connection.makefile("rb").readline().decode(), me


def logged(node, port, context, is_http):
    """One exchange over a connection of its own, and what an access log should tell of it."""
    plain = socket.create_connection((node, port), timeout=10)
    client = "%s:%d" % plain.getsockname()
    with context.wrap_socket(plain) if context else plain as connection:
        secured = (connection.cipher()[0], connection.version()) if context else None
        if is_http:
            host = "%s:%d" % (node, port)
            head = "GET /logged HTTP/1.1\r\nHost: %s\r\nUser-Agent: judge/1\r\nConnection: close\r\n\r\n" % host
            connection.sendall(head.encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            sent, received = 0, len(answer.read())
        else:
            connection.sendall(b"hello\n")
            sent, received = 6, len(connection.makefile("rb").readline())
        return SimpleNamespace(client=client, secured=secured, sent=sent, received=received)


def cookie_of(cookies, name):
    return next((c.split(";")[0] for c in cookies if c.startswith(name + "=")), None)


def outcome(node, port):
    try:
        return get(node, port)[0]
    except OSError as error:
        return error
