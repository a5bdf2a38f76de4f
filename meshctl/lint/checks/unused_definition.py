"""What is written down and has no part in anything, so that nobody has to wonder what it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Services alone, externals that nobody calls, subsets that no route names, issuers that no rule asks for."""
    copied = {mirror.partition(".")[0] for route in world.routes for mirror in route.mirrors}
    for service in world.services.values():
        if not service.callers and not service.calls and service.name not in copied:
            yield Violation(place(service), {"what": f"`{service.name}` calls nobody, and nobody calls it"})
        if service.unused_subsets:
            names = shown(service.unused_subsets)
            yield Violation(
                place(service, "endpoints"),
                {"what": f"no route names these subsets of `{service.name}`: {names}"},
            )
    for external in world.externals:
        if not external.callers:
            yield Violation(place(external), {"what": f"nobody calls `{external.name}`"})
    for issuer in world.mesh.unused_issuers:
        yield Violation(
            place(world.mesh, "jwt", "issuers", issuer), {"what": f"no rule asks for a token of `{issuer}`"}
        )


CHECK = Check(check, {}, ("what",))
