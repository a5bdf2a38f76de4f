"""Words and values in HAProxy's files that undo what stands around them when they are others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from meshctl.audit.expectations import SAFE_SUITES, Versions, untrusted
from meshctl.audit.haproxy_text import FLAGS, VALUED, Section, Words, options
from meshctl.audit.violations import Invariant, Violation
from meshctl.audit.vocabulary import phrase
from meshctl.audit.words import HAPROXY_PHRASES
from meshctl.ir.mesh import IDENTITY_HEADER

_BEFORE = {"bind": 2, "server": 3, "server-template": 4, "default-server": 1}
"""Words of a line that are no options: names and addresses."""
_SETTING = frozenset(("set-header", "add-header", "replace-header", "replace-value"))
_CALLER = ("tcp-request", "session", "set-var(sess.caller)", "ssl_c_s_dn(CN)")
_WORDS = {
    ("stats", "socket"): ("level", "admin", "expose-fd", "listeners"),
    ("ssl-load-extra-files",): ("key",),
    ("tune.ssl.cachesize",): ("0",),
}


def audit(sections: list[Section], files: Mapping[str, bytes]) -> Iterator[Violation]:
    """What meshctl does not write: keywords, options of addresses, headers that say who calls, what is loaded."""
    for section in sections:
        if section.kind not in HAPROXY_PHRASES:
            yield Violation(Invariant.WORDS, str(section), f"`{section.kind}`")
        for line in filter(_wrong, section.lines):
            yield from (Violation(invariant, str(section), what) for invariant, what in _wrong(line))
        for line in section.starting("lua-load"):
            if f"haproxy/{line[1]}" not in files:
                yield Violation(Invariant.WORDS, str(section), f"{line[1]} is not of the bundle")


@lru_cache(maxsize=1 << 16)
def _wrong(line: Words) -> tuple[tuple[Invariant, str], ...]:
    """Many lines are the same in many files."""
    said = phrase(line)
    unknown = () if said in HAPROXY_PHRASES else ((Invariant.WORDS, f"`{said}`"),)
    return (*unknown, *_options(line), *_caller(line), *_globals(line))


def _options(line: Words) -> Iterator[tuple[Invariant, str]]:
    if line[0] in _BEFORE:
        for each in options(line[_BEFORE[line[0]] :]):
            if each not in VALUED and each not in FLAGS:
                yield Invariant.WORDS, f"`{each}` of {' '.join(line[:2])}"


def _caller(line: Words) -> Iterator[tuple[Invariant, str]]:
    says = len(line) > 2 and line[1] in _SETTING and untrusted(line[2])
    if says and line[:3] != ("http-request", "set-header", IDENTITY_HEADER):
        yield Invariant.IDENTITY_HEADERS, f"`{' '.join(line[:3])}` says who calls"
    if any("sess.caller" in word and "set-var" in word for word in line) and line[:4] != _CALLER:
        yield Invariant.IDENTITY_HEADERS, f"`{' '.join(line[:4])}` says who calls"


def _globals(line: Words) -> Iterator[tuple[Invariant, str]]:
    for begin, end in _WORDS.items():
        if line[: len(begin)] == begin and line[-len(end) :] != end:
            yield Invariant.WORDS, f"`{' '.join(line)}`"


def versions(
    where: str, its: Mapping[str, str], allowed: Iterable[Versions], invariant: Invariant = Invariant.UPSTREAM
) -> Iterator[Violation]:
    """Whether the options of an address speak TLS as the model has it."""
    said = (its.get("ssl-min-ver"), its.get("ssl-max-ver"))
    fitting = [each for each in allowed if said == (f"TLSv{each.minimum}", f"TLSv{each.maximum}")]
    if not fitting:
        yield Violation(invariant, where, f"TLS from {said[0]} to {said[1]}")
    suites = its.get("ciphers", "")
    asked = {":".join(each.suites) for each in fitting}
    if suites not in asked and not (suites and "" in asked and {*suites.split(":")} <= SAFE_SUITES):
        yield Violation(invariant, where, f"the ciphers {suites}")
