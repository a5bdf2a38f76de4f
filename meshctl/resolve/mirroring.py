"""Mirrors: names become clusters; all requests where no share is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.splitting import cluster_name
from meshctl.spec import Source
from meshctl.spec.mirroring import MirrorSpec


def mirrors(target: str, written: Sequence[MirrorSpec] | None, source: Source) -> tuple[ir.Mirror, ...]:
    """The copies of a route's requests. ``target`` is whose subsets are named, ``source`` the place of the list."""
    return tuple(
        ir.Mirror(
            cluster_name(each.service or target, each.subset),
            Fraction(1) if each.percent is None else each.percent,
            source.at(index),
        )
        for index, each in enumerate(written or ())
        if each.percent != 0
    )


def check(written: Sequence[MirrorSpec] | None, source: Source) -> Iterator[Finding]:
    """Faults that the mirrors of one route have by themselves; ``source`` is their place."""
    for index, mirror in enumerate(written or ()):
        if (mirror.subset is None) == (mirror.service is None):
            yield finding("not-exactly-one", source.at(index), "a mirror is either a `subset` or a `service`")
        if mirror.percent == 0:
            yield finding(
                "ineffective-setting", source[index].at("percent"), "0% of the requests are mirrored"
            )
