"""`gateways`: where requests come into the mesh from outside."""

from __future__ import annotations

from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.http_types import Hostname
from meshctl.spec.mtls import TlsVersion
from meshctl.spec.network_types import HostPath, IpAddress, Port
from meshctl.spec.policy import CallSpec
from meshctl.spec.routing import RouteOrder, RouteSpec
from meshctl.spec.service import ListenerSpec, ProxyName
from meshctl.spec.types import FreeText, Given, Listed, Model, Name
from meshctl.spec.waivers import WaiverSpec


class ServerTlsSpec(Model):
    """PEM files on the gateway's host: the chain that clients see, and its key."""

    certificate: HostPath
    key: HostPath
    min_version: Given[TlsVersion] = None


class GatewaySpec(Model):
    """Listens on `bind` and `port` of its endpoints. `endpoints` say where the gateway's own hosts are."""

    owner: Given[FreeText] = None
    labels: Listed[dict[FreeText, FreeText]] = None
    proxy: Given[ProxyName] = None
    zone: Given[Name] = None
    bind: Given[IpAddress] = None
    port: Port
    admin: Given[ListenerSpec] = None
    health: Given[ListenerSpec] = None
    endpoints: Given[list[EndpointSpec]] = None
    hostnames: Given[list[Hostname]] = None
    tls: Given[ServerTlsSpec] = None
    calls: Listed[dict[Name, CallSpec]] = None
    route_order: Given[RouteOrder] = None
    routes: Given[list[RouteSpec]] = None
    waive: Given[list[WaiverSpec]] = None
