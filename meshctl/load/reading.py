"""A location to one raw spec: the files read, each parsed, their top levels merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, in_order
from meshctl.load.document import read_yaml
from meshctl.load.files import SpecFiles, shown
from meshctl.load.location import read_files
from meshctl.load.merging import merge
from meshctl.spec.source import Node, Positions, Source


@dataclass(frozen=True, slots=True)
class SpecSource:
    """A spec as it was written.

    ``data`` is the merged top level with every scalar still text; ``texts`` and ``blobs`` give, by the
    name shown to the user, the text of each file and the id that git gives its bytes.
    """

    data: dict[str, Node]
    positions: Positions
    texts: Mapping[str, str]
    blobs: Mapping[str, str]
    findings: tuple[Finding, ...]

    @property
    def source(self) -> Source:
        """A cursor at the top."""
        return Source(self.positions, self.data)


def read_spec(location: str) -> SpecSource:
    """The spec at ``location``: a file, a folder, or ``REV:path``.

    Faults of the files are returned as findings, of all files at once; raises UsageError when there
    is nothing to read there.
    """
    return parse_spec(read_files(location), location)


def parse_spec(files: SpecFiles, location: str) -> SpecSource:
    """The spec that ``files`` hold; ``location`` is only shown."""
    positions = Positions()
    texts: dict[str, str] = {}
    findings = list(files.findings)
    tops: list[dict[str, Node]] = []
    for file in files.files:
        document = read_yaml(file.content, file.name, positions)
        texts[file.name] = document.text
        findings.extend(document.findings)
        if isinstance(document.node, dict):
            tops.append(document.node)
        elif document.node is not None:
            message = "the top level of a spec is a mapping, with keys such as `services:`"
            findings.append(finding("invalid-value", Position(file.name, 1, 1), message))
    data, clashes = merge(tops, positions)
    findings.extend(clashes)
    if not data and not findings:
        at = Position(shown(location), 1, 1)
        findings.append(finding("empty-spec", at, "there is no spec here: no YAML file with anything in it"))
    blobs = {file.name: file.blob for file in files.files}
    return SpecSource(data, positions, texts, blobs, in_order(findings))
