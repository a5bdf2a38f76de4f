"""What a shell asks when somebody presses Tab; it calls the program without arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("meshctl val", {"validate"}),
        ("meshctl build --ver", {"--verify"}),
        ("meshctl build --verify ", {"auto", "all", "none"}),
        ("meshctl certs i", {"init", "issue", "install", "import"}),
    ],
)
def test_the_words_that_fit_are_offered(typed, offered):
    done = subprocess.run(
        [sys.executable, str(Path(sys.executable).with_name("meshctl"))],
        env=os.environ
        | {
            "_MESHCTL_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    done = subprocess.run(
        [sys.executable, "-m", "meshctl", "--show-completion", shell],
        # Else it is the shell that runs the tests, if any does.
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"_MESHCTL_COMPLETE=complete_{shell}" in done.stdout
