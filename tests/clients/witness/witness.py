"""Owns an instance that tells what reached it: the head of an HTTP request, the first line of a TCP connection.

Must never be clever: what it says is evidence. It listens on $HOST: HTTP on $PORT, bytes on $PORT + 1, HTTPS on $PORT + 2 with
the certificate beside this file. `GET /login` sets the cookie SESSION; `GET /slow?s=N` waits N seconds.
"""

import json
import os
import pathlib
import socketserver
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HERE = pathlib.Path(__file__).resolve().parent
HOST, PORT = os.environ["HOST"], int(os.environ["PORT"])


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/slow":
            time.sleep(float(parse_qs(url.query).get("s", ["1"])[0]))
        told = {
            "instance": os.environ.get("EVENKEEL_INSTANCE_ID"),
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if url.path == "/login":
            self.send_header("Set-Cookie", "SESSION=s1; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Bytes(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"got " + line)


class BytesServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main():
    secure = ThreadingHTTPServer((HOST, PORT + 2), Http)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "backend.crt", HERE / "backend.key")
    # A handshake that stalls must not keep others from being accepted.
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    for server in (ThreadingHTTPServer((HOST, PORT), Http), BytesServer((HOST, PORT + 1), Bytes), secure):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


main()
