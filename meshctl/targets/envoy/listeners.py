"""What the three listeners have in common."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import SocketAddress
from meshctl.targets.envoy import forwarded_proto, http2, timeouts
from meshctl.targets.envoy.protobuf import Message, duration, line, socket_address, typed
from meshctl.targets.envoy.retries import BODY_BUFFER_BYTES

FAREWELL = timedelta(seconds=1)
"""For a peer to read the last answer before its connection is reset, if it does not close it itself."""

SHORT_FAREWELL = timedelta(milliseconds=50)
"""The same to an application on this host. A response that is cut for its timeout waits as long to be cut."""


PROTOCOLS = ("h2", "http/1.1")
"""What a TLS listener offers by ALPN, the better one first."""


def http_listener(name: str, binds: tuple[SocketAddress, ...], manager: Message, **its: Message) -> Message:
    """``envoy.config.listener.v3.Listener`` with one HTTP filter chain; ``its`` may add its TLS."""
    return listener(name, binds, HTTP, manager, **its)


def listener(
    name: str, binds: tuple[SocketAddress, ...], network_filter: str, config: Message, **its: Message
) -> Message:
    """``envoy.config.listener.v3.Listener`` on all of ``binds``, with one filter."""
    return listener_of(name, binds, [{**its, **chain(network_filter, config)}])


HTTP = "envoy.filters.network.http_connection_manager"


def chain(
    network_filter: str, config: Message, *, first: tuple[Message, ...] = (), **its: Message
) -> Message:
    """``FilterChain`` of one filter, behind those that come ``first``; ``its`` may add its TLS."""
    return {**its, "filters": [*first, {"name": network_filter, "typed_config": config}]}


def listener_of(name: str, binds: tuple[SocketAddress, ...], chains: list[Message]) -> Message:
    """``envoy.config.listener.v3.Listener`` on all of ``binds``."""
    first, *others = map(socket_address, binds)
    message = {
        "name": name,
        "address": first,
        # A shared port would let two sidecars answer for each other.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": BODY_BUFFER_BYTES,
        "filter_chains": chains,
    }
    if others:
        message["additional_addresses"] = [{"address": each} for each in others]
    return message


def inspects_tls(wait: timedelta, *, then_plaintext: bool) -> Message:
    """Fields of a Listener: the first bytes tell TLS from others. Who says nothing for so long is closed, or plaintext."""
    inspector = typed("filters.listener.tls_inspector.v3.TlsInspector")
    return {
        "listener_filters": [{"name": "tls-inspector", "typed_config": inspector}],
        "listener_filters_timeout": duration(wait),
        "continue_on_listener_filters_timeout": then_plaintext,
    }


def connection_manager(
    name: str,
    *,
    routes: Message,
    http_filters: list[Message],
    idle: timedelta,
    access_logs: list[Message],
    local_replies: list[Message],
    farewell: timedelta = FAREWELL,
    fields: Message | None = None,
) -> Message:
    """``HttpConnectionManager`` for HTTP/1.1 that forwards what it gets and adds nothing.

    ``fields`` are those for what else is spoken, HTTP/2 (the client chooses, by ALPN or by prior
    knowledge) and WebSocket, and for spans.
    """
    more = dict(fields or {})
    early = more.pop("early_header_mutation_extensions", [])
    return typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="AUTO" if http2.OPTIONS in more else "HTTP1",
        route_config=routes,
        http_filters=[*(line(each) for each in http_filters), line(_router())],
        access_log=access_logs,
        local_reply_config={"mappers": local_replies},
        early_header_mutation_extensions=[*forwarded_proto.keep(), *early],
        **_limits(idle, farewell),
        **more,
        **_FAITHFUL,
    )


def _limits(idle: timedelta, farewell: timedelta) -> Message:
    return {
        "common_http_protocol_options": timeouts.downstream_connection(idle),
        "stream_idle_timeout": duration(idle),
        "request_headers_timeout": duration(timeouts.REQUEST_HEADERS),
        "request_timeout": "0s",
        "drain_timeout": "5s",
        "delayed_close_timeout": duration(farewell),
        "max_request_headers_kb": 60,
    }


_FAITHFUL: Message = {
    "http_protocol_options": {
        "allow_absolute_url": True,
        "accept_http_10": False,
        "allow_chunked_length": False,
        "enable_trailers": False,
    },
    # The gate refuses what these would repair, and what passes it goes on byte for byte.
    "normalize_path": False,
    "merge_slashes": False,
    "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    "server_header_transformation": "PASS_THROUGH",
    "use_remote_address": False,
    "skip_xff_append": True,
    "forward_client_cert_details": "SANITIZE",
    "generate_request_id": False,
    "preserve_external_request_id": True,
    "always_set_request_id_in_response": False,
    "proxy_100_continue": False,
}


def _router() -> Message:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": typed(
            "filters.http.router.v3.Router", suppress_envoy_headers=True, dynamic_stats=True
        ),
    }
