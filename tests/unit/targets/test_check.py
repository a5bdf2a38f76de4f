"""What a target cannot do, or not quite, or not together, is said before anything is emitted."""

from types import SimpleNamespace

import pytest

from meshctl import pipeline
from meshctl.ir import Feature, Proxy
from meshctl.targets import check as module
from meshctl.targets.base import Conflict, Emulated, Native, Unsupported

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {server: {}}}
  other: {port: 80, proxy: nginx, endpoints: [{address: 10.0.0.3}], calls: {server: {}}}
  server:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    timeout: 1s
    routes: [{name: a, matches: [{methods: [GET]}]}]
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    def told(conflicts=(), **capabilities):
        table = {feature: capabilities.get(feature.name, Native()) for feature in Feature}
        able = SimpleNamespace(CAPABILITIES=dict.fromkeys(Feature, Native()), CONFLICTS=())
        envoy = SimpleNamespace(CAPABILITIES=table, CONFLICTS=conflicts)
        monkeypatch.setattr(module, "target", lambda proxy: envoy if proxy is Proxy.ENVOY else able)
        (tmp_path / "mesh.yaml").write_text(MESH, "utf-8")
        validated = pipeline.validate(str(tmp_path / "mesh.yaml"))
        assert (validated.mesh is None) == any(each.is_error for each in validated.findings)
        return [(each.slug, each.at.line, each.message, each.fix) for each in validated.findings]

    return told


def test_what_all_can_do_is_not_mentioned(told):
    assert told() == []


def test_an_unsupported_feature_is_an_error_at_the_field_and_names_the_caller(told):
    (found,) = told(METHOD_MATCH=Unsupported("it cannot read", "Use paths."))
    message = "method match on the envoy sidecar of `web`: it cannot read"
    assert found == ("unsupported-on-target", 10, message, "Use paths.")


def test_an_emulated_feature_is_a_warning(told):
    (found,) = told(TIMEOUT=Emulated("a bit late"))
    assert found[:3] == ("approximated-on-target", 9, "timeout on the envoy sidecar of `web`: a bit late")


@pytest.mark.parametrize(("alike", "count"), [("held back", 1), ("otherwise", 2)])
def test_conditions_of_a_retry_that_differ_alike_are_told_once(told, monkeypatch, alike, count):
    retries = "    retries: {attempts: 1, retryOn: [connect-failure, gateway-error]}\n"
    monkeypatch.setattr(f"{__name__}.MESH", MESH + retries)
    found = told(RETRY_CONNECT_FAILURE=Emulated("held back"), RETRY_GATEWAY_ERROR=Emulated(alike))
    assert len(found) == count
    if count == 1:
        message = "retry on connect-failure, retry on gateway-error on the envoy sidecar of `web`: held back"
        assert found[0][2] == message


def test_the_table_of_a_mesh_leaves_out_what_cannot_show_in_it(told, tmp_path, monkeypatch):
    told(
        TIMEOUT=Emulated("a bit late", lambda each: each.service == "server"), METHOD_MATCH=Emulated("slowly")
    )
    mesh = pipeline.validate(str(tmp_path / "mesh.yaml")).require()
    cells = {row["feature"]: row["envoy"] for row in module.table(mesh)}
    assert cells["timeout"] == {"kind": "native"}
    assert cells["method match"] == {"kind": "emulated", "how": "slowly"}
    whole = {row["feature"]: row["envoy"] for row in module.table()}
    assert whole["timeout"] == {"kind": "emulated", "how": "a bit late"}


def test_what_nobody_asked_for_is_not_looked_at(told):
    assert told(RETRY_GATEWAY_ERROR=Unsupported("no", "no"), MAX_REQUESTS=Unsupported("no", "no")) == []


def test_a_conflict_is_an_error(told):
    conflict = Conflict(
        (Feature.TIMEOUT,),
        lambda sidecar: sidecar.outbound.virtual_hosts if sidecar.service == "web" else (),
        "not together",
        "Drop one.",
    )
    (found,) = told(conflicts=(conflict,))
    message = "the envoy sidecar of `web`: not together"
    assert found == ("unsupported-on-target", 9, message, "Drop one.")
