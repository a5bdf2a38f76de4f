"""The paths that get through the gate (:mod:`meshctl.ir.canonical`), as an automaton."""

from __future__ import annotations

from functools import lru_cache

from meshctl.ir.canonical import refusal
from meshctl.lint import automata
from meshctl.lint.automata import Language

_VISIBLE = "".join(chr(code) for code in range(33, 127))
_HEX = "0123456789abcdefABCDEF"


@lru_cache(maxsize=1)
def canonical_paths() -> Language:
    """Exactly those."""
    letter = automata.characters("".join(set(_VISIBLE) - set("/.;?#\\%")))
    dot, slash, semicolon = (automata.characters(each) for each in "./;")
    # 1 a slash, 2 in a segment, 3 its first dot, 4 its second one, 5 its first character, 6 and 7 what ends the
    # danger of a dot segment, for a parameter behind a semicolon does not; 8 begins an escape.
    inside = [1, 2, 8]
    takes = [0, slash, letter | dot | semicolon, dot, dot, letter | semicolon, letter, dot]
    takes.append(automata.characters("%"))
    follow = [[1], [5, 3, 8], inside, [4, 6, 8], [6, 7, 8], inside, inside, inside, []]
    accepting = [1, 2, 5, 6, 7]
    for first in _HEX:
        second = [each for each in _HEX if refusal(f"/%{first}{each}") is None]
        if second:
            here = len(takes)
            takes += [automata.characters(first), automata.characters("".join(second))]
            follow[8].append(here)
            follow += [[here + 1], inside]
            accepting.append(here + 1)
    return automata.language(takes, follow, accepting)
