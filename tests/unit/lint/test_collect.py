"""What the rules get to know about a mesh."""

from datetime import date, timedelta

import pytest

from meshctl import pipeline
from meshctl.lint.collect import collect

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web:
    port: 80
    owner: team-web
    labels: {tier: edge}
    endpoints: [{address: 10.0.0.1}]
    calls: {catalog: {}, plain: {}}
  batch: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {catalog: {timeout: 9s, retries: {attempts: 4}}}}
  catalog:
    port: 80
    proxy: nginx
    retries: {attempts: 2, retryOn: [gateway-error]}
    endpoints:
      - {address: 10.0.1.1, zone: eu-1a}
      - {address: 10.0.1.2, zone: eu-1b}
      - {address: 10.0.1.3, zone: eu-1c, weight: 0}
    routes:
      - {name: quick, matches: [{path: {prefix: /quick}}, {path: {prefix: /fast}}], timeout: 100ms}
      - {name: slow, matches: [{path: {prefix: /slow}}], timeout: 30s}
      - {name: on, matches: [{path: {prefix: /on}}], backends: [{service: plain}], timeout: 0s}
      - {name: rest}
  plain: {port: 80, endpoints: [{address: 10.0.2.1}]}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    path.write_text(MESH, "utf-8")
    validated = pipeline.validate(str(path))
    assert validated.spec is not None
    return collect(validated.require(), validated.spec, date(2026, 1, 1))


def test_services(world):
    catalog, web = world.services["catalog"], world.services["web"]
    assert (catalog.instances, catalog.zones) == (2, ("eu-1a", "eu-1b"))
    assert (catalog.proxy, web.proxy) == ("nginx", "envoy")
    assert (web.owner, web.labels, catalog.owner, catalog.labels) == ("team-web", {"tier": "edge"}, "", {})
    assert (catalog.callers, catalog.calls) == (("batch", "web"), ())
    assert world.services["plain"].callers == ("batch", "web")
    assert web.calls == ("catalog", "plain")
    assert world.mesh.services == 4


def test_who_relies_on_the_default_timeout(world):
    # One route without a timeout is enough; batch has one for all of them.
    relying = {name: each.callers_on_default_timeout for name, each in world.services.items()}
    assert relying == {"batch": (), "catalog": ("web",), "plain": ("web",), "web": ()}


def test_calls_take_the_longest_timeout_and_the_most_retries_of_their_routes(world):
    calls = {(each.caller, each.callee): each for each in world.calls}
    assert set(calls) == {("batch", "catalog"), ("batch", "plain"), ("web", "catalog"), ("web", "plain")}
    web, batch = calls["web", "catalog"], calls["batch", "catalog"]
    assert (web.timeout, web.timeout_written) == (timedelta(seconds=30), False)
    assert (web.attempts, batch.attempts, web.retry_on) == (2, 4, ("gateway-error",))
    assert batch.timeout_written
    # Switched off is longer than anything, and the route of another service leads here too.
    assert calls["web", "plain"].timeout == timedelta()
    assert (web.timeout_at.line, web.retries_at.line) == (21, 14)


def test_places(world):
    calls = {(each.caller, each.callee): each for each in world.calls}
    assert calls["web", "plain"].source.here[1:] == (9, 26)
    assert calls["batch", "plain"].source.here[1:] == (10, 63)
    assert world.services["catalog"].source.here[1:] == (11, 3)
    routes = {(each.service, each.name, each.callers): each for each in world.routes}
    assert routes["catalog", "slow", ("web",)].source.here[1:] == (21, 9)


def test_a_route_is_there_once_for_all_callers_that_see_the_same(world):
    seen = sorted((each.service, each.name, each.callers) for each in world.routes)
    names = ("on", "quick", "rest", "slow")
    assert seen == [
        *(("catalog", name, (caller,)) for name in names for caller in ("batch", "web")),
        ("plain", "default", ("web",)),
    ]
    quick = next(each for each in world.routes if each.name == "quick" and each.callers == ("web",))
    assert (quick.timeout, quick.timeout_written, quick.attempts) == (timedelta(milliseconds=100), True, 2)


def test_streams_gateways_externals_and_answers(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text("""\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web:
    port: 80
    calls: {db: {localPort: 5432}, pay: {timeout: 2s}}
    routes:
      - {name: old, matches: [{path: {exact: /old}}], redirect: {path: {full: /new}}}
      - {name: events, matches: [{path: {exact: /events}}], streaming: true}
      - {name: rest, timeout: 1s}
  api: {port: 80}
  db: {port: 5432, protocol: tcp}
externals:
  pay: {hosts: [pay.example], port: 80, endpoints: [{address: 192.0.2.1}]}
gateways:
  edge: {port: 8080, calls: {web: {}, api: {}}, routes: [{name: w, backends: [{service: web}]}, {name: a, matches: [{path: {prefix: /a}}], backends: [{service: api}]}]}
""")
    validated = pipeline.validate(str(path))
    assert validated.spec is not None
    world = collect(validated.require(), validated.spec, date(2026, 1, 1))
    assert {(each.caller, each.callee, each.protocol) for each in world.calls} == {
        ("edge", "api", "http"),
        ("edge", "web", "http"),
        ("web", "db", "tcp"),
        ("web", "pay", "http"),
    }
    assert all(each.source.here for each in world.calls)
    assert world.services.keys() == {"api", "db", "web"}
    # What `web` says of its own routes is for callers that take them; the gateway has routes of its own.
    relying = {name: each.callers_on_default_timeout for name, each in world.services.items()}
    assert relying == {"api": ("edge",), "db": (), "web": ("edge",)}
    assert {(each.service, each.name) for each in world.routes} == {
        ("edge", "a"),
        ("edge", "w"),
        ("pay", "default"),
    }


def test_a_service_that_only_calls_and_how_one_is_called(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text("""\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  job: {calls: {web: {}}}
  web:
    port: 80
    mtls: {mode: permissive, until: 2026-01-11}
    endpoints: [{address: 10.0.0.1, zone: a, weight: 3}, {address: 10.0.0.2, zone: b}, {address: 10.0.0.3, zone: c, weight: 0}]
    allow: [{from: ["*"], methods: [GET]}, {from: [job]}]
    circuitBreaker: {maxRequests: 10}
    routes:
      - name: a
        matches: [{path: {exact: /a}, methods: [GET]}, {path: {regex: "/b+"}, headers: {X-A: {present: true}}, query: {q: ""}}]
        retries: {attempts: 2, retryOn: [5xx, 429], perTryTimeout: 1s, backoff: {base: 1s, max: 1500ms}, nonIdempotent: true}
""")
    validated = pipeline.validate(str(path), today=date(2026, 1, 1))
    assert validated.spec is not None
    world = collect(validated.require(), validated.spec, date(2026, 1, 1))
    web, job = world.services["web"], world.services["job"]
    assert (web.mtls, web.permissive_until, web.permissive_days) == ("permissive", "2026-01-11", 10)
    assert (web.wildcard_rules, web.open_to_anyone, job.mtls) == (("GET of every path",), False, "strict")
    assert (web.capacity, web.zones, web.callers_on_default_breaker) == (
        {"a": "75", "b": "25"},
        ("a", "b"),
        (),
    )
    (route,) = world.routes
    assert (route.retry_on, route.retries_answers, route.retries_non_idempotent) == (
        ("5xx", "429"),
        True,
        True,
    )
    assert (route.retries_bounded, route.backoff_written) == (True, True)
    # Three tries of 1s, with pauses of up to 1s and 1.5s.
    assert (route.per_try_timeout, route.longest) == (timedelta(seconds=1), timedelta(seconds=5.5))
    assert (route.methods, route.smallest_pool, route.guarded) == ((), 2, False)
    first, second = world.matches
    assert (first.path, first.methods, first.headers) == ("exact /a", ("GET",), {})
    assert (second.path, second.headers, second.query) == ("regex /b+", {"x-a": "present"}, {"q": "exact "})
    places = [each.source.here for each in world.matches if each.source is not None]
    assert [at[1:] for at in places if at is not None] == [(13, 19), (13, 56)]
