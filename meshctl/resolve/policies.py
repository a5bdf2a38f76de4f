"""Timeouts, retries and balancing as they stand after inheritance: what excludes or outlives each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from msgspec import Struct

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related, Severity
from meshctl.resolve import (
    applications,
    circuit_breaking,
    discovery,
    externals,
    gateways,
    health_checks,
    load_balancing,
    outlier_detection,
    rate_limiting,
    retries,
    streams,
    timeouts,
)
from meshctl.resolve.layers import Layers, call_layer, callee_layers, layer, particular
from meshctl.spec import Source, Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.retries import GRPC_STATUSES
from meshctl.spec.routing import RouteSpec

_MESH_STATUSES = {
    str(
        ir.mesh.HOP_STATUS
    ): "between sidecars it says that the application was not reached: `connect-failure`",
    str(ir.mesh.CARRIED_STATUS): "between sidecars it stands for another status",
}
_INEFFECTIVE = "ineffective-setting"
_LIMITS = (("timeout", ("timeout",)), ("body_timeout", ("bodyTimeout",)))
_OF_ROUTES = {"timeout", "body_timeout", "streaming", "retries"}
_OF_RETRIES = (
    ("retry_on", "retryOn"),
    ("backoff", "backoff"),
    ("budget", "budget"),
    ("non_idempotent", "nonIdempotent"),
)


_Told = set[tuple[Layers, bool]]
"""What speaks of retries and was looked at, and whether as gRPC."""


class _Said(Struct, frozen=True):
    """A value, how particular the layer is that said it (-1: our default), and where it stands there."""

    value: Any
    layer: int = -1
    source: Source | None = None
    path: tuple[str, ...] = ()

    @property
    def at(self) -> Position | None:
        """Its place, which is asked for by findings alone."""
        return self.source.at(*self.path) if self.source is not None else None


_NOBODY = _Said(None)


def check(spec: Spec, known: Collection[str] = ()) -> Iterator[Finding]:
    """Every policy that holds somewhere: at each callee, each call that narrows it, and each route.

    Nothing is told of services that are ``known`` to have no faults, and of calls from one of them to another.
    """
    found = tuple(_check(spec, known))
    idle = any(each.slug == _INEFFECTIVE for each in found)
    used = frozenset(_used(spec)) if idle else frozenset()
    # What does nothing here may still be inherited by somebody for whom it does something.
    yield from (each for each in found if each.slug != _INEFFECTIVE or each.at not in used)


def _used(spec: Spec) -> Iterator[Position | None]:
    """Where settings of retries stand that somebody who tries again inherits."""
    services, outer = spec.written.services or {}, spec.written.gateways or {}
    calls: dict[str, list[Layers]] = {}
    for callers in (services, outer):
        for caller, written in callers.items():
            for callee in written.calls or {}:
                calls.setdefault(callee, []).append(call_layer(spec, caller, callee))
    for name in (*services, *(spec.written.externals or {})):
        routes = (services[name].routes or ()) if name in services else ()
        for call in ((), *filter(None, calls.get(name, ()))):
            layers = (*callee_layers(spec, name), *call)
            yield circuit_breaking.used(layers, routes)
            yield from _used_by(layers)
            for index, route in enumerate(routes):
                source = spec.source["services"][name]["routes"][index]
                yield from _used_by((*layers, layer(route, source)))
    for name, gateway in outer.items():
        for index, route in enumerate(gateway.routes or ()):
            first = gateways.first_callee(gateway, route)
            if first is not None and first in services and _bounds(route):
                layers = (*callee_layers(spec, first), *call_layer(spec, name, first))
                yield circuit_breaking.used(layers, (*(services[first].routes or ()), route))
                own = layer(route, spec.source["gateways"][name]["routes"][index])
                yield from _used_by((*layers, own))


def _used_by(layers: Layers) -> Iterator[Position | None]:
    if _last(layers, "attempts", "retries", "attempts").value != 0:
        yield from (_last(layers, field, "retries", key).at for field, key in _OF_RETRIES)


def _check(spec: Spec, known: Collection[str]) -> Iterator[Finding]:
    services = spec.written.services or {}
    tcp = streams.callees(spec)
    told: _Told = set()
    alike: set[tuple[bool, bool]] = set()
    for name in (*services, *(spec.written.externals or {})):
        if name in known:
            continue
        stream = name in tcp
        if not particular(callee_layers(spec, name)) and not (name in services and services[name].routes):
            # Of all that say nothing themselves the same would be told.
            kind = stream, _speaks_grpc(spec, name)
            if kind in alike:
                continue
            alike.add(kind)
        yield from _check_callee(spec, name, (), told, stream=stream)
    for section, callers in (("services", services), ("gateways", spec.written.gateways or {})):
        for caller, written in callers.items():
            for callee in written.calls or {}:
                if caller in known and callee in known:
                    continue
                narrowed = call_layer(spec, caller, callee)
                if narrowed and (callee in services or callee in (spec.written.externals or {})):
                    from_gateway, stream = section == "gateways", callee in tcp
                    yield from _check_callee(
                        spec, callee, narrowed, told, gateway=from_gateway, stream=stream
                    )
    for name, gateway in (spec.written.gateways or {}).items():
        yield from _check_gateway(spec, name, gateway, told)


def _check_gateway(spec: Spec, name: str, gateway: GatewaySpec, told: _Told) -> Iterator[Finding]:
    for index, route in enumerate(gateway.routes or ()):
        callee = gateways.first_callee(gateway, route)
        if callee in (spec.written.services or {}) and _bounds(route):
            own = layer(route, spec.source["gateways"][name]["routes"][index])
            layers = (*callee_layers(spec, callee), *call_layer(spec, name, callee), own)
            yield from _check_layers(layers, told, grpc=_speaks_grpc(spec, callee))


def _speaks_grpc(spec: Spec, name: str) -> bool:
    service = (spec.written.services or {}).get(name)
    return service is not None and "grpc" in (service.protocol, *(service.ports or ()))


def _bounds(route: RouteSpec) -> bool:
    """Whether a route says something of its own about requests that go on."""
    return route.redirect is None and route.respond is None and bool(route.model_fields_set & _OF_ROUTES)


def _check_callee(
    spec: Spec, name: str, call: Layers, told: _Told, *, gateway: bool = False, stream: bool
) -> Iterator[Finding]:
    """What the layers of a callee make together; of requests nothing is said of a stream, see `streams`."""
    service = (spec.written.services or {}).get(name)
    grpc = _speaks_grpc(spec, name)
    layers = (*callee_layers(spec, name), *call)
    yield from load_balancing.check(layers, gateway=gateway, stream=stream)
    yield from health_checks.check(layers, name, _checks(spec, name))
    yield from outlier_detection.check(layers, _endpoints(spec, name))
    if stream:
        return
    yield from circuit_breaking.check(layers, service.routes if service is not None else None)
    yield from rate_limiting.check(layers)
    yield from _check_layers(layers, told, grpc=grpc)
    for index, route in enumerate(service.routes or () if service is not None else ()):
        if _bounds(route):
            own = layer(route, spec.source["services"][name]["routes"][index])
            yield from _check_layers((*layers, own), told, grpc=grpc)


def _checks(spec: Spec, name: str) -> tuple[ir.HealthCheckKind, ...]:
    service = (spec.written.services or {}).get(name)
    if service is not None:
        return health_checks.kinds(applications.protocol(service), outside=False)
    external = (spec.written.externals or {})[name]
    return health_checks.kinds(externals.protocol(external), outside=True)


def _endpoints(spec: Spec, name: str) -> int | None:
    """How many take requests; None where DNS says it."""
    service = (spec.written.services or {}).get(name)
    if service is not None:
        return None if service.discovery is not None else len(discovery.taking(service))
    written = (spec.written.externals or {})[name].endpoints
    return len(written) if written else None


def _check_layers(layers: Layers, told: _Told, *, grpc: bool) -> Iterator[Finding]:
    """Faults of the timeouts and retries that these layers make together, but for those ``told`` already."""
    if timeouts.streaming(layers):
        yield from _check_stream(layers)
    else:
        yield from _check_per_try(layers)
    trying = tuple(each for each in layers if "retries" in each.says or "idempotent" in each.says)
    if (trying, grpc) not in told:
        told.add((trying, grpc))
        yield from _check_retries(trying, grpc=grpc)


def _check_retries(layers: Layers, *, grpc: bool) -> Iterator[Finding]:
    yield from _check_conditions(layers, grpc=grpc)
    yield from _check_idle(layers)
    backoff, at = retries.written(layers, "backoff", None)
    if backoff is not None and retries.longest_pause(backoff) < backoff.base:
        longest, base = ir.duration_text(backoff.max), ir.duration_text(backoff.base)
        yield finding(
            "backoff-out-of-order", at, f"the longest pause ({longest}) is under the first ({base})"
        )


def _last(layers: Layers, field: str, *path: str) -> _Said:
    """What the most particular layer says of ``field``, which is below ``path`` in YAML."""
    for index in range(len(layers) - 1, -1, -1):
        said = layers[index].says.get(path[0] if len(path) > 1 else field)
        value = said if len(path) == 1 else getattr(said, field, None)
        if value is not None:
            return _Said(value, index, layers[index].source, path)
    return _NOBODY


def _per_try(layers: Layers) -> _Said:
    return _last(layers, "per_try_timeout", "retries", "perTryTimeout")


def _check_stream(layers: Layers) -> Iterator[Finding]:
    streaming = _last(layers, "streaming", "streaming")
    limits = (*(_last(layers, field, *path) for field, path in _LIMITS), _per_try(layers))
    for limit in limits:
        if limit.value and limit.layer >= streaming.layer:
            text = ir.duration_text(limit.value)
            related = (Related(streaming.at, "the stream"),) if streaming.at else ()
            message = f"a limit of {text} for what `streaming` leaves without one"
            yield finding("timeout-of-a-stream", limit.at, message, related=related)


def _check_per_try(layers: Layers) -> Iterator[Finding]:
    whole, per_try = _last(layers, "timeout", "timeout"), _per_try(layers)
    limit: timedelta = timeouts.DEFAULT_TIMEOUT if whole.value is None else whole.value
    if not per_try.value or not limit or per_try.value <= limit:
        return
    yield finding(
        "per-try-timeout-too-long",
        per_try.at,
        f"one try may take {ir.duration_text(per_try.value)}, the whole request "
        f"{ir.duration_text(limit)}{'' if whole.at else ' (the default)'}",
        severity=Severity.ERROR if whole.layer == per_try.layer else Severity.WARNING,
        related=(Related(whole.at, "the timeout of the whole"),) if whole.at else (),
    )


def _check_conditions(layers: Layers, *, grpc: bool) -> Iterator[Finding]:
    attempts = _last(layers, "attempts", "retries", "attempts")
    retry_on = _last(layers, "retry_on", "retries", "retryOn")
    if attempts.value and not retry_on.value:
        yield finding("retries-without-condition", attempts.at, "these retries have no `retryOn`")
    for index, condition in enumerate(retry_on.value or ()):
        slug, at = "retry-condition-impossible", layers[retry_on.layer].source.at("retries", "retryOn", index)
        if condition in GRPC_STATUSES and not grpc:
            message = f"`{condition}` is a gRPC status, and the callee does not speak gRPC"
            fix = "Write `protocol: grpc` at the callee if it does, else an HTTP condition such as `gateway-error`."
            yield finding(slug, at, message, fix=fix)
        elif condition in _MESH_STATUSES:
            message = f"{condition} cannot be tried again on: {_MESH_STATUSES[condition]}"
            yield finding(slug, at, message)
        elif condition == "per-try-timeout" and not _per_try(layers).value:
            message = "`per-try-timeout` waits for the end of a `perTryTimeout`, and there is none"
            yield finding(slug, at, message, severity=Severity.WARNING)
    yield from _check_calls_of_grpc(layers, retry_on, grpc=grpc)
    if len(set(retry_on.value or ())) < len(retry_on.value or ()):
        again = next(
            each for each in range(len(retry_on.value)) if retry_on.value[each] in retry_on.value[:each]
        )
        where = ("retries", "retryOn", again)
        source = layers[retry_on.layer].source
        message = f"`{retry_on.value[again]}` is here twice: once is enough"
        yield finding("repeated-item", source.at(*where), message, remove=source.part(*where))


def _check_calls_of_grpc(layers: Layers, retry_on: _Said, *, grpc: bool) -> Iterator[Finding]:
    """Conditions that hold for idempotent methods only, where every call is a POST."""
    idempotent = _last(layers, "idempotent", "idempotent").value or retries.IDEMPOTENT_METHODS
    anyhow = _last(layers, "non_idempotent", "retries", "nonIdempotent").value
    late = [each for each in retry_on.value or () if each not in ir.retries.BEFORE_THE_APPLICATION]
    if (
        grpc
        and late
        and not anyhow
        and "POST" not in idempotent
        and _last(layers, "attempts", "retries", "attempts").value != 0
    ):
        index = (retry_on.value or []).index(late[0])
        at = layers[retry_on.layer].source.at("retries", "retryOn", index)
        message = f"calls of gRPC are POST, which is not idempotent, so `{late[0]}` is no reason for a retry"
        fix = "Write `idempotent: [POST]`, or `nonIdempotent: true` under `retries`, if all of them may be made twice."
        yield finding("retry-condition-impossible", at, message, fix=fix, severity=Severity.WARNING)


def _check_idle(layers: Layers) -> Iterator[Finding]:
    """What says how to try again where nothing is tried again."""
    attempts = _last(layers, "attempts", "retries", "attempts")
    if attempts.value != 0:
        return
    for field, key in _OF_RETRIES:
        idle = _last(layers, field, "retries", key)
        if idle.value is not None and idle.layer >= attempts.layer:
            yield finding(
                "ineffective-setting",
                idle.at,
                f"`{key}` says how to try again, but with `attempts: 0` nothing is tried again",
                related=(Related(attempts.at, "the attempts"),) if attempts.at else (),
                remove=layers[idle.layer].source.part("retries", key),
            )
