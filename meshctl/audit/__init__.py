"""The self-audit: a bundle is read back after it was made, by other eyes than those that made it.

What must never be wrong is looked for in the bytes that a proxy will load: whom a sidecar believes, who is let in, what
listens. Each proxy's files have a reader of their own here, which shares nothing with the target that wrote them, and
what they are held against comes from the resolved model alone. A violation is a bug of meshctl's, never a
user's mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshctl.audit import envoy, haproxy, keys, nginx
from meshctl.audit.violations import AuditError, Invariant, Unreadable, Violation
from meshctl.ir import Proxy, Sidecar

__all__ = ["AuditError", "Invariant", "Violation", "audit", "require"]

_AUDITS = {Proxy.ENVOY: envoy.audit, Proxy.HAPROXY: haproxy.audit, Proxy.NGINX: nginx.audit}


def audit(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """What is wrong with the bundle of ``sidecar``; ``files`` by their paths in it."""
    yield from keys.audit(files)
    try:
        yield from _AUDITS[sidecar.proxy](sidecar, files)
    except (Unreadable, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        yield Violation(Invariant.READABLE, sidecar.proxy, f"{type(error).__name__}: {error}")


def require(bundles: Iterable[tuple[str, Sidecar, Mapping[str, bytes]]]) -> None:
    """Raise AuditError, which tells of all violations, unless every bundle (its folder, sidecar and files) is sound."""
    told = [
        f"{folder}: {violation}"
        for folder, sidecar, files in bundles
        for violation in dict.fromkeys(audit(sidecar, files))
    ]
    if told:
        raise AuditError("what it made is not what was meant, and nothing was written.\n" + "\n".join(told))
