"""What comes of a mesh for a platform is what came of it before, byte for byte; `make golden` rewrites it.

Left out are the files of the bundles themselves, which tests/golden has, and which only Kubernetes holds again.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

from meshctl.diagnostics import FindingsError
from meshctl.platforms import Platform
from tests.platforms.making import SPECS, made, told

EXPECTED = Path(__file__).parent / "expected"
SAID_ELSEWHERE = re.compile(r"kubernetes/[^/]+/files/.*")


def text_of(name: str, platform: Platform) -> str:
    try:
        artifacts = made(name, platform)
    except FindingsError:
        artifacts = ()
    files = [each for each in artifacts if not SAID_ELSEWHERE.fullmatch(each.path)]
    return told(name, platform) + "".join(
        f"== {each.path}{' (executable)' if each.executable else ''}\n{each.content.decode()}"
        for each in files
    )


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("name", SPECS)
def test_what_comes_of_it_is_what_came_of_it(name, platform, update_golden):
    path = EXPECTED / f"{name}.{platform}.txt"
    found = text_of(name, platform)
    if update_golden:
        path.write_text(found, "utf-8")
    changed = list(
        difflib.unified_diff(path.read_text("utf-8").splitlines(), found.splitlines(), "expected", "found")
    )
    if changed:
        pytest.fail("If that is what you meant: make golden\n" + "\n".join(changed[:60]), pytrace=False)


def test_nothing_stale_is_expected():
    wanted = {f"{name}.{platform}.txt" for name in SPECS for platform in Platform}
    assert {each.name for each in EXPECTED.iterdir()} == wanted
