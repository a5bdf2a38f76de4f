"""How long a backtracking matcher may need for a pattern of the subset.

HAProxy and NGINX match with PCRE, which tries one way after another. Where two repetitions can take the same
text, the ways grow with the square of the text's length; PCRE gives up on a long path, the proxy takes that for
"no match", and a rule that denies would let it in. In the subset only single atoms repeat, so the automaton of
a pattern (Glushkov's: one state for each atom) has no loops but of a state to itself. A word that leads from one
loop to another while either could have stayed (infinite degree of ambiguity, Weber and Seidl 1991) is then
simply a path all of whose atoms share a character with both loops.
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct, field

MOST_WAYS = 500
"""In how many ways choices and optional parts may take one text, at most."""

CHARACTERS = [*map(chr, range(32, 127)), "\u00e9"]
"""The printable ones of ASCII, and one that stands for all others."""
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|.", re.DOTALL)
_REPEAT = re.compile(r"([*+?])|\{([0-9]+)(?:(,)([0-9]*))?\}")
_ANY = "."


class _Part(Struct):
    """A part of the pattern: whether it may be empty, and the states that it begins and ends with."""

    empty: bool
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)


class Automaton:
    """Reads a pattern that is well formed. State 0 is the start, no atom. How often a state may loop is not kept."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._index = 0
        self.atoms = [""]
        self.takes = [0]
        self.loops = [False]
        self.follow: list[list[int]] = [[]]
        whole = self._choice()
        self.follow[0] = whole.first
        self.last = set(whole.last)
        self.empty = whole.empty

    def _choice(self) -> _Part:
        part = self._sequence()
        while self._pattern.startswith("|", self._index):
            self._index += 1
            other = self._sequence()
            part = _Part(part.empty or other.empty, part.first + other.first, part.last + other.last)
        return part

    def _sequence(self) -> _Part:
        whole = _Part(empty=True)
        while self._index < len(self._pattern) and self._pattern[self._index] not in "|)":
            part = self._repeated(self._atom())
            for state in whole.last:
                self.follow[state] += part.first
            whole = _Part(
                whole.empty and part.empty,
                whole.first + part.first if whole.empty else whole.first,
                whole.last + part.last if part.empty else part.last,
            )
        return whole

    def _atom(self) -> _Part:
        if self._pattern.startswith("(", self._index):
            self._index += 3 if self._pattern.startswith("(?:", self._index) else 1
            part = self._choice()
            self._index += 1
            return part
        found = _ATOM.match(self._pattern, self._index)
        text = found.group() if found else ""
        self._index += len(text)
        self.atoms.append(text)
        self.takes.append(_taken(text))
        self.loops.append(False)
        self.follow.append([])
        state = len(self.atoms) - 1
        return _Part(empty=False, first=[state], last=[state])

    def _repeated(self, part: _Part) -> _Part:
        found = _REPEAT.match(self._pattern, self._index)
        if found is None:
            return part
        self._index = found.end()
        sign, least, comma, most = found.groups()
        if sign in ("*", "+") or (comma and most not in (least, "1")):
            self.loops[part.first[0]] = True
        return _Part(
            part.empty or sign in ("*", "?") or (least or "1").strip("0") == "", part.first, part.last
        )


@cache
def _taken(atom: str) -> int:
    """The characters that an atom takes, as bits."""
    if len(atom) == 1 and atom != _ANY:
        return 1 << CHARACTERS.index(atom)
    # Imported here, for most specs have no regular expression, and it takes milliseconds.
    import re2

    compiled = re2.compile(atom)
    return sum(1 << bit for bit, each in enumerate(CHARACTERS) if compiled.fullmatch(each))


def cost_fault(pattern: str) -> str:
    """Why a pattern of the subset could take too long, or an empty text."""
    automaton = Automaton(pattern)
    for state, loops in enumerate(automaton.loops):
        if loops:
            other = _meets(automaton, state)
            if other:
                one, two = automaton.atoms[state], automaton.atoms[other]
                return (
                    f"two repetitions, of `{one}` and of `{two}`, can take the same text; write what they must "
                    "not take, such as `[^/]` for a part of one segment"
                )
    if _ways(automaton) > MOST_WAYS:
        return "there are too many ways to take the same text; write fewer optional parts and choices"
    return ""


def _meets(automaton: Automaton, start: int) -> int:
    """A loop that can be got to from the loop ``start`` on text that both could take; 0 where there is none."""
    found = 0
    for goal in range(start + 1, len(automaton.atoms)):
        common = automaton.takes[start] & automaton.takes[goal]
        if not automaton.loops[goal] or not common or _takes_the_rest(automaton, goal):
            continue
        seen, waiting = {start}, [start]
        while waiting:
            for state in automaton.follow[waiting.pop()]:
                if state not in seen and automaton.takes[state] & common:
                    seen.add(state)
                    waiting.append(state)
        if goal in seen:
            found = found or goal
    return found


def _takes_the_rest(automaton: Automaton, state: int) -> bool:
    """``.*`` at the very end: it never fails, so nothing before it is tried again."""
    return automaton.atoms[state] == _ANY and not automaton.follow[state] and state in automaton.last


def _ways(automaton: Automaton) -> int:
    """An upper bound of the paths that read one text, loops aside: states only lead on to later ones."""
    ways = [1] * len(automaton.atoms)
    for state in range(len(automaton.atoms) - 1, -1, -1):
        after = [each for each in dict.fromkeys(automaton.follow[state]) if each != state]
        if after:
            ways[state] = _overlap([automaton.takes[each] for each in after]) * max(
                ways[each] for each in after
            )
    return ways[0]


def _overlap(taken: list[int]) -> int:
    """How many of the sets share one character, at most."""
    return max(
        (
            sum(each >> bit & 1 for each in taken)
            for bit in range(len(CHARACTERS))
            if any(each >> bit & 1 for each in taken)
        ),
        default=0,
    )
