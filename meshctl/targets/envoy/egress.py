"""Destinations outside the mesh: names that are looked up, and TLS that shows no certificate of ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import timedelta

from meshctl.ir import Cluster, DnsName, OriginTls, SocketAddress, TlsVersion
from meshctl.targets.envoy import mtls
from meshctl.targets.envoy.protobuf import Message, duration, socket_address, typed

FOLLOWING = "follow-host"
"""The filter that looks up the hosts of requests; routes keep what is theirs under its name."""

_FIXED_PORT = "fixed-port"
_BARE_HOST = "%CEL(re.extract(request.host, '^(.*?)[.]?(:[0-9]*)?$', '\\\\1'))%"
_CACHE = "hosts"
_MAX_HOSTS = 4096
"""Names that are remembered at a time; a request for one more is answered 503."""

_QUERY = timedelta(seconds=2)
_FAILED = timedelta(seconds=1)


def follows_the_request(cluster: Cluster) -> bool:
    """Whether the host of each request is the endpoint."""
    return cluster.dns is not None and not cluster.dns.name


def looked_up(name: DnsName, cluster: str, resolvers: tuple[SocketAddress, ...]) -> Message:
    """Fields of a Cluster: all addresses of the name are endpoints, the last good answer stays."""
    endpoint = {"endpoint": {"address": socket_address(SocketAddress(name.name, name.port))}}
    config = typed(
        "clusters.dns.v3.DnsCluster",
        **_lookups(name.refresh, resolvers),
        respect_dns_ttl=False,
        all_addresses_in_single_endpoint=False,
    )
    return {
        "cluster_type": {"name": "envoy.cluster.dns", "typed_config": config},
        "load_assignment": {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def followed(following: tuple[Cluster, ...], resolvers: tuple[SocketAddress, ...]) -> Message:
    """Fields of a Cluster whose endpoints are the hosts that requests name."""
    config = typed(
        "clusters.dynamic_forward_proxy.v3.ClusterConfig",
        dns_cache_config=_dns_cache(following, resolvers),
        allow_insecure_cluster_options=True,
        allow_coalesced_connections=False,
    )
    return {
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": config},
    }


def http_filters(following: tuple[Cluster, ...], resolvers: tuple[SocketAddress, ...]) -> list[Message]:
    """What looks up the hosts of requests before they go on, where there are clusters that follow them."""
    if not following:
        return []
    fixed = typed("filters.http.set_filter_state.v3.Config")
    forward = typed(
        "filters.http.dynamic_forward_proxy.v3.FilterConfig",
        dns_cache_config=_dns_cache(following, resolvers),
        allow_dynamic_host_from_filter_state=True,
    )
    return [
        {"name": _FIXED_PORT, "typed_config": fixed},
        {"name": FOLLOWING, "typed_config": forward},
    ]


def route_config(cluster: Cluster, hostname: str) -> Message:
    """``typed_per_filter_config`` of a route to a cluster that follows the host, rewritten or not."""
    if cluster.dns is not None and cluster.dns.port:
        # A port in the Host would win over this one, so the host is told without, and so is the name in
        # TLS: Envoy's own would have the root dot.
        host = hostname or _BARE_HOST
        states = [
            _state("envoy.upstream.dynamic_host", host),
            _state("envoy.upstream.dynamic_port", str(cluster.dns.port)),
        ]
        if name_from_the_request(cluster):
            states += [
                _state("envoy.network.upstream_server_name", host),
                _state("envoy.network.upstream_subject_alt_names", host),
            ]
        return {_FIXED_PORT: typed("filters.http.set_filter_state.v3.Config", on_request_headers=states)}
    if hostname:
        config = typed("filters.http.dynamic_forward_proxy.v3.PerRouteConfig", host_rewrite_literal=hostname)
        return {FOLLOWING: config}
    return {}


def _state(key: str, text_format: str) -> Message:
    return {
        "object_key": key,
        "factory_key": key,
        "format_string": {"text_format_source": {"inline_string": text_format}},
    }


def _dns_cache(clusters: Iterable[Cluster], resolvers: tuple[SocketAddress, ...]) -> Message:
    """One cache for the filter and all clusters: Envoy wants the same settings wherever the name stands."""
    refresh = min(each.dns.refresh for each in clusters if each.dns is not None)
    return {
        "name": _CACHE,
        **_lookups(refresh, resolvers),
        "host_ttl": duration(max(refresh * 2, timedelta(minutes=5))),
        "max_hosts": _MAX_HOSTS,
        "dns_query_timeout": duration(_QUERY * 2),
    }


def _lookups(refresh: timedelta, resolvers: tuple[SocketAddress, ...]) -> Message:
    cares = typed(
        "network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        resolvers=[socket_address(each) for each in resolvers],
        use_resolvers_as_fallback=False,
        filter_unroutable_families=False,
        dns_resolver_options={"use_tcp_for_dns_lookups": False, "no_default_search_domain": True},
        query_timeout_seconds=_QUERY // timedelta(seconds=1),
        query_tries=2,
    )
    failed = min(_FAILED, refresh)
    return {
        "dns_lookup_family": "ALL",
        "dns_refresh_rate": duration(refresh),
        "dns_failure_refresh_rate": {
            "base_interval": duration(failed),
            "max_interval": duration(max(failed, refresh)),
        },
        "typed_dns_resolver_config": {"name": "envoy.network.dns_resolver.cares", "typed_config": cares},
    }


def upstream_tls(tls: OriginTls, protocols: tuple[str, ...] = ()) -> Message:
    """A connection to a name that a CA of the file vouches for; without a name to the request's host."""
    validation: Message = {"trusted_ca": {"filename": tls.authorities}}
    context: Message = {"allow_renegotiation": False, "max_session_keys": 0}
    if tls.server_name:
        kind = "IP_ADDRESS" if _is_address(tls.server_name) else "DNS"
        validation["match_typed_subject_alt_names"] = [
            {"san_type": kind, "matcher": {"exact": tls.server_name}}
        ]
        if kind == "DNS":
            context["sni"] = tls.server_name
    parameters = mtls.parameters(
        tls.minimum_version, TlsVersion.V1_3, mtls.WORLD_CIPHER_SUITES, curves=("P-384",)
    )
    context["common_tls_context"] = {
        "tls_params": parameters,
        "validation_context": validation,
        **mtls.alpn(protocols),
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed("transport_sockets.tls.v3.UpstreamTlsContext", **context),
    }


def name_from_the_request(cluster: Cluster) -> Message:
    """Fields of HttpProtocolOptions: SNI and the name to verify, where the cluster does not fix them."""
    tls = cluster.origin.tls if cluster.origin else None
    if tls is None or tls.server_name:
        return {}
    return {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
