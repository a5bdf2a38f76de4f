"""What leads out of the mesh and into it: externals, egress, gateways, local ports, streams, health, IPv6."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshctl import ir
from meshctl.resolve import loopback, resolve
from tests.unit.resolve.specs import read, resolved, sidecar, slugs

RESOLVERS = ", resolvers: ['127.0.0.53:53', '[2001:DB8::53]:53']"
CALLER = "services:\n  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {pay: {%s}}}\n"


def sockets(binds) -> list[str]:
    return [str(each) for each in binds]


def external(tmp_path, written: str, call: str = "") -> ir.Sidecar:
    return sidecar(resolved(tmp_path, f"{CALLER % call}externals:\n  pay: {{{written}}}\n", RESOLVERS), "web")


@pytest.mark.parametrize(
    ("written", "clusters", "hosts"),
    [
        ("hosts: [a.x], port: 80", {"pay": "a.x"}, {("a.x",): "pay"}),
        ("hosts: ['*.x'], port: 80", {"pay": ""}, {("*.x",): "pay"}),
        (
            "hosts: [b.x, a.x, '*.y', '*.z'], port: 80",
            {"pay": "", "pay.a.x": "a.x", "pay.b.x": "b.x"},
            {("a.x",): "pay.a.x", ("b.x",): "pay.b.x", ("*.y", "*.z"): "pay"},
        ),
        ("hosts: [a.x, b.x], port: 80, endpoints: [{address: 192.0.2.1}]", {"pay": None}, {("a.x", "b.x"): "pay"}),
        (
            "hosts: [a.x, b.x], port: 443, tls: {}, endpoints: [{address: 192.0.2.1}]",
            {"pay.a.x": None, "pay.b.x": None},
            {("a.x",): "pay.a.x", ("b.x",): "pay.b.x"},
        ),
        (
            "hosts: [a.x, b.x], port: 443, tls: {sni: c.x}, endpoints: [{address: 192.0.2.1}]",
            {"pay": None},
            {("a.x", "b.x"): "pay"},
        ),
    ],
)  # fmt: skip
def test_each_host_that_is_looked_up_is_a_cluster(tmp_path, written, clusters, hosts):
    web = external(tmp_path, written)
    assert {each.name: each.dns and each.dns.name for each in web.clusters} == clusters
    seen = {each.hostnames: each.routes[0].backends[0].cluster for each in web.outbound.virtual_hosts}
    assert seen == hosts
    assert all(each.identity is None and each.origin is not None for each in web.clusters)


@pytest.mark.parametrize(
    ("tls", "name", "authorities"),
    [
        ("{}", "a.x", "/etc/ssl/certs/ca-certificates.crt"),
        ("{ca: system}", "a.x", "/etc/ssl/certs/ca-certificates.crt"),
        ("{sni: b.x, ca: /etc/own.pem}", "b.x", "/etc/own.pem"),
    ],
)
def test_tls_to_an_external(tmp_path, tls, name, authorities):
    (cluster,) = external(tmp_path, f"hosts: [a.x], port: 443, tls: {tls}").clusters
    assert cluster.origin is not None
    assert cluster.origin.tls is not None
    assert (cluster.origin.tls.server_name, cluster.origin.tls.authorities) == (name, authorities)


def test_the_policy_of_an_external_is_inherited_like_any_other(tmp_path):
    written = "hosts: [a.x], port: 80, timeout: 9s, connectTimeout: 2s"
    (plain,) = external(tmp_path, written).outbound.virtual_hosts
    narrowed = external(tmp_path, written, "timeout: 1s")
    assert plain.routes[0].timeout.duration.total_seconds() == 9
    assert narrowed.outbound.virtual_hosts[0].routes[0].timeout.duration.total_seconds() == 1
    assert narrowed.clusters[0].connect_timeout.total_seconds() == 2


def test_resolvers_are_for_those_who_look_names_up(tmp_path):
    assert sockets(external(tmp_path, "hosts: [a.x], port: 80").resolvers) == [
        "127.0.0.53:53",
        "[2001:db8::53]:53",
    ]
    assert external(tmp_path, "hosts: [a.x], port: 80, endpoints: [{address: 192.0.2.1}]").resolvers == ()


def test_a_local_port_tells_an_external_its_own_host(tmp_path):
    web = external(tmp_path, "hosts: [a.x], port: 80", "localPort: 9000")
    (local,) = web.locals
    (host,) = local.virtual_hosts
    assert sockets(local.binds) == ["127.0.0.1:9000"]
    assert (host.hostnames, host.routes[0].rewrite) == (("*",), ir.Rewrite(hostname="a.x"))
    assert web.outbound.virtual_hosts[0].routes[0].rewrite is None


def test_egress_is_one_more_cluster_of_services_and_not_of_gateways(tmp_path):
    text = "services: {web: {port: 80}}\ngateways: {edge: {port: 80, calls: {web: {}}}}\ndefaults: {timeout: 3s}\n"
    mesh = resolved(tmp_path, text, f", egress: allow{RESOLVERS}")
    web, edge = sidecar(mesh, "web"), sidecar(mesh, "edge")
    assert web.outbound.egress is not None
    assert web.outbound.egress.backends == (ir.WeightedCluster("egress", 1),)
    assert web.outbound.egress.timeout.duration.total_seconds() == 3
    assert [(each.name, each.dns and each.dns.port) for each in web.clusters] == [("egress", 0)]
    assert (edge.outbound.egress, [each.name for each in edge.clusters]) == (None, ["web"])


GATEWAY = """
defaults: {{timeout: 7s}}
services:
  web: {{port: 80, endpoints: [{{address: 10.0.0.1, subset: v1}}], timeout: 4s}}
  api: {{port: 80, endpoints: [{{address: 10.0.0.2}}]}}
gateways:
  edge: {{{}}}
"""


@pytest.mark.parametrize(
    ("written", "routes"),
    [
        ("port: 80, calls: {web: {}}", {("*",): ["default web 4"]}),
        ("port: 80, hostnames: [a.x, '*.b.x'], calls: {web: {timeout: 2s}}", {("a.x", "*.b.x"): ["default web 2"]}),
        (
            ("port: 80, calls: {web: {}, api: {}}, routes: [{name: w, backends: [{service: web, subset: v1}]}, "
            "{name: a, matches: [{path: {prefix: /api}}], backends: [{service: api}]}, "
            "{name: t, matches: [{path: {exact: /t}}], respond: {status: 404}}]"),
            {("*",): ["t  15", "a api 7", "w web.v1 4"]},
        ),
        (
            "port: 80, calls: {web: {}}, routes: [{name: w, timeout: 1s}, {name: h, hostnames: [h.x]}]",
            {("*",): ["w web 1"], ("h.x",): ["h web 4"]},
        ),
    ],
)  # fmt: skip
def test_routes_of_a_gateway(tmp_path, written, routes):
    edge = sidecar(resolved(tmp_path, GATEWAY.format(written)), "edge")
    seen = {
        host.hostnames: [
            f"{each.name} {' '.join(one.cluster for one in each.backends)} {each.timeout.duration.seconds}"
            for each in host.routes
        ]
        for host in edge.outbound.virtual_hosts
    }
    assert seen == routes
    assert (edge.inbound, edge.outbound.domain, edge.is_gateway) == (None, "", True)


def test_a_gateway_is_a_caller(tmp_path):
    mesh = resolved(tmp_path, GATEWAY.format("port: 80, calls: {web: {}}"))
    assert mesh.calls == (("edge", "web"),)
    inbound = sidecar(mesh, "web").inbound
    assert inbound is not None
    assert [each.spiffe_id for each in inbound.authorization.rules[0].principals] == [
        "spiffe://shop.example/edge"
    ]


STREAM = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {db: {localPort: 5432}, api: {localPort: 9000}}}
  db: {ports: {tcp: 5432}, endpoints: [{address: 10.0.0.2}]}
  api: {port: 80, endpoints: [{address: 10.0.0.3}]}
"""


def test_a_stream_has_a_listener_of_its_own_and_no_name(tmp_path):
    mesh = resolved(tmp_path, STREAM)
    web, db = sidecar(mesh, "web"), sidecar(mesh, "db")
    assert [(sockets(each.binds), each.cluster) for each in web.tcp] == [(["127.0.0.1:5432"], "db")]
    assert [each.virtual_hosts[0].service for each in web.locals] == ["api"]
    assert [each.service for each in web.outbound.virtual_hosts] == ["api"]
    assert {each.name: each.protocol for each in web.clusters} == {"api": "http", "db": "tcp"}
    assert db.inbound is not None
    assert (db.inbound.protocol, str(db.inbound.application)) == ("tcp", "127.0.0.1:5432")


@pytest.mark.parametrize(
    ("mesh", "service", "binds", "path"),
    [
        ("", "", None, None),
        (", health: {port: 15021}", "", ["0.0.0.0:15021"], ""),
        (", health: {port: 15021}", "healthPath: /h, ", ["0.0.0.0:15021"], "/h"),
        ("", "health: {address: 10.0.0.1}, ", ["10.0.0.1:15021"], ""),
        (", health: {port: 1}", "health: {port: 2}, ", ["0.0.0.0:2"], ""),
        (", health: {port: 1}, bind: endpoint", "", ["10.0.0.1:1"], ""),
    ],
)
def test_the_health_listener_is_there_where_it_is_written(tmp_path, mesh, service, binds, path):
    text = f"services: {{web: {{{service}port: 80, endpoints: [{{address: 10.0.0.1}}]}}}}"
    health = sidecar(resolved(tmp_path, text, mesh), "web").health
    assert (health and sockets(health.binds), health and health.path) == (binds, path)
    if health is not None:
        assert (health.application is not None) is bool(path)


@pytest.mark.parametrize(
    ("endpoints", "mesh", "inbound", "outbound"),
    [
        ("[{address: 10.0.0.1}]", "", ["0.0.0.0:15006"], ["127.0.0.1:15001"]),
        ("[{address: '2001:DB8:0::1'}]", "", ["[::]:15006"], ["127.0.0.1:15001", "[::1]:15001"]),
        (
            "[{address: 10.0.0.1}, {address: '2001:db8::1'}]",
            "",
            ["0.0.0.0:15006", "[::]:15006"],
            ["127.0.0.1:15001", "[::1]:15001"],
        ),
        ("[{address: '2001:db8::1'}]", ", bind: endpoint", ["[2001:db8::1]:15006"], ["127.0.0.1:15001", "[::1]:15001"]),
        ("[{address: '::1'}]", ", bind: endpoint", ["[::1]:15006"], ["[::1]:15001"]),
        ("[{address: 10.0.0.1}]", ", inbound: {address: '::'}", ["[::]:15006"], ["127.0.0.1:15001"]),
    ],
)  # fmt: skip
def test_ipv6_is_listened_on_where_it_is_known_to_be(tmp_path, endpoints, mesh, inbound, outbound):
    web = sidecar(resolved(tmp_path, f"services: {{web: {{port: 80, endpoints: {endpoints}}}}}", mesh), "web")
    assert web.inbound is not None
    assert (sockets(web.inbound.binds), sockets(web.outbound.binds)) == (inbound, outbound)
    asked = {each.feature for each in web.asks}
    assert (ir.Feature.IPV6 in asked) is (":" in f"{endpoints}{mesh}".replace(": ", ""))


@pytest.mark.parametrize(
    ("services", "conflict"),
    [
        ("{web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {localPort: 15001}}}, api: {port: 80}}", True),
        ("{web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {localPort: 81}}}, api: {port: 81, endpoints: [{address: 10.0.0.1}], inbound: {port: 1}, outbound: {port: 2}, admin: {port: 3}}}", True),
        ("{web: {port: 80, endpoints: [{address: 10.0.0.1}], health: {port: 80}}}", True),
        ("{web: {port: 80, endpoints: [{address: 10.0.0.1}], health: {port: 80, address: 10.0.0.1}}}", False),
        ("{web: {port: 80, endpoints: [{address: '2001:db8::1'}], inbound: {port: 5}, outbound: {port: 5}}}", True),
        ("{web: {port: 80, endpoints: [{address: 10.0.0.1}], inbound: {port: 5, address: '::'}, outbound: {port: 5}}}", False),
    ],
)  # fmt: skip
def test_ports_that_meet(tmp_path, services, conflict):
    assert ("port-conflict" in slugs(resolve(read(tmp_path, f"services: {services}")))) is conflict


def test_on_one_machine_gateways_and_externals_have_addresses_of_their_own(tmp_path):
    text = f"""{CALLER % ""}externals:
  pay: {{hosts: [a.x, '*.y'], port: 443, tls: {{}}}}
gateways:
  edge: {{port: 8443, bind: 0.0.0.0, endpoints: [{{address: 10.0.0.9}}], tls: {{certificate: /a.pem, key: /a.key}}, calls: {{web: {{}}}}}}
"""
    resolution = resolve(loopback(read(tmp_path, text)))
    mesh = resolution.mesh
    assert mesh is not None
    assert not resolution.findings, "what was moved is no fault of the spec"
    web, edge = sidecar(mesh, "web"), sidecar(mesh, "edge")
    assert (sockets(edge.outbound.binds), str(edge.admin.bind)) == (["127.80.2.1:8443"], "127.80.2.1:15000")
    (pay,) = web.clusters
    assert [str(each.socket) for each in pay.endpoints] == ["127.80.3.1:8080"]
    assert (pay.origin, pay.dns) == (ir.Origin(None), None)


def test_on_one_machine_nothing_is_looked_up(tmp_path):
    text = """services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}
  api: {port: 80, discovery: {dnsSrv: {name: _api._tcp.internal}}}
"""
    mesh = resolve(loopback(read(tmp_path, text, RESOLVERS))).mesh
    assert mesh is not None
    (api,) = sidecar(mesh, "web").clusters
    assert ([str(each.socket) for each in api.endpoints], api.dns) == (["127.80.1.1:15006"], None)
    (looked_up,) = sidecar(resolved(tmp_path, text, RESOLVERS), "web").clusters
    assert looked_up.dns == ir.DnsName("_api._tcp.internal", 0, timedelta(seconds=30), srv=True)


SHARED = """services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {pay: {localPort: 16443}, bank: {localPort: 16443}}}
externals:
  pay: {hosts: [b.x, "*.a.x"], port: 443, protocol: tls, endpoints: [{address: 192.0.2.1}]}
  bank: {hosts: [a.x, c.x], port: 444, protocol: tls}
"""


def test_names_in_tls_share_a_port(tmp_path):
    web = sidecar(resolved(tmp_path, SHARED, RESOLVERS), "web")
    (listener,) = web.tcp
    assert listener.services == ("bank", "pay")
    assert {each.cluster: each.hostnames for each in listener.sni} == {
        "pay": ("*.a.x", "b.x"),
        "bank.a.x": ("a.x",),
        "bank.c.x": ("c.x",),
    }
    assert {each.name: each.dns and (each.dns.name, each.dns.port) for each in web.clusters} == {
        "pay": None,
        "bank.a.x": ("a.x", 444),
        "bank.c.x": ("c.x", 444),
    }
    assert ir.Feature.TLS_PASSTHROUGH in {each.feature for each in ir.features_of(web)}
