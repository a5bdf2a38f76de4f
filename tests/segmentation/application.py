"""Run on a host: a careless application, which listens on every address. HTTP on the first port, an echo on the second.

It says who the caller is, as its sidecar tells it, and prints a line when it listens.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        seen = {"caller": self.headers.get("x-mesh-identity", ""), "path": self.path}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Listener(ThreadingHTTPServer):
    """Of both families."""

    address_family = socket.AF_INET6


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"echo " + self.request.recv(1000))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    web = Listener(("::", int(sys.argv[1])), Web)
    echo = Server(("0.0.0.0", int(sys.argv[2])), Echo)  # noqa: S104 - careless on purpose
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    print("listens", flush=True)
    web.serve_forever()
