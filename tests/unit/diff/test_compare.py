"""What a change of a spec means, as a tree: each row changes the base mesh in one way."""

import pytest

from meshctl import pipeline
from meshctl.artifacts import Artifact
from meshctl.diff import Change, Sign, compare, compare_artifacts, for_people, merge_alike

BASE = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  orders: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {catalog: {timeout: 9s}}}
  catalog:
    port: 80
    timeout: 3s
    endpoints:
      - {address: 10.0.1.1, subset: v1}
      - {address: 10.0.1.2, subset: v2, weight: 2}
    routes:
      - name: beta
        matches: [{path: {prefix: /v2}, methods: [GET]}]
        backends: [{subset: v1, weight: 9}, {subset: v2, weight: 1}]
      - {name: rest}
"""


@pytest.fixture
def mesh(tmp_path):
    def resolve(text):
        (tmp_path / "mesh.yaml").write_text(text, "utf-8")
        return pipeline.validate(str(tmp_path / "mesh.yaml")).require()

    return resolve


def lines(changes, indent=""):
    for each in changes:
        values = " -> ".join(filter(None, (each.before, each.after)))
        told = f": {values}" if values else ""
        sign = {"added": "+", "removed": "-", "changed": "~"}[each.sign]
        yield f"{indent}{sign} {each.what} {each.name}".rstrip() + told
        yield from lines(each.changes, indent + "  ")


def in_catalog(*expected):
    return ["~ service catalog", *(f"  {each}" for each in expected)]


def test_whether_revocation_lists_are_looked_into_is_told(mesh):
    before, after = mesh(BASE), mesh(BASE.replace("shop.example}", "shop.example, mtls: {crl: true}}"))
    assert list(lines(compare(before, after).changes)) == ["~ mesh shop", "  ~ revocation lists: off -> on"]
    assert list(lines(compare(after, before).changes)) == ["~ mesh shop", "  ~ revocation lists: on -> off"]


@pytest.mark.parametrize(
    ("old", "new", "expected", "sidecars"),
    [
        (
            "timeout: 3s\n",
            (
                "timeout: 3s\n    rateLimit: {requests: 10, per: 1s, key: caller}\n    outlierDetection: {interval: 5s}\n"
                "    healthCheck: {http: {path: /h}}\n    circuitBreaker: {maxPendingRequests: 5, maxRetries: 6}\n"
                "    loadBalancing: {policy: ring-hash, hashOn: {cookie: Who}}\n"
            ),
            in_catalog(
                "~ rate limit: off -> 10 of each caller in 1s, 10 at once",
                *(
                    f"~ {what} {subset}".rstrip() + f": {change}"
                    for subset in ("", "v1", "v2")
                    for what, change in (
                        ("balancing", "round-robin -> ring-hash on cookie Who"),
                        (
                            "outlier detection",
                            "off -> 5 errors in a row eject for 30s, 50% at most, looked at every 5s",
                        ),
                        ("health check", "off -> GET /h every 10s for at most 1s, out after 3, back after 2"),
                        ("max pending requests", "nobody waits -> 5"),
                        ("max retries", "as max requests -> 6"),
                    )
                ),
            ),
            "~catalog ~orders ~web",
        ),
        (
            "      - {name: rest}",
            (
                "      - {name: rest, mirror: [{subset: v1, percent: 5%}, {service: orders}], "
                "fault: {delay: {duration: 1s}, abort: {status: 503, percent: 0.5%}}}"
            ),
            [
                "~ service catalog",
                "  ~ route rest",
                "    + mirror orders: 100%",
                "    + mirror v1: 5%",
                "    ~ fault: none -> delay 1s, abort 503 for 0.5%",
                "~ service orders",
                "  + caller orders",
                "  + caller web",
            ],
            "~orders ~web",
        ),
        (
            "weight: 9}, {subset: v2, weight: 1}",
            "weight: 8}, {subset: v2, weight: 2}",
            in_catalog("~ route beta", "  ~ weight v1: 90% -> 80%", "  ~ weight v2: 10% -> 20%"),
            "~orders ~web",
        ),
        (
            "weight: 9}, {subset: v2, weight: 1}",
            "weight: 99999}, {service: web, weight: 1}",
            [
                *in_catalog(
                    "~ route beta",
                    "  ~ weight v1: 90% -> >99.99%",
                    "  - weight v2: 10%",
                    "  + weight web: <0.01%",
                ),
                "~ service web",
                "  + caller orders",
                "  + caller web",
            ],
            "~orders ~web",
        ),
        (
            "    timeout: 3s\n",
            "    timeout: 2s\n",
            in_catalog(
                "~ as seen by web",
                "  ~ route beta",
                "    ~ timeout: 3s -> 2s",
                "  ~ route rest",
                "    ~ timeout: 3s -> 2s",
            ),
            "~web",
        ),
        (
            "    timeout: 3s\n",
            "",
            in_catalog(
                "~ as seen by web",
                "  ~ route beta",
                "    ~ timeout: 3s -> 15s (default)",
                "  ~ route rest",
                "    ~ timeout: 3s -> 15s (default)",
            ),
            "~web",
        ),
        (
            "- {name: rest}",
            "- {name: rest, retries: {attempts: 2, retryOn: [gateway-error]}}",
            in_catalog(
                "~ route rest",
                "  ~ retries: 1 on connect-failure, refused-stream (default) -> 2 on gateway-error",
            ),
            "~orders ~web",
        ),
        (
            "methods: [GET]",
            "methods: [GET, PUT], headers: {x-a: b}",
            in_catalog("~ route beta", "  ~ match: GET /v2/… -> GET/PUT /v2/… x-a: b"),
            "~orders ~web",
        ),
        (
            "methods: [GET]}]",
            "methods: [GET]}, {path: {exact: /x}}]",
            in_catalog("~ route beta", "  + match /x"),
            "~orders ~web",
        ),
        (
            "      - {name: rest}\n",
            "      - {name: rest}\n      - {name: more, matches: [{path: {exact: /more}}], backends: [{subset: v1}]}\n",
            in_catalog(
                "~ as seen by orders",
                "  + route more: /more to v1 100%, timeout 9s",
                "~ as seen by web",
                "  + route more: /more to v1 100%, timeout 3s",
            ),
            "~orders ~web",
        ),
        (
            "      - {name: rest}\n",
            "",
            in_catalog(
                "~ as seen by orders",
                "  - route rest: /… to catalog 100%, timeout 9s",
                "~ as seen by web",
                "  - route rest: /… to catalog 100%, timeout 3s",
            ),
            "~orders ~web",
        ),
        (
            "    timeout: 3s\n",
            "    timeout: 3s\n    routeOrder: listed\n",
            [],
            "",
        ),
        (
            "10.0.1.2, subset: v2, weight: 2",
            "10.0.1.3, subset: v2, weight: 2",
            in_catalog(
                "- endpoint 10.0.1.2:15006",
                "+ endpoint 10.0.1.3:15006",
                "- endpoint 10.0.1.2:15006 (v2)",
                "+ endpoint 10.0.1.3:15006 (v2)",
            ),
            "~orders ~web",
        ),
        (
            "subset: v2, weight: 2",
            "subset: v2, weight: 3",
            in_catalog("~ endpoint weight 10.0.1.2:15006: 2 -> 3"),
            "~orders ~web",
        ),
        (
            "catalog: {timeout: 9s}",
            "catalog: {timeout: 9s}, web: {}",
            ["~ service web", "  + caller orders"],
            "~orders ~web",
        ),
        ("calls: {catalog: {}}}", "calls: {}}", in_catalog("- caller web"), "~catalog ~web"),
        (
            "  catalog:\n    port: 80",
            "  catalog:\n    proxy: nginx\n    port: 80",
            in_catalog("~ proxy: envoy -> nginx"),
            "~catalog",
        ),
        (
            "  catalog:\n    port: 80",
            "  catalog:\n    port: 81",
            in_catalog("~ listener application: 127.0.0.1:80 -> 127.0.0.1:81"),
            "~catalog",
        ),
        (
            "    timeout: 3s\n",
            "    timeout: 3s\n    connectTimeout: 2s\n",
            in_catalog(
                "~ application connect timeout: 1s -> 2s",
                "~ connect timeout: 1s -> 2s",
                "~ connect timeout v1: 1s -> 2s",
                "~ connect timeout v2: 1s -> 2s",
            ),
            "~catalog ~orders ~web",
        ),
        (
            "  catalog:\n",
            "  new: {port: 80, endpoints: [{address: 10.0.3.1}], calls: {web: {}}}\n  catalog:\n",
            ["+ service new", "~ service web", "  + caller new"],
            "+new ~web",
        ),
        (
            "  orders: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {catalog: {timeout: 9s}}}\n",
            "",
            [*in_catalog("- caller orders"), "- service orders"],
            "~catalog -orders",
        ),
        (
            "trustDomain: shop.example}",
            "trustDomain: shop.example, certificates: {lifetime: 20d}}",
            ["~ mesh shop", "  ~ certificate lifetime: 30d -> 20d"],
            "",
        ),
        (
            "trustDomain: shop.example}",
            "trustDomain: shop.example, metrics: {format: prometheus}}",
            ["~ mesh shop", "  ~ metrics: off -> on"],
            "~catalog ~orders ~web",
        ),
        (
            "trustDomain: shop.example}",
            'trustDomain: shop.example, tracing: {otlp: "[::1]:4317", sampling: 2.5%}}',
            ["~ mesh shop", "  ~ tracing: off -> 2.5% to [::1]:4317"],
            "~catalog ~orders ~web",
        ),
        (
            "trustDomain: shop.example}",
            "trustDomain: shop.example, accessLog: {sampling: 2.5%}}",
            ["~ mesh shop", "  ~ access log: on -> on, 2.5% of what went well"],
            "~catalog ~orders ~web",
        ),
        ("services:\n", "# a comment\nservices:\n", [], ""),
    ],
)
def test_a_change_is_told(mesh, old, new, expected, sidecars):
    assert old in BASE
    before, after = mesh(BASE), mesh(BASE.replace(old, new, 1))
    compared = compare(before, after)
    assert list(lines(compared.changes)) == expected
    signs = {"added": "+", "removed": "-", "changed": "~"}
    assert " ".join(f"{signs[each.sign]}{each.name}" for each in compared.sidecars) == sidecars
    assert compared.differs == bool(expected)


def test_the_order_of_routes_counts_where_it_is_listed(mesh):
    listed = BASE.replace("    timeout: 3s\n", "    timeout: 3s\n    routeOrder: listed\n")
    lines_of_routes = listed.index("      - name: beta")
    swapped = f"{listed[:lines_of_routes]}      - {{name: rest}}\n{listed[lines_of_routes:]}"
    swapped = swapped[: swapped.rindex("      - {name: rest}")]
    compared = compare(mesh(listed), mesh(swapped))
    assert list(lines(compared.changes)) == in_catalog("~ order of routes: beta rest -> rest beta")


def test_another_layout_is_no_change(mesh, tmp_path):
    before = mesh(BASE)
    (tmp_path / "mesh.yaml").unlink()
    top, _, services = BASE.partition("services:\n")
    web, catalog = services.index("  web:"), services.index("  catalog:")
    (tmp_path / "a.yaml").write_text(f"services:\n{services[catalog:]}", "utf-8")
    (tmp_path / "b.yaml").write_text(f"services:\n{services[web:catalog]}{top}", "utf-8")
    after = pipeline.validate(str(tmp_path)).require()
    assert not compare(before, after).differs


def test_weights_that_only_look_different_are_no_change(mesh):
    three = "address: 10.0.1.2, weight: 2}\n      - {address: 10.0.1.3, weight: 4}\n      - {address: 10.0.1.4, weight: 1"
    two = "address: 10.0.1.2, weight: 2}\n      - {address: 10.0.1.3, weight: 4"
    base = BASE.replace("      - {address: 10.0.1.1, subset: v1}\n", "").partition("    routes:")[0]
    before = mesh(base.replace("address: 10.0.1.2, subset: v2, weight: 2", three))
    after = mesh(base.replace("address: 10.0.1.2, subset: v2, weight: 2", two))
    assert list(lines(compare(before, after).changes)) == in_catalog("- endpoint 10.0.1.4:15006")


def test_reach_is_told_in_pairs(mesh):
    after = BASE.replace("calls: {catalog: {}}}", "calls: {orders: {}}}")
    compared = compare(mesh(BASE), mesh(after))
    assert compared.reach_added == (("web", "orders"),)
    assert compared.reach_removed == (("web", "catalog"),)


def test_files_are_compared_line_by_line():
    before = [
        Artifact("a", b"1\n2\n"),
        Artifact("b", b"x\n"),
        Artifact("run", b"r\n"),
        Artifact("same", b"s"),
    ]
    after = [
        Artifact("a", b"1\n3\n"),
        Artifact("c", b"\xff\n"),
        Artifact("run", b"r\n", executable=True),
        Artifact("same", b"s"),
    ]
    a, b, c, run = compare_artifacts(before, after)
    assert a.lines == ("--- a/a", "+++ b/a", "@@ -1,2 +1,2 @@", " 1", "-2", "+3")
    assert (b.sign, b.lines[1]) == ("removed", "+++ /dev/null")
    assert (c.sign, c.lines[-1]) == ("added", "+\\xff")
    assert run.lines == ("run is executable now",)


ZONES = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}], calls: {catalog: {}}}
  catalog: {port: 80, endpoints: [{address: 10.0.1.1, zone: a}, {address: 10.0.1.2, zone: b}]%s}
"""


def test_levels_are_told_for_each_bundle_that_sees_them(mesh):
    found = compare(mesh(ZONES % ""), mesh(ZONES % ", locality: {preferSameZone: true}"))
    assert list(lines(found.changes)) == [
        *in_catalog(
            "~ as seen by web/zone-a",
            "  ~ endpoint level 10.0.1.2:15006: 0 -> 1",
            "~ as seen by web/zone-b",
            "  ~ endpoint level 10.0.1.1:15006: 0 -> 1",
        ),
        "~ service web",
        "  ~ bundles: one for all endpoints -> zone-a, zone-b",
    ]
    assert [f"{each.sign} {each.name}" for each in found.sidecars] == [
        "removed web",
        "added web/zone-a",
        "added web/zone-b",
    ]
    back = compare(mesh(ZONES % ", locality: {preferSameZone: true}"), mesh(ZONES % ""))
    assert list(lines(back.changes)) == [
        *in_catalog("~ endpoint level 10.0.1.2:15006: 1 -> 0"),
        "~ service web",
        "  ~ bundles: zone-a, zone-b -> one for all endpoints",
    ]


def test_a_bundle_that_is_new_beside_others_saw_nothing_before(mesh):
    zones = ZONES % ", locality: {preferSameZone: true}"
    third = "{address: 10.0.0.2, zone: b}, {address: 10.0.0.3, zone: c}"
    more = zones.replace("{address: 10.0.0.2, zone: b}", third)
    for before, after, sign in ((zones, more, "+"), (more, zones, "-")):
        told = list(lines(compare(mesh(before), mesh(after)).changes))
        assert told == ["~ service web", f"  {sign} bundle zone-c"]


def test_what_all_callers_see_alike_stands_alone_beside_what_some_see(mesh):
    before = mesh(BASE)
    after = mesh(BASE.replace("timeout: 3s\n", "timeout: 4s\n    loadBalancing: {policy: random}\n"))
    assert list(lines(compare(before, after).changes)) == in_catalog(
        "~ balancing: round-robin -> random",
        "~ balancing v1: round-robin -> random",
        "~ balancing v2: round-robin -> random",
        "~ as seen by web",
        "  ~ route beta",
        "    ~ timeout: 3s -> 4s",
        "  ~ route rest",
        "    ~ timeout: 3s -> 4s",
    )


PORTS = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, bind: endpoint, admin: {port: %d}%s}
services:
  web: {port: 80, endpoints: [{address: 127.94.0.1}, {address: 127.94.0.2}, {address: 127.94.0.3}]}
  orders: {port: 80, endpoints: [{address: 127.94.1.1}, {address: 127.94.1.2}]}
  stock: {port: 80, endpoints: [{address: 127.94.2.1}]}
"""
NAMES = "orders, stock, web"


def test_for_people_a_port_that_changes_at_every_instance_is_told_once(mesh):
    one, other = mesh(PORTS % (15000, "")), mesh(PORTS % (16000, ", health: {port: 15090}"))
    three = ("of 3 services", NAMES)
    for before, after, sign, expected in (
        (one, other, Sign.ADDED, ("port 15000", "port 16000")),
        (other, one, Sign.REMOVED, ("port 16000", "port 15000")),
    ):
        told = for_people(compare(before, after).changes)
        assert [(each.sign, each.what, each.name, each.of) for each in told] == [
            (Sign.CHANGED, "listener admin", *three),
            (sign, "listener health", *three),
        ]
        assert (told[0].before, told[0].after) == expected
        assert (told[1].before or told[1].after).startswith("port 15090")


def test_for_people_instances_of_one_service_are_told_together_and_other_addresses_each(mesh):
    one, other = (mesh(PORTS.partition("  orders")[0] % (port, "")) for port in (15000, 16000))
    (web,) = for_people(compare(one, other).changes)
    assert [each.name.count(",") for each in web.changes] == [2]
    assert list(lines(web.changes[0].changes)) == ["~ listener admin: port 15000 -> port 16000"]
    moved = tuple(
        Change(Sign.CHANGED, "listener", "admin", f"10.0.0.{each}:1", f"10.0.1.{each}:1") for each in range(4)
    )
    service = Change(Sign.CHANGED, "service", "web", changes=moved)
    assert for_people((service,)) == (service,)


def test_for_people_equal_changes_of_several_parts_are_one(mesh):
    after = BASE.replace("timeout: 3s\n", "timeout: 4s\n    loadBalancing: {policy: random}\n")
    (catalog,) = compare(mesh(BASE), mesh(after)).changes
    assert list(lines(merge_alike(catalog.changes))) == [
        "~ balancing: round-robin -> random",
        "~ as seen by web",
        "  ~ route beta, rest",
        "    ~ timeout: 3s -> 4s",
    ]
    assert merge_alike(catalog.changes)[0].of == "with v1, v2"
    came = (Change(Sign.ADDED, "caller", "a"), Change(Sign.ADDED, "caller", "b"))
    assert merge_alike(came) == came


BACKENDS = "backends: [{subset: v1, weight: 9}, {subset: v2, weight: 1}]"


@pytest.mark.parametrize(
    ("edits", "meaning"),
    [
        ({"weight: 9}, {subset: v2, weight: 1}": "weight: 8}, {subset: v2, weight: 2}"}, "10% of GET /v2/… moves from v1 to v2"),
        ({BACKENDS: "backends: [{subset: v2}]"}, "90% of GET /v2/… moves from v1 to v2"),
        ({BACKENDS: "backends: [{subset: v1, weight: 8}, {subset: v2, weight: 1}, {service: web, weight: 1}]"}, "10% of GET /v2/… moves from v1 to web"),
        ({BACKENDS: f"bodyTimeout: 1s\n        {BACKENDS}"}, ""),
        ({"weight: 9}": "weight: 8}", "methods: [GET]": "methods: [PUT]"}, ""),
    ],
)  # fmt: skip
def test_a_share_that_moves_is_told_with_the_requests_it_is_of(mesh, edits, meaning):
    after = BASE
    for old, new in edits.items():
        assert old in after
        after = after.replace(old, new)
    (catalog, *_) = compare(mesh(BASE), mesh(after)).changes
    (beta,) = (each for each in catalog.changes if each.name == "beta")
    assert beta.meaning == meaning
    assert beta.of == ("PUT /v2/…" if "PUT" in after else "GET /v2/…")


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ("", "10% of all requests moves from v1 to v2"),
        ('matches: [{path: {prefix: /a}, headers: {x-beta: "1"}}], ', "10% of /a/… moves from v1 to v2, for callers with x-beta: 1"),
        ('matches: [{headers: {x-beta: {present: true}}, query: {q: "1"}}], ', "10% of requests moves from v1 to v2, for callers with x-beta and ?q=1"),
        ("matches: [{path: {exact: /a}}, {path: {exact: /b}}], ", "10% of /a or /b moves from v1 to v2"),
    ],
)  # fmt: skip
def test_the_match_of_a_share_is_told_where_it_matters(mesh, match, told):
    before, after = (
        BASE.replace(
            "{name: rest}",
            f"{{name: rest, {match}backends: [{{subset: v1, weight: {weight}}}, {{subset: v2, weight: {100 - weight}}}]}}",
        )
        for weight in (60, 50)
    )
    (catalog,) = compare(mesh(before), mesh(after)).changes
    assert [each.meaning for each in catalog.changes] == [told]


def test_a_route_with_another_name_is_not_another_route(mesh):
    renamed = BASE.replace("{name: rest}", "{name: other}")
    (catalog,) = compare(mesh(BASE), mesh(renamed)).changes
    assert [(each.sign, each.before, each.after) for each in catalog.changes] == [
        ("renamed", "rest", "other")
    ]
    changed = renamed.replace("{name: other}", "{name: other, bodyTimeout: 4s}")
    (catalog,) = compare(mesh(BASE), mesh(changed)).changes
    signs = {each.sign.value for one in catalog.changes for each in one.changes}
    assert signs == {"added", "removed"}
