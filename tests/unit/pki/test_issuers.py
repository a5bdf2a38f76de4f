"""An issuer that is a program: what it gets, and every way in which it may fail."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

import pytest

from meshctl.diagnostics import ToolError
from meshctl.pki import profile, requests
from meshctl.pki.issuers import Command
from tests.unit.pki.conftest import POLICY, holder

WEB = holder("web", "10.0.0.1")
REQUEST = requests.render(profile.new_key(), WEB.identity)
SECOND = timedelta(seconds=1)


def command(*argv, timeout=20 * SECOND, environment=None):
    return Command(argv, timeout, environment or {"PATH": os.environ["PATH"]})


def issue(issuer):
    return issuer.issue(WEB, REQUEST, POLICY.lifetime)


def test_it_gets_the_request_and_the_names():
    told = issue(
        command(
            "sh",
            "-c",
            "cat; env | grep ^MESHCTL_ | sort; echo $TOKEN",
            environment={"PATH": os.environ["PATH"], "TOKEN": "t"},
        )
    ).decode()
    assert told == REQUEST.decode() + (
        "MESHCTL_DNS_NAMES=web.shop.mesh web.spiffe.shop.example\n"
        "MESHCTL_INSTANCE=10.0.0.1\n"
        "MESHCTL_LIFETIME_SECONDS=2592000\n"
        "MESHCTL_SERVICE=web\n"
        "MESHCTL_SPIFFE_ID=spiffe://shop.example/web\n"
        "MESHCTL_SUBJECT=CN=web,O=shop.example\n"
        "MESHCTL_TRUST_DOMAIN=shop.example\n"
        "t\n"
    )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("sh", "-c", "echo no token >&2; echo half; exit 3"), "ended with 3 for `web/10.0.0.1`:\nno token"),
        (("sh", "-c", "kill -9 $$"), "ended with -9 for `web/10.0.0.1`"),
        (("/nowhere/issuer",), "cannot start the issuer command: "),
        ((os.devnull,), "cannot start the issuer command: "),
        (("a\0b",), "cannot start the issuer command: "),
        (("head", "-c", "300000", "/dev/zero"), "printed more than 262144 bytes for `web/10.0.0.1`"),
    ],
)
def test_it_fails(argv, said):
    with pytest.raises(ToolError) as caught:
        issue(command(*argv))
    assert said in str(caught.value)


def test_much_is_said_in_few_words():
    with pytest.raises(ToolError) as caught:
        issue(command("sh", "-c", "yes word | head -n 100000 >&2; exit 1"))
    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize("after", ["", "yes word | head -n 9000 >&2; "])
def test_a_key_that_it_complains_with_is_not_repeated(after):
    said = "-----BEGIN PRIVATE KEY-----\nMIGHsecret\n-----END PRIVATE KEY-----"
    with pytest.raises(ToolError) as caught:
        issue(command("sh", "-c", f"echo '{said}' >&2; {after}exit 3"))
    assert "MIGH" not in str(caught.value)
    assert "ended with 3 for `web/10.0.0.1`: its error output holds a private key" in str(caught.value)


def test_it_takes_too_long_and_all_of_it_ends(tmp_path):
    began = time.monotonic()
    mark = tmp_path / "mark"
    with pytest.raises(ToolError, match=r"more than 0\.3 s"):
        issue(command("sh", "-c", f"(sleep 3; touch {mark}) & wait", timeout=0.3 * SECOND))
    assert time.monotonic() - began < 3
    time.sleep(max(0, began + 3.5 - time.monotonic()))
    assert not mark.exists()


def test_it_need_not_read_the_request():
    assert issue(command(sys.executable, "-c", "print('x')")) == b"x\n"


def test_its_environment_is_not_shown():
    assert "secret" not in repr(command("true", environment={"TOKEN": "secret"}))
