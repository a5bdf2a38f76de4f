"""Mirrors: no target lowers them yet, but what is wrong about them is told all the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Source
from meshctl.spec.mirroring import MirrorSpec


def check(mirrors: Sequence[MirrorSpec] | None, source: Source) -> Iterator[Finding]:
    """Faults that the mirrors of one route have by themselves; ``source`` is their place."""
    for index, mirror in enumerate(mirrors or ()):
        if (mirror.subset is None) == (mirror.service is None):
            yield finding("not-exactly-one", source.at(index), "a mirror is either a `subset` or a `service`")
