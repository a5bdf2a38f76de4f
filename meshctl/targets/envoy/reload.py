"""Configuration that is exchanged under load: what Envoy is started with, and what it subscribes to.

The files lie in the bundle as they are to be. Envoy watches copies in ``run/xds``, which ``reload`` exchanges
one after the other: what is needed first comes first, and nobody's build takes effect by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta

import orjson

from meshctl.ir import Sidecar
from meshctl.targets import reload
from meshctl.targets.envoy.protobuf import Message, line, typed

DRAIN = timedelta(seconds=60)
"""For what is under way on a connection of before a reload; its next answer is the last in any case."""

_LIVE = "../run/xds"
_ROUTES = "admin"

_CLUSTER = "config.cluster.v3.Cluster"
_LISTENER = "config.listener.v3.Listener"
_ROUTE_CONFIGURATION = "config.route.v3.RouteConfiguration"


def subscriptions() -> Message:
    """``dynamic_resources`` of a bootstrap."""
    return {"cds_config": _source("cds"), "lds_config": _source("lds")}


def subscribed(manager: Message) -> Message:
    """A connection manager that takes its routes from a file instead of having them."""
    own = {name: value for name, value in manager.items() if name != "route_config"}
    return own | {"rds": {"route_config_name": _ROUTES, "config_source": _source("rds")}}


def responses(
    clusters: Iterable[orjson.Fragment], listeners: Iterable[orjson.Fragment], routes: Message
) -> dict[str, bytes]:
    """The files, by name. The routes name the build: they are exchanged last, when all else is accepted."""
    return {
        "cds.json": _response(_CLUSTER, clusters),
        "lds.json": _response(_LISTENER, listeners),
        "rds.json": _response(_ROUTE_CONFIGURATION, [line(routes)]),
    }


def starting() -> bytes:
    """The routes of a sidecar that is not ready."""
    unready = {"match": {"prefix": "/"}, "direct_response": {"status": 503}}
    host = {"name": _ROUTES, "domains": ["*"], "routes": [unready]}
    return _response(_ROUTE_CONFIGURATION, [line({"name": _ROUTES, "virtual_hosts": [host]})])


def _source(name: str) -> Message:
    return {
        "path_config_source": {"path": f"{_LIVE}/{name}.json"},
        "resource_api_version": "V3",
        # Who serves before that would serve nothing.
        "initial_fetch_timeout": "0s",
    }


def script(sidecar: Sidecar) -> bytes:
    """``reload``, which exchanges the files, and undoes it when Envoy refuses one."""
    return reload.script(sidecar, "envoy/reload", {"DRAIN": str(DRAIN.seconds)})


def _response(message: str, resources: Iterable[orjson.Fragment]) -> bytes:
    """``DiscoveryResponse`` with each resource on a line of its own, name first, which ``reload`` relies on.

    Its version is a digest: the same content has the same one, and no other has.
    """
    start = orjson.dumps(typed(message))[:-1] + b","
    lines = b",\n".join(start + orjson.dumps(each).lstrip()[1:] for each in resources)
    version = f"sha256:{hashlib.sha256(lines).hexdigest()}".encode()
    return b'{"version_info": "' + version + b'",\n"resources": [\n' + lines + b"\n]}\n"
