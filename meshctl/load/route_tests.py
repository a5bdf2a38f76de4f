"""The files of route tests beside a spec, each of the right shape or with the findings that say why not."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs
from pydantic import ValidationError

from meshctl.diagnostics import Finding, Position, in_order
from meshctl.load.document import read_yaml
from meshctl.load.location import read_tests
from meshctl.load.shape import faults
from meshctl.spec import Source
from meshctl.spec.route_tests import RouteTestsSpec


class RouteTestFiles(Struct, frozen=True):
    """The files that can be used, with the cursors to their places; ``texts`` has all of them by name."""

    files: tuple[tuple[RouteTestsSpec, Source], ...]
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]


def read_route_tests(location: str) -> RouteTestFiles:
    """All `*.test.yaml` beside the spec at ``location``: below a folder, or in the folder that a file is in.

    Raises UsageError for a spec that is not in the work tree.
    """
    read = read_tests(location)
    files: list[tuple[RouteTestsSpec, Source]] = []
    findings = list(read.findings)
    texts: dict[str, str] = {}
    for file in read.files:
        document = read_yaml(file.content, file.name)
        texts[file.name] = document.text
        findings += document.findings
        if document.findings:
            continue
        source = Source(document.positions, document.node)
        try:
            files.append((RouteTestsSpec.model_validate(document.node), source))
        except ValidationError as error:
            top = Position(file.name, 1, 1)
            told = faults(source, error, RouteTestsSpec, "the file")
            findings += (structs.replace(each, at=each.at or top) for each in told)
    return RouteTestFiles(tuple(files), in_order(findings), texts)
