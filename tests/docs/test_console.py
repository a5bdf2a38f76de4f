"""Every console block in the documents is run, in a copy of the repository, and must print what it shows.

A block is fenced as ``console``. A line that begins with ``$ `` is a command, what follows it is its output
(standard output and error together); a line of three dots stands for any number of lines, dots inside a line
for any text. Blocks of one document run in order in one folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.turns import turn

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if "```console" in path.read_text()
)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT = 120
RUNS_A_MESH = re.compile(r"meshctl up|make demo|--live")


def steps(text: str) -> list[tuple[str, str]]:
    """Every command of a document with the output that it shows."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, output = found[-1]
                found[-1] = (command, output + line + "\n")
    return found


def as_pattern(output: str) -> str:
    lines = [
        r"(?:.*\n)*" if line == "..." else r".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in output.splitlines()
    ]
    return "".join(lines)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository as git knows it, at a place of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        target = tmp_path / "meshctl" / name
        if (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return tmp_path / "meshctl"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_print_what_is_shown(document, copy):
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    for command, shown in steps((ROOT / document).read_text()):
        # A mesh on loopback always has the same addresses.
        with turn("up") if RUNS_A_MESH.search(command) else nullcontext():
            run = subprocess.run(
                ["sh", "-c", command],
                cwd=copy,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        assert re.fullmatch(as_pattern(shown), run.stdout), f"$ {command}\n{run.stdout}"


def test_the_readme_is_among_them():
    assert Path("README.md") in DOCUMENTS


def test_a_difference_is_seen():
    assert re.fullmatch(as_pattern("one\n...\nx...z\n"), "one\n2\n3\nxyz\n")
    assert not re.fullmatch(as_pattern("one\n"), "two\n")
    assert not re.fullmatch(as_pattern("a.c\n"), "abc\n")
