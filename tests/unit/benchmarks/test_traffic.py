"""What is measured compiles, and the table tells it against nothing asked for."""

import json

import pytest

from benchmarks import traffic
from meshctl import ir, pipeline


@pytest.mark.parametrize("proxy", ir.Proxy)
@pytest.mark.parametrize("feature", traffic.FEATURES)
def test_a_feature_is_one_that_the_proxy_has(tmp_path, feature, proxy):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(json.dumps(traffic.mesh(proxy, feature, "10.0.0")), encoding="utf-8")
    validated = pipeline.validate(str(spec))
    assert [each.message for each in validated.findings if each.is_error] == []
    assert {(each.service, each.proxy) for each in validated.require().sidecars} == {
        (name, proxy) for name in ("caller", "callee", "copies")
    }


def test_figures_stand_in_columns():
    figures = [
        traffic.Figures("envoy", traffic.PLAIN, 0.001, 0.002, 0.0005, 1, 1),
        traffic.Figures("envoy", "a feature", 0.0015, 0.02, 0.001, 1.5, 2),
    ]
    *_, last = traffic.render(figures).splitlines()
    assert last.split() == [
        "envoy",
        "a",
        "feature",
        "1.50",
        "ms",
        "1.50",
        "x",
        "20.00",
        "ms",
        "1000",
        "us",
        "2.00",
        "x",
    ]
