"""`meshctl certs export` and `import`: resources for cert-manager, and keys encrypted for age."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import jsonschema
import pyrage
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, bind: endpoint, endpoints: [{address: 10.0.0.2}, {address: "2001:db8::2"}]}
"""
SCHEMA = Path(__file__).resolve().parents[1] / "schemas" / "cert-manager-certificate.schema.json"
CERT_MANAGER = ["certs", "export", "--format", "cert-manager", "--issuer", "mesh-ca"]
AGE = ["certs", "export", "--format", "age", "--to", "secrets"]
KEY = pyrage.x25519.Identity.generate()
WHOM = ["--recipient", str(KEY.to_public())]
WEB = Path("build/web")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    with contextlib.chdir(folder):
        Path("mesh.yaml").write_text(SPEC)
        assert run(["certs", "init"]) == 0
        assert run(["build", "--verify", "none"]) == 0
        Path("age.key").write_text(f"# made by age-keygen\n{KEY}\n")
    return folder


@pytest.fixture(autouse=True)
def built(template, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(template, ".", dirs_exist_ok=True)
    capsys.readouterr()


@pytest.fixture
def node(built):
    """A host's bundle, which has no certificate yet."""
    shutil.copytree(WEB, "node", ignore=shutil.ignore_patterns("tls"))
    return Path("node")


def everything(*folders):
    return {path: path.read_bytes() for each in folders for path in Path(each).rglob("*") if path.is_file()}


def words(text):
    return re.sub(r"\s+", " ", text)


def test_one_resource_for_each_bundle(capsys):
    assert run([*CERT_MANAGER, "--issuer-kind", "ClusterIssuer", "--namespace", "shop"]) == 0
    out, err = capsys.readouterr()
    assert err == "3 Certificates\n"
    catalog, other, web = yaml.safe_load_all(out)
    assert web == {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {
            "name": "mesh-web",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "meshctl", "app.kubernetes.io/part-of": "shop"},
        },
        "spec": {
            "secretName": "mesh-web",
            "commonName": "web",
            "subject": {"organizations": ["shop.example"]},
            "uris": ["spiffe://shop.example/web"],
            "dnsNames": ["web.shop.mesh"],
            "isCA": False,
            "usages": ["digital signature", "server auth", "client auth"],
            "privateKey": {
                "algorithm": "ECDSA",
                "size": 256,
                "encoding": "PKCS8",
                "rotationPolicy": "Always",
            },
            "duration": "720h0m0s",
            "renewBefore": "240h0m0s",
            "issuerRef": {"name": "mesh-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"},
        },
    }
    names = [each["metadata"]["name"] for each in (catalog, other)]
    assert names == ["mesh-catalog.10.0.0.2", "mesh-catalog.2001-db8--2"]


def test_cert_managers_own_schema_takes_them(capsys):
    assert run(CERT_MANAGER) == 0
    schema = json.loads(SCHEMA.read_text())
    for each in yaml.safe_load_all(capsys.readouterr().out):
        jsonschema.validate(each, schema)
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", each["metadata"]["name"])
        each["spec"]["privateKey"]["rotationPolicies"] = "Always"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(each, schema)


def test_lifetimes_are_said_as_go_says_them(capsys):
    Path("mesh.yaml").write_text(
        SPEC.replace("proxy: envoy", "proxy: envoy, certificates: {lifetime: 90m, renewBefore: 390s}")
    )
    assert run(["build", "--verify", "none"]) == 0
    capsys.readouterr()
    assert run([*CERT_MANAGER, "--service", "web"]) == 0
    spec = yaml.safe_load(capsys.readouterr().out)["spec"]
    assert (spec["duration"], spec["renewBefore"]) == ("1h30m0s", "6m30s")
    Path("mesh.yaml").write_text(
        SPEC.replace("proxy: envoy", "proxy: envoy, certificates: {lifetime: 30m, renewBefore: 10m}")
    )
    assert run(["build", "--verify", "none"]) == 0
    assert run(CERT_MANAGER) == 2
    assert "no `lifetime` under 1h" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (CERT_MANAGER[:4], "needs `--issuer NAME`"),
        ([*CERT_MANAGER, *WHOM], "nothing that is age's"),
        ([*CERT_MANAGER, "--namespace", "a: b"], "'a: b' is no name for Kubernetes"),
        ([*CERT_MANAGER, "--issuer-kind", "a\u202e"], "'a\\u202e' is no kind of Kubernetes"),
        ([*CERT_MANAGER, "--service", "nobody"], "has no service nobody"),
        ([*CERT_MANAGER, "-o", "nowhere"], "no identities.json in nowhere"),
        (AGE, "needs `--recipient` and `--to DIR`"),
        ([*AGE[:4], *WHOM], "needs `--recipient` and `--to DIR`"),
        ([*AGE, *WHOM, "--issuer", "x"], "nothing that is cert-manager's"),
        ([*AGE, "--recipient", "age1nobody"], "'age1nobody' is no recipient"),
        ([*AGE, "--recipient", str(KEY)], "a secret key is no recipient"),
        ([*AGE, *WHOM, "-o", "nowhere"], "no identities.json in nowhere"),
        ([*AGE, *WHOM, "--to", ""], "empty"),
        (["certs", "export"], "--format"),
    ],
)
def test_usage(arguments, said, capsys):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert said in words(err)
    assert str(KEY) not in err
    assert out == ""
    assert not Path("secrets").exists()


def test_keys_travel_encrypted(node, capsys):
    assert run([*AGE, *WHOM]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "+ secrets/catalog/10.0.0.2.age",
        "+ secrets/catalog/2001:db8::2.age",
        "+ secrets/web.age",
    ]
    assert "whoever has the recipient's key" in err
    assert Path("secrets/web.age").read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    assert run(["certs", "import", "node", "secrets/web.age", "--identity", "age.key"]) == 0
    assert re.fullmatch(r"\* certificate of web installed, until \S+Z\n", capsys.readouterr().out)
    assert everything("node/tls") == {
        Path("node") / path.relative_to(WEB): content for path, content in everything(WEB / "tls").items()
    }
    assert Path("node/tls/cert.pem.key").stat().st_mode & 0o777 == 0o600
    assert run(["certs", "status", "-o", "node"]) == 0


def test_lists_travel_along(capsys):
    Path("mesh.yaml").write_text(SPEC.replace("proxy: envoy", "proxy: envoy, mtls: {crl: true}"))
    assert run(["build", "--verify", "none", "--ca", ".meshctl/ca"]) == 0
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    before = (WEB / "tls/crl.pem").read_bytes()
    shutil.rmtree(WEB / "tls")
    assert run(["certs", "import", str(WEB), "secrets/web.age", "--identity", "age.key"]) == 0
    assert (WEB / "tls/crl.pem").read_bytes() == before


def test_what_is_encrypted_is_a_tar_for_who_has_age_alone():
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    plain = pyrage.decrypt(Path("secrets/web.age").read_bytes(), [KEY])
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        found = {each.name: (each.mode, archive.extractfile(each).read()) for each in archive}
    held = {
        path.name: path.read_bytes() for path in (WEB / "tls").iterdir() if path.suffix in (".pem", ".key")
    }
    assert {name: content for name, (_, content) in found.items()} == held
    assert found["cert.pem.key"][0] == 0o600


def test_several_may_read(node):
    other = pyrage.x25519.Identity.generate()
    assert run([*AGE, *WHOM, "--recipient", str(other.to_public()), "--service", "web"]) == 0
    Path("other.key").write_text(str(other))
    assert run(["certs", "import", "node", "secrets/web.age", "--identity", "other.key"]) == 0


def test_an_ssh_key_may_read(node):
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    Path("ssh").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    assert run([*AGE, "--recipient", public.decode(), "--service", "web"]) == 0
    assert run(["certs", "import", "node", "secrets/web.age", "--identity", "ssh"]) == 0


def test_a_bundle_without_a_key_leaves_nothing_half_done(capsys):
    (WEB / "tls/cert.pem.key").unlink()
    assert run([*AGE, *WHOM]) == 2
    assert "bundle `web` has no cert.pem.key" in capsys.readouterr().err
    assert not Path("secrets").exists()


def test_a_key_that_others_can_read_is_not_carried(capsys):
    (WEB / "tls/cert.pem.key").chmod(0o644)
    assert run([*AGE, *WHOM]) == 2
    assert "0600" in capsys.readouterr().err


def sealed(**members):
    """An age file with what somebody likes in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return pyrage.encrypt(out.getvalue(), [KEY.to_public()], armored=True)


def _another_bundles():
    return (
        Path("secrets/catalog/10.0.0.2.age").read_bytes(),
        1,
        "its URI names are spiffe://shop.example/catalog",
    )


def _another_key():
    held = {path.name: path.read_bytes() for path in (WEB / "tls").glob("*.pem*")}
    other = Path("build/catalog/10.0.0.2/tls/cert.pem.key").read_bytes()
    return sealed(**held | {"cert.pem.key": other}), 1, "its key is not the one that was asked for"


def _no_tar():
    return pyrage.encrypt(b"words", [KEY.to_public()]), 2, "does not hold the secrets of a bundle"


def _half():
    return sealed(**{"ca.pem": b"x"}), 2, "does not hold the secrets of a bundle"


def _names_that_lead_out():
    return sealed(**{"../cert.pem": b"x", "/ca.pem": b"x"}), 2, "does not hold the secrets of a bundle"


def _no_key():
    held = {path.name: path.read_bytes() for path in (WEB / "tls").glob("*.pem*")}
    return sealed(**held | {"cert.pem.key": b"secret words"}), 2, "is not a private key in PEM"


def _for_somebody_else():
    other = pyrage.x25519.Identity.generate().to_public()
    return pyrage.encrypt(b"words", [other]), 2, "is not an age file, or not for this identity"


def _no_age():
    return b"words", 2, "is not an age file, or not for this identity"


@pytest.mark.parametrize(
    "fault",
    [
        *(_another_bundles, _another_key, _no_tar, _half, _names_that_lead_out),
        *(_no_key, _for_somebody_else, _no_age),
    ],
)
def test_what_is_not_the_bundles_is_refused(node, fault, capsys):
    assert run([*AGE, *WHOM]) == 0
    content, code, said = fault()
    Path("it.age").write_bytes(content)
    before = everything(".")
    capsys.readouterr()
    assert run(["certs", "import", "node", "it.age", "--identity", "age.key"]) == code
    err = words(capsys.readouterr().err)
    assert said in err
    assert "secret words" not in err
    assert everything(".") == before


def test_whoever_can_encrypt_cannot_change_whom_a_bundle_trusts(node, capsys):
    """age says nothing of who encrypted: a whole other mesh in the file is refused by the root that is there."""
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    assert run(["certs", "import", "node", "secrets/web.age", "--identity", "age.key"]) == 0
    assert run(["certs", "init", "--ca", "other"]) == 0
    shutil.rmtree(WEB / "tls")
    assert run(["certs", "issue", "--ca", "other", "--service", "web"]) == 0
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    before = everything("node")
    capsys.readouterr()
    command = ["certs", "import", "node", "secrets/web.age", "--identity", "age.key"]
    assert run(command) == 1
    assert "does not lead to a root in tls/ca.pem" in words(capsys.readouterr().err)
    assert everything("node") == before
    assert run([*command, "--trust", "other/root.pem"]) == 0


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"AGE-SECRET-KEY-1NONSENSE\n", b"\xff", b"-----BEGIN X-----"]
)
def test_an_identity_that_is_none_is_not_quoted(node, content, capsys):
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    Path("bad.key").write_bytes(content)
    capsys.readouterr()
    assert run(["certs", "import", "node", "secrets/web.age", "--identity", "bad.key"]) == 2
    assert "holds no age or SSH key that can be read" in (err := capsys.readouterr().err)
    assert "NONSENSE" not in err


def test_a_link_is_not_written_through():
    Path("secrets").mkdir()
    Path("secrets/web.age").symlink_to(Path("mesh.yaml").absolute())
    assert run([*AGE, *WHOM, "--service", "web"]) == 2
    assert Path("mesh.yaml").read_text() == SPEC


def test_without_the_extra_the_way_to_it_is_told(node, monkeypatch, capsys):
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    monkeypatch.setitem(sys.modules, "pyrage", None)
    capsys.readouterr()
    for command in ([*AGE, *WHOM], ["certs", "import", "node", "secrets/web.age", "--identity", "age.key"]):
        assert run(command) == 2
        assert "pip install 'meshctl[age]'" in capsys.readouterr().err
    assert not Path("node/tls").exists()


def test_a_plain_key_is_not_put_where_git_tracks_it(capsys):
    assert run([*AGE, *WHOM, "--service", "web"]) == 0
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "-f", "build/web/tls"], check=True)
    assert run(["certs", "import", str(WEB), "secrets/web.age", "--identity", "age.key"]) == 1
    assert "MSH6032 key-tracked" in capsys.readouterr().err


def test_no_key_is_ever_told(node, capsys):
    run([*AGE, *WHOM])
    run(["certs", "import", "node", "secrets/web.age", "--identity", "age.key"])
    run(CERT_MANAGER)
    said = "".join(capsys.readouterr())
    said += "".join(path.read_text() for path in Path("secrets").rglob("*.age"))
    keys = [str(KEY), *(path.read_text() for path in (*Path().rglob("*.key"),))]
    lines = [line for key in keys for line in key.splitlines() if line and not line.startswith(("#", "---"))]
    assert len(lines) >= 8
    assert not [line for line in lines if line in said]
