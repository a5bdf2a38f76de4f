"""The reference example, which has every key of the language: it validates, it builds, and every call in it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.turns import turn

# A mesh on loopback always has the same addresses, so these tests take turns.
pytestmark = pytest.mark.xdist_group("up")

ROOT = Path(__file__).resolve().parents[2]
MESH = ROOT / "tests" / "golden" / "reference" / "mesh.yaml"

# None: the proxies that the example itself names.
PROXIES = (None, "envoy", "haproxy", "nginx")

CLIENT = """
import http.client, json, os, socket, ssl, sys, urllib.parse

def ask(service, host, method, target, headers):
    where = urllib.parse.urlsplit(os.environ[f"MESHCTL_{service}_OUTBOUND"])
    if where.scheme == "https":
        connection = http.client.HTTPSConnection(where.netloc, timeout=20, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(where.netloc, timeout=20)
    connection.request(method, target, headers={"Host": host, **headers})
    answer = connection.getresponse()
    return {"status": answer.status, "headers": dict(answer.getheaders()), "body": answer.read().decode("latin-1")}

def insist(*arguments):
    # The fault of the route aborts one in a hundred.
    answers = (ask(*arguments) for _ in range(5))
    return next((each for each in answers if each["status"] != 503), None)

def health(service, path):
    address = urllib.parse.urlsplit(os.environ[f"MESHCTL_{service}_ADMIN"]).hostname
    connection = http.client.HTTPConnection(address, 15021, timeout=20)
    connection.request("GET", path)
    return {"status": connection.getresponse().status, "headers": {}, "body": ""}

def stream(name):
    host, port = os.environ[name].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"hello")
        heard = b""
        while not heard.endswith(b"hello"):
            heard += connection.recv(100) or b"(closed)hello"
    return {"status": 0, "headers": {}, "body": heard.decode()}

kinds = {"ask": ask, "insist": insist, "health": health, "stream": stream}
print(json.dumps([kinds[kind](*arguments) for kind, *arguments in json.load(sys.stdin)]))
"""

CATALOG = ("ask", "WEB", "catalog")
BETA = {"x-beta": "true", "x-b": "1", "x-c": "gone"}
CALLS = [
    # every call of the spec
    ((*CATALOG, "GET", "/", {}), 200, "catalog", "/", "web"),
    (("ask", "WEB", "catalog.shop.mesh", "GET", "/", {}), 200, "catalog", "/", "web"),
    (("ask", "WEB", "orders", "GET", "/", {}), 200, "orders", "/", "web"),
    (("ask", "CATALOG", "inventory", "GET", "/", {}), 200, "inventory", "/", "catalog"),
    (("ask", "ORDERS", "payments", "POST", "/", {}), 200, "payments", "/", "orders"),
    (("ask", "PAYMENTS", "api.stripe.com", "GET", "/v1", {}), 200, "stripe", "/v1", None),
    (("ask", "EDGE", "shop.example", "GET", "/", {}), 200, "web", "/", "edge"),
    (("stream", "MESHCTL_CATALOG_LOCAL_LEDGER"), 0, "ledger/127.80.3.1\nhello", None, None),
    # every route of the catalog
    ((*CATALOG, "GET", "/v2/x?page=1", BETA), 200, "catalog", "/v2/x?page=1", "web"),
    ((*CATALOG, "GET", "/items/12", {}), 200, "catalog", "/items/12", "web"),
    ((*CATALOG, "GET", "/legacy/x?y", {}), 200, "catalog", "/v1/x?y", "web"),
    ((*CATALOG, "GET", "/old", {}), 301, "", None, None),
    ((*CATALOG, "GET", "/teapot", {}), 418, "short and stout", None, None),
    (("insist", *CATALOG[1:], "GET", "/try-me", {}), 200, "catalog", "/try-me", "web"),
    # who may do what
    ((*CATALOG, "POST", "/", {}), 403, None, None, None),
    ((*CATALOG, "GET", "/admin/x", {}), 403, None, None, None),
    ((*CATALOG, "HEAD", "/healthz", {}), 200, "", None, None),
    # hosts that are none of the caller's
    (("ask", "WEB", "payments", "GET", "/", {}), 403, None, None, None),
    (("ask", "WEB", "elsewhere.example", "GET", "/", {}), 404, None, None, None),
    (("ask", "EDGE", "elsewhere.example", "GET", "/", {}), 404, None, None, None),
    # health off loopback
    (("health", "CATALOG", "/healthz"), 200, "", None, None),
    (("health", "EDGE", "/ready"), 200, "", None, None),
    (("health", "LEDGER", "/healthz"), 404, "", None, None),
]


def meshctl(*arguments, **more):
    argv = (sys.executable, "-m", "meshctl", *map(str, arguments))
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, **more)


@pytest.fixture(scope="module", params=PROXIES)
def answers(request):
    """The mesh as it is written, and with every sidecar the same proxy."""
    proxy = ("--proxy", request.param) if request.param else ()
    orders = json.dumps([each[0] for each in CALLS])
    with turn("up"):
        done = meshctl("up", MESH, *proxy, "--", sys.executable, "-c", CLIENT, input=orders)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("index", "status", "body", "target", "caller"),
    [(index, *rest) for index, (_, *rest) in enumerate(CALLS)],
    ids=[" ".join(str(part) for part in order if isinstance(part, str)) for order, *_ in CALLS],
)
def test_every_call_answers(answers, index, status, body, target, caller):
    answer = answers[index]
    assert answer["status"] == status, answer
    if target is None:
        assert body is None or answer["body"] == body
        return
    seen = json.loads(answer["body"])
    headers = dict(seen["headers"])
    assert (seen["service"], seen["target"]) == (body, target)
    assert headers.get("x-mesh-identity") == (f"spiffe://shop.example/{caller}" if caller else None)


def _answer(answers, target: str):
    (index,) = (index for index, (order, *_) in enumerate(CALLS) if target in order)
    return answers[index]


def test_filters_of_the_beta_route(answers):
    answer = _answer(answers, "/v2/x?page=1")
    seen = [(name.lower(), value) for name, value in json.loads(answer["body"])["headers"]]
    assert ("x-a", "1") in seen
    assert {value for name, value in seen if name == "x-b"} in ({"1", "2"}, {"1,2"}, {"1, 2"})
    assert not [value for name, value in seen if name == "x-c"]
    assert {name.lower(): value for name, value in answer["headers"].items()}["x-d"] == "3"


def test_rewritten_and_redirected_names(answers):
    seen = json.loads(_answer(answers, "/legacy/x?y")["body"])
    assert [value for name, value in seen["headers"] if name.lower() == "host"] == ["catalog.internal"]
    headers = {name.lower(): value for name, value in _answer(answers, "/old")["headers"].items()}
    assert headers["location"] == "http://catalog/new"


@pytest.mark.parametrize("proxy", PROXIES)
def test_it_builds_and_its_proxies_take_it(tmp_path, proxy):
    out = tmp_path / "out"
    done = meshctl("build", MESH, "--out", out, "--verify", "all", *(("--proxy", proxy) if proxy else ()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 bundles verified" in done.stdout
    # The files of the host that verification needed were stand-ins, and none of them is left in the output.
    told = (out / "edge" / "README").read_text()
    assert "/etc/shop/edge.pem" in told
    written = [each.read_text() for each in (out / "edge").rglob("*") if each.is_file()]
    assert not [each for each in written if "host.files" in each or "meshctl-verify" in each]


def test_every_part_of_it_is_compiled():
    done = meshctl("validate", MESH, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "not-yet-supported" not in {each["slug"] for each in json.loads(done.stdout)["findings"]}
