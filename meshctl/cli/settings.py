"""Settings as a table and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshctl.cli.formats.context import json_text, one_line

if TYPE_CHECKING:
    from meshctl.resolve.settings import Setting

SCHEMA_VERSION = 1
WIDTH = 80
_NARROWEST = 16


def as_table(settings: Sequence[Setting]) -> str:
    """Three columns: the setting, what holds, and the line that says so; long values go on below."""
    rows = [(one_line(each.name), one_line(each.value), _origin(each)) for each in settings]
    names = max((len(name) for name, _, _ in rows), default=0)
    origins = max((len(origin) for *_, origin in rows), default=0)
    room = max(WIDTH - names - origins - 4, _NARROWEST)
    room = min(room, max((len(value) for _, value, _ in rows), default=0))
    lines = []
    for name, value, origin in rows:
        first, *more = textwrap.wrap(value, room, break_on_hyphens=False) or [""]
        lines.append(f"{name:{names}}  {first:{room}}  {origin}".rstrip())
        lines += [f"{'':{names}}  {each}" for each in more]
    return "".join(f"{line}\n" for line in lines)


def _origin(setting: Setting) -> str:
    return f"{one_line(setting.at.file)}:{setting.at.line}" if setting.at is not None else "default"


def as_json(path: str, settings: Sequence[Setting]) -> str:
    """The same for programs; ``origin`` is null for a default."""
    return json_text(
        {
            "schemaVersion": SCHEMA_VERSION,
            "path": path,
            "settings": [
                {
                    "setting": each.name,
                    "value": each.value,
                    "origin": {"file": each.at.file, "line": each.at.line, "column": each.at.column}
                    if each.at is not None
                    else None,
                }
                for each in settings
            ],
        }
    )
