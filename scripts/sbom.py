"""Write what a release stands on, as a software bill of materials: `python scripts/sbom.py dist`.

CycloneDX 1.6 from the lock that users install with, its hashes included. The same bytes for the same commit: the time in it
is SOURCE_DATE_EPOCH, and it has no serial number.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements/runtime.lock"
VERSION = SchemaVersion.V1_6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the file goes, beside the wheel")
    folder = parser.parse_args().folder
    version = _version()
    text = rendered(version)
    fault = _validator().validate_str(text)
    if fault is not None:
        print(f"the list does not keep to CycloneDX {VERSION.to_version()}: {fault}", file=sys.stderr)
        return 1
    (folder / f"meshctl-{version}.cdx.json").write_text(text, encoding="utf-8")
    return 0


def rendered(version: str) -> str:
    """The whole list, as JSON."""
    return json.dumps(_complete(_generated(), version), indent=2, sort_keys=True) + "\n"


@cache
def _validator() -> JsonStrictValidator:
    return JsonStrictValidator(VERSION)


def _generated() -> dict[str, Any]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "cyclonedx_py",
        "requirements",
        LOCK,
        "--pyproject",
        "pyproject.toml",
    ]
    command += ["--output-reproducible", "--no-validate", "--sv", VERSION.to_version(), "--of", "JSON"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def _complete(document: dict[str, Any], version: str) -> dict[str, Any]:
    """With what the lock does not say: the release's own version, and what it needs itself."""
    names = {_normal(each["name"]): each["bom-ref"] for each in document["components"]}
    for each in document["components"]:
        # The line of the lock with all its hashes, which stand below it as hashes.
        each.pop("description", None)
    root = document["metadata"]["component"]
    root |= {"version": version, "purl": f"pkg:pypi/meshctl@{version}"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [names[_normal(re.split(r"[^A-Za-z0-9._-]", each)[0])] for each in project["dependencies"]]
    others = [each for each in document["dependencies"] if each["ref"] != root["bom-ref"]]
    document["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": sorted(needed)}, *others]
    return document


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version() -> str:
    text = (ROOT / "meshctl" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise SystemExit("meshctl/__init__.py names no version")
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
