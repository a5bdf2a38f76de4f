"""The proxies' own opinion of a bundle, asked before anybody starts it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from meshctl.diagnostics import ToolError
from meshctl.live.processes import run
from meshctl.live.programs import find

LIMIT = timedelta(seconds=30)
"""For one validator."""

# HAProxy and NGINX end with 0 when they only warn; a warning is a guess of theirs about what was meant.
_WARNING = re.compile(r"\[(?:warn|warning|alert|emerg|crit|critical|error)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Check:
    """What to ask: ``binary arguments…`` in ``folder``, which is ``<bundle>/<proxy>``."""

    bundle: str
    folder: Path
    binary: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the validator said. Not ``ok``: it refused, warned, or took too long."""

    bundle: str
    ok: bool
    output: str


def is_available(binary: str) -> bool:
    """Whether a bundle of this proxy can be verified, and started, on this machine."""
    return find(binary) is not None


def verify(check: Check, limit: timedelta = LIMIT) -> Verdict:
    """Run one validator. Raises ToolError when the binary is missing."""
    program = find(check.binary)
    if program is None:
        raise ToolError(f"{check.bundle}: {check.binary} is not installed (PATH has no such program)")
    try:
        status, output = run((program, *check.arguments), check.folder, limit)
    except ToolError as error:
        return Verdict(check.bundle, ok=False, output=str(error))
    return Verdict(check.bundle, ok=status == 0 and not _WARNING.search(output), output=output)
