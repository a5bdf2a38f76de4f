"""Whether what came back is what a row expects: each function yields what is wrong, in words."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter

from tests.behaviour.binomial import bounds
from tests.behaviour.client import Answer
from tests.behaviour.crowds import EARLY, belongs, instance_of

WRITTEN_OUT = 1000
"""Bytes of the longest body that a row may write as a text; longer ones are made of x."""

LOG_LIMIT = 3.0
"""Seconds until a line of an access log has arrived; NGINX and Envoy write in batches."""


def within(expected, actual):
    """Whether a number is the one, or one of the range or list."""
    return actual in expected if isinstance(expected, list) else actual == expected


def _lies_in(bounds, seconds):
    return seconds is not None and bounds[0] <= seconds <= bounds[1]


def check_answer(expect, answer, world):
    """One answer against everything that a single request can show."""
    if expect.closed:
        if not answer.failure:
            yield f"answered {answer.status or answer.headers} instead of closing the connection"
        yield from _check_arrivals(expect, world.arrivals(answer.identifier))
        return
    if expect.status is not None and not within(expect.status, answer.status):
        yield f"status {answer.status} ({answer.failure or answer.body[:200]!r}), not {expect.status}"
        return
    if answer.cut is not expect.cut:
        yield "the answer was cut" if answer.cut else "the answer was not cut"
    if expect.duration and not expect.duration[0] - EARLY <= answer.duration <= expect.duration[1]:
        yield f"took {answer.duration:.3f} s, not {expect.duration}"
    if expect.first_byte and not _lies_in(expect.first_byte, answer.first_byte):
        yield f"the body began after {answer.first_byte} s, not {expect.first_byte}"
    yield from _check_headers("answer", expect.headers, answer.values)
    yield from _check_trailers(expect, answer)
    yield from _check_body(expect, answer)
    if expect.seen or expect.tries is not None:
        yield from _check_arrivals(expect, world.arrivals(answer.identifier))


def _check_headers(whose, expected, values):
    for name, value in expected.items():
        wanted = [] if value is None else value if isinstance(value, list) else [str(value)]
        if values(name) != wanted:
            yield f"{whose}: {name} is {values(name)}, not {wanted}"


def _check_trailers(expect, answer):
    trailers = Answer("", 0, headers=answer.trailers)
    yield from _check_headers("trailers", expect.trailers, trailers.values)
    if not expect.grpc:
        return
    found = trailers.values("grpc-status") or answer.values("grpc-status")
    status = int(found[0]) if found else None
    if not within(expect.grpc.get("status", 0), status):
        yield f"gRPC status {status}, not {expect.grpc.get('status', 0)}"
    if not (answer.values("content-type") or [""])[0].startswith("application/grpc"):
        yield f"the content-type {answer.values('content-type')} is not gRPC's"
    if expect.grpc.get("whole") and (answer.body or answer.trailers):
        yield f"there is more than a head: {answer.body[:50]!r}, {answer.trailers}"
    message = "".join(_messages(answer.body))
    if expect.grpc.get("message", message) != message:
        yield f"the messages say {message[:200]!r}, not {expect.grpc['message']!r}"


def _messages(body):
    while body:
        length = int.from_bytes(body[1:5])
        yield body[5 : 5 + length].decode()
        body = body[5 + length :]


def _check_body(expect, answer):
    if isinstance(expect.body, int) and len(answer.body) != expect.body:
        yield f"the body has {len(answer.body)} bytes, not {expect.body}"
    if isinstance(expect.body, str) and answer.body.decode("utf-8", "replace") != expect.body:
        yield f"the body is {answer.body[:200]!r}, not {expect.body!r}"
    if expect.json:
        found = answer.document if isinstance(answer.document, dict) else {}
        wrong = {key: found.get(key) for key, value in expect.json.items() if found.get(key) != value}
        if wrong:
            yield f"the document says {wrong}, not {expect.json}"


def _check_arrivals(expect, arrivals):
    tries = expect.tries
    low, high = tries if isinstance(tries, list) else (tries, tries)
    if tries is not None and not low <= arrivals["hits"] <= high:
        yield f"{arrivals['hits']} tries reached an application, not {tries}"
    if not expect.seen:
        return
    if not arrivals["seen"]:
        yield "no application saw it"
        return
    yield from check_seen(expect.seen, arrivals["seen"][-1])


def check_seen(expected, seen):
    """What one application saw of one request."""
    flat = seen | {"body": seen.get("body", {}).get("length")}
    for key, value in expected.items():
        if key == "upload":
            if not _lies_in(value, seen["upload_seconds"]):
                yield f"the request's body took {seen['upload_seconds']} s to come, not {value}"
        elif key == "traced":
            found = [_trace(each) for each in seen["headers"] if each[0].lower() == "traceparent"]
            if found != [value]:
                yield f"the application saw the traces {found}, not {value}"
        elif key != "headers" and not within(value, flat.get(key)):
            yield f"the application saw {key} {flat.get(key)!r}, not {value!r}"

    def values(name):
        return [value for key, value in seen["headers"] if key.lower() == name.lower()]

    yield from _check_headers("application", expected.get("headers", {}), values)
    length = expected.get("body")
    if isinstance(length, int) and length > WRITTEN_OUT and seen["body"]["sha256"] != _sum(length):
        yield "the application saw another body"


def _trace(header):
    """The trace and the flags of a traceparent, which is all that has to outlive a hop."""
    _version, trace, _parent, flags = header[1].split("-")
    return [trace, flags]


def _sum(length):
    return hashlib.sha256(b"x" * length).hexdigest()


def check_shares(expect, answers, world):
    """Many answers against the shares."""
    statuses = Counter(answer.status for answer in answers)
    yield from _outside("status", expect.statuses, statuses, len(answers), expect.tolerance)
    if expect.total:
        came = sum(world.arrivals(answer.identifier)["hits"] for answer in answers)
        if not expect.total[0] <= came <= expect.total[1]:
            yield f"{came} tries reached an application, not {expect.total}"
    if expect.share:
        taken = Counter(instance_of(answer) for answer in answers)
        groups = {key: sum(n for name, n in taken.items() if belongs(name, key)) for key in expect.share}
        if sum(groups.values()) != len(answers):
            yield f"went elsewhere: {dict(taken)}, statuses {dict(statuses)}"
        yield from _outside("instance", expect.share, groups, len(answers), expect.tolerance)


def _outside(what, shares, counts, total, tolerance):
    for key, share in shares.items():
        low, high = bounds(total, share)
        if tolerance is not None:
            low, high = math.ceil(total * (share - tolerance)), math.floor(total * (share + tolerance))
        if not low <= counts[key] <= high:
            yield f"{what} {key} has {counts[key]} of {total}, which is not {share:.1%}: {low} to {high}"


def check_logs(expect, row, world):
    """The access-log lines of a row's path, which no other row of the table may use; or of its stream."""
    if row.via == "tcp" or (row.via == "plain" and world.is_stream(row.to)):
        yield from _check_stream_logs(expect, row, world)
        return
    path = row.target.partition("?")[0]
    for direction, fields in expect.logs.items():
        line = _await_line(world, direction, path)
        if line is None:
            yield f"no {direction} access-log line for {path}"
            continue
        for key, value in fields.items():
            if not _fits(value, line.get(key)):
                yield f"{direction} log: {key} is {line.get(key)!r}, not {value!r}"


def check_lines(expect, row, world):
    """How many lines there are about the row's path, as soon as there are so many, and a moment later still."""
    if not expect.lines:
        return
    expected = {direction: number for direction, number in expect.lines.items() if number}
    deadline = time.monotonic() + LOG_LIMIT
    while _line_counts(row, world) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(expect.settled)
    counts = _line_counts(row, world)
    if counts != expected:
        yield f"the path has {counts} access-log lines, not {expect.lines}"


def _line_counts(row, world):
    path = row.target.partition("?")[0]
    written = [json.loads(line) for _, line in list(world.lines) if path in line and line.startswith("{")]
    return dict(Counter(each["direction"] for each in written if each.get("path") == path))


def _check_stream_logs(expect, row, world):
    """A stream has no path: one line of that sidecar must fit, the only one where `bytes_in` tells it apart."""
    for direction, fields in expect.logs.items():
        service = row.caller if direction == "outbound" else row.to.partition("/")[0]
        deadline = time.monotonic() + LOG_LIMIT
        lines = _stream_lines(world, direction, service, fields)
        while not lines and time.monotonic() < deadline:
            time.sleep(0.05)
            lines = _stream_lines(world, direction, service, fields)
        fitting = [
            each for each in lines if all(_fits(value, each.get(key)) for key, value in fields.items())
        ]
        if not fitting or ("bytes_in" in fields and len(lines) != 1):
            yield f"{direction} log: {lines} is not the one line that says {fields}"


def _stream_lines(world, direction, service, fields):
    """The lines about streams of a sidecar; where sizes or the upstream are expected, those that say the same."""
    found = []
    for program, line in list(world.lines):
        if program.partition("/")[0] == service and line.startswith("{") and '"method":""' in line:
            document = json.loads(line)
            telling = [key for key in ("bytes_in", "bytes_out", "upstream", "caller") if key in fields]
            if document["direction"] == direction and all(
                _fits(fields[key], document[key]) for key in telling
            ):
                found.append(document)
    return found


def _fits(wanted, found):
    """A list is a choice; ``{type: number}`` asks for the JSON type only."""
    if isinstance(wanted, dict):
        kinds = {"number": (int, float), "string": (str,)}[wanted["type"]]
        return isinstance(found, kinds) and not isinstance(found, bool) and found != ""
    return found in wanted if isinstance(wanted, list) else found == wanted


def _await_line(world, direction, path):
    deadline = time.monotonic() + LOG_LIMIT
    while time.monotonic() < deadline:
        for _, line in list(world.lines):
            if path in line and line.startswith("{"):
                try:
                    document = json.loads(line)
                except ValueError:
                    continue
                if document.get("direction") == direction and document.get("path") == path:
                    return document
        time.sleep(0.05)
    return None
