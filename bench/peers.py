"""The proxies that `bench/run` compares: how each is told to do the same work, started, accounted and ended.

Owns their files. Every one listens on three ports: plain HTTP, TCP above it, and TLS (HTTP/1.1 and HTTP/2) above that, and
forwards to two addresses of the origin. Must never touch a process that it did not start.
"""

import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
NAMES = ("evenkeel", "before", "haproxy", "nginx", "pingora")
STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
# What a peer is known not to do here; everything else is found out.
CANNOT = {
    "pingora": {
        "tcp": "Pingora proxies HTTP only",
        "tls": "built without TLS, which it would take from OpenSSL's headers",
        "many": "its program knows two targets",
    }
}


class Cannot(Exception):
    """A proxy does not do what is measured: said in the report, in its own words."""


class Dead(Exception):
    """A proxy that ended or never answered."""


def free_port():
    """A port that is free, as are the two above it: HTTP, TCP, TLS."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
                return port
            except (OSError, OverflowError):
                pass


class Peer:
    """A proxy with so many workers on so many cores, for so many targets."""

    def __init__(self, name, folder, origin, certs, cores, size, binary):
        self.name, self.port = name, free_port()
        self.threads, targets = size
        # The origin has a hundred addresses.
        self.hosts = [f"127.0.0.{number}" for number in range(1, targets + 1)]
        self.folder = folder / name
        self.folder.mkdir()
        text, command = getattr(self, "_evenkeel" if name == "before" else f"_{name}")(origin, certs, binary)
        if text is not None:
            self.file.write_text(text)
        self.log = open(self.folder / "log", "wb")
        cores = ",".join(map(str, cores))
        self.process = subprocess.Popen(
            ["taskset", "-c", cores, *command], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL
        )
        try:
            wait_for(self.port, "/128", f"{name} (see {self.folder}/log)", self.process)
        except BaseException:
            self.end()
            raise

    def need(self, what):
        """Refuses what this proxy is known not to do."""
        why = CANNOT.get(self.name, {}).get(what)
        if what == "tcp" and self.name == "nginx" and not STREAM.exists():
            why = "libnginx-mod-stream is not installed"
        if why:
            raise Cannot(why)

    def _evenkeel(self, origin, certs, binary):
        self.file = self.folder / "proxy.toml"

        def targets(hosts, port):
            return "".join(f'[[balancer.target]]\naddress = "{host}:{port}"\n' for host in hosts)

        def balancer(name, check, listeners, hosts):
            return (
                f'[[balancer]]\nname = "{name}"\naddresses = ["127.0.0.1"]\n'
                f'health_check = {{ target = "TCP:{check}", interval = 5, timeout = 2, unhealthy = 10, healthy = 2 }}\n'
                f"{listeners}{targets(hosts, check)}"
            )

        plain = f"[[balancer.listener]]\nport = {self.port}\ninstance_port = {origin}\n"
        secure = (
            f'[[balancer.listener]]\nprotocol = "https"\nport = {self.port + 2}\ninstance_port = {origin}\n'
            f'instance_protocol = "http"\n'
            f'certificates = [{{ chain = "{certs}/cert.pem", key = "{certs}/key.pem" }}]\n'
        )
        tcp = f'[[balancer.listener]]\nprotocol = "tcp"\nport = {self.port + 1}\ninstance_port = {origin + 1}\n'
        text = f"threads = {self.threads}\n" + balancer("bench", origin, plain + secure, self.hosts)
        text += balancer("tcp", origin + 1, tcp, self.hosts[:2])
        return text, [str(binary), "proxy", str(self.file)]

    def _haproxy(self, origin, certs, _binary):
        servers = "\n".join(f"  server {host} {host}:{origin} check inter 5s pool-max-conn -1" for host in self.hosts)
        self.file = self.folder / "haproxy.cfg"
        text = f"""global
  nbthread {self.threads}
  maxconn 9000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  timeout http-keep-alive 60s
  http-reuse always
frontend f
  option forwardfor
  bind 127.0.0.1:{self.port} backlog 4096
  bind 127.0.0.1:{self.port + 2} backlog 4096 ssl crt {certs}/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend b
backend b
  balance leastconn
{servers}
listen t
  mode tcp
  bind 127.0.0.1:{self.port + 1} backlog 4096
  server a 127.0.0.1:{origin + 1}
  server b 127.0.0.2:{origin + 1}
"""
        return text, ["haproxy", "-db", "-f", str(self.file)]

    def _nginx(self, origin, certs, _binary):
        self.file = self.folder / "nginx.conf"
        fields = """proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;"""
        servers = " ".join(f"server {host}:{origin};" for host in self.hosts)
        user = "user root;\n" if os.geteuid() == 0 else ""
        text = f"""{user}daemon off;
worker_processes {self.threads};
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 18000; }}
http {{
  access_log off;
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
  client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
  uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
  upstream b {{
    least_conn;
    {servers}
    keepalive 1024; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    listen 127.0.0.1:{self.port + 2} backlog=4096 ssl http2;
    ssl_certificate {certs}/cert.pem;
    ssl_certificate_key {certs}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://b;
      proxy_set_header Connection "";
      {fields}
    }}
    location = /ws {{
      proxy_pass http://b;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      {fields}
    }}
  }}
}}
"""
        if STREAM.exists():
            text = f"load_module {STREAM};\n" + text + f"""stream {{
  upstream t {{ server 127.0.0.1:{origin + 1}; server 127.0.0.2:{origin + 1}; }}
  server {{ listen 127.0.0.1:{self.port + 1} backlog=4096; proxy_pass t; }}
}}
"""
        return text, ["nginx", "-c", str(self.file), "-e", str(self.folder / "error.log")]

    def _pingora(self, origin, _certs, _binary):
        program = HERE / "pingora/target/release/bench-pingora"
        return None, [str(program), str(self.port), str(origin), str(self.threads)]

    def pids(self):
        """Itself and its workers: only nginx has any."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def worker(self):
        return self.pids()[-1]

    def cpu(self):
        """Seconds of CPU time so far, by the kernel's accounting."""
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def resident(self):
        return sum(int(pathlib.Path(f"/proc/{p}/statm").read_text().split()[1]) * PAGE for p in self.pids())

    def end(self):
        end(self.process)
        self.log.close()


def end(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def build_pingora():
    """Only when it is asked for: about 250 crates."""
    folder = HERE / "pingora"
    if not (folder / "target/release/bench-pingora").exists():
        print("bench: building Pingora, some minutes on two cores", file=sys.stderr, flush=True)
    subprocess.run(["cargo", "build", "-q", "--release", "--target-dir", "target"], cwd=folder, check=True)


def ask(sock, path, fields=""):
    """A request and its answer, as far as it came: the head and 128 bytes, or the head alone of another status."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.example\r\n{fields}\r\n".encode())
    got = b""
    while True:
        head, end_of_head, body = got.partition(b"\r\n\r\n")
        if end_of_head and (len(body) >= 128 or not head.startswith(b"HTTP/1.1 200")):
            return got
        more = sock.recv(4096)
        if not more:
            return got
        got += more


def wait_for(port, path, who, process):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Dead(f"{who} ended with status {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as sock:
                if ask(sock, path).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise Dead(f"{who} did not answer in 30 s")
