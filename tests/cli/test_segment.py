"""`meshctl segment`: where the rules go, which files are whose, and what cannot be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
SPEC = str(ROOT / "docs" / "segmentation.yaml")
ONE_MACHINE = str(ROOT / "examples" / "shop")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(each) for each in Path().rglob("*") if each.is_file())


def test_a_format_and_a_service_leave_the_files_of_others_alone():
    assert run(["segment", SPEC, "-o", "out"]) == 0
    assert run(["segment", SPEC, "-o", "out", "--format", "systemd", "--service", "web"]) == 0
    drop_in = "50-meshctl-segmentation.conf"
    expected = [
        *(f"out/nftables/{each}/rules.nft" for each in ("catalog", "edge", "ledger", "web")),
        "out/segmentation.json",
        *(f"out/systemd/web/{each}.service.d/{drop_in}" for each in ("web", "web-sidecar")),
    ]
    assert files() == sorted(expected)
    # What is no longer wanted goes: of this format and service, and nothing else.
    assert (
        run(["segment", SPEC, "-o", "out", "--format", "systemd", "--service", "web", "--sidecar", "w"]) == 0
    )
    assert [each for each in files() if "systemd" in each] == [
        f"out/systemd/web/{each}.service.d/{drop_in}" for each in ("w", "web")
    ]
    listed = json.loads(Path("out/segmentation.json").read_text("utf-8"))["files"]
    assert sorted(f"out/{each}" for each in listed) == [each for each in files() if "json" not in each]


def test_a_build_and_rules_share_a_folder():
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    built = files()
    assert run(["segment", SPEC, "-o", "out", "--service", "web"]) == 0
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    assert files() == sorted([*built, "out/nftables/web/rules.nft", "out/segmentation.json"])


def test_the_same_bytes_on_standard_output_and_in_files(capsys):
    assert run(["segment", SPEC, "--service", "web", "--format", "kubernetes"]) == 0
    printed = capsys.readouterr().out
    assert run(["segment", SPEC, "--service", "web", "--format", "kubernetes", "-o", "out"]) == 0
    assert Path("out/kubernetes/web/networkpolicy.yaml").read_text("utf-8") == printed


def test_a_note_says_what_is_open(capsys):
    assert run(["segment", SPEC, "--service", "web"]) == 0
    assert "# Open: the addresses of stripe are known only when they are looked up" in capsys.readouterr().out
    assert run(["segment", SPEC, "--service", "web", "--within", "stripe=198.51.100.0/24"]) == 0
    assert "# Open" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--service", "wep"], "there is no service named wep in the spec; did you mean `web`? (there are "),
        (["--service", "zzz"], "there is no service named zzz in the spec (there are "),
        (["--application", "{service}-with-a-name-that-is-too-long"], "is not the name of a user"),
        (["--application", "root"], "not root"),
        (["--application", "0"], "0 is not a user that rules can be about"),
        (["--sidecar", "4294967295"], "4294967295 is not a user that rules can be about"),
        (["--application", 'x" accept; #'], "is not the name of a user"),
        (["--application", "x\ny"], "is not the name of a user"),
        (["--sidecar", "{service}"], "would be the user of catalog and of its sidecar"),
        (["--format", "systemd", "--application", "../x"], "is not the name of a unit"),
        (["--format", "systemd", "--intercept"], "systemd cannot intercept connections"),
        (["--format", "kubernetes", "--intercept"], "a NetworkPolicy cannot intercept connections"),
        (["--format", "kubernetes", "--label", 'x"y'], "is not the key of a label"),
        (["--format", "kubernetes", "--namespace", "A"], "is not the name of a namespace"),
        (["--also", "10.0.0.1"], "expected NETWORK:PORT"),
        (["--also", "10.0.0.1:0"], "expected NETWORK:PORT"),
        (["--also", "10.0.0.1:65536"], "expected NETWORK:PORT"),
        (["--also", "10.0.0.1:53/sctp"], "expected NETWORK:PORT"),
        (["--also", "ns.example:53"], "'ns.example' is not a network"),
        (["--also", "10.0.0.1/8:53"], "'10.0.0.1/8' is not a network"),
        (["--within", "stripe"], "expected NAME=NETWORK"),
        (["--within", "stripe=everywhere"], "'everywhere' is not a network"),
        (["--within", "catalog=10.0.0.0/8"], "no sidecar looks up catalog; the names that are: stripe"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(arguments, said, capsys):
    assert run(["segment", SPEC, "-o", "out", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert files() == []


def test_sidecars_of_one_machine_with_one_user_are_refused(capsys):
    assert run(["segment", ONE_MACHINE]) == 2
    assert "are both on this machine" in capsys.readouterr().err
    assert run(["segment", SPEC, "--application", "app", "--sidecar", "meshctl"]) == 0


def test_another_family_is_written_as_such(capsys):
    also = ["--also", "[fd00::53]:53/udp", "--also", "10.9.0.0/24:5432"]
    assert run(["segment", SPEC, "--service", "ledger", *also]) == 0
    told = capsys.readouterr().out
    assert 'ct direction original ip6 daddr fd00::53 udp dport 53 accept comment "--also"' in told
    assert 'ct direction original ip daddr 10.9.0.0/24 tcp dport 5432 accept comment "--also"' in told


def test_a_spec_with_an_error_has_no_rules(capsys):
    Path("mesh.yaml").write_text("apiVersion: meshctl.dev/v1\nmesh: {name: shop}\n", "utf-8")
    assert run(["segment", "-o", "out"]) == 1
    assert "nothing was made" in capsys.readouterr().err
    assert run(["segment", "absent.yaml"]) == 2
    assert files() == ["mesh.yaml"]
