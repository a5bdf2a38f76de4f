"""A sidecar that is a small Python program, with bundles whose `reload` brings what they say: applies in milliseconds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from meshctl.cli.app import run as meshctl

ADMIN = "127.87.1.1:15000"
FOLDER = "web"
SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 127.87.1.1}]}
"""
# It says by /build what `../run/served` holds. Its program says `Python 3.x` of itself, and so do the manifests here.
SIDECAR = """\
import http.server, os, pathlib, sys
class Admin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path("../run/served").read_bytes()
        self.send_response(200 if body else 503)
        self.end_headers()
        self.wfile.write(b'{"build": "%s"}' % body)
    def log_message(self, *arguments):
        pass
host, _, port = sys.argv[1].partition(":")
pathlib.Path("../run").mkdir(exist_ok=True)
with http.server.ThreadingHTTPServer((host, int(port)), Admin) as server:
    pathlib.Path("../run/served").write_bytes(pathlib.Path("build").read_bytes())
    pathlib.Path("../run/pid").write_text(str(os.getpid()))
    server.serve_forever()
"""
RELOAD = """\
#!/bin/sh
set -eu
cd -- "$(dirname -- "$0")"
if [ "${1:-}" = check ]; then
    [ ! -e refused ] || { echo "nothing was changed: the proxy does not take it"; exit 1; }
    [ ! -e fixed ] || { echo "another than the sidecar was started with"; exit 2; }
    exit 0
fi
[ ! -e unserved ] || { echo "what ran goes on"; exit 1; }
[ ! -e other ] || { printf sha256:somebody-else >../run/served; exit 0; }
cp build ../run/new
mv ../run/new ../run/served
"""
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def build_id(word: str) -> str:
    return f"sha256:{hashlib.sha256(word.encode()).hexdigest()}"


def bundle(root: Path, word: str, *more: str) -> Path:
    """A built folder whose only bundle serves the build of ``word``, with ``more`` files, whose names order what comes of it."""
    out = root / word
    files = {
        "README": word,
        "identity.json": (root / "identity.json").read_text(),
        "envoy/run": "#!/bin/sh\n",
        "envoy/reload": RELOAD,
        "envoy/build": build_id(word),
        f"envoy/only-{word}": word,
        **{f"envoy/{name}": name for name in more},
    }
    for path, text in files.items():
        (out / FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (out / FOLDER / path).write_text(text)
        (out / FOLDER / path).chmod(0o755 if path in ("envoy/run", "envoy/reload") else 0o644)
    digests = {
        f"{FOLDER}/{path}": {"sha256": hashlib.sha256(text.encode()).hexdigest()}
        | ({"executable": True} if path in ("envoy/run", "envoy/reload") else {})
        for path, text in files.items()
    }
    manifest = {
        "schemaVersion": 1,
        "meshctl": "0.1.0",
        "mesh": "shop",
        "spec": build_id(word),
        "waivers": [],
        "proxies": {"envoy": VERSION},
        "builds": {FOLDER: {"proxy": "envoy", "build": build_id(word), "admin": ADMIN}},
        "files": digests,
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def certificates(root: Path) -> None:
    """``identity.json`` and two sets of certificates, ``certs`` and ``newer``, below ``root``."""
    (root / "mesh.yaml").write_text(SPEC)
    ca = str(root / "ca")
    assert meshctl(["certs", "init", str(root / "mesh.yaml"), "--ca", ca]) == 0
    for name in ("certs", "newer"):
        out = str(root / name)
        assert meshctl(["build", str(root / "mesh.yaml"), "-o", out, "--ca", ca, "--verify", "none"]) == 0
    shutil.copy(root / "certs" / FOLDER / "identity.json", root / "identity.json")
    # Where no sidecar runs, the installed program is asked.
    program = root / "envoy"
    program.write_text(f'#!/bin/sh\n[ "$1" != --version ] || exec {sys.executable} --version\n')
    program.chmod(0o755)


def served(host: Path) -> str:
    return (host / FOLDER / "run/served").read_text()


def files(host: Path) -> dict[str, str]:
    """What whoever opens a bundle's files reads, but for links that lead nowhere."""
    root = host / FOLDER
    found = [root / "README", root / "identity.json", *sorted((root / "envoy").iterdir())]
    return {str(each.relative_to(root)): each.read_text() for each in found if each.exists()}


@contextlib.contextmanager
def running(host: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The sidecar runs from ``host``, where a bundle is."""
    folder = host / FOLDER / "envoy"
    child = subprocess.Popen([sys.executable, "-c", SIDECAR, ADMIN], cwd=folder)
    try:
        deadline = time.monotonic() + 20
        while not (host / FOLDER / "run/pid").exists():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.wait()
        (host / FOLDER / "run/pid").unlink(missing_ok=True)
