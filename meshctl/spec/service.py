"""`services`: what runs in the mesh, and whom it calls."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.policy import CallSpec, TrafficPolicySpec
from meshctl.spec.routing import RouteOrder, RouteSpec
from meshctl.spec.types import FreeText, Given, IpAddress, Listed, Model, Name, Port
from meshctl.spec.waivers import WaiverSpec

ProxyName = Literal["envoy", "haproxy", "nginx"]
Bind = Literal["shared", "endpoint"]


class ListenerSpec(Model):
    """Where a listener of the sidecar is."""

    port: Given[Port] = None
    address: Given[IpAddress] = None


class ServiceSpec(TrafficPolicySpec):
    """A service. `port` is where the application listens, on `appAddress`."""

    owner: Given[FreeText] = None
    labels: Listed[dict[FreeText, FreeText]] = None
    proxy: Given[ProxyName] = None
    bind: Given[Bind] = None
    inbound: Given[ListenerSpec] = None
    outbound: Given[ListenerSpec] = None
    admin: Given[ListenerSpec] = None
    app_address: Given[IpAddress] = None
    port: Given[Port] = None
    endpoints: Given[list[EndpointSpec]] = None
    calls: Listed[dict[Name, CallSpec]] = None
    route_order: Given[RouteOrder] = None
    routes: Given[list[RouteSpec]] = None
    waive: Given[list[WaiverSpec]] = None
