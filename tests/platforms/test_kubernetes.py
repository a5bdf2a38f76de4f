"""What is written for Kubernetes is as the API's schemas say, alone and in the workloads that it is put into."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from meshctl import pipeline
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import cert_manager
from meshctl.pki.identities import identities_of
from meshctl.platforms import Options, Platform, kubernetes
from tests.platforms.making import ROOT, documents, made, told, validated


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((ROOT / "tests/schemas" / name).read_text("utf-8")))


WORKLOADS = validator("kubernetes-workloads-1.37.schema.json")
KUSTOMIZATION = validator("kustomize-component.schema.json")


def application(patch: dict[str, Any]) -> dict[str, Any]:
    """A workload of a user's, as the patch wants to find it."""
    name = patch["metadata"]["name"]
    labels = {"app.kubernetes.io/name": name}
    spec = {
        "containers": [{"name": name, "image": name}],
        "initContainers": [{"name": "first", "image": name}],
    }
    return {
        **{key: patch[key] for key in ("apiVersion", "kind", "metadata")},
        "spec": {
            "selector": {"matchLabels": labels},
            **({"serviceName": name} if patch["kind"] == "StatefulSet" else {}),
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def patched(patch: dict[str, Any]) -> dict[str, Any]:
    """As a strategic merge does it, for the lists that the patch has; all of them are merged by name."""
    found = application(patch)
    pod = found["spec"]["template"]["spec"]
    for key, value in patch["spec"]["template"]["spec"].items():
        pod[key] = [*value, *pod.get(key, [])] if isinstance(value, list) else value
    return found


def test_the_api_takes_all_of_it():
    found = documents(made("cluster", Platform.KUBERNETES, workloads={"ledger": "StatefulSet"}))
    kinds = []
    for path, document in found.items():
        kinds.append(document["kind"])
        if document["kind"] == "Component":
            KUSTOMIZATION.validate(document)
        else:
            WORKLOADS.validate(patched(document) if path.endswith("sidecar.yaml") else document)
    assert sorted(kinds) == [*["Component"] * 5, *["Deployment"] * 3, *["Service"] * 3, "StatefulSet"]
    wrong = patched(found["kubernetes/web/sidecar.yaml"])
    wrong["spec"]["template"]["spec"]["initContainers"][0]["startupprobe"] = {}
    with pytest.raises(jsonschema.ValidationError):
        WORKLOADS.validate(wrong)
    with pytest.raises(jsonschema.ValidationError):
        KUSTOMIZATION.validate({**found["kubernetes/kustomization.yaml"], "component": []})


def test_what_is_named_is_there():
    artifacts = made("cluster", Platform.KUBERNETES)
    paths = {each.path for each in artifacts}
    found = documents(artifacts)
    top = found["kubernetes/kustomization.yaml"]["components"]
    assert top == ["catalog", "edge", "ledger", "web"]
    for service in top:
        component = found[f"kubernetes/{service}/kustomization.yaml"]
        (generator,) = component["configMapGenerator"]
        files = dict(each.split("=") for each in generator["files"])
        assert {f"kubernetes/{service}/{each}" for each in files.values()} == {
            each for each in paths if each.startswith(f"kubernetes/{service}/files/")
        }
        its = "deployment" if service == "edge" else "sidecar"
        pod = found[f"kubernetes/{service}/{its}.yaml"]["spec"]["template"]["spec"]
        volume = next(each["configMap"] for each in pod["volumes"] if "configMap" in each)
        assert volume["name"] == generator["name"]
        assert {each["key"]: f"files/{each['path']}" for each in volume["items"]} == files
        mounted = {
            each["name"] for each in (pod.get("initContainers") or pod["containers"])[0]["volumeMounts"]
        }
        assert mounted == {each["name"] for each in pod["volumes"]}


def test_the_restricted_profile_lets_it_in():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    pod = documents(made("cluster", Platform.KUBERNETES))["kubernetes/web/sidecar.yaml"]["spec"]["template"][
        "spec"
    ]
    (container,) = pod["initContainers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {key for each in pod["volumes"] for key in each} == {"name", "configMap", "emptyDir", "projected"}
    assert "securityContext" not in pod


def test_certificates_are_looked_for_where_cert_manager_puts_them():
    found = documents(made("cluster", Platform.KUBERNETES))
    identities = identities_of(validated("cluster").require())
    issuer = cert_manager.IssuerReference("mesh", "Issuer", "cert-manager.io")
    for each in cert_manager.certificates(identities, issuer, None):
        service = each["spec"]["commonName"]
        its = "deployment" if service == "edge" else "sidecar"
        pod = found[f"kubernetes/{service}/{its}.yaml"]["spec"]["template"]["spec"]
        sources = next(it["projected"]["sources"] for it in pod["volumes"] if "projected" in it)
        assert sources[0]["secret"]["name"] == each["spec"]["secretName"]


def test_a_namespace_is_written_only_where_it_is_asked_for():
    def namespaces(**options: Any) -> set[Any]:
        found = documents(made("cluster", Platform.KUBERNETES, **options))
        kinds = [each for each in found.values() if each["kind"] != "Component"]
        return {each["metadata"].get("namespace") for each in kinds}

    assert namespaces() == {None}
    assert namespaces(namespace="shop") == {"shop"}


def test_what_a_cluster_cannot_do_is_told_where_it_is_written():
    lines = told("reference", Platform.KUBERNETES).splitlines()
    assert "33:5 error MSH7004 catalog has 2 bundles, but all its pods get the same one" in lines
    assert any("warning MSH7005 callers ask for web at 10.0.1.10" in each for each in lines)
    assert "which no other pod reaches" in told("shop", Platform.KUBERNETES)
    assert told("cluster", Platform.KUBERNETES) == ""


SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: m, domain: m.mesh, trustDomain: m.example%s}
services: {web: {port: 8080, calls: {}%s}}
"""


def of(tmp_path, mesh="", service=""):
    (tmp_path / "mesh.yaml").write_text(SPEC % (mesh, service), "utf-8")
    return pipeline.validate(str(tmp_path / "mesh.yaml"))


def test_an_address_that_no_pod_has_is_refused(tmp_path):
    validated = of(tmp_path, ", bind: endpoint", ", endpoints: [{address: 10.0.0.1}]")
    with pytest.raises(FindingsError) as caught:
        pipeline.deploy(validated, Platform.KUBERNETES, Options())
    (found,) = caught.value.findings
    assert found.message == "the sidecar of web would listen on 10.0.0.1:15006, which no pod has"
    assert found.at is not None
    assert (found.at.line, found.at.column) == (3, 41)


def test_what_no_config_map_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(kubernetes, "LARGEST", 1000)
    with pytest.raises(FindingsError, match="1 finding") as caught:
        pipeline.deploy(of(tmp_path), Platform.KUBERNETES, Options())
    assert "and a ConfigMap holds 1,000" in caught.value.findings[0].message


def test_without_a_health_listener_a_program_in_the_container_asks(tmp_path):
    def probe(mesh: str) -> dict[str, Any]:
        artifacts, _ = pipeline.deploy(of(tmp_path, mesh), Platform.KUBERNETES, Options())
        pod = documents(artifacts)["kubernetes/web/sidecar.yaml"]["spec"]["template"]["spec"]
        return pod["initContainers"][0]["readinessProbe"]  # type: ignore[no-any-return]

    assert probe(", health: {port: 15021}")["httpGet"] == {"path": "/ready", "port": 15021}
    assert probe("")["exec"]["command"][0] == "/usr/bin/perl"
    # The kubelet does not reach loopback.
    assert "exec" in probe(", health: {address: 127.0.0.1}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "a b"}, "is not the key of a label"),
        ({"workloads": {"web": "Pod"}}, "'Pod' is not one of Deployment, StatefulSet, DaemonSet"),
        ({"image": ""}, "is not the name of an image"),
    ],
)
def test_what_is_no_name_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        made("cluster", Platform.KUBERNETES, **options)
