"""One mesh and its requests through the simulator and through real sidecars: where do they disagree?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshctl.ir import Proxy
from tests.behaviour.tables import Row
from tests.behaviour.world import World
from tests.differential import oracle
from tests.differential.emulations import declared
from tests.differential.exchanges import Exchange, exchange
from tests.differential.logs import log_faults
from tests.differential.shares import share_faults
from tests.differential.worlds import Document, running

CALLERS = tuple(Proxy)


@dataclass(frozen=True)
class Disagreement:
    """A request of which the proxies make something else than the simulator."""

    caller: Proxy
    row: Row
    faults: list[str]

    def __str__(self) -> str:
        row = self.row
        more = "".join(
            f" {name}={value!r}" for name, value in told(row).items() if name not in ("method", "target")
        )
        return f"from {self.caller}: {row.method} {row.target}{more}\n" + "\n".join(
            f"    {each}" for each in self.faults
        )


def told(row: Row) -> dict[str, Any]:
    """What is particular of a row, as a table writes it."""
    plain = Row("", row.expect)
    names = ("method", "host", "target", "headers", "body", "orders", "http", "raw")
    return {name: getattr(row, name) for name in names if getattr(row, name) != getattr(plain, name)}


@dataclass
class Comparison:
    """``pairs``: requests that each proxy had to do with, as the caller's and as the callee's."""

    disagreements: list[Disagreement] = field(default_factory=list)
    pairs: Counter = field(default_factory=Counter)
    emulated: Counter = field(default_factory=Counter)
    """Differences that are declared, by the reason."""


def compare(
    document: Document, rows: Sequence[Row], callers: Sequence[Proxy] = CALLERS, *, folder: Path
) -> Comparison:
    """Start the mesh, ask everything from every caller, and judge."""
    with running(document, callers, folder) as world:
        return judge(document, world, exchange(world, rows, callers))


def judge(document: Document, world: World, exchanges: list[Exchange]) -> Comparison:
    """The answers, then the access logs, then the draws."""
    found = Comparison()
    agreed = set()
    for number, each in enumerate(exchanges):
        found.pairs[f"{each.caller} calls"] += 1
        callee = document["services"].get(callee_of(each.row, document), {}).get("proxy")
        found.pairs[f"{callee} is called"] += 1
        faults = oracle.faults(world.mesh, each)
        why = declared(world.mesh, each, faults) if faults else None
        if why is not None:
            found.emulated[why] += 1
        elif faults:
            found.disagreements.append(Disagreement(each.caller, each.row, faults))
        else:
            agreed.add(number)
    for number, faults in sorted(log_faults(world, exchanges).items()):
        if number in agreed:
            found.disagreements.append(Disagreement(exchanges[number].caller, exchanges[number].row, faults))
    for each, fault in share_faults(world.mesh, [exchanges[number] for number in sorted(agreed)]):
        found.disagreements.append(Disagreement(each.caller, each.row, [fault]))
    return found


def callee_of(row: Row, document: Document) -> str:
    """Whose routes a request is aimed at: the service that its host names."""
    return next((name for name in document["services"] if name in (row.host or "").lower()), "")
