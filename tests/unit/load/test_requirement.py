"""`mesh.requires` against a version of meshctl."""

import pytest

from meshctl import __version__, pipeline
from meshctl.diagnostics import Position
from meshctl.load import read_yaml
from meshctl.load.requirement import unmet
from meshctl.spec import Source


def asked(requires, version):
    document = read_yaml(f"mesh:\n  requires: {requires}".encode(), "f.yaml")
    return unmet(Source(document.positions, document.node), version)


@pytest.mark.parametrize(
    ("requires", "version", "met"),
    [
        ('">=0.1,<1"', "0.1.0", True),
        ('">=0.1,<1"', "0.9.12", True),
        ('">=0.1,<1"', "1.0.0", False),
        ('">=0.2"', "0.1.9", False),
        ("~=0.1.3", "0.1.9", True),
        ("~=0.1.3", "0.2.0", False),
        ('"==0.1.*"', "0.1.4", True),
        ('"!=0.1.4"', "0.1.4", False),
        # Who runs a release candidate wants to be asked as for any other version.
        ('">=0.1"', "0.2.0rc1", True),
        ('">=0.2"', "0.2.0rc1", False),
    ],
)
def test_versions_are_compared_as_pep_440_says(requires, version, met):
    fault = asked(requires, version)
    assert (fault is None) == met
    if fault is not None:
        assert (fault.slug, fault.at) == ("unsupported-version", Position("f.yaml", 2, 13))
        assert version in fault.message


@pytest.mark.parametrize("requires", ["", "soon", "[a]", '">=x"', ">=" + "9" * 5000, '">=0.1 <1"'])
def test_what_is_no_specifier_is_left_to_the_schema(requires):
    assert asked(requires, "0.1.0") is None


def test_the_version_is_told_beside_keys_that_only_another_version_knows(tmp_path):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(
        "apiVersion: meshctl.dev/v1\n"
        'mesh: {name: a, domain: a.mesh, trustDomain: a.example, requires: ">=99"}\n'
        "services: {web: {port: 80, teleport: true}}\n"
    )
    loaded = pipeline.load(str(spec))
    told = {each.slug: each for each in loaded.findings}
    assert loaded.spec is None
    assert told["unsupported-version"].at == Position(str(spec), 2, 67)
    assert __version__ in told["unsupported-version"].message
    assert told["unknown-key"].at == Position(str(spec), 3, 28)
