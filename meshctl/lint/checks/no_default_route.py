"""Requests that no route takes, with an example: they are answered 404."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.diagnostics import Severity
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.tables import Table, tables
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown
from meshctl.lint.requests import Effort, Search, UndecidedError, conditions

MOST = 5_000_000
"""The effort for one mesh."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """The first virtual host of each service or gateway in which some request finds no route."""
    told: set[str] = set()
    undecided: dict[str, tuple[Table, str]] = {}
    left = Effort(MOST)
    for table in tables(world):
        service = table[0].service
        if service in told:
            continue
        asked = [conditions(each) for each in table]
        try:
            request = None if () in asked else Search([], asked, effort=Effort(whole=left)).run()
        except UndecidedError as error:
            undecided.setdefault(service, (table, str(error)))
            continue
        if request is not None:
            told.add(service)
            hosts = shown(table[0].hostnames)
            how = f"no route of `{service}` takes {request}: it is answered 404 (hosts {hosts})"
            yield Violation(place(table[-1]), {"service": service, "how": how})
    for service, (table, why) in undecided.items():
        if service not in told:
            how = f"whether every request finds a route of `{service}` was not found out: {why}"
            yield Violation(place(table[-1]), {"service": service, "how": how}, severity=Severity.INFO)


CHECK = Check(check, {}, ("service", "how"))
