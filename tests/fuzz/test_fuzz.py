"""Every way in, with inputs by chance: a few in every run, many in `make soak`. See fuzzers.py for what is promised."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.findings import FOUND, kept
from tests.fuzz.fuzzers import FUZZERS, once
from tests.seconds import soak_seconds

ROOT = Path(__file__).parents[2]
SLOWER = "6"
"""Seconds of processor time for one command, where each of its steps is counted too."""


COSTLY = frozenset(("enrolment", "carried", "baseline", "fix", "apply"))
"""Whose runs are several commands, or begin with a copy of a whole build."""


@pytest.mark.parametrize("name", FUZZERS)
def test_a_few(name, tmp_path):
    @settings(max_examples=4 if name in COSTLY else 8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=40, max_size=120))
    def holds(data):
        once(name, data, tmp_path)

    holds()


@pytest.mark.parametrize(("name", "path"), kept(), ids=lambda each: getattr(each, "name", each))
def test_what_was_mended_stays_so(name, path, tmp_path):
    once(name, path.read_bytes(), tmp_path)


def test_what_was_found_belongs_to_a_fuzzer():
    assert {each.name for each in FOUND.iterdir() if each.is_dir()} <= FUZZERS.keys()


@pytest.mark.soak
@pytest.mark.parametrize("name", FUZZERS)
def test_many(name, tmp_path):
    guided = ["--coverage"] if find_spec("atheris") else []
    seconds = soak_seconds(0.8 / len(FUZZERS))
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        name,
        *guided,
        f"--seconds={seconds:.0f}",
        "--findings",
        str(tmp_path),
    ]
    environment = os.environ | {"MESHCTL_FUZZ_CPU_SECONDS": SLOWER, "MESHCTL_FUZZ_PROXIES": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    told = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.startswith(("FOUND", "fuzz:", "stat::", "Done"))
    ]
    print("\n".join(told))
    assert done.returncode == 0, done.stderr[-3000:]
    assert not any(tmp_path.iterdir()), "\n".join(told)
