"""The whole spec, as the user wrote it."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.access_logs import AccessLogSpec
from meshctl.spec.authorization import AuthorizationSpec
from meshctl.spec.mtls import CertificatesSpec, MtlsSpec
from meshctl.spec.policy import DefaultsSpec
from meshctl.spec.service import Bind, ListenerSpec, ProxyName, ServiceSpec
from meshctl.spec.types import Domain, Given, Model, Name, TrustDomain
from meshctl.spec.waivers import LintSpec, WaiverSpec

API_VERSION = "meshctl.dev/v1"


class MeshSection(Model):
    """`mesh`: what holds for all of it."""

    name: Name
    domain: Domain
    trust_domain: TrustDomain
    proxy: Given[ProxyName] = None
    bind: Given[Bind] = None
    mtls: Given[MtlsSpec] = None
    authorization: Given[AuthorizationSpec] = None
    certificates: Given[CertificatesSpec] = None
    inbound: Given[ListenerSpec] = None
    outbound: Given[ListenerSpec] = None
    admin: Given[ListenerSpec] = None
    access_log: Given[AccessLogSpec] = None
    waive: Given[list[WaiverSpec]] = None


class MeshSpec(Model):
    """One spec, from however many files."""

    api_version: Literal["meshctl.dev/v1"]
    mesh: MeshSection
    defaults: Given[DefaultsSpec] = None
    services: Given[dict[Name, ServiceSpec]] = None
    lint: Given[LintSpec] = None
