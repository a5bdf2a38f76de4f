"""Reads back what HAProxy will load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from meshctl.artifacts import CERTIFICATE, REVOCATION_LISTS
from meshctl.audit import haproxy_inbound, haproxy_values
from meshctl.audit.expectations import (
    PLAIN,
    TRUST,
    Transport,
    destinations,
    listeners,
    outside,
    transport,
    within,
)
from meshctl.audit.haproxy_text import Section, address_of, options, read
from meshctl.audit.patterns import first_repeating
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import Sidecar


def audit(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """What is wrong with ``haproxy.cfg``."""
    text = files["haproxy/haproxy.cfg"].decode()
    sections = read(text)
    yield from haproxy_values.audit(sections, files)
    yield from _listeners(sidecar, sections)
    yield from _upstreams(sidecar, sections)
    if _SUSPECT.search(text):
        yield from _repeated_groups(sections)
    yield from haproxy_inbound.audit(sidecar, sections)


_LISTENING = frozenset(("bind", "stats", "dgram-bind"))
_SERVERS = frozenset(("server", "default-server", "server-template"))


def _listeners(sidecar: Sidecar, sections: list[Section]) -> Iterator[Violation]:
    declared = {str(each) for each in listeners(sidecar)}
    found = set()
    for section in sections:
        for line in [each for each in section.lines if each[0] in _LISTENING]:
            match line:
                case ["bind", address, *rest]:
                    found.add(address_of(address))
                    yield from _listener(section, address_of(address), rest, declared)
                    yield from _shown(sidecar, section, options(rest))
                case ["stats", "socket", address, *rest]:
                    yield from _listener(section, address, rest, set())
                case ["dgram-bind", *_] | ["stats", "enable" | "uri" | "admin", *_]:
                    yield Violation(Invariant.LISTENERS, str(section), " ".join(line[:2]))
                case _:
                    pass
    for missing in sorted(declared - found):
        yield Violation(Invariant.LISTENERS, "haproxy.cfg", f"nothing listens on {missing}")


def _listener(section: Section, address: str, rest: Iterable[str], declared: set[str]) -> Iterator[Violation]:
    if address.startswith("unix@"):
        if not address.startswith("unix@../run/") or options(rest).get("mode") != "600":
            yield Violation(Invariant.LISTENERS, str(section), f"{address} is not its owner's alone")
    elif not address.startswith("abns@") and address not in declared:
        yield Violation(Invariant.LISTENERS, str(section), f"{address} is not declared")


def _shown(sidecar: Sidecar, section: Section, its: Mapping[str, str]) -> Iterator[Violation]:
    if "ssl" in its:
        allowed = within(sidecar) if its.get("ca-file") == TRUST else outside(sidecar)
        yield from haproxy_values.versions(str(section), its, allowed, Invariant.CLIENT_CERTIFICATE)


def _upstreams(sidecar: Sidecar, sections: list[Section]) -> Iterator[Violation]:
    allowed = _allowed(sidecar)
    (settings,) = (each for each in sections if each.kind == "global")
    if ("ssl-server-verify", "required") not in settings.lines:
        yield Violation(Invariant.UPSTREAM, "global", "servers are not verified unless a line says so")
    for section in (each for each in sections if each.kind in ("backend", "listen")):
        defaults: list[str] = []
        for line in [each for each in section.lines if each[0] in _SERVERS]:
            match line:
                case ["default-server", *words]:
                    defaults += words
                case ["server", _, address, *words] | ["server-template", _, _, address, *words]:
                    if not address.startswith(("abns@", "unix@../run/")):
                        its = options([*defaults, *words])
                        yield from _upstream(sidecar, section, address_of(address), its, allowed)
                case _:
                    pass


def _upstream(
    sidecar: Sidecar,
    section: Section,
    address: str,
    its: Mapping[str, str],
    allowed: Mapping[str, set[Transport | None]],
) -> Iterator[Violation]:
    here = allowed.get(address) or allowed.get(address.rpartition(":")[0]) or set()
    where = f"{section}, {address}"
    if "ssl" not in its:
        if PLAIN not in here:
            yield Violation(Invariant.UPSTREAM, where, "no TLS")
        return
    for word in ("no-ssl", "no-verifyhost"):
        if word in its:
            yield Violation(Invariant.UPSTREAM, where, word)
    if its.get("verify") != "required":
        yield Violation(Invariant.UPSTREAM, where, "no `verify required`")
    name = its.get("verifyhost", "")
    matching = {each for each in here if each and (each.name, each.authorities) == (name, its.get("ca-file"))}
    if not matching or ("sni" not in its and not name):
        yield Violation(Invariant.UPSTREAM, where, f"the name {name!r} by {its.get('ca-file', 'no CA')}")
    in_mesh = its.get("ca-file") == TRUST
    yield from haproxy_values.versions(where, its, within(sidecar) if in_mesh else outside(sidecar))
    if (its.get("crt") == f"../{CERTIFICATE}") is not in_mesh:
        yield Violation(
            Invariant.UPSTREAM, where, "the sidecar's own certificate is for the mesh, and for it alone"
        )
    if in_mesh and sidecar.tls.crl and its.get("crl-file") != f"../{REVOCATION_LISTS}":
        yield Violation(Invariant.UPSTREAM, where, "no revocation lists")


def _allowed(sidecar: Sidecar) -> dict[str, set[Transport | None]]:
    """How each address may be spoken to. Several clusters may lead to one."""
    found: dict[str, set[Transport | None]] = {}
    for cluster in sidecar.clusters:
        for each in destinations(cluster):
            found.setdefault("0.0.0.0:0" if each == "*" else each, set()).add(transport(cluster))
    own = (sidecar.inbound, sidecar.health)
    for application in (each.application for each in own if each is not None):
        if application is not None:
            found.setdefault(str(application), set()).add(PLAIN)
    return found


# Most files have no repeated group, and need no closer look.
_SUSPECT = re.compile(r"\)(?:[*+](?!\+)|\{\d)")
_REGEX_ACTIONS = ("replace-path", "replace-pathq", "replace-uri", "replace-header", "replace-value")


def _repeated_groups(sections: list[Section]) -> Iterator[Violation]:
    for section in sections:
        for line in section.lines:
            by_regex = "reg" in line or (len(line) > 1 and line[1] in _REGEX_ACTIONS)
            repeating = first_repeating(line[2:]) if by_regex else None
            if repeating is not None:
                yield Violation(Invariant.REPEATED_GROUP, str(section), repeating)
