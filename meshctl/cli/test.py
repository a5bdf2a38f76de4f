"""`meshctl test`."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from meshctl.cli import findings, options


class TestFormat(StrEnum):
    """What `--format` takes here."""

    __test__ = False
    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("test", help=f"Test: {text}")(run)


def run(
    spec: options.Spec = None,
    env: options.Environment = None,
    proxy: options.ProxyOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send each request through real proxies on this machine, too.")
    ] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell which routes and rules no test comes by.")
    ] = False,
    form: Annotated[TestFormat, typer.Option("--format", help="How it is printed.")] = TestFormat.TEXT,
) -> int:
    """Run the requests in `*.test.yaml` beside the spec; 1 when one of them ends otherwise than expected."""
    from meshctl import pipeline
    from meshctl.cli import route_tests

    where = options.location(spec)
    if live:
        with options.stopped_by_signals(), tempfile.TemporaryDirectory(prefix="meshctl-test-") as scratch:
            now = datetime.now(UTC)
            tested = pipeline.run_route_tests_live(
                where, Path(scratch), now=now, environment=env, proxy=proxy
            )
    else:
        tested = pipeline.run_route_tests(where, environment=env, proxy=proxy)
    match form:
        case TestFormat.TEXT:
            told = route_tests.as_text(tested, colour=findings.has_colour(sys.stdout))
            told += route_tests.coverage_text(tested) if coverage else ""
        case TestFormat.JSON:
            told = route_tests.as_json(tested, with_coverage=coverage)
        case TestFormat.JUNIT:
            told = route_tests.as_junit(tested)
        case TestFormat.GITHUB:
            told = route_tests.as_github(tested, with_coverage=coverage)
    sys.stdout.write(told)
    if coverage and form is TestFormat.JUNIT:
        sys.stderr.write(route_tests.coverage_text(tested))
    sys.stderr.write(f"{route_tests.summary(tested)}\n")
    return int(tested.failed > 0)
