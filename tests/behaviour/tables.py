"""The request tables: what a row may say. A key that nobody reads is an error, not a silent pass."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "tables"

Document = dict[str, Any]


@dataclass(frozen=True)
class Expect:
    """What must hold. Ranges are [lowest, highest]; what is not named is not looked at."""

    status: int | list[int] | None = None
    headers: Document = field(default_factory=dict)
    """Of the answer; null: it must not be there. Of a TCP application: its `greeting`."""
    body: str | int | None = None
    """Of the answer: its text, or its length."""
    json: Document = field(default_factory=dict)
    seen: Document = field(default_factory=dict)
    """What the application saw last: service, instance, method, target, body (length), headers (null: none),
    and `upload`, how many [seconds, from to] its body took to come."""
    tries: int | list[int] | None = None
    """Arrivals at applications, counted out of band. `tcp`: all connections that `to` ever saw."""
    share: dict[str, float] = field(default_factory=dict)
    """Instance (or service/instance) to its share of the `times` requests, within five sigma."""
    tolerance: float | None = None
    """For `share` and `statuses`: instead of five sigma, where the proxy does not draw lots."""
    total: list[int] = field(default_factory=list)
    """Arrivals at applications of all the `times` requests."""
    statuses: dict[int, float] = field(default_factory=dict)
    """Status to its share, within five sigma."""
    duration: list[float] = field(default_factory=list)
    """Seconds."""
    first_byte: list[float] = field(default_factory=list)
    """Seconds until the first byte of the answer's body."""
    cut: bool = False
    """The answer begins, and its connection ends before it is whole."""
    closed: bool = False
    """The connection ends without an answer."""
    logs: Document = field(default_factory=dict)
    """`outbound` and `inbound` to the fields of that sidecar's access-log line for this path; `tcp`: of the
    line of this stream, which `bytes_in` should tell apart."""


@dataclass(frozen=True)
class Differs:
    """Another expectation where the ``role`` (caller, callee) is ``proxy``, for a declared emulation."""

    proxy: str
    role: str
    feature: str
    expect: Expect


@dataclass(frozen=True)
class Row:
    """One request, or `times` of them, and what becomes of it."""

    name: str
    expect: Expect
    caller: str = "client"
    via: str = "outbound"
    """`outbound`: the application's own sidecar. `local`: its local port for the service `to`; `tcp`: the same
    for a stream. `inbound`: the callee's sidecar `to`, with the caller's certificate, as a caller would that does
    not keep the contract. `gateway`: the gateway `to`, from the world. `admin`, `health`: those ports of `to`."""
    to: str = "server/1"
    http: int = 1
    """2: HTTP/2 over TLS (`inbound`, `gateway`)."""
    method: str = "GET"
    host: str | None = "server"
    target: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str | int | None = None
    upload: list[float] = field(default_factory=list)
    """The body in pieces: [bytes, seconds between them]."""
    half_close: bool = False
    """`tcp`: end the sending side at once, and read until the other side ends too."""
    raw: str | None = None
    """Instead of method to body: the bytes as they are sent."""
    times: int = 1
    together: bool = False
    """All the `times` requests at once, each on a connection of its own."""
    orders: dict[str, Any] = field(default_factory=dict)
    """For the echo application, without their `x-echo-`."""
    differs: list[Differs] = field(default_factory=list)
    simulated: bool = True
    """False: nothing that the simulator could answer."""


@dataclass(frozen=True)
class Table:
    """One mesh and its requests."""

    name: str
    features: list[str]
    spec: Document
    requests: list[Row]
    callers: list[str] = field(default_factory=lambda: ["client"])
    """Services that get the caller's proxy; all others get the callee's."""
    dead: list[str] = field(default_factory=list)
    """Instances whose application does not run."""
    absent: list[str] = field(default_factory=list)
    """Instances of which nothing runs."""
    silent: list[str] = field(default_factory=list)
    """Absent ones whose address swallows connection attempts instead of refusing them."""
    resetting: list[str] = field(default_factory=list)
    """Absent ones in whose place somebody takes requests and resets the connection."""
    outside: list[Document] = field(default_factory=list)
    """Echo applications outside the mesh: `name`, `address`, `port`, `protocol`; `tls`: the server names it takes."""
    names: dict[str, str] = field(default_factory=dict)
    """What the name server of the tables knows (port 5300 of the address 252), name to address."""
    site: list[str] = field(default_factory=lambda: ["www.example", "*.shop.example"])
    """Names in the certificate /files/site.pem (and /files/site.key), whose CA is /files/public-ca.pem, and not
    /files/other-ca.pem, which has the same name."""


def _only_known(kind: type, written: Document) -> Document:
    unknown = set(written) - {each.name for each in fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}")
    return written


def _differs(written: Document) -> Differs:
    return Differs(**_only_known(Differs, written | {"expect": _expect(written["expect"])}))


def _expect(written: Document) -> Expect:
    return Expect(**_only_known(Expect, written))


def _row(written: Document) -> Row:
    row = {"caller" if key == "from" else key: value for key, value in written.items()}
    headers = row.get("headers", {})
    pairs = headers.items() if isinstance(headers, dict) else headers
    row["headers"] = [(str(name), str(value)) for name, value in pairs]
    row["expect"] = _expect(row["expect"])
    row["differs"] = [_differs(each) for each in row.get("differs", [])]
    return Row(**_only_known(Row, row))


def located(value: Any, places: dict[str, str]) -> Any:
    """The same value with every place as it is in this run: addresses, folders."""
    if isinstance(value, str):
        for written, real in places.items():
            value = value.replace(written, real)
        return value
    if isinstance(value, dict):
        return {located(key, places): located(each, places) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(located(each, places) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: located(getattr(value, each.name), places) for each in fields(value)}
        return replace(value, **parts)
    return value


def parse_table(name: str, written: Document) -> Table:
    """One table. Raises ValueError for a key that no one reads, and for two rows of one name."""
    table = Table(
        **_only_known(
            Table, {"name": name} | written | {"requests": [_row(each) for each in written["requests"]]}
        )
    )
    names = [row.name for row in table.requests]
    if len(set(names)) != len(names):
        raise ValueError(f"{name}: two rows of one name")
    return table


def read_table(path: Path) -> Table:
    """One file of the tables' folder."""
    try:
        return parse_table(path.stem, YAML(typ="safe", pure=True).load(path.read_text("utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: {error}") from error


TABLES = [read_table(path) for path in sorted(FOLDER.glob("*.yaml"))]
