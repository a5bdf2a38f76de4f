"""From files to a mesh that means something, or to the findings that say why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl import ir
from meshctl.diagnostics import Finding, FindingsError, Position, in_order

if TYPE_CHECKING:
    from meshctl.load import SpecSource
    from meshctl.spec import Source, Spec

UNREADABLE = frozenset({"yaml-syntax", "unreadable-file", "too-large"})
"""Slugs of findings that say that a file could not be read at all; they give exit code 2."""

_NOTHING_LOST = frozenset({"duplicate-key", "duplicate-definition", "nothing-to-delete"})
_ECHOES = frozenset({"missing-key", "empty-value"})


class Loaded(Struct, frozen=True):
    """A spec as read: the right shape, or the findings that say why not."""

    spec: Spec | None
    source: Source
    """What could be read of it, whatever its shape."""
    read: SpecSource
    """The same as its files, beside other environments."""
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    """Every file by the name that findings use, so that they can show the line."""
    digest: str
    """``sha256:…`` of all files' contents, wherever they are."""
    unreadable: bool = False
    """Whether any file is not readable YAML."""
    environment: str | None = None
    """What was merged over it."""


class Validated(Struct, frozen=True):
    """A spec that means something, or the findings. ``mesh`` is None when there is an error."""

    spec: Spec | None
    mesh: ir.Mesh | None
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    digest: str
    source: Source
    """What could be read of it, whatever its shape."""
    unreadable: bool = False
    """Whether the files themselves could not be read, let alone understood."""
    environment: str | None = None
    """What was merged over the spec."""

    def require(self) -> ir.Mesh:
        """The mesh; raises FindingsError when there is none."""
        if self.mesh is None:
            error = FindingsError(self.findings, self.texts)
            error.exit_code = 2 if self.unreadable else 1
            raise error
        return self.mesh


def load(
    location: str, environment: str | None = None, contents: Mapping[str, bytes] | None = None
) -> Loaded:
    """Read a file, a folder or ``REV:path``, and merge the environment over it; ``contents`` in place of files of these names.

    Raises UsageError when there is nothing to read, or no such environment. A file that cannot be read does not hide faults of shape in the others.
    """
    from meshctl.load import read_spec

    return understand(read_spec(location, environment, contents), environment)


def understand(read: SpecSource, environment: str | None = None, other: Spec | None = None) -> Loaded:
    """The rest of :func:`load`, for files that are read already; with what ``other`` has of them, too, taken from there."""
    from meshctl.load import read_named
    from meshctl.load.files import digest_of, shown
    from meshctl.load.shape import shape
    from meshctl.spec import Source, Spec

    source = Source(read.positions, read.data)
    written, faults = shape(source, other) if read.data or not read.findings else (None, ())
    spec, blobs, lost = None, tuple(read.blobs.values()), read.findings
    if written is not None and not read.findings:
        named = read_named(read, written)
        blobs, lost = (*blobs, *named.blobs), named.findings
        spec = None if lost else Spec(written, source, named.contents)
    digest = digest_of(blobs)
    unreadable = any(each.slug in UNREADABLE for each in lost)
    top = Position(next(iter(read.texts)) if len(read.texts) == 1 else shown(read.location), 1, 1)
    found = (structs.replace(each, at=each.at or top) for each in _sound(faults, read))
    findings = in_order((*lost, *found))
    return Loaded(spec, source, read, findings, read.texts, digest, unreadable, environment)


def _sound(faults: Iterable[Finding], read: SpecSource) -> Iterator[Finding]:
    """Without what may be missing only because its part of a file could not be read, or is told of its place already."""
    told = {each.at for each in read.findings}
    lossy = {each.at.file for each in read.findings if each.at and each.slug not in _NOTHING_LOST}
    for each in faults:
        lost = each.at.file in lossy if each.at else bool(lossy)
        if not (lost and each.slug in _ECHOES) and (each.at is None or each.at not in told):
            yield each


def validate(
    location: str,
    *,
    environment: str | None = None,
    proxy: str | None = None,
    on_loopback: bool = False,
    today: date | None = None,
    contents: Mapping[str, bytes] | None = None,
) -> Validated:
    """Shape, references, meaning, and what the chosen proxies can do; all findings at once.

    ``environment`` is merged over the spec, ``proxy`` takes the place of every sidecar's, ``on_loopback``
    moves all of it onto one machine, ``contents`` are read in place of the files of these names. With ``today`` expired waivers, permissive mTLS after its end and environments that share a trust
    domain are findings too, and the mesh has no build ids: dates and other environments never keep a spec
    from being built, and who asks about them does not build.
    """
    from meshctl import resolve

    loaded = load(location, environment, contents)
    validated = check(loaded, proxy=proxy, on_loopback=on_loopback, builds=today is None)
    if today is None or validated.spec is None:
        return validated
    compared = loaded.read.compare_environments()
    outlived = (*resolve.expired(validated.spec, today), *resolve.ended(validated.spec, today))
    between = resolve.waive(compared.findings, validated.spec, errors={"shared-trust-domain"})
    return structs.replace(
        validated,
        findings=in_order((*validated.findings, *between, *outlived)),
        texts={**compared.texts, **validated.texts},
        unreadable=any(each.slug in UNREADABLE for each in between),
    )


def check(
    loaded: Loaded, *, proxy: str | None = None, on_loopback: bool = False, builds: bool = True
) -> Validated:
    """The rest of :func:`validate`, for a spec that is loaded already."""
    from meshctl import resolve
    from meshctl.targets.check import check as check_targets

    if loaded.spec is None:
        return Validated(
            None,
            None,
            loaded.findings,
            loaded.texts,
            loaded.digest,
            loaded.source,
            loaded.unreadable,
            loaded.environment,
        )
    spec = resolve.with_proxy(loaded.spec, proxy) if proxy else loaded.spec
    resolution = resolve.resolve(resolve.loopback(spec) if on_loopback else spec, builds=builds)
    findings = list(resolution.findings)
    mesh = resolution.mesh
    if mesh is not None:
        findings += check_targets(mesh)
    found = in_order(resolve.waive(findings, spec))
    if any(each.is_error for each in found):
        mesh = None
    return Validated(
        spec,
        mesh,
        found,
        loaded.texts,
        loaded.digest,
        loaded.source,
        environment=loaded.environment,
    )


def resolved_json(mesh: ir.Mesh) -> str:
    """The resolved model as JSON, durations in milliseconds, ``at`` true where the user wrote a thing."""
    import orjson

    from meshctl.resolve.digest import plain

    return orjson.dumps(mesh, default=plain, option=orjson.OPT_INDENT_2).decode() + "\n"


def capabilities(location: str | None = None, environment: str | None = None) -> list[dict[str, object]]:
    """A row for each feature: what each proxy makes of it; with a spec, only what its mesh uses."""
    from meshctl.targets.check import table

    if location is None:
        return table()
    return table(validate(location, environment=environment).require())
