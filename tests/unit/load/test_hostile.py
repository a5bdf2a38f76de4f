"""Every file that is made to be costly is read, or refused, within bounds. See hostile.py for the files."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("hostile.py")
ROOT = Path(__file__).parents[3]

# On an idle machine none takes more than a second; what is quadratic takes minutes.
CPU_SECONDS = 4
MEGABYTES = 300


def cases():
    spec = importlib.util.spec_from_file_location("hostile", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: slug for name, (_, slug) in module.CASES.items()}


@pytest.fixture(scope="module")
def reports():
    run = subprocess.run(
        [sys.executable, PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    return {report["name"]: report for report in map(json.loads, run.stdout.splitlines())}


@pytest.mark.xdist_group("hostile files")
@pytest.mark.parametrize(("name", "slug"), cases().items(), ids=cases().keys())
def test_a_hostile_file_costs_little(reports, name, slug):
    report = reports[name]
    assert report["status"] == 0
    assert report["slug"] == slug
    assert report["cpu"] < CPU_SECONDS
    assert report["megabytes"] < MEGABYTES
    assert report["longest"] < 200, "a message must not carry the attack"
