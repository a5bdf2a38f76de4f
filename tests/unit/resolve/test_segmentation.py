"""What each sidecar and its application have to reach, from the spec."""

from __future__ import annotations

import pytest

from meshctl import pipeline
from meshctl.diagnostics import UsageError
from meshctl.ir.segmentation import ANYWHERE, networks
from meshctl.resolve.segmentation import Surroundings, perimeters

NOWHERE = Surroundings()
HEAD = """\
apiVersion: meshctl.dev/v1
mesh:
  name: shop
  domain: shop.mesh
  trustDomain: shop.example
  resolvers: [10.0.0.53:53]
"""


@pytest.fixture
def of(tmp_path):
    """The perimeter of a service in a mesh of these lines."""

    def made(text, service="web", around=NOWHERE):
        path = tmp_path / "mesh.yaml"
        path.write_text(HEAD + text, "utf-8")
        validated = pipeline.validate(str(path))
        mesh = validated.require()
        assert validated.spec is not None
        return next(each for each in perimeters(validated.spec, mesh, around) if each.service == service)

    return made


def reached(perimeter):
    return [(each.name, each.networks, each.port, str(each.transport)) for each in perimeter.destinations]


DNS = [
    ("name server", ("10.0.0.53/32",), 53, "udp"),
    ("name server", ("10.0.0.53/32",), 53, "tcp"),
]


@pytest.mark.parametrize(
    ("callee", "reached_by_web"),
    [
        (
            "services: {other: {port: 80, endpoints: [{address: 10.0.0.2}, {address: 10.0.0.3, port: 16006}, {address: fd00::2}]}",
            [
                ("other", ("10.0.0.2/32", "fd00::2/128"), 15006, "tcp"),
                ("other", ("10.0.0.3/32",), 16006, "tcp"),
            ],
        ),
        # Subsets are one callee.
        (
            (
                "services: {other: {port: 80, endpoints: [{address: 10.0.0.2, subset: a}, {address: 10.0.0.4, subset: b}], "
                "routes: [{name: all, backends: [{subset: a}, {subset: b}]}]}"
            ),
            [("other", ("10.0.0.2/32", "10.0.0.4/32"), 15006, "tcp")],
        ),
        (
            "services: {other: {port: 80, discovery: {dns: {name: other.internal}}}",
            [("other", ANYWHERE, 15006, "tcp"), *DNS],
        ),
        (
            "services: {other: {port: 80, discovery: {dnsSrv: {name: _other._tcp.internal}}}",
            [("other", ANYWHERE, 0, "tcp"), *DNS],
        ),
        (
            "services: {other: {port: 80, discovery: {consul: {service: other}}}",
            [("other", ANYWHERE, 15006, "tcp"), *DNS],
        ),
        (
            "externals: {other: {hosts: [a.example, b.example], port: 443, tls: {}}}\nservices: {x: {port: 1}",
            [("other", ANYWHERE, 443, "tcp"), *DNS],
        ),
        (
            (
                "externals: {other: {hosts: [a.example], port: 443, tls: {}, endpoints: [{address: 192.0.2.7, port: 8443}]}}\n"
                "services: {x: {port: 1}"
            ),
            [("other", ("192.0.2.7/32",), 8443, "tcp")],
        ),
    ],
)
def test_a_sidecar_reaches_its_callees_and_whoever_knows_where_they_are(of, callee, reached_by_web):
    web = "  web: {proxy: haproxy, port: 8080, endpoints: [{address: 10.0.0.1}], calls: {other: {}}}\n"
    text = callee.replace("services: {", "services:\n  ", 1) + "\n" + web
    assert reached(of(text)) == reached_by_web


MESH = """\
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {api: {localPort: 15081}}, health: {port: 15021}}
  api: {port: 9000, discovery: {kubernetes: {service: api, namespace: shop}}}
gateways:
  edge: {port: 8443, endpoints: [{address: 10.0.0.9}], calls: {web: {}}, routes: [{name: all}]}
"""


def test_listeners_and_who_is_let_to_them(of):
    web = of(MESH)
    assert [str(each) for each in web.entrances] == ["127.0.0.1:15001", "127.0.0.1:15081"]
    assert [str(each) for each in web.inbound] == ["0.0.0.0:15006"]
    assert [str(each) for each in web.facing] == ["0.0.0.0:15021"]
    assert web.closed == (8080, 15000, 15001, 15081)
    assert [(each.service, each.networks) for each in web.callers or ()] == [("edge", ("10.0.0.9/32",))]
    edge = of(MESH, "edge")
    assert (edge.entrances, edge.inbound, edge.application) == ((), (), None)
    assert [str(each) for each in edge.facing] == ["0.0.0.0:8443"]
    assert edge.closed == (15000,)


def test_nobody_calls_and_anybody_may_are_two_things(of):
    alone = "services: {web: {port: 8080, endpoints: [{address: 10.0.0.1}]}}\n"
    assert of(alone).callers == ()
    permissive = "services: {web: {port: 8080, endpoints: [{address: 10.0.0.1}], mtls: {mode: permissive, until: 2099-01-01}}}\n"
    assert of(permissive).callers is None
    assert "callers without a certificate can be anywhere" in " ".join(of(permissive).notes)


@pytest.mark.parametrize(
    ("namespace", "of_api", "named_by_web", "named_by_api"),
    [("", "shop", "shop", ""), ("front", "shop", "shop", "front"), ("shop", "shop", "", "")],
)
def test_a_namespace_is_named_where_it_is_another(of, namespace, of_api, named_by_web, named_by_api):
    around = Surroundings(namespace=namespace)
    web, api = of(MESH, "web", around), of(MESH, "api", around)
    assert api.namespace == of_api
    assert web.namespace == namespace
    assert [each.workload.namespace for each in web.destinations if each.workload] == [named_by_web]
    assert [each.namespace for each in api.callers] == [named_by_api]


def test_what_is_looked_up_is_within_what_was_said(of):
    around = Surroundings(within={"api": ("10.1.0.0/16", "fd01::/64")})
    assert reached(of(MESH, around=around))[0] == ("api", ("10.1.0.0/16", "fd01::/64"), 15006, "tcp")
    with pytest.raises(UsageError, match="no sidecar looks up edge; the names that are: api"):
        of(MESH, around=Surroundings(within={"edge": ("10.0.0.0/8",)}))


def test_egress_may_go_anywhere(of):
    text = "  egress: allow\nservices: {web: {port: 8080, endpoints: [{address: 10.0.0.1}]}}\n"
    assert reached(of(text))[0] == ("egress", ANYWHERE, 0, "tcp")


def test_an_application_elsewhere_is_told(of):
    text = "services: {web: {port: 8080, appAddress: 10.0.0.7, endpoints: [{address: 10.0.0.1}]}}\n"
    web = of(text)
    assert web.closed == (15000, 15001)
    assert "10.0.0.7:8080, off loopback" in " ".join(web.notes)


CALLEES = """\
services:
  web:
    port: 8080
    endpoints: [{address: 10.0.0.1}]
    calls: {api: {}, CALLS}
  api: {port: 9000, endpoints: [{address: 10.0.0.2}]}
  ledger: {port: 5432, protocol: tcp, endpoints: [{address: 10.0.0.3}]}
  far: {port: PORT, protocol: tcp, discovery: {dns: {name: far.internal}}}
externals:
  plain: {hosts: [p.example], port: 8000, endpoints: [{address: 192.0.2.1}]}
  secure: {hosts: [s.example], port: 443, tls: {}}
  vault: {hosts: [v.example], port: 8200, protocol: tls}
"""


@pytest.mark.parametrize(
    ("calls", "port", "caught", "left_out"),
    [
        ("", "1", [("requests", (), (80, 9000), 15001)], ""),
        (
            "ledger: {localPort: 15432}, plain: {}",
            "1",
            [("ledger", ("10.0.0.3/32",), (5432,), 15432), ("requests", (), (80, 8000, 9000), 15001)],
            "",
        ),
        (
            "secure: {}, vault: {localPort: 15443}",
            "1",
            [("vault", (), (8200,), 15443), ("requests", (), (80, 9000), 15001)],
            "in plain HTTP (http://s.example/) the sidecar speaks TLS",
        ),
        (
            "far: {localPort: 15500}",
            "6000",
            [("far", (), (6000,), 15500), ("requests", (), (80, 9000), 15001)],
            "",
        ),
        # Nobody could say whether it is a request.
        (
            "far: {localPort: 15500}",
            "9000",
            [("requests", (), (80, 9000), 15001)],
            "far is known by port 9000 alone, which other callees have too",
        ),
    ],
)
def test_what_is_intercepted(of, calls, port, caught, left_out):
    web = of(CALLEES.replace(", CALLS", f", {calls}" if calls else "").replace("PORT", port))
    found = [(each.name, each.networks, each.ports, each.to[0].port) for each in web.interceptions]
    assert found == caught
    assert left_out in " ".join(web.interception_notes)
    assert bool(left_out) == bool(web.interception_notes)


def test_networks_are_disjoint_and_in_order():
    written = ["10.1.0.1", "fd00::1", "10.0.0.0/8", "192.0.2.2", "192.0.2.1", "10.200.0.0/16", "192.0.2.1"]
    assert networks(written) == ("10.0.0.0/8", "192.0.2.1/32", "192.0.2.2/32", "fd00::1/128")
