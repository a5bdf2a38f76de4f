"""The meshes that are measured are valid, and the same for the same seed."""

import pytest
import yaml

from benchmarks import generate
from meshctl import pipeline


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_generated_mesh_is_valid(tmp_path, seed):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(generate.mesh(60, seed=seed, changed=(30,), unrelated=5), encoding="utf-8")
    validated = pipeline.validate(str(spec))
    assert [each.message for each in validated.findings if each.is_error] == []
    assert {sidecar.proxy for sidecar in validated.require().sidecars} == {"envoy", "haproxy", "nginx"}


def test_a_seed_decides_everything():
    assert generate.mesh(50, seed=7) == generate.mesh(50, seed=7)
    assert generate.mesh(50, seed=7) != generate.mesh(50, seed=8)


def test_a_change_concerns_one_service():
    before, after = (yaml.safe_load(generate.mesh(50, changed=each))["services"] for each in ((), (25,)))
    assert [name for name in before if before[name] != after[name]] == ["svc-25"]


def test_unrelated_services_are_only_added():
    text = generate.mesh(50)
    more = generate.mesh(50, unrelated=10)
    assert more.startswith(text)
    services = yaml.safe_load(more)["services"]
    others = {name for name in services if name.startswith("other-")}
    assert len(others) == 10
    assert all(set(services[name].get("calls", ())) <= others for name in others)


def read(text):
    """By libyaml: eight times as fast, for thousands of services."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def test_a_folder_holds_the_same_mesh():
    text = generate.mesh(2500)
    parts = generate.files(text)
    assert list(parts) == ["mesh.yaml", *(f"services-{nth}.yaml" for nth in range(3))]
    services: dict[str, object] = {}
    for name, part in parts.items():
        services |= read(part).get("services") or {}
        assert len(part) < 4 << 20, name
    assert services == read(text)["services"]


def test_generated_route_tests_pass(tmp_path):
    text = generate.mesh(40)
    (tmp_path / "mesh.yaml").write_text(text)
    (tmp_path / "bench.test.yaml").write_text(generate.route_tests(text, 300))
    tested = pipeline.run_route_tests(str(tmp_path))
    assert (len(tested.verdicts), tested.failed) == (300, 0)
    assert len({(each.test.caller, each.outcome.virtual_host) for each in tested.verdicts}) > 50
