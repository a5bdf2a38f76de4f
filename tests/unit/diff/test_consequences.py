"""What follows from a change: who gives up first, where requests go, whose certificates are issued, in which order it is deployed."""

from __future__ import annotations

import pytest

from meshctl import pipeline
from meshctl.ir.change import Effect

BASE = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 5s}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {timeout: 6s}}}
  cron: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {orders: {timeout: 9s}}}
  orders:
    port: 80
    endpoints: [{address: 10.0.1.1}]
    calls: {payments: {}}
    routes:
      - {name: bulk, matches: [{path: {prefix: /bulk}}, {path: {exact: /all}}]}
      - {name: rest, matches: [{path: {prefix: /api}}]}
  payments: {port: 80, endpoints: [{address: 10.0.2.1}, {address: 10.0.2.2}]}
"""


@pytest.fixture
def compared(tmp_path):
    def compare(*edits, base=BASE):
        sides = []
        for text in (base, edited(base, edits)):
            path = tmp_path / "mesh.yaml"
            path.write_text(text, "utf-8")
            sides.append(pipeline.validate(str(path)))
        return pipeline.compare(*sides)

    return compare


def edited(text, edits):
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


def follows(compared):
    return [(each.effect, each.text) for each in compared.diff.consequences]


BULK = "      - {name: bulk, matches: [{path: {prefix: /bulk}}, {path: {exact: /all}}]}\n"
PATIENT = "`web` waits 6s for `orders`"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], []),
        ([("web: {port: 80", "web: {port: 81")], []),
        ([("timeout: 6s", "timeout: 5s")], []),
        (
            [("timeout: 6s", "timeout: 2s")],
            [(Effect.GIVES_UP_FIRST, "`web` waits 2s for `orders`, now less than the 5s that `orders` waits for `payments`")],
        ),
        (
            [("{payments: {}}", "{payments: {timeout: 7s}}")],
            [(Effect.GIVES_UP_FIRST, f"{PATIENT}, now less than the 7s that `orders` waits for `payments`")],
        ),
        (
            [("{payments: {}}", "{payments: {timeout: 0s}}")],
            [
                (Effect.GIVES_UP_FIRST, f"`{name}` waits {time} for `orders`, now less than `orders` waits for `payments`, which has no limit")
                for name, time in (("cron", "9s"), ("web", "6s"))
            ],
        ),
        (
            [("{name: rest,", "{name: rest, timeout: 1s,"), ("cron: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {orders: {timeout: 9s}}}", "cron: {port: 80, endpoints: [{address: 10.0.0.2}]}")],
            [(Effect.GIVES_UP_FIRST, "`web` waits 1s for `orders` (route `rest`), now less than the 5s that `orders` waits for `payments`")],
        ),
        (
            [("{orders: {timeout: 9s}}", "{orders: {timeout: 9s}, web: {timeout: 2s}}")],
            [(Effect.GIVES_UP_FIRST, "`cron` waits 2s for `web`, now less than the 6s that `web` waits for `orders`")],
        ),
        (
            [(BULK, "")],
            [(Effect.REROUTED, "requests of route `bulk` of `orders`, such as GET http://orders/all, are now answered 404")],
        ),
        (
            [(BULK, ""), ("{prefix: /api}", "{prefix: /}")],
            [(Effect.REROUTED, "requests of route `bulk` of `orders`, such as GET http://orders/all, now go by route `rest`")],
        ),
        ([("{name: bulk,", "{name: big,")], []),
        (
            [("domain: shop.mesh", "domain: s.mesh"), ("shop.example", "s.example")],
            [(Effect.REISSUED, "certificates of 4 services will be re-issued: the trust domain is s.example, not shop.example, the domain is s.mesh, not shop.mesh")],
        ),
        (
            [("payments: {port", "pay: {port"), ("{payments: {}}", "{pay: {}}")],
            [(Effect.REISSUED, "certificates of 1 service will be re-issued: the name is pay, not payments")],
        ),
        (
            [("  payments:", "  new: {port: 80, endpoints: [{address: 10.0.9.1}]}\n  payments:")],
            [(Effect.ISSUED, "certificates will be issued for 1 service, new")],
        ),
        (
            [("shop.example}", "shop.example, certificates: {lifetime: 20d, renewBefore: 11d}}")],
            [
                (Effect.LIFETIME, "certificates of 4 services will be re-issued for 20d, each when it is due: none at once"),
                (Effect.LIFETIME, "certificates are due for renewal 11d before they end: those with less left are re-issued at once"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_follows(compared, edits, expected):
    assert follows(compared(*edits)) == expected


def test_what_was_too_short_and_no_longer_is(compared):
    short = BASE.replace("timeout: 6s", "timeout: 2s")
    words = "`web` no longer gives up on `orders` before `orders` does on `payments`"
    assert follows(compared(("timeout: 2s", "timeout: 6s"), base=short)) == [
        (Effect.WAITS_LONG_ENOUGH, words)
    ]
    # One of two routes is too short as it was, and says so no sooner than both are long enough.
    half = ("{name: rest,", "{name: rest, timeout: 8s,")
    assert follows(compared(half, base=short)) == []
    # A call that goes is told as such.
    assert follows(compared(("calls: {orders: {timeout: 2s}}", "calls: {}"), base=short)) == []


def test_what_was_so_by_another_route_is_not_new(compared):
    """By a route that is new; of one that was long enough it is told."""
    rest = "{name: rest, matches: [{path: {prefix: /api}}]}"
    short = BASE.replace(rest, rest.replace("rest,", "rest, timeout: 2s,"))
    more = ("      - {name: rest,", "      - {name: all, timeout: 2s}\n      - {name: rest,")
    assert follows(compared(more, base=short)) == []
    slower = (more[0], more[1].replace("2s", "1s"))
    assert [text for _, text in follows(compared(slower, base=short))] == [
        f"`{name}` waits 1s for `orders` (route `all`), now less than the 5s that `orders` waits for `payments`"
        for name in ("cron", "web")
    ]
    bulk = ("{name: bulk,", "{name: bulk, timeout: 2s,")
    assert [text for _, text in follows(compared(bulk, base=short))] == [
        f"`{name}` waits 2s for `orders`, now less than the 5s that `orders` waits for `payments`"
        for name in ("cron", "web")
    ]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], []),
        ([("timeout: 6s", "timeout: 2s")], []),
        ([("calls: {orders: {timeout: 6s}}", "calls: {}")], ["deploy `web` before `orders`, which refuses it from then on"]),
        (
            [("orders: {timeout: 6s}", "payments: {}")],
            ["deploy `payments` before `web`, which it refuses until then", "deploy `web` before `orders`, which refuses it from then on"],
        ),
        (
            [("  payments:", "  new: {port: 80, endpoints: [{address: 10.0.9.1}]}\n  payments:"), ("{payments: {}}", "{payments: {}, new: {}}")],
            ["start `new` before `orders`, which nobody answers until then"],
        ),
        (
            [("    calls: {payments: {}}\n", ""), ("  payments: {port: 80, endpoints: [{address: 10.0.2.1}, {address: 10.0.2.2}]}\n", "")],
            ["deploy `orders` before `payments` is stopped"],
        ),
        ([(", {address: 10.0.2.2}", "")], ["deploy `orders` before `10.0.2.2:15006` of `payments` is stopped"]),
        ([("{address: 10.0.2.2}", "{address: 10.0.2.2}, {address: 10.0.2.3}")], []),
        (
            [("payments: {port: 80", "payments: {port: 80, protocol: tcp"), ("{payments: {}}", "{payments: {localPort: 15100}}")],
            [
                "in one step no order is safe, for sidecars of before and after take each other's requests for streams, or streams for requests: list it under another name with tcp, and deploy that",
                "let `orders` call the new name, and take `payments` out of the spec when nobody calls it any more",
            ],
        ),
        (
            [("payments: {port", "pay: {port"), ("{payments: {}}", "{pay: {}}")],
            [
                "in one step no order is safe, for sidecars verify the name of `payments` and applications ask for it: list `pay` beside it, with endpoints of its own, and deploy that",
                "let `orders` call `pay`, and take `payments` out of the spec when nobody calls it any more",
            ],
        ),
    ],
)  # fmt: skip
def test_the_order_in_which_calls_come_and_go(compared, edits, expected):
    assert list(compared(*edits).diff.order) == expected


def test_who_is_let_in_anyhow_waits_for_nobody(compared):
    everybody = BASE.replace("shop.example}", "shop.example, authorization: {mode: open}}")
    for edits in (
        ("{orders: {timeout: 6s}}", "{orders: {timeout: 6s}, payments: {}}"),
        ("{orders: {timeout: 6s}}", "{}"),
    ):
        assert compared(edits, base=everybody).diff.order == ()
        assert compared(edits).diff.order != ()


def test_of_two_with_the_same_name_in_dns_none_is_the_renamed_one(compared):
    found = "{port: 80, discovery: {dns: {name: pay.internal}}}"
    top = BASE.replace("shop.example}", 'shop.example, resolvers: ["127.0.0.53:53"]}')
    before = f"{top[: top.index('  payments:')]}  payments: {found}\n"
    one = [("  payments: ", "  first: "), ("{payments: {}}", "{first: {}}")]
    assert compared(*one, base=before).diff.renamed == (("payments", "first"),)
    two = [("  payments: ", f"  first: {found}\n  second: "), ("{payments: {}}", "{first: {}, second: {}}")]
    assert compared(*two, base=before).diff.renamed == ()


@pytest.mark.parametrize(
    ("edits", "renamed"),
    [
        ([("payments: {port", "pay: {port"), ("{payments: {}}", "{pay: {}}")], [("payments", "pay")]),
        ([("payments: {port: 80", "pay: {port: 81"), ("{payments: {}}", "{pay: {timeout: 1s}}")], [("payments", "pay")]),
        ([("payments: {port", "pay: {port"), ("{payments: {}}", "{pay: {}}"), ("10.0.2.2", "10.0.2.3")], []),
        ([("web: {port", "front: {port")], []),
        ([("web: {port", "front: {port"), ("cron: {port", "later: {port")], []),
    ],
)  # fmt: skip
def test_who_is_there_under_another_name(compared, edits, renamed):
    """At the same addresses as before; nobody knows that of who is not called, and listens on any address."""
    found = compared(*edits)
    assert list(found.diff.renamed) == renamed
    signs = {each.sign.value for each in found.diff.changes if each.what == "service"}
    assert ("renamed" in signs) == bool(renamed)
    if renamed:
        assert not found.change.opened
        assert not found.change.closed
        assert found.change.callers == ("orders",)
        assert {each.name for each in found.diff.sidecars} == {"orders", "pay", "payments"}


def test_files_that_change_alone_are_told_apart(compared):
    """A default that is written makes other files, for what is written is asked of the proxy."""
    found = compared(("shop.example}", "shop.example, accessLog: {format: json}}"))
    assert [each.meaning for each in found.diff.sidecars] == ["its files change, not what it does"] * 4
    assert found.diff.changes == ()
    assert not compared(("cron: {port: 80", "cron: {port: 80, owner: team")).diff.differs
