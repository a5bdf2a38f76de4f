"""A strict reader for the part of Mermaid's sequence diagrams that meshctl writes.

Mermaid's own parser is a program for browsers: in Node it wants a document to stand in for one, 180 MB and ten seconds.
What this reader takes, that parser took (Mermaid 11); what it refuses may still be a diagram, but not one of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[a-z][a-z0-9]*"
TEXT = r"(?:[A-Za-z0-9 \-_./:,=?%()*'`@+!]|#[0-9]+;)+"
PARTICIPANT = re.compile(rf"participant ({NAME}) as ({TEXT})")
MESSAGE = re.compile(rf"({NAME})(->>|-->>|-\))({NAME}): ({TEXT})")
NOTE = re.compile(rf"Note over ({NAME})(?:,({NAME}))?: ({TEXT}(?:<br/>{TEXT})*)")
BLOCK = re.compile(rf"(alt|else) ({TEXT})")
WORDS = frozenset(
    [
        "activate",
        "actor",
        "alt",
        "and",
        "as",
        "autonumber",
        "box",
        "break",
        "create",
        "critical",
        "deactivate",
        "destroy",
        "else",
        "end",
        "link",
        "links",
        "loop",
        "note",
        "opt",
        "option",
        "over",
        "par",
        "participant",
        "properties",
        "details",
        "rect",
        "title",
    ]
)
"""What Mermaid takes for the beginning of something else: no name of a participant."""


@dataclass
class Diagram:
    """What was read: people by name, and the messages between them in order."""

    participants: dict[str, str] = field(default_factory=dict)
    messages: list[tuple[str, str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(text: str) -> Diagram:
    """The diagram. Raises ValueError with the line that is none of its grammar."""
    head, *lines = text.splitlines()
    if head != "sequenceDiagram":
        raise ValueError(head)
    found = Diagram()
    open_blocks = 0
    for number, line in enumerate(lines, 2):
        told = f"line {number}: {line}"
        words = line.removeprefix("    ")
        if block := BLOCK.fullmatch(words):
            open_blocks += block[1] == "alt"
            if not open_blocks:
                raise ValueError(told)
        elif words == "end":
            open_blocks -= 1
            if open_blocks < 0:
                raise ValueError(told)
        elif not _statement(words, found):
            raise ValueError(told)
    if open_blocks or not found.messages:
        raise ValueError("something has no end, or nobody says anything")
    return found


def _statement(words: str, found: Diagram) -> bool:
    if "%%" in words:
        return False
    if participant := PARTICIPANT.fullmatch(words):
        name, alias = participant.groups()
        fresh = name not in found.participants and name not in WORDS and not found.messages
        found.participants[name] = alias
        return fresh
    if message := MESSAGE.fullmatch(words):
        source, arrow, target, text = message.groups()
        found.messages.append((source, arrow, target, text))
        wraps = text.startswith(("wrap:", "nowrap:"))
        return {source, target} <= found.participants.keys() and not wraps
    if note := NOTE.fullmatch(words):
        found.notes.append(note[3])
        return {each for each in note.groups()[:2] if each} <= found.participants.keys()
    return False
