"""Retries: maps of all layers merge field by field; nothing is retried unless spec or default say so."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.layers import Layers, said

DEFAULT_ATTEMPTS = 1
DEFAULT_CONDITIONS = (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.REFUSED_STREAM)
IDEMPOTENT_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
"""RFC 9110, section 9.2.2."""


def retry_policy(layers: Layers) -> ir.RetryPolicy:
    """When a failed try is made again. ``attempts`` is 1 where only conditions were written."""
    written = list(said(layers, "retries", "retries"))
    if not written:
        return ir.RetryPolicy(DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS, IDEMPOTENT_METHODS)
    attempts = next((each.attempts for each, _ in written if each.attempts is not None), DEFAULT_ATTEMPTS)
    retry_on: list[str] = next((each.retry_on for each, _ in written if each.retry_on is not None), [])
    conditions = tuple(each for each in ir.RetryCondition if each.value in retry_on) if attempts else ()
    return ir.RetryPolicy(attempts if conditions else 0, conditions, IDEMPOTENT_METHODS, at=written[0][1])


def check(layers: Layers) -> Iterator[Finding]:
    """Faults of the retries as they stand after inheritance."""
    written = list(said(layers, "retries", "retries"))
    if not written or any(each.retry_on for each, _ in written):
        return
    attempts = next((each.attempts for each, _ in written if each.attempts is not None), DEFAULT_ATTEMPTS)
    if attempts:
        yield finding("retries-without-condition", written[0][1], "these retries have no `retryOn`")
