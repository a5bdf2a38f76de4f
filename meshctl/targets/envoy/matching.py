"""Conditions on a request: path, method, query, and header lines one by one.

Envoy's own matchers see repeated header lines as one that is joined with commas, so a filter in Lua looks at
them first and leaves what it found as dynamic metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from meshctl.ir import HeaderMatch, PathMatch, PathMatchKind, QueryMatch, RouteMatch, ValueMatchKind
from meshctl.targets.envoy.protobuf import Message, regex_literal, typed

_NAMESPACE = "meshctl.headers"


class HeaderTable:
    """All header conditions of a listener, numbered in order of appearance."""

    def __init__(self, conditions: Iterable[HeaderMatch]) -> None:
        wanted = dict.fromkeys(each for each in conditions if each.kind is not ValueMatchKind.PRESENT)
        exact = (each for each in wanted if each.kind is ValueMatchKind.EXACT)
        self._numbers = {header: number for number, header in enumerate(exact)}
        self._names: dict[str, dict[str, int]] = {each.name: {} for each in wanted}
        for header, number in self._numbers.items():
            self._names[header.name][header.value] = number
        self._listed = {each.name for each in wanted if each.kind is ValueMatchKind.REGEX}

    def matcher(self, header: HeaderMatch) -> Message:
        """``envoy.type.matcher.v3.MetadataMatcher``: whether the condition holds for any line."""
        match header.kind:
            case ValueMatchKind.EXACT:
                return _metadata(str(self._numbers[header]), {"bool_match": True})
            case ValueMatchKind.REGEX:
                line = {"string_match": {"safe_regex": {"regex": header.value}}}
                return _metadata(_lines_key(header.name), {"list_match": {"one_of": line}})
            case ValueMatchKind.PRESENT:
                # Whether there is a line at all, Envoy can tell by itself.
                raise ValueError(header)
        assert_never(header.kind)

    def http_filters(self) -> list[Message]:
        """The filter that looks at the lines, where any condition needs it."""
        if not self._names:
            return []
        rows = "".join(self._row(name) for name in self._names)
        return [
            {
                "name": "header-match",
                "typed_config": typed(
                    "filters.http.lua.v3.Lua",
                    default_source_code={"inline_string": _SCRIPT.replace("ROWS", rows)},
                ),
            }
        ]

    def _row(self, name: str) -> str:
        values = "".join(
            f"[{lua_string(value)}] = {lua_string(str(number))}, "
            for value, number in self._names[name].items()
        )
        listed = lua_string(_lines_key(name)) if name in self._listed else "nil"
        return f"  {{{lua_string(name)}, {{{values}}}, {listed}}},\n"


_SCRIPT = f"""local conditions = {{
ROWS}}
function envoy_on_request(request)
  local headers, metadata, found = request:headers(), request:streamInfo():dynamicMetadata(), false
  for _, condition in ipairs(conditions) do
    local name, numbers, listed, lines = condition[1], condition[2], condition[3], {{}}
    for index = 0, headers:getNumValues(name) - 1 do
      -- Envoy leaves blanks at the ends of a value that came over HTTP/2; the application drops them.
      local line = string.gsub(headers:getAtIndex(name, index) or "", "^[ \\t]+", "")
      line = string.match(line, "^.*[^ \\t]") or ""
      if numbers[line] then
        metadata:set("{_NAMESPACE}", numbers[line], true)
        found = true
      end
      lines[index + 1] = line
    end
    if listed and lines[1] then
      metadata:set("{_NAMESPACE}", listed, lines)
      found = true
    end
  end
  if found then request:clearRouteCache() end
end
"""


def _metadata(key: str, value: Message) -> Message:
    return {"filter": _NAMESPACE, "path": [{"key": key}], "value": value}


def _lines_key(name: str) -> str:
    """Numbers are keys too, and a header's name may be one."""
    return f"lines {name}"


def lua_string(text: str) -> str:
    """A Lua string; all but letters and digits as decimal escapes, so nothing can end it."""
    inner = "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03d}" for byte in text.encode()
    )
    return f'"{inner}"'


def route_match(match: RouteMatch, methods: tuple[str, ...], table: HeaderTable) -> Message:
    """``envoy.config.route.v3.RouteMatch``; ``methods`` are those of the match, or a part of them."""
    matched = _path(match.path)
    read = [each for each in match.headers if each.kind is not ValueMatchKind.PRESENT]
    headers = [
        *method_headers(methods),
        *(
            {"name": each.name, "present_match": True}
            for each in match.headers
            if each.kind is ValueMatchKind.PRESENT
        ),
    ]
    if read:
        matched["dynamic_metadata"] = [table.matcher(each) for each in read]
    if headers:
        matched["headers"] = headers
    if match.queries:
        matched["query_parameters"] = [_query(each) for each in match.queries]
    return matched


def _path(path: PathMatch) -> Message:
    match path.kind:
        case PathMatchKind.EXACT:
            return {"path": path.value, "case_sensitive": True}
        case PathMatchKind.PREFIX if path.takes_everything:
            return {"prefix": "/", "case_sensitive": True}
        case PathMatchKind.PREFIX:
            return {"path_separated_prefix": path.value, "case_sensitive": True}
        case PathMatchKind.REGEX:
            return {"safe_regex": {"regex": path.value}, "case_sensitive": True}
        case other:
            assert_never(other)


def path_strings(path: PathMatch) -> list[Message]:
    """``envoy.type.matcher.v3.StringMatcher`` over a path without its query; any of them is enough."""
    match path.kind:
        case PathMatchKind.EXACT:
            return [{"exact": path.value}]
        case PathMatchKind.PREFIX if path.takes_everything:
            return [{"prefix": "/"}]
        case PathMatchKind.PREFIX:
            return [{"exact": path.value}, {"prefix": f"{path.value}/"}]
        case PathMatchKind.REGEX:
            return [{"safe_regex": {"regex": path.value}}]
        case other:
            assert_never(other)


def method_headers(methods: tuple[str, ...]) -> list[Message]:
    """``envoy.config.route.v3.HeaderMatcher`` for any of ``methods``; none: every method."""
    if not methods:
        return []
    regex = "|".join(regex_literal(method) for method in methods)
    matcher = {"exact": methods[0]} if len(methods) == 1 else {"safe_regex": {"regex": regex}}
    return [{"name": ":method", "string_match": matcher}]


def _query(query: QueryMatch) -> Message:
    """Envoy splits the query as the language does: raw, at ``&`` alone, the first of a name decides."""
    match query.kind:
        case ValueMatchKind.EXACT:
            return {"name": query.name, "string_match": {"exact": query.value}}
        case ValueMatchKind.REGEX:
            return {"name": query.name, "string_match": {"safe_regex": {"regex": query.value}}}
        case ValueMatchKind.PRESENT:
            return {"name": query.name, "present_match": True}
    assert_never(query.kind)
