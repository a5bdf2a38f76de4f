"""The proxies' own opinion of a bundle, asked before anybody starts it."""

from __future__ import annotations

import re
import signal
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from meshctl.diagnostics import ToolError
from meshctl.live.processes import run
from meshctl.live.programs import find

LIMIT = timedelta(seconds=30)
"""For one validator."""

# HAProxy and NGINX end with 0 when they only warn; a warning is a guess of theirs about what was meant.
_WARNING = re.compile(r"\[(?:warn|warning|alert|emerg|crit|critical|error)\]", re.IGNORECASE)

# What Envoy writes of its own stack as it breaks down; the reason stands before it.
_STACK = re.compile(r"\[(?:envoy_bug|backtrace)\]")


class Check(Struct, frozen=True):
    """What to ask: ``binary arguments…`` in ``folder``, which is ``<bundle>/<proxy>``."""

    bundle: str
    folder: Path
    binary: str
    arguments: tuple[str, ...]


class Verdict(Struct, frozen=True):
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
    if status < 0:
        output = _broke_down(check.binary, -status, output)
    return Verdict(check.bundle, ok=status == 0 and not _WARNING.search(output), output=output)


def _broke_down(binary: str, number: int, output: str) -> str:
    """What to tell of a validator that ended by a signal: machines do that too, with no memory or no inotify left."""
    said = [line for line in output.splitlines() if not _STACK.search(line)]
    ended = f"{binary} broke down ({signal.strsignal(number)}), which the machine may be the reason for"
    return "\n".join((ended, *said))
