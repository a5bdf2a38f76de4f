"""How the sidecar is started."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import gateways

_BEFORE = """\
#!/bin/sh
# Starts this sidecar in the foreground; SIGTERM ends it. HAPROXY=... chooses the binary.
set -eu
cd "$(dirname "$0")"
mkdir -p ../run
chmod 700 ../run
"""
_AFTER = 'exec "${HAPROXY:-haproxy}" -W -db -p ../run/haproxy.pid -f haproxy.cfg\n'


def run(sidecar: ir.Sidecar) -> bytes:
    """The script ``run``."""
    return (_BEFORE + "".join(gateways.links(sidecar.outbound)) + _AFTER).encode()
