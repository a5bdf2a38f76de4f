"""One request over every call of the mesh, and some that nobody allows: `meshctl up examples/finance -- python examples/finance/calls.py`."""

import http.client
import json
import os
import time
from urllib.parse import urlsplit

CALLS = [
    ("teller", "GET", "account", "/accounts/7", {}, "a clerk looks at a balance"),
    ("teller", "POST", "account", "/bookings", {}, "a clerk books by hand: only payment may"),
    ("teller", "POST", "payment", "/payments", {}, "a customer pays"),
    ("payment", "POST", "risk", "/score", {}, "is it fraud?"),
    ("payment", "POST", "account", "/bookings", {}, "the money moves"),
    ("payment", "GET", "account", "/internal/keys", {}, "nobody looks there"),
    ("risk", "GET", "account", "/accounts/7", {}, "what does this customer usually do?"),
    ("risk", "POST", "payment", "/payments", {}, "risk does not pay: it declares no such call"),
    ("payment", "POST", "risk", "/score", {"x-echo-delay": "2s"}, "a payment does not wait for an opinion"),
    (
        "payment",
        "POST",
        "account",
        "/bookings",
        {"x-echo-status": "503,200"},
        "what writes is not done twice",
    ),
    ("payment", "GET", "account", "/accounts/7", {"x-echo-status": "503,200"}, "what reads is"),
]


def ask(caller: str, method: str, callee: str, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """Status, and how many tries an application saw."""
    outbound = urlsplit(os.environ[f"MESHCTL_{caller.upper()}_OUTBOUND"]).netloc
    identifier = f"{caller}-{method}-{callee}-{path}-{len(headers)}"
    connection = http.client.HTTPConnection(outbound, timeout=10)
    body = b"{}" if method == "POST" else None
    connection.request(method, path, body, {"Host": callee, "x-echo-id": identifier} | headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    control = http.client.HTTPConnection(urlsplit(os.environ["MESHCTL_ECHO_CONTROL"]).netloc, timeout=10)
    control.request("GET", f"/__echo/hits?id={identifier}")
    return response.status, json.loads(control.getresponse().read())["hits"]


deadline = time.monotonic() + 10
while ask("teller", "HEAD", "account", "/", {})[0] == 503 and time.monotonic() < deadline:
    time.sleep(0.1)  # the first health checks came while everything was starting
for caller, method, callee, path, headers, why in CALLS:
    status, tries = ask(caller, method, callee, path, headers)
    print(f"{caller:8} {method:4} {callee:8}{path:16} {status}  tries {tries}  {why}")
