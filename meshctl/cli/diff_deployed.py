"""`diff --deployed`: from what a folder holds to a spec."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.cli import options, sides
from meshctl.cli.formats.context import json_text, one_line
from meshctl.diagnostics import NotThereError, UsageError

if TYPE_CHECKING:
    from meshctl.cli.diff_limits import Limits
    from meshctl.diff import FileChange
    from meshctl.pipeline import DeployedSpec, Validated

SCHEMA_VERSION = 1
_AGES = {"older": "older than", "newer": "newer than", "aside": "on another branch than"}
_NAMED = 5


class After(Struct, frozen=True):
    """The spec that a deployment would bring, and where it is."""

    where: str
    spec: Validated


def after(base: str | None, head: str | None, spec: str | None, environment: str | None) -> After:
    """The spec in the revision ``base``, or the work tree where that is None. Raises UsageError."""
    from meshctl import pipeline

    if head is not None:
        raise UsageError("--deployed takes the place of BASE; name one revision, or none for the work tree")
    if base is None:
        where = options.location(spec)
        return After(where, pipeline.validate(where, environment=environment))
    names = (spec,) if spec is not None else options.DEFAULT_SPECS
    for each in names:
        where = sides.revision(base, each)
        try:
            return After(where, pipeline.validate(where, environment=environment))
        except NotThereError:
            continue
    raise UsageError(f"there is no {' or '.join(names)} in {base}; name the spec with --spec")


def note(found: DeployedSpec) -> str:
    """What is deployed, in a sentence."""
    if found.spec is None:
        shallow = (
            " (this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in CI)"
            if found.shallow
            else ""
        )
        said = f"no commit at hand has the spec that it was built from ({found.digest[:19]}): told by builds alone{shallow}"
    elif found.found is None:
        said = "built from this very spec"
    else:
        commit = found.found.commit
        said = f"built from {commit.short} of {commit.committed:%Y-%m-%d}, {_AGES[found.found.age]} what it is compared with"
    strays = ""
    if found.strays:
        more = ", …" if len(found.strays) > _NAMED else ""
        strays = f"; of other builds: {', '.join(found.strays[:_NAMED])}{more}"
    return one_line(f"{found.root}: {said}{strays}")


def tell(found: DeployedSpec, files: Sequence[FileChange], limits: Limits, form: str) -> None:
    """Print what can be told without the deployed spec. Raises UsageError where limits are asked about."""
    from meshctl.cli import diff_lines

    if limits.sidecars is not None or limits.callers is not None:
        raise UsageError(f"limits are about the change itself, and {note(found)}")
    listed = [
        f"{'~' if deployed and wanted else '-' if deployed else '+'} {one_line(name)}"
        for name, (deployed, wanted) in found.bundles.items()
    ]
    match form:
        case "json":
            sys.stdout.write(document(found, files, None))
        case "markdown":
            bullets = "".join(f"* `{each}`\n" for each in listed) or "No sidecar differs.\n"
            sys.stdout.write(f"{note(found)}\n\n{bullets}")
        case _:
            sys.stdout.writelines(f"{each}\n" for each in (*listed, *diff_lines.file_lines(files)))
            sys.stderr.write(f"{note(found)}\n{len(listed)} sidecars to deploy\n")


def document(found: DeployedSpec, files: Sequence[FileChange], change: Mapping[str, object] | None) -> str:
    """What `schemas/deployed.schema.json` describes."""
    return json_text(
        {
            "schemaVersion": SCHEMA_VERSION,
            "folder": str(found.root),
            "spec": found.digest,
            "commit": found.found.commit.id if found.found else None,
            "age": "same"
            if found.spec and not found.found
            else found.found.age.value
            if found.found
            else None,
            "differs": bool(found.bundles),
            "bundles": [
                {"bundle": name, "deployed": deployed or None, "wanted": wanted or None}
                for name, (deployed, wanted) in found.bundles.items()
            ],
            "strays": list(found.strays),
            "files": [
                {"path": each.path, "sign": each.sign, "diff": "".join(f"{line}\n" for line in each.lines)}
                for each in files
            ],
            "change": change,
        }
    )
