"""Which files a spec is made of, and their bytes; nothing here knows YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha1, sha256

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import Finding

_SUFFIXES = (".yaml", ".yml")
_TESTS = (".test.yaml", ".test.yml")
ENVIRONMENTS = "environments"
"""The folder beside a spec that holds what `--env` merges over it."""

_NOT_SPEC = frozenset({ENVIRONMENTS, "policies"})


class SourceFile(Struct, frozen=True):
    """One file of a spec. ``name`` is what the user is shown, ``blob`` the id that git gives these bytes."""

    name: str
    content: bytes
    blob: str


class SpecFiles(Struct, frozen=True):
    """The files of a spec in order of their paths, and findings about those that could not be read.

    ``folder`` is the one that they are in, as the beginning of a location.
    """

    files: tuple[SourceFile, ...]
    findings: tuple[Finding, ...]
    folder: str = ""


def source_file(name: str, content: bytes) -> SourceFile:
    """The file ``name`` with its blob id."""
    digest = sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return SourceFile(shown(name), content, digest.hexdigest())


def with_contents(read: SpecFiles, contents: Mapping[str, bytes]) -> SpecFiles:
    """The same files, as if those named in ``contents`` held that."""
    if not contents:
        return read
    files = (
        source_file(each.name, contents[each.name]) if each.name in contents else each for each in read.files
    )
    return replace(read, files=tuple(files))


def shown(path: str) -> str:
    """``path`` with everything escaped that a terminal could not print, or would obey."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def is_spec_folder(parts: Iterable[str]) -> bool:
    """Whether the folder with this path below the spec's own can hold files of the spec."""
    parts = tuple(parts)
    return not any(part.startswith(".") for part in parts) and not (parts and parts[0] in _NOT_SPEC)


def is_test_file(path: str) -> bool:
    """Whether the file with this path below the spec's folder holds route tests."""
    *folders, name = path.split("/")
    return name.endswith(_TESTS) and not name.startswith(".") and is_spec_folder(folders)


def is_spec_file(path: str) -> bool:
    """Whether the file with this path below the spec's folder is part of the spec."""
    *folders, name = path.split("/")
    wanted = name.endswith(_SUFFIXES) and not name.endswith(_TESTS) and not name.startswith(".")
    return wanted and is_spec_folder(folders)


def digest_of(blobs: Iterable[str]) -> str:
    """``sha256:…`` by which a build names its spec: of the ids that git gives all of its files, wherever they are."""
    return "sha256:" + sha256(repr(sorted(blobs)).encode()).hexdigest()
