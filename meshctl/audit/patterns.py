"""Expressions, judged by what they do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import product

from meshctl.ir.canonical import refusal
from meshctl.ir.mesh import UNTRUSTED_HEADERS

PROBES = (
    "/",
    "/a",
    "/a/b.c/",
    "/a%20b;v=1/x?q=//../%2f\\",
    "//",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/..",
    "/a/.",
    "/a/..;x/b",
    "/a\\b",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%00",
    "/a%",
    "/a%4",
    "/a%zz",
    "/%41",
    "/%2e%2e/b",
    "/%7e",
    "/a#b",
    "/a?b#c",
    "/a b",
    "/a?b c",
    "/a\x7f",
    "/\xe9",
    "/a?\xe9",
)
"""Request targets, canonical ones and others; ``meshctl.ir.canonical`` says which."""


def misjudged(accepts: Callable[[str], bool]) -> str | None:
    """The first of PROBES that a gate lets through or refuses wrongly."""
    return next((each for each in PROBES if accepts(each) is not (refusal(each) is None)), None)


@lru_cache(maxsize=64)
def python_regex(pattern: str) -> re.Pattern[str]:
    """A pattern of PCRE's or RE2's as Python's, as far as the two differ in what meshctl writes.

    A name that stands twice, in branches that exclude each other, keeps only its first group.
    """
    seen: set[str] = set()

    def group(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return "(?:"
        seen.add(name)
        return f"(?P<{name}>"

    written = re.sub(r"\(\?<(\w+)>", group, pattern.replace("(?|", "(?:"))
    written = re.sub(r"\\x\{([0-9a-f]{2})\}", r"\\x\1", written)
    return re.compile(written.replace(r"\z", r"\Z").removeprefix("(*LIMIT_MATCH=100000)"))


@lru_cache(maxsize=256)
def aliases() -> tuple[str, ...]:
    """Every spelling that a framework may take for one of the headers that nobody may say of himself."""
    return tuple(
        "".join(letters)
        for header in UNTRUSTED_HEADERS
        for letters in product(*("-_." if letter == "-" else letter for letter in header))
    )


@lru_cache(maxsize=64)
def unmatched_alias(patterns: tuple[str, ...], *, whole: bool) -> str | None:
    """The first spelling that none of ``patterns`` takes. ``whole``: a match has to be of all of it."""
    tests = [python_regex(each).fullmatch if whole else python_regex(each).search for each in patterns]
    return next((each for each in aliases() if not any(test(each) for test in tests)), None)


_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\)(?:[*+]|\{\d*,?\d*\})[+?]?|.", re.DOTALL)


@lru_cache(maxsize=4096)
def repeats_a_group(pattern: str) -> bool:
    """Whether a group is repeated so that matching can go back into it; ``(…)?`` and possessive ones cannot."""
    return any(_REPEATED.fullmatch(token) for token in _TOKEN.findall(pattern))


_REPEATED = re.compile(r"\)(?:[*+]|\{.*\})\??")


def first_repeating(patterns: Iterable[str]) -> str | None:
    """The first of ``patterns`` that repeats a group."""
    return next((each for each in patterns if repeats_a_group(each)), None)


@lru_cache(maxsize=64)
def knows_subjects(pattern: str, trust_domain: str, before: str = "") -> bool:
    """Whether an expression takes the whole subject of a service of the trust domain, and nobody else's."""
    takes = python_regex(pattern).search
    subject = f"CN=some-service,O={trust_domain}"
    others = {
        "",
        f"CN=some-service,O=x{trust_domain}",
        f"CN=some-service,O={trust_domain.replace('.', 'x', 1)}",
        f"CN=a,CN=b,O={trust_domain}",
        f"{subject}.evil.example",
        f"{subject},OU=x",
        f"OU=x,{subject}",
    } - {subject}
    return bool(takes(before + subject)) and not any(takes(before + other) for other in others)
