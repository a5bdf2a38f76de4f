"""With --no-skips a test that leaves itself out fails, so that a missing proxy is never unseen."""

import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
TESTS = """
import pytest

def test_leaves_itself_out():
    pytest.skip("no proxy here")

@pytest.mark.xfail(reason="known")
def test_fails_as_expected():
    raise AssertionError
"""


def outcome(folder, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_skip_becomes_a_failure(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "test_whole_file.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\n", "utf-8"
    )

    assert "2 skipped, 1 xfailed" in outcome(tmp_path).stdout

    strict = outcome(tmp_path, "--no-skips", "--continue-on-collection-errors")
    assert strict.returncode == 1
    assert "1 failed, 1 xfailed, 1 error" in strict.stdout
    assert "no proxy here" in strict.stdout
    assert "no_such_module" in strict.stdout
