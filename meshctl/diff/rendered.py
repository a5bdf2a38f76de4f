"""Two sets of output files as unified diffs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import unified_diff

from msgspec import Struct

from meshctl.artifacts import Artifact
from meshctl.diff.change import Sign

_NOTHING = "/dev/null"


class FileChange(Struct, frozen=True):
    """One output file that differs. ``lines`` is a unified diff without line ends."""

    sign: Sign
    path: str
    lines: tuple[str, ...]


def compare_artifacts(before: Iterable[Artifact], after: Iterable[Artifact]) -> Iterator[FileChange]:
    """The files that differ, by path. A change of the executable bit alone is told in words."""
    old, new = {each.path: each for each in before}, {each.path: each for each in after}
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path), new.get(path)
        if one == other:
            continue
        sign = Sign.ADDED if one is None else Sign.REMOVED if other is None else Sign.CHANGED
        yield FileChange(sign, path, tuple(_lines(path, one, other)))


def _lines(path: str, before: Artifact | None, after: Artifact | None) -> Iterator[str]:
    yield from unified_diff(
        _text(before),
        _text(after),
        fromfile=f"a/{path}" if before else _NOTHING,
        tofile=f"b/{path}" if after else _NOTHING,
        lineterm="",
    )
    if before and after and before.executable != after.executable:
        yield f"{path} is {'executable now' if after.executable else 'no longer executable'}"


def _text(artifact: Artifact | None) -> list[str]:
    return artifact.content.decode("utf-8", "backslashreplace").splitlines() if artifact else []
