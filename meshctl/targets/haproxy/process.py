"""How the sidecar is started."""

from __future__ import annotations

RUN = b"""\
#!/bin/sh
# Starts this sidecar in the foreground; SIGTERM ends it. HAPROXY=... chooses the binary.
set -eu
cd "$(dirname "$0")"
mkdir -p ../run
chmod 700 ../run
exec "${HAPROXY:-haproxy}" -W -db -p ../run/haproxy.pid -f haproxy.cfg
"""
