"""Whom HAProxy's differences concern: nobody else is warned."""

from __future__ import annotations

import pytest

from meshctl import pipeline

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {{name: shop, domain: shop.mesh, trustDomain: shop.example{mesh}}}
services:
  web: {{port: 80, proxy: haproxy, endpoints: [{{address: 10.0.0.1}}], calls: {{api: {{{call}}}}}}}
  api: {{port: 80, endpoints: [{{address: 10.0.0.2}}], connectTimeout: 1s, {api}}}
"""


@pytest.mark.parametrize(
    ("mesh", "call", "api", "warned"),
    [
        ("", "", "", True),
        ("", "", "timeout: 1s", False),
        ("", "timeout: 1s", "", False),
        ("", "timeout: 0s", "timeout: 1s", True),
        ("", "", "timeout: 1s, routes: [{name: a, streaming: true, timeout: 0s}]", True),
        ("", "", "routes: [{name: a, respond: {status: 204}}]", False),
        ("", "localPort: 15081", "timeout: 1s", False),
        (", egress: allow, resolvers: ['127.0.0.53:53']", "", "timeout: 1s", True),
    ],
)
def test_a_connect_timeout_is_told_of_where_no_deadline_answers_for_it(tmp_path, mesh, call, api, warned):
    (tmp_path / "mesh.yaml").write_text(MESH.format(mesh=mesh, call=call, api=api), "utf-8")
    found = pipeline.validate(str(tmp_path / "mesh.yaml")).findings
    assert any(each.message.startswith("connect timeout on the haproxy") for each in found) == warned
