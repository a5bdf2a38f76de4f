"""`endpoints` and `discovery`: where the instances of a service are."""

from __future__ import annotations

from meshctl.spec.http_types import ExactHostname, SrvName
from meshctl.spec.network_types import IpAddress, Port
from meshctl.spec.types import Given, Model, Name, PositiveDuration, Weight


class EndpointSpec(Model):
    """One instance. `port` is that of its sidecar, where it is not the mesh's inbound port."""

    address: IpAddress
    zone: Given[Name] = None
    subset: Given[Name] = None
    weight: Given[Weight] = None
    port: Given[Port] = None


class DnsDiscoverySpec(Model):
    """Every address (A and AAAA) of a name is an endpoint."""

    name: ExactHostname
    refresh: Given[PositiveDuration] = None


class DnsSrvDiscoverySpec(Model):
    """The SRV records of a name (RFC 2782) say hosts, ports and weights."""

    name: SrvName
    refresh: Given[PositiveDuration] = None


class ConsulDiscoverySpec(Model):
    """A service as Consul's DNS knows it."""

    service: Name
    datacenter: Given[Name] = None
    refresh: Given[PositiveDuration] = None


class KubernetesDiscoverySpec(Model):
    """A headless service as the cluster's DNS knows it."""

    service: Name
    namespace: Given[Name] = None
    refresh: Given[PositiveDuration] = None


class DiscoverySpec(Model):
    """Exactly one kind."""

    dns: Given[DnsDiscoverySpec] = None
    dns_srv: Given[DnsSrvDiscoverySpec] = None
    consul: Given[ConsulDiscoverySpec] = None
    kubernetes: Given[KubernetesDiscoverySpec] = None
