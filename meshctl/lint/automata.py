"""Texts that some conditions take and others do not: the shortest one, or the proof that there is none.

A condition becomes a nondeterministic automaton without empty moves; their product is made deterministic only as far
as the search for a text gets (breadth first, so the text is a shortest one). Characters that no condition tells
apart are one. The number of states of a condition is bounded, and so is the effort of a search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct, field

from meshctl.spec.regex_cost import CHARACTERS, Automaton

MOST_ATOMS = 1000
"""The states of one condition."""
MOST_REMEMBERED = 10_000
"""Sets of states of one condition whose successors are kept."""

EVERY = (1 << len(CHARACTERS)) - 1
_BIT = {character: 1 << number for number, character in enumerate(CHARACTERS)}
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|\(\?:|.", re.DOTALL)
_COUNT = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")


class UndecidedError(Exception):
    """A question whose answer would take too long; the message says what is too large."""


class Effort(Struct):
    """How many steps, of about a microsecond each, a question may still take, and all questions of ``whole`` together."""

    left: int = 200_000
    whole: Effort | None = None

    def spend(self, steps: int) -> None:
        """Count ``steps``; raises UndecidedError when there are no more."""
        if self.whole is not None:
            self.whole.spend(steps)
        self.left -= steps
        if self.left < 0:
            raise UndecidedError("the conditions together are too large")


class Language(Struct, frozen=True, eq=False):
    """An automaton: bit n of a number stands for state n, and state 0 is the start.

    ``takers`` are the states that are entered on each character, ``follow`` those that each state leads to.
    """

    takers: tuple[int, ...]
    follow: tuple[int, ...]
    accepting: int
    _reached: dict[int, int] = field(default_factory=dict)

    def step(self, states: int, character: int) -> int:
        """Where ``states`` lead on the character with that number."""
        reached = self._reached.get(states)
        if reached is None:
            reached = 0
            for number in _bits(states):
                reached |= self.follow[number]
            if len(self._reached) >= MOST_REMEMBERED:
                self._reached.clear()
            self._reached[states] = reached
        return reached & self.takers[character]


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def language(takes: Sequence[int], follow: Sequence[Sequence[int]], accepting: Sequence[int]) -> Language:
    """An automaton from the characters on which each state is entered, as bits, and the states it leads to."""
    takers = tuple(
        sum(1 << state for state, taken in enumerate(takes) if taken >> number & 1)
        for number in range(len(CHARACTERS))
    )
    leads = tuple(sum(1 << each for each in set(states)) for states in follow)
    return Language(takers, leads, sum(1 << each for each in set(accepting)))


def characters(text: str) -> int:
    """The characters of ``text`` as bits; raises UndecidedError for one that is not known apart."""
    try:
        return sum(_BIT[each] for each in set(text))
    except KeyError as error:
        raise UndecidedError(f"the character {error} is not told from others") from None


@lru_cache(maxsize=1024)
def exact(text: str) -> Language:
    """That text alone."""
    takes = [0, *(characters(each) for each in text)]
    follow = [[number + 1] for number in range(len(text))] + [[]]
    return language(takes, follow, [len(text)])


@lru_cache(maxsize=1024)
def prefix(text: str) -> Language:
    """A path and all below it, by whole segments; ``/`` is every text."""
    if text == "/":
        return anything()
    end = len(text)
    takes = [0, *(characters(each) for each in text), characters("/"), EVERY]
    follow = [[number + 1] for number in range(end + 2)] + [[end + 2]]
    return language(takes, follow, [end, end + 1, end + 2])


@lru_cache(maxsize=1)
def anything() -> Language:
    """Every text."""
    return language([0, EVERY], [[1], [1]], [0, 1])


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Language:
    """What a pattern of the language's subset takes as a whole. Raises UndecidedError for a very large one."""
    expanded = _expanded(pattern)
    try:
        read = Automaton(expanded)
    except ValueError:
        raise UndecidedError(f"`{pattern}` holds a character that is not told from others") from None
    if len(read.atoms) > MOST_ATOMS:
        raise UndecidedError(f"`{pattern}` is too large")
    follow = [
        [*states, *([state] if loops else [])]
        for state, (states, loops) in enumerate(zip(read.follow, read.loops, strict=True))
    ]
    return language(read.takes, follow, [*read.last, *([0] if read.empty else [])])


def _expanded(pattern: str) -> str:
    """The pattern with every counted repetition written out: of single atoms, for no group is counted."""
    parts: list[str] = []
    index = atoms = 0
    while index < len(pattern):
        found = _ATOM.match(pattern, index)
        atom = found.group() if found else pattern[index]
        index += len(atom)
        count = _COUNT.match(pattern, index)
        if count is None:
            parts.append(atom)
            continue
        index = count.end()
        least, comma, most = int(count[1]), count[2], count[3]
        atoms += max(least, int(most or 0))
        if atoms > MOST_ATOMS:
            raise UndecidedError(f"`{pattern}` is too large")
        optional = "" if not comma else f"{atom}?" * (int(most) - least) if most else f"{atom}*"
        parts.append(atom * least + optional)
    return "".join(parts)


def alternatives(pattern: str) -> list[str]:
    """What stands between the `|` of a pattern that are in no group."""
    parts, depth, index = [""], 0, 0
    while index < len(pattern):
        found = _ATOM.match(pattern, index)
        atom = found.group() if found else pattern[index]
        index += len(atom)
        depth += (atom in ("(", "(?:")) - (atom == ")")
        if atom == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += atom
    return parts


def shortest(
    wanted: Sequence[Language], unwanted: Sequence[Language], effort: Effort | None = None
) -> str | None:
    """A shortest text that all of ``wanted`` take and none of ``unwanted``; None where there is none.

    Raises UndecidedError when ``effort`` is spent.
    """
    effort = effort or Effort()
    every = (*wanted, *unwanted)
    classes = _classes(every)
    start = (1,) * len(every)
    came_from: dict[tuple[int, ...], tuple[tuple[int, ...], int] | None] = {start: None}
    front = [start]
    while front:
        following = []
        for states in front:
            if _accepts(states, every, len(wanted)):
                return _text(states, came_from)
            effort.spend(len(classes) * len(every))
            for character in classes:
                onward = tuple(each.step(at, character) for each, at in zip(every, states, strict=True))
                if onward not in came_from and all(onward[: len(wanted)]):
                    came_from[onward] = (states, character)
                    following.append(onward)
        front = following
    return None


def _classes(languages: Sequence[Language]) -> list[int]:
    """One character of each kind, of those that are told apart; letters and digits stand for their kind first."""
    order = sorted(range(len(CHARACTERS)), key=lambda number: (not CHARACTERS[number].isalnum(), number))
    found: dict[tuple[int, ...], int] = {}
    for number in order:
        found.setdefault(tuple(each.takers[number] for each in languages), number)
    return list(found.values())


def _accepts(states: tuple[int, ...], languages: Sequence[Language], wanted: int) -> bool:
    return all(
        bool(at & each.accepting) == (number < wanted)
        for number, (at, each) in enumerate(zip(states, languages, strict=True))
    )


def _text(
    states: tuple[int, ...], came_from: dict[tuple[int, ...], tuple[tuple[int, ...], int] | None]
) -> str:
    letters: list[str] = []
    step = came_from[states]
    while step is not None:
        before, character = step
        letters.append(CHARACTERS[character])
        step = came_from[before]
    return "".join(reversed(letters))
