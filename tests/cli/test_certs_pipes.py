"""A manifest that is no file: whoever may write to a bundle must not keep the commands there from ending."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services: {web: {port: 8080, endpoints: [{address: 10.0.0.1}]}}
"""
PROGRAM = (sys.executable, "-m", "meshctl")
SECONDS = 60


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("build/web/identity.json", ("csr", "build/web")),
        ("build/identities.json", ("status", "-o", "build")),
    ],
)
def test_a_pipe_in_the_place_of_a_manifest_is_refused(tmp_path, name, words):
    (tmp_path / "mesh.yaml").write_text(SPEC, "utf-8")
    assert run(["build", str(tmp_path / "mesh.yaml"), "-o", str(tmp_path / "build"), "--verify=none"]) == 0
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    done = subprocess.run(
        [*PROGRAM, "certs", *words],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(f"cannot read {name}: {name.rpartition('/')[2]} is not a regular file\n")
