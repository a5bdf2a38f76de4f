"""The scalar types of the language. Every scalar arrives as text; these decide what it means.

A refusal is a ``PydanticCustomError`` whose message completes "this must be …".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated, Any, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

T = TypeVar("T")

LABEL_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
_LABEL = re.compile(LABEL_PATTERN)
DOMAIN = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,9}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = timedelta(days=3650)
_LONGEST_DOMAIN = 189
"""With a service before it and the dot 253, the longest name in DNS (RFC 1035, 2.3.4, as text)."""
_LONGEST_TRUST_DOMAIN = 64
_LONGEST_TEXT = 1000


class Model(BaseModel):
    """A mapping of the language: camelCase keys, no others, never changed once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True, validate_default=False
    )


class Before(Struct, frozen=True):
    """What reads a raw node before its type does. Pydantic's own looks at each function's signature, a third of all that it does."""

    func: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return no_info_before_validator_function(self.func, handler(source))


def refuse(message: str) -> PydanticCustomError:
    """The error of a value that must be something else; ``message`` completes "must be …"."""
    return PydanticCustomError("must_be", "{expected}", {"expected": message})


def given(value: Any) -> Any:  # noqa: ANN401 - a validator sees raw nodes
    """Refuse a key without a value, and with ``{}`` or ``[]``."""
    if not value and not isinstance(value, str):
        raise PydanticCustomError("empty", "empty")
    return value


Given = Annotated[T | None, Before(given)]
"""May be left out, but when the key is written it has a value."""


def _not_null(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        raise PydanticCustomError("empty", "empty")
    return value


Listed = Annotated[T | None, Before(_not_null)]
"""May be left out, and may be empty, for ``{}`` says plainly that there is none."""


def text(value: Any, expected: str) -> str:  # noqa: ANN401
    """A scalar's text; refuses mappings, lists and nothing."""
    if not isinstance(value, str):
        raise refuse(expected)
    return value


def _whole_number(value: Any, low: int, high: int, what: str) -> int:  # noqa: ANN401
    expected = f"{what}, a whole number from {low} to {high:,}"
    written = text(value, expected)
    if not _WHOLE.fullmatch(written) or not low <= int(written) <= high:
        raise refuse(expected)
    return int(written)


def whole_field(low: int, high: int, what: str) -> Before:
    """A validator for whole numbers in a range of its own."""
    return Before(lambda value: _whole_number(value, low, high, what))


def whole_choice(what: str, *choices: int) -> tuple[Before, WithJsonSchema]:
    """What annotates a whole number that is one of a few."""
    expected = f"{what}: {', '.join(map(str, choices[:-1]))} or {choices[-1]}"

    def chosen(value: Any) -> int:  # noqa: ANN401
        written = text(value, expected)
        if written not in map(str, choices):
            raise refuse(expected)
        return int(written)

    return Before(chosen), WithJsonSchema({"enum": list(choices)})


Weight = Annotated[
    int,
    whole_field(0, 1_000_000, "a weight"),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 1_000_000}),
]
Count = Annotated[
    int,
    whole_field(1, 1_000_000, "a number"),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1_000_000}),
]
Attempts = Annotated[
    int,
    whole_field(0, 10, "a number of retries"),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10}),
]


def name(value: Any) -> str:  # noqa: ANN401
    """A validator for names: DNS labels."""
    expected = "a DNS label (a-z, 0-9 and -, at most 63 characters)"
    written = text(value, expected)
    if not _LABEL.fullmatch(written):
        raise refuse(expected)
    return written


Name = Annotated[str, Before(name), WithJsonSchema({"type": "string", "pattern": LABEL_PATTERN})]


def _domain(value: Any) -> str:  # noqa: ANN401
    expected = f"a domain name in lower case, at most {_LONGEST_DOMAIN} characters"
    written = text(value, expected)
    if len(written) > _LONGEST_DOMAIN or not DOMAIN.fullmatch(written):
        raise refuse(expected)
    return written


Domain = Annotated[str, Before(_domain), WithJsonSchema({"type": "string"})]


def _trust_domain(value: Any) -> str:  # noqa: ANN401
    expected = f"a trust domain (a domain name in lower case, at most {_LONGEST_TRUST_DOMAIN} characters)"
    written = text(value, expected)
    if len(written) > _LONGEST_TRUST_DOMAIN or not DOMAIN.fullmatch(written):
        raise refuse(expected)
    return written


TrustDomain = Annotated[str, Before(_trust_domain), WithJsonSchema({"type": "string"})]


def _duration(value: Any) -> timedelta:  # noqa: ANN401
    expected = "a duration with a unit, such as 250ms, 5s or 1m30s (units: ms s m h d)"
    written = text(value, expected)
    found = _DURATION.fullmatch(written)
    if not written or not found or len(written) > 30:
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
    Before(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


def _positive(value: Any) -> timedelta:  # noqa: ANN401
    duration = _duration(value)
    if not duration:
        raise refuse("a duration longer than zero")
    return duration


PositiveDuration = Annotated[
    timedelta,
    Before(_positive),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


def _free_text(value: Any) -> str:  # noqa: ANN401
    expected = f"one line of text, at most {_LONGEST_TEXT} characters"
    written = text(value, expected)
    if not written.strip() or len(written) > _LONGEST_TEXT or _CONTROL.search(written):
        raise refuse(expected)
    return written


FreeText = Annotated[str, Before(_free_text), WithJsonSchema({"type": "string", "minLength": 1})]


def _date(value: Any) -> date:  # noqa: ANN401
    expected = "a date such as 2027-01-31"
    written = text(value, expected)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", written):
        raise refuse(expected)
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise refuse(expected) from None


Date = Annotated[date, Before(_date), WithJsonSchema({"type": "string", "format": "date"})]


def _flag(value: Any) -> bool:  # noqa: ANN401
    expected = "true or false"
    written = text(value, expected)
    if written not in ("true", "false"):
        raise refuse(expected)
    return written == "true"


Flag = Annotated[bool, Before(_flag), WithJsonSchema({"type": "boolean"})]

_PERCENT = re.compile(r"(100|[0-9]{1,2})(?:\.([0-9]{1,2}))?%")


def _percent(value: Any) -> Fraction:  # noqa: ANN401
    expected = "a percentage with its sign from 0% to 100%, such as 5% or 0.25%"
    written = text(value, expected)
    found = _PERCENT.fullmatch(written)
    share = Fraction(written[:-1]) / 100 if found else Fraction(2)
    if share > 1:
        raise refuse(expected)
    return share


Percent = Annotated[
    Fraction,
    Before(_percent),
    WithJsonSchema({"type": "string", "pattern": r"^(100|[0-9]{1,2})(\.[0-9]{1,2})?%$"}),
]
"""A share from 0 to 1."""


_VERSION_RANGE = re.compile(r"(?:(?:<|<=|>|>=|==|!=|~=) ?[0-9]+(?:\.(?:[0-9]+|\*))*(?:, ?|$))+")


def _version_range(value: Any) -> str:  # noqa: ANN401
    expected = "versions of meshctl, such as >=0.1,<1"
    written = text(value, expected)
    if len(written) > 100 or not _VERSION_RANGE.fullmatch(written) or written.rstrip().endswith(","):
        raise refuse(expected)
    return written


VersionRange = Annotated[str, Before(_version_range), WithJsonSchema({"type": "string"})]
"""In the form of PEP 440's specifiers, final releases only."""


_FILE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def file_path(value: Any) -> str:  # noqa: ANN401
    """A validator for the path of a file below the spec's folder."""
    expected = "a file below the spec's folder, such as keys/idp.json"
    written = text(value, expected)
    if len(written) > 255 or not _FILE_PATH.fullmatch(written):
        raise refuse(expected)
    return written


FilePath = Annotated[str, Before(file_path), WithJsonSchema({"type": "string", "minLength": 1})]
