"""The NGINX target without traffic: what it writes, and what NGINX's own validator says of it."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from msgspec import structs

from meshctl import ir
from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE
from meshctl.ir import Feature
from meshctl.live.programs import find
from meshctl.pki.authority import create_authority
from meshctl.pki.issue import issue
from meshctl.targets import nginx
from meshctl.targets.nginx import path_gate, quoting, splitting
from meshctl.targets.nginx.quoting import Token
from meshctl.targets.nginx.render import _template
from tests.sidecars import (
    IDEMPOTENT,
    NO_RETRIES,
    WRITTEN,
    cluster,
    identity,
    route,
    sidecar,
    virtual_host,
)

HOSTILE = (
    'a "$http_host" ${dollar} \\',
    '\'; } return 200 "x"; #',
    "{{ nginx }} {% raw %}",
    "default",
    "include /etc/passwd",
    "~.*",
    "\\\\n\\t\\r\\x41",
    "]] } --[[ os.exit() ]]",
    "(a+)+$|b*[c]{2}^?",
    "@to_1",
    "%s%d%%",
    "`id` é ü 漢",
)


def matching(path: str, *methods: str, **headers: str) -> ir.RouteMatch:
    conditions = tuple(ir.HeaderMatch(name, value) for name, value in headers.items())
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, path), methods, conditions)


def retries(attempts: int, *conditions: ir.RetryCondition) -> ir.RetryPolicy:
    return ir.RetryPolicy(attempts, conditions, IDEMPOTENT, at=WRITTEN)


def web(*hosts: ir.VirtualHost, clusters: tuple[ir.Cluster, ...] = (), **changes) -> ir.Sidecar:
    made = sidecar(
        "web",
        ir.Proxy.NGINX,
        address="127.43.1.1",
        callers=("a", "b"),
        virtual_hosts=hosts,
        clusters=clusters or (cluster("catalog", ("10.0.0.1", 15006, 1), ("10.0.0.2", 15006, 2)),),
    )
    return structs.replace(made, **changes)


def with_inbound(**changes) -> ir.Sidecar:
    each = web()
    assert each.inbound is not None
    return structs.replace(each, inbound=structs.replace(each.inbound, **changes))


def rich() -> ir.Sidecar:
    """Everything at once, hostile strings in every place that takes free text."""
    gateway = retries(2, ir.RetryCondition.GATEWAY_ERROR, ir.RetryCondition.CONNECT_FAILURE)
    written = ir.Timeout(timedelta(milliseconds=1500), at=WRITTEN)
    routes = [
        route(f"r{number}", ("catalog", 1), match=matching(f"/{text}", **{"x-a": text}))
        for number, text in enumerate(HOSTILE)
    ]
    shares = (("catalog", 1), ("catalog.two", 999_999), ("catalog.none", 3))
    return web(
        virtual_host(
            "catalog", *routes, route("split", *shares, retries=gateway, timeout=written), route("rest")
        ),
        virtual_host(
            "orders",
            *(route(f"r{n}", ("catalog", 1), match=matching(f"/a{n % 7}/{n}", "GET")) for n in range(70)),
        ),
        clusters=(
            cluster("catalog", ("10.0.0.1", 15006, 1), ("10.0.0.2", 15006, 1_000_000)),
            cluster("catalog.two", ("10.0.0.3", 15006, 1), idle_timeout=timedelta(days=3650)),
            cluster("catalog.none"),
        ),
    )


def outside(name: str, *endpoints: tuple[str, int, int], tls: str | None = None, dns=None) -> ir.Cluster:
    origin = ir.Origin(
        None if tls is None else ir.OriginTls(tls, "/etc/ssl/certs/nowhere.crt", ir.TlsVersion.V1_2)
    )
    return structs.replace(cluster(name, *endpoints), identity=None, origin=origin, dns=dns)


def socket(text: str) -> ir.SocketAddress:
    address, _, port = text.rpartition(":")
    return ir.SocketAddress(address.strip("[]"), int(port))


def language() -> ir.Sidecar:
    """Every part of the language that a sidecar may be asked for, on addresses that this machine may not have."""
    tried = ir.RetryPolicy(
        3,
        tuple(ir.RetryCondition),
        ("GET",),
        statuses=tuple(range(400, 600)),
        per_try_timeout=ir.PerTryTimeout(timedelta(milliseconds=100), at=WRITTEN),
        backoff=ir.Backoff(timedelta(milliseconds=25), timedelta(milliseconds=250), at=WRITTEN),
        budget=ir.RetryBudget(Fraction(1, 5), at=WRITTEN),
        at=WRITTEN,
    )
    text = ir.HeaderChanges(
        tuple((f"x-{n}", each.strip()) for n, each in enumerate(HOSTILE)), (("a", "b"),), ("c",)
    )
    regex = ir.PathMatch(ir.PathMatchKind.REGEX, '/a"b\\\\{2}\\$[^;]*')
    rule = ir.AuthorizationRule(
        (identity("a"), identity("b")),
        methods=("GET", "POST"),
        paths=(regex, ir.PathMatch(ir.PathMatchKind.PREFIX, "/x")),
        headers=(ir.HeaderMatch("x", 'a"\\d', ir.ValueMatchKind.REGEX),),
    )
    made = web(
        virtual_host(
            "catalog",
            route("r", ("catalog", 1), ("away", 1), retries=tried, match=ir.RouteMatch(regex, (), ())),
            route("s", ("catalog", 1), retries=tried, streaming=True),
        ),
        structs.replace(
            virtual_host(
                "filters",
                route(
                    "a",
                    match=matching("/a"),
                    answer=ir.Redirect(301, "https", "h.example", 8443, prefix="/b"),
                ),
                route("b", match=matching("/b"), answer=ir.DirectResponse(200, "".join(HOSTILE) + "\n\t")),
                route(
                    "c",
                    ("any", 1),
                    rewrite=ir.Rewrite("/c", "", "h.internal"),
                    request_headers=text,
                    response_headers=text,
                ),
            ),
            hostnames=("filters", "*.filters.example"),
        ),
        clusters=(
            cluster("catalog", ("fd00::1", 15006, 1)),
            outside("away", tls="api.example", dns=ir.DnsName("api.example", 443, timedelta(seconds=30))),
            outside("any", tls="", dns=ir.DnsName("", 443, timedelta(seconds=30))),
            outside("egress", dns=ir.DnsName("", 0, timedelta(seconds=30))),
            structs.replace(cluster("ledger", ("fd00::2", 15006, 3)), protocol=ir.Protocol.TCP),
            structs.replace(cluster("empty"), protocol=ir.Protocol.TCP),
            structs.replace(
                outside(
                    "mail", tls="mail.example", dns=ir.DnsName("mail.example", 465, timedelta(seconds=30))
                ),
                protocol=ir.Protocol.TCP,
            ),
        ),
    )
    assert made.inbound is not None
    authorization = ir.Authorization(ir.AuthorizationMode.OPEN, (rule,), (rule,), (rule,), audit=True)
    everywhere = (socket("192.0.2.1:15006"), socket("[fd00::9]:15006"))
    local = ir.OutboundListener(
        (socket("[::1]:4000"), socket("127.0.0.1:4000")),
        "shop.mesh",
        (structs.replace(virtual_host("catalog", route("r", ("catalog", 1))), hostnames=("*",)),),
        timedelta(minutes=5),
    )
    return structs.replace(
        made,
        tls=ir.TlsContext(ir.TlsVersion.V1_2, cipher_suites=("ECDHE-ECDSA-AES256-GCM-SHA384",)),
        inbound=structs.replace(
            made.inbound, binds=everywhere, application=socket("[::1]:8080"), authorization=authorization
        ),
        outbound=structs.replace(
            made.outbound,
            binds=(*made.outbound.binds, socket("[::1]:15001")),
            egress=route("egress", ("egress", 1)),
        ),
        locals=(local,),
        tcp=(
            ir.TcpListener((socket("127.0.0.1:5432"), socket("[::1]:5432")), "ledger", "ledger", at=WRITTEN),
            ir.TcpListener((socket("127.0.0.1:5433"),), "empty", "empty", at=WRITTEN),
            ir.TcpListener((socket("127.0.0.1:5434"),), "mail", "mail", at=WRITTEN),
        ),
        health=ir.HealthListener((socket("192.0.2.1:15021"),), "/h$z", socket("[::1]:8080"), at=WRITTEN),
        resolvers=(socket("127.0.0.53:53"), socket("[::1]:53")),
    )


def gateway() -> ir.Sidecar:
    made = web(
        structs.replace(
            virtual_host("g", route("r", ("catalog", 1))), hostnames=("shop.example", "*.shop.example")
        ),
        inbound=None,
    )
    tls = ir.ServerTls("/etc/nowhere.pem", "/etc/nowhere.key", ir.TlsVersion.V1_2, at=WRITTEN)
    listener = structs.replace(made.outbound, binds=(socket("192.0.2.1:8443"),), domain="", tls=tls)
    health = ir.HealthListener((socket("192.0.2.1:15021"),), "", None, at=WRITTEN)
    return structs.replace(made, outbound=listener, health=health)


def tcp_service() -> ir.Sidecar:
    rules = (ir.AuthorizationRule((identity("a"),)),)
    deny = (ir.AuthorizationRule((identity("b"),)), ir.AuthorizationRule(anyone=True))
    return with_inbound(
        binds=(socket("192.0.2.1:15006"), socket("[::1]:15006")),
        protocol=ir.Protocol.TCP,
        authorization=ir.Authorization(ir.AuthorizationMode.EXPLICIT, rules, deny),
    )


def audited(each: ir.Sidecar, **changes) -> ir.Sidecar:
    assert each.inbound is not None
    its = structs.replace(each.inbound.authorization, audit=True)
    return structs.replace(each, inbound=structs.replace(each.inbound, authorization=its), **changes)


def configuration(each: ir.Sidecar) -> str:
    return artifacts(each)["nginx/nginx.conf"].decode()


def artifacts(each: ir.Sidecar) -> dict[str, bytes]:
    return {artifact.path: artifact.content for artifact in nginx.emit(each)}


def test_files():
    emitted = {artifact.path: artifact.executable for artifact in nginx.emit(rich())}
    assert emitted == {
        "nginx/nginx.conf": False,
        "nginx/check.conf": False,
        "nginx/reload": True,
        "nginx/matching.lua": False,
        "nginx/mesh.lua": False,
        "nginx/mtls.lua": False,
        "nginx/reload.lua": False,
        "nginx/run": True,
        "run/.gitignore": False,
    }


def test_the_same_sidecar_gives_the_same_bytes():
    assert nginx.emit(rich()) == nginx.emit(rich())


def test_places_and_equal_objects_change_nothing():
    one = route("r", ("catalog", 1))
    moved = structs.replace(one, at=WRITTEN)
    assert configuration(web(virtual_host("catalog", one))) == configuration(
        web(virtual_host("catalog", moved))
    )


def test_every_feature_has_an_answer():
    assert set(nginx.CAPABILITIES) == set(Feature)


@pytest.mark.parametrize(("attempts", "applies"), [(8, False), (9, True)])
def test_conflict_of_many_attempts(attempts, applies):
    policy = retries(attempts, ir.RetryCondition.CONNECT_FAILURE)
    each = web(virtual_host("catalog", route("r", ("catalog", 1), retries=policy)))
    assert any(conflict.applies(each) for conflict in nginx.CONFLICTS) == applies


@pytest.mark.parametrize(
    ("protocol", "srv", "applies"),
    [(ir.Protocol.TCP, True, True), (ir.Protocol.TCP, False, False), (ir.Protocol.HTTP, True, False)],
)
def test_conflict_of_services_found_for_streams(protocol, srv, applies):
    dns = ir.DnsName("catalog.internal", 0 if srv else 15006, timedelta(seconds=5), srv=srv)
    callee = structs.replace(cluster("catalog"), dns=dns, protocol=protocol)
    each = sidecar("web", ir.Proxy.NGINX, clusters=(callee,))
    assert any(conflict.applies(each) for conflict in nginx.CONFLICTS) == applies


def write_bundle(each: ir.Sidecar, bundle: Path) -> Path:
    for path, content in artifacts(each).items():
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / path).write_bytes(content)
    now = datetime.now(UTC)
    issued = issue(create_authority("shop.example", now).authority, identity("web"), timedelta(days=1), now)
    (bundle / "tls").mkdir()
    (bundle / CERTIFICATE).write_bytes(issued.chain_pem)
    (bundle / PRIVATE_KEY).write_bytes(issued.key_pem)
    (bundle / TRUST_BUNDLE).write_bytes(issued.trust_pem)
    return bundle / "nginx"


def validate(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        (find("nginx") or "nginx", *arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


SIDECARS = {
    "rich": rich(),
    "language": language(),
    "gateway": gateway(),
    "tcp": tcp_service(),
    "tcp, audited": audited(tcp_service(), mesh=HOSTILE[0], build=HOSTILE[1]),
    "tcp, no log": audited(tcp_service(), access_log=ir.AccessLog(enabled=False)),
    "no calls": web(),
    "no inbound": web(virtual_host("catalog", route("r", ("catalog", 1))), inbound=None),
    "no log": web(
        virtual_host("catalog", route("r", ("catalog", 1))), access_log=ir.AccessLog(enabled=False)
    ),
    "no endpoint": web(virtual_host("c", route("r", ("c", 1))), clusters=(cluster("c"),)),
    "tls 1.2": web(tls=ir.TlsContext(ir.TlsVersion.V1_2, at=WRITTEN)),
    "no retries, no timeout": web(
        virtual_host(
            "catalog",
            route("r", ("catalog", 1), retries=NO_RETRIES, timeout=ir.Timeout(timedelta(0), at=WRITTEN)),
        )
    ),
    "wide": web(
        *(virtual_host(f"c{n}", route("r", (f"c{n}", 1))) for n in range(300)),
        clusters=tuple(cluster(f"c{n}", *(("10.0.0.1", 1 + m, 1) for m in range(20))) for n in range(300)),
    ),
    "elsewhere": with_inbound(binds=(ir.SocketAddress("192.0.2.1", 15006),)),
}


@pytest.mark.parametrize("name", SIDECARS)
def test_the_validator_has_nothing_to_say(name, tmp_path):
    """Neither in the folder of the bundle nor does it care where the sidecar will run."""
    bundle = write_bundle(SIDECARS[name], tmp_path)
    assert validate(bundle, *nginx.COMMANDS.check) == (0, "")


def test_the_validator_reads_all_of_it(tmp_path):
    folder = write_bundle(rich(), tmp_path)
    (folder / "nginx.conf").write_bytes(
        (folder / "nginx.conf").read_bytes().replace(b"gzip off", b"gzip often")
    )
    status, output = validate(folder, *nginx.COMMANDS.check)
    assert status != 0
    assert "gzip" in output


def test_lua_compiles(tmp_path):
    """NGINX's validator skips it, so that a slip would show when the sidecar starts."""
    text = artifacts(rich())["nginx/mesh.lua"]
    assert text.count(b"function") <= text.count(b"end")
    block = re.search(r"init_by_lua_block \{(.*?)\n    \}\n", configuration(rich()), re.DOTALL)
    assert block
    assert block[1].count("{") == block[1].count("}")


@pytest.mark.parametrize("text", HOSTILE)
def test_values_are_read_back_as_they_were(text):
    assert _unquote(quoting.value(text)).replace("${dollar}", "$") == text
    assert _unquote(quoting.map_key(text)) == "\\" + text


@pytest.mark.parametrize("text", [*HOSTILE, "/a.b", "/~x/(y)"])
def test_a_literal_matches_itself_only(text):
    expression = quoting.literal_regex(text)
    pattern = re.compile(expression.encode("latin-1"))
    assert pattern.fullmatch(text.encode())
    assert not pattern.fullmatch(text.encode().replace(b".", b"x") + b"x")
    token = quoting.map_regex(f"^{expression}")
    assert _unquote(token) == f"~^{expression}"


@pytest.mark.parametrize("text", HOSTILE)
def test_lua_strings_hold_every_byte(text):
    token = quoting.lua_string(text)
    long = quoting.lua_string(text * 300).split(" .. ")
    assert len(long) > 1
    assert max(map(len, long)) < 4000
    assert re.fullmatch(r'"(?:[A-Za-z0-9_.:@/ -]|\\\d{3})*"', token)
    numbers = re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1])]), token[1:-1].encode())
    assert numbers == text.encode()


def _unquote(token: str) -> str:
    """As NGINX's parser does."""
    assert token[0] == token[-1] == '"'
    inner = token[1:-1]
    assert not re.search(r'(?<!\\)(?:\\\\)*"', inner)
    escapes = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}
    return re.sub(r"\\([\"'\\trn])", lambda found: escapes[found[1]], inner)


@pytest.mark.parametrize("make", [quoting.value, quoting.map_key, quoting.literal_regex, quoting.lua_string])
@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(make, character):
    with pytest.raises(ValueError, match="control"):
        make(f"a{character}b")


@pytest.mark.parametrize("text", ["", "a b", "a;", "~a", "*.a", "A", "a_b", "$a", "-a", "a."])
def test_names_are_names(text):
    with pytest.raises(ValueError, match="name"):
        quoting.name(text)


def test_too_long_for_nginx():
    with pytest.raises(ValueError, match="too many"):
        quoting.value("x" * 4001)


def test_the_longest_path_and_header_of_the_language_fit(tmp_path):
    match = ir.RouteMatch(
        ir.PathMatch(ir.PathMatchKind.EXACT, "/" + "." * 1023),
        ("GET",),
        (ir.HeaderMatch("x", '"' * 1024),),
    )
    each = web(virtual_host("catalog", route("r", ("catalog", 1), match=match)))
    assert validate(write_bundle(each, tmp_path), *nginx.COMMANDS.check) == (0, "")


@pytest.mark.parametrize("printed", ["text", None, True, 1.5, ["a"]])
def test_templates_print_tokens_only(printed):
    environment = _template().environment
    with pytest.raises(TypeError):
        environment.from_string("{{ value }}").render(value=printed)
    assert environment.from_string("{{ a }}{{ b }}").render(a=Token("x"), b=1) == "x1"
    with pytest.raises(TypeError):
        environment.from_string("{{ nothing }}").render()
    with pytest.raises(UndefinedError):
        environment.from_string("{{ nothing.at_all }}").render()


@pytest.mark.parametrize(
    "weights",
    [
        (90, 10),
        (1, 1, 1),
        (1, 999_999),
        (1, 1_000_000),
        (333_333, 333_333, 333_334),
        (1,) * 30,
        (7, 11, 13, 1_000_000),
    ],
)
def test_shares_are_exact(weights):
    backends = [(Token(f"@to_{index}"), weight) for index, weight in enumerate(weights)]
    drawn = dict.fromkeys((leads_to for leads_to, _ in backends), 0.0)
    first, *again = splitting.splits(1, backends)
    for leads_to, part in _parts(first):
        if leads_to in drawn:
            drawn[leads_to] += part
        else:
            assert leads_to == again[0].variable
            for behind, piece in _parts(again[0]):
                drawn[behind] += part * piece
    for leads_to, weight in backends:
        assert drawn[leads_to] == pytest.approx(weight / sum(weights), abs=2e-7)
        assert drawn[leads_to] > 0


def _parts(split) -> list[tuple[Token, float]]:
    parts = [(share.leads_to, float(share.part.rstrip("%")) / 100) for share in split.shares[:-1]]
    assert split.shares[-1].part == "*"
    return [*parts, (split.shares[-1].leads_to, 1 - sum(part for _, part in parts))]


@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        ("GET / HTTP/1.1", True),
        ("GET /a/b/?c#d HTTP/1.1", False),
        ("GET /a//b HTTP/1.1", False),
        ("GET http://host/a HTTP/1.1", True),
        ("GET http://host//a HTTP/1.1", False),
        ("GET http://host/.. HTTP/1.1", False),
        ("GET http://host HTTP/1.1", True),
        ("GET http:// HTTP/1.1", False),
        ("GET http://host# HTTP/1.1", False),
        ("GET /  HTTP/1.1", False),
        ("GET /", False),
        ("OPTIONS * HTTP/1.1", False),
        ("GET /" + "a/" * 30_000 + "/ HTTP/1.1", False),
    ],
)
def test_gate_reads_the_whole_line(line, canonical):
    expression = path_gate.CANONICAL_REQUEST.replace(r"\z", r"\Z").replace("(?<canonical_path>", "(")
    expression = expression.replace("(?|", "(?:")
    assert bool(re.match(expression, line)) is canonical


def test_draws_are_numbers():
    """``split_clients`` takes its values as they stand: a variable there would be a redirect to its name."""
    blocks = re.findall(r"split_clients [^\n]*\{(.*?)\}", configuration(rich()), re.DOTALL)
    assert len(blocks) == 2
    assert re.fullmatch(r"(\s+(?:\d+\.\d\d%|\*) \d+;)+\s+", "".join(blocks))


def test_what_no_default_may_decide():
    text = configuration(rich())
    assert "proxy_ssl_verify on;" in text
    assert "ssl_verify_client on;" in text
    assert "ssl_session_tickets off;" in text
    assert 'default "";\n        "\\\\a" "spiffe://shop.example/a";' in text
    servers = re.split(r"\n    server \{\n", text)[1:]
    assert all("if ($canonical = 0) {" in server for server in servers[1:])
    assert not re.search(r"listen (?!127\.43\.1\.1:)", text)


@pytest.mark.parametrize("number", range(2, 5))
def test_a_rule_without_principals_is_for_nobody(number):
    """Not even one with paths, in any of the three lists."""
    nobody = ir.AuthorizationRule(paths=(ir.PathMatch(ir.PathMatchKind.PREFIX, "/"),))
    rules, deny, exempt = ((nobody,) if index == number else () for index in range(2, 5))
    authorization = ir.Authorization(ir.AuthorizationMode.OPEN, rules, deny, exempt)
    text = configuration(with_inbound(authorization=authorization))
    (found,) = re.findall(r'map "\$peer [^\n]* \$allowed \{\n(.*?)\n    \}', text, re.DOTALL)
    assert found.strip() == "default 0;"


def test_what_is_bound_off_loopback_is_what_was_asked_for():
    for each in (language(), gateway(), tcp_service()):
        asked = {
            str(bind)
            for part in (each.inbound, each.outbound, each.health, *each.tcp, *each.locals)
            if part
            for bind in part.binds
        }
        listens = set(re.findall(r"\n\s+listen (\S+?)[ ;]", configuration(each)))
        assert listens - {"unix:../run/tries.sock"} == asked | {str(each.admin.bind)}


def test_nothing_of_the_mesh_is_shown_to_externals():
    text = configuration(language())
    locations = re.findall(r"location @(?:to|try)_\d+ \{.*?\n        \}", text, re.DOTALL)
    outside = [each for each in locations if "https://" in each and "nowhere.crt" in each]
    assert outside
    for each in outside:
        assert "proxy_ssl_certificate $no_certificate;" in each
        assert "proxy_ssl_certificate_key $no_certificate;" in each
        assert re.search(r"proxy_ssl_name (api\.example|\$host);", each)


def test_nobody_is_let_in_without_a_rule():
    closed = ir.Authorization(ir.AuthorizationMode.DECLARED, ())
    text = configuration(with_inbound(authorization=closed))
    assert re.search(r'map \$peer \$caller_identity \{\s+default "";\s+\}', text)
