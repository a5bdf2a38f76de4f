"""Reads back the HAProxy sections through which others come in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from meshctl.artifacts import CERTIFICATE, REVOCATION_LISTS
from meshctl.audit.expectations import TRUST, callers, rules, same_verdicts
from meshctl.audit.haproxy_text import Section, Words, address_of, options
from meshctl.audit.patterns import knows_subjects, misjudged, unmatched_alias
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import AuthorizationRule, InboundListener, MtlsMode, Protocol, Sidecar
from meshctl.ir.mesh import IDENTITY_HEADER

_TLS, _PLAIN = "unix@../run/inbound_tls.sock", "unix@../run/inbound_plain.sock"
_NOBODY = "unauthenticated"


def audit(sidecar: Sidecar, sections: list[Section]) -> Iterator[Violation]:
    """What is wrong with who comes in, and with the gate of every listener."""
    at = {address_of(line[1]): each for each in sections for line in each.starting("bind")}
    for listener in (sidecar.outbound, *sidecar.locals):
        for bind in listener.binds:
            yield from _gate(at[str(bind)])
    inbound = sidecar.inbound
    if inbound is not None:
        yield from _inbound(sidecar, inbound, at)
    if sidecar.health is not None and sidecar.health.application is not None:
        (health,) = (each for each in sections if (each.kind, each.name) == ("backend", "health"))
        yield from _untrusted(health)


def _inbound(sidecar: Sidecar, inbound: InboundListener, at: dict[str, Section]) -> Iterator[Violation]:
    binds = tuple(map(str, inbound.binds))
    tls: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    match inbound.mtls:
        case MtlsMode.STRICT:
            tls = binds
        case MtlsMode.PERMISSIVE:
            tls, plain = (_TLS,), (_PLAIN,)
            for bind in binds:
                yield from _doorway(at[bind])
        case MtlsMode.DISABLED:
            plain = binds
    section = at[(*tls, *plain)[0]]
    for line in section.starting("bind"):
        address = address_of(line[1])
        if address in tls:
            yield from _certificate(sidecar, section, line)
        elif address not in plain:
            yield Violation(Invariant.CLIENT_CERTIFICATE, str(section), f"{address} leads here too")
    yield from _early_ends(section)
    yield from _subjects(sidecar, section, plaintext=bool(plain))
    if tls:
        yield from _names_one(section, plaintext=bool(plain))
    if inbound.protocol is not Protocol.TCP:
        yield from _gate(section)
        yield from _untrusted(section)
        yield from _told(sidecar, section)
    yield from _default_deny(sidecar, inbound, section)


_STRANGER = ("set-var(sess.subject)", "var(sess.plaintext)", "unless", "{", "ssl_fc", "}")
_ENDS = (
    ("http-request", "allow"),
    ("tcp-request", "session", "accept"),
    ("tcp-request", "content", "accept"),
)


def _early_ends(section: Section) -> Iterator[Violation]:
    """What would end the asking of rules before the last of them, which refuses."""
    for end in _ENDS:
        for line in section.starting(*end):
            yield Violation(
                Invariant.DEFAULT_DENY, str(section), f"`{' '.join(line)}` passes the other rules by"
            )
    for line in section.lines:
        if line[0] == "acl" and "always_true" in line[2:]:
            yield Violation(Invariant.DEFAULT_DENY, str(section), f"{line[1]} always holds")


def _doorway(section: Section) -> Iterator[Violation]:
    leads = [line for line in section.lines if line[0] in ("use_backend", "default_backend")]
    by_hello = ("use_backend", "doorway:tls", "if", "{", "req.ssl_hello_type", "1", "}")
    if leads != [by_hello, ("default_backend", "doorway:plain")]:
        yield Violation(Invariant.CLIENT_CERTIFICATE, str(section), "TLS is not told from plaintext")


def _certificate(sidecar: Sidecar, section: Section, line: Words) -> Iterator[Violation]:
    its = options(line)
    wanted = {
        "ssl": "",
        "crt": f"../{CERTIFICATE}",
        "ca-file": TRUST,
        "verify": "required",
        # A session that is resumed is not verified again.
        "no-tls-tickets": "",
        **({"crl-file": f"../{REVOCATION_LISTS}"} if sidecar.tls.crl else {}),
    }
    for word, value in wanted.items():
        if its.get(word) != value:
            told = f"{line[1]}: `{word} {value}`".rstrip() + " is not there"
            yield Violation(Invariant.CLIENT_CERTIFICATE, str(section), told)
    for word in ("crt-ignore-err", "ca-ignore-err", "ca-verify-file", "allow-0rtt"):
        if word in its:
            yield Violation(Invariant.CLIENT_CERTIFICATE, str(section), f"{line[1]}: {word}")


def _subjects(sidecar: Sidecar, section: Section, *, plaintext: bool) -> Iterator[Violation]:
    """Only whole subjects of the mesh's trust domain are read."""
    reads = ("set-var(sess.subject)", "ssl_c_s_dn(,0,rfc2253)")
    before = ("reject", "if", "{", "ssl_fc", "}", "!{") if plaintext else ("reject", "unless", "{")
    test = (*before, "var(sess.subject)", "-m", "reg", "--")
    rules = [line[2:] for line in section.starting("tcp-request", "session")]
    tests = [line[len(test)] for line in rules if line[: len(test)] == test]
    setting = [
        line for line in section.lines if any("(sess.subject" in word and "set-var" in word for word in line)
    ]
    if len(setting) != 1 + (_STRANGER in rules):
        yield Violation(
            Invariant.CLIENT_CERTIFICATE, str(section), "the subject is not the certificate's alone"
        )
    if reads not in rules or len(tests) != 1 or not knows_subjects(tests[0], sidecar.identity.trust_domain):
        yield Violation(
            Invariant.CLIENT_CERTIFICATE, str(section), "subjects of others than the mesh's are not rejected"
        )


def _names_one(section: Section, *, plaintext: bool) -> Iterator[Violation]:
    """Of whom the certificate names twice nothing is read."""
    reads = ("set-var(sess.names)", "ssl_c_s_dn(CN),hex,concat(:,sess.certificate)")
    before = ("reject", "if", *(("{", "ssl_fc", "}") if plaintext else ()))
    test = (*before, "!{", "var(sess.names)", "-m", "reg", "--")
    rules = [line[2:] for line in section.starting("tcp-request", "session")]
    if reads not in rules or not any(line[: len(test)] == test for line in rules):
        yield Violation(Invariant.CLIENT_CERTIFICATE, str(section), "who has two names is not rejected")


_FETCHES = {"url": 0, "path": 1, "method": 2}


def _gate(section: Section) -> Iterator[Violation]:
    """Evaluates the ACL of the gate, and asks whether its verdict comes before all others."""
    wrong = _misjudged(tuple(line[2:] for line in section.starting("acl", "uncanonical")))
    if wrong is not None:
        yield Violation(Invariant.GATE, str(section), f"{wrong!r} is judged wrongly")
    refusal = "http-request return status 400 if uncanonical || !rooted || !one_host || empty_host"
    asked = section.starting("http-request")
    first = next(
        (at for at, line in enumerate(asked) if line[1] in ("return", "use-service", "redirect")), None
    )
    if first is None or " ".join(asked[first]) != refusal:
        yield Violation(Invariant.GATE, str(section), "its refusal is not the first")


@lru_cache(maxsize=16)
def _misjudged(tests: tuple[Words, ...]) -> str | None:
    return misjudged(lambda target: not any(_holds(test, target) for test in tests))


def _holds(test: Words, target: str) -> bool:
    fetch, *flags = test[: test.index("--")]
    text = (target, target.partition("?")[0], "GET")[_FETCHES[fetch]]
    kind = flags[flags.index("-m") + 1]
    patterns = test[test.index("--") + 1 :]
    if kind == "sub":
        return any(each in text for each in patterns)
    if kind != "reg":
        raise ValueError(f"the gate asks by {kind}")
    ignoring = re.IGNORECASE if "-i" in flags else 0
    return any(re.search(each, text, ignoring) for each in patterns)


def _untrusted(section: Section) -> Iterator[Violation]:
    """Unconditional, and before anything of the kind is set."""
    rules = section.starting("http-request")
    told = next(
        (at for at, line in enumerate(rules) if line[1:3] == ("set-header", IDENTITY_HEADER)), len(rules)
    )
    removed = tuple(line[2] for line in rules[:told] if line[1] == "del-header" and line[3:] == ("-m", "reg"))
    left = unmatched_alias(removed, whole=False)
    if left is not None:
        yield Violation(Invariant.IDENTITY_HEADERS, str(section), f"{left} is let through")


def _told(sidecar: Sidecar, section: Section) -> Iterator[Violation]:
    prefix = f"spiffe://{sidecar.identity.trust_domain}/%[var(sess.caller)]"
    told = [line[3:] for line in section.starting("http-request", "set-header", IDENTITY_HEADER)]
    if len(told) != 1 or told[0][0] != prefix or told[0][1:] not in ((), ("if", "{", "ssl_fc", "}")):
        yield Violation(Invariant.IDENTITY_HEADERS, str(section), "the caller is not told as he is")


_VERDICTS = {"str(exempt)": "exempt", "str(denied)": "deny", "str(allowed)": "allow"}


def _default_deny(sidecar: Sidecar, inbound: InboundListener, section: Section) -> Iterator[Violation]:
    streams = inbound.protocol is Protocol.TCP
    request = ("tcp-request", "content") if streams else ("http-request",)
    refusal = (*request, *(("reject",) if streams else ("return", "status", "403")), "if", "!allowed")
    if inbound.authorization.audit:
        refusal = (
            *request,
            f"set-var({'sess' if streams else 'txn'}.audit)",
            "str(denied)",
            "if",
            "!allowed",
        )
    where = section.lines.index(refusal) if refusal in section.lines else None
    if where is None:
        yield Violation(Invariant.DEFAULT_DENY, str(section), "nobody is refused")
        return
    allowing = [line[2:] for line in section.starting("acl", "allowed")]
    by_rules = [line for line in allowing if line[:4] == ("var(txn.verdict)", "-m", "str", "--")]
    if by_rules:
        if len(allowing) != 1 or not {*by_rules[0][4:]} <= {"allowed", "exempt"}:
            yield Violation(Invariant.DEFAULT_DENY, str(section), "a way in beside the rules")
        yield from _order(sidecar, section, where)
    elif allowing[:1] != [("always_false",)]:
        yield Violation(Invariant.DEFAULT_DENY, str(section), "it does not begin with nobody")
    yield from _strangers(sidecar, section, allowing[1:] if not by_rules else [])


def _order(sidecar: Sidecar, section: Section, end: int) -> Iterator[Violation]:
    """One line for each rule: exempt, deny, allow. The first that holds decides."""
    found = [
        (at, line[1 if line[0] == "http-request" else 2 :])
        for at, line in enumerate(section.lines)
        if any(word.startswith(("set-var(txn.verdict", "set-var-fmt(txn.verdict")) for word in line)
    ]
    found = [(at, words) for at, words in found if words[1] != "str(challenged)"]
    if any(words[0] != "set-var(txn.verdict,ifnotset)" or at > end for at, words in found):
        yield Violation(
            Invariant.DEFAULT_DENY, str(section), "a rule takes back another's word, or comes too late"
        )
    wanted = rules(sidecar)
    verdicts = [_VERDICTS.get(words[1], words[1]) for _, words in found]
    if not same_verdicts(verdicts, [kind for kind, _ in wanted]):
        yield Violation(Invariant.DEFAULT_DENY, str(section), f"the rules are {verdicts}")
    for (_, words), (kind, rule) in zip(found, wanted, strict=False):
        conditional = rule.methods or rule.headers or rule.jwt or not rule.anyone
        if len(words) == 2 and (conditional or not _of_all_paths(rule)):
            yield Violation(Invariant.DEFAULT_DENY, str(section), f"{kind} has lost its conditions")


def _of_all_paths(rule: AuthorizationRule) -> bool:
    return not rule.paths or any(each.takes_everything for each in rule.paths)


def _strangers(sidecar: Sidecar, section: Section, allowing: list[Words]) -> Iterator[Violation]:
    """Whom the rules name: callers of the model, by their whole subjects."""
    known = {f"CN={each},O={sidecar.identity.trust_domain}" for each in callers(sidecar)} | {_NOBODY}
    by_subject = ("var(sess.subject)", "-m", "str", "--")
    for test in allowing:
        if test[:4] != by_subject:
            yield Violation(Invariant.DEFAULT_DENY, str(section), f"{test[0]} lets in")
    named = [line[6:] for line in section.starting("acl") if line[2:6] == by_subject]
    for subject in sorted({each for names in named for each in names} - known):
        yield Violation(Invariant.DEFAULT_DENY, str(section), f"{subject} is let in, whom no rule names")
