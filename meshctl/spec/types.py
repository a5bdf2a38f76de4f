"""The scalar types of the language. Every scalar arrives as text; these decide what it means.

A refusal is a ``PydanticCustomError`` whose message completes "this must be …".
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

T = TypeVar("T")

LABEL_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
_LABEL = re.compile(LABEL_PATTERN)
_DOMAIN = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,9}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_PATH = re.compile(r"/[!-~]*")
_OCTET = r"(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_LONGEST = timedelta(days=3650)
_LONGEST_DOMAIN = 190
_LONGEST_TRUST_DOMAIN = 64
_LONGEST_PATH = 1024
_LONGEST_TEXT = 1000


class Model(BaseModel):
    """A mapping of the language: camelCase keys, no others, never changed once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True, validate_default=False
    )


def refuse(message: str) -> PydanticCustomError:
    """The error of a value that must be something else; ``message`` completes "must be …"."""
    return PydanticCustomError("must_be", "{expected}", {"expected": message})


def given(value: Any) -> Any:  # noqa: ANN401 - a validator sees raw nodes
    """Refuse a key without a value, and with ``{}`` or ``[]``."""
    if value is None or value in ({}, []):
        raise PydanticCustomError("empty", "empty")
    return value


Given = Annotated[T | None, BeforeValidator(given)]
"""May be left out, but when the key is written it has a value."""


def _not_null(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        raise PydanticCustomError("empty", "empty")
    return value


Listed = Annotated[T | None, BeforeValidator(_not_null)]
"""May be left out, and may be empty, for ``{}`` says plainly that there is none."""


def _text(value: Any, expected: str) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise refuse(expected)
    return value


def _whole_number(value: Any, low: int, high: int, what: str) -> int:  # noqa: ANN401
    expected = f"{what}, a whole number from {low} to {high:,}"
    text = _text(value, expected)
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise refuse(expected)
    return int(text)


def whole_field(low: int, high: int, what: str) -> BeforeValidator:
    """A validator for whole numbers in a range of its own."""
    return BeforeValidator(lambda value: _whole_number(value, low, high, what))


Port = Annotated[
    int, whole_field(1, 65535, "a port"), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})
]
Weight = Annotated[
    int,
    whole_field(0, 1_000_000, "a weight"),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 1_000_000}),
]
Attempts = Annotated[
    int,
    whole_field(0, 10, "a number of retries"),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10}),
]


def _label(value: Any) -> str:  # noqa: ANN401
    expected = "a DNS label (a-z, 0-9 and -, at most 63 characters)"
    text = _text(value, expected)
    if not _LABEL.match(text) or text.endswith("\n"):
        raise refuse(expected)
    return text


Name = Annotated[str, BeforeValidator(_label), WithJsonSchema({"type": "string", "pattern": LABEL_PATTERN})]


def _domain(value: Any) -> str:  # noqa: ANN401
    expected = f"a domain name in lower case, at most {_LONGEST_DOMAIN} characters"
    text = _text(value, expected)
    if len(text) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(text):
        raise refuse(expected)
    return text


Domain = Annotated[str, BeforeValidator(_domain), WithJsonSchema({"type": "string"})]


def _trust_domain(value: Any) -> str:  # noqa: ANN401
    expected = f"a trust domain (a domain name in lower case, at most {_LONGEST_TRUST_DOMAIN} characters)"
    text = _text(value, expected)
    if len(text) > _LONGEST_TRUST_DOMAIN or not _DOMAIN.fullmatch(text):
        raise refuse(expected)
    return text


TrustDomain = Annotated[str, BeforeValidator(_trust_domain), WithJsonSchema({"type": "string"})]


def _duration(value: Any) -> timedelta:  # noqa: ANN401
    expected = "a duration with a unit, such as 250ms, 5s or 1m30s (units: ms s m h d)"
    text = _text(value, expected)
    found = _DURATION.fullmatch(text)
    if not text or not found or len(text) > 30:
        raise refuse(expected)
    days, hours, minutes, seconds, milliseconds = (int(part or 0) for part in found.groups())
    try:
        duration = timedelta(
            days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds
        )
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise refuse("a duration of at most 3650d")
    return duration


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


def _positive(value: Any) -> timedelta:  # noqa: ANN401
    duration = _duration(value)
    if not duration:
        raise refuse("a duration longer than zero")
    return duration


PositiveDuration = Annotated[
    timedelta,
    BeforeValidator(_positive),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


def _ip_address(value: Any) -> str:  # noqa: ANN401
    expected = "an IPv4 address (a host name needs discovery by DNS, which this version does not have yet)"
    text = _text(value, expected)
    if not _IPV4.fullmatch(text):
        raise refuse(expected)
    return text


IpAddress = Annotated[str, BeforeValidator(_ip_address), WithJsonSchema({"type": "string", "format": "ipv4"})]


def _header_name(value: Any) -> str:  # noqa: ANN401
    expected = "a header name (an RFC 9110 token)"
    text = _text(value, expected)
    if not _TOKEN.fullmatch(text):
        raise refuse(expected)
    return text.lower()


HeaderName = Annotated[str, BeforeValidator(_header_name), WithJsonSchema({"type": "string"})]


def _header_value(value: Any) -> str:  # noqa: ANN401
    expected = "a header value: printable ASCII without blanks at either end (quote numbers and booleans)"
    text = _text(value, expected)
    if len(text) > _LONGEST_PATH or not _HEADER_VALUE.fullmatch(text):
        raise refuse(expected)
    return text


HeaderValue = Annotated[
    str, BeforeValidator(_header_value), WithJsonSchema({"type": "string", "minLength": 1})
]


def _method(value: Any) -> str:  # noqa: ANN401
    expected = "an HTTP method in upper case, such as GET"
    text = _text(value, expected)
    if not re.fullmatch(r"[A-Z][A-Z-]{0,30}", text) or text in ("CONNECT", "TRACE"):
        raise refuse(expected)
    return text


Method = Annotated[
    str, BeforeValidator(_method), WithJsonSchema({"type": "string", "pattern": "^[A-Z][A-Z-]{0,30}$"})
]


def _path(value: Any) -> str:  # noqa: ANN401
    expected = (
        f"a path: it begins with /, printable ASCII without ? and #, at most {_LONGEST_PATH} characters"
    )
    text = _text(value, expected)
    if len(text) > _LONGEST_PATH or not _PATH.fullmatch(text) or "?" in text or "#" in text:
        raise refuse(expected)
    return text


Path = Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/"})]


def _free_text(value: Any) -> str:  # noqa: ANN401
    expected = f"one line of text, at most {_LONGEST_TEXT} characters"
    text = _text(value, expected)
    if not text.strip() or len(text) > _LONGEST_TEXT or _CONTROL.search(text):
        raise refuse(expected)
    return text


FreeText = Annotated[str, BeforeValidator(_free_text), WithJsonSchema({"type": "string", "minLength": 1})]


def _date(value: Any) -> date:  # noqa: ANN401
    expected = "a date such as 2027-01-31"
    text = _text(value, expected)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise refuse(expected)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refuse(expected) from None


Date = Annotated[date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
