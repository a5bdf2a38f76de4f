"""How much one change may touch."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from meshctl.pipeline import Compared


class FailOn(StrEnum):
    """What `diff --fail-on` takes."""

    DIFFERENCE = "difference"
    LIMIT = "limit"


class Exceeded(Struct, frozen=True):
    """A limit that a change is over."""

    what: str
    """`sidecar` or `caller`."""
    verb: str
    found: int
    allowed: int


class Limits(Struct, frozen=True):
    """What may differ, each None where nobody says, and what fails."""

    sidecars: int | None
    callers: int | None
    fail_on: FailOn


def exceeded(compared: Compared, sidecars: int | None, callers: int | None) -> Iterator[Exceeded]:
    """The limits, where they are set, that the change is over."""
    for what, verb, found, allowed in (
        ("sidecar", "to deploy", len(compared.diff.sidecars), sidecars),
        ("caller", "affected", len(compared.change.callers), callers),
    ):
        if allowed is not None and found > allowed:
            yield Exceeded(what, verb, found, allowed)


def exit_code(compared: Compared, over: tuple[Exceeded, ...], fail_on: FailOn) -> int:
    """1 where ``fail_on`` says so; a limit that is exceeded always fails."""
    return int(bool(over) or (fail_on is FailOn.DIFFERENCE and compared.diff.differs))
