"""Destinations outside the mesh: how they are spoken to, and where their addresses come from."""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy import mtls, quoting
from meshctl.targets.haproxy.model import Resolvers
from meshctl.targets.haproxy.quoting import Token

MOST_ADDRESSES = 64
"""HAProxy wants to know beforehand how many addresses a name may have. This many fit into an answer over UDP."""

_ORIGIN = Token("var(txn.origin)")
_ADDRESS = Token("{ var(txn.origin) -m ip 0.0.0.0/0 ::/0 }")
_FOUND = Token("{ var(txn.address) -m found }")


def transport(cluster: ir.Cluster) -> Token:
    """What a server line says of the connection: nothing for a plain one."""
    encryption = cluster.origin.tls if cluster.origin else None
    if encryption is None:
        return Token("")
    name = encryption.server_name
    # Without a name of its own what is sent is also what is verified.
    verified = quoting.statement(Token("verifyhost"), quoting.word(name), Token("sni"), quoting.string(name))
    return quoting.statement(
        Token("ssl verify required ca-file"),
        quoting.word(encryption.authorities),
        verified if name else Token(f"sni {_ORIGIN}"),
        Token(f"alpn http/1.1 ssl-min-ver {mtls.version(encryption.minimum_version)} ssl-max-ver TLSv1.3"),
        Token("no-ssl-reuse no-tls-tickets"),
    )


def follows_host(cluster: ir.Cluster) -> bool:
    """Whether the request says where it goes."""
    return cluster.dns is not None and not cluster.dns.name


def looked_up(cluster: ir.Cluster) -> bool:
    """Whether a name of the spec says where it is."""
    return cluster.dns is not None and bool(cluster.dns.name)


def servers(dns: ir.DnsName) -> tuple[Token, ...]:
    """As many servers as a name may have addresses; none has one before the first answer."""
    if not dns.name:
        return (Token("server any 0.0.0.0:0"),)
    where = quoting.word(f"{dns.name}:{dns.port}")
    options = f"resolvers {_resolvers_name(dns)} resolve-prefer ipv4 init-addr none weight 1"
    return (Token(f"server-template e {MOST_ADDRESSES} {where} {options}"),)


def preparations(cluster: ir.Cluster) -> tuple[Token, ...]:
    """What is done before a connection whose address the request's host says."""
    dns = cluster.dns
    if dns is None or dns.name:
        return ()
    name = Token(r"set-var(txn.origin) 'req.fhdr(host),host_only,lower,regsub(\.$,),regsub([][],,g)'")
    asked = f"do-resolve(txn.address,{_resolvers_name(dns)},"
    port = Token("req.fhdr(host),port_only")
    named = f"{{ {port} -m int gt 0 }}"
    fixed = (Token(f"set-dst-port int({dns.port or 80})"),)
    return (
        name,
        Token(f"set-var(txn.address) {_ORIGIN} if {_ADDRESS}"),
        Token(f"{asked}ipv4) {_ORIGIN} unless {_FOUND}"),
        Token(f"{asked}ipv6) {_ORIGIN} unless {_FOUND}"),
        Token(f"return status 503 unless {_FOUND}"),
        Token("set-dst var(txn.address)"),
        *fixed,
        *(() if dns.port else (Token(f"set-dst-port {port} if {named}"),)),
    )


def resolvers(sidecar: ir.Sidecar) -> tuple[Resolvers, ...]:
    """One section for each time after which names are asked again."""
    found = {}
    for cluster in sidecar.clusters:
        if cluster.dns:
            # A name of the spec keeps its last good answer; a host that a request names is looked up anew.
            hold = timedelta(seconds=1) if follows_host(cluster) else quoting.LONGEST
            found[_resolvers_name(cluster.dns)] = Resolvers(
                _resolvers_name(cluster.dns),
                tuple(Token(f"r{n} {quoting.address(each)}") for n, each in enumerate(sidecar.resolvers, 1)),
                quoting.duration(cluster.dns.refresh),
                quoting.duration(hold),
            )
    return tuple(found.values())


def _resolvers_name(dns: ir.DnsName) -> Token:
    kind = "names" if dns.name else "hosts"
    return quoting.name(f"{kind}.{quoting.duration(dns.refresh)}")
