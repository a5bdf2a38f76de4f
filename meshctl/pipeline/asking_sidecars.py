"""How far a rotation of the root is, as the running sidecars of a mesh show it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Struct

from meshctl import ir
from meshctl.live.handshakes import Probe, shake_hands
from meshctl.pipeline.checking import Validated
from meshctl.pki.authority import Authority
from meshctl.pki.deployed import Wanted, shows
from meshctl.pki.issue import issue

PROBE_LIFETIME = timedelta(minutes=5)
AT_A_TIME = 16
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with


class _Question(Struct, frozen=True):
    bundle: str
    where: ir.SocketAddress
    callee: ir.Sidecar
    caller: ir.WorkloadIdentity


def ask_sidecars(
    validated: Validated, authority: Authority, wanted: Wanted, now: datetime
) -> dict[str, list[str] | None]:
    """By bundle what its sidecars lack, in words; None where nobody can be asked.

    A sidecar has what is wanted when it takes certificates of every CA, and shows one of the right one. Raises FindingsError.
    """
    mesh = validated.require()
    told: dict[str, list[str] | None] = {}
    questions: list[_Question] = []
    for sidecar in mesh.sidecars:
        bundle = f"{sidecar.service}/{sidecar.instance}".rstrip("/")
        asked = [
            _Question(bundle, where, sidecar, _caller_of(mesh, sidecar))
            for where in _addresses(validated, sidecar)
        ]
        told[bundle] = [] if asked else None
        questions += asked
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        answers = threads.map(lambda each: list(_lacks(each, authority, wanted, now)), questions)
        for question, lacks in zip(questions, answers, strict=True):
            told[question.bundle] = [*(told[question.bundle] or ()), *lacks]
    return told


def _lacks(question: _Question, authority: Authority, wanted: Wanted, now: datetime) -> Iterator[str]:
    inbound = question.callee.inbound
    http = inbound is not None and inbound.protocol is not ir.Protocol.TCP
    for ca in wanted.trusted:
        issued = issue(ca, question.caller, PROBE_LIFETIME, now)
        name = question.callee.identity.dns_name
        probe = Probe(name, authority.trust_pem, issued.chain_pem, issued.key_pem)
        try:
            shown = shake_hands(question.where, probe, http=http)
        except OSError as error:
            yield f"{question.where}: {error.strerror or error}"
            return
        if shown.refused:
            yield f"{question.where} does not take a certificate of {_name(ca)} ({shown.refused})"
        elif not shows(wanted, shown.certificate):
            yield f"{question.where} does not show a certificate of {_name(wanted.leaf_of or ca)}"


def _name(authority: Authority) -> str:
    return authority.issuing.subject.rfc4514_string()


def _caller_of(mesh: ir.Mesh, callee: ir.Sidecar) -> ir.WorkloadIdentity:
    """Who may call it, for a sidecar of a stream closes on others; itself where nobody does."""
    known = {each.service: each.identity for each in mesh.sidecars}
    callers = (caller for caller, called in mesh.calls if called == callee.service and caller in known)
    return known[next(callers, callee.service)]


def _addresses(validated: Validated, sidecar: ir.Sidecar) -> tuple[ir.SocketAddress, ...]:
    """Where its listener for other sidecars can be reached, if it speaks TLS there."""
    from meshctl.resolve.placements import endpoints

    inbound = sidecar.inbound
    if inbound is None or inbound.mtls is ir.MtlsMode.DISABLED or validated.spec is None:
        return ()
    if not {each.address for each in inbound.binds} & _ANY:
        return inbound.binds
    found = endpoints(validated.spec, sidecar.service)
    return tuple(each for each in found if each.port == inbound.bind.port)
