"""Whatever a proxy cannot do is a compile error at the line that asks for it, with a way out."""

from __future__ import annotations

import copy
import json
import shutil
from typing import Any

import pytest

from meshctl import pipeline
from meshctl.ir import Feature, Proxy
from meshctl.targets import target
from meshctl.targets.base import Unsupported
from tests.behaviour.world import KEY_SETS

REFUSED = [
    pytest.param(proxy, feature, capability, id=f"{proxy}: {feature}")
    for proxy in Proxy
    for feature, capability in target(proxy).CAPABILITIES.items()
    if isinstance(capability, Unsupported)
]

BASE: dict[str, Any] = {
    "apiVersion": "meshctl.dev/v1",
    "mesh": {
        "name": "shop",
        "domain": "shop.mesh",
        "trustDomain": "shop.example",
        "resolvers": ["10.0.0.53:53"],
    },
    "services": {
        "client": {"port": 8080, "endpoints": [{"address": "10.0.0.1"}], "calls": {"server": {}}},
        "server": {"port": 8080, "endpoints": [{"address": "10.0.0.2"}]},
    },
}


def server(*gone: str, **written: Any) -> dict[str, Any]:
    return {"services": {"server": written | dict.fromkeys(gone)}}


def looked_up(kind: str, **written: str) -> dict[str, Any]:
    return server("endpoints", discovery={kind: written})


ASKING: dict[Feature, dict[str, Any]] = {
    Feature.SEVERAL_PORTS: server("port", ports={"http": 8080, "grpc": 9090}),
    Feature.MTLS_PERMISSIVE: {"mesh": {"mtls": {"mode": "permissive", "until": "2099-01-01"}}},
    Feature.MTLS_DISABLED: {"mesh": {"mtls": {"mode": "disabled"}, "authorization": {"mode": "open"}}},
    Feature.JWT: {
        "mesh": {
            "jwt": {"issuers": {"idp": {"issuer": "https://idp", "audiences": ["shop"], "jwks": "keys.json"}}}
        },
        "services": {"server": {"allow": [{"from": ["client"], "jwt": "idp"}]}},
    },
    Feature.RETRY_GRPC_STATUS: server(protocol="grpc", retries={"attempts": 1, "retryOn": ["unavailable"]}),
    Feature.DNS_SRV_DISCOVERY: looked_up("dnsSrv", name="_mesh._tcp.server.internal"),
    Feature.MAX_PENDING: server(circuitBreaker={"maxPendingRequests": 5}),
}
"""What a user writes to ask for a feature that some target refuses."""


def merged(into: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """A copy with what is written over it; None takes a key away."""
    result = copy.deepcopy(into)
    for key, value in written.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def findings(feature: Feature, proxy: Proxy, folder: Any) -> list[Any]:
    spec = merged(BASE, ASKING[feature])
    spec["mesh"]["proxy"] = proxy
    (folder / "keys.json").write_text('{"keys": []}')
    shutil.copy(KEY_SETS / "idp.json", folder / "keys.json")
    (folder / "mesh.yaml").write_text(json.dumps(spec, indent=1))
    return list(pipeline.validate(str(folder / "mesh.yaml")).findings)


@pytest.mark.parametrize(("proxy", "feature", "capability"), REFUSED)
def test_what_a_proxy_cannot_do_is_an_error_with_a_way_out(proxy, feature, capability, tmp_path):
    assert feature in ASKING, f"write in ASKING what a user writes to ask for {feature!r}"
    found = findings(feature, proxy, tmp_path)
    told = [each for each in found if each.slug == "unsupported-on-target" and str(feature) in each.message]
    assert told, [(each.slug, each.message) for each in found]
    assert all(each.is_error and each.at.line > 1 for each in told)
    assert {each.fix for each in told} == {capability.instead}
    assert all(capability.why in each.message for each in told)
    assert [each for each in found if each.is_error and each not in told] == []


def test_what_it_can_do_is_none(tmp_path):
    found = findings(Feature.MAX_PENDING, Proxy.ENVOY, tmp_path)
    assert [each for each in found if each.slug == "unsupported-on-target"] == []
