"""The scripts that bring a bundle into a running sidecar: what they have in common, and each proxy's own part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from meshctl.artifacts import CERTIFICATE, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.ir import Sidecar, SocketAddress
from meshctl.resources import folder

# A proxy keeps what it had, or takes an old list and then refuses every connection. What is amiss with the certificate
# itself is not looked at here: whose own is revoked still gets the list, for others may be in it, too.
_LISTED = f"""\
said=$(openssl verify -crl_check_all -CAfile ../{TRUST_BUNDLE} -CRLfile ../{REVOCATION_LISTS} \\
    -untrusted ../{CERTIFICATE} ../{CERTIFICATE} 2>&1) ||
    case $said in
    *CRL* | *crl.pem* | *openssl:*) fail 1 "nothing was changed, for it cannot use ../{REVOCATION_LISTS}: $said" ;;
    esac
"""


def script(sidecar: Sidecar, part: str, words: Mapping[str, str]) -> bytes:
    """``<proxy>/reload``: the template ``part`` behind what is common, with ``words`` for words in capitals."""
    bind = sidecar.admin.bind
    text = _text(part)
    own = {
        "BUILD": sidecar.build,
        "ADDRESS": bind.address,
        "PORT": str(bind.port),
        "LISTENS": " ".join(map(str, _binds(sidecar))),
        "LISTED\n": _LISTED if sidecar.tls.crl else "",
    }
    for word, value in (own | dict(words)).items():
        text = text.replace(word, value)
    return text.encode()


def of_workers(
    sidecar: Sidecar, *, pid_file: str, check: tuple[str, ...], signal: str, first: str = ""
) -> bytes:
    """The same for a proxy whose master makes new workers at ``signal``; ``first`` is a line of shell before it."""
    words = {
        "PROXY": sidecar.proxy.value,
        "PIDFILE": pid_file,
        "CHECK": " ".join(check),
        "FIRST\n": first,
        "SIGNAL": signal,
    }
    return script(sidecar, "workers", words)


def _binds(sidecar: Sidecar) -> Iterator[SocketAddress]:
    """Everything that the sidecar listens on, but for sockets of its own in ``run``."""
    listeners = (sidecar.outbound, *sidecar.locals, *sidecar.tcp, sidecar.inbound, sidecar.health)
    yield sidecar.admin.bind
    for listener in listeners:
        yield from listener.binds if listener else ()


@cache
def _text(part: str) -> str:
    templates = folder("templates")
    return (templates / "reload").read_text() + (templates / part).read_text()
