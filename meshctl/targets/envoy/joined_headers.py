"""Headers whose repeated lines Envoy does not tell apart."""

from __future__ import annotations

# Envoy keeps these in fields of their own ("inline headers") and joins repeated lines with a comma.
_JOINED = frozenset(
    [
        "accept",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "authentication",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "grpc-timeout",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "origin",
        "pragma",
        "proxy-connection",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-client-trace-id",
        "x-ot-span-context",
        "x-request-id",
    ]
)
_JOINED_PREFIXES = ("access-control-", "grpc-", "x-envoy-", "x-forwarded-")


def is_joined(name: str) -> bool:
    """Whether repeated lines of this header (lower case) become one as they are read."""
    return name in _JOINED or name.startswith(_JOINED_PREFIXES)


_JOINED_IN_ANSWERS = frozenset(
    ["age", "date", "etag", "expires", "last-modified", "location", "server", "vary"]
)


def is_joined_in_answers(name: str) -> bool:
    """The same of an answer, which has more of them."""
    return is_joined(name) or name in _JOINED_IN_ANSWERS
