"""Which files may be on a branch: all that any golden case builds, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshctl.diagnostics import ToolError
from meshctl.publish.allowed import require_allowed

GOLDEN = Path(__file__).parents[1] / "golden"
ABOUT_THE_CASE = {"diagnostics.txt", "ir.json"}


def test_whatever_is_built_may_be_published():
    built = {
        "/".join(each.relative_to(GOLDEN).parts[3:])
        for each in GOLDEN.glob("*/expected/*/**/*")
        if each.is_file() and each.name not in ABOUT_THE_CASE
    }
    assert len(built) > 100
    require_allowed(built)
    require_allowed(["manifest.json", "identities.json", "web/2001:db8::1/envoy/check.json"])


@pytest.mark.parametrize(
    "path",
    [
        "tls/ca.key",
        "web/tls/cert.pem",
        "web/tls/cert.pem.key",
        "web/10.0.0.1/tls/ca.pem",
        "web/run/state.json",
        "web/envoy/run/xds/lds.json",
        "web/haproxy/server.pem",
        "web/nginx/token-keys.pem.key",
        "web/envoy/sds/identity.json.bak",
        "web/envoy/../../x/README",
        "/web/README",
        "web//README",
        ".meshctl/ca/root.key",
        "web/a/b/README",
        "web/../README",
        "web/.git/README",
        "README",
        "web/README\n",
    ],
)
def test_nothing_else_may(path):
    with pytest.raises(ToolError, match="of no kind"):
        require_allowed([path])
