"""The whole spec, as the user wrote it."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.access_logs import AccessLogSpec
from meshctl.spec.authorization import AuthorizationSpec, JwtSpec
from meshctl.spec.externals import ExternalSpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.metrics import MetricsSpec
from meshctl.spec.mtls import CertificatesSpec, MtlsSpec
from meshctl.spec.network_types import SocketText
from meshctl.spec.policy import DefaultsSpec
from meshctl.spec.service import Bind, ListenerSpec, ProxyName, ServiceSpec
from meshctl.spec.tracing import TracingSpec
from meshctl.spec.types import Domain, Given, Model, Name, TrustDomain, VersionRange
from meshctl.spec.waivers import LintSpec, WaiverSpec

API_VERSION = "meshctl.dev/v1"


class MeshSection(Model):
    """`mesh`: what holds for all of it."""

    name: Name
    requires: Given[VersionRange] = None
    domain: Domain
    trust_domain: TrustDomain
    proxy: Given[ProxyName] = None
    bind: Given[Bind] = None
    mtls: Given[MtlsSpec] = None
    authorization: Given[AuthorizationSpec] = None
    certificates: Given[CertificatesSpec] = None
    jwt: Given[JwtSpec] = None
    egress: Given[Literal["deny", "allow"]] = None
    inbound: Given[ListenerSpec] = None
    outbound: Given[ListenerSpec] = None
    admin: Given[ListenerSpec] = None
    health: Given[ListenerSpec] = None
    resolvers: Given[list[SocketText]] = None
    access_log: Given[AccessLogSpec] = None
    tracing: Given[TracingSpec] = None
    metrics: Given[MetricsSpec] = None
    waive: Given[list[WaiverSpec]] = None


class MeshSpec(Model):
    """One spec, from however many files."""

    api_version: Literal["meshctl.dev/v1"]
    mesh: MeshSection
    defaults: Given[DefaultsSpec] = None
    services: Given[dict[Name, ServiceSpec]] = None
    externals: Given[dict[Name, ExternalSpec]] = None
    gateways: Given[dict[Name, GatewaySpec]] = None
    lint: Given[LintSpec] = None
