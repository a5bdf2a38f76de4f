"""Streams: local ports for TCP services, and the inbound listener of one."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import Cluster, InboundListener, TcpListener
from meshctl.targets.envoy import discovery, listeners
from meshctl.targets.envoy.protobuf import Message, duration, typed


def local_port(tcp: TcpListener, cluster: Cluster, access_logs: list[Message]) -> Message:
    """Every connection goes to one endpoint of the cluster; where there is none it is closed."""
    proxy = _proxy(f"tcp:{tcp.service}", tcp.cluster, cluster.idle_timeout, access_logs)
    return listeners.listener(f"tcp:{tcp.service}", tcp.binds, _FILTER, proxy)


def inbound(listener: InboundListener, tls: Message, access_logs: list[Message]) -> Message:
    """The stream inside the TLS; whom the handshake lets through may have it."""
    proxy = _proxy("inbound", discovery.APPLICATION, listener.idle_timeout, access_logs)
    # By default the application would see a connection of everybody who can reach the port.
    proxy |= {"upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE", "max_early_data_bytes": _EARLY}
    return listeners.listener("inbound", listener.binds, _FILTER, proxy, transport_socket=tls)


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
