"""`routes`: which request goes where."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.retries import RetriesSpec
from meshctl.spec.splitting import BackendSpec
from meshctl.spec.types import Duration, Given, HeaderName, HeaderValue, Method, Model, Name, Path

RouteOrder = Literal["specificity", "listed"]


class PathMatchSpec(Model):
    """Exactly one of the two. A prefix goes by whole segments."""

    exact: Given[Path] = None
    prefix: Given[Path] = None


class RouteMatchSpec(Model):
    """All conditions of one match must hold."""

    path: Given[PathMatchSpec] = None
    methods: Given[list[Method]] = None
    headers: Given[dict[HeaderName, HeaderValue]] = None


class RouteSpec(Model):
    """Any of `matches` is enough; without them the route takes everything."""

    name: Name
    matches: Given[list[RouteMatchSpec]] = None
    backends: Given[list[BackendSpec]] = None
    timeout: Given[Duration] = None
    retries: Given[RetriesSpec] = None
