"""A call path: the products of tries, what is under way until when, who decides where it ends, and who asks on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshctl import simulate
from meshctl.diagnostics import UsageError
from meshctl.simulate import Asked, Reach
from tests.unit.resolve.specs import resolved

SPEC = """
services:
  web:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    calls: {shop: {}, split: {}, fast: {timeout: 300ms}, stripe: {}, deaf: {}, twice: {}}
  shop:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    calls: {stock: {}, slow: {}, web: {}, endless: {}}
    timeout: 2s
    retries: {attempts: 2, retryOn: [gateway-error], perTryTimeout: 500ms}
  stock:
    port: 80
    endpoints: [{address: 10.0.0.3}]
    calls: {bank: {}}
    timeout: 400ms
    retries: {attempts: 1, retryOn: [5xx]}
    routes:
      - {name: gone, matches: [{path: {exact: /gone}}], respond: {status: 410}}
      - {name: vip, matches: [{headers: {X-Vip: "1"}}]}
      - {name: rest}
  bank:
    port: 80
    endpoints: [{address: 10.0.0.4}]
    timeout: 100ms
    retries: {attempts: 4, retryOn: [connect-failure]}
  slow: {port: 80, endpoints: [{address: 10.0.0.5}], timeout: 1s, calls: {stock: {}}}
  endless: {port: 80, endpoints: [{address: 10.0.0.6}], timeout: 0s}
  fast: {port: 80, endpoints: [{address: 10.0.0.7}], calls: {slow: {}}}
  split:
    port: 80
    endpoints: [{address: 10.0.0.8, subset: v1}, {address: 10.0.0.9, subset: v2}]
    calls: {bank: {}}
    routes:
      - {name: two, matches: [{path: {prefix: /two}}], backends: [{subset: v1}, {service: shop}], mirror: [{service: stock}]}
      - {name: rest, backends: [{subset: v1}, {subset: v2}]}
  deaf: {port: 80, endpoints: [{address: 10.0.0.10}], calls: {bank: {}}, deny: [{from: [web]}]}
  twice:
    port: 80
    endpoints: [{address: 10.0.0.11}]
    calls: {stock: {}}
    retries: {attempts: 2, retryOn: [429]}
externals:
  stripe: {hosts: [api.stripe.com], port: 443, tls: {}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    return resolved(tmp_path_factory.mktemp("spec"), SPEC, ", resolvers: [127.0.0.53:53]")


def path_of(mesh, first, *then, method="GET"):
    further = [each if isinstance(each, Asked) else Asked(method, each) for each in then]
    return simulate.explain_path(mesh, "web", Asked(method, first), further)


@pytest.mark.parametrize(
    ("method", "urls", "expected"),
    [
        ("GET", ["http://shop/"], [(1, 3, 3)]),
        ("POST", ["http://shop/"], [(1, 1, 1)]),
        ("GET", ["http://shop/", "http://stock/", "http://bank/"], [(1, 3, 3), (3, 6, 6), (6, 30, 6)]),
        ("POST", ["http://shop/", "http://stock/", "http://bank/"], [(1, 1, 1), (1, 1, 1), (1, 5, 1)]),
        ("GET", ["http://shop/", "http://stock/gone"], [(1, 3, 3), (3, 0, 0)]),
        ("GET", ["http://twice/", "http://stock/"], [(1, 3, 3), (3, 6, 6)]),
        ("GET", ["http://shop/", "http://web/", "http://shop/"], [(1, 3, 3), (3, 6, 3), (3, 9, 9)]),
        ("GET", ["http://deaf/", "http://bank/"], [(1, 2, 0)]),
    ],
)
def test_tries_multiply_where_applications_see_them(mesh, method, urls, expected):
    found = path_of(mesh, *urls, method=method)
    assert found.reaches == tuple(Reach(*each) for each in expected)


@pytest.mark.parametrize(
    ("urls", "inversions", "goes_on"),
    [
        (["http://shop/", "http://stock/", "http://bank/"], [], 2000 + 400 + 100),
        (["http://shop/", "http://slow/"], [(0, 1, 500, 1000)], 2000 + 1000),
        (["http://fast/", "http://slow/"], [(0, 1, 300, 1000)], 300 + 1000),
        (
            ["http://fast/", "http://slow/", "http://stock/"],
            [(0, 1, 300, 1000), (0, 2, 300, 400)],
            300 + 1000 + 400,
        ),
        (["http://shop/", "http://endless/"], [(0, 1, 500, None)], None),
        (["http://shop/", "http://stock/gone"], [], 2000),
    ],
)
def test_who_waits_longer_than_those_above(mesh, urls, inversions, goes_on):
    found = path_of(mesh, *urls)
    milliseconds = timedelta(milliseconds=1)
    told = [
        (each.outer, each.inner, each.patience // milliseconds, each.limit and each.limit // milliseconds)
        for each in found.inversions
    ]
    assert told == inversions
    assert found.goes_on == (None if goes_on is None else goes_on * milliseconds)


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (["http://shop/"], "requests: `shop` gets at most 3 for 1 of `web`: 3 tries"),
        (["http://shop/", "http://stock/"], "requests: `stock` gets at most 6: 3 x 2"),
        (["http://split/two"], "requests: `split` or `shop` gets at most 1 for 1 of `web`: 1 try (what"),
        (["http://shop/", "http://slow/"], "budget: `web` ends a try at `shop` after 500ms,"),
        (["http://shop/", "http://slow/"], "budget: but `shop` may wait for `slow` up to 1s: the timeout"),
        (["http://fast/", "http://slow/"], "budget: `web` gives up on `fast` after 300ms,"),
        (["http://shop/", "http://endless/"], "budget: but `shop` may wait for `endless` longer: no limit"),
        (["http://shop/", "http://endless/"], "time: nothing says until when what is below may go on"),
        (["http://shop/", "http://stock/"], "budget: nobody waits longer than those above wait for him"),
        (
            ["http://shop/", "http://stock/gone"],
            "end: call 2 is answered by a sidecar, 410: route `gone` ans",
        ),
        (["http://shop/", "http://stock/gone"], "end: what `web` gets is what `shop` makes of that"),
        (["http://deaf/", "http://bank/"], "end: call 1 is answered by a sidecar, 403: `deaf` does not let"),
        (["http://deaf/", "http://bank/"], "end: never asked: GET http://bank/"),
        (["http://bank/", "http://bank/"], "end: call 1 is answered by a sidecar, 403: `web` does not call"),
        (["http://shop/", "http://stock/"], "headers: traceparent, tracestate, x-request-id: on the next"),
    ],
)
def test_what_is_told_of_the_whole_path(mesh, urls, words):
    told = [f"{each.topic}: {each.text}" for each in path_of(mesh, *urls).steps]
    assert [each for each in told if each.startswith(words)], told


def test_correlation_is_told_once_and_of_one_call_not_at_all(mesh):
    assert not [each for each in path_of(mesh, "http://shop/").steps if each.topic == "headers"]
    steps = path_of(mesh, "http://shop/", "http://stock/", "http://bank/").steps
    assert len([each for each in steps if each.topic == "headers"]) == 1


@pytest.mark.parametrize(("sent", "count"), [((), 1), ((("x-vip", "1"),), 0)])
def test_a_header_that_routes_look_at_and_nobody_passes_on_is_told(mesh, sent, count):
    first = Asked("GET", "http://shop/", (("x-VIP", "1"), ("x-other", "1")))
    found = simulate.explain_path(mesh, "web", first, [Asked("GET", "http://stock/", sent)])
    told = [each.text for each in found.steps if each.text.startswith("x-")]
    assert told == ["x-vip: routes of `stock` look at it, and `shop` does not send it"] * count


def test_who_asks_on_is_who_got_the_request(mesh):
    found = path_of(mesh, "http://split/", "http://bank/")
    assert [each.sidecar.service for each in found.calls] == ["web", "split"]
    named = path_of(mesh, "http://split/two", Asked("GET", "http://stock/", by="shop"))
    assert [each.sidecar.service for each in named.calls] == ["web", "shop"]


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (
            "http://split/two",
            Asked("GET", "http://bank/"),
            "may come to `split` or `shop`: say who asks on, such",
        ),
        (
            "http://split/two",
            Asked("GET", "http://bank/", by="stock"),
            "`stock` does not get `GET http://split",
        ),
        (
            "http://shop/",
            Asked("GET", "http://bank/", by="nobody"),
            "`nobody` does not get `GET http://shop/`",
        ),
        ("http://api.stripe.com/", Asked("GET", "http://bank/"), "`stripe` is outside of the mesh"),
        ("http://shop/", Asked("GET", "bank"), "`bank` is not a URL"),
    ],
)
def test_a_path_that_is_not_clear_is_refused(mesh, first, then, words):
    with pytest.raises(UsageError) as refused:
        path_of(mesh, first, then)
    assert words in str(refused.value)


def test_a_path_has_an_end(mesh):
    rounds = ["http://web/", "http://shop/"] * 15
    assert len(path_of(mesh, "http://shop/", *rounds).calls) == 31
    with pytest.raises(UsageError, match="at most 32 calls, not 33"):
        path_of(mesh, "http://shop/", *rounds, *rounds[:2])
