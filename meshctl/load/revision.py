"""The files of a spec from a git revision, read from the object store: no checkout, no hooks, no shell.

Two processes for a revision, three for two of them (one more for each where symbolic links are involved), whatever the
number of files. See decision 0020.
"""

from __future__ import annotations

import posixpath
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct, structs

from meshctl.cache import premises
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, NotThereError, Position, ToolError, UsageError
from meshctl.load import limits
from meshctl.load.files import ENVIRONMENTS, SourceFile, SpecFiles, is_spec_file, shown, source_file
from meshctl.load.text import too_large

_GIT = (
    "git",
    "--no-pager",
    "--no-replace-objects",
    "--no-optional-locks",
    "--literal-pathspecs",
    # A partial clone would fetch a missing blob; a build never talks to anyone.
    *("-c", "protocol.allow=never"),
    # Whatever the user has set: a log without the words of gpg, in UTF-8.
    *("-c", "log.showSignature=false", "-c", "i18n.logOutputEncoding=UTF-8"),
)
_SECONDS = 60
_LINK = "120000"
_REGULAR = frozenset({"100644", "100755"})


class _Entry(Struct, frozen=True):
    """A line of ``ls-tree``; ``path`` is relative to the spec's folder, empty when the spec is this file."""

    mode: str
    blob: str
    size: int
    path: str


def read(location: str) -> SpecFiles:
    """The spec at ``REV:path``; a path counts from the top of the repository, ``./path`` from here.

    Raises UsageError for an unknown revision, NotThereError for a path that it does not have, ToolError when git is missing
    or fails.
    """
    revision, _, path = location.partition(":")
    if not revision:
        raise UsageError(f"{shown(location)}: no such file; to read a git revision write REV:path")
    ((_, read),) = (each or _nothing(revision, path) for each in read_first([[location]]))
    return read


def _nothing(revision: str, path: str) -> NoReturn:
    raise NotThereError(
        f"{shown(path)}: not in revision {shown(revision)} (write ./path to start from the working folder)"
    )


def read_first(choices: Sequence[Sequence[str]]) -> tuple[tuple[str, SpecFiles] | None, ...]:
    """Of each choice of locations in one revision the first where there is something, and the spec there.

    One process lists each revision, and one more gives the contents of all: most of them are the same.
    """
    revisions = [_first(each) for each in choices]
    chosen = [each.chosen() if each is not None else [] for each in revisions]
    contents = _blobs(list(dict.fromkeys(entry.blob for entries in chosen for entry in entries)))
    return tuple(
        (each.location, each.files(entries, contents)) if each is not None else None
        for each, entries in zip(revisions, chosen, strict=True)
    )


def _first(locations: Sequence[str]) -> _Revision | None:
    paths = [each.partition(":")[2] for each in locations]
    listed = _listing(locations[0].partition(":")[0], paths)
    for location, path in zip(locations, paths, strict=True):
        entries = list(_below_path(listed, path))
        if entries:
            return _Revision(location, entries)
    return None


def read_environments(folder: str) -> SpecFiles:
    """The files in ``environments/`` below ``folder``, a ``REV:path``; none when there is no such folder."""
    location = _below(folder, ENVIRONMENTS)
    revision, _, path = location.partition(":")
    entries = [each for each in _entries(revision, path) if each.path or each.mode == _LINK]
    return structs.replace(_Revision(location, entries, each_once=False).read(), folder=location)


def read_beside(location: str, folder: str) -> SpecFiles:
    """The files directly in ``folder``, a ``REV:path``; none where the spec at ``location`` is that folder."""
    revision, _, path = folder.partition(":")
    if _normal(location.partition(":")[2]) == _normal(path):
        return SpecFiles((), (), folder)
    return _Revision(folder, [each for each in _entries(revision, path) if "/" not in each.path]).read()


def read_named(folder: str, path: str) -> SourceFile | Finding:
    """The file at ``path`` below ``folder``, a ``REV:path``."""
    revision, _, within = folder.partition(":")
    return _Revision(folder, _entries(revision, within)).file(path)


def merge_base(one: str, other: str) -> str:
    """The best common ancestor of two revisions, by its full id. Raises as :func:`read`, and UsageError when there is none."""
    ids = [
        git(
            "rev-parse", "--verify", "-q", "--end-of-options", f"{each}^{{commit}}", on_nothing=_unknown(each)
        )
        for each in (one, other)
    ]
    nothing = f"{shown(one)} and {shown(other)} have no commit in common"
    found = git("merge-base", *(each.decode().strip() for each in ids), on_nothing=nothing)
    return found.decode().strip()


def _unknown(revision: str) -> str:
    return f"there is no revision {shown(revision)} here"


def _below(location: str, path: str) -> str:
    return f"{location}{path}" if location.endswith((":", "/")) else f"{location}/{path}"


def _entries(revision: str, path: str) -> list[_Entry]:
    return list(_below_path(_listing(revision, [path]), path))


def _listing(revision: str, paths: Sequence[str]) -> list[_Entry]:
    """All files below these paths, which count from the top of the repository, or all from here."""
    scope = () if all(map(_is_here, paths)) else ("--full-tree",)
    wanted = [_normal(each) for each in paths]
    narrowed = () if "." in wanted else ("--", *wanted)
    listing = git("ls-tree", "-r", "-z", "-l", *scope, "--end-of-options", revision, *narrowed)
    found = []
    for line in listing.split(b"\0")[:-1]:
        facts, _, raw = line.partition(b"\t")
        mode, kind, blob, size = facts.decode().split()
        if kind == "blob":
            found.append(_Entry(mode, blob, int(size), raw.decode("utf-8", "surrogateescape")))
    return found


def _is_here(path: str) -> bool:
    return path in {".", ".."} or path.startswith(("./", "../"))


def _normal(path: str) -> str:
    return posixpath.normpath(path) if path else "."


def _below_path(listed: Iterable[_Entry], path: str) -> Iterator[_Entry]:
    """Those at or below ``path``, with their paths from there on."""
    wanted = _normal(path)
    for each in listed:
        if wanted == ".":
            yield each
        elif each.path == wanted or each.path.startswith(f"{wanted}/"):
            yield structs.replace(each, path=each.path[len(wanted) + 1 :])


def git(*arguments: str, stdin: bytes = b"", on_nothing: str = "") -> bytes:
    """What git prints. Raises UsageError with its first line (``on_nothing`` where it has none) when it refuses, ToolError when it is missing or does not answer."""
    premises.unknown()
    try:
        run = subprocess.run(
            [*_GIT, *arguments], input=stdin, capture_output=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError as error:
        raise ToolError("git is not installed, and a revision cannot be read without it") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"git {arguments[0]} did not answer within {_SECONDS} s") from error
    if run.returncode:
        message = run.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        told = f"git: {shown(message.removeprefix('fatal: '))}" if message else on_nothing
        raise UsageError(f"{told}{_shallow()}")
    return run.stdout


def is_shallow() -> bool:
    """Whether the clone ends before the beginning."""
    try:
        asked = subprocess.run(
            [*_GIT, "rev-parse", "--is-shallow-repository"],
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.stdout.strip() == b"true"


def _shallow() -> str:
    """What to do where a revision may be unknown only because the clone ends before it."""
    if not is_shallow():
        return ""
    return " (this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in CI)"


def _blobs(ids: Sequence[str]) -> dict[str, bytes]:
    """The contents of the blobs, by id, from one ``cat-file --batch``."""
    if not ids:
        return {}
    answer = git("cat-file", "--batch", stdin="".join(f"{each}\n" for each in ids).encode())
    contents: dict[str, bytes] = {}
    start = 0
    for each in ids:
        end = answer.index(b"\n", start)
        facts = answer[start:end].split()
        if len(facts) != 3 or facts[1] != b"blob":
            raise ToolError(f"git does not have the object {each} (a partial clone?)")
        size = int(facts[2])
        contents[each] = answer[end + 1 : end + 1 + size]
        start = end + size + 2
    return contents


class _Revision:
    """The choice of files from one listing. With ``each_once`` a file has one name, whatever links there are."""

    def __init__(self, location: str, entries: list[_Entry], *, each_once: bool = True) -> None:
        self.location = location
        self._each_once = each_once
        self._by_path = {entry.path: entry for entry in entries}
        self._findings: list[Finding] = []

    def read(self) -> SpecFiles:
        entries = self.chosen()
        return self.files(entries, _blobs([entry.blob for entry in entries]))

    def chosen(self) -> list[_Entry]:
        """The files of the spec, where they are not too large."""
        chosen = [self._by_path[path] for path in sorted(self._by_path) if not path or is_spec_file(path)]
        return self._bounded(self._followed(chosen))

    def files(self, chosen: list[_Entry], contents: Mapping[str, bytes]) -> SpecFiles:
        """Those with their contents, which are given by blob."""
        files: tuple[SourceFile, ...] = tuple(
            source_file(self._name(entry.path), contents[entry.blob]) for entry in chosen
        )
        return SpecFiles(files, tuple(self._findings), self._folder())

    def file(self, path: str) -> SourceFile | Finding:
        """The one file at ``path``, which need not be one of the spec's."""
        entry = self._by_path.get(path)
        if entry is None:
            return finding("unreadable-file", self._start(path), "No such file or directory")
        found = self._bounded(self._followed([entry]))
        if not found:
            return self._findings[0]
        return source_file(self._name(path), _blobs([found[0].blob])[found[0].blob])

    def _followed(self, chosen: list[_Entry]) -> list[_Entry]:
        """The entries with symbolic links replaced by what they lead to."""
        links = _blobs([entry.blob for entry in chosen if entry.mode == _LINK])
        found: dict[str, _Entry] = {}
        for entry in chosen:
            if entry.mode in _REGULAR:
                found.setdefault(entry.path, entry)
                continue
            goal = links[entry.blob].decode("utf-8", "surrogateescape")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), goal))
            target = self._by_path.get(path)
            if target is None or target.mode not in _REGULAR:
                message = "a symbolic link leads out of the spec's folder, or to no regular file"
                self._findings.append(finding("unreadable-file", self._start(entry.path), message))
            else:
                followed = _Entry(target.mode, target.blob, target.size, entry.path)
                found.setdefault(path if self._each_once else entry.path, followed)
        return list(found.values())

    def _bounded(self, entries: list[_Entry]) -> list[_Entry]:
        small = [entry for entry in entries if entry.size <= limits.FILE_BYTES]
        self._findings.extend(
            too_large(shown(self._name(entry.path))) for entry in entries if entry.size > limits.FILE_BYTES
        )
        if len(small) > limits.FILES or sum(entry.size for entry in small) > limits.SPEC_BYTES:
            message = f"the spec is larger than {limits.FILES:,} files or {limits.SPEC_BYTES >> 20} MiB"
            self._findings.append(finding("too-large", self._start(""), message))
            return []
        return small

    def _start(self, path: str) -> Position:
        return Position(shown(self._name(path)), 1, 1)

    def _name(self, path: str) -> str:
        if not path:
            return self.location
        return _below(self.location, path)

    def _folder(self) -> str:
        if "" not in self._by_path:
            return self.location
        revision, _, path = self.location.partition(":")
        return f"{revision}:{posixpath.dirname(path)}"
