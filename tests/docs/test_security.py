"""Every promise of SECURITY.md points to what shows it, and that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
PROMISES = [
    line
    for line in TEXT.partition("## What meshctl promises")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ")
][2:]


@pytest.mark.parametrize("line", PROMISES, ids=lambda line: line[2:40])
def test_a_promise_is_shown_by_something(line):
    shown = re.findall(r"`(tests/[^`]+)`", line)
    assert shown
    assert all((ROOT / each).is_file() for each in shown), shown


def test_there_are_promises_and_all_links_lead_somewhere():
    assert len(PROMISES) > 5
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    assert all((ROOT / each).is_file() for each in links), links
