"""Names and versions of the hop."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from meshctl import ir
from meshctl.targets import mtls as certificates
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Doorway, Tls
from meshctl.targets.haproxy.quoting import Token


def tls(context: ir.TlsContext) -> Tls:
    """Versions and ciphers; files have fixed places and stand in the template."""
    suites = context.cipher_suites
    return Tls(
        version(context.minimum_version),
        version(context.maximum_version),
        quoting.word(":".join(suites)) if suites else None,
        context.crl,
    )


FIRST_WORD = timedelta(seconds=2)
"""For the client of a stream to say anything. Who waits longer to be spoken to first is taken for plaintext."""

_TLS, _PLAIN = (Token(f"unix@../run/inbound_{each}.sock") for each in ("tls", "plain"))


def binds(inbound: ir.InboundListener) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """Where the listener of other sidecars takes TLS, and where plaintext; behind a doorway nobody else comes there."""
    written = quoting.binds(inbound.binds)
    match inbound.mtls:
        case ir.MtlsMode.STRICT:
            return written, ()
        case ir.MtlsMode.PERMISSIVE:
            tls, plain = (Token(f"{each} mode 600 accept-proxy") for each in (_TLS, _PLAIN))
            return (tls,), (plain,)
        case ir.MtlsMode.DISABLED:
            return (), written
        case _:
            assert_never(inbound.mtls)


def doorway(inbound: ir.InboundListener) -> Doorway | None:
    """None where everybody who comes in speaks alike. For the first bytes of a request there is all the idle time."""
    if inbound.mtls is not ir.MtlsMode.PERMISSIVE:
        return None
    streams = inbound.protocol is ir.Protocol.TCP
    wait = quoting.duration(FIRST_WORD if streams else inbound.idle_timeout)
    return Doorway(quoting.binds(inbound.binds), wait, _TLS, _PLAIN)


def transport(cluster: ir.Cluster, context: ir.TlsContext) -> Token:
    """What a server line says of the hop: both certificates, and the name that is sent and verified."""
    if cluster.plaintext:
        return _without_tls(cluster)
    name = cluster.workload.server_name
    both = tls(context)
    return quoting.statement(
        Token("ssl crt ../tls/cert.pem ca-file ../tls/ca.pem"),
        *((Token("crl-file ../tls/crl.pem"),) if context.crl else ()),
        Token("verify required verifyhost"),
        quoting.word(name),
        Token("sni"),
        quoting.string(name),
        *_application_protocol(cluster.protocol),
        Token(f"ssl-min-ver {both.minimum} ssl-max-ver {both.maximum}"),
        *((Token(f"ciphers {both.ciphers}"),) if both.ciphers else ()),
        Token("no-ssl-reuse no-tls-tickets"),
        *_reuse(cluster),
    )


def _without_tls(cluster: ir.Cluster) -> Token:
    spoken = (Token("proto h2"),) if cluster.protocol.multiplexed else ()
    return quoting.statement(*spoken, *_reuse(cluster))


def _reuse(cluster: ir.Cluster) -> tuple[Token, ...]:
    # What `http-server-close` is to HTTP/1.1.
    return (Token("max-reuse 0"),) if cluster.dns and cluster.protocol.multiplexed else ()


def _application_protocol(protocol: ir.Protocol) -> tuple[Token, ...]:
    if protocol is ir.Protocol.TCP:
        return ()
    # Without `proto` HAProxy would speak HTTP/1.1 to whoever does not answer the offer.
    return (Token("alpn h2 proto h2") if protocol.multiplexed else Token("alpn http/1.1"),)


def subject(identity: ir.WorkloadIdentity) -> Token:
    """A regular expression for the whole subject of any workload of the trust domain, and nothing else.

    No repeated group in it, so that no length of a subject makes the expression give up.
    """
    return quoting.regex(f"^CN=[A-Za-z0-9._-]+,O={quoting.literal_regex(identity.trust_domain)}$")


def names_one(inbound: ir.InboundListener | None, identity: ir.WorkloadIdentity) -> Token | None:
    """The expression for the names in a caller's certificate, where there is a listener that callers show one to."""
    shown = inbound is not None and inbound.mtls is not ir.MtlsMode.DISABLED
    return quoting.regex(certificates.names_one(identity)) if shown else None


def version(version: ir.TlsVersion) -> Token:
    """HAProxy's word."""
    match version:
        case ir.TlsVersion.V1_2:
            return Token("TLSv1.2")
        case ir.TlsVersion.V1_3:
            return Token("TLSv1.3")
        case _:
            assert_never(version)
