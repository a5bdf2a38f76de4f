"""Ctrl-C at any moment of a build ends with 130, and leaves the old output whole or the new one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.generate import mesh

BUILD = ("build", "-o", "out", "--verify", "none")

# Presses Ctrl-C by itself, before the given change of the disk.
INTERRUPTED = """\
import os, signal, sys
from meshctl.__main__ import main

moment = int(sys.argv.pop(1))
seen = 0


def count(event, details):
    global seen
    if event == "os.rename":
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGINT)


sys.addaudithook(count)
main()
"""

# Makes its standard input the terminal that controls it, and becomes meshctl.
TERMINAL = """\
import fcntl, os, sys, termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "meshctl", *sys.argv[1:]])
"""


def outputs(folder):
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def build():
    command = [sys.executable, "-m", "meshctl", *BUILD]
    subprocess.run(command, check=True, capture_output=True)
    return outputs(Path("out"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder where `out` holds the output of another spec than `mesh.yaml`, and what a build would make of it."""

    @cache
    def make(services):
        folder = tmp_path_factory.mktemp("made")
        with contextlib.chdir(folder):
            Path("mesh.yaml").write_text(mesh(services, changed=range(services)), "utf-8")
            new = build()
            shutil.rmtree("out")
            Path("mesh.yaml").write_text(mesh(services), "utf-8")
            build()
            Path("mesh.yaml").write_text(mesh(services, changed=range(services)), "utf-8")
        return folder, new

    return make


def begin(made, services):
    """The outputs before and after, with the work folder as it was before."""
    folder, new = made(services)
    shutil.copytree(folder, ".", dirs_exist_ok=True)
    old = outputs(Path("out"))
    changed = sum(old.get(path) != digest for path, digest in new.items())
    assert changed > services
    return old, new, changed


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("moment", [1, 9, -1])
def test_what_has_begun_to_be_written_is_written_to_the_end(made, moment):
    _, new, changed = begin(made, 6)
    moment = moment if moment > 0 else changed + 1 + moment
    command = [sys.executable, "-c", INTERRUPTED, str(moment), *BUILD]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 130
    assert "Traceback" not in ran.stderr
    assert outputs(Path("out")) == new


def press(after):
    """Ctrl-C on the terminal of a build, so many seconds after it began: its exit code, and what it said."""
    ours, its = os.openpty()
    command = [sys.executable, "-c", TERMINAL, *BUILD]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        os.close(its)
        time.sleep(after)
        os.write(ours, b"\x03")
        said = b""
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:  # nobody has the terminal open any more
                break
    os.close(ours)
    return process.returncode, said.decode(errors="replace")


@pytest.mark.parametrize(("services", "moments"), [(40, 3), pytest.param(1000, 20, marks=pytest.mark.soak)])
def test_ctrl_c_on_a_terminal(made, services, moments):
    old, new, _ = begin(made, services)
    began = time.monotonic()
    build()
    whole = time.monotonic() - began
    codes = []
    for each in range(moments):
        shutil.rmtree("out")
        shutil.copytree(made(services)[0] / "out", "out")
        code, said = press(0.3 + whole * each / moments)
        codes.append(code)
        assert code in (0, 130), said
        assert "Traceback" not in said
        assert outputs(Path("out")) in (old, new)
    assert 130 in codes
