"""What the mesh does for the shop, shown by requests: `meshctl up examples/shop -- python examples/shop/demo.py`.

The applications are meshctl's echo applications: they answer what they saw, and fail when `x-echo-` headers
tell them to. Each request goes the way of a real one: in plain HTTP to the caller's own sidecar.
"""

import http.client
import json
import os
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

SPLIT = 300

Headers = dict[str, str]


@dataclass(frozen=True)
class Scene:
    """One request, what the spec promises for it, and the part of the spec that does."""

    caller: str
    callee: str
    promise: tuple[int, int]
    """Status, and tries that reach an application."""
    why: str
    headers: Headers = field(default_factory=dict)
    method: str = "GET"
    path: str = "/"

    @property
    def title(self) -> str:
        """The request in one line."""
        return f"{self.caller} → {self.method} {self.callee}{self.path}"


SCENES = (
    Scene("web", "catalog", (200, 1), "mutual TLS; the application is told who calls"),
    Scene("web", "catalog", (200, 1), "route testers: always v2", {"x-tester": "true"}),
    Scene("web", "catalog", (200, 3), "fails twice; two retries hide it", {"x-echo-status": "503,503,200"}),
    Scene(
        "web",
        "catalog",
        (503, 1),
        "fails once; a POST is not repeated, it may have done something",
        {"x-echo-status": "503,200"},
        method="POST",
    ),
    Scene("web", "auth", (504, 1), "takes 2 s; web waits for auth 500ms", {"x-echo-delay": "2s"}),
    Scene("web", "payments", (403, 0), "not among the calls of web"),
    Scene("orders", "payments", (200, 1), "among the calls of orders"),
    Scene("web", "catalog", (400, 0), "proxies could read this path differently", path="/a/../admin"),
)


def fetch(variable: str, method: str, path: str, headers: Headers) -> tuple[int, Any]:
    """Status and JSON document of one request to the address in an environment variable."""
    connection = http.client.HTTPConnection(urlsplit(os.environ[variable]).netloc, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return response.status, json.loads(body) if body.startswith(b"{") else {}


def show_split(console: Console) -> bool:
    """The canary takes its share; whether it does."""
    taken: Counter[str] = Counter()
    for _ in range(SPLIT):
        _, document = fetch("MESHCTL_WEB_OUTBOUND", "GET", "/", {"Host": "catalog"})
        taken[document.get("instance", "")] += 1
    table = Table(
        title=f"{SPLIT} requests, web → catalog (route everybody)", title_justify="left", box=SIMPLE_HEAD
    )
    for column in ("version", "weight", "requests", "share"):
        table.add_column(column)
    for version, weight in (("v1", 90), ("v2", 10)):
        share = taken[version] / SPLIT
        table.add_row(version, str(weight), str(taken[version]), f"{share:6.1%} {'█' * round(share * 30)}")
    console.print(table)
    return taken["v1"] + taken["v2"] == SPLIT and 0 < taken["v2"] < SPLIT / 4


def show_scenes(console: Console) -> bool:
    """One row for each scene; whether all are as promised."""
    table = Table(title="Single requests", title_justify="left", box=SIMPLE_HEAD)
    for column in ("request", "answer", "tries", "seen by the application"):
        table.add_column(column)
    kept = [show(scene, table) for scene in SCENES]
    console.print(table)
    return all(kept)


def show(scene: Scene, table: Table) -> bool:
    """Add the row of one scene; whether the promise was kept."""
    identifier = uuid.uuid4().hex
    started = time.monotonic()
    status, document = fetch(
        f"MESHCTL_{scene.caller.upper()}_OUTBOUND",
        scene.method,
        scene.path,
        {"Host": scene.callee, "x-echo-id": identifier, **scene.headers},
    )
    milliseconds = (time.monotonic() - started) * 1000
    _, told = fetch("MESHCTL_ECHO_CONTROL", "GET", f"/__echo/hits?id={identifier}", {})
    kept = (status, told["hits"]) == scene.promise
    identity = next((value for name, value in document.get("headers", ()) if name == "x-mesh-identity"), "")
    table.add_row(
        f"{scene.title}\n[dim]{scene.why}[/]",
        f"[{'green' if kept else 'red'}]{status}[/] {milliseconds:.0f} ms",
        str(told["hits"]),
        f"{document['service']} {document['instance']}\n{identity}" if document else "",
    )
    return kept


def main() -> int:
    """Show everything; 1 when a promise was not kept."""
    console = Console(highlight=False)
    kept = [show_split(console), show_scenes(console)]
    if not all(kept):
        console.print("[red]Not everything is as the spec promises.[/]")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
