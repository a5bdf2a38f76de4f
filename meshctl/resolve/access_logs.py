"""Access logs: on, in the one schema."""

from __future__ import annotations

from msgspec import structs

from meshctl import ir
from meshctl.spec import Spec


def access_log(spec: Spec) -> ir.AccessLog:
    """The access log of every sidecar."""
    written = spec.written.mesh.access_log
    if written is None:
        return ir.AccessLog(enabled=True)
    redacted = (written.redact.headers if written.redact else None) or ()
    its = ir.AccessLog(
        enabled=True,
        headers=tuple(
            ir.LoggedHeader(name, redacted=name in redacted) for name in dict.fromkeys(written.headers or ())
        ),
        query=ir.LoggedQuery(written.query or "drop"),
        at=spec.source["mesh"].at("accessLog"),
    )
    if written.sampling is None or written.sampling == 1:
        return its
    return ir.SampledAccessLog(**structs.asdict(its), share=written.sampling)
