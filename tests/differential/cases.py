"""Disagreements that were found once: a spec without its callers, and requests that all three of them make."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from ruamel.yaml import YAML

from tests.behaviour.tables import Row, parse_table
from tests.differential.comparing import Disagreement, told
from tests.differential.worlds import Document

FOLDER = Path(__file__).parent / "cases"
MOST = 9
"""Callees in one world."""


def save(document: Document, found: Disagreement) -> Path:
    """A file for what is left of a disagreement; asked by every `make test` from then on."""
    row = told(found.row)
    row["headers"] = [list(each) for each in found.row.headers]
    case = {"why": "; ".join(found.faults), "spec": document, "requests": [row]}
    name = hashlib.sha256(json.dumps(case, sort_keys=True).encode()).hexdigest()[:12]
    path = FOLDER / f"{name}.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(case, file)
    return path


def load() -> list[tuple[Document, list[Row]]]:
    """All cases, as many as fit together in one world."""
    worlds: list[tuple[Document, list[Row]]] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        document, rows = _load(path)
        mesh, services = document.get("mesh", {}), document["services"]
        for other, asked in worlds:
            if other["mesh"] == mesh and len(other["services"]) + len(services) <= MOST:
                other["services"].update(services)
                asked.extend(rows)
                break
        else:
            worlds.append(({"mesh": mesh, "services": dict(services)}, rows))
    return worlds


def _load(path: Path) -> tuple[Document, list[Row]]:
    text = path.read_text("utf-8").replace("callee-", f"{path.stem}-callee-")
    case: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    requests = [{"name": f"{number}", "expect": {}} | each for number, each in enumerate(case["requests"])]
    table = parse_table(path.stem, {"features": [], "spec": case["spec"], "requests": requests})
    return case["spec"], [replace(row, name=path.stem) for row in table.requests]
