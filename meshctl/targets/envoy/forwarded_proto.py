"""Envoy adds ``x-forwarded-proto`` to every request that has none; the mesh hands on what was sent."""

from __future__ import annotations

from meshctl.targets.envoy.protobuf import Message, typed

_HEADER = "x-forwarded-proto"
_KEPT = "x-mesh-forwarded-proto"


def keep() -> list[Message]:
    """An early mutation, before Envoy adds its own: puts the application's value aside."""
    return [
        {
            "name": "keep-forwarded-proto",
            "typed_config": typed(
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                # An empty one left in place would be as none, and Envoy finds no route without.
                mutations=[{"remove": _KEPT}, _copy(_KEPT, _HEADER), {"remove": _HEADER}],
            ),
        }
    ]


def kept(name: str) -> str:
    """The header to change where ``name`` is meant, for a route's changes come before :func:`restore`."""
    return _KEPT if name == _HEADER else name


def added(name: str, value: str) -> list[Message]:
    """What adds a line to the header, where that is this one: Envoy has it in one line."""
    if name != _HEADER:
        return []
    joined = {"key": _KEPT, "value": f"%REQ({_KEPT})%,{value}"}
    return [
        {"header": joined, "append_action": "OVERWRITE_IF_EXISTS"},
        {"header": {"key": _KEPT, "value": value}, "append_action": "ADD_IF_ABSENT"},
    ]


def insist(scheme: str) -> Message:
    """Adds the header where there is none, for a request whose route is chosen again behind the router."""
    return {"header": {"key": _KEPT, "value": scheme}, "append_action": "ADD_IF_ABSENT"}


def restore() -> Message:
    """Fields of a VirtualHost that put it back, or leave none.

    Not a filter: where the header is missing, Envoy no longer finds a route.
    """
    return {
        "request_headers_to_remove": [_HEADER],
        "request_headers_to_add": [_copy(_HEADER, _KEPT)["append"]],
    }


def forget(*others: str) -> Message:
    """Fields of a RouteConfiguration, which take effect after those of its virtual hosts."""
    return {"request_headers_to_remove": [_KEPT, *others], "most_specific_header_mutations_wins": False}


def _copy(to: str, origin: str) -> Message:
    return {
        "append": {
            "header": {"key": to, "value": f"%REQ({origin})%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }
