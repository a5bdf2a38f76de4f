"""One row for each target: what was measured, the limit, and whether it was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.children import Cost


@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure beside its limit; ``limit`` None is a figure without a target."""

    operation: str
    figure: float
    unit: str
    target: str
    limit: float | None = None
    wall: float | None = None
    megabytes: float | None = None

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, or nothing where there is no target."""
        if self.limit is None:
            return ""
        return "met" if self.figure <= self.limit else "missed"


def seconds(operation: str, cost: Cost, target: str, limit: float | None) -> Row:
    """A row for what a command costs."""
    return Row(operation, cost.cpu, "s", target, limit, cost.wall, cost.megabytes)


def render(rows: Sequence[Row]) -> str:
    """The table as text."""
    cells = [("operation", "measured", "limit", "", "target", "wall", "memory")]
    cells += [
        (
            row.operation,
            f"{row.figure:.3f} {row.unit}",
            "" if row.limit is None else f"{row.limit:.3f} {row.unit}",
            row.verdict,
            row.target,
            "" if row.wall is None else f"{row.wall:.3f} s",
            "" if row.megabytes is None else f"{row.megabytes:.0f} MB",
        )
        for row in rows
    ]
    return columns(cells)


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Texts below each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
