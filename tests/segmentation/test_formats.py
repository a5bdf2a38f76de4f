"""What is written for each mesh of the golden cases is taken by those who read it: nft, systemd, Kubernetes' schema."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from meshctl import pipeline
from meshctl.resolve.segmentation import Surroundings, perimeters
from meshctl.segmentation import Options, Segmenter, nftables
from meshctl.segmentation.naming import Naming
from tests.golden.cases import CASES
from tests.segmentation.hosts import hosts

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/schemas/kubernetes-networkpolicy-1.37.schema.json").read_text("utf-8"))
BY_NUMBER = Naming("20001", "20002")


@pytest.fixture(scope="module")
def meshes():
    """Every golden case that can be built, by its name."""
    checked = {
        case.name: pipeline.check(pipeline.load(str(case / "mesh.yaml")), builds=False) for case in CASES
    }
    return {name: each for name, each in checked.items() if each.mesh is not None}


def emitted(validated, form):
    return pipeline.segment(validated, form, Options(Naming()), Surroundings())


def test_nft_takes_every_table(meshes):
    # One sidecar at a time, for all of them have the same users here.
    told = {
        artifact.content.decode(): None
        for validated in meshes.values()
        for perimeter in perimeters(validated.spec, validated.mesh, Surroundings())
        for artifact in nftables.emit([perimeter], BY_NUMBER, intercept=True)
    }
    assert len(told) > len(CASES)
    with hosts(one="10.84.1.1") as found:
        found["one"].run("nft", "-c", "-f", "-", text="".join(told))


def test_kubernetes_takes_every_policy(meshes):
    documents = [
        document
        for validated in meshes.values()
        for each in emitted(validated, Segmenter.KUBERNETES)
        for document in yaml.load_all(each.content, yaml.CSafeLoader)
    ]
    assert len(documents) > len(CASES)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for each in documents:
        validator.validate(each)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**documents[0], "spec": {**documents[0]["spec"], "podselector": {}}})


def test_systemd_takes_every_drop_in(meshes, tmp_path):
    # Those that say the same about different services are one.
    settings = {
        each.content.decode().partition("[Service]")[2]: each
        for validated in meshes.values()
        for each in emitted(validated, Segmenter.SYSTEMD)
    }
    assert len(settings) > 10
    for number, each in enumerate(settings.values()):
        unit = f"unit-{number}.service"
        (tmp_path / unit).write_text("[Service]\nExecStart=/bin/true\n", "utf-8")
        (tmp_path / f"{unit}.d").mkdir()
        (tmp_path / f"{unit}.d" / Path(each.path).name).write_bytes(each.content)
    assert verified(tmp_path) == ""
    broken = next(tmp_path.glob("*.d")) / "60-broken.conf"
    broken.write_text("[Service]\nIPAddressAllow=300.0.0.1\n", "utf-8")
    assert "300.0.0.1" in verified(tmp_path)


def verified(folder: Path) -> str:
    units = sorted(each.name for each in folder.glob("*.service"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    # What it says of the machine's own units is nothing of ours.
    return "".join(each for each in done.stderr.splitlines(keepends=True) if str(folder) in each)
