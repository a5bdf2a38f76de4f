"""The way of one request, or of a path of them, as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from meshctl.ir.authorization import UNAUTHENTICATED

if TYPE_CHECKING:
    from meshctl.diagnostics import Position
    from meshctl.simulate import CallPath, Explanation, Hop, Request, Step

SCHEMA_VERSION = 1


def document(found: Explanation, path: CallPath | None = None) -> dict[str, object]:
    """What `schemas/request.schema.json` describes; ``found`` is the first call of ``path``."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        **_call(found),
        "then": [_call(each) for each in path.calls[1:]] if path is not None else [],
        "path": _path(path) if path is not None else None,
    }


def _path(path: CallPath) -> dict[str, object]:
    return {
        "reaches": [
            {"asked": each.asked, "tries": each.tries, "received": each.received} for each in path.reaches
        ],
        "goesOnMs": _milliseconds(path.goes_on),
        "inversions": [
            {
                "outer": each.outer,
                "inner": each.inner,
                "patienceMs": _milliseconds(each.patience),
                "limitMs": _milliseconds(each.limit),
            }
            for each in path.inversions
        ],
        "neverAsked": [
            {"method": each.method, "url": each.url, "headers": [list(line) for line in each.headers]}
            for each in path.never_asked
        ],
        "steps": [_step(each) for each in path.steps],
    }


def _call(found: Explanation) -> dict[str, object]:
    return {
        "caller": UNAUTHENTICATED if found.plaintext else found.sidecar.service,
        "gateway": found.sidecar.is_gateway,
        "instance": found.sidecar.instance,
        "proxy": found.sidecar.proxy.value,
        "listener": str(found.listener.bind),
        "url": found.url,
        "request": _request(found.request),
        "outcome": _outcome(found),
        "steps": [_step(each) for each in found.steps],
        "hops": [_hop(each) for each in found.hops],
        "back": [_step(each) for each in found.back],
    }


def _outcome(found: Explanation) -> dict[str, object]:
    outcome, worst = found.outcome, found.worst_case
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "headers": [list(each) for each in outcome.headers],
        "body": outcome.body,
        "virtualHost": outcome.virtual_host,
        "route": outcome.route,
        "tries": outcome.attempts + 1 if found.hops else 0,
        "timeoutMs": _milliseconds(outcome.timeout),
        "perTryTimeoutMs": _milliseconds(outcome.per_try_timeout),
        "worstCase": {"limitMs": _milliseconds(worst.limit), "arithmetic": worst.arithmetic}
        if worst
        else None,
    }


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(milliseconds=1)


def _request(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "target": request.target,
        "headers": [list(each) for each in request.headers],
    }


def _hop(hop: Hop) -> dict[str, object]:
    backend = hop.backend
    return {
        "cluster": backend.cluster,
        "callee": hop.callee,
        "identity": backend.callee.spiffe_id if backend.callee else None,
        "copy": hop.copy,
        "share": float(backend.share),
        "status": backend.status,
        "reason": backend.reason,
        "audited": backend.audited,
        "steps": [_step(each) for each in hop.steps],
        "arrival": [_step(each) for each in hop.arrival],
        "received": _request(backend.received) if backend.received else None,
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "topic": step.topic.value,
        "text": step.text,
        "passedOver": step.passed_over,
        "default": step.from_spec and step.at is None,
        "origin": _place(step.at),
    }


def _place(at: Position | None) -> dict[str, object] | None:
    return None if at is None else {"file": at.file, "line": at.line, "column": at.column}
