"""`make demo`, the first thing that anybody runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.turns import turn

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.xdist_group("up")  # it runs a mesh on the addresses that `up` always has
def test_the_demo_shows_what_the_mesh_does_and_leaves_nothing(tmp_path):
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with turn("up"), tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            ("sh", str(ROOT / "scripts" / "demo.sh")),
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "TMPDIR": scratch},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list(Path(scratch).iterdir())
    assert "12 sidecars, no findings" in done.stderr
    for shown in (
        "weight v2: 10% -> 50%",
        "+ caller web",
        "spiffe://shop.example/web",
        "503 ",
        "504 ",
        "403 ",
        "400 ",
    ):
        assert shown in done.stdout
