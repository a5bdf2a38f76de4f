"""Modules of meshctl once more, some of them with other source: to see whether a test notices."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[3]


def path_of(name: str) -> Path:
    """The file of a module."""
    found = ROOT.joinpath(*name.split("."))
    return found / "__init__.py" if found.is_dir() else found.with_suffix(".py")


@cache
def _compiled(name: str) -> CodeType:
    return compile(path_of(name).read_text("utf-8"), name, "exec")


class _Changed(MetaPathFinder, Loader):
    """Finds the modules at and below some names, and gives them other source where there is one."""

    def __init__(self, names: Sequence[str], changed: Mapping[str, str | ast.Module]) -> None:
        self._names = names
        self._changed = changed

    def concerns(self, name: str) -> bool:
        return any(name == each or name.startswith(f"{each}.") for each in self._names)

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if not self.concerns(fullname):
            return None
        is_package = path_of(fullname).name == "__init__.py"
        return importlib.util.spec_from_loader(fullname, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        source = self._changed.get(name)
        code = _compiled(name) if source is None else compile(source, name, "exec")
        exec(code, module.__dict__)  # noqa: S102 - our own code


def variant(names: Sequence[str], changed: Mapping[str, str | ast.Module]) -> dict[str, ModuleType]:
    """New modules at and below these names, which import each other; what is imported otherwise stays as it is."""
    finder = _Changed(names, changed)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if finder.concerns(name)}
    sys.meta_path.insert(0, finder)
    try:
        for name in names:
            importlib.import_module(name)
        return {name: module for name, module in sys.modules.items() if finder.concerns(name)}
    finally:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if finder.concerns(name):
                del sys.modules[name]
        sys.modules.update(before)
        for name, module in before.items():
            parent, _, own = name.rpartition(".")
            setattr(sys.modules[parent], own, module)
