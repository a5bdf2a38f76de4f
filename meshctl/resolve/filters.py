"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

from meshctl import ir
from meshctl.spec import Source
from meshctl.spec.filters import HeaderChangesSpec, PathChangeSpec
from meshctl.spec.routing import RouteSpec

DEFAULT_REDIRECT_STATUS = 302


def answer(route: RouteSpec, source: Source) -> ir.Redirect | ir.DirectResponse | None:
    """The answer that a route gives by itself, if it gives one."""
    if route.redirect is not None:
        written = route.redirect
        prefix, full = _path(written.path)
        return ir.Redirect(
            status=written.status or DEFAULT_REDIRECT_STATUS,
            scheme=written.scheme or "",
            hostname=written.hostname or "",
            port=written.port or 0,
            prefix=prefix,
            path=full,
            at=source.at("redirect"),
        )
    if route.respond is not None:
        return ir.DirectResponse(route.respond.status, route.respond.body or "", source.at("respond"))
    return None


def rewrite(route: RouteSpec, source: Source) -> ir.Rewrite | None:
    """What the callee sees instead of what the client sent."""
    if route.rewrite is None:
        return None
    prefix, full = _path(route.rewrite.path)
    return ir.Rewrite(prefix, full, route.rewrite.hostname or "", source.at("rewrite"))


def _path(written: PathChangeSpec | None) -> tuple[str, str]:
    """The new prefix without a slash at its end (but ``/`` alone), and the new whole path."""
    if written is None:
        return "", ""
    prefix = written.prefix and (written.prefix.rstrip("/") or "/")
    return prefix or "", written.full or ""


def header_changes(
    written: HeaderChangesSpec | None, feature: ir.Feature, source: Source
) -> ir.HeaderChanges:
    """The changes to the headers of one direction; ``source`` is the place of ``written``."""
    if written is None:
        return ir.HeaderChanges()
    at = source.here
    return ir.HeaderChanges(
        set=tuple(sorted((written.set or {}).items())),
        add=tuple(sorted((written.add or {}).items())),
        remove=tuple(sorted(set(written.remove or ()))),
        asks=(ir.FeatureUse(feature, at),) if at is not None else (),
    )
