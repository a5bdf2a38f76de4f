"""`meshctl certs csr`, `sign`, `install` and `renew`: keys that stay where they are used."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509

from meshctl import pipeline
from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, bind: endpoint, endpoints: [{address: 10.0.0.2}, {address: 10.0.0.3}]}
"""
CA = Path(".meshctl/ca")
ROOT = CA / "root.pem"
WEB = Path("build/web")
# What a team may have already: openssl's own CA, which signs what the request asks for.
OPENSSL = """\
#!/bin/sh
set -eu
cd "$(dirname "$0")"
[ "$MESHCTL_SERVICE" != catalog ] || { echo "catalog is not to have one" >&2; exit 7; }
cat > request.$$
openssl x509 -req -in request.$$ -CA issuing.pem -CAkey issuing.key -days 20 -copy_extensions copy $EXTRA
cat issuing.pem
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Made once: a spec, its build, its CA, and requests of web's and of a kind that is refused."""
    folder = tmp_path_factory.mktemp("built")
    with contextlib.chdir(folder):
        Path("mesh.yaml").write_text(SPEC)
        assert run(["build", "--verify", "none"]) == 0
        assert run(["certs", "init"]) == 0
        asked("-newkey", "rsa:2048", "-subj", "/CN=web").rename("rsa.csr")
        asked("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=web")
    return folder


@pytest.fixture(autouse=True)
def built(template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(template, ".", dirs_exist_ok=True)


@pytest.fixture
def node(built):
    """A host with one bundle, and nothing of the build, the spec or the CA."""
    shutil.copytree(WEB, "node")
    return Path("node")


@pytest.fixture
def openssl(built, monkeypatch):
    """The command of an issuer that is not meshctl's."""
    folder = Path("openssl")
    shutil.copytree(CA, folder)
    script = folder / "sign"
    script.write_text(OPENSSL)
    script.chmod(0o755)
    monkeypatch.setenv("EXTRA", "")
    return shlex.quote(str(script.absolute()))


def everything(*folders):
    return {path: path.read_bytes() for each in folders for path in Path(each).rglob("*") if path.is_file()}


def leaf(bundle):
    return x509.load_pem_x509_certificate((bundle / "tls/cert.pem").read_bytes())


def states(bundle, capsys):
    capsys.readouterr()
    code = run(["certs", "status", "-o", str(bundle), "--format", "json"])
    return code, [each["state"] for each in json.loads(capsys.readouterr().out)["certificates"]]


def words(text):
    return re.sub(r"\s+", " ", text)


def test_from_a_node_without_a_spec_to_a_certificate(node, capsys):
    assert states(node, capsys) == (1, ["missing"])
    assert run(["certs", "csr", "node"]) == 0
    out, err = capsys.readouterr()
    assert out == "node/tls/request.csr\n"
    assert "It is for web" in err
    shutil.copy("node/tls/request.csr", "web.csr")
    assert run(["certs", "sign", "web.csr"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"\* web.pem: certificate of web, until \S+Z\n", out)
    assert err == ""
    assert run(["certs", "install", "node", "web.pem", "--trust", str(ROOT)]) == 0
    assert states(node, capsys) == (0, ["valid"])
    register = json.loads((CA / "issued.json").read_text())["issued"]
    assert [(each["serial"], each["bundle"]) for each in register] == [
        (f"{leaf(node).serial_number:x}", "web")
    ]


def test_what_is_signed_for_a_node_can_be_revoked(node, capsys):
    run(["certs", "csr", "node"])
    assert run(["certs", "sign", "node/tls/request.csr", "--for", "web"]) == 0
    assert run(["certs", "install", "node", "--trust", str(ROOT)]) == 0
    capsys.readouterr()
    assert run(["certs", "revoke", "web"]) == 1
    assert f"* certificate {leaf(node).serial_number:x} of web" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "bundle"),
    [
        ("web.csr", "web"),
        ("requests/web.csr", "web"),
        ("catalog/10.0.0.2.csr", "catalog/10.0.0.2"),
        ("requests/catalog/10.0.0.3.csr", "catalog/10.0.0.3"),
        ("hosts/web/tls/request.csr", "web"),
        ("hosts/catalog/10.0.0.3/tls/request.csr", "catalog/10.0.0.3"),
    ],
)
def test_a_request_is_for_whom_its_file_is_named_after(path, bundle, capsys):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path("web.csr").rename(path)
    capsys.readouterr()
    assert run(["certs", "sign", path]) == 0
    assert f"{path.removesuffix('.csr')}.pem: certificate of {bundle}, until" in capsys.readouterr().out


def test_names_come_from_the_build_and_never_from_the_request(node, capsys):
    """A request of web's, signed for catalog: it says web, gets catalog, and web's node has no use for it."""
    run(["certs", "csr", "node"])
    capsys.readouterr()
    assert run(["certs", "sign", "node/tls/request.csr", "--for", "catalog/10.0.0.2"]) == 0
    assert "asks for more than catalog/10.0.0.2 is, and did not get it: subject CN=web,O=shop.example; " in (
        capsys.readouterr().err
    )
    answer = Path("node/tls/request.pem")
    found = x509.load_pem_x509_certificate(answer.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [each.value for each in names] == [
        "spiffe://shop.example/catalog",
        "catalog.shop.mesh",
        "catalog.spiffe.shop.example",
    ]
    assert found.subject.rfc4514_string() == "CN=catalog,O=shop.example"
    before = everything("node")
    assert run(["certs", "install", "node", "--trust", str(ROOT)]) == 1
    err = words(capsys.readouterr().err)
    assert "MSH6031 certificate-refused" in err
    assert "its URI names are spiffe://shop.example/catalog, not spiffe://shop.example/web alone" in err
    assert everything("node") == before


def asked(*arguments):
    """A request made by openssl."""
    subprocess.run(
        ["openssl", "req", "-new", "-nodes", "-keyout", "own.key", "-out", "web.csr", *arguments],
        check=True,
        capture_output=True,
    )
    return Path("web.csr")


def test_whatever_else_is_asked_for_is_told_and_not_given(capsys):
    request = asked(
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=admin\x1b[31m"),
        *("-addext", "subjectAltName=URI:spiffe://shop.example/admin,DNS:*.shop.mesh"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "extendedKeyUsage=codeSigning"),
    )
    assert run(["certs", "sign", str(request)]) == 0
    err = capsys.readouterr().err
    for told in (
        "CN=admin",
        "spiffe://shop.example/admin",
        "*.shop.mesh",
        "BasicConstraints",
        "ExtendedKeyUsage",
    ):
        assert told in err
    assert "\x1b" not in err
    shown = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            "web.pem",
            "-noout",
            "-subject",
            "-ext",
            "subjectAltName,basicConstraints,extendedKeyUsage,keyUsage",
            "-nameopt",
            "rfc2253",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert [line.strip() for line in shown.splitlines() if not line.startswith("X509v3")] == [
        "subject=CN=web,O=shop.example",
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "URI:spiffe://shop.example/web, DNS:web.shop.mesh, DNS:web.spiffe.shop.example",
    ]
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", ROOT, "-untrusted", "web.pem", "web.pem"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["request.csr"], 1, "the build has no bundle that request.csr is named after"),
        (["request.csr", "--for", "nobody"], 1, "the build has no bundle `nobody`"),
        (["request.csr", "--for", "catalog"], 1, "did you mean `catalog/10.0.0.2` or `catalog/10.0.0.3`?"),
        (["request.csr", "--for", "../web"], 1, "the build has no bundle `../web`"),
        (["web.csr", "request.csr"], 1, "the build has no bundle that request.csr is named after"),
        (["rsa.csr", "--for", "web"], 1, "the key of rsa.csr is not P-256"),
        (["web.csr", "rsa.csr", "--for", "web"], 2, "there are several"),
        (["-"], 2, "needs `--for`"),
        (["missing.csr", "--for", "web"], 2, "cannot read missing.csr"),
        (["link.csr", "--for", "web"], 2, "cannot read link.csr"),
        (["large.csr", "--for", "web"], 2, "cannot read large.csr"),
        (["mesh.yaml", "--for", "web"], 2, "mesh.yaml is not a certificate signing request in PEM"),
        (["linked.csr", "--for", "web"], 2, "linked.pem is a symbolic link"),
        (["web.csr", "-o", "nowhere"], 2, "no identities.json in nowhere"),
        (["web.csr", "--ca", "nowhere"], 2, "MSH6011"),
    ],
)
def test_whom_nobody_knows_gets_nothing(arguments, code, said, capsys):
    for name in ("request.csr", "linked.csr"):
        shutil.copy("web.csr", name)
    Path("link.csr").symlink_to("web.csr")
    Path("linked.pem").symlink_to("mesh.yaml")
    Path("large.csr").write_bytes(b"x" * 300_000)
    before = everything(".")
    capsys.readouterr()
    assert run(["certs", "sign", *arguments]) == code
    out, err = capsys.readouterr()
    assert said in words(err)
    assert out == ""
    assert everything(".") == before


def test_an_rsa_key_is_told_which_kind_to_make(capsys):
    assert run(["certs", "sign", "rsa.csr", "--for", "web"]) == 1
    assert "P-256 (prime256v1)" in words(capsys.readouterr().err)


def test_a_ca_whose_folder_cannot_be_written_is_named(monkeypatch, capsys):
    def refused(inside, name, content, mode):
        raise PermissionError(errno.EACCES, "Permission denied", f".{name}.tmp")

    # Whoever runs the tests may write anywhere.
    monkeypatch.setattr("meshctl.pki.files.replace", refused)
    before = everything(".")
    capsys.readouterr()
    assert run(["certs", "sign", "web.csr", "--ca", str(CA)]) == 2
    err = words(capsys.readouterr().err)
    assert f"cannot write issued.json in the CA's folder {CA}" in err
    assert "Permission denied" in err
    assert ".tmp" not in err
    assert everything(".") == before


def test_a_file_of_roots_that_holds_none_is_named(node, capsys):
    run(["certs", "csr", "node"])
    run(["certs", "sign", "node/tls/request.csr", "--for", "web"])
    before = everything("node")
    capsys.readouterr()
    assert run(["certs", "install", "node", "--trust", "node/tls/request.csr"]) == 2
    assert "node/tls/request.csr holds no root certificate in PEM" in words(capsys.readouterr().err)
    assert everything("node") == before


def test_one_that_is_wrong_keeps_all_from_being_signed():
    Path("catalog").mkdir()
    Path("rsa.csr").rename("catalog/10.0.0.2.csr")
    assert run(["certs", "sign", "web.csr", "catalog/10.0.0.2.csr"]) == 1
    assert not Path("web.pem").exists()
    assert not (CA / "issued.json").exists()


def test_a_request_may_come_on_standard_input(node, monkeypatch, capsys):
    run(["certs", "csr", "node"])
    text = Path("node/tls/request.csr").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    capsys.readouterr()
    assert run(["certs", "sign", "-", "--for", "web"]) == 0
    Path("answer.pem").write_text(capsys.readouterr().out)
    assert run(["certs", "install", "node", "answer.pem", "--trust", str(ROOT)]) == 0


CHECKED = SPEC.replace("proxy: envoy", "proxy: envoy, mtls: {crl: true}")


def test_a_ca_that_lost_its_list_signs_nothing(capsys):
    Path("mesh.yaml").write_text(CHECKED)
    assert run(["build", "--verify", "none", "--ca", str(CA)]) == 0
    shutil.copytree(CA, "backup")
    assert run(["certs", "revoke", "web"]) == 0
    shutil.rmtree(CA)
    shutil.copytree("backup", CA)
    assert run(["certs", "csr", "build/web"]) == 0
    before = everything(CA, "build")
    capsys.readouterr()
    for command in (
        ["sign", "build/web/tls/request.csr"],
        ["renew", "--force", "--ca", str(CA), "build/web"],
    ):
        assert run(["certs", *command]) == 2
        assert "older than that in build/" in words(capsys.readouterr().err)
    assert everything(CA, "build") == before


def test_lists_travel_with_the_certificate(capsys):
    Path("mesh.yaml").write_text(CHECKED)
    assert run(["build", "--verify", "none"]) == 0
    assert run(["certs", "csr", "build/web"]) == 0
    assert run(["certs", "sign", "build/web/tls/request.csr"]) == 0
    assert run(["certs", "install", "build/web", "--trust", str(ROOT)]) == 0
    assert (WEB / "tls/crl.pem").read_bytes() == (CA / "crl.pem").read_bytes()
    assert states(WEB, capsys) == (0, ["valid"])


def test_a_program_issues(node, openssl, capsys):
    assert run(["certs", "renew", "node", "--issuer-command", openssl, "--trust", str(ROOT)]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"\* certificate of web \(missing\), until \S+Z\n", out)
    assert "Reload the sidecar" in err
    assert states(node, capsys) == (0, ["valid"])
    first = leaf(node).serial_number
    for force in ([], ["--force"]):
        assert run(["certs", "renew", "node", "--issuer-command", openssl, *force]) == 0
        assert (leaf(node).serial_number == first) is not bool(force)


def test_one_bundle_that_fails_does_not_keep_the_others(openssl, capsys):
    bundles = ["build/catalog/10.0.0.2", "build/web", "build/nowhere"]
    assert run(["certs", "renew", *bundles, "--issuer-command", openssl, "--trust", str(ROOT)]) == 2
    out, err = capsys.readouterr()
    assert "certificate of web (missing)" in out
    assert "the issuer command ended with 7 for `catalog/10.0.0.2`:" in words(err)
    assert "catalog is not to have one" in err
    assert "no identity.json in build/nowhere" in err
    assert not Path("build/catalog/10.0.0.2/tls/cert.pem.key").exists()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("-days 900", "after its issuer"),
        ("-copy_extensions none", "its URI names are none"),
        ("-CAkey other.key -CA other.pem", "does not lead to a root in tls/ca.pem"),
    ],
)
def test_what_a_program_returns_is_checked_first(node, openssl, extra, said, monkeypatch, capsys):
    pipeline.create_authority(pipeline.validate("mesh.yaml"), Path("other"), datetime.now(UTC))
    for kind in ("pem", "key"):
        shutil.copy(f"other/issuing.{kind}", f"openssl/other.{kind}")
    assert run(["certs", "renew", "node", "--issuer-command", openssl, "--trust", str(ROOT)]) == 0
    monkeypatch.setenv("EXTRA", extra)
    before = everything("node")
    capsys.readouterr()
    assert run(["certs", "renew", "node", "--issuer-command", openssl, "--force"]) == 1
    err = words(capsys.readouterr().err)
    assert "MSH6031 certificate-refused" in err
    assert said in err
    assert everything("node") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either `--issuer-command COMMAND` or `--ca DIR`"),
        (["--ca", "x", "--issuer-command", "true"], "either `--issuer-command COMMAND` or `--ca DIR`"),
        (["--issuer-command", ""], "the issuer command is empty"),
        (["--issuer-command", "a 'b"], "the issuer command cannot be read"),
        (["--issuer-command", "/nowhere/issuer", "--trust", str(ROOT)], "cannot start the issuer command"),
        (["--issuer-command", "sleep 9", "--timeout", "0.2", "--trust", str(ROOT)], "took more than 0.2 s"),
        (["--issuer-command", "true"], "there is no node/tls/ca.pem"),
        (["--issuer-command", "true", "--trust", "mesh.yaml"], "holds no root certificate"),
        (["--issuer-command", "true", "--trust", "nowhere"], "cannot read nowhere"),
        (["--ca", "nowhere"], "MSH6011"),
    ],
)
def test_usage(node, arguments, said, capsys):
    before = everything("node")
    assert run(["certs", "renew", "node", *arguments]) == 2
    assert said in words(capsys.readouterr().err)
    assert everything("node") == before


def test_renewed_on_a_schedule_with_the_meshs_own_ca(capsys):
    then = datetime.now(UTC) - timedelta(days=21)
    old = Path("old")
    pipeline.create_authority(pipeline.validate("mesh.yaml"), old, then)
    pipeline.issue_certificates(Path("build"), old, then)
    assert states(WEB, capsys) == (1, ["due"])
    assert run(["certs", "renew", "build/web", "--ca", str(old)]) == 0
    assert "* certificate of web (due), until" in capsys.readouterr().out
    assert states(WEB, capsys) == (0, ["valid"])


def _service_of_several():
    return Path("build/catalog"), "no identity.json in build/catalog", 2


def _no_folder():
    return Path("mesh.yaml"), "no identity.json in mesh.yaml", 2


def _manifest_of_many():
    shutil.copy("build/identities.json", WEB / "identity.json")
    return WEB, "names one identity", 2


def _tracked():
    (WEB / "tls").mkdir()
    (WEB / "tls/cert.pem.key").write_text("a key")
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "-f", WEB / "tls"], check=True)
    return WEB, "MSH6032 key-tracked", 1


def _linked():
    Path("elsewhere").mkdir()
    (WEB / "tls").symlink_to(Path("elsewhere").absolute())
    said = "tls is a symbolic link; keys are not followed out of their folder"
    return WEB, f"cannot work in build/web: {said}", 2


@pytest.mark.parametrize("command", [["csr"], ["renew", "--ca", str(CA)], ["install"]])
@pytest.mark.parametrize("fault", [_service_of_several, _no_folder, _manifest_of_many, _tracked, _linked])
def test_where_no_key_belongs(command, fault, capsys):
    bundle, said, code = fault()
    if command == ["install"]:
        assert run(["certs", "sign", "web.csr"]) == 0
        arguments = ["install", str(bundle), "web.pem", "--trust", str(ROOT)]
    else:
        arguments = [*command, str(bundle)]
    before = everything("build", ".git")
    capsys.readouterr()
    assert run(["certs", *arguments]) == code
    assert said in words(capsys.readouterr().err)
    assert everything("build", ".git") == before


def test_no_key_is_ever_told(node, openssl, capsys):
    run(["certs", "csr", "node"])
    run(["certs", "sign", "node/tls/request.csr", "--for", "web"])
    waiting = Path("node/tls/request.key").read_text()
    run(["certs", "install", "node", "--trust", str(ROOT)])
    run(["certs", "renew", "node", "--force", "--issuer-command", openssl])
    said = "".join(capsys.readouterr())
    keys = [waiting, *(path.read_text() for path in (*Path("node").rglob("*.key"), *CA.glob("*.key")))]
    assert len(keys) == 4
    assert not [line for key in keys for line in key.splitlines()[1:-1] if line in said]
    assert {path.stat().st_mode & 0o777 for path in Path("node").rglob("*.key")} == {0o600}


def test_a_build_says_in_each_bundle_who_it_is():
    found = {
        str(path.parent.relative_to("build")): json.loads(path.read_text())
        for path in Path("build").rglob("identity.json")
        if path.parent.name != "sds"
    }
    whole = json.loads(Path("build/identities.json").read_text())
    assert found.keys() == {"web", "catalog/10.0.0.2", "catalog/10.0.0.3"}
    assert [found[each]["identities"][0] for each in sorted(found)] == whole["identities"]
    assert all({**each, "identities": whole["identities"]} == whole for each in found.values())
    assert set(found) == {f"{each['service']}/{each['instance']}".rstrip("/") for each in whole["identities"]}
