"""The files that a spec names and a build needs: the keys of token issuers."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import Finding
from meshctl.load import limits
from meshctl.load.files import SourceFile
from meshctl.load.location import read_named as read_one
from meshctl.load.reading import SpecSource
from meshctl.load.text import too_large
from meshctl.spec import MeshSpec

_SMALLER = "Save what the issuer publishes (`jwks_uri`), and of that only keys that still sign tokens."


class NamedFiles(Struct, frozen=True):
    """The contents and git's ids of what was read, by the path as written, and findings where the rest is named."""

    contents: dict[str, bytes]
    blobs: tuple[str, ...]
    findings: tuple[Finding, ...]


def read_named(spec: SpecSource, written: MeshSpec) -> NamedFiles:
    """Every file that ``written`` names, each once. A file that cannot be read is a finding where it is named."""
    files: dict[str, SourceFile | Finding] = {}
    findings = []
    for issuer, path in _named(written):
        if path not in files:
            files[path] = _bounded(read_one(spec.location, spec.folder, path))
        read = files[path]
        if isinstance(read, Finding):
            at = spec.source["mesh"]["jwt"]["issuers"][issuer].value_at("jwks")
            message = f"{read.at.file if read.at else path}: {read.message}"
            findings.append(replace(read, at=at, message=message))
    found = {path: each for path, each in files.items() if isinstance(each, SourceFile)}
    contents = {path: each.content for path, each in found.items()}
    return NamedFiles(contents, tuple(each.blob for each in found.values()), tuple(findings))


def _named(written: MeshSpec) -> Iterator[tuple[str, str]]:
    jwt = written.mesh.jwt
    for name, issuer in (jwt.issuers if jwt is not None else {}).items():
        yield name, issuer.jwks


def _bounded(read: SourceFile | Finding) -> SourceFile | Finding:
    large = read.slug == "too-large" if isinstance(read, Finding) else len(read.content) > limits.NAMED_BYTES
    if not large:
        return read
    name = read.name if isinstance(read, SourceFile) else read.at.file if read.at else ""
    return replace(too_large(name, limits.NAMED_BYTES), fix=_SMALLER)
