"""`services`: what runs in the mesh, and whom it calls."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.authorization import AuthorizationRuleSpec
from meshctl.spec.discovery import DiscoverySpec, EndpointSpec
from meshctl.spec.http_types import Path
from meshctl.spec.mtls import ModeSpec
from meshctl.spec.network_types import IpAddress, Port
from meshctl.spec.policy import CallSpec, ServicePolicySpec
from meshctl.spec.routing import RouteOrder, RouteSpec
from meshctl.spec.slo import SloSpec
from meshctl.spec.types import FreeText, Given, Listed, Model, Name
from meshctl.spec.waivers import WaiverSpec

ProxyName = Literal["envoy", "haproxy", "nginx", "grpc"]
Bind = Literal["shared", "endpoint"]
ProtocolName = Literal["http", "http2", "grpc", "tcp"]


class ListenerSpec(Model):
    """Where a listener of the sidecar is."""

    port: Given[Port] = None
    address: Given[IpAddress] = None


class ServiceSpec(ServicePolicySpec):
    """A service. `port` is where the application listens, on `appAddress`."""

    owner: Given[FreeText] = None
    labels: Listed[dict[FreeText, FreeText]] = None
    proxy: Given[ProxyName] = None
    bind: Given[Bind] = None
    zone: Given[Name] = None
    inbound: Given[ListenerSpec] = None
    outbound: Given[ListenerSpec] = None
    admin: Given[ListenerSpec] = None
    health: Given[ListenerSpec] = None
    app_address: Given[IpAddress] = None
    protocol: Given[ProtocolName] = None
    port: Given[Port] = None
    ports: Given[dict[ProtocolName, Port]] = None
    health_path: Given[Path] = None
    mtls: Given[ModeSpec] = None
    endpoints: Given[list[EndpointSpec]] = None
    discovery: Given[DiscoverySpec] = None
    calls: Listed[dict[Name, CallSpec]] = None
    route_order: Given[RouteOrder] = None
    routes: Given[list[RouteSpec]] = None
    allow: Listed[list[AuthorizationRuleSpec]] = None
    deny: Given[list[AuthorizationRuleSpec]] = None
    slo: Given[SloSpec] = None
    waive: Given[list[WaiverSpec]] = None
