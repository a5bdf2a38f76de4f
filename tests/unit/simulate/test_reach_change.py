"""Whom a change lets in, against what the callees' sidecars make of every request before and after."""

from __future__ import annotations

import itertools
import random

import pytest
from msgspec.structs import replace

from meshctl import simulate
from meshctl.ir import MtlsMode
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.resolve import resolve
from meshctl.simulate import authorization
from meshctl.simulate.message import Request
from meshctl.simulate.reach_change import reach_change
from tests.behaviour.world import KEY_SETS
from tests.unit.resolve.specs import read, resolved
from tests.unit.simulate.test_reachability import asked, let_in, random_spec

METHODS = ("GET", "POST", "PUT")
PATHS = ("/", "/a", "/a/", "/ab", "/a/b", "/a/b/c", "/a/c")


def by_name(mesh):
    return {each.service: each for each in mesh.sidecars}


def lets_in(mesh, caller, callee, request):
    sidecars = by_name(mesh)
    return not authorization.refuses(sidecars[callee].inbound, sidecars[caller].identity, request)


def edges(mesh):
    names = by_name(mesh)
    return {
        (caller, callee)
        for caller, callee in itertools.permutations(names, 2)
        for method, path in itertools.product(METHODS, PATHS)
        if callee in let_in(simulate.request(mesh, caller, method, f"http://{callee}{path}"))
    }


def test_it_says_of_random_changes_what_their_requests_show(tmp_path):
    draw = random.Random(11)
    more = uncalled = pairs = anybody = 0
    for _ in range(25):
        (head, text), (other_head, other) = random_spec(draw, 4), random_spec(draw, 4)
        before, after = resolved(tmp_path, text, head), resolved(tmp_path, other, other_head)
        names = [each.service for each in after.sidecars]
        opened, closed = reach_change(before, after, names)
        old, new = edges(before), edges(after)
        told = {(each.caller, each.callee) for each in opened}
        assert set(closed) == old - new
        assert {(each.caller, each.callee) for each in opened if each.called and not each.more} >= new - old
        for each in opened:
            assert each.permission.example is not None, "there is no regular expression"
            request = asked(each.permission.example)
            callers = [each.caller] if each.caller != "*" else [name for name in names if name != each.callee]
            newly = [
                lets_in(after, name, each.callee, request) and not lets_in(before, name, each.callee, request)
                for name in callers
            ]
            # Who may call already, by `*`, or is called for the first time, shows it by the pair alone.
            assert any(newly) or each.caller == "*" or (each.caller, each.callee) in new - old, each
            more, uncalled = more + each.more, uncalled + (not each.called)
            anybody += each.caller == "*"
        for caller, callee in itertools.permutations(names, 2):
            pairs += 1
            for method, path in itertools.product(METHODS, PATHS):
                request = Request(method, path, (("host", callee),))
                if lets_in(after, caller, callee, request) and not lets_in(before, caller, callee, request):
                    assert {(caller, callee), ("*", callee)} & told, (text, other, caller, callee, request)
    assert min(more, uncalled, pairs, anybody) > 5


WORLD = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {shop: {}%s}}
  shop: {port: 80, endpoints: [{address: 10.0.0.2}]%s}
  db: {port: 81, endpoints: [{address: 10.0.0.3}], protocol: tcp%s}
"""
ALLOW = ", allow: [{from: [web], methods: [GET]%s}]"
OPEN = ", mtls: {mode: permissive, until: 2999-01-01}"
DB = ", db: {localPort: 7000}"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (("", "", ""), ("", "", ""), []),
        (("", ALLOW % "", ""), ("", "", ""), ["`web` may now do more at `shop`, such as POST https://shop.shop.mesh/"]),
        (("", "", ""), ("", ALLOW % "", ""), []),
        (("", "", ""), (DB, "", ""), ["`web` now reaches `db`"]),
        ((DB, "", ""), ("", "", ""), ["closed web db"]),
        ((DB, "", ", deny: [{from: [web]}]"), (DB, "", ""), ["`web` now reaches `db`"]),
        (("", ", deny: [{headers: {x-a: b}}]", ""), ("", "", ""), ["`web` may now do more at `shop`, such as GET https://shop.shop.mesh/ with x-a: b"]),
        (("", ", deny: [{paths: [{regex: /a.*}]}]", ""), ("", ", deny: [{paths: [{regex: /a.*}]}, {methods: [PUT]}]", ""), []),
        (("", ALLOW % ", paths: [{prefix: /a}]", ""), ("", ALLOW % ", paths: [{regex: /a/.+}]", ""), ["`web` may now do more at `shop`, perhaps: regular expressions decide"]),
        (("", ALLOW % ", paths: [{prefix: /a}]", ""), ("", ALLOW % ", paths: [{exact: /a/b}]", ""), []),
        (("", "", ""), ("", OPEN, ""), []),
        (("", "", ""), ("", OPEN + ", allow: [{from: [web, unauthenticated]}]", ""), ["whoever has no certificate is now let into `shop`, such as GET http://shop.shop.mesh/"]),
        (("", OPEN + ", allow: [{from: [web, unauthenticated]}]", ""), ("", OPEN, ""), []),
        (("", "", ""), ("", ", healthPath: /up", ""), []),
    ],
)  # fmt: skip
def test_what_is_said(tmp_path, before, after, words):
    old, new = (resolved(tmp_path, WORLD % each) for each in (before, after))
    opened, closed = reach_change(old, new, ("web", "shop", "db"))
    assert [each.words for each in opened] + [f"closed {' '.join(pair)}" for pair in closed] == words


def test_strict_mutual_tls_hears_nobody_without_a_certificate(tmp_path):
    """Whatever its rules say, which no spec can: `unauthenticated-caller` refuses it."""
    new = resolved(tmp_path, WORLD % ("", OPEN + ", allow: [{from: [web, unauthenticated]}]", ""))
    strict = (
        replace(each, inbound=replace(each.inbound, mtls=MtlsMode.STRICT)) if each.inbound else each
        for each in new.sidecars
    )
    old = replace(new, sidecars=tuple(strict))
    opened, _ = reach_change(old, new, ("shop",))
    assert [each.caller for each in opened] == [UNAUTHENTICATED]
    assert reach_change(new, old, ("shop",))[0] == ()


def test_what_did_not_change_is_not_looked_at(tmp_path):
    old, new = resolved(tmp_path, WORLD % ("", "", "")), resolved(tmp_path, WORLD % (DB, "", ""))
    assert reach_change(old, new, ()) == ((), ())
    (opened,), _ = reach_change(old, new, ("db",))
    assert opened.callee == "db"


def test_audit_lets_everybody_in(tmp_path):
    old = resolved(tmp_path, WORLD % ("", ALLOW % "", ""), ", authorization: {mode: explicit}")
    new = resolved(tmp_path, WORLD % ("", ALLOW % "", ""), ", authorization: {mode: explicit, audit: true}")
    opened, _ = reach_change(old, new, ("web", "shop", "db"))
    assert "nobody is kept out of `shop` any more, for `audit` only takes note" in [
        each.words for each in opened
    ]
    assert UNAUTHENTICATED not in {each.caller for each in opened}
    assert reach_change(new, old, ("web", "shop", "db"))[0] == ()


def test_after_audit_nothing_is_new(tmp_path):
    old = resolved(tmp_path, WORLD % ("", ALLOW % "", ""), ", authorization: {mode: explicit, audit: true}")
    new = resolved(
        tmp_path, WORLD % ("", ", allow: [{from: ['*']}]", ""), ", authorization: {mode: explicit}"
    )
    assert reach_change(old, new, ("web", "shop", "db"))[0] == ()


@pytest.mark.parametrize("audit", [", audit: true", ""])
def test_audit_let_nobody_in_without_a_certificate_while_it_was_strict(tmp_path, audit):
    allow = ", allow: [{from: [web, unauthenticated]}]"
    old = resolved(tmp_path, WORLD % ("", "", ""), ", authorization: {audit: true}")
    new = resolved(tmp_path, WORLD % ("", OPEN + allow, ""), f", authorization: {{mode: declared{audit}}}")
    opened, _ = reach_change(old, new, ("web", "shop", "db"))
    assert [each.caller for each in opened] == [UNAUTHENTICATED]
    assert reach_change(new, new, ("web", "shop", "db"))[0] == ()


def test_a_stream_is_more_than_requests_under_conditions(tmp_path):
    old = resolved(tmp_path, WORLD % ("", ", allow: [{from: [web], methods: [GET]}]", ""))
    text = WORLD % ("", ", protocol: tcp, allow: [{from: [web]}]", "")
    new = resolved(tmp_path, text.replace("shop: {}", "shop: {localPort: 15999}"))
    opened, _ = reach_change(old, new, ("web", "shop", "db"))
    assert [each.words for each in opened] == ["`web` may now do more at `shop`"]


def sides(tmp_path, before, after, mesh=""):
    """Of `shop`, with these keys more."""
    return [resolved(tmp_path, WORLD % ("", each, ""), mesh) for each in (before, after)]


def said(before, after, names=("web", "shop", "db")):
    return [each.words for each in reach_change(before, after, names)[0]]


CHECKED = ", healthPath: %s"


@pytest.mark.parametrize(
    "kept_out", [", deny: [{paths: [{prefix: /admin}]}]", ALLOW % ", paths: [{prefix: /a/}]"]
)
def test_a_health_path_goes_past_the_rules(tmp_path, kept_out):
    old, new = sides(tmp_path, *(kept_out + CHECKED % path for path in ("/up", "/admin/keys")))
    told = "`web` may now do more at `shop`, such as GET https://shop.shop.mesh/admin/keys"
    assert said(old, new) == [told]
    assert said(new, new) == []


TOKENS = ", jwt: {issuers: {idp: {issuer: %s, jwks: keys/idp.json%s}}}"
BY_TOKEN = ", allow: [{from: [web], jwt: idp}]"


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        (("https://idp", ", audiences: [shop]"), ("https://idp", ""), True),
        (("https://idp", ", audiences: [shop]"), ("https://idp", ", audiences: [shop, all]"), True),
        (("https://idp", ", audiences: [shop]"), ("https://other", ", audiences: [shop]"), True),
        (("https://idp", ", audiences: [shop, all]"), ("https://idp", ", audiences: [shop]"), False),
        (("https://idp", ""), ("https://idp", ", audiences: [shop]"), False),
    ],
)
def test_tokens_of_others_are_more(tmp_path, before, after, new):
    files = {"keys/idp.json": (KEY_SETS / "idp.json").read_bytes()}
    old, now = (
        resolve(replace(read(tmp_path, WORLD % ("", BY_TOKEN, ""), TOKENS % each), files=files)).mesh
        for each in (before, after)
    )
    told = ["`web` may now do more at `shop`, such as GET https://shop.shop.mesh/ and a token"]
    assert said(old, now) == (told if new else [])


def test_rules_about_tokens_may_go_with_their_issuer(tmp_path):
    files = {"keys/idp.json": (KEY_SETS / "idp.json").read_bytes()}
    text = WORLD % ("", BY_TOKEN + ", deny: [{jwt: idp, claims: {sub: x}}]", "")
    old = resolve(replace(read(tmp_path, text, TOKENS % ("https://idp", "")), files=files)).mesh
    new = resolved(tmp_path, WORLD % ("", ALLOW % "", ""))
    assert said(old, new) == ["`web` may now do more at `shop`, such as GET https://shop.shop.mesh/"]


def test_a_token_that_is_no_longer_denied_is_not_told(tmp_path):
    files = {"keys/idp.json": (KEY_SETS / "idp.json").read_bytes()}
    denied = ALLOW % "" + ", deny: [{jwt: idp, claims: {sub: x}}]"
    old, new = (
        resolve(
            replace(read(tmp_path, WORLD % ("", its, ""), TOKENS % ("https://idp", "")), files=files)
        ).mesh
        for its in (denied, ALLOW % "")
    )
    told = "`web` may now do more at `shop`, such as GET https://shop.shop.mesh/ and a token"
    assert said(old, new) == [told]


def test_a_health_listener_has_no_certificates(tmp_path):
    old, new = sides(tmp_path, CHECKED % "/up", CHECKED % "/up" + ", health: {port: 15021}")
    (told,) = said(old, new)
    assert told.startswith("whoever has no certificate is now let into `shop`, such as GET http://")
    assert told.endswith(":15021/up")
    assert said(new, new) == []


@pytest.mark.parametrize(
    ("its", "mode", "told"),
    [
        (OPEN + ", allow: [{from: [unauthenticated]}]", "declared", ["whoever has no certificate"]),
        (", allow: [{from: ['*']}]", "declared", []),
        (", allow: [{from: ['*']}]", "explicit", ["any identity of the mesh"]),
        ("", "open", []),
        (OPEN + ", allow: [{from: [unauthenticated]}]", "open", ["whoever has no certificate"]),
    ],
)
def test_whom_a_new_service_lets_in(tmp_path, its, mode, told):
    fresh = f"\n  fresh: {{port: 8080, endpoints: [{{address: 10.9.0.9}}]{its}}}\n"
    authorization = f", authorization: {{mode: {mode}}}"
    old, new = (resolved(tmp_path, WORLD % ("", "", "") + more, authorization) for more in ("", fresh))
    found = said(old, new, ("fresh",))
    assert [each.partition(" is now let into `fresh`")[0] for each in found] == told
