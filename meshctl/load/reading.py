"""A location to one raw spec: the files read, each parsed, their top levels merged, an environment over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, in_order
from meshctl.load import environments
from meshctl.load.environments import Compared, read_tops
from meshctl.load.files import SpecFiles, shown, with_contents
from meshctl.load.location import read_beside, read_files, read_first_files
from meshctl.load.merging import clashes
from meshctl.load.overlay import overlay
from meshctl.load.parsed import ParsedFiles
from meshctl.spec.source import Node, Positions, Source

_PARTS = ("services", "gateways", "externals")
_HAS_PARTS = re.compile(rb"^(?:%s):" % "|".join(_PARTS).encode(), re.MULTILINE)
_SHOWN = 3


class SpecSource(Struct, frozen=True):
    """A spec as it was written.

    ``data`` is the merged top level with every scalar still text, and ``bare`` the same without the
    environment; ``texts`` and ``blobs`` give, by the name shown to the user, the text of each file and the
    id that git gives its bytes. ``folder`` is the one that the spec is in. ``contents`` took the place of files on disk.
    """

    location: str
    folder: str
    data: dict[str, Node]
    bare: dict[str, Node]
    positions: Positions
    texts: Mapping[str, str]
    blobs: Mapping[str, str]
    findings: tuple[Finding, ...]
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """A cursor at the top."""
        return Source(self.positions, self.data)

    def compare_environments(self) -> Compared:
        """What is wrong between the environments of this spec, whichever of them it was read with."""
        bare = Source(self.positions, self.bare)
        return environments.compare(self.location, self.folder, bare, self.contents)

    def environments(self) -> tuple[str, ...]:
        """The names of this spec's environments, sorted."""
        return environments.names(self.location, self.folder)


def read_spec(
    location: str, environment: str | None = None, contents: Mapping[str, bytes] | None = None
) -> SpecSource:
    """The spec at ``location``, a file, a folder, or ``REV:path``; with ``environment`` merged over it.

    ``contents`` are read in place of the files of these names. Faults of the files are returned as findings, of all files at once; raises UsageError when there
    is nothing to read there, or no such environment.
    """
    contents = contents or {}
    files = with_contents(read_files(location), contents)
    over = environments.select(location, files.folder, environment) if environment is not None else None
    read = _with_left_out(
        parse_spec(files, location, with_contents(over, contents) if over is not None else None)
    )
    return replace(read, contents=contents) if contents else read


def read_first_specs(
    choices: Sequence[Sequence[str]], environment: str | None = None
) -> tuple[SpecSource | None, ...]:
    """Of each choice the spec at the first location where there is one, as :func:`read_spec` has it; None where there is none.

    A choice is of the work tree, or of one revision. What several of the specs hold is parsed once.
    """
    parsed = ParsedFiles()
    found: list[SpecSource | None] = []
    for each in read_first_files(choices):
        if each is None:
            found.append(None)
            continue
        location, files = each
        over = environments.select(location, files.folder, environment) if environment is not None else None
        found.append(_with_left_out(parse_spec(files, location, over, parsed)))
    return tuple(found)


def parse_spec(
    files: SpecFiles, location: str, environment: SpecFiles | None = None, parsed: ParsedFiles | None = None
) -> SpecSource:
    """The spec that ``files`` hold, with ``environment`` merged over it; what is among ``parsed`` is not parsed."""
    positions = Positions()
    read = read_tops(files, positions, parsed)
    texts, findings, data = dict(read.texts), list(read.findings), read.data
    if environment is not None:
        over = read_tops(environment, positions, parsed)
        data, faults = overlay(data, over.data, positions)
        texts |= over.texts
        findings += (*over.findings, *faults)
    findings.extend(clashes(data, positions))
    if not data and not findings:
        at = Position(shown(location), 1, 1)
        findings.append(finding("empty-spec", at, "there is no spec here: no YAML file with anything in it"))
    blobs = {file.name: file.blob for each in (files, environment) if each for file in each.files}
    return SpecSource(location, files.folder, data, read.data, positions, texts, blobs, in_order(findings))


def _with_left_out(read: SpecSource) -> SpecSource:
    """With a finding where one file was read that has nothing to compile, and files beside it do: the folder is meant."""
    if read.findings or not read.data or any(each in read.data for each in _PARTS):
        return read
    beside = read_beside(read.location, read.folder).files
    names = [each.name for each in beside if each.name not in read.blobs and _HAS_PARTS.search(each.content)]
    if not names:
        return read
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    folder = shown(read.folder) or "."
    message = (
        f"there are no services in this file alone, and there are in {', '.join(names[:_SHOWN])}{more}: "
        f"name the folder, `{folder}`, in its place"
    )
    at = Position(shown(read.location), 1, 1)
    return replace(read, findings=(finding("empty-spec", at, message),))
