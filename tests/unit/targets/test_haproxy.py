"""What the HAProxy target writes, and that HAProxy itself takes it without a word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from fractions import Fraction
from typing import cast

import jinja2
import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.resources import folder
from meshctl.targets import base, haproxy
from meshctl.targets.haproxy import access_logs, quoting
from meshctl.targets.haproxy.render import _printable
from tests import sidecars
from tests.proxies.haproxy_fixtures import Authority, write_bundle
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, route, virtual_host

GATEWAY = ir.RetryPolicy(
    2, (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR), sidecars.IDEMPOTENT
)
HOSTILE = (
    "plain",
    "two words",
    "-f",
    "--",
    "} or { always_true }",
    "it's",
    '"',
    "\\",
    "\\x41",
    "#not a comment",
    "%[env(HOME)]",
    "%%",
    "$HOME ${HOME}",
    "a,b;c",
    "(a)",
    "é€",
    "x" * 3000,
)


def words(line):
    """One line of the file as HAProxy splits it: the other half of ``quoting.word``."""
    found, word, position, quoted, started = [], "", 0, "", False
    while position < len(line):
        character = line[position]
        if quoted:
            if character == quoted:
                quoted = ""
            else:
                word += character
        elif character == "'":
            quoted, started = character, True
        elif character == "\\":
            position += 1
            word += line[position]
            started = True
        elif character == " ":
            if word or started:
                found.append(word)
            word, started = "", False
        elif character == "#":
            break
        else:
            word += character
        position += 1
    return [*found, word] if word or started else found


def lines(sidecar):
    """Every line of the configuration as a list of words."""
    split = [words(line) for line in configuration(sidecar).splitlines()]
    return [line for line in split if line]


def sections(sidecar):
    """Section heading to the lines in it."""
    found: dict[str, list[list[str]]] = {}
    for text, line in ((text, words(text)) for text in configuration(sidecar).splitlines()):
        if line and not text.startswith(" "):
            current = found.setdefault(" ".join(line), [])
        elif line:
            current.append(line)
    return found


def configuration(sidecar):
    return files(sidecar)["haproxy/haproxy.cfg"].content.decode()


def files(sidecar):
    return {artifact.path: artifact for artifact in haproxy.emit(sidecar)}


def calling(*routes, clusters=(), **extra):
    """A sidecar that calls the catalog."""
    return sidecars.sidecar(
        "web",
        ir.Proxy.HAPROXY,
        virtual_hosts=(virtual_host("catalog", *(routes or (route("all", ("catalog", 1)),))),),
        clusters=clusters or (cluster("catalog", ("10.0.0.1", 15006, 1), ("10.0.0.2", 15006, 3)),),
        **extra,
    )


def matching(path="/", kind=ir.PathMatchKind.PREFIX, methods=(), headers=()):
    return ir.RouteMatch(ir.PathMatch(kind, path), methods, headers)


def written(**duration):
    return ir.Timeout(timedelta(**duration), WRITTEN)


def rich():
    """A sidecar that uses everything at once."""
    return calling(
        route(
            "limited", ("catalog", 1), match=matching("/limited"), timeout=written(seconds=1), retries=GATEWAY
        ),
        route(
            "split",
            ("catalog.v1", 10),
            ("stock", 90),
            match=matching(
                "/x",
                ir.PathMatchKind.EXACT,
                ("GET", "POST"),
                (ir.HeaderMatch("x-a", "b"), ir.HeaderMatch("x-c", "")),
            ),
            retries=NO_RETRIES,
        ),
        route("empty", match=matching("/empty")),
        route("off", ("catalog", 1), timeout=ir.Timeout(timedelta(0), WRITTEN)),
        clusters=(
            cluster("catalog", ("10.0.0.1", 15006, 1), ("::1", 15006, 3)),
            cluster("catalog.v1", ("10.0.0.1", 15006, 1)),
            cluster("stock"),
        ),
        callers=tuple(f"caller-{number}" for number in range(150)),
    )


def test_the_module_is_a_target():
    target: base.Target = cast(base.Target, haproxy)
    assert target.PROXY is ir.Proxy.HAPROXY
    assert target.COMMANDS.binary == "haproxy"


def test_every_feature_has_a_capability():
    assert set(haproxy.CAPABILITIES) == set(ir.Feature)


def test_what_is_emitted():
    emitted = files(rich())
    assert set(emitted) == {f"haproxy/{name}" for name in ("haproxy.cfg", "reload", "run")}
    assert emitted["haproxy/run"].executable
    assert emitted["haproxy/reload"].executable
    assert not emitted["haproxy/haproxy.cfg"].executable


def test_the_same_sidecar_gives_the_same_bytes():
    assert haproxy.emit(rich()) == haproxy.emit(rich())


@pytest.mark.parametrize("binary", ["haproxy"])
@pytest.mark.parametrize(
    "sidecar",
    [
        calling(),
        rich(),
        sidecars.sidecar("alone", ir.Proxy.HAPROXY),
        sidecars.sidecar("gateway", ir.Proxy.HAPROXY, inbound=False),
        structs.replace(calling(), access_log=ir.AccessLog(enabled=False)),
        structs.replace(calling(), tls=ir.TlsContext(ir.TlsVersion.V1_2)),
        calling(
            *(route(f"r{number}", ("catalog", 1), match=matching(f"/{number}")) for number in range(120))
        ),
        calling(
            *(
                route(f"r{number}", ("catalog", 1), match=matching("/", headers=(ir.HeaderMatch("x", text),)))
                for number, text in enumerate(HOSTILE)
            )
        ),
    ],
    ids=["plain", "rich", "alone", "gateway", "no-log", "tls-1.2", "many-routes", "hostile"],
)
def test_haproxy_takes_it_without_a_warning(binary, sidecar, tmp_path):
    assert shutil.which(binary), "scripts/install-proxies.sh installs it"
    Authority().issue(sidecar.identity, tmp_path)
    write_bundle(sidecar, tmp_path)
    run = subprocess.run(
        [binary, *haproxy.COMMANDS.check],
        cwd=tmp_path / "haproxy",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "Configuration file is valid\n", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_word_comes_back_whole(text):
    assert words(quoting.word(text)) == [text]
    assert words(quoting.literal_format(text)) == [text.replace("%", "%%")]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_patterns_stand_behind_the_end_of_options(text):
    match = matching(f"/{text}", ir.PathMatchKind.EXACT, headers=(ir.HeaderMatch("x-a", text),))
    criteria = [
        line
        for line in lines(calling(route("r", ("catalog", 1), match=match)))
        if line[0] == "acl" and line[1].startswith("m1.")
    ]
    assert criteria == [
        ["acl", "m1.path", "path", "-m", "str", "--", f"/{text}"],
        ["acl", "m1.header1", 'req.fhdr("x-a")', "-m", "str", "--", text],
    ]


@pytest.mark.parametrize("character", ["\n", "\r", "\x00", "\x1f", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(character):
    with pytest.raises(ValueError, match="control character"):
        quoting.word(f"a{character}b")


@pytest.mark.parametrize("text", ["", "a b", "a'b", "a/b", "é"])
def test_odd_names_are_refused(text):
    with pytest.raises(ValueError, match="not a name"):
        quoting.name(text)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (timedelta(seconds=1.5), "1500ms"),
        (timedelta(microseconds=1), "1ms"),
        (timedelta(milliseconds=1, microseconds=1), "2ms"),
        (timedelta(0), "1ms"),
        (timedelta(days=400), f"{24 * 86400 * 1000}ms"),
    ],
)
def test_a_duration_is_never_none_and_never_overflows(value, token):
    assert quoting.duration(value) == token


def test_a_regular_expression_of_a_name_matches_that_name_only():
    assert re.fullmatch(quoting.literal_regex("a.b-c_d"), "a.b-c_d")
    assert not re.fullmatch(quoting.literal_regex("a.b"), "axb")


@pytest.mark.parametrize("value", ["text", 1.5, None, True])
def test_a_template_prints_nothing_that_nobody_quoted(value):
    environment = jinja2.Environment(finalize=_printable, autoescape=False)  # noqa: S701 - no HTML
    with pytest.raises(TypeError, match="nobody quoted"):
        environment.from_string("{{ value }}").render(value=value)


def test_every_section_leaves_no_default():
    wanted = {"timeout connect", "timeout queue", "timeout server", "timeout tunnel", "retries", "retry-on"}
    wanted |= {"balance", "http-reuse"}
    for heading, body in sections(rich()).items():
        if heading.split()[0] in ("backend", "listen") and heading != "backend nothing":
            said = {" ".join(line[:2]) if line[0] == "timeout" else line[0] for line in body}
            assert wanted <= said, heading


def test_every_server_of_a_callee_is_verified_by_name():
    checked = 0
    for heading, body in sections(rich()).items():
        if any(line[0] == "server" and "15006" in line[2] for line in body):
            (default,) = [line for line in body if line[0] == "default-server"]
            assert default[default.index("verify") + 1] == "required"
            name = default[default.index("verifyhost") + 1]
            assert name == f"{heading.split()[1].split(':')[0].split('.')[0]}.spiffe.shop.example"
            assert default[default.index("sni") + 1] == f'str("{name}")'
            checked += 1
    assert checked == 4


def test_the_default_has_one_layer():
    assert not [heading for heading in sections(calling()) if heading.startswith("listen")]


def test_a_written_timeout_has_a_section_of_its_own():
    limited = calling(route("r", ("catalog", 1), timeout=written(milliseconds=700), retries=GATEWAY))
    found = sections(limited)
    assert ["timeout", "server", "700ms"] in found["backend catalog:1"]
    assert ["retries", "2"] in found["listen catalog:1:tries"]


def test_zero_switches_the_timeout_off():
    body = sections(calling(route("r", ("catalog", 1), timeout=ir.Timeout(timedelta(0), WRITTEN))))[
        "backend catalog:1"
    ]
    assert ["timeout", "server", "300000ms"] in body


def test_methods_that_may_not_be_repeated_have_fewer_causes():
    found = sections(calling(route("r", ("catalog", 1), retries=GATEWAY)))
    assert ["retry-on", "conn-failure", "425", "502", "503", "504"] in found["backend catalog:1"]
    assert ["retry-on", "conn-failure", "425"] in found["backend catalog:2"]
    chosen = [line for line in found["frontend outbound"] if line[0] == "use_backend"]
    assert chosen[0][1] == "catalog:1"
    assert set(sidecars.IDEMPOTENT) < set(chosen[0])
    assert chosen[1] == ["use_backend", "catalog:2", *["if", "{", "var(txn.target)", "-m", "int", "1", "}"]]


def test_routes_of_one_policy_share_a_backend_and_others_do_not():
    same = calling(route("a", ("catalog", 1), match=matching("/a")), route("b", ("catalog", 1)))
    assert [each for each in sections(same) if each.startswith("backend catalog")] == ["backend catalog:1"]
    # A written timeout equals the default of the same length in the model, and is another thing here.
    other = calling(
        route("a", ("catalog", 1), match=matching("/a"), timeout=written(seconds=15)),
        route("b", ("catalog", 1)),
    )
    assert {"backend catalog:1", "listen catalog:1:tries", "backend catalog:2"} <= set(sections(other))


def test_a_limit_counts_all_backends_of_a_cluster():
    found = sections(calling(route("r", ("catalog", 1), retries=GATEWAY)))
    for name in ("catalog:1", "catalog:2"):
        body = [" ".join(line) for line in found[f"backend {name}"]]
        assert "http-request set-var(txn.load) be_conn(catalog:1)" in body
        assert "http-request set-var(txn.load) be_conn(catalog:2),add(txn.load)" in body
        assert "http-request return status 503 if { var(txn.load) -m int gt 1024 }" in body


def hops(sidecar):
    return {line[1] for line in lines(sidecar) if line[0] == "bind" and line[1].startswith("abns@")}


def test_hops_differ_between_bundles_and_not_between_builds():
    """A worker that was told to stop has requests left, whose hops the next one listens for."""
    one = rich()
    moved = structs.replace(
        one, outbound=structs.replace(one.outbound, binds=(ir.SocketAddress("127.0.0.1", 1),))
    )
    rebuilt = structs.replace(one, build="sha256:" + "1" * 64)
    assert len(hops(one)) == 3  # two backends with a deadline, and the section that answers for the silent
    assert not hops(one) & hops(moved)
    assert hops(one) == hops(rebuilt)


def test_nothing_else_listens_anywhere():
    binds = {line[1] for line in lines(rich()) if line[0] == "bind"} - hops(rich())
    assert binds == {"127.0.0.1:15000", "127.0.0.1:15001", "127.0.0.1:15006"}


def test_no_line_has_more_words_than_haproxy_reads():
    assert max(len(line) for line in lines(rich())) <= 64


def test_nobody_is_let_in_without_a_rule():
    inbound = sections(sidecars.sidecar("alone", ir.Proxy.HAPROXY))["frontend inbound"]
    assert [line for line in inbound if line[:2] == ["acl", "allowed"]] == [
        ["acl", "allowed", "always_false"]
    ]
    assert ["http-request", "return", "status", "403", "if", "!allowed"] in inbound


def test_callers_are_known_by_their_whole_subject():
    inbound = sections(sidecars.sidecar("alone", ir.Proxy.HAPROXY, callers=("a", "b")))["frontend inbound"]
    assert [
        *("acl", "allowed", "var(sess.subject)", "-m", "str", "--"),
        *("CN=a,O=shop.example", "CN=b,O=shop.example"),
    ] in inbound


def test_files_are_reached_from_the_bundle_only():
    assert not re.search(r"(crt|ca-file) (?!\.\./tls/)", configuration(rich()))
    assert "unix@../run/" in configuration(rich())


def test_the_log_has_every_key_in_order():
    frontends = [
        body
        for heading, body in sections(rich()).items()
        if heading in ("frontend inbound", "frontend outbound")
    ]
    formats = [
        line[1] for body in frontends for line in body if line[0] in ("log-format", "error-log-format")
    ]
    assert len(formats) == 4
    for text in formats:
        assert tuple(re.findall(r'[{,]"(\w+)":', text)) == ACCESS_LOG_FIELDS


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("direction", access_logs.Direction)
def test_the_line_of_a_stream_is_json_with_the_same_keys(direction, text):
    token = access_logs.stream_log(structs.replace(calling(), mesh=text, build=text), direction)
    (line,) = words(token)
    # What HAProxy fills in, as it does for a connection that came to nothing.
    filled = re.sub(r'%\[str\(\\"\),concat\([^)]*\)\]', '""', line)
    filled = re.sub(r'"%\{-M\}\[.*?\)\]"(?=,"tries")', '""', filled)
    filled = re.sub(r"%(\[var\([^]]*\]|Tt|U|B)", "0", filled).replace("%ts", "--").replace("%%", "%")
    document = json.loads(filled)
    assert tuple(document) == ACCESS_LOG_FIELDS
    assert document["mesh"] == document["build"] == text


def test_constant_text_of_the_log_is_no_format():
    odd = structs.replace(calling(), mesh='%[env(HOME)]"')
    text = next(line[1] for line in lines(odd) if line[0] == "error-log-format")
    assert '"mesh":"%%[env(HOME)]\\""' in text


def test_the_build_document():
    (line,) = [
        line for line in lines(calling()) if line[:1] == ["http-request"] and "application/json" in line
    ]
    assert json.loads(line[line.index("string") + 1]) == {
        "mesh": "shop",
        "service": "web",
        "instance": "",
        "proxy": "haproxy",
        "build": "sha256:" + "0" * 64,
    }


def conflicts(sidecar):
    return [conflict.features for conflict in haproxy.CONFLICTS if conflict.applies(sidecar)]


@pytest.mark.parametrize("weight", [256, 257])
def test_a_weight_that_haproxy_does_not_know_is_a_conflict(weight):
    heavy = calling(clusters=(cluster("catalog", ("10.0.0.1", 15006, 1), ("10.0.0.2", 15006, weight)),))
    assert conflicts(heavy) == ([(ir.Feature.ENDPOINT_WEIGHTS,)] if weight > 256 else [])


@pytest.mark.parametrize("protocol", ir.Protocol)
def test_streams_that_eject_are_a_conflict(protocol):
    second = timedelta(seconds=1)
    ejection = ir.OutlierDetection(3, second, second, max_ejected=Fraction(1), at=WRITTEN)
    callee = structs.replace(
        cluster("catalog", ("10.0.0.1", 15006, 1)), protocol=protocol, outlier_detection=ejection
    )
    expected = [(ir.Feature.OUTLIER_DETECTION, ir.Feature.TCP)] if protocol is ir.Protocol.TCP else []
    assert conflicts(calling(clusters=(callee,))) == expected


def test_no_expression_repeats_a_group():
    # HAProxy gives up on long subjects then, and a condition that gave up does not hold.
    text = (folder("templates") / "haproxy" / "gate.cfg.j2").read_text()
    expressions = [line for line in text.splitlines() if "-m reg" in line]
    assert expressions
    assert not [line for line in expressions if re.search(r"\)[*+{]", line)]


def headings(sidecar):
    return [heading for heading in sections(sidecar) if "catalog" in heading]


def policy(**more):
    conditions = (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR)
    return ir.RetryPolicy(2, conditions, sidecars.IDEMPOTENT, **more)


BACKOFF = ir.Backoff(timedelta(milliseconds=25), timedelta(milliseconds=40), WRITTEN)
PER_TRY = ir.PerTryTimeout(timedelta(milliseconds=800), WRITTEN)
BODY = ir.BodyTimeout(timedelta(seconds=2), WRITTEN)


@pytest.mark.parametrize(
    ("retries", "more", "layers"),
    [
        (sidecars.DEFAULT_RETRIES, {}, ["backend catalog:1"]),
        (policy(non_idempotent=True), {}, ["backend catalog:1"]),
        (policy(), {}, ["backend catalog:1", "backend catalog:2"]),
        (NO_RETRIES, {"body_timeout": BODY}, ["backend catalog:1", "listen catalog:1:tries"]),
        (
            ir.RetryPolicy(0, (), (), per_try_timeout=PER_TRY),
            {},
            ["backend catalog:1", "listen catalog:1:tries"],
        ),
        (
            policy(backoff=BACKOFF),
            {"body_timeout": BODY},
            [
                *("backend catalog:1", "listen catalog:1:deadline", "listen catalog:1:tries"),
                *("listen catalog:1:e1", "listen catalog:1:e2"),
            ],
        ),
        (NO_RETRIES, {"streaming": True, "timeout": ir.Timeout(timedelta(0))}, ["backend catalog:1"]),
    ],
)
def test_there_are_only_the_layers_that_a_written_field_needs(retries, more, layers):
    made = structs.replace(route("r", ("catalog", 1), retries=retries), **more)
    clusters = (cluster("catalog", ("10.0.0.1", 15006, 1), ("10.0.0.2", 15006, 1)),)
    assert headings(calling(made, clusters=clusters)) == layers


def test_a_stream_is_never_held_back():
    made = route("r", ("catalog", 1), retries=policy(), timeout=ir.Timeout(timedelta(0)))
    held = [line for line in lines(calling(made)) if "wait-for-body" in line]
    streamed = calling(structs.replace(made, streaming=True))
    assert len([line for line in lines(streamed) if "wait-for-body" in line]) == len(held) - 2


def test_only_a_pause_brings_lua():
    assert "haproxy/pauses.lua" not in files(rich())
    paused = calling(route("r", ("catalog", 1), retries=policy(backoff=BACKOFF)))
    assert "haproxy/pauses.lua" in files(paused)
    pauses = [line[2] for line in sections(paused)["listen catalog:1:e1"] if line[1] == "lua.pause"]
    assert pauses == ["25", "40"]


def test_cipher_suites_stand_on_both_ends_of_a_hop():
    context = ir.TlsContext(ir.TlsVersion.V1_2, cipher_suites=("ECDHE-A", "ECDHE-B"))
    made = lines(structs.replace(calling(), tls=context))
    ends = [line for line in made if "ssl" in line and line[0] in ("bind", "default-server")]
    assert len(ends) == 2
    assert all(line[line.index("ciphers") + 1] == "ECDHE-A:ECDHE-B" for line in ends)


def gateway(certificate, key):
    made = sidecars.sidecar("edge", ir.Proxy.HAPROXY, inbound=False)
    tls = ir.ServerTls(certificate, key, ir.TlsVersion.V1_3)
    return structs.replace(made, outbound=structs.replace(made.outbound, domain="", tls=tls))


@pytest.mark.parametrize("key", ["/etc/it's/a.pem", "/etc/it's/a.pem.key"])
def test_a_gateways_certificate_is_where_the_spec_says(key):
    made = gateway("/etc/it's/a.pem", key)
    (bind,) = [line for line in sections(made)["frontend outbound"] if line[0] == "bind"]
    assert bind[bind.index("crt") + 1] == "/etc/it's/a.pem"
    assert b"ln" not in files(made)["haproxy/run"].content.split()


def test_a_gateways_key_of_another_name_gets_one_that_haproxy_finds():
    made = gateway("/etc/a.pem", "/etc/$(rm -rf) it's.key")
    (bind,) = [line for line in sections(made)["frontend outbound"] if line[0] == "bind"]
    assert bind[bind.index("crt") + 1] == "../run/server.pem"
    script = files(made)["haproxy/run"].content.decode()
    assert "ln -sfn -- /etc/a.pem ../run/server.pem\n" in script
    assert """ln -sfn -- '/etc/$(rm -rf) it'"'"'s.key' ../run/server.pem.key\n""" in script


def test_a_users_expression_is_whole_and_gives_up_early():
    assert words(quoting.whole_regex("/a|b")) == ["(*LIMIT_MATCH=100000)^(?:/a|b)$"]
    surely_not = "(*LIMIT_MATCH=100000)^(?!(?:/a|b)$).*$"
    assert words(quoting.unless_regex(quoting.word("path"), "/a|b")) == [f'path,regsub("{surely_not}",)']


@pytest.mark.parametrize("text", ["", "a\n\tb", "\n", "it's\n%[x]\\n"])
def test_text_of_several_lines_is_one_word(text):
    word = quoting.text(text)
    assert "\n" not in word
    assert "\t" not in word
    assert word == {"a\n\tb": "a\\n\\tb", "": "''", "\n": "\\n"}.get(text, word)


@pytest.mark.parametrize("count", [63, 64])
def test_many_routes_of_a_path_alone_are_looked_up(count):
    made = calling(*(route(f"r{each}", ("catalog", 1), match=matching(f"/{each}")) for each in range(count)))
    tables = {name: each.content for name, each in files(made).items() if name.endswith(".map")}
    rules = [line for line in lines(made) if line[:2] == ["acl", "m1.path"]]
    assert (len(tables), bool(rules)) == ((5, False) if count == 64 else (0, True))
    if tables:
        assert b"/7/ 8\n" in tables["haproxy/outbound.1.prefix.map"]
        assert b"8 r7\n" in tables["haproxy/outbound.routes.map"]
        assert b"8 catalog:1\n" in tables["haproxy/outbound.backends.map"]
