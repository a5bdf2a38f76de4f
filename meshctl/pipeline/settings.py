"""The settings of a part of a spec, with the places that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshctl.diagnostics import FindingsError
from meshctl.pipeline.checking import load

if TYPE_CHECKING:
    from meshctl.resolve.settings import Setting


def settings(location: str, path: str, environment: str | None = None) -> tuple[Setting, ...]:
    """What holds at ``path`` of a spec; only its shape has to be right.

    Raises UsageError for a path that leads nowhere, FindingsError for a spec that cannot be read.
    """
    from meshctl.resolve import settings as resolved

    loaded = load(location, environment)
    if loaded.spec is None:
        error = FindingsError(loaded.findings, loaded.texts)
        error.exit_code = 2 if loaded.unreadable else 1
        raise error
    return resolved.settings(loaded.spec, path)
