"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from meshctl.spec.http_types import Body, ExactHostname, HeaderName, HeaderValue, Path, ResponseStatus
from meshctl.spec.network_types import Port
from meshctl.spec.types import Given, Model, whole_choice

RedirectStatus = Annotated[int, *whole_choice("a redirect status", 301, 302, 303, 307, 308)]


class HeaderChangesSpec(Model):
    """`set` creates or replaces, `add` appends one more line, `remove` deletes all lines."""

    set: Given[dict[HeaderName, HeaderValue]] = None
    add: Given[dict[HeaderName, HeaderValue]] = None
    remove: Given[list[HeaderName]] = None


class PathChangeSpec(Model):
    """Exactly one of the two. `prefix` takes the place of the prefix that matched."""

    prefix: Given[Path] = None
    full: Given[Path] = None


class RewriteSpec(Model):
    """What the callee sees instead; at least one of the two."""

    path: Given[PathChangeSpec] = None
    hostname: Given[ExactHostname] = None


class RedirectSpec(Model):
    """302 where no status is written; what is left out stays as the client had it."""

    status: Given[RedirectStatus] = None
    scheme: Given[Literal["http", "https"]] = None
    hostname: Given[ExactHostname] = None
    port: Given[Port] = None
    path: Given[PathChangeSpec] = None


class RespondSpec(Model):
    """An answer by the sidecar itself, as text/plain."""

    status: ResponseStatus
    body: Given[Body] = None
