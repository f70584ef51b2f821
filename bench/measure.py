"""What `bench/run` measures: loads, memory of idle connections, system calls.

Owns the scenarios. A measure takes a running `peers.Peer` and returns numbers; it raises `peers.Cannot` where the proxy does
not do what is asked.
"""

import json
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from typing import NamedTuple

from peers import Cannot, ask


class Load(NamedTuple):
    """What is asked of a proxy."""

    path: str
    connections: int
    # Further words for the load generator.
    words: tuple = ()
    # What the proxy must be able to do.
    needs: str | None = None
    threads: int = 1
    targets: int = 2


LOADS = {
    "keep64": Load("/128", 64),
    "keep1000": Load("/128", 1000),
    "close": Load("/128", 64, ("close",)),
    "10k": Load("/10k", 64),
    "1m": Load("/1m", 16),
    "rate": Load("/128", 64),
    "https": Load("/128", 64, ("tls",), "tls"),
    "https1m": Load("/1m", 16, ("tls",), "tls"),
    "handshake": Load("/128", 16, ("tls", "close"), "tls"),
    "h2": Load("/128", 8, ("tls", "h2=100"), "tls"),
    "echo": Load("echo:128", 64, (), "tcp"),
    "echo1m": Load("echo:1048576", 16, (), "tcp"),
    "one": Load("/128", 64),
    "two": Load("/128", 64, threads=2),
    "few": Load("/128", 64),
    "many": Load("/128", 64, needs="many", targets=100),
}
# Each is one scenario of the command line and two loads, in turns: the first, and what is compared with it.
PAIRS = {"threads": ("one", "two"), "targets": ("few", "many")}
IDLE = 5000
WARM = 64
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
NOT_SPOKEN = 3


def drive(peer, scenario, seconds, rate, args):
    asked = LOADS[scenario]
    port = peer.port + {"tcp": 1, "tls": 2}.get(asked.needs, 0)
    words = [f"tls={args.certs}/cert.pem" if word == "tls" else word for word in asked.words]
    command = ["taskset", "-c", str(args.load_core), str(args.tool), "load"]
    command += [str(port), asked.path, str(asked.connections), str(seconds)]
    ran = subprocess.run(
        command + words + ([f"rate={rate}"] if rate else []), capture_output=True, text=True, timeout=seconds + 60
    )
    if ran.returncode == NOT_SPOKEN:
        raise Cannot(ran.stderr.strip())
    if ran.returncode != 0:
        raise Cannot(f"failed under load: {ran.stderr.strip()}")
    return json.loads(ran.stdout)


def load(peer, scenario, args):
    if LOADS[scenario].needs:
        peer.need(LOADS[scenario].needs)
    rate = args.rate if scenario == "rate" else None
    drive(peer, scenario, min(1, args.seconds), rate, args)
    before = peer.cpu()
    got = drive(peer, scenario, args.seconds, rate, args)
    cpu = peer.cpu() - before
    if got["answers"] == 0:
        raise Cannot(f"no answer in {args.seconds} s")
    return {
        "requests_per_s": got["answers"] / got["seconds"],
        "cpu_us": cpu * 1e6 / got["answers"],
        **{key: got[key] for key in ("p50_us", "p99_us", "p999_us", "errors")},
    }


def plain(peer, _args):
    sock = socket.create_connection(("127.0.0.1", peer.port), 5)
    if not ask(sock, "/128").startswith(b"HTTP/1.1 200"):
        raise Cannot("no good answer")
    return sock


def secure(peer, args):
    peer.need("tls")
    if not hasattr(args, "context"):
        args.context = ssl.create_default_context(cafile=f"{args.certs}/cert.pem")
        args.context.set_alpn_protocols(["http/1.1"])
    sock = socket.create_connection(("127.0.0.1", peer.port + 2), 5)
    sock = args.context.wrap_socket(sock, server_hostname="bench.example")
    if not ask(sock, "/128").startswith(b"HTTP/1.1 200"):
        raise Cannot("no good answer")
    return sock


def web_socket(peer, _args):
    sock = socket.create_connection(("127.0.0.1", peer.port), 5)
    status = ask(sock, "/ws", UPGRADE).split(b"\r\n")[0].decode(errors="replace")
    if " 101 " not in status + " ":
        raise Cannot(f"did not switch protocols: `{status}`")
    return echoed(sock)


def tunnel(peer, _args):
    peer.need("tcp")
    return echoed(socket.create_connection(("127.0.0.1", peer.port + 1), 5))


def echoed(sock):
    sock.sendall(b"e" * 128)
    left = 128
    while left:
        got = sock.recv(left)
        if not got:
            raise Cannot("the bytes did not come back")
        left -= len(got)
    return sock


def idle(opened):
    """What 5,000 connections that have each been used once keep in memory, beyond a warm process."""

    def measure(peer, args):
        held = []
        try:
            held.extend(opened(peer, args) for _ in range(WARM))
            before = peer.resident()
            held.extend(opened(peer, args) for _ in range(IDLE))
            time.sleep(1)
            return {"idle_bytes": (peer.resident() - before) / IDLE}
        except (OSError, ssl.SSLError) as error:
            raise Cannot(f"failed with {len(held)} connections open: {error}") from error
        finally:
            for sock in held:
                sock.close()

    return measure


def syscalls(peer, _args):
    """One client, 2,000 requests in a row, counted by strace."""
    with socket.create_connection(("127.0.0.1", peer.port), 5) as sock, tempfile.NamedTemporaryFile("r") as out:
        ask(sock, "/128")
        tracer = subprocess.Popen(
            ["strace", "-c", "-f", "-p", str(peer.worker()), "-o", out.name], stderr=subprocess.PIPE, text=True
        )
        tracer.stderr.readline()
        time.sleep(0.2)
        for _ in range(2000):
            ask(sock, "/128")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        rows = [line.split() for line in out.read().splitlines()]
    calls = {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}
    per = {name: round(n / 2000, 2) for name, n in calls.items() if n >= 20}
    return {"syscalls": sum(calls.values()) / 2000, "which": per}


# Measured once: they do not vary.
ONCE = {
    "idle": idle(plain),
    "idle-tls": idle(secure),
    "idle-ws": idle(web_socket),
    "idle-tcp": idle(tunnel),
    "syscalls": syscalls,
}
SCENARIOS = (*(name for name in LOADS if all(name not in pair for pair in PAIRS.values())), *PAIRS, *ONCE)
