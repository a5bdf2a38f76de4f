"""Documents of our own as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

# YAML 1.2 and the readers written in Go have numbers and truths that PyYAML takes for text: `1e3`, `0o17`, `y`.
_MISREAD = re.compile(r"[yYnN]|[-+.0-9][-+._0-9a-fA-FoOxX]*")


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]
    """No anchors, and every text a text for all readers."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _MISREAD.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def render_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """YAML that Kubernetes' tools read: one document after the other, keys in the order given."""
    return yaml.dump_all(  # type: ignore[no-any-return]
        documents, Dumper=_Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=1_000_000
    )
