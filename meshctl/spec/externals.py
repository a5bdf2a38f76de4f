"""`externals`: what services may call outside the mesh."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.http_types import ExactHostname, Hostname
from meshctl.spec.mtls import TlsVersion
from meshctl.spec.network_types import Authorities, IpAddress, Port
from meshctl.spec.policy import TrafficPolicySpec
from meshctl.spec.types import FreeText, Given, Listed, Model
from meshctl.spec.waivers import WaiverSpec


class OriginTlsSpec(Model):
    """TLS to the external. `sni` is sent and verified, the host where it is left out; `ca` is `system` or a file."""

    sni: Given[ExactHostname] = None
    ca: Given[Authorities] = None
    min_version: Given[TlsVersion] = None


class ExternalEndpointSpec(Model):
    """One address, instead of asking DNS for the host."""

    address: IpAddress
    port: Given[Port] = None


class ExternalSpec(TrafficPolicySpec):
    """Hosts outside the mesh. ``*.x`` takes all names below ``x``, each looked up as it is asked for."""

    owner: Given[FreeText] = None
    labels: Listed[dict[FreeText, FreeText]] = None
    hosts: Given[list[Hostname]] = None
    endpoints: Given[list[ExternalEndpointSpec]] = None
    port: Port
    protocol: Given[Literal["http", "tcp", "tls"]] = None
    tls: Listed[OriginTlsSpec] = None
    waive: Given[list[WaiverSpec]] = None
