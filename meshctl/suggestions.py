"""The nearest name that is there, for one that is not."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 100
_MOST = 10_000
"""Comparing is quadratic in the length of words, and a word may be anything that somebody wrote."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that is most like ``word``; None where none is alike, and where there are too many."""
    from difflib import get_close_matches

    candidates = [each for each in known if len(each) <= _LONGEST]
    if len(candidates) > _MOST:
        return None
    close = get_close_matches(word[:_LONGEST], candidates, n=1)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The way out of a finding, as a sentence."""
    found = nearest(word, known)
    return otherwise if found is None else f"Did you mean `{found}`?"


def meant(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The same as the end of a usage error."""
    found = nearest(word, known)
    return otherwise if found is None else f"; did you mean `{found}`?"
