"""A built bundle put live on this host: checked, exchanged at once, proved to be served, or taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class State(StrEnum):
    """What became of a bundle; a word for people and for JSON."""

    APPLIED = "applied"
    UP_TO_DATE = "up-to-date"
    IN_PLACE = "in-place"
    """Its files are there, and no sidecar runs: none did before."""
    PLANNED = "planned"
    """In a dry run: it would be applied."""
    REFUSED = "refused"
    """Nothing was changed."""
    ROLLED_BACK = "rolled-back"
    """It was not proved to be served, and what was there before is again."""
    FAILED = "failed"
    NOT_REACHED = "not-reached"
    RECOVERED = "recovered"

    @property
    def exit_code(self) -> int:
        """What it makes of the whole run, the largest counts."""
        return {State.REFUSED: 1, State.ROLLED_BACK: 1, State.FAILED: 2}.get(self, 0)


class Outcome(Struct, frozen=True):
    """What became of one bundle."""

    bundle: str
    state: State
    build: str = ""
    before: str = ""
    """The build that was in place before; empty where none was, or nobody knows."""
    message: str = ""


class Wanted(Struct, frozen=True):
    """What to put live, and how."""

    bundle: Path
    """The folder that `meshctl build` wrote."""
    target: Path
    """The folder with the bundles of this host."""
    chosen: Sequence[str] = ()
    """Services, or ``service/instance``, in the order in which they take their turns; none: what the target has."""
    certificates: Path | None = None
    """A folder with the bundles' ``tls`` folders below it, laid out as a build."""
    restart: Sequence[str] = ()
    """A program and its arguments that ends a sidecar and starts it anew; none: only reloads."""
    dry_run: bool = False


Report = Callable[[Outcome], None]


def apply(wanted: Wanted, now: datetime, report: Report) -> tuple[Outcome, ...]:
    """Put bundles live, one after the other, none before all were checked; ends with the first that is not served.

    ``now`` is UTC. Each outcome is reported as it is known. Raises UsageError, ToolError and OSError before anything is changed, and
    KeyboardInterrupt when what was begun has been taken back.
    """
    from meshctl.pipeline import rolling_out

    return rolling_out.apply(wanted, now, report)


def recover(target: Path, restart: Sequence[str], report: Report) -> tuple[Outcome, ...]:
    """Finish or undo what an apply left that was cut short. Raises UsageError, ToolError and OSError."""
    from meshctl.pipeline import rolling_out

    return rolling_out.recover(target, restart, report)
