"""Filters that only answers with certain statuses reach, so that all others do without them."""

from __future__ import annotations

from meshctl.targets.envoy.protobuf import Message, typed

_STATUS = {
    "name": "status",
    "typed_config": typed("type.matcher.v3.HttpResponseStatusCodeMatchInput"),
}


def lua_when(name: str, statuses: tuple[int, ...], script: str) -> Message:
    """Lua for answers with one of ``statuses``: docs/decisions/0010-envoy-beside-its-defaults.md."""
    lua = typed("filters.http.lua.v3.Lua", default_source_code={"inline_string": script})
    return skipping(name, {"not_matcher": any_of(statuses)}, lua)


def unless(name: str, status: int, config: Message) -> Message:
    """A filter for all answers but those with ``status``."""
    return skipping(name, any_of((status,)), config)


def any_of(statuses: tuple[int, ...]) -> Message:
    """A predicate: the answer has one of ``statuses``."""
    wanted = [
        {"single_predicate": {"input": _STATUS, "value_match": {"exact": str(status)}}} for status in statuses
    ]
    return wanted[0] if len(wanted) == 1 else {"or_matcher": {"predicate": wanted}}


def skipping(name: str, predicate: Message, config: Message) -> Message:
    """A filter for all that ``predicate`` does not hold of."""
    skip = {"name": "skip", "typed_config": typed("filters.common.matcher.action.v3.SkipFilter")}
    return {
        "name": name,
        "typed_config": typed(
            "common.matching.v3.ExtensionWithMatcher",
            xds_matcher={
                "matcher_list": {"matchers": [{"predicate": predicate, "on_match": {"action": skip}}]}
            },
            extension_config={"name": name, "typed_config": config},
        ),
    }
