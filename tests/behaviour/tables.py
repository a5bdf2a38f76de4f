"""The request tables: what a row may say. A key that nobody reads is an error, not a silent pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field, structs
from msgspec.structs import replace
from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "tables"
TOKENS: dict[str, str] = {
    "long": f"{'A' * 50_000}.{'A' * 50_000}.A",
    **json.loads((FOLDER.parent / "tokens.json").read_text("utf-8")),
}
"""What stands for `<token NAME>` in a table, see make_tokens.py."""

Document = dict[str, Any]


class Expect(Struct, frozen=True):
    """What must hold. Ranges are [lowest, highest]; what is not named is not looked at."""

    status: int | list[int] | None = None
    headers: Document = field(default_factory=dict)
    """Of the answer; null: it must not be there. Of a TCP application: its `greeting`."""
    body: str | int | None = None
    """Of the answer: its text, or its length."""
    trailers: Document = field(default_factory=dict)
    """Of the answer, as `headers`."""
    grpc: Document = field(default_factory=dict)
    """`status`: a number, or a list of those that may be; `message`: the text of all messages that came;
    `whole`: true: the status came in the answer's head, and there is nothing else."""
    json: Document = field(default_factory=dict)
    seen: Document = field(default_factory=dict)
    """What the application saw last: service, instance, method, target, body (length), headers (null: none),
    `upload`, how many [seconds, from to] its body took to come, and `traced`: the trace and the flags of its traceparent."""
    tries: int | list[int] | None = None
    """Arrivals at applications, counted out of band. `tcp`: all connections that `to` ever saw."""
    share: dict[str, float] = field(default_factory=dict)
    """Instance (or service/instance) to its share of the `times` requests, within the binomial's bounds."""
    tolerance: float | None = None
    """For `share` and `statuses`: instead of the binomial's bounds, where the proxy does not draw lots."""
    total: list[int] = field(default_factory=list)
    """Arrivals at applications of all the `times` requests."""
    statuses: dict[int, float] = field(default_factory=dict)
    """Status to its share, within the binomial's bounds."""
    duration: list[float] = field(default_factory=list)
    """Seconds."""
    longest: float | None = None
    """Seconds: the worst case that the simulator tells, which no answer exceeds but for the tolerance."""
    short: float | None = None
    """Seconds that the slowest answer may stay below `longest`, where the application does its worst."""
    first_byte: list[float] = field(default_factory=list)
    """Seconds until the first byte of the answer's body."""
    cut: bool = False
    """The answer begins, and its connection ends before it is whole."""
    closed: bool = False
    """The connection ends without an answer."""
    logs: Document = field(default_factory=dict)
    """`outbound` and `inbound` to the fields of that sidecar's access-log line for this path; `tcp`: of the
    line of this stream, which `bytes_in` should tell apart."""
    over: float | None = None
    """Seconds after the answer, or after the client has left, until no application works on it any longer."""
    lines: dict[str, int] = field(default_factory=dict)
    """`outbound` and `inbound` to the number of access-log lines for this path, in all sidecars."""
    settled: float = 0.3
    """Seconds after which what should not arrive would have."""
    arrived: dict[str, Any] = field(default_factory=dict)
    """Instance to its arrivals from all the `times` requests, copies too."""
    saw: dict[str, Document] = field(default_factory=dict)
    """Instance to what it saw last, as in `seen`."""
    copied: dict[str, float] = field(default_factory=dict)
    """Instance to the share of requests of which it saw a copy, within the binomial's bounds."""
    reaches: list[str] | int | None = None
    """Exactly these instances answered, or exactly so many."""
    among: list[str] = field(default_factory=list)
    """No other instances answered, and one of them everything."""
    repeats: int | None = None
    """So many times at least the instance with the fewest answers gives two in a row, as none does that takes turns."""
    at_most: dict[str, float] = field(default_factory=dict)
    """Instance to the share of the answers that it may not exceed."""
    counts: dict[int, Any] = field(default_factory=dict)
    """Status to the number of answers with it."""
    durations: dict[int, list[float]] = field(default_factory=dict)
    """Status to the [shortest, longest] of all its answers, in seconds."""
    slow: dict[float, float] = field(default_factory=dict)
    """Seconds to the share of answers that take that long, within the binomial's bounds."""
    slow_among: dict[int, dict[float, float]] = field(default_factory=dict)
    """Status to the same, of the answers with it."""
    admitted: dict[str, float] = field(default_factory=dict)
    """`burst` and `per_second`: as many answers 200 as such a bucket has tokens for, and all others 429."""
    keys: Document = field(default_factory=dict)
    """Of a row that varies a key. `sticky`: each key has one instance; `spread`: each of these instances has as
    many keys as a fair draw would give it; `moved_from`: keys of these instances are elsewhere than in the step
    before, all others where they were; `back_to`: all keys are where they were in that step (by number, from 0)."""


class Differs(Struct, frozen=True):
    """Another expectation where the ``role`` (caller, callee) is ``proxy``, for a declared emulation."""

    proxy: str
    role: str
    feature: str
    expect: Expect


class Row(Struct, frozen=True):
    """One request, or `times` of them, and what becomes of it."""

    name: str
    expect: Expect
    caller: str = "client"
    via: str = "outbound"
    """`outbound`: the application's own sidecar. `local`: its local port for the service `to`; `tcp`: the same
    for a stream (`tls`: in which the client speaks TLS with `host`). `inbound`: the callee's sidecar `to`, with the caller's certificate, as a caller would that does
    not keep the contract; `plain`: there too, without a certificate and without TLS (of a stream the client is the first to speak). `gateway`: the gateway `to`, from the world. `admin`, `health`: those ports of `to`."""
    to: str = "server/1"
    http: int = 1
    """2: HTTP/2, by prior knowledge where there is no TLS."""
    grpc: str | None = None
    """A message: the request is a gRPC call with it."""
    websocket: bool = False
    """The request asks for WebSocket, then the body goes in messages, as `upload` says, and the connection stays open
    until all of them have come back."""
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
    clients: int = 1
    """The `times` requests by so many clients at once, each on a connection of its own."""
    lasting: float | None = None
    """Instead of `times`: as many as the clients can make in so many seconds."""
    pause: float = 0
    """Seconds between the requests of one client."""
    vary: Document = field(default_factory=dict)
    """`header`, `cookie` (its name) or `source` (true: the client's address), and `keys`: the requests take turns
    at so many values of it."""
    leave: float | None = None
    """Seconds after which the client closes its connection, whatever has come."""
    wait: float = 0
    """Seconds before it, and after what is to `do`."""
    do: list[Document] = field(default_factory=list)
    """Before it, for applications: `{close: instance}`, `{open: instance}`, `{orders: instance, path: …, status: …}`;
    `{stop: instance}` and `{start: instance}` for their sidecars; `{revoke: instance}`: its certificate, and all others are
    told; `{renew: instance}`: a new one in its place."""
    until: list[float] = field(default_factory=list)
    """[earliest, latest]: asked again and again, until what is expected holds: not before so many seconds after
    the step before has begun, and at most so many after it has ended."""
    steps: list[Row] = field(default_factory=list)
    """One after the other, on the same connection where they go the same way; each has what is written here, and
    changes it."""
    differs: list[Differs] = field(default_factory=list)
    simulated: bool = True
    """False: nothing that the simulator could answer."""


class Table(Struct, frozen=True):
    """One mesh and its requests."""

    name: str
    features: list[str]
    spec: Document
    requests: list[Row]
    callers: list[str] = field(default_factory=lambda: ["client"])
    """Services that get the caller's proxy; all others get the callee's."""
    proxies: dict[str, str] = field(default_factory=dict)
    """Services that have a proxy of their own, whatever the pair is."""
    dead: list[str] = field(default_factory=list)
    """Instances whose application does not run."""
    absent: list[str] = field(default_factory=list)
    """Instances of which nothing runs."""
    before: list[Document] = field(default_factory=list)
    """What is done to applications before the sidecars start, as `do` of a row."""
    silent: list[str] = field(default_factory=list)
    """Absent ones whose address swallows connection attempts instead of refusing them."""
    resetting: list[str] = field(default_factory=list)
    """Absent ones in whose place somebody takes requests and resets the connection."""
    outside: list[Document] = field(default_factory=list)
    """Echo applications outside the mesh: `name`, `address`, `port`, `protocol`; `tls`: the server names it takes."""
    names: dict[str, str | list[str]] = field(default_factory=dict)
    """What the name server of the tables knows (port 5300 of the address 252), name to address or addresses."""
    services: dict[str, list[Any]] = field(default_factory=dict)
    """The same for SRV records: name to [target, port, weight, priority] of each."""
    discovered: dict[str, Document] = field(default_factory=dict)
    """Services that callers know by this `discovery`, and not by their endpoints."""
    three_pairs: bool = False
    """True: every run has each proxy once as caller and once as callee, which is all there is to see; `make soak` has
    all nine pairs."""
    site: list[str] = field(default_factory=lambda: ["www.example", "*.shop.example"])
    """Names in the certificate /files/site.pem (and /files/site.key), whose CA is /files/public-ca.pem, and not
    /files/other-ca.pem, which has the same name."""


def _only_known(kind: type[Struct], written: Document) -> Document:
    unknown = set(written) - set(kind.__struct_fields__)
    if unknown:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}")
    return written


def _differs(written: Document) -> Differs:
    return Differs(**_only_known(Differs, written | {"expect": _expect(written["expect"])}))


def _expect(written: Document) -> Expect:
    return Expect(**_only_known(Expect, written))


_OF_STEPS = {"expect", "differs", "do", "wait", "until"}
"""What a row with steps leaves to them."""


def _row(written: Document) -> Row:
    row = {"caller" if key == "from" else key: value for key, value in written.items()}
    headers = row.get("headers", {})
    pairs = headers.items() if isinstance(headers, dict) else headers
    row["headers"] = [(str(name), str(value)) for name, value in pairs]
    if "steps" in written:
        row |= {"steps": list(_steps(written)), "expect": {}, "simulated": False}
    row["expect"] = _expect(row["expect"])
    row["differs"] = [_differs(each) for each in row.get("differs", [])]
    return Row(**_only_known(Row, row))


def _steps(written: Document) -> Iterator[Row]:
    lost = _OF_STEPS & set(written)
    if lost:
        raise ValueError(f"{written['name']} has {sorted(lost)} beside its steps")
    common = {key: value for key, value in written.items() if key != "steps"}
    for number, each in enumerate(written["steps"], start=1):
        yield _row(common | {"name": f"step {number}", "expect": {}} | each)


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
    if isinstance(value, Struct):
        parts = {name: located(each, places) for name, each in structs.asdict(value).items()}
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
        text = re.sub("<token ([a-z0-9-]+)>", lambda found: TOKENS[found[1]], path.read_text("utf-8"))
        return parse_table(path.stem, YAML(typ="safe", pure=True).load(text))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: {error}") from error


TABLES = [read_table(path) for path in sorted(FOLDER.glob("*.yaml"))]
