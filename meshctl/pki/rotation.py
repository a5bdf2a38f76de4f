"""How far a rotation of the root is: which CA issues, and which is trusted beside it.

Until the end the CA's folder holds the old CA, and ``next`` in it the new one. ``rotation.json`` says which step was
taken; it is replaced by a rename, so that each step happens at one instant and a crash leaves the one before or the one
after. Imports nothing of ``cryptography``, for facts are read without (decision 0007).
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from meshctl.pki import files

NEXT = "next"
"""The new CA's folder, in the old one's."""
STATE = "rotation.json"
RETIRED = "retired.pem"
"""The roots that rotations ended with: no bundle may trust them any more."""

_VERSION = 1
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Step(StrEnum):
    """The last step that was taken; both roots are trusted in the first two."""

    BEGIN = "begin"
    """The old CA issues."""
    ISSUE = "issue"
    """The new CA issues."""
    FINISH = "finish"
    """The new CA alone is trusted, and is about to take the old one's place."""
    ABORT = "abort"
    """The old CA alone is trusted, and the new one is about to be removed."""


MAY_FOLLOW = {
    Step.ISSUE: (Step.BEGIN, Step.ISSUE),
    Step.FINISH: (Step.ISSUE, Step.FINISH),
    Step.ABORT: (Step.BEGIN, Step.ABORT),
    Step.BEGIN: (Step.ISSUE, Step.BEGIN),
}
"""What may be the last step when one is taken; itself, for a step that broke off is taken again."""


class Rotation(Struct, frozen=True):
    """A rotation that is under way. ``began`` is UTC; ``old`` and ``new`` are the roots' subjects, for people."""

    step: Step
    began: datetime
    old: str
    new: str
    issued: bool = False
    """Whether the new CA has ever issued."""

    @property
    def issuer(self) -> str:
        """The folder of the CA that issues, below the CA's; empty for that itself."""
        return NEXT if self.step in (Step.ISSUE, Step.FINISH) else ""

    @property
    def beside(self) -> str | None:
        """The same of the CA that is trusted besides; None where none is."""
        return {Step.BEGIN: NEXT, Step.ISSUE: ""}.get(self.step)


def read(inside: int) -> Rotation | None:
    """The rotation that is under way in an open CA's folder. Raises OSError, and ValueError for what is no such file."""
    try:
        content = files.read(inside, STATE)
    except FileNotFoundError:
        return None
    try:
        document = json.loads(content)
        if document["schemaVersion"] != _VERSION:
            raise ValueError(STATE)
        began = datetime.strptime(document["began"], _MOMENT).replace(tzinfo=UTC)
        names = str(document["oldRoot"]), str(document["newRoot"])
        return Rotation(Step(document["step"]), began, *names, issued=document["newHasIssued"] is True)
    except (KeyError, TypeError) as error:
        raise ValueError(STATE) from error


def write(inside: int, rotation: Rotation) -> None:
    """Take a step. Raises OSError."""
    document = {
        "schemaVersion": _VERSION,
        "step": rotation.step.value,
        "began": f"{rotation.began:{_MOMENT}}",
        "oldRoot": rotation.old,
        "newRoot": rotation.new,
        "newHasIssued": rotation.issued,
    }
    files.replace(inside, STATE, (json.dumps(document, indent=2) + "\n").encode(), 0o644)


def end(inside: int) -> None:
    """There is no rotation any more. Raises OSError."""
    os.unlink(STATE, dir_fd=inside)
    os.fsync(inside)


def retired(inside: int) -> bytes:
    """The roots that are trusted no more, as PEM. Raises OSError."""
    try:
        return files.read(inside, RETIRED)
    except FileNotFoundError:
        return b""


def folders(authority: Path) -> tuple[Path, ...]:
    """The folders of all CAs that are trusted. Raises OSError, and ValueError as :func:`read` does."""
    with files.folder(authority) as inside:
        rotation = read(inside)
    if rotation is None:
        return (authority,)
    places = (rotation.issuer, *(() if rotation.beside is None else (rotation.beside,)))
    return tuple(authority / each for each in places)
