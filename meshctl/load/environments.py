"""Environments: what ``environments/`` beside a spec holds, and what must differ between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related, UsageError
from meshctl.load.document import read_yaml
from meshctl.load.files import SourceFile, SpecFiles, shown, with_contents
from meshctl.load.location import read_environments
from meshctl.load.merging import merge
from meshctl.load.parsed import ParsedFiles
from meshctl.spec.source import Node, Positions, Source
from meshctl.spec.types import LABEL_PATTERN

_LABEL = re.compile(LABEL_PATTERN)
_NAME_RULE = "the name of an environment is a DNS label (a-z, 0-9 and -, at most 63 characters)"
_OWN_DOMAIN = (
    "Give it a `mesh.trustDomain` of its own; or, if it has a CA of its own, say so in a waiver at `mesh`."
)


class Compared(Struct, frozen=True):
    """What is wrong between the environments of a spec, and the texts of their files."""

    findings: tuple[Finding, ...]
    texts: Mapping[str, str]


class Tops(Struct, frozen=True):
    """The files of a spec, or of one environment, each read; ``data`` is their one top level."""

    data: dict[str, Node]
    texts: Mapping[str, str]
    findings: tuple[Finding, ...]


def read_tops(files: SpecFiles, positions: Positions, parsed: ParsedFiles | None = None) -> Tops:
    """All of ``files`` as one top level; every file's faults are told. Files that are among ``parsed`` are not parsed."""
    texts: dict[str, str] = {}
    findings = list(files.findings)
    tops: list[dict[str, Node]] = []
    for file in files.files:
        if parsed is None:
            document = read_yaml(file.content, file.name, positions)
        else:
            document = parsed.read(file, positions)
        texts[file.name] = document.text
        findings.extend(document.findings)
        if isinstance(document.node, dict):
            tops.append(document.node)
        elif document.node is not None:
            message = "the top level of a spec is a mapping, with keys such as `services:`"
            findings.append(finding("invalid-value", Position(file.name, 1, 1), message))
    data, twice = merge(tops, positions)
    return Tops(data, texts, (*findings, *twice))


def select(location: str, folder: str, name: str) -> SpecFiles:
    """The files of the environment ``name`` of the spec at ``location``, which is in ``folder``.

    Raises UsageError when there is no such environment, or there can be none.
    """
    if not _LABEL.fullmatch(name):
        raise UsageError(f"`{shown(name[:80])}` cannot be an environment: {_NAME_RULE}")
    read = read_environments(location, folder)
    known = _by_name(read)
    if name not in known:
        there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        raise UsageError(f"there is no environment `{name}` in {shown(read.folder)}/ ({there})")
    return known[name]


def names(location: str, folder: str) -> tuple[str, ...]:
    """The names of the environments of the spec at ``location``, which is in ``folder``; sorted."""
    return tuple(sorted(_by_name(read_environments(location, folder))))


def compare(location: str, folder: str, bare: Source, contents: Mapping[str, bytes]) -> Compared:
    """Whether every environment differs from the others, and from the ``bare`` spec, in its trust domain.

    The bare spec counts, for it is what is built when somebody forgets `--env`. Nothing but the trust
    domains is looked at.
    """
    read = with_contents(read_environments(location, folder), contents)
    findings = [each for each in read.findings if not _name(read, each.at.file if each.at else "")]
    texts: dict[str, str] = {}
    holders: dict[str, tuple[str, Position | None]] = {}
    _claim(holders, "the spec without an environment", bare)
    for name, files in sorted(_by_name(read).items()):
        positions = Positions()
        start = Position(files.files[0].name, 1, 1) if files.files else None
        if not _LABEL.fullmatch(name):
            findings.append(finding("invalid-value", start, f"{_NAME_RULE}, not `{shown(name[:80])}`"))
        tops = read_tops(files, positions)
        texts |= tops.texts
        findings.extend(tops.findings)
        if not tops.findings:
            findings.extend(_shared(holders, name, Source(positions, tops.data), bare, start))
    return Compared(tuple(findings), texts)


def _shared(
    holders: dict[str, tuple[str, Position | None]],
    name: str,
    source: Source,
    bare: Source,
    start: Position | None,
) -> Iterator[Finding]:
    own = "trustDomain" in source["mesh"]
    written = source if own else bare
    domain = written["mesh"]["trustDomain"].node
    before = _claim(holders, f"environment `{name}`", written)
    if before is None:
        return
    who, at = before
    message = f"environment `{name}` has the trust domain `{domain}`, and so has {who}"
    related = (Related(at, "there"),) if at else ()
    place = source["mesh"].value_at("trustDomain") if own else source.at("mesh") or start
    yield finding("shared-trust-domain", place, message, fix=_OWN_DOMAIN, related=related)


def _claim(
    holders: dict[str, tuple[str, Position | None]], who: str, source: Source
) -> tuple[str, Position | None] | None:
    """Who had the trust domain of ``source`` before ``who``, and where that was written."""
    domain = source["mesh"]["trustDomain"].node
    if not isinstance(domain, str):
        return None
    mine = who, source["mesh"].value_at("trustDomain")
    before = holders.setdefault(domain, mine)
    return None if before is mine else before


def _by_name(read: SpecFiles) -> dict[str, SpecFiles]:
    """The files of each environment: ``prod.yaml``, or all of ``prod/``."""
    files: dict[str, list[SourceFile]] = {}
    faults: dict[str, list[Finding]] = {}
    for file in read.files:
        files.setdefault(_name(read, file.name), []).append(file)
    for each in read.findings:
        faults.setdefault(_name(read, each.at.file if each.at else ""), []).append(each)
    everywhere = faults.pop("", [])
    return {
        name: SpecFiles(
            tuple(files.get(name, ())), (*everywhere, *faults.get(name, ())), f"{read.folder}/{name}"
        )
        for name in files.keys() | faults.keys()
    }


def _name(read: SpecFiles, path: str) -> str:
    """The environment that the file at ``path`` belongs to; empty for the folder of all of them."""
    below = path.removeprefix(f"{shown(read.folder)}/")
    if below == path:
        return ""
    first, _, rest = below.partition("/")
    return first if rest else first.removesuffix(".yaml").removesuffix(".yml")
