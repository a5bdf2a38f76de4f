"""Discovery by DNS: the names that Consul and Kubernetes give to a service, and everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.spec import Source
from meshctl.spec.discovery import DiscoverySpec

DEFAULT_REFRESH = timedelta(seconds=30)
"""How long the addresses of a name are good."""

_KINDS = (
    ("dns", "dns", ir.Feature.DNS_DISCOVERY),
    ("dns_srv", "dnsSrv", ir.Feature.DNS_SRV_DISCOVERY),
    ("consul", "consul", ir.Feature.CONSUL_DISCOVERY),
    ("kubernetes", "kubernetes", ir.Feature.KUBERNETES_DISCOVERY),
)


def dns_name(written: DiscoverySpec, port: int) -> ir.DnsName | None:
    """The name that is asked for the sidecars of a service; ``port`` is theirs, where SRV records say none.

    Consul: https://developer.hashicorp.com/consul/docs/services/discovery/dns-static-lookups, Kubernetes (a headless
    service): https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/.
    """
    if written.dns is not None:
        return ir.DnsName(written.dns.name, port, written.dns.refresh or DEFAULT_REFRESH)
    if written.dns_srv is not None:
        return ir.DnsName(written.dns_srv.name, 0, written.dns_srv.refresh or DEFAULT_REFRESH, srv=True)
    if written.consul is not None:
        consul = written.consul
        datacenter = f".{consul.datacenter}" if consul.datacenter else ""
        name = f"{consul.service}.service{datacenter}.consul"
        return ir.DnsName(name, port, consul.refresh or DEFAULT_REFRESH)
    if written.kubernetes is not None:
        kubernetes = written.kubernetes
        name = f"{kubernetes.service}.{kubernetes.namespace or 'default'}.svc.cluster.local"
        return ir.DnsName(name, port, kubernetes.refresh or DEFAULT_REFRESH)
    return None


def asks(written: DiscoverySpec | None, source: Source) -> Iterator[ir.FeatureUse]:
    """What the callers' proxies must be able to do; ``source`` is the place of `discovery`."""
    for field, key, feature in _KINDS:
        at = source.at(key) if getattr(written, field, None) is not None else None
        if at is not None:
            yield ir.FeatureUse(feature, at)
