"""Reads back the servers of NGINX through which others come in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS
from meshctl.audit import nginx_values
from meshctl.audit.expectations import TRUST, callers, lets_anyone_in, rules, same_verdicts, within
from meshctl.audit.nginx_text import Directive
from meshctl.audit.patterns import knows_subjects, misjudged, python_regex
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import InboundListener, MtlsMode, Protocol, Sidecar
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS

_WHERE = "inbound"
_SOCKETS = (
    "unix:../run/inbound_tls.sock",
    "unix:../run/inbound_http1.sock",
    "unix:../run/inbound_http2.sock",
    "unix:../run/inbound_plain.sock",
)


def audit(sidecar: Sidecar, root: Directive) -> Iterator[Violation]:
    """What is wrong with who comes in, and with the gate of every server."""
    parts = {each.words[0]: each for each in root.blocks()}
    http, streams = parts["http"], parts.get("stream", Directive((), []))
    yield from _judges(http)
    outbound = {str(bind) for each in (sidecar.outbound, *sidecar.locals) for bind in each.binds}
    for server in http.named("server"):
        binds = _binds(server)
        internal = all(each.startswith("unix:") for each in binds)
        if outbound & binds or (internal and any("/http1_" in each or "/http2_" in each for each in binds)):
            yield from _gate(server)
    if sidecar.health is not None and sidecar.health.application is not None:
        bind = str(sidecar.health.binds[0])
        (health,) = (each for each in http.named("server") if bind in _binds(each))
        yield from _untrusted(http, health)
    inbound = sidecar.inbound
    if inbound is not None:
        yield from _inbound(sidecar, inbound, http, streams)


def _binds(server: Directive) -> set[str]:
    return {each.words[1] for each in server.named("listen")}


def _inbound(
    sidecar: Sidecar, inbound: InboundListener, http: Directive, streams: Directive
) -> Iterator[Violation]:
    declared = set(map(str, inbound.binds))
    part = streams if inbound.protocol is Protocol.TCP else http
    found = [each for each in part.named("server") if _binds(each) & {*declared, *_SOCKETS}]
    doors = [each for each in streams.named("server") if _binds(each) & declared and each.named("js_preread")]
    taking = [each for each in found if each not in doors]
    if inbound.mtls is MtlsMode.STRICT and doors:
        yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "a door for plaintext")
    tls = False
    for server in taking:
        listens = server.named("listen")
        with_tls = [each for each in listens if "ssl" in each.words]
        tls = tls or bool(with_tls)
        if with_tls:
            yield from _certificate(sidecar, server)
        if len(with_tls) < len(listens) and inbound.mtls is MtlsMode.STRICT:
            yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "plaintext is taken")
        if part is http:
            yield from _server(sidecar, inbound, http, server)
    if tls is (inbound.mtls is MtlsMode.DISABLED) or not taking:
        yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "TLS is not taken as asked")
    if part is streams:
        yield from _streams(sidecar, inbound, streams)


def _certificate(sidecar: Sidecar, server: Directive) -> Iterator[Violation]:
    wanted = {
        "ssl_verify_client": "on",
        "ssl_client_certificate": TRUST,
        "ssl_certificate": f"../{CERTIFICATE}",
        "ssl_certificate_key": f"../{PRIVATE_KEY}",
        **({"ssl_crl": f"../{REVOCATION_LISTS}"} if sidecar.tls.crl else {}),
    }
    for name, value in wanted.items():
        if [each.words[1:] for each in server.named(name)] != [(value,)]:
            yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, f"`{name} {value}` is not there")
    for each in server.named("ssl_protocols"):
        if not any(nginx_values.speaks(each.words[1:], wanted) for wanted in within(sidecar)):
            yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, str(each))
    for name in ("ssl_session_cache", "ssl_session_tickets", "ssl_trusted_certificate", "ssl_early_data"):
        if server.named(name):
            yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, f"{name} of its own")


def _server(
    sidecar: Sidecar, inbound: InboundListener, http: Directive, server: Directive
) -> Iterator[Violation]:
    (peer,) = _maps(http, "$peer")
    known = [_key(each) for each in _rows(peer) if each.words[0].startswith("~")]
    before = "on " if inbound.mtls is not MtlsMode.STRICT else ""
    if len(known) != 1 or not knows_subjects(known[0], sidecar.identity.trust_domain, before):
        yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "subjects of others than the mesh's are read")
    if not _refuses(server, "($peer", "=", ")", status="444"):
        yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "who is not of the mesh is not refused")
    if inbound.mtls is not MtlsMode.DISABLED and not _refuses(server, "($names_one", "=", ")", status="495"):
        yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "who has two names is not refused")
    yield from _taken_back(http, server)
    yield from _gate(server)
    yield from _untrusted(http, server)
    yield from _default_deny(sidecar, inbound, http, server)


_DECIDING = frozenset(("$peer", "$canonical", "$caller_identity", "$allowed"))


def _taken_back(http: Directive, server: Directive) -> Iterator[Violation]:
    """What would end the asking of conditions before the last of them, or write over what they ask for."""
    for each in (server, *server.named("if")):
        for end in (*each.named("break"), *each.named("rewrite")):
            yield Violation(Invariant.DEFAULT_DENY, _WHERE, f"`{' '.join(end.words)}` passes conditions by")
        for change in (*each.named("set"), *each.named("set_by_lua_block")):
            if change.words[1] in _DECIDING:
                yield Violation(Invariant.DEFAULT_DENY, _WHERE, f"{change.words[1]} is written over")
    for table in _maps(http, "$caller_identity"):
        if table.words[1] != "$peer":
            yield Violation(Invariant.DEFAULT_DENY, _WHERE, f"{table.words[1]} says who calls")


def _maps(part: Directive, variable: str) -> list[Directive]:
    return [each for each in part.named("map") if each.words[-1] == variable]


def _rows(table: Directive) -> list[Directive]:
    return [each for each in table.block or () if each.words[0] not in ("volatile", "hostnames", "default")]


def _default(table: Directive) -> tuple[str, ...]:
    return next((each.words[1:] for each in table.named("default")), ("",))


def _key(row: Directive) -> str:
    return row.words[0].lstrip("~").removeprefix("*")


def _refuses(server: Directive, *test: str, status: str) -> bool:
    wanted = [Directive(("return", status))]
    return any(_test(each) == test and each.block == wanted for each in server.named("if"))


def _test(condition: Directive) -> tuple[str, ...]:
    """The words of a condition, an empty one left out."""
    return tuple(word for word in condition.words[1:] if word)


def _judges(http: Directive) -> Iterator[Violation]:
    (table,) = _maps(http, "$canonical")
    rows = [(each.words[0], each.words[1]) for each in _rows(table)]
    wrong: str | None = "nothing"
    if table.words[1] == "$request" and _default(table) == ("0",) and len(rows) == 1 and rows[0][1] == "1":
        wrong = _misjudged(rows[0][0].removeprefix("~"))
    if wrong is not None:
        yield Violation(Invariant.GATE, "nginx.conf", f"{wrong!r} is judged wrongly")


@lru_cache(maxsize=16)
def _misjudged(pattern: str) -> str | None:
    takes = python_regex(pattern).search
    return misjudged(lambda target: takes(f"GET {target} HTTP/1.1") is not None)


def _gate(server: Directive) -> Iterator[Violation]:
    """Before any location; and no location lets go on who would have to be refused."""
    if not _refuses(server, "($canonical", "=", "0)", status="400"):
        yield Violation(
            Invariant.GATE, str(server.named("listen")[0]), "what is not canonical is not refused"
        )


_DROPS = re.compile(r"\bmesh\.drop_untrusted_headers\(\)")


def _untrusted(http: Directive, server: Directive) -> Iterator[Violation]:
    (start,) = http.named("init_by_lua_block")
    for header in UNTRUSTED_HEADERS:
        if f'mesh.untrusted_headers["{header}"] = true' not in start.code:
            yield Violation(
                Invariant.IDENTITY_HEADERS, "nginx.conf", f"{header} is not among what is dropped"
            )
    for location in server.named("location"):
        passes = location.named("proxy_pass") or location.named("grpc_pass")
        if passes and not any(_DROPS.search(each.code) for each in location.named("set_by_lua_block")):
            yield Violation(
                Invariant.IDENTITY_HEADERS, str(location), "what callers say of identities is let through"
            )


def _default_deny(
    sidecar: Sidecar, inbound: InboundListener, http: Directive, server: Directive
) -> Iterator[Violation]:
    decisions = _maps(http, "$allowed")
    known = callers(sidecar)
    if decisions:
        yield from _decisions(sidecar, inbound, decisions[0], server)
    else:
        (identities,) = _maps(http, "$caller_identity")
        if _default(identities) != ("",) or not _refuses(server, "($caller_identity", "=", ")", status="403"):
            yield Violation(Invariant.DEFAULT_DENY, _WHERE, "nobody is refused")
        for row in _rows(identities):
            name = row.words[0].lstrip("\\")
            if name not in known or row.words[1] != f"spiffe://{sidecar.identity.trust_domain}/{name}":
                yield Violation(Invariant.DEFAULT_DENY, _WHERE, f"{name} is let in, whom no rule names")
    headers = [
        each
        for location in server.named("location")
        for each in (*location.named("proxy_set_header"), *location.named("grpc_set_header"))
        if each.words[1] == IDENTITY_HEADER
    ]
    if not headers or any(each.words[2] not in ("$caller_identity", "$told_identity") for each in headers):
        yield Violation(Invariant.IDENTITY_HEADERS, _WHERE, "the caller is not told as he is")


_NAMED = re.compile(r"\^\(\?:([^)(]*)\) ")
_VERDICTS = {"0": "deny", "1": "allow", "exempt": "exempt"}


def _decisions(
    sidecar: Sidecar, inbound: InboundListener, table: Directive, server: Directive
) -> Iterator[Violation]:
    refuses = any(
        _test(each) == ("($allowed", "=", "0)")
        and each.block
        == [Directive(("set", "$audit", "denied") if inbound.authorization.audit else ("return", "403"))]
        for each in server.named("if")
    )
    if _default(table) != ("0",) or not refuses:
        yield Violation(Invariant.DEFAULT_DENY, _WHERE, "nobody is refused")
    # Expressions that were given up come first, and refuse.
    rows = [each for each in _rows(table) if not (each.words[1] == "0" and each.words[0].endswith(",fault,"))]
    found = [_VERDICTS.get(each.words[1], "?") for each in rows]
    wanted = [(kind, rule) for kind, rule in rules(sidecar) for _ in rule.paths or (None,)]
    if not same_verdicts(found, [kind for kind, _ in wanted]):
        yield Violation(Invariant.DEFAULT_DENY, _WHERE, f"the rules are {found}")
    known = {*callers(sidecar), "unauthenticated"}
    for row, (_, rule) in zip(rows, wanted, strict=False):
        named = _NAMED.match(_key(row))
        names = named[1].replace("\\", "").split("|") if named else []
        if not rule.anyone and (not names or not {*names} <= known):
            yield Violation(Invariant.DEFAULT_DENY, _WHERE, "a caller is let in whom no rule names")


def _streams(sidecar: Sidecar, inbound: InboundListener, streams: Directive) -> Iterator[Violation]:
    """Where a stream goes is looked up by its caller's whole subject, and nowhere is the default."""
    for table in _maps(streams, "$application"):
        if inbound.mtls is not MtlsMode.DISABLED and table.words[1] != "$caller_subject":
            yield Violation(Invariant.CLIENT_CERTIFICATE, _WHERE, "who has two names is not refused")
        anybody = inbound.authorization.audit or lets_anyone_in(sidecar)
        if _default(table) != ("",):
            yield Violation(Invariant.DEFAULT_DENY, _WHERE, "nobody is refused")
        stranger = f"CN=stranger-of-audit,O={sidecar.identity.trust_domain}"
        other = "CN=stranger-of-audit,O=other.example.test"
        for row in _rows(table):
            takes = python_regex(_key(row)).search
            if row.words[1] and (takes(other) or (takes(stranger) and not anybody)):
                yield Violation(Invariant.DEFAULT_DENY, _WHERE, "a caller is let in whom no rule names")
    if inbound.mtls is not MtlsMode.DISABLED and not _maps(streams, "$application"):
        yield Violation(Invariant.DEFAULT_DENY, _WHERE, "nobody is refused")
