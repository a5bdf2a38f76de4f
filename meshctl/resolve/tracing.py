"""Tracing: the same collector and the same share of requests for all sidecars."""

from __future__ import annotations

from fractions import Fraction

from meshctl import ir
from meshctl.resolve.resolvers import socket_address
from meshctl.spec import Spec

DEFAULT_SAMPLING = Fraction(1, 100)


def tracing(spec: Spec) -> ir.Tracing | None:
    """Where spans go, or None where the spec asks for none."""
    written = spec.written.mesh.tracing
    if written is None:
        return None
    return ir.Tracing(
        collector=socket_address(written.otlp),
        sampling=DEFAULT_SAMPLING if written.sampling is None else written.sampling,
        at=spec.source["mesh"].at("tracing"),
    )
