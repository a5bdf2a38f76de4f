"""Scalars that stand in HTTP messages."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import WithJsonSchema

from meshctl.spec.regex import fault
from meshctl.spec.types import DOMAIN, Before, refuse, text, whole_field

LONGEST_PATH = 1024
LONGEST_BODY = 2000
LONGEST_REGEX = 512
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_PATH = re.compile(r"/[!-~]*")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_QUERY_PART = re.compile(r"[!-~]*")
_SRV_SERVICE = re.compile(r"_[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def _header_name(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = "a header name (an RFC 9110 token)"
    written = text(value, expected)
    if not _TOKEN.fullmatch(written):
        raise refuse(expected)
    return written.lower()


HeaderName = Annotated[str, Before(_header_name), WithJsonSchema({"type": "string"})]


def _cookie_name(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = "a cookie's name (an RFC 6265 token)"
    written = text(value, expected)
    if not _TOKEN.fullmatch(written):
        raise refuse(expected)
    return written


CookieName = Annotated[str, Before(_cookie_name), WithJsonSchema({"type": "string"})]
"""With case, unlike the name of a header."""


def _header_value(value: Any) -> str:  # noqa: ANN401
    expected = "a header value: printable ASCII without blanks at either end (quote numbers and booleans)"
    written = text(value, expected)
    if len(written) > LONGEST_PATH or not _HEADER_VALUE.fullmatch(written):
        raise refuse(expected)
    return written


HeaderValue = Annotated[str, Before(_header_value), WithJsonSchema({"type": "string", "minLength": 1})]


def _query_name(value: Any) -> str:  # noqa: ANN401
    expected = "a query parameter's name as it stands on the wire: printable ASCII without & = #"
    written = text(value, expected)
    if (
        not written
        or len(written) > LONGEST_PATH
        or not _QUERY_PART.fullmatch(written)
        or set(written) & set("&=#")
    ):
        raise refuse(expected)
    return written


QueryName = Annotated[str, Before(_query_name), WithJsonSchema({"type": "string", "minLength": 1})]


def query_value(value: Any) -> str:  # noqa: ANN401
    """A validator for what stands behind ``name=``, maybe nothing."""
    expected = "a query parameter's value as it stands on the wire: printable ASCII without & #"
    written = text(value, expected)
    if len(written) > LONGEST_PATH or not _QUERY_PART.fullmatch(written) or set(written) & set("&#"):
        raise refuse(expected)
    return written


QueryValue = Annotated[str, Before(query_value), WithJsonSchema({"type": "string"})]


def _method(value: Any) -> str:  # noqa: ANN401
    expected = "an HTTP method in upper case, such as GET (CONNECT and TRACE are none of the mesh's)"
    written = text(value, expected)
    if not re.fullmatch(r"[A-Z][A-Z-]{0,30}", written) or written in ("CONNECT", "TRACE"):
        raise refuse(expected)
    return written


Method = Annotated[str, Before(_method), WithJsonSchema({"type": "string", "pattern": "^[A-Z][A-Z-]{0,30}$"})]


def _path(value: Any) -> str:  # noqa: ANN401
    expected = f"a path: it begins with /, printable ASCII without ? and #, at most {LONGEST_PATH} characters"
    written = text(value, expected)
    if len(written) > LONGEST_PATH or not _PATH.fullmatch(written) or "?" in written or "#" in written:
        raise refuse(expected)
    return written


Path = Annotated[str, Before(_path), WithJsonSchema({"type": "string", "pattern": "^/"})]


def _regex(value: Any) -> str:  # noqa: ANN401
    expected = f"a regular expression in printable ASCII, at most {LONGEST_REGEX} characters"
    written = text(value, expected)
    if not 0 < len(written) <= LONGEST_REGEX or not re.fullmatch(r"[ -~]+", written):
        raise refuse(expected)
    why = fault(written)
    if why:
        raise refuse(f"a regular expression of RE2 without repeated groups ({why})")
    return written


Regex = Annotated[str, Before(_regex), WithJsonSchema({"type": "string", "minLength": 1})]


def _hostname(value: Any) -> str:  # noqa: ANN401
    expected = "a host name in lower case without a port, such as shop.example or *.shop.example"
    written = text(value, expected)
    if len(written) > 253 or not DOMAIN.fullmatch(written.removeprefix("*.")) or _is_address(written):
        raise refuse(expected)
    return written


def _is_address(name: str) -> bool:
    return name.rpartition(".")[2].isdigit()


Hostname = Annotated[str, Before(_hostname), WithJsonSchema({"type": "string"})]


def _exact_hostname(value: Any) -> str:  # noqa: ANN401
    expected = "a host name in lower case without a port, such as shop.example"
    written = text(value, expected)
    if len(written) > 253 or not DOMAIN.fullmatch(written) or _is_address(written):
        raise refuse(expected)
    return written


ExactHostname = Annotated[str, Before(_exact_hostname), WithJsonSchema({"type": "string"})]


def _srv_name(value: Any) -> str:  # noqa: ANN401
    expected = "the name of SRV records, such as _mesh._tcp.shop.example"
    written = text(value, expected)
    service, _, host = written.partition("._tcp.")
    if len(written) > 253 or not _SRV_SERVICE.fullmatch(service) or not DOMAIN.fullmatch(host):
        raise refuse(expected)
    return written


SrvName = Annotated[str, Before(_srv_name), WithJsonSchema({"type": "string"})]


def _body(value: Any) -> str:  # noqa: ANN401
    expected = f"printable text, at most {LONGEST_BODY} bytes in UTF-8"
    written = text(value, expected)
    if _CONTROL.search(written) or len(written.encode("utf-8", "replace")) > LONGEST_BODY:
        raise refuse(expected)
    return written


Body = Annotated[str, Before(_body), WithJsonSchema({"type": "string"})]
ResponseStatus = Annotated[
    int,
    whole_field(200, 599, "a status code"),
    WithJsonSchema({"type": "integer", "minimum": 200, "maximum": 599}),
]
