"""Write the hashed lock files, or check without a network that they belong to pyproject.toml.

Each lock starts with a digest of the tables it was resolved from. Comparing that digest finds a
forgotten `make lock` in a millisecond; resolving again would need the network and could differ by
the hour.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGEST_LINE = "# dependencies of pyproject.toml: sha256:"

# What goes in, by lock. The runtime lock is resolved under the development lock, so that users get
# the very versions that the tests ran with.
DEV = Path("requirements/dev.lock")
RUNTIME = Path("requirements/runtime.lock")
LOCKS: dict[Path, list[str]] = {
    DEV: ["--extra", "envoy", "--group", "dev"],
    RUNTIME: ["--constraint", str(DEV)],
}


def digest() -> str:
    """Digest of every table that decides what a lock holds; layout and comments do not count."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    tables = {
        "requires-python": project["requires-python"],
        "dependencies": project["dependencies"],
        "extras": project["optional-dependencies"],
        "groups": pyproject["dependency-groups"],
        "build": pyproject["build-system"]["requires"],
    }
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def write(*, upgrade: bool) -> None:
    for lock, options in LOCKS.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *options]
        # Universal: one file for every supported Python and platform. No index lines: a lock must not
        # tell anyone where to download from.
        command += ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet"]
        command += ["--python-version", "3.11", "--output-file", str(lock)]
        command += ["--upgrade"] if upgrade else []
        subprocess.run(command, cwd=ROOT, check=True)
        path = ROOT / lock
        body = path.read_text(encoding="utf-8")
        path.write_text(f"{DIGEST_LINE}{digest()}\n# Written by `make lock`.\n{body}", encoding="utf-8")


def stale() -> list[Path]:
    expected = f"{DIGEST_LINE}{digest()}"
    return [lock for lock in LOCKS if expected not in first_line(ROOT / lock)]


def first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0] if path.exists() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare only; no network")
    parser.add_argument("--upgrade", action="store_true", help="move to the newest allowed versions")
    arguments = parser.parse_args()
    if not arguments.check:
        write(upgrade=arguments.upgrade)
        return 0
    late = stale()
    for lock in late:
        print(f"{lock} was not made from this pyproject.toml; run: make lock", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
