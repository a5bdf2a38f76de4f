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
# The C library gives memory back to the kernel each time a buffer of 64 KB is freed, and asks for it anew with the next
# request: a quarter of what a request costs.
_MEMORY = "export MALLOC_TRIM_THRESHOLD_=67108864 MALLOC_TOP_PAD_=1048576\n"
_AFTER = 'exec "${HAPROXY:-haproxy}" -W -db -p ../run/haproxy.pid -f haproxy.cfg\n'


def run(sidecar: ir.Sidecar) -> bytes:
    """The script ``run``."""
    return (_BEFORE + "".join(gateways.links(sidecar.outbound)) + _MEMORY + _AFTER).encode()
