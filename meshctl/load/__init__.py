"""Files, or a git revision, to positioned YAML to a spec. The only room with the YAML library and git.

Names are imported when they are first used: `read_files` alone must not cost the parser and pydantic, because
a build with nothing to do ends right after it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshctl.load.document import Document as Document
    from meshctl.load.document import read_yaml as read_yaml
    from meshctl.load.files import SourceFile as SourceFile
    from meshctl.load.files import SpecFiles as SpecFiles
    from meshctl.load.location import read_files as read_files
    from meshctl.load.named import read_named as read_named
    from meshctl.load.reading import SpecSource as SpecSource
    from meshctl.load.reading import parse_spec as parse_spec
    from meshctl.load.reading import read_first_specs as read_first_specs
    from meshctl.load.reading import read_spec as read_spec
    from meshctl.load.route_tests import read_route_tests as read_route_tests

_HOME = {
    "Document": "document",
    "SourceFile": "files",
    "SpecFiles": "files",
    "SpecSource": "reading",
    "parse_spec": "reading",
    "read_files": "location",
    "read_first_specs": "reading",
    "read_named": "named",
    "read_route_tests": "route_tests",
    "read_spec": "reading",
    "read_yaml": "document",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
