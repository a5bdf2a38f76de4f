"""What `diff` tells, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from meshctl.cli import reach_json

if TYPE_CHECKING:
    from meshctl.cli.diff_limits import Exceeded
    from meshctl.diff import Change, FileChange
    from meshctl.ir.change import Narrowed, NewWay, Opened
    from meshctl.pipeline import Compared

SCHEMA_VERSION = 1
MOST_WAYS = 1000
"""So many are told of those who reach another newly, or no more, through others."""


def document(
    compared: Compared,
    files: Iterable[FileChange],
    over: Sequence[Exceeded],
    missing: str | None,
) -> dict[str, object]:
    """What `schemas/diff.schema.json` describes; ``missing`` is the side that has no spec, `before` or `after`."""
    diff, made = compared.diff, compared.change
    return {
        "schemaVersion": SCHEMA_VERSION,
        "differs": diff.differs,
        "missing": missing,
        "changes": [change(each) for each in diff.changes],
        "renamed": [{"before": old, "after": new} for old, new in diff.renamed],
        "consequences": [
            {"effect": each.effect.value, "services": list(each.services), "text": each.text}
            for each in diff.consequences
        ],
        "sidecars": [change(each) for each in diff.sidecars],
        "callers": list(made.callers),
        "reach": {
            "added": _pairs(diff.reach_added),
            "removed": _pairs(diff.reach_removed),
            "opened": [_opened(each) for each in made.opened],
            "closed": _pairs(made.closed),
            "narrowed": [_narrowed(each) for each in made.narrowed],
            "ways": [_way(each) for each in compared.ways[:MOST_WAYS]],
            "lost": _pairs(compared.lost[:MOST_WAYS]),
            "more": len(compared.ways[MOST_WAYS:]) + len(compared.lost[MOST_WAYS:]),
        },
        "order": list(diff.order),
        "exceeded": [
            {"limit": f"{each.what}s", "allowed": each.allowed, "found": each.found} for each in over
        ],
        "files": [
            {
                "path": file.path,
                "sign": file.sign.value,
                "diff": "".join(f"{line}\n" for line in file.lines),
            }
            for file in files
        ],
    }


def change(each: Change) -> dict[str, object]:
    """One change with all that is inside it."""
    return {
        "sign": each.sign.value,
        "what": each.what,
        "name": each.name,
        "before": each.before,
        "after": each.after,
        "of": each.of,
        "meaning": each.meaning,
        "changes": [change(inside) for inside in each.changes],
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, object]]:
    return [{"caller": caller, "callee": callee} for caller, callee in pairs]


def _way(each: NewWay) -> dict[str, object]:
    caller, callee = each.pair
    return {
        "names": list(each.names),
        "new": {"caller": caller, "callee": callee},
        "because": each.because,
        "text": each.words,
    }


def _opened(each: Opened) -> dict[str, object]:
    permission = each.permission
    return {
        "caller": each.caller,
        "callee": each.callee,
        "more": each.more,
        "called": each.called,
        "ground": permission.ground.value,
        "proved": permission.proved,
        "example": reach_json.example(permission),
        "text": each.words,
    }


def _narrowed(each: Narrowed) -> dict[str, object]:
    caller, callee = each.pair
    return {
        "caller": caller,
        "callee": callee,
        "proved": each.permission.proved,
        "example": reach_json.example(each.permission),
        "text": each.words,
    }
