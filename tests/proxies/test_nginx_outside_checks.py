"""Programs of others read NGINX's golden outputs: crossplane every token, gixy-next for what hurt others before."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import crossplane
import pytest

GOLDENS = sorted(Path("tests/golden").glob("*/expected/nginx/**/nginx.conf"))

MEANT = {
    # The Host is routed by before: who has none of the exact names comes no further, and the callee's own sidecar asks
    # again. `$host` would lower it and lose the port, which applications have asked for.
    "host_spoofing": r"Upstream Host is set from `\$http_host`",
    # Streams, gRPC and event streams must not wait for a buffer to fill (docs/wire-contract.md).
    "proxy_buffering_off": r"",
    # The variables name sockets below run/, by words of ours.
    "stale_dns_cache": r"proxy_pass uses variables, but no `resolver` is configured",
    # The number that is drawn is always one of the table's.
    "hash_without_default": r"`\$split(_again)?_\d+`",
}
"""What gixy-next says that is as it should be: plugin to what its reason begins with or holds."""


def complaints(files, tmp_path):
    report = tmp_path / "gixy.json"
    command = [Path(sys.executable).with_name("gixy"), "--format", "json", "--output", report, *files]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert report.exists(), ended.stderr
    return [(each["plugin"], each["reason"], each["path"]) for each in json.loads(report.read_text())]


def not_meant(found):
    return [each for each in found if each[0] not in MEANT or not re.search(MEANT[each[0]], each[1])]


def test_gixy_finds_what_is_meant_and_nothing_else(tmp_path):
    found = complaints(GOLDENS, tmp_path)
    assert not not_meant(found)
    assert {plugin for plugin, _, _ in found} == set(MEANT), (
        "a filter that nothing needs hides the next fault"
    )


@pytest.mark.parametrize(
    ("plugin", "line"),
    [
        (
            "http_splitting",
            "location ~ /v1/((?<action>[^.]*)\\.json)?$ { add_header X-Action $action; return 200; }",
        ),
        ("alias_traversal", "location /files { alias /srv/files/; }"),
        ("proxy_pass_normalized", "location /one/ { proxy_pass http://127.0.0.1:8080/$uri; }"),
        ("ssrf", "location ~ /proxy/(.*)/(.*)/(.*)$ { proxy_pass $1://$2/$3; }"),
        ("valid_referers", "location /x { valid_referers none blocked; return 200; }"),
    ],
)
def test_gixy_sees_what_is_planted(plugin, line, tmp_path):
    text = GOLDENS[0].read_text()
    planted = tmp_path / "nginx.conf"
    planted.write_text(
        re.sub(r"(\n\s+server \{)", rf"\1\n{line.replace(chr(92), chr(92) * 2)}", text, count=1)
    )
    assert plugin in {each[0] for each in not_meant(complaints([planted], tmp_path))}


def test_crossplane_reads_every_token():
    for each in GOLDENS:
        parsed = crossplane.parse(str(each), single=True, check_ctx=False, check_args=False)
        assert (parsed["status"], parsed["errors"]) == ("ok", []), each
        assert crossplane.build(parsed["config"][0]["parsed"])
