"""How many of the traces that begin at this sidecar are sampled. NGINX sends no spans, see `tracing.lua`."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.quoting import Token


def share(tracing: ir.Tracing | None) -> Token | None:
    """None where no trace begins or is changed here."""
    return quoting.lua_fraction(tracing.sampling) if tracing else None
