"""Each class of fault has tests, and they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLASSES = yaml.safe_load(Path(__file__).with_name("fault_classes.yaml").read_text())


def is_there(test):
    file, _, function = test.partition("::")
    path = ROOT / file
    if not path.is_file():
        return False
    return not function or re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("name", CLASSES)
def test_its_tests_are_there(name):
    its = CLASSES[name]
    assert its["promise"]
    assert its["tests"]
    assert not [each for each in its["tests"] if not is_there(each)]


def test_one_that_is_not_there_is_missed():
    assert not is_there("tests/architecture/test_fault_classes.py::test_none")
    assert not is_there("tests/architecture/test_none.py")
