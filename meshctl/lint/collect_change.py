"""The facts about a change, from what is known of it and the words of the spec after it."""

from __future__ import annotations

from meshctl.ir.change import MeshChange
from meshctl.lint.facts import ChangeFacts
from meshctl.spec import Spec


def change(made: MeshChange, spec: Spec) -> ChangeFacts:
    """Everything that the rules can ask about ``made``, which leads to ``spec``."""
    return ChangeFacts(
        sidecars=made.sidecars,
        routes=made.routes,
        callers=made.callers,
        services_added=made.services_added,
        services_removed=made.services_removed,
        opened=tuple(f"{each.caller} -> {each.callee}" for each in made.opened),
        closed=tuple(f"{caller} -> {callee}" for caller, callee in made.closed),
        ordered=tuple(each.what for each in made.ordered),
        made=made,
        places={
            name: spec.source[section][name]
            for section in ("services", "externals", "gateways")
            if section in spec.source
            for name in spec.source[section].node or ()
        },
        source=spec.source["mesh"],
    )
