"""A mesh's own route tests, against the resolved model or through real proxies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl.diagnostics import Finding, FindingsError, UsageError, in_order
from meshctl.pipeline.checking import check, load
from meshctl.pipeline.explaining import place

if TYPE_CHECKING:
    from meshctl import ir
    from meshctl.ir.route_tests import RouteTest
    from meshctl.simulate.coverage import Coverage
    from meshctl.simulate.route_tests import Verdict
    from meshctl.spec import Source, Spec


class Tested(Struct, frozen=True):
    """What came of the tests, in the order of their files, and the texts of all files."""

    verdicts: tuple[Verdict, ...]
    coverage: Coverage
    texts: Mapping[str, str]

    @property
    def failed(self) -> int:
        """How many tests fail."""
        return sum(bool(each.differences) for each in self.verdicts)


def run_route_tests(location: str, *, environment: str | None = None, proxy: str | None = None) -> Tested:
    """Run the `*.test.yaml` beside the spec at ``location`` against its resolved model.

    ``proxy`` takes the place of every sidecar's: what it cannot do is an error of the spec then.

    Raises UsageError when there are none, FindingsError when the spec has errors, or (exit code 2) a test file.
    """
    from meshctl.simulate import coverage, route_tests

    validated = check(load(location, environment), proxy=proxy, builds=False)
    mesh = validated.require()
    tests, texts = _read(location, mesh, validated.spec)
    verdicts = tuple(_placed(each, validated.source) for each in route_tests.run(mesh, tests))
    covered = coverage.coverage(mesh, (each.decision for each in verdicts))
    return Tested(verdicts, covered, {**texts, **validated.texts})


def run_route_tests_live(
    location: str, out: Path, *, now: datetime, environment: str | None = None, proxy: str | None = None
) -> Tested:
    """The same, and then each request through real proxies on this machine, built below ``out``.

    Raises what :func:`run_route_tests` raises, and ToolError when the mesh cannot be started or ends by itself.
    """
    from meshctl.pipeline.asking import LiveMesh
    from meshctl.pipeline.running import up

    offline = run_route_tests(location, environment=environment, proxy=proxy)
    validated = check(load(location, environment), proxy=proxy, on_loopback=True)
    lines: list[tuple[str, str]] = []
    with up(
        validated, out, now=now, sink=lambda name, line: lines.append((name, line)), with_applications=True
    ) as rehearsal:
        live = LiveMesh(rehearsal, lines)
        verdicts = tuple(
            structs.replace(each, differences=(*each.differences, *live.differences(each)))
            for each in offline.verdicts
        )
    return structs.replace(offline, verdicts=verdicts)


def _placed(verdict: Verdict, source: Source) -> Verdict:
    """With the lines of what decided."""
    if not any(each.path for each in verdict.differences):
        return verdict
    differences = (
        structs.replace(each, decided=place(source, each.path)) if each.path else each
        for each in verdict.differences
    )
    return structs.replace(verdict, differences=tuple(differences))


def _read(location: str, mesh: ir.Mesh, spec: Spec | None) -> tuple[tuple[RouteTest, ...], Mapping[str, str]]:
    from meshctl.load import read_route_tests
    from meshctl.resolve.route_tests import known, route_tests

    read = read_route_tests(location)
    tests: list[RouteTest] = []
    findings: list[Finding] = list(read.findings)
    names = known(mesh, spec)
    for written, source in read.files:
        found, faults = route_tests(written, source, mesh, names)
        tests += found
        findings += faults
    if findings:
        error = FindingsError(in_order(findings), read.texts)
        error.exit_code = 2
        raise error
    if not tests:
        raise UsageError(f"there are no route tests beside {location}: no *.test.yaml")
    return tuple(tests), read.texts


__all__ = ["Tested", "run_route_tests", "run_route_tests_live"]
