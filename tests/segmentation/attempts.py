"""Run on a host as some user: makes each attempt on standard input, and prints what came of it.

``{"connect": [address, port]}``: open, refused, or silent after a second and a half.
``{"datagram": [address, port]}``: sent or refused.
``{"get": [address, port, host, path]}``: [status, body], or as above.
``{"say": [address, port, text]}``: what comes back.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any

LIMIT = 1.5


def connect(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=LIMIT):
        return "open"


def datagram(address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.sendto(b"hello", (address, port))
    return "sent"


def get(address: str, port: int, host: str, path: str) -> list[Any]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    return [answer.status, answer.read().decode()]


def say(address: str, port: int, text: str) -> str:
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(text.encode())
        return connection.recv(1000).decode()


KINDS = {"connect": connect, "datagram": datagram, "get": get, "say": say}


def attempt(kind: str, arguments: list[Any]) -> object:
    try:
        return KINDS[kind](*arguments)  # type: ignore[operator]
    except TimeoutError:
        return "silent"
    except OSError:
        return "refused"


if __name__ == "__main__":
    print(json.dumps([attempt(*next(iter(each.items()))) for each in json.load(sys.stdin)]))
