"""`meshctl explain`: codes, settings and requests.

A code or a slug holds no dot and no space, by which it is told from a path in the spec (which may also be the name
of a section alone) and from whatever else may be explained.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import options
from meshctl.cli.examples import EXAMPLES
from meshctl.cli.findings import tell
from meshctl.cli.formats.context import docs_link, json_text, one_line
from meshctl.diagnostics import UsageError
from meshctl.suggestions import nearest

if TYPE_CHECKING:
    from meshctl.pipeline import Rule

SCHEMA_VERSION = 1
_UNSAFE = {"unsafe": " --unsafe-fixes"}
REQUEST = "request"
"""The word that is neither a code nor a path."""
SECTIONS = ("mesh", "defaults", "services", "externals", "gateways")


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CODE|PATH|request URL]",
        help="A code or its slug, a path in the spec such as services.web.timeout, or `request` and a URL; "
        "all codes if left out.",
        show_default=False,
    ),
]
Caller = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SVC",
        help="The service that asks, a gateway that is asked by its clients, or `unauthenticated`: somebody without a "
        "certificate who asks the callee's sidecar himself.",
        show_default=False,
    ),
]
Method = Annotated[str, typer.Option("-X", metavar="METHOD", help="The request's method.")]
Headers = Annotated[
    list[str] | None,
    typer.Option("-H", metavar="'NAME: VALUE'", help="A header of the request.", show_default=False),
]
Then = Annotated[
    list[str] | None,
    typer.Option(
        "--then",
        metavar="'[SVC:] [METHOD] URL'",
        help="What the application that got the request before asks because of it; several times for a path.",
        show_default=False,
    ),
]


class ExplainFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("explain", help=f"Explain: {text}")(explain)


def explain(
    *,
    words: Words = None,
    caller: Caller = None,
    method: Method = "GET",
    headers: Headers = None,
    then: Then = None,
    spec: Annotated[
        str | None,
        typer.Option("--spec", help="The spec that PATH is in, or the request is for.", show_default=False),
    ] = None,
    env: options.Environment = None,
    policies: Annotated[
        Path | None,
        typer.Option("--policies", help="A folder with policies of your own.", show_default=False),
    ] = None,
    form: Annotated[
        ExplainFormat, typer.Option("--format", help="How it is printed; mermaid: requests only.")
    ] = ExplainFormat.TEXT,
) -> int:
    """What a finding means; which value a setting has and which line says so; or what one request would do."""
    from meshctl import pipeline

    what, *more = words or (None,)
    _refuse_more(what, more)
    if what == REQUEST:
        from meshctl.cli.request import Question, RequestFormat, show

        url = more[0] if more else None
        question = Question(url, caller, method, tuple(headers or ()), tuple(then or ()))
        return show(question, options.location(spec), env, RequestFormat(form))
    if caller is not None or headers or then or form is ExplainFormat.MERMAID:
        raise UsageError(
            "`--from`, `-H`, `--then` and mermaid are for requests: `meshctl explain request URL`"
        )
    if what is not None and ("." in what or what.strip() in SECTIONS):
        _print_settings(what.strip(), options.location(spec), env, form)
        return 0
    faults = pipeline.policy_faults(policies) if policies is not None else None
    code = tell(faults) if faults is not None else 0
    rules = pipeline.rules(policies)
    chosen = rules if what is None else [_find(what, rules)]
    if form is ExplainFormat.JSON:
        document = {"schemaVersion": SCHEMA_VERSION, "rules": [_entry(each) for each in chosen]}
        sys.stdout.write(json_text(document))
    elif what is None:
        sys.stdout.writelines(f"{each.code} {each.severity:7} {each.slug}\n" for each in chosen)
    else:
        sys.stdout.writelines(_told(each) for each in chosen)
    return code


def _refuse_more(what: str | None, more: Sequence[str | None]) -> None:
    if more and what != REQUEST and nearest(what or "", [REQUEST]):
        raise UsageError(f"there is nothing called `{one_line(what or '')}`; did you mean `{REQUEST}`?")
    if len(more) > (what == REQUEST):
        raise UsageError(f"one thing at a time: `{one_line(more[-1] or '')}` is too much")


def _find(word: str, rules: Sequence[Rule]) -> Rule:
    by_name = {name.lower(): rule for rule in rules for name in (rule.code, rule.slug)}
    found = by_name.get(word.strip().lower())
    if found is None:
        close = nearest(word.lower(), by_name)
        hint = f"did you mean {_names(by_name[close])}?" if close else "`meshctl explain` lists all"
        raise UsageError(f"there is no code or slug `{one_line(word)}`; {hint}")
    return found


def _print_settings(path: str, location: str, env: str | None, form: ExplainFormat) -> None:
    from meshctl import pipeline
    from meshctl.cli.settings import as_json, as_table

    found = pipeline.settings(location, path, env)
    sys.stdout.write(as_json(path, found) if form is ExplainFormat.JSON else as_table(found))


def _names(rule: Rule) -> str:
    return f"{rule.code} {rule.slug}"


def _told(rule: Rule) -> str:
    parts = [f"{_names(rule)} ({rule.severity})", f"why: {rule.why}", f"fix: {rule.fix}"]
    if rule.fixable:
        parts.append(f"fixable: `meshctl lint --fix{_UNSAFE.get(rule.fixable, '')}`")
    if rule.source:
        parts.append(f"source: {rule.source}")
    if rule.slug in EXAMPLES:
        wrong, right = EXAMPLES[rule.slug]
        parts += [f"wrong:\n{_indented(wrong)}", f"right:\n{_indented(right)}"]
    if link := docs_link(rule.code):
        parts.append(f"docs: {link}")
    return "\n".join(parts) + "\n"


def _indented(example: str) -> str:
    return "\n".join(f"    {line}" for line in example.splitlines())


def _entry(rule: Rule) -> dict[str, object]:
    wrong, right = EXAMPLES.get(rule.slug, ("", ""))
    return {
        "code": rule.code,
        "slug": rule.slug,
        "title": rule.title,
        "severity": rule.severity.value,
        "why": rule.why,
        "fix": rule.fix,
        "source": rule.source,
        "fixable": rule.fixable,
        "example": {"wrong": wrong, "right": right} if wrong else None,
        "docs": docs_link(rule.code),
    }
