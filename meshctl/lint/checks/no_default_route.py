"""Requests that no route takes, with an example: they are answered 404."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.tables import tables
from meshctl.lint.facts import Value, World, place
from meshctl.lint.requests import Search, UndecidedError, conditions


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """The first virtual host of each service or gateway in which some request finds no route."""
    told: set[str] = set()
    for table in tables(world):
        service = table[0].service
        if service in told:
            continue
        asked = [conditions(each) for each in table]
        try:
            request = None if () in asked else Search([], asked).run()
        except UndecidedError:
            request = None
        if request is not None:
            told.add(service)
            yield Violation(
                place(table[-1]),
                {"service": service, "hostnames": table[0].hostnames, "request": str(request)},
            )


CHECK = Check(check, {}, ("service", "hostnames", "request"))
