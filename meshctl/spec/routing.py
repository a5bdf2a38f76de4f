"""`routes`: which request goes where."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from meshctl.spec.fault_injection import FaultSpec
from meshctl.spec.filters import HeaderChangesSpec, RedirectSpec, RespondSpec, RewriteSpec
from meshctl.spec.http_types import HeaderName, Hostname, Method, QueryName
from meshctl.spec.matching import HeaderMatch, PathMatchSpec, QueryMatch
from meshctl.spec.mirroring import MirrorSpec
from meshctl.spec.retries import RetriesSpec
from meshctl.spec.splitting import BackendSpec
from meshctl.spec.timeouts import RouteTimeoutsSpec
from meshctl.spec.types import Given, Model, Name
from meshctl.spec.waivers import WaiverSpec

RouteOrder = Literal["specificity", "listed"]


class RouteMatchSpec(Model):
    """All conditions of one match must hold. `from` names callers."""

    path: Given[PathMatchSpec] = None
    methods: Given[list[Method]] = None
    headers: Given[dict[HeaderName, HeaderMatch]] = None
    query: Given[dict[QueryName, QueryMatch]] = None
    callers: Given[list[Name]] = Field(default=None, alias="from")


class RouteSpec(RouteTimeoutsSpec):
    """Any of `matches` is enough; without them the route takes everything."""

    name: Name
    hostnames: Given[list[Hostname]] = None
    matches: Given[list[RouteMatchSpec]] = None
    backends: Given[list[BackendSpec]] = None
    mirror: Given[list[MirrorSpec]] = None
    request_headers: Given[HeaderChangesSpec] = None
    response_headers: Given[HeaderChangesSpec] = None
    rewrite: Given[RewriteSpec] = None
    redirect: Given[RedirectSpec] = None
    respond: Given[RespondSpec] = None
    fault: Given[FaultSpec] = None
    retries: Given[RetriesSpec] = None
    waive: Given[list[WaiverSpec]] = None
