"""Matching repeated headers line by line, which Envoy's route matchers cannot: they see one joined line."""

from __future__ import annotations

from collections.abc import Iterable

from meshctl.ir import HeaderMatch, VirtualHost
from meshctl.targets.envoy.protobuf import Message, typed

_NAMESPACE = "meshctl.headers"


class HeaderTable:
    """All header conditions of a listener, numbered in order of appearance."""

    def __init__(self, virtual_hosts: Iterable[VirtualHost]) -> None:
        conditions = (
            header for host in virtual_hosts for route in host.routes for header in route.match.headers
        )
        self._numbers = {header: number for number, header in enumerate(dict.fromkeys(conditions))}

    def matcher(self, header: HeaderMatch) -> Message:
        """``envoy.type.matcher.v3.MetadataMatcher``: whether the filter found the condition to hold."""
        return {
            "filter": _NAMESPACE,
            "path": [{"key": str(self._numbers[header])}],
            "value": {"bool_match": True},
        }

    def http_filters(self) -> list[Message]:
        """The filter that evaluates the conditions, where there are any."""
        if not self._numbers:
            return []
        rows = "".join(
            f"  {{{_quote(header.name)}, {_quote(header.value)}, {_quote(str(number))}}},\n"
            for header, number in self._numbers.items()
        )
        return [
            {
                "name": "header-match",
                "typed_config": typed(
                    "filters.http.lua.v3.Lua",
                    default_source_code={"inline_string": _SCRIPT.replace("ROWS", rows)},
                ),
            }
        ]


_SCRIPT = f"""local conditions = {{
ROWS}}
function envoy_on_request(request)
  local headers, found = request:headers(), false
  for _, condition in ipairs(conditions) do
    for line = 0, headers:getNumValues(condition[1]) - 1 do
      if headers:getAtIndex(condition[1], line) == condition[2] then
        request:streamInfo():dynamicMetadata():set("{_NAMESPACE}", condition[3], true)
        found = true
        break
      end
    end
  end
  if found then request:clearRouteCache() end
end
"""


def _quote(text: str) -> str:
    """A Lua string; all but letters and digits as decimal escapes, so nothing can end it."""
    inner = "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03d}" for byte in text.encode()
    )
    return f'"{inner}"'
