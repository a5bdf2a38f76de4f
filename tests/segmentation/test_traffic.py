"""Real sidecars and careless applications on hosts of their own: what the rules let pass, and what not.

Every refusal is asked for without the rules first, for a lab in which nothing gets through would prove nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time

import pytest

from meshctl import pipeline
from meshctl.ir.segmentation import Destination
from meshctl.live.processes import ProcessGroup, Program
from meshctl.resolve.segmentation import Surroundings
from meshctl.segmentation import Options, Segmenter
from meshctl.segmentation.naming import Naming
from tests.behaviour.world import DOMAIN, TRUST_DOMAIN, build
from tests.segmentation.hosts import HERE, hosts
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("segmentation")

WEB, BACK, STRANGER = "10.84.0.1", "10.84.0.2", "10.84.0.9"
BACK_6 = "fd84::2"
# Application and sidecar of each service, and somebody else on the same host.
USERS = {"web": (20001, 20002), "catalog": (20003, 20004), "ledger": (20005, 20006)}
APPLICATION, SIDECAR = USERS["web"]
SOMEBODY = 20009
UNHEARD_OF = 9999
SPEC = {
    "apiVersion": "meshctl.dev/v1",
    "mesh": {"name": "test", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN},
    "services": {
        "web": {
            "proxy": "envoy",
            "port": 8080,
            "endpoints": [{"address": WEB}],
            "calls": {"catalog": {}, "ledger": {"localPort": 15432}},
        },
        "catalog": {"proxy": "haproxy", "port": 8080, "endpoints": [{"address": BACK}]},
        "ledger": {
            "proxy": "nginx",
            "protocol": "tcp",
            "port": 5432,
            "endpoints": [{"address": BACK}],
            "inbound": {"port": 15007},
            "outbound": {"port": 15002},
            "admin": {"port": 15010},
        },
    },
}
LIMIT = 60.0


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Three hosts; the mesh runs on two of them, and no rules are there yet."""
    folder = tmp_path_factory.mktemp("town")
    mesh, out = build(SPEC, folder)
    homes = {"web": "web", "catalog": "back", "ledger": "back"}
    with (
        turn("segmentation"),
        hosts(web=WEB, back=BACK, stranger=STRANGER) as found,
        ProcessGroup() as group,
    ):
        for name, user, ports in (
            ("web", USERS["web"][0], ("8080", "9999")),
            ("back", USERS["catalog"][0], ("8080", "9999")),
            ("back", USERS["ledger"][0], ("8088", "5432")),
            ("stranger", SOMEBODY, ("80", "9999")),
        ):
            script = str(HERE / "application.py")
            command = found[name].command(user, sys.executable, script, *ports)
            group.start(Program(f"application {name}", command, folder))
        for sidecar in mesh.sidecars:
            host, (_, user) = found[homes[sidecar.service]], USERS[sidecar.service]
            bundle = out / sidecar.service / sidecar.proxy
            host.run("chown", "-R", str(user), str(out / sidecar.service))
            group.start(Program(sidecar.service, host.command(user, str(bundle / "run")), bundle))
        for sidecar in mesh.sidecars:
            _await(found[homes[sidecar.service]], group, sidecar.admin.bind.port)
        for name, port in (("web", 8080), ("back", 8080), ("back", 8088), ("stranger", 80)):
            _await(found[name], group, port)
        yield found, folder / "mesh.yaml"


def _await(host, group, port):
    """Until the sidecar or application there answers."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        (answer,) = host.attempt(0, [{"get": ["127.0.0.1", port, "localhost", "/ready"]}])
        if isinstance(answer, list) and answer[0] == 200:
            return
        ended = group.ended()
        assert ended is None, ended.last_words()
        time.sleep(0.1)
    raise AssertionError(f"nothing is ready at port {port} of {host.name}")


def rules(spec, service, *, intercept=False, besides=()):
    application, sidecar = USERS[service]
    options = Options(Naming(str(application), str(sidecar)), intercept)
    (made,) = pipeline.segment(
        pipeline.validate(str(spec)), Segmenter.NFTABLES, options, Surroundings(besides=besides), [service]
    )
    return made.content.decode()


@contextlib.contextmanager
def segmented(town, **options):
    """All three services with their rules, as long as it lasts."""
    found, spec = town
    try:
        for service, host in (("web", "web"), ("catalog", "back"), ("ledger", "back")):
            found[host].load(rules(spec, service, **(options if service == "web" else {})))
        yield found
    finally:
        for host in found.values():
            host.run("nft", "flush", "ruleset")


def ways_past(found):
    """(host, user, attempt): everything here gets through as long as there are no rules."""
    stranger, web = found["stranger"], found["web"]
    return [
        # The application, past its own sidecar.
        (web, APPLICATION, {"connect": [BACK, 8080]}),
        (web, APPLICATION, {"connect": [BACK, 5432]}),
        (web, APPLICATION, {"connect": [BACK, 15006]}),
        (web, APPLICATION, {"connect": [BACK_6, 8080]}),
        (web, APPLICATION, {"connect": [STRANGER, 80]}),
        (web, APPLICATION, {"connect": ["127.0.0.1", 15000]}),
        (web, APPLICATION, {"datagram": [STRANGER, 53]}),
        # The sidecar, to somebody who is no callee.
        (web, SIDECAR, {"connect": [STRANGER, 80]}),
        (web, SIDECAR, {"connect": [BACK, 8080]}),
        (web, SIDECAR, {"datagram": [STRANGER, 53]}),
        # Somebody else on the host, as the application or as its sidecar.
        (web, SOMEBODY, {"connect": ["127.0.0.1", 8080]}),
        # The application listens on all addresses, and packets to any of its own are no input from outside.
        (web, SOMEBODY, {"connect": ["127.0.0.2", 8080]}),
        (web, SOMEBODY, {"connect": [WEB, 8080]}),
        (web, SOMEBODY, {"connect": ["127.0.0.1", 15001]}),
        (web, SOMEBODY, {"connect": ["127.0.0.1", 15432]}),
        # From outside, past the inbound listener; the application listens on a port that nobody has heard of, too.
        (stranger, SOMEBODY, {"connect": [WEB, 8080]}),
        (stranger, SOMEBODY, {"connect": [WEB, UNHEARD_OF]}),
        (stranger, 0, {"connect": [BACK, 8080]}),
        (stranger, 0, {"connect": [BACK, 5432]}),
    ]


def outcomes(attempts):
    """In the order of ``attempts``, with one program for each host and user."""
    asked: dict = {}
    for host, user, attempt in attempts:
        asked.setdefault((host, user), []).append(attempt)
    told = {
        key: dict(zip(map(json.dumps, each), key[0].attempt(key[1], each), strict=True))
        for key, each in asked.items()
    }
    return [told[host, user][json.dumps(attempt)] for host, user, attempt in attempts]


def shown(attempts, results):
    return [
        f"{host.name} {user} {attempt}: {it}"
        for (host, user, attempt), it in zip(attempts, results, strict=True)
    ]


def test_without_rules_every_way_past_the_sidecars_is_open(town):
    attempts = ways_past(town[0])
    results = outcomes(attempts)
    assert set(results) <= {"open", "sent"}, shown(attempts, results)


def test_with_rules_no_way_past_the_sidecars_is_left(town):
    with segmented(town) as found:
        attempts = ways_past(found)
        results = outcomes(attempts)
    # The answer of a port that no rule names is kept back by its host: silence to whoever asked.
    expected = [
        "silent" if attempt == {"connect": [WEB, UNHEARD_OF]} else "refused" for *_, attempt in attempts
    ]
    assert results == expected, shown(attempts, results)


CATALOG = {"get": ["127.0.0.1", 15001, "catalog", "/x"]}
LEDGER = {"say": ["127.0.0.1", 15432, "hello"]}
ANSWER = [200, '{"caller": "spiffe://test.example/web", "path": "/x"}']


def test_with_rules_the_mesh_works(town):
    with segmented(town) as found:
        assert found["web"].attempt(APPLICATION, [CATALOG, LEDGER]) == [ANSWER, "echo hello"]
        # Its bundle's reload asks a sidecar which build it serves.
        assert found["web"].attempt(SIDECAR, [{"connect": ["127.0.0.1", 15000]}]) == ["open"]
        # The application itself, and what has nothing to do with the mesh.
        assert found["web"].attempt(APPLICATION, [{"connect": ["127.0.0.1", 8080]}]) == ["open"]
        assert found["web"].attempt(
            SOMEBODY, [{"connect": [STRANGER, 80]}, {"datagram": [STRANGER, 53]}]
        ) == [
            "open",
            "sent",
        ]
        # A handshake with the sidecar is for everybody; who may ask is said there.
        assert found["stranger"].attempt(
            SOMEBODY, [{"connect": [WEB, 15006]}, {"connect": [BACK, 15007]}]
        ) == [
            "open",
            "open",
        ]


def test_what_was_asked_for_beside_the_sidecar_is_open_and_nothing_near_it(town):
    besides = (Destination("--also", (f"{STRANGER}/32",), 9999),)
    with segmented(town, besides=besides) as found:
        assert found["web"].attempt(
            APPLICATION, [{"say": [STRANGER, 9999, "hi"]}, {"connect": [STRANGER, 80]}]
        ) == ["echo hi", "refused"]


def test_rules_are_replaced_at_once_and_again(town):
    with segmented(town) as found:
        before = found["web"].run("nft", "list", "ruleset")
        found["web"].load(rules(town[1], "web"))
        assert found["web"].run("nft", "list", "tables") == "table inet meshctl_web\n"
        assert _without_counts(found["web"].run("nft", "list", "ruleset")) == _without_counts(before)


def _without_counts(text):
    return re.sub(r"packets \d+ bytes \d+", "", text)


def test_interception_leads_an_application_to_its_sidecar_that_knows_none(town):
    # Where the callees are, on the ports that their applications have, and a host outside the mesh.
    direct = [
        {"get": [BACK, 8080, "catalog", "/x"]},
        {"get": [BACK, 80, "catalog.test.mesh", "/x"]},
        {"say": [BACK, 5432, "hello"]},
        {"get": [STRANGER, 80, "stranger.example", "/"]},
        {"connect": [STRANGER, 9999]},
    ]
    with segmented(town) as found:
        assert found["web"].attempt(APPLICATION, direct) == ["refused"] * 5
    with segmented(town, intercept=True) as found:
        answers = found["web"].attempt(APPLICATION, direct)
        assert answers[:3] == [ANSWER, ANSWER, "echo hello"]
        assert answers[3][0] == 404
        assert answers[4] == "refused"
        # Others are let alone.
        assert found["web"].attempt(SOMEBODY, [{"get": [STRANGER, 80, "x", "/"]}])[0][0] == 200
        assert found["web"].attempt(APPLICATION, [CATALOG]) == [ANSWER]


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("jump application", {"connect": [STRANGER, 80]}),
        ("ct direction reply fib", None),
    ],
)
def test_a_missing_rule_shows(town, line, way):
    """The tests above can fail."""
    found, spec = town
    text = "".join(each for each in rules(spec, "web").splitlines(keepends=True) if line not in each)
    try:
        found["web"].load(text)
        if way is not None:
            assert found["web"].attempt(APPLICATION, [way]) == ["open"]
        else:
            # Its sidecar gets no answer any more.
            assert found["web"].attempt(SIDECAR, [{"connect": ["127.0.0.1", 8080]}]) != ["open"]
    finally:
        found["web"].run("nft", "flush", "ruleset")
