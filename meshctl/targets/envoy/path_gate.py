"""The gate: a request target is canonical, its Host single and its method in capitals, or the answer is 400."""

from __future__ import annotations

from typing import Any

from meshctl.targets.envoy.protobuf import Message, typed

_LITERAL = r"!\x22$&-\-0-:<->@-\[\]-~"
"""Bytes of a segment that stand for themselves, but ``.`` and ``;``, which the rules below single out."""

_ESCAPE = (
    "%(?:0[1-9A-Fa-f]|1[0-9A-Fa-f]|2[0-9A-Ca-c]|3[A-Fa-f]|40|5[BbDdEe]|60|7[B-Db-dFf]|[89A-Fa-f][0-9A-Fa-f])"
)
"""An escape that is whole, needed, and stands neither for ``/`` nor ``\\`` nor NUL."""

_PLAIN = f"(?:[{_LITERAL}]|{_ESCAPE})"
_ANY = f"(?:[{_LITERAL}.;]|{_ESCAPE})"
_SEGMENT = rf"(?:(?:{_PLAIN}|;|\.{_PLAIN}|\.\.(?:{_PLAIN}|\.)){_ANY}*)"

CANONICAL_TARGET = rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?(?:\?[!\x22$-~]*)?"
"""Whole match over path and query. It says what is let in, so that a byte forgotten here is refused."""

SINGLE_HOST = "[^,]+"
"""Envoy joins two Host lines with a comma, which no host name has."""

METHOD = "[A-Z_-]+"
"""Frameworks take ``delete`` for DELETE, which rules do not. Over HTTP/1.1 Envoy refuses it by itself."""


_REFUSED = "request target or host refused"


def http_filter() -> Message:
    """The first filter of every listener. Its 403 becomes 400 in :func:`local_reply`."""
    canonical = [
        {"header": {"name": ":path", **_matching(CANONICAL_TARGET)}},
        {"header": {"name": ":authority", **_matching(SINGLE_HOST)}},
        {"header": {"name": ":method", **_matching(METHOD)}},
    ]
    policy = {"permissions": [{"and_rules": {"rules": canonical}}], "principals": [{"any": True}]}
    return {
        "name": "path-gate",
        "typed_config": typed(
            "filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {"canonical": policy}}
        ),
    }


def local_reply() -> Message:
    """Turns a refusal into 400, where the request is one that the gate refuses.

    403 is the gate's own; 404 is what Envoy answers to ``OPTIONS *`` before any filter sees it. The
    gate's dynamic metadata would say so more shortly, but it is written after the reply.
    """
    refused = [
        _on_header(":path", present_match=False),
        _on_header(":path", **_matching(CANONICAL_TARGET), invert_match=True),
        _on_header(":authority", **_matching(SINGLE_HOST), invert_match=True),
        _on_header(":method", **_matching(METHOD), invert_match=True),
    ]
    conditions = [
        {"or_filter": {"filters": [_on_status(403), _on_status(404)]}},
        {"or_filter": {"filters": refused}},
    ]
    return {
        "filter": {"and_filter": {"filters": conditions}},
        "status_code": 400,
        "body": {"inline_string": _REFUSED},
    }


def _matching(regex: str) -> Message:
    return {"string_match": {"safe_regex": {"regex": regex}}}


def _on_header(name: str, **match: Any) -> Message:  # noqa: ANN401 - any field of a HeaderMatcher
    return {"header_filter": {"header": {"name": name, **match}}}


def _on_status(status: int) -> Message:
    value = {"default_value": status, "runtime_key": f"meshctl.gate.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
