"""The `before` and `after` of a policy's case: specs that say only what the case is about, and what changes between them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from meshctl.diagnostics import UsageError
from meshctl.pipeline.checking import Validated, check, understand
from meshctl.pipeline.comparing import change_between

if TYPE_CHECKING:
    from meshctl.lint import Specs, World
    from meshctl.spec.source import Node

_DAY = date(2000, 1, 1)
"""Of cases: what depends on the day is no matter of theirs."""


def compare_case(specs: Specs) -> World | str:
    """The facts about the change, or why one of the specs is none."""
    from meshctl import lint

    sides = sides_of(specs)
    if isinstance(sides, str):
        return sides
    before, after = sides
    if after.spec is None:
        raise AssertionError
    change = change_between(before.require(), after.require())
    return lint.world(after.require(), after.spec, _DAY, change)


def sides_of(specs: Specs) -> tuple[Validated, Validated] | str:
    """Two valid specs, or why one of them is none."""
    sides = []
    for name, node in (("before", specs.before), ("after", specs.after)):
        try:
            side = _validated(name, node)
        except UsageError as error:
            return f"`{name}`: {error}"
        if side.mesh is None:
            fault = next(each for each in side.findings if each.is_error)
            return f"`{name}` is no valid spec: {fault.message}"
        sides.append(side)
    before, after = sides
    return before, after


def _validated(name: str, node: Node) -> Validated:
    import orjson

    from meshctl.load import SpecFiles, parse_spec
    from meshctl.load.files import source_file

    file = source_file(name, orjson.dumps(_whole(node)))
    return check(understand(parse_spec(SpecFiles((file,), ()), f"{name}:")))


def _whole(node: Node) -> Node:
    """The spec with a name, and a port and an endpoint for each service, where it has none of its own."""
    if not isinstance(node, Mapping):
        return node
    services = node.get("services", {})
    whole = {"apiVersion": "meshctl.dev/v1", **node, "services": services}
    mesh = {"name": "mesh", "domain": "mesh.test", "trustDomain": "mesh.example"}
    whole["mesh"] = {**mesh, **node["mesh"]} if isinstance(node.get("mesh"), Mapping) else mesh
    if services == {}:
        del whole["services"]
    elif isinstance(services, Mapping):
        whole["services"] = {
            name: {"port": "80", "endpoints": [{"address": _address(name)}], **each}
            if isinstance(each, Mapping)
            else each
            for name, each in services.items()
        }
    return whole


def _address(service: str) -> str:
    """One of its own in each mesh that it is part of."""
    number = zlib.crc32(service.encode("utf-8", "replace"))
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 127 or 1}"
