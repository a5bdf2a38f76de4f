"""`meshctl explain request`: what the command line asks, and of whom."""

from __future__ import annotations

import re
import shlex
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.cli.formats.context import json_text, one_line
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.simulate import Asked

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_FURTHER = "`[SERVICE:] [METHOD] URL [-H 'name: value']…`"


class RequestFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"


class Question(Struct, frozen=True):
    """The request as the command line has it."""

    url: str | None
    caller: str | None
    method: str
    headers: tuple[str, ...]
    """``name: value`` each."""
    then: tuple[str, ...]
    """What the applications on the way ask because of it, one after the other."""


def show(question: Question, location: str, environment: str | None, form: RequestFormat) -> int:
    """Print what the request would do in the spec at ``location``. Raises UsageError for what is none."""
    from meshctl import pipeline
    from meshctl.cli import request_json, request_text, sequence
    from meshctl.simulate import Asked

    if question.url is None:
        raise UsageError("name a URL: `meshctl explain request http://catalog/ --from web`")
    if question.caller is None:
        raise UsageError("say who asks: `--from SERVICE`, or `--from GATEWAY` for its clients")
    first = Asked(_method(question.method), question.url, tuple(map(_header, question.headers)))
    then = tuple(map(_further, question.then))
    path = pipeline.explain_request(location, question.caller, first, then, environment)
    alone = path.calls[0] if not then else None
    match form:
        case RequestFormat.TEXT:
            lines = request_text.drawn(alone) if alone else request_text.path_drawn(path)
            sys.stdout.writelines(f"{each}\n" for each in lines)
        case RequestFormat.JSON:
            sys.stdout.write(json_text(request_json.document(path.calls[0], path if then else None)))
        case RequestFormat.MERMAID:
            sys.stdout.writelines(f"{each}\n" for each in sequence.sequence(path))
    return 0


def _method(text: str) -> str:
    if not text.strip():
        raise UsageError("the method is empty; write one such as GET, or leave it out")
    return text


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UsageError(f"`{one_line(text)}` is not a header of the form `name: value`")
    return found[1], found[2]


def _further(text: str) -> Asked:
    """A further request of a path, in the words of the first one."""
    from meshctl.simulate import Asked

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"`--then '{one_line(text)}'`: a quotation has no end; write {_FURTHER}") from error
    headers = []
    while "-H" in words:
        at = words.index("-H")
        if at == len(words) - 1:
            raise UsageError(f"`--then '{one_line(text)}'`: a header is missing behind -H; write {_FURTHER}")
        headers.append(_header(words[at + 1]))
        del words[at : at + 2]
    by = words.pop(0)[:-1] if words and words[0].endswith(":") else ""
    method = words.pop(0) if len(words) == 2 else "GET"
    if len(words) != 1:
        raise UsageError(f"`--then '{one_line(text)}'` is not of the form {_FURTHER}")
    return Asked(_method(method), words[0], tuple(headers), by)
