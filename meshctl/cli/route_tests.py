"""How the verdicts of route tests are printed. The exit code never depends on the format."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from meshctl.cli.formats.context import json_text, one_line, printable
from meshctl.cli.formats.github import escaped
from meshctl.cli.formats.json import place
from meshctl.cli.formats.text import excerpt
from meshctl.diagnostics import Position

if TYPE_CHECKING:
    from meshctl.pipeline import Tested
    from meshctl.simulate.coverage import Part
    from meshctl.simulate.route_tests import Difference, Verdict

SCHEMA_VERSION = 1


def summary(tested: Tested) -> str:
    """One line that counts."""
    count = len(tested.verdicts)
    return f"{count} test{'s' if count != 1 else ''}, {tested.failed or 'none'} failed"


def as_text(tested: Tested, *, colour: bool = False) -> str:
    """The tests that fail: what differs, and the line that decided otherwise."""
    failed = "\x1b[1;31mfailed\x1b[0m" if colour else "failed"
    lines: list[str] = []
    for verdict in _failing(tested):
        lines.append(f"{_place_text(verdict.test.at)}{failed}: {one_line(verdict.test.name)}")
        for (why, decided), group in groupby(verdict.differences, lambda each: (each.why, each.decided)):
            lines += (f"    {_told(each)}" for each in group)
            lines += _decider(why, decided)
            lines += (f"    {line}" for line in excerpt(decided, tested.texts))
    return "".join(f"{line}\n" for line in lines)


def coverage_text(tested: Tested) -> str:
    """How much of the mesh the tests come by, and what they leave out."""
    parts, untested = tested.coverage.parts, tested.coverage.untested
    lines = [f"{one_line(str(each.at))}: untested: {_part(each)}" for each in untested]
    lines.append(f"{len(parts) - len(untested)} of {len(parts)} routes and rules tested")
    return "".join(f"{line}\n" for line in lines)


def as_json(tested: Tested, *, with_coverage: bool) -> str:
    """The document that `schemas/tests.schema.json` describes."""
    covered = tested.coverage
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "tests": [
            {
                "name": each.test.name,
                "at": place(each.test.at),
                "passed": not each.differences,
                "differences": [_entry(difference) for difference in each.differences],
            }
            for each in tested.verdicts
        ],
        "coverage": {
            "parts": len(covered.parts),
            "untested": [
                {"kind": each.kind, "owner": each.owner, "name": each.name, "at": place(each.at)}
                for each in covered.untested
            ],
        }
        if with_coverage
        else None,
        "summary": {"tests": len(tested.verdicts), "failed": tested.failed},
    }
    return json_text(document)


def _entry(difference: Difference) -> dict[str, object]:
    return {
        "key": difference.key,
        "expected": difference.expected,
        "got": difference.got,
        "at": place(difference.at),
        "why": difference.why,
        "decided": place(difference.decided),
    }


def as_github(tested: Tested, *, with_coverage: bool) -> str:
    """A workflow command for each test that fails, and a notice for each part without a test."""
    lines = []
    for verdict in _failing(tested):
        message = "\n".join(line.strip() for line in _message(verdict))
        lines.append(_command("error", verdict.test.at, verdict.test.name, message))
    untested = tested.coverage.untested if with_coverage else ()
    lines += [_command("notice", each.at, "untested", f"no test comes by {_part(each)}") for each in untested]
    return "".join(lines)


def _command(level: str, at: Position | None, title: str, message: str) -> str:
    properties = {"title": title}
    if at:
        properties |= {"file": at.file, "line": str(at.line), "col": str(at.column)}
    listed = ",".join(f"{key}={escaped(value, ':,')}" for key, value in properties.items())
    return f"::{level} {listed}::{escaped(message)}\n"


def as_junit(tested: Tested) -> str:
    """JUnit's XML: one suite, each test a case."""
    from xml.etree import ElementTree as ET

    counts = {
        "tests": str(len(tested.verdicts)),
        "failures": str(tested.failed),
        "errors": "0",
        "skipped": "0",
    }
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", {"name": "meshctl test", **counts})
    for verdict in tested.verdicts:
        file = one_line(verdict.test.at.file) if verdict.test.at else ""
        case = ET.SubElement(suite, "testcase", name=one_line(verdict.test.name), classname=file)
        if verdict.differences:
            lines = [each.strip() for each in _message(verdict)]
            failure = ET.SubElement(case, "failure", type="difference", message=lines[0])
            failure.text = printable("\n".join([f"{_place_text(verdict.test.at)}failed", *lines]))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _failing(tested: Tested) -> Iterator[Verdict]:
    return (each for each in tested.verdicts if each.differences)


def _message(verdict: Verdict) -> Iterator[str]:
    for (why, decided), group in groupby(verdict.differences, lambda each: (each.why, each.decided)):
        yield from map(_told, group)
        yield from _decider(why, decided)


def _told(difference: Difference) -> str:
    told = f"{difference.key}: expected {difference.expected}, got {difference.got}"
    return one_line(told)


def _decider(why: str, decided: Position | None) -> list[str]:
    if not why:
        return []
    told = f"decided by {decided}: {why}" if decided else f"because {why}"
    return [f"        {one_line(told)}"]


def _part(part: Part) -> str:
    named = f" `{one_line(part.name)}`" if part.name else ""
    return (
        f"{part.kind}{named} of `{part.owner}`"
        if part.kind == "route"
        else f"a rule of `{part.owner}` under `{part.kind}`"
    )


def _place_text(at: Position | None) -> str:
    return f"{one_line(str(at))}: " if at else ""
