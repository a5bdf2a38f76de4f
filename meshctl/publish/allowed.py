"""What may be on a branch: the kinds of files that builds make, one by one, and nothing else whatever it is named."""

from __future__ import annotations

import re
from collections.abc import Iterable

from meshctl.diagnostics import ToolError
from meshctl.manifest import MANIFEST

_BUNDLE = r"[a-z0-9-]+/(?:[0-9A-Za-z:][0-9A-Za-z.:_-]*/)?"
_KINDS = tuple(
    re.compile(each)
    for each in (
        re.escape(MANIFEST),
        r"identities\.json",
        _BUNDLE + r"README",
        _BUNDLE + r"identity\.json",
        # Keeps the state of a running proxy out of git; the one file that is named for it.
        _BUNDLE + r"run/\.gitignore",
        _BUNDLE + r"(?:envoy|haproxy|nginx)/(?:run|reload)",
        _BUNDLE + r"envoy/(?:sds/)?[a-z0-9_-]+\.json",
        _BUNDLE + r"haproxy/(?:haproxy\.cfg|[a-z0-9_]+\.lua)",
        _BUNDLE + r"nginx/(?:[a-z]+\.conf|[a-z0-9_]+\.(?:lua|js))",
        # Public keys that tokens are verified with.
        _BUNDLE + r"(?:haproxy|nginx)/token-keys[a-z0-9_-]*\.pem",
    )
)


def require_allowed(paths: Iterable[str]) -> None:
    """Raises ToolError for a path, relative to the output folder, that is of no kind that is published."""
    strange = [path for path in paths if not any(kind.fullmatch(path) for kind in _KINDS)]
    if strange:
        raise ToolError(
            f"nothing was published: of no kind that may be on a branch: {', '.join(strange[:5])}"
        )
