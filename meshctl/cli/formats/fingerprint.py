"""What makes a finding the same one after lines have moved, so that a CI system tells new ones from old."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from meshctl.cli.formats.context import Context
from meshctl.diagnostics import Finding

# Places in a message: the index of a list item, and a place in a file.
_MOVING = re.compile(r"\[\d+\]|:\d+:\d+")


def fingerprints(findings: Sequence[Finding], context: Context) -> list[str]:
    """One for each finding, all different: from its code, its service (else its file) and its words.

    Findings that are alike in all three are numbered in the order in which they stand.
    """
    import hashlib

    seen: Counter[str] = Counter()
    made = []
    for each in findings:
        resource = context.service_of(each.at) or context.place(each).file
        words = "\0".join((each.code, resource, _MOVING.sub("", each.message)))
        key = hashlib.sha256(words.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        seen[key] += 1
        made.append(f"{key}:{seen[key]}")
    return made
