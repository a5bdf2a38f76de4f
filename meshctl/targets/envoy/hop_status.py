"""The two statuses that sidecars keep for each other, see docs/wire-contract.md.

Header mutations may not touch ``:status``, so it takes Lua; behind a match on the status it is only
called for answers that need it: docs/decisions/0010-envoy-beside-its-defaults.md.
"""

from __future__ import annotations

from meshctl.ir.mesh import CARRIED_STATUS, HOP_STATUS, STATUS_HEADER
from meshctl.targets.envoy import grpc, status_match
from meshctl.targets.envoy.protobuf import Message, typed

_CARRY = f"""function envoy_on_response(response)
  response:headers():replace(":status", "{CARRIED_STATUS}")
  response:headers():replace("{STATUS_HEADER}", "{HOP_STATUS}")
end
"""

_BRING_BACK = f"""function envoy_on_response(response)
  local headers = response:headers()
  if headers:get(":status") == "{HOP_STATUS}" then
    headers:replace(":status", "503")
  elseif headers:get("{STATUS_HEADER}") == "{HOP_STATUS}" then
    headers:replace(":status", "{HOP_STATUS}")
  end
end
"""


def dead_application(*, multiplexed: bool = False) -> Message:
    """A local-reply mapper: the application could not be reached and saw nothing of the request."""
    mark = grpc.mark_dead() if multiplexed else {}
    return {"filter": {"response_flag_filter": {"flags": ["UF"]}}, "status_code": HOP_STATUS, **mark}


def carry_over() -> list[Message]:
    """Filters of the cluster of an application, or of an external whose 425 is just a status.

    Envoy's own answers, such as the above, do not pass there.
    """
    # Responses go through from the last to the first.
    return [status_match.lua_when("carry-status", (HOP_STATUS,), _CARRY), _drop_status_header()]


def bring_back(*, http2: bool = False) -> list[Message]:
    """Filters of the outbound listener, where an answer is the last of all its tries."""
    return [
        _drop_status_header(),
        status_match.lua_when("bring-status-back", (HOP_STATUS, CARRIED_STATUS), _BRING_BACK),
        *([grpc.unreached()] if http2 else []),
    ]


def _drop_status_header() -> Message:
    return {
        "name": "drop-status-header",
        "typed_config": typed(
            "filters.http.header_mutation.v3.HeaderMutation",
            mutations={"response_mutations": [{"remove": STATUS_HEADER}]},
        ),
    }
