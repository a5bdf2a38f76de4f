"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import grpc, quoting
from meshctl.targets.haproxy.model import Action
from meshctl.targets.haproxy.quoting import Sample, Token

_REQUEST = Token("http-request")
_RESPONSE = Token("http-after-response")
_ANSWERED = Token("{ var(txn.answered) -m bool }")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_BODILESS = (204, 205, 304)
_HOST_PORT = Sample("req.fhdr(host),port_only")


def changes_prefix(route: ir.Route) -> bool:
    """Whether it depends on the matched prefix what becomes of a request."""
    redirect = isinstance(route.answer, ir.Redirect) and route.answer.prefix
    return bool(redirect or (route.rewrite and route.rewrite.prefix))


def changes_answers(route: ir.Route) -> bool:
    """Whether it must be known who gave an answer: only a callee's and the route's own are changed."""
    return bool(route.response_headers)


def actions(route: ir.Route, listener: ir.OutboundListener) -> tuple[Action, ...]:
    """In the order of the contract: an answer, path and host, then headers."""
    return (
        *_answer(route, listener),
        *(_rewrite(route.rewrite, route) if route.rewrite else ()),
        *_headers(_REQUEST, route.request_headers, None),
        *_headers(_RESPONSE, route.response_headers, _ANSWERED),
    )


def _answer(route: ir.Route, listener: ir.OutboundListener) -> Iterator[Action]:
    if route.answer is None:
        return
    if changes_answers(route) or grpc.shapes_answers(listener):
        yield Action(_REQUEST, Token("set-var(txn.answered) bool(true)"))
    match route.answer:
        case ir.Redirect():
            yield from _redirect(route.answer, route, listener)
        case ir.DirectResponse(status, body):
            content = quoting.statement(Token("content-type text/plain string"), quoting.text(body))
            says = (content,) if body and status not in _BODILESS else ()
            yield Action(_REQUEST, quoting.statement(Token("return status"), status, *says))
        case _:
            assert_never(route.answer)


def _redirect(redirect: ir.Redirect, route: ir.Route, listener: ir.OutboundListener) -> Iterator[Action]:
    scheme = redirect.scheme or ("https" if listener.tls else "http")
    default = _DEFAULT_PORTS[scheme]
    hostname = redirect.hostname or Sample("var(txn.name)")
    port: str | Sample = ""
    if redirect.port:
        port = f":{redirect.port}" if redirect.port != default else ""
    elif not redirect.scheme:
        port = Sample("var(txn.port,)")
        yield from _ports(listener, default)
    location = quoting.format_of(f"{scheme}://", hostname, port, *_target(redirect, route))
    yield Action(
        _REQUEST, quoting.statement(Token("return status"), redirect.status, Token("hdr location"), location)
    )


def _ports(listener: ir.OutboundListener, default: int) -> Iterator[Action]:
    """With its colon, the port that the client used, unless it is the scheme's own."""
    if not listener.domain and listener.bind.port != default:
        own = quoting.string(f":{listener.bind.port}")
        yield Action(_REQUEST, quoting.statement(Token("set-var(txn.port)"), own))
    named = Token("{ req.fhdr(host) -m reg -- :[0-9]+$ }")
    yield Action(_REQUEST, Token("unset-var(txn.port)"), named)
    shown = quoting.statement(Token("set-var-fmt(txn.port)"), quoting.format_of(":", _HOST_PORT))
    yield Action(_REQUEST, shown, Token(f"{named} !{{ {_HOST_PORT.expression} -m int {default} }}"))


def _target(change: ir.Redirect | ir.Rewrite, route: ir.Route) -> tuple[str | Sample, ...]:
    """Path and query after the change."""
    if change.path:
        # The query with its question mark, which nothing before it can contain.
        return (change.path, Sample(r'pathq,regsub("^[^?]*","")'))
    if not change.prefix:
        return (Sample("pathq"),)
    seen = len(route.match.path.value.rstrip("/"))
    start = change.prefix.rstrip("/")
    return (start, Sample(f"pathq,bytes({seen}){'' if start else ',regsub(^/?,/)'}"))


def _rewrite(rewrite: ir.Rewrite, route: ir.Route) -> Iterator[Action]:
    if rewrite.path or rewrite.prefix:
        target = quoting.format_of(*_target(rewrite, route))
        yield Action(_REQUEST, quoting.statement(Token("set-pathq"), target))
    if rewrite.hostname:
        host = quoting.literal_format(rewrite.hostname)
        yield Action(_REQUEST, quoting.statement(Token("set-header host"), host))


def _headers(when: Token, changes: ir.HeaderChanges, condition: Token | None) -> Iterator[Action]:
    for name in changes.remove:
        yield Action(when, quoting.statement(Token("del-header"), quoting.word(name)), condition)
    for verb, lines in (("set-header", changes.set), ("add-header", changes.add)):
        for name, value in lines:
            does = quoting.statement(Token(verb), quoting.word(name), quoting.literal_format(value))
            yield Action(when, does, condition)
