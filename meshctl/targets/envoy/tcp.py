"""Streams: local ports for TCP services, and the inbound listener of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from meshctl.ir import Cluster, InboundListener, TcpListener
from meshctl.targets.envoy import discovery, listeners, mtls
from meshctl.targets.envoy.protobuf import Message, duration, typed


def local_port(tcp: TcpListener, cluster: Cluster, access_logs: list[Message]) -> Message:
    """Every connection goes to one endpoint of the cluster; where there is none it is closed."""
    proxy = _proxy(f"tcp:{tcp.service}", tcp.cluster, cluster.idle_timeout, access_logs)
    return listeners.listener(f"tcp:{tcp.service}", tcp.binds, _FILTER, proxy)


def pass_through(
    tcp: TcpListener, clusters: Mapping[str, Cluster], access_logs: list[Message], refused: list[Message]
) -> Message:
    """The server name in the first bytes picks the cluster; a connection that no chain takes is closed."""
    (first, *_) = tcp.binds
    name = f"sni:{first.port}"
    message = listeners.listener(name, tcp.binds, _FILTER, {})
    message["filter_chains"] = [
        {
            "filter_chain_match": {"server_names": list(route.hostnames), "transport_protocol": "tls"},
            "filters": [
                {
                    "name": _FILTER,
                    "typed_config": _proxy(
                        f"sni:{route.service}",
                        route.cluster,
                        clusters[route.cluster].idle_timeout,
                        access_logs,
                    ),
                }
            ],
        }
        for route in tcp.sni
    ]
    message |= listeners.inspects_tls(_HELLO, then_plaintext=False)
    if refused:
        message["access_log"] = refused
    return message


def from_tls(listener: InboundListener, tls: Message, access_logs: list[Message]) -> Message:
    """A filter chain: the stream inside the TLS; whom the handshake lets through may have it."""
    proxy = _proxy("inbound", discovery.APPLICATION_OF_ONE, listener.idle_timeout, access_logs)
    # By default the application would see a connection of everybody who can reach the port.
    proxy |= {"upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE", "max_early_data_bytes": _EARLY}
    one = mtls.leads_one_to(listener.application)
    return listeners.chain(_FILTER, proxy, first=(one,), transport_socket=tls)


def from_plaintext(listener: InboundListener, access_logs: list[Message]) -> Message:
    """A filter chain: the stream as it comes."""
    return listeners.chain(
        _FILTER, _proxy("inbound", discovery.APPLICATION, listener.idle_timeout, access_logs)
    )


_HELLO = timedelta(seconds=10)
"""For a client to say its first bytes."""

_EARLY = 1 << 16
"""What a caller may have said before the application has answered the connection."""

_FILTER = "envoy.filters.network.tcp_proxy"


def _proxy(name: str, cluster: str, idle: timedelta, access_logs: list[Message]) -> Message:
    return typed(
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=name,
        cluster=cluster,
        idle_timeout=duration(idle),
        max_connect_attempts=1,
        access_log=access_logs,
    )
