"""What a publication says of itself: trailers of its commit, and `source` in its manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson
from msgspec import Struct

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TRAILER = re.compile(r"^Meshctl-Version: \S", re.MULTILINE)


class Record(Struct, frozen=True):
    """The manifest of a publication, as far as the next one has to know it."""

    commit: str
    path: str
    """Of the spec, from the top of the repository that ``commit`` is of."""
    source: Mapping[str, str]
    """As it stands in the manifest."""
    mesh: str
    environment: str
    """Empty where none was merged over the spec."""


def source_fields(commit: str, path: str, repository: str) -> dict[str, str]:
    """`source` in the manifest."""
    return {"commit": commit, "spec": path, **({"repository": repository} if repository else {})}


def record_of(manifest: bytes) -> Record | None:
    """What ``manifest`` says; None unless publish wrote it."""
    try:
        found = orjson.loads(manifest)
        source = {str(key): str(value) for key, value in found["source"].items()}
        record = Record(
            source["commit"], source["spec"], source, str(found["mesh"]), str(found.get("environment", ""))
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    return record if _COMMIT.fullmatch(record.commit) and record.path.isprintable() else None


def message(subject: str, body: str, source: Mapping[str, str], version: str) -> str:
    """A commit's message; the trailers are its last paragraph."""
    repository = source.get("repository")
    trailers = (
        f"Source-Commit: {source['commit']}",
        *((f"Source-Repository: {repository}",) if repository else ()),
        f"Meshctl-Version: {version}",
    )
    return "\n\n".join(filter(None, (subject, body, "\n".join(trailers)))) + "\n"


def is_publication(commit: str) -> bool:
    """Whether a commit, as git prints its object, was made by publish."""
    return bool(_TRAILER.search(commit.partition("\n\n")[2].rstrip("\n").rpartition("\n\n")[2]))
