"""One client that asks one request after the other: python -m benchmarks.load ADDRESS PORT HOST REQUESTS

A program of its own, so that it shares no interpreter with whoever reads the output of the proxies. It prints the
seconds that each request took, as a JSON list.
"""

from __future__ import annotations

import json
import socket
import sys
import time

_LENGTH = b"\r\ncontent-length: "
_BODY = b"x" * 100


def main() -> None:
    """Ask, and tell how long it took; ends with an error when an answer is not 200."""
    address, port, host, requests = sys.argv[1:]
    request = f"POST /items?page=1 HTTP/1.1\r\nHost: {host}\r\nx-user: {host}\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    raw = request.encode() + _BODY
    taken = []
    with socket.create_connection((address, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(int(requests)):
            began = time.perf_counter()
            connection.sendall(raw)
            _receive(connection)
            taken.append(time.perf_counter() - began)
    print(json.dumps(taken))


def _receive(connection: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(answer)
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200" not in head[:13]:
        raise ConnectionError(head)
    fields = head.lower()
    if _LENGTH not in fields:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        return
    missing = int(fields.partition(_LENGTH)[2].partition(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))


if __name__ == "__main__":
    main()
