"""Two runs of the benchmarks side by side: python -m benchmarks compare BEFORE.json AFTER.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import columns

TOLERANCE = 1.15
"""More than this times as much is a regression worth a look."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one operation costs against what it did, each in the measure of its own run where it has a limit."""

    operation: str
    before: float
    after: float
    times: float

    @property
    def is_regression(self) -> bool:
        return self.times > TOLERANCE


def read(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The rows of the compiler that `--json` wrote, by operation; what a request costs is compared within one run."""
    return {row["operation"]: row for row in json.loads(path.read_bytes()) if "operation" in row}


def compare(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[Ratio]:
    """The operations that both runs have, in the order of the second."""
    for operation, row in after.items():
        was = before.get(operation)
        if was is None:
            continue
        # A limit in seconds is a multiple of work in the same run, so that a slower machine does not count.
        both = was["limit"], row["limit"]
        one, other = (
            (was["figure"] / both[0], row["figure"] / both[1])
            if row["unit"] == "s" and all(both)
            else (was["figure"], row["figure"])
        )
        yield Ratio(operation, was["figure"], row["figure"], _times(one, other))


def _times(before: float, after: float) -> float:
    if not before:
        return 1.0 if not after else float("inf")
    return after / before


def render(ratios: Sequence[Ratio]) -> str:
    """The table as text, and what got slower below it."""
    lines = [("operation", "before", "after", "times", "")]
    lines += [
        (
            each.operation,
            f"{each.before:.3f}",
            f"{each.after:.3f}",
            f"{each.times:.2f}",
            "slower" if each.is_regression else "",
        )
        for each in ratios
    ]
    slower = sum(each.is_regression for each in ratios)
    return f"{columns(lines)}\n{slower} of {len(lines) - 1} cost over {TOLERANCE - 1:.0%} more\n"
