"""Documents of our own as YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


def render_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """YAML that Kubernetes' tools read: one document after the other, keys in the order given."""
    return yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False, allow_unicode=True)  # type: ignore[no-any-return]
